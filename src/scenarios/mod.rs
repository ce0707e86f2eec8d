//! Scenarios of a runbook: read, run in a simulated world, and held against what must come out. Knows nothing of files
//! and folders, and shows nothing itself.

mod coverage;
pub mod fields;
mod judge;
mod load;
mod mutate;
mod person;
mod read;
mod record;
mod rehearse;
mod run;
mod scenario;

pub use coverage::{Coverage, Item};
pub use load::{Book, Loaded, load};
pub use mutate::{Mutant, mutants};
pub use person::Answers;
pub use record::{Recorded, record};
pub use rehearse::{Live, Met, NotRehearsed, Rehearsal, Rehearsed, rehearse};
pub use run::{Ran, run};
pub use scenario::{Crash, Expect, Finding, Scenario, Startle, StepPlace};
