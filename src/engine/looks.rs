//! Steps in a world that only looks: what is looked at, what of it may be used, and what was seen. Knows no kind of step,
//! and not who shows it.

use serde_json::{Map, Value as Json};

use super::{Engine, Standing, attempt::Ended, context::Attempt, judge::Verified, unit::Unit};
use crate::{
    event::{Effect, StepId, StepPhase, StepStatus},
    model::{Body, Graph, OnFailure, Verdict},
    port::{Deeds, StepContext, StepError, StepReport},
    value::{Slot, Value},
};

/// What a look at a step came to, besides what is on record.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The step was made to look: what it said, if it said anything, is on record.
    pub tried: bool,
    /// This step comes first and changes something, which nobody did: what was seen is not what a run will see, and no
    /// other step builds on it.
    pub behind: Option<StepId>,
    /// Of a step that changes something: whether its effect is there already, as its `verify` sees it.
    pub in_place: Option<InPlace>,
    /// Secrets that nobody reads here, for the lack of which it was not looked at.
    pub lacks: Vec<String>,
    /// What has to live beside it, and is not started for a look.
    pub helper: Option<StepId>,
    /// The end of what was written, masked.
    pub output: Vec<String>,
}

/// What `verify` found.
#[derive(Clone, Debug, PartialEq)]
pub enum InPlace {
    /// With what it captured, but for secrets.
    Yes(Map<String, Json>),
    /// And what was found instead.
    No(String),
    /// It could not be told, or not be looked at, and why.
    Open(String),
}

impl<'a> Engine<'a> {
    /// Whether nothing is done here but to look.
    pub(super) fn only_looks(&self) -> bool {
        self.world.deeds() == Deeds::Looks
    }

    /// Whether what a body needs has to be there: nobody reads a secret for what is not done.
    pub(super) fn needs_secrets(&self, body: &Body) -> bool {
        !self.only_looks() || body.effect == Effect::Read
    }

    pub(super) fn looked(&self, step: &StepId) -> Option<Looked> {
        let mut looked = self.looks.borrow().get(step).cloned();
        if let Some(behind) = self.behind_of(step) {
            looked.get_or_insert_default().behind = Some(behind);
        }
        looked
    }

    /// Remembers of a step that is about to be come to which change stands before it that nobody made.
    pub(super) fn come_to(&self, steps: &[Unit<'a>], graph: &Graph, index: usize, last: bool) {
        if !self.only_looks() {
            return;
        }
        let mut before = graph.edges[index].keys().map(|on| &steps[*on]);
        let mut found = before.find_map(|step| self.behind_of(&step.path).or_else(|| self.left_undone(step)));
        let step = &steps[index];
        if last && found.is_none() {
            // What runs last runs after all the others of its runbook.
            let others = self.list_of(&step.frame, &step.frame.book.steps);
            found = others.iter().find_map(|step| self.left_undone(step));
        }
        if let Some(found) = found {
            self.behind.borrow_mut().insert(step.path.clone(), found);
        }
    }

    /// Its own, or that of a container around it.
    fn behind_of(&self, step: &StepId) -> Option<StepId> {
        let behind = self.behind.borrow();
        let own = behind.get(step).or_else(|| behind.iter().find(|(of, _)| step.is_inside(of)).map(|(_, by)| by));
        own.cloned()
    }

    /// A step that changes something and is not skipped: this one, or one inside of it.
    fn left_undone(&self, step: &Unit<'a>) -> Option<StepId> {
        let (skipped, entered) = {
            let state = self.state();
            let of = state.steps.get(&step.path);
            (
                of.is_some_and(|of| matches!(of.phase, StepPhase::Skipped { .. })),
                of.is_some_and(|of| of.entered.is_some()),
            )
        };
        if skipped {
            return None;
        }
        if step.is_container() && entered {
            return self.children(step).iter().find_map(|child| self.left_undone(child));
        }
        (step.body.effect != Effect::Read).then(|| step.path.clone())
    }

    /// What an expectation waits for, where that may be: what only a change makes.
    pub(super) fn cannot_be_judged(&self, step: &Unit<'a>, body: &Body, report: &StepReport) -> Option<Vec<String>> {
        let result = report.result.as_ref().filter(|_| self.only_looks())?;
        match body.expect.judge(&step.scope(), result) {
            Verdict::Deferred(names) => Some(names),
            _ => None,
        }
    }

    /// Remembers whether an attempt asked anything of the world.
    pub(super) fn tried(&self, step: &Unit<'a>, cx: &Attempt<'_, '_>) {
        if self.only_looks() && cx.begun() {
            self.looks.borrow_mut().entry(step.path.clone()).or_default().tried = true;
        }
    }

    /// Whether a step that looks stands beside a helper, which nobody starts for it.
    pub(super) fn lacks_helper(&self, step: &Unit<'a>) -> bool {
        if !self.only_looks() {
            return false;
        }
        let helper = self.helpers_around(step).into_iter().next().map(|helper| helper.path);
        let lacks = helper.is_some();
        if lacks {
            self.looks.borrow_mut().entry(step.path.clone()).or_default().helper = helper;
        }
        lacks
    }

    /// Remembers which secrets a step lacks.
    pub(super) fn lacks(&self, step: &Unit<'a>, names: Vec<String>) {
        if self.only_looks() {
            self.looks.borrow_mut().entry(step.path.clone()).or_default().lacks = names;
        }
    }

    /// After an attempt, which did nothing but look: what it saw is known from here on, and no failure is the end of it.
    pub(super) fn saw(&self, step: &Unit<'a>, ended: &Ended) -> Standing {
        let tried = {
            let mut looks = self.looks.borrow_mut();
            let looked = looks.entry(step.path.clone()).or_default();
            looked.output.clone_from(&ended.output);
            looked.tried
        };
        let behind = tried && self.behind_of(&step.path).is_some();
        match ended.status {
            StepStatus::NotRun => self.settle(step, ended.status, &ended.captures),
            // What a change before it will make of it, nobody knows.
            _ if behind => {}
            StepStatus::Failed | StepStatus::Unknown if step.step.on_failure == Some(OnFailure::Continue) => {
                self.settle(step, StepStatus::Failed, &ended.captures);
            }
            StepStatus::Failed | StepStatus::Unknown => {}
            status => {
                step.set_status(Slot::Known(Value::text(status.name())));
                // What is not among them waits for what only a change makes.
                let mut scope = step.frame.scope.borrow_mut();
                for (name, value) in &ended.captures {
                    scope.know(name, value.clone());
                }
            }
        }
        Standing::Satisfied
    }

    /// Asks `verify` of a step that changes something and was left out for it.
    pub(super) async fn look_whether_in_place(&self, step: &Unit<'a>) -> Result<(), StepError> {
        if !self.only_looks() || step.verify.is_none() || step.body.effect == Effect::Read {
            return Ok(());
        }
        if let Some(why) = self.signals.stop_reason_now().await {
            return Err(StepError::Paused(why));
        }
        let attempt = self.state().steps.get(&step.path).map_or(1, |of| of.attempts.max(1));
        let cx = self.context(step, attempt);
        let found = match self.verify(step, &cx).await? {
            Verified::InPlace(values) => match self.gather(values, step) {
                Ok(gathered) => {
                    let shown = gathered.values.iter().filter(|(name, _)| !gathered.withheld.contains(name));
                    InPlace::Yes(shown.map(|(name, value)| (name.clone(), value.to_json())).collect())
                }
                Err(error) => InPlace::Open(error.to_string()),
            },
            Verified::NotInPlace(found) => InPlace::No(found),
            Verified::Undecided(found) => InPlace::Open(found),
        };
        if cx.cancel().level() > 0 {
            return Err(StepError::Paused("it was interrupted".into()));
        }
        self.looks.borrow_mut().entry(step.path.clone()).or_default().in_place = Some(found);
        Ok(())
    }
}
