//! The worlds a run can happen in. Each is a [`crate::port::World`]; none knows what a step means.

pub mod dry;
pub mod probe;
pub mod real;
pub mod scenario;
