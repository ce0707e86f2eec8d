//! What a run's events add up to. A pure function of the events; knows nothing of clocks, files or displays.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use super::{
    DaemonEnd, Effect, Event, GaveUp, NotedFile, Outcome, PlanReplaced, Record, RunStarted, SkipCause, Stays, StepId,
    StepStatus, ToUndo,
};

/// Everything that is known about a run from its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    pub header: Option<RunStarted>,
    pub steps: IndexMap<StepId, StepState>,
    /// What steps left running, as they may, and has no end on record.
    pub daemons: Vec<Daemon>,
    /// The question nobody has answered yet.
    pub question: Option<Open>,
    pub questions: u32,
    pub paused: Option<String>,
    pub finished: Option<(Outcome, u8)>,
    /// What is being taken back, or was.
    pub undo: Option<Undo>,
    /// It was over, in this way and with this code, and is gone on with to be taken back.
    pub reopened: Option<(Outcome, u8)>,
    /// It is about to close: what is still to be run is what runs last.
    pub closing: bool,
    pub resumes: u32,
    pub last_seq: u64,
    /// Plans that took the place of the one before, in order.
    pub plans: Vec<PlanReplaced>,
    /// Values that people gave after failures, in order: at which step, the name, the value.
    pub given: Vec<(StepId, String, Json)>,
    /// Files that steps name, as they were last accepted.
    pub files: BTreeMap<String, NotedFile>,
}

/// Effects of one attempt whose text is kept: a step that does something again and again may do so for days.
const EFFECTS: usize = 8;

/// What one attempt of a step left running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    pub step: StepId,
    pub attempt: u32,
    /// `name (pid)`.
    pub processes: Vec<String>,
}

/// What was agreed to be taken back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undo {
    /// In this order.
    pub steps: Vec<ToUndo>,
    pub stays: Vec<Stays>,
    pub point_of_no_return: Option<StepId>,
    pub reason: String,
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    pub question: u32,
    pub step: Option<StepId>,
    pub about: String,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StepState {
    pub attempts: u32,
    pub phase: StepPhase,
    /// What the latest attempt was about to do: the first of the effects whose intent is on record.
    pub effects: Vec<String>,
    /// How many there are besides.
    pub more_effects: u32,
    pub kind: String,
    pub effect: Effect,
    pub idempotent: bool,
    /// The latest attempt was cut short.
    pub interrupted: bool,
    /// The latest attempt looked, and gave up.
    pub gave_up: Option<GaveUp>,
    /// Nobody saw the end of the latest attempt, and `verify` found that it had no effect.
    pub no_effect: bool,
    /// The record with which it first took effect.
    pub took_effect: Option<u64>,
    /// The record of its latest end.
    pub ended: Option<u64>,
    /// It was about to change something, in whatever attempt, and nothing says that it did not.
    pub touched: bool,
    /// Of a container: it goes on with what it holds.
    pub entered: Option<Entered>,
    /// How a person answered a question about this step, latest last: answer, reason, by whom.
    pub answers: Vec<(String, Option<String>, String)>,
    /// What a person typed at the question of the latest attempt, but for secrets.
    pub typed: Map<String, Json>,
}

/// What a container has decided for what it holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entered {
    pub items: Vec<Json>,
    pub case: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StepPhase {
    NotStarted,
    Running,
    Finished { status: StepStatus, captures: Map<String, Json>, withheld: Vec<String>, error: Option<String> },
    Skipped { cause: SkipCause, reason: String },
    Deferred { waiting_on: Vec<String> },
}

/// Two events that cannot follow each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("event {event} (record {seq}) cannot come here: {why}")]
pub struct IllegalEvent {
    pub seq: u64,
    pub event: String,
    pub why: String,
}

impl StepState {
    fn new() -> StepState {
        StepState {
            attempts: 0,
            phase: StepPhase::NotStarted,
            effects: Vec::new(),
            more_effects: 0,
            kind: String::new(),
            effect: Effect::Change,
            idempotent: false,
            interrupted: false,
            gave_up: None,
            no_effect: false,
            took_effect: None,
            ended: None,
            touched: false,
            entered: None,
            answers: Vec::new(),
            typed: Map::new(),
        }
    }

    /// The status, once it is over.
    pub fn status(&self) -> Option<StepStatus> {
        match &self.phase {
            StepPhase::Finished { status, .. } => Some(*status),
            StepPhase::Skipped { .. } => Some(StepStatus::Skipped),
            StepPhase::NotStarted | StepPhase::Running | StepPhase::Deferred { .. } => None,
        }
    }
}

impl RunState {
    /// Adds one record; an error leaves the state as it was.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalEvent> {
        let illegal = |why: String| IllegalEvent { seq: record.seq, event: name_of(&record.event), why };
        if record.seq != self.last_seq + 1 {
            return Err(illegal(format!("record {} was expected", self.last_seq + 1)));
        }
        if self.header.is_none() != matches!(record.event, Event::RunStarted(_)) {
            return Err(illegal("a run begins with run_started, once".into()));
        }
        if let Some((outcome, _)) = self.finished
            && outcome.closes()
            && !matches!(record.event, Event::Recovered { .. } | Event::Unrecognised)
            && !(matches!(record.event, Event::RunResumed { undo: true, .. }) && outcome != Outcome::Undone)
        {
            return Err(illegal(format!("the run is over ({})", outcome.name())));
        }
        match &record.event {
            Event::RunStarted(header) => {
                self.header = Some((**header).clone());
                self.files.clone_from(&header.files);
            }
            Event::RunResumed { .. } => {
                self.resumes += 1;
                self.paused = None;
                if let Some(closed) = self.finished.take().filter(|(outcome, _)| outcome.closes()) {
                    self.reopened = Some(closed);
                    self.undo = None;
                }
                self.question = None;
            }
            Event::StepStarted { step, attempt, kind, effect, idempotent, .. } => {
                if let Some(of) = step.undoes() {
                    self.may_undo(&of).map_err(illegal)?;
                }
                let lives = self.daemons.iter().any(|daemon| daemon.step == *step);
                let state = self.steps.entry(step.clone()).or_insert_with(StepState::new);
                match &state.phase {
                    StepPhase::NotStarted | StepPhase::Deferred { .. } => {}
                    // A helper that is not there any more is started again for the steps that are still to come.
                    StepPhase::Finished { status: StepStatus::Succeeded, .. } if step.helps().is_some() && !lives => {}
                    StepPhase::Finished { status: StepStatus::Undone, .. } => {
                        return Err(illegal(format!("step {step} was undone")));
                    }
                    // A repeat is the operator's or the retry rule's decision, or follows the death of the engine.
                    StepPhase::Running => {}
                    StepPhase::Finished {
                        status: StepStatus::Failed | StepStatus::Unknown | StepStatus::NotRun,
                        ..
                    } => {}
                    // A value that is not on record is made again by a step that may run twice.
                    StepPhase::Finished { withheld, .. } if !withheld.is_empty() && state.idempotent => {}
                    StepPhase::Finished { status, .. } => {
                        return Err(illegal(format!("step {step} is over ({})", status.name())));
                    }
                    StepPhase::Skipped { .. } => return Err(illegal(format!("step {step} was skipped"))),
                }
                if *attempt != state.attempts + 1 {
                    return Err(illegal(format!("attempt {} of step {step} was expected", state.attempts + 1)));
                }
                state.attempts = *attempt;
                state.kind.clone_from(kind);
                state.effect = *effect;
                state.idempotent = *idempotent;
                state.effects.clear();
                state.more_effects = 0;
                state.interrupted = false;
                state.gave_up = None;
                state.no_effect = false;
                state.typed = Map::new();
                state.phase = StepPhase::Running;
            }
            Event::EffectIntended { step, attempt, effect, detail, .. } => {
                // A look, by `verify`, may come at any time; whatever changes something belongs to a running attempt.
                if *effect == Effect::Read {
                    self.steps.entry(step.clone()).or_insert_with(StepState::new);
                } else {
                    let state = self.running(step, *attempt).map_err(illegal)?;
                    state.touched = true;
                    if state.effects.len() < EFFECTS {
                        state.effects.push(detail.clone());
                    } else {
                        state.more_effects = state.more_effects.saturating_add(1);
                    }
                }
            }
            Event::OutputCommit { .. } => {}
            Event::StepEntered { step, items, case, .. } => {
                let state = self.steps.entry(step.clone()).or_insert_with(StepState::new);
                if state.phase != StepPhase::Running {
                    return Err(illegal(format!("step {step} is not running")));
                }
                state.entered = Some(Entered { items: items.clone(), case: case.clone() });
            }
            Event::StepRetried { step, .. } => {
                let state = self.steps.get(step).map(StepState::status);
                if !matches!(state, Some(Some(StepStatus::Failed | StepStatus::Unknown))) {
                    return Err(illegal(format!("step {step} has not failed")));
                }
            }
            Event::StepFinished {
                step,
                attempt,
                status,
                captures,
                withheld,
                error,
                interrupted,
                gave_up,
                no_effect,
                left_running,
                ..
            } => {
                let state = self.steps.entry(step.clone()).or_insert_with(StepState::new);
                let decided = matches!(status, StepStatus::DoneByHand | StepStatus::Succeeded | StepStatus::Failed);
                match &state.phase {
                    StepPhase::Running if *attempt == state.attempts => {}
                    // Decisions of a person, and of `verify`, come after an end that left the effect open.
                    StepPhase::NotStarted | StepPhase::Deferred { .. } if *status == StepStatus::DoneByHand => {}
                    StepPhase::Finished { status: StepStatus::Failed | StepStatus::Unknown, .. } if decided => {}
                    _ => return Err(illegal(format!("attempt {attempt} of step {step} is not running"))),
                }
                state.interrupted = *interrupted;
                state.gave_up = *gave_up;
                state.no_effect = *no_effect;
                state.ended = Some(record.seq);
                state.touched &= !*no_effect;
                if matches!(status, StepStatus::Succeeded | StepStatus::DoneByHand) {
                    state.took_effect.get_or_insert(record.seq);
                }
                state.phase = StepPhase::Finished {
                    status: *status,
                    captures: captures.clone(),
                    withheld: withheld.clone(),
                    error: error.clone(),
                };
                if !left_running.is_empty() {
                    self.daemons.push(Daemon {
                        step: step.clone(),
                        attempt: *attempt,
                        processes: left_running.clone(),
                    });
                }
            }
            Event::DaemonEnded { step, attempt, how, .. } => {
                let of = |daemon: &Daemon| daemon.step == *step && daemon.attempt == *attempt;
                if !self.daemons.iter().any(of) {
                    return Err(illegal(format!("attempt {attempt} of step {step} left nothing running")));
                }
                if *how != DaemonEnd::StillThere {
                    self.daemons.retain(|daemon| !of(daemon));
                }
            }
            Event::StepSkipped { step, cause, reason } => {
                let state = self.steps.entry(step.clone()).or_insert_with(StepState::new);
                let open = matches!(
                    &state.phase,
                    StepPhase::NotStarted
                        | StepPhase::Deferred { .. }
                        | StepPhase::Running
                        | StepPhase::Finished { status: StepStatus::Failed | StepStatus::Unknown, .. }
                );
                if !open {
                    return Err(illegal(format!("step {step} is over")));
                }
                state.ended = Some(record.seq);
                state.phase = StepPhase::Skipped { cause: *cause, reason: reason.clone() };
            }
            Event::StepDeferred { step, waiting_on, .. } => {
                let state = self.steps.entry(step.clone()).or_insert_with(StepState::new);
                if state.phase != StepPhase::NotStarted {
                    return Err(illegal(format!("step {step} has begun")));
                }
                state.phase = StepPhase::Deferred { waiting_on: waiting_on.clone() };
            }
            Event::QuestionAsked { question, step, about, message, .. } => {
                if let Some(open) = &self.question {
                    return Err(illegal(format!("question {} is open", open.question)));
                }
                self.questions = *question;
                self.question = Some(Open {
                    question: *question,
                    step: step.clone(),
                    about: about.clone(),
                    message: message.clone(),
                });
            }
            Event::QuestionAnswered { question, step, answer, reason, by, values } => {
                if self.question.as_ref().is_none_or(|open| open.question != *question) {
                    return Err(illegal(format!("question {question} was not asked")));
                }
                self.question = None;
                if let Some(step) = step {
                    let state = self.steps.entry(step.clone()).or_insert_with(StepState::new);
                    state.answers.push((answer.clone(), reason.clone(), by.clone()));
                    if !values.is_empty() {
                        state.typed.clone_from(values);
                    }
                }
            }
            Event::PlanReplaced(plan) => {
                let expected = self.plan_number() + 1;
                if plan.number != expected {
                    return Err(illegal(format!("plan {expected} was expected")));
                }
                self.plans.push((**plan).clone());
            }
            Event::FilesNoted { files, .. } => {
                self.files.extend(files.iter().map(|(path, file)| (path.clone(), file.clone())));
            }
            Event::RunPaused { reason } => self.paused = Some(reason.clone()),
            Event::RunFinished { outcome, code, .. } => {
                // One that was taken up again, and of which nothing was undone, is as it was.
                let as_before = self.reopened.is_some_and(|(before, _)| before == *outcome);
                let of_undo = matches!(outcome, Outcome::Undone | Outcome::UndoFailed);
                if of_undo && self.undo.is_none() && !as_before {
                    return Err(illegal("nothing was to be taken back".into()));
                }
                self.finished = Some((*outcome, *code));
                if outcome.closes() {
                    self.reopened = None;
                }
            }
            Event::UndoStarted { steps, stays, point_of_no_return, reason, .. } => {
                if self.undo.is_some() {
                    return Err(illegal("what ran is being taken back already".into()));
                }
                self.begin_undo(Undo {
                    steps: steps.clone(),
                    stays: stays.clone(),
                    point_of_no_return: point_of_no_return.clone(),
                    reason: reason.clone(),
                });
            }
            Event::StepUndone { step, undone_by } => self.undone(step, undone_by.as_ref()).map_err(illegal)?,
            Event::RunClosing {} => self.closing = true,
            Event::ValueGiven { step, name, value, .. } => {
                self.given.push((step.clone(), name.clone(), value.clone()));
            }
            Event::ShellClosed { .. } | Event::Sample { .. } | Event::Recovered { .. } | Event::Unrecognised => {}
        }
        self.last_seq = record.seq;
        Ok(())
    }

    /// The plan that is followed: 1 is what the run began with.
    pub fn plan_number(&self) -> u32 {
        self.plans.last().map_or(1, |plan| plan.number)
    }

    /// The plan whose runbook is followed; a later one may be another plan of the same bytes.
    pub fn runbook_number(&self) -> u32 {
        self.plans.iter().rev().find(|plan| !plan.runbook_files.is_empty()).map_or(1, |plan| plan.number)
    }

    /// The digest of the plan that is followed.
    pub fn digest(&self) -> Option<&str> {
        let first = self.header.as_ref().map(|header| header.digest.as_str());
        self.plans.last().map(|plan| plan.digest.as_str()).or(first)
    }

    /// The parameters of the plan that is followed.
    pub fn params(&self) -> Option<&Map<String, Json>> {
        let first = self.header.as_ref().map(|header| &header.params);
        self.plans.last().map(|plan| &plan.params).or(first)
    }

    /// Where each of them came from.
    pub fn param_sources(&self) -> Option<&Map<String, Json>> {
        let first = self.header.as_ref().map(|header| &header.param_sources);
        self.plans.last().map(|plan| &plan.param_sources).or(first)
    }

    /// Every lock the run has ever held.
    pub fn locks(&self) -> impl Iterator<Item = &String> {
        let first = self.header.iter().filter_map(|header| header.lock.as_ref());
        first.chain(self.plans.iter().filter_map(|plan| plan.lock.as_ref()))
    }

    /// Whether what takes this step back may start.
    fn may_undo(&self, step: &StepId) -> Result<(), String> {
        let listed = |undo: &Undo| undo.steps.iter().any(|of| of.step == *step);
        if !self.undo.as_ref().is_some_and(listed) {
            return Err(format!("step {step} is not to be taken back"));
        }
        match self.steps.get(step).and_then(StepState::status) {
            Some(StepStatus::Undone) => Err(format!("step {step} was undone")),
            _ => Ok(()),
        }
    }

    /// What an earlier undo left out, or could not do, is tried anew. What nobody knows is still to be decided.
    fn begin_undo(&mut self, undo: Undo) {
        for (path, state) in &mut self.steps {
            let listed = path.undoes().is_some_and(|of| undo.steps.iter().any(|step| step.step == of));
            let left = matches!(
                state.phase,
                StepPhase::Finished { status: StepStatus::Failed, .. }
                    | StepPhase::Skipped { cause: SkipCause::Operator, .. }
            );
            if listed && left && state.entered.is_none() {
                state.phase = StepPhase::NotStarted;
            }
        }
        self.undo = Some(undo);
    }

    fn undone(&mut self, step: &StepId, by: Option<&StepId>) -> Result<(), String> {
        if self.undo.is_none() {
            return Err("nothing is being taken back".into());
        }
        if let Some(by) = by {
            let status = self.steps.get(by).and_then(StepState::status);
            let of = by.undoes().filter(|of| of == step || step.is_inside(of));
            if of.is_none() || !matches!(status, Some(StepStatus::Succeeded | StepStatus::DoneByHand)) {
                return Err(format!("step {by} has not taken it back"));
            }
        }
        let Some(state) = self.steps.get_mut(step).filter(|state| state.attempts > 0 || state.ended.is_some()) else {
            return Err(format!("step {step} has not run"));
        };
        if by.is_none() && state.entered.is_none() {
            return Err(format!("nothing has taken step {step} back"));
        }
        let (captures, withheld) = match &state.phase {
            StepPhase::Finished { status: StepStatus::Undone, .. } => {
                return Err(format!("step {step} was undone already"));
            }
            StepPhase::Finished { captures, withheld, .. } => (captures.clone(), withheld.clone()),
            _ => Default::default(),
        };
        state.phase = StepPhase::Finished { status: StepStatus::Undone, captures, withheld, error: None };
        Ok(())
    }

    fn running(&mut self, step: &StepId, attempt: u32) -> Result<&mut StepState, String> {
        match self.steps.get_mut(step) {
            Some(state) if state.phase == StepPhase::Running && state.attempts == attempt => Ok(state),
            _ => Err(format!("attempt {attempt} of step {step} is not running")),
        }
    }
}

fn name_of(event: &Event) -> String {
    serde_json::to_value(event)
        .ok()
        .and_then(|json| Some(json.get("event")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "of a later version".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_again_and_again_is_counted_and_not_kept() {
        let step = StepId::new("a");
        let mut state = RunState { last_seq: 1, ..RunState::default() };
        state.steps.insert(step.clone(), StepState { attempts: 1, phase: StepPhase::Running, ..StepState::new() });
        state.header = serde_json::from_value(serde_json::json!({
            "journal": 1, "format": 1, "run": "x", "runbook": "x", "origin": "x", "digest": "", "params": {},
            "tool_version": "1", "operator": "o", "host": "h", "cwd": "/", "attended": false,
        }))
        .unwrap();
        for number in 1..=1000 {
            let event = Event::EffectIntended {
                step: step.clone(),
                attempt: 1,
                number,
                effect: Effect::Change,
                detail: format!("effect {number}"),
            };
            let seq = u64::from(number) + 1;
            state.apply(&Record { seq, time: jiff::Timestamp::UNIX_EPOCH, elapsed_ms: 0, event }).unwrap();
        }
        let found = &state.steps[&step];
        assert_eq!((found.effects.len(), found.more_effects), (8, 992));
        assert_eq!(found.effects[7], "effect 8");
    }
}
