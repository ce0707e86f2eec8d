//! The language as JSON Schema, for editors. Made from the tables of fields and kinds; knows no field by name, and only
//! what can be told of a value without the rest of its file.

use serde_json::{Map, Value, json};

use crate::model::{
    FieldDoc, Keys, Kind, Mapping, Registry, Rule, Takes,
    fields::{BODY, ID, NAME, RUNBOOK},
};

/// Sums of numbers with units, from large to small, as durations are read.
const DURATION: &str = r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$";
const BYTES: &str = r"^\s*\d+\s*(([kKmMgG][iI]?)?[bB])?\s*$";
/// One line that is not blank.
const LINE: &str = r"^[^\n]*\S[^\n]*\s*$";
const FILLED: &str = r"\S";
const TEMPLATE: &str = r"\{\{";

/// The schema of a runbook, in the draft of 2020-12. Kinds that are not supported yet are not in it.
pub fn schema(registry: Registry) -> Value {
    let about = "A runbook of Runsheet: what is done, step by step, and how its results are judged.";
    schema_of(&RUNBOOK, "Runbook", about, registry)
}

/// The schema of a file whose fields stand in a table.
pub fn schema_of(root: &'static Mapping, title: &str, about: &str, registry: Registry) -> Value {
    let mut made = Schema { registry, parts: Map::new() };
    let root = made.mapping(root);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": about,
    });
    let mut parts: Vec<(String, Value)> = made.parts.into_iter().collect();
    parts.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
        schema.insert("$defs".into(), Value::Object(parts.into_iter().collect()));
    }
    schema
}

struct Schema {
    registry: Registry,
    /// By name: what is referred to.
    parts: Map<String, Value>,
}

impl Schema {
    fn mapping(&mut self, mapping: &Mapping) -> Value {
        self.object(mapping.fields, mapping.rules)
    }

    fn object(&mut self, fields: &[FieldDoc], rules: &[Rule]) -> Value {
        let mut properties = Map::new();
        for field in fields {
            if let Some(schema) = self.field(field) {
                properties.insert(field.name.to_owned(), schema);
            }
        }
        let (mut required, mut all, mut goes) = (Vec::new(), Vec::new(), Map::new());
        for rule in rules {
            match rule {
                Rule::Needs(key) => required.push(*key),
                Rule::ExactlyOne(keys) => all.push(json!({"oneOf": each_required(keys.iter().copied())})),
                Rule::AtLeastOne(keys) => all.push(json!({"anyOf": each_required(keys.iter().copied())})),
                Rule::AtMostOne(keys) => {
                    let mut ways: Vec<Value> = each_required(keys.iter().copied());
                    ways.push(json!({"not": {"anyOf": each_required(keys.iter().copied())}}));
                    all.push(json!({"oneOf": ways}));
                }
                Rule::Goes(key, with) => {
                    goes.insert((*key).to_owned(), json!([with]));
                }
                Rule::Holds(names) => {
                    // What the mapping says itself is stronger: the `timeout` of a wait is not that of its look.
                    for field in BODY {
                        if !properties.contains_key(field.name)
                            && let Some(schema) = self.field(field)
                        {
                            properties.insert(field.name.to_owned(), schema);
                        }
                    }
                    let kinds: Vec<&'static Kind> = self
                        .registry
                        .0
                        .iter()
                        .filter(|kind| kind.lower.is_some() && (names.is_empty() || names.contains(&kind.name)))
                        .collect();
                    for kind in &kinds {
                        properties.insert(kind.name.to_owned(), self.kind(kind));
                    }
                    all.push(json!({"oneOf": each_required(kinds.iter().map(|kind| kind.name))}));
                }
            }
        }
        let mut object = Map::new();
        object.insert("type".into(), "object".into());
        object.insert("properties".into(), properties.into());
        object.insert("additionalProperties".into(), false.into());
        if !required.is_empty() {
            object.insert("required".into(), required.into());
        }
        if !goes.is_empty() {
            object.insert("dependentRequired".into(), goes.into());
        }
        if !all.is_empty() {
            object.insert("allOf".into(), all.into());
        }
        object.into()
    }

    /// None where the field is not supported yet.
    fn field(&mut self, field: &FieldDoc) -> Option<Value> {
        if matches!(field.takes, Takes::Later) {
            return None;
        }
        let mut schema = self.takes(&field.takes);
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".into(), format!("{} ({})", field.summary, field.takes.words()).into());
        }
        Some(schema)
    }

    fn kind(&mut self, kind: &'static Kind) -> Value {
        let name = format!("kind-{}", kind.name);
        if !self.parts.contains_key(&name) {
            // In its place already, for kinds that hold steps.
            self.parts.insert(name.clone(), Value::Null);
            let long = (!kind.fields.is_empty()).then(|| self.object(kind.fields, kind.rules));
            let short = kind.short.as_ref().map(|short| self.takes(short));
            let ways: Vec<Value> = short.into_iter().chain(long).collect();
            let schema = match <[Value; 1]>::try_from(ways) {
                Ok([only]) => only,
                Err(ways) => json!({"anyOf": ways}),
            };
            self.parts.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/$defs/{name}"), "description": kind.summary})
    }

    fn part(&mut self, mapping: &'static Mapping) -> Value {
        if !self.parts.contains_key(mapping.name) {
            self.parts.insert(mapping.name.to_owned(), Value::Null);
            let schema = self.mapping(mapping);
            self.parts.insert(mapping.name.to_owned(), schema);
        }
        json!({"$ref": format!("#/$defs/{}", mapping.name)})
    }

    fn takes(&mut self, takes: &Takes) -> Value {
        match takes {
            Takes::Later => json!(false),
            Takes::Line => json!({"type": "string", "pattern": LINE}),
            Takes::Filled => json!({"type": "string", "pattern": FILLED}),
            Takes::Text | Takes::Url => json!({"type": "string"}),
            Takes::Template | Takes::Scalar => json!({"type": ["string", "number", "boolean"]}),
            Takes::Expression => json!({"type": ["string", "number", "boolean"], "pattern": FILLED}),
            Takes::FixedDuration => json!({"type": "string", "pattern": DURATION, "minLength": 2}),
            Takes::Duration => {
                json!({"type": "string", "anyOf": [{"pattern": DURATION, "minLength": 2}, {"pattern": TEMPLATE}]})
            }
            Takes::Bytes => json!({"type": ["integer", "string"], "minimum": 0, "pattern": BYTES}),
            Takes::Boolean => json!({"type": "boolean"}),
            Takes::True => json!({"const": true}),
            Takes::Integer { least, most } => {
                let mut schema = json!({"type": "integer", "minimum": least});
                if *most != i64::MAX {
                    schema["maximum"] = json!(most);
                }
                schema
            }
            Takes::Number { least } => json!({"type": "number", "minimum": least}),
            Takes::Anything => json!({}),
            Takes::OneOf(words) => json!({"enum": words}),
            Takes::Name => json!({"type": "string", "pattern": NAME}),
            Takes::Id => json!({"type": "string", "pattern": ID}),
            Takes::List { of, least } => {
                let mut schema = json!({"type": "array", "items": self.takes(of)});
                if *least > 0 {
                    schema["minItems"] = json!(least);
                }
                schema
            }
            Takes::Tuple(items) => {
                let items: Vec<Value> = items.iter().map(|item| self.takes(item)).collect();
                json!({"type": "array", "minItems": items.len(), "maxItems": items.len(), "prefixItems": items})
            }
            Takes::OneOrMany(of) => {
                let one = self.takes(of);
                json!({"anyOf": [one, {"type": "array", "items": one}]})
            }
            Takes::Entries { keys, of, least } => {
                let mut schema = json!({"type": "object", "additionalProperties": self.takes(of)});
                if *least > 0 {
                    schema["minProperties"] = json!(least);
                }
                if let Some(names) = names(*keys) {
                    schema["propertyNames"] = names;
                }
                schema
            }
            Takes::Fields(mapping) => self.part(mapping),
            Takes::Either(ways) => {
                let ways: Vec<Value> = ways.iter().map(|way| self.takes(way)).collect();
                json!({"anyOf": ways})
            }
        }
    }
}

fn names(keys: Keys) -> Option<Value> {
    let mut schema = json!({"pattern": keys.pattern()?});
    if !keys.reserved().is_empty() {
        schema["not"] = json!({"enum": keys.reserved()});
    }
    Some(schema)
}

fn each_required(keys: impl Iterator<Item = &'static str>) -> Vec<Value> {
    keys.map(|key| json!({"required": [key]})).collect()
}
