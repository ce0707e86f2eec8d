//! `check`: every mistake of every file, in one go, and what lints say. Reads files, and starts `shellcheck` where there
//! is one and it is wanted: nothing else.

pub mod github;
mod sarif;

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
    lints::{Looked, handed, heard, look, silent},
    model::Loaded,
    text::{Diagnostic, DrawStyle, Severity, Source, draw},
    worlds::real::Shellcheck,
};

/// Warnings of one file that are drawn; nobody reads more of them at once.
const DRAWN: usize = 100;

pub fn check(context: &Context, flags: &Check) -> Result<u8, CliError> {
    let color = context.color(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let mut log = sarif::Log::default();
    let total = every(context, &flags.paths, flags.no_shellcheck, &mut |source, looked| match flags.format {
        CheckFormat::Text => print(context, &drawn(source, looked, color, context.global.verbose)),
        CheckFormat::Json => {
            let lines = looked.problems.iter().map(|problem| format!("{}\n", as_json(source, problem)));
            print(context, &lines.collect::<String>())
        }
        CheckFormat::Github => print(context, &commands(source, looked)),
        CheckFormat::Sarif => {
            log.add(source, looked);
            Ok(())
        }
    })?;
    if flags.format == CheckFormat::Sarif {
        print(context, &log.finish())?;
    }
    let talks = matches!(flags.format, CheckFormat::Text | CheckFormat::Github);
    if talks && !context.global.quiet {
        print(context, &format!("{}\n", total.line()))?;
    }
    Ok(total.code(flags.deny))
}

/// Looks at every runbook that the paths name, and hands over what was found in each.
pub fn every(
    context: &Context,
    paths: &[String],
    no_shellcheck: bool,
    hear: &mut dyn FnMut(&Source, &Looked) -> Result<(), CliError>,
) -> Result<Total, CliError> {
    let library = context.library();
    let targets = targets(context, paths)?;
    let shellcheck = if no_shellcheck { None } else { Shellcheck::find() };
    let mut total =
        Total { files: targets.len(), misses_shellcheck: !no_shellcheck && shellcheck.is_none(), ..Total::default() };
    for found in &targets {
        let loaded = match found {
            Ok(found) => source::read(&library, found),
            Err((name, error)) => source::unreadable(name, error),
        };
        let looked = looked(&loaded, shellcheck.as_ref(), &mut total);
        total.add(&looked);
        hear(&loaded.source, &looked)?;
    }
    Ok(total)
}

/// As workflow commands of GitHub Actions.
pub fn commands(source: &Source, looked: &Looked) -> String {
    looked.problems.iter().map(|problem| github::command(source, problem)).collect()
}

/// What came of all files together.
#[derive(Default)]
pub struct Total {
    pub files: usize,
    pub errors: usize,
    pub warnings: usize,
    allowed: usize,
    /// Scripts that `shellcheck` could have read.
    scripts: usize,
    /// It was wanted and is not there.
    misses_shellcheck: bool,
}

impl Total {
    fn add(&mut self, looked: &Looked) {
        let errors = looked.problems.iter().filter(|problem| problem.is_error()).count();
        self.errors += errors;
        self.warnings += looked.problems.len() - errors;
        self.allowed += looked.allowed.len();
    }

    pub fn line(&self) -> String {
        let files = if self.files == 1 { "1 runbook".to_owned() } else { format!("{} runbooks", self.files) };
        let mut line = format!("{files}: {}, {}", count(self.errors, "error"), count(self.warnings, "warning"));
        if self.allowed > 0 {
            line.push_str(&format!(" ({} allowed)", self.allowed));
        }
        if self.misses_shellcheck && self.scripts > 0 {
            line.push_str("; shellcheck is not installed, so nobody looked at the scripts with it");
        }
        line
    }

    pub fn code(&self, deny: Option<Deny>) -> u8 {
        let denied = deny == Some(Deny::Warnings) && self.warnings > 0;
        if self.errors > 0 || denied { code::INVALID } else { code::SUCCEEDED }
    }
}

/// Everything there is to say about a file.
fn looked(loaded: &Loaded, shellcheck: Option<&Shellcheck>, total: &mut Total) -> Looked {
    let scripts = handed(loaded);
    total.scripts += scripts.len();
    let Some(shellcheck) = shellcheck else { return look(loaded, None) };
    let mut found = Vec::new();
    for dialect in ["bash", "sh", "dash", "ksh"] {
        let some: Vec<_> = scripts.iter().filter(|script| script.dialect == dialect).collect();
        if some.is_empty() {
            continue;
        }
        let texts: Vec<&str> = some.iter().map(|script| script.text.as_str()).collect();
        let heard = shellcheck.ask(dialect, &texts).and_then(|answers| {
            let mut told = Vec::new();
            for said in &answers {
                let names: Vec<_> = said.names.iter().map(|(at, name)| (name.as_str(), some[*at])).collect();
                told.extend(heard(&names, &said.json)?);
            }
            Ok(told)
        });
        match heard {
            Ok(told) => found.extend(told),
            Err(why) => found.push(silent(&why)),
        }
    }
    look(loaded, Some(found))
}

/// Errors all of them, warnings as far as anybody reads them.
pub fn drawn(source: &Source, looked: &Looked, color: bool, all: bool) -> String {
    let mut text = String::new();
    let mut warnings = 0;
    for problem in &looked.problems {
        warnings += usize::from(!problem.is_error());
        if problem.is_error() || warnings <= DRAWN || all {
            text.push_str(&draw(source, problem, DrawStyle { color }));
            text.push('\n');
        }
    }
    if warnings > DRAWN && !all {
        let more = count(warnings - DRAWN, "more warning");
        text.push_str(&format!("{}: {more}; --verbose draws them all\n\n", crate::text::one_line(source.name())));
    }
    text
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

fn targets(context: &Context, paths: &[String]) -> Result<Vec<Target>, CliError> {
    let library = context.library();
    let mut targets = Vec::new();
    let default = ["runbooks".to_owned()];
    let named = if paths.is_empty() { &default } else { paths };
    for word in named {
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
        } else if paths.is_empty() {
            return Err(CliError::usage("there is no folder ./runbooks here").hint("name files, folders or runbooks"));
        } else {
            targets.push(Ok(library.find(word)?));
        }
    }
    Ok(targets)
}

/// One object a line, as documented for programs.
pub fn as_json(source: &Source, problem: &Diagnostic) -> serde_json::Value {
    let start = source.position(problem.span.start);
    let end = source.position(problem.span.end);
    json!({
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
    })
}
