//! Runbooks as code: the language, the plan, the engine, the journal and the operator's experience.

pub mod engine;
pub mod event;
pub mod journal;
pub mod kinds;
pub mod model;
pub mod plan;
pub mod port;
pub mod render;
pub mod syntax;
pub mod text;
pub mod value;
pub mod worlds;
