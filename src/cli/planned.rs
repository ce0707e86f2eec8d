//! `plan --markdown`: the rows of a plan in the words of a page. Decides nothing of the plan.

use serde_json::Value as Json;

use super::{
    plan::{Row, Seen, State, effects, params},
    probe::Probed,
};
use crate::{
    event::Redactor,
    plan::{Plan, ValueSource},
    render::{Planned, PlannedStep, planned},
};

/// What is secret is masked before anything is escaped, which could hide it from whoever masks.
pub(super) fn markdown(plan: &Plan, seen: &Seen, rows: &[Row<'_>], problems: &[String], redactor: &Redactor) -> String {
    let params = params(plan).into_iter().map(|(name, value, source)| {
        let value = match (value, source) {
            (_, ValueSource::Missing) => "‹not given›".to_owned(),
            (Json::String(text), _) => text,
            (other, _) => other.to_string(),
        };
        (name, value, source.name().to_owned())
    });
    let mut notes = Vec::new();
    if let Some(profile) = plan.inputs.profile.as_ref().and_then(|name| plan.runbook.profiles.get(name)) {
        let protected = if profile.protected { ", protected: a person must type its name before a run" } else { "" };
        notes.push(format!("under the profile {}{protected}", profile.name));
    }
    notes.extend(plan.lock.iter().map(|lock| format!("no other run with the lock {lock} may be under way")));
    notes.extend(seen.taken.iter().map(|entry| format!("takes along {}", entry.shown())));
    let mut page = Planned {
        runbook: plan.runbook.name.clone(),
        title: plan.runbook.title.value.clone(),
        params: params.collect(),
        notes,
        steps: rows.iter().enumerate().map(|(number, row)| step(plan, seen, row, rows.get(number + 1))).collect(),
        effects: effects(rows),
        problems: problems.to_vec(),
    };
    let own = [&mut page.runbook, &mut page.title].into_iter();
    let own = own.chain(page.params.iter_mut().map(|(_, value, _)| value)).chain(&mut page.notes);
    let own = own.chain(&mut page.problems);
    let steps = page.steps.iter_mut().flat_map(|step| {
        let own = [&mut step.path, &mut step.title, &mut step.detail].into_iter().chain(&mut step.undo);
        own.chain(step.facts.iter_mut().map(|(_, text)| text))
    });
    own.chain(steps).for_each(|text| *text = redactor.text(text).into_owned());
    planned(&page)
}

fn step(plan: &Plan, seen: &Seen, row: &Row<'_>, next: Option<&Row<'_>>) -> PlannedStep {
    let (step, scope) = (row.of.step, &row.of.scope);
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut fact = |label: &str, text: String| facts.push((label.to_owned(), text));
    match &row.state {
        State::Runs => {}
        State::Asks => fact("asks", "a person".into()),
        State::Skipped(reason) => fact("skipped:", reason.clone()),
        State::Deferred(names) => fact("decided later: waits for", names.join(", ")),
        State::Wrong(error) => fact("wrong:", error.clone()),
    }
    for line in seen.probed.get(&row.of.path).map(Probed::text).unwrap_or_default() {
        fact("saw:", line);
    }
    if row.last {
        fact("part:", "finally".into());
    }
    if let Some(when) = step.when.as_ref().filter(|_| !matches!(row.state, State::Skipped(_))) {
        fact("only when", when.on_one_line());
    }
    if let (true, Some(foreach)) = (row.of.is_loop, &step.foreach) {
        fact(&format!("for each {} in", foreach.name.value), foreach.source());
    }
    if step.irreversible {
        fact("a point of no return:", "nothing before it is undone once it ran".into());
    }
    // The items say it for themselves, each with its values.
    let by_item = row.of.is_loop && next.is_some_and(|next| next.of.within.as_ref() == Some(&row.of.path));
    let shown = if by_item { Default::default() } else { step.body.show(scope) };
    for (name, value) in shown.values {
        fact(&format!("{name} ="), value);
    }
    if !by_item {
        for path in seen.files.get(&row.of.path).into_iter().flatten() {
            fact("with the file", path.clone());
        }
        for entry in &step.body.expect.entries {
            fact("expects", entry.on_one_line());
        }
        for capture in step.captures() {
            let secret = if capture.secret { " (secret)" } else { "" };
            fact(&format!("{}{secret} =", capture.name.value), capture.value.on_one_line());
        }
    }
    PlannedStep {
        path: row.of.path.to_string(),
        title: plan.title(step, scope),
        kind: step.body.kind,
        effect: step.body.effect,
        facts,
        detail: shown.detail,
        undo: if by_item { None } else { row.undo() },
        depth: row.of.depth,
    }
}
