//! `__complete`: which words may stand where somebody presses Tab. Reads the line as the parser would, as far as it goes;
//! never fails, asks nobody, and knows no runbook.

use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};

use super::candidates::{Candidate, Candidates};
use crate::cli::{
    Context,
    args::{Args, Complete},
    print,
};

/// What was typed before the word at the cursor.
#[derive(Default)]
pub struct Line {
    pub verb: Option<String>,
    /// Words that are neither a flag nor its value, behind the verb.
    pub positionals: Vec<String>,
    /// Flags that were given, by the parser's name for them, with their values.
    pub flags: Vec<(String, Option<String>)>,
}

impl Line {
    /// The values of a flag.
    pub fn values<'l>(&'l self, id: &'l str) -> impl Iterator<Item = &'l str> {
        self.flags.iter().filter(move |(known, _)| known == id).filter_map(|(_, value)| value.as_deref())
    }
}

/// Whatever goes wrong, a Tab that finds nothing is all that comes of it.
pub fn complete(context: &Context, flags: &Complete) -> u8 {
    let words: Vec<String> = flags.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Args::command();
    command.build();
    let Some((current, before)) = words.split_last() else { return 0 };
    let mut text = String::new();
    for candidate in candidates(context, &command, before, current) {
        let plain = |text: &str| crate::text::one_line(text).replace('\t', " ");
        text.push_str(&plain(&candidate.value));
        if !candidate.about.is_empty() {
            text.push('\t');
            text.push_str(&plain(&candidate.about));
        }
        text.push('\n');
    }
    let _ = print(context, &text);
    0
}

fn candidates(context: &Context, root: &Command, before: &[String], current: &str) -> Vec<Candidate> {
    let mut line = Line::default();
    let mut command = root;
    // The flag whose value comes next.
    let mut pending: Option<&Arg> = None;
    let mut only_words = false;
    for word in before {
        if let Some(arg) = pending.take() {
            line.flags.push((arg.get_id().to_string(), Some(word.clone())));
        } else if only_words || !word.starts_with('-') || word == "-" {
            match command.find_subcommand(word) {
                Some(verb) if line.verb.is_none() => {
                    line.verb = Some(verb.get_name().to_owned());
                    command = verb;
                }
                // A verb that there is not.
                None if line.verb.is_none() => return Vec::new(),
                _ => line.positionals.push(word.clone()),
            }
        } else if word == "--" {
            only_words = true;
        } else {
            pending = flag(command, word, &mut line);
        }
    }
    let source = Candidates { context, line: &line, command };
    if let Some(arg) = pending {
        return values(&source, arg, current, "");
    }
    if !only_words && current.starts_with('-') {
        if let Some((name, value)) = current.split_once('=') {
            let arg = name.strip_prefix("--").and_then(|name| long(command, name));
            return arg.map(|arg| values(&source, arg, value, &format!("{name}="))).unwrap_or_default();
        }
        return flags(command, &line, current);
    }
    if line.verb.is_none() {
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        return begins(current, verbs.map(|verb| Candidate::new(verb.get_name(), about(verb.get_about()))));
    }
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let at = line.positionals.len();
    let arg = positionals.get(at).copied().or_else(|| {
        // The last one may take several.
        positionals.last().copied().filter(|arg| matches!(arg.get_action(), ArgAction::Append))
    });
    arg.map(|arg| values(&source, arg, current, "")).unwrap_or_default()
}

/// Notes a flag; the answer is that flag if the next word is its value.
fn flag<'c>(command: &'c Command, word: &str, line: &mut Line) -> Option<&'c Arg> {
    if let Some(name) = word.strip_prefix("--") {
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let arg = long(command, name)?;
        if value.is_none() && takes_next(arg) {
            return Some(arg);
        }
        line.flags.push((arg.get_id().to_string(), value));
        return None;
    }
    let letters = word.trim_start_matches('-');
    for (at, letter) in letters.char_indices() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        let rest = &letters[at + letter.len_utf8()..];
        if takes_next(arg) {
            if rest.is_empty() {
                return Some(arg);
            }
            line.flags.push((arg.get_id().to_string(), Some(rest.trim_start_matches('=').to_owned())));
            return None;
        }
        line.flags.push((arg.get_id().to_string(), None));
    }
    None
}

fn long<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

/// Whether its value is the next word, and not one behind `=`.
fn takes_next(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_require_equals_set()
}

fn flags(command: &Command, line: &Line, current: &str) -> Vec<Candidate> {
    let given = |arg: &Arg| {
        !matches!(arg.get_action(), ArgAction::Append) && line.flags.iter().any(|(id, _)| id == arg.get_id().as_str())
    };
    let all = command.get_arguments().filter(|arg| !arg.is_hide_set() && !given(arg));
    begins(
        current,
        all.filter_map(|arg| Some(Candidate::new(&format!("--{}", arg.get_long()?), about(arg.get_help())))),
    )
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn begins(current: &str, all: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    all.filter(|candidate| candidate.value.starts_with(current)).collect()
}

/// What may be the value of a flag or an argument. `prefix` stands before it in the same word.
fn values(source: &Candidates<'_>, arg: &Arg, current: &str, prefix: &str) -> Vec<Candidate> {
    let possible = arg.get_possible_values();
    let found = if !possible.is_empty() && !matches!(arg.get_action(), ArgAction::SetTrue) {
        let words = possible.iter().filter(|word| !word.is_hide_set());
        begins(current, words.map(|word| Candidate::new(word.get_name(), about(word.get_help()))))
    } else if let Some(found) = source.of(arg.get_id().as_str(), value_name(arg), current) {
        found
    } else if arg.get_value_hint() == ValueHint::AnyPath {
        // A shell knows better how files are completed.
        return vec![if value_name(arg) == "DIR" { Candidate::folders() } else { Candidate::files() }];
    } else {
        Vec::new()
    };
    found
        .into_iter()
        .map(|mut candidate| {
            if !candidate.is_files() {
                candidate.value.insert_str(0, prefix);
            }
            candidate
        })
        .collect()
}

fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str())
}
