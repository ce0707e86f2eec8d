//! Errors of the command line: a message, hints apart from it, and the exit code. Knows nothing of what failed.

use crate::{
    journal::StoreError,
    library::LibraryError,
    text::{DrawStyle, Source, draw_all, one_line},
};

pub(super) use super::code;

/// What is printed before the program ends with a code.
#[derive(Debug)]
pub struct CliError {
    pub code: u8,
    /// Complete lines; empty where everything was said already.
    pub message: String,
    pub hints: Vec<String>,
}

impl CliError {
    pub fn new(code: u8, message: impl Into<String>) -> CliError {
        CliError { code, message: message.into(), hints: Vec::new() }
    }

    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new(code::USAGE, message)
    }

    /// Everything was said already.
    pub fn silent(code: u8) -> CliError {
        CliError::new(code, "")
    }

    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hints.push(hint.into());
        self
    }

    /// A runbook that is not well made, drawn.
    pub fn invalid(source: &Source, problems: &[crate::text::Diagnostic], style: DrawStyle) -> CliError {
        let errors = problems.iter().filter(|problem| problem.is_error()).count();
        let drawn = draw_all(source, problems, style);
        let count = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
        CliError::new(code::INVALID, format!("{drawn}\n{}: {count}; nothing was run", source.name()))
    }
}

impl From<LibraryError> for CliError {
    fn from(error: LibraryError) -> CliError {
        let message = format!("could not {error}");
        match error {
            LibraryError::NoSuchName { near: Some(near), .. } => {
                CliError::usage(message).hint(format!("did you mean `{near}`?"))
            }
            LibraryError::NoSuchName { .. } => CliError::usage(message).hint("`runsheet list` shows every name"),
            LibraryError::Read { .. } => CliError::usage(message),
            LibraryError::TooLarge { .. } => CliError::new(code::INVALID, message),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        // Names of runs, locks and people come from outside, and from other machines.
        let message = format!("could not {}", one_line(&error.to_string()));
        match error {
            StoreError::Locked(_) => CliError::new(code::LOCKED, message),
            StoreError::Write { .. } => CliError::new(code::JOURNAL, message),
            StoreError::NoLocks { .. } => CliError::new(code::JOURNAL, message)
                .hint("nothing was run; keep runs on a disk of this machine: --state-dir FOLDER, or XDG_STATE_HOME")
                .hint("to go on with a run that is there already, copy that folder and resume from the copy"),
            StoreError::NoSuchRun(_) => CliError::usage(message).hint("`runsheet history` lists the runs"),
            StoreError::Ambiguous { .. } => CliError::usage(message).hint("give more of the id"),
            StoreError::BadLine { .. } | StoreError::Damaged { .. } => {
                CliError::new(code::NOT_VERIFIED, message).hint("`runsheet verify` says what is wrong with it")
            }
            StoreError::Newer { .. } => CliError::new(code::REQUIREMENT, message)
                .hint("`runsheet report` and `runsheet verify` read it; go on with it with the version that wrote it"),
            StoreError::NoStateDir(_) => CliError::usage(message).hint("give one with --state-dir"),
            _ => CliError::new(code::JOURNAL, message),
        }
    }
}
