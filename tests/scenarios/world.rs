//! What the world of a scenario answers, and what is said where something else came out than was expected.

use super::{BOOK, book, check, tried};

/// The situation of the reference, with a death in it.
const WELL: &str = r#"
scenarios:
  - name: all is well
    params: {version: v3}
    secrets: {jenkins_token: not-a-real-token}
    answers: {promote: yes}
    world:
      shell:
        - {step: schema-diff, reply: [{exit: 1, stdout: "M\tx\n"}]}
        - {match: "git push *", reply: [{exit: 0}]}
      http:
        - on: POST https://jenkins.example/job/*
          headers: {authorization: Basic bWU6bm90LWEtcmVhbC10b2tlbg==}
          reply: [{status: 503}, {status: 201, headers: {Location: /queue/item/7/}}]
        - on: GET https://jenkins.example/queue/*
          reply: [{json: {done: false}}, {fail: refused}, {status: 500}, {json: {done: true}}]
    crash_after: trigger
    expect:
      outcome: succeeded
      order: [trigger, done, push]
      status: {push: succeeded}
      requests: [{on: "POST https://jenkins.example/job/v3/build", times: 2}]
      commands: [{match: git push origin v3, times: 1}, {step: push, env: {version: v3}}]
      captures: {changed: true}
      outputs: {queue: /queue/item/7/}
      asked: [promote]
"#;

#[test]
fn a_run_goes_through_its_world_and_through_a_death() {
    // 5s before the second attempt, 1s until somebody resumes, three looks 5s apart.
    assert_eq!(tried(&book(BOOK), WELL), ["ok in 21s"]);
}

/// Each expectation, turned into one that does not hold, is told with what came instead.
#[test]
fn each_expectation_can_fail() {
    for (from, to, told) in [
        ("outcome: succeeded", "outcome: failed", "outcome: expected the run to end as failed, got succeeded"),
        ("outcome: succeeded", "code: 1", "code: expected exit code 1, got 0"),
        ("outcome: succeeded", "reason: no", "reason: the reason of the end does not hold this text | there is none"),
        ("[trigger, done, push]", "[push, done]", "order: done began before push was over"),
        ("status: {push: succeeded}", "status: {push: failed}", "status: expected push to be failed, got succeeded"),
        ("status: {push: succeeded}", "failure: {push: x}", "failure: expected push to fail, got succeeded"),
        ("build\", times: 2", "build\", times: 1", "requests: expected this to be sent once, got twice"),
        ("job/v3/build\", times: 2", "job/v4/build\"", "requests: expected this to be sent, and it never was"),
        ("origin v3, times: 1", "origin v4", "commands: expected this to be run, and it never was"),
        ("env: {version: v3}", "env: {version: v4}", "commands: expected this to be run, and it never was"),
        ("changed: true", "changed: false", "captures: expected `changed` to be false, got true"),
        ("{changed: true}", "{chnaged: true}", "captures: there is no name `chnaged` in book"),
        ("queue: /queue/item/7/}", "queue: 7}", "outputs: expected output `queue` to be 7, got \"/queue/item/7/\""),
        ("asked: [promote]", "asked: []", "asked: expected no question, and there was one | asked: promote (confirm)"),
        ("asked: [promote]", "asked: [push]", "asked: expected this to be asked, and it never was"),
        ("asked: [promote]", "undone: [push]", "undone: expected push to be undone, got nothing"),
        ("asked: [promote]", "files: {x: y}", "files: expected a file x, and there is none"),
        ("crash_after: trigger", "crash_after: [push, push]", "no-crash: the engine did not die here"),
    ] {
        assert!(WELL.contains(from), "{from}");
        let got = tried(&book(BOOK), &WELL.replacen(from, to, 1));
        assert!(got.len() == 1 && got[0].contains(&told.replace("twice", "2 times")), "{from} → {to}: {got:#?}");
    }
}

#[test]
fn what_nothing_answers_is_drawn_under_its_step() {
    let steps = r#"
secrets: {token: {env: TOKEN}}
steps:
  - id: one
    http: {url: "https://h.example/a?key=1", headers: {x: "{{ token }}"}}
  - id: two
    shell: |
      echo "$token"
      deploy now
"#;
    check(
        steps,
        "expect: {outcome: failed}",
        &[
            "book.yaml:4 unmatched-request: no rule answers this request of one: GET https://h.example/a?key=1 | add to \
           `world.http`: - {on: \"GET https://h.example/a?key=1\", reply: [{status: 200}]}",
        ],
    );
    check(
        steps,
        "world: {http: [{on: 'GET https://h.example/a', reply: {}}], shell: [{step: two, match: deploy then, reply: {}}]}\n\
         expect: {outcome: succeeded}",
        &[
            "book.yaml:6 unmatched-command: no rule answers this command of two: echo \"$token\" … | add to `world.shell`: \
           - {step: two, reply: [{exit: 0}]}\na rule for this step does not fit: match: deploy then\nit is:\n\
           echo \"$token\"\ndeploy now",
        ],
    );
}

#[test]
fn requests_fail_in_every_way() {
    let steps = "steps: [{id: one, http: {method: POST, url: 'https://h.example/a'}, timeout: 30s}]";
    for (reply, outcome, told, took) in [
        ("fail: refused", "failed", "not reachable: h.example refuses the connection", "0ns"),
        ("fail: unknown_host", "failed", "not reachable: there is no host h.example", "0ns"),
        ("fail: reset", "unknown", "the request may have arrived", "0ns"),
        ("fail: timeout", "unknown", "no answer from h.example within 30s", "30s"),
        ("fail: slow_body", "unknown", "was not complete within 30s", "30s"),
        ("delay: 31s", "unknown", "no answer from h.example within 30s", "30s"),
        ("status: 500, delay: 2s", "failed", "500", "2s"),
    ] {
        let world = format!(
            "world: {{http: [{{on: 'POST *', reply: {{{reply}}}}}]}}\nexpect: {{outcome: {outcome}, failure: {{one: '{told}'}}}}"
        );
        check(steps, &world, &[&format!("ok in {took}")]);
    }
}

#[test]
fn commands_fail_in_every_way() {
    let steps = "steps: [{id: one, shell: x, timeout: 30s}]";
    for (reply, outcome, told) in [
        ("exit: 3", "failed", "3"),
        ("signal: KILL", "unknown", "killed by signal 9 (KILL)"),
        ("signal: 15", "unknown", "15 (TERM)"),
        ("fail: not_started", "failed", "could not be started"),
        ("fail: lost", "unknown", "how it ended cannot be told"),
        ("delay: 31s", "unknown", "did not end within 30s"),
    ] {
        let world = format!(
            "world: {{shell: [{{step: one, reply: {{{reply}}}}}]}}\nexpect: {{outcome: {outcome}, failure: {{one: '{told}'}}}}"
        );
        let took = if reply.starts_with("delay") { "ok in 30s" } else { "ok in 0ns" };
        check(steps, &world, &[took]);
    }
}

#[test]
fn scripts_elsewhere_terminals_and_daemons_are_answered() {
    let steps = r#"
params: {name: {type: string, default: web}}
steps:
  - id: far
    shell: {script: 'restart "$name"', via: [ssh, -T, host, --]}
    capture: {said: result.stdout}
  - id: seat
    shell: {script: top, tty: true}
    capture: {seen: result.stdout}
  - id: tunnel
    shell: {script: ssh -f -L 1:h:2 h, daemon: true}
"#;
    check(
        steps,
        r#"
world:
  shell:
    - {match: restart web, reply: {stdout: "up\n"}}
    - {match: "bash * top", reply: {stdout: "\e[1mhot\e[0m"}}
    - {step: tunnel, reply: {left: [ssh]}}
expect: {captures: {said: up, seen: hot}, status: {tunnel: succeeded}}
"#,
        &["ok in 0ns"],
    );
    check(
        steps,
        "world: {shell: [{step: far, reply: {fail: lost}}]}\nexpect: {outcome: unknown, failure: {far: 'it may still run'}}",
        &["ok in 0ns"],
    );
}

#[test]
fn files_go_from_step_to_step() {
    let steps = r#"
steps:
  - {id: pack, shell: tar cf out.tar .}
  - {id: up, http: {method: PUT, url: "https://h.example/out", upload: out.tar}}
  - {id: down, http: {url: "https://h.example/in", save: "{{ run.dir }}/in"}}
"#;
    let world = |rules: &str, expect: &str| {
        format!(
            "world:\n  http:\n    - {{on: 'PUT *', body: packed, reply: {{status: 201}}}}\n    - {{on: 'GET *', reply: {{body: \
             got}}}}\n{rules}\nexpect: {expect}"
        )
    };
    check(
        steps,
        &world(
            "  shell: [{step: pack, reply: {files: {out.tar: packed}}}]",
            "{files: {/scratch/in: g*, out.tar: packed}}",
        ),
        &["ok in 0ns"],
    );
    check(steps, &world("  shell: [{step: pack, reply: {}}]\n  files: {out.tar: packed}", "{}"), &["ok in 0ns"]);
    check(
        steps,
        &world(
            "  shell: [{step: pack, reply: {}}]",
            "{outcome: failed, failure: {up: there is no file /here/out.tar}}",
        ),
        &["s.yaml:5 unused: this rule was never used", "s.yaml:6 unused: this rule was never used", "ok in 0ns"],
    );
}

#[test]
fn a_death_in_the_middle_is_decided_by_what_the_world_knows() {
    // A command had ended, and its supervisor wrote down how: it is not run again.
    check(
        "steps: [{id: one, shell: x}]",
        "world: {shell: [{step: one, reply: {}}]}\ncrash_during: one\nexpect: {commands: [{step: one, times: 1}]}",
        &["ok in 1s"],
    );
    let request = r#"
steps:
  - id: one
    http: {method: POST, url: "https://h.example/a"}
    verify: {http: {url: "https://h.example/b"}, expect: "result.json.there"}
"#;
    // Of a request nobody knows.
    for (there, times) in [("true", 1), ("false", 2)] {
        let scenario = format!(
            "world: {{http: [{{on: 'POST *', reply: {{}}}}, {{on: 'GET *', step: one@verify, reply: {{json: {{there: \
             {there}}}}}}}]}}\ncrash_during: one\nexpect: {{requests: [{{on: 'POST *', times: {times}}}]}}"
        );
        check(request, &scenario, &["ok in 1s"]);
    }
}

#[test]
fn answers_come_in_turn_and_menus_take_them() {
    let steps =
        "steps: [{id: one, shell: x}, {id: sure, confirm: Sure?}, {id: two, ask: {fields: {n: {type: integer}}}}]";
    check(
        steps,
        r#"
answers: {one: [retry, {answer: skip, reason: broken}], sure: yes, two: {n: 7}}
world: {shell: [{step: one, reply: [{exit: 1}, {exit: 2}]}]}
expect: {captures: {n: 7}, status: {one: skipped}, asked: [{step: one, about: failure, times: 2}, sure, two]}
"#,
        &["ok in 0ns"],
    );
    check(
        steps,
        "world: {shell: [{step: one, reply: {}}]}\nexpect: {outcome: succeeded}",
        &[
            "s.yaml:4 outcome: expected the run to end as succeeded, got paused: nobody is at the keyboard to \
             confirm this",
            "book.yaml:2 unanswered-question: a question (confirm) has no answer: nobody is at the keyboard to confirm this \
             | answers: {sure: yes}",
        ],
    );
}

#[test]
fn what_failed_is_taken_back() {
    check(
        r#"
steps:
  - {id: one, shell: up, undo: {shell: down}}
  - {id: two, shell: more, on_failure: undo}
"#,
        r#"
world:
  shell:
    - {step: one, reply: {}}
    - {step: one@undo, reply: {}}
    - {step: two, reply: {exit: 1}}
expect: {outcome: undone, undone: [one], code: 6}
"#,
        &["ok in 0ns"],
    );
}

/// Five minutes of looks, and a gate that opens with the clock of the scenario.
#[test]
fn time_is_that_of_the_scenario() {
    check(
        r#"
steps:
  - id: canary
    watch: {for: 5m, interval: 15s, probes: {errors: {shell: count, value: "result.stdout|int", alarm_when: value > 9}}}
  - {id: gate, confirm: {message: Now?, not_before: "2026-01-05T09:34:00Z"}}
"#,
        "answers: {gate: yes}\nworld: {shell: [{match: count, reply: {stdout: 3}}]}\nexpect: {}",
        &["ok in 300s"],
    );
}

#[test]
fn what_does_not_end_is_told() {
    check(
        "steps: [{id: one, wait: {shell: look, until: result.exit == 1, interval: 1s, timeout: 7d}}]",
        "world: {shell: [{step: one, reply: {}}]}\nexpect: {outcome: failed}",
        &[
            "book.yaml:2 endless: step one is answered 10000 times, and goes on | let the last reply end it, or limit how \
           often it tries",
        ],
    );
}

/// A helper goes on beside the steps of its group, which wait until it is ready; one that ends at once is a failure.
#[test]
fn helpers_of_groups_are_answered() {
    let steps = r#"
steps:
  - id: g
    group:
      helper: {exec: [ssh, -N, host], ready: {shell: nc -z localhost 1}}
      steps: [{id: a, shell: use it}]
"#;
    let world = |reply: &str, expect: &str| {
        format!(
            "world:\n  shell:\n    - {{match: ssh -N host, reply: {{{reply}}}}}\n    - {{match: nc *, reply: [{{exit: 1}}, {{exit: \
             0}}]}}\n    - {{step: g/a, reply: {{}}}}\nexpect: {expect}"
        )
    };
    check(steps, &world("", "{status: {g/a: succeeded}}"), &["ok in 1s"]);
    let got = world("exit: 255", "{outcome: failed, status: {g/a: not_run}}");
    check(
        steps,
        &got,
        &["s.yaml:6 unused: this rule was never used", "s.yaml:7 unused: this rule was never used", "ok in 0ns"],
    );
}

#[test]
fn a_parameter_that_is_refused_begins_nothing() {
    let of = |params: &str, refused: &str| {
        tried(&book(BOOK), &format!("scenarios:\n- {{name: it, params: {params}, expect: {{refused: {refused}}}}}\n"))
    };
    assert_eq!(of("{version: 3}", "{version: v}"), ["ok in 0ns"]);
    assert_eq!(of("{}", "{version: must be given}"), ["ok in 0ns"]);
    let taken = of("{version: v3}", "{version: '*'}");
    assert_eq!(taken, ["s.yaml:2 refused: expected parameter `version` to be refused, and it is taken"]);
    let other = of("{version: 3}", "{version: 'not for this reason'}");
    assert!(other[0].contains("expected parameter `version` to be refused for another reason, got: "), "{other:?}");
    let more = of("{jenkins: none}", "{version: must be given}");
    assert!(more[0].starts_with("s.yaml:2 refused: parameter `jenkins` is refused: "), "{more:?}");
}
