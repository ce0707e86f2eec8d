//! From text to spanned nodes, templates and expressions. Knows nothing of steps or runs.

mod decode;
mod fields;
mod given;
mod node;
mod scalar;
mod slips;
mod tree;
pub mod yaml;

pub use decode::decode;
pub use fields::{Fields, Pair, Problems};
pub use given::Given;
pub use node::{Entry, Node, NodeKind, ScalarStyle, Text};
