//! `# runsheet: allow CODE: reason`: which findings a file allows, and whether it does so well. Knows no rule.
//!
//! Comments are no part of the tree, so they are found in the text, beside the places of its values.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    ops::Range,
};

use super::{
    look::{Looked, warn},
    table::{LINTS, is_lint},
};
use crate::{
    model::Loaded,
    syntax::{Node, NodeKind, yaml},
    text::{Diagnostic, Source, Span, did_you_mean, is_slip},
};

pub(super) const NO_REASON: &str = "allow-without-reason";
pub(super) const UNUSED: &str = "unused-allow";
pub(super) const UNKNOWN: &str = "unknown-lint";

const MARK: &str = "runsheet:";

/// Everything that a file allows.
pub(super) struct Allows {
    list: Vec<Allow>,
    /// What is wrong with them.
    problems: Vec<Diagnostic>,
    /// The file could be looked at with every rule.
    whole: bool,
}

/// One code that is allowed somewhere.
struct Allow {
    code: String,
    /// The code in the comment.
    span: Span,
    reason: String,
    /// Where it holds, in the file; findings that begin there.
    over: Range<usize>,
    used: Cell<bool>,
}

impl Allows {
    pub fn of(loaded: &Loaded) -> Allows {
        let mut allows = Allows { list: Vec::new(), problems: Vec::new(), whole: loaded.runbook.is_some() };
        let text = loaded.source.text();
        if !text.contains(MARK) {
            return allows;
        }
        let Some(root) = yaml::read(&loaded.source).node else { return allows };
        let page = Page::of(&loaded.source, &root, loaded);
        for (at, _) in text.match_indices(MARK) {
            let Some(hash) = text[..at].trim_end_matches([' ', '\t']).strip_suffix('#').map(str::len) else { continue };
            let Some(over) = page.over(hash) else { continue };
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            allows.read(text, at + MARK.len()..end, &over);
        }
        allows
    }

    /// What stands behind the mark.
    fn read(&mut self, text: &str, range: Range<usize>, over: &Range<usize>) {
        let said = &text[range.clone()];
        let word = said.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
        let start = range.start + (said.len() - said.trim_start().len());
        let place = Span::new(start, start + word.len());
        if word != "allow" {
            if is_slip(word, "allow") || ["ignore", "disable", "accept", "noqa", "nolint"].contains(&word) {
                let message = format!("`{word}` means nothing behind `# runsheet:`");
                self.problems.push(warn(UNKNOWN, place, message).hint("write # runsheet: allow CODE: reason"));
            }
            return;
        }
        let rest = place.end..range.end;
        let (codes, reason) = match text[rest.clone()].split_once(':') {
            Some((codes, reason)) => (rest.start..rest.start + codes.len(), reason.trim()),
            None => (rest, ""),
        };
        let mut named = 0;
        let mut from = codes.start;
        for code in text[codes.clone()].split([',', ' ', '\t', '\r']) {
            let span = Span::new(from, from + code.len());
            from += code.len() + 1;
            if code.is_empty() {
                continue;
            }
            named += 1;
            if is_lint(code) || shellcheck_code(code) {
                let (code, reason) = (code.to_owned(), reason.to_owned());
                self.list.push(Allow { code, span, reason, over: over.clone(), used: Cell::new(false) });
                continue;
            }
            let near = did_you_mean(code, LINTS.iter().map(|lint| lint.code));
            let hint =
                near.unwrap_or_else(|| "docs/reference/lints.md lists them; an error cannot be allowed".to_owned());
            self.problems
                .push(warn(UNKNOWN, span, format!("there is no lint `{code}`")).label("allows nothing").hint(hint));
        }
        if named == 0 {
            let message = "this allows nothing: it names no code";
            self.problems.push(warn(UNKNOWN, place, message).hint("write # runsheet: allow CODE: reason"));
        } else if reason.is_empty() {
            self.problems.push(
                warn(NO_REASON, place.to(Span::at(codes.end)), "this does not say why it is all right")
                    .label("no reason")
                    .hint("write # runsheet: allow CODE: and why, for whoever reads it next"),
            );
        }
    }

    /// Takes out what is allowed, and adds what is wrong with the comments themselves. `scripts` tells whether anybody
    /// looked at the scripts with `shellcheck`.
    pub fn apply(self, found: Vec<Diagnostic>, scripts: bool) -> Looked {
        let mut looked = Looked::default();
        let mut begun = Begun::default();
        let mut found = found;
        found.sort_by_key(|problem| problem.span.start);
        let mut list: Vec<&Allow> = self.list.iter().collect();
        list.sort_by_key(|allow| (allow.over.start, std::cmp::Reverse(allow.over.end)));
        let mut list = list.into_iter().peekable();
        for problem in found {
            if problem.is_error() {
                looked.problems.push(problem);
                continue;
            }
            while let Some(allow) = list.next_if(|allow| allow.over.start <= problem.span.start) {
                begun.push(allow);
            }
            match begun.nearest(&problem) {
                Some(allow) => {
                    allow.used.set(true);
                    looked.allowed.push((problem, allow.reason.clone()));
                }
                None => looked.problems.push(problem),
            }
        }
        for allow in self.list.iter().filter(|allow| self.whole && !allow.used.get()) {
            let asked = scripts || !(allow.code == "shellcheck" || shellcheck_code(&allow.code));
            if asked {
                looked.problems.push(
                    warn(UNUSED, allow.span, format!("nothing here is `{}`", allow.code))
                        .label("allows nothing")
                        .hint("remove it; it stands on the line above what it allows, or behind it"),
                );
            }
        }
        looked.problems.extend(self.problems);
        looked
    }
}

/// What is allowed at a place that only moves forward, by code: the nearest last.
#[derive(Default)]
struct Begun<'a>(HashMap<&'a str, Vec<&'a Allow>>);

impl<'a> Begun<'a> {
    fn push(&mut self, allow: &'a Allow) {
        self.0.entry(&allow.code).or_default().push(allow);
    }

    /// The nearest one that allows this, which alone counts as used.
    fn nearest(&mut self, problem: &Diagnostic) -> Option<&'a Allow> {
        let of_shellcheck = problem.message.split(':').next().filter(|_| problem.code == "shellcheck");
        let mut nearest = |code: &str| {
            let begun = self.0.get_mut(code)?;
            while begun.last().is_some_and(|allow| allow.over.end <= problem.span.start) {
                begun.pop();
            }
            begun.last().copied()
        };
        let found = [nearest(problem.code), of_shellcheck.and_then(&mut nearest)];
        found.into_iter().flatten().max_by_key(|allow| allow.over.start)
    }
}

/// `SC2086`: one of the many that `shellcheck` has.
fn shellcheck_code(code: &str) -> bool {
    code.strip_prefix("SC").is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A file with the places of what is in it.
struct Page<'s> {
    source: &'s Source,
    /// Every value and key that is a text, in file order; whether it is a script that a shell reads.
    scalars: Vec<(Span, bool)>,
    /// For each thing that begins in a line (the file, an entry, an item of a list) its place.
    things: Vec<Span>,
    /// What was asked last of [`Page::next_line`], and the answer: comments often stand together.
    next: RefCell<(Range<usize>, Option<Range<usize>>)>,
}

impl<'s> Page<'s> {
    fn of(source: &'s Source, root: &Node, loaded: &Loaded) -> Page<'s> {
        let mut scripts: Vec<Span> = Vec::new();
        if let Some(runbook) = &loaded.runbook {
            let seen = super::look::Seen::of(runbook, &loaded.names);
            for body in seen.bodies() {
                let parts = body.action.parts();
                scripts.extend(
                    parts.scripts.iter().filter(|script| script.shell.is_some()).map(|script| script.text.span),
                );
            }
        }
        scripts.sort_unstable();
        let mut page = Page {
            source,
            scalars: Vec::new(),
            things: vec![Span::new(root.span.start, source.text().len())],
            next: RefCell::new((0..0, None)),
        };
        page.collect(root, &scripts);
        page.scalars.sort_unstable();
        page.scalars.dedup();
        page.things.sort_unstable();
        page
    }

    fn collect(&mut self, node: &Node, scripts: &[Span]) {
        match &node.kind {
            NodeKind::Null => {}
            NodeKind::Text(text) | NodeKind::Plain(_, text) => {
                self.scalars.push((text.span, scripts.binary_search(&text.span).is_ok()));
            }
            NodeKind::List(items) => {
                for item in items {
                    self.things.push(item.span);
                    self.collect(item, scripts);
                }
            }
            NodeKind::Map(entries) => {
                for entry in entries {
                    self.scalars.push((entry.key.span, false));
                    // What an alias stands for is written elsewhere.
                    let end = Some(entry.value.span.end).filter(|end| *end >= entry.key.span.end);
                    self.things.push(Span::new(entry.key.span.start, end.unwrap_or(entry.key.span.end)));
                    self.collect(&entry.value, scripts);
                }
            }
        }
    }

    /// The first line behind a place, and before another, that is neither blank nor a comment.
    fn next_line(&self, from: usize, to: usize) -> Option<Range<usize>> {
        let mut last = self.next.borrow_mut();
        let until = last.1.as_ref().map_or(last.0.end, |line| line.start);
        if last.0.end != to || from < last.0.start || from >= until {
            *last = (from..to, next_line(self.source.text(), from, to));
        }
        last.1.clone()
    }

    /// Where a comment that begins at this `#` holds; none where it is no comment.
    fn over(&self, hash: usize) -> Option<Range<usize>> {
        let text = self.source.text();
        let line = line_at(text, hash);
        let alone = text[line.start..hash].trim().is_empty();
        if !alone && !text[..hash].ends_with([' ', '\t']) {
            return None;
        }
        let before = self.scalars.partition_point(|(span, _)| span.start <= hash);
        let within = self.scalars[..before].last().filter(|(span, _)| hash < span.end);
        // Behind the `|` of a block stands a comment of YAML, although the block has begun.
        let opened = within.is_some_and(|(span, _)| line.contains(&span.start) && is_block(text, *span));
        match within {
            Some((span, true)) if !opened => Some(if alone {
                let next = self.next_line(line.end, span.end);
                next.map_or(span.end..span.end, |next| next.start..continued(text, next).end)
            } else {
                let mut start = line.start;
                while let Some(before) =
                    start.checked_sub(1).map(|end| line_at(text, end)).filter(|line| goes_on(text, line))
                {
                    start = before.start;
                }
                start..line.end
            }),
            Some((_, false)) if !opened => None,
            _ => {
                let end = text.len() + 1;
                let line = if alone { self.next_line(line.end, text.len()).unwrap_or(end..end) } else { line };
                let first = self.things.partition_point(|thing| thing.start < line.start);
                let begun = self.things[first..].iter().take_while(|thing| thing.start < line.end.max(line.start + 1));
                let widest = begun.max_by_key(|thing| thing.len()).map(|thing| thing.start..thing.end.max(line.end));
                // The comment at the top of a file holds for all of it.
                let whole = self.things.first().filter(|root| line.contains(&root.start)).map(|_| 0..text.len() + 1);
                Some(whole.or(widest).unwrap_or(line))
            }
        }
    }
}

fn is_block(text: &str, span: Span) -> bool {
    text[span.start..].starts_with(['|', '>'])
}

/// The line around a place, without its line feed.
fn line_at(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
    start..text[at..].find('\n').map_or(text.len(), |end| at + end)
}

/// The first line behind a place, and before another, that is neither blank nor a comment.
fn next_line(text: &str, from: usize, to: usize) -> Option<Range<usize>> {
    let mut at = from;
    while at < to.min(text.len()) {
        let line = line_at(text, at + 1);
        let said = text[line.clone()].trim();
        if line.start >= to {
            return None;
        }
        if !said.is_empty() && !said.starts_with('#') {
            return Some(line);
        }
        at = line.end;
    }
    None
}

/// A line of a script with those that it goes on in.
fn continued(text: &str, line: Range<usize>) -> Range<usize> {
    let mut whole = line.clone();
    let mut last = line;
    while goes_on(text, &last) && last.end < text.len() {
        last = line_at(text, last.end + 1);
        whole.end = last.end;
    }
    whole
}

fn goes_on(text: &str, line: &Range<usize>) -> bool {
    text[line.clone()].trim_end_matches('\r').ends_with('\\')
}
