//! Files on a real disk: private, synced, locked. Knows nothing of records or run folders.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Seek, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

use rustix::fs::OFlags;

use super::file_system;
use crate::port::{LockKind, Storage, StorageFile, StorageLock};

/// The file system of this machine. Folders are 0700, files 0600; no file is opened through a link (the folders above
/// it may be reached through one), and no descriptor survives into another program.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskStorage;

/// How often, and how far apart, an exclusive lock is tried before somebody else is taken to hold it. Who lists runs
/// takes their locks for some microseconds to see whether they are free, and must not make a resume fail by that.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // The standard library adds O_CLOEXEC by itself.
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    options
}

/// Opens a file that is one, for reading. A pipe in its place must not make anybody wait.
fn plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

impl Storage for DiskStorage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(DiskFile(options().append(true).create_new(true).open(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(DiskFile(options().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut plain(path)?, &mut bytes)?;
        Ok(bytes)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        Ok(Box::new(plain(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = options().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_data()
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        // A name that is not text is none of ours, and seen all the same: what is not there by that name is strange.
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let mut total = 0;
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let meta = path.symlink_metadata()?;
            // Blocks of 512 bytes, whatever those of the disk are.
            total += meta.blocks() * 512;
            if meta.is_dir() {
                for entry in std::fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            }
        }
        Ok(total)
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn guard(&self, path: &Path) -> io::Result<()> {
        let meta = path.symlink_metadata()?;
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if meta.is_symlink() {
            return refuse("it is a link".into());
        }
        if !meta.is_dir() {
            return refuse("it is not a folder".into());
        }
        let me = rustix::process::geteuid().as_raw();
        if meta.uid() != me {
            return refuse(format!("it belongs to user {}, not to you (user {me})", meta.uid()));
        }
        if meta.mode() & 0o002 != 0 {
            return refuse("everybody may write to it".into());
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn locks_fail(&self, dir: &Path) -> io::Result<Option<String>> {
        file_system::locks_fail(dir)
    }

    fn lock(&self, path: &Path, kind: LockKind) -> io::Result<Option<Box<dyn StorageLock>>> {
        for attempt in 1..=TRIES {
            let file = lock_file(path)?;
            let taken = match kind {
                LockKind::Shared => file.try_lock_shared(),
                LockKind::Exclusive => file.try_lock(),
            };
            match taken {
                // Somebody took the file away between opening and locking it: this lock would keep nobody out.
                Ok(()) if !is_at(&file, path)? => {}
                Ok(()) => {
                    if kind == LockKind::Exclusive {
                        prove(path)?;
                    }
                    return Ok(Some(Box::new(DiskLock(file))));
                }
                Err(TryLockError::Error(error)) => return Err(lockless(error)),
                Err(TryLockError::WouldBlock) if kind == LockKind::Shared || attempt == TRIES => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            }
        }
        Ok(None)
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    options().read(true).write(true).create(true).truncate(false).open(path)
}

/// Whether a path still leads to an open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match path.symlink_metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A lock that is held must refuse another one. There are file systems, and mounts, on which every lock succeeds; it
/// takes some microseconds to see that this is not one of them.
fn prove(path: &Path) -> io::Result<()> {
    match lock_file(path)?.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(lockless(error)),
        Ok(()) => {
            let why = "locks do not hold there: one that was held was granted a second time";
            Err(io::Error::new(io::ErrorKind::Unsupported, why))
        }
    }
}

/// The errors of a file system, or of a mount, that has no locks (flock(2), and `noflock` of mount.lustre(8)).
fn lockless(error: io::Error) -> io::Error {
    let none = [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP];
    match error.raw_os_error() {
        Some(errno) if none.contains(&errno) => {
            io::Error::new(io::ErrorKind::Unsupported, format!("no lock can be taken there: {error}"))
        }
        _ => error,
    }
}

struct DiskFile(File);

impl StorageFile for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()?;
        // A file that has lost its last name takes everything and keeps nothing.
        if self.0.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was deleted"));
        }
        Ok(())
    }

    fn preallocate(&mut self, bytes: u64) -> io::Result<()> {
        // Room first, so that a full disk refuses before anything is written.
        #[cfg(target_os = "linux")]
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Reserved blocks are "unwritten" until they are written once; the zeros take that step now.
        let zeros = vec![0; 64 * 1024];
        let mut offset = 0;
        while offset < bytes {
            let part = (bytes - offset).min(zeros.len() as u64);
            self.write_at(offset, &zeros[..part as usize])?;
            offset += part;
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // Linux ignores the offset while O_APPEND is set.
        let flags = rustix::fs::fcntl_getfl(&self.0)?;
        rustix::fs::fcntl_setfl(&self.0, flags - OFlags::APPEND)?;
        let written = self.0.write_all_at(bytes, offset);
        rustix::fs::fcntl_setfl(&self.0, flags)?;
        written
    }
}

struct DiskLock(File);

impl StorageLock for DiskLock {
    fn describe(&mut self, text: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(text.as_bytes())?;
        self.0.sync_data()
    }

    fn blank(&mut self) -> io::Result<()> {
        self.0.set_len(0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_private_and_append_only() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, path) = (temp.path().join("a"), temp.path().join("a/b"));
        DiskStorage.create_dir(&folder).unwrap();
        let mut file = DiskStorage.create(&path).unwrap();
        file.write_all(b"one\n").unwrap();
        DiskStorage.append(&path).unwrap().write_all(b"two\n").unwrap();
        file.write_all(b"three\n").unwrap();
        file.sync().unwrap();
        DiskStorage.sync_dir(&folder).unwrap();
        assert_eq!(DiskStorage.read(&path).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        assert!(DiskStorage.create(&path).is_err());
        assert!(DiskStorage.append(&folder.join("missing")).is_err());
        assert_eq!(DiskStorage.list(&folder).unwrap(), ["b"]);
        DiskStorage.truncate(&path, 4).unwrap();
        file.write_all(b"four\n").unwrap();
        assert_eq!(DiskStorage.read(&path).unwrap(), b"one\nfour\n");
    }

    #[test]
    fn a_preallocated_file_is_overwritten_in_place() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("reserve");
        let mut file = DiskStorage.create(&path).unwrap();
        file.preallocate(100_000).unwrap();
        file.write_at(10, b"here").unwrap();
        file.sync().unwrap();
        let bytes = DiskStorage.read(&path).unwrap();
        assert_eq!(bytes.len(), 100_000);
        assert_eq!(&bytes[8..16], b"\0\0here\0\0");
        file.write_all(b"end").unwrap();
        assert_eq!(DiskStorage.read(&path).unwrap().len(), 100_003);
    }

    #[test]
    fn a_lock_is_held_once_and_tells_its_holder() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let mut lock = DiskStorage.lock(&path, LockKind::Exclusive).unwrap().unwrap();
        lock.describe("a long description").unwrap();
        lock.describe("mine").unwrap();
        assert!(DiskStorage.lock(&path, LockKind::Exclusive).unwrap().is_none());
        assert!(DiskStorage.lock(&path, LockKind::Shared).unwrap().is_none());
        assert_eq!(DiskStorage.read(&path).unwrap(), b"mine");
        drop(lock);
        let _one = DiskStorage.lock(&path, LockKind::Shared).unwrap().unwrap();
        let _two = DiskStorage.lock(&path, LockKind::Shared).unwrap().unwrap();
        assert!(DiskStorage.lock(&path, LockKind::Exclusive).unwrap().is_none());
    }

    #[test]
    fn links_and_open_folders_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("link"));
        DiskStorage.create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        DiskStorage.guard(&real).unwrap();
        assert_eq!(DiskStorage.guard(&link).unwrap_err().to_string(), "it is a link");
        std::fs::set_permissions(&real, PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(DiskStorage.guard(&real).unwrap_err().to_string(), "everybody may write to it");
        std::fs::write(temp.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink(temp.path().join("file"), temp.path().join("to-file")).unwrap();
        assert!(DiskStorage.read(&temp.path().join("to-file")).is_err());
        assert!(DiskStorage.append(&temp.path().join("to-file")).is_err());
        assert!(DiskStorage.guard(&temp.path().join("file")).is_err());
        let pipe = temp.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(DiskStorage.read(&pipe).unwrap_err().to_string(), "it is no file");
        assert_eq!(DiskStorage.read(&real).unwrap_err().to_string(), "it is no file");
    }
}
