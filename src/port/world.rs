//! The only door to the outside. Knows nothing of steps' meaning.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::{ExecRecord, Local, ProcessEnd, ProcessRequest};
use crate::{
    event::{Effect, StepId, Stream},
    value::Secret,
};

/// Runs processes, sends requests, tells the time. `None` as an answer means "this world performs nothing": the values
/// that would have come of it stay unknown.
pub trait World {
    fn run<'a>(
        &'a self,
        request: &'a ProcessRequest,
        output: &'a dyn Output,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>>;

    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<HttpReply>, SendError>>;

    /// How much of what it is asked this world does, for whoever would do in vain what leads up to it.
    fn deeds(&self) -> Deeds {
        Deeds::Everything
    }

    /// Monotonic time since this world was made.
    fn now(&self) -> Duration;

    /// The wall clock, for records only; no limit is measured with it.
    fn wall(&self) -> jiff::Timestamp;

    fn sleep<'a>(&'a self, duration: Duration, cancel: &'a Cancel) -> Local<'a, ()>;

    /// None where this world reads no secrets.
    fn secret<'a>(&'a self, source: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>>;

    /// Variables of the caller that steps may see.
    fn variable(&self, name: &str) -> Option<String>;

    /// Where a tool stands on the search path.
    fn tool(&self, name: &str) -> Option<PathBuf>;

    /// Random bits, for names and jitter; a scenario fixes them.
    fn random(&self) -> u64;

    /// What became of a process that an earlier engine started and did not see end.
    fn left_behind(&self, _record_dir: &Path, _step: &StepId, _attempt: u32) -> LeftBehind {
        LeftBehind::Nothing
    }

    /// Waits until such a process has ended, or ends it. What it left running, as it may, is ended but not waited for.
    fn settle_left_behind<'a>(
        &'a self,
        _record_dir: &'a Path,
        _step: &'a StepId,
        _attempt: u32,
        _end_it: bool,
        _cancel: &'a Cancel,
    ) -> Local<'a, LeftBehind> {
        Box::pin(async { LeftBehind::Nothing })
    }
}

/// How much a world does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deeds {
    Everything,
    /// What only reads, once: nobody waits for it to become something else.
    Looks,
    Nothing,
}

/// What is left of an attempt whose engine died.
#[derive(Clone, Debug, PartialEq)]
pub enum LeftBehind {
    /// Its supervisor lives: the attempt's lock is held.
    Running,
    /// Its supervisor wrote down how it ended.
    Ended(ExecRecord),
    /// It ended as written down, and what it left running, as it may, still does.
    Daemon(ExecRecord),
    /// No trace: it may never have started, or may have ended unseen.
    Nothing,
}

/// Takes what a process writes, as it comes. Called from the engine's thread.
pub trait Output {
    fn chunk(&self, stream: Stream, bytes: &[u8]);

    /// The operator typed the escape key of a step that has the terminal. Until this resolves the terminal is the
    /// operator's, and what the step writes still comes to [`Output::chunk`], which must not show it. Dropped when the
    /// process ends first.
    fn escaped<'a>(&'a self) -> Local<'a, ()> {
        Box::pin(async {})
    }
}

/// Says, once, that something running should end. Cheap to clone; waiting on it is possible.
#[derive(Clone, Default)]
pub struct Cancel(Rc<CancelInner>);

#[derive(Default)]
struct CancelInner {
    /// 0 none, 1 politely (INT), 2 at once (KILL after the grace is cut short).
    level: std::cell::Cell<u8>,
    notify: tokio::sync::Notify,
}

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Asks for an end; a higher level adds urgency, a lower one changes nothing.
    pub fn raise(&self, level: u8) {
        if level > self.0.level.get() {
            self.0.level.set(level);
            self.0.notify.notify_waiters();
        }
    }

    pub fn level(&self) -> u8 {
        self.0.level.get()
    }

    /// Resolves when the level is above `seen`, and tells it.
    pub async fn above(&self, seen: u8) -> u8 {
        loop {
            let notified = self.0.notify.notified();
            if self.level() > seen {
                return self.level();
            }
            notified.await;
        }
    }
}

/// One request, with everything decided.
#[derive(Clone)]
pub struct HttpRequest {
    /// Whose it is, for a world that answers by step. The context of the step fills in these three.
    pub step: StepId,
    pub attempt: u32,
    /// Sent by a `verify`.
    pub looks: bool,
    /// What it does, as the file says.
    pub effect: Effect,
    pub method: String,
    pub url: url::Url,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    pub timeout: Duration,
    pub follow_redirects: bool,
    /// A file of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Bytes of a response that are kept in memory.
    pub max_body: u64,
    /// Where the response body goes instead of memory.
    pub save: Option<PathBuf>,
}

#[derive(Clone)]
pub enum Body {
    Nothing,
    Bytes(Vec<u8>),
    File(PathBuf),
}

#[derive(Clone, Debug)]
pub struct HttpReply {
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body was longer than `max_body`.
    pub truncated: bool,
    /// Where the answer came from, after redirects.
    pub url: String,
    pub elapsed: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing reached the other side: no such host, refused, no agreement on TLS, a bad local file.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, or may have been, and no whole answer came back: the effect is open.
    #[error("{0}")]
    Lost(String),
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum WorldError {
    /// The process was never started.
    #[error("{0}")]
    NotStarted(String),
    /// It was started and how it ended cannot be told.
    #[error("{0}")]
    Lost(String),
}

/// Where a secret is read from, with everything decided.
#[derive(Clone, Debug, PartialEq)]
pub enum SecretSource {
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
    /// Asked before the first step; the engine never reads this one from a world.
    Prompt {
        prompt: String,
    },
}
