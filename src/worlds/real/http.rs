//! One request and its answer, and what exactly went wrong if there is none. Knows nothing of steps or retries.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    io::{self, Write},
    path::Path,
    sync::Once,
    time::{Duration, Instant},
};

use reqwest::{
    Client, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use url::{Host, Url};

use super::child::plain;
use crate::{
    port::{Body, Cancel, HttpReply, HttpRequest, SendError},
    text::one_line,
    value::show_duration,
};

const MOST_REDIRECTS: usize = 10;
/// Clients kept; each has its own limits and trust.
const MOST_CLIENTS: usize = 16;

/// Clients by what sets them apart. Reading the system's certificates takes a while, and polls ask again and again.
#[derive(Default)]
pub(super) struct Clients {
    made: RefCell<Vec<(Traits, Client)>>,
}

#[derive(PartialEq)]
struct Traits {
    tls: bool,
    /// Never through a proxy.
    direct: bool,
    ca: Option<Vec<u8>>,
    connect: Duration,
}

/// How far an exchange has come, for messages.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Preparing,
    Sending,
    Receiving,
}

pub(super) async fn send(clients: &Clients, request: &HttpRequest, cancel: &Cancel) -> Result<HttpReply, SendError> {
    let stage = Cell::new(Stage::Preparing);
    let limit = show_duration(request.timeout);
    tokio::select! {
        biased;
        _ = cancel.above(0) => Err(match stage.get() {
            Stage::Preparing => SendError::NotSent("it was stopped before it was sent".into()),
            _ => SendError::Lost("it was stopped on the way; it may have arrived".into()),
        }),
        done = tokio::time::timeout(request.timeout, exchange(clients, request, &stage)) => match done {
            Ok(done) => done,
            Err(_) => Err(match stage.get() {
                Stage::Preparing => SendError::NotSent(format!("it was not sent within {limit}")),
                Stage::Sending => SendError::Lost(format!("no answer from {} within {limit}", place(&request.url))),
                Stage::Receiving => {
                    SendError::Lost(format!("the answer from {} was not complete within {limit}", place(&request.url)))
                }
            }),
        },
    }
}

async fn exchange(clients: &Clients, request: &HttpRequest, stage: &Cell<Stage>) -> Result<HttpReply, SendError> {
    let began = Instant::now();
    if !matches!(request.url.scheme(), "http" | "https") || request.url.host().is_none() {
        return Err(not_sent("the URL is not an absolute http or https one"));
    }
    let client = clients.get(request)?;
    let mut method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| not_sent(format!("`{}` is no HTTP method", one_line(&request.method))))?;
    let mut headers = headers(request)?;
    let mut target = request.url.clone();
    let mut body = Some(&request.body);
    let save = request.save.as_deref().map(Save::prepare).transpose()?;
    for hop in 0..=MOST_REDIRECTS {
        let mut builder = client.request(method.clone(), target.clone()).headers(headers.clone());
        builder = match body {
            Some(Body::Bytes(bytes)) => builder.body(bytes.clone()),
            Some(Body::File(path)) => {
                let (file, length) = open(path).await.map_err(|error| at_hop(hop, error))?;
                // Told, because many servers do not take an upload of unknown length.
                builder.header(CONTENT_LENGTH, length).body(file)
            }
            Some(Body::Nothing) | None => builder,
        };
        let prepared = builder.build().map_err(|error| classify(&error, request, hop))?;
        stage.set(Stage::Sending);
        let response = client.execute(prepared).await.map_err(|error| classify(&error, request, hop))?;
        let status = response.status();
        let next = if request.follow_redirects { redirect(&response, &target) } else { None };
        let Some(next) = next else {
            stage.set(Stage::Receiving);
            return receive(response, request, save, began).await;
        };
        if next.origin() != target.origin() {
            return Err(SendError::Lost(format!(
                "{} redirects ({}) to another origin, {}, which is not followed because credentials would go with it; \
                 name that origin in the URL if it is meant",
                place(&target),
                status.as_u16(),
                next.origin().ascii_serialization()
            )));
        }
        target = next;
        // As browsers and curl do: only 307 and 308 say that the same thing is to be sent again.
        let repeats = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if !repeats && !matches!(method, Method::GET | Method::HEAD) {
            method = Method::GET;
            body = None;
            headers.remove(CONTENT_TYPE);
            headers.remove(CONTENT_LENGTH);
        }
    }
    Err(SendError::Lost(format!("{} redirects more than {MOST_REDIRECTS} times", place(&request.url))))
}

async fn receive(
    mut response: reqwest::Response,
    request: &HttpRequest,
    save: Option<Save>,
    began: Instant,
) -> Result<HttpReply, SendError> {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut url = response.url().clone();
    // What was sent as credentials is no part of where the answer came from. Neither can fail for http.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut body = Vec::new();
    let mut truncated = false;
    // Only a good answer replaces a file; of a bad one the text is kept for the person who has to understand it.
    let mut save = save.filter(|_| status.is_success());
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error, request))? {
        if let Some(save) = &mut save {
            save.write(&chunk)?;
            continue;
        }
        let room = usize::try_from(request.max_body).unwrap_or(usize::MAX).saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    if let Some(save) = save {
        save.finish().await?;
    }
    Ok(HttpReply { status: status.as_u16(), headers, body, truncated, url: url.into(), elapsed: began.elapsed() })
}

impl Clients {
    fn get(&self, request: &HttpRequest) -> Result<Client, SendError> {
        static PROVIDER: Once = Once::new();
        // An error means that one is installed already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let tls = request.url.scheme() == "https";
        let ca = match (&request.ca_file, tls) {
            (Some(path), true) => Some(std::fs::read(path).map_err(|error| {
                not_sent(format!("the certificates in {} cannot be read: {}", shown(path), plain(&error)))
            })?),
            _ => None,
        };
        // A little shorter than the whole, so that "could not connect" is told apart from "no answer".
        let connect = request.timeout - request.timeout / 50;
        let traits = Traits { tls, direct: is_loopback(&request.url), ca, connect };
        if let Some((_, client)) = self.made.borrow().iter().find(|(known, _)| *known == traits) {
            return Ok(client.clone());
        }
        let client = build(&traits, request)?;
        let mut made = self.made.borrow_mut();
        if made.len() >= MOST_CLIENTS {
            made.remove(0);
        }
        made.push((traits, client.clone()));
        Ok(client)
    }
}

fn build(traits: &Traits, request: &HttpRequest) -> Result<Client, SendError> {
    let mut builder = Client::builder()
        .user_agent(concat!("runsheet/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // A kept connection may be closed by the other side just when the next request goes out: then nobody knows
        // whether it arrived. A fresh one says clearly that it could not be made.
        .pool_max_idle_per_host(0)
        .retry(reqwest::retry::never())
        .connect_timeout(traits.connect);
    if traits.direct {
        builder = builder.no_proxy();
    }
    if !traits.tls {
        // A machine without any certificate authorities can still speak plain http.
        builder = builder.tls_certs_only([]);
    }
    if let (Some(pem), Some(path)) = (&traits.ca, &request.ca_file) {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|_| not_sent(format!("{} holds no certificates in PEM form", shown(path))))?;
        if certificates.is_empty() {
            return Err(not_sent(format!("{} holds no certificates in PEM form", shown(path))));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| {
        let why = innermost(&error);
        if let Some(path) = request.ca_file.as_deref().filter(|_| traits.tls) {
            not_sent(format!("the certificates in {} cannot be used: {why}", shown(path)))
        } else {
            not_sent(format!(
                "TLS is not possible here: {why}; install the system's CA certificates or name a `ca_file`"
            ))
        }
    })
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| not_sent(format!("`{}` is no name for a header", one_line(name))))?;
        // The value may be a secret and is not shown.
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            not_sent(format!(
                "the value of the header {key} holds a line feed or another character that none can carry"
            ))
        })?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

async fn open(path: &Path) -> Result<(tokio::fs::File, u64), SendError> {
    let bad = |error: io::Error| not_sent(format!("{} cannot be read: {}", shown(path), plain(&error)));
    let file = tokio::fs::File::open(path).await.map_err(bad)?;
    let metadata = file.metadata().await.map_err(bad)?;
    if !metadata.is_file() {
        return Err(not_sent(format!("{} is not a file", shown(path))));
    }
    Ok((file, metadata.len()))
}

/// Where a followed redirect leads, if the answer is one.
fn redirect(response: &reqwest::Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let next = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

/// A response body on its way into a file: complete under its name, or not there at all.
struct Save {
    file: tempfile::NamedTempFile,
    path: std::path::PathBuf,
}

impl Save {
    fn prepare(path: &Path) -> Result<Save, SendError> {
        if path.is_dir() {
            return Err(not_sent(format!("{} is a folder; `save` needs a file", shown(path))));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Only the operator may read it, which is how temporary files are made.
        let file = tempfile::Builder::new()
            .prefix(".runsheet-")
            .tempfile_in(folder)
            .map_err(|error| not_sent(format!("{} cannot be written: {}", shown(path), plain(&error))))?;
        Ok(Save { file, path: path.into() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let Save { file, path } = self;
        file.as_file_mut().write_all(bytes).map_err(|error| unwritten(path, &error))
    }

    async fn finish(self) -> Result<(), SendError> {
        let Save { file, path } = self;
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || {
            file.as_file().sync_data()?;
            file.persist(target).map_err(|error| error.error).map(drop)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unwritten(&path, &error)),
            Err(error) => Err(SendError::Lost(format!("{} could not be written: {error}", shown(&path)))),
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> SendError {
    SendError::Lost(format!("it was sent, but the answer could not be written to {}: {}", shown(path), plain(error)))
}

/// Why there is no answer at all.
fn classify(error: &reqwest::Error, request: &HttpRequest, hop: usize) -> SendError {
    let to = place(&request.url);
    if error.is_builder() {
        return at_hop(hop, not_sent(format!("the request cannot be made: {}", innermost(error))));
    }
    if error.is_connect() {
        let mut why = unreachable(error, request);
        if !is_loopback(&request.url)
            && ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
                .iter()
                .any(|name| std::env::var_os(name).is_some())
        {
            why.push_str(" (through the proxy that the environment names)");
        }
        return at_hop(hop, SendError::NotSent(why));
    }
    if let Some(error) = cause::<io::Error>(error) {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                return SendError::Lost(format!(
                    "{to} broke the connection before it answered; the request may have arrived"
                ));
            }
            _ => {}
        }
    }
    let why = innermost(error);
    if why.contains("before message completed") {
        return SendError::Lost(format!("{to} closed the connection without an answer; the request may have arrived"));
    }
    SendError::Lost(format!("no answer from {to}: {why}; the request may have arrived"))
}

/// An answer that stopped in the middle.
fn broken(error: &reqwest::Error, request: &HttpRequest) -> SendError {
    SendError::Lost(format!("the answer from {} broke off: {}", place(&request.url), innermost(error)))
}

fn unreachable(error: &reqwest::Error, request: &HttpRequest) -> String {
    let to = place(&request.url);
    let host = request.url.host_str().unwrap_or("");
    if error.is_timeout() {
        return format!("no connection to {to} within {}", show_duration(request.timeout));
    }
    if error.is_dns() {
        let why = innermost(error);
        let unknown = ["not known", "No address", "nodename nor servname"].iter().any(|known| why.contains(known));
        return if unknown {
            format!("no such host {host}")
        } else {
            format!("the host {host} could not be looked up: {}", why.rsplit(": ").next().unwrap_or(&why))
        };
    }
    if let Some(tls) = cause::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(why) => {
                format!(
                    "the certificate of {to} is not trusted ({why}); name its authority in `ca_file` if it is yours"
                )
            }
            rustls::Error::InvalidMessage(_) => {
                format!("{to} does not speak TLS; is it an http address?")
            }
            other => format!("no agreement on TLS with {to}: {other}"),
        };
    }
    match cause::<io::Error>(error).map(|error| (error.kind(), plain(error))) {
        Some((io::ErrorKind::ConnectionRefused, _)) => format!("connection refused by {to}"),
        Some((io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof, _)) => {
            format!("{to} broke the connection off before anything was sent")
        }
        Some((_, why)) => format!("no connection to {to}: {why}"),
        None => format!("no connection to {to}: {}", innermost(error)),
    }
}

/// The first cause of this kind. An input/output error hides what it carries from `source`, so it is looked into.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    let mut found = None;
    while let Some(error) = next {
        if let Some(wanted) = error.downcast_ref::<T>() {
            found = Some(wanted);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    found
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    one_line(last.to_string().split(" (os error").next().unwrap_or_default()).into_owned()
}

/// After a redirect something has been sent, whatever happens next.
fn at_hop(hop: usize, error: SendError) -> SendError {
    match error {
        SendError::NotSent(why) if hop > 0 => SendError::Lost(format!("{why}, after a redirect")),
        other => other,
    }
}

fn not_sent(why: impl Into<String>) -> SendError {
    SendError::NotSent(why.into())
}

/// Host and port, without anything a person might have hidden in the rest of a URL.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string()).into_owned()
}
