//! A cursor over a mapping that refuses what nobody asked for and suggests what was meant. Knows no field by name.

use std::{cell::RefCell, collections::HashSet};

use super::{Entry, Given, Node, NodeKind, Text};
use crate::text::{Diagnostic, Source, Span, equally_near, is_slip, one_of};

/// Collects everything that is wrong with a file.
///
/// A problem inside an anchored node is met again at each of its aliases; it is kept once.
pub struct Problems {
    source: Source,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    list: Vec<Diagnostic>,
    seen: HashSet<(&'static str, Span, String)>,
}

impl Problems {
    pub fn new(source: &Source) -> Problems {
        Problems { source: source.clone(), kept: RefCell::default() }
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    pub fn push(&self, problem: Diagnostic) {
        let mut kept = self.kept.borrow_mut();
        if kept.seen.insert((problem.code, problem.span, problem.message.clone())) {
            kept.list.push(problem);
        }
    }

    pub fn extend(&self, problems: impl IntoIterator<Item = Diagnostic>) {
        for problem in problems {
            self.push(problem);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.kept.borrow().list.is_empty()
    }

    /// There are so many that nobody reads a suggestion for each, and looking for them would take long.
    pub fn are_many(&self) -> bool {
        self.kept.borrow().list.len() > 500
    }

    pub fn has_errors(&self) -> bool {
        self.kept.borrow().list.iter().any(Diagnostic::is_error)
    }

    /// All of them, in file order.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        let mut list = self.kept.into_inner().list;
        list.sort_by_key(|problem| (problem.span.start, problem.span.end, problem.severity));
        list
    }
}

/// The entries of one mapping, taken one by one; [`Fields::finish`] reports what is left.
///
/// Every key that is asked for is a known one, whether it is there or not.
#[must_use = "`finish` reports the unknown keys"]
pub struct Fields<'a> {
    what: &'a str,
    span: Span,
    entries: &'a [Entry],
    taken: Vec<bool>,
    /// For a misspelt key the one it is read as.
    meant: Vec<Option<&'static str>>,
    known: Vec<&'static str>,
    /// All keys there are, where that is told in advance.
    keys: Vec<&'static str>,
    foreign: &'static [Foreign],
    /// Keys of the mapping around this one.
    outer: &'static [&'static str],
    missing: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Fields<'a> {
    /// `what` is the mapping as messages say it, such as "a step". Anything but a mapping is reported.
    pub fn of(node: &'a Node, what: &'a str, problems: &'a Problems) -> Option<Fields<'a>> {
        let NodeKind::Map(entries) = &node.kind else {
            let message = format!("{what} must be a mapping, found {}", node.describe());
            problems.push(Diagnostic::error("wrong-type", node.span, message).label("expected `key: value` lines"));
            return None;
        };
        Some(Fields {
            what,
            span: node.span,
            entries,
            taken: vec![false; entries.len()],
            meant: vec![None; entries.len()],
            known: Vec::new(),
            keys: Vec::new(),
            foreign: &[],
            outer: &[],
            missing: Vec::new(),
            problems,
        })
    }

    /// Tells every key in advance. A slip of one that is missing is then read as the key it must mean, and reported
    /// when that is taken: so one mistake is not followed by others.
    pub fn closed(mut self, keys: impl IntoIterator<Item = &'static str>) -> Fields<'a> {
        self.keys = keys.into_iter().collect();
        for index in 0..self.entries.len() {
            let key = self.entries[index].key.text.as_str();
            if self.keys.contains(&key) {
                continue;
            }
            let free = self.keys.iter().copied().filter(|key| self.index(key).is_none());
            if let [meant] = equally_near(key, free)[..]
                && is_slip(key, meant)
            {
                self.meant[index] = Some(meant);
            }
        }
        self
    }

    /// Words that other tools use, each with the key that says the same here.
    pub fn foreign(mut self, words: &'static [Foreign]) -> Fields<'a> {
        self.foreign = words;
        for index in 0..self.entries.len() {
            let key = self.entries[index].key.text.as_str();
            let Some(word) = words.iter().find(|word| word.0 == key && !self.keys.contains(&key)) else { continue };
            // The first of all keys is the one that no such mapping does without: a slip of it is one.
            if self.meant[index].is_some_and(|meant| self.keys.first() == Some(&meant)) {
                continue;
            }
            // Otherwise such a word is no slip: `cmd` stands for `shell`, not for `cwd`.
            self.meant[index] = None;
            if word.2 && self.index(word.1).is_none() {
                self.meant[index] = Some(word.1);
            }
        }
        self
    }

    /// Keys of the mapping around this one, which is where one that is found here belongs.
    pub fn outer(mut self, keys: &'static [&'static str]) -> Fields<'a> {
        self.outer = keys;
        for (entry, meant) in self.entries.iter().zip(&mut self.meant) {
            if keys.contains(&entry.key.text.as_str()) {
                *meant = None;
            }
        }
        self
    }

    pub fn what(&self) -> &'a str {
        self.what
    }

    /// The whole mapping.
    pub fn span(&self) -> Span {
        self.span
    }

    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The value of a key, which may be [`NodeKind::Null`] if the key was written and nothing behind it.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take_entry(key).map(|entry| &entry.value)
    }

    /// As [`Fields::take`], with the key.
    pub fn take_entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.know(&[key]);
        let index = self.index(key)?;
        self.mark(index);
        Some(&self.entries[index])
    }

    fn mark(&mut self, index: usize) {
        if !std::mem::replace(&mut self.taken[index], true)
            && let Some(meant) = self.meant[index]
        {
            let entry = &self.entries[index];
            let word = self.foreign.iter().any(|word| word.0 == entry.key.text && word.1 == meant);
            let hint = if word { self.in_our_words(&entry.key.text) } else { one_of(&[meant]) };
            self.problems.push(self.unknown(entry).hint_opt(hint));
        }
    }

    fn in_our_words(&self, key: &str) -> Option<String> {
        let word = self.foreign.iter().find(|word| word.0 == key)?;
        let free = self.known.iter().chain(&self.keys).copied().filter(|known| !self.has_exactly(known));
        Some(match one_of(&equally_near(key, free.filter(|known| *known != word.1))) {
            // `if` is a word of others, and one slip away from `id`.
            Some(slip) => format!("here it is called `{}`; or {slip}", word.1),
            None => format!("here it is called `{}`", word.1),
        })
    }

    fn unknown(&self, entry: &Entry) -> Diagnostic {
        let key = short(&entry.key.text);
        Diagnostic::error("unknown-key", entry.key.span, format!("unknown field `{key}` in {}", self.what))
            .label("no such field")
    }

    /// As [`Fields::take`]; a missing key is reported at the start of the mapping.
    pub fn require(&mut self, key: &'static str) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            self.missing.push(key);
        }
        found
    }

    /// The value of a key, to be read as some type.
    pub fn get(&mut self, key: &'static str) -> Option<Given<'a>> {
        self.take(key).map(|node| Given::field(node, key, self.problems))
    }

    /// As [`Fields::get`]; a missing key is reported at the start of the mapping.
    pub fn need(&mut self, key: &'static str) -> Option<Given<'a>> {
        self.require(key).map(|node| Given::field(node, key, self.problems))
    }

    /// Whether a key is there, taken or not. Asking makes it one that can be suggested, and does not take it.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.know(&[key]);
        self.index(key).is_some()
    }

    /// Whether a key is there, spelt as it must be.
    pub fn has_exactly(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key.text == key)
    }

    /// Where a key stands, if it is there.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.index(key).map(|index| self.entries[index].key.span)
    }

    /// Keys that may be suggested for an unknown one, beside those asked for. What is not taken is still refused.
    pub fn know(&mut self, keys: &[&'static str]) {
        for key in keys {
            if !self.known.contains(key) {
                self.known.push(key);
            }
        }
    }

    /// What was not taken yet.
    pub fn remaining(&self) -> impl Iterator<Item = &'a Entry> + use<'a, '_> {
        self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry)
    }

    /// Whether an unknown key may mean one of these: then what is missing is reported there.
    pub fn has_slip_of(&self, keys: &[&'static str]) -> bool {
        let unknown = |entry: &&Entry| !self.keys.contains(&entry.key.text.as_str());
        self.remaining().filter(unknown).any(|entry| {
            let key = entry.key.text.as_str();
            match self.foreign.iter().find(|word| word.0 == key) {
                Some(word) => keys.contains(&word.1),
                None => !self.outer.contains(&key) && !equally_near(key, keys.iter().copied()).is_empty(),
            }
        })
    }

    /// Takes the first key that is none of those there are and no slip of one: what it is has to be said by the caller.
    pub fn take_stranger(&mut self) -> Option<&'a Entry> {
        let index = (0..self.entries.len()).find(|index| {
            let key = self.entries[*index].key.text.as_str();
            !self.taken[*index]
                && self.meant[*index].is_none()
                && !self.keys.contains(&key)
                && !self.known.contains(&key)
                && !self.foreign.iter().any(|word| word.0 == key)
                && !self.outer.contains(&key)
                && equally_near(key, self.keys.iter().copied()).is_empty()
        })?;
        self.taken[index] = true;
        Some(&self.entries[index])
    }

    /// A field of the language that this version does not have; `what` is it as messages say it, such as "`foreach`".
    pub fn not_yet(&mut self, key: &'static str, what: &str) {
        let Some(index) = self.index(key) else { return };
        if self.meant[index].is_some() {
            return self.mark(index);
        }
        self.taken[index] = true;
        let at = self.entries[index].key.span;
        self.problems.push(not_yet(at, format!("{what} is not supported yet")));
    }

    /// Reports every entry that nobody took. (Missing keys are reported in any case, when the cursor goes.)
    pub fn finish(mut self) {
        let mut missing = std::mem::take(&mut self.missing);
        for entry in self.remaining() {
            let key = entry.key.text.as_str();
            if self.known.contains(&key) {
                let message = format!("`{key}` does not belong in {} like this one", self.what);
                self.problems.push(Diagnostic::error("unknown-key", entry.key.span, message));
                continue;
            }
            let problem = self.unknown(entry);
            if let Some(word) = self.foreign.iter().find(|word| word.0 == key) {
                missing.retain(|missing| *missing != word.1);
                self.problems.push(problem.hint_opt(self.in_our_words(key)));
                continue;
            }
            if self.outer.contains(&key) {
                let hint = format!("it is a field of the step: write it beside {}, not inside", self.what);
                self.problems.push(problem.hint(hint));
                continue;
            }
            let all = || self.known.iter().chain(&self.keys).copied();
            let mut near = equally_near(key, all().filter(|known| self.index(known).is_none()));
            if near.is_empty() {
                near = equally_near(key, all());
            }
            // A slip in a required key is one mistake, not two.
            missing.retain(|missing| !near.contains(missing));
            let problem = problem.hint(one_of(&near).unwrap_or_else(|| self.list_known()));
            self.problems.push(problem);
        }
        self.missing = missing;
    }

    fn list_known(&self) -> String {
        let known: Vec<String> = self.known.iter().map(|key| format!("`{key}`")).collect();
        match known.as_slice() {
            [] => format!("{} has no fields", self.what),
            [only] => format!("{} has only {only}", self.what),
            [most @ .., last] => format!("{} has {} and {last}", self.what, most.join(", ")),
        }
    }

    fn index(&self, key: &str) -> Option<usize> {
        let exactly = self.entries.iter().position(|entry| entry.key.text == key);
        exactly.or_else(|| self.meant.iter().position(|meant| *meant == Some(key)))
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        for key in std::mem::take(&mut self.missing) {
            self.problems.push(
                Diagnostic::error(
                    "missing-key",
                    Span::at(self.span.start),
                    format!("missing `{key}` in {}", self.what),
                )
                .label(format!("`{key}` is required")),
            );
        }
    }
}

/// What the language has and this version has not.
pub fn not_yet(at: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("not-supported-yet", at, message).label("part of the format, and not of this version")
}

/// A word of other tools, what it is called here, and whether its value is written in the same way, so that it can be
/// read as such.
pub type Foreign = (&'static str, &'static str, bool);

/// The start of a key or value that may be a whole paragraph.
pub(super) fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    let cut = line.char_indices().nth(60).map_or(line.len(), |(i, _)| i);
    if cut < text.trim_end().len() { format!("{}…", &line[..cut]) } else { line.to_owned() }
}

/// An entry's key and value, for mappings whose keys are the author's.
pub type Pair<'a> = (&'a Text, Given<'a>);
