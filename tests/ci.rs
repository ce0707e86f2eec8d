//! `ci`: every part is run whatever became of the others, the exit code is the one that says most, and nothing is left behind
//! but the summary that was asked for.

mod kit;
mod mistakes;

use std::path::Path;

use serde_json::Value as Json;

use crate::lab::{BINARY, Ended, Lab, finish};

pub const GOOD: &str = "\
title: Restart the server
summary: Restarts it.
owner: operations
params: {host: {type: string, default: web-1, prompt: Which host}}
steps:
  - {id: look, title: Is it up, shell: 'echo \"up $host\"', effect: read, capture: {state: result.stdout}}
  - {id: sure, confirm: 'Restart {{ host }}, which is {{ state }}?'}
  - {id: restart, title: Restart it, shell: 'echo \"restarted $host\"', verify: {shell: 'true'}}
";

/// A folder of runbooks with documents of it, as a checkout has them.
pub fn checkout() -> Lab {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("work/runbooks/web")).unwrap();
    std::fs::write(lab.path("work/runbooks/web/restart.yaml"), GOOD).unwrap();
    lab.call(&["render", "runbooks", "--out", "docs/runbooks"]).expect(0);
    lab
}

fn parts(ended: &Ended) -> Vec<(String, String, i64)> {
    let whole: Json = serde_json::from_str(&ended.out).unwrap_or_else(|why| panic!("{why}: {ended:#?}"));
    assert_eq!(whole["code"], i64::from(ended.code.unwrap()));
    assert_eq!(whole["passed"], ended.code == Some(0));
    let text = |part: &Json, name: &str| part[name].as_str().unwrap().to_owned();
    let one = |part: &Json| (text(part, "part"), text(part, "state"), part["code"].as_i64().unwrap());
    whole["parts"].as_array().unwrap().iter().map(one).collect()
}

fn state_of(parts: &[(String, String, i64)], name: &str) -> (String, i64) {
    let part = parts.iter().find(|part| part.0 == name).unwrap_or_else(|| panic!("no part {name} in {parts:?}"));
    (part.1.clone(), part.2)
}

/// The same as a repository of git with one commit.
pub fn repository() -> Lab {
    let lab = checkout();
    git(&lab, &["init", "-q", "-b", "main"]);
    commit(&lab, "first");
    lab
}

/// Nothing of the machine's own configuration is read.
pub fn git(lab: &Lab, args: &[&str]) {
    let mut command = std::process::Command::new("git");
    command
        .args(["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(lab.path("work"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    finish(command).expect(0);
}

pub fn commit(lab: &Lab, message: &str) {
    git(lab, &["add", "-A"]);
    git(lab, &["commit", "-q", "-m", message]);
}

#[test]
fn what_is_done_otherwise_is_told_and_may_be_refused() {
    let lab = repository();
    let ended = lab.call(&["ci", "--against", "HEAD"]).expect(0);
    assert!(ended.out.contains("difference passed    nothing is done otherwise than in HEAD"), "{}", ended.out);
    let unguarded: String =
        GOOD.lines().filter(|line| !line.contains("confirm")).map(|line| format!("{line}\n")).collect();
    std::fs::write(lab.path("work/runbooks/web/restart.yaml"), unguarded).unwrap();
    let ended = lab.call(&["ci", "--against", "HEAD"]).expect(0);
    assert!(ended.out.contains("web/restart: "), "{}", ended.out);
    assert!(ended.out.contains("difference passed    1 of 1 runbooks are not those of HEAD"), "{}", ended.out);
    let refuse = ["ci", "--against", "HEAD", "--fail-on", "guard-removed,destroy-added"];
    let ended = lab.call(&refuse).expect(1);
    assert!(ended.out.contains("; not wanted: guard-removed"), "{}", ended.out);
    let ended = lab.call(&[&refuse[..], &["--format", "github"]].concat()).expect(1);
    assert!(
        ended.out.contains("::error file=runbooks/web/restart.yaml,title=runsheet%3A guard-removed::"),
        "{}",
        ended.out
    );
    let ended = lab.call(&[&refuse[..], &["--format", "json", "--docs", "docs/runbooks"]].concat()).expect(1);
    let found = parts(&ended);
    assert_eq!(state_of(&found, "difference"), ("failed".into(), 1));
    assert_eq!(state_of(&found, "documents"), ("failed".into(), 1));
    // What cannot be is told before anything is done.
    let ended = lab.call(&["ci", "--against", "HEAD", "--fail-on", "guard-remove"]).expect(2);
    assert!(ended.err.contains("did you mean `guard-removed`?") && ended.out.is_empty(), "{ended:#?}");
    let found = parts(&lab.call(&["ci", "--against", "no-such-branch", "--format", "json"]).expect(2));
    assert_eq!(state_of(&found, "difference"), ("failed".into(), 2));
    assert_eq!(state_of(&found, "check"), ("passed".into(), 0));
}

const SCENARIOS: &str = "\
scenarios:
  - name: it comes up again
    answers: {sure: yes}
    world:
      shell:
        - {step: look, reply: [{exit: 0, stdout: up}]}
        - {step: restart, reply: [{exit: 0}]}
    expect: {outcome: succeeded}
";

#[test]
fn scenarios_are_tried_and_what_they_go_through_is_counted() {
    let lab = checkout();
    let found = parts(&lab.call(&["ci", "--format", "json"]).expect(0));
    assert_eq!(state_of(&found, "tests"), ("left_out".into(), 0));
    lab.call(&["ci", "--min-coverage", "50"]).expect(1);
    std::fs::write(lab.path("work/runbooks/web/restart.scenarios.yaml"), SCENARIOS).unwrap();
    let ended = lab.call(&["ci", "--min-coverage", "10"]).expect(0);
    assert!(ended.out.contains("tests      passed    1 scenario of 1 runbook: 1 passed"), "{}", ended.out);
    lab.call(&["ci", "--min-coverage", "100"]).expect(1);
    std::fs::write(lab.path("work/runbooks/web/restart.scenarios.yaml"), SCENARIOS.replace("succeeded", "failed"))
        .unwrap();
    let ended = lab.call(&["ci", "--format", "json"]).expect(1);
    let whole: Json = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(state_of(&parts(&ended), "tests"), ("failed".into(), 1));
    assert_eq!(whole["parts"][2]["found"][0]["result"], "failed");
    let ended = lab.call(&["ci", "--format", "github"]).expect(1);
    assert!(ended.out.starts_with("::error file=runbooks/web/restart.scenarios.yaml,line="), "{}", ended.out);
}

const JSON: [&str; 5] = ["ci", "--format", "json", "--docs", "docs/runbooks"];

#[test]
fn what_is_in_order_passes_and_says_so() {
    let lab = checkout();
    let ended = lab.call(&["ci", "--docs", "docs/runbooks"]).expect(0);
    assert!(ended.out.contains("check      passed    1 runbook: no errors, no warnings"), "{}", ended.out);
    assert!(ended.out.contains("documents  passed    2 up to date below docs/runbooks\n"), "{}", ended.out);
    assert!(ended.out.ends_with("together   passed\n"), "{}", ended.out);
    // What nothing is said about is left out, and says so.
    let parts = parts(&lab.call(&["ci", "--format", "json"]).expect(0));
    assert_eq!(state_of(&parts, "documents"), ("left_out".into(), 0));
}

#[test]
fn every_part_is_run_and_the_code_that_says_most_wins() {
    let lab = checkout();
    std::fs::write(lab.path("work/docs/runbooks/web/restart.md"), "# Something else\n").unwrap();
    let found = parts(&lab.call(&JSON).expect(1));
    assert_eq!(state_of(&found, "documents"), ("failed".into(), 1));
    assert_eq!(state_of(&found, "check"), ("passed".into(), 0));

    std::fs::write(lab.path("work/runbooks/bad.yaml"), "title: Bad\nsteps:\n  - {id: a, shel: x}\n").unwrap();
    let ended = lab.call(&JSON).expect(3);
    let found = parts(&ended);
    assert_eq!(state_of(&found, "check"), ("failed".into(), 3));
    assert_eq!(state_of(&found, "documents"), ("failed".into(), 3));
    let whole: Json = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(whole["parts"][0]["found"][0]["file"], "runbooks/bad.yaml");

    std::fs::remove_file(lab.path("work/runbooks/bad.yaml")).unwrap();
    let text = lab.call(&["ci", "--docs", "docs/runbooks"]).expect(1).out;
    assert!(text.contains("docs/runbooks/web/restart.md: it differs from line 1"), "{text}");
    assert!(text.contains("to write them: runsheet render runbooks --out docs/runbooks"), "{text}");
    assert!(text.ends_with("together   failed, exit 1\n"), "{text}");
}

#[test]
fn warnings_count_where_that_is_wanted() {
    let lab = checkout();
    let warned = GOOD.replace("    shell", "shell").replace(", verify: {shell: 'true'}", "");
    std::fs::write(lab.path("work/runbooks/web/restart.yaml"), warned).unwrap();
    lab.call(&["ci"]).expect(0);
    lab.call(&["ci", "--deny", "warnings"]).expect(3);
}

#[test]
fn there_is_one_summary_and_it_holds_what_was_found() {
    let lab = checkout();
    std::fs::write(lab.path("work/runbooks/bad.yaml"), "title: '```|<b>'\nsteps:\n  - {id: a, shel: x}\n").unwrap();
    lab.call(&["ci", "--summary", "summary.md"]).expect(3);
    let page = lab.read("work/summary.md");
    assert!(
        page.starts_with(
            "## runsheet: failed, exit 3\n\n| part | | |\n| --- | --- | --- |\n| check | failed | 2 runbooks: 1 error"
        ),
        "{page}"
    );
    assert!(page.contains("<details open><summary>check</summary>\n\n"), "{page}");
    assert!(page.contains("runbooks/bad.yaml:3") && page.contains("did you mean"), "{page}");
    // It is written anew each time, and where it cannot be written that is a failure which hides no other.
    lab.call(&["ci", "runbooks/web", "--summary", "summary.md"]).expect(0);
    assert!(lab.read("work/summary.md").starts_with("## runsheet: passed\n"));
    let ended = lab.call(&["ci", "runbooks/web", "--summary", "no/such/folder.md"]).expect(1);
    assert!(ended.err.contains("could not write the summary to no/such/folder.md"), "{}", ended.err);
    lab.call(&["ci", "--summary", "no/such/folder.md"]).expect(3);
}

#[test]
fn github_is_told_in_its_own_way() {
    let lab = checkout();
    std::fs::write(lab.path("work/runbooks/bad.yaml"), "title: Bad\nsteps:\n  - {id: a, shel: x}\n").unwrap();
    std::fs::write(lab.path("work/docs/runbooks/web/restart.md"), "::error::not ours\n").unwrap();
    let page = lab.file("page", "before\n");
    let with = |args: &[&str]| {
        let mut command = lab.command(args);
        command.env("GITHUB_STEP_SUMMARY", &page);
        finish(command)
    };
    let ended = with(&["ci", "--format", "github", "--docs", "docs/runbooks"]).expect(3);
    assert!(ended.out.contains("::error file=runbooks/bad.yaml,line=3,"), "{}", ended.out);
    // What a file holds cannot command anything.
    assert!(!ended.out.contains("\n::error::"), "{}", ended.out);
    let page = lab.read("page");
    assert!(page.starts_with("before\n## runsheet: failed, exit 3\n"), "{page}");
    // In the other formats the page of a job is left alone.
    with(&["ci"]).expect(3);
    assert_eq!(lab.read("page"), page);
    std::fs::remove_file(lab.path("work/runbooks/bad.yaml")).unwrap();
    let ended = with(&["ci", "--format", "github", "--docs", "docs/runbooks"]).expect(1);
    assert!(
        ended.out.contains("::error file=docs/runbooks/web/restart.md,title=runsheet%3A document::not what"),
        "{}",
        ended.out
    );
}

/// Every file below a folder, with its bytes and when it was written.
fn everything(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
    let (mut open, mut all) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let changed = path.symlink_metadata().unwrap().modified().unwrap();
            if path.is_dir() {
                open.push(path.clone());
                all.push((path, Vec::new(), changed));
            } else {
                all.push((path.clone(), std::fs::read(&path).unwrap(), changed));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn it_needs_no_home_no_state_and_no_terminal_and_leaves_nothing() {
    let lab = repository();
    let before = everything(lab.home());
    let mut command = std::process::Command::new(BINARY);
    command
        .args(["ci", "--docs", "docs/runbooks", "--against", "HEAD"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .current_dir(lab.path("work"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    finish(command).expect(0);
    assert_eq!(everything(lab.home()), before);
}

#[test]
fn paths_that_are_not_there_are_a_mistake_of_the_call() {
    let lab = Lab::new();
    let found = parts(&lab.call(&["ci", "--format", "json"]).expect(2));
    assert_eq!(state_of(&found, "check"), ("failed".into(), 2));
    lab.call(&["ci", "--format", "xml"]).expect(2);
}
