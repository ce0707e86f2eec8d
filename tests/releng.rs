//! The mails of release engineering: which runbook each leads to, tried with real files through the real program, and the
//! runbooks that do something, tried against a real AWS API. Knows no code of triage.

mod corpus;
mod retirement;
mod retirement_faults;
mod sieve;

use std::path::{Path, PathBuf};

use crate::support::{Bed, Call};

/// The library of the house, which is also what the program has built in.
fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks")
}

/// A file of the corpus.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releng").join(name)
}

/// `runsheet triage` over the library of the house.
fn triage<'b>(bed: &'b Bed, args: &[&str]) -> Call<'b> {
    let library = library();
    bed.run(&["--library", library.to_str().unwrap(), "triage"]).args(args)
}

/// A mail of the corpus by its short name.
fn mail(name: &str) -> String {
    file(&format!("mails/{name}.eml")).to_str().unwrap().to_owned()
}
