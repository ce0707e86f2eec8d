//! The operator's terminal while a step has it to itself: raw, relayed, and put back whatever happens. Knows nothing of
//! the step.

use std::{
    io::{self, IsTerminal},
    os::fd::BorrowedFd,
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use rustix::{
    stdio,
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
};

/// Ctrl-]: ends the step politely, as the first Ctrl-C does for steps without a terminal.
pub const ESCAPE: u8 = 0x1d;

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

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

/// Puts the operator's terminal back as it was, if a step has it: for ways out that run no destructors.
pub fn restore_terminal() {
    // Left in place, because the owner may still be there and does the same again.
    if let Some(saved) = saved().as_ref() {
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, saved);
    }
}

// A poisoned lock still holds what must be restored.
fn saved() -> MutexGuard<'static, Option<Termios>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this lives, keys come as they are typed, Ctrl-C included.
pub(super) struct RawMode(());

impl RawMode {
    /// None if the terminal cannot be had, or a step has it already.
    pub fn enter() -> Option<RawMode> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore_terminal();
                before(info);
            }));
        });
        let mut saved = saved();
        if saved.is_some() {
            return None;
        }
        let normal = tcgetattr(stdio::stdin()).ok()?;
        let mut raw = normal.clone();
        raw.make_raw();
        tcsetattr(stdio::stdin(), OptionalActions::Now, &raw).ok()?;
        *saved = Some(normal);
        Some(RawMode(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore_terminal();
        *saved() = None;
    }
}

/// The operator's keys. The descriptor is shared with the shell that started us and must stay as it is, so that it is
/// never made non-blocking: it is asked whether there is something, and then read.
pub(super) struct Keyboard(AsyncFd<BorrowedFd<'static>>);

impl Keyboard {
    pub fn new() -> Option<Keyboard> {
        // SAFETY: what is registered is borrowed for ever: standard input stays open as long as the process.
        unsafe { AsyncFd::register_with_interest(stdio::stdin(), Interest::READABLE) }.ok().map(Keyboard)
    }

    /// The keys typed; none when there will be no more. Never resolves without a keyboard.
    pub async fn read(keyboard: &mut Option<Keyboard>) -> Option<Vec<u8>> {
        let Some(Keyboard(fd)) = keyboard else { return std::future::pending().await };
        loop {
            let mut guard = fd.readable().await.ok()?;
            let mut ask = [super::relay::watch(guard.get_inner(), libc::POLLIN)];
            super::relay::poll(&mut ask, Some(std::time::Duration::ZERO)).ok()?;
            if ask[0].revents == 0 {
                guard.clear_ready();
                continue;
            }
            let mut buffer = [0u8; 4096];
            return match rustix::io::read(guard.get_inner(), &mut buffer) {
                Ok(count @ 1..) => Some(buffer[..count].to_vec()),
                _ => None,
            };
        }
    }
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
