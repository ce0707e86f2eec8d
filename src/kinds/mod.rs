//! The kinds of step, one file each, and the only list of them. Knows nothing of how a run schedules them.

mod ask_person;
mod call;
mod choose;
mod group;
mod http;
mod http_task;
mod limited;
mod report;
mod script;
mod set;
mod shell;
mod shell_task;
mod via;
mod wait;

use crate::{
    model::{Kind, Registry, Setting},
    text::{Diagnostic, Span},
};

const fn later(name: &'static str, summary: &'static str) -> Kind {
    Kind { name, summary, short: None, fields: &[], rules: &[], lower: None }
}

/// Everything that reads, checks, documents or suggests a kind reads this table.
pub static KINDS: [Kind; 11] = [
    shell::KIND,
    http::KIND,
    ask_person::CONFIRM,
    later("ask", "Asks the operator for values."),
    ask_person::MANUAL,
    wait::KIND,
    later("watch", "Looks at probes for a while and raises alarms."),
    set::KIND,
    choose::KIND,
    group::KIND,
    call::KIND,
];

/// A step that only holds others is never resolved; whoever does has made a mistake, and nothing is done.
fn no_task(_setting: &Setting<'_>) -> Diagnostic {
    Diagnostic::error("internal", Span::at(0), "a step that holds others does nothing itself")
}

/// The table, for the loader.
pub fn registry() -> Registry {
    Registry(&KINDS)
}
