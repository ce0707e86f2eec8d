//! The processes that descend from one, found and signalled safely. Knows nothing of steps.

use std::collections::HashMap;

use rustix::{io::Errno, process::Signal};

/// A process as it was seen; the start time tells it from a later one of the same number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Living {
    pub pid: i32,
    pub start: u64,
    pub name: String,
}

impl Living {
    /// `name (pid)`, safe to show.
    pub fn called(&self) -> String {
        format!("{} ({})", crate::text::one_line(&self.name), self.pid)
    }

    /// `pid name`, safe to show.
    pub fn label(&self) -> String {
        format!("{} {}", self.pid, crate::text::one_line(&self.name))
    }
}

struct Stat {
    name: String,
    state: u8,
    parent: i32,
    session: i32,
    start: u64,
}

/// What tells whether a process is looked for.
pub(super) struct Seen {
    pub pid: i32,
    pub parent: i32,
    pub session: i32,
}

/// When a process started, in ticks since boot; none if there is no such process, or it is dead already.
pub(super) fn start_time(pid: i32) -> Option<u64> {
    stat(pid).filter(|stat| !matches!(stat.state, b'Z' | b'X')).map(|stat| stat.start)
}

fn stat(pid: i32) -> Option<Stat> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

// The name may hold blanks and parentheses: it ends at the last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let name = text.get(open + 1..close)?.to_owned();
    let mut rest = text.get(close + 1..)?.split_ascii_whitespace();
    let state = *rest.next()?.as_bytes().first()?;
    let parent = rest.next()?.parse().ok()?;
    let session = rest.nth(1)?.parse().ok()?;
    let start = rest.nth(15)?.parse().ok()?;
    Some(Stat { name, state, parent, session, start })
}

/// Everything alive below `root`. One look at moving things: whoever needs certainty looks again until nothing is left.
pub(super) fn descendants(root: i32) -> Vec<Living> {
    below(|seen| seen.parent == root)
}

/// Everything alive of which something is true, or that descends from it.
pub(super) fn below(is: impl Fn(&Seen) -> bool) -> Vec<Living> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    // By parent, because a step that runs wild has thousands of processes and must be outrun.
    let mut children: HashMap<i32, Vec<(i32, Stat)>> = HashMap::new();
    let mut next = Vec::new();
    for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        let Some(stat) = stat(pid) else { continue };
        if is(&Seen { pid, parent: stat.parent, session: stat.session }) {
            next.push((pid, stat));
        } else {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut found = Vec::new();
    // Each list is taken out once, so that this ends whatever a torn view of the processes looks like.
    while let Some((pid, stat)) = next.pop() {
        next.extend(children.remove(&pid).unwrap_or_default());
        if !matches!(stat.state, b'Z' | b'X') {
            found.push(Living { pid, start: stat.start, name: stat.name });
        }
    }
    found
}

/// Signals exactly that process: never one that took over its number.
pub(super) fn signal(process: &Living, signal: Signal) -> Result<(), Errno> {
    let pid = rustix::process::Pid::from_raw(process.pid).ok_or(Errno::SRCH)?;
    #[cfg(target_os = "linux")]
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(fd) => {
            // The descriptor is bound to one process; if that is the one we saw, no other can be hit.
            if start_time(process.pid) != Some(process.start) {
                return Err(Errno::SRCH);
            }
            return rustix::process::pidfd_send_signal(fd, signal);
        }
        Err(Errno::NOSYS | Errno::MFILE | Errno::NFILE | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    if start_time(process.pid) != Some(process.start) {
        return Err(Errno::SRCH);
    }
    rustix::process::kill_process(pid, signal)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_with_a_nasty_name() {
        let line = "42 (a) R (b c) S 7 42 43 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 123456 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.parent), ("a) R (b c", b'S', 7));
        assert_eq!((stat.session, stat.start), (43, 123456));
    }

    #[test]
    fn a_child_is_found_below_us_and_gone_after_its_end() {
        let me = i32::try_from(std::process::id()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let seen = descendants(me).into_iter().find(|living| living.pid == pid).unwrap();
        let wrong = Living { start: seen.start + 1, ..seen.clone() };
        assert_eq!(signal(&wrong, Signal::KILL), Err(Errno::SRCH));
        assert_eq!(signal(&seen, Signal::KILL), Ok(()));
        child.wait().unwrap();
        assert_eq!(start_time(pid), None);
    }
}
