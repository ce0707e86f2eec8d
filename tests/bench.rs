//! A built-in runbook in a folder of its own, run by the real program from the outside, with answers given beforehand.
//! Knows no runbook and no service.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// One runbook of the house with its parameters, in a folder of its own, away from the state of whoever runs the tests.
pub struct Bench {
    folder: tempfile::TempDir,
    name: String,
    params: Vec<String>,
    env: BTreeMap<String, OsString>,
    secrets: Vec<String>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    /// One per line of `--json`.
    pub events: Vec<Value>,
    pub told: String,
}

impl Bench {
    /// The built-in runbook of that name, after some pieces of its text, or of what lies below `lib`, were replaced by
    /// others.
    pub fn new(name: &str, edits: &[(&str, &str)]) -> Bench {
        let folder = tempfile::Builder::new().prefix("bench").tempdir().unwrap();
        let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
        // What it calls lies beside it, so that its text can be replaced as well.
        let library = folder.path().join("runbooks");
        let mut changed = vec![false; edits.len()];
        for path in yaml_files(&house) {
            let below = path.strip_prefix(&house).unwrap();
            let mut text = fs::read_to_string(&path).unwrap();
            if below.with_extension("") == Path::new(name) || below.starts_with("lib") {
                for ((old, new), changed) in edits.iter().zip(&mut changed) {
                    *changed |= text.contains(old);
                    text = text.replace(old, new);
                }
            }
            let copy = library.join(below);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::write(copy, text).unwrap();
        }
        for ((old, _), changed) in edits.iter().zip(changed) {
            assert!(changed, "no runbook says:\n{old}");
        }
        let mut env = BTreeMap::from([("PATH".to_owned(), std::env::var_os("PATH").unwrap())]);
        env.insert("HOME".into(), folder.path().into());
        env.insert("USER".into(), "tester".into());
        Bench { folder, name: name.into(), params: Vec::new(), env, secrets: Vec::new() }
    }

    /// Where the run works: the current folder of its steps, and their home.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What must not be shown by anything that the run says.
    pub fn secret(mut self, value: &str) -> Bench {
        self.secrets.push(value.into());
        self
    }

    /// A folder in front of the search path.
    pub fn path_first(mut self, folder: &Path) -> Bench {
        let mut search = folder.as_os_str().to_owned();
        search.push(":");
        search.push(&self.env["PATH"]);
        self.env.insert("PATH".into(), search);
        self
    }

    /// Goes back: `undo` of the last run, which nobody is there to agree to.
    pub fn undo(&self, answers: &[(&str, &str)]) -> Ran {
        Going::of(self.command(&["undo", "last", "--yes"], answers), &self.secrets).end()
    }

    pub fn param(mut self, name: &str, value: impl AsRef<str>) -> Bench {
        self.params.push(format!("--param={name}={}", value.as_ref()));
        self
    }

    /// Another value for a parameter that was given one.
    pub fn replace(&mut self, name: &str, value: &str) {
        let start = format!("--param={name}=");
        let given = self.params.iter_mut().find(|param| param.starts_with(&start)).unwrap();
        *given = format!("{start}{value}");
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Bench {
        self.env.insert(name.into(), value.into());
        self
    }

    fn command(&self, verb: &[&str], answers: &[(&str, &str)]) -> Command {
        let file = self.folder.path().join("answers.yaml");
        // What is written as a list or a map of YAML is meant as one; all else is text.
        let answer = |text: &str| if text.starts_with(['{', '[']) { text.to_owned() } else { format!("\"{text}\"") };
        let lines: Vec<String> = answers.iter().map(|(step, text)| format!("{step}: {}\n", answer(text))).collect();
        fs::write(&file, if lines.is_empty() { "{}\n".into() } else { lines.concat() }).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_runsheet"));
        command.arg("--state-dir").arg(self.folder.path().join("state")).args(verb);
        command.arg("--json").arg("--answers").arg(file);
        command.current_dir(self.folder.path()).env_clear().envs(&self.env).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end with these answers.
    pub fn run(&self, answers: &[(&str, &str)]) -> Ran {
        self.start(answers).end()
    }

    pub fn start(&self, answers: &[(&str, &str)]) -> Going {
        let mut verb = vec!["run", self.name.as_str()];
        verb.extend(self.params.iter().map(String::as_str));
        Going::of(self.command(&verb, answers), &self.secrets)
    }

    /// Goes on with the last run after somebody has decided what became of a step: `done` or `not-done`.
    pub fn decide(&self, step: &str, decision: &str, answers: &[(&str, &str)]) -> Ran {
        let verb = ["resume", "last", "--step", step, "--as", decision, "--reason", "seen in its own pages"];
        Going::of(self.command(&verb, answers), &self.secrets).end()
    }

    /// Goes on with the last run, which is looked at on the way.
    pub fn resume_from(&self, answers: &[(&str, &str)]) -> Going {
        Going::of(self.command(&["resume", "last"], answers), &self.secrets)
    }

    /// Goes on with the last run.
    pub fn resume(&self, answers: &[(&str, &str)]) -> Ran {
        self.start_resume(answers).end()
    }

    /// Goes on with the last run, and says yes to every question that may be answered so.
    pub fn resume_with_yes(&self) -> Ran {
        Going::of(self.command(&["resume", "last", "--yes"], &[]), &self.secrets).end()
    }

    /// Begins to go on with the last run.
    pub fn start_resume(&self, answers: &[(&str, &str)]) -> Going {
        Going::of(self.command(&["resume", "last"], answers), &self.secrets)
    }
}

/// A run that is under way.
pub struct Going {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    events: Vec<Value>,
    told: std::thread::JoinHandle<String>,
    secrets: Vec<String>,
}

impl Going {
    fn of(mut command: Command, secrets: &[String]) -> Going {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut errors = child.stderr.take().unwrap();
        let told = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Going { child, lines, events: Vec::new(), told, secrets: secrets.to_vec() }
    }

    fn next(&mut self) -> Option<&Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        self.events.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("no event: {line}")));
        self.events.last()
    }

    /// Reads on until a step has begun what it does.
    pub fn until_doing(mut self, step: &str) -> Going {
        while let Some(event) = self.next() {
            if event["event"] == "effect_intended" && event["step"] == step {
                return self;
            }
        }
        let ran = self.end();
        panic!("{step} was never begun: {}", ran.told)
    }

    /// Ends it as a power cut would: nothing can be said or written down any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn end(mut self) -> Ran {
        while self.next().is_some() {}
        let code = self.child.wait().unwrap().code().unwrap();
        let told = self.told.join().unwrap();
        for secret in &self.secrets {
            let shown = self.events.iter().any(|event| event.to_string().contains(secret)) || told.contains(secret);
            assert!(!shown, "a secret was shown");
        }
        Ran { code, events: self.events, told }
    }
}

impl Ran {
    /// How a step ended last, if it ended.
    pub fn status(&self, step: &str) -> Option<&str> {
        let ends = self.events.iter().rev().filter(|event| event["step"] == step);
        ends.filter_map(|event| match event["event"].as_str() {
            Some("step_finished") => event["status"].as_str(),
            Some("step_skipped") => Some("skipped"),
            _ => None,
        })
        .next()
    }

    /// What a step has captured under that name, in the order in which it ended; the last one counts.
    pub fn captured(&self, name: &str) -> Option<&Value> {
        self.events.iter().rev().filter_map(|event| event["captures"].get(name)).next()
    }

    pub fn succeeded(&self) -> &Ran {
        assert_eq!(self.code, 0, "{}", self.told);
        self
    }

    /// It stopped at that step, and told why.
    pub fn stopped_at(&self, step: &str, why: &str) -> &Ran {
        self.ended_at(1, step, "failed", why)
    }

    /// It does not know what became of that step, and says so.
    pub fn open_at(&self, step: &str, why: &str) -> &Ran {
        self.ended_at(7, step, "unknown", why)
    }

    fn ended_at(&self, code: i32, step: &str, status: &str, why: &str) -> &Ran {
        // What ran beside it, and what it stands in, may have ended after it.
        let ends = |event: &&Value| event["event"] == "step_finished" && event["step"] == step;
        let found = self.events.iter().rev().find(ends);
        let found = found.unwrap_or_else(|| panic!("{step} has not ended: {}", self.told));
        let error = found["error"].as_str().unwrap_or_default();
        assert_eq!(
            (self.code, found["step"].as_str(), found["status"].as_str()),
            (code, Some(step), Some(status)),
            "{}",
            self.told
        );
        assert!(error.contains(why), "it does not say «{why}»: {error}");
        self
    }
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|end| end == "yaml")
            && !path.to_string_lossy().ends_with(".scenarios.yaml")
        {
            found.push(path);
        }
    }
    found
}
