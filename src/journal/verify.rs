//! Tells whether a kept run is as it was written, and what of that is proven. Changes nothing, and starts nothing: who
//! made a signature is for its caller to find out.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    chain::{hex, hex_sha256},
    error::StoreError,
    locks::Holder,
    replay::Replay,
    signed::{Found, SIGNATURES, Signed, Verdict},
    store::{JOURNAL_VERSION, LANGUAGE_VERSION, RunStore, digests_of, frozen_digests, plan_file, runbook_folder},
    writer::output_name,
};
use crate::event::{Event, Outcome, RunId, RunStarted};

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyReport {
    pub run: RunId,
    pub dir: PathBuf,
    /// How the run ended; none if its end is not on record.
    pub closed: Option<Outcome>,
    /// Good lines, from the first on.
    pub records: usize,
    /// Output logs whose digest is on record and right.
    pub outputs: usize,
    /// The hash of the last good line.
    pub head: String,
    /// What is not as it was written; the first bad line of the journal comes first.
    pub problems: Vec<Problem>,
    /// What could not be proven, and why.
    pub unproven: Vec<String>,
    pub anchor: Option<Anchor>,
    /// Signatures that belong to a record of this journal, as it is now. Whether they are good, the caller finds out.
    pub signatures: Vec<Signed>,
    /// The caller knows who may sign, so that nothing less than such a signature will do.
    pub signers_known: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// `journal.jsonl line 7 (record 7)`, or a file of the run's folder.
    pub place: String,
    pub what: String,
}

/// Where a hash that was kept elsewhere stands in the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Anchor {
    /// It is the hash of this record's line: up to there all is as it was when the hash was noted.
    Record { seq: u64, last: bool },
    /// No line has this hash.
    Nowhere,
}

/// Names in a run's folder that are part of it, or of how it is kept.
const KNOWN: [&str; 12] = [
    "journal.jsonl",
    "journal.jsonl.new",
    "journal.torn.new",
    "out",
    "output.new",
    "plan.json",
    "reserve",
    "reserve.new",
    "run.lock",
    "runbook",
    "scratch",
    "steps",
];

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn ok(&self) -> bool {
        self.problems.is_empty()
            && self.anchor != Some(Anchor::Nowhere)
            && !self.signatures.iter().any(|signed| matches!(signed.verdict, Verdict::Bad(_)))
            && self.wanting().is_none()
    }

    /// Where signers are known: why their signatures do not suffice.
    fn wanting(&self) -> Option<String> {
        let vouched =
            self.signatures.iter().filter(|signed| matches!(signed.verdict, Verdict::Good { by: Some(_), .. }));
        match vouched.map(|signed| signed.statement.record).max() {
            _ if !self.signers_known => None,
            None => Some("it has no good signature of anybody who may sign".into()),
            Some(record) if self.closed.is_some() && record < self.records as u64 => Some(format!(
                "it is over, and what is signed goes up to record {record} only: records {} to {} may be anybody's",
                record + 1,
                self.records
            )),
            Some(_) => None,
        }
    }

    /// The last record that somebody who may sign has signed.
    fn vouched(&self) -> Option<u64> {
        let good = self.signatures.iter().filter(|it| matches!(it.verdict, Verdict::Good { by: Some(_), .. }));
        good.map(|it| it.statement.record).max()
    }

    /// Whether somebody outside of this folder speaks for all of it.
    fn sealed(&self) -> bool {
        matches!(self.anchor, Some(Anchor::Record { last: true, .. })) || self.vouched() == Some(self.records as u64)
    }

    fn behind(&self, record: u64) -> String {
        match (self.records as u64).saturating_sub(record) {
            0 => "the last one: the whole journal is proven".into(),
            1 => "everything up to there is as it was then; the record behind it is not proven by it".into(),
            more => {
                format!("everything up to there is as it was then; the {more} records behind it are not proven by it")
            }
        }
    }

    /// The report as people read it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let verdict = if self.ok() { "verified" } else { "NOT verified" };
        lines.push(format!("run {}: {verdict}", self.run));
        for problem in &self.problems {
            lines.push(format!("  bad: {}: {}", problem.place, problem.what));
        }
        for signed in &self.signatures {
            if let Verdict::Bad(why) = &signed.verdict {
                lines.push(format!("  bad: {}: {why}", signed.place));
            }
        }
        if let Some(why) = self.wanting() {
            lines.push(format!("  bad: {SIGNATURES}: {why}"));
        }
        match &self.anchor {
            Some(Anchor::Nowhere) => lines.push(
                "  bad: anchor: no line of the journal has this hash; the journal was rewritten or cut, or the hash is \
                 that of another run"
                    .into(),
            ),
            Some(Anchor::Record { seq, .. }) => {
                lines.push(format!("  anchor: it is the hash of record {seq}, {}", self.behind(*seq)));
            }
            None => {}
        }
        for signed in &self.signatures {
            let record = signed.statement.record;
            let Verdict::Good { key, by } = &signed.verdict else { continue };
            match by {
                // What reaches furthest says how far; those before it are within.
                Some(by) if self.vouched() == Some(record) => {
                    lines.push(format!("  signed: record {record} by {by} ({key}): {}", self.behind(record)));
                }
                Some(by) => lines.push(format!("  signed: record {record} by {by} ({key})")),
                None => lines.push(format!("  signed: record {record} with {key}")),
            }
        }
        let end = self.closed.map_or("no end on record".to_owned(), |outcome| format!("ended as {}", outcome.name()));
        lines.push(format!("  {} good records in order, {end}; {} output logs match", self.records, self.outputs));
        for note in &self.unproven {
            lines.push(format!("  not proven: {note}"));
        }
        for signed in &self.signatures {
            match &signed.verdict {
                Verdict::Unchecked(why) => lines.push(format!("  not proven: {}: {why}", signed.place)),
                Verdict::Good { by: None, .. } if !self.signers_known => lines.push(format!(
                    "  not proven: {}: whose key that is; anybody can make one (--allowed-signers FILE names those who \
                     may sign)",
                    signed.place
                )),
                Verdict::Good { by: None, .. } => {
                    lines.push(format!("  not proven: {}: its key is none of those who may sign", signed.place));
                }
                _ => {}
            }
        }
        if !self.sealed() {
            lines.push(
                "  a chain proves order and integrity only against someone who does not rewrite all of it; compare the \
                 head with an anchor kept elsewhere, or have runs signed (--sign)"
                    .into(),
            );
        }
        lines.push(format!("  head {}", self.head));
        lines
    }
}

/// Looks at everything a run has kept. An error means that it could not be looked at.
pub fn verify(store: &RunStore, run: &RunId, anchor: Option<&str>) -> Result<VerifyReport, StoreError> {
    store.guard_run(run)?;
    let live = store.is_live(run);
    let dir = store.run_dir(run);
    let mut check = Check { store, dir: &dir, problems: Vec::new(), unproven: Vec::new(), live };
    let bytes = match store.storage.read(&store.journal_path(run)) {
        Ok(bytes) => bytes,
        Err(why) => {
            check.problem("journal.jsonl", format!("could not be read: {why}"));
            Vec::new()
        }
    };
    let replay = Replay::of(&bytes);
    check.journal(run, &bytes, &replay);
    check.end(&replay);
    check.frozen(&bytes, &replay);
    let outputs = check.outputs(&replay);
    check.torn_files(&replay);
    let signatures = check.signatures(run, &replay);
    check.others(&replay);
    let anchor = anchor.map(|hash| {
        let hash = hash.trim().to_ascii_lowercase();
        match replay.heads.iter().position(|head| *head == hash) {
            Some(at) => Anchor::Record { seq: replay.records[at].seq, last: at + 1 == replay.heads.len() },
            None => Anchor::Nowhere,
        }
    });
    Ok(VerifyReport {
        run: run.clone(),
        closed: replay.state.finished.map(|(outcome, _)| outcome).filter(|outcome| outcome.closes()),
        records: replay.records.len(),
        outputs,
        head: replay.chain.head().to_owned(),
        problems: check.problems,
        unproven: check.unproven,
        anchor,
        signatures,
        signers_known: false,
        dir,
    })
}

/// What of a run is of a later version than this one knows, in words.
pub fn later_version(header: &RunStarted) -> Option<String> {
    let of = |what, found, known| {
        (found > known).then(|| {
            format!(
                "its {what} is of version {found}, written by runsheet {}; this version of runsheet knows up to {known}",
                header.tool_version
            )
        })
    };
    of("journal", header.journal, JOURNAL_VERSION).or_else(|| of("runbook language", header.format, LANGUAGE_VERSION))
}

struct Check<'a> {
    store: &'a RunStore,
    dir: &'a Path,
    problems: Vec<Problem>,
    unproven: Vec<String>,
    live: bool,
}

/// What the records say of one attempt's output.
#[derive(Default)]
struct Promise {
    /// The digest of the whole log.
    whole: Option<String>,
    /// Lengths and digests of beginnings.
    commits: Vec<(u64, String)>,
    /// It ended, in the same life of the engine it began in, without output.
    silent: bool,
}

impl Check<'_> {
    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { place: place.into(), what: what.into() });
    }

    fn journal(&mut self, run: &RunId, bytes: &[u8], replay: &Replay) {
        // The first line comes first.
        match &replay.state.header {
            Some(header) if header.run != *run => {
                self.problem("journal.jsonl line 1 (record 1)", format!("it is the journal of run {}", header.run));
            }
            None if replay.bad.is_none() && self.problems.is_empty() => {
                self.problem("journal.jsonl line 1", "there is no first record");
            }
            _ => {}
        }
        if let Some(bad) = &replay.bad {
            let seq = bad.seq.map(|seq| format!(" (record {seq})")).unwrap_or_default();
            self.problem(format!("journal.jsonl line {}{seq}", bad.line), bad.why.clone());
        }
        if let Some(torn) = &replay.torn {
            let line = replay.records.len() + 1;
            let place = format!("journal.jsonl line {line}");
            let fragment = &bytes[torn.range.clone()];
            // A tear leaves a beginning; a whole line with one more byte is a line whose end was changed.
            let changed = fragment.split_last().is_some_and(|(_, line)| replay.chain.clone().accept(line).is_ok());
            if torn.hole {
                self.problem(place, "a part of it was lost");
            } else if changed {
                self.problem(place, "its line feed was changed");
            } else if replay.closed() {
                self.problem(place, "something stands behind the end of the run");
            } else if self.live {
                self.unproven.push(format!("line {line} is being written"));
            } else {
                self.unproven.push(format!(
                    "line {line} is torn ({} bytes), as a crash leaves it; resume sets it aside",
                    fragment.len()
                ));
            }
        }
        if let Some(later) = replay.state.header.as_ref().and_then(later_version) {
            self.unproven.push(format!("{later}: what only that version knows is passed over"));
        }
    }

    fn end(&mut self, replay: &Replay) {
        let noted = self.store.storage.read(&self.dir.join("run.lock")).ok();
        let noted: Option<Holder> = noted.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let noted = noted.and_then(|holder| holder.closed_head);
        if replay.bad.is_none()
            && let Some(noted) = noted
            && noted != replay.chain.head()
        {
            let place = format!("journal.jsonl line {}", replay.records.len() + 1);
            self.problem(
                place,
                format!("when the run was over, its last line had the hash {noted} (run.lock); it is gone"),
            );
        }
        if !replay.closed() {
            let why = if self.live { "it is going on" } else { "its end is not on record" };
            self.unproven
                .push(format!("that no records are missing at the end: {why}, and a cut tail leaves no trace"));
        }
    }

    fn frozen(&mut self, bytes: &[u8], replay: &Replay) {
        let Some(header) = &replay.state.header else { return };
        self.plan(&plan_file(1), &header.digest, "the first record");
        self.folder(&runbook_folder(1), frozen_digests(bytes), "the first record");
        for plan in &replay.state.plans {
            let record = format!("the record of plan {}", plan.number);
            self.plan(&plan_file(plan.number), &plan.digest, &record);
            let folder = runbook_folder(plan.number);
            if !plan.runbook_files.is_empty() || self.store.storage.exists(&self.dir.join(&folder)) {
                self.folder(&folder, digests_of(bytes, &replay.state, plan.number), &record);
            }
        }
    }

    fn plan(&mut self, name: &str, digest: &str, record: &str) {
        match self.store.storage.read(&self.dir.join(name)) {
            Ok(plan) if hex_sha256(&plan) == digest => {}
            Ok(_) => self.problem(name, format!("it is not the plan {record} names")),
            Err(why) => self.problem(name, format!("could not be read: {why}")),
        }
    }

    fn folder(&mut self, folder: &str, named: Vec<(String, String)>, record: &str) {
        let named: BTreeMap<String, String> = named.into_iter().collect();
        for (name, digest) in &named {
            let place = format!("{folder}/{name}");
            match self.store.storage.read(&self.dir.join(folder).join(name)) {
                Ok(file) if hex_sha256(&file) == *digest => {}
                Ok(_) => self.problem(place, format!("it is not the file {record} names")),
                Err(why) => self.problem(place, format!("could not be read: {why}")),
            }
        }
        for name in self.tree(&self.dir.join(folder), "") {
            if !named.contains_key(&name) {
                self.problem(format!("{folder}/{name}"), format!("{record} does not name it"));
            }
        }
    }

    /// Every file below a folder, by relative name.
    fn tree(&self, folder: &Path, above: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut names = self.store.storage.list(folder).unwrap_or_default();
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let shown = format!("{above}{name}");
            // A link is no folder: it may lead anywhere, itself included.
            if self.store.storage.guard(&path).is_ok() {
                found.extend(self.tree(&path, &format!("{shown}/")));
            } else {
                found.push(shown);
            }
        }
        found
    }

    fn outputs(&mut self, replay: &Replay) -> usize {
        let promises = promises(replay);
        let folder = self.dir.join("out");
        let mut names = Vec::new();
        if self.store.storage.exists(&folder) {
            match self.store.storage.guard(&folder).and_then(|()| self.store.storage.list(&folder)) {
                Ok(found) => names = found,
                Err(why) => self.problem("out", format!("could not be read: {why}")),
            }
        }
        names.sort();
        let mut right = 0;
        for (name, promise) in &promises {
            let due = promise.whole.is_some() || !promise.commits.is_empty();
            if due && !names.contains(name) {
                self.problem(format!("out/{name}"), "it is missing");
            }
        }
        for name in &names {
            let place = format!("out/{name}");
            let Some(promise) = promises.get(name) else {
                // With a broken journal nobody knows what should be there, and a live run has gone on meanwhile.
                if replay.bad.is_none() && !self.live {
                    self.problem(place, "no record tells of it");
                }
                continue;
            };
            let lengths: Vec<u64> = promise.commits.iter().map(|(length, _)| *length).collect();
            let (total, whole, parts) = match self.digests(&folder.join(name), &lengths) {
                Ok(digests) => digests,
                Err(why) => {
                    self.problem(place, format!("could not be read: {why}"));
                    continue;
                }
            };
            if let Some(digest) = &promise.whole {
                match *digest == whole {
                    true => right += 1,
                    false => self.problem(place, "its bytes are not those the record of its step names"),
                }
                continue;
            }
            if promise.silent {
                self.problem(place, "its step had no output");
                continue;
            }
            let mut proven = 0;
            // Behind its head, an output that became too long is written anew: an earlier commit is no beginning of it.
            let head = self.store.limits.head();
            for (length, digest) in &promise.commits {
                match parts.get(length) {
                    Some(part) if part == digest => proven = proven.max(*length),
                    _ if *length > head => {}
                    _ => self.problem(&place, format!("its first {length} bytes are not those its record names")),
                }
            }
            let cut = promise.commits.iter().any(|(length, _)| *length > head);
            if total > proven && replay.closed() && !cut {
                // What a crash leaves is on record since the run went on; nothing is written behind it.
                self.problem(place, format!("no record tells of what stands behind its first {proven} bytes"));
            } else if total > proven {
                self.unproven
                    .push(format!("{place} behind its first {proven} bytes: no record says what should be there"));
            }
        }
        right
    }

    /// Length and digest of a file, and the digests of its beginnings of these lengths.
    fn digests(&self, path: &Path, lengths: &[u64]) -> io::Result<(u64, String, BTreeMap<u64, String>)> {
        let mut lengths: Vec<u64> = lengths.to_vec();
        lengths.sort_unstable();
        lengths.dedup();
        let mut next = lengths.into_iter().peekable();
        let mut reader = self.store.storage.open(path)?;
        let mut hash = Sha256::new();
        let mut parts = BTreeMap::new();
        let mut total = 0;
        let mut chunk = vec![0; 256 * 1024];
        loop {
            let read = reader.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            let mut rest = &chunk[..read];
            while let Some(length) = next.next_if(|length| *length <= total + rest.len() as u64) {
                let (part, after) = rest.split_at((length - total) as usize);
                hash.update(part);
                total = length;
                rest = after;
                parts.insert(length, hex(&hash.clone().finalize().into()));
            }
            hash.update(rest);
            total += rest.len() as u64;
        }
        Ok((total, hex(&hash.finalize().into()), parts))
    }

    fn torn_files(&mut self, replay: &Replay) {
        for record in &replay.records {
            if let Event::Recovered { cut_bytes, saved_as, sha256 } = &record.event
                && !saved_as.contains('/')
            {
                match self.store.storage.read(&self.dir.join(saved_as)) {
                    Ok(bytes)
                        if bytes.len() as u64 == *cut_bytes
                            && sha256.as_ref().is_none_or(|sha256| *sha256 == hex_sha256(&bytes)) => {}
                    Ok(_) => self.problem(saved_as, format!("it is not the {cut_bytes} bytes that were set aside")),
                    Err(why) => self.problem(saved_as, format!("could not be read: {why}")),
                }
            }
        }
    }

    /// Signatures of this journal as it is; those that are of anything else are wrong here.
    fn signatures(&mut self, run: &RunId, replay: &Replay) -> Vec<Signed> {
        let mut good = Vec::new();
        for found in self.store.signatures(run) {
            let signed = match found {
                Found::Whole(signed) => signed,
                Found::Incomplete { place } => {
                    self.unproven.push(format!("{place}: its other half is not there, as a crash leaves it"));
                    continue;
                }
                Found::Wrong { place, why } => {
                    self.problem(place, why);
                    continue;
                }
            };
            let statement = &signed.statement;
            let known = usize::try_from(statement.record).ok().and_then(|seq| replay.heads.get(seq.checked_sub(1)?));
            let why = match known {
                _ if statement.run != *run => format!("it was signed for run {}", statement.run),
                Some(head) if *head == statement.head => {
                    good.push(signed);
                    continue;
                }
                Some(_) => format!(
                    "record {} had another hash when it was signed: the journal was rewritten, that record or one before",
                    statement.record
                ),
                // What the bad line hides is told at that line.
                None if replay.bad.is_some() => {
                    self.unproven.push(format!("{}: there is no good record {}", signed.place, statement.record));
                    continue;
                }
                None => format!("record {} was signed, and is not there: the end was cut off", statement.record),
            };
            self.problem(signed.place, why);
        }
        good
    }

    /// What stands in the run's folder and is no part of it proves nothing, whatever it says.
    fn others(&mut self, replay: &Replay) {
        let told = |name: &String| {
            replay
                .records
                .iter()
                .any(|record| matches!(&record.event, Event::Recovered { saved_as, .. } if saved_as == name))
        };
        let later = |name: &String| {
            replay
                .state
                .plans
                .iter()
                .any(|plan| *name == plan_file(plan.number) || *name == runbook_folder(plan.number))
        };
        let mut names = self.store.storage.list(self.dir).unwrap_or_default();
        names.retain(|name| !KNOWN.contains(&name.as_str()) && name != SIGNATURES && !told(name) && !later(name));
        names.sort();
        for name in names {
            self.unproven.push(format!("{name}: no record tells of it"));
        }
    }
}

fn promises(replay: &Replay) -> BTreeMap<String, Promise> {
    let mut promises: BTreeMap<String, Promise> = BTreeMap::new();
    let mut life = 0;
    let mut began: BTreeMap<String, u32> = BTreeMap::new();
    for record in &replay.records {
        match &record.event {
            Event::RunResumed { .. } => life += 1,
            Event::StepStarted { step, attempt, .. } => {
                let name = output_name(step, *attempt);
                promises.entry(name.clone()).or_default();
                began.insert(name, life);
            }
            Event::OutputCommit { step, attempt, bytes, sha256 } => {
                let promise = promises.entry(output_name(step, *attempt)).or_default();
                // It tells of more than was there when the step ended.
                promise.whole = None;
                promise.silent = false;
                promise.commits.push((*bytes, sha256.clone()));
            }
            Event::StepFinished { step, attempt, output_sha256, output_lost, .. } => {
                let name = output_name(step, *attempt);
                let same_life = began.get(&name) == Some(&life) && !output_lost;
                let promise = promises.entry(name).or_default();
                match output_sha256 {
                    Some(digest) => promise.whole = Some(digest.clone()),
                    None if promise.whole.is_none() && promise.commits.is_empty() => promise.silent |= same_life,
                    None => {}
                }
            }
            _ => {}
        }
    }
    promises
}
