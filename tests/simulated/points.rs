//! Every point at which a run can die, what is left of it then, and that it goes on from there to the same end.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use runsheet::journal::Cut;

use super::{
    checks::{Broken, End, Rule, broken, over, standing, verified},
    drive::{Came, Case, Crash, Fall, Machine, Rig},
};

/// Sessions that a run may need once nothing disturbs it any more.
const SESSIONS: u32 = 10;

/// What was tried: how often, by what it died at, and what died with it.
#[derive(Default)]
pub struct Tally {
    tried: BTreeMap<(String, &'static str), u64>,
    /// What was left was not what another way to fall had left at the same point: only these go on.
    pub distinct: u64,
}

impl Tally {
    fn count(&mut self, at: &str, fall: Fall) {
        *self.tried.entry((at.to_owned(), kind_of(fall))).or_default() += 1;
    }

    pub fn add(&mut self, other: Tally) {
        for (key, count) in other.tried {
            *self.tried.entry(key).or_default() += count;
        }
        self.distinct += other.distinct;
    }

    pub fn sum(&self) -> u64 {
        self.tried.values().sum()
    }

    pub fn lines(&self) -> String {
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((at, fall), count) in &self.tried {
            lines.entry(at).or_default().push(format!("{fall} {count}"));
        }
        let lines: Vec<String> = lines.iter().map(|(at, falls)| format!("{at:>12}: {}", falls.join(", "))).collect();
        lines.join("\n")
    }
}

fn kind_of(fall: Fall) -> &'static str {
    match fall {
        Fall::Kill => "killed",
        Fall::KillAndLeave => "killed and left",
        Fall::Power(Cut::Drop) => "power, unsynced dropped",
        Fall::Power(Cut::Keep) => "power, unsynced kept",
        Fall::Power(Cut::Torn { .. }) => "power, unsynced torn",
        Fall::Power(Cut::Holes { .. }) => "power, unsynced with holes",
    }
}

fn leaves_holes(fall: Fall) -> bool {
    matches!(fall, Fall::Power(Cut::Holes { .. }))
}

/// Every way to fall; of those that a seed decides, so many.
pub fn falls(seeds: std::ops::Range<u64>) -> Vec<Fall> {
    let mut falls = vec![Fall::Kill, Fall::KillAndLeave, Fall::Power(Cut::Drop), Fall::Power(Cut::Keep)];
    falls.extend(seeds.flat_map(|seed| [Fall::Power(Cut::Torn { seed }), Fall::Power(Cut::Holes { seed })]));
    falls
}

/// Every point of a session that made so many changes and saw so many moments.
pub fn crashes(changes: u64, moments: u64) -> impl Iterator<Item = Crash> {
    (0..changes).map(Crash::Change).chain((0..moments).map(Crash::Moment))
}

/// How much of what can be tried a second and a third time is tried: every so manieth; 0 for nothing.
#[derive(Clone, Copy)]
pub struct Deep {
    /// At most so many points of each run, spread over all of it.
    pub first: u64,
    pub second: u64,
    pub third: u64,
}

/// A run that nothing disturbs, and how many points it has.
pub struct Whole {
    pub end: End,
    pub changes: u64,
    pub moments: u64,
}

pub fn uninterrupted(case: &Case, rig: &Rig) -> Result<Whole, Broken> {
    let mut machine = Machine::default();
    let first = machine.session(case, rig, None);
    ended(&first.came)?;
    to_the_end(case, rig, &mut machine)?;
    let end = over(case, &machine, None)?;
    Ok(Whole { end, changes: first.changes, moments: first.moments })
}

fn ended(came: &Came) -> Result<(), Broken> {
    match came {
        Came::Ended(_) => Ok(()),
        Came::Crashed => broken(Rule::Ends, "it crashed by itself"),
        Came::Refused(why) => broken(Rule::Ends, format!("it was refused: {why}")),
        Came::Hangs(halt) => broken(Rule::Ends, format!("it hangs: {halt:?}")),
    }
}

fn is_over(machine: &Machine) -> bool {
    machine.last.as_ref().is_some_and(|end| end.outcome.closes())
}

/// Goes on until the run is over.
pub fn to_the_end(case: &Case, rig: &Rig, machine: &mut Machine) -> Result<(), Broken> {
    let mut sessions = 0;
    while !is_over(machine) {
        sessions += 1;
        if sessions > SESSIONS {
            return broken(Rule::Ends, format!("after {SESSIONS} sessions it is not over: {:?}", machine.last));
        }
        machine.facts.pass(Duration::from_secs(60));
        ended(&machine.session(case, rig, None).came)?;
    }
    Ok(())
}

/// From what a crash left to the end; tells how many points the first session has.
fn goes_on(case: &Case, rig: &Rig, machine: &mut Machine, whole: Option<&End>) -> Result<(u64, u64), Broken> {
    machine.last = None;
    let first = machine.session(case, rig, None);
    ended(&first.came)?;
    to_the_end(case, rig, machine)?;
    over(case, machine, whole)?;
    // Each run looks much like the others when it is over.
    if machine.disk.changes().is_multiple_of(4) {
        closed_for_good(case, rig, machine)?;
    }
    Ok((first.changes, first.moments))
}

/// Whoever resumes what is over is told how it ended, and nothing happens.
fn closed_for_good(case: &Case, rig: &Rig, machine: &mut Machine) -> Result<(), Broken> {
    let (last, files) = (machine.last.clone(), machine.disk.files());
    let again = machine.session(case, rig, None);
    match (&again.came, last) {
        (Came::Ended(end), Some(last)) if end.code == last.code => {}
        (came, last) => return broken(Rule::Ends, format!("it is over as {last:?}, and to go on with it is {came:?}")),
    }
    if machine.disk.files() != files {
        return broken(Rule::Ends, "going on with what is over changed something");
    }
    Ok(())
}

/// What a test of the tests expects to see broken is told with all that is needed to see it again.
fn located(result: Result<(u64, u64), Broken>, case: &Case, path: &[(Crash, Fall)]) -> Result<(u64, u64), Broken> {
    result.map_err(|found| Broken {
        what: format!("{} after {path:?}: {:?}: {}", case.name, found.rule, found.what),
        ..found
    })
}

/// Says where a panic came from.
struct Here<'a>(&'a Case, Vec<(Crash, Fall)>);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} after {:?}\n{}", self.0.name, self.1, self.0.text);
        }
    }
}

/// A crash at every point, every way to fall, and some of what can follow.
pub fn explore(case: &Case, rig: &Rig, deep: Deep, tally: &mut Tally) -> Result<(), Broken> {
    let whole = uninterrupted(case, rig)?;
    let mut counter = 0;
    let every = (whole.changes + whole.moments).div_ceil(deep.first.max(1)).max(1);
    for (number, crash) in crashes(whole.changes, whole.moments).enumerate() {
        if !(number as u64).is_multiple_of(every) {
            continue;
        }
        let mut dead = Machine::default();
        let session = dead.session(case, rig, Some(crash));
        let Came::Crashed = session.came else {
            return broken(Rule::Ends, format!("{}: {crash:?} did not come: {:?}", case.name, session.came));
        };
        let at = session.op.map_or("moment".to_owned(), |op| format!("{op:?}"));
        let seed = number as u64;
        let mut seen = BTreeSet::new();
        for fall in falls(seed..seed + 1) {
            let mut fallen = dead.fork();
            tally.count(&at, fall);
            let mut probe = dead.fork();
            probe.fall(fall);
            // The same past has the same future.
            if !seen.insert(left_of(&probe, fall)) {
                continue;
            }
            tally.distinct += 1;
            let points = after(case, rig, &mut fallen, fall, &[(crash, fall)], &whole.end)?;
            again(case, rig, &fallen, &mut vec![(crash, fall)], points, &whole.end, &mut counter, deep, tally)?;
        }
    }
    Ok(())
}

/// What is left of a machine, as far as anything to come depends on it.
fn left_of(machine: &Machine, fall: Fall) -> u64 {
    let mut hash = DefaultHasher::new();
    // After a power cut nothing waits to be synced any more.
    matches!(fall, Fall::Power(_)).hash(&mut hash);
    for (path, bytes) in machine.disk.files() {
        path.hash(&mut hash);
        hash.write(&bytes);
    }
    let mut facts = machine.facts.clone();
    // Where nothing goes on, it is all the same how late it is.
    if facts.next().is_none() {
        facts.now = Duration::ZERO;
    }
    format!("{facts:?}").hash(&mut hash);
    hash.finish()
}

/// Falls, and is looked at; a copy goes on to the end.
fn after(
    case: &Case,
    rig: &Rig,
    machine: &mut Machine,
    fall: Fall,
    path: &[(Crash, Fall)],
    whole: &End,
) -> Result<(u64, u64), Broken> {
    let _here = Here(case, path.to_vec());
    machine.fall(fall);
    let holes = path.iter().any(|(_, fall)| leaves_holes(*fall));
    let verified = |()| {
        let there = !machine.acked.is_empty() && machine.disk.changes().is_multiple_of(4);
        if there { verified(machine, holes).map(drop) } else { Ok(()) }
    };
    let tried =
        standing(case, machine).and_then(verified).and_then(|()| goes_on(case, rig, &mut machine.fork(), Some(whole)));
    located(tried, case, path)
}

/// The session after a crash dies as well.
#[expect(clippy::too_many_arguments, reason = "it calls itself with all that it was given")]
fn again(
    case: &Case,
    rig: &Rig,
    fallen: &Machine,
    path: &mut Vec<(Crash, Fall)>,
    points: (u64, u64),
    whole: &End,
    counter: &mut u64,
    deep: Deep,
    tally: &mut Tally,
) -> Result<(), Broken> {
    let stride = if path.len() == 1 { deep.second } else { deep.third };
    if stride == 0 || path.len() > 2 {
        return Ok(());
    }
    for crash in crashes(points.0, points.1) {
        *counter += 1;
        if !counter.is_multiple_of(stride) {
            continue;
        }
        let mut machine = fallen.fork();
        let session = machine.session(case, rig, Some(crash));
        let Came::Crashed = session.came else {
            return broken(Rule::Ends, format!("{} {path:?}: {crash:?} did not come: {:?}", case.name, session.came));
        };
        tally.distinct += 1;
        let ways = falls(*counter..*counter + 1);
        let fall = ways[(*counter / stride) as usize % ways.len()];
        let at = session.op.map_or("moment".to_owned(), |op| format!("{op:?}"));
        tally.count(&format!("{at} again"), fall);
        path.push((crash, fall));
        let points = after(case, rig, &mut machine, fall, path, whole)?;
        again(case, rig, &machine, path, points, whole, counter, deep, tally)?;
        path.pop();
    }
    Ok(())
}
