//! A disk that refuses, at each moment of a run: nothing new starts, what ran is on record, and the run goes on later.

use crate::lab::{Ended, LOOK_INSIDE, Lab, finish};

const BOOK: &str = r#"
title: All there is to record
steps:
  - id: one
    shell: |
      echo one >> "$HOME/marks"
      echo "out of one"
  - {id: sure, confirm: Go?}
  - id: big
    shell: |
      echo big >> "$HOME/marks"
      printf '%02000d\n' 7
      echo "big is over" >> "$HOME/marks"
  - {id: later, confirm: And now?}
  - id: two
    shell: echo two >> "$HOME/marks"
"#;

const MARKS: [&str; 4] = ["one", "big", "big is over", "two"];

/// To the pause: the second question has no answer.
const FIRST: [&str; 4] = ["run", "./book.yaml", "--answers", "../answers"];
/// From there to the end.
const SECOND: [&str; 3] = ["resume", "last", "--yes"];

/// In which of the two calls, the file that is written, and what stands in the write; none for the first write.
type Moment = (usize, &'static str, &'static [&'static str]);

const MOMENTS: [Moment; 19] = [
    // The run is not there yet.
    (0, "/run.lock", &[]),
    (0, "/plan.json", &[]),
    (0, "/journal.jsonl", &[r#""event":"run_started""#]),
    // Before the first step, and at its start.
    (0, "/journal.jsonl", &[r#""event":"step_started""#, r#""step":"one""#]),
    (0, "/journal.jsonl", &[r#""event":"effect_intended""#, r#""step":"one""#]),
    // At its end: its output, then its record.
    (0, "/out/one.1.log", &[]),
    (0, "/journal.jsonl", &[r#""event":"step_finished""#, r#""step":"one""#]),
    // At a question.
    (0, "/journal.jsonl", &[r#""event":"question_asked""#, r#""step":"sure""#]),
    (0, "/journal.jsonl", &[r#""event":"question_answered""#, r#""step":"sure""#]),
    // While a step runs, by its output.
    (0, "/out/big.1.log", &[]),
    (0, "/journal.jsonl", &[r#""event":"step_finished""#, r#""step":"big""#]),
    (0, "/journal.jsonl", &[r#""event":"run_paused""#]),
    // In the recovery of a resume, and behind it.
    (1, "/journal.jsonl.new", &[]),
    (1, "/run.lock", &[]),
    (1, "/journal.jsonl", &[r#""event":"run_resumed""#]),
    (1, "/journal.jsonl", &[r#""event":"question_answered""#, r#""step":"later""#]),
    (1, "/journal.jsonl", &[r#""event":"step_started""#, r#""step":"two""#]),
    (1, "/journal.jsonl", &[r#""event":"step_finished""#, r#""step":"two""#]),
    (1, "/journal.jsonl", &[r#""event":"run_finished""#]),
];

fn lab() -> Lab {
    let lab = Lab::new();
    lab.book(BOOK);
    lab.file("answers", "sure: 'yes'\n");
    lab
}

fn call(phase: usize) -> &'static [&'static str] {
    [&FIRST[..], &SECOND[..]][phase]
}

/// A traced program: its calls in order, each with the files it is about.
fn traced(lab: &Lab, phase: usize, extra: &[&str]) -> (Ended, Vec<String>) {
    let mut options = vec!["-y", "-s", "1000"];
    options.extend(LOOK_INSIDE);
    if extra.is_empty() {
        options.extend(["-e", "trace=prctl,write,fdatasync,pwrite64"]);
    }
    options.extend(extra);
    let ended = finish(lab.traced(&options, call(phase)));
    let lines = lab.read("trace");
    let lines = lines.lines().filter(|line| !line.starts_with("prctl(")).map(|line| line.replace("\\\"", "\""));
    (ended, lines.collect())
}

/// Whether a line of a trace is that call on that file, with those words in it.
fn is(line: &str, name: &str, file: &str, words: &[&str]) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
        && line.contains(&format!("{file}>"))
        && words.iter().all(|word| line.contains(word))
}

/// The number of a line among those of its call, counted from 1.
fn number(lines: &[String], at: usize) -> usize {
    let name = lines[at].split('(').next().unwrap();
    lines[..=at].iter().filter(|line| line.split('(').next() == Some(name)).count()
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The write is refused; the reserve takes the record.
    Write(&'static str),
    /// The sync behind it fails, once.
    Sync,
    /// It and all later ones fail: the reserve is not to be had.
    SyncsFromThere,
    /// The write is refused and so are all to the reserve.
    WriteAndReserve,
}

/// What `strace` is to do, by the calls of an undisturbed run.
fn inject(fault: Fault, lines: &[String], (_, file, words): Moment) -> Vec<String> {
    let write =
        lines.iter().position(|line| is(line, "write", file, words)).unwrap_or_else(|| panic!("{file} {words:?}"));
    let sync = || {
        let behind = lines[write..].iter().position(|line| is(line, "fdatasync", file, &[])).unwrap();
        number(lines, write + behind)
    };
    let number = number(lines, write);
    match fault {
        Fault::Write(errno) => vec![format!("inject=write:error={errno}:when={number}")],
        Fault::Sync => vec![format!("inject=fdatasync:error=EIO:when={}", sync())],
        Fault::SyncsFromThere => vec![format!("inject=fdatasync:error=EIO:when={}+", sync())],
        Fault::WriteAndReserve => {
            let before = lines[..write].iter().filter(|line| line.starts_with("pwrite64(")).count();
            vec![
                format!("inject=write:error=ENOSPC:when={number}"),
                format!("inject=pwrite64:error=ENOSPC:when={}+", before + 1),
            ]
        }
    }
}

/// What is on record anywhere: the journal, the reserve, and what was said on standard error.
fn on_record(lab: &Lab, ended: &Ended) -> String {
    let mut text = ended.err.clone();
    for name in ["journal.jsonl", "reserve"] {
        let bytes = std::fs::read(lab.run_dir().join(name)).unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

fn check(lab: &Lab, ended: &Ended, fault: Fault, moment: Moment, point: &str) {
    let (_, file, words) = moment;
    assert_eq!(ended.code, Some(9), "{point}: {ended:#?}");
    let told = ["No space left on device", "Input/output error", "Read-only file system"];
    assert!(told.iter().any(|word| ended.err.contains(word)), "{point}: {ended:#?}");
    let done = lab.marks("marks");
    assert!(MARKS.starts_with(&done.iter().map(String::as_str).collect::<Vec<_>>()), "{point}: {done:?}");
    if lab.outcomes().is_empty() {
        assert!(done.is_empty(), "{point}: something happened without a run");
        lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    } else {
        assert!(
            ended.err.contains("go on with: runsheet resume 2") || file.contains(".new") || file == "/run.lock",
            "{point}: {ended:#?}"
        );
        // What began before the disk refused went to its end, and its end is somewhere.
        assert_ne!(done.last().map(String::as_str), Some("big"), "{point}: a step was cut short");
        let known = on_record(lab, ended);
        for step in ["one", "big", "two"] {
            let of = |line: &&str| {
                line.contains(r#""event":"step_finished""#) && line.contains(&format!(r#""step":"{step}""#))
            };
            let ran = done.iter().any(|mark| mark == step);
            let end = known.lines().find(of);
            assert!(end.is_some() || !ran, "{point}: nothing is known of the end of {step}");
            let succeeded = end.is_some_and(|line| line.contains(r#""status":"succeeded""#));
            assert_eq!(succeeded, ran, "{point}: the end of {step}: {end:?}");
        }
        // The start of a step that is not on record starts nothing.
        if words.iter().any(|word| word.contains("step_started") || word.contains("effect_intended")) {
            let step = if words[1].contains("one") { "one" } else { "two" };
            assert!(!done.iter().any(|mark| mark == step), "{point}");
        }
        lab.call(&["report", "last"]).expect(0);
        let mut resumed = lab.call(&["resume", "last", "--yes"]);
        if resumed.code == Some(7) {
            // The intent may be on the disk, and that nothing came of it was only said: a person knows.
            assert!(fault == Fault::SyncsFromThere && words[0].contains("effect_intended"), "{point}: {resumed:#?}");
            let step = ["--step", "one", "--as", "not-done", "--reason", "standard error said so"];
            resumed = lab.call(&[&["resume", "last", "--yes"][..], &step].concat());
        }
        assert_eq!(resumed.code, Some(0), "{point}: {resumed:#?}");
    }
    assert_eq!(lab.marks("marks"), MARKS, "{point}");
    assert_eq!(lab.outcomes(), ["succeeded"], "{point}");
    lab.sound();
}

fn all(fault: impl Fn(usize) -> Fault) {
    let whole = lab();
    let reference: Vec<Vec<String>> = [(0, 11), (1, 0)]
        .into_iter()
        .map(|(phase, code)| {
            let (ended, lines) = traced(&whole, phase, &[]);
            ended.expect(code);
            lines
        })
        .collect();
    assert_eq!(whole.marks("marks"), MARKS);
    for (at, moment) in MOMENTS.into_iter().enumerate() {
        let (phase, file, words) = moment;
        let fault = fault(at);
        let injected = inject(fault, &reference[phase], moment);
        let point = format!("{injected:?} at {file} {words:?}");
        let options: Vec<&str> = injected.iter().flat_map(|inject| ["-e", inject.as_str()]).collect();
        // How often the screen is written to may differ by a piece of output: then the fault met another call.
        let met = (0..5).any(|_| {
            let lab = lab();
            if phase == 1 {
                lab.call(call(0)).expect(11);
            }
            let (ended, lines) = traced(&lab, phase, &options);
            let Some(first) = lines.iter().find(|line| line.contains("(INJECTED")) else { return false };
            let (name, words) = if first.starts_with("write(") { ("write", words) } else { ("fdatasync", &[][..]) };
            if !is(first, name, file, words) {
                return false;
            }
            // What failed is never tried again: a second sync would say that all is well.
            let behind = lines.iter().skip_while(|line| !line.contains("(INJECTED")).skip(1);
            let again = behind.filter(|line| ["write", "fdatasync"].iter().any(|name| is(line, name, file, &[])));
            assert_eq!(again.count(), 0, "{point}: it was tried again");
            check(&lab, &ended, fault, moment, &point);
            true
        });
        assert!(met, "{point}: it never met its call");
    }
}

#[test]
fn a_write_that_is_refused() {
    all(|at| Fault::Write(["ENOSPC", "EIO", "EROFS"][at % 3]));
}

#[test]
fn a_sync_that_fails() {
    all(|_| Fault::Sync);
}

#[test]
fn a_disk_that_syncs_nothing_any_more() {
    all(|_| Fault::SyncsFromThere);
}

#[test]
fn a_disk_on_which_the_reserve_is_gone_too() {
    all(|_| Fault::WriteAndReserve);
}

/// Calls that change what is on the disk, each with an error it can have.
const CALLS: [(&str, &str); 9] = [
    ("mkdir", "EROFS"),
    ("openat", "ENOSPC"),
    ("write", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("fallocate", "ENOSPC"),
    ("ftruncate", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("rename", "EROFS"),
];

/// Those of an undisturbed call before its first record that is appended, each by its number.
fn changes(lab: &Lab, phase: usize) -> Vec<(String, String)> {
    let trace = CALLS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",");
    let (_, lines) = traced(lab, phase, &["-e", &format!("trace=prctl,{trace}")]);
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if is(line, "write", "/journal.jsonl", &["run_resumed"])
            || is(line, "write", "/journal.jsonl", &["effect_intended"])
        {
            break;
        }
        let Some((name, errno)) = CALLS.iter().find(|(name, _)| line.starts_with(&format!("{name}("))) else {
            continue;
        };
        let ours = line.contains("/state/runsheet") && !line.contains("= -1 ");
        if ours && (*name != "openat" || line.contains("O_CREAT") || line.contains("O_APPEND")) {
            found.push((format!("inject={name}:error={errno}:when={}", number(&lines, at)), line.clone()));
        }
    }
    found
}

#[test]
fn each_call_that_makes_a_run() {
    let points = changes(&lab(), 0);
    assert!(points.len() > 30, "only {} calls", points.len());
    let mut refused = 0;
    for (inject, line) in &points {
        let lab = lab();
        let (ended, _) = traced(&lab, 0, &["-e", inject]);
        // Only the reserve, its file and the folder of scratch files are no part of the record.
        if ended.code == Some(11) {
            assert!(line.contains("/reserve"), "{inject}: {line}");
            lab.call(&["resume", "last", "--yes"]).expect(0);
        } else {
            refused += 1;
            assert_eq!(ended.code, Some(9), "{inject}: {line}: {ended:#?}");
            assert!(
                ended.err.contains("runsheet: could not write ") || ended.err.contains("the journal could not be"),
                "{ended:#?}"
            );
            assert!(lab.marks("marks").is_empty(), "{inject}: {line}");
            match lab.outcomes().as_slice() {
                [] => lab.call(&["run", "./book.yaml", "--yes"]).expect(0),
                _ => lab.call(&["resume", "last", "--yes"]).expect(0),
            };
        }
        assert_eq!(lab.marks("marks"), MARKS, "{inject}: {line}");
        assert_eq!(lab.outcomes(), ["succeeded"], "{inject}: {line}");
        lab.sound();
    }
    println!("{refused} of {} calls", points.len());
}

#[test]
fn each_call_of_a_recovery() {
    // What is recovered: an end in the reserve, and in the journal the beginning of a line.
    let broken = || {
        let lab = lab();
        lab.call(&FIRST).expect(11);
        let path = lab.run_dir().join("journal.jsonl");
        let mut journal = std::fs::read(&path).unwrap();
        let last = journal[..journal.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let end = journal.split_off(last);
        let mut reserve = format!("runsheet-reserve-v1 {last}\n").into_bytes();
        reserve.extend_from_slice(&end);
        reserve.resize(64 * 1024, 0);
        std::fs::write(lab.run_dir().join("reserve"), reserve).unwrap();
        journal.extend_from_slice(b"{\"seq\":99,\"torn");
        std::fs::write(&path, journal).unwrap();
        lab
    };
    let points = changes(&broken(), 1);
    assert!(points.len() > 12, "only {} calls", points.len());
    for (inject, line) in &points {
        let lab = broken();
        let (ended, _) = traced(&lab, 1, &["-e", inject]);
        if ended.code == Some(0) {
            // Which run is the last is looked up first, by a glance at its lock that may fail.
            let glance = inject.contains("openat") && line.contains("/run.lock");
            assert!(line.contains("/reserve") || glance, "{inject}: {line}");
        } else {
            assert_eq!(ended.code, Some(9), "{inject}: {line}: {ended:#?}");
            assert_eq!(lab.marks("marks"), MARKS[..3], "{inject}: {line}");
            lab.call(&["resume", "last", "--yes"]).expect(0);
        }
        assert_eq!(lab.marks("marks"), MARKS, "{inject}: {line}");
        let events: Vec<String> = lab.journal().iter().map(|line| line["event"].as_str().unwrap().into()).collect();
        assert_eq!(events.iter().filter(|event| *event == "run_paused").count(), 1, "{inject}: {line}: {events:?}");
        assert_eq!(events.iter().filter(|event| *event == "recovered").count(), 1, "{inject}: {line}: {events:?}");
        lab.sound();
    }
    println!("{} calls", points.len());
}

/// A write may take less than it was given, and be interrupted: the record is whole all the same.
#[test]
fn short_and_interrupted_writes() {
    let lab = lab();
    let source = lab.file(
        "short.c",
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <errno.h>\n#include <sys/stat.h>\n#include <unistd.h>\n\
         static int turn;\n\
         static int regular(int fd) { struct stat s; return fstat(fd, &s) == 0 && S_ISREG(s.st_mode); }\n\
         ssize_t write(int fd, const void *from, size_t n) {\n\
           ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, \"write\");\n\
           if (regular(fd)) { if (++turn % 5 == 0) { errno = EINTR; return -1; } if (n > 1000) n = 1000; else if (n > 7) n = 7; }\n\
           return real(fd, from, n); }\n\
         ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {\n\
           ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, \"pwrite64\");\n\
           if (n > 1000) n = 1000;\n\
           return real(fd, from, n, at); }\n",
    );
    let library = lab.path("short.so");
    let mut compiler = std::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    let preload = format!("LD_PRELOAD={}", library.display());
    for (phase, code) in [(0, 11), (1, 0)] {
        let (ended, lines) = traced(&lab, phase, &["-E", &preload, "-e", "trace=prctl,write,pwrite64"]);
        ended.expect(code);
        let small = lines
            .iter()
            .filter(|line| line.contains("/journal.jsonl>") && line.contains(", 7)") && line.ends_with(" = 7"))
            .count();
        assert!(small > 100, "only {small} short writes");
    }
    assert_eq!(lab.marks("marks"), MARKS);
    let sizes: Vec<u64> = ["out/one.1.log", "out/big.1.log"]
        .map(|name| std::fs::metadata(lab.run_dir().join(name)).unwrap().len())
        .into();
    assert_eq!(sizes, [11, 2_001]);
    assert_eq!(std::fs::metadata(lab.run_dir().join("reserve")).unwrap().len(), 64 * 1024);
    lab.sound();
}
