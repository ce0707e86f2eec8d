//! `lib/github/delete-release`: the normal course, every fault, and what each of its checks is there for.

use serde_json::json;

use super::{World, step};
use crate::balrog::front::Front;
use crate::standins::{github::Fault, server::On};

const YES: &[(&str, &str)] = &[("sure", "yes")];

/// A published release of `v3.20` and a draft beside it.
fn world(faults: Vec<Fault>) -> World {
    let world = World::new(faults);
    world.github.state().publish_old("v3.20");
    draft(&world);
    world
}

fn draft(world: &World) {
    let body = json!({"tag_name": "v3.20", "draft": true}).to_string();
    assert_eq!(world.github.client().post(&world.github.path("releases"), &body).unwrap().status, 201);
}

fn tag(world: &World) -> Option<(String, String)> {
    world.github.state().repo.named("refs/tags/v3.20")
}

/// Whether a release that is made now stays published.
fn the_next_one_lasts(world: &World) -> bool {
    let client = world.github.client();
    let body = json!({"tag_name": "v3.20", "target_commitish": world.commit}).to_string();
    let made = client.post(&world.github.path("releases"), &body).unwrap();
    assert_eq!(made.status, 201);
    let at = world.github.path(&format!("releases/{}", made.json()["id"]));
    !(0..9).any(|_| client.get(&at).unwrap().json()["draft"] == json!(true))
}

#[test]
fn everything_of_that_name_goes_and_nothing_else() {
    let world = world(vec![]);
    let bench = world.bench("delete-release", &[]);
    let unanswered = bench.run(&[]);
    assert_eq!((unanswered.code, world.releases()), (11, (1, 1)), "{}", unanswered.told);
    let question = unanswered.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    for part in ["1 published and 1 draft", "v3.20", "octocat/hello", &world.object] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    bench.resume(YES).succeeded();
    assert_eq!((world.releases(), tag(&world)), ((0, 0), None));
    assert!(world.github.state().releases.iter().any(|release| release.tag_name == "v3.19"));
    assert!(world.github.state().repo.named("refs/tags/v3.19").is_some());
    assert!(the_next_one_lasts(&world));
}

#[test]
fn a_no_leaves_everything_and_where_nothing_is_there_is_nothing_to_do() {
    let world = world(vec![]);
    let declined = world.bench("delete-release", &[]).run(&[("sure", "no")]);
    assert_eq!((declined.code, world.releases()), (5, (1, 1)), "{}", declined.told);
    let confirmed = || world.bench("delete-release", &[]).param("confirmed", "true");
    confirmed().run(&[]).succeeded();
    let before = world.github.requests_of("DELETE", "").len();
    confirmed().run(&[]).succeeded();
    assert_eq!((before, world.github.requests_of("DELETE", "").len()), (3, 3));
}

#[test]
fn it_copes() {
    let releases = || On::of("DELETE", "/releases");
    let refs = || On::of("DELETE", "/git/refs");
    let faults = vec![
        Fault::Late { looks: 9 },
        Fault::ReplyLost { on: releases(), times: 1 },
        Fault::ReplyLost { on: refs(), times: 1 },
        Fault::ServerError { on: releases(), times: 2, effect: false },
        Fault::ServerError { on: releases(), times: 1, effect: true },
        Fault::ServerError { on: refs(), times: 2, effect: false },
        Fault::ServerError { on: refs(), times: 1, effect: true },
    ];
    for fault in faults {
        eprintln!("{fault:?}");
        let world = world(vec![fault]);
        world.bench("delete-release", &[]).run(YES).succeeded();
        assert_eq!((world.releases(), tag(&world)), ((0, 0), None));
        assert!(the_next_one_lasts(&world));
    }
}

#[test]
fn it_notices() {
    let faults: Vec<(Fault, &str, &str)> = vec![
        (Fault::Unauthorized { on: On::of("GET", "/git/ref") }, "tag-now", "401"),
        (Fault::Unauthorized { on: On::of("DELETE", "/releases") }, "delete[3]", "401"),
        (Fault::Unauthorized { on: On::of("DELETE", "/git/refs") }, "delete-tag", "401"),
        (Fault::RateLimited { on: On::of("GET", "/releases/tags"), times: 9, retry_after: None }, "published", "403"),
        (Fault::RateLimited { on: On::of("DELETE", ""), times: 1, retry_after: Some(60) }, "delete[3]", "403"),
        (Fault::ServerError { on: On::of("DELETE", "/git/refs"), times: 9, effect: false }, "delete-tag", "502"),
    ];
    for (fault, at, why) in faults {
        eprintln!("{fault:?}");
        world(vec![fault]).bench("delete-release", &[]).run(YES).stopped_at(at, why);
    }
}

/// What it looks at, what is left without that look, and that nobody is told.
#[test]
fn without_a_check_something_is_left_unseen() {
    let gone = |id: &str| (step("delete-release", id), String::new());
    let no_drafts = || ("drafts: result.json|selectattr".to_owned(), "drafts: result.json[:0]|selectattr".to_owned());
    // Drafts are found by the list alone.
    let seen = world(vec![]);
    seen.bench("delete-release", &[no_drafts()]).run(YES).stopped_at("nothing-left", "tag_name");
    let unseen = world(vec![]);
    unseen.bench("delete-release", &[no_drafts(), gone("nothing-left")]).run(YES).succeeded();
    assert_eq!(unseen.releases(), (0, 1));
    // Whoever does not wait for the tag to go has the next release spoilt.
    let hasty = world(vec![]);
    hasty.github.state().deletion_takes = 6;
    hasty.bench("delete-release", &[gone("tag-gone")]).run(YES).succeeded();
    assert!(!the_next_one_lasts(&hasty));
    let patient = world(vec![]);
    patient.github.state().deletion_takes = 6;
    patient.bench("delete-release", &[]).run(YES).succeeded();
    assert!(the_next_one_lasts(&patient));
}

#[test]
fn killed_while_the_answer_was_on_its_way_it_goes_on() {
    for (request, step) in [
        ("DELETE /repos/octocat/hello/releases/3", "delete[3]"),
        ("DELETE /repos/octocat/hello/git/refs/", "delete-tag"),
    ] {
        let world = world(vec![Fault::Late { looks: 6 }]);
        let front = Front::keeping(&world.github.url(), request);
        let bench = world.bench_at(front.url(), "delete-release", &[]);
        let going = bench.start(YES).until_doing(step);
        front.until_kept();
        going.kill();
        bench.resume(YES).succeeded();
        assert_eq!((world.releases(), tag(&world)), ((0, 0), None), "{step}");
        assert!(the_next_one_lasts(&world), "{step}");
    }
}
