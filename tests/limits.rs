//! Typed values with limits, from where they are given to where they are used, kept and given again.

use serde_json::json;

use crate::{support::Bed, terminal::seat::Seat};

const TYPED: &str = r#"
title: X
params:
  hosts: {type: list, min_length: 1}
  ports: {type: list, items: {type: integer, min: 1, max: 65535}}
  pauses: {type: list, items: {type: duration}, default: [5m, 1h30m]}
  ratio: {type: number, min: 0, max: 100}
steps:
  - {id: ask, confirm: Go on?}
  - id: after
    when: hosts[1] == 'b,c' and ports[0] + ports[1] == 523 and ratio > 31.245 and ratio < 31.246
    shell: 'echo "$hosts $ports $pauses $ratio" > ran'
"#;

#[test]
fn lists_and_numbers_come_back_from_the_record_as_they_were_given() {
    let bed = Bed::with(TYPED);
    // Read without care this number comes back as its neighbour, and the plan would be another one.
    let given =
        ["run", "./x.yaml", "-p", r#"hosts=["a","b,c"]"#, "-p", "ports=443, 080", "-p", "ratio=31.245270191439438"];
    bed.run(&given).end().code(11);
    let begun = &bed.journal()[0];
    assert_eq!(begun["params"]["hosts"], json!(["a", "b,c"]));
    assert_eq!(begun["params"]["ports"], json!([443, 80]));
    assert_eq!(begun["params"]["pauses"], json!(["5m", "1h30m"]));
    assert_eq!(begun["param_sources"]["hosts"], "param");
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "[\"a\",\"b,c\"] [443,80] [\"5m\",\"1h30m\"] 31.245270191439438\n");
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["report", "last"]).end().code(0).stdout_has(r#"["a","b,c"]"#);
}

#[test]
fn a_changed_runbook_keeps_a_value_only_within_its_new_limits() {
    let bed = Bed::with("title: X\nparams: {n: {type: list, max_length: 3}}\nsteps:\n  - {id: ask, confirm: Go on?}\n");
    bed.run(&["run", "./x.yaml", "-p", "n=a,b,c"]).end().code(11);
    bed.write("x.yaml", "title: X\nparams: {n: {type: list, max_length: 2}}\nsteps:\n  - {id: ask, confirm: Go on?}\n");
    let mut seat = Seat::take(&bed, &["resume", "last"]);
    seat.sees("it has 3 items, which is too many");
}

#[test]
fn evidence_keeps_to_its_limits() {
    let runbook = r#"
title: X
steps:
  - id: build
    manual:
      message: Start the builds and note them.
      evidence: {share: {type: number, min: 0, max: 1}, numbers: {type: list, items: {type: integer, min: 1}, max_length: 2}}
  - {id: after, when: 'share < 1 and numbers[0] == 17', shell: "echo $numbers >> ran"}
"#;
    for (answer, code) in [
        ("{share: 0.5, numbers: '17,18'}", 0),
        ("{share: 1.5, numbers: '17'}", 2),
        ("{share: 0.5, numbers: '17,0'}", 2),
        ("{share: 0.5, numbers: '17,18,19'}", 2),
    ] {
        let bed = Bed::with(runbook).file("answers.yaml", &format!("build: {answer}\n"));
        let ended = bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end();
        assert_eq!(ended.code, Some(code), "{answer}: {}", ended.stderr);
        assert_eq!(bed.exists("ran"), code == 0, "{answer}");
        if code == 0 {
            assert_eq!(bed.read("ran"), "[17,18]\n");
        }
    }
}

#[test]
fn what_is_typed_is_asked_for_again_until_it_keeps_to_the_limits() {
    let bed = Bed::with(
        "title: X\nparams: {ports: {type: list, items: {type: integer, max: 9}, min_length: 1, prompt: Which}}\nsteps:\n  - {id: a, shell: 'echo $ports > ran'}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("Which")
        .sees("several with commas between them")
        .types("1,x\r")
        .sees("item 2: `x` is not a whole number");
    seat.sees("Which").types("1,10\r").sees("item 2: `10` is too large; give a whole number of at most 9");
    seat.sees("Which").types("\r").sees("it has 0 items, which is too few");
    seat.sees("Which").types("1, 2\r").sees("succeeded");
    seat.ends(0);
    assert_eq!(bed.read("ran"), "[1,2]\n");
}

#[test]
fn a_list_that_holds_a_secret_is_not_on_record_and_given_again() {
    let bed = Bed::with(
        "title: X\nsecrets: {token: {env: TOKEN}}\nparams: {all: {type: list}}\nsteps:\n  - {id: ask, confirm: Go on?}\n  - {id: a, shell: 'echo \"${token:0:3} $all\" | wc -c > ran'}\n",
    )
    .env("TOKEN", "hunter2-hunter2");
    bed.run(&["run", "./x.yaml", "-p", "all=a,hunter2-hunter2"]).end().code(11);
    assert!(!bed.journal().iter().any(|record| record.to_string().contains("hunter2")));
    bed.run(&["resume", "last", "--yes"]).end().code(4).stderr_has("RUNSHEET_PARAM_ALL");
    let ended = bed.run(&["resume", "last", "--yes"]).env("RUNSHEET_PARAM_ALL", r#"["a","hunter2-hunter2"]"#).end();
    ended.code(0);
    assert_eq!(bed.read("ran").trim(), format!("{}", r#"hun ["a","hunter2-hunter2"]"#.len() + 1));
}

const SOURCES: &str = r#"
title: X
params:
  version: {type: string, pattern: 'v\d+', example: v0}
  count: {type: integer, min: 1, max: 5, default: 2}
  hosts: {type: list, items: {type: string, max_length: 9}, default: [a]}
  note: {type: string, default: none}
secrets:
  token: {env: TOKEN}
steps:
  - {id: a, shell: 'true'}
"#;

#[test]
fn explain_params_tells_what_each_source_says() {
    let bed = Bed::with(SOURCES)
        .file("p.yaml", "hosts: [b, c]\ncount: 4\n")
        .env("TOKEN", "hunter2-hunter2")
        .env("RUNSHEET_PARAM_COUNT", "9")
        .env("RUNSHEET_PARAM_NOTE", "it is hunter2-hunter2");
    let call = ["plan", "./x.yaml", "--explain-params", "--params-file", "p.yaml", "-p", "version=v7"];
    let said = bed.run(&call).end().code(0).stdout;
    for line in [
        "version  (string: a text that matches v\\d+)",
        "  = --param                 v7",
        "count  (integer: a whole number from 1 to 5)",
        "  = --params-file         4",
        "    RUNSHEET_PARAM_COUNT  cannot be taken: `9` is too large; give a whole number from 1 to 5",
        "    default               2",
        "hosts  (list: a list, each item a text of at most 9 characters)",
        "  = --params-file         b,c",
        "token  (secret, hidden)\n    variable TOKEN",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let json = bed.run(&[&call[..], &["--json"]].concat()).end().code(0);
    assert!(!json.stdout.contains("hunter2"), "{}", json.stdout);
    let params = &json.json()["params"];
    assert_eq!(params["count"]["value"], 4);
    assert_eq!(params["count"]["source"], "params-file");
    assert_eq!((&params["count"]["min"], &params["count"]["max"]), (&json!(1), &json!(5)));
    assert_eq!(params["hosts"]["items"], json!({"type": "string", "max_length": 9}));
    let said: Vec<_> = params["count"]["said"].as_array().unwrap().iter().map(|said| said["source"].clone()).collect();
    assert_eq!(said, ["params-file", "environment", "default"]);
    assert_eq!(params["version"]["said"][0]["used"], true);
    assert!(bed.runs().is_empty());
}

#[test]
fn explain_params_tells_what_is_missing_and_what_cannot_be_taken() {
    let bed = Bed::with(
        "title: X\nparams: {a: {type: integer}, b: {type: integer, default: 1, example: 2}}\nsteps:\n  - {id: a, shell: 'true'}\n",
    );
    bed.run(&["plan", "./x.yaml", "--explain-params"]).end().code(4).stdout_has("it has no value");
    let ended = bed.run(&["plan", "./x.yaml", "--explain-params", "-p", "a=1", "-p", "b=x"]).end();
    let json =
        bed.run(&["plan", "./x.yaml", "--explain-params", "--json", "-p", "a=1", "-p", "b=x"]).end().code(2).json();
    ended.code(2).stdout_has("cannot be taken: `x` is not a whole number").stderr_has("parameter `b`");
    // Neither the default nor the example takes the place of a value that is wrong.
    assert_eq!((&json["params"]["b"]["value"], &json["params"]["b"]["source"]), (&json!(null), &json!("missing")));
    bed.run(&["plan", "./x.yaml", "--explain-params", "-p", "aa=1"]).end().code(2).stderr_has("no parameter `aa`");
}

const PROFILES: &str = r#"
title: X
params:
  host: {type: string, default: local}
profiles:
  production: {protected: true, params: {host: web-1}}
steps:
  - {id: first, shell: 'echo "$host" > first'}
  - {id: ask, confirm: Go on?}
  - {id: after, shell: 'echo "$host" > after'}
"#;

#[test]
fn the_name_of_a_protected_profile_is_typed_once_and_on_record() {
    let bed = Bed::with(PROFILES);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--profile", "production", "--mode", "auto"]);
    seat.sees("Profile production is protected").types("y\r").sees("that is not its name");
    assert!(!bed.exists("first") && bed.runs().is_empty());
    seat.sees("Profile production is protected").types("production\r").sees("Go on?").answers("yes or no", "\x1b");
    seat.ends(11);
    let begun = &bed.journal()[0];
    assert_eq!(begun["profile"], json!({"name": "production", "protected": true, "confirmed": true}));
    assert_eq!(begun["param_sources"]["host"], "profile");
    // Another value there now changes nothing for a run that has its own, and the name is not asked for again.
    bed.run(&["resume", "last", "--yes"]).env("RUNSHEET_PARAM_HOST", "other").end().code(0).stderr_has("profile");
    assert_eq!(bed.read("after"), "web-1\n");
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["report", "last"]).end().code(0).stdout_has("production");
}

#[test]
fn a_protected_profile_that_is_not_confirmed_is_no_run() {
    for keys in ["\x03", "\x1b"] {
        let bed = Bed::with(PROFILES);
        let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--profile", "production"]);
        seat.sees("Profile production is protected").types(keys);
        seat.ends(5);
        assert!(bed.runs().is_empty() && !bed.exists("first"));
    }
}

#[test]
fn a_new_parameter_of_a_changed_runbook_takes_its_value_from_the_profile() {
    let bed =
        Bed::with("title: X\nprofiles: {p: {}}\nsteps:\n  - {id: ask, confirm: Go on?}\n  - {id: a, shell: touch a}\n");
    bed.run(&["run", "./x.yaml", "--profile", "p"]).end().code(11);
    bed.write("x.yaml", "title: X\nparams: {n: {type: integer, default: 1}}\nprofiles: {p: {params: {n: 7}}}\nsteps:\n  - {id: ask, confirm: Go on?}\n  - {id: a, shell: 'echo $n > a'}\n");
    let mut seat = Seat::take(&bed, &["resume", "last", "--mode", "auto"]);
    seat.sees("has changed").answers("press", "d");
    seat.answers("press", "t");
    seat.answers("reason", "new\r");
    seat.sees("Go on?").answers("yes or no", "yes\r");
    seat.ends(0);
    assert_eq!(bed.read("a"), "7\n");
}

#[test]
fn a_document_shows_limits_profiles_and_origins() {
    let bed = Bed::with(
        r#"
title: X
params:
  hosts: {type: list, items: {type: enum, choices: [a, b]}, min_length: 1, example: [a, b]}
  ratio: {type: number, min: 0, max: 1}
  port: {type: integer, choices: [80, 443], default: 80}
secrets:
  token: {env: TOKEN, origins: ["https://ci.example"]}
profiles:
  production: {protected: true, params: {hosts: [a], ratio: 0.5}}
steps:
  - {id: a, shell: 'true'}
"#,
    );
    let ended = bed.run(&["render", "./x.yaml"]).end().code(0);
    for line in [
        "| `hosts` | list of at least 1 item, each item one of `a`, `b` | **required** | `a,b` |",
        "| `ratio` | number from 0 to 1 | **required** |",
        "| `port` | integer, one of `80`, `443` | `80` |",
        "`token`: read from variable `TOKEN`; may be sent to `https://ci.example` even if",
        "- `production`, protected: its name must be typed before a run that changes anything: `hosts` = `a`, `ratio` = `0.5`",
        "runsheet run x --param hosts=a,b --param ratio=RATIO",
    ] {
        assert!(ended.stdout.contains(line), "{line}:\n{}", ended.stdout);
    }
}

#[test]
fn a_captured_number_is_the_same_after_a_resume() {
    let bed = Bed::with(
        r#"
title: X
steps:
  - {id: measure, shell: 'echo 31.245270191439438', capture: {share: result.json}}
  - {id: ask, confirm: Go on?}
  - {id: after, shell: 'echo $share > ran', when: share == 31.245270191439438}
"#,
    );
    bed.run(&["run", "./x.yaml"]).end().code(11);
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "31.245270191439438\n");
}

/// Passed over, it would be as if nobody had said anything, and the run would begin with the default.
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let bad = || std::ffi::OsString::from_vec(vec![b'p', 0xff]);
    let bed = Bed::with(
        "title: T\nparams:\n  host: {type: string, default: web-1}\nsecrets:\n  token: {env: TOKEN}\nsteps:\n  - {id: a, shell: 'echo $host $token'}\n",
    );
    let bed = bed.env("TOKEN", "not-a-real-token");
    let ended = bed.run(&["run", "./x.yaml"]).env("RUNSHEET_PARAM_HOST", bad()).end();
    ended.code(2).stderr_has("parameter `host` (RUNSHEET_PARAM_HOST): what it holds is not UTF-8 text");
    let ended = bed.run(&["plan", "./x.yaml", "--explain-params"]).env("RUNSHEET_PARAM_HOST", bad()).end();
    ended.stdout_has("RUNSHEET_PARAM_HOST  cannot be taken: what it holds is not UTF-8 text");
    let ended = bed.run(&["run", "./x.yaml"]).env("TOKEN", bad()).end();
    ended.code(4).stderr_has("the variable TOKEN is not UTF-8 text");
    let ended = bed.run(&["run", "./x.yaml"]).env("TOKEN", "").end();
    ended.code(4).stderr_has("the variable TOKEN is empty");
    assert!(bed.runs().is_empty());
}

/// Neither is a variable that steps would be given.
#[test]
fn a_variable_for_steps_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let bad = std::ffi::OsString::from_vec(vec![b'p', 0xff]);
    let bed = Bed::with("title: T\nrequires: {env: [REGION]}\nsteps:\n  - {id: a, shell: 'echo $REGION'}\n");
    let ended = bed.run(&["run", "./x.yaml"]).env("REGION", bad).end();
    ended.code(4).stderr_has("the variable REGION, which steps are given, is not UTF-8 text");
    assert!(bed.runs().is_empty());
}

/// A run that is gone on with passes none of them over either: neither a value to be given again nor a new one.
#[test]
fn a_variable_that_is_no_text_is_refused_by_a_resume() {
    use std::os::unix::ffi::OsStringExt;
    let bad = || std::ffi::OsString::from_vec(vec![b'p', 0xff]);
    let bed = Bed::with(
        "title: T\nparams:\n  host: {type: string}\nsecrets:\n  token: {env: TOKEN}\nsteps:\n  - {id: ask, confirm: Go on?}\n  - {id: a, shell: 'echo $host $token'}\n",
    );
    let bed = bed.env("TOKEN", "not-a-real-token");
    bed.run(&["run", "./x.yaml", "--param", "host=x-not-a-real-token"]).end().code(11);
    let ended = bed.run(&["resume", "last", "--yes"]).env("RUNSHEET_PARAM_HOST", bad()).end();
    ended.code(2).stderr_has("parameter `host` (RUNSHEET_PARAM_HOST): what it holds is not UTF-8 text");
    bed.run(&["resume", "last", "--yes"]).env("RUNSHEET_PARAM_HOST", "x-not-a-real-token").end().code(0);
}

/// What a person takes back is no part of a value, least of all where it is not shown.
#[test]
fn keys_that_erase_are_no_letters_of_a_value() {
    let bed = Bed::with(
        "title: X\nparams:\n  host: {type: string, help: The machine}\n  mode: {type: enum, choices: [fast, slow]}\nsecrets: {token: {prompt: true}}\nsteps:\n  - {id: a, shell: 'printf \"%s %s %s\" \"$host\" \"$mode\" \"${token#not-a-}\" > ran'}\n",
    );
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto"]);
    seat.sees("host").sees("The machine").answers("> ", "wrong one\x17\x15web\x01\x0b-1x\x7f\r");
    seat.sees("fast").answers("slow", "\x1b[B\r");
    seat.sees("token").sees("not shown").answers("> ", "short\r").sees("shorter than 8 bytes");
    seat.answers("> ", "oh no\x15not-a-real-token\r").sees("succeeded");
    let said = seat.ends(0);
    assert_eq!(bed.read("ran"), "web-1 slow real-token");
    assert!(!said.contains("real-token"), "{said}");
}

/// No answer is no run; the terminal is as it was.
#[test]
fn who_gives_no_value_begins_no_run() {
    for (keys, why) in [("\x1b", "nothing was typed"), ("\x03", "interrupted"), ("\x04", "input ended")] {
        let bed = Bed::with("title: X\nparams: {host: {type: string}}\nsteps:\n  - {id: a, shell: 'touch ran'}\n");
        let mut seat = Seat::take(&bed, &["run", "./x.yaml"]);
        seat.sees("host").answers("> ", keys).sees(why);
        seat.ends(5);
        assert!(bed.runs().is_empty() && !bed.exists("ran"));
    }
}
