//! `check`: every mistake of every file, in one go. Reads files and nothing else.

use std::path::Path;

use serde_json::json;

use super::{
    CliError, Context,
    args::{Check, CheckFormat, Deny},
    error::code,
    print, source,
};
use crate::{
    library::{Found, LibraryError, files_below},
    model::Loaded,
    text::{Diagnostic, DrawStyle, Severity, draw},
};

pub fn check(context: &Context, flags: &Check) -> Result<u8, CliError> {
    let library = context.library();
    let targets = targets(context, flags)?;
    let color = context.color(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let (mut errors, mut warnings) = (0_usize, 0_usize);
    for found in &targets {
        let loaded = match found {
            Ok(found) => source::read(&library, found),
            Err((name, error)) => source::unreadable(name, error),
        };
        errors += loaded.problems.iter().filter(|problem| problem.is_error()).count();
        warnings += loaded.problems.iter().filter(|problem| !problem.is_error()).count();
        let mut text = String::new();
        for problem in &loaded.problems {
            match flags.format {
                CheckFormat::Text => {
                    text.push_str(&draw(&loaded.source, problem, DrawStyle { color }));
                    text.push('\n');
                }
                CheckFormat::Json => text.push_str(&format!("{}\n", as_json(&loaded, problem))),
            }
        }
        print(context, &text)?;
    }
    if flags.format == CheckFormat::Text && !context.global.quiet {
        let files = if targets.len() == 1 { "1 runbook".to_owned() } else { format!("{} runbooks", targets.len()) };
        print(context, &format!("{files}: {}, {}\n", count(errors, "error"), count(warnings, "warning")))?;
    }
    let denied = flags.deny == Some(Deny::Warnings) && warnings > 0;
    Ok(if errors > 0 || denied { code::INVALID } else { 0 })
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// A file of a folder that cannot be read is one mistake among others; the rest is still looked at.
type Target = Result<Found, (String, LibraryError)>;

fn targets(context: &Context, flags: &Check) -> Result<Vec<Target>, CliError> {
    let library = context.library();
    let mut targets = Vec::new();
    let default = ["runbooks".to_owned()];
    let paths: &[String] = if flags.paths.is_empty() { &default } else { &flags.paths };
    for word in paths {
        let path = Path::new(word);
        if path.is_dir() {
            let files = files_below(path);
            if files.is_empty() {
                return Err(CliError::usage(format!("there is no runbook below {word}")));
            }
            for file in files {
                targets.push(library.open(&file).map_err(|error| (file.display().to_string(), error)));
            }
        } else if path.exists() {
            targets.push(Ok(library.open(path)?));
        } else if flags.paths.is_empty() {
            return Err(CliError::usage("there is no folder ./runbooks here").hint("name files, folders or runbooks"));
        } else {
            targets.push(Ok(library.find(word)?));
        }
    }
    Ok(targets)
}

/// One object a line, as documented for programs.
fn as_json(loaded: &Loaded, problem: &Diagnostic) -> serde_json::Value {
    let start = loaded.source.position(problem.span.start);
    let end = loaded.source.position(problem.span.end);
    json!({
        "file": loaded.source.name(),
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
    })
}
