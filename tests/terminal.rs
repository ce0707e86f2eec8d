//! A person at a terminal, from the outside: the few things that only a pseudo-terminal can show. What each key answers
//! is tested with the operator itself.

mod helping;
mod relay;
pub mod seat;
mod stops;
mod typed;
mod undo;

pub(crate) use seat::Seat;

use crate::support::Bed;

/// Step to the end it came to, in the order of the journal.
fn ends(bed: &Bed) -> Vec<String> {
    let records = bed.journal();
    let ends = records.iter().filter_map(|record| match record["event"].as_str()? {
        "step_finished" => Some(format!("{} {}", record["step"].as_str()?, record["status"].as_str()?)),
        "step_skipped" => Some(format!("{} skipped: {}", record["step"].as_str()?, record["reason"].as_str()?)),
        _ => None,
    });
    ends.collect()
}

const CHANGES: &str = r#"
title: Several changes
params: {tag: {type: string, default: v1}}
steps:
  - {id: look, shell: "true", effect: read}
  - id: one
    title: Tag {{ tag }}
    shell: |
      echo one >> ran
      : "tag $tag"
  - {id: two, shell: echo two >> ran}
  - {id: three, shell: echo three >> ran}
  - {id: four, shell: echo four >> ran}
  - {id: five, shell: echo five >> ran}
finally:
  - {id: clean, shell: echo clean >> ran}
"#;

#[test]
fn before_a_change_the_person_decides() {
    let bed = Bed::with(CHANGES);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    // Looking needs no leave; the command is shown in full before it is run.
    seat.sees("✔ look").sees("next one").sees("Tag v1").sees("changes something");
    seat.sees("[r] run")
        .sees("[s] skip")
        .sees("[c] command")
        .sees("[d] done")
        .sees("[a] auto")
        .sees("[p] pause")
        .sees("[q] quit");
    assert!(!bed.exists("ran"));
    seat.answers("press", "c").sees("echo one >> ran").sees(": \"tag $tag\"").answers("press", "r").sees("✔ one");
    // A reason is asked for, and an empty one is none.
    seat.sees("next two")
        .answers("press", "s")
        .answers("reason:", "\r")
        .sees("needs a reason")
        .answers("reason:", "not needed\r");
    seat.sees("next three").answers("press", "d").answers("reason:", "by hand at noon\r").sees("done by hand");
    // A key that is none of the choices chooses nothing.
    seat.sees("next four").answers("press", "x").sees("none of the choices").answers("press", "a");
    let said = seat.ends(0);
    assert!(!said.contains("next five") && !said.contains("next clean"), "{said}");
    assert_eq!(bed.read("ran"), "one\nfour\nfive\nclean\n");
    assert_eq!(
        ends(&bed),
        [
            "look succeeded",
            "one succeeded",
            "two skipped: not needed",
            "three done_by_hand",
            "four succeeded",
            "five succeeded",
            "clean succeeded"
        ]
    );
}

#[test]
fn pause_leaves_the_run_and_quit_ends_it() {
    let bed = Bed::with(CHANGES);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    seat.sees("next one").answers("press", "p");
    seat.ends(11);
    assert!(!bed.exists("ran"), "a pause cleans nothing up");
    let mut seat = Seat::take(&bed, &["resume", "last"]);
    seat.sees("next one").answers("press", "r").sees("next two").answers("press", "q");
    seat.ends(5);
    assert_eq!(bed.read("ran"), "one\nclean\n");
    bed.run(&["verify", "last"]).end().code(0);
}

const GATE: &str = r#"
title: A gate
steps:
  - {id: ask, confirm: "Is the channel quiet?"}
  - {id: after, shell: touch ran}
"#;

#[test]
fn only_a_word_is_a_yes() {
    let bed = Bed::with(GATE);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Is the channel quiet?")
        .answers("yes or no:", "\r")
        .sees("type yes or no")
        .answers("yes or no:", "maybe\r");
    seat.sees("type yes or no").answers("yes or no:", "yes\r");
    seat.ends(0);
    assert!(bed.exists("ran"));
    let bed = Bed::with(GATE);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.answers("yes or no:", "no\r");
    seat.ends(5);
    assert!(!bed.exists("ran"));
}

#[test]
fn the_end_of_input_and_a_lost_terminal_are_never_a_yes() {
    for keys in ["\x04", "\x03", "\x1b", "ye\x04", "yes\x03"] {
        let bed = Bed::with(GATE);
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
        seat.answers("yes or no:", keys);
        if keys == "ye\x04" {
            // In the middle of a line it ends nothing, as at any terminal; what stands there is still no answer.
            seat.types("\x15\x04");
        }
        seat.ends(11);
        assert!(!bed.exists("ran"), "{keys:?}");
    }
    let bed = Bed::with(GATE);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.answers("yes or no:", "yes");
    assert_eq!(seat.hangs_up(), 11);
    assert!(!bed.exists("ran"));
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert!(bed.exists("ran"));
}

#[test]
fn a_text_is_typed_back_exactly() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: ask, confirm: {message: Sure?, type_back: production, }, effect: destroy}\n  - {id: b, shell: touch ran}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("destroys something").sees("type exactly: production");
    seat.answers("text, or no:", "yes\r")
        .sees("that is not")
        .answers("text, or no:", "Production\r")
        .sees("that is not");
    assert!(!bed.exists("ran"));
    seat.answers("text, or no:", "production\r");
    seat.ends(0);
    assert!(bed.exists("ran"));
}

#[test]
fn keys_typed_before_a_question_are_thrown_away() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: first, effect: read, shell: 'echo ready; read line < gate'}\n  - {id: ask, confirm: Sure?}\n  - {id: b, shell: touch ran}\n",
    );
    bed.call("mkfifo", &["gate"]).end().code(0);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("ready").types("yes\r\ryes\r");
    bed.call("sh", &["-c", "echo go > gate"]).end().code(0);
    seat.sees("Sure?").answers("yes or no:", "no\r");
    seat.ends(5);
    assert!(!bed.exists("ran"));
}

#[test]
fn an_interrupt_opens_a_menu_while_the_step_goes_on() {
    let runbook = "title: X\nsteps:\n  - {id: slow, shell: 'echo ready; read line < gate; echo over >> ran'}\n  - {id: b, shell: echo b >> ran}\n";
    for (key, code, ran, outcome) in [
        ("g", 0, "over\nb\n", "succeeded"),
        ("f", 11, "over\n", "paused"),
        ("i", 11, "", "paused"),
        ("k", 11, "", "paused"),
    ] {
        let bed = Bed::with(runbook);
        bed.call("mkfifo", &["gate"]).end().code(0);
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
        seat.sees("ready")
            .types("\x03")
            .sees("go-on")
            .sees("finish")
            .sees("interrupt")
            .sees("kill")
            .answers("press", key);
        if matches!(key, "g" | "f") {
            seat.sees("›");
            bed.call("sh", &["-c", "echo go > gate"]).end().code(0);
        }
        let said = seat.ends(code);
        let found = if bed.exists("ran") { bed.read("ran") } else { String::new() };
        assert_eq!(found, ran, "{key}: {said}");
        let history = bed.run(&["history", "--json"]).end().code(0).json();
        assert_eq!(history[0]["outcome"], outcome, "{key}");
        if ran.is_empty() {
            // Whether it took effect is for a person to say.
            assert_eq!(ends(&bed), ["slow unknown"], "{key}");
            bed.run(&["resume", "last", "--yes"]).end().code(7);
        }
    }
}

#[test]
fn after_a_failure_the_person_decides() {
    let runbook = "title: X\nsteps:\n  - {id: a, shell: 'echo \"once\" >> ran; echo some output; [ -e fixed ]'}\n  - {id: b, shell: echo b >> ran}\n";
    for (keys, code, ran) in [
        (&["r", "r", "q"][..], 5, "once\nonce\nonce\n"),
        (&["o", "s", "reason: left for later\r"], 0, "once\nb\n"),
        (&["d", "reason: did it\r"], 0, "once\nb\n"),
        (&["p"], 11, "once\n"),
        (&["mended"], 0, "once\nonce\nb\n"),
    ] {
        let bed = Bed::with(runbook);
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
        for key in keys {
            match key.strip_prefix("reason: ") {
                Some(reason) => seat.answers("reason:", reason),
                None => {
                    seat.sees("failed a").sees("it exited with 1").sees("[o] output").sees("press");
                    if *key == "mended" {
                        bed.write("fixed", "");
                    }
                    seat.types(&key[..1].replace('m', "r"))
                }
            };
        }
        seat.ends(code);
        assert_eq!(bed.read("ran"), ran, "{keys:?}");
    }
}

#[test]
fn parameters_and_secrets_are_asked_for_before_the_first_step() {
    let bed = Bed::with(
        r#"
title: X
params:
  version: {type: string, pattern: 'v\d+', prompt: Version to ship, help: With a v., example: v7}
  place: {type: enum, choices: [staging, production], prompt: Where to}
  given: {type: integer, default: 3}
secrets: {token: {prompt: true}}
steps:
  - {id: a, effect: read, shell: 'echo "got $version $place $given <$token>"'}
"#,
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
    seat.answers("Version to ship", "7\r").sees("does not match").answers("Version to ship", "v12\r");
    // The second of the list.
    seat.sees("Where to").answers("production", "\x1b[B\r");
    seat.answers("token", "short\r").sees("shorter than 8").answers("token", "CANARYtyped0815\r");
    seat.sees("got v12 production 3 <***>");
    let said = seat.ends(0);
    assert!(!said.contains("CANARYtyped0815") && !said.contains("CANARY"), "{said}");
    let started = &bed.journal()[0];
    assert_eq!(started["param_sources"]["version"], "prompt");
    assert_eq!(started["params"]["place"], "production");
}

#[test]
fn nothing_is_asked_for_where_nobody_would_see_it() {
    for (inputs, missing) in
        [("params: {v: {type: string}}", "`v` has no value"), ("secrets: {t: {prompt: true}}", "`t`")]
    {
        let bed = Bed::with(&format!("title: X\n{inputs}\nsteps:\n  - {{id: a, effect: read, shell: touch ran}}\n"));
        let elsewhere = format!("exec {} run ./x.yaml 2>said", crate::support::PROGRAM);
        Seat::take_with(&bed, "/bin/sh", &["-c", &elsewhere]).ends(4);
        assert!(bed.read("said").contains(missing), "{}", bed.read("said"));
        assert!(bed.runs().is_empty() && !bed.exists("ran"));
    }
}

#[test]
fn no_answer_to_a_parameter_is_no_run() {
    for keys in ["\x03", "\x1b"] {
        let bed = Bed::with("title: X\nparams: {v: {type: string}}\nsteps:\n  - {id: a, shell: touch ran}\n");
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
        seat.answers("v", keys);
        seat.ends(5);
        assert!(bed.runs().is_empty() && !bed.exists("ran"));
    }
}

#[test]
fn a_wait_is_one_line_with_time_limit_and_answer() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: until\n    wait:\n      shell: '[ -e there ] || { echo not there yet; exit 1; }'\n      interval: 50ms\n      timeout: 5m\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("of 5m").sees("look 3").sees("not there yet");
    let screen = seat.screen();
    assert_eq!(screen.matches("of 5m").count(), 1, "one line, written anew:\n{screen}");
    assert!(screen.contains("until  0s of 5m, look"), "{screen}");
    bed.write("there", "");
    seat.sees("✔ until");
    let screen = seat.screen();
    assert!(!screen.contains("of 5m"), "it is gone in the end:\n{screen}");
    seat.ends(0);
}

#[test]
fn the_terminal_is_as_it_was_afterwards() {
    let bed = Bed::with(GATE);
    std::os::unix::fs::symlink(crate::support::PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    // A shell in the same terminal, before and after.
    for keys in ["yes\r", "\x03"] {
        let script = "stty -g > before; runsheet run ./x.yaml --mode auto; stty -g > after; echo all done";
        let mut seat = Seat::take_with(&bed, "sh", &["-c", script]);
        seat.answers("yes or no:", keys).sees("all done");
        seat.ends(0);
        assert_eq!(bed.read("before"), bed.read("after"), "{keys:?}");
    }
}

#[test]
fn a_step_with_the_terminal_talks_to_the_person_and_is_masked() {
    let bed = Bed::with(
        r#"
title: X
secrets: {token: {env: TOKEN}}
steps:
  - id: talk
    shell:
      tty: true
      script: |
        [ -t 0 ] && [ -t 1 ]
        printf '\033[31m%s' "${token:0:6}"; printf '%s\033[0m\n' "${token:6}"
        read -r -p "Your name: " name
        stty size
        echo "hello $name, $token"
    capture: {said: result.stdout}
    expect: "'hello Ada' in result.stdout"
  - {id: after, effect: read, shell: echo "$said" | wc -l}
"#,
    )
    .env("TOKEN", "CANARYtoken0815");
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("***").answers("Your name: ", "Ada\r").sees("50 110").sees("hello Ada, ***").sees("✔ talk");
    let said = seat.ends(0);
    assert!(!said.contains("CANARY"), "{said}");
    let log = std::fs::read_to_string(bed.runs()[0].join("out/talk.1.log")).unwrap();
    assert!(!log.contains("CANARY") && log.contains("hello Ada, ***"), "{log}");
    // Without the wish it has none, and does not hang.
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: a, on_failure: stop, shell: 'read -r -p \"Your name: \" name < /dev/tty; touch ran'}\n",
    );
    let seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.ends(1);
    assert!(!bed.exists("ran"));
}
