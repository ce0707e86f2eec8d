//! Signatures over the head of a chain: what is signed, and where it stands. Knows nothing of keys or of who signs.
//!
//! A signature is two files below `signatures/` in the run's folder: `N.txt`, the statement, and `N.txt.sig`, an SSH
//! signature over its bytes. `N` is the number of the record whose hash it is, and `-2` and so on follow where the same
//! record was signed again.

use std::path::PathBuf;

use super::{
    error::StoreError,
    store::{OpenRun, RunStore},
};
use crate::event::RunId;

/// The namespace of signatures, so that one made for anything else is none here.
pub const SIGNATURE_NAMESPACE: &str = "runsheet-run-v1";

/// The folder of signatures in that of a run.
pub(super) const SIGNATURES: &str = "signatures";

const FIRST_LINE: &str = "runsheet-run-v1";

/// Files that are longer are no statements or signatures.
const MOST: usize = 64 * 1024;

/// What is signed: that a run had this head at this time.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub run: RunId,
    /// The record whose hash `head` is.
    pub record: u64,
    /// In lower-case hex.
    pub head: String,
    pub time: jiff::Timestamp,
}

impl Statement {
    /// The text that is signed. There is one for each statement.
    pub fn text(&self) -> String {
        format!(
            "{FIRST_LINE}\nrun {}\nrecord {}\nhead {}\ntime {}\n",
            self.run,
            self.record,
            self.head,
            self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
    }

    /// Reads such a text, which must be exactly the one that is written.
    pub fn read(text: &[u8]) -> Result<Statement, String> {
        let no = || "it is no statement about a run, as this version of runsheet writes them".to_owned();
        let text = std::str::from_utf8(text).map_err(|_| no())?;
        let mut lines = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n')).ok_or_else(no)?.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let mut read = || {
            Some(Statement {
                run: RunId::parse(value("run")?)?,
                record: value("record")?.parse().ok()?,
                head: value("head")?.to_owned(),
                time: value("time")?.parse().ok()?,
            })
        };
        let statement = read().ok_or_else(no)?;
        if statement.text() == text { Ok(statement) } else { Err(no()) }
    }
}

/// A statement with its signature, as they stand in the run's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    /// The file of the signature, below the run's folder.
    pub place: String,
    pub statement: Statement,
    /// The exact bytes that were signed.
    pub text: Vec<u8>,
    pub signature: Vec<u8>,
    pub verdict: Verdict,
}

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It was not looked at, and why.
    Unchecked(String),
    /// It is not one over these bytes.
    Bad(String),
    /// It was made with this key; `by` is who, by the word of those who keep the list of signers.
    Good { key: String, by: Option<String> },
}

/// What stands in a folder of signatures.
pub(super) enum Found {
    Whole(Signed),
    /// The signature is written first; its statement never came.
    Incomplete {
        place: String,
    },
    Wrong {
        place: String,
        why: String,
    },
}

impl RunStore {
    /// Every signature of a run, by record.
    pub(super) fn signatures(&self, run: &RunId) -> Vec<Found> {
        let folder = self.run_dir(run).join(SIGNATURES);
        if !self.storage.exists(&folder) {
            return Vec::new();
        }
        let wrong = |place: &str, why: String| Found::Wrong { place: place.to_owned(), why };
        let names = match self.storage.guard(&folder).and_then(|()| self.storage.list(&folder)) {
            Ok(names) => names,
            Err(why) => return vec![wrong(SIGNATURES, format!("could not be read: {why}"))],
        };
        let mut stems: Vec<(u64, u32, &str)> = Vec::new();
        let mut found = Vec::new();
        for name in &names {
            let place = format!("{SIGNATURES}/{name}");
            let stem = name.strip_suffix(".sig").unwrap_or(name).strip_suffix(".txt").and_then(number);
            match stem {
                Some((record, again)) if name.ends_with(".txt") => stems.push((record, again, name)),
                Some(_) if !names.iter().any(|other| name.strip_suffix(".sig") == Some(other)) => {
                    found.push(Found::Incomplete { place });
                }
                Some(_) => {}
                None if name.ends_with(NEW) => {}
                None => found.push(wrong(&place, "it is neither a statement nor a signature".into())),
            }
        }
        stems.sort_unstable();
        for (record, _, name) in stems {
            let (statement, signature) = (format!("{SIGNATURES}/{name}"), format!("{SIGNATURES}/{name}.sig"));
            let read = |name: &str| match self.storage.read(&self.run_dir(run).join(name)) {
                Ok(bytes) if bytes.len() > MOST => Err(wrong(name, format!("it is longer than {MOST} bytes"))),
                Ok(bytes) => Ok(bytes),
                Err(why) => Err(wrong(name, format!("could not be read: {why}"))),
            };
            let both = || -> Result<Signed, Found> {
                let text = read(&statement)?;
                let signature_bytes = read(&signature)?;
                let it = Statement::read(&text).map_err(|why| wrong(&statement, why))?;
                if it.record != record {
                    return Err(wrong(&statement, format!("it is about record {}, not {record}", it.record)));
                }
                let verdict = Verdict::Unchecked("it was not looked at".into());
                Ok(Signed { place: signature.clone(), statement: it, text, signature: signature_bytes, verdict })
            };
            found.push(both().map_or_else(|wrong| wrong, Found::Whole));
        }
        found
    }

    /// Puts a signature into a run's folder, or that of a run that is still being made: the signature, then its
    /// statement, each whole and durable.
    pub(super) fn put_signature(
        &self,
        dir: &std::path::Path,
        statement: &Statement,
        signature: &[u8],
    ) -> Result<(), StoreError> {
        let folder = dir.join(SIGNATURES);
        self.make_folder(&folder)?;
        let mut name = format!("{}.txt", statement.record);
        let mut again = 1;
        let taken = |name: &str| {
            self.storage.exists(&folder.join(name)) || self.storage.exists(&folder.join(format!("{name}.sig")))
        };
        while taken(&name) {
            again += 1;
            name = format!("{}-{again}.txt", statement.record);
        }
        for (name, bytes) in [(format!("{name}.sig"), signature), (name, statement.text().as_bytes())] {
            let (path, fresh): (PathBuf, PathBuf) = (folder.join(&name), folder.join(format!("{name}{NEW}")));
            if self.storage.exists(&fresh) {
                self.storage.remove_file(&fresh).map_err(StoreError::write(&fresh))?;
            }
            self.write_file(&fresh, bytes)?;
            self.storage.rename(&fresh, &path).map_err(StoreError::write(&path))?;
            self.sync_dir(&folder)?;
        }
        Ok(())
    }
}

impl OpenRun {
    /// What is to be signed now: the last durable record.
    pub fn statement(&self, time: jiff::Timestamp) -> Statement {
        let (record, head) = self.journal.head_of_all();
        Statement { run: self.id.clone(), record, head, time }
    }

    /// Keeps a signature beside the journal.
    pub fn keep_signature(&self, statement: &Statement, signature: &[u8]) -> Result<(), StoreError> {
        self.store.put_signature(&self.dir(), statement, signature)
    }
}

const NEW: &str = ".new";

/// `17` and `17-2`, as they are written.
fn number(stem: &str) -> Option<(u64, u32)> {
    let (record, again) = match stem.split_once('-') {
        Some((record, again)) => (record.parse().ok()?, again.parse().ok().filter(|again| *again > 1)?),
        None => (stem.parse().ok()?, 1),
    };
    let written = if again == 1 { u64::to_string(&record) } else { format!("{record}-{again}") };
    (written == stem).then_some((record, again))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_exactly_as_documented_and_read_back() {
        let statement = Statement {
            run: RunId::parse("20261120-201304-k7f3qa").unwrap(),
            record: 17,
            head: "ab".repeat(32),
            time: "2026-11-20T20:13:04Z".parse().unwrap(),
        };
        let text = statement.text();
        assert_eq!(
            text,
            format!(
                "runsheet-run-v1\nrun 20261120-201304-k7f3qa\nrecord 17\nhead {}\ntime 2026-11-20T20:13:04Z\n",
                "ab".repeat(32)
            )
        );
        assert_eq!(Statement::read(text.as_bytes()), Ok(statement));
        for (from, to) in
            [("17\n", "017\n"), ("17\n", "17 \n"), ("Z\n", "Z\n\n"), ("Z\n", "Z"), ("run ", "Run "), ("v1", "v2")]
        {
            assert!(Statement::read(text.replacen(from, to, 1).as_bytes()).is_err(), "{from:?} as {to:?}");
        }
        assert_eq!([number("17"), number("17-2")], [Some((17, 1)), Some((17, 2))]);
        for stem in ["017", "17-1", "17-02", "17-", "-2", "+17", ""] {
            assert_eq!(number(stem), None, "{stem}");
        }
    }
}
