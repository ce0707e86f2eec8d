//! What follows from a question before a step, or from its failure: the operator's answers and what the file says. Starts nothing.

use indexmap::IndexMap;

use super::{
    Engine, Standing,
    attempt::Ended,
    judge::{Gathered, Verified},
    menu,
    unit::Unit,
};
use crate::{
    event::{Event, SkipCause, StepPhase, StepState, StepStatus},
    model::OnFailure,
    port::{Answer, Closing, Failure, Reply, StepError, StepReport},
};

/// What comes after a failure or an unknown end.
pub(super) enum Next {
    Again,
    Over(Standing),
}

impl<'a> Engine<'a> {
    /// In step mode: run it, or not. `Some` where the step is over without having run.
    pub(super) async fn before(&self, step: &Unit<'a>) -> Result<Option<Standing>, StepError> {
        let shown = step.body.show(&step.seen());
        let mut question = menu::before_step(step, self.title(step), &shown);
        // It is over, and only makes again what is not on record: it can be left out no more.
        let lost = |of: &StepState| matches!(&of.phase, StepPhase::Finished { withheld, .. } if !withheld.is_empty());
        if self.state().steps.get(&step.path).is_some_and(lost) && !self.has_begun(&step.path) {
            question.message =
                "It succeeded before; what it captured is secret and not on record. Run it again?".into();
            question.choices.retain(|choice| !matches!(&*choice.name, "skip" | "done"));
        }
        let mut turn = None;
        loop {
            let answer = match self.ask_in_turn(question.clone(), None, &mut turn).await? {
                Reply::Unasked => return Ok(None),
                Reply::Answer(answer) => answer,
                // A step beside it failed meanwhile: the question is out of date, and the run not at an end.
                Reply::Closed { how: Closing::Ended, .. } if self.begins_not(step) => {
                    return Ok(Some(Standing::NotBegun));
                }
                Reply::Nobody { why } | Reply::Closed { why, .. } => return Err(StepError::Paused(why)),
            };
            // Whoever looks decides next about what is in view, and not about another step.
            if answer.word == "command" {
                question.context = shown.detail.lines().map(str::to_owned).collect();
                continue;
            }
            turn = None;
            match answer.word.as_str() {
                "run" => return Ok(None),
                "auto" => {
                    self.step_mode.set(false);
                    return Ok(None);
                }
                "skip" => return self.skip(step, answer).await.map(Some),
                "done" => match self.done_by_hand(step, answer).await? {
                    Ok(standing) => return Ok(Some(standing)),
                    Err(found) => question.message = found,
                },
                "pause" => return Err(StepError::Paused("the operator paused the run".into())),
                "quit" => return Err(StepError::Declined(format!("the operator quit before {}", step.path))),
                other => return Err(StepError::Paused(format!("`{other}` is no answer to this question"))),
            }
        }
    }

    /// After a failure or an unknown end: what the file says, or what the operator says.
    pub(super) async fn after(&self, step: &Unit<'a>, ended: &Ended, last: bool) -> Result<Next, StepError> {
        let unknown = ended.status == StepStatus::Unknown;
        // After a no somebody may still say what became of a change that ran beside it.
        if self.signals.stop_reason().is_some() && !(unknown && self.signals.only_declined()) {
            return Ok(Next::Over(Standing::Blocks));
        }
        // What the limit of a container around it has ended has failed with that container.
        let late = self.is_late(step);
        if late && !unknown {
            self.settle(step, StepStatus::Failed, &IndexMap::new());
            return Ok(Next::Over(Standing::Blocks));
        }
        if !unknown {
            match step.policy() {
                OnFailure::Continue => {
                    self.settle(step, StepStatus::Failed, &IndexMap::new());
                    // Where a container goes on after it, this ends the container.
                    let goes_on = if step.is_contained() { Standing::Blocks } else { Standing::Satisfied };
                    return Ok(Next::Over(goes_on));
                }
                OnFailure::Stop | OnFailure::Undo => {
                    self.settle(step, StepStatus::Failed, &IndexMap::new());
                    return Ok(Next::Over(Standing::Blocks));
                }
                OnFailure::Ask => {}
            }
        }
        let mut effects = Vec::new();
        if let Some(state) = self.state().steps.get(&step.path) {
            effects.clone_from(&state.effects);
            if state.more_effects > 0 {
                effects.push(format!("and {} more", state.more_effects));
            }
        }
        let title = self.title(step);
        let mut question = if unknown {
            {
                let over = late || !last && self.is_over_for_good(step);
                menu::unknown(step, title, &ended.why, &effects, &ended.output, over)
            }
        } else {
            menu::failure(step, title, &ended.why, &ended.output)
        };
        if last || step.path.undoes().is_some() || self.is_over_for_good(step) {
            question.choices.retain(|choice| choice.name != "undo");
        }
        if let Some(seen) = &ended.seen {
            menu::offer(&mut question, seen);
        }
        if self.operator.attended() {
            let editable = if step.undoes { Vec::new() } else { self.editable(step) };
            menu::help_oneself(&mut question, editable.iter().any(|of| of.is_lost()), !editable.is_empty());
        }
        // `finally` is not paused: what cannot be decided there stays as it is.
        if last && !self.operator.attended() {
            self.settle(step, ended.status, &IndexMap::new());
            return Ok(Next::Over(Standing::Blocks));
        }
        let mut turn = None;
        loop {
            // Unattended, `ask` means `stop`.
            let answer = match self.ask_in_turn(question.clone(), (!unknown).then_some("stop"), &mut turn).await? {
                Reply::Answer(answer) => answer,
                Reply::Nobody { .. } | Reply::Unasked if unknown => return Ok(Next::Over(Standing::Blocks)),
                Reply::Nobody { .. } => {
                    self.settle(step, StepStatus::Failed, &IndexMap::new());
                    return Ok(Next::Over(Standing::Blocks));
                }
                // Nothing hangs on it: what it would give stays unknown.
                Reply::Unasked => return Ok(Next::Over(Standing::Satisfied)),
                Reply::Closed { why, .. } => return Err(StepError::Paused(why)),
            };
            if answer.word == "output" {
                question.context = ended.output.clone();
                continue;
            }
            if answer.word == "extend" {
                if self.extend(step, &question, &mut turn).await? {
                    return Ok(Next::Again);
                }
                continue;
            }
            if answer.word == "shell" {
                self.subshell(step).await?;
                continue;
            }
            if answer.word == "edit" {
                if self.edit(step, &question, &mut turn).await? {
                    return Ok(Next::Again);
                }
                continue;
            }
            turn = None;
            match answer.word.as_str() {
                "retry" => return Ok(Next::Again),
                "accept" => return self.accept(step, answer, ended).await.map(Next::Over),
                "not-done" => {
                    let reason = answer.reason.unwrap_or_else(|| "no reason was given".into());
                    return self.without_effect(step, &reason).await.map(Next::Over);
                }
                "skip" => return self.skip(step, answer).await.map(Next::Over),
                "done" => match self.done_by_hand(step, answer).await? {
                    Ok(standing) => return Ok(Next::Over(standing)),
                    Err(found) => question.message = found,
                },
                "undo" => {
                    return Err(StepError::Declined(format!(
                        "the operator chose to undo at {}: {}",
                        step.path, ended.why
                    )));
                }
                "pause" => return Err(StepError::Paused("the operator paused the run".into())),
                "quit" => return Err(StepError::Declined(format!("the operator quit at {}", step.path))),
                other => return Err(StepError::Paused(format!("`{other}` is no answer to this question"))),
            }
        }
    }

    pub(super) async fn skip(&self, step: &Unit<'a>, answer: Answer) -> Result<Standing, StepError> {
        let reason = answer.reason.unwrap_or_else(|| "no reason was given".into());
        let event = Event::StepSkipped { step: step.path.clone(), cause: SkipCause::Operator, reason };
        self.publisher.publish(event).await?;
        self.settle(step, StepStatus::Skipped, &IndexMap::new());
        Ok(Standing::Satisfied)
    }

    /// The operator says that there was no effect, and the step is not run again.
    pub(super) async fn without_effect(&self, step: &Unit<'a>, reason: &str) -> Result<Standing, StepError> {
        let attempt = self.state().steps.get(&step.path).map_or(0, |state| state.attempts);
        let report = StepReport::failed(Failure::plain(format!("it did not take effect: {reason}")));
        let cx = self.context(step, attempt);
        cx.had_no_effect();
        let began = self.world.now();
        self.record_end(step, attempt, &report, StepStatus::Failed, &Gathered::default(), &cx, began).await?;
        self.settle(step, StepStatus::Failed, &IndexMap::new());
        Ok(Standing::Blocks)
    }

    /// The operator says the effect is there; `verify`, if there is one, must agree. `Err` holds what it found instead.
    pub(super) async fn done_by_hand(
        &self,
        step: &Unit<'a>,
        answer: Answer,
    ) -> Result<Result<Standing, String>, StepError> {
        let attempt = self.state().steps.get(&step.path).map_or(0, |state| state.attempts);
        let reason = answer.reason.unwrap_or_else(|| "no reason was given".into());
        let mut report = StepReport::of(StepStatus::DoneByHand);
        report.notes.push(format!("done by hand: {reason}"));
        let began = self.world.now();
        let cx = self.context(step, attempt);
        let mut gathered = Gathered::default();
        if step.verify.is_some() {
            match self.verify(step, &cx).await? {
                Verified::InPlace(values) => gathered = self.gather(values, step)?,
                Verified::NotInPlace(found) => {
                    self.record_look(step, attempt, &cx).await?;
                    return Ok(Err(format!("It is not in place: {found}")));
                }
                Verified::Undecided(found) => report.notes.push(format!("verify could not tell: {found}")),
            }
        }
        self.record_end(step, attempt, &report, StepStatus::DoneByHand, &gathered, &cx, began).await?;
        self.settle(step, StepStatus::DoneByHand, &gathered.values);
        Ok(Ok(Standing::Satisfied))
    }
}
