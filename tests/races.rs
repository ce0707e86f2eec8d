//! Many who want one lock, at the store itself: one has it, the others are told who; and no crash gives it to two.

use std::{
    path::Path,
    rc::Rc,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use runsheet::{
    event::{Event, Outcome, Record, RunId, RunStarted},
    journal::{Cut, DiskStorage, MemoryStorage, NamedLock, OpenRun, Refusal, RunStore, StoreError, Who, hex_sha256},
    port::{Journal, Storage},
};

const PLAN: &[u8] = b"{}";
const CONTENDERS: usize = 5;
const GROUPS: usize = 12;
const RACES: usize = 90;

fn who(name: &str) -> Who {
    Who { operator: name.into(), host: "desk".into(), since: "2026-11-20T20:13:04Z".parse().unwrap() }
}

/// A run of its own for every number.
fn id(number: usize) -> RunId {
    RunId::parse(&format!("20261120-{:06}-aaaaaa", number)).unwrap()
}

fn record(seq: u64, event: Event) -> Record {
    Record { seq, time: "2026-11-20T20:13:04.123456Z".parse().unwrap(), elapsed_ms: seq, event }
}

fn create(store: &RunStore, run: &RunId) -> Result<OpenRun, StoreError> {
    let header = RunStarted {
        journal: 1,
        format: 1,
        run: run.clone(),
        runbook: "book".into(),
        origin: "built-in".into(),
        digest: hex_sha256(PLAN),
        params: Default::default(),
        param_sources: Default::default(),
        secrets: Default::default(),
        tool_version: "0.1.0".into(),
        operator: "ada".into(),
        host: "desk".into(),
        cwd: "/".into(),
        attended: false,
        profile: None,
        lock: Some("one".into()),
        files: Default::default(),
    };
    store.create(run, &record(1, Event::RunStarted(Box::new(header))), &[("book.yaml".into(), b"x".to_vec())], PLAN)
}

fn append(open: &mut OpenRun, event: Event) -> Result<(), String> {
    let record = record(open.state.last_seq + 1, event);
    open.state.apply(&record).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(open.journal.append(&record)).map_err(|error| error.to_string())
}

fn end() -> Event {
    Event::RunFinished { outcome: Outcome::Succeeded, code: 0, reason: None }
}

fn pause() -> Event {
    Event::RunPaused { reason: "lunch".into() }
}

/// How a holder lets go, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// Its run was never made; it gives the lock up.
    Released,
    /// Killed before its run was there.
    Unborn,
    /// Its run is over; killed before it gave anything up.
    Over,
    /// Its run closes as it should.
    Closed,
}

const ENDINGS: [Ending; 4] = [Ending::Released, Ending::Unborn, Ending::Over, Ending::Closed];

fn ending(race: usize, group: usize) -> Ending {
    ENDINGS[(race / 3 + group) % 4]
}

/// The others wait at a barrier for whoever failed: the test fails at once instead, its words are told by then.
struct NobodyWaits;

impl Drop for NobodyWaits {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(101);
        }
    }
}

struct Held {
    run: RunId,
    store: RunStore,
    locks: Vec<NamedLock>,
    ending: Ending,
}

impl Held {
    /// Leaves the race; `inside` counts those who may think that the lock is theirs.
    fn end(self, inside: &AtomicUsize) {
        let open = matches!(self.ending, Ending::Over | Ending::Closed).then(|| {
            let mut open = create(&self.store, &self.run).unwrap();
            append(&mut open, end()).unwrap();
            open
        });
        assert_eq!(inside.fetch_sub(1, SeqCst), 1, "two held it at once");
        match (self.ending, open) {
            (Ending::Released, _) => self.locks.into_iter().for_each(|lock| lock.release().unwrap()),
            (Ending::Closed, Some(mut open)) => {
                open.hold(self.locks);
                open.close().unwrap();
            }
            _ => drop(self.locks),
        }
    }
}

fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Locked(refusal) => *refusal,
        error => panic!("could not {error}"),
    }
}

/// One lock, and its contenders in one race after another. Those of a second kind begin while the last holder lets go.
fn group(state: &Path, group: usize, counted: &AtomicUsize, refused: &AtomicUsize) {
    let barrier = Barrier::new(CONTENDERS);
    let inside = AtomicUsize::new(0);
    // The winners of the race that is on, and all those of the ones before that may still be named in it.
    let winners: Mutex<Vec<RunId>> = Mutex::default();
    let last: Mutex<Option<(RunId, Ending)>> = Mutex::default();
    std::thread::scope(|scope| {
        for contender in 0..CONTENDERS {
            let (barrier, inside, winners, last) = (&barrier, &inside, &winners, &last);
            scope.spawn(move || {
                let _ends = NobodyWaits;
                let store = RunStore::new(Rc::new(DiskStorage), state);
                let name = format!("lock {group}");
                let mut held: Option<Held> = None;
                for race in 0..RACES {
                    let run = id((group * RACES + race) * CONTENDERS + contender);
                    let overlapping = race % 3 == 2;
                    if !overlapping && let Some(held) = held.take() {
                        held.end(inside);
                    }
                    barrier.wait();
                    // Here the holder of the race before lets go at the same moment.
                    let outcome = match held.take() {
                        Some(held) => {
                            held.end(inside);
                            None
                        }
                        None => Some(store.acquire(std::slice::from_ref(&name), &run, "book", &who("ada"))),
                    };
                    let mut told = None;
                    match outcome {
                        Some(Ok(locks)) => {
                            assert_eq!(inside.fetch_add(1, SeqCst), 0, "{group}/{race}: two hold it at once");
                            winners.lock().unwrap().push(run.clone());
                            held = Some(Held { run, store: store.clone(), locks, ending: ending(race, group) });
                        }
                        Some(Err(error)) => told = Some(refusal(error)),
                        None => {}
                    }
                    // Nobody lets go before everybody has tried.
                    barrier.wait();
                    let won = winners.lock().unwrap().clone();
                    // Who died at it is still named until the next has said who it is. (Another process is seen to be
                    // gone; here all are one.)
                    let mut before = last.lock().unwrap().clone();
                    before.take_if(|(_, ending)| !overlapping && matches!(ending, Ending::Released | Ending::Closed));
                    assert!(won.len() == 1 || overlapping && won.is_empty(), "{group}/{race}: {won:?}");
                    if let Some(told) = told {
                        refused.fetch_add(1, SeqCst);
                        let text = told.to_string();
                        assert!(told.live && told.stuck.is_none(), "{group}/{race}: {text}");
                        let holder = told.holder.unwrap_or_else(|| panic!("{group}/{race}: nobody is named: {text}"));
                        let possible = won.iter().chain(before.as_ref().map(|(run, _)| run));
                        assert!(
                            possible.clone().any(|run| *run == holder.run),
                            "{group}/{race}: {holder:?}, not {won:?}"
                        );
                        for word in
                            [holder.run.as_str(), "(book)", "ada", "desk", "2026-11-20T20:13:04Z", "wait for it"]
                        {
                            assert!(text.contains(word), "{group}/{race}: no {word} in {text}");
                        }
                        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
                    }
                    if barrier.wait().is_leader() {
                        counted.fetch_add(1, SeqCst);
                        *last.lock().unwrap() = won.first().map(|run| (run.clone(), ending(race, group)));
                        winners.lock().unwrap().clear();
                    }
                    barrier.wait();
                }
            });
        }
    });
}

#[test]
fn a_thousand_races_for_a_named_lock_have_one_winner_each() {
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("state");
    let (counted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..GROUPS {
            let (state, counted, refused) = (&state, &counted, &refused);
            scope.spawn(move || group(state, number, counted, refused));
        }
    });
    let (races, refused) = (counted.into_inner(), refused.into_inner());
    println!("{races} races of {CONTENDERS}, {refused} refusals, each with the name of its holder");
    assert!(races >= 1000, "only {races} races");
    assert!(refused >= 3 * races, "only {refused} refusals");
}

/// Resumes of one run, with programs that list runs in between: a look must not keep anybody out.
#[test]
fn races_for_a_run_have_one_winner_each() {
    const RACES: usize = 40;
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("state");
    let store = RunStore::new(Rc::new(DiskStorage), &state);
    let mut open = create(&store, &id(0)).unwrap();
    append(&mut open, pause()).unwrap();
    open.close().unwrap();
    let barrier = Barrier::new(CONTENDERS + 1);
    let wins = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for contender in 0..CONTENDERS {
            let (barrier, wins, state) = (&barrier, &wins, &state);
            scope.spawn(move || {
                let _ends = NobodyWaits;
                let store = RunStore::new(Rc::new(DiskStorage), state);
                for race in 0..RACES {
                    barrier.wait();
                    let name = format!("operator-{contender}-{race}");
                    let opened = store.open(&id(0), &who(&name));
                    let told = match opened {
                        Ok(mut open) => {
                            wins.fetch_add(1, SeqCst);
                            barrier.wait();
                            append(&mut open, pause()).unwrap();
                            match race % 2 {
                                0 => open.close().unwrap(),
                                _ => drop(open),
                            }
                            None
                        }
                        Err(error) => {
                            barrier.wait();
                            Some(refusal(error))
                        }
                    };
                    if let Some(told) = told {
                        let holder = told.holder.clone().unwrap_or_else(|| panic!("{race}: {told}"));
                        assert!(holder.who.ends_with(&format!("-{race}")), "{race}: {told}");
                    }
                    barrier.wait();
                }
            });
        }
        let _ends = NobodyWaits;
        for race in 0..RACES {
            barrier.wait();
            for _ in 0..20 {
                let listed = store.list().unwrap();
                assert_eq!(listed.len(), 1);
            }
            barrier.wait();
            assert_eq!(wins.swap(0, SeqCst), 1, "race {race}");
            barrier.wait();
        }
    });
}

fn names() -> Vec<String> {
    vec!["one".into(), "two".into()]
}

fn on(disk: &MemoryStorage) -> RunStore {
    RunStore::new(Rc::new(disk.clone()), "/state").with_last_resort(Rc::new(|_| ()))
}

/// A run with two locks, to its end or to a pause.
fn life(store: &RunStore, last: Event) -> Result<(), String> {
    let locks = store.acquire(&names(), &id(1), "book", &who("ada")).map_err(|error| error.to_string())?;
    let mut open = create(store, &id(1)).map_err(|error| error.to_string())?;
    open.hold(locks);
    append(&mut open, last)?;
    open.close().map_err(|error| error.to_string())
}

/// Nothing holds anything any more. Whoever comes takes both locks, unless a run is there that is not over; that one
/// is named, takes its locks up again, and gives them up at its end.
fn next(disk: &MemoryStorage, number: usize, why: &str) {
    let store = on(disk);
    let waits = |run: &RunId| match store.read(run) {
        Ok(read) => !read.state.finished.is_some_and(|(outcome, _)| outcome.closes()),
        Err(StoreError::NoSuchRun(_)) => false,
        Err(error) => panic!("{why}: could not {error}"),
    };
    let (first, second) = (id(1), id(number));
    let waiting = waits(&first);
    match store.acquire(&names(), &second, "book", &who("bob")) {
        Ok(locks) => {
            assert!(!waiting, "{why}: run 1 waits to be resumed, and its locks were given away");
            // While these are held, run 1 cannot have them.
            assert!(store.acquire(&names(), &first, "book", &who("ada")).is_err(), "{why}");
            locks.into_iter().for_each(|lock| lock.release().unwrap());
        }
        Err(error) => {
            let told = refusal(error);
            let text = told.to_string();
            assert!(waiting, "{why}: nobody needs it, and it was refused: {text}");
            assert!(
                !told.live && told.stuck.is_none() && text.ends_with(&format!("runsheet resume {first}")),
                "{text}"
            );
            let mut open = store.open(&first, &who("ada")).unwrap();
            open.hold(store.acquire(&names(), &first, "book", &who("ada")).unwrap());
            assert!(store.acquire(&names(), &second, "book", &who("bob")).is_err(), "{why}");
            append(&mut open, end()).unwrap();
            open.close().unwrap();
            let locks = store.acquire(&names(), &second, "book", &who("bob")).unwrap();
            locks.into_iter().for_each(|lock| lock.release().unwrap());
        }
    }
}

#[test]
fn a_power_cut_at_any_change_gives_a_lock_to_nobody_twice_and_keeps_it_from_nobody() {
    let mut points = 0;
    for last in [end(), pause()] {
        let whole = MemoryStorage::new();
        life(&on(&whole), last.clone()).unwrap();
        for change in 0..=whole.changes() {
            let disk = MemoryStorage::new();
            disk.halt_at(change);
            // What stands in a lock file is blanked at the end without being asked for.
            let _ = life(&on(&disk), last.clone());
            assert_eq!(disk.halted(), change < whole.changes());
            for cut in [Cut::Drop, Cut::Keep, Cut::Torn { seed: change }, Cut::Holes { seed: change }] {
                let disk = disk.fork();
                disk.power_cut(cut);
                next(&disk.fork(), 2, &format!("{cut:?} at change {change}"));
                // The next taker dies as well, at each of its changes.
                let tried = disk.fork();
                let before = tried.changes();
                let taken = on(&tried).acquire(&names(), &id(2), "book", &who("bob")).map(|locks| {
                    locks.into_iter().for_each(|lock| lock.release().unwrap());
                });
                drop(taken);
                for second in 0..tried.changes() - before {
                    let disk = disk.fork();
                    disk.halt_at(second);
                    if let Ok(locks) = on(&disk).acquire(&names(), &id(2), "book", &who("bob")) {
                        locks.into_iter().for_each(|lock| drop(lock.release()));
                    }
                    disk.power_cut(Cut::Torn { seed: change ^ second });
                    next(&disk, 3, &format!("{cut:?} at change {change}, then at {second}"));
                    points += 1;
                }
                points += 1;
            }
        }
    }
    println!("{points} power cuts");
    assert!(points > 1000, "only {points}");
}

/// A run whose record is broken can never be resumed: a person is told how its lock is freed.
#[test]
fn a_lock_whose_run_is_lost_tells_how_it_is_freed() {
    type Spoil = (&'static str, fn(&mut Vec<u8>));
    let spoil: [Spoil; 4] = [
        ("runs/20261120-000001-aaaaaa/journal.jsonl", |bytes| bytes[10] ^= 1),
        ("runs/20261120-000001-aaaaaa/plan.json", |bytes| bytes.push(b' ')),
        ("runs/20261120-000001-aaaaaa/runbook/book.yaml", Vec::clear),
        ("locks/OWNER", |bytes| bytes.truncate(20)),
    ];
    for (name, change) in spoil {
        let disk = MemoryStorage::new();
        let store = on(&disk);
        life(&store, pause()).unwrap();
        let owner = format!("/state/locks/{}.owner", hex_sha256(b"one"));
        let name = format!("/state/{}", name.replace("OWNER", &format!("{}.owner", hex_sha256(b"one"))));
        disk.edit(Path::new(&name), change).unwrap();
        let told = refusal(store.acquire(&["one".into()], &id(2), "book", &who("bob")).err().unwrap());
        let text = told.to_string();
        assert!(
            !told.live && text.contains("cannot be resumed: ") && text.ends_with(&format!("rm '{owner}'")),
            "{text}"
        );
        disk.remove_file(Path::new(&owner)).unwrap();
        store.acquire(&["one".into()], &id(2), "book", &who("bob")).unwrap();
    }
    // One that was taken away by hand keeps nothing.
    let disk = MemoryStorage::new();
    life(&on(&disk), pause()).unwrap();
    disk.remove_tree(Path::new("/state/runs/20261120-000001-aaaaaa")).unwrap();
    on(&disk).acquire(&names(), &id(2), "book", &who("bob")).unwrap();
}

#[test]
fn where_locks_do_not_hold_nothing_is_made_and_what_is_there_can_be_read() {
    let disk = MemoryStorage::new();
    let store = on(&disk);
    life(&store, pause()).unwrap();
    let fresh = MemoryStorage::new();
    for (disk, there) in [(&disk, true), (&fresh, false)] {
        disk.share("it is on NFS, whose server loses locks");
        let changes = disk.changes();
        let refused: [Option<StoreError>; 3] = [
            on(disk).acquire(&["other".into()], &id(2), "book", &who("bob")).err(),
            create(&on(disk), &id(2)).err(),
            on(disk).open(&id(1), &who("ada")).err().filter(|_| there),
        ];
        for error in refused.into_iter().flatten() {
            let text = error.to_string();
            assert!(matches!(error, StoreError::NoLocks { .. }), "{text}");
            assert_eq!(text, "keep runs in /state: it is on NFS, whose server loses locks");
        }
        assert_eq!(disk.changes(), changes, "nothing was changed");
        assert_eq!(on(disk).list().unwrap().len(), usize::from(there));
    }
    assert!(store.read(&id(1)).is_ok());
}
