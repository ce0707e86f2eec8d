//! Stands in for GitHub's REST API: releases, refs, tags, comparisons, pull requests and workflow dispatches of one
//! repository. It knows what GitHub does with a tag and a release, and not what anybody wants with them.
//!
//! Refs live in a real bare repository, so that `git push` and REST see the same tags.
//!
//! **Later is counted in requests.** The deletion of a tag is an event that is dealt with after the next
//! [`State::deletion_takes`] requests, or once a look at the ref has answered 404. Until then it is pending, and when it
//! is dealt with, *every* release of that tag becomes a draft, one that was published meanwhile too. A draft emits no
//! `published`, so it deploys nothing, while the reply to its creation still said `"draft": false`.

mod pulls;
mod refs;
mod releases;
mod repo;
mod shapes;
#[cfg(test)]
mod tests;
mod workflows;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use super::server::{On, Recorded, Reply, Server, locked};
pub use pulls::Pull;
pub use releases::Release;
pub use repo::Repo;
pub use workflows::{Dispatch, WorkflowFault};

/// The one token that is accepted.
pub const TOKEN: &str = "ghp_standin0000000000000000000000000000";

/// What goes wrong, beyond what GitHub always does.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The first `times` publications do not last: `after_looks` requests later the release is a draft again. None of
    /// them deploys.
    DraftFlipsBack { times: u32, after_looks: u32 },
    /// The effect happens, the reply does not arrive.
    ReplyLost { on: On, times: u32 },
    /// A tag that was deleted through REST (204) stays visible, to git as well, for that many requests.
    Late { looks: u32 },
    /// A tag that is pushed shows in REST only that many requests later. Until then GitHub acts as if there were none: a
    /// release that is published meanwhile gets a tag of its own in that place.
    PushedLate { looks: u32 },
    /// So many requests after a tag was deleted somebody pushes it again as it was, from a clone that still has it.
    TagComesBack { after_looks: u32 },
    /// Publishing a release leaves its tag at the tip of the default branch, whatever was asked for.
    WrongCommit,
    /// The next `times` matching requests answer 502; `effect` says whether what was asked is done all the same.
    ServerError { on: On, times: u32, effect: bool },
    /// The next `times` matching requests answer 403: with `retry_after` as the secondary limit does, without it as the
    /// primary one (`x-ratelimit-remaining: 0`).
    RateLimited { on: On, times: u32, retry_after: Option<u32> },
    /// Matching requests answer 401, as after the token was revoked.
    Unauthorized { on: On },
    /// Somebody else publishes a release for the same tag (at the tip of the default branch) just before the first
    /// creation arrives.
    SecondaryAlreadyExists,
    /// Somebody else deletes each release that is created here, so many requests later.
    ItemGone { after_looks: u32 },
    /// Runs of dispatched workflows end in `failure`.
    WorkflowFails,
    /// Something else about workflows.
    Workflow(WorkflowFault),
}

/// What the pipeline behind the repository was told to deploy: one published release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub tag: String,
    /// The commit of the tag, peeled.
    pub commit: String,
    /// `project.version` of that commit's `pyproject.toml`, if it has one.
    pub version: Option<String>,
}

/// Everything the stand-in knows; a test may look at it and change it.
pub struct State {
    pub repo: Repo,
    pub releases: Vec<Release>,
    pub pulls: Vec<Pull>,
    /// In the order of publication.
    pub deployments: Vec<Deployment>,
    pub dispatches: Vec<Dispatch>,
    /// The workflow files that can be dispatched.
    pub workflows: Vec<String>,
    /// After how many further requests the deletion of a tag is dealt with.
    pub deletion_takes: u32,
    /// What `verification.reason` says of a signed tag; `valid` when the signer's key is known to GitHub.
    pub signed_reason: &'static str,
    /// The release that was last marked as the latest one.
    latest: Option<u64>,
    deletions: Vec<Deletion>,
    /// Tags that were pushed and do not show yet, each with the requests that are left.
    hidden: Vec<(String, u32)>,
    /// Tags that somebody will push again, each with its object and the requests that are left.
    coming_back: Vec<(String, String, u32)>,
    faults: Vec<Fault>,
    next_id: u64,
    root: String,
    full_name: String,
}

/// A tag whose deletion GitHub has not dealt with yet.
struct Deletion {
    tag: String,
    left: u32,
    /// The ref itself is still there and goes when the event is dealt with.
    ref_remains: bool,
}

/// The running stand-in.
pub struct GitHub {
    server: Server,
    state: Arc<Mutex<State>>,
    full_name: String,
    _own: Option<TempDir>,
}

impl GitHub {
    /// Starts it for `owner/repo`, over that bare repository or over one of its own with a single commit on `main`.
    pub fn start(owner: &str, repo: &str, bare_repo: Option<&Path>, faults: Vec<Fault>) -> GitHub {
        let (repository, own) = match bare_repo {
            Some(path) => (Repo::open(path), None),
            None => {
                let folder = tempfile::tempdir().expect("a temporary folder can be made");
                (Repo::create(&folder.path().join("remote.git")), Some(folder))
            }
        };
        let full_name = format!("{owner}/{repo}");
        let state = Arc::new(Mutex::new(State {
            repo: repository,
            releases: Vec::new(),
            pulls: Vec::new(),
            deployments: Vec::new(),
            dispatches: Vec::new(),
            workflows: vec!["docker-push.yml".into(), "ui-deploy.yml".into()],
            deletion_takes: 3,
            signed_reason: "valid",
            latest: None,
            deletions: Vec::new(),
            hidden: Vec::new(),
            coming_back: Vec::new(),
            faults,
            next_id: 1,
            root: String::new(),
            full_name: full_name.clone(),
        }));
        let shared = state.clone();
        let server = Server::start(move |request| locked(&shared).answer(request));
        locked(&state).root = server.url();
        GitHub { server, state, full_name, _own: own }
    }

    /// The address of the API, as `https://api.github.com` is one.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The path of the repository, or of something in it: `/repos/OWNER/REPO/REST`.
    pub fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.full_name)
    }

    /// The state, for looking and for changing it. Do not hold it across a request.
    pub fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// What can be asked for the state from elsewhere.
    pub fn shared(&self) -> Arc<Mutex<State>> {
        self.state.clone()
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// The requests of one method whose path contains the text.
    pub fn requests_of(&self, method: &'static str, path: &str) -> Vec<Recorded> {
        self.server.requests_of(method, path)
    }

    /// A client that sends the headers GitHub wants.
    pub fn client(&self) -> Client {
        Client::new(&self.url())
            .header("Authorization", &format!("Bearer {TOKEN}"))
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header("User-Agent", "standin-tests")
    }
}

impl State {
    /// A published release made outside this API, as the history of a repository has them. It deploys nothing now.
    pub fn publish_old(&mut self, tag: &str) -> u64 {
        let release = self.new_release(tag);
        let id = release.id;
        self.latest = Some(id);
        self.releases.push(release);
        id
    }

    /// Makes a tag as a push does.
    pub fn pushed(&mut self, tag: &str, object: &str) {
        assert!(self.repo.create_ref(&format!("refs/tags/{tag}"), object), "there is such a tag, or no such object");
        self.hide(tag);
    }

    fn hide(&mut self, tag: &str) {
        let late = self.faults.iter().find_map(|fault| match fault {
            Fault::PushedLate { looks } => Some(*looks),
            _ => None,
        });
        self.hidden.extend(late.map(|looks| (tag.to_owned(), looks)));
    }

    /// The object that a full name of a ref points at, for whoever asks through REST: its type and its name.
    fn seen(&self, full: &str) -> Option<(String, String)> {
        let hidden = |(tag, _): &(String, u32)| full.strip_prefix("refs/tags/") == Some(tag);
        if self.hidden.iter().any(hidden) { None } else { self.repo.named(full) }
    }

    fn answer(&mut self, request: &Recorded) -> Reply {
        let (gone, new) = self.repo.take_pushed();
        for tag in gone {
            self.deletions.push(Deletion { tag, left: self.deletion_takes, ref_remains: false });
        }
        new.iter().for_each(|tag| self.hide(tag));
        let pending = self.deletions.len();
        self.settle_releases();
        let reply = match self.refusal(request) {
            Some(refusal) => refusal,
            None => {
                let reply = self.route(request);
                self.lost(request).unwrap_or(reply)
            }
        };
        self.pass_time(pending);
        reply
    }

    /// What stops a request before it has any effect.
    fn refusal(&mut self, request: &Recorded) -> Option<Reply> {
        for fault in &mut self.faults {
            match fault {
                Fault::ServerError { on, times, effect: false } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(server_error());
                }
                Fault::RateLimited { on, times, retry_after } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(rate_limited(*retry_after));
                }
                Fault::Unauthorized { on } if on.matches(request) => return Some(problem(401, "Bad credentials")),
                _ => {}
            }
        }
        if request.header("user-agent").is_none_or(str::is_empty) {
            let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent \
                        header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).\n";
            return Some(Reply::of(403, "text/html; charset=utf-8", text));
        }
        match request.header("authorization") {
            None => return Some(problem(401, "Requires authentication")),
            Some(given) if given != format!("Bearer {TOKEN}") => return Some(problem(401, "Bad credentials")),
            Some(_) => {}
        }
        match request.header("x-github-api-version") {
            None | Some("2022-11-28" | "2026-03-10") => None,
            Some(_) => Some(problem(400, "The API version in the X-GitHub-Api-Version header is not supported")),
        }
    }

    /// What becomes of the reply after the effect has happened.
    fn lost(&mut self, request: &Recorded) -> Option<Reply> {
        for fault in &mut self.faults {
            match fault {
                Fault::ReplyLost { on, times } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(Reply::Cut);
                }
                Fault::ServerError { on, times, effect: true } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(server_error());
                }
                _ => {}
            }
        }
        None
    }

    fn route(&mut self, request: &Recorded) -> Reply {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let [repos, owner, repo, rest @ ..] = segments.as_slice() else { return not_found() };
        if *repos != "repos" || !format!("{owner}/{repo}").eq_ignore_ascii_case(&self.full_name) {
            return not_found();
        }
        match (request.method.as_str(), rest) {
            ("GET", ["releases"]) => self.list_releases(request),
            ("GET", ["releases", "latest"]) => self.latest_release(),
            ("GET", ["releases", "tags", tag @ ..]) => self.release_of_tag(&tag.join("/")),
            ("GET", ["releases", id]) => self.with_release(id, State::get_release),
            ("POST", ["releases"]) => with_body(request, |body| self.create_release(body)),
            ("PATCH", ["releases", id]) => {
                with_body(request, |body| self.with_release(id, |state, at| state.edit_release(at, body)))
            }
            ("DELETE", ["releases", id]) => self.with_release(id, State::delete_release),
            ("GET", ["git", "ref", name @ ..]) => self.get_ref(&name.join("/")),
            ("GET", ["git", "matching-refs", name @ ..]) => self.matching_refs(&name.join("/")),
            ("POST", ["git", "refs"]) => with_body(request, |body| self.create_ref(body)),
            ("PATCH", ["git", "refs", name @ ..]) => with_body(request, |body| self.update_ref(&name.join("/"), body)),
            ("DELETE", ["git", "refs", name @ ..]) => self.delete_ref(&name.join("/")),
            ("POST", ["git", "tags"]) => with_body(request, |body| self.create_tag(body)),
            ("GET", ["git", "tags", sha]) => self.get_tag(sha),
            ("GET", ["compare", basehead @ ..]) => self.compare(&basehead.join("/")),
            ("GET", ["commits", name @ ..]) => self.get_commit(&name.join("/"), request.header("accept")),
            ("POST", ["actions", "workflows", file, "dispatches"]) => {
                with_body(request, |body| self.dispatch(file, body))
            }
            ("GET", ["actions", "workflows", file, "runs"]) => self.list_runs(file, request),
            ("GET", ["actions", "runs", id]) => self.get_run(id),
            ("GET", ["contents", path @ ..]) => self.contents(&path.join("/"), request),
            ("GET", ["pulls"]) => self.list_pulls(request),
            ("POST", ["pulls"]) => with_body(request, |body| self.create_pull(body)),
            ("GET", ["pulls", number]) => self.get_pull(number),
            ("PATCH", ["pulls", number]) => with_body(request, |body| self.edit_pull(number, body)),
            _ => not_found(),
        }
    }

    /// Counts this request for the events that were pending when it arrived.
    fn pass_time(&mut self, pending: usize) {
        self.hidden.retain_mut(|(_, left)| {
            *left = left.saturating_sub(1);
            *left > 0
        });
        let repo = &self.repo;
        self.coming_back.retain_mut(|(full, object, left)| {
            *left = left.saturating_sub(1);
            // Where another tag has taken the place meanwhile, the push is refused.
            *left > 0 || !(repo.create_ref(full, object) || repo.named(full).is_some())
        });
        for deletion in self.deletions.iter_mut().take(pending) {
            deletion.left = deletion.left.saturating_sub(1);
        }
        let (due, left) = std::mem::take(&mut self.deletions).into_iter().partition(|deletion| deletion.left == 0);
        self.deletions = left;
        let due: Vec<Deletion> = due;
        for deletion in due {
            self.deal_with(&deletion);
        }
    }

    fn deal_with(&mut self, deletion: &Deletion) {
        if deletion.ref_remains {
            self.repo.delete(&format!("refs/tags/{}", deletion.tag));
        }
        for release in &mut self.releases {
            if release.tag_name == deletion.tag {
                release.draft = true;
            }
        }
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// An address in this API, within the repository.
    fn link(&self, rest: &str) -> String {
        format!("{}/repos/{}/{rest}", self.root, self.full_name)
    }
}

fn with_body(request: &Recorded, act: impl FnOnce(&Value) -> Reply) -> Reply {
    match request.json() {
        Some(body @ Value::Object(_)) => act(&body),
        _ => problem(400, "Problems parsing JSON"),
    }
}

/// GitHub's error body.
fn problem(status: u16, message: &str) -> Reply {
    let body =
        json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
    Reply::json(status, &body)
}

fn not_found() -> Reply {
    problem(404, "Not Found")
}

fn missing(field: &str) -> Reply {
    problem(422, &format!("Invalid request.\n\n\"{field}\" wasn't supplied."))
}

/// The 422 that names a field.
fn invalid(resource: &str, field: &str, code: &str) -> Reply {
    let errors = json!([{"resource": resource, "code": code, "field": field}]);
    let body = json!({"message": "Validation Failed", "errors": errors,
        "documentation_url": "https://docs.github.com/rest", "status": "422"});
    Reply::json(422, &body)
}

fn server_error() -> Reply {
    Reply::json(502, &json!({"message": "Server Error"}))
}

fn rate_limited(retry_after: Option<u32>) -> Reply {
    match retry_after {
        Some(seconds) => problem(403, "You have exceeded a secondary rate limit. Please wait a few minutes.")
            .with("retry-after", seconds.to_string()),
        None => problem(403, "API rate limit exceeded for user ID 1.")
            .with("x-ratelimit-limit", "5000")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-reset", "1758110400"),
    }
}
