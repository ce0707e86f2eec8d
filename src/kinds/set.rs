//! `set`: pure values, computed in every world. Performs nothing.

use indexmap::IndexMap;

use crate::{
    event::{Effect, StepStatus},
    model::{Action, Block, Keys, Kind, Lowering, Names, Outline, Resolution, Setting, Shown, Takes},
    port::{Local, StepContext, StepError, StepReport, Task},
    syntax::{Eval, Expr, Given, Reference},
    text::{Diagnostic, Spanned},
    value::{Scope, Value},
};

pub const KIND: Kind = Kind {
    name: "set",
    summary: "Gives names to values computed from others; also in a plan.",
    short: Some(Takes::Entries { keys: Keys::Names, of: &Takes::Expression, least: 1 }),
    fields: &[],
    rules: &[],
    lower: Some(lower),
};

#[derive(Debug)]
struct Set {
    entries: Vec<(Spanned<String>, Expr)>,
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let pairs = given.clone().like("{name: expression}").entries()?;
    if pairs.is_empty() {
        return given.report("wrong-value", "`set` is empty", Some("set: {name: expression}".into()));
    }
    let mut entries = Vec::new();
    for (name, given) in pairs {
        let ok = lowering.name(name, given.problems());
        let expr = lowering.expr_or_none(&given);
        if ok {
            entries.push((Spanned::new(name.text.clone(), name.span), expr));
        }
    }
    Some(Box::new(Set { entries }))
}

impl Action for Set {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        self.entries.iter().flat_map(|(_, expr)| expr.references().to_vec()).collect()
    }

    fn gives(&self) -> Vec<Spanned<String>> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Effect::Read
    }

    fn takes_timeout(&self) -> bool {
        false
    }

    fn check(&self, _names: &Names, _variables: &[&str], problems: &mut Vec<Diagnostic>) {
        for (at, (name, expr)) in self.entries.iter().enumerate() {
            for reference in expr.references() {
                let Some(given) = self.entries[at..].iter().find(|(given, _)| given.value == reference.name) else {
                    continue;
                };
                let problem = Diagnostic::error(
                    "own-value",
                    reference.span,
                    format!("`{}` has no value yet where `{}` is computed", reference.name, name.value),
                );
                problems.push(if given.0.span == name.span {
                    problem.label("a value cannot be computed from itself")
                } else {
                    problem.related(given.0.span, "set here").hint("entries are computed in order; move it up")
                });
            }
        }
    }

    fn show(&self, _scope: &Scope) -> Shown {
        let lines: Vec<String> =
            self.entries.iter().map(|(name, expr)| format!("{} = {}", name.value, expr.source().trim())).collect();
        Shown { headline: lines.join("; "), detail: lines.join("\n"), values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let text = self.entries.iter().map(|(name, expr)| format!("{} = {}", name.value, expr.source().trim()));
        Outline {
            verb: "Compute".into(),
            blocks: vec![Block::Code { language: "text", text: text.collect::<Vec<_>>().join("\n") }],
        }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let mut scope = setting.scope.clone();
        let mut values = IndexMap::new();
        for (name, expr) in &self.entries {
            match expr.eval(&scope, &[])? {
                // As it will be read back from the journal.
                Eval::Value(value) => {
                    let value = Value::from_json(&value.to_json());
                    scope.know(&name.value, value.clone());
                    values.insert(name.value.clone(), value);
                }
                Eval::Deferred(names) => return Ok(Resolution::Deferred(names)),
            }
        }
        Ok(Resolution::Task(Box::new(SetTask { values })))
    }
}

struct SetTask {
    values: IndexMap<String, Value>,
}

impl Task for SetTask {
    fn run<'a>(&'a self, _cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async { Ok(StepReport { values: self.values.clone(), ..StepReport::of(StepStatus::Succeeded) }) })
    }
}
