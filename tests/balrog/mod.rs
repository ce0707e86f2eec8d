//! The built-in runbooks of Balrog, run for real against stand-ins: the normal course, everything that may go wrong, and
//! for each check of a runbook that something would go wrong unseen without it.

mod front;
mod logs;
mod people;
mod push;
pub mod retag;
mod retag_killed;
mod rollback;
mod rollback_killed;
pub mod rollback_ui;
mod schema;
mod stage;
mod stage_killed;

pub use crate::bench::{Bench, Ran};
