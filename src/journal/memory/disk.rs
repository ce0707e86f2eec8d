//! The content of a simulated disk: what is readable, what is durable, and what lies between. Knows nothing of handles.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
};

use super::fault::{Cut, Dice, Fault, Op};
use crate::port::LockKind;

const ROOT: u64 = 0;
const SECTOR: usize = 512;

#[derive(Clone)]
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// Counts power cuts and deaths.
    pub(super) life: u64,
    locks: BTreeMap<u64, Vec<(u64, LockKind)>>,
    pub(super) faults: Vec<Fault>,
    /// How much of the write that was just refused is to be written.
    pub(super) kept: Option<usize>,
    pub(super) changes: u64,
    pub(super) halt_after: Option<u64>,
    pub(super) halted: bool,
    pub(super) trace: Vec<(Op, PathBuf)>,
    /// Why its locks do not hold.
    pub(super) shared: Option<String>,
}

#[derive(Clone)]
enum Node {
    Folder(Folder),
    File(FileNode),
}

#[derive(Clone, Default)]
pub(super) struct Folder {
    pub(super) entries: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    pending: Vec<EntryChange>,
    pub(super) foreign: bool,
}

#[derive(Clone)]
enum EntryChange {
    Add(String, u64),
    Remove(String),
    /// Within one folder a rename happens whole or not at all.
    Move(String, String, u64),
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) content: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// Writes whose sync failed: perhaps on disk, and no later sync puts them there.
    doubtful: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Cut { length: usize },
}

/// Whether an operation that began is also to end well.
pub(super) struct Step {
    last: bool,
}

impl Step {
    /// The end of an operation: where the machine stops at it, its effect is in memory and nothing is durable.
    pub(super) fn end(&self) -> io::Result<()> {
        if self.last { Err(off()) } else { Ok(()) }
    }
}

fn off() -> io::Error {
    io::Error::other("the machine has stopped")
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no such file or folder: {}", path.display()))
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk {
            nodes: BTreeMap::from([(ROOT, Node::Folder(Folder::default()))]),
            next: ROOT + 1,
            life: 0,
            locks: BTreeMap::new(),
            faults: Vec::new(),
            kept: None,
            changes: 0,
            halt_after: None,
            halted: false,
            trace: Vec::new(),
            shared: None,
        }
    }

    /// Every operation passes here first.
    pub(super) fn begin(&mut self, op: Op, path: &Path) -> io::Result<Step> {
        if self.halted {
            return Err(off());
        }
        self.trace.push((op, path.to_owned()));
        self.kept = None;
        for fault in &mut self.faults {
            if let Some((error, kept)) = fault.meets(op, path) {
                self.kept = kept;
                return Err(error);
            }
        }
        if !op.changes() {
            return Ok(Step { last: false });
        }
        self.changes += 1;
        match &mut self.halt_after {
            Some(0) => {
                self.halted = true;
                Ok(Step { last: true })
            }
            Some(left) => {
                *left -= 1;
                Ok(Step { last: false })
            }
            None => Ok(Step { last: false }),
        }
    }

    pub(super) fn alive(&self, life: u64) -> io::Result<()> {
        if life == self.life {
            Ok(())
        } else {
            Err(io::Error::other("this file was opened before the machine stopped"))
        }
    }

    pub(super) fn restart(&mut self) {
        self.life += 1;
        self.locks.clear();
        self.halted = false;
        self.halt_after = None;
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        let mut at = ROOT;
        for part in path.components() {
            match part {
                Component::RootDir => at = ROOT,
                Component::Normal(name) => {
                    let Some(Node::Folder(folder)) = self.nodes.get(&at) else { return Err(missing(path)) };
                    let name = name.to_str().ok_or_else(|| missing(path))?;
                    at = *folder.entries.get(name).ok_or_else(|| missing(path))?;
                }
                _ => return Err(missing(path)),
            }
        }
        Ok(at)
    }

    pub(super) fn file(&mut self, id: u64) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        }
    }

    pub(super) fn folder(&mut self, id: u64) -> io::Result<&mut Folder> {
        match self.nodes.get_mut(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder")),
        }
    }

    fn place(&self, path: &Path) -> io::Result<(u64, String)> {
        let parent = path.parent().ok_or_else(|| missing(path))?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| missing(path))?;
        Ok((self.find(parent)?, name.to_owned()))
    }

    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<u64> {
        self.make(path, Node::Folder(Folder::default()))
    }

    pub(super) fn make_file(&mut self, path: &Path) -> io::Result<u64> {
        self.make(path, Node::File(FileNode::default()))
    }

    fn make(&mut self, path: &Path, node: Node) -> io::Result<u64> {
        let (parent, name) = self.place(path)?;
        let id = self.next;
        let folder = self.folder(parent)?;
        if folder.entries.contains_key(&name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists"));
        }
        folder.apply(EntryChange::Add(name, id));
        self.next += 1;
        self.nodes.insert(id, node);
        Ok(id)
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        self.folder(parent)?.apply(EntryChange::Remove(name));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let (old, old_name) = self.place(from)?;
        let (new, new_name) = self.place(to)?;
        if let Ok(there) = self.find(to)
            && let Some(Node::Folder(folder)) = self.nodes.get(&there)
            && !folder.entries.is_empty()
        {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is a folder that is not empty"));
        }
        if old == new {
            self.folder(old)?.apply(EntryChange::Move(old_name, new_name, node));
        } else {
            self.folder(new)?.apply(EntryChange::Add(new_name, node));
            self.folder(old)?.apply(EntryChange::Remove(old_name));
        }
        Ok(())
    }

    pub(super) fn take_lock(&mut self, node: u64, kind: LockKind) -> Option<u64> {
        let held = self.locks.entry(node).or_default();
        let clash = held.iter().any(|(_, other)| kind == LockKind::Exclusive || *other == LockKind::Exclusive);
        if clash {
            return None;
        }
        let holder = self.next;
        self.next += 1;
        held.push((holder, kind));
        Some(holder)
    }

    pub(super) fn free_lock(&mut self, node: u64, holder: u64) {
        if let Some(held) = self.locks.get_mut(&node) {
            held.retain(|(other, _)| *other != holder);
        }
    }

    pub(super) fn lose(&mut self, cut: Cut) {
        let mut dice = Dice::new(match cut {
            Cut::Torn { seed } | Cut::Holes { seed } => seed,
            Cut::Drop | Cut::Keep => 0,
        });
        for node in self.nodes.values_mut() {
            match node {
                Node::Folder(folder) => folder.lose(cut, &mut dice),
                Node::File(file) => file.lose(cut, &mut dice),
            }
        }
    }

    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, id)) = open.pop() {
            match self.nodes.get(&id) {
                Some(Node::Folder(folder)) => {
                    open.extend(folder.entries.iter().map(|(name, id)| (path.join(name), *id)));
                }
                Some(Node::File(file)) => found.push((path, file.content.clone())),
                None => {}
            }
        }
        found.sort();
        found
    }
}

impl Folder {
    fn apply(&mut self, change: EntryChange) {
        change.to(&mut self.entries);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.pending.clear();
        self.durable = self.entries.clone();
    }

    fn lose(&mut self, cut: Cut, dice: &mut Dice) {
        for change in self.pending.drain(..) {
            let kept = match cut {
                Cut::Drop => false,
                Cut::Keep => true,
                Cut::Torn { .. } | Cut::Holes { .. } => dice.below(2) == 0,
            };
            if kept {
                change.to(&mut self.durable);
            }
        }
        self.entries = self.durable.clone();
    }
}

impl EntryChange {
    fn to(&self, entries: &mut BTreeMap<String, u64>) {
        match self {
            EntryChange::Add(name, id) => {
                entries.insert(name.clone(), *id);
            }
            EntryChange::Remove(name) => {
                entries.remove(name);
            }
            EntryChange::Move(from, to, id) => {
                entries.remove(from);
                entries.insert(to.clone(), *id);
            }
        }
    }
}

impl FileNode {
    pub(super) fn write(&mut self, offset: Option<u64>, bytes: &[u8]) {
        let offset = offset.map_or(self.content.len(), |o| o as usize);
        let change = Change::Write { offset, bytes: bytes.to_vec() };
        change.to(&mut self.content);
        self.pending.push(change);
    }

    pub(super) fn cut(&mut self, length: u64) {
        let change = Change::Cut { length: length as usize };
        change.to(&mut self.content);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.to(&mut self.durable);
        }
    }

    /// A sync failed: what it should have made durable is given up.
    pub(super) fn doubt(&mut self) {
        self.doubtful.append(&mut self.pending);
    }

    fn lose(&mut self, cut: Cut, dice: &mut Dice) {
        let doubtful = std::mem::take(&mut self.doubtful);
        let pending = std::mem::take(&mut self.pending);
        for change in doubtful.into_iter().chain(pending) {
            match (cut, &change) {
                (Cut::Drop, _) => {}
                (Cut::Keep, _) => change.to(&mut self.durable),
                (_, Change::Cut { .. }) => {
                    if dice.below(2) == 0 {
                        change.to(&mut self.durable);
                    }
                }
                (_, Change::Write { offset, bytes }) => match dice.below(4) {
                    0 => {}
                    1 => change.to(&mut self.durable),
                    2 => {
                        let length = dice.below(bytes.len() as u64 + 1) as usize;
                        Change::Write { offset: *offset, bytes: bytes[..length].to_vec() }.to(&mut self.durable);
                    }
                    _ if matches!(cut, Cut::Torn { .. }) => change.to(&mut self.durable),
                    _ => holes(*offset, bytes, &mut self.durable, dice),
                },
            }
        }
        self.content = self.durable.clone();
    }
}

/// Writes some sectors of a write and not others; the file has its full length.
fn holes(offset: usize, bytes: &[u8], content: &mut Vec<u8>, dice: &mut Dice) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
        if dice.below(2) == 0 {
            content[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
        }
        at = end;
    }
}

impl Change {
    fn to(&self, content: &mut Vec<u8>) {
        match self {
            // An empty write does not lengthen a file, wherever it stands.
            Change::Write { bytes, .. } if bytes.is_empty() => {}
            Change::Write { offset, bytes } => {
                if content.len() < offset + bytes.len() {
                    content.resize(offset + bytes.len(), 0);
                }
                content[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Change::Cut { length } => content.truncate(*length),
        }
    }
}
