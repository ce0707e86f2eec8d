//! The end of a step, where expressions see it: its status and what it gives. Decides none of it.

use indexmap::IndexMap;

use super::{Engine, unit::Unit};
use crate::{
    event::{StepPhase, StepStatus},
    value::{Slot, Value},
};

impl<'a> Engine<'a> {
    /// Failures that nobody can do anything about any more, where expressions can see them.
    pub(super) fn settle_open_ends(&self) {
        for step in self.main_units() {
            let status = self.publisher.state().steps.get(&step.path).and_then(|state| state.status());
            if let Some(status @ (StepStatus::Failed | StepStatus::Unknown)) = status {
                self.settle(&step, status, &IndexMap::new());
            }
        }
    }

    /// Puts the end of a step where expressions can see it. What is inside of one that was skipped is as if it had been
    /// skipped itself.
    pub(crate) fn settle(&self, step: &Unit<'a>, status: StepStatus, captures: &IndexMap<String, Value>) {
        if status == StepStatus::NotRun {
            let mut scope = step.frame.scope.borrow_mut();
            for (name, value) in captures {
                scope.know(name, value.clone());
            }
            return;
        }
        step.set_status(Slot::Known(Value::text(status.name())));
        {
            let mut scope = step.frame.scope.borrow_mut();
            for name in step.gives() {
                match captures.get(&name.value) {
                    Some(value) => scope.know(&name.value, value.clone()),
                    None => scope.set(&name.value, Slot::Absent),
                }
            }
        }
        if status == StepStatus::Skipped {
            self.leave_out(step, StepStatus::Skipped);
        }
    }

    /// Before `finally`: what has not run by now will not run.
    pub(super) fn forget_waiting(&self) {
        for step in self.main_units() {
            let phase = self.publisher.state().steps.get(&step.path).map(|of| of.phase.clone());
            if matches!(phase, None | Some(StepPhase::NotStarted)) {
                self.settle_not_run(&step);
            }
        }
    }

    /// A step that has not run and will not.
    pub(crate) fn settle_not_run(&self, step: &Unit<'a>) {
        step.set_status(Slot::Known(Value::text("not_run")));
        let mut scope = step.frame.scope.borrow_mut();
        for name in step.gives() {
            // Another case of the same choice may have set it.
            if !matches!(scope.get(&name.value), Some(Slot::Known(_))) {
                scope.set(&name.value, Slot::Absent);
            }
        }
    }
}
