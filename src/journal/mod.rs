//! Runs on disk: folders, the hash chain, recovery, verification and locks. Knows nothing of plans or of how steps run.

mod disk;
mod memory;

pub use disk::DiskStorage;
pub use memory::{Cut, Fault, MemoryStorage, Op};
