//! What a supervisor leaves that was killed itself: found and ended, because nobody else watches it. Knows nothing of why.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions};

use super::family::{self, Living};

/// One look may miss a process that was started while it was under way, by one that ended before its turn came. So many in a
/// row that find nothing are believed.
const SURE: u32 = 3;
/// Who is still there so long after a KILL cannot be ended by us.
const GIVE_UP: Duration = Duration::from_secs(5);

/// What became of it, as people read it.
pub(super) struct Orphans {
    pub ended: Vec<String>,
    pub left: Vec<String>,
}

/// Kills everything that is left of a step: the members of its sessions (the supervisor's, and on a terminal that of
/// its `main` process), what descends from them, and, for a program that adopts orphans, every child it has that is no
/// supervisor.
///
/// `own` is the supervisor itself, by its processes. It has not been collected, so that its number, and with it that of its
/// session, is no one else's; it may still be on its way out, and then it is neither collected here nor something it left.
pub(super) async fn end(own: &[i32], main: Option<i32>, supervisors: Option<&HashSet<i32>>) -> Orphans {
    let sessions: Vec<i32> = own.iter().copied().chain(main).collect();
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let adopted = |pid: i32, parent: i32| supervisors.is_some_and(|known| parent == me && !known.contains(&pid));
    let look = || family::below(|seen| sessions.contains(&seen.session) || adopted(seen.pid, seen.parent));
    let until = Instant::now() + GIVE_UP;
    let mut ended: Vec<Living> = Vec::new();
    let mut in_vain = 0;
    loop {
        let left = look();
        in_vain = if left.is_empty() { in_vain + 1 } else { 0 };
        for process in &left {
            let _ = family::signal(process, Signal::KILL);
            if !own.contains(&process.pid) && !ended.contains(process) {
                ended.push(process.clone());
            }
        }
        if supervisors.is_some() {
            // The dead among those that became our children; others are not ours to collect.
            for process in &ended {
                if let Some(pid) = Pid::from_raw(process.pid) {
                    let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
                }
            }
        }
        if in_vain == SURE || Instant::now() > until {
            ended.retain(|process| !left.contains(process));
            let labels = |all: &[Living]| all.iter().map(Living::label).collect();
            return Orphans { ended: labels(&ended), left: labels(&left) };
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
