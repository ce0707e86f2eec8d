//! What a later call finds of an earlier one: values as they are on record, and what a killed program left.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::outcome;
use crate::support::Bed;

fn private_folder(path: PathBuf) -> PathBuf {
    DirBuilder::new().mode(0o700).create(&path).unwrap();
    path
}

#[test]
fn a_value_that_met_its_pattern_as_typed_is_taken_as_recorded() {
    let bed = Bed::with(
        r#"
title: X
params:
  number: {type: integer, pattern: '\d{4}'}
  limit: {type: duration, pattern: '\d+m'}
steps:
  - {id: ask, confirm: Go on?}
  - {id: after, shell: 'echo "$number $limit" > ran'}
"#,
    );
    let given = ["run", "./x.yaml", "--param", "number=0042", "--param", "limit=90m"];
    bed.run(&given).end().code(11);
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "42 5400\n");
    bed.run(&["verify", "last"]).end().code(0);
}

const ONE: &str = "title: X\nsteps:\n  - {id: a, shell: echo hello}\n";

#[test]
fn what_a_run_held_when_it_was_killed_at_its_very_end_is_given_up_by_resume() {
    let bed = Bed::with(ONE);
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(0);
    let run = bed.runs().remove(0);
    let noted = std::fs::read_to_string(run.join("run.lock")).unwrap();
    let (begin, head) = noted.split_once(",\"closed_head\":").unwrap();
    // As it is between the last record and the end of the program.
    std::fs::write(run.join("run.lock"), format!("{begin}}}\n")).unwrap();
    let scratch = private_folder(run.join("scratch"));
    std::fs::write(scratch.join("left"), "").unwrap();
    let said = bed.run(&["resume", "last"]).end().code(0).stdout;
    assert!(said.contains("is over: succeeded"), "{said}");
    assert!(!scratch.exists());
    assert!(std::fs::read_to_string(run.join("run.lock")).unwrap().ends_with(head));
    assert_eq!(outcome(&bed), "succeeded");
    bed.run(&["verify", "last"]).end().code(0);
}

#[test]
fn a_start_that_was_killed_long_ago_is_cleared_away_by_the_next() {
    let bed = Bed::with(ONE);
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(0);
    let runs = bed.runs()[0].parent().unwrap().to_owned();
    let left = |name: &str| {
        let folder = private_folder(Path::new(&runs).join(name));
        std::fs::write(folder.join("plan.json"), "{}").unwrap();
        folder
    };
    let (old, coming) = (left(".tmp-20200101-000000-aaaaaa"), left(".tmp-99990101-000000-aaaaaa"));
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(0);
    assert!(!old.exists());
    assert!(coming.exists(), "it may be in the making");
}
