//! Windows that were found open, each tried at every point: they are two crashes wide, and chance seldom finds them.

use runsheet::journal::Cut;

use super::{
    books::{TINY, book},
    checks::{over, standing},
    drive::{Came, Case, Crash, Fall, Machine, Rig},
    points::{Whole, crashes, to_the_end, uninterrupted},
};

fn whole(case: &Case) -> Whole {
    uninterrupted(case, &Rig::default()).map_err(|found| found.what).unwrap()
}

/// What a killed program had not synced is still in memory. Whoever builds on it makes it durable first: names of folders,
/// of the run, and the end of the run.
#[test]
fn what_was_built_on_something_killed_survives_a_power_cut() {
    for name in ["linear", "last unattended"] {
        let case = book(name);
        let whole = whole(&case);
        for crash in crashes(whole.changes, whole.moments) {
            let mut machine = Machine::default();
            machine.session(&case, &Rig::default(), Some(crash));
            machine.fall(Fall::Kill);
            to_the_end(&case, &Rig::default(), &mut machine).map_err(|found| found.what).unwrap();
            machine.fall(Fall::Power(Cut::Drop));
            over(&case, &machine, Some(&whole.end))
                .unwrap_or_else(|found| panic!("{name} at {crash:?}: {}", found.what));
            // Nobody has to put anything right.
            let again = machine.session(&case, &Rig::default(), None);
            assert!(matches!(again.came, Came::Ended(_)), "{name} at {crash:?}: {again:?}");
        }
    }
}

/// `verify` looked after a crash and found nothing. If the resume dies before it runs the step, the next one does.
#[test]
fn what_verify_found_is_not_taken_for_a_failure() {
    for case in [Case::new("tiny", TINY), Case::new("tiny", TINY).unattended()] {
        let whole = whole(&case);
        for first in 0..whole.moments {
            let mut fallen = Machine::default();
            fallen.session(&case, &Rig::default(), Some(Crash::Moment(first)));
            fallen.fall(Fall::Power(Cut::Drop));
            let resumed = fallen.fork().session(&case, &Rig::default(), None);
            for second in crashes(resumed.changes, resumed.moments) {
                let mut machine = fallen.fork();
                machine.session(&case, &Rig::default(), Some(second));
                machine.fall(Fall::Power(Cut::Keep));
                let end = standing(&case, &machine)
                    .and_then(|()| to_the_end(&case, &Rig::default(), &mut machine))
                    .and_then(|()| over(&case, &machine, Some(&whole.end)));
                if let Err(found) = end {
                    panic!("{} at moment {first}, then at {second:?}: {}", case.name, found.what);
                }
            }
        }
    }
}
