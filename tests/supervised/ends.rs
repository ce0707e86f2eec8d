//! What is left of a step when it ends, and who ends it.

use crate::lab::{Lab, processes_of, until};

fn notes(lab: &Lab, step: &str) -> String {
    let journal = lab.journal();
    let end = journal.iter().rev().find(|record| record["event"] == "step_finished" && record["step"] == step);
    end.map(|record| record["notes"].to_string()).unwrap_or_default()
}

/// A handful of processes, each trying another way to get out of sight.
const RUNAWAYS: &str = r#"
      trap '' TERM HUP
      setsid nohup bash -c 'trap "" TERM HUP INT; echo a >> "$HOME/out"; sleep 1000' > /dev/null 2>&1 &
      ( ( trap '' TERM; echo b >> "$HOME/out"; exec setsid sleep 1000 ) & ) &
      ( sleep 1000 | sleep 1000 ) &
      disown -a
"#;

#[test]
fn a_timeout_ends_everything() {
    let lab = Lab::new();
    lab.book(&format!(
        r#"
title: Runaways
steps:
  - id: wild
    timeout: 1s
    shell:
      kill_grace: 200ms
      script: |
        {}
        sleep 1000
  - id: after
    shell: echo after >> "$HOME/after"
"#,
        RUNAWAYS.trim().replace("\n      ", "\n        ")
    ));
    let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    assert!(ended.err.contains("did not end within 1s"), "{ended:#?}");
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    assert_eq!(lab.read("out").len(), 4);
    assert!(notes(&lab, "wild").contains("left over and ended"), "{:#?}", lab.journal());
    assert!(lab.read("after").is_empty());
    lab.sound();
}

#[test]
fn what_goes_on_in_the_background_ends_with_its_step() {
    let lab = Lab::new();
    lab.book(&format!(
        r#"
title: Background
steps:
  - id: wild
    shell:
      kill_grace: 100ms
      script: |
        {}
        sleep 1000 &
        echo said
    capture: {{said: result.stdout}}
  - id: after
    shell: echo "after $said" >> "$HOME/after"
"#,
        RUNAWAYS.trim().replace("\n      ", "\n        ")
    ));
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert_eq!(processes_of(lab.home()), Vec::<i32>::new());
    assert_eq!(lab.read("after"), "after said\n");
    assert!(notes(&lab, "wild").contains("sleep"), "{:#?}", lab.journal());
    lab.sound();
}

#[test]
fn a_step_that_reads_the_terminal_fails_at_once() {
    for script in ["read -r answer < /dev/tty", "read -r answer", "echo hello > /dev/tty", "tty"] {
        let lab = Lab::new();
        lab.book(&format!("title: t\nsteps:\n  - id: reader\n    shell: {script}\n"));
        let ended = lab.call(&["run", "./book.yaml", "--yes"]);
        assert_eq!(ended.code, Some(1), "{script}: {ended:#?}");
        lab.sound();
    }
}

#[test]
fn a_terminal_on_request_is_one_and_its_transcript_is_masked() {
    let lab = Lab::new();
    lab.book(
        r#"
title: A terminal
secrets: {token: {env: TOKEN}}
steps:
  - id: seen
    shell:
      tty: true
      script: |
        test -t 0 && test -t 1 && test -t 2
        : < /dev/tty
        printf '\033[31mtoken\033[0m: %s\n' "$token"
    expect: [result.stdout is matches("token. .*")]
  - id: half
    shell:
      tty: true
      script: |
        printf '%s' "${token:0:9}"
        sleep 0.05
        printf '%s\n' "${token:9}"
  - id: asked
    on_failure: continue
    shell: {tty: true, script: read -r answer}
"#,
    );
    let mut command = lab.command(&["run", "./book.yaml", "--yes", "--json"]);
    command.env("TOKEN", "hunter2-and-more");
    let ended = crate::lab::finish(command);
    let ended = ended.expect(0);
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    for entry in std::fs::read_dir(lab.run_dir().join("out")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("hunter2") && !text.contains("and-more"), "{text}");
    }
    let seen = std::fs::read_to_string(lab.run_dir().join("out/seen.1.log")).unwrap();
    assert!(seen.contains("token"), "{seen}");
    let failed = lab.journal().into_iter().find(|record| record["step"] == "asked" && record["status"] == "failed");
    assert!(failed.is_some(), "nobody types: the reader sees the end of its input");
    lab.sound();
}

/// The supervisor gone: the engine cannot tell, and says so. What it left is ended, or it would go on behind the back of
/// whoever looks what is there.
#[test]
fn without_its_supervisor_the_end_of_a_step_is_unknown() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - id: deploy\n    shell: 'setsid sleep 1000 & read -r _ < \"$HOME/gate\"'\n");
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes"]);
    let open = gate.reached();
    // What is left of it has come as far as its own name.
    let name = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    until("the one in the background", || processes_of(lab.home()).iter().any(|pid| name(pid) == "sleep\n"));
    let lock = std::fs::read_to_string(lab.run_dir().join("steps/deploy.1.lock")).unwrap();
    let holder: serde_json::Value = serde_json::from_str(lock.trim()).unwrap();
    let supervisor = i32::try_from(holder["pid"].as_i64().unwrap()).unwrap();
    // SAFETY: the supervisor of this test's step.
    assert_eq!(unsafe { libc::kill(supervisor, libc::SIGKILL) }, 0);
    let ended = run.end().expect(7);
    assert!(ended.err.contains("what was left of it was ended: "), "{ended:#?}");
    assert!(ended.err.contains(" bash") && ended.err.contains(" sleep"), "{ended:#?}");
    drop(open);
    lab.call(&["resume", "last", "--yes"]).expect(7);
    lab.sound();
}
