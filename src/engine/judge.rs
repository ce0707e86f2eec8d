//! What came of an attempt: held against what was expected, captured, looked at, put on record. Decides nothing that follows.

use indexmap::IndexMap;
use serde_json::Map;

use super::{
    Engine,
    attempt::{Ended, why},
    context::Attempt,
    publish::millis,
    unit::Unit,
};
use crate::{
    event::{Event, StepStatus},
    model::{Body, DefaultExpect, Resolution, Verdict},
    port::{Failure, StepContext, StepError, StepReport},
    syntax::Eval,
    text::Diagnostic,
    value::{Secret, Type, Value},
};

/// The most a captured value may hold: it is written into the journal.
const CAPTURE_LIMIT: usize = 256 * 1024;

/// What a look at the effect found.
pub(super) enum Verified {
    InPlace(IndexMap<String, Value>),
    NotInPlace(String),
    Undecided(String),
}

/// Captures ready for the record.
#[derive(Default)]
pub(super) struct Gathered {
    pub values: IndexMap<String, Value>,
    pub withheld: Vec<String>,
}

impl<'a> Engine<'a> {
    /// Holds the result against what was expected, and takes the captures.
    pub(super) fn judge_report(
        &self,
        step: &Unit<'a>,
        body: &Body,
        mut report: StepReport,
    ) -> (StepReport, StepStatus, Gathered) {
        let mut status = report.status;
        let mut gathered = Gathered::default();
        if !matches!(status, StepStatus::Succeeded | StepStatus::NotRun) {
            return (report, status, gathered);
        }
        if let Some(names) = self.cannot_be_judged(step, body, &report) {
            report.notes.push(format!("what is expected of it waits for {}", names.join(", ")));
            return (report, StepStatus::NotRun, gathered);
        }
        match self.take(step, body, &report) {
            Ok(values) => match self.gather(values, step) {
                Ok(done) => gathered = done,
                Err(StepError::Paused(why)) => {
                    status = StepStatus::Failed;
                    report.failure = Some(Failure::plain(why));
                }
                Err(error) => {
                    status = StepStatus::Failed;
                    report.failure = Some(Failure::plain(error.to_string()));
                }
            },
            Err(failure) => {
                // The failure quotes of it what it was held against.
                if let Some(result) = &report.result {
                    super::derived::spellings(self.publisher.redactor(), result);
                }
                status = StepStatus::Failed;
                report.failure = Some(failure);
            }
        }
        if let (StepStatus::Failed, Some(failure), Some(hint)) = (status, &mut report.failure, report.hint) {
            failure.add_hint(hint);
        }
        (report, status, gathered)
    }

    /// Expectations and captures of one result.
    pub(super) fn take(
        &self,
        step: &Unit<'a>,
        body: &Body,
        report: &StepReport,
    ) -> Result<IndexMap<String, Value>, Failure> {
        let mut values = report.values.clone();
        if report.status == StepStatus::NotRun {
            return Ok(values);
        }
        // What has no result is judged all the same: its expectations and captures speak of other values.
        let none = Value::None;
        let (result, default) = match &report.result {
            Some(result) => (result, body.expect.default_in_force()),
            None => (&none, DefaultExpect::Nothing),
        };
        let scope = step.scope();
        match body.expect.judge_with(default, &scope, result) {
            Verdict::Holds => {}
            Verdict::Misses(failure) => return Err(failure),
            Verdict::Broken(diagnostic) => return Err(Failure::drawn(say_why_missing(diagnostic, result))),
            Verdict::Deferred(names) => {
                return Err(Failure::plain(format!("an expectation waits for {}", names.join(", "))));
            }
        }
        drop(scope);
        self.capture(step, body, result, &mut values)?;
        Ok(values)
    }

    /// Adds what a body captures of its result.
    pub(super) fn capture(
        &self,
        step: &Unit<'a>,
        body: &Body,
        result: &Value,
        values: &mut IndexMap<String, Value>,
    ) -> Result<(), Failure> {
        let scope = step.scope();
        for capture in &body.captures {
            match capture.value.eval(&scope, &[("result", result.clone())]) {
                Ok(Eval::Value(value)) => {
                    // A value read back from the journal must be the value that was captured.
                    let json = value.to_json();
                    let size = json.to_string().len();
                    if size > CAPTURE_LIMIT {
                        return Err(Failure::drawn(
                            Diagnostic::error(
                                "capture-too-large",
                                capture.value.span(),
                                format!(
                                    "`{}` would be {size} bytes; at most {CAPTURE_LIMIT} are kept",
                                    capture.name.value
                                ),
                            )
                            .hint("write it to a file below run.dir and capture its path"),
                        ));
                    }
                    values.insert(capture.name.value.clone(), Value::from_json(&json));
                }
                // What it would be is not known as long as nothing but looks is done.
                Ok(Eval::Deferred(_)) if self.only_looks() => {}
                Ok(Eval::Deferred(names)) => {
                    return Err(Failure::plain(format!("`{}` waits for {}", capture.name.value, names.join(", "))));
                }
                Err(diagnostic) => return Err(Failure::drawn(say_why_missing(diagnostic, result))),
            }
        }
        Ok(())
    }

    /// Tells which values may stand in the journal; a secret one is masked from here on.
    pub(super) fn gather(&self, values: IndexMap<String, Value>, step: &Unit<'a>) -> Result<Gathered, StepError> {
        let redactor = self.publisher.redactor();
        let mut withheld = Vec::new();
        let captures = step.body.captures.iter().chain(step.verify.iter().flat_map(|verify| &verify.captures));
        for capture in captures.filter(|capture| capture.secret) {
            if let Some(value) = values.get(&capture.name.value) {
                let mut texts = Vec::new();
                texts_of(value, &mut texts);
                for text in texts {
                    redactor.add(&Secret::new(text), false).map_err(|_| {
                        StepError::Paused(format!(
                            "the captured secret `{}` is shorter than 8 bytes and could not be masked",
                            capture.name.value
                        ))
                    })?;
                }
                withheld.push(capture.name.value.clone());
            }
        }
        for (name, typed) in step.body.action.typed() {
            if typed.shape.ty == Type::Secret && values.contains_key(&name.value) {
                withheld.push(name.value.clone());
            }
        }
        for (name, value) in &values {
            if redactor.holds_in(&value.to_json()) {
                super::derived::spellings(redactor, value);
                if !withheld.contains(name) {
                    withheld.push(name.clone());
                }
            }
        }
        Ok(Gathered { values, withheld })
    }

    #[expect(clippy::too_many_arguments, reason = "everything the record of an end is made of, gathered nowhere else")]
    pub(super) async fn record_end(
        &self,
        step: &Unit<'a>,
        attempt: u32,
        report: &StepReport,
        status: StepStatus,
        gathered: &Gathered,
        cx: &Attempt<'_, '_>,
        began: std::time::Duration,
    ) -> Result<(), StepError> {
        let lost = cx.release(self.knows_secrets(step, report, gathered));
        let output = cx.commit();
        let mut notes = report.notes.clone();
        if lost > 0 {
            notes.push(format!("{lost} bytes of output are left out: a secret in them could not be told"));
        }
        if output.omitted > 0 {
            notes.push(format!(
                "{} bytes of output are left out of the log between its head and its tail",
                output.omitted
            ));
        }
        if output.lost {
            notes.push("its output could not be kept".into());
        }
        let left_running = self.left_by(step, attempt, report, status, &mut notes).await;
        let captures: Map<_, _> = gathered
            .values
            .iter()
            .filter(|(name, _)| !gathered.withheld.contains(name))
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        let error =
            report.failure.as_ref().filter(|_| status != StepStatus::Succeeded).map(|failure| self.say(step, failure));
        self.publisher
            .publish(Event::StepFinished {
                step: step.path.clone(),
                attempt,
                status,
                exit: report.exit,
                signal: report.signal,
                http_status: report.http_status,
                duration_ms: millis(self.world.now().saturating_sub(began)),
                output_sha256: output.sha256,
                output_bytes: output.bytes,
                output_lost: output.lost,
                captures,
                withheld: gathered.withheld.clone(),
                error,
                gave_up: report.gave_up.filter(|_| status == StepStatus::Failed),
                no_effect: cx.is_without_effect(),
                interrupted: cx.cancel().level() > 0 && matches!(status, StepStatus::Failed | StepStatus::Unknown),
                notes,
                left_running,
            })
            .await
    }

    /// A failure as text, drawn under its line of the file where it has one.
    pub(super) fn say(&self, step: &Unit<'a>, failure: &Failure) -> String {
        match &failure.at {
            Some(diagnostic) => (self.options.draw)(&step.frame.book.source, diagnostic),
            None => failure.message.clone(),
        }
    }

    /// Looks whether the effect is in place.
    pub(super) async fn verify(&self, step: &Unit<'a>, cx: &Attempt<'_, '_>) -> Result<Verified, StepError> {
        let Some(body) = &step.verify else { return Ok(Verified::Undecided("there is no verify".into())) };
        if !self.helpers_up(step).await? {
            return Ok(Verified::Undecided("what has to live beside it could not be started".into()));
        }
        // On a resume the step itself may not have been put together in this process, so nothing was read for it yet.
        if let Err(why) = self.read_secrets_of(step, body).await {
            return Ok(Verified::Undecided(why));
        }
        let task = match self.resolve(step, body) {
            Ok(Resolution::Task(task)) => task,
            Ok(Resolution::Deferred(names)) => {
                return Ok(Verified::Undecided(format!("it uses {}", names.join(", "))));
            }
            Err(diagnostic) => return Ok(Verified::Undecided(diagnostic.message)),
        };
        cx.only_looks();
        let report = self.guarded(step, cx.cancel(), task.run(cx)).await?;
        if report.status == StepStatus::NotRun {
            return Ok(Verified::Undecided("it was not looked at".into()));
        }
        if report.status != StepStatus::Succeeded {
            return Ok(Verified::Undecided(why(&report)));
        }
        let Some(result) = &report.result else { return Ok(Verified::InPlace(report.values)) };
        let verdict = body.expect.judge(&step.scope(), result);
        match verdict {
            Verdict::Holds => match self.take(step, body, &report) {
                Ok(values) => Ok(Verified::InPlace(values)),
                Err(failure) => Ok(Verified::Undecided(failure.message)),
            },
            // An answer that says "ask me later" or "you may not know" says nothing about the effect.
            Verdict::Misses(failure) if !tells(&report) => Ok(Verified::Undecided(failure.message)),
            Verdict::Misses(failure) => Ok(Verified::NotInPlace(failure.message)),
            Verdict::Broken(diagnostic) => Ok(Verified::Undecided(diagnostic.message)),
            Verdict::Deferred(names) => Ok(Verified::Undecided(format!("it uses {}", names.join(", ")))),
        }
    }

    /// The look wrote into the log of an attempt that has its end on record already.
    pub(super) async fn record_look(
        &self,
        step: &Unit<'a>,
        attempt: u32,
        cx: &Attempt<'_, '_>,
    ) -> Result<(), StepError> {
        let output = cx.commit();
        let Some(sha256) = output.sha256 else { return Ok(()) };
        let event = Event::OutputCommit { step: step.path.clone(), attempt, bytes: output.bytes, sha256 };
        self.publisher.publish(event).await
    }

    /// For a resume: judges an end that a supervisor wrote down, or one that nobody saw.
    pub(super) async fn adopt(
        &self,
        step: &Unit<'a>,
        attempt: u32,
        mut report: StepReport,
        look: bool,
        unseen: bool,
    ) -> Result<Ended, StepError> {
        let began = self.world.now();
        let cx = self.context(step, attempt);
        let mut gathered = Gathered::default();
        let mut status = report.status;
        let mut not_in_place = false;
        if look && step.verify.is_some() {
            match self.verify(step, &cx).await? {
                Verified::InPlace(values) => {
                    gathered = self.gather(values, step)?;
                    report.notes.push("verified: it is in place".into());
                    report.failure = None;
                    status = StepStatus::Succeeded;
                }
                Verified::NotInPlace(found) => {
                    report.failure = Some(Failure::plain(format!("verified: not in place ({found})")));
                    status = StepStatus::Failed;
                    not_in_place = true;
                    if unseen {
                        cx.had_no_effect();
                    }
                }
                Verified::Undecided(found) => report.notes.push(format!("verify could not tell: {found}")),
            }
        }
        self.record_end(step, attempt, &report, status, &gathered, &cx, began).await?;
        Ok(Ended {
            status,
            captures: gathered.values,
            result: None,
            why: why(&report),
            output: self.journal.output_tail(&step.path, attempt),
            not_in_place,
            seen: None,
        })
    }
}

/// Whether an answer says something about the effect: what was looked at, or that it is not there, does; an outage, a
/// refusal and a command that could not be run do not.
pub(super) fn tells(report: &StepReport) -> bool {
    match (report.http_status, report.exit) {
        (Some(status), _) => matches!(status, 200..=299 | 404 | 410),
        (None, Some(exit)) => (0..126).contains(&exit),
        (None, None) => false,
    }
}

pub(super) fn texts_of(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| texts_of(item, texts)),
        Value::Map(entries) => entries.values().for_each(|item| texts_of(item, texts)),
        Value::None | Value::Bool(_) => {}
        other => texts.push(other.to_string()),
    }
}

/// An expression that reads what is not there fails; this says why it is not.
pub(super) fn say_why_missing(diagnostic: Diagnostic, result: &Value) -> Diagnostic {
    let has = |name| crate::model::field(result, name).is_some();
    if crate::model::field(result, "truncated") == Some(&Value::Bool(true)) {
        return diagnostic.hint(if has("status") {
            "the answer was longer than is kept for expressions; raise `max_body`, or `save` it to a file"
        } else {
            "the output was longer than is kept for expressions; raise `max_output`, or write it to a file"
        });
    }
    if diagnostic.code == "no-value" && diagnostic.message == "`result` has no `json`" && !has("json") {
        let what = if has("body") { "the answer" } else { "the output" };
        return Diagnostic { message: format!("{what} is not JSON, so there is no `result.json`"), ..diagnostic }
            .hint("`is defined` asks whether it is");
    }
    diagnostic
}
