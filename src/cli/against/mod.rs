//! `plan --against`: what a runbook, or every one of a folder, does that another version does not. Runs nothing of them.

mod json;
mod text;

use std::{io::IsTerminal, path::Path};

use super::{
    CliError, Context,
    args::Plan as PlanFlags,
    error::code,
    print,
    source::{self, Ready},
};
use crate::{
    kinds::registry,
    model::{Callee, Runbook},
    plan::{Compared, Comparison, Version, What, compare},
    text::nearest,
};

pub fn against(context: &Context, flags: &PlanFlags, other: &str) -> Result<u8, CliError> {
    let wanted = wanted(&flags.fail_on)?;
    let comparison = single(context, &flags.inputs.runbook, other)?;
    let text = if flags.json {
        format!("{}\n", json::json(&comparison, &wanted))
    } else {
        text::text(&comparison, context.color(std::io::stdout().is_terminal()))
    };
    print(context, &text)?;
    let found = comparison.found(&wanted);
    if found.is_empty() {
        return Ok(0);
    }
    let words: Vec<&str> = found.iter().map(|what| what.word()).collect();
    super::say(context, &format!("runsheet: --fail-on: {}\n", words.join(", ")));
    Ok(code::FAILED)
}

/// The kinds of difference that are a failure.
fn wanted(words: &[String]) -> Result<Vec<What>, CliError> {
    let mut wanted = Vec::new();
    for word in words {
        let Some(what) = What::of(word) else {
            let all: Vec<&str> = What::ALL.iter().map(|what| what.word()).collect();
            let error = CliError::usage(format!("there is no kind of difference `{word}` for --fail-on"));
            return Err(match nearest(word, all.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("there are {}", all.join(", "))),
            });
        };
        wanted.push(what);
    }
    Ok(wanted)
}

fn single(context: &Context, word: &str, other: &str) -> Result<Comparison, CliError> {
    let new = source::ready(context, word)?;
    let old = source::make_ready(context, context.library().open(Path::new(other))?)?;
    let mut comparison =
        Comparison { before: old.found.shown_as(), after: new.found.shown_as(), runbooks: Vec::new(), looked_at: 1 };
    let changes = compare(version(&old), version(&new), registry());
    comparison.runbooks.push(Compared {
        name: new.runbook.name.clone(),
        before: Some(old.found.shown_as()),
        after: Some(new.found.shown_as()),
        changes,
        ..Compared::default()
    });
    comparison.runbooks.extend(callees(&old.runbook, &new.runbook));
    Ok(comparison)
}

fn version(ready: &Ready) -> Version<'_> {
    Version { runbook: &ready.runbook, names: &ready.names }
}

fn of_callee(callee: &Callee) -> Version<'_> {
    Version { runbook: &callee.runbook, names: &callee.names }
}

/// The runbooks that both call and that are not the same, each once.
fn callees(old: &Runbook, new: &Runbook) -> Vec<Compared> {
    let before = old.callees();
    let mut all = Vec::new();
    for callee in new.callees() {
        let name = &callee.runbook.name;
        let Some(earlier) = before.iter().find(|of| of.runbook.name == *name) else { continue };
        let changes = compare(of_callee(earlier), of_callee(callee), registry());
        if !changes.is_empty() {
            all.push(Compared {
                name: name.clone(),
                before: Some(earlier.runbook.source.name().to_owned()),
                after: Some(callee.runbook.source.name().to_owned()),
                changes,
                called_by: callers(new, name),
                notes: Vec::new(),
            });
        }
    }
    all
}

/// Who calls a runbook: `NAME (steps)`, of this runbook and of those it calls.
fn callers(of: &Runbook, name: &str) -> Vec<String> {
    let books = std::iter::once(of).chain(of.callees().into_iter().map(|callee| &*callee.runbook));
    let mut all = Vec::new();
    for book in books {
        let steps = calls(book, name);
        if !steps.is_empty() {
            all.push(format!("{} ({})", book.name, steps.join(", ")));
        }
    }
    all
}

/// The steps of a runbook that call another one.
fn calls(book: &Runbook, name: &str) -> Vec<String> {
    let bodies = book.all_steps().flat_map(|step| std::iter::once(step).chain(step.undo.as_deref()));
    let calling = bodies.filter(|step| {
        matches!(step.body.action.inside(), Some(crate::model::Inside::Call(call)) if call.runbook.value == name)
    });
    calling.map(|step| step.path.to_string()).collect()
}
