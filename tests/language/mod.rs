//! The language of values: expressions and templates.

mod expressions;
mod templates;
