//! Who holds a run, and named locks that runs hold against each other. Knows nothing of how runs go.
//!
//! A named lock is a file lock on `locks/<digest of the name>.lock`, which goes with its program, and beside it
//! `….owner`, which stays: the run that holds it, put in place whole by a rename and removed when that run is over.
//!
//! What stands in a `.lock` file, or in a `run.lock`, is for people alone: who held the lock last. It is written after
//! the lock was taken, so that for a moment it names the one before; whoever was refused looks again until it cannot.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

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

    /// Whether it may hold something now: what stands in a lock file outlives the program that wrote it.
    fn may_live(&self) -> bool {
        let here = rustix::system::uname();
        if here.nodename().to_bytes() != self.host.as_bytes() {
            return true;
        }
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_none_or(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
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
    /// The run that holds it can never be resumed.
    pub stuck: Option<Stuck>,
}

/// A lock that nothing but a person can free.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    pub why: String,
    /// The file to be removed.
    pub owner: PathBuf,
}

impl Refusal {
    pub(super) fn run(holder: Option<Holder>) -> Refusal {
        Refusal { lock: None, holder, live: true, stuck: None }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.lock {
            Some(name) => write!(f, "take the lock `{name}`: ")?,
            None => f.write_str("take the run: ")?,
        }
        match (&self.holder, self.live) {
            (None, true) => {
                return f.write_str("another program has just taken it, and has not said yet who it is; try again");
            }
            (None, false) => f.write_str("another run holds it")?,
            (Some(Holder { run, runbook, who, host, pid, since, .. }), live) => match (&self.lock, live) {
                (None, _) => {
                    return write!(
                        f,
                        "{who} is running {run} ({runbook}) on {host} since {since} (process {pid}); \
                         wait for it to end, or stop it there"
                    );
                }
                (Some(_), true) => {
                    return write!(
                        f,
                        "run {run} ({runbook}) holds it, started by {who} on {host}, since {since} (process {pid}); \
                         wait for it to end, or stop it there"
                    );
                }
                (Some(_), false) => {
                    write!(f, "run {run} ({runbook}) holds it, started by {who} on {host}, since {since}")?;
                    if self.stuck.is_none() {
                        return write!(
                            f,
                            ", and is not over; resume it and let it end, or quit it: runsheet resume {run}"
                        );
                    }
                }
            },
        }
        match &self.stuck {
            Some(Stuck { why, owner }) => write!(
                f,
                ", and cannot be resumed: {why}; look that nothing of it is still going on, and then free the lock: \
                 rm '{}'",
                owner.display().to_string().replace('\'', r"'\''")
            ),
            None => Ok(()),
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
    lock: Box<dyn StorageLock>,
}

impl NamedLock {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it up, durably.
    pub fn release(mut self) -> Result<(), StoreError> {
        let remove = || {
            if self.storage.exists(&self.owner) {
                self.storage.remove_file(&self.owner)?;
            }
            self.owner.parent().map_or(Ok(()), |dir| self.storage.sync_dir(dir))
        };
        remove().map_err(StoreError::write(&self.owner))?;
        // Only spares the next one a second look.
        let _ = self.lock.blank();
        Ok(())
    }
}

/// How often a lock is tried whose holder has not said who it is. Each try waits a little by itself.
const LOOKS: u32 = 5;

impl RunStore {
    /// Takes a lock, or tells who has it.
    pub(super) fn take_lock(&self, path: &Path) -> Result<Result<Box<dyn StorageLock>, Option<Holder>>, StoreError> {
        let mut holder = None;
        for _ in 0..LOOKS {
            if let Some(lock) = self.storage.lock(path, LockKind::Exclusive).map_err(StoreError::lock(path))? {
                return Ok(Ok(lock));
            }
            holder = self.described(path);
            if holder.as_ref().is_some_and(Holder::may_live) {
                break;
            }
        }
        Ok(Err(holder))
    }

    /// What stands in a lock file.
    pub(super) fn described(&self, path: &Path) -> Option<Holder> {
        serde_json::from_slice(&self.storage.read(path).ok()?).ok()
    }

    /// Takes all of these locks for a run, or none. It is to be done before the run is made: a lock that a run of
    /// that name never came to hold is free again. A lock that a paused run keeps is its own at resume.
    pub fn acquire(
        &self,
        names: &[String],
        run: &RunId,
        runbook: &str,
        who: &Who,
    ) -> Result<Vec<NamedLock>, StoreError> {
        // In one order for everybody: of several runs that want some of the same locks, one always gets all it wants.
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
        self.prepare_folder(&dir)?;
        let stem = hex_sha256(name.as_bytes());
        let (path, owner) = (dir.join(format!("{stem}.lock")), dir.join(format!("{stem}.owner")));
        let refuse = |holder, live, stuck| {
            Err(StoreError::Locked(Box::new(Refusal { lock: Some(name.to_owned()), holder, live, stuck })))
        };
        let stuck = |why: String| Some(Stuck { why, owner: owner.clone() });
        let mut lock = match self.take_lock(&path)? {
            Ok(lock) => lock,
            Err(holder) => return refuse(holder, true, None),
        };
        let mut kept = false;
        if self.storage.exists(&owner) {
            let bytes = self.storage.read(&owner).map_err(StoreError::read(&owner))?;
            let before: Holder = match serde_json::from_slice(&bytes) {
                Ok(before) => before,
                Err(_) => return refuse(None, false, stuck("which one it is cannot be read any more".into())),
            };
            kept = before.run == *run;
            if !kept {
                match self.is_over(&before.run) {
                    Ok(true) => {}
                    Ok(false) => return refuse(Some(before), false, None),
                    Err(why) => return refuse(Some(before), false, stuck(format!("could not {why}"))),
                }
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
        Ok(NamedLock { name: name.to_owned(), storage: Rc::clone(&self.storage), owner, kept, lock })
    }

    /// Gives up the named locks of a run that is over and whose program was killed before it could.
    pub(super) fn give_up(&self, run: &RunId) -> Result<(), StoreError> {
        let dir = self.root.join("locks");
        if !self.storage.exists(&dir) {
            return Ok(());
        }
        self.guard(&dir)?;
        for file in self.storage.list(&dir).map_err(StoreError::read(&dir))? {
            let Some(stem) = file.strip_suffix(".owner") else { continue };
            let owner = dir.join(&file);
            let theirs = || self.described(&owner).filter(|holder| holder.run == *run);
            if theirs().is_none() {
                continue;
            }
            let path = dir.join(format!("{stem}.lock"));
            let taken = self.storage.lock(&path, LockKind::Exclusive).map_err(StoreError::lock(&path))?;
            // Where somebody is just taking it, it is no longer this run's.
            if let Some(lock) = taken
                && let Some(holder) = theirs()
            {
                let name = holder.lock.unwrap_or(file);
                NamedLock { name, storage: Rc::clone(&self.storage), owner, kept: true, lock }.release()?;
            }
        }
        Ok(())
    }

    /// Whether a run is over, or never began; an error says why it is not over and never will be.
    fn is_over(&self, run: &RunId) -> Result<bool, StoreError> {
        match self.replay(run) {
            Ok((_, replay)) => match replay.bad {
                Some(bad) => Err(StoreError::BadLine { path: self.journal_path(run), bad }),
                None if replay.closed() => Ok(true),
                None => self.frozen(run).map(|_| false),
            },
            Err(StoreError::NoSuchRun(_)) => Ok(true),
            Err(why) => Err(why),
        }
    }
}
