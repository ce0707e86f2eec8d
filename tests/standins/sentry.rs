//! Stands in for the list of issues that Sentry has of an organisation. It knows which issues there are, look by look, and
//! who may see them; it does not know what a query means.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::server::{Recorded, Reply, Server, locked};

pub const TOKEN: &str = "sntrys_not_a_real_token_of_the_standin";

/// What a look finds; the last one stays.
#[derive(Debug, Clone)]
pub enum Look {
    /// These issues, newest first.
    Issues(&'static [u32]),
    /// 429, as for who asks too often.
    Limited,
    /// 502 with a page.
    Broken,
    /// 200 with a page for signing in.
    LoginPage,
}

pub struct Sentry {
    server: Server,
    looks: Arc<Mutex<Vec<Look>>>,
}

impl Sentry {
    pub fn start(looks: &[Look]) -> Sentry {
        let looks = Arc::new(Mutex::new(looks.to_vec()));
        let shared = looks.clone();
        let server = Server::start(move |request| answer(request, &mut locked(&shared)));
        Sentry { server, looks }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on.
    pub fn set(&self, looks: &[Look]) {
        *locked(&self.looks) = looks.to_vec();
    }
}

fn answer(request: &Recorded, looks: &mut Vec<Look>) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Reply::json(401, &json!({"detail": "Invalid token"}));
    }
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // Without the slash at its end an address leads elsewhere.
    let ["api", "0", "organizations", "mozilla", "issues"] = segments.as_slice() else {
        return Reply::json(404, &json!({"detail": "The requested resource does not exist"}));
    };
    if !request.raw_path.ends_with('/') {
        return Reply::empty(301).with("location", format!("{}/", request.raw_path));
    }
    let look = if looks.len() > 1 { looks.remove(0) } else { looks[0].clone() };
    match look {
        Look::Issues(ids) => {
            let limit = request.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(100);
            let shown: Vec<Value> = ids.iter().take(limit).map(|id| issue(*id)).collect();
            let more = ids.len() > limit;
            Reply::json(200, &Value::Array(shown)).with("link", format!("<next>; rel=\"next\"; results=\"{more}\""))
        }
        Look::Limited => Reply::json(429, &json!({"detail": "Rate limit exceeded"})),
        Look::Broken => Reply::of(502, "text/html", "<html>Bad Gateway</html>"),
        Look::LoginPage => Reply::of(200, "text/html", "<html><title>Sign in</title></html>"),
    }
}

/// Counts are texts, and so are ids.
fn issue(id: u32) -> Value {
    json!({"id": id.to_string(), "shortId": format!("BALROG-{id}"), "title": "OperationalError", "count": "7", "userCount": 0,
        "firstSeen": "2025-11-06T21:19:55Z", "lastSeen": "2025-11-06T21:29:55Z", "level": "error",
        "status": "unresolved", "substatus": "new", "permalink": format!("https://sentry.example/issues/{id}/"),
        "project": {"id": "2", "name": "Balrog", "slug": "balrog", "platform": "python"}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::Client;

    #[test]
    fn issues_are_shown_to_who_may_see_them() {
        let sentry = Sentry::start(&[Look::Broken, Look::Limited, Look::Issues(&[3, 2, 1])]);
        let path = "/api/0/organizations/mozilla/issues/?query=is%3Aunresolved&sort=new&limit=2";
        let client = Client::new(&sentry.url());
        assert_eq!(client.get(path).unwrap().status, 401);
        let client = client.header("Authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(client.get("/api/0/organizations/mozilla/issues").unwrap().status, 301);
        assert_eq!(client.get("/api/0/organizations/other/issues/").unwrap().status, 404);
        let looks: Vec<u16> = (0..2).map(|_| client.get(path).unwrap().status).collect();
        assert_eq!(looks, [502, 429]);
        let shown = client.get(path).unwrap();
        let ids: Vec<Value> = shown.json().as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
        assert_eq!(ids, [json!("3"), json!("2")]);
        assert!(shown.header("link").unwrap().contains("results=\"true\""));
        sentry.set(&[Look::LoginPage]);
        assert!(client.get(path).unwrap().text().contains("Sign in"));
    }
}
