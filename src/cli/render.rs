//! `render`: runbooks as documents, and whether committed documents are still what would be written.

use std::path::{Path, PathBuf};

use super::{
    CliError, Context,
    args::{Render, RenderFormat},
    error::code,
    place, print, say, session, source,
};
use crate::{
    library::{Found, Library, files_below},
    render::{IndexEntry, drift, index, markdown, mermaid, terminal},
};

pub fn render(context: &Context, flags: &Render) -> Result<u8, CliError> {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout()) && flags.out.is_none();
    let (documents, whole) = documents(context, &flags.runbooks, flags.format, flags.out.is_some(), terminal)?;
    match &flags.out {
        None => {
            let texts: Vec<String> = documents.into_iter().map(|(_, text)| text).collect();
            print(context, &texts.join("\n"))?;
            Ok(0)
        }
        Some(out) if flags.check => check(context, out, &documents, whole),
        Some(out) => write(context, out, &documents),
    }
}

/// Every document by its path below the folder that they are written to, and whether they are those of a whole library.
type Documents = (Vec<(PathBuf, String)>, bool);

fn documents(
    context: &Context,
    runbooks: &[String],
    format: RenderFormat,
    to_folder: bool,
    tty: bool,
) -> Result<Documents, CliError> {
    let (targets, whole) = targets(context, runbooks)?;
    let mut documents = Vec::new();
    let mut entries = Vec::new();
    for found in targets {
        let ready = source::make_ready(context, found)?;
        let (runbook, names) = (&ready.runbook, &ready.names);
        let (text, ending) = match format {
            RenderFormat::Md => (markdown(runbook, names), "md"),
            RenderFormat::Mermaid => (mermaid(runbook, names), "mmd"),
            RenderFormat::Terminal => {
                (terminal(runbook, names, if tty { session::width() } else { 100 }, context.color(tty)), "txt")
            }
        };
        entries.push(IndexEntry::of(runbook));
        documents.push((PathBuf::from(format!("{}.{ending}", runbook.name)), text));
    }
    // A whole library has a front page.
    if whole && format == RenderFormat::Md && to_folder {
        documents.push((PathBuf::from("README.md"), index(&entries)));
    }
    Ok((documents, whole))
}

/// How many Markdown documents there should be below a folder, and those that are not what would be written, each with
/// what is wrong with it.
pub fn drifted(
    context: &Context,
    runbooks: &[String],
    out: &Path,
) -> Result<(usize, Vec<(PathBuf, String)>), CliError> {
    let (documents, whole) = documents(context, runbooks, RenderFormat::Md, true, false)?;
    Ok((documents.len(), differences(out, &documents, whole)?))
}

/// What is to be rendered, and whether it is a library as a whole.
fn targets(context: &Context, runbooks: &[String]) -> Result<(Vec<Found>, bool), CliError> {
    if runbooks.is_empty() {
        return Ok((Library::built_in(), true));
    }
    let mut targets = Vec::new();
    let mut whole = false;
    for word in runbooks {
        let path = Path::new(word);
        if path.is_dir() {
            whole = true;
            // Below this folder a runbook's name is its path, whatever other libraries there are.
            let library = Library::new(&[path.to_owned()], &Context::variable);
            let files = files_below(path);
            if files.is_empty() {
                return Err(CliError::usage(format!("there is no runbook below {word}")));
            }
            for file in files {
                targets.push(library.open(&file)?);
            }
        } else {
            targets.push(source::find(context, word)?);
        }
    }
    Ok((targets, whole))
}

fn write(context: &Context, out: &Path, documents: &[(PathBuf, String)]) -> Result<u8, CliError> {
    let mut written = 0;
    for (name, text) in documents {
        let path = out.join(name);
        let fail =
            |why: std::io::Error| CliError::new(code::FAILED, format!("could not write {}: {why}", path.display()));
        if std::fs::read_to_string(&path).is_ok_and(|before| before == *text) {
            continue;
        }
        // Whole or not at all: a reader never sees half a document.
        place::replace(&path, text.as_bytes()).map_err(fail)?;
        written += 1;
    }
    if !context.global.quiet {
        say(context, &format!("{written} of {} documents written below {}\n", documents.len(), out.display()));
    }
    Ok(0)
}

fn check(context: &Context, out: &Path, documents: &[(PathBuf, String)], whole: bool) -> Result<u8, CliError> {
    let drifted = differences(out, documents, whole)?;
    for (path, said) in &drifted {
        print(context, &format!("{}: {said}", path.display()))?;
    }
    if drifted.is_empty() {
        if !context.global.quiet {
            print(context, &format!("{} documents are up to date\n", documents.len()))?;
        }
        return Ok(0);
    }
    Err(CliError::new(code::FAILED, format!("{} documents are not what would be written", drifted.len()))
        .hint("write them with the same command without --check"))
}

fn differences(out: &Path, documents: &[(PathBuf, String)], whole: bool) -> Result<Vec<(PathBuf, String)>, CliError> {
    let mut drifted = Vec::new();
    for (name, text) in documents {
        let path = out.join(name);
        let committed = match std::fs::read(&path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(why) => return Err(CliError::new(code::FAILED, format!("could not read {}: {why}", path.display()))),
        };
        if let Some(said) = drift(text, committed.as_deref()) {
            drifted.push((path, said));
        }
    }
    // A document whose runbook is gone misleads as much as one that is out of date.
    if whole {
        for path in documents_below(out) {
            let known = path.strip_prefix(out).is_ok_and(|below| documents.iter().any(|(name, _)| name == below));
            let made =
                std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with("<!-- made by \"runsheet render"));
            if !known && made {
                drifted.push((path, "there is no runbook for it any more\n".to_owned()));
            }
        }
    }
    Ok(drifted)
}

fn documents_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(_) if path.extension().is_some_and(|ending| ending == "md") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
