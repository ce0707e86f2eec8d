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
      until: not result.json.building
      fail_when: result.json.result in ['FAILURE', 'ABORTED']
      held_for: 20s
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
#[derive(Debug, Default, PartialEq)]
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
        for event in Parser::new_ext(text, Options::all()) {
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
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
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
    when: {plain} != one
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
            plain = plain,
        ),
    )
}

const HOSTILE: [&str; 22] = [
    "# Heading",
    "Setext === ---",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "--> <b>out</b> <!--",
    "| a | b | c |",
    "[x](javascript:alert) ![i](https://evil.example/p.png) <javascript:alert>",
    "[x]: https://evil.example",
    "``` ~~~ ````",
    "`code` ``more`",
    "**bold** *it* __b__ _i_ ~~s~~ ^^sup^^ ==m==",
    "- list 1. list + list",
    "1. numbered",
    "> quote [!NOTE]",
    "&lt;b&gt; &#60;script&#62;",
    "trailing {#id .class onclick=x}",
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
        assert_eq!(shape.bones(), bones, "{word}\n{text}");
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
