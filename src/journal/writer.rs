//! Writes records so that they are durable before anyone acts on them. Knows nothing of how a journal is read.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read, Write},
    path::PathBuf,
    rc::Rc,
};

use super::{
    chain::Chain,
    output::{OutputFile, OutputLimits},
    reserve::{self, Reserve},
};
use crate::{
    event::{Event, Record, StepId},
    port::{Journal, JournalError, Local, OutputLog, Storage, StorageFile},
};

/// What is shown of the end of an output.
const TAIL: usize = 8 * 1024;
const TAIL_LINES: usize = 20;

/// Takes the lines that neither journal nor reserve would take. The default prints them to standard error.
pub type LastResort = Rc<dyn Fn(&str)>;

/// The failure after which nothing is written any more, shared by a journal and its output logs.
#[derive(Clone, Default)]
pub(super) struct Poison(Rc<RefCell<Option<JournalError>>>);

impl Poison {
    pub(super) fn check(&self) -> Result<(), JournalError> {
        self.0.borrow().clone().map_or(Ok(()), Err)
    }

    /// The first failure stays; every later one is told as the first.
    pub(super) fn set(&self, why: String) -> JournalError {
        self.0.borrow_mut().get_or_insert_with(|| JournalError(why)).clone()
    }
}

/// The journal of one run, on disk.
///
/// A record takes its place in the chain when `append` is called; records that were called for together share one
/// write and one sync. No write is ever tried twice: a failed sync may have thrown the bytes away, and the next one
/// would say that all is well.
pub struct DiskJournal {
    storage: Rc<dyn Storage>,
    dir: PathBuf,
    limits: OutputLimits,
    poison: Poison,
    last_resort: LastResort,
    writer: RefCell<Writer>,
}

struct Writer {
    file: Box<dyn StorageFile>,
    /// Behind the last record that was taken.
    chain: Chain,
    last_seq: u64,
    /// Lines that were taken and not yet written.
    pending: Vec<u8>,
    /// Behind the last record that is durable.
    durable_chain: Chain,
    durable_seq: u64,
    durable_bytes: u64,
    reserve: Reserve,
    /// Whether the last record taken ends the run.
    closes: bool,
    /// The hashes of the latest lines that were taken, the first of them that of record `first_hash`.
    hashes: VecDeque<String>,
    first_hash: u64,
}

/// How many hashes are held: more than records can share one sync.
const HASHES: usize = 1024;

/// Where a journal goes on.
pub(super) struct Start {
    pub(super) storage: Rc<dyn Storage>,
    pub(super) dir: PathBuf,
    pub(super) file: Box<dyn StorageFile>,
    pub(super) chain: Chain,
    pub(super) seq: u64,
    pub(super) bytes: u64,
    pub(super) closed: bool,
    pub(super) limits: OutputLimits,
    pub(super) last_resort: LastResort,
}

impl DiskJournal {
    pub(super) fn new(start: Start) -> DiskJournal {
        let reserve = Reserve::open(&*start.storage, &reserve::path(&start.dir));
        DiskJournal {
            writer: RefCell::new(Writer {
                file: start.file,
                hashes: VecDeque::from([start.chain.head().to_owned()]),
                first_hash: start.seq,
                durable_chain: start.chain.clone(),
                chain: start.chain,
                last_seq: start.seq,
                pending: Vec::new(),
                durable_seq: start.seq,
                durable_bytes: start.bytes,
                reserve,
                closes: start.closed,
            }),
            storage: start.storage,
            dir: start.dir,
            limits: start.limits,
            poison: Poison::default(),
            last_resort: start.last_resort,
        }
    }

    /// The hash of the last durable line, to be kept elsewhere as an anchor.
    pub fn head(&self) -> String {
        self.head_of_all().1
    }

    /// The last durable record and the hash of its line.
    pub fn head_of_all(&self) -> (u64, String) {
        let writer = self.writer.borrow();
        (writer.durable_seq, writer.durable_chain.head().to_owned())
    }

    /// The hash of the line of a record that became durable lately; none for one long ago, or to come.
    pub fn hash_of(&self, seq: u64) -> Option<String> {
        let writer = self.writer.borrow();
        let at = usize::try_from(seq.checked_sub(writer.first_hash)?).ok()?;
        if seq > writer.durable_seq { None } else { writer.hashes.get(at).cloned() }
    }

    /// Whether the run's end is on record.
    pub fn closed(&self) -> bool {
        let writer = self.writer.borrow();
        writer.closes && writer.durable_seq == writer.last_seq
    }

    /// Gives a record its place.
    fn take(&self, record: &Record) -> Result<u64, JournalError> {
        let mut writer = self.writer.borrow_mut();
        let poisoned = self.poison.check();
        if record.seq != writer.last_seq + 1 {
            poisoned?;
            return Err(self.poison.set(format!("record {} does not follow record {}", record.seq, writer.last_seq)));
        }
        let line = match writer.chain.line(record, &[]) {
            Ok(mut line) => {
                writer.chain.advance(&line);
                line.push(b'\n');
                line
            }
            Err(why) => return Err(self.poison.set(why)),
        };
        writer.last_seq = record.seq;
        let hash = writer.chain.head().to_owned();
        writer.hashes.push_back(hash);
        if writer.hashes.len() > HASHES {
            writer.hashes.pop_front();
            writer.first_hash += 1;
        }
        writer.closes = matches!(&record.event, Event::RunFinished { outcome, .. } if outcome.closes());
        if let Err(error) = poisoned {
            // What still ends after the failure is worth knowing at resume; it is kept, and not promised.
            self.rescue(&mut writer, &line);
            return Err(error);
        }
        writer.pending.extend_from_slice(&line);
        Ok(record.seq)
    }

    /// Makes everything that was taken durable, unless somebody else just did.
    fn flush(&self, seq: u64) -> Result<(), JournalError> {
        let mut writer = self.writer.borrow_mut();
        if writer.durable_seq >= seq {
            return Ok(());
        }
        self.poison.check()?;
        let pending = std::mem::take(&mut writer.pending);
        let written = writer.file.write_all(&pending).and_then(|()| writer.file.sync());
        match written {
            Ok(()) => {
                writer.durable_bytes += pending.len() as u64;
                writer.durable_seq = writer.last_seq;
                writer.durable_chain = writer.chain.clone();
                Ok(())
            }
            Err(why) => {
                let error = self.poison.set(format!("{}: {why}", self.dir.join("journal.jsonl").display()));
                self.rescue(&mut writer, &pending);
                Err(error)
            }
        }
    }

    fn rescue(&self, writer: &mut Writer, lines: &[u8]) {
        let durable = writer.durable_bytes;
        if writer.reserve.keep(durable, lines).is_err() {
            for line in String::from_utf8_lossy(lines).lines() {
                (self.last_resort)(&harmless(line));
            }
        }
    }
}

/// A line of JSON with everything outside of plain ASCII escaped, so that a terminal shows it and does nothing else.
fn harmless(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            ' '..='~' => safe.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    safe.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    safe
}

pub(super) fn print_to_stderr(line: &str) {
    // There is nobody left to tell if this fails, too.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

impl Journal for DiskJournal {
    fn append<'a>(&'a self, record: &'a Record) -> Local<'a, Result<(), JournalError>> {
        let taken = self.take(record);
        Box::pin(async move {
            let seq = taken?;
            // Others that are ready get their records in before the sync.
            crate::port::turn().await;
            self.flush(seq)
        })
    }

    fn output(&self, step: &StepId, attempt: u32) -> Result<Box<dyn OutputLog>, JournalError> {
        self.poison.check()?;
        let path = output_path(&self.dir, step, attempt);
        Ok(Box::new(OutputFile::new(Rc::clone(&self.storage), path, self.limits, self.poison.clone())?))
    }

    fn output_tail(&self, step: &StepId, attempt: u32) -> Vec<String> {
        // Evidence that cannot be read is none; the question is asked all the same.
        let Ok(mut file) = self.storage.open(&output_path(&self.dir, step, attempt)) else { return Vec::new() };
        let mut end: Vec<u8> = Vec::new();
        let mut chunk = vec![0; TAIL];
        while let Ok(count @ 1..) = file.read(&mut chunk) {
            end.extend_from_slice(&chunk[..count]);
            end.drain(..end.len().saturating_sub(TAIL));
        }
        let text = String::from_utf8_lossy(&end);
        let mut lines: Vec<String> = text.lines().rev().take(TAIL_LINES).map(str::to_owned).collect();
        lines.reverse();
        lines
    }

    fn step_dir(&self) -> Option<PathBuf> {
        Some(self.dir.join("steps"))
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        Some(self.dir.join("scratch"))
    }
}

/// Where the masked output of an attempt is kept in a run's folder.
pub(super) fn output_path(dir: &std::path::Path, step: &StepId, attempt: u32) -> PathBuf {
    dir.join("out").join(output_name(step, attempt))
}

pub(super) fn output_name(step: &StepId, attempt: u32) -> String {
    format!("{}.{attempt}.log", step.file_stem())
}
