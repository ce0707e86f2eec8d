//! Questions before the first step, when nothing else writes: parameters and typed secrets. Knows nothing of runs.
//!
//! These use inquire, whose editing, choosing and paging a person expects at a form. Questions *during* a run are put by
//! `terminal`, which must be able to be called off, to throw typed-ahead keys away and to end with its terminal.

use inquire::{Confirm, InquireError, Password, PasswordDisplayMode, Select, Text};

use crate::{text::one_line, value::Secret};

/// A parameter that a person is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParamPrompt<'a> {
    pub label: &'a str,
    pub help: Option<&'a str>,
    pub choices: &'a [String],
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PromptError(pub String);

impl From<InquireError> for PromptError {
    fn from(error: InquireError) -> PromptError {
        PromptError(match error {
            InquireError::OperationCanceled => "nothing was typed".into(),
            InquireError::OperationInterrupted => "interrupted".into(),
            InquireError::NotTTY => "there is no terminal".into(),
            other => other.to_string(),
        })
    }
}

/// Asks until `check` takes what was typed; its error is shown.
pub fn ask_param(prompt: &ParamPrompt<'_>, check: &dyn Fn(&str) -> Result<(), String>) -> Result<String, PromptError> {
    let label = one_line(prompt.label).into_owned();
    let help = prompt.help.map(|help| one_line(help).into_owned());
    loop {
        let typed = if prompt.choices.is_empty() {
            let mut text = Text::new(&label);
            if let Some(help) = &help {
                text = text.with_help_message(help);
            }
            text.prompt()?
        } else {
            let mut select = Select::new(&label, prompt.choices.to_vec());
            if let Some(help) = &help {
                select = select.with_help_message(help);
            }
            select.prompt()?
        };
        match check(&typed) {
            Ok(()) => return Ok(typed),
            Err(why) => complain(&why),
        }
    }
}

/// Asks without echo until `check` takes it.
pub fn ask_secret(label: &str, check: &dyn Fn(&Secret) -> Result<(), String>) -> Result<Secret, PromptError> {
    let label = one_line(label).into_owned();
    loop {
        let typed = Password::new(&label)
            .with_display_mode(PasswordDisplayMode::Hidden)
            .without_confirmation()
            .with_help_message("it is not shown and not recorded")
            .prompt()?;
        let secret = Secret::new(typed);
        match check(&secret) {
            Ok(()) => return Ok(secret),
            Err(why) => complain(&why),
        }
    }
}

/// Asks for a yes; whatever else is typed is none.
pub fn ask_yes(label: &str) -> Result<bool, PromptError> {
    Ok(Confirm::new(&one_line(label)).with_default(false).prompt()?)
}

fn complain(why: &str) {
    use std::io::Write;
    // A terminal that is gone shows nothing; the next prompt says so.
    let _ = writeln!(std::io::stderr(), "  {}", one_line(why));
}
