//! Files as they were at a revision, read by `git` and by nothing else. Knows nothing of what they mean.
//!
//! Only commands that read the store are used, none that look at the index or the working tree; so no hook, filter, pager,
//! difference program or monitor of the repository's configuration has anything to do, and nothing is written, fetched
//! or asked for.

use std::{
    ffi::{OsStr, OsString},
    io::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    lookup,
    shellcheck::{reader, wait},
};

/// The store of a large repository on a slow disk answers within this.
const LIMIT: Duration = Duration::from_secs(60);
/// A runbook is text for people; of a larger file only the length is told.
const LARGEST: usize = 8 << 20;

/// The files of one commit.
#[derive(Debug)]
pub struct GitTree {
    git: Git,
    /// The folder of the working tree, without links.
    top: PathBuf,
    commit: String,
    revision: String,
}

/// Why there is no such tree, as a fragment behind "could not".
#[derive(Debug, PartialEq)]
pub enum GitError {
    /// There is no `git`.
    NoProgram,
    /// The folder belongs to no repository, or to one that `git` does not open.
    NoRepository(String),
    NoRevision(String),
    Failed(String),
}

impl std::fmt::Display for GitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GitError::NoProgram => f.write_str("read another revision: git is not on the search path"),
            GitError::NoRepository(why) | GitError::NoRevision(why) | GitError::Failed(why) => f.write_str(why),
        }
    }
}

/// What stands at a path of a tree.
#[derive(Debug, PartialEq, Eq)]
pub enum Stands {
    Nothing,
    Here(Vec<u8>),
    /// So many bytes, and nobody reads them.
    TooLarge(usize),
}

impl GitTree {
    /// The tree of a revision, as somebody typed it, in the repository that a folder belongs to.
    pub fn open(revision: &str, folder: &Path) -> Result<GitTree, GitError> {
        // What looks like a flag never reaches a program.
        if revision.is_empty() || revision.starts_with('-') || revision.contains(['\0', '\n']) {
            return Err(GitError::NoRevision(format!("take {revision:?} for a revision")));
        }
        let git = Git::find(folder).ok_or(GitError::NoProgram)?;
        let no_repository =
            |why: String| GitError::NoRepository(format!("find the git repository of {}: {why}", git.folder.display()));
        let top = git.lines(&["rev-parse", "--show-toplevel"], &[]).map_err(no_repository)?;
        let top = PathBuf::from(OsString::from_vec(top));
        let top = std::fs::canonicalize(&top).unwrap_or(top);
        let no_revision = |why: String| {
            GitError::NoRevision(format!("find the revision `{revision}` in {}: {why}", git.folder.display()))
        };
        let object = git.object(revision).map_err(no_revision)?;
        let commit = git.object(&format!("{object}^{{commit}}")).map_err(no_revision)?;
        Ok(GitTree { git, top, commit, revision: revision.to_owned() })
    }

    /// The folder of the working tree.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// As it was typed.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Its commit in full.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// A path below the working tree, which need not be there now, as the tree knows it.
    pub fn below(&self, path: &Path) -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        // What is not there any more lies in a folder that is, or is not there either.
        let there = path.ancestors().find(|folder| folder.exists())?;
        let rest = path.strip_prefix(there).ok()?;
        let whole = there.canonicalize().ok()?.join(rest);
        let whole = if rest.as_os_str().is_empty() { there.canonicalize().ok()? } else { whole };
        whole.strip_prefix(&self.top).ok().map(Path::to_owned)
    }

    /// A file of the tree; links within the tree are followed.
    pub fn read(&self, path: &Path) -> Result<Stands, String> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.contains(&b'\n') {
            return Err("a name with a line feed cannot be asked for".into());
        }
        let mut asked = format!("{}:", self.commit).into_bytes();
        asked.extend(bytes);
        asked.push(b'\n');
        let said = self.git.call(&["cat-file", "--batch", "--follow-symlinks"], &[], &asked)?;
        let end = said.iter().position(|byte| *byte == b'\n').unwrap_or(said.len());
        let head = String::from_utf8_lossy(&said[..end]).into_owned();
        let words: Vec<&str> = head.rsplitn(3, ' ').collect();
        if let [size, "blob", _] = words.as_slice() {
            let size: usize = size.parse().map_err(|_| format!("git said: {head}"))?;
            let rest = said.get(end + 1..end + 1 + size);
            return match rest {
                Some(_) if size > LARGEST => Ok(Stands::TooLarge(size)),
                Some(bytes) => Ok(Stands::Here(bytes.to_vec())),
                None => Ok(Stands::TooLarge(size)),
            };
        }
        if !head.ends_with(" missing") {
            return Ok(Stands::Nothing);
        }
        // In a partial clone a file may be part of the tree and not be here. That is not the same as nothing.
        let listed = self.git.call(&["ls-tree", "-z", "--full-tree", &self.commit, "--"], &[path.as_os_str()], &[])?;
        if listed.is_empty() {
            return Ok(Stands::Nothing);
        }
        Err(format!("{} is part of {} and is not in this clone", path.display(), self.revision))
    }

    /// The files below a folder of the tree, by their paths in the tree.
    pub fn files(&self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        let mut within = folder.as_os_str().to_owned();
        if !within.is_empty() {
            within.push("/");
        }
        let paths: &[&OsStr] = if within.is_empty() { &[] } else { &[&within] };
        let fixed = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", &self.commit, "--"];
        let said = self.git.call(&fixed, paths, &[])?;
        let names = said.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
    }
}

#[derive(Debug)]
struct Git {
    program: PathBuf,
    folder: PathBuf,
}

/// Of the caller's environment, what says where programs and settings are; neither `GIT_DIR` and its kin, which a hook sets
/// for another purpose, nor what would make a trace.
const KEPT: [&str; 16] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "USER",
    "SUDO_UID",
    "LD_LIBRARY_PATH",
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
];

impl Git {
    /// The one on the search path; folders of it that are not absolute come with the repository and are passed over.
    fn find(folder: &Path) -> Option<Git> {
        let path = std::env::var("PATH").ok()?;
        let absolute: Vec<&str> = path.split(':').filter(|folder| folder.starts_with('/')).collect();
        let program = lookup::find("git", Some(&absolute.join(":")), Path::new("/")).ok()?;
        let folder = std::path::absolute(folder).ok()?;
        let folder = folder.ancestors().find(|folder| folder.is_dir())?.to_owned();
        (!absolute.is_empty()).then_some(Git { program, folder })
    }

    fn object(&self, revision: &str) -> Result<String, String> {
        let said = self.lines(&["rev-parse", "--verify", "--end-of-options"], &[OsStr::new(revision)]);
        // What git says of an unknown name is only that it wants one.
        let said = said.map_err(|why| match why.as_str() {
            "Needed a single revision" => "there is none of that name".to_owned(),
            _ => why,
        })?;
        let said = String::from_utf8_lossy(&said).into_owned();
        // Versions before 2.30 say the flag as well.
        let id = said.lines().last().unwrap_or_default().to_owned();
        let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { Ok(id) } else { Err("it is not one revision".into()) }
    }

    fn lines(&self, fixed: &[&str], more: &[&OsStr]) -> Result<Vec<u8>, String> {
        let mut said = self.call(fixed, more, &[])?;
        while said.last() == Some(&b'\n') {
            said.pop();
        }
        Ok(said)
    }

    fn call(&self, fixed: &[&str], more: &[&OsStr], input: &[u8]) -> Result<Vec<u8>, String> {
        let given = std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            KEPT.contains(&&*name) || name.starts_with("GIT_CONFIG_KEY_") || name.starts_with("GIT_CONFIG_VALUE_")
        });
        let mut child = Command::new(&self.program)
            .args(["--no-pager", "--literal-pathspecs", "-c", "protocol.allow=never", "-c", "core.fsmonitor=false"])
            .args(fixed)
            .args(more)
            .env_clear()
            .envs(given)
            .envs([
                ("GIT_OPTIONAL_LOCKS", "0"),
                ("GIT_NO_LAZY_FETCH", "1"),
                ("GIT_TERMINAL_PROMPT", "0"),
                ("LC_ALL", "C"),
            ])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| format!("{} could not be started: {why}", self.program.display()))?;
        let out = reader(child.stdout.take());
        let err = reader(child.stderr.take());
        if let Some(mut pipe) = child.stdin.take() {
            // Who ends without reading says why on the other pipe.
            let _ = pipe.write_all(input);
        }
        let ended = wait(&mut child, LIMIT)?;
        let out = out.join().unwrap_or_default();
        let err = err.join().unwrap_or_default();
        if ended == Some(0) {
            return Ok(out);
        }
        let said = String::from_utf8_lossy(&err);
        let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("git failed and said nothing");
        Err(line.trim_start_matches("fatal: ").to_owned())
    }
}
