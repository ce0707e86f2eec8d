//! The supervisor of a step killed at its calls: the engine notices, says what it knows, and leaves nothing running.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use runsheet::event::{StepId, StepStatus};

use super::{
    place::Place,
    situations::{NEW, Situation},
    tracer::{Point, Whom},
};
use crate::lab::processes_of;

/// A step `only`, and one after it, each with a supervisor of its own.
fn book(only: &str) -> String {
    format!("title: t\nsteps:\n  - id: only\n{only}  - id: after\n    shell: echo after >> \"$HOME/marks\"\n")
}

const QUICK: Situation = Situation {
    name: "a step that says and changes something",
    book: |_| book("    shell: |\n      echo only >> \"$HOME/marks\"\n      echo out; echo err >&2\n"),
    marks: &["only", "after"],
    again: &[],
    last: None,
    ..NEW
};

/// Its supervisor was started early, while the step before it ran.
const EARLY: Situation = Situation {
    name: "a step whose supervisor was ready before",
    book: |_| {
        let book = (QUICK.book)("");
        book.replacen("steps:", "steps:\n  - {id: before, effect: read, shell: \"true\"}", 1)
    },
    ..QUICK
};

/// Its supervisor has to end it, and one that ignores the polite signal.
const ENDLESS: Situation = Situation {
    name: "a step that does not end by itself",
    book: |_| {
        book(
            "    timeout: 150ms\n    shell:\n      kill_grace: 50ms\n      script: |\n        echo only >> \"$HOME/marks\"\n        (trap '' TERM INT; sleep 1000) &\n        sleep 1000\n",
        )
    },
    first: 7,
    marks: &["only", "after"],
    again: &[],
    last: None,
    ..NEW
};

/// It ends, and leaves something behind that its supervisor sweeps.
const LEAVING: Situation = Situation {
    name: "a step that leaves something behind",
    book: |_| {
        book(
            "    verify: {shell: grep -q only \"$HOME/marks\"}\n    shell: |\n      echo only >> \"$HOME/marks\"\n      setsid sleep 1000 > /dev/null 2>&1 &\n      sleep 1000 &\n",
        )
    },
    marks: &["only", "after"],
    again: &[],
    last: None,
    ..NEW
};

/// Each situation with the number of the supervisor that is killed, the fewest points at which that must have happened,
/// and how its step must have ended at some of them.
const SITUATIONS: &[(&Situation, usize, usize, &[StepStatus])] = &[
    (&QUICK, 1, 45, &[StepStatus::Failed, StepStatus::Unknown, StepStatus::Succeeded]),
    // Another one is asked where it is gone before it was told to start.
    (&EARLY, 2, 45, &[StepStatus::Unknown, StepStatus::Succeeded]),
    (&ENDLESS, 1, 55, &[StepStatus::Failed, StepStatus::Unknown]),
    // `verify` looks.
    (&LEAVING, 1, 55, &[StepStatus::Failed, StepStatus::Succeeded]),
];

fn kill_at(place: &Place<'_>, nth: usize, at: &Point) -> Option<StepStatus> {
    let point = format!("{}: the supervisor at {at:?}", place.situation.name);
    place.restore();
    // The tracer fails where the program hangs.
    let traced = place.follow(place.situation.args, Whom::Supervisor(nth), Some(at));
    place.clean(&traced.ended, &point);
    if !traced.reached {
        return None;
    }
    let ended = &traced.ended;
    assert!(matches!(ended.code, Some(0 | 1 | 7)), "{point}: {ended:#?}");
    // When the run is over, nothing of its steps goes on. Supervisors that wait for an order just learn that none comes.
    let mut left = processes_of(place.lab.home());
    left.retain(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        !words.is_empty() && !words.split(|byte| *byte == 0).any(|word| word == b"__supervise")
    });
    let stats: Vec<String> =
        left.iter().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()).collect();
    assert!(left.is_empty(), "{point}: {stats:?} {ended:#?}");
    assert!(place.look(&ended.events(), &point), "{point}: there is no run");
    let state = place.run_state();
    let status = state.steps[&StepId::new("only")].status().unwrap();
    let there = place.lab.marks("marks").iter().filter(|mark| *mark == "only").count();
    match status {
        StepStatus::Succeeded => assert_eq!(there, 1, "{point}: {ended:#?}"),
        StepStatus::Failed => assert_eq!(there, 0, "{point}: {ended:#?}"),
        StepStatus::Unknown => assert!(there <= 1, "{point}: {ended:#?}"),
        other => panic!("{point}: {other:?}"),
    }
    if ended.code == Some(1) {
        // It was never told to start the step, and that is what the run says.
        assert_eq!(status, StepStatus::Failed, "{point}: {ended:#?}");
        return Some(status);
    }
    let code = place.converge(&point);
    place.over(code, &point);
    Some(status)
}

#[test]
fn a_supervisor_killed_at_any_call_is_noticed() {
    for (situation, nth, least, statuses) in SITUATIONS {
        let first = Place::new(situation);
        first.restore();
        let points = first.follow(situation.args, Whom::Supervisor(*nth), None).passed;
        drop(first);
        let next = AtomicUsize::new(0);
        let tally: Mutex<BTreeMap<String, usize>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let place = Place::new(situation);
                    while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if let Some(status) = kill_at(&place, *nth, point) {
                            *tally.lock().unwrap().entry(format!("{status:?}")).or_default() += 1;
                        }
                    }
                });
            }
        });
        let tally = tally.into_inner().unwrap();
        let reached: usize = tally.values().sum();
        println!("{}: its supervisor killed at {reached} of {} points: {tally:?}", situation.name, points.len());
        assert!(reached >= *least);
        for status in *statuses {
            assert!(tally.contains_key(&format!("{status:?}")), "{status:?}: {tally:?}");
        }
    }
}
