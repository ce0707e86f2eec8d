//! How a run comes to its end: what its steps came to, what is ended with it, and its last record. Runs no step.

use super::{Engine, RunEnd, schedule::ListEnd};
use crate::{
    event::{Event, Outcome, StepState, StepStatus},
    port::{JournalError, StepError},
};

impl<'a> Engine<'a> {
    pub(super) fn judge(&self, list: &ListEnd) -> RunEnd {
        if !list.unknown.is_empty() {
            let reason = format!("nobody knows whether this took effect: {}", list.unknown.join(", "));
            return RunEnd { outcome: Outcome::Unknown, code: 7, reason: Some(reason) };
        }
        if !list.failed.is_empty() {
            let mut reason = format!("failed: {}", list.failed.join(", "));
            if !list.waiting.is_empty() {
                reason.push_str(&format!("; not run: {}", list.waiting.join(", ")));
            }
            return RunEnd { outcome: Outcome::Failed, code: 1, reason: Some(reason) };
        }
        RunEnd { outcome: Outcome::Succeeded, code: 0, reason: None }
    }

    pub(super) async fn close(&self, end: RunEnd) -> RunEnd {
        let event = Event::RunFinished { outcome: end.outcome, code: end.code, reason: end.reason.clone() };
        let mut settled = self.end_helpers().await;
        if settled.is_ok() {
            settled = self.settle_daemons(end.outcome.closes()).await;
        }
        // A question beside which the run came to its end is asked by nobody any more.
        if settled.is_ok() && end.outcome.closes() {
            settled = self.give_up_open_question().await;
        }
        match self.publish_after(settled, event).await {
            Ok(()) => end,
            Err(StepError::Fault(why)) => self.fault(why),
            Err(error) => self.journal_lost(&JournalError(error.to_string())),
        }
    }

    /// A stop from outside. Where it left an effect open and nobody is there to be asked, that is how the run stands.
    pub(super) async fn interrupted(&self, why: String) -> RunEnd {
        let open = self.open_effects();
        if open.is_empty() || !self.signals.interrupted() || self.operator.attended() {
            return self.pause(why).await;
        }
        self.close(undecided(&why, &open)).await
    }

    /// A no ends the run. What ran beside it and left its effect open is still to be decided.
    pub(super) fn declined(&self, why: String) -> RunEnd {
        let open = self.open_effects();
        if open.is_empty() {
            return RunEnd { outcome: Outcome::Declined, code: 5, reason: Some(why) };
        }
        undecided(&why, &open)
    }

    /// Steps of which nobody knows whether they took effect, but for one at which the operator quit with that in view.
    fn open_effects(&self) -> Vec<String> {
        let state = self.publisher.state();
        let open = |of: &StepState| {
            of.entered.is_none()
                && of.status() == Some(StepStatus::Unknown)
                && of.answers.last().is_none_or(|answer| answer.0 != "quit")
        };
        state.steps.iter().filter(|(_, of)| open(of)).map(|(path, _)| path.to_string()).collect()
    }

    async fn publish_after(&self, before: Result<(), StepError>, event: Event) -> Result<(), StepError> {
        before?;
        self.publisher.publish(event).await
    }

    pub(super) async fn pause(&self, why: String) -> RunEnd {
        let mut settled = self.end_helpers().await;
        if settled.is_ok() {
            settled = self.settle_daemons(false).await;
        }
        match self.publish_after(settled, Event::RunPaused { reason: why.clone() }).await {
            Ok(()) => RunEnd { outcome: Outcome::Paused, code: 11, reason: Some(why) },
            Err(StepError::Fault(why)) => self.fault(why),
            Err(error) => self.journal_lost(&JournalError(error.to_string())),
        }
    }
}

pub(super) fn undecided(why: &str, open: &[String]) -> RunEnd {
    let reason = match open {
        [] => why.to_owned(),
        open => format!("{why}; nobody knows whether this took effect: {}", open.join(", ")),
    };
    RunEnd { outcome: Outcome::Unknown, code: 7, reason: Some(reason) }
}
