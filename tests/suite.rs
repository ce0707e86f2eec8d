//! The one integration binary: each topic is a module.

mod journal;
mod processes;
mod render;
mod standins;
mod yaml;
