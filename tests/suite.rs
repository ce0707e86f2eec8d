//! The one integration binary: each topic is a module.

mod fields;
mod journal;
mod killed;
mod lab;
mod language;
mod processes;
mod standins;
mod supervised;
mod yaml;
