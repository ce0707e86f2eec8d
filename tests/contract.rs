//! The contract of the language: small runbooks as a third party would write them, run by the real binary, and what
//! must come of them. The cases are text; `tests/contract/README.md` says how they are written.

mod server;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

#[derive(Default)]
struct Case {
    name: String,
    files: BTreeMap<String, String>,
    commands: Vec<Given>,
}

#[derive(Default)]
struct Given {
    line: String,
    env: Vec<(String, String)>,
    expected: Vec<(String, String)>,
}

const MAIN: &str = "case.yaml";

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut file: Option<String> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            file = Some(MAIN.to_owned());
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(name) = line.strip_prefix("@@ ") {
            file = Some(name.to_owned());
            case.files.remove(name);
        } else if let Some(command) = line.strip_prefix("$ ") {
            file = None;
            case.commands.push(Given { line: command.to_owned(), ..Given::default() });
        } else if let Some(name) = &file {
            let content = case.files.entry(name.clone()).or_default();
            content.push_str(line);
            content.push('\n');
        } else if let (Some(command), Some((word, rest))) = (case.commands.last_mut(), line.split_once(' ')) {
            match (word, rest.split_once('=')) {
                ("env", Some((name, value))) => command.env.push((name.to_owned(), value.to_owned())),
                _ => command.expected.push((word.to_owned(), rest.to_owned())),
            }
        }
    }
    cases
}

/// As a shell would split it, with both kinds of quotes and nothing else.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// `verb args` with the runbook, or the last run, in its place.
fn arguments(line: &str) -> Vec<String> {
    let mut words = words(line);
    let own = words.get(1).is_some_and(|word| word == "--");
    if own {
        words.remove(1);
        return words;
    }
    match words.first().map(String::as_str) {
        Some("check" | "plan" | "run" | "show") => words.insert(1, format!("./{MAIN}")),
        Some("resume" | "report" | "undo" | "verify") => words.insert(1, "last".to_owned()),
        _ => {}
    }
    words
}

fn run(case: &Case, server: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let at = |text: &str| text.replace("{S}", server).replace("{D}", &folder.path().display().to_string());
    for (name, content) in &case.files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, at(content)).unwrap();
    }
    for command in &case.commands {
        let line = at(&command.line);
        let mut process = match line.strip_prefix("sh ") {
            Some(script) => {
                let mut process = Command::new("bash");
                process.args(["-c", script]);
                process
            }
            None => {
                let mut process = Command::new(env!("CARGO_BIN_EXE_runsheet"));
                process.arg("--state-dir").arg(folder.path().join("state")).args(arguments(&line));
                process
            }
        };
        let began = Instant::now();
        let output = process
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", folder.path().join("home"))
            .env("RUNSHEET", env!("CARGO_BIN_EXE_runsheet"))
            .env("USER", "tester")
            .env("LANG", "C.UTF-8")
            .envs(command.env.iter().map(|(name, value)| (name.clone(), at(value))))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let all = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        let code = output.status.code();
        let mut wrong: Vec<String> = command
            .expected
            .iter()
            .filter_map(|(word, rest)| missed(word, &at(rest), code, &stdout, &all, began.elapsed()))
            .collect();
        if code == Some(70) || code.is_none() {
            wrong.push(format!("it broke: {code:?}"));
        }
        if !wrong.is_empty() {
            return Err(format!("{}: $ {line}\n  {}\n{all}", case.name, wrong.join("\n  ")));
        }
    }
    Ok(())
}

fn missed(word: &str, rest: &str, code: Option<i32>, stdout: &str, all: &str, took: Duration) -> Option<String> {
    let seconds = || rest.parse::<f64>().unwrap();
    let holds = match word {
        "exit" => code == Some(rest.parse().unwrap()),
        "+" => all.contains(rest),
        "-" => !all.contains(rest),
        "out" => stdout.contains(rest),
        "under" => took.as_secs_f64() < seconds(),
        "over" => took.as_secs_f64() > seconds(),
        "json" => {
            let (pointer, wanted) = rest.split_once(' ').unwrap();
            let wanted: serde_json::Value = serde_json::from_str(wanted).unwrap();
            let found = serde_json::from_str::<serde_json::Value>(stdout).ok();
            found.as_ref().and_then(|json| json.pointer(pointer)) == Some(&wanted)
        }
        other => panic!("`{other}` is no expectation"),
    };
    (!holds).then(|| format!("not so: {word} {rest} (exit {code:?} after {took:?})"))
}

fn all_of(file: &str) {
    let server = server::start();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let cases = parse(&text);
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases.iter().filter_map(|case| run(case, &server).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

macro_rules! contract {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            all_of(concat!(stringify!($name), ".cases"));
        }
    )* };
}

contract! { asks calls choices derived ends expressions files groups helpers inputs kinds limits limits_of_containers loops masking odd origins profiles programs references requests secrets_and_slips shown steps taken undo values via waits watches windows }
