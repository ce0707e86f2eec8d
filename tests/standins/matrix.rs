//! Stands in for a Matrix homeserver: rooms that are written to under a transaction and read from. It knows one user, by
//! a token, and no federation, no encryption and no sync.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::client::Client;
use super::server::{On, Recorded, Reply, Server, locked};

pub const ROOM: &str = "!standin:matrix.example";
pub const TOKEN: &str = "syt_standin_token_that_is_not_real";

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The message is in the room, the reply does not arrive.
    ReplyLost { times: u32 },
    /// 429 with how long to wait; nothing is written.
    Limited { times: u32 },
    /// 502, as from what stands before the homeserver; `effect` says whether it was done all the same.
    ServerError { on: On, times: u32, effect: bool },
    /// What was written is removed by a moderator: the event is there, without its text.
    Redacted,
    /// A filter of the homeserver changes the text.
    Changed,
}

/// Everything the stand-in knows.
pub struct State {
    /// Event and content, oldest first.
    pub events: Vec<(String, Value)>,
    transactions: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

pub struct Matrix {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Matrix {
    pub fn start(faults: Vec<Fault>) -> Matrix {
        let state = State { events: Vec::new(), transactions: BTreeMap::new(), faults };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let server = Server::start(move |request| locked(&shared).answer(request));
        Matrix { server, state }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub fn requests_of(&self, method: &'static str, path: &str) -> Vec<Recorded> {
        self.server.requests_of(method, path)
    }

    /// The texts in the room.
    pub fn texts(&self) -> Vec<String> {
        self.state().events.iter().map(|(_, content)| content["body"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn client(&self) -> Client {
        Client::new(&self.server.url()).header("Authorization", &format!("Bearer {TOKEN}"))
    }
}

fn error(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({"errcode": code, "error": code}))
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Reply {
        match request.header("authorization") {
            None => return error(401, "M_MISSING_TOKEN"),
            Some(given) if given != format!("Bearer {TOKEN}") => return error(401, "M_UNKNOWN_TOKEN"),
            Some(_) => {}
        }
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let ["_matrix", "client", "v3", "rooms", room, rest @ ..] = segments.as_slice() else {
            return error(404, "M_UNRECOGNIZED");
        };
        if *room != ROOM {
            return error(403, "M_FORBIDDEN");
        }
        if let Some(reply) = self.broken(request, false) {
            return reply;
        }
        let reply = match (request.method.as_str(), rest) {
            ("PUT", ["send", "m.room.message", transaction]) => self.send(transaction, request),
            ("GET", ["event", id]) => self.event(id),
            _ => error(404, "M_UNRECOGNIZED"),
        };
        self.broken(request, true).unwrap_or(reply)
    }

    fn broken(&mut self, request: &Recorded, done: bool) -> Option<Reply> {
        for fault in &mut self.faults {
            match fault {
                Fault::ServerError { on, times, effect } if *times > 0 && *effect == done && on.matches(request) => {
                    *times -= 1;
                    return Some(Reply::of(502, "text/html", "<html>Bad Gateway</html>"));
                }
                Fault::ReplyLost { times } if done && *times > 0 && request.method == "PUT" => {
                    *times -= 1;
                    return Some(Reply::Cut);
                }
                Fault::Limited { times } if !done && *times > 0 && request.method == "PUT" => {
                    *times -= 1;
                    let body =
                        json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests", "retry_after_ms": 10});
                    return Some(Reply::json(429, &body));
                }
                _ => {}
            }
        }
        None
    }

    /// The same transaction again is the same event, and writes nothing.
    fn send(&mut self, transaction: &str, request: &Recorded) -> Reply {
        if let Some(event) = self.transactions.get(transaction) {
            return Reply::json(200, &json!({"event_id": event}));
        }
        let Some(mut content) = request.json().filter(Value::is_object) else { return error(400, "M_NOT_JSON") };
        for fault in &self.faults {
            match fault {
                Fault::Redacted => content = json!({}),
                Fault::Changed => content["body"] = json!("****"),
                _ => {}
            }
        }
        let event = format!("$event{}", self.events.len() + 1);
        self.events.push((event.clone(), content));
        self.transactions.insert(transaction.to_owned(), event.clone());
        Reply::json(200, &json!({"event_id": event}))
    }

    fn event(&self, id: &str) -> Reply {
        match self.events.iter().find(|(event, _)| event == id) {
            Some((event, content)) => Reply::json(
                200,
                &json!({"type": "m.room.message", "event_id": event, "room_id": ROOM, "sender": "@runs:matrix.example",
                    "origin_server_ts": 1_758_110_400_000_u64, "content": content}),
            ),
            None => error(404, "M_NOT_FOUND"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = "/_matrix/client/v3/rooms/%21standin%3Amatrix.example/send/m.room.message";

    #[test]
    fn a_transaction_is_one_message_however_often_it_is_sent() {
        let matrix = Matrix::start(vec![Fault::ReplyLost { times: 1 }]);
        let send =
            |id: &str| matrix.client().send("PUT", &format!("{SEND}/{id}"), r#"{"msgtype":"m.text","body":"Hello"}"#);
        assert!(send("one").is_err());
        let event = send("one").unwrap().json()["event_id"].clone();
        assert_eq!((matrix.texts().len(), event.as_str()), (1, Some("$event1")));
        assert_eq!(send("two").unwrap().json()["event_id"], "$event2");
        let seen = matrix.client().get("/_matrix/client/v3/rooms/%21standin%3Amatrix.example/event/%24event1").unwrap();
        assert_eq!(seen.json()["content"]["body"], "Hello");
    }

    #[test]
    fn who_may_not_is_told_so() {
        let matrix = Matrix::start(vec![Fault::Limited { times: 1 }]);
        let client = Client::new(&matrix.url());
        let path = format!("{SEND}/one");
        assert_eq!(client.send("PUT", &path, "{}").unwrap().json()["errcode"], "M_MISSING_TOKEN");
        let wrong = client.header("Authorization", "Bearer other");
        assert_eq!(wrong.send("PUT", &path, "{}").unwrap().json()["errcode"], "M_UNKNOWN_TOKEN");
        let elsewhere = path.replace("standin", "elsewhere");
        assert_eq!(matrix.client().send("PUT", &elsewhere, "{}").unwrap().status, 403);
        assert_eq!(matrix.client().send("PUT", &path, "{}").unwrap().status, 429);
        assert_eq!(matrix.client().send("PUT", &path, "[]").unwrap().status, 400);
        assert!(matrix.texts().is_empty());
    }
}
