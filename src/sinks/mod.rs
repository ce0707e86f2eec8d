//! What shows a run while it happens: lines for people, JSON for programs. Knows nothing of who makes the events.

mod anchors;
mod json;
mod lines;
mod output;
mod screen;

pub use anchors::{Anchors, HashOf};
pub use json::JsonLines;
pub use lines::{LineOptions, Lines};
