//! Links between pages: the file is there, and so is the heading. Knows how headings become anchors, and no web.

use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{pages, root};

struct Page {
    /// Where each link points to, as written.
    links: Vec<String>,
    anchors: Vec<String>,
}

fn read(text: &str) -> Page {
    let mut page = Page { links: Vec::new(), anchors: Vec::new() };
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string())
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|text| anchor(&text))),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let id = html.split_once(" id=\"").and_then(|(_, rest)| rest.split_once('"'));
                page.anchors.extend(id.map(|(id, _)| id.to_owned()));
            }
            _ => {}
        }
    }
    // A second heading of the same words gets a number.
    for index in (0..page.anchors.len()).rev() {
        let before = page.anchors[..index].iter().filter(|anchor| **anchor == page.anchors[index]).count();
        if before > 0 {
            page.anchors[index] = format!("{}-{before}", page.anchors[index]);
        }
    }
    page
}

/// As GitHub makes them: small letters, blanks become hyphens, and of the rest only letters, digits, `-` and `_` stay.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Why a link leads nowhere.
fn wrong(from: &Path, own: &Page, target: &str) -> Option<String> {
    let (file, wanted) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = from.parent().unwrap().join(file);
    let there = |page: &Page, wanted: &str| page.anchors.iter().any(|anchor| anchor == wanted);
    match wanted {
        _ if !file.is_empty() && !path.exists() => Some("there is no such file".to_owned()),
        None => None,
        Some(wanted) if file.is_empty() => (!there(own, wanted)).then(|| "there is no such heading".to_owned()),
        Some(wanted) => {
            let other = read(&std::fs::read_to_string(&path).unwrap());
            (!there(&other, wanted)).then(|| "that page has no such heading".to_owned())
        }
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let (mut followed, mut lost) = (0, Vec::new());
    for (path, text) in pages() {
        let page = read(&text);
        for target in &page.links {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            if let Some(why) = wrong(&path, &page, target) {
                lost.push(format!("{}: {target}: {why}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(lost.is_empty(), "links that lead nowhere:\n{}", lost.join("\n"));
    assert!(followed > 50, "only {followed} links were found");
}

#[test]
fn headings_become_anchors_as_they_do_where_pages_are_read() {
    let page = read(
        "# A `name`: what's it?\n## x\n## x\n<a id=\"here\"></a>\n\n```text\n# not one\n[a](b)\n```\n[a](#x-1) `[c](d)`\n",
    );
    assert_eq!(page.anchors, ["a-name-whats-it", "x", "x-1", "here"]);
    assert_eq!(page.links, ["#x-1"]);
    let from = root().join("README.md");
    assert_eq!(wrong(&from, &page, "#x-1"), None);
    assert_eq!(wrong(&from, &page, "#x-2").unwrap(), "there is no such heading");
    assert_eq!(wrong(&from, &page, "docs/nowhere.md").unwrap(), "there is no such file");
    assert_eq!(wrong(&from, &page, "docs/trust.md#nowhere").unwrap(), "that page has no such heading");
    assert_eq!(wrong(&from, &page, "docs/trust.md#anchors"), None);
}
