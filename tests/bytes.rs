//! Values reach scripts, programs, requests, questions and the record byte for byte, whatever they look like; what cannot
//! reach them is an error that is drawn, and never a changed value.

use proptest::prelude::*;

use crate::{
    all_of_unicode::quoted,
    standins::server::{Reply, Server},
    support::Bed,
};

/// Everything a value goes through, with a break in the middle after which only the journal knows it.
const EVERYWHERE: &str = r#"
title: X
params:
  v: {type: string}
  place: {type: url}
steps:
  - id: script
    shell: |
      printf '%s' "$v" > script
      printf '%s' "${#v}" > length
      cat <<EOF > heredoc
      <$v>
      EOF
  - {id: posix, shell: {script: "printf '%s' \"$v\" > posix", interpreter: sh}}
  - {id: program, shell: {exec: [arguments, "{{ v }}", "--flag={{ v }}", "{{ v }}{{ v }}"]}}
  - {id: by-env, shell: "printf '%s' \"$OTHER\" > by-env", env: {OTHER: "<{{ v }}>"}}
  - id: other-language
    shell: {script: "import os; open('python', 'wb').write(os.environb[b'OTHER'])", interpreter: python3}
    env: {OTHER: "{{ v }}"}
  - {id: elsewhere, shell: {via: [env, -i, "PATH=/usr/bin:/bin"], script: "printf '%s' \"$v\" > elsewhere"}}
  - id: elsewhere-by-env
    env: {OTHER: "<{{ v }}>"}
    shell: {via: [sh, -c, '"$@"', _], script: "printf '%s' \"$OTHER\" > elsewhere-by-env; printf '%s' \"${#v}\" > elsewhere-length"}
  - {id: json, http: {method: POST, url: "{{ place }}/json", json: {one: "{{ v }}", "two": ["<{{ v }}>"]}}}
  - {id: form, http: {method: POST, url: "{{ place }}/form", form: {one: "{{ v }}"}}}
  - {id: body, http: {method: POST, url: "{{ place }}/body", body: "{{ v }}", query: {q: "{{ v }}"}}}
  - {id: again, shell: "printf '%s.' \"$v\"", capture: {dotted: result.stdout}}
  - {id: pure, set: {copy: v, inner: "{'a': [v]}"}}
  - {id: ask, confirm: "Is it {{ v }}?"}
  - {id: copied, shell: "printf '%s' \"$copy\" > copied; printf '%s' \"$dotted\" > dotted; printf '%s' \"$inner\" > inner"}
  - {id: unchanged, when: 'copy == v and inner.a[0] == v', shell: touch unchanged}
"#;

fn place() -> (Server, String) {
    let server = Server::start(|_| Reply::empty(200));
    let place = format!("place={}", server.url());
    (server, place)
}

#[track_caller]
fn goes_everywhere(server: &Server, place: &str, value: &str) {
    let bed = Bed::with(EVERYWHERE).tool("arguments", "#!/bin/sh\nprintf '%s\\0' \"$@\" > arguments\n");
    let seen = server.requests().len();
    let param = format!("v={value}");
    bed.run(&["run", "./x.yaml", "--param", &param, "--param", place]).end().code(11);
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    let read = |file: &str| std::fs::read(bed.path(file)).map(|bytes| String::from_utf8(bytes).unwrap());
    let is = |file: &str, expected: &str| assert_eq!(read(file).unwrap(), expected, "{file} of {value:?}");
    is("script", value);
    is("length", &value.chars().count().to_string());
    is("heredoc", &format!("<{value}>\n"));
    is("posix", value);
    is("arguments", &format!("{value}\0--flag={value}\0{value}{value}\0"));
    is("by-env", &format!("<{value}>"));
    is("python", value);
    is("elsewhere", value);
    is("elsewhere-by-env", &format!("<{value}>"));
    is("elsewhere-length", &value.chars().count().to_string());
    is("copied", value);
    is("dotted", &format!("{value}."));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&read("inner").unwrap()).unwrap(),
        serde_json::json!({"a": [value]})
    );
    assert!(bed.exists("unchanged"), "{value:?}");
    assert!(!bed.exists("pwned"), "{value:?}");
    let requests = &server.requests()[seen..];
    assert_eq!(requests[0].json().unwrap(), serde_json::json!({"one": value, "two": [format!("<{value}>")]}));
    assert_eq!(requests[1].form(), [("one".to_owned(), value.to_owned())]);
    assert_eq!(requests[2].text(), value);
    assert_eq!(requests[2].query("q"), Some(value));
    bed.run(&["verify", "last"]).end().code(0);
}

#[test]
fn values_that_look_like_something_else() {
    let (server, place) = place();
    for value in [
        "plain",
        "",
        " ",
        " a  b ",
        "-n",
        "--",
        "it's \"quoted\" `so`",
        "'\\''",
        "$(touch pwned) `touch pwned` ${PATH} $v $$",
        "; touch pwned #",
        "\"; touch pwned; \"",
        "EOF\ntouch pwned",
        "{{ place }} {% if true %} {# no #}",
        "{{",
        "two\nlines\n",
        "\ttab\r\nand return\r",
        "\\n \\ \\\\",
        "* ? [a] ~ !! %s %n",
        "true",
        "null",
        "0x10",
        "1e3",
        "../../etc/passwd",
        "a/b?c=d&e#f+g%20h",
        "=",
        "ünïcödé 日本語 🦀 e\u{301}",
        "\u{202e}right to left\u{feff}",
        "\u{1}\u{1b}[31mred\u{7f}",
        "‹v› *** …",
    ] {
        goes_everywhere(&server, &place, value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_goes_everywhere(value in "[^\u{0}]{0,40}") {
        let (server, place) = place();
        goes_everywhere(&server, &place, &value);
    }
}

/// Values of every other origin, to a script here, a script elsewhere and a program: items of a loop, what a step captured, what
/// a person gave, with a break in the middle after which only the journal knows them.
const ORIGINS: &str = r#"
title: X
params: {list: {type: list}}
steps:
  - {id: asked, ask: {fields: {given: {type: string}}}}
  - {id: said, shell: "cat said; printf .", effect: read, capture: {captured: "result.stdout[:-1]"}}
  - id: each
    foreach: {as: item, in: list}
    group:
      steps:
        - {id: made, set: {inner: item}}
        - {id: here, shell: "printf '%s\\0' \"$item\" >> item.here; printf '%s\\0' \"$inner\" >> inner.here"}
        - {id: there, shell: {via: [env, -i, "PATH=/usr/bin:/bin"], script: "printf '%s\\0' \"$item\" >> item.there; printf '%s\\0' \"$inner\" >> inner.there"}}
        - {id: program, shell: {exec: [argument, item, "{{ item }}"]}}
        - {id: program-inner, shell: {exec: [argument, inner, "{{ inner }}"]}}
  - {id: gate, confirm: Go on?}
  - id: again
    foreach: {as: item, in: list}
    shell: "printf '%s\\0' \"$old\" >> item.again"
    env: {old: "{{ inner[item] }}"}
  - {id: here, shell: "printf '%s\\0' \"$given\" > given.here; printf '%s\\0' \"$captured\" > captured.here"}
  - {id: there, shell: {via: [env, -i, "PATH=/usr/bin:/bin"], script: "printf '%s\\0' \"$given\" > given.there; printf '%s\\0' \"$captured\" > captured.there"}}
  - {id: given, shell: {exec: [argument, given, "{{ given }}"]}}
  - {id: captured, shell: {exec: [argument, captured, "{{ captured }}"]}}
"#;

/// The values, which are all different and not empty.
#[track_caller]
fn come_from_everywhere(values: &[String]) {
    let bed = Bed::with(ORIGINS).tool("argument", "#!/bin/sh\nprintf '%s\\0' \"$2\" >> \"$1.program\"\n");
    let list = serde_json::Value::from(values.to_vec()).to_string();
    // Of the others there is one each: all of them in one text.
    let whole = values.join("\u{1f}");
    bed.write("said", &whole);
    bed.write("answers.yaml", &format!("asked: {{given: {}}}\n", quoted(&whole)));
    let answers = ["--answers", "answers.yaml"];
    bed.run(&["run", "./x.yaml", "--param", &format!("list={list}")]).args(&answers).end().code(11);
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    let all: String = values.iter().map(|value| format!("{value}\0")).collect();
    for (name, expected) in
        [("item", &all), ("inner", &all), ("given", &format!("{whole}\0")), ("captured", &format!("{whole}\0"))]
    {
        for place in ["here", "there", "program"] {
            assert_eq!(bed.read(&format!("{name}.{place}")), **expected, "{name} to {place}: {values:?}");
        }
    }
    assert_eq!(bed.read("item.again"), all, "{values:?}");
    assert!(!bed.exists("pwned"), "{values:?}");
    bed.run(&["verify", "last"]).end().code(0);
    bed.run(&["report", "last"]).end().code(0);
}

#[test]
fn items_captures_and_answers_arrive_as_they_are() {
    let values = [
        "plain",
        " ",
        " a  b ",
        "-n",
        "--",
        "-",
        "it's \"quoted\" `so`",
        "'\\''",
        "$(touch pwned) `touch pwned` ${PATH} $item $$",
        "; touch pwned #",
        "EOF\ntouch pwned",
        "{{ place }} {% if true %} {# no #}",
        "two\nlines\n",
        "\ttab\r\nand return\r",
        "\\n \\ \\\\",
        "* ? [a] ~ !! %s %n",
        "]",
        "a]/b[c",
        "@undo",
        "../../etc/passwd",
        "null",
        "1e3",
        "ünïcödé 日本語 🦀 e\u{301}",
        "\u{202e}right to left\u{feff}",
        "\u{1}\u{1b}[31mred\u{7f}",
        "‹v› *** …",
    ];
    come_from_everywhere(&values.map(str::to_owned));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_item_capture_and_answer_arrives(values in proptest::collection::btree_set("[^\u{0}]{1,20}", 1..4)) {
        come_from_everywhere(&values.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_value_is_one_segment_of_a_path() {
    let (server, place) = place();
    let runbook = "title: X\nparams: {v: {type: string}, place: {type: url}}\nsteps:\n  - {id: a, http: {url: '{{ place }}/x/{{ v }}/y'}}\n  \
                   - {id: b, http: {url: '{{ place }}/p/{{ v|path }}'}}\n";
    for value in ["plain", "a/b", "a b", "ü", "a?b#c", "%2e%2e", "a%2Fb", "a\\b", ";x", "a:b@c", "+", "&="] {
        let bed = Bed::with(runbook);
        let seen = server.requests().len();
        bed.run(&["run", "./x.yaml", "--param", &format!("v={value}"), "--param", &place]).end().code(0);
        let requests = &server.requests()[seen..];
        assert_eq!(requests[0].segments(), ["x", value, "y"], "{}", requests[0].raw_path);
        let kept: Vec<&str> = std::iter::once("p").chain(value.split('/')).collect();
        assert_eq!(requests[1].segments(), kept, "{}", requests[1].raw_path);
    }
    // What would climb, or stand for no segment, is no request at all.
    let seen = server.requests().len();
    for value in ["", ".", ".."] {
        let bed = Bed::with(runbook);
        bed.run(&["run", "./x.yaml", "--param", &format!("v={value}"), "--param", &place])
            .end()
            .code(1)
            .stderr_has("a failed")
            .stderr_has("./x.yaml:4:");
    }
    assert_eq!(server.requests().len(), seen);
}

#[test]
fn types_have_one_spelling() {
    let bed = Bed::with(
        r#"
title: X
params:
  yes_or_no: {type: boolean}
  number: {type: integer, default: -7}
  short: {type: duration, default: 500ms}
  long: {type: duration, default: 1h30m}
  page: {type: url, default: "https://host.example/a?b=c"}
  way: {type: enum, choices: [one, "2"], default: "2"}
steps:
  - {id: first, set: {nothing: none, list: "[1, 'a b', true, none]", map: "{'k': \"v'\"}", float: 0.5, big: 9007199254740993}}
  - {id: skipped, when: "1 == 2", shell: echo x, capture: {absent: result.stdout}}
  - id: show
    shell: |
      echo "$yes_or_no|$number|$short|$long|$page|$way|$list|$map|$float|$big" > shown
      echo "${nothing-unset} ${absent-unset}" >> shown
  - id: elsewhere
    env: {BY_ENV: "{{ list }}", NONE: "{{ nothing }}"}
    shell:
      via: [env, nothing=x, NONE=x, absent=x]
      script: |
        echo "$yes_or_no|$number|$short|$long|$page|$way|$list|$map|$float|$big" > elsewhere
        echo "${nothing-unset} ${absent-unset}" >> elsewhere
        echo "$BY_ENV ${NONE-unset}" > by-env
"#,
    );
    for (given, shown) in [("true", "true"), ("false", "false")] {
        bed.run(&["run", "./x.yaml", "--param", &format!("yes_or_no={given}")]).end().code(0);
        assert_eq!(bed.read("elsewhere"), bed.read("shown"));
        assert_eq!(bed.read("by-env"), "[1,\"a b\",true,null] x\n");
        assert_eq!(
            bed.read("shown"),
            format!(
                "{shown}|-7|0.5|5400|https://host.example/a?b=c|2|[1,\"a b\",true,null]|{{\"k\":\"v'\"}}|0.5|9007199254740993\nunset unset\n"
            )
        );
    }
    for word in ["yes", "no", "on", "1", "True", ""] {
        bed.run(&["run", "./x.yaml", "--param", &format!("yes_or_no={word}")]).end().code(2).stderr_has("yes_or_no");
    }
    for (name, word) in
        [("number", "7.0"), ("number", "1e3"), ("short", "5"), ("short", "-5s"), ("page", "host"), ("way", "two")]
    {
        let given = format!("{name}={word}");
        bed.run(&["run", "./x.yaml", "--param", "yes_or_no=true", "--param", &given]).end().code(2).stderr_has(name);
    }
}

#[test]
fn what_cannot_be_handed_over_is_an_error_that_is_drawn() {
    for (make, use_, said) in [
        ("printf 'a\\0b'", "shell: 'echo \"$v\"'", "NUL"),
        ("printf 'a\\0b'", "shell: {exec: [echo, '{{ v }}']}", "NUL"),
        ("printf 'a\\0b'", "shell: 'echo \"$X\"'\n    env: {X: '{{ v }}'}", "NUL"),
        ("head -c 140000 /dev/zero | tr '\\0' x", "shell: 'echo \"${#v}\"'", "file"),
        ("head -c 140000 /dev/zero | tr '\\0' x", "shell: {exec: [echo, '{{ v }}']}", "file"),
        ("head -c 140000 /dev/zero | tr '\\0' x", "shell: 'echo \"$X\"'\n    env: {X: '{{ v }}'}", "file"),
    ] {
        let bed = Bed::with(&format!(
            "title: X\nsteps:\n  - id: make\n    shell: {}\n    capture: {{v: result.stdout}}\n  - id: use\n    {use_}\n",
            serde_json::to_string(make).unwrap()
        ));
        let ended = bed.run(&["run", "./x.yaml"]).end().code(1);
        assert!(ended.stderr.contains("use failed"), "{make}, {use_}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{make}, {use_}: {}", ended.stderr);
        assert!(ended.stderr.contains("--> ./x.yaml:"), "{make}, {use_}: {}", ended.stderr);
    }
    // The longest that fits does fit.
    let bed = Bed::with(
        "title: X\nsteps:\n  - {id: make, shell: 'head -c 131069 /dev/zero | tr \"\\0\" x', capture: {v: result.stdout}}\n  \
         - {id: use, shell: 'echo \"${#v}\" > length'}\n",
    );
    bed.run(&["run", "./x.yaml"]).end().code(0);
    assert_eq!(bed.read("length"), "131069\n");
}

#[test]
fn a_value_is_never_code() {
    // A template in a script is refused, and so is a value that would become one.
    let bed =
        Bed::with("title: X\nparams: {v: {type: string, default: a}}\nsteps:\n  - {id: a, shell: 'echo {{ v }}'}\n");
    bed.run(&["run", "./x.yaml"]).end().code(3).stderr_has("$v");
    let bed = Bed::with(
        "title: X\nparams: {v: {type: string, default: '{{ w }}'}, w: {type: string, default: inner}}\nsteps:\n  \
         - {id: a, title: 'T {{ v }}', confirm: 'M {{ v }}'}\n",
    );
    bed.run(&["run", "./x.yaml", "--yes"]).end().code(0).stderr_has("M {{ w }}").stderr_lacks("inner?");
}
