//! Bytes nobody chose, given to what reads bytes. Knows the promises and not the engine that makes the bytes.

pub mod budget;
pub mod corpus;
pub mod seeds;
pub mod targets;
