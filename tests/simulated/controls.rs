//! Tests of the tests: a machine with something wrong in it must be found out, and by the promise that it breaks.

use std::{
    cell::RefCell,
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

use runsheet::{
    event::{Event, Record, StepId, StepPhase},
    journal::MemoryStorage,
    port::{Journal, JournalError, Local, LockKind, OutputLog, Storage, StorageFile, StorageLock},
};
use serde_json::Value as Json;

use super::{
    books::book,
    checks::{Broken, Rule},
    drive::{Case, Rig},
    facts::canary,
    points::{Deep, Tally, explore},
};

fn found(case: &Case, rig: &Rig) -> Broken {
    match explore(case, rig, Deep { first: u64::MAX, second: 0, third: 0 }, &mut Tally::default()) {
        Err(found) => found,
        Ok(()) => panic!("{}: nothing was found", case.name),
    }
}

#[track_caller]
fn finds(case: &Case, rig: &Rig, rule: Rule, says: &str) {
    let found = found(case, rig);
    println!("{}", found.what);
    assert!(found.rule == rule && found.what.contains(says), "{says:?} was expected: {found:?}");
}

/// A journal that does something else with some records.
struct Bent {
    inner: Rc<dyn Journal>,
    held: RefCell<Vec<Record>>,
    bend: fn(&Record) -> Bend,
}

enum Bend {
    /// On disk some time later, and acknowledged at once.
    Later,
    Instead(Box<Record>),
}

impl Bent {
    fn rig(bend: fn(&Record) -> Bend) -> Rig {
        let journal = move |inner| Rc::new(Bent { inner, held: RefCell::default(), bend }) as Rc<dyn Journal>;
        Rig { journal: Rc::new(journal), ..Rig::default() }
    }
}

impl Journal for Bent {
    fn append<'a>(&'a self, record: &'a Record) -> Local<'a, Result<(), JournalError>> {
        Box::pin(async move {
            match (self.bend)(record) {
                Bend::Later => self.held.borrow_mut().push(record.clone()),
                Bend::Instead(record) => {
                    let held = self.held.take();
                    for record in held.iter().chain([&*record]) {
                        self.inner.append(record).await?;
                    }
                }
            }
            Ok(())
        })
    }

    fn output(&self, step: &StepId, attempt: u32) -> Result<Box<dyn OutputLog>, JournalError> {
        self.inner.output(step, attempt)
    }

    fn step_dir(&self) -> Option<PathBuf> {
        self.inner.step_dir()
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        self.inner.scratch_dir()
    }
}

fn as_it_is(record: &Record) -> Bend {
    Bend::Instead(Box::new(record.clone()))
}

/// A disk that leaves something out.
struct Lax {
    disk: MemoryStorage,
    lacks: Lack,
}

#[derive(Clone, Copy, PartialEq)]
enum Lack {
    Sync,
    SyncDir,
    Locks,
}

impl Lax {
    fn rig(lacks: Lack) -> Rig {
        Rig { storage: Rc::new(move |disk| Rc::new(Lax { disk, lacks })), ..Rig::default() }
    }

    fn file(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        if self.lacks == Lack::Sync { Box::new(SyncedOnce(file, false)) } else { file }
    }
}

/// Its first sync is one.
struct SyncedOnce(Box<dyn StorageFile>, bool);

impl StorageFile for SyncedOnce {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.1 {
            return Ok(());
        }
        self.1 = true;
        self.0.sync()
    }

    fn preallocate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.preallocate(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
}

/// A lock that everybody gets.
struct NoLock;

impl StorageLock for NoLock {
    fn blank(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn describe(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Lax {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.disk.create(path).map(|file| self.file(file))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.disk.append(path).map(|file| self.file(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.disk.size(path)
    }

    fn locks_fail(&self, dir: &Path) -> io::Result<Option<String>> {
        self.disk.locks_fail(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.disk.truncate(path, length)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_tree(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }

    fn guard(&self, path: &Path) -> io::Result<()> {
        self.disk.guard(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.lacks == Lack::SyncDir { Ok(()) } else { self.disk.sync_dir(path) }
    }

    fn lock(&self, path: &Path, kind: LockKind) -> io::Result<Option<Box<dyn StorageLock>>> {
        if self.lacks == Lack::Locks { Ok(Some(Box::new(NoLock))) } else { self.disk.lock(path, kind) }
    }
}

#[test]
fn a_journal_of_outcomes_alone_is_found_out() {
    let rig = Bent::rig(|record| match record.event {
        Event::StepStarted { .. } | Event::EffectIntended { .. } => Bend::Later,
        _ => as_it_is(record),
    });
    // What was acknowledged is gone, before anything is done about it.
    finds(&book("linear"), &rig, Rule::Kept, "is gone: StepStarted");
    let rig = Rig { promises: false, ..rig };
    finds(&book("linear"), &rig, Rule::Announced, "attempt 1 of tag has no start on record");
}

#[test]
fn an_intent_that_comes_later_is_found_out() {
    let rig = Bent::rig(|record| match record.event {
        Event::EffectIntended { .. } => Bend::Later,
        _ => as_it_is(record),
    });
    let rig = Rig { promises: false, ..rig };
    finds(&book("linear"), &rig, Rule::Announced, "process 1 of attempt 1 of tag has no intent on record");
}

#[test]
fn a_missing_sync_is_found_out() {
    finds(&book("linear"), &Lax::rig(Lack::Sync), Rule::Kept, "Power(Drop))]: Kept: record");
    finds(&book("linear"), &Lax::rig(Lack::SyncDir), Rule::Kept, "Power(Drop))]: Kept: the run is gone");
}

#[test]
fn a_secret_that_is_put_back_is_found_out() {
    let rig = Bent::rig(|record| {
        let mut record = record.clone();
        if let Event::StepFinished { captures, withheld, .. } = &mut record.event {
            for name in withheld.drain(..) {
                captures.insert(name.clone(), Json::from(canary(&name)));
            }
        }
        Bend::Instead(Box::new(record))
    });
    finds(&book("secret"), &Rig { promises: false, ..rig }, Rule::Secret, "the secret hidden is in /state");
}

#[test]
fn a_lock_that_is_given_twice_is_found_out() {
    let honest = Rig { rival: true, ..Rig::default() };
    explore(&book("last"), &honest, Deep { first: u64::MAX, second: 0, third: 0 }, &mut Tally::default())
        .map_err(|found| found.what)
        .unwrap();
    let rig = Rig { rival: true, ..Lax::rig(Lack::Locks) };
    finds(&book("last"), &rig, Rule::Alone, "a second program opened run");
}

#[test]
fn an_attempt_whose_lock_is_ignored_is_found_out() {
    let rig = Rig { forgetful: true, ..Rig::default() };
    // Its process still runs when it is begun a second time.
    finds(&book("mixed"), &rig, Rule::Alone, "while attempt 1 was still running");
}

/// A resume that works off the list of an undo from its other end.
#[test]
fn an_undo_in_the_order_of_the_file_is_found_out() {
    let rig = Rig {
        state: |state| {
            if let Some(undo) = &mut state.undo {
                undo.steps.reverse();
            }
        },
        ..Rig::default()
    };
    finds(&book("undone"), &rig, Rule::Undo, "was taken back before");
}

/// What was begun and has no end is forgotten, so that it is run as if for the first time.
#[test]
fn a_resume_that_forgets_is_found_out() {
    let rig = Rig {
        state: |state| {
            for step in state.steps.values_mut().filter(|step| step.phase == StepPhase::Running) {
                step.phase = StepPhase::NotStarted;
            }
        },
        ..Rig::default()
    };
    let found = found(&book("linear"), &rig);
    println!("{}", found.what);
    assert!([Rule::Once, Rule::SameEnd, Rule::Alone].contains(&found.rule), "{found:?}");
    // Left alone until nothing runs any more, it shows as a second attempt without a reason.
    let rig = Rig { overlap: true, ..rig };
    finds(&book("linear"), &rig, Rule::Once, "began attempt 2 after attempt 1, and nobody says why");
}
