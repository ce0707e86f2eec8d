//! A watch that goes on: samples, alarms, and what they come to. Knows nothing of how a probe looks. Holds the same little of
//! each probe however many samples there are.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    look::{self, brief, millis, refuses},
    report::{not_run, prefixed, report_why},
};
use crate::{
    event::{GaveUp, Progress, SampleState, StepStatus},
    model::{DefaultExpect, Expectations, Verdict, missed},
    port::{Failure, Local, Sample, StepContext, StepError, StepReport, Task},
    syntax::{Eval, Expr, Truth},
    text::{Diagnostic, cut},
    value::{Scope, Value, show_duration},
};

/// Bytes of a text that may be a value: it is put on record again and again.
const LONGEST: usize = 256;

pub struct WatchTask {
    pub span: Duration,
    pub interval: Duration,
    pub probes: Vec<ProbeTask>,
}

pub struct ProbeTask {
    pub name: String,
    pub look: Box<dyn Task>,
    pub default: DefaultExpect,
    pub expect: Expectations,
    pub captures: Vec<(String, Expr)>,
    /// None: that it is as expected.
    pub value: Option<Expr>,
    pub alarm_when: Option<Expr>,
    pub alarm_after: u32,
    pub no_data: u32,
    pub unit: Option<String>,
}

/// What one look came to. Different things, and shown as such.
enum Seen {
    Value(Value),
    /// A value, and `alarm_when` holds; drawn.
    Alarm(Value, Box<Diagnostic>),
    /// The value is none.
    NoData,
    NotReachable(String),
    NotYet(Failure),
    Wrong(Failure),
    /// The expression itself failed.
    Broken(Diagnostic),
}

impl Seen {
    fn state(&self) -> SampleState {
        match self {
            Seen::Value(_) => SampleState::Ok,
            Seen::Alarm(..) => SampleState::Alarm,
            Seen::NoData => SampleState::NoData,
            Seen::NotReachable(_) => SampleState::NotReachable,
            Seen::NotYet(_) => SampleState::NotYet,
            Seen::Wrong(_) => SampleState::Wrong,
            Seen::Broken(_) => SampleState::Broken,
        }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Seen::Value(value) | Seen::Alarm(value, _) => Some(value),
            _ => None,
        }
    }

    /// Why there is no value, on one line.
    fn detail(&self) -> Option<String> {
        let text = match self {
            Seen::Value(_) | Seen::NoData => return None,
            Seen::Alarm(_, diagnostic) => diagnostic.label.clone(),
            // What it is stands before it.
            Seen::NotReachable(why) => why.strip_prefix("not reachable: ").unwrap_or(why).to_owned(),
            Seen::NotYet(failure) | Seen::Wrong(failure) => brief(failure),
            Seen::Broken(diagnostic) => diagnostic.message.clone(),
        };
        Some(cut(&text, 300).into_owned())
    }
}

/// What is known of a probe after some samples.
#[derive(Default)]
struct Tally {
    /// Values that are numbers; their mean is kept as it goes.
    numbers: f64,
    mean: f64,
    least: Option<Value>,
    most: Option<Value>,
    last: Option<Value>,
    /// There was a value that is no number, so that there is no mean of all.
    mixed: bool,
    alarms: i64,
    /// In a row.
    alarming: u32,
    silent: u32,
    /// What the latest sample without a value said.
    why: Option<Failure>,
    captured: IndexMap<String, Value>,
}

impl Tally {
    fn add(&mut self, value: &Value) {
        self.last = Some(value.clone());
        let Some(number) = as_number(value) else {
            self.mixed = true;
            return;
        };
        self.numbers += 1.0;
        // The sum of many large numbers would be none; each share of it is one.
        self.mean = self.mean * ((self.numbers - 1.0) / self.numbers) + number / self.numbers;
        if self.least.as_ref().and_then(as_number).is_none_or(|least| number < least) {
            self.least = Some(value.clone());
        }
        if self.most.as_ref().and_then(as_number).is_none_or(|most| number > most) {
            self.most = Some(value.clone());
        }
    }

    fn result(&self) -> Value {
        let numeric = |value: Option<Value>| value.filter(|_| !self.mixed).unwrap_or(Value::None);
        let mean = (self.numbers > 0.0).then_some(Value::Float(self.mean));
        Value::map(IndexMap::from([
            ("mean".to_owned(), numeric(mean)),
            ("min".to_owned(), numeric(self.least.clone())),
            ("max".to_owned(), numeric(self.most.clone())),
            ("last".to_owned(), self.last.clone().unwrap_or(Value::None)),
            ("alarms".to_owned(), Value::Int(self.alarms)),
        ]))
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a mean of such large numbers is no whole number")]
        Value::Int(whole) => Some(*whole as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

impl ProbeTask {
    fn judge(&self, scope: &Scope, report: &StepReport) -> Seen {
        let result = match &report.result {
            Some(result) if report.status == StepStatus::Succeeded => result,
            _ => return Seen::NotReachable(report_why(report)),
        };
        match self.expect.judge_with(self.default, scope, result) {
            Verdict::Holds => {}
            Verdict::Misses(failure) if refuses(result) => return Seen::Wrong(failure),
            Verdict::Misses(failure) => return Seen::NotYet(failure),
            Verdict::Broken(diagnostic) => return Seen::Broken(diagnostic),
            Verdict::Deferred(names) => {
                return Seen::NotYet(Failure::plain(format!("waits for {}", names.join(", "))));
            }
        }
        let Some(expr) = &self.value else { return Seen::Value(Value::Bool(true)) };
        let value = match expr.eval(scope, &[("result", result.clone())]) {
            Ok(Eval::Value(value)) => value,
            Ok(Eval::Deferred(names)) => {
                return Seen::NotYet(Failure::plain(format!("waits for {}", names.join(", "))));
            }
            Err(diagnostic) => return Seen::Broken(diagnostic),
        };
        if let Err(why) = can_be_sampled(&value) {
            return Seen::Broken(
                Diagnostic::error("wrong-value", expr.span(), why).label("a number, a boolean or a short text"),
            );
        }
        if value == Value::None {
            return Seen::NoData;
        }
        let Some(alarm_when) = &self.alarm_when else { return Seen::Value(value) };
        match alarm_when.eval_bool(scope, &[("value", value.clone())]) {
            Ok(Truth::False) => Seen::Value(value),
            Ok(Truth::True) => {
                let mut scope = scope.clone();
                scope.know("value", value.clone());
                let drawn = missed(alarm_when, &Value::None, &scope);
                Seen::Alarm(value, Box::new(drawn))
            }
            Ok(Truth::Deferred(names)) => Seen::NotYet(Failure::plain(format!("waits for {}", names.join(", ")))),
            Err(diagnostic) => Seen::Broken(diagnostic),
        }
    }

    fn unit(&self) -> String {
        self.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default()
    }

    /// As it stands in the live line.
    fn words(&self, seen: &Seen) -> String {
        let state = seen.state().words();
        match (seen.value(), seen.detail()) {
            (Some(value), _) if state.is_empty() => format!("{} {value}{}", self.name, self.unit()),
            (Some(value), _) => format!("{} {value}{} ({state})", self.name, self.unit()),
            (None, Some(detail)) => format!("{} {state}: {}", self.name, cut(&detail, 60)),
            (None, None) => format!("{} {state}", self.name),
        }
    }

    /// Takes a sample in; what ends the watch comes back.
    fn take(&self, tally: &mut Tally, seen: Seen) -> Option<(Failure, Option<GaveUp>)> {
        if let Some(value) = seen.value() {
            tally.add(value);
            tally.silent = 0;
            tally.why = None;
        }
        let failure = match seen {
            Seen::Value(_) => {
                tally.alarming = 0;
                return None;
            }
            Seen::Alarm(value, drawn) => {
                tally.alarms += 1;
                tally.alarming += 1;
                if tally.alarming < self.alarm_after {
                    return None;
                }
                let times = in_a_row(self.alarm_after);
                let message = format!("alarm: {} is {value}{}{times}", self.name, self.unit());
                return Some((Failure::drawn(Diagnostic { message, ..*drawn }), Some(GaveUp::Alarm)));
            }
            Seen::Wrong(failure) => return Some((prefixed(&format!("{}: wrong", self.name), failure), None)),
            Seen::Broken(diagnostic) => {
                let what = format!("{}: the expression itself failed", self.name);
                return Some((prefixed(&what, Failure::drawn(diagnostic)), None));
            }
            Seen::NoData => Failure::plain("its value is none"),
            Seen::NotReachable(why) if why.starts_with("not reachable") => Failure::plain(why),
            Seen::NotReachable(why) => Failure::plain(format!("not reachable: {why}")),
            Seen::NotYet(failure) => prefixed("not yet", failure),
        };
        // A gap says nothing about the values around it: what alarmed before it has not stopped.
        tally.silent += 1;
        if tally.silent < self.no_data {
            tally.why = Some(failure);
            return None;
        }
        Some((self.silence(failure, &in_a_row(self.no_data)), Some(GaveUp::Alarm)))
    }

    fn silence(&self, failure: Failure, times: &str) -> Failure {
        prefixed(&format!("alarm: {} has no data{times}", self.name), failure)
    }

    /// What the look captures, of its latest answer that was as expected.
    fn capture(&self, scope: &Scope, result: &Value, tally: &mut Tally) -> Result<(), Diagnostic> {
        for (name, expr) in &self.captures {
            if let Eval::Value(value) = expr.eval(scope, &[("result", result.clone())])? {
                tally.captured.insert(name.clone(), Value::from_json(&value.to_json()));
            }
        }
        Ok(())
    }
}

fn in_a_row(times: u32) -> String {
    match times {
        1 => String::new(),
        2 => ", twice in a row".to_owned(),
        times => format!(", {times} times in a row"),
    }
}

/// What can be put on record again and again, and be compared.
fn can_be_sampled(value: &Value) -> Result<(), String> {
    match value {
        Value::None | Value::Bool(_) | Value::Int(_) => Ok(()),
        Value::Float(number) if number.is_finite() => Ok(()),
        Value::Float(_) => Err("the value is no number that can be told".into()),
        Value::Text(text) if text.len() <= LONGEST => Ok(()),
        Value::Text(text) => Err(format!("the value is a text of {} bytes; at most {LONGEST} can be one", text.len())),
        other => Err(format!("the value of a probe cannot be a {}", other.kind())),
    }
}

impl WatchTask {
    fn progress(&self, cx: &dyn StepContext, began: Duration, round: u32, said: &[String]) {
        cx.progress(Progress::Poll {
            step: cx.step().clone(),
            polls: round,
            elapsed_ms: millis(cx.now().saturating_sub(began)),
            limit_ms: millis(self.span),
            answer: said.join(", "),
        });
    }

    fn result(&self, tallies: &[Tally]) -> Value {
        let each = self.probes.iter().zip(tallies).map(|(probe, tally)| (probe.name.clone(), tally.result()));
        Value::map(IndexMap::from([("probes".to_owned(), Value::map(each.collect()))]))
    }

    /// With everything that was seen.
    fn report(
        &self,
        tallies: Vec<Tally>,
        rounds: u32,
        end: Option<(Failure, Option<GaveUp>)>,
        open: bool,
    ) -> StepReport {
        let mut report = StepReport::of(StepStatus::Succeeded);
        report.result = Some(self.result(&tallies));
        report.values = tallies.into_iter().flat_map(|tally| tally.captured).collect();
        report.notes.push(if rounds == 1 { "1 look".to_owned() } else { format!("{rounds} looks") });
        if let Some((failure, gave_up)) = end {
            // A probe that changes something and whose end nobody saw leaves its effect open.
            report.status = if open { StepStatus::Unknown } else { StepStatus::Failed };
            report.failure = Some(failure);
            report.gave_up = gave_up;
        }
        report
    }
}

impl Task for WatchTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let began = cx.now();
            let mut tallies: Vec<Tally> = self.probes.iter().map(|_| Tally::default()).collect();
            let mut rounds = 0_u32;
            let mut open;
            loop {
                rounds = rounds.saturating_add(1);
                let mut said = Vec::new();
                open = false;
                for (probe, tally) in self.probes.iter().zip(&mut tallies) {
                    let report = probe.look.run(cx).await?;
                    if report.status == StepStatus::NotRun {
                        return Ok(not_run());
                    }
                    let unseen = report.status == StepStatus::Unknown;
                    open |= unseen;
                    if cx.cancel().level() > 0 {
                        return Ok(if unseen { report } else { interrupted() });
                    }
                    let mut seen = probe.judge(cx.scope(), &report);
                    if let (Some(_), Some(result)) = (seen.value(), &report.result)
                        && let Err(diagnostic) = probe.capture(cx.scope(), result, tally)
                    {
                        seen = Seen::Broken(diagnostic);
                    }
                    said.push(probe.words(&seen));
                    cx.sample(Sample {
                        probe: probe.name.clone(),
                        value: seen.value().cloned().unwrap_or(Value::None),
                        state: seen.state(),
                        unit: probe.unit.clone(),
                        detail: seen.detail(),
                    })
                    .await?;
                    if let Some(end) = probe.take(tally, seen) {
                        self.progress(cx, began, rounds, &said);
                        return Ok(self.report(tallies, rounds, Some(end), open));
                    }
                }
                self.progress(cx, began, rounds, &said);
                let elapsed = cx.now().saturating_sub(began);
                if elapsed >= self.span || cx.looks_once() {
                    break;
                }
                // Where looks took longer than the interval, those that are missed are left out; none is made up for.
                let passed = elapsed.as_nanos() / self.interval.as_nanos().max(1);
                let next = self.interval.saturating_mul(u32::try_from(passed + 1).unwrap_or(u32::MAX)).min(self.span);
                look::pause(cx, began + next, || self.progress(cx, began, rounds, &said)).await;
                if cx.cancel().level() > 0 {
                    return Ok(interrupted());
                }
            }
            let silent = self.probes.iter().zip(&mut tallies).find(|(_, tally)| tally.last.is_none());
            let end = silent.map(|(probe, tally)| {
                let why = tally.why.take().unwrap_or_else(|| Failure::plain("nothing was seen"));
                if cx.looks_once() {
                    return (prefixed(&probe.name, why), Some(GaveUp::Deadline));
                }
                (probe.silence(why, &format!(" in {}", show_duration(self.span))), Some(GaveUp::Alarm))
            });
            Ok(self.report(tallies, rounds, end, open))
        })
    }
}

fn interrupted() -> StepReport {
    StepReport::failed(Failure::plain("it was interrupted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_the_largest_numbers_is_one() {
        let mut tally = Tally::default();
        for number in [f64::MAX, f64::MAX, f64::MIN, f64::MAX] {
            tally.add(&Value::Float(number));
        }
        assert!((tally.mean / f64::MAX - 0.5).abs() < 1e-9, "{}", tally.mean);
        let mut tally = Tally::default();
        (1..=100_000).for_each(|number| tally.add(&Value::Int(number)));
        assert!((tally.mean - 50_000.5).abs() < 1e-6, "{}", tally.mean);
        assert_eq!(
            (tally.least, tally.most, tally.last),
            (Some(Value::Int(1)), Some(Value::Int(100_000)), Some(Value::Int(100_000)))
        );
    }

    #[test]
    fn values_that_are_no_numbers_have_no_mean() {
        let mut tally = Tally::default();
        tally.add(&Value::Int(1));
        tally.add(&Value::text("up"));
        let Value::Map(result) = tally.result() else { panic!() };
        assert_eq!(
            (&result["mean"], &result["max"], &result["last"]),
            (&Value::None, &Value::None, &Value::text("up"))
        );
    }

    #[test]
    fn only_what_can_be_told_on_one_line_is_a_value() {
        for good in [Value::None, Value::Int(i64::MIN), Value::Float(-0.0), Value::text("x".repeat(LONGEST))] {
            assert_eq!(can_be_sampled(&good), Ok(()));
        }
        for (bad, why) in [
            (Value::Float(f64::NAN), "no number"),
            (Value::Float(f64::INFINITY), "no number"),
            (Value::text("x".repeat(LONGEST + 1)), "257 bytes"),
            (Value::list(Vec::new()), "cannot be a list"),
        ] {
            assert!(can_be_sampled(&bad).unwrap_err().contains(why));
        }
    }
}
