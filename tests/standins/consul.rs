//! Stands in for Consul's servers behind the HTTP interface of one of them: members, voters, a leader, and the key-value
//! store with its indexes and conditions. Knows the forms of Consul 1.x and no key in particular.
//!
//! What is known of it: `PUT /v1/agent/join/ADDRESS` answers 200 without a body, or 500 with a word; a member that was
//! joined becomes a voter a little later. `PUT /v1/kv/KEY` answers 200 with `true`, or with `false` where `cas` does not
//! hold. `GET` of a key that is not there is 404 with an empty body, values come in base64, and an empty value is `null`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use serde_json::{Value, json};

use super::server::{On, Recorded, Reply, Server, locked};

/// What is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A member is seen, gets its vote, and has a part in the leader's election only after so many looks.
    Late { looks: u32 },
    /// A member never gets a vote.
    NoVote,
    /// The member that votes is another one.
    OtherVoter,
    /// There is no leader.
    NoLeader,
    /// Joining brings a whole other cluster along.
    JoinsMore,
    /// Joining answers 200 and does nothing.
    JoinsNobody,
    /// A member fails after so many looks at the members.
    MemberFails { looks: u32 },
    /// The answer to such a request is lost, so often, after it had its effect.
    ReplyLost { on: On, times: u32 },
    /// Such a request is answered with 500, so often, and has no effect.
    ServerError { on: On, times: u32 },
    /// `false`, and nothing is written: to a key that contains this.
    Refuses { key: &'static str },
    /// `true`, and nothing is written: to a key that contains this.
    Forgets { key: &'static str },
    /// Something else is written: under a key that contains this.
    Garbles { key: &'static str },
    /// A key that contains this goes back to what it was after so many looks at the store.
    FlipsBack { key: &'static str, looks: u32 },
    /// Somebody else writes this key when it is looked at alone.
    SomebodyElse { key: &'static str },
    /// The token may do nothing.
    Forbidden,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub index: u64,
}

#[derive(Debug, Default)]
pub struct State {
    pub members: Vec<(String, u64)>,
    pub voters: Vec<String>,
    pub keys: BTreeMap<String, Entry>,
    index: u64,
    looks: u32,
    flipped: BTreeMap<String, Option<Entry>>,
    pub faults: Vec<Fault>,
}

pub struct Consul {
    server: Server,
    state: Arc<Mutex<State>>,
}

pub const TOKEN: &str = "not-a-real-consul-token";
const FIRST: &str = "10.0.0.1";

impl Consul {
    /// One server that leads itself.
    pub fn start(faults: Vec<Fault>) -> Consul {
        let state = State {
            members: vec![(FIRST.into(), 1)],
            voters: vec![FIRST.into()],
            index: 10,
            faults,
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let server = Server::start(move |request| locked(&shared).answer(request));
        Consul { server, state }
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

    /// What a key holds; none if it is not there.
    pub fn value(&self, key: &str) -> Option<String> {
        self.state().keys.get(key).map(|entry| String::from_utf8_lossy(&entry.value).into_owned())
    }

    pub fn set(&self, key: &str, value: &str) {
        self.state().write(key, value.as_bytes());
    }
}

impl State {
    fn write(&mut self, key: &str, value: &[u8]) {
        self.index += 1;
        self.keys.insert(key.into(), Entry { value: value.to_vec(), index: self.index });
    }

    fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Whether such a fault strikes now; it is used up then.
    fn strikes(&mut self, meant: impl Fn(&Fault) -> Option<On>, request: &Recorded) -> bool {
        for fault in &mut self.faults {
            if !meant(fault).is_some_and(|on| on.matches(request)) {
                continue;
            }
            if let Fault::ReplyLost { times, .. } | Fault::ServerError { times, .. } = fault
                && *times > 0
            {
                *times -= 1;
                return true;
            }
        }
        false
    }

    fn answer(&mut self, request: &Recorded) -> Reply {
        if self.has(&Fault::Forbidden) || request.header("x-consul-token") != Some(TOKEN) {
            return Reply::of(403, "text/plain", "Permission denied");
        }
        let error = |fault: &Fault| if let Fault::ServerError { on, .. } = fault { Some(on.clone()) } else { None };
        if self.strikes(error, request) {
            return Reply::of(500, "text/plain", "No cluster leader");
        }
        let reply = self.serve(request);
        let lost = |fault: &Fault| if let Fault::ReplyLost { on, .. } = fault { Some(on.clone()) } else { None };
        if self.strikes(lost, request) { Reply::Cut } else { reply }
    }

    fn serve(&mut self, request: &Recorded) -> Reply {
        let path = request.path.as_str();
        if let Some(address) = path.strip_prefix("/v1/agent/join/") {
            return if request.method == "PUT" { self.join(address) } else { Reply::empty(405) };
        }
        if let Some(key) = path.strip_prefix("/v1/kv/") {
            return self.store(request, key);
        }
        match path {
            "/v1/agent/members" => self.members(),
            "/v1/status/peers" => {
                let peers: Vec<String> = self.voters().iter().map(|address| format!("{address}:8300")).collect();
                Reply::json(200, &json!(peers))
            }
            "/v1/status/leader" => {
                let leader = if self.has(&Fault::NoLeader) { String::new() } else { format!("{FIRST}:8300") };
                Reply::json(200, &json!(leader))
            }
            _ => Reply::empty(404),
        }
    }

    fn join(&mut self, address: &str) -> Reply {
        if address.starts_with("10.9.") {
            return Reply::of(
                500,
                "text/plain",
                format!("1 error occurred: Failed to join {address}: dial tcp: i/o timeout"),
            );
        }
        let mut names = vec![address.to_owned()];
        if self.has(&Fault::JoinsMore) {
            names.push("10.0.0.77".into());
        }
        if self.has(&Fault::JoinsNobody) {
            names.clear();
        }
        for name in names {
            if !self.members.iter().any(|(known, _)| *known == name) {
                self.members.push((name.clone(), 1));
                self.voters.push(name);
            }
        }
        Reply::empty(200)
    }

    fn late(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Late { looks } if self.looks < *looks))
    }

    fn members(&mut self) -> Reply {
        self.looks += 1;
        let fails =
            self.faults.iter().any(|fault| matches!(fault, Fault::MemberFails { looks } if self.looks > *looks));
        let late = self.late();
        let mut listed =
            vec![json!({"Name": "app-1", "Addr": "10.0.1.1", "Port": 8301, "Status": 1, "Tags": {"role": "node"}})];
        for (index, (address, status)) in self.members.iter().enumerate() {
            let status = if index > 0 && (fails || late) { 4 } else { *status };
            listed.push(json!({
                "Name": format!("consul-{index}"), "Addr": address, "Port": 8301, "Status": status,
                "Tags": {"dc": "dc1", "port": "8300", "role": "consul"},
            }));
        }
        Reply::json(200, &json!(listed))
    }

    fn voters(&mut self) -> Vec<String> {
        self.looks += 1;
        let mut voters = self.voters.clone();
        if self.late() || self.has(&Fault::NoVote) {
            voters.truncate(1);
        }
        if self.has(&Fault::OtherVoter) {
            voters.pop();
            voters.push("10.0.0.88".into());
        }
        voters
    }

    fn store(&mut self, request: &Recorded, key: &str) -> Reply {
        match request.method.as_str() {
            "GET" => self.read(request, key),
            "PUT" => Reply::json(200, &json!(self.put(request, key))),
            "DELETE" => {
                let is = self.keys.get(key).map_or(0, |entry| entry.index);
                if request.query("cas").is_some_and(|cas| cas.parse() != Ok(is)) {
                    return Reply::json(200, &json!(false));
                }
                self.index += 1;
                self.keys.remove(key);
                Reply::json(200, &json!(true))
            }
            _ => Reply::empty(405),
        }
    }

    fn read(&mut self, request: &Recorded, key: &str) -> Reply {
        let recurse = request.query("recurse").is_some();
        for fault in self.faults.clone() {
            match fault {
                Fault::FlipsBack { key, looks } if recurse => {
                    let fault = Fault::FlipsBack { key, looks: looks.saturating_sub(1) };
                    self.faults.retain(|other| !matches!(other, Fault::FlipsBack { .. }));
                    self.faults.push(fault);
                    if looks == 0 {
                        let back = self.flipped.iter().filter(|(name, _)| name.contains(key));
                        let back: Vec<_> = back.map(|(name, entry)| (name.clone(), entry.clone())).collect();
                        for (name, entry) in back {
                            match entry {
                                Some(entry) => self.keys.insert(name, entry),
                                None => self.keys.remove(&name),
                            };
                        }
                    }
                }
                Fault::SomebodyElse { key: meant } if !recurse && key.contains(meant) => {
                    self.faults.retain(|other| !matches!(other, Fault::SomebodyElse { .. }));
                    self.write(key, b"somebody else's");
                }
                _ => {}
            }
        }
        let found: Vec<Value> = self
            .keys
            .iter()
            .filter(|(name, _)| if recurse { name.starts_with(key) } else { *name == key })
            .map(|(name, entry)| {
                let text = base64::engine::general_purpose::STANDARD.encode(&entry.value);
                let value = if entry.value.is_empty() { Value::Null } else { json!(text) };
                json!({
                    "LockIndex": 0, "Key": name, "Flags": 0, "Value": value,
                    "CreateIndex": entry.index, "ModifyIndex": entry.index,
                })
            })
            .collect();
        if found.is_empty() { Reply::empty(404) } else { Reply::json(200, &json!(found)) }
    }

    fn put(&mut self, request: &Recorded, key: &str) -> bool {
        if let Some(cas) = request.query("cas") {
            let is = self.keys.get(key).map_or(0, |entry| entry.index);
            if cas.parse() != Ok(is) {
                return false;
            }
        }
        let mut value = request.body.clone();
        for fault in self.faults.clone() {
            match fault {
                Fault::Refuses { key: meant } if key.contains(meant) => return false,
                Fault::Forgets { key: meant } if key.contains(meant) => return true,
                Fault::Garbles { key: meant } if key.contains(meant) => value.extend_from_slice(b"?"),
                Fault::FlipsBack { .. } => {
                    self.flipped.insert(key.into(), self.keys.get(key).cloned());
                }
                _ => {}
            }
        }
        self.write(key, &value);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::Client;

    fn client(consul: &Consul) -> Client {
        Client::new(&consul.url()).header("X-Consul-Token", TOKEN)
    }

    #[test]
    fn keys_are_written_under_conditions_and_read_in_base64() {
        let consul = Consul::start(vec![]);
        let client = client(&consul);
        assert_eq!(Client::new(&consul.url()).get("/v1/kv/a").unwrap().status, 403);
        assert_eq!(client.get("/v1/kv/a/b").unwrap().status, 404);
        assert_eq!(client.send("PUT", "/v1/kv/a/b?cas=0", "one two").unwrap().json(), json!(true));
        assert_eq!(client.send("PUT", "/v1/kv/a/b?cas=0", "three").unwrap().json(), json!(false));
        let read = client.get("/v1/kv/a/b").unwrap().json();
        assert_eq!((&read[0]["Key"], &read[0]["Value"]), (&json!("a/b"), &json!("b25lIHR3bw==")));
        let index = read[0]["ModifyIndex"].as_u64().unwrap();
        assert_eq!(client.send("PUT", &format!("/v1/kv/a/b?cas={index}"), "").unwrap().json(), json!(true));
        assert_eq!(client.get("/v1/kv/?recurse").unwrap().json()[0]["Value"], Value::Null);
        assert_eq!(client.delete("/v1/kv/a/b").unwrap().json(), json!(true));
        assert_eq!(client.get("/v1/kv/?recurse").unwrap().status, 404);
    }

    #[test]
    fn servers_are_joined_and_vote_a_little_later() {
        let consul = Consul::start(vec![Fault::Late { looks: 2 }]);
        let client = client(&consul);
        assert_eq!(client.send("PUT", "/v1/agent/join/10.0.0.2", "").unwrap().status, 200);
        assert_eq!(client.send("PUT", "/v1/agent/join/10.9.0.2", "").unwrap().status, 500);
        assert_eq!(client.get("/v1/status/peers").unwrap().json(), json!(["10.0.0.1:8300"]));
        assert_eq!(client.get("/v1/agent/members").unwrap().json()[2]["Status"], 1);
        assert_eq!(client.get("/v1/status/peers").unwrap().json(), json!(["10.0.0.1:8300", "10.0.0.2:8300"]));
        assert_eq!(client.get("/v1/status/leader").unwrap().json(), json!("10.0.0.1:8300"));
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let on = On::of("PUT", "/v1/kv/");
        let faults = vec![Fault::ServerError { on: on.clone(), times: 1 }, Fault::ReplyLost { on, times: 1 }];
        let consul = Consul::start(faults);
        let client = client(&consul);
        assert_eq!(client.send("PUT", "/v1/kv/a", "1").unwrap().status, 500);
        assert_eq!(consul.value("a"), None);
        assert!(client.send("PUT", "/v1/kv/a", "1").is_err());
        assert_eq!(consul.value("a").as_deref(), Some("1"));
        assert_eq!(client.send("PUT", "/v1/kv/a", "2").unwrap().status, 200);
    }
}
