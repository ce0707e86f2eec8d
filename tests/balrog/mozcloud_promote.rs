//! `balrog/mozcloud-promote` against stand-ins for GitHub, Argo CD, Sentry and the services, over a real history.

use serde_json::json;

use super::{
    Bench,
    front::Front,
    mozcloud::{Faults, NEW, SENTRY, World, sentry},
};
use crate::standins::{
    argocd::Fault,
    github::{self, WorkflowFault},
    server::On,
};

pub const YES: &[(&str, &str)] = &[
    ("quiet-time", "yes"),
    ("admin/go", "yes"),
    ("agent/go", "yes"),
    ("canary/go", "yes"),
    ("promote/go", "yes"),
    ("news/way/hand/post", "done"),
];

pub fn bench_at(world: &World, change: &str, edits: &[(&str, &str)]) -> Bench {
    through(world, &world.argo.url(), &world.github.url(), change, edits)
}

fn through(world: &World, argo: &str, api: &str, change: &str, edits: &[(&str, &str)]) -> Bench {
    world
        .bench("balrog/mozcloud-promote", argo, api, edits)
        .param("schema_change", change)
        .param("clone", world.folder.path().join("clone").to_str().unwrap())
        .param("sentry", world.sentry.url())
        .param("sentry_projects", "1,2,3")
        .param("sample", "20ms")
        .param("canary_watch", "60ms")
        .env("SENTRY_TOKEN", SENTRY)
        // It has to be there, although nothing is posted.
        .env("NOTIFY_WEBHOOK", "https://hooks.example/not-used")
}

fn argo(fault: Fault) -> Faults {
    Faults { argo: vec![fault], ..Faults::default() }
}

fn workflow(fault: WorkflowFault) -> Faults {
    Faults { github: vec![github::Fault::Workflow(fault)], ..Faults::default() }
}

/// Everything has the version, each application by one operation of ours, and the UI by one run.
fn is_deployed(world: &World) {
    assert_eq!(world.live(), [NEW; 3]);
    let state = world.argo.state();
    for app in &state.apps {
        let ours = app.operations.iter().filter(|operation| operation.user == "operator").count();
        assert_eq!(ours, 1, "operations on {}", app.name);
    }
    assert_eq!(state.app("balrog-app").acted, ["promote-full"]);
    drop(state);
    assert_eq!(world.github.state().ui("prod").as_deref(), Some(NEW));
    assert_eq!((world.dispatched("ui-deploy.yml"), world.dispatched("docker-push.yml")), (1, 0));
}

/// What changed something, in its order.
pub fn course(world: &World) -> Vec<String> {
    let of = |requests: Vec<crate::standins::server::Recorded>| -> Vec<String> {
        requests
            .into_iter()
            .map(|request| request.path.rsplit("balrog-").next().unwrap_or_default().to_owned())
            .collect()
    };
    of(world.argo.requests_of("POST", "applications"))
}

#[test]
fn the_order_follows_the_change_of_the_database() {
    for (change, wanted) in [
        ("none", ["admin/sync", "agent/sync", "app/sync", "app/resource/actions/v2"]),
        ("additive", ["admin/sync", "agent/sync", "app/sync", "app/resource/actions/v2"]),
        ("destructive", ["app/sync", "app/resource/actions/v2", "admin/sync", "agent/sync"]),
    ] {
        let world = World::production(change, Faults::default());
        bench_at(&world, change, &[]).run(YES).succeeded();
        assert_eq!(course(&world), wanted, "{change}");
        is_deployed(&world);
        let state = world.github.state();
        let inputs = &state.dispatches.last().unwrap().inputs;
        assert_eq!(inputs, &json!({"deploy_env": "prod", "ref": NEW}));
    }
}

#[test]
fn an_order_that_the_migrations_do_not_have_is_refused_before_anything() {
    for (is, said) in [("additive", "none"), ("destructive", "additive"), ("none", "destructive")] {
        let world = World::production(is, Faults::default());
        bench_at(&world, said, &[]).run(YES).stopped_at("order-fits", &format!("is {is}"));
        assert!(world.argo.requests().is_empty());
    }
}

/// What goes to GitHub, and what the stand-in answers, held against GitHub's own description.
/// What runs already is nothing that undo could bring back.
#[test]
fn a_second_run_has_to_be_told_what_ran_before() {
    let world = World::production("none", Faults::default());
    bench_at(&world, "none", &[]).run(YES).succeeded();
    bench_at(&world, "none", &[]).run(YES).stopped_at("ran-before", "--param previous=");
    assert_eq!(bench_at(&world, "none", &[]).param("previous", "v3.119").run(&[]).code, 11);
}

#[test]
fn it_speaks_as_github_describes_it() {
    let Some(described) = crate::github::described::Described::start() else { return };
    let world = World::production("none", Faults::default());
    described.turn_to(&world.github.url());
    through(&world, &world.argo.url(), &described.url(), "none", &[]).run(YES).succeeded();
    is_deployed(&world);
    assert_eq!(described.objections(), Vec::<String>::new());
    let seen: Vec<String> = world.github.requests().iter().map(|request| request.line()).collect();
    for part in
        ["docker-push.yml/runs", "ui-deploy.yml/runs", "ui-deploy.yml/dispatches", "actions/runs/", "releases/tags/"]
    {
        assert!(seen.iter().any(|line| line.contains(part)), "{part} was never asked for: {seen:?}");
    }
}

#[test]
fn every_sync_and_the_promotion_wait_for_a_yes() {
    let world = World::production("none", Faults::default());
    let bench = bench_at(&world, "none", &[]);
    assert_eq!(bench.run(&[]).code, 11);
    assert!(course(&world).is_empty());
    for (given, done) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
        let waiting = bench.resume(&YES[..given]);
        assert_eq!((waiting.code, course(&world).len()), (11, done), "{}", waiting.told);
    }
    let ui = world.github.state().ui("prod");
    assert_eq!((world.live()[2].as_str(), ui.as_deref()), ("v3.119", Some(NEW)));
    bench.resume(YES).succeeded();
    is_deployed(&world);
}

#[test]
fn after_a_no_the_canary_is_aborted_and_people_are_asked_for_the_rest() {
    let world = World::production("additive", Faults::default());
    let bench = bench_at(&world, "additive", &[]);
    let mut answers = YES.to_vec();
    answers[4].1 = "no";
    let declined = bench.run(&answers);
    assert_eq!(declined.code, 5, "{}", declined.told);
    let undone = bench.undo(&[("agent@undo", "done"), ("admin@undo", "done")]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    let state = world.argo.state();
    assert_eq!((state.app("balrog-app").acted.join(" "), state.app("balrog-app").live()), ("abort".into(), "v3.119"));
    drop(state);
    assert_eq!(world.github.state().ui("prod").as_deref(), Some("v3.119"));
}

/// New exceptions and a service that does not answer end the watch; nothing is promoted.
#[test]
fn a_canary_that_makes_new_exceptions_is_not_promoted() {
    let mut world = World::production("none", Faults::default());
    world.sentry = sentry(&["2999-01-01T00:00:00Z"]);
    bench_at(&world, "none", &[]).run(YES).stopped_at("watch", "exceptions");
    assert_eq!(world.live()[2], "v3.119");
    let world = World::production("none", Faults::default());
    bench_at(&world, "none", &[]).env("SENTRY_TOKEN", "another-token-altogether").run(YES).stopped_at("watch", "401");
    assert_eq!(world.live()[2], "v3.119");
}

/// What goes wrong and can be coped with, without anything done twice.
#[test]
fn it_copes() {
    let (sync, act) = (|| On::of("POST", "/sync"), || On::of("POST", "/actions/v2"));
    for faults in [
        argo(Fault::Late { looks: 3 }),
        argo(Fault::ReplyLost { on: sync(), times: 3 }),
        argo(Fault::ReplyLost { on: act(), times: 1 }),
        argo(Fault::ServerError { on: sync(), times: 2, effect: true }),
        argo(Fault::ServerError { on: act(), times: 1, effect: true }),
        argo(Fault::ServerError { on: On::of("GET", "applications/balrog-app"), times: 1, effect: false }),
        argo(Fault::Busy { looks: 3 }),
        workflow(WorkflowFault::Slow { looks: 3 }),
    ] {
        eprintln!("{:?} {:?}", faults.argo, faults.github);
        let world = World::production("none", faults);
        bench_at(&world, "none", &[]).run(YES).succeeded();
        is_deployed(&world);
    }
}

/// Where GitHub's answer names no run, or was lost, a person says which it is; nothing is dispatched twice.
#[test]
fn a_run_that_nobody_has_named_is_named_by_a_person() {
    let lost = || Faults {
        github: vec![github::Fault::ReplyLost { on: On::of("POST", "dispatches"), times: 1 }],
        ..Faults::default()
    };
    let other = json!({"deploy_env": "stage", "ref": "main"});
    let besides = workflow(WorkflowFault::SomebodyElse { inputs: other, before: false }).github.remove(0);
    let mut both = lost();
    both.github.push(besides);
    for faults in [lost(), workflow(WorkflowFault::NoDetails), workflow(WorkflowFault::Hidden { looks: 3 }), both] {
        eprintln!("{:?}", faults.github);
        let named = matches!(faults.github[0], github::Fault::Workflow(WorkflowFault::Hidden { .. }));
        let world = World::production("none", faults);
        let bench = bench_at(&world, "none", &[]);
        let waiting = bench.run(YES);
        if named {
            waiting.succeeded();
        } else {
            assert_eq!(waiting.code, 11, "{}", waiting.told);
            let question = waiting.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
            assert_eq!(question["step"], "ui/which");
            let run = world.github.state().dispatches.iter().find(|run| run.workflow == "ui-deploy.yml").unwrap().run;
            let listed = waiting.events.iter().any(|event| event.to_string().contains(&format!("actions/runs/{run}")));
            assert!(listed, "it is not said which runs there are");
            let typed = format!("{{typed_run: {run}}}");
            let answers: Vec<(&str, &str)> = YES.iter().copied().chain([("ui/which", typed.as_str())]).collect();
            bench.resume(&answers).succeeded();
        }
        is_deployed(&world);
    }
}

/// What goes wrong and is told, at the right place; what comes after it is not begun.
#[test]
fn it_notices() {
    let fails = "fails when";
    let cases: Vec<(Faults, &str, &str)> = vec![
        (argo(Fault::TrackedMoves { image: "v3.121" }), "admin/agreed", "moved on"),
        (argo(Fault::Ends("Failed")), "admin/done", fails),
        (argo(Fault::Ends("Error")), "admin/done", fails),
        (argo(Fault::HalfDone), "admin/well/shown", "not yet"),
        (argo(Fault::NeverReady), "admin/well/shown", "not yet"),
        (argo(Fault::FlipsBack { to: "Degraded" }), "admin/well/shown", fails),
        (argo(Fault::FlipsBack { to: "OutOfSync" }), "admin/well/shown", "not yet"),
        (argo(Fault::SomebodyElse { image: Some("v3.121") }), "admin/done", fails),
        (argo(Fault::SomebodyElse { image: None }), "admin/done", fails),
        (argo(Fault::Busy { looks: 10_000 }), "admin/now", "not yet"),
        (argo(Fault::Window), "admin/sync", "403"),
        (argo(Fault::Unauthorized { on: On::of("GET", "manifests") }), "admin/wanted", "401"),
        (argo(Fault::Unauthorized { on: On::of("POST", "/sync") }), "admin/sync", "401"),
        (argo(Fault::ServerError { on: On::of("POST", "/sync"), times: 1, effect: false }), "admin/done", "not yet"),
        (argo(Fault::CanaryAborted), "canary/well/shown", "not yet"),
        (argo(Fault::ActionIgnored), "promote/promoted", "not yet"),
        (argo(Fault::OtherCanary { image: "v3.121" }), "promote/well/shown", "not yet"),
        (argo(Fault::PromotionFails), "promote/promoted", "not yet"),
        (workflow(WorkflowFault::Ends("failure")), "ui/well", "actions/runs/"),
        (workflow(WorkflowFault::Ends("cancelled")), "ui/well", "cancelled"),
        (workflow(WorkflowFault::OtherRun), "ui/ours", "workflow"),
    ];
    for (faults, at, why) in cases {
        eprintln!("{at}: {:?} {:?}", faults.argo, faults.github);
        let world = World::production("none", faults);
        bench_at(&world, "none", &[]).param("deployment", "1s").param("patience", "1s").run(YES).stopped_at(at, why);
        if !at.starts_with("promote") {
            assert_eq!(world.live()[2], "v3.119");
        }
    }
}

/// An application of another project is another application, whether the server says so or not.
#[test]
fn an_application_of_another_project_is_not_synced() {
    let nowhere = World::production("none", Faults::default());
    bench_at(&nowhere, "none", &[]).param("project", "balrog-nonprod").run(YES).stopped_at("admin/now", "404");
    let unchecked = World::production("none", argo(Fault::OtherProject));
    bench_at(&unchecked, "none", &[]).param("project", "balrog-nonprod").run(YES).stopped_at("admin/now", "fails when");
    assert!(course(&unchecked).is_empty());
}

#[test]
fn what_was_not_copied_or_not_released_is_not_begun() {
    let world = World::production("none", Faults::default());
    world.github.state().dispatches.clear();
    bench_at(&world, "none", &[]).run(YES).stopped_at("copied", "");
    let world = World::production("none", Faults::default());
    world.github.state().releases.clear();
    bench_at(&world, "none", &[]).run(YES).stopped_at("released", "404");
    assert!(world.argo.requests().is_empty());
}

/// Killed while a change was on its way: nothing is done twice.
#[test]
fn killed_after_a_change_whose_answer_was_on_its_way() {
    for (request, step, at_github) in [
        ("POST /api/v1/applications/balrog-admin/sync", "admin/sync", false),
        ("POST /api/v1/applications/balrog-app/sync", "canary/sync", false),
        ("POST /api/v1/applications/balrog-app/resource/actions/v2", "promote/promote", false),
        ("/actions/workflows/ui-deploy.yml/dispatches", "ui/dispatch", true),
    ] {
        let world = World::production("none", Faults::default());
        let front = Front::keeping(&if at_github { world.github.url() } else { world.argo.url() }, request);
        let bench = match at_github {
            true => through(&world, &world.argo.url(), front.url(), "none", &[]),
            false => through(&world, front.url(), &world.github.url(), "none", &[]),
        };
        let going = bench.start(YES).until_doing(step);
        front.until_kept();
        going.kill();
        if at_github {
            let waiting = bench.resume(YES);
            assert_eq!(waiting.code, 11, "{}", waiting.told);
            let run = world.github.state().dispatches.iter().find(|run| run.workflow == "ui-deploy.yml").unwrap().run;
            let typed = format!("{{typed_run: {run}}}");
            let answers: Vec<(&str, &str)> = YES.iter().copied().chain([("ui/which", typed.as_str())]).collect();
            bench.resume(&answers).succeeded();
        } else {
            bench.resume(YES).succeeded();
        }
        is_deployed(&world);
    }
}

/// Killed while it waits: it goes on where it was.
#[test]
fn killed_while_it_waits() {
    for step in ["admin/done", "canary/well/shown", "ui/ended", "watch", "promote/promoted"] {
        let world = World::production("none", argo(Fault::Late { looks: 2 }));
        let bench = bench_at(&world, "none", &[]);
        bench.start(YES).until_doing(step).kill();
        bench.resume(YES).succeeded();
        is_deployed(&world);
    }
}
