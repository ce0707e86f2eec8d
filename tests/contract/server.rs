//! A server whose paths say what it answers; it knows nothing of runbooks.
//!
//! `/status/N`, `/echo` (the request as JSON), `/say` (the request's body back), `/seq/KEY/200,drop,503` (in turn, the
//! last repeats), `/count/KEY`, `/silent` (never an answer), `/drop`, `/redirect?URL`,
//! `/headers`, `/big/BYTES`.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::json;

type Counts = Arc<Mutex<HashMap<String, usize>>>;

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

/// Where it listens, such as `http://127.0.0.1:4711`. It lives as long as the process.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Counts::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counts = Arc::clone(&counts);
            std::thread::spawn(move || serve(stream, &counts));
        }
    });
    format!("http://{address}")
}

fn serve(mut stream: TcpStream, counts: &Counts) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let request = read(&mut reader)?;
        if request.path == "/silent" {
            // Until the client has given up, which closes the line.
            let _ = reader.read(&mut [0]);
            return None;
        }
        let (status, headers, body) = answer(&request, counts)?;
        let mut head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        if request.method != "HEAD" {
            stream.write_all(&body).ok()?;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// Nothing: the connection is closed without an answer.
fn answer(request: &Request, counts: &Counts) -> Option<Answer> {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let plain = |status, body: Vec<u8>| Some((status, vec![("content-type", "text/plain".to_owned())], body));
    let json = |status, body: serde_json::Value| {
        Some((status, vec![("content-type", "application/json".to_owned())], body.to_string().into_bytes()))
    };
    match parts.as_slice() {
        ["status", status] => plain(status.parse().ok()?, format!("status {status}").into_bytes()),
        ["say", ..] => plain(200, request.body.clone()),
        ["seq", key, list] => {
            let number = {
                let mut counts = counts.lock().ok()?;
                let count = counts.entry((*key).to_owned()).or_default();
                *count += 1;
                *count
            };
            let turns: Vec<&str> = list.split(',').collect();
            let turn = turns[number.min(turns.len()) - 1];
            let status: u16 = turn.parse().ok()?;
            json(status, json!({"n": number, "status": status}))
        }
        ["count", key] => json(200, json!({"n": counts.lock().ok()?.get(*key).copied().unwrap_or(0)})),
        ["drop", ..] => None,
        ["redirect", ..] => Some((302, vec![("location", request.query.clone())], Vec::new())),
        ["headers", ..] => {
            let headers = [("X-Mixed-Case", "Hello"), ("content-type", "text/plain")];
            Some((200, headers.map(|(name, value)| (name, value.to_owned())).to_vec(), b"plain".to_vec()))
        }
        ["big", bytes] => plain(200, vec![b'x'; bytes.parse().ok()?]),
        _ => json(
            200,
            json!({
                "method": request.method, "path": request.path, "query": request.query,
                "headers": request.headers, "body": String::from_utf8_lossy(&request.body),
            }),
        ),
    }
}
