//! What stands in the place of a body that could not be read, so that the rest of the file can still be checked. It is
//! never run: a runbook that holds one has errors.

use super::{Action, Names, Outline, Resolution, Setting, Shown};
use crate::{
    event::Effect,
    syntax::Reference,
    text::{Diagnostic, Span},
    value::Scope,
};

/// The fields of a result whose kind is not known: any.
pub(super) const ANY_OUTPUT: &[&str] = &["*"];

#[derive(Debug)]
pub(super) struct Broken(pub Span);

impl Action for Broken {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        Vec::new()
    }

    fn outputs(&self) -> &'static [&'static str] {
        ANY_OUTPUT
    }

    fn default_effect(&self) -> Effect {
        Effect::Read
    }

    fn takes_env(&self) -> bool {
        true
    }

    fn show(&self, _scope: &Scope) -> Shown {
        Shown::default()
    }

    fn outline(&self) -> Outline {
        Outline::default()
    }

    fn resolve(&self, _setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        Err(Diagnostic::error("missing-kind", self.0, "what this step does could not be read"))
    }
}
