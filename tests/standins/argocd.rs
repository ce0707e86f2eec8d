//! Stands in for Argo CD's REST API: applications of one server, their syncs, their manifests, and the actions of a
//! Rollout. It knows what Argo CD says and does, and not what anybody deploys with it.
//!
//! **Later is counted in looks** at an application. A sync is first only asked for (`operation`), then running
//! (`status.operationState`), then over; what `status.sync` and `status.health` say follows one look later each. Where
//! the application has a Rollout, a new image comes as a canary and pauses: its health is `Suspended`.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::client::Client;
use super::server::{On, Recorded, Reply, Server, locked};
pub use state::App;

/// The one token that is accepted.
pub const TOKEN: &str = "eyJhbGciOi.standin.000000000000";
/// The namespace in which the applications are declared; not the server's own, so that it has to be named.
pub const APPS: &str = "argocd-webservices";

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Everything takes so many looks more.
    Late { looks: u32 },
    /// The effect happens, the reply does not arrive.
    ReplyLost { on: On, times: u32 },
    /// The next matching requests answer 502; `effect` says whether what was asked is done all the same.
    ServerError { on: On, times: u32, effect: bool },
    /// Matching requests answer 401, as after the token has expired.
    Unauthorized { on: On },
    /// When a sync is asked for, what is tracked has just moved on to this image.
    TrackedMoves { image: &'static str },
    /// The application of that name belongs to another project, and the server does not compare.
    OtherProject,
    /// Operations end in this phase (`Failed`, `Error`), and have changed nothing.
    Ends(&'static str),
    /// The operation succeeds; the application stays `OutOfSync`, because something was not applied.
    HalfDone,
    /// Pods of the new image never become ready: `Progressing` for good.
    NeverReady,
    /// One look after all was well it is `Degraded` (or `OutOfSync`), and stays so.
    FlipsBack { to: &'static str },
    /// Just after a sync was asked for, somebody else's takes its place, to this image; `None` to the same state.
    SomebodyElse { image: Option<&'static str> },
    /// At first another operation is in progress, for so many looks; a sync is refused meanwhile.
    Busy { looks: u32 },
    /// A window of the project forbids syncs.
    Window,
    /// The canary is aborted by what analyses it as soon as it pauses.
    CanaryAborted,
    /// The action is accepted and nothing comes of it.
    ActionIgnored,
    /// Before an action arrives, the canary was replaced by one of this image.
    OtherCanary { image: &'static str },
    /// After it was promoted the rollout is aborted, and the old version is back.
    PromotionFails,
}

/// Everything the stand-in knows; a test may look at it and change it.
pub struct State {
    pub apps: Vec<App>,
    /// Who the token belongs to.
    pub user: &'static str,
    pub faults: Vec<Fault>,
    moment: u32,
}

/// The running stand-in.
pub struct ArgoCd {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// Names image tags that were pushed, in order: what applications that deploy by themselves follow.
pub type Pushed = Box<dyn Fn() -> Vec<String> + Send + Sync>;

impl ArgoCd {
    pub fn start(apps: Vec<App>, faults: Vec<Fault>) -> ArgoCd {
        ArgoCd::following(apps, faults, Box::new(Vec::new))
    }

    /// Applications are brought to the newest of these tags: what they track, and with `automated` what they run.
    pub fn following(mut apps: Vec<App>, faults: Vec<Fault>, pushed: Pushed) -> ArgoCd {
        for fault in &faults {
            if let Fault::Busy { looks } = fault {
                apps.iter_mut().for_each(|app| app.busy_for(*looks));
            }
        }
        let state = Arc::new(Mutex::new(State { apps, user: "operator", faults, moment: 0 }));
        let shared = state.clone();
        let server = Server::start(move |request| {
            let newest = pushed().pop();
            locked(&shared).answer(request, newest.as_deref())
        });
        ArgoCd { server, state }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The state, for looking and for changing it. Do not hold it across a request.
    pub fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// What can be asked for the state from elsewhere.
    pub fn shared(&self) -> Arc<Mutex<State>> {
        self.state.clone()
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    pub fn requests_of(&self, method: &'static str, path: &str) -> Vec<Recorded> {
        self.server.requests_of(method, path)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url()).header("Authorization", &format!("Bearer {TOKEN}"))
    }
}

impl State {
    /// The application of that name.
    pub fn app(&self, name: &str) -> &App {
        self.apps.iter().find(|app| app.name == name).unwrap_or_else(|| panic!("there is no application {name}"))
    }

    fn answer(&mut self, request: &Recorded, pushed: Option<&str>) -> Reply {
        self.moment += 1;
        match request.header("authorization") {
            None => return problem(401, 16, "no session information"),
            Some(given) if given != format!("Bearer {TOKEN}") => {
                return problem(401, 16, "invalid session: token signature is invalid");
            }
            Some(_) => {}
        }
        for fault in &mut self.faults {
            match fault {
                Fault::Unauthorized { on } if on.matches(request) => {
                    return problem(401, 16, "invalid session: token has invalid claims: token is expired");
                }
                Fault::ServerError { on, times, effect: false } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Reply::of(502, "text/html", "<html>Bad Gateway</html>");
                }
                _ => {}
            }
        }
        for app in &mut self.apps {
            app.follow(pushed);
        }
        let reply = self.route(request);
        for fault in &mut self.faults {
            match fault {
                Fault::ReplyLost { on, times } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Reply::Cut;
                }
                Fault::ServerError { on, times, effect: true } if *times > 0 && on.matches(request) => {
                    *times -= 1;
                    return Reply::of(502, "text/html", "<html>Bad Gateway</html>");
                }
                _ => {}
            }
        }
        reply
    }

    fn route(&mut self, request: &Recorded) -> Reply {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let ["api", "v1", "applications", name, rest @ ..] = segments.as_slice() else {
            return problem(404, 5, "Not Found");
        };
        let body = request.json().unwrap_or(Value::Null);
        let asked = |field: &str| match request.method.as_str() {
            "GET" => request.query(field).unwrap_or_default().to_owned(),
            _ => body[field].as_str().unwrap_or_default().to_owned(),
        };
        let (project, namespace) = (asked("project"), asked("appNamespace"));
        let at = self.apps.iter().position(|app| app.name == *name && namespace == APPS);
        let compares = !self.faults.iter().any(|fault| matches!(fault, Fault::OtherProject));
        let at = at.filter(|at| project.is_empty() || !compares || self.apps[*at].project == project);
        let Some(at) = at else {
            // What must not be seen is not told from what is not there, unless the project was named.
            return match project.is_empty() {
                true => problem(403, 7, "permission denied"),
                false => problem(404, 5, &format!("applications.argoproj.io \"{name}\" not found")),
            };
        };
        let faults = self.faults.clone();
        let app = &mut self.apps[at];
        match (request.method.as_str(), rest) {
            ("GET", []) => Reply::json(200, &app.look(&faults, self.moment)),
            ("GET", ["manifests"]) => Reply::json(200, &app.manifests()),
            ("POST", ["sync"]) => app.sync(&body, self.user, &faults),
            ("GET", ["resource", "actions"]) => app.actions(request, &faults),
            ("POST", ["resource", "actions", "v2"]) => app.act(&body, &faults),
            _ => problem(404, 5, "Not Found"),
        }
    }
}

/// An error as the gateway writes it.
fn problem(status: u16, code: u32, message: &str) -> Reply {
    Reply::json(status, &json!({"error": message, "code": code, "message": message}))
}
