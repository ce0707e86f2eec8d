//! `kill -9` at every kind of moment, through the real binary: nothing runs twice unasked, nothing that was told is
//! lost, and a resume comes to the end that the run would have come to.

mod everywhere;
mod moments;
mod place;
mod recovery;
mod situations;
mod supervisor;
mod tracer;
mod unknown;
