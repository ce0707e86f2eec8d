//! The real engine, publisher and store on a simulated machine: disk, world, clock and people, all of it deterministic.
//! Killed and cut off at every change of the disk and every moment of the world, it must come to the same end.

mod books;
mod checks;
mod clock;
mod drive;
mod facts;
mod person;
mod points;
mod script;
mod world;

use drive::Rig;
use points::{Deep, Tally, explore};

#[test]
fn every_book_survives_every_crash() {
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for case in books::all() {
        let began = std::time::Instant::now();
        let before = tally.sum();
        if let Err(found) = explore(&case, &Rig::default(), Deep { second: 0, third: 0 }, &mut tally) {
            broken.push(found.what);
        }
        println!("{}: {} points, {:?}", case.name, tally.sum() - before, began.elapsed());
    }
    println!("{}\n{} points", tally.lines(), tally.sum());
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n\n"));
}
