//! Runbooks as code: the language, the plan, the engine, the journal and the operator's experience.

pub mod cli;
pub mod engine;
pub mod event;
pub mod journal;
pub mod kinds;
pub mod library;
pub mod lints;
pub mod model;
pub mod operators;
pub mod plan;
pub mod port;
pub mod render;
pub mod scenarios;
pub mod sinks;
pub mod syntax;
pub mod text;
pub mod triage;
pub mod value;
pub mod worlds;
