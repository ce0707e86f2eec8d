//! A world that answers as a scenario says: no process, no connection, no file, no real secret. Knows nothing of
//! runbooks, nor of what should come of a run.

pub mod clock;
mod pace;
mod script;
mod stage;
mod world;

pub use pace::{Held, Paced};
pub use script::{
    CommandPattern, FOLDER, HttpFailure, HttpReplyRule, HttpRule, RequestPattern, Script, SeenCommand, SeenRequest,
    ShellFailure, ShellReply, ShellRule, WALL, holds,
};
pub use stage::{Clock, MOST, Simulated, Stage, Surprise, SurpriseReply, Unanswered};
pub use world::{Driven, ScenarioWorld};
