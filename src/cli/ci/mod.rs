//! `ci`: everything that a change of runbooks is judged by, in one go and with one summary. Runs no step of a runbook, asks
//! nobody, and writes nothing but the summary.

mod parts;
mod summary;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use super::{
    CliError, Context, against,
    args::{Ci, CiFormat},
    check::github,
    error::code,
    print, say,
};

/// What one part came to. Each part is run whatever became of the others.
pub struct Part {
    /// Its word in every format.
    pub name: &'static str,
    pub state: State,
    pub code: u8,
    /// One line.
    pub says: String,
    /// For people, drawn; ends in a line feed unless it is empty.
    pub text: String,
    /// The same, where a page shows it better than a block of text.
    pub markdown: Option<String>,
    /// Workflow commands of GitHub Actions.
    pub commands: String,
    /// For programs: what was found, in the form of the verb that finds it.
    pub found: serde_json::Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Passed,
    Failed,
    /// Nothing said what it is to be held against.
    LeftOut,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Passed => "passed",
            State::Failed => "failed",
            State::LeftOut => "left_out",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            State::LeftOut => "left out",
            other => other.name(),
        }
    }
}

impl Part {
    /// With nothing to tell but its line.
    pub fn said(name: &'static str, code: u8, says: String) -> Part {
        let state = if code == code::SUCCEEDED { State::Passed } else { State::Failed };
        let (text, commands) = (String::new(), String::new());
        Part { name, state, code, says, text, markdown: None, commands, found: serde_json::Value::Array(Vec::new()) }
    }

    fn left_out(name: &'static str, why: &str) -> Part {
        Part { state: State::LeftOut, ..Part::said(name, code::SUCCEEDED, why.to_owned()) }
    }

    /// It could not be done.
    fn broken(name: &'static str, error: CliError) -> Part {
        let mut lines = error.message.trim_end().lines();
        let says = lines.next_back().unwrap_or_default().to_owned();
        let mut text: String = lines.map(|line| format!("{line}\n")).collect();
        text.extend(error.hints.iter().map(|hint| format!("hint: {hint}\n")));
        let commands = github::error(None, name, &format!("{says}\n{}", error.hints.join("\n")));
        Part { text, commands, ..Part::said(name, error.code, says) }
    }
}

pub fn ci(context: &Context, flags: &Ci) -> Result<u8, CliError> {
    let default = vec!["runbooks".to_owned()];
    let paths = if flags.paths.is_empty() { &default } else { &flags.paths };
    let wanted = against::wanted(&flags.fail_on)?;
    let color = flags.format == CiFormat::Text && context.color(std::io::stdout().is_terminal());
    let whole = parts::all(context, flags, paths, &wanted, color);
    let code = weightiest(whole.iter().map(|part| part.code));
    let out = match flags.format {
        CiFormat::Text => summary::text(&whole, code, context.global.quiet, color),
        CiFormat::Github => {
            let commands: String = whole.iter().map(|part| part.commands.as_str()).collect();
            format!("{commands}{}", summary::table(&whole, code, false))
        }
        CiFormat::Json => format!("{}\n", summary::json(&whole, code)),
    };
    let page = context.redactor.text(&summary::markdown(&whole, code)).into_owned();
    // Whoever reads the output may go away; the summary is written all the same.
    let printed = print(context, &out);
    let written = write_summary(flags, &page);
    let code = match &written {
        Ok(()) => code,
        Err(error) => {
            say(context, &format!("runsheet: {}\n", error.message));
            weightiest([code, error.code])
        }
    };
    printed.map(|()| code)
}

/// What was named is written anew; the page of a job is added to, as GitHub wants it.
fn write_summary(flags: &Ci, page: &str) -> Result<(), CliError> {
    let fail = |path: &Path, why: std::io::Error| {
        CliError::new(code::FAILED, format!("could not write the summary to {}: {why}", path.display()))
    };
    if let Some(path) = &flags.summary {
        return std::fs::write(path, page).map_err(|why| fail(path, why));
    }
    let of_job = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = of_job.filter(|_| flags.format == CiFormat::Github) else { return Ok(()) };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(page.as_bytes())).map_err(|why| fail(&path, why))
}

/// Of the codes of all parts the one that says most: a fault of ours, then what was asked wrongly, then runbooks that
/// cannot be run, then what is missing, then whatever else failed.
pub fn weightiest(codes: impl IntoIterator<Item = u8>) -> u8 {
    let weight = |code: u8| match code {
        code::SUCCEEDED => 0,
        code::FAILED => 1,
        code::REQUIREMENT => 3,
        code::INVALID => 4,
        code::USAGE => 5,
        code::FAULT => 6,
        _ => 2,
    };
    codes.into_iter().max_by_key(|code| weight(*code)).unwrap_or(code::SUCCEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_that_says_most_wins() {
        assert_eq!(weightiest([]), 0);
        assert_eq!(weightiest([0, 1, 0]), 1);
        assert_eq!(weightiest([1, 4, 3]), 3);
        assert_eq!(weightiest([3, 2, 1]), 2);
        assert_eq!(weightiest([70, 2]), 70);
        assert_eq!(weightiest([1, 4]), 4);
    }
}
