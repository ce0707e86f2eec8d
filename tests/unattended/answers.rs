//! Questions without a person: `--yes`, files of answers, and pauses.

use super::{outcome, steps};
use crate::support::Bed;

const PLAIN: &str = r#"
title: X
steps:
  - {id: before, shell: echo before >> ran}
  - {id: ask, confirm: Go on?}
  - {id: after, shell: echo after >> ran}
finally:
  - {id: clean, shell: echo clean >> ran}
"#;

#[test]
fn yes_answers_a_plain_confirm() {
    let bed = Bed::with(PLAIN);
    bed.run(&["run", "./x.yaml", "--yes"]).stdin_null().end().code(0);
    assert_eq!(bed.read("ran"), "before\nafter\nclean\n");
    assert_eq!(outcome(&bed), "succeeded");
    let journal = bed.journal();
    let answered = journal.iter().find(|record| record["event"] == "question_answered").unwrap();
    assert_eq!((&answered["answer"], &answered["by"]), (&"yes".into(), &"tester".into()));
}

#[test]
fn without_it_the_run_pauses_and_can_be_resumed() {
    let bed = Bed::with(PLAIN).file("answers.yaml", "ask: yes\n");
    bed.run(&["run", "./x.yaml"]).stdin("yes\nyes\n").end().code(11).stderr_has("runsheet resume 2");
    // A pause is no end: nothing is cleaned up.
    assert_eq!(bed.read("ran"), "before\n");
    assert_eq!(outcome(&bed), "paused");
    bed.run(&["resume", "last"]).end().code(11);
    bed.run(&["resume", "last", "--answers", "answers.yaml"]).end().code(0);
    assert_eq!(bed.read("ran"), "before\nafter\nclean\n", "the step that was over did not run again");
    assert_eq!(outcome(&bed), "succeeded");
    // What is over stays over, and keeps its code.
    bed.run(&["resume", "last"]).end().code(0);
    assert_eq!(bed.read("ran"), "before\nafter\nclean\n");
    bed.run(&["verify", "last"]).end().code(0);
}

#[test]
fn yes_does_not_answer_what_must_be_meant() {
    for ask in [
        "confirm: Really?\n    effect: destroy",
        "confirm: {message: Really?, type_back: production}",
        "manual: Unplug it.",
        "manual: {message: Unplug it., evidence: {plug: {type: string}}}",
    ] {
        let bed =
            Bed::with(&format!("title: X\nsteps:\n  - id: ask\n    {ask}\n  - {{id: after, shell: touch ran}}\n"));
        bed.run(&["run", "./x.yaml", "--yes"]).end().code(11).stderr_has("ask").stderr_has("runsheet resume 2");
        assert!(!bed.exists("ran"), "{ask}");
        bed.run(&["resume", "last", "--yes"]).end().code(11);
        assert_eq!(outcome(&bed), "paused", "{ask}");
    }
}

#[test]
fn a_confirm_before_a_step_that_destroys_is_a_plain_confirm() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: ask, confirm: Really?}\n  - {id: b, shell: touch ran, effect: destroy}\n",
    );
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(0);
    assert!(bed.exists("ran"));
}

#[test]
fn only_a_clear_word_of_a_file_is_an_answer() {
    for (word, code) in [
        ("yes", 0),
        ("\"yes\"", 0),
        ("{answer: yes, reason: asked in the channel}", 0),
        ("no", 5),
        ("{answer: no, reason: not today}", 5),
        ("true", 11),
        ("Yes", 11),
        ("YES", 11),
        ("y", 11),
        ("ok", 11),
        ("1", 11),
        ("\"\"", 11),
        ("yes please", 11),
        ("run", 11),
        ("{answer: y}", 11),
        ("{reason: yes}", 11),
        ("{answer: yes, why: yes}", 11),
        ("", 2),
        ("[yes]", 2),
        ("{answer: [yes]}", 2),
    ] {
        let bed = Bed::with(PLAIN).file("answers.yaml", &format!("ask: {word}\n"));
        let ended = bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end();
        assert_eq!(ended.code, Some(code), "`{word}`: {}", ended.stderr);
        let ran = if bed.exists("ran") { bed.read("ran") } else { String::new() };
        assert_eq!(ran.contains("after"), code == 0, "`{word}`");
    }
}

#[test]
fn a_text_to_be_typed_back_stands_in_the_answers() {
    for (word, code) in [("v1.0", 0), ("yes", 0), ("V1.0", 11), ("v1", 11), ("true", 11), ("no", 5)] {
        let bed = Bed::with(
            "title: X\nparams: {tag: {type: string, default: v1.0}}\nsteps:\n  - {id: ask, confirm: {message: Go?, type_back: '{{ tag }}'}}\n",
        )
        .file("answers.yaml", &format!("ask: {word}\n"));
        bed.run(&["run", "./x.yaml", "--yes", "--answers", "answers.yaml"]).end().code(code);
    }
}

#[test]
fn declining_ends_the_run_and_what_comes_last_still_comes() {
    let bed = Bed::with(PLAIN).file("answers.yaml", "ask: {answer: no, reason: the channel is not quiet}\n");
    bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"])
        .end()
        .code(5)
        .stderr_has("declined")
        .stderr_has("the channel is not quiet");
    assert_eq!(bed.read("ran"), "before\nclean\n");
    assert_eq!(outcome(&bed), "declined");
    let journal = bed.journal();
    let answered = journal.iter().find(|record| record["event"] == "question_answered").unwrap();
    assert_eq!((&answered["answer"], &answered["reason"]), (&"no".into(), &"the channel is not quiet".into()));
    // A declined run is over.
    bed.write("answers.yaml", "ask: yes\n");
    bed.run(&["resume", "last", "--answers", "answers.yaml"]).end().code(5);
    assert_eq!(bed.read("ran"), "before\nclean\n");
}

#[test]
fn answers_for_steps_that_do_not_exist_are_slips() {
    let bed = Bed::with(PLAIN).file("answers.yaml", "aks: yes\n");
    bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end().code(2).stderr_has("`aks`").stderr_has("`ask`");
    bed.run(&["run", "./x.yaml", "--answers", "no-such.yaml"]).end().code(2).stderr_has("no-such.yaml");
    bed.write("answers.yaml", "ask: yes\nask: no\n");
    bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end().code(2).stderr_has("ask");
    assert!(bed.runs().is_empty() && !bed.exists("ran"));
}

#[test]
fn what_was_done_by_hand_is_told_with_its_evidence() {
    let runbook = r#"
title: X
steps:
  - id: build
    manual:
      message: Start the build and note its number.
      evidence: {number: {type: integer}, colour: {type: enum, choices: [green, red]}, page: {type: url}}
  - {id: after, shell: "echo $number $colour $page >> ran"}
"#;
    let page = "https://ci.example/17";
    for (answer, code) in [
        (format!("{{number: 17, colour: green, page: {page}}}"), 0),
        (format!("{{answer: done, number: 17, colour: green, page: '{page}', reason: looked}}"), 0),
        // What no step would take is told before anything is run.
        (format!("{{number: seventeen, colour: green, page: '{page}'}}"), 2),
        (format!("{{number: 17, colour: blue, page: '{page}'}}"), 2),
        (format!("{{number: 17, page: '{page}'}}"), 2),
        ("done".into(), 11),
        ("yes".into(), 11),
        ("{answer: skip}".into(), 11),
        ("{answer: failed, reason: it is down}".into(), 1),
        ("quit".into(), 5),
    ] {
        let bed = Bed::with(runbook).file("answers.yaml", &format!("build: {answer}\n"));
        let ended = bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end();
        assert_eq!(ended.code, Some(code), "{answer}: {}", ended.stderr);
        assert_eq!(bed.exists("ran"), code == 0, "{answer}");
        if code == 0 {
            assert_eq!(bed.read("ran"), format!("17 green {page}\n"));
            let journal = bed.journal();
            let end = journal.iter().find(|record| record["event"] == "step_finished").unwrap();
            assert_eq!(end["captures"]["number"], 17);
        }
    }
}

#[test]
fn a_step_that_is_left_out_by_an_answer_says_why() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: exit 3}\n  - {id: b, shell: touch ran}\n")
        .file("answers.yaml", "a: {answer: skip, reason: it is done elsewhere}\n");
    bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end().code(0);
    assert_eq!(steps(&bed), "a failed, a skipped, b succeeded");
    let journal = bed.journal();
    let skipped = journal.iter().find(|record| record["event"] == "step_skipped").unwrap();
    assert_eq!(skipped["reason"], "it is done elsewhere");
    bed.run(&["report", "last", "--format", "json"]).end().code(0).stdout_has("it is done elsewhere");
}

#[test]
fn a_critical_step_is_not_left_out() {
    let bed =
        Bed::with("title: X\nsteps:\n  - {id: a, shell: exit 3, critical: true}\n  - {id: b, shell: touch ran}\n")
            .file("answers.yaml", "a: {answer: skip, reason: I like it so}\n");
    let ended = bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end();
    assert!(!bed.exists("ran"));
    ended.code(1).stderr_has("skip");
    let bed =
        Bed::with("title: X\nsteps:\n  - {id: a, manual: Do it., critical: true}\n  - {id: b, shell: touch ran}\n")
            .file("answers.yaml", "a: {answer: skip, reason: I like it so}\n");
    bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end().code(11);
    assert!(!bed.exists("ran"));
}

#[test]
fn retry_in_the_answers_is_used_once() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: echo once >> ran; exit 3}\n")
        .file("answers.yaml", "a: retry\n");
    bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end().code(1);
    assert_eq!(bed.read("ran"), "once\nonce\n");
}

#[test]
fn the_way_a_failure_is_met() {
    for (policy, code, ran, ends) in [
        ("on_failure: ask", 1, "clean\n", "a failed, clean succeeded"),
        ("on_failure: stop", 1, "clean\n", "a failed, clean succeeded"),
        ("on_failure: continue", 0, "b\nclean\n", "a failed, b succeeded, clean succeeded"),
        ("retry: {attempts: 3, interval: 1ms}", 1, "clean\n", "a failed, a failed, a failed, clean succeeded"),
    ] {
        let bed = Bed::with(&format!(
            "title: X\nsteps:\n  - id: a\n    shell: exit 3\n    {policy}\n  - {{id: b, shell: echo b >> ran}}\nfinally:\n  - {{id: clean, shell: echo clean >> ran}}\n",
        ));
        bed.run(&["run", "./x.yaml", "--yes"]).end().code(code);
        assert_eq!(bed.read("ran"), ran, "{policy}");
        assert_eq!(steps(&bed), ends, "{policy}");
        // Nobody was waited for.
        assert_eq!(outcome(&bed), if code == 0 { "succeeded" } else { "failed" }, "{policy}");
    }
}

#[test]
fn what_comes_last_comes_whole_and_makes_a_success_a_failure() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: a, shell: 'true'}\nfinally:\n  - {id: one, shell: exit 3}\n  - {id: two, shell: touch ran}\n",
    );
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(1).stderr_has("failed at the end: one");
    assert!(bed.exists("ran"));
}

/// Whoever types or answers "no" must never be taken to have typed the text that means yes.
#[test]
fn a_text_to_be_typed_that_is_an_answer_is_refused() {
    for text in ["no", "Yes", " N ", "y"] {
        let bed = Bed::with(
            "title: X\nparams: {tag: {type: string}}\nsteps:\n  - {id: ask, confirm: {message: Go?, type_back: '{{ tag }}'}}\n  - {id: b, shell: touch ran}\n",
        );
        bed.write("answers.yaml", "ask: 'no'\n");
        let tag = format!("tag={text}");
        let ended = bed.run(&["run", "./x.yaml", "--param", &tag, "--answers", "answers.yaml"]).end();
        assert_ne!(ended.code, Some(0), "{text}");
        ended.stderr_has("which is an answer already").stderr_has("{{ tag }}");
        assert!(!bed.exists("ran"), "{text}");
    }
}
