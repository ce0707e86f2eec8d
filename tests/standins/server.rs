//! A small HTTP server on loopback that hands every request to one function and keeps a record of it; it does not know
//! which service it is standing in for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, connect_info::Connected};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// One request as it arrived, kept for assertions.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    /// The path as it was sent, percent signs and all.
    pub raw_path: String,
    /// The path with its percent signs decoded.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Recorded {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of that name in the query string.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The pairs of a form body; empty when the request says that its body is something else.
    pub fn form(&self) -> Vec<(String, String)> {
        match self.header("content-type") {
            Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => pairs(&self.text()),
            _ => Vec::new(),
        }
    }

    /// The segments of the path, each decoded on its own, so that an encoded slash does not split one.
    pub fn segments(&self) -> Vec<String> {
        self.raw_path.trim_matches('/').split('/').map(decode).collect()
    }

    /// `METHOD /path`, the form in which tests name a request.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What goes back: a reply, or nothing at all.
#[derive(Debug, Clone)]
pub enum Reply {
    Send {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// The connection is closed without a reply.
    Cut,
}

impl Reply {
    /// A reply without a body.
    pub fn empty(status: u16) -> Reply {
        Reply::Send { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A JSON reply.
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply::of(status, "application/json; charset=utf-8", body.to_string())
    }

    /// A reply of the given content type.
    pub fn of(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply::Send { status, headers: vec![("content-type".into(), kind.into())], body: body.into() }
    }

    /// The same with one header more.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        if let Reply::Send { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// Which requests a fault is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct On {
    /// Empty for any method.
    pub method: &'static str,
    /// The path has to contain this; empty for any path.
    pub path: String,
}

impl On {
    /// Every request.
    pub fn any() -> On {
        On { method: "", path: String::new() }
    }

    /// Requests of that method whose path contains the text.
    pub fn of(method: &'static str, path: &str) -> On {
        On { method, path: path.into() }
    }

    /// Whether the request is meant.
    pub fn matches(&self, request: &Recorded) -> bool {
        (self.method.is_empty() || self.method == request.method) && request.path.contains(&self.path)
    }
}

type Requests = Arc<Mutex<Vec<Recorded>>>;

/// A running server; it stops when this is dropped.
pub struct Server {
    address: SocketAddr,
    requests: Requests,
    connections: Arc<Connections>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free loopback port. `answer` sees one request at a time.
    pub fn start(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Server {
        let requests = Requests::default();
        let connections = Arc::<Connections>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        listener.set_nonblocking(true).expect("a new socket can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (kept, counted) = (requests.clone(), connections.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime starts");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
                let door = Door { listener, connections: counted };
                let answer = Arc::new(answer);
                let service = axum::Router::new()
                    .fallback(move |ConnectInfo(cut): ConnectInfo<Cut>, request: Request| {
                        let (answer, kept) = (answer.clone(), kept.clone());
                        async move {
                            let request = record(request).await;
                            kept.lock().unwrap().push(request.clone());
                            respond(answer(&request), &cut)
                        }
                    })
                    .into_make_service_with_connect_info::<Cut>();
                tokio::select! {
                    served = std::future::IntoFuture::into_future(axum::serve(door, service)) => served.expect("serving goes on for ever"),
                    _ = stopped => {}
                }
            });
        });
        Server { address, requests, connections, stop: Some(stop), thread: Some(thread) }
    }

    /// Resolves when everybody who has connected so far is gone and served: what a dead client had sent has been seen.
    pub fn quiet(&self) {
        let before = self.connections.ever.load(Ordering::SeqCst);
        // Connections are taken in their order, so that all earlier ones have been when this one has.
        let ours = std::net::TcpStream::connect(self.address).expect("the server takes connections");
        crate::lab::until("a connection to be taken", || self.connections.ever.load(Ordering::SeqCst) > before);
        drop(ours);
        crate::lab::until("a server without clients", || self.connections.open.load(Ordering::SeqCst) == 0);
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.requests).clone()
    }

    /// The requests of one method whose path contains the text.
    pub fn requests_of(&self, method: &'static str, path: &str) -> Vec<Recorded> {
        let on = On::of(method, path);
        self.requests().into_iter().filter(|request| on.matches(request)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only when the thread has ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Locks also what a failed assertion of a test has poisoned, so that one failure does not hide behind another.
pub fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Decodes percent signs.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The pairs of a query string or of a form.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.push((decode(&key.replace('+', " ")), decode(&value.replace('+', " "))));
    }
    found
}

/// A table of pairs by name; the first of two equal names counts.
pub fn table(pairs: &[(String, String)]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (key, value) in pairs {
        found.entry(key.clone()).or_insert_with(|| value.clone());
    }
    found
}

async fn record(request: Request) -> Recorded {
    let (parts, body) = request.into_parts();
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        headers.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    Recorded {
        method: parts.method.to_string(),
        raw_path: parts.uri.path().to_owned(),
        path: decode(parts.uri.path()),
        query: pairs(parts.uri.query().unwrap_or("")),
        headers,
        // A body that breaks off is seen as an empty one; no service here acts on half a body.
        body: to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec()).unwrap_or_default(),
    }
}

fn respond(reply: Reply, cut: &Cut) -> Response {
    match reply {
        Reply::Send { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).expect("stand-ins send well-formed headers")
        }
        Reply::Cut => {
            cut.0.store(true, Ordering::SeqCst);
            Response::new(Body::empty())
        }
    }
}

/// The switch that makes a connection refuse to carry anything back.
#[derive(Debug, Clone, Default)]
struct Cut(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Cut {
        stream.remote_addr().clone()
    }
}

/// How many there are, and were.
#[derive(Debug, Default)]
struct Connections {
    open: AtomicUsize,
    ever: AtomicUsize,
}

struct Door {
    listener: TcpListener,
    connections: Arc<Connections>,
}

impl Listener for Door {
    type Io = Wire;
    type Addr = Cut;

    async fn accept(&mut self) -> (Wire, Cut) {
        loop {
            if let Ok((stream, _)) = self.listener.accept().await {
                let cut = Cut::default();
                self.connections.open.fetch_add(1, Ordering::SeqCst);
                self.connections.ever.fetch_add(1, Ordering::SeqCst);
                return (Wire { stream, cut: cut.clone(), connections: self.connections.clone() }, cut);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Cut> {
        Ok(Cut::default())
    }
}

struct Wire {
    stream: TcpStream,
    cut: Cut,
    connections: Arc<Connections>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.cut.0.load(Ordering::SeqCst) {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::client::Client;

    #[test]
    fn requests_are_answered_and_recorded() {
        let server = Server::start(|request| Reply::of(201, "text/plain", request.body.clone()).with("x-seen", "yes"));
        let answer = Client::new(&server.url()).header("X-Who", "me").post("/a%2Fb/c?d=1+2&e", "hello").unwrap();
        assert_eq!((answer.status, answer.text().as_str(), answer.header("x-seen")), (201, "hello", Some("yes")));
        let seen = &server.requests()[0];
        assert_eq!(seen.line(), "POST /a/b/c");
        assert_eq!(seen.segments(), ["a/b", "c"]);
        assert_eq!((seen.query("d"), seen.query("e"), seen.header("x-who")), (Some("1 2"), Some(""), Some("me")));
        assert_eq!(server.requests_of("POST", "/c").len(), 1);
        assert!(server.requests_of("GET", "/c").is_empty());
    }

    #[test]
    fn a_cut_reply_reaches_nobody_and_the_next_connection_works() {
        let server = Server::start(|request| if request.path == "/cut" { Reply::Cut } else { Reply::empty(200) });
        let client = Client::new(&server.url());
        assert!(client.get("/cut").is_err());
        assert_eq!(client.get("/").unwrap().status, 200);
        assert_eq!(server.requests().len(), 2);
    }
}
