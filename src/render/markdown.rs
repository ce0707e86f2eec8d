//! Writes a page as Markdown in which no text can leave its place. Knows nothing of what the page is about.

use super::{
    links::encoded,
    page::{Block, Inline, Page, flat, words},
};
use crate::text::printable;

/// The page, ending in one line feed.
pub fn write(page: &Page) -> String {
    let mut text = blocks(&page.blocks).join("\n");
    text.push('\n');
    text
}

/// Lines, with an empty one between two blocks.
fn blocks(all: &[Block]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut before: Option<&Block> = None;
    let mut second = false;
    for block in all {
        second = matches!((before, block), (Some(Block::List { .. }), Block::List { .. })) && !second;
        let of_block = lines_of(block, second);
        if of_block.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(of_block);
        before = Some(block);
    }
    lines
}

fn lines_of(block: &Block, second: bool) -> Vec<String> {
    match block {
        Block::Heading { level, text } => {
            let text = inlines(text, Place::Heading).replace('\n', " ");
            let text = if text.is_empty() { "\\(no title\\)".to_owned() } else { text };
            vec![format!("{} {text}", "#".repeat((*level).clamp(1, 6)))]
        }
        Block::Paragraph(text) => {
            let text = inlines(text, Place::Line);
            if text.is_empty() { Vec::new() } else { text.split('\n').map(str::to_owned).collect() }
        }
        Block::List { start, items } => list(*start, items, second),
        Block::Quote(inner) => blocks(inner)
            .into_iter()
            .map(|line| if line.is_empty() { ">".to_owned() } else { format!("> {line}") })
            .collect(),
        Block::Code { language, text } => fenced(language, text),
        Block::Table { header, rows } => table(header, rows),
        Block::Rule => vec!["---".to_owned()],
    }
}

/// Two lists that follow each other have different marks, or they would be one.
fn list(start: Option<u64>, items: &[Vec<Block>], second: bool) -> Vec<String> {
    let items: Vec<Vec<String>> = items.iter().map(|item| item_lines(item)).collect();
    let close = items.iter().all(|item| !item.contains(&String::new()));
    let mut lines = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let mark = match (start, second) {
            (None, false) => "- ".to_owned(),
            (None, true) => "* ".to_owned(),
            // Longer numbers are no list marks.
            (Some(start), _) => {
                let number = start.saturating_add(index as u64).min(999_999_999);
                format!("{number}{} ", if second { ')' } else { '.' })
            }
        };
        if index > 0 && !close {
            lines.push(String::new());
        }
        if item.is_empty() {
            lines.push(mark.trim_end().to_owned());
        }
        for (at, line) in item.into_iter().enumerate() {
            lines.push(match (at, line.is_empty()) {
                (0, _) => format!("{mark}{line}"),
                (_, true) => String::new(),
                (_, false) => format!("{}{line}", " ".repeat(mark.len())),
            });
        }
    }
    lines
}

fn item_lines(item: &[Block]) -> Vec<String> {
    // A list of points may stand right under the line it belongs to.
    if let [first @ Block::Paragraph(_), second @ Block::List { start: None, .. }] = item {
        let mut lines = lines_of(first, false);
        let below = lines_of(second, false);
        if !below.contains(&String::new()) {
            lines.extend(below);
            return lines;
        }
    }
    blocks(item)
}

/// The fence is longer than any run of backticks in the text, so that nothing in it can be its end.
fn fenced(language: &str, text: &str) -> Vec<String> {
    let text = printable(text);
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    let mut lines = vec![format!("{fence}{language}")];
    lines.extend(text.trim_end_matches('\n').split('\n').map(str::to_owned));
    lines.push(fence);
    lines
}

fn table(header: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>]) -> Vec<String> {
    let row = |cells: &[Vec<Inline>]| {
        let mut line = String::from("|");
        for index in 0..header.len() {
            let cell = cells.get(index).map(|cell| inlines(cell, Place::Cell)).unwrap_or_default();
            line.push_str(&format!(" {cell}{}|", if cell.is_empty() { "" } else { " " }));
        }
        line
    };
    let mut lines = vec![row(header), format!("|{}", " --- |".repeat(header.len()))];
    lines.extend(rows.iter().map(|cells| row(cells)));
    lines
}

fn longest_run(text: &str, of: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Line,
    Heading,
    Cell,
    /// Behind a mark of ours.
    Inner,
    /// Inside the brackets of a link.
    Link,
}

fn inlines(all: &[Inline], place: Place) -> String {
    let mut out = String::new();
    put(all, place, &mut out);
    while out.ends_with([' ', '\n']) || out.ends_with("\\\n") {
        // A break at the very end breaks nothing.
        out.truncate(out.len() - if out.ends_with("\\\n") { 2 } else { 1 });
    }
    out
}

fn put(all: &[Inline], place: Place, out: &mut String) {
    let mut index = 0;
    while let Some(inline) = all.get(index) {
        match inline {
            Inline::Text(_) => {
                // What is written side by side is escaped as one text.
                let run = all[index..].iter().take_while(|inline| matches!(inline, Inline::Text(_))).count();
                let text = words(&all[index..index + run]);
                index += run - 1;
                put_text(&text, place, out);
            }
            Inline::Code(text) => put_code(text, place, out),
            Inline::Emphasis(inner) => put_marked("*", inner, place, out),
            Inline::Strong(inner) => put_marked("**", inner, place, out),
            Inline::Link { url, text } => {
                let text = words(text);
                let shown = if text.trim().is_empty() { url.clone() } else { text };
                out.push('[');
                put_text(&shown, if place == Place::Heading { place } else { Place::Link }, out);
                // An `&` could begin an entity, which means something in an address, too.
                out.push_str(&format!("]({})", encoded(url).replace('&', "&amp;")));
            }
            Inline::Break => match place {
                Place::Line if !at_line_start(out) => out.push_str("\\\n"),
                Place::Line => {}
                _ => out.push(' '),
            },
        }
        index += 1;
    }
}

fn put_marked(mark: &str, inner: &[Inline], place: Place, out: &mut String) {
    let mut text = String::new();
    // It stands behind a mark, so never at the start of a line.
    put(inner, if place == Place::Line { Place::Inner } else { place }, &mut text);
    let text = text.trim();
    if !text.is_empty() {
        out.push_str(mark);
        out.push_str(text);
        out.push_str(mark);
    }
}

fn put_code(text: &str, place: Place, out: &mut String) {
    let text = flat(text);
    if text.trim().is_empty() {
        return;
    }
    // What a table makes of a backslash before a bar differs from reader to reader.
    if place == Place::Cell && text.contains("\\|") {
        put_text(&text, place, out);
        return;
    }
    if out.ends_with('`') {
        out.push(' ');
    }
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let padded = text.starts_with('`') || text.ends_with('`') || (text.starts_with(' ') && text.ends_with(' '));
    let pad = if padded { " " } else { "" };
    let text = if place == Place::Cell { text.replace('|', "\\|") } else { text };
    out.push_str(&format!("{fence}{pad}{text}{pad}{fence}"));
}

fn at_line_start(out: &str) -> bool {
    out.is_empty() || out.ends_with('\n')
}

/// Text in which nothing means anything to Markdown.
fn put_text(text: &str, place: Place, out: &mut String) {
    let text = flat(text);
    let mut line_start = place == Place::Line && at_line_start(out);
    let text = if at_line_start(out) { text.trim_start_matches(' ') } else { &text };
    if line_start {
        // `1.` or `1)` would begin a numbered list.
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text[digits..].starts_with(['.', ')']) {
            out.push_str(&text[..digits]);
            out.push('\\');
            out.push_str(&text[digits..=digits]);
            return put_escaped(&text[digits + 1..], place, false, out);
        }
        line_start = !text.is_empty();
    }
    put_escaped(text, place, line_start, out);
}

fn put_escaped(text: &str, place: Place, line_start: bool, out: &mut String) {
    let mut before: Option<char> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map(|(_, c)| *c);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let escape = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' | '$' | '^' => true,
            // Inside a word it means nothing.
            '_' => !(word(before) && word(after)),
            '&' => after.is_some_and(|c| c == '#' || c.is_alphanumeric()),
            // Before a link it would make a picture of it.
            '!' => after.is_none(),
            '#' | '{' | '}' if place == Place::Heading => true,
            '#' | '>' | '-' | '+' | '=' | ':' if line_start && at == 0 => true,
            // Readers make links of addresses in running text; those that may be links are links already.
            ':' => place != Place::Link && text[at..].starts_with("://"),
            '.' => place != Place::Link && at >= 3 && text.as_bytes()[..at].to_ascii_lowercase().ends_with(b"www"),
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::page::Line;

    fn of(text: &str, place: Place) -> String {
        inlines(&[Inline::Text(text.into())], place)
    }

    #[test]
    fn text_means_nothing() {
        for (text, written) in [
            ("plain snake_case - and 1. more", "plain snake_case - and 1. more"),
            ("*a* _b_ `c` [d](e) <f> |", r"\*a\* \_b\_ \`c\` \[d\](e) \<f> \|"),
            ("# not a heading", r"\# not a heading"),
            ("- not a list", r"\- not a list"),
            ("12. not a list", r"12\. not a list"),
            ("=== no underline", r"\=== no underline"),
            ("    no code", "no code"),
            ("&lt; & &#60;", r"\&lt; & \&#60;"),
            ("ends in \\", r"ends in \\"),
            ("ftp://x www.example.org", r"ftp\://x www\.example.org"),
            ("two\nlines\u{202e}", r"two lines\\u{202e}"),
            ("picture!", r"picture\!"),
        ] {
            assert_eq!(of(text, Place::Line), written, "{text}");
        }
        assert_eq!(of("a # {#id}", Place::Heading), r"a \# \{\#id\}");
        assert_eq!(of("a | b", Place::Cell), r"a \| b");
    }

    #[test]
    fn code_cannot_be_closed() {
        assert_eq!(inlines(&Line::new().code("a``b`").done(), Place::Line), "``` a``b` ```");
        assert_eq!(inlines(&Line::new().code("^(a|b)$").done(), Place::Cell), r"`^(a\|b)$`");
        assert_eq!(inlines(&Line::new().code(r"a\|b").done(), Place::Cell), r"a\\\|b");
        assert_eq!(fenced("text", "````\n~~~"), ["`````text", "````", "~~~", "`````"]);
    }

    #[test]
    fn lists_keep_their_shape() {
        let point = |text: &str| vec![Line::of(text).paragraph()];
        let inner = Block::List { start: None, items: vec![point("inner")] };
        let page = Page {
            blocks: vec![
                Block::List { start: None, items: vec![point("one"), vec![Line::of("two").paragraph(), inner]] },
                Block::List { start: None, items: vec![point("other")] },
                Block::List { start: Some(3), items: vec![point("three"), point("four")] },
            ],
        };
        assert_eq!(write(&page), "- one\n- two\n  - inner\n\n* other\n\n3. three\n4. four\n");
    }
}
