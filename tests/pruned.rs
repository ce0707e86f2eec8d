//! Old runs that are taken away, and those that never are.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use crate::{
    lab::{Ended, Lab, finish, processes_of, until},
    support::Bed,
    terminal::seat::Seat,
};

const BOOK: &str = r#"
title: Small
params: {end: {type: string, default: good}}
steps:
  - {id: one, shell: 'echo one; [ "$end" != bad ]'}
"#;

fn names(lab: &Lab) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(lab.runs_dir())
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// A run of which this is the last thing that happens.
fn run(lab: &Lab, args: &[&str], code: i32) -> String {
    let before = names(lab);
    lab.call(&[&["run", "./book.yaml"], args].concat()).expect(code);
    names(lab).into_iter().find(|name| !before.contains(name)).unwrap()
}

fn prune(lab: &Lab, args: &[&str]) -> Ended {
    lab.call(&[&["prune", "--older-than"], args].concat())
}

#[test]
fn what_is_over_and_old_goes_and_nothing_else() {
    let lab = Lab::new();
    lab.book(BOOK);
    let good = run(&lab, &["--yes"], 0);
    let bad = run(&lab, &["--yes", "--param", "end=bad"], 1);
    lab.book("title: Asks\nlock: one\nsteps:\n  - {id: sure, confirm: Go on?}\n");
    let paused = run(&lab, &[], 11);
    lab.book("title: Dies\nsteps:\n  - {id: it, shell: 'kill -KILL $$'}\n");
    let unknown = run(&lab, &["--yes"], 7);
    lab.book("title: Waits\nsteps:\n  - {id: it, shell: 'read -r _ < \"$HOME/gate\" || true'}\n");
    let gate = lab.gate("gate");
    let before = names(&lab);
    let killed = lab.start(&["run", "./book.yaml", "--yes"]);
    let at_gate = gate.reached();
    killed.kill();
    drop(at_gate);
    until("the end of its step", || processes_of(lab.home()).is_empty());
    let interrupted = names(&lab).into_iter().find(|name| !before.contains(name)).unwrap();
    let before = names(&lab);
    let going = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    let running = names(&lab).into_iter().find(|name| !before.contains(name)).unwrap();

    // None of them is as old as that.
    let said = prune(&lab, &["1h", "--yes"]).expect(0);
    assert!(said.out.contains("nothing to remove"), "{said:#?}");
    let all = names(&lab);
    let said = prune(&lab, &["0s", "--dry-run"]).expect(0);
    assert!(said.out.contains("would be removed") && said.out.contains(&good) && said.out.contains(&bad), "{said:#?}");
    let said = prune(&lab, &["0s"]).expect(2);
    assert!(said.err.contains("--yes") && said.err.contains("nothing was removed"), "{said:#?}");
    assert_eq!(names(&lab), all);

    let said = prune(&lab, &["0s", "--yes"]).expect(0);
    assert!(said.out.contains("freed"), "{said:#?}");
    for (run, why) in [
        (&paused, "it is paused"),
        (&unknown, "it is unknown"),
        (&interrupted, "it was interrupted"),
        (&running, "it is going on"),
    ] {
        let line = said.out.lines().find(|line| line.contains(run.as_str())).unwrap();
        assert!(line.contains(&format!("kept: {why}")), "{said:#?}");
    }
    let left = names(&lab);
    assert!(!left.contains(&good) && !left.contains(&bad), "{said:#?}");
    assert!([&paused, &unknown, &interrupted, &running].into_iter().all(|run| left.contains(run)), "{left:?}");
    open.pass();
    going.end().expect(0);
    lab.call(&["verify", &running]).expect(0);
    // What is resumed and over then goes as well; its lock is free.
    lab.call(&["resume", &paused, "--yes"]).expect(0);
    prune(&lab, &["0s", "--yes"]).expect(0);
    assert!(!names(&lab).contains(&paused) && !names(&lab).contains(&running));
}

#[test]
fn a_person_is_asked_and_only_a_yes_is_one() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: 'true'}\n");
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(0);
    for (keys, code, left) in [("\r", 5, 1), ("n\r", 5, 1), ("\u{1b}", 5, 1), ("\u{3}", 5, 1), ("y\r", 0, 0)] {
        let mut seat = Seat::take(&bed, &["prune", "--older-than", "0s"]);
        seat.answers("Remove 1 run for good?", keys);
        seat.ends(code);
        assert_eq!(bed.runs().len(), left, "{keys:?}");
    }
}

#[test]
fn what_cannot_be_trusted_or_is_not_ours_stays() {
    let lab = Lab::new();
    lab.book(BOOK);
    let mut runs: Vec<String> = (0..6).map(|_| run(&lab, &["--yes"], 0)).collect();
    let dir = |run: &String| lab.runs_dir().join(run);
    let journal = dir(&runs[0]).join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("one", "two", 1)).unwrap();
    std::fs::remove_file(dir(&runs[1]).join("journal.jsonl")).unwrap();
    std::fs::remove_file(dir(&runs[2]).join("journal.jsonl")).unwrap();
    let pipe = dir(&runs[2]).join("journal.jsonl");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    // A link to a run elsewhere, and one whose lock is a link.
    std::fs::rename(dir(&runs[3]), lab.path("away")).unwrap();
    std::os::unix::fs::symlink(lab.path("away"), dir(&runs[3])).unwrap();
    std::fs::set_permissions(dir(&runs[4]), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::remove_file(dir(&runs[5]).join("run.lock")).unwrap();
    lab.file("victim", "precious");
    std::os::unix::fs::symlink(lab.path("victim"), dir(&runs[5]).join("run.lock")).unwrap();
    // What is no run at all.
    for name in ["notes", "20261120-201304-k7f3qa.bak", ".tmp-1", ".tmp-mine"] {
        std::fs::create_dir(lab.runs_dir().join(name)).unwrap();
    }
    std::fs::write(lab.runs_dir().join("20200101-000000-aaaaaa"), "a file").unwrap();
    let before = names(&lab);
    let said = prune(&lab, &["0s", "--yes"]).expect(1);
    assert_eq!(names(&lab), before, "{said:#?}");
    assert!(said.out.contains("removed 0 runs"), "{said:#?}");
    for run in &runs[..5] {
        let line = said.out.lines().find(|line| line.contains(run.as_str())).unwrap();
        assert!(line.contains("kept: its record is not to be trusted"), "{said:#?}");
    }
    assert!(said.err.contains(&runs[5]), "{said:#?}");
    assert_eq!(lab.read("victim"), "precious");
    // A good one goes nevertheless, and what it points at stays.
    runs.push(run(&lab, &["--yes"], 0));
    std::os::unix::fs::symlink(lab.path("victim"), dir(&runs[6]).join("link")).unwrap();
    std::os::unix::fs::symlink(lab.path("away"), dir(&runs[6]).join("scratch")).unwrap();
    prune(&lab, &["0s", "--yes"]).expect(1);
    assert_eq!(names(&lab), before);
    assert!(lab.read("victim") == "precious" && lab.path("away/plan.json").exists());
}

#[test]
fn a_run_that_holds_a_lock_or_is_in_use_stays() {
    let lab = Lab::new();
    lab.book("title: Locked\nlock: production\nsteps:\n  - {id: one, shell: echo one}\n");
    let first = run(&lab, &["--yes"], 0);
    // Killed right after its end was on record: it has not given its lock up.
    let locks = lab.state.join("runsheet/locks");
    let stem = runsheet::journal::hex_sha256(b"production");
    let holder = std::fs::read_to_string(lab.runs_dir().join(&first).join("run.lock")).unwrap();
    let mut holder: serde_json::Value = serde_json::from_str(&holder).unwrap();
    holder["lock"] = "production".into();
    std::fs::write(locks.join(format!("{stem}.owner")), holder.to_string()).unwrap();
    let said = prune(&lab, &["0s", "--yes"]).expect(0);
    assert!(said.out.contains("it still holds the lock `production`"), "{said:#?}");
    assert_eq!(names(&lab), [first.as_str()]);
    std::fs::write(locks.join(format!("{stem}.owner")), "junk").unwrap();
    let said = prune(&lab, &["0s", "--yes"]).expect(10);
    assert!(said.err.contains("does not say which run holds the lock"), "{said:#?}");
    std::fs::remove_file(locks.join(format!("{stem}.owner"))).unwrap();
    let held = std::fs::File::open(lab.runs_dir().join(&first).join("run.lock")).unwrap();
    held.lock().unwrap();
    let said = prune(&lab, &["0s", "--yes"]).expect(0);
    assert!(said.err.contains("is kept: it is in use"), "{said:#?}");
    drop(held);
    prune(&lab, &["0s", "--yes"]).expect(0);
    assert_eq!(names(&lab), [""; 0]);
}

/// Finished runs, made without running anything: copies of one, with its name everywhere.
fn many(lab: &Lab, count: usize) {
    let first = run(lab, &["--yes"], 0);
    let from = lab.runs_dir().join(&first);
    for n in 1..count {
        let name = format!("{}{n:06}", &first[..16]);
        let to = lab.runs_dir().join(&name);
        copy(&from, &to);
        crate::signed::forge(&to, |_, own| Some(own.replace(&first, &name)));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn two_at_once_take_each_run_once_while_others_read_them() {
    let lab = Lab::new();
    lab.book(BOOK);
    many(&lab, 40);
    assert_eq!(lab.outcomes(), vec!["succeeded"; 40]);
    let all = names(&lab);
    let mut both: Vec<_> = (0..2).map(|_| lab.start(&["prune", "--older-than", "0s", "--yes"])).collect();
    while both.iter_mut().any(|prune| prune.alive()) {
        // A run is there, whole, or it is not; nobody ever lists half of one.
        assert!(lab.outcomes().iter().all(|outcome| outcome == "succeeded"));
        let seen = lab.call(&["report", &all[20]]);
        assert!(seen.code == Some(0) || seen.out.is_empty(), "{seen:#?}");
    }
    let mut removed = 0;
    for prune in both {
        let said = prune.end().expect(0);
        let count = said
            .out
            .lines()
            .find_map(|line| line.strip_prefix("removed "))
            .map_or(0, |line| line.split(' ').next().unwrap().parse::<usize>().unwrap());
        removed += count;
    }
    assert_eq!((removed, names(&lab)), (40, Vec::new()));
}

#[test]
fn killed_anywhere_it_leaves_whole_runs_and_rubbish_that_the_next_one_removes() {
    let lab = Lab::new();
    lab.book(BOOK);
    let mut killed = 0;
    for call in 1.. {
        many(&lab, 2);
        let inject = format!("inject=rename,unlink,unlinkat,rmdir:signal=KILL:when={call}");
        let traced = lab.traced(&["-e", &inject], &["prune", "--older-than", "0s", "--yes"]);
        let ended = finish(traced);
        let died = ended.code != Some(0);
        killed += usize::from(died);
        assert!(lab.outcomes().iter().all(|outcome| outcome == "succeeded"), "{call}: {:?}", lab.outcomes());
        for run in names(&lab).iter().filter(|name| !name.starts_with('.')) {
            lab.call(&["verify", run]).expect(0);
        }
        // As if an hour had passed: what is swept is known by the time in its name.
        for name in names(&lab).iter().filter(|name| name.starts_with('.')) {
            let old = format!(".tmp-2020{}", &name[9..]);
            std::fs::rename(lab.runs_dir().join(name), lab.runs_dir().join(old)).unwrap();
        }
        prune(&lab, &["0s", "--yes"]).expect(0);
        assert_eq!(names(&lab), [""; 0], "{call}");
        if !died {
            break;
        }
    }
    assert!(killed > 10, "{killed}");
}

#[test]
fn its_new_name_is_durable_before_anything_of_it_is_removed() {
    let lab = Lab::new();
    lab.book(BOOK);
    run(&lab, &["--yes"], 0);
    let traced = lab.traced(
        &["-e", "trace=rename,renameat,renameat2,fsync,unlink,unlinkat,rmdir"],
        &["prune", "--older-than", "0s", "--yes"],
    );
    finish(traced).expect(0);
    // Names only: the program lets nobody but root look into its memory.
    let trace = lab.read("trace");
    let calls: Vec<&str> = trace.lines().map(|line| line.split('(').next().unwrap()).collect();
    assert!(calls[0].starts_with("rename") && calls[1] == "fsync" && calls[2].starts_with("unlink"), "{trace}");
    let more = calls[2..].iter().any(|call| call.starts_with("rename") || *call == "fsync");
    assert!(!more, "{trace}");
}

#[test]
fn the_age_is_that_of_the_end_in_the_words_of_the_language() {
    use runsheet::journal::{DiskStorage, RunStore};
    let lab = Lab::new();
    lab.book(BOOK);
    let first = run(&lab, &["--yes"], 0);
    // Begun and ended long ago, as its record says.
    crate::signed::forge(&lab.runs_dir().join(&first), |_, own| {
        let at = own.find("\"time\":\"").unwrap() + 8;
        Some(format!("{}2026-01-{:02}{}", &own[..at], 10, &own[at + 10..]))
    });
    let store = RunStore::new(Rc::new(DiskStorage), lab.state.join("runsheet"));
    let ended = store.list().unwrap()[0].finished.unwrap();
    for (before, goes) in [(ended, false), (ended + Duration::from_millis(1), true)] {
        assert_eq!(store.old_runs(before).unwrap().over.len(), usize::from(goes));
    }
    for slip in ["90", "", "-1d", "3 months", "1w", "99999999d"] {
        assert_eq!(lab.call(&["prune", &format!("--older-than={slip}")]).code, Some(2), "{slip}");
    }
    lab.call(&["prune"]).expect(2);
    prune(&lab, &["360000d", "--yes"]).expect(0);
    assert_eq!(names(&lab), [first.as_str()]);
    prune(&lab, &["1d", "--yes"]).expect(0);
    assert_eq!(names(&lab), [""; 0]);
    prune(&lab, &["1d", "--yes"]).expect(0);
    let nowhere: PathBuf = lab.path("nowhere");
    lab.call(&["prune", "--older-than", "1d", "--state-dir", nowhere.to_str().unwrap()]).expect(0);
    assert!(!nowhere.exists());
}

/// A run that was undone is over, as old as its undo, and one whose undo is not over stays, however it was before.
#[test]
fn what_was_undone_goes_and_what_is_half_undone_stays() {
    let lab = Lab::new();
    lab.book("title: Back\nsteps:\n  - {id: one, shell: 'echo one', undo: {shell: 'true'}}\n");
    let undone = run(&lab, &["--yes"], 0);
    lab.call(&["undo", &undone, "--yes"]).expect(6);
    lab.book("title: Half\nlock: it\nsteps:\n  - {id: one, shell: 'echo one', undo: {shell: 'read -r _ < \"$HOME/gate\"'}}\n");
    let gate = lab.gate("gate");
    let half = run(&lab, &["--yes"], 0);
    let going = lab.start(&["undo", &half, "--yes"]);
    let open = gate.reached();
    let said = prune(&lab, &["0s", "--yes"]).expect(0);
    let line = said.out.lines().find(|line| line.contains(&half)).unwrap();
    assert!(line.contains("kept: it is going on"), "{said:#?}");
    assert_eq!(names(&lab), std::slice::from_ref(&half), "{said:#?}");
    going.kill();
    drop(open);
    until("the end of its step", || processes_of(lab.home()).is_empty());
    let said = prune(&lab, &["0s", "--yes"]).expect(0);
    let line = said.out.lines().find(|line| line.contains(&half)).unwrap();
    assert!(line.contains("kept: it was interrupted"), "{said:#?}");
    lab.call(&["verify", &half]).expect(0);
    // Its supervisor saw the end of it. Taken up and over, it goes as well.
    let ended = lab.call(&["undo", &half, "--yes"]);
    assert!([Some(6), Some(12)].contains(&ended.code), "{ended:#?}");
    prune(&lab, &["0s", "--yes"]).expect(0);
    assert!(names(&lab).is_empty());
}
