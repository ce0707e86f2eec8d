//! Edits to what is kept of a run, and that `verify` finds each of them.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use runsheet::{
    event::RunId,
    journal::{MemoryStorage, RunStore, VerifyReport, verify},
    port::Storage,
};

use crate::lab::{Lab, processes_of, until};

fn finished() -> Lab {
    let lab = Lab::new();
    lab.book(
        r#"
title: Small
steps:
  - {id: one, shell: echo out of one, capture: {one: result.stdout}}
  - {id: two, when: one == "never", shell: echo two}
  - {id: three, shell: echo out of three}
"#,
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    lab.sound();
    lab
}

fn edit(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let before = std::fs::read(path).unwrap();
    let mut after = before.clone();
    change(&mut after);
    std::fs::write(path, after).unwrap();
    before
}

#[test]
fn every_changed_byte_of_the_journal_is_found_in_its_line() {
    let lab = finished();
    let path = lab.run_dir().join("journal.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        edit(&path, |bytes| bytes[at] ^= 1);
        let found = lab.call(&["verify", "last"]).expect(10);
        assert!(found.out.contains(&format!("line {line}")), "byte {at} of line {line}: {found:#?}");
        if at % 5 == 0 {
            let refused = lab.call(&["resume", "last", "--yes"]).expect(10);
            assert!(refused.err.contains("line"), "{refused:#?}");
            assert_eq!(lab.outcomes(), ["broken"]);
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    lab.sound();
}

#[test]
fn lines_that_were_taken_out_are_missed() {
    let lab = finished();
    let path = lab.run_dir().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for gone in 0..lines.len() {
        let rest: String = lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| *line).collect();
        std::fs::write(&path, rest).unwrap();
        let found = lab.call(&["verify", "last"]);
        assert_eq!(found.code, Some(10), "line {}: {found:#?}", gone + 1);
    }
    // The end cut off, at a line and within one.
    for keep in [text.len() - lines[lines.len() - 1].len(), text.len() - 5] {
        std::fs::write(&path, &text[..keep]).unwrap();
        lab.call(&["verify", "last"]).expect(10);
        lab.call(&["resume", "last", "--yes"]).expect(10);
    }
    std::fs::write(&path, &text).unwrap();
    lab.sound();
}

#[test]
fn changed_output_and_frozen_files_are_found() {
    let lab = finished();
    let dir = lab.run_dir();
    for name in ["out/one.1.log", "out/three.1.log", "runbook/book.yaml", "plan.json"] {
        let path = dir.join(name);
        let before = edit(&path, |bytes| bytes[3] ^= 1);
        let found = lab.call(&["verify", "last"]).expect(10);
        assert!(found.out.contains(name.rsplit('/').next().unwrap()), "{name}: {found:#?}");
        std::fs::write(&path, &before).unwrap();
        edit(&path, |bytes| bytes.push(b'\n'));
        lab.call(&["verify", "last"]).expect(10);
        std::fs::remove_file(&path).unwrap();
        lab.call(&["verify", "last"]).expect(10);
        std::fs::write(&path, &before).unwrap();
        lab.sound();
    }
    // What belongs to no record is said, at least.
    std::fs::write(dir.join("out/four.1.log"), "invented").unwrap();
    let found = lab.call(&["verify", "last"]);
    assert!(found.out.contains("four.1.log"), "{found:#?}");
}

/// A run that the real program was killed in while a step had written so many bytes, and that was gone on with.
fn resumed(bytes: u32) -> Lab {
    let lab = Lab::new();
    let book = r#"
title: Interrupted
steps:
  - {id: first, shell: echo first}
  - id: long
    idempotent: true
    shell: |
      head -c BYTES /dev/zero | tr '\\0' x
      [ -e "$HOME/again" ] || read -r _ < "$HOME/gate"
      echo the rest
"#;
    lab.book(&book.replace("BYTES", &bytes.to_string()));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let at_gate = gate.reached();
    let log = lab.run_dir().join("out/long.1.log");
    // So many are gathered before they are written.
    until("output", || bytes < 256 << 10 || log.metadata().is_ok_and(|log| log.len() > 0));
    run.kill();
    drop(at_gate);
    // The supervisor writes the end down; without that, as after a loss of power, the step is run again.
    let end = lab.run_dir().join("steps/long.1.exit");
    until("the end of the step", || end.exists() && processes_of(lab.home()).is_empty());
    std::fs::remove_file(end).unwrap();
    // A write that the crash cut short.
    let path = lab.run_dir().join("journal.jsonl");
    edit(&path, |bytes| bytes.extend_from_slice(b"{\"seq\":99,\"ti"));
    lab.file("again", "");
    lab.call(&["resume", "last", "--yes"]).expect(0);
    lab.sound();
    lab
}

/// A run as the real program left it, on a disk in memory: thousands of edits need no real one.
struct Copy {
    disk: MemoryStorage,
    store: RunStore,
    run: RunId,
    dir: PathBuf,
}

impl Copy {
    fn of(dir: &Path) -> Copy {
        let disk = MemoryStorage::new();
        let store = RunStore::new(Rc::new(disk.clone()), "/state");
        let run = RunId::parse(dir.file_name().unwrap().to_str().unwrap()).unwrap();
        let copy = Copy { dir: store.run_dir(&run), disk, store, run };
        copy.disk.create_dir(Path::new("/state")).unwrap();
        copy.disk.create_dir(Path::new("/state/runs")).unwrap();
        copy.take(dir, &copy.dir);
        copy
    }

    fn take(&self, from: &Path, to: &Path) {
        self.disk.create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = to.join(path.file_name().unwrap());
            if path.is_dir() {
                self.take(&path, &to);
            } else {
                self.disk.create(&to).unwrap().write_all(&std::fs::read(&path).unwrap()).unwrap();
            }
        }
    }

    fn verify(&self) -> VerifyReport {
        verify(&self.store, &self.run, None).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.disk.read(&self.dir.join(name)).unwrap()
    }

    /// The first thing that is wrong once a file has these bytes; it gets its own back.
    #[track_caller]
    fn first_bad(&self, name: &str, bytes: Vec<u8>) -> String {
        let before = self.bytes(name);
        assert_ne!(before, bytes);
        self.disk.edit(&self.dir.join(name), |file| *file = bytes).unwrap();
        let report = self.verify();
        self.disk.edit(&self.dir.join(name), |file| *file = before).unwrap();
        assert!(!report.ok(), "nothing was found in {name}");
        report.problems[0].place.clone()
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        self.bytes("journal.jsonl").split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

/// All that a run promises to keep.
fn kept(dir: &Path) -> Vec<String> {
    let mut names = vec!["journal.jsonl".to_owned(), "plan.json".to_owned()];
    for folder in ["out", "runbook"] {
        let entries = std::fs::read_dir(dir.join(folder)).unwrap();
        names.extend(entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap())));
    }
    names.extend(dir.join("journal.torn.1").exists().then(|| "journal.torn.1".to_owned()));
    names
}

#[test]
fn every_changed_byte_of_everything_that_is_kept_is_found_where_it_is() {
    for lab in [finished(), resumed(10)] {
        let dir = lab.run_dir();
        let whole = Copy::of(&dir).verify();
        assert!(whole.ok() && whole.unproven.is_empty(), "{:#?}", whole.lines());
        let names = kept(&dir);
        assert!(names.len() >= 5, "{names:?}");
        std::thread::scope(|threads| {
            for (part, parts) in [(0, 2), (1, 2)] {
                let (dir, names) = (&dir, &names);
                threads.spawn(move || {
                    let copy = Copy::of(dir);
                    for name in names {
                        let bytes = copy.bytes(name);
                        for at in (part..bytes.len()).step_by(parts) {
                            // One bit; what ends a line; what a hole leaves.
                            let values = [bytes[at] ^ 1, b'\n', 0];
                            for value in values.into_iter().filter(|value| *value != bytes[at]) {
                                let mut changed = bytes.clone();
                                changed[at] = value;
                                let place = copy.first_bad(name, changed);
                                if name == "journal.jsonl" {
                                    let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
                                    let exact = place.strip_prefix(&format!("journal.jsonl line {line}"));
                                    let exact = exact.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
                                    assert!(exact, "byte {at} as {value:#x}: {place}, not line {line}");
                                } else {
                                    assert_eq!(place, *name, "byte {at} as {value:#x}");
                                }
                            }
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn records_that_are_moved_left_out_doubled_or_of_elsewhere_are_found_where_they_are() {
    for lab in [finished(), resumed(10)] {
        let copy = Copy::of(&lab.run_dir());
        let lines = copy.lines();
        let bad = |changed: &[Vec<u8>]| copy.first_bad("journal.jsonl", changed.concat());
        let is = |place: &str, line: usize| {
            let exact = place.strip_prefix(&format!("journal.jsonl line {line}"));
            assert!(exact.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')), "{place}, not line {line}");
        };
        // The same runbook run again, by the same program: every line could stand here but for the chain.
        let other = finished();
        let foreign = Copy::of(&other.run_dir()).lines();
        for at in 0..lines.len() {
            let mut changed = lines.clone();
            changed.remove(at);
            is(&bad(&changed), at + 1);
            for to in 0..=lines.len() {
                // A record of this run at any other place, besides its own.
                let mut changed = lines.clone();
                changed.insert(to, lines[at].clone());
                // Beside itself it is the second of the two that does not fit.
                is(&bad(&changed), if to == at { at + 2 } else { to + 1 });
            }
            for other in at + 1..lines.len() {
                let mut changed = lines.clone();
                changed.swap(at, other);
                is(&bad(&changed), at + 1);
            }
            for theirs in &foreign {
                let mut put_in = lines.clone();
                put_in.insert(at, theirs.clone());
                is(&bad(&put_in), at + 1);
                let mut instead = lines.clone();
                instead[at] = theirs.clone();
                is(&bad(&instead), at + 1);
            }
            // Everything from here on is that of the other run.
            let spliced: Vec<Vec<u8>> = lines[..at].iter().chain(foreign.iter().skip(at)).cloned().collect();
            is(&bad(&spliced), at + 1);
        }
        for keep in 0..lines.len() {
            is(&bad(&lines[..keep]), keep + 1);
        }
    }
}

#[test]
fn outputs_are_found_missing_cut_exchanged_put_in_and_replaced_by_what_is_no_file() {
    let lab = resumed(300_000);
    let dir = lab.run_dir();
    let out = |name: &str| dir.join("out").join(name);
    let bad = |place: &str| {
        let found = lab.call(&["verify", "last"]).expect(10);
        assert!(found.out.contains(&format!("bad: {place}: ")), "{place}: {found:#?}");
    };
    let names = ["first.1.log", "long.1.log", "long.2.log"];
    for name in names {
        let whole = std::fs::read(out(name)).unwrap();
        std::fs::write(out(name), [&whole[..], b"more"].concat()).unwrap();
        bad(&format!("out/{name}"));
        std::fs::write(out(name), whole).unwrap();
    }
    for name in names {
        let whole = std::fs::read(out(name)).unwrap();
        std::fs::remove_file(out(name)).unwrap();
        bad(&format!("out/{name}"));
        // What is there instead is looked at without waiting for it, and without following it.
        std::fs::create_dir(out(name)).unwrap();
        bad(&format!("out/{name}"));
        std::fs::remove_dir(out(name)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, out(name), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        bad(&format!("out/{name}"));
        std::fs::remove_file(out(name)).unwrap();
        std::fs::write(lab.path("same"), &whole).unwrap();
        std::os::unix::fs::symlink(lab.path("same"), out(name)).unwrap();
        bad(&format!("out/{name}"));
        std::fs::remove_file(out(name)).unwrap();
        for at in [0, 1, whole.len() / 2, whole.len() - 1] {
            std::fs::write(out(name), &whole[..at]).unwrap();
            bad(&format!("out/{name}"));
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(out(name), changed).unwrap();
            bad(&format!("out/{name}"));
        }
        std::fs::write(out(name), &whole).unwrap();
    }
    let swap = |one: &str, other: &str| {
        std::fs::rename(out(one), out("aside")).unwrap();
        std::fs::rename(out(other), out(one)).unwrap();
        std::fs::rename(out("aside"), out(other)).unwrap();
    };
    swap("first.1.log", "long.2.log");
    bad("out/first.1.log");
    bad("out/long.2.log");
    swap("first.1.log", "long.2.log");
    lab.sound();
    use std::os::unix::ffi::OsStrExt;
    let strange = std::ffi::OsStr::from_bytes(b"no-\xfftext");
    for name in [std::ffi::OsStr::new("long.3.log"), std::ffi::OsStr::new(".hidden"), strange] {
        for folder in ["out", "runbook"] {
            let path = dir.join(folder).join(name);
            std::fs::write(&path, "").unwrap();
            bad(&format!("{folder}/{}", name.to_string_lossy()));
            std::fs::remove_file(&path).unwrap();
        }
    }
    // Links in a circle, and a folder that is not there.
    std::os::unix::fs::symlink(".", dir.join("runbook/one")).unwrap();
    std::os::unix::fs::symlink(".", dir.join("runbook/two")).unwrap();
    bad("runbook/one");
    std::fs::remove_file(dir.join("runbook/one")).unwrap();
    std::fs::remove_file(dir.join("runbook/two")).unwrap();
    lab.sound();
    // What stands beside all this proves nothing, and is no reason to distrust it.
    std::fs::write(dir.join("notes.txt"), "a ticket").unwrap();
    assert!(lab.call(&["verify", "last"]).expect(0).out.contains("not proven: notes.txt: no record tells of it"));
    std::fs::rename(dir.join("journal.jsonl"), lab.path("away")).unwrap();
    bad("journal.jsonl");
    std::fs::rename(lab.path("away"), dir.join("journal.jsonl")).unwrap();
    std::fs::remove_dir_all(dir.join("out")).unwrap();
    std::fs::write(dir.join("out"), "").unwrap();
    bad("out");
}

#[test]
fn what_cannot_be_looked_at_does_not_keep_the_others_from_being_looked_at() {
    let lab = finished();
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    let mut dirs: Vec<PathBuf> =
        std::fs::read_dir(lab.runs_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    let names: Vec<&str> = dirs.iter().map(|dir| dir.file_name().unwrap().to_str().unwrap()).collect();
    std::fs::rename(&dirs[0], lab.path("away")).unwrap();
    std::os::unix::fs::symlink(lab.path("away"), &dirs[0]).unwrap();
    let found = lab.call(&["verify", names[0], names[1]]).expect(10);
    assert!(found.out.contains(&format!("run {}: NOT verified", names[0])), "{found:#?}");
    assert!(found.out.contains(&format!("run {}: verified", names[1])), "{found:#?}");
    assert!(found.err.contains("it is a link"), "{found:#?}");
}

#[test]
fn an_anchor_is_found_or_missed() {
    let lab = finished();
    let said = lab.call(&["verify", "last"]).expect(0).out;
    let head = said.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned();
    lab.call(&["verify", "last", "--anchor", &head]).expect(0);
    lab.call(&["verify", "last", "--anchor", &"0".repeat(64)]).expect(10);
}
