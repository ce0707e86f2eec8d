//! Runbooks and moments at which a program is killed: each with what would have come of it otherwise.

use super::place::Place;

/// A program in a place, and what it is on its way to.
pub struct Situation {
    pub name: &'static str,
    /// The runbook, given the address of the stand-in.
    pub book: fn(&str) -> String,
    /// What has happened before the program starts.
    pub before: fn(&Place),
    /// What is killed.
    pub args: &'static [&'static str],
    /// How it ends if nothing disturbs it, ...
    pub first: i32,
    /// ... and how the run ends in the end.
    pub code: i32,
    /// The effects that may happen once, each beginning with the id of its step; their order may differ where steps do
    /// not wait for each other.
    pub marks: &'static [&'static str],
    /// Effects that may be repeated, each of which happens.
    pub again: &'static [&'static str],
    /// A step at the very end about which nobody is asked: without its end on record the run does not succeed.
    pub last: Option<&'static str>,
}

pub const RUN: &[&str] = &["run", "./book.yaml", "--yes", "--json"];
const RESUME: &[&str] = &["resume", "last", "--yes", "--json"];

const RELEASE: &str = r#"
title: A small release
params: {version: {type: string, default: v1.0}}
steps:
  - id: look
    effect: read
    shell: echo "sees $version"
    capture: {seen: result.stdout}
  - id: deploy
    shell: echo deploy >> "$HOME/marks"
  - id: sure
    confirm: Go on?
  - id: rest
    wait: 5ms
  - id: publish
    shell: |
      echo "publish $seen" >> "$HOME/marks"
      echo "wrote it"
  - id: warm
    idempotent: true
    shell: |
      echo warm >> "$HOME/again"
      echo 37
    capture: {warmth: result.stdout|int}
  - id: tell
    shell: echo "tell $warmth" >> "$HOME/marks"
finally:
  - id: tidy
    shell: echo tidy >> "$HOME/tidied"
"#;

const WEB: &str = r#"
title: Over the wire
params: {base: {type: url, default: "BASE"}}
steps:
  - id: look
    http: {url: "{{ base }}/version"}
    capture: {version: result.json.version}
  - id: post
    http: {method: POST, url: "{{ base }}/post", json: {version: "{{ version }}"}}
  - id: put
    idempotent: true
    http: {method: PUT, url: "{{ base }}/put", body: whole}
    capture: {put_id: result.json.id}
  - id: checked
    http: {method: POST, url: "{{ base }}/checked", json: {id: "{{ put_id }}"}}
    verify:
      http: {url: "{{ base }}/checked"}
      expect: result.json.there
  - id: tell
    shell: echo "tell $put_id" >> "$HOME/marks"
"#;

const LOOKS: &str = r#"
title: Looks and repeats
steps:
  - id: flaky
    retry: {attempts: 4, interval: 1ms}
    shell: |
      echo flaky >> "$HOME/marks"
      echo "this time?"
      test "$(grep -c flaky "$HOME/marks")" -ge 2
  - id: placed
    verify: {shell: grep -q placed "$HOME/marks"}
    shell: |
      echo placed >> "$HOME/marks"
      seq 1 2000
  - id: shaky
    on_failure: continue
    shell: |
      echo shaky >> "$HOME/marks"
      exit 3
  - id: after
    shell: echo after >> "$HOME/marks"
finally:
  - id: tidy
    idempotent: true
    shell: echo tidy >> "$HOME/again"
"#;

const SECRETS: &str = r#"
title: With secrets
secrets: {token: {env: CANARY}}
steps:
  - id: says
    shell: |
      echo "says" >> "$HOME/marks"
      echo "the token is $token."
      printf %s "$token" | base64
      printf %s "$token" >&2
  - id: fetch
    idempotent: true
    shell: |
      echo fetch >> "$HOME/again"
      cat "$HOME/vault"
    capture: {grant: {value: result.stdout, secret: true}}
  - id: uses
    shell: |
      test "$grant" = "$(cat "$HOME/vault")" || exit 9
      echo "uses it" >> "$HOME/marks"
      echo "granted by $grant"
  - id: both
    shell: |
      echo "both" >> "$HOME/marks"
      echo "$token$grant"; seq 1 4000; echo "$grant$token"
"#;

const GATES: &str = r#"
title: Locked and gated
lock: deploy-{{ where }}
params: {where: {type: string, default: here}}
steps:
  - id: sure
    confirm: Sure?
  - id: one
    needs: [sure]
    shell: echo one >> "$HOME/marks"
  - id: two
    needs: [sure]
    shell: echo two >> "$HOME/marks"; echo two
    verify: {shell: grep -q two "$HOME/marks"}
  - id: rest
    needs: [one, two]
    wait: 5ms
  - id: really
    confirm: Really?
  - id: end
    shell: echo end >> "$HOME/marks"
finally:
  - id: tidy
    idempotent: true
    shell: echo tidy >> "$HOME/again"
"#;

const SIDES: &str = r#"
title: Side by side
steps:
  - id: east
    needs: []
    shell: echo "east" >> "$HOME/marks"; echo "to the east"
  - id: west
    needs: []
    shell: echo "west" >> "$HOME/marks"; seq 1 3000
  - id: north
    needs: []
    idempotent: true
    shell: echo "north" >> "$HOME/again"; echo 7
    capture: {degrees: result.stdout|int}
  - id: south
    needs: []
    shell: echo "south" >> "$HOME/marks"
    verify: {shell: grep -q south "$HOME/marks"}
  - id: all
    needs: [east, west, north, south]
    shell: echo "all $degrees" >> "$HOME/marks"
"#;

const FAILS: &str = r#"
title: It fails
steps:
  - id: first
    shell: echo first >> "$HOME/marks"
  - id: breaks
    shell: |
      echo breaks >> "$HOME/marks"
      echo "no good" >&2
      exit 3
  - id: never
    shell: echo never >> "$HOME/marks"
finally:
  - id: tidy
    idempotent: true
    shell: echo tidy >> "$HOME/again"
"#;

const RELEASED: &[&str] = &["deploy", "publish sees v1.0", "tell 37"];

pub const NEW: Situation = Situation {
    name: "",
    book: |_| RELEASE.to_owned(),
    before: |_| {},
    args: RUN,
    first: 0,
    code: 0,
    marks: RELEASED,
    again: &["warm"],
    last: Some("tidy"),
};

pub const RELEASE_RUN: Situation = Situation { name: "a release", ..NEW };

pub const WEB_RUN: Situation = Situation {
    name: "requests",
    book: |base| WEB.replace("BASE", base),
    marks: &["post v7", "checked 12", "tell 12"],
    again: &["put"],
    last: None,
    ..NEW
};

pub const LOOKS_RUN: Situation = Situation {
    name: "verify, retry, a failure that is let pass",
    book: |_| LOOKS.to_owned(),
    marks: &["flaky", "flaky", "placed", "shaky", "after"],
    again: &["tidy"],
    last: None,
    ..NEW
};

pub const SECRETS_RUN: Situation = Situation {
    name: "secrets, read and captured",
    book: |_| SECRETS.to_owned(),
    marks: &["says", "uses it", "both"],
    again: &["fetch"],
    last: None,
    ..NEW
};

pub const GATES_RUN: Situation = Situation {
    name: "a lock, confirms with answers, a wait",
    book: |_| GATES.to_owned(),
    args: &["run", "./book.yaml", "--answers", "../answers.yaml", "--json"],
    marks: &["one", "two", "end"],
    again: &["tidy"],
    last: None,
    ..NEW
};

pub const SIDES_RUN: Situation = Situation {
    name: "steps that do not wait for each other",
    book: |_| SIDES.to_owned(),
    marks: &["east", "west", "south", "all 7"],
    again: &["north"],
    last: None,
    ..NEW
};

pub const FAILING_RUN: Situation = Situation {
    name: "a step that fails",
    book: |_| FAILS.to_owned(),
    first: 1,
    code: 1,
    marks: &["first", "breaks"],
    again: &["tidy"],
    last: None,
    ..NEW
};

pub const PAUSING_RUN: Situation =
    Situation { name: "a run that pauses", args: &["run", "./book.yaml", "--json"], first: 11, ..NEW };

/// Between two steps: the first has its end on record.
pub const AFTER_A_KILL: Situation = Situation {
    name: "a resume after a kill between two steps",
    before: |place| place.killed_at("fdatasync", "runs/*/journal.jsonl", 4),
    args: RESUME,
    ..NEW
};

/// The step that changes something runs; its supervisor writes down how it ended.
pub const AFTER_A_KILL_IN_A_STEP: Situation = Situation {
    name: "a resume after a kill within a step",
    before: |place| {
        place.killed_at("write", "runs/*/journal.jsonl", 6);
        crate::lab::until("the end that a supervisor writes", || {
            place.lab.run_dir().join("steps").read_dir().unwrap().flatten().any(|entry| {
                entry.file_name().to_string_lossy().ends_with(".exit") && !place.lab.marks("marks").is_empty()
            })
        });
    },
    args: RESUME,
    ..NEW
};

/// It is on record that the step was to begin, and it never did.
pub const AFTER_A_KILL_BEFORE_A_START: Situation = Situation {
    name: "a resume with a decision",
    before: |place| place.killed_at("write", "stdout", 6),
    args: &["resume", "last", "--yes", "--json", "--step", "deploy", "--as", "not-done", "--reason", "no mark"],
    ..NEW
};

pub const AFTER_A_TORN_LINE: Situation = Situation {
    name: "a resume after a torn line",
    before: |place| {
        place.killed_at("write", "runs/*/journal.jsonl", 4);
        let path = place.lab.run_dir().join("journal.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"seq\":5,\"time\":\"2026-");
        std::fs::write(&path, bytes).unwrap();
    },
    args: RESUME,
    ..NEW
};

pub const AFTER_A_PAUSE: Situation = Situation {
    name: "a resume after a pause",
    before: |place| {
        place.call(&["run", "./book.yaml", "--json"]).expect(11);
    },
    args: RESUME,
    ..NEW
};

pub const AFTER_SECRETS: Situation = Situation {
    name: "a resume that reads its secrets again",
    book: |_| SECRETS.to_owned(),
    before: |place| place.killed_at("write", "runs/*/journal.jsonl", 7),
    args: RESUME,
    marks: &["says", "uses it", "both"],
    again: &["fetch"],
    last: None,
    ..NEW
};
