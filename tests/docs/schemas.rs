//! What programs are promised: each schema in `docs/reference/schemas` against what the program really writes, in both
//! directions. Knows nothing of why a member is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use runsheet::event::{
    ChosenProfile, DaemonEnd, Effect, Event, GaveUp, NotedFile, Outcome, PlanReplaced, Record, RunId, RunStarted,
    SampleState, SkipCause, Stays, StepId, StepStatus, ToUndo,
};
use serde_json::{Map, Value as Json, json};

use super::root;
use crate::{
    lab::events,
    support::{Bed, lines_of_json},
};

pub fn schema(name: &str) -> Json {
    let path = root().join(format!("docs/reference/schemas/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap())
        .unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Every schema, by its name.
pub fn schemas() -> BTreeMap<String, Json> {
    let entries = std::fs::read_dir(root().join("docs/reference/schemas")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let names = paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.map(|name| (name.clone(), schema(&name))).collect()
}

/// The schema without the promise that more may come: whatever it does not name is a mistake. What `then` points to is
/// a part of an object and stays open.
fn closed(mut schema: Json) -> Json {
    fn close(node: &mut Json, parts: &BTreeSet<String>, below: &str) {
        let Some(object) = node.as_object_mut() else { return };
        if object.contains_key("properties") && !parts.contains(below) {
            object.entry("unevaluatedProperties").or_insert(Json::Bool(false));
        }
        for (key, value) in object {
            match key.as_str() {
                "if" => {}
                "properties" | "$defs" => {
                    for (name, value) in value.as_object_mut().unwrap() {
                        close(value, parts, &format!("#/{key}/{name}"));
                    }
                }
                "items" | "additionalProperties" => close(value, parts, ""),
                _ => {}
            }
        }
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let parts = parts.filter_map(|part| Some(part["then"]["$ref"].as_str()?.to_owned())).collect();
    close(&mut schema, &parts, "");
    schema
}

/// What the program wrote in one form, and what of its schema was met.
struct Held {
    name: &'static str,
    schema: Json,
    schemas: boon::Schemas,
    strict: boon::SchemaIndex,
    met: BTreeSet<String>,
}

impl Held {
    fn to(name: &'static str) -> Held {
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        for (name, schema) in schemas() {
            compiler.add_resource(&format!("file:///{name}.json"), closed(schema)).unwrap();
        }
        let mut schemas = boon::Schemas::new();
        let strict =
            compiler.compile(&format!("file:///{name}.json"), &mut schemas).unwrap_or_else(|why| panic!("{why:#}"));
        Held { name, schema: schema(name), schemas, strict, met: BTreeSet::new() }
    }

    #[track_caller]
    fn holds(&mut self, value: &Json) -> &mut Held {
        if let Err(why) = self.schemas.validate(value, self.strict) {
            panic!("docs/reference/schemas/{}.json does not describe this: {why:#}\n{value:#}", self.name);
        }
        self.meet("#", value);
        self
    }

    fn meet(&mut self, place: &str, value: &Json) {
        let node = self.schema.pointer(&place[1..]).unwrap().clone();
        if let Some(other) = node["$ref"].as_str().filter(|other| other.starts_with('#')) {
            self.meet(other, value);
        }
        for part in node["allOf"].as_array().into_iter().flatten() {
            if part["if"]["properties"]["event"]["const"] == value["event"] {
                self.meet(part["then"]["$ref"].as_str().unwrap(), value);
            }
        }
        let named = node["properties"].as_object();
        for (name, value) in value.as_object().into_iter().flatten() {
            if named.is_some_and(|named| named.contains_key(name)) {
                let place = format!("{place}/properties/{name}");
                self.met.insert(place.clone());
                self.meet(&place, value);
            } else if node["additionalProperties"].is_object() {
                self.meet(&format!("{place}/additionalProperties"), value);
            }
        }
        if node["items"].is_object() {
            for value in value.as_array().into_iter().flatten() {
                self.meet(&format!("{place}/items"), value);
            }
        }
    }

    /// Members that the schema names and nothing that was written has.
    fn unmet(&self) -> Vec<String> {
        fn all(node: &Json, place: &str, found: &mut Vec<String>) {
            for (key, value) in node.as_object().into_iter().flatten().filter(|(key, _)| *key != "if") {
                let place = format!("{place}/{key}");
                if key == "properties" {
                    found.extend(value.as_object().unwrap().keys().map(|name| format!("{place}/{name}")));
                }
                all(value, &place, found);
            }
        }
        let mut found = Vec::new();
        all(&self.schema, "#", &mut found);
        found.retain(|place| !self.met.contains(place));
        found
    }

    #[track_caller]
    fn all_met(&self) {
        assert_eq!(
            self.unmet(),
            Vec::<String>::new(),
            "nothing that was written has these members of {}.json",
            self.name
        );
    }
}

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn map(value: Json) -> Map<String, Json> {
    value.as_object().unwrap().clone()
}

/// One of each event with every member it can have. Whoever adds a variant is led here by the match in [`sampled`].
fn samples() -> Vec<Event> {
    let step = || StepId::new("admin/proceed");
    let text = |text: &str| Some(text.to_owned());
    let file = NotedFile { sha256: text(SHA), bytes: 3, steps: vec![step()] };
    let files = BTreeMap::from([("a.sql".to_owned(), file)]);
    vec![
        Event::RunStarted(Box::new(RunStarted {
            journal: 1,
            format: 1,
            run: RunId::parse("20260101-000000-abcdef").unwrap(),
            runbook: "x".into(),
            origin: "built-in".into(),
            digest: SHA.into(),
            params: map(json!({"a": [1]})),
            param_sources: map(json!({"a": "default"})),
            secrets: map(json!({"t": "env T"})),
            tool_version: "0.1.0".into(),
            operator: "kim".into(),
            host: "here".into(),
            cwd: "/".into(),
            attended: true,
            profile: Some(ChosenProfile { name: "p".into(), protected: true, confirmed: true }),
            lock: text("l"),
            files: files.clone(),
        })),
        Event::RunResumed {
            by: "kim".into(),
            host: "here".into(),
            tool_version: "0.1.0".into(),
            attended: false,
            undo: true,
        },
        Event::StepStarted {
            step: step(),
            attempt: 1,
            kind: "shell".into(),
            effect: Effect::Change,
            idempotent: false,
            title: text("A title"),
        },
        Event::StepEntered {
            step: step(),
            items: vec![json!("web"), json!(7)],
            case: text("promote"),
            runbook: text("lib/x"),
            runbook_sha256: text(SHA),
            params: map(json!({"a": 1})),
        },
        Event::EffectIntended { step: step(), attempt: 1, number: 1, effect: Effect::Destroy, detail: "rm x".into() },
        Event::StepRetried { step: step(), attempt: 2, reason: "exit 1".into(), wait_ms: 5 },
        Event::StepFinished {
            step: step(),
            attempt: 1,
            status: StepStatus::Failed,
            exit: Some(-1),
            signal: Some(9),
            http_status: Some(503),
            duration_ms: 1,
            output_sha256: text(SHA),
            output_bytes: 4,
            output_lost: true,
            captures: map(json!({"n": 7})),
            withheld: vec!["token".into()],
            error: text("exit 1"),
            interrupted: true,
            gave_up: Some(GaveUp::Deadline),
            no_effect: true,
            notes: vec!["sleep was left over".into()],
            left_running: vec!["ssh (7)".into()],
        },
        Event::DaemonEnded { step: step(), attempt: 1, processes: vec!["ssh (7)".into()], how: DaemonEnd::StillThere },
        Event::StepSkipped { step: step(), cause: SkipCause::Condition, reason: "a == 1".into() },
        Event::StepDeferred { step: step(), waiting_on: vec!["a.b".into()], detail: "echo".into() },
        Event::QuestionAsked {
            question: 1,
            step: Some(step()),
            about: "confirm".into(),
            message: "Go?".into(),
            choices: vec!["yes".into()],
        },
        Event::ValueGiven { step: step(), name: "host".into(), value: "web-2".into(), by: "ada".into() },
        Event::ShellClosed { step: step(), exit: Some(0), duration_ms: 1, error: text("gone"), by: "ada".into() },
        Event::QuestionAnswered {
            question: 1,
            step: Some(step()),
            answer: "yes".into(),
            reason: text("why not"),
            by: "kim".into(),
            values: map(json!({"build": 7})),
        },
        Event::Sample {
            step: step(),
            probe: "errors".into(),
            value: json!(null),
            attempt: 1,
            state: SampleState::NotReachable,
            unit: text("1/min"),
            detail: text("connection refused"),
        },
        Event::OutputCommit { step: step(), attempt: 1, bytes: 4, sha256: SHA.into() },
        Event::Recovered { cut_bytes: 9, saved_as: "torn.1".into(), sha256: text(SHA) },
        Event::PlanReplaced(Box::new(PlanReplaced {
            number: 2,
            cause: "runbook".into(),
            digest: SHA.into(),
            runbook_files: map(json!({"x.yaml": SHA})),
            params: map(json!({"a": 1})),
            param_sources: map(json!({"a": "param"})),
            secrets: map(json!({"t": "env T"})),
            lock: text("l"),
            tool_version: "0.1.0".into(),
            by: "kim".into(),
            reason: text("it was wrong"),
        })),
        Event::FilesNoted { files, by: "kim".into() },
        Event::UndoStarted {
            steps: vec![ToUndo {
                step: step(),
                kind: "shell".into(),
                effect: Effect::Change,
                detail: "git reset".into(),
            }],
            stays: vec![Stays { step: step(), why: "it has no `undo`".into() }],
            point_of_no_return: Some(step()),
            reason: "failed: d".into(),
            by: "kim".into(),
        },
        Event::StepUndone { step: step(), undone_by: Some(step()) },
        Event::RunClosing {},
        Event::RunPaused { reason: "a question".into() },
        Event::RunFinished { outcome: Outcome::UndoFailed, code: 12, reason: text("why") },
    ]
}

/// Compiles only as long as every event is named: a new one needs a sample above and a place in `event.json`.
fn sampled(event: &Event) -> bool {
    match event {
        Event::RunStarted(_)
        | Event::RunResumed { .. }
        | Event::StepStarted { .. }
        | Event::StepEntered { .. }
        | Event::RunClosing {}
        | Event::EffectIntended { .. }
        | Event::StepRetried { .. }
        | Event::StepFinished { .. }
        | Event::DaemonEnded { .. }
        | Event::StepSkipped { .. }
        | Event::StepDeferred { .. }
        | Event::QuestionAsked { .. }
        | Event::QuestionAnswered { .. }
        | Event::ValueGiven { .. }
        | Event::ShellClosed { .. }
        | Event::Sample { .. }
        | Event::OutputCommit { .. }
        | Event::Recovered { .. }
        | Event::PlanReplaced(_)
        | Event::FilesNoted { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. }
        | Event::RunPaused { .. }
        | Event::RunFinished { .. } => true,
        Event::Unrecognised => false,
    }
}

#[test]
fn every_event_is_described_with_all_its_members() {
    let mut held = Held::to("event");
    for event in samples() {
        assert!(sampled(&event));
        let record = Record { seq: 1, time: jiff::Timestamp::UNIX_EPOCH, elapsed_ms: 0, event };
        let written = serde_json::to_value(record).unwrap();
        let named = format!("#/$defs/{}", written["event"].as_str().unwrap());
        assert!(held.schema.pointer(&named[1..]).is_some(), "event.json has no {named}");
        held.holds(&written);
    }
    // Only a journal, or an anchor, has these.
    let elsewhere =
        ["#/properties/prev", "#/properties/sum", "#/properties/head", "#/$defs/run_started/properties/runbook_files"];
    assert_eq!(held.unmet(), elsewhere);
}

/// The journals that every version has left.
fn kept() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(root().join("tests/journals")).unwrap().map(|entry| entry.unwrap().path());
    let runs = versions.filter(|path| path.is_dir()).flat_map(|path| std::fs::read_dir(path.join("runs")).unwrap());
    runs.map(|run| run.unwrap().path().join("journal.jsonl")).collect()
}

#[test]
fn journals_of_every_version_are_described() {
    let journals = kept();
    assert!(journals.len() >= 3);
    let mut held = Held::to("event");
    for path in journals {
        for line in lines_of_json(&std::fs::read_to_string(&path).unwrap()) {
            held.holds(&line);
        }
    }
    assert!(held.met.contains("#/$defs/run_started/properties/runbook_files"));
}

const DEPLOY: &str = r#"
title: Deploy
params:
  version: {type: string, pattern: 'v\d+', example: v1}
  count: {type: integer, min: 1, max: 9, default: 2}
  hosts: {type: list, min_length: 1, max_length: 3, items: {type: enum, choices: [a, b]}, default: [a]}
  site: {type: url}
secrets:
  token: {env: TOKEN}
profiles:
  test: {params: {count: 3}}
lock: deploy {{ version }}
files: [page.html]
steps:
  - {id: look, title: "Look at {{ version }}", shell: 'echo "$version"; cat "$HOME/x"', effect: read, capture: {seen: result.stdout}}
  - {id: sure, confirm: "Deploy {{ version }}?"}
  - {id: never, when: count > 5, shell: echo}
  - {id: later, when: seen == "v1", shell: 'rm -r x # $seen', effect: destroy}
  - {id: send, http: {method: PUT, url: "https://www.example.org/", upload: page.html, auth: {bearer: token}}}
  - {id: wrong, needs: [look], set: {n: version|int}}
  - {id: each, needs: [look], foreach: {as: host, in: hosts, parallel: 2}, shell: 'echo "$host"'}
  - {id: called, needs: [look], call: {runbook: inner}}
finally:
  - {id: tidy, shell: echo}
"#;

/// What there is to be seen, but for the status of an answer: for that somebody would have to answer.
const PROBED: &str = r#"
title: Probed
steps:
  - {id: kill, shell: 'kill -9 $$', effect: read}
  - {id: watch, watch: {for: 1h, interval: 1m, probes: {a: {shell: echo 1, effect: read, value: result.stdout|int}}}}
  - {id: change, shell: touch x, capture: {x: result.stdout}}
  - {id: needs, shell: 'echo "$x"', effect: read}
  - {id: exits, shell: echo out, effect: read, capture: {y: result.stdout}}
  - {id: open, shell: touch x, verify: {shell: 'exit 1'}}
"#;

#[test]
fn what_ci_says_is_described() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: echo}\n").file("docs/x.md", "");
    let mut held = Held::to("ci");
    held.holds(&bed.run(&["ci", ".", "--format", "json", "--docs", "docs"]).end().code(1).json());
    held.holds(&bed.run(&["ci", ".", "--format", "json"]).end().code(0).json());
    held.holds(&bed.run(&["ci", "nowhere", "--format", "json"]).end().code(2).json());
    held.all_met();
}

#[test]
fn plans_are_described() {
    let inner = "title: Inner\nsteps:\n  - {id: a, shell: echo}\n";
    let bed = Bed::with(DEPLOY).file("page.html", "<p>").file("runbooks/inner.yaml", inner);
    let mut held = Held::to("plan");
    let plan = bed.run(&["plan", "./x.yaml", "--json", "--profile", "test"]).end().code(4).json();
    let states: Vec<&str> =
        plan["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
    for state in ["runs", "skipped", "deferred", "asks"] {
        assert!(states.contains(&state), "{states:?}");
    }
    held.holds(&plan).holds(&bed.run(&["run", "--dry-run", "./x.yaml", "--json"]).end().json());
    let probed = Bed::with(PROBED).run(&["plan", "./x.yaml", "--json", "--probe"]).end().code(1).json();
    held.holds(&probed);
    held.met.insert("#/$defs/probe/properties/http_status".to_owned());
    held.all_met();
    let mut held = Held::to("explain-params");
    let explained = bed.run(&["plan", "./x.yaml", "--json", "--explain-params", "-p", "version=3"]).end().code(2);
    held.holds(&explained.json());
    let choices = Bed::with("title: X\nparams: {a: {type: string, choices: [b]}}\nsteps:\n  - {id: a, shell: echo}\n");
    held.holds(&choices.run(&["plan", "./x.yaml", "--json", "--explain-params"]).end().code(4).json());
    let nested = bed.run(&["plan", "./x.yaml", "--json", "--explain-params"]).end().code(4).json();
    assert_eq!(nested["params"]["hosts"]["items"]["choices"], json!(["a", "b"]));
    held.holds(&nested);
    // What an item of a list has was met with a parameter itself.
    let left: Vec<String> = held.unmet().into_iter().filter(|place| !place.starts_with("#/$defs/shape/")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn mistakes_are_described() {
    let bed = Bed::with("title: X\nstep: []\nsteps:\n  - {id: a, shell: 'echo \"$nobody\"'}\n");
    let mut held = Held::to("check");
    let ended = bed.run(&["check", "./x.yaml", "--format", "json"]).end().code(3);
    let said: Vec<String> = ended.events().iter().map(|line| line["severity"].as_str().unwrap().to_owned()).collect();
    assert_eq!(said, ["error", "warning"]);
    for line in ended.events() {
        held.holds(&line);
    }
    held.all_met();
}

#[test]
fn lists_and_histories_and_events_are_described() {
    let good = "title: X\nowner: me\ntags: [a]\nsteps:\n  - {id: a, shell: echo hello}\n  - {id: b, confirm: Go?}\n";
    let bed = Bed::new()
        .file("runbooks/good.yaml", good)
        .file("runbooks/bad.yaml", "title: X\n")
        .file("over/good.yaml", good);
    // One that is too large to be looked at.
    std::fs::File::create(bed.path("runbooks/huge.yaml")).unwrap().set_len(9 << 20).unwrap();
    let mut held = Held::to("list");
    held.holds(&bed.run(&["list", "--json", "--library", "over"]).end().code(0).json());
    held.all_met();

    let mut held = Held::to("event");
    let ended = bed.run(&["run", "good", "--json", "--yes", "--anchor"]).end().code(0);
    bed.run(&["run", "good", "--json"]).end().code(11);
    let told = ended.events();
    assert!(told.iter().any(|line| line["head"].is_string()), "{told:?}");
    for line in &told {
        held.holds(line);
    }
    for run in bed.runs() {
        for line in events(&std::fs::read_to_string(run.join("journal.jsonl")).unwrap()) {
            held.holds(&line);
        }
    }
    for place in ["#/properties/prev", "#/properties/sum", "#/properties/head"] {
        assert!(held.met.contains(place), "{place}");
    }

    let mut held = Held::to("report");
    held.holds(&bed.run(&["report", "last", "--format", "json"]).end().code(0).json());
    held.all_met();
    bed.run(&["run", "good", "--yes"]).end().code(0);
    let last = bed.runs().pop().unwrap();
    std::fs::write(last.join("journal.jsonl"), "no journal\n").unwrap();
    let mut held = Held::to("history");
    let history = bed.run(&["history", "--json"]).end().code(0).json();
    let outcomes: BTreeSet<&str> =
        history.as_array().unwrap().iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, BTreeSet::from(["broken", "paused", "succeeded"]));
    held.holds(&history);
    held.all_met();
}

#[test]
fn a_schema_that_says_too_little_or_too_much_is_noticed() {
    let mut held = Held::to("check");
    let whole = json!({"file": "x", "line": 1, "column": 1, "end_line": 1, "end_column": 1, "severity": "error", "code": "c",
        "message": "m"});
    let mut line = whole.clone();
    assert!(held.schemas.validate(&line, held.strict).is_err(), "a member is missing");
    line["hint"] = Json::Null;
    held.holds(&line);
    line["more"] = json!(1);
    assert!(held.schemas.validate(&line, held.strict).is_err(), "a member that nobody described");
    held.met.remove("#/properties/line");
    assert_eq!(held.unmet(), ["#/properties/line"]);
    // Readers get the open form: more may come.
    let mut open = boon::Compiler::new();
    open.add_resource("file:///check.json", schema("check")).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = open.compile("file:///check.json", &mut schemas).unwrap();
    assert!(schemas.validate(&line, index).is_ok());
}

#[test]
fn differences_are_described() {
    let old = "title: X\nparams: {v: {type: string, default: a}}\nsteps:\n  - {id: sure, confirm: Sure?}\n  - {id: up, call: {runbook: inner}}\n  - {id: push, shell: \"one\\ntwo\\nthree\"}\n";
    let new =
        old.replace("  - {id: sure, confirm: Sure?}\n", "").replace("two", "2 two").replace("default: a", "default: b");
    let inner = "title: Inner\nsteps:\n  - {id: a, shell: echo}\n";
    let bed = Bed::new().file("old/x.yaml", old).file("old/inner.yaml", inner);
    let bed = bed.file("new/x.yaml", &new).file("new/inner.yaml", &inner.replace("echo", "echo it"));
    let call = |more: &[&str]| bed.run(&["plan", "./new", "--against", "./old", "--json"]).args(more).end();
    let mut held = Held::to("difference");
    held.holds(&call(&["--fail-on", "guard-removed"]).code(1).json());
    bed.write("old/inner.yaml", "title: X\n");
    held.holds(&call(&[]).code(0).json());
    held.all_met();
    let words: Vec<&str> = runsheet::plan::What::ALL.iter().map(|what| what.word()).collect();
    assert_eq!(held.schema["$defs"]["change"]["properties"]["what"]["items"]["enum"], json!(words));
    let weights: Vec<&str> = runsheet::plan::Weight::ALL.iter().map(|weight| weight.name()).collect();
    assert_eq!(held.schema["$defs"]["change"]["properties"]["weight"]["enum"], json!(weights));
}
