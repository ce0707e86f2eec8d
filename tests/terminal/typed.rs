//! Values that are typed, and the choices after an alarm and before a gate opens, as a person sees them.

use super::{Seat, ends};
use crate::support::Bed;

const ASKS: &str = r#"
title: X
steps:
  - id: details
    ask:
      fields:
        ticket: {type: url, prompt: The ticket, help: Where it was agreed to.}
        count: {type: integer, max: 9, default: 3}
        pin: {type: secret}
  - {id: use, effect: read, shell: 'echo "$ticket $count"; echo "the pin is $pin"'}
"#;

#[test]
fn values_are_asked_for_until_they_will_do() {
    let bed = Bed::with(ASKS);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    seat.sees("── asked details").sees("ticket: an absolute http or https URL").sees("Esc for other ways");
    seat.sees("Where it was agreed to.")
        .answers("The ticket: ", "nowhere\r")
        .sees("`nowhere` is not an absolute http or https URL");
    seat.answers("The ticket: ", "https://t.example/1\r");
    seat.answers("count [3]: ", "10\r").sees("`10` is too large").answers("count [3]: ", "\r");
    seat.answers("pin (not shown): ", "short\r").sees("shorter than 8 bytes");
    seat.answers("pin (not shown): ", "hunter2hunter2\r").sees("https://t.example/1 3").sees("the pin is ***");
    let said = seat.ends(0);
    assert!(!said.contains("hunter2") && !said.contains("short\r") && !said.contains("pin (not shown): s"), "{said}");
    let answered = bed.journal().into_iter().find(|record| record["event"] == "question_answered").unwrap();
    assert_eq!(answered["values"].to_string(), r#"{"ticket":"https://t.example/1","count":3}"#);
}

#[test]
fn who_has_no_value_has_other_ways() {
    let bed = Bed::with(ASKS);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    seat.answers("The ticket: ", "https://t.example/1\r").answers("count [3]: ", "\x1b");
    seat.sees("[g] give").sees("[s] skip").sees("[p] pause").sees("[q] quit");
    // From the first one on.
    seat.answers("press", "g").answers("The ticket: ", "\x1b").answers("press", "p").sees("paused");
    seat.ends(11);
    let mut seat = Seat::take(&bed, &["resume", "last"]);
    seat.answers("The ticket: ", "\x1b").answers("press", "s").answers("reason: ", "there is none\r");
    // What was skipped has no values, and the script says which.
    seat.sees("use failed").answers("press", "q");
    seat.ends(5);
    assert_eq!(ends(&bed)[..2], ["details skipped: there is none", "use failed"]);
}

#[test]
fn after_an_alarm_there_is_more_time_or_it_is_taken_as_it_is() {
    let bed = Bed::with(
        r#"
title: X
steps:
  - id: canary
    watch:
      for: 1m
      interval: 100ms
      probes: {load: {shell: cat load, value: result.stdout|int, alarm_when: value > 5, unit: "%"}}
    capture: {load: result.probes.load.max}
  - {id: use, effect: read, shell: 'echo "it was $load"'}
"#,
    )
    .file("load", "9");
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    seat.sees("alarm: load is 9 %").sees("[e] extend").sees("[a] accept");
    seat.answers("press", "e").answers("How much longer (such as 10m): ", "soon\r");
    // Whoever thinks better of it comes back to the menu.
    seat.answers("How much longer (such as 10m): ", "\x1b").sees("alarm: load is 9 %");
    seat.answers("press", "e").answers("How much longer (such as 10m): ", "1s\r").sees("(attempt 2)");
    seat.sees("alarm: load is 9 %").answers("press", "a").answers("reason: ", "it is the deploy\r");
    seat.sees("accepted as it is: it is the deploy").sees("it was 9");
    seat.ends(0);
    assert_eq!(ends(&bed), ["canary failed", "canary failed", "canary succeeded", "use succeeded"]);
}

#[test]
fn a_gate_that_is_not_open_yet_takes_no_yes() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: sure, confirm: {message: Go on?, not_before: \"2999-01-01T00:00:00Z\"}}\n  - {id: b, shell: touch ran}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("cannot be answered with yes now: it opens at 2999-01-01 00:00:00 UTC").sees("[w] wait");
    seat.answers("wait, pause or no: ", "yes\r").sees("not now: it opens at 2999");
    seat.answers("wait, pause or no: ", "w\r").sees("⧖ sure").signals(2).sees("goes on until you decide");
    seat.answers("press", "i").sees("interrupted before 2999");
    seat.ends(11);
    let mut seat = Seat::take(&bed, &["resume", "last"]);
    seat.answers("wait, pause or no: ", "no\r").sees("declined");
    seat.ends(5);
    assert!(!bed.exists("ran"));
}
