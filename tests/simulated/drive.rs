//! Runs a runbook on a simulated machine as `run` and `resume` do: from nothing, or from what a crash left. Knows nothing
//! of what must be true of it.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use indexmap::IndexMap;
use runsheet::{
    engine::{Decision, Engine, Options, Publisher, RunEnd, secret_sources},
    event::{Event, Outcome, Progress, Record, Redactor, RunId, RunStarted, RunState, StepPhase, StepStatus},
    journal::{Cut, JOURNAL_VERSION, LANGUAGE_VERSION, MemoryStorage, Op, OpenRun, Replay, RunStore, StoreError, Who},
    kinds::registry,
    model::{Linker, Names, Runbook, Runbooks, Step, load_from},
    plan::{Inputs, Plan, Sources, ValueSource, resolve},
    port::{Journal, JournalError, Local, Operator, OutputLog, SecretSource, Sink, Storage, World},
    syntax::decode,
    text::{DrawStyle, Source, draw, draw_all},
    value::{Secret, Type, Value},
    worlds::scenario::clock::{Halt, drive},
};

use super::{
    checks::Rule,
    facts::Facts,
    person::{Manner, Person, nobody, settle},
    world::SimWorld,
};

pub const STATE: &str = "/state/runsheet";

/// A runbook and how it is run.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub text: String,
    /// A person is there; otherwise `--yes`, and `--as` where something is unknown.
    pub attended: bool,
    pub step_mode: bool,
    pub jobs: usize,
    pub manner: Manner,
    pub source: Source,
    pub runbook: Rc<Runbook>,
    names: Rc<Names>,
    /// For each step the places of those that it needs, with the default parameters.
    pub needs: Vec<Vec<usize>>,
}

/// The runbooks that others call.
struct Shelf;

impl Runbooks for Shelf {
    fn find(&self, name: &str) -> Result<Source, (String, Option<String>)> {
        let text = super::books::called(name).ok_or_else(|| (format!("there is no runbook `{name}`"), None))?;
        Ok(Source::new(format!("{name}.yaml"), text))
    }
}

impl Case {
    /// Panics with the drawn problems of a runbook that is none.
    pub fn new(name: &str, text: &str) -> Case {
        let Ok(source) = decode(format!("{name}.yaml"), text.as_bytes().to_vec()) else { panic!("{name}: no text") };
        let loaded = load_from(name, &source, &Linker::new(registry(), Rc::new(Shelf)));
        let Some(runbook) = loaded.runbook else {
            panic!("{}", draw_all(&source, &loaded.problems, DrawStyle::default()));
        };
        let mut case = Case {
            name: name.into(),
            text: text.into(),
            attended: true,
            step_mode: false,
            jobs: 4,
            manner: Manner::default(),
            source,
            runbook: Rc::new(runbook),
            names: Rc::new(loaded.names),
            needs: Vec::new(),
        };
        let plan = case.plan(case.inputs(&|_| None));
        case.needs = plan.main.edges.iter().map(|edges| edges.keys().copied().collect()).collect();
        case
    }

    /// The parameters' values, from variables and defaults.
    fn inputs(&self, variable: &dyn Fn(&str) -> Option<String>) -> Inputs {
        let (inputs, problems) = resolve(
            &self.runbook,
            &Sources {
                flags: &IndexMap::new(),
                file: &IndexMap::new(),
                profile: None,
                variable: &|name| variable(name).map(Into::into),
            },
        );
        assert!(problems.is_empty() && inputs.missing().is_empty(), "{}: parameters", self.name);
        inputs
    }

    pub fn unattended(self) -> Case {
        Case { attended: false, name: format!("{} unattended", self.name), ..self }
    }

    pub fn step_mode(self) -> Case {
        Case { step_mode: true, name: format!("{} step by step", self.name), ..self }
    }

    pub fn jobs(self, jobs: usize) -> Case {
        Case { jobs, name: format!("{} with {jobs} at a time", self.name), ..self }
    }

    pub fn manner(self, manner: Manner) -> Case {
        Case { manner, ..self }
    }

    fn plan(&self, inputs: Inputs) -> Plan {
        match Plan::make(Rc::clone(&self.runbook), Rc::clone(&self.names), inputs) {
            Ok(plan) => plan,
            Err(problems) => panic!("{}", draw_all(&self.source, &problems, DrawStyle::default())),
        }
    }

    fn file(&self) -> String {
        format!("{}.yaml", self.runbook.name)
    }

    /// Steps that only a person can see through, with the values that they want.
    fn personal(&self) -> impl Iterator<Item = (String, Vec<(String, Type)>)> + '_ {
        let typed = |step: &Step| {
            let typed = step.body.action.typed().iter();
            typed.map(|(name, param)| (name.value.clone(), param.shape.ty)).collect()
        };
        let steps = self.runbook.all_steps().filter(|step| matches!(step.body.kind, "manual" | "ask"));
        steps.map(move |step| (step.path.to_string(), typed(step)))
    }
}

type MakeStorage = Rc<dyn Fn(MemoryStorage) -> Rc<dyn Storage>>;
type MakeJournal = Rc<dyn Fn(Rc<dyn Journal>) -> Rc<dyn Journal>>;

/// What stands between engine and machine: nothing, unless a test of the tests puts something wrong there.
#[derive(Clone)]
pub struct Rig {
    pub storage: MakeStorage,
    pub journal: MakeJournal,
    /// What the engine is told of the past.
    pub state: fn(&mut RunState),
    /// The world does not remember what an earlier engine left.
    pub forgetful: bool,
    /// What is acknowledged counts as promised. Without, a broken promise is found where it does harm.
    pub promises: bool,
    /// Processes may overlap.
    pub overlap: bool,
    /// At each moment another program tries to get at the run and at its lock.
    pub rival: bool,
}

impl Default for Rig {
    fn default() -> Rig {
        Rig {
            storage: Rc::new(|disk| Rc::new(disk)),
            journal: Rc::new(|journal| journal),
            state: |_| (),
            forgetful: false,
            rival: false,
            promises: true,
            overlap: false,
        }
    }
}

/// Where an engine dies, counted from the beginning of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Crash {
    /// At this change of the disk.
    Change(u64),
    /// When this has happened in the world.
    Moment(u64),
}

/// What dies with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fall {
    /// The program alone, and somebody goes on at once.
    Kill,
    /// The program alone, and nobody comes for an hour.
    KillAndLeave,
    /// The machine.
    Power(Cut),
}

/// What a session came to.
#[derive(Debug)]
pub enum Came {
    Crashed,
    /// The engine ended by itself.
    Ended(RunEnd),
    /// It did not come to an engine.
    Refused(String),
    /// It waits for what never happens.
    Hangs(Halt),
}

#[derive(Debug)]
pub struct Session {
    pub came: Came,
    /// Changes of the disk, and moments of the world.
    pub changes: u64,
    pub moments: u64,
    /// The change at which it died.
    pub op: Option<Op>,
}

/// A disk, a world around it, and what was promised so far.
pub struct Machine {
    pub disk: MemoryStorage,
    pub facts: Facts,
    /// Records that were acknowledged, in order.
    pub acked: Vec<Record>,
    /// What was shown, said and asked.
    pub shown: Vec<Vec<u8>>,
    /// What went wrong on the way and can no longer be seen from what is left.
    pub broken: Vec<(Rule, String)>,
    pub run: RunId,
    pub sessions: u32,
    pub last: Option<RunEnd>,
    runs: u64,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            disk: MemoryStorage::new(),
            facts: Facts::default(),
            acked: Vec::new(),
            shown: Vec::new(),
            broken: Vec::new(),
            run: run_id(0),
            sessions: 0,
            last: None,
            runs: 0,
        }
    }
}

fn run_id(number: u64) -> RunId {
    RunId::make("2026-11-20T20:13:04Z".parse().unwrap(), number)
}

pub fn who() -> Who {
    Who { operator: "ada".into(), host: "desk".into(), since: "2026-11-20T20:13:04Z".parse().unwrap() }
}

impl Machine {
    /// The same machine, in another future.
    pub fn fork(&self) -> Machine {
        Machine {
            disk: self.disk.fork(),
            facts: self.facts.clone(),
            acked: self.acked.clone(),
            shown: self.shown.clone(),
            broken: self.broken.clone(),
            run: self.run.clone(),
            last: self.last.clone(),
            ..*self
        }
    }

    /// The store as an honest program sees it.
    pub fn store(&self) -> RunStore {
        RunStore::new(Rc::new(self.disk.clone()), STATE).with_last_resort(Rc::new(|_| ()))
    }

    /// Everything that was running falls.
    pub fn fall(&mut self, fall: Fall) {
        match fall {
            Fall::Kill | Fall::KillAndLeave => {
                self.disk.kill();
                self.facts.killed();
                if fall == Fall::KillAndLeave {
                    self.facts.pass(Duration::from_secs(3600));
                }
            }
            Fall::Power(cut) => {
                self.disk.power_cut(cut);
                self.facts.power_cut(cut);
                self.facts.pass(Duration::from_secs(60));
            }
        }
    }

    /// One program, from its start to its end or to its death: `run` where there is no run, else `resume`.
    pub fn session(&mut self, case: &Case, rig: &Rig, crash: Option<Crash>) -> Session {
        self.sessions += 1;
        let before = self.disk.changes();
        let disk = self.disk.clone();
        let dies_at = match crash {
            Some(Crash::Change(change)) => {
                disk.halt_at(change);
                None
            }
            Some(Crash::Moment(moment)) => Some(moment),
            None => None,
        };
        let heard = Rc::new(Heard::default());
        let hear = Rc::clone(&heard);
        let store = RunStore::new((rig.storage)(disk.clone()), STATE)
            .with_last_resort(Rc::new(move |line| hear.said.borrow_mut().push(line.as_bytes().to_vec())));
        // What a program drops in its death is not written any more: the disk is that of the moment before.
        let left = Rc::new(RefCell::new(None));
        let (take, of) = (Rc::clone(&left), disk.clone());
        let halted = disk.clone();
        let mut world = SimWorld::new(self.facts.clone(), dies_at, Box::new(move || halted.halted()))
            .forgetful(rig.forgetful)
            .at_the_last(Box::new(move || *take.borrow_mut() = Some(of.fork())));
        if rig.rival {
            world = world.at_each_moment(rival(store.clone(), self.run.clone(), Rc::clone(&heard)));
        }
        let world = Rc::new(world);
        let program = Program { case, rig, store: &store, world: &world, heard: &heard, run: self.run.clone() };
        let driven = drive(&*world, program.go(self.runs, self.last.as_ref()));
        let crashed = world.died() || disk.halted();
        let op = disk.halted().then(|| disk.trace().last().map(|(op, _)| *op)).flatten();
        self.run = heard.run.borrow().clone().unwrap_or_else(|| self.run.clone());
        self.runs += u64::from(heard.run.borrow().is_some());
        if rig.promises {
            self.acked.append(&mut heard.acked.borrow_mut());
        }
        self.shown.append(&mut heard.said.borrow_mut());
        self.broken.append(&mut heard.broken.borrow_mut());
        let moments = world.moments();
        self.facts = world.facts().clone();
        if rig.overlap {
            self.facts.wrong.clear();
        }
        self.facts.killed();
        let changes = disk.changes() - before;
        let left = left.borrow_mut().take();
        self.disk = left.unwrap_or_else(|| disk.fork());
        let came = match driven {
            _ if crashed => Came::Crashed,
            Ok(Ok(end)) => {
                self.last = Some(end.clone());
                Came::Ended(end)
            }
            Ok(Err(why)) => Came::Refused(why),
            Err(halt) => Came::Hangs(halt),
        };
        Session { came, changes, moments, op }
    }

    /// The journal on the disk as it is; none where there is no run.
    pub fn journal(&self) -> Option<Replay> {
        let bytes = self.disk.read(&dir_of(self).join("journal.jsonl")).ok()?;
        Some(Replay::of(&bytes))
    }
}

/// What is heard of a program while it lives.
#[derive(Default)]
struct Heard {
    acked: RefCell<Vec<Record>>,
    said: RefCell<Vec<Vec<u8>>>,
    broken: RefCell<Vec<(Rule, String)>>,
    /// The run that was made.
    run: RefCell<Option<RunId>>,
}

/// Another program that tries to get in.
fn rival(store: RunStore, run: RunId, heard: Rc<Heard>) -> Box<dyn Fn()> {
    Box::new(move || {
        let run = heard.run.borrow().clone().unwrap_or_else(|| run.clone());
        if store.open(&run, &who()).is_ok() {
            let what = format!("a second program opened run {run} while it was going on");
            heard.broken.borrow_mut().push((Rule::Alone, what));
        }
        let other = run_id(77);
        if store.acquire(&["release".to_owned()], &other, "other", &who()).is_ok() {
            let what = format!("run {other} took the lock that run {run} holds");
            heard.broken.borrow_mut().push((Rule::Alone, what));
        }
    })
}

/// Notes what was promised.
struct Witness {
    inner: Rc<dyn Journal>,
    heard: Rc<Heard>,
}

impl Journal for Witness {
    fn append<'a>(&'a self, record: &'a Record) -> Local<'a, Result<(), JournalError>> {
        let appended = self.inner.append(record);
        Box::pin(async move {
            appended.await?;
            self.heard.acked.borrow_mut().push(record.clone());
            Ok(())
        })
    }

    fn output(&self, step: &runsheet::event::StepId, attempt: u32) -> Result<Box<dyn OutputLog>, JournalError> {
        self.inner.output(step, attempt)
    }

    fn step_dir(&self) -> Option<PathBuf> {
        self.inner.step_dir()
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        self.inner.scratch_dir()
    }
}

impl Sink for Heard {
    fn accept(&self, record: &Record) {
        self.said.borrow_mut().push(serde_json::to_vec(record).unwrap());
        // To be shown is a promise as well.
        if !self.acked.borrow().contains(record) {
            self.acked.borrow_mut().push(record.clone());
        }
    }

    fn progress(&self, progress: &Progress) {
        if let Progress::Output { bytes, .. } = progress {
            self.said.borrow_mut().push(bytes.clone());
        }
    }
}

/// One program.
struct Program<'p> {
    case: &'p Case,
    rig: &'p Rig,
    store: &'p RunStore,
    world: &'p Rc<SimWorld>,
    heard: &'p Rc<Heard>,
    run: RunId,
}

impl Program<'_> {
    async fn go(&self, runs: u64, last: Option<&RunEnd>) -> Result<RunEnd, String> {
        let could_not = |error: StoreError| format!("could not {error}");
        let redactor = Redactor::new();
        if runs > 0 {
            match self.store.open(&self.run, &who()) {
                Ok(open) => return self.resume(open, &redactor, last).await,
                // It was never made.
                Err(StoreError::NoSuchRun(_)) => {}
                Err(error) => return Err(could_not(error)),
            }
        }
        let run = run_id(runs);
        self.heard.run.replace(Some(run.clone()));
        let plan = self.case.plan(self.case.inputs(&|name| self.world.variable(name)));
        self.mask(&plan, &redactor);
        let (plan_json, digest) = plan.recorded(&redactor);
        let name = &self.case.runbook.name;
        let held = self.store.acquire(&locks(&plan, &redactor), &run, name, &who()).map_err(could_not)?;
        let began = self.world.wall();
        let header = RunStarted {
            journal: JOURNAL_VERSION,
            format: LANGUAGE_VERSION,
            run: run.clone(),
            runbook: name.clone(),
            origin: "built-in".into(),
            digest,
            params: plan.params_json(),
            param_sources: plan.sources_json(),
            secrets: self.case.runbook.secrets.values().map(|s| (s.name.clone(), s.describe().into())).collect(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            operator: who().operator,
            host: who().host,
            cwd: "/work".into(),
            attended: self.case.attended,
            profile: None,
            lock: plan.lock.clone(),
            files: Default::default(),
        };
        let first = Record { seq: 1, time: began, elapsed_ms: 0, event: Event::RunStarted(Box::new(header)) };
        let first = redactor.record(first);
        let files = [(self.case.file(), self.case.text.clone().into_bytes())];
        let mut open = self.store.create(&run, &first, &files, &plan_json).map_err(could_not)?;
        self.heard.acked.borrow_mut().push(first.clone());
        open.hold(held);
        self.engine(&plan, open, &redactor, began, std::slice::from_ref(&first), None, None).await
    }

    async fn resume(&self, mut open: OpenRun, redactor: &Redactor, last: Option<&RunEnd>) -> Result<RunEnd, String> {
        let could_not = |error: StoreError| format!("could not {error}");
        let header = open.state.header.clone().ok_or("it has no beginning")?;
        if let Some((outcome, code)) = open.state.finished
            && outcome.closes()
        {
            open.close().map_err(could_not)?;
            return Ok(RunEnd { outcome, code, reason: None });
        }
        let frozen = self.store.frozen(&open.id).map_err(could_not)?;
        if frozen.files != [(self.case.file(), self.case.text.clone().into_bytes())] {
            return Err("the frozen runbook is not the one it began with".into());
        }
        let mut given = Inputs::default();
        for (name, param) in &self.case.runbook.params {
            let json = header.params.get(name).ok_or("a parameter is gone")?;
            let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            given.set(name, param.shape.ty.read(&text)?, ValueSource::Default);
        }
        let plan = self.case.plan(given);
        self.mask(&plan, redactor);
        if plan.recorded(redactor).1 != header.digest {
            return Err("it is planned differently".into());
        }
        (self.rig.state)(&mut open.state);
        let name = &self.case.runbook.name;
        let held = self.store.acquire(&locks(&plan, redactor), &open.id, name, &who()).map_err(could_not)?;
        open.hold(held);
        let began = open.records.first().map_or_else(|| self.world.wall(), |record| record.time);
        let resumed = Event::RunResumed {
            by: who().operator,
            host: who().host,
            tool_version: env!("CARGO_PKG_VERSION").into(),
            attended: self.case.attended,
            undo: false,
        };
        let decision = last.filter(|end| !self.case.attended && end.outcome == Outcome::Unknown);
        let decision = decision.and_then(|_| self.decide(&open.state));
        self.engine(&plan, open, redactor, began, &[], Some(resumed), decision).await
    }

    #[expect(clippy::too_many_arguments, reason = "what a run and a resume find in different ways")]
    async fn engine(
        &self,
        plan: &Plan,
        open: OpenRun,
        redactor: &Redactor,
        began: jiff::Timestamp,
        first: &[Record],
        resumed: Option<Event>,
        decision: Option<(String, Decision)>,
    ) -> Result<RunEnd, String> {
        let inner = (self.rig.journal)(open.journal.clone());
        let journal = Witness { inner, heard: Rc::clone(self.heard) };
        let sinks: Vec<Rc<dyn Sink>> = vec![Rc::clone(self.heard) as Rc<dyn Sink>];
        let world: &dyn World = &**self.world;
        let publisher = Publisher::new(world, &journal, sinks, redactor.clone(), open.state.clone());
        first.iter().for_each(|record| publisher.show(record));
        for event in open.recovered.iter().cloned().chain(resumed) {
            if let Err(error) = publisher.publish(event).await {
                return Ok(RunEnd { outcome: Outcome::Unknown, code: 9, reason: Some(error.to_string()) });
            }
        }
        let person = Person::new(Rc::clone(self.world), self.case.manner.clone());
        let nobody = nobody(self.case.personal());
        let operator: &dyn Operator = if self.case.attended { &person } else { &nobody };
        let dir = journal.scratch_dir().map(|dir| Value::text(dir.display().to_string()));
        let run = IndexMap::from([
            ("id".to_owned(), Value::text(open.id.as_str())),
            ("started".to_owned(), Value::text(began.to_string())),
            ("operator".to_owned(), Value::text("ada")),
            ("dir".to_owned(), dir.unwrap_or(Value::None)),
        ]);
        let options = Options {
            step_mode: self.case.step_mode,
            jobs: self.case.jobs,
            base_env: Vec::new(),
            cwd: "/work".into(),
            run: Some(Value::map(run)),
            signals: None,
            secrets: IndexMap::new(),
            decisions: decision.into_iter().collect(),
            undo: false,
            draw: Rc::new(|source, diagnostic| draw(source, diagnostic, DrawStyle::default()).trim_end().to_owned()),
        };
        let end = Engine::new(plan, world, operator, &journal, publisher, options).run().await;
        self.heard.said.borrow_mut().extend(person.seen.take().into_iter().map(String::into_bytes));
        if end.code == 70 {
            self.heard.broken.borrow_mut().push((Rule::Ends, format!("a mistake of ours: {:?}", end.reason)));
        }
        open.close().map_err(|error| format!("could not {error}"))?;
        Ok(end)
    }

    fn mask(&self, plan: &Plan, redactor: &Redactor) {
        for (_, source) in secret_sources(plan) {
            if let Ok(Some(SecretSource::Env(variable))) = source {
                let secret = self.world.variable(&variable).expect("a variable of this world");
                redactor.add(&Secret::new(secret), false).expect("it is long enough");
            }
        }
    }

    /// What a truthful person says of the first step that waits for a decision.
    fn decide(&self, state: &RunState) -> Option<(String, Decision)> {
        let open = |phase: &StepPhase| {
            matches!(phase, StepPhase::Running | StepPhase::Finished { status: StepStatus::Unknown, .. })
        };
        let (step, _) = state.steps.iter().find(|(_, of)| open(&of.phase) && of.entered.is_none())?;
        // A look is worth something only when nothing is under way any more.
        while self.world.facts().busy(step.as_str()) {
            self.world.facts_mut().pass(Duration::from_secs(1));
        }
        let done = settle(self.world, step.as_str());
        Some((step.to_string(), Decision { done, reason: "the ledger says so".into() }))
    }
}

fn locks(plan: &Plan, redactor: &Redactor) -> Vec<String> {
    plan.lock.iter().map(|lock| redactor.text(lock).into_owned()).collect()
}

/// The folder of a run on a machine.
pub fn dir_of(machine: &Machine) -> PathBuf {
    Path::new(STATE).join("runs").join(machine.run.as_str())
}
