//! The real world: processes under a supervisor, HTTP, clocks, secrets. Knows nothing of what a step means.

mod attempt;
mod child;
mod control;
mod family;
mod git;
mod http;
mod launch;
pub(crate) mod lookup;
mod orphans;
mod relay;
mod remote;
mod secrets;
mod shellcheck;
mod signals;
mod signatures;
mod supervisor;
mod terminal;
mod versions;
mod wire;

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub use attempt::{AttemptState, attempt_state, kill_attempt, wait_attempt};
pub use git::{GitError, GitTree, Stands};
pub use shellcheck::Shellcheck;
pub use signatures::{Checked, SignatureError, SshKey, check_signature, signer};
pub use supervisor::supervise_main;
pub use terminal::{ESCAPE, restore_terminal, take_terminal_again, was_stopped};
pub use versions::{tool_version, try_a_process};

use crate::{
    event::StepId,
    port::{
        Cancel, HttpReply, HttpRequest, LeftBehind, Local, Output, ProcessEnd, ProcessRequest, SecretSource, SendError,
        World, WorldError,
    },
    value::Secret,
};

/// Does what it is asked.
pub struct RealWorld {
    began: Instant,
    /// What is started as `<helper> __supervise`.
    helper: PathBuf,
    /// A supervisor that was started early and waits for its order. It ends with us.
    spare: RefCell<Option<launch::Helper>>,
    /// Supervisors that have told everything and are about to end, or have.
    retired: RefCell<Vec<Arc<duct::Handle>>>,
    /// The numbers of the supervisors that were started and not collected.
    supervisors: RefCell<HashSet<i32>>,
    /// What loses its parent becomes our child.
    adopts: Cell<bool>,
    /// Tells our supervisors from those of another engine.
    token: String,
    clients: http::Clients,
}

impl RealWorld {
    /// `helper` is this program, as [`RealWorld::own_program`] finds it, or in tests the binary under test.
    pub fn new(helper: PathBuf) -> RealWorld {
        RealWorld {
            began: Instant::now(),
            helper,
            spare: RefCell::new(None),
            retired: RefCell::default(),
            supervisors: RefCell::default(),
            adopts: Cell::new(false),
            token: format!("{:016x}", random()),
            clients: http::Clients::default(),
        }
    }

    /// Makes this program the parent of whatever a killed supervisor leaves, so that nothing of a step escapes. Only for
    /// a program that starts nothing but supervisors: every other child it has is ended together with such a step.
    pub fn adopting(self) -> RealWorld {
        #[cfg(target_os = "linux")]
        self.adopts.set(rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok());
        self
    }

    /// The running program itself, even if its file was replaced since it started.
    pub fn own_program() -> PathBuf {
        if cfg!(target_os = "linux") {
            return PathBuf::from("/proc/self/exe");
        }
        std::env::current_exe().unwrap_or_else(|_| PathBuf::from("runsheet"))
    }
}

impl Drop for RealWorld {
    /// Nobody finds a supervisor of ours when we are gone, but one that watches over a daemon.
    fn drop(&mut self) {
        launch::dismiss(self);
    }
}

/// No core dumps and no look into our memory for others: it holds secrets. To be called first thing by `main`.
///
/// What we start is not affected: it is undone by exec.
pub fn harden() {
    // A file that may not grow any more is an error like a full disk, and not the end of us. Steps get the default back.
    // SAFETY: it only says what is to be done about one signal.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(not(target_os = "linux"))]
    {
        let none = rustix::process::Rlimit { current: Some(0), maximum: None };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
}

fn left(state: AttemptState) -> LeftBehind {
    match state {
        AttemptState::Running => LeftBehind::Running,
        AttemptState::Ended(record) => LeftBehind::Ended(record),
        AttemptState::Daemon(record) => LeftBehind::Daemon(record),
        AttemptState::Gone => LeftBehind::Nothing,
    }
}

impl World for RealWorld {
    fn run<'a>(
        &'a self,
        request: &'a ProcessRequest,
        output: &'a dyn Output,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>> {
        Box::pin(async move { launch::run(self, request, output, cancel, launch::Dropped::GoesOn).await.map(Some) })
    }

    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<HttpReply>, SendError>> {
        Box::pin(async move { http::send(&self.clients, request, cancel).await.map(Some) })
    }

    fn left_behind(&self, record_dir: &Path, step: &StepId, attempt: u32) -> LeftBehind {
        // What cannot be looked at is taken as alive: never a second start.
        attempt_state(record_dir, step, attempt).map_or(LeftBehind::Running, left)
    }

    fn settle_left_behind<'a>(
        &'a self,
        record_dir: &'a Path,
        step: &'a StepId,
        attempt: u32,
        end_it: bool,
        cancel: &'a Cancel,
    ) -> Local<'a, LeftBehind> {
        Box::pin(async move {
            if end_it {
                kill_attempt(record_dir, step, attempt, cancel).await.map_or(LeftBehind::Running, left)
            } else {
                wait_attempt(record_dir, step, attempt, cancel).await.map_or(LeftBehind::Running, left)
            }
        })
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep<'a>(&'a self, duration: Duration, cancel: &'a Cancel) -> Local<'a, ()> {
        Box::pin(async move {
            tokio::select! {
                biased;
                _ = cancel.above(0) => {}
                () = tokio::time::sleep(duration) => {}
            }
        })
    }

    fn secret<'a>(&'a self, source: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>> {
        Box::pin(async move { secrets::read(self, source).await.map(Some) })
    }

    fn variable(&self, name: &str) -> Option<String> {
        lookup::variable(name)
    }

    fn tool(&self, name: &str) -> Option<PathBuf> {
        lookup::tool(name)
    }

    fn random(&self) -> u64 {
        random()
    }
}

/// The standard library seeds its hashers from the system; mixed with the clock, because it seeds once for each thread
/// and counts from there.
fn random() -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_i128(jiff::Timestamp::now().as_nanosecond());
    hasher.finish()
}
