//! What ran is taken back by a person who has seen what that is: from the menu of a failure, after a no, at Ctrl-C, and by
//! its own verb.

use super::seat::Seat;
use crate::support::Bed;

const FAILS: &str = r#"
title: X
steps:
  - {id: a, shell: 'echo a >> ran', undo: {shell: 'echo undo a >> ran'}}
  - {id: plain, shell: 'echo plain >> ran'}
  - {id: b, shell: 'echo b >> ran; test -e may', undo: {shell: 'echo undo b >> ran'}}
"#;

fn end(bed: &Bed) -> (String, i64) {
    let last = bed.journal().pop().unwrap();
    (last["outcome"].as_str().unwrap().to_owned(), last["code"].as_i64().unwrap())
}

#[test]
fn after_a_failure_it_is_shown_and_left_and_done() {
    let bed = Bed::with(FAILS);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("✘ b failed").sees("[u] undo").answers("press", "u");
    // It may have done half, and only a person knows.
    seat.sees("echo undo b >> ran").sees("[u] undo-it").answers("press", "l");
    seat.sees("1. a").sees("echo undo a >> ran").sees("stays: plain").sees("[b] back").answers("press", "b");
    // Nothing was done, and the step can be repeated after all.
    seat.sees("failed b").answers("press", "u").answers("press", "u");
    seat.sees("1. b").sees("2. a").answers("press", "g").sees("↶ a undone").sees("↶ undone");
    seat.ends(6);
    assert_eq!(bed.read("ran"), "a\nplain\nb\nundo b\nundo a\n");
    assert_eq!(end(&bed), ("undone".to_owned(), 6));
}

#[test]
fn step_by_step_it_can_be_left_out_and_ended() {
    let bed = Bed::with(FAILS);
    bed.write("may", "");
    bed.run(&["run", "./x.yaml"]).end().code(0);
    let mut seat = Seat::take(&bed, &["undo", "last"]);
    seat.sees("1. b").sees("2. a").answers("press", "s").sees("next b@undo").answers("press", "s");
    seat.answers("reason:", "still wanted\r").sees("next a@undo").answers("press", "q").sees("the undo failed");
    seat.ends(12);
    assert_eq!(bed.read("ran"), "a\nplain\nb\n");
    let mut seat = Seat::take(&bed, &["undo", "last"]);
    seat.sees("1. b").answers("press", "q").sees("nothing was undone");
    seat.ends(5);
    assert_eq!(end(&bed), ("undo_failed".to_owned(), 12));
    let mut seat = Seat::take(&bed, &["undo", "last"]);
    seat.answers("press", "g").sees("↶ a undone");
    seat.ends(6);
    assert_eq!(bed.read("ran"), "a\nplain\nb\nundo b\nundo a\n");
}

#[test]
fn after_a_no_it_is_offered_and_never_begun() {
    let runbook =
        "title: X\nsteps:\n  - {id: a, shell: touch a, undo: {shell: rm a}}\n  - {id: sure, confirm: Go on?}\n";
    for (key, code, there) in [("q", 5, true), ("g", 6, false)] {
        let bed = Bed::with(runbook);
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
        seat.answers("yes or no:", "no\r").sees("1. a").sees("rm a").answers("press", key);
        seat.ends(code);
        assert_eq!(bed.exists("a"), there);
    }
}

#[test]
fn at_ctrl_c_the_step_ends_first() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: a, shell: 'echo ready; read -r line < gate; touch a', undo: {shell: rm a}}\n  - {id: b, shell: touch b}\n",
    );
    bed.call("mkfifo", &["gate"]).end().code(0);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("ready").types("\x03").sees("[u] undo").answers("press", "u");
    seat.sees("undo by");
    bed.call("sh", &["-c", "echo go > gate"]).end().code(0);
    seat.sees("✔ a").sees("1. a").answers("press", "g").sees("↶ a undone");
    seat.ends(6);
    assert!(!bed.exists("a") && !bed.exists("b"));
}
