//! One runbook and another version of it: of a revision, in a file or a folder, or what is built in.

use std::path::{Path, PathBuf};

use super::{
    asked, callers, pair,
    shelf::{Book, Shelf, tree, with_folder},
    version, well_made,
};
use crate::{
    cli::{CliError, Context, source},
    kinds::registry,
    library::Library,
    plan::{Change, Comparison, What, likeness},
};

/// Two runbooks of which at least this share of the steps does the same are one that has another name now.
pub const SAME: f64 = 0.5;

pub fn compared(context: &Context, word: &str, other: &str) -> Result<Comparison, CliError> {
    let here = Shelf::disk(context.library());
    let new = here.read(source::find(context, word)?);
    well_made(context, &new)?;
    let (there, old, renamed) = earlier(context, &here, &new, other)?;
    if let Some(old) = &old {
        well_made(context, old)?;
    }
    let before = there.shown().or_else(|| old.as_ref().map(|old| old.shown.clone())).unwrap_or_default();
    let mut comparison = asked(before, new.shown.clone());
    let mut own = pair(old.as_ref().map(|old| (&there, old)), Some((&here, &new)));
    if let (true, Some(old)) = (renamed, &old) {
        own.changes.push(renaming(old, &new));
        own.changes.sort_by_key(Change::weight);
    }
    if old.is_none() {
        own.notes.push(format!("{} has no such file: all of it counts as added", comparison.before));
    }
    comparison.looked_at = 1;
    comparison.runbooks.push(own);
    if let (Some(old), Some(new)) = (old.as_ref().and_then(Book::runbook), new.runbook()) {
        for mut callee in callers::changed(old, new, &|_| false) {
            let books = std::iter::once(new).chain(new.callees().into_iter().map(|callee| &*callee.runbook));
            callee.called_by = callers::of(books, &callee.name);
            comparison.runbooks.push(callee);
        }
    }
    comparison.runbooks.retain(|of| !of.changes.is_empty() || !of.notes.is_empty());
    Ok(comparison)
}

pub fn renaming(old: &Book, new: &Book) -> Change {
    Change {
        whats: vec![What::RunbookRenamed],
        step: None,
        part: String::new(),
        says: format!("is called {} and no longer {}", new.name, old.name),
        before: Some(old.name.clone()),
        after: Some(new.name.clone()),
        complete: true,
    }
}

/// The other version, and whether it stood under another name.
fn earlier(context: &Context, here: &Shelf, new: &Book, other: &str) -> Result<(Shelf, Option<Book>, bool), CliError> {
    let path = Path::new(other);
    let looks_like_path = other.contains('/') || other.ends_with(".yaml") || other == "." || other == "..";
    if looks_like_path && path.exists() {
        return at_path(context, new, path);
    }
    if let Some(name) = other.strip_prefix("built-in:") {
        let found = built_in(name.trim_end_matches(".yaml"));
        let found = found.ok_or_else(|| CliError::usage(format!("could not find the built-in runbook {name}")))?;
        return Ok((here.clone(), Some(here.read(found)), false));
    }
    let refused = match &new.path {
        None => CliError::usage(format!("{} is built in, and has no revisions", new.name))
            .hint("compare it with a file: --against ./FILE"),
        Some(file) => match tree(other, folder_of(file)) {
            Ok(tree) => {
                let there = here.revision(tree);
                let found = there.open(file)?;
                let renamed = found.is_none();
                let found = match found {
                    Some(found) => Some(found),
                    None => moved(&there, new)?,
                };
                let renamed = renamed && found.is_some();
                return Ok((there, found, renamed));
            }
            Err(refused) => refused,
        },
    };
    if path.exists() {
        return at_path(context, new, path);
    }
    match named(context, new, other) {
        Some(found) => Ok((here.clone(), Some(here.read(found)), false)),
        None => Err(refused),
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file, or the file of the same name below a folder.
fn at_path(context: &Context, new: &Book, path: &Path) -> Result<(Shelf, Option<Book>, bool), CliError> {
    if !path.is_dir() {
        let there = Shelf::disk(context.library());
        let book = there.open(path)?;
        return Ok((there, book, false));
    }
    let there = Shelf::disk(with_folder(context, path));
    let last = new.path.as_deref().and_then(Path::file_name).map(PathBuf::from);
    let below = [Some(PathBuf::from(format!("{}.yaml", new.name))), last];
    for file in below.into_iter().flatten().map(|file| path.join(file)) {
        if let Some(book) = there.open(&file)? {
            return Ok((there, Some(book), false));
        }
    }
    Err(CliError::usage(format!("could not find {}.yaml below {}", new.name, path.display())))
}

/// A runbook of the library by its name; that of a file which hides what is built in is what it hides.
fn named(context: &Context, new: &Book, name: &str) -> Option<crate::library::Found> {
    let found = context.library().find(name).ok()?;
    let same = |path: &Path| new.path.as_deref().is_some_and(|own| own.canonicalize().ok() == path.canonicalize().ok());
    match &found.origin {
        crate::library::Origin::File(path) if same(path) => built_in(name),
        _ => Some(found),
    }
}

fn built_in(name: &str) -> Option<crate::library::Found> {
    Library::built_in().into_iter().find(|found| found.name == name)
}

/// The runbook of a revision that is gone from its place and does the same as one that was not there.
fn moved(there: &Shelf, new: &Book) -> Result<Option<Book>, CliError> {
    /// More than this and the search is not worth it.
    const MOST: usize = 200;
    let mut best: Option<(f64, Book)> = None;
    for path in there.gone()?.into_iter().take(MOST) {
        let Some(book) = there.open(&path)? else { continue };
        let (Some(a), Some(b)) = (version(&book), version(new)) else { continue };
        let alike = likeness(a, b, registry());
        if alike >= SAME && best.as_ref().is_none_or(|(most, _)| alike > *most) {
            best = Some((alike, book));
        }
    }
    Ok(best.map(|(_, book)| book))
}
