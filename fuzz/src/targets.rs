//! What must hold for every input, whatever it is. Called by the fuzzer and, for the inputs that are kept, by the tests.
//!
//! Each function takes bytes, and panics where a promise is broken.
#![allow(clippy::result_large_err, reason = "a diagnostic is the product here, not the exception")]

use std::rc::Rc;

use indexmap::IndexMap;
use runsheet::{
    kinds,
    model::{Loaded, load as read},
    plan::{Plan, Sources, resolve},
    render,
    scenarios::Book,
    syntax::{Eval, Expr, Reference, Rendered, ScalarStyle, Template, Text, decode},
    text::{Diagnostic, DrawStyle, Source, Span, TextMap, draw_all},
    value::{Scope, Slot, Value, parse_duration, show_duration},
};

/// Bytes are a runbook or have mistakes, each with a place in the text that can be drawn; a runbook can be planned and shown.
pub fn load(bytes: &[u8]) {
    let source = match decode("fuzz.yaml", bytes.to_vec()) {
        Ok(source) => source,
        Err((source, problem)) => return placed(&source, &[problem]),
    };
    let Loaded { runbook, names, problems, .. } = read("fuzz", &source, kinds::registry());
    placed(&source, &problems);
    let errors = problems.iter().any(Diagnostic::is_error);
    assert_eq!(runbook.is_none(), errors, "a runbook or errors, never both");
    let Some(runbook) = runbook else { return };
    let shown = render::markdown(&runbook, &names);
    assert!(!shown.is_empty());
    let sources = Sources { flags: &IndexMap::new(), file: &IndexMap::new(), profile: None, variable: &|_| None };
    let (mut inputs, wrong) = resolve(&runbook, &sources);
    assert!(wrong.is_empty(), "nothing was given, so nothing given is wrong");
    inputs.fill_examples(&runbook.params);
    match Plan::make(Rc::new(runbook), Rc::new(names), inputs) {
        Ok(plan) => {
            let json = plan.record().to_string();
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "a plan is JSON");
        }
        Err(problems) => placed(&source, &problems),
    }
}

/// An expression compiles or says where it does not; evaluated, it gives a value, waits, or fails at a place of its own.
pub fn expression(bytes: &[u8]) {
    let Some((source, text)) = scalar(bytes) else { return };
    let expr = match Expr::compile(&text) {
        Ok(expr) => expr,
        Err(problem) => return placed(&source, &[problem]),
    };
    within(&source, expr.references());
    assert_eq!(expr.source(), source.text(), "what is compiled is what was written");
    for scope in scopes() {
        match expr.eval(&scope, &locals()) {
            Ok(Eval::Value(value)) => comes_back(&value),
            Ok(Eval::Deferred(names)) => assert!(!names.is_empty(), "it waits on something"),
            Err(problem) => placed(&source, &[problem]),
        }
        if let Err(problem) = expr.eval_bool(&scope, &locals()) {
            placed(&source, &[problem]);
        }
    }
}

/// As an expression; what is shown in a plan always is.
pub fn template(bytes: &[u8]) {
    let Some((source, text)) = scalar(bytes) else { return };
    for compile in [Template::compile, Template::compile_url] {
        let template = match compile(&text) {
            Ok(template) => template,
            Err(problem) => {
                placed(&source, &[problem]);
                continue;
            }
        };
        within(&source, template.references());
        for scope in scopes() {
            let shown = template.show(&scope, &locals());
            match template.render(&scope, &locals()) {
                // A plan shows exactly what a run does.
                Ok(Rendered::Text(text)) => {
                    let hidden = template.references().iter().any(|used| used.name == "token");
                    assert!(hidden || shown == text, "{text:?} is shown as {shown:?}");
                }
                Ok(Rendered::Deferred(names)) => assert!(!names.is_empty(), "it waits on something"),
                Err(problem) => placed(&source, &[problem]),
            }
            match template.eval(&scope, &locals()) {
                Ok(Eval::Value(value)) => comes_back(&value),
                Ok(Eval::Deferred(names)) => assert!(!names.is_empty(), "it waits on something"),
                Err(problem) => placed(&source, &[problem]),
            }
        }
    }
}

/// A declaration, a line of `=`, and a value: the value is refused with a reason, or it is the same value when it is given
/// again as it is shown, and when it is read from a record.
pub fn input(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (declared, given) = text.split_once("\n=\n").unwrap_or((text, ""));
    let declared: Vec<String> = declared.lines().map(|line| format!("    {line}\n")).collect();
    let yaml = format!("title: T\nparams:\n  p:\n{}steps:\n  - {{id: a, shell: 'true'}}\n", declared.concat());
    let source = Source::new("fuzz.yaml", yaml);
    let loaded = read("fuzz", &source, kinds::registry());
    placed(&source, &loaded.problems);
    let Some(param) = loaded.runbook.as_ref().and_then(|runbook| runbook.params.get("p")) else { return };
    let again = |value: &Value| {
        let written = param.written(value);
        assert_eq!(param.read_text(&written).as_ref(), Ok(value), "{written:?} is another value");
        let line = value.to_json().to_string();
        let json: serde_json::Value = serde_json::from_str(&line).expect("it was written as JSON");
        assert_eq!(param.shape.read_recorded(&json).as_ref(), Ok(value), "{line} is another value");
        assert_eq!(param.shape.check(value), Ok(()), "it was taken");
    };
    for value in [&param.default, &param.example].into_iter().flatten() {
        again(value);
    }
    match param.read_text(given) {
        Ok(value) => again(&value),
        Err(why) => assert!(!why.is_empty(), "it says why"),
    }
    assert!(!param.shape.describe().is_empty());
    if let Ok(duration) = parse_duration(given) {
        assert_eq!(parse_duration(&show_duration(duration)), Ok(duration), "{given:?}");
    }
}

/// Bytes are scenarios of a runbook or have mistakes, each with a place in the text that can be drawn.
pub fn scenarios(bytes: &[u8]) {
    thread_local! {
        static BOOK: Book = {
            let source = Source::new("book.yaml", include_str!("../../tests/scenarios/book.yaml").to_owned());
            let Loaded { runbook, names, .. } = read("book", &source, kinds::registry());
            Book { runbook: Rc::new(runbook.expect("the tests hold it to be well made")), names: Rc::new(names) }
        };
    }
    let source = match decode("fuzz.scenarios.yaml", bytes.to_vec()) {
        Ok(source) => source,
        Err((source, problem)) => return placed(&source, &[problem]),
    };
    let loaded = BOOK.with(|book| runsheet::scenarios::load(&source, book));
    placed(&source, &loaded.problems);
    let errors = loaded.problems.iter().any(Diagnostic::is_error);
    assert!(errors || !loaded.scenarios.is_empty(), "a file without scenarios is an error");
    for scenario in &loaded.scenarios {
        assert!(!scenario.name.value.trim().is_empty());
        inside(&source, scenario.name.span);
    }
}

/// What takes bytes, and panics where a promise is broken.
type Target = fn(&[u8]);

/// A target under the name of its folder of seeds.
pub const ALL: [(&str, Target); 5] =
    [("load", load), ("expression", expression), ("template", template), ("input", input), ("scenarios", scenarios)];

/// The text as a plain scalar that is the whole of a file.
fn scalar(bytes: &[u8]) -> Option<(Source, Text)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let span = Span::new(0, text.len());
    let map = TextMap::direct(span);
    let text = Text { text: text.to_owned(), span, map, style: ScalarStyle::Plain, cut_by_comment: None };
    Some((Source::new("fuzz.yaml", text.text.clone()), text))
}

/// Spans lie in the text, at its characters, and can be drawn.
fn placed(source: &Source, problems: &[Diagnostic]) {
    for problem in problems {
        inside(source, problem.span);
        for (span, _) in &problem.related {
            inside(source, *span);
        }
        assert!(!problem.message.is_empty(), "{problem:?} says nothing");
    }
    let drawn = draw_all(source, problems, DrawStyle { color: problems.len() % 2 == 1 });
    assert_eq!(drawn.is_empty(), problems.is_empty());
}

fn inside(source: &Source, span: Span) {
    let text = source.text();
    assert!(span.start <= span.end && span.end <= text.len(), "{span:?} of {} bytes", text.len());
    assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{span:?} cuts a character");
}

fn within(source: &Source, used: &[Reference]) {
    for one in used {
        inside(source, one.span);
        one.step_span.iter().chain(&one.path_spans).for_each(|span| inside(source, *span));
        assert_eq!(one.path.len(), one.path_spans.len());
    }
}

/// Recorded and read again it is the same; a duration is its text from then on.
fn comes_back(value: &Value) {
    let line = value.to_json().to_string();
    let json: serde_json::Value = serde_json::from_str(&line).expect("it was written as JSON");
    let back = Value::from_json(&json);
    assert_eq!(back.to_json().to_string(), line, "the same value twice");
}

fn locals() -> [(&'static str, Value); 2] {
    let result = r#"{"exit": 0, "stdout": "a\nb", "lines": ["a", "b"], "json": {"a": [1, 2.5, null, "é"], "n": "12"},
        "headers": {"Location": "/q/7/"}}"#;
    [("result", json(result)), ("value", Value::Float(2.5))]
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).map_or(Value::None, |json| Value::from_json(&json))
}

/// Everything known, everything unknown, and values that are unkind.
fn scopes() -> [Scope; 3] {
    let mut kind = Scope::new();
    kind.know("s", Value::text("v3.20"));
    kind.know("u", Value::text("https://ci.example/job/x/?a=b#c"));
    kind.know("n", Value::Int(3));
    kind.know("f", Value::Float(0.5));
    kind.know("b", Value::Bool(true));
    kind.know("l", json(r#"["a1", "b2", 3]"#));
    kind.know("m", json(r#"{"name": "x", "deep": {"list": [{"id": 7}]}}"#));
    kind.know("d", Value::Duration(std::time::Duration::from_secs(90)));
    kind.know("t", Value::text("2024-05-01T12:00:00Z"));
    kind.set("token", Slot::Hidden);
    kind.set_step("x", Slot::Known(Value::text("succeeded")));
    let mut open = Scope::new();
    let mut odd = Scope::new();
    for (at, name) in ["s", "u", "n", "f", "b", "l", "m", "d", "t"].into_iter().enumerate() {
        open.set(name, Slot::Unknown { origin: format!("step.{name}").into() });
        odd.set(name, if at % 3 == 0 { Slot::Absent } else { Slot::Known(Value::None) });
    }
    open.set_step("x", Slot::Unknown { origin: "x.status".into() });
    odd.know("s", Value::text("\u{202e}é\u{0}\r\n\u{1f469}\u{200d}\u{1f680}%{{ s }}"));
    odd.know("n", Value::Int(i64::MIN));
    odd.know("f", Value::Float(f64::MAX));
    odd.know("d", Value::Duration(std::time::Duration::ZERO));
    odd.know("l", json("[]"));
    odd.know("m", json(r#"{"": {"": []}, "é": -0.0, "a b": 9223372036854775808}"#));
    odd.set_step("x", Slot::Absent);
    [kind, open, odd]
}
