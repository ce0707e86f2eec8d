//! Parses arguments, calls the library, turns its error into an exit code.

fn main() {}
