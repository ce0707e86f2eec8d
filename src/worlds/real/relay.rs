//! Bytes carried between descriptors by a loop that must never block. Knows nothing of what they mean.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

use super::remote::Marks;

const CHUNK: usize = 64 * 1024;
/// Chunks carried before the loop looks at its other duties again.
const TURN: usize = 16;

/// From the step to the engine. When the engine is gone the bytes are taken all the same, and counted.
pub(super) struct Relay {
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    buffer: Vec<u8>,
    pending: std::ops::Range<usize>,
    /// What is at hand is still for the engine, all that follows for nobody.
    parting: bool,
    pub lost: u64,
    /// Of a script that runs elsewhere: what is looked for, and taken out.
    pub marks: Option<Marks>,
}

impl Relay {
    pub fn new(from: OwnedFd, to: OwnedFd, marks: Option<Marks>) -> io::Result<Relay> {
        nonblocking(&from)?;
        nonblocking(&to)?;
        Ok(Relay {
            from: Some(from),
            to: Some(to),
            buffer: vec![0; CHUNK],
            pending: 0..0,
            parting: false,
            lost: 0,
            marks,
        })
    }

    /// What to wait for: more bytes, or room for those at hand.
    pub fn interest(&self) -> Option<libc::pollfd> {
        if !self.pending.is_empty() {
            return self.to.as_ref().map(|to| watch(to, libc::POLLOUT));
        }
        self.from.as_ref().map(|from| watch(from, libc::POLLIN))
    }

    pub fn done(&self) -> bool {
        self.from.is_none() && self.pending.is_empty()
    }

    /// From here on whatever comes is taken and counted, and passed on to nobody.
    pub fn part(&mut self) {
        self.parting = true;
    }

    /// Everything that was at hand is with the engine, which can see that no more comes.
    pub fn parted(&self) -> bool {
        self.to.is_none()
    }

    /// Carries what can be carried now; tells whether any bytes came.
    pub fn pump(&mut self) -> bool {
        let mut came = false;
        for _ in 0..TURN {
            if !self.flush() {
                return came;
            }
            if self.parting {
                self.to = None;
            }
            let Some(from) = &self.from else { return came };
            match rustix::io::read(from, &mut self.buffer[..]) {
                // A pseudo-terminal says EIO when its other side is closed for good.
                Ok(0) | Err(Errno::IO) => self.close(),
                Ok(count) => {
                    came = true;
                    self.pending = 0..count;
                    self.take_marks(count);
                }
                Err(Errno::AGAIN | Errno::INTR) => return came,
                Err(_) => self.close(),
            }
        }
        came
    }

    /// Takes what is there already and then reads no more.
    pub fn finish(&mut self) {
        // More than a pipe can hold means that somebody outside our family keeps writing; that is not ours.
        for _ in 0..64 {
            if !self.pump() {
                break;
            }
        }
        if self.pending.is_empty() && self.from.is_some() {
            self.close();
        }
    }

    /// No more is read; what was taken for the beginning of a mark is output after all.
    fn close(&mut self) {
        self.from = None;
        let mut rest = Vec::new();
        if let Some(marks) = &mut self.marks {
            marks.finish(&mut rest);
        }
        if !rest.is_empty() {
            self.buffer[..rest.len()].copy_from_slice(&rest);
            self.pending = 0..rest.len();
            self.flush();
        }
    }

    fn take_marks(&mut self, count: usize) {
        let Some(marks) = &mut self.marks else { return };
        let mut out = Vec::with_capacity(count);
        marks.pass(&self.buffer[..count], &mut out);
        // What was held back before may make it longer than what was read.
        if out.len() > self.buffer.len() {
            self.buffer.resize(out.len(), 0);
        }
        self.buffer[..out.len()].copy_from_slice(&out);
        self.pending = 0..out.len();
    }

    /// True if nothing is at hand any more.
    fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            let Some(to) = &self.to else {
                self.lost += self.pending.len() as u64;
                self.pending = 0..0;
                return true;
            };
            match rustix::io::write(to, &self.buffer[self.pending.clone()]) {
                Ok(count) => self.pending.start += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => self.to = None,
            }
        }
        true
    }
}

/// Bytes for a step that may never read them.
pub(super) struct Feeder {
    to: Option<OwnedFd>,
    bytes: VecDeque<u8>,
    /// Close once everything is taken: a pipe, but not a terminal.
    close: bool,
}

impl Feeder {
    pub fn new(to: OwnedFd, bytes: Vec<u8>, close: bool) -> io::Result<Feeder> {
        nonblocking(&to)?;
        Ok(Feeder { to: Some(to), bytes: bytes.into(), close })
    }

    pub fn push(&mut self, bytes: &[u8]) {
        // Nobody types a megabyte ahead; a terminal that nobody reads must not make us grow.
        if self.bytes.len() < 1 << 20 {
            self.bytes.extend(bytes);
        }
    }

    pub fn interest(&self) -> Option<libc::pollfd> {
        let to = self.to.as_ref()?;
        (!self.bytes.is_empty()).then(|| watch(to, libc::POLLOUT))
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn pump(&mut self) {
        while let Some(to) = &self.to {
            let (head, _) = self.bytes.as_slices();
            if head.is_empty() {
                if self.close {
                    self.to = None;
                }
                return;
            }
            match rustix::io::write(to, head) {
                Ok(count) => drop(self.bytes.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.stop(),
            }
        }
    }

    pub fn stop(&mut self) {
        self.to = None;
        self.bytes.clear();
    }
}

pub(super) fn watch(fd: &impl AsFd, events: i16) -> libc::pollfd {
    libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 }
}

/// Waits until one of them is ready or the time is over; being interrupted counts as ready.
pub(super) fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up, so that a loop does not spin through the last fraction of a millisecond.
    let timeout = timeout.map_or(-1, |t| i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: the pointer and the count describe one live slice, and poll writes only `revents` within it.
    let result = unsafe { libc::poll(fds.as_mut_ptr(), count, timeout) };
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

pub(super) fn nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    Ok(fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

/// A larger pipe means fewer switches between writer and reader; the default is only slower.
pub(super) fn enlarge(fd: &impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(fd, 512 * 1024);
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}
