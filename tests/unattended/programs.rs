//! What programs read: events as JSON lines, and readers that go away.

use serde_json::Value as Json;

use super::{outcome, steps};
use crate::support::Bed;

const SEVERAL: &str = r#"
title: X
params: {who: {type: string, default: you}}
steps:
  - {id: a, shell: "echo hello $who", capture: {said: result.stdout}}
  - {id: ask, confirm: Go on?}
  - {id: b, when: said == 'nothing', shell: "true"}
  - {id: c, shell: "echo again >&2; exit 3", retry: {attempts: 2, interval: 1ms}, on_failure: continue}
  - {id: d, set: {n: 3}}
"#;

#[test]
fn standard_output_holds_events_and_nothing_else() {
    let bed = Bed::with(SEVERAL);
    let ended = bed.run(&["run", "./x.yaml", "--yes", "--json"]).end().code(0);
    let events = ended.events();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "run_started",
            "step_started",
            "effect_intended",
            "step_finished",
            "step_started",
            "question_asked",
            "question_answered",
            "step_finished",
            "step_skipped",
            "step_started",
            "effect_intended",
            "step_finished",
            "step_retried",
            "step_started",
            "effect_intended",
            "step_finished",
            "step_started",
            "step_finished",
            "run_finished",
        ]
    );
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], index + 1);
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["elapsed_ms"].is_u64(), "{event}");
        let of_a_step = names[index].starts_with("step_") || names[index].starts_with("effect_");
        assert_eq!(event["step"].is_string(), of_a_step || names[index].starts_with("question_"), "{event}");
    }
    let find = |name: &str, step: &str| -> &Json {
        events.iter().find(|event| event["event"] == name && event["step"] == step).unwrap()
    };
    let started = &events[0];
    assert_eq!(started["runbook"], "x");
    assert_eq!(started["params"]["who"], "you");
    assert_eq!(started["digest"].as_str().unwrap().len(), 64);
    let end = find("step_finished", "a");
    assert_eq!(
        (&end["status"], &end["exit"], &end["captures"]["said"]),
        (&"succeeded".into(), &0.into(), &"hello you".into())
    );
    assert!(end["duration_ms"].is_u64());
    assert_eq!(end["output_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(find("step_finished", "c")["status"], "failed");
    assert_eq!(find("step_started", "c")["attempt"], 1);
    let answered = find("question_answered", "ask");
    assert_eq!((&answered["answer"], &answered["by"]), (&"yes".into(), &"tester".into()));
    assert_eq!(events.last().unwrap()["outcome"], "succeeded");
    // The same as the journal, which has its chain besides.
    let mut journal = bed.journal();
    for record in &mut journal {
        let record = record.as_object_mut().unwrap();
        record.retain(|name, _| !matches!(name.as_str(), "prev" | "sum" | "runbook_files"));
    }
    let mut shown = events.clone();
    shown[0].as_object_mut().unwrap().remove("runbook_files");
    assert_eq!(shown, journal);
    // People's text went to standard error.
    assert!(ended.stderr.contains("hello you") && ended.stderr.contains("✔ succeeded"), "{}", ended.stderr);
}

#[test]
fn a_pause_and_a_resume_are_events_as_well() {
    let bed = Bed::with(SEVERAL);
    let events = bed.run(&["run", "./x.yaml", "--json"]).end().code(11).events();
    assert_eq!(events.last().unwrap()["event"], "run_paused");
    let last = events.last().unwrap()["seq"].as_u64().unwrap();
    let events = bed.run(&["resume", "last", "--yes", "--json"]).end().code(0).events();
    assert_eq!((&events[0]["event"], &events[0]["seq"]), (&"run_resumed".into(), &(last + 1).into()));
    assert_eq!(events.last().unwrap()["event"], "run_finished");
}

#[test]
fn an_error_before_the_run_leaves_standard_output_empty() {
    let bed = Bed::with("title: X\nparams: {v: {type: string}}\nsteps:\n  - {id: a, shell: 'true'}\n");
    bed.run(&["run", "./x.yaml", "--json"]).end().code(4).stdout("");
    bed.run(&["run", "./y.yaml", "--json"]).end().code(2).stdout("");
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    // Much more than a pipe holds.
    let much = "for i in $(seq 3000); do echo line $i of much output of this step; done; echo hello $who";
    let runbook = SEVERAL.replace("echo hello $who", much);
    let runbook = runbook.replace("capture: {said: result.stdout}", "capture: {said: 'result.lines[-1]'}");
    for script in [
        "runsheet run ./x.yaml --yes --json | head -n 1; exit ${PIPESTATUS[0]}",
        "runsheet run ./x.yaml --yes 2>&1 | head -n 1; exit ${PIPESTATUS[0]}",
        "runsheet run ./x.yaml --yes --json 2>&1 | head -n 1; exit ${PIPESTATUS[0]}",
        "runsheet run ./x.yaml --yes --json >&- 2>&-",
        "runsheet run ./x.yaml --yes --json > /dev/full 2> /dev/full",
    ] {
        let bed = Bed::with(&runbook);
        std::os::unix::fs::symlink(crate::support::PROGRAM, bed.root().join("bin/runsheet")).unwrap();
        let ended = bed.call("bash", &["-c", script]).end();
        assert_eq!(ended.code, Some(0), "{script}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(steps(&bed), "a succeeded, ask succeeded, b skipped, c failed, c failed, d succeeded", "{script}");
        assert_eq!(outcome(&bed), "succeeded");
        bed.run(&["verify", "last"]).end().code(0);
    }
}

#[test]
fn a_step_reads_nothing_of_our_standard_input_and_sees_no_terminal() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: 'cat; [ ! -t 0 ]; [ ! -t 1 ]; echo over'}\n");
    bed.run(&["run", "./x.yaml", "--json"])
        .stdin("not for the step\n")
        .end()
        .code(0)
        .stderr_has("over")
        .stderr_lacks("not for");
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: 'read -p \"password: \" x < /dev/tty'}\n");
    bed.run(&["run", "./x.yaml"]).end().code(1).stderr_has("/dev/tty");
}

#[test]
fn steps_see_only_the_clean_environment() {
    let bed = Bed::with(
        "title: X\nrequires: {env: [WANTED]}\nsteps:\n  - {id: a, shell: 'env | sort > seen', env: {EXTRA: 'x y'}}\n",
    );
    bed.run(&["run", "./x.yaml"]).env("WANTED", "yes").env("UNWANTED", "no").env("BASH_ENV", "/no/such").end().code(0);
    let seen = bed.read("seen");
    let names: Vec<&str> = seen.lines().map(|line| line.split('=').next().unwrap()).collect();
    // The last three are bash's own.
    assert_eq!(
        names,
        ["EXTRA", "HOME", "LANG", "PATH", "PWD", "SHLVL", "TERM", "TMPDIR", "USER", "WANTED", "_"],
        "{seen}"
    );
}

#[test]
fn a_wait_that_looks_again_says_once_what_it_does() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: a\n    wait:\n      shell: |\n        echo x >> looks\n        wc -l < looks # what is looked at\n      until: result.json == 4\n      interval: 1ms\n      timeout: 30s\n",
    );
    bed.run(&["run", "./x.yaml"]).stdin_null().end().code(0);
    let journal = bed.journal();
    let intents = journal.iter().filter(|record| record["event"] == "effect_intended");
    let details: Vec<&str> = intents.map(|record| record["detail"].as_str().unwrap()).collect();
    let again = "echo x >> looks… (as before)";
    assert_eq!(details, ["echo x >> looks\nwc -l < looks # what is looked at", again, again, again]);
}
