//! The one integration binary: each topic is a module.

mod balrog;
mod contract;
mod fields;
mod floors;
mod journal;
mod killed;
mod lab;
mod language;
mod library;
mod plan;
mod processes;
mod render;
mod standins;
mod support;
mod thread_dump;
mod tour;
mod unattended;
mod values;
mod yaml;
