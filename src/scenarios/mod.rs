//! Scenarios of a runbook: read, run in a simulated world, and held against what must come out. Knows nothing of files
//! and folders, and shows nothing itself.

pub mod fields;
mod judge;
mod load;
mod person;
mod read;
mod rehearse;
mod run;
mod scenario;

pub use load::{Book, Loaded, load};
pub use person::Answers;
pub use rehearse::{Live, Met, NotRehearsed, Rehearsal, Rehearsed, rehearse};
pub use run::{Ran, run};
pub use scenario::{Crash, Expect, Finding, Scenario, Startle, StepPlace};
