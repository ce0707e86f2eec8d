//! One step, ready to run, and how it ended. Knows nothing of schedules or retries.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    Cancel, HttpReply, HttpRequest, JournalError, Local, ProcessEnd, ProcessRequest, Question, Reply, SendError,
    WorldError,
};
use crate::{
    event::{Effect, GaveUp, Progress, SampleState, StepId, StepStatus},
    text::Diagnostic,
    value::{Scope, Value},
};

/// A resolved step: every value is in place. It does things only through its context.
pub trait Task {
    /// `Ok` is an end of the step, good or bad; `Err` ends the run.
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>>;
}

/// What a task may do. Each `perform_*` puts its masked intent on record before anything happens, and resolves to
/// `None` in a world that performs nothing.
pub trait StepContext {
    fn step(&self) -> &StepId;
    fn attempt(&self) -> u32;

    /// A process. The context fills in step, attempt, number and record folder of the request, keeps up to
    /// `max_output` raw bytes of each stream for the result, and writes all of it, masked, to the attempt's log.
    fn perform_process<'a>(
        &'a self,
        effect: Effect,
        request: ProcessRequest,
        max_output: u64,
        detail: String,
    ) -> Local<'a, Result<Option<Result<ProcessReport, WorldError>>, StepError>>;

    fn perform_http<'a>(
        &'a self,
        effect: Effect,
        request: HttpRequest,
        detail: String,
    ) -> Local<'a, Result<Option<Result<HttpReply, SendError>>, StepError>>;

    /// What is left of a limit that spans more than one process or request, such as that of a whole wait. Tasks keep
    /// to it.
    fn limit(&self) -> Option<Duration> {
        None
    }

    /// Whether one look is all there is: what would look again says what it saw first.
    fn looks_once(&self) -> bool {
        false
    }

    /// A question to a person, on record before and after.
    fn ask<'a>(&'a self, question: Question) -> Local<'a, Result<Reply, StepError>>;

    /// Ends early when the step is cancelled.
    fn sleep<'a>(&'a self, duration: Duration) -> Local<'a, ()>;

    /// Monotonic.
    fn now(&self) -> Duration;

    /// The wall clock, for gates such as `not_before` and for records.
    fn wall(&self) -> jiff::Timestamp;

    fn progress(&self, progress: Progress);

    /// Puts a sample of a watch on record.
    fn sample<'a>(&'a self, sample: Sample) -> Local<'a, Result<(), StepError>>;

    /// What is performed from here on is a look at the effect and not the effect: its end must never be found in the
    /// place where the end of the step is looked for.
    fn only_looks(&self);

    /// Whether something that a process of this attempt left behind still runs.
    fn left_runs(&self) -> bool;

    fn cancel(&self) -> &Cancel;

    /// What the names stand for while this step runs.
    fn scope(&self) -> &Scope;
}

/// One look of one probe of a watch.
#[derive(Clone, Debug)]
pub struct Sample {
    pub probe: String,
    /// None where there is no value.
    pub value: Value,
    pub state: SampleState,
    pub unit: Option<String>,
    pub detail: Option<String>,
}

/// A process that ended, with what it wrote.
#[derive(Clone, Debug, Default)]
pub struct ProcessReport {
    pub end: ProcessEnd,
    /// Raw, at most `max_output` bytes; of a terminal the transcript.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub truncated: bool,
}

/// How the body of a step ended, before its `expect` is judged.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// `Succeeded` here means: it came to its own end and has a result to be judged.
    pub status: StepStatus,
    /// What `result` stands for in `expect` and `capture`; raw, never published.
    pub result: Option<Value>,
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub http_status: Option<u16>,
    pub failure: Option<Failure>,
    /// It looked, and gave up; `values` and `result` are what it saw last.
    pub gave_up: Option<GaveUp>,
    pub notes: Vec<String>,
    /// What may be the reason, should it be judged a failure.
    pub hint: Option<&'static str>,
    /// What it left running, as it may.
    pub left: Vec<String>,
    /// Names the body itself gives values to: the evidence of a manual step, the entries of a `set`.
    pub values: IndexMap<String, Value>,
}

impl StepReport {
    pub fn of(status: StepStatus) -> StepReport {
        StepReport {
            status,
            result: None,
            exit: None,
            signal: None,
            http_status: None,
            failure: None,
            gave_up: None,
            notes: Vec::new(),
            hint: None,
            left: Vec::new(),
            values: IndexMap::new(),
        }
    }

    pub fn failed(failure: Failure) -> StepReport {
        StepReport { failure: Some(failure), ..StepReport::of(StepStatus::Failed) }
    }
}

/// Why a step did not succeed; drawn under its own line of the file where that is known.
#[derive(Clone, Debug)]
pub struct Failure {
    pub message: String,
    /// A place in the runbook's own source.
    pub at: Option<Box<Diagnostic>>,
}

impl Failure {
    pub fn plain(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), at: None }
    }

    /// Says what may be behind it, or what to do.
    pub fn add_hint(&mut self, hint: &str) {
        self.message.push_str(&format!("; {hint}"));
        if let Some(at) = self.at.take() {
            self.at = Some(Box::new(at.hint(hint)));
        }
    }

    pub fn drawn(diagnostic: Diagnostic) -> Failure {
        Failure { message: diagnostic.message.clone(), at: Some(Box::new(diagnostic)) }
    }
}

/// Why a run cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A question that nobody can answer, or a request to pause.
    #[error("paused: {0}")]
    Paused(String),
    /// Only a person can say what the run needs to go on, and nobody is there.
    #[error("undecided: {0}")]
    Undecided(String),
    /// The operator said no.
    #[error("declined: {0}")]
    Declined(String),
    /// A mistake of ours: events in an order that cannot be.
    #[error("internal error: {0}")]
    Fault(String),
}
