//! After a failure: another value for a parameter, a value that was lost, and a shell in the place of the step.

use serde_json::Value as Json;

use super::Seat;
use crate::support::Bed;

fn records(bed: &Bed, event: &str) -> Vec<Json> {
    bed.journal().into_iter().filter(|record| record["event"] == event).collect()
}

fn sound(bed: &Bed) {
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["report", "last"]).end().code(0);
}

const BOOK: &str = r#"
title: X
params:
  host: {type: string, pattern: "web-[0-9]", help: The machine, default: web-1}
  count: {type: integer, default: 1}
steps:
  - {id: first, shell: 'echo "first $host" >> ran'}
  - {id: talk, shell: 'echo "talk $host $count" >> ran; test "$host" = web-2'}
  - id: inner
    foreach: {as: n, in: [1, 2]}
    group: {steps: [{id: use, shell: 'echo "use $host $n" >> ran'}]}
  - {id: sure, confirm: "Go on with {{ host }}?"}
  - {id: last, shell: 'echo "last $host $count" >> ran'}
"#;

#[test]
fn another_value_is_for_what_comes_and_survives() {
    let bed = Bed::with(BOOK);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("[e] edit").sees("run it again").answers("press r, e, s", "e").sees("1) host").sees("2) count");
    seat.answers("Which value", "1\r").sees("`host` is web-1 for what has run so far").sees("The machine");
    // What the parameter may be holds here too; Esc goes back to the menu.
    seat.answers("host [web-1]: ", "db-1\r").sees("web-[0-9]").answers("host [web-1]: ", "\x1b");
    seat.answers("press r, e, s", "e").answers("Which value", "host\r").answers("host [web-1]: ", "web-2\r");
    seat.sees("host = \"web-2\" from here on, given by tester").sees("Go on with web-2?").answers("yes or no", "\x03");
    seat.ends(11);
    assert_eq!(bed.read("ran"), "first web-1\ntalk web-1 1\ntalk web-2 1\nuse web-2 1\nuse web-2 2\n");
    let given = records(&bed, "value_given");
    assert_eq!(given.len(), 1, "{given:?}");
    assert_eq!((&given[0]["step"], &given[0]["name"]), (&"talk".into(), &"host".into()));
    assert_eq!((&given[0]["value"], &given[0]["by"]), (&"web-2".into(), &"tester".into()));
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert!(bed.read("ran").ends_with("last web-2 1\n"), "{}", bed.read("ran"));
    sound(&bed);
}

#[test]
fn a_step_that_uses_no_parameter_offers_none_to_edit() {
    let bed = Bed::with(
        "title: X\nparams: {a: {type: string, default: b}}\nsteps:\n  - {id: one, shell: exit 1}\n  - {id: two, shell: 'echo $a'}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.answers("press r, s, d, o, h, u, p, q", "q");
    seat.ends(5);
}

#[test]
fn a_value_that_was_lost_is_given() {
    let bed = Bed::with(
        r#"
title: X
steps:
  - {id: make, shell: 'echo make >> ran; kill -9 $$', capture: {n: result.stdout|int}}
  - id: use
    when: n > 2
    group: {steps: [{id: in, shell: 'echo "in $n" >> ran'}]}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.answers("press d, r", "d").answers("reason", "it says 3\r");
    seat.sees("`n` is set by make, which was done by hand, so that its value is not on record");
    // Trying it again changes nothing, and asks again.
    seat.answers("press r, e, s", "r").sees("its value is not on record");
    seat.answers("press r, e, s", "e").sees("`n` has no value").answers("n: ", "3\r").sees("succeeded");
    seat.ends(0);
    assert_eq!(bed.read("ran"), "make\nin 3\n");
    assert_eq!(records(&bed, "value_given")[0]["value"], 3);
    sound(&bed);
}

#[test]
fn a_shell_has_what_the_step_has_and_leaves_no_record_of_itself() {
    let bed = Bed::with(
        r#"
title: X
params: {host: {type: string, default: web-1}}
secrets: {token: {env: TOKEN}}
steps:
  - id: talk
    cwd: "{{ run.dir }}"
    env: {EXTRA: "more {{ host }}"}
    shell: 'echo "$host $token" > /dev/null; test -e there'
"#,
    );
    // Whose prompt is known.
    let own = "#!/bin/bash\nPS1='now> ' exec bash --noprofile --norc\n";
    let bed = bed.tool("own-shell", own).env("SHELL", "own-shell").env("TOKEN", "not-a-real-token");
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("[h] shell").answers("press r, e, s, d, o, h", "h");
    seat.sees("now> ").types("echo \"is:$host:$EXTRA:$token\"; touch there; exit 4\r");
    seat.sees("is:web-1:more web-1:***").sees("the shell at talk was closed (4)");
    seat.answers("press r, e, s, d, o, h", "r").sees("succeeded");
    seat.ends(0);
    let closed = records(&bed, "shell_closed");
    assert_eq!((closed.len(), &closed[0]["exit"], &closed[0]["by"]), (1, &4.into(), &"tester".into()));
    let opened: Vec<Json> = records(&bed, "question_answered");
    assert!(opened.iter().any(|answer| answer["answer"] == "shell"), "{opened:?}");
    let run = &bed.runs()[0];
    let said = std::process::Command::new("grep").args(["-rl", "is:web-1"]).arg(run).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "");
    sound(&bed);
}

#[test]
fn without_a_terminal_there_is_no_shell() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: one, shell: exit 1}\n");
    bed.write("answers.yaml", "one: {answer: shell}\n");
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(1);
    let asked = records(&bed, "question_asked");
    assert!(!asked[0]["choices"].to_string().contains("shell"), "{asked:?}");
}
