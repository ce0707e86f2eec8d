//! What scenarios go through, and which guards they would miss, as `test` tells it.

use serde_json::{Value as Json, json};

use crate::lab::Lab;

const STEPS: &str = r#"
title: Two ways
params:
  kind: {type: enum, choices: [small, large], default: small}
steps:
  - id: look
    shell: size
    effect: read
    expect:
      - result.exit in [0, 1]
      - result.stdout != ''
  - id: sure
    confirm: Sure?
    when: kind == 'large'
  - id: way
    choose:
      cases:
        - {id: big, when: "kind == 'large'", steps: [{id: slow, wait: {shell: poll, until: result.exit == 0, fail_when: result.exit == 9}}]}
        - {id: other, else: true, steps: [{id: fast, shell: go, undo: {shell: back}}]}
"#;

const SMALL: &str = r#"
scenarios:
  - name: small
    world: {shell: [{step: look, reply: {stdout: 1}}, {step: way/other/fast, reply: {}}]}
    expect: {status: {sure: skipped, way/other/fast: succeeded}}
"#;

/// What the small one leaves out.
const REST: &str = r#"
  - name: nothing to see
    world: {shell: [{step: look, reply: [{stdout: ""}]}]}
    expect: {outcome: failed, status: {look: failed}}
  - name: a strange end
    world: {shell: [{step: look, reply: [{exit: 2, stdout: x}]}]}
    expect: {outcome: failed, status: {look: failed}}
  - name: large
    params: {kind: large}
    answers: {sure: yes}
    world: {shell: [{step: look, reply: {exit: 1, stdout: 1}}, {match: poll, reply: [{exit: 1}, {exit: 0}]}]}
    expect: {asked: [sure]}
  - name: large and declined
    params: {kind: large}
    answers: {sure: no}
    world: {shell: [{step: look, reply: {stdout: 1}}]}
    expect: {outcome: declined}
  - name: large and broken
    params: {kind: large}
    answers: {sure: yes}
    world: {shell: [{step: look, reply: {stdout: 1}}, {match: poll, reply: [{exit: 9}, {exit: 0}]}]}
    expect: {outcome: failed}
  - name: small and broken
    world: {shell: [{step: look, reply: {stdout: 1}}, {step: way/other/fast, reply: {exit: 1}}]}
    expect: {outcome: failed}
"#;

fn lab(scenarios: &str) -> Lab {
    let lab = Lab::new();
    lab.book(STEPS).file("work/book.scenarios.yaml", scenarios);
    lab
}

/// The object about the runbook, and how the program ended.
fn summary(lab: &Lab, args: &[&str], code: i32) -> Json {
    let ended = lab.call(&[&["test", "book.yaml", "--format", "json"], args].concat()).expect(code);
    ended.events().pop().unwrap()
}

#[test]
fn what_is_left_out_is_named_with_its_place() {
    let lab = lab(SMALL);
    let summary = summary(&lab, &[], 0);
    assert_eq!(summary["coverage"]["steps"], json!({"covered": 3, "all": 5}));
    let missing: Vec<String> = summary["coverage"]["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| format!("{} {}", of["line"], of["what"].as_str().unwrap()))
        .collect();
    assert_eq!(
        missing,
        [
            "12 sure: not run",
            "18 way/big/slow: not run",
            "6 look: never failed",
            "10 look: `expect` never false",
            "11 look: `expect` never false",
            "12 sure: never answered with yes",
            "12 sure: never answered with no",
            "14 sure: `when` never true",
            "18 way: case `big` never taken",
            "18 way: `when` never true",
            "18 way/big/slow: never failed",
            "18 way/big/slow: `until` never true",
            "18 way/big/slow: `until` never false",
            "18 way/big/slow: `fail_when` never true",
            "18 way/big/slow: `fail_when` never false",
            "19 way/other/fast: never failed",
            "19 way/other/fast: its `undo` never run",
        ]
    );
}

#[test]
fn all_scenarios_together_go_through_it_and_miss_each_guard() {
    let lab = lab(&format!("{SMALL}{}", REST.trim_start_matches('\n')));
    let summary = summary(&lab, &["--mutations"], 0);
    assert_eq!(summary["coverage"]["steps"], json!({"covered": 5, "all": 5}));
    assert_eq!(summary["coverage"]["missing"], json!([{"line": 19, "what": "way/other/fast: its `undo` never run"}]));
    assert_eq!(summary["mutations"], json!({"all": 5, "missed": 5, "survivors": []}), "{summary:#}");
}

#[test]
fn guards_that_nothing_misses_are_named() {
    let lab = lab(SMALL);
    let mutations = &summary(&lab, &["--mutations"], 0)["mutations"];
    // Without its condition the question would be asked; nothing else would be another way.
    assert_eq!(mutations["missed"], 1, "{mutations:#}");
    let survivors: Vec<(u64, &str)> = mutations["survivors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| (of["line"].as_u64().unwrap(), of["guard"].as_str().unwrap()))
        .collect();
    assert_eq!(survivors, [(10, "expect"), (11, "expect"), (13, "confirm"), (18, "fail_when")]);
    let text = lab.call(&["test", "book.yaml", "--mutations"]).expect(0).out;
    assert!(text.contains("book.yaml:10  no scenario misses this `expect`: result.exit in [0, 1]\n"), "{text}");
    assert!(text.contains("\nbook      1/5 20%\n"), "{text}");
}

#[test]
fn too_little_is_a_failure() {
    let lab = lab(SMALL);
    for (args, code) in [
        (&["--min-coverage", "0"][..], 0),
        (&["--min-coverage", "90"], 1),
        (&["--mutations=20"], 0),
        (&["--mutations=21"], 1),
        (&["--min-coverage", "101"], 2),
        (&["--mutations=x"], 2),
    ] {
        let ended = lab.call(&[&["test", "book.yaml"], args].concat()).expect(code);
        assert_eq!(ended.out.contains("\nFAIL book: "), code == 1, "{args:?}: {ended:#?}");
    }
    // A runbook without scenarios has none of it covered.
    lab.file("work/other.yaml", STEPS);
    let ended = lab.call(&["test", ".", "--min-coverage", "1"]).expect(1);
    assert!(ended.out.contains("FAIL other has no scenarios\n"), "{}", ended.out);
    lab.call(&["test", "."]).expect(0);
}

#[test]
fn formats_of_others_tell_the_same() {
    let lab = lab(&SMALL.replace("sure: skipped", "sure: succeeded"));
    let github = lab.call(&["test", "book.yaml", "--format", "github"]).expect(1).out;
    assert!(github.starts_with("::error file=book.scenarios.yaml,line=5,"), "{github}");
    assert!(github.contains("::expected sure to be succeeded, got skipped"), "{github}");
    let junit = lab.call(&["test", "book.yaml", "--format", "junit"]).expect(1).out;
    for part in [
        "<testsuites tests=\"1\" failures=\"1\" errors=\"0\">",
        "<testcase name=\"small\" classname=\"book\" file=\"book.scenarios.yaml\" line=\"3\" time=\"0.000\">",
        "<failure type=\"status\" message=\"expected sure to be succeeded, got skipped\">error[status]:",
        "</testsuites>\n",
    ] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
    let broken = self::lab(&SMALL.replace("expect:", "expcet:"));
    let junit = broken.call(&["test", "book.yaml", "--format", "junit"]).expect(3).out;
    assert!(junit.contains("<failure type=\"invalid\"") && junit.contains("did you mean `expect`?"), "{junit}");
    let github = broken.call(&["test", "book.yaml", "--format", "github"]).expect(3).out;
    assert!(github.starts_with("::error file=book.scenarios.yaml,line=5,"), "{github}");
}
