//! Files that steps name have changed since the run began.

use super::{answers, outcome, records, sound};
use crate::{support::Bed, terminal::seat::Seat};

const BOOK: &str = r#"
title: A migration
steps:
  - {id: early, shell: sh tools/early.sh}
  - {id: sure, confirm: Go on?}
  - id: migrate
    shell: |
      ./migrate.sh
      cat list.txt >> ran
  - {id: call, shell: {exec: [sh, tools/late.sh]}}
  - {id: again, shell: ./migrate.sh}
"#;

fn paused() -> Bed {
    let bed = Bed::with(BOOK)
        .file("migrate.sh", "#!/bin/sh\necho migrate >> ran\n")
        .file("list.txt", "a list\n")
        .file("ran", "")
        .file("tools/early.sh", "echo early >> ran\n")
        .file("tools/late.sh", "echo late >> ran\n");
    bed.call("chmod", &["+x", "migrate.sh"]).end().code(0);
    bed.run(&["run", "./x.yaml"]).end().code(11);
    bed
}

#[test]
fn they_are_noted_at_the_start() {
    let bed = paused();
    let files = bed.journal()[0]["files"].clone();
    let names: Vec<&String> = files.as_object().unwrap().keys().collect();
    // `ran` is written to by the run itself.
    assert_eq!(names, ["list.txt", "migrate.sh", "tools/early.sh", "tools/late.sh"]);
    assert_eq!(files["migrate.sh"]["steps"], serde_json::json!(["migrate", "again"]));
    assert_eq!(files["list.txt"]["bytes"], 7);
    assert_eq!(files["list.txt"]["sha256"].as_str().unwrap().len(), 64);
    let plan = bed.run(&["plan", "./x.yaml"]).end().code(0).stdout_has("with the file migrate.sh");
    assert!(plan.stdout.contains("with the file tools/late.sh"));
    let plan = bed.run(&["plan", "./x.yaml", "--json"]).end().code(0).json();
    assert_eq!(plan["steps"][2]["files"], serde_json::json!(["migrate.sh", "list.txt"]));
    assert_eq!(plan["steps"][1]["files"], serde_json::json!([]));
}

#[test]
fn a_person_is_shown_which_and_decides() {
    let bed = paused();
    bed.write("migrate.sh", "#!/bin/sh\necho other >> ran\n");
    std::fs::remove_file(bed.path("tools/late.sh")).unwrap();
    // A step that is over wants nothing of it any more.
    bed.write("tools/early.sh", "echo changed\n");
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("migrate.sh: not as it was when the run began").sees("used by migrate, again").sees("was 30 bytes");
    seat.sees("is  28 bytes").sees("last written 20").answers("press g, p", "g").answers("reason:", "mended\r");
    seat.sees("tools/late.sh").sees("is gone").answers("press", "p");
    seat.ends(11);
    assert_eq!((outcome(&bed), bed.read("ran").as_str()), ("paused".into(), "early\n"));
    assert_eq!(answers(&bed), ["go-on because mended", "pause"]);
    // The whole of it was not accepted, so that both are asked about again.
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("migrate.sh").answers("press", "g").answers("reason:", "mended\r");
    seat.sees("tools/late.sh").answers("press", "g").answers("reason:", "I know\r");
    seat.answers("yes or no:", "\x03");
    seat.ends(11);
    let noted = records(&bed, "files_noted");
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0]["files"]["migrate.sh"]["bytes"], 28);
    // Once accepted, it is not asked about again, until it changes again.
    bed.run(&["resume", "last"]).end().code(11).stderr_lacks("not as it was");
    bed.write("tools/late.sh", "echo late >> ran\n");
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "early\nother\na list\nlate\nother\n");
    sound(&bed);
}

#[test]
fn with_nobody_there_it_is_seven_until_a_file_of_answers_says_more() {
    let bed = paused();
    bed.write("migrate.sh", "#!/bin/sh\necho other >> ran\n");
    for _ in 0..2 {
        bed.run(&["resume", "last", "--yes"])
            .end()
            .code(7)
            .stderr_has("migrate.sh: not as it was")
            .stderr_has("which has changed since the run began");
        assert_eq!((outcome(&bed), bed.read("ran").as_str()), ("unknown".into(), "early\n"));
        sound(&bed);
    }
    for (answer, code) in [("go-on", 7), ("{answer: take, reason: x}", 7), ("pause", 11)] {
        bed.write("answers.yaml", &format!("migrate: {answer}\n"));
        bed.run(&["resume", "last", "--yes", "--answers", "answers.yaml"]).end().code(code);
    }
    bed.write("answers.yaml", "migrate: {answer: go-on, reason: mended}\n");
    bed.run(&["resume", "last", "--yes", "--answers", "answers.yaml"]).end().code(0);
    assert_eq!(bed.read("ran"), "early\nother\na list\nlate\nother\n");
    assert_eq!(answers(&bed), ["pause", "go-on because mended", "yes"]);
    sound(&bed);
}

#[test]
fn who_wrote_it_is_told_where_a_step_may_have() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: make, shell: 'name=made; echo new > \"$name\"'}\n  - {id: sure, confirm: Go on?}\n  - {id: use, shell: grep -q new made}\n",
    )
    .file("made", "old");
    bed.run(&["run", "./x.yaml"]).end().code(11);
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("made: not as it was")
        .sees("while step make ran")
        .answers("press", "g")
        .answers("reason:", "as it should\r");
    seat.answers("yes or no:", "yes\r");
    seat.ends(0);
}

#[test]
fn secrets_pipes_folders_and_files_elsewhere_are_never_looked_into() {
    let bed = Bed::with(
        r#"
title: X
secrets: {token: {file: ./token}}
params: {where: {type: string, default: body.json}}
steps:
  - {id: sure, confirm: Go on?}
  - {id: a, shell: "cat ./token pipe folder /etc/hostname; : $token"}
  - {id: b, http: {method: POST, url: "http://127.0.0.1:9/", upload: "{{ where }}", ca_file: ./ca.pem}}
"#,
    )
    .file("token", "correct-horse")
    .file("folder/x", "")
    .file("body.json", "{}")
    .file("ca.pem", "");
    bed.call("mkfifo", &["pipe"]).end().code(0);
    bed.run(&["run", "./x.yaml"]).end().code(11);
    let files = bed.journal()[0]["files"].clone();
    let names: Vec<&String> = files.as_object().unwrap().keys().collect();
    assert_eq!(names, ["body.json", "ca.pem"]);
}
