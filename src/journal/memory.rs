//! A disk in memory that can lose, tear and refuse writes. Knows nothing of records or run folders.

mod disk;
mod fault;

use std::{
    cell::RefCell,
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

use self::disk::Disk;
pub use self::fault::{Cut, Fault, Op};
use crate::port::{LockKind, Storage, StorageFile, StorageLock};

/// A simulated disk. Clones are other programs on the same machine; [`MemoryStorage::fork`] is another machine.
///
/// What was written is what every program reads at once; what survives a power cut is only what was synced, a file's
/// bytes by its own sync and a name by the sync of its folder, and of the rest as much as [`Cut`] says. A failed sync
/// leaves its writes readable and never makes them durable by a later sync, as Linux does.
#[derive(Clone)]
pub struct MemoryStorage(Rc<RefCell<Disk>>);

impl Default for MemoryStorage {
    fn default() -> MemoryStorage {
        MemoryStorage::new()
    }
}

impl MemoryStorage {
    /// An empty disk; its root folder is `/`.
    pub fn new() -> MemoryStorage {
        MemoryStorage(Rc::new(RefCell::new(Disk::new())))
    }

    /// A copy of the disk as it is, with nothing open and nothing locked.
    pub fn fork(&self) -> MemoryStorage {
        let mut disk = self.0.borrow().clone();
        disk.restart();
        MemoryStorage(Rc::new(RefCell::new(disk)))
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        self.0.borrow_mut().faults.push(fault);
    }

    /// Takes all faults and stops away.
    pub fn heal(&self) {
        let mut disk = self.0.borrow_mut();
        disk.faults.clear();
        disk.halt_after = None;
    }

    /// The machine stops at the change of this number, counted from 0 from now on: what that change writes has reached
    /// memory, nothing of it is durable, and everything after it fails. Then [`power_cut`](Self::power_cut) or
    /// [`kill`](Self::kill) tells what is left.
    pub fn halt_at(&self, change: u64) {
        self.0.borrow_mut().halt_after = Some(change);
    }

    /// Whether the machine has stopped.
    pub fn halted(&self) -> bool {
        self.0.borrow().halted
    }

    /// How many changes (everything but reads and locks) were made on this disk.
    pub fn changes(&self) -> u64 {
        self.0.borrow().changes
    }

    /// Every operation so far, in order.
    pub fn trace(&self) -> Vec<(Op, PathBuf)> {
        self.0.borrow().trace.clone()
    }

    /// The machine loses power and comes back: open files and locks are gone, and so is what was not synced, as far as
    /// `cut` says.
    pub fn power_cut(&self, cut: Cut) {
        let mut disk = self.0.borrow_mut();
        disk.lose(cut);
        disk.restart();
    }

    /// Every program dies and the machine lives on: open files and locks are gone, all that was written stands.
    pub fn kill(&self) {
        self.0.borrow_mut().restart();
    }

    /// Changes a file behind everyone's back, durably.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let id = disk.find(path)?;
        let file = disk.file(id)?;
        change(&mut file.content);
        file.durable = file.content.clone();
        file.pending.clear();
        Ok(())
    }

    /// Makes a folder one that belongs to somebody else.
    pub fn give_away(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let id = disk.find(path)?;
        disk.folder(id)?.foreign = true;
        Ok(())
    }

    /// Makes it a disk that others can reach, whose locks do not hold, for this reason.
    pub fn share(&self, why: &str) {
        self.0.borrow_mut().shared = Some(why.to_owned());
    }

    /// Every file on the disk with its content, by path.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.0.borrow().files()
    }
}

impl Storage for MemoryStorage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::CreateDir, path)?;
        disk.make_dir(path)?;
        step.end()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::Create, path)?;
        let node = disk.make_file(path)?;
        step.end()?;
        Ok(Box::new(self.handle(&disk, node, path)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.0.borrow_mut();
        disk.begin(Op::Append, path)?;
        let node = disk.find(path)?;
        disk.file(node)?;
        Ok(Box::new(self.handle(&disk, node, path)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut disk = self.0.borrow_mut();
        disk.begin(Op::Read, path)?;
        let node = disk.find(path)?;
        Ok(disk.file(node)?.content.clone())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        let mut disk = self.0.borrow_mut();
        disk.begin(Op::Open, path)?;
        let node = disk.find(path)?;
        Ok(Box::new(io::Cursor::new(disk.file(node)?.content.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::Rename, to)?;
        disk.rename(from, to)?;
        step.end()
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::Truncate, path)?;
        let node = disk.find(path)?;
        let file = disk.file(node)?;
        file.cut(length);
        step.end()?;
        file.sync();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::Remove, path)?;
        let node = disk.find(path)?;
        disk.file(node)?;
        disk.unlink(path)?;
        step.end()
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::RemoveTree, path)?;
        let node = disk.find(path)?;
        disk.folder(node)?;
        disk.unlink(path)?;
        step.end()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut disk = self.0.borrow_mut();
        disk.begin(Op::List, path)?;
        let node = disk.find(path)?;
        Ok(disk.folder(node)?.entries.keys().cloned().collect())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let disk = self.0.borrow();
        disk.find(path)?;
        Ok(disk.files().iter().filter(|(file, _)| file.starts_with(path)).map(|(_, bytes)| bytes.len() as u64).sum())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.borrow().find(path).is_ok()
    }

    fn guard(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let node = disk.find(path)?;
        match disk.folder(node)?.foreign {
            true => Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else")),
            false => Ok(()),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let step = disk.begin(Op::SyncDir, path)?;
        let node = disk.find(path)?;
        let folder = disk.folder(node)?;
        step.end()?;
        folder.sync();
        Ok(())
    }

    fn locks_fail(&self, _: &Path) -> io::Result<Option<String>> {
        Ok(self.0.borrow().shared.clone())
    }

    fn lock(&self, path: &Path, kind: LockKind) -> io::Result<Option<Box<dyn StorageLock>>> {
        let mut disk = self.0.borrow_mut();
        disk.begin(Op::Lock, path)?;
        let node = match disk.find(path) {
            Ok(node) => node,
            Err(_) => disk.make_file(path)?,
        };
        let Some(holder) = disk.take_lock(node, kind) else { return Ok(None) };
        let file = self.handle(&disk, node, path);
        Ok(Some(Box::new(MemoryLock { file, holder })))
    }
}

impl MemoryStorage {
    fn handle(&self, disk: &Disk, node: u64, path: &Path) -> MemoryFile {
        MemoryFile { disk: Rc::clone(&self.0), life: disk.life, node, path: path.to_owned() }
    }
}

struct MemoryFile {
    disk: Rc<RefCell<Disk>>,
    /// A handle does not outlive the power cut or death after it was opened.
    life: u64,
    node: u64,
    path: PathBuf,
}

impl MemoryFile {
    fn write(&mut self, op: Op, offset: Option<u64>, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.borrow_mut();
        disk.alive(self.life)?;
        let step = match disk.begin(op, &self.path) {
            Ok(step) => step,
            Err(error) => {
                // A refused write may have written its beginning.
                if let Some(kept) = disk.kept.take() {
                    let file = disk.file(self.node)?;
                    file.write(offset, &bytes[..kept.min(bytes.len())]);
                }
                return Err(error);
            }
        };
        disk.file(self.node)?.write(offset, bytes);
        step.end()
    }
}

impl StorageFile for MemoryFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(Op::Write, None, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk.borrow_mut();
        disk.alive(self.life)?;
        let step = disk.begin(Op::Sync, &self.path);
        let halted = disk.halted;
        let file = disk.file(self.node)?;
        match step.and_then(|step| step.end()) {
            Ok(()) => {
                file.sync();
                Ok(())
            }
            Err(error) => {
                if !halted {
                    file.doubt();
                }
                Err(error)
            }
        }
    }

    fn preallocate(&mut self, bytes: u64) -> io::Result<()> {
        self.write(Op::Preallocate, Some(0), &vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)])
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(Op::WriteAt, Some(offset), bytes)
    }
}

struct MemoryLock {
    file: MemoryFile,
    holder: u64,
}

impl StorageLock for MemoryLock {
    fn describe(&mut self, text: &str) -> io::Result<()> {
        let mut disk = self.file.disk.borrow_mut();
        disk.alive(self.file.life)?;
        let step = disk.begin(Op::Describe, &self.file.path)?;
        let file = disk.file(self.file.node)?;
        file.cut(0);
        file.write(Some(0), text.as_bytes());
        step.end()?;
        file.sync();
        Ok(())
    }

    fn blank(&mut self) -> io::Result<()> {
        let mut disk = self.file.disk.borrow_mut();
        disk.alive(self.file.life)?;
        let step = disk.begin(Op::Describe, &self.file.path)?;
        disk.file(self.file.node)?.cut(0);
        step.end()
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.file.disk.borrow_mut().free_lock(self.file.node, self.holder);
    }
}

#[cfg(test)]
mod tests;
