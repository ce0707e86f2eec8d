//! The one integration binary: each topic is a module.

mod bad;
mod edits;
mod fields;
mod journal;
mod language;
mod processes;
mod standins;
mod yaml;
