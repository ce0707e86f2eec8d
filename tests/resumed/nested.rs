//! Runs that were killed in the middle of a loop, a call, a choice or a parallel group: nothing runs twice, nothing is
//! decided twice, nothing is left out.

use rustix::process::Signal;

use crate::{lab::until, support::Bed};

/// Each item waits for a file of its own.
const LOOP: &str = r#"
title: A loop over what was found
steps:
  - {id: find, shell: 'cat list; echo find >> ran', capture: {found: result.lines}}
  - id: node
    foreach: {as: host, in: found}
    group:
      steps:
        - {id: look, effect: read, shell: 'echo was-$host', capture: {was: result.stdout}}
        - {id: drain, shell: 'echo drain $host >> ran; until test -e go-$host; do sleep 0.02; done'}
        - {id: back, shell: 'echo back $was >> ran'}
  - {id: after, shell: 'echo "$all" >> ran', env: {all: "{{ was.a }} {{ was.b }}"}}
"#;

fn has(bed: &Bed, line: &str) -> bool {
    bed.exists("ran") && bed.read("ran").lines().any(|of| of == line)
}

#[test]
fn a_loop_goes_on_with_the_list_that_is_on_record() {
    let bed = Bed::with(LOOP).file("list", "a\nb\n").file("go-a", "");
    let going = bed.run(&["run", "./x.yaml", "--yes"]).start();
    until("the second item", || has(&bed, "drain b"));
    going.signal(Signal::KILL);
    going.end();
    bed.write("list", "other\n");
    bed.write("go-b", "");
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "find\ndrain a\nback was-a\ndrain b\nback was-b\nwas-a was-b\n");
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["resume", "last"]).end().code(0);
    bed.run(&["report", "last"]).end().code(0).stdout_has("node[b]/back");
}

const CALLER: &str = r#"
title: A call
steps:
  - {id: before, shell: 'echo before >> ran; echo one', capture: {key: result.stdout}}
  - {id: work, call: {runbook: lib/work, params: {key: "{{ key }}"}}}
  - {id: after, shell: 'echo "after $made" >> ran', env: {made: '{{ steps["work"].outputs.made }}'}}
finally:
  - {id: last, shell: echo last >> ran}
"#;

const WORK: &str = r#"
title: Work
params: {key: {type: string}}
steps:
  - {id: name, effect: read, shell: 'echo "made-$key"', capture: {made: result.stdout}}
  - {id: make, shell: 'echo "make $key" >> ran; until test -e go; do sleep 0.02; done'}
  - {id: more, shell: 'echo more >> ran'}
finally:
  - {id: tidy, shell: 'echo "tidy $made" >> ran'}
outputs: {made: made}
"#;

#[test]
fn a_call_goes_on_with_the_runbook_that_is_frozen() {
    let bed = Bed::with(CALLER).file("runbooks/lib/work.yaml", WORK);
    let going = bed.run(&["run", "./x.yaml", "--yes"]).start();
    until("the step of the call", || has(&bed, "make one"));
    going.signal(Signal::KILL);
    going.end();
    bed.write("runbooks/lib/work.yaml", &WORK.replace("echo more", "echo other"));
    bed.write("go", "");
    bed.run(&["resume", "last", "--yes"]).end().code(0).stderr_has("lib/work").stderr_has("has changed since");
    assert_eq!(bed.read("ran"), "before\nmake one\nmore\ntidy made-one\nafter made-one\nlast\n");
    bed.run(&["verify", "last"]).end().code(0);
}

#[test]
fn a_call_that_ended_badly_tidies_up_once() {
    let bed =
        Bed::with(CALLER).file("runbooks/lib/work.yaml", &WORK.replace("echo more >> ran", "exit 3")).file("go", "");
    let tidy = "until test -e tidied; do sleep 0.02; done";
    let held = WORK
        .replace("echo more >> ran", "exit 3")
        .replace("echo \"tidy $made\" >> ran", &format!("echo tidy >> ran; {tidy}"));
    bed.write("runbooks/lib/work.yaml", &held);
    let going = bed.run(&["run", "./x.yaml", "--yes"]).start();
    until("its finally", || has(&bed, "tidy"));
    going.signal(Signal::KILL);
    going.end();
    bed.write("tidied", "");
    bed.run(&["resume", "last", "--yes"]).end().code(1);
    assert_eq!(bed.read("ran"), "before\nmake one\ntidy\nlast\n");
    bed.run(&["resume", "last", "--yes"]).end().code(1);
    assert_eq!(bed.read("ran"), "before\nmake one\ntidy\nlast\n");
    bed.run(&["verify", "last"]).end().code(0);
}

#[test]
fn a_choice_is_made_once() {
    let bed = Bed::with(
        r#"
title: A choice
steps:
  - id: route
    choose:
      question: Which way?
      cases:
        - {id: left, steps: [{id: x, shell: 'echo left >> ran; until test -e go; do sleep 0.02; done'}, {id: y, shell: echo left-y >> ran}]}
        - {id: right, steps: [{id: x, shell: echo right >> ran}]}
  - {id: after, shell: echo after >> ran}
"#,
    )
    .file("left.yaml", "route: left\n")
    .file("right.yaml", "route: right\n");
    let going = bed.run(&["run", "./x.yaml", "--answers", "left.yaml"]).start();
    until("the way", || has(&bed, "left"));
    going.signal(Signal::KILL);
    going.end();
    bed.write("go", "");
    bed.run(&["resume", "last", "--answers", "right.yaml"]).end().code(0);
    assert_eq!(bed.read("ran"), "left\nleft-y\nafter\n");
    let asked =
        bed.journal().iter().filter(|record| record["event"] == "question_asked" && record["step"] == "route").count();
    assert_eq!(asked, 1);
}

/// Whether a signal that was sent has not come to the process yet.
fn is_pending(pid: i32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (signal.as_raw() - 1)) != 0
}

#[test]
fn a_parallel_group_that_is_told_to_end_begins_nothing_new() {
    let bed = Bed::with(
        r#"
title: A parallel group
steps:
  - id: all
    group:
      parallel: 2
      steps:
        - {id: a, shell: 'echo a >> ran; until test -e go; do sleep 0.02; done'}
        - id: b
          group: {steps: [{id: x, shell: 'echo b >> ran; until test -e go; do sleep 0.02; done'}, {id: y, shell: echo b-y >> ran}]}
        - {id: c, shell: echo c >> ran}
  - {id: after, shell: echo after >> ran}
"#,
    );
    let going = bed.run(&["run", "./x.yaml", "--yes"]).start();
    until("both", || has(&bed, "a") && has(&bed, "b"));
    going.signal(Signal::TERM);
    until("the signal is taken", || !is_pending(going.pid(), Signal::TERM));
    bed.write("go", "");
    going.end().code(11);
    assert_eq!(bed.read("ran").lines().count(), 2);
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    let ran = bed.read("ran");
    let mut lines: Vec<&str> = ran.lines().collect();
    assert_eq!(lines.pop(), Some("after"));
    lines.sort_unstable();
    assert_eq!(lines, ["a", "b", "b-y", "c"]);
    bed.run(&["verify", "last"]).end().code(0);
}
