//! `call`: another runbook with the values it is given. Performs nothing itself.

use crate::{
    event::Effect,
    model::{
        Action, Block, Call, CallValue, Callee, Declared, FieldDoc, Inside, Keys, Kind, Lowering, Names, Outline,
        Resolution, Rule, Setting, Shown, Takes, fields,
    },
    syntax::{Given, Reference},
    text::{Diagnostic, Spanned, did_you_mean},
    value::{Scope, Value, Written},
};

pub const KIND: Kind = Kind {
    name: "call",
    summary: "Runs another runbook, which sees only the parameters it is given.",
    short: None,
    fields: &[
        FieldDoc::new("runbook", Takes::Line, "its name in the library, such as `lib/jenkins/proceed`"),
        FieldDoc::new(
            "params",
            Takes::Entries { keys: Keys::Names, of: &fields::HANDED, least: 0 },
            "its parameters, `{name: value}`",
        ),
    ],
    rules: &[Rule::Needs("runbook")],
    lower: Some(lower),
};

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let fields = given.fields("`call`")?;
    let mut fields = fields.closed(KIND.keys()).outer(Lowering::AROUND);
    let runbook = fields.need("runbook").and_then(|given| given.text());
    let mut params = Vec::new();
    let pairs = fields.get("params").and_then(|given| given.like("{name: value}").entries()).unwrap_or_default();
    for (name, given) in pairs {
        if let Some(value) = lowering.call_value(&given) {
            params.push((Spanned::new(name.text.clone(), name.span), value));
        }
    }
    fields.finish();
    let runbook = runbook?;
    let callee = lowering.callee(runbook, given.problems());
    let call = Call { runbook: Spanned::new(runbook.text.clone(), runbook.span), params, callee };
    if let Some(callee) = &call.callee {
        check_params(&call, callee, &given);
    }
    Some(Box::new(Called(call)))
}

/// Names and values that are wrong whatever the run.
fn check_params(call: &Call, callee: &Callee, given: &Given<'_>) {
    let problems = given.problems();
    let known = &callee.runbook.params;
    let of = &callee.runbook.name;
    for (name, value) in &call.params {
        let Some(param) = known.get(&name.value) else {
            let problem = Diagnostic::error(
                "unknown-parameter",
                name.span,
                format!("the runbook `{of}` has no parameter `{}`", name.value),
            )
            .label("no such parameter");
            problems.push(match did_you_mean(&name.value, known.keys().map(String::as_str)) {
                Some(hint) => problem.hint(hint),
                None if known.is_empty() => problem.hint("it has none"),
                None => problem.hint(format!("it has {}", known.keys().cloned().collect::<Vec<_>>().join(", "))),
            });
            continue;
        };
        let Some(written) = value.written() else { continue };
        let written = match written {
            Value::List(items) => Written::List(items.iter().map(Value::to_string).collect()),
            other => Written::Text(other.to_string()),
        };
        if let Err(why) = param.read(&written) {
            let message = format!("parameter `{}` of `{of}`: {why}", name.value);
            problems.push(Diagnostic::error("wrong-parameter", value.span(), message).label("not a value of it"));
        }
    }
    let missing: Vec<String> = known
        .values()
        .filter(|param| param.default.is_none() && !call.params.iter().any(|(name, _)| name.value == param.name))
        .map(|param| format!("`{}`", param.name))
        .collect();
    if !missing.is_empty() {
        problems.push(
            Diagnostic::error(
                "missing-parameter",
                call.runbook.span,
                format!("the runbook `{of}` is not given {}", missing.join(", ")),
            )
            .label("it sees only the parameters it is given")
            .hint("add them under `params`; there is no default"),
        );
    }
}

#[derive(Debug)]
struct Called(Call);

impl Action for Called {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        self.0.params.iter().flat_map(|(_, value)| value.references()).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Inside::Call(&self.0).effect()
    }

    fn origins(&self) -> Vec<String> {
        let written = self.0.params.iter().filter_map(|(_, value)| value.written());
        written
            .filter_map(|value| url::Url::parse(&value.to_string()).ok())
            .filter(url::Url::has_host)
            .map(|url| url.origin().ascii_serialization())
            .collect()
    }

    fn takes_timeout(&self) -> bool {
        false
    }

    fn check(&self, names: &Names, _variables: &[&str], problems: &mut Vec<Diagnostic>) {
        for (name, value) in &self.0.params {
            for reference in value.references() {
                if let Some(declared @ Declared::Secret(_)) = names.get(&reference.name) {
                    let message = format!("`{}` is a secret, and parameters are on record", reference.name);
                    problems.push(
                        Diagnostic::error("shown-secret", reference.span, message)
                            .label(format!("handed over as `{}`", name.value))
                            .related(declared.span(), "declared here")
                            .hint("the runbook that needs it declares it under its own `secrets`"),
                    );
                }
            }
        }
    }

    fn inside(&self) -> Option<Inside<'_>> {
        Some(Inside::Call(&self.0))
    }

    fn show(&self, scope: &Scope) -> Shown {
        let headline = format!("call {}", self.0.runbook.value);
        let mut lines = vec![headline.clone()];
        lines.extend(self.0.params.iter().map(|(name, value)| format!("  {} = {}", name.value, value.show(scope))));
        Shown { headline, detail: lines.join("\n"), values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = vec![Block::Field { label: "Runbook", text: self.0.runbook.value.clone() }];
        for (name, value) in &self.0.params {
            blocks.push(Block::Field { label: "With", text: format!("{} = {}", name.value, one(value)) });
        }
        Outline { verb: "Run another runbook".into(), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        Err(super::no_task(setting))
    }
}

fn one(value: &CallValue) -> String {
    value.source().split_whitespace().collect::<Vec<_>>().join(" ")
}
