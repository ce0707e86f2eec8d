//! `watch`: probes that are looked at for a while, and what raises an alarm. Knows nothing of how a probe looks, nor of
//! samples.

use std::time::Duration;

use super::{
    look::{self, can_look},
    watch_task::{ProbeTask, WatchTask},
};
use crate::{
    event::{Effect, GaveUp},
    model::{
        Action, Block, Body, DefaultExpect, DurationSpec, Expectations, FieldDoc, FileUse, Keys, Kind, Lowering,
        Mapping, Names, Outline, Part, Parts, Resolution, Rule, Setting, Shown, Takes, body_references,
        mentions_outcome, unknown_fields,
    },
    syntax::{Expr, Given, Reference},
    text::{Diagnostic, Span, Spanned, did_you_mean},
    value::Scope,
};

pub const KIND: Kind = Kind {
    name: "watch",
    summary: "Looks at probes for a while and raises alarms.",
    short: None,
    fields: &[
        FieldDoc::new("for", Takes::Duration, "how long"),
        FieldDoc::new("interval", Takes::Duration, "between two looks of a probe; 15s if absent"),
        FieldDoc::new(
            "probes",
            Takes::Entries { keys: Keys::Names, of: &Takes::Fields(&PROBES), least: 1 },
            "by name, each `shell` or `http` with `value` (an expression over `result`), `alarm_when` (over `value` and names), `alarm_after` (times in a row; 1 if absent), `no_data` (an alarm after so many looks without a value; 3 if absent) and `unit`",
        ),
    ],
    rules: &[Rule::Needs("for"), Rule::Needs("probes")],
    lower: Some(lower),
};

/// One probe.
const PROBES: Mapping = Mapping { name: "watched", fields: PROBE_FIELDS, rules: &[Rule::Holds(&["shell", "http"])] };
const PROBE_FIELDS: &[FieldDoc] = &[
    FieldDoc::new("value", Takes::Expression, "what is looked at, over `result`; none is no data"),
    FieldDoc::new("alarm_when", Takes::Expression, "when it is an alarm, over `value` and names"),
    FieldDoc::new("alarm_after", Takes::Integer { least: 1, most: 1000 }, "so many times in a row; 1 if absent"),
    FieldDoc::new(
        "no_data",
        Takes::Integer { least: 1, most: 1000 },
        "an alarm after so many looks without a value; 3 if absent",
    ),
    FieldDoc::new("unit", Takes::Text, "such as `1/min`"),
];
/// Besides those of a look.
const PROBE: [&str; 5] = ["value", "alarm_when", "alarm_after", "no_data", "unit"];
const PARTS: [&str; 5] = ["mean", "min", "max", "last", "alarms"];
const INTERVAL: Duration = Duration::from_secs(15);
const ONE_LOOK: Duration = Duration::from_secs(30);
const NO_DATA: u32 = 3;
/// Each sample is a record: this keeps a journal within some 60 MB for a watch.
const SAMPLES: u64 = 100_000;

#[derive(Debug)]
struct Watch {
    span: (DurationSpec, Span),
    interval: (DurationSpec, Span),
    probes: Vec<Probe>,
}

#[derive(Debug)]
struct Probe {
    name: Spanned<String>,
    look: Body,
    value: Option<Expr>,
    alarm_when: Option<Expr>,
    alarm_after: Spanned<u32>,
    no_data: u32,
    unit: Option<String>,
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let given = given.like("{for: 5m, interval: 15s, probes: {…}}");
    let mut fields = given.fields("`watch`")?.closed(KIND.keys()).outer(Lowering::AROUND);
    let spec = |given: Given<'_>| Some((lowering.duration(&given)?, given.span()));
    let span = fields.need("for").and_then(spec);
    let interval = fields.get("interval").map(spec);
    let list = fields.need("probes").map(|given| given.like("{errors: {http: {url: …}, value: result.json.count}}"));
    let mut probes = Vec::new();
    let entries = list.as_ref().and_then(|list| list.entries());
    if let (Some(list), Some([])) = (&list, entries.as_deref()) {
        let message = "`probes` is empty; a watch needs at least one";
        let _: Option<()> = list.report("wrong-value", message, Some("probes: {health: {http: {url: …}}}".into()));
    }
    for (name, given) in entries.unwrap_or_default() {
        if !Names::is_name(&name.text) {
            given.problems().push(
                Diagnostic::error("bad-name", name.span, format!("`{}` cannot be the name of a probe", name.text))
                    .label("lower-case letters, digits and `_`, beginning with a letter"),
            );
        }
        probes.extend(probe(Spanned::new(name.text.clone(), name.span), &given, lowering));
    }
    fields.finish();
    let at = given.span();
    let interval = match interval {
        None => (DurationSpec::Fixed(INTERVAL), Span::at(at.start)),
        Some(spec) => spec?,
    };
    let watch = Watch { span: span?, interval, probes };
    if let (DurationSpec::Fixed(span), DurationSpec::Fixed(interval)) = (&watch.span.0, &watch.interval.0)
        && let Err(problem) = watch.size(*span, *interval)
    {
        given.problems().push(problem);
    }
    Some(Box::new(watch))
}

fn probe(name: Spanned<String>, given: &Given<'_>, lowering: &Lowering) -> Option<Probe> {
    let what = format!("probe `{}`", name.value);
    let mut fields = given.fields(&what)?.closed(lowering.keys(&PROBE)).outer(Lowering::AROUND);
    let value = fields.get("value").map(|given| lowering.expr_or_none(&given));
    let alarm_when = fields.get("alarm_when").map(|given| lowering.expr_or_none(&given));
    let count = |given: Given<'_>| {
        let count = given.integer(1..=1_000_000).and_then(|count| u32::try_from(count).ok());
        Spanned::new(count.unwrap_or(1), given.span())
    };
    let alarm_after = fields.get("alarm_after").map(count);
    let no_data = fields.get("no_data").map(count);
    let unit = fields.get("unit").and_then(|given| Some(given.line()?.text.trim().to_owned()));
    let problems = given.problems();
    if let (Some(alarm_when), None) = (&alarm_when, &value) {
        problems.push(
            Diagnostic::error("missing-key", alarm_when.span(), format!("{what} has an `alarm_when` and no `value`"))
                .label("what it looks at is `value`")
                .hint("say what the value is, such as `value: result.json.count`"),
        );
    }
    if let (Some(_), None) = (&alarm_after, &alarm_when) {
        let at = fields.key_span("alarm_after").unwrap_or(given.span());
        let message = format!("{what} has an `alarm_after` and no `alarm_when`");
        problems.push(Diagnostic::error("conflict", at, message).hint("say what an alarm is, or remove it"));
    }
    let look = lowering.body(&mut fields, Part::Look);
    fields.finish();
    if !can_look(&look, "a watch", problems) {
        return None;
    }
    let alarm_after = alarm_after.unwrap_or(Spanned::new(1, name.span));
    let no_data = no_data.map_or(NO_DATA, |count| count.value);
    Some(Probe { name, look, value, alarm_when, alarm_after, no_data, unit })
}

/// How often each probe is looked at: at the beginning, after each interval, and at the end.
fn rounds(span: Duration, interval: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(interval.as_nanos().max(1))).unwrap_or(u64::MAX).saturating_add(1)
}

impl Watch {
    /// Refuses what would never end, never begin, or never come to an alarm.
    fn size(&self, span: Duration, interval: Duration) -> Result<(), Diagnostic> {
        for (duration, at, what) in [(span, self.span.1, "for"), (interval, self.interval.1, "interval")] {
            if duration.is_zero() {
                let message = format!("`{what}` of a watch must be longer than nothing");
                return Err(Diagnostic::error("wrong-value", at, message).label("no time at all"));
            }
        }
        let rounds = rounds(span, interval);
        let samples = rounds.saturating_mul(self.probes.len().max(1) as u64);
        if samples > SAMPLES {
            let message = format!("this watch would take {samples} samples; at most {SAMPLES} can be kept as evidence");
            return Err(Diagnostic::error("too-large", self.interval.1, message)
                .label("too often for so long")
                .hint("make the interval longer, or the watch shorter"));
        }
        for probe in &self.probes {
            if u64::from(probe.alarm_after.value) > rounds {
                let message = format!(
                    "an alarm after {} looks can never come: this watch takes {rounds}",
                    probe.alarm_after.value
                );
                return Err(Diagnostic::error("conflict", probe.alarm_after.span, message)
                    .label("more than there are")
                    .hint("lower it, or look more often"));
            }
        }
        Ok(())
    }

    fn durations(&self) -> [&DurationSpec; 2] {
        [&self.span.0, &self.interval.0]
    }

    fn words(&self, scope: Option<&Scope>) -> String {
        let duration = |spec: &DurationSpec| match scope {
            Some(scope) => spec.show(scope),
            None => spec.source(),
        };
        format!("for {}, every {}", duration(&self.span.0), duration(&self.interval.0))
    }
}

impl Probe {
    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.value.iter().chain(&self.alarm_when)
    }

    /// The look's own default, unless anything here speaks of exit or status itself.
    fn default_expect(&self) -> DefaultExpect {
        let spoken = self.look.expect.entries.iter().chain(self.exprs()).any(mentions_outcome);
        if spoken { DefaultExpect::Nothing } else { self.look.action.default_expect() }
    }

    /// What is made of an answer, one line each.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let unit = self.unit.as_ref().map(|unit| format!(" ({unit})")).unwrap_or_default();
        if let Some(value) = &self.value {
            words.push(format!("value {}{unit}", value.on_one_line()));
        }
        words.extend(self.look.expect.entries.iter().map(|entry| format!("expects {}", entry.on_one_line())));
        if let Some(alarm_when) = &self.alarm_when {
            let times = match self.alarm_after.value {
                1 => String::new(),
                times => format!(", {times} times in a row"),
            };
            words.push(format!("alarm when {}{times}", alarm_when.on_one_line()));
        }
        words.push(match self.no_data {
            1 => "alarm when there is no data".to_owned(),
            times => format!("alarm when there is no data, {times} times in a row"),
        });
        words
    }
}

impl Action for Watch {
    fn conditions(&self) -> Vec<(&'static str, &Expr)> {
        let mut all = Vec::new();
        for probe in &self.probes {
            all.extend(probe.look.expect.entries.iter().map(|expr| ("expect", expr)));
            all.extend(probe.alarm_when.iter().map(|expr| ("alarm_when", expr)));
        }
        all
    }

    fn references(&self, names: &Names) -> Vec<Reference> {
        let mut all: Vec<Reference> = self.durations().into_iter().flat_map(DurationSpec::references).collect();
        for probe in &self.probes {
            all.extend(body_references(&probe.look, names));
            all.extend(probe.exprs().flat_map(|expr| expr.references().to_vec()));
        }
        all
    }

    fn gives(&self) -> Vec<Spanned<String>> {
        self.probes.iter().flat_map(|probe| &probe.look.captures).map(|capture| capture.name.clone()).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        &["probes"]
    }

    fn parts(&self) -> Parts<'_> {
        Parts { looks: self.probes.iter().map(|probe| &probe.look).collect(), ..Parts::default() }
    }

    fn locals(&self) -> &'static [&'static str] {
        &["result", "value"]
    }

    fn origins(&self) -> Vec<String> {
        self.probes.iter().flat_map(|probe| probe.look.action.origins()).collect()
    }

    fn files(&self, scope: &Scope) -> Vec<FileUse> {
        self.probes.iter().flat_map(|probe| probe.look.files(scope)).collect()
    }

    fn default_effect(&self) -> Effect {
        self.probes.iter().map(|probe| probe.look.effect).max().unwrap_or(Effect::Read)
    }

    fn default_timeout(&self) -> Option<Duration> {
        Some(ONE_LOOK)
    }

    fn gives_up_at(&self) -> Option<GaveUp> {
        Some(GaveUp::Alarm)
    }

    fn takes_env(&self) -> bool {
        self.probes.iter().any(|probe| probe.look.action.takes_env())
    }

    fn check_part(&self, of: &Reference) -> Option<Diagnostic> {
        let at = |index: usize| of.path_spans.get(index).copied().unwrap_or(of.span);
        let name = of.path.get(1).filter(|_| of.path.first().is_some_and(|part| part == "probes"))?;
        let names = || self.probes.iter().map(|probe| probe.name.value.as_str());
        if !names().any(|known| known == name) {
            let problem = Diagnostic::error("unknown-result-field", at(1), format!("this watch has no probe `{name}`"));
            let hint = did_you_mean(name, names())
                .unwrap_or_else(|| format!("it has {}", names().collect::<Vec<_>>().join(", ")));
            return Some(problem.label("no such probe").hint(hint));
        }
        let part = of.path.get(2).filter(|part| !PARTS.contains(&part.as_str()))?;
        let hint = did_you_mean(part, PARTS).unwrap_or_else(|| format!("it has {}", PARTS.join(", ")));
        let message = format!("what is known of a probe has no `{part}`");
        Some(Diagnostic::error("unknown-result-field", at(2), message).label("no such field").hint(hint))
    }

    fn check(&self, names: &Names, variables: &[&str], problems: &mut Vec<Diagnostic>) {
        for probe in &self.probes {
            let look = &probe.look;
            let own = look.env.iter().map(|(name, _)| name.value.as_str());
            let variables: Vec<&str> = variables.iter().copied().chain(own).collect();
            look.action.check(names, &variables, problems);
            let captures = look.captures.iter().map(|capture| &capture.value);
            for expr in look.expect.entries.iter().chain(captures).chain(&probe.value) {
                problems.extend(unknown_fields(expr, look.kind, look.action.outputs()));
            }
            // `value` is there once it was computed, and `result` until then.
            let alarm = probe.alarm_when.iter().flat_map(|expr| expr.references().to_vec());
            problems.extend(alarm.filter(|of| of.name == "result").map(|of| {
                Diagnostic::error("no-result", of.span, "`alarm_when` looks at `value`, and not at `result`")
                    .label("say what the value is under `value`")
                    .hint("a condition over `result` that must hold for there to be a value at all is an `expect`")
            }));
            let value = probe.value.iter().flat_map(|expr| expr.references().to_vec());
            problems.extend(body_references(look, names).into_iter().chain(value).filter(|of| of.name == "value").map(
                |of| {
                    Diagnostic::error("own-value", of.span, "`value` is known to `alarm_when` alone")
                        .label("it is not there yet")
                        .hint("what the look came to is `result`")
                },
            ));
        }
        for reference in self.durations().into_iter().flat_map(DurationSpec::references) {
            if matches!(reference.name.as_str(), "result" | "value") {
                let message = format!("there is no `{}` before the watch begins", reference.name);
                problems
                    .push(Diagnostic::error("no-result", reference.span, message).label("nothing was looked at yet"));
            }
        }
    }

    fn show(&self, scope: &Scope) -> Shown {
        let mut detail = format!("watch {}", self.words(Some(scope)));
        let mut values = Vec::new();
        for probe in &self.probes {
            let shown = probe.look.action.show(scope);
            detail.push_str(&format!("\n{}:", probe.name.value));
            let words = probe.words();
            for line in shown.detail.lines().chain(words.iter().map(String::as_str)) {
                detail.push_str(&format!("\n  {line}"));
            }
            for value in shown.values {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        let names: Vec<&str> = self.probes.iter().map(|probe| probe.name.value.as_str()).collect();
        let headline = format!("watch {} {}", names.join(", "), self.words(Some(scope)));
        Shown { headline, detail, values }
    }

    fn outline(&self) -> Outline {
        let mut blocks = Vec::new();
        for probe in &self.probes {
            blocks.extend(probe.look.action.outline().blocks);
            // Commands and requests stand above, in the same order.
            let text = format!("{}: {}", probe.name.value, probe.words().join("; "));
            blocks.push(Block::Field { label: "Probe", text });
            for capture in &probe.look.captures {
                let secret = if capture.secret { " (a secret)" } else { "" };
                let text = format!("{} = {}{secret}", capture.name.value, capture.value.source().trim());
                blocks.push(Block::Field { label: "Keeps", text });
            }
        }
        Outline { verb: format!("Watch {}", self.words(None)), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let mut waiting = Vec::new();
        let mut duration = |spec: &DurationSpec| match spec.eval(setting.scope) {
            Ok(duration) => Ok(Some(duration)),
            Err(Ok(names)) => {
                waiting.extend(names);
                Ok(None)
            }
            Err(Err(diagnostic)) => Err(diagnostic),
        };
        let span = duration(&self.span.0)?;
        let interval = duration(&self.interval.0)?;
        if let (Some(span), Some(interval)) = (span, interval) {
            self.size(span, interval)?;
            if let Some(extended) = setting.extended {
                self.size(extended, interval)?;
            }
        }
        let mut probes = Vec::new();
        for probe in &self.probes {
            let timeout = match probe.look.timeout.as_ref().map(|timeout| timeout.eval(setting.scope)) {
                None => setting.timeout,
                Some(Ok(timeout)) => Some(timeout),
                Some(Err(Ok(names))) => {
                    waiting.extend(names);
                    None
                }
                Some(Err(Err(diagnostic))) => return Err(diagnostic),
            };
            let look = look::resolve(&probe.look, setting, timeout, &mut waiting)?;
            look::waits_for(probe.exprs().chain(&probe.look.expect.entries), setting.scope, &mut waiting);
            let Some(look) = look else { continue };
            probes.push(ProbeTask {
                name: probe.name.value.clone(),
                look,
                default: probe.default_expect(),
                expect: Expectations { default: None, entries: probe.look.expect.entries.clone() },
                captures: probe.look.captures.iter().map(|of| (of.name.value.clone(), of.value.clone())).collect(),
                value: probe.value.clone(),
                alarm_when: probe.alarm_when.clone(),
                alarm_after: probe.alarm_after.value,
                no_data: probe.no_data,
                unit: probe.unit.clone(),
            });
        }
        match (span, interval) {
            (Some(span), Some(interval)) if waiting.is_empty() => {
                let span = setting.extended.unwrap_or(span);
                Ok(Resolution::Task(Box::new(WatchTask { span, interval, probes })))
            }
            _ => {
                waiting.dedup();
                Ok(Resolution::Deferred(waiting))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_taken_at_both_ends_and_after_each_interval() {
        let ms = Duration::from_millis;
        for (span, interval, expected) in
            [(300_000, 15_000, 21), (10, 15, 2), (15, 15, 2), (16, 15, 3), (1, 0, 1_000_001), (0, 15, 1)]
        {
            assert_eq!(rounds(ms(span), ms(interval)), expected, "{span} {interval}");
        }
    }
}
