//! What a step finds around it: variables, folder, input, umask, descriptors, the flags of its shell.

use std::{collections::BTreeSet, os::unix::process::CommandExt};

use crate::lab::{Lab, finish};

#[test]
fn the_environment_is_exactly_what_is_promised() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Surroundings
params: {version: {type: string, default: v1}, unused: {type: string, default: u}}
requires: {env: [WANTED, NOT_THERE]}
steps:
  - id: program
    shell: {exec: [env]}
    expect: [result.exit == 0]
  - id: script
    env: {ADDED: "{{ version }}-x"}
    shell: |
      env
      : "$version"
"#,
    );
    let mut command = lab.command(&["run", "./book.yaml", "--yes"]);
    for (name, value) in [
        ("TERM", "dumb"),
        ("TMPDIR", "/tmp"),
        ("SSH_AUTH_SOCK", "/nowhere"),
        ("WANTED", "w"),
        ("UNWANTED", "u"),
        ("BASH_ENV", "/etc/profile"),
        ("LD_LIBRARY_PATH", "/nowhere"),
        ("LC_ALL", "C"),
        ("http_proxy", "http://127.0.0.1:1"),
    ] {
        command.env(name, value);
    }
    let ended = finish(command);
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:#?}");
    if ended.code == Some(4) {
        // A variable that is required and absent is missing; with it, all goes on.
        assert!(ended.err.contains("NOT_THERE"), "{ended:#?}");
        let text = lab.read("work/book.yaml").replace(", NOT_THERE", "");
        lab.book(&text);
        let mut command = lab.command(&["run", "./book.yaml", "--yes"]);
        command.envs([("TERM", "dumb"), ("TMPDIR", "/tmp"), ("SSH_AUTH_SOCK", "/nowhere"), ("WANTED", "w")]);
        command.envs([("UNWANTED", "u"), ("BASH_ENV", "/etc/profile"), ("LC_ALL", "C")]);
        finish(command).expect(0);
    }
    let names = |step: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(lab.run_dir().join(format!("out/{step}.1.log"))).unwrap();
        text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
    };
    let promised = ["HOME", "LANG", "PATH", "SSH_AUTH_SOCK", "TERM", "TMPDIR", "USER", "WANTED"].map(str::to_owned);
    assert_eq!(names("program"), BTreeSet::from(promised.clone()));
    // `bash` itself adds three.
    let with_script: BTreeSet<String> =
        promised.into_iter().chain(["ADDED", "PWD", "SHLVL", "_", "version"].map(str::to_owned)).collect();
    assert_eq!(names("script"), with_script);
    lab.sound();
}

#[test]
fn the_shell_is_strict_and_reads_no_start_files() {
    let lab = Lab::new();
    for file in [".bashrc", ".bash_profile", ".profile"] {
        lab.file(file, "echo from a start file\nexport LEAKED=1\n");
    }
    lab.book(
        r#"
title: Strict
steps:
  - id: flags
    shell: |
      case $- in *e*) ;; *) exit 91 ;; esac
      case $- in *u*) ;; *) exit 92 ;; esac
      shopt -qo pipefail
      ! shopt -q login_shell
      echo "${LEAKED:-clean}"
    expect: [result.stdout == "clean"]
  - {id: pipe, on_failure: continue, shell: false | true}
  - {id: unset, on_failure: continue, shell: 'echo "$no_such_thing" || true'}
  - id: first-failure
    on_failure: continue
    shell: |
      false
      echo on >> "$HOME/marks"
"#,
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    for step in ["pipe", "unset", "first-failure"] {
        let end = lab.journal().into_iter().find(|r| r["event"] == "step_finished" && r["step"] == step).unwrap();
        assert_eq!(end["status"], "failed", "{step}: {end:#}");
    }
    assert!(lab.read("marks").is_empty());
    lab.sound();
}

#[test]
fn input_umask_descriptors_and_signals_are_plain() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Plain
steps:
  - id: plain
    shell: |
      test "$(wc -c)" = 0
      test "$(umask)" = 0027
      # The fourth is the folder itself, being read.
      test "$(ls /proc/self/fd | wc -l)" = 4
      grep -E '^Sig(Blk|Ign)' /proc/self/status > "$HOME/signals"
      ulimit -c > "$HOME/core"
"#,
    );
    let mut command = lab.command(&["run", "./book.yaml", "--yes"]);
    // SAFETY: two calls that may be made between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o027);
            // As `nohup` and `&` in a script do.
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            libc::signal(libc::SIGQUIT, libc::SIG_IGN);
            Ok(())
        });
    }
    finish(command).expect(0);
    // 32 and 33 belong to the C library, and nobody can set them back.
    let ours = !0x1_8000_0000_u64;
    for line in lab.marks("signals") {
        let (name, set) = line.split_once(":\t").unwrap();
        assert_eq!(u64::from_str_radix(set, 16).unwrap() & ours, 0, "{name}");
    }
    lab.sound();
}

#[test]
fn folders_of_steps() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("work/sub/deep")).unwrap();
    std::fs::create_dir_all(lab.path("elsewhere")).unwrap();
    lab.book(
        r#"
title: Folders
params: {where: {type: string, default: sub}}
steps:
  - {id: here, shell: pwd}
  - {id: below, cwd: "{{ where }}/deep", shell: pwd}
  - {id: away, cwd: "/", shell: pwd}
  - {id: missing, cwd: not-there, on_failure: continue, shell: echo no >> $HOME/marks}
  - id: verified
    cwd: sub
    shell: kill -9 $$
    verify: {cwd: sub, shell: pwd >> "$HOME/verified"}
"#,
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    let said = |step: &str| std::fs::read_to_string(lab.run_dir().join(format!("out/{step}.1.log"))).unwrap();
    let work = lab.path("work").canonicalize().unwrap();
    assert_eq!(said("here").trim(), work.to_str().unwrap());
    assert_eq!(said("below").trim(), work.join("sub/deep").to_str().unwrap());
    assert_eq!(said("away").trim(), "/");
    assert_eq!(lab.read("verified").trim(), work.join("sub").to_str().unwrap());
    assert!(lab.read("marks").is_empty());
    lab.sound();
}

/// A resume from elsewhere runs where the run was started.
#[test]
fn a_resume_runs_where_the_run_began() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - {id: sure, confirm: Go?}\n  - {id: here, shell: pwd >> \"$HOME/where\"}\n");
    lab.call(&["run", "./book.yaml"]).expect(11);
    let mut command = lab.command(&["resume", "last", "--yes"]);
    command.current_dir("/");
    finish(command).expect(0);
    assert_eq!(lab.read("where").trim(), lab.path("work").canonicalize().unwrap().to_str().unwrap());
    lab.sound();
}
