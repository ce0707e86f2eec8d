//! A run as lines for people. Knows nothing of terminals but what it is told: colour, width, and whether a line can be
//! written anew.

use std::{cell::RefCell, collections::HashMap, io::Write, time::Duration};

use anstyle::{AnsiColor, Style};
use serde_json::Value as Json;

use super::{
    Anchors,
    screen::{Screen, named},
};
use crate::{
    event::{
        Daemon, DaemonEnd, Effect, Event, Outcome, Progress, Record, RunStarted, RunState, SkipCause, StepId,
        StepStatus, Stream,
    },
    port::Sink,
    text::{one_line, printable},
    value::show_duration,
};

mod words;

use words::{fit, seconds, show};

#[derive(Clone, Copy, Debug)]
pub struct LineOptions {
    pub color: bool,
    pub width: usize,
    /// The writer is a terminal: a wait is one line that is written anew.
    pub terminal: bool,
    /// Only what went wrong, what is asked, and how it ended.
    pub quiet: bool,
    /// Also what each step is about to do, its captures and samples.
    pub verbose: bool,
    /// Somebody else draws questions; nothing is shown while one is open.
    pub interactive: bool,
}

impl Default for LineOptions {
    fn default() -> LineOptions {
        LineOptions { color: false, width: 80, terminal: false, quiet: false, verbose: false, interactive: false }
    }
}

/// Shows events as they come. A writer that fails silences it.
pub struct Lines {
    options: LineOptions,
    titles: HashMap<StepId, String>,
    /// The runbook's own title.
    heading: Option<String>,
    anchors: Option<Anchors>,
    /// Nothing of it is kept, so nobody is told to go on with it.
    passing: bool,
    state: RefCell<Screen>,
}

impl Lines {
    pub fn new(out: Box<dyn Write>, options: LineOptions, titles: HashMap<StepId, String>) -> Lines {
        let state = Screen::on(out);
        Lines { options, titles, heading: None, anchors: None, passing: false, state: RefCell::new(state) }
    }

    /// Also tells what the runbook is called.
    pub fn headed(mut self, title: impl Into<String>) -> Lines {
        self.heading = Some(title.into());
        self
    }

    /// Of a run of which nothing is kept.
    pub fn passing(mut self) -> Lines {
        self.passing = true;
        self
    }

    /// Also tells the hashes of some records, each on a line of its own, however little is to be said.
    pub fn anchored(mut self, anchors: Anchors) -> Lines {
        self.anchors = Some(anchors);
        self
    }

    /// A run that was begun before: which one it is, and how far it came.
    pub fn goes_on(&self, before: &RunState) {
        let Some(started) = &before.header else { return };
        let mut lines = self.header(started);
        // The blank line comes behind what is told here.
        lines.pop();
        for (step, name, value) in &before.given {
            let whence = self.dim(&format!("  (given at {})", one_line(step.as_str())));
            lines.push(format!("  since then: {} = {}{whence}", one_line(name), show(value)));
        }
        let named = |wanted: &dyn Fn(StepStatus) -> bool| {
            let of = |(step, state): (&StepId, &crate::event::StepState)| {
                state.status().filter(|status| wanted(*status)).map(|_| one_line(step.as_str()).into_owned())
            };
            before.steps.iter().filter_map(of).collect::<Vec<_>>().join(", ")
        };
        let over = [
            ("done", named(&|status| matches!(status, StepStatus::Succeeded | StepStatus::DoneByHand))),
            ("skipped", named(&|status| status == StepStatus::Skipped)),
            ("failed", named(&|status| status == StepStatus::Failed)),
            ("nobody knows whether it took effect", named(&|status| status == StepStatus::Unknown)),
        ];
        for (what, steps) in over.into_iter().filter(|(_, steps)| !steps.is_empty()) {
            lines.push(format!("  {what}: {steps}"));
        }
        let mut state = self.state.borrow_mut();
        state.daemons.clone_from(&before.daemons);
        lines.extend(state.still_running());
        lines.push(String::new());
        state.run = Some(started.run.clone());
        if !self.options.quiet {
            state.write(lines);
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.options.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn red(&self, text: &str) -> String {
        self.paint(Style::new().bold().fg_color(Some(AnsiColor::Red.into())), text)
    }

    fn yellow(&self, text: &str) -> String {
        self.paint(Style::new().fg_color(Some(AnsiColor::Yellow.into())), text)
    }

    fn green(&self, text: &str) -> String {
        self.paint(Style::new().fg_color(Some(AnsiColor::Green.into())), text)
    }

    fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    fn header(&self, started: &RunStarted) -> Vec<String> {
        let heading = self.heading.as_deref().map(|title| format!("  {}", one_line(title))).unwrap_or_default();
        let mut lines = vec![
            format!("{}{heading}  ({})", self.bold(&one_line(&started.runbook)), one_line(&started.origin)),
            self.dim(&format!(
                "run {}  by {} on {}  in {}",
                started.run,
                one_line(&started.operator),
                one_line(&started.host),
                one_line(&started.cwd)
            )),
        ];
        if let Some(profile) = &started.profile {
            let confirmed = if profile.confirmed { " (protected, its name was typed)" } else { "" };
            lines.push(format!("  under the profile {}{}", one_line(&profile.name), self.dim(confirmed)));
        }
        let longest = started.params.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &started.params {
            let source = match started.param_sources.get(name).and_then(Json::as_str) {
                Some(source) => self.dim(&format!("  ({})", one_line(source))),
                None => String::new(),
            };
            lines.push(format!("  {:longest$} = {}{source}", one_line(name), show(value)));
        }
        for (name, source) in &started.secrets {
            lines.push(format!("  {:longest$} = *** {}", one_line(name), self.dim(&format!("({})", show(source)))));
        }
        lines.push(String::new());
        lines
    }

    /// The lines of an event. `quiet` is the caller's.
    fn event(&self, state: &Screen, record: &Record) -> Vec<String> {
        let id = |step: &StepId| one_line(step.as_str()).into_owned();
        let verbose = self.options.verbose;
        match &record.event {
            Event::RunStarted(started) => self.header(started),
            Event::RunResumed { by, host, .. } => {
                vec![self.dim(&format!("resumed by {} on {}", one_line(by), one_line(host)))]
            }
            Event::StepStarted { step, attempt, effect, title, .. } => {
                // What stands in the plan may wait for values that are known by now.
                let title = title.as_ref().or_else(|| self.titles.get(step));
                // A step without a title is known by its id, which stands there already.
                let title = title.filter(|title| title.as_str() != step.as_str());
                let title = title.map(|title| format!("  {}", one_line(title))).unwrap_or_default();
                let effect = match effect {
                    Effect::Read => self.dim("[read]"),
                    Effect::Change => self.yellow("[change]"),
                    Effect::Destroy => self.red("[destroy]"),
                };
                let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                vec![format!("▶ {}{title} {effect}{again}", self.bold(&id(step)))]
            }
            Event::EffectIntended { detail, .. } if verbose => {
                printable(detail).lines().map(|line| self.dim(&format!("  $ {line}"))).collect()
            }
            Event::StepEntered { items, case, runbook, .. } => {
                let what = match (case, runbook) {
                    (Some(case), _) => format!("takes the way {}", one_line(case)),
                    (None, Some(runbook)) => format!("calls {}", one_line(runbook)),
                    (None, None) if items.is_empty() => return Vec::new(),
                    (None, None) => {
                        let items: Vec<String> = items.iter().map(show).collect();
                        format!("for each of {}", one_line(&items.join(", ")))
                    }
                };
                vec![self.dim(&format!("  → {what}"))]
            }
            Event::StepRetried { attempt, reason, wait_ms, .. } => vec![format!(
                "  ↻ attempt {attempt} in {}: {}",
                show_duration(Duration::from_millis(*wait_ms)),
                one_line(reason)
            )],
            Event::StepFinished {
                step,
                status,
                exit,
                signal,
                http_status,
                duration_ms,
                captures,
                withheld,
                error,
                notes,
                left_running,
                ..
            } => {
                let how = match (exit, signal, http_status) {
                    (_, Some(signal), _) => format!("signal {signal}"),
                    (Some(exit), ..) if *exit != 0 => format!("exit {exit}"),
                    (_, _, Some(status)) => format!("HTTP {status}"),
                    _ => String::new(),
                };
                self.finished(&id(step), *status, &how, *duration_ms, error.as_deref())
                    .into_iter()
                    .chain(notes.iter().flat_map(|note| {
                        let note = printable(note).into_owned();
                        note.lines().map(|line| self.yellow(&format!("  ! {line}"))).collect::<Vec<_>>()
                    }))
                    .chain((!left_running.is_empty()).then(|| format!("  left running: {}", named(left_running))))
                    .chain(
                        captures
                            .iter()
                            .filter(|_| verbose)
                            .map(|(name, value)| self.dim(&format!("  {} = {}", one_line(name), show(value)))),
                    )
                    .chain(
                        withheld
                            .iter()
                            .filter(|_| verbose)
                            .map(|name| self.dim(&format!("  {} = (not on record)", one_line(name)))),
                    )
                    .collect()
            }
            Event::DaemonEnded { step, processes, how, .. } => {
                let (step, named) = (id(step), named(processes));
                vec![match how {
                    DaemonEnd::Ended => format!("■ ended what {step} had left running: {named}"),
                    DaemonEnd::Gone => self.dim(&format!("– gone, left running by {step}: {named}")),
                    DaemonEnd::Lost => self.red(&format!(
                        "! who watched what {step} had left running was killed; it may still run: {named}"
                    )),
                    DaemonEnd::StillThere => {
                        self.red(&format!("! still running, and not ours to end, left by {step}: {named}"))
                    }
                }]
            }
            Event::ValueGiven { step, name, value, by } => {
                let (step, value) = (id(step), one_line(&value.to_string()).into_owned());
                vec![format!("  {step}: {} = {value} from here on, given by {}", one_line(name), one_line(by))]
            }
            Event::ShellClosed { step, exit, duration_ms, error, .. } => {
                let took = show_duration(Duration::from_millis(*duration_ms));
                vec![match (error, exit) {
                    (Some(error), _) => self.red(&format!("! the shell at {}: {}", id(step), one_line(error))),
                    (None, Some(exit)) => self.dim(&format!("– the shell at {} was closed ({exit}) {took}", id(step))),
                    (None, None) => self.dim(&format!("– the shell at {} was closed {took}", id(step))),
                }]
            }
            Event::StepSkipped { step, cause, reason } => {
                let by = match cause {
                    SkipCause::Condition => "skipped",
                    SkipCause::Operator => "skipped by the operator",
                };
                vec![self.dim(&format!("– {} {by}: {}", id(step), one_line(reason)))]
            }
            Event::StepDeferred { step, waiting_on, detail } => {
                let mut lines = vec![format!("… {} waits for {}", id(step), one_line(&waiting_on.join(", ")))];
                lines.extend(printable(detail).lines().map(|line| self.dim(&format!("  $ {line}"))));
                lines
            }
            Event::QuestionAsked { step, message, .. } if !self.options.interactive => {
                let step = step.as_ref().map(|step| format!("{}: ", id(step))).unwrap_or_default();
                // A question may be of several lines, and is read before it is answered.
                let mut lines = message.trim_end().lines();
                let first = self.yellow(&format!("? {step}{}", one_line(lines.next().unwrap_or_default())));
                let rest = lines.map(|line| self.yellow(&format!("  {}", one_line(line))));
                std::iter::once(first).chain(rest).collect()
            }
            Event::QuestionAnswered { answer, reason, by, .. } => {
                let reason = reason.as_ref().map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
                vec![self.dim(&format!("  › {} by {}{reason}", one_line(answer), one_line(by)))]
            }
            Event::Sample { probe, value, state, unit, detail, .. } if verbose => {
                let unit = unit.as_ref().map(|unit| format!(" {}", one_line(unit))).unwrap_or_default();
                let state = state.words();
                let state = if state.is_empty() { String::new() } else { format!(" ({state})") };
                let detail = detail.as_ref().map(|detail| format!(": {}", one_line(detail))).unwrap_or_default();
                vec![self.dim(&format!("  {} = {}{unit}{state}{detail}", one_line(probe), show(value)))]
            }
            Event::Recovered { cut_bytes, saved_as, .. } => vec![self.yellow(&format!(
                "! the last record was torn; its {cut_bytes} bytes are saved as {}",
                one_line(saved_as)
            ))],
            Event::PlanReplaced(plan) => {
                let what = match plan.cause.as_str() {
                    "runbook" => "the run follows the runbook as it is now",
                    _ => "the run follows the plan of this version of runsheet",
                };
                vec![self.yellow(&format!("! {what} (plan {}), accepted by {}", plan.number, one_line(&plan.by)))]
            }
            Event::FilesNoted { files, by } => {
                let names: Vec<&str> = files.keys().map(String::as_str).collect();
                vec![self.yellow(&format!(
                    "! accepted as they are now, by {}: {}",
                    one_line(by),
                    one_line(&names.join(", "))
                ))]
            }
            Event::RunClosing {} => vec![self.dim("the run closes; what is left is what runs last")],
            Event::UndoStarted { steps, stays, point_of_no_return, .. } => {
                let mut lines = vec![self.yellow("↶ undoing what ran, latest first:")];
                for (number, of) in steps.iter().enumerate() {
                    lines.push(format!("  {}. {}", number + 1, id(&of.step)));
                    // Whoever was asked has seen it.
                    let detail = printable(&of.detail);
                    let detail = detail.lines().filter(|_| !self.options.interactive);
                    lines.extend(detail.map(|line| self.dim(&format!("     {line}"))));
                }
                if let Some(point) = point_of_no_return {
                    lines.push(format!("  {} was a point of no return: nothing before it is undone", id(point)));
                }
                lines.extend(stays.iter().map(|of| format!("  stays: {}, {}", id(&of.step), one_line(&of.why))));
                lines
            }
            Event::StepUndone { step, .. } => vec![format!("{} {} undone", self.yellow("↶"), id(step))],
            Event::RunPaused { reason } => {
                let mut lines = vec![self.yellow(&format!("‖ paused: {}", one_line(reason)))];
                lines.extend(state.still_running());
                lines.extend(self.resume(state));
                lines
            }
            Event::RunFinished { outcome, reason, .. } => {
                self.outcome(state, *outcome, reason.as_deref(), record.elapsed_ms)
            }
            Event::EffectIntended { .. }
            | Event::QuestionAsked { .. }
            | Event::Sample { .. }
            | Event::OutputCommit { .. }
            | Event::Unrecognised => Vec::new(),
        }
    }

    fn finished(&self, id: &str, status: StepStatus, how: &str, duration_ms: u64, error: Option<&str>) -> Vec<String> {
        let took = seconds(duration_ms);
        let error = error.map(|error| printable(error).into_owned()).unwrap_or_default();
        let mut rest = error.lines();
        // The first line says what, what follows is drawn and keeps its lines.
        let why = match (rest.next().unwrap_or_default(), how) {
            ("", how) => how.to_owned(),
            (why, "") => why.to_owned(),
            // Most reasons say it already, in words of their own.
            (why, how) if why.contains(how) || why.contains(&how.replace("exit ", "exited with ")) => why.to_owned(),
            (why, how) => format!("{why} ({how})"),
        };
        let colon = if why.is_empty() { "" } else { ": " };
        let mut lines = vec![match status {
            StepStatus::Succeeded => format!("{} {id} {}", self.green("✔"), self.dim(&took)),
            StepStatus::Failed => format!("{} {}", self.red(&format!("✘ {id} failed{colon}{why}")), self.dim(&took)),
            StepStatus::Unknown => {
                format!("{} {}", self.yellow(&format!("? {id} unknown{colon}{why}")), self.dim(&took))
            }
            StepStatus::Skipped => self.dim(&format!("– {id} skipped{colon}{why}")),
            StepStatus::DoneByHand => format!("{} {id} done by hand", self.green("✔")),
            StepStatus::Undone => format!("{} {id} undone {}", self.yellow("↶"), self.dim(&took)),
            StepStatus::NotRun => self.dim(&format!("– {id} not run")),
        }];
        lines.extend(rest.map(|line| format!("  {line}")));
        lines
    }

    fn outcome(&self, state: &Screen, outcome: Outcome, reason: Option<&str>, elapsed_ms: u64) -> Vec<String> {
        let reason = reason.map(|reason| printable(reason).into_owned()).unwrap_or_default();
        let mut rest = reason.lines();
        // What is said already is not said twice.
        let why =
            rest.next().map(|why| why.strip_prefix("failed: ").filter(|_| outcome == Outcome::Failed).unwrap_or(why));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let said = match outcome {
            Outcome::Succeeded => self.green(&format!("✔ succeeded{why}")),
            Outcome::Failed => self.red(&format!("✘ failed{why}")),
            Outcome::Declined => self.yellow(&format!("■ declined{why}")),
            Outcome::Undone => self.yellow(&format!("↶ undone{why}")),
            Outcome::UndoFailed => self.red(&format!("✘ the undo failed{why}")),
            Outcome::Paused => self.yellow(&format!("‖ paused{why}")),
            Outcome::Unknown => self.yellow(&format!("? the outcome is unknown{why}")),
        };
        let mut lines = vec![format!("{said} {}", self.dim(&seconds(elapsed_ms)))];
        lines.extend(rest.map(|line| format!("  {line}")));
        lines.extend(state.still_running());
        if !outcome.closes() {
            lines.extend(self.resume(state));
        }
        lines
    }

    fn resume(&self, state: &Screen) -> Option<String> {
        let run = state.run.as_ref().filter(|_| !self.passing);
        run.map(|run| format!("  go on with: {}", self.bold(&format!("runsheet resume {run}"))))
    }

    /// Whether an event is shown even when little is to be said.
    fn matters(event: &Event) -> bool {
        match event {
            Event::StepFinished { status, notes, left_running, .. } => {
                matches!(status, StepStatus::Failed | StepStatus::Unknown)
                    || !notes.is_empty()
                    || !left_running.is_empty()
            }
            Event::QuestionAsked { .. }
            | Event::DaemonEnded { .. }
            | Event::ValueGiven { .. }
            | Event::Recovered { .. }
            | Event::PlanReplaced(_)
            | Event::FilesNoted { .. }
            | Event::UndoStarted { .. }
            | Event::StepUndone { .. }
            | Event::RunPaused { .. }
            | Event::RunFinished { .. } => true,
            _ => false,
        }
    }

    fn gutter(&self, state: &Screen, step: &StepId) -> String {
        // Who says it is plain of a step that runs alone.
        let name = if state.beside.contains(step) { format!("{} ", one_line(step.as_str())) } else { String::new() };
        self.dim(&format!("  {name}│ "))
    }

    fn output(&self, state: &mut Screen, step: &StepId, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Terminal && self.options.terminal && self.options.interactive {
            // It asked for the terminal: a prompt without a line feed must be seen, and its escapes are its own.
            state.talk(bytes);
            return;
        }
        if self.options.quiet {
            return;
        }
        let mut lines = Vec::new();
        state.partial.entry((step.clone(), stream as u8)).or_default().push(bytes, |line| lines.push(line));
        let gutter = self.gutter(state, step);
        state.write(lines.into_iter().map(|line| format!("{gutter}{line}")).collect());
    }

    /// Shows what steps have written without a line feed at its end.
    fn finish_output(&self, state: &mut Screen, of: &StepId) {
        state.silence();
        let gutter = self.gutter(state, of);
        let mut lines = Vec::new();
        state.partial.retain(|(step, _), partial| {
            if step == of {
                lines.extend(partial.finish().map(|line| format!("{gutter}{line}")));
            }
            step != of
        });
        state.write(lines);
    }

    fn poll(&self, state: &mut Screen, step: &StepId, polls: u32, elapsed_ms: u64, limit_ms: u64, answer: &str) {
        let answer = one_line(answer.lines().next().unwrap_or_default()).into_owned();
        let of = if limit_ms > 0 {
            format!(" of {}", show_duration(Duration::from_millis(limit_ms)))
        } else {
            String::new()
        };
        let elapsed = show_duration(Duration::from_secs(elapsed_ms / 1000));
        let name = one_line(step.as_str());
        if self.options.terminal {
            if state.held.is_none() {
                // A pause looks at nothing.
                let line = match polls {
                    0 => format!("⧖ {name}  {elapsed}{of}"),
                    _ => format!("⧖ {name}  {elapsed}{of}, look {polls}: {answer}"),
                };
                state.waits.insert(step.clone(), line);
                // Several waits have one line between them.
                let room = self.options.width / state.waits.len().max(1);
                let lines: Vec<String> = state.waits.values().map(|line| fit(line, room.saturating_sub(3))).collect();
                let line = format!("  {}", lines.join("  "));
                state.live(&self.dim(&fit(&line, self.options.width.saturating_sub(1))));
            }
        } else if state.answers.get(step) != Some(&answer) {
            let line = self.dim(&format!("  ⧖ {name}  {elapsed}{of}: {answer}"));
            state.answers.insert(step.clone(), answer);
            state.write(vec![line]);
        }
    }
}

impl Sink for Lines {
    fn accept(&self, record: &Record) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        match &record.event {
            Event::RunStarted(started) => state.run = Some(started.run.clone()),
            Event::StepStarted { step, kind, .. } => {
                state.running.push(step.clone());
                if state.running.len() > 1 {
                    state.beside.clone_from(&state.running);
                }
                if matches!(kind.as_str(), "wait" | "watch") {
                    state.looking.push(step.clone());
                }
            }
            Event::StepFinished { step, attempt, left_running, .. } => {
                self.finish_output(state, step);
                if !left_running.is_empty() {
                    let (step, attempt, processes) = (step.clone(), *attempt, left_running.clone());
                    state.daemons.push(Daemon { step, attempt, processes });
                }
                state.looking.retain(|looking| looking != step);
                state.running.retain(|running| running != step);
                state.beside.retain(|beside| beside != step);
                state.answers.remove(step);
                state.waits.shift_remove(step);
            }
            Event::DaemonEnded { step, attempt, how, .. } if *how != DaemonEnd::StillThere => {
                state.daemons.retain(|daemon| (&daemon.step, daemon.attempt) != (step, *attempt));
            }
            // Whatever the answer was, or that there was none: the question is over.
            Event::QuestionAnswered { .. } | Event::RunPaused { .. } | Event::RunFinished { .. } => state.release(),
            _ => {}
        }
        if !self.options.quiet || Lines::matters(&record.event) {
            let lines = self.event(state, record);
            state.write(lines);
        }
        if let Some(anchor) = self.anchors.as_ref().and_then(|anchors| anchors.of(record)) {
            state.must_write(anchor.to_string());
        }
        if self.options.interactive && matches!(record.event, Event::QuestionAsked { .. }) {
            state.hold();
        }
    }

    fn progress(&self, progress: &Progress) {
        let mut state = self.state.borrow_mut();
        match progress {
            Progress::Seat { step } if self.options.interactive => {
                // What is typed from here on goes there, and one of several looks like another.
                if let Some(step) = step
                    && !self.options.quiet
                {
                    let line = format!("  {} has the terminal; Ctrl-] opens the menu", one_line(step.as_str()));
                    state.write(vec![self.dim(&line)]);
                }
                state.seat(step.is_some());
            }
            Progress::Seat { .. } => {}
            Progress::Ending { .. } if self.options.quiet => {}
            Progress::Ending { step, processes } => {
                let line = format!("  ending what {} left running: {}", one_line(step.as_str()), named(processes));
                state.write(vec![self.dim(&line)]);
            }
            Progress::Output { step, .. } if state.looking.contains(step) && !self.options.verbose => {}
            Progress::Output { step, stream, bytes } => self.output(&mut state, step, *stream, bytes),
            Progress::Poll { .. } if self.options.quiet => {}
            Progress::Poll { step, polls, elapsed_ms, limit_ms, answer } => {
                self.poll(&mut state, step, *polls, *elapsed_ms, *limit_ms, answer);
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.clear();
        state.release();
    }
}

#[cfg(test)]
mod tests;
