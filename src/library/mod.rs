//! Where runbooks come from: folders in their order, then what is built in. Knows nothing of what a runbook says.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use rust_embed::RustEmbed;

use crate::text::nearest;

#[derive(RustEmbed)]
#[folder = "runbooks/"]
struct BuiltIn;

/// Where one runbook stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    BuiltIn,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::BuiltIn => f.write_str("built-in"),
        }
    }
}

/// A runbook's bytes and where they come from.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its path below its library root without the ending.
    pub name: String,
    pub origin: Origin,
    pub bytes: Vec<u8>,
    /// Runbooks of the same name further down the order.
    pub hides: Vec<Origin>,
}

impl Found {
    /// What errors call it.
    pub fn shown_as(&self) -> String {
        match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::BuiltIn => format!("built-in:{}.yaml", self.name),
        }
    }
}

/// Why there is no runbook.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("find a runbook `{name}`")]
    NoSuchName { name: String, near: Option<String> },
    #[error("read {path}: {why}")]
    Read { path: PathBuf, why: io::Error },
    #[error("read {path}: it has {bytes} bytes; at most {limit} are read")]
    TooLarge { path: PathBuf, bytes: u64, limit: u64 },
}

/// All roots in the order in which names are looked up; the built-ins come last.
#[derive(Clone, Debug, Default)]
pub struct Library {
    roots: Vec<PathBuf>,
}

/// A runbook is text for people; more than this is a mistake.
const LIMIT: u64 = crate::syntax::yaml::MAX_BYTES as u64;
/// How names of files with scenarios end.
pub const SCENARIOS: &str = ".scenarios.yaml";

impl Library {
    /// `given` are the folders named on the command line, strongest first.
    pub fn new(given: &[PathBuf], variable: &dyn Fn(&str) -> Option<String>) -> Library {
        let mut roots = given.to_vec();
        roots.push(PathBuf::from("runbooks"));
        if let Some(folders) = variable("RUNSHEET_LIBRARY") {
            roots.extend(std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()));
        }
        let config = variable("XDG_CONFIG_HOME").filter(|path| path.starts_with('/')).map(PathBuf::from);
        let home = variable("HOME").filter(|path| !path.is_empty()).map(|home| PathBuf::from(home).join(".config"));
        if let Some(config) = config.or(home) {
            roots.push(config.join("runsheet/runbooks"));
        }
        Library { roots }
    }

    /// The one that a name means, and what it hides.
    pub fn find(&self, name: &str) -> Result<Found, LibraryError> {
        let mut places: Vec<Origin> = Vec::new();
        if is_name(name) {
            for root in &self.roots {
                let path = root.join(format!("{name}.yaml"));
                if path.is_file() && !places.contains(&Origin::File(path.clone())) {
                    places.push(Origin::File(path));
                }
            }
            if BuiltIn::get(&format!("{name}.yaml")).is_some() && !name.ends_with(".scenarios") {
                places.push(Origin::BuiltIn);
            }
        }
        if places.is_empty() {
            let all = self.names();
            let last = |name: &str| name.rsplit('/').next().unwrap_or("").to_owned();
            let near = nearest(name, all.iter().map(String::as_str)).map(str::to_owned);
            let near = near.or_else(|| all.iter().find(|known| last(known) == last(name)).cloned());
            return Err(LibraryError::NoSuchName { name: name.to_owned(), near });
        }
        let origin = places.remove(0);
        let bytes = self.bytes(name, &origin)?;
        Ok(Found { name: name.to_owned(), origin, bytes, hides: places })
    }

    /// A file by its path. It has its library name if it lies below a root, else that of the file.
    pub fn open(&self, path: &Path) -> Result<Found, LibraryError> {
        let bytes = read(path)?;
        Ok(Found { name: self.name_of(path), origin: Origin::File(path.to_owned()), bytes, hides: Vec::new() })
    }

    /// The library as a runbook in this file sees it: where the file lies below no root, its own folder is one.
    #[must_use]
    pub fn beside(&self, path: &Path) -> Library {
        let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let below = |root: &PathBuf| std::fs::canonicalize(root).is_ok_and(|root| absolute.starts_with(root));
        let mut library = self.clone();
        if !library.roots.iter().any(below)
            && let Some(folder) = absolute.parent()
        {
            library.roots.insert(0, folder.to_owned());
        }
        library
    }

    /// The folders in which names are looked up, strongest first; what is built in comes after them.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The name of a file: its path below a root, else that of the file alone.
    pub fn name_of(&self, path: &Path) -> String {
        let absolute = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        for root in &self.roots {
            if let Ok(root) = std::fs::canonicalize(root)
                && let Ok(below) = absolute.strip_prefix(&root)
            {
                return below.with_extension("").to_string_lossy().into_owned();
            }
        }
        path.file_stem().map_or_else(|| "runbook".into(), |stem| stem.to_string_lossy().into_owned())
    }

    fn bytes(&self, name: &str, origin: &Origin) -> Result<Vec<u8>, LibraryError> {
        match origin {
            Origin::File(path) => read(path),
            Origin::BuiltIn => {
                Ok(BuiltIn::get(&format!("{name}.yaml")).map(|file| file.data.into_owned()).unwrap_or_default())
            }
        }
    }

    /// Every name, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: BTreeMap<String, ()> = BTreeMap::new();
        for root in &self.roots {
            for path in files_below(root) {
                if let Ok(below) = path.strip_prefix(root) {
                    names.insert(below.with_extension("").to_string_lossy().into_owned(), ());
                }
            }
        }
        for file in built_in_files() {
            names.insert(file.trim_end_matches(".yaml").to_owned(), ());
        }
        names.into_keys().collect()
    }

    /// The scenarios that are built in for a runbook, if there are any.
    pub fn built_in_scenarios(name: &str) -> Option<Vec<u8>> {
        Some(BuiltIn::get(&format!("{name}{SCENARIOS}"))?.data.into_owned())
    }

    /// Everything that is built in.
    pub fn built_in() -> Vec<Found> {
        let mut names: Vec<String> = built_in_files().map(|file| file.trim_end_matches(".yaml").to_owned()).collect();
        names.sort_unstable();
        names
            .into_iter()
            .filter_map(|name| {
                let bytes = BuiltIn::get(&format!("{name}.yaml"))?.data.into_owned();
                Some(Found { name, origin: Origin::BuiltIn, bytes, hides: Vec::new() })
            })
            .collect()
    }
}

impl crate::model::Runbooks for Library {
    fn find(&self, name: &str) -> Result<crate::text::Source, (String, Option<String>)> {
        let found = Library::find(self, name).map_err(|error| match error {
            LibraryError::NoSuchName { near, .. } => {
                (format!("there is no runbook `{name}`"), near.map(|near| format!("did you mean `{near}`?")))
            }
            other => (format!("could not {other}"), None),
        })?;
        let shown = found.shown_as();
        crate::syntax::decode(shown, found.bytes).map_err(|(source, problem)| {
            (format!("the runbook `{name}` could not be read: {}", problem.message), Some(source.name().to_owned()))
        })
    }
}

/// Runbooks among what is embedded; scenarios and whatever else stands beside them are not.
fn built_in_files() -> impl Iterator<Item = std::borrow::Cow<'static, str>> {
    BuiltIn::iter().filter(|file| file.ends_with(".yaml") && !file.ends_with(SCENARIOS))
}

fn read(path: &Path) -> Result<Vec<u8>, LibraryError> {
    use std::io::Read;
    let fail = |why| LibraryError::Read { path: path.to_owned(), why };
    let file = std::fs::File::open(path).map_err(fail)?;
    let about = file.metadata().map_err(fail)?;
    if about.is_dir() {
        return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let too_large = |bytes| LibraryError::TooLarge { path: path.to_owned(), bytes, limit: LIMIT };
    if about.len() > LIMIT {
        return Err(too_large(about.len()));
    }
    // A pipe or a device tells no length.
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LIMIT {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// A name is a path of plain words: it can never leave its root.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && !name.contains(['\\', '\0'])
}

/// Runbook files below a folder, sorted; scenarios and hidden folders are left out, links to folders are not followed.
pub fn files_below(root: &Path) -> Vec<PathBuf> {
    below(root, &|name| name.ends_with(".yaml") && !name.ends_with(SCENARIOS))
}

/// Files with scenarios below a folder, in the same way.
pub fn scenarios_below(root: &Path) -> Vec<PathBuf> {
    below(root, &|name| name.ends_with(SCENARIOS))
}

fn below(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') {
                continue;
            }
            // Neither a pipe, which may never answer, nor a link that leads nowhere is a runbook.
            let is_file = kind.is_file() || (kind.is_symlink() && path.is_file());
            if kind.is_dir() {
                folders.push(path);
            } else if is_file && wanted(&name) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
