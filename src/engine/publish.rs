//! The one place where an event becomes a record: numbered, masked, checked, durable, then shown. Knows no steps.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

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
    /// Records that are on their way to the disk, in the order of their numbers, in which they are shown.
    under_way: RefCell<VecDeque<Rc<Record>>>,
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
            under_way: RefCell::new(VecDeque::new()),
            poisoned: RefCell::new(None),
        }
    }

    /// Resolves when the record is durable; then it is shown.
    ///
    /// Steps that run side by side publish side by side: a record has its number and its place in the journal before
    /// anything is awaited, and whoever of them comes to the disk first takes the others along.
    pub async fn publish(&self, event: Event) -> Result<(), StepError> {
        let record = Rc::new(self.number(event)?);
        self.under_way.borrow_mut().push_back(Rc::clone(&record));
        // Once it failed the journal keeps refusing, and puts what still ends where it may yet be found.
        if let Err(error) = self.journal.append(&record).await {
            self.poison(error);
        }
        if let Some(error) = self.poisoned() {
            return Err(error.into());
        }
        tracing::debug!(seq = record.seq, step = record.event.step().map(tracing::field::display), "on record");
        self.show_to(record.seq);
        Ok(())
    }

    /// A record is durable only if all before it are: these are shown as well, in their order.
    fn show_to(&self, seq: u64) {
        loop {
            let next = {
                let mut under_way = self.under_way.borrow_mut();
                under_way.pop_front_if(|record| record.seq <= seq)
            };
            let Some(record) = next else { return };
            self.show(&record);
        }
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
