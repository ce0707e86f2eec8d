//! Helpers of groups: there before the first step, noticed when they are gone, started again where a step is still to come,
//! ended after the last. Knows no process, and not what makes one ready.

use std::{rc::Rc, time::Duration};

use super::{
    Engine, Standing,
    unit::{Frame, Unit},
};
use crate::{
    event::{Effect, StepId, StepPhase, StepState, StepStatus},
    model::{Group, Names, Runbook, Step},
    port::{Cancel, Failure, Local, StepContext, StepError, StepReport},
};

/// A helper as it stands in its file.
pub(super) struct Beside<'a> {
    step: &'a Step,
    /// The path of its group in the file.
    group: String,
    /// That of the innermost loop around it.
    of_loop: Option<&'a str>,
}

/// How often, and after how long, it is looked whether a helper is still there when a step has failed.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(50);

impl<'a> Engine<'a> {
    /// The helper of a group, where that runs.
    pub(super) fn helper_of(&self, step: &Unit<'a>, group: &'a Group) -> Option<Unit<'a>> {
        group.helper.as_deref().map(|helper| Unit::of(helper, &step.frame))
    }

    /// The helpers of a file.
    fn helpers_in(&self, book: &'a Runbook, names: &'a Names) -> Rc<[Beside<'a>]> {
        let at = std::ptr::from_ref(book);
        if let Some(known) = self.helpers.borrow().get(&at) {
            return Rc::clone(known);
        }
        let helpers = book.all_steps().filter_map(|step| {
            let group = step.path.helps()?.to_string();
            let of_loop = names.loops_around(step.path.as_str()).max_by_key(|path| path.len());
            Some(Beside { step, group, of_loop })
        });
        let helpers: Rc<[Beside<'a>]> = helpers.collect();
        self.helpers.borrow_mut().insert(at, Rc::clone(&helpers));
        helpers
    }

    /// The helpers of the groups in which a step stands, the outermost first; also of those around the call of its runbook.
    pub(super) fn helpers_around(&self, step: &Unit<'a>) -> Vec<Unit<'a>> {
        let mut found = Vec::new();
        let mut frame: Option<Rc<Frame<'a>>> = Some(Rc::clone(&step.frame));
        while let Some(at) = frame {
            let helpers = self.helpers_in(at.book, at.names);
            // Each has its place in one frame alone: that of the innermost loop around it.
            for helper in helpers.iter().rev().filter(|helper| helper.of_loop == at.of_loop()) {
                let group = at.path(&helper.group);
                if step.path.is_inside(&group) && step.path.helps() != Some(group) {
                    found.push(Unit::of(helper.step, &at));
                }
            }
            frame = at.outer();
        }
        found.reverse();
        found
    }

    /// Before a step does anything: whatever lives beside it is there. False: it could not be started, and what follows
    /// from that was decided.
    pub(super) async fn helpers_up(&self, step: &Unit<'a>) -> Result<bool, StepError> {
        if self.options.run.is_none() || step.path.helps().is_some() {
            return Ok(true);
        }
        for helper in self.helpers_around(step) {
            if !self.helper_up(&helper).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Starts a helper that is not there. Steps that run side by side wait for one start.
    pub(super) fn helper_up<'s>(&'s self, helper: &'s Unit<'a>) -> Local<'s, Result<bool, StepError>> {
        Box::pin(async move {
            let starting = Rc::clone(self.starting.borrow_mut().entry(helper.path.clone()).or_default());
            let mut given_up = starting.lock().await;
            if *given_up {
                return Ok(false);
            }
            match self.status_of(&helper.path) {
                // Somebody said that it is not wanted, or that there is one already.
                Some(StepStatus::Skipped | StepStatus::DoneByHand) => return Ok(true),
                Some(StepStatus::Succeeded) if self.lives(&helper.path) => return Ok(true),
                _ => {}
            }
            self.note_gone(&helper.path).await?;
            // One that has lived is started anew, like the first time; one that was being started is gone on with.
            let standing = match self.status_of(&helper.path) {
                Some(StepStatus::Succeeded) => self.attempts(helper, false).await?,
                _ => self.step(helper, false).await?,
            };
            *given_up = standing == Standing::Blocks;
            Ok(standing == Standing::Satisfied)
        })
    }

    /// What could not be started before may be tried again.
    pub(super) fn forget_given_up(&self) {
        self.starting.borrow_mut().clear();
    }

    /// Whether the latest of a step's attempts left something that still runs.
    fn lives(&self, step: &StepId) -> bool {
        let left = self.state().daemons.iter().rev().find(|daemon| daemon.step == *step).map(|daemon| daemon.attempt);
        // Where nothing is kept of processes, nothing is known to end.
        let Some(dir) = self.journal.step_dir() else { return true };
        let Some(attempt) = left else { return false };
        super::daemons::runs(&self.world.left_behind(&dir, step, attempt))
    }

    /// Puts on record that a helper ended by itself, if it did.
    async fn note_gone(&self, helper: &StepId) -> Result<bool, StepError> {
        let daemons: Vec<_> = self.state().daemons.iter().filter(|daemon| daemon.step == *helper).cloned().collect();
        let before = daemons.len();
        self.settle_these(&daemons, false).await?;
        Ok(self.state().daemons.iter().filter(|daemon| daemon.step == *helper).count() < before)
    }

    /// After an attempt of a step: what of its helpers ended meanwhile, for whoever reads how it went.
    pub(super) async fn helpers_gone(&self, step: &Unit<'a>, failed: bool) -> Result<Option<String>, StepError> {
        let mut gone = Vec::new();
        if step.path.helps().is_some() {
            return Ok(None);
        }
        for helper in self.helpers_around(step) {
            // A step that fails because of it may be told sooner than whoever watches the helper.
            let mut looks = if failed { LOOKS } else { 0 };
            while looks > 0 && self.lives(&helper.path) {
                self.world.sleep(BETWEEN, &Cancel::new()).await;
                looks -= 1;
            }
            if self.note_gone(&helper.path).await? {
                let what = helper.body.show(&helper.seen()).headline;
                gone.push(format!("{} (`{what}`)", helper.path));
            }
        }
        Ok((!gone.is_empty()).then(|| format!("by then {} had ended by itself", gone.join(" and "))))
    }

    /// After the last step of its group.
    pub(super) async fn end_helper(&self, helper: &Unit<'a>) -> Result<(), StepError> {
        self.end_daemons_of(&helper.path).await
    }

    /// Whenever this program ends by itself: helpers end with it, also one of which no end of its start is on record.
    pub(super) async fn end_helpers(&self) -> Result<(), StepError> {
        let half: Vec<(StepId, u32)> = {
            let state = self.state();
            let half = |(path, of): (&StepId, &StepState)| {
                (path.helps().is_some() && of.phase == StepPhase::Running).then(|| (path.clone(), of.attempts))
            };
            state.steps.iter().filter_map(half).collect()
        };
        for (step, attempt) in half {
            if let Some(dir) = self.journal.step_dir() {
                let cancel = Cancel::new();
                let settling = self.world.settle_left_behind(&dir, &step, attempt, true, &cancel);
                self.guarded_as(&step, Effect::Read, &cancel, settling).await;
            }
            let Some(unit) = self.all_units().into_iter().find(|unit| unit.path == step) else { continue };
            self.never_started(&unit, attempt).await?;
        }
        let daemons: Vec<_> =
            self.state().daemons.iter().filter(|daemon| daemon.step.helps().is_some()).cloned().collect();
        self.settle_these(&daemons, true).await
    }

    /// The end of a start that was cut short.
    async fn never_started(&self, helper: &Unit<'a>, attempt: u32) -> Result<(), StepError> {
        let report = StepReport::failed(Failure::plain("the run came to its end before it was ready"));
        let (cx, began) = (self.context(helper, attempt), self.world.now());
        // Nobody said that it failed: whoever goes on with the run starts it again.
        cx.cancel().raise(1);
        let nothing = super::judge::Gathered::default();
        self.record_end(helper, attempt, &report, report.status, &nothing, &cx, began).await
    }
}
