//! Names that are declared and used nowhere. Knows nothing of values.

use std::collections::HashSet;

use super::look::{Seen, warn};
use crate::{
    model::{ForEach, Step, body_references},
    syntax::{Expr, Reference, Template},
    text::Diagnostic,
};

pub(super) fn parameters(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for param in seen.runbook.params.values().filter(|param| !seen.is_used(&param.name)) {
        found.push(
            warn("unused-parameter", param.span, format!("nothing uses the parameter `{}`", param.name))
                .label("asked for, and never looked at")
                .hint("remove it, or use it; a script uses it as a variable of that name"),
        );
    }
}

pub(super) fn secrets(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for secret in seen.runbook.secrets.values().filter(|secret| !seen.is_used(&secret.name)) {
        found.push(
            warn("unused-secret", secret.span, format!("nothing uses the secret `{}`", secret.name))
                .label("never read")
                .hint("remove it, or use it; a script uses it as a variable of that name"),
        );
    }
}

pub(super) fn captures(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    for step in seen.steps() {
        // What a person typed is evidence, whether anything uses it or not.
        if step.body.action.is_asked() {
            continue;
        }
        for name in step.gives().iter().filter(|name| !seen.is_used(&name.value)) {
            found.push(
                warn("unused-capture", name.span, format!("nothing uses `{}`", name.value))
                    .label("kept, and never looked at")
                    .hint("remove it, or use it; if it is kept for the record, allow this and say so"),
            );
        }
    }
}

/// Every name that something uses.
pub(super) fn used(seen: &Seen<'_>) -> HashSet<String> {
    let mut used = HashSet::new();
    let runbook = seen.runbook;
    add(&mut used, runbook.lock.iter().chain(&runbook.cwd).flat_map(Template::references));
    add(&mut used, runbook.outputs.values().flat_map(Expr::references));
    add(&mut used, runbook.secrets.values().flat_map(|secret| secret.templates()).flat_map(Template::references));
    for step in seen.steps() {
        let own: HashSet<String> = step.gives().into_iter().map(|name| name.value).collect();
        // A script may have a variable of its own under the name of what it captures; the entries of a `set` are used
        // by those after them.
        let of_own = |reference: &Reference| step.body.kind != "set" && own.contains(&reference.name);
        add(&mut used, references(step, seen).iter().filter(|reference| !of_own(reference)));
        // An `undo` comes after what it takes back, and sees what that captured.
        add(&mut used, &step.undo.iter().flat_map(|undo| body_references(&undo.body, seen.names)).collect::<Vec<_>>());
    }
    used
}

fn references(step: &Step, seen: &Seen<'_>) -> Vec<Reference> {
    let mut all = Vec::new();
    let whens = step.needs.iter().flatten().filter_map(|need| need.when.as_ref());
    let retry = step.retry.iter().filter_map(|retry| retry.when.as_ref());
    for expr in step.when.iter().chain(whens).chain(retry) {
        all.extend_from_slice(expr.references());
    }
    all.extend(step.foreach.iter().flat_map(ForEach::references));
    for template in step.title.iter().chain(&step.text) {
        all.extend_from_slice(template.references());
    }
    for body in std::iter::once(&step.body).chain(&step.verify) {
        all.extend(body_references(body, seen.names));
    }
    all
}

fn add<'a>(used: &mut HashSet<String>, references: impl IntoIterator<Item = &'a Reference>) {
    for reference in references {
        if !used.contains(&reference.name) {
            used.insert(reference.name.clone());
        }
    }
}
