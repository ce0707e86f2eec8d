//! What a caller learns from the exit code, and that nothing ran where nothing could have.

use super::{nothing_ran, outcome};
use crate::support::Bed;

const TOUCH: &str = "title: X\nsteps:\n  - {id: a, shell: touch ran}\n";

#[test]
fn a_mistake_on_the_command_line_is_two() {
    let bed = Bed::with(
        "title: X\nparams: {version: {type: string, pattern: 'v\\d+'}, n: {type: integer, default: 1}}\nsteps:\n  - {id: a, shell: touch ran}\n",
    );
    for (args, said) in [
        (&["run", "./x.yaml", "--param", "versoin=v1"][..], "did you mean `version`?"),
        (&["run", "./x.yaml", "--param", "version"], "--param"),
        (&["run", "./x.yaml", "--param", "version=1"], "version"),
        (&["run", "./x.yaml", "--param", "version=v1", "--param", "n=many"], "whole number"),
        (&["run", "./x.yaml", "--no-such-flag"], "--no-such-flag"),
        (&["run"], "NAME|PATH"),
        (&["rnu", "./x.yaml"], "rnu"),
        (&["resume", "no-such-run"], "could not find the run"),
        (&["history", "--outcome", "succeded"], "succeeded"),
        (&["history", "--since", "5"], "--since"),
    ] {
        let ended = bed.run(args).end();
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        nothing_ran(&bed, ended.stderr_has(said));
    }
    for word in ["no-such", "./no-such.yaml"] {
        nothing_ran(&bed, bed.run(&["run", word]).end().code(2).stderr_has("no-such"));
    }
}

#[test]
fn a_runbook_with_mistakes_is_three_and_shows_them_all() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: a, shell: touch ran, whne: 1 == 1}\n  - {id: A, shell: 'true'}\n  - {id: c, shell: 'true', needs: [b]}\n",
    );
    let ended =
        bed.run(&["run", "./x.yaml"]).end().code(3).stderr_has("did you mean `when`?").stderr_has("./x.yaml:3:");
    nothing_ran(&bed, ended.stderr_has("3 errors"));
}

#[test]
fn what_is_missing_is_four_before_anything_ran() {
    for (lines, args, said) in [
        ("params: {version: {type: string, example: v1}}", &[][..], "--param version=v1"),
        ("requires: {tools: [bash, no-such-tool]}", &[], "no-such-tool"),
        ("secrets: {token: {env: NO_SUCH_VARIABLE}}", &[], "NO_SUCH_VARIABLE"),
        ("secrets: {token: {file: no-such-file}}", &[], "no-such-file"),
        ("secrets: {token: {command: [no-such-vault]}}", &[], "no-such-vault"),
        ("secrets: {token: {prompt: true}}", &[], "token"),
        ("cwd: no-such-folder", &[], "no-such-folder"),
    ] {
        let bed = Bed::with(&format!("title: X\n{lines}\nsteps:\n  - {{id: a, shell: touch ran}}\n"));
        let ended = bed.run(&["run", "./x.yaml", "--yes"]).args(args).end();
        assert_eq!(ended.code, Some(4), "{lines}: {}", ended.stderr);
        nothing_ran(&bed, ended.stderr_has(said));
    }
}

#[test]
fn an_effect_that_nobody_knows_of_is_seven_and_waits_for_a_decision() {
    let runbook =
        "title: X\nsteps:\n  - {id: a, shell: 'echo x >> ran; kill -KILL $$'}\n  - {id: b, shell: touch later}\n";
    for (as_, code, ran, later) in [("done", 0, "x\n", true), ("not-done", 7, "x\nx\n", false)] {
        let bed = Bed::with(runbook);
        bed.run(&["run", "./x.yaml", "--yes"]).end().code(7).stderr_has("unknown").stderr_has("runsheet resume");
        assert_eq!(outcome(&bed), "unknown");
        assert!(!bed.exists("later"));
        bed.run(&["resume", "last", "--yes"]).end().code(7);
        assert_eq!(bed.read("ran"), "x\n", "nothing whose effect is open is repeated");
        bed.run(&["resume", "last", "--step", "a", "--as", as_]).end().code(2).stderr_has("--reason");
        bed.run(&["resume", "last", "--step", "b", "--as", as_, "--reason", "saw it"]).end().code(2).stderr_has("`b`");
        bed.run(&["resume", "last", "--step", "a", "--as", as_, "--reason", "saw it"]).end().code(code);
        assert_eq!((bed.read("ran").as_str(), bed.exists("later")), (ran, later), "{as_}");
        bed.run(&["report", "last", "--format", "json"]).end().code(0).stdout_has("saw it");
        bed.run(&["verify", "last"]).end().code(0);
    }
}

#[test]
fn two_runs_with_one_lock_never_overlap() {
    let bed = Bed::with(
        "title: X\nparams: {place: {type: string, default: production}}\nlock: deploy-{{ place }}\nsteps:\n  - {id: a, shell: 'read line < gate; touch ran'}\n",
    )
    .file("y.yaml", "title: Y\nlock: deploy-production\nsteps:\n  - {id: a, confirm: 'Sure?'}\n")
    .file("answers.yaml", "a: no\n");
    bed.call("mkfifo", &["gate"]).end().code(0);
    let mut first = bed.run(&["run", "./x.yaml"]).start();
    first.until_stderr("▶ a");
    let id = bed.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    // Who, since when, and what to do.
    let second = bed.run(&["run", "./x.yaml"]).end().code(8);
    for said in ["could not take the lock `deploy-production`", &id, "tester", "since 20", "wait for it to end"] {
        assert!(second.stderr.contains(said), "`{said}` is not in {}", second.stderr);
    }
    // Another lock is another matter, and so is the same run twice.
    bed.run(&["plan", "./x.yaml"]).end().code(0);
    bed.run(&["resume", "last"]).end().code(8).stderr_has(&id);
    bed.call("sh", &["-c", "echo go > gate"]).end().code(0);
    first.end().code(0);
    assert_eq!(bed.runs().len(), 1, "a run that could not start leaves nothing");
    // A paused run keeps its lock until it is over.
    bed.run(&["run", "./y.yaml"]).end().code(11);
    bed.run(&["run", "./y.yaml"]).end().code(8).stderr_has("runsheet resume");
    bed.run(&["resume", "last", "--answers", "answers.yaml"]).end().code(5);
    bed.run(&["run", "./y.yaml", "--yes"]).end().code(0);
}

#[test]
fn success_is_zero_and_failure_one() {
    let bed = Bed::with(TOUCH);
    bed.run(&["run", "./x.yaml"]).end().code(0);
    assert_eq!(outcome(&bed), "succeeded");
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: exit 3}\n");
    bed.run(&["run", "./x.yaml"]).end().code(1);
    assert_eq!(outcome(&bed), "failed");
    bed.run(&["resume", "last"]).end().code(1);
    for flag in ["--help", "--version"] {
        bed.run(&[flag]).end().code(0).stdout_has("runsheet");
    }
}

#[test]
fn a_record_that_was_changed_is_ten() {
    let bed = Bed::with(TOUCH);
    bed.run(&["run", "./x.yaml"]).end().code(0);
    let journal = bed.runs()[0].join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replace("tester", "nobody")).unwrap();
    bed.run(&["verify", "last"]).end().code(10);
}
