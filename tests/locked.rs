//! Two runs that want the same: one has it, the other is told who.

use crate::lab::{Lab, Running, until};

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
        let mut loser = None;
        until("a loser", || {
            loser = runs.iter_mut().position(|run| !run.alive());
            loser.is_some()
        });
        let lost: Running = runs.remove(loser.unwrap());
        let lost = lost.end();
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
    let mut loser = None;
    until("a loser", || {
        loser = both.iter_mut().position(|run| !run.alive());
        loser.is_some()
    });
    let lost = both.remove(loser.unwrap()).end().expect(8);
    let winner = both.remove(0);
    assert!(lost.err.contains(&format!("process {}", winner.pid())), "{lost:#?}");
    open.pass();
    winner.end().expect(0);
    assert_eq!(lab.marks("marks"), ["go"]);
    lab.sound();
}
