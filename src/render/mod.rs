//! Runbooks and runs as documents for people: Markdown, Mermaid, the terminal. Knows nothing of files, and of running
//! anything; text of authors, of outputs and of operators is never trusted to stay in its place.

mod compared;
mod drift;
mod failure;
mod foreign;
mod in_order;
mod index;
mod links;
mod markdown;
mod mermaid;
mod nested;
mod outline;
mod page;
mod planned;
mod report;
mod schema;
mod terminal;
mod timeline;
mod undone;

pub use compared::compared;
pub use drift::drift;
pub use index::IndexEntry;
pub use planned::{Planned, PlannedStep, planned};
pub use schema::{schema, schema_of};

use crate::{
    event::{Record, RunState},
    model::{Names, Runbook},
};
use outline::Form;

/// One runbook as a Markdown document: deterministic, without dates or paths of a machine.
pub fn markdown(runbook: &Runbook, names: &Names) -> String {
    let page = outline::page(runbook, names, Form { graph: true });
    format!("{}\n{}", made_by(&format!("runsheet render {}", runbook.name)), markdown::write(&page))
}

/// The front page of a library, as Markdown. Documents are expected beside it, as `NAME.md`.
pub fn index(entries: &[IndexEntry]) -> String {
    format!("{}\n{}", made_by("runsheet render"), markdown::write(&index::page(entries)))
}

/// A run as a Markdown document. `state` is what the records add up to; the runbook gives titles and order, if it is at
/// hand.
pub fn report(records: &[Record], state: &RunState, runbook: Option<&Runbook>) -> String {
    markdown::write(&report::page(records, state, runbook))
}

/// The graph of the steps as Mermaid text.
pub fn mermaid(runbook: &Runbook, names: &Names) -> String {
    mermaid::graph(runbook, names).0
}

/// One runbook for a terminal of this many columns.
pub fn terminal(runbook: &Runbook, names: &Names, width: usize, color: bool) -> String {
    terminal::write(&outline::page(runbook, names, Form { graph: false }), width, color)
}

/// The first line of a document that is made, not written. A name cannot end the comment.
fn made_by(command: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '/' | '-' | '_' | '.');
    let command: String = command.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("<!-- made by \"{command}\"; do not edit -->\n")
}
