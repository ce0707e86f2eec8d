//! Runs one scenario: the engine itself, over a journal in memory, in the simulated world, through every death that the
//! scenario wants. Knows nothing of what must come out.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, rc::Rc, time::Duration};

use futures_util::FutureExt;
use indexmap::IndexMap;

use super::{
    judge::judge,
    load::Book,
    person::{Answers, Asked},
    rehearse::{Live, until_dead},
    scenario::{Crash, Finding, Scenario},
};
use crate::{
    engine::{Engine, Options, Publisher, RunEnd, secret_sources},
    event::{Event, Record, Redactor, RunId, RunStarted, RunState},
    journal::{JOURNAL_VERSION, LANGUAGE_VERSION, MemoryStorage, OpenRun, RunStore, Who},
    model::SecretPlace,
    plan::Plan,
    port::{Operator, Sink, World},
    text::{Diagnostic, DrawStyle, Source, draw},
    value::{Scope, Secret, Value},
    worlds::scenario::{
        Driven, FOLDER, ScenarioWorld, Script, Simulated, Stage,
        clock::{Halt, drive},
    },
};

const STATE: &str = "/state/runsheet";
const NAME: &str = "tester";

/// What came of one scenario.
pub struct Ran {
    /// What is not as it must be; empty where it passed.
    pub findings: Vec<Finding>,
    pub warnings: Vec<Finding>,
    /// How the run ended, if it did.
    pub end: Option<RunEnd>,
    /// How long it took, by the clock of the scenario.
    pub simulated: Duration,
    /// Everything that was put on record.
    pub records: Vec<Record>,
    /// The steps whose commands and requests the world answered, as its rules name them.
    pub answered: BTreeSet<String>,
}

impl Ran {
    /// Where nothing was run.
    fn nothing() -> Ran {
        Ran {
            findings: Vec::new(),
            warnings: Vec::new(),
            end: None,
            simulated: Duration::ZERO,
            records: Vec::new(),
            answered: BTreeSet::new(),
        }
    }
}

/// The parameters that are refused, held against those that must be.
fn refusals(source: &Source, scenario: &Scenario) -> Vec<Finding> {
    let finding = |span, message: String| {
        let diagnostic = Diagnostic::error("refused", span, message);
        Finding { source: source.clone(), diagnostic, step: None }
    };
    let mut findings = Vec::new();
    for (name, wanted) in &scenario.expect.refused {
        let got = scenario.refused.iter().find(|(of, _)| *of == name.value);
        let message = match got {
            None => format!("expected parameter `{}` to be refused, and it is taken", name.value),
            Some((_, why)) if !wanted.matches(why) => {
                format!("expected parameter `{}` to be refused for another reason, got: {why}", name.value)
            }
            Some(_) => continue,
        };
        findings.push(finding(name.span, message));
    }
    for (name, why) in &scenario.refused {
        if !scenario.expect.refused.iter().any(|(of, _)| of.value == *name) {
            findings.push(finding(scenario.name.span, format!("parameter `{name}` is refused: {why}")));
        }
    }
    findings
}

/// What a run in a scenario's world came to.
pub struct Came {
    pub end: Ended,
    pub records: Vec<Record>,
    pub state: RunState,
    /// What the names stood for at the end.
    pub scope: Scope,
    pub asked: Vec<Asked>,
    pub stage: Rc<Stage>,
    pub redactor: Redactor,
    pub simulated: Duration,
    /// Deaths that never came.
    pub alive: Vec<usize>,
}

/// How it ended.
pub enum Ended {
    Run(RunEnd),
    /// Something was asked of the world that no rule answers.
    Unanswered,
    /// It waits for what never happens, or does something without end.
    Hangs(Halt),
    /// It did not come to an engine, or not to its end.
    Refused(String),
}

/// Runs a scenario and holds what came of it against what it says.
pub fn run(book: &Book, source: &Source, scenario: &Scenario) -> Ran {
    if !scenario.expect.refused.is_empty() {
        return Ran { findings: refusals(source, scenario), ..Ran::nothing() };
    }
    let plan = match Plan::make(Rc::clone(&book.runbook), Rc::clone(&book.names), scenario.inputs.clone()) {
        Ok(plan) => plan,
        Err(problems) => {
            let of = &book.runbook.source;
            let finding = |diagnostic| Finding { source: of.clone(), diagnostic, step: None };
            return Ran { findings: problems.into_iter().map(finding).collect(), ..Ran::nothing() };
        }
    };
    let answers = Answers::new(&scenario.answers);
    let mut came = unattended(&plan, scenario, &answers);
    came.asked = answers.asked();
    let (findings, warnings) = judge(book, source, scenario, &answers, &came);
    let end = match came.end {
        Ended::Run(end) => Some(end),
        _ => None,
    };
    let commands = came.stage.commands().into_iter().map(|of| of.step);
    let answered = commands.chain(came.stage.requests().into_iter().map(|of| of.step)).collect();
    Ran { findings, warnings, end, simulated: came.simulated, records: came.records, answered }
}

/// With the answers of the scenario, as fast as it goes.
pub(super) fn unattended(plan: &Plan, scenario: &Scenario, answers: &Answers) -> Came {
    let clock = Rc::new(Simulated::default());
    let stage = Rc::new(Stage::new(script(plan, scenario), Rc::clone(&clock) as Rc<_>));
    let pace = Pace::Simulated(&clock);
    let came = simulate(plan, scenario, answers, stage, &pace);
    // Whatever it waits for in simulated time was driven to its end inside. Where a runtime stands around it, that shall
    // not make it give way to others in the middle.
    tokio::task::unconstrained(came).now_or_never().expect("nothing is left to wait for")
}

/// Whether anybody lives through it.
pub(super) enum Pace<'a> {
    Simulated(&'a Simulated),
    Live(&'a Live<'a>),
}

/// Runs a plan from its beginning to its end, and through every death in between.
pub(super) async fn simulate(
    plan: &Plan,
    scenario: &Scenario,
    answers: &dyn Operator,
    stage: Rc<Stage>,
    pace: &Pace<'_>,
) -> Came {
    let live = match pace {
        Pace::Simulated(_) => None,
        Pace::Live(live) => Some(*live),
    };
    let mut disk = MemoryStorage::new();
    let run = RunId::make(scenario.world.wall, 1);
    let mut state = RunState::default();
    let mut scope = plan.scope();
    let mut records = Vec::new();
    let mut crashes = scenario.crashes.iter().map(|crash| &crash.value).enumerate().peekable();
    let mut alive = Vec::new();
    let mut sessions = 0;
    let (end, redactor) = loop {
        sessions += 1;
        // Every program begins to learn what it must not show.
        let redactor = Redactor::new();
        let crash = crashes.peek().map(|(_, crash)| *crash);
        let left = Rc::new(RefCell::new(None));
        let (keep, of) = (Rc::clone(&left), disk.clone());
        stage.at_the_last(Box::new(move || *keep.borrow_mut() = Some(of.fork())));
        if let Some(Crash::During(step)) = crash {
            stage.die_during(step);
        }
        let seen = Rc::new(Seen { stage: Some(Rc::clone(&stage)), ..Seen::default() });
        *seen.dies_after.borrow_mut() = match crash {
            Some(Crash::After(step)) => Some(step.clone()),
            _ => None,
        };
        let world = ScenarioWorld::new(Rc::clone(&stage));
        let store = RunStore::new(Rc::new(disk.clone()), STATE).with_last_resort(Rc::new(|_| ()));
        let program = Program {
            plan,
            scenario,
            answers,
            world: &world,
            store: &store,
            redactor: &redactor,
            seen: &seen,
            run: &run,
            first: sessions == 1,
            live,
        };
        let driven = match pace {
            Pace::Simulated(clock) => drive(&Driven { stage: &stage, clock }, program.go()),
            Pace::Live(_) => until_dead(&stage, program.go()).await,
        };
        records.append(&mut seen.records.borrow_mut());
        match driven {
            Ok(Ok(session)) => {
                (state, scope) = (session.state, session.scope);
                break (Ended::Run(session.end), redactor);
            }
            Ok(Err(why)) => break (Ended::Refused(why), redactor),
            Err(Halt::Stopped) if stage.gave_up() => break (Ended::Unanswered, redactor),
            Err(Halt::Stopped) => {
                crashes.next();
                if let Some(left) = left.borrow_mut().take() {
                    disk = left;
                }
                stage.revive();
                // Somebody comes a little later.
                if let Pace::Simulated(clock) = pace {
                    clock.pass(Duration::from_secs(1));
                }
            }
            Err(halt) => break (Ended::Hangs(halt), redactor),
        }
    };
    if !matches!(end, Ended::Run(_)) {
        state = RunState::default();
        for record in &records {
            // Where it stopped is told elsewhere.
            if state.apply(record).is_err() {
                break;
            }
        }
    }
    alive.extend(crashes.map(|(at, _)| at));
    let simulated = stage.now();
    Came { end, records, state, scope, asked: Vec::new(), stage, redactor, simulated, alive }
}

/// The scenario's world, with its secrets under the sources from which the runbook reads them.
pub(super) fn script(plan: &Plan, scenario: &Scenario) -> Script {
    let mut script = scenario.world.clone();
    for (spec, source) in secret_sources(plan) {
        if let (Ok(Some(source)), Some(secret)) = (source, scenario.secrets.get(&spec.name)) {
            script.secrets.push((source, Secret::new(secret.expose().to_owned())));
        }
    }
    script
}

/// Hears every record, and knows when the engine has to die.
#[derive(Default)]
struct Seen {
    records: RefCell<Vec<Record>>,
    dies_after: RefCell<Option<String>>,
    stage: Option<Rc<Stage>>,
}

impl Sink for Seen {
    fn accept(&self, record: &Record) {
        let Some(stage) = self.stage.as_ref().filter(|stage| !stage.is_dead()) else { return };
        self.records.borrow_mut().push(record.clone());
        let over = match &record.event {
            Event::StepFinished { step, .. } | Event::StepSkipped { step, .. } => step.as_str(),
            _ => return,
        };
        if self.dies_after.borrow().as_deref() == Some(over) {
            stage.die();
        }
    }
}

/// One program, from its start to its end or to its death: `run` at first, then `resume`.
struct Program<'a> {
    plan: &'a Plan,
    scenario: &'a Scenario,
    answers: &'a dyn Operator,
    world: &'a ScenarioWorld,
    store: &'a RunStore,
    redactor: &'a Redactor,
    seen: &'a Rc<Seen>,
    run: &'a RunId,
    first: bool,
    /// Who is there, if somebody is.
    live: Option<&'a Live<'a>>,
}

struct Session {
    end: RunEnd,
    state: RunState,
    scope: Scope,
}

impl Program<'_> {
    async fn go(&self) -> Result<Session, String> {
        for (_, secret) in &self.scenario.secrets {
            // One that is too short is refused by the step that uses it.
            let _ = self.redactor.add(secret, true);
        }
        let (first, open) = if self.first { self.begin()? } else { (None, self.reopen()?) };
        let events = if self.first { Vec::new() } else { self.resumed(&open) };
        let world: &dyn World = self.world;
        let mut sinks: Vec<Rc<dyn Sink>> = vec![Rc::clone(self.seen) as Rc<dyn Sink>];
        if let Some(live) = self.live {
            sinks.extend((live.sinks)((!self.first).then_some(&open.state)));
        }
        let journal = open.journal.clone();
        let publisher = Publisher::new(world, &*journal, sinks, self.redactor.clone(), open.state.clone());
        if let Some(first) = &first {
            publisher.show(first);
        }
        for event in events {
            publisher.publish(event).await.map_err(|error| error.to_string())?;
        }
        let began = open.records.first().map_or_else(|| world.wall(), |record| record.time);
        let engine = Engine::new(self.plan, world, self.answers, &*journal, publisher, self.options(began));
        let end = engine.run().await;
        let (state, scope) = (engine.publisher().state().clone(), engine.scope());
        drop(engine);
        open.close().map_err(|error| format!("could not {error}"))?;
        Ok(Session { end, state, scope })
    }

    fn begin(&self) -> Result<(Option<Record>, OpenRun), String> {
        let runbook = &self.plan.runbook;
        let (plan_json, digest) = self.plan.recorded(self.redactor);
        let header = RunStarted {
            journal: JOURNAL_VERSION,
            format: LANGUAGE_VERSION,
            run: self.run.clone(),
            runbook: runbook.name.clone(),
            origin: "scenario".into(),
            digest,
            params: self.plan.params_json(),
            param_sources: self.plan.sources_json(),
            secrets: runbook.secrets.values().map(|of| (of.name.clone(), of.describe().into())).collect(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            operator: self.name(),
            host: "scenario".into(),
            cwd: FOLDER.into(),
            attended: self.live.is_some(),
            profile: None,
            lock: self.plan.lock.clone(),
            files: Default::default(),
        };
        let first =
            Record { seq: 1, time: self.world.wall(), elapsed_ms: 0, event: Event::RunStarted(Box::new(header)) };
        let first = self.redactor.record(first);
        let files = [(format!("{}.yaml", runbook.name), runbook.source.text().as_bytes().to_vec())];
        let open = self.store.create(self.run, &first, &files, &plan_json);
        Ok((Some(first), open.map_err(|error| format!("could not {error}"))?))
    }

    fn reopen(&self) -> Result<OpenRun, String> {
        let who = Who { operator: self.name(), host: "scenario".into(), since: self.world.wall() };
        self.store.open(self.run, &who).map_err(|error| format!("could not {error}"))
    }

    fn resumed(&self, open: &OpenRun) -> Vec<Event> {
        let resumed = Event::RunResumed {
            by: self.name(),
            host: "scenario".into(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            attended: self.live.is_some(),
            undo: false,
        };
        open.recovered.iter().cloned().chain([resumed]).collect()
    }

    /// Who runs it, for the record.
    fn name(&self) -> String {
        self.live.map_or_else(|| NAME.to_owned(), |_| self.answers.name())
    }

    fn options(&self, began: jiff::Timestamp) -> Options {
        let fixed = [("PATH", "/usr/bin:/bin"), ("HOME", "/home/tester"), ("USER", NAME), ("LANG", "C.UTF-8")];
        let mut env: IndexMap<String, String> =
            fixed.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
        let callees = self.plan.runbook.callees();
        let books = std::iter::once(&*self.plan.runbook).chain(callees.iter().map(|callee| &*callee.runbook));
        for name in books.flat_map(|book| book.requires.env.iter()) {
            if let Some(text) = self.world.variable(&name.value) {
                env.insert(name.value.clone(), text);
            }
        }
        let run = [
            ("id", self.run.as_str().to_owned()),
            ("started", began.to_string()),
            ("operator", self.name()),
            ("dir", "/scratch".to_owned()),
            ("files", "/files".to_owned()),
        ];
        let run = run.map(|(name, text)| (name.to_owned(), Value::text(text))).into_iter().collect();
        Options {
            step_mode: self.live.is_some_and(|live| live.step_mode),
            jobs: 4,
            base_env: env.into_iter().collect(),
            cwd: PathBuf::from(FOLDER),
            run: Some(Value::map(run)),
            signals: self.live.map(|live| (live.signals)()),
            secrets: self.typed(),
            decisions: IndexMap::new(),
            undo: false,
            draw: Rc::new(|source, diagnostic: &Diagnostic| {
                draw(source, diagnostic, DrawStyle::default()).trim_end().to_owned()
            }),
        }
    }

    /// Secrets that a person would have typed before the first step.
    fn typed(&self) -> IndexMap<String, Secret> {
        let runbook = &self.plan.runbook;
        let own = runbook.secrets.values().map(|spec| (spec.name.clone(), spec));
        let called = runbook.callees().into_iter().flat_map(|callee| {
            let of = &callee.runbook;
            of.secrets.values().map(move |spec| (format!("{}:{}", of.name, spec.name), spec))
        });
        let typed = own.chain(called).filter(|(_, spec)| matches!(spec.place, SecretPlace::Prompt));
        let secret = |name: &str| {
            let known = self.scenario.secrets.get(name);
            known.map_or_else(|| format!("made-up {name}"), |secret| secret.expose().to_owned())
        };
        typed.map(|(key, spec)| (key, Secret::new(secret(&spec.name)))).collect()
    }
}
