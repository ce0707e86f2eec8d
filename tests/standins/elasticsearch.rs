//! Stands in for the HTTP interface of Elasticsearch: templates in the forms of its versions, indexes that take their
//! mapping from them, health, and snapshots that take their time. Knows no documents and no index in particular.
//!
//! What is known of it: a template holds for indexes that are made after it; of two forms the composable one wins;
//! settings come back as texts below `index`; defaults are left out of a mapping; errors have a `type` whose name depends
//! on the version; a cluster of one node is yellow as long as an index wants a replica.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Map, Value, json};

use super::server::{On, Recorded, Reply, Server, locked};

pub const PASSWORD: &str = "not-a-real-password";

/// What is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The cluster is red.
    Red,
    /// Another cluster answers.
    OtherCluster,
    /// The user may do nothing.
    Forbidden,
    /// The answer to such a request is lost, so often, after it had its effect.
    ReplyLost { on: On, times: u32 },
    /// Such a request is answered with 503, so often, and has no effect.
    ServerError { on: On, times: u32 },
    /// `"acknowledged": false`; the template is there after so many looks, or never.
    NotAcknowledged { looks: Option<u32> },
    /// The template is kept with another mapping than the one that was sent.
    Garbled,
    /// Another template wins, whose mapping is empty.
    OtherWins,
    /// Shards are there after so many looks.
    LateShards { looks: u32 },
    /// The cluster becomes red once an index was made.
    TurnsRed,
    /// A document comes first, and makes this index with guessed types.
    DocumentFirst { index: &'static str },
    /// The repository is not there, or a node does not reach it.
    NoRepository,
    /// What becomes of a snapshot.
    Snapshot { state: &'static str },
    /// A snapshot leaves this index out.
    LeavesOut { index: &'static str },
    /// A shard fails, though the state says nothing.
    ShardFails,
    /// A snapshot takes so many looks.
    LateSnapshot { looks: u32 },
}

#[derive(Debug, Default)]
pub struct State {
    pub version: String,
    pub nodes: u64,
    pub templates: BTreeMap<String, Value>,
    pub indexes: BTreeMap<String, Value>,
    pub snapshots: BTreeMap<String, Value>,
    /// How many documents are in which index.
    pub documents: BTreeMap<String, u64>,
    looks: u32,
    pub faults: Vec<Fault>,
}

pub struct Elasticsearch {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Elasticsearch {
    pub fn start(version: &str, nodes: u64, faults: Vec<Fault>) -> Elasticsearch {
        let state = State { version: version.into(), nodes, faults, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let server = Server::start(move |request| locked(&shared).answer(request));
        Elasticsearch { server, state }
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

    /// A document that makes an index as it comes, if there is none.
    pub fn document(&self, index: &str) {
        self.state().guess(index);
        *self.state().documents.entry(index.to_owned()).or_insert(0) += 1;
    }
}

fn error(status: u16, kind: &str) -> Reply {
    Reply::json(status, &json!({"error": {"type": kind, "reason": kind}, "status": status}))
}

impl State {
    fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>().unwrap());
        (parts.next().unwrap(), parts.next().unwrap()) >= (major, minor)
    }

    fn guess(&mut self, index: &str) {
        let guessed = json!({"properties": {"uuid": {"type": "text", "fields": {"keyword": {"type": "keyword"}}}}});
        self.indexes.entry(index.into()).or_insert(guessed);
    }

    fn strikes(&mut self, request: &Recorded, lost: bool) -> bool {
        for fault in &mut self.faults {
            let (on, times) = match fault {
                Fault::ReplyLost { on, times } if lost => (on, times),
                Fault::ServerError { on, times } if !lost => (on, times),
                _ => continue,
            };
            if *times > 0 && on.matches(request) {
                *times -= 1;
                return true;
            }
        }
        false
    }

    fn answer(&mut self, request: &Recorded) -> Reply {
        let wanted = {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(format!("socorro:{PASSWORD}"))
        };
        if request.header("authorization") != Some(&format!("Basic {wanted}")) {
            return error(401, "security_exception");
        }
        if self.faults.contains(&Fault::Forbidden) && request.method != "GET" {
            return error(403, "security_exception");
        }
        if self.strikes(request, false) {
            return error(503, "master_not_discovered_exception");
        }
        let reply = self.serve(request);
        if self.strikes(request, true) { Reply::Cut } else { reply }
    }

    fn serve(&mut self, request: &Recorded) -> Reply {
        let segments = request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", [""]) => {
                let name = if self.faults.contains(&Fault::OtherCluster) { "other" } else { "socorro" };
                Reply::json(200, &json!({"name": "node-1", "cluster_name": name, "version": {"number": self.version}}))
            }
            ("GET", ["_cluster", "health"]) => self.health(None),
            ("GET", ["_cluster", "health", index]) => self.health(Some(index)),
            (method, [form @ ("_template" | "_index_template"), name]) => self.template(method, form, name, request),
            ("POST", ["_snapshot", _, "_verify"]) => {
                if self.faults.contains(&Fault::NoRepository) {
                    return error(404, "repository_missing_exception");
                }
                Reply::json(200, &json!({"nodes": {"a": {"name": "node-1"}}}))
            }
            (method, ["_snapshot", _, name]) => self.snapshot(method, name, request),
            ("GET", [index, "_mapping"]) => self.mapping(index),
            ("POST", [index, "_refresh"]) if self.indexes.contains_key(*index) => {
                Reply::json(200, &json!({"_shards": {"total": 2, "successful": 1, "failed": 0}}))
            }
            ("GET", [index, "_count"]) if self.indexes.contains_key(*index) => {
                let count = self.documents.get(*index).copied().unwrap_or(0);
                Reply::json(200, &json!({"count": count, "_shards": {"total": 1, "successful": 1, "failed": 0}}))
            }
            (_, [_, "_refresh" | "_count"]) => error(404, "index_not_found_exception"),
            (method, [index]) => self.index(method, index),
            _ => error(400, "illegal_argument_exception"),
        }
    }

    fn health(&mut self, index: Option<&str>) -> Reply {
        self.looks += 1;
        let late = self.faults.iter().any(|fault| matches!(fault, Fault::LateShards { looks } if self.looks < *looks));
        let turned = self.faults.contains(&Fault::TurnsRed) && !self.indexes.is_empty() && index.is_none();
        let status = if self.faults.contains(&Fault::Red) || turned || (late && index.is_some()) {
            "red"
        } else if self.nodes == 1 && !self.indexes.is_empty() {
            "yellow"
        } else {
            "green"
        };
        Reply::json(
            200,
            &json!({"cluster_name": "socorro", "status": status, "timed_out": false, "number_of_data_nodes": self.nodes}),
        )
    }

    fn template(&mut self, method: &str, form: &str, name: &str, request: &Recorded) -> Reply {
        if form == "_index_template" && !self.at_least(7, 8) {
            return error(405, "method_not_allowed");
        }
        let key = format!("{form}/{name}");
        match method {
            "PUT" => {
                let mut body = request.json().unwrap_or_default();
                let mappings =
                    if form == "_index_template" { &mut body["template"]["mappings"] } else { &mut body["mappings"] };
                if !mappings.is_object() {
                    return error(400, "mapper_parsing_exception");
                }
                if self.faults.contains(&Fault::Garbled) {
                    *mappings = json!({"properties": {}});
                }
                let old = if self.at_least(6, 0) {
                    body.get("template").is_some() && form == "_template"
                } else {
                    body.get("index_patterns").is_some()
                };
                if old {
                    return error(400, "action_request_validation_exception");
                }
                for fault in &self.faults {
                    if let Fault::NotAcknowledged { looks } = fault {
                        if looks.is_some() {
                            self.templates.insert(key, body);
                        }
                        return Reply::json(200, &json!({"acknowledged": false}));
                    }
                }
                self.templates.insert(key, body);
                Reply::json(200, &json!({"acknowledged": true}))
            }
            "DELETE" => match self.templates.remove(&key) {
                Some(_) => Reply::json(200, &json!({"acknowledged": true})),
                None => error(404, "index_template_missing_exception"),
            },
            _ => {
                self.looks += 1;
                let hidden = self
                    .faults
                    .iter()
                    .any(|fault| matches!(fault, Fault::NotAcknowledged { looks: Some(looks) } if self.looks < *looks));
                match self.templates.get(&key) {
                    Some(body) if !hidden => {
                        let body = if form == "_index_template" {
                            json!({"index_templates": [{"name": name, "index_template": body}]})
                        } else {
                            json!({name: body})
                        };
                        Reply::json(200, &body)
                    }
                    _ => error(404, "resource_not_found_exception"),
                }
            }
        }
    }

    /// The mapping that a new index gets from the template that wins.
    fn mapping_of(&self, index: &str) -> Value {
        if self.faults.contains(&Fault::OtherWins) {
            return json!({});
        }
        let mut found = json!({});
        for form in ["_template/", "_index_template/"] {
            for (_, body) in self.templates.iter().filter(|(key, _)| key.starts_with(form)) {
                let patterns =
                    body["index_patterns"].as_array().cloned().unwrap_or_else(|| vec![body["template"].clone()]);
                let meant = |pattern: &Value| {
                    pattern.as_str().is_some_and(|pattern| match pattern.strip_suffix('*') {
                        Some(start) => index.starts_with(start),
                        None => pattern == index,
                    })
                };
                if patterns.iter().any(meant) {
                    let mappings = if form == "_template/" { &body["mappings"] } else { &body["template"]["mappings"] };
                    found = without_defaults(mappings);
                }
            }
        }
        found
    }

    fn mapping(&mut self, index: &str) -> Reply {
        match self.indexes.get(index) {
            Some(mapping) => Reply::json(200, &json!({index: {"mappings": mapping}})),
            None => error(404, "index_not_found_exception"),
        }
    }

    fn index(&mut self, method: &str, index: &str) -> Reply {
        for fault in self.faults.clone() {
            if let Fault::DocumentFirst { index } = fault
                && method == "PUT"
            {
                self.guess(index);
            }
        }
        match method {
            "PUT" if self.indexes.contains_key(index) => {
                let kind = if self.at_least(6, 0) {
                    "resource_already_exists_exception"
                } else {
                    "index_already_exists_exception"
                };
                error(400, kind)
            }
            "PUT" => {
                let mapping = self.mapping_of(index);
                self.indexes.insert(index.into(), mapping);
                Reply::json(200, &json!({"acknowledged": true, "shards_acknowledged": self.nodes > 0, "index": index}))
            }
            "DELETE" => match self.indexes.remove(index) {
                Some(_) => Reply::json(200, &json!({"acknowledged": true})),
                None => error(404, "index_not_found_exception"),
            },
            _ => match self.indexes.get(index) {
                Some(mapping) => Reply::json(200, &json!({index: {"mappings": mapping}})),
                None => error(404, "index_not_found_exception"),
            },
        }
    }

    fn snapshot(&mut self, method: &str, name: &str, request: &Recorded) -> Reply {
        match method {
            "PUT" if self.snapshots.contains_key(name) => error(400, "invalid_snapshot_name_exception"),
            "PUT" => {
                let asked = request.json().unwrap_or_default();
                let names = asked["indices"].as_str().unwrap_or("*").split(',').map(str::to_owned);
                let left_out = |name: &String| {
                    self.faults.iter().any(|fault| matches!(fault, Fault::LeavesOut { index } if index == name))
                };
                let names: Vec<String> = names.filter(|name| !left_out(name)).collect();
                self.snapshots.insert(name.into(), json!(names));
                self.looks = 0;
                Reply::json(200, &json!({"accepted": true}))
            }
            "DELETE" => match self.snapshots.remove(name) {
                Some(_) => Reply::json(200, &json!({"acknowledged": true})),
                None => error(404, "snapshot_missing_exception"),
            },
            _ => {
                let Some(names) = self.snapshots.get(name) else { return error(404, "snapshot_missing_exception") };
                self.looks += 1;
                let mut state = "SUCCESS";
                for fault in &self.faults {
                    match fault {
                        Fault::Snapshot { state: other } => state = other,
                        Fault::LateSnapshot { looks } if self.looks < *looks => state = "IN_PROGRESS",
                        _ => {}
                    }
                }
                let failed = u32::from(self.faults.contains(&Fault::ShardFails));
                let shards = json!({"total": 5, "failed": failed, "successful": 5 - failed});
                Reply::json(
                    200,
                    &json!({"snapshots": [{"snapshot": name, "indices": names, "state": state, "shards": shards}]}),
                )
            }
        }
    }
}

/// A mapping as it comes back: without what is the default anyway.
fn without_defaults(mapping: &Value) -> Value {
    match mapping {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (key, value) in fields {
                let default = (key == "type" && value == "object") || (key == "index" && value == &json!(true));
                if !default {
                    kept.insert(key.clone(), without_defaults(value));
                }
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::{Answer, Client};

    fn put(client: &Client, path: &str, body: &Value) -> Answer {
        client.send("PUT", path, &body.to_string()).unwrap()
    }

    #[test]
    fn an_index_takes_its_mapping_from_the_template_that_was_there_before_it() {
        let elasticsearch = Elasticsearch::start("7.17.9", 1, vec![]);
        assert_eq!(Client::new(&elasticsearch.url()).get("/").unwrap().status, 401);
        let client = Client::new(&elasticsearch.url()).basic("socorro", PASSWORD);
        elasticsearch.document("socorro1");
        let mappings = json!({"properties": {"uuid": {"type": "keyword", "index": true}}});
        let body = json!({"index_patterns": ["socorro*"], "template": {"mappings": mappings}});
        assert_eq!(client.get("/_index_template/socorro").unwrap().status, 404);
        assert_eq!(put(&client, "/_index_template/socorro", &body).json(), json!({"acknowledged": true}));
        assert_eq!(put(&client, "/socorro2", &json!({})).status, 200);
        assert_eq!(put(&client, "/socorro2", &json!({})).json()["error"]["type"], "resource_already_exists_exception");
        let type_of = |index: &str| {
            let seen = client.get(&format!("/{index}/_mapping")).unwrap().json();
            seen[index]["mappings"]["properties"]["uuid"].clone()
        };
        assert_eq!((&type_of("socorro1")["type"], type_of("socorro2")), (&json!("text"), json!({"type": "keyword"})));
        assert_eq!(client.get("/_cluster/health").unwrap().json()["status"], "yellow");
        assert_eq!(client.delete("/socorro2").unwrap().status, 200);
    }

    #[test]
    fn the_form_of_a_template_goes_by_the_version() {
        for (version, path, body, status) in [
            ("5.3.3", "/_template/s", json!({"template": "s*", "mappings": {}}), 200),
            ("5.3.3", "/_template/s", json!({"index_patterns": ["s*"], "mappings": {}}), 400),
            ("6.8.0", "/_template/s", json!({"index_patterns": ["s*"], "mappings": {}}), 200),
            ("6.8.0", "/_index_template/s", json!({"index_patterns": ["s*"], "template": {"mappings": {}}}), 405),
        ] {
            let elasticsearch = Elasticsearch::start(version, 1, vec![]);
            let client = Client::new(&elasticsearch.url()).basic("socorro", PASSWORD);
            assert_eq!(put(&client, path, &body).status, status, "{version} {path}");
        }
    }

    #[test]
    fn a_snapshot_takes_its_time() {
        let elasticsearch = Elasticsearch::start("8.11.0", 2, vec![Fault::LateSnapshot { looks: 2 }]);
        let client = Client::new(&elasticsearch.url()).basic("socorro", PASSWORD);
        assert_eq!(put(&client, "/_snapshot/r/one", &json!({"indices": "a,b"})).json(), json!({"accepted": true}));
        let state = || client.get("/_snapshot/r/one").unwrap().json()["snapshots"][0]["state"].clone();
        assert_eq!((state(), state()), (json!("IN_PROGRESS"), json!("SUCCESS")));
        assert_eq!(put(&client, "/_snapshot/r/one", &json!({})).status, 400);
    }
}
