//! A runbook with its values: what would be done, in which order. Performs nothing.

pub mod compare;
mod difference;
mod edits;
mod inputs;
mod made;

pub use compare::{Change, Compared, Comparison, MarkedLine, Version, Weight, What, compare, likeness, marked};
pub use difference::{Difference, How, Side, StepDifference, difference};
pub use edits::Edit;
pub use inputs::{Given, InputProblem, Inputs, Said, Sources, ValueSource, explain, resolve, variable_for};
pub use made::{Book, Plan, cycle_problem, origins_of, scope_of};
