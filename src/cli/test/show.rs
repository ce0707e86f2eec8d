//! What `test` writes, in its formats. Tries nothing.

use std::cell::RefCell;

use serde_json::json;

use super::{Tested, Total, Tried, covered, junit, percent};
use crate::{
    cli::{CliError, Context, args::TestFormat, check::github, print},
    scenarios::{Finding, Item},
    text::{Diagnostic, DrawStyle, Source, draw, draw_all, one_line},
    value::show_duration,
};

pub struct Show<'a> {
    context: &'a Context,
    format: TestFormat,
    style: DrawStyle,
    /// Runbooks that are over, for what is written at the end.
    tested: Vec<Tested>,
    /// Files that are not well made, with what is said about them.
    invalid: Vec<(String, String)>,
    /// Where it is written instead of to standard output.
    kept: Option<RefCell<Kept>>,
}

/// What was written, in the formats of whoever shows it among other things.
#[derive(Default)]
pub struct Kept {
    pub text: String,
    pub github: String,
    /// One object a line.
    pub json: String,
}

impl<'a> Show<'a> {
    pub fn new(context: &'a Context, format: TestFormat, color: bool) -> Show<'a> {
        Show { context, format, style: DrawStyle { color }, tested: Vec::new(), invalid: Vec::new(), kept: None }
    }

    /// One that prints nothing.
    pub fn keeping(context: &'a Context, color: bool) -> Show<'a> {
        Show { kept: Some(RefCell::default()), ..Show::new(context, TestFormat::Text, color) }
    }

    pub fn kept(self) -> Kept {
        self.kept.map(RefCell::into_inner).unwrap_or_default()
    }

    fn put(&self, written: impl Fn(TestFormat) -> String) -> Result<(), CliError> {
        let Some(kept) = &self.kept else { return print(self.context, &written(self.format)) };
        let kept = &mut *kept.borrow_mut();
        kept.text.push_str(&written(TestFormat::Text));
        kept.github.push_str(&written(TestFormat::Github));
        kept.json.push_str(&written(TestFormat::Json));
        Ok(())
    }

    /// A file that is not well made.
    pub fn invalid(&mut self, name: &str, source: &Source, problems: &[Diagnostic]) -> Result<(), CliError> {
        if self.format == TestFormat::Junit {
            self.invalid.push((name.to_owned(), draw_all(source, problems, DrawStyle::default())));
        }
        self.put(|format| match format {
            TestFormat::Text => format!("{}\n", draw_all(source, problems, self.style)),
            TestFormat::Json => {
                let findings: Vec<_> = problems.iter().map(|problem| as_json(source, problem, None)).collect();
                format!("{}\n", json!({"runbook": name, "result": "invalid", "findings": findings}))
            }
            TestFormat::Github => problems.iter().map(|problem| github::command(source, problem)).collect(),
            TestFormat::Junit => String::new(),
        })
    }

    /// A runbook without scenarios where some are wanted.
    pub fn bare(&mut self, name: &str) -> Result<(), CliError> {
        if self.format == TestFormat::Junit {
            self.invalid.push((name.to_owned(), "it has no scenarios".to_owned()));
        }
        self.put(|format| match format {
            TestFormat::Text => format!("FAIL {name} has no scenarios\n"),
            TestFormat::Json => format!("{}\n", json!({"runbook": name, "result": "bare", "findings": []})),
            TestFormat::Github => format!("::error::{name} has no scenarios\n"),
            TestFormat::Junit => String::new(),
        })
    }

    pub fn scenario(&self, of: &Tested, tried: &Tried) -> Result<(), CliError> {
        let findings = || tried.ran.findings.iter().chain(&tried.ran.warnings);
        self.put(|format| match format {
            TestFormat::Text => self.text(&of.name, tried),
            TestFormat::Json => format!("{}\n", line(of, tried)),
            TestFormat::Github => findings().map(|of| github::command(&of.source, &of.diagnostic)).collect(),
            TestFormat::Junit => String::new(),
        })
    }

    fn text(&self, runbook: &str, tried: &Tried) -> String {
        let ran = &tried.ran;
        let passed = ran.findings.is_empty();
        let mut text = String::new();
        if !passed || !self.context.global.quiet {
            let word = if passed { "ok  " } else { "FAIL" };
            let seconds = std::time::Duration::from_secs(ran.simulated.as_secs());
            let took =
                if seconds.is_zero() { String::new() } else { format!(" ({} simulated)", show_duration(seconds)) };
            text.push_str(&format!("{word} {runbook}: {}{took}\n", one_line(&tried.name)));
        }
        for finding in ran.findings.iter().chain(ran.warnings.iter()) {
            text.push_str(&format!("\n{}", draw(&finding.source, &finding.diagnostic, self.style)));
        }
        if !ran.findings.is_empty() || !ran.warnings.is_empty() {
            text.push('\n');
        }
        text
    }

    /// All of a runbook was tried.
    pub fn runbook(&mut self, tested: Tested) -> Result<(), CliError> {
        let put = self.put(|format| match format {
            TestFormat::Json => match summary(&tested) {
                Some(summary) => format!("{summary}\n"),
                None => String::new(),
            },
            TestFormat::Github => {
                tested.short.iter().map(|why| format!("::error::{}: {why}\n", one_line(&tested.name))).collect()
            }
            TestFormat::Text | TestFormat::Junit => String::new(),
        });
        self.tested.push(tested);
        put
    }

    pub fn finish(&self, total: &Total) -> Result<(), CliError> {
        self.put(|format| match format {
            TestFormat::Text => {
                let mut text = if self.context.global.quiet { String::new() } else { self.tables() };
                for of in &self.tested {
                    text.extend(of.short.iter().map(|why| format!("FAIL {}: {why}\n", one_line(&of.name))));
                }
                if !self.context.global.quiet {
                    text.push_str(&last_line(total));
                }
                text
            }
            TestFormat::Junit => junit::report(&self.tested, &self.invalid),
            TestFormat::Json => String::new(),
            TestFormat::Github => last_line(total),
        })
    }

    /// What was gone through, and what was not.
    fn tables(&self) -> String {
        let mut text = String::new();
        let width = self.tested.iter().map(|of| of.name.chars().count()).max().unwrap_or(0).max(8);
        let part = |of: usize, all: usize| format!("{of}/{all} {}%", percent(of, all));
        let mut heading = true;
        for of in &self.tested {
            let Some((steps, branches)) = &of.coverage else { continue };
            if std::mem::take(&mut heading) {
                text.push_str(&format!("\n{:width$}  {:12}  branches\n", "coverage", "steps"));
            }
            let (steps_part, branches_part) =
                (part(covered(steps), steps.len()), part(covered(branches), branches.len()));
            text.push_str(&format!("{:width$}  {steps_part:12}  {branches_part}\n", of.name));
            for item in steps.iter().chain(branches).filter(|item| !item.covered) {
                let line = of.source.position(item.span.start).line;
                text.push_str(&format!("  {}:{line}  {}\n", of.source.name(), item.what));
            }
        }
        heading = true;
        let (mut all, mut missed) = (0, 0);
        for of in &self.tested {
            let Some(mutations) = &of.mutations else { continue };
            if std::mem::take(&mut heading) {
                text.push_str(&format!("\n{:width$}  missed when gone\n", "guards"));
            }
            (all, missed) = (all + mutations.all, missed + mutations.missed);
            text.push_str(&format!("{:width$}  {}\n", of.name, part(mutations.missed, mutations.all)));
            for mutant in &mutations.survivors {
                let line = of.source.position(mutant.span.start).line;
                text.push_str(&format!(
                    "  {}:{line}  no scenario misses this `{}`: {}\n",
                    of.source.name(),
                    mutant.key,
                    one_line(of.source.slice(mutant.span).lines().next().unwrap_or_default())
                ));
            }
        }
        if !heading {
            text.push_str(&format!("{:width$}  {}\n", "all", part(missed, all)));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

pub fn last_line(total: &Total) -> String {
    let count = |number: usize, what: &str| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
    let mut line = format!("{} of {}: ", count(total.scenarios, "scenario"), count(total.runbooks, "runbook"));
    line.push_str(&format!("{} passed", total.scenarios - total.failed));
    if total.failed > 0 {
        line.push_str(&format!(", {} failed", total.failed));
    }
    if total.invalid > 0 {
        line.push_str(&format!(", {} could not be read", count(total.invalid, "file")));
    }
    if total.bare > 0 {
        line.push_str(&format!("; {} without scenarios", count(total.bare, "runbook")));
    }
    line.push('\n');
    line
}

/// One object a scenario, as documented for programs.
fn line(of: &Tested, tried: &Tried) -> serde_json::Value {
    let ran = &tried.ran;
    let finding = |of: &Finding| as_json(&of.source, &of.diagnostic, of.step.as_deref());
    json!({
        "runbook": of.name,
        "scenario": tried.name,
        "file": of.scenarios.name(),
        "line": tried.line,
        "result": if ran.findings.is_empty() { "passed" } else { "failed" },
        "outcome": ran.end.as_ref().map(|end| end.outcome.name()),
        "code": ran.end.as_ref().map(|end| end.code),
        "simulated_ms": u64::try_from(ran.simulated.as_millis()).unwrap_or(u64::MAX),
        "findings": ran.findings.iter().chain(&ran.warnings).map(finding).collect::<Vec<_>>(),
    })
}

/// One object a runbook: what its scenarios go through, and what they miss.
fn summary(of: &Tested) -> Option<serde_json::Value> {
    let (steps, branches) = of.coverage.as_ref()?;
    let part = |items: &[Item]| json!({"covered": covered(items), "all": items.len()});
    let missing = steps.iter().chain(branches).filter(|item| !item.covered);
    let missing: Vec<_> =
        missing.map(|item| json!({"line": of.source.position(item.span.start).line, "what": item.what})).collect();
    let mut object = json!({
        "runbook": of.name,
        "result": if of.short.is_empty() { "covered" } else { "short" },
        "coverage": {"steps": part(steps), "branches": part(branches), "missing": missing},
    });
    if let Some(mutations) = &of.mutations {
        let survivors: Vec<_> = mutations
            .survivors
            .iter()
            .map(|mutant| json!({"line": of.source.position(mutant.span.start).line, "guard": mutant.key}))
            .collect();
        object["mutations"] = json!({"all": mutations.all, "missed": mutations.missed, "survivors": survivors});
    }
    Some(object)
}

fn as_json(source: &Source, problem: &Diagnostic, step: Option<&str>) -> serde_json::Value {
    let mut object = crate::cli::check::as_json(source, problem);
    if let Some(step) = step {
        object["step"] = step.into();
    }
    object
}
