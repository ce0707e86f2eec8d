//! `test --record RUN`: a scenario from a run that was. Writes one file, and only where it is told to.

use std::path::Path;

use super::targets::scenarios_of;
use crate::{
    cli::{CliError, Context, error::code, place, print, say, source},
    scenarios::{Book, Recorded, load, record, run},
    syntax::decode,
    text::Diagnostic,
};

pub fn recorded(context: &Context, word: &str, update: bool) -> Result<u8, CliError> {
    let store = context.store()?;
    let id = store.resolve(word)?;
    let read = store.read(&id)?;
    let header = read.state.header.clone().ok_or_else(|| CliError::usage(format!("run {id} has no beginning")))?;
    let frozen = store.frozen(&id)?;
    let loaded = source::read_frozen(&header.runbook, &frozen);
    let (book, names) = match loaded {
        Some(loaded) if loaded.runbook.is_some() => (loaded.runbook, loaded.names),
        _ => return Err(CliError::new(code::INVALID, format!("could not read the runbook of run {id}"))),
    };
    let Some(book) = book else { return Ok(code::INVALID) };
    let output = |step: &crate::event::StepId, attempt| {
        let bytes = std::fs::read(store.output_path(&id, step, attempt)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let Some(made) = record(&book, &read.records, &read.state, &output) else {
        return Err(CliError::usage(format!("run {id} has no beginning")));
    };
    for left in &made.left_open {
        say(context, &format!("runsheet: {left}\n"));
    }
    if !update {
        print(context, &format!("scenarios:\n{}", indented(&made.text, 2)))?;
        return Ok(0);
    }
    let path = Path::new(&header.origin);
    if header.origin == "built-in" || !path.is_file() {
        let error = CliError::usage(format!("{} has no file beside which scenarios could stand", header.runbook));
        return Err(error.hint("leave --update out to have the scenario on standard output"));
    }
    let book = Book { runbook: std::rc::Rc::new(book), names: std::rc::Rc::new(names) };
    write(context, &book, &scenarios_of(path), &made)
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// Adds the scenario to the file, if there is none of its name.
fn write(context: &Context, book: &Book, path: &Path, made: &Recorded) -> Result<u8, CliError> {
    let shown = path.display().to_string();
    // Two at once would each write what was there before the other. Held until this returns; a folder that cannot be
    // locked says so when the file is written.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _held = std::fs::File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
    let before = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(why) => return Err(CliError::usage(format!("could not read {shown}: {why}"))),
    };
    let mut text = String::from_utf8(before)
        .map_err(|_| CliError::new(code::INVALID, format!("{shown} is not UTF-8 text; nothing was written")))?;
    // A list begins where its first entry does; what is added stands in the same column.
    let by = text
        .lines()
        .find(|line| line.trim_start().starts_with("- "))
        .map_or(2, |line| line.chars().take_while(|c| *c == ' ').count());
    if text.trim().is_empty() {
        text = "scenarios:\n".to_owned();
    } else {
        let held = read(book, &shown, &text)?;
        if held.contains(&made.name) {
            let error = CliError::usage(format!("{shown} has a scenario `{}` already; nothing was written", made.name));
            return Err(error.hint("take that one out, or give it another name"));
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&indented(&made.text, by));
    // What is written can be read, and holds all that was there.
    read(book, &shown, &text)?;
    place::replace(path, text.as_bytes())
        .map_err(|why| CliError::new(code::FAILED, format!("could not write {shown}: {why}")))?;
    if !context.global.quiet {
        print(context, &format!("{shown} holds `{}` now\n", made.name))?;
    }
    tried(context, book, &shown, &text, made)
}

/// The names of the scenarios in a text.
fn read(book: &Book, shown: &str, text: &str) -> Result<Vec<String>, CliError> {
    let invalid = |source: &crate::text::Source, problems: &[Diagnostic]| {
        CliError::invalid(source, problems, crate::text::DrawStyle::default()).hint("no scenario was written")
    };
    let source =
        decode(shown.to_owned(), text.as_bytes().to_vec()).map_err(|(source, problem)| invalid(&source, &[problem]))?;
    let loaded = load(&source, book);
    if loaded.problems.iter().any(Diagnostic::is_error) {
        return Err(invalid(&source, &loaded.problems));
    }
    Ok(loaded.scenarios.into_iter().map(|scenario| scenario.name.value).collect())
}

/// Whether the run comes to the same end in the world that was made of it.
fn tried(context: &Context, book: &Book, shown: &str, text: &str, made: &Recorded) -> Result<u8, CliError> {
    let Ok(source) = decode(shown.to_owned(), text.as_bytes().to_vec()) else { return Ok(code::FAILED) };
    let loaded = load(&source, book);
    let Some(scenario) = loaded.scenarios.iter().find(|scenario| scenario.name.value == made.name) else {
        return Ok(code::FAILED);
    };
    let ran = run(book, &loaded.source, scenario);
    for finding in &ran.findings {
        print(context, &format!("\n{}", crate::text::draw(&finding.source, &finding.diagnostic, context.style())))?;
    }
    if ran.findings.is_empty() {
        return Ok(0);
    }
    say(context, "runsheet: it does not pass as it is: what the record does not tell has to be added\n");
    Ok(code::FAILED)
}
