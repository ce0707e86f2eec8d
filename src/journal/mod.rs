//! Runs on disk: folders, the hash chain, recovery, verification and locks. Knows nothing of plans or of how steps run.

mod chain;
mod disk;
mod error;
mod file_system;
mod list;
mod locks;
mod memory;
mod output;
mod prune;
mod recover;
mod replay;
mod reserve;
mod signed;
mod store;
mod verify;
mod writer;

pub use chain::{Chain, MAX_LINE, TAG, hex_sha256};
pub use disk::DiskStorage;
pub use error::StoreError;
pub use list::{RunSummary, Standing};
pub use locks::{Holder, NamedLock, Refusal, Stuck, Who};
pub use memory::{Cut, Fault, MemoryStorage, Op};
pub use output::OutputLimits;
pub use prune::{OldRuns, Removal};
pub use replay::{BadLine, Replay, Torn};
pub use signed::{SIGNATURE_NAMESPACE, Signed, Statement, Verdict};
pub use store::{Frozen, JOURNAL_VERSION, LANGUAGE_VERSION, NewRun, OpenRun, ReadRun, RunStore, default_state_dir};
pub use verify::{Anchor, Problem, VerifyReport, later_version, verify};
pub use writer::{DiskJournal, LastResort};
