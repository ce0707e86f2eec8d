//! The simulated world as one engine sees it. Knows nothing of disks, and ends for its engine at a moment that can be chosen.

use std::{
    cell::{Cell, Ref, RefCell, RefMut},
    collections::BTreeMap,
    future::poll_fn,
    path::{Path, PathBuf},
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use runsheet::{
    event::StepId,
    port::{
        Cancel, HttpReply, HttpRequest, LeftBehind, Local, Output, ProcessEnd, ProcessRequest, SecretSource, SendError,
        World, WorldError,
    },
    value::Secret,
    worlds::scenario::clock::{Alarms, Timeline},
};

use super::{
    facts::{End, Facts, Kind, Start, canary},
    script,
};

pub struct SimWorld {
    facts: RefCell<Facts>,
    alarms: Rc<Alarms>,
    waiting: RefCell<BTreeMap<usize, Vec<Waker>>>,
    /// This engine's clock began then.
    began: Duration,
    /// At this moment, counted from the beginning of this engine, the program dies.
    dies_at: Option<u64>,
    dead: Cell<bool>,
    /// Whether the machine has stopped for another reason.
    halted: Box<dyn Fn() -> bool>,
    /// Called at every moment, when it has happened.
    each: Box<dyn Fn()>,
    /// Called in the moment of its death, while everything still is as it was.
    last: Box<dyn Fn()>,
    first_moment: u64,
    /// A world that forgets what an earlier engine left: for the tests of the tests.
    forgetful: bool,
}

impl SimWorld {
    pub fn new(mut facts: Facts, dies_at: Option<u64>, halted: Box<dyn Fn() -> bool>) -> SimWorld {
        facts.began();
        SimWorld {
            alarms: Rc::default(),
            waiting: RefCell::default(),
            began: facts.now,
            dies_at,
            dead: Cell::new(false),
            halted,
            each: Box::new(|| ()),
            last: Box::new(|| ()),
            first_moment: facts.moments,
            forgetful: false,
            facts: RefCell::new(facts),
        }
    }

    pub fn at_each_moment(mut self, each: Box<dyn Fn()>) -> SimWorld {
        self.each = each;
        self
    }

    pub fn at_the_last(mut self, last: Box<dyn Fn()>) -> SimWorld {
        self.last = last;
        self
    }

    pub fn forgetful(mut self, forgetful: bool) -> SimWorld {
        self.forgetful = forgetful;
        self
    }

    pub fn facts(&self) -> Ref<'_, Facts> {
        self.facts.borrow()
    }

    pub fn facts_mut(&self) -> RefMut<'_, Facts> {
        self.facts.borrow_mut()
    }

    /// Whether the program was killed by a moment.
    pub fn died(&self) -> bool {
        self.dead.get()
    }

    /// Moments since this engine began.
    pub fn moments(&self) -> u64 {
        self.facts.borrow().moments - self.first_moment
    }

    /// Something happened; perhaps it was the last.
    fn moment(&self) {
        if self.dies_at.is_some_and(|last| self.moments() > last) {
            if !self.dead.replace(true) {
                (self.last)();
            }
        } else {
            (self.each)();
        }
    }

    fn wake(&self, process: usize) {
        let waiting = self.waiting.borrow_mut().remove(&process).unwrap_or_default();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// What is asked of the world by a program that is dead already comes to nothing.
    async fn alive(&self) {
        if self.stopped() {
            std::future::pending::<()>().await;
        }
    }

    async fn begin(
        &self,
        request: (&StepId, u32, u32),
        kind: Kind,
        text: &str,
        env: &[(String, String)],
        timeout: Option<Duration>,
    ) -> usize {
        self.alive().await;
        let acts = script::parse(text, env);
        let (step, attempt, number) = request;
        let effects = script::effects(&acts);
        let index = {
            let mut facts = self.facts.borrow_mut();
            let session = facts.session;
            facts.start(Start { step: step.to_string(), attempt, number, session, effects }, kind, acts, timeout)
        };
        self.moment();
        self.alive().await;
        index
    }

    /// Waits until a process has ended, and hands on what it says meanwhile.
    async fn ended(&self, process: usize, output: Option<&dyn Output>) -> End {
        let mut told = 0;
        poll_fn(|cx| {
            let (fresh, end) = {
                let facts = self.facts.borrow();
                let process = &facts.processes[process];
                let end = process.end.clone().or(process.parted.clone().map(End::Ended));
                (process.out[told..].to_vec(), end)
            };
            told += fresh.len();
            if let Some(output) = output {
                for (stream, bytes) in fresh {
                    output.chunk(stream, &bytes);
                }
            }
            match end {
                Some(end) => Poll::Ready(end),
                None => {
                    self.waiting.borrow_mut().entry(process).or_default().push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn terminate(&self, process: usize) {
        if self.facts.borrow().processes[process].end.is_none() {
            let end = ProcessEnd { signal: Some(15), cancelled: true, ..ProcessEnd::default() };
            self.facts.borrow_mut().end(process, end);
            self.wake(process);
        }
    }

    /// Sleeps by the world's own clock.
    pub async fn pause(&self, duration: Duration) {
        let until = self.facts.borrow().now + duration;
        self.alarms.until(until, || self.facts.borrow().now).await;
    }
}

impl Timeline for SimWorld {
    fn next(&self) -> Option<Duration> {
        self.facts.borrow().next().into_iter().chain(self.alarms.first()).min()
    }

    fn arrive(&self, at: Duration) {
        if self.facts.borrow().next().is_some_and(|next| next <= at) {
            let process = self.facts.borrow_mut().happen();
            self.moment();
            if !self.dead.get() {
                self.wake(process);
            }
        } else {
            self.facts.borrow_mut().now = at;
            self.alarms.ring(at);
        }
    }

    fn stopped(&self) -> bool {
        self.dead.get() || (self.halted)()
    }
}

impl World for SimWorld {
    fn run<'a>(
        &'a self,
        request: &'a ProcessRequest,
        output: &'a dyn Output,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>> {
        Box::pin(async move {
            let text = request.argv.last().expect("a script");
            let kind = if request.record_dir.is_some() { Kind::Step } else { Kind::Look };
            let which = (&request.step, request.attempt, request.number);
            let process = self.begin(which, kind, text, &request.env, request.timeout).await;
            let mut ended = std::pin::pin!(self.ended(process, Some(output)));
            let end = tokio::select! {
                biased;
                end = &mut ended => end,
                _ = cancel.above(0) => {
                    self.terminate(process);
                    ended.await
                }
            };
            match end {
                End::Ended(end) => Ok(Some(end)),
                End::Lost => Err(WorldError::Lost("its supervisor is gone".into())),
            }
        })
    }

    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<HttpReply>, SendError>> {
        Box::pin(async move {
            let text = request.url.path().replace('/', " ");
            let header = |wanted: &str| request.headers.iter().find(|(name, _)| name == wanted).map(|(_, text)| text);
            let step = StepId::new(header("x-step").expect("a request says whose it is"));
            // Nobody tells a request its attempt: it is that of the latest intent, which the checks hold against it.
            let process = self.begin((&step, 0, 0), Kind::Remote, text.trim(), &[], None).await;
            let began = self.facts.borrow().now;
            let end = tokio::select! {
                biased;
                end = self.ended(process, None) => end,
                _ = cancel.above(0) => End::Lost,
                () = self.pause(request.timeout) => End::Lost,
            };
            let End::Ended(ProcessEnd { exit: Some(exit), .. }) = end else {
                return Err(SendError::Lost("the connection was closed".into()));
            };
            let said = self.facts.borrow().processes[process].out.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            Ok(Some(HttpReply {
                status: match exit {
                    0 => 200,
                    1 => 404,
                    other => u16::try_from(other).expect("a status"),
                },
                headers: Vec::new(),
                body: said,
                truncated: false,
                url: request.url.to_string(),
                elapsed: self.facts.borrow().now - began,
            }))
        })
    }

    fn now(&self) -> Duration {
        self.facts.borrow().now - self.began
    }

    fn wall(&self) -> jiff::Timestamp {
        let start: jiff::Timestamp = "2026-11-20T20:13:04.123456Z".parse().unwrap();
        let facts = self.facts.borrow();
        // Each boot finds the clock of the machine a minute further behind: nothing may depend on it.
        let behind = jiff::SignedDuration::from_mins(i64::from(facts.session));
        start + jiff::SignedDuration::try_from(facts.now).unwrap() - behind
    }

    fn sleep<'a>(&'a self, duration: Duration, cancel: &'a Cancel) -> Local<'a, ()> {
        Box::pin(async move {
            tokio::select! {
                biased;
                _ = cancel.above(0) => {}
                () = self.pause(duration) => {}
            }
        })
    }

    fn secret<'a>(&'a self, source: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>> {
        let SecretSource::Env(name) = source else { panic!("simulated secrets stand in variables") };
        self.facts.borrow_mut().told.insert(name.clone());
        Box::pin(std::future::ready(Ok(Some(Secret::new(canary(name))))))
    }

    fn variable(&self, name: &str) -> Option<String> {
        name.starts_with("SIM_").then(|| canary(name))
    }

    fn tool(&self, _name: &str) -> Option<PathBuf> {
        None
    }

    fn random(&self) -> u64 {
        u64::from(self.facts.borrow().session)
    }

    fn left_behind(&self, _record_dir: &Path, step: &StepId, attempt: u32) -> LeftBehind {
        let facts = self.facts.borrow();
        match (facts.left(step.as_str(), attempt), facts.exit_of(step.as_str(), attempt)) {
            _ if self.forgetful => LeftBehind::Nothing,
            (Some(left), Some(record)) if facts.processes[left].parted.is_some() => LeftBehind::Daemon(record),
            (Some(_), _) => LeftBehind::Running,
            (None, Some(record)) => LeftBehind::Ended(record),
            (None, None) => LeftBehind::Nothing,
        }
    }

    fn settle_left_behind<'a>(
        &'a self,
        record_dir: &'a Path,
        step: &'a StepId,
        attempt: u32,
        end_it: bool,
        cancel: &'a Cancel,
    ) -> Local<'a, LeftBehind> {
        Box::pin(async move {
            self.alive().await;
            let left = self.facts.borrow().left(step.as_str(), attempt);
            if let Some(process) = left {
                if end_it {
                    self.terminate(process);
                }
                // What it left running is not waited for.
                tokio::select! {
                    biased;
                    _ = self.ended(process, None) => {}
                    _ = cancel.above(0) => {}
                }
            }
            self.left_behind(record_dir, step, attempt)
        })
    }
}
