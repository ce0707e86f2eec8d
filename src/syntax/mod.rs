//! From text to spanned nodes, templates and expressions. Knows nothing of steps or runs.

mod checks;
mod eval;
mod expr;
mod filters;
mod functions;
mod node;
mod parse;
mod sequences;
mod strict;
mod template;
mod tree;
mod url;

pub use expr::{Eval, Expr, Reference, Truth};
pub use functions::{FunctionDoc, FunctionKind, RESERVED, functions};
pub use node::{Entry, Node, NodeKind, ScalarStyle, Text};
pub use template::{Rendered, Template};
