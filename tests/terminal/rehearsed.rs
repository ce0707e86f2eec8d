//! `rehearse`: the person and the terminal are real, and nothing else is.

use super::Seat;
use crate::support::Bed;

const BOOK: &str = r#"
title: Promote a version
secrets:
  token: {env: TOKEN}
steps:
  - id: diff
    shell: git diff --exit-code
    effect: read
  - id: sure
    confirm: Is the channel quiet?
  - id: settle
    wait: 1h
  - id: trigger
    http: {method: POST, url: "https://ci.example/job", auth: {bearer: token}}
  - id: push
    shell: touch pushed; git push
"#;

const SCENARIOS: &str = r#"
scenarios:
  - name: all goes well
    answers: {sure: yes}
    secrets: {token: not-a-real-token}
    world:
      shell:
        - {step: diff, reply: {stdout: no difference}}
        - {step: push, reply: {stdout: "pushed with not-a-real-token"}}
      http: [{on: POST https://ci.example/job, reply: {status: 201}}]
    surprises:
      - {step: trigger, http: {status: 503}}
    expect: {outcome: succeeded, status: {push: succeeded}}
"#;

fn bed() -> Bed {
    Bed::with(BOOK).file("x.scenarios.yaml", SCENARIOS)
}

/// Nothing was run, and nothing is kept.
#[track_caller]
fn untouched(bed: &Bed) {
    assert!(!bed.exists("pushed"));
    let left: Vec<_> = std::fs::read_dir(bed.state()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_person_goes_through_it_and_nothing_is_done() {
    let bed = bed();
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--speed", "3600"]);
    seat.sees("REHEARSAL: nothing is run, sent or written").sees("scenario: all goes well").sees("3600 times as fast");
    seat.sees("no difference").sees("Is the channel quiet?").sees("a rehearsal: nothing is really done");
    seat.answers("yes or no:", "yes\r");
    // An hour is over in a second.
    seat.sees("settle").sees("next trigger").answers("press", "r");
    seat.sees("next push").answers("press", "d").answers("reason:", "at noon\r");
    let said = seat.ends(0);
    let report = said.split("END OF THE REHEARSAL").nth(1).unwrap();
    for part in [
        "x: all goes well",
        "by tester, in ",
        "own time 1h",
        "Asked, 3 questions:",
        "1. sure (confirm)  yes  after ",
        "     Is the channel quiet?",
        "2. trigger (before step)  run  after ",
        "3. push (before step)  done  after ",
        "     reason: at noon",
        "It ended succeeded (exit 0)",
        "  - push done_by_hand, there succeeded",
    ] {
        assert!(report.contains(part), "{part:?} in {report}");
    }
    assert!(!said.contains("not-a-real-token"), "{said}");
    untouched(&bed);
}

#[test]
fn who_declines_is_told_how_the_scenario_goes() {
    let bed = bed();
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml"]);
    seat.answers("yes or no:", "no\r");
    let said = seat.ends(5);
    for part in ["It ended declined (exit 5)", "- ended declined, there succeeded", "- push not_run, there succeeded"] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    untouched(&bed);
}

#[test]
fn a_pause_is_not_kept() {
    let bed = bed();
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--mode", "auto"]);
    seat.answers("yes or no:", "\x1b");
    let said = seat.ends(11);
    assert!(said.contains("it cannot be resumed, only begun anew"), "{said}");
    assert!(!said.contains("go on with"), "{said}");
    untouched(&bed);
}

#[test]
fn a_surprise_comes_where_the_scenario_lets_it() {
    let bed = bed();
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--surprise", "7", "--mode", "auto", "--speed", "3600"]);
    seat.sees("something may go wrong").answers("yes or no:", "yes\r");
    seat.sees("failed trigger").sees("503").answers("press", "r").sees("✔ push");
    let said = seat.ends(0);
    assert!(said.contains("The surprise: trigger, time 1, its request: status 503; it came."), "{said}");
    assert!(said.contains("2. trigger (failure)  retry  after "), "{said}");
    untouched(&bed);
    // Who does not get there never meets it.
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--surprise", "7"]);
    seat.answers("yes or no:", "no\r");
    let said = seat.ends(5);
    assert!(said.contains("it never came: the run did not get there"), "{said}");
}

#[test]
fn what_the_scenario_does_not_foresee_fails_and_asks() {
    let without = SCENARIOS.replace("        - {step: diff, reply: {stdout: no difference}}\n", "");
    let bed = Bed::with(BOOK).file("x.scenarios.yaml", &without);
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml"]);
    seat.sees("failed diff").sees("no rule of the scenario answers it").answers("press", "q");
    let said = seat.ends(5);
    assert!(said.contains("does not say what comes of the command of diff: git diff --exit-code"), "{said}");
    untouched(&bed);
}

#[test]
fn of_several_one_is_chosen_or_named() {
    let two = SCENARIOS.to_owned() + &SCENARIOS.replace("scenarios:\n", "").replace("all goes well", "second time");
    let bed = Bed::with(BOOK).file("x.scenarios.yaml", &two);
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--scenario", "second"]);
    seat.sees("scenario: second time").answers("yes or no:", "no\r");
    seat.ends(5);
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml"]);
    seat.sees("which scenario?").types("\x1b[B\r");
    seat.sees("scenario: second time").answers("yes or no:", "no\r");
    seat.ends(5);
    let seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--scenario", "o"]);
    assert!(seat.ends(2).contains("several scenarios hold `o`"));
    let seat = Seat::take(&bed, &["rehearse", "./x.yaml", "--scenario", "third"]);
    assert!(seat.ends(2).contains("there is no scenario `third`"));
}

#[test]
fn the_death_of_the_program_is_lived_through() {
    let dies = SCENARIOS.replace("    expect:", "    crash_after: diff\n    expect:");
    let bed = Bed::with(BOOK).file("x.scenarios.yaml", &dies);
    let mut seat = Seat::take(&bed, &["rehearse", "./x.yaml"]);
    seat.sees("The program dies here").sees("resumed by tester").answers("yes or no:", "no\r");
    seat.ends(5);
    untouched(&bed);
}

#[test]
fn without_a_terminal_or_a_surprise_it_is_refused() {
    let bed = bed();
    bed.run(&["rehearse", "./x.yaml"])
        .end()
        .code(2)
        .stderr_has("a rehearsal is for a person at a terminal")
        .stderr_has("runsheet test ./x.yaml");
    let bare = Bed::with(BOOK);
    bare.run(&["rehearse", "./x.yaml"]).end().code(2).stderr_has("x has no scenarios");
    let calm = SCENARIOS.replace("    surprises:\n      - {step: trigger, http: {status: 503}}\n", "");
    let bed = Bed::with(BOOK).file("x.scenarios.yaml", &calm);
    let said = Seat::take(&bed, &["rehearse", "./x.yaml", "--surprise", "1"]).ends(2);
    assert!(said.contains("names no surprises"), "{said}");
    // Its command is never run where the person of the scenario says no.
    let never = SCENARIOS.replace("answers: {sure: yes}", "answers: {sure: no}");
    let bed = Bed::with(BOOK).file("x.scenarios.yaml", &never);
    let said = Seat::take(&bed, &["rehearse", "./x.yaml", "--surprise", "1"]).ends(2);
    assert!(said.contains("no surprise can come"), "{said}");
}
