//! Where programs stand and what the caller's variables say. Looks only; opens and starts nothing.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// Where programs are looked for when no `PATH` says so.
const FALLBACK: &str = "/usr/local/bin:/usr/bin:/bin";

/// A variable of the caller, if it is set and is text.
pub(crate) fn variable(name: &str) -> Option<String> {
    // A name with `=` or NUL makes the standard library panic on some systems.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok()
}

/// A tool on the caller's search path.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    find(name, std::env::var("PATH").ok().as_deref(), &cwd).ok()
}

/// Why a program cannot be started.
#[derive(Debug, PartialEq)]
pub(crate) enum Missing {
    /// Not on the search path, or no such file.
    Nowhere,
    /// It is there and may not be run.
    NotExecutable(PathBuf),
}

/// Looks as `execvp` does: a name with a slash is a path, others are looked for on the search path. Both are relative
/// to the folder the program will run in.
pub(crate) fn find(program: &str, path: Option<&str>, cwd: &Path) -> Result<PathBuf, Missing> {
    if program.is_empty() {
        return Err(Missing::Nowhere);
    }
    if program.contains('/') {
        return look(&cwd.join(program)).unwrap_or(Err(Missing::Nowhere));
    }
    let mut refused = None;
    for folder in path.unwrap_or(FALLBACK).split(':') {
        match look(&cwd.join(folder).join(program)) {
            Some(Ok(found)) => return Ok(found),
            Some(Err(why)) => refused = refused.or(Some(why)),
            None => {}
        }
    }
    Err(refused.unwrap_or(Missing::Nowhere))
}

fn look(candidate: &Path) -> Option<Result<PathBuf, Missing>> {
    let metadata = std::fs::metadata(candidate).ok()?;
    if !metadata.is_file() {
        return metadata.is_dir().then(|| Err(Missing::NotExecutable(candidate.into())));
    }
    Some(match rustix::fs::access(candidate, Access::EXEC_OK) {
        Ok(()) => Ok(candidate.into()),
        Err(_) => Err(Missing::NotExecutable(candidate.into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_may_be_run_and_names_what_may_not() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        for (name, mode) in [("good", 0o755), ("plain", 0o644)] {
            std::fs::write(here.join(name), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(here.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(find("good", Some("/nowhere:."), here), Ok(here.join(".").join("good")));
        assert_eq!(find("./good", None, here), Ok(here.join("./good")));
        assert_eq!(find("plain", Some("."), here), Err(Missing::NotExecutable(here.join(".").join("plain"))));
        assert_eq!(find("absent", Some("."), here), Err(Missing::Nowhere));
        assert_eq!(find("good", Some("/nowhere"), here), Err(Missing::Nowhere));
        assert_eq!(find("", Some("."), here), Err(Missing::Nowhere));
        assert!(tool("sh").is_some());
        assert_eq!(variable("A=B"), None);
    }
}
