//! Files that steps name and that are not as they were when the run began: each is asked about before its step is reached.

use std::{collections::BTreeMap, path::Path};

use indexmap::IndexMap;

use super::desk::{Desk, choice, pause};
use crate::{
    cli::files::{self, Changed},
    engine::RunEnd,
    event::{Event, NotedFile, Record, StepId},
    journal::OpenRun,
    plan::Plan,
    port::{Question, QuestionKind},
};

/// The files that were accepted as they are now.
pub async fn ask(
    plan: &Plan,
    cwd: &Path,
    open: &OpenRun,
    desk: &mut Desk<'_>,
) -> Result<BTreeMap<String, NotedFile>, RunEnd> {
    let mut by_step: IndexMap<StepId, Vec<Changed>> = IndexMap::new();
    for file in files::changed(plan, cwd, &open.state) {
        if let Some(first) = file.before.steps.first() {
            by_step.entry(first.clone()).or_default().push(file);
        }
    }
    let mut accepted = BTreeMap::new();
    for (step, files) in by_step {
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let names = names.join(", ");
        let question = Question {
            step: Some(step.clone()),
            title: plan
                .runbook
                .all_steps()
                .find(|of| of.path == step)
                .map_or_else(String::new, |of| plan.title(of, &plan.scope())),
            message: format!("{names}: not as it was when the run began."),
            context: files.iter().flat_map(|file| evidence(file, cwd, &open.records)).collect(),
            kind: QuestionKind::Run,
            choices: vec![choice('g', "go-on", "go on with it as it is now; say why", true), pause()],
        };
        desk.ask(question, &format!("step {step} uses {names}, which has changed since the run began")).await?;
        for file in files {
            // One that is gone is not asked about again; its step finds out.
            let gone = NotedFile { sha256: None, bytes: 0, steps: Vec::new() };
            accepted.insert(file.path, file.now.unwrap_or(gone));
        }
    }
    Ok(accepted)
}

fn evidence(file: &Changed, cwd: &Path, records: &[Record]) -> Vec<String> {
    let steps: Vec<&str> = file.before.steps.iter().map(StepId::as_str).collect();
    let mut lines =
        vec![format!("{}, used by {}", file.path, steps.join(", ")), format!("  was {}", told(&file.before))];
    let Some(now) = &file.now else {
        lines.push("  is gone, or cannot be read".into());
        return lines;
    };
    lines.push(format!("  is  {}", told(now)));
    let written = std::fs::metadata(cwd.join(&file.path)).and_then(|about| about.modified()).ok();
    if let Some(written) = written.and_then(|at| jiff::Timestamp::try_from(at).ok()) {
        let during = during(records, written).map(|step| format!(", while step {step} ran")).unwrap_or_default();
        lines.push(format!("  last written {}{during}", written.strftime("%Y-%m-%d %H:%M:%S UTC")));
    }
    lines
}

fn told(file: &NotedFile) -> String {
    match &file.sha256 {
        Some(digest) => format!("{} bytes, SHA-256 {digest}", file.bytes),
        None => format!("{} bytes", file.bytes),
    }
}

/// The step that ran at a moment: it may have written the file itself.
fn during(records: &[Record], at: jiff::Timestamp) -> Option<&StepId> {
    let mut running: IndexMap<&StepId, jiff::Timestamp> = IndexMap::new();
    for record in records {
        match &record.event {
            Event::StepStarted { step, .. } => drop(running.insert(step, record.time)),
            Event::StepFinished { step, .. }
                if running.shift_remove(step).is_some_and(|began| began <= at && at <= record.time) =>
            {
                return Some(step);
            }
            _ => {}
        }
    }
    None
}
