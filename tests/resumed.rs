//! A run that is gone on with later: what was left of it, and what has changed since.

mod beside;
mod changed;
mod forged;
mod frozen;
mod nested;
mod requests;
mod table;
mod version;

use serde_json::Value as Json;

use crate::support::Bed;

/// The records of one event.
fn records(bed: &Bed, event: &str) -> Vec<Json> {
    bed.journal().into_iter().filter(|record| record["event"] == event).collect()
}

/// Questions about the run as a whole, with their answers: `go-on because …`.
fn answers(bed: &Bed) -> Vec<String> {
    let answered = records(bed, "question_answered").into_iter().map(|record| {
        assert_eq!(record["by"], "tester", "{record}");
        let reason = record["reason"].as_str().map(|reason| format!(" because {reason}")).unwrap_or_default();
        format!("{}{reason}", record["answer"].as_str().unwrap())
    });
    answered.collect()
}

fn sound(bed: &Bed) {
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["report", "last"]).end().code(0);
    bed.run(&["report", "last", "--format", "json"]).end().code(0);
}

fn outcome(bed: &Bed) -> String {
    let history = bed.run(&["history", "--json"]).end().code(0).json();
    history[0]["outcome"].as_str().unwrap().to_owned()
}
