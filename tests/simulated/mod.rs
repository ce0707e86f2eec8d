//! The real engine, publisher and store on a simulated machine: disk, world, clock and people, all of it deterministic.
//! Killed and cut off at every change of the disk and every moment of the world, it must come to the same end.

mod books;
mod checks;
mod controls;
mod drive;
mod facts;
mod found;
mod graphs;
mod person;
mod points;
mod prefixes;
mod script;
mod world;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use drive::Rig;
use points::{Deep, Tally, explore};

/// Each book with a crash at every point, and some of what can follow; two at a time.
fn tried(deep: Deep) -> Tally {
    let (next, all, broken) = (AtomicUsize::new(0), Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    // `SIMULATED_BOOK=undone` tries those alone, for whoever works on them.
    let only = std::env::var("SIMULATED_BOOK").ok();
    let work = || {
        // A case does not leave its thread.
        let mut cases = books::all();
        cases.retain(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str())));
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = std::time::Instant::now();
            let mut tally = Tally::default();
            if let Err(found) = explore(case, &Rig::default(), deep, &mut tally) {
                broken.lock().unwrap().push(found.what);
            }
            let Tally { distinct, .. } = tally;
            println!("{}: {} points, {distinct} of them distinct, {:?}", case.name, tally.sum(), began.elapsed());
            all.lock().unwrap().add(tally);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n\n"));
    all.into_inner().unwrap()
}

/// How many points of each run are tried, and how often what follows a crash is tried as well. `SIMULATED_POINTS=100000`
/// tries every point, which takes some ten minutes; `SIMULATED_STRIDE=1` tries all that follows, which takes hours. The
/// default is for every day.
fn deep() -> Deep {
    let given = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = given("SIMULATED_POINTS").unwrap_or(200);
    let stride = given("SIMULATED_STRIDE");
    Deep { first, second: stride.unwrap_or(1009), third: stride.unwrap_or(211) }
}

#[test]
fn books_of_containers_end_as_they_should() {
    for (book, code) in [("helped", 0), ("helped-back", 6), ("limited", 0)] {
        let whole =
            points::uninterrupted(&books::book(book), &Rig::default()).unwrap_or_else(|found| panic!("{}", found.what));
        assert_eq!(whole.end.code, code, "{:?}", whole.end);
    }
}

#[test]
fn every_book_survives_every_crash() {
    let tally = tried(deep());
    println!("{}\n{} points, {} of them distinct", tally.lines(), tally.sum(), tally.distinct);
    assert!(tally.sum() > 500);
}
