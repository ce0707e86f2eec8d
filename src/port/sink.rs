//! Who is shown what happens. Best effort: a sink can never stop a run.

use crate::event::{Progress, Record};

pub trait Sink {
    /// A record that is durable (where there is a journal) and masked.
    fn accept(&self, record: &Record);

    /// Passing progress, masked; may be dropped.
    fn progress(&self, _progress: &Progress) {}
}
