//! Stands in for a Jenkins controller with the plugins for pipelines, inputs and the stage view. It knows folders, the
//! queue, runs that pause for an answer, and who may do what; it does not know what a deployment is good for.
//!
//! **Later is counted in looks.** An item of the queue moves on with every GET of it or of its job, a run with every GET
//! below its own address (and of its job's `wfapi/runs`); the reply shows how things stood before that step.

mod builds;
#[cfg(test)]
mod clients;
mod pages;
mod places;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::server::{On, Recorded, Reply, Server, locked, table};
pub use builds::{Answer, Build, Deployment, Item};

/// Who may read, build and answer, with an API token and with a password.
pub const USER: &str = "operator";
pub const TOKEN: &str = "11aa0000000000000000000000000standin";
pub const PASSWORD: &str = "correct horse";
/// Who may read and nothing else.
pub const VIEWER: &str = "viewer";
pub const VIEWER_TOKEN: &str = "11bb0000000000000000000000000standin";

/// The message of the one input of the admin and agent jobs, and of the first one of the public job.
pub const BOOTSTRAP: &str = "Bootstrap and deploy canary to prod?";
/// The message of the public job's second input. Its real wording is not known; this one is an invention.
pub const PROMOTE: &str = "Promote canary to full production?";

/// The message of an input beside a stage, which has a declared id.
pub const BESIDE: &str = "Drop the old tables?";
pub const BESIDE_ID: &str = "Drop-tables";

/// MD5 of the messages that are used here; no crate of the project computes it.
const MD5: [(&str, &str); 3] = [
    ("Is the build okay?", "ef95dd500ae6ed3b27b89fb852296d12"),
    (BOOTSTRAP, "9b7142b4d6d18b62d51ac1828c0d8290"),
    (PROMOTE, "7ba36f49960f299557064ac63eb6a910"),
];

/// A pipeline job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Folders and name, `a/b/c` for `job/a/job/b/job/c`.
    pub path: String,
    /// Name and default. A job without any is not parameterised.
    pub parameters: Vec<(String, String)>,
    pub stages: Vec<Stage>,
    pub disabled: bool,
}

/// A stage: it may pause for an input first, then works for some looks, then has its effect.
#[derive(Debug, Clone)]
pub struct Stage {
    pub name: String,
    pub input: Option<Input>,
    pub looks: u32,
    pub effect: Effect,
}

/// What the end of a stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    None,
    /// The image is in the canary.
    Canary,
}

/// An `input` step.
#[derive(Debug, Clone)]
pub struct Input {
    pub message: String,
    /// A declared id; without one it is made of the message.
    pub id: Option<String>,
    pub proceed_text: String,
    /// Parameters, in the form of `pendingInputActions`.
    pub inputs: Vec<Value>,
    /// The only user who may answer, if it says so.
    pub submitter: Option<String>,
}

impl Job {
    /// The three production jobs of Balrog in their folder: admin and agent ask once, the public one twice.
    pub fn balrog() -> Vec<Job> {
        vec![Job::admin(), Job::public(), Job::agent()]
    }

    /// `gcp-pipelines/balrog/balrog-admin-production`: one input.
    pub fn admin() -> Job {
        Job::of("balrog-admin-production", vec![Stage::asking("PROD: PROCEED", BOOTSTRAP, Effect::None)])
    }

    /// `gcp-pipelines/balrog/balrog-agent-production`: one input.
    pub fn agent() -> Job {
        Job::of("balrog-agent-production", vec![Stage::asking("PROD: PROCEED", BOOTSTRAP, Effect::None)])
    }

    /// `gcp-pipelines/balrog/balrog-production`: an input before the canary and another one before the rest.
    pub fn public() -> Job {
        let canary = Stage::asking("PROD: PROCEED", BOOTSTRAP, Effect::Canary);
        Job::of("balrog-production", vec![canary, Stage::asking("PROD: PROMOTE", PROMOTE, Effect::None)])
    }

    fn of(name: &str, asking: Vec<Stage>) -> Job {
        // The names of the stages before the first input are not known; one stands for all of them.
        let mut stages = vec![Stage { name: "PREPARE".into(), input: None, looks: 1, effect: Effect::None }];
        stages.extend(asking);
        let parameters =
            [("ImageTag", "latest"), ("CloudopsInfraRef", "refs/heads/master"), ("SopsRef", "refs/heads/master")];
        Job {
            path: format!("gcp-pipelines/balrog/{name}"),
            parameters: parameters.map(|(name, default)| (name.into(), default.into())).to_vec(),
            stages,
            disabled: false,
        }
    }
}

impl Stage {
    /// A stage that asks and then works for two looks.
    pub fn asking(name: &str, message: &str, effect: Effect) -> Stage {
        let input = Input {
            message: message.into(),
            id: None,
            proceed_text: "Proceed".into(),
            inputs: Vec::new(),
            submitter: None,
        };
        Stage { name: name.into(), input: Some(input), looks: 2, effect }
    }
}

impl Input {
    /// The id in addresses: the declared one, or the MD5 of the message; its first letter is upper-cased.
    pub fn id(&self) -> String {
        let known = MD5.iter().find(|(message, _)| *message == self.message).map(|(_, sum)| *sum);
        let id = self.id.as_deref().or(known).expect("an input needs a declared id or one of the known messages");
        let (first, rest) = id.split_at(1);
        format!("{}{rest}", first.to_uppercase())
    }
}

/// What goes wrong, beyond what Jenkins always does. `job` has to be contained in the job's path (empty: any job);
/// `times` is for how many runs.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Everything takes so many looks more: leaving the queue, and each stage.
    Late { looks: u32 },
    /// The effect happens (a run is queued, an input answered), the reply does not arrive.
    ReplyLost { on: On, times: u32 },
    /// The run starts with the default `ImageTag`, whatever was asked for.
    WrongImageTag { job: &'static str, times: u32 },
    /// The queue forgets the item as soon as the run has started: it is never seen as left.
    ItemGone { job: &'static str },
    /// The run says SUCCESS while it is still building, and ends as FAILURE.
    ResultFlips { job: &'static str, times: u32 },
    /// The last stage fails.
    BuildFails { job: &'static str, times: u32 },
    /// Somebody aborts the run at its first input, after two looks at it.
    Aborted { job: &'static str, times: u32 },
    /// Somebody else answers the input (proceed) just before the first answer from here arrives.
    InputGone { job: &'static str, times: u32 },
    /// The next `times` matching requests answer 500; `effect` says whether what was asked is done all the same.
    ServerError { on: On, times: u32, effect: bool },
    /// A branch beside the stage asks as well, for as long as the run waits, and is listed first.
    SecondInput { job: &'static str },
    /// The input wants a value; a plain yes leaves it without any.
    WantsValues { job: &'static str },
    /// When a run starts, somebody else starts one of this `ImageTag` right after it, so that it is newer, and that run
    /// waits at the same input.
    ForeignRunPaused { job: &'static str, image_tag: &'static str },
    /// Matching requests answer 401.
    Unauthorized { on: On },
    /// There is no crumb issuer: its address answers 404 and nobody asks for a crumb.
    CrumbIssuerOff,
    /// `Location` and all links begin with this address instead of the one that is listened at.
    OtherRootUrl(String),
}

/// Everything the stand-in knows; a test may look at it and change it.
pub struct State {
    pub jobs: Vec<Job>,
    /// The runs of all jobs, oldest first.
    pub builds: Vec<Build>,
    pub queue: Vec<Item>,
    /// By the job's name: the `ImageTag` of its last run that succeeded.
    pub deployed: BTreeMap<String, String>,
    /// By the job's name: what is in the canary only.
    pub canary: BTreeMap<String, String>,
    /// Every run that succeeded, in order.
    pub deployments: Vec<Deployment>,
    /// Every input that was answered, by whomever.
    pub answers: Vec<Answer>,
    /// After how many GETs (of anything) the queue forgets an item that has left it.
    pub queue_keeps: u32,
    faults: Vec<Fault>,
    next_item: u64,
    sessions: u32,
    root: String,
}

/// The running stand-in.
pub struct Jenkins {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Jenkins {
    /// Starts a controller with these jobs, in which nothing was ever built.
    pub fn start(jobs: Vec<Job>, faults: Vec<Fault>) -> Jenkins {
        let state = Arc::new(Mutex::new(State {
            jobs,
            builds: Vec::new(),
            queue: Vec::new(),
            deployed: BTreeMap::new(),
            canary: BTreeMap::new(),
            deployments: Vec::new(),
            answers: Vec::new(),
            queue_keeps: 10,
            faults,
            next_item: 598,
            sessions: 0,
            root: String::new(),
        }));
        let shared = state.clone();
        let server = Server::start(move |request| locked(&shared).answer(request));
        let mut inner = locked(&state);
        let other = inner.faults.iter().find_map(|fault| match fault {
            Fault::OtherRootUrl(url) => Some(url.clone()),
            _ => None,
        });
        inner.root = other.unwrap_or_else(|| server.url());
        drop(inner);
        Jenkins { server, state }
    }

    /// The address of the controller, without a slash at its end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Resolves when everybody who has connected so far is gone and served.
    pub fn quiet(&self) {
        self.server.quiet();
    }

    /// The state, for looking and for changing it. Do not hold it across a request.
    pub fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// The requests of one method whose path contains the text.
    pub fn requests_of(&self, method: &'static str, path: &str) -> Vec<Recorded> {
        self.server.requests_of(method, path)
    }

    /// A client with the operator's API token.
    pub fn client(&self) -> Client {
        Client::new(&self.url()).basic(USER, TOKEN)
    }

    /// What the service of a job runs: what that has deployed last, without its `v`, or the version from before.
    pub fn runs(&self, job: &'static str, before: &'static str) -> impl Fn() -> String + Send + Sync + 'static {
        let state = self.state.clone();
        move || {
            let state = locked(&state);
            let deployed = state.deployed.get(job).map(String::as_str).unwrap_or(before);
            deployed.trim_start_matches('v').to_owned()
        }
    }

    /// Adds a run of somebody else that waits at its first input, newer than every other run of the job (whose path
    /// contains the text), and returns its number.
    pub fn pause_foreign_run(&self, job: &str, image_tag: &str) -> u64 {
        let mut state = self.state();
        let at = state.jobs.iter().position(|known| known.path.contains(job)).expect("there is such a job");
        state.add_paused_run(at, image_tag)
    }
}

/// `job/a/job/b` for `a/b`: how a job is addressed.
pub fn job_path(path: &str) -> String {
    format!("/job/{}", path.replace('/', "/job/"))
}

/// Who asks, as far as rights go.
#[derive(Clone, Copy)]
struct Caller<'a> {
    user: &'a str,
    may_build: bool,
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Reply {
        let reply = match self.refusal(request) {
            Some(refusal) => refusal,
            None => {
                let reply = self.enter(request);
                self.lost(request).unwrap_or(reply)
            }
        };
        reply.with("x-jenkins", "2.516.2")
    }

    fn refusal(&mut self, request: &Recorded) -> Option<Reply> {
        for fault in &mut self.faults {
            match fault {
                Fault::ServerError { on, times, effect: false } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(page(500, "Oops!"));
                }
                Fault::Unauthorized { on } if on.matches(request) => {
                    return Some(page(401, "Invalid password/token"));
                }
                _ => {}
            }
        }
        None
    }

    fn lost(&mut self, request: &Recorded) -> Option<Reply> {
        for fault in &mut self.faults {
            match fault {
                Fault::ReplyLost { on, times } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(Reply::Cut);
                }
                Fault::ServerError { on, times, effect: true } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Some(page(500, "Oops!"));
                }
                _ => {}
            }
        }
        None
    }

    /// Authentication, the crumb, and then the request itself.
    fn enter(&mut self, request: &Recorded) -> Reply {
        let Some((user, password)) = basic(request) else {
            return match request.header("authorization") {
                Some(_) => page(401, "Invalid password/token"),
                None => page(403, "Authentication required"),
            };
        };
        let by_token = (user == USER && password == TOKEN) || (user == VIEWER && password == VIEWER_TOKEN);
        if !by_token && (user != USER || password != PASSWORD) {
            let realm = "Basic realm=\"Jenkins\"";
            return page(401, &format!("Invalid password/token for user: {user}")).with("www-authenticate", realm);
        }
        let issuer = !self.faults.iter().any(|fault| matches!(fault, Fault::CrumbIssuerOff));
        let session = cookie(request);
        if request.path == "/crumbIssuer/api/json" {
            return if issuer { self.issue_crumb(&user, session) } else { page(404, "Not Found") };
        }
        if request.method == "POST" && issuer && !by_token {
            let wanted = session.map(|session| crumb(&user, &session));
            if wanted.is_none() || request.header("jenkins-crumb") != wanted.as_deref() {
                return page(403, "No valid crumb was included in the request");
            }
        }
        self.route(request, Caller { user: &user, may_build: user == USER })
    }

    fn issue_crumb(&mut self, user: &str, session: Option<String>) -> Reply {
        let fresh = session.is_none();
        let session = session.unwrap_or_else(|| {
            self.sessions += 1;
            format!("node0standin{}", self.sessions)
        });
        let body = json!({"_class": "hudson.security.csrf.DefaultCrumbIssuer", "crumb": crumb(user, &session),
            "crumbRequestField": "Jenkins-Crumb"});
        let reply = Reply::json(200, &body);
        if fresh { reply.with("set-cookie", format!("JSESSIONID.standin={session}; Path=/; HttpOnly")) } else { reply }
    }

    fn route(&mut self, request: &Recorded, caller: Caller<'_>) -> Reply {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let get = reads(request);
        if get {
            self.age_queue();
        }
        match segments.as_slice() {
            [""] if get => page(200, "Dashboard"),
            ["api", "json"] if get => self.show_root(request),
            ["me", "api", "json"] if get => self.show_me(request, caller),
            ["computer", "api", "json"] if get => self.show_nodes(None, request),
            ["computer", name, "api", "json"] if get => self.show_nodes(Some(name), request),
            ["queue", "item", id, "api", "json"] if get => self.show_item(id),
            ["queue", "api", "json"] if get => self.show_queue(request),
            ["queue", "cancelItem"] => self.posting(request, caller, |state| state.cancel_item(request.query("id"))),
            ["job", ..] => self.route_job(request, caller, &segments),
            _ => page(404, "Not Found"),
        }
    }

    fn route_job(&mut self, request: &Recorded, caller: Caller<'_>, segments: &[&str]) -> Reply {
        let mut names = Vec::new();
        let mut rest = segments;
        while let ["job", name, left @ ..] = rest {
            names.push(*name);
            rest = left;
        }
        let path = names.join("/");
        let get = reads(request);
        let Some(job) = self.jobs.iter().position(|job| job.path == path) else {
            return match rest {
                ["api", "json"] if get => self.show_folder(&path, request),
                _ => page(404, "Not Found"),
            };
        };
        match rest {
            ["buildWithParameters"] => self.posting(request, caller, |state| state.enqueue(job, request, caller)),
            ["build"] if !self.jobs[job].parameters.is_empty() => page(400, "Nothing is submitted"),
            ["api", "json"] if get => {
                let reply = self.show_job(job, request);
                self.advance_queue_of(job);
                reply
            }
            ["wfapi"] | ["wfapi", "describe"] if get => self.show_job_stages(job),
            ["wfapi", "runs"] if get => {
                let reply = self.show_runs(job);
                self.advance_queue_of(job);
                let runs: Vec<usize> = (0..self.builds.len()).filter(|at| self.builds[*at].job == job).collect();
                runs.into_iter().for_each(|at| self.advance(at));
                reply
            }
            [number, rest @ ..] => {
                let Some(at) = self.find_build(job, number) else { return page(404, "Not Found") };
                let reply = self.route_build(request, caller, at, rest);
                if get {
                    self.advance(at);
                }
                reply
            }
            _ => page(404, "Not Found"),
        }
    }

    fn route_build(&mut self, request: &Recorded, caller: Caller<'_>, at: usize, rest: &[&str]) -> Reply {
        let get = reads(request);
        match rest {
            ["api", "json"] if get => self.show_build(at, request),
            ["wfapi"] | ["wfapi", "describe"] if get => Reply::json(200, &self.describe(at)),
            ["wfapi", "pendingInputActions"] if get => Reply::json(200, &Value::Array(self.pending(at))),
            ["wfapi", "nextPendingInputAction"] if get => {
                Reply::json(200, &self.pending(at).into_iter().next().unwrap_or(Value::Null))
            }
            ["wfapi", "artifacts"] if get => Reply::json(200, &json!([])),
            ["consoleText"] if get => Reply::of(200, "text/plain;charset=utf-8", self.builds[at].log.clone()),
            ["logText", "progressiveText"] if get => self.progressive_text(at, request),
            ["wfapi", "inputSubmit"] => self.settling(request, |state| state.submit_input(at, request, caller)),
            ["input", id, "proceedEmpty"] => self.settling(request, |state| state.settle(at, id, true, None, caller)),
            ["input", id, "abort"] => self.settling(request, |state| state.settle(at, id, false, None, caller)),
            ["input", id, "submit"] => self.settling(request, |state| state.submit_form(at, id, request, caller)),
            ["stop"] => self.posting(request, caller, |state| state.stop(at)),
            _ => page(404, "Not Found"),
        }
    }

    /// What needs a POST and the right to build.
    fn posting(&mut self, request: &Recorded, caller: Caller<'_>, act: impl FnOnce(&mut State) -> Reply) -> Reply {
        if request.method == "POST" && !caller.may_build {
            return page(403, &format!("{} is missing the Job/Build permission", caller.user));
        }
        self.settling(request, act)
    }

    /// What needs a POST and decides about rights by itself.
    fn settling(&mut self, request: &Recorded, act: impl FnOnce(&mut State) -> Reply) -> Reply {
        if request.method != "POST" {
            return page(405, "This URL requires POST").with("allow", "POST");
        }
        act(self)
    }
}

/// A HEAD is answered as a GET is, without the body.
fn reads(request: &Recorded) -> bool {
    request.method == "GET" || request.method == "HEAD"
}

/// What somebody did wrong, as Jenkins says it: a page, and the same words in a header.
fn failure(message: &str) -> Reply {
    page(400, message).with("x-error", message)
}

/// A page in HTML, which is what Jenkins shows instead of a JSON error.
fn page(status: u16, message: &str) -> Reply {
    let html = format!("<html><head><title>Jenkins</title></head><body><h1>Error</h1><p>{message}</p></body></html>");
    Reply::of(status, "text/html;charset=utf-8", html)
}

fn basic(request: &Recorded) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn cookie(request: &Recorded) -> Option<String> {
    let cookies = request.header("cookie")?;
    let found = cookies.split(';').find_map(|pair| pair.trim().strip_prefix("JSESSIONID.standin="));
    found.map(str::to_owned)
}

fn crumb(user: &str, session: &str) -> String {
    let digest = Sha256::digest(format!("{user};{session};salt"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parameters of a request, from its query and from its form.
fn given(request: &Recorded) -> std::collections::HashMap<String, String> {
    let mut pairs = request.form();
    pairs.extend(request.query.clone());
    table(&pairs)
}
