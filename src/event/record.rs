//! Events, and the record that gives each its place and time. Knows nothing of chains or files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{
    DaemonEnd, Effect, GaveUp, NotedFile, Outcome, PlanReplaced, RunStarted, SampleState, SkipCause, Stays, StepId,
    StepStatus, ToUndo,
};

/// Something that happened, in the terms `docs/reference` documents for programs. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted(Box<RunStarted>),
    RunResumed {
        by: String,
        host: String,
        tool_version: String,
        attended: bool,
        /// What ran is to be taken back. Only so is a run gone on with that was over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
    },
    /// Durable before anything of the step happens.
    StepStarted {
        step: StepId,
        attempt: u32,
        kind: String,
        effect: Effect,
        idempotent: bool,
        /// Its title with the values of this moment, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
    /// Durable before each effect a step performs: a command, a request.
    EffectIntended {
        step: StepId,
        attempt: u32,
        /// Counts the effects of one attempt from 1.
        number: u32,
        effect: Effect,
        detail: String,
    },
    /// A container goes on with what it holds: what was decided for that is evaluated once.
    StepEntered {
        step: StepId,
        /// Of a loop: its items.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        items: Vec<Json>,
        /// Of a choice: the id of the case that is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<String>,
        /// Of a call: the name of the runbook, and the digest of its bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runbook: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runbook_sha256: Option<String>,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        params: Map<String, Json>,
    },
    StepRetried {
        step: StepId,
        attempt: u32,
        reason: String,
        wait_ms: u64,
    },
    StepFinished {
        step: StepId,
        attempt: u32,
        status: StepStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http_status: Option<u16>,
        duration_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_sha256: Option<String>,
        #[serde(default)]
        output_bytes: u64,
        /// Output came that could not be kept; what is left of it is promised to nobody.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        output_lost: bool,
        #[serde(default)]
        captures: Map<String, Json>,
        /// Captures whose value is a secret, or holds one, and is therefore not on record.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        withheld: Vec<String>,
        /// Why it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// It was cut short by a signal or by the operator, so that how it ended says nothing about what it does.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        interrupted: bool,
        /// It looked, and gave up at an alarm or a deadline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gave_up: Option<GaveUp>,
        /// Nobody saw its end, and `verify` found that it had no effect: a resume runs it as if for the first time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_effect: bool,
        /// Processes that were left over and ended by us, and what else a reader should know.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// What it left running, as it may: `name (pid)`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_running: Vec<String>,
    },
    /// What a step had left running does not run any more, or could not be ended.
    DaemonEnded {
        step: StepId,
        attempt: u32,
        processes: Vec<String>,
        how: DaemonEnd,
    },
    StepSkipped {
        step: StepId,
        cause: SkipCause,
        reason: String,
    },
    StepDeferred {
        step: StepId,
        waiting_on: Vec<String>,
        detail: String,
    },
    QuestionAsked {
        /// Counts the questions of a run from 1.
        question: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// `confirm`, `manual`, `before_step`, `failure`, `unknown`, `secret`, `interrupt`.
        about: String,
        message: String,
        choices: Vec<String>,
    },
    QuestionAnswered {
        question: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        answer: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        by: String,
        /// Typed evidence of a manual step.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        values: Map<String, Json>,
    },
    /// A person gave a value after a failure: another one for a parameter, or one that was not on record. What ran before
    /// has used the old one.
    ValueGiven {
        step: StepId,
        name: String,
        value: Json,
        by: String,
    },
    /// A shell that a person had opened at a failure, with what the step would have, was closed.
    ShellClosed {
        step: StepId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
        duration_ms: u64,
        /// Why it could not be opened, or its end is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        by: String,
    },
    Sample {
        step: StepId,
        probe: String,
        /// Null where there is none.
        value: Json,
        #[serde(default)]
        attempt: u32,
        #[serde(default)]
        state: SampleState,
        /// What the value counts, as the author put it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
        /// Why there is no value, or what is wrong with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The masked output of a step up to here is on disk.
    OutputCommit {
        step: StepId,
        attempt: u32,
        bytes: u64,
        sha256: String,
    },
    /// A torn last line was saved aside and cut when the journal was opened again.
    Recovered {
        cut_bytes: u64,
        saved_as: String,
        /// Digest of what was saved, in hex; none in runs of version 0.1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// Follows `run_resumed`, before anything else is done.
    PlanReplaced(Box<PlanReplaced>),
    /// Files that steps name, as somebody has accepted them since; all that is not named here is as it was noted before.
    FilesNoted {
        files: BTreeMap<String, NotedFile>,
        by: String,
    },
    /// From here on what ran is taken back, in this order, one after the other.
    UndoStarted {
        #[serde(default)]
        steps: Vec<ToUndo>,
        /// Effects that stay in place, each with why.
        #[serde(default)]
        stays: Vec<Stays>,
        /// The latest step that ran and before which nothing is taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        point_of_no_return: Option<StepId>,
        #[serde(default)]
        reason: String,
        /// Who said so; `runsheet` where the file does.
        #[serde(default)]
        by: String,
    },
    /// The effect of a step is not in place any more.
    StepUndone {
        step: StepId,
        /// What has taken it back: its own undo or that of a container; none of a container of which everything that was
        /// done was taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undone_by: Option<StepId>,
    },
    /// Nothing of the steps runs any more: what follows are the `finally` of runbooks that were called, and its own.
    RunClosing {},
    RunPaused {
        reason: String,
    },
    RunFinished {
        outcome: Outcome,
        /// The exit code that is returned for this run, now and by every later resume.
        code: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An event of a later version; readers pass over it.
    #[serde(other)]
    Unrecognised,
}

impl Event {
    /// The step this is about, if it is about one.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Event::StepStarted { step, .. }
            | Event::EffectIntended { step, .. }
            | Event::StepEntered { step, .. }
            | Event::StepRetried { step, .. }
            | Event::StepFinished { step, .. }
            | Event::DaemonEnded { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepDeferred { step, .. }
            | Event::StepUndone { step, .. }
            | Event::ValueGiven { step, .. }
            | Event::ShellClosed { step, .. }
            | Event::Sample { step, .. }
            | Event::OutputCommit { step, .. } => Some(step),
            Event::QuestionAsked { step, .. } | Event::QuestionAnswered { step, .. } => step.as_ref(),
            _ => None,
        }
    }
}

/// An event with its number, the wall clock (UTC) and the time since the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 1 without gaps.
    pub seq: u64,
    pub time: jiff::Timestamp,
    /// Milliseconds since the run, or its latest resume, began; monotonic.
    pub elapsed_ms: u64,
    #[serde(flatten)]
    pub event: Event,
}
