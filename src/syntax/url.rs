//! URLs put together from a template: what a value may change in one, and how it is encoded. Knows nothing of requests.

use super::{
    ast::{At, Caught, Fault, Kind, Node, Piece},
    eval::{Machine, Stop},
    strict::{MAX_TEXT, a_kind},
};
use crate::{
    text::cut,
    value::{Value, absolute_url},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const CODE: &str = "not-an-url";

/// Everything but RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A colon means nothing in a path, and stands before a port.
const SEGMENT: &AsciiSet = &QUERY.remove(b':');
const SLASHED: &AsciiSet = &QUERY.remove(b'/');

pub(super) fn query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

pub(super) fn slashed(text: &str) -> String {
    utf8_percent_encode(text, SLASHED).to_string()
}

/// A path with each segment encoded; one slash may stand at each end.
pub(super) fn path(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Err("an empty path cannot be put into a URL".into());
    }
    for part in inner.split('/') {
        match part {
            "" => return Err(format!("the path `{text}` has an empty segment")),
            "." | ".." => return Err(format!("the path `{text}` holds `{part}`, which would leave its place")),
            _ => {}
        }
    }
    Ok(text.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// What can be said about a URL template before its values are known.
pub(super) fn check(pieces: &[Piece], source: &str) -> Caught<()> {
    for piece in pieces {
        let at = match piece {
            Piece::Raw(_) | Piece::Emit { .. } => continue,
            Piece::For { at, .. }
            | Piece::If { at, .. }
            | Piece::With { at, .. }
            | Piece::Set { at, .. }
            | Piece::SetBlock { at, .. }
            | Piece::FilterBlock { at, .. } => at,
        };
        return Err(Fault::new("bad-template", at.clone(), "a URL holds values only, no statements")
            .hint("write `{{ a if condition else b }}`, or make the value in a `set` step"));
    }
    match pieces.first() {
        None => Err(Fault::new(CODE, 0..source.len(), "a URL is missing here")),
        Some(Piece::Raw(text)) if scheme(text).is_none() => {
            let end = source.find("{{").unwrap_or(source.len());
            let fault = Fault::new(CODE, 0..end, "a URL begins with https:// or http://, or with a value that does");
            // `www.example.org/api` lacks one thing only.
            let host = source.split('/').next().is_some_and(|host| host.contains('.') && !host.contains(':'));
            Err(fault
                .label("no absolute address")
                .hint_opt((host && end == source.len()).then(|| format!("write https://{source}"))))
        }
        Some(Piece::Raw(text)) if pieces.len() == 1 => whole(text, &(0..source.len())),
        Some(_) => Ok(()),
    }
}

/// The length of `http://` or `https://` at the start.
fn scheme(text: &str) -> Option<usize> {
    ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(str::len)
}

/// A whole URL; what to write stands elsewhere in the drawing.
fn whole(text: &str, at: &At) -> Caught<()> {
    let Err(why) = absolute_url(text) else { return Ok(()) };
    let why = why.split_once("; it begins with ").map_or(why.as_str(), |(why, _)| why);
    Err(Fault::new(CODE, at.clone(), why))
}

/// Where in a URL its next character would stand.
#[derive(Clone, Copy, PartialEq)]
enum Position {
    Start,
    Authority,
    Path,
    /// Query or fragment.
    Query,
}

fn position(url: &str) -> Position {
    if url.is_empty() {
        return Position::Start;
    }
    if url.contains(['?', '#']) {
        return Position::Query;
    }
    match scheme(url) {
        Some(after) if url[after..].contains('/') => Position::Path,
        _ => Position::Authority,
    }
}

/// A URL while it is put together. A value that is not known stands as its mark and is not looked at.
pub(super) struct Builder {
    url: String,
    /// What came from a value inside the path: its range here, and the place of its expression.
    inserted: Vec<(At, At)>,
    /// The authority came whole from a value and nothing has ended it yet.
    open_host: Option<At>,
    /// Set by marks: the end result is only to be shown.
    marked: bool,
    /// The whole template.
    source: At,
}

impl Builder {
    pub fn new(source: At) -> Builder {
        Builder { url: String::new(), inserted: Vec::new(), open_host: None, marked: false, source }
    }

    pub fn literal(&mut self, text: &str) -> Caught<()> {
        if let Some(host) = self.open_host.take().filter(|_| !text.is_empty()) {
            let port = text.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if !text.starts_with(['/', '?', '#']) && !port {
                let shown = cut(&self.url, 60).into_owned();
                return Err(Fault::new(CODE, host, format!("`{shown}` would run into the text after it"))
                    .label("this has no path, and what follows would change its host")
                    .hint("write a `/` between them"));
            }
        }
        let at = self.source.clone();
        self.push(text, &at)
    }

    fn push(&mut self, text: &str, at: &At) -> Caught<()> {
        if self.url.len() + text.len() > MAX_TEXT {
            return Err(Fault::new("too-large", at.clone(), "the result is larger than 16 MiB"));
        }
        self.url.push_str(text);
        Ok(())
    }

    /// What a value that is not known is shown as.
    pub fn mark(&mut self, mark: &str) {
        self.url.push_str(mark);
        self.marked = true;
        self.open_host = None;
    }

    pub fn value(&mut self, text: &str, node: &Node) -> Caught<()> {
        let at = &node.at;
        let as_path = matches!(&node.kind, Kind::Filter(_, call) if call.function.doc.name == "path");
        let start = self.url.len();
        // After a mark the position cannot be told any more; what follows is taken for a path or query.
        let place = match position(&self.url) {
            Position::Start | Position::Authority if self.marked => Position::Path,
            place => place,
        };
        match place {
            Position::Start => {
                whole(text, at).map_err(|fault| fault.label("a value at the start is the whole address"))?;
                if position(text) == Position::Authority {
                    self.open_host = Some(at.clone());
                }
                return self.push(text, at);
            }
            Position::Authority if self.open_host.is_some() => {
                if !(as_path && text.starts_with('/')) {
                    return Err(Fault::new(CODE, at.clone(), "this value would change the host before it")
                        .hint("write a `/` before it"));
                }
                self.open_host = None;
                self.push(text, at)?;
            }
            Position::Authority => {
                if as_path && !text.starts_with('/') {
                    return Err(Fault::new(CODE, at.clone(), "this path would change the host before it")
                        .hint("write a `/` before it"));
                }
                if text.is_empty() {
                    return Err(Fault::new(CODE, at.clone(), "an empty text cannot be a host"));
                }
                let text = if as_path { text.to_owned() } else { segment(text) };
                self.push(&text, at)?;
            }
            Position::Path => {
                let text = if as_path { text.to_owned() } else { segment(text) };
                self.push(&text, at)?;
            }
            Position::Query => {
                let text = if as_path { text.to_owned() } else { query(text) };
                return self.push(&text, at);
            }
        }
        self.inserted.push((start..self.url.len(), at.clone()));
        Ok(())
    }

    /// The URL, once no value has made a segment of its path empty, `.` or `..`.
    pub fn finish(self) -> Caught<String> {
        let Some(after) = scheme(&self.url) else {
            return Err(Fault::new(CODE, self.source, "a URL begins with https:// or http://"));
        };
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        let root = self.url[after..end].find('/').map(|at| after + at);
        for (range, at) in &self.inserted {
            let Some(root) = root else { break };
            let mut start = root + 1;
            for part in self.url[start..end].split('/') {
                let stop = start + part.len();
                // What lies wholly inside a `|path` value was looked at when it was encoded; its two ends were not.
                let holds = |offset: usize| (start..=stop).contains(&offset);
                let trailing = part.is_empty() && stop == end && self.url[range.clone()].ends_with('/');
                if (holds(range.start) || holds(range.end)) && !trailing {
                    let plain = part.to_ascii_lowercase().replace("%2e", ".");
                    if matches!(plain.as_str(), "" | "." | "..") {
                        let what = if plain.is_empty() { "empty".to_owned() } else { format!("`{plain}`") };
                        let shown = cut(&self.url, 120).into_owned();
                        return Err(Fault::new(
                            CODE,
                            at.clone(),
                            format!("this value makes a segment of the path {what}"),
                        )
                        .label(format!("the URL would be `{shown}`")));
                    }
                }
                start = stop + 1;
            }
        }
        whole(&self.url, &self.source)?;
        Ok(self.url)
    }

    pub fn shown(self) -> String {
        self.url
    }
}

/// The text of one value in a URL: a scalar.
pub(super) fn scalar(machine: &mut Machine<'_>, node: &Node) -> Result<String, Stop> {
    let value = machine.value(node)?;
    if matches!(value, Value::List(_) | Value::Map(_)) {
        let message = format!("{} cannot be put into a URL", a_kind(&value));
        return Err(Fault::new("type-mismatch", node.at.clone(), message).into());
    }
    machine.tell(&value, node);
    machine.show(&value, node)
}
