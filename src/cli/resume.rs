//! `resume`: go on with a run from what its journal holds, with the bytes it began with.

use std::rc::Rc;

use indexmap::IndexMap;

use super::{
    CliError, Context,
    args::{As, Mode, Resume},
    error::code,
    inputs, outcome, print, say, session,
    session::{Person, Session},
    sign::Signing,
};
use crate::{
    engine::Decision,
    event::{Event, RunState, StepPhase, StepStatus},
    kinds::registry,
    model::{Runbook, Step, load, step_references},
    plan::{Given, Inputs, Plan, ValueSource, variable_for},
    port::{Choice, Question, QuestionKind, Reply},
    syntax::decode,
    worlds::real::RealWorld,
};

pub fn resume(context: &Context, flags: &Resume) -> Result<u8, CliError> {
    session::block_on(go_on(context, flags))?
}

async fn go_on(context: &Context, flags: &Resume) -> Result<u8, CliError> {
    let store = context.store()?;
    let id = store.resolve(&flags.run)?;
    let who = session::who();
    let mut open = store.open(&id, &who)?;
    let header = open
        .state
        .header
        .clone()
        .ok_or_else(|| CliError::new(code::NOT_VERIFIED, format!("run {id} has no beginning on record")))?;
    if let Some((outcome, code)) = open.state.finished
        && outcome.closes()
    {
        let world = RealWorld::new(RealWorld::own_program());
        if let Some(signing) = Signing::choose(&world, flags.sign.as_ref()).await? {
            signing.go_on(context, &open).await?;
        }
        // A program that was killed right after the end was on record left what the run held.
        if let Err(error) = open.close() {
            say(context, &format!("runsheet: could not {error}\n"));
        }
        let text = format!("run {id} is over: {}; there is nothing to resume\n", outcome.name());
        if flags.json {
            say(context, &text)
        } else {
            print(context, &text)?
        }
        return Ok(code);
    }
    let frozen = store.frozen(&id)?;
    let wanted = format!("{}.yaml", header.runbook);
    let bytes = frozen
        .files
        .into_iter()
        .find(|(name, _)| *name == wanted)
        .map(|(_, bytes)| bytes)
        .ok_or_else(|| CliError::new(code::NOT_VERIFIED, format!("run {id} has lost its runbook")))?;
    tell_if_changed(context, &header.origin, &bytes);
    let source = decode(wanted, bytes).map_err(|(_, problem)| CliError::new(code::NOT_VERIFIED, problem.message))?;
    let loaded = load(&header.runbook, &source, registry());
    let Some(runbook) = loaded.runbook else {
        return Err(CliError::invalid(&source, &loaded.problems, context.style())
            .hint("the run began with a version of this tool that took this file"));
    };
    let (runbook, names) = (Rc::new(runbook), Rc::new(loaded.names));
    let person = Person::find(context, flags.yes, flags.answers.as_deref())?;
    let mut given = Inputs::default();
    let mut withheld = Vec::new();
    for (name, param) in &runbook.params {
        let Some(json) = header.params.get(name) else { continue };
        let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        if header.param_sources.get(name).and_then(|source| source.as_str()) == Some(inputs::WITHHELD) {
            // Its place is kept: the order of the parameters is part of the plan.
            given.values.insert(name.clone(), Given { value: None, source: ValueSource::Missing });
            withheld.push(name.clone());
            continue;
        }
        // Its type alone: what was typed met the pattern at the start, and the record says `42` for a typed `0042`.
        let value = param
            .ty
            .read(&text)
            .map_err(|why| CliError::new(code::NOT_VERIFIED, format!("parameter `{name}`: {why}")))?;
        let source = match header.param_sources.get(name).and_then(|source| source.as_str()) {
            Some("params-file") => ValueSource::File,
            Some("default") => ValueSource::Default,
            Some("environment") => ValueSource::Environment,
            Some("prompt") => ValueSource::Prompt,
            _ => ValueSource::Flag,
        };
        given.set(name, value, source);
    }
    for name in &withheld {
        give_again(&runbook, &mut given, name, person.attended())?;
    }
    let plan = Plan::make(Rc::clone(&runbook), names, given)
        .map_err(|problems| CliError::invalid(&source, &problems, context.style()))?;
    session::check_answers(&plan, flags.answers.as_deref())?;
    let decisions = decisions(flags, &open.state)?;
    let world = RealWorld::new(RealWorld::own_program()).adopting();
    let used = still_used(&plan, &open.state);
    let missing = inputs::requirements(&plan, &world, &|name| used.contains(name));
    if !missing.is_empty() {
        return Err(CliError::new(code::REQUIREMENT, missing.join("\nrunsheet: ")).hint("nothing was run"));
    }
    let cwd = std::path::PathBuf::from(&header.cwd);
    if !cwd.is_dir() {
        return Err(CliError::new(code::REQUIREMENT, format!("the folder {} is gone", cwd.display()))
            .hint("the run was started there and its steps run there"));
    }
    let secrets = inputs::ask_secrets(&runbook, person.attended(), &context.redactor)?;
    inputs::mask_variables(&plan, &world, &context.redactor);
    let (plan_json, digest) = plan.recorded(&context.redactor);
    if digest != header.digest {
        same_plan(&person, &frozen.plan, &plan_json).await?;
    }
    let locks = inputs::locks(&plan, &context.redactor);
    let signing = Signing::choose(&world, flags.sign.as_ref()).await?;
    if let Some(signing) = &signing {
        signing.go_on(context, &open).await?;
    }
    let held = store.acquire(&locks, &id, &runbook.name, &who)?;
    open.hold(held);
    let began = open.records.first().map_or_else(jiff::Timestamp::now, |record| record.time);
    let resumed = Event::RunResumed {
        by: who.operator.clone(),
        host: who.host.clone(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        attended: person.attended(),
    };
    let end = Session {
        context,
        plan: &plan,
        source: &source,
        world: &world,
        person: &person,
        open: &open,
        began,
        operator: header.operator.clone(),
        cwd,
        step_mode: flags.mode.map_or(person.attended(), |mode| mode == Mode::Step),
        jobs: usize::from(flags.jobs.get()),
        json: flags.json,
        anchor: flags.anchor,
        secrets,
        decisions,
    }
    .go(&[], Some(resumed))
    .await;
    outcome::finish(context, open, &end, signing.as_ref()).await
}

/// A parameter that held a secret is not on record; a mask must never take its place.
fn give_again(runbook: &Runbook, given: &mut Inputs, name: &str, attended: bool) -> Result<(), CliError> {
    let Some(param) = runbook.params.get(name) else { return Ok(()) };
    let variable = variable_for(name);
    if let Some(text) = Context::variable(&variable) {
        let value =
            param.read(&text).map_err(|why| CliError::usage(format!("parameter `{name}` ({variable}): {why}")))?;
        given.set(name, value, ValueSource::Environment);
        return Ok(());
    }
    if !attended {
        let message = format!("parameter `{name}` held a secret and is not on record");
        return Err(CliError::new(code::REQUIREMENT, message).hint(format!("give it again in {variable}")));
    }
    inputs::ask_params(runbook, given)
}

/// The names that what is left of the run uses: of a secret that only finished steps used, nothing is wanted any more.
fn still_used(plan: &Plan, state: &RunState) -> std::collections::BTreeSet<String> {
    let left = |step: &&Step| {
        let status = state.steps.get(&step.path).and_then(|of| of.status());
        status.is_none_or(|status| matches!(status, StepStatus::Failed | StepStatus::Unknown | StepStatus::NotRun))
            // A value that is not on record is made again.
            || state.steps.get(&step.path).is_some_and(|of| {
                matches!(&of.phase, StepPhase::Finished { withheld, .. } if !withheld.is_empty())
            })
    };
    let steps = plan.runbook.all_steps().filter(left);
    steps.flat_map(|step| step_references(step, &plan.names)).map(|reference| reference.name).collect()
}

/// The frozen bytes run; an operator who edited the file should know.
fn tell_if_changed(context: &Context, origin: &str, bytes: &[u8]) {
    if origin == "built-in" {
        return;
    }
    match std::fs::read(origin) {
        Ok(now) if now == bytes => {}
        Ok(_) => {
            say(context, &format!("runsheet: {origin} has changed since; the run goes on with what it began with\n"))
        }
        Err(_) => say(context, &format!("runsheet: {origin} is gone; the run goes on with what it began with\n")),
    }
}

/// This version of the tool makes another plan of the same bytes: that is for a person to accept.
async fn same_plan(person: &Person, before: &[u8], now: &[u8]) -> Result<(), CliError> {
    let before = String::from_utf8_lossy(before);
    let now = String::from_utf8_lossy(now);
    let mut differences = Vec::new();
    for (old, new) in before.lines().zip(now.lines()) {
        if old != new && differences.len() < 20 {
            differences.push(format!("- {}", old.trim()));
            differences.push(format!("+ {}", new.trim()));
        }
    }
    let question = Question {
        step: None,
        title: "resume".into(),
        message: "This version of runsheet plans the rest of the run differently.".into(),
        context: differences,
        kind: QuestionKind::Run,
        choices: vec![
            Choice {
                key: 'g',
                name: "go-on".into(),
                consequence: "go on with the new plan".into(),
                needs_reason: false,
            },
            Choice {
                key: 'p',
                name: "pause".into(),
                consequence: "leave the run as it is".into(),
                needs_reason: false,
            },
        ],
    };
    match person.operator().ask(&question).await {
        Reply::Answer(answer) if answer.word == "go-on" => Ok(()),
        Reply::Answer(_) => Err(CliError::new(code::DECLINED, "the run was left as it is")),
        _ => Err(CliError::new(code::UNKNOWN, "this version of runsheet plans the rest of the run differently")
            .hint("resume it at a terminal to see the difference, or with the version that began it")),
    }
}

/// `--step ID --as done|not-done --reason TEXT`.
fn decisions(flags: &Resume, state: &crate::event::RunState) -> Result<IndexMap<String, Decision>, CliError> {
    let (Some(step), Some(as_), Some(reason)) = (&flags.step, flags.as_, &flags.reason) else {
        return Ok(IndexMap::new());
    };
    let waits = |phase: &StepPhase| {
        use StepStatus::{Failed, Unknown};
        matches!(phase, StepPhase::Running | StepPhase::Finished { status: Unknown | Failed, .. })
    };
    let waiting = state.steps.iter().filter(|(_, of)| waits(&of.phase));
    let waiting: Vec<&str> = waiting.map(|(path, _)| path.as_str()).collect();
    if !waiting.contains(&step.as_str()) {
        let error = CliError::usage(format!("step `{step}` is not waiting for a decision"));
        return Err(match waiting.as_slice() {
            [] => error.hint("no step of this run is"),
            names => error.hint(format!("these are: {}", names.join(", "))),
        });
    }
    if reason.trim().is_empty() {
        return Err(CliError::usage("the reason is empty").hint("say how you know; it goes on record"));
    }
    let decision = Decision { done: as_ == As::Done, reason: reason.clone() };
    Ok([(step.clone(), decision)].into_iter().collect())
}
