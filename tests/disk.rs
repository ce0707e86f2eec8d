//! A disk that refuses: nothing new starts, what ran is on record somewhere, and the run goes on once the disk is back.

use std::{collections::BTreeMap, process::Command};

use crate::lab::{Ended, Gate, Lab, Running, finish, until};

const BOOK: &str = r#"
title: Three changes
steps:
  - id: one
    shell: |
      echo one >> "$HOME/marks"
      echo "out of one"
  - id: two
    shell: echo two >> "$HOME/marks"
  - id: three
    shell: |
      echo three >> "$HOME/marks"
      echo "out of three"
    capture: {three: result.stdout}
  - id: four
    shell: echo "four $three" >> "$HOME/marks"
"#;

const MARKS: [&str; 4] = ["one", "two", "three", "four out of three"];

/// How often each call is made in a run that nothing disturbs.
fn counts(book: &str) -> BTreeMap<String, usize> {
    let lab = Lab::new();
    lab.book(book);
    let trace = "trace=write,fdatasync,fsync,rename,mkdir,openat,ftruncate,flock,fallocate,pwrite64";
    finish(lab.traced(&["-e", trace], &["run", "./book.yaml", "--yes"])).expect(0);
    let mut counts = BTreeMap::new();
    for line in lab.read("trace").lines() {
        if let Some((name, _)) = line.split_once('(') {
            *counts.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

/// One call fails. Either nobody noticed, or the run stopped there and says so.
fn check_failed_once(lab: &Lab, ended: &Ended, point: &str) {
    match ended.code {
        Some(0) => {
            assert_eq!(lab.marks("marks"), MARKS, "{point}");
            return;
        }
        Some(9) => {}
        _ => panic!("{point}: {ended:#?}"),
    }
    assert!(ended.err.contains("runsheet: "), "{point}: {ended:#?}");
    let outcomes = lab.outcomes();
    if outcomes.is_empty() {
        assert!(lab.marks("marks").is_empty(), "{point}: something happened without a run");
        lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    } else {
        let done = lab.marks("marks");
        assert!(MARKS.starts_with(&done.iter().map(String::as_str).collect::<Vec<_>>()), "{point}: {done:?}");
        lab.call(&["report", "last"]).expect(0);
        // What ran is known: nobody is asked, and nothing is repeated.
        let resumed = lab.call(&["resume", "last", "--yes"]);
        assert_eq!(resumed.code, Some(0), "{point}: {ended:#?} {resumed:#?} {:#?}", lab.journal());
    }
    assert_eq!(lab.marks("marks"), MARKS, "{point}: {ended:#?}");
    assert_eq!(lab.outcomes(), ["succeeded"], "{point}");
    lab.sound();
}

fn fail_at(call: &str, error: &str, most: usize, least_noticed: usize) {
    let count = counts(BOOK)[call];
    let every = count.div_ceil(most).max(1);
    let points: Vec<usize> = (1..=count).step_by(every).collect();
    println!("{call} {error}: {} of {count} points", points.len());
    let mut noticed = 0;
    for number in points {
        let point = format!("{call} {number} {error}");
        let lab = Lab::new();
        lab.book(BOOK);
        let inject = format!("inject={call}:error={error}:when={number}");
        let ended = finish(lab.traced(&["-e", &inject], &["run", "./book.yaml", "--yes"]));
        noticed += usize::from(ended.code == Some(9));
        check_failed_once(&lab, &ended, &point);
    }
    assert!(noticed >= least_noticed, "{call}: only {noticed} were noticed");
}

#[test]
fn a_sync_that_fails_once_stops_the_run() {
    fail_at("fdatasync", "EIO", 40, 18);
    fail_at("fsync", "EIO", 4, 3);
}

#[test]
fn a_write_that_fails_once_stops_the_run() {
    fail_at("write", "ENOSPC", 20, 5);
    fail_at("mkdir", "EROFS", 3, 3);
    fail_at("rename", "ENOSPC", 2, 1);
}

/// Every resume gets a little further than the one before, and none repeats what was done.
#[test]
fn a_disk_that_fails_again_and_again_wears_nothing_out() {
    for (first, stride) in [(7, 1), (9, 2), (12, 3)] {
        let lab = Lab::new();
        lab.book(BOOK);
        let inject = |number| format!("inject=fdatasync:error=EIO:when={number}");
        finish(lab.traced(&["-e", &inject(first)], &["run", "./book.yaml", "--yes"])).expect(9);
        let mut over = false;
        for number in (1..60).step_by(stride) {
            let ended = finish(lab.traced(&["-e", &inject(number)], &["resume", "last", "--yes"]));
            assert!(matches!(ended.code, Some(0 | 9)), "{first}, {number}: {ended:#?} {:#?}", lab.journal());
            lab.call(&["verify", "last"]).expect(0);
            over = ended.code == Some(0);
            if over {
                break;
            }
        }
        assert!(over);
        assert_eq!(lab.marks("marks"), MARKS);
        assert_eq!(lab.outcomes(), ["succeeded"]);
        lab.sound();
    }
}

/// From some point on nothing can be written, the reserve included: what ran stands on standard error.
#[test]
fn a_disk_that_is_gone_leaves_the_record_on_standard_error() {
    let lab = Lab::new();
    lab.book(BOOK);
    let gate = lab.gate("gate");
    lab.book(&BOOK.replace("echo two >>", "read -r _ < \"$HOME/gate\"; echo two >>"));
    // How many syncs there are before the second step runs.
    let traced = Running::of(lab.traced(&["-e", "trace=fdatasync"], &["run", "./book.yaml", "--yes"]));
    let open = gate.reached();
    let mut before = 0;
    until("the trace", || {
        let now = lab.read("trace").lines().filter(|line| line.starts_with("fdatasync")).count();
        let settled = now > 0 && now == before;
        before = now;
        settled
    });
    open.pass();
    traced.end().expect(0);

    let lab = Lab::new();
    lab.book(BOOK);
    let inject = format!("inject=fdatasync:error=EIO:when={}+", before + 1);
    let ended = finish(lab.traced(&["-e", &inject], &["run", "./book.yaml", "--yes"])).expect(9);
    assert_eq!(lab.marks("marks"), ["one", "two"]);
    let told = ended.err.lines().any(|line| line.contains(r#""event":"step_finished""#) && line.contains(r#""two""#));
    assert!(told, "{ended:#?}");
    // The supervisor's record is there as well.
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks"), MARKS);
    lab.sound();
}

/// A limit on the size of files is a full disk to those below it, and not a reason to die of a signal.
#[test]
fn a_limit_on_files_is_a_full_disk() {
    let lab = Lab::new();
    let mut book = String::from("title: Much to record\nsteps:\n");
    for number in 0..4 {
        book.push_str(&format!(
            "  - id: step-{number}\n    shell: echo {number} >> \"$HOME/marks\"; head -c 50000 /dev/zero | tr '\\0' x\n    capture: {{c{number}: result.stdout}}\n"
        ));
    }
    lab.book(&book);
    let mut command = Command::new("bash");
    let inner = lab.command(&[]);
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(lab.path("work")).stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.args(["-c", "ulimit -f 110; exec \"$0\" run ./book.yaml --yes --quiet", crate::lab::BINARY]);
    let ended = finish(command);
    assert_eq!(ended.code, Some(9), "{ended:#?}");
    let done = lab.marks("marks").len();
    assert!((1..4).contains(&done), "{done}");
    lab.call(&["report", "last"]).expect(0);
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks"), ["0", "1", "2", "3"]);
    lab.sound();
}

/// A small disk of one's own; taken away with the test.
struct Mount(std::path::PathBuf);

impl Mount {
    /// None where nothing may be mounted: that takes root, and a container may keep even root from it. Everybody else
    /// has the tests above, which fail the same calls one by one.
    fn new(lab: &Lab, options: &str) -> Option<Mount> {
        std::fs::create_dir_all(&lab.state).unwrap();
        let tried =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&lab.state).output().unwrap();
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr);
            println!("no disk could be mounted; the injected failures of this module cover the same ground: {why}");
            return None;
        }
        Some(Mount(lab.state.clone()))
    }

    fn again(&self, options: &str) {
        self.call(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0));
    }

    fn call(&self, command: &mut Command) {
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_the_run_until_there_is_room() {
    let lab = Lab::new();
    let Some(disk) = Mount::new(&lab, "size=600k,mode=0700") else { return };
    let mut book = String::from(
        "title: Filling\nsteps:\n  - id: fill\n    shell: echo fill >> \"$HOME/marks\"; head -c 2M /dev/zero > \"$HOME/state/filler\" || true\n",
    );
    for number in 0..20 {
        book.push_str(&format!("  - {{id: step-{number}, shell: 'echo {number} >> \"$HOME/marks\"; echo out'}}\n"));
    }
    lab.book(&book);
    let ended = lab.call(&["run", "./book.yaml", "--yes", "--quiet"]).expect(9);
    assert!(ended.err.to_lowercase().contains("no space"), "{ended:#?}");
    let done = lab.marks("marks").len();
    assert!((1..21).contains(&done), "{done}");
    // Still full: it says so again, and nothing runs.
    lab.call(&["resume", "last", "--yes"]).expect(9);
    assert_eq!(lab.marks("marks").len(), done);
    lab.call(&["history"]).expect(0);
    lab.call(&["report", "last"]).expect(0);
    std::fs::remove_file(lab.path("state/filler")).unwrap();
    disk.again("size=4m");
    lab.call(&["resume", "last", "--yes"]).expect(0);
    let expected: Vec<String> = std::iter::once("fill".into()).chain((0..20).map(|n| n.to_string())).collect();
    assert_eq!(lab.marks("marks"), expected);
    lab.sound();
}

#[test]
fn a_disk_that_became_read_only_can_be_read() {
    let lab = Lab::new();
    let Some(disk) = Mount::new(&lab, "size=4m,mode=0700") else { return };
    lab.book("title: t\nsteps:\n  - {id: sure, confirm: Go?}\n  - {id: go, shell: 'echo go >> \"$HOME/marks\"'}\n");
    lab.call(&["run", "./book.yaml"]).expect(11);
    disk.again("ro");
    assert_eq!(lab.outcomes(), ["paused"]);
    lab.sound();
    lab.call(&["resume", "last", "--yes"]).expect(9);
    lab.call(&["run", "./book.yaml", "--yes"]).expect(9);
    assert!(lab.marks("marks").is_empty());
    disk.again("rw");
    lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(lab.marks("marks"), ["go"]);
    lab.sound();
}

#[test]
fn a_folder_taken_away_under_a_run_stops_it() {
    for says in ["", "echo said"] {
        let lab = Lab::new();
        lab.book(&format!(
            "title: t\nsteps:\n  - id: one\n    shell: |\n      read -r _ < \"$HOME/gate\"\n      echo one >> \"$HOME/marks\"\n      {says}\n  - {{id: two, shell: 'echo two >> \"$HOME/marks\"'}}\n"
        ));
        let gate = lab.gate("gate");
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        std::fs::remove_dir_all(&lab.state).unwrap();
        open.pass();
        let ended = run.end().expect(9);
        assert_eq!(lab.marks("marks"), ["one"], "{says}");
        let told =
            ended.err.lines().any(|line| line.contains(r#""event":"step_finished""#) && line.contains(r#""one""#));
        assert!(told, "{ended:#?}");
        assert!(lab.call(&["history"]).expect(0).out.contains("no runs"));
    }
}

/// One part of a run's folder is taken away while a step runs. Nothing new starts, and what ran is told.
#[test]
fn a_part_of_a_run_taken_away_under_it_stops_it() {
    const BOOK: &str = r#"
title: t
steps:
  - id: one
    shell: |
      echo one >> "$HOME/marks"
      echo "out of one"
  - id: two
    shell: |
      read -r _ < "$HOME/gate"
      echo two >> "$HOME/marks"
      echo "out of two"
  - {id: three, shell: 'echo three >> "$HOME/marks"'}
"#;
    // What is taken away; whether the run can go on; what `verify` says then.
    for (part, resumes, verified) in
        [("", false, 0), ("journal.jsonl", false, 0), ("out", true, 10), ("journal.jsonl and reserve", false, 0)]
    {
        let lab = Lab::new();
        lab.book(BOOK);
        let gate = lab.gate("gate");
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        let open = gate.reached();
        let folder = lab.run_dir();
        for part in part.split(" and ") {
            let path = folder.join(part);
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        open.pass();
        let ended = run.end().expect(9);
        assert_eq!(lab.marks("marks"), ["one", "two"], "{part}");
        let reserve = std::fs::read(folder.join("reserve")).unwrap_or_default();
        let told = ended.err.clone() + &String::from_utf8_lossy(&reserve);
        let end = |line: &str| line.contains(r#""event":"step_finished""#) && line.contains(r#""step":"two""#);
        assert!(told.lines().any(end), "{part}: {told}");
        if part.is_empty() {
            assert!(ended.err.contains("it cannot be resumed") && ended.err.contains("is gone"), "{ended:#?}");
            lab.call(&["resume", "last", "--yes"]).expect(2);
        } else if resumes {
            lab.call(&["resume", "last", "--yes"]).expect(0);
            assert_eq!(lab.marks("marks"), ["one", "two", "three"]);
            let said = lab.call(&["verify", "last"]).expect(verified);
            assert!(said.out.contains("out/one.1.log"), "{said:#?}");
        } else {
            // Its record is gone, and nothing pretends otherwise.
            let refused = lab.call(&["resume", "last", "--yes"]);
            assert_ne!(refused.code, Some(0), "{part}: {refused:#?}");
            assert!(refused.err.contains("journal.jsonl"), "{part}: {refused:#?}");
            assert_eq!(lab.outcomes(), ["broken"], "{part}");
            assert_eq!(lab.marks("marks"), ["one", "two"], "{part}");
        }
    }
}

/// Three run side by side when the disk is full, under a live run and for real: all three go to their ends, all three
/// ends are kept, nothing else starts, and it goes on where there is room again.
#[test]
fn a_disk_that_fills_up_beside_three_steps_keeps_their_ends() {
    let step = |id: &str| {
        format!(
            "  - id: {id}\n    needs: []\n    shell: |\n      echo begin {id} >> \"$HOME/marks\"\n      read -r _ < \"$HOME/gate-{id}\"\n      echo end {id} >> \"$HOME/marks\"\n"
        )
    };
    let last = "  - {id: after-a, needs: [a], shell: 'echo after-a >> \"$HOME/marks\"'}\n  - {id: last, needs: [a, b, c], shell: 'echo last >> \"$HOME/marks\"'}\n";
    for (order, asks) in [(["a", "b", "c"], false), (["c", "b", "a"], false), (["b", "a", "c"], true)] {
        let lab = Lab::new();
        let question = if asks { "  - {id: sure, needs: [b], confirm: Go?}\n" } else { "" };
        lab.book(&format!("title: t\nsteps:\n{}{}{}{question}{last}", step("a"), step("b"), step("c")));
        let gates = order.map(|id| lab.gate(&format!("gate-{id}")));
        let run = lab.start(&["run", "./book.yaml", "--yes", "--quiet"]);
        let open = gates.each_ref().map(Gate::reached);
        // Not a byte more than the journal has; of the reserve, which is there already, so much may be used.
        let full = std::fs::metadata(lab.run_dir().join("journal.jsonl")).unwrap().len();
        limit(run.pid(), full);
        for (number, (open, id)) in open.into_iter().zip(order).enumerate() {
            open.pass();
            let mark = format!("end {id}");
            until("its end", || lab.marks("marks").contains(&mark));
            // The disk is full for the first of them already; the others go on all the same.
            if number == 0 {
                until("the end in the reserve", || {
                    let kept = std::fs::read(lab.run_dir().join("reserve")).unwrap();
                    String::from_utf8_lossy(&kept).contains(r#""event":"step_finished""#)
                });
            }
        }
        let ended = run.end().expect(9);
        assert!(ended.err.contains("File too large"), "{ended:#?}");
        let done = lab.marks("marks");
        assert_eq!(done.iter().filter(|mark| mark.starts_with("end ")).count(), 3, "{done:?}");
        assert_eq!(done.len(), 6, "{done:?}");
        let resumed = lab.call(&["resume", "last", "--yes"]).expect(0);
        assert!(!resumed.err.contains("unknown"), "{resumed:#?}");
        let mut after = lab.marks("marks").split_off(6);
        after.sort();
        assert_eq!(after, ["after-a", "last"]);
        lab.sound();
    }
}

/// From now on this program writes to no file beyond so many bytes; a write that would is cut short there, and the next
/// is refused (setrlimit(2), RLIMIT_FSIZE). What it has started already is not limited.
fn limit(pid: i32, bytes: u64) {
    let limit = rustix::process::Rlimit { current: Some(bytes), maximum: None };
    rustix::process::prlimit(rustix::process::Pid::from_raw(pid), rustix::process::Resource::Fsize, limit).unwrap();
}
