//! A plan that takes the place of another, on a simulated disk that dies at each change: it counts whole or not at all.

use std::{future::Future, rc::Rc};

use runsheet::{
    event::{Event, PlanReplaced, Record, RunId, RunStarted},
    journal::{Cut, MemoryStorage, OpenRun, RunStore, Who, hex_sha256, verify},
    port::Journal,
};

const PLAN: &[u8] = b"{\"plan\":1}";
const OTHER: &[u8] = b"{\"plan\":2}";

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn run() -> RunId {
    RunId::parse("20261120-201304-k7f3qa").unwrap()
}

fn who() -> Who {
    Who { operator: "ada".into(), host: "desk".into(), since: jiff::Timestamp::UNIX_EPOCH }
}

fn files(text: &str) -> Vec<(String, Vec<u8>)> {
    vec![("a/b.yaml".into(), text.as_bytes().to_vec())]
}

fn record(seq: u64, event: Event) -> Record {
    Record { seq, time: jiff::Timestamp::UNIX_EPOCH, elapsed_ms: seq, event }
}

fn store_on(disk: &MemoryStorage) -> RunStore {
    RunStore::new(Rc::new(disk.clone()), "/state/runsheet").with_last_resort(Rc::new(|_| ()))
}

fn begun() -> MemoryStorage {
    let disk = MemoryStorage::new();
    let header: RunStarted = serde_json::from_value(serde_json::json!({
        "journal": 1, "format": 1, "run": run(), "runbook": "a/b", "origin": "built-in", "digest": hex_sha256(PLAN),
        "params": {}, "tool_version": "0.1.0", "operator": "ada", "host": "desk", "cwd": "/", "attended": true,
    }))
    .unwrap();
    let first = record(1, Event::RunStarted(Box::new(header)));
    drop(store_on(&disk).create(&run(), &first, &files("title: One\n"), PLAN).unwrap());
    disk
}

/// Freezes and records; true once the record is promised.
fn take(open: &OpenRun, bytes: bool) -> bool {
    let (number, seq) = (open.state.plan_number() + 1, open.state.last_seq + 1);
    let frozen = if bytes { files("title: Two\n") } else { Vec::new() };
    if open.freeze(number, &frozen, OTHER).is_err() {
        return false;
    }
    let plan: PlanReplaced = serde_json::from_value(serde_json::json!({
        "number": number, "cause": "runbook", "digest": hex_sha256(OTHER), "params": {}, "tool_version": "0.1.0", "by": "ada",
        "runbook_files": frozen.iter().map(|(name, bytes)| (name.clone(), hex_sha256(bytes).into())).collect::<serde_json::Map<_, _>>(),
    }))
    .unwrap();
    wait(open.journal.append(&record(seq, Event::PlanReplaced(Box::new(plan))))).is_ok()
}

/// Whatever was left is one of the two, whole, and taking it (again) works.
fn check(disk: &MemoryStorage, promised: bool, bytes: bool, why: &str) {
    let store = store_on(disk);
    for turn in 0..2 {
        let open = store.open(&run(), &who()).unwrap_or_else(|error| panic!("{why}: could not {error}"));
        let frozen = store.frozen(&run()).unwrap_or_else(|error| panic!("{why}: could not {error}"));
        let taken = open.state.plan_number() > 1;
        assert!(taken || !promised, "{why}: what was promised is gone");
        assert_eq!(frozen.plan, if taken { OTHER } else { PLAN }, "{why}");
        assert_eq!(frozen.files, files(if taken && bytes { "title: Two\n" } else { "title: One\n" }), "{why}");
        let report = verify(&store, &run(), None).unwrap();
        assert!(report.ok(), "{why}, turn {turn}: {:#?}", report.lines());
        if !taken {
            assert!(take(&open, bytes), "{why}");
        }
    }
}

#[test]
fn a_plan_takes_over_whole_or_not_at_all() {
    for bytes in [true, false] {
        let whole = begun();
        let open = store_on(&whole).open(&run(), &who()).unwrap();
        let before = whole.changes();
        assert!(take(&open, bytes));
        let changes = whole.changes() - before;
        assert!(changes > 3, "{changes}");
        drop(open);
        check(&whole, true, bytes, "nothing happened");
        for change in 0..=changes {
            let disk = begun();
            let open = store_on(&disk).open(&run(), &who()).unwrap();
            disk.halt_at(change);
            let promised = take(&open, bytes);
            assert_eq!(promised, change == changes);
            drop(open);
            let killed = disk.fork();
            killed.kill();
            check(&killed, promised, bytes, &format!("killed at {change}"));
            for cut in [Cut::Drop, Cut::Keep, Cut::Torn { seed: change }, Cut::Holes { seed: change }] {
                let disk = disk.fork();
                disk.power_cut(cut);
                check(&disk, promised, bytes, &format!("{cut:?} at {change}"));
            }
        }
    }
}
