//! The language of values: expressions and templates.

mod expressions;
mod functions;
mod strict;
mod templates;
