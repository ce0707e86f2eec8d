//! What must be true of a run after each crash and at its end. Looks at the disk, the ledger and what was promised, and
//! asks the program for nothing but to read its own journal.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use runsheet::{
    event::{Effect, Event, Outcome, Record, RunState, StepId, StepStatus},
    journal::{Replay, VerifyReport, verify},
    port::Storage,
};

use super::{
    drive::{Case, Machine, dir_of, who},
    facts::{Start, canary},
};

/// The promises, by the names in which tests of the tests speak of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What was acknowledged or shown is on record.
    Kept,
    /// What happened in the world was announced on record before.
    Announced,
    /// What changes something is not begun again without a look or a word in between.
    Once,
    /// Nothing happens before what it needs.
    Order,
    /// The journal is whole, and what it says of other files is true.
    Chain,
    /// It opens, goes on, and ends within some sessions, without a mistake of ours.
    Ends,
    /// With truthful answers, it ends as if nothing had happened.
    SameEnd,
    /// No secret is on the disk or on the screen.
    Secret,
    /// What is taken back took effect before, is taken back once, the latest first, and not beyond a point of no return.
    Undo,
    /// One program at a time has the run, its lock and each attempt.
    Alone,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    pub rule: Rule,
    pub what: String,
}

pub fn broken<T>(rule: Rule, what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken { rule, what: what.into() })
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub outcome: Outcome,
    pub code: u8,
    pub statuses: BTreeMap<String, &'static str>,
    /// How often each effect of each step took place.
    pub effects: BTreeMap<(String, String), usize>,
}

/// After any crash, before anybody puts anything right.
pub fn standing(case: &Case, machine: &Machine) -> Result<(), Broken> {
    sound(case, machine).map(drop)
}

/// What holds at any time; tells what is on record, if there is a run.
fn sound(case: &Case, machine: &Machine) -> Result<Option<Replay>, Broken> {
    if let Some((rule, what)) = machine.broken.first() {
        return broken(*rule, what);
    }
    if let Some(what) = machine.facts.wrong.first() {
        return broken(Rule::Alone, what);
    }
    secrets(machine)?;
    let Some(journal) = machine.journal() else {
        return match (machine.acked.is_empty(), machine.facts.starts.is_empty()) {
            (true, true) => Ok(None),
            (false, _) => broken(Rule::Kept, "the run is gone"),
            (true, false) => broken(Rule::Announced, "it did something without a run"),
        };
    };
    if let Some(bad) = &journal.bad {
        return broken(Rule::Chain, bad.to_string());
    }
    kept(machine, &journal.records)?;
    announced(machine, &journal.records)?;
    once(case, &journal.records)?;
    taken_back(case, machine, &journal.records)?;
    Ok(Some(journal))
}

/// What a reader of all files says, who trusts nobody; `holes` says that a power cut may have left some in a line.
pub fn verified(machine: &Machine, holes: bool) -> Result<VerifyReport, Broken> {
    let report = match verify(&machine.store(), &machine.run, None) {
        Ok(report) => report,
        Err(error) => return broken(Rule::Chain, format!("could not {error}")),
    };
    match report.problems.iter().find(|problem| !(holes && problem.what == "a part of it was lost")) {
        Some(problem) => broken(Rule::Chain, format!("{}: {}", problem.place, problem.what)),
        None => Ok(report),
    }
}

fn kept(machine: &Machine, records: &[Record]) -> Result<(), Broken> {
    for promised in &machine.acked {
        let place = usize::try_from(promised.seq).unwrap() - 1;
        match records.get(place) {
            Some(found) if found == promised => {}
            Some(found) => return broken(Rule::Kept, format!("record {} became {found:?}", promised.seq)),
            None => return broken(Rule::Kept, format!("record {} is gone: {:?}", promised.seq, promised.event)),
        }
    }
    Ok(())
}

fn announced(machine: &Machine, records: &[Record]) -> Result<(), Broken> {
    let mut started = BTreeSet::new();
    let mut intended = BTreeMap::new();
    let mut void = BTreeSet::new();
    for record in records {
        match &record.event {
            Event::StepStarted { step, attempt, .. } => {
                started.insert((step.as_str(), *attempt));
            }
            Event::EffectIntended { step, attempt, number, .. } => {
                *intended.entry((step.as_str(), *attempt, *number)).or_insert(0) += 1;
            }
            Event::StepFinished { step, attempt, status: StepStatus::NotRun, .. } => {
                void.insert((step.as_str(), *attempt));
            }
            _ => {}
        }
    }
    let mut requests: BTreeMap<&str, usize> = BTreeMap::new();
    for Start { step, attempt, number, .. } in &machine.facts.starts {
        // Requests do not say which attempt they are of; no more are made than were announced.
        if *attempt == 0 {
            *requests.entry(step).or_default() += 1;
            continue;
        }
        if void.contains(&(step.as_str(), *attempt)) {
            return broken(Rule::Announced, format!("attempt {attempt} of {step} is said not to have run"));
        }
        if !started.contains(&(step.as_str(), *attempt)) {
            return broken(Rule::Announced, format!("attempt {attempt} of {step} has no start on record"));
        }
        if !intended.contains_key(&(step.as_str(), *attempt, *number)) {
            let what = format!("process {number} of attempt {attempt} of {step} has no intent on record");
            return broken(Rule::Announced, what);
        }
    }
    for (step, made) in requests {
        let intents: usize = intended.iter().filter(|((of, ..), _)| *of == step).map(|(_, count)| count).sum();
        if intents < made {
            return broken(Rule::Announced, format!("{step} sent {made} requests, and {intents} are on record"));
        }
    }
    Ok(())
}

/// Between two attempts that meant to change something stands a reason.
fn once(case: &Case, records: &[Record]) -> Result<(), Broken> {
    let begun: BTreeSet<&StepId> = records.iter().filter_map(|record| record.event.step()).collect();
    for path in begun {
        if may_repeat(case, path.as_str()) {
            continue;
        }
        let mut latest: Option<u32> = None;
        let (mut reason, mut looked) = (false, false);
        for record in records.iter().filter(|record| record.event.step() == Some(path)) {
            match &record.event {
                Event::EffectIntended { effect: Effect::Read, .. } => looked = true,
                Event::EffectIntended { attempt, .. } if latest == Some(*attempt) => {}
                Event::EffectIntended { attempt, .. } => {
                    if let Some(before) = latest
                        && !reason
                    {
                        let what =
                            format!("{path} began attempt {attempt} after attempt {before}, and nobody says why");
                        return broken(Rule::Once, what);
                    }
                    latest = Some(*attempt);
                    (reason, looked) = (false, false);
                }
                // Nothing was done: the world is asked whether that is true.
                Event::StepFinished { status: StepStatus::NotRun, .. } => reason = true,
                // A look that came to something.
                Event::StepFinished { status: StepStatus::Failed | StepStatus::Unknown, .. } => reason |= looked,
                Event::StepRetried { .. } => reason = true,
                Event::QuestionAnswered { answer, .. } => reason |= ["retry", "not-done"].contains(&answer.as_str()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Each undo is of something that took effect, in the reverse order of the records that say so.
fn taken_back(case: &Case, machine: &Machine, records: &[Record]) -> Result<(), Broken> {
    // When a step, or the last one inside of it, first took effect.
    let took = |of: &StepId| {
        let mut first: BTreeMap<&str, u64> = BTreeMap::new();
        for record in records {
            if let Event::StepFinished { step, status: StepStatus::Succeeded | StepStatus::DoneByHand, .. } =
                &record.event
                && (step == of || step.is_inside(of))
            {
                first.entry(step.as_str()).or_insert(record.seq);
            }
        }
        // That of a container itself comes when all is over.
        let inside = first.iter().filter(|(step, _)| **step != of.as_str()).map(|(_, seq)| *seq).max();
        inside.or(first.get(of.as_str()).copied())
    };
    let points = case.runbook.all_steps().filter(|step| step.irreversible).filter_map(|step| took(&step.path));
    let point = points.max().unwrap_or(0);
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut before: Option<(StepId, u64)> = None;
    for done in &machine.facts.ledger {
        let Some(of) = StepId::new(&done.step).undoes() else { continue };
        if !seen.insert((&done.step, &done.name)) {
            return broken(Rule::Undo, format!("{} was taken back twice", of));
        }
        let Some(seq) = took(&of) else {
            return broken(Rule::Undo, format!("{of} was taken back, and had not taken effect"));
        };
        if seq < point {
            return broken(Rule::Undo, format!("{of} was taken back beyond a point of no return"));
        }
        if let Some((later, at)) = &before
            && *later != of
            && *at < seq
        {
            return broken(Rule::Undo, format!("{later} was taken back before {of}, which had come after it"));
        }
        before = Some((of, seq));
    }
    Ok(())
}

/// Every spelling that is looked for.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut all = vec![secret.as_bytes().to_vec()];
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    for before in 0..3 {
        let text = encode(&[&vec![0; before][..], secret.as_bytes()].concat());
        // What its neighbours have a part in is left out.
        all.push(text.as_bytes()[(before * 8).div_ceil(6)..text.len() - 4].to_vec());
    }
    all.push(secret.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    all.push(serde_json::to_string(secret).unwrap().trim_matches('"').into());
    all
}

/// No secret is where it can be seen.
pub fn secrets(machine: &Machine) -> Result<(), Broken> {
    if machine.facts.told.is_empty() {
        return Ok(());
    }
    let files = machine.disk.files();
    for name in &machine.facts.told {
        for spelling in spellings(&canary(name)) {
            let finder = memchr::memmem::Finder::new(&spelling);
            if let Some((path, _)) = files.iter().find(|(_, bytes)| finder.find(bytes).is_some()) {
                return broken(Rule::Secret, format!("the secret {name} is in {}", path.display()));
            }
            if let Some(said) = machine.shown.iter().find(|bytes| finder.find(bytes).is_some()) {
                return broken(Rule::Secret, format!("the secret {name} was shown: {}", String::from_utf8_lossy(said)));
            }
        }
    }
    Ok(())
}

/// Whether a step, by its path in the run, may take effect twice.
fn may_repeat(case: &Case, path: &str) -> bool {
    case.runbook.step_at(path).is_some_and(|step| step.idempotent || step.body.effect == Effect::Read)
}

/// Whether a step is another one, an item of it, or stands in it.
fn is_in(path: &str, step: &str) -> bool {
    path.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
}

/// What came of it all.
fn end_of(case: &Case, machine: &Machine, state: &RunState) -> Result<End, Broken> {
    let Some((outcome, code)) = state.finished else { return broken(Rule::Ends, "it has no end") };
    let mut statuses = BTreeMap::new();
    for step in case.runbook.all_steps() {
        let status = state.steps.get(&step.path).and_then(|state| state.status());
        let shown = match status {
            // Whether the program saw it or a person did, it is done.
            Some(StepStatus::Succeeded | StepStatus::DoneByHand) => "done",
            Some(status) => status.name(),
            None => "never ran",
        };
        statuses.insert(step.path.to_string(), shown);
    }
    // Those of loops and of runbooks that are called.
    for (path, of) in &state.steps {
        let status = of.status().filter(|_| !statuses.contains_key(path.as_str()));
        let shown = match status {
            Some(StepStatus::Succeeded | StepStatus::DoneByHand) => "done",
            Some(status) => status.name(),
            None => continue,
        };
        statuses.insert(path.to_string(), shown);
    }
    let mut effects = BTreeMap::new();
    for done in &machine.facts.ledger {
        let times = effects.entry((done.step.clone(), done.name.clone())).or_insert(0);
        // What may happen twice is there or not.
        *times = if may_repeat(case, &done.step) { 1 } else { *times + 1 };
    }
    Ok(End { outcome, code, statuses, effects })
}

/// At the end of all sessions.
pub fn over(case: &Case, machine: &Machine, whole: Option<&End>) -> Result<End, Broken> {
    let Some(journal) = sound(case, machine)? else { return broken(Rule::Ends, "there is no run") };
    order(case, machine)?;
    let end = end_of(case, machine, &journal.state)?;
    if let Some(whole) = whole
        && !same(case, whole, &end)
    {
        return broken(Rule::SameEnd, format!("it ended as\n{end:?}\nand not as\n{whole:?}"));
    }
    let report = verified(machine, false)?;
    // What an engine left of an output in its death is promised to nobody.
    let unproven = report.unproven.iter().find(|what| !what.starts_with("out/"));
    if report.closed.is_none() || unproven.is_some() {
        return broken(Rule::Chain, format!("it is over, and {unproven:?} is not proven"));
    }
    let left = machine.facts.processes.iter().find(|of| of.parted.is_some() && of.end.is_none());
    if let Some(left) = left {
        return broken(Rule::Ends, format!("it is over, and what {} has started still runs", left.start.step));
    }
    let runs = machine.store().runs_dir();
    let names = machine.disk.list(&runs).unwrap_or_default();
    if names.iter().filter(|name| !name.starts_with('.')).ne([machine.run.as_str()]) {
        return broken(Rule::Ends, format!("one run was expected: {names:?}"));
    }
    if machine.disk.files().iter().any(|(path, _)| path.starts_with(dir_of(machine).join("scratch"))) {
        return broken(Rule::Ends, "its scratch folder is left");
    }
    // In a copy, so that nothing is left behind.
    let free = machine.fork().store().acquire(&["release".to_owned()], &machine.run, "another", &who());
    if let Err(error) = free {
        return broken(Rule::Alone, format!("it is over, and its lock is not free: could not {error}"));
    }
    Ok(end)
}

/// Unattended, nobody is asked about what runs last: a run is not kept open for it, and does not count as a success.
fn same(case: &Case, whole: &End, end: &End) -> bool {
    if case.attended {
        return end == whole;
    }
    let (mut end, mut whole) = (end.clone(), whole.clone());
    let last: Vec<String> = case.runbook.finally.iter().map(|step| step.path.to_string()).collect();
    let in_last = |path: &str| last.iter().any(|step| is_in(path, step));
    let is_open = |of: &End| of.statuses.iter().any(|(path, status)| in_last(path) && *status == "unknown");
    // What comes after it there may ask how it ended.
    let open = is_open(&end) || is_open(&whole);
    if open {
        for end in [&mut end, &mut whole] {
            end.statuses.retain(|path, _| !in_last(path));
            end.effects.retain(|(of, _), _| !in_last(of));
        }
    }
    // What is open there makes a failure of a success; decided by a later session, it does not.
    let either = |of: &End| matches!(of.outcome, Outcome::Succeeded | Outcome::Failed);
    if open && either(&end) && either(&whole) {
        (end.outcome, end.code) = (whole.outcome, whole.code);
    }
    end == whole
}

/// Effects follow those of the steps that theirs need.
fn order(case: &Case, machine: &Machine) -> Result<(), Broken> {
    let steps = &case.runbook.steps;
    let places = |step: &runsheet::model::Step| -> Vec<usize> {
        // What takes a step back comes after all of them.
        let runs = |done: &super::facts::Done| StepId::new(&done.step).undoes().is_none();
        let of = |done: &super::facts::Done| runs(done) && is_in(&done.step, step.path.as_str());
        let ledger = machine.facts.ledger.iter().enumerate();
        ledger.filter(|(_, done)| of(done)).map(|(place, _)| place).collect()
    };
    for (index, needs) in case.needs.iter().enumerate() {
        let Some(first) = places(&steps[index]).first().copied() else { continue };
        for need in needs.iter().map(|need| &steps[*need]).filter(|need| !need.idempotent) {
            let last = |place: &usize| !may_repeat(case, &machine.facts.ledger[*place].step);
            if places(need).into_iter().rfind(last).is_some_and(|last| last > first) {
                return broken(Rule::Order, format!("{} took effect before {}", steps[index].path, need.path));
            }
        }
    }
    let first_of_finally = case.runbook.finally.iter().filter_map(|step| places(step).first().copied()).min();
    let last_of_main =
        steps.iter().flat_map(places).filter(|place| !may_repeat(case, &machine.facts.ledger[*place].step)).max();
    match (first_of_finally, last_of_main) {
        (Some(first), Some(last)) if first < last => broken(Rule::Order, "what runs last ran before the last step"),
        _ => Ok(()),
    }
}
