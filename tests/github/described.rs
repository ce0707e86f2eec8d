//! GitHub's own description of its API (OpenAPI, as the package `@octokit/openapi` carries it), held against what goes to
//! the stand-in and what comes back: `prism proxy --errors` stands between the two. Knows the paths that are used, and
//! nothing of what any runbook wants.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value};

use crate::{
    lab, parts,
    standins::{
        client::Client,
        server::{Recorded, Reply, Server, locked},
    },
};

/// The paths of the description that are used, with their methods. A parameter of a path is one segment for the proxy,
/// and a ref is several: it is cut here into what comes before its last one and that.
const USED: &[(&str, &str, &[&str])] = &[
    ("releases", "releases", &["get", "post"]),
    ("releases/latest", "releases/latest", &["get"]),
    ("releases/tags/{tag}", "releases/tags/{tag}", &["get"]),
    ("releases/{release_id}", "releases/{release_id}", &["get", "patch", "delete"]),
    ("git/ref/{ref}", "git/ref/tags/{ref}", &["get"]),
    ("git/matching-refs/{ref}", "git/matching-refs/tags/{ref}", &["get"]),
    ("git/refs", "git/refs", &["post"]),
    ("git/refs/{ref}", "git/refs/tags/{ref}", &["patch", "delete"]),
    ("git/tags", "git/tags", &["post"]),
    ("git/tags/{tag_sha}", "git/tags/{tag_sha}", &["get"]),
    ("commits/{ref}", "commits/tags/{ref}", &["get"]),
    ("compare/{basehead}", "compare/{basehead}", &["get"]),
    ("actions/workflows/{workflow_id}/dispatches", "actions/workflows/{workflow_id}/dispatches", &["post"]),
    ("actions/runs/{run_id}", "actions/runs/{run_id}", &["get"]),
];

/// The proxy, in front of whatever server it is turned to.
pub struct Described {
    /// Before the proxy: sees what it answers.
    front: Server,
    upstream: Arc<Mutex<String>>,
    refused: Arc<Mutex<Vec<String>>>,
    prism: Child,
    /// Behind the proxy: passes on to the server that is meant.
    _behind: Server,
    _folder: tempfile::TempDir,
}

impl Described {
    /// Starts it, or says what is missing.
    #[track_caller]
    pub fn start() -> Option<Described> {
        let [prism, node] = parts::programs(["prism", "node"])?;
        let whole = parts::node_file("@octokit/openapi/generated/api.github.com.json")?;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("github.json");
        fs::write(&file, pruned(&whole).to_string()).unwrap();
        let upstream = Arc::new(Mutex::new(String::new()));
        let shared = upstream.clone();
        let behind = Server::start(move |request| {
            let target = locked(&shared).clone();
            passed_on(&target, request)
        });
        let (prism, port) = serve(&prism, &node, &file, &behind.url(), folder.path());
        let refused = Arc::new(Mutex::new(Vec::new()));
        let noted = refused.clone();
        let address = format!("http://127.0.0.1:{port}");
        let front = Server::start(move |request| {
            let reply = passed_on(&address, request);
            if let Some(why) = objection(&reply) {
                locked(&noted).push(format!("{}: {why}", request.line()));
            }
            reply
        });
        Some(Described { front, upstream, refused, prism, _behind: behind, _folder: folder })
    }

    /// From now on it stands before the server at `http://HOST:PORT`.
    pub fn turn_to(&self, server: &str) {
        *locked(&self.upstream) = server.to_owned();
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// What the description objected to since the last call.
    pub fn objections(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.refused))
    }
}

impl Drop for Described {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.prism.kill();
        let _ = self.prism.wait();
    }
}

/// The description with the paths of [`USED`] and what they refer to.
fn pruned(whole: &Path) -> Value {
    let whole: Value = serde_json::from_slice(&fs::read(whole).unwrap()).unwrap();
    let mut paths = Map::new();
    for (theirs, ours, methods) in USED {
        let root = "/repos/{owner}/{repo}/";
        let found = whole["paths"][format!("{root}{theirs}")].as_object().unwrap_or_else(|| panic!("no path {theirs}"));
        let kept = found.iter().filter(|(key, _)| methods.contains(&key.as_str()) || key.as_str() == "parameters");
        let kept: Map<String, Value> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        assert!(methods.iter().all(|method| kept.contains_key(*method)), "{theirs} lacks a method");
        paths.insert(format!("{root}{ours}"), Value::Object(kept));
    }
    let mut wanted = Vec::new();
    references(&Value::Object(paths.clone()), &mut wanted);
    let mut components = Map::new();
    while let Some(name) = wanted.pop() {
        let [kind, name] = name.trim_start_matches("#/components/").split('/').collect::<Vec<_>>()[..] else {
            panic!("no reference to a component: {name}")
        };
        let kinds = components.entry(kind).or_insert_with(|| Value::Object(Map::new()));
        if kinds.get(name).is_none() {
            let found = &whole["components"][kind][name];
            references(found, &mut wanted);
            kinds[name] = found.clone();
        }
    }
    serde_json::json!({"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": components})
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn serve(prism: &Path, node: &Path, file: &Path, upstream: &str, folder: &Path) -> (Child, u16) {
    for _ in 0..5 {
        // It takes no port of its own choice, and another program may be quicker to take this one.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.join("prism.log");
        let mut child = Command::new(node)
            .arg(prism)
            .args(["proxy", "--errors", "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(file)
            .arg(upstream)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ended = false;
        lab::until("the proxy to listen", || {
            ended = child.try_wait().unwrap().is_some();
            ended || fs::read_to_string(&log).is_ok_and(|told| told.contains("Prism is listening"))
        });
        if !ended {
            return (child, port);
        }
    }
    panic!("the proxy does not start");
}

/// Sends it on as it is, and comes back with what was answered.
fn passed_on(target: &str, request: &Recorded) -> Reply {
    let mut client = Client::new(target);
    for (name, value) in &request.headers {
        if !["host", "connection", "content-length", "transfer-encoding", "accept-encoding"].contains(&name.as_str()) {
            client = client.header(name, value);
        }
    }
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let query: Vec<String> =
        request.query.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let path =
        if query.is_empty() { request.raw_path.clone() } else { format!("{}?{}", request.raw_path, query.join("&")) };
    let Ok(answer) = client.send(&request.method, &path, &request.text()) else { return Reply::Cut };
    let mut reply = Reply::Send { status: answer.status, headers: Vec::new(), body: answer.body.clone() };
    for (name, value) in &answer.headers {
        if !["connection", "content-length", "transfer-encoding", "keep-alive", "date"].contains(&name.as_str()) {
            reply = reply.with(name, value.as_str());
        }
    }
    reply
}

/// What the proxy had to say against a request or its answer.
fn objection(reply: &Reply) -> Option<String> {
    let Reply::Send { headers, body, .. } = reply else { return Some("no answer".into()) };
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let body = || String::from_utf8_lossy(body).into_owned();
    match (header("content-type"), header("sl-violations")) {
        (Some(kind), _) if kind.starts_with("application/problem+json") => Some(body()),
        (_, Some(violations)) => Some(violations.to_owned()),
        _ => None,
    }
}
