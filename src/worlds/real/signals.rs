//! Signals of the supervisor as bytes on a pipe, and everything else back to its default. Knows nothing of steps.

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd},
    sync::atomic::{AtomicI32, Ordering},
};

static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Makes CHLD, TERM, INT and HUP arrive as their numbers on the returned descriptor; all others get their default, and
/// none is blocked. What a caller ignores (`nohup`, `&` in a script) must not be ignored by a step: an ignored signal
/// is inherited through exec, a caught one is not.
pub(super) fn take_over() -> io::Result<OwnedFd> {
    let (reader, writer) = std::io::pipe()?;
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    super::relay::nonblocking(&reader)?;
    super::relay::nonblocking(&writer)?;
    // Lives as long as the process: a handler may run at any time.
    PIPE.store(writer.into_raw_fd(), Ordering::Release);
    for number in 1..=64 {
        let handler = match number {
            libc::SIGKILL | libc::SIGSTOP => continue,
            // Ours stays ignored, so that a closed pipe is an error and not an end; the standard library gives the
            // step the default.
            libc::SIGPIPE => continue,
            libc::SIGCHLD | libc::SIGTERM | libc::SIGINT | libc::SIGHUP => note as *const () as libc::sighandler_t,
            _ => libc::SIG_DFL,
        };
        // SAFETY: `sigaction` is plain data for which zeroes are valid, and the handler only does what a handler may:
        // it reads an atomic and calls write. Numbers the C library keeps for itself are refused, which is fine.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(number, &action, std::ptr::null_mut());
        }
    }
    // SAFETY: both sets are plain data that live through the calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
    Ok(reader)
}

/// The signals since the last call, in order. A full pipe loses repetitions only: there is something in it to wake us.
pub(super) fn arrived(pipe: &OwnedFd) -> Vec<i32> {
    let mut seen = Vec::new();
    let mut buffer = [0u8; 64];
    while let Ok(count @ 1..) = rustix::io::read(pipe, &mut buffer) {
        seen.extend(buffer[..count].iter().map(|number| i32::from(*number)));
    }
    seen
}

extern "C" fn note(number: libc::c_int) {
    let byte = number as u8;
    // SAFETY: write may be called in a handler; errno is put back because the interrupted code may be about to read it.
    unsafe {
        let errno = errno_place();
        let saved = *errno;
        libc::write(PIPE.load(Ordering::Acquire), (&raw const byte).cast(), 1);
        *errno = saved;
    }
}

fn errno_place() -> *mut libc::c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: it returns the place of this thread's errno, always valid.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above.
    unsafe {
        libc::__error()
    }
}

/// Closes whatever was left open by our callers: a step, and the locks its supervisor holds, must not share anything
/// with them.
pub(super) fn close_inherited() {
    #[cfg(target_os = "linux")]
    // SAFETY: called first thing in a fresh process, which owns no descriptor above 2 yet.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
    }
}

/// Puts `/dev/null` in place of standard input, output and error, and returns what was there, closed on exec.
pub(super) fn take_stdio() -> io::Result<[OwnedFd; 3]> {
    use rustix::{io::fcntl_dupfd_cloexec, stdio};
    let taken = [
        fcntl_dupfd_cloexec(stdio::stdin(), 3)?,
        fcntl_dupfd_cloexec(stdio::stdout(), 3)?,
        fcntl_dupfd_cloexec(stdio::stderr(), 3)?,
    ];
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    debug_assert!(null.as_raw_fd() > 2);
    Ok(taken)
}
