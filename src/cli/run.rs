//! `run`: for real.

use std::rc::Rc;

use super::{
    CliError, Context, answers,
    args::{Mode, Run},
    error::code,
    files, frozen, inputs, outcome, session,
    session::{Person, Session},
    sign::Signing,
    source,
};
use crate::{
    event::{Event, Record, RunId, RunStarted},
    journal::{JOURNAL_VERSION, LANGUAGE_VERSION, RunStore},
    plan::Plan,
    port::World,
    worlds::real::RealWorld,
};

pub fn run(context: &Context, flags: &Run) -> Result<u8, CliError> {
    session::block_on(start(context, flags))?
}

async fn start(context: &Context, flags: &Run) -> Result<u8, CliError> {
    let ready = source::ready(context, &flags.inputs.runbook)?;
    let mut given = inputs::gather(&ready.runbook, &flags.inputs)?;
    let person = Person::find(context, flags.yes, flags.answers.as_deref())?;
    if person.attended() {
        inputs::ask_params(&ready.runbook, &mut given)?;
    } else {
        inputs::refuse_missing(&ready.runbook, &given)?;
    }
    let plan = Plan::make(Rc::clone(&ready.runbook), Rc::clone(&ready.names), given)
        .map_err(|problems| CliError::invalid(&ready.source, &problems, context.style()))?;
    answers::check(&plan, flags.answers.as_deref())?;
    let world = RealWorld::new(RealWorld::own_program()).adopting();
    let missing = inputs::requirements(&plan, &world, &|_| true);
    if !missing.is_empty() {
        return Err(CliError::new(code::REQUIREMENT, missing.join("\nrunsheet: ")).hint("nothing was run"));
    }
    let cwd = inputs::working_folder(&plan)?;
    let profile = inputs::confirm_profile(&plan, person.attended())?;
    let secrets = inputs::ask_secrets(&plan, person.attended(), &context.redactor)?;

    let store = context.store()?;
    let id = RunId::make(world.wall(), world.random());
    let who = session::who();
    inputs::mask_variables(&plan, &world, &context.redactor);
    inputs::check_folder(&plan, &context.redactor)?;
    let kept = frozen::take(context, &plan, &ready.found.origin, &[])?;
    let (plan_json, digest) = plan.recorded(&context.redactor);
    let signing = Signing::choose(&world, flags.sign.as_ref()).await?;
    let locks = inputs::locks(&plan, &context.redactor);
    let held = store.acquire(&locks, &id, &ready.runbook.name, &who)?;
    let began = world.wall();
    let first = Record {
        seq: 1,
        time: began,
        elapsed_ms: 0,
        event: Event::RunStarted(Box::new(RunStarted {
            journal: JOURNAL_VERSION,
            format: LANGUAGE_VERSION,
            run: id.clone(),
            runbook: ready.runbook.name.clone(),
            origin: source::origin_text(&ready.found.origin),
            digest,
            params: plan.params_json(),
            param_sources: inputs::recorded_sources(&plan, &context.redactor),
            secrets: ready.runbook.secrets.values().map(|s| (s.name.clone(), s.describe().into())).collect(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            operator: who.operator.clone(),
            host: who.host.clone(),
            cwd: cwd.display().to_string(),
            attended: person.attended(),
            profile,
            lock: plan.lock.clone(),
            files: files::noted(&plan, &cwd, &context.redactor),
        })),
    };
    let first = context.redactor.record(first);
    sweep(&store, &world);
    let mut files = source::to_freeze(&ready.found.bytes, &ready.runbook);
    files.extend(kept);
    let made = store.prepare(&id, &first, &files, &plan_json)?;
    if let Some(signing) = &signing {
        signing.begin(context, &made).await?;
    }
    let mut open = made.begin()?;
    open.hold(held);
    let end = Session {
        context,
        plan: &plan,
        world: &world,
        person: &person,
        open: &open,
        began,
        operator: who.operator.clone(),
        cwd,
        files,
        step_mode: flags.mode.map_or(person.attended(), |mode| mode == Mode::Step),
        jobs: usize::from(flags.jobs.get()),
        json: flags.json,
        anchor: flags.anchor,
        secrets,
        decisions: indexmap::IndexMap::new(),
        undo: false,
    }
    .go(std::slice::from_ref(&first), Vec::new())
    .await;
    outcome::finish(context, open, &end, signing.as_ref()).await
}

/// Removes what starts left that were killed before their run was there. An hour old, so that a run that another program
/// is just making is left alone. Where it fails the rubbish stays: that is no reason not to run.
fn sweep(store: &RunStore, world: &RealWorld) {
    let hour_ago = world.wall().checked_sub(jiff::SignedDuration::from_hours(1));
    let _ = hour_ago.map(|then| store.sweep(RunId::make(then, world.random()).as_str()));
}
