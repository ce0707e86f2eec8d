//! Requests from outside to stop, and what they mean for the steps that run. Knows nothing of how signals arrive, and not
//! what a step is.
//!
//! There is one centre for them, [`Engine::mind_signals`], which lives beside the run: steps run side by side, and what
//! is said once is meant for all of them.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::Future,
    time::Duration,
};

use super::{Engine, menu, unit::Unit};
use crate::{
    event::{Effect, StepId},
    port::{Cancel, Closing, Reply},
};
use indexmap::IndexMap;

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// TERM or HUP: a closed laptop, a lost connection, a shutdown.
    Terminate,
}

/// Running steps may end by themselves for this long after TERM or HUP.
const GRACE: Duration = Duration::from_secs(10);
const INTERRUPTED: &str = "interrupted";
const TERMINATED: &str = "the process was told to end";

/// Politely, and at once: the levels of [`Cancel`].
const POLITELY: u8 = 1;
const AT_ONCE: u8 = 2;

/// Why nothing new starts.
#[derive(Clone, Debug)]
pub(super) enum Winding {
    /// It is paused, or cannot go on.
    Pausing(String),
    /// The operator said no, and is still there to say what became of the rest.
    Declined(String),
}

pub(super) struct Signals {
    incoming: RefCell<Option<tokio::sync::mpsc::UnboundedReceiver<Signal>>>,
    stop: RefCell<Option<String>>,
    winding: RefCell<Option<Winding>>,
    /// Something below or above changed.
    changed: tokio::sync::Notify,
    interrupts: Cell<u32>,
    /// Ctrl-C and its kin that came as a key: how many came, were taken up, and have been seen to.
    typed: Cell<u32>,
    taken: Cell<u32>,
    heeded: Cell<u32>,
    /// After TERM or HUP: until when running steps may end by themselves.
    ending: Cell<Option<Duration>>,
    /// A step failed for good: none begins after it, and what runs goes on.
    failed: RefCell<Option<String>>,
    running: RefCell<IndexMap<u64, Running>>,
    registered: Cell<u64>,
    /// One question at a time; a step that has the terminal to itself holds it as well.
    pub seat: tokio::sync::Mutex<()>,
    /// In step mode, the step that may be asked about next.
    pub next_step: tokio::sync::Mutex<()>,
    /// Questions that are open or wait for their turn.
    questions: Cell<u32>,
    /// Once nothing runs any more, what ran is to be taken back.
    undo: Cell<bool>,
}

/// Something that goes on and can be told to end.
struct Running {
    step: StepId,
    effect: Effect,
    cancel: Cancel,
    /// It waits for a person.
    asking: bool,
    /// The question was put to that person, who may have been busy with another one before.
    asked: bool,
}

/// While this lives, what it stands for can be told to end.
struct Registered<'s> {
    signals: &'s Signals,
    number: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.signals.running.borrow_mut().shift_remove(&self.number);
        self.signals.changed.notify_waiters();
    }
}

/// While this lives, one question has the operator, or a step the terminal to itself.
pub(super) struct Turn<'s> {
    pub _seat: tokio::sync::MutexGuard<'s, ()>,
    pub _asking: Asking<'s>,
}

/// While this lives, a question is open or waits for its turn, and nothing new starts.
pub(super) struct Asking<'s> {
    signals: &'s Signals,
    step: Option<StepId>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.signals.questions.set(self.signals.questions.get() - 1);
        self.signals.mark(self.step.as_ref(), false);
        self.signals.changed.notify_waiters();
    }
}

impl Signals {
    pub fn new(incoming: Option<tokio::sync::mpsc::UnboundedReceiver<Signal>>) -> Signals {
        Signals {
            incoming: RefCell::new(incoming),
            stop: RefCell::new(None),
            winding: RefCell::new(None),
            changed: tokio::sync::Notify::new(),
            interrupts: Cell::new(0),
            typed: Cell::new(0),
            taken: Cell::new(0),
            heeded: Cell::new(0),
            ending: Cell::new(None),
            failed: RefCell::new(None),
            running: RefCell::new(IndexMap::new()),
            registered: Cell::new(0),
            seat: tokio::sync::Mutex::new(()),
            next_step: tokio::sync::Mutex::new(()),
            questions: Cell::new(0),
            undo: Cell::new(false),
        }
    }

    /// Somebody has said at Ctrl-C that what ran is to be taken back, and nothing has ended the program since.
    pub fn undo_wanted(&self) -> bool {
        self.undo.get() && self.ending.get().is_none()
    }

    /// What somebody wanted at Ctrl-C is at hand, so that steps may start again.
    pub fn begin_again(&self) {
        self.undo.set(false);
        if self.ending.get().is_none() {
            self.stop.replace(None);
        }
    }

    /// Whether somebody interrupted the run, rather than told it to end.
    pub fn interrupted(&self) -> bool {
        self.interrupts.get() > 0
    }

    pub fn asking(&self, step: Option<&StepId>) -> Asking<'_> {
        self.questions.set(self.questions.get() + 1);
        self.mark(step, true);
        self.changed.notify_waiters();
        Asking { signals: self, step: step.cloned() }
    }

    /// The terminal for a step, once nobody else has it.
    pub async fn take_seat(&self, step: &StepId) -> Turn<'_> {
        let asking = self.asking(Some(step));
        Turn { _seat: self.seat.lock().await, _asking: asking }
    }

    fn mark(&self, step: Option<&StepId>, asking: bool) {
        let Some(step) = step else { return };
        self.running.borrow_mut().values_mut().filter(|of| of.step == *step).for_each(|of| of.asking = asking);
    }

    /// The question of a step has its turn.
    pub fn put(&self, step: Option<&StepId>) {
        let Some(step) = step else { return };
        self.running.borrow_mut().values_mut().filter(|of| of.step == *step).for_each(|of| of.asked = true);
        self.changed.notify_waiters();
    }

    /// Resolves when the question of a step that goes on was put to a person.
    pub async fn asked(&self, step: &StepId) {
        let asked = || self.running.borrow().values().any(|of| of.step == *step && of.asked);
        self.until(|| asked().then_some(())).await;
    }

    fn register(&self, step: &StepId, effect: Effect, cancel: &Cancel) -> Registered<'_> {
        let number = self.registered.get() + 1;
        self.registered.set(number);
        let running = Running { step: step.clone(), effect, cancel: cancel.clone(), asking: false, asked: false };
        self.running.borrow_mut().insert(number, running);
        Registered { signals: self, number }
    }

    /// Steps that go on by themselves, each once.
    fn busy(&self) -> Vec<StepId> {
        let mut steps: Vec<StepId> = Vec::new();
        for running in self.running.borrow().values() {
            if !running.asking && !steps.contains(&running.step) {
                steps.push(running.step.clone());
            }
        }
        steps
    }

    fn raise(&self, level: u8, of: impl Fn(&StepId, Effect) -> bool) {
        for running in self.running.borrow().values() {
            if of(&running.step, running.effect) {
                running.cancel.raise(level);
            }
        }
    }

    /// The time of a container is over: what runs inside of it is told to end.
    pub fn interrupt_inside(&self, container: &StepId) {
        self.raise(POLITELY, |step, _| step.is_inside(container) || step.helps().as_ref() == Some(container));
        self.changed.notify_waiters();
    }

    /// What only looks may be cut short: it is looked at again at a resume.
    fn cut_reads(&self) {
        let cut: Vec<Cancel> = {
            let running = self.running.borrow();
            let reads = running.values().filter(|of| of.effect == Effect::Read && !of.asking);
            reads.map(|of| of.cancel.clone()).collect()
        };
        cut.iter().for_each(|cancel| cancel.raise(POLITELY));
    }

    fn terminate(&self, now: Duration) {
        self.request_stop(TERMINATED);
        if self.ending.get().is_none() {
            self.ending.set(Some(now + GRACE));
        }
        self.cut_reads();
    }

    async fn next(&self) -> Signal {
        tokio::select! {
            signal = self.arrived() => signal,
            () = self.until(|| (self.typed.get() > self.taken.get()).then_some(())) => {
                self.taken.set(self.taken.get() + 1);
                Signal::Interrupt
            }
        }
    }

    /// Ctrl-C, typed where it is a key like any other. Its number, for [`Signals::heeded`].
    pub fn typed_interrupt(&self) -> u32 {
        self.typed.set(self.typed.get() + 1);
        self.changed.notify_waiters();
        self.typed.get()
    }

    /// Resolves when that key has been seen to, and what was asked because of it is answered.
    pub async fn heeded(&self, typed: u32) {
        self.until(|| (self.heeded.get() >= typed).then_some(())).await;
    }

    async fn arrived(&self) -> Signal {
        let received = std::future::poll_fn(|cx| match self.incoming.borrow_mut().as_mut() {
            Some(incoming) => incoming.poll_recv(cx),
            None => std::task::Poll::Pending,
        })
        .await;
        match received {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// Nothing new starts from here on, and open questions are closed.
    pub fn request_stop(&self, why: &str) {
        self.stop.borrow_mut().get_or_insert_with(|| why.to_owned());
        self.changed.notify_waiters();
    }

    /// One step has ended the run: the others come to their own end, and what only looks is cut short.
    pub fn wind_down(&self, why: Winding) {
        let mut winding = self.winding.borrow_mut();
        // A no is final; everything else can be gone on with.
        if winding.is_none() || matches!(why, Winding::Declined(_)) {
            *winding = Some(why);
        }
        drop(winding);
        self.changed.notify_waiters();
        self.cut_reads();
    }

    /// Everything has come to its end, and `finally` may start.
    pub fn wound_down(&self) {
        self.winding.replace(None);
    }

    /// A step failed, and no other one begins. What has begun is none the worse for it.
    pub fn begin_none(&self, failed: &StepId) {
        self.failed.borrow_mut().get_or_insert_with(|| format!("{failed} did not succeed, so nothing new starts"));
        self.changed.notify_waiters();
    }

    /// Another list of steps begins.
    pub fn begin_any(&self) {
        self.failed.replace(None);
    }

    /// Why no step begins.
    pub fn none_begins(&self) -> Option<String> {
        self.failed.borrow().clone()
    }

    /// Resolves when a step that has not begun will not.
    pub async fn not_begun(&self) -> String {
        self.until(|| self.stop_reason().or_else(|| self.none_begins())).await
    }

    /// Nothing new starts, and nobody is asked anything but what became of a change after a no.
    pub fn stop_reason(&self) -> Option<String> {
        if let Some(why) = self.stop.borrow().clone() {
            return Some(why);
        }
        self.winding.borrow().as_ref().map(|winding| match winding {
            Winding::Pausing(why) | Winding::Declined(why) => why.clone(),
        })
    }

    /// Only a no stands against asking.
    pub fn only_declined(&self) -> bool {
        self.stop.borrow().is_none() && matches!(*self.winding.borrow(), Some(Winding::Declined(_)))
    }

    /// As [`Signals::stop_reason`], for a moment at which something new would start: what was sent before counts, even if
    /// the runtime had no turn since to pass it on.
    pub async fn stop_reason_now(&self) -> Option<String> {
        // One turn hears of it, the next runs the task that tells us, one more is for good measure.
        for _ in 0..3 {
            crate::port::turn().await;
        }
        self.stop_reason()
    }

    /// Resolves when nothing is asked, so that something new may start; `Err` says why nothing may.
    pub async fn may_start(&self) -> Result<(), String> {
        loop {
            if let Some(why) = self.stop_reason_now().await {
                return Err(why);
            }
            let changed = self.changed.notified();
            if self.questions.get() == 0 {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Resolves when nothing new may start any more.
    pub async fn stopped(&self) -> String {
        self.until(|| self.stop_reason()).await
    }

    /// Resolves when a question cannot be answered any more.
    pub async fn closed(&self) -> String {
        self.until(|| self.stop_reason().filter(|_| !self.only_declined())).await
    }

    async fn until<T>(&self, of: impl Fn() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = of() {
                return found;
            }
            changed.await;
        }
    }
}

impl<'a> Engine<'a> {
    /// Lets something go on where signals can reach it.
    pub(super) async fn guarded<T>(&self, step: &Unit<'a>, cancel: &Cancel, work: impl Future<Output = T>) -> T {
        self.guarded_as(&step.path, step.body.effect, cancel, work).await
    }

    /// As [`Engine::guarded`], for what a step has left behind.
    pub(super) async fn guarded_as<T>(
        &self,
        step: &StepId,
        effect: Effect,
        cancel: &Cancel,
        work: impl Future<Output = T>,
    ) -> T {
        let _registered = self.signals.register(step, effect, cancel);
        work.await
    }

    /// The centre for signals; it lives beside the run and goes with it.
    ///
    /// The first Ctrl-C at a terminal opens a menu, elsewhere it is INT to all steps; the second is INT, the third KILL.
    /// After TERM nothing starts, what only looks is cut short, and the others have a grace to end by themselves.
    pub(super) async fn mind_signals(&self) -> Infallible {
        loop {
            let grace = async {
                match self.signals.ending.get() {
                    Some(at) => {
                        let left = at.saturating_sub(self.world.now());
                        self.world.sleep(left, &Cancel::new()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                signal = self.signals.next() => {
                    self.heed(signal).await;
                    self.signals.heeded.set(self.signals.taken.get());
                    self.signals.changed.notify_waiters();
                }
                () = grace => {
                    self.signals.raise(POLITELY, |_, _| true);
                    self.signals.ending.set(None);
                }
            }
        }
    }

    async fn heed(&self, signal: Signal) {
        let signals = &self.signals;
        if signal == Signal::Terminate {
            return signals.terminate(self.world.now());
        }
        let count = signals.interrupts.get() + 1;
        signals.interrupts.set(count);
        // Whoever interrupts a question has answered that nothing goes on now.
        let at_question = signals.questions.get() > 0;
        if at_question || signals.busy().is_empty() {
            signals.request_stop(INTERRUPTED);
        }
        match count {
            1 if self.operator.attended() && !signals.busy().is_empty() => self.interrupt_menu().await,
            1 if at_question && signals.busy().is_empty() => {}
            _ => {
                signals.request_stop(INTERRUPTED);
                signals.raise(if count > 2 { AT_ONCE } else { POLITELY }, |_, _| true);
            }
        }
    }

    /// What comes while the menu cannot be shown, or is on the screen, is meant for all.
    fn urge(&self, signal: Signal) {
        let signals = &self.signals;
        match signal {
            Signal::Terminate => signals.terminate(self.world.now()),
            Signal::Interrupt => {
                signals.interrupts.set(signals.interrupts.get() + 1);
                signals.request_stop(INTERRUPTED);
                signals.raise(POLITELY, |_, _| true);
            }
        }
    }

    /// The steps go on while the operator decides.
    pub(super) async fn interrupt_menu(&self) {
        let signals = &self.signals;
        let _asking = signals.asking(None);
        // A question that is open gives up its place: a stop was requested. A step that has the terminal keeps it.
        let _turn = tokio::select! {
            biased;
            turn = signals.seat.lock() => turn,
            signal = signals.next() => return self.urge(signal),
        };
        let busy = signals.busy();
        if busy.is_empty() {
            return;
        }
        // Whoever interrupted a question has ended the run, whatever becomes of the rest.
        let stopping = signals.stop.borrow().is_some();
        let undo = !stopping && busy.iter().all(|step| step.undoes().is_none() && !self.in_finally(step));
        let question = menu::interrupt(&busy, stopping, undo);
        let Ok(number) = self.put(&question).await else { return };
        let (word, why, by_operator) = tokio::select! {
            biased;
            // There is nothing left to decide: the question goes, the end is recorded when it was, and nothing new starts.
            () = signals.until(|| signals.busy().is_empty().then_some(())) => {
                signals.request_stop("Ctrl-C; the step has come to its own end");
                ("ended".to_owned(), "the step ended before an answer was given", false)
            }
            reply = self.operator.ask(&question) => match reply {
                Reply::Answer(answer) => (answer.word, "", true),
                Reply::Closed { how: Closing::Interrupted, .. } => {
                    self.urge(Signal::Interrupt);
                    ("interrupt".to_owned(), "Ctrl-C again", false)
                }
                Reply::Closed { how: Closing::Escaped, .. } => {
                    (if stopping { "finish" } else { "go-on" }.to_owned(), "nothing was chosen", true)
                }
                // Without a terminal nobody sees what the steps do; they may end by themselves.
                Reply::Closed { .. } | Reply::Nobody { .. } | Reply::Unasked => {
                    ("finish".to_owned(), "the terminal gave no answer", false)
                }
            },
            signal = signals.next() => {
                self.urge(signal);
                match signal {
                    Signal::Interrupt => ("interrupt".to_owned(), "Ctrl-C again", false),
                    // The steps have their grace.
                    Signal::Terminate => ("finish".to_owned(), TERMINATED, false),
                }
            }
        };
        let by = if by_operator { self.operator.name() } else { "runsheet".to_owned() };
        let reason = (!why.is_empty()).then(|| why.to_owned());
        // Where it cannot be put on record, nothing else can either, and every step comes to hear of it.
        let _ = self.answered(number, None, &word, reason, by).await;
        match word.as_str() {
            "ended" => {}
            "go-on" => signals.interrupts.set(0),
            "finish" => {
                signals.interrupts.set(0);
                signals.request_stop("the operator paused the run");
            }
            "undo" => {
                signals.interrupts.set(0);
                signals.undo.set(true);
                signals.request_stop("the operator chose to undo");
            }
            "kill" => {
                signals.request_stop("the operator stopped the running step");
                signals.raise(AT_ONCE, |_, _| true);
            }
            "interrupt" => {
                signals.request_stop(INTERRUPTED);
                signals.raise(POLITELY, |_, _| true);
            }
            // Only that one: what its end leads to is asked then, and the others go on.
            one => {
                signals.interrupts.set(0);
                signals.raise(POLITELY, |step, _| menu::interrupts(one, step));
            }
        }
    }
}
