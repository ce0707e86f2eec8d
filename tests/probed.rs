//! `plan --probe`: what only reads is run, once, and nothing else; what was seen is told for each step, and used as far as
//! no change stands before it.

use serde_json::{Value as Json, json};

use crate::{
    lab::{Lab, Running},
    standins::server::{Reply, Server},
};

/// A service that counts its queue, and takes orders.
fn service() -> Server {
    Server::start(|request| match request.path.as_str() {
        "/queue" => Reply::json(200, &json!({"count": 3})),
        "/hidden" if request.header("authorization") != Some("Bearer the-real-token") => Reply::empty(401),
        "/hidden" => Reply::json(200, &json!({"said": "the-real-token"})),
        "/busy" => Reply::json(200, &json!({"building": true})),
        "/orders" => Reply::empty(201),
        _ => Reply::empty(404),
    })
}

fn probe(lab: &Lab, args: &[&str], code: i32) -> Json {
    let mut all = vec!["plan", "--probe", "--json", "./book.yaml"];
    all.extend(args);
    let ended = lab.call(&all).expect(code);
    serde_json::from_str(&ended.out).unwrap_or_else(|why| panic!("{why}: {ended:#?}"))
}

#[track_caller]
fn step<'j>(plan: &'j Json, id: &str) -> &'j Json {
    plan["steps"].as_array().unwrap().iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}"))
}

#[track_caller]
fn state(plan: &Json, id: &str) -> String {
    step(plan, id)["probe"]["state"].as_str().unwrap_or("none").to_owned()
}

const EVERYTHING: &str = r#"
title: Everything
params: {place: {type: url}}
secrets:
  token: {env: TOKEN}
  unread: {command: [touch, read-for-nothing]}
  typed: {prompt: true}
steps:
  - {id: queue, http: {url: "{{ place }}/queue"}, capture: {count: result.json.count}}
  - {id: many, when: count > 2, shell: touch ran-many}
  - {id: few, when: count <= 2, shell: touch ran-few}
  - id: hidden
    http: {url: "{{ place }}/hidden", auth: {bearer: token}}
    capture: {said: result.json.said}
  - {id: no-one, shell: 'echo "$typed"', effect: read}
  - {id: pause, wait: 1h}
  - id: busy
    wait: {http: {url: "{{ place }}/busy"}, until: not result.json.building, interval: 1m, timeout: 2h}
  - id: canary
    watch:
      for: 1h
      interval: 1m
      probes: {errors: {http: {url: "{{ place }}/queue"}, value: result.json.count, alarm_when: value > 2, alarm_after: 2}}
  - {id: screen, shell: {script: touch ran-tty, tty: true}, effect: read}
  - {id: copy, http: {url: "{{ place }}/queue", save: saved.json}}
  - {id: agree, confirm: "Go on?"}
  - id: order
    http: {method: POST, url: "{{ place }}/orders", auth: {bearer: unread}}
    capture: {order: result.status}
    verify: {http: {url: "{{ place }}/queue"}, expect: [result.json.count == 3], capture: {order: result.status}}
  - id: second
    shell: touch ran-second
    verify: {shell: test -e ran-second}
  - {id: about, shell: 'echo "$order"', effect: read}
  - {id: later, shell: 'test -e ran-second && echo done', effect: read, capture: {after: result.stdout}}
  - {id: then, when: after == "done", shell: touch ran-then}
  - id: each
    foreach: {as: role, in: [web, db]}
    group:
      steps:
        - {id: see, shell: 'echo "seen $role"', effect: read, capture: {seen: result.stdout}}
        - {id: set, shell: touch ran-set, verify: {shell: 'test "$role" = web'}}
finally:
  - {id: last, shell: touch ran-last}
"#;

#[test]
fn only_what_reads_is_run_and_each_says_what_it_saw() {
    let (lab, service) = (Lab::new(), service());
    lab.book(EVERYTHING);
    let mut command =
        lab.command(&["plan", "--probe", "--json", "./book.yaml", "-p", &format!("place={}", service.url())]);
    let ended = crate::lab::finish({
        command.env("TOKEN", "the-real-token");
        command
    })
    .expect(0);
    assert!(!ended.out.contains("the-real-token") && !ended.err.contains("the-real-token"), "{ended:#?}");
    let plan: Json = serde_json::from_str(&ended.out).unwrap();

    // No change, no order, no file, no folder of runs, and the secret of a change was not read.
    assert!(service.requests().iter().all(|request| request.method == "GET"), "{:?}", service.requests());
    let left: Vec<_> = std::fs::read_dir(lab.path("work")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["book.yaml"]);
    assert!(!lab.state.exists());

    assert_eq!(step(&plan, "queue")["probe"]["http_status"], 200);
    assert_eq!(step(&plan, "queue")["probe"]["captures"], json!({"count": 3}));
    // What was seen decides.
    assert_eq!((&step(&plan, "many")["state"], &step(&plan, "few")["state"]), (&json!("runs"), &json!("skipped")));
    assert_eq!(state(&plan, "hidden"), "seen");
    assert_eq!(step(&plan, "hidden")["probe"]["withheld"], json!(["said"]));
    assert_eq!(step(&plan, "no-one")["probe"]["why"], "it needs the secret typed, which a person is asked for");
    assert_eq!(state(&plan, "pause"), "none");
    assert_eq!(service.requests_of("GET", "/busy").len(), 1);
    assert_eq!(step(&plan, "canary")["probe"]["samples"][0]["state"], "alarm");
    assert_eq!(state(&plan, "screen"), "not_looked");
    assert_eq!(step(&plan, "copy")["probe"]["why"], "it writes its answer into a file");
    assert_eq!(step(&plan, "agree")["state"], "asks");
    // What a change would make is not known, whatever is there now.
    assert_eq!(state(&plan, "order"), "in_place");
    assert_eq!(state(&plan, "second"), "not_in_place");
    assert_eq!(step(&plan, "about")["probe"]["why"], "it needs order.order");
    assert_eq!(step(&plan, "then")["waiting_on"], json!(["later.after"]));
    assert_eq!(
        (state(&plan, "each[web]/set"), state(&plan, "each[db]/set")),
        ("in_place".into(), "not_in_place".into())
    );
    assert_eq!(step(&plan, "each[db]/see")["probe"]["captures"], json!({"seen": "seen db"}));
}

#[test]
fn what_stands_behind_a_change_is_seen_and_not_believed() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Behind
steps:
  - {id: before, shell: echo one, effect: read, capture: {first: result.stdout}}
  - {id: change, shell: touch changed}
  - {id: after, shell: echo old, effect: read, capture: {version: result.stdout}}
  - {id: fails, shell: cat changed, effect: read}
  - {id: old, when: version == "old", shell: touch a}
  - id: inside
    group:
      steps:
        - {id: look, shell: echo two, effect: read, capture: {second: result.stdout}}
  - {id: both, when: first == "one", shell: touch b}
  - {id: neither, when: second == "two", shell: touch c}
finally:
  - {id: end, shell: echo end, effect: read}
"#,
    );
    let plan = probe(&lab, &[], 0);
    let behind = |id: &str| step(&plan, id)["probe"]["behind"].clone();
    assert_eq!(behind("before"), Json::Null);
    for id in ["after", "fails", "inside/look", "end"] {
        assert_eq!(behind(id), "change", "{id}");
    }
    // It says what is there now, and a file that only the change makes is no failure.
    assert_eq!(step(&plan, "after")["probe"]["captures"], json!({"version": "old"}));
    assert_eq!(state(&plan, "fails"), "not_yet");
    let states: Vec<_> = ["old", "both", "neither"].map(|id| step(&plan, id)["state"].clone()).into();
    assert_eq!(states, ["deferred", "runs", "deferred"]);
    assert_eq!(plan["probed"]["failed"], 0);
}

#[test]
fn a_change_that_is_skipped_makes_nothing_stale() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Skipped
steps:
  - {id: change, when: false, shell: touch changed}
  - {id: group, when: "1 == 2", group: {steps: [{id: inner, shell: touch changed}]}}
  - {id: look, shell: echo old, effect: read, capture: {version: result.stdout}}
  - {id: old, when: version == "old", shell: touch a}
"#,
    );
    let plan = probe(&lab, &[], 0);
    assert_eq!(step(&plan, "look")["probe"]["behind"], Json::Null);
    assert_eq!(step(&plan, "old")["state"], "runs");
}

#[test]
fn a_look_that_fails_is_told_and_ends_nothing() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Fails
steps:
  - {id: disk, shell: 'echo "97 % full"; exit 3', effect: read, retry: {attempts: 5, interval: 1h}, on_failure: stop, capture: {used: result.stdout}}
  - {id: may, shell: exit 4, effect: read, on_failure: continue, capture: {what: result.stdout}}
  - {id: if-not, when: 'steps["may"].status == "failed" and what is not defined', shell: touch a}
  - {id: uses, when: used == "x", shell: touch b}
  - {id: look, shell: echo hello, effect: read}
"#,
    );
    let plan = probe(&lab, &[], 1);
    assert_eq!(step(&plan, "disk")["probe"]["exit"], 3);
    assert_eq!(step(&plan, "if-not")["state"], "runs");
    assert_eq!(step(&plan, "uses")["waiting_on"], json!(["disk.used"]));
    assert_eq!(state(&plan, "look"), "seen");
    assert_eq!(
        plan["probed"],
        json!({"seen": 2, "failed": 1, "not_yet": 0, "not_looked": 0, "in_place": 0, "not_in_place": 0, "open": 0})
    );
    let text = lab.call(&["plan", "--probe", "./book.yaml"]).expect(1).out;
    assert!(text.contains("→ FAILED now: exit 3\n       it exited with 3: 97 % full\n"), "{text}");
}

#[test]
fn what_a_run_would_need_is_missing_before_anything_failed() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Missing
params: {host: {type: string, example: production.example}}
secrets: {token: {env: NOT_SET_ANYWHERE}}
steps:
  - {id: ping, shell: 'touch "pinged-$host"', effect: read}
  - {id: read, shell: 'echo "$token"', effect: read, on_failure: stop}
  - {id: look, shell: exit 1, effect: read}
"#,
    );
    let plan = probe(&lab, &[], 4);
    // An example is made up: nobody's machine is looked at for its sake.
    assert_eq!(step(&plan, "ping")["probe"]["why"], "it needs host");
    assert!(!lab.path("work/pinged-production.example").exists());
    assert!(step(&plan, "read")["probe"]["why"].as_str().unwrap().contains("NOT_SET_ANYWHERE is not set"), "{plan}");
    assert_eq!(state(&plan, "look"), "failed");
    assert_eq!(plan["problems"].as_array().unwrap().len(), 3, "{plan}");
}

#[test]
fn a_callee_is_looked_at_with_its_own_values() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("work/runbooks")).unwrap();
    std::fs::write(
        lab.path("work/runbooks/callee.yaml"),
        "title: Callee\nparams: {name: {type: string}}\nsteps:\n  - {id: see, shell: 'echo \"I am $name\"', effect: read, capture: {said: result.stdout}}\noutputs: {said: said}\n",
    )
    .unwrap();
    lab.book(
        r#"
title: Caller
steps:
  - {id: first, shell: echo web, effect: read, capture: {name: result.stdout}}
  - {id: call, call: {runbook: callee, params: {name: "{{ name }}"}}}
  - {id: use, when: 'steps["call"].outputs.said == "I am web"', shell: touch a}
"#,
    );
    let plan = probe(&lab, &[], 0);
    assert_eq!(step(&plan, "call/see")["probe"]["captures"], json!({"said": "I am web"}));
    assert_eq!(step(&plan, "use")["state"], "runs");
}

#[test]
fn nothing_is_started_for_a_look_to_stand_beside() {
    let lab = Lab::new();
    lab.book(
        r#"
title: Beside
steps:
  - id: tunnel
    group:
      helper: {exec: [touch, started]}
      steps:
        - {id: ask, shell: touch asked, effect: read, capture: {said: result.stdout}}
        - {id: sum, set: {two: 1 + 1}}
        - {id: use, when: two == 2, shell: 'true', verify: {shell: touch verified}}
"#,
    );
    let plan = probe(&lab, &[], 0);
    assert!(step(&plan, "tunnel/ask")["probe"]["why"].as_str().unwrap().contains("helper"), "{plan}");
    assert_eq!((state(&plan, "tunnel/use"), &step(&plan, "tunnel/use")["state"]), ("open".into(), &json!("runs")));
    for name in ["started", "asked", "verified"] {
        assert!(!lab.path(&format!("work/{name}")).exists(), "{name}");
    }
}

#[test]
fn an_interrupt_ends_it_with_whatever_it_runs() {
    let lab = Lab::new();
    let gate = lab.gate("slow");
    lab.book(&format!(
        "title: Slow\nsteps:\n  - {{id: slow, shell: 'echo $$ > pid; cat {}', effect: read}}\n  - {{id: next, shell: touch looked-on, effect: read}}\n",
        lab.path("slow").display()
    ));
    let running: Running = lab.start(&["plan", "--probe", "./book.yaml"]);
    let open = gate.reached();
    running.signal(libc::SIGINT);
    let ended = running.end().expect(5);
    assert!(ended.err.contains("stopped before everything was looked at"), "{ended:#?}");
    assert!(!lab.path("work/looked-on").exists());
    let pid: i32 = lab.read("work/pid").trim().parse().unwrap();
    // SAFETY: it asks whether somebody is there, and sends nothing.
    assert_eq!(unsafe { libc::kill(pid, 0) }, -1);
    drop(open);
}

#[test]
fn without_it_a_plan_says_nothing_of_it() {
    let lab = Lab::new();
    lab.book("title: T\nsteps:\n  - {id: a, shell: touch looked, effect: read}\n");
    let plain: Json = serde_json::from_str(&lab.call(&["plan", "--json", "./book.yaml"]).expect(0).out).unwrap();
    assert!(plain.get("probed").is_none() && step(&plain, "a").get("probe").is_none());
    assert!(!lab.path("work/looked").exists());
}
