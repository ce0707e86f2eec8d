//! Parses arguments, calls the library, turns its error into an exit code.

fn main() {
    // Before anything else: this process is then the supervisor of one step and nothing more.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "__supervise") {
        runsheet::worlds::real::supervise_main();
    }
    // A panic has been reported by its hook; its code is our own fault's.
    let code = std::panic::catch_unwind(runsheet::cli::main).unwrap_or(70);
    std::process::exit(i32::from(code));
}
