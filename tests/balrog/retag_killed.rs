//! `balrog/retag-ui` when the program itself dies in the middle.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::{front::Front, retag::World};
use crate::standins::github::Fault;

const YES: &[(&str, &str)] = &[("quiet-time", "yes"), ("go", "v3.10")];

#[test]
fn while_it_waits() {
    for step in ["clear/tag-gone", "release/tag-there", "release/stays", "release/published"] {
        let world = World::new(vec![Fault::Late { looks: 8 }]);
        let bench = world.bench("v3.10", &[]);
        bench.start(YES).until_doing(step).kill();
        bench.resume(YES).succeeded();
        world.is_at("v3.10");
        assert_eq!(world.github.requests_of("POST", "/releases").len(), 1);
    }
}

#[test]
fn after_a_change_whose_answer_was_on_its_way() {
    for (request, step) in [
        ("DELETE /repos/mozilla-releng/balrog/releases/", "clear/delete[2]"),
        ("DELETE /repos/mozilla-releng/balrog/git/refs/", "clear/delete-tag"),
        ("POST /repos/mozilla-releng/balrog/releases", "release/publish"),
    ] {
        let world = World::new(vec![]);
        let front = Front::keeping(&world.github.url(), request);
        let bench = world.bench_at(front.url(), "v3.10", &[]);
        let going = bench.start(YES).until_doing(step);
        front.until_kept();
        going.kill();
        let resumed = bench.resume(YES);
        resumed.succeeded();
        assert_eq!(resumed.status(step), Some("succeeded"));
        world.is_at("v3.10");
        let production_ui = world.github.state().releases.iter().filter(|r| r.tag_name == "production-ui").count();
        assert_eq!(production_ui, 1);
    }
}

/// The push outlives the engine; the resumed run takes its end from what its supervisor wrote down.
#[test]
fn while_git_pushes() {
    let world = World::new(vec![]);
    let gate = world.git.path().join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let hook = world.git.clone_dir().join(".git/hooks/pre-push");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\ncat \"$HOME/gate\" >/dev/null\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let bench = world.bench("v3.10", &[]);
    let going = bench.start(YES).until_doing("push");
    // Opening it for writing waits until the hook reads, so that the push is known to be under way.
    let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    going.kill();
    drop(open);
    fs::remove_file(&hook).unwrap();
    bench.resume(YES).succeeded();
    world.is_at("v3.10");
}
