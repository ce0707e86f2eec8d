//! The line of a journal, and the chain that binds each to the one before. Knows nothing of files.
//!
//! A line is one flat JSON object: the record's own members (`seq`, `time`, `elapsed_ms`, then the event's), then
//! `"prev":"…"` and last `"sum":"…"`, ended by one line feed. With `||` for "followed by" and [`TAG`] for the bytes
//! `runsheet-journal-v1` and a line feed:
//!
//! - the *hash* of a line is SHA-256 of `TAG || line`, where `line` is its raw bytes without the line feed; that of
//!   the place before the first line is SHA-256 of `TAG`;
//! - `prev` is the hash of the line before, in lower-case hex;
//! - `sum` is SHA-256 of the line's own bytes up to, and without, `,"sum"`, in lower-case hex.
//!
//! The hash of the last line is the *head* of the chain; noted elsewhere it is an *anchor*.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::event::Record;

/// What every hash of the chain begins with, so that it is the hash of nothing else.
pub const TAG: &[u8] = b"runsheet-journal-v1\n";

/// The longest line that is written or read, its line feed not counted. A captured output of 4 MiB fits even where
/// every byte of it must be escaped.
pub const MAX_LINE: usize = 32 << 20;

const PREV: &str = ",\"prev\":\"";
const SUM: &str = "\",\"sum\":\"";
const END: &str = "\"}";
const HEX: usize = 64;
/// The bytes of a line behind the record's own members.
const TRAILER: usize = PREV.len() + HEX + SUM.len() + HEX + END.len();

/// SHA-256 in lower-case hex.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes).into())
}

pub(super) fn hex(hash: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(HEX);
    for byte in hash {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// A place in the chain: behind some line, or before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    head: String,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain::start()
    }
}

impl Chain {
    /// Before the first line.
    pub fn start() -> Chain {
        Chain { head: hex_sha256(TAG) }
    }

    /// The hash of the line before this place.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The line that a record is at this place, without its line feed. `extra` members stand behind the record's own.
    pub fn line(&self, record: &Record, extra: &[(&str, Json)]) -> Result<Vec<u8>, String> {
        let mut line = serde_json::to_vec(record).map_err(|why| format!("record {}: {why}", record.seq))?;
        // A record is an object with members, so that its text ends in `}` and a comma may follow what is before it.
        line.pop();
        for (name, value) in extra {
            let name = Json::from(*name);
            line.extend_from_slice(format!(",{name}:{value}").as_bytes());
        }
        if line.len() + TRAILER > MAX_LINE {
            return Err(format!(
                "record {} is {} bytes long, and a line of the journal may have {MAX_LINE}",
                record.seq,
                line.len() + TRAILER
            ));
        }
        line.extend_from_slice(PREV.as_bytes());
        line.extend_from_slice(self.head.as_bytes());
        line.push(b'"');
        let sum = hex_sha256(&line);
        line.extend_from_slice(&SUM.as_bytes()[1..]);
        line.extend_from_slice(sum.as_bytes());
        line.extend_from_slice(END.as_bytes());
        // What cannot be read back (a value nested too deep) must not be written: one such line spoils a journal.
        serde_json::from_slice::<Record>(&line)
            .map_err(|why| format!("record {} could not be read back: {why}", record.seq))?;
        Ok(line)
    }

    /// Moves behind a line that was made here.
    pub fn advance(&mut self, line: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(TAG);
        hash.update(line);
        self.head = hex(&hash.finalize().into());
    }

    /// Checks a line that claims to stand here, and moves behind it.
    pub fn accept(&mut self, line: &[u8]) -> Result<Record, String> {
        if line.len() > MAX_LINE {
            return Err(format!("it is longer than {MAX_LINE} bytes"));
        }
        let trailer = line.len().checked_sub(TRAILER).map(|at| line.split_at(at));
        let parts = trailer.and_then(|(_, trailer)| {
            let trailer = std::str::from_utf8(trailer).ok()?;
            let (prev, rest) = trailer.strip_prefix(PREV)?.split_at_checked(HEX)?;
            let (sum, end) = rest.strip_prefix(SUM)?.split_at_checked(HEX)?;
            (end == END).then_some((prev, sum))
        });
        let Some((prev, sum)) = parts else { return Err("it does not end in `prev` and `sum`".into()) };
        let summed = line.len() - END.len() - HEX - (SUM.len() - 1);
        if hex_sha256(&line[..summed]) != sum {
            return Err("its bytes are not those its `sum` was made of".into());
        }
        if prev != self.head {
            return Err("its `prev` is not the hash of the line before: a line was taken out, put in or moved".into());
        }
        let record: Record = serde_json::from_slice(line).map_err(|why| format!("it is no record: {why}"))?;
        self.advance(line);
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn record(seq: u64, reason: &str) -> Record {
        Record {
            seq,
            time: "2026-11-20T20:13:04.5Z".parse().unwrap(),
            elapsed_ms: 7,
            event: Event::RunPaused { reason: reason.into() },
        }
    }

    #[test]
    fn a_line_is_exactly_as_documented() {
        let chain = Chain::start();
        let line = String::from_utf8(chain.line(&record(1, "a\nb"), &[("more", Json::from(1))]).unwrap()).unwrap();
        let own =
            r#"{"seq":1,"time":"2026-11-20T20:13:04.5Z","elapsed_ms":7,"event":"run_paused","reason":"a\nb","more":1"#;
        let prev = hex_sha256(b"runsheet-journal-v1\n");
        let summed = format!("{own},\"prev\":\"{prev}\"");
        assert_eq!(line, format!("{summed},\"sum\":\"{}\"}}", hex_sha256(summed.as_bytes())));
    }

    #[test]
    fn lines_chain_and_every_changed_byte_is_found() {
        let mut chain = Chain::start();
        let one = chain.line(&record(1, "one"), &[]).unwrap();
        chain.advance(&one);
        let two = chain.line(&record(2, "two"), &[]).unwrap();
        let mut reader = Chain::start();
        assert_eq!(
            reader.clone().accept(&two).unwrap_err().split(':').next(),
            Some("its `prev` is not the hash of the line before")
        );
        assert_eq!(reader.accept(&one), Ok(record(1, "one")));
        assert_eq!(reader, chain);
        for at in 0..two.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut bad = two.clone();
                bad[at] ^= mask;
                assert!(reader.clone().accept(&bad).is_err(), "byte {at} with {mask:#x}");
            }
        }
        assert_eq!(reader.accept(&two), Ok(record(2, "two")));
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let mut deep = Json::Null;
        for _ in 0..125 {
            deep = Json::Array(vec![deep]);
        }
        let mut record = record(1, "");
        record.event = Event::Sample {
            step: crate::event::StepId::new("a"),
            probe: "p".into(),
            value: deep,
            attempt: 1,
            state: crate::event::SampleState::Ok,
            unit: None,
            detail: None,
        };
        assert!(Chain::start().line(&record, &[]).is_ok());
        let Event::Sample { value, .. } = &mut record.event else { unreachable!() };
        *value = Json::Array(vec![Json::Array(vec![value.take()])]);
        assert!(Chain::start().line(&record, &[]).unwrap_err().contains("could not be read back"));
        record.event = Event::RunPaused { reason: "x".repeat(MAX_LINE) };
        assert!(Chain::start().line(&record, &[]).unwrap_err().contains("a line of the journal may have"));
    }
}
