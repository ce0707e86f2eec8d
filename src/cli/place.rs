//! Files that are written for people: whole or not at all, and never over another by accident. Knows nothing of what is in
//! them.

use std::{
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Puts a file in its place, with the folders above it; what is there is replaced.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    prepared(path, bytes)?.persist(path).map(drop).map_err(|error| error.error)
}

/// Puts a file in its place, with the folders above it; what is there stays, and that is an error
/// ([`io::ErrorKind::AlreadyExists`]).
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Looked at first, so that nothing is written beside what is there; the rename looks again.
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    prepared(path, bytes)?.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

fn prepared(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // The mode of any new file: the umask takes from it what its owner wants taken.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".runsheet-").permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}
