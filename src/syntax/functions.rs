//! The one table of filters, tests and functions: it drives the checks at compile time, the calls and the reference
//! page. Knows nothing of what each of them does.

use std::{collections::HashMap, sync::Arc, sync::OnceLock};

use indexmap::IndexMap;

use super::{
    ast::{At, Caught, Fault},
    checks,
    eval::Cell,
    filters, format, sequences,
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
    let habit = match (kind, name) {
        (FunctionKind::Filter, "strip") => Some("trim"),
        (FunctionKind::Filter, "upcase" | "uppercase") => Some("upper"),
        (FunctionKind::Filter, "downcase" | "lowercase") => Some("lower"),
        (FunctionKind::Filter, "len" | "size" | "wordcount") => Some("length"),
        (FunctionKind::Filter, "to_json" | "json") => Some("tojson"),
        (FunctionKind::Filter, "from_json" | "parse_json" | "json_decode") => Some("fromjson"),
        (FunctionKind::Filter, "str" | "text") => Some("string"),
        (FunctionKind::Filter, "number") => Some("int"),
        (FunctionKind::Filter, "regex_search" | "regex_match" | "regex") => Some("regex_find"),
        (FunctionKind::Filter, "quote") => Some("shell_quote"),
        (FunctionKind::Filter, "base64") => Some("b64encode"),
        (FunctionKind::Filter, "urlquote" | "url_encode") => Some("urlencode"),
        (FunctionKind::Test, "null") => Some("none"),
        (FunctionKind::Test, "match" | "search" | "regex") => Some("matches"),
        (FunctionKind::Test, "startswith") => Some("startingwith"),
        (FunctionKind::Test, "endswith") => Some("endingwith"),
        (FunctionKind::Test, "list") => Some("sequence"),
        (FunctionKind::Test, "map" | "dict") => Some("mapping"),
        (FunctionKind::Test, "bool") => Some("boolean"),
        _ => None,
    };
    habit.or_else(|| nearest(name, index().get(&kind).into_iter().flatten().map(|(name, _)| *name)))
}

pub(super) fn regex(pattern: &str) -> Result<regex::Regex, String> {
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
    /// The place of the name.
    pub at: At,
}

impl Input<'_> {
    fn label(&self) -> String {
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
                let message = format!("`{name}` of {} must lie between 0 and {most}", self.label());
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
            regex: None,
            at: self.at.clone(),
        };
        (function.doc.run)(&mut input)
    }
}

macro_rules! table {
    ($($kind:ident $name:literal $(or $($alias:literal),+)? : $signature:literal, $summary:literal, $example:literal => $gives:literal, $run:path;)*) => {
        &[$(FunctionDoc {
            kind: FunctionKind::$kind,
            name: $name,
            aliases: &[$($($alias),+)?],
            signature: $signature,
            summary: $summary,
            example: $example,
            gives: $gives,
            run: $run,
        }),*]
    };
}

static TABLE: &[FunctionDoc] = table! {
    Filter "abs": "abs", "the number without its sign", "-3|abs" => "3", filters::abs;
    Filter "attr": "attr(name)", "the entry of a map under a name that is worked out", "{'a': 1}|attr('a')" => "1", sequences::attr;
    Filter "b64decode": "b64decode", "the text that a base64 text stands for; fails if it is none, or not UTF-8", "'aGk='|b64decode" => "hi", filters::b64decode;
    Filter "b64encode": "b64encode", "the text in base64, on one line", "'hi'|b64encode" => "aGk=", filters::b64encode;
    Filter "batch": "batch(count, fill=none)", "the list in lists of so many items", "[1, 2, 3]|batch(2)" => "[[1,2],[3]]", sequences::batch;
    Filter "bool": "bool", "the texts `true` and `false` as a boolean; fails on any other", "'true'|bool" => "true", filters::bool;
    Filter "capitalize": "capitalize", "the first letter large, the others small", "'hELLO'|capitalize" => "Hello", filters::capitalize;
    Filter "chain": "chain(*lists)", "the lists one after the other", "[1]|chain([2], [3])" => "[1,2,3]", sequences::chain;
    Filter "default" or "d": "default(value=\"\", lax=false)", "the value, or another where there is none; with `true` also for none, false, 0 and what is empty", "{}.a|default('x')" => "x", filters::default;
    Filter "dictsort": "dictsort(case_sensitive=false, by=\"key\", reverse=false)", "the pairs of a map, sorted", "{'b': 1, 'a': 2}|dictsort" => "[[\"a\",2],[\"b\",1]]", sequences::dictsort;
    Filter "duration": "duration", "the duration that a text such as `1h30m` says", "'90m'|duration" => "1h30m", filters::duration;
    Filter "first": "first", "the first item or character", "[7, 8]|first" => "7", sequences::first;
    Filter "float": "float(default=none)", "the number that a text says; fails on any other text, unless there is a default", "'1.5'|float" => "1.5", filters::float;
    Filter "format": "format(*values, **named)", "the text with `%s`, `%d`, `%5.2f`, `%x` replaced in turn", "'%03d-%s'|format(7, 'a')" => "007-a", format::format;
    Filter "fromjson": "fromjson", "what a JSON text says", "'{\"a\": [1]}'|fromjson" => "{\"a\":[1]}", filters::fromjson;
    Filter "groupby": "groupby(attribute)", "pairs of a value and the items that have it", "[{'k': 1}, {'k': 1}]|groupby('k')" => "[[1,[{\"k\":1},{\"k\":1}]]]", sequences::groupby;
    Filter "indent": "indent(width=4, first=false, blank=false)", "every line after the first moved to the right", "'a\nb'|indent(2)" => "a\n  b", filters::indent;
    Filter "int": "int(default=none)", "the whole number that a text says, or a number without its fraction; fails on any other text, unless there is a default", "'42'|int" => "42", filters::int;
    Filter "items": "items", "the pairs of a map", "{'a': 1}|items" => "[[\"a\",1]]", sequences::items;
    Filter "join": "join(separator=\"\", attribute=none)", "the items as one text", "['a', 1]|join(', ')" => "a, 1", sequences::join;
    Filter "keys": "keys", "the keys of a map", "{'a': 1}|keys" => "[\"a\"]", sequences::keys;
    Filter "last": "last", "the last item or character", "[7, 8]|last" => "8", sequences::last;
    Filter "length" or "count": "length", "how many characters, items or entries", "'abc'|length" => "3", sequences::length;
    Filter "lines": "lines", "the lines of a text, without their ends", "'a\nb\n'|lines" => "[\"a\",\"b\"]", filters::lines;
    Filter "list": "list", "the characters of a text, the keys of a map, or the list itself", "'ab'|list" => "[\"a\",\"b\"]", sequences::list_filter;
    Filter "lower": "lower", "the text in small letters", "'AB'|lower" => "ab", filters::lower;
    Filter "map": "map(filter=none, *arguments, attribute=none, default=none)", "each item through a filter, or one attribute of each", "[{'a': 1}]|map(attribute='a')" => "[1]", sequences::map;
    Filter "max": "max(attribute=none)", "the largest item", "[1, 3, 2]|max" => "3", sequences::max;
    Filter "min": "min(attribute=none)", "the smallest item", "[1, 3, 2]|min" => "1", sequences::min;
    Filter "path": "path", "a path for a URL: `/` stays, the rest is encoded; refuses `..` and empty segments", "'job/a b'|path" => "job/a%20b", filters::path;
    Filter "pprint": "pprint", "the value as indented JSON", "[1]|pprint" => "[\n  1\n]", filters::pprint;
    Filter "regex_find": "regex_find(re)", "the first group, or the whole, of the first match anywhere; none without a match", "'host db3'|regex_find('host (\\\\S+)')" => "db3", filters::regex_find;
    Filter "regex_findall": "regex_findall(re)", "the first group, or the whole, of every match", "'a1b2'|regex_findall('[0-9]')" => "[\"1\",\"2\"]", filters::regex_findall;
    Filter "regex_replace": "regex_replace(re, new)", "every match replaced; `$1` is the first group, `$$` a dollar", "'v1.2'|regex_replace('^v', '')" => "1.2", filters::regex_replace;
    Filter "reject": "reject(test=none, *arguments)", "the items that do not pass a test", "[1, 2]|reject('odd')" => "[2]", sequences::reject;
    Filter "rejectattr": "rejectattr(attribute, test=none, *arguments)", "the items whose attribute does not pass a test", "[{'a': true}, {'a': false}]|rejectattr('a')" => "[{\"a\":false}]", sequences::rejectattr;
    Filter "replace": "replace(old, new, count=none)", "every occurrence replaced", "'a-b'|replace('-', '_')" => "a_b", filters::replace;
    Filter "reverse": "reverse", "the list or text backwards", "[1, 2]|reverse" => "[2,1]", sequences::reverse;
    Filter "round": "round(digits=0, method=\"common\")", "rounded; the method is common, floor or ceil", "2.567|round(1)" => "2.6", filters::round;
    Filter "seconds": "seconds", "a duration, or the text of one, as a number of seconds", "'1m30s'|seconds" => "90", filters::seconds;
    Filter "select": "select(test=none, *arguments)", "the items that pass a test", "[1, 2]|select('even')" => "[2]", sequences::select;
    Filter "selectattr": "selectattr(attribute, test=none, *arguments)", "the items whose attribute passes a test", "[{'a': 1}, {'a': 2}]|selectattr('a', 'eq', 2)" => "[{\"a\":2}]", sequences::selectattr;
    Filter "sha256": "sha256", "the SHA-256 of the text's UTF-8 bytes, in hex", "'a'|sha256" => "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", filters::sha256;
    Filter "shell_quote": "shell_quote", "the text as one word of a shell, quoted where needed", "\"it's\"|shell_quote" => "'it'\\''s'", filters::shell_quote;
    Filter "slice": "slice(count, fill=none)", "the list in so many lists", "[1, 2, 3]|slice(2)" => "[[1,2],[3]]", sequences::slice;
    Filter "sort": "sort(reverse=false, case_sensitive=false, attribute=none)", "the list in order; its items must be of one type", "[2, 1]|sort" => "[1,2]", sequences::sort;
    Filter "split": "split(separator=none, count=none)", "the parts between separators, or between blanks", "'a,b'|split(',')" => "[\"a\",\"b\"]", filters::split;
    Filter "string": "string", "the value as a text", "5|string" => "5", filters::string;
    Filter "sum": "sum(attribute=none, start=0)", "the numbers or durations added up", "[1, 2]|sum" => "3", sequences::sum;
    Filter "title": "title", "every word with a large first letter", "'a bc'|title" => "A Bc", filters::title;
    Filter "tojson": "tojson(indent=none)", "the value as JSON", "{'a': none}|tojson" => "{\"a\":null}", filters::tojson;
    Filter "trim": "trim(chars=none)", "without blanks, or the given characters, at both ends", "' a '|trim" => "a", filters::trim;
    Filter "truncate": "truncate(length=255, end=\"…\")", "at most so many characters", "'abcdef'|truncate(4)" => "abc…", filters::truncate;
    Filter "unique": "unique(case_sensitive=false, attribute=none)", "every item once", "[1, 2, 1]|unique" => "[1,2]", sequences::unique;
    Filter "upper": "upper", "the text in large letters", "'ab'|upper" => "AB", filters::upper;
    Filter "urlencode": "urlencode", "percent-encoded, `/` kept; a map becomes `a=1&b=2`", "'a b&c'|urlencode" => "a%20b%26c", filters::urlencode;
    Filter "values": "values", "the values of a map", "{'a': 1}|values" => "[1]", sequences::values;
    Filter "zip": "zip(*lists)", "lists of the items at each position, up to the shortest", "[1, 2]|zip(['a', 'b'])" => "[[1,\"a\"],[2,\"b\"]]", sequences::zip;
    Function "dict": "dict(**entries)", "a map of the named arguments", "dict(a=1)" => "{\"a\":1}", sequences::dict;
    Function "range": "range(start, stop=none, step=1)", "whole numbers from start up to, without, stop; from 0 with one argument", "range(3)" => "[0,1,2]", sequences::range;
    Test "boolean": "boolean", "is it true or false?", "1 is boolean" => "false", checks::boolean;
    Test "containing": "containing(item)", "is the item in the list, the key in the map, the part in the text?", "'abc' is containing('b')" => "true", checks::containing;
    Test "defined": "defined", "does it have a value?", "{}.a is defined" => "false", checks::defined;
    Test "divisibleby": "divisibleby(number)", "is nothing left after dividing?", "9 is divisibleby(3)" => "true", checks::divisibleby;
    Test "duration": "duration", "is it a duration?", "1 is duration" => "false", checks::duration;
    Test "empty": "empty", "is the text, list or map empty?", "'' is empty" => "true", checks::empty;
    Test "endingwith": "endingwith(part)", "does the text end so?", "'a.txt' is endingwith('.txt')" => "true", checks::endingwith;
    Test "eq" or "equalto", "sameas": "eq(other)", "as `==`", "[1, 2]|select('eq', 2)" => "[2]", checks::eq;
    Test "even": "even", "is it divisible by two?", "2 is even" => "true", checks::even;
    Test "false": "false", "is it the boolean false?", "false is false" => "true", checks::r#false;
    Test "float": "float", "is it a number with a fraction?", "1.5 is float" => "true", checks::float;
    Test "ge": "ge(other)", "as `>=`", "2 is ge(2)" => "true", checks::ge;
    Test "gt" or "greaterthan": "gt(other)", "as `>`", "2 is gt(2)" => "false", checks::gt;
    Test "in": "in(container)", "as the operator `in`", "1 is in([1])" => "true", checks::is_in;
    Test "integer" or "int": "integer", "is it a whole number?", "1 is integer" => "true", checks::integer;
    Test "iterable": "iterable", "is it a list or a map?", "[] is iterable" => "true", checks::iterable;
    Test "le": "le(other)", "as `<=`", "2 is le(2)" => "true", checks::le;
    Test "lower": "lower", "is the text in small letters?", "'ab' is lower" => "true", checks::lower;
    Test "lt" or "lessthan": "lt(other)", "as `<`", "1 is lt(2)" => "true", checks::lt;
    Test "mapping": "mapping", "is it a map?", "{} is mapping" => "true", checks::mapping;
    Test "matches": "matches(re)", "does the regular expression match anywhere? `^…$` for the whole", "'v3.20' is matches('^v[0-9]+')" => "true", checks::matches;
    Test "ne": "ne(other)", "as `!=`", "1 is ne(2)" => "true", checks::ne;
    Test "none": "none", "is it none?", "none is none" => "true", checks::none;
    Test "number": "number", "is it a number?", "1.5 is number" => "true", checks::number;
    Test "odd": "odd", "is it not divisible by two?", "2 is odd" => "false", checks::odd;
    Test "sequence": "sequence", "is it a list?", "[] is sequence" => "true", checks::sequence;
    Test "startingwith": "startingwith(part)", "does the text begin so?", "'v3' is startingwith('v')" => "true", checks::startingwith;
    Test "string": "string", "is it a text?", "'a' is string" => "true", checks::string;
    Test "true": "true", "is it the boolean true?", "true is true" => "true", checks::r#true;
    Test "undefined": "undefined", "does it have no value?", "{}.a is undefined" => "true", checks::undefined;
    Test "upper": "upper", "is the text in large letters?", "'AB' is upper" => "true", checks::upper;
};
