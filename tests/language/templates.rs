//! Templates: input → output.
#![allow(clippy::result_large_err, reason = "a diagnostic is the product here, not the exception")]

use proptest::prelude::*;
use runsheet::{
    syntax::{Eval, Expr, Rendered, ScalarStyle, Template, Text},
    text::Diagnostic,
    value::{Scope, Slot, Value},
};

use super::expressions::{json, plain, scope};

fn place(text: &str, d: &Diagnostic) -> String {
    let place = &text[d.span.start - 100..d.span.end - 100];
    format!("{}: {} at «{place}»{}", d.code, d.message, d.hint.as_ref().map_or_else(String::new, |h| format!(" ({h})")))
}

fn rendered(text: &str) -> String {
    let done = Template::compile(&plain(text)).and_then(|template| template.render(&scope(), &[]));
    show(text, done)
}

fn url(text: &str) -> String {
    let mut scope = scope();
    scope.know("jenkins", Value::text("https://jenkins.example/ci/"));
    scope.know("bare", Value::text("https://jenkins.example"));
    scope.know("segment", Value::text("a b/c?d#e%&="));
    scope.know("dots", Value::text(".."));
    scope.know("dot", Value::text("."));
    scope.know("empty", Value::text(""));
    scope.know("location", Value::text("/queue/item/7/"));
    scope.know("host", Value::text("db.example:8080"));
    scope.know("evil", Value::text("x@evil.example"));
    scope.know("suffix", Value::text(".evil.example"));
    let done = Template::compile_url(&plain(text)).and_then(|template| template.render_url(&scope, &[]));
    show(text, done)
}

fn show(text: &str, done: Result<Rendered, Diagnostic>) -> String {
    match done {
        Ok(Rendered::Text(text)) => text,
        Ok(Rendered::Deferred(names)) => format!("waits on {}", names.join(", ")),
        Err(d) => place(text, &d),
    }
}

#[track_caller]
fn table(give: impl Fn(&str) -> String, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(text, wanted)| give(text) != *wanted)
        .map(|(text, wanted)| format!("{text}\n   gives  {}\n   wanted {wanted}", give(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_and_values() {
    table(
        rendered,
        &[
            ("plain", "plain"),
            ("", ""),
            ("a line\n", "a line\n"),
            ("{{ version }}!", "v3.20!"),
            ("{{ yes }} {{ count }} {{ ratio }} {{ grace }} {{ hosts }}", r#"true 3 0.5 1m30s ["a1","b2","c3"]"#),
            ("a {{- version -}} b", "av3.20b"),
            ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
            ("{# note #}x", "x"),
            ("{{ '{{' }} version }}", "{{ version }}"),
            ("{ x } %} }}", "{ x } %} }}"),
            ("{{ queue_url }}/x", "waits on admin.queue_url"),
            (
                "{{ nothing }}",
                "no-value: `nothing` is none at «nothing» (give it a text: `nothing|default(\"…\", true)`)",
            ),
            (
                "{{ skipped }}",
                "no-value: `skipped` has no value: the step that sets it was skipped or failed at «skipped» (ask `skipped is defined` first, or write `skipped|default(…)`)",
            ),
            ("{{ info.nope }}", "no-value: `info` has no `nope` at «nope» (it has name, deep, status)"),
        ],
    );
}

#[test]
fn statements() {
    table(
        rendered,
        &[
            ("{% if count > 2 %}many{% else %}few{% endif %}", "many"),
            ("{% if count > 9 %}a{% elif count > 2 %}b{% else %}c{% endif %}", "b"),
            (
                "{% if version %}a{% endif %}",
                "not-a-condition: what follows `if` must be true or false, this is a string at «version» (ask something about it: `version == \"…\"` or `version|length > 0`)",
            ),
            (
                "{% for h in hosts %}{{ loop.index }}{{ h }}{% if not loop.last %},{% endif %}{% endfor %}",
                "1a1,2b2,3c3",
            ),
            ("{% for h in hosts if h is not startingwith 'a' %}{{ h }}{% endfor %}", "b2c3"),
            ("{% for h in [] %}x{% else %}none{% endfor %}", "none"),
            ("{% for k, v in info.deep|items %}{{ k }}={{ v }}{% endfor %}", r#"list=[{"id":7}]"#),
            ("{% for k in info %}{{ k }} {% endfor %}", "name deep status "),
            ("{% for (a, (b, c)) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"),
            (
                "{% for h in version %}{% endfor %}",
                "type-mismatch: `for` needs a list or a map, this is a string at «version» (cut a string with `|lines` or `|split`)",
            ),
            ("{% set x = count + 1 %}{{ x }}", "4"),
            ("{% set x %}a{{ count }}{% endset %}{{ x }}", "a3"),
            ("{% set x | upper %}a{% endset %}{{ x }}", "A"),
            ("{% with a = 1, b = a + 1 %}{{ a }}{{ b }}{% endwith %}", "12"),
            ("{% filter upper|replace('A', 'b') %}a{{ version }}{% endfilter %}", "bV3.20"),
            ("{% for i in [1] %}{% set x = i %}{% endfor %}{{ x }}", "unknown-name: there is no `x` here at «x»"),
            ("{% for i in [1] %}\n{{ i }}\n{% endfor %}", "\n1\n"),
        ],
    );
}

#[test]
fn mistakes_at_compile_time() {
    table(
        rendered,
        &[
            ("a {{ }}", "bad-template: an expression is missing here at «{{ }}»"),
            ("a {{ count", "bad-template: this `{{` is not closed at «{{» (close it with `}}`)"),
            ("{% if yes %}x", "bad-template: this has no `{% endif %}` at «if» (close it with `{% endif %}`)"),
            (
                "{% for x in hosts %}x",
                "bad-template: this has no `{% endfor %}` at «for» (close it with `{% endfor %}`)",
            ),
            ("{% endif %}", "bad-template: `endif` closes nothing here at «endif»"),
            ("{% elseif yes %}", "bad-template: unknown statement `elseif` at «elseif» (did you mean `elif`?)"),
            (
                "{% include 'x' %}",
                "bad-template: `include` is not part of the runbook language at «include» (templates have `if`, `for`, `set`, `with`, `filter` and `raw`)",
            ),
            (
                "{% macro x() %}{% endmacro %}",
                "bad-template: `macro` is not part of the runbook language at «macro» (templates have `if`, `for`, `set`, `with`, `filter` and `raw`)",
            ),
            ("{% set loop = 1 %}", "bad-template: `loop` is reserved and cannot be set at «loop»"),
            ("{% set run = 1 %}", "bad-template: `run` is reserved and cannot be set at «run»"),
            (
                "x {# y",
                "bad-template: this comment has no `#}` at «{# y» (write `#}` where the comment ends; the two characters themselves are `{{ '{#' }}`)",
            ),
            (
                "{% raw %}",
                "bad-template: this has no `{% endraw %}` at «{% raw %}» (write `{% endraw %}` where templates begin again)",
            ),
            (
                "{{ (count }}",
                "bad-template: unexpected `}`, expected `,` or `)` at «}» (an opening `(`, `[` or `{` before it is not closed)",
            ),
            ("{{ count|nope }}", "unknown-function: there is no filter `nope` at «nope»"),
            (
                "{{ version|e }}",
                "unknown-function: there is no filter `e` at «e» (nothing is escaped here; leave it out)",
            ),
        ],
    );
}

#[test]
fn a_whole_expression_keeps_its_type() {
    let eval = |text: &Text| Template::compile(text).unwrap().eval(&scope(), &[]).unwrap();
    assert_eq!(eval(&plain("{{ count }}")), Eval::Value(Value::Int(3)));
    assert_eq!(eval(&plain("{{ nothing }}")), Eval::Value(Value::None));
    assert_eq!(eval(&plain("{{ count }} ")), Eval::Value(Value::text("3 ")));
    assert_eq!(eval(&plain("{{ count }}{{ count }}")), Eval::Value(Value::text("33")));
    assert_eq!(eval(&plain("{{ count }}\n")), Eval::Value(Value::text("3\n")));
    let block = Text { style: ScalarStyle::Literal, ..plain("{{ hosts }}\n") };
    assert_eq!(eval(&block), Eval::Value(json(r#"["a1", "b2", "c3"]"#)));
    assert_eq!(eval(&plain("{{ token }}")), Eval::Deferred(vec!["token".into()]));
}

#[test]
fn values_are_substituted_once() {
    let mut scope = Scope::new();
    scope.know("x", Value::text("{{ y }}{% if %}"));
    let template = Template::compile(&plain("a{{ x }}")).unwrap();
    assert_eq!(template.render(&scope, &[]), Ok(Rendered::Text("a{{ y }}{% if %}".into())));
    let literal = Template::literal("{{ y }}");
    assert!(literal.is_literal() && literal.references().is_empty());
    assert_eq!(literal.render(&scope, &[]), Ok(Rendered::Text("{{ y }}".into())));
    assert_eq!(literal.show(&scope, &[]), "{{ y }}");
}

#[test]
fn references_leave_out_what_is_bound_inside() {
    let names = |text: &str| {
        let template = Template::compile(&plain(text)).unwrap();
        template.references().iter().map(|r| r.name.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        names("{% for h in hosts if h != skip %}{{ h }}{{ loop.index }}{{ other }}{% endfor %}{{ h }}"),
        "hosts skip other h"
    );
    assert_eq!(names("{{ x }}{% set x = y %}{{ x }}"), "x y");
    assert_eq!(names("{% with a = b, c = a %}{{ a ~ c ~ d }}{% endwith %}{{ a }}"), "b d a");
    assert_eq!(names("{% if false %}{{ dead }}{% endif %}"), "dead");
    assert_eq!(names("{% set x %}{{ a }}{% endset %}{{ x }}"), "a");
    assert_eq!(names("{% filter replace(a, b) %}{{ c }}{% endfilter %}"), "c a b");
}

#[test]
fn shown_in_plans() {
    let shown = |text: &str| Template::compile(&plain(text)).unwrap().show(&scope(), &[]);
    table(
        shown,
        &[
            ("curl {{ queue_url }} {{ version }}", "curl ‹admin.queue_url› v3.20"),
            ("-u me:{{ token }}", "-u me:‹token›"),
            ("{{ queue_url|upper }} {{ version|upper }}", "{{ queue_url|upper }} V3.20"),
            ("{{ queue_url ~ version }}", "{{ queue_url ~ version }}"),
            ("{{ steps.later.status }}", "‹later›"),
            ("{{ skipped }} {{ nothing }}", "{{ skipped }} {{ nothing }}"),
            ("{% if queue_url %}a{% endif %}{{ version }}", "{% if queue_url %}a{% endif %}{{ version }}"),
            ("{% if yes %}a{% endif %}{{ version }}", "av3.20"),
            ("{{ nowhere }}", "{{ nowhere }}"),
        ],
    );
    let shown = |text: &str| Template::compile_url(&plain(text)).unwrap().show(&scope(), &[]);
    table(
        shown,
        &[
            ("{{ queue_url }}api/json?x={{ version ~ '&' }}", "‹admin.queue_url›api/json?x=v3.20%26"),
            ("https://h/{{ 'a b' }}/{{ queue_url }}/{{ 'c/d' }}", "https://h/a%20b/‹admin.queue_url›/c%2Fd"),
            ("https://h/{{ '..' }}", "https://h/.."),
        ],
    );
}

#[test]
fn urls() {
    table(
        url,
        &[
            ("https://h.example/x?y=1#z", "https://h.example/x?y=1#z"),
            ("{{ jenkins }}job/{{ segment }}/build", "https://jenkins.example/ci/job/a%20b%2Fc%3Fd%23e%25%26%3D/build"),
            ("{{ bare }}/job/{{ version }}", "https://jenkins.example/job/v3.20"),
            ("{{ bare }}{{ location|path }}api/json", "https://jenkins.example/queue/item/7/api/json"),
            ("https://h/x?a={{ segment }}&b={{ count }}", "https://h/x?a=a%20b%2Fc%3Fd%23e%25%26%3D&b=3"),
            ("https://h/{{ 'a b/c d'|path }}", "https://h/a%20b/c%20d"),
            ("http://{{ host }}/x", "http://db.example:8080/x"),
            ("https://h/v{{ empty }}/x", "https://h/v/x"),
            ("https://h/{{ count }}", "https://h/3"),
            ("{{ queue_url }}x", "waits on admin.queue_url"),
            ("{{ bare }}", "https://jenkins.example"),
            ("{{ bare }}:8080/x", "https://jenkins.example:8080/x"),
            ("{{ bare }}?q={{ version }}", "https://jenkins.example?q=v3.20"),
        ],
    );
}

#[test]
fn urls_refused() {
    let refused = |text: &str| url(text).split(" (").next().unwrap_or("").to_owned();
    table(
        refused,
        &[
            ("https://h/{{ dots }}/x", "not-an-url: this value makes a segment of the path `..` at «dots»"),
            ("https://h/{{ dot }}{{ dot }}/x", "not-an-url: this value makes a segment of the path `..` at «dot»"),
            ("https://h/%2e{{ dot }}/x", "not-an-url: this value makes a segment of the path `..` at «dot»"),
            ("https://h/{{ empty }}/x", "not-an-url: this value makes a segment of the path empty at «empty»"),
            ("https://h/{{ empty }}", "not-an-url: this value makes a segment of the path empty at «empty»"),
            (
                "https://h/{{ '../x'|path }}",
                "not-an-url: the path `../x` holds `..`, which would leave its place at «'../x'»",
            ),
            ("https://h/{{ 'a//x'|path }}", "not-an-url: the path `a//x` has an empty segment at «'a//x'»"),
            (
                "https://h/{{ location|path }}",
                "not-an-url: this value makes a segment of the path empty at «location|path»",
            ),
            (
                "https://h/a/{{ 'b/'|path }}/c",
                "not-an-url: this value makes a segment of the path empty at «'b/'|path»",
            ),
            ("{{ version }}/x", "not-an-url: `v3.20` is not an absolute http or https URL at «version»"),
            ("{{ 'ftp://x/' }}", "not-an-url: `ftp://x/` is not an absolute http or https URL at «'ftp://x/'»"),
            ("{{ 'https:///x/' }}y", "not-an-url: `https:///x/` has no host at «'https:///x/'»"),
            (
                "{{ 'https://h/a b' }}",
                "not-an-url: `https://h/a b` is no URL: it holds blanks or control characters at «'https://h/a b'»",
            ),
            ("{{ bare }}api", "not-an-url: `https://jenkins.example` would run into the text after it at «bare»"),
            ("{{ bare }}{{ suffix }}/x", "not-an-url: this value would change the host before it at «suffix»"),
            (
                "{{ bare }}{{ suffix|path }}/x",
                "not-an-url: this value would change the host before it at «suffix|path»",
            ),
            ("https://h{{ suffix|path }}/x", "not-an-url: this path would change the host before it at «suffix|path»"),
            ("https://{{ empty }}/x", "not-an-url: an empty text cannot be a host at «empty»"),
            (
                "https://{{ evil }}/x",
                "not-an-url: `https://x%40evil.example/x` is no URL: invalid international domain name at «https://{{ evil }}/x»",
            ),
            ("https://{{ hosts }}/x", "type-mismatch: a list cannot be put into a URL at «hosts»"),
            (
                "/x/{{ version }}",
                "not-an-url: a URL begins with https:// or http://, or with a value that does at «/x/»",
            ),
            ("ftp://x", "not-an-url: a URL begins with https:// or http://, or with a value that does at «ftp://x»"),
            ("", "not-an-url: a URL is missing here at «»"),
            (
                "https://h/{% if yes %}x{% endif %}",
                "bad-template: a URL holds values only, no statements at «{% if yes %}x{% endif %}»",
            ),
            ("https://h/{{ nothing }}", "no-value: `nothing` is none at «nothing»"),
        ],
    );
}

#[test]
fn loops_end() {
    for text in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ 'x' * 1000000 }}{% endfor %}",
        "{% for a in range(100000) %}{% if 'y' in 'x' * 10000000 %}{% endif %}{% endfor %}",
    ] {
        assert!(rendered(text).starts_with("too-large"), "{}", rendered(text));
    }
    // Lists that hold each other twice would be written 2^60 times.
    let doubled: String = (0..60).map(|n| format!("{{% set x{} = [x{n}, x{n}] %}}", n + 1)).collect();
    assert!(rendered(&format!("{{% set x0 = [1] %}}{doubled}{{{{ x60 }}}}")).starts_with("too-large"));
    let deep = "{% set x = [x] %}".repeat(2000);
    assert!(rendered(&format!("{{% set x = [1] %}}{deep}")).starts_with("too-large"));
    let nested = "{% if yes %}".repeat(10_000);
    assert!(rendered(&nested).contains("nested too deeply"));
    let nested = "{% if yes %}".repeat(110) + &"{% endif %}".repeat(110);
    assert_eq!(rendered(&nested), "");
    let chain = "{% if false %}".to_owned() + &"{% elif false %}".repeat(10_000) + "{% endif %}";
    assert_eq!(rendered(&chain), "");
    assert!(rendered(&format!("{{% set {}x = 1 %}}", "(".repeat(10_000))).contains("nested too deeply"));
}

#[test]
fn a_name_set_in_one_branch_only_is_still_waited_for() {
    let text = "{% if yes == false %}{% set queue_url = 1 %}{% endif %}{{ queue_url }}";
    let template = Template::compile(&plain(text)).unwrap();
    assert_eq!(template.render(&scope(), &[]), Ok(Rendered::Deferred(vec!["admin.queue_url".into()])));
}

#[test]
fn urls_without_compile_url_are_checked_when_rendered() {
    let template = Template::compile(&plain("{% if yes %}x{% endif %}")).unwrap();
    assert_eq!(template.render_url(&scope(), &[]).unwrap_err().code, "bad-template");
    let mut scope = scope();
    scope.set("version", Slot::Absent);
    let template = Template::compile(&plain("https://h/{{ version|default('x') }}")).unwrap();
    assert_eq!(template.render_url(&scope, &[]), Ok(Rendered::Text("https://h/x".into())));
}

const WORDS: [&str; 94] = [
    "count",
    "version",
    "hosts",
    "info",
    "nothing",
    "skipped",
    "grace",
    "yes",
    "nope",
    ".name",
    ".x",
    "[0]",
    "['a']",
    "[1:]",
    "|",
    "|upper",
    "|int",
    "|length",
    "|default(1)",
    "|join(',')",
    "|map('upper')",
    "|sort",
    "|regex_find('(')",
    "|tojson",
    " is ",
    " is not ",
    "defined",
    "none",
    "matches('x')",
    " in ",
    " not in ",
    " and ",
    " or ",
    " not ",
    " if ",
    " else ",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "~",
    "==",
    "!=",
    "<",
    ">=",
    "=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "1",
    "0",
    "2.5",
    "1e400",
    "'a'",
    "'ü'",
    "\"",
    "'",
    "\\",
    "true",
    "none",
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{# ",
    " #}",
    "-}}",
    "{{-",
    "for x in ",
    "endfor",
    "set x = ",
    "if ",
    "endif",
    "raw",
    "endraw",
    "é",
    "…",
    "\n",
    " ",
    "$",
    "range(9)",
    "steps.",
    "?",
    "|format(1)",
    "&",
    "|path",
];

/// Words that are put together at random: most results are wrong somewhere, and none may panic.
fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..14).prop_map(|words| words.concat())
}

/// Well-formed expressions over numbers, texts and booleans.
fn sums() -> impl Strategy<Value = String> {
    let leaves = vec!["1", "2", "7", "2.5", "0", "true", "'a'", "'ab'", "[1, 2]", "-3", "'12'"];
    let leaf = prop::sample::select(leaves).prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op = prop::sample::select(vec![
            "+", "-", "*", "//", "%", "/", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in", "**",
        ]);
        prop_oneof![
            4 => (inner.clone(), op.clone(), inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            2 => (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            1 => inner.clone().prop_map(|a| format!("not {a}")),
            1 => inner.clone().prop_map(|a| format!("-({a})")),
            1 => inner.clone().prop_map(|a| format!("{a}|length")),
            1 => inner.clone().prop_map(|a| format!("{a}|string|upper")),
            1 => inner.clone().prop_map(|a| format!("({a}) is odd")),
            1 => inner.clone().prop_map(|a| format!("({a})[1:]")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("{a} if {b} else {c}")),
        ]
    })
}

/// The same, where a whole float may have become a whole number.
fn like(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
        // Reading their JSON may lose the last digit.
        (Value::Float(a), Value::Float(b)) => (a - b).abs() <= a.abs() * 1e-14,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| like(a, b)),
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_place_lies_inside_the_text(text in soup()) {
        let (low, high) = (100, 100 + text.len());
        let text_of = plain(&text);
        let errors = [
            Expr::compile(&text_of).and_then(|e| e.eval(&scope(), &[])).err(),
            Expr::compile(&text_of).and_then(|e| e.eval_bool(&scope(), &[])).err(),
            Template::compile(&text_of).and_then(|t| t.render(&scope(), &[])).err(),
            Template::compile(&text_of).and_then(|t| t.render_url(&scope(), &[])).err(),
        ];
        for d in errors.iter().flatten() {
            prop_assert!(low <= d.span.start && d.span.end <= high, "{text:?}: {d:?}");
            let (start, end) = (d.span.start - 100, d.span.end - 100);
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{text:?}: {d:?}");
            prop_assert!(!d.message.is_empty());
        }
        if let Ok(template) = Template::compile(&text_of) {
            template.show(&scope(), &[]);
            for reference in template.references() {
                prop_assert!(reference.span.start >= low && reference.span.end <= high);
            }
        }
        let address = plain(&format!("https://h/{text}"));
        if let Ok(template) = Template::compile_url(&address) {
            template.show(&scope(), &[]);
            let _ = template.render_url(&scope(), &[]);
        }
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        let _ = Expr::compile(&plain(&text));
        let _ = Template::compile(&plain(&text)).map(|t| t.show(&scope(), &[]));
    }

    /// Where types are right, minijinja itself gives the same.
    #[test]
    fn agrees_with_minijinja(text in sums()) {
        let env = minijinja::Environment::new();
        let theirs = env.compile_expression(&format!("({text})|tojson")).and_then(|e| e.eval(()));
        let ours = Expr::compile(&plain(&text)).and_then(|e| e.eval(&Scope::new(), &[]));
        // They write `1.0` and `True` where we write `1` and `true`; texts made of those differ.
        let texts = text.contains('~') || text.contains("string");
        // To them `true in [1]` holds.
        let booleans = ["true", "=", "<", ">", "odd", "not", "and", "or"];
        let written = ["true", ".5", "/", "**", "==", "!=", "<", ">", "in ", "odd", "and", "or", "not", "["];
        if let (Ok(theirs), Ok(Eval::Value(ours))) = (theirs, ours)
            && !(text.contains(" in ") && booleans.iter().any(|sign| text.contains(sign)))
            && !(texts && written.iter().any(|sign| text.contains(sign)))
        {
            let theirs = json(theirs.as_str().unwrap());
            prop_assert!(like(&theirs, &ours), "{}: {:?} and {:?}", text, theirs, ours);
        }
    }

    #[test]
    fn no_value_leaves_its_segment(value in any::<String>()) {
        let mut scope = Scope::new();
        scope.know("x", Value::text(&value));
        let template = Template::compile_url(&plain("https://h.example/a/{{ x }}/b?c={{ x }}")).unwrap();
        if let Ok(Rendered::Text(url)) = template.render_url(&scope, &[]) {
            let url = reqwest::Url::parse(&url).unwrap();
            prop_assert_eq!(url.host_str(), Some("h.example"));
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            prop_assert_eq!((segments[0], segments[2]), ("a", "b"));
            let pairs: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(pairs.len(), 1);
            prop_assert_eq!(&*pairs[0].1, value.as_str());
        }
    }
}
