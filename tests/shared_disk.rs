//! State folders on which locks do not hold: refused before anything runs, with the reason and what to do.

use crate::lab::{Ended, LOOK_INSIDE, Lab, finish};

const BOOK: &str =
    "title: t\nlock: one\nsteps:\n  - {id: sure, confirm: Go?}\n  - {id: go, shell: 'echo go >> \"$HOME/marks\"'}\n";

/// `statfs(2)` answers with another magic number: the first eight bytes it fills in.
fn statfs(magic: u32) -> String {
    let bytes: String = u64::from(magic).to_ne_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("inject=statfs:poke_exit=@arg2={bytes}")
}

fn run(lab: &Lab, inject: &str) -> Ended {
    traced(lab, inject, &["run", "./book.yaml", "--yes"])
}

fn traced(lab: &Lab, inject: &str, args: &[&str]) -> Ended {
    finish(lab.traced(&[&LOOK_INSIDE[..], &["-e", inject]].concat(), args))
}

#[track_caller]
fn told(lab: &Lab, ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(9), "{ended:#?}");
    let folder = lab.state.join("runsheet").display().to_string();
    for word in words.iter().copied().chain([folder.as_str(), "nothing was run", "--state-dir", "XDG_STATE_HOME"]) {
        assert!(ended.err.contains(word), "no `{word}` in {}", ended.err);
    }
    assert!(lab.marks("marks").is_empty(), "{ended:#?}");
}

#[test]
fn file_systems_of_other_machines_are_refused() {
    for (magic, name) in [
        (0x6969, "NFS (mounted at /"),
        (0xff53_4d42, "SMB (CIFS) (mounted at /"),
        (0xfe53_4d42, "SMB"),
        (0x5346_414f, "AFS"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x0bd0_0bd0, "Lustre"),
        // Whatever this machine has there is no FUSE that is known to be local.
        (0x6573_5546, "FUSE ("),
    ] {
        let lab = Lab::new();
        lab.book(BOOK);
        told(&lab, &run(&lab, &statfs(magic)), &["it is on ", name]);
        assert!(!lab.state.exists(), "{name}: something was made");
    }
}

#[test]
fn disks_of_this_machine_are_taken() {
    // ext4, xfs, btrfs, overlay.
    for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x794c_7630] {
        let lab = Lab::new();
        lab.book(BOOK);
        run(&lab, &statfs(magic)).expect(0);
        assert_eq!(lab.marks("marks"), ["go"]);
    }
}

/// No lock at all, and locks that everybody gets: the error of the system is not enough to go on.
#[test]
fn locks_that_are_refused_or_mean_nothing_are_refused() {
    for (inject, why) in [
        ("inject=flock:error=ENOLCK", "no lock can be taken there: No locks available"),
        ("inject=flock:error=ENOSYS", "no lock can be taken there: Function not implemented"),
        ("inject=flock:error=EOPNOTSUPP", "no lock can be taken there: Operation not supported"),
        ("inject=flock:retval=0", "locks do not hold there: one that was held was granted a second time"),
        // The named lock holds, and that of the run does not.
        ("inject=flock:error=ENOLCK:when=3+", "no lock can be taken there"),
    ] {
        for book in [BOOK, &BOOK.replace("lock: one\n", "")] {
            if book != BOOK && inject.ends_with("3+") {
                continue;
            }
            let lab = Lab::new();
            lab.book(book);
            told(&lab, &run(&lab, inject), &[why]);
            assert!(lab.outcomes().is_empty());
            // On a disk that has locks it runs; nothing that was left is in the way.
            lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
        }
    }
}

#[test]
fn a_run_that_is_there_can_be_read_and_copied_to_where_it_can_go_on() {
    let lab = Lab::new();
    lab.book(BOOK);
    lab.call(&["run", "./book.yaml"]).expect(11);
    for inject in [statfs(0x6969), "inject=flock:error=ENOLCK".into(), "inject=flock:retval=0".into()] {
        let on = |args: &[&str]| traced(&lab, &inject, args);
        let refused = on(&["resume", "last", "--yes"]);
        told(&lab, &refused, &["resume from the copy"]);
        assert!(on(&["history"]).expect(0).out.contains("paused"), "{inject}");
        on(&["report", "last"]).expect(0);
        on(&["verify", "last"]).expect(0);
        let elsewhere = lab.path("elsewhere");
        let folder = elsewhere.display().to_string();
        let from = lab.state.join("runsheet");
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(&elsewhere).status().unwrap().success());
        lab.call(&["resume", "last", "--yes", "--state-dir", &folder]).expect(0);
        assert_eq!(lab.marks("marks"), ["go"]);
        std::fs::remove_dir_all(elsewhere).unwrap();
        std::fs::remove_file(lab.path("marks")).unwrap();
    }
    lab.call(&["resume", "last", "--yes"]).expect(0);
}
