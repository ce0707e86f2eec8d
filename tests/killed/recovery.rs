//! A resume killed where it makes something durable, and the resume of that resume killed as well.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    place::Place,
    situations::{self, Situation},
    tracer::{Point, Whom},
};

/// Each situation with the fewest points at which both kills must have happened.
const SITUATIONS: &[(&Situation, usize)] = &[
    (&situations::AFTER_A_KILL, 40),
    (&situations::AFTER_A_KILL_IN_A_STEP, 40),
    (&situations::AFTER_A_TORN_LINE, 40),
    (&situations::AFTER_SECRETS, 30),
];

/// What a recovery is made of.
fn lasting(point: &Point) -> bool {
    let call = matches!(point.call, "write" | "pwrite64" | "fdatasync" | "fsync" | "rename" | "renameat" | "renameat2");
    call && point.about.starts_with("runs")
}

/// Where the next one is killed: while it puts right what the two before it left, each place in its turn. What follows
/// that is a run like any other.
fn third(points: &[Point], number: usize) -> &Point {
    &points[number * 5 % points.len().min(14)]
}

#[test]
fn a_kill_in_a_recovery_from_a_kill_is_recovered_from() {
    for (situation, least) in SITUATIONS {
        let first = Place::new(situation);
        first.restore();
        let passed = first.follow(situation.args, Whom::Program, None).passed;
        let points: Vec<Point> = passed.into_iter().filter(lasting).collect();
        drop(first);
        let (next, twice) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let missed: Mutex<Vec<String>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let place = Place::new(situation);
                    loop {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        let Some(second) = points.get(number) else { return };
                        let third = third(&points, number);
                        if killed_twice(&place, second, third) {
                            twice.fetch_add(1, Ordering::SeqCst);
                        } else {
                            missed.lock().unwrap().push(format!("{second:?}, {third:?}"));
                        }
                    }
                });
            }
        });
        let twice = twice.into_inner();
        println!("{}: killed at {twice} pairs of {} points", situation.name, points.len());
        assert!(twice >= *least, "{}: {missed:?}", situation.name);
    }
}

/// False if the last resume was over before it came to its point.
fn killed_twice(place: &Place<'_>, second: &Point, third: &Point) -> bool {
    place.restore();
    let mut both = true;
    for at in [second, third] {
        let point = format!("{}: {second:?}, then {third:?}: at {at:?}", place.situation.name);
        let traced = place.follow(place.situation.args, Whom::Program, Some(at));
        place.clean(&traced.ended, &point);
        both &= traced.reached;
        if !traced.reached {
            assert!(matches!(traced.ended.code, Some(0 | 1 | 7)), "{point}: {:#?}", traced.ended);
        }
        assert!(place.look(&traced.ended.events(), &point), "{point}: the run is gone");
    }
    let point = format!("{}: {second:?}, then {third:?}", place.situation.name);
    let code = place.converge(&point);
    place.over(code, &point);
    both
}
