//! The supervisor's end of the line to its engine. Knows nothing of what is said on it.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use rustix::io::Errno;

use super::{
    relay::{poll, watch},
    wire::{Frames, frame},
};

/// The engine's end of the line.
pub(super) struct Control {
    pub socket: UnixStream,
    frames: Frames,
    pub alive: bool,
}

impl Control {
    pub fn on(socket: OwnedFd) -> Control {
        Control { socket: socket.into(), frames: Frames::default(), alive: true }
    }

    /// The next frame; none when the engine is gone.
    pub fn wait(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(Some(frame));
            }
            if !self.alive {
                return Ok(None);
            }
            poll(&mut [watch(&self.socket, libc::POLLIN)], None)?;
            self.receive();
        }
    }

    pub fn next(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        self.frames.next().map_err(io::Error::other)
    }

    pub fn receive(&mut self) {
        let mut buffer = [0u8; 16 * 1024];
        loop {
            match rustix::io::read(&self.socket, &mut buffer) {
                Ok(0) => self.alive = false,
                Ok(count) => {
                    self.frames.push(&buffer[..count]);
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(_) => self.alive = false,
            }
            return;
        }
    }

    /// Nothing more is to be said on either side.
    pub fn hang_up(&mut self) {
        // One that the other side has closed already is closed as well.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.alive = false;
    }

    /// A dead engine is no error: there is nobody to tell.
    pub fn send(&mut self, tag: u8, body: &[u8]) -> io::Result<()> {
        let bytes = frame(tag, body);
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.alive {
            match rustix::io::write(&self.socket, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => poll(&mut [watch(&self.socket, libc::POLLOUT)], None)?,
                Err(_) => self.alive = false,
            }
        }
        Ok(())
    }
}
