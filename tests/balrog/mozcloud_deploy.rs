//! `balrog/mozcloud-deploy` against stand-ins for GitHub, Docker Hub, Argo CD and the services.

use serde_json::json;

use super::{
    Bench,
    front::Front,
    mozcloud::{Faults, NEW, World},
};
use crate::standins::{
    argocd::Fault,
    github::{self, WorkflowFault},
    server::On,
};

pub const YES: &[(&str, &str)] = &[
    ("go", "yes"),
    ("promote/go", "yes"),
    ("bump", "{pull_request: \"https://github.com/mozilla-releng/balrog/pull/1\"}"),
];

pub fn bench_at(world: &World, edits: &[(&str, &str)]) -> Bench {
    through(world, &world.argo.url(), &world.github.url(), edits).param("commit", world.commit())
}

fn through(world: &World, argo: &str, api: &str, edits: &[(&str, &str)]) -> Bench {
    world
        .bench("balrog/mozcloud-deploy", argo, api, edits)
        .param("registry", world.hub.url())
        .param("settle", "30ms")
        .param("building", "10s")
}

fn argo(fault: Fault) -> Faults {
    Faults { argo: vec![fault], ..Faults::default() }
}

fn workflow(fault: WorkflowFault) -> Faults {
    Faults { github: vec![github::Fault::Workflow(fault)], ..Faults::default() }
}

/// Released at the right commit, copied, everything has the version, and the UI by one run.
fn is_deployed(world: &World) {
    assert_eq!(world.live(), [NEW; 3]);
    let state = world.github.state();
    assert_eq!(state.releases.iter().filter(|release| release.tag_name == NEW && !release.draft).count(), 1);
    assert_eq!(state.repo.commit(&format!("refs/tags/{NEW}")), Some(world.commit()));
    assert_eq!(state.ui("stage").as_deref(), Some(NEW));
    drop(state);
    assert_eq!((world.dispatched("docker-push.yml"), world.dispatched("ui-deploy.yml")), (1, 1));
    assert_eq!(world.argo.state().app("balrog-app").acted, ["promote-full"]);
    // Stage syncs by itself.
    assert!(world.argo.requests_of("POST", "/sync").is_empty());
}

#[test]
fn a_commit_becomes_a_release_and_then_stage() {
    let world = World::stage(Faults::default());
    bench_at(&world, &[]).run(YES).succeeded();
    is_deployed(&world);
    let inputs: Vec<_> = world.github.state().dispatches.iter().map(|run| run.inputs.clone()).collect();
    assert_eq!(inputs, [json!({"image_tag": NEW}), json!({"deploy_env": "stage", "ref": NEW})]);
}

#[test]
fn a_release_that_is_there_is_deployed_as_it_is() {
    let world = World::stage(Faults::default());
    world.github.state().repo.create_ref(&format!("refs/tags/{NEW}"), &world.commit());
    world.github.state().publish_old(NEW);
    through(&world, &world.argo.url(), &world.github.url(), &[]).run(YES).succeeded();
    is_deployed(&world);
}

/// Whoever names a commit gets that one or none: a release that is there is built from what its tag leads to.
#[test]
fn a_release_of_another_commit_than_the_one_named_is_not_deployed() {
    let run = |edits: &[(&str, &str)]| {
        let world = World::stage(Faults::default());
        world.github.state().repo.create_ref(&format!("refs/tags/{NEW}"), &world.commit());
        world.github.state().publish_old(NEW);
        let named = world.github.state().repo.commit("main~1").unwrap();
        let bench = through(&world, &world.argo.url(), &world.github.url(), edits).param("commit", named);
        (bench.run(YES), world)
    };
    let (ran, world) = run(&[]);
    ran.stopped_at("other-commit", &world.commit());
    assert!(world.github.requests_of("POST", "").is_empty());
    let (ran, world) = run(&[("commit != '' and commit != released_sha", "false")]);
    ran.succeeded();
    is_deployed(&world);
}

/// What runs already is nothing that undo could bring back.
#[test]
fn a_second_run_has_to_be_told_what_ran_before() {
    let world = World::stage(Faults::default());
    bench_at(&world, &[]).run(YES).succeeded();
    bench_at(&world, &[]).run(YES).stopped_at("ran-before", "--param previous=");
    let again = bench_at(&world, &[]).param("previous", "v3.119");
    assert_eq!(again.run(&[]).code, 11);
}

#[test]
fn nothing_is_released_that_nobody_has_named_or_whose_tree_says_otherwise() {
    let world = World::stage(Faults::default());
    through(&world, &world.argo.url(), &world.github.url(), &[]).run(YES).stopped_at("commit-known", "commit=");
    // The commit before it is v3.119.
    let before = world.github.state().repo.commit("main~1").unwrap();
    let bench = through(&world, &world.argo.url(), &world.github.url(), &[]).param("commit", before);
    bench.run(YES).stopped_at("tree-version", "version");
    assert_eq!(bench_at(&world, &[]).run(&[]).code, 11);
    assert!(world.github.state().releases.is_empty());
    assert!(world.github.requests_of("POST", "").is_empty());
}

#[test]
fn the_ui_is_taken_back() {
    let world = World::stage(Faults::default());
    let bench = bench_at(&world, &[]);
    bench.run(YES).succeeded();
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!(world.github.state().ui("stage").as_deref(), Some("v3.119"));
    assert_eq!(world.live(), [NEW; 3]);
}

#[test]
fn it_copes() {
    let lost = |on| Faults { github: vec![github::Fault::ReplyLost { on, times: 1 }], ..Faults::default() };
    for faults in [
        argo(Fault::Late { looks: 3 }),
        argo(Fault::ReplyLost { on: On::of("POST", "/actions/v2"), times: 1 }),
        argo(Fault::ServerError { on: On::of("GET", "applications/balrog-admin"), times: 3, effect: false }),
        workflow(WorkflowFault::Slow { looks: 3 }),
        lost(On::of("POST", "/releases")),
    ] {
        eprintln!("{:?} {:?}", faults.argo, faults.github);
        let world = World::stage(faults);
        bench_at(&world, &[]).run(YES).succeeded();
        is_deployed(&world);
    }
}

#[test]
fn it_notices() {
    let old = Faults { old_images: true, ..Faults::default() };
    let refused = |on| Faults { github: vec![github::Fault::Unauthorized { on }], ..Faults::default() };
    let cases: Vec<(Faults, &str, &str)> = vec![
        (old, "pushed[mozilla/balrog]", "not yet"),
        (refused(On::of("GET", "/contents/")), "tree-version", "401"),
        (workflow(WorkflowFault::Ends("failure")), "copy/well", "actions/runs/"),
        (argo(Fault::Ends("Failed")), "admin/shown", "not yet"),
        (argo(Fault::NeverReady), "admin/shown", "not yet"),
        (argo(Fault::FlipsBack { to: "Degraded" }), "admin/shown", "fails when"),
        (argo(Fault::CanaryAborted), "canary/shown", ""),
        (argo(Fault::ActionIgnored), "promote/promoted", "not yet"),
        (argo(Fault::PromotionFails), "promote/promoted", "not yet"),
    ];
    for (faults, at, why) in cases {
        eprintln!("{at}: {:?} {:?}", faults.argo, faults.github);
        let world = World::stage(faults);
        let bench = bench_at(&world, &[]).param("deployment", "1s").param("building", "1s");
        bench.run(YES).stopped_at(at, why);
        assert_eq!((world.live()[2].as_str(), world.dispatched("ui-deploy.yml")), ("v3.119", 0), "{at}");
    }
}

/// Killed while a change was on its way, and while it waits: nothing is done twice.
#[test]
fn killed_and_resumed() {
    for (request, step, at_github) in [
        ("POST /repos/mozilla-releng/balrog/releases ", "publish/publish", true),
        ("POST /api/v1/applications/balrog-app/resource/actions/v2", "promote/promote", false),
    ] {
        let world = World::stage(Faults::default());
        let front = Front::keeping(&if at_github { world.github.url() } else { world.argo.url() }, request);
        let bench = match at_github {
            true => through(&world, &world.argo.url(), front.url(), &[]),
            false => through(&world, front.url(), &world.github.url(), &[]),
        };
        let bench = bench.param("commit", world.commit());
        let going = bench.start(YES).until_doing(step);
        front.until_kept();
        going.kill();
        bench.resume(YES).succeeded();
        is_deployed(&world);
    }
    for step in ["pushed[mozilla/balrog]", "copy/ended", "agent/shown", "ui/ended"] {
        let world = World::stage(Faults::default());
        let bench = bench_at(&world, &[]);
        bench.start(YES).until_doing(step).kill();
        bench.resume(YES).succeeded();
        is_deployed(&world);
    }
}
