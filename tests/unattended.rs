//! Runs that nobody watches: who answers, who does not, what an end means, and what a program that reads along sees.

mod answers;
mod codes;
mod programs;
mod resumed;

use crate::support::{Bed, Ended};

/// The steps of the only run that came to an end, with how: `a succeeded, b skipped`.
fn steps(bed: &Bed) -> String {
    let ends = bed.journal().into_iter().filter_map(|record| {
        let step = record["step"].as_str()?.to_owned();
        match record["event"].as_str()? {
            "step_finished" => Some(format!("{step} {}", record["status"].as_str()?)),
            "step_skipped" => Some(format!("{step} skipped")),
            _ => None,
        }
    });
    ends.collect::<Vec<_>>().join(", ")
}

/// How the only run ended or stands.
fn outcome(bed: &Bed) -> String {
    let history = bed.run(&["history", "--json"]).end().code(0).json();
    let runs = history.as_array().unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0]["outcome"].as_str().unwrap().to_owned()
}

/// Nothing was begun: there is no run on record.
#[track_caller]
fn nothing_ran(bed: &Bed, ended: Ended<'_>) {
    assert!(bed.runs().is_empty(), "a run was made");
    assert!(!bed.exists("ran"), "a step ran");
    assert_eq!(ended.stdout, "");
}
