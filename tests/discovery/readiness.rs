//! `doctor`: what it says of a machine that is ready, and of one that is not.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value as Json;

use crate::support::Bed;

/// What is said about something, with its level.
fn said(bed: &Bed, args: &[&str], code: i32) -> Vec<(String, String, String)> {
    let ended = bed.run(&["doctor", "--json"]).args(args).end().code(code);
    let all = ended.json();
    assert_eq!(all["ready"], code == 0);
    let text = |finding: &Json, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = all["findings"].as_array().unwrap();
    for finding in findings {
        assert_eq!(finding["level"] == "ok", finding["hint"].is_null(), "{finding}");
    }
    findings.iter().map(|of| (text(of, "about"), text(of, "level"), text(of, "text"))).collect()
}

fn has(findings: &[(String, String, String)], about: &str, level: &str, text: &str) {
    let fits = |(a, l, t): &(String, String, String)| a == about && l == level && t.contains(text);
    assert!(findings.iter().any(fits), "{level} {about} {text}: {findings:#?}");
}

const NEEDY: &str = "\
title: Needs much
params:
  token_file: {type: path, default: token}
secrets:
  from_file: {file: \"{{ token_file }}\"}
  from_env: {env: NO_SUCH_VARIABLE}
requires:
  tools: [git, no-such-tool]
  env: [HOME, NO_SUCH_VARIABLE]
steps:
  - {id: a, http: {url: \"https://localhost/\", auth: {bearer: from_file}}}
  - {id: b, http: {url: \"https://localhost/\", auth: {bearer: from_env}}}
";

#[test]
fn a_machine_that_is_ready_is_said_to_be_and_nothing_stays_behind() {
    let bed = Bed::new();
    let findings = said(&bed, &[], 0);
    has(&findings, "state folder", "ok", "is not there; the first run makes it");
    has(&findings, "processes", "ok", "under a supervisor");
    has(&findings, "bash", "ok", ".");
    assert!(!bed.state().join("runsheet").exists(), "looking made it");
    // And with one.
    bed.write("x.yaml", "title: X\nsteps:\n  - {id: a, shell: echo}\n");
    bed.run(&["run", "x.yaml", "--yes"]).end().code(0);
    let before = tree(&bed);
    let findings = said(&bed, &[], 0);
    has(&findings, "state folder", "ok", "mode 0700");
    has(&findings, "writing", "ok", "is removed again");
    has(&findings, "clock", "ok", "UTC");
    assert_eq!(tree(&bed), before);
    bed.run(&["doctor"]).end().code(0).stdout_has("this machine is ready");
    let quiet = bed.run(&["doctor", "--quiet"]).end().code(0);
    assert!(!quiet.stdout.contains("\nok "), "{}", quiet.stdout);
}

/// Everything below a bed.
fn tree(bed: &Bed) -> Vec<String> {
    let mut open = vec![bed.root().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.display().to_string());
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_one_runbook_needs_must_be_there_and_what_one_of_many_needs_may_be_missing() {
    let bed = Bed::new().file("runbooks/needy.yaml", NEEDY).file("runbooks/wrong.yaml", "title: 1\n");
    let findings = said(&bed, &["needy"], 4);
    has(&findings, "tool", "ok", "git: 2.");
    has(&findings, "tool", "bad", "no-such-tool is not on the search path");
    has(&findings, "secrets", "bad", "secret `from_env` cannot be read: the variable NO_SUCH_VARIABLE is not set");
    has(&findings, "secrets", "bad", "secret `from_file` cannot be read: there is no file");
    has(&findings, "variables", "ok", "handed to scripts: HOME; not set: NO_SUCH_VARIABLE");
    let findings = said(&bed, &[], 0);
    has(&findings, "tool", "warn", "no-such-tool is not on the search path (needy)");
    has(&findings, "runbooks", "warn", "1 cannot be run as they are: wrong");
    // The value of no secret is shown, and none is opened: a pipe would never answer.
    let bed = bed.tool("no-such-tool", "#!/bin/sh\ntouch ran\n").env("NO_SUCH_VARIABLE", "not-a-real-token");
    bed.call("mkfifo", &["token"]).end().code(0);
    let findings = said(&bed, &["needy"], 0);
    has(&findings, "secrets", "ok", "each has a source that is there");
    has(&findings, "tool", "ok", "bin/no-such-tool");
    assert!(!bed.exists("ran"), "a program was started that nobody knows");
    assert!(!bed.run(&["doctor", "needy"]).end().stdout.contains("not-a-real-token"));
}

#[test]
fn a_runbook_with_mistakes_or_without_a_file_is_told_as_everywhere() {
    let bed = Bed::new().file("runbooks/wrong.yaml", "title: 1\n");
    bed.run(&["doctor", "wrong"]).end().code(3).stderr_has("`title`");
    bed.run(&["doctor", "nowhere"]).end().code(2).stderr_has("could not find a runbook `nowhere`");
}

#[test]
fn a_state_folder_that_will_not_do_is_bad() {
    let bed = Bed::new();
    bed.write("plain", "a file\n");
    let plain = bed.path("plain").display().to_string();
    has(&said(&bed, &["--state-dir", &plain], 4), "state folder", "bad", "not a directory");
    has(&said(&bed, &["--state-dir", &format!("{plain}/below")], 4), "state folder", "bad", "not a directory");
    has(&said(&bed, &["--state-dir", "/proc/x"], 4), "space", "bad", "0 MiB");
    fs::create_dir_all(bed.path("open")).unwrap();
    fs::set_permissions(bed.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let open = bed.path("open").display().to_string();
    has(&said(&bed, &["--state-dir", &open], 4), "state folder", "bad", "open");
    fs::set_permissions(bed.path("open"), fs::Permissions::from_mode(0o755)).unwrap();
    has(&said(&bed, &["--state-dir", &open], 0), "state folder", "warn", "mode 0755");
    // A run that is to come.
    fs::create_dir_all(bed.path("open/runs/29991231-235959-aaaaaa")).unwrap();
    has(&said(&bed, &["--state-dir", &open], 0), "clock", "warn", "29991231-235959-aaaaaa bears a later time");
}

#[test]
fn without_bash_no_script_runs() {
    let bed = Bed::new().env("PATH", "/nonexistent");
    let findings = said(&bed, &[], 4);
    has(&findings, "bash", "bad", "not on the search path");
    has(&findings, "signatures", "warn", "no ssh-keygen");
}
