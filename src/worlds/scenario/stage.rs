//! What a scenario's world is like, over all engines that live in it one after the other. Answers nothing itself.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::{
    FOLDER, HttpReplyRule, Script, SeenCommand, SeenRequest, ShellReply,
    clock::{Alarms, Timeline},
};
use crate::{
    event::StepId,
    port::{ExecRecord, Local},
};

/// More commands and requests than any scenario means to make.
pub const MOST: usize = 10_000;

/// Something that no rule answers: the run is not gone on with.
#[derive(Clone, Debug)]
pub enum Unanswered {
    Command(SeenCommand),
    Request(SeenRequest),
    /// The run does something again and again without end.
    TooMany {
        step: String,
    },
}

/// A reply that nobody expects, in the place of the one whose turn it is.
#[derive(Clone, Debug)]
pub struct Surprise {
    /// As commands and requests name their step.
    pub step: String,
    /// At which of its commands or requests it comes; the first is 1.
    pub turn: usize,
    pub reply: SurpriseReply,
}

#[derive(Clone, Debug)]
pub enum SurpriseReply {
    Shell(ShellReply),
    Http(HttpReplyRule),
}

/// Time as a run in this world sees it.
pub trait Clock {
    /// Since the beginning of the scenario.
    fn now(&self) -> Duration;
    fn sleep<'a>(&'a self, duration: Duration) -> Local<'a, ()>;
}

/// Time that passes only where everything waits for it.
#[derive(Default)]
pub struct Simulated {
    now: Cell<Duration>,
    alarms: Rc<Alarms>,
}

impl Simulated {
    /// Lets time pass while nobody looks.
    pub fn pass(&self, duration: Duration) {
        self.now.set(self.now.get() + duration);
    }
}

impl Timeline for Simulated {
    fn next(&self) -> Option<Duration> {
        self.alarms.first()
    }

    fn arrive(&self, at: Duration) {
        self.now.set(at);
        self.alarms.ring(at);
    }

    fn stopped(&self) -> bool {
        false
    }
}

impl Clock for Simulated {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Local<'a, ()> {
        let until = self.now.get().saturating_add(duration);
        Box::pin(self.alarms.until(until, || self.now.get()))
    }
}

/// What a scenario's world is like, over all engines that live in it one after the other.
pub struct Stage {
    pub(super) script: Script,
    pub(super) clock: Rc<dyn Clock>,
    pub(super) shell_turns: RefCell<Vec<usize>>,
    pub(super) http_turns: RefCell<Vec<usize>>,
    pub(super) files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
    pub(super) commands: RefCell<Vec<SeenCommand>>,
    pub(super) requests: RefCell<Vec<SeenRequest>>,
    pub(super) unanswered: RefCell<Option<Unanswered>>,
    pub(super) ends: RefCell<HashMap<(StepId, u32), ExecRecord>>,
    /// The engine dies when a command or request of this step was answered, before it hears of it.
    pub(super) dies_during: RefCell<Option<String>>,
    dead: Cell<bool>,
    /// Called in the moment of its death, while everything still is as it was.
    last: RefCell<Option<Box<dyn Fn()>>>,
    pub(super) random: Cell<u64>,
    surprise: RefCell<Option<Surprise>>,
    /// How often what it waits for has been there.
    surprise_turns: Cell<usize>,
    /// What no rule answers fails, and the run goes on.
    lenient: Cell<bool>,
}

impl Stage {
    pub fn new(script: Script, clock: Rc<dyn Clock>) -> Stage {
        let files = script.files.iter().map(|(path, bytes)| (Path::new(FOLDER).join(path), bytes.clone())).collect();
        Stage {
            shell_turns: RefCell::new(vec![0; script.shell.len()]),
            http_turns: RefCell::new(vec![0; script.http.len()]),
            files: RefCell::new(files),
            script,
            clock,
            commands: RefCell::default(),
            requests: RefCell::default(),
            unanswered: RefCell::default(),
            ends: RefCell::default(),
            dies_during: RefCell::default(),
            dead: Cell::new(false),
            last: RefCell::default(),
            random: Cell::new(0),
            surprise: RefCell::default(),
            surprise_turns: Cell::new(0),
            lenient: Cell::new(false),
        }
    }

    /// Everything that was run, in order.
    pub fn commands(&self) -> Vec<SeenCommand> {
        self.commands.borrow().clone()
    }

    /// Everything that was sent, in order.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.requests.borrow().clone()
    }

    /// What a file holds by now; a relative path stands below the folder of the run.
    pub fn file(&self, path: &Path) -> Option<Vec<u8>> {
        self.files.borrow().get(&Path::new(FOLDER).join(path)).cloned()
    }

    /// What nothing answered, if that ended the run.
    pub fn unanswered(&self) -> Option<Unanswered> {
        self.unanswered.borrow().clone()
    }

    /// Whether what nothing answers was the end of everything.
    pub fn gave_up(&self) -> bool {
        let endless = matches!(*self.unanswered.borrow(), Some(Unanswered::TooMany { .. }));
        endless || (!self.lenient.get() && self.unanswered.borrow().is_some())
    }

    /// Since the beginning of the scenario.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// How often each rule was used: those for commands, then those for requests.
    pub fn uses(&self) -> (Vec<usize>, Vec<usize>) {
        (self.shell_turns.borrow().clone(), self.http_turns.borrow().clone())
    }

    /// The engine dies once a command or request of this step was answered.
    pub fn die_during(&self, step: &str) {
        *self.dies_during.borrow_mut() = Some(step.to_owned());
    }

    /// What is to be kept of the moment of its death.
    pub fn at_the_last(&self, last: Box<dyn Fn()>) {
        *self.last.borrow_mut() = Some(last);
    }

    /// The engine dies now: nothing it still does comes to anything.
    pub fn die(&self) {
        if !self.dead.replace(true)
            && let Some(last) = self.last.borrow().as_ref()
        {
            last();
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Another engine begins.
    pub fn revive(&self) {
        self.dead.set(false);
        *self.last.borrow_mut() = None;
        *self.dies_during.borrow_mut() = None;
    }

    /// What no rule answers is a failure of the step from now on, and not the end of everything.
    pub fn be_lenient(&self) {
        self.lenient.set(true);
    }

    pub fn surprise(&self, surprise: Surprise) {
        *self.surprise.borrow_mut() = Some(surprise);
    }

    /// Whether the surprise has come.
    pub fn surprised(&self) -> bool {
        self.surprise.borrow().as_ref().is_some_and(|surprise| self.surprise_turns.get() >= surprise.turn)
    }

    /// The surprise, if this is its moment.
    pub(super) fn sprung<T>(&self, step: &str, reply: impl Fn(&SurpriseReply) -> Option<T>) -> Option<T> {
        let surprise = self.surprise.borrow();
        let surprise = surprise.as_ref().filter(|surprise| surprise.step == step)?;
        let reply = reply(&surprise.reply)?;
        self.surprise_turns.set(self.surprise_turns.get() + 1);
        (self.surprise_turns.get() == surprise.turn).then_some(reply)
    }

    pub(super) fn refuse(&self, what: Unanswered) {
        let endless = matches!(what, Unanswered::TooMany { .. });
        let mut unanswered = self.unanswered.borrow_mut();
        if endless || unanswered.is_none() {
            *unanswered = Some(what);
        }
        if self.lenient.get() && !endless {
            return;
        }
        self.dead.set(true);
    }

    pub(super) fn keep(&self, files: &[(PathBuf, Vec<u8>)], cwd: &Path) {
        let mut kept = self.files.borrow_mut();
        for (path, bytes) in files {
            kept.insert(cwd.join(path), bytes.clone());
        }
    }

    pub(super) fn too_many(&self, step: &StepId) -> bool {
        let count = self.commands.borrow().len() + self.requests.borrow().len();
        let over = count >= MOST;
        if over {
            self.refuse(Unanswered::TooMany { step: step.to_string() });
        }
        over
    }
}
