//! Scenarios in, verdicts out. The runbook of all of them is `book.yaml` beside this file unless one brings its own.

mod bad;
mod measured;
mod program;
mod recorded;
mod world;

use std::rc::Rc;

use runsheet::{
    kinds::registry,
    model::load as load_book,
    scenarios::{Book, Finding, load, run},
    syntax::decode,
    text::Source,
};

pub const BOOK: &str = include_str!("book.yaml");

pub fn book(text: &str) -> Book {
    let Ok(source) = decode("book.yaml", text.as_bytes().to_vec()) else { panic!("no text") };
    let loaded = load_book("book", &source, registry());
    let Some(runbook) = loaded.runbook else { panic!("{:#?}", loaded.problems) };
    Book { runbook: Rc::new(runbook), names: Rc::new(loaded.names) }
}

fn shown(finding: &Finding) -> String {
    let problem = &finding.diagnostic;
    let line = finding.source.position(problem.span.start).line;
    let hint = problem.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
    format!("{}:{line} {}: {}{hint}", finding.source.name(), problem.code, problem.message)
}

/// What is said of the scenarios of a runbook: a line for each that passed and for each thing that is wrong.
pub fn tried(book: &Book, scenarios: &str) -> Vec<String> {
    let source = Source::new("s.yaml", scenarios);
    let loaded = load(&source, book);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    let mut lines = Vec::new();
    for scenario in &loaded.scenarios {
        let ran = run(book, &source, scenario);
        lines.extend(ran.findings.iter().chain(&ran.warnings).map(shown));
        if ran.findings.is_empty() {
            lines.push(format!("ok in {:?}", ran.simulated));
        }
    }
    lines
}

/// The same, of one scenario of a runbook whose steps are given.
#[track_caller]
pub fn check(steps: &str, scenario: &str, expected: &[&str]) {
    let indented = |text: &str| text.trim_matches('\n').replace('\n', "\n  ");
    let steps = format!("title: T\n{}\n", steps.trim_matches('\n'));
    let text = format!("scenarios:\n- name: it\n  {}\n", indented(scenario));
    let got = tried(&book(&steps), &text);
    assert_eq!(got, expected, "{got:#?}");
}
