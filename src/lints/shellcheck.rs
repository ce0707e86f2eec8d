//! What `shellcheck` is handed, and what it says in our words and at our places. Starts nothing: somebody else asks it.

use serde::Deserialize;

use super::look::Seen;
use crate::{
    model::{Loaded, Script},
    syntax::Text,
    text::{Diagnostic, Span, one_line},
};

const CODE: &str = "shellcheck";

/// A script as `shellcheck` is given it.
#[derive(Debug)]
pub struct Handed {
    /// Its name for the shell: `bash`, `sh`, `dash` or `ksh`.
    pub dialect: &'static str,
    pub text: String,
    script: Text,
    /// The line (from 1) in which something of ours stands before the author's words, and how many characters it is.
    ours: (usize, usize),
}

/// Every script that `shellcheck` can read, each once.
pub fn handed(loaded: &Loaded) -> Vec<Handed> {
    let Some(runbook) = &loaded.runbook else { return Vec::new() };
    let seen = Seen::of(runbook, &loaded.names);
    let given: Vec<&str> = runbook.requires.env.iter().map(|name| name.value.as_str()).collect();
    let mut found: Vec<Handed> = Vec::new();
    let mut told = std::collections::HashSet::new();
    for body in seen.bodies() {
        for script in body.action.parts().scripts {
            let Some(dialect) = script.shell.and_then(dialect) else { continue };
            if !told.insert(script.text.span) {
                continue;
            }
            let own = |word: &str| {
                loaded.names.contains(word)
                    || given.contains(&word)
                    || body.env.iter().any(|(name, _)| name.value == word)
            };
            found.push(hand(&script, dialect, &own));
        }
    }
    found
}

fn dialect(shell: &str) -> Option<&'static str> {
    Some(match shell {
        "bash" => "bash",
        "sh" => "sh",
        "dash" | "busybox" => "dash",
        "ksh" => "ksh",
        _ => return None,
    })
}

/// The script, with the options it runs under and the variables it is handed in front of its first command. They stand
/// in that line, so that a comment for `shellcheck` at the top stays at the top and no line moves.
fn hand(script: &Script<'_>, dialect: &'static str, own: &dyn Fn(&str) -> bool) -> Handed {
    let text = &script.text.text;
    let mut names: Vec<&str> = Vec::new();
    for word in words(text) {
        if own(word) && !names.contains(&word) {
            names.push(word);
        }
    }
    let options = if dialect == "bash" { "set -euo pipefail" } else { "set -eu" };
    let ours = match names.is_empty() {
        true => format!("{options}; "),
        false => format!("{options}; read -r {}; ", names.join(" ")),
    };
    let mut at = 0;
    let mut line = 1;
    for of in text.split_inclusive('\n') {
        if !of.trim().is_empty() && !of.trim_start().starts_with('#') {
            break;
        }
        at += of.len();
        line += 1;
    }
    let whole = format!("{}{ours}{}", &text[..at], &text[at..]);
    Handed { dialect, text: whole, script: script.text.clone(), ours: (line, ours.chars().count()) }
}

/// Every word that could be a name.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

#[derive(Deserialize)]
struct Said {
    comments: Vec<Comment>,
}

/// <https://github.com/koalaman/shellcheck>, `--format=json1`: lines and columns count from 1, columns characters.
#[derive(Deserialize)]
struct Comment {
    file: String,
    line: usize,
    #[serde(rename = "endLine")]
    end_line: usize,
    column: usize,
    #[serde(rename = "endColumn")]
    end_column: usize,
    code: u32,
    message: String,
}

/// What it said about scripts, of which each was handed over under a name. The error is a fragment.
pub fn heard(handed: &[(&str, &Handed)], said: &[u8]) -> Result<Vec<Diagnostic>, String> {
    let said: Said = serde_json::from_slice(said).map_err(|why| format!("what it said is not understood: {why}"))?;
    let mut found = Vec::new();
    for comment in said.comments {
        let Some((_, script)) = handed.iter().find(|(name, _)| *name == comment.file) else { continue };
        found.extend(script.place(&comment));
    }
    Ok(found)
}

impl Handed {
    fn place(&self, comment: &Comment) -> Option<Diagnostic> {
        let start = self.offset(comment.line, comment.column)?;
        let end = self.offset(comment.end_line, comment.end_column).unwrap_or(start).max(start);
        let span = self.script.map.span(start..end);
        let message = one_line(comment.message.trim());
        Some(
            Diagnostic::warning(CODE, span, format!("SC{:04}: {message}", comment.code))
                .label("says shellcheck")
                .hint(format!("https://www.shellcheck.net/wiki/SC{:04}", comment.code)),
        )
    }

    /// Where a place of what was handed over stands in the script; none for what is ours.
    fn offset(&self, line: usize, column: usize) -> Option<usize> {
        let mut column = column.checked_sub(1)?;
        if line == self.ours.0 {
            column = column.checked_sub(self.ours.1)?;
        }
        let text = &self.script.text;
        let start = match line {
            0 => return None,
            1 => 0,
            _ => text.match_indices('\n').nth(line - 2)?.0 + 1,
        };
        let of = text[start..].split('\n').next().unwrap_or("");
        Some(start + of.char_indices().nth(column).map_or(of.len(), |(at, _)| at))
    }
}

/// Nobody could ask it.
pub fn silent(why: &str) -> Diagnostic {
    Diagnostic::warning(CODE, Span::at(0), format!("shellcheck did not look at the scripts: {}", one_line(why)))
        .hint("see that it runs, or do without it: --no-shellcheck")
}
