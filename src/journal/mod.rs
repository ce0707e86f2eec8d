//! Runs on disk: folders, the hash chain, recovery, verification and locks. Knows nothing of plans or of how steps run.

mod chain;
mod disk;
mod error;
mod list;
mod locks;
mod memory;
mod output;
mod recover;
mod replay;
mod reserve;
mod store;
mod verify;
mod writer;

pub use chain::{Chain, MAX_LINE, TAG, hex_sha256};
pub use disk::DiskStorage;
pub use error::StoreError;
pub use list::{RunSummary, Standing};
pub use locks::{Holder, NamedLock, Refusal, Who};
pub use memory::{Cut, Fault, MemoryStorage, Op};
pub use output::OutputLimits;
pub use replay::{BadLine, Replay, Torn};
pub use store::{Frozen, JOURNAL_VERSION, LANGUAGE_VERSION, OpenRun, ReadRun, RunStore, default_state_dir};
pub use verify::{Anchor, Problem, VerifyReport, later_version, verify};
pub use writer::{DiskJournal, LastResort};
