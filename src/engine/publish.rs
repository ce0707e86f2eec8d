//! The one place where an event becomes a record: numbered, masked, checked, durable, then shown. Knows no steps.

use std::{cell::RefCell, rc::Rc, time::Duration};

use crate::{
    event::{Event, Progress, Record, Redactor, RunState},
    port::{Journal, JournalError, Sink, StepError, World},
};

pub struct Publisher<'a> {
    world: &'a dyn World,
    journal: &'a dyn Journal,
    sinks: Vec<Rc<dyn Sink + 'a>>,
    redactor: Redactor,
    state: RefCell<RunState>,
    began: Duration,
    /// Records are appended in the order of their numbers.
    turn: tokio::sync::Mutex<()>,
    poisoned: RefCell<Option<JournalError>>,
}

impl<'a> Publisher<'a> {
    /// `state` is empty for a new run, and what the journal holds for one that goes on.
    pub fn new(
        world: &'a dyn World,
        journal: &'a dyn Journal,
        sinks: Vec<Rc<dyn Sink + 'a>>,
        redactor: Redactor,
        state: RunState,
    ) -> Publisher<'a> {
        let began = world.now();
        Publisher {
            world,
            journal,
            sinks,
            redactor,
            state: RefCell::new(state),
            began,
            turn: tokio::sync::Mutex::new(()),
            poisoned: RefCell::new(None),
        }
    }

    /// Resolves when the record is durable; then it is shown.
    pub async fn publish(&self, event: Event) -> Result<(), StepError> {
        let _turn = self.turn.lock().await;
        let record = self.number(event)?;
        // Once it failed the journal keeps refusing, and puts what still ends where it may yet be found.
        if let Err(error) = self.journal.append(&record).await {
            self.poison(error);
        }
        if let Some(error) = self.poisoned() {
            return Err(error.into());
        }
        tracing::debug!(seq = record.seq, step = record.event.step().map(tracing::field::display), "on record");
        for sink in &self.sinks {
            sink.accept(&record);
        }
        Ok(())
    }

    /// The next record for an event, masked and applied to the state.
    fn number(&self, event: Event) -> Result<Record, StepError> {
        let mut state = self.state.borrow_mut();
        let record = Record {
            seq: state.last_seq + 1,
            time: self.world.wall(),
            elapsed_ms: millis(self.world.now().saturating_sub(self.began)),
            event,
        };
        let record = self.redactor.record(record);
        state.apply(&record).map_err(|illegal| StepError::Fault(illegal.to_string()))?;
        Ok(record)
    }

    /// Shows a record that is durable already, such as the first of a new run.
    pub fn show(&self, record: &Record) {
        for sink in &self.sinks {
            sink.accept(record);
        }
    }

    pub fn progress(&self, progress: &Progress) {
        for sink in &self.sinks {
            sink.progress(progress);
        }
    }

    pub fn state(&self) -> std::cell::Ref<'_, RunState> {
        self.state.borrow()
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub fn poisoned(&self) -> Option<JournalError> {
        self.poisoned.borrow().clone()
    }

    /// Remembers a failure to write output, so that nothing new starts.
    pub fn poison(&self, error: JournalError) {
        self.poisoned.borrow_mut().get_or_insert(error);
    }
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
