//! Limits of containers: what is inside is interrupted when the time is over, and nothing new begins there. Knows no kind of
//! step.

use std::time::Duration;

use indexmap::IndexMap;

use super::{Engine, Standing, attempt::Ended, decide::Next, unit::Unit};
use crate::{
    event::{StepPhase, StepStatus},
    model::Names,
    port::{Cancel, Failure, Local, StepError},
    value::show_duration,
};

impl<'a> Engine<'a> {
    /// How long a container may take; for a loop its items have it. None where it has no limit, or nothing is run.
    pub(super) fn limit_of(&self, step: &Unit<'a>) -> Result<Option<Duration>, Failure> {
        let Some(timeout) = step.body.timeout.as_ref().filter(|_| !step.is_loop() && self.options.run.is_some()) else {
            return Ok(None);
        };
        match timeout.eval(&step.scope()) {
            Ok(limit) => Ok(Some(limit)),
            Err(Ok(names)) => self.unmet(names).map(|_| None),
            Err(Err(diagnostic)) => Err(Failure::drawn(diagnostic)),
        }
    }

    /// What a container holds, within its limit. It is counted from here, on the clock that only goes forward: whoever goes
    /// on with it later has all of it again.
    pub(super) fn within_limit<'s>(
        &'s self,
        step: &'s Unit<'a>,
        last: bool,
    ) -> Local<'s, Result<Option<Standing>, StepError>> {
        Box::pin(async move {
            self.late.borrow_mut().shift_remove(&step.path);
            // What is wrong with it was told before it was entered.
            let limit = self.limit_of(step).ok().flatten();
            let over = async {
                let Some(limit) = limit else { return std::future::pending().await };
                self.world.sleep(limit, &Cancel::new()).await;
                self.late.borrow_mut().insert(step.path.clone(), limit);
                self.signals.interrupt_inside(&step.path);
                std::future::pending::<()>().await;
            };
            let standing = tokio::select! {
                biased;
                standing = self.inside(step, last) => standing?,
                () = over => return Err(StepError::Fault("a limit came to an end".into())),
            };
            if standing == Standing::Satisfied || !self.failed_by_itself(step) {
                return Ok(Some(standing));
            }
            let why = self.state().steps.get(&step.path).and_then(|of| match &of.phase {
                StepPhase::Finished { error, .. } => error.clone(),
                _ => None,
            });
            let ended = Ended {
                status: StepStatus::Failed,
                captures: IndexMap::new(),
                result: None,
                why: why.unwrap_or_default(),
                output: Vec::new(),
                not_in_place: false,
                seen: None,
            };
            match self.after(step, &ended, last).await? {
                Next::Again => Ok(None),
                Next::Over(standing) => Ok(Some(standing)),
            }
        })
    }

    /// Whether a container has failed for a reason that nobody was asked about inside of it: its time was over, or a runbook
    /// that was called could not give what it should.
    fn failed_by_itself(&self, step: &Unit<'a>) -> bool {
        let failed = self.status_of(&step.path) == Some(StepStatus::Failed) && !step.is_loop();
        failed && (self.late.borrow().contains_key(&step.path) || self.ends(&self.members(step)).is_clean())
    }

    /// Whether the time of a container around a step is over. What a runbook that is called runs last is tried all the same.
    pub(super) fn is_late(&self, step: &Unit<'a>) -> bool {
        let late = self.late.borrow();
        if late.is_empty() {
            return false;
        }
        let at = step.step.path.as_str();
        let last = step.frame.book.finally.iter().any(|last| Names::is_inside(at, last.path.as_str()));
        let own = step.frame.of_book();
        late.keys().any(|of| step.path.is_inside(of) && (!last || of.as_str().starts_with(&own)))
    }

    /// What comes now is no part of what had a limit.
    pub(super) fn forget_limits(&self) {
        self.late.borrow_mut().clear();
    }

    /// What is said of a container whose time is over.
    pub(super) fn took_too_long(&self, step: &Unit<'a>) -> Option<String> {
        self.late.borrow().get(&step.path).map(|limit| format!("it took longer than {}", show_duration(*limit)))
    }
}
