//! Stands in for a service that has the three pages of Dockerflow, as Balrog's have: which version runs, whether it is
//! alive, and whether it has its database. It knows nothing of what the service is for.
//!
//! Later is counted in looks, as in the other stand-ins.

use std::sync::{Arc, Mutex};

use serde_json::json;

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
    /// A network's page to log in with stands before everything.
    Portal,
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

    pub fn url(&self) -> String {
        self.server.url()
    }

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
    if faults.iter().any(|fault| matches!(fault, Fault::Portal)) {
        return page(200, "Log in to go on. All is OK.");
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::Client;

    fn versions(service: &Service, looks: usize) -> Vec<String> {
        let client = Client::new(&service.url());
        let look = |_| client.get("/__version__").unwrap().json()["version"].as_str().unwrap().to_owned();
        (0..looks).map(look).collect()
    }

    #[test]
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
        service.set(vec![Fault::Portal]);
        let portal = client.get("/__lbheartbeat__").unwrap();
        assert!(portal.status == 200 && portal.text().contains("Log in"));
        service.set(vec![Fault::Dead]);
        assert_eq!(client.get("/__lbheartbeat__").unwrap().status, 502);
    }
}
