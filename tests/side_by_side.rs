//! Steps that do not wait for each other: what runs beside what, and what the end of one means for the others.

mod decisions;

use serde_json::Value as Json;

use crate::{
    lab::{Gate, Lab, processes_of, until},
    support::Bed,
    terminal::Seat,
};

/// Three independent steps, each of which waits at a gate of its own, and one after all of them.
const THREE: &str = r#"
title: Three at once
steps:
  - id: a
    needs: []
    shell: |
      echo "a begins" >> "$HOME/marks"
      read -r word < "$HOME/a.gate"
      echo "a says $word"
      echo "a ends" >> "$HOME/marks"
  - id: b
    needs: []
    shell: |
      echo "b begins" >> "$HOME/marks"
      read -r word < "$HOME/b.gate"
      echo "b says $word"
      echo "b ends" >> "$HOME/marks"
  - id: c
    needs: []
    shell: |
      echo "c begins" >> "$HOME/marks"
      read -r word < "$HOME/c.gate"
      echo "c says $word"
      echo "c ends" >> "$HOME/marks"
  - id: after
    needs: [a, b, c]
    shell: echo after >> "$HOME/marks"
finally:
  - id: tidy
    shell: echo tidy >> "$HOME/marks"
"#;

fn three(book: &str) -> (Lab, [Gate; 3]) {
    let lab = Lab::new();
    lab.book(book);
    let gates = ["a.gate", "b.gate", "c.gate"].map(|name| lab.gate(name));
    (lab, gates)
}

fn records<'j>(journal: &'j [Json], event: &str) -> Vec<&'j str> {
    journal.iter().filter(|record| record["event"] == event).filter_map(|record| record["step"].as_str()).collect()
}

#[test]
fn what_waits_for_nothing_starts_together() {
    let (lab, [a, b, c]) = three(THREE);
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    // All three are at their gates at the same time, and are let through from behind.
    let (a, b, c) = (a.reached(), b.reached(), c.reached());
    c.pass();
    lab.until_record("the end of c", |record| record["event"] == "step_finished" && record["step"] == "c");
    b.pass();
    lab.until_record("the end of b", |record| record["event"] == "step_finished" && record["step"] == "b");
    assert!(!lab.marks("marks").contains(&"after".to_owned()));
    a.pass();
    let ended = run.end().expect(0);
    let journal = lab.journal();
    assert_eq!(records(&journal, "step_started"), ["a", "b", "c", "after", "tidy"]);
    assert_eq!(records(&journal, "step_finished"), ["c", "b", "a", "after", "tidy"]);
    // Each says what it says in its own name, and into a log of its own.
    for step in ["a", "b"] {
        assert!(ended.err.contains(&format!("  {step} │ {step} says go")), "{ended:#?}");
    }
    for step in ["a", "b", "c"] {
        assert_eq!(lab.read_run(&format!("out/{step}.1.log")), format!("{step} says go\n"));
    }
    lab.sound();
}

#[test]
fn no_more_run_at_once_than_may() {
    for (jobs, together) in [("1", 1), ("2", 2)] {
        let (lab, gates) = three(THREE);
        let run = lab.start(&["run", "./book.yaml", "--yes", "--jobs", jobs]);
        let mut open: Vec<_> = gates[..together].iter().map(Gate::reached).collect();
        assert_eq!(lab.marks("marks").len(), together, "{jobs}");
        for gate in &gates[together..] {
            open.remove(0).pass();
            open.push(gate.reached());
        }
        open.into_iter().for_each(crate::lab::Open::pass);
        run.end().expect(0);
        let journal = lab.journal();
        let (mut running, mut most) = (0, 0);
        for record in &journal {
            match record["event"].as_str() {
                Some("step_started") => running += 1,
                Some("step_finished") => running -= 1,
                _ => {}
            }
            most = most.max(running);
        }
        assert_eq!(most, together, "{jobs}");
    }
    let lab = Lab::new();
    lab.book(THREE);
    for jobs in ["0", "-1", "many", "70000"] {
        lab.call(&["run", "./book.yaml", "--jobs", jobs]).expect(2);
    }
}

/// Whatever ends the run, the steps that run are seen to their end, and that is on record.
#[test]
fn a_failure_stops_what_is_new_and_not_what_runs() {
    let (lab, [a, b, c]) = three(&THREE.replace("echo \"a ends\"", "exit 3; echo \"a ends\""));
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let (a, b, c) = (a.reached(), b.reached(), c.reached());
    a.pass();
    lab.until_record("the end of a", |record| record["event"] == "step_finished" && record["step"] == "a");
    b.pass();
    c.pass();
    let ended = run.end().expect(1);
    assert!(ended.err.contains("failed: a"), "{ended:#?}");
    let marks = lab.marks("marks");
    assert!(marks.contains(&"b ends".into()) && marks.contains(&"c ends".into()), "{marks:?}");
    assert!(!marks.contains(&"after".into()) && marks.contains(&"tidy".into()), "{marks:?}");
    assert_eq!(lab.outcomes(), ["failed"]);
    lab.sound();
}

#[test]
fn killed_with_three_running_it_goes_on_with_three() {
    let (lab, [a, b, c]) = three(THREE);
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let (a, b, c) = (a.reached(), b.reached(), c.reached());
    assert_eq!(run.kill().signal, Some(9));
    a.pass();
    b.pass();
    let ended = |step: &str| lab.run_dir().join(format!("steps/{step}.1.exit"));
    until("two records of supervisors", || ended("a").exists() && ended("b").exists());
    // One of the three still runs: nothing new starts before it is over.
    let resume = lab.start(&["resume", "last", "--yes"]);
    lab.until_record("the wait", |record| record["event"] == "question_answered" && record["answer"] == "wait");
    assert!(!lab.marks("marks").contains(&"after".into()));
    c.pass();
    resume.end().expect(0);
    let marks = lab.marks("marks");
    assert_eq!(marks.len(), 8, "{marks:?}");
    assert_eq!(marks[6..], ["after", "tidy"]);
    assert_eq!(records(&lab.journal(), "step_started").len(), 5);
    lab.sound();
}

/// Where nobody is there, the first Ctrl-C is INT to all of them.
#[test]
fn an_interrupt_from_elsewhere_reaches_all() {
    let (lab, [a, b, c]) = three(THREE);
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let _open = (a.reached(), b.reached(), c.reached());
    run.signal(libc::SIGINT);
    run.end().expect(7);
    assert_eq!(lab.marks("marks").len(), 3);
    let journal = lab.journal();
    let ended: Vec<_> = journal.iter().filter(|record| record["event"] == "step_finished").collect();
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|record| record["status"] == "unknown" && record["interrupted"] == true), "{ended:#?}");
    assert!(processes_of(lab.home()).is_empty());
    assert_eq!(lab.outcomes(), ["unknown"]);
    lab.sound();
}

/// After TERM what changes something may end by itself; what only looks is cut short and looked at again.
#[test]
fn told_to_end_it_cuts_what_only_looks() {
    let book = THREE
        .replace("  - id: b\n    needs: []", "  - id: b\n    effect: read\n    needs: []")
        .replace("  - id: c\n    needs: []\n    shell: |", "  - id: c\n    effect: read\n    needs: []\n    shell: |");
    let (lab, [a, b, c]) = three(&book);
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let (a, b, c) = (a.reached(), b.reached(), c.reached());
    run.signal(libc::SIGTERM);
    for step in ["b", "c"] {
        lab.until_record(step, |record| record["event"] == "step_finished" && record["step"] == step);
    }
    drop((b, c));
    a.pass();
    run.end().expect(11);
    assert!(lab.marks("marks").contains(&"a ends".into()));
    assert_eq!(lab.outcomes(), ["paused"]);
    let resume = lab.start(&["resume", "last", "--yes"]);
    let gates = [Gate::at(&lab.path("b.gate")), Gate::at(&lab.path("c.gate"))];
    let open: Vec<_> = gates.iter().map(Gate::reached).collect();
    open.into_iter().for_each(crate::lab::Open::pass);
    resume.end().expect(0);
    let marks = lab.marks("marks");
    assert_eq!(marks.iter().filter(|mark| *mark == "a begins").count(), 1);
    assert_eq!(marks.iter().filter(|mark| *mark == "b begins").count(), 2);
    lab.sound();
}

/// A no ends the run; what ran beside it ends by itself, and if nobody knows how, the run is not over.
#[test]
fn a_no_does_not_hide_an_open_end() {
    let book = r#"
title: A no beside a change
steps:
  - id: change
    needs: []
    shell: |
      read -r how < "$HOME/gate"
      echo changed >> "$HOME/marks"
      if test "$how" != go; then kill -9 $$; fi
  - id: sure
    needs: []
    confirm: Really?
  - id: after
    needs: [change, sure]
    shell: echo after >> "$HOME/marks"
"#;
    for known in [true, false] {
        let lab = Lab::new();
        lab.book(book);
        let gate = lab.gate("gate");
        let answers = lab.file("answers.yaml", "sure: \"no\"\n");
        let run = lab.start(&["run", "./book.yaml", "--answers", &answers]);
        let open = gate.reached();
        lab.until_record("the no", |record| record["event"] == "question_answered" && record["answer"] == "no");
        if known {
            open.pass()
        } else {
            open.pass_with("no\n")
        }
        if known {
            run.end().expect(5);
            assert_eq!(lab.outcomes(), ["declined"]);
        } else {
            let ended = run.end().expect(7);
            assert!(ended.err.contains("change"), "{ended:#?}");
            assert_eq!(lab.outcomes(), ["unknown"]);
            // It is declined all the same, once somebody has said what became of it.
            lab.call(&["resume", "last", "--yes"]).expect(7);
            let decided = ["resume", "last", "--yes", "--step", "change", "--as", "done", "--reason", "it is there"];
            lab.call(&decided).expect(5);
            assert_eq!(lab.outcomes(), ["declined"]);
        }
        assert_eq!(lab.marks("marks"), ["changed"]);
        lab.sound();
    }
}

/// A person at a terminal, two steps that wait for files, and one that asks.
const ASKING: &str = r#"
title: Asking
steps:
  - id: long
    needs: []
    shell: |
      echo "long begins"
      until test -e go-long; do sleep 0.02; done
      echo "long goes on"
      touch long-said
      until test -e end-long; do sleep 0.02; done
      echo long >> ran
  - id: other
    needs: []
    shell: |
      echo "other begins"
      until test -e end-other; do sleep 0.02; done
      echo other >> ran
  - {id: sure, needs: [other], confirm: Really?}
  - {id: free, needs: [sure], shell: echo free >> ran}
  - {id: last, needs: [long], shell: echo last >> ran}
"#;

/// While a question is open, steps go on and none starts; what they say is shown after.
#[test]
fn a_question_holds_what_is_new() {
    let bed = Bed::with(ASKING);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("long begins");
    bed.write("end-other", "");
    seat.sees("Really?");
    bed.write("go-long", "");
    until("what the step says meanwhile", || bed.exists("long-said"));
    bed.write("end-long", "");
    until("its end", || bed.journal().iter().any(|r| r["event"] == "step_finished" && r["step"] == "long"));
    // It is over, what follows it is ready, and the question stands.
    assert_eq!(records(&bed.journal(), "step_started"), ["long", "other", "sure"]);
    seat.answers("yes or no", "y\r").sees("long goes on").sees("✔ long").sees("✔ last");
    seat.ends(0);
    assert!(bed.exists("ran"));
}

/// Ctrl-C while several run: one of them can be ended alone.
#[test]
fn one_of_several_is_interrupted() {
    let bed = Bed::with(ASKING);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees(" begins").sees(" begins");
    seat.types("\x03").sees("2 steps go on until you decide: long, other");
    seat.sees("[1] interrupt long").sees("[2] interrupt other");
    seat.answers("press", "1").sees("Nobody knows whether this step took effect").answers("press", "s");
    seat.answers("reason:", "not wanted\r").sees("skipped by the operator");
    bed.write("end-other", "");
    seat.answers("yes or no", "y\r");
    seat.ends(0);
    let ran = bed.read("ran");
    let mut ran: Vec<&str> = ran.lines().collect();
    // The last two wait for nothing of each other.
    ran[1..].sort_unstable();
    assert_eq!(ran, ["other", "free", "last"]);
}

/// Questions of two steps that fail at the same time are asked one after the other.
#[test]
fn questions_wait_for_their_turn() {
    let bed = Bed::with(
        "title: Two fail\nsteps:\n  - {id: a, needs: [], shell: exit 3}\n  - {id: b, needs: [], shell: exit 4}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    for _ in 0..2 {
        seat.sees("Failed: it exited with").answers("press", "s").answers("reason:", "known\r");
    }
    seat.ends(0);
    let journal = bed.journal();
    let order: Vec<_> =
        journal.iter().filter_map(|r| r["event"].as_str()).filter(|e| e.starts_with("question")).collect();
    assert_eq!(order, ["question_asked", "question_answered", "question_asked", "question_answered"]);
}

/// Ctrl-C at a question says that nothing goes on; what runs beside it is a question of its own.
#[test]
fn an_interrupt_at_a_question_asks_about_what_runs() {
    let bed = Bed::with(ASKING);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("long begins");
    bed.write("end-other", "");
    seat.sees("yes or no").types("\x03").sees("long goes on until you decide").answers("press", "f");
    bed.write("go-long", "");
    bed.write("end-long", "");
    seat.sees("✔ long");
    seat.ends(11);
    assert_eq!(bed.read("ran"), "other\nlong\n");
    let journal = bed.journal();
    let answers: Vec<_> = journal.iter().filter_map(|record| record["answer"].as_str()).collect();
    assert_eq!(answers, ["closed", "finish"]);
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran").lines().filter(|line| *line == "long").count(), 1);
}

/// The second Ctrl-C is INT to all, the third KILL, whatever they make of it.
#[test]
fn insisting_ends_everything() {
    let bed = Bed::with(
        r#"
title: Deaf
steps:
  - id: a
    needs: []
    shell: |
      trap '' INT TERM
      touch a-deaf
      until test -e never; do sleep 0.02; done
  - id: b
    needs: []
    shell: |
      trap 'touch b-told' INT TERM
      touch b-deaf
      until test -e never; do sleep 0.02; done
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    until("both", || bed.exists("a-deaf") && bed.exists("b-deaf"));
    seat.types("\x03").sees("2 steps go on until you decide").sees("press");
    seat.types("\x03").sees("Ctrl-C again");
    until("the signal", || bed.exists("b-told"));
    seat.types("\x03").sees(" unknown: it was").sees(" unknown: it was");
    seat.ends(11);
    let unknown = bed.journal().into_iter().filter(|record| record["status"] == "unknown").count();
    assert_eq!(unknown, 2);
    assert!(processes_of(bed.root()).is_empty());
}

/// Told to end at a question, what runs beside it has its grace, and nobody is asked anything.
#[test]
fn told_to_end_at_a_question() {
    let bed = Bed::with(ASKING);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("long begins");
    bed.write("end-other", "");
    seat.sees("yes or no").signals(libc::SIGTERM);
    bed.write("go-long", "");
    bed.write("end-long", "");
    seat.ends(11);
    assert_eq!(bed.read("ran"), "other\nlong\n");
}

const TALK: &str = r#"
title: A talk
steps:
  - id: talk
    needs: []
    shell:
      tty: true
      script: |
        echo "talk begins"
        touch talking
        read -r word
        echo "heard $word"
        echo "$word" >> ran
  - id: beside
    needs: []
    shell: |
      until test -e talking; do sleep 0.02; done
      echo "beside speaks"
      touch spoken
  - {id: last, needs: [beside], shell: echo last >> ran}
"#;

/// A step that asks for the terminal has it to itself: what runs beside it is heard later, and nothing starts.
#[test]
fn a_step_has_the_terminal_to_itself() {
    let bed = Bed::with(TALK);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("talk begins");
    until("the end of the other", || {
        bed.journal().iter().any(|record| record["event"] == "step_finished" && record["step"] == "beside")
    });
    seat.types("hello\r").sees("heard hello").sees("beside speaks").sees("✔ last");
    let said = seat.ends(0);
    assert!(said.find("heard hello") < said.find("beside speaks"), "{said}");
    assert_eq!(bed.read("ran"), "hello\nlast\n");
}

/// It says when it has its terminal again.
const DRAWING: &str = r#"
title: A drawing
steps:
  - id: talk
    shell:
      tty: true
      script: |
        python3 -u -c '
        import signal, sys
        signal.signal(signal.SIGWINCH, lambda *_: print("redrawn"))
        print("talk begins")
        word = sys.stdin.readline().strip()
        print("heard", word)'
"#;

/// Its Ctrl-C is its own; the escape key leads to the menu, and from there back.
#[test]
fn the_escape_key_of_a_step_with_the_terminal() {
    let bed = Bed::with(DRAWING);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("talk begins");
    seat.types("\x1d").sees("talk goes on until you decide").sees("[k] kill").answers("press", "g");
    seat.sees("talk has the terminal").sees("redrawn").types("again\r").sees("heard again");
    seat.ends(0);

    let bed = Bed::with(TALK);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("talk begins").types("\x1d").sees("until you decide").answers("press", "k");
    seat.sees("? talk unknown");
    seat.ends(11);
    assert!(processes_of(bed.root()).is_empty());
}
