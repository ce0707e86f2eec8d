//! The JSON Schema against what the loader itself says: what loads is valid, and what is wrong in its form is not. Knows no
//! field by name.

use std::{collections::BTreeMap, fs, path::Path};

use boon::{Compiler, SchemaIndex, Schemas};
use runsheet::{
    kinds::registry,
    model::load,
    render::schema,
    syntax::{Node, NodeKind, decode, yaml},
    text::Diagnostic,
    value::Value,
};
use serde_json::{Map, Value as Json, json};

/// Mistakes of form: a schema sees them, except in the files below.
const OF_FORM: &[&str] = &[
    "bad-id",
    "bad-name",
    "conflict",
    "missing-key",
    "missing-kind",
    "not-supported-yet",
    "reserved-name",
    "two-kinds",
    "unknown-key",
    "unknown-kind",
    "wrong-type",
    "wrong-value",
];

/// Files of `tests/bad` with such a mistake that no schema sees, each with its reason.
const UNSEEN: &[(&str, &str)] = &[
    (
        "tests/bad/env-on-http.yaml",
        "which kinds have a process of their own is known to what a kind makes of its fields",
    ),
    ("tests/bad/templates.yaml", "that a GET has no body is known to `http` alone"),
    (
        "tests/contract/groups.cases: effect of a container may not be weaker than its child",
        "what only an attempt can have is known to what a kind makes of its fields",
    ),
    (
        "tests/contract/groups.cases: env and cwd on a group are refused or given to the children",
        "what only an attempt can have is known to what a kind makes of its fields",
    ),
    (
        "tests/contract/limits_of_containers.cases: retry of a container is still refused",
        "what only an attempt can have is known to what a kind makes of its fields",
    ),
    (
        "tests/contract/groups.cases: what only an attempt can have is refused on a container",
        "what only an attempt can have is known to what a kind makes of its fields",
    ),
    (
        "tests/contract/loops.cases: the loop variable may not be reserved",
        "words that are reserved are not told apart from names in a value",
    ),
];

struct Checker {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Checker {
    fn new() -> Checker {
        let mut compiler = Compiler::new();
        compiler.add_resource("runbook.json", schema(registry())).unwrap();
        let mut schemas = Schemas::new();
        let index = compiler.compile("runbook.json", &mut schemas).unwrap_or_else(|why| panic!("{why:#}"));
        Checker { schemas, index }
    }

    fn says(&self, instance: &Json) -> Result<(), String> {
        self.schemas.validate(instance, self.index).map_err(|why| format!("{why:#}"))
    }
}

/// A tree as an editor's language server sees it.
fn json_of(node: &Node) -> Json {
    match &node.kind {
        NodeKind::Null => Json::Null,
        NodeKind::Plain(value, text) => match value {
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => value.to_json(),
            _ => text.text.clone().into(),
        },
        NodeKind::Text(text) => text.text.clone().into(),
        NodeKind::List(items) => items.iter().map(json_of).collect(),
        NodeKind::Map(entries) => {
            let pairs = entries.iter().map(|entry| (entry.key.text.clone(), json_of(&entry.value)));
            Json::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

/// The tree of a text, if it is YAML, and what the loader says of it.
fn read(text: &str) -> (Option<Json>, Vec<Diagnostic>) {
    let Ok(source) = decode("x.yaml".to_owned(), text.as_bytes().to_vec()) else { return (None, Vec::new()) };
    let read = yaml::read(&source);
    // What is no YAML for us is none for an editor either, which says so itself.
    let tree = read.node.filter(|_| read.problems.is_empty());
    (tree.map(|node| json_of(&node)), load("x", &source, registry()).problems)
}

fn codes_of_form(problems: &[Diagnostic]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.code).filter(|code| OF_FORM.contains(code)).collect()
}

/// Runbooks of the repository by where they stand: built in, good, bad, and those of the contract.
fn runbooks() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("runbooks"), root.join("tests/good"), root.join("tests/bad")];
    let mut found = BTreeMap::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(".yaml")
                && !name.ends_with(".scenarios.yaml")
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.insert(name, text);
            }
        }
    }
    for entry in fs::read_dir(root.join("tests/contract")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "cases") {
            for case in fs::read_to_string(&path).unwrap().split("\n=== ") {
                let (name, rest) = case.split_once('\n').unwrap_or((case, ""));
                let lines = rest.lines().take_while(|line| !line.starts_with("@@") && !line.starts_with('$'));
                let text: String = lines.map(|line| format!("{line}\n")).collect();
                let text = text.replace("{S}", "http://127.0.0.1:1").replace("{D}", "/tmp");
                let file = path.file_name().unwrap().to_str().unwrap();
                found.insert(format!("tests/contract/{file}: {}", name.trim_start_matches("=== ")), text);
            }
        }
    }
    for (path, text) in crate::docs::examples() {
        found.insert(path, text);
    }
    found
}

#[test]
fn what_loads_is_valid() {
    let checker = Checker::new();
    let (mut seen, mut wrong) = (0, String::new());
    for (name, text) in runbooks() {
        let (Some(instance), problems) = read(&text) else { continue };
        if problems.iter().any(Diagnostic::is_error) {
            continue;
        }
        seen += 1;
        if let Err(why) = checker.says(&instance) {
            wrong.push_str(&format!("{name}: {why}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(seen > 150, "only {seen} were looked at");
}

#[test]
fn what_is_wrong_in_its_form_is_not() {
    let checker = Checker::new();
    let (mut seen, mut wrong) = (0, String::new());
    for (name, text) in runbooks() {
        let (Some(instance), problems) = read(&text) else { continue };
        let codes = codes_of_form(&problems);
        let refused = checker.says(&instance).is_err();
        let unseen = UNSEEN.iter().any(|(unseen, _)| name == *unseen);
        seen += usize::from(!codes.is_empty());
        if !codes.is_empty() && !refused && !unseen {
            wrong.push_str(&format!("{name}: not seen: {codes:?}\n"));
        }
        if unseen && (refused || codes.is_empty()) {
            wrong.push_str(&format!("{name}: is seen; take it out of the list\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(seen > 50, "only {seen} were looked at");
}

/// One mistake at a time in a runbook that has one of everything: a key nobody knows, and a value of no right type.
#[test]
fn every_mapping_of_the_language_is_closed() {
    let checker = Checker::new();
    let good = json!({
        "title": "x",
        "requires": {"tools": ["git"]},
        "params": {"a": {"type": "list", "items": {"type": "string"}}},
        "secrets": {"s": {"env": "S"}},
        "profiles": {"p": {"params": {}}},
        "steps": [{
            "id": "one",
            "needs": [{"step": "zero"}],
            "http": {"url": "https://x", "auth": {"bearer": "s"}},
            "capture": {"c": {"value": "result.status"}},
            "retry": {"attempts": 2},
            "verify": {"shell": {"script": "true"}}
        }, {
            "id": "two",
            "manual": {"message": "x", "evidence": {"e": {"type": "url"}}}
        }, {
            "id": "three",
            "wait": {"shell": "true"}
        }, {"id": "four", "confirm": {"message": "x"}}]
    });
    checker.says(&good).unwrap();
    let mut closed = Vec::new();
    for path in mappings(&good, String::new()) {
        // The keys of these are the author's.
        if ["/params", "/secrets", "/profiles", "/capture", "/evidence"].iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let mut bad = good.clone();
        bad.pointer_mut(&path).unwrap()["no_such_key"] = json!(1);
        assert!(checker.says(&bad).is_err(), "{path} takes any key");
        *bad.pointer_mut(&path).unwrap() = Json::Null;
        assert!(checker.says(&bad).is_err(), "{path} may be empty");
        closed.push(path);
    }
    assert_eq!(closed.len(), 21, "{closed:?}");
}

fn mappings(value: &Json, path: String) -> Vec<String> {
    match value {
        Json::Object(entries) => {
            let below = entries.iter().flat_map(|(key, value)| mappings(value, format!("{path}/{key}")));
            std::iter::once(path.clone()).chain(below.collect::<Vec<_>>()).collect()
        }
        Json::Array(items) => {
            let each = items.iter().enumerate();
            each.flat_map(|(at, value)| mappings(value, format!("{path}/{at}"))).collect()
        }
        _ => Vec::new(),
    }
}
