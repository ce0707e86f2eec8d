//! What a step may leave running: it goes on with the run, and ends with it.

use serde_json::Value as Json;

use crate::lab::{Lab, processes_of, until};

/// Leaves a process that says when it is told to end; the step waits until that is ready.
const SERVE: &str = r#"
        setsid bash -c 'trap "echo ended >> \"$HOME/order\"; exit" TERM; echo $$ > "$HOME/pid.new"
          mv "$HOME/pid.new" "$HOME/pid"; for _ in 1 2 3 4; do read -r -t 60 _ <> "$HOME/never" || true; done' > /dev/null 2>&1 &
        until [ -e "$HOME/pid" ]; do sleep 0.01; done
        echo started"#;

fn book(fields: &str, rest: &str) -> String {
    format!(
        "title: Daemons\nsteps:\n  - id: forward\n    shell:\n      daemon: true\n      {fields}\n      script: |{SERVE}\n    capture: {{said: result.stdout}}\n    expect: [result.stdout == 'started']\n{rest}"
    )
}

const USE: &str = "  - {id: use, shell: 'kill -0 \"$(cat \"$HOME/pid\")\"; echo \"$said\" >> \"$HOME/used\"'}\n";
const GATED: &str = "  - {id: gated, effect: read, shell: 'read -r _ < \"$HOME/gate\"'}\n";
const FINALLY: &str =
    "finally:\n  - {id: clean, shell: 'kill -0 \"$(cat \"$HOME/pid\")\"; echo finally >> \"$HOME/order\"'}\n";

fn lab(text: &str) -> Lab {
    let lab = Lab::new();
    lab.gate("never");
    lab.book(text);
    lab
}

fn pid(lab: &Lab) -> i32 {
    lab.read("pid").trim().parse().unwrap()
}

fn record(lab: &Lab, event: &str, step: &str) -> Json {
    let journal = lab.journal();
    let found = journal.iter().rev().find(|record| record["event"] == event && record["step"] == step);
    found.unwrap_or_else(|| panic!("no {event} of {step}: {journal:#?}")).clone()
}

fn left(lab: &Lab) -> Json {
    serde_json::json!([format!("bash ({})", pid(lab))])
}

#[test]
fn what_is_left_running_goes_on_until_the_run_is_closed() {
    let lab = lab(&book("", &format!("{USE}{FINALLY}")));
    let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert_eq!(lab.read("used"), "started\n");
    assert_eq!(lab.marks("order"), ["finally", "ended"]);
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    let end = record(&lab, "step_finished", "forward");
    assert_eq!((&end["left_running"], &end["notes"]), (&left(&lab), &Json::Null));
    let over = record(&lab, "daemon_ended", "forward");
    assert_eq!((&over["processes"], &over["how"], &over["attempt"]), (&left(&lab), &"ended".into(), &1.into()));
    let named = format!("bash ({})", pid(&lab));
    assert!(ended.err.contains(&format!("left running: {named}")), "{ended:#?}");
    assert!(ended.err.contains(&format!("ended what forward had left running: {named}")), "{ended:#?}");
    assert!(!ended.err.contains("still running"), "{ended:#?}");
    lab.sound();
}

#[test]
fn nothing_has_to_be_left() {
    let lab = lab("title: t\nsteps:\n  - {id: forward, shell: {daemon: true, script: 'sleep 0.01 & echo done'}}\n");
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert_eq!(record(&lab, "step_finished", "forward")["left_running"], Json::Null);
    lab.sound();
}

#[test]
fn an_author_ends_it_earlier_with_a_command() {
    let stop = "  - id: stop\n    shell: |\n      kill \"$(cat \"$HOME/pid\")\"\n      until [ -e \"$HOME/order\" ]; do sleep 0.01; done\n";
    let lab = lab(&book("", &format!("{stop}{GATED}")));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    until("the end of the daemon", || processes_of(lab.home()).iter().all(|process| *process != pid(&lab)));
    open.pass();
    run.end().expect(0);
    assert_eq!(record(&lab, "daemon_ended", "forward")["how"], "gone");
    lab.sound();
}

#[test]
fn a_pause_leaves_it_and_a_resume_finds_it() {
    let lab = lab(&book("", &format!("  - {{id: sure, confirm: Go on?}}\n{USE}{FINALLY}")));
    let ended = lab.call(&["run", "./book.yaml"]).expect(11);
    let said = format!("still running: step forward: bash ({})", pid(&lab));
    assert!(ended.err.contains(&said), "{ended:#?}");
    assert!(processes_of(lab.home()).contains(&pid(&lab)));
    assert!(lab.call(&["report", "last"]).expect(0).out.contains("Left running by step"));
    // Once more, with nothing decided.
    let ended = lab.call(&["resume", "last"]).expect(11);
    assert_eq!(ended.err.matches(&said).count(), 2, "at the beginning and at the end: {ended:#?}");
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.read("used"), "started\n");
    assert_eq!(lab.marks("order"), ["finally", "ended"]);
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    lab.sound();
}

#[test]
fn a_run_that_is_declined_or_fails_ends_it_too() {
    for (rest, code) in [("  - {id: sure, confirm: Go on?}\n", 5), ("  - {id: broken, shell: exit 3}\n", 1)] {
        let lab = lab(&book("", &format!("{rest}{FINALLY}")));
        let answers = lab.file("answers.yaml", if code == 5 { "sure: no\n" } else { "{}\n" });
        lab.call(&["run", "./book.yaml", "--answers", &answers]).expect(code);
        assert_eq!(lab.marks("order"), ["finally", "ended"]);
        assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
        lab.sound();
    }
}

#[test]
fn it_outlives_an_engine_that_is_killed() {
    let lab = lab(&book("", &format!("{GATED}{USE}")));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    let daemon = pid(&lab);
    run.kill();
    assert!(processes_of(lab.home()).contains(&daemon));
    open.pass();
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!((pid(&lab), lab.read("used").as_str()), (daemon, "started\n"));
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    assert_eq!(record(&lab, "daemon_ended", "forward")["how"], "ended");
    lab.sound();
}

/// The engine dies first, then the step leaves its process and ends.
#[test]
fn a_step_that_ends_without_its_engine_has_left_it_all_the_same() {
    let text = book("", USE).replace("        echo started", "        read -r _ < \"$HOME/gate\"");
    let text = text.replace("    capture: {said: result.stdout}\n    expect: [result.stdout == 'started']\n", "");
    let lab = lab(&text.replace("echo \"$said\"", "echo started"));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    run.kill();
    open.pass();
    let exit = lab.run_dir().join("steps/forward.1.exit");
    until("the record", || exit.exists());
    // The lock is still held, and it is not the step that is waited for.
    lab.call(&["resume", "last", "--yes"]).expect(0);
    let end = record(&lab, "step_finished", "forward");
    assert_eq!((&end["status"], &end["attempt"], &end["left_running"]), (&"succeeded".into(), &1.into(), &left(&lab)));
    assert_eq!((lab.read("used").as_str(), lab.marks("order")), ("started\n", vec!["ended".to_owned()]));
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    lab.sound();
}

#[test]
fn a_step_that_fails_leaves_nothing() {
    for fails in ["        exit 3", "        echo something else"] {
        let text = book("", USE).replace("        echo started", &format!("        rm \"$HOME/pid\"\n{fails}"));
        let lab = lab(&text.replace("    expect:", "    retry: {attempts: 2, interval: 1ms}\n    expect:"));
        lab.call(&["run", "./book.yaml", "--yes"]).expect(1);
        assert_eq!(lab.marks("order"), ["ended", "ended"]);
        let end = record(&lab, "step_finished", "forward");
        assert!(end["notes"][0].as_str().unwrap().contains("ended because the step failed: bash ("), "{end:#}");
        assert_eq!(end["left_running"], Json::Null);
        assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
        lab.sound();
    }
}

/// A value that is not on record is made again, and one daemon is enough.
#[test]
fn another_attempt_ends_what_the_one_before_left() {
    let text = "title: t\nsecrets: {token: {env: TOKEN}}\nsteps:\n  - id: forward\n    idempotent: true\n    shell:\n      daemon: true\n      script: |\n        sleep 300 > /dev/null 2>&1 &\n        echo $! >> \"$HOME/pids\"\n        echo \"$token\"\n    capture: {copy: result.stdout}\n  - {id: sure, confirm: Go on?}\n  - {id: use, shell: 'echo \"$copy\" | wc -c'}\n";
    let lab = lab(text);
    let call = |args: &[&str]| {
        let mut command = lab.command(args);
        command.env("TOKEN", "hunter2-and-more");
        crate::lab::finish(command)
    };
    call(&["run", "./book.yaml"]).expect(11);
    let first: i32 = lab.marks("pids")[0].parse().unwrap();
    assert!(processes_of(lab.home()).contains(&first));
    call(&["resume", "last", "--yes"]).expect(0);
    let told: Vec<(Json, Json)> = lab
        .journal()
        .iter()
        .filter(|record| record["event"] == "daemon_ended")
        .map(|record| (record["attempt"].clone(), record["how"].clone()))
        .collect();
    assert_eq!(told, [(1.into(), "ended".into()), (2.into(), "ended".into())]);
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    lab.sound();
}

#[test]
fn what_it_says_later_is_thrown_away_and_holds_nobody_up() {
    let lab = lab(
        "title: t\nsteps:\n  - {id: forward, shell: {daemon: true, kill_grace: 100ms, script: \"trap '' TERM; (yes || true) & yes >&2 & echo up\"}}\n  - {id: gated, effect: read, shell: 'read -r _ < \"$HOME/gate\"'}\n",
    );
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes", "--quiet"]);
    let open = gate.reached();
    let log = lab.run_dir().join("out/forward.1.log");
    let size = std::fs::metadata(&log).unwrap().len();
    assert!(record(&lab, "step_finished", "forward")["left_running"].as_array().unwrap().len() >= 2);
    open.pass();
    // They ignore TERM, so that the grace is over before they end.
    run.end().expect(0);
    assert_eq!(std::fs::metadata(&log).unwrap().len(), size);
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    let exit: Json =
        serde_json::from_slice(&std::fs::read(lab.run_dir().join("steps/forward.1.exit")).unwrap()).unwrap();
    assert!(exit["lost_bytes"].as_u64().unwrap() > 0 && exit["swept"].as_array().unwrap().len() >= 2, "{exit:#}");
    lab.sound();
}

/// Only an exit by itself leaves anything.
#[test]
fn a_timeout_ends_a_daemon_as_it_ends_everything() {
    let lab = lab(
        "title: t\nsteps:\n  - id: forward\n    timeout: 500ms\n    shell:\n      daemon: true\n      kill_grace: 100ms\n      script: |\n        setsid sleep 300 &\n        read -r _ < \"$HOME/never\"\n",
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    lab.sound();
}

/// Nobody says of what cannot be seen that it is gone.
#[test]
fn without_its_supervisor_nobody_claims_to_know() {
    let lab = lab(&book("", GATED));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    let lock = std::fs::read_to_string(lab.run_dir().join("steps/forward.1.lock")).unwrap();
    let holder: Json = serde_json::from_str(lock.trim()).unwrap();
    let supervisor = i32::try_from(holder["pid"].as_i64().unwrap()).unwrap();
    // SAFETY: the supervisor of this test's step.
    assert_eq!(unsafe { libc::kill(supervisor, libc::SIGKILL) }, 0);
    until("the end of the supervisor", || {
        let stat = std::fs::read_to_string(format!("/proc/{supervisor}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    open.pass();
    let ended = run.end().expect(0);
    assert_eq!(record(&lab, "daemon_ended", "forward")["how"], "lost");
    assert!(ended.err.contains(&format!("it may still run: bash ({})", pid(&lab))), "{ended:#?}");
    assert!(processes_of(lab.home()).contains(&pid(&lab)));
    // SAFETY: what this test has left.
    assert_eq!(unsafe { libc::kill(pid(&lab), libc::SIGTERM) }, 0);
    until("the end of the daemon", || processes_of(lab.home()).is_empty());
    lab.sound();
}
