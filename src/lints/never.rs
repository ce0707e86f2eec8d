//! What can never come about, whatever the values. Knows nothing of how a run goes.

use super::look::{Seen, warn};
use crate::{
    event::StepStatus,
    syntax::{Expr, Reference, Truth},
    text::Diagnostic,
    value::{Scope, Slot, Type, Value},
};

/// Combinations of values that are tried for one condition.
const COMBINATIONS: usize = 1024;

const STATUSES: [StepStatus; 7] = [
    StepStatus::Succeeded,
    StepStatus::Failed,
    StepStatus::Skipped,
    StepStatus::DoneByHand,
    StepStatus::Undone,
    StepStatus::Unknown,
    StepStatus::NotRun,
];

/// Steps that are always skipped, and needs that never are any.
pub(super) fn unreachable(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for step in seen.steps() {
        if let Some(when) = step.when.as_ref().filter(|when| never(when, seen)) {
            let message = format!("nobody ever reaches `{}`: its condition never holds", step.id.value);
            found.push(never_holds(when, message, seen));
        }
        for need in step.needs.iter().flatten() {
            if let Some(when) = need.when.as_ref().filter(|when| never(when, seen)) {
                let message = format!("`{}` never waits for `{}`", step.id.value, need.step.value);
                found.push(never_holds(when, message, seen));
            }
        }
    }
}

fn never_holds(when: &Expr, message: String, seen: &Seen<'_>) -> Diagnostic {
    let problem = warn("unreachable", when.span(), message).label("false for every value there is");
    let mut words = Vec::new();
    for reference in when.references() {
        let known = match &reference.step {
            Some(_) => listed(STATUSES.iter().map(|status| status.name())),
            None => seen
                .runbook
                .params
                .get(&reference.name)
                .map_or(String::new(), |param| listed(param.shape.choices.iter().map(String::as_str))),
        };
        let word = match &reference.step {
            Some(step) => format!("a status such as that of `{step}` is one of {known}"),
            None => format!("`{}` is one of {known}", reference.name),
        };
        if !known.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    match words.is_empty() {
        true => problem.hint("remove it, or what it stands at"),
        false => problem.hint(words.join("; ")),
    }
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Whether a condition is false for every value of the names in it; no, where these have too many.
fn never(when: &Expr, seen: &Seen<'_>) -> bool {
    let mut scopes = vec![Scope::new()];
    let mut told: Vec<(&str, Option<&str>)> = Vec::new();
    for reference in when.references() {
        let name = (reference.name.as_str(), reference.step.as_deref());
        if told.contains(&name) {
            continue;
        }
        told.push(name);
        let Some(values) = values(reference, seen) else { return false };
        if scopes.len() * values.len() > COMBINATIONS {
            return false;
        }
        scopes = scopes
            .iter()
            .flat_map(|scope| {
                values.iter().map(|value| {
                    let mut scope = scope.clone();
                    match &reference.step {
                        Some(step) => scope.set_step(step, Slot::Known(value.clone())),
                        None => scope.know(&reference.name, value.clone()),
                    }
                    scope
                })
            })
            .collect();
    }
    scopes.iter().all(|scope| matches!(when.eval_bool(scope, &[]), Ok(Truth::False)))
}

/// Every value a name can have, if these are few.
fn values(reference: &Reference, seen: &Seen<'_>) -> Option<Vec<Value>> {
    if reference.step.is_some() {
        return Some(STATUSES.iter().map(|status| Value::text(status.name())).collect());
    }
    let shape = &seen.runbook.params.get(&reference.name)?.shape;
    match shape.ty {
        Type::Boolean => Some(vec![Value::Bool(false), Value::Bool(true)]),
        _ if shape.choices.is_empty() => None,
        ty => shape.choices.iter().map(|choice| ty.read(choice).ok()).collect(),
    }
}
