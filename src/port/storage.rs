//! Files as the journal needs them, so that a simulated disk can drop, tear and refuse writes. Knows nothing of records.

use std::{io, path::Path};

/// A file system. Paths are absolute.
pub trait Storage {
    /// Makes one folder, 0700; its parent exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that must not exist, 0600, open for appending.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;
    /// Opens a file that exists for appending.
    fn append(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Opens a file for reading from its start, for what is too large to hold.
    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Cuts a file; durable when it returns.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and all that is in it, following no link.
    fn remove_tree(&self, path: &Path) -> io::Result<()>;
    /// Names in a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Bytes that a file, or a folder with all that is in it, takes on disk, following no link.
    fn size(&self, path: &Path) -> io::Result<u64>;
    fn exists(&self, path: &Path) -> bool;
    /// Refuses a folder that is a link, belongs to somebody else or may be written by everybody.
    fn guard(&self, path: &Path) -> io::Result<()>;
    /// Makes the entries of a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Why a lock on a file in this folder may not keep out everybody who can reach the folder; none where it does.
    fn locks_fail(&self, dir: &Path) -> io::Result<Option<String>>;
    /// Takes a lock on a file, which is made if it is not there, without waiting; `Ok(None)` if somebody else holds it.
    /// Freed when the value goes, or its process. `Unsupported` where there are no locks, or none that hold.
    fn lock(&self, path: &Path, kind: LockKind) -> io::Result<Option<Box<dyn StorageLock>>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    Shared,
    Exclusive,
}

pub trait StorageFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// `fdatasync`: the bytes and the length are durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Reserves room on disk and fills it, so that a later overwrite needs none.
    fn preallocate(&mut self, bytes: u64) -> io::Result<()>;
    /// Overwrites at an offset, for preallocated files.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// A lock that is held; dropping it frees it.
pub trait StorageLock {
    /// Writes who holds it into the lock file, in place of what stood there; durable when it returns.
    fn describe(&mut self, text: &str) -> io::Result<()>;
    /// Empties the lock file, so that whoever holds it next is not taken for its holder now. Not made durable.
    fn blank(&mut self) -> io::Result<()>;
}
