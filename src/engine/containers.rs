//! Steps that hold others: entered once, run through, and over when what they hold is. Knows no kind of step that does
//! something itself.

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::Map;

use super::{
    Condition, Engine, Standing,
    decide::Next,
    publish::millis,
    schedule::ListEnd,
    unit::{Frame, Unit, ended_slot},
};
use crate::{
    event::{self, Event, StepPhase, StepStatus},
    model::{EdgeRule, Graph, Inside, Names, OnFailure, Step, item_path},
    plan::{self},
    port::{Failure, Local, StepError},
    syntax::{Expr, Truth},
    text::Diagnostic,
    value::{Slot, Value},
};

/// What came of entering a container.
pub(super) enum Enter {
    Inside,
    /// It is skipped, or shown as written.
    Over(Standing),
    Broken(Failure),
}

impl<'a> Engine<'a> {
    /// A container, from its condition to the end of what it holds.
    pub(super) fn container<'s>(&'s self, step: &'s Unit<'a>, last: bool) -> Local<'s, Result<Standing, StepError>> {
        Box::pin(async move {
            loop {
                let failure = match self.enter(step).await? {
                    Enter::Inside => match self.within_limit(step, last).await? {
                        Some(standing) => return Ok(standing),
                        None => continue,
                    },
                    Enter::Over(standing) => return Ok(standing),
                    Enter::Broken(failure) => failure,
                };
                let ended = self.fail_unstarted(step, failure).await?;
                match self.after(step, &ended, last).await? {
                    Next::Again => {}
                    Next::Over(standing) => return Ok(standing),
                }
            }
        })
    }

    /// Decides what is decided once, and puts it on record.
    async fn enter(&self, step: &Unit<'a>) -> Result<Enter, StepError> {
        let entered = self.state().steps.get(&step.path).and_then(|of| of.entered.clone());
        if entered.is_some() {
            self.refresh(step);
            return Ok(Enter::Inside);
        }
        if let Some(why) = self.signals.stop_reason_now().await {
            return Err(StepError::Paused(why));
        }
        if self.begins_not(step) {
            return Ok(Enter::Over(Standing::NotBegun));
        }
        let entered = |step: &Unit<'a>| Event::StepEntered {
            step: step.path.clone(),
            items: Vec::new(),
            case: None,
            runbook: None,
            runbook_sha256: None,
            params: Map::new(),
        };
        let mut event = entered(step);
        if let (true, Some(foreach)) = (step.is_loop(), &step.step.foreach) {
            let items = match foreach.eval(&step.scope()) {
                Ok(Ok(items)) => items,
                Ok(Err(names)) => return self.waits(step, names).await,
                Err(diagnostic) => return Ok(Enter::Broken(Failure::drawn(diagnostic))),
            };
            let redactor = self.publisher.redactor();
            if items.iter().any(|item| redactor.holds(&item.to_string())) {
                let why = "an item of this loop holds a secret, and items are names on record";
                return Ok(Enter::Broken(Failure::drawn(Diagnostic::error("shown-secret", foreach.items_span(), why))));
            }
            if let Event::StepEntered { items: of, .. } = &mut event {
                of.extend(items.iter().map(Value::to_json));
            }
            self.items.borrow_mut().insert(step.path.clone(), items.iter().map(|item| step.item(item)).collect());
            self.begin(step, "foreach", event).await?;
            return Ok(Enter::Inside);
        }
        match self.condition(step).await? {
            Condition::Holds => {}
            Condition::Over => return Ok(Enter::Over(Standing::Satisfied)),
            Condition::Broken(failure) => return Ok(Enter::Broken(failure)),
        }
        if let Err(failure) = self.limit_of(step) {
            return Ok(Enter::Broken(failure));
        }
        match step.inside() {
            None => {}
            Some(Inside::Group(group)) => {
                if let Some(failure) = self.cycle_in(step, &group.steps, group.parallel.is_some()) {
                    return Ok(Enter::Broken(failure));
                }
            }
            Some(Inside::Choose(choose)) => {
                let taken = match self.choose(step, choose).await? {
                    Ok(taken) => taken,
                    Err(other) => return Ok(other),
                };
                self.leave_out_others(step, choose, &taken);
                if let Event::StepEntered { case, .. } = &mut event {
                    *case = Some(taken);
                }
            }
            Some(Inside::Call(call)) => {
                let inputs = match self.handed_over(step, call) {
                    Ok(inputs) => inputs,
                    Err(failure) => return Ok(Enter::Broken(failure)),
                };
                let waiting: Vec<String> = inputs.waiting.iter().flat_map(|(_, names)| names.clone()).collect();
                if !waiting.is_empty()
                    && let Err(failure) = self.unmet(waiting)
                {
                    return Ok(Enter::Broken(failure));
                }
                let frame = match self.callee(step, call, &inputs) {
                    Ok(frame) => frame,
                    Err(failure) => return Ok(Enter::Broken(failure)),
                };
                if let Some(failure) = self.hopeless_output(&frame) {
                    return Ok(Enter::Broken(failure));
                }
                for steps in [&frame.book.steps, &frame.book.finally] {
                    let graph = self.graph(&frame, steps, false);
                    if let Some(cycle) = graph.cycle(steps) {
                        let problem = plan::cycle_problem(&cycle, steps);
                        let message = format!("in the runbook {}: {}", frame.book.name, problem.message);
                        return Ok(Enter::Broken(Failure::plain(message)));
                    }
                }
                if let Event::StepEntered { runbook, runbook_sha256, params, .. } = &mut event {
                    *runbook = Some(frame.book.name.clone());
                    *runbook_sha256 = Some(frame.book.sha256());
                    params.extend(
                        inputs
                            .given
                            .values
                            .iter()
                            .filter_map(|(name, given)| Some((name.clone(), given.value.as_ref()?.to_json()))),
                    );
                }
                self.callees.borrow_mut().insert(step.path.clone(), frame);
            }
        }
        self.begin(step, step.body.kind, event).await?;
        Ok(Enter::Inside)
    }

    /// Only where nothing is run may a container wait for ever.
    pub(super) async fn waits(&self, step: &Unit<'a>, names: Vec<String>) -> Result<Enter, StepError> {
        match self.unmet(names) {
            Ok(names) => self.defer(step, names).await.map(Enter::Over),
            Err(failure) => Ok(Enter::Broken(failure)),
        }
    }

    /// Puts the start of a container on record, unless it is there already, and what it has decided.
    async fn begin(&self, step: &Unit<'a>, kind: &str, entered: Event) -> Result<(), StepError> {
        if !self.is_running(step) {
            self.start_as(step, kind).await?;
        }
        self.publisher.publish(entered).await
    }

    pub(super) fn is_running(&self, step: &Unit<'a>) -> bool {
        self.state().steps.get(&step.path).is_some_and(|of| of.phase == StepPhase::Running)
    }

    pub(super) async fn start_as(&self, step: &Unit<'a>, kind: &str) -> Result<(), StepError> {
        let attempt = self.state().steps.get(&step.path).map_or(0, |of| of.attempts) + 1;
        self.publisher
            .publish(Event::StepStarted {
                step: step.path.clone(),
                attempt,
                kind: kind.to_owned(),
                effect: step.body.effect,
                idempotent: false,
                title: step.title.as_ref().map(|_| self.title(step)),
            })
            .await
    }

    /// Runs what it holds, and puts its end on record if that is over.
    pub(super) async fn inside(&self, step: &Unit<'a>, last: bool) -> Result<Standing, StepError> {
        let began = self.world.now();
        let jobs = self.options.jobs;
        if let (true, Some(foreach)) = (step.is_loop(), &step.step.foreach) {
            let items = self.children(step);
            let graph = in_turn(items.len(), foreach.parallel.is_some());
            let end = self.list(&items, &graph, foreach.parallel.unwrap_or(1), last).await?;
            self.collect(step);
            return self.over(step, end, Ok(IndexMap::new()), began).await;
        }
        match step.inside() {
            None => Ok(Standing::Satisfied),
            Some(Inside::Group(group)) => {
                let graph = self.graph(&step.frame, &group.steps, group.parallel.is_some());
                let steps = self.children(step);
                let helper = self.helper_of(step, group);
                // In a world that performs nothing it is shown; in a run it is wanted as long as a step is to come.
                let wanted = self.options.run.is_none() || steps.iter().any(|step| self.standing_of(step).is_none());
                let up = match &helper {
                    Some(helper) if wanted => self.helper_up(helper).await?,
                    _ => true,
                };
                let limit = group.parallel.unwrap_or(jobs);
                let end = if up { self.list(&steps, &graph, limit, last).await? } else { ListEnd::default() };
                let end = match &helper {
                    None => end,
                    Some(helper) => {
                        // What goes on elsewhere may come back to this group, and starts it again then.
                        self.end_helper(helper).await?;
                        let mut end = self.ends(&self.children(step));
                        end.failed.splice(0..0, self.ends(std::slice::from_ref(helper)).failed);
                        end
                    }
                };
                self.over(step, end, Ok(IndexMap::new()), began).await
            }
            Some(Inside::Choose(choose)) => {
                let taken = self.taken(&step.path);
                let Some(case) = choose.cases.iter().find(|case| Some(&case.id.value) == taken.as_ref()) else {
                    return Err(StepError::Fault(format!("step {} has taken a case that is not there", step.path)));
                };
                let graph = self.graph(&step.frame, &case.steps, false);
                let end = self.list(&self.children(step), &graph, jobs, last).await?;
                self.over(step, end, Ok(IndexMap::new()), began).await
            }
            Some(Inside::Call(_)) => {
                let Some(frame) = self.callees.borrow().get(&step.path).cloned() else {
                    return Err(StepError::Fault(format!("step {} was entered, and its runbook was not", step.path)));
                };
                let graph = self.graph(&frame, &frame.book.steps, false);
                let mut end = self.list(&self.list_of(&frame, &frame.book.steps), &graph, jobs, last).await?;
                let goes_on = step.policy() == OnFailure::Continue
                    && end.unknown.is_empty()
                    && !self.children(step).iter().any(|child| self.stops_the_run(child));
                let mut outputs = Ok(IndexMap::new());
                if end.is_clean() || goes_on {
                    // Nobody can use what an undo gives, so that it cannot fail for it.
                    if end.is_clean() && !step.undoes {
                        outputs = self.outputs(&frame);
                    }
                    end.add(self.last_of_call(&frame).await?);
                }
                self.over(step, end, outputs, began).await
            }
        }
    }

    /// The end of a container, from that of what it holds.
    async fn over(
        &self,
        step: &Unit<'a>,
        end: ListEnd,
        outputs: Result<IndexMap<String, Value>, Failure>,
        began: std::time::Duration,
    ) -> Result<Standing, StepError> {
        // In a world that performs nothing nothing ends.
        if self.options.run.is_none() {
            if let Ok(outputs) = outputs {
                self.settle_call(step, StepStatus::NotRun, &outputs);
            }
            return Ok(Standing::Satisfied);
        }
        let late = self.took_too_long(step);
        // Something elsewhere failed, and this was not gone through.
        if late.is_none() && end.failed.is_empty() && end.unknown.is_empty() && !end.waiting.is_empty() {
            return Ok(Standing::Blocks);
        }
        let mut why = None;
        let mut values = IndexMap::new();
        let status = if !end.unknown.is_empty() {
            let text = format!("nobody knows whether this took effect: {}", end.unknown.join(", "));
            why = Some(late.map_or(text.clone(), |late| format!("{late}; {text}")));
            StepStatus::Unknown
        } else if !end.failed.is_empty() || !end.waiting.is_empty() {
            let named =
                |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")));
            let told = [late, named("failed", &end.failed), named("not run", &end.waiting)];
            why = Some(told.into_iter().flatten().collect::<Vec<_>>().join("; "));
            StepStatus::Failed
        } else {
            match outputs {
                Ok(outputs) => {
                    values = outputs;
                    // Items that failed and may are no reason to stop, and the loop is no success.
                    if step.is_loop() && self.children(step).iter().any(|item| self.has_failed(item)) {
                        why = Some("some items failed".to_owned());
                        StepStatus::Failed
                    } else {
                        StepStatus::Succeeded
                    }
                }
                Err(failure) => {
                    why = Some(self.say_in_callee(step, &failure));
                    StepStatus::Failed
                }
            }
        };
        self.finish_container(step, status, why, &values, began).await?;
        self.settle_call(step, status, &values);
        if status == StepStatus::Succeeded {
            return Ok(Standing::Satisfied);
        }
        if status == StepStatus::Failed
            && step.step.on_failure == Some(OnFailure::Continue)
            && !self.stops_the_run(step)
        {
            for child in self.children(step) {
                self.forget_unrun(&child);
            }
            return Ok(Standing::Satisfied);
        }
        Ok(Standing::Blocks)
    }

    fn has_failed(&self, item: &Unit<'a>) -> bool {
        self.state().steps.get(&item.path).and_then(|of| of.status()) == Some(StepStatus::Failed)
    }

    /// What an error in a runbook that was called looks like there.
    fn say_in_callee(&self, step: &Unit<'a>, failure: &Failure) -> String {
        match (self.callees.borrow().get(&step.path), &failure.at) {
            (Some(frame), Some(diagnostic)) => (self.options.draw)(&frame.book.source, diagnostic),
            _ => failure.message.clone(),
        }
    }

    async fn finish_container(
        &self,
        step: &Unit<'a>,
        status: StepStatus,
        error: Option<String>,
        outputs: &IndexMap<String, Value>,
        began: std::time::Duration,
    ) -> Result<(), StepError> {
        let attempt = {
            let state = self.state();
            let of = state.steps.get(&step.path);
            if of.and_then(|of| of.status()) == Some(status) {
                return Ok(());
            }
            of.map_or(1, |of| of.attempts)
        };
        let redactor = self.publisher.redactor();
        let secret = |value: &Value| redactor.holds_in(&value.to_json());
        let (withheld, known): (Vec<_>, Vec<_>) = outputs.iter().partition(|(_, value)| secret(value));
        self.publisher
            .publish(Event::StepFinished {
                step: step.path.clone(),
                attempt,
                status,
                exit: None,
                signal: None,
                http_status: None,
                duration_ms: millis(self.world.now().saturating_sub(began)),
                output_sha256: None,
                output_bytes: 0,
                output_lost: false,
                captures: known.into_iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
                withheld: withheld.into_iter().map(|(name, _)| name.clone()).collect(),
                error,
                no_effect: false,
                interrupted: false,
                gave_up: None,
                notes: Vec::new(),
                left_running: Vec::new(),
            })
            .await
    }

    /// The items of a loop with their texts.
    pub(super) fn named_items(&self, step: &Unit<'a>) -> Vec<(String, Unit<'a>)> {
        let Some(foreach) = &step.step.foreach else { return Vec::new() };
        let text = |unit: &Unit<'a>| match unit.frame.scope.borrow().get(&foreach.name.value) {
            Some(Slot::Known(value)) => value.to_string(),
            _ => String::new(),
        };
        self.children(step).into_iter().map(|unit| (text(&unit), unit)).collect()
    }

    /// After a loop a name is a map from item to value.
    fn collect(&self, step: &Unit<'a>) {
        let items = self.named_items(step);
        let inside = step.step.with_inside();
        let mut names: Vec<String> = inside.iter().flat_map(|of| of.gives()).map(|name| name.value).collect();
        names.sort_unstable();
        names.dedup();
        let mut scope = step.frame.scope.borrow_mut();
        for name in names {
            let mut values = IndexMap::new();
            let mut complete = true;
            for (item, unit) in &items {
                match unit.frame.scope.borrow().get(&name) {
                    Some(Slot::Known(value)) => {
                        values.insert(item.clone(), value.clone());
                    }
                    Some(Slot::Absent) => {}
                    _ => complete = false,
                }
            }
            if complete || self.options.run.is_some() {
                scope.know(name, Value::map(values));
            }
        }
        for of in inside.into_iter().skip(1) {
            scope.set_step(of.path.as_str(), Slot::Absent);
        }
        drop(scope);
        self.name_items(step, &items);
    }

    /// After a loop what became of each item has a name of its own: `scale[web]`, `scale[web]/up`.
    fn name_items(&self, step: &Unit<'a>, items: &[(String, Unit<'a>)]) {
        let of_loop = step.step.path.as_str();
        for (item, unit) in items {
            let named = item_path(of_loop, &Value::text(item.clone()));
            let own = self.state().steps.get(&unit.path).and_then(|of| of.status());
            let ended = |slot: &Slot| !matches!(slot, Slot::Unknown { .. });
            let inner: Vec<(String, Slot)> = {
                let scope = unit.frame.scope.borrow();
                let held = scope.steps().filter(|(id, slot)| Names::is_inside(id, of_loop) && ended(slot));
                held.map(|(id, slot)| (id[of_loop.len()..].to_owned(), slot.clone())).collect()
            };
            let mut scope = step.frame.scope.borrow_mut();
            let name = |rest: &str| format!("{named}{rest}");
            if let Some(status) = own {
                scope.set_step(&name(""), ended_slot(step.step, status.name()));
            }
            for (rest, slot) in inner {
                scope.set_step(&name(&rest), slot);
            }
        }
    }

    /// The steps that a container holds directly, as far as it was entered.
    pub(super) fn children(&self, step: &Unit<'a>) -> Vec<Unit<'a>> {
        if step.is_loop() {
            return self.items.borrow().get(&step.path).cloned().unwrap_or_default();
        }
        match step.inside() {
            None => Vec::new(),
            Some(Inside::Group(group)) => self.list_of(&step.frame, &group.steps),
            Some(Inside::Choose(choose)) => {
                let taken = self.taken(&step.path);
                let case = choose.cases.iter().find(|case| Some(&case.id.value) == taken.as_ref());
                case.map(|case| self.list_of(&step.frame, &case.steps)).unwrap_or_default()
            }
            Some(Inside::Call(_)) => {
                let Some(frame) = self.callees.borrow().get(&step.path).cloned() else { return Vec::new() };
                let mut all = self.list_of(&frame, &frame.book.steps);
                all.extend(self.list_of(&frame, &frame.book.finally));
                all
            }
        }
    }

    /// As [`Engine::children`], with what lives beside them.
    pub(super) fn members(&self, step: &Unit<'a>) -> Vec<Unit<'a>> {
        let mut all = self.children(step);
        if let Some(Inside::Group(group)) = step.inside().filter(|_| !step.is_loop()) {
            all.splice(0..0, self.helper_of(step, group));
        }
        all
    }

    /// Which step waits for which, for the values of this frame.
    pub(super) fn graph(&self, frame: &Rc<Frame<'a>>, steps: &[Step], parallel: bool) -> Graph {
        let scope = frame.scope.borrow().clone();
        // Where it cannot be decided the edge stays: waiting too long is safe, going ahead is not.
        let holds = |expr: &Expr| !matches!(expr.eval_bool(&scope, &[]), Ok(Truth::False));
        Graph::of_list(steps, frame.names, &holds, parallel)
    }

    fn cycle_in(&self, step: &Unit<'a>, steps: &[Step], parallel: bool) -> Option<Failure> {
        let cycle = self.graph(&step.frame, steps, parallel).cycle(steps)?;
        Some(Failure::drawn(plan::cycle_problem(&cycle, steps)))
    }

    /// What is inside of a step that was skipped.
    pub(super) fn leave_out(&self, step: &Unit<'a>, status: StepStatus) {
        let mut scope = step.frame.scope.borrow_mut();
        for of in step.step.with_inside().into_iter().skip(1) {
            scope.set_step(of.path.as_str(), ended_slot(of, status.name()));
            for name in of.gives() {
                scope.set(&name.value, Slot::Absent);
            }
        }
    }

    fn forget_unrun(&self, step: &Unit<'a>) {
        let over = self.state().steps.get(&step.path).and_then(|of| of.status()).is_some();
        if !over {
            self.settle_not_run(step);
        }
        for child in self.children(step) {
            self.forget_unrun(&child);
        }
    }

    /// Values that were made again since a container was entered.
    fn refresh(&self, step: &Unit<'a>) {
        if let (true, Some(foreach)) = (step.is_loop(), &step.step.foreach) {
            let outer = step.frame.scope.borrow().clone();
            let own: Vec<String> =
                step.step.with_inside().iter().flat_map(|of| of.gives()).map(|name| name.value).collect();
            for item in self.children(step) {
                let mut scope = item.frame.scope.borrow_mut();
                for (name, slot) in outer.iter() {
                    if name != foreach.name.value && !own.iter().any(|of| of == name) {
                        scope.set(name, slot.clone());
                    }
                }
            }
            return;
        }
        let Some(Inside::Call(call)) = step.inside() else { return };
        let Some(frame) = self.callees.borrow().get(&step.path).cloned() else { return };
        if let Ok(handed) = self.handed_over(step, call) {
            for (name, given) in handed.given.values {
                if let Some(value) = given.value {
                    frame.scope.borrow_mut().know(name, value);
                }
            }
        }
    }

    /// Goes back into a container that an earlier session had entered.
    pub(super) fn enter_again(&self, step: &Unit<'a>, entered: &event::Entered) -> Result<(), StepError> {
        if step.is_loop() {
            let items = entered.items.iter().map(|item| step.item(&Value::from_json(item))).collect();
            self.items.borrow_mut().insert(step.path.clone(), items);
            return Ok(());
        }
        match step.inside() {
            Some(Inside::Choose(choose)) => {
                let taken = entered.case.clone().unwrap_or_default();
                if !choose.cases.iter().any(|case| case.id.value == taken) {
                    let why = format!("step {} had taken the case `{taken}`, which is not there any more", step.path);
                    return Err(StepError::Paused(why));
                }
                self.leave_out_others(step, choose, &taken);
            }
            Some(Inside::Call(call)) => {
                let lost = |failure: Failure| {
                    StepError::Paused(format!("step {} cannot be gone on with: {}", step.path, failure.message))
                };
                let handed = self.handed_over(step, call).map_err(lost)?;
                let frame = self.callee(step, call, &handed).map_err(lost)?;
                self.callees.borrow_mut().insert(step.path.clone(), frame);
            }
            Some(Inside::Group(_)) | None => {}
        }
        Ok(())
    }

    /// After what a container holds was restored: what it gives, if it is over.
    pub(super) fn settle_again(&self, step: &Unit<'a>, status: StepStatus) {
        if step.is_loop() {
            self.collect(step);
        }
        let frame = self.callees.borrow().get(&step.path).cloned();
        let outputs = frame.and_then(|frame| self.outputs(&frame).ok()).unwrap_or_default();
        self.settle_call(step, status, &outputs);
        if status == StepStatus::Failed && step.step.on_failure == Some(OnFailure::Continue) {
            for child in self.children(step) {
                self.forget_unrun(&child);
            }
        }
    }
}

/// Items one after the other, or none waiting for another.
fn in_turn(count: usize, parallel: bool) -> Graph {
    let edges = (0..count).map(|at| {
        let mut of = IndexMap::new();
        if let Some(before) = at.checked_sub(1).filter(|_| !parallel) {
            of.insert(before, EdgeRule::Default);
        }
        of
    });
    Graph { edges: edges.collect() }
}
