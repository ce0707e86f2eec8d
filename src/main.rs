//! Parses arguments, calls the library, turns its error into an exit code.

fn main() {
    // Before anything else: this process is then the supervisor of one step and nothing more.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "__supervise") {
        runsheet::worlds::real::supervise_main();
    }
}
