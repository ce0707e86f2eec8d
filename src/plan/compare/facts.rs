//! What a mapping of a runbook says, whichever way it is written: short or long forms, units, styles, order of keys and
//! defaults that are written out make no difference. Goes by the tables of fields, and knows no particular kind.

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::{
    model::{FieldDoc, Keys, Kind, Registry, Rule, Takes, fields},
    syntax::{Entry, Node, NodeKind},
    value::{parse_duration, show_duration},
};

/// By a path such as `http.headers.accept`.
pub type Facts = IndexMap<String, Json>;

/// What is in force where the file says nothing, by kind and key; whoever writes it out says nothing new.
pub const DEFAULTS: &[(&str, &str, &str)] = &[
    ("http", "method", "GET"),
    ("http", "follow_redirects", "false"),
    ("http", "max_body", "10 MiB"),
    ("shell", "interpreter", "bash"),
    ("shell", "tty", "false"),
    ("shell", "daemon", "false"),
    ("shell", "kill_grace", "10s"),
    ("shell", "max_output", "4 MiB"),
    ("wait", "interval", "5s"),
    ("wait", "backoff", "1"),
    ("wait", "max_interval", "1m"),
    ("wait", "held_for", "0s"),
    ("wait", "timeout", "10m"),
    ("watch", "interval", "15s"),
    ("watch", "alarm_after", "1"),
    ("watch", "no_data", "3"),
];

/// What is in force where nothing is written at a path below a kind.
pub fn usual(kind: &str, path: &str) -> Option<Json> {
    let (within, last) = path.rsplit_once('.').unwrap_or(("", path));
    let kind = match within.rsplit('.').next() {
        Some(inner @ ("shell" | "http")) => inner,
        _ => kind,
    };
    let row = DEFAULTS.iter().find(|(of, key, _)| *of == kind && *key == last);
    row.map(|(_, _, usual)| Json::from(*usual))
}

/// Keys of containers whose steps are compared one by one.
const INSIDE: [(&str, &str); 2] = [("group", "steps"), ("choose", "cases")];

/// What stands under the key of a kind.
pub fn of_kind(kind: &Kind, node: &Node, registry: Registry) -> Facts {
    let mut facts = Facts::new();
    flatten(String::new(), kind_value(kind, node, registry, true), &mut facts);
    facts
}

/// What a mapping with these fields says.
pub fn of_fields(fields: &'static [FieldDoc], node: &Node, registry: Registry) -> Facts {
    let mut facts = Facts::new();
    let entries = entries(node).iter();
    let value = entries.map(|entry| {
        let takes = fields.iter().find(|field| field.name == entry.key.text).map(|field| &field.takes);
        (entry.key.text.clone(), value(takes.unwrap_or(&Takes::Anything), &entry.value, registry))
    });
    flatten(String::new(), Json::Object(value.collect()), &mut facts);
    facts
}

/// The value of a key.
pub fn at<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    entries(node).iter().find(|entry| entry.key.text == key).map(|entry| &entry.value)
}

pub fn items(node: &Node) -> &[Node] {
    match &node.kind {
        NodeKind::List(items) => items,
        _ => &[],
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.kind {
        NodeKind::Map(entries) => entries,
        _ => &[],
    }
}

/// A normalised value as people read it.
pub fn shown(value: &Json) -> String {
    match value {
        Json::Null => "nothing".into(),
        Json::String(text) => text.clone(),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn flatten(path: String, value: Json, facts: &mut Facts) {
    match value {
        Json::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                flatten(if path.is_empty() { key } else { format!("{path}.{key}") }, value, facts);
            }
        }
        Json::Object(_) | Json::Null if path.is_empty() => {}
        value => {
            facts.insert(path, value);
        }
    }
}

fn kind_value(kind: &Kind, node: &Node, registry: Registry, outside: bool) -> Json {
    let is_map = matches!(node.kind, NodeKind::Map(_));
    if kind.fields.is_empty() {
        return kind.short.as_ref().map_or(Json::Null, |short| value(short, node, registry));
    }
    if !is_map {
        let key = kind.rules.iter().find_map(|rule| match rule {
            Rule::Needs(name) => Some(*name),
            Rule::ExactlyOne(names) => names.first().copied(),
            _ => None,
        });
        let takes = kind.short.as_ref().unwrap_or(&Takes::Anything);
        return Json::Object(Map::from_iter([(key.unwrap_or("for").to_owned(), value(takes, node, registry))]));
    }
    let mut members = Map::new();
    for entry in entries(node) {
        let key = entry.key.text.as_str();
        if outside && INSIDE.contains(&(kind.name, key)) {
            continue;
        }
        let value = member(kind.fields, &entry.key.text, &entry.value, registry);
        let usual = DEFAULTS.iter().find(|(of, name, _)| *of == kind.name && *name == key);
        if usual.is_some_and(|(_, _, usual)| shown(&value) == *usual) {
            continue;
        }
        members.insert(entry.key.text.clone(), value);
    }
    Json::Object(members)
}

/// A member of a mapping: one of its own fields, of those that every step or body has, or a kind.
fn member(own: &'static [FieldDoc], key: &str, node: &Node, registry: Registry) -> Json {
    let around = own.iter().chain(fields::BODY).chain(fields::STEP.fields);
    if let Some(field) = around.into_iter().find(|field| field.name == key) {
        return value(&field.takes, node, registry);
    }
    match registry.get(key) {
        Some(kind) => kind_value(kind, node, registry, false),
        None => anything(node),
    }
}

fn value(takes: &Takes, node: &Node, registry: Registry) -> Json {
    let Some(text) = text(node) else {
        return match (takes, &node.kind) {
            (_, NodeKind::Null) => Json::Null,
            (Takes::Anything | Takes::Scalar, _) => anything(node),
            (Takes::List { of, .. } | Takes::OneOrMany(of), NodeKind::List(items)) => {
                items.iter().map(|item| value(of, item, registry)).collect()
            }
            (Takes::Tuple(of), NodeKind::List(items)) => {
                of.iter().zip(items).map(|(of, item)| value(of, item, registry)).collect()
            }
            (Takes::Entries { keys, of, .. }, NodeKind::Map(entries)) => entries
                .iter()
                .map(|entry| {
                    let key = &entry.key.text;
                    let key = if *keys == Keys::Headers { key.to_ascii_lowercase() } else { key.clone() };
                    (key, value(of, &entry.value, registry))
                })
                .collect::<Map<_, _>>()
                .into(),
            (Takes::Fields(mapping), NodeKind::Map(entries)) => entries
                .iter()
                .map(|entry| (entry.key.text.clone(), member(mapping.fields, &entry.key.text, &entry.value, registry)))
                .collect::<Map<_, _>>()
                .into(),
            (Takes::OneOrMany(of), _) => Json::Array(vec![value(of, node, registry)]),
            (Takes::Either(ways), kind) => {
                let fits = |way: &&Takes| match kind {
                    NodeKind::List(_) => matches!(way, Takes::List { .. } | Takes::Tuple(_)),
                    _ => matches!(way, Takes::Fields(_) | Takes::Entries { .. }),
                };
                ways.iter().find(fits).map_or_else(|| anything(node), |way| value(way, node, registry))
            }
            _ => anything(node),
        };
    };
    match takes {
        Takes::Anything => anything(node),
        Takes::OneOrMany(of) => Json::Array(vec![value(of, node, registry)]),
        Takes::Duration | Takes::FixedDuration => {
            parse_duration(text.trim()).map_or_else(|_| text.trim().to_owned(), show_duration).into()
        }
        Takes::Expression => expression(text).into(),
        Takes::Bytes => bytes(text).into(),
        Takes::Either(ways) => {
            let scalar = |way: &&Takes| {
                !matches!(way, Takes::List { .. } | Takes::Tuple(_) | Takes::Fields(_) | Takes::Entries { .. })
            };
            ways.iter().find(scalar).map_or_else(|| text.trim_end().into(), |way| value(way, node, registry))
        }
        _ => text.trim_end().into(),
    }
}

/// An expression on one line.
pub fn expression(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A size with its unit apart.
fn bytes(text: &str) -> String {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    format!("{number} {}", unit.trim()).trim().to_owned()
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Plain(_, text) | NodeKind::Text(text) => Some(&text.text),
        _ => None,
    }
}

/// Whatever JSON can say, with the types that YAML gives it.
fn anything(node: &Node) -> Json {
    match &node.kind {
        NodeKind::Null => Json::Null,
        NodeKind::Plain(value, _) => value.to_json(),
        NodeKind::Text(text) => text.text.trim_end().into(),
        NodeKind::List(items) => items.iter().map(anything).collect(),
        NodeKind::Map(entries) => {
            entries.iter().map(|entry| (entry.key.text.clone(), anything(&entry.value))).collect::<Map<_, _>>().into()
        }
    }
}
