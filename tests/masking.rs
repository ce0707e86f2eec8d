//! Secrets from every source, shown by steps in every way a program shows a text, are nowhere afterwards: not in the
//! folder of the run, not on standard output or error, not in events, reports, histories or plans.

mod forms;
mod matrix;
mod program;

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE};

use crate::{
    standins::server::{Reply, Server},
    support::{Bed, Ended},
};

/// One that looks like a token, and one that every notation has to write in its own way.
const PLAIN: &str = "CANARYtoken7f3d9b2c51";
const ODD: &str = "p4ss/w0rd+\"odd 'chars' & <more>=ü";
const FROM_COMMAND: &str = "CANARYcommand4410aa99";

/// What any of these secrets looks like; worked out here and not by the code under test.
fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = |keep: &[u8], space: &str| -> String {
        let spell = |byte: &u8| match *byte {
            b' ' => space.to_owned(),
            byte if byte.is_ascii_alphanumeric() || keep.contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        bytes.iter().map(spell).collect()
    };
    let json = serde_json::to_string(secret).unwrap();
    let mut all = vec![
        ("raw", secret.to_owned()),
        ("hex", hex.clone()),
        ("upper hex", hex.to_uppercase()),
        ("json", json[1..json.len() - 1].to_owned()),
        ("url", url(b"-_.~", "%20")),
        ("url of a path", url(b"-_.~/", "%20")),
        ("form", url(b"-_.*", "+")),
        ("xml", secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")),
        ("shell", secret.replace('\'', "'\\''")),
    ];
    // Of base64 only what hangs on the secret alone: not the characters that hold bits of its neighbours.
    for offset in 0..3 {
        let padded = [&b"..."[..offset], bytes].concat();
        for (name, engine) in [("base64", &STANDARD), ("base64 for URLs", &URL_SAFE)] {
            let text = engine.encode(&padded);
            let from = (offset * 8).div_ceil(6);
            let to = padded.len() * 8 / 6;
            all.push((name, text[from..to].to_owned()));
        }
    }
    all
}

/// Every file below a folder, but for the places where the secrets themselves are kept.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Nothing of any of the secrets stands in a text.
#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    // As a terminal would show it, too.
    let text = String::from_utf8_lossy(bytes);
    let bare = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(&text, "").into_owned();
    let unwrapped: String = bare.split('\n').collect();
    for secret in [PLAIN, ODD, FROM_COMMAND] {
        for (name, spelling) in spellings(secret) {
            for text in [&*text, &bare, &unwrapped] {
                if let Some(at) = text.find(&spelling) {
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    let to = text.ceil_char_boundary((at + spelling.len() + 200).min(text.len()));
                    panic!("{what} holds a secret ({name}): …{}…", &text[from..to]);
                }
            }
        }
        // A cut that goes through a secret leaves no half of it either.
        let half: String = secret.chars().take(8).collect();
        assert!(!text.contains(&half), "{what} holds the beginning of a secret: {text}");
    }
}

#[track_caller]
fn clean_end(what: &str, ended: &Ended<'_>) {
    clean(&format!("standard output of {what}"), ended.stdout.as_bytes());
    clean(&format!("standard error of {what}"), ended.stderr.as_bytes());
}

/// The folder of runs, and whatever can be asked about it.
#[track_caller]
fn all_clean(bed: &Bed) {
    let mut found = Vec::new();
    files(&bed.state(), &mut found);
    assert!(found.iter().any(|path| path.ends_with("journal.jsonl")));
    for path in found {
        clean(&path.display().to_string(), path.display().to_string().as_bytes());
        // The first bytes of a reserve are zero; what is read is what is there.
        clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    for args in [
        &["history"][..],
        &["history", "--json"],
        &["report", "last"],
        &["report", "last", "--format", "json"],
        &["verify", "last"],
        &["show", "./x.yaml"],
        &["plan", "./x.yaml", "--json"],
    ] {
        clean_end(&args.join(" "), &bed.run(args).end());
    }
}

/// A place with all three secrets, and `spell NAME`, which prints one in a spelling.
fn bed(runbook: &str) -> Bed {
    let secrets = format!(
        "secrets:\n  token: {{env: CANARY_TOKEN}}\n  odd: {{file: {{ODD}}}}\n  vault: {{command: [vault-read]}}\n{runbook}"
    );
    let bed = Bed::new();
    let keep = bed.root().join("bin");
    let bed =
        bed.file("x.yaml", &format!("title: X\n{}", secrets.replace("{ODD}", keep.join("odd").to_str().unwrap())));
    std::fs::write(keep.join("odd"), format!("{ODD}\n")).unwrap();
    for (name, secret) in [("token", PLAIN), ("odd", ODD), ("vault", FROM_COMMAND)] {
        let all: Vec<String> = spellings(secret).into_iter().map(|(_, spelling)| format!("<<{spelling}>>")).collect();
        let whole: Vec<String> =
            (0..3).map(|n| STANDARD.encode([&b"abc"[..n], secret.as_bytes(), b"z"].concat())).collect();
        std::fs::write(keep.join(format!("{name}.spelt")), format!("{}\n{}\n", all.join("\n"), whole.join("\n")))
            .unwrap();
    }
    let spell = format!("#!/bin/sh\nexec cat {}/$1.spelt\n", keep.display());
    bed.tool("vault-read", &format!("#!/bin/sh\necho {FROM_COMMAND}\n"))
        .tool("spell", &spell)
        .env("CANARY_TOKEN", PLAIN)
}

#[test]
fn what_a_step_prints_is_masked_in_every_spelling() {
    let bed = bed(r#"
steps:
  - id: spelt
    shell: |
      : "$token" "$odd" "$vault"
      spell token; spell odd; spell vault
      spell token >&2; spell odd >&2; spell vault >&2
  - id: split
    shell: |
      for secret in "$token" "$odd" "$vault"; do
        for ((i = 0; i < ${#secret}; i++)); do printf '%s' "${secret:i:1}"; done
        printf '\n'
        printf '%s' "${secret:0:9}" >&2; printf '%s\n' "${secret:9}" >&2
        printf 'a line without an end: %s' "$secret"
      done
  - id: coloured
    shell: |
      for secret in "$token" "$odd" "$vault"; do
        printf '\033[31m%s\033[1;4m%s\033[0m%s\n' "${secret:0:5}" "${secret:5:6}" "${secret:11}"
      done
  - id: encoded
    shell: |
      printf '%s' "$token$token$token$token$token" | base64
      printf 'user:%s' "$odd" | base64 -w 20
      printf '%s' "$vault" | od -An -tx1 | tr -d ' \n'; echo
      set -x; : "$odd"
  - id: traced
    shell: {exec: [echo, "--password={{ odd }}", "{{ token }}"]}
  - id: in-env
    shell: env
    env: {HANDED: "user:{{ token }}@host"}
  - id: with-secret
    title: Log in
    shell: exit 3
    env: {LOGIN: "{{ vault }}"}
    on_failure: continue
"#);
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).end().code(0);
    clean_end("the run", &ended);
    all_clean(&bed);
    // The rest of what they printed is there.
    let logs = bed.runs()[0].join("out");
    let log = std::fs::read_to_string(logs.join("spelt.1.log")).unwrap();
    assert!(log.matches("<<***").count() >= 90, "{log}");
    let log = std::fs::read_to_string(logs.join("split.1.log")).unwrap();
    assert!(log.contains("a line without an end: ***"), "{log}");
}

#[test]
fn what_a_server_says_is_masked() {
    let server = Server::start(|request| {
        let said = request.header("authorization").unwrap_or_default().to_owned();
        let body = format!("{said}\n{}\n{}\n{:?}\n", request.raw_path, request.text(), request.query);
        Reply::of(200, "text/plain", body).with("x-echo", said).with("location", request.raw_path.clone())
    });
    let bed = bed(r#"
params: {place: {type: url}}
steps:
  - id: bearer
    http: {url: "{{ place }}/a/{{ token }}", query: {key: "{{ odd }}"}, auth: {bearer: token}}
    capture: {said: result.body}
  - id: basic
    http: {method: POST, url: "{{ place }}/b/{{ odd }}", form: {key: "{{ odd }}", other: "{{ vault }}"}, auth: {basic: [someone, odd]}}
  - id: json
    http: {method: POST, url: "{{ place }}/c", json: {key: "{{ odd }}", list: ["{{ vault }}"]}, headers: {X-Key: "{{ token }}"}}
    expect: result.status == 201
    on_failure: continue
  - id: until
    wait:
      http: {url: "{{ place }}/d", query: {key: "{{ vault }}"}}
      until: result.body == 'never'
      interval: 10ms
      timeout: 100ms
    on_failure: continue
  - id: refused
    http: {url: "http://127.0.0.1:1/x/{{ token }}", query: {key: "{{ odd }}"}}
    on_failure: continue
  - id: no-url
    http: {url: "{{ token }}"}
    on_failure: continue
  - id: no-host
    http: {url: "http://{{ odd }}/"}
    on_failure: continue
  - id: no-header
    http: {url: "{{ place }}", headers: {X-Key: "{{ token }}\n{{ vault }}"}}
    on_failure: continue
  - id: again
    shell: echo "$said"
"#);
    let place = format!("place={}", server.url());
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose", "--param", &place]).end();
    clean_end("the run", &ended);
    let ended = ended.code(0);
    all_clean(&bed);
    // The server did get them.
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), Some(&*format!("Bearer {PLAIN}")));
    assert_eq!(requests[0].segments(), ["a", PLAIN]);
    assert_eq!(requests[0].query("key"), Some(ODD));
    assert_eq!(requests[1].segments(), ["b", ODD]);
    assert_eq!(requests[1].form(), [("key".to_owned(), ODD.to_owned()), ("other".to_owned(), FROM_COMMAND.to_owned())]);
    let events = ended.events();
    let end = events.iter().find(|event| event["event"] == "step_finished" && event["step"] == "bearer").unwrap();
    assert_eq!(end["withheld"], serde_json::json!(["said"]));
    assert_eq!(end["captures"], serde_json::json!({}));
}

#[test]
fn a_failure_that_is_drawn_shows_no_secret_and_no_half_of_one() {
    let long: String = "0123456789".repeat(8);
    // Each of these would be cut in the middle of a secret.
    let bed = bed(&format!(
        r#"
params: {{long: {{type: string, default: "{long}"}}}}
steps:
  - {{id: whole, shell: echo "$token", expect: result.stdout == 'nothing', on_failure: continue}}
  - {{id: quoted, shell: echo "$odd", expect: result.stdout == 'nothing', on_failure: continue}}
  - {{id: cut, shell: 'echo "$long$token"', expect: result.stdout == 'nothing', on_failure: continue}}
  - {{id: cut-odd, shell: 'echo "$long$odd"', expect: "'nothing' in result.lines", on_failure: continue}}
  - {{id: last-line, shell: 'echo "$long$long$long$long" >&2; echo "$long$long$long$token" >&2; exit 3', on_failure: continue}}
  - {{id: last-cut, shell: 'echo "$long$long${{long}}012345678901234567890123456789012345678901234$vault" >&2; exit 3', on_failure: continue}}
  - {{id: number, set: {{n: token|int}}, on_failure: continue}}
  - {{id: number-cut, set: {{m: "('012345678901234567890123456789' ~ vault)|int"}}, on_failure: continue}}
  - {{id: matched, shell: 'true', expect: token is matches("x"), on_failure: continue}}
  - {{id: url-cut, http: {{url: "{{{{ 'https://host/' ~ long[:55] ~ token }}}} "}}, on_failure: continue}}
  - {{id: compared, shell: "true", expect: odd > 3, on_failure: continue}}
"#
    ));
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).end();
    clean_end("the run", &ended);
    ended.code(0).stderr_has("whole failed").stderr_has("number failed").stderr_has("compared failed");
    all_clean(&bed);
}

#[test]
fn questions_and_answers_show_no_secret() {
    let bed = bed(r#"
steps:
  - {id: ask, confirm: "Log in with {{ token }} and {{ odd }}?"}
  - {id: typed, confirm: {message: Sure?, type_back: go}}
  - {id: hand, manual: {message: "Say {{ odd }}.", open: "https://host.example/{{ token }}", evidence: {note: {type: string}}}}
  - {id: use, shell: echo "$note"}
  - {id: declined, confirm: "Was {{ token }} right?"}
"#);
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).end().code(11);
    clean_end("the run", &ended);
    let answers = bed.root().join("bin/answers.yaml");
    let text = format!(
        "ask: yes\ntyped: go\nhand: {{note: {PLAIN}, reason: it is {PLAIN}}}\ndeclined: {{answer: no, reason: 'it is {PLAIN}'}}\n"
    );
    std::fs::write(&answers, text).unwrap();
    let ended = bed.run(&["resume", "last", "--json", "--verbose", "--answers", answers.to_str().unwrap()]).end();
    clean_end("the resumed run", &ended);
    ended.code(5);
    all_clean(&bed);
}

#[test]
fn a_parameter_that_is_a_secret_is_not_on_record() {
    let runbook = r#"
params: {note: {type: string}}
lock: deploy-{{ note }}
steps:
  - {id: a, title: "Use {{ note }}", shell: 'echo "$note" | tee seen-$RANDOM > /dev/null; [ "$note" = "$token" ]'}
  - {id: ask, confirm: "Is {{ note }} right?"}
  - {id: b, shell: '[ "$note" = "$token" ]'}
"#;
    let bed = bed(runbook);
    let note = format!("note={PLAIN}");
    let ended = bed.run(&["run", "./x.yaml", "--param", &note, "--json", "--verbose"]).end();
    clean_end("the run", &ended);
    ended.code(11);
    let ended = bed.run(&["run", "./x.yaml", "--param", &note]).end();
    clean_end("a run that is locked out", &ended);
    ended.code(8);
    all_clean(&bed);
    // It is not on record, so that it has to be given again: never a mask in its place.
    let ended = bed.run(&["resume", "last", "--yes"]).end();
    clean_end("a resume", &ended);
    ended.code(4).stderr_has("RUNSHEET_PARAM_NOTE");
    let ended = bed.run(&["resume", "last", "--yes"]).env("RUNSHEET_PARAM_NOTE", PLAIN).end();
    clean_end("a resume", &ended);
    ended.code(0);
    all_clean(&bed);
}

#[test]
fn a_capture_that_holds_a_secret_is_made_again_or_asked_for() {
    for (effect, code, ran) in [("read", 0, "ran\nran\n"), ("change", 7, "ran\n")] {
        let bed = bed(&format!(
            r#"
steps:
  - id: login
    shell: 'echo ran >> ran; echo "session-of-$token"'
    effect: {effect}
    capture: {{session: result.stdout}}
  - id: other
    shell: echo 'CANARY-not-yet-known-0815'
    effect: {effect}
    capture: {{other: {{value: result.stdout, secret: true}}}}
  - {{id: ask, confirm: Go on?}}
  - {{id: use, shell: '[ "$session" = "session-of-$token" ] && [ "$other" = CANARY-not-yet-known-0815 ] && echo "$session $other"'}}
"#
        ));
        let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).end().code(11);
        clean_end("the run", &ended);
        all_clean(&bed);
        let ended = bed.run(&["resume", "last", "--yes", "--json", "--verbose"]).end();
        clean_end("the resumed run", &ended);
        assert_eq!(ended.code, Some(code), "{effect}: {}", ended.stderr);
        assert_eq!(bed.read("ran"), ran, "{effect}");
        all_clean(&bed);
        let journal = std::fs::read_to_string(bed.runs()[0].join("journal.jsonl")).unwrap();
        assert!(journal.contains("\"withheld\":[\"session\"]"), "{journal}");
    }
}

#[test]
fn a_secret_that_could_not_be_masked_is_refused() {
    for (secret, code) in [("short", 1), ("", 4), ("longer-than-eight", 0)] {
        let bed = Bed::with(
            "title: X\nsecrets: {token: {env: TOKEN}}\nsteps:\n  - {id: a, shell: 'echo \"$token\"; touch ran'}\n",
        )
        .env("TOKEN", secret);
        let ended = bed.run(&["run", "./x.yaml"]).end();
        assert_eq!(ended.code, Some(code), "{secret}: {}", ended.stderr);
        assert_eq!(bed.exists("ran"), code == 0, "{secret}");
    }
    let bed = Bed::with(
        "title: X\nsecrets: {token: {env: TOKEN, allow_short: true}}\nsteps:\n  - {id: a, shell: 'echo \"<$token>\"'}\n",
    )
    .env("TOKEN", "q7!");
    bed.run(&["run", "./x.yaml"]).end().code(0).stderr_has("<***>");
}

#[test]
fn a_secret_with_several_lines_is_masked_line_by_line() {
    let key = "-----BEGIN KEY-----\nCANARYline1aaaaaaaaaaaa\nCANARYline2bbbbbbbbbbbb\n-----END KEY-----\n";
    let bed = Bed::with(
        "title: X\nsecrets: {key: {env: KEY}}\nsteps:\n  - {id: a, shell: 'echo \"$key\"; echo \"$key\" | grep line2 >&2; echo \"$key\" | base64'}\n",
    )
    .env("KEY", key);
    let ended = bed.run(&["run", "./x.yaml", "--json"]).end().code(0);
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains("CANARYline"), "{text}");
    }
    let log = std::fs::read_to_string(bed.runs()[0].join("out/a.1.log")).unwrap();
    assert!(!log.contains("CANARYline") && !log.contains(&STANDARD.encode("CANARYline2bbb")[2..12]), "{log}");
}

#[test]
fn what_is_left_running_is_named_without_its_secrets() {
    let bed = bed(r#"
steps:
  - id: leaves
    effect: read
    shell: |
      (exec -a "left-over --password=$token" sleep 300 > /dev/null 2>&1 &)
      (exec -a "$odd" sleep 300 > /dev/null 2>&1 &)
      echo over
  - {id: late, shell: 'exec -a "late $token" sleep 300', timeout: 100ms, on_failure: continue, idempotent: true}
"#);
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).end();
    clean_end("the run", &ended);
    ended.stderr_has("left over and ended");
    all_clean(&bed);
}

#[test]
fn diagnostics_are_masked() {
    let bed = bed(
        "steps:\n  - {id: a, shell: echo \"$token\"}\n  - {id: b, http: {url: 'http://127.0.0.1:1/{{ token }}'}, on_failure: continue}\n",
    );
    let ended = bed.run(&["run", "./x.yaml"]).env("RUNSHEET_LOG", "trace").end().code(0);
    clean_end("a run with diagnostics", &ended);
}

/// Names are what a run's state is looked up by, whatever else is masked.
#[test]
fn a_step_whose_id_holds_a_secret_is_retried_and_not_forgotten() {
    let bed = Bed::with(
        r#"
title: X
secrets: {password: {env: PASSWORD}}
steps:
  - id: migrate-postgres
    shell: 'echo "as $password"; echo ran >> ran; [ "$(wc -l < ran)" = 2 ]'
    retry: {attempts: 2, interval: 1ms}
    capture: {postgres: result.exit}
  - {id: ask, confirm: Go on?}
  - {id: last, shell: 'echo "$postgres" > last', needs: [migrate-postgres]}
"#,
    )
    .env("PASSWORD", "postgres");
    bed.run(&["run", "./x.yaml"]).end().code(11).stderr_has("as ***");
    let finished = |bed: &Bed| -> Vec<_> {
        let ends = bed.journal().into_iter().filter(|event| event["event"] == "step_finished");
        ends.map(|event| (event["step"].clone(), event["status"].clone())).collect()
    };
    let expected = [("migrate-postgres", "failed"), ("migrate-postgres", "succeeded")];
    assert_eq!(finished(&bed), expected.map(|(step, status)| (step.into(), status.into())));
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(bed.read("ran"), "ran\nran\n");
    assert_eq!(bed.read("last"), "0\n");
}

#[test]
fn a_killed_run_knows_its_step_again_though_the_id_holds_a_secret() {
    let bed = Bed::with(
        r#"
title: X
secrets: {password: {env: PASSWORD}}
steps:
  - {id: migrate-postgres, shell: 'echo "as $password"; echo ran >> ran'}
  - {id: wait, wait: 10m}
"#,
    )
    .env("PASSWORD", "postgres");
    let mut going = bed.run(&["run", "./x.yaml", "--verbose"]).start();
    going.until_stderr("wait");
    going.signal(rustix::process::Signal::KILL);
    drop(going);
    let mut going = bed.run(&["resume", "last", "--yes", "--verbose"]).start();
    going.until_stderr("wait");
    drop(going);
    assert_eq!(bed.read("ran"), "ran\n");
}

#[test]
fn a_secret_in_the_page_to_open_is_not_shown_to_the_operator() {
    let bed = bed("steps:\n  - {id: a, manual: {message: Look, open: 'https://host.example/{{ token }}'}}\n");
    let ended = bed.run(&["run", "./x.yaml"]).end();
    clean_end("the run", &ended);
    ended.code(11);
}

#[test]
fn a_gate_whose_text_came_to_hold_a_secret_pauses_without_it() {
    let bed = bed(r#"
steps:
  - {id: a, shell: 'echo "v-$vault"', capture: {said: result.stdout}}
  - {id: ask, confirm: {message: Sure?, type_back: "{{ said }}"}}
"#);
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).end();
    clean_end("the run", &ended);
    ended.code(11).stderr_has("holds a secret");
    all_clean(&bed);
}

#[test]
fn a_folder_made_of_a_secret_is_refused_before_anything_is_on_record() {
    let bed = bed("params: {place: {type: string}}\ncwd: \"{{ place }}\"\nsteps:\n  - {id: a, shell: touch ran}\n");
    std::fs::create_dir(bed.path(PLAIN)).unwrap();
    let ended = bed.run(&["run", "./x.yaml", "--param", &format!("place={PLAIN}")]).end();
    clean_end("the run", &ended);
    ended.code(4).stderr_has("`cwd` is made of it");
    assert!(bed.runs().is_empty());
}
