//! What steps left running, as they may: noticed when it is gone, and ended with its run. Knows no process.

use futures_util::future::join_all;

use super::{Engine, unit::Unit};
use crate::{
    event::{Daemon, DaemonEnd, Effect, Event, Progress, StepId, StepStatus},
    port::{Cancel, LeftBehind, StepError, StepReport},
};

impl<'a> Engine<'a> {
    /// Before a run is closed it ends what its steps left running; before it is paused it only looks what of it is gone.
    pub(super) async fn settle_daemons(&self, end_them: bool) -> Result<(), StepError> {
        let daemons = self.state().daemons.clone();
        self.settle_these(&daemons, end_them).await
    }

    /// Before another attempt of a step: two of what it leaves running would be in each other's way.
    pub(super) async fn end_daemons_of(&self, step: &StepId) -> Result<(), StepError> {
        let daemons: Vec<Daemon> = self.state().daemons.iter().filter(|daemon| daemon.step == *step).cloned().collect();
        self.settle_these(&daemons, true).await
    }

    pub(super) async fn settle_these(&self, daemons: &[Daemon], end_them: bool) -> Result<(), StepError> {
        let Some(first) = daemons.first() else { return Ok(()) };
        for daemon in daemons.iter().filter(|_| end_them) {
            let Daemon { step, processes, .. } = daemon.clone();
            self.publisher.progress(&Progress::Ending { step, processes });
        }
        // Side by side, because each has its own grace. A kill from the menu cuts them short.
        let cancel = Cancel::new();
        let settling = join_all(daemons.iter().map(|daemon| self.settle_daemon(daemon, end_them, &cancel)));
        let settled = self.guarded_as(&first.step, Effect::Change, &cancel, settling).await;
        for (daemon, how) in daemons.iter().zip(settled) {
            let Some(how) = how.filter(|_| self.state().daemons.contains(daemon)) else { continue };
            let event = Event::DaemonEnded {
                step: daemon.step.clone(),
                attempt: daemon.attempt,
                processes: daemon.processes.clone(),
                how,
            };
            self.publisher.publish(event).await?;
        }
        Ok(())
    }

    /// None: it goes on.
    async fn settle_daemon(&self, daemon: &Daemon, end_it: bool, cancel: &Cancel) -> Option<DaemonEnd> {
        let Some(dir) = self.journal.step_dir() else { return end_it.then_some(DaemonEnd::Ended) };
        let left = self.world.left_behind(&dir, &daemon.step, daemon.attempt);
        if !runs(&left) {
            return Some(ended(&left, DaemonEnd::Gone));
        }
        if !end_it {
            return None;
        }
        let left = self.world.settle_left_behind(&dir, &daemon.step, daemon.attempt, true, cancel).await;
        Some(if runs(&left) { DaemonEnd::StillThere } else { ended(&left, DaemonEnd::Ended) })
    }

    /// Where a run ends without a word in its journal, whoever reads why also reads what goes on.
    pub(super) fn naming_daemons(&self, why: String) -> String {
        let state = self.state();
        let of = |daemon: &Daemon| format!("{}: {}", daemon.step, daemon.processes.join(", "));
        let left: Vec<String> = state.daemons.iter().map(of).collect();
        if left.is_empty() { why } else { format!("{why}; still running: {}", left.join("; ")) }
    }

    /// What an attempt left running and goes on: a step that failed has nothing to offer to those after it.
    pub(super) async fn left_by(
        &self,
        step: &Unit<'a>,
        attempt: u32,
        report: &StepReport,
        status: StepStatus,
        notes: &mut Vec<String>,
    ) -> Vec<String> {
        if report.left.is_empty() || status != StepStatus::Failed {
            return report.left.clone();
        }
        let Some(dir) = self.journal.step_dir() else { return Vec::new() };
        let cancel = Cancel::new();
        let settling = self.world.settle_left_behind(&dir, &step.path, attempt, true, &cancel);
        let left = self.guarded(step, &cancel, settling).await;
        let named = report.left.join(", ");
        if runs(&left) || ended(&left, DaemonEnd::Ended) == DaemonEnd::Lost {
            notes.push(format!("left running, and could not be ended: {named}"));
            return report.left.clone();
        }
        notes.push(format!("left running, and ended because the step failed: {named}"));
        Vec::new()
    }
}

/// Only a supervisor that saw the last of them end says so.
fn ended(left: &LeftBehind, how: DaemonEnd) -> DaemonEnd {
    match left {
        LeftBehind::Ended(record) if record.left_ended => how,
        _ => DaemonEnd::Lost,
    }
}

pub(super) fn runs(left: &LeftBehind) -> bool {
    matches!(left, LeftBehind::Running | LeftBehind::Daemon(_))
}
