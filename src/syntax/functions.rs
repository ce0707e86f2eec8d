//! What a filter, test or function is, what it is given, and what a wrong name most likely meant; the table itself is
//! below. Knows nothing of what each of them does.

mod table;

use std::{collections::HashMap, sync::Arc, sync::OnceLock};

use indexmap::IndexMap;

use self::table::TABLE;
use super::{
    ast::{At, Caught, Fault},
    eval::Cell,
    strict::{Meter, a_kind, brief},
};
use crate::{text::nearest, value::Value};

/// Names that neither a template nor a runbook may set.
pub const RESERVED: [&str; 23] = [
    "result",
    "steps",
    "value",
    "run",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "null",
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "for",
    "loop",
    "self",
    "elif",
    "undefined",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// `value|name(…)`
    Filter,
    /// `value is name(…)`
    Test,
    /// `name(…)`
    Function,
}

impl FunctionKind {
    pub fn word(self) -> &'static str {
        match self {
            FunctionKind::Filter => "filter",
            FunctionKind::Test => "test",
            FunctionKind::Function => "function",
        }
    }
}

/// One filter, test or function, as the reference page shows it.
pub struct FunctionDoc {
    pub kind: FunctionKind,
    pub name: &'static str,
    /// Other names for the same.
    pub aliases: &'static [&'static str],
    /// The name with its parameters; one with `=` may be left out, those after `*` are given by name.
    pub signature: &'static str,
    pub summary: &'static str,
    /// An expression, and what it gives.
    pub example: &'static str,
    pub gives: &'static str,
    /// An expression that is refused, and the message.
    pub wrong: &'static str,
    pub says: &'static str,
    pub(super) run: fn(&mut Input<'_>) -> Caught<Cell>,
}

/// Every filter, test and function there is, each kind in alphabetical order.
pub fn functions() -> &'static [FunctionDoc] {
    TABLE
}

/// A row of the table with its signature read.
pub(super) struct Function {
    pub doc: &'static FunctionDoc,
    pub params: Vec<Param>,
    pub rest: Rest,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.doc.kind.word(), self.doc.signature)
    }
}

impl Function {
    /// Whether it cannot be applied to each item by name: it needs a filter or test of its own.
    pub fn each_unfit(&self) -> bool {
        self.params.iter().any(|param| matches!(param.name, "filter" | "test"))
    }
}

pub(super) struct Param {
    pub name: &'static str,
    pub required: bool,
    pub keyword_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    Positional,
    Named,
    Both,
}

fn read(doc: &'static FunctionDoc) -> Function {
    let inside = doc.signature.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or("");
    let mut function = Function { doc, params: Vec::new(), rest: Rest::None };
    let mut keyword_only = false;
    for part in inside.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part.starts_with("**") {
            function.rest = if function.rest == Rest::Positional { Rest::Both } else { Rest::Named };
        } else if part.starts_with('*') {
            keyword_only = true;
            if part.len() > 1 {
                function.rest = Rest::Positional;
            }
        } else {
            let name = part.split('=').next().unwrap_or(part);
            function.params.push(Param { name, required: !part.contains('='), keyword_only });
        }
    }
    function
}

type Index = HashMap<FunctionKind, HashMap<&'static str, Function>>;

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index::new();
        for doc in TABLE {
            for name in [doc.name].iter().chain(doc.aliases) {
                index.entry(doc.kind).or_default().insert(name, read(doc));
            }
        }
        index
    })
}

pub(super) fn find(kind: FunctionKind, name: &str) -> Option<&'static Function> {
    index().get(&kind).and_then(|names| names.get(name))
}

/// The name that a writer of `name` most likely meant.
pub(super) fn meant(kind: FunctionKind, name: &str) -> Option<&'static str> {
    use FunctionKind::{Filter, Function, Test};
    let habit = match (kind, name) {
        (Filter, "strip") => Some("trim"),
        (Filter, "upcase" | "uppercase") => Some("upper"),
        (Filter, "downcase" | "lowercase") => Some("lower"),
        (Filter, "len" | "size" | "wordcount") => Some("length"),
        (Filter, "to_json" | "json" | "to_nice_json") => Some("tojson"),
        (Filter, "from_json" | "parse_json" | "json_decode") => Some("fromjson"),
        (Filter, "str" | "text") => Some("string"),
        (Filter, "number") => Some("int"),
        (Filter, "regex_search" | "regex_match" | "regex") => Some("regex_find"),
        (Filter, "regex_find_all" | "findall" | "scan") => Some("regex_findall"),
        (Filter, "regex_sub" | "sub" | "gsub") => Some("regex_replace"),
        (Filter, "quote" | "shellquote" | "shlex_quote") => Some("shell_quote"),
        (Filter, "base64" | "base64_encode" | "to_base64") => Some("b64encode"),
        (Filter, "base64_decode" | "from_base64") => Some("b64decode"),
        (Filter, "hash" | "checksum" | "sha256sum") => Some("sha256"),
        (Filter, "urlquote" | "url_encode") => Some("urlencode"),
        (Filter, "splitlines" | "split_lines") => Some("lines"),
        (Filter, "get" | "lookup") => Some("attr"),
        (Filter, "dict2items") => Some("items"),
        (Filter, "date" | "datetimeformat" | "dateformat" | "timestamp_custom" | "format_time") => Some("strftime"),
        (Filter, "strptime" | "as_datetime" | "parse_time" | "datetime") => Some("to_datetime"),
        (Filter, "timestamp" | "as_timestamp" | "unixtime") => Some("epoch"),
        (Filter, "add_duration" | "add_time" | "dateadd" | "timedelta") => Some("later"),
        (Filter, "sort_versions" | "sort_version") => Some("version_sort"),
        (Test, "null") => Some("none"),
        (Test, "match" | "search" | "regex") => Some("matches"),
        (Test, "startswith") => Some("startingwith"),
        (Test, "endswith") => Some("endingwith"),
        (Test, "list") => Some("sequence"),
        (Test, "map" | "dict") => Some("mapping"),
        (Test, "bool") => Some("boolean"),
        (Test, "contains") => Some("containing"),
        (Test, "semver" | "version_at_least") => Some("version"),
        (Function, "semver_compare" | "compare_versions") => Some("version_compare"),
        _ => None,
    };
    habit.or_else(|| nearest(name, index().get(&kind).into_iter().flatten().map(|(name, _)| *name)))
}

pub(super) fn regex(pattern: &str) -> Result<regex::Regex, String> {
    // Quotes of an expression make one of `\b`, and a pattern that finds nothing says nothing.
    if pattern.contains('\u{8}') {
        return Err(r"`\b` in quotes is a backspace; write `\\b` for the edge of a word".to_owned());
    }
    regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // The last line says what is wrong; those before it draw the pattern.
        other => other
            .to_string()
            .lines()
            .last()
            .unwrap_or("it cannot be read")
            .trim()
            .trim_start_matches("error: ")
            .to_owned(),
    })
}

/// What a filter, test or function is given.
pub(super) struct Input<'m> {
    pub meter: &'m mut Meter,
    pub function: &'static Function,
    pub subject: Cell,
    pub subject_at: At,
    pub written: &'m str,
    /// One for each parameter.
    pub args: Vec<Option<Cell>>,
    pub places: Vec<At>,
    pub rest: Vec<(Option<String>, Value)>,
    pub each: Option<&'static Function>,
    pub regex: Option<&'m regex::Regex>,
    /// The regular expression that `map`, `select` and their kin hand to what they apply, compiled for all items.
    pub shared: Option<regex::Regex>,
    /// The place of the name.
    pub at: At,
}

impl Input<'_> {
    /// "the filter `name`".
    pub fn label(&self) -> String {
        let doc = self.function.doc;
        format!("the {} `{}`", doc.kind.word(), doc.name)
    }

    pub fn fault(&self, code: &'static str, at: &At, message: impl Into<String>) -> Box<Fault> {
        Fault::new(code, at.clone(), message)
    }

    /// A fault about the value the filter works on.
    pub fn bad(&self, message: impl Into<String>) -> Box<Fault> {
        Fault::new("bad-value", self.subject_at.clone(), message)
    }

    pub fn subject(&mut self) -> Caught<Value> {
        std::mem::replace(&mut self.subject, Cell::Value(Value::None)).value()
    }

    fn mismatch(&self, value: &Value, at: &At, needed: &str) -> Box<Fault> {
        let message = format!("{} needs {needed}, this is {}", self.label(), a_kind(value));
        self.fault("type-mismatch", at, message).label(a_kind(value))
    }

    pub fn subject_mismatch(&self, value: &Value, needed: &str) -> Box<Fault> {
        let hint = match (value, needed) {
            (Value::None, _) => Some(format!("give it a value: `{}|default(…, true)`", brief(self.written))),
            (Value::List(_), "a string") if self.function.doc.kind == FunctionKind::Filter => {
                let name = self.function.doc.name;
                let more = if self.function.params.iter().any(|param| param.required) { ", …" } else { "" };
                Some(format!("put it over each item: `|map(\"{name}\"{more})`, or make one text first: `|join(\" \")`"))
            }
            (_, "a string") => Some(format!("convert with `|string`: `{}|string`", brief(self.written))),
            (Value::Text(_), "a number") => Some(format!("convert with `|int`: `{}|int`", brief(self.written))),
            (Value::Text(_), "a list") => Some("cut a string with `|lines` or `|split`".to_owned()),
            _ => None,
        };
        self.mismatch(value, &self.subject_at, needed).hint_opt(hint)
    }

    pub fn text(&mut self) -> Caught<Arc<str>> {
        match self.subject()? {
            Value::Text(text) => Ok(text),
            other => Err(self.subject_mismatch(&other, "a string")),
        }
    }

    /// A list; the keys of a map count as one.
    pub fn list(&mut self) -> Caught<Arc<Vec<Value>>> {
        let at = self.at.clone();
        match self.subject()? {
            Value::List(items) => {
                self.meter.spend(items.len(), &at)?;
                Ok(items)
            }
            Value::Map(entries) => {
                self.meter.spend(entries.len(), &at)?;
                Ok(Arc::new(entries.keys().map(Value::text).collect()))
            }
            other => Err(self.subject_mismatch(&other, "a list")),
        }
    }

    pub fn map(&mut self) -> Caught<Arc<IndexMap<String, Value>>> {
        let at = self.at.clone();
        match self.subject()? {
            Value::Map(entries) => {
                self.meter.spend(entries.len(), &at)?;
                Ok(entries)
            }
            other => Err(self.subject_mismatch(&other, "a map")),
        }
    }

    pub fn arg(&mut self, index: usize) -> Caught<Option<Value>> {
        match self.args.get_mut(index).and_then(Option::take) {
            Some(cell) => cell.value().map(Some),
            None => Ok(None),
        }
    }

    /// A parameter that the signature requires.
    pub fn needed(&mut self, index: usize) -> Caught<Value> {
        match self.arg(index)? {
            Some(value) => Ok(value),
            None => {
                let name = self.function.params.get(index).map_or("argument", |param| param.name);
                let at = self.at.clone();
                Err(self.fault("bad-expression", &at, format!("{} needs `{name}`", self.label())))
            }
        }
    }

    pub fn place(&self, index: usize) -> At {
        self.places.get(index).cloned().unwrap_or_else(|| self.at.clone())
    }

    fn arg_mismatch(&self, index: usize, value: &Value, needed: &str) -> Box<Fault> {
        let name = self.function.params.get(index).map_or("argument", |param| param.name);
        let message = format!("`{name}` of {} must be {needed}, this is {}", self.label(), a_kind(value));
        self.fault("type-mismatch", &self.place(index), message).label(a_kind(value))
    }

    pub fn arg_text(&mut self, index: usize) -> Caught<Option<Arc<str>>> {
        match self.arg(index)? {
            None | Some(Value::None) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.arg_mismatch(index, &other, "a string")),
        }
    }

    pub fn needed_text(&mut self, index: usize) -> Caught<Arc<str>> {
        match self.needed(index)? {
            Value::Text(text) => Ok(text),
            other => Err(self.arg_mismatch(index, &other, "a string")),
        }
    }

    pub fn arg_int(&mut self, index: usize) -> Caught<Option<i64>> {
        match self.arg(index)? {
            None | Some(Value::None) => Ok(None),
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(other) => Err(self.arg_mismatch(index, &other, "a whole number")),
        }
    }

    /// A count between 0 and `most`.
    pub fn arg_size(&mut self, index: usize, most: usize) -> Caught<Option<usize>> {
        let Some(number) = self.arg_int(index)? else { return Ok(None) };
        match usize::try_from(number) {
            Ok(size) if size <= most => Ok(Some(size)),
            _ => {
                let name = self.function.params.get(index).map_or("argument", |param| param.name);
                let message = format!("`{name}` of {} must lie between 0 and {most}, this is {number}", self.label());
                Err(self.fault("bad-value", &self.place(index), message))
            }
        }
    }

    pub fn arg_bool(&mut self, index: usize) -> Caught<bool> {
        match self.arg(index)? {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(truth),
            Some(other) => Err(self.arg_mismatch(index, &other, "true or false")),
        }
    }

    /// The regular expression at `index`, compiled now if it was not written out.
    pub fn pattern(&mut self, index: usize) -> Caught<regex::Regex> {
        let text = self.needed_text(index)?;
        if let Some(regex) = self.regex {
            return Ok(regex.clone());
        }
        let at = self.place(index);
        self.meter.spend(20_000, &at)?;
        regex(&text).map_err(|why| self.fault("bad-value", &at, format!("this is no regular expression: {why}")))
    }

    /// Puts `each` (or another function) over one item with the arguments that follow its name.
    pub fn apply(&mut self, function: &'static Function, item: Value) -> Caught<Cell> {
        self.meter.spend(1, &self.at)?;
        if let Value::Text(text) = &item {
            self.meter.scan(text.len(), &self.at)?;
        }
        if self.shared.is_none()
            && function.params.first().is_some_and(|param| param.name == "re")
            && let Some((_, Value::Text(pattern))) = self.rest.first()
        {
            self.meter.spend(20_000, &self.at)?;
            let wrong = |why| Fault::new("bad-value", self.at.clone(), format!("this is no regular expression: {why}"));
            self.shared = Some(regex(pattern).map_err(wrong)?);
        }
        let mut given = self.rest.iter().map(|(_, value)| value.clone());
        let args = function
            .params
            .iter()
            .map(|param| if param.keyword_only { None } else { given.next().map(Cell::Value) })
            .collect();
        let rest = given.map(|value| (None, value)).collect();
        let mut input = Input {
            meter: self.meter,
            function,
            subject: Cell::Value(item),
            subject_at: self.subject_at.clone(),
            written: "value",
            args,
            places: function.params.iter().map(|_| self.at.clone()).collect(),
            rest,
            each: None,
            regex: self.shared.as_ref(),
            shared: None,
            at: self.at.clone(),
        };
        (function.doc.run)(&mut input)
    }
}
