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
    /// Shared, because every attempt of a step has one: it is copied only where somebody else still looks at it.
    names: Arc<IndexMap<String, Slot>>,
    /// A few names that are left out of what is shared.
    forgotten: Vec<String>,
    /// The list of steps in which an expression stands: a step is named as seen from there.
    within: Arc<str>,
    /// Hears what is made of these values.
    listener: Option<Arc<dyn Listener>>,
}

/// Hears what expressions make of the values of a scope.
pub trait Listener: std::fmt::Debug + Send + Sync {
    /// Whether there is anything to hear at all.
    fn listens(&self) -> bool;

    /// `value` was made of these values by an expression that is written like this.
    fn made(&self, of: &[&Value], written: &str, value: &Value);
}

impl Scope {
    pub fn new() -> Scope {
        Scope::default()
    }

    /// Tells somebody what is made of these values from now on, in copies of this scope, too.
    pub fn tell(&mut self, listener: Arc<dyn Listener>) {
        self.listener = Some(listener);
    }

    /// Whoever wants to hear what is made of these values.
    pub fn listener(&self) -> Option<&dyn Listener> {
        self.listener.as_deref().filter(|listener| listener.listens())
    }

    pub fn set(&mut self, name: impl Into<String>, slot: Slot) {
        let name = name.into();
        self.forgotten.retain(|of| *of != name);
        Arc::make_mut(&mut self.names).insert(name, slot);
    }

    pub fn know(&mut self, name: impl Into<String>, value: Value) {
        self.set(name, Slot::Known(value));
    }

    pub fn get(&self, name: &str) -> Option<&Slot> {
        self.names.get(name).filter(|_| !self.forgot(name))
    }

    fn forgot(&self, name: &str) -> bool {
        self.forgotten.iter().any(|of| of == name)
    }

    /// As if this name had never been declared.
    pub fn forget(&mut self, name: &str) {
        if !self.forgot(name) {
            self.forgotten.push(name.to_owned());
        }
    }

    /// The status of a step, under `steps["id"].status`.
    pub fn set_step(&mut self, id: &str, slot: Slot) {
        Arc::make_mut(&mut self.names).insert(Scope::step_key(id), slot);
    }

    /// The status of a step as it is named from inside the list at `within`: its siblings first, then those of each
    /// container around it.
    pub fn step(&self, id: &str) -> Option<&Slot> {
        let mut within: &str = &self.within;
        while !within.is_empty() {
            if let Some(slot) = self.names.get(&Scope::step_key(&format!("{within}/{id}"))) {
                return Some(slot);
            }
            within = within.rsplit_once('/').map_or("", |(above, _)| above);
        }
        if let Some(slot) = self.names.get(&Scope::step_key(id)) {
            return Some(slot);
        }
        // An item is there once its loop is over; what is not there then is no item.
        match self.step(id.split_once('[')?.0)? {
            unknown @ Slot::Unknown { .. } => Some(unknown),
            _ => Some(&Slot::Absent),
        }
    }

    /// As seen from the list of steps at this path.
    #[must_use]
    pub fn seen_from(mut self, list: &str) -> Scope {
        if *self.within != *list {
            self.within = list.into();
        }
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Slot)> {
        self.names
            .iter()
            .map(|(name, slot)| (name.as_str(), slot))
            .filter(|(name, _)| !name.starts_with("steps[") && !self.forgot(name))
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
