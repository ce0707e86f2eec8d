//! The words events are made of. Knows nothing of their order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{RunId, StepId};

/// What a step does to the world, from harmless to final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Read,
    Change,
    Destroy,
}

impl Effect {
    pub const ALL: [(&'static str, Effect); 3] =
        [("read", Effect::Read), ("change", Effect::Change), ("destroy", Effect::Destroy)];

    pub fn name(self) -> &'static str {
        Effect::ALL.iter().find(|(_, effect)| *effect == self).map_or("change", |(name, _)| name)
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Succeeded,
    Failed,
    Skipped,
    DoneByHand,
    Undone,
    /// It may or may not have had its effect: it timed out, was killed, or lost its connection after sending.
    Unknown,
    /// Nothing was performed: this world performs nothing, or the intent could not be put on record.
    NotRun,
}

impl StepStatus {
    pub fn name(self) -> &'static str {
        match self {
            StepStatus::Succeeded => "succeeded",
            StepStatus::Failed => "failed",
            StepStatus::Skipped => "skipped",
            StepStatus::DoneByHand => "done_by_hand",
            StepStatus::Undone => "undone",
            StepStatus::Unknown => "unknown",
            StepStatus::NotRun => "not_run",
        }
    }
}

/// How a run ended, or stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    Declined,
    Undone,
    UndoFailed,
    Paused,
    Unknown,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Declined => "declined",
            Outcome::Undone => "undone",
            Outcome::UndoFailed => "undo_failed",
            Outcome::Paused => "paused",
            Outcome::Unknown => "unknown",
        }
    }

    /// Whether a run with this outcome is over; `paused` and `unknown` are to be resumed.
    pub fn closes(self) -> bool {
        !matches!(self, Outcome::Paused | Outcome::Unknown)
    }
}

/// Why a step was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// Its `when` was false.
    Condition,
    /// The operator skipped it.
    Operator,
}

/// What became of something that a step had left running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonEnd {
    /// The run ended it.
    Ended,
    /// It had ended before the run came to it.
    Gone,
    /// Who watched it was killed, so that nobody can tell.
    Lost,
    /// The run could not end it: another machine's or another account's.
    StillThere,
}

/// What one sample of a watch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleState {
    #[default]
    Ok,
    /// `alarm_when` holds.
    Alarm,
    /// The value is none.
    NoData,
    NotReachable,
    /// There was an answer, and not the expected one.
    NotYet,
    /// An answer that looking again will not change.
    Wrong,
    /// The expression itself failed.
    Broken,
}

impl SampleState {
    /// In words; nothing where all is well.
    pub fn words(self) -> &'static str {
        match self {
            SampleState::Ok => "",
            SampleState::Alarm => "alarm",
            SampleState::NoData => "no data",
            SampleState::NotReachable => "not reachable",
            SampleState::NotYet => "not yet",
            SampleState::Wrong => "wrong",
            SampleState::Broken => "the expression itself failed",
        }
    }
}

/// Why a step that looks was ended as failed: a person may give it more time, or take what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GaveUp {
    /// A watch raised an alarm.
    Alarm,
    /// A wait came to its deadline.
    Deadline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Both at once, from a pseudo-terminal.
    Terminal,
}

/// The first record of a run: everything that is needed to go on with it later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Version of the journal's own format.
    pub journal: u32,
    /// Version of the runbook language.
    pub format: u32,
    pub run: RunId,
    /// The runbook's name, such as `balrog/rollback`.
    pub runbook: String,
    /// Where its bytes came from: a path, or `built-in`.
    pub origin: String,
    /// SHA-256 over the plan as this version of the tool resolves it.
    pub digest: String,
    pub params: Map<String, Json>,
    /// How each parameter came to its value.
    #[serde(default)]
    pub param_sources: Map<String, Json>,
    /// Secrets that were declared and where they are read from; never their values.
    #[serde(default)]
    pub secrets: Map<String, Json>,
    pub tool_version: String,
    pub operator: String,
    pub host: String,
    /// The folder steps run in.
    pub cwd: String,
    /// Whether a person was at the keyboard.
    pub attended: bool,
    /// The profile whose values it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ChosenProfile>,
    #[serde(default)]
    pub lock: Option<String>,
    /// Files that steps name, as they were: by path, below `cwd` where they lie there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, NotedFile>,
}

/// The profile of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenProfile {
    pub name: String,
    pub protected: bool,
    /// Whether a person typed its name.
    pub confirmed: bool,
}

/// A file that steps name, as it was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotedFile {
    /// None for one that is larger than is looked into; its length stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub bytes: u64,
    pub steps: Vec<StepId>,
}

/// From here on the run follows another plan: of a runbook that was changed since, or of the same one as another version
/// of this tool plans it. A person has seen the difference and accepted it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanReplaced {
    /// What the run began with is 1.
    pub number: u32,
    /// `runbook` or `version`.
    pub cause: String,
    /// SHA-256 of `plan@NUMBER.json`.
    pub digest: String,
    /// SHA-256 of the files below `runbook@NUMBER`; none where the runbook is as before.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub runbook_files: Map<String, Json>,
    pub params: Map<String, Json>,
    #[serde(default)]
    pub param_sources: Map<String, Json>,
    #[serde(default)]
    pub secrets: Map<String, Json>,
    #[serde(default)]
    pub lock: Option<String>,
    pub tool_version: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A step whose effect is to be taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToUndo {
    pub step: StepId,
    /// Of what takes it back: its kind, its effect, and the command or request.
    pub kind: String,
    pub effect: Effect,
    pub detail: String,
}

/// A step whose effect stays in place while others are taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stays {
    pub step: StepId,
    pub why: String,
}

/// What passes by while a step runs. It is shown, may be dropped, and is never journaled.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Masked output of a running step.
    Output { step: StepId, stream: Stream, bytes: Vec<u8> },
    /// The terminal is this step's alone, or nobody's again.
    Seat { step: Option<StepId> },
    /// What a step left running is being ended, which takes as long as its grace.
    Ending { step: StepId, processes: Vec<String> },
    /// One look of a wait.
    Poll { step: StepId, polls: u32, elapsed_ms: u64, limit_ms: u64, answer: String },
}
