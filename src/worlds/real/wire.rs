//! What an engine and the supervisor of one process say to each other. Knows nothing of how either acts on it.
//!
//! Frames over one socket: a tag, the length (four bytes, little endian), the body. The engine sends ORDER (and STDIN),
//! the supervisor takes the lock of the attempt and answers READY, and starts nothing before GO: an engine that is dead
//! cannot send it, so that "the lock is free" always means "nothing was started that still runs".

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::port::RemoteEnd;

pub(super) mod tag {
    /// Engine: an [`super::Order`] as JSON.
    pub const ORDER: u8 = b'O';
    /// Engine: the bytes of standard input, if the order announced them.
    pub const STDIN: u8 = b'I';
    /// Engine: start it now.
    pub const GO: u8 = b'G';
    /// Engine: end it; one byte, the level of [`crate::port::Cancel`].
    pub const CANCEL: u8 = b'C';
    /// Engine: the operator's terminal has this size; rows and columns, two bytes each.
    pub const SIZE: u8 = b'W';
    /// Engine: keys for the pseudo-terminal.
    pub const KEYS: u8 = b'K';
    /// Engine: nobody types any more.
    pub const NO_KEYS: u8 = b'N';
    /// Supervisor: the lock is held, everything is checked.
    pub const READY: u8 = b'R';
    /// Supervisor: it was not started; the body says why, for people.
    pub const FAILED: u8 = b'F';
    /// Supervisor: it runs; the body is its process id as text.
    pub const STARTED: u8 = b'S';
    /// Supervisor: an [`super::End`] as JSON.
    pub const END: u8 = b'E';
}

/// A larger frame than this is no frame of ours.
const MAX_FRAME: usize = 1 << 30;

/// Everything a supervisor needs. It holds secrets and travels over the socket only.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// The bytes of the path, which need not be UTF-8.
    pub cwd: Vec<u8>,
    pub tty: bool,
    /// What is left when the main process exits goes on, and so does the supervisor.
    pub daemon: bool,
    /// Somebody sits at the terminal and types.
    pub attended: bool,
    pub rows: u16,
    pub columns: u16,
    pub timeout: Option<Duration>,
    pub grace: Duration,
    /// A STDIN frame follows.
    pub has_stdin: bool,
    /// That is a script for elsewhere: the words of its marks.
    pub marks: Option<String>,
    pub record: Option<RecordAt>,
}

/// Where lock and exit record are kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RecordAt {
    /// The bytes of the path.
    pub dir: Vec<u8>,
    /// `<stem>.<attempt>`, without the ending.
    pub name: String,
    /// Tells processes of one engine from those of another: only the former may share an attempt.
    pub engine: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct End {
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub remote: Option<RemoteEnd>,
    pub timed_out: bool,
    pub cancelled: bool,
    pub duration: Duration,
    pub swept: Vec<String>,
    pub left: Vec<String>,
    pub dropped_bytes: u64,
}

/// One frame as bytes.
pub(super) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + body.len());
    bytes.push(tag);
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Puts frames together from whatever pieces arrive.
#[derive(Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; an error if the bytes are none of ours.
    pub fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, String> {
        let Some(header) = self.buffer.first_chunk::<5>() else { return Ok(None) };
        let [tag, length @ ..] = *header;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(format!("a frame of {length} bytes is none of ours"));
        }
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        let body = self.buffer[5..5 + length].to_vec();
        self.buffer.drain(..5 + length);
        Ok(Some((tag, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_torn() {
        let mut sent = frame(tag::ORDER, b"abc");
        sent.extend(frame(tag::GO, b""));
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for byte in sent {
            frames.push(&[byte]);
            while let Some(got) = frames.next().unwrap() {
                seen.push(got);
            }
        }
        assert_eq!(seen, vec![(tag::ORDER, b"abc".to_vec()), (tag::GO, Vec::new())]);
        frames.push(&[1, 255, 255, 255, 255]);
        assert!(frames.next().is_err());
    }
}
