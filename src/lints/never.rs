//! What can never come about, whatever the values. Knows nothing of how a run goes.

use super::look::{Seen, warn};
use crate::{
    event::StepStatus,
    model::{Choose, ForEach, Inside, Items},
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

/// Steps and cases that no values lead to, and needs that never are any.
pub(super) fn unreachable(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for (list, at, step) in seen.places() {
        if let Some(when) = &step.when
            && never(when, &around(seen, list, at), &[], seen)
        {
            let message = format!("nobody ever reaches `{}`: its condition never holds", step.id.value);
            found.push(never_holds(when, message, seen));
        }
        for need in step.needs.iter().flatten() {
            if let Some(when) = need.when.as_ref().filter(|when| never(when, &[], &[], seen)) {
                let message = format!("`{}` never waits for `{}`", step.id.value, need.step.value);
                found.push(never_holds(when, message, seen));
            }
        }
        if let Some(ForEach { items: Items::Written(items), span, .. }) = &step.foreach
            && items.is_empty()
        {
            let message = format!("nobody ever reaches `{}`: its loop has no items", step.id.value);
            found.push(warn("unreachable", *span, message).label("an empty list"));
        }
        if let Some(Inside::Choose(choose)) = step.body.action.inside() {
            cases(choose, &around(seen, list, at), seen, found);
        }
    }
}

/// Cases that one before them always takes. Where a person chooses, none does.
fn cases(choose: &Choose, around: &[&Expr], seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    let mut before: Vec<&Expr> = Vec::new();
    for case in &choose.cases {
        let Some(when) = &case.when else { continue };
        if never(when, around, &[], seen) {
            let message = format!("nobody ever reaches `{}`: its condition never holds", case.id.value);
            found.push(never_holds(when, message, seen));
        } else if choose.question.is_none() && never(when, around, &before, seen) {
            found.push(
                warn("unreachable", when.span(), format!("nobody ever reaches `{}`", case.id.value))
                    .label("wherever this holds, a case before it is taken")
                    .hint("put it first, or remove it"),
            );
        }
        before.push(when);
    }
}

/// The conditions of what is around a step. Those that ask how a step ended may mean another of the same name.
fn around<'r>(seen: &Seen<'r>, list: usize, at: usize) -> Vec<&'r Expr> {
    let steps = seen.outwards(list, at).skip(1).filter_map(|(list, at)| list.steps[at].when.as_ref());
    let cases = seen.outwards(list, at).filter_map(|(list, _)| list.case?.when.as_ref());
    steps.chain(cases).filter(|when| when.references().iter().all(|reference| reference.step.is_none())).collect()
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

/// Whether a condition is false for every value of the names in it that these others allow: `around` must hold, and none
/// of `before`. No, where the names have too many values.
fn never(when: &Expr, around: &[&Expr], before: &[&Expr], seen: &Seen<'_>) -> bool {
    let Some(own) = Tried::default().with(when, seen) else { return false };
    let mut tried = own;
    let (mut must, mut must_not) = (vec![when], Vec::new());
    // What cannot be tried as well is left out: that allows more, so that nothing is told that may be wrong.
    for (others, of) in [(around, &mut must), (before, &mut must_not)] {
        for other in others {
            if let Some(more) = tried.with(other, seen) {
                tried = more;
                of.push(other);
            }
        }
    }
    let is =
        |expr: &Expr, scope: &Scope, truth: Truth| matches!(expr.eval_bool(scope, &[]), Ok(found) if found == truth);
    tried.scopes.iter().all(|scope| {
        must.iter().any(|expr| is(expr, scope, Truth::False))
            || must_not.iter().any(|expr| is(expr, scope, Truth::True))
    })
}

/// All combinations of the values of some names.
#[derive(Clone)]
struct Tried<'e> {
    scopes: Vec<Scope>,
    names: Vec<(&'e str, Option<&'e str>)>,
}

impl Default for Tried<'_> {
    fn default() -> Self {
        Tried { scopes: vec![Scope::new()], names: Vec::new() }
    }
}

impl<'e> Tried<'e> {
    /// With the names of one more expression; none where that would be too many.
    fn with(&self, expr: &'e Expr, seen: &Seen<'_>) -> Option<Tried<'e>> {
        let mut tried = self.clone();
        for reference in expr.references() {
            let name = (reference.name.as_str(), reference.step.as_deref());
            if tried.names.contains(&name) {
                continue;
            }
            tried.names.push(name);
            let values = values(reference, seen)?;
            if tried.scopes.len() * values.len() > COMBINATIONS {
                return None;
            }
            let each = |scope: &Scope| {
                let scope = scope.clone();
                values.iter().map(move |value| {
                    let mut scope = scope.clone();
                    match &reference.step {
                        Some(step) => scope.set_step(step, Slot::Known(value.clone())),
                        None => scope.know(&reference.name, value.clone()),
                    }
                    scope
                })
            };
            tried.scopes = tried.scopes.iter().flat_map(each).collect();
        }
        Some(tried)
    }
}

/// Every value a name can have, if these are few.
fn values(reference: &Reference, seen: &Seen<'_>) -> Option<Vec<Value>> {
    if reference.step.is_some() {
        // A call also has outputs, which can be anything.
        if reference.path != ["status"] {
            return None;
        }
        return Some(STATUSES.iter().map(|status| Value::text(status.name())).collect());
    }
    let shape = &seen.runbook.params.get(&reference.name)?.shape;
    match shape.ty {
        Type::Boolean => Some(vec![Value::Bool(false), Value::Bool(true)]),
        _ if shape.choices.is_empty() => None,
        ty => shape.choices.iter().map(|choice| ty.read(choice).ok()).collect(),
    }
}
