//! The simulated disk forgets what a real one may forget.

use super::*;

fn disk() -> MemoryStorage {
    let disk = MemoryStorage::new();
    disk.create_dir(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn path() -> &'static Path {
    Path::new("/d/f")
}

#[test]
fn only_what_was_synced_survives() {
    let disk = disk();
    let mut file = disk.create(path()).unwrap();
    file.write_all(b"one").unwrap();
    file.sync().unwrap();
    let nameless = disk.fork();
    nameless.power_cut(Cut::Drop);
    assert!(!nameless.exists(path()), "the folder was not synced");
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_all(b"two").unwrap();
    assert_eq!(disk.read(path()).unwrap(), b"onetwo");
    let kept = disk.fork();
    kept.power_cut(Cut::Keep);
    assert_eq!(kept.read(path()).unwrap(), b"onetwo");
    disk.power_cut(Cut::Drop);
    assert_eq!(disk.read(path()).unwrap(), b"one");
    assert!(file.write_all(b"x").is_err(), "a handle does not outlive the machine");
}

#[test]
fn unsynced_writes_come_torn_and_out_of_order() {
    let base = disk();
    let mut file = base.create(path()).unwrap();
    base.sync_dir(Path::new("/d")).unwrap();
    file.write_all(b"aaaa").unwrap();
    file.write_all(b"bbbb").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = base.fork();
        disk.power_cut(Cut::Torn { seed });
        seen.insert(disk.read(path()).unwrap());
    }
    for expected in [&b""[..], b"aaaa", b"aaaabbbb", b"\0\0\0\0bbbb", b"aa", b"aaaabb"] {
        assert!(seen.contains(expected), "{expected:?}");
    }
}

#[test]
fn a_failed_sync_is_never_made_good() {
    let disk = disk();
    let mut file = disk.create(path()).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_all(b"lost").unwrap();
    disk.inject(Fault::on(Op::Sync, Fault::EIO));
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(Fault::EIO));
    file.write_all(b"next").unwrap();
    file.sync().unwrap();
    assert_eq!(disk.read(path()).unwrap(), b"lostnext");
    disk.power_cut(Cut::Drop);
    assert_eq!(disk.read(path()).unwrap(), b"\0\0\0\0next");
}

#[test]
fn faults_meet_the_nth_of_a_kind_and_may_leave_a_beginning() {
    let disk = disk();
    let mut file = disk.create(path()).unwrap();
    disk.inject(Fault::on(Op::Write, Fault::ENOSPC).path("f").nth(2).keeping(2));
    file.write_all(b"one").unwrap();
    assert_eq!(file.write_all(b"two").unwrap_err().raw_os_error(), Some(Fault::ENOSPC));
    file.write_all(b"three").unwrap();
    assert_eq!(disk.read(path()).unwrap(), b"onetwthree");
    disk.inject(Fault::on(Op::Write, Fault::EIO).forever());
    assert!(file.write_all(b"x").is_err() && file.write_all(b"x").is_err());
    disk.heal();
    file.write_all(b"!").unwrap();
}

#[test]
fn a_machine_stops_where_it_was_told() {
    let disk = disk();
    let mut file = disk.create(path()).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.halt_at(2);
    file.write_all(b"a").unwrap();
    file.sync().unwrap();
    assert!(file.write_all(b"b").is_err() && disk.halted());
    assert!(disk.read(path()).is_err());
    let killed = disk.fork();
    killed.kill();
    assert_eq!(killed.read(path()).unwrap(), b"ab");
    disk.power_cut(Cut::Drop);
    assert_eq!(disk.read(path()).unwrap(), b"a");
}

#[test]
fn locks_and_renames_behave() {
    let disk = disk();
    let mut lock = disk.lock(path(), LockKind::Exclusive).unwrap().unwrap();
    lock.describe("me").unwrap();
    assert!(disk.clone().lock(path(), LockKind::Shared).unwrap().is_none());
    drop(lock);
    assert!(disk.lock(path(), LockKind::Shared).unwrap().is_some());
    assert_eq!(disk.read(path()).unwrap(), b"me");
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.rename(path(), Path::new("/d/g")).unwrap();
    let early = disk.fork();
    early.power_cut(Cut::Drop);
    assert!(early.exists(path()) && !early.exists(Path::new("/d/g")));
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.power_cut(Cut::Drop);
    assert!(!disk.exists(path()) && disk.exists(Path::new("/d/g")));
}
