//! The runbook's file is not as it was when the run began: the frozen bytes run, unless a person sees the difference and
//! takes the file as it is now. Steps are the same by id, never by position.

use super::{
    basis::Basis,
    desk::{Desk, choice, pause},
};
use crate::{
    cli::{CliError, Context, say},
    engine::RunEnd,
    event::{RunStarted, RunState, StepId, StepPhase, StepState, StepStatus},
    library::Library,
    model::{Step, step_references},
    plan::{Difference, How, Side, StepDifference, difference},
    port::{Question, QuestionKind},
};

pub enum After {
    GoOn,
    Take { fresh: Box<Basis>, bytes: Vec<u8>, reason: String },
    Leave(RunEnd),
}

/// Lines of what is wrong with the file that are shown.
const SHOWN: usize = 8;

pub async fn ask(
    context: &Context,
    header: &RunStarted,
    state: &RunState,
    basis: &Basis,
    desk: &mut Desk<'_>,
) -> Result<After, CliError> {
    let mut origin = if header.origin == "built-in" {
        format!("the built-in runbook {}", header.runbook)
    } else {
        header.origin.clone()
    };
    let follows = if state.runbook_number() > 1 { "what was accepted last" } else { "what it began with" };
    let goes_on = format!("the run goes on with {follows}");
    let library = match header.origin.as_str() {
        "built-in" => context.library(),
        path => context.library().beside(std::path::Path::new(path)),
    };
    let bytes = match read(context, header) {
        Ok(bytes) => {
            let called = callees_changed(&library, basis);
            let same = bytes == basis.source.text().as_bytes();
            if same && called.is_empty() {
                return Ok(After::GoOn);
            }
            if same {
                let plural = if called.len() == 1 { "the runbook" } else { "the runbooks" };
                origin = format!("{plural} {}, called by {origin},", called.join(", "));
            }
            bytes
        }
        Err(why) => {
            say(context, &format!("runsheet: {origin} {why}; {goes_on}\n"));
            return Ok(After::GoOn);
        }
    };
    if !desk.attended() {
        say(context, &format!("runsheet: {origin} has changed since; {goes_on}\n"));
        return Ok(After::GoOn);
    }
    let fresh = basis.fresh(&library, bytes.clone());
    let mut difference = Difference::default();
    let obstacles = match &fresh {
        Ok(fresh) => {
            let (before, now) = (recorded(context, basis), recorded(context, fresh));
            difference = self::difference(
                &Side { record: &before, source: Some(&basis.source) },
                &Side { record: &now, source: Some(&fresh.source) },
            );
            if difference.is_empty() {
                say(context, &format!("runsheet: {origin} has changed since, in comments or layout only; {goes_on}\n"));
                return Ok(After::GoOn);
            }
            obstacles(basis, fresh, &difference, state)
        }
        Err(wrong) => wrong.clone(),
    };
    let mut shown = false;
    loop {
        let mut context_lines = summary(&difference);
        if shown && let Ok(fresh) = &fresh {
            context_lines.extend(difference.lines(&|step| Some(note(step, fresh, state))));
        }
        if !obstacles.is_empty() {
            context_lines.push("it cannot take the place of what the run follows:".into());
            context_lines.extend(obstacles.iter().take(SHOWN).map(|why| format!("- {why}")));
            if obstacles.len() > SHOWN {
                context_lines.push(format!("and {} more; `runsheet check` shows them all", obstacles.len() - SHOWN));
            }
        }
        let safest = format!("{goes_on}; choose this if in doubt");
        let mut choices = vec![choice('g', "go-on", &safest, false)];
        if fresh.is_ok() && !shown {
            choices.push(choice('d', "difference", "show what differs, step by step; then it can be taken", false));
        }
        if obstacles.is_empty() && shown {
            choices.push(choice('t', "take", "take the file as it is now for what is left; say why", true));
        }
        choices.push(pause());
        let question = Question {
            step: None,
            title: "resume".into(),
            message: format!("{origin} has changed since this run took it."),
            context: context_lines,
            kind: QuestionKind::Run,
            choices,
        };
        let answer = match desk.ask(question, "the runbook has changed").await {
            Ok(answer) => answer,
            Err(end) => return Ok(After::Leave(end)),
        };
        match (answer.word.as_str(), fresh.as_ref()) {
            ("difference", _) => shown = true,
            ("take", Ok(_)) => break Ok(answer.reason.unwrap_or_default()),
            _ => break Err(()),
        }
    }
    .map_or(Ok(After::GoOn), |reason| match fresh {
        Ok(fresh) => Ok(After::Take { fresh: Box::new(fresh.complete(context)?), bytes, reason }),
        Err(_) => Ok(After::GoOn),
    })
}

/// Whether a runbook that is called is not as it was. One that cannot be read any more is as it was: the run has it.
fn callees_changed(library: &Library, basis: &Basis) -> Vec<String> {
    let changed = basis.runbook.callees().into_iter().filter(|callee| {
        let now = library.find(&callee.runbook.name);
        now.is_ok_and(|found| found.bytes != callee.runbook.source.text().as_bytes())
    });
    changed.map(|callee| callee.runbook.name.clone()).collect()
}

/// The bytes as they are now; `Err` says how they are not.
fn read(context: &Context, header: &RunStarted) -> Result<Vec<u8>, String> {
    if header.origin == "built-in" {
        let found = Library::built_in().into_iter().find(|found| found.name == header.runbook);
        return found.map(|found| found.bytes).ok_or_else(|| "is not built in any more".into());
    }
    let path = std::path::Path::new(&header.origin);
    // A pipe may never answer; a folder or a device is none of ours.
    match std::fs::metadata(path) {
        Ok(about) if about.is_file() => {}
        Ok(_) => return Err("is no file any more".into()),
        Err(_) => return Err("is gone".into()),
    }
    context.library().open(path).map(|found| found.bytes).map_err(|why| format!("is not readable (could not {why})"))
}

fn recorded(context: &Context, basis: &Basis) -> serde_json::Value {
    let (bytes, _) = basis.plan.recorded(&context.redactor);
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn summary(difference: &Difference) -> Vec<String> {
    let of = |how: How| {
        let ids: Vec<&str> =
            difference.steps.iter().filter(|step| step.how == how).map(|step| step.id.as_str()).collect();
        ids.join(", ")
    };
    let steps = [("steps added", of(How::Added)), ("changed", of(How::Changed)), ("removed", of(How::Removed))];
    steps.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(how, ids)| format!("{how}: {ids}")).collect()
}

fn state_of<'s>(state: &'s RunState, id: &str) -> Option<&'s StepState> {
    state
        .steps
        .get(&StepId::new(id))
        .filter(|step| step.attempts > 0 || !matches!(step.phase, StepPhase::NotStarted | StepPhase::Deferred { .. }))
}

/// Whether nothing of the step will happen any more.
fn is_over(step: &StepState) -> bool {
    let open = |status| matches!(status, StepStatus::Failed | StepStatus::Unknown | StepStatus::NotRun);
    step.status().is_some_and(|status| !open(status))
}

/// Why the file cannot take the place of what the run follows.
fn obstacles(old: &Basis, new: &Basis, difference: &Difference, state: &RunState) -> Vec<String> {
    let mut found = Vec::new();
    let (before, now) = (ids(old), ids(new));
    for (id, part, step) in &before {
        let Some(begun) = state_of(state, id) else { continue };
        let skipped = matches!(begun.phase, StepPhase::Skipped { .. });
        let Some((_, new_part, new_step)) = now.iter().find(|(other, ..)| other == id) else {
            if !skipped {
                let how = if is_over(begun) { "is over" } else { "was begun" };
                found.push(format!("step {id} {how} and is not in the file any more; a step is known by its id"));
            }
            continue;
        };
        if part != new_part && !skipped {
            found.push(format!("step {id} was begun, and stands in `{new_part}` and no longer in `{part}`"));
        }
        let open = !is_over(begun) && begun.status() != Some(StepStatus::Failed);
        if open && step.body.kind != new_step.body.kind {
            found.push(format!(
                "nobody knows how step {id} ended, and it is a `{}` step now and no longer a `{}` step",
                new_step.body.kind, step.body.kind
            ));
        }
        if is_over(begun) && !skipped {
            found.extend(lost_values(step, new_step, new, state));
        }
    }
    let closing = old.runbook.finally.iter().any(|step| state_of(state, step.path.as_str()).is_some());
    for step in difference.steps.iter().filter(|step| step.how == How::Added) {
        if closing && now.iter().any(|(id, part, _)| *id == step.id && *part == "steps") {
            found.push(format!("step {} would never run: the run has come as far as `finally`", step.id));
        }
    }
    found
}

/// Every step with where it stands.
fn ids(basis: &Basis) -> Vec<(String, &'static str, &Step)> {
    let steps = basis.runbook.steps.iter().flat_map(Step::with_inside);
    let steps = steps.map(|step| (step.path.to_string(), "steps", step));
    steps.chain(basis.runbook.final_steps().map(|step| (step.path.to_string(), "finally", step))).collect()
}

/// Values that a step which is over would give now and never gave, and that are wanted.
fn lost_values(old: &Step, new: &Step, basis: &Basis, state: &RunState) -> Vec<String> {
    let gave = old.gives();
    let fresh = new.gives().into_iter().filter(|name| gave.iter().all(|before| before.value != name.value));
    let mut found = Vec::new();
    for name in fresh {
        let wants = |step: &&Step| {
            !state_of(state, step.path.as_str()).is_some_and(is_over)
                && step_references(step, &basis.names).iter().any(|reference| reference.name == name.value)
        };
        if let Some(step) = basis.runbook.all_steps().find(wants) {
            found.push(format!(
                "step {} uses `{}`, which step {} would give, and that is over",
                step.path, name.value, new.path
            ));
        }
    }
    found
}

/// What the difference in one step means for this run.
fn note(step: &StepDifference, new: &Basis, state: &RunState) -> String {
    let begun = state_of(state, &step.id);
    match (step.how, begun) {
        (How::Added, _) => {
            let later = [(&new.plan.main, &new.runbook.steps), (&new.plan.finally, &new.runbook.finally)];
            let after: Vec<String> = later
                .into_iter()
                .flat_map(|(graph, steps)| {
                    steps.iter().enumerate().filter_map(|(index, other)| {
                        let needs = new.plan.needs(steps, graph, index).contains(&step.id);
                        let over = state_of(state, other.path.as_str()).is_some_and(is_over);
                        (needs && over).then(|| other.path.to_string())
                    })
                })
                .collect();
            if after.is_empty() {
                return "it will run".into();
            }
            format!("it will run, although {} should come after it and is over", after.join(", "))
        }
        (_, None) if step.how == How::Removed => "it was not begun, and will not run".into(),
        (_, None) => "it was not begun, and will run like this".into(),
        (_, Some(begun)) if is_over(begun) => {
            let status = begun.status().map_or("over", StepStatus::name).replace('_', " ");
            format!("it is over ({status}): this has no effect")
        }
        (_, Some(begun)) if begun.status() == Some(StepStatus::Failed) => {
            "it has failed; if it runs again, then like this".into()
        }
        _ => "it was begun, and how it ended is decided first; if it runs again, then like this".into(),
    }
}
