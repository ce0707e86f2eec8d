//! The traits between the engine and everything it uses. Knows none of their implementations.

mod journal;
mod operator;
mod process;
mod sink;
mod storage;
mod task;
mod world;

use std::{future::Future, pin::Pin};

pub use journal::{Journal, JournalError, OutputLog, OutputSummary};
pub use operator::{Answer, Choice, Evidence, Operator, Question, QuestionKind, Reply};
pub use process::{ExecRecord, ProcessEnd, ProcessRequest, Stdin};
pub use sink::Sink;
pub use storage::{LockKind, Storage, StorageFile, StorageLock};
pub use task::{Failure, ProcessReport, StepContext, StepError, StepReport, Task};
pub use world::{Body, Cancel, HttpReply, HttpRequest, LeftBehind, Output, SecretSource, SendError, World, WorldError};

/// A future that stays on its thread; the engine runs on one.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
