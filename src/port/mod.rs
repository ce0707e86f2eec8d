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
pub use operator::{Answer, Choice, Closing, Evidence, Operator, Question, QuestionKind, Reply};
pub use process::{BASE_ENV, ExecRecord, ProcessEnd, ProcessRequest, RemoteEnd, RemoteScript, Stdin};
pub use sink::Sink;
pub use storage::{LockKind, Storage, StorageFile, StorageLock};
pub use task::{Failure, ProcessReport, Sample, StepContext, StepError, StepReport, Task};
pub use world::{
    Body, Cancel, Deeds, HttpReply, HttpRequest, LeftBehind, Output, SecretSource, SendError, World, WorldError,
};

/// A future that stays on its thread; the engine runs on one.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Lets everything else that is ready have a turn. Those that wait so go on in the order in which they came, which the
/// runtime's own way does not promise.
pub async fn turn() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
