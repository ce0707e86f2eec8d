//! Stand-ins for the services the built-in runbooks talk to: they behave as the real ones do, traps included, and know
//! nothing of any runbook.
//!
//! They are written from the facts about the services alone. Nothing in here waits for wall time: what a real service
//! does "a little later" happens here after a number of looks (requests), so that a test never sleeps.

#![allow(
    dead_code,
    reason = "a stand-in offers the whole of a service; each test of a runbook uses the part that it needs"
)]

pub mod argocd;
pub mod aws;
pub mod client;
pub mod cloud;
pub mod consul;
pub mod delivery_queue;
pub mod dockerflow;
pub mod git;
pub mod github;
pub mod instances;
pub mod jenkins;
pub mod machines;
pub mod matrix;
pub mod postgres;
pub mod prometheus;
pub mod rabbit;
pub mod remote_shell;
pub mod sentry;
pub mod server;
pub mod service;
pub mod socorro_database;
pub mod webhook;
