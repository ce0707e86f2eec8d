//! The runbook's file has changed since: the frozen bytes run, or a person sees the difference and takes the file.

use super::{answers, outcome, records, sound};
use crate::{support::Bed, terminal::seat::Seat};

const BOOK: &str = r#"
title: A small release
params: {version: {type: string, default: v1}}
steps:
  - {id: one, shell: echo one >> ran}
  - {id: sure, confirm: Go on?}
  - id: three
    timeout: 5m
    shell: |
      echo three
      echo "three $version" >> ran
  - {id: four, shell: echo four >> ran}
finally:
  - {id: tidy, shell: echo tidy >> tidied}
"#;

/// `three` is another, `four` is gone, `five` is new, and `one`, which is over, is another as well.
const LATER: &str = r#"
title: A small release
params:
  version: {type: string, default: v2}
  place: {type: string, default: staging}
steps:
  - {id: one, shell: echo uno >> ran}
  - {id: sure, confirm: Go on?}
  - {id: five, effect: destroy, shell: echo "five $place" >> ran}
  - id: three
    timeout: 30m
    shell: |
      echo three
      echo "THREE $version" >> ran
finally:
  - {id: tidy, shell: echo tidy >> tidied}
"#;

/// A run that waits at its gate, with its file changed since.
fn paused(later: &str) -> Bed {
    let bed = Bed::with(BOOK);
    bed.run(&["run", "./x.yaml"]).end().code(11);
    assert_eq!(bed.read("ran"), "one\n");
    bed.write("x.yaml", later);
    bed
}

#[test]
fn with_nobody_there_the_frozen_bytes_run_and_it_is_said() {
    let bed = paused(LATER);
    bed.run(&["resume", "last", "--yes"]).end().code(0).stderr_has("x.yaml has changed since").stderr_has("began with");
    assert_eq!(bed.read("ran"), "one\nthree v1\nfour\n");
    assert_eq!(records(&bed, "plan_replaced").len(), 0);
    sound(&bed);
    let bed = paused(LATER);
    std::fs::remove_file(bed.path("x.yaml")).unwrap();
    bed.run(&["resume", "last", "--yes"]).end().code(0).stderr_has("x.yaml is gone");
    assert_eq!(bed.read("ran"), "one\nthree v1\nfour\n");
}

#[test]
fn the_difference_is_shown_by_id_and_the_file_taken() {
    let bed = paused(LATER);
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("has changed since this run took it")
        .sees("steps added: five")
        .sees("changed: one, three")
        .sees("removed: four");
    // What has not been seen cannot be taken.
    seat.answers("press g, d, p", "t").sees("none of the choices").answers("press", "d");
    seat.sees("parameter version is changed")
        .sees("- ")
        .sees("default: v1")
        .sees("+ ")
        .sees("default: v2")
        .sees("parameter place is added")
        .sees("step one is changed — it is over (succeeded): this has no effect")
        .sees("step five is added — it will run")
        .sees("effect: destroy")
        .sees("step three is changed — it was not begun, and will run like this")
        .sees("needs: sure → sure, five")
        .sees("timeout: 5m → 30m")
        .sees("-   echo \"three $version\" >> ran")
        .sees("+   echo \"THREE $version\" >> ran")
        .sees("step four is removed — it was not begun, and will not run");
    seat.answers("press g, t, p", "t").answers("reason:", "\r").sees("needs a reason").answers("reason:", "a fix\r");
    seat.sees("follows the runbook as it is now").answers("yes or no:", "yes\r");
    seat.ends(0);
    // A value of the run stays, whatever the default is now.
    assert_eq!(bed.read("ran"), "one\nfive staging\nTHREE v1\n");
    assert_eq!(bed.read("tidied"), "tidy\n");
    assert_eq!(answers(&bed), ["difference", "take because a fix", "yes"]);
    let replaced = records(&bed, "plan_replaced");
    assert_eq!(replaced.len(), 1);
    assert_eq!((&replaced[0]["number"], &replaced[0]["cause"]), (&2.into(), &"runbook".into()));
    assert_eq!((&replaced[0]["by"], &replaced[0]["reason"]), (&"tester".into(), &"a fix".into()));
    assert_eq!(replaced[0]["params"]["place"], "staging");
    let run = &bed.runs()[0];
    assert_eq!(std::fs::read_to_string(run.join("runbook@2/x.yaml")).unwrap(), LATER);
    assert_eq!(std::fs::read_to_string(run.join("runbook/x.yaml")).unwrap(), BOOK, "the first ones stay");
    sound(&bed);
    // Both are bound: a change to either is found.
    for name in ["runbook@2/x.yaml", "plan@2.json", "runbook/x.yaml", "plan.json"] {
        let path = run.join(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&before[..], b"\n"].concat()).unwrap();
        bed.run(&["verify", "last"]).end().code(10).stdout_has(name);
        std::fs::remove_file(&path).unwrap();
        bed.run(&["verify", "last"]).end().code(10).stdout_has(name);
        std::fs::write(&path, &before).unwrap();
    }
    std::fs::write(run.join("runbook@2/other.yaml"), "").unwrap();
    bed.run(&["verify", "last"]).end().code(10).stdout_has("other.yaml");
    let report = bed.run(&["report", "last"]).end().code(0).stdout;
    assert!(report.contains("follows the runbook as it was by then") && report.contains("a fix"), "{report}");
}

#[test]
fn what_was_taken_is_what_later_sessions_follow() {
    let bed = paused(LATER);
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("press", "d").sees("step one").answers("press", "t").answers("reason:", "a fix\r");
    seat.sees("Go on?").answers("yes or no:", "\x03");
    seat.ends(11);
    // As it was taken: nothing is asked and nothing is said.
    bed.run(&["resume", "last"]).end().code(11).stderr_lacks("changed");
    // Changed once more, and not taken: what was accepted last runs.
    bed.write("x.yaml", &LATER.replace("THREE", "3"));
    bed.run(&["resume", "last"]).end().code(11).stderr_has("what was accepted last");
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("changed: three").answers("press", "d").sees("THREE").answers("press", "t").answers("reason:", "again\r");
    seat.answers("yes or no:", "no\r");
    seat.ends(5);
    let numbers: Vec<_> = records(&bed, "plan_replaced").into_iter().map(|record| record["number"].clone()).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(bed.read("tidied"), "tidy\n");
    sound(&bed);
}

#[test]
fn going_on_and_pausing_are_on_record() {
    let bed = paused(LATER);
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("has changed").answers("press", "p");
    seat.ends(11);
    assert_eq!(outcome(&bed), "paused");
    assert_eq!(answers(&bed), ["pause"]);
    for keys in ["\x03", "\x04"] {
        let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
        seat.sees("has changed").answers("press", keys);
        seat.ends(11);
    }
    assert_eq!(answers(&bed), ["pause"], "no answer is no answer");
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("has changed").answers("press", "g").answers("yes or no:", "yes\r");
    seat.ends(0);
    assert_eq!(answers(&bed), ["pause", "go-on", "yes"]);
    assert_eq!(bed.read("ran"), "one\nthree v1\nfour\n");
    sound(&bed);
}

#[test]
fn layout_and_comments_are_no_difference() {
    let bed = paused(
        &BOOK.replace("  - {id: one, shell: echo one >> ran}", "  # first\n  - id: one\n    shell: 'echo one >> ran'"),
    );
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("in comments or layout only").answers("yes or no:", "yes\r");
    seat.ends(0);
    assert_eq!(answers(&bed), ["yes"]);
}

#[test]
fn what_cannot_take_over_says_why() {
    let values = LATER.replace("shell: echo uno >> ran}", "shell: echo uno >> ran, capture: {said: result.stdout}}");
    for (later, why) in [
        (LATER.replace("id: one", "id: uno"), "step one is over and is not in the file any more"),
        (LATER.replace("shell: echo uno", "shel: echo uno"), "unknown field `shel`"),
        (LATER.replace("title: A small", "title: [A small"), "line 2"),
        (LATER.replace("id: five", "id: three"), "`three`"),
        (
            LATER.replace("type: string, default: v2", "type: integer, default: 2"),
            "parameter `version` is v1 in this run",
        ),
        (values.replace("five $place", "five $said"), "step five uses `said`, which step one would give"),
    ] {
        let bed = paused(&later);
        let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
        seat.sees("has changed").sees("cannot take the place").sees(why);
        seat.answers("press", "t").sees("none of the choices").answers("press", "g").answers("yes or no:", "yes\r");
        seat.ends(0);
        assert_eq!(bed.read("ran"), "one\nthree v1\nfour\n", "{why}");
        assert!(records(&bed, "plan_replaced").is_empty());
    }
}

/// A step that failed may be mended; one whose end nobody knows must stay what it was.
#[test]
fn steps_that_are_open_keep_their_kind() {
    let book = "title: X\nsteps:\n  - {id: a, shell: 'echo a >> ran; kill -9 $$'}\n  - {id: b, shell: echo b >> ran}\n";
    let bed = Bed::with(book);
    bed.run(&["run", "./x.yaml"]).end().code(7);
    bed.write("x.yaml", &book.replace("shell: 'echo a >> ran; kill -9 $$'", "set: {x: 1}"));
    let mut seat = Seat::take(&bed, &["resume", "last"]);
    seat.sees("nobody knows how step a ended, and it is a `set` step now").answers("press", "p");
    seat.ends(11);
    bed.write("x.yaml", &book.replace("; kill -9 $$", ""));
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("press", "d").sees("decided first").answers("press", "t").answers("reason:", "it kills itself\r");
    seat.sees("outcome unknown a").answers("press", "r").answers("reason:", "not there\r");
    seat.ends(0);
    assert_eq!(bed.read("ran"), "a\na\nb\n");
    sound(&bed);
    // A step that failed.
    let book = "title: X\nsteps:\n  - {id: a, shell: exit 3}\n  - {id: b, shell: echo b >> ran}\n";
    let bed = Bed::with(book);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("failed a").answers("press", "p");
    seat.ends(11);
    bed.write("x.yaml", &book.replace("exit 3", "echo a >> ran"));
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("press", "d")
        .sees("it has failed; if it runs again")
        .answers("press", "t")
        .answers("reason:", "mended\r");
    seat.sees("failed a").answers("press", "r");
    seat.ends(0);
    assert_eq!(bed.read("ran"), "a\nb\n");
    sound(&bed);
}

#[test]
fn a_new_parameter_is_asked_for_and_a_new_lock_is_taken() {
    let later = LATER
        .replace("default: staging", "prompt: Where to")
        .replace("title: A small release", "title: A small release\nlock: 'other-{{ version }}'");
    let bed = paused(&later);
    bed.write("y.yaml", "title: Y\nlock: other-v1\nsteps:\n  - {id: ask, confirm: Go on?}\n");
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("press", "d").sees("lock of the runbook is changed").answers("press", "t").answers("reason:", "new\r");
    seat.answers("Where to", "production\r").sees("Go on?").answers("yes or no:", "\x03");
    seat.ends(11);
    bed.run(&["run", "./y.yaml"]).end().code(8).stderr_has("other-v1");
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "one\nfive production\nTHREE v1\n");
    bed.run(&["run", "./y.yaml", "--yes"]).end().code(0);
}

/// Killed between the files and their record: nobody goes by them, and the next taking writes over them.
#[test]
fn files_that_no_record_names_are_nobodys() {
    let bed = paused(LATER);
    let run = bed.runs().remove(0);
    std::fs::create_dir(run.join("runbook@2")).unwrap();
    std::fs::write(run.join("runbook@2/x.yaml"), "rubbish").unwrap();
    std::fs::write(run.join("plan@2.json"), "rubbish").unwrap();
    bed.run(&["verify", "last"]).end().code(0).stdout_has("plan@2.json: no record tells of it");
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("press", "d").sees("step one").answers("press", "t").answers("reason:", "a fix\r");
    seat.answers("yes or no:", "yes\r");
    seat.ends(0);
    assert_eq!(std::fs::read_to_string(run.join("runbook@2/x.yaml")).unwrap(), LATER);
    sound(&bed);
}

#[test]
fn steps_that_would_never_run_are_refused() {
    // It fails at the very end, and is left there by a kill of the terminal.
    let book = "title: X\nsteps:\n  - {id: a, shell: echo a >> ran}\nfinally:\n  - {id: tidy, manual: Unplug it.}\n";
    let bed = Bed::with(book);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Unplug it.").answers("press", "\x03");
    seat.ends(11);
    bed.write("x.yaml", &book.replace("finally:", "  - {id: b, shell: echo b >> ran}\nfinally:"));
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("step b would never run").answers("press", "p");
    seat.ends(11);
}
