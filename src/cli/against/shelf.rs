//! Where one version of runbooks, of those they call and of their files is read from: the disk, or a revision. Compares
//! nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use crate::{
    cli::{CliError, Context, error::code, source},
    kinds::registry,
    library::{Found, Library, Origin, SCENARIOS, files_below, is_name},
    model::{Linker, Loaded, Runbook, Runbooks, load_from},
    syntax::decode,
    text::{Diagnostic, Source},
    worlds::real::{GitError, GitTree, Stands},
};

/// One version of everything.
#[derive(Clone)]
pub struct Shelf {
    library: Library,
    tree: Option<Rc<GitTree>>,
}

/// One version of one runbook.
pub struct Book {
    pub name: String,
    /// Such as `main:runbooks/x.yaml`.
    pub shown: String,
    /// Where it stands, or stood, on the disk; none of what is built in.
    pub path: Option<PathBuf>,
    pub bytes: Vec<u8>,
    pub loaded: Loaded,
}

impl Book {
    pub fn runbook(&self) -> Option<&Runbook> {
        self.loaded.runbook.as_ref()
    }

    /// What is wrong with it first, with its place.
    pub fn wrong(&self) -> Option<String> {
        let problem = self.loaded.problems.iter().find(|problem| problem.is_error())?;
        let at = self.loaded.source.position(problem.span.start);
        Some(format!("{}:{}:{}: {}", self.loaded.source.name(), at.line, at.column, problem.message))
    }
}

/// Files above this length are not looked into for what is different.
const LOOKED_INTO: usize = 64 << 10;

impl Shelf {
    pub fn disk(library: Library) -> Shelf {
        Shelf { library, tree: None }
    }

    pub fn revision(&self, tree: GitTree) -> Shelf {
        Shelf { library: self.library.clone(), tree: Some(Rc::new(tree)) }
    }

    /// As people read it.
    pub fn shown(&self) -> Option<String> {
        let tree = self.tree.as_ref()?;
        let short = tree.commit().get(..9).unwrap_or_default();
        let typed = tree.revision();
        Some(if tree.commit().starts_with(typed) { typed.to_owned() } else { format!("{typed} ({short})") })
    }

    /// The runbook at a path; none where nothing stands there.
    pub fn open(&self, path: &Path) -> Result<Option<Book>, CliError> {
        match &self.tree {
            None if !path.exists() => Ok(None),
            None => Ok(Some(self.read(self.library.open(path)?))),
            Some(tree) => {
                let Some(below) = tree.below(path) else { return Err(outside(tree, path)) };
                self.of_tree(tree, &below, self.library.name_of(path), path)
            }
        }
    }

    fn of_tree(&self, tree: &GitTree, below: &Path, name: String, path: &Path) -> Result<Option<Book>, CliError> {
        let shown = format!("{}:{}", tree.revision(), below.display());
        let bytes = match tree
            .read(below)
            .map_err(|why| CliError::new(code::USAGE, format!("could not read {shown}: {why}")))?
        {
            Stands::Nothing => return Ok(None),
            Stands::TooLarge(bytes) => {
                return Err(CliError::new(code::INVALID, format!("could not read {shown}: it has {bytes} bytes")));
            }
            Stands::Here(bytes) => bytes,
        };
        let loaded = match decode(shown.clone(), bytes.clone()) {
            Ok(source) => load_from(&name, &source, &Linker::new(registry(), self.called_from(path))),
            Err((source, problem)) => unreadable(source, problem),
        };
        Ok(Some(Book { name, shown, path: Some(path.to_owned()), bytes, loaded }))
    }

    /// A runbook of the disk, or one that is built in.
    pub fn read(&self, found: Found) -> Book {
        let loaded = source::read(&self.library, &found);
        let path = match &found.origin {
            Origin::File(path) => Some(path.clone()),
            Origin::BuiltIn => None,
        };
        Book { name: found.name.clone(), shown: found.shown_as(), path, bytes: found.bytes, loaded }
    }

    fn called_from(&self, path: &Path) -> Rc<dyn Runbooks> {
        let library = self.library.beside(path);
        match &self.tree {
            None => Rc::new(library),
            Some(tree) => Rc::new(Revised { library, tree: Rc::clone(tree) }),
        }
    }

    /// Runbooks below a folder, by their paths in it.
    pub fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, CliError> {
        let Some(tree) = &self.tree else {
            let files = files_below(folder).into_iter();
            return Ok(files.filter_map(|file| Some(file.strip_prefix(folder).ok()?.to_owned())).collect());
        };
        let Some(below) = tree.below(folder) else { return Err(outside(tree, folder)) };
        let files = tree.files(&below).map_err(|why| {
            CliError::usage(format!("could not list {} of {}: {why}", below.display(), tree.revision()))
        })?;
        let inner = files.into_iter().filter_map(|file| Some(file.strip_prefix(&below).ok()?.to_owned()));
        Ok(inner.filter(|file| is_runbook(file)).collect())
    }

    /// The runbooks of the revision that are not on the disk any more.
    pub fn gone(&self) -> Result<Vec<PathBuf>, CliError> {
        let Some(tree) = &self.tree else { return Ok(Vec::new()) };
        let top = tree.top().to_owned();
        let files = self.list(&top)?.into_iter().map(|file| top.join(file));
        Ok(files.filter(|file| !file.exists()).collect())
    }

    /// What a runbook takes along, by path: the contents where they can be compared, else a digest.
    pub fn files(&self, book: &Book) -> BTreeMap<String, Vec<u8>> {
        let (Some(runbook), Some(path)) = (book.runbook(), &book.path) else { return BTreeMap::new() };
        let Some(folder) = path.parent() else { return BTreeMap::new() };
        let mut found = BTreeMap::new();
        for template in runbook.files.iter().filter(|template| template.is_literal()) {
            let Ok(name) = crate::model::relative_path(template.source().trim_end()) else { continue };
            match &self.tree {
                None => on_disk(&folder.join(&name), &name, &mut found),
                Some(tree) => {
                    let Some(below) = tree.below(folder).map(|below| below.join(&name)) else { continue };
                    match tree.read(&below) {
                        Ok(Stands::Here(bytes)) => drop(found.insert(name, bytes)),
                        Ok(Stands::TooLarge(bytes)) => drop(found.insert(name, format!("{bytes} bytes").into_bytes())),
                        _ => {
                            for file in tree.files(&below).unwrap_or_default() {
                                let inner = file.strip_prefix(&below).unwrap_or(&file).to_string_lossy().into_owned();
                                if let Ok(Stands::Here(bytes)) = tree.read(&file) {
                                    found.insert(format!("{name}/{inner}"), bytes);
                                }
                            }
                        }
                    }
                }
            }
        }
        found
    }
}

/// A file, or those of a folder. Links are left out: they are no files of the runbook.
fn on_disk(path: &Path, name: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(about) = std::fs::symlink_metadata(path) else { return };
    if about.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries {
            on_disk(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()), found);
        }
    } else if about.is_file() {
        // As with a revision: nobody reads what is that long.
        let bytes = match about.len() {
            length if length > 8 << 20 => format!("{length} bytes").into_bytes(),
            _ => std::fs::read(path).unwrap_or_default(),
        };
        found.insert(name.to_owned(), bytes);
    }
}

/// A file as text, where it is some that can be compared.
pub fn as_text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
    (text.len() <= LOOKED_INTO).then(|| text.to_owned())
}

fn is_runbook(path: &Path) -> bool {
    let hidden = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    let name = path.to_string_lossy();
    !hidden && name.ends_with(".yaml") && !name.ends_with(SCENARIOS)
}

fn unreadable(source: Source, problem: Diagnostic) -> Loaded {
    Loaded { source, runbook: None, names: crate::model::Names::default(), problems: vec![problem] }
}

fn outside(tree: &GitTree, path: &Path) -> CliError {
    CliError::usage(format!("{} does not lie in the git repository {}", path.display(), tree.top().display()))
}

/// The runbooks of a revision: those folders of the library that lie in the repository as they were then, the others, and
/// what is built in, as they are.
struct Revised {
    library: Library,
    tree: Rc<GitTree>,
}

impl Runbooks for Revised {
    fn find(&self, name: &str) -> Result<Source, (String, Option<String>)> {
        let wrong = |why: String| (why, None);
        if is_name(name) {
            for root in self.library.roots() {
                let file = root.join(format!("{name}.yaml"));
                let Some(below) = self.tree.below(&file) else {
                    if file.is_file() {
                        let found = self.library.open(&file).map_err(|why| wrong(format!("could not {why}")))?;
                        return text(&file.display().to_string(), found.bytes);
                    }
                    continue;
                };
                match self.tree.read(&below).map_err(|why| wrong(format!("could not read `{name}`: {why}")))? {
                    Stands::Nothing => {}
                    Stands::TooLarge(bytes) => return Err(wrong(format!("the runbook `{name}` has {bytes} bytes"))),
                    Stands::Here(bytes) => {
                        return text(&format!("{}:{}", self.tree.revision(), below.display()), bytes);
                    }
                }
            }
        }
        // What is built in comes last, and has no revisions.
        Runbooks::find(&Library::default(), name)
            .map_err(|_| wrong(format!("there was no runbook `{name}` at {}", self.tree.revision())))
    }
}

fn text(shown: &str, bytes: Vec<u8>) -> Result<Source, (String, Option<String>)> {
    decode(shown, bytes)
        .map_err(|(source, problem)| (format!("{} could not be read: {}", source.name(), problem.message), None))
}

/// A revision that somebody named, for what stands in a folder.
pub fn tree(revision: &str, folder: &Path) -> Result<GitTree, CliError> {
    GitTree::open(revision, folder).map_err(|why| {
        let error = CliError::usage(format!("could not {why}"));
        match why {
            GitError::NoProgram => CliError { code: code::REQUIREMENT, ..error },
            GitError::NoRepository(_) => error.hint("a file, a folder or a runbook's name needs no repository"),
            GitError::NoRevision(_) => error
                .hint("`git log --oneline` shows revisions; one of a remote may have to be fetched first: git fetch origin")
                .hint("a shallow clone has the newest ones alone: git fetch --unshallow, in GitHub Actions fetch-depth: 0")
                .hint("a file is meant by a path that contains `/` or ends in .yaml"),
            GitError::Failed(_) => error,
        }
    })
}

/// The library with a folder in front, unless that lies in it already.
pub fn with_folder(context: &Context, folder: &Path) -> Library {
    let library = context.library();
    let canonical = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let inside = |root: &PathBuf| std::fs::canonicalize(root).is_ok_and(|root| canonical.starts_with(root));
    if library.roots().iter().any(inside) {
        return library;
    }
    let mut given = vec![folder.to_owned()];
    given.extend(context.global.library.iter().cloned());
    Library::new(&given, &Context::variable)
}
