//! The front page of a library: every runbook in one table. Knows nothing of where runbooks come from.

use super::{
    foreign,
    links::encoded,
    outline::effects,
    page::{Inline, Line, Page},
};
use crate::{
    event::Effect,
    model::{Names, Runbook},
};

/// One runbook of a library.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// Such as `balrog/rollback`; its document is expected beside the index as `balrog/rollback.md`.
    pub name: String,
    pub title: String,
    /// Markdown; its first sentence is shown.
    pub summary: Option<String>,
    pub owner: Option<String>,
    pub effects: [(Effect, usize); 3],
}

impl IndexEntry {
    pub fn of(runbook: &Runbook) -> IndexEntry {
        IndexEntry {
            name: runbook.name.clone(),
            title: runbook.title.value.clone(),
            summary: runbook.summary.clone(),
            owner: runbook.owner.clone(),
            effects: runbook.effects(),
        }
    }
}

/// The index, in the order of names.
pub(super) fn page(entries: &[IndexEntry]) -> Page {
    let mut page = Page::default();
    page.push(Line::of("Runbooks").heading(1));
    let mut entries: Vec<&IndexEntry> = entries.iter().collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if entries.is_empty() {
        page.push(Line::of("There are none.").paragraph());
        return page;
    }
    page.push(
        Line::of("Each has a document for people, made from the file that ")
            .code("runsheet run NAME")
            .text(" runs. To see what one would do, and do nothing: ")
            .code("runsheet plan NAME")
            .text(".")
            .paragraph(),
    );
    let rows = entries.iter().map(|entry| {
        let mut what = vec![Inline::Strong(vec![Inline::Text(entry.title.clone())])];
        let sentence = entry.summary.as_deref().map(foreign::first_sentence).unwrap_or_default();
        if !sentence.is_empty() {
            what.push(Inline::Text(" – ".into()));
            what.extend(sentence);
        }
        vec![
            vec![named(&entry.name)],
            what,
            Line::of(entry.owner.clone().unwrap_or_default()).done(),
            Line::of(effects(entry.effects)).done(),
        ]
    });
    let header = ["Name", "What it does", "Owner", "Effects"].map(|title| Line::of(title).done()).to_vec();
    page.push(super::page::Block::Table { header, rows: rows.collect() });
    page
}

/// A link to the document, if the name is one that stays below this folder.
fn named(name: &str) -> Inline {
    let below = name.split('/').all(|part| Names::is_id(part) || (!part.starts_with('.') && is_plain(part)));
    if below {
        Inline::Link { url: encoded(&format!("{name}.md")), text: vec![Inline::Text(name.to_owned())] }
    } else {
        Inline::Code(name.to_owned())
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
