//! What can go wrong with kept runs, each with what to do about it. Knows nothing of exit codes.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{locks::Refusal, replay::BadLine};
use crate::event::RunId;

/// Why something could not be done with a kept run.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder could not be read.
    #[error("read {path}: {why}")]
    Read { path: PathBuf, why: io::Error },
    /// A file or folder could not be written: the journal could not be written.
    #[error("write {path}: {why}")]
    Write { path: PathBuf, why: io::Error },
    /// Another run, or another program with this run, holds a lock.
    #[error("{0}")]
    Locked(Box<Refusal>),
    #[error("find the run: {0}")]
    NoSuchRun(String),
    #[error("tell which run `{prefix}` means: {}", .candidates.join(", "))]
    Ambiguous { prefix: String, candidates: Vec<String> },
    /// The journal is not as it was written.
    #[error("trust {path}: {bad}")]
    BadLine { path: PathBuf, bad: BadLine },
    /// The run's folder is not as it was written.
    #[error("trust {path}: {why}")]
    Damaged { path: PathBuf, why: String },
    /// The folder is not ours.
    #[error("use {path}: {why}")]
    Foreign { path: PathBuf, why: String },
    /// The run was written by a later version of this tool.
    #[error("go on with {run}: its {what} is of version {found}, this version of runsheet goes up to {known}")]
    Newer { run: RunId, what: &'static str, found: u32, known: u32 },
    /// A lock there does not keep others out.
    #[error("keep runs in {path}: {why}")]
    NoLocks { path: PathBuf, why: String },
    /// The caller gave something that makes no run.
    #[error("make a run: {0}")]
    Unfit(String),
    #[error("find a folder for runs: {0}")]
    NoStateDir(String),
}

impl StoreError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        |why| StoreError::Read { path, why }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        |why| StoreError::Write { path, why }
    }

    /// For a lock that could not be taken, and not because somebody holds it.
    pub(super) fn lock(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        |why| match (why.kind(), path.parent()) {
            (io::ErrorKind::Unsupported, Some(folder)) => {
                StoreError::NoLocks { path: folder.to_owned(), why: why.to_string() }
            }
            _ => StoreError::Write { path, why },
        }
    }

    pub(super) fn damaged(path: &Path, why: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), why: why.into() }
    }
}
