//! `balrog/retag-ui` against GitHub's stand-in and a real git with a real key.

use std::process::Command;

use super::{Bench, Ran};
use crate::standins::{
    git::GitWorld,
    github::{Fault, GitHub, TOKEN},
    server::On,
};

const YES: &[(&str, &str)] = &[("quiet-time", "yes"), ("go", "v3.10")];

/// A repository whose UI stands at v3.08 and whose latest release is v3.10.
pub struct World {
    pub git: GitWorld,
    pub github: GitHub,
    /// The tag object of production-ui at the beginning.
    ui: String,
}

impl World {
    pub fn new(faults: Vec<Fault>) -> World {
        let git = GitWorld::new();
        let ui = git.git(&["rev-parse", "production-ui"]);
        World::over(git, ui, faults)
    }

    /// The same world as at the beginning, but for what git and gpg take their time to make.
    pub fn again(self, faults: Vec<Fault>) -> World {
        World::over(self.git, self.ui, faults)
    }

    fn over(git: GitWorld, ui: String, faults: Vec<Fault>) -> World {
        let github = GitHub::start("mozilla-releng", "balrog", Some(&git.bare()), faults);
        let mut state = github.state();
        assert!(state.repo.set("refs/tags/production-ui", &ui));
        state.repo.take_pushed();
        state.publish_old("production-ui");
        state.publish_old("v3.10");
        drop(state);
        World { git, github, ui }
    }

    pub fn bench(&self, version: &str, edits: &[(&str, &str)]) -> Bench {
        self.bench_at(&self.github.url(), version, edits)
    }

    pub fn bench_at(&self, api: &str, version: &str, edits: &[(&str, &str)]) -> Bench {
        self.bench_of("balrog/retag-ui", api, version, edits)
    }

    /// The push of the UI, or what calls it.
    pub fn bench_of(&self, name: &str, api: &str, version: &str, edits: &[(&str, &str)]) -> Bench {
        let mut bench = Bench::new(name, edits)
            .param("version", version)
            .param("api", api)
            .param("clone", self.git.clone_dir().to_str().unwrap())
            .param("poll", "20ms")
            .param("settle", "300ms")
            .param("patience", "30s")
            .env("GITHUB_TOKEN", TOKEN)
            .secret(TOKEN);
        for (name, value) in self.git.env() {
            bench = bench.env(&name, value);
        }
        bench
    }

    fn run(&self, edits: &[(&str, &str)]) -> Ran {
        self.bench("v3.10", edits).run(YES)
    }

    /// Published, not a draft, on a signed tag straight to the commit of that version, and deployed from there.
    pub fn is_at(&self, version: &str) {
        let sha = self.git.commit_of(version);
        let state = self.github.state();
        let published: Vec<_> =
            state.releases.iter().filter(|release| release.tag_name == "production-ui" && !release.draft).collect();
        assert_eq!(published.len(), 1, "{published:?}");
        assert_eq!(state.repo.commit("refs/tags/production-ui"), Some(sha.clone()));
        let (kind, object) = state.repo.named("refs/tags/production-ui").unwrap();
        let tag = state.repo.git(&["cat-file", "-p", &object]).unwrap();
        assert_eq!((kind.as_str(), tag.lines().next()), ("tag", Some(format!("object {sha}").as_str())));
        assert!(tag.contains("BEGIN PGP SIGNATURE"), "{tag}");
        let last = state.deployments.last().unwrap();
        assert_eq!((last.tag.as_str(), last.commit.as_str()), ("production-ui", sha.as_str()));
    }

    /// The UI stands where it stood at the beginning, and nobody has touched anything.
    pub fn untouched(&self) {
        assert_eq!(self.git.remote_commit_of("refs/tags/production-ui"), Some(self.git.commit_of("v3.08")));
        assert!(self.github.state().deployments.is_empty());
        let changes: Vec<String> =
            self.github.requests().iter().filter(|request| request.method != "GET").map(|r| r.line()).collect();
        assert_eq!(changes, Vec::<String>::new());
    }
}

/// A step of the runbook, from its id to the next one, as it is written.
fn step(id: &str) -> String {
    let path = format!("{}/runbooks/balrog/retag-ui.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let from = text.find(&format!("  - id: {id}\n")).unwrap_or_else(|| panic!("there is no step {id}"));
    let to = text[from + 1..].find("\n  - id: ").map_or(text.len(), |at| from + at + 2);
    text[from..to].to_owned()
}

#[test]
fn forwards_back_and_forwards_again() {
    let world = World::new(vec![]);
    world.run(&[]).succeeded();
    world.is_at("v3.10");
    let back = world.bench("v3.07", &[]).run(&[("quiet-time", "yes"), ("go", "v3.07")]);
    back.succeeded();
    assert_eq!(back.status("release/publish-again"), Some("skipped"));
    world.is_at("v3.07");
    assert_eq!(world.github.state().deployments.len(), 2);
    // No other tag and no branch has moved, and the latest release is still the version's.
    assert_eq!(world.github.client().get(&world.github.path("releases/latest")).unwrap().json()["tag_name"], "v3.10");
    assert_eq!(world.git.remote_commit_of("main"), Some(world.git.commit_of("main")));
}

#[test]
fn it_can_be_begun_where_there_is_nothing_and_where_an_attempt_was_left_half_done() {
    let world = World::new(vec![]);
    world.github.state().releases.retain(|release| release.tag_name != "production-ui");
    world.run(&[]).succeeded();
    world.is_at("v3.10");
    // The tag alone deploys nothing, and a draft is not found by its tag; it goes all the same.
    world.github.state().releases.iter_mut().filter(|r| r.tag_name == "production-ui").for_each(|r| r.draft = true);
    world.run(&[]).succeeded();
    world.is_at("v3.10");
    assert_eq!(world.github.state().releases.iter().filter(|r| r.tag_name == "production-ui").count(), 1);
    world.github.state().repo.delete("refs/tags/production-ui");
    world.github.state().releases.retain(|release| release.tag_name != "production-ui");
    let before = world.github.requests_of("DELETE", "").len();
    world.run(&[]).succeeded();
    world.is_at("v3.10");
    assert_eq!(world.github.requests_of("DELETE", "").len(), before);
}

#[test]
fn the_questions_name_both_versions_and_fail_closed() {
    let world = World::new(vec![]);
    let bench = world.bench("v3.10", &[]);
    let unanswered = bench.run(&[("quiet-time", "yes")]);
    assert_eq!(unanswered.code, 11, "{}", unanswered.told);
    let question = unanswered.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    for part in ["now at v3.08", &world.git.commit_of("v3.08"), "v3.10", &world.git.commit_of("v3.10")] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    let wrong = world.bench("v3.10", &[]).run(&[("quiet-time", "yes"), ("go", "v3.1")]);
    assert_eq!(wrong.code, 11, "{}", wrong.told);
    let declined = world.bench("v3.10", &[]).run(&[("quiet-time", "no")]);
    assert_eq!(declined.code, 5, "{}", declined.told);
    let three_parts = world.bench("v3.10.1", &[]).run(YES);
    assert_eq!(three_parts.code, 2, "{}", three_parts.told);
    world.untouched();
    // A question that nobody answered is asked again.
    bench.resume(YES).succeeded();
    world.is_at("v3.10");
}

#[test]
fn a_version_that_will_not_do_stops_it_before_anything_is_touched() {
    let world = World::new(vec![]);
    world.bench("v9.9", &[]).run(YES).stopped_at("version-here", "no tag v9.9");
    world.bench("v3.09", &[]).run(&[("quiet-time", "yes"), ("go", "v3.09")]).stopped_at("signed-by", "");
    world.bench("v3.08", &[]).run(YES).stopped_at("not-there-yet", "nothing to do");
    world.untouched();
    world.git.git(&["tag", "-s", "-m", "local", "v3.11"]);
    world.bench("v3.11", &[]).run(YES).stopped_at("version-there", "absent on origin");
    world.untouched();
    let lightweight = world.bench("v3.09", &[]).param("signature", "optional");
    lightweight.run(&[("quiet-time", "yes"), ("go", "v3.09")]).succeeded();
    world.is_at("v3.09");
}

#[test]
fn a_key_that_cannot_sign_is_noticed_before_anything_is_deleted() {
    let world = World::new(vec![]);
    world.git.git(&["config", "user.signingkey", "0000000000000000000000000000000000000000"]);
    world.run(&[]).stopped_at("sign", "exited with 128");
    world.untouched();
}

/// What goes wrong and can be coped with.
#[test]
fn it_copes() {
    let post = || On::of("POST", "/releases");
    let delete = || On::of("DELETE", "/git/refs/tags/production-ui");
    let faults: Vec<(&str, Fault)> = vec![
        ("a deletion that takes its time", Fault::Late { looks: 6 }),
        ("a pushed tag that shows late", Fault::PushedLate { looks: 9 }),
        ("a release that becomes a draft", Fault::DraftFlipsBack { times: 1, after_looks: 1 }),
        ("a release that becomes a draft twice", Fault::DraftFlipsBack { times: 2, after_looks: 2 }),
        ("a lost answer to the creation", Fault::ReplyLost { on: post(), times: 1 }),
        ("a lost answer to the deletion", Fault::ReplyLost { on: delete(), times: 1 }),
        ("an error and a release", Fault::ServerError { on: post(), times: 1, effect: true }),
        ("an error and a deletion", Fault::ServerError { on: delete(), times: 1, effect: true }),
    ];
    let mut world = World::new(vec![]);
    for (what, fault) in faults {
        eprintln!("{what}");
        world = world.again(vec![fault]);
        let ran = world.run(&[]);
        ran.succeeded();
        world.is_at("v3.10");
        let created = world.github.state().releases.iter().filter(|r| r.tag_name == "production-ui").count();
        assert_eq!(created, 1, "{what}");
    }
}

#[test]
fn a_lost_answer_to_the_repair_is_no_harm() {
    let flips = Fault::DraftFlipsBack { times: 1, after_looks: 1 };
    let world = World::new(vec![flips, Fault::ReplyLost { on: On::of("PATCH", ""), times: 2 }]);
    world.run(&[]).succeeded();
    assert_eq!(world.github.requests_of("PATCH", "").len(), 3);
    world.is_at("v3.10");
}

/// What goes wrong and is told, at the right place.
#[test]
fn it_notices() {
    let faults: Vec<(Fault, &str, &str)> = vec![
        (Fault::DraftFlipsBack { times: 3, after_looks: 1 }, "release/published", "wrong"),
        (Fault::WrongCommit, "release/right-commit", "commit"),
        (Fault::ItemGone { after_looks: 1 }, "release/publish-again", "404"),
        (Fault::SecondaryAlreadyExists, "release/latest", "make_latest"),
        (Fault::TagComesBack { after_looks: 3 }, "push", "exited with 1"),
        (Fault::Unauthorized { on: On::of("GET", "/commits") }, "tag-now", "401"),
        (Fault::Unauthorized { on: On::of("DELETE", "/releases") }, "clear/delete[2]", "401"),
        (Fault::Unauthorized { on: On::of("DELETE", "/git/refs") }, "clear/delete-tag", "401"),
        (Fault::Unauthorized { on: On::of("POST", "/releases") }, "release/publish", "401"),
        (Fault::RateLimited { on: On::of("GET", "/releases/tags"), times: 9, retry_after: None }, "release-now", "403"),
        (Fault::ServerError { on: On::of("GET", "/commits"), times: 9, effect: false }, "tag-now", "502"),
    ];
    let mut world = World::new(vec![]);
    for (fault, at, why) in faults {
        eprintln!("{fault:?}");
        world = world.again(vec![fault]);
        world.run(&[]).stopped_at(at, why);
    }
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let remove = |id: &str| (step(id), String::new());
    // A tag that was moved on the other side.
    let moved = |world: &World| {
        world.git.try_remote(&["update-ref", "refs/tags/v3.10", &world.git.git(&["rev-parse", "v3.08"])]);
    };
    let nothing = |_: &World| {};
    let lightweight = |world: &World| {
        world.git.git(&["tag", "-d", "v3.10"]);
        world.git.git(&["tag", "v3.10", "main~1"]);
        world.git.git(&["push", "--force", "--quiet", "origin", "refs/tags/v3.10"]);
    };
    let there_already = |world: &World| {
        world.git.git(&["push", "--quiet", "origin", "+v3.10^{}:refs/tags/production-ui"]);
    };
    let nest = ("production-ui \"$version_sha\"\n".to_owned(), "production-ui \"$version\"\n".to_owned());
    struct Case<'a> {
        check: (String, String),
        with_it: &'a str,
        other: Vec<(String, String)>,
        faults: Vec<Fault>,
        prepare: &'a dyn Fn(&World),
    }
    let case = |check, with_it, other, faults, prepare| Case { check, with_it, other, faults, prepare };
    // Its anchors are used further down, so that it cannot simply go.
    let at_github = || ("result.json.object.sha == version_object".to_owned(), "true".to_owned());
    let cases = [
        case(remove("version-there"), "version-there", vec![at_github()], vec![], &moved),
        case(at_github(), "version-at-github", vec![remove("version-there")], vec![], &moved),
        case(remove("signed-by"), "signed-by", vec![], vec![], &lightweight),
        case(remove("not-there-yet"), "not-there-yet", vec![], vec![], &there_already),
        case(
            ("    if [[ \"$leads_to\"".to_owned(), "    if false && [[ \"$leads_to\"".to_owned()),
            "signed",
            vec![nest],
            vec![],
            &nothing,
        ),
    ];
    for case in cases {
        eprintln!("{}", case.with_it);
        let run = |edits: &[(String, String)]| {
            let world = World::new(case.faults.clone());
            (case.prepare)(&world);
            let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            world.run(&edits)
        };
        run(&case.other).stopped_at(case.with_it, "");
        let mut edits = case.other;
        edits.push(case.check);
        run(&edits).succeeded();
    }
}

#[test]
fn gpg_itself_says_who_signed_the_tag() {
    let world = World::new(vec![]);
    world.run(&[]).succeeded();
    let elsewhere = tempfile::tempdir().unwrap();
    let clone = elsewhere.path().join("clone");
    let bare = world.git.bare();
    let cloned = Command::new("git").args(["clone", "--quiet", "--bare"]).arg(&bare).arg(&clone).status().unwrap();
    assert!(cloned.success());
    let verified = world
        .git
        .command("git")
        .arg("--git-dir")
        .arg(&clone)
        .args(["verify-tag", "--raw", "production-ui"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(told.contains(&format!("VALIDSIG {}", world.git.fingerprint())), "{told}");
}
