//! Steps that mean no good, or know no better: none hangs a run, none gets away.

use crate::lab::{Lab, processes_of};

fn end(lab: &Lab, step: &str) -> serde_json::Value {
    let journal = lab.journal();
    let end = journal.iter().rev().find(|record| record["event"] == "step_finished" && record["step"] == step);
    end.unwrap_or_else(|| panic!("{journal:#?}")).clone()
}

fn nothing_is_left(lab: &Lab) {
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    lab.sound();
}

fn book(fields: &str, grace: &str, script: &str) -> String {
    let script = script.trim().replace('\n', "\n        ");
    format!(
        "title: Hostile\nsteps:\n  - id: wild\n    {fields}\n    shell:\n      kill_grace: {grace}\n      script: |\n        {script}\n  - {{id: after, shell: echo after >> \"$HOME/after\"}}\n"
    )
}

#[test]
fn who_ignores_every_polite_signal_is_killed_after_the_grace() {
    let lab = Lab::new();
    lab.book(&book(
        "timeout: 300ms",
        "400ms",
        "trap '' TERM INT HUP QUIT\n(trap '' TERM INT HUP; sleep 300) &\nsleep 300\nsleep 300",
    ));
    lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    let end = end(&lab, "wild");
    assert_eq!((&end["status"], &end["signal"]), (&"unknown".into(), &9.into()));
    assert!(end["duration_ms"].as_u64().unwrap() >= 700, "limit and grace: {end:#}");
    assert!(end["notes"].to_string().contains("left over and ended"), "{end:#}");
    assert!(lab.read("after").is_empty());
    nothing_is_left(&lab);
}

#[test]
fn a_double_fork_into_a_session_of_its_own_is_no_way_out() {
    let lab = Lab::new();
    let script = r#"
exec 5<> "$HOME/ready"
( setsid bash -c '( cd /; trap "" HUP; echo up >&5; exec 5>&-; cd - > /dev/null; exec sleep 300 ) < /dev/null > /dev/null 2>&1 & exit 0' & )
read -r _ <&5
echo done"#;
    lab.gate("ready");
    lab.book(&book("capture: {said: result.stdout}", "5s", script));
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    let notes = end(&lab, "wild")["notes"].to_string();
    assert!(notes.contains("left over and ended") && notes.contains("sleep"), "{notes}");
    assert_eq!(lab.read("after"), "after\n");
    nothing_is_left(&lab);
}

#[test]
fn closed_streams_end_nothing() {
    // It goes on by itself, for longer than what is left would be given; then it leaves a child that has closed them too.
    for (script, swept) in [
        ("exec >&- 2>&-\nread -r _ < \"$HOME/gate\"\necho gone on >> \"$HOME/marks\"", false),
        (
            "sleep 300 >&- 2>&- &\nexec >&- 2>&-\nread -r _ < \"$HOME/gate\"\necho gone on >> \"$HOME/marks\" || true",
            true,
        ),
    ] {
        let lab = Lab::new();
        let gate = lab.gate("gate");
        lab.book(&book("", "100ms", script));
        let mut run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        assert!(run.alive() && lab.read("marks").is_empty());
        open.pass();
        run.end().expect(0);
        assert_eq!((lab.read("marks").as_str(), lab.read("after").as_str()), ("gone on\n", "after\n"));
        assert_eq!(end(&lab, "wild")["notes"].to_string().contains("sleep"), swept);
        nothing_is_left(&lab);
    }
}

#[test]
fn one_variable_holds_128_kib_less_its_name() {
    // `VALUE=`, the value, and the byte that ends it.
    for (size, code) in [(131_072 - 6 - 1, 0), (131_072 - 6, 1)] {
        let lab = Lab::new();
        lab.book("title: t\nparams: {text: {type: string}}\nsteps:\n  - id: wild\n    env: {VALUE: \"{{ text }}\"}\n    shell: echo ${#VALUE} >> \"$HOME/marks\"\n");
        let file = lab.file("params.yaml", &format!("text: {}\n", "x".repeat(size)));
        let ended = lab.call(&["run", "./book.yaml", "--yes", "--params-file", &file]).expect(code);
        if code == 0 {
            assert_eq!(lab.marks("marks"), [size.to_string()]);
        } else {
            assert!(lab.read("marks").is_empty());
            let error = end(&lab, "wild")["error"].as_str().unwrap().to_owned();
            assert!(error.contains("VALUE") && error.contains("file") && error.contains("book.yaml:5:"), "{error}");
            assert!(ended.err.contains(error.lines().next().unwrap()), "{ended:#?}");
            // Nothing of it was begun, so that there is nothing to decide.
            assert!(!lab.journal().iter().any(|record| record["event"] == "effect_intended"));
        }
        nothing_is_left(&lab);
    }
}

#[test]
fn an_environment_that_is_too_large_starts_nothing() {
    let lab = Lab::new();
    // Each fits by itself. The system takes a quarter of the stack's limit, 2 MiB as a rule and never more than 6 MiB.
    let env: String = (0..64).map(|i| format!("      V{i}: \"{{{{ text }}}}{i}\"\n")).collect();
    lab.book(&format!(
        "title: t\nparams: {{text: {{type: string}}}}\nsteps:\n  - id: wild\n    env:\n{env}    shell: echo begun >> \"$HOME/marks\"\n"
    ));
    let file = lab.file("params.yaml", &format!("text: {}\n", "x".repeat(120_000)));
    let ended = lab.call(&["run", "./book.yaml", "--yes", "--params-file", &file]).expect(1);
    let error = end(&lab, "wild")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("too large together") && error.contains("largest variable is V"), "{error}");
    assert!(error.contains("in a file"), "{error}");
    assert!(ended.err.contains("too large together") && lab.read("marks").is_empty(), "{ended:#?}");
    nothing_is_left(&lab);
}

/// Each of these starts another one when it is told to end, until there were sixty in all.
#[test]
fn a_tree_that_grows_again_when_it_is_cut_is_swept() {
    let lab = Lab::new();
    let grow = lab.file(
        "grow",
        r#"#!/bin/bash
# One slot is one process, ever.
next() {
  for slot in $(seq 60); do
    if mkdir "$HOME/slots/$slot" 2> /dev/null; then setsid "$HOME/grow" & return; fi
  done
}
trap 'next; next' TERM INT
exec 5<> "$HOME/never"
while :; do read -r -t 60 _ <&5 || true; done
"#,
    );
    std::fs::set_permissions(&grow, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(lab.path("slots")).unwrap();
    lab.gate("never");
    lab.book(&book(
        "timeout: 500ms",
        "1s",
        "for slot in a b c; do mkdir \"$HOME/slots/$slot\"; \"$HOME/grow\" & done\nwait",
    ));
    lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    let grown = std::fs::read_dir(lab.path("slots")).unwrap().count();
    assert!(grown > 3 && grown <= 63, "{grown}");
    let notes = end(&lab, "wild")["notes"].to_string();
    assert!(!notes.contains("still there") && notes.contains("grow"), "{notes}");
    nothing_is_left(&lab);
}

/// What has no terminal and wants one is told what would help.
#[test]
fn who_asks_for_the_terminal_is_told_how_to_have_one() {
    // As git, ssh, sudo and gpg say it; the first two really ask.
    for script in [
        "read -r -s password < /dev/tty",
        "git -c credential.helper= -c core.askPass= credential fill <<< $'protocol=https\\nhost=localhost\\n'",
        "echo 'sudo: a terminal is required to read the password' >&2; exit 1",
        "echo 'the input device is not a TTY' >&2; exit 1",
        "stty -echo; read -r secret; stty echo",
    ] {
        let lab = Lab::new();
        lab.book(&format!("title: t\nsteps:\n  - id: asks\n    shell: |\n      {script}\n"));
        let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(1);
        let end = end(&lab, "asks");
        let error = end["error"].as_str().unwrap();
        assert!(error.starts_with("it exited with ") && error.contains("`tty: true`"), "{script}: {end:#}");
        assert!(end["duration_ms"].as_u64().unwrap() < 5000, "at once: {end:#}");
        assert!(ended.err.contains("`tty: true`"), "{ended:#?}");
        nothing_is_left(&lab);
    }
    // An expectation of one's own is drawn with the same word.
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - id: asks\n    shell: read -r x < /dev/tty\n    expect: [result.exit == 0]\n");
    lab.call(&["run", "./book.yaml", "--yes"]).expect(1);
    let error = end(&lab, "asks")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("= help:") && error.contains("`tty: true`"), "{error}");
    // Who succeeds all the same is not lectured, and neither is who fails for another reason.
    for (script, code) in [("echo > /dev/tty || true", 0), ("echo no such file >&2; exit 1", 1)] {
        let lab = Lab::new();
        lab.book(&format!("title: t\nsteps:\n  - id: asks\n    shell: {script}\n"));
        let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(code);
        assert!(!ended.err.contains("tty: true"), "{ended:#?}");
    }
}
