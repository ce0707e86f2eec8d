//! The record of a run, as the engine sees it. Knows nothing of files.

use super::Local;
use crate::event::{Record, StepId};

/// Append-only and durable. Once an append failed, every later one fails too.
pub trait Journal {
    /// Resolves when the record is durable. Records are masked before they come here.
    fn append<'a>(&'a self, record: &'a Record) -> Local<'a, Result<(), JournalError>>;

    /// The masked output of one attempt. Nothing is created until something is written.
    fn output(&self, step: &StepId, attempt: u32) -> Result<Box<dyn OutputLog>, JournalError>;

    /// The end of what an attempt of an earlier session wrote, as far as it is kept: evidence for whoever has to decide.
    fn output_tail(&self, _step: &StepId, _attempt: u32) -> Vec<String> {
        Vec::new()
    }

    /// Where supervisors keep lock and exit record of an attempt; none where nothing is kept.
    fn step_dir(&self) -> Option<std::path::PathBuf>;

    /// A scratch folder kept until the run closes (`run.dir`); none where nothing is kept.
    fn scratch_dir(&self) -> Option<std::path::PathBuf>;
}

/// Where masked output goes.
pub trait OutputLog {
    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError>;

    /// Hands everything written so far to the system: it outlives this program, though perhaps not the machine.
    fn hand_over(&mut self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Makes everything written so far durable and tells its length and digest.
    fn commit(&mut self) -> Result<OutputSummary, JournalError>;
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputSummary {
    /// Bytes in the log file.
    pub bytes: u64,
    /// SHA-256 of the log file in hex; none if it is empty and therefore not there.
    pub sha256: Option<String>,
    /// Bytes of a log over its limit that were left out between its head and its tail.
    pub omitted: u64,
    /// It could not be written: what of it is in the log is promised to nobody.
    pub lost: bool,
}

/// The journal could not be written: exit 9.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the journal could not be written: {0}")]
pub struct JournalError(pub String);
