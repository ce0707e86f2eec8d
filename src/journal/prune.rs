//! Takes old runs away that are over. Knows nothing of what anybody wants to keep them for.
//!
//! A run goes in one step: its folder gets the kind of name that no run has, and is emptied after that. Whoever dies in
//! between leaves rubbish that the next sweep removes, and never half a run.

use std::{collections::BTreeMap, path::Path};

use super::{
    error::StoreError,
    list::{RunSummary, Standing},
    locks::Holder,
    store::{JOURNAL_VERSION, RunStore, TEMPORARY},
};
use crate::{event::RunId, port::LockKind};

/// What is to go, and what is old and stays.
#[derive(Clone, Debug, PartialEq)]
pub struct OldRuns {
    /// Each with the bytes that it takes on disk; oldest first.
    pub over: Vec<(RunSummary, u64)>,
    /// Runs that began before that time, each with why it stays.
    pub kept: Vec<(RunSummary, String)>,
}

/// What became of a run that was to go.
#[derive(Clone, Debug, PartialEq)]
pub enum Removal {
    Done,
    /// It was gone already: somebody else was quicker.
    Gone,
    /// It stays after all.
    Kept(String),
}

enum Fate {
    Goes,
    Young,
    Stays(String),
}

impl RunStore {
    /// The runs that were over before a time, and those that only began before it.
    pub fn old_runs(&self, before: jiff::Timestamp) -> Result<OldRuns, StoreError> {
        let owners = self.owners()?;
        let mut old = OldRuns { over: Vec::new(), kept: Vec::new() };
        let mut runs = self.list()?;
        runs.reverse();
        for run in runs {
            match self.fate(&run, before, &owners) {
                Fate::Goes => {
                    let bytes = self.storage.size(&self.run_dir(&run.run)).unwrap_or(0);
                    old.over.push((run, bytes));
                }
                Fate::Stays(why) if run.started.is_none_or(|at| at < before) => old.kept.push((run, why)),
                Fate::Stays(_) | Fate::Young => {}
            }
        }
        Ok(old)
    }

    /// Removes one of them, unless something about it has changed since it was listed.
    pub fn remove_run(&self, run: &RunId, before: jiff::Timestamp) -> Result<Removal, StoreError> {
        let dir = self.run_dir(run);
        match self.guard_run(run) {
            Err(StoreError::NoSuchRun(_)) => return Ok(Removal::Gone),
            guarded => guarded?,
        }
        let gone = |why: &std::io::Error| why.kind() == std::io::ErrorKind::NotFound;
        let lock_path = dir.join("run.lock");
        // Held until it is gone, so that nobody resumes or sweeps it meanwhile.
        let _lock = match self.storage.lock(&lock_path, LockKind::Exclusive) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(Removal::Kept("it is in use".into())),
            Err(why) if gone(&why) => return Ok(Removal::Gone),
            Err(why) => return Err(StoreError::write(&lock_path)(why)),
        };
        let summary = self.unlocked_summary(run);
        if !self.storage.exists(&dir) {
            return Ok(Removal::Gone);
        }
        match self.fate(&summary, before, &self.owners()?) {
            Fate::Goes => {}
            Fate::Young => return Ok(Removal::Kept("it is not as old as that".into())),
            Fate::Stays(why) => return Ok(Removal::Kept(why)),
        }
        let temporary = self.runs_dir().join(format!("{TEMPORARY}{run}"));
        match self.storage.rename(&dir, &temporary) {
            Err(why) if gone(&why) => return Ok(Removal::Gone),
            renamed => renamed.map_err(StoreError::write(&dir))?,
        }
        self.sync_dir(&self.runs_dir())?;
        self.remove_all(&temporary)?;
        Ok(Removal::Done)
    }

    fn fate(&self, run: &RunSummary, before: jiff::Timestamp, owners: &BTreeMap<RunId, String>) -> Fate {
        match run.outcome {
            Standing::Running => return Fate::Stays("it is going on".into()),
            Standing::Broken => {
                let why = run.problem.as_deref().unwrap_or("broken");
                return Fate::Stays(format!("its record is not to be trusted: {why}"));
            }
            Standing::Interrupted => return Fate::Stays("it was interrupted, and is not over".into()),
            Standing::Ended(outcome) if !outcome.closes() => {
                return Fate::Stays(format!("it is {}, and not over", outcome.name()));
            }
            Standing::Ended(_) => {}
        }
        if run.finished.is_none_or(|at| at >= before) {
            return Fate::Young;
        }
        if let Some(lock) = owners.get(&run.run) {
            let way = format!("runsheet resume {} gives it up", run.run);
            return Fate::Stays(format!("it still holds the lock `{lock}`; {way}"));
        }
        match self.read(&run.run).map(|run| run.state.header) {
            Ok(Some(header)) if header.journal <= JOURNAL_VERSION => Fate::Goes,
            Ok(_) => Fate::Stays("a later version of runsheet wrote it".into()),
            Err(why) => Fate::Stays(format!("could not {why}")),
        }
    }

    /// Which runs hold named locks. A lock that does not say whose it is could be anybody's.
    fn owners(&self) -> Result<BTreeMap<RunId, String>, StoreError> {
        let dir = self.root.join("locks");
        let mut owners = BTreeMap::new();
        if !self.storage.exists(&dir) {
            return Ok(owners);
        }
        self.guard(&dir)?;
        for name in self.storage.list(&dir).map_err(StoreError::read(&dir))? {
            if !name.ends_with(".owner") {
                continue;
            }
            let path = dir.join(&name);
            let bytes = match self.storage.read(&path) {
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.map_err(StoreError::read(&path))?,
            };
            let holder: Holder = serde_json::from_slice(&bytes).map_err(|why| {
                StoreError::damaged(&path, format!("it does not say which run holds the lock: {why}"))
            })?;
            owners.insert(holder.run, holder.lock.unwrap_or(name));
        }
        Ok(owners)
    }

    /// Removes a folder and all in it. Another sweep may be at it, and may put a lock file where one was removed.
    pub(super) fn remove_all(&self, path: &Path) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            match self.storage.remove_tree(path) {
                Ok(()) => return Ok(()),
                Err(why) if why.kind() == std::io::ErrorKind::NotFound && !self.storage.exists(path) => return Ok(()),
                Err(_) if tries < 3 => tries += 1,
                Err(why) => return Err(StoreError::write(path)(why)),
            }
        }
    }
}
