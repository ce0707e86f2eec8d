//! The folders of runs below one state folder: making them and finding one's way in them. Knows nothing of recovery.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    ffi::OsString,
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use serde_json::{Map, Value as Json};

use super::{
    chain::{Chain, hex_sha256},
    error::StoreError,
    locks::{Holder, NamedLock, Refusal, Who},
    output::OutputLimits,
    replay::Replay,
    reserve,
    signed::{SIGNATURES, Statement},
    writer::{DiskJournal, LastResort, Start, output_path, print_to_stderr},
};
use crate::{
    event::{Event, Record, RunId, RunStarted, RunState, StepId},
    port::{LockKind, Storage, StorageFile, StorageLock},
};

/// The version of the journal that is written, and the latest that is gone on with.
pub const JOURNAL_VERSION: u32 = 1;
/// The latest version of the runbook language that is gone on with.
pub const LANGUAGE_VERSION: u32 = 1;

/// The member of a journal's first line that holds the digests of the frozen files.
pub(super) const FILES_MEMBER: &str = "runbook_files";
/// What names of run folders that are being made begin with.
pub(super) const TEMPORARY: &str = ".tmp-";

/// Where runs are kept unless the operator says otherwise: `$XDG_STATE_HOME/runsheet`, or
/// `$HOME/.local/state/runsheet`. The lookup is that of the environment.
pub fn default_state_dir(lookup: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StoreError> {
    let folder = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // A relative XDG_STATE_HOME is to be ignored, says its specification.
    if let Some(state) = folder("XDG_STATE_HOME") {
        return Ok(state.join("runsheet"));
    }
    if let Some(home) = folder("HOME") {
        return Ok(home.join(".local/state/runsheet"));
    }
    Err(StoreError::NoStateDir(
        "neither XDG_STATE_HOME nor HOME is set to an absolute path; set one, or say --state-dir FOLDER".into(),
    ))
}

/// Runs below one state folder.
#[derive(Clone)]
pub struct RunStore {
    pub(super) storage: Rc<dyn Storage>,
    pub(super) root: PathBuf,
    pub(super) limits: OutputLimits,
    pub(super) last_resort: LastResort,
    /// Folders whose names this program knows to be durable.
    named: Rc<RefCell<BTreeSet<PathBuf>>>,
}

/// A run that is locked by this program and can be written.
pub struct OpenRun {
    pub id: RunId,
    pub journal: Rc<DiskJournal>,
    /// The records that were there when it was opened.
    pub records: Vec<Record>,
    /// What they add up to.
    pub state: RunState,
    /// What was put right on opening, to be published as the first records.
    pub recovered: Vec<Event>,
    pub(super) store: RunStore,
    pub(super) lock: Box<dyn StorageLock>,
    pub(super) holder: Holder,
    pub(super) locks: Vec<NamedLock>,
}

/// A run that has everything but its name. Dropped, it never was.
pub struct NewRun {
    store: RunStore,
    id: RunId,
    first: Record,
    state: RunState,
    holder: Holder,
    /// Its folder; none once it has begun.
    temporary: Option<PathBuf>,
    made: Option<(Box<dyn StorageLock>, Box<dyn StorageFile>)>,
    chain: Chain,
    bytes: u64,
}

/// What a run froze when it began, or when another plan took the place of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen {
    /// The exact bytes of the runbook and of what it calls and uses, by name.
    pub files: Vec<(String, Vec<u8>)>,
    pub plan: Vec<u8>,
}

/// Where the frozen files of a plan are, below the run's folder.
pub(super) fn runbook_folder(number: u32) -> String {
    if number <= 1 { "runbook".into() } else { format!("runbook@{number}") }
}

/// The plan itself as data, below the run's folder.
pub(super) fn plan_file(number: u32) -> String {
    if number <= 1 { "plan.json".into() } else { format!("plan@{number}.json") }
}

/// A run as it can be read at any time.
#[derive(Clone, Debug)]
pub struct ReadRun {
    pub id: RunId,
    pub records: Vec<Record>,
    pub state: RunState,
    /// The hash of the last line.
    pub head: String,
    /// Bytes behind the last whole line: of a live run a record that is being written, else what a crash left.
    pub torn_bytes: usize,
}

impl RunStore {
    /// `state_dir` is absolute; it is made when the first run is.
    pub fn new(storage: Rc<dyn Storage>, state_dir: impl Into<PathBuf>) -> RunStore {
        RunStore {
            storage,
            root: state_dir.into(),
            limits: OutputLimits::default(),
            last_resort: Rc::new(print_to_stderr),
            named: Rc::default(),
        }
    }

    /// Other limits for output logs.
    pub fn with_limits(mut self, limits: OutputLimits) -> RunStore {
        self.limits = limits;
        self
    }

    /// Somewhere else for records that can be written nowhere.
    pub fn with_last_resort(mut self, last_resort: LastResort) -> RunStore {
        self.last_resort = last_resort;
        self
    }

    pub fn state_dir(&self) -> &Path {
        &self.root
    }

    pub fn runs_dir(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.runs_dir().join(run.as_str())
    }

    /// Makes a run: it exists, durably, when this returns. After an error there is none, unless the disk that refused
    /// to keep its name refuses to take it away, too.
    ///
    /// `first` is its `run_started`, whose `digest` is that of `plan_json`; `runbook_files` are the frozen bytes by
    /// relative name. Their digests are added to the first line.
    pub fn create(
        &self,
        run: &RunId,
        first: &Record,
        runbook_files: &[(String, Vec<u8>)],
        plan_json: &[u8],
    ) -> Result<OpenRun, StoreError> {
        self.prepare(run, first, runbook_files, plan_json)?.begin()
    }

    /// Makes everything of a run but its name: it is there only when it begins.
    pub fn prepare(
        &self,
        run: &RunId,
        first: &Record,
        runbook_files: &[(String, Vec<u8>)],
        plan_json: &[u8],
    ) -> Result<NewRun, StoreError> {
        let header = fit(run, first, runbook_files, plan_json)?;
        let mut state = RunState::default();
        state.apply(first).map_err(|illegal| StoreError::Unfit(illegal.to_string()))?;
        self.prepare_folder(&self.runs_dir())?;
        let target = self.run_dir(run);
        if self.storage.exists(&target) {
            return Err(StoreError::Unfit(format!("{} exists", target.display())));
        }
        let temporary = self.runs_dir().join(format!("{TEMPORARY}{run}"));
        let holder = Holder::of_run(
            run,
            &header.runbook,
            &Who { operator: header.operator.clone(), host: header.host.clone(), since: first.time },
        );
        match self.fill(&temporary, first, runbook_files, plan_json, &holder) {
            Ok((lock, file, chain, bytes)) => Ok(NewRun {
                store: self.clone(),
                id: run.clone(),
                first: first.clone(),
                state,
                holder,
                temporary: Some(temporary),
                made: Some((lock, file)),
                chain,
                bytes,
            }),
            Err(error) => {
                // What is left under a temporary name is no run; clearing it up may fail as well.
                let _ = self.storage.remove_tree(&temporary);
                Err(error)
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "handed on once, to the caller above")]
    fn fill(
        &self,
        dir: &Path,
        first: &Record,
        files: &[(String, Vec<u8>)],
        plan: &[u8],
        holder: &Holder,
    ) -> Result<(Box<dyn StorageLock>, Box<dyn StorageFile>, Chain, u64), StoreError> {
        if self.storage.exists(dir) {
            self.storage.remove_tree(dir).map_err(StoreError::write(dir))?;
        }
        self.create_dir(dir)?;
        // The lock comes first, so that nobody who clears up takes this folder for an abandoned one.
        let lock_path = dir.join("run.lock");
        let mut lock = self
            .storage
            .lock(&lock_path, LockKind::Exclusive)
            .map_err(StoreError::lock(&lock_path))?
            .ok_or_else(|| StoreError::Locked(Box::new(Refusal::run(None))))?;
        lock.describe(&holder.to_json()).map_err(StoreError::write(&lock_path))?;
        for name in ["runbook", "out", "steps", "scratch"] {
            self.create_dir(&dir.join(name))?;
        }
        self.write_files(&dir.join("runbook"), files)?;
        self.write_file(&dir.join("plan.json"), plan)?;
        let spare = reserve::path(dir);
        reserve::make(&*self.storage, &spare).map_err(StoreError::write(&spare))?;

        let digests: Map<String, Json> =
            files.iter().map(|(name, bytes)| (name.clone(), Json::from(hex_sha256(bytes)))).collect();
        let mut chain = Chain::start();
        let mut line = chain.line(first, &[(FILES_MEMBER, Json::Object(digests))]).map_err(StoreError::Unfit)?;
        chain.advance(&line);
        line.push(b'\n');
        let file = self.write_file(&dir.join("journal.jsonl"), &line)?;
        self.sync_dir(dir)?;
        Ok((lock, file, chain, line.len() as u64))
    }

    /// Files and folders below one that is there and empty, all durable but the name of that one itself.
    fn write_files(&self, root: &Path, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let mut folders = vec![root.to_owned()];
        for (name, bytes) in files {
            let path = root.join(name);
            let above: Vec<&Path> = path.ancestors().skip(1).take_while(|p| *p != root).collect();
            for folder in above.into_iter().rev() {
                if !self.storage.exists(folder) {
                    self.create_dir(folder)?;
                    folders.push(folder.to_owned());
                }
            }
            self.write_file(&path, bytes)?;
        }
        folders.iter().try_for_each(|folder| self.sync_dir(folder))
    }

    /// Reads a run without locking or changing anything. A record that is being written is left out.
    pub fn read(&self, run: &RunId) -> Result<ReadRun, StoreError> {
        let (_, replay) = self.replay(run)?;
        if let Some(bad) = replay.bad {
            return Err(StoreError::BadLine { path: self.journal_path(run), bad });
        }
        let torn_bytes = replay.torn.map_or(0, |torn| torn.range.len());
        let head = replay.chain.head().to_owned();
        Ok(ReadRun { id: run.clone(), records: replay.records, state: replay.state, head, torn_bytes })
    }

    /// What the run follows: what it froze when it began, or what was accepted in its place since. Checked against the
    /// records that tell of it.
    pub fn frozen(&self, run: &RunId) -> Result<Frozen, StoreError> {
        let (bytes, replay) = self.replay(run)?;
        let path = self.journal_path(run);
        let Some(digest) = replay.state.digest() else {
            return Err(StoreError::damaged(&path, "it has no first record"));
        };
        let plan_path = self.run_dir(run).join(plan_file(replay.state.plan_number()));
        let plan = self.storage.read(&plan_path).map_err(StoreError::read(&plan_path))?;
        if hex_sha256(&plan) != digest {
            return Err(StoreError::damaged(&plan_path, "it is not the plan that is on record"));
        }
        let number = replay.state.runbook_number();
        let folder = self.run_dir(run).join(runbook_folder(number));
        let mut files = Vec::new();
        for (name, digest) in digests_of(&bytes, &replay.state, number) {
            let path = folder.join(&name);
            let bytes = self.storage.read(&path).map_err(StoreError::read(&path))?;
            if hex_sha256(&bytes) != digest {
                return Err(StoreError::damaged(&path, "it is not the file that is on record"));
            }
            files.push((name, bytes));
        }
        Ok(Frozen { files, plan })
    }

    /// Where the output of one attempt is, whether or not there is any.
    pub fn output_path(&self, run: &RunId, step: &StepId, attempt: u32) -> PathBuf {
        output_path(&self.run_dir(run), step, attempt)
    }

    pub(super) fn journal_path(&self, run: &RunId) -> PathBuf {
        self.run_dir(run).join("journal.jsonl")
    }

    pub(super) fn replay(&self, run: &RunId) -> Result<(Vec<u8>, Replay), StoreError> {
        self.guard_run(run)?;
        let path = self.journal_path(run);
        let bytes = self.storage.read(&path).map_err(StoreError::read(&path))?;
        let replay = Replay::of(&bytes);
        if let Some(header) = &replay.state.header
            && header.run != *run
        {
            return Err(StoreError::damaged(&path, format!("it is the journal of run {}", header.run)));
        }
        Ok((bytes, replay))
    }

    pub(super) fn guard_run(&self, run: &RunId) -> Result<(), StoreError> {
        let dir = self.run_dir(run);
        let gone = || StoreError::NoSuchRun(format!("there is no {run} in {}", self.runs_dir().display()));
        if !self.storage.exists(&dir) {
            return Err(gone());
        }
        self.guard(&self.runs_dir())?;
        // It may be taken away meanwhile.
        self.guard(&dir).map_err(|error| if self.storage.exists(&dir) { error } else { gone() })
    }

    pub(super) fn guard(&self, dir: &Path) -> Result<(), StoreError> {
        self.storage.guard(dir).map_err(|why| StoreError::Foreign { path: dir.to_owned(), why: why.to_string() })
    }

    /// A folder in which locks are to be taken: on a disk on which they hold, ours, and made if it is not there.
    pub(super) fn prepare_folder(&self, dir: &Path) -> Result<(), StoreError> {
        // Looked at first, so that nothing is left where nothing can be kept.
        let there = dir.ancestors().find(|path| self.storage.exists(path)).unwrap_or(dir);
        self.locks_hold(there)?;
        self.make_folder(dir)?;
        self.guard(dir)
    }

    pub(super) fn locks_hold(&self, dir: &Path) -> Result<(), StoreError> {
        match self.storage.locks_fail(dir).map_err(StoreError::read(dir))? {
            None => Ok(()),
            Some(why) => Err(StoreError::NoLocks { path: self.root.clone(), why }),
        }
    }

    /// Makes a folder and those above it, each name durable before the next.
    ///
    /// That of a folder which is there already may not be: a program that made it may have died before it could see to
    /// that. So each name is made durable once by every program that builds on it.
    pub(super) fn make_folder(&self, path: &Path) -> Result<(), StoreError> {
        let mut folders: Vec<&Path> = path.ancestors().collect();
        folders.reverse();
        for folder in folders {
            let Some(above) = folder.parent() else { continue };
            let there = self.storage.exists(folder);
            if there && self.named.borrow().contains(folder) {
                continue;
            }
            if !there {
                match self.storage.create_dir(folder) {
                    // Another run may be the first one at the same time.
                    Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
                    made => made.map_err(StoreError::write(folder))?,
                }
            }
            use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
            match self.storage.sync_dir(above) {
                // Where we may not look, or nothing can be synced, no program of ours has made anything either.
                Err(why)
                    if there
                        && matches!(why.kind(), PermissionDenied | InvalidInput | ReadOnlyFilesystem | Unsupported) => {
                }
                synced => synced.map_err(StoreError::write(above))?,
            }
            self.named.borrow_mut().insert(folder.to_owned());
        }
        Ok(())
    }

    pub(super) fn create_dir(&self, path: &Path) -> Result<(), StoreError> {
        self.storage.create_dir(path).map_err(StoreError::write(path))
    }

    pub(super) fn sync_dir(&self, path: &Path) -> Result<(), StoreError> {
        self.storage.sync_dir(path).map_err(StoreError::write(path))
    }

    /// A new file with its bytes durable; its name is not yet.
    pub(super) fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<Box<dyn StorageFile>, StoreError> {
        let write = || {
            let mut file = self.storage.create(path)?;
            file.write_all(bytes)?;
            file.sync()?;
            Ok(file)
        };
        write().map_err(StoreError::write(path))
    }
}

impl NewRun {
    /// What can be signed before anybody sees it: its first record.
    pub fn statement(&self, time: jiff::Timestamp) -> Statement {
        Statement { run: self.id.clone(), record: self.first.seq, head: self.chain.head().to_owned(), time }
    }

    /// Keeps a signature beside the journal.
    pub fn keep_signature(&self, statement: &Statement, signature: &[u8]) -> Result<(), StoreError> {
        self.temporary.as_ref().map_or(Ok(()), |dir| self.store.put_signature(dir, statement, signature))
    }

    /// Gives it its name: from now on there is such a run.
    pub fn begin(mut self) -> Result<OpenRun, StoreError> {
        let (Some(temporary), Some((lock, file))) = (self.temporary.take(), self.made.take()) else {
            return Err(StoreError::Unfit("it has begun".into()));
        };
        let (store, target) = (self.store.clone(), self.store.run_dir(&self.id));
        if self.store.storage.exists(&temporary.join(SIGNATURES)) {
            self.store.sync_dir(&temporary)?;
        }
        let named = store.storage.rename(&temporary, &target).map_err(StoreError::write(&target)).and_then(|()| {
            store.sync_dir(&store.runs_dir()).inspect_err(|_| {
                // It has its name, and perhaps keeps it; as far as we can, a run that was refused is not there.
                let _ = store.storage.rename(&target, &temporary);
            })
        });
        if let Err(error) = named {
            let _ = store.storage.remove_tree(&temporary);
            return Err(error);
        }
        let journal = DiskJournal::new(Start {
            storage: Rc::clone(&store.storage),
            dir: target,
            file,
            chain: self.chain.clone(),
            seq: self.first.seq,
            bytes: self.bytes,
            closed: false,
            limits: store.limits,
            last_resort: Rc::clone(&store.last_resort),
        });
        Ok(OpenRun {
            id: self.id.clone(),
            journal: Rc::new(journal),
            records: vec![self.first.clone()],
            state: self.state.clone(),
            recovered: Vec::new(),
            store,
            lock,
            holder: self.holder.clone(),
            locks: Vec::new(),
        })
    }
}

impl Drop for NewRun {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // What is left under a temporary name is no run; clearing it up may fail as well.
            let _ = self.store.storage.remove_tree(&temporary);
        }
    }
}

impl OpenRun {
    pub fn dir(&self) -> PathBuf {
        self.store.run_dir(&self.id)
    }

    /// Keeps a plan, and the files of its runbook where they are others, beside what the run has followed so far. They
    /// count from the record on that names their digests. What a program left that died in between is written over.
    pub fn freeze(&self, number: u32, files: &[(String, Vec<u8>)], plan: &[u8]) -> Result<(), StoreError> {
        let (dir, storage) = (self.dir(), &self.store.storage);
        let folder = dir.join(runbook_folder(number));
        let file = dir.join(plan_file(number));
        if storage.exists(&folder) {
            storage.remove_tree(&folder).map_err(StoreError::write(&folder))?;
        }
        if storage.exists(&file) {
            storage.remove_file(&file).map_err(StoreError::write(&file))?;
        }
        if !files.is_empty() {
            self.store.create_dir(&folder)?;
            self.store.write_files(&folder, files)?;
        }
        self.store.write_file(&file, plan)?;
        self.store.sync_dir(&dir)
    }

    /// A run that is over is gone on with: what was noted of its end beside it does not hold any more, and what was
    /// removed with it is there again.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        let dir = self.dir();
        for name in ["out", "steps", "scratch"].map(|name| dir.join(name)) {
            if !self.store.storage.exists(&name) {
                self.store.create_dir(&name)?;
            }
        }
        self.store.sync_dir(&dir)?;
        self.holder.closed_head = None;
        self.lock.describe(&self.holder.to_json()).map_err(StoreError::write(&dir.join("run.lock")))
    }

    /// Takes named locks along until the run closes.
    pub fn hold(&mut self, locks: Vec<NamedLock>) {
        self.locks.extend(locks);
    }

    /// Ends what a run holds: where its end is on record, its named locks are given up, the head of its chain is noted
    /// beside it, and its scratch folder is removed. A run that is to be resumed keeps them.
    pub fn close(mut self) -> Result<(), StoreError> {
        if !self.journal.closed() {
            // Only spares the next one a second look: nobody holds it any more.
            let _ = self.lock.blank();
            return Ok(());
        }
        if self.locks.is_empty() && self.state.header.as_ref().is_some_and(|header| header.lock.is_some()) {
            self.store.give_up(&self.id)?;
        }
        for lock in self.locks.drain(..) {
            lock.release()?;
        }
        let dir = self.store.run_dir(&self.id);
        let head = Some(self.journal.head());
        if self.holder.closed_head != head {
            self.holder.closed_head = head;
            self.lock.describe(&self.holder.to_json()).map_err(StoreError::write(&dir.join("run.lock")))?;
        }
        let scratch = dir.join("scratch");
        if self.store.storage.exists(&scratch) {
            self.store.storage.remove_tree(&scratch).map_err(StoreError::write(&scratch))?;
        }
        Ok(())
    }
}

/// Refuses what would make a run that could never be verified or found.
fn fit<'a>(
    run: &RunId,
    first: &'a Record,
    files: &[(String, Vec<u8>)],
    plan: &[u8],
) -> Result<&'a RunStarted, StoreError> {
    let unfit = |why: String| Err(StoreError::Unfit(why));
    let Event::RunStarted(header) = &first.event else { return unfit("its first record is not run_started".into()) };
    if header.run != *run || first.seq != 1 {
        return unfit("its first record is that of another run, or is not record 1".into());
    }
    if header.digest != hex_sha256(plan) {
        return unfit("the digest of its first record is not that of plan.json".into());
    }
    for (name, _) in files {
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !plain || name.contains('\0') || name.ends_with('/') {
            return unfit(format!("`{name}` is no relative name of a file"));
        }
    }
    Ok(header)
}

/// The digests of the frozen files as the first line of a journal has them.
pub(super) fn frozen_digests(journal: &[u8]) -> Vec<(String, String)> {
    let first = journal.split(|b| *b == b'\n').next().unwrap_or_default();
    let line: Json = serde_json::from_slice(first).unwrap_or_default();
    let Some(Json::Object(files)) = line.get(FILES_MEMBER) else { return Vec::new() };
    named(files)
}

/// The digests of the frozen files of one plan, as its record has them.
pub(super) fn digests_of(journal: &[u8], state: &RunState, number: u32) -> Vec<(String, String)> {
    match state.plans.iter().find(|plan| plan.number == number) {
        None => frozen_digests(journal),
        Some(plan) => named(&plan.runbook_files),
    }
}

fn named(files: &Map<String, Json>) -> Vec<(String, String)> {
    files.iter().filter_map(|(name, digest)| Some((name.clone(), digest.as_str()?.to_owned()))).collect()
}
