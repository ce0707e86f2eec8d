//! The engine killed at its system calls, one after the other: before it writes, before it syncs, before it renames.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    place::Place,
    situations::{self, Situation},
    tracer::{Point, Whom},
};

/// Each situation with the fewest points at which a kill must have happened.
const RUNS: &[(&Situation, usize)] = &[
    (&situations::RELEASE_RUN, 120),
    (&situations::WEB_RUN, 90),
    (&situations::LOOKS_RUN, 100),
    (&situations::SECRETS_RUN, 80),
    (&situations::GATES_RUN, 100),
    (&situations::SIDES_RUN, 70),
    (&situations::FAILING_RUN, 60),
    (&situations::PAUSING_RUN, 50),
];

const RESUMES: &[(&Situation, usize)] = &[
    (&situations::AFTER_A_KILL, 95),
    (&situations::AFTER_A_KILL_IN_A_STEP, 90),
    (&situations::AFTER_A_KILL_BEFORE_A_START, 100),
    (&situations::AFTER_A_TORN_LINE, 100),
    (&situations::AFTER_A_PAUSE, 85),
    (&situations::AFTER_SECRETS, 60),
];

const fn least(situations: &[(&Situation, usize)]) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < situations.len() {
        sum += situations[index].1;
        index += 1;
    }
    sum
}

const _: () = assert!(least(RUNS) >= 500 && least(RESUMES) >= 500);

/// What of the calls of a program is worth a kill: all that touch the state folder, tell an event, or tell a supervisor
/// or a server something. Closing a file frees its lock, and changes nothing where it has none.
fn matters(point: &Point) -> bool {
    match (point.call, point.about.as_str()) {
        (_, "pipe") => false,
        ("close", about) => about.ends_with(".lock"),
        _ => true,
    }
}

/// Kills at every point that matters, and sees what comes of each; returns how many were reached.
fn kill_everywhere(situation: &Situation) -> usize {
    let first = Place::new(situation);
    first.restore();
    let traced = first.follow(situation.args, Whom::Program, None);
    let points: Vec<Point> = traced.passed.into_iter().filter(matters).collect();
    drop(first);
    let tally: Mutex<BTreeMap<&str, (usize, usize)>> = Mutex::default();
    let next = AtomicUsize::new(0);
    // Two at a time: each mostly waits for the disk.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let place = Place::new(situation);
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(point) = points.get(number) else { return };
                    let reached = kill_at(&place, point, number);
                    let mut tally = tally.lock().unwrap();
                    let (tried, met) = tally.entry(point.call).or_default();
                    *tried += 1;
                    *met += usize::from(reached);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    let reached = tally.values().map(|(_, met)| met).sum();
    println!("{}: killed at {reached} of {} points", situation.name, points.len());
    for (call, (tried, met)) in tally {
        println!("  {call:10} {met} of {tried}");
    }
    reached
}

fn kill_at(place: &Place<'_>, at: &Point, number: usize) -> bool {
    let point = format!("{}: {at:?}", place.situation.name);
    place.restore();
    let traced = place.follow(place.situation.args, Whom::Program, Some(at));
    place.clean(&traced.ended, &point);
    if !traced.reached {
        // Of the calls whose number changes from run to run the last may not come.
        assert_eq!(traced.ended.code, Some(place.situation.first), "{point}: {:#?}", traced.ended);
        return false;
    }
    assert_eq!(traced.ended.signal, Some(libc::SIGKILL), "{point}: {:#?}", traced.ended);
    if place.look(&traced.ended.events(), &point) {
        let code = place.converge(&point);
        place.over(code, &point);
        if number.is_multiple_of(16) {
            place.told_by_the_program(code, &point);
        }
    }
    true
}

fn all_of(situations: &[(&Situation, usize)]) {
    for (situation, least) in situations {
        let reached = kill_everywhere(situation);
        assert!(reached >= *least, "{}: only {reached} points", situation.name);
    }
}

#[test]
fn a_run_killed_at_any_call_is_gone_on_with() {
    all_of(RUNS);
}

#[test]
fn a_resume_killed_at_any_call_is_gone_on_with() {
    all_of(RESUMES);
}
