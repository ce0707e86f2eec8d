//! Runs on a simulated disk: killed everywhere, edited everywhere, locked, listed and verified.

use std::{future::Future, path::Path, rc::Rc};

use runsheet::{
    event::{Effect, Event, Outcome, Record, RunId, RunStarted, StepId, StepStatus},
    journal::{
        Anchor, Cut, DiskStorage, Fault, MemoryStorage, Op, OpenRun, OutputLimits, RunStore, Standing, StoreError, TAG,
        Who, default_state_dir, hex_sha256, verify,
    },
    port::{Journal, JournalError, Storage},
};

const PLAN: &[u8] = b"{\"plan\":true}";

fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

fn id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

fn run_id() -> RunId {
    id("20261120-201304-k7f3qa")
}

fn who() -> Who {
    Who { operator: "ada".into(), host: "desk".into(), since: "2026-11-20T20:13:04Z".parse().unwrap() }
}

fn record(seq: u64, event: Event) -> Record {
    let start: jiff::Timestamp = "2026-11-20T20:13:04.123456Z".parse().unwrap();
    Record { seq, time: start + jiff::SignedDuration::from_millis(seq as i64), elapsed_ms: seq, event }
}

fn started(run: &RunId) -> Record {
    let header = RunStarted {
        journal: 1,
        format: 1,
        run: run.clone(),
        runbook: "balrog/rollback".into(),
        origin: "built-in".into(),
        digest: hex_sha256(PLAN),
        params: serde_json::from_str(r#"{"version":"v3.20","list":[1,2.5,null]}"#).unwrap(),
        param_sources: Default::default(),
        secrets: Default::default(),
        tool_version: "0.1.0".into(),
        operator: "ada".into(),
        host: "desk".into(),
        cwd: "/home/ada".into(),
        attended: true,
        profile: None,
        lock: Some("balrog".into()),
        files: Default::default(),
    };
    record(1, Event::RunStarted(Box::new(header)))
}

fn files() -> Vec<(String, Vec<u8>)> {
    vec![("balrog/rollback.yaml".into(), b"title: Roll back\n".to_vec()), ("lib/a.yaml".into(), b"title: A\n".to_vec())]
}

fn step_started(seq: u64, step: &str, attempt: u32) -> Record {
    record(
        seq,
        Event::StepStarted {
            step: StepId::new(step),
            attempt,
            kind: "shell".into(),
            effect: Effect::Change,
            idempotent: false,
            title: None,
        },
    )
}

fn step_finished(seq: u64, step: &str, attempt: u32, output: Option<String>) -> Record {
    record(
        seq,
        Event::StepFinished {
            step: StepId::new(step),
            attempt,
            status: StepStatus::Succeeded,
            exit: Some(0),
            signal: None,
            http_status: None,
            duration_ms: 5,
            output_sha256: output,
            output_bytes: 0,
            captures: serde_json::from_str(r#"{"sha":"añb\n"}"#).unwrap(),
            withheld: Vec::new(),
            error: None,
            interrupted: false,
            gave_up: None,
            no_effect: false,
            output_lost: false,
            notes: Vec::new(),
            left_running: Vec::new(),
        },
    )
}

fn finished(seq: u64) -> Record {
    record(seq, Event::RunFinished { outcome: Outcome::Succeeded, code: 0, reason: None })
}

fn memory() -> (MemoryStorage, RunStore) {
    let disk = MemoryStorage::new();
    let store = store_on(&disk);
    (disk, store)
}

fn store_on(disk: &MemoryStorage) -> RunStore {
    RunStore::new(Rc::new(disk.clone()), "/state/runsheet")
        .with_limits(OutputLimits { whole: 1000, tail: 100 })
        .with_last_resort(Rc::new(|_| ()))
}

fn create(store: &RunStore, run: &RunId) -> OpenRun {
    store.create(run, &started(run), &files(), PLAN).unwrap()
}

/// A whole small run; what was promised on the way is in `acknowledged`, even if it dies.
fn script(store: &RunStore, acknowledged: &mut Vec<Record>) -> Result<(), String> {
    let run = run_id();
    let first = started(&run);
    let open = store.create(&run, &first, &files(), PLAN).map_err(|e| e.to_string())?;
    acknowledged.push(first);
    let journal = Rc::clone(&open.journal);
    let mut append = |record: Record| -> Result<(), String> {
        wait(journal.append(&record)).map_err(|e| e.to_string())?;
        acknowledged.push(record);
        Ok(())
    };
    append(step_started(2, "build", 1))?;
    let mut log = journal.output(&StepId::new("build"), 1).map_err(|e| e.to_string())?;
    log.write(b"first part\n").map_err(|e| e.to_string())?;
    let part = log.commit().map_err(|e| e.to_string())?;
    append(record(
        3,
        Event::OutputCommit {
            step: StepId::new("build"),
            attempt: 1,
            bytes: part.bytes,
            sha256: part.sha256.unwrap_or_default(),
        },
    ))?;
    log.write("second ".repeat(150).as_bytes()).map_err(|e| e.to_string())?;
    let all = log.commit().map_err(|e| e.to_string())?;
    append(step_finished(4, "build", 1, all.sha256))?;
    append(step_started(5, "quiet", 1))?;
    // Longer than a sector, so that a power cut can leave holes in it.
    append(record(
        6,
        Event::EffectIntended {
            step: StepId::new("quiet"),
            attempt: 1,
            number: 1,
            effect: Effect::Change,
            detail: "echo ".repeat(300),
        },
    ))?;
    append(step_finished(7, "quiet", 1, None))?;
    append(finished(8))?;
    open.close().map_err(|e| e.to_string())
}

fn cuts() -> Vec<Cut> {
    let mut cuts = vec![Cut::Drop, Cut::Keep];
    for seed in 0..4 {
        cuts.push(Cut::Torn { seed });
        cuts.push(Cut::Holes { seed });
    }
    cuts
}

/// Whatever the crash left must open, hold all that was promised, go on to its end and verify.
fn goes_on(disk: &MemoryStorage, acknowledged: &[Record], all: &[Record], why: &str) {
    let store = store_on(disk);
    let mut open = match store.open(&run_id(), &who()) {
        Ok(open) => open,
        Err(StoreError::NoSuchRun(_)) if acknowledged.is_empty() => return,
        Err(error) => panic!("{why}: could not {error}"),
    };
    let told: Vec<&Record> =
        open.records.iter().filter(|record| !matches!(record.event, Event::Recovered { .. })).collect();
    assert!(told.len() >= acknowledged.len(), "{why}: {} of {}", told.len(), acknowledged.len());
    assert_eq!(told, all.iter().take(open.records.len()).collect::<Vec<_>>(), "{why}");
    if !open.journal.closed() {
        let mut seq = open.state.last_seq;
        let mut add = |event: Event| {
            seq += 1;
            let record = record(seq, event);
            open.state.apply(&record).unwrap();
            wait(open.journal.append(&record)).unwrap_or_else(|error| panic!("{why}: {error}"));
        };
        for event in std::mem::take(&mut open.recovered) {
            add(event);
        }
        add(Event::RunResumed {
            by: "ada".into(),
            host: "desk".into(),
            tool_version: "0.1.0".into(),
            attended: false,
            undo: false,
        });
        add(Event::RunFinished { outcome: Outcome::Failed, code: 1, reason: None });
    }
    open.close().unwrap_or_else(|error| panic!("{why}: {error}"));
    let report = verify(&store, &run_id(), None).unwrap();
    assert!(report.ok(), "{why}: {:#?}", report.lines());
    assert!(report.closed.is_some());
}

#[test]
fn a_run_survives_a_power_cut_at_every_change_and_in_its_recovery() {
    let (whole, store) = memory();
    let mut all = Vec::new();
    script(&store, &mut all).unwrap();
    let changes = whole.changes();
    assert!(changes > 40 && all.len() == 8);
    for change in 0..=changes {
        let disk = MemoryStorage::new();
        disk.halt_at(change);
        let mut acknowledged = Vec::new();
        let died = script(&store_on(&disk), &mut acknowledged).is_err();
        assert_eq!(died, change < changes);
        let killed = disk.fork();
        killed.kill();
        goes_on(&killed, &acknowledged, &all, &format!("killed at change {change}"));
        for cut in cuts() {
            let disk = disk.fork();
            disk.power_cut(cut);
            let why = format!("{cut:?} at change {change}");
            // The recovery itself dies at each of its changes, and the next one must still come to the same end.
            let whole = disk.fork();
            let before = whole.changes();
            drop(store_on(&whole).open(&run_id(), &who()));
            for second in 0..whole.changes() - before {
                let disk = disk.fork();
                disk.halt_at(second);
                assert!(store_on(&disk).open(&run_id(), &who()).is_err(), "{why}");
                disk.power_cut(Cut::Torn { seed: change ^ second });
                goes_on(&disk, &acknowledged, &all, &format!("{why}, recovery cut at {second}"));
            }
            goes_on(&disk, &acknowledged, &all, &why);
        }
    }
}

/// Steps that run side by side share a write; a power cut may keep its end and lose a sector before it.
#[test]
fn a_hole_before_whole_lines_of_one_write_is_torn_and_any_other_is_bad() {
    for (steps, torn) in [(["a", "b", "c"], true), (["a", "b", "b"], false)] {
        let (disk, store) = memory();
        let open = create(&store, &run_id());
        let path = open.dir().join("journal.jsonl");
        let good = disk.read(&path).unwrap();
        let events = steps.iter().zip(2..).map(|(step, seq)| {
            record(
                seq,
                Event::StepDeferred {
                    step: StepId::new(*step),
                    waiting_on: vec!["x".into()],
                    detail: "long ".repeat(400),
                },
            )
        });
        for event in events {
            wait(open.journal.append(&event)).unwrap();
        }
        drop(open);
        let all = disk.read(&path).unwrap();
        let sector = good.len().next_multiple_of(512);
        disk.edit(&path, |file| file[sector..sector + 512].fill(0)).unwrap();
        let opened = store.open(&run_id(), &who());
        if torn {
            let open = opened.unwrap();
            assert_eq!(disk.read(&path).unwrap(), good);
            assert_eq!(disk.read(&open.dir().join("journal.torn.1")).unwrap().len(), all.len() - good.len());
            assert_eq!(open.recovered.len(), 1);
        } else {
            let refused = opened.err().unwrap().to_string();
            assert!(refused.contains("line 2"), "{refused}");
        }
    }
}

#[test]
fn a_torn_end_is_set_aside_once_and_told_until_it_is_on_record() {
    let (disk, store) = memory();
    let open = create(&store, &run_id());
    let path = open.dir().join("journal.jsonl");
    drop(open);
    let good = disk.read(&path).unwrap();
    disk.edit(&path, |file| file.extend_from_slice(b"{\"seq\":2,\"ti")).unwrap();
    assert_eq!(store.read(&run_id()).unwrap().torn_bytes, 12);
    let report = verify(&store, &run_id(), None).unwrap();
    assert!(report.ok() && report.unproven[0].contains("line 2 is torn (12 bytes)"), "{:?}", report.unproven);
    let recovered = |torn: &[u8], name: &str| Event::Recovered {
        cut_bytes: torn.len() as u64,
        saved_as: name.into(),
        sha256: Some(hex_sha256(torn)),
    };
    let first = recovered(b"{\"seq\":2,\"ti", "journal.torn.1");
    // Whoever opens it and dies before its record is durable leaves it to the next.
    for _ in 0..2 {
        let open = store.open(&run_id(), &who()).unwrap();
        assert_eq!(open.recovered, std::slice::from_ref(&first));
        assert_eq!(disk.read(&path).unwrap(), good);
        assert_eq!(disk.read(&open.dir().join("journal.torn.1")).unwrap(), b"{\"seq\":2,\"ti");
    }
    let open = store.open(&run_id(), &who()).unwrap();
    wait(open.journal.append(&record(2, first))).unwrap();
    drop(open);
    disk.edit(&path, |file| file.extend_from_slice(b"{\"seq\":3")).unwrap();
    let open = store.open(&run_id(), &who()).unwrap();
    assert_eq!(open.recovered, [recovered(b"{\"seq\":3", "journal.torn.2")]);
    assert!(verify(&store, &run_id(), None).unwrap().ok());
    disk.edit(&store.run_dir(&run_id()).join("journal.torn.1"), Vec::clear).unwrap();
    assert!(!verify(&store, &run_id(), None).unwrap().ok());
}

#[test]
fn an_append_that_failed_is_in_the_reserve_and_comes_back() {
    for fault in [
        Fault::on(Op::Write, Fault::ENOSPC).path("journal.jsonl"),
        Fault::on(Op::Write, Fault::ENOSPC).path("journal.jsonl").keeping(30),
        Fault::on(Op::Sync, Fault::EIO).path("journal.jsonl"),
    ] {
        for cut in [None, Some(Cut::Drop), Some(Cut::Keep), Some(Cut::Torn { seed: 3 })] {
            let (disk, store) = memory();
            let open = create(&store, &run_id());
            wait(open.journal.append(&step_started(2, "a", 1))).unwrap();
            disk.inject(fault.clone());
            let why = wait(open.journal.append(&step_finished(3, "a", 1, None))).unwrap_err();
            // The disk is well again, and nothing is tried again.
            let changes = disk.changes();
            let again = wait(open.journal.append(&step_started(4, "b", 1))).unwrap_err();
            assert_eq!(why.to_string(), again.to_string());
            assert!(open.journal.output(&StepId::new("b"), 1).is_err());
            assert!(
                disk.trace()
                    .iter()
                    .rev()
                    .take((disk.changes() - changes) as usize)
                    .all(|(_, p)| p.ends_with("reserve"))
            );
            drop(open);
            match cut {
                Some(cut) => disk.power_cut(cut),
                None => disk.kill(),
            }
            let open = store_on(&disk).open(&run_id(), &who()).unwrap();
            assert_eq!(open.records.len(), 4, "{cut:?}");
            assert_eq!(open.recovered, []);
            wait(open.journal.append(&step_finished(5, "b", 1, None))).unwrap();
            drop(open);
            let open = store_on(&disk).open(&run_id(), &who()).unwrap();
            assert_eq!(open.records.len(), 5);
        }
    }
}

#[test]
fn where_the_reserve_fails_too_the_record_goes_to_the_last_resort() {
    let disk = MemoryStorage::new();
    let said = Rc::new(std::cell::RefCell::new(Vec::new()));
    let hear = Rc::clone(&said);
    let store = store_on(&disk).with_last_resort(Rc::new(move |line| hear.borrow_mut().push(line.to_owned())));
    let open = create(&store, &run_id());
    wait(open.journal.append(&step_started(2, "a", 1))).unwrap();
    disk.inject(Fault::on(Op::Sync, Fault::EIO).forever());
    wait(open.journal.append(&step_finished(3, "a", 1, None))).unwrap_err();
    let said = said.borrow();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("\"seq\":3") && said[0].contains("a\\u00f1b\\n"), "{}", said[0]);
    drop(open);
    // What the failed sync left is only in memory: it is read, written anew by recovery, and then survives.
    disk.heal();
    disk.kill();
    let open = store.open(&run_id(), &who()).unwrap();
    assert_eq!(open.records.len(), 3);
    drop(open);
    disk.power_cut(Cut::Drop);
    assert_eq!(store.read(&run_id()).unwrap().records.len(), 3);
}

/// The last record is on the disk only once a resume has put it there, whatever can be read before that.
#[test]
fn an_end_that_could_not_be_written_is_made_durable_before_it_is_relied_on() {
    let faults: [&[Fault]; 4] = [
        &[Fault::on(Op::Write, Fault::ENOSPC).path("journal.jsonl")],
        &[Fault::on(Op::Write, Fault::ENOSPC).path("journal.jsonl").keeping(50)],
        &[Fault::on(Op::Sync, Fault::EIO).path("journal.jsonl")],
        &[Fault::on(Op::Sync, Fault::EIO).forever()],
    ];
    for faults in faults {
        for cut in cuts() {
            let (disk, store) = memory();
            let mut open = create(&store, &run_id());
            open.hold(store.acquire(&["one".into()], &run_id(), "book", &who()).unwrap());
            wait(open.journal.append(&step_started(2, "a", 1))).unwrap();
            wait(open.journal.append(&step_finished(3, "a", 1, None))).unwrap();
            faults.iter().for_each(|fault| disk.inject(fault.clone()));
            wait(open.journal.append(&finished(4))).unwrap_err();
            assert!(!open.journal.closed());
            let _ = open.close();
            disk.heal();
            disk.kill();
            // A resume that finds the end; then the power goes.
            let open = store.open(&run_id(), &who()).unwrap();
            let found = open.journal.closed();
            assert!(found, "{faults:?}: the end is in the reserve, or still in memory");
            open.close().unwrap();
            assert_eq!(store.list().unwrap()[0].outcome, Standing::Ended(Outcome::Succeeded), "{faults:?}");
            disk.power_cut(cut);
            let open = store.open(&run_id(), &who()).unwrap_or_else(|error| panic!("{faults:?} {cut:?}: {error}"));
            assert!(open.journal.closed(), "{faults:?} {cut:?}: it was over");
            drop(open);
            assert!(verify(&store, &run_id(), None).unwrap().ok());
            store.acquire(&["one".into()], &id("20261120-201305-aaaaaa"), "book", &who()).unwrap();
        }
    }
}

/// At each of its operations, with each error, once and for good: no run, or all of one, and the next start is free.
#[test]
fn a_run_that_could_not_be_made_is_not_there_whatever_failed() {
    let make = |store: &RunStore, run: &RunId| {
        let locks = store.acquire(&["one".into()], run, "book", &who())?;
        let mut open = store.create(run, &started(run), &files(), PLAN)?;
        open.hold(locks);
        Ok::<OpenRun, StoreError>(open)
    };
    let (whole, store) = memory();
    make(&store, &run_id()).unwrap();
    let trace = whole.trace();
    assert!(trace.len() > 40, "{}", trace.len());
    let (mut refused, mut made) = (0, 0);
    for (at, (op, path)) in trace.iter().enumerate() {
        let nth = trace[..=at].iter().filter(|(o, p)| o == op && p == path).count() as u64;
        for errno in [Fault::ENOSPC, Fault::EIO, 30] {
            for forever in [false, true] {
                let (disk, store) = memory();
                let fault = Fault::on(*op, errno).path(path.to_str().unwrap()).nth(nth);
                disk.inject(if forever { fault.forever() } else { fault });
                let why = format!("{op:?} {} {nth} {errno} {forever}", path.display());
                match make(&store, &run_id()) {
                    Ok(open) => {
                        made += 1;
                        assert_eq!(*op, Op::Append, "{why}: only the reserve may be missing");
                        drop(open);
                        assert!(verify(&store, &run_id(), None).unwrap().ok(), "{why}");
                        continue;
                    }
                    Err(StoreError::Write { .. } | StoreError::Read { .. }) => refused += 1,
                    Err(error) => panic!("{why}: {error}"),
                }
                disk.heal();
                disk.kill();
                assert_eq!(store.list().unwrap(), [], "{why}");
                make(&store, &id("20261120-201305-aaaaaa")).unwrap_or_else(|error| panic!("{why}: {error}"));
            }
        }
    }
    println!("{refused} refusals, {made} runs");
    assert!(refused > 240, "{refused}");
}

#[test]
fn an_output_that_cannot_be_written_poisons_the_journal() {
    let (disk, store) = memory();
    let open = create(&store, &run_id());
    wait(open.journal.append(&step_started(2, "a", 1))).unwrap();
    let mut log = open.journal.output(&StepId::new("a"), 1).unwrap();
    log.write(b"x").unwrap();
    disk.inject(Fault::on(Op::Write, Fault::ENOSPC).path("a.1.log"));
    let JournalError(why) = log.commit().unwrap_err();
    assert!(why.contains("a.1.log"), "{why}");
    assert!(wait(open.journal.append(&step_finished(3, "a", 1, None))).unwrap_err().to_string().contains("a.1.log"));
    drop((log, open));
    assert_eq!(store.open(&run_id(), &who()).unwrap().records.len(), 3, "the end came back out of the reserve");
}

#[test]
fn a_run_that_could_not_be_made_is_not_there() {
    for fault in [
        Fault::on(Op::SyncDir, Fault::EIO).path("/runs").nth(1),
        Fault::on(Op::Rename, Fault::EIO),
        Fault::on(Op::Preallocate, Fault::ENOSPC),
        Fault::on(Op::Sync, Fault::EIO).path("journal.jsonl"),
    ] {
        let (disk, store) = memory();
        disk.inject(fault);
        assert!(matches!(store.create(&run_id(), &started(&run_id()), &files(), PLAN), Err(StoreError::Write { .. })));
        assert_eq!(store.list().unwrap(), []);
        disk.heal();
        create(&store, &run_id());
    }
}

#[test]
fn records_out_of_order_and_too_long_are_refused() {
    let (_, store) = memory();
    let open = create(&store, &run_id());
    let error = wait(open.journal.append(&step_started(3, "a", 1))).unwrap_err();
    assert_eq!(error.to_string(), "the journal could not be written: record 3 does not follow record 1");
    assert!(wait(open.journal.append(&step_started(2, "a", 1))).is_err());
}

#[test]
fn appends_that_come_together_share_a_sync() {
    let (disk, store) = memory();
    let open = create(&store, &run_id());
    let before = disk.trace().len();
    let records: Vec<Record> = (0..5u64).map(|n| step_started(n + 2, &format!("s{n}"), 1)).collect();
    let journal = &open.journal;
    let appends = records.iter().map(|record| journal.append(record));
    for result in wait(futures_util::future::join_all(appends)) {
        result.unwrap();
    }
    let done: Vec<Op> = disk.trace()[before..].iter().map(|(op, _)| *op).collect();
    assert_eq!(done, [Op::Write, Op::Sync]);
    assert_eq!(store.read(&run_id()).unwrap().records.len(), 6);
    // Each has a hash of its own, whoever took it to the disk.
    let bytes = disk.read(&open.dir().join("journal.jsonl")).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for (seq, line) in (1..).zip(lines) {
        assert_eq!(journal.hash_of(seq), Some(hex_sha256(&[TAG, line].concat())), "{seq}");
    }
    assert_eq!((journal.hash_of(0), journal.hash_of(7)), (None, None));
    // One that was taken and is not durable yet has none to tell.
    let late = step_started(7, "late", 1);
    let append = journal.append(&late);
    assert_eq!(journal.hash_of(7), None);
    wait(append).unwrap();
    assert_eq!(journal.hash_of(7), Some(journal.head()));
    // So many are held, and no more.
    for seq in 8..=1100 {
        wait(journal.append(&record(seq, Event::RunPaused { reason: String::new() }))).unwrap();
    }
    assert_eq!((journal.hash_of(1100 - 1024), journal.hash_of(1100)), (None, Some(journal.head())));
    assert!(journal.hash_of(1100 - 1023).is_some());
}

#[test]
fn every_changed_byte_is_found() {
    let (disk, store) = memory();
    script(&store, &mut Vec::new()).unwrap();
    let clean = verify(&store, &run_id(), None).unwrap();
    assert!(clean.ok() && clean.unproven.is_empty() && clean.outputs == 1, "{:#?}", clean.lines());
    let dir = store.run_dir(&run_id());
    for name in ["journal.jsonl", "out/build.1.log", "plan.json", "runbook/lib/a.yaml"] {
        let path = dir.join(name);
        let bytes = disk.read(&path).unwrap();
        let lines: Vec<usize> = bytes
            .iter()
            .scan(1, |n, b| {
                let here = *n;
                *n += usize::from(*b == b'\n');
                Some(here)
            })
            .collect();
        for at in 0..bytes.len() {
            // One mask everywhere, all bits at some places: the journal is verified some thousand times here.
            let masks: &[u8] = if at % 97 == 0 { &[0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80] } else { &[0x01] };
            for mask in masks.iter().copied().chain([bytes[at]]).filter(|mask| *mask != 0) {
                disk.edit(&path, |file| file[at] ^= mask).unwrap();
                let report = verify(&store, &run_id(), None).unwrap();
                assert!(!report.ok(), "{name} byte {at} mask {mask:#x}");
                if name == "journal.jsonl" {
                    let line = format!("journal.jsonl line {}", lines[at]);
                    assert!(report.problems[0].place.starts_with(&line), "{at}: {:?}", report.problems);
                } else {
                    assert_eq!(report.problems[0].place, name);
                }
                disk.edit(&path, |file| file[at] ^= mask).unwrap();
            }
        }
        for change in [
            |file: &mut Vec<u8>| {
                file.pop();
            },
            |file: &mut Vec<u8>| file.push(b'\n'),
            |file: &mut Vec<u8>| file.insert(3, b'x'),
            |file: &mut Vec<u8>| {
                file.remove(3);
            },
        ] {
            disk.edit(&path, change).unwrap();
            assert!(!verify(&store, &run_id(), None).unwrap().ok(), "{name}");
            disk.edit(&path, |file| *file = bytes.clone()).unwrap();
        }
    }
    assert!(verify(&store, &run_id(), None).unwrap().ok());
}

#[test]
fn moved_removed_doubled_and_foreign_lines_are_found() {
    let (disk, store) = memory();
    script(&store, &mut Vec::new()).unwrap();
    let path = store.run_dir(&run_id()).join("journal.jsonl");
    let bytes = disk.read(&path).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let bad = |changed: Vec<&[u8]>| {
        disk.edit(&path, |file| *file = changed.concat()).unwrap();
        let report = verify(&store, &run_id(), None).unwrap();
        assert!(!report.ok());
        report.problems[0].place.clone()
    };
    for at in 0..lines.len() {
        let place = format!("journal.jsonl line {}", at + 1);
        let mut removed = lines.clone();
        removed.remove(at);
        assert!(bad(removed).starts_with(&place));
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        assert!(bad(doubled).starts_with(&format!("journal.jsonl line {}", at + 2)));
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            assert!(bad(swapped).starts_with(&place));
        }
    }
    assert!(bad(lines[..5].to_vec()).starts_with("journal.jsonl line 6"));
    // A good line from another journal, at its own place.
    let other = MemoryStorage::new();
    let other_store = store_on(&other);
    let open = other_store.create(&run_id(), &started(&run_id()), &[], PLAN).unwrap();
    wait(open.journal.append(&step_started(2, "build", 1))).unwrap();
    let foreign = other.read(&path).unwrap();
    let mut spliced = lines.clone();
    spliced[1] = foreign.split_inclusive(|b| *b == b'\n').nth(1).unwrap();
    assert_eq!(bad(spliced), "journal.jsonl line 2 (record 2)");
    disk.edit(&path, |file| *file = bytes.clone()).unwrap();
    assert!(verify(&store, &run_id(), None).unwrap().ok());

    let out = store.run_dir(&run_id()).join("out");
    disk.create(&out.join("extra.1.log")).unwrap();
    disk.create(&out.join("quiet.1.log")).unwrap();
    disk.remove_file(&out.join("build.1.log")).unwrap();
    let report = verify(&store, &run_id(), None).unwrap();
    let places: Vec<&str> = report.problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(places, ["out/build.1.log", "out/extra.1.log", "out/quiet.1.log"]);
}

#[test]
fn a_bad_line_is_refused_with_its_number_and_a_cut_end_is_noticed() {
    let (disk, store) = memory();
    script(&store, &mut Vec::new()).unwrap();
    let path = store.run_dir(&run_id()).join("journal.jsonl");
    let bytes = disk.read(&path).unwrap();
    let third = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0 + 40;
    disk.edit(&path, |file| file[third] ^= 1).unwrap();
    let error = store.open(&run_id(), &who()).err().unwrap().to_string();
    assert!(
        error.starts_with("trust /state/runsheet/runs/20261120-201304-k7f3qa/journal.jsonl: line 3 (record 3): "),
        "{error}"
    );
    assert!(store.read(&run_id()).is_err());
    assert_eq!(store.list().unwrap()[0].outcome, Standing::Broken);
    let second_last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap();
    disk.edit(&path, |file| *file = bytes[..=second_last].to_vec()).unwrap();
    assert!(store.open(&run_id(), &who()).err().unwrap().to_string().contains("its end is missing"));
}

#[test]
fn an_anchor_proves_what_came_before_it() {
    let (_, store) = memory();
    let open = create(&store, &run_id());
    let early = open.journal.head();
    wait(open.journal.append(&step_started(2, "a", 1))).unwrap();
    let late = open.journal.head();
    let report = verify(&store, &run_id(), Some(&early)).unwrap();
    assert_eq!(report.anchor, Some(Anchor::Record { seq: 1, last: false }));
    assert!(report.unproven[0].contains("it is going on"));
    drop(open);
    let report = verify(&store, &run_id(), Some(&late)).unwrap();
    assert_eq!((report.anchor, report.head.clone()), (Some(Anchor::Record { seq: 2, last: true }), late));
    assert!(!verify(&store, &run_id(), Some(&"0".repeat(64))).unwrap().ok());
    let lines = verify(&store, &run_id(), None).unwrap().lines().join("\n");
    assert!(lines.contains("its end is not on record") && lines.contains("rewrite all of it"), "{lines}");
    assert!(lines.ends_with(&format!("head {}", report.head)));
}

#[test]
fn a_run_in_use_is_refused_and_says_by_whom() {
    let (_, store) = memory();
    let open = create(&store, &run_id());
    let error = store.open(&run_id(), &who()).err().unwrap();
    assert!(matches!(error, StoreError::Locked(_)));
    let said = error.to_string();
    assert!(
        said.contains("ada is running 20261120-201304-k7f3qa (balrog/rollback) on desk since 2026-11-20T20:13:04"),
        "{said}"
    );
    drop(open);
    store.open(&run_id(), &who()).unwrap();
}

#[test]
fn a_named_lock_outlives_a_pause_and_goes_with_the_run() {
    let temp = tempfile::tempdir().unwrap();
    let store = RunStore::new(Rc::new(DiskStorage), temp.path().join("state"));
    let other = RunStore::new(Rc::new(DiskStorage), temp.path().join("state"));
    let names = ["balrog".to_owned(), "queue".to_owned(), "balrog".to_owned()];
    let (one, two) = (run_id(), id("20261120-201305-aaaaaa"));
    let locks = store.acquire(&names, &one, "balrog/rollback", &who()).unwrap();
    assert_eq!(locks.iter().map(|lock| lock.name()).collect::<Vec<_>>(), ["balrog", "queue"]);
    let mut open = create(&store, &one);
    open.hold(locks);
    let refused = |names: &[String]| match other.acquire(names, &two, "other", &who()) {
        Err(StoreError::Locked(refusal)) => *refusal,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    };
    let live = refused(&names);
    assert!(
        live.live
            && live
                .to_string()
                .contains("run 20261120-201304-k7f3qa (balrog/rollback) holds it, started by ada on desk")
    );
    // It pauses: its program goes, its lock stays.
    wait(open.journal.append(&record(2, Event::RunPaused { reason: "lunch".into() }))).unwrap();
    open.close().unwrap();
    let kept = refused(&["apart".to_owned(), "queue".to_owned()]);
    assert!(!kept.live && kept.to_string().ends_with("runsheet resume 20261120-201304-k7f3qa"), "{kept}");
    // The lock that was taken on the way to the refusal was given back.
    drop(store.acquire(&["apart".to_owned()], &id("20261120-201306-bbbbbb"), "third", &who()).unwrap());
    let mut open = store.open(&one, &who()).unwrap();
    open.hold(store.acquire(&names, &one, "balrog/rollback", &who()).unwrap());
    wait(open.journal.append(&finished(3))).unwrap();
    // Over, and died before it could give anything up: nobody is kept waiting.
    drop(open);
    drop(other.acquire(&names, &two, "other", &who()).unwrap());
    let open = store.open(&one, &who()).unwrap();
    open.close().unwrap();
    assert!(!store.run_dir(&one).join("scratch").exists());
    // The second run never came to be; its locks are free.
    for lock in other.acquire(&names, &id("20261120-201307-cccccc"), "fourth", &who()).unwrap() {
        lock.release().unwrap();
    }
}

#[test]
fn histories_list_and_resolve() {
    let (disk, store) = memory();
    assert_eq!(store.list().unwrap(), []);
    assert!(store.resolve("last").unwrap_err().to_string().contains("there are no runs in /state/runsheet/runs"));
    let names =
        ["20261120-201304-aaaaaa", "20261120-201304-abbbbb", "20261121-000000-cccccc", "20261122-000000-dddddd"];
    let opened: Vec<OpenRun> = names.iter().map(|name| create(&store, &id(name))).collect();
    for (open, last) in opened.iter().zip([
        finished(2),
        record(2, Event::RunPaused { reason: "later".into() }),
        step_started(2, "a", 1),
        step_started(2, "a", 1),
    ]) {
        wait(open.journal.append(&last)).unwrap();
    }
    let mut opened = opened.into_iter();
    opened.next().unwrap().close().unwrap();
    let _ = (opened.next().map(drop), opened.next().map(drop));
    let live = opened.next().unwrap();
    disk.create_dir(Path::new("/state/runsheet/runs/.tmp-20261123-000000-eeeeee")).unwrap();
    disk.create_dir(Path::new("/state/runsheet/runs/20261101-000000-broken")).unwrap();
    let list = store.list().unwrap();
    let shown: Vec<(&str, &str)> = list.iter().map(|run| (run.run.as_str(), run.outcome.name())).collect();
    assert_eq!(
        shown,
        [
            (names[3], "running"),
            (names[2], "interrupted"),
            (names[1], "paused"),
            (names[0], "succeeded"),
            ("20261101-000000-broken", "broken")
        ]
    );
    assert!(list[4].problem.as_ref().unwrap().starts_with("could not read "));
    let json = serde_json::to_string(&list[3]).unwrap();
    assert_eq!(
        json,
        r#"{"run":"20261120-201304-aaaaaa","runbook":"balrog/rollback","outcome":"succeeded","started":"2026-11-20T20:13:04.124456Z","finished":"2026-11-20T20:13:04.125456Z","by":"ada"}"#
    );
    assert_eq!(store.resolve("last").unwrap(), id(names[3]));
    assert_eq!(store.resolve("20261121").unwrap(), id(names[2]));
    assert_eq!(store.resolve(names[0]).unwrap(), id(names[0]));
    let error = store.resolve("20261120").unwrap_err().to_string();
    assert_eq!(error, "tell which run `20261120` means: 20261120-201304-abbbbb, 20261120-201304-aaaaaa");
    assert!(store.resolve("2025").unwrap_err().to_string().contains("none begins with `2025`"));
    assert!(store.resolve("../x").unwrap_err().to_string().contains("no name of a run"));
    assert_eq!(store.sweep("20261123").unwrap(), 0);
    assert_eq!(store.sweep("20261124").unwrap(), 1);
    assert_eq!(store.list().unwrap().len(), 5);
    drop(live);
}

#[test]
fn a_run_holds_what_it_began_with_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let store = RunStore::new(Rc::new(DiskStorage), temp.path().join("a/b"));
    let open = create(&store, &run_id());
    let frozen = store.frozen(&run_id()).unwrap();
    assert_eq!((frozen.files, frozen.plan.as_slice()), (files(), PLAN));
    let mut names: Vec<String> = DiskStorage.list(&open.dir()).unwrap();
    names.sort();
    assert_eq!(names, ["journal.jsonl", "out", "plan.json", "reserve", "run.lock", "runbook", "scratch", "steps"]);
    let mut log = open.journal.output(&StepId::new("a/b"), 2).unwrap();
    log.write(b"text").unwrap();
    log.commit().unwrap();
    assert_eq!(DiskStorage.read(&store.output_path(&run_id(), &StepId::new("a/b"), 2)).unwrap(), b"text");
    assert!(open.dir().join("out/a.b.2.log").exists());
    for (name, bad) in [("../x", true), ("/x", true), ("a//b", false), ("", true), ("a/./b", false)] {
        let made = store.create(&id("x1"), &started(&id("x1")), &[(name.into(), Vec::new())], PLAN);
        assert_eq!(matches!(made, Err(StoreError::Unfit(_))), bad, "{name}");
        let _ = std::fs::remove_dir_all(store.run_dir(&id("x1")));
    }
    assert!(store.create(&run_id(), &started(&run_id()), &files(), b"another plan").is_err());
    assert!(store.create(&run_id(), &started(&run_id()), &files(), PLAN).is_err(), "it exists");
}

#[test]
fn folders_of_others_and_later_journals_are_refused() {
    let (disk, store) = memory();
    let mut first = started(&run_id());
    if let Event::RunStarted(header) = &mut first.event {
        header.journal = 2;
    }
    drop(store.create(&run_id(), &first, &files(), PLAN).unwrap());
    assert!(matches!(store.open(&run_id(), &who()), Err(StoreError::Newer { found: 2, known: 1, .. })));
    assert!(store.read(&run_id()).is_ok() && verify(&store, &run_id(), None).unwrap().ok());
    disk.give_away(&store.run_dir(&run_id())).unwrap();
    assert!(matches!(store.open(&run_id(), &who()), Err(StoreError::Foreign { .. })));
    assert!(matches!(store.read(&run_id()), Err(StoreError::Foreign { .. })));
}

#[test]
fn the_state_folder_is_found_or_asked_for() {
    let with = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, std::ffi::OsString)> =
            pairs.iter().map(|(name, value)| (name.to_string(), value.into())).collect();
        default_state_dir(move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()))
            .map_err(|error| error.to_string())
    };
    assert_eq!(with(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), Ok("/s/runsheet".into()));
    assert_eq!(with(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]), Ok("/h/.local/state/runsheet".into()));
    assert!(with(&[("HOME", "")]).unwrap_err().contains("--state-dir"));
}
