//! `balrog/rollback-ui` against GitHub's stand-in and a real git with a real key.

use serde_json::json;

use super::{Bench, front::Front, retag::World};
use crate::standins::{
    github::Fault,
    server::{On, Reply, Server},
};

/// What the UI talks to.
pub fn backend() -> Server {
    Server::start(|request| match request.path.as_str() {
        "/__version__" => {
            let body = json!({"commit": "0123", "version": "3.10", "source": "https://example.org", "build": "1"});
            Reply::json(200, &body)
        }
        _ => Reply::empty(404),
    })
}

/// Everybody who is asked says yes.
pub fn yes(version: &str) -> Vec<(&'static str, &str)> {
    vec![("fits", "yes"), ("retag/quiet-time", "yes"), ("retag/go", version)]
}

pub fn bench_at(world: &World, api: &str, backend: &str, version: &str, edits: &[(&str, &str)]) -> Bench {
    world.bench_of("balrog/rollback-ui", api, version, edits).param("admin_service", backend)
}

fn bench(world: &World, backend: &Server, version: &str) -> Bench {
    bench_at(world, &world.github.url(), &backend.url(), version, &[])
}

#[test]
fn back_it_goes_and_what_is_given_up_is_said() {
    let (world, backend) = (World::new(vec![]), backend());
    // A stale tag of the clone is no harm.
    world.git.git(&["tag", "--force", "production-ui", "main"]);
    let bench = bench(&world, &backend, "v3.07");
    let unanswered = bench.run(&[]);
    assert_eq!(unanswered.code, 11, "{}", unanswered.told);
    let question = unanswered.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    for part in ["back to v3.07", "gives up v3.08 and 1 commits in ui/", "backend stays at 3.10"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    world.untouched();
    bench.resume(&yes("v3.07")).succeeded();
    world.is_at("v3.07");
    let latest = world.github.client().get(&world.github.path("releases/latest")).unwrap().json();
    assert_eq!(latest["tag_name"], "v3.10");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_version_that_is_no_earlier_one_stops_it_before_anything_is_touched() {
    let (world, backend) = (World::new(vec![]), backend());
    let stops = |version: &str, at: &str, why: &str| {
        bench(&world, &backend, version).run(&yes(version)).stopped_at(at, why);
        world.untouched();
    };
    stops("v3.8", "version-here", "v3.08 is there, and is another version; this clone has no tag v3.8");
    stops("v3.99", "version-here", "no tag v3.99");
    stops("v3.10", "earlier", "v3.10 is not earlier");
    // Another branch is not before what stands there, whatever its number.
    let side = world.git.git(&["commit-tree", "-p", "v3.07^{commit}", "-m", "Aside", "v3.07^{tree}"]);
    world.git.git(&["tag", "-s", "-m", "aside", "v3.01", &side]);
    stops("v3.01", "earlier", "v3.01 is not earlier");
    // It says what would do.
    let told = bench(&world, &backend, "v3.10").run(&yes("v3.10")).told;
    assert!(told.contains("earlier ones, the latest first: v3.07 \n"), "{told}");
    // What stands there already is nothing to go back to.
    bench(&world, &backend, "v3.08").run(&yes("v3.08")).stopped_at("retag/not-there-yet", "nothing to do");
    world.untouched();
    let declined = bench(&world, &backend, "v3.07").run(&[("fits", "no")]);
    assert_eq!(declined.code, 5, "{}", declined.told);
    world.untouched();
}

#[test]
fn what_the_clone_does_not_have_stops_it() {
    let (world, backend) = (World::new(vec![]), backend());
    let state = world.github.state();
    let tip = state.repo.tip().unwrap();
    let unknown = state.repo.git(&["commit-tree", "-p", &tip, "-m", "Elsewhere", &format!("{tip}^{{tree}}")]).unwrap();
    state.repo.set("refs/tags/production-ui", &unknown);
    drop(state);
    bench(&world, &backend, "v3.07").run(&yes("v3.07")).stopped_at("earlier", "which this clone does not have");
}

#[test]
fn back_from_what_was_never_released_and_from_nothing_at_all() {
    let (world, backend) = (World::new(vec![]), backend());
    let tip = world.git.commit_of("main");
    world.github.state().repo.set("refs/tags/production-ui", &tip);
    bench(&world, &backend, "v3.10").run(&yes("v3.10")).succeeded();
    world.is_at("v3.10");
    // An attempt that was left half done: neither tag nor release, and the backend is down as well.
    world.github.state().repo.delete("refs/tags/production-ui");
    world.github.state().releases.retain(|release| release.tag_name != "production-ui");
    drop(backend);
    let nobody = "http://127.0.0.1:9";
    let ran = bench_at(&world, &world.github.url(), nobody, "v3.08", &[]).run(&yes("v3.08"));
    ran.succeeded();
    assert_eq!((ran.status("backend"), ran.status("earlier")), (Some("failed"), Some("skipped")));
    world.is_at("v3.08");
}

#[test]
fn the_clone_may_be_named_from_where_it_is_started() {
    let (world, backend) = (World::new(vec![]), backend());
    let bench = bench(&world, &backend, "v3.07").param("clone", "checkouts/balrog");
    std::fs::create_dir(bench.folder().join("checkouts")).unwrap();
    std::os::unix::fs::symlink(world.git.clone_dir(), bench.folder().join("checkouts/balrog")).unwrap();
    bench.run(&yes("v3.07")).succeeded();
    world.is_at("v3.07");
}

#[test]
fn it_copes() {
    let faults = vec![
        Fault::Late { looks: 6 },
        Fault::PushedLate { looks: 6 },
        Fault::DraftFlipsBack { times: 2, after_looks: 1 },
        Fault::ReplyLost { on: On::of("POST", "/releases"), times: 1 },
        Fault::ReplyLost { on: On::of("DELETE", ""), times: 1 },
    ];
    let backend = backend();
    let mut world = World::new(vec![]);
    for fault in faults {
        eprintln!("{fault:?}");
        world = world.again(vec![fault]);
        bench(&world, &backend, "v3.07").run(&yes("v3.07")).succeeded();
        world.is_at("v3.07");
    }
}

/// Each check of its own, and that without it the UI goes where nobody wanted it.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let backend = backend();
    let run = |edits: &[(&str, &str)], version: &'static str, answers: &[(&str, &str)]| {
        let world = World::new(vec![]);
        let ran = bench_at(&world, &world.github.url(), &backend.url(), version, edits).run(answers);
        (world, ran)
    };
    let (world, ran) = run(&[], "v3.10", &yes("v3.10"));
    ran.stopped_at("earlier", "not earlier");
    world.untouched();
    let blind = [("if ! git merge-base --is-ancestor", "if false && git merge-base --is-ancestor")];
    let (world, ran) = run(&blind, "v3.10", &yes("v3.10"));
    ran.succeeded();
    // A way back that went forward.
    world.is_at("v3.10");
    // A look that fails is no tag that is missing: without that, a later version would pass as well.
    let outage = || World::new(vec![Fault::ServerError { on: On::of("GET", "/commits"), times: 1, effect: false }]);
    let go = |world: &World, edits: &[(&str, &str)]| {
        bench_at(world, &world.github.url(), &backend.url(), "v3.10", edits).run(&yes("v3.10"))
    };
    let world = outage();
    go(&world, &[]).stopped_at("tag-now", "502");
    world.untouched();
    let world = outage();
    go(
        &world,
        &[(
            "    expect: result.status in [200, 404, 422]\n    capture:\n      current_sha: \"result.json.sha",
            "    expect: result.status > 0\n    capture:\n      current_sha: \"result.json.sha",
        )],
    )
    .succeeded();
    world.is_at("v3.10");
}

#[test]
fn killed_while_it_deletes_pushes_nothing_yet_or_publishes_it_goes_on_where_it_was() {
    let backend = backend();
    for (request, step) in [
        ("DELETE /repos/mozilla-releng/balrog/git/refs/", "retag/clear/delete-tag"),
        ("GET /repos/mozilla-releng/balrog/git/ref/tags/production-ui", "retag/clear/tag-now"),
        ("POST /repos/mozilla-releng/balrog/releases", "retag/release/publish"),
    ] {
        eprintln!("{step}");
        let world = World::new(vec![]);
        let front = Front::keeping(&world.github.url(), request);
        let bench = bench_at(&world, front.url(), &backend.url(), "v3.07", &[]);
        let going = bench.start(&yes("v3.07")).until_doing(step);
        front.until_kept();
        going.kill();
        bench.resume(&yes("v3.07")).succeeded();
        world.is_at("v3.07");
        let made = world.github.state().releases.iter().filter(|r| r.tag_name == "production-ui").count();
        assert_eq!((made, world.github.requests_of("POST", "/releases").len()), (1, 1));
    }
}
