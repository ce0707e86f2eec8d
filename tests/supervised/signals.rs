//! Ctrl-C and other signals to a run that nobody attends.

use crate::lab::{Lab, processes_of, until};

fn gated(fields: &str, trap: &str) -> String {
    format!(
        r#"
title: Signals
steps:
  - id: deploy
    {fields}
    shell:
      kill_grace: 5m
      script: |
        {trap}
        read -r _ < "$HOME/gate"
        echo deploy >> "$HOME/marks"
  - id: after
    shell: echo after >> "$HOME/marks"
"#
    )
}

#[test]
fn an_interrupt_reaches_everyone_and_leaves_the_effect_open() {
    let lab = Lab::new();
    // Not at a gate: a shell that is told between opening and reading it sleeps on.
    let trap = r#"trap 'echo outer >> "$HOME/heard"; exit 0' INT
        bash -c 'trap "echo inner >> $HOME/heard; exit 0" INT; echo > "$HOME/ready"; while :; do sleep 0.02; done'"#;
    lab.book(&gated("", trap));
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    until("the step", || lab.path("ready").exists());
    run.signal(libc::SIGINT);
    let ended = run.end().expect(7);
    assert!(ended.err.contains("interrupted"), "{ended:#?}");
    let mut heard = lab.marks("heard");
    heard.sort();
    assert_eq!(heard, ["inner", "outer"]);
    assert_eq!(lab.outcomes(), ["unknown"]);
    assert!(lab.marks("marks").is_empty());
    assert!(processes_of(lab.home()).is_empty());
    lab.call(&["resume", "last", "--yes"]).expect(7);
    lab.call(&["resume", "last", "--step", "deploy", "--as", "done", "--reason", "by hand"]).expect(0);
    assert_eq!(lab.marks("marks"), ["after"]);
    lab.sound();
}

#[test]
fn an_interrupted_look_is_nothing_to_decide() {
    let lab = Lab::new();
    lab.book(&gated("effect: read", ""));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    run.signal(libc::SIGINT);
    run.end().expect(11);
    drop(open);
    assert_eq!(lab.outcomes(), ["paused"]);
    lab.sound();
    let resume = lab.start(&["resume", "last", "--yes"]);
    gate.reached().pass();
    resume.end().expect(0);
    assert_eq!(lab.marks("marks"), ["deploy", "after"]);
    lab.sound();
}

#[test]
fn told_to_end_it_lets_the_step_end_and_starts_nothing() {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        let lab = Lab::new();
        lab.book(&gated("", "trap 'echo heard >> \"$HOME/heard\"' INT TERM HUP"));
        let gate = lab.gate("gate");
        let mut run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        run.signal(signal);
        assert!(run.alive());
        open.pass();
        run.end().expect(11);
        assert_eq!(lab.marks("marks"), ["deploy"]);
        assert!(lab.read("heard").is_empty(), "within the grace nobody is signalled");
        assert_eq!(lab.outcomes(), ["paused"]);
        lab.sound();
        lab.call(&["resume", "last", "--yes"]).expect(0);
        assert_eq!(lab.marks("marks"), ["deploy", "after"]);
        lab.sound();
    }
}

#[test]
fn what_arrives_together_with_the_end_of_a_step_counts_before_the_next() {
    let lab = Lab::new();
    lab.book(&gated("", ""));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    // Asleep, it learns of both when it wakes.
    run.signal(libc::SIGSTOP);
    open.pass();
    until("the end of the step", || lab.run_dir().join("steps/deploy.1.exit").exists());
    run.signal(libc::SIGTERM);
    run.signal(libc::SIGCONT);
    run.end().expect(11);
    assert_eq!(lab.marks("marks"), ["deploy"]);
    lab.sound();
}

#[test]
fn the_grace_ends() {
    let lab = Lab::new();
    lab.book(&gated("", ""));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    run.signal(libc::SIGTERM);
    run.end().expect(11);
    drop(open);
    assert_eq!(lab.outcomes(), ["paused"]);
    assert!(lab.marks("marks").is_empty());
    assert!(processes_of(lab.home()).is_empty());
    // What the signal cut short may have had its effect.
    lab.call(&["resume", "last", "--yes"]).expect(7);
    lab.sound();
}

#[test]
fn insisting_cuts_every_grace_short() {
    for first in [libc::SIGTERM, libc::SIGINT] {
        let lab = Lab::new();
        lab.book(&gated("", "trap '' INT TERM HUP"));
        let gate = lab.gate("gate");
        let mut run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        run.signal(first);
        // The step ignores them all and has five minutes.
        until("the end of the run", || {
            run.signal(libc::SIGINT);
            !run.alive()
        });
        run.end().expect(7);
        drop(open);
        assert!(lab.marks("marks").is_empty());
        assert!(processes_of(lab.home()).is_empty());
        lab.sound();
    }
}

#[test]
fn a_signal_in_a_wait_pauses() {
    for (signal, why) in [(libc::SIGTERM, "the process was told to end"), (libc::SIGINT, "interrupted")] {
        let lab = Lab::new();
        lab.book("title: t\nsteps:\n  - {id: rest, wait: 1h}\n  - {id: after, shell: echo after >> $HOME/marks}\n");
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        lab.until_record("the wait", |record| record["event"] == "step_started");
        run.signal(signal);
        run.end().expect(11);
        let journal = lab.journal();
        let paused = journal.iter().find(|record| record["event"] == "run_paused").unwrap();
        assert_eq!(paused["reason"], why, "{journal:#?}");
        assert_eq!(lab.outcomes(), ["paused"]);
        // It waits again, and has not failed.
        let resume = lab.start(&["resume", "last", "--yes"]);
        until("the second wait", || lab.journal().iter().filter(|r| r["event"] == "step_started").count() == 2);
        resume.signal(libc::SIGINT);
        resume.end().expect(11);
        assert!(lab.marks("marks").is_empty());
        lab.sound();
    }
}
