//! Runbooks as code: the language, the plan, the engine, the journal and the operator's experience.

pub mod event;
pub mod operators;
pub mod port;
pub mod sinks;
pub mod syntax;
pub mod text;
pub mod value;
