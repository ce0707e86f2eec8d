//! The machine itself: where runs are kept, processes, the clock, the terminal. Knows no runbook.

use std::{io::IsTerminal, os::unix::fs::PermissionsExt, path::Path};

use super::Finding;
use crate::{
    cli::Context,
    event::RunId,
    journal::DiskStorage,
    port::{LockKind, Storage},
    worlds::real::{RealWorld, lookup, tool_version, try_a_process},
};

/// Less than this, and a long output or two fills the disk.
const LITTLE: u64 = 1 << 30;
/// Less than this, and a run is not begun in good faith.
const NOTHING: u64 = 64 << 20;
/// No clock that is right shows an earlier year: this program is younger.
const YEAR: i16 = 2026;

pub async fn look(context: &Context, world: &RealWorld) -> Vec<Finding> {
    let mut findings = vec![platform()];
    let state = context.store().map(|store| store.state_dir().to_owned());
    match &state {
        Ok(dir) => findings.extend(state_folder(dir)),
        Err(error) => findings.push(Finding::bad("state folder", error.message.clone(), "give one with --state-dir")),
    }
    findings.push(match try_a_process(world).await {
        Ok(()) => Finding::ok("processes", "a step can be started, under a supervisor of its own"),
        Err(why) => Finding::bad(
            "processes",
            format!("no step can be started: {why}"),
            "look at the limits of processes (ulimit -u) and whether /proc is mounted",
        ),
    });
    findings.extend(kernel());
    findings.push(clock(state.as_deref().ok()));
    findings.push(terminal());
    findings.push(bash(world).await);
    findings.push(match lookup::tool("ssh-keygen") {
        Some(path) => Finding::ok("signatures", format!("ssh-keygen is {}", path.display())),
        None => Finding::warn(
            "signatures",
            "there is no ssh-keygen, so `run --sign` and the check of signatures do not work",
            "install OpenSSH (Debian: openssh-client)",
        ),
    });
    findings
}

fn platform() -> Finding {
    let here = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
    if cfg!(target_os = "linux") {
        return Finding::ok("system", here);
    }
    Finding::warn(
        "system",
        format!("{here}: what a step leaves running may outlive it, because there is no subreaper"),
        "run what matters on Linux",
    )
}

/// Where runs are kept. What is tried is undone at once: one file of no length.
fn state_folder(dir: &Path) -> Vec<Finding> {
    const ABOUT: &str = "state folder";
    let disk = DiskStorage;
    let shown = dir.display();
    // Runs are below it; it is made with the first of them.
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let mut findings = Vec::new();
    if let Err(why) = std::fs::metadata(there).map(|about| about.is_dir()).and_then(|is_dir| match is_dir {
        true => Ok(()),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    }) {
        let hint = "give another one with --state-dir, or XDG_STATE_HOME";
        return vec![Finding::bad(ABOUT, format!("{}: {why}", there.display()), hint)];
    }
    let runs = dir.join("runs");
    if let Some(why) = [dir, &runs].into_iter().filter(|path| path.exists()).find_map(|path| {
        let why = disk.guard(path).err()?;
        Some(format!("{}: {why}", path.display()))
    }) {
        findings.push(Finding::bad(ABOUT, why, "take it away, or give another one with --state-dir"));
    } else if there == dir {
        let mode = std::fs::metadata(dir).map_or(0, |about| about.permissions().mode() & 0o777);
        findings.push(if mode & 0o077 == 0 {
            Finding::ok(ABOUT, format!("{shown}, mode {mode:04o}"))
        } else {
            let text = format!("{shown} has mode {mode:04o}: others can see which runs there are");
            Finding::warn(ABOUT, text, format!("chmod 700 {shown}"))
        });
    } else {
        findings.push(Finding::ok(ABOUT, format!("{shown} is not there; the first run makes it")));
    }
    match disk.locks_fail(there) {
        Ok(None) => findings.push(Finding::ok("locks", "they hold on its file system")),
        Ok(Some(why)) => {
            let hint = "keep runs on a disk of this machine: --state-dir FOLDER, or XDG_STATE_HOME";
            findings.push(Finding::bad("locks", format!("{shown}: {why}"), hint));
        }
        Err(why) => findings.push(Finding::bad("locks", format!("{}: {why}", there.display()), "look at its mount")),
    }
    findings.push(if there == dir { written(&disk, dir) } else { writable(there) });
    findings.push(space(there));
    findings
}

/// Whether a folder could be made in this one; nothing is.
fn writable(dir: &Path) -> Finding {
    let place = dir.display();
    match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => Finding::ok("writing", format!("it may be made in {place}; nothing was")),
        Err(why) => {
            let text = format!("it cannot be made in {place}: {}", std::io::Error::from(why));
            Finding::bad("writing", text, "make that writable, or give another one with --state-dir")
        }
    }
}

/// A file of no length is made, locked, and removed.
fn written(disk: &DiskStorage, dir: &Path) -> Finding {
    let place = dir.display();
    let hint = "make it writable, or give another one with --state-dir";
    let file = match tempfile::Builder::new().prefix(".runsheet-doctor-").tempfile_in(dir) {
        Ok(file) => file,
        Err(why) => return Finding::bad("writing", format!("nothing can be written in {place}: {why}"), hint),
    };
    let path = file.path().to_owned();
    let first = disk.lock(&path, LockKind::Exclusive);
    let second = disk.lock(&path, LockKind::Exclusive);
    let finding = match (&first, &second) {
        (Ok(Some(_)), Ok(None)) => {
            Finding::ok("writing", format!("a file could be written and locked in {place}, and is removed again"))
        }
        (Ok(Some(_)), _) => {
            let text = format!("a lock in {place} was given twice");
            Finding::bad("writing", text, "keep runs on another disk: --state-dir FOLDER")
        }
        (Ok(None), _) => Finding::bad("writing", format!("a new lock in {place} is held already"), hint),
        (Err(why), _) => Finding::bad("writing", format!("no lock can be taken in {place}: {why}"), hint),
    };
    drop((first, second));
    finding
}

fn space(dir: &Path) -> Finding {
    let hint = "make room, for example with `runsheet prune --older-than 90d`, or give another --state-dir";
    match rustix::fs::statvfs(dir) {
        Ok(about) => {
            let free = about.f_bavail.saturating_mul(about.f_frsize);
            let text = format!("{} MiB are free", free >> 20);
            match free {
                0..NOTHING => Finding::bad("space", text, hint),
                NOTHING..LITTLE => Finding::warn("space", text, hint),
                _ => Finding::ok("space", text),
            }
        }
        Err(why) => Finding::warn("space", format!("it cannot be told how much is free: {why}"), hint),
    }
}

#[cfg(target_os = "linux")]
fn kernel() -> Vec<Finding> {
    let own = rustix::process::getpid();
    let old = "use a kernel of version 5.3 or later";
    let pidfd = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty());
    let stat = std::fs::read("/proc/self/stat");
    vec![
        match pidfd {
            Ok(_) => Finding::ok("kernel", "processes can be held by a descriptor (pidfd)"),
            Err(why) => {
                let text = format!("processes are ended by number, which another may have by then ({why})");
                Finding::warn("kernel", text, old)
            }
        },
        match stat {
            Ok(_) => Finding::ok("kernel", "/proc tells what belongs to a step"),
            Err(why) => {
                let text = format!("what a step leaves running is not found without /proc ({why})");
                Finding::warn("kernel", text, "mount /proc")
            }
        },
    ]
}

#[cfg(not(target_os = "linux"))]
fn kernel() -> Vec<Finding> {
    Vec::new()
}

fn clock(state: Option<&Path>) -> Finding {
    let now = jiff::Timestamp::now();
    let shown = now.strftime("%Y-%m-%d %H:%M:%S UTC");
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    if year < YEAR {
        return Finding::bad("clock", format!("it shows {shown}, which cannot be"), "set it; records bear its time");
    }
    // Names of runs begin with their time.
    let latest = state.and_then(|state| std::fs::read_dir(state.join("runs")).ok()).and_then(|entries| {
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| RunId::parse(name).is_some_and(|run| run.is_whole())).max()
    });
    let stamp = now.strftime("%Y%m%d-%H%M%S").to_string();
    match latest {
        Some(run) if run.get(..15).is_some_and(|began| began > stamp.as_str()) => {
            let text = format!("it shows {shown}, and run {run} bears a later time");
            Finding::warn("clock", text, "set it; records bear its time")
        }
        _ => Finding::ok("clock", shown.to_string()),
    }
}

fn terminal() -> Finding {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        let kind = std::env::var("TERM").unwrap_or_default();
        if kind.is_empty() || kind == "dumb" {
            let text = "there is one, which says that it can do nothing (TERM)";
            return Finding::warn("terminal", text, "set TERM to what it is");
        }
        return Finding::ok("terminal", format!("there is one ({kind})"));
    }
    Finding::ok("terminal", "there is none here: questions are answered by --yes and --answers, or the run pauses")
}

async fn bash(world: &RealWorld) -> Finding {
    let hint = "install bash (Debian: bash)";
    match lookup::tool("bash") {
        None => Finding::bad("bash", "it is not on the search path, and scripts run with it", hint),
        Some(path) => {
            let version = tool_version(world, "bash").await;
            Finding::ok("bash", tool_line(&path, version.as_deref()))
        }
    }
}

/// A tool that was found.
pub fn tool_line(path: &Path, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{version}, {}", path.display()),
        None => path.display().to_string(),
    }
}
