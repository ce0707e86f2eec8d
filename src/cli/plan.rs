//! `plan` and `run --dry-run`: the same engine in the world that performs nothing, asked by nobody, recorded nowhere.

use std::{cell::RefCell, collections::HashMap, io::IsTerminal, path::PathBuf, rc::Rc};

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::{
    CliError, Context,
    args::{Inputs as InputFlags, Plan as PlanFlags, Run as RunFlags},
    error::code,
    files, frozen, inputs, planned, print,
    probe::{AllSeen, Counts, Probed},
    session, source,
};
use crate::{
    engine::{Engine, Options, Outlook, Publisher, Signal},
    event::{Effect, Event, Outcome, Record, Redactor, RunId, RunStarted, RunState, StepId, StepStatus},
    journal::{JOURNAL_VERSION, LANGUAGE_VERSION},
    plan::{Plan, ValueSource},
    port::{Deeds, Journal, JournalError, Local, Operator, OutputLog, OutputSummary, Question, Reply, Sink, World},
    text::{draw, one_line, printable},
    worlds::{dry::DryWorld, probe::ProbeWorld, real::RealWorld},
};

pub fn plan(context: &Context, flags: &PlanFlags) -> Result<u8, CliError> {
    if flags.explain_params {
        return super::explain::params(context, &flags.inputs, flags.json);
    }
    if let Some(other) = &flags.against {
        return super::against::against(context, flags, other);
    }
    let form = if flags.markdown { Form::Markdown } else { Form::of(flags.json) };
    show(context, &flags.inputs, form, flags.probe)
}

/// How a plan is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
    Markdown,
}

impl Form {
    fn of(json: bool) -> Form {
        if json { Form::Json } else { Form::Text }
    }
}

pub fn dry_run(context: &Context, flags: &RunFlags) -> Result<u8, CliError> {
    show(context, &flags.inputs, Form::of(flags.json), false)
}

fn show(context: &Context, flags: &InputFlags, form: Form, probe: bool) -> Result<u8, CliError> {
    let ready = source::ready(context, &flags.runbook)?;
    let mut given = inputs::gather(&ready.runbook, flags)?;
    // Nothing real is looked at for the sake of an example.
    if !probe {
        given.fill_examples(&ready.runbook.params);
    }
    let plan = Plan::make(Rc::clone(&ready.runbook), Rc::clone(&ready.names), given)
        .map_err(|problems| CliError::invalid(&ready.source, &problems, context.style()))?;
    let dry = DryWorld::new();
    inputs::mask_parameters(&plan, &dry, &context.redactor);
    let mut problems = inputs::requirements(&plan, &dry, &|_| true);
    let (taken, wrong) = frozen::look(&plan, &ready.found.origin, &[]);
    problems.extend(wrong.iter().map(frozen::told));
    let real = probe.then(|| RealWorld::new(RealWorld::own_program()).adopting());
    let around = real.as_ref().map(|real| ProbeWorld::new(real));
    let (mut seen, outlook) = match &around {
        Some(around) => session::block_on(look(context, &plan, around))??,
        None => session::block_on(walk(context, &plan, &dry, Here::default()))??,
    };
    seen.taken = taken;
    let rows = rows(&seen, outlook);
    let text = match form {
        Form::Json => {
            let mut json = to_json(&plan, &seen, &rows, &problems);
            context.redactor.json(&mut json);
            format!("{json}\n")
        }
        Form::Markdown => planned::markdown(&plan, &seen, &rows, &problems, &context.redactor),
        Form::Text => {
            let color = context.color(std::io::stdout().is_terminal());
            context.redactor.text(&to_text(&plan, &ready.found, &seen, &rows, &problems, color)).into_owned()
        }
    };
    print(context, &text)?;
    let fit = problems.is_empty() && seen.wrong().is_empty();
    let failed = seen.probed.values().any(Probed::is_failure);
    Ok(match (fit, failed) {
        (false, _) => code::REQUIREMENT,
        (true, true) => code::FAILED,
        (true, false) => 0,
    })
}

/// What the engine came to for each step.
#[derive(Default)]
pub(super) struct Seen {
    steps: HashMap<StepId, State>,
    /// What a run would take along.
    pub taken: Vec<frozen::Entry>,
    /// Whether anything was looked at, and what a look at each step came to.
    pub probes: bool,
    heard: AllSeen,
    pub probed: HashMap<StepId, Probed>,
    /// Files that each step names and that are there.
    pub files: HashMap<StepId, Vec<String>>,
}

impl Seen {
    /// Where later steps depend on how a step that is wrong already is put right.
    fn wrong(&self) -> Vec<String> {
        let wrong = self.steps.iter().filter(|(_, state)| matches!(state, State::Wrong(_)));
        let mut names: Vec<String> = wrong.map(|(step, _)| format!("{step}.status")).collect();
        names.sort_unstable();
        names
    }
}

#[derive(Clone)]
pub(super) enum State {
    Runs,
    Asks,
    Skipped(String),
    Deferred(Vec<String>),
    /// It is wrong already: an expression over known values fails.
    Wrong(String),
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            State::Runs | State::Wrong(_) => "runs",
            State::Asks => "asks",
            State::Skipped(_) => "skipped",
            State::Deferred(_) => "deferred",
        }
    }
}

/// Collects what the engine publishes.
struct Collector(Rc<RefCell<Seen>>);

impl Sink for Collector {
    fn accept(&self, record: &Record) {
        let mut seen = self.0.borrow_mut();
        seen.heard.hear(&record.event);
        let Some(step) = record.event.step().cloned() else { return };
        let state = match &record.event {
            Event::StepStarted { .. } => State::Runs,
            Event::StepSkipped { reason, .. } => State::Skipped(reason.clone()),
            Event::StepDeferred { waiting_on, .. } => State::Deferred(waiting_on.clone()),
            Event::QuestionAsked { about, .. } if ["confirm", "manual", "choose", "ask"].contains(&about.as_str()) => {
                State::Asks
            }
            Event::StepFinished { status: StepStatus::Failed, error, .. } => {
                State::Wrong(error.clone().unwrap_or_default())
            }
            _ => return,
        };
        seen.steps.insert(step, state);
    }
}

/// Nobody is asked; what hangs on an answer stays open.
pub(super) struct NobodyAsked;

impl Operator for NobodyAsked {
    fn ask<'a>(&'a self, _question: &'a Question) -> Local<'a, Reply> {
        Box::pin(async { Reply::Unasked })
    }

    fn name(&self) -> String {
        "plan".into()
    }

    fn attended(&self) -> bool {
        false
    }
}

/// Nothing is kept.
pub(super) struct Nowhere;

impl Journal for Nowhere {
    fn append<'a>(&'a self, _record: &'a Record) -> Local<'a, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }

    fn output(&self, _step: &StepId, _attempt: u32) -> Result<Box<dyn OutputLog>, JournalError> {
        Ok(Box::new(NoOutput))
    }

    fn step_dir(&self) -> Option<PathBuf> {
        None
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        None
    }
}

struct NoOutput;

impl OutputLog for NoOutput {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), JournalError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<OutputSummary, JournalError> {
        Ok(OutputSummary::default())
    }
}

/// What a walk has of the machine it happens on: nothing, unless it looks around.
#[derive(Default)]
struct Here {
    cwd: Option<PathBuf>,
    env: Vec<(String, String)>,
    signals: Option<tokio::sync::mpsc::UnboundedReceiver<Signal>>,
}

type Walked<'p> = (Seen, Vec<(Outlook<'p>, bool)>);

/// As [`walk`], with everything looked at that only reads.
async fn look<'p>(context: &Context, plan: &'p Plan, world: &'p ProbeWorld<'p>) -> Result<Walked<'p>, CliError> {
    inputs::mask_variables(plan, world, &context.redactor);
    let cwd = inputs::working_folder(plan)?;
    // What a script puts aside while it looks goes with the probe.
    let aside = tempfile::Builder::new()
        .prefix("runsheet-probe-")
        .tempdir()
        .map_err(|why| CliError::new(code::REQUIREMENT, format!("could not make a temporary folder: {why}")))?;
    let mut env = session::base_env(plan);
    env.retain(|(name, _)| name != "TMPDIR");
    env.push(("TMPDIR".to_owned(), aside.path().display().to_string()));
    let here = Here { cwd: Some(cwd), env, signals: Some(session::signals()) };
    let (mut seen, outlook) = walk(context, plan, world, here).await?;
    seen.probes = true;
    let heard = std::mem::take(&mut seen.heard);
    for (of, _) in &outlook {
        let state = seen.steps.get(&of.path);
        let (mut waits_for, mut wrong) = (None, None);
        match state {
            Some(State::Deferred(names)) => waits_for = Some(names.as_slice()),
            Some(State::Wrong(why)) => wrong = Some(why.as_str()),
            _ => {}
        }
        let skipped = matches!(state, Some(State::Skipped(_)));
        let tried = of.looked.as_ref().is_some_and(|looked| looked.tried);
        if let Some(probed) = Probed::of(of, &heard, world, waits_for, wrong, skipped) {
            seen.probed.insert(of.path.clone(), probed);
        }
        // It is not the step that is wrong.
        if tried && matches!(seen.steps.get(&of.path), Some(State::Wrong(_))) {
            seen.steps.insert(of.path.clone(), State::Runs);
        }
    }
    Ok((seen, outlook))
}

/// What the engine came to, and every step with whether it runs last.
async fn walk<'p>(context: &Context, plan: &'p Plan, world: &'p dyn World, on: Here) -> Result<Walked<'p>, CliError> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let cwd = on.cwd.unwrap_or_else(|| here.clone());
    let first = Record {
        seq: 1,
        time: world.wall(),
        elapsed_ms: 0,
        event: Event::RunStarted(Box::new(RunStarted {
            journal: JOURNAL_VERSION,
            format: LANGUAGE_VERSION,
            run: RunId::make(world.wall(), world.random()),
            runbook: plan.runbook.name.clone(),
            origin: String::new(),
            digest: String::new(),
            params: plan.params_json(),
            param_sources: plan.sources_json(),
            secrets: serde_json::Map::new(),
            tool_version: String::new(),
            operator: String::new(),
            host: String::new(),
            cwd: cwd.display().to_string(),
            attended: false,
            profile: None,
            lock: None,
            files: Default::default(),
        })),
    };
    let mut state = RunState::default();
    state.apply(&first).map_err(|illegal| CliError::new(code::FAULT, illegal.to_string()))?;
    let sinks: Vec<Rc<dyn Sink>> = vec![Rc::new(Collector(Rc::clone(&seen)))];
    let publisher = Publisher::new(world, &Nowhere, sinks, context.redactor.clone(), state);
    let options = Options {
        jobs: 1,
        step_mode: false,
        base_env: on.env,
        cwd,
        run: None,
        signals: on.signals,
        secrets: IndexMap::new(),
        decisions: IndexMap::new(),
        undo: false,
        draw: Rc::new(move |source, problem| {
            draw(source, problem, crate::text::DrawStyle::default()).trim_end().to_owned()
        }),
    };
    let engine = Engine::new(plan, world, &NobodyAsked, &Nowhere, publisher, options);
    let end = engine.run().await;
    if end.code == code::FAULT {
        return Err(CliError::new(code::FAULT, end.reason.unwrap_or_default()));
    }
    if end.outcome == Outcome::Paused && world.deeds() == Deeds::Looks {
        let why = format!("it was stopped before everything was looked at: {}", end.reason.unwrap_or_default());
        return Err(CliError::new(code::DECLINED, why).hint("nothing was changed"));
    }
    let mut seen = seen.take();
    let mut outlook: Vec<(Outlook<'p>, bool)> = engine.outlook(false).into_iter().map(|of| (of, false)).collect();
    outlook.extend(engine.outlook(true).into_iter().map(|of| (of, true)));
    seen.files = files::by_step(plan, &inputs::working_folder(plan).unwrap_or(here));
    Ok((seen, outlook))
}

pub(super) struct Row<'p> {
    pub of: Outlook<'p>,
    pub state: State,
    pub last: bool,
}

fn rows<'p>(seen: &Seen, outlook: Vec<(Outlook<'p>, bool)>) -> Vec<Row<'p>> {
    let mut states: HashMap<StepId, State> = HashMap::new();
    let mut rows = Vec::new();
    for (of, last) in outlook {
        let known = seen.steps.get(&of.path).cloned();
        let state = known.unwrap_or_else(|| match of.within.as_ref().and_then(|within| states.get(within)) {
            // What a container waits for, all that is inside of it waits for.
            Some(State::Deferred(names)) => State::Deferred(names.clone()),
            Some(State::Skipped(_)) => {
                let within = of.within.as_ref().map(ToString::to_string).unwrap_or_default();
                State::Skipped(format!("{within} is skipped"))
            }
            Some(State::Asks) => State::Deferred(vec![of.within.as_ref().map(ToString::to_string).unwrap_or_default()]),
            // Whatever the walk did not come to hangs on a step that fails for certain and ends the run.
            _ => State::Deferred(seen.wrong()),
        });
        states.insert(of.path.clone(), state.clone());
        rows.push(Row { of, state, last });
    }
    rows
}

/// What does something itself is counted; what holds it is not.
pub(super) fn effects(rows: &[Row<'_>]) -> [usize; 3] {
    let mut counts = [0; 3];
    for row in rows.iter().filter(|row| !matches!(row.state, State::Skipped(_)) && row.counts()) {
        counts[match row.of.step.body.effect {
            Effect::Read => 0,
            Effect::Change => 1,
            Effect::Destroy => 2,
        }] += 1;
    }
    counts
}

impl Row<'_> {
    /// What takes its effect back, as it is known by now.
    pub(super) fn undo(&self) -> Option<String> {
        let undo = self.of.step.undo.as_deref()?;
        Some(undo.body.action.show(&self.of.after).detail)
    }

    /// A loop over items that nobody knows stands for at least one of them.
    fn counts(&self) -> bool {
        !self.of.holds
            || self.of.is_loop && self.of.step.is_leaf() && matches!(self.state, State::Deferred(_) | State::Wrong(_))
    }
}

pub(super) fn params(plan: &Plan) -> Vec<(String, Json, ValueSource)> {
    plan.inputs
        .values
        .iter()
        .map(|(name, given)| {
            let value = given.value.as_ref().map_or(Json::Null, crate::value::Value::to_json);
            (name.clone(), value, given.source)
        })
        .collect()
}

fn to_json(plan: &Plan, seen: &Seen, rows: &[Row<'_>], problems: &[String]) -> Json {
    let [read, change, destroy] = effects(rows);
    let steps: Vec<Json> = rows
        .iter()
        .map(|row| {
            let shown = row.of.step.body.show(&row.of.scope);
            let mut step = json!({
                "id": row.of.path.as_str(),
                "kind": row.of.step.body.kind,
                "title": plan.title(row.of.step, &row.of.scope),
                "effect": row.of.step.body.effect.name(),
                "needs": row.of.needs,
                "state": row.state.name(),
                "waiting_on": match &row.state {
                    State::Deferred(names) => json!(names),
                    _ => json!([]),
                },
                "detail": shown.detail,
                "values": shown.values.iter().map(|(name, value)| (name.clone(), Json::from(value.clone()))).collect::<serde_json::Map<_, _>>(),
                "undo": row.undo(),
                "irreversible": row.of.step.irreversible,
                "part": if row.last { "finally" } else { "steps" },
                "files": seen.files.get(&row.of.path).cloned().unwrap_or_default(),
                "when": row.of.step.when.as_ref().map(|when| when.source().trim().to_owned()),
            });
            if row.of.is_loop
                && let Some(foreach) = &row.of.step.foreach
            {
                step["foreach"] = json!({"as": foreach.name.value, "in": foreach.source(), "parallel": foreach.parallel});
            }
            if row.of.runbook != plan.runbook.name {
                step["runbook"] = row.of.runbook.into();
            }
            if let Some(probed) = seen.probed.get(&row.of.path) {
                step["probe"] = probed.json();
            }
            match &row.state {
                State::Skipped(reason) => step["reason"] = reason.clone().into(),
                State::Wrong(error) => step["problem"] = error.clone().into(),
                _ => {}
            }
            step
        })
        .collect();
    let (_, digest) = plan.recorded(&Redactor::new());
    let mut all: Vec<Json> = problems.iter().map(|problem| problem.clone().into()).collect();
    all.extend(rows.iter().filter_map(|row| match &row.state {
        State::Wrong(error) => Some(format!("step {}: {error}", row.of.path).into()),
        _ => None,
    }));
    let mut whole = json!({
        "runbook": plan.runbook.name,
        "digest": digest,
        "profile": plan.inputs.profile,
        "params": params(plan).into_iter().map(|(name, value, source)| (name, json!({"value": value, "source": source.name()}))).collect::<serde_json::Map<_, _>>(),
        "steps": steps,
        "effects": {"read": read, "change": change, "destroy": destroy},
        "lock": plan.lock,
        "files": seen.taken.iter().map(frozen::Entry::json).collect::<Vec<_>>(),
        "problems": all,
    });
    if seen.probes {
        whole["probed"] = Counts::of(seen.probed.values()).json();
    }
    whole
}

/// The plan as people read it: every command and request in full.
fn to_text(
    plan: &Plan,
    found: &crate::library::Found,
    seen: &Seen,
    rows: &[Row<'_>],
    problems: &[String],
    color: bool,
) -> String {
    let paint = |code: &str, text: &str| if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut text = format!("plan of {}: {}\n", plan.runbook.name, one_line(&plan.runbook.title.value));
    let does = match seen.probes {
        true => "what only reads was run, once; nothing was changed or asked",
        false => "nothing is run, sent, read or asked",
    };
    text.push_str(&format!("from {}; {does}\n", found.origin));
    for (name, value, source) in params(plan) {
        let value = match (&value, source) {
            (_, ValueSource::Missing) => "‹not given›".to_owned(),
            (Json::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
        text.push_str(&format!("  {name} = {} ({})\n", one_line(&value), source.name()));
    }
    if let Some(profile) = plan.inputs.profile.as_ref().and_then(|name| plan.runbook.profiles.get(name)) {
        let protected = if profile.protected { ", protected: a person must type its name before a run" } else { "" };
        text.push_str(&format!("  under the profile {}{protected}\n", profile.name));
    }
    if let Some(lock) = &plan.lock {
        text.push_str(&format!("  no other run with the lock `{}` may be under way\n", one_line(lock)));
    }
    for entry in &seen.taken {
        text.push_str(&format!("  takes along {}\n", one_line(&entry.shown())));
    }
    for (number, row) in rows.iter().enumerate() {
        let (step, scope) = (row.of.step, &row.of.scope);
        let effect = match step.body.effect {
            Effect::Read => "reads".to_owned(),
            Effect::Change => paint("33", "CHANGES"),
            Effect::Destroy => paint("31", "DESTROYS"),
        };
        let title = plan.title(step, scope);
        let part = if row.last { " (finally)" } else { "" };
        let inside = "· ".repeat(row.of.depth);
        let head = format!("{}. {inside}{}", number + 1, one_line(&title));
        text.push_str(&format!("\n{}  [{}, {effect}]{part}\n", paint("1", &head), row.of.path));
        match &row.state {
            State::Runs => {}
            State::Asks => text.push_str("   asks a person\n"),
            State::Skipped(reason) => text.push_str(&format!("   skipped: {}\n", one_line(reason))),
            State::Deferred(names) => {
                text.push_str(&format!("   decided later: waits for {}\n", one_line(&names.join(", "))));
            }
            State::Wrong(error) => {
                for line in error.lines() {
                    text.push_str(&format!("   {}\n", one_line(line)));
                }
            }
        }
        if let Some(when) = &step.when
            && !matches!(row.state, State::Skipped(_))
        {
            text.push_str(&format!("   only when {}\n", one_line(&when.on_one_line())));
        }
        if let (true, Some(foreach)) = (row.of.is_loop, &step.foreach) {
            let beside = foreach.parallel.map(|n| format!(", {n} at a time")).unwrap_or_default();
            text.push_str(&format!("   for each {} in {}{beside}\n", foreach.name.value, one_line(&foreach.source())));
        }
        // The items say it for themselves, each with its values.
        let by_item =
            row.of.is_loop && rows.get(number + 1).is_some_and(|next| next.of.within.as_ref() == Some(&row.of.path));
        if by_item {
            continue;
        }
        let shown = step.body.show(scope);
        for line in printable(&shown.detail).lines() {
            text.push_str(&format!("   {} {line}\n", paint("2", "│")));
        }
        for (name, value) in &shown.values {
            text.push_str(&format!("     {name} = {}\n", one_line(value)));
        }
        for line in row.undo().iter().flat_map(|undo| undo.lines()) {
            text.push_str(&format!("   {} {}\n", paint("2", "↶"), printable(line)));
        }
        if step.irreversible {
            text.push_str("   a point of no return: nothing before it is undone once it ran\n");
        }
        for path in seen.files.get(&row.of.path).into_iter().flatten() {
            text.push_str(&format!("   with the file {}\n", one_line(path)));
        }
        let saw = seen.probed.get(&row.of.path).map(Probed::text).unwrap_or_default();
        for (at, line) in saw.iter().enumerate() {
            let mark = if at == 0 { paint("36", "→") } else { " ".to_owned() };
            text.push_str(&format!("   {mark} {line}\n"));
        }
        for entry in &step.body.expect.entries {
            text.push_str(&format!("   expects {}\n", one_line(&entry.on_one_line())));
        }
        for capture in step.captures() {
            let secret = if capture.secret { " (secret)" } else { "" };
            text.push_str(&format!("   {}{secret} = {}\n", capture.name.value, one_line(&capture.value.on_one_line())));
        }
        let before = rows[..number].iter().rev().find(|before| before.of.depth <= row.of.depth);
        let usual = before.filter(|before| before.of.within == row.of.within).map(|before| before.of.path.to_string());
        if row.of.needs.iter().ne(usual.iter()) && !row.last {
            let needs = if row.of.needs.is_empty() { "nothing".to_owned() } else { row.of.needs.join(", ") };
            text.push_str(&format!("   after {needs}\n"));
        }
    }
    let [read, change, destroy] = effects(rows);
    text.push_str(&format!("\n{} steps: {read} read, {change} change, {destroy} destroy\n", rows.len()));
    if seen.probes {
        text.push_str(&format!("{}\n", Counts::of(seen.probed.values()).line()));
    }
    if !problems.is_empty() {
        text.push_str("\nit could not be run here:\n");
        for problem in problems {
            text.push_str(&format!("  {}\n", one_line(problem)));
        }
    }
    text
}
