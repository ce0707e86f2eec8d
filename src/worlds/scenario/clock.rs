//! Time that passes only when everything waits for it, and the loop that drives a future through it. Knows nothing of
//! what is waited for.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

/// What happens by itself, as time passes.
pub trait Timeline {
    /// When something happens next, if ever.
    fn next(&self) -> Option<Duration>;
    /// It is now that time: lets one thing happen, and wakes who waited for it.
    fn arrive(&self, at: Duration);
    /// The program that is driven is dead: it is not polled again.
    fn stopped(&self) -> bool;
}

/// Why a future was not driven to its end.
#[derive(Debug, PartialEq)]
pub enum Halt {
    /// The machine, or the program, died.
    Stopped,
    /// Everything waits, and nothing will ever happen.
    Stuck,
    /// It was polled without end.
    Spinning,
}

/// A program that yields this often without anything happening will never wait.
const PATIENCE: u32 = 100_000;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls until it is over. Only where nobody was woken does time pass, and then to the next thing that happens.
pub fn drive<T>(timeline: &dyn Timeline, future: impl Future<Output = T>) -> Result<T, Halt> {
    let mut future = pin!(future);
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut polls = 0;
    loop {
        if flag.0.swap(false, Ordering::Relaxed) {
            polls += 1;
            if polls > PATIENCE {
                return Err(Halt::Spinning);
            }
            let ready = future.as_mut().poll(&mut cx);
            // Whatever it still said in the moment of its death was said to nobody.
            if timeline.stopped() {
                return Err(Halt::Stopped);
            }
            if let Poll::Ready(value) = ready {
                return Ok(value);
            }
            continue;
        }
        polls = 0;
        let Some(at) = timeline.next() else { return Err(Halt::Stuck) };
        timeline.arrive(at);
        if timeline.stopped() {
            return Err(Halt::Stopped);
        }
    }
}

/// Who sleeps, and until when.
#[derive(Default)]
pub struct Alarms {
    waiting: RefCell<BTreeMap<(Duration, u64), Waker>>,
    next: Cell<u64>,
}

impl Alarms {
    pub fn first(&self) -> Option<Duration> {
        self.waiting.borrow().keys().next().map(|(at, _)| *at)
    }

    /// Wakes everybody whose time has come.
    pub fn ring(&self, now: Duration) {
        let mut due = Vec::new();
        {
            let mut waiting = self.waiting.borrow_mut();
            while let Some(entry) = waiting.first_entry().filter(|entry| entry.key().0 <= now) {
                due.push(entry.remove());
            }
        }
        due.into_iter().for_each(Waker::wake);
    }

    /// Resolves when `now` says it is that time. Forgotten when it is dropped.
    pub fn until(self: &Rc<Self>, at: Duration, now: impl Fn() -> Duration) -> impl Future<Output = ()> {
        let number = self.next.get();
        self.next.set(number + 1);
        let asleep = Asleep { alarms: Rc::clone(self), key: (at, number) };
        std::future::poll_fn(move |cx| {
            if now() >= asleep.key.0 {
                return Poll::Ready(());
            }
            asleep.alarms.waiting.borrow_mut().insert(asleep.key, cx.waker().clone());
            Poll::Pending
        })
    }
}

struct Asleep {
    alarms: Rc<Alarms>,
    key: (Duration, u64),
}

impl Drop for Asleep {
    fn drop(&mut self) {
        self.alarms.waiting.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Bare {
        alarms: Rc<Alarms>,
        now: Rc<Cell<Duration>>,
    }

    impl Bare {
        fn sleep(&self, at: u64) -> impl Future<Output = ()> + '_ {
            let now = Rc::clone(&self.now);
            self.alarms.until(Duration::from_secs(at), move || now.get())
        }
    }

    impl Timeline for Bare {
        fn next(&self) -> Option<Duration> {
            self.alarms.first()
        }

        fn arrive(&self, at: Duration) {
            self.now.set(at);
            self.alarms.ring(at);
        }

        fn stopped(&self) -> bool {
            self.now.get() >= Duration::from_secs(1000)
        }
    }

    #[test]
    fn time_jumps_to_the_first_alarm_and_not_past_it() {
        let bare = Bare::default();
        let seen = RefCell::new(Vec::new());
        let note = |name: &str| seen.borrow_mut().push(format!("{name} {}", bare.now.get().as_secs()));
        let work = async {
            let first = async {
                bare.sleep(5).await;
                note("a");
                // Between two turns no time passes.
                tokio::task::yield_now().await;
                note("a");
                bare.sleep(9).await;
                note("a");
            };
            let second = async {
                tokio::select! {
                    biased;
                    () = bare.sleep(700) => note("never"),
                    () = bare.sleep(7) => note("b"),
                }
            };
            futures_util::future::join(first, second).await;
        };
        assert_eq!(drive(&bare, work), Ok(()));
        assert_eq!(seen.into_inner(), ["a 5", "a 5", "b 7", "a 9"]);
        assert_eq!(bare.alarms.first(), None);
    }

    #[test]
    fn the_dead_the_stuck_and_the_restless_are_told_apart() {
        let bare = Bare::default();
        assert_eq!(drive(&bare, std::future::pending::<()>()), Err(Halt::Stuck));
        let restless = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(drive::<()>(&bare, restless), Err(Halt::Spinning));
        let dies = async {
            bare.sleep(1000).await;
            panic!("polled after its death");
        };
        assert_eq!(drive::<()>(&bare, dies), Err(Halt::Stopped));
    }
}
