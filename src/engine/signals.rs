//! Requests from outside the run to stop, and what they mean while a step runs. Knows nothing of how signals arrive.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::pin,
    time::Duration,
};

use super::{Engine, menu};
use crate::{
    event::Event,
    port::{Cancel, Reply, StepError},
};

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

pub(super) struct Signals {
    incoming: RefCell<Option<tokio::sync::mpsc::UnboundedReceiver<Signal>>>,
    stop: RefCell<Option<String>>,
    stopping: tokio::sync::Notify,
    interrupts: Cell<u32>,
    /// After TERM or HUP: until when running steps may end by themselves.
    ending: Cell<Option<Duration>>,
}

impl Signals {
    pub fn new(incoming: Option<tokio::sync::mpsc::UnboundedReceiver<Signal>>) -> Signals {
        Signals {
            incoming: RefCell::new(incoming),
            stop: RefCell::new(None),
            stopping: tokio::sync::Notify::new(),
            interrupts: Cell::new(0),
            ending: Cell::new(None),
        }
    }

    /// Whether somebody interrupted the run, rather than told it to end.
    pub fn interrupted(&self) -> bool {
        self.interrupts.get() > 0
    }

    /// At a question: whoever interrupts it, or tells the program to end, has answered that nothing goes on now.
    pub async fn at_question(&self, now: impl Fn() -> Duration) -> String {
        match self.next().await {
            Signal::Interrupt => {
                self.interrupts.set(self.interrupts.get() + 1);
                self.request_stop(INTERRUPTED);
            }
            Signal::Terminate => self.terminate(now()),
        }
        self.stop.borrow().clone().unwrap_or_default()
    }

    fn terminate(&self, now: Duration) {
        self.request_stop(TERMINATED);
        if self.ending.get().is_none() {
            self.ending.set(Some(now + GRACE));
        }
    }

    async fn next(&self) -> Signal {
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

    /// Nothing new starts from here on.
    pub fn request_stop(&self, why: &str) {
        self.stop.borrow_mut().get_or_insert_with(|| why.to_owned());
        self.stopping.notify_waiters();
    }

    /// As [`Signals::stop_reason`], for a moment at which something new would start: what was sent before counts, even if
    /// the runtime had no turn since to pass it on.
    pub async fn stop_reason_now(&self) -> Option<String> {
        // One turn hears of it, the next runs the task that tells us, one more is for good measure.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.stop_reason()
    }

    pub fn stop_reason(&self) -> Option<String> {
        // What arrived between two steps counts as well.
        if let Some(incoming) = self.incoming.borrow_mut().as_mut() {
            while let Ok(signal) = incoming.try_recv() {
                let why = match signal {
                    Signal::Interrupt => {
                        self.interrupts.set(self.interrupts.get() + 1);
                        INTERRUPTED
                    }
                    Signal::Terminate => TERMINATED,
                };
                self.stop.borrow_mut().get_or_insert_with(|| why.to_owned());
            }
        }
        self.stop.borrow().clone()
    }

    /// Resolves when a stop is requested.
    pub async fn stopped(&self) -> String {
        loop {
            let notified = self.stopping.notified();
            if let Some(why) = self.stop.borrow().clone() {
                return why;
            }
            notified.await;
        }
    }
}

impl Engine<'_> {
    /// Lets a step run on while signals are answered. The first Ctrl-C at a terminal opens a menu, elsewhere it is INT to
    /// the step; the second is INT, the third KILL. After TERM the step has a grace to end by itself.
    pub(super) async fn guarded<T>(&self, cancel: &Cancel, work: impl Future<Output = T>) -> Result<T, StepError> {
        let mut work = pin!(work);
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
                done = &mut work => return Ok(done),
                () = grace => {
                    cancel.raise(1);
                    self.signals.ending.set(None);
                }
                signal = self.signals.next() => match signal {
                    Signal::Terminate => self.signals.terminate(self.world.now()),
                    Signal::Interrupt => {
                        let count = self.signals.interrupts.get() + 1;
                        self.signals.interrupts.set(count);
                        match count {
                            1 if self.operator.attended() => {
                                if let Some(done) = self.interrupt_menu(cancel, &mut work).await? {
                                    return Ok(done);
                                }
                            }
                            1 | 2 => {
                                self.signals.request_stop(INTERRUPTED);
                                cancel.raise(1);
                            }
                            _ => {
                                self.signals.request_stop(INTERRUPTED);
                                cancel.raise(2);
                            }
                        }
                    }
                },
            }
        }
    }

    /// The step goes on while the operator decides.
    async fn interrupt_menu<T>(
        &self,
        cancel: &Cancel,
        work: &mut (impl Future<Output = T> + Unpin),
    ) -> Result<Option<T>, StepError> {
        let mut asking = Box::pin(self.ask(menu::interrupt()));
        let reply = tokio::select! {
            reply = &mut asking => reply?.0,
            // There is nothing left to decide: the question goes, the end is recorded when it was, and nothing new starts.
            ended = &mut *work => {
                drop(asking);
                let open = self.state().question.as_ref().map(|open| open.question);
                if let Some(question) = open {
                    self.publisher
                        .publish(Event::QuestionAnswered {
                            question,
                            step: None,
                            answer: "ended".into(),
                            reason: Some("the step ended before an answer was given".into()),
                            by: "runsheet".into(),
                            values: serde_json::Map::new(),
                        })
                        .await?;
                }
                self.signals.request_stop("Ctrl-C; the step has come to its own end");
                return Ok(Some(ended));
            }
        };
        match reply {
            Reply::Answer(answer) if answer.word == "go-on" => self.signals.interrupts.set(0),
            Reply::Answer(answer) if answer.word == "finish" => {
                self.signals.interrupts.set(0);
                self.signals.request_stop("the operator paused the run");
            }
            Reply::Answer(answer) if answer.word == "kill" => {
                self.signals.request_stop("the operator stopped the running step");
                cancel.raise(2);
            }
            // Told to end while the menu was open: the step has its grace.
            Reply::Closed { .. } if self.signals.ending.get().is_some() => {}
            _ => {
                self.signals.request_stop(INTERRUPTED);
                cancel.raise(1);
            }
        }
        Ok(None)
    }
}
