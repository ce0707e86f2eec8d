//! Questions before the first step, when nothing else writes: parameters and typed secrets. Knows nothing of runs.
//!
//! A choice is inquire's list to move in, which people know. What is typed is a line, and its keys are those of every other
//! question: what was typed before it was shown is thrown away, Esc, Ctrl-C and the end of input are no answer, Ctrl-U and
//! Ctrl-W erase and are never part of a value, least of all of one that is not shown.

use inquire::{InquireError, Select};

use super::Terminal;
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
            InquireError::OperationCanceled => "nothing was chosen".into(),
            InquireError::OperationInterrupted => "interrupted".into(),
            InquireError::NotTTY => "there is no terminal".into(),
            other => other.to_string(),
        })
    }
}

/// Asks until `check` takes what was typed or chosen; its error is shown.
pub fn ask_param(prompt: &ParamPrompt<'_>, check: &dyn Fn(&str) -> Result<(), String>) -> Result<String, PromptError> {
    let label = row("", prompt.label);
    let mut head = label.clone();
    if let Some(help) = prompt.help {
        head.push_str(&row("  ", help));
    }
    if !prompt.choices.is_empty() {
        let help = prompt.help.map(|help| one_line(help).into_owned());
        let label = one_line(prompt.label);
        let mut select = Select::new(&label, prompt.choices.to_vec());
        if let Some(help) = &help {
            select = select.with_help_message(help);
        }
        let chosen = select.prompt()?;
        return check(&chosen).map(|()| chosen).map_err(PromptError);
    }
    loop {
        let typed = line(&head, "  > ", true)?;
        match check(&typed) {
            Ok(()) => return Ok(typed),
            Err(why) => head = row("  ", &why) + &label,
        }
    }
}

/// Asks without echo until `check` takes it.
pub fn ask_secret(label: &str, check: &dyn Fn(&Secret) -> Result<(), String>) -> Result<Secret, PromptError> {
    let label = row("", &format!("{label} (a secret: it is not shown and not recorded)"));
    let mut head = label.clone();
    loop {
        let secret = Secret::new(line(&head, "  > ", false)?);
        match check(&secret) {
            Ok(()) => return Ok(secret),
            Err(why) => head = row("  ", &why) + &label,
        }
    }
}

/// Asks for a yes; whatever else is typed is none.
pub fn ask_yes(label: &str) -> Result<bool, PromptError> {
    let typed = line("", &format!("{} (y/N) ", one_line(label)), true)?;
    Ok(matches!(typed.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn row(indent: &str, text: &str) -> String {
    format!("{indent}{}\n", one_line(text))
}

/// A line of the person. Whoever asks here is often in the middle of a runtime, which has nothing else to do until the
/// answer is there: the keys are read by a runtime of their own, on a thread of its own.
fn line(head: &str, prompt: &str, echo: bool) -> Result<String, PromptError> {
    let read = || -> Result<String, String> {
        let gone = |why: std::io::Error| format!("there is no terminal: {why}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(gone)?;
        // Opening it registers nothing; the keys do, inside the runtime.
        let terminal = Terminal::open("", false).map_err(gone)?;
        runtime.block_on(terminal.typed(head, prompt, echo))
    };
    let read = std::thread::scope(|scope| scope.spawn(read).join());
    match read {
        Ok(typed) => typed.map_err(PromptError),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
