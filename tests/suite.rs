//! The one integration binary: each topic is a module.

mod bad;
mod balrog;
mod bytes;
mod contract;
mod docs;
mod edits;
mod fields;
mod floors;
mod journal;
mod killed;
mod lab;
mod language;
mod library;
mod masking;
mod plan;
mod processes;
mod render;
mod standins;
mod supervised;
mod support;
mod terminal;
mod thread_dump;
mod tour;
mod unattended;
mod values;
mod yaml;
