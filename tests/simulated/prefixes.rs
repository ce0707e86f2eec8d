//! A journal that ends anywhere: at every byte it is opened, and gone on with, without a panic and without a mistake of
//! ours.

use runsheet::{
    event::Event,
    journal::{Replay, StoreError},
    port::Storage,
};

use super::{
    books::book,
    drive::{Came, Case, Crash, Fall, Machine, Rig, dir_of, who},
    points::{to_the_end, uninterrupted},
};

/// A run that was killed when everything was written, but for what is noted when it closes.
fn killed_at_its_end(case: &Case) -> (Machine, Vec<u8>) {
    let rig = Rig::default();
    let whole = uninterrupted(case, &rig).map_err(|found| found.what).unwrap();
    for change in (0..whole.changes).rev() {
        let mut machine = Machine::default();
        machine.session(case, &rig, Some(Crash::Change(change)));
        machine.fall(Fall::Kill);
        let journal = machine.disk.read(&dir_of(&machine).join("journal.jsonl")).unwrap();
        let noted = machine.disk.read(&dir_of(&machine).join("run.lock")).unwrap();
        if !String::from_utf8(noted).unwrap().contains("closed_head") {
            assert!(Replay::of(&journal).closed());
            return (machine, journal);
        }
    }
    panic!("{}: it notes its end before it has one", case.name);
}

fn cut_to(machine: &Machine, length: usize) -> Machine {
    let mut cut = machine.fork();
    cut.disk.edit(&dir_of(machine).join("journal.jsonl"), |journal| journal.truncate(length)).unwrap();
    // What was promised is cut off.
    cut.acked.clear();
    cut
}

/// At every byte: the records are those of the whole lines, and what follows is set aside and told.
#[test]
fn every_beginning_of_a_journal_opens() {
    let mut opened = 0;
    for name in ["people"] {
        let case = book(name);
        let (machine, journal) = killed_at_its_end(&case);
        let ends: Vec<usize> = (1..=journal.len()).filter(|end| journal[end - 1] == b'\n').collect();
        for length in 0..=journal.len() {
            let cut = cut_to(&machine, length);
            let lines = ends.iter().filter(|end| **end <= length).count();
            match cut.store().open(&cut.run, &who()) {
                Ok(open) => {
                    assert_eq!(open.records.len(), lines, "{name} cut to {length}");
                    let torn = length - lines.checked_sub(1).map_or(0, |last| ends[last]);
                    let told: Vec<u64> = open.recovered.iter().map(cut_bytes).collect();
                    assert_eq!(told, if torn == 0 { vec![] } else { vec![torn as u64] }, "{name} cut to {length}");
                    opened += 1;
                }
                Err(StoreError::BadLine { bad, .. }) => assert!(lines == 0 && bad.line == 1, "{name} cut to {length}"),
                Err(error) => panic!("{name} cut to {length}: could not {error}"),
            }
        }
    }
    println!("{opened} beginnings");
    assert!(opened > 500);
}

fn cut_bytes(event: &Event) -> u64 {
    match event {
        Event::Recovered { cut_bytes, .. } => *cut_bytes,
        other => panic!("{other:?}"),
    }
}

/// A resume makes no mistake whatever is missing, in a world in which all of it happened.
#[test]
fn every_beginning_of_a_journal_is_gone_on_with() {
    let mut tried = 0;
    for name in ["linear", "mixed", "retried", "evidence", "unknown", "wide with 4 at a time", "last unattended"] {
        let case = book(name);
        let (machine, journal) = killed_at_its_end(&case);
        let beside =
            |length: &usize| journal.iter().take(*length + 1).skip(length.saturating_sub(2)).any(|b| *b == b'\n');
        let first = journal.iter().position(|b| *b == b'\n').unwrap() + 1;
        for length in (first..=journal.len()).filter(|length| length % 97 == 0 || beside(length)) {
            let mut cut = cut_to(&machine, length);
            cut.last = None;
            let came = cut.session(&case, &Rig::default(), None).came;
            assert!(matches!(came, Came::Ended(_)), "{name} cut to {length}: {came:?}");
            to_the_end(&case, &Rig::default(), &mut cut)
                .unwrap_or_else(|found| panic!("{name} cut to {length}: {}", found.what));
            assert!(cut.broken.is_empty(), "{name} cut to {length}: {:?}", cut.broken);
            tried += 1;
        }
    }
    println!("{tried} beginnings");
    assert!(tried > 200);
}
