//! Ctrl-Z, `fg`, and stops that nobody was asked about: the terminal is the shell's meanwhile, and nothing is lost.

use rustix::process::{Pid, Signal, kill_process};

use super::{GATE, ends, relay::child, seat::Seat};
use crate::{
    lab::until,
    support::{Bed, PROGRAM},
};

/// A bed for a shell with job control, in which the program is `runsheet`.
fn bed(runbook: &str) -> Bed {
    let bed = Bed::with(runbook).env("PS1", "prompt> ");
    std::os::unix::fs::symlink(PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    bed
}

fn shell(bed: &Bed) -> Seat<'_> {
    // Without its own line editing, which changes the terminal's modes at each prompt.
    let mut seat = Seat::take_with(bed, "bash", &["--norc", "--noprofile", "--noediting", "-i"]);
    seat.answers("prompt> ", "stty -g > before\r").answers("prompt> ", "runsheet run ./x.yaml --mode auto\r");
    seat
}

/// The only child of the shell.
fn program(seat: &Seat<'_>) -> Pid {
    let shell = seat.pid().as_raw_nonzero();
    let mut found = None;
    until("the program", || {
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        found = children.split_whitespace().next().and_then(|pid| Pid::from_raw(pid.parse().unwrap()));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_question_is_left_with_ctrl_z_and_asked_again() {
    let bed = bed(GATE);
    let mut seat = shell(&bed);
    seat.answers("yes or no:", "ye\x1a").sees("Stopped");
    seat.answers("prompt> ", "stty -g > during\r").answers("prompt> ", "fg\r");
    // What was typed before it is still there, as on any line.
    seat.sees("yes or no: ye").types("s\r").sees("✔ succeeded");
    seat.answers("prompt> ", "stty -g > after\r").answers("prompt> ", "exit\r");
    seat.ends(0);
    assert!(bed.exists("ran"));
    assert_eq!((bed.read("during"), bed.read("after")), (bed.read("before"), bed.read("before")));
}

#[test]
fn a_menu_is_left_with_ctrl_z_and_shown_again() {
    let bed = bed("title: X\nsteps:\n  - {id: a, shell: touch ran}\n").env("RUNSHEET_UNUSED", "");
    let mut seat = Seat::take_with(&bed, "bash", &["--norc", "--noprofile", "--noediting", "-i"]);
    seat.answers("prompt> ", "runsheet run ./x.yaml\r").answers("press", "\x1a").sees("Stopped");
    seat.answers("prompt> ", "fg\r").sees("[r] run").answers("press", "r").sees("✔ succeeded");
    seat.answers("prompt> ", "exit\r");
    let said = seat.ends(0);
    assert!(!said.contains("none of the choices"), "{said}");
}

#[test]
fn a_step_goes_on_while_the_run_is_stopped() {
    let bed = bed(
        "title: X\nsteps:\n  - {id: slow, shell: 'echo ready; read -r line < gate; seq 100000; echo over > ran'}\n  - {id: b, shell: echo b >> ran}\n",
    );
    bed.call("mkfifo", &["gate"]).end().code(0);
    let mut seat = shell(&bed);
    seat.sees("ready").types("\x1a").sees("Stopped").sees("prompt> ");
    bed.call("sh", &["-c", "echo go > gate"]).end().code(0);
    // All it has to say does not fit into the pipes, so that it may not be over yet; nothing of it is lost.
    seat.types("fg\r").sees("✔ slow").sees("✔ b").sees("✔ succeeded").answers("prompt> ", "exit\r");
    seat.ends(0);
    assert_eq!(bed.read("ran"), "over\nb\n");
    let log = std::fs::read_to_string(bed.runs()[0].join("out/slow.1.log")).unwrap();
    assert!(log.starts_with("ready\n1\n2\n") && log.ends_with("\n100000\n"), "{}", log.len());
}

#[test]
fn a_step_with_the_terminal_has_it_again() {
    let bed = child().env("PS1", "prompt> ");
    std::os::unix::fs::symlink(PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    let mut seat = shell(&bed);
    seat.sees("ready");
    let program = program(&seat);
    kill_process(program, Signal::TSTP).unwrap();
    seat.sees("Stopped").answers("prompt> ", "stty -g > during\r").answers("prompt> ", "fg\r");
    seat.sees("now 50 110").types("Ada\r").sees("got <Ada>").types("end\r").sees("✔ succeeded");
    seat.answers("prompt> ", "stty -g > after\r").answers("prompt> ", "exit\r");
    seat.ends(0);
    assert_eq!((bed.read("during"), bed.read("after")), (bed.read("before"), bed.read("before")));
}

/// From the step to the menu, from the menu to the shell, and all the way back.
#[test]
fn the_menu_of_a_step_with_the_terminal_is_left_and_shown_again() {
    let bed = child().env("PS1", "prompt> ");
    std::os::unix::fs::symlink(PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    let mut seat = shell(&bed);
    seat.sees("ready").types("\x1d").answers("press", "\x1a").sees("Stopped");
    seat.answers("prompt> ", "stty -g > during\r").answers("prompt> ", "fg\r");
    seat.sees("[g] go").answers("press", "g").sees("now 50 110").types("Ada\r").sees("got <Ada>");
    // Once more, and the step comes to its end while the menu is open.
    seat.types("\x1d").sees("press");
    bed.write("finish", "");
    seat.sees("✔ talk").answers("prompt> ", "stty -g > after\r").answers("prompt> ", "exit\r");
    seat.ends(0);
    assert_eq!((bed.read("during"), bed.read("after")), (bed.read("before"), bed.read("before")));
    assert_eq!(ends(&bed), ["talk succeeded"]);
    assert_eq!(bed.journal().last().unwrap()["event"], "run_paused");
}

#[test]
fn keys_typed_while_it_was_stopped_count_for_nothing() {
    for _ in 0..5 {
        let bed = Bed::with(GATE);
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
        seat.sees("yes or no:").signal(Signal::STOP);
        let pid = seat.pid().as_raw_nonzero();
        until("the stop", || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T "));
        seat.types_ahead("yes\r").signal(Signal::CONT);
        seat.sees("yes or no:").types("no\r");
        let said = seat.ends(5);
        assert!(!bed.exists("ran"), "{said}");
    }
    // The same for a step that has the terminal: whatever was typed was meant for somebody else.
    let bed = child();
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("ready").signal(Signal::STOP);
    let pid = seat.pid().as_raw_nonzero();
    until("the stop", || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T "));
    seat.types_ahead("rm -rf /\r").signal(Signal::CONT).sees("now 50 110").types("end\r").sees("got <end>");
    let said = seat.ends(0);
    assert!(!said.contains("rm -rf"), "{said}");
    assert_eq!(ends(&bed), ["talk succeeded", "after succeeded"]);
}

/// Nobody could wake it again, so that it does not sleep.
#[test]
fn without_a_shell_there_is_no_stop() {
    let bed = Bed::with(GATE);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("yes or no:").signal(Signal::TSTP).types("yes\r");
    seat.ends(0);
    assert!(bed.exists("ran"));
}
