//! The honest plan: nothing is run, sent, read or asked, everything is shown, and what is not known is said to be so.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::support::{Bed, PROGRAM};

/// Every kind of step, and every place that could be tempted to do something early.
const EVERY_KIND: &str = r#"
title: Every kind for {{ version }}
params:
  version: {type: string, example: v1.0}
  place: {type: url, default: "http://127.0.0.1:9"}
secrets:
  from_file: {file: secret.txt}
  from_command: {command: [canary-command, "{{ version }}"]}
  from_variable: {env: CANARY}
  from_person: {prompt: true}
requires: {tools: [git]}
lock: one-{{ version }}
steps:
  - id: script
    shell: |
      touch ran-script
      echo "$version $from_command $from_person"
    capture: {built: result.stdout}
  - id: program
    shell: {exec: [touch, "ran {{ version }}", "{{ from_variable }}"]}
  - id: look
    http: {url: "{{ place }}/releases/{{ version }}", auth: {bearer: from_file}}
    retry: {attempts: 3, interval: 10s}
    capture: {count: result.json.count}
  - id: send
    http: {method: POST, url: "{{ place }}/deploy", json: {tag: "{{ version }}", built: "{{ built }}"}}
    effect: destroy
  - id: pause
    wait: 1h
  - id: poll
    wait:
      http: {url: "{{ place }}/state"}
      until: result.json.done
      timeout: 2h
  - id: poll-shell
    wait:
      shell: touch ran-poll
      interval: 1s
      timeout: 2h
  - id: agree
    confirm: {message: "Promote {{ version }}?", type_back: "{{ version }}"}
  - id: by-hand
    manual: {message: "Tell the channel about {{ version }}.", open: "{{ place }}/channel", evidence: {ticket: {type: url}}}
  - id: sum
    set: {next: count + 1}
  - id: maybe
    when: count > 3
    shell: touch ran-maybe
  - id: looked-at
    shell: touch ran-again
    verify: {shell: {script: touch ran-verify}, effect: read}
finally:
  - id: clean
    shell: touch ran-finally
"#;

fn every_kind() -> Bed {
    Bed::with(EVERY_KIND)
        .file("secret.txt", "the-secret-in-a-file\n")
        .tool("canary-command", "#!/bin/sh\ntouch ran-secret-command\necho the-secret-of-a-command\n")
        .env("CANARY", "the-secret-in-a-variable")
}

fn plan(bed: &Bed, args: &[&str]) -> Json {
    bed.run(&["plan", "./x.yaml", "--json"]).args(args).end().code(0).json()
}

fn step<'j>(plan: &'j Json, id: &str) -> &'j Json {
    plan["steps"].as_array().unwrap().iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}"))
}

/// Id to state, with what it waits for.
fn states(plan: &Json) -> BTreeMap<&str, String> {
    let steps = plan["steps"].as_array().unwrap();
    let state = |step: &Json| {
        let names: Vec<&str> =
            step["waiting_on"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let state = step["state"].as_str().unwrap();
        if names.is_empty() { state.to_owned() } else { format!("{state}: {}", names.join(" ")) }
    };
    steps.iter().map(|step| (step["id"].as_str().unwrap(), state(step))).collect()
}

/// What a traced call did to the outside.
#[cfg(target_os = "linux")]
struct Traced {
    execs: Vec<String>,
    sockets: Vec<String>,
    changes: Vec<String>,
    opened: Vec<String>,
}

#[cfg(target_os = "linux")]
fn traced(bed: &Bed, args: &[&str]) -> Traced {
    let calls = "trace=execve,execveat,fork,vfork,connect,socket,socketpair,bind,sendto,open,openat,openat2,creat,mkdir,\
                 mkdirat,mknod,mknodat,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,symlink,symlinkat,\
                 truncate,ftruncate,chmod,fchmod,fchmodat,chown,utimensat,kill,tgkill";
    let log = bed.root().join("trace");
    let mut all =
        vec!["-f", "-qq", "-s", "4096", "-o", log.to_str().unwrap(), "-e", calls, "-e", "signal=none", PROGRAM];
    all.extend(args);
    bed.call("strace", &all).stdin_null().end().code(0);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let mut traced = Traced { execs: vec![], sockets: vec![], changes: vec![], opened: vec![] };
    for line in text.lines() {
        let call = line.split_once(' ').unwrap().1.trim_start();
        // `<... openat resumed>` is the end of a call that is listed already.
        if call.starts_with('<') || call.starts_with("+++") {
            continue;
        }
        let list = match call.split('(').next().unwrap() {
            "execve" | "execveat" | "fork" | "vfork" => &mut traced.execs,
            // How the runtime tells itself of signals: a pair of its own, connected to nobody.
            "socketpair" => continue,
            "connect" | "socket" | "bind" | "sendto" => &mut traced.sockets,
            "open" | "openat" | "openat2"
                if !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| call.contains(flag)) =>
            {
                &mut traced.opened
            }
            _ => &mut traced.changes,
        };
        list.push(call.to_owned());
    }
    traced
}

#[cfg(target_os = "linux")]
#[test]
fn a_plan_starts_nothing_connects_to_nothing_and_writes_nothing() {
    let bed = every_kind();
    let before = listing(&bed);
    for args in [&["plan", "./x.yaml"][..], &["plan", "./x.yaml", "--json"], &["run", "./x.yaml", "--dry-run"]] {
        let traced = traced(&bed, args);
        assert_eq!(traced.execs.len(), 1, "{args:?} started something: {:#?}", traced.execs);
        assert!(traced.execs[0].contains(PROGRAM));
        assert!(traced.sockets.is_empty(), "{args:?}: {:#?}", traced.sockets);
        assert!(traced.changes.is_empty(), "{args:?}: {:#?}", traced.changes);
        let secret: Vec<_> = traced.opened.iter().filter(|call| call.contains("secret.txt")).collect();
        assert!(secret.is_empty(), "{args:?} opened a secret: {secret:#?}");
        // The trace does see files that are opened.
        assert!(traced.opened.iter().any(|call| call.contains("x.yaml")));
        assert_eq!(listing(&bed), before, "{args:?} left something behind");
    }
}

/// Without this the test above could be blind.
#[cfg(target_os = "linux")]
#[test]
fn the_trace_sees_what_a_real_run_does() {
    let bed = Bed::with(
        "title: X\nsecrets: {token: {file: secret.txt}}\nsteps:\n  - id: a\n    shell: 'touch made; echo $token'\n  - id: b\n    \
         http: {url: 'http://127.0.0.1:9/'}\n    on_failure: continue\n",
    )
    .file("secret.txt", "the-secret-in-a-file\n");
    let traced = traced(&bed, &["run", "./x.yaml"]);
    assert!(traced.execs.iter().any(|call| call.contains("touch made")), "{:#?}", traced.execs);
    assert!(traced.execs.iter().any(|call| call.contains("__supervise")), "{:#?}", traced.execs);
    assert!(traced.sockets.iter().any(|call| call.contains("127.0.0.1")), "{:#?}", traced.sockets);
    assert!(traced.changes.iter().any(|call| call.contains("journal.jsonl")), "{:#?}", traced.changes);
    assert!(traced.opened.iter().any(|call| call.contains("secret.txt")), "{:#?}", traced.opened);
}

fn listing(bed: &Bed) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![bed.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            found.push(entry.path().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_kind_is_shown_with_its_state_and_in_full() {
    let bed = every_kind();
    let plan = plan(&bed, &[]);
    assert_eq!(plan["runbook"], "x");
    assert_eq!(plan["digest"].as_str().unwrap().len(), 64);
    assert_eq!(plan["params"]["version"], json!({"value": "v1.0", "source": "example"}));
    assert_eq!(plan["params"]["place"], json!({"value": "http://127.0.0.1:9", "source": "default"}));
    assert_eq!(plan["problems"], json!([]));
    let expected = [
        ("agree", "asks"),
        ("by-hand", "asks"),
        ("clean", "runs"),
        ("look", "runs"),
        ("looked-at", "runs"),
        ("maybe", "deferred: look.count"),
        ("pause", "runs"),
        ("poll", "runs"),
        ("poll-shell", "runs"),
        ("program", "runs"),
        ("script", "runs"),
        ("send", "deferred: script.built"),
        ("sum", "deferred: look.count"),
    ];
    assert_eq!(states(&plan), expected.iter().map(|(id, state)| (*id, (*state).to_owned())).collect());
    let detail = |id: &str| step(&plan, id)["detail"].as_str().unwrap();
    assert_eq!(detail("script"), "touch ran-script\necho \"$version $from_command $from_person\"");
    assert_eq!(
        step(&plan, "script")["values"],
        json!({"version": "v1.0", "from_command": "‹from_command›", "from_person": "‹from_person›"})
    );
    assert_eq!(detail("program"), "touch 'ran v1.0' ‹from_variable›");
    assert!(detail("look").starts_with("GET http://127.0.0.1:9/releases/v1.0"), "{}", detail("look"));
    assert!(detail("look").contains("‹from_file›"), "{}", detail("look"));
    assert!(detail("send").starts_with("POST http://127.0.0.1:9/deploy"), "{}", detail("send"));
    assert!(detail("send").contains("‹script.built›") && detail("send").contains("v1.0"), "{}", detail("send"));
    assert!(detail("agree").contains("Promote v1.0?"));
    assert!(detail("by-hand").contains("Tell the channel about v1.0.") && detail("by-hand").contains("/channel"));
    assert!(detail("poll").contains("GET http://127.0.0.1:9/state") && detail("poll").contains("result.json.done"));
    assert!(detail("sum").contains("count + 1"));
    assert_eq!(step(&plan, "send")["kind"], "http");
    assert_eq!(step(&plan, "send")["effect"], "destroy");
    assert_eq!(plan["effects"], json!({"read": 6, "change": 6, "destroy": 1}));
    for field in ["id", "kind", "title", "effect", "needs", "state", "waiting_on", "detail"] {
        assert!(plan["steps"].as_array().unwrap().iter().all(|step| step.get(field).is_some()), "no {field}");
    }
}

#[test]
fn a_dry_run_and_a_plan_say_the_same_and_twice_the_same() {
    let bed = every_kind();
    let text = |args: &[&str]| bed.run(args).stdin("yes\nyes\n").end().code(0).stdout;
    let planned = text(&["plan", "./x.yaml", "--json"]);
    assert_eq!(planned, text(&["run", "./x.yaml", "--dry-run", "--json"]));
    assert_eq!(planned, text(&["plan", "./x.yaml", "--json"]));
    assert_eq!(text(&["plan", "./x.yaml"]), text(&["run", "./x.yaml", "--dry-run"]));
    // Answers are for runs, and change nothing here.
    assert_eq!(text(&["plan", "./x.yaml"]), text(&["run", "./x.yaml", "--dry-run", "--yes"]));
    for secret in ["the-secret-in-a-file", "the-secret-of-a-command", "the-secret-in-a-variable"] {
        assert!(!planned.contains(secret));
    }
}

#[test]
fn people_read_the_same_plan() {
    let bed = Bed::with(
        "title: Ship {{ }}\nparams: {tag: {type: string, example: v1}}\nsteps:\n  - id: build\n    shell: make \"$tag\"\n    \
         capture: {sum: result.stdout}\n  - id: ship\n    title: Ship {{ tag }}\n    when: tag != 'v0'\n    http: {method: POST, url: \
         'https://x.example/{{ sum }}'}\n"
            .replace("Ship {{ }}", "Ship it")
            .as_str(),
    );
    bed.run(&["plan", "./x.yaml"]).end().code(0).stderr("").stdout(
        "plan of x: Ship it
from ./x.yaml; nothing is run, sent, read or asked
  tag = v1 (example)

1. build  [build, CHANGES]
   │ make \"$tag\"
     tag = v1
   sum = result.stdout

2. Ship v1  [ship, CHANGES]
   decided later: waits for build.sum
   only when tag != 'v0'
   │ POST https://x.example/‹build.sum›

2 steps: 0 read, 2 change, 0 destroy
",
    );
}

#[test]
fn a_parameter_without_a_value_and_without_an_example_is_a_problem_and_unknown() {
    let bed = Bed::with(
        "title: X\nparams:\n  version: {type: string}\n  note: {type: string, example: hi}\nsteps:\n  - {id: a, shell: 'echo $version'}\n  \
         - {id: b, shell: echo $note}\n  - {id: c, when: version == 'v1', shell: 'true'}\n",
    );
    let ended = bed.run(&["plan", "./x.yaml", "--json"]).end().code(4);
    let plan = ended.json();
    assert_eq!(plan["params"]["version"], json!({"value": null, "source": "missing"}));
    assert_eq!(plan["params"]["note"]["source"], "example");
    let problems = plan["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].as_str().unwrap().contains("--param version=VALUE"), "{problems:?}");
    let expected = [("a", "deferred: version"), ("b", "runs"), ("c", "deferred: version")];
    assert_eq!(states(&plan), expected.map(|(id, state)| (id, state.to_owned())).into());
    assert_eq!(step(&plan, "a")["values"]["version"], "‹version›");
    bed.run(&["plan", "./x.yaml"]).end().code(4).stdout_has("it could not be run here:").stdout_has("‹not given›");
    // A value from any source mends it.
    bed.run(&["plan", "./x.yaml", "--param", "version=v1"]).end().code(0);
    let given = bed.run(&["plan", "./x.yaml", "--json"]).env("RUNSHEET_PARAM_VERSION", "v2").end().code(0).json();
    assert_eq!(given["params"]["version"], json!({"value": "v2", "source": "environment"}));
}

#[test]
fn what_is_unknown_is_not_evaluated_and_does_not_spread_along_needs() {
    let bed = Bed::with(
        r#"
title: X
params: {level: {type: integer, default: 3}}
steps:
  - {id: first, shell: echo 0, capture: {found: result.stdout, other: result.exit}}
  - {id: by-default, when: "found|default('x') == 'x'", shell: "true"}
  - {id: by-defined, when: found is defined, shell: "true"}
  - {id: by-and, when: "level == 4 and found == 'y'", shell: "true"}
  - {id: by-or, when: "level == 3 or found == 'y'", shell: "true"}
  - {id: by-status, when: "steps['first'].status == 'succeeded'", shell: "true"}
  - {id: in-a-template, confirm: "Is {{ found }} right?"}
  - {id: computed, set: {twice: other * 2}}
  - {id: from-computed, shell: echo $twice}
  - {id: after-all, shell: echo plain}
  - {id: skipped, when: level > 3, shell: "true"}
  - {id: pure, set: {more: level + 1}}
  - {id: from-pure, when: more == 4, shell: echo $more}
"#,
    );
    let plan = plan(&bed, &[]);
    let expected = [
        ("after-all", "runs"),
        ("by-and", "deferred: first.found"),
        ("by-default", "deferred: first.found"),
        ("by-defined", "deferred: first.found"),
        ("by-or", "deferred: first.found"),
        ("by-status", "deferred: first.status"),
        ("computed", "deferred: first.other"),
        ("first", "runs"),
        ("from-computed", "deferred: computed.twice"),
        ("from-pure", "runs"),
        ("in-a-template", "deferred: first.found"),
        ("pure", "runs"),
        ("skipped", "skipped"),
    ];
    assert_eq!(states(&plan), expected.map(|(id, state)| (id, state.to_owned())).into());
    assert_eq!(step(&plan, "in-a-template")["detail"], "Is ‹first.found› right?");
    assert_eq!(step(&plan, "from-pure")["values"], json!({"more": "4"}));
    assert_eq!(step(&plan, "by-or")["when"], "level == 3 or found == 'y'");
    assert_eq!(plan["effects"], json!({"read": 3, "change": 9, "destroy": 0}));
}

#[test]
fn needs_hold_on_condition() {
    let bed = Bed::with(
        r#"
title: X
params: {schema: {type: enum, choices: [none, additive, destructive], default: none}}
steps:
  - {id: agent, shell: "true"}
  - {id: admin, needs: [{step: public, when: "schema == 'destructive'"}, agent], shell: "true"}
  - {id: public, needs: [{step: admin, when: "schema == 'additive'"}, agent], shell: "true"}
  - {id: alone, needs: [], shell: "true"}
"#,
    );
    for (schema, admin, public) in [
        ("none", json!(["agent"]), json!(["agent"])),
        ("additive", json!(["agent"]), json!(["agent", "admin"])),
        ("destructive", json!(["agent", "public"]), json!(["agent"])),
    ] {
        let plan = plan(&bed, &["--param", &format!("schema={schema}")]);
        assert_eq!(step(&plan, "admin")["needs"], admin, "{schema}");
        assert_eq!(step(&plan, "public")["needs"], public, "{schema}");
        assert_eq!(step(&plan, "alone")["needs"], json!([]), "{schema}");
    }
}

#[test]
fn what_is_missing_on_this_machine_is_listed() {
    let bed = Bed::with(
        r#"
title: X
requires: {tools: [bash, no-such-tool]}
secrets:
  a: {env: NOT_SET}
  b: {file: not-there.txt}
  c: {command: [no-such-vault, read]}
steps:
  - {id: one, shell: "echo $a $b $c"}
"#,
    );
    let plan = bed.run(&["plan", "./x.yaml", "--json"]).end().code(4).json();
    let problems: Vec<&str> = plan["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    for word in ["no-such-tool", "NOT_SET", "not-there.txt", "no-such-vault"] {
        assert!(problems.iter().any(|problem| problem.contains(word)), "{word}: {problems:#?}");
    }
    assert_eq!(states(&plan)["one"], "runs");
}

#[test]
fn a_step_that_is_wrong_already_is_a_problem() {
    let bed = Bed::with(
        r#"
title: X
params: {n: {type: string, default: three}}
steps:
  - {id: a, set: {m: n|int}}
  - {id: b, when: n > 3, shell: "true"}
  - {id: c, shell: echo $m}
  - {id: d, when: n == 'four', shell: "true"}
"#,
    );
    let plan = bed.run(&["plan", "./x.yaml", "--json"]).end().code(4).json();
    let problems = plan["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].as_str().unwrap().contains("step a"), "{problems:#?}");
    assert!(problems[1].as_str().unwrap().contains("step b"), "{problems:#?}");
    let expected = [("a", "runs"), ("b", "runs"), ("c", "deferred: a.m"), ("d", "skipped")];
    assert_eq!(states(&plan), expected.map(|(id, state)| (id, state.to_owned())).into());
    bed.run(&["plan", "./x.yaml"]).end().code(4).stdout_has("`three` is not a whole number");
    // It cannot come to anything after a step that ends the run.
    bed.write(
        "y.yaml",
        r#"
title: Y
params: {n: {type: string, default: three}}
steps:
  - {id: a, set: {m: n|int}, on_failure: stop}
  - {id: b, shell: "true"}
"#,
    );
    let plan = bed.run(&["plan", "./y.yaml", "--json"]).end().code(4).json();
    assert_eq!(states(&plan)["b"], "deferred: a.status");
}

#[test]
fn a_runbook_with_mistakes_has_no_plan() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shel: ls}\n");
    bed.run(&["plan", "./x.yaml", "--json"]).end().code(3).stdout("").stderr_has("shell");
}
