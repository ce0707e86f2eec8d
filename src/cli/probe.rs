//! What `plan --probe` says of each step: what was seen, what was not looked at and why, whether an effect is there already.
//! Runs nothing and decides nothing of a plan.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use crate::{
    engine::{InPlace, Looked, Outlook},
    event::{Effect, Event, GaveUp, StepId, StepStatus},
    model::OnFailure,
    text::{cut, one_line},
    worlds::probe::ProbeWorld,
};

/// What is on record of a step that was looked at.
#[derive(Clone, Default)]
pub struct Seen {
    status: Option<StepStatus>,
    exit: Option<i32>,
    signal: Option<i32>,
    http_status: Option<u16>,
    captures: Map<String, Json>,
    withheld: Vec<String>,
    error: Option<String>,
    gave_up: Option<GaveUp>,
    notes: Vec<String>,
    samples: Vec<Json>,
}

/// By step.
#[derive(Default)]
pub struct AllSeen(HashMap<StepId, Seen>);

impl AllSeen {
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Sample { step, probe, value, state, unit, detail, .. } => {
                let sample = json!({"probe": probe, "value": value, "state": state, "unit": unit, "detail": detail});
                self.0.entry(step.clone()).or_default().samples.push(sample);
            }
            Event::StepFinished {
                step,
                status,
                exit,
                signal,
                http_status,
                captures,
                withheld,
                error,
                gave_up,
                notes,
                ..
            } => {
                let seen = self.0.entry(step.clone()).or_default();
                seen.status = Some(*status);
                (seen.exit, seen.signal, seen.http_status) = (*exit, *signal, *http_status);
                seen.captures.clone_from(captures);
                seen.withheld.clone_from(withheld);
                seen.error.clone_from(error);
                seen.gave_up = *gave_up;
                seen.notes.clone_from(notes);
            }
            _ => {}
        }
    }
}

/// What a look at a step came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Seen,
    /// A run that came to it now would fail here.
    Failed,
    /// What it waits for is not there, and may come.
    NotYet,
    /// What is expected of it depends on what only a change makes.
    Unjudged,
    NotLooked,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Seen => "seen",
            State::Failed => "failed",
            State::NotYet => "not_yet",
            State::Unjudged => "unjudged",
            State::NotLooked => "not_looked",
        }
    }
}

/// One step, as far as a probe has anything to say of it.
pub struct Probed {
    look: Option<(State, Seen)>,
    /// Why it was not looked at.
    why: Option<String>,
    /// The run goes on after its failure.
    goes_on: bool,
    looked: Looked,
}

impl Probed {
    /// `waits_for` are the names that it waits for, and `wrong` what is wrong with it before anybody looks.
    pub fn of(
        of: &Outlook<'_>,
        all: &AllSeen,
        world: &ProbeWorld<'_>,
        waits_for: Option<&[String]>,
        wrong: Option<&str>,
        skipped: bool,
    ) -> Option<Probed> {
        let looked = of.looked.clone().unwrap_or_default();
        let goes_on = of.step.policy() == OnFailure::Continue;
        let mut probed = Probed { look: None, why: None, goes_on, looked };
        if skipped || of.holds {
            return None;
        }
        let seen = all.0.get(&of.path).cloned().unwrap_or_default();
        if of.step.body.effect == Effect::Read {
            if !(looks(of.step.body.kind)) {
                return None;
            }
            let refused = world.refused(&of.path);
            let state = match (probed.looked.tried, seen.status) {
                _ if refused.is_some() => State::NotLooked,
                (true, Some(StepStatus::Succeeded)) => State::Seen,
                (true, Some(StepStatus::NotRun)) if seen.exit.is_some() || seen.http_status.is_some() => {
                    State::Unjudged
                }
                (true, Some(_)) if seen.gave_up == Some(GaveUp::Deadline) => State::NotYet,
                // What makes it so was not done either.
                (true, Some(_)) if probed.looked.behind.is_some() => State::NotYet,
                (true, Some(StepStatus::Failed | StepStatus::Unknown)) => State::Failed,
                _ => State::NotLooked,
            };
            if state == State::NotLooked {
                let lacks = &probed.looked.lacks;
                probed.why = match (refused, waits_for, wrong) {
                    (Some(why), ..) => Some(why.to_owned()),
                    (_, Some(names), _) if !names.is_empty() => Some(format!("it needs {}", names.join(", "))),
                    (_, _, Some(wrong)) => Some(wrong.to_owned()),
                    _ if !lacks.is_empty() => {
                        Some(format!("it needs the secret {}, which a person is asked for", lacks.join(", ")))
                    }
                    _ if probed.looked.helper.is_some() => {
                        Some("it needs the helper of its group, which is not started for a look".to_owned())
                    }
                    // A pause looks at nothing.
                    _ if of.step.body.kind == "wait" => return None,
                    _ => Some("a step before it ends the run".to_owned()),
                };
            }
            probed.look = Some((state, seen));
            return Some(probed);
        }
        of.step.verify.as_ref()?;
        probed.looked.in_place.get_or_insert_with(|| {
            InPlace::Open(match waits_for {
                Some(names) if !names.is_empty() => {
                    format!("it was not looked at: the step waits for {}", names.join(", "))
                }
                _ => "it was not looked at".to_owned(),
            })
        });
        Some(probed)
    }

    /// Whether a run that came to this step now would fail there, and not go on.
    pub fn is_failure(&self) -> bool {
        matches!(self.look, Some((State::Failed, _))) && !self.goes_on
    }

    pub fn json(&self) -> Json {
        let mut all = Map::new();
        match &self.look {
            Some((state, seen)) => {
                all.insert("state".into(), state.name().into());
                if let Some(why) = &self.why {
                    all.insert("why".into(), why.clone().into());
                }
                for (name, value) in [
                    ("exit", json!(seen.exit)),
                    ("signal", json!(seen.signal)),
                    ("http_status", json!(seen.http_status)),
                    ("error", json!(seen.error)),
                ] {
                    if !value.is_null() && *state != State::NotLooked {
                        all.insert(name.into(), value);
                    }
                }
                if *state != State::NotLooked {
                    all.insert("captures".into(), seen.captures.clone().into());
                    all.insert("withheld".into(), json!(seen.withheld));
                    all.insert("samples".into(), json!(seen.samples));
                    all.insert("notes".into(), json!(seen.notes));
                    all.insert("output".into(), json!(self.looked.output));
                }
            }
            None => {
                let (state, found, captures) = match &self.looked.in_place {
                    Some(InPlace::Yes(captures)) => ("in_place", None, captures.clone()),
                    Some(InPlace::No(found)) => ("not_in_place", Some(found), Map::new()),
                    Some(InPlace::Open(found)) => ("open", Some(found), Map::new()),
                    None => return Json::Null,
                };
                all.insert("state".into(), state.into());
                all.insert("captures".into(), captures.into());
                if let Some(found) = found {
                    all.insert("why".into(), found.clone().into());
                }
            }
        }
        all.insert("behind".into(), json!(self.looked.behind.as_ref().map(StepId::as_str)));
        all.into()
    }

    /// Lines for people, without their indent.
    pub fn text(&self) -> Vec<String> {
        let behind = match &self.looked.behind {
            Some(step) => format!(" (before {step} was run)"),
            None => String::new(),
        };
        let Some((state, seen)) = &self.look else {
            let line = match &self.looked.in_place {
                Some(InPlace::Yes(captures)) => format!("already done, as verify sees it{}", values(captures, &[])),
                Some(InPlace::No(found)) => format!("not done yet: {}", first_line(found)),
                Some(InPlace::Open(found)) => format!("whether it is done is open: {}", first_line(found)),
                None => return Vec::new(),
            };
            return vec![format!("{line}{behind}")];
        };
        if *state == State::NotLooked {
            return vec![format!("not looked at: {}", first_line(self.why.as_deref().unwrap_or_default()))];
        }
        let how = match (seen.exit, seen.signal, seen.http_status) {
            (_, _, Some(status)) => format!("status {status}"),
            (Some(exit), ..) => format!("exit {exit}"),
            (_, Some(signal), _) => format!("ended by signal {signal}"),
            _ => String::new(),
        };
        let word = match state {
            State::Seen => "seen now",
            State::Failed if self.goes_on => "failed now, after which the run goes on",
            State::Failed => "FAILED now",
            State::NotYet => "not yet",
            State::Unjudged | State::NotLooked => "seen now, and not to be judged yet",
        };
        let colon = if how.is_empty() { "" } else { ": " };
        let mut lines = vec![format!("{word}{colon}{how}{}{behind}", values(&seen.captures, &seen.withheld))];
        for sample in &seen.samples {
            let text = |name: &str| sample[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let mut line = text("probe").unwrap_or_default();
            if !sample["value"].is_null() {
                line.push_str(&format!(" {}", shown(&sample["value"])));
                line.extend(text("unit").map(|unit| format!(" {unit}")));
            }
            line.extend(
                text("state").filter(|state| state != "ok").map(|state| format!(" ({})", state.replace('_', " "))),
            );
            line.extend(text("detail").map(|detail| format!(": {detail}")));
            lines.push(format!("  {}", one_line(&line)));
        }
        for line in seen.error.iter().flat_map(|error| error.lines()) {
            lines.push(format!("  {}", one_line(line)));
        }
        lines.extend(seen.notes.iter().filter(|note| *note != "1 look").map(|note| format!("  {}", one_line(note))));
        let said = &self.looked.output;
        let error = seen.error.as_deref().unwrap_or_default();
        // A sample is what was said, and an error may quote it.
        if !seen.samples.is_empty() || said.last().is_some_and(|last| error.contains(last.trim())) {
            return lines;
        }
        let most = if matches!(state, State::Seen | State::Unjudged) { 3 } else { 8 };
        let left_out = said.len().saturating_sub(most);
        if left_out > 0 {
            lines.push("  …".to_owned());
        }
        lines.extend(said[left_out..].iter().map(|line| format!("  {}", cut(&one_line(line), 160))));
        lines
    }
}

/// Kinds that look at something, where their effect is `read`.
fn looks(kind: &str) -> bool {
    matches!(kind, "shell" | "http" | "wait" | "watch")
}

fn first_line(text: &str) -> String {
    one_line(text.lines().next().unwrap_or_default()).into_owned()
}

fn values(captures: &Map<String, Json>, withheld: &[String]) -> String {
    let known = captures.iter().map(|(name, value)| format!("{name} = {}", shown(value)));
    let hidden = withheld.iter().map(|name| format!("{name} = ***"));
    let all: Vec<String> = known.chain(hidden).collect();
    if all.is_empty() { String::new() } else { format!("; {}", all.join(", ")) }
}

fn shown(value: &Json) -> String {
    let text = match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    cut(&one_line(&text), 200).into_owned()
}

/// How many of which, for people and programs.
#[derive(Default)]
pub struct Counts {
    pub seen: usize,
    pub failed: usize,
    pub not_yet: usize,
    pub not_looked: usize,
    pub in_place: usize,
    pub not_in_place: usize,
    pub open: usize,
}

impl Counts {
    pub fn of<'p>(all: impl IntoIterator<Item = &'p Probed>) -> Counts {
        let mut counts = Counts::default();
        for probed in all {
            let count = match (&probed.look, &probed.looked.in_place) {
                (Some((State::Failed, _)), _) if probed.is_failure() => &mut counts.failed,
                (Some((State::NotYet, _)), _) => &mut counts.not_yet,
                (Some((State::NotLooked, _)), _) => &mut counts.not_looked,
                (Some(_), _) => &mut counts.seen,
                (None, Some(InPlace::Yes(_))) => &mut counts.in_place,
                (None, Some(InPlace::No(_))) => &mut counts.not_in_place,
                (None, _) => &mut counts.open,
            };
            *count += 1;
        }
        counts
    }

    pub fn json(&self) -> Json {
        json!({
            "seen": self.seen,
            "failed": self.failed,
            "not_yet": self.not_yet,
            "not_looked": self.not_looked,
            "in_place": self.in_place,
            "not_in_place": self.not_in_place,
            "open": self.open,
        })
    }

    pub fn line(&self) -> String {
        let mut line = format!(
            "looked at {}: {} with nothing in the way, {} failed, {} not yet; {} not looked at",
            self.seen + self.failed + self.not_yet,
            self.seen,
            self.failed,
            self.not_yet,
            self.not_looked,
        );
        if self.in_place + self.not_in_place + self.open > 0 {
            line.push_str(&format!(
                "\nalready done: {}; not done yet: {}; open: {}",
                self.in_place, self.not_in_place, self.open
            ));
        }
        line
    }
}
