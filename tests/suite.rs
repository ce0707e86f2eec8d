//! The one integration binary: each topic is a module.

mod balrog;
mod contract;
mod disk;
mod fields;
mod floors;
mod journal;
mod kept;
mod killed;
mod lab;
mod language;
mod library;
mod locked;
mod plan;
mod processes;
mod render;
mod standins;
mod supervised;
mod support;
mod tampered;
mod thread_dump;
mod tour;
mod unattended;
mod values;
mod yaml;
