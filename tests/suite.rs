//! The one integration binary: each topic is a module.

mod fields;
mod floors;
mod journal;
mod killed;
mod lab;
mod language;
mod masking;
mod plan;
mod processes;
mod render;
mod standins;
mod support;
mod tour;
mod unattended;
mod yaml;
