//! The smallest HTTP client that can drive a stand-in in its own tests; it does not know any service.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;

use serde_json::Value;

/// Sends each request over a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

impl Client {
    /// A client of `http://HOST:PORT`.
    pub fn new(base: &str) -> Client {
        Client { base: base.trim_end_matches('/').to_owned(), headers: Vec::new() }
    }

    /// The same client, sending one header more with every request.
    pub fn header(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.push((name.into(), value.into()));
        client
    }

    /// The same client with `Authorization: Basic`.
    pub fn basic(&self, user: &str, password: &str) -> Client {
        use base64::Engine;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", &format!("Basic {pair}"))
    }

    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, "")
    }

    pub fn post(&self, path: &str, body: &str) -> Result<Answer> {
        self.send("POST", path, body)
    }

    pub fn patch(&self, path: &str, body: &str) -> Result<Answer> {
        self.send("PATCH", path, body)
    }

    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, "")
    }

    /// Sends one request. `path` may also be a whole address of the same server. A connection that closes before a
    /// whole head has arrived is an error, as it is for any client.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let path = path.strip_prefix(&self.base).unwrap_or(path);
        let host = self.base.trim_start_matches("http://");
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(host)?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&bytes).ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, "the connection closed without a reply"))
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
}
