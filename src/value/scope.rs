//! What each name stands for right now: known, absent, or unknown because its producer has not run. Evaluates nothing.

use std::sync::Arc;

use indexmap::IndexMap;

use super::Value;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    Known(Value),
    /// Its producer was skipped or failed: `is defined` and `default` work on it, any other use is an error.
    Absent,
    /// Its producer has not run; `origin` is shown in its place, such as `admin.queue_url`.
    Unknown {
        origin: Arc<str>,
    },
    /// A secret that is not read in this world. A text that mentions it can be shown (as its name) and still counts
    /// as complete; a condition over it is not evaluated.
    Hidden,
}

/// The flat namespace of a runbook (parameters, secrets, captures), and the reserved names beside it.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: IndexMap<String, Slot>,
}

impl Scope {
    pub fn new() -> Scope {
        Scope::default()
    }

    pub fn set(&mut self, name: impl Into<String>, slot: Slot) {
        self.names.insert(name.into(), slot);
    }

    pub fn know(&mut self, name: impl Into<String>, value: Value) {
        self.set(name, Slot::Known(value));
    }

    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.names.get(name)
    }

    /// As if this name had never been declared.
    pub fn forget(&mut self, name: &str) {
        self.names.shift_remove(name);
    }

    /// The status of a step, under `steps["id"].status`.
    pub fn set_step(&mut self, id: &str, slot: Slot) {
        self.names.insert(Scope::step_key(id), slot);
    }

    pub fn step(&self, id: &str) -> Option<&Slot> {
        self.names.get(&Scope::step_key(id))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Slot)> {
        self.names.iter().map(|(name, slot)| (name.as_str(), slot)).filter(|(name, _)| !name.starts_with("steps["))
    }

    /// Every step whose status is in scope.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &Slot)> {
        self.names.iter().filter_map(|(name, slot)| Some((name.strip_prefix("steps[")?.strip_suffix(']')?, slot)))
    }

    // `[` cannot occur in a name, so step entries never meet a parameter.
    fn step_key(id: &str) -> String {
        format!("steps[{id}]")
    }
}
