//! The one integration binary: each topic is a module.

mod fields;
mod journal;
mod language;
mod plan;
mod processes;
mod standins;
mod support;
mod unattended;
mod yaml;
