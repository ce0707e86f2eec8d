//! `balrog/deploy-stage` when the program itself dies in the middle.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::{
    front::Front,
    stage::{World, YES},
};

#[test]
fn while_it_reads_and_waits() {
    for step in ["schema/read", "release/tag-there", "bump/seen"] {
        let world = World::new(vec![]);
        let bench = world.bench(&[]);
        bench.start(YES).until_doing(step).kill();
        bench.resume(YES).succeeded();
        world.is_deployed(&world.git.commit_of("main"));
    }
}

#[test]
fn after_a_change_whose_answer_was_on_its_way() {
    for (request, step) in [
        ("POST /repos/mozilla-releng/balrog/releases", "release/publish"),
        ("POST /repos/mozilla-releng/balrog/pulls", "bump/pull-request"),
    ] {
        let world = World::new(vec![]);
        let front = Front::keeping(&world.github.url(), request);
        let bench = world.bench_at(front.url(), &[]);
        let going = bench.start(YES).until_doing(step);
        front.until_kept();
        going.kill();
        bench.resume(YES).succeeded();
        world.is_deployed(&world.git.commit_of("main"));
        let created = world.github.requests_of("POST", "/").len();
        assert_eq!(created, 2, "nothing is made twice");
    }
}

/// What git does outlives the engine; the resumed run takes its end from what its supervisor wrote down.
#[test]
fn while_git_makes_and_pushes() {
    for (step, hook) in [("push", "pre-push"), ("bump/push", "pre-push"), ("bump/write", "reference-transaction")] {
        let world = World::new(vec![]);
        let gate = world.git.path().join("gate");
        assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let bench = world.bench(&[]);
        let armed = world.git.path().join("armed");
        let path = world.git.clone_dir().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // It stops once, at the step that is meant: the one before it that changes refs is not.
        let refs = match step {
            "push" => "refs/tags/v3.11",
            _ => "refs/heads/version-3.12",
        };
        let script = format!(
            "#!/bin/sh\nif grep -q {refs} && mv \"$HOME/armed\" \"$HOME/fired\" 2>/dev/null; then cat \"$HOME/gate\" >/dev/null; fi\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&armed, "").unwrap();
        let going = bench.start(YES).until_doing(step);
        // Opening it for writing waits until the hook reads, so that git is known to be under way.
        let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        going.kill();
        drop(open);
        bench.resume(YES).succeeded();
        world.is_deployed(&world.git.commit_of("main"));
    }
}
