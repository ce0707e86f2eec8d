//! Which runbooks and which scenarios are meant by paths and names. Reads them and tries nothing.

use std::path::{Path, PathBuf};

use crate::cli::{CliError, Context};
use crate::library::{Found, Library, Origin, SCENARIOS, files_below, scenarios_below};

/// Something that was meant.
pub enum Target {
    /// A runbook with its scenarios.
    Pair { found: Found, scenarios: Vec<u8>, shown: String },
    /// A runbook without scenarios.
    Bare { name: String },
    /// Scenarios without a runbook.
    Orphan { scenarios: String, runbook: String },
    /// A file that is there and cannot be read.
    Unreadable { name: String, why: String },
}

impl Target {
    pub fn name(&self) -> &str {
        match self {
            Target::Pair { found, .. } => &found.name,
            Target::Bare { name } | Target::Unreadable { name, .. } => name,
            Target::Orphan { scenarios, .. } => scenarios,
        }
    }
}

pub fn targets(context: &Context, paths: &[String]) -> Result<Vec<Target>, CliError> {
    let library = context.library();
    if paths.is_empty() {
        let folder = Path::new("runbooks");
        if folder.is_dir() {
            return Ok(below(&library, folder));
        }
        return Ok(library.names().iter().map(|name| named(&library, name)).collect());
    }
    let mut targets = Vec::new();
    for word in paths {
        let path = Path::new(word);
        let looks_like_path = word.contains('/') || word.ends_with(".yaml");
        if path.is_dir() {
            let found = below(&library, path);
            if found.is_empty() {
                return Err(CliError::usage(format!("there is no runbook below {word}")));
            }
            targets.extend(found);
        } else if looks_like_path && path.exists() {
            let target = match runbook_of(path) {
                Some(runbook) => beside(&library, &runbook, path),
                None => beside(&library, path, &scenarios_of(path)),
            };
            targets.push(wanted(target)?);
        } else {
            library.find(word)?;
            targets.push(wanted(named(&library, word))?);
        }
    }
    Ok(targets)
}

/// Whoever names one runbook means its scenarios.
fn wanted(target: Target) -> Result<Target, CliError> {
    match target {
        Target::Bare { name } => Err(CliError::usage(format!("{name} has no scenarios; nothing was tried"))
            .hint("they stand beside the runbook, in NAME.scenarios.yaml")),
        Target::Orphan { scenarios, runbook } => {
            Err(CliError::usage(format!("there is no runbook {runbook} for the scenarios in {scenarios}")))
        }
        other => Ok(other),
    }
}

fn below(library: &Library, folder: &Path) -> Vec<Target> {
    let mut targets: Vec<(PathBuf, Target)> = files_below(folder)
        .into_iter()
        .map(|path| (path.clone(), beside(library, &path, &scenarios_of(&path))))
        .collect();
    for path in scenarios_below(folder) {
        if let Some(runbook) = runbook_of(&path).filter(|runbook| !runbook.is_file()) {
            targets.push((path.clone(), beside(library, &runbook, &path)));
        }
    }
    targets.sort_by(|(a, _), (b, _)| a.cmp(b));
    targets.into_iter().map(|(_, target)| target).collect()
}

/// By its name in the library.
fn named(library: &Library, name: &str) -> Target {
    match library.find(name) {
        Ok(Found { origin: Origin::File(path), .. }) => beside(library, &path, &scenarios_of(&path)),
        Ok(found) => match Library::built_in_scenarios(name) {
            Some(scenarios) => Target::Pair { found, scenarios, shown: format!("built-in:{name}{SCENARIOS}") },
            None => Target::Bare { name: name.to_owned() },
        },
        Err(error) => Target::Unreadable { name: name.to_owned(), why: format!("could not {error}") },
    }
}

fn beside(library: &Library, runbook: &Path, scenarios: &Path) -> Target {
    let shown = |path: &Path| path.display().to_string();
    if !runbook.exists() {
        return Target::Orphan { scenarios: shown(scenarios), runbook: shown(runbook) };
    }
    let found = match library.open(runbook) {
        Ok(found) => found,
        Err(error) => return Target::Unreadable { name: shown(runbook), why: format!("could not {error}") },
    };
    if !scenarios.exists() {
        return Target::Bare { name: found.name };
    }
    match library.open(scenarios) {
        Ok(read) => Target::Pair { found, scenarios: read.bytes, shown: shown(scenarios) },
        Err(error) => Target::Unreadable { name: shown(scenarios), why: format!("could not {error}") },
    }
}

/// `a/b.yaml` to `a/b.scenarios.yaml`.
pub fn scenarios_of(runbook: &Path) -> PathBuf {
    let name = runbook.file_stem().unwrap_or_default().to_string_lossy();
    runbook.with_file_name(format!("{name}{SCENARIOS}"))
}

/// The other way; none for a file that holds no scenarios.
fn runbook_of(scenarios: &Path) -> Option<PathBuf> {
    let name = scenarios.file_name()?.to_string_lossy();
    Some(scenarios.with_file_name(format!("{}.yaml", name.strip_suffix(SCENARIOS)?)))
}
