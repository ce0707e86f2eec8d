//! What is built in, run for real: each procedure against stand-ins and real programs, with everything that may go wrong.

mod balrog;
#[allow(dead_code, reason = "each procedure uses the part of it that it needs")]
mod bench;
mod bootstrap;
mod connector;
mod github;
#[allow(dead_code, reason = "shared with the other binary of tests; each uses the part that it needs")]
mod lab;
mod notify;
mod parts;
mod releng;
mod socorro;
mod standins;
#[allow(dead_code, reason = "shared with the other binary of tests; each uses the part that it needs")]
mod support;
mod terraform;
mod thread_dump;
