mod yaml;
//! The one integration binary: each topic is a module.

mod processes;
mod journal;
mod standins;
