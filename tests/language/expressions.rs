//! Expressions: input → output.
#![allow(clippy::result_large_err, reason = "a diagnostic is the product here, not the exception")]

use runsheet::{
    syntax::{Eval, Expr, FunctionKind, ScalarStyle, Text, Truth, functions},
    text::{Diagnostic, Span, TextMap},
    value::{Scope, Slot, Value, parse_duration},
};

/// A plain scalar that begins at offset 100 of its file.
pub fn plain(text: &str) -> Text {
    let span = Span::new(100, 100 + text.len());
    Text { text: text.into(), span, map: TextMap::direct(span), style: ScalarStyle::Plain, cut_by_comment: None }
}

pub fn json(text: &str) -> Value {
    Value::from_json(&serde_json::from_str(text).unwrap())
}

pub fn scope() -> Scope {
    let mut scope = Scope::new();
    scope.know("version", Value::text("v3.20"));
    scope.know("count", Value::Int(3));
    scope.know("text_count", Value::text("3"));
    scope.know("ratio", Value::Float(0.5));
    scope.know("yes", Value::Bool(true));
    scope.know("nothing", Value::None);
    scope.know("hosts", json(r#"["a1", "b2", "c3"]"#));
    scope.know("info", json(r#"{"name": "x", "deep": {"list": [{"id": 7}]}, "status": 200}"#));
    scope.know("grace", Value::Duration(parse_duration("1m30s").unwrap()));
    scope.set("skipped", Slot::Absent);
    scope.set("queue_url", Slot::Unknown { origin: "admin.queue_url".into() });
    scope.set("token", Slot::Hidden);
    scope.set_step("build-done", Slot::Known(Value::text("succeeded")));
    scope.set_step("later", Slot::Unknown { origin: "later".into() });
    scope.set_step("callee", Slot::Known(json(r#"{"status": "succeeded", "outputs": {"url": "u"}}"#)));
    scope
}

fn result() -> Value {
    json(
        r#"{"exit": 0, "stdout": "a\nb", "json": {"building": false, "result": "SUCCESS", "count": "12"}, "headers": {"content-type": "text/plain", "Location": "/q/7/"}}"#,
    )
}

pub fn eval(text: &str) -> Result<Eval, Diagnostic> {
    Expr::compile(&plain(text))?.eval(&scope(), &[("result", result()), ("value", Value::Float(2.5))])
}

pub fn shown(text: &str) -> String {
    match eval(text) {
        Ok(Eval::Value(value)) => value.to_string(),
        Ok(Eval::Deferred(names)) => format!("waits on {}", names.join(", ")),
        Err(d) => {
            let place = &text[d.span.start - 100..d.span.end - 100];
            format!("{}: {} at «{place}»{}", d.code, d.message, d.hint.map_or_else(String::new, |h| format!(" ({h})")))
        }
    }
}

#[track_caller]
pub fn table(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(text, wanted)| shown(text) != *wanted)
        .map(|(text, wanted)| format!("{text}\n   gives  {}\n   wanted {wanted}", shown(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_and_operators() {
    table(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("7 / 2", "3.5"),
        ("2 ** 10", "1024"),
        ("2 ** -1", "0.5"),
        ("-2 ** 2", "4"),
        ("0x1f", "31"),
        ("1_000", "1000"),
        ("'a' ~ 1 ~ true", "a1true"),
        ("'a' + 'b'", "ab"),
        ("'ab' * 3", "ababab"),
        ("[1] + [2]", "[1,2]"),
        ("{'a': 1, 2: 'b'}", r#"{"a":1,"2":"b"}"#),
        ("('x', 1)", r#"["x",1]"#),
        ("count", "3"),
        ("-count", "-3"),
        ("info.deep.list[0].id", "7"),
        ("info['deep']['list'].0.id", "7"),
        ("hosts[-1]", "c3"),
        ("hosts[1:]", r#"["b2","c3"]"#),
        ("hosts[::-1]", r#"["c3","b2","a1"]"#),
        ("version[1:]", "3.20"),
        ("version[0]", "v"),
        ("'yes' if count > 2 else 'no'", "yes"),
        ("1 if false else 2 if false else 3", "3"),
        ("grace", "1m30s"),
        ("grace|seconds", "90"),
        ("grace + grace", "3m"),
        ("grace * 2", "3m"),
        ("grace / grace", "1"),
        ("value > 2 * 1.0", "true"),
        ("result.headers['Content-Type']", "text/plain"),
        ("result.headers.location", "/q/7/"),
        ("'LOCATION' in result.headers", "true"),
        ("'nope' not in result.headers", "true"),
        ("steps['build-done'].status", "succeeded"),
        ("steps[\"callee\"].outputs.url", "u"),
    ]);
}

#[test]
fn conditions_and_comparisons() {
    table(&[
        ("1 < 2", "true"),
        ("1 < 2 < 3", "true"),
        ("1 < 3 < 2", "false"),
        ("1 == 1.0", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("grace > grace", "false"),
        ("none == 1", "false"),
        ("nothing == none", "true"),
        ("'a' == none", "false"),
        ("[1, 'a'] == [1, 2]", "false"),
        ("not result.json.building", "true"),
        ("result.json.result in ['FAILURE', 'ABORTED']", "false"),
        ("result.json.result not in ['FAILURE', 'ABORTED']", "true"),
        ("'b' in 'abc'", "true"),
        ("'name' in info", "true"),
        ("not 1 in [2] and true", "true"),
        ("true or skipped", "true"),
        ("false and skipped", "false"),
        ("count > 2 and version is startingwith('v') or false", "true"),
        ("version is matches('^v[0-9]+')", "true"),
        ("version is not matches('x')", "true"),
        ("count is divisibleby 3", "true"),
        ("count is number and version is string", "true"),
        ("skipped is defined", "false"),
        ("skipped is not defined", "true"),
        ("skipped|default(5)", "5"),
        ("skipped|d", ""),
        ("nothing|default(5)", "none"),
        ("nothing|default(5, true)", "5"),
        ("info.nope is defined", "false"),
        ("info.nope|default('x')", "x"),
        ("hosts[9]|default('x')", "x"),
        ("nothing.x is defined", "false"),
    ]);
}

#[test]
fn unknown_names_are_waited_for_whatever_surrounds_them() {
    table(&[
        ("queue_url", "waits on admin.queue_url"),
        ("queue_url|default('x')", "waits on admin.queue_url"),
        ("queue_url is defined", "waits on admin.queue_url"),
        ("true or queue_url == 'x'", "waits on admin.queue_url"),
        ("1 if true else queue_url", "waits on admin.queue_url"),
        ("token ~ queue_url ~ token", "waits on token, admin.queue_url"),
        ("steps.later.status == 'failed'", "waits on later"),
        ("'x'|replace('x', token)", "waits on token"),
    ]);
}

#[test]
fn mistakes_at_run_time_stand_at_their_place() {
    table(&[
        (
            "1 + skipped",
            "no-value: `skipped` has no value: the step that sets it was skipped or failed at «skipped» (ask `skipped is defined` first, or write `skipped|default(…)`)",
        ),
        (
            "skipped.x is defined",
            "no-value: `skipped` has no value: the step that sets it was skipped or failed at «skipped» (ask `skipped is defined` first, or write `skipped|default(…)`)",
        ),
        ("result.json.biulding", "no-value: `result.json` has no `biulding` at «biulding» (did you mean `building`?)"),
        ("info.deep['zzz'] == 1", "no-value: `info.deep` has no `zzz` at «'zzz'» (it has list)"),
        ("version.x", "no-value: `version` is a string and has no `x` at «x»"),
        ("nothing.x", "no-value: `nothing` is none and has no `x` at «x»"),
        ("hosts[3]", "no-value: there is no item 3: there are 3 items at «3»"),
        ("conut > 1", "unknown-name: there is no `conut` here at «conut» (did you mean `count`?)"),
        (
            "steps['bild-done'].status",
            "unknown-name: there is no step `bild-done` here at «steps['bild-done']» (did you mean `build-done`?)",
        ),
        (
            "'5' == 5",
            "type-mismatch: a string is compared with a number at «'5' == 5» (convert with `|int`: `'5'|int`)",
        ),
        (
            "count == text_count",
            "type-mismatch: a number is compared with a string at «count == text_count» (convert with `|int`: `text_count|int`)",
        ),
        (
            "text_count > 2",
            "type-mismatch: `>` needs two numbers, this is a string at «text_count» (convert with `|int`: `text_count|int`)",
        ),
        (
            "2 > none",
            "type-mismatch: `>` needs two numbers, this is none at «none» (give it a value: `none|default(0, true)`)",
        ),
        (
            "hosts > 2",
            "type-mismatch: `>` needs two numbers, this is a list at «hosts» (compare its length: `hosts|length`)",
        ),
        (
            "grace > 60",
            "type-mismatch: `>` needs two numbers or two durations at «grace > 60» (convert with `|seconds`: `grace|seconds`)",
        ),
        (
            "'b' > 'a'",
            "type-mismatch: `>` needs two numbers, this is a string at «'b'» (convert with `|int`: `'b'|int`)",
        ),
        (
            "version and true",
            "not-a-condition: each side of `and` must be true or false, this is a string at «version» (ask something about it: `version == \"…\"` or `version|length > 0`)",
        ),
        (
            "not hosts",
            "not-a-condition: what follows `not` must be true or false, this is a list at «hosts» (ask something about it: `hosts|length > 0`)",
        ),
        (
            "1 if count else 2",
            "not-a-condition: what follows `if` must be true or false, this is a number at «count» (ask something about it: `count != 0`)",
        ),
        ("1 in 5", "type-mismatch: `in` needs a list, a map or a string, this is a number at «5»"),
        (
            "1 in version",
            "type-mismatch: only a string can be in a string, this is a number at «1» (convert with `|string`: `1|string`)",
        ),
        ("1 // 0", "bad-arithmetic: division by zero at «0»"),
        ("9223372036854775807 + 1", "bad-arithmetic: the result is too large a number at «9223372036854775807 + 1»"),
        ("1e308 * 10", "bad-arithmetic: the result is too large a number at «1e308 * 10»"),
        ("version|int", "bad-value: `v3.20` is not a whole number at «version»"),
        ("'1.5'|int", "bad-value: `1.5` is not a whole number at «'1.5'» (read it as a number: `'1.5'|float`)"),
        (
            "count|upper",
            "type-mismatch: the filter `upper` needs a string, this is a number at «count» (convert with `|string`: `count|string`)",
        ),
        ("'a' ~ nothing", "no-value: `nothing` is none at «nothing» (give it a text: `nothing|default(\"…\", true)`)"),
        (
            "'a' + 1",
            "type-mismatch: `+` does not work on a string and a number at «'a' + 1» (join texts with `~`: `'a' ~ 1`)",
        ),
        ("true + 1", "type-mismatch: `+` does not work on a boolean and a number at «true + 1»"),
        ("[1, 'a']|sort", "type-mismatch: a number and a string have no order at «[1, 'a']»"),
        (
            "(1 if false)",
            "no-value: this has no value: its condition does not hold and it has no `else` at «(1 if false)»",
        ),
        (
            "[]|first",
            "no-value: the filter `first` has nothing to give, this is empty at «[]» (say what to take then: `[]|first|default(…)`)",
        ),
        ("'{'|fromjson", "bad-value: `{` is no JSON: EOF while parsing an object at line 1 column 1 at «'{'»"),
    ]);
}

#[test]
fn mistakes_at_compile_time_stand_at_their_place() {
    table(&[
        ("a && b", "bad-expression: unexpected `&` at «&» (write `and`)"),
        ("a || b", "bad-expression: unexpected `|`, expected a filter's name at «|» (write `or`)"),
        ("!yes", "bad-expression: unexpected `!` at «!» (write `not`)"),
        (
            "count = 3",
            "bad-expression: unexpected `=`, expected an operator or the end at «=» (comparing is written `==`)",
        ),
        ("count === 3", "bad-expression: unexpected `=`, expected a value at «=» (comparing is written `==`)"),
        ("x == null", "bad-expression: `null` is no name at «null» (write `none`)"),
        ("x == TRUE", "bad-expression: `TRUE` is no name at «TRUE» (write `true`)"),
        ("{{ count }}", "bad-expression: this field is already an expression at «{{» (remove the braces: `count`)"),
        (
            "{{ a }}-{{ b }}",
            "bad-expression: this field is already an expression at «{{» (remove the braces; join texts with `~`)",
        ),
        (
            "count }}",
            "bad-expression: unexpected end of variable block, expected an operator or the end at «}}» (this field is already an expression; remove the braces)",
        ),
        ("a ? b : c", "bad-expression: unexpected `?` at «?» (write `a if condition else b`)"),
        ("$count > 1", "bad-expression: unexpected `$` at «$» (names stand without `$` here)"),
        (
            "'abc",
            "bad-expression: this text has no closing quote at «'abc» (write the same quote at its end; inside it a backslash stands before one)",
        ),
        ("(1 + 2", "bad-expression: it ends where `,` or `)` should follow at «»"),
        ("", "bad-expression: an expression is missing here at «»"),
        ("1 +", "bad-expression: it ends where a value should follow at «»"),
        ("count|uper", "unknown-function: there is no filter `uper` at «uper» (did you mean `upper`?)"),
        ("count is a_match('x')", "unknown-function: there is no test `a_match` at «a_match»"),
        ("version is match('x')", "unknown-function: there is no test `match` at «match» (did you mean `matches`?)"),
        ("version is upcase", "unknown-function: there is no test `upcase` at «upcase»"),
        (
            "length(hosts)",
            "unknown-function: there is no function `length` at «length» (it is a filter: `value|length`)",
        ),
        (
            "hosts|matches('x')",
            "unknown-function: there is no filter `matches` at «matches» (it is a test: `value is matches`)",
        ),
        ("version is matches('(')", "bad-expression: this is no regular expression: unclosed group at «'('»"),
        (
            "'x'|replace('a')",
            "bad-expression: the filter `replace` needs `new` at «replace» (it is used as `replace(old, new, count=none)`)",
        ),
        ("'x'|upper(1)", "bad-expression: this argument is one too many at «1» (it is used as `upper`)"),
        ("'x'|trim(char='x')", "bad-expression: `trim` takes no `char` at «char» (it is used as `trim(chars=none)`)"),
        ("hosts|map('uper')", "unknown-function: there is no filter `uper` at «'uper'» (did you mean `upper`?)"),
        ("version.strip()", "bad-expression: values have no methods at «strip» (use the filter: `version|trim`)"),
        (
            "version.startswith('v')",
            "bad-expression: values have no methods at «startswith» (write `version is startingwith(…)`)",
        ),
        ("steps.x", "unknown-name: there is no step `x` here at «steps.x»"),
        ("steps", "bad-expression: `steps` needs the id of a step at «steps» (write `steps[\"the-id\"].status`)"),
        (
            "steps[version].status",
            "bad-expression: the id of a step must be written out at «version» (write `steps[\"the-id\"]`)",
        ),
        ("99999999999999999999", "bad-expression: this number is too large at «99999999999999999999»"),
        ("a b", "bad-expression: unexpected identifier, expected an operator or the end at «b»"),
    ]);
}

#[test]
fn conditions() {
    let truth = |text: &str| Expr::compile(&plain(text)).unwrap().eval_bool(&scope(), &[]);
    assert_eq!(truth("count > 2"), Ok(Truth::True));
    assert_eq!(truth("count > 3"), Ok(Truth::False));
    assert_eq!(truth("queue_url == 'x'"), Ok(Truth::Deferred(vec!["admin.queue_url".into()])));
    let error = truth("version").unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        ("not-a-condition", "a condition must be true or false, this is a string")
    );
    assert!(error.hint.is_some());
}

#[test]
fn references() {
    let text =
        "a.b['c'][0].d + x|default(steps['s-1'].outputs.u) + steps.t.status|length + (result.json if false else z[i])";
    let expr = Expr::compile(&plain(text)).unwrap();
    let found: Vec<String> = expr
        .references()
        .iter()
        .map(|r| {
            let place = &text[r.span.start - 100..r.span.end - 100];
            format!("{}/{}/{}/{place}", r.name, r.step.as_deref().unwrap_or("-"), r.path.join("."))
        })
        .collect();
    assert_eq!(
        found,
        [
            "a/-/b.c/a",
            "x/-//x",
            "steps/s-1/outputs.u/steps['s-1']",
            "steps/t/status/steps.t",
            "result/-/json/result",
            "z/-//z",
            "i/-//i"
        ]
    );
}

#[test]
fn every_example_of_the_reference_page_is_true() {
    let mut names = std::collections::HashSet::new();
    let mut wrong = Vec::new();
    for doc in functions() {
        assert!(names.insert((doc.kind, doc.name)), "{} is listed twice", doc.name);
        assert!(doc.signature.starts_with(doc.name), "{}", doc.signature);
        assert!(!doc.summary.is_empty());
        assert_eq!(shown(doc.example), doc.gives, "{}", doc.example);
        match eval(doc.wrong) {
            Err(d) if said(&d) == doc.says => {}
            Err(d) => wrong.push(format!("{}\n  is {}\n  not {}", doc.wrong, said(&d), doc.says)),
            other => wrong.push(format!("{}\n  is not refused: {other:?}", doc.wrong)),
        }
        let word = match doc.kind {
            FunctionKind::Filter => format!("|{}", doc.name),
            FunctionKind::Test => format!("is {}", doc.name),
            FunctionKind::Function => format!("{}(", doc.name),
        };
        assert!(doc.example.contains(&word) || doc.name == "eq" || doc.name == "false", "{}", doc.example);
        assert!(doc.wrong.contains(doc.name) || doc.name == "select", "{}", doc.wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong and what to do about it, as the reference page has it.
fn said(d: &Diagnostic) -> String {
    match &d.hint {
        Some(hint) => format!("{} ({hint})", d.message),
        None => d.message.clone(),
    }
}

#[test]
fn filters_in_depth() {
    table(&[
        ("'a,b,,c'|split(',')", r#"["a","b","","c"]"#),
        ("' a  b c '|split", r#"["a","b","c"]"#),
        ("'a b c'|split(none, 1)", r#"["a","b c"]"#),
        ("hosts|map('upper')|join('-')", "A1-B2-C3"),
        ("hosts|map('replace', '1', 'x')|list", r#"["ax","b2","c3"]"#),
        ("info.deep.list|map(attribute='id')|sum", "7"),
        ("[{'a': {'b': 1}}]|map(attribute='a.b')", "[1]"),
        ("[{}]|map(attribute='a', default=0)", "[0]"),
        ("hosts|select('startingwith', 'b')|first", "b2"),
        ("hosts|reject('in', ['a1'])", r#"["b2","c3"]"#),
        ("[{'a': 1}, {}]|selectattr('a', 'defined')", r#"[{"a":1}]"#),
        ("[3, 1, 2]|sort(reverse=true)", "[3,2,1]"),
        ("['b', 'A', 'c']|sort", r#"["A","b","c"]"#),
        ("['b', 'A', 'c']|sort(case_sensitive=true)", r#"["A","b","c"]"#),
        ("[1, '1', 1.0]|unique", r#"[1,"1"]"#),
        ("'a\nb\r\nc\n'|lines|length", "3"),
        ("'{\"a\": 1}'|fromjson == {'a': 1}", "true"),
        ("'x=12;y=3'|regex_find('y=([0-9]+)')|int + 1", "4"),
        ("'abc'|regex_find('z') is none", "true"),
        ("'a1b22'|regex_replace('([0-9]+)', '<$1>')", "a<1>b<22>"),
        ("'%5.2f|%-4s|%04d|%x|%%'|format(3.14159, 'ab', 42, 255)", " 3.14|ab  |0042|ff|%"),
        ("'x y/z'|urlencode", "x%20y/z"),
        ("{'a': 'b c', 'd': 1}|urlencode", "a=b%20c&d=1"),
        ("'plain-1.2'|shell_quote", "plain-1.2"),
        ("''|shell_quote", "''"),
        ("'a; rm -rf'|shell_quote", "'a; rm -rf'"),
        ("'ünï'|length", "3"),
        ("'true'|bool and true", "true"),
        ("'x'|int(0)", "0"),
        ("3.9|int", "3"),
        ("range(1, 10, 4)", "[1,5,9]"),
        ("range(3, 0, -1)", "[3,2,1]"),
        ("grace|string ~ '!'", "1m30s!"),
        ("grace|tojson", "\"1m30s\""),
        ("'../x'|path", "not-an-url: the path `../x` holds `..`, which would leave its place at «'../x'»"),
        ("'/queue/item 7/'|path", "/queue/item%207/"),
    ]);
}

#[test]
fn nothing_grows_without_bound() {
    for text in [
        "'x' * 99999999999",
        "'x' * 20000000",
        "[1] * 99999999",
        "range(10000000)",
        "range(100000)|map('string')|join('x' * 1000000)",
        "('x' * 1000000)|replace('x', 'y' * 1000000)",
        "('a\n' * 1000000)|indent(1000)",
        "('x' * 16000000) ~ ('x' * 16000000)",
        "('x' * 10000000)|urlencode ~ ('%' * 16000000)|urlencode",
        "range(100000)|map('replace', '1', 'x' * 100000)|length",
    ] {
        let error = eval(text).unwrap_err();
        assert!(matches!(error.code, "too-large" | "type-mismatch"), "{text}: {error:?}");
    }
    // The format caps widths, a negative count is nothing at all.
    table(&[
        ("'x' * -1", ""),
        ("'%99999s'|format('x')", "bad-value: a width may be at most 1000, a precision at most 100 at «'%99999s'»"),
    ]);
}

#[test]
fn depth_is_bounded_everywhere() {
    let n = 10_000;
    for text in [
        "(".repeat(n) + "1" + &")".repeat(n),
        "[".repeat(n) + &"]".repeat(n),
        "{'a':".repeat(n) + "1" + &"}".repeat(n),
        "not ".repeat(n) + "true",
        "- ".repeat(n) + "1",
        "1".to_owned() + &" + 1".repeat(n),
        "1".to_owned() + &" ~ 1".repeat(n),
        "1".to_owned() + &"|string".repeat(n),
        "1".to_owned() + &" is defined".repeat(n),
        "a".to_owned() + &".a".repeat(n),
        "a".to_owned() + &"[0]".repeat(n),
        "1 if true else ".repeat(n) + "1",
        "1".to_owned() + &" if true".repeat(n),
        "true".to_owned() + &" and true".repeat(n),
        "range(".repeat(n) + "1" + &")".repeat(n),
        "1|default(".repeat(n) + "1" + &")".repeat(n),
    ] {
        let error = Expr::compile(&plain(&text)).unwrap_err();
        assert!(error.message.contains("nested too deeply"), "{}: {}", &text[..20], error.message);
    }
    // A chain of comparisons and a long list are wide, not deep.
    assert!(eval(&("1".to_owned() + &" <= 1".repeat(n))).is_ok());
    assert!(eval(&format!("[{}]", "1, ".repeat(n))).is_ok());
    // What is just allowed can be evaluated.
    for text in [
        "(".repeat(100) + "1" + &")".repeat(100),
        "not ".repeat(100) + "true",
        "0".to_owned() + &" + 1".repeat(118),
        "[".repeat(100) + &"]".repeat(100),
        "1|default(".repeat(100) + "1" + &")".repeat(100),
        "1 if true else ".repeat(100) + "1",
    ] {
        assert!(eval(&text).is_ok(), "{}: {:?}", &text[..20], eval(&text));
    }
}

#[test]
fn places_in_quoted_scalars() {
    // key: "a\"b" ~ … : the escape takes two characters in the file.
    let text = Text {
        text: "'\"' ~ nope".into(),
        span: Span::new(10, 23),
        map: TextMap::new(vec![(0, 11), (2, 14)], 22),
        style: ScalarStyle::DoubleQuoted,
        cut_by_comment: None,
    };
    let error = Expr::compile(&text).unwrap().eval(&Scope::new(), &[]).unwrap_err();
    assert_eq!(error.span, Span::new(18, 22));
}

#[test]
fn many_expressions_compile() {
    for n in 0..10_000 {
        Expr::compile(&plain(&format!("result.json.count|int > {n} and version is startingwith('v')"))).unwrap();
    }
}
