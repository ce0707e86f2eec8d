//! Stands in for a service that follows Dockerflow: `/__version__` says which build answers, and during a deployment the
//! builds of before and after answer in turn. It does not know why anybody deploys it.
//!
//! Nothing here waits for wall time: a deployment takes a number of looks.

use std::sync::{Arc, Mutex};

use serde_json::json;

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
    pub fn url(&self) -> String {
        self.server.url()
    }

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::Client;

    fn build(version: &str) -> Build {
        Build { commit: "1".repeat(40), version: version.into() }
    }

    fn shows(service: &Dockerflow, looks: usize) -> Vec<String> {
        let client = Client::new(&service.url());
        let look = |_| client.get("/__version__").unwrap().json()["version"].as_str().unwrap().to_owned();
        (0..looks).map(look).collect()
    }

    #[test]
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
    }
}
