//! A runbook's `files`: found beside it, kept with the run as they are when it begins, and laid out again for its steps.
//! Knows nothing of how a run keeps bytes.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{CliError, Context, error::code, inputs, say};
use crate::{
    engine::secret_sources,
    event::Redactor,
    library::Origin,
    model::{Runbook, relative_path},
    plan::Plan,
    port::SecretSource,
    syntax::Rendered,
    text::{Diagnostic, Source, Span, draw, one_line},
};

/// What the names of kept files begin with, beside that of the runbook: no runbook is called that.
const BELOW: &str = "@files/";
/// A run keeps a copy for ever; a tree larger than this belongs into an archive of its own.
const MOST_BYTES: u64 = 64 << 20;
const MOST_FILES: usize = 1000;

/// Files by name, as a run keeps them.
pub type Kept = Vec<(String, Vec<u8>)>;

/// One entry of `files`, and the files it stands for.
pub struct Entry {
    source: Source,
    at: Span,
    /// Relative, without `.`.
    pub path: String,
    /// Where it stands; a folder, or a file.
    pub place: PathBuf,
    /// By their path below the folder of all, with what they were found by.
    found: BTreeMap<String, PathBuf>,
    bytes: u64,
}

impl Entry {
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "path": self.path, "from": self.place.to_string_lossy(), "files": self.found.len(), "bytes": self.bytes,
        })
    }

    /// For a plan.
    pub fn shown(&self) -> String {
        let files = if self.found.len() == 1 { "1 file".to_owned() } else { format!("{} files", self.found.len()) };
        format!("{} ({}; {files}, {} bytes)", self.path, self.place.display(), self.bytes)
    }
}

/// A runbook that takes files along, with the folders in which its paths begin: its own, then the one that steps run in.
struct Book<'a> {
    runbook: &'a Runbook,
    folders: Vec<PathBuf>,
    /// It is called, so that nobody knows its parameters when the run begins.
    called: bool,
}

fn books<'a>(plan: &'a Plan, origin: &Origin) -> Vec<Book<'a>> {
    let here = inputs::working_folder(plan).ok();
    let folders = |file: Option<&Path>| {
        let file = file.map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let beside = file.and_then(|path| Some(path.parent()?.to_path_buf()));
        beside.into_iter().chain(here.clone()).collect()
    };
    let own = match origin {
        Origin::File(path) => folders(Some(path)),
        Origin::BuiltIn => folders(None),
    };
    let mut books = vec![Book { runbook: &plan.runbook, folders: own, called: false }];
    for callee in plan.runbook.callees() {
        // What was read from a file is called as that is.
        let file = Some(Path::new(callee.runbook.source.name())).filter(|path| path.is_file());
        books.push(Book { runbook: &callee.runbook, folders: folders(file), called: true });
    }
    books
}

/// A problem, and the text that it is a problem of.
pub type Wrong = (Source, Diagnostic);

/// The entries whose names are known, but for those that the run keeps already; nothing is opened but folders. What is
/// wrong is told at its place.
pub fn look(plan: &Plan, origin: &Origin, before: &[(String, Vec<u8>)]) -> (Vec<Entry>, Vec<Wrong>) {
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    let secrets: Vec<(String, PathBuf)> = secret_sources(plan)
        .into_iter()
        .filter_map(|(name, source)| match source {
            Ok(Some(SecretSource::File(path))) => Some((name.name.clone(), path.canonicalize().ok()?)),
            _ => None,
        })
        .collect();
    let (mut files, mut bytes) = (0, 0);
    for book in books(plan, origin) {
        let mut problem = |problem| wrong.push((book.runbook.source.clone(), problem));
        for (path, at) in paths(plan, &book, &mut problem) {
            if of_steps(before).any(|(name, _)| is_below(name, &path)) {
                continue;
            }
            let entry = match entry(&path, at, &book) {
                Ok(entry) => entry,
                Err(what) => {
                    problem(what);
                    continue;
                }
            };
            for place in entry.found.values() {
                let real = place.canonicalize().ok();
                if let Some((name, _)) = secrets.iter().find(|(_, path)| real.as_ref() == Some(path)) {
                    let message = format!("{} is where the secret `{name}` is read from", place.display());
                    problem(
                        Diagnostic::error("secret-in-files", at, message)
                            .label("a run would keep it for ever")
                            .hint("steps are handed the secret by its name"),
                    );
                }
            }
            files += entry.found.len();
            bytes += entry.bytes;
            if files > MOST_FILES || bytes > MOST_BYTES {
                let message = format!("`files` come to {files} files and {bytes} bytes here");
                problem(
                    Diagnostic::error("too-large", at, message)
                        .label(format!("a run keeps at most {MOST_FILES} files and {} MiB", MOST_BYTES >> 20))
                        .hint("name what the steps need, or fetch the rest in a step and check its digest"),
                );
                return (entries, wrong);
            }
            entries.push(entry);
        }
    }
    (entries, wrong)
}

/// The paths of a runbook that are known, each with its place.
fn paths(plan: &Plan, book: &Book<'_>, problem: &mut dyn FnMut(Diagnostic)) -> Vec<(String, Span)> {
    let scope = plan.scope();
    let mut paths = Vec::new();
    for template in &book.runbook.files {
        if book.called && !template.is_literal() {
            problem(
                Diagnostic::error(
                    "not-known-yet",
                    template.span(),
                    "this runbook is called, and gets its values later",
                )
                .label("what a run takes along must be known when it begins")
                .hint("name the folder; all of it is taken"),
            );
            continue;
        }
        match template.render(&scope, &[]) {
            Ok(Rendered::Text(path)) => paths.push((path, template.span())),
            Ok(Rendered::Deferred(_)) => {}
            Err(what) => problem(what),
        }
    }
    paths
}

/// Whether a kept file is what an entry means, or a part of it.
fn is_below(name: &str, written: &str) -> bool {
    let rest = relative_path(written).ok().and_then(|path| name.strip_prefix(path.as_str()).map(str::to_owned));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn entry(written: &str, at: Span, book: &Book<'_>) -> Result<Entry, Diagnostic> {
    let folders = &book.folders;
    let path = relative_path(written)
        .map_err(|why| Diagnostic::error("bad-path", at, format!("`{}` {why}", one_line(written))).label("not this"))?;
    let Some(place) = folders.iter().map(|folder| folder.join(&path)).find(|place| place.exists()) else {
        let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let looked = looked.into_iter().collect::<indexmap::IndexSet<_>>().into_iter().collect::<Vec<_>>();
        return Err(Diagnostic::error("no-such-file", at, format!("there is no file or folder `{path}`"))
            .label("the run cannot take it along")
            .hint(format!("looked for in {}", looked.join(", then in "))));
    };
    let source = book.runbook.source.clone();
    let mut entry = Entry { source, at, path: path.clone(), place: place.clone(), found: BTreeMap::new(), bytes: 0 };
    let unreadable = |place: &Path, why: &io::Error| {
        Diagnostic::error("unreadable", at, format!("{} cannot be read: {why}", place.display()))
    };
    let mut open = vec![(path, place)];
    while let Some((name, place)) = open.pop() {
        let about = fs::metadata(&place).map_err(|why| unreadable(&place, &why))?;
        // A link to a folder may lead anywhere, and back again.
        let linked = name != entry.path && fs::symlink_metadata(&place).is_ok_and(|about| about.is_symlink());
        if about.is_file() {
            entry.bytes += about.len();
            entry.found.insert(name, place);
        } else if about.is_dir() && !linked {
            for inside in fs::read_dir(&place).map_err(|why| unreadable(&place, &why))? {
                let inside = inside.map_err(|why| unreadable(&place, &why))?;
                let Ok(own) = inside.file_name().into_string() else {
                    let message = format!("{} has a name that is no text", inside.path().display());
                    return Err(Diagnostic::error("bad-path", at, message));
                };
                open.push((format!("{name}/{own}"), inside.path()));
            }
        } else {
            let what = if linked { "is a link to a folder" } else { "is neither a file nor a folder" };
            return Err(Diagnostic::error("bad-path", at, format!("{} {what}", place.display()))
                .hint("name what it leads to, or the files that are meant one by one"));
        }
        if entry.found.len() > MOST_FILES || entry.bytes > MOST_BYTES {
            // Told by whoever adds them up; nobody waits for the rest of a whole disk.
            return Ok(entry);
        }
    }
    if entry.found.is_empty() {
        return Err(Diagnostic::error("no-such-file", at, format!("{} is empty", entry.place.display()))
            .label("the run would take nothing along"));
    }
    Ok(entry)
}

/// The bytes of these entries. One that holds a secret that is known by now is refused: a run keeps no secrets.
pub fn read(entries: &[Entry], redactor: &Redactor) -> Result<Kept, Vec<Wrong>> {
    let mut kept: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut left = MOST_BYTES;
    for entry in entries {
        let mut problem = |problem| wrong.push((entry.source.clone(), problem));
        for (name, place) in &entry.found {
            let bytes = match bytes(place, left) {
                Ok(bytes) => bytes,
                Err(why) => {
                    let message = format!("{} cannot be read: {why}", place.display());
                    problem(Diagnostic::error("unreadable", entry.at, message));
                    continue;
                }
            };
            left -= (bytes.len() as u64).min(left);
            if redactor.holds(name) || redactor.bytes(&bytes) != bytes {
                let message = format!("{} holds a secret of this run", redactor.text(&place.display().to_string()));
                problem(
                    Diagnostic::error("secret-in-files", entry.at, message)
                        .label("a run would keep it for ever")
                        .hint("let the step put it in, from the variable that it is handed"),
                );
                continue;
            }
            match kept.get(name) {
                Some(other) if *other != bytes => {
                    let message = format!("two runbooks of this run take along a `{name}`, each another one");
                    problem(Diagnostic::error("two-files", entry.at, message).hint("rename one of them"));
                }
                _ => drop(kept.insert(name.clone(), bytes)),
            }
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(kept.into_iter().map(|(name, bytes)| (format!("{BELOW}{name}"), bytes)).collect())
}

fn bytes(place: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // A pipe that was put in its place meanwhile must not hold us up.
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(place)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it grows, and there is more than {} MiB by now", MOST_BYTES >> 20)));
    }
    Ok(bytes)
}

/// What the run takes along, or why it does not begin. What it keeps already stays as it is.
pub fn take(context: &Context, plan: &Plan, origin: &Origin, before: &[(String, Vec<u8>)]) -> Result<Kept, CliError> {
    let (entries, wrong) = look(plan, origin, before);
    let read = if wrong.is_empty() { read(&entries, &context.redactor) } else { Err(wrong) };
    match read {
        Ok(mut kept) => {
            let mut paths: Vec<(String, Span)> = Vec::new();
            for book in books(plan, origin) {
                paths.extend(self::paths(plan, &book, &mut |_| {}));
            }
            let same = of_steps(before).filter(|(name, _)| paths.iter().any(|(path, _)| is_below(name, path)));
            kept.extend(same.map(|(name, bytes)| (format!("{BELOW}{name}"), bytes.to_vec())));
            Ok(kept)
        }
        Err(wrong) => {
            let drawn: String =
                wrong.iter().map(|(source, problem)| draw(source, problem, context.style()) + "\n").collect();
            let drawn = context.redactor.text(drawn.trim_end()).into_owned();
            Err(CliError::new(code::REQUIREMENT, format!("{drawn}\nthe runbook's `files` are not as they must be"))
                .hint("nothing was run"))
        }
    }
}

/// A problem as one line, with its place.
pub fn told((source, problem): &Wrong) -> String {
    let at = source.position(problem.span.start);
    format!("{}:{}:{}: {}", source.name(), at.line, at.column, problem.message)
}

/// Those of what a run keeps that are its steps', by their path.
pub fn of_steps(kept: &[(String, Vec<u8>)]) -> impl Iterator<Item = (&str, &[u8])> {
    kept.iter().filter_map(|(name, bytes)| Some((name.strip_prefix(BELOW)?, &bytes[..])))
}

/// Tells what is not any more as the run keeps it. The run goes by its own copy.
pub fn tell_changed(context: &Context, plan: &Plan, origin: &Origin, kept: &[(String, Vec<u8>)]) {
    for book in books(plan, origin) {
        for (path, _) in paths(plan, &book, &mut |_| {}) {
            for (name, before) in of_steps(kept).filter(|(name, _)| is_below(name, &path)) {
                let place = book.folders.iter().map(|folder| folder.join(name)).find(|place| place.exists());
                let how = match place {
                    // Where a called runbook came from is not on record.
                    None if book.called => continue,
                    None => "is gone",
                    // One byte more tells a longer one.
                    Some(place) => match bytes(&place, before.len() as u64) {
                        Ok(now) if now == before => continue,
                        _ => "has changed",
                    },
                };
                let name = one_line(name);
                say(context, &format!("runsheet: {name} {how} since the run began; it goes on with its own copy\n"));
            }
        }
    }
}

/// Lays the files out for steps below `folder`, and tells where; what is there and as it should be is left alone. A step
/// that wrote into its copy finds the file as the run keeps it when the run goes on.
pub fn lay_out(folder: &Path, kept: &[(String, Vec<u8>)]) -> io::Result<Option<PathBuf>> {
    let root = folder.join("files");
    let mut any = false;
    for (path, bytes) in of_steps(kept) {
        if !any {
            own_folder(&root)?;
            any = true;
        }
        let place = root.join(path);
        let mut above = root.clone();
        for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
            above.push(part);
            own_folder(&above)?;
        }
        let mode = if bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF") { 0o700 } else { 0o600 };
        let there = fs::symlink_metadata(&place).ok();
        let same = there.as_ref().is_some_and(|about| {
            about.is_file() && about.permissions().mode() & 0o777 == mode && about.len() == bytes.len() as u64
        }) && fs::read(&place).is_ok_and(|now| now == bytes);
        if same {
            continue;
        }
        match there {
            Some(about) if about.is_dir() => fs::remove_dir_all(&place)?,
            Some(_) => fs::remove_file(&place)?,
            None => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&place)?;
        io::Write::write_all(&mut file, bytes)?;
        // Whatever the operator takes from new files, these are the run's own.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(any.then_some(root))
}

/// A folder and no link to one.
fn own_folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_out_is_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let kept: Kept = [("x.yaml", "no file of a step"), ("@files/a", "one"), ("@files/sub/b", "#!/bin/sh\n")]
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .into();
        let root = lay_out(folder.path(), &kept).unwrap().unwrap();
        let sound = || {
            assert_eq!(fs::read(root.join("a")).unwrap(), b"one");
            let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode("a"), mode("sub/b"), mode("sub")), (0o600, 0o700, 0o700));
            assert!(!root.join("x.yaml").exists());
        };
        sound();
        // Whatever a step made of them, and wherever it makes them lead.
        fs::write(root.join("a"), "two").unwrap();
        fs::write(root.join("own"), "kept").unwrap();
        fs::remove_dir_all(root.join("sub")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.join("sub")).unwrap();
        lay_out(folder.path(), &kept).unwrap();
        sound();
        assert_eq!(fs::read(root.join("own")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        assert_eq!(lay_out(folder.path(), &kept[..1]).unwrap(), None);
    }
}
