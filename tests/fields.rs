//! Mappings in, diagnostics out: the cursor that refuses leftovers, and the readers of typed values.

use std::time::Duration;

use runsheet::{
    syntax::{Fields, Given, Problems, yaml::parse},
    text::{DrawStyle, Source, draw_all},
};

/// Lets `read` loose on a document's mapping and shows every problem as `line:column code: message | hint`.
fn said(text: &str, read: impl FnOnce(&mut Fields)) -> Vec<String> {
    let source = Source::new("t.yaml", text);
    let node = parse(&source).expect("valid YAML");
    let problems = Problems::new(&source);
    if let Some(mut fields) = Fields::of(&node, "a step", &problems) {
        read(&mut fields);
        fields.finish();
    }
    let problems = problems.into_vec();
    draw_all(&source, &problems, DrawStyle::default());
    problems
        .iter()
        .map(|problem| {
            let at = source.position(problem.span.start);
            let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
            format!("{}:{} {}: {}{hint}", at.line, at.column, problem.code, problem.message)
        })
        .collect()
}

/// What one reader says about the value of `f`.
fn about(value: &str, read: impl FnOnce(&Given) -> bool) -> String {
    let mut read_well = false;
    let said = said(&format!("f: {value}"), |fields| {
        if let Some(given) = fields.get("f") {
            read_well = read(&given);
        }
    });
    assert_eq!(read_well, said.is_empty(), "nothing is returned where something is reported: {value}");
    said.join("\n")
}

#[test]
fn leftovers_are_refused_and_suggested() {
    let text = "id: a\ntilte: x\nfrobnicate: y\nHTTP: z\n";
    let got = said(text, |fields| {
        fields.require("id");
        fields.require("title");
        fields.take("shell");
        fields.know(&["http"]);
    });
    assert_eq!(
        got,
        [
            "2:1 unknown-key: unknown field `tilte` in a step | did you mean `title`?",
            "3:1 unknown-key: unknown field `frobnicate` in a step | a step has `id`, `title`, `shell` and `http`",
            "4:1 unknown-key: unknown field `HTTP` in a step | did you mean `http`?",
        ]
    );
}

#[test]
fn a_missing_key_is_reported_at_the_start_of_its_mapping() {
    let read = |fields: &mut Fields| {
        fields.take("b");
        assert!(fields.require("id").is_none());
    };
    assert_eq!(said("# c\n\nb: 1\n", read), ["3:1 missing-key: missing `id` in a step"]);
    // Also if the cursor is dropped before its end.
    let source = Source::new("t.yaml", "b: 1");
    let node = parse(&source).expect("valid");
    let problems = Problems::new(&source);
    let mut fields = Fields::of(&node, "a step", &problems).expect("a mapping");
    assert!(fields.need("id").is_none());
    drop(fields);
    assert!(problems.has_errors());
}

#[test]
fn what_is_known_but_not_taken_is_still_refused() {
    let got = said("shell: a\nhttp: b\n", |fields| {
        fields.know(&["shell", "http"]);
        assert!(fields.has("http"));
        fields.take("shell");
        assert_eq!(fields.remaining().count(), 1);
        assert!(fields.key_span("http").is_some());
    });
    assert_eq!(got, ["2:1 unknown-key: `http` does not belong in a step like this one"]);
}

#[test]
fn later_fields_are_named() {
    let got = said("foreach: x\n", |fields| {
        fields.not_yet("foreach", "`foreach`");
        fields.not_yet("absent", "`absent`");
    });
    assert_eq!(got, ["1:1 not-supported-yet: `foreach` is not supported yet"]);
}

#[test]
fn not_a_mapping() {
    assert_eq!(said("- a", |_| ()), ["1:1 wrong-type: a step must be a mapping, found a list"]);
}

#[test]
fn one_problem_of_an_anchored_node_is_told_once() {
    let source = Source::new("t.yaml", "a: &a {x: 1}\nb: *a\n");
    let node = parse(&source).expect("valid");
    let problems = Problems::new(&source);
    let mut fields = Fields::of(&node, "a runbook", &problems).expect("a mapping");
    for key in ["a", "b"] {
        fields.get(key).and_then(|given| given.fields("a step")).expect("a mapping").finish();
    }
    fields.finish();
    assert_eq!(problems.into_vec().len(), 1);
}

#[test]
fn readers_say_what_they_expected() {
    let words = [("ask", 1), ("stop", 2), ("continue", 3)];
    let mut wrong = Vec::new();
    for (got, said) in [
        (
            about("3.10", |g| g.text().is_some()),
            "1:4 wrong-type: `f` must be a text, found a number | quote it: \"3.10\"",
        ),
        (
            about("true", |g| g.text().is_some()),
            "1:4 wrong-type: `f` must be a text, found a boolean | quote it: \"true\"",
        ),
        (about("[a]", |g| g.text().is_some()), "1:4 wrong-type: `f` must be a text, found a list"),
        (about("", |g| g.text().is_some()), "1:3 wrong-type: `f` must be a text, found nothing"),
        (about("yes", |g| g.text().is_some()), ""),
        (about("3.10", |g| g.text_or_number().is_some()), ""),
        (
            about("{a: b}", |g| g.text_or_number().is_some()),
            "1:4 wrong-type: `f` must be a text or a number, found a mapping",
        ),
        (about("true", |g| g.expression().is_some()), ""),
        (about("\" \"", |g| g.expression().is_some()), "1:4 wrong-value: `f` is blank"),
        (about("|\n  a\n  b\n", |g| g.line().is_some()), "2:3 wrong-value: `f` must be one line"),
        (
            about("yes", |g| g.boolean().is_some()),
            "1:4 wrong-type: `f` must be true or false, found a text | write true, without quotes",
        ),
        (
            about("\"false\"", |g| g.boolean().is_some()),
            "1:4 wrong-type: `f` must be true or false, found a text | write false, without quotes",
        ),
        (about("1", |g| g.boolean().is_some()), "1:4 wrong-type: `f` must be true or false, found a number"),
        (about("3", |g| g.integer(1..=10).is_some()), ""),
        (
            about("0", |g| g.integer(1..=10).is_some()),
            "1:4 wrong-value: `f` must be a whole number from 1 to 10, found 0",
        ),
        (
            about("0", |g| g.integer(1..=i64::MAX).is_some()),
            "1:4 wrong-value: `f` must be a whole number of at least 1, found 0",
        ),
        (
            about("2.5", |g| g.integer(1..=10).is_some()),
            "1:4 wrong-value: `f` must be a whole number from 1 to 10, found 2.5",
        ),
        (
            about("'3'", |g| g.integer(1..=10).is_some()),
            "1:4 wrong-type: `f` must be a whole number, found a text | write 3, without quotes",
        ),
        (
            about("[a]", |g| g.integer(1..=10).is_some()),
            "1:4 wrong-type: `f` must be a whole number from 1 to 10, found a list",
        ),
        (about("1h30m", |g| g.duration().is_some()), ""),
        (
            about("[]", |g| g.duration().is_some()),
            "1:4 wrong-type: `f` must be a duration, found a list | write one such as 30s, 5m or 1h30m",
        ),
        (
            about("90", |g| g.duration().is_some()),
            "1:4 wrong-value: `f` must be a duration: 90 has no unit | write 90s for seconds or 90m for minutes",
        ),
        (
            about("-5s", |g| g.duration().is_some()),
            "1:4 wrong-value: `f` must be a duration: a duration cannot be negative | write 5s",
        ),
        (
            about("5M", |g| g.duration().is_some()),
            "1:4 wrong-value: `f` must be a duration: `5M` is no duration | write one such as 500ms, 30s, 5m, 2h, 7d or 1h30m",
        ),
        (about("ask", |g| g.one_of(&words).is_some()), ""),
        (
            about("contineu", |g| g.one_of(&words).is_some()),
            "1:4 wrong-value: `f` cannot be `contineu` | did you mean `continue`?",
        ),
        (
            about("retry", |g| g.one_of(&words).is_some()),
            "1:4 wrong-value: `f` cannot be `retry` | use one of `ask`, `stop`, `continue`",
        ),
        (
            about("[]", |g| g.one_of(&words).is_some()),
            "1:4 wrong-type: `f` must be one of `ask`, `stop`, `continue`, found a list",
        ),
        (about("a", |g| g.list().is_some()), "1:4 wrong-type: `f` must be a list, found a text | write [a]"),
        (about("", |g| g.one_or_many().is_some()), "1:3 wrong-type: `f` must be one value or a list, found nothing"),
        (
            about("[a, 5]", |g| g.list().is_some_and(|list| list.iter().all(|item| item.text().is_some()))),
            "1:8 wrong-type: an entry of `f` must be a text, found a number | quote it: \"5\"",
        ),
        (
            about("a", |g| g.one_or_many().is_some_and(|list| list[0].duration().is_some())),
            "1:4 wrong-value: `f` must be a duration: `a` is no duration | write one such as 500ms, 30s, 5m, 2h, 7d or 1h30m",
        ),
        (
            about("{A: [b]}", |g| g.entries().is_some_and(|entries| entries[0].1.text().is_some())),
            "1:8 wrong-type: `A` in `f` must be a text, found a list",
        ),
        (about("5", |g| g.entries().is_some()), "1:4 wrong-type: `f` must be a mapping, found a number"),
        (about("5", |g| g.fields("a retry").is_some()), "1:4 wrong-type: `f` must be a mapping, found a number"),
        (
            about("{x: 1}", |g| g.fields("a retry").map(Fields::finish).is_none()),
            "1:5 unknown-key: unknown field `x` in a retry | a retry has no fields",
        ),
        (
            about("fix  #12 \"now\"", |g| g.prose().is_some()),
            "1:9 comment-cuts-text: YAML cut the text here: ` #` begins a comment | put the comment on a line of its own, or if it is text, quote it: 'fix  #12 \"now\"'",
        ),
        (
            about("a # b", |g| g.expression().is_some()),
            "1:6 comment-cuts-text: YAML cut the text here: ` #` begins a comment | put the comment on a line of its own, or if it is text, quote it: \"a # b\"",
        ),
        (about("a # b", |g| g.text().is_some()), ""),
        (about("\"a\" # b", |g| g.prose().is_some()), ""),
    ] {
        if got != said {
            wrong.push(format!(" is: {got}\nnot: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn readers_return_what_was_written() {
    let source = Source::new("t.yaml", "t: 5m\nn: 3.10\nl: one\nw: stop\ne:\n");
    let node = parse(&source).expect("valid");
    let problems = Problems::new(&source);
    let mut fields = Fields::of(&node, "a step", &problems).expect("a mapping");
    assert_eq!(fields.get("t").and_then(|given| given.duration()).map(|d| d.value), Some(Duration::from_secs(300)));
    assert_eq!(fields.get("n").and_then(|given| given.text_or_number()).map(|t| t.text.as_str()), Some("3.10"));
    assert_eq!(fields.get("l").and_then(|given| given.one_or_many()).map(|list| list.len()), Some(1));
    assert_eq!(fields.get("w").and_then(|given| given.one_of(&[("stop", 7)])), Some(7));
    assert!(fields.get("e").is_some_and(|given| given.is_empty()));
    fields.finish();
    assert!(problems.is_empty());
}
