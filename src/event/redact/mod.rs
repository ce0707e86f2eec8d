//! The one choke point: nothing that holds a secret passes it unmasked. Knows nothing of where text goes afterwards.
//!
//! What is masked: a secret as it is, each of its lines that is long enough, and both as JSON, URLs, XML, shells and
//! source code write them, in hex, in base64 at any offset; across every border of a chunk, through terminal escapes, and
//! base64 and hex through line breaks. Overlapping spellings become one mask. What is not: spellings that nobody
//! writes by accident, base64 with a line for every character, and a secret in pieces with other text between them.

mod forms;
mod grams;
mod scan;
mod views;

use std::{
    borrow::Cow,
    collections::HashSet,
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use serde_json::{Map, Value as Json};

use self::{
    forms::{Form, forms_of},
    scan::{Forms, Found},
};
use super::{Event, Record};
use crate::{text::CUT, value::Secret};

/// What stands in the place of a secret.
const MASK: &str = "***";
/// Secrets with fewer bytes are refused: masking them would mask half of every text.
const SHORTEST: usize = 8;
/// So many bytes that may begin a secret are shown when nothing follows them for a while.
const IDLE: usize = 4;

/// More spellings than this are not looked for in spellings of their own.
const MOST_SPELT: usize = 500;

/// Masks every secret it was told of. Clones are one redactor.
#[derive(Clone, Default)]
pub struct Redactor {
    forms: Arc<RwLock<Arc<Forms>>>,
    spelt: Arc<Mutex<Spelt>>,
}

/// Spellings that were found in values, as hashes with a key of their own.
#[derive(Default)]
struct Spelt {
    keys: std::hash::RandomState,
    seen: HashSet<u64>,
}

/// A secret that would mask half of every text. Says nothing of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret is shorter than {SHORTEST} bytes; masking it would hide ordinary text, unless it says `allow_short: true`"
)]
pub struct TooShort;

impl Redactor {
    pub fn new() -> Redactor {
        Redactor::default()
    }

    /// Masks a secret from now on, in streams that run already, too. White space around it does not count. With
    /// `allow_short` an empty one is taken and masks nothing.
    pub fn add(&self, secret: &Secret, allow_short: bool) -> Result<(), TooShort> {
        let text = secret.expose();
        if text.trim().len() < SHORTEST && !allow_short {
            return Err(TooShort);
        }
        self.learn(&[text]);
        Ok(())
    }

    /// Adds the spellings of these, and builds once for all of them.
    fn learn(&self, texts: &[&str]) {
        // Built outside the lock: should building panic, the panic's own message still has to pass here.
        loop {
            let old = self.current();
            let mut known: HashSet<&[u8]> = old.forms().iter().map(|form| &form.bytes[..]).collect();
            let mut new: Vec<Form> = Vec::new();
            let all: Vec<Form> = texts.iter().flat_map(|text| forms_of(text)).collect();
            for form in &all {
                if known.insert(&form.bytes[..]) {
                    new.push(form.clone());
                }
            }
            if new.is_empty() {
                break;
            }
            let forms = Arc::new(Forms::new(old.forms().iter().cloned().chain(new).collect()));
            let mut lock = self.forms.write().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&lock, &old) {
                *lock = forms;
                break;
            }
        }
    }

    /// A value may hold a secret in one spelling and is spelt anew as a whole where it is used or quoted: an answer that is
    /// JSON in an address, a coloured line in a message. Each spelling that it holds is a secret from now on.
    pub fn add_spellings(&self, text: &str) {
        let forms = self.current();
        if forms.is_empty() {
            return;
        }
        let mut spans = forms.find(text.as_bytes(), false, true).spans;
        spans.sort_unstable();
        let mut whole: Vec<(usize, usize)> = Vec::new();
        for (start, end) in spans {
            match whole.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => whole.push((start, end)),
            }
        }
        let mut spelt = self.spelt.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for (start, end) in whole {
            let spelling = &text[text.floor_char_boundary(start)..text.ceil_char_boundary(end)];
            let key = spelt.keys.hash_one(spelling);
            // What is shorter is a spelling of a secret that is.
            if spelling.len() >= SHORTEST && spelt.seen.len() < MOST_SPELT && spelt.seen.insert(key) {
                new.push(spelling);
            }
        }
        drop(spelt);
        if !new.is_empty() {
            self.learn(&new);
        }
    }

    /// Whether there is no secret to be masked.
    pub fn is_empty(&self) -> bool {
        self.current().is_empty()
    }

    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // In front of a cut first: what is masked there would hide that something longer began with it.
        let text = match self.before_cuts(text) {
            None => Cow::Borrowed(text),
            Some(masked) => Cow::Owned(masked),
        };
        match self.whole(text.as_bytes()) {
            None => text,
            // Forms are text, so that what is left between them is text; a form that ends inside a character of
            // other text cannot be, but a net must not tear.
            Some(masked) => Cow::Owned(
                String::from_utf8(masked)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
        }
    }

    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.whole(bytes).unwrap_or_else(|| bytes.to_vec())
    }

    /// Masks every text in it, keys and the digits of numbers included.
    pub fn json(&self, json: &mut Json) {
        match json {
            Json::String(text) => {
                if let Cow::Owned(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Json::Object(entries) => {
                for (mut key, mut value) in std::mem::take(entries) {
                    if let Cow::Owned(masked) = self.text(&key) {
                        key = masked;
                    }
                    // Two keys must not become one.
                    while entries.contains_key(&key) {
                        key.push('*');
                    }
                    self.json(&mut value);
                    entries.insert(key, value);
                }
            }
            Json::Number(number) => {
                if self.holds(&number.to_string()) {
                    *json = Json::String(MASK.into());
                }
            }
            Json::Null | Json::Bool(_) => {}
        }
    }

    /// Whether any form of a secret occurs.
    pub fn holds(&self, text: &str) -> bool {
        let forms = self.current();
        let whole = !forms.is_empty() && !forms.find(text.as_bytes(), false, true).spans.is_empty();
        whole || self.before_cuts(text).is_some()
    }

    /// The same of each text in a value: written as JSON, a text is spelt anew, and escapes in it are escapes no more.
    pub fn holds_in(&self, json: &Json) -> bool {
        match json {
            Json::String(text) => self.holds(text),
            Json::Array(items) => items.iter().any(|item| self.holds_in(item)),
            Json::Object(entries) => entries.iter().any(|(key, value)| self.holds(key) || self.holds_in(value)),
            Json::Number(number) => self.holds(&number.to_string()),
            Json::Null | Json::Bool(_) => false,
        }
    }

    /// Where a text was cut short, a secret may have been cut in two. None if there is no such place.
    fn before_cuts(&self, text: &str) -> Option<String> {
        let forms = self.current();
        if forms.is_empty() || !text.contains(CUT) {
            return None;
        }
        let mut out = String::new();
        let mut any = false;
        let mut pieces = text.split(CUT).peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                out.push_str(piece);
                break;
            }
            // What a stream would hold back at this end may be the beginning of a secret.
            let hold = piece.floor_char_boundary(forms.find(piece.as_bytes(), false, false).hold);
            if piece.len() - hold >= IDLE {
                any = true;
                out.push_str(&piece[..hold]);
                out.push_str(MASK);
            } else {
                out.push_str(piece);
            }
            out.push(CUT);
        }
        any.then_some(out)
    }

    /// A stream to be masked, chunk by chunk.
    pub fn stream(&self) -> RedactStream {
        RedactStream { shared: self.clone(), held: Vec::new(), covered: 0, shown: 0, slash: false }
    }

    /// Masks what a record holds of the outside. What this crate writes itself stays as it is (the names of events, statuses,
    /// digests), and so do names: ids of steps, names of captures and parameters, the runbook and where it runs. They are the
    /// text of a file or of a command line that is public already, and the state of a run is looked up by them: a
    /// masked id would be another step, which nobody remembers having run. A part of an id that comes from the outside,
    /// such as the items of a loop, would have to be a digest of it and not its text.
    pub fn record(&self, record: Record) -> Record {
        if self.is_empty() {
            return record;
        }
        let masked = serde_json::to_value(&record.event).ok().and_then(|mut json| {
            self.event(json.as_object_mut()?);
            serde_json::from_value(json).ok()
        });
        // An event that cannot be read back is not shown at all, rather than unmasked.
        Record { event: masked.unwrap_or(Event::Unrecognised), ..record }
    }

    fn event(&self, event: &mut Map<String, Json>) {
        const OURS: [&str; 15] = [
            "event",
            "kind",
            "status",
            "state",
            "gave_up",
            "effect",
            "cause",
            "outcome",
            "about",
            "how",
            "output_sha256",
            "sha256",
            "saved_as",
            "runbook_files",
            "files",
        ];
        const NAMES: [&str; 9] =
            ["step", "run", "runbook", "origin", "digest", "cwd", "withheld", "waiting_on", "probe"];
        const NAMED: [&str; 5] = ["params", "param_sources", "secrets", "captures", "values"];
        for (key, value) in event.iter_mut() {
            let key = key.as_str();
            let typed = value.is_number() && key != "value";
            if typed || OURS.contains(&key) || NAMES.contains(&key) {
                continue;
            }
            match value {
                Json::Object(entries) if NAMED.contains(&key) => {
                    entries.values_mut().for_each(|value| self.json(value));
                }
                value => self.json(value),
            }
        }
    }

    /// The masked bytes; none if there is nothing to mask.
    fn whole(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let forms = self.current();
        if forms.is_empty() {
            return None;
        }
        let found = forms.find(bytes, false, true);
        if found.spans.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(bytes.len());
        mask(bytes, found, 0, 0, &mut out);
        Some(out)
    }

    fn current(&self) -> Arc<Forms> {
        // The lock is only ever held to exchange the whole, so that a poisoned one still holds a whole.
        self.forms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A stream of bytes on its way through the redactor. What may be the beginning of a secret is held back until it is
/// known not to be one.
pub struct RedactStream {
    shared: Redactor,
    held: Vec<u8>,
    /// The first bytes of what is held are part of a spelling that is masked already.
    covered: usize,
    /// The first bytes of what is held have been shown already, because nothing came for a while.
    shown: usize,
    /// The last byte before what is held was a backslash.
    slash: bool,
}

impl RedactStream {
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            let kept = self.pass(chunk, false, out);
            self.held.extend_from_slice(&chunk[kept..]);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(chunk);
            let kept = self.pass(&held, false, out);
            held.drain(..kept);
            self.held = held;
        }
    }

    /// The end of the stream: what is held is no beginning of anything.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        self.pass(&held, true, out);
        (self.covered, self.shown, self.slash) = (0, 0, false);
    }

    /// Nothing has come for a while, and a person is waiting: shows what is held if it is so little that it tells nothing
    /// of a secret, such as the last character of a line. If a secret it becomes, the rest of it is masked.
    pub fn idle(&mut self, out: &mut Vec<u8>) {
        let most = IDLE.min(self.shared.current().shortest() / 2);
        let from = self.covered.max(self.shown);
        if self.held.len() <= most && from < self.held.len() {
            out.extend_from_slice(&self.held[from..]);
            self.shown = self.held.len();
        }
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Masks a buffer and tells from where on it must be kept.
    fn pass(&mut self, buffer: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let forms = self.shared.current();
        let found = if forms.is_empty() {
            Found { hold: buffer.len(), slash: buffer.last().map(|byte| *byte == b'\\'), spans: Vec::new() }
        } else {
            forms.find(buffer, self.slash, last)
        };
        let hold = found.hold;
        self.slash = found.slash.unwrap_or(self.slash);
        let covered = mask(buffer, found, self.covered, self.shown, out);
        self.covered = covered.saturating_sub(hold);
        self.shown = self.shown.saturating_sub(hold);
        hold
    }
}

/// Writes a buffer up to where it must be held, with a mask for every group of overlapping spellings. The first `covered`
/// bytes belong to a mask that was written before, the first `shown` were written as they are. Tells how far the last mask goes.
fn mask(buffer: &[u8], found: Found, covered: usize, shown: usize, out: &mut Vec<u8>) -> usize {
    let Found { mut spans, hold, .. } = found;
    spans.sort_unstable();
    let mut reach = covered;
    let mut written = covered.max(shown);
    for (start, end) in spans {
        if start < reach {
            reach = reach.max(end);
        } else if start < hold {
            if let Some(between) = buffer.get(written..start) {
                out.extend_from_slice(between);
            }
            out.extend_from_slice(MASK.as_bytes());
            reach = end;
        } else {
            break;
        }
        written = written.max(reach);
    }
    if let Some(rest) = buffer.get(written..hold) {
        out.extend_from_slice(rest);
    }
    reach
}

#[cfg(test)]
mod tests;
