//! The stand-in for GitHub, driven as a client would drive it.

use serde_json::{Value, json};

use super::{Fault, GitHub, TOKEN};
use crate::standins::client::{Answer, Client};
use crate::standins::git::GitWorld;
use crate::standins::server::On;

/// A repository of its own with the tag `v1.0` on the only commit.
fn alone(faults: Vec<Fault>) -> GitHub {
    let hub = GitHub::start("mozilla", "balrog", None, faults);
    let tip = hub.state().repo.tip().unwrap();
    assert!(hub.state().repo.create_ref("refs/tags/v1.0", &tip));
    hub
}

fn over(world: &GitWorld, faults: Vec<Fault>) -> GitHub {
    GitHub::start("mozilla", "balrog", Some(&world.bare()), faults)
}

fn get(hub: &GitHub, rest: &str) -> Answer {
    hub.client().get(&hub.path(rest)).unwrap()
}

fn post(hub: &GitHub, rest: &str, body: Value) -> Answer {
    hub.client().post(&hub.path(rest), &body.to_string()).unwrap()
}

fn patch(hub: &GitHub, rest: &str, body: Value) -> Answer {
    hub.client().patch(&hub.path(rest), &body.to_string()).unwrap()
}

fn delete(hub: &GitHub, rest: &str) -> Answer {
    hub.client().delete(&hub.path(rest)).unwrap()
}

fn release_id(answer: &Answer) -> u64 {
    answer.json()["id"].as_u64().unwrap()
}

#[test]
fn a_token_and_a_user_agent_are_wanted() {
    let hub = alone(vec![]);
    let path = hub.path("releases");
    let bare = Client::new(&hub.url());
    let nameless = bare.get(&path).unwrap();
    assert_eq!(nameless.status, 403);
    assert!(nameless.text().contains("User-Agent"));
    let named = bare.header("User-Agent", "x");
    let unauthorised = named.get(&path).unwrap();
    assert_eq!((unauthorised.status, &unauthorised.json()["message"]), (401, &json!("Requires authentication")));
    let wrong = named.header("Authorization", "Bearer ghp_other").get(&path).unwrap();
    assert_eq!((wrong.status, &wrong.json()["message"]), (401, &json!("Bad credentials")));
    assert_eq!(wrong.json()["status"], "401");
    assert_eq!(named.header("Authorization", &format!("Bearer {TOKEN}")).get(&path).unwrap().status, 200);
    assert_eq!(hub.client().get("/repos/mozilla/other/releases").unwrap().status, 404);
    assert_eq!(hub.requests().len(), 5);
}

#[test]
fn a_release_has_the_published_shape() {
    let hub = alone(vec![]);
    let made = post(&hub, "releases", json!({"tag_name": "v1.0", "name": "One", "body": "Text"}));
    assert_eq!(made.status, 201);
    let body = made.json();
    // The keys of components.examples.release in GitHub's OpenAPI, less what this stand-in has no use for.
    for key in [
        "url",
        "html_url",
        "assets_url",
        "upload_url",
        "tarball_url",
        "zipball_url",
        "id",
        "node_id",
        "tag_name",
        "target_commitish",
        "name",
        "body",
        "draft",
        "prerelease",
        "immutable",
        "created_at",
        "published_at",
        "author",
        "assets",
    ] {
        assert!(body.get(key).is_some(), "{key}");
    }
    assert_eq!((&body["draft"], &body["target_commitish"]), (&json!(false), &json!("main")));
    let id = release_id(&made);
    for rest in [format!("releases/{id}"), "releases/tags/v1.0".into(), "releases/latest".into()] {
        assert_eq!(get(&hub, &rest).json()["id"], json!(id), "{rest}");
    }
    assert_eq!(hub.state().deployments.len(), 1);
}

#[test]
fn a_creation_is_refused_as_github_refuses_it() {
    let hub = alone(vec![]);
    assert_eq!(post(&hub, "releases", json!({"name": "x"})).status, 422);
    assert_eq!(hub.client().post(&hub.path("releases"), "{").unwrap().status, 400);
    assert_eq!(post(&hub, "releases", json!({"tag_name": "v1.0"})).status, 201);
    let again = post(&hub, "releases", json!({"tag_name": "v1.0"}));
    assert_eq!(again.status, 422);
    assert_eq!(
        again.json()["errors"][0],
        json!({"resource": "Release", "code": "already_exists", "field": "tag_name"})
    );
    let nowhere = post(&hub, "releases", json!({"tag_name": "v2", "target_commitish": "no-such-branch"}));
    assert_eq!(nowhere.json()["errors"][0]["field"], "target_commitish");
    assert_eq!(hub.state().deployments.len(), 1);
}

#[test]
fn a_tag_without_a_release_deploys_nothing_and_a_missing_tag_is_made_at_the_tip() {
    let world = GitWorld::new();
    let hub = over(&world, vec![]);
    world.git(&["push", "--quiet", "origin", "v3.08^{}:refs/tags/pushed"]);
    assert_eq!(get(&hub, "git/ref/tags/pushed").status, 200);
    assert!(hub.state().deployments.is_empty());
    // Without a target the tag is made where `main` is, and that ships what nobody has released.
    assert_eq!(post(&hub, "releases", json!({"tag_name": "ui-a"})).status, 201);
    let commit = world.commit_of("v3.08");
    assert_eq!(post(&hub, "releases", json!({"tag_name": "ui-b", "target_commitish": commit})).status, 201);
    // A tag that exists stays where it is, whatever the target says.
    let existing = json!({"tag_name": "production-ui", "target_commitish": world.commit_of("v3.10")});
    assert_eq!(post(&hub, "releases", existing).status, 201);
    let deployed = hub.state().deployments.clone();
    let deployed: Vec<_> = deployed.iter().map(|it| (it.tag.as_str(), it.commit.as_str())).collect();
    assert_eq!(
        deployed,
        [("ui-a", world.commit_of("main").as_str()), ("ui-b", commit.as_str()), ("production-ui", commit.as_str())]
    );
    assert_eq!(hub.state().deployments[0].version.as_deref(), Some("3.11"));
    world.git(&["fetch", "--quiet", "--tags", "origin"]);
    assert_eq!(world.commit_of("ui-a"), world.commit_of("main"));
}

#[test]
fn drafts_have_no_tag_and_publishing_one_deploys_it() {
    let hub = alone(vec![]);
    let made = post(&hub, "releases", json!({"tag_name": "v2.0", "draft": true}));
    assert!(made.json()["html_url"].as_str().unwrap().contains("untagged-"));
    let at = format!("releases/{}", release_id(&made));
    assert_eq!(get(&hub, "releases/tags/v2.0").status, 404);
    assert_eq!(get(&hub, "git/ref/tags/v2.0").status, 404);
    assert_eq!(get(&hub, "releases").json().as_array().unwrap().len(), 1);
    assert_eq!(get(&hub, "releases/latest").status, 404);
    assert!(hub.state().deployments.is_empty());
    assert_eq!(patch(&hub, &at, json!({"draft": false})).json()["draft"], false);
    assert_eq!(get(&hub, "releases/tags/v2.0").status, 200);
    assert_eq!(hub.state().deployments.len(), 1);
}

#[test]
fn make_latest_decides_which_release_is_the_latest() {
    let hub = alone(vec![]);
    let first = release_id(&post(&hub, "releases", json!({"tag_name": "v1.0"})));
    post(&hub, "releases", json!({"tag_name": "production-ui", "make_latest": "false"}));
    assert_eq!(get(&hub, "releases/latest").json()["id"], json!(first));
    let careless = release_id(&post(&hub, "releases", json!({"tag_name": "other-ui"})));
    assert_eq!(get(&hub, "releases/latest").json()["id"], json!(careless));
    patch(&hub, &format!("releases/{first}"), json!({"make_latest": "true"}));
    assert_eq!(get(&hub, "releases/latest").json()["id"], json!(first));
}

#[test]
fn deleting_a_release_leaves_its_tag() {
    let hub = alone(vec![]);
    let at = format!("releases/{}", release_id(&post(&hub, "releases", json!({"tag_name": "v1.0"}))));
    assert_eq!(delete(&hub, &at).status, 204);
    assert_eq!((delete(&hub, &at).status, get(&hub, &at).status), (404, 404));
    assert_eq!(get(&hub, "git/ref/tags/v1.0").status, 200);
}

#[test]
fn lists_come_in_pages() {
    let hub = alone(vec![]);
    for number in 0..3 {
        hub.state().publish_old(&format!("v{number}"));
    }
    let first = get(&hub, "releases?per_page=2");
    assert_eq!(first.json()[0]["tag_name"], "v2");
    assert!(first.header("link").unwrap().contains("page=2>; rel=\"next\""));
    let last = get(&hub, "releases?per_page=2&page=2");
    assert_eq!((last.json().as_array().unwrap().len(), last.header("link")), (1, None));
}

#[test]
fn refs_are_those_of_the_repository() {
    let world = GitWorld::new();
    let hub = over(&world, vec![]);
    let signed = get(&hub, "git/ref/tags/v3.08").json();
    assert_eq!(signed["object"]["type"], "tag");
    assert_eq!(signed["object"]["sha"], json!(world.git(&["rev-parse", "v3.08"])));
    assert_eq!(get(&hub, "git/ref/tags/v3.09").json()["object"]["type"], "commit");
    // Singular to look, plural to change.
    assert_eq!(get(&hub, "git/refs/tags/v3.08").status, 404);
    assert_eq!(delete(&hub, "git/ref/tags/v3.08").status, 404);
    let matching = get(&hub, "git/matching-refs/tags/v3.0").json();
    assert_eq!(matching.as_array().unwrap().len(), 3);
    let (old, new) = (world.commit_of("v3.07"), world.commit_of("v3.08"));
    assert_eq!(post(&hub, "git/refs", json!({"ref": "refs/tags/x", "sha": new})).status, 201);
    let again = post(&hub, "git/refs", json!({"ref": "refs/tags/x", "sha": new}));
    assert_eq!((again.status, &again.json()["message"]), (422, &json!("Reference already exists")));
    assert_eq!(post(&hub, "git/refs", json!({"ref": "x", "sha": new})).status, 422);
    assert_eq!(post(&hub, "git/refs", json!({"ref": "refs/tags/y", "sha": "0".repeat(40)})).status, 422);
    let back = patch(&hub, "git/refs/tags/x", json!({"sha": old}));
    assert_eq!((back.status, &back.json()["message"]), (422, &json!("Update is not a fast forward")));
    assert_eq!(patch(&hub, "git/refs/tags/x", json!({"sha": old, "force": true})).status, 200);
    assert_eq!(world.remote_commit_of("refs/tags/x"), Some(old));
    assert_eq!(delete(&hub, "git/refs/tags/x").status, 204);
    let gone = delete(&hub, "git/refs/tags/x");
    assert_eq!((gone.status, &gone.json()["message"]), (422, &json!("Reference does not exist")));
    assert_eq!(world.remote_commit_of("refs/tags/x"), None);
}

#[test]
fn tag_objects_show_whether_they_are_signed() {
    let world = GitWorld::new();
    let hub = over(&world, vec![]);
    let sha = get(&hub, "git/ref/tags/v3.10").json()["object"]["sha"].as_str().unwrap().to_owned();
    let tag = get(&hub, &format!("git/tags/{sha}")).json();
    assert_eq!((&tag["tag"], &tag["message"]), (&json!("v3.10"), &json!("Release 3.10")));
    assert_eq!(tag["object"]["sha"], json!(world.commit_of("v3.10")));
    assert_eq!(tag["tagger"]["email"], "release@example.org");
    assert_eq!((&tag["verification"]["verified"], &tag["verification"]["reason"]), (&json!(true), &json!("valid")));
    hub.state().signed_reason = "unknown_key";
    assert_eq!(get(&hub, &format!("git/tags/{sha}")).json()["verification"]["verified"], false);
    assert_eq!(get(&hub, &format!("git/tags/{}", world.commit_of("v3.09"))).status, 404);
    let body = json!({"tag": "made", "message": "m", "object": world.commit_of("v3.07"), "type": "commit"});
    let made = post(&hub, "git/tags", body);
    assert_eq!((made.status, &made.json()["verification"]["reason"]), (201, &json!("unsigned")));
    // The object alone is no tag yet.
    assert_eq!(get(&hub, "git/ref/tags/made").status, 404);
    let named = post(&hub, "git/refs", json!({"ref": "refs/tags/made", "sha": made.json()["sha"]}));
    assert_eq!(named.json()["object"]["type"], "tag");
}

#[test]
fn comparisons_and_commits_come_from_the_history() {
    let world = GitWorld::new();
    let hub = over(&world, vec![]);
    let ahead = get(&hub, "compare/v3.08...v3.10").json();
    assert_eq!((&ahead["status"], &ahead["ahead_by"]), (&json!("ahead"), &json!(2)));
    let files = ahead["files"].as_array().unwrap();
    let added = files.iter().find(|file| file["filename"] == "src/auslib/migrate/versions/036_add_column.py");
    assert_eq!(added.unwrap()["status"], "added");
    assert_eq!(get(&hub, "compare/v3.10...v3.08").json()["status"], "behind");
    assert_eq!(get(&hub, "compare/v3.09...v3.09").json()["status"], "identical");
    assert_eq!(get(&hub, "compare/v3.8...v3.10").status, 404);
    let commit = get(&hub, "commits/v3.08").json();
    assert_eq!(
        (&commit["sha"], &commit["commit"]["message"]),
        (&json!(world.commit_of("v3.08")), &json!("Work towards 3.08"))
    );
    assert_eq!(get(&hub, "commits/main").json()["sha"], json!(world.commit_of("main")));
    assert_eq!(get(&hub, "commits/v3.8").status, 422);
    let plain = hub.client().header("Accept", "application/vnd.github.sha");
    assert_eq!(plain.get(&hub.path("commits/v3.08")).unwrap().status, 200);
}

#[test]
fn a_release_made_too_soon_after_its_tag_was_deleted_becomes_a_draft() {
    let hub = alone(vec![]);
    let old = format!("releases/{}", release_id(&post(&hub, "releases", json!({"tag_name": "v1.0"}))));
    hub.state().deployments.clear();
    assert_eq!(delete(&hub, &old).status, 204);
    assert_eq!(delete(&hub, "git/refs/tags/v1.0").status, 204);
    let made = post(&hub, "releases", json!({"tag_name": "v1.0"}));
    assert_eq!((made.status, &made.json()["draft"]), (201, &json!(false)));
    let at = format!("releases/{}", release_id(&made));
    // It still looks well for a while; two looks later it is a draft, and nothing was deployed.
    assert_eq!(get(&hub, &at).json()["draft"], false);
    get(&hub, &at);
    assert_eq!(get(&hub, &at).json()["draft"], true);
    assert_eq!(get(&hub, "releases/tags/v1.0").status, 404);
    assert!(hub.state().deployments.is_empty());
    assert_eq!(patch(&hub, &at, json!({"draft": false})).json()["draft"], false);
    assert_eq!(get(&hub, &at).json()["draft"], false);
    assert_eq!(hub.state().deployments.len(), 1);
}

#[test]
fn a_look_that_finds_no_tag_makes_the_next_release_safe() {
    let hub = alone(vec![]);
    delete(&hub, "git/refs/tags/v1.0");
    assert_eq!(get(&hub, "git/ref/tags/v1.0").status, 404);
    let tip = hub.state().repo.tip().unwrap();
    assert_eq!(post(&hub, "git/refs", json!({"ref": "refs/tags/v1.0", "sha": tip})).status, 201);
    let at = format!("releases/{}", release_id(&post(&hub, "releases", json!({"tag_name": "v1.0"}))));
    for _ in 0..5 {
        assert_eq!(get(&hub, &at).json()["draft"], false);
    }
    assert_eq!(hub.state().deployments.len(), 1);
}

#[test]
fn a_tag_deleted_and_pushed_again_is_a_deletion_all_the_same() {
    let world = GitWorld::new();
    let hub = over(&world, vec![]);
    hub.state().publish_old("production-ui");
    world.git(&["push", "--quiet", "--delete", "origin", "production-ui"]);
    world.git(&["push", "--quiet", "origin", "production-ui"]);
    let id = hub.state().releases[0].id;
    let draft = |hub: &GitHub| get(hub, &format!("releases/{id}")).json()["draft"].as_bool().unwrap();
    assert_eq!([draft(&hub), draft(&hub), draft(&hub), draft(&hub)], [false, false, false, true]);
    assert!(world.remote_commit_of("refs/tags/production-ui").is_some());
}

#[test]
fn workflows_are_dispatched_and_their_runs_end() {
    let hub = alone(vec![]);
    let at = "actions/workflows/ui-deploy.yml/dispatches";
    assert_eq!(post(&hub, "actions/workflows/none.yml/dispatches", json!({"ref": "main"})).status, 404);
    assert_eq!(post(&hub, at, json!({"ref": "nowhere"})).status, 422);
    assert_eq!(post(&hub, at, json!({"ref": "main", "inputs": {"ref": "v1.0"}})).status, 204);
    let detailed = post(&hub, at, json!({"ref": "v1.0", "return_run_details": true}));
    assert_eq!(detailed.status, 200);
    let run = format!("actions/runs/{}", detailed.json()["workflow_run_id"]);
    let seen: Vec<Value> = (0..3).map(|_| get(&hub, &run).json()["status"].clone()).collect();
    assert_eq!(seen, ["queued", "in_progress", "completed"]);
    assert_eq!(get(&hub, &run).json()["conclusion"], "success");
    let state = hub.state();
    assert_eq!((&state.dispatches[0].inputs, state.dispatches[1].git_ref.as_str()), (&json!({"ref": "v1.0"}), "v1.0"));
}

mod faults {
    use super::*;

    #[test]
    fn a_publication_that_does_not_last_deploys_nothing_until_it_is_repeated() {
        let hub = alone(vec![Fault::DraftFlipsBack { times: 1, after_looks: 1 }]);
        let made = post(&hub, "releases", json!({"tag_name": "v1.0"}));
        assert_eq!(made.json()["draft"], false);
        let at = format!("releases/{}", release_id(&made));
        assert_eq!(get(&hub, &at).json()["draft"], false);
        assert_eq!(get(&hub, &at).json()["draft"], true);
        assert!(hub.state().deployments.is_empty());
        patch(&hub, &at, json!({"draft": false}));
        assert_eq!(get(&hub, &at).json()["draft"], false);
        assert_eq!(hub.state().deployments.len(), 1);
    }

    #[test]
    fn a_lost_reply_has_had_its_effect() {
        let hub = alone(vec![Fault::ReplyLost { on: On::of("POST", "/releases"), times: 1 }]);
        let body = json!({"tag_name": "v1.0"}).to_string();
        assert!(hub.client().post(&hub.path("releases"), &body).is_err());
        assert_eq!(hub.state().deployments.len(), 1);
        assert_eq!(hub.client().post(&hub.path("releases"), &body).unwrap().status, 422);
        assert_eq!(get(&hub, "releases/tags/v1.0").status, 200);
    }

    #[test]
    fn a_late_deletion_shows_the_tag_for_a_while_and_takes_the_release_with_it() {
        let hub = alone(vec![Fault::Late { looks: 3 }]);
        assert_eq!(delete(&hub, "git/refs/tags/v1.0").status, 204);
        let made = post(&hub, "releases", json!({"tag_name": "v1.0"}));
        assert_eq!(made.status, 201);
        let seen: Vec<u16> = (0..3).map(|_| get(&hub, "git/ref/tags/v1.0").status).collect();
        assert_eq!(seen, [200, 200, 404]);
        assert_eq!(get(&hub, &format!("releases/{}", release_id(&made))).json()["draft"], true);
        assert!(hub.state().deployments.is_empty());
    }

    #[test]
    fn a_pushed_tag_shows_later_and_a_release_before_that_takes_its_place() {
        let world = GitWorld::new();
        let hub = over(&world, vec![Fault::PushedLate { looks: 2 }]);
        world.git(&["push", "--quiet", "origin", "v3.08:refs/tags/ui"]);
        let looks = ["git/ref/tags/ui", "commits/tags/ui", "git/ref/tags/ui"].map(|rest| get(&hub, rest).status);
        assert_eq!(looks, [404, 422, 200]);
        assert_eq!(get(&hub, "git/ref/tags/ui").json()["object"]["type"], "tag");
        world.git(&["push", "--quiet", "origin", "v3.08:refs/tags/hasty"]);
        let body = json!({"tag_name": "hasty", "target_commitish": world.commit_of("v3.08")});
        assert_eq!(post(&hub, "releases", body).status, 201);
        assert_eq!(get(&hub, "git/ref/tags/hasty").json()["object"]["type"], "commit");
    }

    #[test]
    fn a_tag_comes_back_from_a_stale_clone() {
        let hub = alone(vec![Fault::TagComesBack { after_looks: 2 }]);
        assert_eq!(delete(&hub, "git/refs/tags/v1.0").status, 204);
        let looks = [(); 3].map(|()| get(&hub, "git/ref/tags/v1.0").status);
        assert_eq!(looks, [404, 200, 200]);
    }

    #[test]
    fn a_release_at_the_wrong_commit() {
        let world = GitWorld::new();
        let hub = over(&world, vec![Fault::WrongCommit]);
        let target = world.commit_of("v3.08");
        let made = post(&hub, "releases", json!({"tag_name": "ui", "target_commitish": target}));
        assert_eq!((made.status, &made.json()["target_commitish"]), (201, &json!(target)));
        assert_eq!(hub.state().deployments[0].commit, world.commit_of("main"));
        assert_eq!(get(&hub, "git/ref/tags/ui").json()["object"]["sha"], json!(world.commit_of("main")));
    }

    #[test]
    fn server_errors_come_with_and_without_the_effect() {
        let on = On::of("POST", "/releases");
        let before = alone(vec![Fault::ServerError { on: on.clone(), times: 2, effect: false }]);
        let statuses: Vec<u16> =
            (0..3).map(|_| post(&before, "releases", json!({"tag_name": "v1.0"})).status).collect();
        assert_eq!(statuses, [502, 502, 201]);
        let after = alone(vec![Fault::ServerError { on, times: 1, effect: true }]);
        let statuses: Vec<u16> = (0..2).map(|_| post(&after, "releases", json!({"tag_name": "v1.0"})).status).collect();
        assert_eq!(statuses, [502, 422]);
        assert_eq!(after.state().deployments.len(), 1);
    }

    #[test]
    fn limits_say_when_to_come_back() {
        let limit = |retry_after| alone(vec![Fault::RateLimited { on: On::any(), times: 1, retry_after }]);
        let secondary = limit(Some(60));
        let refused = get(&secondary, "releases");
        assert_eq!((refused.status, refused.header("retry-after")), (403, Some("60")));
        assert_eq!(get(&secondary, "releases").status, 200);
        let refused = get(&limit(None), "releases");
        assert_eq!((refused.status, refused.header("x-ratelimit-remaining")), (403, Some("0")));
    }

    #[test]
    fn a_revoked_token_answers_401() {
        let hub = alone(vec![Fault::Unauthorized { on: On::of("POST", "") }]);
        assert_eq!((get(&hub, "releases").status, post(&hub, "releases", json!({})).status), (200, 401));
    }

    #[test]
    fn somebody_else_was_faster() {
        let hub = alone(vec![Fault::SecondaryAlreadyExists]);
        assert_eq!(get(&hub, "releases/tags/v1.0").status, 404);
        assert_eq!(post(&hub, "releases", json!({"tag_name": "v1.0"})).status, 422);
        assert_eq!(get(&hub, "releases/tags/v1.0").json()["author"]["login"], "somebody-else");
        assert_eq!(hub.state().deployments.len(), 1);
    }

    #[test]
    fn a_release_goes_away() {
        let hub = alone(vec![Fault::ItemGone { after_looks: 1 }]);
        let at = format!("releases/{}", release_id(&post(&hub, "releases", json!({"tag_name": "v1.0"}))));
        assert_eq!((get(&hub, &at).status, get(&hub, &at).status), (200, 404));
        assert_eq!(delete(&hub, &at).status, 404);
        assert_eq!(get(&hub, "git/ref/tags/v1.0").status, 200);
    }

    #[test]
    fn a_workflow_run_fails() {
        let hub = alone(vec![Fault::WorkflowFails]);
        let at = "actions/workflows/docker-push.yml/dispatches";
        let body = json!({"ref": "main", "inputs": {"image_tag": "v1.0"}, "return_run_details": true});
        let run = format!("actions/runs/{}", post(&hub, at, body).json()["workflow_run_id"]);
        (0..2).for_each(|_| drop(get(&hub, &run)));
        assert_eq!(get(&hub, &run).json()["conclusion"], "failure");
    }
}
