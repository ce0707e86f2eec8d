//! What lives beside the steps of a group, through interruptions: noticed, started again, ended.

use serde_json::Value as Json;

use crate::lab::{Gate, Lab, Open, processes_of, until};

/// The helper notes each of its lives; the step waits at a gate in its middle.
const BOOK: &str = r#"title: t
steps:
  - id: db
    group:
      helper: {exec: [bash, -c, 'echo $$ >> "$HOME/pids"; exec sleep 300'], ready: {shell: 'test -s "$HOME/pids"'}}
      steps:
        - {id: first, shell: 'echo first >> "$HOME/marks"'}
        - {id: gated, effect: read, shell: 'read -r _ < "$HOME/gate"; kill -0 "$(tail -n 1 "$HOME/pids")"; echo gated >> "$HOME/marks"'}
        - {id: last, shell: 'kill -0 "$(tail -n 1 "$HOME/pids")"; echo last >> "$HOME/marks"'}
  - {id: after, shell: '! kill -0 "$(tail -n 1 "$HOME/pids")" 2>/dev/null; echo after >> "$HOME/marks"'}
"#;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.book(BOOK);
    lab
}

fn pids(lab: &Lab) -> Vec<i32> {
    lab.marks("pids").iter().map(|line| line.parse().unwrap()).collect()
}

fn ends(lab: &Lab) -> Vec<Json> {
    let ended = |record: &Json| record["event"] == "daemon_ended" && record["step"] == "db@helper";
    lab.journal().into_iter().filter(ended).map(|record| record["how"].clone()).collect()
}

fn is_over(lab: &Lab, lives: usize) {
    assert_eq!(lab.marks("marks"), ["first", "gated", "last", "after"]);
    assert_eq!(pids(lab).len(), lives);
    until("the end of what was started", || processes_of(lab.home()).is_empty());
    lab.sound();
}

/// Killed while a step runs, which goes on until what comes back is dropped.
fn killed(lab: &Lab) -> Open {
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let waits = gate.reached();
    run.kill();
    waits
}

fn resumed(lab: &Lab) {
    let gate = Gate::at(&lab.path("gate"));
    let run = lab.start(&["resume", "last", "--yes"]);
    // The first one, which only looks, is ended before.
    lab.until_record("the step again", |record| record["step"] == "db/gated" && record["attempt"] == 2);
    gate.reached().pass();
    run.end().expect(0);
}

#[test]
fn one_that_lives_after_a_kill_is_used_and_ended() {
    let lab = lab();
    let _waits = killed(&lab);
    resumed(&lab);
    is_over(&lab, 1);
    assert_eq!(ends(&lab), ["ended"]);
}

#[test]
fn one_that_is_gone_after_a_kill_is_started_again() {
    let lab = lab();
    let _waits = killed(&lab);
    let pid = rustix::process::Pid::from_raw(pids(&lab)[0]).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    until("its end", || !processes_of(lab.home()).contains(&pids(&lab)[0]));
    resumed(&lab);
    is_over(&lab, 2);
    assert_eq!(ends(&lab), ["gone", "ended"]);
}

#[test]
fn a_pause_ends_it_and_a_resume_starts_it_again() {
    let lab = lab();
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let _waits = gate.reached();
    run.signal(libc::SIGINT);
    let ended = run.end();
    assert_eq!(ended.code, Some(11), "{ended:#?}");
    until("the end of all it had started", || processes_of(lab.home()).is_empty());
    resumed(&lab);
    is_over(&lab, 2);
    assert_eq!(ends(&lab), ["ended", "ended"]);
}

#[test]
fn killed_while_it_gets_ready_there_is_one_in_the_end() {
    let lab = Lab::new();
    lab.book(&BOOK.replace(r#"test -s "$HOME/pids""#, r#"read -r _ < "$HOME/ready""#));
    let (gate, ready) = (lab.gate("gate"), lab.gate("ready"));
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let waits = ready.reached();
    run.kill();
    drop(waits);
    let run = lab.start(&["resume", "last", "--yes"]);
    let ready = Gate::at(&lab.path("ready"));
    until("the second one", || pids(&lab).len() == 2);
    ready.reached().pass();
    gate.reached().pass();
    run.end().expect(0);
    is_over(&lab, 2);
}
