//! Output of any size: whole in the log, bounded in memory, never a text that is not all of it.

use crate::lab::Lab;

/// The most memory the program has used so far, in KiB.
fn peak(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn hundreds_of_megabytes_take_no_memory() {
    // One endless line, and many short ones.
    for (name, command, size) in [
        ("line", "head -c 300000000 /dev/zero | tr '\\0' x", 300_000_000),
        ("lines", "(yes || true) | head -c 60000000", 60_000_000),
    ] {
        let lab = Lab::new();
        lab.book(&format!(
            r#"
title: Much
steps:
  - id: much
    shell: |
      set +o pipefail
      {command}
      read -r _ < "$HOME/gate"
    capture: {{cut: result.truncated}}
  - id: after
    shell: echo "cut $cut" >> "$HOME/marks"
"#
        ));
        let gate = lab.gate("gate");
        let run = lab.start(&["run", "./book.yaml", "--yes", "--quiet"]);
        let open = gate.reached();
        let used = peak(run.pid());
        println!("{name}: {used} KiB at most");
        assert!(used < 96 * 1024, "{name}: {used} KiB");
        open.pass();
        run.end().expect(0);
        assert_eq!(lab.marks("marks"), ["cut true"]);
        let log = lab.run_dir().join("out/much.1.log");
        assert_eq!(std::fs::metadata(log).unwrap().len(), size);
        lab.sound();
    }
}

#[test]
fn the_text_of_what_was_cut_is_an_error_that_says_so() {
    let book = |max: &str, more: &str| {
        format!(
            r#"
title: Cut
steps:
  - id: much
    effect: read
    shell: {{script: "printf 12345678901", {max}}}
    {more}
"#
        )
    };
    for (max, more, code, says) in [
        ("max_output: 10", "expect: [result.stdout != '']", 1, "max_output"),
        ("max_output: 10", "capture: {said: result.stdout}", 1, "max_output"),
        ("max_output: 10", "capture: {said: result.lines}", 1, "max_output"),
        ("max_output: 10", "capture: {said: result.json}", 1, "max_output"),
        ("max_output: 10", "expect: [result.truncated, result.exit == 0]", 0, ""),
        ("max_output: 11", "expect: [not result.truncated, result.stdout == '12345678901']", 0, ""),
        ("max_output: 0", "expect: [result.truncated]", 0, ""),
    ] {
        let lab = Lab::new();
        lab.book(&book(max, more));
        let ended = lab.call(&["run", "./book.yaml", "--yes"]);
        assert_eq!(ended.code, Some(code), "{max} {more}: {ended:#?}");
        assert!(ended.err.contains(says), "{max} {more}: {ended:#?}");
        assert_eq!(std::fs::read(lab.run_dir().join("out/much.1.log")).unwrap(), b"12345678901");
        lab.sound();
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - id: raw\n    shell: printf '\\377\\000\\033]0;x\\007\\r\\n'\n");
    let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert!(!ended.err.contains('\u{7}') && !ended.err.contains("\u{1b}]"), "{ended:#?}");
    assert_eq!(std::fs::read(lab.run_dir().join("out/raw.1.log")).unwrap(), b"\xff\0\x1b]0;x\x07\r\n");
    lab.sound();
}

/// Whoever watches may go away; what was begun is done and on record.
#[test]
fn nobody_has_to_listen() {
    for args in [&["run", "./book.yaml", "--yes", "--json"][..], &["run", "./book.yaml", "--yes"]] {
        let lab = Lab::new();
        lab.book("title: t\nsteps:\n  - {id: one, shell: (yes || true) | head -c 300000}\n  - {id: two, shell: echo two >> $HOME/marks}\n");
        let mut command = lab.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().unwrap();
        drop((command, reader));
        let code = child.wait().unwrap().code();
        assert_eq!((code, lab.marks("marks").len()), (Some(0), 1), "{:#?}", lab.journal());
        lab.sound();
    }
}
