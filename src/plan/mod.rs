//! A runbook with its values: what would be done, in which order. Performs nothing.

mod difference;
mod inputs;
mod made;

pub use difference::{Difference, How, Side, StepDifference, difference};
pub use inputs::{Given, InputProblem, Inputs, Said, Sources, ValueSource, explain, resolve, variable_for};
pub use made::{Book, Plan, cycle_problem, origins_of, scope_of};
