//! The table of what follows from what an interrupted run left, for scripts: each row with nobody there and with a person
//! at a terminal. What is shown before a question, what the answer does, what is on record, and the exit code.

use std::{cell::RefCell, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::{answers, outcome, records, sound};
use crate::{
    lab::{Gate, Open, processes_of, until},
    support::{Bed, Going},
    terminal::seat::Seat,
};

/// What is left of `deploy` when the run is gone on with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    /// Its supervisor and itself; it stands at its gate.
    Running,
    /// Its end, which the supervisor wrote down.
    Ended,
    /// Nothing, as after a power cut.
    Gone,
}

/// `$CODE` is how it ends.
fn book(fields: &str) -> String {
    format!(
        r#"
title: A gate
steps:
  - {{id: first, shell: echo first >> marks}}
  - id: deploy
    title: Deploy it
    {fields}
    shell: |
      echo begun >> begun
      echo said before
      read -r _ < gate
      echo deploy >> marks
      echo said after
      exit "$(cat "$HOME/code")"
  - {{id: last, shell: echo last >> marks}}
"#
    )
}

struct Case {
    bed: Bed,
    open: RefCell<Option<Open>>,
}

fn start(bed: &Bed) -> (Going<'_>, Open) {
    let run = bed.run(&["run", "./x.yaml", "--yes"]).stdin_null().start();
    let open = Gate::at(&bed.path("gate")).reached();
    let log = bed.runs()[0].join("out/deploy.1.log");
    until("the output", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("said before")));
    (run, open)
}

fn kill(pid: i32) {
    // Whoever has ended meanwhile needs no end.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

fn supervisor(bed: &Bed) -> i32 {
    let lock = std::fs::read_to_string(bed.runs()[0].join("steps/deploy.1.lock")).unwrap();
    let holder: serde_json::Value = serde_json::from_str(lock.lines().next().unwrap()).unwrap();
    i32::try_from(holder["pid"].as_i64().unwrap()).unwrap()
}

fn left(fields: &str, left: Left, code: i32) -> Case {
    let bed = Bed::with(&book(fields));
    std::fs::write(bed.root().join("home/code"), code.to_string()).unwrap();
    bed.call("mkfifo", &["gate"]).end().code(0);
    let (run, open) = start(&bed);
    let engine = run.pid();
    if left == Left::Gone {
        run.signal(Signal::STOP);
        kill(supervisor(&bed));
        processes_of(&bed.path(".")).into_iter().filter(|pid| *pid != engine).for_each(kill);
    }
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, None);
    let mut open = Some(open);
    match left {
        Left::Running => {}
        Left::Ended => {
            open.take().unwrap().pass();
            let record = bed.runs()[0].join("steps/deploy.1.exit");
            until("the supervisor's record", || record.exists());
        }
        Left::Gone => until("the end of everything", || processes_of(&bed.path(".")).is_empty()),
    }
    if left != Left::Running {
        open = None;
    }
    assert_eq!(outcome(&bed), "interrupted");
    sound(&bed);
    Case { bed, open: RefCell::new(open) }
}

impl Case {
    /// Lets the step go on that stands at its gate.
    fn pass(&self) {
        self.open.take().unwrap().pass();
    }

    fn gate(&self) -> PathBuf {
        self.bed.path("gate")
    }

    fn marks(&self) -> String {
        self.bed.read("marks").replace('\n', " ").trim().to_owned()
    }

    fn begun(&self) -> usize {
        self.bed.read("begun").lines().count()
    }

    fn seat(&self) -> Seat<'_> {
        Seat::take(&self.bed, &["resume", "last", "--mode", "auto"])
    }

    /// Statuses of `deploy`, in order.
    fn statuses(&self) -> Vec<String> {
        let ends = records(&self.bed, "step_finished").into_iter().filter(|record| record["step"] == "deploy");
        ends.map(|record| record["status"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn is(&self, marks: &str, begun: usize, how: &str) {
        assert_eq!((self.marks().as_str(), self.begun(), outcome(&self.bed).as_str()), (marks, begun, how));
        sound(&self.bed);
    }
}

const ALL: &str = "first deploy last";

#[test]
fn never_started_runs() {
    // Killed at its first step: what comes after it was never started.
    for attended in [false, true] {
        let case = left("", Left::Ended, 0);
        assert!(records(&case.bed, "step_started").iter().all(|record| record["step"] != "last"));
        if attended {
            case.seat().ends(0);
        } else {
            case.bed.run(&["resume", "last", "--yes"]).end().code(0);
        }
        case.is(ALL, 1, "succeeded");
    }
}

#[test]
fn finished_never_runs_again_and_a_finished_run_returns_its_code() {
    for (code, how, exit) in [(0, "succeeded", 0), (3, "failed", 1)] {
        let case = left("on_failure: stop", Left::Ended, code);
        case.bed.run(&["resume", "last", "--yes"]).end().code(exit);
        let (marks, records) = (case.marks(), case.bed.journal().len());
        for _ in 0..2 {
            case.bed.run(&["resume", "last", "--yes"]).end().code(exit).stdout_has(&format!("is over: {how}"));
            let said = case.seat().ends(exit);
            assert!(said.contains("nothing to resume"), "{said}");
        }
        assert_eq!((case.marks(), case.bed.journal().len()), (marks, records));
        case.is(&case.marks(), 1, how);
    }
}

#[test]
fn running_with_nobody_there_is_waited_for() {
    let case = left("", Left::Running, 0);
    let mut resume = case.bed.run(&["resume", "last", "--yes"]).stdin_null().start();
    resume.until_stderr("› wait by tester: nobody is at the keyboard");
    case.pass();
    resume.end().code(0).stderr_has("its supervisor recorded the end").stderr_has("are lost");
    case.is(ALL, 1, "succeeded");
}

#[test]
fn waiting_with_nobody_there_ends_with_a_signal_and_the_step_goes_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let case = left("", Left::Running, 0);
        let mut resume = case.bed.run(&["resume", "last", "--yes"]).stdin_null().start();
        resume.until_stderr("› wait by tester");
        resume.signal(signal);
        resume.end().code(11).stderr_has("step deploy is still running");
        case.is("first", 1, "paused");
        case.pass();
        let record = case.bed.runs()[0].join("steps/deploy.1.exit");
        until("the supervisor's record", || record.exists());
        case.bed.run(&["resume", "last", "--yes"]).end().code(0);
        case.is(ALL, 1, "succeeded");
    }
}

#[test]
fn running_at_a_terminal_is_asked_about() {
    let case = left("", Left::Running, 0);
    // What it was about to do, and what it has said so far.
    let mut seat = case.seat();
    seat.sees("Deploy it").sees("still running").sees("on record: echo begun >> begun").sees("said before");
    seat.sees("[w] wait").sees("[e] end").sees("[p] pause").answers("press", "p");
    seat.ends(11);
    case.is("first", 1, "paused");
    // Waiting for it is left by Ctrl-C, and the step goes on.
    let mut seat = case.seat();
    seat.answers("press", "w").sees("› wait by tester").types("\x03");
    let said = seat.ends(11);
    assert!(said.contains("interrupted; step deploy is still running"), "{said}");
    case.is("first", 1, "paused");
    let mut seat = case.seat();
    seat.answers("press", "w").sees("› wait by tester");
    case.pass();
    seat.sees("its supervisor recorded the end").sees("bytes of its output came after the interruption and are lost");
    seat.ends(0);
    assert_eq!(answers(&case.bed), ["pause", "wait", "wait"]);
    case.is(ALL, 1, "succeeded");
}

#[test]
fn running_and_ended_at_a_terminal_is_an_open_end() {
    for (fields, verified) in [("", false), ("verify: {shell: exit 0}", true)] {
        let case = left(fields, Left::Running, 0);
        let mut seat = case.seat();
        seat.sees("still running").answers("press", "e");
        if !verified {
            seat.sees("outcome unknown deploy").sees("Nobody knows whether this step took effect");
            seat.answers("press", "d").answers("reason:", "the page shows it\r");
        }
        seat.ends(0);
        until("the end of the step", || processes_of(&case.bed.path(".")).is_empty());
        let statuses: &[&str] = if verified { &["succeeded"] } else { &["unknown", "done_by_hand"] };
        assert_eq!(case.statuses(), statuses);
        case.is("first last", 1, "succeeded");
    }
}

#[test]
fn what_only_looks_is_ended_and_looks_again() {
    for attended in [false, true] {
        let case = left("effect: read", Left::Running, 0);
        let again = || {
            until("the second attempt", || case.begun() == 2);
            Gate::at(&case.gate()).reached().pass();
        };
        if attended {
            let seat = case.seat();
            again();
            seat.ends(0);
        } else {
            let resume = case.bed.run(&["resume", "last", "--yes"]).stdin_null().start();
            again();
            resume.end().code(0);
        }
        assert!(records(&case.bed, "question_asked").is_empty());
        assert_eq!(case.marks().matches("last").count(), 1);
        sound(&case.bed);
    }
}

#[test]
fn an_end_on_record_is_the_end() {
    for attended in [false, true] {
        let case = left("", Left::Ended, 0);
        let said = if attended {
            case.seat().ends(0)
        } else {
            case.bed.run(&["resume", "last", "--yes"]).end().code(0).stderr
        };
        assert!(said.contains("11 bytes of its output came after the interruption and are lost"), "{said}");
        let end = records(&case.bed, "step_finished").into_iter().find(|record| record["step"] == "deploy").unwrap();
        assert!(end["notes"].to_string().contains("11 bytes of its output"), "{end}");
        assert!(records(&case.bed, "question_asked").is_empty());
        case.is(ALL, 1, "succeeded");
    }
}

#[test]
fn a_failure_on_record_is_a_failure() {
    let case = left("", Left::Ended, 3);
    case.bed.run(&["resume", "last", "--yes"]).end().code(1).stderr_has("it exited with 3");
    case.is("first deploy", 1, "failed");
    let case = left("", Left::Ended, 3);
    let mut seat = case.seat();
    // What it said while the run lived is there; what came later is lost.
    seat.sees("failed deploy").sees("it exited with 3").sees("said before").answers("press", "o").sees("said before");
    std::fs::write(case.bed.root().join("home/code"), "0").unwrap();
    seat.answers("press", "r");
    Gate::at(&case.gate()).reached().pass();
    seat.ends(0);
    assert_eq!(case.statuses(), ["failed", "succeeded"]);
    case.is("first deploy deploy last", 2, "succeeded");
}

#[test]
fn an_end_whose_values_are_lost_is_asked_about() {
    let fields = "capture: {said: result.stdout}";
    let case = left(fields, Left::Ended, 0);
    case.bed.run(&["resume", "last", "--yes"]).end().code(7).stderr_has("`said`");
    let mut seat = case.seat();
    seat.sees("outcome unknown deploy").sees("it exited with 0").sees("`said`").sees("said before");
    seat.answers("press", "d").answers("reason:", "I saw it\r");
    seat.ends(0);
    assert_eq!(answers(&case.bed), ["done because I saw it"]);
    case.is(ALL, 1, "succeeded");
    // A step that may run twice gives them again.
    for attended in [false, true] {
        let case = left(&format!("idempotent: true\n    {fields}"), Left::Ended, 0);
        if attended {
            let seat = case.seat();
            Gate::at(&case.gate()).reached().pass();
            seat.ends(0);
        } else {
            let resume = case.bed.run(&["resume", "last", "--yes"]).stdin_null().start();
            Gate::at(&case.gate()).reached().pass();
            resume.end().code(0);
        }
        case.is("first deploy deploy last", 2, "succeeded");
    }
}

#[test]
fn gone_and_repeatable_runs_again() {
    for fields in ["idempotent: true", "effect: read", "verify: {shell: 'grep -q deploy marks'}"] {
        for attended in [false, true] {
            let case = left(fields, Left::Gone, 0);
            if attended {
                let seat = case.seat();
                Gate::at(&case.gate()).reached().pass();
                seat.ends(0);
            } else {
                let resume = case.bed.run(&["resume", "last", "--yes"]).stdin_null().start();
                Gate::at(&case.gate()).reached().pass();
                resume.end().code(0);
            }
            assert!(records(&case.bed, "question_asked").is_empty(), "{fields}");
            case.is(ALL, 2, "succeeded");
        }
    }
}

#[test]
fn gone_and_in_place_is_done() {
    for attended in [false, true] {
        let case = left("verify: {shell: 'grep -q first marks'}", Left::Gone, 0);
        let said = if attended {
            case.seat().ends(0)
        } else {
            case.bed.run(&["resume", "last", "--yes"]).end().code(0).stderr
        };
        assert!(said.contains("verified: it is in place"), "{said}");
        assert_eq!(case.statuses(), ["succeeded"]);
        case.is("first last", 1, "succeeded");
    }
}

#[test]
fn gone_and_undecided_is_asked_about() {
    let fields = "verify: {shell: 'echo looked; exit \"$(cat \"$HOME/verdict\")\"'}";
    let case = left(fields, Left::Gone, 0);
    let verdict = case.bed.root().join("home/verdict");
    std::fs::write(&verdict, "127").unwrap();
    case.bed.run(&["resume", "last", "--yes"]).end().code(7).stderr_has("verify could not tell");
    case.is("first", 1, "unknown");
    // A decision that the look contradicts is refused, and asked again.
    std::fs::write(&verdict, "1").unwrap();
    let mut seat = case.seat();
    seat.sees("outcome unknown deploy").answers("press", "d").answers("reason:", "I think so\r");
    seat.sees("It is not in place").sees("press");
    std::fs::write(&verdict, "0").unwrap();
    seat.types("d").answers("reason:", "now it is\r");
    seat.ends(0);
    assert_eq!(answers(&case.bed), ["done because I think so", "done because now it is"]);
    assert_eq!(case.statuses(), ["unknown", "done_by_hand"]);
    case.is("first last", 1, "succeeded");
}

#[test]
fn gone_without_a_trace_is_for_a_person() {
    type Keys = &'static [(&'static str, &'static str)];
    let rows: [(&str, Keys, i32, &str, &[&str]); 6] = [
        ("done", &[("press", "d"), ("reason:", "it is there\r")], 0, "first last", &["done because it is there"]),
        ("retry", &[("press", "r"), ("reason:", "not there\r")], 0, ALL, &["retry because not there"]),
        ("skip", &[("press", "s"), ("reason:", "not needed\r")], 0, "first last", &["skip because not needed"]),
        ("output", &[("press", "o"), ("said before", ""), ("press", "p")], 11, "first", &["output", "pause"]),
        ("quit", &[("press", "q")], 5, "first", &["quit"]),
        ("nothing", &[("press", "\x04")], 11, "first", &[]),
    ];
    for (name, keys, code, marks, said) in rows {
        let case = left("", Left::Gone, 0);
        let mut seat = case.seat();
        seat.sees("outcome unknown deploy")
            .sees("Deploy it")
            .sees("Nobody knows whether this step took effect")
            .sees("how it ended is")
            .sees("on record before the end: echo begun >> begun")
            .sees("said before");
        for (sees, types) in keys {
            seat.answers(sees, types);
        }
        if name == "retry" {
            Gate::at(&case.gate()).reached().pass();
        }
        seat.ends(code);
        assert_eq!(answers(&case.bed), said, "{name}");
        assert_eq!(case.marks(), marks, "{name}");
        assert_eq!(case.begun(), 1 + usize::from(name == "retry"), "{name}");
        let how = match code {
            0 => "succeeded",
            5 => "declined",
            _ => "paused",
        };
        case.is(marks, case.begun(), how);
    }
}

#[test]
fn gone_without_a_trace_and_nobody_there_is_seven_until_it_is_decided() {
    for (answer, code, marks) in [
        ("{answer: done, reason: it is there}", 0, "first last"),
        ("{answer: retry, reason: not there}", 0, ALL),
        ("{answer: skip, reason: not needed}", 0, "first last"),
        ("{answer: done}", 7, "first"),
        ("yes", 7, "first"),
        ("pause", 11, "first"),
        ("quit", 5, "first"),
    ] {
        let case = left("", Left::Gone, 0);
        for flags in [&["resume", "last"][..], &["resume", "last", "--yes"]] {
            let said = case.bed.run(flags).stdin_null().end().code(7);
            assert!(said.stderr.contains("Nobody knows whether this step took effect"), "{}", said.stderr);
            case.is("first", 1, "unknown");
        }
        case.bed.write("answers.yaml", &format!("deploy: {answer}\n"));
        let resume = case.bed.run(&["resume", "last", "--answers", "answers.yaml"]).stdin_null().start();
        if answer.contains("retry") {
            Gate::at(&case.gate()).reached().pass();
        }
        let said = resume.end();
        assert_eq!(said.code, Some(code), "{answer}: {}", said.stderr);
        assert_eq!(case.marks(), marks, "{answer}");
        sound(&case.bed);
    }
}

/// A resume of a resume: the second session is killed as well, in the middle of the step that the first one repeated.
#[test]
fn a_resume_is_a_run_like_any_other() {
    let case = left("idempotent: true", Left::Gone, 0);
    let resume = case.bed.run(&["resume", "last", "--yes"]).stdin_null().start();
    let open = Gate::at(&case.gate()).reached();
    resume.signal(Signal::KILL);
    assert_eq!(resume.end().code, None);
    // Its supervisor lives, and so does the step: now it is waited for, though it may run twice.
    let mut seat = case.seat();
    seat.sees("still running").answers("press", "w").sees("› wait by tester");
    open.pass();
    seat.ends(0);
    case.is(ALL, 2, "succeeded");
    assert_eq!(records(&case.bed, "run_resumed").len(), 2);
}

/// Every kind of question that can be open when the program is killed.
#[test]
fn a_question_that_was_open_is_asked_again() {
    let menu = "  - {id: a, shell: '[ -e mended ] || exit 3'}\n";
    for (name, mode, step, sees, keys) in [
        ("confirm", "auto", "  - {id: a, confirm: Really?}\n", "Really?", "yes\r"),
        ("manual", "auto", "  - {id: a, manual: Unplug it.}\n", "Unplug it.", "d"),
        ("before", "step", "  - {id: a, shell: echo a >> marks}\n", "next a", "r"),
        ("failure", "auto", menu, "failed a", "r"),
        ("unknown", "auto", "  - {id: a, shell: kill -9 $$}\n", "outcome unknown a", "sx\r"),
    ] {
        let bed = Bed::with(&format!("title: X\nsteps:\n{step}  - {{id: b, effect: read, shell: echo b >> marks}}\n"));
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", mode]);
        seat.sees(sees);
        let count = |event| records(&bed, event).len();
        until("the question", || count("question_asked") == 1);
        seat.killed();
        assert_eq!(outcome(&bed), "interrupted", "{name}");
        sound(&bed);
        // Nobody there: it is asked again and not answered.
        let code = match name {
            "failure" => None,
            "before" => None,
            "unknown" => Some(7),
            _ => Some(11),
        };
        if let Some(code) = code {
            bed.run(&["resume", "last"]).stdin_null().end().code(code);
            assert!(!bed.exists("marks"), "{name}");
        }
        bed.write("mended", "");
        let mut seat = Seat::take(&bed, &["resume", "last", "--mode", mode]);
        seat.sees(sees).sees(if name == "confirm" { "yes or no:" } else { "press" });
        for key in keys.split_inclusive('s') {
            seat.types(key);
            if key == "s" && name == "unknown" {
                seat.sees("reason:");
            }
        }
        seat.ends(0);
        assert!(bed.read("marks").ends_with("b\n"), "{name}");
        assert_eq!(answers(&bed).len(), 1, "{name}");
        sound(&bed);
    }
}

/// A value that is not on record, and whose step may not run again, comes from the operator; nobody else has it.
#[test]
fn a_value_that_is_not_on_record_is_typed_again() {
    let book = r#"
title: X
steps:
  - id: login
    shell: echo once >> logins; echo CANARY-session-7
    capture: {session: {value: result.stdout, secret: true}}
  - {id: sure, confirm: Go on?}
  - {id: use, shell: 'echo "${#session} characters" >> marks; echo "with $session"'}
"#;
    let bed = Bed::with(book);
    bed.run(&["run", "./x.yaml"]).end().code(11);
    bed.run(&["resume", "last", "--yes"]).end().code(7).stderr_has("`session` is not on record and must be typed");
    assert_eq!(outcome(&bed), "unknown");
    for keys in ["\x1b", "\x04"] {
        let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
        seat.sees("was captured as a secret and is not on record").answers("(not shown):", keys);
        seat.ends(11);
    }
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.answers("(not shown):", "\r").sees("a value is needed").answers("(not shown):", "CANARY-session-7\r");
    seat.answers("yes or no:", "yes\r").sees("with ***");
    let said = seat.ends(0);
    assert!(!said.contains("CANARY"), "{said}");
    assert_eq!((bed.read("logins"), bed.read("marks")), ("once\n".into(), "16 characters\n".into()));
    let journal = std::fs::read_to_string(bed.runs()[0].join("journal.jsonl")).unwrap();
    assert!(
        !journal.contains("result CANARY") && journal.matches("CANARY").count() == 1,
        "only the script itself has it"
    );
    sound(&bed);
}
