//! Filters, tests and functions in depth: input → output, where a mistake is drawn, what must never happen.

use proptest::prelude::*;
use runsheet::{
    syntax::{Eval, Expr},
    value::Value,
};

use super::expressions::{eval, plain, scope, shown};

fn table(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|(text, expected)| (text, shown(text), expected))
        .filter(|(_, is, expected)| is != *expected)
        .map(|(text, is, expected)| format!("{text}\n  is  {is}\n  not {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an expression gives with these names; the message where it is refused.
fn with(text: &str, names: &[(&str, Value)]) -> Result<Value, String> {
    let expr = Expr::compile(&plain(text)).map_err(|d| d.message)?;
    match expr.eval(&scope(), names) {
        Ok(Eval::Value(value)) => Ok(value),
        Ok(Eval::Deferred(names)) => Err(format!("waits on {}", names.join(", "))),
        Err(d) => Err(d.message),
    }
}

#[test]
fn json() {
    table(&[
        ("('{\"a\": {\"b\": null}}'|fromjson).a.b is none", "true"),
        ("('{}'|fromjson).a|default('-')", "-"),
        (
            "('{\"ab\": 1}'|fromjson).ac",
            "no-value: `('{\"ab\": 1}'|fromjson)` has no `ac` at «ac» (did you mean `ab`?)",
        ),
        ("[1, {'a': 'x'}]|tojson(2)", "[\n  1,\n  {\n    \"a\": \"x\"\n  }\n]"),
        ("{'b': 1, 'a': 2}|tojson", "{\"b\":1,\"a\":2}"),
        ("''|fromjson", "bad-value: an empty text is no JSON at «''»"),
        (
            "'[1] [2]'|fromjson",
            "bad-value: `[1] [2]` is no JSON: trailing characters at line 1 column 5 at «'[1] [2]'»",
        ),
        (
            "1|to_nice_json",
            "unknown-function: there is no filter `to_nice_json` at «to_nice_json» (did you mean `tojson`?)",
        ),
        ("'1'|from_json", "unknown-function: there is no filter `from_json` at «from_json» (did you mean `fromjson`?)"),
    ]);
}

#[test]
fn base64() {
    table(&[
        ("'??>>'|b64encode", "Pz8+Pg=="),
        ("'??>>'|b64encode(urlsafe=true)", "Pz8-Pg"),
        ("'Pz8-Pg'|b64decode(urlsafe=true)", "??>>"),
        ("'Pz8-Pg=='|b64decode(true)", "??>>"),
        ("'aG\nk='|b64decode", "hi"),
        ("''|b64decode", ""),
        (
            "'Pz8-Pg=='|b64decode",
            "bad-value: `Pz8-Pg==` is no base64: `-` is not one of its characters at «'Pz8-Pg=='» (it is in the alphabet for URLs: `|b64decode(urlsafe=true)`)",
        ),
        (
            "'aGk'|b64decode",
            "bad-value: `aGk` is no base64: the `=` at its end do not fit at «'aGk'» (without padding it is read by `|b64decode(urlsafe=true)`)",
        ),
        ("'aGk=x'|b64decode", "bad-value: `aGk=x` is no base64: a `=` stands before the end at «'aGk=x'»"),
        ("'aé=='|b64decode", "bad-value: `aé==` is no base64: `é` is not one of its characters at «'aé=='»"),
        (
            "'/w=='|b64decode",
            "bad-value: the decoded bytes are not UTF-8 text at «'/w=='» (let a script decode them into a file)",
        ),
        ("'x'|base64", "unknown-function: there is no filter `base64` at «base64» (did you mean `b64encode`?)"),
    ]);
}

#[test]
fn regular_expressions() {
    table(&[
        ("'v1.2'|regex_replace('v(?P<major>[0-9]+)', 'r$major')", "r1.2"),
        ("'ab'|regex_replace('(a)(b)', '${2}x$1$$')", "bxa$"),
        ("'a'|regex_replace('a', '5$ \\\\n')", "5$ \\n"),
        ("'ab'|regex_replace('', '-')", "-a-b-"),
        (
            "'a'|regex_replace('(a)', '\\\\1')",
            "bad-expression: `\\1` means nothing here at «'\\\\1'» (a group is `${1}`)",
        ),
        (
            "'a'|regex_replace('a', '$1')",
            "bad-expression: the regular expression has no group `1` at «'$1'» (`$$` is a dollar)",
        ),
        ("'a'|regex_replace('a', '${')", "bad-expression: `${` has no `}` at «'${'» (`$$` is a dollar)"),
        ("'b'|regex_find('(a)?b') is none", "true"),
        ("'k=v; k2=v2'|regex_findall('([a-z0-9]+)=')", r#"["k","k2"]"#),
        ("'ab'|regex_findall('x')", "[]"),
        (
            "'x'|regex_find_all('x')",
            "unknown-function: there is no filter `regex_find_all` at «regex_find_all» (did you mean `regex_findall`?)",
        ),
        // A value may be a secret, and no piece of one is said.
        (
            "'pw'|regex_replace('pw', 'pa$' ~ 'sword')",
            "bad-value: this names a group that the regular expression does not have at «'pa$' ~ 'sword'» (in a replacement `$$` is a dollar; `|replace(…)` takes its texts as they are)",
        ),
        // One pattern for all items is read once.
        ("range(3000)|map('string')|map('regex_replace', '^.*([0-9])$', '$1')|unique|length", "10"),
        ("range(3000)|map('string')|select('matches', '^99')|length", "11"),
        (
            r"'a b'|regex_find('\b')",
            r"bad-expression: this is no regular expression: `\b` in quotes is a backspace; write `\\b` for the edge of a word at «'\b'»",
        ),
        (r"'a b'|regex_find('\\bb')", "b"),
        (r"'\b'|regex_escape ~ ''", r"\x08"),
        ("['a']|map('regex_find', '(')", "bad-value: this is no regular expression: unclosed group at «map»"),
    ]);
}

#[test]
fn moments() {
    table(&[
        ("'2024-05-01T12:00:00+02:00'|to_datetime", "2024-05-01T10:00:00Z"),
        ("'Wed, 01 May 2024 12:00:00 GMT'|to_datetime", "2024-05-01T12:00:00Z"),
        ("'2024-05-01 14:00'|to_datetime(zone='Europe/Berlin')", "2024-05-01T12:00:00Z"),
        ("'2024-05-01'|to_datetime(zone='UTC')", "2024-05-01T00:00:00Z"),
        ("'2024-05-01 14:00'|to_datetime(zone='+02:00')", "2024-05-01T12:00:00Z"),
        ("1714564800|to_datetime", "2024-05-01T12:00:00Z"),
        ("1714564800.5|to_datetime|epoch", "1714564800.5"),
        ("'01/May/2024:14:00:00 +0200'|to_datetime('%d/%b/%Y:%H:%M:%S %z')", "2024-05-01T12:00:00Z"),
        ("0|strftime('%Y-%m-%d')", "1970-01-01"),
        ("'1.5.24'|to_datetime('%Y-%m-%d', 'UTC')", "bad-value: `1.5.24` does not read as `%Y-%m-%d` at «'1.5.24'»"),
        (
            "'01.05.2024'|to_datetime('%d.%m.%Y')",
            "bad-value: `01.05.2024` as `%d.%m.%Y` does not say its offset from UTC at «'01.05.2024'» (say which zone it is in: `zone=\"UTC\"`, or read an offset with `%z`)",
        ),
        (
            "0|strftime('%!')",
            "bad-value: the moment cannot be written as `%!`: found unrecognized specifier directive `!` at «'%!'» (a format such as %Y-%m-%d %H:%M:%S %z; `%%` is a percent sign)",
        ),
        ("0|strftime('%H:%M %z', '-05:30')", "18:30 -0530"),
        ("'2024-05-01T12:00:00Z'|earlier(grace)", "2024-05-01T11:58:30Z"),
        ("'2024-05-01T12:00:00.25Z'|seconds_since('2024-05-01T12:00:01Z')", "-0.75"),
        ("'2024-05-01T12:00:00Z' is before('2024-05-01T12:00:00Z')", "false"),
        (
            "'2024-03-31 02:30'|to_datetime(zone='Europe/Berlin')",
            "bad-value: `2024-03-31 02:30` does not occur exactly once in Europe/Berlin: its clocks are changed then at «'2024-03-31 02:30'» (write the offset from UTC, such as 2024-05-01T12:00:00+02:00)",
        ),
        (
            "1714564800000|epoch",
            "bad-value: 1714564800000 seconds since 1970 lie outside of the years that can be told at «1714564800000» (milliseconds are divided by 1000 first)",
        ),
        (
            "'%Y'|strftime('2024-05-01T12:00:00Z')",
            "bad-value: `%Y` is no moment at «'%Y'» (the moment stands first: `run.started|strftime(\"%Y-%m-%d\")`)",
        ),
        (
            "0|strftime('%H', 'Europe/Berlni')",
            "bad-expression: there is no time zone `Europe/Berlni` at «'Europe/Berlni'» (did you mean `Europe/Berlin`?)",
        ),
        (
            "'2024-05-01T12:00:00Z'|later('9999999d')",
            "bad-value: `9999999d` is longer than can be measured at «'9999999d'»",
        ),
        (
            "'9999-12-01T00:00:00Z'|later('99d')",
            "bad-arithmetic: the result lies outside of the years that can be told at «'99d'»",
        ),
        (
            "true|epoch",
            "type-mismatch: a moment is a string or a number of seconds since 1970, this is a boolean at «true»",
        ),
        ("now()", "unknown-function: there is no function `now` at «now» (the only clock is `run.started`)"),
        (
            "0|datetimeformat",
            "unknown-function: there is no filter `datetimeformat` at «datetimeformat» (did you mean `strftime`?)",
        ),
    ]);
}

#[test]
fn versions() {
    table(&[
        ("version_compare('v1.2', '1.2.0')", "0"),
        ("version_compare('1.2+a', '1.2+b')", "0"),
        ("version_compare('1.02', '1.2')", "0"),
        ("version_compare('1.2-rc.2', '1.2-rc.10')", "-1"),
        ("version_compare('1.2', '1.2-rc.10')", "1"),
        ("version_compare('1.2-1', '1.2-a')", "-1"),
        ("version_compare('1.2-a', '1.2-a.1')", "-1"),
        ("version_compare('99999999999999999999999999.1', '99999999999999999999999999')", "1"),
        ("'3.20' is version('>3.9')", "true"),
        ("version is version('>=v3.20, !=3.21')", "true"),
        ("'1.2-rc1' is version('>=1.2')", "false"),
        ("not '1.2' is version('<1')", "true"),
        ("['1.10', '1.9', 'v1.0']|version_sort(reverse=true)", r#"["1.10","1.9","v1.0"]"#),
        ("['1.10', '1.9']|select('version', '>=1.10')", r#"["1.10"]"#),
        (
            "version_compare('1.2rc1', '1')",
            "bad-value: `1.2rc1` is no version: part 2 of it is no number at «'1.2rc1'» (a pre-release follows a hyphen, as in 1.2-rc1)",
        ),
        (
            "version_compare('1', '1..2')",
            "bad-value: `1..2` is no version: part 2 of it is missing at «'1..2'» (write one such as 1.2.3, v2 or 1.0-rc.1)",
        ),
        (
            "'' is version('>1')",
            "bad-value: an empty text is no version at «''» (write one such as 1.2.3, v2 or 1.0-rc.1)",
        ),
        (
            "1.10 is version('>=1.9')",
            "type-mismatch: a version is a string, this is a number at «1.10» (put it in quotes: as a number 1.10 is 1.1)",
        ),
        // Bounds that are written out are read with the file.
        (
            "queue_url is version('^1.2')",
            "bad-expression: `^` and `~` have no meaning in `^1.2` at «'^1.2'» (write both limits: >=1.2,<2)",
        ),
        (
            "'1' is version('>=1,')",
            "bad-expression: `>=1,` lacks a bound at «'>=1,'» (write one such as >=1.2, or several: >=1.2,<2)",
        ),
        (
            "'1' is version('>=' ~ 'x')",
            "bad-value: a bound of `>=x` is no version at «'>=' ~ 'x'» (write one such as 1.2.3, v2 or 1.0-rc.1)",
        ),
    ]);
}

#[test]
fn maps_and_lists() {
    table(&[
        ("info|attr('name', 'y')", "x"),
        ("info|attr('nmae')", "no-value: this has no `nmae` at «'nmae'» (did you mean `name`?)"),
        ("info|attr('nope')|default('y')", "y"),
        ("'text'|attr('a', 0)", "type-mismatch: the filter `attr` needs a map, this is a string at «'text'»"),
        ("{'a': none}|attr('a', 0) is none", "true"),
        ("[{'host': 1}]|map(attribute='hots')", "no-value: an item has no `hots` at «'hots'» (did you mean `host`?)"),
        ("info|get('name')", "unknown-function: there is no filter `get` at «get» (did you mean `attr`?)"),
        (
            "hosts|shell_quote",
            "type-mismatch: the filter `shell_quote` needs a string, this is a list at «hosts» (put it over each item: `|map(\"shell_quote\")`, or make one text first: `|join(\" \")`)",
        ),
        ("['a b', 'c']|map('shell_quote')|join(' ')", "'a b' c"),
    ]);
}

#[test]
fn what_is_not_known_stays_so() {
    table(&[
        ("queue_url|b64encode|sha256", "waits on admin.queue_url"),
        ("version_compare(queue_url, '1')", "waits on admin.queue_url"),
        ("'1' is version('>=' ~ queue_url)", "waits on admin.queue_url"),
        ("'2024-05-01T12:00:00Z'|later(queue_url)", "waits on admin.queue_url"),
        ("token|sha256", "waits on token"),
        ("token|b64encode(urlsafe=true)", "waits on token"),
        ("token|attr('a', 0)", "waits on token"),
        ("skipped|default('1.2') is version('>=1')", "true"),
    ]);
    for text in ["skipped|epoch", "skipped is version('>=1')", "version_compare('1', skipped)", "skipped|attr('a', 0)"]
    {
        let error = eval(text).unwrap_err();
        assert_eq!(error.code, "no-value", "{text}: {error:?}");
    }
}

#[test]
fn one_large_text_many_times_is_refused_before_it_is_written() {
    for text in [
        "(['x' * 1000000] * 100000)|tojson",
        "(['x' * 1000000] * 100000)|tojson(2)",
        "(['x' * 1000000] * 100000)|string|length",
        "{'a': ['x' * 1000000] * 100000}|pprint",
        "(['x' * 1000000] * 100000) ~ ''",
        "(['X' * 1000000] * 100000)|sort|length",
        "(['X' * 1000000] * 100000)|unique|length",
        "(['x' * 1000000] * 100000)|join|length",
        "'y' * 999999 in ['x' * 1000000] * 1000000",
        "(['1.' * 100000 ~ '0'] * 100000)|version_sort|length",
        "['x' * 1000000] * 1000",
        "{'a': [['x' * 10000] * 1000] * 2}",
        "('x' * 1000000)|regex_replace('.*', '$0' * 1000000)|length",
        "('x' * 1000000)|regex_replace('(y?)', '$1' * 1000000)|length",
        "('x' * 1000000)|regex_findall('x')|length",
        "0|strftime('%255Y' * 1000000)",
    ] {
        let error = eval(text).unwrap_err();
        assert!(error.code == "too-large", "{text}: {error:?}");
    }
}

fn version() -> impl Strategy<Value = String> {
    "v?(0|[1-9]|[0-9]{1,22})(\\.[0-9]{1,3}){0,3}(-[0-9a-b]{1,2}(\\.[0-9a-b-]{1,2}){0,2})?(\\+[a-z]{1,3})?"
}

fn compared(a: &str, b: &str) -> i64 {
    match with("version_compare(a, b)", &[("a", Value::text(a)), ("b", Value::text(b))]) {
        Ok(Value::Int(order)) => order,
        other => panic!("{a} and {b}: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn base64_gives_back_what_it_was_given(text in "(?s).{0,40}", urlsafe: bool) {
        let names = [("t", Value::text(&text)), ("u", Value::Bool(urlsafe))];
        prop_assert_eq!(with("t|b64encode(u)|b64decode(u)", &names), Ok(Value::text(&text)));
    }

    #[test]
    fn json_gives_back_what_it_was_given(text in "(?s).{0,40}", number: i64, width in 0..17_i64) {
        let value = Value::list(vec![Value::text(&text), Value::Int(number), Value::None]);
        let names = [("v", value.clone()), ("w", Value::Int(width))];
        prop_assert_eq!(with("v|tojson|fromjson", &names), Ok(value.clone()));
        prop_assert_eq!(with("v|tojson(w)|fromjson", &names), Ok(value));
    }

    #[test]
    fn versions_have_one_order(a in version(), b in version(), c in version()) {
        prop_assert_eq!(compared(&a, &a), 0);
        prop_assert_eq!(compared(&a, &b), -compared(&b, &a));
        if compared(&a, &b) <= 0 && compared(&b, &c) <= 0 {
            prop_assert!(compared(&a, &c) <= 0, "{} {} {}", a, b, c);
        }
        // The test, the function and the filter agree.
        let names = [("a", Value::text(&a)), ("b", Value::text(&b))];
        let at_least = with("a is version('>=' ~ b)", &names);
        prop_assert_eq!(at_least, Ok(Value::Bool(compared(&a, &b) >= 0)));
        let first = if compared(&a, &b) <= 0 { &a } else { &b };
        prop_assert_eq!(with("[a, b]|version_sort|first", &names), Ok(Value::text(first)));
    }

    #[test]
    fn nothing_panics(
        text in "(?s).{0,30}|[0-9v.+rc-]{0,12}|[0-9:T Z+-]{0,25}",
        pattern in "(?s).{0,12}|[ab()|*+?{}0-9^$\\[\\]\\\\.]{0,12}",
        new in "(?s).{0,8}|[$\\\\{}0-9a]{0,8}",
    ) {
        let names = [("t", Value::text(&text)), ("p", Value::text(&pattern)), ("n", Value::text(&new))];
        for text in [
            "t|regex_find(p)", "t|regex_findall(p)", "t|regex_replace(p, n)", "t is matches(p)",
            "t|b64decode", "t|b64decode(urlsafe=true)", "t|fromjson", "t|to_datetime", "t|to_datetime(p, 'Europe/Berlin')",
            "t|to_datetime(zone=n)", "0|strftime(p)", "0|strftime('%' ~ n)", "t is version(p)", "version_compare(t, n)",
            "0|later(t)", "t|shell_quote", "t|split(p)", "t|path", "t|lines",
        ] {
            // Refused or not: either is an answer.
            let _ = with(text, &names);
        }
    }

    #[test]
    fn there_and_back(seconds in -62_135_596_800_i64..253_402_000_000, by in 0..100_000_i64) {
        let names = [("s", Value::Int(seconds)), ("d", Value::text(format!("{by}s")))];
        prop_assert_eq!(with("s|to_datetime|epoch", &names), Ok(Value::Int(seconds)));
        prop_assert_eq!(with("s|later(d)|seconds_since(s)", &names), Ok(Value::Int(by)));
        prop_assert_eq!(with("s|later(d)|earlier(d)|epoch", &names), Ok(Value::Int(seconds)));
    }
}
