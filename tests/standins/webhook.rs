//! Stands in for a chat that is written to by an incoming webhook. It knows one channel, the address that is its only
//! secret, and the errors that Slack has named; it does not know who writes, and nobody can read what was written by
//! the webhook.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::client::Client;
use super::server::{Recorded, Reply, Server, locked, table};

/// The path that is the key to the channel.
pub const KEY: &str = "/services/T00STANDIN/B00STANDIN/notARealKeyOfAWebhook0001";

/// What goes wrong; `times` is for how many messages.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The message is in the channel, the reply does not arrive.
    ReplyLost { times: u32 },
    /// 429: nothing is posted, and it says how many seconds to wait. `None`: it does not say.
    Limited { times: u32, retry_after: Option<&'static str> },
    /// 500 `rollup_error`; `effect` says whether the message is in the channel all the same.
    ServerError { times: u32, effect: bool },
    /// This status with this text, and nothing is posted: 403 `action_prohibited`, 404 `no_service` of a webhook that was
    /// revoked, 404 `channel_not_found`, 410 `channel_is_archived`.
    Refused { status: u16, error: &'static str },
    /// 200 with a page for signing in, as a proxy on the way shows it; nothing is posted.
    LoginPage,
    /// 200 with `{"ok":false}`, as the other interface of Slack says no; nothing is posted.
    OkFalse,
    /// 302 to a page elsewhere; nothing is posted.
    Redirect,
}

/// Everything the stand-in knows.
pub struct State {
    /// What is in the channel, oldest first, as it was sent.
    pub posts: Vec<String>,
    faults: Vec<Fault>,
}

pub struct Webhook {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Webhook {
    pub fn start(faults: Vec<Fault>) -> Webhook {
        let state = Arc::new(Mutex::new(State { posts: Vec::new(), faults }));
        let shared = state.clone();
        let server = Server::start(move |request| locked(&shared).answer(request));
        Webhook { server, state }
    }

    /// The whole address, which is a secret.
    pub fn url(&self) -> String {
        self.server.url() + KEY
    }

    /// Without what is secret.
    pub fn origin(&self) -> String {
        self.server.url()
    }

    pub fn posts(&self) -> Vec<String> {
        self.state().posts.clone()
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.server.url())
    }
}

impl State {
    fn answer(&mut self, request: &Recorded) -> Reply {
        if request.raw_path != KEY {
            return text(404, "no_service");
        }
        if request.method != "POST" {
            return text(405, "method_not_allowed");
        }
        let Some(message) = message(request) else { return text(400, "invalid_payload") };
        if message.is_empty() {
            return text(400, "no_text");
        }
        for fault in &mut self.faults {
            match fault {
                Fault::ReplyLost { times } if *times > 0 => {
                    *times -= 1;
                    self.posts.push(cut(message));
                    return Reply::Cut;
                }
                Fault::Limited { times, retry_after } if *times > 0 => {
                    *times -= 1;
                    let reply = text(429, "rate_limited");
                    return match retry_after {
                        Some(seconds) => reply.with("retry-after", *seconds),
                        None => reply,
                    };
                }
                Fault::ServerError { times, effect } if *times > 0 => {
                    *times -= 1;
                    if *effect {
                        self.posts.push(cut(message));
                    }
                    return text(500, "rollup_error");
                }
                Fault::Refused { status, error } => return text(*status, error),
                Fault::LoginPage => return Reply::of(200, "text/html", "<html><title>Sign in</title></html>"),
                Fault::OkFalse => {
                    return Reply::of(200, "application/json", r#"{"ok":false,"error":"not_in_channel"}"#);
                }
                Fault::Redirect => return Reply::empty(302).with("location", "https://sign-in.example/"),
                _ => {}
            }
        }
        self.posts.push(cut(message));
        text(200, "ok")
    }
}

fn text(status: u16, body: &str) -> Reply {
    Reply::of(status, "text/html", body)
}

/// The text of a message: of a body in JSON, or of a form with the same JSON as `payload`.
fn message(request: &Recorded) -> Option<String> {
    let body = match table(&request.form()).get("payload") {
        Some(payload) => serde_json::from_str::<Value>(payload).ok()?,
        None => request.json()?,
    };
    match body.as_object()?.get("text") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
        None => Some(String::new()),
    }
}

/// What is longer than a chat shows is cut without a word.
fn cut(message: String) -> String {
    message.chars().take(40_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(chat: &Webhook, body: &str) -> std::io::Result<(u16, String)> {
        let client = chat.client().header("Content-Type", "application/json");
        client.post(KEY, body).map(|answer| (answer.status, answer.text()))
    }

    fn answer(chat: &Webhook, body: &str) -> (u16, String) {
        post(chat, body).unwrap()
    }

    #[test]
    fn a_message_is_posted_and_anything_else_is_named() {
        let chat = Webhook::start(vec![]);
        assert_eq!(answer(&chat, r#"{"text":"Hello"}"#), (200, "ok".into()));
        assert_eq!(answer(&chat, "text=Hello"), (400, "invalid_payload".into()));
        assert_eq!(answer(&chat, r#"{"text":7}"#), (400, "invalid_payload".into()));
        assert_eq!(answer(&chat, r#"{"body":"Hello"}"#), (400, "no_text".into()));
        assert_eq!(chat.client().post("/services/T00/B00/other", "{}").unwrap().text(), "no_service");
        assert_eq!(chat.client().get(KEY).unwrap().status, 405);
        let form = chat.client().header("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(form.post(KEY, "payload=%7B%22text%22%3A%22Again%22%7D").unwrap().text(), "ok");
        assert_eq!(chat.posts(), ["Hello", "Again"]);
    }

    #[test]
    fn each_fault_says_what_it_says_and_posts_or_not() {
        let hello = r#"{"text":"Hello"}"#;
        let quiet: Vec<(Fault, u16, &str)> = vec![
            (Fault::Limited { times: 1, retry_after: Some("3") }, 429, "rate_limited"),
            (Fault::ServerError { times: 1, effect: false }, 500, "rollup_error"),
            (Fault::Refused { status: 410, error: "channel_is_archived" }, 410, "channel_is_archived"),
            (Fault::LoginPage, 200, "Sign in"),
            (Fault::OkFalse, 200, "not_in_channel"),
            (Fault::Redirect, 302, ""),
        ];
        for (fault, status, says) in quiet {
            let chat = Webhook::start(vec![fault.clone()]);
            let (got, body) = answer(&chat, hello);
            assert_eq!(got, status, "{fault:?}");
            assert!(body.contains(says) && chat.posts().is_empty(), "{fault:?}");
        }
        let chat = Webhook::start(vec![Fault::ReplyLost { times: 1 }, Fault::ServerError { times: 1, effect: true }]);
        assert!(post(&chat, hello).is_err());
        assert_eq!(answer(&chat, hello).0, 500);
        assert_eq!(answer(&chat, hello), (200, "ok".into()));
        assert_eq!(chat.posts().len(), 3);
    }
}
