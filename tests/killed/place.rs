//! A folder in which one situation is played again and again, and what must be true of it at any moment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use base64::Engine as _;
use runsheet::{
    event::{RunId, RunState, StepId, StepPhase, StepStatus},
    journal::{DiskStorage, RunStore, Standing, verify},
};
use serde_json::{Value as Json, json};

use super::{
    situations::Situation,
    tracer::{Point, Traced, Whom, follow},
};
use crate::{
    lab::{Ended, Lab, finish, processes_of, until},
    standins::server::{Reply, Server},
};

/// In the environment, and what a step makes: neither may be found in anything that is kept or said.
const CANARY: &str = "tok-9f3Kq/Zp+81xxVb27";
const MADE: &str = "grant:4be1~Vault?77&Lm";

pub struct Place<'a> {
    pub situation: &'a Situation,
    pub lab: Lab,
    server: Server,
    /// The lab as it is before each kill.
    kept: tempfile::TempDir,
    /// How the run ends if nothing disturbs it.
    end: Option<BTreeMap<String, (StepStatus, String)>>,
}

impl<'a> Place<'a> {
    /// Plays the situation once without a kill, and checks that this is as it says.
    pub fn new(situation: &'a Situation) -> Place<'a> {
        let lab = Lab::new();
        let marks = lab.path("marks");
        let again = lab.path("again");
        let server = Server::start(move |request| {
            let mark = |file: &Path, text: &str| {
                use std::io::Write;
                let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
                file.write_all(format!("{text}\n").as_bytes()).unwrap();
            };
            let there = |word: &str| std::fs::read_to_string(&marks).unwrap_or_default().contains(word);
            let said = request.json().unwrap_or_default();
            match (request.line().as_str(), said["version"].as_str(), said["id"].as_i64()) {
                ("GET /version", ..) => Reply::json(200, &json!({"version": "v7"})),
                ("POST /post", Some(version), _) => {
                    mark(&marks, &format!("post {version}"));
                    Reply::json(201, &json!({}))
                }
                ("PUT /put", ..) if request.body == b"whole" => {
                    mark(&again, "put");
                    Reply::json(200, &json!({"id": 12}))
                }
                ("POST /checked", _, Some(id)) => {
                    mark(&marks, &format!("checked {id}"));
                    Reply::json(201, &json!({}))
                }
                ("GET /checked", ..) => Reply::json(200, &json!({"there": there("checked")})),
                _ => Reply::empty(400),
            }
        });
        lab.book(&(situation.book)(&server.url()));
        lab.file("vault", MADE);
        lab.file("answers.yaml", "sure: yes\nreally: yes\n");
        let mut place = Place { situation, lab, server, kept: tempfile::tempdir().unwrap(), end: None };
        (situation.before)(&place);
        place.settled();
        copy(place.lab.home(), place.kept.path());
        let ended = place.call(situation.args).expect(situation.first);
        place.look(&ended.events(), "undisturbed");
        let code = place.converge("undisturbed");
        place.over(code, "undisturbed");
        place.end = Some(place.ends());
        place
    }

    pub fn restore(&self) {
        for entry in std::fs::read_dir(self.lab.home()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
        copy(self.kept.path(), self.lab.home());
    }

    fn state(&self) -> PathBuf {
        self.lab.state.join("runsheet")
    }

    pub fn store(&self) -> RunStore {
        RunStore::new(Rc::new(DiskStorage), self.state())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.env("CANARY", CANARY);
        command
    }

    pub fn call(&self, args: &[&str]) -> Ended {
        finish(self.command(args))
    }

    pub fn follow(&self, args: &[&str], whom: Whom, at: Option<&Point>) -> Traced {
        follow(self.command(args), whom, &self.state(), at)
    }

    /// For what comes before a situation.
    pub fn killed_at(&self, call: &'static str, about: &str, number: usize) {
        let point = Point { call, about: about.to_owned(), number };
        let traced = self.follow(super::situations::RUN, Whom::Program, Some(&point));
        assert!(traced.reached, "{point:?} {:#?}", traced.passed);
    }

    /// Nothing of what a dead program began is still on its way.
    pub fn settled(&self) {
        self.server.quiet();
        let steps = |run: &RunId| self.store().run_dir(run).join("steps");
        until("a place where nothing runs", || {
            processes_of(self.lab.home()).is_empty()
                && self.runs().iter().all(|run| {
                    let files = std::fs::read_dir(steps(run)).into_iter().flatten().flatten();
                    let mut locks = files.filter(|file| file.file_name().to_string_lossy().ends_with(".lock"));
                    locks.all(|lock| std::fs::File::open(lock.path()).unwrap().try_lock().is_ok())
                })
        });
    }

    fn runs(&self) -> Vec<RunId> {
        self.store().list().unwrap().into_iter().map(|summary| summary.run).collect()
    }

    fn only(&self) -> RunId {
        let mut runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    pub fn run_state(&self) -> RunState {
        self.store().read(&self.only()).unwrap().state
    }

    /// What must be true at any moment, given what a reader of the events was told. False if there is no run yet.
    pub fn look(&self, told: &[Json], point: &str) -> bool {
        let store = self.store();
        // A helper that was being started has the lock of the run until it has become a program of its own.
        until("the lock of a run that was killed", || {
            store.list().unwrap().iter().all(|summary| summary.outcome != Standing::Running)
        });
        let listed = store.list().unwrap();
        let [summary] = listed.as_slice() else {
            assert!(listed.is_empty(), "{point}: {listed:?}");
            assert!(told.is_empty() && self.marks().is_empty(), "{point}: something happened without a run");
            return false;
        };
        assert!(summary.problem.is_none(), "{point}: {summary:?}");
        assert!(!matches!(summary.outcome, Standing::Running | Standing::Broken), "{point}: {summary:?}");
        let journal = self.lab.journal();
        // What a reader of the events was told is on record, byte for byte but for the chain.
        for told in told {
            let seq = told["seq"].as_u64().unwrap();
            let kept = seq.checked_sub(1).and_then(|index| journal.get(usize::try_from(index).unwrap()));
            let kept = kept.unwrap_or_else(|| panic!("{point}: told of {told}, which is not on record"));
            for (name, value) in told.as_object().unwrap() {
                assert_eq!(&kept[name], value, "{point}: {name}");
            }
        }
        // Nothing happens before it is on record that it is about to.
        for mark in self.marks() {
            let step = mark.split(' ').next().unwrap().to_owned();
            let happened = self.marks().iter().filter(|mark| mark.split(' ').next() == Some(&step)).count();
            let intended = |record: &&Json| record["event"] == "effect_intended" && record["step"] == step.as_str();
            let intended = journal.iter().filter(intended).count();
            assert!(
                happened <= intended,
                "{point}: {step} happened {happened} times and was intended {intended} times"
            );
        }
        let report = verify(&store, &summary.run, None).unwrap();
        assert!(report.ok(), "{point}: {:#?}", report.lines());
        self.no_canary(point);
        true
    }

    fn marks(&self) -> Vec<String> {
        self.lab.marks("marks")
    }

    /// Goes on with the only run until it is over, deciding what is asked by looking at what is there.
    pub fn converge(&self, point: &str) -> i32 {
        for _ in 0..8 {
            let mut args = vec!["resume", "last", "--yes", "--json"];
            let open = self.unknown();
            let decided;
            if let Some(step) = &open
                && Some(step.as_str()) != self.situation.last
            {
                decided = if self.is_done(step) { "done" } else { "not-done" };
                args.extend(["--step", step, "--as", decided, "--reason", "the marks say so"]);
            }
            let ended = self.call(&args);
            self.clean(&ended, point);
            self.server.quiet();
            self.look(&ended.events(), point);
            match ended.code {
                Some(7) => {}
                Some(0 | 1) => return ended.code.unwrap(),
                _ => panic!("{point}: {args:?}: {ended:#?}\n{:#?}", self.lab.journal()),
            }
        }
        panic!("{point}: it does not come to an end: {:#?}", self.lab.journal());
    }

    /// A step whose outcome is for a person to tell.
    pub fn unknown(&self) -> Option<String> {
        let state = self.run_state();
        let open = |step: &&StepId| state.steps[*step].status() == Some(StepStatus::Unknown);
        state.steps.keys().find(open).map(ToString::to_string)
    }

    fn is_done(&self, step: &str) -> bool {
        let there = self.marks().iter().filter(|mark| mark.split(' ').next() == Some(step)).count();
        // It fails the first time.
        if step == "flaky" { there >= 2 } else { there >= 1 }
    }

    /// Nothing twice without a word of the operator, and everything there once.
    pub fn over(&self, code: i32, point: &str) {
        let situation = self.situation;
        let sorted = |mut lines: Vec<String>| {
            lines.sort_unstable();
            lines
        };
        let wanted = |lines: &[&str]| sorted(lines.iter().map(|line| (*line).to_owned()).collect());
        assert_eq!(sorted(self.marks()), wanted(situation.marks), "{point}: {:#?}", self.lab.journal());
        let mut again = sorted(self.lab.marks("again"));
        assert!(again.len() <= 6 * situation.again.len(), "{point}: {again:?}");
        again.dedup();
        assert_eq!(again, wanted(situation.again), "{point}");
        let mut open = false;
        if let Some(last) = situation.last {
            let times = self.lab.marks("tidied").len();
            let status = self.run_state().steps.get(&StepId::new(last)).and_then(|step| step.status());
            open = status == Some(StepStatus::Unknown);
            assert!(times == 1 || times == 0 && open, "{point}: {last} happened {times} times");
        }
        assert_eq!(code, if open { 1 } else { situation.code }, "{point}: {:#?}", self.lab.journal());
        if let (Some(end), false) = (&self.end, open) {
            assert_eq!(&self.ends(), end, "{point}");
        }
        self.settled();
        self.no_canary(point);
    }

    /// For some of the points, because each of these is a program: the verbs that read agree, and resuming what is over
    /// writes nothing.
    pub fn told_by_the_program(&self, code: i32, point: &str) {
        let before = self.lab.journal().len();
        let ended = self.call(&["resume", "last", "--yes"]).expect(code);
        self.clean(&ended, point);
        assert_eq!(self.lab.journal().len(), before, "{point}: resuming what is over writes nothing");
        self.lab.sound();
    }

    /// How each step stands, with its captures.
    fn ends(&self) -> BTreeMap<String, (StepStatus, String)> {
        let of = |phase: &StepPhase| match phase {
            // What a person found done is done.
            StepPhase::Finished { status: StepStatus::DoneByHand, .. } => (StepStatus::Succeeded, "{}".to_owned()),
            StepPhase::Finished { status, captures, .. } => (*status, Json::Object(captures.clone()).to_string()),
            other => panic!("a run that is over has no step in {other:?}"),
        };
        self.run_state().steps.iter().map(|(step, state)| (step.to_string(), of(&state.phase))).collect()
    }

    pub fn clean(&self, ended: &Ended, point: &str) {
        for needle in needles() {
            for said in [&ended.out, &ended.err] {
                assert!(!holds(said.as_bytes(), needle.as_bytes()), "{point}: it says {needle}: {said}");
            }
        }
    }

    fn no_canary(&self, point: &str) {
        let needles = needles();
        each_file(&self.state(), &mut |path| {
            // Files come and go beneath us while a supervisor lives.
            let bytes = std::fs::read(path).unwrap_or_default();
            for needle in &needles {
                assert!(!holds(&bytes, needle.as_bytes()), "{point}: {} holds {needle}", path.display());
            }
        });
    }
}

/// Both secrets, raw and in base64 at each of its three offsets.
fn needles() -> Vec<String> {
    let mut needles = Vec::new();
    for secret in [CANARY, MADE] {
        needles.push(secret.to_owned());
        for offset in 0..3 {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{}{secret}", &"..."[..offset]));
            // Without the groups that hold what stands before or behind.
            needles.push(text[4..text.len() - 4].to_owned());
        }
    }
    needles
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

fn each_file(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => each_file(&entry.path(), look),
            _ => look(&entry.path()),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            std::fs::set_permissions(&target, entry.metadata().unwrap().permissions()).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
