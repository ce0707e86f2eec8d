//! Another version of the program goes on with a run: it may plan the same bytes in another way, or know less than the
//! one that wrote the journal.

use super::{answers, forged, outcome, records, sound};
use crate::{support::Bed, terminal::seat::Seat};

const BOOK: &str = r#"
title: X
steps:
  - {id: one, shell: echo one >> ran}
  - {id: sure, confirm: Go on?}
  - {id: two, timeout: 5m, shell: echo two >> ran}
"#;

/// A run that was begun by a version in whose eyes `two` has another limit and only reads.
fn planned_otherwise() -> Bed {
    let bed = Bed::with(BOOK);
    bed.run(&["run", "./x.yaml"]).end().code(11);
    forged::plan(&bed.runs()[0], |plan| {
        plan["steps"][2]["effect"] = "read".into();
        plan["steps"][2]["timeout"] = "1m".into();
    });
    sound(&bed);
    bed
}

#[test]
fn with_nobody_there_it_is_seven() {
    let bed = planned_otherwise();
    let said = bed.run(&["resume", "last", "--yes"]).end().code(7);
    assert!(said.stderr.contains("this version of runsheet plans the rest of the run differently"), "{}", said.stderr);
    assert_eq!((outcome(&bed), bed.read("ran").as_str()), ("unknown".into(), "one\n"));
    // Not even a file of answers: it names no step.
    bed.write("answers.yaml", "two: {answer: go-on, reason: x}\n");
    bed.run(&["resume", "last", "--yes", "--answers", "answers.yaml"]).end().code(7);
    assert!(records(&bed, "plan_replaced").is_empty());
    sound(&bed);
}

#[test]
fn a_person_sees_what_differs_and_says_why() {
    let bed = planned_otherwise();
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("plans the rest of the run differently").sees("began with runsheet 0.0.9");
    seat.sees("step two is changed").sees("effect: read → change").sees("timeout: 1m → 5m");
    seat.answers("press g, p", "p");
    seat.ends(11);
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("press g, p", "g").answers("reason:", "5m is meant\r").answers("yes or no:", "\x03");
    let said = seat.ends(11);
    assert!(!said.contains("step one"), "what is the same is not shown: {said}");
    let replaced = records(&bed, "plan_replaced");
    assert_eq!((&replaced[0]["cause"], &replaced[0]["reason"]), (&"version".into(), &"5m is meant".into()));
    assert_eq!(replaced[0]["runbook_files"], serde_json::Value::Null);
    assert_eq!(answers(&bed), ["pause", "go-on because 5m is meant"]);
    // What was accepted is what later versions are held against.
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "one\ntwo\n");
    sound(&bed);
    bed.run(&["report", "last"]).end().code(0).stdout_has("5m is meant");
}

#[test]
fn what_only_one_version_records_is_no_difference() {
    let bed = Bed::with(BOOK);
    bed.run(&["run", "./x.yaml"]).end().code(11);
    forged::plan(&bed.runs()[0], |plan| {
        for step in plan["steps"].as_array_mut().unwrap() {
            step.as_object_mut().unwrap().remove("critical");
        }
    });
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "one\ntwo\n");
}

#[test]
fn a_journal_of_a_later_version_is_read_and_not_gone_on_with() {
    for (what, known) in
        [("journal", "its journal is of version 2"), ("format", "its runbook language is of version 2")]
    {
        let bed = Bed::with(BOOK);
        bed.run(&["run", "./x.yaml"]).end().code(11);
        let run = bed.runs().remove(0);
        // Such a version may tell of things that have no name yet, and say more of what has one.
        forged::journal(&run, |at, own| match at {
            1 => vec![
                own.replace(&format!("\"{what}\":1"), &format!("\"{what}\":2,\"more\":[1]"))
                    .replace("\"tool_version\":\"0.1.0\"", "\"tool_version\":\"9.9.9\""),
            ],
            2 => {
                let time = own.split("\"time\":\"").nth(1).unwrap().split('"').next().unwrap();
                let told =
                    format!("{{\"seq\":2,\"time\":\"{time}\",\"elapsed_ms\":1,\"event\":\"moon_rose\",\"over\":\"x\"");
                vec![told, own.replacen("\"seq\":2", "\"seq\":3", 1)]
            }
            _ => vec![own.replacen(&format!("\"seq\":{at}"), &format!("\"seq\":{}", at + 1), 1)],
        });
        let before = std::fs::read(run.join("journal.jsonl")).unwrap();
        for args in [&["resume", "last", "--yes"][..], &["resume", "last"]] {
            bed.run(args).end().code(4).stderr_has(known).stderr_has("goes up to 1").stderr_has("runsheet report");
        }
        assert_eq!(std::fs::read(run.join("journal.jsonl")).unwrap(), before);
        bed.run(&["verify", "last"]).end().code(0).stdout_has(known).stdout_has("9.9.9");
        bed.run(&["report", "last"]).end().code(0).stdout_has("does not know").stderr_has(known);
        bed.run(&["report", "last", "--format", "json"]).end().code(0).stderr_has(known);
        assert_eq!(outcome(&bed), "paused");
        assert_eq!(bed.read("ran"), "one\n");
    }
}

/// A newer version of the program has other bytes under the same name.
#[test]
fn a_built_in_runbook_of_another_version_is_a_changed_file() {
    let bed = Bed::new();
    let folder = format!("folder={}", bed.path("site").display());
    let mut seat = Seat::take(&bed, &["run", "tour/deploy", "--param", &folder, "--param", "version=v2"]);
    seat.sees("next prepare").answers("press", "p");
    seat.ends(11);
    let run = bed.runs().remove(0);
    let path = run.join("runbook/tour/deploy.yaml");
    let now = std::fs::read_to_string(&path).unwrap();
    let before = now.replace("title: Make the site, if there is none yet", "title: Make a site");
    assert_ne!(now, before);
    std::fs::write(&path, &before).unwrap();
    let [old, new] = [&now, &before].map(|text| runsheet::journal::hex_sha256(text.as_bytes()));
    forged::plan(&run, |plan| {
        plan["source_sha256"] = new.clone().into();
        for step in plan["steps"].as_array_mut().unwrap().iter_mut().filter(|step| step["id"] == "prepare") {
            step["title"] = "Make a site".into();
        }
    });
    forged::journal(&run, |_, own| vec![own.replace(&old, &new)]);
    sound(&bed);
    let mut seat = Seat::take(&bed, &["resume", "last"]);
    seat.sees("the built-in runbook tour/deploy has changed").answers("press", "d");
    seat.sees("step prepare is changed").sees("title: Make a site → Make the site, if").answers("press", "p");
    seat.ends(11);
    let resumed = bed.run(&["resume", "last", "--yes"]).end();
    let resumed = resumed.code(0).stderr_has("the built-in runbook tour/deploy has changed since");
    assert!(resumed.stderr.contains("▶ prepare  Make a site"), "{}", resumed.stderr);
    assert!(records(&bed, "plan_replaced").is_empty());
}
