//! Opens a run that was left, and puts right what a crash left behind. Knows nothing of steps.
//!
//! Nothing is changed before all of it has been checked. Every change can be interrupted and done again: the torn end
//! is saved under its own name first, then the good lines are put in place whole by a rename, then the reserve. The
//! journal is written anew rather than cut, because lines that a failed sync left only in memory would otherwise be
//! taken for durable ones.

use std::{path::Path, rc::Rc};

use sha2::{Digest, Sha256};

use super::{
    chain::hex,
    error::StoreError,
    locks::{Holder, Refusal, Who},
    replay::{BadLine, Replay},
    reserve,
    store::{JOURNAL_VERSION, LANGUAGE_VERSION, OpenRun, RunStore},
    writer::{DiskJournal, Start, output_path},
};
use crate::{
    event::{Event, RunId, StepId},
    port::Storage,
};

const TORN: &str = "journal.torn.";

impl RunStore {
    /// Opens a run to go on with it. A run that is over is opened as well, unchanged once its end is known to be
    /// durable: its end is in the state.
    pub fn open(&self, run: &RunId, who: &Who) -> Result<OpenRun, StoreError> {
        self.guard_run(run)?;
        let dir = self.run_dir(run);
        let lock_path = dir.join("run.lock");
        self.locks_hold(&dir)?;
        let mut lock = match self.take_lock(&lock_path)? {
            Ok(lock) => lock,
            Err(holder) => return Err(StoreError::Locked(Box::new(Refusal::run(holder)))),
        };
        let before = self.described(&lock_path);
        // Said as soon as it can be, for those who are refused from now on. What was noted when the run closed stays.
        let named = before.as_ref().filter(|before| before.closed_head.is_none());
        if let Some(named) = named {
            let holder = Holder::of_run(run, &named.runbook, who);
            lock.describe(&holder.to_json()).map_err(StoreError::write(&lock_path))?;
        }
        let named = named.is_some();

        let (bytes, mut replay) = self.replay(run)?;
        let path = self.journal_path(run);
        let mut torn: Vec<u8> = replay.torn.as_ref().map_or(Vec::new(), |torn| bytes[torn.range.clone()].to_vec());
        let mut good = bytes;
        let spare = reserve::path(&dir);
        let kept_bytes = if self.storage.exists(&spare) {
            self.storage.read(&spare).map_err(StoreError::read(&spare))?
        } else {
            Vec::new()
        };
        // An end that is only in the reserve is still to be put in its place; and one that nobody noted may be in memory
        // only, and must be durable before it is noted.
        let settled = replay.closed() && before.as_ref().is_some_and(|before| before.closed_head.is_some());
        match reserve::read(&kept_bytes).map_err(|why| StoreError::damaged(&spare, why))? {
            Some(kept) if !settled => {
                let (whole, lines) = fold(&good, kept).map_err(|why| StoreError::damaged(&spare, why))?;
                let tail = good.split_off(whole);
                // What the journal itself holds of these lines is lost to nobody.
                torn = if lines.starts_with(&tail) { Vec::new() } else { tail };
                good.extend_from_slice(&lines);
                replay = Replay::of(&good);
            }
            _ => {}
        }
        if let Some(bad) = replay.bad {
            return Err(StoreError::BadLine { path, bad });
        }
        let Some(header) = replay.state.header.clone() else {
            let bad = BadLine { line: 1, seq: None, why: "there is no first record".into() };
            return Err(StoreError::BadLine { path, bad });
        };
        for (what, found, known) in
            [("journal", header.journal, JOURNAL_VERSION), ("runbook language", header.format, LANGUAGE_VERSION)]
        {
            if found > known {
                return Err(StoreError::Newer { run: run.clone(), what, found, known });
            }
        }
        if let Some(noted) = before.as_ref().and_then(|before| before.closed_head.as_ref())
            && *noted != *replay.chain.head()
        {
            let why = format!("the run was over, and the last line then had the hash {noted}: its end is missing");
            return Err(StoreError::damaged(&path, why));
        }
        good.truncate(replay.good);

        let closed = replay.closed();
        let mut holder = Holder::of_run(run, &header.runbook, who);
        holder.closed_head = before.and_then(|before| before.closed_head);
        let mut recovered = Vec::new();
        if !settled {
            if !named {
                lock.describe(&holder.to_json()).map_err(StoreError::write(&lock_path))?;
            }
            if !torn.is_empty() {
                self.save_torn(&dir, &torn)?;
            }
            self.replace(&path, &dir.join("journal.jsonl.new"), |store, fresh| {
                store.write_file(fresh, &good).map(drop)
            })?;
            self.sync_dir(&dir)?;
            if kept_bytes.len() as u64 != reserve::RESERVE_BYTES || kept_bytes.iter().any(|b| *b != 0) {
                self.replace(&spare, &dir.join("reserve.new"), |store, fresh| {
                    reserve::make(&*store.storage, fresh).map_err(StoreError::write(fresh))
                })?;
            }
            for name in ["out", "steps", "scratch"].map(|name| dir.join(name)) {
                if !self.storage.exists(&name) {
                    self.create_dir(&name)?;
                }
            }
            self.sync_dir(&dir)?;
            // Whoever made the run may have died between giving it its name and making that durable.
            self.make_folder(&dir)?;
            if !closed {
                recovered = self.unreported(&dir, &replay)?;
                recovered.extend(self.left_outputs(&dir, &replay)?);
            }
        }
        let file = self.storage.append(&path).map_err(StoreError::write(&path))?;
        let journal = DiskJournal::new(Start {
            storage: Rc::clone(&self.storage),
            dir,
            file,
            chain: replay.chain,
            seq: replay.state.last_seq,
            bytes: good.len() as u64,
            closed,
            limits: self.limits,
            last_resort: Rc::clone(&self.last_resort),
        });
        Ok(OpenRun {
            id: run.clone(),
            journal: Rc::new(journal),
            records: replay.records,
            state: replay.state,
            recovered,
            store: self.clone(),
            lock,
            holder,
            locks: Vec::new(),
        })
    }

    /// Makes a file anew and puts it in the place of an old one, whole or not at all.
    fn replace(
        &self,
        path: &Path,
        fresh: &Path,
        make: impl FnOnce(&RunStore, &Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.storage.exists(fresh) {
            self.storage.remove_file(fresh).map_err(StoreError::write(fresh))?;
        }
        make(self, fresh)?;
        self.storage.rename(fresh, path).map_err(StoreError::write(path))
    }

    fn save_torn(&self, dir: &Path, torn: &[u8]) -> Result<(), StoreError> {
        let saved = self.torn_files(dir)?;
        for (_, name) in &saved {
            let path = dir.join(name);
            // A crash after it was saved, and before it was cut, brings the same bytes back.
            if self.storage.read(&path).map_err(StoreError::read(&path))? == torn {
                return Ok(());
            }
        }
        let next = saved.last().map_or(1, |(number, _)| number + 1);
        self.replace(&dir.join(format!("{TORN}{next}")), &dir.join(format!("{TORN}new")), |store, fresh| {
            store.write_file(fresh, torn).map(drop)
        })?;
        self.sync_dir(dir)
    }

    /// Ends that were saved aside, in order.
    fn torn_files(&self, dir: &Path) -> Result<Vec<(u64, String)>, StoreError> {
        let names = self.storage.list(dir).map_err(StoreError::read(dir))?;
        let mut saved: Vec<(u64, String)> =
            names.into_iter().filter_map(|name| Some((name.strip_prefix(TORN)?.parse().ok()?, name))).collect();
        saved.sort();
        Ok(saved)
    }

    /// Output that attempts without an end left behind their last commit: from now on its digest is on record.
    fn left_outputs(&self, dir: &Path, replay: &Replay) -> Result<Vec<Event>, StoreError> {
        let mut commits = Vec::new();
        for (step, attempt, committed) in open_outputs(replay) {
            let path = output_path(dir, &step, attempt);
            if !self.storage.exists(&path) {
                continue;
            }
            let (bytes, sha256) = digest(&*self.storage, &path).map_err(StoreError::read(&path))?;
            if bytes > committed {
                // What is promised is durable first, and written anew for that: a sync that failed has given its bytes
                // up, and the next one would say that all is well.
                self.replace(&path, &dir.join("output.new"), |store, fresh| {
                    copy(&*store.storage, &path, fresh).map_err(StoreError::write(fresh))
                })?;
                self.sync_dir(&dir.join("out"))?;
                commits.push(Event::OutputCommit { step, attempt, bytes, sha256 });
            }
        }
        Ok(commits)
    }

    /// Saved ends that no record tells of: the one of this opening, and those of openings that died before theirs.
    fn unreported(&self, dir: &Path, replay: &Replay) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        for (_, name) in self.torn_files(dir)? {
            let told = replay
                .records
                .iter()
                .any(|record| matches!(&record.event, Event::Recovered { saved_as, .. } if *saved_as == name));
            if !told {
                let path = dir.join(&name);
                let (cut_bytes, sha256) = digest(&*self.storage, &path).map_err(StoreError::read(&path))?;
                events.push(Event::Recovered { cut_bytes, saved_as: name, sha256: Some(sha256) });
            }
        }
        Ok(events)
    }
}

/// Attempts whose output is not bound to its end, each with how much of it is on record: those without an end, those of
/// which some could not be kept, and those whose log was written on by a look after their end.
fn open_outputs(replay: &Replay) -> Vec<(StepId, u32, u64)> {
    let mut known: Vec<(StepId, u32, u64, bool)> = Vec::new();
    for record in &replay.records {
        let (step, attempt) = match &record.event {
            Event::StepStarted { step, attempt, .. }
            | Event::EffectIntended { step, attempt, .. }
            | Event::OutputCommit { step, attempt, .. }
            | Event::StepFinished { step, attempt, .. } => (step, *attempt),
            _ => continue,
        };
        let at = known.iter().rposition(|(other, number, ..)| other == step && *number == attempt);
        let at = at.unwrap_or_else(|| {
            known.push((step.clone(), attempt, 0, true));
            known.len() - 1
        });
        let (_, _, committed, open) = &mut known[at];
        match &record.event {
            Event::OutputCommit { bytes, .. } => *committed = (*committed).max(*bytes),
            Event::StepFinished { output_bytes, output_lost, .. } => {
                *committed = (*committed).max(*output_bytes);
                *open = *output_lost;
            }
            _ => *open = true,
        }
    }
    known.retain(|(.., open)| *open);
    known.into_iter().map(|(step, attempt, committed, _)| (step, attempt, committed)).collect()
}

/// A durable copy of a file under a new name.
fn copy(storage: &dyn Storage, from: &Path, to: &Path) -> std::io::Result<()> {
    let mut reader = storage.open(from)?;
    let mut file = storage.create(to)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return file.sync();
        }
        file.write_all(&chunk[..read])?;
    }
}

/// Length and digest of a file.
fn digest(storage: &dyn Storage, path: &Path) -> std::io::Result<(u64, String)> {
    let (mut hash, mut total) = (Sha256::new(), 0);
    let mut reader = storage.open(path)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Ok((total, hex(&hash.finalize().into())));
        }
        hash.update(&chunk[..read]);
        total += read as u64;
    }
}

/// Where the durable part of a journal ends and which lines of the reserve follow it.
fn fold(journal: &[u8], kept: reserve::Kept) -> Result<(usize, Vec<u8>), String> {
    let whole = kept.durable;
    let Some(durable) = journal.get(..whole) else {
        return Err(format!("it follows {whole} bytes of a journal that has only {}", journal.len()));
    };
    let replay = Replay::of(durable);
    if replay.good != whole {
        return Err(format!("it follows {whole} bytes of the journal, which are not whole and good lines"));
    }
    let length = reserve::good_lines(&replay.chain, &kept.lines);
    let lines = &kept.lines[..length];
    if journal[whole..].starts_with(lines) {
        // Folded back already; the journal may have gone on since.
        let rest = Replay::of(journal).good;
        return Ok((rest.max(whole + length), Vec::new()));
    }
    Ok((whole, lines.to_vec()))
}
