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
    expect: ["result.exit in [0, 1]"]
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
      expect: [result.status == 200]
      capture: {number: result.json.number}
      until: not result.json.building
      fail_when: result.json.result in ['FAILURE', 'ABORTED']
      held_for: 20s
      interval: 5s
      backoff: 1.5
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

#[test]
fn the_graph_by_itself() {
    let (runbook, names) = load("balrog/promote", PROMOTE);
    let graph = render::mermaid(&runbook, &names);
    assert!(render::markdown(&runbook, &names).contains(&format!("```mermaid\n{graph}```\n")));
    for line in [
        "  s_go{\"6. Promote public?\"}:::read",
        "  s_schema_diff -->|\"if schema_change != 'none'\"| s_admin",
        // Its value comes from there, and nothing else does.
        "  s_current -.-> s_schema_diff",
    ] {
        assert!(graph.lines().any(|of| of == line), "{line}\n{graph}");
    }
    // A gate and a value that the chain implies anyway are not drawn again.
    assert!(!graph.contains("s_go --> s_sums") && !graph.contains("s_admin -.-> s_public"), "{graph}");
}

#[test]
fn conditional_edges_and_gates_are_real() {
    let (runbook, names) = load(
        "edges",
        r#"
title: Edges
params: {fast: {type: boolean, default: false}}
steps:
  - {id: a, shell: "true"}
  - {id: b, needs: [], shell: "true"}
  - {id: end, needs: [{step: a, when: fast}], shell: "true"}
  - {id: gate, needs: [b], confirm: Go on?}
  - {id: free, needs: [], shell: "true"}
"#,
    );
    let graph = render::mermaid(&runbook, &names);
    let edges: Vec<&str> = graph.lines().map(str::trim).filter(|line| line.contains("->")).collect();
    assert_eq!(
        edges,
        ["s_a -->|\"if fast\"| s_end", "s_b -->|\"otherwise\"| s_end", "s_b --> s_gate", "s_gate --> s_free"]
    );
    let text = render::markdown(&runbook, &names);
    assert!(text.contains("**After** `a` (if `fast`); where none of these holds, after `b`"), "{text}");
}

#[test]
fn a_large_graph_is_not_drawn() {
    let mut text = String::from("title: Many\nsteps:\n");
    for number in 0..1_000 {
        writeln!(text, "  - {{id: s{number}, shell: \"true\"}}").unwrap();
    }
    let (runbook, names) = load("many", &text);
    let text = render::markdown(&runbook, &names);
    assert!(!text.contains("```mermaid") && text.contains("too many steps to draw"));
}

#[test]
fn a_library_has_a_front_page() {
    let (promote, _) = load("balrog/promote", PROMOTE);
    let mut strange = IndexEntry::of(&promote);
    strange.name = "../../etc/x".into();
    strange.title = "a | b\n# c <script>".into();
    strange.summary = Some("# Loud\n\nSays [this](javascript:x), e.g. loudly. And more.".into());
    strange.owner = None;
    let text = render::index(&[strange, IndexEntry::of(&promote)]);
    golden("index.md", &text);
    let shape = Shape::of(&text);
    assert_eq!((shape.headings.len(), shape.cells), (1, 3 * 4));
    assert_eq!(shape.links, ["balrog/promote.md"]);
}

/// What a reader makes of a document, without its words.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shape {
    headings: Vec<(HeadingLevel, String)>,
    /// Blocks, in order.
    blocks: Vec<&'static str>,
    cells: usize,
    links: Vec<String>,
    html: Vec<String>,
    emphasis: usize,
}

impl Shape {
    /// With everything switched on that any reader might know.
    fn of(text: &str) -> Shape {
        let mut shape = Shape::default();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(text, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
            match event {
                Md::Start(Tag::Heading { level, id, classes, attrs }) => {
                    assert!(id.is_none() && classes.is_empty() && attrs.is_empty(), "{id:?} {classes:?} {attrs:?}");
                    shape.headings.push((level, String::new()));
                    heading = Some(String::new());
                }
                Md::End(pulldown_cmark::TagEnd::Heading(_)) => {
                    shape.headings.last_mut().unwrap().1 = heading.take().unwrap();
                }
                Md::Text(text) | Md::Code(text) => {
                    assert!(!text.contains(['\u{202e}', '\u{200b}', '\x1b', '\r']), "{text:?}");
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Md::Html(html) | Md::InlineHtml(html) => shape.html.push(html.to_string()),
                Md::Start(Tag::Link { dest_url, .. }) => shape.links.push(dest_url.to_string()),
                Md::Start(Tag::Image { dest_url, .. }) => panic!("a picture: {dest_url}"),
                Md::Start(Tag::Emphasis | Tag::Strong) => shape.emphasis += 1,
                Md::Start(Tag::TableCell) => shape.cells += 1,
                Md::Start(tag @ (Tag::Strikethrough | Tag::Superscript | Tag::Subscript)) => panic!("{tag:?}"),
                Md::InlineMath(text) | Md::DisplayMath(text) => panic!("mathematics: {text}"),
                Md::FootnoteReference(name) => panic!("a footnote: {name}"),
                Md::Rule => shape.blocks.push("rule"),
                Md::Start(Tag::CodeBlock(_)) => shape.blocks.push("code"),
                Md::Start(Tag::Paragraph) => shape.blocks.push("paragraph"),
                Md::Start(Tag::BlockQuote(kind)) => {
                    assert!(kind.is_none(), "{kind:?}");
                    shape.blocks.push("quote");
                }
                Md::Start(Tag::List(Some(_))) => shape.blocks.push("numbered"),
                Md::Start(Tag::List(None)) => shape.blocks.push("list"),
                Md::Start(Tag::Item) => shape.blocks.push("item"),
                Md::Start(Tag::Table(_)) => shape.blocks.push("table"),
                Md::Start(Tag::TableHead | Tag::TableRow) => shape.blocks.push("row"),
                Md::Start(Tag::HtmlBlock) => {}
                Md::Start(tag) => panic!("{tag:?}"),
                Md::End(_) | Md::SoftBreak | Md::HardBreak => {}
                Md::TaskListMarker(_) => panic!("a task"),
            }
        }
        shape
    }

    /// The same but for words: two documents that differ in texts only are alike in this.
    fn bones(self) -> Shape {
        Shape {
            headings: self.headings.into_iter().map(|(level, _)| (level, String::new())).collect(),
            html: Vec::new(),
            ..self
        }
    }
}

/// A runbook that says the same thing wherever an author may say something that is not Markdown.
fn everywhere(word: &str) -> (Runbook, Names) {
    // What nobody would see is spelt: as it is, it is an error in what is run.
    let spelt = |c: char| match runsheet::text::hidden(c) {
        Some(_) => format!("\\u{:04x}", c as u32),
        None => c.to_string(),
    };
    let quoted = |text: &str| serde_json::to_string(text).unwrap().chars().map(spelt).collect::<String>();
    let said = quoted(word);
    let lines = quoted(&format!("{word}\n{word}\n\n    {word}"));
    // Inside an expression, as a text of its own.
    let expression = word.replace(['\'', '\\'], "");
    let equal = quoted(&format!("result.stdout == '{expression}'"));
    let plain = quoted(&format!("'{expression}'"));
    load(
        "every/where",
        &format!(
            r#"
title: {said}
owner: {said}
tags: [{said}, other]
links: {{{said}: "https://example.org/", other: {said}}}
params:
  one: {{type: string, help: {said}, prompt: {said}, default: {said}, example: {said}}}
  two: {{type: enum, choices: [{said}, other]}}
secrets: {{token: {{file: {said}}}, other: {{env: {said}}}}}
requires: {{tools: [{said}], env: [{said}]}}
lock: {said}
cwd: {said}
steps:
  - id: first
    title: {said}
    when: {other}
    shell: {{script: {lines}, interpreter: cat}}
    env: {{X: {said}}}
    cwd: {said}
    expect: [{equal}]
    capture: {{kept: {equal}}}
    retry: {{attempts: 2, when: {equal}}}
    verify: {{shell: {{script: {lines}, interpreter: cat}}, expect: [{equal}], capture: {{kept: {equal}}}}}
  - id: second
    title: {said}
    http: {{url: "https://example.org/", method: POST, headers: {{X: {said}}}, body: {said}}}
  - id: gate
    needs: [first, {{step: second, when: {equal_one}}}]
    title: {said}
    confirm: {{message: {lines}, type_back: {said}}}
  - id: hand
    title: {said}
    manual: {{message: {lines}, evidence: {{proof: {{type: string}}}}}}
  - id: sum
    set: {{made: {plain}}}
finally:
  - id: last
    title: {said}
    shell: {{exec: [echo, {said}]}}
"#,
            equal_one = quoted(&format!("one == '{expression}'")),
            other = quoted(&format!("'{expression}' != one")),
        ),
    )
}

const HOSTILE: [&str; 22] = [
    "# Heading",
    "Setext === ---",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "--> <b>out</b> <!--",
    "| a | b | c |",
    "[x](javascript:alert) ![i](ftp://evil.example/p.png) <javascript:alert>",
    "[x]: ftp://evil.example",
    "``` ~~~ ````",
    "`code` ``more`",
    "**bold** *it* __b__ _i_ ~~s~~ ^^sup^^ ==m==",
    "- list 1. list + list",
    "1. numbered",
    "> quote [!NOTE]",
    "&lt;b&gt; &#60;script&#62;",
    "trailing {.class onclick=x}",
    "$x$ $$y$$ [^1] [[wiki]] [ ] [x]",
    "\u{202e}desrever\u{202c} zero\u{200b}width\u{feff}",
    "\"]; click s_first \"javascript:alert(1)\"",
    "%%init: {theme: dark}%% end subgraph #quot;",
    ": definition",
    "back\\slash \\| \\` \\",
    "!",
];

#[test]
fn no_text_leaves_its_place() {
    let (runbook, names) = everywhere("word");
    let calm = render::markdown(&runbook, &names);
    let calm_graph = render::mermaid(&runbook, &names);
    let bones = Shape::of(&calm).bones();
    assert_eq!(bones.links, ["https://example.org/"]);
    for word in HOSTILE {
        let (runbook, names) = everywhere(word);
        let text = render::markdown(&runbook, &names);
        let shape = Shape::of(&text);
        assert_eq!(shape.html, ["<!-- made by \"runsheet render every/where\"; do not edit -->\n"], "{word}");
        assert_eq!(shape.headings[0].0, HeadingLevel::H1, "{word}");
        // What is seen is what was said.
        let seen = runsheet::text::one_line(word).into_owned();
        assert_eq!(shape.headings[0].1.trim(), seen.trim(), "{word}\n{text}");
        assert!(shape.clone().bones() == bones, "{word}\n{text}\n{:?}\n{:?}", shape.bones(), bones);
        let graph = render::mermaid(&runbook, &names);
        let begins = |graph: &str| -> Vec<String> {
            graph.lines().map(|line| line.split(['"', '[', '{']).next().unwrap().to_owned()).collect()
        };
        assert_eq!(begins(&graph), begins(&calm_graph), "{word}\n{graph}");
        assert!(graph.lines().all(|line| [0, 2].contains(&line.matches('"').count())), "{word}\n{graph}");
        let terminal = render::terminal(&runbook, &names, 60, false);
        assert!(!terminal.contains(['\u{202e}', '\u{200b}', '\x1b']), "{word}\n{terminal}");
    }
}

#[test]
fn a_name_cannot_end_the_comment() {
    let (mut runbook, names) = everywhere("word");
    runbook.name = "x --> <script>\n# y".into();
    let shape = Shape::of(&render::markdown(&runbook, &names));
    assert_eq!(shape.html.len(), 1, "{:?}", shape.html);
    assert_eq!(shape.headings[0].1, "word");
}

#[test]
fn markdown_of_authors_keeps_to_its_section() {
    let hostile = r#"
# Loud

Setext
======

<div onclick="x">
# still HTML?
</div>

<script>
alert(1)
</script>

Text <b>bold</b> <!-- hidden --> &lt;script&gt; [a](javascript:x) [b](data:text/html,x) [c](https://ok.example)
![p](https://pic.example/x.png) ![q](javascript:x) <https://auto.example> <mailto:a@b.example> [d](#steps) [e](other.md)

[ref]: javascript:alert
[ref] and `code </code>`

~~~html
</code></pre><script>x</script>
```
~~~

| a | b | c |
|---|---|---|
| 1 \| 2 | <b> |

- one

      code
- two
  1. three
     > quoted

***

Last
---
"#;
    let quoted = serde_json::to_string(hostile).unwrap();
    let (runbook, names) = load(
        "foreign",
        &format!(
            "title: Foreign\nsummary: {quoted}\nsteps:\n  - {{id: a, title: Only, text: {quoted}, shell: \"true\"}}\n"
        ),
    );
    let text = render::markdown(&runbook, &names);
    let shape = Shape::of(&text);
    let headings: Vec<&str> = shape.headings.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        headings,
        [
            "Foreign",
            "When to use it",
            "How to start it",
            "The steps at a glance",
            "When a step fails",
            "Steps",
            "1. Only"
        ]
    );
    assert_eq!(shape.html.len(), 1, "{:?}", shape.html);
    let once =
        ["https://ok.example/", "https://pic.example/x.png", "https://auto.example/", "mailto:a@b.example", "#steps"];
    assert_eq!(shape.links, [once, once].concat(), "{text}");
    assert_eq!(shape.cells, 2 * 6);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_mixture_of_marks_leaves_its_section(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "`", "```", "~~~", "\n", "\n\n", "    ", "\t", "# ", "<b>", "</b>", "<!--", "-->", "<script>", "[", "](", "]: ", "![",
        "javascript:x", "https://ok.example/a_b", ")", "|", "\n|---|---|\n", "- ", "1. ", "> ", "*", "**", "_", "\\", "&lt;",
        "!", "~~", "{{ a }}", "word", " ", "===", "---", ":", "$", "^", "\r", "\u{202e}", "[^1]", "+ ", "[ ] ", "\u{e000}0\u{e001}",
    ]), 0..40)) {
        let quoted = serde_json::to_string(&pieces.concat()).unwrap();
        let source = Source::new("a.yaml", format!(
            "title: Foreign\nsummary: {quoted}\nparams: {{a: {{type: string, default: x}}}}\n\
             steps:\n  - {{id: a, title: Only, text: {quoted}, manual: {quoted}}}\n"
        ));
        let loaded = model::load("a", &source, kinds::registry());
        if let Some(runbook) = loaded.runbook {
            let text = render::markdown(&runbook, &loaded.names);
            let shape = Shape::of(&text);
            proptest::prop_assert_eq!(shape.headings.len(), 8, "{}", text);
            proptest::prop_assert_eq!(shape.html.len(), 1, "{}", text);
            proptest::prop_assert!(shape.links.iter().all(|url| url.starts_with("https://ok.example/")), "{}", text);
            proptest::prop_assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
        }
    }
}

/// Records of a run, a second and a half apart.
fn records(events: &[serde_json::Value]) -> (Vec<Record>, RunState) {
    let start: jiff::Timestamp = "2026-11-20T20:13:04Z".parse().unwrap();
    let mut state = RunState::default();
    let mut records = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let elapsed_ms = 1_500 * index as u64;
        let record = Record {
            seq: index as u64 + 1,
            time: start + std::time::Duration::from_millis(elapsed_ms),
            elapsed_ms,
            event: serde_json::from_value::<Event>(event.clone()).unwrap(),
        };
        state.apply(&record).unwrap();
        records.push(record);
    }
    (records, state)
}

fn started(word: &str) -> serde_json::Value {
    json!({
        "event": "run_started", "journal": 1, "format": 1, "run": "20261120-201304-k7f3qa", "runbook": "balrog/promote",
        "origin": "/srv/runbooks/balrog/promote.yaml", "digest": "5e1f", "params": {"version": "v3.20", "schema_change": word},
        "param_sources": {"version": "command line", "schema_change": "default"},
        "secrets": {"jenkins_token": "variable JENKINS_TOKEN"}, "tool_version": "0.1.0", "operator": word, "host": "deploy-1",
        "cwd": "/srv/work", "attended": true, "lock": "balrog-none",
    })
}

/// A run in which something of everything happens, with a word wherever something is not ours.
fn eventful(word: &str) -> Vec<serde_json::Value> {
    let lines = format!("{word}\n{word}\n\n    {word}");
    vec![
        started(word),
        json!({"event": "step_started", "step": "current", "attempt": 1, "kind": "http", "effect": "read", "idempotent": true}),
        json!({"event": "effect_intended", "step": "current", "attempt": 1, "number": 1, "effect": "read", "detail": format!("GET https://x/{word}")}),
        json!({"event": "effect_intended", "step": "current", "attempt": 1, "number": 2, "effect": "read", "detail": format!("GET https://x/{word}")}),
        json!({"event": "step_finished", "step": "current", "attempt": 1, "status": "succeeded", "http_status": 200, "duration_ms": 1200,
               "output_sha256": "abcd", "output_bytes": 120, "captures": {"before": word, "list": [1, word]}, "withheld": ["crumb"]}),
        json!({"event": "question_asked", "question": 1, "step": "admin", "about": "before_step", "message": lines, "choices": ["run", "skip"]}),
        json!({"event": "question_answered", "question": 1, "step": "admin", "answer": "run", "by": word}),
        json!({"event": "step_started", "step": "admin", "attempt": 1, "kind": "http", "effect": "destroy", "idempotent": false}),
        json!({"event": "effect_intended", "step": "admin", "attempt": 1, "number": 1, "effect": "destroy", "detail": lines}),
        json!({"event": "step_finished", "step": "admin", "attempt": 1, "status": "failed", "exit": 1, "duration_ms": 65_300,
               "error": lines, "notes": [word]}),
        json!({"event": "step_retried", "step": "admin", "attempt": 2, "reason": word, "wait_ms": 10_000}),
        json!({"event": "step_started", "step": "admin", "attempt": 2, "kind": "http", "effect": "destroy", "idempotent": false}),
        json!({"event": "recovered", "cut_bytes": 17, "saved_as": format!("torn-{word}")}),
        json!({"event": "run_paused", "reason": word}),
        json!({"event": "run_resumed", "by": word, "host": word, "tool_version": "0.1.0", "attended": false}),
        json!({"event": "step_finished", "step": "admin", "attempt": 2, "status": "unknown", "signal": 9, "duration_ms": 10, "error": lines}),
        json!({"event": "question_asked", "question": 2, "step": "admin", "about": "unknown", "message": lines, "choices": ["done"]}),
        json!({"event": "question_answered", "question": 2, "step": "admin", "answer": "done", "reason": word, "by": word,
               "values": {"build": word}}),
        json!({"event": "step_finished", "step": "admin", "attempt": 2, "status": "done_by_hand", "duration_ms": 0,
               "captures": {"queue": 7}}),
        json!({"event": "step_skipped", "step": "quiet-time", "cause": "condition", "reason": format!("`when` is false: {word}")}),
        json!({"event": "something_new", "text": word}),
    ]
}

#[test]
fn the_report_of_a_run_that_is_over() {
    let (runbook, _) = load("balrog/promote", PROMOTE);
    let mut events = eventful("word");
    events.push(json!({"event": "run_finished", "outcome": "failed", "code": 1, "reason": "failed: public"}));
    let (records, state) = records(&events);
    let text = render::report(&records, &state, Some(&runbook));
    golden("report.md", &text);
    assert!(!text.contains("How to go on"));
}

#[test]
fn the_report_of_a_run_that_is_open_says_how_to_go_on() {
    let mut events = vec![started("word")];
    let interrupted = |events: &[serde_json::Value]| {
        let (records, state) = records(events);
        render::report(&records, &state, None)
    };
    assert!(
        interrupted(&events)
            .contains("If no program runs it any more:\n\n```bash\nrunsheet resume 20261120-201304-k7f3qa\n```")
    );
    events.push(json!({"event": "step_started", "step": "a", "attempt": 1, "kind": "shell", "effect": "change", "idempotent": false}));
    assert!(interrupted(&events).contains("started, no end on record"));
    events.push(json!({"event": "step_finished", "step": "a", "attempt": 1, "status": "unknown", "duration_ms": 5, "error": "it was killed"}));
    events.push(json!({"event": "question_asked", "question": 1, "step": "a", "about": "unknown", "message": "Nobody knows", "choices": []}));
    events.push(json!({"event": "run_paused", "reason": "the terminal is gone"}));
    let text = interrupted(&events);
    for part in [
        "# balrog/promote: paused",
        "**Paused:** the terminal is gone",
        "**Question 1 is open**, about step `a`:\n\n> Nobody knows",
        "runsheet resume 20261120-201304-k7f3qa --step a --as not-done --reason",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let nothing = render::report(&[], &RunState::default(), None);
    assert!(nothing.contains("nothing on record"));
}

#[test]
fn nothing_in_a_report_leaves_its_place() {
    let of = |word: &str| {
        let (records, state) = records(&eventful(word));
        render::report(&records, &state, None)
    };
    let bones = Shape::of(&of("word")).bones();
    for word in HOSTILE {
        let text = of(word);
        let shape = Shape::of(&text);
        assert_eq!(shape.html, [""; 0], "{word}\n{text}");
        assert!(shape.clone().bones() == bones, "{word}\n{text}\n{:?}\n{:?}", shape.bones(), bones);
    }
}
