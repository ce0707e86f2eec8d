//! The bytes of a journal, read as records and told apart from what a crash left behind. Changes nothing.

use std::ops::Range;

use super::chain::Chain;
use crate::event::{Record, RunState};

/// Sectors are lost whole; a hole in a line that a power cut left begins and ends at their borders.
const SECTOR: usize = 512;

/// A journal as far as it is good.
#[derive(Clone, Debug)]
pub struct Replay {
    pub records: Vec<Record>,
    pub state: RunState,
    /// The place behind the last good line.
    pub chain: Chain,
    /// Bytes of all good lines with their line feeds.
    pub good: usize,
    /// Where each good line begins.
    pub starts: Vec<usize>,
    /// The hash of each good line.
    pub heads: Vec<String>,
    pub torn: Option<Torn>,
    pub bad: Option<BadLine>,
}

/// What a crash left behind the last good line.
#[derive(Clone, Debug, PartialEq)]
pub struct Torn {
    pub range: Range<usize>,
    /// Whether whole lines are among it: a hole that a power cut left in the middle of what was written last.
    pub hole: bool,
}

/// The first line that is not as it was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}{}: {why}", self.shown_seq())]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// The number the line itself claims, if it can still be read.
    pub seq: Option<u64>,
    pub why: String,
}

impl BadLine {
    fn shown_seq(&self) -> String {
        self.seq.map(|seq| format!(" (record {seq})")).unwrap_or_default()
    }
}

impl Replay {
    /// Reads until the end or the first line that is neither good nor torn.
    pub fn of(bytes: &[u8]) -> Replay {
        let mut replay = Replay {
            records: Vec::new(),
            state: RunState::default(),
            chain: Chain::start(),
            good: 0,
            starts: Vec::new(),
            heads: Vec::new(),
            torn: None,
            bad: None,
        };
        replay.extend(bytes, 0);
        replay
    }

    /// Reads on in the same bytes from the last good line.
    pub fn extend(&mut self, bytes: &[u8], offset: usize) {
        self.torn = None;
        self.bad = None;
        let mut at = offset;
        while at < bytes.len() {
            let Some(length) = bytes[at..].iter().position(|b| *b == b'\n') else {
                self.torn = Some(Torn { range: at..bytes.len(), hole: false });
                return;
            };
            let line = &bytes[at..at + length];
            if let Err(why) = self.add(line, at) {
                if has_hole(bytes, at, length) && written_together(bytes, at + length + 1) {
                    self.torn = Some(Torn { range: at..bytes.len(), hole: true });
                } else {
                    self.bad = Some(BadLine { line: self.records.len() + 1, seq: claimed_seq(line), why });
                }
                return;
            }
            at += length + 1;
        }
    }

    fn add(&mut self, line: &[u8], at: usize) -> Result<(), String> {
        let mut chain = self.chain.clone();
        let record = chain.accept(line)?;
        self.state.apply(&record).map_err(|illegal| illegal.to_string())?;
        self.records.push(record);
        self.heads.push(chain.head().to_owned());
        self.starts.push(at);
        self.chain = chain;
        self.good = at + line.len() + 1;
        Ok(())
    }

    /// Whether the run is over.
    pub fn closed(&self) -> bool {
        self.state.finished.is_some_and(|(outcome, _)| outcome.closes())
    }
}

/// Whether the lines from here to the end can be of one write with the line before them. Steps that run side by side
/// share a write; each waits until its record is durable before it has another one, so that no step, and no question
/// about the run as a whole, is in one write twice.
fn written_together(bytes: &[u8], from: usize) -> bool {
    let mut steps: Vec<Option<String>> = Vec::new();
    let mut at = from;
    while let Some(length) = bytes[at..].iter().position(|b| *b == b'\n') {
        if !has_hole(bytes, at, length) {
            let Ok(line) = serde_json::from_slice::<serde_json::Value>(&bytes[at..at + length]) else { return false };
            let step = line.get("step").and_then(|step| step.as_str()).map(str::to_owned);
            if steps.contains(&step) {
                return false;
            }
            steps.push(step);
        }
        at += length + 1;
    }
    true
}

/// Whether a line holds zeros from border to border of sectors (or from its own start): bytes that were written and
/// lost while others of the same write were kept. No line holds a zero byte otherwise.
fn has_hole(bytes: &[u8], start: usize, length: usize) -> bool {
    let mut at = start;
    let end = start + length;
    while at < end {
        if bytes[at] != 0 {
            at += 1;
            continue;
        }
        let over = bytes[at..end].iter().position(|b| *b != 0).map_or(end, |n| at + n);
        if (at == start || at.is_multiple_of(SECTOR)) && over.is_multiple_of(SECTOR) {
            return true;
        }
        at = over;
    }
    false
}

fn claimed_seq(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
