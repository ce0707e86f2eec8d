//! Real programs that tests use where a user has them, and what is said where one is missing. Knows no runbook.
//!
//! `.ci/test` installs them: Debian's packages, and below `target/parts` what comes from the registries of Python
//! (`.ci/parts/requirements.txt`) and Node (`.ci/parts/package.json`). It sets `RUNSHEET_PARTS=all`, with which a missing
//! part is a failure; without it the test that wants the part is skipped and says so.

use std::{env, path::PathBuf};

/// Where Python's and Node's parts are installed.
pub fn folder() -> PathBuf {
    // The tests lie in `target/debug/deps`, or in the folder that CARGO_TARGET_DIR names.
    let own = env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap().join("parts")
}

/// A program of that name: of the project's own parts first, then on the search path, then where Debian hides servers.
pub fn program(name: &str) -> Option<PathBuf> {
    let search = env::var_os("PATH").unwrap_or_default();
    let own = [folder().join("python/bin"), folder().join("node/node_modules/.bin")];
    let hidden = ["/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/15/bin", "/usr/sbin", "/usr/lib/rabbitmq/bin"];
    let places = own.into_iter().chain(env::split_paths(&search)).chain(hidden.map(PathBuf::from));
    places.map(|place| place.join(name)).find(|path| path.is_file())
}

/// All of these programs, in this order, or a word about the one that is missing.
///
/// # Panics
///
/// Where a part is missing although the machine was said to have all of them. `terraform` alone is not installed by
/// `.ci/test`: it is in no registry of packages.
#[track_caller]
pub fn programs<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let found = names.map(program);
    for (name, found) in names.iter().zip(&found) {
        if found.is_none() {
            missing(name);
            return None;
        }
    }
    Some(found.map(Option::unwrap))
}

/// A file below the folder of Node's packages.
#[track_caller]
pub fn node_file(below: &str) -> Option<PathBuf> {
    let path = folder().join("node/node_modules").join(below);
    if path.is_file() {
        return Some(path);
    }
    missing(below);
    None
}

/// Says past everything that keeps output back that a test is skipped, for a reason that no installation removes.
#[track_caller]
pub fn skipped(why: &str) {
    let caller = std::panic::Location::caller();
    say(&format!("SKIPPED {}:{}: {why}\n", caller.file(), caller.line()));
}

#[track_caller]
fn missing(what: &str) {
    let caller = std::panic::Location::caller();
    // What no registry of packages has cannot be installed by us.
    let installable = what != "terraform";
    let way = if installable { "`bash .ci/test` installs it" } else { "install it from its makers" };
    let must = env::var_os("RUNSHEET_PARTS").is_some_and(|value| value == "all") && installable;
    assert!(!must, "{what} is missing; {way}");
    say(&format!("SKIPPED {}:{}: {what} is missing; {way}\n", caller.file(), caller.line()));
}

/// Past the capture of output by the test runner, which would keep it to itself.
fn say(text: &str) {
    let told = std::fs::OpenOptions::new().append(true).open("/dev/stderr");
    if !told.is_ok_and(|mut stderr| std::io::Write::write_all(&mut stderr, text.as_bytes()).is_ok()) {
        eprint!("{text}");
    }
}
