//! The one integration binary: each topic is a module.

mod fields;
mod floors;
mod journal;
mod language;
mod processes;
mod standins;
mod yaml;
