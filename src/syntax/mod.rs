//! From text to spanned nodes, templates and expressions. Knows nothing of steps or runs.

mod node;

pub use node::{Entry, Node, NodeKind, ScalarStyle, Text};
