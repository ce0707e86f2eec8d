//! What is sent to GitHub and what the stand-in answers, held against GitHub's own description.

use serde_json::{Value, json};

use super::{World, described::Described};
use crate::balrog::{retag, rollback_ui};
use crate::standins::{
    client::{Answer, Client},
    git::GitWorld,
    github::{Fault, GitHub, TOKEN},
    server::{On, Reply, Server},
};

/// One proxy for all of it, because it takes a second to start.
#[test]
fn everything_is_as_github_describes_it() {
    let Some(described) = Described::start() else { return };
    eprintln!("control: it refuses what it should");
    it_refuses(&described);
    eprintln!("the stand-in");
    the_stand_in(&described);
    eprintln!("the moves");
    the_moves(&described);
    eprintln!("the UI, pushed and rolled back");
    the_ui(&described);
}

fn client(described: &Described) -> Client {
    Client::new(&described.url())
        .header("Authorization", &format!("Bearer {TOKEN}"))
        .header("Accept", "application/vnd.github+json")
        .header("X-GitHub-Api-Version", "2022-11-28")
        .header("User-Agent", "standin-tests")
        .header("Content-Type", "application/json")
}

/// A proxy that let everything pass would prove nothing.
fn it_refuses(described: &Described) {
    let world = World::new(vec![]);
    described.turn_to(&world.github.url());
    let at = |rest: &str| world.github.path(rest);
    let client = client(described);
    let before = world.github.requests().len();
    for (method, rest, body, why) in [
        ("POST", "releases", json!({"name": "no tag"}), "tag_name"),
        ("POST", "releases", json!({"tag_name": "v3.20", "draft": "false"}), "draft"),
        ("POST", "releases", json!({"tag_name": "v3.20", "make_latest": false}), "make_latest"),
        ("POST", "releases", json!({"tag_name": "v3.20", "make_latest": "no"}), "make_latest"),
        ("PATCH", "releases/2", json!({"draft": 0}), "draft"),
        ("POST", "git/refs", json!({"ref": "refs/tags/x"}), "sha"),
        ("GET", "releases/two", json!({}), "release_id"),
        ("GET", "git/refs/tags/v3.20", json!({}), "NO_METHOD"),
        ("GET", "release/2", json!({}), "NO_PATH"),
    ] {
        client.send(method, &at(rest), &body.to_string()).unwrap();
        let said = described.objections().concat();
        assert!(said.contains(why), "{method} {rest} {body}: {said}");
    }
    assert_eq!(world.github.requests().len(), before, "what is refused is not passed on");
    // And an answer that GitHub would never give.
    let whole = world.github.client().get(&at("releases/2")).unwrap().json();
    for (what, body) in [
        ("tag_name", without(&whole, "tag_name")),
        ("draft", with(&whole, "draft", json!("false"))),
        ("assets", with(&whole, "assets", Value::Null)),
        ("author", with(&whole, "author", json!({"login": 7}))),
    ] {
        let wrong = Server::start(move |_| Reply::json(200, &body));
        described.turn_to(&wrong.url());
        client.get(&at("releases/2")).unwrap();
        let said = described.objections().concat();
        assert!(said.contains(what), "{what}: {said}");
    }
    let teapot = Server::start(|_| Reply::json(418, &json!({"message": "short and stout"})));
    described.turn_to(&teapot.url());
    client.get(&at("releases/2")).unwrap();
    assert!(!described.objections().is_empty(), "no such status is described");
}

fn without(whole: &Value, key: &str) -> Value {
    let mut body = whole.clone();
    body.as_object_mut().unwrap().remove(key);
    body
}

fn with(whole: &Value, key: &str, value: Value) -> Value {
    let mut body = whole.clone();
    body[key] = value;
    body
}

/// Every request that the stand-in knows, with the answers that it gives.
fn the_stand_in(described: &Described) {
    let git = GitWorld::new();
    let github = GitHub::start("mozilla-releng", "balrog", Some(&git.bare()), vec![]);
    described.turn_to(&github.url());
    let client = client(described);
    // All of them are told in one go.
    let wrong = std::cell::Cell::new(0);
    let ask = |method: &str, rest: &str, body: Value, status: u16| -> Answer {
        let sent = if body.is_null() { String::new() } else { body.to_string() };
        let answer = client.send(method, &github.path(rest), &sent).unwrap();
        let objections = described.objections();
        if (&objections, answer.status) != (&vec![], status) {
            eprintln!("{method} {rest} {body}: {} {objections:#?}", answer.status);
            wrong.set(wrong.get() + 1);
        }
        answer
    };
    let get = |rest: &str, status| ask("GET", rest, Value::Null, status);
    let (signed, light) = (git.git(&["rev-parse", "v3.08"]), git.commit_of("v3.09"));
    get("releases", 200);
    get("releases/latest", 404);
    let made = ask("POST", "releases", json!({"tag_name": "v3.10", "name": "3.10", "body": "Text"}), 201).json();
    let at = format!("releases/{}", made["id"]);
    ask("POST", "releases", json!({"tag_name": "v3.10"}), 422);
    ask("POST", "releases", json!({"tag_name": "v9.9", "target_commitish": "no-such-branch"}), 422);
    let draft = ask("POST", "releases", json!({"tag_name": "v3.09", "draft": true}), 201).json();
    let draft = format!("releases/{}", draft["id"]);
    for rest in
        ["releases?per_page=100", "releases?per_page=1&page=2", "releases/latest", "releases/tags/v3.10", &at, &draft]
    {
        get(rest, 200);
    }
    get("releases/tags/v3.09", 404);
    ask("PATCH", &draft, json!({"draft": false, "make_latest": "false"}), 200);
    ask("PATCH", "releases/99", json!({"draft": false}), 404);
    ask("DELETE", &draft, Value::Null, 204);
    ask("DELETE", &draft, Value::Null, 404);
    get("git/ref/tags/v3.08", 200);
    get("git/ref/tags/v3.09", 200);
    get("git/ref/tags/v3.8", 404);
    get("git/matching-refs/tags/v3", 200);
    get(&format!("git/tags/{signed}"), 200);
    get(&format!("git/tags/{light}"), 404);
    get("commits/tags/v3.08", 200);
    get("commits/tags/v3.8", 422);
    get("compare/v3.08...v3.10", 200);
    get("compare/v3.10...v3.08", 200);
    get("compare/v3.8...v3.10", 404);
    let tag = json!({"tag": "made", "message": "by REST", "object": light, "type": "commit"});
    let object = ask("POST", "git/tags", tag, 201).json()["sha"].clone();
    ask("POST", "git/refs", json!({"ref": "refs/tags/made", "sha": object}), 201);
    ask("POST", "git/refs", json!({"ref": "refs/tags/made", "sha": object}), 422);
    ask("PATCH", "git/refs/tags/made", json!({"sha": light, "force": true}), 200);
    ask("PATCH", "git/refs/tags/none", json!({"sha": light, "force": true}), 422);
    ask("DELETE", "git/refs/tags/made", Value::Null, 204);
    ask("DELETE", "git/refs/tags/made", Value::Null, 422);
    let dispatches = "actions/workflows/ui-deploy.yml/dispatches";
    let inputs = json!({"deploy_env": "stage", "ref": "v3.10"});
    ask("POST", dispatches, json!({"ref": "main", "inputs": inputs}), 204);
    let run = ask("POST", dispatches, json!({"ref": "main", "inputs": inputs, "return_run_details": true}), 200).json();
    for _ in 0..3 {
        get(&format!("actions/runs/{}", run["workflow_run_id"]), 200);
    }
    assert_eq!(wrong.get(), 0);
    // These the description leaves out; it does not say what GitHub answers instead.
    for rest in ["releases/99", "actions/runs/99"] {
        assert_eq!(client.get(&github.path(rest)).unwrap().status, 404);
        let said = described.objections().concat();
        assert!(said.contains("Unable to match the returned status code"), "{rest}: {said}");
    }
}

/// What the moves send, also where things go wrong.
fn the_moves(described: &Described) {
    let publish = |world: &World| {
        described.turn_to(&world.github.url());
        world.publish_at(&described.url(), &[])
    };
    let world = World::new(vec![Fault::DraftFlipsBack { times: 1, after_looks: 1 }]);
    publish(&world).run(&[]).succeeded();
    assert_eq!((described.objections(), world.wrong(true)), (vec![], None));
    world.bench_at(&described.url(), "delete-release", &[]).run(&[("sure", "yes")]).succeeded();
    assert_eq!((described.objections(), world.releases()), (vec![], (0, 0)));
    let world = World::new(vec![]);
    world.github.state().repo.delete("refs/tags/v3.20");
    let create = publish(&world).param("tag_object", "").param("missing_tag", "create").param("make_latest", "false");
    create.run(&[]).succeeded();
    assert_eq!((described.objections(), world.releases()), (vec![], (1, 0)));
    // Behind the proxy a lost answer is an error, and the release is found by its tag.
    let world = World::new(vec![Fault::ReplyLost { on: On::of("POST", "/releases"), times: 1 }]);
    publish(&world).run(&[]).succeeded();
    assert_eq!((described.objections().len(), world.wrong(true)), (1, None));
}

/// The whole of a push of the UI that meets what GitHub does to releases and pushed tags, and its way back.
fn the_ui(described: &Described) {
    let faults = vec![Fault::DraftFlipsBack { times: 1, after_looks: 1 }, Fault::PushedLate { looks: 3 }];
    let world = retag::World::new(faults);
    described.turn_to(&world.github.url());
    world.bench_at(&described.url(), "v3.10", &[]).run(&[("quiet-time", "yes"), ("go", "v3.10")]).succeeded();
    assert_eq!(described.objections(), Vec::<String>::new());
    world.is_at("v3.10");
    let backend = rollback_ui::backend();
    rollback_ui::bench_at(&world, &described.url(), &backend.url(), "v3.08", &[])
        .run(&rollback_ui::yes("v3.08"))
        .succeeded();
    assert_eq!(described.objections(), Vec::<String>::new());
    world.is_at("v3.08");
}
