//! The integration binary of the program: each topic is a module. What is built in is tried by `procedures`.

mod all_of_unicode;
mod anchored;
mod bad;
mod bytes;
mod ci;
mod compare;
mod contract;
mod discovery;
mod disk;
mod disk_moments;
mod docs;
mod edits;
mod fields;
mod floors;
mod fuzzed;
mod journal;
mod kept;
mod killed;
mod lab;
mod language;
mod library;
mod limits;
mod lints;
mod lints_shown;
mod locked;
mod masking;
mod plan;
mod probed;
mod processes;
mod pruned;
mod races;
mod render;
mod resumed;
mod scenarios;
mod schema;
mod shared_disk;
mod side_by_side;
mod signed;
mod simulated;

/// The server alone; the services that it stands in for are used by `procedures`.
#[allow(dead_code, reason = "shared with the other binary of tests; each uses the part that it needs")]
mod standins {
    pub mod client;
    pub mod server;
}

mod supervised;
mod support;
mod tampered;
mod terminal;
mod tour;
mod triage;
mod unattended;
mod values;
mod via;
mod yaml;
