//! The table of kinds as the loader sees it. The table itself is in `kinds`.

use super::{Action, FieldDoc, Lowering, Rule, Takes};
use crate::syntax::Given;

/// One kind of step. Parsing, suggestions, the schema and the reference page all come from this row.
pub struct Kind {
    pub name: &'static str,
    /// One line for the reference page.
    pub summary: &'static str,
    /// What may stand under its key instead of a mapping of its fields; none if nothing else may.
    pub short: Option<Takes>,
    pub fields: &'static [FieldDoc],
    /// What holds between its fields.
    pub rules: &'static [Rule],
    /// None: part of the language, refused as "not supported yet".
    pub lower: Option<Lower>,
}

impl Kind {
    /// The keys of its fields.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.fields.iter().map(|field| field.name)
    }
}

/// Makes an action of what stands under a kind's key; mistakes go to the problems of what is given.
pub type Lower = for<'a> fn(Given<'a>, &Lowering) -> Option<Box<dyn Action>>;

/// All kinds.
#[derive(Clone, Copy)]
pub struct Registry(pub &'static [Kind]);

impl Registry {
    pub fn get(&self, name: &str) -> Option<&'static Kind> {
        self.0.iter().find(|kind| kind.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|kind| kind.name)
    }
}
