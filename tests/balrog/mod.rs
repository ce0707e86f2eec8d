//! The built-in runbooks of Balrog, run for real against stand-ins: the normal course, everything that may go wrong, and
//! for each check of a runbook that something would go wrong unseen without it.

mod front;
mod push;
mod retag;
mod retag_killed;
mod rollback;
mod rollback_killed;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::standins::{github, jenkins};

/// One runbook of the house with its parameters, in a folder of its own, away from the state of whoever runs the tests.
pub struct Bench {
    folder: tempfile::TempDir,
    runbook: PathBuf,
    params: Vec<String>,
    env: BTreeMap<String, OsString>,
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
    /// The runbook of that name, after some pieces of its text were replaced by others.
    pub fn new(name: &str, edits: &[(&str, &str)]) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
        let runbook = folder.path().join("runbook.yaml");
        // What it calls lies beside it, so that its text can be replaced as well.
        let mut files = vec![(house.join(format!("{name}.yaml")), runbook.clone())];
        for group in ["http", "jenkins"] {
            let below = Path::new("lib").join(group);
            fs::create_dir_all(folder.path().join(&below)).unwrap();
            for entry in fs::read_dir(house.join(&below)).unwrap() {
                let path = entry.unwrap().path();
                let copy = folder.path().join(&below).join(path.file_name().unwrap());
                files.push((path, copy));
            }
        }
        let mut texts: Vec<String> = files.iter().map(|(from, _)| fs::read_to_string(from).unwrap()).collect();
        for (old, new) in edits {
            let holds = texts.iter_mut().filter(|text| text.contains(old));
            let count = holds.map(|text| *text = text.replace(old, new)).count();
            assert!(count > 0, "no runbook says:\n{old}");
        }
        for ((_, to), text) in files.iter().zip(&texts) {
            fs::write(to, text).unwrap();
        }
        let mut env = BTreeMap::from([("PATH".to_owned(), std::env::var_os("PATH").unwrap())]);
        env.insert("HOME".into(), folder.path().into());
        env.insert("USER".into(), "tester".into());
        Bench { folder, runbook, params: Vec::new(), env }
    }

    pub fn param(mut self, name: &str, value: impl AsRef<str>) -> Bench {
        self.params.push(format!("--param={name}={}", value.as_ref()));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Bench {
        self.env.insert(name.into(), value.into());
        self
    }

    fn command(&self, verb: &[&str], answers: &[(&str, &str)]) -> Command {
        let file = self.folder.path().join("answers.yaml");
        let lines: Vec<String> = answers.iter().map(|(step, answer)| format!("{step}: \"{answer}\"\n")).collect();
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
        let mut verb = vec!["run", self.runbook.to_str().unwrap()];
        verb.extend(self.params.iter().map(String::as_str));
        Going::of(self.command(&verb, answers))
    }

    /// Goes on with the last run after somebody has decided what became of a step: `done` or `not-done`.
    pub fn decide(&self, step: &str, decision: &str, answers: &[(&str, &str)]) -> Ran {
        let verb = ["resume", "last", "--step", step, "--as", decision, "--reason", "seen in its own pages"];
        Going::of(self.command(&verb, answers)).end()
    }

    /// Goes on with the last run.
    pub fn resume(&self, answers: &[(&str, &str)]) -> Ran {
        Going::of(self.command(&["resume", "last"], answers)).end()
    }
}

/// A run that is under way.
pub struct Going {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    events: Vec<Value>,
    told: std::thread::JoinHandle<String>,
}

impl Going {
    fn of(mut command: Command) -> Going {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut errors = child.stderr.take().unwrap();
        let told = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Going { child, lines, events: Vec::new(), told }
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
        for token in [github::TOKEN, jenkins::TOKEN] {
            let shown = self.events.iter().any(|event| event.to_string().contains(token)) || told.contains(token);
            assert!(!shown, "a token was shown");
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
