//! What the runbooks of MozCloud are tried with: a small history with its releases, GitHub, Docker Hub, Argo CD, Sentry and
//! the services, all of them stand-ins, and what can be said of them afterwards. Knows no step of any runbook.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::Bench;
use crate::standins::{
    argocd::{self, APPS, App, ArgoCd},
    github::{self, GitHub},
    server::{Reply, Server, locked},
};

pub const NEW: &str = "v3.120";
pub const SENTRY: &str = "sentry-token-of-a-stand-in";

/// A migration of today with this body.
const MIGRATION: &str = "import sqlalchemy as sa\nfrom alembic import op\n\n\ndef upgrade() -> None:\n    BODY\n";

/// Everything around one run. What it does not hold is gone with the test.
pub struct World {
    pub folder: tempfile::TempDir,
    pub github: GitHub,
    pub argo: ArgoCd,
    pub hub: Server,
    pub sentry: Server,
    pub admin: Server,
    pub public: Server,
}

/// What the version does to the database.
fn migration(change: &str) -> Option<String> {
    let body = match change {
        "additive" => "op.add_column(\"rules\", sa.Column(\"note\", sa.Text()))",
        "destructive" => "op.drop_column(\"rules\", \"note\")",
        _ => return None,
    };
    Some(MIGRATION.replace("BODY", body))
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A clone with v3.119 and, on top of it, what is to be v3.120, and the bare repository behind it.
fn history(folder: &Path, change: &str) -> (PathBuf, PathBuf) {
    let (clone, bare) = (folder.join("clone"), folder.join("remote.git"));
    std::fs::create_dir_all(&clone).unwrap();
    git(&clone, &["init", "--quiet", "--initial-branch", "main"]);
    let first = MIGRATION.replace("BODY", "op.create_table(\"rules\")");
    write(&clone, "src/auslib/alembic/versions/0001_initial.py", &first);
    for (version, file) in [("3.119", None), ("3.120", migration(change))] {
        write(&clone, "pyproject.toml", &format!("[project]\nname = \"balrog\"\nversion = \"{version}\"\n"));
        if let Some(text) = file {
            write(&clone, "src/auslib/alembic/versions/0002_change.py", &text);
        }
        git(&clone, &["add", "--all"]);
        git(&clone, &["commit", "--quiet", "-m", version]);
    }
    git(&clone, &["tag", "v3.119", "HEAD~1"]);
    git(folder, &["clone", "--quiet", "--bare", "clone", "remote.git"]);
    (clone, bare)
}

/// The version that one of the applications answers with.
fn service(argo: &ArgoCd, app: &'static str) -> Server {
    let state = argo.shared();
    Server::start(move |request| match request.path.as_str() {
        "/__version__" => {
            let live = locked(&state).app(app).live().trim_start_matches('v').to_owned();
            Reply::json(200, &json!({"version": live, "commit": "0", "source": "", "build": ""}))
        }
        "/__lbheartbeat__" => Reply::of(200, "text/plain", "OK!"),
        _ => Reply::empty(404),
    })
}

/// Docker Hub: both images of a release are there after a while, pushed after the release; `old` is a tag of before.
fn hub(github: &GitHub, old: bool) -> Server {
    let state = github.shared();
    let looks = AtomicU32::new(0);
    Server::start(move |request| {
        let released = locked(&state).releases.iter().any(|release| release.tag_name == NEW && !release.draft);
        let late = looks.fetch_add(1, Ordering::SeqCst) < 4;
        let segments = request.segments();
        let moment = if old || !released || late { "2025-09-01T00:00:00Z" } else { "2025-09-18T00:00:00.5Z" };
        let there = released && !late || old;
        match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["v2", "namespaces", "mozilla", "repositories", "balrog" | "balrogagent", "tags", tag] if there => {
                Reply::json(200, &json!({"name": tag, "tag_last_pushed": moment, "tag_status": "active", "images": []}))
            }
            _ => Reply::json(404, &json!({"message": "httperror 404: object not found"})),
        }
    })
}

/// The issues of Sentry: one that is old, and those that were first seen at these moments.
pub fn sentry(first_seen: &'static [&'static str]) -> Server {
    Server::start(move |request| {
        if request.header("authorization") != Some(&format!("Bearer {SENTRY}")) {
            return Reply::json(401, &json!({"detail": "Invalid token"}));
        }
        let projects: Vec<&str> =
            request.query.iter().filter(|(name, _)| name == "project").map(|(_, id)| id.as_str()).collect();
        if request.path != "/api/0/organizations/mozilla/issues/" || projects != ["1", "2", "3"] {
            return Reply::json(404, &json!({"detail": "The requested resource does not exist"}));
        }
        let mut issues =
            vec![json!({"id": "1", "title": "old", "firstSeen": "2020-01-01T00:00:00.000000Z", "count": "7"})];
        issues.extend(
            first_seen.iter().map(|moment| json!({"id": "2", "title": "new", "firstSeen": moment, "count": "1"})),
        );
        Reply::json(200, &Value::Array(issues))
    })
}

/// The three applications of one environment, at v3.119.
fn apps(environment: &str) -> Vec<App> {
    let project = if environment == "stage" { "balrog-nonprod" } else { "balrog-prod" };
    let app = |part: &str, image: &str| {
        App::new(&format!("balrog-{part}"), project, &format!("us-docker.pkg.dev/moz/{image}"), "v3.119")
    };
    vec![app("admin", "balrog"), app("agent", "balrogagent"), app("app", "balrog").with_rollout()]
}

/// Faults of both services that can have some.
#[derive(Default, Clone)]
pub struct Faults {
    pub github: Vec<github::Fault>,
    pub argo: Vec<argocd::Fault>,
    /// The image tags are there from before the release, and stay so.
    pub old_images: bool,
}

impl World {
    /// Stage before a release: the commit is there, and everything runs v3.119.
    pub fn stage(faults: Faults) -> World {
        World::new("stage", "none", faults)
    }

    /// Production when stage has the version: released and copied, so that what is tracked names it.
    pub fn production(change: &str, faults: Faults) -> World {
        let world = World::new("prod", change, faults);
        let commit = world.commit();
        git(&world.folder.path().join("clone"), &["tag", NEW, &commit]);
        let mut state = world.github.state();
        state.repo.create_ref(&format!("refs/tags/{NEW}"), &commit);
        state.publish_old(NEW);
        state.ran_before("docker-push.yml", json!({"image_tag": NEW}));
        drop(state);
        let mut state = world.argo.state();
        state.apps.iter_mut().for_each(|app| app.track(NEW));
        drop(state);
        world
    }

    fn new(environment: &str, change: &str, faults: Faults) -> World {
        let folder = tempfile::Builder::new().prefix("mozcloud").tempdir().unwrap();
        let (_, bare) = history(folder.path(), change);
        let github = GitHub::start("mozilla-releng", "balrog", Some(&bare), faults.github);
        let pushed = github.shared();
        let pushed = Box::new(move || locked(&pushed).images());
        let apps = apps(environment);
        let argo = match environment {
            "stage" => ArgoCd::following(apps.into_iter().map(App::automated).collect(), faults.argo, pushed),
            _ => ArgoCd::start(apps, faults.argo),
        };
        let (admin, public) = (service(&argo, "balrog-admin"), service(&argo, "balrog-app"));
        let hub = hub(&github, faults.old_images);
        World { github, hub, sentry: sentry(&[]), admin, public, argo, folder }
    }

    /// The commit that is to be released.
    pub fn commit(&self) -> String {
        git(&self.folder.path().join("clone"), &["rev-parse", "main"])
    }

    /// The runbook with everything that both need. `argo` and `api` may lead there through something else.
    pub fn bench(&self, name: &str, argo: &str, api: &str, edits: &[(&str, &str)]) -> Bench {
        Bench::new(name, edits)
            .param("version", NEW)
            .param("api", api)
            .param("argocd", argo)
            .param("app_namespace", APPS)
            .param("admin_app", "balrog-admin")
            .param("agent_app", "balrog-agent")
            .param("public_app", "balrog-app")
            .param("namespace", "balrog")
            .param("rollout", "balrog")
            .param("admin_service", self.admin.url())
            .param("public_service", self.public.url())
            .param("poll", "10ms")
            .param("patience", "2s")
            .param("deployment", "2s")
            .param("held_for", "30ms")
            .env("GITHUB_TOKEN", github::TOKEN)
            .env("ARGOCD_TOKEN", argocd::TOKEN)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .secret(github::TOKEN)
            .secret(argocd::TOKEN)
            .secret(SENTRY)
    }

    /// The tags that users have: of admin, agent and public app.
    pub fn live(&self) -> [String; 3] {
        let state = self.argo.state();
        ["balrog-admin", "balrog-agent", "balrog-app"].map(|app| state.app(app).live().to_owned())
    }

    /// How many dispatches there were of a workflow, from here.
    pub fn dispatched(&self, workflow: &str) -> usize {
        let state = self.github.state();
        state.dispatches.iter().filter(|run| run.workflow == workflow && run.actor == "operator").count()
    }
}
