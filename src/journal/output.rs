//! The masked output of one attempt, in one file of bounded size. Knows nothing of masking or of steps.

use std::{
    collections::VecDeque,
    io::{self, Read},
    path::PathBuf,
    rc::Rc,
};

use sha2::{Digest, Sha256};

use super::{chain::hex, writer::Poison};
use crate::port::{JournalError, OutputLog, OutputSummary, Storage, StorageFile};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;

/// How much of an output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// An output up to this size is whole.
    pub whole: u64,
    /// Of a longer one, this much of its end is kept, and so much of its beginning that both make `whole`. The end is
    /// held in memory as long as more may come.
    pub tail: u64,
}

impl Default for OutputLimits {
    fn default() -> OutputLimits {
        OutputLimits { whole: 1 << 30, tail: 64 << 20 }
    }
}

impl OutputLimits {
    pub(super) fn head(self) -> u64 {
        self.whole.saturating_sub(self.tail)
    }
}

/// What stands between head and tail of an output that was too long.
pub(super) fn marker(omitted: u64) -> String {
    format!("\n[runsheet: {omitted} bytes are left out here]\n")
}

pub(super) struct OutputFile {
    storage: Rc<dyn Storage>,
    path: PathBuf,
    limits: OutputLimits,
    poison: Poison,
    file: Option<Box<dyn StorageFile>>,
    /// The name of the file is durable.
    named: bool,
    buffer: Vec<u8>,
    /// Bytes in the file, those in the buffer not counted.
    written: u64,
    /// Bytes that came.
    total: u64,
    hash: Sha256,
    /// The hash at the end of the head.
    head_hash: Sha256,
    /// The last bytes behind the head.
    tail: VecDeque<u8>,
    /// The output is longer than may be kept whole.
    over: bool,
    /// What the last commit said, if nothing came since.
    committed: Option<OutputSummary>,
}

impl OutputFile {
    /// Goes on with a file that is there from an earlier attempt to write it.
    pub(super) fn new(
        storage: Rc<dyn Storage>,
        path: PathBuf,
        limits: OutputLimits,
        poison: Poison,
    ) -> Result<OutputFile, JournalError> {
        let mut output = OutputFile {
            storage,
            path,
            limits,
            poison,
            file: None,
            named: false,
            buffer: Vec::new(),
            written: 0,
            total: 0,
            hash: Sha256::new(),
            head_hash: Sha256::new(),
            tail: VecDeque::new(),
            over: false,
            committed: None,
        };
        if output.storage.exists(&output.path) {
            output.read_again().map_err(|why| output.failed(why))?;
        }
        Ok(output)
    }

    fn read_again(&mut self) -> io::Result<()> {
        let mut reader = self.storage.open(&self.path)?;
        let mut chunk = vec![0; BUFFER];
        loop {
            let n = reader.read(&mut chunk)?;
            if n == 0 {
                break;
            }
            self.account(&chunk[..n]);
            self.written += n as u64;
        }
        self.file = Some(self.storage.append(&self.path)?);
        Ok(())
    }

    fn failed(&self, why: io::Error) -> JournalError {
        self.poison.set(format!("{}: {why}", self.path.display()))
    }

    /// Counts and hashes bytes, and tells how many of them belong into the file now.
    fn account(&mut self, bytes: &[u8]) -> usize {
        let head = self.limits.head();
        let room = usize::try_from(head.saturating_sub(self.total)).unwrap_or(usize::MAX).min(bytes.len());
        self.hash.update(&bytes[..room]);
        self.total += room as u64;
        if room > 0 && self.total == head {
            self.head_hash = self.hash.clone();
        }
        let rest = &bytes[room..];
        if rest.is_empty() {
            return room;
        }
        let limit = usize::try_from(self.limits.tail).unwrap_or(usize::MAX);
        let fresh = &rest[rest.len().saturating_sub(limit)..];
        let surplus = (self.tail.len() + fresh.len()).saturating_sub(limit);
        self.tail.drain(..surplus);
        self.tail.extend(fresh);
        self.total += rest.len() as u64;
        if !self.over && self.total <= self.limits.whole {
            self.hash.update(rest);
            return bytes.len();
        }
        self.over = true;
        room
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.storage.create(&self.path)?);
        }
        if self.buffer.len() + bytes.len() > BUFFER {
            self.spill()?;
        }
        if bytes.len() >= BUFFER {
            return self.direct(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.direct(&buffer);
        buffer.clear();
        self.buffer = buffer;
        result
    }

    fn direct(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            self.written += bytes.len() as u64;
        }
        Ok(())
    }

    fn make_durable(&mut self) -> io::Result<OutputSummary> {
        self.spill()?;
        let mut omitted = 0;
        let mut hash = self.hash.clone();
        if self.over {
            let head = self.limits.head();
            if self.written > head {
                self.storage.truncate(&self.path, head)?;
                self.written = head;
            }
            omitted = self.total - head - self.tail.len() as u64;
            let marker = marker(omitted);
            hash = self.head_hash.clone();
            hash.update(&marker);
            self.direct(marker.as_bytes())?;
            let tail = std::mem::take(&mut self.tail);
            for part in [tail.as_slices().0, tail.as_slices().1] {
                hash.update(part);
                self.direct(part)?;
            }
            self.tail = tail;
        }
        if let Some(file) = &mut self.file {
            file.sync()?;
            if !self.named
                && let Some(folder) = self.path.parent()
            {
                self.storage.sync_dir(folder)?;
                self.named = true;
            }
        }
        let sha256 = (self.written > 0).then(|| hex(&hash.finalize().into()));
        Ok(OutputSummary { bytes: self.written, sha256, omitted, lost: false })
    }
}

impl OutputLog for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.poison.check()?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.committed = None;
        let kept = self.account(bytes);
        self.put(&bytes[..kept]).map_err(|why| self.failed(why))
    }

    fn hand_over(&mut self) -> Result<(), JournalError> {
        self.poison.check()?;
        self.spill().map_err(|why| self.failed(why))
    }

    fn commit(&mut self) -> Result<OutputSummary, JournalError> {
        self.poison.check()?;
        if let Some(summary) = &self.committed {
            return Ok(summary.clone());
        }
        let summary = self.make_durable().map_err(|why| self.failed(why))?;
        self.committed = Some(summary.clone());
        Ok(summary)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        // Nothing is promised without a commit; what is there may still tell a reader something.
        if self.poison.check().is_ok()
            && let Err(why) = self.spill()
        {
            self.failed(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::{MemoryStorage, chain::hex_sha256};

    fn log(disk: &MemoryStorage, whole: u64, tail: u64) -> OutputFile {
        let limits = OutputLimits { whole, tail };
        OutputFile::new(Rc::new(disk.clone()), "/out".into(), limits, Poison::default()).unwrap()
    }

    fn agrees(disk: &MemoryStorage, summary: &OutputSummary) -> Vec<u8> {
        let bytes = disk.read(Path::new("/out")).unwrap();
        assert_eq!(summary.bytes, bytes.len() as u64);
        assert_eq!(summary.sha256.as_deref(), Some(hex_sha256(&bytes).as_str()));
        bytes
    }

    #[test]
    fn nothing_makes_no_file() {
        let disk = MemoryStorage::new();
        let mut log = log(&disk, 100, 10);
        log.write(b"").unwrap();
        assert_eq!(log.commit().unwrap(), OutputSummary::default());
        assert!(!disk.exists(Path::new("/out")));
    }

    #[test]
    fn short_outputs_are_whole_and_commits_go_on() {
        let disk = MemoryStorage::new();
        let mut log = log(&disk, 10, 4);
        log.write(b"01234").unwrap();
        assert_eq!(agrees(&disk, &log.commit().unwrap()), b"01234");
        log.write(b"56789").unwrap();
        let summary = log.commit().unwrap();
        assert_eq!(agrees(&disk, &summary), b"0123456789");
        assert_eq!(summary.omitted, 0);
        assert_eq!(log.commit().unwrap(), summary);
    }

    #[test]
    fn long_outputs_keep_head_and_tail_however_they_come() {
        let input: Vec<u8> = (0..100u8).collect();
        for (whole, tail) in [(10, 4), (10, 10), (10, 0), (99, 50)] {
            for size in [1, 3, 7, 50, 100] {
                for commit in [false, true] {
                    let disk = MemoryStorage::new();
                    let mut log = log(&disk, whole, tail);
                    for chunk in input.chunks(size) {
                        log.write(chunk).unwrap();
                        if commit {
                            agrees(&disk, &log.commit().unwrap());
                        }
                    }
                    let summary = log.commit().unwrap();
                    let (head, end) = ((whole - tail) as usize, 100 - tail as usize);
                    let mut expected = input[..head].to_vec();
                    expected.extend_from_slice(marker(100 - whole).as_bytes());
                    expected.extend_from_slice(&input[end..]);
                    assert_eq!(agrees(&disk, &summary), expected, "{whole} {tail} {size}");
                    assert_eq!(summary.omitted, 100 - whole);
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_there_is_gone_on_with() {
        let disk = MemoryStorage::new();
        log(&disk, 100, 10).write(b"one ").unwrap();
        let mut again = log(&disk, 100, 10);
        assert_eq!(agrees(&disk, &again.commit().unwrap()), b"one ");
        again.write(b"two").unwrap();
        assert_eq!(agrees(&disk, &again.commit().unwrap()), b"one two");
    }

    #[test]
    fn the_name_is_durable_after_a_commit() {
        let disk = MemoryStorage::new();
        let mut log = log(&disk, 100, 10);
        log.write(b"text").unwrap();
        log.commit().unwrap();
        disk.power_cut(crate::journal::Cut::Drop);
        assert_eq!(disk.read(Path::new("/out")).unwrap(), b"text");
    }
}
