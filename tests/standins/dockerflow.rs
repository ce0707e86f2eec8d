<<<<<<< HEAD
//! Stands in for a service that follows Dockerflow: `/__version__` says which build answers, and during a deployment the
//! builds of before and after answer in turn. It does not know why anybody deploys it.
//!
//! Nothing here waits for wall time: a deployment takes a number of looks.
=======
//! Stands in for a service that has the three pages of Dockerflow, as Balrog's have: which version runs, whether it is
//! alive, and whether it has its database. It knows nothing of what the service is for.
//!
//! Later is counted in looks, as in the other stand-ins.
>>>>>>> jenkins

use std::sync::{Arc, Mutex};

use serde_json::json;

<<<<<<< HEAD
use super::server::{Reply, Server, locked};

/// What `/__version__` tells of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub commit: String,
    /// Without a `v`.
    pub version: String,
}

/// What goes wrong, beyond a deployment's usual course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The deployment takes that many looks more.
    Late { looks: u32 },
    /// No deployment ever comes.
    Never,
    /// The builds of before and after answer in turn, and it does not end.
    InTurnForever,
    /// The build has the right version and was made from another commit.
    WrongCommit,
    /// After that many looks at it, the new build is taken back.
    FlipsBack { after_looks: u32 },
    /// The first looks find a load balancer without a service.
    Unavailable { times: u32 },
    /// An error page, sent as if all were well, that names neither build.
    ErrorPage { times: u32 },
}

struct State {
    now: Build,
    next: Option<Build>,
    /// Looks since there is a next one.
    looks: u32,
    faults: Vec<Fault>,
}

/// The running service.
pub struct Dockerflow {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// How many looks the usual deployment takes before the new build answers at all, and then before it alone answers.
const BEFORE: u32 = 3;
const IN_TURN: u32 = 4;

impl Dockerflow {
    /// Runs `now`; `deployed` says what the pipeline has been told to deploy, if anything.
    pub fn start(
        now: Build,
        faults: Vec<Fault>,
        deployed: impl Fn() -> Option<Build> + Send + Sync + 'static,
    ) -> Dockerflow {
        let state = Arc::new(Mutex::new(State { now, next: None, looks: 0, faults }));
        let shared = state.clone();
        let server = Server::start(move |request| match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/__version__") => locked(&shared).version(deployed()),
            ("GET", "/__lbheartbeat__") => Reply::of(200, "text/plain", "OK!"),
            _ => Reply::of(404, "text/html; charset=utf-8", "<h1>Not Found</h1>"),
        });
        Dockerflow { server, state }
    }

    /// Without a slash at its end.
=======
use super::server::{Recorded, Reply, Server, locked};

/// What is wrong with it.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The first so many looks at the version find the one before.
    Late { looks: u32, before: &'static str },
    /// It shows this one for ever, whatever is deployed.
    Stays { version: &'static str },
    /// The old code answers every other look, as while instances are exchanged, for so many looks.
    Mixed { looks: u32, before: &'static str },
    /// An error page that names the version.
    ErrorPage,
    /// 200 with a page that is no JSON.
    NotJson,
    /// It has no database for so many looks at the heartbeat.
    NoDatabase { looks: u32 },
    /// It has its database once, then loses it for so many looks.
    LosesDatabase { looks: u32 },
    /// Nothing of it is alive.
    Dead,
}

pub struct Service {
    server: Server,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl Service {
    /// One that always says the same version.
    pub fn of(version: &'static str, faults: Vec<Fault>) -> Service {
        Service::start(move || version.to_owned(), faults)
    }

    /// One that runs what `version` gives at the time; without a `v` before it.
    pub fn start(version: impl Fn() -> String + Send + Sync + 'static, faults: Vec<Fault>) -> Service {
        let faults = Arc::new(Mutex::new(faults));
        let (shared, rows) = (faults.clone(), Mutex::new(0));
        let server = Server::start(move |request| answer(request, version(), &mut locked(&shared), &mut locked(&rows)));
        Service { server, faults }
    }

>>>>>>> jenkins
    pub fn url(&self) -> String {
        self.server.url()
    }

<<<<<<< HEAD
    /// How often it was asked for its version.
    pub fn looks(&self) -> usize {
        self.server.requests_of("GET", "/__version__").len()
    }

    /// Another build from now on.
    pub fn runs(&self, build: Build) {
        let mut state = locked(&self.state);
        (state.now, state.next, state.looks) = (build, None, 0);
    }

    /// Nothing goes wrong from now on.
    pub fn mend(&self) {
        locked(&self.state).faults.clear();
    }
}

impl State {
    fn version(&mut self, deployed: Option<Build>) -> Reply {
        for fault in &mut self.faults {
            match fault {
                Fault::Unavailable { times } if *times > 0 => {
                    *times -= 1;
                    return Reply::of(503, "text/html", "<h1>503 Service Unavailable</h1>");
                }
                Fault::ErrorPage { times } if *times > 0 => {
                    *times -= 1;
                    return Reply::of(200, "text/html", "<h1>We will be back soon</h1>");
                }
                _ => {}
            }
        }
        let build = self.answering(deployed);
        let body = json!({"commit": build.commit, "version": build.version,
            "source": "https://github.com/mozilla-releng/balrog", "build": "https://ci.example/tasks/41"});
        Reply::json(200, &body).with("cache-control", "no-cache")
    }

    fn answering(&mut self, deployed: Option<Build>) -> Build {
        if self.has(|fault| matches!(fault, Fault::Never)) {
            return self.now.clone();
        }
        if self.next != deployed && deployed.as_ref() != Some(&self.now) {
            (self.next, self.looks) = (deployed, 0);
        }
        let Some(next) = &self.next else { return self.now.clone() };
        let mut next = next.clone();
        if self.has(|fault| matches!(fault, Fault::WrongCommit)) {
            next.commit = "f".repeat(40);
        }
        self.looks += 1;
        let late = self.faults.iter().find_map(|fault| match fault {
            Fault::Late { looks } => Some(*looks),
            _ => None,
        });
        let begins = BEFORE + late.unwrap_or(0);
        let ends = begins + IN_TURN;
        let flips = self.faults.iter().find_map(|fault| match fault {
            Fault::FlipsBack { after_looks } => Some(ends + after_looks),
            _ => None,
        });
        let in_turn = self.looks <= ends || self.has(|fault| matches!(fault, Fault::InTurnForever));
        if self.looks <= begins || flips.is_some_and(|flips| self.looks > flips) || (in_turn && self.looks % 2 == 1) {
            return self.now.clone();
        }
        next
    }

    fn has(&self, meant: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(meant)
    }
=======
    /// From now on.
    pub fn set(&self, faults: Vec<Fault>) {
        *locked(&self.faults) = faults;
    }

    pub fn requests_of(&self, method: &'static str, path: &str) -> Vec<Recorded> {
        self.server.requests_of(method, path)
    }
}

fn page(status: u16, text: &str) -> Reply {
    Reply::of(status, "text/html", format!("<html><body>{text}</body></html>"))
}

fn answer(request: &Recorded, version: String, faults: &mut [Fault], rows: &mut u32) -> Reply {
    if faults.iter().any(|fault| matches!(fault, Fault::Dead)) {
        return page(502, "Bad Gateway");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/__version__") => show(version, faults),
        ("GET", "/__lbheartbeat__") => Reply::of(200, "text/plain", "OK!"),
        ("GET", "/__heartbeat__") => beat(faults, rows),
        _ => page(404, "Not Found"),
    }
}

fn show(version: String, faults: &mut [Fault]) -> Reply {
    let mut shown = version;
    for fault in faults {
        match fault {
            Fault::Late { looks, before } if *looks > 0 => {
                *looks -= 1;
                shown = (*before).to_owned();
            }
            Fault::Mixed { looks, before } if *looks > 0 => {
                *looks -= 1;
                if *looks % 2 == 0 {
                    shown = (*before).to_owned();
                }
            }
            Fault::Stays { version } => shown = (*version).to_owned(),
            Fault::NotJson => return page(200, &shown),
            Fault::ErrorPage => {
                return Reply::json(500, &json!({"version": shown, "commit": "0", "source": "", "build": ""}));
            }
            _ => {}
        }
    }
    let body = json!({"commit": "f0c823a", "version": shown, "source": "https://github.com/mozilla-releng/balrog",
        "build": "https://ci.example/42"});
    Reply::json(200, &body).with("cache-control", "no-cache")
}

/// It answers from the database, and writes a row each time.
fn beat(faults: &mut [Fault], rows: &mut u32) -> Reply {
    for fault in faults {
        match fault {
            Fault::NoDatabase { looks } if *looks > 0 => {
                *looks -= 1;
                return page(502, "Can't connect to the database.");
            }
            Fault::LosesDatabase { looks } if *looks > 0 && *rows > 0 => {
                *looks -= 1;
                return page(502, "Can't connect to the database.");
            }
            _ => {}
        }
    }
    *rows += 1;
    Reply::of(200, "text/plain", rows.to_string()).with("cache-control", "public,max-age=60")
>>>>>>> jenkins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::Client;

<<<<<<< HEAD
    fn build(version: &str) -> Build {
        Build { commit: "1".repeat(40), version: version.into() }
    }

    fn shows(service: &Dockerflow, looks: usize) -> Vec<String> {
=======
    fn versions(service: &Service, looks: usize) -> Vec<String> {
>>>>>>> jenkins
        let client = Client::new(&service.url());
        let look = |_| client.get("/__version__").unwrap().json()["version"].as_str().unwrap().to_owned();
        (0..looks).map(look).collect()
    }

    #[test]
<<<<<<< HEAD
    fn both_builds_answer_until_the_deployment_is_over() {
        let service = Dockerflow::start(build("3.9"), vec![], || Some(build("3.10")));
        let seen = shows(&service, 9);
        assert_eq!(seen, ["3.9", "3.9", "3.9", "3.10", "3.9", "3.10", "3.9", "3.10", "3.10"]);
        assert_eq!(service.looks(), 9);
        let idle = Dockerflow::start(build("3.9"), vec![], || None);
        assert_eq!(shows(&idle, 5), vec!["3.9"; 5]);
    }

    #[test]
    fn its_faults_are_what_they_say() {
        let start = |fault| Dockerflow::start(build("3.9"), vec![fault], || Some(build("3.10")));
        assert_eq!(shows(&start(Fault::Never), 20), vec!["3.9"; 20]);
        assert_eq!(shows(&start(Fault::Late { looks: 5 }), 9)[7..], ["3.9", "3.9"]);
        let in_turn = shows(&start(Fault::InTurnForever), 40);
        assert_eq!((in_turn[38].as_str(), in_turn[39].as_str()), ("3.9", "3.10"));
        let back = shows(&start(Fault::FlipsBack { after_looks: 2 }), 12);
        assert_eq!(back[7..], ["3.10", "3.10", "3.9", "3.9", "3.9"]);
        let wrong = start(Fault::WrongCommit);
        shows(&wrong, 8);
        assert_eq!(Client::new(&wrong.url()).get("/__version__").unwrap().json()["commit"], "f".repeat(40));
        let down = start(Fault::Unavailable { times: 1 });
        assert_eq!(Client::new(&down.url()).get("/__version__").unwrap().status, 503);
        assert_eq!(shows(&down, 1), ["3.9"]);
        let page = start(Fault::ErrorPage { times: 1 });
        assert_eq!(Client::new(&page.url()).get("/__version__").unwrap().status, 200);
        assert_eq!(Client::new(&page.url()).get("/__lbheartbeat__").unwrap().text(), "OK!");
=======
    fn the_version_is_shown_late_mixed_or_never() {
        assert_eq!(versions(&Service::of("3.20", vec![]), 1), ["3.20"]);
        let late = Service::of("3.20", vec![Fault::Late { looks: 2, before: "3.19" }]);
        assert_eq!(versions(&late, 3), ["3.19", "3.19", "3.20"]);
        let mixed = Service::of("3.20", vec![Fault::Mixed { looks: 3, before: "3.19" }]);
        assert_eq!(versions(&mixed, 4), ["3.19", "3.20", "3.19", "3.20"]);
        let stays = Service::of("3.20", vec![Fault::Stays { version: "3.19" }]);
        assert_eq!(versions(&stays, 2), ["3.19", "3.19"]);
        stays.set(vec![Fault::ErrorPage]);
        assert_eq!(Client::new(&stays.url()).get("/__version__").unwrap().status, 500);
        stays.set(vec![Fault::NotJson]);
        assert!(Client::new(&stays.url()).get("/__version__").unwrap().text().contains("<html>"));
    }

    #[test]
    fn the_heartbeat_tells_of_the_database_and_the_other_page_of_the_process() {
        let service = Service::of("3.20", vec![Fault::NoDatabase { looks: 1 }, Fault::LosesDatabase { looks: 1 }]);
        let client = Client::new(&service.url());
        let beats: Vec<u16> = (0..4).map(|_| client.get("/__heartbeat__").unwrap().status).collect();
        assert_eq!(beats, [502, 200, 502, 200]);
        assert_eq!(client.get("/__lbheartbeat__").unwrap().text(), "OK!");
        service.set(vec![Fault::Dead]);
        assert_eq!(client.get("/__lbheartbeat__").unwrap().status, 502);
>>>>>>> jenkins
    }
}
