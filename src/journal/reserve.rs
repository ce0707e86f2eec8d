//! Room kept on disk for the last records of a journal that could not be written. Knows nothing of what they mean.
//!
//! The file `reserve` is filled with zeros when a run is made. When the journal fails, it holds one line
//! `runsheet-reserve-v1 LENGTH`, where `LENGTH` is how many bytes of the journal are known to be durable, and the
//! lines that should have followed them, each ended by a line feed.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::chain::Chain;
use crate::port::{Storage, StorageFile};

pub(super) const RESERVE_BYTES: u64 = 64 * 1024;
const MARK: &str = "runsheet-reserve-v1 ";

/// Makes the file, durable but for its name.
pub(super) fn make(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    let mut file = storage.create(path)?;
    file.preallocate(RESERVE_BYTES)?;
    file.sync()
}

/// The reserve of a journal that is being written. It is opened ahead, so that taking it needs nothing.
pub(super) struct Reserve {
    file: Option<Box<dyn StorageFile>>,
    used: u64,
}

impl Reserve {
    pub(super) fn open(storage: &dyn Storage, path: &Path) -> Reserve {
        Reserve { file: storage.append(path).ok(), used: 0 }
    }

    /// Puts lines (with their line feeds) behind those that are there.
    pub(super) fn keep(&mut self, durable: u64, lines: &[u8]) -> io::Result<()> {
        let mut bytes = if self.used == 0 { format!("{MARK}{durable}\n").into_bytes() } else { Vec::new() };
        bytes.extend_from_slice(lines);
        if self.used + bytes.len() as u64 > RESERVE_BYTES {
            return Err(io::Error::other("the reserve is full"));
        }
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("the reserve could not be opened"))?;
        file.write_at(self.used, &bytes)?;
        file.sync()?;
        self.used += bytes.len() as u64;
        Ok(())
    }
}

/// What a reserve holds.
pub(super) struct Kept {
    /// Bytes of the journal that were durable.
    pub(super) durable: usize,
    /// Whole lines that should follow, with their line feeds.
    pub(super) lines: Vec<u8>,
}

/// Reads a reserve; `Ok(None)` if nothing stands in it.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Kept>, String> {
    let text = &bytes[..bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len())];
    // A mark that was torn when it was written guards nothing: its record was never promised to anyone.
    let Some(first) = text.iter().position(|b| *b == b'\n') else { return Ok(None) };
    let durable = std::str::from_utf8(&text[..first])
        .ok()
        .and_then(|mark| mark.strip_prefix(MARK)?.parse().ok())
        .ok_or("its first line is not that of a reserve")?;
    let rest = &text[first + 1..];
    let whole = rest.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    Ok(Some(Kept { durable, lines: rest[..whole].to_vec() }))
}

/// As many of the lines as are good at a place of the chain; the rest was torn.
pub(super) fn good_lines(chain: &Chain, lines: &[u8]) -> usize {
    let mut chain = chain.clone();
    let mut good = 0;
    for line in lines.split_inclusive(|b| *b == b'\n') {
        if chain.accept(&line[..line.len() - 1]).is_err() {
            break;
        }
        good += line.len();
    }
    good
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}
