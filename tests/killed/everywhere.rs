//! The engine killed at its system calls, one after the other: before it writes, before it syncs, before it renames.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::lab::{Lab, finish};

const BOOK: &str = r#"
title: A small release
params: {version: {type: string, default: v1.0}}
steps:
  - id: look
    effect: read
    shell: echo "sees $version"
    capture: {seen: result.stdout}
  - id: deploy
    shell: echo deploy >> "$HOME/marks"
  - id: sure
    confirm: Go on?
  - id: rest
    wait: 5ms
  - id: publish
    shell: |
      echo "publish $seen" >> "$HOME/marks"
      echo "wrote it"
  - id: warm
    idempotent: true
    shell: |
      echo warm >> "$HOME/warmed"
      echo 37
    capture: {warmth: result.stdout|int}
  - id: tell
    shell: echo "tell $warmth" >> "$HOME/marks"
finally:
  - id: tidy
    shell: echo tidy >> "$HOME/tidied"
"#;

/// What would have come of it without a kill.
const MARKS: [&str; 3] = ["deploy", "publish sees v1.0", "tell 37"];

/// Calls that a journal is made of, and how many of each there are, counted in a run that nothing disturbs.
fn calls_of(args: &[&str], lab: &Lab) -> BTreeMap<String, usize> {
    let trace =
        "trace=write,pwrite64,fdatasync,fsync,rename,mkdir,unlink,unlinkat,ftruncate,flock,fallocate,openat,sendto";
    finish(lab.traced(&["-e", trace], args)).expect(0);
    let mut counts = BTreeMap::new();
    for line in lab.read("trace").lines() {
        if let Some((name, _)) = line.split_once('(') {
            *counts.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

/// A spread of at most `most` numbers from 1 to `count`, with both ends.
fn sample(count: usize, most: usize) -> Vec<usize> {
    let steps = count.min(most);
    let mut points: Vec<usize> =
        (0..steps).map(|step| 1 + if steps > 1 { step * (count - 1) / (steps - 1) } else { 0 }).collect();
    points.dedup();
    points
}

/// Goes on with the only run until it is over, deciding what is asked by looking at what is there.
fn converge(lab: &Lab, point: &str) -> i32 {
    for _ in 0..6 {
        let ended = lab.call(&["resume", "last", "--yes"]);
        let step = match ended.code {
            Some(0) => return 0,
            // Nobody is asked about what runs last: a run is not kept open for it, and does not count as a success.
            Some(1) if open_step(&lab.journal()) == "tidy" => return 1,
            Some(7) => open_step(&lab.journal()),
            _ => panic!("{point}: resume: {ended:#?}\n{:#?}", lab.journal()),
        };
        let word = match step.as_str() {
            "deploy" => "deploy",
            "publish" => "publish",
            "tell" => "tell",
            other => panic!("{point}: nobody can know less than everything about {other}: {ended:#?}"),
        };
        let there = lab.marks("marks").iter().any(|mark| mark.starts_with(word));
        let decision = if there { "done" } else { "not-done" };
        let decided = ["resume", "last", "--yes", "--step", &step, "--as", decision, "--reason", "the marks say so"];
        let ended = lab.call(&decided);
        match ended.code {
            Some(0) => return 0,
            Some(7) => {}
            _ => panic!("{point}: {decision}: {ended:#?}"),
        }
    }
    panic!("{point}: it does not come to an end");
}

fn open_step(journal: &[Json]) -> String {
    let unknown =
        journal.iter().rev().find(|record| record["event"] == "step_finished" && record["status"] == "unknown");
    unknown.and_then(|record| record["step"].as_str()).expect("exit 7 comes with a step that is unknown").to_owned()
}

/// The state in which a kill left the only run, if there is one, and what must be true of it at any moment.
fn check_left(lab: &Lab, told: &[Json], point: &str) -> bool {
    let outcomes = lab.outcomes();
    let [outcome] = outcomes.as_slice() else {
        assert!(outcomes.is_empty(), "{point}: {outcomes:?}");
        assert!(told.is_empty() && lab.marks("marks").is_empty(), "{point}: something happened without a run");
        return false;
    };
    let journal = lab.journal();
    // What a reader of the events was told is on record, byte for byte but for the chain.
    for (told, kept) in told.iter().zip(&journal) {
        for (name, value) in told.as_object().unwrap() {
            assert_eq!(&kept[name], value, "{point}: {name}");
        }
    }
    assert!(told.len() <= journal.len(), "{point}: told of {}, kept {}", told.len(), journal.len());
    lab.call(&["verify", "last"]).expect(0);
    lab.call(&["report", "last"]).expect(0);
    let over = journal.iter().any(|record| record["event"] == "run_finished");
    assert_eq!(outcome, if over { "succeeded" } else { "interrupted" }, "{point}");
    // Output that was promised is there: `verify` compared the digests of all that are on record.
    true
}

/// Nothing twice without a word of the operator, and everything there once.
fn check_end(lab: &Lab, point: &str, code: i32) {
    assert_eq!(lab.marks("marks"), MARKS, "{point}: {:#?}", lab.journal());
    let warmed = lab.marks("warmed").len();
    assert!((1..=3).contains(&warmed), "{point}: a step that may run twice ran {warmed} times");
    let tidied = lab.marks("tidied").len();
    assert!(tidied == 1 || tidied == 0 && code == 1, "{point}: tidied {tidied} times");
    let before = lab.journal().len();
    lab.call(&["resume", "last", "--yes"]).expect(code);
    assert_eq!(lab.journal().len(), before, "{point}: resuming what is over writes nothing");
    assert_eq!(lab.outcomes(), [if code == 0 { "succeeded" } else { "failed" }], "{point}");
    lab.sound();
}

fn kill_at(points: Vec<(String, usize)>) {
    let next = std::sync::Mutex::new(points.into_iter());
    // Two at a time: each mostly waits for the disk.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((call, number)) = next.lock().unwrap().next() else { return };
                    let point = format!("{call} {number}");
                    let lab = Lab::new();
                    lab.book(BOOK);
                    let inject = format!("inject={call}:signal=KILL:when={number}");
                    let ended = finish(lab.traced(&["-e", &inject], &["run", "./book.yaml", "--yes", "--json"]));
                    // Of the calls whose number changes from run to run the last may not come.
                    assert!(ended.signal == Some(9) || ended.code == Some(0), "{point}: {ended:#?}");
                    if check_left(&lab, &ended.events(), &point) {
                        let code = converge(&lab, &point);
                        check_end(&lab, &point, code);
                    }
                }
            });
        }
    });
}

fn points(lab: &Lab, args: &[&str], most: &[(&str, usize)]) -> Vec<(String, usize)> {
    let counts = calls_of(args, lab);
    let mut points = Vec::new();
    for (call, most) in most {
        let count = counts.get(*call).copied().unwrap_or(0);
        let chosen = sample(count, *most);
        println!("{call}: {} of {count} points: {chosen:?}", chosen.len());
        points.extend(chosen.into_iter().map(|number| ((*call).to_owned(), number)));
    }
    points
}

#[test]
fn a_run_killed_at_its_syncs_is_gone_on_with() {
    let lab = Lab::new();
    lab.book(BOOK);
    let most = [("fdatasync", 60), ("fsync", 20), ("rename", 4)];
    let points = points(&lab, &["run", "./book.yaml", "--yes", "--json"], &most);
    assert!(points.len() > 25, "{points:?}");
    kill_at(points);
}

#[test]
fn a_run_killed_at_its_writes_is_gone_on_with() {
    let lab = Lab::new();
    lab.book(BOOK);
    let most = [
        ("write", 32),
        ("pwrite64", 2),
        ("mkdir", 3),
        ("unlinkat", 2),
        ("ftruncate", 2),
        ("flock", 1),
        ("openat", 8),
        ("sendto", 10),
    ];
    let points = points(&lab, &["run", "./book.yaml", "--yes", "--json"], &most);
    assert!(points.len() > 25, "{points:?}");
    kill_at(points);
}

/// A resume is a run like any other: it may be killed as well.
#[test]
fn a_resume_killed_anywhere_is_gone_on_with() {
    let interrupted = || {
        let lab = Lab::new();
        lab.book(BOOK);
        // The second record of the first step is being written: nothing of it has happened.
        let inject = "inject=fdatasync:signal=KILL:when=12";
        let ended = finish(lab.traced(&["-e", inject], &["run", "./book.yaml", "--yes"]));
        assert_eq!(ended.signal, Some(9), "{ended:#?}");
        lab
    };
    let args = ["resume", "last", "--yes", "--json"];
    let most = [("fdatasync", 9), ("fsync", 4), ("rename", 3), ("write", 6)];
    let points = points(&interrupted(), &args, &most);
    assert!(points.len() > 15, "{points:?}");
    for (call, number) in points {
        let point = format!("resume at {call} {number}");
        let lab = interrupted();
        let inject = format!("inject={call}:signal=KILL:when={number}");
        finish(lab.traced(&["-e", &inject], &args));
        assert!(check_left(&lab, &[], &point), "{point}: the run is gone");
        let code = converge(&lab, &point);
        check_end(&lab, &point, code);
    }
}
