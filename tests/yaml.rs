//! Text in, tree or diagnostics out: what the YAML reader accepts, refuses and says.

use proptest::prelude::*;
use runsheet::{
    syntax::{
        Node, NodeKind, ScalarStyle, Text,
        yaml::{MAX_BYTES, parse, read},
    },
    text::{Diagnostic, DrawStyle, Source, draw_all},
    value::Value,
};

fn tree(text: &str) -> (Source, Node) {
    let source = Source::new("t.yaml", text);
    match parse(&source) {
        Ok(node) => (source, node),
        Err(problems) => panic!("{}", draw_all(&source, &problems, DrawStyle::default())),
    }
}

fn problems(text: &str) -> (Source, Vec<Diagnostic>) {
    let source = Source::new("t.yaml", text);
    let problems = parse(&source).expect_err(text);
    // Whatever is said can be drawn.
    assert!(!draw_all(&source, &problems, DrawStyle::default()).is_empty());
    (source, problems)
}

/// The only problem of a text: `line:column code: message | hint`.
fn only(text: &str) -> String {
    let (source, problems) = problems(text);
    assert_eq!(problems.len(), 1, "{text}\n{}", draw_all(&source, &problems, DrawStyle::default()));
    said(&source, &problems[0])
}

fn said(source: &Source, problem: &Diagnostic) -> String {
    let at = source.position(problem.span.start);
    let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
    format!("{}:{} {}: {}{hint}", at.line, at.column, problem.code, problem.message)
}

fn at<'a>(node: &'a Node, path: &[&str]) -> &'a Node {
    path.iter().fold(node, |node, step| match &node.kind {
        NodeKind::Map(entries) => &entries.iter().find(|entry| entry.key.text == *step).expect(step).value,
        NodeKind::List(items) => &items[step.parse::<usize>().expect("an index")],
        other => panic!("{step} in {other:?}"),
    })
}

fn text_of(node: &Node) -> &Text {
    match &node.kind {
        NodeKind::Text(text) | NodeKind::Plain(_, text) => text,
        other => panic!("{other:?}"),
    }
}

/// The tree without places: text as JSON strings, keys in order.
fn shown(node: &Node) -> String {
    match &node.kind {
        NodeKind::Null => "null".into(),
        NodeKind::Plain(value, _) => format!("{value}"),
        NodeKind::Text(text) => format!("{:?}", text.text),
        NodeKind::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        NodeKind::Map(entries) => {
            let entries: Vec<String> = entries.iter().map(|e| format!("{}: {}", e.key.text, shown(&e.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[test]
fn scalars_under_the_strict_core_schema() {
    for (written, meant) in [
        ("true", "true"),
        ("false", "false"),
        ("yes", "\"yes\""),
        ("no", "\"no\""),
        ("on", "\"on\""),
        ("off", "\"off\""),
        ("True", "\"True\""),
        ("null", "null"),
        ("~", "null"),
        ("", "null"),
        ("Null", "\"Null\""),
        ("12", "12"),
        ("-7", "-7"),
        ("+7", "7"),
        ("007", "7"),
        ("0x1F", "31"),
        ("0o17", "15"),
        ("0x", "\"0x\""),
        ("0x-1", "\"0x-1\""),
        ("0b1", "\"0b1\""),
        ("1_000", "\"1_000\""),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("-1.5E-1", "-0.15"),
        ("1e", "\"1e\""),
        (".", "\".\""),
        ("-", "[null]"),
        ("+", "\"+\""),
        ("1.2.3", "\"1.2.3\""),
        (".inf", "\".inf\""),
        (".nan", "\".nan\""),
        ("1e999", "\"1e999\""),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "\"9223372036854775808\""),
        ("-9223372036854775808", "-9223372036854775808"),
        ("2024-01-01", "\"2024-01-01\""),
        ("12:30", "\"12:30\""),
        ("\"true\"", "\"true\""),
        ("'12'", "\"12\""),
        ("\"\"", "\"\""),
    ] {
        let gap = if written == "-" { "\n" } else { " " };
        let (_, node) = tree(&format!("a:{gap}{written}\n"));
        assert_eq!(shown(&node), format!("{{a: {meant}}}"), "{written}");
    }
    let (_, node) = tree("a: 3.10");
    assert_eq!(text_of(at(&node, &["a"])).text, "3.10");
    assert!(matches!(at(&node, &["a"]).kind, NodeKind::Plain(Value::Float(_), _)));
}

#[test]
fn structures() {
    for (text, meant) in [
        ("a: [1, x, {b: c}, d: e]", "{a: [1, \"x\", {b: \"c\"}, {d: \"e\"}]}"),
        ("a:\n- b\n-\n- - c\n  - d", "{a: [\"b\", null, [\"c\", \"d\"]]}"),
        ("a: {b, c: , d: 1}", "{a: {b: null, c: null, d: 1}}"),
        ("? a\n: b\n? c\n", "{a: \"b\", c: null}"),
        ("true: a\n200: b\n~: c", "{true: \"a\", 200: \"b\", ~: \"c\"}"),
        ("\u{feff}a: b", "{a: \"b\"}"),
        ("\u{feff}# c\r\na: b\r\nc: |\r\n  d\r\n  e\r\n", "{a: \"b\", c: \"d\\ne\\n\"}"),
        ("%YAML 1.2\n---\na: b\n...\n", "{a: \"b\"}"),
        ("a:\tb\t\nc: [\td\t]", "{a: \"b\", c: [\"d\"]}"),
        ("a: &x [1]\nb: *x\nc: &unused d", "{a: [1], b: [1], c: \"d\"}"),
        ("&k a: b\nc: *k", "{a: \"b\", c: \"a\"}"),
        ("a: &k b\n*k : c", "{a: \"b\", b: \"c\"}"),
        ("a: &x 1\nb: &x 2\nc: *x", "{a: 1, b: 2, c: 2}"),
    ] {
        assert_eq!(shown(&tree(text).1), meant, "{text}");
    }
}

#[test]
fn merge_keys() {
    let base = "one: &one {a: 1, b: 2}\ntwo: &two {b: 3, c: 4}\n";
    for (text, meant) in [
        ("m: {<<: *one, a: 9}", "{b: 2, a: 9}"),
        ("m: {a: 9, <<: *one}", "{a: 9, b: 2}"),
        ("m: {<<: [*one, *two]}", "{a: 1, b: 2, c: 4}"),
        ("m: {<<: [*two, {d: 5}], b: 0}", "{c: 4, d: 5, b: 0}"),
        ("m: {<<: {x: 1}, y: 2}", "{x: 1, y: 2}"),
        ("m: {\"<<\": 1}", "{<<: 1}"),
        ("m: &m {<<: *one}\nn: {<<: *m}", "{a: 1, b: 2}"),
    ] {
        let (_, node) = tree(&format!("{base}{text}"));
        assert_eq!(shown(at(&node, &["m"])), meant, "{text}");
    }
    assert_eq!(
        only("m: {<<: x}"),
        "1:9 merge-key: `<<` merges a mapping or a list of mappings | mark a mapping with `&name` and merge it with `<<: *name`"
    );
    assert!(only("a: &a [1]\nm: {<<: [*a]}").starts_with("2:10 merge-key"));
    assert!(only("a: &a {}\nm: {<<: *a, <<: *a}").contains("merge several with `<<: [*one, *two]`"));
}

#[test]
fn places_are_bytes_even_behind_other_scripts() {
    let text = "ä: ö\nliste:\n  - 'ü''ß'\n  - {k: \"v\"}\nb: |\n  ünï\n  x\n\ne:\n- q\n-  r\nn:\nf: [ 1 ,2 ]\n";
    let (source, node) = tree(text);
    for (path, written) in [
        (&["ä"][..], "ö"),
        (&["liste"], "- 'ü''ß'\n  - {k: \"v\"}"),
        (&["liste", "0"], "'ü''ß'"),
        (&["liste", "1"], "{k: \"v\"}"),
        (&["liste", "1", "k"], "\"v\""),
        (&["b"], "ünï\n  x"),
        (&["e"], "- q\n-  r"),
        (&["e", "1"], "r"),
        (&["n"], ""),
        (&["f"], "[ 1 ,2 ]"),
        (&[], text.trim_end()),
    ] {
        assert_eq!(source.slice(at(&node, path).span), written, "{path:?}");
    }
    let null = source.position(at(&node, &["n"]).span.start);
    assert_eq!((null.line, null.column), (12, 3));
    let quoted = text_of(at(&node, &["liste", "0"]));
    assert_eq!(quoted.text, "ü'ß");
    assert_eq!(source.slice(quoted.map.span(3..5)), "ß");
    let block = text_of(at(&node, &["b"]));
    let x = block.text.find('x').expect("x");
    assert_eq!(source.slice(block.map.span(x..x + 1)), "x");
}

#[test]
fn a_comment_behind_plain_text_is_remembered() {
    let (source, node) = tree(
        "a: see #12 # note \nb: [c #d\n ]\ne: \"f\" # g\nh: x#y\ni: one\n  two # three\nj: 5 # k\nl: | # m\n  n # o\n",
    );
    let cut = |path: &[&str]| text_of(at(&node, path)).cut_by_comment.map(|span| source.slice(span).to_owned());
    assert_eq!(cut(&["a"]).as_deref(), Some("#12 # note"));
    assert_eq!(cut(&["b", "0"]).as_deref(), Some("#d"));
    assert_eq!(cut(&["e"]), None);
    assert_eq!(cut(&["h"]), None);
    assert_eq!(cut(&["i"]).as_deref(), Some("# three"));
    assert_eq!(cut(&["j"]).as_deref(), Some("# k"));
    assert_eq!(cut(&["l"]), None);
    assert_eq!(text_of(at(&node, &["l"])).text, "n # o\n");
}

#[test]
fn what_is_no_yaml_is_said_in_our_words() {
    let mut wrong = Vec::new();
    for (text, said) in [
        ("a:\n\tb: c", "2:1 yaml-syntax: a tab cannot indent YAML | indent with spaces"),
        ("a:\n  - b\n  \t- c: d\n", "3:3 yaml-syntax: a tab cannot indent YAML | indent with spaces"),
        ("title: Deploy: now # x", "1:14 yaml-syntax: an unquoted text cannot hold `: ` | quote it: \"Deploy: now\""),
        (
            "when: not x is matches(\"a: b\")",
            "1:26 yaml-syntax: an unquoted text cannot hold `: ` | quote it: 'not x is matches(\"a: b\")'",
        ),
        ("- ä: 'x'\n- it's: a: b", "2:10 yaml-syntax: an unquoted text cannot hold `: ` | quote it: \"a: b\""),
        ("a: [b: c: d]", "1:9 yaml-syntax: an unquoted text cannot hold `: ` | quote it: \"c: d\""),
        (
            "text: Note: this\n  and that\n",
            "1:11 yaml-syntax: an unquoted text cannot hold `: ` | begin the value with `|` or `>` and put its text on the lines below",
        ),
        ("a: {{ x }}", "1:4 unquoted-template: a text that begins with `{{` must be quoted | quote it: \"{{ x }}\""),
        (
            "- a: {{ x }}/é-{{ y }} # c",
            "1:6 unquoted-template: a text that begins with `{{` must be quoted | quote it: \"{{ x }}/é-{{ y }}\"",
        ),
        (
            "a: {b: {{ x }}, c: d}",
            "1:8 unquoted-template: a text that begins with `{{` must be quoted | quote it: \"{{ x }}\"",
        ),
        (
            "a: [{{ x }}y, z]",
            "1:5 unquoted-template: a text that begins with `{{` must be quoted | quote it: \"{{ x }}y\"",
        ),
        (
            "a: {{ x | default(\"y\") }}: z",
            "1:4 unquoted-template: a text that begins with `{{` must be quoted | quote it: '{{ x | default(\"y\") }}: z'",
        ),
        (
            "a: {{ x['b'] }}",
            "1:4 unquoted-template: a text that begins with `{{` must be quoted | quote it: \"{{ x['b'] }}\"",
        ),
        ("- {{ x\n  }}", "1:3 unquoted-template: a text that begins with `{{` must be quoted | quote it: \"{{ x\""),
        (
            "a: \"open\nb: c\n",
            "1:4 yaml-syntax: a quoted text that opens here is not closed | close it with `\"`; a `\"` inside is written `\\\"`",
        ),
        (
            "a: 'open\n",
            "1:4 yaml-syntax: a quoted text that opens here is not closed | close it with `'`; a `'` inside is written twice",
        ),
        ("a: \"b\" in c", "1:8 yaml-syntax: text after a closing quote | quote the whole: '\"b\" in c'"),
        ("a: \"{{ x }}\"/y é # c", "1:13 yaml-syntax: text after a closing quote | quote it: \"{{ x }}/y é\""),
        ("a: [\"{{ x }}\" y, z]", "1:15 yaml-syntax: text after a closing quote | quote it: \"{{ x }} y\""),
        ("a: 'b' == c", "1:8 yaml-syntax: text after a closing quote | quote the whole: '''b'' == c'"),
        ("a: @b", "1:4 yaml-syntax: a text cannot begin with `@` unless it is quoted | quote it: \"@b\""),
        ("a: `b` c", "1:4 yaml-syntax: a text cannot begin with ``` unless it is quoted | quote it: \"`b` c\""),
        ("a: %b", "1:4 yaml-syntax: a text cannot begin with `%` unless it is quoted | quote it: \"%b\""),
        ("a: [x, @b]", "1:8 yaml-syntax: a text cannot begin with `@` unless it is quoted | quote it: \"@b\""),
        ("a: ? b", "1:4 yaml-syntax: a text cannot begin with `? ` unless it is quoted | quote it: \"? b\""),
        ("a: * * 3", "1:4 yaml-syntax: a text cannot begin with `*` unless it is quoted | quote it: \"* * 3\""),
        ("a: & b", "1:4 yaml-syntax: a text cannot begin with `&` unless it is quoted | quote it: \"& b\""),
        (
            "a: one # two\n   three\n",
            "1:8 comment-cuts-text: YAML cut the text here: ` #` begins a comment | quote it: \"one # two\"",
        ),
        (
            "a: b\nfoo bar\nc: d",
            "2:1 yaml-syntax: `: ` is missing: expected a key and its value | write `key: value`; to go on with the value above, indent deeper",
        ),
        (
            "a: b\nid:foo\nc: d",
            "2:1 yaml-syntax: `: ` is missing: expected a key and its value | put a space after the colon: id: foo",
        ),
        (
            "a:b\nc: d",
            "1:1 yaml-syntax: `: ` is missing: expected a key and its value | put a space after the colon: a: b",
        ),
        (
            "a: b\n  c: d",
            "2:4 yaml-syntax: `c:` cannot stand below a value | indent `c:` like the key above, or remove the value",
        ),
        (
            "a:\n  b: c\n d: e",
            "3:2 yaml-syntax: the indentation of this line fits nothing above it | indent it like the keys it belongs to",
        ),
        (
            "a: |\n  x\n y\nb: c",
            "3:2 yaml-syntax: the indentation of this line fits nothing above it | indent every line of the block like its first one",
        ),
        (
            "- a: b\n  - c",
            "2:3 yaml-syntax: a list item cannot stand here | indent the item below the key it belongs to",
        ),
        (
            "a: - b",
            "1:4 yaml-syntax: a list cannot begin here | put each `- ` on a line of its own, write the list as [a, b], or if it is a text, quote it: \"- b\"",
        ),
        ("- a\nb: c", "2:1 yaml-syntax: expected another list item, `- ` in the column of the one above"),
        (
            "a: [1, 2\nb: c",
            "1:4 yaml-syntax: `[` is not closed | close it with `]`; if it begins a text, quote it: \"[1, 2\"",
        ),
        (
            "a: {b: c\nd: e\n",
            "1:4 yaml-syntax: `{` is not closed | close it with `}`; if it begins a text, quote it: \"{b: c\"",
        ),
        ("a: [1, ,]", "1:8 yaml-syntax: expected `,` or `]` | if `[` begins a text, quote it: \"[1, ,]\""),
        ("a: [b}", "1:4 yaml-syntax: `[` is closed by `}` | if `[` begins a text, quote it: \"[b}\""),
        ("a: [d]]", "1:7 yaml-syntax: this bracket closes nothing | remove it, or quote the text it belongs to"),
        ("a: [x] y", "1:8 yaml-syntax: text after a closing bracket | quote it: \"[x] y\""),
        (
            "a: \"^v\\d+\\.\"",
            "1:7 yaml-syntax: `\\d` is no escape of a double-quoted text | in single quotes a backslash is a backslash: '^v\\d+\\.'",
        ),
        (
            "a: \"\\u12\"",
            "1:5 yaml-syntax: `\\u` is no escape of a double-quoted text | in single quotes a backslash is a backslash: '\\u12'",
        ),
        (
            "a: >b\n  c",
            "1:4 yaml-syntax: the text of a `|` or `>` block begins on the next line | or, if it is one line of text, quote it: \">b\"",
        ),
        (
            "a: !e!x y",
            "1:4 tag: tags are not part of the language | write the value without it; if it is a text, quote it: \"!e!x y\"",
        ),
        ("a: *.example.com", "1:4 unknown-alias: unknown alias `*.example.com` | quote it: \"*.example.com\""),
        ("a: &retry 1\nb: *rety", "2:4 unknown-alias: unknown alias `*rety` | did you mean `*retry`?"),
        ("a: &x [*x]", "1:8 unknown-alias: a value cannot hold itself"),
        ("[a]: b", "1:1 key-not-text: a key must be a text, found a list"),
        ("{a: b}: c", "1:1 key-not-text: a key must be a text, found a mapping"),
        (": b", "1:1 yaml-syntax: a key is missing here | a text that begins with `:` must be quoted"),
        (
            "a: b\n---\nc: d",
            "2:1 second-document: a file holds one runbook | remove the line, or move what follows to a file of its own",
        ),
        (
            "a: b\n...\nc: d",
            "3:1 second-document: a file holds one runbook | remove the line, or move what follows to a file of its own",
        ),
        ("", "1:1 empty-file: the file is empty; a runbook needs at least `title` and `steps`"),
        ("# only\n\n# this\n", "1:1 empty-file: the file is empty; a runbook needs at least `title` and `steps`"),
        ("---\n", "1:1 empty-file: the file is empty; a runbook needs at least `title` and `steps`"),
        ("a: b\0c", "1:5 control-character: the file holds a NUL character | is this a text file?"),
    ] {
        let got = only(text);
        if got != said {
            wrong.push(format!("{text}\n  is: {got}\n not: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn all_that_can_be_told_is_told_at_once() {
    let text = "a: 1\nb: !foo x\na: 2\nc: {d: 1, d: 2, d: 3}\ne: !!str 5\n";
    let (source, problems) = problems(text);
    let said: Vec<String> = problems.iter().map(|problem| said(&source, problem)).collect();
    assert_eq!(
        said,
        [
            "2:4 tag: tags are not part of the language | write the value without it; if it is a text, quote it: \"!foo x\"",
            "4:11 duplicate-key: duplicate key `d` | remove one of them",
            "4:17 duplicate-key: duplicate key `d` | remove one of them",
            "5:4 tag: tags are not part of the language | quote it: \"5\"",
            "3:1 duplicate-key: duplicate key `a` | remove one of them",
        ]
    );
    assert_eq!(source.slice(problems[4].related[0].0), "a");
    assert_eq!(problems[4].related[0].0.start, 0);
    // The rest stays readable, so that a reader of the tree can add what it finds.
    let node = read(&source).node.expect("a tree beside the problems");
    assert_eq!(shown(&node), "{a: 1, b: \"x\", c: {d: 1}, e: 5}");
    assert!(read(&Source::new("t", "a: *b")).node.is_none());
}

#[test]
fn duplicates_are_found_in_large_mappings() {
    let mut text: String = (0..5_000).map(|i| format!("k{i}: {i}\n")).collect();
    text.push_str("k17: again\n");
    assert_eq!(only(&text), "5001:1 duplicate-key: duplicate key `k17` | remove one of them");
}

#[test]
fn drawn() {
    let (source, problems) = problems("title: Deploy\nsteps: []\ntitle: Again\n");
    assert_eq!(
        draw_all(&source, &problems, DrawStyle::default()),
        "\
error[duplicate-key]: duplicate key `title`
 --> t.yaml:3:1
  |
1 | title: Deploy
  | ----- given first here
2 | steps: []
3 | title: Again
  | ^^^^^ given again here
  |
  = help: remove one of them
"
    );
}

#[track_caller]
fn refused_fast(text: &str, code: &str) {
    let source = Source::new("t.yaml", text);
    let problems = parse(&source).expect_err("refused");
    assert_eq!(problems.last().map(|problem| problem.code), Some(code), "{:?}", problems.last());
}

#[test]
fn nesting_ends_early() {
    refused_fast(&"[".repeat(100_000), "too-deep");
    refused_fast(&"{a: ".repeat(100_000), "too-deep");
    refused_fast(&"- ".repeat(100_000), "too-deep");
    refused_fast(&"? ".repeat(100_000), "too-deep");
    refused_fast(&(0..3_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>(), "too-deep");
    refused_fast(&format!("{}{}{}", "- ".repeat(40), "[".repeat(40), "]".repeat(40)), "too-deep");
    // Each anchor is shallow; together they would be deep.
    let chain: String = (1..200).map(|i| format!("a{i}: &a{i} [[[[[[[[[[*a{}]]]]]]]]]]\n", i - 1)).collect();
    refused_fast(&format!("a0: &a0 x\n{chain}"), "too-deep");
    let deep = format!("{}x{}", "[".repeat(64), "]".repeat(64));
    assert!(parse(&Source::new("t", deep)).is_ok());
}

#[test]
fn aliases_have_a_budget() {
    let bomb: String =
        (1..30).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "))).collect();
    refused_fast(&format!("a0: &a0 lol\n{bomb}"), "alias-budget");
    let long = "x".repeat(100_000);
    refused_fast(&format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(50_000)), "alias-budget");
    refused_fast(&format!("a: &a x\nb: [{}]\n", "*a, ".repeat(50_000)), "alias-budget");
    let merges: String = (0..2_000).map(|i| format!("m{i}: {{<<: *base}}\n")).collect();
    let base: String = (0..1_000).map(|i| format!("  k{i}: v\n")).collect();
    refused_fast(&format!("base: &base\n{base}{merges}"), "alias-budget");
    // What a real file does is far below.
    let steps: String = (0..10_000).map(|i| format!("- {{<<: *d, id: s{i}, retry: *r}}\n")).collect();
    let (_, node) = tree(&format!("- &d {{timeout: 5m, cwd: /}}\n- &r {{attempts: 3}}\n{steps}"));
    assert!(matches!(&node.kind, NodeKind::List(items) if items.len() == 10_002));
}

#[test]
fn size_has_a_limit() {
    refused_fast(&"#".repeat(MAX_BYTES + 1), "too-large");
    refused_fast(&format!("[{}]", "a,".repeat(1_000_000)), "too-large");
    assert!(only(&" ".repeat(MAX_BYTES + 1)).contains("8388609 bytes (8.0 MiB); the limit is 8 MiB"));
}

// No clock is looked at here or above: what these guard against would take hours or all memory.
#[test]
fn large_files_are_not_slow() {
    let line = "ä".repeat(500_000);
    for text in [
        format!("a: {line}"),
        format!("a: \"{line}\\n\""),
        format!("a: |\n{}", "  é\n".repeat(1_000_000)),
        format!("a: |+\n  x\n{}", "\n".repeat(1_000_000)),
        format!("a: >+\n  x\n{}", "\n".repeat(1_000_000)),
        format!("a: |+\n{}  x\n", "\n".repeat(1_000_000)),
        format!("a: 'x{} y'", "\n".repeat(1_000_000)),
        format!("a: x{}\n  y", "\n".repeat(1_000_000)),
        format!("a: >\n{}", "  é\n".repeat(1_000_000)),
        format!("{}a: b", "# comment\n".repeat(500_000)),
        format!("a: [{}]", "'ä', ".repeat(400_000)),
        format!("a: \"{}\"", "\\\"".repeat(500_000)),
    ] {
        tree(&text);
    }
    let tags = format!("[{}]", "!a b, ".repeat(500_000));
    refused_fast(&tags, "tag");
}

/// Each character of the value that stands in the source is found there.
fn mapped(document: &str) {
    let source = Source::new("t.yaml", document);
    let Ok(node) = parse(&source) else {
        return;
    };
    let NodeKind::Map(entries) = &node.kind else { return };
    for entry in entries {
        check_map(&source, &entry.key);
        if let NodeKind::Text(text) | NodeKind::Plain(_, text) = &entry.value.kind {
            check_map(&source, text);
        }
    }
}

fn check_map(source: &Source, text: &Text) {
    let mut before = None;
    for (offset, character) in text.text.char_indices() {
        let place = text.map.offset(offset);
        let written = source.text()[place..].chars().next();
        let escaped = text.style == ScalarStyle::DoubleQuoted && written == Some('\\');
        // A folded line end is a space in the value only.
        let folded = character == ' ' && matches!(written, Some('\n' | '\r' | '\t'));
        // A block at the end of the file ends in a line feed even if the file does not.
        let supplied = character == '\n' && place == source.text().len() && offset + 1 == text.text.len();
        assert!(
            supplied || written == Some(character) || escaped || folded,
            "{:?} of {:?} at {offset} → {place}: {written:?}\n{}",
            character,
            text,
            source.text()
        );
        assert!(before < Some(place), "places ascend: {text:?}");
        before = Some(place);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain_text_is_mapped(lines in prop::collection::vec("[aé𝄞][aé𝄞:' #-]{0,6}", 1..5), gaps in prop::collection::vec("\r?\n( {0,2}\t?\r?\n){0,2}", 4)) {
        let mut document = "key: ".to_owned();
        for (line, gap) in lines.iter().zip(&gaps) {
            document.push_str(line);
            document.push_str(gap);
            document.push_str("  ");
        }
        mapped(&document);
        mapped(&format!("{}: x\n", lines[0]));
    }

    #[test]
    fn single_quoted_text_is_mapped(body in "([aé𝄞\\\\\"#: ]|''|\t|\r?\n {1,3}|\n\n ){0,20}") {
        mapped(&format!("key: '{body}'\nnext: '{body}'\n"));
    }

    #[test]
    fn double_quoted_text_is_mapped(body in "([aé𝄞'#: ]|\\\\[nt\"\\\\0e/N_LP ]|\\\\x41|\\\\u00e9|\\\\U0001F600|\\\\ud83d\\\\ude00|\\\\\r?\n {1,3}|\t|\r?\n {1,3}|\n\n ){0,20}") {
        mapped(&format!("key: \"{body}\"\nnext: x\n"));
    }

    #[test]
    fn block_text_is_mapped(
        header in "[|>][+-]?",
        explicit in any::<bool>(),
        lines in prop::collection::vec("( {0,3}|  {0,3}[aé𝄞#:][aé𝄞#: \t]{0,5}|   [ab]{1,2}|  [a-c]{1,3})\r?\n", 0..8),
        tail in "(next: x\n)?",
    ) {
        let explicit = if explicit { "2" } else { "" };
        mapped(&format!("key: {header}{explicit}\n{}{tail}", lines.concat()));
        mapped(&format!("key: {header}{explicit} # c\n{}", lines.concat().trim_end()));
    }

    #[test]
    fn nothing_panics(text in "([a-c:\\-#&*!|>'\"%@`?,\\[\\]{}<~ \t\n]|\r\n|é|\\{\\{|: |- |\n  ){0,40}") {
        let source = Source::new("t.yaml", text.as_str());
        match parse(&source) {
            Ok(node) => { let _ = shown(&node); }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in &problems {
                    prop_assert!(problem.span.end <= source.text().len(), "{problem:?}");
                    prop_assert!(source.text().is_char_boundary(problem.span.start) && source.text().is_char_boundary(problem.span.end), "{problem:?}");
                }
                draw_all(&source, &problems, DrawStyle::default());
            }
        }
    }
}
