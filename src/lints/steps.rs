//! Rules about single steps and what stands before them. Knows nothing of scripts.

use super::look::{Seen, warn};
use crate::{
    event::Effect,
    model::{Inside, Step},
    text::Diagnostic,
};

/// A change whose outcome nobody can find out.
pub(super) fn no_verify(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for step in seen.steps() {
        // What a person does, a person answers for; of a container its steps are asked.
        let own = !step.body.action.is_asked() && step.body.action.inside().is_none();
        if step.body.effect == Effect::Read || step.idempotent || step.verify.is_some() || !own {
            continue;
        }
        found.push(
            warn("no-verify", step.body.kind_span, format!("nothing can tell whether `{}` took effect", step.id.value))
                .label(format!("this is a {}", step.body.effect.name()))
                .hint(
                    "add a `verify` that looks, or `idempotent: true` if it may safely run twice, or `effect: read` if \
                     it changes nothing",
                ),
        );
    }
}

/// A destruction that nobody is asked about.
pub(super) fn destroy_without_confirm(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for (list, at, step) in seen.places().filter(|(_, _, step)| destroys(step)) {
        if gated(seen, list, at) {
            continue;
        }
        found.push(
            warn(
                "destroy-without-confirm",
                step.body.kind_span,
                format!("nobody is asked before `{}` destroys something", step.id.value),
            )
            .label("no confirm stands before this, or it may be skipped where this is not")
            .hint("put a `confirm` before it in its list; it holds back every later step"),
        );
    }
}

/// Of what a container destroys, its steps or the runbook that it calls are asked.
fn destroys(step: &Step) -> bool {
    step.body.effect == Effect::Destroy && !step.body.action.is_asked() && step.body.action.inside().is_none()
}

/// Whether a confirm that is not skipped where the step runs stands before it, or before what holds it; or a person
/// chose the way on which it stands.
fn gated(seen: &Seen<'_>, list: usize, at: usize) -> bool {
    let conditions: Vec<&str> = seen
        .outwards(list, at)
        .filter_map(|(list, at)| list.steps[at].when.as_ref())
        .map(|when| when.source().trim())
        .collect();
    let holds = |gate: &Step| match &gate.when {
        None => true,
        Some(when) => conditions.contains(&when.source().trim()),
    };
    seen.outwards(list, at).any(|(list, at)| {
        let inside = list.steps[at].body.action.inside();
        let chosen = matches!(inside, Some(Inside::Choose(choose)) if choose.question.is_some());
        chosen || list.steps[..at].iter().any(|step| step.body.action.is_gate() && holds(step))
    })
}

/// A destruction that is neither taken back nor said to be final.
pub(super) fn destroy_without_undo(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for (list, at, step) in seen.places().filter(|(_, _, step)| destroys(step)) {
        // The `undo` of a container replaces those of its steps.
        let says = |step: &Step| step.undo.is_some() || step.irreversible;
        if seen.outwards(list, at).any(|(list, at)| says(&list.steps[at])) {
            continue;
        }
        found.push(
            warn(
                "destroy-without-undo",
                step.body.kind_span,
                format!("nothing says how to take back what `{}` destroys", step.id.value),
            )
            .label("neither `undo` nor `irreversible`")
            .hint("add an `undo`, or `irreversible: true` if there is no way back"),
        );
    }
}

/// An `else` that does not stand last: what follows looks as if nobody could come there.
pub(super) fn else_not_last(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for step in seen.steps() {
        let Some(Inside::Choose(choose)) = step.body.action.inside() else { continue };
        // Where a person chooses, cases have no order.
        if choose.question.is_some() {
            continue;
        }
        let Some(at) = choose.cases.iter().position(|case| case.otherwise) else { continue };
        if let Some(after) = choose.cases.get(at + 1) {
            found.push(
                warn("else-not-last", after.id.span, format!("`{}` stands behind the `else`", after.id.value))
                    .label("it is tried before the `else` all the same")
                    .related(choose.cases[at].id.span, "taken only where no other case is")
                    .hint("put the `else` last"),
            );
        }
    }
}

/// A wait that goes on to its end although nothing can come any more.
pub(super) fn wait_without_fail_when(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for step in seen.steps() {
        if step.body.action.parts().gives_up == Some(false) {
            found.push(
                warn(
                    "wait-without-fail-when",
                    step.body.kind_span,
                    format!("`{}` goes on waiting after what it waits for has failed", step.id.value),
                )
                .label("nothing says when it has failed")
                .hint("add `fail_when`, such as `fail_when: result.json.state == 'failed'`"),
            );
        }
    }
}
