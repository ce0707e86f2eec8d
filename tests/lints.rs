//! What `check` warns about: each lint with the runbook that has it and the one that has not, what a file allows, and how
//! findings are written for people and programs.

use runsheet::{
    kinds::registry,
    lints::{LINTS, Looked, handed, heard, look},
    model::load,
    syntax::decode,
    text::Source,
    worlds::real::Shellcheck,
};
/// What is said about a runbook, with `shellcheck` only where it is wanted.
fn looked(text: &str, shellcheck: bool) -> (Source, Looked) {
    let source = decode("x.yaml".to_owned(), text.as_bytes().to_vec()).expect("text");
    let loaded = load("x", &source, registry());
    let scripts = handed(&loaded);
    let found = shellcheck.then(|| {
        let program = Shellcheck::find().expect("shellcheck is installed");
        let mut found = Vec::new();
        for script in &scripts {
            for said in program.ask(script.dialect, &[&script.text]).unwrap() {
                found.extend(heard(&[(said.names[0].1.as_str(), script)], &said.json).unwrap());
            }
        }
        found
    });
    (source, look(&loaded, found))
}

/// Codes with their lines, in file order.
fn told(text: &str) -> String {
    let (source, looked) = looked(text, false);
    let line = |start| source.position(start).line;
    let all = looked.problems.iter().map(|problem| format!("{}@{}", problem.code, line(problem.span.start)));
    all.collect::<Vec<_>>().join(" ")
}

/// The same of steps alone, whose first line is line 3.
fn of_steps(steps: &str) -> String {
    let steps: String = steps.lines().map(|line| format!("  {line}\n")).collect();
    told(&format!("title: x\nsteps:\n{steps}"))
}

#[test]
fn each_lint_finds_its_own_example_and_nothing_in_the_mended_one() {
    for lint in &LINTS {
        let codes = |text: &str| {
            let (_, looked) = looked(text, true);
            looked.problems.iter().map(|problem| problem.code).collect::<Vec<_>>()
        };
        let mut bad = codes(lint.bad);
        // A comment that allows nothing leaves what it stands at.
        bad.retain(|code| *code != "no-verify" || lint.code == "no-verify");
        assert_eq!(bad, [lint.code], "{}:\n{}", lint.code, lint.bad);
        assert_eq!(codes(lint.good), [""; 0], "{}:\n{}", lint.code, lint.good);
        assert!(lint.why.ends_with('.') && lint.why.len() < 160 && !lint.why.contains('\n'), "{}", lint.why);
    }
}

#[test]
fn codes_are_words_and_each_is_there_once() {
    let mut codes: Vec<&str> = LINTS.iter().map(|lint| lint.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), LINTS.len());
    assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
}

#[test]
fn a_change_can_be_looked_at_or_may_run_twice() {
    for (step, expected) in [
        ("- {id: a, shell: make}", "no-verify@3"),
        ("- {id: a, http: {method: POST, url: 'https://a.example'}}", "no-verify@3"),
        ("- {id: a, shell: make, effect: read}", ""),
        ("- {id: a, shell: make, idempotent: true}", ""),
        ("- {id: a, shell: make, verify: {shell: test -e a}}", ""),
        ("- {id: a, manual: Pull the plug.}", ""),
        ("- {id: a, http: {url: 'https://a.example'}}", ""),
        ("- {id: a, group: {steps: [{id: b, shell: make, idempotent: true}]}}", ""),
        ("- id: a\n  group:\n    steps:\n      - {id: b, shell: make}", "no-verify@6"),
    ] {
        assert_eq!(of_steps(step), expected, "{step}");
    }
}

#[test]
fn a_confirm_holds_back_what_destroys() {
    let destroy = "- {id: b, shell: rm x, effect: destroy, idempotent: true, irreversible: true}";
    for (steps, expected) in [
        (destroy.to_owned(), "destroy-without-confirm@3"),
        (format!("- {{id: a, confirm: Sure?}}\n{destroy}"), ""),
        (format!("{destroy}\n- {{id: a, confirm: Sure?}}"), "destroy-without-confirm@3"),
        (format!("- {{id: a, shell: x, idempotent: true}}\n{destroy}"), "destroy-without-confirm@4"),
        ("- {id: a, confirm: Sure?, effect: destroy}".to_owned(), ""),
        (format!("- id: g\n  group:\n    steps:\n      - {{id: a, confirm: Sure?}}\n      {destroy}"), ""),
    ] {
        assert_eq!(of_steps(&steps), expected, "{steps}");
    }
    let with_when = |gate: &str, step: &str| {
        told(&format!(
            "title: x\nparams: {{live: {{type: boolean}}, hot: {{type: boolean}}}}\nsteps:\n  - id: first\n    \
             shell: echo $live $hot\n    effect: read\n  - {{id: a, confirm: Sure?, when: {gate}}}\n  - {{id: b, shell: \
             rm x, effect: destroy, idempotent: true, irreversible: true, when: {step}}}\n"
        ))
    };
    assert_eq!(with_when("live", "live"), "");
    assert_eq!(with_when("live", "hot"), "destroy-without-confirm@8");
    // What is done at the end is done whether anybody said yes or not.
    let text = "title: x\nsteps:\n  - {id: a, confirm: Sure?}\nfinally:\n  - {id: b, shell: rm x, effect: destroy, \
                idempotent: true, irreversible: true}\n";
    assert_eq!(told(text), "destroy-without-confirm@5");
}

#[test]
fn a_destruction_says_whether_there_is_a_way_back() {
    let destroy = |more: &str| {
        of_steps(&format!(
            "- {{id: a, confirm: Sure?}}\n- {{id: b, shell: rm x, effect: destroy, idempotent: true{more}}}"
        ))
    };
    assert_eq!(destroy(""), "destroy-without-undo@4");
    assert_eq!(destroy(", irreversible: true"), "");
    assert_eq!(destroy(", irreversible: false"), "destroy-without-undo@4");
    assert_eq!(destroy(", undo: {shell: mk x}"), "");
    // The undo of a container is that of its steps.
    let group = "- {id: a, confirm: Sure?}\n- id: g\n  undo: {shell: mk x}\n  group:\n    steps:\n      - {id: b, shell: rm x, \
                 effect: destroy, idempotent: true}\n";
    assert_eq!(of_steps(group), "");
    assert_eq!(of_steps(&group.replace("  undo: {shell: mk x}\n", "")), "destroy-without-undo@7");
}

#[test]
fn rules_look_into_containers_and_at_what_is_inside_them_alone() {
    let inside = |around: &str, steps: &str| {
        let steps: String = steps.lines().map(|line| format!("{:10}{line}\n", "")).collect();
        told(&format!(
            "title: x\nparams: {{live: {{type: boolean}}, way: {{type: enum, choices: [a, b]}}}}\nsteps:\n  - id: first\n    effect: \
             read\n    shell: echo $live $way\n{around}{steps}"
        ))
    };
    let group = "  - id: g\n    group:\n      steps:\n";
    assert_eq!(
        inside(group, "- {id: a, shell: make}\n- {id: b, shell: curl x, effect: read}"),
        "no-verify@10 curl-without-fail@11"
    );
    let destroy = "- {id: a, shell: rm x, effect: destroy, idempotent: true, irreversible: true}";
    assert_eq!(inside(group, destroy), "destroy-without-confirm@10");
    assert_eq!(inside(&format!("  - {{id: sure, confirm: Sure?}}\n{group}"), destroy), "");
    assert_eq!(inside(group, &format!("- {{id: sure, confirm: Sure?}}\n{destroy}")), "");
    let after = format!("  - id: h\n    group: {{steps: [{{id: sure, confirm: Sure?}}]}}\n{group}");
    assert_eq!(inside(&after, destroy), "destroy-without-confirm@12");
    // Somebody chose that way.
    let asked = "  - id: c\n    choose:\n      question: Which?\n      cases:\n        - id: one\n          steps:\n";
    assert_eq!(inside(asked, destroy), "");
    let chosen = |first: &str, second: &str| {
        inside(
            "  - id: c\n    choose:\n      cases:\n",
            &format!(
                "- {{id: one, when: \"{first}\", steps: [{{id: x, shell: x, effect: read}}]}}\n- {{id: two, when: \"{second}\", steps: [{{id: \
                 y, shell: x, effect: read}}]}}\n- {{id: rest, else: true, steps: [{{id: z, shell: x, effect: read}}]}}"
            ),
        )
    };
    assert_eq!(chosen("live", "not live"), "");
    assert_eq!(chosen("way == 'a'", "way == 'b' and live"), "");
    assert_eq!(chosen("way == 'a'", "way == 'a' and live"), "unreachable@11");
    assert_eq!(chosen("way == 'a'", "way == 'c'"), "unreachable@11");
    assert_eq!(chosen("way in ['a', 'b']", "live"), "unreachable@11");
    let nested = |when: &str| {
        inside(
            "  - id: g\n    when: way == 'a'\n    group:\n      steps:\n",
            &format!("- {{id: a, shell: x, effect: read, when: {when}}}"),
        )
    };
    assert_eq!(nested("live"), "");
    assert_eq!(nested("way == 'b'"), "unreachable@11");
    let looped = "- id: l\n  foreach: {as: role, in: []}\n  shell: echo $role\n  effect: read";
    assert_eq!(of_steps(looped), "unreachable@4");
    assert_eq!(of_steps(&looped.replace("[]", "[a, b]")), "");
}

#[test]
fn what_takes_an_effect_back_is_looked_at_as_well() {
    let undo = "- id: a\n  shell: mk x\n  idempotent: true\n  capture: {made: result.stdout}\n  undo:\n    shell: curl -X DELETE \
                \"$made\"\n";
    assert_eq!(of_steps(undo), "curl-without-fail@8");
    assert_eq!(of_steps(&undo.replace(" \"$made\"", "")), "unused-capture@6 curl-without-fail@8");
    let outputs =
        "title: x\nsteps:\n  - {id: a, shell: x, effect: read, capture: {made: result.stdout}}\noutputs: {it: made}\n";
    assert_eq!(told(outputs), "");
    let via = "title: x\nsecrets: {token: {env: T}}\nsteps:\n  - {id: a, effect: read, shell: {script: x, via: [ssh, -T, '{{ token \
               }}', --]}}\n";
    assert_eq!(told(via), "secret-in-arguments@4");
}

#[test]
fn names_are_used_wherever_they_are_named() {
    for text in [
        "title: x\nparams: {a: {type: string}}\nlock: '{{ a }}'\nsteps: [{id: s, shell: x, effect: read}]\n",
        "title: x\nparams: {a: {type: string}}\nsteps: [{id: s, title: 'Go {{ a }}', shell: x, effect: read}]\n",
        "title: x\nparams: {a: {type: string}}\nsteps: [{id: s, shell: x, effect: read, env: {A: '{{ a }}'}}]\n",
        "title: x\nparams: {a: {type: path}}\nsecrets: {s: {file: '{{ a }}'}}\nsteps: [{id: s, shell: 'x <<<\"$s\"', \
         effect: read}]\n",
        "title: x\nparams: {a: {type: boolean}}\nsteps: [{id: r, shell: x, effect: read}, {id: s, shell: x, effect: \
         read}, {id: t, needs: [{step: r, when: a}], shell: x, effect: read}]\n",
        "title: x\nsteps: [{id: s, set: {a: 1, b: a + 1}}, {id: t, confirm: '{{ b }}'}]\n",
        "title: x\nsteps: [{id: s, manual: {message: Do it., evidence: {a: {type: string}}}}]\n",
    ] {
        assert_eq!(told(text), "", "{text}");
    }
    // A script's own variable under the name of what it captures uses nothing.
    let text = "title: x\nsteps: [{id: s, shell: 'a=1; echo $a', effect: read, capture: {a: result.stdout}}]\n";
    assert_eq!(told(text), "unused-capture@2");
    let text = "title: x\nparams: {a: {type: string}}\nsecrets: {b: {env: B}}\nsteps: [{id: s, set: {c: 1}}]\n";
    assert_eq!(told(text), "unused-parameter@2 unused-secret@3 unused-capture@4");
    // What a loop goes over, and what a caller gets, is used.
    let text = "title: x\nparams: {hosts: {type: list}}\noutputs: {all: seen}\nsteps:\n  - {id: a, foreach: {as: host, in: hosts}, \
                shell: 'echo $host', effect: read, capture: {seen: result.stdout}}\n";
    assert_eq!(told(text), "");
}

#[test]
fn secrets_belong_in_no_list_of_arguments() {
    let script = |script: &str| {
        told(&format!(
            "title: x\nsecrets: {{token: {{env: T}}}}\nsteps:\n  - id: a\n    effect: read\n    env: {{TOKEN: '{{{{ token \
             }}}}', PLAIN: x}}\n    shell: |\n      {}\n",
            script.replace('\n', "\n      ")
        ))
    };
    for line in [
        "login \"$token\"",
        "login --password=\"$TOKEN\"",
        "sudo printf \"$token\"",
        "x=$(login $token)",
        "echo \"$(login \"$token\")\"",
        "A=1 login ${token}",
        "if login \"$token\"; then x; fi",
        "exec login \"$token\"",
    ] {
        assert_eq!(script(line), "secret-in-arguments@8", "{line}");
    }
    for line in [
        "printf '%s' \"$token\" | login --stdin",
        "login <<<\"$token\"",
        "login <<END\n$token\nEND",
        "TOKEN=$token login",
        "export X=\"$token\"",
        "[ -n \"$token\" ] && echo ok",
        "if [[ -n \"$token\" && \"$token\" != x ]]; then x; fi",
        "login ${#token} ${token:+--with} '$token' \"$PLAIN\"",
        "login() { curl -f -K - <<<\"user=$1\"; }\nlogin \"$token\"",
        "command printf '%s' \"$token\" >file",
        "local_copy=\"$token\"; : \"$token\"",
        "# login \"$token\"\necho \"${TOKEN:0:2}\"",
    ] {
        assert_eq!(script(line), "", "{line}");
    }
    let exec = "title: x\nsecrets: {token: {env: T}}\nsteps:\n  - {id: a, effect: read, shell: {exec: [login, '{{ token \
                }}']}}\n";
    assert_eq!(told(exec), "secret-in-arguments@4");
    let captured = "title: x\nsteps:\n  - {id: a, shell: x, effect: read, capture: {word: {value: result.stdout, secret: \
                    true}}}\n  - {id: b, effect: read, shell: login $word}\n";
    assert_eq!(told(captured), "secret-in-arguments@4");
    // What a person is asked for as a secret is one, and what is asked for beside it is none.
    let asked = "title: x\nsteps:\n  - {id: a, ask: {fields: {code: {type: secret}, user: {type: string}}}}\n  - {id: b, \
                 effect: read, shell: 'login \"$user\" \"$code\"'}\n  - {id: c, effect: read, shell: 'login - <<<\"$code\"'}\n";
    assert_eq!(told(asked), "secret-in-arguments@4");
    let handed = asked.replace("shell: 'login -", "env: {X: '{{ code }}'}, shell: 'login \"$X\"");
    assert_eq!(told(&handed), "secret-in-arguments@4 secret-in-arguments@5");
}

#[test]
fn plain_http_is_told_wherever_an_address_is_written() {
    let text = "title: x\nparams:\n  a: {type: url, default: 'http://a.example'}\n  b: {type: url, default: \
                'https://b.example'}\n  c: {type: list, items: {type: url}, default: [ 'http://c.example' ]}\n  d: {type: \
                string, default: 'http://d.example'}\nprofiles:\n  live:\n    params:\n      a: http://live.example\n      \
                b: http://127.0.0.1:80\nsteps:\n  - {id: s, http: {url: '{{ a }}/x', query: {b: '{{ b }}', c: '{{ c|join }}', \
                d: '{{ d }}'}}}\n  - id: t\n    wait: {http: {url: 'http://t.example'}, until: 'true', fail_when: 'false'}\n";
    assert_eq!(told(text), "plain-http@3 plain-http@5 plain-http@10 plain-http@15");
}

#[test]
fn what_can_never_hold_is_told() {
    let when = |when: &str| {
        told(&format!(
            "title: x\nparams: {{live: {{type: boolean}}, way: {{type: enum, choices: [a, b]}}, n: {{type: integer}}}}\nsteps:\n  \
             - {{id: first, effect: read, shell: 'echo $live $way $n'}}\n  - {{id: s, shell: x, effect: read, when: \
             \"{when}\"}}\n"
        ))
    };
    for never in [
        "false",
        "1 == 2",
        "way == 'c'",
        "live and not live",
        "steps['first'].status == 'suceeded'",
        "steps['first'].status in ['ok', 'good'] and live",
    ] {
        assert_eq!(when(never), "unreachable@5", "{never}");
    }
    for may in [
        "true",
        "way == 'a'",
        "live",
        "n == 1",
        "n == 1 and n == 2",
        "steps['first'].status == 'failed' and way == 'b'",
        "way|int == 1",
    ] {
        assert_eq!(when(may), "", "{may}");
    }
}

#[test]
fn hidden_characters_are_errors_in_what_is_run_and_warnings_in_prose() {
    let severity = |text: &str| {
        let (_, looked) = looked(text, false);
        looked.problems.iter().map(|problem| (problem.code, problem.is_error())).collect::<Vec<_>>()
    };
    let error = [("hidden-character", true)];
    let warning = [("hidden-character", false)];
    let with = |title: &str, script: &str, comment: &str| {
        format!("title: {title}\n# {comment}\nsteps:\n  - id: a\n    effect: read\n    shell: |\n      {script}\n")
    };
    assert_eq!(severity(&with("x", "echo a\u{202e}b", "c")), error);
    assert_eq!(severity(&with("x", "echo a\u{200b}b", "c")), error);
    assert_eq!(severity(&with("x", "echo a\u{200d}b", "c")), error);
    assert_eq!(severity(&with("x\u{202e}y", "echo", "c")), warning);
    assert_eq!(severity(&with("x", "echo", "c\u{2066}d")), error);
    assert_eq!(severity(&with("x", "echo", "c\u{200b}d")), warning);
    // A family, and Persian.
    assert_eq!(severity(&with("\u{1f468}\u{200d}\u{1f469} می\u{200c}خواهم", "echo 'ä→'", "ü")), []);
    let escaped = "title: x\nsteps: [{id: a, effect: read, shell: \"echo \\u202e\"}]\n";
    assert_eq!(severity(escaped), []);
    // Once for each value, however many there are.
    assert_eq!(severity(&with("x", &"\u{200b}".repeat(1000), "c")), error);
}

#[test]
fn an_allow_holds_for_what_begins_below_it_or_beside_it() {
    let three = "- id: a\n  shell: make\n- id: b\n  shell: make\n";
    assert_eq!(of_steps(three), "no-verify@4 no-verify@6");
    for (steps, expected) in [
        ("# runsheet: allow no-verify: why\n- id: a\n  shell: make\n- id: b\n  shell: make\n", "no-verify@7"),
        ("- id: a\n  # runsheet: allow no-verify: why\n\n  # and more\n  shell: make\n", ""),
        ("- id: a # runsheet: allow no-verify: why\n  shell: make\n", ""),
        ("- id: a\n  shell: |  # runsheet: allow no-verify: why\n    make\n", ""),
        ("- {id: a, shell: make} # runsheet: allow no-verify: why\n", ""),
        ("-\n  # runsheet: allow no-verify: why\n  id: a\n  shell: make\n", ""),
        ("- id: a\n  # runsheet: allow no-verify: why\n  title: x\n  shell: make\n", "unused-allow@4 no-verify@6"),
        ("- id: a\n  shell: make\n# runsheet: allow no-verify: why\n", "no-verify@4 unused-allow@5"),
        // In prose it is prose, and in a script it is one line's.
        ("- id: a\n  text: |\n    # runsheet: allow no-verify: why\n  shell: make\n", "no-verify@6"),
        (
            "- id: a\n  effect: read\n  shell: |\n    # runsheet: allow curl-without-fail: why\n    curl a\n    curl b\n",
            "curl-without-fail@8",
        ),
        (
            "- id: a\n  effect: read\n  shell: |\n    curl a # runsheet: allow curl-without-fail: why\n    curl b\n",
            "curl-without-fail@7",
        ),
        (
            "- id: a\n  effect: read\n  shell: |\n    # runsheet: allow curl-without-fail: why\n    x |\\\n      curl a\n",
            "",
        ),
        ("- id: a\n  effect: read\n  shell: |\n    x |\\\n      curl a # runsheet: allow curl-without-fail: why\n", ""),
        ("- id: a\n  shell: \"echo '# runsheet: allow no-verify: why'\"\n", "no-verify@4"),
        ("# runsheet: allow no-verify, curl-without-fail: why\n- id: a\n  shell: curl a\n", ""),
    ] {
        assert_eq!(of_steps(steps), expected, "{steps}");
    }
    let top = |comment: &str| told(&format!("# about it\n{comment}\n\ntitle: x\nsteps:\n  - {{id: a, shell: x}}\n"));
    assert_eq!(top("# runsheet: allow no-verify: why"), "");
    assert_eq!(top("#runsheet:allow no-verify:why"), "");
    let list = "title: x\n# runsheet: allow no-verify: why\nsteps:\n  - {id: a, shell: x}\nfinally:\n  - {id: b, shell: \
                x}\n";
    assert_eq!(told(list), "no-verify@6");
    assert_eq!(told(&list.replace('\n', "\r\n")), "no-verify@6");
}

#[test]
fn an_allow_says_why_and_allows_something() {
    for (comment, expected) in [
        ("allow no-verify", "allow-without-reason@3"),
        ("allow no-verify:", "allow-without-reason@3"),
        ("allow no-verify:   ", "allow-without-reason@3"),
        ("allow no-verify, plain-http: why", "unused-allow@3"),
        ("allow no-verfy: why", "unknown-lint@3 no-verify@5"),
        ("allow unknown-key: why", "unknown-lint@3 no-verify@5"),
        ("allow unused-allow: why", "unknown-lint@3 no-verify@5"),
        ("allow", "unknown-lint@3 no-verify@5"),
        ("allow : why", "unknown-lint@3 no-verify@5"),
        ("alow no-verify: why", "unknown-lint@3 no-verify@5"),
        ("ignore no-verify: why", "unknown-lint@3 no-verify@5"),
        ("this runs at night", "no-verify@5"),
        // Nobody asked shellcheck here.
        ("allow no-verify, shellcheck, SC2086: why", ""),
    ] {
        assert_eq!(of_steps(&format!("# runsheet: {comment}\n- id: a\n  shell: make")), expected, "{comment}");
    }
    let (_, looked) = looked(LINTS.iter().find(|lint| lint.code == "allow-without-reason").unwrap().good, true);
    assert_eq!(looked.allowed.len(), 1);
    assert_eq!(looked.allowed[0].1, "the next step looks at it in any case");
}

#[test]
fn an_error_is_never_allowed() {
    let text =
        "# runsheet: allow hidden-character: why\ntitle: x\nsteps:\n  - {id: a, effect: read, shell: \"a\u{202e}\"}\n";
    let (_, looked) = looked(text, false);
    assert_eq!(looked.problems.len(), 1);
    assert!(looked.problems[0].is_error());
}
