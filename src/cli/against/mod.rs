//! `plan --against`: what a runbook, or every one of a folder, does that another version does not. Runs nothing of them;
//! the one program that may be started is `git`, to read a revision.

mod callers;
mod folder;
pub mod json;
mod shelf;
mod single;
pub mod text;

use std::{io::IsTerminal, path::Path};

use super::{CliError, Context, args::Plan as PlanFlags, error::code, print};
use crate::{
    kinds::registry,
    model::relative_path,
    plan::{Change, Compared, Comparison, Version, What, compare},
    render,
    text::nearest,
};
use shelf::{Book, Shelf, as_text};

pub fn against(context: &Context, flags: &PlanFlags, other: &str) -> Result<u8, CliError> {
    let wanted = wanted(&flags.fail_on)?;
    let comparison = compared(context, &flags.inputs.runbook, other)?;
    let found = comparison.found(&wanted);
    let words: Vec<&str> = found.iter().map(|what| what.word()).collect();
    let text = if flags.json {
        format!("{}\n", json::json(&comparison, &words))
    } else if flags.markdown {
        render::compared(&comparison, &words)
    } else {
        text::text(&comparison, context.color(std::io::stdout().is_terminal()))
    };
    print(context, &text)?;
    if words.is_empty() {
        return Ok(0);
    }
    super::say(context, &format!("runsheet: --fail-on: {}\n", words.join(", ")));
    Ok(code::FAILED)
}

/// A runbook, or every one of a folder, with another version.
pub fn compared(context: &Context, word: &str, other: &str) -> Result<Comparison, CliError> {
    match is_folder(context, word) {
        true => folder::compared(context, Path::new(word), other),
        false => single::compared(context, word, other),
    }
}

/// A folder is meant where no runbook can be.
fn is_folder(context: &Context, word: &str) -> bool {
    Path::new(word).is_dir() && (word.contains('/') || context.library().find(word).is_err())
}

/// The kinds of difference that are a failure.
pub fn wanted(words: &[String]) -> Result<Vec<What>, CliError> {
    let mut wanted = Vec::new();
    for word in words {
        let Some(what) = What::of(word) else {
            let all: Vec<&str> = What::ALL.iter().map(|what| what.word()).collect();
            let error = CliError::usage(format!("there is no kind of difference `{word}` for --fail-on"));
            return Err(match nearest(word, all.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("there are {}", all.join(", "))),
            });
        };
        wanted.push(what);
    }
    Ok(wanted)
}

/// The new version must be well made: what it does is the question.
fn well_made(context: &Context, book: &Book) -> Result<(), CliError> {
    match book.runbook() {
        Some(_) => Ok(()),
        None => Err(CliError::invalid(&book.loaded.source, &book.loaded.problems, context.style())),
    }
}

fn version(book: &Book) -> Option<Version<'_>> {
    Some(Version { runbook: book.runbook()?, names: &book.loaded.names })
}

/// Both versions of one runbook; the old one may not be there, or not be readable.
fn pair(old: Option<(&Shelf, &Book)>, new: Option<(&Shelf, &Book)>) -> Compared {
    let of = |side: Option<(&Shelf, &Book)>| side.map(|(_, book)| book.shown.clone());
    let mut compared = Compared {
        name: new.or(old).map(|(_, book)| book.name.clone()).unwrap_or_default(),
        before: of(old),
        after: of(new),
        ..Compared::default()
    };
    if let (Some((_, old)), Some(_)) = (old, new)
        && let (None, Some(wrong)) = (old.runbook(), old.wrong())
    {
        compared
            .notes
            .push(format!("the old version could not be read, so all of the new one counts as added: {wrong}"));
    }
    let versions = [old, new].map(|side| side.and_then(|(_, book)| version(book)));
    let same = matches!((old, new), (Some((_, old)), Some((_, new))) if old.bytes == new.bytes);
    if !same {
        compared.changes = compare(versions[0], versions[1], registry());
    }
    if let (Some(old), Some(new)) = (old, new) {
        files(old, new, &mut compared.changes);
        compared.changes.sort_by_key(Change::weight);
    }
    compared
}

/// Files that are taken along, and that have other contents.
fn files(old: (&Shelf, &Book), new: (&Shelf, &Book), changes: &mut Vec<Change>) {
    let (before, after) = (old.0.files(old.1), new.0.files(new.1));
    let mut names: Vec<&String> = after.keys().collect();
    names.extend(before.keys().filter(|name| !after.contains_key(*name)));
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        // That a version takes it along at all is told with what the runbook says.
        if was == is || !takes_along(old.1, name) || !takes_along(new.1, name) {
            continue;
        }
        let how = match (was, is) {
            (None, _) => "is there now",
            (_, None) => "is gone",
            _ => "has other contents",
        };
        let text = |bytes: Option<&Vec<u8>>| bytes.and_then(|bytes| as_text(bytes));
        let text = |bytes: Option<&Vec<u8>>| text(bytes).or_else(|| Some(format!("{} bytes", bytes?.len())));
        changes.push(Change {
            whats: vec![What::FileChanged],
            step: None,
            part: format!("files.{name}"),
            says: format!("the file {name} {how}"),
            before: text(was),
            after: text(is),
            complete: false,
        });
    }
}

fn takes_along(book: &Book, name: &str) -> bool {
    let files = book.runbook().into_iter().flat_map(|runbook| &runbook.files);
    let mut paths = files.filter_map(|file| relative_path(file.source().trim_end()).ok());
    paths.any(|path| name.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// What a comparison was asked of.
fn asked(before: String, after: String) -> Comparison {
    Comparison { before, after, ..Comparison::default() }
}
