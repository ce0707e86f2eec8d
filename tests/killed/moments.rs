//! The engine killed at moments that mean something: while a step runs, between two, at a question, during a wait.

use std::{
    io::{Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Stdio,
};

use crate::lab::{Lab, Running, processes_of, until};

/// A step that changes something waits at a gate in the middle; `$tail` ends it.
fn gated(fields: &str, tail: &str) -> String {
    format!(
        r#"
title: A gate
steps:
  - id: first
    shell: echo first >> "$HOME/marks"
  - id: deploy
    {fields}
    shell: |
      echo begun >> "$HOME/begun"
      read -r _ < "$HOME/gate"
      echo deploy >> "$HOME/marks"
      echo "said something"
      {tail}
  - id: last
    shell: echo last >> "$HOME/marks"
"#
    )
}

fn kill_in_deploy(book: &str) -> (Lab, crate::lab::Open) {
    let lab = Lab::new();
    lab.book(book);
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    assert_eq!(run.kill().signal, Some(9));
    (lab, open)
}

fn until_exit_record(lab: &Lab) {
    let record = lab.run_dir().join("steps/deploy.1.exit");
    until("the supervisor's record", || record.exists());
}

#[test]
fn a_resume_waits_for_a_step_that_still_runs() {
    let (lab, open) = kill_in_deploy(&gated("", ""));
    assert_eq!(lab.outcomes(), ["interrupted"]);
    lab.sound();
    let mut resume = lab.start(&["resume", "last", "--yes"]);
    lab.until_record("the resume's question", |record| record["answer"] == "wait");
    assert!(resume.alive());
    assert_eq!(lab.outcomes(), ["running"]);
    // A second one is told who is at it.
    let second = lab.call(&["resume", "last", "--yes"]).expect(8);
    assert!(second.err.contains("tester is running"), "{second:#?}");
    open.pass();
    resume.end().expect(0);
    assert_eq!(lab.marks("begun").len(), 1);
    assert_eq!(lab.marks("marks"), ["first", "deploy", "last"]);
    assert_eq!(lab.outcomes(), ["succeeded"]);
    lab.sound();
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks").len(), 3);
}

#[test]
fn what_a_supervisor_wrote_down_is_the_end_of_its_step() {
    let (lab, open) = kill_in_deploy(&gated("", ""));
    open.pass();
    until_exit_record(&lab);
    let resumed = lab.call(&["resume", "last", "--yes"]).expect(0);
    assert!(resumed.err.contains("its supervisor recorded the end"), "{resumed:#?}");
    assert!(resumed.err.contains("15 bytes of its output"), "{resumed:#?}");
    assert_eq!(lab.marks("begun").len(), 1);
    assert_eq!(lab.marks("marks"), ["first", "deploy", "last"]);
    lab.sound();
}

#[test]
fn a_recorded_failure_is_a_failure() {
    let (lab, open) = kill_in_deploy(&gated("", "exit 3"));
    open.pass();
    until_exit_record(&lab);
    let resumed = lab.call(&["resume", "last", "--yes"]).expect(1);
    assert!(resumed.err.contains("it exited with 3"), "{resumed:#?}");
    assert_eq!(lab.marks("marks"), ["first", "deploy"]);
    assert_eq!(lab.outcomes(), ["failed"]);
    // What is over returns what is on record.
    lab.call(&["resume", "last", "--yes"]).expect(1);
    assert_eq!(lab.marks("begun").len(), 1);
    lab.sound();
}

#[test]
fn lost_captures_are_asked_about() {
    let capture = "capture: {said: result.stdout}";
    for (decision, marks) in [("done", 1), ("not-done", 2)] {
        let (lab, open) = kill_in_deploy(&gated(capture, ""));
        open.pass();
        until_exit_record(&lab);
        for _ in 0..2 {
            let resumed = lab.call(&["resume", "last", "--yes"]).expect(7);
            assert!(resumed.err.contains("`said`"), "{resumed:#?}");
            assert_eq!(lab.outcomes(), ["unknown"]);
        }
        lab.sound();
        let args = ["resume", "last", "--yes", "--step", "deploy", "--as", decision, "--reason", "I looked"];
        let resume = lab.start(&args);
        if decision == "not-done" {
            let again = crate::lab::Gate::at(&lab.path("gate"));
            again.reached().pass();
        }
        resume.end().expect(0);
        assert_eq!(lab.marks("begun").len(), marks);
        assert_eq!(lab.marks("marks").last().unwrap(), "last");
        let decided = lab.journal().into_iter().any(|record| {
            record["reason"] == "I looked" && record["by"] == "tester"
                || record["notes"].to_string().contains("I looked")
        });
        assert!(decided, "{:#?}", lab.journal());
        lab.sound();
    }
}

#[test]
fn lost_captures_come_from_verify() {
    let verify = r#"capture: {said: result.stdout}
    verify:
      shell: grep deploy "$HOME/marks"
      capture: {said: result.stdout}"#;
    let book = gated(verify, "").replace("echo last", "echo \"last $said\"");
    let (lab, open) = kill_in_deploy(&book);
    open.pass();
    until_exit_record(&lab);
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks"), ["first", "deploy", "last deploy"]);
    assert_eq!(lab.marks("begun").len(), 1);
    lab.sound();
}

/// Ends the engine, the supervisor of `deploy` and the step itself, as a power cut does.
fn cut(lab: &Lab, run: Running) {
    let lock = std::fs::read_to_string(lab.run_dir().join("steps/deploy.1.lock")).unwrap();
    let holder: serde_json::Value = serde_json::from_str(lock.trim()).unwrap();
    let supervisor = i32::try_from(holder["pid"].as_i64().unwrap()).unwrap();
    let engine = run.pid();
    run.signal(libc::SIGSTOP);
    let steps = processes_of(lab.home()).into_iter().filter(|pid| *pid != engine);
    for pid in std::iter::once(supervisor).chain(steps) {
        // SAFETY: processes of this test, which wait for it.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    run.kill();
    until("the end of everything", || processes_of(lab.home()).is_empty());
}

#[test]
fn nothing_left_of_a_step_is_an_open_question() {
    for decision in ["done", "not-done", "answers", "skip"] {
        let lab = Lab::new();
        lab.book(&gated("", ""));
        let gate = lab.gate("gate");
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        cut(&lab, run);
        drop(open);
        assert_eq!(lab.outcomes(), ["interrupted"]);
        assert!(!lab.run_dir().join("steps/deploy.1.exit").exists());
        let resumed = lab.call(&["resume", "last", "--yes"]).expect(7);
        assert!(resumed.err.contains("deploy"), "{resumed:#?}");
        lab.call(&["resume", "last"]).expect(7);
        assert_eq!(lab.outcomes(), ["unknown"]);
        assert_eq!(lab.marks("begun").len(), 1, "{decision}");
        let resume = match decision {
            "answers" => {
                let file = lab.file("answers.yaml", "deploy: {answer: retry, reason: it is not there}\n");
                lab.start(&["resume", "last", "--answers", &file])
            }
            "skip" => {
                let file = lab.file("answers.yaml", "deploy: {answer: skip, reason: not needed}\n");
                lab.start(&["resume", "last", "--answers", &file])
            }
            word => lab.start(&["resume", "last", "--step", "deploy", "--as", word, "--reason", "I looked"]),
        };
        let again = matches!(decision, "not-done" | "answers");
        if again {
            gate.reached().pass();
        }
        resume.end().expect(0);
        assert_eq!(lab.marks("begun").len(), 1 + usize::from(again), "{decision}");
        let expected: &[&str] = if again { &["first", "deploy", "last"] } else { &["first", "last"] };
        assert_eq!(lab.marks("marks"), expected, "{decision}");
        lab.sound();
    }
}

/// What the operator says comes before what the step may do: an idempotent step that is done is not run again.
#[test]
fn a_decision_holds_for_a_step_that_may_run_twice() {
    for (decision, begun) in [("done", 1), ("not-done", 2)] {
        let lab = Lab::new();
        lab.book(&gated("idempotent: true", ""));
        let gate = lab.gate("gate");
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        cut(&lab, run);
        drop(open);
        let resume = lab.start(&["resume", "last", "--step", "deploy", "--as", decision, "--reason", "I looked"]);
        if begun == 2 {
            gate.reached().pass();
        }
        resume.end().expect(0);
        assert_eq!(lab.marks("begun").len(), begun, "{decision}");
        assert!(lab.journal().iter().any(|record| record.to_string().contains("I looked")), "{decision}");
        lab.sound();
    }
}

/// An attempt without an end whose `verify` finds nothing in place had no effect: it runs.
#[test]
fn what_is_not_in_place_runs() {
    let lab = Lab::new();
    lab.book(&gated("verify: {shell: 'grep -q deploy \"$HOME/marks\"'}", ""));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    cut(&lab, run);
    drop(open);
    let resume = lab.start(&["resume", "last", "--yes"]);
    gate.reached().pass();
    let resumed = resume.end().expect(0);
    assert!(resumed.err.contains("not in place"), "{resumed:#?}");
    assert_eq!(lab.marks("begun").len(), 2);
    assert_eq!(lab.marks("marks"), ["first", "deploy", "last"]);
    lab.sound();
}

#[test]
fn a_decision_needs_a_step_that_waits_for_one() {
    let lab = Lab::new();
    lab.book(&gated("", ""));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    cut(&lab, run);
    drop(open);
    for (step, reason, says) in
        [("first", "r", "is not waiting"), ("nothing", "r", "is not waiting"), ("deploy", "  ", "reason is empty")]
    {
        let refused = lab.call(&["resume", "last", "--step", step, "--as", "done", "--reason", reason]).expect(2);
        assert!(refused.err.contains(says), "{refused:#?}");
    }
    lab.call(&["resume", "last", "--step", "deploy", "--as", "done"]).expect(2);
    assert_eq!(lab.marks("begun").len(), 1);
    lab.sound();
}

/// The look itself is a process of the step; its end is not that of the step.
#[test]
fn the_end_of_a_look_is_not_the_end_of_the_step() {
    let book = r#"
title: A look
steps:
  - id: deploy
    timeout: 100ms
    shell: |
      echo begun >> "$HOME/begun"
      sleep 1000
    verify:
      shell: |
        echo looked >> "$HOME/looked"
        read -r _ < "$HOME/gate"
        cat "$HOME/there" || true
      expect: [result.stdout == "deployed"]
"#;
    for there in [true, false] {
        let lab = Lab::new();
        lab.book(book);
        let gate = lab.gate("gate");
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        run.kill();
        if there {
            lab.file("there", "deployed\n");
        }
        open.pass();
        until("the end of the look", || processes_of(lab.home()).is_empty());
        let resume = lab.start(&["resume", "last", "--yes"]);
        gate.reached().pass();
        let resumed = resume.end().expect(if there { 0 } else { 1 });
        assert!(resumed.err.contains("verified"), "{resumed:#?}");
        assert_eq!((lab.marks("begun").len(), lab.marks("looked").len()), (1, 2));
        lab.sound();
    }
}

#[test]
fn killed_during_a_wait_it_waits_again() {
    let lab = Lab::new();
    lab.book(
        r#"
title: A wait
steps:
  - id: before
    shell: echo before >> "$HOME/marks"
  - id: rest
    wait:
      shell: test -e "$HOME/ready"
      until: result.exit == 0
      interval: 10ms
      timeout: 5m
  - id: after
    shell: echo after >> "$HOME/marks"
"#,
    );
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    lab.until_record("the wait", |record| record["event"] == "step_started" && record["step"] == "rest");
    run.kill();
    assert_eq!(lab.outcomes(), ["interrupted"]);
    lab.file("ready", "");
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks"), ["before", "after"]);
    lab.sound();
}

#[test]
fn killed_before_a_retry_it_is_repeated() {
    let lab = Lab::new();
    lab.book(
        r#"
title: A retry
steps:
  - id: flaky
    retry: {attempts: 3, interval: 1h}
    shell: |
      echo try >> "$HOME/tries"
      test -e "$HOME/ready"
"#,
    );
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    lab.until_record("the retry", |record| record["event"] == "step_retried");
    run.kill();
    lab.file("ready", "");
    let resume = lab.start(&["resume", "last", "--yes"]);
    // It waits for its hour again, and is not decided as a failure.
    until("the retry", || lab.journal().iter().filter(|record| record["event"] == "step_retried").count() == 2);
    resume.signal(libc::SIGTERM);
    resume.end().expect(11);
    assert_eq!(lab.marks("tries").len(), 1);
    assert_eq!(lab.outcomes(), ["paused"]);
    lab.sound();
}

#[test]
fn a_question_is_asked_again() {
    let lab = Lab::new();
    lab.book(
        r#"
title: A question
steps:
  - id: before
    shell: echo before >> "$HOME/marks"
  - id: sure
    confirm: Really?
  - id: after
    shell: echo after >> "$HOME/marks"
"#,
    );
    let (run, terminal) = at_terminal(&lab, &["run", "./book.yaml", "--mode", "auto"]);
    lab.until_record("the question", |record| record["event"] == "question_asked");
    assert_eq!(lab.journal()[0]["attended"], true);
    let killed = run.kill();
    drop(terminal);
    assert_eq!(killed.signal, Some(9), "{killed:#?} {:#?}", lab.journal());
    assert_eq!(lab.outcomes(), ["interrupted"], "{:#?}", lab.journal().last());
    // Nobody is there: it is asked again, and not answered.
    lab.call(&["resume", "last"]).expect(11);
    assert_eq!(lab.outcomes(), ["paused"]);
    assert_eq!(lab.marks("marks"), ["before"]);
    let file = lab.file("answers.yaml", "sure: \"yes\"\n");
    lab.call(&["resume", "last", "--answers", &file]).expect(0);
    assert_eq!(lab.marks("marks"), ["before", "after"]);
    lab.sound();
}

/// TERM, or INT from elsewhere, at a question pauses; the question is not answered by it.
#[test]
fn a_signal_at_a_question_pauses() {
    for (mode, signal) in
        [("step", libc::SIGTERM), ("auto", libc::SIGHUP), ("auto", libc::SIGINT), ("step", libc::SIGINT)]
    {
        let lab = Lab::new();
        lab.book("title: A question\nsteps:\n  - {id: sure, confirm: Really?}\n  - {id: go, shell: echo go >> $HOME/marks}\n");
        let book = if mode == "step" { "  - {id: sure, confirm: Really?}\n" } else { "" };
        lab.book(&lab.read("work/book.yaml").replace(book, ""));
        let (run, terminal) = at_terminal(&lab, &["run", "./book.yaml", "--mode", mode]);
        lab.until_record("the question", |record| record["event"] == "question_asked");
        assert_eq!(lab.journal()[0]["attended"], true);
        run.signal(signal);
        let ended = run.end();
        drop(terminal);
        assert_eq!(ended.code, Some(11), "{mode} {signal}: {ended:#?} {:#?}", lab.journal());
        assert_eq!(lab.outcomes(), ["paused"]);
        assert!(lab.marks("marks").is_empty());
        lab.sound();
    }
}

/// Ctrl-C while a step runs asks what is meant; TERM at that question lets the step end.
#[test]
fn a_menu_opened_by_an_interrupt_is_no_answer() {
    for (second, passes) in [(libc::SIGTERM, true), (libc::SIGINT, false)] {
        let lab = Lab::new();
        lab.book(&gated("", ""));
        let gate = lab.gate("gate");
        let (run, terminal) = at_terminal(&lab, &["run", "./book.yaml", "--mode", "auto"]);
        let open = gate.reached();
        run.signal(libc::SIGINT);
        lab.until_record("the menu", |record| record["about"] == "interrupt");
        run.signal(second);
        if passes {
            open.pass();
        }
        let ended = run.end();
        drop(terminal);
        assert_eq!(ended.code, Some(11), "{second}: {ended:#?} {:#?}", lab.journal());
        assert_eq!(lab.marks("marks").len(), 1 + usize::from(passes));
        assert_eq!(lab.outcomes(), ["paused"]);
        lab.sound();
        lab.call(&["resume", "last", "--yes"]).expect(if passes { 0 } else { 7 });
        lab.sound();
    }
}

/// A program whose terminal is ours.
fn at_terminal(lab: &Lab, args: &[&str]) -> (Running, std::thread::JoinHandle<()>) {
    let (master, slave) = pty();
    let mut command = lab.command(args);
    command.env("TERM", "xterm");
    command.stdin(Stdio::from(slave.try_clone().unwrap()));
    command.stdout(Stdio::from(slave.try_clone().unwrap()));
    command.stderr(Stdio::from(slave));
    // SAFETY: two calls that may be made between fork and exec; the terminal becomes that of a session of its own.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let run = Running::of(command);
    let mut master = std::fs::File::from(master);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            // Prompts ask where the cursor is, and wait for an answer.
            if buffer[..count].windows(4).any(|bytes| bytes == b"\x1b[6n") {
                let _ = master.write_all(b"\x1b[1;1R");
            }
        }
    });
    (run, reader)
}

fn pty() -> (OwnedFd, OwnedFd) {
    use rustix::{
        fs::{Mode, OFlags},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    assert!(slave.as_raw_fd() > 2);
    let size = rustix::termios::Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).unwrap();
    (master, slave)
}
