//! A scenario from a run that was.

use crate::lab::Lab;

const STEPS: &str = r#"
title: Real
params:
  who: {type: string, default: you}
  count: {type: integer}
secrets: {token: {env: TOKEN}}
steps:
  - {id: hello, shell: 'echo "hello $who"; echo "$token"', effect: read, capture: {said: result.lines}}
  - {id: sure, confirm: Sure?}
  - {id: note, manual: {message: Look., evidence: {seen: {type: integer}}}}
  - {id: bad, shell: exit 3, on_failure: continue, effect: read}
"#;

fn ran() -> Lab {
    let lab = Lab::new();
    lab.book(STEPS);
    let answers = lab.file("work/answers", "sure: yes\nnote: {seen: 7, reason: looked}\n");
    let mut command = lab.command(&["run", "./book.yaml", "--answers", &answers, "--param", "count=3"]);
    command.env("TOKEN", "a-very-real-secret");
    crate::lab::finish(command).expect(0);
    lab
}

#[test]
fn what_a_run_was_is_a_scenario_that_passes() {
    let lab = ran();
    let shown = lab.call(&["test", "--record", "last"]).expect(0).out;
    assert!(!shown.contains("a-very-real-secret"), "{shown}");
    for part in [
        "  - name: \"recorded ",
        "    params: {\"count\":3}\n",
        "    secrets: {\"token\":\"not-a-real-token\"}\n",
        "    answers: {\"sure\":\"yes\",\"note\":{\"seen\":7,\"reason\":\"looked\"}}\n",
        "        - {\"step\":\"hello\",\"reply\":[{\"exit\":0,\"stdout\":\"hello you\\n***\\n\"}]}\n",
        "        - {\"step\":\"bad\",\"reply\":[{\"exit\":3}]}\n",
        "        \"bad\": failed\n",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(lab.read("work/book.scenarios.yaml"), "");
    lab.call(&["test", "--record", "last", "--update"]).expect(0);
    assert_eq!(lab.read("work/book.scenarios.yaml"), shown);
    let passed = lab.call(&["test", "book.yaml"]).expect(0).out;
    assert!(passed.contains("1 scenario of 1 runbook: 1 passed\n"), "{passed}");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let lab = ran();
    let mine = "# Mine.\nscenarios:\n- name: by hand\n  params: {count: 1}\n  answers: {sure: no}\n  world: {shell: [{match: '*', \
                reply: {}}]}\n  expect: {outcome: declined}";
    lab.file("work/book.scenarios.yaml", mine);
    lab.call(&["test", "--record", "last", "--update"]).expect(0);
    let both = lab.read("work/book.scenarios.yaml");
    assert!(both.starts_with(&format!("{mine}\n- name: \"recorded ")), "{both}");
    let ended = lab.call(&["test", "--record", "last", "--update"]).expect(2);
    assert!(ended.err.contains("already; nothing was written"), "{ended:#?}");
    assert_eq!(lab.read("work/book.scenarios.yaml"), both);
    // A file that is none stays as it is.
    lab.file("work/book.scenarios.yaml", "scenarios: {}\n");
    lab.call(&["test", "--record", "last", "--update"]).expect(3);
    assert_eq!(lab.read("work/book.scenarios.yaml"), "scenarios: {}\n");
    lab.call(&["test", "--record", "nothing"]).expect(2);
    lab.call(&["test", "--update"]).expect(2);
}
