//! Holds what came of a scenario against what it says must come: each difference at its place, expected against got.
//! Runs nothing.

use super::{
    load::Book,
    person::{Answers, Asked},
    run::{Came, Ended},
    scenario::{AskedPattern, Crash, Finding, Scenario, Times},
};
use crate::{
    engine::RunEnd,
    event::{Event, Outcome, StepId, StepPhase, StepStatus},
    syntax::Eval,
    text::{Diagnostic, Source, Span, Spanned, Wildcard, one_line},
    value::Slot,
    worlds::scenario::{MOST, SeenCommand, SeenRequest, Unanswered, clock::Halt, holds},
};

/// How many of what was seen are listed.
const LISTED: usize = 12;

/// What is wrong, and what is only to be looked at.
pub fn judge(
    book: &Book,
    source: &Source,
    scenario: &Scenario,
    answers: &Answers,
    came: &Came,
) -> (Vec<Finding>, Vec<Finding>) {
    let mut judge = Judge { book, source, scenario, came, findings: Vec::new(), warnings: Vec::new() };
    match &came.end {
        Ended::Run(end) => judge.all(end),
        Ended::Unanswered => judge.unanswered(),
        Ended::Hangs(halt) => judge.hangs(halt),
        Ended::Refused(why) => {
            judge.here("not-run", scenario.name.span, format!("the scenario could not be run: {why}"), None);
        }
    }
    // What never came to its turn says nothing about the rules after it.
    if judge.findings.is_empty() {
        judge.unused(answers);
    }
    (judge.findings, judge.warnings)
}

struct Judge<'a> {
    book: &'a Book,
    source: &'a Source,
    scenario: &'a Scenario,
    came: &'a Came,
    findings: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Judge<'_> {
    /// Something at a place of the scenario.
    fn here(&mut self, code: &'static str, span: Span, message: impl Into<String>, hint: Option<String>) {
        let diagnostic = Diagnostic::error(code, span, self.masked(&message.into()));
        let diagnostic = diagnostic.hint_opt(hint.map(|hint| self.masked(&hint)));
        self.findings.push(Finding { source: self.source.clone(), diagnostic, step: None });
    }

    /// Something under the step of the runbook that it is about.
    fn under(&mut self, step: &str, code: &'static str, message: String, hint: Option<String>) {
        let (source, span) = match self.book.place(step) {
            Some(place) => (place.source, place.span),
            None => (self.source.clone(), self.scenario.name.span),
        };
        let diagnostic = Diagnostic::error(code, span, self.masked(&message));
        let diagnostic = diagnostic.hint_opt(hint.map(|hint| self.masked(&hint)));
        self.findings.push(Finding { source, diagnostic, step: Some(step.to_owned()) });
    }

    fn masked(&self, text: &str) -> String {
        self.came.redactor.text(text).into_owned()
    }

    fn all(&mut self, end: &RunEnd) {
        self.end(end);
        self.statuses();
        self.failures();
        self.order();
        self.seen();
        self.asked();
        self.values();
        self.undone();
        self.files();
        for at in self.came.alive.clone() {
            let crash = &self.scenario.crashes[at];
            let what = match &crash.value {
                Crash::After(step) => format!("`{step}` did not end"),
                Crash::During(step) => format!("`{step}` ran no command and sent no request"),
            };
            self.here("no-crash", crash.span, format!("the engine did not die here: {what}"), None);
        }
    }

    fn end(&mut self, end: &RunEnd) {
        let expect = &self.scenario.expect;
        let reason = end.reason.clone().unwrap_or_default();
        if end.outcome != expect.outcome.value {
            let (wanted, got) = (expect.outcome.value.name(), end.outcome.name());
            let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let message = format!("expected the run to end as {wanted}, got {got}{because}");
            let span = match expect.outcome.span.is_empty() {
                true => self.scenario.name.span,
                false => expect.outcome.span,
            };
            self.here("outcome", span, message, None);
            self.what_went_wrong(end.outcome);
        }
        if let Some(code) = expect.code.as_ref().filter(|code| code.value != end.code) {
            self.here("code", code.span, format!("expected exit code {}, got {}", code.value, end.code), None);
        }
        if let Some(wanted) = expect.reason.as_ref().filter(|wanted| !wanted.value.matches(&reason)) {
            let got = if reason.is_empty() { "there is none".into() } else { format!("it is: {reason}") };
            self.here("reason", wanted.span, "the reason of the end does not hold this text", Some(got));
        }
    }

    /// The steps that nobody expected to fail, and the question that nobody answered.
    fn what_went_wrong(&mut self, outcome: Outcome) {
        let mut wrong = Vec::new();
        for (step, of) in &self.came.state.steps {
            if let StepPhase::Finished { status: status @ (StepStatus::Failed | StepStatus::Unknown), error, .. } =
                &of.phase
                && of.entered.is_none()
                && !self.scenario.expect.status.iter().any(|(of, wanted)| of.value == step.as_str() && wanted == status)
            {
                wrong.push((step.to_string(), *status, error.clone().unwrap_or_default()));
            }
        }
        for (step, status, error) in wrong {
            self.under(&step, "step-failed", format!("step {step} {}", ended(status, &error)), None);
        }
        if outcome == Outcome::Paused || outcome == Outcome::Unknown || outcome == Outcome::Failed {
            let open: Vec<Asked> = self.came.asked.iter().filter(|of| of.unanswered.is_some()).cloned().collect();
            for of in open.into_iter().take(LISTED) {
                let Some(why) = of.unanswered.filter(|_| of.about != "failure") else { continue };
                let key = of.step.clone().unwrap_or_else(|| of.about.to_owned());
                let answer = match of.about {
                    "confirm" => "yes",
                    "undo" => "go",
                    "manual" => "done",
                    _ => "…",
                };
                let hint = format!("answers: {{{key}: {answer}}}");
                let message = format!("a question ({}) has no answer: {why}", of.about);
                match &of.step {
                    Some(step) => self.under(step, "unanswered-question", message, Some(hint)),
                    None => self.here("unanswered-question", self.scenario.name.span, message, Some(hint)),
                }
            }
        }
    }

    fn status_of(&self, step: &str) -> StepStatus {
        let state = self.came.state.steps.get(&StepId::new(step));
        state.and_then(|state| state.status()).unwrap_or(StepStatus::NotRun)
    }

    fn error_of(&self, step: &str) -> String {
        match self.came.state.steps.get(&StepId::new(step)).map(|of| &of.phase) {
            Some(StepPhase::Finished { error: Some(error), .. }) => error.clone(),
            Some(StepPhase::Skipped { reason, .. }) => reason.clone(),
            _ => String::new(),
        }
    }

    fn statuses(&mut self) {
        for (step, wanted) in &self.scenario.expect.status {
            let got = self.status_of(&step.value);
            if got == *wanted {
                continue;
            }
            let message = format!("expected {} to be {}, got {}", step.value, wanted.name(), got.name());
            let error = self.error_of(&step.value);
            let hint = (!error.is_empty()).then_some(error);
            self.here("status", step.span, message, hint);
        }
    }

    fn failures(&mut self) {
        for (step, wanted) in &self.scenario.expect.failure {
            let error = self.error_of(&step.value);
            if error.is_empty() {
                let got = self.status_of(&step.value).name();
                self.here("failure", step.span, format!("expected {} to fail, got {got}", step.value), None);
            } else if !wanted.matches(&error) {
                let message = format!("the error of {} does not hold this text", step.value);
                self.here("failure", step.span, message, Some(format!("it is: {error}")));
            }
        }
    }

    /// When a step began and when it was over for the last time, as places in the record.
    fn begun_and_over(&self, step: &str) -> (Option<usize>, Option<usize>) {
        let (mut begun, mut over) = (None, None);
        for (at, record) in self.came.records.iter().enumerate() {
            match &record.event {
                Event::StepStarted { step: of, .. } if of.as_str() == step => {
                    begun.get_or_insert(at);
                }
                Event::StepFinished { step: of, .. } if of.as_str() == step => over = Some(at),
                _ => {}
            }
        }
        (begun, over)
    }

    fn order(&mut self) {
        let mut before: Option<(&Spanned<String>, Option<usize>)> = None;
        for step in &self.scenario.expect.order {
            let (begun, over) = self.begun_and_over(&step.value);
            match (begun, before) {
                (None, _) => {
                    let status = self.status_of(&step.value).name();
                    self.here("order", step.span, format!("expected {} to run, got {status}", step.value), None);
                }
                (Some(begun), Some((first, Some(over)))) if begun < over => {
                    let message = format!("{} began before {} was over", step.value, first.value);
                    self.here("order", step.span, message, None);
                }
                (Some(_), Some((first, None))) if self.begun_and_over(&first.value).0.is_some() => {
                    let message = format!("{} began, and {} was never over", step.value, first.value);
                    self.here("order", step.span, message, None);
                }
                _ => {}
            }
            before = Some((step, over));
        }
    }

    fn seen(&mut self) {
        let (commands, requests) = (self.came.stage.commands(), self.came.stage.requests());
        for wanted in &self.scenario.expect.requests {
            let count = requests.iter().filter(|seen| seen.matches(&wanted.value.of)).count();
            let shown = || listed(requests.iter().map(|of| format!("{} {}", of.method, of.url)));
            if let Some(message) = miscounted(&wanted.value, count, "sent") {
                self.here("requests", wanted.span, message, Some(format!("sent were: {}", shown())));
            }
        }
        for wanted in &self.scenario.expect.commands {
            let count = commands.iter().filter(|seen| seen.matches(&wanted.value.of)).count();
            let shown = || listed(commands.iter().map(|of| format!("{}: {}", of.step, first_line(&of.shown))));
            if let Some(message) = miscounted(&wanted.value, count, "run") {
                self.here("commands", wanted.span, message, Some(format!("run were: {}", shown())));
            }
        }
    }

    fn asked(&mut self) {
        let Some(wanted) = &self.scenario.expect.asked else { return };
        let asked = &self.came.asked;
        let shown = listed(asked.iter().map(|of| match &of.step {
            Some(step) => format!("{step} ({})", of.about),
            None => of.about.to_owned(),
        }));
        let matches = |of: &Asked, pattern: &AskedPattern| {
            pattern.step.as_ref().is_none_or(|step| of.step.as_ref().is_some_and(|of| step.matches(of)))
                && pattern.about.as_ref().is_none_or(|about| about == of.about)
                && pattern
                    .message
                    .as_ref()
                    .is_none_or(|text| Wildcard::new(format!("*{}*", text.as_str())).matches(&of.message))
        };
        if wanted.value.is_empty() && !asked.is_empty() {
            self.here("asked", wanted.span, "expected no question, and there was one", Some(format!("asked: {shown}")));
        }
        for one in &wanted.value {
            let count = asked.iter().filter(|of| matches(of, &one.value.of)).count();
            if let Some(message) = miscounted(&one.value, count, "asked") {
                self.here("asked", one.span, message, Some(format!("asked: {shown}")));
            }
        }
    }

    fn values(&mut self) {
        let same = |got: &serde_json::Value, wanted: &serde_json::Value| holds(got, wanted) && holds(wanted, got);
        for (name, wanted) in &self.scenario.expect.captures {
            let message = match self.came.scope.get(&name.value) {
                Some(Slot::Known(value)) if same(&value.to_json(), wanted) => continue,
                Some(Slot::Known(value)) => {
                    format!("expected `{}` to be {wanted}, got {}", name.value, value.to_json())
                }
                Some(_) => format!("expected `{}` to be {wanted}, and it has no value", name.value),
                None => format!("there is no name `{}` in {}", name.value, self.book.runbook.name),
            };
            self.here("captures", name.span, message, None);
        }
        for (name, wanted) in &self.scenario.expect.outputs {
            let Some(output) = self.book.runbook.outputs.get(&name.value) else { continue };
            let message = match output.eval(&self.came.scope, &[]) {
                Ok(Eval::Value(value)) if same(&value.to_json(), wanted) => continue,
                Ok(Eval::Value(value)) => {
                    format!("expected output `{}` to be {wanted}, got {}", name.value, value.to_json())
                }
                Ok(Eval::Deferred(names)) => format!("output `{}` waits for {}", name.value, names.join(", ")),
                Err(problem) => format!("output `{}` has no value: {}", name.value, problem.message),
            };
            self.here("outputs", name.span, message, None);
        }
    }

    fn undone(&mut self) {
        let Some(wanted) = &self.scenario.expect.undone else { return };
        let undone = self.came.records.iter().filter_map(|record| match &record.event {
            Event::StepUndone { step, .. } => Some(step.to_string()),
            _ => None,
        });
        // A container is undone with what is in it; only one that has an undo of its own is something by itself.
        let undone = undone.filter(|step| self.book.runbook.step_at(step).is_none_or(|of| of.undo.is_some()));
        let got: Vec<String> = undone.collect();
        if got != wanted.value {
            let shown = |steps: &[String]| if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") };
            let message = format!("expected {} to be undone, got {}", shown(&wanted.value), shown(&got));
            self.here("undone", wanted.span, message, None);
        }
    }

    fn files(&mut self) {
        for (path, wanted) in &self.scenario.expect.files {
            match self.came.stage.file(path.value.as_ref()) {
                None => {
                    self.here("files", path.span, format!("expected a file {}, and there is none", path.value), None)
                }
                Some(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if !wanted.matches(&text) {
                        let message = format!("{} does not hold what is expected", path.value);
                        self.here("files", path.span, message, Some(format!("it holds: {}", first_line(&text))));
                    }
                }
            }
        }
    }

    fn unanswered(&mut self) {
        match self.came.stage.unanswered() {
            Some(Unanswered::Command(seen)) => {
                let message = format!("no rule answers this command of {}: {}", seen.step, first_line(&seen.shown));
                let whole = if seen.shown.contains('\n') { format!("\nit is:\n{}", seen.shown) } else { String::new() };
                let rule = format!("- {{step: {}, reply: [{{exit: 0}}]}}", seen.step);
                let near = self.nearly_command(&seen);
                self.under(
                    &seen.step,
                    "unmatched-command",
                    message,
                    Some(format!("add to `world.shell`: {rule}{near}{whole}")),
                );
            }
            Some(Unanswered::Request(seen)) => {
                let message = format!("no rule answers this request of {}: {} {}", seen.step, seen.method, seen.url);
                let rule = format!("- {{on: \"{} {}\", reply: [{{status: 200}}]}}", seen.method, seen.url);
                let near = self.nearly_request(&seen);
                self.under(
                    &seen.step,
                    "unmatched-request",
                    message,
                    Some(format!("add to `world.http`: {rule}{near}")),
                );
            }
            Some(Unanswered::TooMany { step }) => {
                let message = format!("step {step} is answered {MOST} times, and goes on");
                let hint = "let the last reply end it, or limit how often it tries";
                self.under(&step, "endless", message, Some(hint.into()));
            }
            None => {}
        }
        self.explain_tries();
    }

    /// Rules for the same step that do not fit: what the author may have meant.
    fn nearly_command(&self, seen: &SeenCommand) -> String {
        let rules = &self.scenario.world.shell;
        let same = rules.iter().find(|rule| rule.on.step.as_ref().is_some_and(|step| step.matches(&seen.step)));
        match same.and_then(|rule| rule.on.text.as_ref()) {
            Some(text) => format!("\na rule for this step does not fit: match: {}", text.as_str()),
            None => String::new(),
        }
    }

    fn nearly_request(&self, seen: &SeenRequest) -> String {
        let same = self.scenario.world.http.iter().find(|rule| {
            let bare = crate::worlds::scenario::RequestPattern {
                step: None,
                method: None,
                body: None,
                json: None,
                headers: Vec::new(),
                ..rule.on.clone()
            };
            seen.matches(&bare)
        });
        match same {
            Some(rule) => {
                let method = rule.on.method.as_deref().unwrap_or("*");
                format!("\na rule for this URL does not fit: {method} {}", rule.on.url.as_str())
            }
            None => String::new(),
        }
    }

    /// Steps that had failed before the run came to a stop: often the cause.
    fn explain_tries(&mut self) {
        let failed: Vec<(String, String)> = self
            .came
            .state
            .steps
            .iter()
            .filter_map(|(step, of)| match &of.phase {
                StepPhase::Finished { status: StepStatus::Failed, error: Some(error), .. } if of.entered.is_none() => {
                    Some((step.to_string(), error.clone()))
                }
                _ => None,
            })
            .collect();
        for (step, error) in failed {
            let expected = self
                .scenario
                .expect
                .status
                .iter()
                .any(|(of, wanted)| of.value == step && *wanted == StepStatus::Failed);
            if !expected && !self.scenario.expect.failure.iter().any(|(of, _)| of.value == step) {
                let message = format!("step {step} {}", ended(StepStatus::Failed, first_line(&error).as_str()));
                // What is drawn below the first line says in its last what to do.
                let hint = error.lines().rev().find_map(|line| line.trim().strip_prefix("= help: "));
                self.under(&step, "step-failed", message, hint.map(str::to_owned));
            }
        }
    }

    fn hangs(&mut self, halt: &Halt) {
        let message = match halt {
            Halt::Spinning => "the run does something without end in which no time passes",
            _ => "the run waits for what never happens",
        };
        self.here("hangs", self.scenario.name.span, message, None);
    }

    /// Rules and answers that nothing came to: what a scenario no longer says.
    fn unused(&mut self, answers: &Answers) {
        let (shell, http) = self.came.stage.uses();
        let rules = shell.iter().zip(&self.scenario.shell_rules).chain(http.iter().zip(&self.scenario.http_rules));
        let mut unused: Vec<(Span, &str)> =
            rules.filter(|(uses, _)| **uses == 0).map(|(_, span)| (*span, "this rule was never used")).collect();
        let keys = self.scenario.answers.iter().filter(|(key, _)| !answers.is_used(key));
        unused.extend(keys.map(|(_, list)| (list.span, "this answer was never given")));
        for (span, message) in unused {
            let diagnostic = Diagnostic::warning("unused", span, message).label("take it out, or look why");
            self.warnings.push(Finding { source: self.source.clone(), diagnostic, step: None });
        }
    }
}

fn ended(status: StepStatus, error: &str) -> String {
    let how = if status == StepStatus::Failed { "failed" } else { "ended with its effect open" };
    if error.is_empty() { how.to_owned() } else { format!("{how}: {error}") }
}

fn miscounted<T>(wanted: &Times<T>, count: usize, done: &str) -> Option<String> {
    let times = |count: usize| match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    match wanted.times {
        None if count > 0 => None,
        Some(wanted) if wanted == count => None,
        None => Some(format!("expected this to be {done}, and it never was")),
        Some(wanted) => Some(format!("expected this to be {done} {}, got {}", times(wanted), times(count))),
    }
}

fn first_line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let more = if text.lines().nth(1).is_some() { " …" } else { "" };
    format!("{}{more}", one_line(first))
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(LISTED);
    items.truncate(LISTED);
    match (items.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (false, 0) => items.join("; "),
        (false, more) => format!("{}; and {more} more", items.join("; ")),
    }
}
