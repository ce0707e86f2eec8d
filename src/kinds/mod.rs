//! The kinds of step, one file each, and the only list of them. Knows nothing of how a run schedules them.

mod ask;
mod confirm;
mod http;
mod http_task;
mod limited;
mod look;
mod manual;
mod report;
mod script;
mod set;
mod shell;
mod typed;
mod wait;
mod watch;
mod watch_task;
mod window;

use crate::model::{Kind, Registry};

const fn later(name: &'static str, summary: &'static str) -> Kind {
    Kind { name, summary, fields: &[], lower: None }
}

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
    later("choose", "Takes one of several ways."),
    later("group", "Holds steps together, in order or in parallel."),
    later("call", "Runs another runbook."),
];

/// The table, for the loader.
pub fn registry() -> Registry {
    Registry(&KINDS)
}
