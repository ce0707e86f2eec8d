//! Which runbooks call which. Compares nothing but the runbooks that are called.

use crate::{
    kinds::registry,
    model::{Callee, Inside, Runbook},
    plan::{Compared, Version, compare},
};

/// The runbooks that both versions call and that are not the same, each once, but for those that `known` names.
pub fn changed(old: &Runbook, new: &Runbook, known: &dyn Fn(&str) -> bool) -> Vec<Compared> {
    let before = old.callees();
    let mut all = Vec::new();
    for callee in new.callees() {
        let name = &callee.runbook.name;
        let earlier = before.iter().find(|of| of.runbook.name == *name);
        let Some(earlier) = earlier.filter(|of| !known(name) && of.runbook.sha256() != callee.runbook.sha256()) else {
            continue;
        };
        let changes = compare(Some(version(earlier)), Some(version(callee)), registry());
        if !changes.is_empty() {
            all.push(Compared {
                name: name.clone(),
                before: Some(earlier.runbook.source.name().to_owned()),
                after: Some(callee.runbook.source.name().to_owned()),
                changes,
                called_by: Vec::new(),
                notes: Vec::new(),
            });
        }
    }
    all
}

fn version(callee: &Callee) -> Version<'_> {
    Version { runbook: &callee.runbook, names: &callee.names }
}

/// Who calls a runbook, of these: `NAME (steps)`, or `NAME (through OTHER)`.
pub fn of<'r>(books: impl Iterator<Item = &'r Runbook>, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    for book in books {
        let steps = calls(book, name);
        if !steps.is_empty() {
            all.push(format!("{} ({})", book.name, steps.join(", ")));
        } else if let Some(through) = through(book, name) {
            all.push(format!("{} (through {through})", book.name));
        }
    }
    all
}

/// The runbook that a runbook calls and that leads to another one.
fn through<'r>(book: &'r Runbook, name: &str) -> Option<&'r str> {
    let mut callees = book.callees().into_iter();
    let leads = |callee: &&Callee| callee.runbook.callees().iter().any(|of| of.runbook.name == name);
    callees.find(leads).map(|callee| callee.runbook.name.as_str())
}

/// The steps of a runbook that call another one.
fn calls(book: &Runbook, name: &str) -> Vec<String> {
    let bodies = book.all_steps().flat_map(|step| std::iter::once(step).chain(step.undo.as_deref()));
    let calling = bodies
        .filter(|step| matches!(step.body.action.inside(), Some(Inside::Call(call)) if call.runbook.value == name));
    calling.map(|step| step.path.to_string()).collect()
}
