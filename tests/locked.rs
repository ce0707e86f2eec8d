//! Two runs that want the same: one has it, the other is told who.

use crate::lab::{Ended, Lab, Running, finish, until};

const BOOK: &str = r#"
title: One at a time
lock: deploy-{{ where }}
params: {where: {type: string, default: production}, race: {type: string, default: none}}
steps:
  - id: deploy
    shell: |
      echo "begin $race" >> "$HOME/marks"
      read -r _ < "$HOME/gate"
      echo "end $race" >> "$HOME/marks"
"#;

#[test]
fn of_two_at_once_one_wins_and_the_other_is_told_who() {
    let lab = Lab::new();
    lab.book(BOOK);
    let gate = lab.gate("gate");
    for race in 0..50 {
        let param = format!("race={race}");
        let args = ["run", "./book.yaml", "--yes", "--quiet", "--param", &param];
        let mut runs = vec![lab.start(&args), lab.start(&args)];
        let lost = loser(&mut runs);
        assert_eq!(lost.code, Some(8), "race {race}: {lost:#?}");
        for word in ["deploy-production", "tester", "book", "process"] {
            assert!(lost.err.contains(word), "race {race}: `{word}` is missing: {lost:#?}");
        }
        let winner = runs.remove(0);
        assert!(lost.err.contains(&format!("process {}", winner.pid())), "race {race}: {lost:#?}");
        gate.reached().pass();
        winner.end().expect(0);
    }
    let marks = lab.marks("marks");
    let expected: Vec<String> = (0..50).flat_map(|race| [format!("begin {race}"), format!("end {race}")]).collect();
    assert_eq!(marks, expected);
    // A loser is no run.
    assert_eq!(lab.outcomes(), vec!["succeeded"; 50]);
}

#[test]
fn a_run_that_is_to_be_resumed_keeps_its_lock() {
    let lab = Lab::new();
    lab.book(
        "title: t\nlock: one\nsteps:\n  - {id: sure, confirm: Go?}\n  - {id: go, shell: 'echo go >> \"$HOME/marks\"'}\n",
    );
    lab.call(&["run", "./book.yaml"]).expect(11);
    let run = lab.run_dir().file_name().unwrap().to_str().unwrap().to_owned();
    let refused = lab.call(&["run", "./book.yaml", "--yes"]).expect(8);
    assert!(refused.err.contains(&format!("runsheet resume {run}")), "{refused:#?}");
    assert!(lab.marks("marks").is_empty());
    lab.call(&["resume", "last", "--yes"]).expect(0);
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks"), ["go", "go"]);
}

#[test]
fn a_killed_run_keeps_its_lock_too() {
    let lab = Lab::new();
    lab.book(BOOK);
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    run.kill();
    lab.call(&["run", "./book.yaml", "--yes"]).expect(8);
    // Another lock is nobody's.
    let other = lab.start(&["run", "./book.yaml", "--yes", "--param", "where=stage", "--param", "race=other"]);
    until("the other", || lab.read("marks").contains("begin other"));
    other.signal(libc::SIGINT);
    other.end().expect(7);
    open.pass();
    let name = {
        let listed = lab.call(&["history", "--json", "--outcome", "interrupted"]).expect(0);
        let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
        listed[0]["run"].as_str().unwrap().to_owned()
    };
    lab.call(&["resume", &name, "--yes"]).expect(0);
    assert!(lab.read("marks").contains("end none"));
}

#[test]
fn of_two_resumes_one_goes_on() {
    for race in 0..15 {
        let lab = Lab::new();
        lab.book(
            "title: t\nsteps:\n  - {id: sure, confirm: Go?}\n  - id: go\n    shell: |\n      echo go >> \"$HOME/marks\"\n      read -r _ < \"$HOME/gate\"\n",
        );
        let gate = lab.gate("gate");
        lab.call(&["run", "./book.yaml"]).expect(11);
        let args = ["resume", "last", "--yes"];
        let mut both = vec![lab.start(&args), lab.start(&args)];
        let open = gate.reached();
        assert_eq!(lab.outcomes(), ["running"]);
        let lost = loser(&mut both).expect(8);
        let winner = both.remove(0);
        for word in ["tester is running 2", "(book)", " since 2", &format!("process {}", winner.pid()), "wait for it"] {
            assert!(lost.err.contains(word), "race {race}: no `{word}` in {lost:#?}");
        }
        open.pass();
        winner.end().expect(0);
        assert_eq!(lab.marks("marks"), ["go"]);
        lab.sound();
    }
}

/// Waits for the first of them to end, and takes it out.
fn loser(runs: &mut Vec<Running>) -> Ended {
    let mut loser = None;
    until("a loser", || {
        loser = runs.iter_mut().position(|run| !run.alive());
        loser.is_some()
    });
    runs.remove(loser.unwrap()).end()
}

/// A paused run has its lock whether or not somebody is just resuming it.
#[test]
fn a_run_never_takes_the_lock_of_one_that_is_just_resumed() {
    let lab = Lab::new();
    lab.book("title: t\nlock: one\nsteps:\n  - {id: sure, confirm: Go?}\n  - {id: go, shell: 'echo go >> \"$HOME/marks\"'}\n");
    for race in 1..=15 {
        lab.call(&["run", "./book.yaml"]).expect(11);
        let taker = lab.start(&["run", "./book.yaml", "--yes"]);
        let resumed = lab.start(&["resume", "last", "--yes"]);
        let (taken, resumed) = (taker.end(), resumed.end());
        // The lock may be free again by the time the second one asks, and held by the run that does not pause.
        match (taken.code, resumed.code) {
            (Some(8), Some(0)) => assert_eq!(lab.marks("marks").len(), race * 2 - 1, "race {race}"),
            (Some(0), Some(0)) => {
                assert_eq!(lab.marks("marks").len(), race * 2, "race {race}");
                continue;
            }
            // A look at who holds it is an attempt to take it: then the resume is to be tried again.
            (Some(8), Some(8)) => {
                assert!(resumed.err.contains("try again") || resumed.err.contains("wait for it"), "{resumed:#?}");
                lab.call(&["resume", "last", "--yes"]).expect(0);
            }
            _ => panic!("race {race}: {taken:#?} {resumed:#?}"),
        }
        assert!(taken.err.contains("take the lock `one`"), "{taken:#?}");
        lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
        assert_eq!(lab.marks("marks").len(), race * 2, "race {race}");
    }
    assert!(lab.outcomes().iter().all(|outcome| outcome == "succeeded"));
}

/// The holder dies as another one comes; and the holder ends as another one comes.
#[test]
fn a_taker_at_the_moment_of_a_death_or_an_end_never_runs_beside_the_holder() {
    for race in 0..16 {
        let lab = Lab::new();
        lab.book(BOOK);
        let gate = lab.gate("gate");
        let name = format!("race={race}");
        let run = lab.start(&["run", "./book.yaml", "--yes", "--param", &name]);
        let open = gate.reached();
        let taker = |lab: &Lab| lab.start(&["run", "./book.yaml", "--yes", "--param", "race=taker"]);
        if race % 2 == 0 {
            let taker = taker(&lab);
            let holder = run.pid();
            run.kill();
            // Nothing of it is over: its step still runs, and its lock is kept for it.
            let refused = taker.end().expect(8);
            let told = refused.err.contains("runsheet resume 2") || refused.err.contains(&format!("process {holder}"));
            assert!(told, "{refused:#?}");
            open.pass();
            lab.call(&["resume", "last", "--yes"]).expect(0);
            assert_eq!(lab.marks("marks"), [format!("begin {race}"), format!("end {race}")]);
        } else {
            let taker = taker(&lab);
            open.pass();
            run.end().expect(0);
            let mut taker = vec![taker];
            // Refused, or it came when the lock was free again: then it stands at the gate.
            let gate = crate::lab::Gate::at(&lab.path("gate"));
            until("the taker", || !taker[0].alive() || lab.read("marks").contains("begin taker"));
            let expected = vec![format!("begin {race}"), format!("end {race}")];
            if taker[0].alive() {
                gate.reached().pass();
                taker.remove(0).end().expect(0);
                assert_eq!(lab.marks("marks"), [expected, vec!["begin taker".into(), "end taker".into()]].concat());
            } else {
                let refused = taker.remove(0).end().expect(8);
                assert!(refused.err.contains("deploy-production"), "{refused:#?}");
                assert_eq!(lab.marks("marks"), expected);
            }
        }
        lab.sound();
    }
}

/// Killed at each change on the way to its first step: where no run came of it the lock is free, and otherwise the run
/// that has it can be resumed.
#[test]
fn a_taker_that_is_killed_on_its_way_leaves_no_lock_behind() {
    const BOOK: &str = "title: t\nlock: one\nsteps:\n  - {id: go, shell: 'echo go >> \"$HOME/marks\"'}\n";
    let (mut unborn, mut born) = (0, 0);
    for (call, numbers) in
        [("mkdir", 1..=9), ("rename", 1..=2), ("fdatasync", 1..=8), ("fsync", 1..=8), ("flock", 1..=4)]
    {
        for number in numbers {
            let lab = Lab::new();
            lab.book(BOOK);
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let killed = finish(lab.traced(&["-e", &inject], &["run", "./book.yaml", "--yes"]));
            if killed.code.is_some_and(|code| code == 0) {
                continue;
            }
            assert!(lab.marks("marks").len() <= 1);
            if lab.outcomes().is_empty() {
                unborn += 1;
                lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
                assert_eq!(lab.marks("marks"), ["go"], "{call} {number}");
            } else {
                born += 1;
                let refused = lab.call(&["run", "./book.yaml", "--yes"]).expect(8);
                assert!(refused.err.contains("runsheet resume 2"), "{call} {number}: {refused:#?}");
                lab.call(&["resume", "last", "--yes"]).expect(0);
                lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
                assert_eq!(lab.marks("marks"), ["go", "go"], "{call} {number}");
            }
        }
    }
    println!("{unborn} kills before there was a run, {born} after");
    assert!(unborn >= 15 && born >= 1, "{unborn} {born}");
}

const PAUSES: &str = "title: t\nlock: 'lock of {{ where }}'\nparams: {where: {type: string, default: here}}\nsteps:\n  - {id: sure, confirm: Go?}\n";

/// Who, where, since when, and what to do: for a lock whose run waits, and for one whose run goes on elsewhere.
#[test]
fn a_refusal_names_who_where_since_when_and_what_to_do() {
    let lab = Lab::new();
    lab.book(PAUSES);
    lab.call(&["run", "./book.yaml"]).expect(11);
    let run = lab.run_dir().file_name().unwrap().to_str().unwrap().to_owned();
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let since = lab.journal()[0]["time"].as_str().unwrap()[..16].to_owned();
    let words = |says: &str, words: &[&str]| {
        for word in words {
            assert!(says.contains(word), "no `{word}` in {says}");
        }
    };
    let refused = lab.call(&["run", "./book.yaml"]).expect(8).err;
    words(
        &refused,
        &["the lock `lock of here`", &run, "(book)", "tester", &host, &since, "resume it and let it end, or quit it"],
    );
    words(&refused, &[&format!("runsheet resume {run}")]);

    // Held from another machine: its host is what is told, and nobody looks here for its process.
    let locks = lab.state.join("runsheet/locks");
    let stem = std::fs::read_dir(&locks).unwrap().find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".owner").map(str::to_owned)
    });
    let stem = stem.unwrap();
    let holder = std::fs::read_to_string(locks.join(format!("{stem}.owner"))).unwrap();
    let mut holder: serde_json::Value = serde_json::from_str(&holder).unwrap();
    holder["host"] = "far.example".into();
    holder["pid"] = 999_999_999.into();
    for (path, live) in
        [(locks.join(format!("{stem}.lock")), "wait for it to end"), (lab.run_dir().join("run.lock"), "wait for it")]
    {
        std::fs::write(&path, holder.to_string()).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        file.try_lock().unwrap();
        let args: &[&str] = if path.ends_with("run.lock") { &["resume", &run] } else { &["run", "./book.yaml"] };
        let refused = lab.call(args).expect(8).err;
        words(&refused, &[&run, "(book)", "tester", "far.example", &since, "process 999999999", live, "stop it there"]);
    }

    // What stands there is a program's that is gone, and somebody has it: nobody wrong is named.
    holder["host"] = host.as_str().into();
    std::fs::write(locks.join(format!("{stem}.lock")), "").unwrap();
    let file = std::fs::File::open(locks.join(format!("{stem}.lock"))).unwrap();
    file.try_lock().unwrap();
    words(&lab.call(&["run", "./book.yaml"]).expect(8).err, &["has not said yet who it is", "try again"]);
}

/// Names come from other people and other machines; a terminal shows them and does nothing else.
#[test]
fn hostile_names_in_a_refusal_are_harmless() {
    let lab = Lab::new();
    lab.book(PAUSES);
    let hostile = "x\u{1b}]0;gone\u{7}\u{1b}[2J\u{202e}\r\nrunsheet: all is well\u{9b}31m";
    let param = format!("where={hostile}");
    let call = |args: &[&str]| {
        let mut command = lab.command(args);
        command.env("USER", hostile);
        finish(command)
    };
    call(&["run", "./book.yaml", "--param", &param]).expect(11);
    let check = |refused: Ended| {
        let refused = refused.expect(8).err;
        assert!(refused.contains("\\u{1b}]0;gone\\u{7}") && refused.contains("\\u{202e}"), "{refused:?}");
        assert!(!refused.chars().any(|c| c.is_control() && c != '\n'), "{refused:?}");
        assert_eq!(refused.lines().filter(|line| line.starts_with("runsheet: ")).count(), 1, "{refused:?}");
    };
    check(call(&["run", "./book.yaml", "--param", &param]));
    let file = std::fs::File::open(lab.run_dir().join("run.lock")).unwrap();
    file.try_lock().unwrap();
    let owner = std::fs::read_dir(lab.state.join("runsheet/locks")).unwrap();
    let owner = owner.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "owner"));
    std::fs::copy(owner.unwrap(), lab.run_dir().join("run.lock")).unwrap();
    // A holder that is gone is looked at again; the test itself has it.
    let text = std::fs::read_to_string(lab.run_dir().join("run.lock")).unwrap();
    let mut holder: serde_json::Value = serde_json::from_str(&text).unwrap();
    holder["pid"] = std::process::id().into();
    std::fs::write(lab.run_dir().join("run.lock"), holder.to_string()).unwrap();
    check(call(&["resume", "last"]));
}

/// Killed between its end on record and the end of its lock: it keeps nobody out, and a resume clears up.
#[test]
fn a_run_that_was_killed_right_after_its_end_gives_its_lock_up_at_resume() {
    let lab = Lab::new();
    lab.book("title: t\nlock: one\nsteps:\n  - {id: go, shell: 'echo go >> \"$HOME/marks\"'}\n");
    let owners = || {
        let names = std::fs::read_dir(lab.state.join("runsheet/locks")).unwrap();
        names.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "owner")).count()
    };
    let killed = finish(lab.traced(&["-e", "inject=unlink:signal=KILL"], &["run", "./book.yaml", "--yes"]));
    assert_eq!((killed.code, owners()), (None, 1), "{killed:#?}");
    assert_eq!(lab.outcomes(), ["succeeded"]);
    lab.call(&["resume", "last"]).expect(0);
    assert_eq!(owners(), 0);
    lab.sound();
    // And where nobody resumes it, the next one takes it.
    finish(lab.traced(&["-e", "inject=unlink:signal=KILL"], &["run", "./book.yaml", "--yes"]));
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert_eq!((owners(), lab.marks("marks").len()), (0, 3));
}

/// A run that can never go on does not keep its lock for ever: what frees it is told.
#[test]
fn a_lock_whose_run_cannot_be_resumed_says_how_it_is_freed() {
    let lab = Lab::new();
    lab.book(PAUSES);
    lab.call(&["run", "./book.yaml"]).expect(11);
    let path = lab.run_dir().join("journal.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    lab.call(&["resume", "last"]).expect(10);
    let refused = lab.call(&["run", "./book.yaml"]).expect(8).err;
    let (_, way) = refused.trim_end().split_once("free the lock: ").unwrap();
    assert!(refused.contains("cannot be resumed: could not trust") && refused.contains("line 1"), "{refused}");
    let freed = std::process::Command::new("sh").arg("-c").arg(way.lines().next().unwrap()).status().unwrap();
    assert!(freed.success());
    lab.call(&["run", "./book.yaml"]).expect(11);
}
