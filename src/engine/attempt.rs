//! One step's attempts: start, run, end, again. Knows no kind of step, and not what a failure leads to.

use indexmap::IndexMap;

use super::{
    Engine, Standing,
    accept::Seen,
    context::Attempt,
    decide::Next,
    judge::{Gathered, Verified},
    publish::millis,
    unit::Unit,
};
use crate::{
    event::{Effect, Event, SkipCause, StepStatus},
    model::Resolution,
    port::{Failure, StepContext, StepError, StepReport, Task},
    syntax::Truth,
    value::{Scope, Value, show_duration},
};

/// An attempt that is on record as over.
pub(super) struct Ended {
    pub status: StepStatus,
    pub captures: IndexMap<String, Value>,
    /// What retry conditions look at.
    pub result: Option<Value>,
    pub why: String,
    pub output: Vec<String>,
    /// `verify` looked, and what the step is for is not there.
    pub not_in_place: bool,
    /// It gave up at an alarm or a deadline.
    pub seen: Option<Seen>,
}

impl<'a> Engine<'a> {
    /// Attempts until the step is over, one way or another.
    pub(super) async fn attempts(&self, step: &Unit<'a>, last: bool) -> Result<Standing, StepError> {
        // Lists stand in lists, and all of them share what may run at once. A helper is started for a step that has its
        // place already.
        let _job = if step.step.is_helper() { None } else { Some(self.jobs.acquire().await) };
        // What was repeated before an interruption counts.
        let mut turn = match self.state().steps.get(&step.path) {
            Some(state) if matches!(state.status(), Some(StepStatus::Failed | StepStatus::Unknown)) => state.attempts,
            _ => 0,
        };
        let mut asked = false;
        // While somebody is asked, what runs goes on, its repeats included, and nothing starts.
        self.signals.may_start().await.map_err(StepError::Paused)?;
        if self.begins_not(step) {
            return Ok(Standing::NotBegun);
        }
        loop {
            if let Some(why) = self.signals.stop_reason_now().await {
                return Err(StepError::Paused(why));
            }
            if self.is_late(step) || !self.helpers_up(step).await? {
                return Ok(Standing::NotBegun);
            }
            let mut ended = match self.prepare(step).await? {
                Ok(Resolution::Deferred(names)) => {
                    let (hidden, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| step.is_hidden(name));
                    // What lacks only secrets lacks nothing that is shown: this world reads none.
                    if names.is_empty() {
                        self.lacks(step, hidden);
                        return self.unperformed(step).await;
                    }
                    match self.unmet(names) {
                        Ok(names) => return self.defer(step, names).await,
                        Err(failure) => self.fail_unstarted(step, failure).await?,
                    }
                }
                Ok(Resolution::Task(task)) => {
                    let ask = self.step_mode.get() && !asked && !last;
                    if ask && Self::effect_of(step) != Effect::Read && !step.body.action.is_asked() {
                        // One after the other, so that what failed meanwhile is asked about before the next one is.
                        let turn = self.signals.next_step.lock().await;
                        self.signals.may_start().await.map_err(StepError::Paused)?;
                        if self.begins_not(step) {
                            return Ok(Standing::NotBegun);
                        }
                        // Whoever said "auto" at the one before means this one as well.
                        if self.step_mode.get()
                            && let Some(standing) = self.before(step).await?
                        {
                            return Ok(standing);
                        }
                        drop(turn);
                        asked = true;
                        // Whoever was asked took their time.
                        if self.is_late(step) {
                            return Ok(Standing::NotBegun);
                        }
                    }
                    self.attempt(step, task.as_ref()).await?
                }
                Err(failure) => self.fail_unstarted(step, failure).await?,
            };
            if self.only_looks() {
                // An end that was forced says nothing.
                return match self.signals.stop_reason_now().await {
                    Some(why) => Err(StepError::Paused(why)),
                    None => Ok(self.saw(step, &ended)),
                };
            }
            turn += 1;
            match ended.status {
                StepStatus::Failed | StepStatus::Unknown => {}
                status => {
                    self.settle(step, status, &ended.captures);
                    // "Auto" goes as far as the next gate.
                    if step.body.action.is_gate() {
                        self.step_mode.set(self.options.step_mode);
                    }
                    return Ok(Standing::Satisfied);
                }
            }
            if self.retries(step, &mut ended, turn).await? {
                continue;
            }
            match self.after(step, &ended, last).await? {
                Next::Again => asked = true,
                Next::Over(standing) => return Ok(standing),
            }
        }
    }

    /// A step that is complete but for secrets, in a world that reads none.
    async fn unperformed(&self, step: &Unit<'a>) -> Result<Standing, StepError> {
        let number = self.state().steps.get(&step.path).map_or(0, |state| state.attempts) + 1;
        self.start(step, number).await?;
        let cx = Attempt::new(self, &step.path, number, Scope::new());
        let report = StepReport::of(StepStatus::NotRun);
        self.record_end(step, number, &report, StepStatus::NotRun, &Gathered::default(), &cx, self.world.now()).await?;
        Ok(Standing::Satisfied)
    }

    /// One attempt, on record before it begins and when it has ended.
    async fn attempt(&self, step: &Unit<'a>, task: &dyn Task) -> Result<Ended, StepError> {
        self.end_daemons_of(&step.path).await?;
        let number = self.state().steps.get(&step.path).map_or(0, |state| state.attempts) + 1;
        self.start(step, number).await?;
        let began = self.world.now();
        let cx = self.context(step, number);
        let limited = async {
            // A process and a request have their limit in the world; a person's is kept here, from when the question is put:
            // until then somebody else may have had the terminal.
            match self.patience(step) {
                Some(limit) => tokio::select! {
                    biased;
                    report = task.run(&cx) => report,
                    () = async {
                        self.signals.asked(&step.path).await;
                        self.world.sleep(limit, cx.cancel()).await;
                    } => {
                        Err(StepError::Paused(format!("nobody answered {} within {}", step.path, show_duration(limit))))
                    }
                },
                None => task.run(&cx).await,
            }
        };
        let report = match self.guarded(step, cx.cancel(), limited).await {
            Ok(report) => report,
            Err(StepError::Declined(why)) => {
                let report = StepReport::failed(Failure::plain(why.clone()));
                self.record_end(step, number, &report, report.status, &Gathered::default(), &cx, began).await?;
                return Err(StepError::Declined(why));
            }
            Err(error) => {
                if matches!(error, StepError::Journal(_)) && !cx.begun() {
                    // Whoever reads its last words later should know that they were only words.
                    let mut report = StepReport::of(StepStatus::NotRun);
                    report.notes.push("it could not be put on record, so that nothing was done".into());
                    let nothing = Gathered::default();
                    let _ = self.record_end(step, number, &report, report.status, &nothing, &cx, began).await;
                }
                return Err(error);
            }
        };
        if report.status == StepStatus::Skipped {
            let reason = why(&report);
            let event =
                Event::StepSkipped { step: step.path.clone(), cause: SkipCause::Operator, reason: reason.clone() };
            self.publisher.publish(event).await?;
            let (status, captures) = (StepStatus::Skipped, IndexMap::new());
            let output = Vec::new();
            return Ok(Ended { status, captures, result: None, why: reason, output, not_in_place: false, seen: None });
        }
        self.tried(step, &cx);
        let (mut report, mut status, mut gathered) = self.judge_report(step, &step.body, report);
        if status == StepStatus::Unknown && step.verify.is_some() && self.signals.stop_reason().is_none() {
            match self.verify(step, &cx).await? {
                Verified::InPlace(values) => {
                    report.notes.push(format!("{}; verified: it is in place", why(&report)));
                    report.failure = None;
                    status = StepStatus::Succeeded;
                    gathered = self.gather(values, step)?;
                }
                Verified::NotInPlace(found) => {
                    report.failure =
                        Some(Failure::plain(format!("{}; verified: not in place ({found})", why(&report))));
                    status = StepStatus::Failed;
                }
                Verified::Undecided(found) => report.notes.push(format!("verify could not tell: {found}")),
            }
        }
        let failed = matches!(status, StepStatus::Failed | StepStatus::Unknown);
        if let Some(gone) = self.helpers_gone(step, failed).await? {
            match report.failure.as_mut().filter(|_| failed) {
                Some(failure) => failure.add_hint(&gone),
                None => report.notes.push(gone),
            }
        }
        if status == StepStatus::Failed {
            self.unsay(step, &mut report, &gathered);
        }
        self.record_end(step, number, &report, status, &gathered, &cx, began).await?;
        Ok(Ended {
            status,
            captures: gathered.values,
            result: report.result.clone(),
            why: why(&report),
            output: cx.tail(),
            not_in_place: false,
            seen: self.seen_of(step, &report, status),
        })
    }

    /// How long a person may take, where the file says so.
    fn patience(&self, step: &Unit<'a>) -> Option<std::time::Duration> {
        let timeout = step.body.timeout.as_ref().filter(|_| step.body.action.is_asked())?;
        timeout.eval(&step.scope()).ok()
    }

    pub(super) async fn start(&self, step: &Unit<'a>, attempt: u32) -> Result<(), StepError> {
        self.publisher
            .publish(Event::StepStarted {
                step: step.path.clone(),
                attempt,
                kind: step.body.kind.to_owned(),
                effect: step.body.effect,
                idempotent: step.idempotent,
                title: step.title.as_ref().map(|_| self.title(step)),
            })
            .await
    }

    /// A step that could not even be put together is over before it began.
    pub(super) async fn fail_unstarted(&self, step: &Unit<'a>, mut failure: Failure) -> Result<Ended, StepError> {
        if let Some(lost) = self.lost_values(step) {
            failure.add_hint(&lost);
        }
        let number = self.state().steps.get(&step.path).map_or(0, |state| state.attempts) + 1;
        self.start(step, number).await?;
        let began = self.world.now();
        let cx = Attempt::new(self, &step.path, number, Scope::new());
        let report = StepReport::failed(failure);
        self.record_end(step, number, &report, StepStatus::Failed, &Gathered::default(), &cx, began).await?;
        let why = why(&report);
        let (status, captures, output) = (StepStatus::Failed, IndexMap::new(), Vec::new());
        Ok(Ended { status, captures, result: None, why, output, not_in_place: false, seen: None })
    }

    /// Whether the retry rule repeats the step; waits if so.
    pub(super) async fn retries(&self, step: &Unit<'a>, ended: &mut Ended, turn: u32) -> Result<bool, StepError> {
        let Some(retry) = &step.retry else { return Ok(false) };
        // An open effect is not repeated unless the step may safely run twice.
        if turn >= retry.attempts || (ended.status == StepStatus::Unknown && !step.idempotent) {
            return Ok(false);
        }
        if let Some(when) = &retry.when {
            let result = ended.result.clone().unwrap_or(Value::None);
            let truth = when.eval_bool(&step.scope(), &[("result", result)]);
            if let (Err(problem), Some(_)) = (&truth, &ended.result) {
                ended.why.push_str(&format!("; whether to retry could not be told: {}", problem.message));
            }
            if !matches!(truth, Ok(Truth::True)) {
                return Ok(false);
            }
        }
        if self.signals.stop_reason().is_some() || self.is_late(step) {
            return Ok(false);
        }
        let wait = retry.wait_after(turn);
        self.publisher
            .publish(Event::StepRetried {
                step: step.path.clone(),
                attempt: turn + 1,
                reason: ended.why.clone(),
                wait_ms: millis(wait),
            })
            .await?;
        let cancel = crate::port::Cancel::new();
        // Between two attempts nothing runs that would need a grace.
        let pause = async {
            tokio::select! {
                () = self.world.sleep(wait, &cancel) => {}
                _ = self.signals.stopped() => {}
            }
        };
        self.guarded(step, &cancel, pause).await;
        // Whoever interrupts the pause does not want the step sooner.
        Ok(cancel.level() == 0)
    }

    pub(super) fn title(&self, step: &Unit<'_>) -> String {
        self.plan.title(step, &step.scope())
    }
}

pub(super) fn why(report: &StepReport) -> String {
    match &report.failure {
        Some(failure) => failure.message.clone(),
        None => "it ended".into(),
    }
}
