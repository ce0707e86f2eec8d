//! A runbook with its values: what would be done, in which order. Performs nothing.

mod inputs;
mod made;

pub use inputs::{Given, InputProblem, Inputs, ValueSource, resolve};
pub use made::{Plan, cycle_problem};
