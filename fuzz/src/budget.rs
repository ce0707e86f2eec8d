//! The time that an input may take: so much for each byte, and no more. Knows nothing of what is done in it.

use std::time::Duration;

/// What this thread has used of a processor; the time in which others have it does not count.
fn used() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the right type, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Panics where `work` takes longer than `once` and `each` for every byte.
pub fn within(bytes: usize, once: Duration, each: Duration, work: impl FnOnce()) {
    let before = used();
    work();
    let took = used() - before;
    let most = once + each * u32::try_from(bytes).unwrap_or(u32::MAX);
    assert!(took <= most, "{bytes} bytes took {took:?}, which is more than {most:?}");
}
