//! Small runbooks, each for some of what a run can meet. Their scripts are those of simulated processes.

use super::{drive::Case, person::Manner};

/// Changes in a row, with output, and one that is left out.
const LINEAR: &str = r#"
title: Three changes in a row
params: {version: {type: string, default: v3.20}}
steps:
  - {id: tag, shell: do tag-$version print tagged $version}
  - {id: notes, when: "version == 'v4'", shell: do notes}
  - {id: build, shell: do build first for 30s print built}
  - {id: ship, shell: do ship for 5s}
"#;

/// Every way in which a resume can learn what became of a step, and values that must survive.
const MIXED: &str = r#"
title: Looks, repeatable steps and such that can be looked at
steps:
  - {id: see, effect: read, shell: print c0ffee, capture: {seen: result.stdout}}
  - {id: cache, idempotent: true, shell: do cache print 37, capture: {warmth: result.stdout|int}}
  - id: deploy
    shell: do deploy-$seen print $seen-$warmth
    capture: {url: result.stdout}
    verify: {shell: look deploy-$seen; print $seen-$warmth, capture: {url: result.stdout}}
  - {id: announce, shell: do announce-$url}
  - {id: tell, when: "url == 'c0ffee-37'", shell: do tell}
"#;

/// Secrets from everywhere: declared, captured, printed by accident, and of a step that may not run again.
const SECRET: &str = r#"
title: Secrets
secrets: {token: {env: SIM_TOKEN}}
steps:
  - {id: look, effect: read, shell: tell hidden, capture: {hidden: {value: result.stdout, secret: true}}}
  - {id: use, shell: do use print with $token and $hidden}
  - {id: echo, idempotent: true, shell: do echo print $token, capture: {echoed: "'x' ~ result.stdout"}}
  - id: make
    shell: do make; tell made
    capture: {made: {value: result.stdout, secret: true}}
    verify: {shell: look make; tell made, capture: {made: {value: result.stdout, secret: true}}}
  - {id: last, shell: do last print $made $echoed $hidden}
"#;

const RETRIED: &str = r#"
title: What fails at first
steps:
  - {id: flaky, shell: fails 2 do flaky, retry: {attempts: 4, interval: 10s, backoff: 2}}
  - {id: asked, shell: fails 1 do asked}
  - {id: safe, idempotent: true, shell: fails 1 do safe, retry: {attempts: 3, interval: 1s}}
  - {id: end, shell: do end}
"#;

const GOES_ON: &str = r#"
title: Failures that do not matter
steps:
  - {id: nice, on_failure: continue, shell: exit 3, capture: {gone: result.stdout}}
  - {id: after, shell: do after}
  - {id: hint, when: "steps['nice'].status == 'failed' and gone is not defined", shell: do hint}
"#;

const STOPS: &str = r#"
title: A failure that stops the run
steps:
  - {id: first, shell: do first}
  - {id: bad, on_failure: stop, shell: print it does not work; exit 2}
  - {id: never, shell: do never}
finally:
  - {id: tidy, idempotent: true, shell: do tidy}
"#;

const PEOPLE: &str = r#"
title: Questions
steps:
  - {id: before, shell: do before}
  - {id: sure, confirm: Go on?}
  - {id: by-hand, manual: Do it by hand.}
  - {id: after, shell: do after}
"#;

const EVIDENCE: &str = r#"
title: Questions that only a person can answer
steps:
  - id: build
    manual: {message: Start the build., evidence: {number: {type: integer}}}
  - {id: drop, effect: destroy, confirm: {message: Really?, type_back: production}}
  - {id: use, shell: do use-$number}
"#;

const WAITS: &str = r#"
title: Waits
steps:
  - {id: start, shell: do start}
  - {id: pause, wait: 90s}
  - id: ready
    wait: {shell: since start 2m print $url, interval: 20s, timeout: 10m, capture: {url: result.stdout}}
    env: {url: "https://ready.example"}
  - {id: go, when: "url == 'https://ready.example'", shell: do go}
"#;

const LAST: &str = r#"
title: A lock, and what runs last
lock: release
steps:
  - {id: borrow, shell: do borrow}
  - {id: work, shell: do work print done}
finally:
  - {id: give-back, shell: do give-back}
  - {id: sweep, idempotent: true, shell: do sweep}
"#;

/// A request takes effect over there whatever becomes of us.
const WEB: &str = r#"
title: Requests
steps:
  - id: post
    http: {method: POST, url: "https://sim.example/do/post/first/for/2s/print/thanks", headers: {x-step: post}}
  - id: lossy
    http: {method: POST, url: "https://sim.example/do/lossy/first/lost", headers: {x-step: lossy}}
    verify: {http: {url: "https://sim.example/look/lossy", headers: {x-step: lossy}}}
  - id: asked
    http: {method: POST, url: "https://sim.example/do/asked/first/lost", headers: {x-step: asked}}
  - id: get
    http: {url: "https://sim.example/look/post", headers: {x-step: get}}
    capture: {code: result.status}
  - {id: end, when: code == 200, shell: do end}
"#;

/// Ends that say nothing.
const UNKNOWN: &str = r#"
title: Ends that say nothing
steps:
  - {id: slow, timeout: 20s, shell: do slow for 5s; hang}
  - {id: late, timeout: 20s, shell: do late for 30s, verify: {shell: look late}, on_failure: continue}
  - {id: killed, shell: do killed die 9}
  - {id: lost, shell: do half; do rest lost}
  - {id: again, idempotent: true, timeout: 3s, shell: do again for 1s}
  - {id: end, shell: do end}
"#;

/// Steps that do not need each other, and one that needs them all.
const WIDE: &str = r#"
title: Independent steps
steps:
  - {id: one, needs: [], shell: do one for 8s print one}
  - {id: two, needs: [], shell: do two first for 3s print two, verify: {shell: look two}}
  - {id: three, needs: [], effect: read, shell: sleep 2s print 3, capture: {three: result.stdout}}
  - {id: four, needs: [three], shell: do four-$three for 4s}
  - {id: five, needs: [], idempotent: true, shell: do five for 1s}
  - {id: all, needs: [one, two, four, five], shell: do all}
"#;

/// Steps in steps: side by side, one after the other, and one list beside another.
const GROUPS: &str = r#"
title: Groups
steps:
  - id: pair
    group:
      parallel: 2
      steps:
        - {id: one, idempotent: true, shell: do one for 4s print 1, capture: {one: result.stdout|int}}
        - id: two
          group: {steps: [{id: a, shell: do two-a for 3s}, {id: b, shell: do two-b first for 2s, verify: {shell: look two-b}}]}
        - {id: three, idempotent: true, shell: do three for 1s}
  - {id: left, when: one == 2, group: {steps: [{id: out, shell: do out}]}}
  - {id: gated, group: {steps: [{id: sure, confirm: Go on?}, {id: go, shell: do go-$one}]}}
  - id: may-fail
    on_failure: continue
    group: {steps: [{id: bad, shell: exit 3}, {id: never, shell: do never}]}
  - {id: end, when: "steps['may-fail'].status == 'failed'", shell: do end}
"#;

/// A list that is on record, names that are local, and a map of them afterwards.
const LOOPS: &str = r#"
title: Loops
steps:
  - {id: find, idempotent: true, shell: do find print web db, capture: {found: "result.stdout|split(' ')"}}
  - id: node
    foreach: {as: host, in: found}
    group:
      steps:
        - {id: drain, idempotent: true, shell: do drain-$host for 5s print $host, capture: {was: result.stdout}}
        - {id: only, when: host == 'db', shell: do only-$host-$was}
        - {id: back, shell: do back-$host, verify: {shell: look back-$host}}
  - {id: wide, foreach: {as: n, in: [1, 2, 3], parallel: 2}, shell: do wide-$n for 3s}
  - {id: end, shell: do end-$both, env: {both: "{{ was.web }}{{ was['db'] }}"}}
"#;

/// What another runbook gives, and what it runs last.
const CALLS: &str = r#"
title: Calls
steps:
  - {id: before, idempotent: true, shell: do before print x7, capture: {key: result.stdout}}
  - {id: first, call: {runbook: lib/work, params: {job: "{{ key }}"}}}
  - {id: each, foreach: {as: job, in: [a, b], parallel: 2}, call: {runbook: lib/work, params: {job: "{{ job }}"}}}
  - {id: nice, on_failure: continue, call: {runbook: lib/nice}}
  - {id: end, shell: do end-$made, env: {made: "{{ steps['first'].outputs.made }}"}}
finally:
  - {id: tidy, shell: do tidy}
"#;

/// A call that fails, and what is left of it to run.
const CALL_FAILS: &str = r#"
title: A call that fails
steps:
  - {id: outer, group: {steps: [{id: bad, call: {runbook: lib/bad}}]}}
  - {id: never, shell: do never}
finally:
  - {id: tidy, group: {steps: [{id: one, shell: do tidy-one}, {id: two, idempotent: true, shell: do tidy-two}]}}
"#;

/// Ways that a value or a person chooses.
const CHOICES: &str = r#"
title: Choices
steps:
  - {id: look, effect: read, shell: print 3, capture: {n: result.stdout|int}}
  - id: way
    choose:
      cases:
        - {id: low, when: n < 3, steps: [{id: x, shell: do low, capture: {said: result.stdout}}]}
        - {id: high, when: n >= 3, steps: [{id: x, idempotent: true, shell: do high print up, capture: {said: result.stdout}}]}
        - {id: rest, else: true, steps: [{id: x, shell: do rest}]}
  - id: asked
    choose:
      question: Which way after {{ said }}?
      cases:
        - {id: left, title: Left, steps: [{id: x, shell: do left first for 3s}, {id: y, shell: do left-y}]}
        - {id: right, steps: [{id: x, shell: do right}]}
  - {id: end, shell: do end-$said}
"#;

/// What the others call.
pub fn called(name: &str) -> Option<&'static str> {
    Some(match name {
        "lib/work" => {
            r#"
title: Work
params: {job: {type: string}}
steps:
  - id: begin
    shell: do begin-$job first for 2s print made-$job
    capture: {text: result.stdout}
    verify: {shell: look begin-$job; print made-$job, capture: {text: result.stdout}}
  - {id: finish, shell: do finish-$job, verify: {shell: look finish-$job}}
finally:
  - {id: tidy, shell: do tidy-$job}
outputs: {made: text}
"#
        }
        "lib/made" => {
            r#"
title: Made
params: {job: {type: string}}
steps:
  - {id: begin, shell: do begin-$job, undo: {shell: do unbegin-$job first for 2s}}
  - {id: finish, shell: do finish-$job, undo: {shell: do unfinish-$job}}
finally:
  - {id: tidy, idempotent: true, shell: do tidy-$job}
"#
        }
        "lib/bad" => {
            r#"
title: Bad
steps:
  - {id: half, shell: do half-bad}
  - {id: bad, on_failure: stop, shell: exit 4}
finally:
  - {id: tidy, shell: do tidy-bad, verify: {shell: look tidy-bad}}
  - {id: sweep, idempotent: true, shell: do sweep-bad}
"#
        }
        "lib/nice" => {
            r#"
title: Nice
steps:
  - {id: half, shell: do half-nice}
  - {id: bad, shell: exit 4}
finally:
  - {id: tidy, shell: do tidy-nice}
"#
        }
        _ => return None,
    })
}

/// What a person types, secrets included.
const ASKED: &str = r#"
title: Values that only a person knows
steps:
  - id: ask
    ask: {fields: {count: {type: integer}, note: {type: string}, span: {type: duration}, pin: {type: secret}}}
  - {id: use, shell: do use-$count-$span print $note}
  - {id: more, ask: {fields: {host: {type: string}}}}
  - {id: last, when: "count + 1 == 8 and host == 'evidence'", shell: do last print $pin $host}
"#;

/// Looking for a while; a baseline, and an alarm that somebody takes as it is.
const WATCHED: &str = r#"
title: Watches
steps:
  - {id: start, shell: do start}
  - id: before
    watch:
      for: 30s
      interval: 15s
      probes:
        load: {shell: look start; print 3, value: result.stdout|int}
        later: {shell: since start 20s print up, value: result.stdout, no_data: 9}
    capture: {load_before: result.probes.load.mean, state: result.probes.later.last}
  - {id: go, when: load_before == 3 and state == 'up', shell: do go}
  - id: after
    watch:
      for: 2m
      interval: 10s
      probes:
        load: {shell: look go; print 9, value: result.stdout|int, alarm_when: value > 2 * load_before, alarm_after: 2}
  - {id: end, shell: do end}
"#;

/// Undo of each kind: with a captured value, of a container, of each item.
const UNDONE: &str = r#"
title: A failure that takes back what ran
steps:
  - id: make
    shell: do make print 17
    capture: {number: result.stdout}
    verify: {shell: look make; print 17, capture: {number: result.stdout}}
    undo: {shell: do unmake-$number for 3s}
  - {id: see, effect: read, shell: print c0ffee}
  - id: pair
    undo: {shell: do unpair first for 2s}
    group: {steps: [{id: left, shell: do left}, {id: right, shell: do right}]}
  - id: each
    foreach: {as: role, in: [web, worker]}
    shell: do up-$role
    undo: {shell: do down-$role}
  - {id: plain, shell: do plain}
  - {id: bad, on_failure: undo, shell: print it does not work; exit 2}
finally:
  - {id: tidy, idempotent: true, shell: do tidy}
"#;

/// A point of no return, an end that nobody knows before the undo, and one in it.
const NO_RETURN: &str = r#"
title: Not all the way back
steps:
  - {id: before, shell: do before, undo: {shell: do never}}
  - {id: point, irreversible: true, shell: do point}
  - {id: after, shell: do after, undo: {shell: do unafter die 9}}
  - {id: slow, timeout: 20s, shell: do slow for 5s; hang, undo: {shell: do unslow}}
  - {id: bad, on_failure: undo, shell: exit 2}
"#;

/// What is called is undone where it was called, and an undo may call something itself.
const UNDONE_CALLS: &str = r#"
title: Calls that are taken back
steps:
  - {id: made, call: {runbook: lib/made, params: {job: x}}}
  - {id: mine, shell: do mine, undo: {call: {runbook: lib/work, params: {job: back}}}}
  - {id: bad, on_failure: undo, shell: exit 2}
"#;

/// What lives beside steps: of one group, of each item of a loop, and of an undo.
const HELPED: &str = r#"
title: Helpers
steps:
  - id: db
    group:
      helper: {exec: [sim, stays hang], ready: {shell: beside db@helper 2s}}
      steps:
        - {id: one, shell: "beside db@helper 2s; do one for 4s", verify: {shell: "beside db@helper 0s; look one"}}
        - {id: two, shell: "beside db@helper 0s; do two first for 2s", verify: {shell: "beside db@helper 0s; look two"}}
  - id: each
    foreach: {as: host, in: [a, b], parallel: 2}
    group:
      helper: {exec: [sim, "stays hang"], timeout: 20s}
      parallel: 2
      steps:
        - {id: x, idempotent: true, shell: "beside each[$host]@helper 0s; do x-$host for 3s"}
        - {id: y, shell: "beside each[$host]@helper 0s; do y-$host", verify: {shell: look y-$host}}
  - {id: none, when: "steps['db@helper'].status == 'failed'", group: {helper: {exec: [sim, exit 3]}, steps: [{id: z, shell: do z}]}}
  - {id: end, shell: do end, verify: {shell: look end}}
"#;

/// Time that is over for a container: while something runs, and between two attempts.
const LIMITED: &str = r#"
title: Limits of containers
steps:
  - id: slow
    timeout: 20s
    on_failure: continue
    group:
      steps:
        - {id: one, idempotent: true, shell: do one for 4s}
        - {id: two, effect: read, shell: hang}
        - {id: three, shell: do never}
  - id: poll
    timeout: 30s
    on_failure: continue
    group: {steps: [{id: again, effect: read, shell: exit 1, retry: {attempts: 100, interval: 7s}}, {id: late, shell: do late}]}
  - id: each
    foreach: {as: n, in: [1, 2], parallel: 2}
    timeout: 5m
    group: {steps: [{id: x, shell: do x-$n for 50s, verify: {shell: look x-$n}}]}
  - {id: end, when: "steps['slow'].status == 'failed' and steps['poll'].status == 'failed'", shell: do end, verify: {shell: look end}}
"#;

/// What is taken back needs what lived beside it; and a helper that never gets ready.
const HELPED_BACK: &str = r#"
title: Helpers on the way back
steps:
  - id: db
    group:
      helper: {exec: [sim, stays hang]}
      steps:
        - {id: one, shell: "beside db@helper 0s; do one", undo: {shell: "beside db@helper 0s; do unone for 2s"}}
        - {id: two, idempotent: true, shell: do two, undo: {shell: "beside db@helper 0s; do untwo"}}
  - id: bad
    on_failure: undo
    group: {helper: {exec: [sim, stays hang], ready: {shell: exit 1}, timeout: 5s}, steps: [{id: never, shell: do never}]}
finally:
  - id: tidy
    group: {helper: {exec: [sim, stays hang]}, steps: [{id: up, idempotent: true, shell: "beside tidy@helper 0s; do up"}]}
"#;

/// A gate that opens later.
const WINDOW: &str = r#"
title: A gate with a window
steps:
  - {id: first, shell: do first}
  - {id: sure, confirm: {message: Go on?, not_before: "2026-11-20T20:16:00Z", not_after: "2026-11-21T20:13:04Z"}}
  - {id: end, shell: do end}
"#;

/// One step that `verify` can look for.
pub const TINY: &str = r#"
title: One step
steps:
  - {id: deploy, on_failure: stop, shell: do deploy, verify: {shell: look deploy}}
"#;

fn give_up(what: &'static str) -> Manner {
    Manner { after_failure: what, ..Manner::default() }
}

/// All of them, as they are run.
pub fn all() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("linear", LINEAR),
        case("linear", LINEAR).step_mode(),
        case("mixed", MIXED),
        case("mixed", MIXED).unattended(),
        case("secret", SECRET),
        case("retried", RETRIED),
        case("goes-on", GOES_ON),
        case("stops", STOPS).unattended(),
        case("people", PEOPLE),
        case("people", PEOPLE).unattended(),
        case("evidence", EVIDENCE).manner(Manner { still_running: "end", ..Manner::default() }),
        case("asked", ASKED),
        case("asked", ASKED).unattended(),
        case("watched", WATCHED).manner(give_up("accept")),
        case("window", WINDOW),
        case("undone", UNDONE),
        case("undone", UNDONE).unattended(),
        case("undone-calls", UNDONE_CALLS),
        case("undone-calls", UNDONE_CALLS).unattended(),
        case("limited", LIMITED),
        case("limited", LIMITED).unattended(),
        case("helped", HELPED),
        case("helped", HELPED).jobs(1),
        case("helped", HELPED).unattended(),
        case("helped-back", HELPED_BACK),
        case("helped-back", HELPED_BACK).unattended(),
        case("no-return", NO_RETURN),
        case("no-return", NO_RETURN).unattended(),
        case("waits", WAITS),
        case("last", LAST),
        case("last", LAST).unattended(),
        case("web", WEB),
        case("web", WEB).unattended(),
        case("unknown", UNKNOWN).manner(give_up("skip")),
        case("wide", WIDE).jobs(1),
        case("wide", WIDE).jobs(2),
        case("wide", WIDE).jobs(4),
        case("wide", WIDE).jobs(4).unattended(),
        case("groups", GROUPS),
        case("loops", LOOPS),
        case("calls", CALLS).jobs(1).unattended(),
        case("call-fails", CALL_FAILS).unattended(),
        case("choices", CHOICES),
    ]
}

/// One of them, by its name.
pub fn book(name: &str) -> Case {
    all().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no book {name}"))
}
