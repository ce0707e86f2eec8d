//! The records of a run as a table of what happened when. Knows nothing of what followed from it.

use jiff::Timestamp;

use super::{
    page::{Block, Line, Page},
    report::millis,
};
use crate::event::{DaemonEnd, Effect, Event, Record};

/// Characters of a text in a cell; all of it stands elsewhere in the report.
const LONGEST: usize = 160;

/// How many rows back a look may stand that is repeated.
const IN_TURN: usize = 64;

fn looks(event: &Event) -> bool {
    matches!(event, Event::Sample { .. } | Event::EffectIntended { effect: Effect::Read, .. })
}

struct Row<'a> {
    first: &'a Record,
    last: Timestamp,
    line: Line,
    times: usize,
}

pub(super) fn table(records: &[Record], page: &mut Page) {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for record in records {
        let Some(line) = in_words(&record.event) else { continue };
        // A wait looks a hundred times in the same words, and a watch with several probes does so in turn.
        let back = if looks(&record.event) { IN_TURN } else { 1 };
        if let Some(row) = rows.iter_mut().rev().take(back).find(|row| same(&row.first.event, &record.event)) {
            row.times += 1;
            row.last = record.time;
            continue;
        }
        rows.push(Row { first: record, last: record.time, line, times: 1 });
    }
    if rows.is_empty() {
        return;
    }
    page.push(Line::of("Timeline").heading(2));
    let header = ["Time (UTC)", "Step", "What happened"].map(|title| Line::of(title).done()).to_vec();
    let rows = rows.into_iter().map(|row| {
        let line = match row.times {
            1 => row.line,
            times => row.line.text(format!(" ({times} times, until {})", clock(row.last))),
        };
        let step = match row.first.event.step() {
            Some(step) => Line::new().code(step.as_str()),
            None => Line::new(),
        };
        vec![Line::of(clock(row.first.time)).done(), step.done(), line.done()]
    });
    page.push(Block::Table { header, rows: rows.collect() });
}

fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn same(one: &Event, other: &Event) -> bool {
    match (one, other) {
        (
            Event::EffectIntended { step, attempt, effect, detail, .. },
            Event::EffectIntended {
                step: other_step,
                attempt: other_attempt,
                effect: other_effect,
                detail: other_detail,
                ..
            },
        ) => (step, attempt, effect, detail) == (other_step, other_attempt, other_effect, other_detail),
        (
            Event::Sample { step, attempt, probe, state, .. },
            Event::Sample { step: other_step, attempt: other_attempt, probe: other_probe, state: other_state, .. },
        ) => (step, attempt, probe, state) == (other_step, other_attempt, other_probe, other_state),
        _ => false,
    }
}

fn in_words(event: &Event) -> Option<Line> {
    Some(match event {
        Event::RunStarted(header) => {
            Line::of("the run began, with ").code(&header.runbook).text(", by ").code(&header.operator)
        }
        Event::RunResumed { by, .. } => Line::of("resumed by ").code(by),
        Event::StepStarted { attempt: 1, .. } => Line::of("started"),
        Event::StepStarted { attempt, .. } => Line::of(format!("started, attempt {attempt}")),
        Event::EffectIntended { effect, detail, .. } => {
            let what = if *effect == Effect::Read { "looks: " } else { "does: " };
            Line::of(what).code(head(detail))
        }
        Event::StepEntered { items, case, runbook, .. } => match (case, runbook) {
            (Some(case), _) => Line::of("takes the way ").code(case),
            (None, Some(runbook)) => Line::of("calls the runbook ").code(runbook),
            (None, None) if items.is_empty() => return None,
            (None, None) => Line::of("goes over ").codes(items.iter().map(item)),
        },
        Event::StepRetried { wait_ms, .. } => Line::of(format!("is repeated in {}", millis(*wait_ms))),
        Event::StepFinished { status, error, .. } => {
            let line = Line::new().strong(status.name().replace('_', " "));
            match error {
                Some(error) => line.text(": ").code(head(error)),
                None => line,
            }
        }
        Event::DaemonEnded { processes, how, .. } => Line::of(match how {
            DaemonEnd::Ended => "what it had left running was ended: ",
            DaemonEnd::Gone => "what it had left running had ended: ",
            DaemonEnd::Lost => "who watched what it had left running was killed; look for ",
            DaemonEnd::StillThere => "what it had left running could not be ended: ",
        })
        .codes(processes),
        Event::StepSkipped { reason, .. } => Line::new().strong("skipped").text(": ").code(head(reason)),
        Event::StepDeferred { waiting_on, .. } => Line::of("waits for ").codes(waiting_on),
        Event::QuestionAsked { question, message, .. } => {
            Line::of(format!("question {question}: ")).code(head(message))
        }
        Event::QuestionAnswered { question, answer, by, .. } => {
            Line::of(format!("answer to question {question}: ")).code(head(answer)).text(", by ").code(by)
        }
        Event::ValueGiven { name, value, by, .. } => {
            Line::new().code(name).text(" is from here on ").code(head(&value.to_string())).text(", given by ").code(by)
        }
        Event::ShellClosed { duration_ms, error, by, .. } => {
            let line = Line::of("a shell was closed after ").text(millis(*duration_ms)).text(", opened by ").code(by);
            match error {
                Some(error) => line.text(": ").code(head(error)),
                None => line,
            }
        }
        Event::Sample { probe, state, .. } => {
            let line = Line::of("a sample of ").code(probe);
            if state.words().is_empty() { line } else { line.text(": ").strong(state.words()) }
        }
        // Every piece of output has one.
        Event::OutputCommit { .. } => return None,
        Event::Recovered { .. } => Line::of("the journal was repaired after an interruption"),
        Event::PlanReplaced(plan) => {
            Line::of(format!("plan {} takes over, because of the {}, accepted by ", plan.number, plan.cause))
                .code(&plan.by)
        }
        Event::FilesNoted { files, by } => {
            Line::of("accepted as they are now: ").codes(files.keys().map(String::as_str)).text(", by ").code(by)
        }
        Event::RunClosing {} => Line::of("the run closes; what is still run is what runs last"),
        Event::UndoStarted { by, .. } => Line::of("the undo began, by the word of ").code(by),
        Event::StepUndone { undone_by, .. } => match undone_by {
            Some(by) => Line::new().strong("undone").text(" by ").code(by.as_str()),
            None => Line::new().strong("undone").text(", with all that was done in it"),
        },
        Event::RunPaused { reason } => Line::new().strong("paused").text(": ").code(head(reason)),
        Event::RunFinished { outcome, code, .. } => {
            Line::of("the run ended: ").strong(outcome.name().replace('_', " ")).text(format!(", exit code {code}"))
        }
        Event::Unrecognised => Line::of("an event that this version does not know"),
    })
}

fn item(item: &serde_json::Value) -> String {
    item.as_str().map_or_else(|| item.to_string(), str::to_owned)
}

/// The first line that says something, shortened.
fn head(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let more = text.trim().lines().count() > 1;
    let mut head: String = line.chars().take(LONGEST).collect();
    if more || line.chars().count() > LONGEST {
        head.push_str(" …");
    }
    head
}
