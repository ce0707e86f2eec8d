//! Takes back what ran: decided, shown and agreed to first, then one step after the other. Knows no kind of step.

use super::{
    Engine, RunEnd, Standing, menu,
    unit::Unit,
    way_back::{Said, Took, WayBack, changes},
};
use crate::{
    event::{Event, Outcome, Stays, StepId, StepPhase, StepStatus, ToUndo},
    port::{Reply, StepError},
    value::{Slot, Value},
};

/// The exit code of a run that was undone, whatever came before.
const UNDONE: u8 = 6;
const UNDO_FAILED: u8 = 12;

/// Why what ran is to be taken back.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cause {
    /// The file says so.
    Policy,
    /// Somebody chose it in the menu of a step.
    Chosen(StepId),
    /// Somebody chose it at Ctrl-C.
    Interrupted,
    /// Somebody declined, and may want it.
    Offered,
    /// It was asked for before anything else.
    Asked,
    /// It began in an earlier session.
    Begun,
}

/// What came of it.
pub(super) enum Taken {
    End(RunEnd),
    /// Nothing was undone, and nothing more is to be done now.
    Left(RunEnd),
    /// Nothing was undone, and the run goes on.
    GoOn,
}

/// What a plan of an undo says, without doing any of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UndoOutlook {
    pub steps: Vec<ToUndo>,
    pub stays: Vec<Stays>,
    pub point_of_no_return: Option<StepId>,
    /// Steps that are asked about before anything is done.
    pub unknown: Vec<StepId>,
}

impl<'a> Engine<'a> {
    /// What an undo of the run would do now. Asks nobody, and does nothing.
    pub async fn undo_outlook(&self) -> Result<UndoOutlook, StepError> {
        self.restore().await?;
        let undo = self.state().undo.clone();
        let way = self.way_back(&Said::new());
        let unknown = self.undecided();
        if let Some(undo) = undo {
            let left = |step: &&ToUndo| self.status_of(&step.step) != Some(StepStatus::Undone);
            let steps = undo.steps.iter().filter(left).cloned().collect();
            return Ok(UndoOutlook { steps, stays: undo.stays, point_of_no_return: undo.point_of_no_return, unknown });
        }
        let steps = way.entries.iter().map(|entry| self.listed(entry)).collect();
        Ok(UndoOutlook { steps, stays: way.stays, point_of_no_return: way.point_of_no_return, unknown })
    }

    /// Whether this session is there to take things back, and runs no step of the run any more.
    pub(super) fn goes_back(&self) -> bool {
        let state = self.state();
        self.options.undo || state.undo.is_some() || state.reopened.is_some()
    }

    /// Why the run is to be undone after its steps came to this, if it is.
    pub(super) fn cause_of_undo(&self, result: &Result<super::ListEnd, StepError>) -> Option<Cause> {
        if matches!(result, Err(StepError::Journal(_) | StepError::Fault(_) | StepError::Undecided(_))) {
            return None;
        }
        if self.state().undo.is_some() {
            return (!matches!(result, Err(StepError::Paused(_)))).then_some(Cause::Begun);
        }
        if self.options.run.is_none() || self.is_closing() && self.state().reopened.is_none() {
            return None;
        }
        if self.goes_back() {
            return (!matches!(result, Err(StepError::Paused(_)))).then_some(Cause::Asked);
        }
        if self.signals.undo_wanted() {
            return Some(Cause::Interrupted);
        }
        match result {
            Ok(list) if list.unknown.is_empty() => {
                let fails = |step: &Unit<'a>| {
                    list.failed.iter().any(|name| name == step.path.as_str())
                        && step.policy() == crate::model::OnFailure::Undo
                };
                self.main_units().iter().any(fails).then_some(Cause::Policy)
            }
            Err(StepError::Declined(_)) => match self.was_declined_at() {
                Some((step, word)) if word == "undo" => Some(Cause::Chosen(step)),
                Some((_, word)) if word == "no" && self.operator.attended() => Some(Cause::Offered),
                _ => None,
            },
            _ => None,
        }
    }

    /// Takes back what ran. `before` is how the run ends if nothing is.
    pub(super) async fn take_back(&self, cause: &Cause, before: RunEnd) -> Result<Taken, StepError> {
        self.signals.begin_any();
        self.forget_limits();
        if *cause == Cause::Interrupted {
            self.signals.begin_again();
        }
        if *cause != Cause::Begun {
            self.over.set(true);
            self.decide_unknown().await?;
            let way = self.decided_way().await?;
            if let Some(left) = self.agree(cause, &way, &before).await? {
                if matches!(left, Taken::GoOn) {
                    self.over.set(false);
                }
                return Ok(left);
            }
            let by = if *cause == Cause::Policy { "runsheet".to_owned() } else { self.operator.name() };
            let reason = before.reason.clone().unwrap_or_else(|| "it was asked for".into());
            self.publisher
                .publish(Event::UndoStarted {
                    steps: way.entries.iter().map(|entry| self.listed(entry)).collect(),
                    stays: way.stays,
                    point_of_no_return: way.point_of_no_return,
                    reason,
                    by,
                })
                .await?;
        }
        self.over.set(true);
        if !self.is_closing() || self.state().reopened.is_some() {
            self.run_undo().await?;
        }
        Ok(Taken::End(self.end_of_undo()))
    }

    /// Steps of which nobody knows whether they took effect.
    fn undecided(&self) -> Vec<StepId> {
        let units = self.main_units();
        let open = |step: &&Unit<'a>| {
            let state = self.state();
            let of = state.steps.get(&step.path);
            of.is_some_and(|of| {
                let running = of.phase == StepPhase::Running && of.touched;
                !step.is_container() && !step.step.is_helper() && (running || of.status() == Some(StepStatus::Unknown))
            })
        };
        units.iter().filter(open).map(|step| step.path.clone()).collect()
    }

    /// Nothing is taken back before it is known what took effect.
    async fn decide_unknown(&self) -> Result<(), StepError> {
        for step in self.main_units() {
            let phase = self.state().steps.get(&step.path).map(|of| of.phase.clone());
            let open =
                matches!(phase, Some(StepPhase::Running | StepPhase::Finished { status: StepStatus::Unknown, .. }));
            if step.is_container() || step.step.is_helper() || !open {
                continue;
            }
            let waits = step.body.action.is_asked() || step.body.effect == crate::event::Effect::Read;
            if !(waits && phase == Some(StepPhase::Running)) {
                self.carry_on(&step, phase, false).await?;
            }
            // Nothing of it had begun, or it only looked.
            if self.state().steps.get(&step.path).is_some_and(|of| of.phase == StepPhase::Running) {
                self.without_effect(&step, "the run was undone before it had done anything").await?;
            }
        }
        let open = self.undecided();
        if open.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = open.iter().map(StepId::as_str).collect();
        let names = names.join(", ");
        Err(StepError::Undecided(format!("nobody knows whether this took effect: {names}; nothing was undone")))
    }

    /// The way back, once a person has said what steps that did not succeed have done. Where nobody is there they are left
    /// as they are.
    async fn decided_way(&self) -> Result<WayBack<'a>, StepError> {
        let mut said = Said::new();
        loop {
            let mut way = self.way_back(&said);
            if !self.operator.attended() {
                return Ok(way);
            }
            let Some(step) = way.half.pop() else { return Ok(way) };
            let undo = step.undo();
            let detail = undo.as_ref().map(|undo| undo.body.action.show(&undo.seen()).detail);
            let status = self.status_of(&step.path);
            let question = menu::half_done(&step, self.title(&step), status, detail.as_deref());
            match self.ask(question).await? {
                Reply::Answer(answer) if answer.word == "pause" => {
                    return Err(StepError::Paused("the operator paused the run".into()));
                }
                Reply::Answer(answer) => {
                    said.insert(step.path.clone(), matches!(answer.word.as_str(), "undo-it" | "passed"));
                }
                Reply::Nobody { why } | Reply::Closed { why, .. } => return Err(StepError::Paused(why)),
                Reply::Unasked => return Ok(way),
            }
        }
    }

    /// Shows it and asks; none: it is begun.
    async fn agree(&self, cause: &Cause, way: &WayBack<'a>, before: &RunEnd) -> Result<Option<Taken>, StepError> {
        let attended = self.operator.attended();
        let nothing = way.entries.is_empty();
        let told = told_of_nothing(way);
        let with = |why: &str| {
            let reason = before.reason.as_ref().map_or(why.to_owned(), |before| format!("{before}; {why}"));
            RunEnd { reason: Some(reason), ..before.clone() }
        };
        let may_go_on = matches!(cause, Cause::Chosen(_) | Cause::Interrupted) && attended;
        if nothing && !may_go_on {
            return Ok(Some(match cause {
                Cause::Asked => Taken::Left(RunEnd { code: 1, ..with(&told) }),
                Cause::Offered => Taken::End(before.clone()),
                _ => Taken::End(with(&told)),
            }));
        }
        self.step_mode.set(false);
        if !attended && *cause != Cause::Asked {
            return Ok(None);
        }
        let mut question = menu::undo(cause, !nothing, self.state().reopened.is_some());
        question.step = match cause {
            Cause::Chosen(step) => Some(step.clone()),
            _ => None,
        };
        if nothing {
            question.message = told;
        }
        for (number, entry) in way.entries.iter().enumerate() {
            question.context.push(format!("{}. {}", number + 1, entry.step.path));
            question.context.extend(self.in_full(&entry.undo).lines().map(|line| format!("     {line}")));
        }
        if let Some(point) = &way.point_of_no_return {
            question.context.push(format!("{point} was a point of no return: nothing before it is undone"));
        }
        question.context.extend(way.stays.iter().map(|stays| format!("stays: {}, {}", stays.step, stays.why)));
        match self.ask(question).await? {
            Reply::Answer(answer) => match answer.word.as_str() {
                "go" if !nothing => Ok(None),
                "step" if !nothing => {
                    self.step_mode.set(true);
                    Ok(None)
                }
                "back" => {
                    self.step_mode.set(self.options.step_mode);
                    Ok(Some(Taken::GoOn))
                }
                "quit" if *cause == Cause::Asked => {
                    Ok(Some(Taken::Left(RunEnd { code: 5, ..with("nothing was undone") })))
                }
                "quit" => Ok(Some(Taken::End(before.clone()))),
                "pause" => Err(StepError::Paused("the operator paused the run".into())),
                other => Err(StepError::Paused(format!("`{other}` is no answer to this question"))),
            },
            Reply::Nobody { why } | Reply::Closed { why, .. } => Err(StepError::Paused(why)),
            Reply::Unasked => Ok(Some(Taken::Left(before.clone()))),
        }
    }

    /// One after the other, as far as it goes.
    async fn run_undo(&self) -> Result<(), StepError> {
        let steps = self.state().undo.as_ref().map(|undo| undo.steps.clone()).unwrap_or_default();
        let units = self.main_units();
        self.forget_given_up();
        self.make_again_for_undo(&units, &steps).await?;
        for listed in &steps {
            let unit = units.iter().find(|unit| unit.path == listed.step && unit.undo().is_some());
            let Some((step, undo)) = unit.and_then(|unit| Some((unit, unit.undo()?))) else {
                let why = format!("what takes {} back is not in the runbook any more", listed.step);
                return Err(StepError::Paused(why));
            };
            if self.status_of(&step.path) == Some(StepStatus::Undone) {
                continue;
            }
            let quit = {
                let state = self.state();
                let of = state.steps.get(&undo.path);
                of.and_then(|of| of.answers.last()).is_some_and(|answer| answer.0 == "quit")
            };
            if quit && self.state().reopened.is_none() {
                break;
            }
            match self.status_of(&undo.path) {
                Some(StepStatus::Succeeded | StepStatus::DoneByHand | StepStatus::Skipped) => {}
                _ => match self.step(&undo, false).await {
                    Ok(Standing::Satisfied) => {}
                    Ok(Standing::Blocks | Standing::NotBegun) => {
                        if let Some(why) = self.signals.stop_reason_now().await {
                            return Err(StepError::Paused(why));
                        }
                        break;
                    }
                    Err(StepError::Declined(_)) => break,
                    Err(error) => return Err(error),
                },
            }
            if matches!(self.status_of(&undo.path), Some(StepStatus::Succeeded | StepStatus::DoneByHand)) {
                self.mark_undone(step, Some(&undo.path)).await?;
            }
        }
        self.signals.wound_down();
        self.end_helpers().await?;
        self.mark_containers().await
    }

    /// Puts on record that the effect of a step is not in place any more, and that of what is inside of it.
    async fn mark_undone(&self, step: &Unit<'a>, by: Option<&StepId>) -> Result<(), StepError> {
        if step.is_container() && by.is_some() {
            let in_place = |leaf: &Unit<'a>| matches!(self.took(leaf), Took::Yes(..) | Took::Perhaps(..));
            for leaf in self.leaves(step).into_iter().rev().filter(|leaf| changes(leaf) && in_place(leaf)) {
                self.mark(&leaf, by).await?;
            }
            let inside = self.units_in(step);
            for container in inside.iter().rev().filter(|unit| unit.is_container()) {
                if self.was_entered(container) && self.took(container) != Took::Undone && self.is_undone(container) {
                    self.mark(container, by).await?;
                }
            }
        }
        self.mark(step, by).await
    }

    async fn mark(&self, step: &Unit<'a>, by: Option<&StepId>) -> Result<(), StepError> {
        self.publisher.publish(Event::StepUndone { step: step.path.clone(), undone_by: by.cloned() }).await?;
        self.show_undone(step);
        Ok(())
    }

    /// Where expressions look for it; what a call has given stays there.
    fn show_undone(&self, step: &Unit<'a>) {
        let undone = Value::text(StepStatus::Undone.name());
        let held = match step.frame.scope.borrow().step(step.step.path.as_str()) {
            Some(Slot::Known(Value::Map(held))) => Some(held.clone()),
            _ => None,
        };
        step.set_status(Slot::Known(match held {
            Some(held) => {
                let mut held: indexmap::IndexMap<String, Value> =
                    held.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                held.insert("status".into(), undone);
                Value::map(held)
            }
            None => undone,
        }));
    }

    /// Containers of which all that was done was taken back, one by one.
    async fn mark_containers(&self) -> Result<(), StepError> {
        for step in self.main_units().iter().rev() {
            if step.is_container() && self.was_entered(step) && self.took(step) != Took::Undone && self.is_undone(step)
            {
                self.mark_undone(step, None).await?;
            }
        }
        Ok(())
    }

    /// Whether everything that was done inside of a container was taken back, and something was.
    fn is_undone(&self, step: &Unit<'a>) -> bool {
        let mut any = false;
        for leaf in self.leaves(step).iter().filter(|leaf| changes(leaf)) {
            match self.took(leaf) {
                Took::Undone => any = true,
                Took::Yes(..) | Took::Perhaps(..) => return false,
                Took::No => {}
            }
        }
        any
    }

    /// How the run ends after it.
    fn end_of_undo(&self) -> RunEnd {
        let Some(undo) = self.state().undo.clone() else {
            return RunEnd { outcome: Outcome::Unknown, code: 70, reason: Some("no undo was begun".into()) };
        };
        let (mut undone, mut failed) = (Vec::new(), Vec::new());
        let (mut skipped, mut rest) = (Vec::new(), Vec::new());
        for ToUndo { step, .. } in undo.steps.iter() {
            let of = step.undo();
            match (self.status_of(step), self.status_of(&of)) {
                (Some(StepStatus::Undone), _) => undone.push(step.to_string()),
                (_, Some(StepStatus::Skipped)) => skipped.push(format!("{step} (left by the operator)")),
                (_, Some(StepStatus::Unknown)) => {
                    let reason = format!("{}; nobody knows whether this took effect: {of}", undo.reason);
                    return RunEnd { outcome: Outcome::Unknown, code: 7, reason: Some(reason) };
                }
                (_, Some(StepStatus::Failed)) => failed.push(step.to_string()),
                _ => rest.push(step.to_string()),
            }
        }
        let complete = failed.is_empty() && rest.is_empty() && !undone.is_empty();
        let mut reason = undo.reason.clone();
        let mut say = |what: &str, names: &[String]| {
            if !names.is_empty() {
                reason.push_str(&format!("; {what}: {}", names.join(", ")));
            }
        };
        say("undone", &undone);
        say("could not be undone", &failed);
        let mut left = skipped;
        left.append(&mut rest);
        left.extend(undo.stays.iter().map(|stays| format!("{} ({})", stays.step, stays.why)));
        say("stays as it is", &left);
        let (outcome, code) = if complete { (Outcome::Undone, UNDONE) } else { (Outcome::UndoFailed, UNDO_FAILED) };
        RunEnd { outcome, code, reason: Some(reason) }
    }

    pub(super) fn status_of(&self, step: &StepId) -> Option<StepStatus> {
        self.state().steps.get(step).and_then(|of| of.status())
    }
}

fn told_of_nothing(way: &WayBack<'_>) -> String {
    match &way.point_of_no_return {
        Some(point) => format!("nothing was undone: {point} was a point of no return"),
        None if way.stays.is_empty() => "nothing was undone: nothing took effect that could be".to_owned(),
        None => {
            let names: Vec<String> = way.stays.iter().map(|of| format!("{} ({})", of.step, of.why)).collect();
            format!("nothing was undone; stays as it is: {}", names.join(", "))
        }
    }
}
