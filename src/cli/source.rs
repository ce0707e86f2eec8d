//! From a name or a path to a checked runbook. Knows nothing of runs.

use std::{path::Path, rc::Rc};

use super::{CliError, Context};
use crate::{
    journal::Frozen,
    kinds::registry,
    library::{Found, Library, LibraryError, Origin},
    model::{Linker, Loaded, Names, Runbook, Runbooks, load_edited, load_from},
    syntax::{Node, decode},
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

/// Reads and checks, with the runbooks it calls; whatever is wrong is in the answer.
pub fn read(library: &Library, found: &Found) -> Loaded {
    read_edited(library, found, &|_| ())
}

/// As [`read`], of a file whose tree is edited first.
pub fn read_edited(library: &Library, found: &Found, edit: &dyn Fn(&mut Node)) -> Loaded {
    let library = match &found.origin {
        Origin::File(path) => library.beside(path),
        Origin::BuiltIn => library.clone(),
    };
    match decode(found.shown_as(), found.bytes.clone()) {
        Ok(source) => load_edited(&found.name, &source, &Linker::new(registry(), Rc::new(library)), edit),
        Err((source, problem)) => Loaded { source, runbook: None, names: Names::default(), problems: vec![problem] },
    }
}

/// The runbooks that a run has frozen.
struct FrozenRunbooks(Vec<(String, Vec<u8>)>);

impl Runbooks for FrozenRunbooks {
    fn find(&self, name: &str) -> Result<Source, (String, Option<String>)> {
        let wanted = format!("{name}.yaml");
        let Some((_, bytes)) = self.0.iter().find(|(of, _)| *of == wanted) else {
            return Err((format!("the run did not freeze the runbook `{name}`"), None));
        };
        decode(wanted, bytes.clone()).map_err(|(_, problem)| (problem.message, None))
    }
}

/// A runbook as a run has frozen it, with those it calls. None where it is not among the files.
pub fn read_frozen(name: &str, frozen: &Frozen) -> Option<Loaded> {
    let wanted = format!("{name}.yaml");
    let bytes = frozen.files.iter().find(|(of, _)| *of == wanted)?.1.clone();
    Some(match decode(wanted, bytes) {
        Ok(source) => {
            let linker = Linker::new(registry(), Rc::new(FrozenRunbooks(frozen.files.clone())));
            load_from(name, &source, &linker)
        }
        Err((source, problem)) => Loaded { source, runbook: None, names: Names::default(), problems: vec![problem] },
    })
}

/// What a run freezes: the exact bytes of its runbook, and of those it calls.
pub fn to_freeze(bytes: &[u8], runbook: &Runbook) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![(format!("{}.yaml", runbook.name), bytes.to_vec())];
    for callee in runbook.callees() {
        let name = format!("{}.yaml", callee.runbook.name);
        if !files.iter().any(|(of, _)| *of == name) {
            files.push((name, callee.runbook.source.text().as_bytes().to_vec()));
        }
    }
    files
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
    let loaded = read(&context.library(), &found);
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
