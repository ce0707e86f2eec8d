//! `undo`: what ran is taken back, latest first, or only shown. Knows nothing of the order.

use std::rc::Rc;

use serde_json::json;

use super::{basis::Basis, go_on};
use crate::{
    cli::{
        CliError, Context,
        args::{Resume, Undo},
        error::code,
        plan::{NobodyAsked, Nowhere},
        print, session,
    },
    engine::{Engine, Options, Publisher, UndoOutlook},
    event::{Outcome, RunStarted, RunState},
    text::{DrawStyle, draw, one_line, printable},
    worlds::dry::DryWorld,
};

pub fn undo(context: &Context, flags: &Undo) -> Result<u8, CliError> {
    if flags.dry_run {
        return session::block_on(show(context, flags))?;
    }
    let resume = Resume {
        run: flags.run.clone(),
        mode: None,
        jobs: flags.jobs,
        yes: flags.yes,
        answers: flags.answers.clone(),
        step: flags.step.clone(),
        as_: flags.as_,
        reason: flags.reason.clone(),
        sign: flags.sign.clone(),
        anchor: flags.anchor,
        json: flags.json,
    };
    session::block_on(go_on(context, &resume, true))?
}

/// Why a run cannot be undone, if it cannot.
pub(super) fn refused(state: &RunState, run: &str, agreed: bool) -> Result<(), CliError> {
    if state.finished.is_some_and(|(outcome, _)| outcome == Outcome::Undone) {
        return Err(CliError::usage(format!("run {run} is undone; there is nothing to undo")));
    }
    if !agreed && (state.undo.is_none() || state.finished.is_some_and(|(outcome, _)| outcome.closes())) {
        return Err(CliError::new(code::PAUSED, "nobody is at the keyboard to agree to the undo")
            .hint(format!("nothing was undone; runsheet undo {run} --dry-run shows what would be"))
            .hint("--yes agrees to it"));
    }
    Ok(())
}

/// What would be done, and nothing of it.
async fn show(context: &Context, flags: &Undo) -> Result<u8, CliError> {
    let store = context.store()?;
    let id = store.resolve(&flags.run)?;
    let run = store.read(&id)?;
    let frozen = store.frozen(&id)?;
    let header = run
        .state
        .header
        .clone()
        .ok_or_else(|| CliError::new(code::NOT_VERIFIED, format!("run {id} has no beginning on record")))?;
    refused(&run.state, id.as_str(), true)?;
    let basis = Basis::frozen(context, &header, &run.state, &frozen, false)?;
    let world = DryWorld::new();
    let publisher = Publisher::new(&world, &Nowhere, Vec::new(), context.redactor.clone(), run.state.clone());
    let began = run.records.first().map_or_else(jiff::Timestamp::now, |record| record.time);
    let options = Options {
        jobs: 1,
        step_mode: false,
        base_env: Vec::new(),
        cwd: std::path::PathBuf::from(&header.cwd),
        run: Some(session::run_value(&id, began, &header.operator, None, None)),
        signals: None,
        secrets: Default::default(),
        decisions: Default::default(),
        undo: true,
        draw: Rc::new(|source, diagnostic| draw(source, diagnostic, DrawStyle::default()).trim_end().to_owned()),
    };
    let engine = Engine::new(&basis.plan, &world, &NobodyAsked, &Nowhere, publisher, options);
    let outlook = engine.undo_outlook().await.map_err(|error| CliError::new(code::FAULT, error.to_string()))?;
    let text = match flags.json {
        true => format!("{}\n", to_json(&header, &outlook)),
        false => to_text(&header, &outlook),
    };
    print(context, &context.redactor.text(&text))?;
    Ok(0)
}

fn to_json(header: &RunStarted, outlook: &UndoOutlook) -> serde_json::Value {
    json!({
        "run": header.run.as_str(),
        "runbook": header.runbook,
        "steps": outlook.steps,
        "stays": outlook.stays,
        "unknown": outlook.unknown,
        "point_of_no_return": outlook.point_of_no_return,
    })
}

fn to_text(header: &RunStarted, outlook: &UndoOutlook) -> String {
    let mut text = format!("undo of {} ({}), latest first; nothing of it is done now\n", header.run, header.runbook);
    for step in &outlook.unknown {
        text.push_str(&format!("  asked about first: nobody knows whether {} took effect\n", one_line(step.as_str())));
    }
    for (number, of) in outlook.steps.iter().enumerate() {
        text.push_str(&format!("\n{}. {}  [{}]\n", number + 1, one_line(of.step.as_str()), of.effect.name()));
        for line in printable(&of.detail).lines() {
            text.push_str(&format!("   │ {line}\n"));
        }
    }
    if outlook.steps.is_empty() {
        text.push_str("\nnothing would be undone\n");
    }
    if let Some(point) = &outlook.point_of_no_return {
        let point = one_line(point.as_str());
        text.push_str(&format!("\n{point} was a point of no return: nothing before it is undone\n"));
    }
    if !outlook.stays.is_empty() {
        text.push_str("\nstays as it is:\n");
    }
    for of in &outlook.stays {
        text.push_str(&format!("  {}: {}\n", one_line(of.step.as_str()), one_line(&of.why)));
    }
    text
}
