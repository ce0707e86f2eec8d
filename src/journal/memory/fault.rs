//! What can go wrong with a simulated disk, and when. Knows nothing of its content.

use std::{io, path::Path};

/// What is done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    CreateDir,
    Create,
    Append,
    Read,
    Open,
    Rename,
    Truncate,
    Remove,
    RemoveTree,
    List,
    SyncDir,
    Lock,
    Describe,
    Write,
    Sync,
    Preallocate,
    WriteAt,
}

impl Op {
    /// Whether it changes what is on the disk, or what of it is durable.
    pub fn changes(self) -> bool {
        !matches!(self, Op::Append | Op::Read | Op::Open | Op::List | Op::Lock)
    }
}

/// An operation that is to fail: by default the first of its kind from now on, once.
#[derive(Clone, Debug)]
pub struct Fault {
    op: Op,
    path: Option<String>,
    before: u64,
    errno: i32,
    forever: bool,
    kept: Option<usize>,
}

impl Fault {
    /// No space left on the device.
    pub const ENOSPC: i32 = 28;
    /// An input or output error.
    pub const EIO: i32 = 5;

    pub fn on(op: Op, errno: i32) -> Fault {
        Fault { op, path: None, before: 0, errno, forever: false, kept: None }
    }

    /// Only operations on paths that end in this text.
    pub fn path(mut self, end: &str) -> Fault {
        self.path = Some(end.to_owned());
        self
    }

    /// The nth operation that matches, counted from 1.
    pub fn nth(mut self, nth: u64) -> Fault {
        self.before = nth.saturating_sub(1);
        self
    }

    /// Every later one, too.
    pub fn forever(mut self) -> Fault {
        self.forever = true;
        self
    }

    /// A write that fails has written so many of its bytes.
    pub fn keeping(mut self, bytes: usize) -> Fault {
        self.kept = Some(bytes);
        self
    }

    /// Whether this operation fails now, with how many bytes written.
    pub(super) fn meets(&mut self, op: Op, path: &Path) -> Option<(io::Error, Option<usize>)> {
        let here = self.path.as_ref().is_none_or(|end| path.to_string_lossy().ends_with(end.as_str()));
        if op != self.op || !here {
            return None;
        }
        if self.before > 0 {
            self.before -= 1;
            return None;
        }
        if !self.forever {
            self.before = u64::MAX;
        }
        Some((io::Error::from_raw_os_error(self.errno), self.kept))
    }
}

/// What a power cut leaves of changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Drop,
    /// Everything.
    Keep,
    /// Each change or not, in any combination; of a write perhaps only its beginning. The seed decides.
    Torn { seed: u64 },
    /// As `Torn`, and sectors of 512 bytes within one write may be missing while later ones are there.
    Holes { seed: u64 },
}

/// Few good random bits from a seed (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }
}
