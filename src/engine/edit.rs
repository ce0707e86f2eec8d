//! Values that a person gives after a failure: other ones for parameters, and those that are not on record. Knows no kind of
//! step.

use super::{
    Engine, menu,
    signals::Turn,
    unit::{Frame, Unit},
};
use crate::{
    event::{Event, StepId, StepStatus},
    model::{Declared, own_references},
    port::{Closing, Evidence, Question, QuestionKind, Reply, StepError},
    value::{Shape, Slot, Type, Value},
};

/// A value that a step uses and that a person may give.
pub(super) struct Editable {
    name: String,
    shape: Shape,
    help: Option<String>,
    /// None: it has none, or lost it.
    now: Option<Value>,
}

impl Editable {
    /// It has no value, and a step that would have set it is over.
    pub fn is_lost(&self) -> bool {
        self.now.is_none()
    }
}

impl<'a> Engine<'a> {
    /// The parameters that a step uses, and values it uses that are not there. What is secret is not among them.
    pub(super) fn editable(&self, step: &Unit<'a>) -> Vec<Editable> {
        let scope = step.scope();
        let mut found: Vec<Editable> = Vec::new();
        for reference in own_references(step.step, step.frame.names) {
            let name = reference.name;
            if found.iter().any(|of| of.name == name) {
                continue;
            }
            match (step.frame.book.params.get(&name), scope.get(&name)) {
                (Some(param), Some(Slot::Known(now)))
                    if !self.publisher.redactor().holds(&now.to_json().to_string()) =>
                {
                    let (shape, help) = (param.shape.clone(), param.help.clone());
                    found.push(Editable { name, shape, help, now: Some(now.clone()) });
                }
                (None, Some(Slot::Absent)) if !self.is_secret_capture(step, &name) => {
                    let help = "a number, true, false, a list or a map is taken as such; put a text that looks like one into quotes";
                    let shape = Shape::of(Type::String);
                    found.push(Editable { name, shape, help: Some(help.to_owned()), now: None });
                }
                _ => {}
            }
        }
        found
    }

    fn is_secret_capture(&self, step: &Unit<'a>, name: &str) -> bool {
        let secret = |of: &crate::model::Step| of.secret_captures().any(|capture| capture.name.value == name);
        step.frame.book.all_steps().any(secret)
    }

    /// Values that a step uses and that are gone although the step that sets them is over and did not fail.
    pub(super) fn lost_values(&self, step: &Unit<'a>) -> Option<String> {
        let scope = step.scope();
        let mut told: Vec<String> = Vec::new();
        for reference in own_references(step.step, step.frame.names) {
            let name = &reference.name;
            if !matches!(scope.get(name), Some(Slot::Absent))
                || told.iter().any(|text| text.contains(&format!("`{name}`")))
            {
                continue;
            }
            let by_hand = step.frame.names.producers(name).find_map(|producer| {
                let at = step.frame.holding(producer).path(producer);
                (self.status_of(&at) == Some(StepStatus::DoneByHand)).then_some(at)
            });
            if let Some(at) = by_hand {
                told.push(format!(
                    "`{name}` is set by {at}, which was done by hand, so that its value is not on record: `edit` gives it, `skip` leaves this step out"
                ));
            }
        }
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Asks for another value, and puts it on record. False: the person thought better of it.
    pub(super) async fn edit<'s>(
        &'s self,
        step: &Unit<'a>,
        failed: &Question,
        turn: &mut Option<Turn<'s>>,
    ) -> Result<bool, StepError> {
        let mut editable = self.editable(step);
        if editable.len() > 1 {
            let names: Vec<String> = editable.iter().map(|of| of.name.clone()).collect();
            let which = Evidence {
                prompt: "Which value".into(),
                ..Evidence::of(menu::WHICH, Shape { choices: names, ..Shape::of(Type::Enum) })
            };
            let Some(Value::Text(name)) = self.one_value(failed, "Which value?".into(), which, turn).await? else {
                return Ok(false);
            };
            editable.retain(|of| of.name == *name);
        }
        let Some(Editable { name, shape, help, now }) = editable.pop() else { return Ok(false) };
        let message = match &now {
            Some(now) => {
                format!("`{name}` is {} for what has run so far; the new value is for what comes", shape.written(now))
            }
            None => format!("`{name}` has no value; what is given is for what comes"),
        };
        let wanted = Evidence { prompt: name.clone(), help, default: now.clone(), ..Evidence::of(&name, shape) };
        let Some(mut value) = self.one_value(failed, message, wanted, turn).await? else { return Ok(false) };
        if now.is_none() {
            value = read_as_written(value);
        }
        // It would stand on record masked, and a resume would take the mask for the value.
        if self.publisher.redactor().holds(&value.to_json().to_string()) {
            return Ok(false);
        }
        let (step_id, by) = (step.path.clone(), self.operator.name());
        self.publisher
            .publish(Event::ValueGiven { step: step_id, name: name.clone(), value: value.to_json(), by })
            .await?;
        self.give(step, &name, &value);
        Ok(true)
    }

    async fn one_value<'s>(
        &'s self,
        failed: &Question,
        message: String,
        wanted: Evidence,
        turn: &mut Option<Turn<'s>>,
    ) -> Result<Option<Value>, StepError> {
        let name = wanted.name.clone();
        let question = Question {
            step: failed.step.clone(),
            title: failed.title.clone(),
            message,
            context: Vec::new(),
            kind: QuestionKind::Ask { fields: vec![wanted] },
            choices: Vec::new(),
        };
        match self.ask_in_turn(question, None, turn).await? {
            Reply::Answer(answer) => Ok(answer.values.get(&name).cloned()),
            Reply::Closed { how: Closing::Escaped, .. } | Reply::Unasked => Ok(None),
            Reply::Nobody { why } | Reply::Closed { why, .. } => Err(StepError::Paused(why)),
        }
    }

    /// Puts a value where the step, and those after it, see it.
    fn give(&self, step: &Unit<'a>, name: &str, value: &Value) {
        let set = |frame: &Frame<'a>| frame.scope.borrow_mut().know(name, value.clone());
        if let Some(Declared::Capture { .. }) = step.frame.names.get(name) {
            for producer in step.frame.names.producers(name) {
                set(&step.frame.holding(producer));
            }
            return set(&step.frame);
        }
        // A parameter is the same in all of its runbook.
        step.frame.learn(name, value.clone());
        let book = step.frame.of_book();
        for item in self.items.borrow().values().flatten().filter(|item| item.frame.of_book() == book) {
            set(&item.frame);
        }
    }

    /// What people gave in earlier sessions. Those of the run's own parameters come before what is made of them.
    pub(super) fn restore_given(&self) {
        let given: Vec<(StepId, String, Value)> = {
            let state = self.state();
            let read = |(step, name, json): &(StepId, String, serde_json::Value)| {
                (step.clone(), name.clone(), Value::from_json(json))
            };
            state.given.iter().map(read).collect()
        };
        if given.is_empty() {
            return;
        }
        let units = self.all_units();
        for (at, name, value) in given {
            let Some(unit) = units.iter().find(|unit| unit.path == at) else { continue };
            let value = match unit.frame.book.params.get(&name) {
                Some(param) => param.shape.read_recorded(&value.to_json()).unwrap_or(value),
                None => value,
            };
            self.give(unit, &name, &value);
        }
    }
}

/// A value that nobody declared, as JSON where it is some that is no text.
fn read_as_written(value: Value) -> Value {
    let Value::Text(text) = &value else { return value };
    serde_json::from_str::<serde_json::Value>(text).map(|json| Value::from_json(&json)).unwrap_or(value)
}
