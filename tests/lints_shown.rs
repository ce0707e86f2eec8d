//! How `check` shows what it finds, to people and to programs, and what it hands to `shellcheck`. Drives the program from
//! the outside.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::support::{Bed, PROGRAM, lines_of_json};

const SHOWN: &str = "title: Ünder\nparams: {a: {type: string}}\nsteps:\n  - id: s\n    shell: |\n      cd /x\n      make \
                     'é'; make\nfinally:\n  - {id: f, effect: read, shell: 'curl x'}\n";

fn bed() -> Bed {
    Bed::new().file("in/x.yaml", SHOWN).file("in/deep/bad.yaml", "title: x\nsteps: []\n")
}

#[test]
fn findings_are_drawn_for_people_and_counted() {
    let bed = bed();
    bed.run(&["check", "--no-shellcheck", "in/x.yaml"]).end().code(0).stdout(
        "\
warning[unused-parameter]: nothing uses the parameter `a`
 --> in/x.yaml:2:10
  |
2 | params: {a: {type: string}}
  |          ^ asked for, and never looked at
  |
  = help: remove it, or use it; a script uses it as a variable of that name

warning[no-verify]: nothing can tell whether `s` took effect
 --> in/x.yaml:5:5
  |
5 |     shell: |
  |     ^^^^^ this is a change
  |
  = help: add a `verify` that looks, or `idempotent: true` if it may safely run twice, or `effect: read` if it changes nothing

warning[curl-without-fail]: curl ends well whatever the server answers
 --> in/x.yaml:9:35
  |
9 |   - {id: f, effect: read, shell: 'curl x'}
  |                                   ^^^^ an error page is a success to it
  |
  = help: add `--fail-with-body` or `-f`, or look at the status with `--write-out`

1 runbook: no errors, 3 warnings
",
    );
    bed.run(&["check", "--no-shellcheck", "--deny", "warnings", "in/x.yaml"]).end().code(3);
    bed.run(&["check", "--no-shellcheck", "-q", "in"]).end().code(3).stdout_has("error[wrong-value]");
}

#[test]
fn of_many_warnings_some_are_drawn_and_all_are_written() {
    let mut text = "title: x\nsteps:\n".to_owned();
    for step in 0..300 {
        let _ = writeln!(text, "  - {{id: s{step}, shell: make}}");
    }
    let bed = Bed::with(&text);
    let drawn = bed.run(&["check", "--no-shellcheck", "x.yaml"]).end().code(0).stdout;
    assert_eq!(drawn.matches("warning[no-verify]").count(), 100);
    assert!(
        drawn.ends_with("x.yaml: 200 more warnings; --verbose draws them all\n\n1 runbook: no errors, 300 warnings\n")
    );
    let drawn = bed.run(&["check", "--no-shellcheck", "-v", "x.yaml"]).end().code(0).stdout;
    assert_eq!(drawn.matches("warning[no-verify]").count(), 300);
    assert_eq!(bed.run(&["check", "--no-shellcheck", "--format", "json", "x.yaml"]).end().events().len(), 300);
    // A reader that has seen enough.
    let script =
        format!("{PROGRAM} check -v --no-shellcheck x.yaml x.yaml x.yaml | head -n 1; echo \"${{PIPESTATUS[0]}}\"");
    bed.call("bash", &["-c", &script]).end().code(0).stderr("").stdout_has("\n141\n");
}

#[test]
fn findings_are_written_for_programs() {
    let bed = bed();
    let ended = bed.run(&["check", "--no-shellcheck", "--format", "json", "in"]).end().code(3);
    let lines = lines_of_json(&ended.stdout);
    let told: Vec<String> =
        lines.iter().map(|line| format!("{} {} {}", line["file"], line["code"], line["severity"])).collect();
    assert_eq!(
        told,
        [
            r#""in/deep/bad.yaml" "wrong-value" "error""#,
            r#""in/x.yaml" "unused-parameter" "warning""#,
            r#""in/x.yaml" "no-verify" "warning""#,
            r#""in/x.yaml" "curl-without-fail" "warning""#,
        ]
    );
    let place = ["line", "column", "end_line", "end_column"].map(|key| lines[3][key].as_u64());
    assert_eq!(place, [9, 35, 9, 39].map(Some));
}

#[test]
fn github_is_told_in_its_own_words() {
    let bed = bed();
    bed.run(&["check", "--no-shellcheck", "--format", "github", "./in/x.yaml"]).end().code(0).stdout(
        "\
::warning file=in/x.yaml,line=2,endLine=2,col=10,endColumn=11,title=runsheet%3A unused-parameter::nothing uses the \
parameter `a` (asked for, and never looked at)%0Ahint: remove it, or use it; a script uses it as a variable of that name
::warning file=in/x.yaml,line=5,endLine=5,col=5,endColumn=10,title=runsheet%3A no-verify::nothing can tell whether `s` took \
effect (this is a change)%0Ahint: add a `verify` that looks, or `idempotent: true` if it may safely run twice, or `effect: \
read` if it changes nothing
::warning file=in/x.yaml,line=9,endLine=9,col=35,endColumn=39,title=runsheet%3A curl-without-fail::curl ends well whatever \
the server answers (an error page is a success to it)%0Ahint: add `--fail-with-body` or `-f`, or look at the status with \
`--write-out`
1 runbook: no errors, 3 warnings
",
    );
    // As the repository has it, wherever below it the program was started.
    let root = bed.path(".").display().to_string();
    let ended = bed.run(&["check", "--format", "github", "-q", "bad.yaml"]).env("GITHUB_WORKSPACE", &root);
    bed.write("bad.yaml", "title: x\n");
    ended.end().code(3).stdout_has("::error file=bad.yaml,line=1,");
    let call = format!("cd in/deep && {PROGRAM} check --format github -q bad.yaml");
    let ended = bed.call("bash", &["-c", &call]).env("GITHUB_WORKSPACE", &root).end();
    assert!(ended.stdout.starts_with("::error file=in/deep/bad.yaml,line=2,"), "{}", ended.stdout);
}

#[test]
fn sarif_holds_what_its_schema_asks_for() {
    let bed = bed();
    bed.write(
        "in/allowed b.yaml",
        "title: x\nsteps:\n  # runsheet: allow no-verify: \"because\"\n  - {id: a, shell: make}\n  - {id: a, shell: make}\n",
    );
    bed.write("in/y.yaml", "title: x\nsteps:\n  # runsheet: allow no-verify: because\n  - {id: a, shell: make}\n");
    let log = bed.run(&["check", "--no-shellcheck", "--format", "sarif", "in"]).end().code(3).json();
    assert_eq!(
        (&log["version"], &log["$schema"]),
        (&"2.1.0".into(), &"https://json.schemastore.org/sarif-2.1.0.json".into())
    );
    let run = &log["runs"][0];
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    assert_eq!(
        (driver["name"].as_str(), driver["version"].as_str()),
        (Some("runsheet"), Some(env!("CARGO_PKG_VERSION")))
    );
    let rules = driver["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    let mut told = Vec::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(matches!(result["level"].as_str(), Some("error" | "warning")));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let physical = &result["locations"][0]["physicalLocation"];
        let region = &physical["region"];
        let at = |key: &str| region[key].as_u64().unwrap();
        assert!(at("startLine") >= 1 && at("startColumn") >= 1 && at("endColumn") >= 1);
        assert!((at("startLine"), at("startColumn")) <= (at("endLine"), at("endColumn")));
        let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
        told.push(format!("{uri}:{} {}", at("startLine"), result["ruleId"].as_str().unwrap()));
    }
    assert_eq!(
        told,
        [
            "in/allowed%20b.yaml:5 duplicate-id",
            "in/deep/bad.yaml:2 wrong-value",
            "in/x.yaml:2 unused-parameter",
            "in/x.yaml:5 no-verify",
            "in/x.yaml:9 curl-without-fail",
            "in/y.yaml:4 no-verify",
        ]
    );
    assert_eq!(results[5]["suppressions"], serde_json::json!([{"kind": "inSource", "justification": "because"}]));
    assert_eq!(results[4]["suppressions"], Json::Null);
    assert_eq!(results[0]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 4);
    // Each rule once; a lint is described, with its examples.
    let mut ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let lint = rules.iter().find(|rule| rule["id"] == "no-verify").unwrap();
    assert!(lint["shortDescription"]["text"].is_string() && lint["help"]["text"].as_str().unwrap().contains("verify:"));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    // Nothing found is a log all the same.
    bed.write("fine.yaml", "title: x\nsteps:\n  - {id: a, confirm: Well?}\n");
    let log = bed.run(&["check", "--format", "sarif", "fine.yaml"]).end().code(0).json();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
}

/// What is told of one runbook with the machine's `shellcheck`, as `line:column code`.
fn with_shellcheck(steps: &str) -> Vec<String> {
    let bed = Bed::with(&format!("title: x\nparams: {{a: {{type: string}}, b: {{type: string}}}}\nsteps:\n{steps}"));
    let lines = bed.run(&["check", "--format", "json", "x.yaml"]).end().code(0).events();
    let told = lines.iter().map(|line| {
        let code = line["code"].as_str().unwrap();
        let message = line["message"].as_str().unwrap();
        let code = if code == "shellcheck" { message.split(':').next().unwrap() } else { code };
        format!("{}:{}-{} {code}", line["line"], line["column"], line["end_column"])
    });
    told.filter(|line| !line.ends_with("unused-parameter")).collect()
}

#[test]
fn shellcheck_finds_its_places_in_the_file() {
    for (steps, expected) in [
        (
            "  - id: s\n    effect: read\n    shell: |\n      # first\n\n      echo 'ä→' $a\n      echo $b\n",
            &["9:17-19 SC2086", "10:12-14 SC2086"][..],
        ),
        ("  - {id: s, effect: read, shell: echo $a}\n", &["4:39-41 SC2086"]),
        ("  - {id: s, effect: read, shell: \"echo \\\"\\u00e4\\\" $a\"}\n", &["4:51-53 SC2086"]),
        ("  - id: s\n    effect: read\n    shell: >-\n      echo\n      $a\n", &["8:7-9 SC2086"]),
        // Told the names it is handed and the options it runs under.
        ("  - id: s\n    effect: read\n    env: {x: '1'}\n    shell: |\n      cd /tmp\n      echo \"$a$b$x\"\n", &[]),
        // What nobody sets is told once.
        (
            "  - {id: s, effect: read, shell: 'echo \"$nobody\" \"${c}\"'}\n",
            &["4:42-48 unset-variable", "4:53-54 unset-variable"],
        ),
        // The author's own comments for it hold: at the top for all of it.
        (
            "  - id: s\n    effect: read\n    shell: |\n      # shellcheck disable=SC2086\n      echo $a\n      echo $b\n",
            &[],
        ),
        (
            "  - id: s\n    effect: read\n    shell: |\n      x=1\n      # shellcheck disable=SC2086\n      echo $a $x\n      echo $b\n",
            &["10:12-14 SC2086"],
        ),
        ("  - {id: s, effect: read, shell: {interpreter: sh, script: 'x=$a; [[ $x == y ]]'}}\n", &["4:67-80 SC3010"]),
        ("  - {id: s, effect: read, shell: {interpreter: /usr/bin/python3 -u, script: 'print $a'}}\n", &[]),
        ("  - {id: s, effect: read, shell: {interpreter: zsh, script: 'echo $a'}}\n", &[]),
        ("  - {id: s, effect: read, wait: {shell: echo $a, until: 'true', fail_when: 'false'}}\n", &["4:46-48 SC2086"]),
        ("  - id: s\n    shell: make\n    verify: {shell: echo $a}\n", &["6:26-28 SC2086"]),
        (
            "  - {id: s, effect: read, shell: 'if x; then echo \"$a\"'}\n",
            &["4:35-35 SC1046", "4:55-55 SC1047", "4:55-55 SC1072"],
        ),
        ("  - id: s\n    effect: read\n    # runsheet: allow SC2086: they are numbers\n    shell: echo $a $b\n", &[]),
        (
            "  - id: s\n    effect: read\n    shell: |\n      # runsheet: allow shellcheck: a number\n      echo $a\n      echo $b\n",
            &["9:12-14 SC2086"],
        ),
        (
            "  - id: s\n    effect: read\n    # runsheet: allow SC2034: they are numbers\n    shell: echo $a\n",
            &["6:23-29 unused-allow", "7:17-19 SC2086"],
        ),
        ("  - {id: s, effect: read, shell: '# nothing'}\n", &[]),
    ] {
        let mut told = with_shellcheck(steps);
        told.sort();
        let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        expected.sort();
        assert_eq!(told, expected, "{steps}");
    }
}

/// A stand-in that notes its arguments, its variables and what it is handed, and says what it is told to.
const STANDIN: &str = r#"#!/bin/bash
{
    echo "call"
    for word in "$@"; do echo "argument $word"; done
    env | grep -v -e ^PATH= -e ^HOME= -e ^LANG= -e ^TMPDIR= -e ^PWD= -e ^SHLVL= -e ^_= || true
    for word in "$@"; do case $word in /dev/fd/*) echo "script"; cat "$word" ;; esac; done
} >>"$HOME/noted"
cat "$HOME/answer"
exit "$(cat "$HOME/code")"
"#;

fn standin(answer: &str, code: &str) -> Bed {
    let bed = Bed::new().tool("shellcheck", STANDIN).env("SECRET_OF_MINE", "x").env("SHELLCHECK_OPTS", "-e SC2086");
    bed.write("../home/answer", answer);
    bed.write("../home/code", code);
    bed.write(
        "x.yaml",
        "title: x\nparams: {a: {type: string}}\nrequires: {env: [GIVEN]}\nsteps:\n  - {id: s, effect: read, shell: 'echo \"$a\"'}\n  \
         - {id: t, effect: read, shell: 'echo \"$GIVEN\"'}\n  - {id: u, effect: read, shell: {interpreter: sh, script: \
         ':'}}\n",
    );
    bed
}

#[test]
fn scripts_are_handed_over_without_a_file_and_one_process_reads_many() {
    let bed = standin("{\"comments\":[]}", "0");
    bed.run(&["check", "x.yaml"]).end().code(0).stdout("1 runbook: no errors, no warnings\n");
    let noted = bed.read("../home/noted");
    let options = "argument --norc\nargument --severity=info\nargument --format=json1\nargument --exclude=SC1009,SC1073,SC1090,SC1091,SC2016\n";
    let descriptors = regex::Regex::new(r"/dev/fd/\d+").unwrap();
    assert_eq!(
        descriptors.replace_all(&noted, "/dev/fd/N"),
        format!(
            "call\n{options}argument --shell=bash\nargument --\nargument /dev/fd/N\nargument /dev/fd/N\nscript\nset -euo \
             pipefail; read -r a; echo \"$a\"script\nset -euo pipefail; read -r GIVEN; echo \"$GIVEN\"call\n{options}argument \
             --shell=sh\nargument --\nargument /dev/fd/N\nscript\nset -eu; :"
        )
    );
}

#[test]
fn it_is_started_only_by_check_and_only_where_it_is_wanted() {
    let bed = standin("{\"comments\":[]}", "0");
    bed.run(&["check", "--no-shellcheck", "x.yaml"]).end().code(0);
    bed.run(&["plan", "x.yaml", "--param", "a=1"]).end().code(0);
    // Nor where it lies beside the runbooks.
    bed.write("shellcheck", "#!/bin/sh\ntouch started\n");
    bed.call("chmod", &["+x", "shellcheck"]).end().code(0);
    bed.run(&["check", "x.yaml"]).env("PATH", ".::/nowhere").end().code(0).stdout(
        "1 runbook: no errors, no warnings; shellcheck is not installed, so nobody looked at the scripts with it\n",
    );
    assert!(!bed.exists("../home/noted") && !bed.exists("started"));
}

#[test]
fn what_it_says_is_not_trusted() {
    let comment = |file: &str, line: &str, message: &str| {
        format!(
            "{{\"comments\":[{{\"file\":\"{file}\",\"line\":{line},\"endLine\":{line},\"column\":999999,\"endColumn\":7,\
             \"level\":\"info\",\"code\":7,\"message\":\"{message}\",\"fix\":null}}]}}"
        )
    };
    // The first descriptor that is free.
    let bed = standin(&comment("/dev/fd/3", "1", "a\\u001b[2Jb\\nc\\u202e"), "1");
    let lines = bed.run(&["check", "--format", "json", "x.yaml"]).end().code(0).events();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["SC0007: a\\u{1b}[2Jb\\nc\\u{202e}"; 2]);
    for (answer, code, expected) in [
        (comment("/dev/fd/3", "77", "x"), "1", None),
        (comment("/etc/passwd", "1", "x"), "1", None),
        (comment("/dev/fd/3", "0", "x"), "1", None),
        ("not json".to_owned(), "0", Some("what it said is not understood: ")),
        ("{\"comments\":7}".to_owned(), "0", Some("what it said is not understood: ")),
        (String::new(), "2", Some("it ended with 2: it said nothing")),
        (String::new(), "127", Some("it ended with 127: it said nothing")),
    ] {
        let bed = standin(&answer, code);
        let lines = bed.run(&["check", "--format", "json", "x.yaml"]).end().code(0).events();
        match expected {
            None => assert_eq!(lines, [Json::Null; 0], "{answer}"),
            Some(why) => {
                assert_eq!(lines[0]["code"], "shellcheck");
                let message = lines[0]["message"].as_str().unwrap();
                assert!(message.starts_with(&format!("shellcheck did not look at the scripts: {why}")), "{message}");
            }
        }
    }
}

#[test]
fn many_scripts_are_handed_over_in_parts() {
    let mut text = "title: x\nparams: {a: {type: string}}\nsteps:\n".to_owned();
    for step in 0..300 {
        let _ = writeln!(text, "  - {{id: s{step}, effect: read, shell: 'echo {step} $a'}}");
    }
    let lines = Bed::with(&text).run(&["check", "--format", "json", "x.yaml"]).end().code(0).events();
    let told: Vec<u64> = lines.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(told, (4..304).collect::<Vec<u64>>());
}
