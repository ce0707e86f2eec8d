//! `runsheet test` as it is typed: what it finds, what it writes, how it ends.

use crate::lab::Lab;

use super::BOOK;

const GOOD: &str = r#"
scenarios:
  - name: declined
    params: {version: v3}
    answers: {promote: no}
    world: {shell: [{step: schema-diff, reply: {}}]}
    expect: {outcome: declined}
"#;

fn lab(scenarios: Option<&str>) -> Lab {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("work/runbooks/team")).unwrap();
    lab.file("work/runbooks/team/book.yaml", BOOK);
    if let Some(text) = scenarios {
        lab.file("work/runbooks/team/book.scenarios.yaml", text);
    }
    lab
}

#[test]
fn every_way_to_name_them_finds_them() {
    let lab = lab(Some(GOOD));
    let begins = "ok   team/book: declined\n\n";
    let ends = "\n1 scenario of 1 runbook: 1 passed\n";
    for args in [
        &["test"][..],
        &["test", "runbooks"],
        &["test", "team/book"],
        &["test", "runbooks/team/book.yaml"],
        &["test", "runbooks/team/book.scenarios.yaml"],
        &["test", "--filter", "decl"],
    ] {
        let out = lab.call(args).expect(0).out;
        assert!(out.starts_with(begins) && out.ends_with(ends), "{args:?}: {out}");
    }
    assert_eq!(lab.call(&["test", "--quiet"]).expect(0).out, "");
    // Nothing was left anywhere.
    assert!(!lab.state.exists());
}

#[test]
fn nothing_to_try_is_no_pass() {
    let bare = lab(None);
    for (args, told) in [
        (&["test"][..], "there are no scenarios here"),
        (&["test", "team/book"], "team/book has no scenarios"),
        (&["test", "runbooks/team/book.yaml"], "team/book has no scenarios"),
        (&["test", "team"], "could not find a runbook `team`"),
        (&["test", "state"], "could not find a runbook `state`"),
    ] {
        let ended = bare.call(args).expect(2);
        assert!(ended.err.contains(told), "{args:?}: {ended:#?}");
        assert_eq!(ended.out, "");
    }
    let filtered = lab(Some(GOOD)).call(&["test", "--filter", "nothing"]).expect(2);
    assert!(filtered.err.contains("no scenario's name holds `nothing`"));
}

#[test]
fn codes_tell_a_failure_from_a_mistake() {
    let failing = lab(Some(&GOOD.replace("outcome: declined", "outcome: succeeded")));
    let ended = failing.call(&["test"]).expect(1);
    assert!(ended.out.starts_with("FAIL team/book: declined\n\nerror[outcome]: expected the run to end as succeeded"));
    assert!(ended.out.ends_with("1 scenario of 1 runbook: 0 passed, 1 failed\n"), "{}", ended.out);

    let broken = lab(Some(&GOOD.replace("answers", "anwsers")));
    let ended = broken.call(&["test"]).expect(3);
    assert!(ended.out.contains("did you mean `answers`?"), "{}", ended.out);

    let orphan = lab(Some(GOOD));
    std::fs::remove_file(orphan.path("work/runbooks/team/book.yaml")).unwrap();
    let ended = orphan.call(&["test"]).expect(3);
    assert!(ended.out.contains("there is no runbook runbooks/team/book.yaml"), "{}", ended.out);
    orphan.call(&["test", "runbooks/team/book.scenarios.yaml"]).expect(2);
}

#[test]
fn json_is_one_object_a_scenario() {
    let lab = lab(Some(&GOOD.replace("outcome: declined", "outcome: succeeded")));
    let events = lab.call(&["test", "--format", "json"]).expect(1).events();
    let [event, summary] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(summary["coverage"]["steps"]["all"], 5);
    assert_eq!(event["runbook"], "team/book");
    assert_eq!(event["result"], "failed");
    assert_eq!(event["outcome"], "declined");
    assert_eq!(event["findings"][0]["code"], "outcome");
    assert_eq!(event["findings"][0]["line"], 7);
}
