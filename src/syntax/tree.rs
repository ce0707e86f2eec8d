//! Builds the node tree from what a parser reports: duplicates, anchors, merge keys, and how much of each is allowed.
//! Knows no YAML crate and no file; text is only looked at for places.

use std::collections::{HashMap, HashSet};

use super::{
    Entry, Node, NodeKind, ScalarStyle, Text,
    scalar::{self, Core},
    slips,
};
use crate::text::{Diagnostic, Source, Span, TextMap, nearest};

/// How deep lists and mappings may be nested, aliases followed. Everything that walks a tree may recurse.
pub(super) const MAX_DEPTH: usize = 64;
/// How many lists, mappings and values one file may hold.
const MAX_NODES: usize = 500_000;
/// How many aliases one file may hold, and how many nodes and bytes they may stand for together.
const MAX_ALIASES: usize = 40_000;
const MAX_EXPANDED_NODES: u64 = 250_000;
const MAX_EXPANDED_BYTES: u64 = 64 * 1024 * 1024;
/// A file with more mistakes than this is not worth reading further.
const MAX_PROBLEMS: usize = 1_000;

/// The file cannot be read further; why is among the problems.
#[derive(Debug)]
pub(super) struct Stop;

/// What a node costs when it is copied for an alias.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: u64,
    bytes: u64,
    height: usize,
}

impl Weight {
    fn hold(&mut self, child: Weight) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.height = self.height.max(child.height + 1);
    }
}

/// Aliases stay references until all is counted, so that nothing is copied before it is allowed.
struct Raw {
    span: Span,
    weight: Weight,
    /// An alias means it, so building it must leave it in place.
    shared: bool,
    kind: RawKind,
}

enum RawKind {
    Scalar(NodeKind),
    List(Vec<usize>),
    Map(Vec<RawEntry>),
    Alias(usize),
}

struct RawEntry {
    key: Text,
    value: usize,
    merge: bool,
}

#[derive(Default)]
struct Anchor {
    name: String,
    /// None while the node is still being read.
    node: Option<usize>,
}

struct Frame {
    start: usize,
    flow: bool,
    anchor: usize,
    /// It stands where a key should: read, reported and dropped.
    is_key: bool,
    weight: Weight,
    items: Items,
}

enum Items {
    List(Vec<usize>),
    Map { entries: Vec<RawEntry>, pending: Pending },
}

enum Pending {
    Nothing,
    Key {
        text: Text,
        merge: bool,
    },
    /// A key that was reported already: its value goes the same way.
    Lost,
}

/// Where a node stands, for messages about what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    Item,
    Key,
    Value,
}

pub(super) struct Builder<'s> {
    source: &'s Source,
    arena: Vec<Raw>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    root: Option<usize>,
    aliases: usize,
    expanded: Weight,
    pub(super) problems: Vec<Diagnostic>,
    /// Something is missing from the tree, so it would lead to errors that are none.
    pub(super) incomplete: bool,
}

impl<'s> Builder<'s> {
    pub(super) fn new(source: &'s Source) -> Builder<'s> {
        Builder {
            source,
            arena: Vec::new(),
            frames: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            aliases: 0,
            expanded: Weight::default(),
            problems: Vec::new(),
            incomplete: false,
        }
    }

    /// Reports a mistake after which the tree is still worth looking at.
    pub(super) fn report(&mut self, problem: Diagnostic) -> Result<(), Stop> {
        self.problems.push(problem);
        if self.problems.len() < MAX_PROBLEMS { Ok(()) } else { Err(Stop) }
    }

    fn stop(&mut self, problem: Diagnostic) -> Stop {
        self.problems.push(problem);
        Stop
    }

    /// The role of the node that comes next.
    pub(super) fn role(&self) -> Role {
        match self.frames.last().map(|frame| &frame.items) {
            None => Role::Root,
            Some(Items::List(_)) => Role::Item,
            Some(Items::Map { pending: Pending::Nothing, .. }) => Role::Key,
            Some(Items::Map { .. }) => Role::Value,
        }
    }

    /// Where the flow collections begin that are open, the innermost last.
    pub(super) fn open_flows(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.frames.iter().filter(|frame| frame.flow).map(|frame| frame.start)
    }

    pub(super) fn scalar(
        &mut self,
        span: Span,
        style: ScalarStyle,
        value: &str,
        indent: Option<usize>,
        anchor: usize,
    ) -> Result<(), Stop> {
        let role = self.role();
        let implicit = style == ScalarStyle::Plain && span.is_empty();
        if role == Role::Key && implicit {
            self.incomplete = true;
            let problem =
                Diagnostic::error("yaml-syntax", slips::character(self.source, span.start), "a key is missing here")
                    .hint("a text that begins with `:` must be quoted");
            self.pend(Pending::Lost);
            return self.report(problem);
        }
        if implicit {
            let span = Span::at(self.null_place(span.start));
            return self.add(RawKind::Scalar(NodeKind::Null), span, 0, 0, anchor);
        }
        let (text, pieces) = scalar::text(self.source.text(), span, style, value, indent);
        let bytes = text.text.len() + pieces * std::mem::size_of::<(usize, usize)>();
        let span = text.span;
        if role == Role::Key {
            if anchor != 0 {
                let copy = RawKind::Scalar(NodeKind::Text(text.clone()));
                self.anchor_at(copy, span, bytes, anchor)?;
            }
            let merge = style == ScalarStyle::Plain && text.text == "<<";
            self.hold(Weight { nodes: 0, bytes: bytes as u64, height: 0 });
            self.pend(Pending::Key { text, merge });
            return Ok(());
        }
        let kind = match if style == ScalarStyle::Plain { scalar::resolve(&text.text) } else { Core::Text } {
            Core::Null => NodeKind::Null,
            Core::Value(value) => NodeKind::Plain(value, text),
            Core::Text => NodeKind::Text(text),
        };
        self.add(RawKind::Scalar(kind), span, bytes, 0, anchor)
    }

    pub(super) fn open(&mut self, is_map: bool, span: Span, flow: bool, anchor: usize) -> Result<(), Stop> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let role = self.role();
        let start = if flow || is_map { span.start } else { self.first_dash(span.start) };
        if role == Role::Key {
            self.incomplete = true;
            let outer = self.frames.last().map_or(0, |frame| frame.start);
            let in_flow = self.frames.iter().rev().nth(1).is_some_and(|frame| frame.flow);
            let problem = if is_map && flow && self.source.text()[outer..].starts_with("{{") && start == outer + 1 {
                slips::unquoted_template(self.source, outer, in_flow)
            } else {
                let what = if is_map { "a mapping" } else { "a list" };
                Diagnostic::error(
                    "key-not-text",
                    slips::character(self.source, start),
                    format!("a key must be a text, found {what}"),
                )
            };
            self.report(problem)?;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor::default());
        }
        let items = if is_map {
            Items::Map { entries: Vec::new(), pending: Pending::Nothing }
        } else {
            Items::List(Vec::new())
        };
        let weight = Weight { nodes: 1, bytes: 0, height: 1 };
        self.frames.push(Frame { start, flow, anchor, is_key: role == Role::Key, weight, items });
        Ok(())
    }

    pub(super) fn close(&mut self, end: Span) -> Result<(), Stop> {
        // The parser closes only what it opened.
        let Some(frame) = self.frames.pop() else { return Err(Stop) };
        let (kind, last) = match frame.items {
            Items::List(items) => {
                let last = items.last().map(|item| self.arena[*item].span.end);
                (RawKind::List(items), last)
            }
            Items::Map { mut entries, .. } => {
                let last = entries.last().map(|entry| self.arena[entry.value].span.end);
                self.drop_duplicates(&mut entries)?;
                self.check_merges(&entries)?;
                (RawKind::Map(entries), last)
            }
        };
        let end = if frame.flow { end.end } else { last.unwrap_or(frame.start) };
        if frame.is_key {
            self.pend(Pending::Lost);
            return Ok(());
        }
        self.add_weighed(kind, Span::new(frame.start, end), frame.weight, frame.anchor)
    }

    pub(super) fn name_anchor(&mut self, anchor: usize, name: &str) {
        self.anchors.entry(anchor).or_default().name = name.to_owned();
    }

    pub(super) fn alias(&mut self, span: Span, anchor: usize) -> Result<(), Stop> {
        let target = self.anchors.get(&anchor).and_then(|anchor| anchor.node);
        let Some(target) = target else {
            return self.lost(
                Diagnostic::error("unknown-alias", span, "a value cannot hold itself")
                    .label("this alias stands inside what it means"),
            );
        };
        self.aliases += 1;
        if self.aliases > MAX_ALIASES {
            let message = format!("more than {MAX_ALIASES} aliases in one file");
            return Err(self.stop(Diagnostic::error("alias-budget", span, message)));
        }
        if self.role() == Role::Key {
            let (RawKind::Scalar(NodeKind::Text(text)) | RawKind::Scalar(NodeKind::Plain(_, text))) =
                &self.arena[target].kind
            else {
                return self.lost(Diagnostic::error("key-not-text", span, "a key must be a text"));
            };
            let text = Text {
                text: text.text.clone(),
                span,
                map: TextMap::direct(span),
                style: ScalarStyle::Plain,
                cut_by_comment: None,
            };
            self.charge(span, Weight { nodes: 1, bytes: text.text.len() as u64, height: 0 })?;
            self.pend(Pending::Key { text, merge: false });
            return Ok(());
        }
        let weight = self.arena[target].weight;
        self.charge(span, weight)?;
        if self.frames.len() + weight.height > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.arena[target].shared = true;
        self.add_weighed(RawKind::Alias(target), span, weight, 0)
    }

    pub(super) fn unknown_alias(&mut self, span: Span, name: &str) -> Result<(), Stop> {
        let near = nearest(name, self.anchors.values().map(|anchor| anchor.name.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `*{near}`?"),
            None => slips::quote_from(self.source, span.start, self.frames.last().is_some_and(|frame| frame.flow)),
        };
        self.lost(
            Diagnostic::error("unknown-alias", span, format!("unknown alias `*{name}`"))
                .label("nothing above is marked with this name")
                .hint(hint),
        )
    }

    /// A node that is wrong as a whole: reported, and an empty value stands in its place.
    fn lost(&mut self, problem: Diagnostic) -> Result<(), Stop> {
        self.incomplete = true;
        let span = problem.span;
        self.report(problem)?;
        if self.role() == Role::Key {
            self.pend(Pending::Lost);
            return Ok(());
        }
        self.add(RawKind::Scalar(NodeKind::Null), span, 0, 0, 0)
    }

    fn charge(&mut self, span: Span, weight: Weight) -> Result<(), Stop> {
        self.expanded.nodes = self.expanded.nodes.saturating_add(weight.nodes);
        self.expanded.bytes = self.expanded.bytes.saturating_add(weight.bytes);
        if self.expanded.nodes > MAX_EXPANDED_NODES {
            let message = format!("the aliases up to here stand for more than {MAX_EXPANDED_NODES} values");
            return Err(self.stop(Diagnostic::error("alias-budget", span, message)));
        }
        if self.expanded.bytes > MAX_EXPANDED_BYTES {
            let message =
                format!("the aliases up to here stand for more than {} MiB of text", MAX_EXPANDED_BYTES / 1024 / 1024);
            return Err(self.stop(Diagnostic::error("alias-budget", span, message)));
        }
        Ok(())
    }

    pub(super) fn too_deep(&mut self, span: Span) -> Stop {
        let message = format!("lists and mappings are nested more than {MAX_DEPTH} deep");
        self.stop(Diagnostic::error("too-deep", span, message).label("one level too many begins here"))
    }

    fn pend(&mut self, next: Pending) {
        if let Some(Frame { items: Items::Map { pending, .. }, .. }) = self.frames.last_mut() {
            *pending = next;
        }
    }

    fn hold(&mut self, child: Weight) {
        if let Some(frame) = self.frames.last_mut() {
            frame.weight.hold(child);
        }
    }

    fn anchor_at(&mut self, kind: RawKind, span: Span, bytes: usize, anchor: usize) -> Result<usize, Stop> {
        let weight = Weight { nodes: 1, bytes: bytes as u64, height: 0 };
        self.store(kind, span, weight, anchor)
    }

    fn add(&mut self, kind: RawKind, span: Span, bytes: usize, height: usize, anchor: usize) -> Result<(), Stop> {
        self.add_weighed(kind, span, Weight { nodes: 1, bytes: bytes as u64, height }, anchor)
    }

    fn add_weighed(&mut self, kind: RawKind, span: Span, weight: Weight, anchor: usize) -> Result<(), Stop> {
        let node = self.store(kind, span, weight, anchor)?;
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.items {
            Items::List(items) => items.push(node),
            Items::Map { entries, pending } => match std::mem::replace(pending, Pending::Nothing) {
                Pending::Key { text, merge } => entries.push(RawEntry { key: text, value: node, merge }),
                Pending::Lost | Pending::Nothing => {}
            },
        }
        frame.weight.hold(weight);
        Ok(())
    }

    fn store(&mut self, kind: RawKind, span: Span, weight: Weight, anchor: usize) -> Result<usize, Stop> {
        if self.arena.len() >= MAX_NODES {
            let message = format!("the file holds more than {MAX_NODES} values");
            return Err(self.stop(Diagnostic::error("too-large", span, message)));
        }
        self.arena.push(Raw { span, weight, shared: false, kind });
        let node = self.arena.len() - 1;
        if anchor != 0 {
            self.anchors.entry(anchor).or_default().node = Some(node);
        }
        Ok(node)
    }

    /// Behind the colon of the key before, if there is one: the parser says "at the end of the key".
    fn null_place(&self, at: usize) -> usize {
        let rest = &self.source.text().as_bytes()[at..];
        let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let after_key = matches!(self.role(), Role::Value) && rest.get(blanks) == Some(&b':');
        if after_key { at + blanks + 1 } else { at }
    }

    /// The first dash of a block list: the parser says "its first item" where the list is not indented.
    fn first_dash(&self, at: usize) -> usize {
        let text = self.source.text();
        let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let is_dash = |at: usize| {
            let rest = &text.as_bytes()[at..];
            rest.first() == Some(&b'-') && matches!(rest.get(1), None | Some(b' ' | b'\t' | b'\n' | b'\r'))
        };
        let alone = text[line..at].trim().is_empty();
        let Some(Items::Map { pending: Pending::Key { text: key, .. }, .. }) = self.frames.last().map(|f| &f.items)
        else {
            return at;
        };
        if alone && is_dash(at) {
            return at;
        }
        // Between the key and the list stand only blank lines, comments and anchors.
        let mut place = key.span.end;
        while let Some(feed) = text[place..at].find('\n') {
            place += feed + 1;
            let blanks = text[place..].bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
            if place + blanks <= at && is_dash(place + blanks) {
                return place + blanks;
            }
        }
        at
    }

    fn drop_duplicates(&mut self, entries: &mut Vec<RawEntry>) -> Result<(), Stop> {
        let mut repeated: Vec<(usize, usize)> = Vec::new();
        if entries.len() <= 8 {
            for second in 1..entries.len() {
                if let Some(first) =
                    entries[..second].iter().position(|entry| entry.key.text == entries[second].key.text)
                {
                    repeated.push((first, second));
                }
            }
        } else {
            let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
            for (second, entry) in entries.iter().enumerate() {
                match seen.entry(entry.key.text.as_str()) {
                    std::collections::hash_map::Entry::Occupied(first) => repeated.push((*first.get(), second)),
                    std::collections::hash_map::Entry::Vacant(place) => {
                        place.insert(second);
                    }
                }
            }
        }
        if repeated.is_empty() {
            return Ok(());
        }
        for (first, second) in &repeated {
            let (first, second) = (&entries[*first], &entries[*second]);
            let problem =
                Diagnostic::error("duplicate-key", second.key.span, format!("duplicate key `{}`", second.key.text))
                    .label("given again here")
                    .related(first.key.span, "given first here")
                    .hint(if second.merge { "merge several with `<<: [*one, *two]`" } else { "remove one of them" });
            self.report(problem)?;
        }
        let gone: HashSet<usize> = repeated.into_iter().map(|(_, second)| second).collect();
        let mut index = 0;
        entries.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        Ok(())
    }

    fn resolved(&self, node: usize) -> &Raw {
        match self.arena[node].kind {
            RawKind::Alias(target) => &self.arena[target],
            _ => &self.arena[node],
        }
    }

    fn check_merges(&mut self, entries: &[RawEntry]) -> Result<(), Stop> {
        for entry in entries.iter().filter(|entry| entry.merge) {
            let wrong = match &self.resolved(entry.value).kind {
                RawKind::Map(_) => None,
                RawKind::List(items) => items
                    .iter()
                    .find(|item| !matches!(self.resolved(**item).kind, RawKind::Map(_)))
                    .map(|item| self.arena[*item].span),
                _ => Some(self.arena[entry.value].span),
            };
            if let Some(span) = wrong {
                self.incomplete = true;
                let problem = Diagnostic::error("merge-key", span, "`<<` merges a mapping or a list of mappings")
                    .label("this is neither")
                    .hint("mark a mapping with `&name` and merge it with `<<: *name`");
                self.report(problem)?;
            }
        }
        Ok(())
    }

    /// The tree, once all is read; everything was counted before, so this copies no more than was allowed.
    pub(super) fn finish(mut self) -> (Option<Node>, Vec<Diagnostic>) {
        let root = self.root.take().filter(|_| !self.incomplete);
        let node = root.map(|root| self.build(root, false));
        (node, self.problems)
    }

    /// Recursion ends: nothing is deeper than `MAX_DEPTH`, aliases followed, and no alias means an alias.
    fn build(&mut self, node: usize, copy: bool) -> Node {
        let raw = &mut self.arena[node];
        let span = raw.span;
        let copy = copy || raw.shared;
        let kind = match &mut raw.kind {
            RawKind::Alias(target) => {
                let target = *target;
                return self.build(target, true);
            }
            RawKind::Scalar(kind) if copy => kind.clone(),
            RawKind::Scalar(kind) => std::mem::replace(kind, NodeKind::Null),
            RawKind::List(items) => {
                let items = if copy { items.clone() } else { std::mem::take(items) };
                NodeKind::List(items.into_iter().map(|item| self.build(item, copy)).collect())
            }
            RawKind::Map(entries) => {
                let entries: Vec<(Text, usize, bool)> = if copy {
                    entries.iter().map(|entry| (entry.key.clone(), entry.value, entry.merge)).collect()
                } else {
                    std::mem::take(entries).into_iter().map(|entry| (entry.key, entry.value, entry.merge)).collect()
                };
                NodeKind::Map(self.build_entries(entries, copy))
            }
        };
        Node { span, kind }
    }

    fn build_entries(&mut self, entries: Vec<(Text, usize, bool)>, copy: bool) -> Vec<Entry> {
        if !entries.iter().any(|(_, _, merge)| *merge) {
            return entries.into_iter().map(|(key, value, _)| Entry { key, value: self.build(value, copy) }).collect();
        }
        // Keys of the mapping itself win wherever they stand; of several merged mappings, the first one does.
        let mut given: HashSet<String> =
            entries.iter().filter(|(_, _, merge)| !merge).map(|(key, _, _)| key.text.clone()).collect();
        let mut built = Vec::with_capacity(entries.len());
        for (key, value, merge) in entries {
            let value = self.build(value, copy);
            if !merge {
                built.push(Entry { key, value });
                continue;
            }
            let merged = match value.kind {
                NodeKind::List(items) => items,
                _ => vec![value],
            };
            for item in merged {
                if let NodeKind::Map(inner) = item.kind {
                    built.extend(inner.into_iter().filter(|entry| given.insert(entry.key.text.clone())));
                }
            }
        }
        built
    }
}
