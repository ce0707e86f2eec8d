//! Lock and exit record of an attempt: written by its supervisor, read on resume. Knows nothing of journals.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::Signal,
};
use serde::{Deserialize, Serialize};

use super::{family, wire::RecordAt};
use crate::{
    event::StepId,
    port::{Cancel, ExecRecord, WorldError},
};

/// What is known of an attempt whose end the journal does not have.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptState {
    /// Its supervisor lives: wait for it or end it; never a second start.
    Running,
    /// Its supervisor wrote down how its last process ended.
    Ended(ExecRecord),
    /// That is on record, and what it left running, as it may, still runs under its supervisor.
    Daemon(ExecRecord),
    /// Neither: it never started anything, or it was killed together with its engine.
    Gone,
}

/// One supervisor, a line in the lock file.
#[derive(Serialize, Deserialize)]
struct Holder {
    pid: i32,
    /// In ticks since boot; together with the number it names one process.
    start: u64,
    engine: String,
}

/// Looks at what a dead engine's attempt left behind.
pub fn attempt_state(record_dir: &Path, step: &StepId, attempt: u32) -> io::Result<AttemptState> {
    let name = name(step, attempt);
    let record = || match std::fs::read(record_dir.join(format!("{name}.exit"))) {
        // A record that a crash of the machine cut short says nothing.
        Ok(bytes) => Ok(serde_json::from_slice::<ExecRecord>(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    if !free(&record_dir.join(format!("{name}.lock")))? {
        // Whoever leaves nothing has its record for a moment before its lock is free.
        let record = record()?.filter(|record| !record.left.is_empty());
        return Ok(record.map_or(AttemptState::Running, AttemptState::Daemon));
    }
    // Looked at after the lock: a supervisor writes the record first and frees the lock last.
    Ok(record()?.map_or(AttemptState::Gone, AttemptState::Ended))
}

/// Waits until the main process of this attempt has ended, or `cancel` is raised; then [`attempt_state`].
pub async fn wait_attempt(record_dir: &Path, step: &StepId, attempt: u32, cancel: &Cancel) -> io::Result<AttemptState> {
    let mut pause = Duration::from_millis(5);
    loop {
        let state = attempt_state(record_dir, step, attempt)?;
        if state != AttemptState::Running || cancel.level() > 0 {
            return Ok(state);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = cancel.above(0) => {}
        }
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// Ends an attempt whose supervisor still lives: TERM, its own grace, KILL; raising `cancel` to 2 cuts the grace short.
/// Resolves when nothing of it is left.
pub async fn kill_attempt(
    record_dir: &Path,
    step: &StepId,
    attempt: u32,
    cancel: &Cancel,
) -> Result<AttemptState, WorldError> {
    let unreadable = |error: io::Error| WorldError::Lost(format!("the lock of {step} cannot be read: {error}"));
    let path = record_dir.join(format!("{}.lock", name(step, attempt)));
    if free(&path).map_err(unreadable)? {
        return attempt_state(record_dir, step, attempt).map_err(unreadable);
    }
    let holders = holders(&path).map_err(unreadable)?;
    let end_all = || -> usize {
        let alive = holders.iter().filter(|holder| family::start_time(holder.pid) == Some(holder.start));
        alive.filter(|holder| family::signal(&holder.living(), Signal::TERM).is_ok()).count()
    };
    if end_all() == 0 && !free(&path).map_err(unreadable)? {
        return Err(WorldError::Lost(format!(
            "the supervisor of {step} lives, but not where it can be signalled (another container or another user); end \
             it there"
        )));
    }
    let mut pause = Duration::from_millis(5);
    let mut urged = false;
    loop {
        let state = attempt_state(record_dir, step, attempt).map_err(unreadable)?;
        if !matches!(state, AttemptState::Running | AttemptState::Daemon(_)) {
            return Ok(state);
        }
        if cancel.level() >= 2 && !urged {
            urged = true;
            end_all();
        }
        let seen = if urged { u8::MAX } else { cancel.level().max(1) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = cancel.above(seen) => {}
        }
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

impl Holder {
    fn living(&self) -> family::Living {
        family::Living { pid: self.pid, start: self.start, name: String::new() }
    }
}

/// `<stem>.<attempt>`.
pub(super) fn name(step: &StepId, attempt: u32) -> String {
    format!("{}.{attempt}", step.file_stem())
}

/// Whether nobody holds the lock, a lock that never existed included.
fn free(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn holders(path: &Path) -> io::Result<Vec<Holder>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The supervisor's side: lock and record of the attempt it works for.
pub(super) struct Record {
    dir: PathBuf,
    name: String,
    /// Closed on exec, so that a step that outlives everything cannot hold it.
    _lock: File,
}

impl Record {
    /// Takes the lock, says who holds it, and removes the record of an earlier process of this attempt.
    ///
    /// Processes of one engine may share an attempt (the probes of a watch); a process of another engine means that
    /// somebody resumed while this attempt ran, and is refused.
    pub fn take(at: &RecordAt) -> Result<Record, String> {
        let dir = PathBuf::from(OsStr::from_bytes(&at.dir));
        let path = dir.join(format!("{}.lock", at.name));
        let problem =
            |error: io::Error| format!("the lock of this attempt cannot be taken: {}: {error}", path.display());
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path).map_err(problem)?;
        let me = i32::try_from(std::process::id()).unwrap_or(0);
        let holder = Holder { pid: me, start: family::start_time(me).unwrap_or(0), engine: at.engine.clone() };
        let line = serde_json::to_string(&holder).map_err(|error| problem(error.into()))? + "\n";
        // An observer holds the lock for a moment while it looks, and so does the process before us while it ends.
        let deadline = std::time::Instant::now() + Duration::from_secs(2);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    file.set_len(0).map_err(problem)?;
                    (&file).write_all(line.as_bytes()).map_err(problem)?;
                    remove(&dir.join(format!("{}.exit", at.name))).map_err(problem)?;
                    break;
                }
                Err(Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(problem(errno.into())),
            }
            if ours(&file, &at.engine) && flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
                (&file).write_all(line.as_bytes()).map_err(problem)?;
                return Ok(Record { dir, name: at.name.clone(), _lock: file });
            }
            if std::time::Instant::now() > deadline {
                return Err("another process of this attempt is still running; it was not started a second time".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Shared from here on, so that siblings can join; whoever asks for it exclusively still sees it held. The change
        // is not atomic: an observer may be in between for a moment.
        while let Err(errno) = flock(&file, FlockOperation::LockShared) {
            if errno != Errno::INTR {
                return Err(problem(errno.into()));
            }
        }
        Ok(Record { dir, name: at.name.clone(), _lock: file })
    }

    /// Writes the end; `durable` when no engine is there to write it into the journal.
    pub fn write(&self, record: &ExecRecord, durable: bool) -> io::Result<()> {
        let temporary = self.dir.join(format!("{}.exit.{}", self.name, std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        if durable {
            file.sync_all()?;
        }
        std::fs::rename(&temporary, self.dir.join(format!("{}.exit", self.name)))?;
        if durable {
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(())
    }
}

/// Whether everyone in the lock file belongs to this engine.
fn ours(file: &File, engine: &str) -> bool {
    let mut text = String::new();
    let mut file = file;
    if file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).is_err() {
        return false;
    }
    let holders: Vec<Option<Holder>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
    !holders.is_empty() && holders.iter().all(|holder| holder.as_ref().is_some_and(|holder| holder.engine == engine))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dir: &Path, engine: &str) -> RecordAt {
        RecordAt { dir: dir.as_os_str().as_bytes().to_vec(), name: name(&StepId::new("a/b"), 1), engine: engine.into() }
    }

    #[test]
    fn an_attempt_runs_while_its_lock_is_held_and_then_has_ended_or_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, step) = (folder.path(), StepId::new("a/b"));
        let state = || attempt_state(dir, &step, 1).unwrap();
        assert_eq!(state(), AttemptState::Gone);
        let record = Record::take(&at(dir, "one")).unwrap();
        assert_eq!(state(), AttemptState::Running);
        let sibling = Record::take(&at(dir, "one")).unwrap();
        drop(sibling);
        assert_eq!(state(), AttemptState::Running);
        let end = ExecRecord {
            exit: Some(3),
            signal: None,
            remote: None,
            timed_out: false,
            cancelled: false,
            duration_ms: 5,
            lost_bytes: 0,
            swept: vec![],
            left: Vec::new(),
            left_ended: false,
        };
        record.write(&end, true).unwrap();
        assert_eq!(state(), AttemptState::Running);
        // Its end is on record, and it has left something that still runs.
        let daemon = ExecRecord { left: vec!["ssh (7)".into()], ..end.clone() };
        record.write(&daemon, true).unwrap();
        assert_eq!(state(), AttemptState::Daemon(daemon));
        record.write(&end, true).unwrap();
        drop(record);
        assert_eq!(state(), AttemptState::Ended(end));
        // The next process of the attempt makes the record of the one before it void.
        drop(Record::take(&at(dir, "one")).unwrap());
        assert_eq!(state(), AttemptState::Gone);
        std::fs::write(dir.join("a.b.1.exit"), "{\"exit\":").unwrap();
        assert_eq!(state(), AttemptState::Gone);
        assert_eq!(attempt_state(dir, &step, 2).unwrap(), AttemptState::Gone);
    }

    #[test]
    fn another_engine_is_refused_while_a_supervisor_lives() {
        let folder = tempfile::tempdir().unwrap();
        let _record = Record::take(&at(folder.path(), "one")).unwrap();
        let refused = Record::take(&at(folder.path(), "two")).err().unwrap();
        assert!(refused.contains("still running"), "{refused}");
    }
}
