//! `resume`: go on with a run from what its journal holds, with the bytes it began with or others that were accepted.

mod basis;
mod beside;
mod changed;
mod desk;
mod undo;
mod version;

use basis::Basis;
use changed::After;
use desk::Desk;
use indexmap::IndexMap;
pub use undo::undo;

use super::{
    CliError, Context, answers,
    args::{As, Mode, Resume},
    error::code,
    files, frozen as kept, inputs, outcome, print, say, session,
    session::{Person, Session},
    sign::Signing,
    source,
};
use crate::{
    engine::Decision,
    event::{Event, PlanReplaced, RunState, StepPhase, StepStatus},
    library::Origin,
    model::{Step, step_references},
    plan::Plan,
    worlds::real::RealWorld,
};

pub fn resume(context: &Context, flags: &Resume) -> Result<u8, CliError> {
    session::block_on(go_on(context, flags, false))?
}

/// `back`: what ran is taken back, of a run that is over as well.
async fn go_on(context: &Context, flags: &Resume, back: bool) -> Result<u8, CliError> {
    let store = context.store()?;
    let id = store.resolve(&flags.run)?;
    let who = session::who();
    let mut open = store.open(&id, &who)?;
    let header = open
        .state
        .header
        .clone()
        .ok_or_else(|| CliError::new(code::NOT_VERIFIED, format!("run {id} has no beginning on record")))?;
    let closed = open.state.finished.is_some_and(|(outcome, _)| outcome.closes());
    if let Some((outcome, code)) = open.state.finished
        && closed
        && !back
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
    let mut frozen = store.frozen(&id)?;
    let person = Person::find(context, flags.yes, flags.answers.as_deref())?;
    if back {
        undo::refused(&open.state, id.as_str(), flags.yes || person.attended())?;
    }
    let world = RealWorld::new(RealWorld::own_program()).adopting();
    let cwd = std::path::PathBuf::from(&header.cwd);
    let mut basis = Basis::frozen(context, &header, &open.state, &frozen, person.attended())?;
    inputs::mask_variables(&basis.plan, &world, &context.redactor);
    answers::check(&basis.plan, flags.answers.as_deref())?;
    let decisions = decisions(flags, &open.state)?;
    let mut desk = Desk::new(&person, &context.redactor, open.state.questions);
    let mut left = None;
    let mut taken = None;
    match changed::ask(context, &header, &open.state, &basis, &mut desk).await? {
        After::GoOn => {}
        After::Take { fresh, bytes, reason } => {
            basis = *fresh;
            inputs::mask_variables(&basis.plan, &world, &context.redactor);
            inputs::check_folder(&basis.plan, &context.redactor)?;
            taken = Some((bytes, reason));
        }
        After::Leave(end) => left = Some(end),
    }
    let mut secrets = indexmap::IndexMap::new();
    let origin = match header.origin.as_str() {
        "built-in" => Origin::BuiltIn,
        path => Origin::File(path.into()),
    };
    if left.is_none() {
        let goes_back = back || open.state.undo.is_some() || open.state.reopened.is_some();
        let used = if goes_back { used_by_undo(&basis.plan) } else { still_used(&basis.plan, &open.state) };
        let missing = inputs::requirements(&basis.plan, &world, &|name| used.contains(name));
        if !missing.is_empty() {
            return Err(CliError::new(code::REQUIREMENT, missing.join("\nrunsheet: ")).hint("nothing was run"));
        }
        if !cwd.is_dir() {
            return Err(CliError::new(code::REQUIREMENT, format!("the folder {} is gone", cwd.display()))
                .hint("the run was started there and its steps run there"));
        }
        secrets = inputs::ask_secrets(&basis.plan, person.attended(), &context.redactor)?;
    }
    let (plan_json, digest) = basis.plan.recorded(&context.redactor);
    let mut replaced = None;
    if left.is_none() {
        kept::tell_changed(context, &basis.plan, &origin, &frozen.files);
    }
    if let Some((bytes, reason)) = taken {
        let mut files = source::to_freeze(&bytes, &basis.runbook);
        files.extend(kept::take(context, &basis.plan, &origin, &frozen.files)?);
        frozen.files.clone_from(&files);
        replaced = Some(("runbook", files, Some(reason)));
    } else if left.is_none() && open.state.digest() != Some(digest.as_str()) {
        match version::ask(&basis, &frozen.plan, &plan_json, &header.tool_version, &mut desk).await {
            version::Answer::Same => {}
            version::Answer::GoOn { reason } => replaced = Some(("version", Vec::new(), reason)),
            version::Answer::Leave(end) => left = Some(end),
        }
    }
    let mut noted = std::collections::BTreeMap::new();
    if left.is_none() {
        match beside::ask(&basis.plan, &cwd, &open, &mut desk).await {
            Ok(files) => noted = files,
            Err(end) => left = Some(end),
        }
    }
    if let (Some(end), true) = (&left, closed) {
        // It is over, and stays so.
        say(context, &format!("runsheet: nothing was undone: {}\n", end.reason.clone().unwrap_or_default()));
        return Ok(end.code);
    }
    let signing = match left {
        None => Signing::choose(&world, flags.sign.as_ref()).await?,
        Some(_) => None,
    };
    if let Some(signing) = &signing {
        signing.go_on(context, &open).await?;
    }
    if left.is_none() {
        let mut locks = inputs::locks(&basis.plan, &context.redactor);
        // What the run held before, it gives up when it is over.
        locks.extend(open.state.locks().cloned());
        let held = store.acquire(&locks, &id, &basis.runbook.name, &who)?;
        open.hold(held);
    }
    let began = open.records.first().map_or_else(jiff::Timestamp::now, |record| record.time);
    let mut resumed = vec![Event::RunResumed {
        by: who.operator.clone(),
        host: who.host.clone(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        attended: person.attended(),
        undo: back,
    }];
    resumed.append(&mut desk.events);
    if closed {
        open.reopen()?;
    }
    if left.is_none() {
        if let Some((cause, files, reason)) = replaced {
            let number = open.state.plan_number() + 1;
            open.freeze(number, &files, &plan_json)?;
            resumed.push(Event::PlanReplaced(Box::new(PlanReplaced {
                number,
                cause: cause.into(),
                digest,
                runbook_files: files
                    .iter()
                    .map(|(name, bytes)| (name.clone(), crate::text::sha256_hex(bytes).into()))
                    .collect(),
                params: basis.plan.params_json(),
                param_sources: inputs::recorded_sources(&basis.plan, &context.redactor),
                secrets: basis.runbook.secrets.values().map(|s| (s.name.clone(), s.describe().into())).collect(),
                lock: basis.plan.lock.clone(),
                tool_version: env!("CARGO_PKG_VERSION").into(),
                by: who.operator.clone(),
                reason,
            })));
            if cause == "runbook" {
                // Steps that are new, or name other files, are held against what is there from now on.
                for (path, file) in files::noted(&basis.plan, &cwd, &context.redactor) {
                    noted.entry(path).or_insert(file);
                }
            }
        }
        if !noted.is_empty() {
            resumed.push(Event::FilesNoted { files: noted, by: who.operator.clone() });
        }
    }
    let session = Session {
        context,
        plan: &basis.plan,
        world: &world,
        person: &person,
        open: &open,
        began,
        operator: header.operator.clone(),
        cwd,
        files: frozen.files,
        step_mode: flags.mode.map_or(person.attended(), |mode| mode == Mode::Step),
        jobs: usize::from(flags.jobs.get()),
        json: flags.json,
        anchor: flags.anchor,
        secrets,
        decisions,
        undo: back,
    };
    let end = match left {
        None => session.go(&[], resumed).await,
        Some(end) => session.leave(resumed, end).await,
    };
    outcome::finish(context, open, &end, signing.as_ref()).await
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

/// The names that what takes steps back uses, and what runs last.
fn used_by_undo(plan: &Plan) -> std::collections::BTreeSet<String> {
    let undos = plan.runbook.all_steps().filter_map(|step| step.undo.as_deref());
    let steps = undos.chain(plan.runbook.final_steps());
    steps.flat_map(|step| step_references(step, &plan.names)).map(|reference| reference.name).collect()
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
    // What holds others is decided by what it holds.
    let waiting = state.steps.iter().filter(|(_, of)| waits(&of.phase) && of.entered.is_none());
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
