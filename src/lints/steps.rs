//! Rules about single steps and what stands before them. Knows nothing of scripts.

use super::look::{Seen, warn};
use crate::{event::Effect, model::Step, text::Diagnostic};

/// A change whose outcome nobody can find out.
pub(super) fn no_verify(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for step in seen.steps() {
        // What a person does, a person answers for.
        if step.body.effect == Effect::Read || step.idempotent || step.verify.is_some() || step.body.action.is_asked() {
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
    for (index, list) in seen.lists.iter().enumerate() {
        for (at, step) in list.steps.iter().enumerate() {
            if step.body.effect != Effect::Destroy || step.body.action.is_asked() || gated(seen, index, at) {
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
}

/// Whether a confirm that is not skipped where the step runs stands before it, or before what holds it.
fn gated(seen: &Seen<'_>, list: usize, at: usize) -> bool {
    let conditions: Vec<&str> = seen
        .outwards(list, at)
        .filter_map(|(steps, at)| steps[at].when.as_ref())
        .map(|when| when.source().trim())
        .collect();
    let holds = |gate: &Step| match &gate.when {
        None => true,
        Some(when) => conditions.contains(&when.source().trim()),
    };
    seen.outwards(list, at).any(|(steps, at)| steps[..at].iter().any(|step| step.body.action.is_gate() && holds(step)))
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
