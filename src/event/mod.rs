//! What happens in a run, as data, and the one state machine over it. Knows nothing of how events are stored or shown.

mod id;
mod kinds;
mod record;
mod redact;
mod state;

pub use id::{RunId, StepId};
pub use kinds::{
    ChosenProfile, DaemonEnd, Effect, GaveUp, NotedFile, Outcome, PlanReplaced, Progress, RunStarted, SampleState,
    SkipCause, Stays, StepStatus, Stream, ToUndo,
};
pub use record::{Event, Record};
pub use redact::{RedactStream, Redactor, TooShort};
pub use state::{Daemon, Entered, IllegalEvent, Open, RunState, StepPhase, StepState, Undo};
