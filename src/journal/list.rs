//! Which runs there are, how they stand, and which one a word means. Changes no run.

use serde::{Serialize, Serializer};

use super::{
    error::StoreError,
    store::{RunStore, TEMPORARY},
};
use crate::{
    event::{Outcome, RunId},
    port::LockKind,
};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It ended so, or waits so.
    Ended(Outcome),
    /// A program holds it.
    Running,
    /// It has no end, and nobody holds it.
    Interrupted,
    /// Its journal cannot be trusted, or not be read.
    Broken,
}

impl Standing {
    pub fn name(self) -> &'static str {
        match self {
            Standing::Ended(outcome) => outcome.name(),
            Standing::Running => "running",
            Standing::Interrupted => "interrupted",
            Standing::Broken => "broken",
        }
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    pub run: RunId,
    pub runbook: String,
    pub outcome: Standing,
    pub started: Option<jiff::Timestamp>,
    /// When it was over; none as long as it can be resumed.
    pub finished: Option<jiff::Timestamp>,
    pub by: String,
    /// What is wrong with a broken one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl RunStore {
    /// Every run, newest first. One that is broken is listed as such.
    pub fn list(&self) -> Result<Vec<RunSummary>, StoreError> {
        let mut runs: Vec<RunSummary> = self.names()?.iter().map(|run| self.summary(run)).collect();
        // Taken away since its name was read, it is no run, rather than a broken one.
        runs.retain(|run| run.outcome != Standing::Broken || self.storage.exists(&self.run_dir(&run.run)));
        runs.sort_by(|a, b| newness(b).cmp(&newness(a)));
        Ok(runs)
    }

    /// One line of a history.
    pub fn summary(&self, run: &RunId) -> RunSummary {
        // Looked at first: a run that ends in between is then seen as over, not as interrupted.
        let live = self.is_live(run);
        self.summarise(run, live)
    }

    /// The same of a run that this program holds.
    pub(super) fn unlocked_summary(&self, run: &RunId) -> RunSummary {
        self.summarise(run, false)
    }

    fn summarise(&self, run: &RunId, live: bool) -> RunSummary {
        let mut summary = RunSummary {
            run: run.clone(),
            runbook: String::new(),
            outcome: Standing::Broken,
            started: None,
            finished: None,
            by: String::new(),
            problem: None,
        };
        let replay = match self.replay(run) {
            Ok((_, replay)) => replay,
            Err(why) => {
                summary.problem = Some(format!("could not {why}"));
                return summary;
            }
        };
        if let Some(header) = &replay.state.header {
            summary.runbook.clone_from(&header.runbook);
            summary.by.clone_from(&header.operator);
        }
        summary.started = replay.records.first().map(|record| record.time);
        if let Some(bad) = &replay.bad {
            summary.problem = Some(bad.to_string());
            return summary;
        }
        if replay.state.header.is_none() {
            summary.problem = Some("its journal has no first record".into());
            return summary;
        }
        summary.outcome = match replay.state.finished {
            Some((outcome, _)) if outcome.closes() => {
                summary.finished = replay.records.last().map(|record| record.time);
                Standing::Ended(outcome)
            }
            _ if live => Standing::Running,
            Some((outcome, _)) => Standing::Ended(outcome),
            None if replay.state.paused.is_some() => Standing::Ended(Outcome::Paused),
            None => Standing::Interrupted,
        };
        summary
    }

    /// The run that a word means: an id, the only beginning of one, or `last`.
    pub fn resolve(&self, word: &str) -> Result<RunId, StoreError> {
        let mut names = self.names()?;
        names.sort();
        let runs = self.runs_dir();
        let none = |why: String| Err(StoreError::NoSuchRun(why));
        if names.is_empty() {
            return none(format!("there are no runs in {}", runs.display()));
        }
        if word == "last" {
            // Names begin with the second a run was made in; only within the newest second its record must tell.
            let newest = names.iter().map(stamp).max().unwrap_or_default().to_owned();
            let mut last: Vec<RunSummary> =
                names.iter().filter(|run| stamp(run) == newest).map(|run| self.summary(run)).collect();
            last.sort_by(|a, b| newness(a).cmp(&newness(b)));
            return match last.pop() {
                Some(summary) => Ok(summary.run),
                None => none(format!("there are no runs in {}", runs.display())),
            };
        }
        let Some(prefix) = RunId::parse(word) else {
            return none(format!("`{word}` is no name of a run; it is an id, the beginning of one, or `last`"));
        };
        if names.contains(&prefix) {
            return Ok(prefix);
        }
        let found: Vec<&RunId> = names.iter().filter(|run| run.as_str().starts_with(prefix.as_str())).collect();
        match found[..] {
            [] => none(format!("none begins with `{word}` in {}", runs.display())),
            [one] => Ok(one.clone()),
            _ => {
                let mut candidates: Vec<String> = found.iter().rev().take(10).map(|run| run.to_string()).collect();
                if found.len() > candidates.len() {
                    candidates.push(format!("and {} more", found.len() - candidates.len()));
                }
                Err(StoreError::Ambiguous { prefix: word.to_owned(), candidates })
            }
        }
    }

    /// Removes what is left of runs that were being made, or taken away, when their program died. Only what was named
    /// before `before`, in the way of run ids (`20261120-201304`), so that a run that is just being made is left alone.
    pub fn sweep(&self, before: &str) -> Result<usize, StoreError> {
        let mut removed = 0;
        let mut failed = None;
        for name in self.entries()? {
            let Some(run) = name.strip_prefix(TEMPORARY) else { continue };
            let path = self.runs_dir().join(&name);
            let ours = RunId::parse(run).is_some_and(|run| run.is_whole());
            if !ours || run >= before || self.guard(&path).is_err() {
                continue;
            }
            let lock_path = path.join("run.lock");
            let swept = match self.storage.lock(&lock_path, LockKind::Exclusive) {
                // The lock is held until all is gone.
                Ok(Some(_lock)) => self.remove_all(&path).map(|()| true),
                Ok(None) => Ok(false),
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(false),
                Err(why) => Err(StoreError::write(&lock_path)(why)),
            };
            match swept {
                Ok(swept) => removed += usize::from(swept),
                // What cannot be removed must not keep the rest.
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        failed.map_or(Ok(removed), Err)
    }

    /// Whether a program holds the run. A lock that cannot be looked at is taken for a free one.
    pub fn is_live(&self, run: &RunId) -> bool {
        let path = self.run_dir(run).join("run.lock");
        self.storage.exists(&path) && matches!(self.storage.lock(&path, LockKind::Shared), Ok(None))
    }

    fn entries(&self) -> Result<Vec<String>, StoreError> {
        let runs = self.runs_dir();
        // A folder that cannot be looked into is no folder without runs.
        let entries = match self.storage.list(&runs) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::read(&runs))?,
        };
        self.guard(&runs)?;
        Ok(entries)
    }

    fn names(&self) -> Result<Vec<RunId>, StoreError> {
        Ok(self.entries()?.iter().filter_map(|name| RunId::parse(name)).filter(RunId::is_whole).collect())
    }
}

/// The second a run was made in, as its name has it.
fn stamp(run: &RunId) -> &str {
    run.as_str().get(..15).unwrap_or(run.as_str())
}

fn newness(summary: &RunSummary) -> (&str, Option<jiff::Timestamp>, &RunId) {
    (stamp(&summary.run), summary.started, &summary.run)
}
