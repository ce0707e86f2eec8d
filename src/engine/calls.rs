//! Runbooks that are called: what they are given, what they give, what of them runs last. Knows no kind of step.

use std::rc::Rc;

use indexmap::IndexMap;

use super::{
    Engine,
    schedule::ListEnd,
    unit::{Entered, Frame, Unit},
};
use crate::{
    event::{Event, StepPhase, StepStatus},
    model::{Call, Inside, Step},
    plan::{self, Given, Inputs, ValueSource},
    port::{Deeds, Failure, StepError},
    syntax::Eval,
    text::Diagnostic,
    value::{Slot, Value, Written},
};

impl<'a> Engine<'a> {
    /// The values of a call, of the types that the runbook declares.
    pub(super) fn handed_over(&self, step: &Unit<'a>, call: &'a Call) -> Result<HandedOver, Failure> {
        let Some(callee) = &call.callee else { return Err(Failure::plain("the runbook could not be read")) };
        let scope = step.scope();
        let mut handed = HandedOver { given: Inputs::default(), waiting: Vec::new(), own: Vec::new() };
        for (name, param) in &callee.runbook.params {
            let given = match call.params.iter().find(|(of, _)| of.value == *name) {
                None => Given { value: param.default.clone(), source: ValueSource::Default },
                Some((_, value)) => match value.eval(&scope).map_err(Failure::drawn)? {
                    Eval::Deferred(names) => {
                        handed.waiting.push((name.clone(), names));
                        Given { value: None, source: ValueSource::Missing }
                    }
                    Eval::Value(of) => {
                        let read = written(&of).and_then(|written| param.read(&written));
                        let read = read.map_err(|why| {
                            let message = format!("parameter `{name}` of {}: {why}", callee.runbook.name);
                            Failure::drawn(Diagnostic::error("wrong-parameter", value.span(), message))
                        })?;
                        handed.own.push(name.clone());
                        Given { value: Some(read), source: ValueSource::Flag }
                    }
                },
            };
            handed.given.values.insert(name.clone(), given);
        }
        Ok(handed)
    }

    /// The frame of a runbook that is called.
    pub(super) fn callee(
        &self,
        step: &Unit<'a>,
        call: &'a Call,
        handed: &HandedOver,
    ) -> Result<Rc<Frame<'a>>, Failure> {
        let Some(callee) = &call.callee else { return Err(Failure::plain("the runbook could not be read")) };
        let (book, names) = (&*callee.runbook, &*callee.names);
        let mut scope = plan::scope_of(book, names, &handed.given, &format!("{}/", step.path));
        for (name, waiting) in &handed.waiting {
            let origin = waiting.first().cloned().unwrap_or_else(|| name.clone());
            scope.set(name, Slot::Unknown { origin: origin.into() });
        }
        if let Some(run) = &self.options.run {
            scope.know("run", run.clone());
        }
        if self.world.deeds() != Deeds::Nothing {
            // What is made of the secrets of a runbook that is called is as secret as its caller's.
            scope.tell(std::sync::Arc::new(super::derived::Derived::new(self.publisher.redactor().clone())));
        }
        for name in book.secrets.keys() {
            if let Some(secret) = self.options.secrets.get(&format!("{}:{name}", book.name)) {
                scope.know(name, Value::text(secret.expose()));
            }
        }
        // What the caller hands over names an origin only where the caller may send secrets to it itself: else a captured
        // address would become a parameter on its way.
        let mut defaults = handed.given.clone();
        defaults.values.retain(|name, _| !handed.own.contains(name));
        let mut origins = plan::origins_of(book, &defaults);
        let given = plan::origins_of(book, &handed.given);
        origins.extend(given.into_iter().filter(|origin| step.frame.origins.contains(origin)));
        let cwd = match book.cwd.as_ref().map(|cwd| cwd.render(&scope, &[])) {
            Some(Ok(crate::syntax::Rendered::Text(text))) => step.frame.cwd.join(text),
            Some(Err(diagnostic)) => return Err(Failure::plain(diagnostic.message)),
            Some(Ok(crate::syntax::Rendered::Deferred(_))) | None => step.frame.cwd.clone(),
        };
        Ok(step.callee(Entered { book, names, scope, origins, cwd }))
    }

    /// The same before it is entered, with whatever is known by then.
    pub(super) fn callee_as_planned(&self, step: &Unit<'a>, call: &'a Call) -> Option<Rc<Frame<'a>>> {
        let handed = self.handed_over(step, call).ok()?;
        self.callee(step, call, &handed).ok()
    }

    /// What a runbook that was called gives to its caller.
    pub(super) fn outputs(&self, frame: &Rc<Frame<'a>>) -> Result<IndexMap<String, Value>, Failure> {
        let scope = frame.scope.borrow().clone();
        let mut outputs = IndexMap::new();
        for (name, expr) in &frame.book.outputs {
            match expr.eval(&scope, &[]) {
                Ok(Eval::Value(value)) => {
                    outputs.insert(name.clone(), Value::from_json(&value.to_json()));
                }
                Ok(Eval::Deferred(_)) if self.options.run.is_none() => {}
                Ok(Eval::Deferred(names)) => {
                    let why = format!("{}: it waits for {}", not_computed(frame, name), names.join(", "));
                    return Err(Failure::plain(why));
                }
                Err(diagnostic) => {
                    let message = format!("{}: {}", not_computed(frame, name), diagnostic.message);
                    let told = "its steps are over and their effects are in place; only what it gives is missing";
                    let hint = diagnostic.hint.clone().map_or(told.to_owned(), |hint| format!("{hint}; {told}"));
                    return Err(Failure::drawn(Diagnostic { message, ..diagnostic }.hint(hint)));
                }
            }
        }
        Ok(outputs)
    }

    /// What of the outputs can never be computed, whatever its steps come to: that is told before the first of them.
    pub(super) fn hopeless_output(&self, frame: &Rc<Frame<'a>>) -> Option<Failure> {
        let scope = frame.scope.borrow().clone();
        frame.book.outputs.iter().find_map(|(name, expr)| {
            let mut diagnostic = expr.eval(&scope, &[]).err()?;
            diagnostic.message = format!("{}: {}", not_computed(frame, name), diagnostic.message);
            Some(Failure::plain((self.options.draw)(&frame.book.source, &diagnostic)))
        })
    }

    /// The status of a container, and of a call what it gives, where expressions can see them.
    pub(super) fn settle_call(&self, step: &Unit<'a>, status: StepStatus, outputs: &IndexMap<String, Value>) {
        let is_call = matches!(step.inside(), Some(Inside::Call(_)));
        if status == StepStatus::NotRun && (!is_call || outputs.is_empty()) {
            return;
        }
        if !is_call {
            return step.set_status(Slot::Known(Value::text(status.name())));
        }
        let mut held = IndexMap::new();
        if status != StepStatus::NotRun {
            held.insert("status".to_owned(), Value::text(status.name()));
        }
        let outputs = if step.is_loop() { self.outputs_of_items(step) } else { Value::map(outputs.clone()) };
        held.insert("outputs".to_owned(), outputs);
        step.set_status(Slot::Known(Value::map(held)));
    }

    /// By output, then by item.
    fn outputs_of_items(&self, step: &Unit<'a>) -> Value {
        let mut by_name: IndexMap<String, IndexMap<String, Value>> = IndexMap::new();
        for (item, unit) in self.named_items(step) {
            let scope = unit.frame.scope.borrow();
            if let Some(Slot::Known(Value::Map(held))) = scope.step(unit.step.path.as_str())
                && let Some(Value::Map(outputs)) = held.get("outputs")
            {
                for (name, value) in outputs.iter() {
                    by_name.entry(name.clone()).or_default().insert(item.clone(), value.clone());
                }
            }
        }
        Value::map(by_name.into_iter().map(|(name, of)| (name, Value::map(of))).collect())
    }

    /// `finally` of a runbook that was called.
    pub(super) async fn last_of_call(&self, frame: &Rc<Frame<'a>>) -> Result<ListEnd, StepError> {
        for step in self.units(frame, &frame.book.steps) {
            let phase = self.state().steps.get(&step.path).map(|of| of.phase.clone());
            if matches!(phase, None | Some(StepPhase::NotStarted)) {
                self.settle_not_run(&step);
            }
        }
        let graph = self.graph(frame, &frame.book.finally, false);
        self.list(&self.list_of(frame, &frame.book.finally), &graph, 1, true).await
    }

    /// Runbooks that were called, did not come to their end, and have something to run last; the latest first.
    pub(super) fn open_calls(&self) -> Vec<Unit<'a>> {
        let mut open: Vec<Unit<'a>> = self.main_units();
        open.retain(|step| {
            let Some(frame) = self.callees.borrow().get(&step.path).cloned() else { return false };
            let state = self.state();
            let begun = |of: &Step| state.steps.contains_key(&frame.path(of.path.as_str()));
            let over = state.steps.get(&step.path).and_then(|of| of.status()) == Some(StepStatus::Succeeded);
            !step.is_loop()
                && !over
                && (state.closing || !frame.book.finally.iter().any(begun))
                && !frame.book.finally.is_empty()
        });
        open.reverse();
        open
    }

    /// What runs last: first of runbooks that were called and are not over, then of the run itself.
    pub(super) async fn final_lists(&self, open_calls: &[Unit<'a>]) -> Result<ListEnd, StepError> {
        if !open_calls.is_empty() && !self.state().closing {
            self.publisher.publish(Event::RunClosing {}).await?;
        }
        let mut end = ListEnd::default();
        for step in open_calls {
            let frame = self.callees.borrow().get(&step.path).cloned();
            if let Some(frame) = frame {
                end.add(self.last_of_call(&frame).await?);
            }
        }
        let units = self.list_of(&self.top, &self.plan.runbook.finally);
        end.add(self.list(&units, &self.plan.finally, self.options.jobs, true).await?);
        Ok(end)
    }
}

fn not_computed(frame: &Frame<'_>, name: &str) -> String {
    format!("the output `{name}` of {} could not be computed", frame.book.name)
}

/// The values of a call.
pub(super) struct HandedOver {
    pub given: Inputs,
    /// Parameters whose value is not known yet, with what they wait for.
    pub waiting: Vec<(String, Vec<String>)>,
    /// Those that the caller gave.
    own: Vec<String>,
}

/// A value as a parameter reads it.
fn written(value: &Value) -> Result<Written, String> {
    match value {
        Value::None => Err("the value is none".to_owned()),
        Value::List(items) => Ok(Written::List(items.iter().map(Value::to_string).collect())),
        Value::Map(_) => Err("a map cannot be handed over; hand over its values".to_owned()),
        other => Ok(Written::Text(other.to_string())),
    }
}
