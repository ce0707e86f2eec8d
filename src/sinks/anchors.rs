//! Heads of the record, to be kept where whoever may write the record cannot reach them. Knows nothing of chains: it is
//! handed the hashes.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use crate::event::{Effect, Event, Record, RunId, RunState, StepId};

/// The hash of a record's line, once it is durable.
pub type HashOf = Rc<dyn Fn(u64) -> Option<String>>;

/// Picks the records whose hash is told: where a run begins or goes on, the end of each step that is not known to look
/// only, and where a run pauses or ends.
pub struct Anchors {
    hash_of: HashOf,
    run: RefCell<Option<RunId>>,
    looks: RefCell<HashSet<StepId>>,
}

/// One of them.
pub(super) struct Anchor {
    pub run: RunId,
    pub seq: u64,
    pub hash: String,
}

impl Anchors {
    /// `before` is what a run that goes on has on record.
    pub fn new(hash_of: HashOf, before: Option<&RunState>) -> Anchors {
        let run = before.and_then(|before| Some(before.header.as_ref()?.run.clone()));
        let steps = before.into_iter().flat_map(|before| &before.steps);
        let looks = steps.filter(|(_, step)| step.attempts > 0 && step.effect == Effect::Read);
        let looks = looks.map(|(id, _)| id.clone()).collect();
        Anchors { hash_of, run: RefCell::new(run), looks: RefCell::new(looks) }
    }

    pub(super) fn of(&self, record: &Record) -> Option<Anchor> {
        match &record.event {
            Event::RunStarted(header) => *self.run.borrow_mut() = Some(header.run.clone()),
            Event::RunResumed { .. } | Event::RunPaused { .. } | Event::RunFinished { .. } => {}
            Event::StepStarted { step, effect, .. } => {
                if *effect == Effect::Read {
                    self.looks.borrow_mut().insert(step.clone());
                }
                return None;
            }
            Event::StepFinished { step, .. } if !self.looks.borrow().contains(step) => {}
            _ => return None,
        }
        let (run, hash) = (self.run.borrow().clone()?, (self.hash_of)(record.seq)?);
        Some(Anchor { run, seq: record.seq, hash })
    }
}

impl std::fmt::Display for Anchor {
    /// The line that is told, in a form that stays.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "anchor {} {} {}", self.run, self.seq, self.hash)
    }
}
