//! `test`: the scenarios of runbooks, in a simulated world. Reads files and changes nothing, anywhere.

pub(super) mod targets;

use std::io::IsTerminal;

use serde_json::json;
use targets::{Target, targets};

use super::{
    CliError, Context,
    args::{Test, TestFormat},
    error::code,
    print, source,
};
use crate::{
    scenarios::{Book, Finding, Ran, Scenario, load, run},
    syntax::decode,
    text::{Diagnostic, DrawStyle, Severity, Source, draw, draw_all, one_line},
    value::show_duration,
};

pub fn test(context: &Context, flags: &Test) -> Result<u8, CliError> {
    let targets = targets(context, &flags.paths)?;
    let color = context.color(std::io::stdout().is_terminal());
    let mut total = Total::default();
    for target in &targets {
        one(context, flags, target, color, &mut total)?;
    }
    if total.scenarios == 0 && total.invalid == 0 {
        return Err(match &flags.filter {
            Some(filter) => CliError::usage(format!("no scenario's name holds `{filter}`; nothing was tried")),
            None => CliError::usage("there are no scenarios here; nothing was tried")
                .hint("scenarios of NAME.yaml stand beside it, in NAME.scenarios.yaml"),
        });
    }
    if flags.format == TestFormat::Text && !context.global.quiet {
        print(context, &total.line())?;
    }
    Ok(match (total.invalid, total.failed) {
        (0, 0) => 0,
        (0, _) => code::FAILED,
        _ => code::INVALID,
    })
}

/// What came of all files together.
#[derive(Default)]
struct Total {
    runbooks: usize,
    bare: usize,
    scenarios: usize,
    failed: usize,
    invalid: usize,
}

impl Total {
    fn line(&self) -> String {
        let mut line = format!("{} of {}: ", count(self.scenarios, "scenario"), count(self.runbooks, "runbook"));
        line.push_str(&format!("{} passed", self.scenarios - self.failed));
        if self.failed > 0 {
            line.push_str(&format!(", {} failed", self.failed));
        }
        if self.invalid > 0 {
            line.push_str(&format!(", {} could not be read", count(self.invalid, "file")));
        }
        if self.bare > 0 {
            line.push_str(&format!("; {} without scenarios", count(self.bare, "runbook")));
        }
        line.push('\n');
        line
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The scenarios of one runbook.
fn one(context: &Context, flags: &Test, target: &Target, color: bool, total: &mut Total) -> Result<(), CliError> {
    let style = DrawStyle { color };
    let invalid = |source: &Source, problems: &[Diagnostic], total: &mut Total| {
        total.invalid += 1;
        let text = match flags.format {
            TestFormat::Text => format!("{}\n", draw_all(source, problems, style)),
            TestFormat::Json => {
                let findings: Vec<_> = problems.iter().map(|problem| as_json(source, problem, None)).collect();
                format!("{}\n", json!({"runbook": target.name(), "result": "invalid", "findings": findings}))
            }
        };
        print(context, &text)
    };
    let (found, bytes, shown) = match target {
        Target::Pair { found, scenarios, shown } => (found, scenarios, shown),
        Target::Bare { .. } => {
            total.bare += 1;
            return Ok(());
        }
        Target::Orphan { scenarios, runbook } => {
            let source = Source::new(scenarios.clone(), "");
            let why = format!("there is no runbook {runbook} for these scenarios");
            let problem = Diagnostic::error("no-runbook", crate::text::Span::at(0), why);
            return invalid(&source, &[problem.hint("scenarios stand beside their runbook, under its name")], total);
        }
        Target::Unreadable { name, why } => {
            let source = Source::new(name.clone(), "");
            let problem = Diagnostic::error("unreadable", crate::text::Span::at(0), why.clone());
            return invalid(&source, &[problem], total);
        }
    };
    let read = source::read(&context.library(), found);
    let Some(runbook) = read.runbook else { return invalid(&read.source, &errors(&read.problems), total) };
    let book = Book { runbook: std::rc::Rc::new(runbook), names: std::rc::Rc::new(read.names) };
    let source = match decode(shown.clone(), bytes.clone()) {
        Ok(source) => source,
        Err((source, problem)) => return invalid(&source, &[problem], total),
    };
    let loaded = load(&source, &book);
    if loaded.problems.iter().any(Diagnostic::is_error) {
        return invalid(&source, &loaded.problems, total);
    }
    total.runbooks += 1;
    for scenario in &loaded.scenarios {
        let name = &scenario.name.value;
        let whole = format!("{}: {name}", found.name);
        if flags.filter.as_ref().is_some_and(|filter| !whole.contains(filter.as_str())) {
            continue;
        }
        total.scenarios += 1;
        let ran = run(&book, &source, scenario);
        total.failed += usize::from(!ran.findings.is_empty());
        let text = match flags.format {
            TestFormat::Text => text(context, &whole, &ran, style),
            TestFormat::Json => format!("{}\n", line(&found.name, &source, scenario, &ran)),
        };
        print(context, &text)?;
    }
    Ok(())
}

fn errors(problems: &[Diagnostic]) -> Vec<Diagnostic> {
    problems.iter().filter(|problem| problem.is_error()).cloned().collect()
}

fn text(context: &Context, name: &str, ran: &Ran, style: DrawStyle) -> String {
    let passed = ran.findings.is_empty();
    let mut text = String::new();
    if !passed || !context.global.quiet {
        let word = if passed { "ok  " } else { "FAIL" };
        let seconds = std::time::Duration::from_secs(ran.simulated.as_secs());
        let took = if seconds.is_zero() { String::new() } else { format!(" ({} simulated)", show_duration(seconds)) };
        text.push_str(&format!("{word} {}{took}\n", one_line(name)));
    }
    let findings = ran.findings.iter().chain(ran.warnings.iter());
    for finding in findings {
        text.push_str(&format!("\n{}", draw(&finding.source, &finding.diagnostic, style)));
    }
    if !ran.findings.is_empty() || !ran.warnings.is_empty() {
        text.push('\n');
    }
    text
}

/// One object a scenario, as documented for programs.
fn line(runbook: &str, source: &Source, scenario: &Scenario, ran: &Ran) -> serde_json::Value {
    let finding = |of: &Finding| as_json(&of.source, &of.diagnostic, of.step.as_deref());
    json!({
        "runbook": runbook,
        "scenario": scenario.name.value,
        "file": source.name(),
        "line": source.position(scenario.name.span.start).line,
        "result": if ran.findings.is_empty() { "passed" } else { "failed" },
        "outcome": ran.end.as_ref().map(|end| end.outcome.name()),
        "code": ran.end.as_ref().map(|end| end.code),
        "simulated_ms": u64::try_from(ran.simulated.as_millis()).unwrap_or(u64::MAX),
        "findings": ran.findings.iter().chain(&ran.warnings).map(finding).collect::<Vec<_>>(),
    })
}

fn as_json(source: &Source, problem: &Diagnostic, step: Option<&str>) -> serde_json::Value {
    let start = source.position(problem.span.start);
    let end = source.position(problem.span.end);
    let mut object = json!({
        "file": source.name(),
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
    });
    if let Some(step) = step {
        object["step"] = step.into();
    }
    object
}
