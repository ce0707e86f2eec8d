//! What a run took back, or was to take back, in its report. Knows nothing of how it is done.

use super::page::{Block, Line, Page};
use crate::event::{Event, Record, RunState, StepStatus};

/// Every undo of a run, with what came of each step in the end.
pub(super) fn section(records: &[Record], state: &RunState, page: &mut Page) {
    let mut first = true;
    for record in records {
        let Event::UndoStarted { steps, stays, point_of_no_return, reason, by } = &record.event else { continue };
        if first {
            page.push(Line::of("Undo").heading(2));
        }
        first = false;
        page.push(Line::of("By the word of ").code(by).text(", because: ").code(reason).paragraph());
        let header = ["Step, latest first", "What takes it back", "Outcome"].map(|title| Line::of(title).done());
        let rows = steps.iter().map(|of| {
            vec![
                Line::new().code(of.step.as_str()).done(),
                Line::new().code(&of.detail).done(),
                Line::of(outcome(state, of.step.clone())).done(),
            ]
        });
        page.push(Block::Table { header: header.to_vec(), rows: rows.collect() });
        if let Some(point) = point_of_no_return {
            let line = Line::label("Point of no return:").text(" ").code(point.as_str());
            page.push(line.text("; nothing before it is undone").paragraph());
        }
        if !stays.is_empty() {
            page.push(Line::of("What stays as it is:").paragraph());
            let line = |of: &crate::event::Stays| Line::new().code(of.step.as_str()).text(format!(": {}", of.why));
            page.lines(stays.iter().map(line).collect());
        }
    }
}

fn outcome(state: &RunState, step: crate::event::StepId) -> &'static str {
    let status = |step| state.steps.get(step).and_then(|of| of.status());
    match (status(&step), status(&step.undo())) {
        (Some(StepStatus::Undone), _) => "undone",
        (_, Some(StepStatus::Failed)) => "its undo failed",
        (_, Some(StepStatus::Unknown)) => "nobody knows",
        (_, Some(StepStatus::Skipped)) => "left by the operator",
        _ => "not undone",
    }
}
