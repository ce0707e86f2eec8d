//! The operator's terminal while a step has it to itself: raw, relayed, and put back whatever happens. Knows nothing of
//! the step.

use std::{
    io::{self, IsTerminal},
    os::fd::BorrowedFd,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    stdio,
    termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

/// Ctrl-]: from the step to the operator's menu.
pub const ESCAPE: u8 = 0x1d;

/// What the terminal was before a step took it, and what it is meanwhile.
struct Taken {
    normal: Termios,
    raw: Termios,
}

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
/// How often this process was stopped and went on.
static STOPS: AtomicU64 = AtomicU64::new(0);
/// How often the terminal was taken again after that.
static RESUMED: AtomicU64 = AtomicU64::new(0);
static GOES_ON: Notify = Notify::const_new();

/// Somebody can type and see.
pub(super) fn operator_present() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Rows and columns of the operator's terminal.
pub(super) fn operator_size() -> (u16, u16) {
    match tcgetwinsize(stdio::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// Puts the operator's terminal back as it was, if a step has it: for ways out that run no destructors, and before the
/// process is stopped.
pub fn restore_terminal() {
    // Left in place, because the owner may still be there and does the same again.
    if let Some(taken) = taken().as_ref() {
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, &taken.normal);
    }
}

/// The process was stopped and goes on. To be called by the handler of that signal, ahead of everything: it only counts.
pub fn was_stopped() {
    STOPS.fetch_add(1, Ordering::Relaxed);
}

/// After a stop: a step that had the terminal has it again. Whoever reads the keys throws away those of the time between.
pub fn take_terminal_again() {
    if let Some(taken) = taken().as_ref() {
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, &taken.raw);
    }
    RESUMED.fetch_add(1, Ordering::Relaxed);
    GOES_ON.notify_waiters();
}

// A poisoned lock still holds what must be restored.
fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this lives, keys come as they are typed, Ctrl-C included.
pub(super) struct RawMode(());

impl RawMode {
    /// None if the terminal cannot be had, or a step has it already. What was typed before counts for nobody.
    pub fn enter() -> Option<RawMode> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore_terminal();
                before(info);
            }));
        });
        let mut taken = taken();
        if taken.is_some() {
            return None;
        }
        let normal = tcgetattr(stdio::stdin()).ok()?;
        let mut raw = normal.clone();
        raw.make_raw();
        *taken = Some(Taken { normal, raw: raw.clone() });
        // Made before the change, so that whatever fails, this puts it back.
        let mode = RawMode(());
        drop(taken);
        tcsetattr(stdio::stdin(), OptionalActions::Flush, &raw).ok()?;
        Some(mode)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore_terminal();
        *taken() = None;
    }
}

/// The operator's keys. The descriptor is shared with the shell that started us and must stay as it is, so that it is
/// never made non-blocking: it is asked whether there is something, and then read.
pub(super) struct Keyboard {
    fd: AsyncFd<BorrowedFd<'static>>,
    /// Stops that are known of.
    stops: u64,
}

impl Keyboard {
    pub fn new() -> Option<Keyboard> {
        // SAFETY: what is registered is borrowed for ever: standard input stays open as long as the process.
        unsafe { AsyncFd::register_with_interest(stdio::stdin(), Interest::READABLE) }
            .ok()
            .map(|fd| Keyboard { fd, stops: STOPS.load(Ordering::Relaxed) })
    }

    /// After the process went on, ahead of the first key.
    pub fn forget_typed(&mut self) {
        forget_typed(&mut self.stops);
    }

    /// The keys typed; none when there will be no more. Never resolves without a keyboard.
    pub async fn read(keyboard: &mut Option<Keyboard>) -> Option<Vec<u8>> {
        let Some(Keyboard { fd, stops }) = keyboard else { return std::future::pending().await };
        loop {
            let mut guard = fd.readable().await.ok()?;
            let mut ask = [super::relay::watch(guard.get_inner(), libc::POLLIN)];
            super::relay::poll(&mut ask, Some(std::time::Duration::ZERO)).ok()?;
            if ask[0].revents == 0 {
                guard.clear_ready();
                continue;
            }
            let mut buffer = [0u8; 4096];
            let read = rustix::io::read(guard.get_inner(), &mut buffer);
            if forget_typed(stops) {
                continue;
            }
            return match read {
                Ok(count @ 1..) => Some(buffer[..count].to_vec()),
                _ => None,
            };
        }
    }
}

/// After a stop: what was typed meanwhile was meant for whoever had the terminal. True if there was one.
fn forget_typed(stops: &mut u64) -> bool {
    let now = STOPS.load(Ordering::Relaxed);
    let stopped = std::mem::replace(stops, now) != now;
    if stopped {
        let _ = tcflush(stdio::stdin(), QueueSelector::IFlush);
    }
    stopped
}

/// Says when the operator's window changes its size.
pub(super) struct Resized(Signal);

impl Resized {
    pub fn new() -> Option<Resized> {
        signal(SignalKind::window_change()).ok().map(Resized)
    }

    /// Never resolves where nothing is watched.
    pub async fn wait(resized: &mut Option<Resized>) {
        match resized {
            Some(Resized(signal)) => match signal.recv().await {
                Some(()) => {}
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

/// Says when the process goes on after it was stopped.
pub(super) struct WentOn(u64);

impl WentOn {
    pub fn new() -> WentOn {
        WentOn(RESUMED.load(Ordering::Relaxed))
    }

    pub async fn wait(&mut self) {
        loop {
            let notified = GOES_ON.notified();
            let resumed = RESUMED.load(Ordering::Relaxed);
            if std::mem::replace(&mut self.0, resumed) != resumed {
                return;
            }
            notified.await;
        }
    }
}
