//! Who holds a run, and named locks that runs hold against each other. Knows nothing of how runs go.
//!
//! A named lock is a file lock on `locks/<digest of the name>.lock`, which goes with its program, and beside it
//! `….owner`, which stays: the run that holds it, put in place whole by a rename and removed when that run is over.

use std::{path::PathBuf, rc::Rc};

use serde::{Deserialize, Serialize};

use super::{chain::hex_sha256, error::StoreError, store::RunStore};
use crate::{
    event::RunId,
    port::{LockKind, Storage, StorageLock},
};

/// Who takes something, where and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Who {
    pub operator: String,
    pub host: String,
    pub since: jiff::Timestamp,
}

/// What stands in a lock file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    pub run: RunId,
    pub runbook: String,
    pub who: String,
    pub host: String,
    pub pid: u32,
    pub since: jiff::Timestamp,
    /// The name of a named lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// In the lock of a run that is over: the hash of its last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_head: Option<String>,
}

impl Holder {
    pub(super) fn of_run(run: &RunId, runbook: &str, who: &Who) -> Holder {
        Holder {
            run: run.clone(),
            runbook: runbook.to_owned(),
            who: who.operator.clone(),
            host: who.host.clone(),
            pid: std::process::id(),
            since: who.since,
            lock: None,
            closed_head: None,
        }
    }

    pub(super) fn to_json(&self) -> String {
        // Text, numbers and a time: nothing here can fail to serialise.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// Why a lock is not to be had.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The named lock; none where it is the run itself that is in use.
    pub lock: Option<String>,
    /// None if its file could not be understood.
    pub holder: Option<Holder>,
    /// A program holds it right now; otherwise it waits for a run that is to be resumed.
    pub live: bool,
}

impl Refusal {
    pub(super) fn run(holder: Holder) -> Refusal {
        Refusal { lock: None, holder: Some(holder), live: true }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.lock {
            Some(name) => write!(f, "take the lock `{name}`: ")?,
            None => f.write_str("take the run: ")?,
        }
        let Some(holder) = &self.holder else {
            return f.write_str("another program holds it, and has not said who it is");
        };
        let Holder { run, runbook, who, host, pid, since, .. } = holder;
        match (&self.lock, self.live) {
            (None, _) => write!(f, "{who} is running {run} ({runbook}) on {host} since {since} (process {pid})"),
            (Some(_), true) => write!(
                f,
                "run {run} ({runbook}) holds it, started by {who} on {host}, since {since} (process {pid}); \
                 wait for it to end, or stop it there"
            ),
            (Some(_), false) => write!(
                f,
                "run {run} ({runbook}) holds it, started by {who} on {host}, since {since}, and is not over; \
                 resume it and let it end, or quit it: runsheet resume {run}"
            ),
        }
    }
}

/// A named lock that this program holds for a run. Dropping it keeps it for the run; releasing it gives it up.
pub struct NamedLock {
    name: String,
    storage: Rc<dyn Storage>,
    owner: PathBuf,
    /// It was the run's before this program took it.
    kept: bool,
    _lock: Box<dyn StorageLock>,
}

impl NamedLock {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it up, durably.
    pub fn release(self) -> Result<(), StoreError> {
        let remove = || {
            if self.storage.exists(&self.owner) {
                self.storage.remove_file(&self.owner)?;
            }
            self.owner.parent().map_or(Ok(()), |dir| self.storage.sync_dir(dir))
        };
        remove().map_err(StoreError::write(&self.owner))
    }
}

impl RunStore {
    /// Takes all of these locks for a run, or none. It is to be done before the run is made: a lock that a run of
    /// that name never came to hold is free again. A lock that a paused run keeps is its own at resume.
    pub fn acquire(
        &self,
        names: &[String],
        run: &RunId,
        runbook: &str,
        who: &Who,
    ) -> Result<Vec<NamedLock>, StoreError> {
        let mut names: Vec<&String> = names.iter().collect();
        names.sort();
        names.dedup();
        let mut held: Vec<NamedLock> = Vec::new();
        for name in names {
            match self.acquire_one(name, run, runbook, who) {
                Ok(lock) => held.push(lock),
                Err(error) => {
                    for lock in held.into_iter().filter(|lock| !lock.kept) {
                        // The refusal is what matters; a lock of a run that never is, is free anyway.
                        let _ = lock.release();
                    }
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    fn acquire_one(&self, name: &str, run: &RunId, runbook: &str, who: &Who) -> Result<NamedLock, StoreError> {
        let dir = self.root.join("locks");
        self.make_folder(&dir)?;
        self.guard(&dir)?;
        let stem = hex_sha256(name.as_bytes());
        let (path, owner) = (dir.join(format!("{stem}.lock")), dir.join(format!("{stem}.owner")));
        let refuse =
            |holder, live| Err(StoreError::Locked(Box::new(Refusal { lock: Some(name.to_owned()), holder, live })));
        let taken = self.storage.lock(&path, LockKind::Exclusive).map_err(StoreError::write(&path))?;
        let Some(mut lock) = taken else {
            let holder = self.storage.read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            return refuse(holder, true);
        };
        let mut kept = false;
        if self.storage.exists(&owner) {
            let bytes = self.storage.read(&owner).map_err(StoreError::read(&owner))?;
            let before: Holder = serde_json::from_slice(&bytes).map_err(|why| {
                StoreError::damaged(&owner, format!("it does not say which run holds the lock: {why}"))
            })?;
            kept = before.run == *run;
            if !kept && !self.is_over(&before.run) {
                return refuse(Some(before), false);
            }
        }
        let holder = Holder { lock: Some(name.to_owned()), ..Holder::of_run(run, runbook, who) };
        lock.describe(&holder.to_json()).map_err(StoreError::write(&path))?;
        let fresh = dir.join(format!("{stem}.new"));
        if self.storage.exists(&fresh) {
            self.storage.remove_file(&fresh).map_err(StoreError::write(&fresh))?;
        }
        self.write_file(&fresh, holder.to_json().as_bytes())?;
        self.storage.rename(&fresh, &owner).map_err(StoreError::write(&owner))?;
        self.sync_dir(&dir)?;
        Ok(NamedLock { name: name.to_owned(), storage: Rc::clone(&self.storage), owner, kept, _lock: lock })
    }

    /// Whether a run is over, or never began. One whose journal cannot be read is neither.
    fn is_over(&self, run: &RunId) -> bool {
        match self.replay(run) {
            Ok((_, replay)) => replay.bad.is_none() && replay.closed(),
            Err(StoreError::NoSuchRun(_)) => true,
            Err(_) => false,
        }
    }
}
