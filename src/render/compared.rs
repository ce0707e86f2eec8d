//! A comparison of runbooks as a page, for a comment on a pull request. Compares nothing.

use super::{
    markdown,
    page::{Block, Inline, Line, Page},
};
use crate::plan::{Change, Compared, Comparison, Edit, MarkedLine, Weight, marked};

/// Bytes; GitHub takes comments of at most 65,536 characters, and GitLab longer ones.
const LARGEST: usize = 60_000;

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Depth {
    Headlines,
    Changes,
    Lines,
}

/// As Markdown that fits into a comment: where it would be too long, lines of commands are left out first. `failed` are the
/// words of kinds of difference that count as a failure.
pub fn compared(of: &Comparison, failed: &[&str]) -> String {
    let mut text = markdown::write(&page(of, failed, Depth::Lines));
    for depth in [Depth::Changes, Depth::Headlines] {
        if text.len() > LARGEST {
            text = markdown::write(&page(of, failed, depth));
        }
    }
    if text.len() > LARGEST {
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at < LARGEST).last().unwrap_or_default();
        let line = text[..end].rfind('\n').unwrap_or(end);
        text.truncate(line);
        text.push_str("\n\nThere is more, and it does not fit in here.\n");
    }
    text
}

fn page(of: &Comparison, failed: &[&str], depth: Depth) -> Page {
    let mut page = Page::default();
    page.push(Line::of("What the runbooks do otherwise").heading(2));
    if of.is_empty() {
        let count = if of.looked_at == 1 { "It does".to_owned() } else { format!("All {} do", of.looked_at) };
        page.push(Line::of(format!("{count} the same as in ")).code(&of.before).text(".").paragraph());
        return page;
    }
    if !failed.is_empty() {
        page.push(Line::label("Fails on:").text(" ").codes(failed.iter().copied()).text(".").paragraph());
    }
    let several = of.looked_at > 1;
    let mut line = Line::new().code(&of.after).text(" against ").code(&of.before);
    if several {
        line = line.text(format!(": {} of {} runbooks differ.", of.runbooks.len(), of.looked_at));
    }
    page.push(line.paragraph());
    if depth < Depth::Lines {
        page.push(Line::of("This is too long for a comment; `runsheet plan --against` shows it all.").paragraph());
    }
    for runbook in &of.runbooks {
        one(runbook, depth, &mut page);
    }
    page
}

fn one(runbook: &Compared, depth: Depth, page: &mut Page) {
    page.push(Line::new().code(&runbook.name).heading(3));
    page.push(Line::new().and(vec![Inline::Strong(said(&runbook.headline()))]).paragraph());
    for note in &runbook.notes {
        page.push(Line::new().and(said(note)).paragraph());
    }
    if !runbook.called_by.is_empty() {
        page.push(Line::label("Called by:").text(" ").codes(&runbook.called_by).paragraph());
    }
    if depth == Depth::Headlines {
        return;
    }
    for weight in Weight::ALL {
        let changes: Vec<&Change> = runbook.changes.iter().filter(|change| change.weight() == weight).collect();
        if changes.is_empty() {
            continue;
        }
        page.push(Line::of(capital(weight.heading())).heading(4));
        let items = changes.into_iter().map(|change| item(change, depth)).collect();
        page.push(Block::List { start: None, items });
    }
}

fn item(change: &Change, depth: Depth) -> Vec<Block> {
    let words = change.whats.iter().map(|what| what.word());
    let mut blocks = vec![Line::new().and(said(&change.says)).text(" — ").codes(words).paragraph()];
    if depth == Depth::Lines && !change.complete {
        let lines = marked(change.before.as_deref(), change.after.as_deref());
        if !lines.is_empty() {
            let text: Vec<String> = lines.iter().map(drawn).collect();
            blocks.push(Block::Code { language: "diff", text: text.join("\n") });
        }
    }
    blocks
}

/// Changed words in the brackets that `git diff --word-diff` uses.
fn drawn(line: &MarkedLine) -> String {
    let (sign, open, close) = match line.edit {
        Edit::Kept => (' ', "", ""),
        Edit::Removed => ('-', "[-", "-]"),
        Edit::Added => ('+', "{+", "+}"),
    };
    let pieces = line.pieces.iter().map(|(changed, text)| match changed {
        true => format!("{open}{text}{close}"),
        false => text.clone(),
    });
    format!("{sign} {}", pieces.collect::<String>())
}

/// Our words with values of authors in them. Where a page is read, `@name` would call somebody and `#1` would be a link.
pub(super) fn said(text: &str) -> Vec<Inline> {
    let line = Line::new();
    if text.contains(['@', '#']) { line.code(text).done() } else { line.text(text).done() }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
