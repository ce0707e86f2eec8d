//! `balrog/query-access-logs`: a bucket that is really mounted, and a folder with tens of thousands of files.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Bench, Ran};
use crate::{
    parts,
    standins::bucket::{Bucket, REGION},
};

const DAY: &str = "AWSLogs/361527076523/elasticloadbalancing/us-east-1/2016/09/17";
const BROAD: &str = "/Firefox/.*WINNT.*/release/";
const YES: &[(&str, &str)] = &[("instance", "done")];
const SECRET: &str = "not-a-key-of-anybody";

/// A line as a classic load balancer writes it; every third is of a release on Windows, every ninth of 49.0.
fn line(number: usize) -> String {
    let (version, system) = if number.is_multiple_of(9) { ("49.0", "WINNT") } else { ("48.0", "WINNT") };
    let channel = if number.is_multiple_of(3) { "release" } else { "beta" };
    format!(
        "2016-09-17T00:00:00.{number:06}Z balrog 203.0.113.{}:4{number:04} 10.0.0.7:80 0.00004 0.00102 0.00003 200 200 0 700 \
         \"GET https://aus5.mozilla.org:443/update/3/Firefox/{version}/20160829/{system}_x86-msvc/de/{channel}/x/y/z/update.xml\"\n",
        number % 250
    )
}

fn name(number: usize) -> String {
    format!("361527076523_elasticloadbalancing_us-east-1_balrog-public_20160917T0000Z_203.0.113.9_{number:08}.log")
}

/// A run over what is in a folder, with an empty folder for what is found.
fn bench(edits: &[(&str, &str)]) -> Bench {
    let bench = Bench::new("balrog/query-access-logs", edits);
    let output = bench.folder().join("output");
    fs::create_dir(&output).unwrap();
    fs::create_dir(bench.folder().join("day")).unwrap();
    let (output, day) = (output.to_str().unwrap().to_owned(), bench.folder().join("day").to_str().unwrap().to_owned());
    bench
        .param("day", "2016-09-17")
        .param("broad", BROAD)
        .param("output", output)
        .param("room", "0")
        .param("source", "folder")
        .param("folder", day)
}

fn log(bench: &Bench, name: &str, text: &str) {
    fs::write(bench.folder().join("day").join(name), text).unwrap();
}

/// A program of that name before all others. `{}` in it is where the real one is.
fn instead(bench: Bench, program: &str, script: &str) -> Bench {
    let folder = bench.folder().join("instead");
    fs::create_dir_all(&folder).unwrap();
    let real = parts::program(program).unwrap();
    let path = folder.join(program);
    fs::write(&path, format!("#!/bin/sh\n{}\n", script.replace("{}", real.to_str().unwrap()))).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    bench.path_first(&folder)
}

/// The files that are left in the output, by name.
fn output(bench: &Bench) -> Vec<PathBuf> {
    let entries = fs::read_dir(bench.folder().join("output")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn unpacked(path: &Path) -> String {
    let output = Command::new("gzip").arg("-cd").arg(path).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn counts(ran: &Ran, files: usize, lines: usize) {
    ran.succeeded();
    assert_eq!(ran.captured("files").unwrap(), files);
    assert_eq!(ran.captured("lines").unwrap(), lines);
}

#[test]
fn tens_of_thousands_of_files_are_searched() {
    const FILES: usize = 30_000;
    let bench = bench(&[]).param("narrow", "Firefox/49[.]0/");
    for number in 0..FILES {
        log(&bench, &name(number), &line(number));
    }
    let ran = bench.run(YES);
    counts(&ran, FILES, FILES / 3);
    assert_eq!(ran.captured("narrow_lines").unwrap(), FILES.div_ceil(9));
    let [narrow, broad] = &output(&bench)[..] else { panic!("{:?}", output(&bench)) };
    // In the order of the files, without their names, and nobody else can read them.
    let found: String = (0..FILES).step_by(3).map(line).collect();
    assert!(unpacked(broad) == found);
    assert_eq!(fs::read_to_string(narrow).unwrap().lines().count(), FILES.div_ceil(9));
    for path in [narrow, broad] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // No address of anybody is shown or kept.
    assert!(
        !ran.told.contains("203.0.113.") && !ran.events.iter().any(|event| event.to_string().contains("203.0.113."))
    );

    // As the document has it, it is more than a command line holds.
    let portions = "find -H \"$logs\" -type f -print0 | sort -z |\n        xargs -0 -r sh -c 'pattern=$1; shift; grep -a -h -E -e \"$pattern\" -- \"$@\" || [ \"$?\" -eq 1 ]' portion \"$broad\" |";
    let edited = self::bench(&[(portions, "grep -a -h -E -e \"$broad\" -- \"$logs\"/* |")]);
    fs::remove_dir(edited.folder().join("day")).unwrap();
    fs::rename(bench.folder().join("day"), edited.folder().join("day")).unwrap();
    edited.run(YES).stopped_at("broad", "Argument list too long");
}

#[test]
fn nothing_found_is_an_answer() {
    let bench = bench(&[]).param("narrow", "nowhere");
    for number in 1..3 {
        log(&bench, &name(number), &line(number));
    }
    let ran = bench.run(YES);
    counts(&ran, 2, 0);
    assert_eq!((ran.status("narrow"), output(&bench).len()), (Some("skipped"), 1));
    log(&bench, &name(3), &line(3));
    let ran = bench.run(YES);
    counts(&ran, 3, 1);
    assert_eq!(ran.captured("narrow_lines").unwrap(), 0);
    // Values are data, whatever is in them.
    for broad in ["-e", "--help", "$(touch x)", "'; touch x; '", "\\", "a\nb"] {
        let ran = self::bench(&[]).param("broad", broad).run(YES);
        assert_ne!(ran.code, 0, "{broad}: {}", ran.told);
        assert!(!bench.folder().join("x").exists());
    }
}

#[test]
fn what_is_not_ready_is_told_before_anything_is_read() {
    bench(&[]).param("broad", "(").run(YES).stopped_at("patterns", "no regular expression: (");
    bench(&[]).param("narrow", "[").run(YES).stopped_at("patterns", "no regular expression: [");
    bench(&[]).param("output", "/nowhere/at/all").run(YES).stopped_at("place", "there is no folder");
    bench(&[]).param("room", "100000000").run(YES).stopped_at("place", "are wanted");
    bench(&[]).param("folder", "/nowhere").run(YES).stopped_at("files", "there is no /nowhere");
    bench(&[]).run(YES).stopped_at("files", "there is no file in");
    for day in ["2016-9-17", "2016-13-01", "yesterday", "2016/09/17"] {
        assert_eq!(bench(&[]).param("day", day).run(YES).code, 2, "{day}");
    }
    let used = bench(&[]).param("source", "bucket");
    if parts::program("s3fs").is_none() {
        return;
    }
    used.param("mount_point", "/proc").run(YES).stopped_at("empty", "something is mounted at /proc");
    let full = bench(&[]);
    let real = full.folder().canonicalize().unwrap();
    let full = full.param("source", "bucket").param("mount_point", real.to_str().unwrap());
    full.run(YES).stopped_at("empty", "is not empty");
    let (link, target) = (real.join("link"), real.join("day"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let linked = bench(&[]).param("source", "bucket").param("mount_point", link.to_str().unwrap());
    linked.run(YES).stopped_at("empty", "say that");
}

/// What was found would be searched, and be in the way of the next search.
#[test]
fn what_is_found_does_not_lie_where_it_is_searched() {
    let inside = |edits: &[(&str, &str)], below: &str| {
        let bench = bench(edits);
        log(&bench, "1.log", &line(3));
        let output = bench.folder().join(below);
        fs::create_dir_all(&output).unwrap();
        let output = output.to_str().unwrap().to_owned();
        bench.param("output", output)
    };
    for below in ["day", "day/found", "output/../day"] {
        inside(&[], below).run(YES).stopped_at("place", "which is searched");
    }
    inside(&[], "day").param("folder", "/").run(YES).stopped_at("place", "which is searched");
    // A name that only begins alike is another folder.
    inside(&[], "day2").run(YES).succeeded();
    let unseen = inside(&[("if [[ \"$source\" == folder && \"$written/\" ==", "if [[ 0 ==")], "day");
    unseen.run(YES).succeeded();
    unseen.run(YES).stopped_at("files", "is compressed");
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_is_missed_unseen() {
    struct Case<'a> {
        edit: (&'a str, &'a str),
        with_it: (&'a str, &'a str),
        program: &'a str,
        script: &'a str,
        prepare: &'a dyn Fn(&Bench),
    }
    let nothing = |_: &Bench| {};
    let gone = "for last; do :; done\nif [ -e \"$HOME/counted\" ]; then rm -rf \"$HOME/day\"; mkdir \"$HOME/day\"; fi\n\
                case $* in *printf*) touch \"$HOME/counted\";; esac\nexec {} \"$@\"";
    let cases = [
        // One file cannot be read.
        Case {
            edit: ("|| [ \"$?\" -eq 1 ]'", "|| true'"),
            with_it: ("broad", "exited with 123"),
            program: "grep",
            script: "{} \"$@\"; code=$?; case $* in *day/*) exit 2;; *) exit $code;; esac",
            prepare: &nothing,
        },
        // The disk is full, or the program that packs is killed.
        Case {
            edit: ("      umask 077\n      export LC_ALL=C\n      # Of", "      set +o pipefail\n      # Of"),
            with_it: ("broad", "exited with"),
            program: "sort",
            script: "{} \"$@\" | head -c 100; exit 2",
            prepare: &nothing,
        },
        // The folder is empty from one moment to the next.
        Case {
            edit: ("if ((now < files)); then", "if false; then"),
            with_it: ("complete", "are left: what was found is not all"),
            program: "find",
            script: gone,
            prepare: &nothing,
        },
        // The lines are there, but packed.
        Case {
            edit: ("if [[ -n \"$packed\" ]]; then", "if false; then"),
            with_it: ("files", "is compressed"),
            program: "true",
            script: "",
            prepare: &|bench| {
                let path = bench.folder().join("day").join(name(3));
                assert!(Command::new("gzip").arg(path).status().unwrap().success());
            },
        },
        // A pattern that cannot be one.
        Case {
            edit: ("if ((code > 1)); then exit \"$code\"; fi", ""),
            with_it: ("narrow", "exited with 2"),
            program: "grep",
            script: "case $* in *49*) if [ ! -t 0 ] && [ -s /dev/stdin ] || [ -p /dev/stdin ]; then exit 2; fi;; esac; exec {} \"$@\"",
            prepare: &nothing,
        },
    ];
    for case in cases {
        eprintln!("{}", case.with_it.1);
        let run = |edits: &[(&str, &str)]| {
            let bench = instead(bench(edits).param("narrow", "49"), case.program, case.script);
            for number in 0..9 {
                log(&bench, &name(number), &line(number));
            }
            (case.prepare)(&bench);
            let ran = bench.run(YES);
            let halves = output(&bench).iter().filter(|path| path.to_string_lossy().ends_with(".part")).count();
            assert_eq!(halves, 0, "{:?}", output(&bench));
            ran
        };
        run(&[]).stopped_at(case.with_it.0, case.with_it.1);
        run(&[case.edit]).succeeded();
    }
    // With the names of the files before them, lines are no lines of a log.
    let bench = bench(&[("grep -a -h -E", "grep -a -H -E")]);
    log(&bench, &name(3), &line(3));
    counts(&bench.run(YES), 1, 1);
    assert_ne!(unpacked(&output(&bench)[0]), line(3));
}

/// Whether a file system can be mounted here; what is missing is said.
fn mountable() -> bool {
    if parts::programs(["s3fs", "fusermount", "moto_server"]).is_none() {
        return false;
    }
    let open = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let may = u64::from_str_radix(capabilities, 16).unwrap() & (1 << 21) != 0 || status.contains("NoNewPrivs:\t0");
    if !(open && may) {
        parts::skipped("nothing can be mounted here: /dev/fuse is missing or not ours");
    }
    open && may
}

/// The bucket with some files, and a run that mounts it.
fn mounting(bucket: &Bucket, edits: &[(&str, &str)]) -> Bench {
    let bench = bench(edits);
    let mount_point = bench.folder().canonicalize().unwrap().join("bucket");
    let keys = bench.folder().join("keys");
    write_keys(&keys, &format!("AKIASTANDIN:{SECRET}\n"), 0o600);
    bench
        .param("source", "bucket")
        .param("bucket", "balrog-logs")
        .param("region", REGION)
        .param("endpoint", bucket.url())
        .param("path_style", "true")
        .param("mount_point", mount_point.to_str().unwrap())
        .param("narrow", "49")
        .param("patience", "2s")
        .param("keys", keys.to_str().unwrap())
        .secret(SECRET)
}

fn write_keys(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mounted(bench: &Bench) -> bool {
    let folder = bench.folder().canonicalize().unwrap();
    fs::read_to_string("/proc/self/mounts").unwrap().contains(folder.to_str().unwrap())
}

fn bucket() -> Option<Bucket> {
    if !mountable() {
        return None;
    }
    let bucket = Bucket::start("balrog-logs")?;
    for number in 0..60 {
        bucket.put(&format!("{DAY}/{}", name(number)), &line(number));
    }
    bucket.put(&DAY.replace("/17", "/18/other.log"), &line(3));
    Some(bucket)
}

#[test]
fn a_bucket_is_mounted_searched_and_unmounted() {
    let Some(bucket) = bucket() else { return };
    let bench = mounting(&bucket, &[]);
    let ran = bench.run(YES);
    counts(&ran, 60, 20);
    assert_eq!(ran.captured("narrow_lines").unwrap(), 7);
    assert!(!mounted(&bench));
    assert_eq!(unpacked(&output(&bench)[1]), (0..60).step_by(3).map(line).collect::<String>());
    // The keys are nowhere: not in what was left, and not in the record.
    let kept = Command::new("grep").args(["-rl", SECRET]).arg(bench.folder().join("state")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "");

    // What is asked in the end is asked when the bucket is away already.
    let bench = mounting(&bucket, &[]);
    assert_eq!((bench.run(&[]).code, mounted(&bench)), (11, false));

    // A search that fails leaves nothing mounted.
    let failing = "case $* in *bucket/AWS*) exit 2;; *) exec {} \"$@\";; esac";
    let bench = instead(mounting(&bucket, &[]), "grep", failing);
    bench.run(YES).stopped_at("broad", "exited with 123");
    assert!(!mounted(&bench));

    // s3fs answers 0 whatever the bucket is; without looking for it, the next step is what fails.
    let missing = || mounting(&bucket, &[]).param("bucket", "no-such-bucket");
    let bench = missing();
    bench.run(YES).stopped_at("mounted", "not yet");
    assert!(!mounted(&bench));

    // Keys that others may read are none to s3fs, and what else is wrong with them is told before.
    for (text, mode, why) in [
        (format!("AKIASTANDIN:{SECRET}\n"), 0o640, "others may read"),
        (format!("{SECRET}\n"), 0o600, "does not hold one line"),
        (format!("AKIASTANDIN:{SECRET}\nAKIASTANDIN:{SECRET}\n"), 0o600, "does not hold one line"),
    ] {
        let bench = mounting(&bucket, &[]);
        write_keys(&bench.folder().join("keys"), &text, mode);
        bench.run(YES).stopped_at("keys-file", why);
    }
    mounting(&bucket, &[]).param("keys", "/nowhere").run(YES).stopped_at("keys-file", "there is no file");
    let bench = mounting(&bucket, &[("if [[ \"$mode\" != *00 ]]; then", "if false; then")]);
    write_keys(&bench.folder().join("keys"), &format!("AKIASTANDIN:{SECRET}\n"), 0o644);
    bench.run(YES).stopped_at("mount", "should not have others permissions");

    // Read-only: nothing in the bucket can be changed by whoever stands in it meanwhile.
    let writing = "touch \"$HOME/bucket/written\" && touch \"$HOME/could-write\"\nexec {} \"$@\"";
    let bench = instead(mounting(&bucket, &[]), "sort", writing);
    counts(&bench.run(YES), 60, 20);
    assert_eq!((bench.folder().join("could-write").exists(), bucket.get("written")), (false, None));

    // Somebody unmounts it in the middle: the folder is empty, and nothing in it matches.
    let away =
        "case $* in *print0*) fusermount -u \"$HOME/bucket\"; mkdir -p \"$HOME/bucket/$DAY\";; esac\nexec {} \"$@\"";
    let away = away.replace("$DAY", DAY);
    let bench = instead(mounting(&bucket, &[]), "find", &away);
    bench.run(YES).stopped_at("complete", "is not mounted any more");
    let unseen = [
        ("if [[ \"$source\" == bucket ]] && ! mountpoint -q \"$mount_point\"; then", "if false; then"),
        ("if ((now < files)); then", "if false; then"),
    ];
    let bench = instead(mounting(&bucket, &unseen), "find", &away);
    counts(&bench.run(YES), 60, 0);
}

#[test]
fn killed_in_the_middle_it_goes_on_and_unmounts() {
    let Some(bucket) = bucket() else { return };
    for (step, program) in [("broad", "sort"), ("mount", "s3fs"), ("unmount", "fusermount")] {
        let waiting = "if [ -p \"$HOME/gate\" ]; then cat \"$HOME/gate\" >/dev/null; fi\nexec {} \"$@\"";
        let bench = instead(mounting(&bucket, &[]), program, waiting);
        let gate = bench.folder().join("gate");
        assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let going = bench.start(YES).until_doing(step);
        // Opening it for writing waits until the program reads, so that it is known to be under way.
        let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        going.kill();
        fs::remove_file(&gate).unwrap();
        drop(open);
        bench.resume(YES).succeeded();
        assert!(!mounted(&bench), "{step}");
        let [narrow, broad] = &output(&bench)[..] else { panic!("{step}: {:?}", output(&bench)) };
        assert_eq!(unpacked(broad).lines().count(), 20, "{step}");
        assert_eq!(fs::read_to_string(narrow).unwrap().lines().count(), 7, "{step}");
    }
}
