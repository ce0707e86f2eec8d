//! A scenario from the record of a run: what was seen, answered, and what came of it. Secrets are not on record, and
//! something made up stands for each. Reads no file and runs nothing.

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use crate::{
    event::{Event, Record, RunState, StepId, StepStatus},
    model::Runbook,
};

/// What the record does not tell, in words for whoever looks over the scenario.
pub struct Recorded {
    pub name: String,
    /// One entry of the list under `scenarios`, its first line without indentation.
    pub text: String,
    pub left_open: Vec<String>,
}

/// `output` is the masked output of an attempt of a step, empty where there is none.
pub fn record(
    runbook: &Runbook,
    records: &[Record],
    state: &RunState,
    output: &dyn Fn(&StepId, u32) -> String,
) -> Option<Recorded> {
    let header = state.header.as_ref()?;
    let mut made = Made { shell: IndexMap::new(), http: IndexMap::new(), left_open: Vec::new() };
    let mut kinds: IndexMap<(StepId, u32), String> = IndexMap::new();
    for record in records {
        match &record.event {
            Event::StepStarted { step, attempt, kind, .. } => {
                kinds.insert((step.clone(), *attempt), kind.clone());
            }
            Event::StepFinished { step, attempt, .. } => {
                let kind = kinds.get(&(step.clone(), *attempt)).map_or("", String::as_str);
                if matches!(kind, "shell" | "http" | "wait" | "watch" | "helper") {
                    made.attempt(kind, step, &record.event, &output(step, *attempt));
                }
            }
            Event::RunResumed { .. } => made.left_open.push(
                "the run was gone on with once: where it stopped is not in the scenario (`crash_after`, `crash_during`)"
                    .to_owned(),
            ),
            _ => {}
        }
    }
    let outcome =
        state.finished.map_or(if state.paused.is_some() { "paused" } else { "unknown" }, |(how, _)| how.name());
    let name = format!("recorded {}: {outcome}", header.run);
    let mut params = serde_json::Map::new();
    for (param, value) in &header.params {
        match header.param_sources.get(param).and_then(Json::as_str) {
            Some("default") => {}
            Some("withheld") => {
                let left = format!("parameter `{param}` held a secret, and something made up stands for it");
                made.left_open.push(left);
                params.insert(param.clone(), json!("not-on-record"));
            }
            _ => drop(params.insert(param.clone(), value.clone())),
        }
    }
    let secrets: serde_json::Map<String, Json> =
        runbook.secrets.keys().map(|name| (name.clone(), format!("not-a-real-{name}").into())).collect();
    let mut status = serde_json::Map::new();
    for (step, of) in &state.steps {
        if let Some(of) = of.status().filter(|of| *of != StepStatus::NotRun) {
            status.insert(step.to_string(), of.name().into());
        }
    }
    let mut text = format!("- name: {}\n", json!(name));
    let mut field = |name: &str, value: &serde_json::Map<String, Json>| {
        if !value.is_empty() {
            text.push_str(&format!("  {name}: {}\n", Json::from(value.clone())));
        }
    };
    field("params", &params);
    field("secrets", &secrets);
    field("answers", &answers(records, &mut made.left_open));
    text.push_str(&format!("  world:\n    now: {}\n", json!(records.first()?.time.to_string())));
    for (part, rules) in [("shell", made.shell.rules("step")), ("http", made.http.rules("on"))] {
        if !rules.is_empty() {
            text.push_str(&format!("    {part}:\n"));
            text.extend(rules.into_iter().map(|rule| format!("      - {rule}\n")));
        }
    }
    text.push_str(&format!("  expect:\n    outcome: {outcome}\n"));
    if let Some((_, code)) = state.finished {
        text.push_str(&format!("    code: {code}\n"));
    }
    text.push_str("    status:\n");
    text.extend(
        status.iter().map(|(step, of)| format!("      {}: {}\n", json!(step), of.as_str().unwrap_or_default())),
    );
    made.left_open.dedup();
    Some(Recorded { name, text, left_open: made.left_open })
}

/// Replies by what they answer, in the order in which they came.
struct Made {
    shell: IndexMap<String, Vec<Json>>,
    http: IndexMap<String, Vec<Json>>,
    left_open: Vec<String>,
}

trait Rules {
    fn rules(&self, key: &str) -> Vec<Json>;
}

impl Rules for IndexMap<String, Vec<Json>> {
    fn rules(&self, key: &str) -> Vec<Json> {
        self.iter()
            .map(|(of, replies)| {
                let mut replies = replies.clone();
                // The last repeats anyway.
                while replies.len() > 1 && replies[replies.len() - 1] == replies[replies.len() - 2] {
                    replies.pop();
                }
                json!({key: of, "reply": replies})
            })
            .collect()
    }
}

impl Made {
    fn attempt(&mut self, kind: &str, step: &StepId, finished: &Event, output: &str) {
        let Event::StepFinished { exit, signal, error, duration_ms, .. } = finished else { return };
        let exchanges = exchanges(output);
        let error = error.as_deref().unwrap_or_default();
        if kind == "http" && exchanges.is_empty() {
            self.left_open.push(format!("step {step} had no answer, and where it was sent is not told by one"));
            return;
        }
        if !exchanges.is_empty() {
            for (on, reply) in exchanges {
                self.http.entry(on).or_default().push(reply);
            }
            return;
        }
        if matches!(kind, "wait" | "watch") {
            // Of a pause there is nothing to say.
            if !output.is_empty() || exit.is_some() {
                self.left_open.push(format!("the looks of step {step} were commands: how each ended is not on record"));
                self.shell.entry(step.to_string()).or_default().push(json!({"stdout": output}));
            }
            return;
        }
        let mut reply = serde_json::Map::new();
        match (exit, signal) {
            (Some(exit), _) => drop(reply.insert("exit".into(), (*exit).into())),
            (None, Some(_)) if error.contains("did not end") => {
                reply.insert("delay".into(), format!("{}s", duration_ms / 1000 + 1).into());
            }
            (None, Some(signal)) => drop(reply.insert("signal".into(), (*signal).into())),
            (None, None) if error.contains("could not be started") => {
                reply.insert("fail".into(), "not_started".into());
            }
            (None, None) => drop(reply.insert("fail".into(), "lost".into())),
        }
        if !output.is_empty() {
            // Which of it went to standard error is not on record.
            reply.insert("stdout".into(), output.into());
        }
        self.shell.entry(step.to_string()).or_default().push(reply.into());
    }
}

/// The requests and answers in the output of a step, as it was written down.
fn exchanges(output: &str) -> Vec<(String, Json)> {
    let lines: Vec<&str> = output.lines().collect();
    let begins = |at: usize| {
        let (method, url) = lines.get(at)?.split_once(' ')?;
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method);
        let there = url.starts_with("https://") || url.starts_with("http://");
        let status: u16 = lines.get(at + 1)?.split_once(" after ")?.0.parse().ok()?;
        (known && there).then_some((format!("{method} {}", url.replace("***", "*")), status))
    };
    let starts: Vec<usize> = (0..lines.len()).filter(|at| begins(*at).is_some()).collect();
    if starts.first() != Some(&0) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(lines.len());
        let Some((on, status)) = begins(*start) else { continue };
        let rest = &lines[start + 2..end];
        let gap = rest.iter().position(|line| line.is_empty()).unwrap_or(rest.len());
        // What a server says of itself and of the connection decides nothing.
        let kept = |name: &str| {
            matches!(name, "location" | "content-type" | "etag" | "link" | "retry-after") || name.starts_with("x-")
        };
        let headers: serde_json::Map<String, Json> = rest[..gap]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| kept(name))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let body = rest.get(gap + 1..).unwrap_or_default().join("\n");
        let mut reply = json!({"status": status});
        if !headers.is_empty() {
            reply["headers"] = headers.into();
        }
        if !body.is_empty() {
            reply["body"] = body.into();
        }
        found.push((on, reply));
    }
    found
}

/// What people said, by step.
fn answers(records: &[Record], left_open: &mut Vec<String>) -> serde_json::Map<String, Json> {
    let mut about = IndexMap::new();
    let mut answers: IndexMap<String, Vec<Json>> = IndexMap::new();
    for record in records {
        match &record.event {
            Event::QuestionAsked { question, about: of, .. } => drop(about.insert(*question, of.clone())),
            Event::QuestionAnswered { question, step, answer, reason, values, .. } => {
                let about = about.get(question).map_or("", String::as_str);
                // Nobody is asked these where nobody is there.
                if matches!(about, "before_step" | "interrupt" | "run") {
                    continue;
                }
                if about == "secret" {
                    left_open.push("a secret was typed on a resume; it is not on record".to_owned());
                    continue;
                }
                let key = step.as_ref().map_or_else(|| about.to_owned(), ToString::to_string);
                let mut map = serde_json::Map::new();
                if values.is_empty() && reason.is_some() {
                    map.insert("answer".into(), answer.clone().into());
                }
                map.extend(values.clone());
                map.extend(reason.iter().map(|reason| ("reason".to_owned(), reason.clone().into())));
                let said = if map.is_empty() { Json::from(answer.clone()) } else { map.into() };
                answers.entry(key).or_default().push(said);
            }
            _ => {}
        }
    }
    let one = |(key, mut said): (String, Vec<Json>)| {
        let value = if said.len() == 1 { said.remove(0) } else { said.into() };
        (key, value)
    };
    answers.into_iter().map(one).collect()
}
