//! One application of the stand-in for Argo CD: what it tracks, what it runs, and what it says of itself look by look.

use serde_json::{Value, json};

use super::{APPS, Fault, problem};
use crate::standins::server::{Recorded, Reply};

/// A state of what is tracked: the image that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub sha: String,
    /// As manifests write it, tag and all.
    pub image: String,
}

/// A sync, from its request on.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub revision: String,
    pub user: String,
    pub automated: bool,
    /// Name and value, as whoever asked has written them.
    pub info: Value,
    pub phase: &'static str,
    pub started: u32,
    looks: u32,
}

/// One application.
#[derive(Debug, Clone)]
pub struct App {
    pub name: String,
    pub project: String,
    /// Without its tag.
    image: String,
    /// The newest last.
    pub tracked: Vec<Commit>,
    /// What all pods run, or all but the canary.
    pub stable: Commit,
    pub canary: Option<Commit>,
    /// Every operation that began, in order.
    pub operations: Vec<Operation>,
    /// Every action that was accepted.
    pub acted: Vec<String>,
    has_rollout: bool,
    automated: bool,
    aborted: bool,
    promoting: bool,
    /// Looks since something changed last.
    quiet: u32,
    busy: u32,
    flipped: bool,
}

impl App {
    /// It runs `image` at `tag`, and tracks it.
    pub fn new(name: &str, project: &str, image: &str, tag: &str) -> App {
        let first = Commit { sha: sha(1), image: format!("{image}:{tag}") };
        App {
            name: name.into(),
            project: project.into(),
            image: image.into(),
            tracked: vec![first.clone()],
            stable: first,
            canary: None,
            operations: Vec::new(),
            acted: Vec::new(),
            has_rollout: false,
            automated: false,
            aborted: false,
            promoting: false,
            quiet: 9,
            busy: 0,
            flipped: false,
        }
    }

    /// With a Rollout, so that what is new comes as a canary.
    pub fn with_rollout(mut self) -> App {
        self.has_rollout = true;
        self
    }

    /// It syncs by itself.
    pub fn automated(mut self) -> App {
        self.automated = true;
        self
    }

    /// It does not sync by itself.
    pub fn by_hand(mut self) -> App {
        self.automated = false;
        self
    }

    /// An operation of somebody else's is in progress for so many looks.
    pub(super) fn busy_for(&mut self, looks: u32) {
        self.busy = looks;
    }

    /// What is tracked names this tag from now on.
    pub fn track(&mut self, tag: &str) {
        let number = self.tracked.len() + 1;
        self.tracked.push(Commit { sha: sha(number), image: format!("{}:{tag}", self.image) });
    }

    /// A tag was pushed that is newer than what is tracked.
    pub(super) fn follow(&mut self, pushed: Option<&str>) {
        let Some(tag) = pushed else { return };
        let image = format!("{}:{tag}", self.image);
        if !self.tracked.iter().any(|commit| commit.image == image) {
            self.track(tag);
        }
    }

    /// The tag that users see.
    pub fn live(&self) -> &str {
        self.stable.image.rsplit(':').next().unwrap_or_default()
    }

    fn tip(&self) -> &Commit {
        self.tracked.last().expect("something is tracked from the beginning")
    }

    fn commit(&self, revision: &str) -> Commit {
        self.tracked.iter().find(|commit| commit.sha == revision).cloned().unwrap_or_else(|| self.tip().clone())
    }

    /// What was applied last.
    fn applied(&self) -> &Commit {
        self.canary.as_ref().unwrap_or(&self.stable)
    }

    fn begin(&mut self, revision: String, user: &str, automated: bool, info: Value) {
        self.operations.push(Operation {
            revision,
            user: user.into(),
            automated,
            info,
            phase: "",
            started: self.operations.len() as u32 + 1,
            looks: 0,
        });
    }

    fn in_progress(&self) -> bool {
        self.busy > 0 || self.operations.last().is_some_and(|last| matches!(last.phase, "" | "Running"))
    }

    pub(super) fn sync(&mut self, body: &Value, user: &str, faults: &[Fault]) -> Reply {
        if faults.iter().any(|fault| matches!(fault, Fault::Window)) {
            return problem(403, 7, "cannot sync: blocked by sync window");
        }
        for fault in faults {
            match fault {
                Fault::TrackedMoves { image } if self.operations.is_empty() => self.track(image),
                _ => {}
            }
        }
        if self.in_progress() {
            return problem(400, 9, "error setting app operation: another operation is already in progress");
        }
        let wanted = body["revision"].as_str().unwrap_or_default();
        if !wanted.is_empty() && self.automated {
            return problem(400, 9, &format!("Cannot sync to {wanted}: auto-sync currently set to main"));
        }
        let revision = if wanted.is_empty() { self.tip().sha.clone() } else { wanted.to_owned() };
        self.begin(revision, user, false, body["infos"].clone());
        let reply = Reply::json(200, &self.shown("OutOfSync", "Healthy"));
        for fault in faults {
            if let Fault::SomebodyElse { image } = fault {
                if let Some(image) = image {
                    self.track(image);
                }
                self.operations.last_mut().expect("it was just begun").phase = "Succeeded";
                let revision = self.tip().sha.clone();
                self.begin(revision, "somebody-else", false, Value::Null);
            }
        }
        reply
    }

    /// One look at the application, after which a little has happened.
    pub(super) fn look(&mut self, faults: &[Fault], _moment: u32) -> Value {
        let late = faults.iter().find_map(|fault| if let Fault::Late { looks } = fault { Some(*looks) } else { None });
        let late = late.unwrap_or(0);
        self.busy = self.busy.saturating_sub(1);
        if self.automated && !self.in_progress() && self.applied() != self.tip() && !self.aborted {
            let revision = self.tip().sha.clone();
            self.begin(revision, "", true, Value::Null);
        }
        self.advance(faults, late);
        let (sync, health) = self.says(faults, late);
        self.quiet = self.quiet.saturating_add(1);
        self.shown(sync, health)
    }

    /// What an operation and a promotion come to, with time.
    fn advance(&mut self, faults: &[Fault], late: u32) {
        let ends = faults.iter().find_map(|fault| if let Fault::Ends(phase) = fault { Some(*phase) } else { None });
        let mut applied = None;
        if let Some(last) = self.operations.last_mut() {
            last.looks += 1;
            match last.phase {
                "" if last.looks > 1 => last.phase = "Running",
                "Running" if last.looks > 2 + late => {
                    last.phase = ends.unwrap_or("Succeeded");
                    if last.phase == "Succeeded" {
                        applied = Some(last.revision.clone());
                    }
                    self.quiet = 0;
                }
                _ => {}
            }
        }
        if let Some(revision) = applied {
            let commit = self.commit(&revision);
            self.aborted = false;
            if commit == self.stable {
                self.canary = None;
            } else if self.has_rollout {
                self.canary = Some(commit);
            } else {
                self.stable = commit;
            }
        }
        if self.promoting && self.quiet > 1 + late {
            self.promoting = false;
            self.quiet = 0;
            if faults.iter().any(|fault| matches!(fault, Fault::PromotionFails)) {
                self.aborted = true;
            } else if let Some(canary) = self.canary.take() {
                self.stable = canary;
            }
        }
    }

    /// `status.sync.status` and `status.health.status`.
    fn says(&mut self, faults: &[Fault], late: u32) -> (&'static str, &'static str) {
        let has = |is: fn(&Fault) -> bool| faults.iter().any(is);
        let touched = !self.operations.is_empty();
        let compared = if touched && self.quiet == 0 { &self.tracked[0] } else { self.applied() };
        let mut sync = if compared == self.tip() { "Synced" } else { "OutOfSync" };
        if touched && has(|fault| matches!(fault, Fault::HalfDone)) {
            sync = "OutOfSync";
        }
        if self.aborted {
            return (sync, "Degraded");
        }
        if self.promoting || (touched && self.quiet < 2 + late) {
            // Right after an operation the health is still that of before.
            return (sync, if self.quiet == 0 && !self.promoting { "Healthy" } else { "Progressing" });
        }
        if touched && has(|fault| matches!(fault, Fault::NeverReady)) {
            return (sync, "Progressing");
        }
        if self.canary.is_some() {
            if has(|fault| matches!(fault, Fault::CanaryAborted)) {
                self.aborted = true;
                return (sync, "Degraded");
            }
            return (sync, "Suspended");
        }
        let flips = faults.iter().find_map(|fault| if let Fault::FlipsBack { to } = fault { Some(*to) } else { None });
        match flips {
            Some(to) if touched && self.flipped => {
                if to == "OutOfSync" {
                    return ("OutOfSync", "Healthy");
                }
                return (sync, "Degraded");
            }
            Some(_) if touched => self.flipped = true,
            _ => {}
        }
        (sync, "Healthy")
    }

    fn shown(&self, sync: &str, health: &str) -> Value {
        let mut images = vec![self.stable.image.clone()];
        images.extend(self.canary.iter().filter(|_| !self.aborted).map(|canary| canary.image.clone()));
        // What else runs beside it.
        images.push("docker.io/library/nginx:1.27".into());
        let kind = if self.has_rollout { ("argoproj.io", "v1alpha1", "Rollout") } else { ("apps", "v1", "Deployment") };
        let resource = json!({"group": kind.0, "version": kind.1, "kind": kind.2, "namespace": "balrog",
            "name": "balrog", "status": sync});
        let mut app = json!({
            "metadata": {"name": self.name, "namespace": APPS, "resourceVersion": "1"},
            "spec": {"project": self.project, "destination": {"server": "https://kubernetes.default.svc", "namespace": "balrog"},
                "source": {"repoURL": "https://github.com/example/infra", "path": "balrog", "targetRevision": "main"}},
            "status": {"sync": {"status": sync, "revision": self.tip().sha}, "health": {"status": health},
                "summary": {"images": images}, "resources": [resource]},
        });
        if let Some(last) = self.operations.last() {
            let operation = last.as_asked();
            if last.phase.is_empty() {
                app["operation"] = operation;
            } else {
                let mut state = json!({"operation": operation, "phase": last.phase,
                    "startedAt": format!("2026-08-03T11:00:{:02}Z", last.started)});
                if last.phase == "Running" {
                    app["operation"] = last.as_asked();
                } else {
                    state["finishedAt"] = json!(format!("2026-08-03T11:01:{:02}Z", last.started));
                    state["syncResult"] = json!({"revision": last.revision, "resources": []});
                    state["message"] = json!(if last.phase == "Succeeded" {
                        "successfully synced (all tasks run)"
                    } else {
                        "one or more objects failed to apply"
                    });
                }
                app["status"]["operationState"] = state;
            }
        }
        if self.busy > 0 {
            app["operation"] =
                json!({"sync": {"revision": self.tip().sha}, "initiatedBy": {"username": "somebody-else"}});
        }
        app
    }

    /// What a sync would apply: each manifest as a text.
    pub(super) fn manifests(&self) -> Value {
        let pod = json!({"spec": {"containers": [{"name": "app", "image": self.tip().image},
            {"name": "nginx", "image": "docker.io/library/nginx:1.27"}]}});
        let kind = if self.has_rollout { "Rollout" } else { "Deployment" };
        let main = json!({"kind": kind, "metadata": {"name": "balrog"}, "spec": {"template": pod}});
        let service = json!({"kind": "Service", "metadata": {"name": "balrog"}});
        json!({"manifests": [service.to_string(), main.to_string()], "namespace": "balrog", "revision": self.tip().sha,
            "sourceType": "Helm"})
    }

    fn is_rollout(&self, asked: impl Fn(&str) -> String) -> bool {
        self.has_rollout
            && (asked("group"), asked("kind"), asked("resourceName"), asked("namespace"))
                == ("argoproj.io".into(), "Rollout".into(), "balrog".into(), "balrog".into())
    }

    /// Whether a canary is there that is not all of it yet.
    fn can_promote(&self) -> bool {
        self.canary.is_some()
    }

    /// The list of actions, which is a look as well.
    pub(super) fn actions(&mut self, request: &Recorded, faults: &[Fault]) -> Reply {
        let late = faults.iter().find_map(|fault| if let Fault::Late { looks } = fault { Some(*looks) } else { None });
        self.advance(faults, late.unwrap_or(0));
        self.quiet = self.quiet.saturating_add(1);
        if !self.is_rollout(|name| request.query(name).unwrap_or_default().into()) {
            return problem(404, 5, "rollouts.argoproj.io \"balrog\" not found as part of application");
        }
        // What is not disabled does not say so.
        let action = |name: &str, enabled: bool| match enabled {
            true => json!({"name": name}),
            false => json!({"name": name, "disabled": true}),
        };
        let canary = self.canary.is_some();
        let paused = canary && !self.aborted && !self.promoting;
        Reply::json(
            200,
            &json!({"actions": [action("restart", true), action("resume", paused), action("abort", canary && !self.aborted),
                action("retry", self.aborted), action("promote-full", self.can_promote())]}),
        )
    }

    pub(super) fn act(&mut self, body: &Value, faults: &[Fault]) -> Reply {
        if !self.is_rollout(|name| body[name].as_str().unwrap_or_default().into()) {
            return problem(404, 5, "rollouts.argoproj.io \"balrog\" not found as part of application");
        }
        for fault in faults {
            if let Fault::OtherCanary { image } = fault {
                self.track(image);
                self.canary = Some(self.tip().clone());
            }
        }
        let action = body["action"].as_str().unwrap_or_default();
        self.acted.push(action.into());
        if faults.iter().any(|fault| matches!(fault, Fault::ActionIgnored)) {
            return Reply::json(200, &json!({}));
        }
        match action {
            "promote-full" if self.canary.is_some() => (self.promoting, self.aborted, self.quiet) = (true, false, 0),
            "abort" if self.canary.is_some() => self.aborted = true,
            "promote-full" | "abort" | "restart" => {}
            other => {
                return problem(
                    500,
                    2,
                    &format!("error getting Lua resource action: built-in script {other} does not exist"),
                );
            }
        }
        Reply::json(200, &json!({}))
    }
}

impl Operation {
    /// As it was asked for; what nobody said is not there.
    fn as_asked(&self) -> Value {
        let by = if self.automated { json!({"automated": true}) } else { json!({"username": self.user}) };
        let mut shown = json!({"initiatedBy": by, "sync": {"revision": self.revision}, "retry": {}});
        if !self.info.is_null() {
            shown["info"] = self.info.clone();
        }
        shown
    }
}

/// Something that looks like the name of a commit.
fn sha(number: usize) -> String {
    format!("{number:040x}")
}
