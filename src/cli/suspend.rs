//! Ctrl-Z and its kin: terminals are given back before the process is stopped, and taken again when it goes on. Knows
//! nothing of runs: steps live in sessions of their own and are not stopped with us.

use std::{
    io,
    mem::MaybeUninit,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{operators, worlds::real};

/// From here on, on the thread of this run.
pub fn watch() {
    use tokio::signal::unix::{SignalKind, signal};
    // Whoever started us without job control does not want us stopped.
    if action(libc::SIGTSTP, None).is_ok_and(|action| action.sa_sigaction == libc::SIG_IGN) {
        return;
    }
    let kind = SignalKind::from_raw;
    let (Ok(mut stop), Ok(mut go_on)) = (signal(kind(libc::SIGTSTP)), signal(kind(libc::SIGCONT))) else { return };
    if count_first().is_err() {
        return;
    }
    operators::stops_are_handled();
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                Some(()) = stop.recv() => {
                    operators::before_stop();
                    real::restore_terminal();
                    stop_here();
                    operators::after_stop();
                    real::take_terminal_again();
                }
                // After a stop that nobody was told of beforehand, a shell may have changed the terminal.
                Some(()) = go_on.recv() => {
                    operators::after_stop();
                    real::take_terminal_again();
                }
                else => return,
            }
        }
    });
}

/// As if nobody had listened. A group without a shell that could wake it again is not stopped; the kernel sees to that.
fn stop_here() {
    // SAFETY: plain data for which zeroes are valid: the default action, no flags, no mask.
    let default: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let Ok(ours) = action(libc::SIGTSTP, Some(&default)) else { return };
    // SAFETY: it only sends a signal to this process.
    unsafe {
        libc::raise(libc::SIGTSTP);
    }
    let _ = action(libc::SIGTSTP, Some(&ours));
}

/// The handler that was there before ours, which wakes whoever waits.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Counts ahead of everything else: a key that was typed while we were stopped must be known as such when it is read, and
/// what is woken comes in no order.
fn count_first() -> io::Result<()> {
    let there = action(libc::SIGCONT, None)?;
    let ours = note as *const () as libc::sighandler_t;
    if there.sa_sigaction == ours {
        return Ok(());
    }
    if there.sa_flags & libc::SA_SIGINFO == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    NEXT.store(there.sa_sigaction, Ordering::Release);
    action(libc::SIGCONT, Some(&libc::sigaction { sa_sigaction: ours, ..there })).map(drop)
}

extern "C" fn note(number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    operators::was_stopped();
    real::was_stopped();
    let next = NEXT.load(Ordering::Acquire);
    // SAFETY: it is the handler that was installed for this signal with the same flags, and is called as the system would.
    unsafe {
        let next: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(next);
        next(number, info, context);
    }
}

/// Sets what is done about a signal, if anything is given, and tells what was done before.
fn action(number: libc::c_int, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both point to live values, and the old one is plain data that the call fills.
    unsafe {
        if libc::sigaction(number, new, old.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(old.assume_init())
    }
}
