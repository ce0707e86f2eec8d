//! Runbooks and runs as documents: golden files, and documents that hostile text tries to break out of.

use std::{fmt::Write, path::PathBuf};

use pulldown_cmark::{Event as Md, HeadingLevel, Options, Parser, Tag};
use runsheet::{
    event::{Event, Record, RunState},
    kinds,
    model::{self, Names, Runbook},
    render::{self, IndexEntry},
    text::{DrawStyle, Source, draw_all},
};
use serde_json::json;

fn load(name: &str, text: &str) -> (Runbook, Names) {
    let source = Source::new(format!("{name}.yaml"), text);
    let loaded = model::load(name, &source, kinds::registry());
    assert!(!loaded.has_errors(), "{}", draw_all(&source, &loaded.problems, DrawStyle::default()));
    (loaded.runbook.expect("a runbook without errors"), loaded.names)
}

/// Compares with a committed file; `RUNSHEET_BLESS=1` writes it instead.
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("RUNSHEET_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).ok();
    if let Some(said) = render::drift(text, committed.as_deref()) {
        panic!("tests/golden/{name}: {said}\nlook at it, then write it with RUNSHEET_BLESS=1");
    }
}

const PROMOTE: &str = r#"
title: Promote a Balrog release to production
summary: |
  Moves a tagged image from stage to production, **admin before public**.

  Use it when stage has been quiet for an hour. Background: <https://mozilla-balrog.readthedocs.io>.
owner: release engineering <release@example.org>
tags: [balrog, production]
links:
  Deployment page: https://example.org/balrog/deploy?a=1&b=2
params:
  version:
    type: string
    pattern: ^v\d+\.(\d+|x)$
    prompt: Version to promote
    help: Two-part version numbers only.
    example: v3.20
  schema_change: {type: enum, choices: [none, additive, destructive], default: none}
  jenkins: {type: url, default: "https://jenkins.example.org"}
  quiet: {type: duration, default: 1h30m}
secrets:
  jenkins_token: {env: JENKINS_TOKEN}
  signing_key: {command: [op, read, "op://release/{{ version }}"]}
  passphrase: {prompt: true}
requires: {tools: [git, gpg], env: [GNUPGHOME]}
lock: balrog-{{ schema_change }}
steps:
  - id: current
    title: What runs now
    http: {url: "{{ jenkins }}/__version__"}
    capture: {before: result.json.version}
  - id: schema-diff
    title: "Schema changes since {{ before }}"
    needs: []
    effect: read
    shell: |
      git diff --name-only "$before" "$version" -- migrate/versions
    expect: [result.exit in [0, 1]]
    capture: {changed: result.lines}
  - id: admin
    title: Promote admin
    text: |
      Jenkins pauses at the *Proceed* button of {{ jenkins }}.

      - admin has the schema
      - public must not be older
    needs: [current, {step: schema-diff, when: schema_change != 'none'}]
    effect: destroy
    http:
      method: POST
      url: "{{ jenkins }}/job/admin/buildWithParameters"
      query: {VERSION: "{{ version }}"}
      auth: {bearer: jenkins_token}
    expect: [result.status == 201]
    capture:
      queue: result.headers.location
      crumb: {value: result.headers.crumb, secret: true}
    timeout: 2m
    retry: {attempts: 3, interval: 10s, backoff: 2, when: result.status == 503}
    verify:
      http: {url: "{{ jenkins }}/job/admin/lastBuild/api/json"}
      expect: [result.json.version == version]
      capture: {queue: result.json.queue, crumb: "'none'"}
    critical: true
  - id: build-done
    wait:
      http: {url: "{{ jenkins }}/job/admin/lastBuild/api/json"}
      until: not result.json.building
      fail_when: result.json.result in ['FAILURE', 'ABORTED']
      interval: 5s
      timeout: 30m
  - id: quiet-time
    title: Let it settle
    wait: "{{ quiet }}"
    when: schema_change == 'destructive'
  - id: go
    title: Promote public?
    confirm: {message: "Admin runs {{ version }}.\n\nErrors still low?", type_back: "{{ version }}"}
  - id: public
    title: Promote public
    shell: |
      ./promote "$version" --queue "$queue"
    env: {MODE: fast}
    on_failure: stop
  - id: check-by-hand
    title: Look at the dashboard
    manual:
      message: |
        Open the dashboard and look at the error rate.
        Note the number of the build.
      open: "{{ jenkins }}/dashboard"
      evidence: {build: {type: integer}}
  - id: sums
    set: {next_build: build + 1}
finally:
  - id: clean
    title: Remove the work folder
    shell: rm -rf work
    idempotent: true
    on_failure: continue
"#;

#[test]
fn a_runbook_as_markdown() {
    let (runbook, names) = load("balrog/promote", PROMOTE);
    let text = render::markdown(&runbook, &names);
    assert_eq!(text, render::markdown(&runbook, &names));
    golden("promote.md", &text);
}

#[test]
fn a_runbook_in_a_terminal() {
    let (runbook, names) = load("balrog/promote", PROMOTE);
    let text = render::terminal(&runbook, &names, 80, false);
    golden("promote.txt", &text);
    let colored = render::terminal(&runbook, &names, 80, true);
    assert!(colored.contains("\x1b[1m"));
}
