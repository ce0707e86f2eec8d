//! After an alarm or a deadline: more time for the step, or what it found taken as it is. Knows no kind of step.

use std::time::Duration;

use indexmap::IndexMap;

use super::{Engine, Standing, attempt::Ended, judge::Gathered, menu, signals::Turn, unit::Unit};
use crate::{
    event::{GaveUp, StepStatus},
    model::Body,
    port::{Answer, Question, Reply, StepError, StepReport},
    value::Value,
};

/// An attempt that gave up, and what may be made of it.
pub(super) struct Seen {
    pub how: GaveUp,
    /// Every value that the step would give; none where one of them is not there, so that it cannot be taken as it is.
    pub values: Option<IndexMap<String, Value>>,
}

impl<'a> Engine<'a> {
    /// What a report leaves to be decided; none where it did not give up.
    pub(super) fn seen_of(&self, step: &Unit<'a>, report: &StepReport, status: StepStatus) -> Option<Seen> {
        let how = report.gave_up.filter(|_| status == StepStatus::Failed)?;
        let mut values = report.values.clone();
        let result = report.result.as_ref().unwrap_or(&Value::None);
        let taken = self.capture(step, &step.body, result, &mut values);
        let all = taken.is_ok() && step.gives().iter().all(|name| values.contains_key(&name.value));
        Some(Seen { how, values: all.then_some(values) })
    }

    /// As [`Engine::seen_of`], of an attempt of an earlier session. What it found is on record as samples, and not as
    /// values.
    pub(super) fn seen_before(&self, step: &Unit<'a>) -> Option<Seen> {
        let how = self.state().steps.get(&step.path)?.gave_up?;
        Some(Seen { how, values: step.gives().is_empty().then(IndexMap::new) })
    }

    /// Asks how long the step goes on, and remembers it for its next attempt. False: the person thought better of it.
    pub(super) async fn extend<'s>(
        &'s self,
        step: &Unit<'a>,
        question: &Question,
        turn: &mut Option<Turn<'s>>,
    ) -> Result<bool, StepError> {
        match self.ask_in_turn(menu::how_long(question), None, turn).await? {
            Reply::Answer(answer) => {
                let Some(Value::Duration(longer)) = answer.values.get(menu::LONGER) else { return Ok(false) };
                self.extended.borrow_mut().insert(step.path.clone(), *longer);
                Ok(true)
            }
            Reply::Closed { how: crate::port::Closing::Escaped, .. } => Ok(false),
            Reply::Nobody { why } | Reply::Closed { why, .. } => Err(StepError::Paused(why)),
            Reply::Unasked => Ok(false),
        }
    }

    /// For its next attempt, and for that alone.
    pub(super) fn extended(&self, step: &Unit<'a>, body: &Body) -> Option<Duration> {
        if !std::ptr::eq(&step.step.body, body) {
            return None;
        }
        self.extended.borrow_mut().shift_remove(&step.path)
    }

    /// What the step found is taken as it is: it is on record as succeeded, after its failure and with the reason.
    pub(super) async fn accept(&self, step: &Unit<'a>, answer: Answer, ended: &Ended) -> Result<Standing, StepError> {
        let values = ended.seen.as_ref().and_then(|seen| seen.values.clone()).unwrap_or_default();
        let attempt = self.state().steps.get(&step.path).map_or(0, |state| state.attempts);
        let mut report = StepReport::of(StepStatus::Succeeded);
        let reason = answer.reason.unwrap_or_else(|| "no reason was given".into());
        report.notes.push(format!("accepted as it is: {reason}"));
        let gathered: Gathered = self.gather(values, step)?;
        let (cx, began) = (self.context(step, attempt), self.world.now());
        self.record_end(step, attempt, &report, report.status, &gathered, &cx, began).await?;
        self.settle(step, StepStatus::Succeeded, &gathered.values);
        Ok(Standing::Satisfied)
    }
}
