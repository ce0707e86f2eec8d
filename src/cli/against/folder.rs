//! Every runbook below a folder and another version of them all: a revision, or another folder.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    asked, callers, pair,
    shelf::{Book, Shelf, tree, with_folder},
    single::{SAME, renaming},
    version, well_made,
};
use crate::{
    cli::{CliError, Context},
    kinds::registry,
    model::Runbook,
    plan::{Change, Compared, Comparison, likeness},
};

pub fn compared(context: &Context, folder: &Path, other: &str) -> Result<Comparison, CliError> {
    let here = Shelf::disk(with_folder(context, folder));
    let (there, before) = earlier(context, &here, folder, other)?;
    let mut comparison = asked(there.shown().unwrap_or_else(|| other.to_owned()), folder.display().to_string());
    let (old, new) = (there.list(&before)?, here.list(folder)?);
    let paths: BTreeSet<&PathBuf> = old.iter().chain(&new).collect();
    if paths.is_empty() {
        return Err(CliError::usage(format!("there is no runbook below {}", folder.display())));
    }
    let open = |shelf: &Shelf, list: &[PathBuf], folder: &Path, path: &PathBuf| match list.contains(path) {
        true => shelf.open(&folder.join(path)),
        false => Ok(None),
    };
    let mut books: Vec<(Option<Book>, Option<Book>)> = Vec::new();
    for path in paths {
        let pair = (open(&there, &old, &before, path)?, open(&here, &new, folder, path)?);
        if let (_, Some(new)) = &pair {
            well_made(context, new)?;
        }
        if pair.0.is_some() || pair.1.is_some() {
            books.push(pair);
        }
    }
    let renamed = join_renamed(&mut books);
    let is_here: Vec<&Runbook> = books.iter().filter_map(|(_, new)| new.as_ref()?.runbook()).collect();
    let known = |name: &str| is_here.iter().any(|book| book.name == name);
    let mut beyond: Vec<Compared> = Vec::new();
    for (number, (old, new)) in books.iter().enumerate() {
        let mut of = pair(old.as_ref().map(|old| (&there, old)), new.as_ref().map(|new| (&here, new)));
        if let (true, Some(old), Some(new)) = (renamed.contains(&number), old, new) {
            of.changes.push(renaming(old, new));
            of.changes.sort_by_key(Change::weight);
        }
        if !of.changes.is_empty() || !of.notes.is_empty() {
            comparison.runbooks.push(of);
        }
        let versions = (old.as_ref().and_then(Book::runbook), new.as_ref().and_then(Book::runbook));
        if let (Some(old), Some(new)) = versions {
            let told = |name: &str| known(name) || beyond.iter().any(|of| of.name == name);
            let more = callers::changed(old, new, &told);
            beyond.extend(more);
        }
    }
    comparison.looked_at = books.len();
    comparison.runbooks.sort_by(|a, b| a.name.cmp(&b.name));
    comparison.looked_at += beyond.len();
    comparison.runbooks.extend(beyond);
    for of in &mut comparison.runbooks {
        of.called_by = callers::of(is_here.iter().copied(), &of.name);
    }
    Ok(comparison)
}

/// Where the other version stands, and its folder.
fn earlier(context: &Context, here: &Shelf, folder: &Path, other: &str) -> Result<(Shelf, PathBuf), CliError> {
    let path = Path::new(other);
    let at_path = || -> Result<(Shelf, PathBuf), CliError> {
        if !path.is_dir() {
            let message = format!("{other} is a file, and {} is a folder", folder.display());
            return Err(CliError::usage(message).hint("compare a folder with a folder, or with a revision"));
        }
        Ok((Shelf::disk(with_folder(context, path)), path.to_owned()))
    };
    if (other.contains('/') || other.ends_with(".yaml")) && path.exists() {
        return at_path();
    }
    match tree(other, folder) {
        Ok(tree) => Ok((here.revision(tree), folder.to_owned())),
        Err(_) if path.exists() => at_path(),
        Err(refused) => Err(refused),
    }
}

/// What is gone under one name and came under another is one runbook; where these are now.
fn join_renamed(books: &mut Vec<(Option<Book>, Option<Book>)>) -> Vec<usize> {
    let mut alike: Vec<(f64, usize, usize)> = Vec::new();
    for (a, (old, _)) in books.iter().enumerate().filter(|(_, (_, new))| new.is_none()) {
        for (b, (_, new)) in books.iter().enumerate().filter(|(_, (old, _))| old.is_none()) {
            let versions = (old.as_ref().and_then(version), new.as_ref().and_then(version));
            if let (Some(old), Some(new)) = versions {
                alike.push((likeness(old, new, registry()), a, b));
            }
        }
    }
    alike.retain(|(share, ..)| *share >= SAME);
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (_, a, b) in alike {
        if !joined.iter().any(|(x, y)| *x == a || *y == b) {
            joined.push((a, b));
        }
    }
    for (a, b) in &joined {
        books[*b].0 = books[*a].0.take();
    }
    let mut renamed: Vec<usize> = joined.iter().map(|(_, b)| *b).collect();
    // Those that were joined are not removed; places behind them move up.
    let mut gone: Vec<usize> = joined.iter().map(|(a, _)| *a).collect();
    gone.sort_unstable();
    for at in gone.iter().rev() {
        books.remove(*at);
    }
    for place in &mut renamed {
        *place -= gone.iter().filter(|at| **at < *place).count();
    }
    renamed
}
