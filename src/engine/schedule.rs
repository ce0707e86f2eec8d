//! Which steps of a list may start, and what runs beside what. Knows no kind of step and no condition.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{
    Engine, Standing,
    signals::Winding,
    unit::{Frame, Unit},
};
use crate::{
    event::{StepId, StepPhase, StepState, StepStatus},
    model::{Graph, OnFailure, Step},
    port::StepError,
};

/// How far a list of steps came.
#[derive(Default)]
pub(super) struct ListEnd {
    pub failed: Vec<String>,
    pub unknown: Vec<String>,
    /// Steps whose needs never came true.
    pub waiting: Vec<String>,
}

impl ListEnd {
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.unknown.is_empty() && self.waiting.is_empty()
    }

    pub fn add(&mut self, mut other: ListEnd) {
        self.failed.append(&mut other.failed);
        self.unknown.append(&mut other.unknown);
        self.waiting.append(&mut other.waiting);
    }
}

/// Steps that may start, in file order, and how many needs the others still have.
struct Queue {
    ready: BTreeSet<usize>,
    open: Vec<usize>,
    /// Those that are over or were given out; none comes twice.
    begun: Vec<bool>,
    /// The steps that wait for each.
    after: Vec<Vec<usize>>,
}

impl Queue {
    fn of(graph: &Graph, standing: &BTreeMap<usize, Standing>, last: bool) -> Queue {
        let count = graph.edges.len();
        let mut queue = Queue {
            ready: BTreeSet::new(),
            open: vec![0; count],
            begun: vec![false; count],
            after: vec![Vec::new(); count],
        };
        for (index, edges) in graph.edges.iter().enumerate() {
            queue.open[index] = edges.len();
            for on in edges.keys() {
                queue.after[*on].push(index);
            }
        }
        queue.ready.extend((0..count).filter(|index| queue.open[*index] == 0));
        for index in standing.keys() {
            queue.begun[*index] = true;
            queue.ready.remove(index);
        }
        for (index, standing) in standing {
            queue.over(*index, *standing, last);
        }
        queue
    }

    /// The next one in file order, and of those that were begun before the first.
    fn next(&mut self, begun_before: &BTreeSet<usize>) -> Option<usize> {
        let next = *self.ready.intersection(begun_before).next().or(self.ready.first())?;
        self.ready.remove(&next);
        self.begun[next] = true;
        Some(next)
    }

    /// In `finally` each step is tried, so there a failure satisfies as well.
    fn over(&mut self, index: usize, standing: Standing, last: bool) {
        if standing == Standing::NotBegun || standing == Standing::Blocks && !last {
            return;
        }
        for after in &self.after[index] {
            self.open[*after] -= 1;
            if self.open[*after] == 0 && !self.begun[*after] {
                self.ready.insert(*after);
            }
        }
    }
}

impl<'a> Engine<'a> {
    /// The steps of a list where they run.
    pub(super) fn list_of(&self, frame: &Rc<Frame<'a>>, steps: &'a [Step]) -> Vec<Unit<'a>> {
        steps.iter().map(|step| Unit::of(step, frame)).collect()
    }

    /// What failed, what is unknown and what never ran, by the names of the steps that do something.
    pub(super) fn ends(&self, steps: &[Unit<'a>]) -> ListEnd {
        let mut end = ListEnd::default();
        for step in steps {
            self.end_of(step, &mut end);
        }
        end
    }

    fn end_of(&self, step: &Unit<'a>, end: &mut ListEnd) {
        let name = step.path.to_string();
        let (status, entered) = {
            let state = self.publisher.state();
            let of = state.steps.get(&step.path);
            (of.and_then(|of| of.status()), of.is_some_and(|of| of.entered.is_some()))
        };
        let goes_on = step.step.on_failure == Some(OnFailure::Continue);
        match status {
            Some(StepStatus::Failed) if goes_on && !self.stops_the_run(step) => {}
            // Why a container failed is told by what is inside of it.
            Some(StepStatus::Failed | StepStatus::Unknown) | None if entered => {
                let mut inside = ListEnd::default();
                for child in self.members(step) {
                    // One that was not started was not needed.
                    let idle = child.step.is_helper() && self.status_of(&child.path).is_none();
                    if !idle {
                        self.end_of(&child, &mut inside);
                    }
                }
                // A call may fail after all of its steps went well, and any container because its time was over.
                if status == Some(StepStatus::Failed) && inside.failed.is_empty() && inside.unknown.is_empty() {
                    inside.failed.push(name);
                }
                end.add(inside);
            }
            Some(StepStatus::Failed) => end.failed.push(name),
            Some(StepStatus::Unknown) => end.unknown.push(name),
            None => end.waiting.push(name),
            _ => {}
        }
    }

    /// Runs a list, each step once everything it needs is over, side by side as far as `limit` goes, and in file order where
    /// there is a choice. What an earlier session had begun comes before anything new.
    ///
    /// Whatever ends the run, it ends when the steps that run have ended: none is dropped.
    pub(super) async fn list(
        &self,
        steps: &[Unit<'a>],
        graph: &Graph,
        limit: usize,
        last: bool,
    ) -> Result<ListEnd, StepError> {
        let mut standing: BTreeMap<usize, Standing> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            if let Some(known) = self.standing_of(step) {
                standing.insert(index, known);
            }
        }
        let mut begun: BTreeSet<usize> = (0..steps.len())
            .filter(|index| !standing.contains_key(index) && self.has_begun_inside(&steps[*index]))
            .collect();
        let mut queue = Queue::of(graph, &standing, last);
        let mut running = FuturesUnordered::new();
        let mut going_on = BTreeSet::new();
        let jobs = limit.max(1);
        let mut broken: Option<StepError> = None;
        loop {
            let first = queue.ready.intersection(&begun).next().is_some();
            // While one of those is open, it is not known what a new step would build on.
            let waits = !first && !going_on.is_empty();
            let may_start = broken.is_none() && !waits && running.len() < jobs;
            tokio::select! {
                biased;
                Some((index, result)) = running.next(), if !running.is_empty() => {
                    begun.remove(&index);
                    going_on.remove(&index);
                    match result {
                        Ok(Standing::NotBegun) => {}
                        Ok(result) => {
                            if result == Standing::Blocks && !last && !self.is_contained_failure(&steps[index]) {
                                self.signals.begin_none(&steps[index].path);
                            }
                            standing.insert(index, result);
                            queue.over(index, result, last);
                        }
                        Err(error) => {
                            self.signals.wind_down(winding(&error));
                            broken = Some(worse(broken, error));
                        }
                    }
                }
                may = self.signals.may_start(), if may_start && (running.is_empty() || !queue.ready.is_empty()) => {
                    if let Err(why) = may {
                        broken = Some(StepError::Paused(why));
                        continue;
                    }
                    // What was begun beside a failure that stops the run is still to be decided, or the run never ends.
                    if self.signals.none_begins().is_some() {
                        queue.ready.retain(|index| begun.contains(index));
                    }
                    // Together, so that their first records share a sync.
                    while running.len() < jobs {
                        let begun_is_ready = queue.ready.intersection(&begun).next().is_some();
                        if !begun_is_ready && !going_on.is_empty() {
                            break;
                        }
                        let Some(index) = queue.next(&begun) else { break };
                        if begun.contains(&index) {
                            going_on.insert(index);
                        }
                        self.come_to(steps, graph, index, last);
                        running.push(async move { (index, self.step(&steps[index], last).await) });
                    }
                    if running.is_empty() {
                        break;
                    }
                }
                else => break,
            }
        }
        match broken {
            Some(error) => Err(error),
            None => Ok(self.ends(steps)),
        }
    }

    /// Whether another step has failed before this one has begun; what an earlier session began is seen through.
    pub(super) fn begins_not(&self, step: &Unit<'a>) -> bool {
        if self.is_late(step) {
            return true;
        }
        // A helper begins for a step that has.
        !step.step.is_helper() && self.signals.none_begins().is_some() && !self.has_begun(&step.path)
    }

    /// Whether a step was started, by an earlier session perhaps, and not seen through.
    pub(super) fn has_begun(&self, step: &StepId) -> bool {
        let state = self.publisher.state();
        state.steps.get(step).is_some_and(|of| match of.phase {
            StepPhase::Running => true,
            StepPhase::Finished { status, .. } => matches!(status, StepStatus::Failed | StepStatus::Unknown),
            _ => false,
        })
    }

    /// Whether it, or something inside of it, was begun and not seen through.
    fn has_begun_inside(&self, step: &Unit<'a>) -> bool {
        if !step.is_container() {
            return self.has_begun(&step.path);
        }
        self.children(step).iter().any(|child| self.has_begun_inside(child))
    }

    /// A failure after which the run goes on after the container around it. An open end is none.
    fn is_contained_failure(&self, step: &Unit<'a>) -> bool {
        let status = self.state().steps.get(&step.path).and_then(|of| of.status());
        step.is_contained() && status == Some(StepStatus::Failed)
    }

    /// Whether a step failed in a way after which nothing new begins, whatever the containers around it say: its own word
    /// wins.
    pub(super) fn stops_the_run(&self, step: &Unit<'a>) -> bool {
        let of = self.state().steps.get(&step.path).map(|of| (of.status(), of.entered.is_some()));
        let failed = |of| of == Some((Some(StepStatus::Failed), true)) || of == Some((Some(StepStatus::Failed), false));
        if !failed(of) && !of.is_some_and(|(status, entered)| status.is_none() && entered) {
            return false;
        }
        let inside = if step.is_container() { self.members(step) } else { Vec::new() };
        if inside
            .iter()
            .any(|child| self.state().steps.get(&child.path).and_then(|of| of.status()) == Some(StepStatus::Failed))
        {
            return inside.iter().any(|child| self.stops_the_run(child));
        }
        failed(of) && step.policy() != OnFailure::Continue
    }

    /// Whether a value that is not on record has to be made again by a step inside.
    fn makes_again(&self, step: &Unit<'a>) -> bool {
        self.children(step).iter().any(|child| {
            if child.is_container() {
                return self.makes_again(child);
            }
            let lost =
                self.state().steps.get(&child.path).is_some_and(
                    |of| matches!(&of.phase, StepPhase::Finished { withheld, .. } if !withheld.is_empty()),
                );
            lost && self.standing_of(child).is_none()
        })
    }

    /// What a step that is over already means for those after it.
    pub(super) fn standing_of(&self, step: &Unit<'a>) -> Option<Standing> {
        if step.is_container() && self.makes_again(step) {
            return None;
        }
        let state = self.publisher.state();
        let state = state.steps.get(&step.path)?;
        match &state.phase {
            StepPhase::Finished { withheld, .. }
                if !withheld.is_empty() && state.idempotent && step.repeats() && self.needs_again(step, withheld) =>
            {
                None
            }
            StepPhase::Finished { status: StepStatus::Failed, .. }
                if step.step.on_failure == Some(OnFailure::Continue)
                    && !was_cut_short(step, state)
                    && !self.stops_the_run(step) =>
            {
                Some(Standing::Satisfied)
            }
            // Failed and unknown steps of an earlier session are decided anew.
            StepPhase::Finished { status: StepStatus::Failed | StepStatus::Unknown, .. } => None,
            // Its intent could not be put on record, so that nothing was done.
            StepPhase::Finished { status: StepStatus::NotRun, .. } => None,
            StepPhase::Finished { .. } | StepPhase::Skipped { .. } => Some(Standing::Satisfied),
            StepPhase::NotStarted | StepPhase::Running | StepPhase::Deferred { .. } => None,
        }
    }
}

/// Whether a failure on record need not be the step's own: it was interrupted, or stopped before its rule could repeat it.
fn was_cut_short(step: &Unit<'_>, state: &StepState) -> bool {
    let repeated = step.retry.as_ref().is_none_or(|retry| state.attempts >= retry.attempts);
    !repeated || state.no_effect || step.idempotent && state.interrupted
}

/// What an error of one step means for those beside it.
fn winding(error: &StepError) -> Winding {
    match error {
        StepError::Declined(why) => Winding::Declined(why.clone()),
        other => Winding::Pausing(other.to_string()),
    }
}

/// Of two errors of steps that ran side by side, the one that says more about the run.
fn worse(before: Option<StepError>, now: StepError) -> StepError {
    let weight = |error: &StepError| match error {
        StepError::Journal(_) => 4,
        StepError::Fault(_) => 3,
        StepError::Declined(_) => 2,
        StepError::Undecided(_) => 1,
        StepError::Paused(_) => 0,
    };
    match before {
        Some(before) if weight(&before) >= weight(&now) => before,
        _ => now,
    }
}
