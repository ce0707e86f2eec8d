//! The command line: one file per verb. Everything it decides is which parts of the library meet.

mod against;
mod answers;
mod args;
mod check;
mod ci;
mod code;
mod completions;
mod doctor;
mod eject;
mod env;
mod error;
mod explain;
mod files;
mod frozen;
mod history;
mod inputs;
mod list;
mod man;
mod new;
mod outcome;
mod place;
mod plan;
mod planned;
mod probe;
mod prune;
mod rehearse;
mod render;
mod report;
mod resume;
mod run;
mod schema;
mod search;
mod session;
mod sign;
mod source;
mod suspend;
mod test;
mod triage;
mod verify;

use std::io::Write;

use clap::{CommandFactory, Parser};

pub use code::{ALL as EXIT_CODES, ExitCode};
pub use error::CliError;

use crate::{event::Redactor, text::DrawStyle};

/// What every verb is given.
pub(crate) struct Context {
    pub global: args::Global,
    pub redactor: Redactor,
}

impl Context {
    pub fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    pub fn library(&self) -> crate::library::Library {
        crate::library::Library::new(&self.global.library, &Context::variable)
    }

    pub fn store(&self) -> Result<crate::journal::RunStore, CliError> {
        let dir = match &self.global.state_dir {
            Some(dir) => std::path::absolute(dir)
                .map_err(|why| CliError::usage(format!("could not use --state-dir {}: {why}", dir.display())))?,
            None => crate::journal::default_state_dir(|name| std::env::var_os(name))?,
        };
        Ok(crate::journal::RunStore::new(std::rc::Rc::new(crate::journal::DiskStorage), dir))
    }

    /// Colours on standard error.
    pub fn style(&self) -> DrawStyle {
        DrawStyle { color: self.color(std::io::IsTerminal::is_terminal(&std::io::stderr())) }
    }

    pub fn color(&self, terminal: bool) -> bool {
        match self.global.color {
            args::Color::Always => true,
            args::Color::Never => false,
            args::Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// Everything that can be typed, for documents and tests.
pub fn command() -> clap::Command {
    args::Args::command()
}

/// Runs the program; the answer is its exit code.
pub fn main() -> u8 {
    let redactor = Redactor::new();
    env::prepare(&redactor);
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no mistakes; a closed pipe here is nobody's.
            let _ = error.print();
            return if error.use_stderr() { error::code::USAGE } else { 0 };
        }
    };
    let context = Context { global: args.global, redactor: redactor.clone() };
    let result = match args.verb {
        args::Verb::List(flags) => list::list(&context, &flags),
        args::Verb::Show(flags) => list::show(&context, &flags),
        args::Verb::Check(flags) => check::check(&context, &flags),
        args::Verb::Ci(flags) => ci::ci(&context, &flags),
        args::Verb::Plan(flags) => plan::plan(&context, &flags),
        args::Verb::Run(flags) if flags.dry_run => plan::dry_run(&context, &flags),
        args::Verb::Run(flags) => run::run(&context, &flags),
        args::Verb::Resume(flags) => resume::resume(&context, &flags),
        args::Verb::History(flags) => history::history(&context, &flags),
        args::Verb::Report(flags) => report::report(&context, &flags),
        args::Verb::Verify(flags) => verify::verify(&context, &flags),
        args::Verb::Render(flags) => render::render(&context, &flags),
        args::Verb::Prune(flags) => prune::prune(&context, &flags),
        args::Verb::Search(flags) => search::search(&context, &flags),
        args::Verb::New(flags) => new::new(&context, &flags),
        args::Verb::Eject(flags) => eject::eject(&context, &flags),
        args::Verb::Schema(flags) => schema::schema(&context, &flags),
        args::Verb::Doctor(flags) => doctor::doctor(&context, &flags),
        args::Verb::Completions(flags) => completions::completions(&context, &flags),
        args::Verb::Complete(flags) => Ok(completions::complete(&context, &flags)),
        args::Verb::Man(flags) => man::man(&context, &flags),
        args::Verb::Undo(flags) => resume::undo(&context, &flags),
        args::Verb::Test(flags) => test::test(&context, &flags),
        args::Verb::Rehearse(flags) => rehearse::rehearse(&context, &flags),
        args::Verb::Replay(_) => later("replay"),
        args::Verb::Triage(flags) => triage::triage(&context, &flags),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let mut text = String::new();
            if !error.message.is_empty() {
                let first = error.message.lines().next().unwrap_or("");
                // Drawn diagnostics begin with their own word.
                if !first.starts_with("error") && !first.starts_with("warning") && !first.starts_with('\u{1b}') {
                    text.push_str("runsheet: ");
                }
                text.push_str(error.message.trim_end());
                text.push('\n');
            }
            for hint in &error.hints {
                text.push_str(&format!("  hint: {hint}\n"));
            }
            let text = redactor.text(&text).into_owned();
            let _ = std::io::stderr().write_all(text.as_bytes());
            error.code
        }
    }
}

/// A verb of a later version: nothing was done, and nothing else is suggested.
fn later(verb: &str) -> Result<u8, CliError> {
    Err(CliError::usage(format!("`{verb}` is not supported yet; nothing was done")))
}

/// Writes to standard output. A reader that has gone away has seen enough.
pub(crate) fn print(context: &Context, text: &str) -> Result<(), CliError> {
    let text = context.redactor.text(text);
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(CliError::silent(code::PIPE)),
        Err(error) => Err(CliError::new(error::code::FAILED, format!("could not write to standard output: {error}"))),
    }
}

/// Writes to standard error; nothing can be done where that fails.
pub(crate) fn say(context: &Context, text: &str) {
    let text = context.redactor.text(text);
    let _ = std::io::stderr().write_all(text.as_bytes());
}
