//! A run as a page, made from its records: what happened, when, by whose decision, and what is open. Knows nothing of
//! where the records are kept; believes nothing that a command, an answer or a runbook says to stay in its place.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::{
    foreign,
    in_order::{depth, ordered},
    page::{Block, Inline, Line, Page},
    timeline, undone,
};
use crate::{
    event::{Effect, Event, Outcome, Record, RunStarted, RunState, StepId, StepPhase, StepState, StepStatus},
    model::Runbook,
    value::show_duration,
};

/// Characters of one value or effect; all of it is in the journal.
const LONGEST: usize = 8_000;

pub(super) fn page(records: &[Record], state: &RunState, runbook: Option<&Runbook>) -> Page {
    let mut page = Page::default();
    let Some(header) = &state.header else {
        page.push(Line::of("Report of a run").heading(1));
        page.push(Line::of("There is nothing on record.").paragraph());
        return page;
    };
    let title = runbook.map_or(header.runbook.as_str(), |runbook| runbook.title.value.as_str());
    page.push(Line::of(format!("{title}: {}", standing(state).0)).heading(1));
    facts(header, records, state, &mut page);
    open(header, state, &mut page);
    params(header, state, &mut page);
    let told = told(records);
    undone::section(records, state, &mut page);
    steps(state, runbook, &told, &mut page);
    questions(records, &mut page);
    interruptions(records, &mut page);
    timeline::table(records, &mut page);
    page
}

/// The outcome as a word, and in words.
fn standing(state: &RunState) -> (&'static str, String) {
    match (&state.finished, &state.paused) {
        (Some((outcome, code)), _) => (outcome.name(), format!("{}, exit code {code}", outcome_words(*outcome))),
        (None, Some(_)) => ("paused", "paused, exit code 11".into()),
        (None, None) => ("no end on record", "no end is on record: it is still running, or was interrupted".into()),
    }
}

fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Declined => "declined or stopped by the operator",
        Outcome::Undone => "undone",
        Outcome::UndoFailed => "the undo failed",
        Outcome::Paused => "paused",
        Outcome::Unknown => "unknown: a decision is needed",
    }
}

fn facts(header: &RunStarted, records: &[Record], state: &RunState, page: &mut Page) {
    let mut lines = vec![
        Line::label("Outcome:").text(format!(" {}", standing(state).1)),
        Line::label("Run:").text(" ").code(header.run.as_str()),
        Line::label("Runbook:").text(" ").code(&header.runbook).text(", from ").code(&header.origin),
        Line::label("Plan:").text(" SHA-256 ").code(&header.digest),
    ];
    let who = if header.attended { ", at the keyboard" } else { ", with nobody at the keyboard" };
    lines.push(Line::label("By:").text(" ").code(&header.operator).text(" on ").code(&header.host).text(who));
    lines.push(Line::label("In:").text(" ").code(&header.cwd));
    if let Some(lock) = &header.lock {
        lines.push(Line::label("Lock:").text(" ").code(lock));
    }
    lines.push(Line::label("With:").text(" runsheet ").code(&header.tool_version));
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        lines.push(Line::label("Began:").text(format!(" {}", time(first.time))));
        lines.push(Line::label("Last record:").text(format!(
            " {}, {} later",
            time(last.time),
            between(first.time, last.time)
        )));
    }
    if let Some(reason) = records.iter().rev().find_map(|record| match &record.event {
        Event::RunFinished { reason, .. } => reason.as_deref(),
        _ => None,
    }) {
        lines.push(Line::label("Why:").text(format!(" {reason}")));
    }
    page.lines(lines);
}

/// What is to be done now, if anything.
fn open(header: &RunStarted, state: &RunState, page: &mut Page) {
    if state.finished.is_some_and(|(outcome, _)| outcome.closes()) {
        return;
    }
    page.push(Line::of("How to go on").heading(2));
    if let Some(reason) = state.paused.as_ref().filter(|_| state.finished.is_none()) {
        page.push(Line::label("Paused:").text(format!(" {reason}")).paragraph());
    }
    if let Some(question) = &state.question {
        let line = Line::label(format!("Question {} is open", question.question));
        let line = match &question.step {
            Some(step) => line.text(", about step ").code(step.as_str()),
            None => line,
        };
        page.push(line.text(":").paragraph());
        page.push(Block::Quote(foreign_lines(&question.message)));
    }
    for daemon in &state.daemons {
        let line = Line::label("Left running by step").text(" ").code(daemon.step.as_str()).text(": ");
        page.push(line.codes(&daemon.processes).text("; the end of the run ends it").paragraph());
    }
    let undecided: Vec<&StepId> =
        state.steps.iter().filter(|(_, step)| step.status() == Some(StepStatus::Unknown)).map(|(id, _)| id).collect();
    if !undecided.is_empty() {
        page.push(
            Line::of("Nobody knows whether these steps took effect: ")
                .codes(undecided.iter().map(|id| id.as_str()))
                .text(". Look, then decide at the keyboard, or with one of these:")
                .paragraph(),
        );
        for step in undecided {
            page.code(
                "bash",
                format!(
                    "runsheet resume {run} --step {step} --as done --reason \"how you know\"\nrunsheet resume {run} --step {step} --as not-done --reason \"how you know\"",
                    run = header.run
                ),
            );
        }
        return;
    }
    if state.finished.is_none() && state.paused.is_none() {
        page.push(Line::of("If no program runs it any more:").paragraph());
    }
    page.code("bash", format!("runsheet resume {}", header.run));
}

/// As they are now, if another plan has taken over since.
fn params(header: &RunStarted, state: &RunState, page: &mut Page) {
    let params = state.params().unwrap_or(&header.params);
    let sources = state.param_sources().unwrap_or(&header.param_sources);
    let secrets = state.plans.last().map_or(&header.secrets, |plan| &plan.secrets);
    if let Some(profile) = &header.profile {
        let line = Line::label("Profile:").text(" ").code(&profile.name);
        let typed = if profile.confirmed { ", protected; a person typed its name" } else { "" };
        page.push(line.text(typed).paragraph());
    }
    if !params.is_empty() {
        page.push(Line::of("Parameters").heading(2));
        let titles = ["Name", "Value", "From"].map(|title| Line::of(title).done()).to_vec();
        let rows = params
            .iter()
            .map(|(name, value)| {
                let source = sources.get(name).map(json_text).unwrap_or_default();
                vec![
                    Line::new().code(name).done(),
                    Line::new().code(shortened(&json_text(value))).done(),
                    Line::of(source).done(),
                ]
            })
            .collect();
        page.push(Block::Table { header: titles, rows });
    }
    if !secrets.is_empty() {
        page.push(Line::of("Secrets were declared and are not on record:").paragraph());
        page.lines(
            secrets
                .iter()
                .map(|(name, place)| Line::new().code(name).text(format!(": {}", json_text(place))))
                .collect(),
        );
    }
}

/// What the records tell of one step, besides its state.
#[derive(Default)]
struct Told<'a> {
    /// In the order it happened.
    moments: Vec<Moment<'a>>,
    samples: IndexMap<&'a str, (usize, &'a Json)>,
    waiting_on: Vec<&'a str>,
}

/// How many moments back a look may stand that is repeated.
const IN_TURN: usize = 64;

enum Moment<'a> {
    /// What was on record before it was done, and how often in a row.
    Effect {
        attempt: u32,
        effect: Effect,
        detail: &'a str,
        times: usize,
    },
    End(&'a Record),
    Retry {
        reason: &'a str,
        wait_ms: u64,
    },
}

impl Told<'_> {
    fn ends(&self) -> impl Iterator<Item = &Record> {
        self.moments.iter().filter_map(|moment| match moment {
            Moment::End(record) => Some(*record),
            _ => None,
        })
    }
}

fn told(records: &[Record]) -> IndexMap<&StepId, Told<'_>> {
    let mut told: IndexMap<&StepId, Told<'_>> = IndexMap::new();
    for record in records {
        let Some(step) = record.event.step() else { continue };
        let of = told.entry(step).or_default();
        match &record.event {
            Event::EffectIntended { attempt, effect, detail, .. } => {
                // A wait looks a hundred times in the same words, and a watch with several probes does so in turn.
                let back = if *effect == Effect::Read { IN_TURN } else { 1 };
                let before = of.moments.iter_mut().rev().take(back).find_map(|moment| match moment {
                    Moment::Effect { attempt: of_attempt, effect: of_effect, detail: of_detail, times } => {
                        let same = (*of_attempt, *of_effect, *of_detail) == (*attempt, *effect, detail.as_str());
                        same.then_some(times)
                    }
                    _ => None,
                });
                if let Some(times) = before {
                    *times += 1;
                    continue;
                }
                of.moments.push(Moment::Effect { attempt: *attempt, effect: *effect, detail, times: 1 });
            }
            Event::StepFinished { .. } => of.moments.push(Moment::End(record)),
            Event::StepRetried { reason, wait_ms, .. } => of.moments.push(Moment::Retry { reason, wait_ms: *wait_ms }),
            Event::Sample { probe, value, .. } => {
                let sample = of.samples.entry(probe).or_insert((0, value));
                *sample = (sample.0 + 1, value);
            }
            Event::StepDeferred { waiting_on, .. } => of.waiting_on = waiting_on.iter().map(String::as_str).collect(),
            _ => {}
        }
    }
    told
}

fn steps(state: &RunState, runbook: Option<&Runbook>, told: &IndexMap<&StepId, Told<'_>>, page: &mut Page) {
    let all = ordered(state, runbook);
    if all.is_empty() {
        return;
    }
    page.push(Line::of("Steps").heading(2));
    let none = Told::default();
    let header = ["Step", "Outcome", "Attempts", "Took"].map(|title| Line::of(title).done()).to_vec();
    let rows = all
        .iter()
        .map(|(id, _)| {
            let of = state.steps.get(id);
            let told = told.get(id).unwrap_or(&none);
            vec![
                Line::of("· ".repeat(depth(id))).code(id.as_str()).done(),
                Line::of(phase_word(of)).done(),
                Line::of(of.map_or(String::new(), |of| of.attempts.to_string())).done(),
                Line::of(took(told)).done(),
            ]
        })
        .collect();
    page.push(Block::Table { header, rows });
    for (id, title) in all {
        if let Some(of) = state.steps.get(&id) {
            step(&id, title, of, told.get(&id).unwrap_or(&none), page);
        }
    }
}

fn phase_word(of: Option<&StepState>) -> String {
    match of.map(|of| &of.phase) {
        None | Some(StepPhase::NotStarted) => "not run".into(),
        Some(StepPhase::Running) => "started, no end on record".into(),
        Some(StepPhase::Deferred { .. }) => "waits for values".into(),
        Some(StepPhase::Skipped { .. }) => "skipped".into(),
        Some(StepPhase::Finished { status, .. }) => status.name().replace('_', " "),
    }
}

fn took(told: &Told<'_>) -> String {
    if told.ends().next().is_none() { String::new() } else { millis(told.ends().map(duration_of).sum()) }
}

fn duration_of(record: &Record) -> u64 {
    match record.event {
        Event::StepFinished { duration_ms, .. } => duration_ms,
        _ => 0,
    }
}

fn step(id: &StepId, title: Option<&str>, of: &StepState, told: &Told<'_>, page: &mut Page) {
    let heading = match title {
        Some(title) => Line::new().and(foreign::line_template(title)),
        None => Line::new().code(id.as_str()),
    };
    page.push(heading.heading(3 + depth(id)));
    let mut line = Line::new().code(id.as_str()).text(" · ").strong(phase_word(Some(of)));
    if !of.kind.is_empty() {
        line = line.text(" · ").code(&of.kind).text(format!(" · {}", of.effect.name()));
    }
    page.push(line.paragraph());
    if let StepPhase::Skipped { reason, .. } = &of.phase {
        page.push(Line::label("Skipped:").text(format!(" {reason}")).paragraph());
    }
    if !told.waiting_on.is_empty() && of.status().is_none() {
        page.push(Line::label("Waits for:").text(" ").codes(told.waiting_on.iter().copied()).paragraph());
    }
    let many = told.ends().count() > 1;
    for moment in &told.moments {
        match moment {
            Moment::Effect { attempt, effect, detail, times } => {
                let mut label = match effect {
                    Effect::Read => "Looked".to_owned(),
                    Effect::Change => "Change, on record before it was made".to_owned(),
                    Effect::Destroy => "Destruction, on record before it was done".to_owned(),
                };
                if of.attempts > 1 {
                    label.push_str(&format!(", attempt {attempt}"));
                }
                if *times > 1 {
                    label.push_str(&format!(", {times} times"));
                }
                page.push(Line::label(format!("{label}:")).paragraph());
                page.code("text", shortened(detail));
            }
            Moment::Retry { reason, wait_ms } => {
                let wait = millis(*wait_ms);
                page.push(Line::label("Repeated by itself").text(format!(" after {wait}: {reason}")).paragraph());
            }
            Moment::End(record) => end(record, many, page),
        }
    }
    page.lines(
        told.samples
            .iter()
            .map(|(probe, (count, last))| {
                Line::label("Samples")
                    .text(" of ")
                    .code(*probe)
                    .text(format!(": {count}, the last "))
                    .code(json_text(last))
            })
            .collect(),
    );
}

fn end(record: &Record, many: bool, page: &mut Page) {
    let Event::StepFinished {
        attempt,
        status,
        exit,
        signal,
        http_status,
        output_sha256,
        output_bytes,
        captures,
        withheld,
        error,
        notes,
        left_running,
        ..
    } = &record.event
    else {
        return;
    };
    let mut text = format!(" {} after {}", status.name().replace('_', " "), millis(duration_of(record)));
    for (what, code) in [
        (", exit code ", exit.map(i64::from)),
        (", signal ", signal.map(i64::from)),
        (", status ", http_status.map(i64::from)),
    ] {
        if let Some(code) = code {
            text.push_str(&format!("{what}{code}"));
        }
    }
    let label = if many { format!("End of attempt {attempt}:") } else { "End:".to_owned() };
    page.push(Line::label(label).text(text).paragraph());
    if let Some(error) = error {
        page.code("text", shortened(error));
    }
    let mut lines: Vec<Line> = captures
        .iter()
        .map(|(name, value)| Line::label("Kept:").text(" ").code(name).text(" = ").code(shortened(&json_text(value))))
        .collect();
    lines.extend(
        withheld
            .iter()
            .map(|name| Line::label("Kept:").text(" ").code(name).text(" = withheld: it is, or holds, a secret")),
    );
    if let Some(digest) = output_sha256 {
        lines.push(Line::label("Output:").text(format!(" {output_bytes} bytes, SHA-256 ")).code(digest));
    }
    lines.extend(notes.iter().map(|note| Line::label("Note:").text(format!(" {note}"))));
    if !left_running.is_empty() {
        lines.push(Line::label("Left running:").text(" ").codes(left_running));
    }
    page.lines(lines);
}

fn questions(records: &[Record], page: &mut Page) {
    let mut first = true;
    for record in records {
        let Event::QuestionAsked { question, step, about, message, .. } = &record.event else { continue };
        if std::mem::take(&mut first) {
            page.push(Line::of("Questions").heading(2));
        }
        let line = Line::label(format!("{question}.")).text(format!(" {}, {}", time(record.time), about_words(about)));
        page.push(
            match step {
                Some(step) => line.text(", step ").code(step.as_str()).text(":"),
                None => line.text(":"),
            }
            .paragraph(),
        );
        page.push(Block::Quote(foreign_lines(message)));
        page.push(answer(*question, records));
        let values = records.iter().find_map(|record| match &record.event {
            Event::QuestionAnswered { question: of, values, .. } if of == question => Some(values),
            _ => None,
        });
        page.lines(
            values
                .into_iter()
                .flatten()
                .map(|(name, value)| {
                    Line::label("Evidence:").text(" ").code(name).text(" = ").code(shortened(&json_text(value)))
                })
                .collect(),
        );
    }
}

fn answer(number: u32, records: &[Record]) -> Block {
    let found = records.iter().find_map(|record| match &record.event {
        Event::QuestionAnswered { question, answer, reason, by, .. } if *question == number => {
            Some((record.time, answer, reason, by))
        }
        _ => None,
    });
    match found {
        Some((at, answer, reason, by)) => {
            let line =
                Line::label("Answer:").text(" ").code(answer).text(", by ").code(by).text(format!(", {}", time(at)));
            match reason {
                Some(reason) => line.text(", because: ").text(reason.clone()),
                None => line,
            }
        }
        None => Line::label("Answer:").text(" none is on record"),
    }
    .paragraph()
}

/// Pauses, resumes and repairs, apart from the steps.
fn interruptions(records: &[Record], page: &mut Page) {
    let mut lines = Vec::new();
    for record in records {
        let at = time(record.time);
        lines.push(match &record.event {
            Event::RunPaused { reason } => Line::of(format!("{at}: paused: {reason}")),
            Event::RunResumed { by, host, tool_version, attended, undo } => Line::of(format!("{at}: "))
                .text(if *undo { "taken up to be undone by " } else { "resumed by " })
                .code(by)
                .text(" on ")
                .code(host)
                .text(if *attended { ", at the keyboard" } else { ", with nobody at the keyboard" })
                .text(", with runsheet ")
                .code(tool_version),
            Event::Recovered { cut_bytes, saved_as, .. } => Line::of(format!(
                "{at}: the journal ended in the middle of a record; its {cut_bytes} bytes were cut off and saved as "
            ))
            .code(saved_as),
            Event::PlanReplaced(plan) => {
                let what = match plan.cause.as_str() {
                    "runbook" => "from here on the run follows the runbook as it was by then",
                    _ => "from here on the run follows the plan that this version made of the same runbook",
                };
                let line = Line::of(format!("{at}: {what} (plan {}, SHA-256 ", plan.number)).code(&plan.digest);
                let line = line.text("), accepted by ").code(&plan.by);
                match &plan.reason {
                    Some(reason) => line.text(format!(", because: {reason}")),
                    None => line,
                }
            }
            Event::FilesNoted { files, by } => Line::of(format!("{at}: accepted as they were by then: "))
                .codes(files.keys().map(String::as_str))
                .text(", by ")
                .code(by),
            Event::UndoStarted { by, .. } => Line::of(format!("{at}: the undo began, by the word of ")).code(by),
            _ => continue,
        });
    }
    if !lines.is_empty() {
        page.push(Line::of("Interruptions").heading(2));
        page.lines(lines);
    }
}

/// Text of others, with its own lines.
fn foreign_lines(text: &str) -> Vec<Block> {
    let mut line: Vec<Inline> = Vec::new();
    for piece in shortened(text).lines().filter(|piece| !piece.trim().is_empty()) {
        if !line.is_empty() {
            line.push(Inline::Break);
        }
        line.push(Inline::Text(piece.to_owned()));
    }
    vec![Block::Paragraph(if line.is_empty() { vec![Inline::Text("(nothing)".into())] } else { line })]
}

/// Text as it is, anything else as JSON.
fn json_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// To the second, in UTC.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn between(from: Timestamp, to: Timestamp) -> String {
    millis(u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0))
}

/// As a reader wants it: nobody reads the milliseconds of an hour.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 if ms % 1_000 >= 100 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        _ => show_duration(std::time::Duration::from_secs(ms / 1_000)),
    }
}

/// The word of `question_asked`, for people.
fn about_words(about: &str) -> String {
    match about {
        "before_step" => "before the step".into(),
        "failure" => "after a failure".into(),
        "unknown" => "after an unclear end".into(),
        "secret" => "for a value that is not on record".into(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        for (ms, shown) in
            [(0, "0ms"), (999, "999ms"), (1_000, "1s"), (1_250, "1.2s"), (59_999, "59.9s"), (3_661_500, "1h1m1s")]
        {
            assert_eq!(millis(ms), shown);
        }
    }
}
