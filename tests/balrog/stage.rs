//! `balrog/deploy-stage` against a real git with a real key, GitHub's stand-in, and two services that follow what the
//! pipeline was told.

use std::sync::Arc;

use super::{Bench, Ran};
use crate::standins::{
    dockerflow::{Build, Dockerflow, Fault as Slip},
    git::GitWorld,
    github::{Fault, GitHub, TOKEN},
    server::On,
};

pub const YES: &[(&str, &str)] = &[("go", "v3.11"), ("bump/review", "done"), ("try-out", "done")];

/// A repository whose main branch is v3.11, with v3.10 on stage.
pub struct World {
    pub git: GitWorld,
    pub github: Arc<GitHub>,
    pub admin: Dockerflow,
    pub public: Dockerflow,
    /// The commit of the main branch at the beginning.
    start: String,
}

impl World {
    pub fn new(faults: Vec<Fault>) -> World {
        World::slipping(faults, vec![], vec![])
    }

    pub fn slipping(faults: Vec<Fault>, admin: Vec<Slip>, public: Vec<Slip>) -> World {
        let git = GitWorld::new();
        git.write("uv.lock", &lock("3.11"));
        git.write("src/auslib/web/new.py", "new()\n");
        git.commit("Merge what was reviewed", 12);
        let start = git.commit_of("main");
        World::over(git, start, faults, admin, public)
    }

    /// The same world as at the beginning, but for what git and gpg take their time to make.
    pub fn again(self, faults: Vec<Fault>, admin: Vec<Slip>, public: Vec<Slip>) -> World {
        World::over(self.git, self.start, faults, admin, public)
    }

    fn over(git: GitWorld, start: String, faults: Vec<Fault>, admin: Vec<Slip>, public: Vec<Slip>) -> World {
        git.git(&["reset", "--quiet", "--hard", &start]);
        git.git(&["clean", "--quiet", "-fd"]);
        git.git(&["push", "--quiet", "--force", "origin", "main"]);
        for name in ["refs/tags/v3.11", "refs/heads/version-3.12"] {
            git.git(&["update-ref", "-d", name]);
            assert!(git.try_remote(&["update-ref", "-d", name]).status.success());
        }
        let github = Arc::new(GitHub::start("mozilla-releng", "balrog", Some(&git.bare()), faults));
        let mut state = github.state();
        state.repo.take_pushed();
        state.publish_old("v3.10");
        drop(state);
        let service = |slips| {
            let github = github.clone();
            let now = Build { commit: git.commit_of("v3.10"), version: "3.10".into() };
            Dockerflow::start(now, slips, move || {
                // What was published last is built if its tag is the version in its tree.
                let state = github.state();
                let built = state
                    .deployments
                    .iter()
                    .rfind(|one| one.version.as_deref().is_some_and(|version| one.tag == format!("v{version}")))?;
                Some(Build { commit: built.commit.clone(), version: built.version.clone()? })
            })
        };
        let (admin, public) = (service(admin), service(public));
        World { git, github, admin, public, start }
    }

    /// A commit on the main branch, here and there.
    pub fn merge(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            self.git.write(path, text);
        }
        self.git.commit("Merge what was reviewed", 12);
        self.git.git(&["push", "--quiet", "origin", "main"]);
    }

    pub fn bench(&self, edits: &[(&str, &str)]) -> Bench {
        self.bench_at(&self.github.url(), edits)
    }

    pub fn bench_at(&self, api: &str, edits: &[(&str, &str)]) -> Bench {
        let mut bench = Bench::new("balrog/deploy-stage", edits)
            .param("version", "v3.11")
            .param("api", api)
            .param("clone", self.git.clone_dir().to_str().unwrap())
            .param("admin_service", self.admin.url())
            .param("public_service", self.public.url())
            .param("poll", "10ms")
            .param("settle", "50ms")
            .param("held_for", "80ms")
            .param("patience", "5s")
            .param("deployment", "3s")
            .env("GITHUB_TOKEN", TOKEN)
            .secret(TOKEN);
        for (name, value) in self.git.env() {
            bench = bench.env(&name, value);
        }
        bench
    }

    pub fn run(&self, edits: &[(&str, &str)]) -> Ran {
        self.bench(edits).run(YES)
    }

    /// The tag is signed and at the shipped commit, its release published and the latest, one pull request counts up.
    pub fn is_deployed(&self, commit: &str) {
        assert_eq!(self.git.remote_commit_of("refs/tags/v3.11").as_deref(), Some(commit));
        assert!(self.git.try_git(&["verify-tag", "v3.11"]).status.success());
        let state = self.github.state();
        let published = state.releases.iter().filter(|one| one.tag_name == "v3.11" && !one.draft).count();
        assert_eq!((published, state.deployments.len()), (1, 1));
        assert_eq!(state.deployments[0].commit, commit);
        let open: Vec<_> = state.pulls.iter().filter(|pull| pull.open).collect();
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!((open[0].head.as_str(), open[0].base.as_str()), ("version-3.12", "main"));
        assert_eq!(state.repo.version_at("refs/heads/version-3.12").as_deref(), Some("3.12"));
        drop(state);
        let files = self.git.git(&["diff", "--name-only", "main", "version-3.12"]);
        assert_eq!(files, "pyproject.toml\nuv.lock");
        assert!(self.git.git(&["show", "version-3.12:uv.lock"]).contains("name = \"balrog\"\nversion = \"3.12\"\n"));
        assert!(self.git.try_git(&["verify-commit", "version-3.12"]).status.success());
        assert_eq!(self.git.git(&["rev-parse", "version-3.12^"]), self.git.commit_of("origin/main"));
        // Nothing of the working tree was touched.
        assert_eq!(self.git.git(&["status", "--porcelain", "--branch"]), "## main...origin/main");
    }

    /// Nobody outside of the clone has seen anything.
    fn untouched(&self) {
        assert_eq!(self.git.remote_commit_of("refs/tags/v3.11"), None);
        assert_eq!(self.git.remote_commit_of("refs/heads/version-3.12"), None);
        let changes: Vec<String> =
            self.github.requests().iter().filter(|request| request.method != "GET").map(|r| r.line()).collect();
        assert_eq!(changes, Vec::<String>::new());
    }
}

pub fn lock(version: &str) -> String {
    format!(
        "version = 1\nrequires-python = \">=3.13\"\n\n[[package]]\nname = \"aiohttp\"\nversion = \"{version}\"\n\
         source = {{ registry = \"https://pypi.org/simple\" }}\n\n[[package]]\nname = \"balrog\"\nversion = \"{version}\"\n\
         source = {{ editable = \".\" }}\ndependencies = [\n    {{ name = \"aiohttp\" }},\n]\n"
    )
}

fn pyproject(version: &str) -> String {
    format!("[project]\nname = \"balrog\"\nversion = \"{version}\"\n")
}

const MIGRATION: &str = "from sqlalchemy import Column, MetaData, String, Table\n\n\ndef upgrade(migrate_engine):\n    \
    metadata = MetaData(bind=migrate_engine)\n    memory = Column(\"memory\", String(100))\n    \
    memory.create(Table(\"rules\", metadata, autoload=True))\n";

/// A step of the runbook, from its id to the next one, as it is written.
fn step(id: &str) -> String {
    let path = format!("{}/runbooks/balrog/deploy-stage.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let from = text.find(&format!("  - id: {id}\n")).unwrap_or_else(|| panic!("there is no step {id}"));
    let to = text[from + 1..].find("\n  - id: ").map_or(text.len(), |at| from + at + 2);
    text[from..to].to_owned()
}

#[test]
fn a_version_goes_from_the_clone_to_stage_and_the_next_one_is_asked_for() {
    let world = World::new(vec![]);
    // A stale tag of the clone stays where it is.
    world.git.git(&["tag", "stale"]);
    let commit = world.git.commit_of("main");
    let bench = world.bench(&[]);
    let asked = bench.run(&[]);
    assert_eq!(asked.code, 11, "{}", asked.told);
    let question = asked.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    for part in ["v3.11", &commit[..12], "runs 3.10 (admin) and 3.10 (public)", "since v3.10: none.", "up to 3.12"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    world.untouched();
    let ran = bench.resume(YES);
    ran.succeeded();
    world.is_deployed(&commit);
    assert_eq!(world.git.remote_commit_of("refs/tags/stale"), None);
    let client = world.github.client();
    assert_eq!(client.get(&world.github.path("releases/latest")).unwrap().json()["tag_name"], "v3.11");
    // Once deployed there is no way back from here, and nothing of it is touched.
    let undone = bench.undo(&[]);
    assert!(undone.told.contains("point of no return"), "{}", undone.told);
    assert_eq!(world.git.remote_commit_of("refs/tags/v3.11"), Some(commit));
    assert_eq!(world.github.state().releases.iter().filter(|one| one.tag_name == "v3.11").count(), 1);
}

#[test]
fn a_schema_change_is_told_before_anything_is_seen_by_others() {
    let world = World::new(vec![]);
    let path = "src/auslib/migrate/versions/037_add.py";
    world.merge(&[(path, MIGRATION)]);
    let asked = world.run(&[("      type_back: \"{{ version }}\"", "      type_back: \"{{ version }}-\"")]);
    assert_eq!(asked.code, 11, "{}", asked.told);
    let question = asked.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    assert!(question["message"].as_str().unwrap().contains("since v3.10: additive (production: admin-first;"));
    world.untouched();
    world.git.git(&["tag", "-d", "v3.11"]);
    let mixed = format!("{MIGRATION}    Table(\"old\", metadata, autoload=True).drop()\n");
    world.merge(&[(path, &mixed)]);
    world.run(&[]).stopped_at("one-order", "make two versions of it");
    world.untouched();
}

#[test]
fn what_is_not_ready_stops_it_before_anything_is_made() {
    let world = World::new(vec![]);
    let stopped = |at: &str, why: &str| {
        world.run(&[]).stopped_at(at, why);
        world.untouched();
    };
    world.git.write("notes.txt", "to do\n");
    stopped("clean", "notes.txt");
    world.git.commit("Not merged", 13);
    stopped("commit", "is not on main of origin");
    world.git.git(&["reset", "--quiet", "--hard", "origin/main"]);
    world.bench(&[]).param("version", "v3.12").run(YES).stopped_at("tree-version", "3.11");
    world.bench(&[]).param("version", "v3.011").run(YES).stopped_at("tree-version", "3.11");
    world.git.git(&["branch", "version-3.12"]);
    stopped("absent-here", "refs/heads/version-3.12");
    world.git.git(&["branch", "-D", "version-3.12"]);
    world.git.git(&["tag", "v3.11"]);
    stopped("absent-here", "refs/tags/v3.11");
    world.git.git(&["push", "--quiet", "origin", "refs/tags/v3.11"]);
    world.git.git(&["tag", "-d", "v3.11"]);
    world.run(&[]).stopped_at("absent-there", "result.exit");
    world.git.git(&["push", "--quiet", "--delete", "origin", "v3.11"]);
    for (next, why) in [("v3.11", "3.11 does not come after"), ("v2.99", "2.99 does not"), ("v3.9", "3.9 does not")] {
        world.bench(&[]).param("next_version", next).run(YES).stopped_at("numbers", why);
    }
    world.public.runs(Build { commit: world.git.commit_of("v3.08"), version: "3.08".into() });
    stopped("one-version", "the public app 3.08");
    world.public.runs(Build { commit: "1".repeat(40), version: "2.1".into() });
    world.admin.runs(Build { commit: "1".repeat(40), version: "2.1".into() });
    stopped("schema/commits", "no v2.1");
    world.git.git(&["tag", "-d", "v3.11"]);
    world.git.git(&["config", "user.signingkey", "0000000000000000000000000000000000000000"]);
    stopped("tag", "exited with 128");
    for version in ["3.11", "v3.11.1", "v3", "--all"] {
        let ran = world.bench(&[]).param("version", version).run(YES);
        assert_eq!(ran.code, 2, "{version}: {}", ran.told);
    }
}

#[test]
fn the_numbers_are_counted_and_the_two_files_agree() {
    let world = World::new(vec![]);
    world.merge(&[("uv.lock", &lock("3.10"))]);
    world.run(&[]).stopped_at("tree-version", "pyproject.toml says 3.11 and uv.lock 3.10");
    world.merge(&[("uv.lock", &lock("3.09")), ("pyproject.toml", &pyproject("3.09"))]);
    // v3.09 is used up; the numbers are what is looked at.
    let ran = world.bench(&[]).param("version", "v3.09").run(YES);
    assert_eq!(ran.captured("next_number").unwrap(), "3.10", "{}", ran.told);
    world.merge(&[("uv.lock", &lock("4.07")), ("pyproject.toml", &pyproject("4.07"))]);
    let ran = world.bench(&[]).param("version", "v4.07").run(&[("go", "v4.07")]);
    assert_eq!(ran.captured("next_number").unwrap(), "4.08", "{}", ran.told);
    let ran = world.bench(&[]).param("version", "v4.07").param("next_version", "v5.0").run(&[]);
    assert_eq!(ran.captured("bump_branch").unwrap(), "version-5.0", "{}", ran.told);
}

/// What goes wrong and can be coped with.
#[test]
fn it_copes() {
    let post = |path| On::of("POST", path);
    let cases: Vec<(Vec<Fault>, Vec<Slip>)> = vec![
        (
            vec![
                Fault::ReplyLost { on: post("/releases"), times: 1 },
                Fault::ReplyLost { on: post("/pulls"), times: 1 },
            ],
            vec![Slip::Late { looks: 9 }],
        ),
        (vec![Fault::DraftFlipsBack { times: 1, after_looks: 1 }], vec![Slip::Unavailable { times: 2 }]),
    ];
    let mut world = World::new(vec![]);
    for (faults, slips) in cases {
        eprintln!("{faults:?} {slips:?}");
        world = world.again(faults, slips, vec![]);
        world.run(&[]).succeeded();
        world.is_deployed(&world.git.commit_of("main"));
    }
}

/// What goes wrong and is told, at the right place.
#[test]
fn it_notices() {
    let cases: Vec<(Vec<Fault>, Vec<Slip>, &str, &str)> = vec![
        (vec![], vec![Slip::Never], "shown", ""),
        (vec![], vec![Slip::InTurnForever], "shown", ""),
        (vec![], vec![Slip::WrongCommit], "right-build", "commit_sha"),
        (vec![], vec![Slip::ErrorPage { times: 1000 }], "runs-now", ""),
        (vec![Fault::Unauthorized { on: On::of("POST", "/releases") }], vec![], "release/publish", "401"),
        (
            vec![Fault::ServerError { on: On::of("POST", "/pulls"), times: 9, effect: false }],
            vec![],
            "bump/pull-request",
            "502",
        ),
    ];
    let mut world = World::new(vec![]);
    for (faults, slips, at, why) in cases {
        eprintln!("{faults:?} {slips:?}");
        let vain = slips.iter().any(|slip| matches!(slip, Slip::Never | Slip::InTurnForever));
        world = world.again(faults, vec![], slips);
        let ran = world.bench(&[]).param("deployment", if vain { "300ms" } else { "30s" }).run(YES);
        let failed = ran.events.iter().find(|event| {
            event["event"] == "step_finished"
                && event["status"] == "failed"
                && event["step"].as_str().unwrap().starts_with(at)
        });
        let failed = failed.unwrap_or_else(|| panic!("{at} has not failed: {}", ran.told));
        assert!(failed["error"].as_str().unwrap().contains(why), "{failed}");
        assert_ne!(ran.code, 0);
    }
}

#[test]
fn until_a_service_runs_it_all_of_it_can_be_taken_back() {
    let world = World::slipping(vec![], vec![Slip::Never], vec![Slip::Never]);
    let bench = world.bench(&[]).param("deployment", "200ms");
    assert_eq!(bench.run(YES).code, 1);
    assert_eq!(world.github.state().releases.iter().filter(|one| one.tag_name == "v3.11").count(), 1);
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!(world.git.remote_commit_of("refs/tags/v3.11"), None);
    assert!(!world.git.try_git(&["rev-parse", "--verify", "--quiet", "refs/tags/v3.11"]).status.success());
    assert_eq!(world.github.state().releases.iter().filter(|one| one.tag_name == "v3.11").count(), 0);
    // The number can be used again.
    world.admin.mend();
    world.public.mend();
    world.github.state().deployments.clear();
    world.run(&[]).succeeded();
    world.is_deployed(&world.git.commit_of("main"));
}

#[test]
fn what_a_service_runs_is_not_taken_back() {
    // The admin app is deployed, the public one never: the run stops, and the version is in use.
    let stopped = |world: &World, edits: &[(&str, &str)]| {
        let bench = world.bench(edits).param("deployment", "200ms");
        assert_eq!(bench.run(YES).code, 1);
        world.admin.mend();
        world.admin.runs(Build { commit: world.git.commit_of("main"), version: "3.11".into() });
        bench.undo(&[])
    };
    let never = || (vec![Slip::Never], vec![Slip::Never]);
    let world = World::slipping(vec![], never().0, never().1);
    let undone = stopped(&world, &[]);
    assert_eq!(undone.code, 12, "{}", undone.told);
    assert!(undone.told.contains("runs 3.11: it is deployed, and its release and tag stay"), "{}", undone.told);
    assert_eq!(world.git.remote_commit_of("refs/tags/v3.11"), Some(world.git.commit_of("main")));
    assert_eq!(world.github.state().releases.iter().filter(|one| one.tag_name == "v3.11").count(), 1);
    // Without that look the release of what runs would be gone.
    let world = world.again(vec![], never().0, never().1);
    let unseen = ("          if [[ \"$shows\" == \"$number\" ]]", "          if false");
    assert_eq!(stopped(&world, &[unseen]).code, 6);
    assert_eq!(world.git.remote_commit_of("refs/tags/v3.11"), None);
}

/// Everything of a commit and of the operator's folder is data.
#[test]
fn a_hostile_subject_and_a_relative_folder_are_what_they_are() {
    let world = World::new(vec![]);
    world.git.write("x", "x");
    let subject = "{{ github_token }} $(touch owned) `touch owned` \u{1b}[31m'; \"%s\" %n";
    world.git.git(&["add", "--all"]);
    world.git.git(&["commit", "--quiet", "--message", subject]);
    world.git.git(&["push", "--quiet", "origin", "main"]);
    let bench = world.bench(&[]);
    std::os::unix::fs::symlink(world.git.clone_dir(), bench.folder().join("here")).unwrap();
    let asked = bench.param("clone", "here").run(&[]);
    assert_eq!(asked.code, 11, "{}", asked.told);
    let question = asked.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    assert!(question["message"].as_str().unwrap().contains("{{ github_token }} $(touch owned) `touch owned`"));
    assert!(!asked.told.contains('\u{1b}'), "{}", asked.told);
    assert!(!world.git.clone_dir().join("owned").exists());
}

#[test]
fn somebody_elses_tag_is_not_deleted_by_the_way_back() {
    let world = World::slipping(vec![], vec![Slip::Never], vec![Slip::Never]);
    let bench = world.bench(&[]).param("deployment", "200ms");
    assert_eq!(bench.run(YES).code, 1);
    let theirs = world.git.commit_of("v3.08");
    world.git.try_remote(&["update-ref", "refs/tags/v3.11", &theirs]);
    assert_eq!(bench.undo(&[]).code, 12);
    assert_eq!(world.git.remote_commit_of("refs/tags/v3.11"), Some(theirs));
}

/// A remote that does not answer is not one without the tag.
#[test]
fn what_the_remote_does_not_answer_is_not_taken_for_undone() {
    let undone = |edits: &[(&str, &str)]| {
        let world = World::slipping(vec![], vec![Slip::Never], vec![Slip::Never]);
        let bench = world.bench(edits).param("deployment", "200ms");
        assert_eq!(bench.run(YES).code, 1);
        world.git.git(&["remote", "set-url", "origin", "/nowhere"]);
        let undone = bench.undo(&[]);
        assert!(world.git.remote_commit_of("refs/tags/v3.11").is_some());
        undone.code
    };
    assert_eq!(undone(&[]), 12);
    assert_eq!(
        undone(&[(
            "        there=$(git ls-remote --tags \"$remote\" \"refs/tags/$version\")\n        if [[ -n \"$there\" ]]; then",
            "        if [[ -n \"$(git ls-remote --tags \"$remote\" \"refs/tags/$version\")\" ]]; then",
        )]),
        6
    );
}

/// Whatever the operator has configured, one tag is pushed.
#[test]
fn no_other_tag_goes_along() {
    let stale_is_there = |edits: &[(&str, &str)]| {
        let world = World::new(vec![]);
        world.git.git(&["config", "push.followTags", "true"]);
        world.git.git(&["tag", "-s", "-m", "Not to be seen yet", "v3.06", "v3.08^{}"]);
        world.run(edits).succeeded();
        world.git.remote_commit_of("refs/tags/v3.06").is_some()
    };
    assert!(!stale_is_there(&[]));
    for end in ["\"refs/tags/$version\"", "\"$bump_sha:"] {
        let (with, without) =
            (format!("git push --no-follow-tags \"$remote\" {end}"), format!("git push \"$remote\" {end}"));
        assert!(stale_is_there(&[(&with, &without)]), "{end}");
    }
}

#[test]
fn a_branch_that_was_counted_up_already_is_left_alone() {
    let world = World::new(vec![]);
    let commit = world.git.commit_of("main");
    // The main branch moves on while the deployment is waited for.
    let bench = world.bench(&[]);
    let going = bench.start(YES).until_doing("release/publish");
    world.merge(&[("uv.lock", &lock("3.12")), ("pyproject.toml", &pyproject("3.12"))]);
    let ran = going.end();
    ran.succeeded();
    assert_eq!((ran.status("bump"), world.github.state().pulls.len()), (Some("skipped"), 0));
    assert_eq!(world.git.remote_commit_of("refs/tags/v3.11"), Some(commit));

    let world = World::new(vec![]);
    let bench = world.bench(&[]);
    let going = bench.start(YES).until_doing("release/publish");
    world.merge(&[("uv.lock", &lock("4.0")), ("pyproject.toml", &pyproject("4.0"))]);
    going.end().stopped_at("main-version", "4.0");
}

/// Each check, what goes wrong, and that the run would go on without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    struct Case<'a> {
        with_it: &'a str,
        edits: Vec<(String, String)>,
        slips: Vec<Slip>,
        prepare: &'a dyn Fn(&World),
        harm: &'a dyn Fn(&World, &Ran),
    }
    let remove = |id: &str| (step(id), String::new());
    let replace = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    let nothing = |_: &World| {};
    let deployed = |_: &World, ran: &Ran| {
        ran.succeeded();
    };
    let not_merged = |world: &World| {
        world.git.write("secret.py", "not reviewed\n");
        world.git.commit("Not merged", 13);
    };
    let cases = [
        Case {
            with_it: "clean",
            edits: vec![remove("clean")],
            slips: vec![],
            prepare: &|world| world.git.write("fix.py", "the fix\n"),
            harm: &|world, ran| {
                ran.succeeded();
                assert!(!world.git.try_remote(&["cat-file", "-e", "refs/tags/v3.11:fix.py"]).status.success());
            },
        },
        Case {
            with_it: "commit",
            edits: vec![replace("if ! git merge-base --is-ancestor HEAD \"refs/remotes/$remote/$branch\"", "if false")],
            slips: vec![],
            prepare: &not_merged,
            harm: &|world, ran| {
                ran.succeeded();
                assert!(world.git.try_remote(&["cat-file", "-e", "refs/tags/v3.11:secret.py"]).status.success());
            },
        },
        // The pipeline builds nothing of it, and the wait is in vain.
        Case {
            with_it: "tree-version",
            edits: vec![replace("    expect: \"'v' ~ result.stdout == version\"\n", "")],
            slips: vec![],
            prepare: &|world| world.merge(&[("uv.lock", &lock("3.12")), ("pyproject.toml", &pyproject("3.12"))]),
            harm: &|world, ran| {
                assert_ne!(ran.code, 0);
                assert!(ran.status("shown").is_some(), "{}", ran.told);
                assert!(world.git.remote_commit_of("refs/tags/v3.11").is_some());
            },
        },
        Case {
            with_it: "absent-there",
            edits: vec![replace("    expect: result.exit == 2\n", "    expect: result.exit in [0, 2]\n")],
            slips: vec![],
            prepare: &|world| {
                world.git.git(&["push", "--quiet", "origin", "main~1:refs/tags/v3.11"]);
            },
            harm: &|_, ran| {
                ran.stopped_at("push", "");
            },
        },
        Case {
            with_it: "one-version",
            edits: vec![replace("if [[ \"$ADMIN\" != \"$PUBLIC\" ]]", "if false")],
            slips: vec![],
            prepare: &|world| world.public.runs(Build { commit: "1".repeat(40), version: "3.08".into() }),
            harm: &deployed,
        },
        Case {
            with_it: "one-order",
            edits: vec![remove("one-order")],
            slips: vec![],
            prepare: &|world| {
                let mixed = format!("{MIGRATION}    Table(\"old\", metadata, autoload=True).drop()\n");
                world.merge(&[("src/auslib/migrate/versions/037_add.py", &mixed)]);
            },
            harm: &deployed,
        },
        Case {
            with_it: "right-build",
            edits: vec![replace(
                "expect: result.json.version == number and result.json.commit == commit_sha",
                "expect: result.json.version == number",
            )],
            slips: vec![Slip::WrongCommit],
            prepare: &nothing,
            harm: &deployed,
        },
    ];
    let mut world = World::new(vec![]);
    for case in cases {
        eprintln!("{}", case.with_it);
        let run = |world: World, edits: &[(String, String)]| {
            let world = world.again(vec![], vec![], case.slips.clone());
            (case.prepare)(&world);
            let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            let vain = case.with_it == "tree-version";
            let ran = world.bench(&edits).param("deployment", if vain { "300ms" } else { "30s" }).run(YES);
            (world, ran)
        };
        let ran;
        (world, ran) = run(world, &[]);
        assert_ne!(ran.code, 0, "{}", ran.told);
        let mut ends =
            ran.events.iter().filter(|event| event["event"] == "step_finished" && event["status"] == "failed");
        assert!(ends.any(|event| event["step"].as_str().unwrap().starts_with(case.with_it)), "{}", ran.told);
        let ran;
        (world, ran) = run(world, &case.edits);
        (case.harm)(&world, &ran);
    }
}

#[test]
fn a_version_that_goes_away_again_is_told() {
    let back = |edits: &[(&str, &str)]| {
        let world = World::new(vec![]);
        let bench = world.bench(edits);
        let going = bench.start(YES).until_doing("bump/push");
        world.github.state().deployments.clear();
        world.admin.runs(Build { commit: world.git.commit_of("v3.10"), version: "3.10".into() });
        going.end()
    };
    let ran = back(&[]);
    let failed = ran.events.iter().rfind(|event| event["event"] == "step_finished" && event["status"] == "failed");
    assert!(failed.unwrap()["step"].as_str().unwrap().starts_with("still-runs"), "{}", ran.told);
    back(&[(&step("still-runs"), "")]).succeeded();
}
