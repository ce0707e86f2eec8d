//! A value that an author gave, read as what it should be. Each reader reports what is wrong and goes on; knows no
//! field by name.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Fields, Node, NodeKind, Problems, Text,
    fields::{Pair, short},
    slips::{quote_it, quoted},
};
use crate::{
    text::{Diagnostic, Span, Spanned, did_you_mean},
    value::{Value, parse_duration},
};

/// A node, its name in messages, and where mistakes in it go.
///
/// Readers report at the value's place and return `None`; so does every reader for a value that was left empty.
#[derive(Clone)]
pub struct Given<'a> {
    pub node: &'a Node,
    name: Name<'a>,
    problems: &'a Problems,
    /// Shown where something of another form was found.
    form: Option<&'static str>,
}

#[derive(Clone)]
enum Name<'a> {
    Field(&'static str),
    Item(&'static str),
    Entry { key: &'a str, of: &'static str },
    Custom(&'a str),
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Field(key) => write!(f, "`{key}`"),
            Name::Item(of) => write!(f, "an entry of `{of}`"),
            Name::Entry { key, of } => write!(f, "`{}` in `{of}`", short(key)),
            Name::Custom(name) => f.write_str(name),
        }
    }
}

impl<'a> Given<'a> {
    /// A value with a name as messages say it, such as "the runbook".
    pub fn new(node: &'a Node, name: &'a str, problems: &'a Problems) -> Given<'a> {
        Given { node, name: Name::Custom(name), problems, form: None }
    }

    /// The value of a field.
    pub fn field(node: &'a Node, key: &'static str, problems: &'a Problems) -> Given<'a> {
        Given { node, name: Name::Field(key), problems, form: None }
    }

    /// What it looks like when it is right, for the hint where it has another form.
    pub fn like(mut self, form: &'static str) -> Given<'a> {
        self.form = Some(form);
        self
    }

    pub fn span(&self) -> Span {
        self.node.span
    }

    /// What stands there, for readers that take more than one form.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The key was written, and nothing behind it.
    pub fn is_empty(&self) -> bool {
        self.node.kind == NodeKind::Null
    }

    /// A text; a bare number or boolean is none.
    pub fn text(&self) -> Option<&'a Text> {
        match &self.node.kind {
            NodeKind::Text(text) => Some(text),
            NodeKind::Plain(_, text) => self.refuse("a text", Some(quote_it(&text.text))),
            _ => self.refuse("a text", None),
        }
    }

    /// A text of one line that is not blank.
    pub fn line(&self) -> Option<&'a Text> {
        let text = self.prose()?;
        let problem = if text.text.trim().is_empty() {
            "is blank"
        } else if text.text.trim_end().contains('\n') {
            "must be one line"
        } else {
            return Some(text);
        };
        let message = format!("{} {problem}", self.name);
        self.problems.push(Diagnostic::error("wrong-value", self.node.span, message).label("expected a line of text"));
        None
    }

    /// A text that people read: a comment that cuts it is an error.
    pub fn prose(&self) -> Option<&'a Text> {
        let text = self.text()?;
        self.whole(text)
    }

    /// An expression: a text, or a bare number or boolean as it was written. A comment that cuts it is an error.
    pub fn expression(&self) -> Option<&'a Text> {
        match &self.node.kind {
            NodeKind::Text(text) | NodeKind::Plain(_, text) if text.text.trim().is_empty() => {
                let message = format!("{} is blank", self.name);
                let problem = Diagnostic::error("wrong-value", self.node.span, message);
                self.problems.push(problem.label("expected an expression"));
                None
            }
            NodeKind::Text(text) | NodeKind::Plain(_, text) => self.whole(text),
            _ => self.refuse("an expression", None),
        }
    }

    /// Any scalar as the text it was written as, so that `3.10` stays `3.10`.
    pub fn text_or_number(&self) -> Option<&'a Text> {
        match &self.node.kind {
            NodeKind::Text(text) | NodeKind::Plain(_, text) => Some(text),
            _ => self.refuse("a text or a number", None),
        }
    }

    /// As [`Given::text_or_number`], where a text is meant.
    pub fn written(&self) -> Option<&'a Text> {
        match &self.node.kind {
            NodeKind::Text(text) | NodeKind::Plain(_, text) => Some(text),
            _ => self.refuse("a text", None),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match &self.node.kind {
            NodeKind::Plain(Value::Bool(value), _) => Some(*value),
            NodeKind::Text(text) => {
                let hint = match text.text.to_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" => Some("write true, without quotes".to_owned()),
                    "false" | "no" | "off" | "n" => Some("write false, without quotes".to_owned()),
                    _ => None,
                };
                self.refuse("true or false", hint)
            }
            _ => self.refuse("true or false", None),
        }
    }

    /// A whole number within a range.
    pub fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let bounds = match (*range.start(), *range.end()) {
            (i64::MIN, i64::MAX) => String::new(),
            (low, i64::MAX) => format!(" of at least {low}"),
            (i64::MIN, high) => format!(" of at most {high}"),
            (low, high) => format!(" from {low} to {high}"),
        };
        match &self.node.kind {
            NodeKind::Plain(Value::Int(value), _) if range.contains(value) => Some(*value),
            NodeKind::Plain(Value::Int(_) | Value::Float(_), text) => {
                let message = format!("{} must be a whole number{bounds}, found {}", self.name, text.text);
                self.report("wrong-value", message, None)
            }
            NodeKind::Text(text) if text.text.parse::<i64>().is_ok_and(|value| range.contains(&value)) => {
                self.refuse("a whole number", Some(format!("write {}, without quotes", text.text)))
            }
            // YAML makes a text of what it cannot hold.
            NodeKind::Text(text) if text.style == super::ScalarStyle::Plain && is_long_number(&text.text) => {
                let message = format!("{} must be a whole number{bounds}, found {}", self.name, short(&text.text));
                self.report("wrong-value", message, Some("no number of so many digits can be held".to_owned()))
            }
            _ => self.refuse(&format!("a whole number{bounds}"), None),
        }
    }

    /// A number of bytes, bare or with a unit: `65536`, `64 KiB`, `4MiB`.
    pub fn bytes(&self, most: u64) -> Option<u64> {
        let read = match &self.node.kind {
            NodeKind::Plain(Value::Int(value), _) => u64::try_from(*value).ok(),
            NodeKind::Text(text) => read_bytes(&text.text),
            _ => None,
        };
        match read {
            Some(bytes) if bytes <= most => Some(bytes),
            _ => {
                let found = match &self.node.kind {
                    NodeKind::Text(text) | NodeKind::Plain(_, text) => format!("`{}`", short(&text.text)),
                    _ => self.node.describe().to_owned(),
                };
                let message = format!("{} must be a number of bytes up to {most}, found {found}", self.name);
                self.report("wrong-value", message, Some("write one such as 65536, 64 KiB or 4 MiB".to_owned()))
            }
        }
    }

    /// A duration such as `1h30m`.
    pub fn duration(&self) -> Option<Spanned<Duration>> {
        let text = match &self.node.kind {
            NodeKind::Text(text) | NodeKind::Plain(Value::Int(_) | Value::Float(_), text) => text,
            _ => return self.refuse("a duration", Some("write one such as 30s, 5m or 1h30m".to_owned())),
        };
        match parse_duration(&text.text) {
            Ok(duration) => Some(Spanned::new(duration, text.span)),
            Err(why) => {
                let (why, hint) = match why.split_once("; ") {
                    Some((why, hint)) => (why, Some(hint.to_owned())),
                    None => (why.as_str(), None),
                };
                self.report("wrong-value", format!("{} must be a duration: {why}", self.name), hint)
            }
        }
    }

    /// One of a few words, and what it stands for.
    pub fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let list = || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let (NodeKind::Text(text) | NodeKind::Plain(_, text)) = &self.node.kind else {
            return self.refuse(&format!("one of {}", list()), None);
        };
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text.text) {
            return Some(*meant);
        }
        let message = format!("{} cannot be `{}`", self.name, short(&text.text));
        let near = did_you_mean(&text.text, words.iter().map(|(word, _)| *word));
        let hint = near.unwrap_or_else(|| format!("use one of {}", list()));
        self.report("wrong-value", message, Some(hint))
    }

    /// The entries of a list.
    pub fn list(&self) -> Option<Vec<Given<'a>>> {
        match &self.node.kind {
            NodeKind::List(items) => Some(items.iter().map(|item| self.item(item)).collect()),
            NodeKind::Text(text) if !text.text.contains(['\n', ',']) && text.text.len() < 60 => {
                let shown =
                    if text.style == super::ScalarStyle::Plain { text.text.clone() } else { quoted(&text.text) };
                self.refuse("a list", Some(format!("write [{shown}]")))
            }
            _ => self.refuse("a list", None),
        }
    }

    /// The entries of a list that is a program and its arguments; none is an error.
    pub fn command(&self) -> Option<Vec<Given<'a>>> {
        match &self.node.kind {
            NodeKind::Text(text) if !text.text.contains(['\n', '"', '\'', ',', '[', '{']) && text.text.len() < 60 => {
                let words: Vec<&str> = text.text.split_whitespace().collect();
                self.refuse("a list", Some(format!("write [{}]", words.join(", "))))
            }
            NodeKind::List(items) if items.is_empty() => {
                self.report("wrong-value", format!("{} is empty; it needs a program", self.name), None)
            }
            _ => self.list(),
        }
    }

    /// The entries of a list, or a value that is not a list as the only one.
    pub fn one_or_many(&self) -> Option<Vec<Given<'a>>> {
        match &self.node.kind {
            NodeKind::Null => self.refuse("one value or a list", None),
            NodeKind::List(_) => self.list(),
            _ => Some(vec![self.clone()]),
        }
    }

    /// The entries of a mapping whose keys are the author's.
    pub fn entries(&self) -> Option<Vec<Pair<'a>>> {
        match &self.node.kind {
            NodeKind::Map(entries) => {
                let of = self.of();
                let pair = |entry: &'a super::Entry| {
                    let name = Name::Entry { key: &entry.key.text, of };
                    (&entry.key, Given { node: &entry.value, name, problems: self.problems, form: None })
                };
                Some(entries.iter().map(pair).collect())
            }
            _ => self.refuse("a mapping", None),
        }
    }

    /// The fields of a mapping whose keys are the language's.
    pub fn fields(&self, what: &'a str) -> Option<Fields<'a>> {
        match &self.node.kind {
            NodeKind::Map(_) => Fields::of(self.node, what, self.problems),
            _ => self.refuse("a mapping", None),
        }
    }

    /// Reports that this is not what it must be, such as "a step id".
    pub fn refuse<T>(&self, expected: &str, hint: Option<String>) -> Option<T> {
        let message = format!("{} must be {expected}, found {}", self.name, self.node.describe());
        let problem = Diagnostic::error("wrong-type", self.node.span, message).label(format!("expected {expected}"));
        let form = || self.form.map(|form| format!("write it like this: {form}"));
        self.problems.push(problem.hint_opt(hint.or_else(form)));
        None
    }

    /// Reports at the value, under a code of the caller's.
    pub fn report<T>(&self, code: &'static str, message: impl Into<String>, hint: Option<String>) -> Option<T> {
        let problem = Diagnostic::error(code, self.node.span, message);
        self.problems.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
        None
    }

    /// As messages say it, such as "`timeout`" or "an entry of `needs`".
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    fn item(&self, node: &'a Node) -> Given<'a> {
        Given { node, name: Name::Item(self.of()), problems: self.problems, form: None }
    }

    fn of(&self) -> &'static str {
        match self.name {
            Name::Field(of) | Name::Item(of) | Name::Entry { of, .. } => of,
            Name::Custom(_) => "the list",
        }
    }

    /// YAML takes ` #` for a comment and says nothing; where people or expressions read on, that is a mistake.
    fn whole(&self, text: &'a Text) -> Option<&'a Text> {
        let Some(comment) = text.cut_by_comment else { return Some(text) };
        let source = self.problems.source();
        let gap = source.slice(Span::new(text.span.end, comment.start));
        let meant = format!("{}{gap}{}", text.text, source.slice(comment));
        self.problems.push(
            Diagnostic::error("comment-cuts-text", comment, "YAML cut the text here: ` #` begins a comment")
                .label("not part of the text")
                .related(text.span, "all that is left of it")
                .hint(format!("put the comment on a line of its own, or if it is text, {}", quote_it(&meant))),
        );
        None
    }
}

/// Bytes as people write them; decimal units are what disk makers mean by them.
fn read_bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ];
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = text[digits..].trim_start();
    let (_, scale) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    text[..digits].parse::<u64>().ok()?.checked_mul(*scale)
}

fn is_long_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.len() > 15 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod bytes {
    use super::read_bytes;

    #[test]
    fn are_read_with_their_units() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("64 KiB", 65_536),
            ("4MiB", 4_194_304),
            ("1 GiB", 1 << 30),
            ("10MB", 10_000_000),
            ("7 B", 7),
        ] {
            assert_eq!(read_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5 MiB", "-1", "4 megs", "99999999999999999999", "18446744073709551615 GiB"] {
            assert_eq!(read_bytes(text), None, "{text}");
        }
    }
}
