//! The built-in runbooks of Balrog, run for real against stand-ins: the normal course, everything that may go wrong, and
//! for each check of a runbook that something would go wrong unseen without it.

pub mod front;
mod mozcloud;
mod mozcloud_checks;
mod mozcloud_deploy;
mod mozcloud_promote;
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
