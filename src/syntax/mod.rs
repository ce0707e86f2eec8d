//! From text to spanned nodes, templates and expressions. Knows nothing of steps or runs.

mod ast;
mod checks;
mod decode;
mod eval;
mod expr;
mod fields;
mod filters;
mod format;
mod functions;
mod given;
mod node;
mod parse;
mod patterns;
mod places;
mod scalar;
mod sequences;
mod slips;
mod strict;
mod template;
mod times;
mod tree;
mod url;
mod versions;
pub mod yaml;

pub use decode::decode;
pub use expr::{Eval, Expr, Reference, Truth};
pub use fields::{Fields, Foreign, Pair, Problems, not_yet};
pub use functions::{FunctionDoc, FunctionKind, RESERVED, functions};
pub use given::Given;
pub use node::{Entry, Node, NodeKind, ScalarStyle, Text};
pub use template::{Rendered, Template};
pub use times::moment_of;
