//! What has taken effect and what would take it back, latest first. Runs nothing and asks nobody.

use std::collections::BTreeMap;

use super::{Engine, context::shorten, unit::Unit};
use crate::{
    event::{Effect, SkipCause, Stays, StepId, StepPhase, StepStatus, ToUndo},
    model::Inside,
};

/// Whether a step has taken effect, by the numbers of the first and the last record that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    No,
    /// It came to an end that says nothing about how much of it was done.
    Perhaps(u64, u64),
    Yes(u64, u64),
    Undone,
}

/// What is to be taken back, in this order, and what stays as it is.
#[derive(Default)]
pub(super) struct WayBack<'a> {
    pub entries: Vec<Entry<'a>>,
    pub stays: Vec<Stays>,
    pub point_of_no_return: Option<StepId>,
    /// Steps that may have done a part of what they do, and have an undo or are points of no return.
    pub half: Vec<Unit<'a>>,
}

pub(super) struct Entry<'a> {
    pub step: Unit<'a>,
    pub undo: Unit<'a>,
    last: u64,
}

/// What somebody has said of steps that may have done half: whether they count as done.
pub(super) type Said = BTreeMap<StepId, bool>;

impl<'a> Engine<'a> {
    /// The way back from here.
    pub(super) fn way_back(&self, said: &Said) -> WayBack<'a> {
        let mut way = WayBack::default();
        let mut point: Option<(u64, StepId)> = None;
        for step in self.main_units() {
            if !step.irreversible || step.is_loop() {
                continue;
            }
            let last = match self.took(&step) {
                Took::Yes(_, last) => last,
                Took::Perhaps(_, last) => match said.get(&step.path) {
                    // Where nobody says that it was not passed, it was.
                    Some(true) => last,
                    None => {
                        way.half.push(step.clone());
                        last
                    }
                    Some(false) => continue,
                },
                Took::No | Took::Undone => continue,
            };
            if point.as_ref().is_none_or(|(before, _)| *before < last) {
                point = Some((last, step.path.clone()));
            }
        }
        for step in self.list_of(&self.top, &self.plan.runbook.steps) {
            self.add_to_way(&step, point.as_ref(), said, &mut way);
        }
        way.entries.sort_by_key(|entry| std::cmp::Reverse(entry.last));
        way.point_of_no_return = point.map(|(_, step)| step);
        way
    }

    fn add_to_way(&self, step: &Unit<'a>, point: Option<&(u64, StepId)>, said: &Said, way: &mut WayBack<'a>) {
        let Some(undo) = step.undo() else {
            if step.is_container() {
                for child in self.inner(step) {
                    self.add_to_way(&child, point, said, way);
                }
                return;
            }
            // What only asks leaves nothing behind, whatever it asks about.
            if step.body.effect == Effect::Read || step.body.action.is_gate() {
                return;
            }
            let why = match self.took(step) {
                Took::Yes(..) if step.irreversible => "it is a point of no return",
                Took::Yes(..) => "it has no `undo`",
                Took::Perhaps(..) if said.get(&step.path) == Some(&false) => return,
                Took::Perhaps(..) => "it did not succeed, may have done a part of it, and has no `undo`",
                Took::No | Took::Undone => return,
            };
            way.stays.push(Stays { step: step.path.clone(), why: why.into() });
            return;
        };
        let (first, last) = match self.took(step) {
            Took::Yes(first, last) => (first, last),
            Took::Perhaps(first, last) => match said.get(&step.path) {
                Some(true) => (first, last),
                Some(false) => {
                    let why = "it did not succeed, and was left as it is".to_owned();
                    return way.stays.push(Stays { step: step.path.clone(), why });
                }
                None => {
                    way.half.push(step.clone());
                    let why = "it did not succeed, and nobody says how much of it was done".to_owned();
                    return way.stays.push(Stays { step: step.path.clone(), why });
                }
            },
            Took::No | Took::Undone => return,
        };
        if let Some((_, point)) = point.filter(|(at, _)| first <= *at) {
            let why = match point.is_inside(&step.path) {
                true => format!("{point} in it is a point of no return, and has run"),
                false => format!("it ran before {point}, which is a point of no return"),
            };
            return way.stays.push(Stays { step: step.path.clone(), why });
        }
        way.entries.push(Entry { step: step.clone(), undo, last });
    }

    /// The steps that a container holds directly and that are not there to run last.
    fn inner(&self, step: &Unit<'a>) -> Vec<Unit<'a>> {
        if !step.is_loop() && matches!(step.inside(), Some(Inside::Call(_))) {
            let frame = self.callees.borrow().get(&step.path).cloned();
            return frame.map(|frame| self.list_of(&frame, &frame.book.steps)).unwrap_or_default();
        }
        self.children(step)
    }

    /// The steps inside of a container that do something themselves.
    pub(super) fn leaves(&self, step: &Unit<'a>) -> Vec<Unit<'a>> {
        if !step.is_container() {
            return vec![step.clone()];
        }
        self.inner(step).iter().flat_map(|child| self.leaves(child)).collect()
    }

    /// Whether a step, or what is inside of it, has taken effect.
    pub(super) fn took(&self, step: &Unit<'a>) -> Took {
        if self.state().steps.get(&step.path).and_then(|of| of.status()) == Some(StepStatus::Undone) {
            return Took::Undone;
        }
        if !step.is_container() {
            return self.leaf_took(step);
        }
        // What only looks counts only where nothing else is done.
        let mut leaves = self.leaves(step);
        if leaves.iter().any(changes) {
            leaves.retain(changes);
        }
        let (mut done, mut half) = (None, None);
        for leaf in &leaves {
            let (span, first, last) = match self.leaf_took(leaf) {
                Took::Yes(first, last) => (&mut done, first, last),
                Took::Perhaps(first, last) => (&mut half, first, last),
                Took::No | Took::Undone => continue,
            };
            let (low, high) = span.unwrap_or((first, last));
            *span = Some((low.min(first), high.max(last)));
        }
        match (done, half) {
            (Some((first, last)), half) => {
                let (low, high) = half.unwrap_or((first, last));
                Took::Yes(first.min(low), last.max(high))
            }
            (None, Some((first, last))) => Took::Perhaps(first, last),
            (None, None) => Took::No,
        }
    }

    fn leaf_took(&self, step: &Unit<'a>) -> Took {
        let state = self.state();
        let Some(of) = state.steps.get(&step.path) else { return Took::No };
        if let (Some(at), true) = (of.took_effect, of.status() != Some(StepStatus::Undone)) {
            return Took::Yes(at, at);
        }
        let ended = of.ended.unwrap_or(u64::MAX);
        match &of.phase {
            StepPhase::Finished { status: StepStatus::Undone, .. } => Took::Undone,
            StepPhase::Finished { status: StepStatus::Failed | StepStatus::Unknown, .. }
            | StepPhase::Skipped { cause: SkipCause::Operator, .. }
                if of.touched =>
            {
                Took::Perhaps(ended, ended)
            }
            _ => Took::No,
        }
    }
}

/// Whether a step does more than look, or its file says that it does.
pub(super) fn changes(step: &Unit<'_>) -> bool {
    step.body.effect != Effect::Read || step.irreversible || step.step.undo.is_some()
}

impl<'a> Engine<'a> {
    /// What is put on record of it, and shown: with every command in full.
    pub(super) fn listed(&self, entry: &Entry<'a>) -> ToUndo {
        let body = &entry.undo.body;
        ToUndo {
            step: entry.step.path.clone(),
            kind: body.kind.to_owned(),
            effect: body.effect,
            detail: shorten(self.in_full(&entry.undo)),
        }
    }

    /// What a step does; of a runbook that it calls also what that does.
    pub(super) fn in_full(&self, step: &Unit<'a>) -> String {
        let mut text = step.body.action.show(&step.seen()).detail;
        let Some(Inside::Call(call)) = step.inside() else { return text };
        let entered = self.callees.borrow().get(&step.path).cloned();
        let Some(frame) = entered.or_else(|| self.callee_as_planned(step, call)) else { return text };
        for leaf in self.units(&frame, &frame.book.steps).iter().filter(|unit| unit.inside().is_none()) {
            let detail = leaf.body.action.show(&leaf.seen()).detail;
            let own = leaf.path.as_str().strip_prefix(step.path.as_str()).unwrap_or_default();
            text.push_str(&format!("\n{}: {detail}", own.trim_start_matches('/')));
        }
        text
    }
}
