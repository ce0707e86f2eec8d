//! The kinds of step, one file each, and the only list of them. Knows nothing of how a run schedules them.

mod ask;
mod call;
mod choose;
mod confirm;
mod group;
mod helper;
mod http;
mod http_task;
mod limited;
mod look;
mod manual;
mod report;
mod script;
mod set;
mod shell;
mod shell_task;
mod typed;
mod via;
mod wait;
mod watch;
mod watch_task;
mod window;

use crate::{
    model::{Kind, Registry, Setting},
    text::{Diagnostic, Span},
};

/// Everything that reads, checks, documents or suggests a kind reads this table.
pub static KINDS: [Kind; 11] = [
    shell::KIND,
    http::KIND,
    confirm::KIND,
    ask::KIND,
    manual::KIND,
    wait::KIND,
    watch::KIND,
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
