//! The time of a world in which a person answers: as fast as is wanted while nobody is asked, and as it is while a
//! question is open. Knows nothing of questions.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use tokio::sync::Notify;

use super::Clock;
use crate::port::{Cancel, Local, World};

/// Time that runs at a multiple of that of another world.
pub struct Paced {
    real: Rc<dyn World>,
    speed: u32,
    /// When the pace changed last: by the other clock, and by this one.
    since: RefCell<(Duration, Duration)>,
    held: Cell<usize>,
    changed: Notify,
}

impl Paced {
    /// `speed` is how many of its seconds go into one of the other clock.
    pub fn new(real: Rc<dyn World>, speed: u32) -> Paced {
        let since = RefCell::new((real.now(), Duration::ZERO));
        Paced { real, speed: speed.max(1), since, held: Cell::new(0), changed: Notify::new() }
    }

    /// Time goes as it really does, for as long as what comes back is kept.
    pub fn hold(&self) -> Held<'_> {
        self.turn(1);
        Held(self)
    }

    fn turn(&self, by: isize) {
        let now = self.now();
        self.held.set(self.held.get().saturating_add_signed(by));
        *self.since.borrow_mut() = (self.real.now(), now);
        self.changed.notify_waiters();
    }

    fn pace(&self) -> u32 {
        if self.held.get() > 0 { 1 } else { self.speed }
    }
}

/// Time goes as it really does until this is dropped.
pub struct Held<'a>(&'a Paced);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.turn(-1);
    }
}

impl Clock for Paced {
    fn now(&self) -> Duration {
        let (real, own) = *self.since.borrow();
        own.saturating_add(self.real.now().saturating_sub(real).saturating_mul(self.pace()))
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Local<'a, ()> {
        let until = self.now().saturating_add(duration);
        Box::pin(async move {
            let never = Cancel::new();
            loop {
                let changed = self.changed.notified();
                let left = until.saturating_sub(self.now());
                if left.is_zero() {
                    return;
                }
                // Rounded up, lest it wakes a moment too early again and again.
                let wait = (left / self.pace()).saturating_add(Duration::from_nanos(1));
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.real.sleep(wait, &never) => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worlds::scenario::{Driven, ScenarioWorld, Script, Simulated, Stage, clock::drive};

    /// Another clock that is simulated, with what is made of it.
    fn timed(speed: u32, work: impl AsyncFnOnce(&Paced, &Simulated)) {
        let clock = Rc::new(Simulated::default());
        let stage = Rc::new(Stage::new(Script::default(), Rc::clone(&clock) as Rc<_>));
        let paced = Paced::new(Rc::new(ScenarioWorld::new(Rc::clone(&stage))), speed);
        drive(&Driven { stage: &stage, clock: &clock }, work(&paced, &clock)).unwrap();
    }

    #[test]
    fn an_hour_at_3600_is_a_second() {
        timed(3600, async |paced, real| {
            paced.sleep(Duration::from_secs(3600)).await;
            assert!(paced.now() >= Duration::from_secs(3600));
            let took = real.now();
            assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1001), "{took:?}");
        });
    }

    #[test]
    fn while_it_is_held_time_goes_as_it_does_also_for_those_who_sleep() {
        timed(60, async |paced, real| {
            let sleeper = async {
                paced.sleep(Duration::from_secs(120)).await;
                real.now()
            };
            let person = async {
                real.sleep(Duration::from_secs(1)).await;
                let held = paced.hold();
                real.sleep(Duration::from_secs(30)).await;
                drop(held);
            };
            let (woke, ()) = futures_util::future::join(sleeper, person).await;
            // A minute in the first second, half a minute at the question, half a minute in half a second.
            let wanted = Duration::from_millis(31_500);
            assert!(woke >= wanted && woke < wanted + Duration::from_millis(1), "{woke:?}");
            assert!(paced.now() >= Duration::from_secs(120));
        });
    }
}
