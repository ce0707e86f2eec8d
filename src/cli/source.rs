//! From a name or a path to a checked runbook. Knows nothing of runs.

use std::{path::Path, rc::Rc};

use super::{CliError, Context};
use crate::{
    kinds::registry,
    library::{Found, LibraryError, Origin},
    model::{Loaded, Names, Runbook, load},
    syntax::decode,
    text::{Diagnostic, Source, Span},
};

/// A runbook that is well made.
pub struct Ready {
    pub found: Found,
    pub source: Source,
    pub runbook: Rc<Runbook>,
    pub names: Rc<Names>,
}

/// Finds what the operator named: an existing path, or a name in the library.
pub fn find(context: &Context, word: &str) -> Result<Found, CliError> {
    let path = Path::new(word);
    let looks_like_path = word.contains('/') || word.ends_with(".yaml");
    let library = context.library();
    if looks_like_path && path.exists() && !path.is_dir() {
        return Ok(library.open(path)?);
    }
    Ok(library.find(word)?)
}

/// Reads and checks; whatever is wrong is in the answer.
pub fn read(found: &Found) -> Loaded {
    match decode(found.shown_as(), found.bytes.clone()) {
        Ok(source) => load(&found.name, &source, registry()),
        Err((source, problem)) => Loaded { source, runbook: None, names: Names::default(), problems: vec![problem] },
    }
}

/// A file that is there and cannot be read, as something that is wrong with it.
pub fn unreadable(name: &str, error: &LibraryError) -> Loaded {
    let source = Source::new(name, "");
    let problem = Diagnostic::error("unreadable", Span::at(0), format!("could not {error}"));
    Loaded { source, runbook: None, names: Names::default(), problems: vec![problem] }
}

/// Finds, reads and checks; a runbook with mistakes is an error that draws them all.
pub fn ready(context: &Context, word: &str) -> Result<Ready, CliError> {
    make_ready(context, find(context, word)?)
}

pub fn make_ready(context: &Context, found: Found) -> Result<Ready, CliError> {
    let loaded = read(&found);
    match loaded.runbook {
        Some(runbook) => {
            Ok(Ready { found, source: loaded.source, runbook: Rc::new(runbook), names: Rc::new(loaded.names) })
        }
        None => Err(CliError::invalid(&loaded.source, &loaded.problems, context.style())),
    }
}

/// Where a runbook of a finished or frozen run came from, as shown.
pub fn origin_text(origin: &Origin) -> String {
    match origin {
        Origin::BuiltIn => "built-in".into(),
        Origin::File(path) => {
            std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned()
        }
    }
}
