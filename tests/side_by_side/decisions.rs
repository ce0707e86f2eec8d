//! What a person decides while other steps run: questions that are out of date, limits that have not begun, and choices
//! that do what they say.

use crate::{support::Bed, terminal::Seat};

/// The steps of a run that were started, and how a step ended last.
fn started(bed: &Bed) -> Vec<String> {
    let started = |record: &serde_json::Value| record["event"] == "step_started";
    bed.journal().iter().filter(|record| started(record)).filter_map(|r| Some(r["step"].as_str()?.to_owned())).collect()
}

/// A step failed while the operator was asked about another: that question is out of date, and nobody is asked the next.
#[test]
fn a_failure_takes_back_the_questions_of_what_has_not_begun() {
    let bed = Bed::with(
        r#"
title: A look fails beside the first question
steps:
  - id: look
    needs: []
    effect: read
    on_failure: stop
    shell: until test -e looked; do sleep 0.02; done; false
  - {id: a, needs: [], shell: echo a >> ran}
  - {id: b, needs: [], shell: echo b >> ran}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    // Whoever looks at the command of one step is asked about that step next.
    seat.sees("next a").answers("press", "c").sees("next a").sees("press");
    bed.write("looked", "");
    seat.sees("look did not succeed, so nothing new starts").sees("not run: a, b");
    seat.ends(1);
    assert!(!bed.exists("ran"));
    assert_eq!(started(&bed), ["look"]);
    let journal = bed.journal();
    assert_eq!(journal.iter().filter(|record| record["event"] == "question_asked").count(), 2);
    assert_eq!(journal.iter().filter(|record| record["event"] == "question_answered").count(), 2);
    bed.run(&["verify", "last"]).end().code(0);
}

/// What failed beside a question is decided before the next step is asked about, and "auto" is meant for all.
#[test]
fn a_failure_is_decided_before_the_next_step() {
    let bed = Bed::with(
        r#"
title: A look fails beside the first question
steps:
  - id: look
    needs: []
    effect: read
    shell: until test -e looked; do sleep 0.02; done; false
  - {id: a, needs: [], shell: echo a >> ran}
  - {id: b, needs: [], shell: echo b >> ran}
  - {id: c, needs: [], shell: echo c >> ran}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    seat.sees("next a").sees("press");
    bed.write("looked", "");
    let failed = |record: &serde_json::Value| record["event"] == "step_finished" && record["step"] == "look";
    crate::lab::until("the failure", || bed.journal().iter().any(failed));
    seat.types("r").sees("failed look").answers("press", "s").answers("reason:", "known\r");
    seat.sees("next b").answers("press", "a").sees("✔ c");
    seat.ends(0);
    let asked = |record: &&serde_json::Value| record["event"] == "question_asked";
    let journal = bed.journal();
    let steps: Vec<_> = journal.iter().filter(asked).filter_map(|record| record["step"].as_str()).collect();
    assert_eq!(steps, ["a", "look", "b"]);
}

/// Two steps failed: whoever looks at the output of one decides about that one.
#[test]
fn a_look_at_the_output_keeps_its_question() {
    let bed = Bed::with(
        "title: Two fail\nsteps:\n  - {id: a, needs: [], shell: exit 3}\n  - {id: b, needs: [], shell: exit 4}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    let mut asked = Vec::new();
    for _ in 0..2 {
        seat.answers("press", "o").answers("press", "s").answers("reason:", "known\r").sees("skip");
    }
    seat.ends(0);
    for record in bed.journal() {
        if record["event"] == "question_asked" {
            asked.push(record["step"].as_str().unwrap().to_owned());
        }
    }
    assert!(asked == ["a", "a", "b", "b"] || asked == ["b", "b", "a", "a"], "{asked:?}");
}

/// Nobody can be late with an answer to a question that was not put yet.
#[test]
fn a_limit_for_a_person_begins_with_the_question() {
    let bed = Bed::with(
        r#"
title: A person is asked after a step had the terminal
steps:
  - id: console
    needs: []
    shell: {script: "echo in the console; until test -e leave; do sleep 0.02; done", tty: true}
  - id: person
    needs: []
    manual: Look at it
    timeout: 1s
  - id: clock
    needs: []
    shell: sleep 1.5; touch late
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("in the console");
    crate::lab::until("longer than the person has", || bed.exists("late"));
    bed.write("leave", "");
    seat.sees("Look at it").sees("press");
    // Now nobody answers, and what is said of that begins on a line of its own.
    seat.sees("q: \n").sees("nobody answered person within 1s");
    seat.ends(11);
}

/// Whoever interrupts a question is not offered what cannot be: a run that goes on as if nothing had happened.
#[test]
fn after_an_interrupted_question_nothing_goes_on_as_before() {
    let bed = Bed::with(
        r#"
title: A question beside a step
steps:
  - {id: long, needs: [], shell: until test -e end-long; do sleep 0.02; done}
  - {id: person, needs: [], manual: Look at it}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Look at it").sees("press").types("\x03").sees("long goes on until you decide").sees("press f, i, k");
    seat.types("\x1b").sees("finish");
    bed.write("end-long", "");
    seat.sees("✔ long");
    seat.ends(11);
    let answers: Vec<_> = bed.journal().iter().filter_map(|r| Some(r["answer"].as_str()?.to_owned())).collect();
    assert_eq!(answers, ["closed", "finish"]);
}

/// After a no, what had no effect is said to have had none, and the run is over: it is not run again, nor asked about again.
#[test]
fn what_had_no_effect_is_not_run_again_after_a_no() {
    for idempotent in [false, true] {
        for by_flag in [false, true] {
            no_effect(idempotent, by_flag);
        }
    }
}

fn no_effect(idempotent: bool, by_flag: bool) {
    let bed = Bed::with(&format!(
        r#"
title: A no beside a change
steps:
  - id: change
    needs: []
    idempotent: {idempotent}
    shell: echo change >> ran; until test -e never; do sleep 0.02; done
  - {{id: person, needs: [], manual: Look at it}}
finally:
  - {{id: tidy, shell: echo tidy >> ran}}
"#
    ));
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Look at it");
    crate::lab::until("the change", || bed.exists("ran"));
    seat.answers("press", "q").sees("quit at person").types("\x03").sees("change goes on until you decide");
    seat.answers("press", "i");
    seat.ends(7);
    bed.run(&["resume", "last", "--yes"]).end().code(7);
    if by_flag {
        let flags = ["resume", "last", "--yes", "--step", "change", "--as", "not-done", "--reason", "it is not there"];
        bed.run(&flags).end().code(5);
    } else {
        let mut seat = Seat::take(&bed, &["resume", "last"]);
        seat.sees("Nobody knows whether").sees("[n] not-done").sees("is not run again");
        seat.answers("press", "n").answers("reason:", "it is not there\r");
        seat.ends(5);
    }
    assert_eq!(bed.read("ran"), "change\ntidy\n");
    let journal = bed.journal();
    assert_eq!(journal.last().unwrap()["outcome"], "declined");
    let end = journal.iter().rfind(|r| r["event"] == "step_finished" && r["step"] == "change").unwrap();
    assert_eq!((&end["status"], &end["no_effect"]), (&"failed".into(), &true.into()));
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["resume", "last"]).end().code(5);
}

/// A step that is over and runs again, because its secret is not on record, can be run or not; it is never left out.
#[test]
fn a_secret_is_made_again_in_step_mode() {
    let bed = Bed::with(
        r#"
title: Secrets that are not on record
steps:
  - id: made
    idempotent: true
    shell: echo made >> ran; echo "made-secret-$RANDOM"
    capture: {pw: {value: result.stdout, secret: true}}
  - id: typed
    shell: echo typed >> ran; echo "typed-secret-$RANDOM"
    capture: {pw2: {value: result.stdout, secret: true}}
  - {id: look, manual: Look at it}
  - {id: use, shell: 'test -n "$pw" && test "$pw2" = "long enough" && echo used >> ran'}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Look at it").answers("press", "p");
    seat.ends(11);
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "step"]);
    // What is shorter than anything that is captured is not it.
    seat.answers("(not shown)", "y\r").sees("shorter than 8 bytes").answers("(not shown)", "long enough\r");
    seat.sees("Look at it").answers("press", "d");
    seat.sees("next made").sees("It succeeded before").sees("press r, c, a, p, q");
    seat.types("s").sees("none of the choices").sees("press").types("r").sees("✔ made");
    seat.sees("next use").answers("press", "r");
    seat.ends(0);
    assert_eq!(bed.read("ran"), "made\ntyped\nmade\nused\n");
    bed.run(&["verify", "last"]).end().code(0);
}

/// A question that a quit closed is not open for ever in the record of a run that is over.
#[test]
fn a_closed_run_has_no_open_question() {
    let bed = Bed::with(
        r#"
title: A quit beside a question
steps:
  - {id: a, needs: [], manual: Look at this}
  - {id: b, needs: [], shell: exit 3, on_failure: ask}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Look at this").sees("press");
    let failed = |record: &serde_json::Value| record["event"] == "step_finished" && record["step"] == "b";
    crate::lab::until("the failure", || bed.journal().iter().any(failed));
    seat.types("q");
    seat.ends(5);
    let mut open = std::collections::BTreeSet::new();
    for record in bed.journal() {
        match record["event"].as_str() {
            Some("question_asked") => assert!(open.insert(record["question"].as_u64())),
            Some("question_answered") => assert!(open.remove(&record["question"].as_u64())),
            _ => {}
        }
    }
    assert_eq!(open.len(), 0);
}

/// What could be repeated is not repeated after a no: where its end is not known, the run is not over either.
#[test]
fn an_open_end_of_what_could_be_repeated_is_asked_about_after_a_no() {
    let bed = Bed::with(
        r#"
title: A no beside a change
steps:
  - id: change
    needs: []
    idempotent: true
    shell: echo change >> ran; until test -e die; do sleep 0.02; done; kill -9 $$
  - {id: person, needs: [], manual: Look at it}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Look at it");
    crate::lab::until("the change", || bed.exists("ran"));
    seat.answers("press", "q").sees("quit at person");
    seat.killed();
    bed.write("die", "");
    bed.run(&["resume", "last", "--yes"]).end().code(7);
    let flags = ["resume", "last", "--yes", "--step", "change", "--as", "not-done", "--reason", "it is not there"];
    bed.run(&flags).end().code(5);
    assert_eq!(bed.read("ran"), "change\n");
}
