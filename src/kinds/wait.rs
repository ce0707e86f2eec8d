//! `wait`: a pause, or looking until something holds. Knows nothing of how a look is made.

use std::time::Duration;

use super::{
    limited::Limited,
    look::{self, brief, can_look, millis, refuses},
    report::{not_run, prefixed},
};
use crate::{
    event::{Effect, GaveUp, Progress, StepStatus},
    model::{
        Action, Block, Body, DefaultExpect, DurationSpec, Expectations, FieldDoc, FileUse, Kind, Lowering, Names,
        Outline, Part, Parts, Resolution, Rule, Setting, Shown, Takes, Verdict, backoff, body_references, field,
        mentions_outcome, missed, unknown_fields,
    },
    port::{Failure, Local, StepContext, StepError, StepReport, Task},
    syntax::{Eval, Expr, Given, NodeKind, Reference, Truth},
    text::{Diagnostic, Span},
    value::{Scope, Value, show_duration},
};

pub const KIND: Kind = Kind {
    name: "wait",
    summary: "Waits for a while, or looks again and again until something holds.",
    short: Some(Takes::Duration),
    fields: &[
        FieldDoc::new("until", Takes::Expression, "what must hold; if absent, the look's own expectations"),
        FieldDoc::new("fail_when", Takes::Expression, "what ends the wait as a failure at once"),
        FieldDoc::new("interval", Takes::Duration, "between looks; 5s if absent"),
        FieldDoc::new("backoff", Takes::Number { least: 1 }, "the interval grows by this factor; 1 if absent"),
        FieldDoc::new("max_interval", Takes::Duration, "the longest interval; 1m if absent"),
        FieldDoc::new("held_for", Takes::Duration, "it must hold this long without a break"),
        FieldDoc::new("timeout", Takes::Duration, "of the whole wait; 10m if absent"),
    ],
    rules: &[Rule::Holds(&["shell", "http"])],
    lower: Some(lower),
};

/// Besides those of its look.
const KEYS: [&str; 7] = ["until", "fail_when", "interval", "backoff", "max_interval", "held_for", "timeout"];
const INTERVAL: Duration = Duration::from_secs(5);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(600);
const ONE_LOOK: Duration = Duration::from_secs(30);
const LAST_LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Wait {
    Pause(DurationSpec),
    Poll(Box<Poll>),
}

#[derive(Debug)]
struct Poll {
    look: Body,
    until: Option<Expr>,
    fail_when: Option<Expr>,
    interval: DurationSpec,
    backoff: f64,
    max_interval: DurationSpec,
    held_for: Option<DurationSpec>,
    timeout: DurationSpec,
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        return Some(Box::new(Wait::Pause(lowering.duration(&given)?)));
    }
    let mut fields = given.fields("`wait`")?.closed(lowering.keys(&KEYS)).outer(Lowering::AROUND);
    let until = fields.get("until").map(|given| lowering.expr(&given));
    let fail_when = fields.get("fail_when").map(|given| lowering.expr(&given));
    let interval = fields.get("interval").and_then(|given| lowering.duration(&given));
    let factor = fields.get("backoff").and_then(|given| crate::model::number(&given, 1.0));
    let max_interval = fields.get("max_interval").and_then(|given| lowering.duration(&given));
    let held_for = fields.get("held_for").and_then(|given| lowering.duration(&given));
    // Inside a wait this is the limit of the whole; a single look is limited by the step's own `timeout`.
    let timeout = fields.get("timeout").and_then(|given| lowering.duration(&given));
    let look = lowering.body(&mut fields, Part::Look);
    fields.finish();
    if !can_look(&look, "a wait", given.problems()) {
        return None;
    }
    let fixed = DurationSpec::Fixed;
    Some(Box::new(Wait::Poll(Box::new(Poll {
        look,
        until: until.flatten(),
        fail_when: fail_when.flatten(),
        interval: interval.unwrap_or(fixed(INTERVAL)),
        backoff: factor.unwrap_or(1.0),
        max_interval: max_interval.unwrap_or(fixed(MAX_INTERVAL)),
        held_for,
        timeout: timeout.unwrap_or(fixed(WHOLE)),
    }))))
}

impl Poll {
    fn durations(&self) -> impl Iterator<Item = &DurationSpec> {
        [&self.interval, &self.max_interval, &self.timeout].into_iter().chain(&self.held_for)
    }

    /// The look's own default, unless anything here speaks of exit or status itself.
    fn default_expect(&self, expect: &Expectations) -> DefaultExpect {
        let entries = self.look.expect.entries.iter().chain(&expect.entries);
        let spoken = entries.chain(&self.until).chain(&self.fail_when).any(mentions_outcome);
        if spoken { DefaultExpect::Nothing } else { self.look.action.default_expect() }
    }

    fn words(&self, scope: Option<&Scope>) -> String {
        let duration = |spec: &DurationSpec| match scope {
            Some(scope) => spec.show(scope),
            None => spec.source(),
        };
        let mut words = Vec::new();
        if let Some(until) = &self.until {
            words.push(format!("until {}", until.on_one_line()));
        }
        if let Some(fail_when) = &self.fail_when {
            words.push(format!("fails when {}", fail_when.on_one_line()));
        }
        words.push(format!("every {}, at most {}", duration(&self.interval), duration(&self.timeout)));
        if let Some(held_for) = &self.held_for {
            words.push(format!("must hold for {}", duration(held_for)));
        }
        words.join("\n")
    }
}

impl Action for Wait {
    fn conditions(&self) -> Vec<(&'static str, &Expr)> {
        let Wait::Poll(poll) = self else { return Vec::new() };
        let mut all: Vec<_> = poll.look.expect.entries.iter().map(|expr| ("expect", expr)).collect();
        all.extend(poll.until.iter().map(|expr| ("until", expr)));
        all.extend(poll.fail_when.iter().map(|expr| ("fail_when", expr)));
        all
    }

    fn references(&self, names: &Names) -> Vec<Reference> {
        match self {
            Wait::Pause(duration) => duration.references(),
            Wait::Poll(poll) => {
                let mut all = body_references(&poll.look, names);
                all.extend(poll.until.iter().chain(&poll.fail_when).flat_map(|expr| expr.references().to_vec()));
                all.extend(poll.durations().flat_map(DurationSpec::references));
                all
            }
        }
    }

    fn gives(&self) -> Vec<crate::text::Spanned<String>> {
        let Wait::Poll(poll) = self else { return Vec::new() };
        poll.look.captures.iter().map(|capture| capture.name.clone()).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        match self {
            Wait::Pause(_) => &[],
            Wait::Poll(poll) => poll.look.action.outputs(),
        }
    }

    fn locals(&self) -> &'static [&'static str] {
        &["result"]
    }

    fn origins(&self) -> Vec<String> {
        let Wait::Poll(poll) = self else { return Vec::new() };
        poll.look.action.origins()
    }

    fn files(&self, scope: &Scope) -> Vec<FileUse> {
        let Wait::Poll(poll) = self else { return Vec::new() };
        poll.look.files(scope)
    }

    fn parts(&self) -> Parts<'_> {
        let Wait::Poll(poll) = self else { return Parts::default() };
        Parts { looks: vec![&poll.look], gives_up: Some(poll.fail_when.is_some()), ..Parts::default() }
    }

    fn default_effect(&self) -> Effect {
        match self {
            Wait::Pause(_) => Effect::Read,
            Wait::Poll(poll) => poll.look.effect,
        }
    }

    fn default_timeout(&self) -> Option<Duration> {
        Some(ONE_LOOK)
    }

    fn takes_timeout(&self) -> bool {
        matches!(self, Wait::Poll(_))
    }

    fn gives_up_at(&self) -> Option<GaveUp> {
        matches!(self, Wait::Poll(_)).then_some(GaveUp::Deadline)
    }

    fn takes_env(&self) -> bool {
        matches!(self, Wait::Poll(poll) if poll.look.action.takes_env())
    }

    fn fits(&self, name: &str, value: &str, at: Span) -> Result<(), Diagnostic> {
        if let Wait::Poll(poll) = self { poll.look.action.fits(name, value, at) } else { Ok(()) }
    }

    fn tools(&self) -> Vec<String> {
        if let Wait::Poll(poll) = self { poll.look.action.tools() } else { Vec::new() }
    }

    fn check(&self, names: &Names, variables: &[&str], problems: &mut Vec<Diagnostic>) {
        if let Wait::Poll(poll) = self {
            let own = poll.look.env.iter().map(|(name, _)| name.value.as_str());
            let variables: Vec<&str> = variables.iter().copied().chain(own).collect();
            poll.look.action.check(names, &variables, problems);
            let captures = poll.look.captures.iter().map(|capture| &capture.value);
            for expr in poll.look.expect.entries.iter().chain(captures).chain(&poll.until).chain(&poll.fail_when) {
                problems.extend(unknown_fields(expr, poll.look.kind, poll.look.action.outputs()));
            }
        }
    }

    fn show(&self, scope: &Scope) -> Shown {
        match self {
            Wait::Pause(duration) => {
                let shown = format!("wait {}", duration.show(scope));
                Shown { headline: shown.clone(), detail: shown, values: Vec::new() }
            }
            Wait::Poll(poll) => {
                let mut shown = poll.look.action.show(scope);
                shown.detail = format!("{}\n{}", shown.detail, poll.words(Some(scope)));
                shown
            }
        }
    }

    fn outline(&self) -> Outline {
        match self {
            Wait::Pause(duration) => Outline { verb: format!("Wait {}", duration.source()), blocks: Vec::new() },
            Wait::Poll(poll) => {
                let mut outline = poll.look.action.outline();
                outline.verb = "Look again and again".into();
                if let Some(until) = &poll.until {
                    outline.blocks.push(Block::Field { label: "Until", text: until.source().trim().to_owned() });
                }
                if let Some(fail_when) = &poll.fail_when {
                    outline
                        .blocks
                        .push(Block::Field { label: "Fails when", text: fail_when.source().trim().to_owned() });
                }
                for entry in &poll.look.expect.entries {
                    outline.blocks.push(Block::Field { label: "Expected", text: entry.source().trim().to_owned() });
                }
                for capture in &poll.look.captures {
                    let secret = if capture.secret { " (a secret)" } else { "" };
                    let text = format!("{} = {}{secret}", capture.name.value, capture.value.source().trim());
                    outline.blocks.push(Block::Field { label: "Keeps", text });
                }
                let mut every = poll.interval.source();
                if poll.backoff > 1.0 {
                    every.push_str(&format!(", each time × {}, up to {}", poll.backoff, poll.max_interval.source()));
                }
                every.push_str(&format!(", at most {}", poll.timeout.source()));
                outline.blocks.push(Block::Field { label: "Every", text: every });
                if let Some(held_for) = &poll.held_for {
                    outline.blocks.push(Block::Field { label: "Must hold for", text: held_for.source() });
                }
                outline
            }
        }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let mut waiting = Vec::new();
        let mut duration = |spec: &DurationSpec| match spec.eval(setting.scope) {
            Ok(duration) => Ok(duration),
            Err(Ok(names)) => {
                waiting.extend(names);
                Ok(Duration::ZERO)
            }
            Err(Err(diagnostic)) => Err(diagnostic),
        };
        let poll = match self {
            Wait::Pause(spec) => {
                let duration = duration(spec)?;
                if !waiting.is_empty() {
                    return Ok(Resolution::Deferred(waiting));
                }
                return Ok(Resolution::Task(Box::new(PauseTask { duration })));
            }
            Wait::Poll(poll) => poll,
        };
        let interval = duration(&poll.interval)?;
        let max_interval = duration(&poll.max_interval)?;
        let held_for = poll.held_for.as_ref().map(&mut duration).transpose()?;
        let timeout = setting.extended.map_or_else(|| duration(&poll.timeout), Ok)?;
        let look = look::resolve(&poll.look, setting, setting.timeout, &mut waiting)?;
        look::waits_for(poll.until.iter().chain(&poll.fail_when), setting.scope, &mut waiting);
        let Some(look) = look.filter(|_| waiting.is_empty()) else {
            waiting.dedup();
            return Ok(Resolution::Deferred(waiting));
        };
        let mut entries = poll.look.expect.entries.clone();
        entries.extend(setting.expect.entries.iter().cloned());
        let default = poll.default_expect(setting.expect);
        Ok(Resolution::Task(Box::new(PollTask {
            look,
            helped: false,
            default,
            expect: Expectations { default: None, entries },
            captures: poll.look.captures.iter().map(|c| (c.name.value.clone(), c.value.clone())).collect(),
            until: poll.until.clone(),
            fail_when: poll.fail_when.clone(),
            interval,
            backoff: poll.backoff,
            max_interval: max_interval.max(interval),
            held_for: held_for.unwrap_or(Duration::ZERO),
            timeout,
        })))
    }
}

struct PauseTask {
    duration: Duration,
}

impl Task for PauseTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let began = cx.now();
            loop {
                let elapsed = cx.now().saturating_sub(began);
                cx.progress(Progress::Poll {
                    step: cx.step().clone(),
                    polls: 0,
                    elapsed_ms: millis(elapsed),
                    limit_ms: millis(self.duration),
                    answer: String::new(),
                });
                if cx.cancel().level() > 0 {
                    return Ok(StepReport::failed(Failure::plain("it was interrupted")));
                }
                if cx.looks_once() {
                    return Ok(StepReport::of(StepStatus::Succeeded));
                }
                let left = self.duration.saturating_sub(elapsed);
                if left.is_zero() {
                    return Ok(StepReport::of(StepStatus::Succeeded));
                }
                // In pieces, so that the operator sees it move; where time does not pass, once is enough.
                let before = cx.now();
                cx.sleep(left.min(Duration::from_secs(1))).await;
                if cx.now().saturating_sub(before) < Duration::from_millis(1) && cx.cancel().level() == 0 {
                    return Ok(StepReport::of(StepStatus::Succeeded));
                }
            }
        })
    }
}

pub(super) struct PollTask {
    look: Box<dyn Task>,
    /// What it waits for comes from something that this attempt left running.
    helped: bool,
    default: DefaultExpect,
    expect: Expectations,
    captures: Vec<(String, Expr)>,
    until: Option<Expr>,
    fail_when: Option<Expr>,
    interval: Duration,
    backoff: f64,
    max_interval: Duration,
    held_for: Duration,
    timeout: Duration,
}

/// Looks until a body holds that tells whether something the attempt has started is ready.
pub(super) fn until(look: Box<dyn Task>, expect: &Expectations, interval: Duration, timeout: Duration) -> PollTask {
    PollTask {
        look,
        helped: true,
        default: expect.default_in_force(),
        expect: Expectations { default: None, entries: expect.entries.clone() },
        captures: Vec::new(),
        until: None,
        fail_when: None,
        interval,
        backoff: 1.0,
        max_interval: interval,
        held_for: Duration::ZERO,
        timeout,
    }
}

/// What one look came to. Four different things, and shown as such.
enum Look {
    Holds,
    NotReachable(String),
    NotYet(Failure),
    Wrong(Failure),
    /// The expression itself failed.
    Broken(Diagnostic),
}

impl PollTask {
    fn judge(&self, scope: &Scope, report: &StepReport) -> Look {
        let result = match &report.result {
            Some(result) if report.status == StepStatus::Succeeded => result,
            _ => return Look::NotReachable(super::report::report_why(report)),
        };
        match self.expect.judge_with(self.default, scope, result) {
            Verdict::Holds => {}
            Verdict::Misses(failure) => {
                return if refuses(result) { Look::Wrong(failure) } else { Look::NotYet(failure) };
            }
            Verdict::Broken(diagnostic) => return Look::Broken(diagnostic),
            Verdict::Deferred(names) => {
                return Look::NotYet(Failure::plain(format!("waits for {}", names.join(", "))));
            }
        }
        let locals = [("result", result.clone())];
        if let Some(fail_when) = &self.fail_when {
            match fail_when.eval_bool(scope, &locals) {
                Ok(Truth::False) => {}
                Ok(_) => {
                    let mut drawn = missed(fail_when, result, scope);
                    drawn.message = format!("the wait fails when {}", fail_when.on_one_line());
                    return Look::Wrong(Failure::drawn(drawn));
                }
                Err(diagnostic) => return Look::Broken(diagnostic),
            }
        }
        match self.until.as_ref().map(|until| (until, until.eval_bool(scope, &locals))) {
            None | Some((_, Ok(Truth::True))) => Look::Holds,
            Some((until, Ok(_))) => {
                let failure = Failure::drawn(missed(until, result, scope));
                if refuses(result) && !self.names_status(result) { Look::Wrong(failure) } else { Look::NotYet(failure) }
            }
            Some((_, Err(diagnostic))) => Look::Broken(diagnostic),
        }
    }
}

impl PollTask {
    /// An answer that the author speaks of by its number, or lets pass as expected, is never refused as such.
    fn names_status(&self, result: &Value) -> bool {
        let Some(Value::Int(status)) = field(result, "status") else { return false };
        let number = status.to_string();
        let says = |expr: &Expr| {
            expr.source().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == number)
        };
        self.expect.entries.iter().any(mentions_outcome) || self.until.iter().chain(&self.fail_when).any(says)
    }
}

impl Task for PollTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let began = cx.now();
            let mut polls = 0_u32;
            let mut held_since: Option<Duration> = None;
            loop {
                polls += 1;
                let spent = cx.now().saturating_sub(began);
                // The last look is due at the very end, and still gets a moment.
                let limit = self.timeout.saturating_sub(spent).max(LAST_LOOK);
                let mut report = self.look.run(&Limited { cx, limit }).await?;
                if report.status == StepStatus::NotRun {
                    return Ok(not_run());
                }
                if cx.cancel().level() > 0 {
                    // A look that changes something and was cut short leaves its effect open, like any other step.
                    if report.status == StepStatus::Unknown {
                        return Ok(report);
                    }
                    return Ok(StepReport::failed(Failure::plain("it was interrupted")));
                }
                let elapsed = cx.now().saturating_sub(began);
                let look = self.judge(cx.scope(), &report);
                // Where it holds although it is gone, something else answers.
                if self.helped && !cx.left_runs() {
                    let answered =
                        if matches!(look, Look::Holds) { ", and something else answers in its place" } else { "" };
                    return Ok(StepReport::failed(Failure::plain(format!("it has ended{answered}"))));
                }
                let answer = match &look {
                    Look::Holds => "it holds".to_owned(),
                    Look::NotReachable(why) => why.clone(),
                    Look::NotYet(failure) => format!("not yet: {}", brief(failure)),
                    Look::Wrong(failure) => format!("wrong: {}", brief(failure)),
                    Look::Broken(diagnostic) => format!("the expression itself failed: {}", diagnostic.message),
                };
                cx.progress(Progress::Poll {
                    step: cx.step().clone(),
                    polls,
                    elapsed_ms: millis(elapsed),
                    limit_ms: millis(self.timeout),
                    answer: answer.clone(),
                });
                match look {
                    Look::Holds => {
                        let since = *held_since.get_or_insert(cx.now());
                        if cx.now().saturating_sub(since) >= self.held_for {
                            return Ok(self.done(cx, report, polls));
                        }
                        if cx.looks_once() {
                            let note = format!("it holds now, and must for {}", show_duration(self.held_for));
                            report.notes.push(note);
                            return Ok(self.done(cx, report, polls));
                        }
                    }
                    Look::Wrong(failure) => {
                        report.status = StepStatus::Failed;
                        report.failure = Some(prefixed("wrong", failure));
                        return Ok(report);
                    }
                    Look::Broken(diagnostic) => {
                        report.status = StepStatus::Failed;
                        let failure = prefixed("the expression itself failed", Failure::drawn(diagnostic));
                        report.failure = Some(failure);
                        return Ok(report);
                    }
                    Look::NotReachable(_) | Look::NotYet(_) => held_since = None,
                }
                let mut pause = backoff(self.interval, self.backoff, self.max_interval, polls);
                if let Some(since) = held_since {
                    pause = pause.min(self.held_for.saturating_sub(cx.now().saturating_sub(since)));
                }
                let left = self.timeout.saturating_sub(elapsed);
                if left.is_zero() || cx.looks_once() {
                    // A look that changes something and whose end is open leaves the whole step open.
                    if report.status != StepStatus::Unknown {
                        self.capture(cx, &mut report);
                        report.status = StepStatus::Failed;
                        report.gave_up = Some(GaveUp::Deadline);
                    }
                    if cx.looks_once() {
                        report.failure = Some(Failure::plain(answer));
                        return Ok(report);
                    }
                    let gave_up = format!("gave up after {} and {polls} looks", show_duration(elapsed));
                    report.failure = Some(match self.judge(cx.scope(), &report_as_seen(&report)) {
                        Look::NotYet(failure) => prefixed(&format!("{gave_up}: not yet"), failure),
                        Look::Holds => Failure::plain(format!(
                            "{gave_up}: it held, but not for {} without a break",
                            show_duration(self.held_for)
                        )),
                        _ => Failure::plain(format!("{gave_up}: {answer}")),
                    });
                    return Ok(report);
                }
                let until = cx.now() + pause.min(left).max(Duration::from_millis(1));
                look::pause(cx, until, || {
                    cx.progress(Progress::Poll {
                        step: cx.step().clone(),
                        polls,
                        elapsed_ms: millis(cx.now().saturating_sub(began)),
                        limit_ms: millis(self.timeout),
                        answer: answer.clone(),
                    });
                })
                .await;
                if cx.cancel().level() > 0 {
                    return Ok(StepReport::failed(Failure::plain("it was interrupted")));
                }
            }
        })
    }
}

/// The last report as its look saw it, before it was marked as failed.
fn report_as_seen(report: &StepReport) -> StepReport {
    StepReport { status: if report.result.is_some() { StepStatus::Succeeded } else { report.status }, ..report.clone() }
}

impl PollTask {
    /// What is there to be captured of the last answer, should somebody take it as it is.
    fn capture(&self, cx: &dyn StepContext, report: &mut StepReport) {
        let Some(result) = report.result.clone() else { return };
        for (name, expr) in &self.captures {
            if let Ok(Eval::Value(value)) = expr.eval(cx.scope(), &[("result", result.clone())]) {
                report.values.insert(name.clone(), Value::from_json(&value.to_json()));
            }
        }
    }

    fn done(&self, cx: &dyn StepContext, mut report: StepReport, polls: u32) -> StepReport {
        let result = report.result.clone().unwrap_or(Value::None);
        for (name, expr) in &self.captures {
            match expr.eval(cx.scope(), &[("result", result.clone())]) {
                Ok(Eval::Value(value)) => {
                    report.values.insert(name.clone(), Value::from_json(&value.to_json()));
                }
                Ok(Eval::Deferred(names)) => {
                    return StepReport::failed(Failure::plain(format!("`{name}` waits for {}", names.join(", "))));
                }
                Err(diagnostic) => return StepReport::failed(Failure::drawn(diagnostic)),
            }
        }
        if polls > 1 {
            report.notes.push(format!("{polls} looks"));
        }
        report
    }
}
