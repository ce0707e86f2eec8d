//! The files of `docs/ci` and the hooks of pre-commit: each is read as the data that it is, and each of its commands is run on
//! a repository made for it. What builds or publishes is a stand-in that writes down how it was called.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use serde_json::Value as Json;

use super::{GOOD, commit, repository};
use crate::lab::{BINARY, Ended, Lab, finish};

fn read(path: &str) -> Json {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// A repository whose last commit changes a runbook and its document, with stand-ins for what is not ours.
fn changed() -> Lab {
    let lab = repository();
    std::fs::write(lab.path("work/runbooks/web/restart.yaml"), GOOD.replace("Restarts it.", "Restarts it at once."))
        .unwrap();
    lab.call(&["render", "runbooks", "--out", "docs/runbooks"]).expect(0);
    commit(&lab, "second");
    std::fs::create_dir(lab.path("tools")).unwrap();
    for name in ["cargo", "rustup", "gh"] {
        let path = lab.path(&format!("tools/{name}"));
        std::fs::write(&path, format!("#!/bin/sh\necho {name} \"$@\" >> \"$HOME/called\"\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::symlink(BINARY, lab.path("tools/runsheet")).unwrap();
    lab
}

/// As a runner does it.
fn run(lab: &Lab, script: &str, env: &[(String, String)]) -> Ended {
    let mut command = std::process::Command::new("bash");
    let path = format!("{}:{}", lab.path("tools").display(), std::env::var("PATH").unwrap());
    command
        .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", lab.home())
        .envs(env.iter().cloned())
        .current_dir(lab.path("work"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command)
}

fn text<'j>(value: &'j Json, what: &str) -> &'j str {
    value.as_str().unwrap_or_else(|| panic!("{what} is no text: {value}"))
}

fn rust_version() -> &'static str {
    let line = include_str!("../../Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = "));
    line.unwrap().trim_matches('"')
}

#[test]
fn the_workflow_of_github_is_well_made_and_its_commands_work() {
    let workflow = read("docs/ci/github.yaml");
    let job = &workflow["jobs"]["judge"];
    assert!(
        workflow["on"]["pull_request"].is_object() && job["runs-on"].is_string() && job["timeout-minutes"].is_u64()
    );
    // Nothing may be written to the repository by it, and a comment is all it may make.
    assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}));
    assert_eq!(job["permissions"], serde_json::json!({"contents": "read", "pull-requests": "write"}));
    let lab = changed();
    let page = lab.file("page", "");
    let mut ran = 0;
    for step in job["steps"].as_array().unwrap() {
        let Some(script) = step["run"].as_str() else {
            assert!(text(&step["uses"], "uses").starts_with("actions/"), "{step}");
            continue;
        };
        // A value of somebody else's that stands in a script becomes part of it; in a variable it stays a value.
        assert!(!script.contains("${{"), "{script}");
        let given = step["env"].as_object().into_iter().flatten();
        let mut env: Vec<(String, String)> = given
            .map(|(name, value)| {
                let inner = text(value, name).strip_prefix("${{ ").and_then(|value| value.strip_suffix(" }}"));
                (name.clone(), inner.unwrap_or_else(|| panic!("{name} is no expression")).to_owned())
            })
            .collect();
        env.push(("GITHUB_STEP_SUMMARY".to_owned(), page.clone()));
        run(&lab, script, &env).expect(0);
        ran += 1;
    }
    assert_eq!(ran, 3);
    let rust = rust_version();
    assert_eq!(
        lab.marks("called"),
        [
            format!("rustup toolchain install {rust} --profile minimal"),
            format!("cargo +{rust} install --locked --git vars.RUNSHEET_SOURCE --rev vars.RUNSHEET_REV runsheet"),
            "gh pr comment github.event.pull_request.number --body-file comment.md --edit-last --create-if-none"
                .to_owned(),
        ]
    );
    assert!(lab.read("page").starts_with("## runsheet: passed\n"), "{}", lab.read("page"));
    assert!(lab.read("work/comment.md").contains("web/restart"), "{}", lab.read("work/comment.md"));
}

#[test]
fn the_job_of_gitlab_is_well_made_and_its_commands_work() {
    let whole = read("docs/ci/gitlab.yaml");
    let job = &whole["runbooks"];
    assert_eq!(job["image"], format!("rust:{}", rust_version()));
    let lines: Vec<&str> = [&job["before_script"], &job["script"]]
        .into_iter()
        .flat_map(|list| list.as_array().unwrap())
        .map(|line| text(line, "a line of a script"))
        .collect();
    let source = ["SOURCE", "REV"].map(|name| (format!("RUNSHEET_{name}"), format!("our-{name}")));
    for base in [None, Some("HEAD^".to_owned())] {
        let lab = changed();
        let base = base.map(|base| ("CI_MERGE_REQUEST_DIFF_BASE_SHA".to_owned(), base));
        let env: Vec<_> = source.iter().cloned().chain(base).collect();
        run(&lab, &lines.join("\n"), &env).expect(0);
        assert_eq!(
            lab.marks("called"),
            ["cargo install --locked --root .kept --git our-SOURCE --rev our-REV runsheet"]
        );
        for path in job["artifacts"]["paths"].as_array().unwrap() {
            let page = lab.read(&format!("work/{}", text(path, "a path")));
            assert!(page.contains("runsheet") || page.contains("web/restart"), "{page}");
        }
    }
    // What is wrong fails the job.
    let lab = changed();
    std::fs::write(lab.path("work/docs/runbooks/web/restart.md"), "stale").unwrap();
    run(&lab, &lines.join("\n"), &source).expect(1);
    assert!(lab.read("work/runbooks.md").starts_with("## runsheet: failed, exit 1\n"));
}

#[test]
fn the_hooks_of_pre_commit_work_on_the_files_that_they_are_given() {
    let hooks = read(".pre-commit-hooks.yaml");
    let files =
        ["runbooks/web/restart.yaml", "runbooks/web/restart.scenarios.yaml", "docs/runbooks/README.md", "src/a.yaml"];
    let mut taken = Vec::new();
    for hook in hooks.as_array().unwrap() {
        assert_eq!(hook["language"], "rust");
        let matches = |name: &str, path: &str| {
            hook[name].as_str().is_some_and(|pattern| regex::Regex::new(pattern).unwrap().is_match(path))
        };
        let given: Vec<&str> =
            files.iter().copied().filter(|path| matches("files", path) && !matches("exclude", path)).collect();
        let names = if hook["pass_filenames"] == false { String::new() } else { given.join(" ") };
        let script = format!("{} {names}", text(&hook["entry"], "entry"));
        let lab = changed();
        run(&lab, &script, &[]).expect(0);
        std::fs::write(lab.path("work/runbooks/web/restart.yaml"), "title: Bad\nsteps: []\n").unwrap();
        run(&lab, &script, &[]).expect(3);
        taken.push((text(&hook["id"], "id").to_owned(), given.len()));
    }
    assert_eq!(taken, [("runsheet-check".to_owned(), 1), ("runsheet-ci".to_owned(), 3)]);
}
