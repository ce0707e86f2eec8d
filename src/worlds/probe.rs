//! The world of a probe: another one, of which it lets through what only reads. Knows nothing of what a step means.

use std::{cell::RefCell, collections::HashMap, path::PathBuf, time::Duration};

use crate::{
    event::{Effect, StepId},
    port::{
        Cancel, Deeds, HttpReply, HttpRequest, Local, Output, ProcessEnd, ProcessRequest, SecretSource, SendError,
        World, WorldError,
    },
    value::Secret,
};

/// Looks, and answers "nothing was performed" to everything else.
///
/// What a process that is said to read does in truth is not its business; what would need a terminal, leave something
/// running or write a file here is refused whatever is said of it.
pub struct ProbeWorld<'w> {
    inner: &'w dyn World,
    refused: RefCell<HashMap<StepId, &'static str>>,
}

impl<'w> ProbeWorld<'w> {
    pub fn new(inner: &'w dyn World) -> ProbeWorld<'w> {
        ProbeWorld { inner, refused: RefCell::default() }
    }

    /// Why this step, which is said to read, was not looked at.
    pub fn refused(&self, step: &StepId) -> Option<&'static str> {
        self.refused.borrow().get(step).copied()
    }

    fn lets(&self, step: &StepId, effect: Effect, against: Option<&'static str>) -> bool {
        if let Some(why) = against {
            self.refused.borrow_mut().insert(step.clone(), why);
        }
        effect == Effect::Read && against.is_none()
    }
}

impl World for ProbeWorld<'_> {
    fn run<'a>(
        &'a self,
        request: &'a ProcessRequest,
        output: &'a dyn Output,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>> {
        let against = match (request.tty, request.daemon) {
            (true, _) => Some("it has the terminal to itself, and nobody is there"),
            (_, true) => Some("it leaves something running"),
            _ => None,
        };
        if self.lets(&request.step, request.effect, against) {
            return self.inner.run(request, output, cancel);
        }
        Box::pin(std::future::ready(Ok(None)))
    }

    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<HttpReply>, SendError>> {
        let against = request.save.is_some().then_some("it writes its answer into a file");
        if self.lets(&request.step, request.effect, against) {
            return self.inner.send(request, cancel);
        }
        Box::pin(std::future::ready(Ok(None)))
    }

    fn deeds(&self) -> Deeds {
        Deeds::Looks
    }

    fn now(&self) -> Duration {
        self.inner.now()
    }

    fn wall(&self) -> jiff::Timestamp {
        self.inner.wall()
    }

    fn sleep<'a>(&'a self, duration: Duration, cancel: &'a Cancel) -> Local<'a, ()> {
        self.inner.sleep(duration, cancel)
    }

    fn secret<'a>(&'a self, source: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>> {
        self.inner.secret(source)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.inner.variable(name)
    }

    fn tool(&self, name: &str) -> Option<PathBuf> {
        self.inner.tool(name)
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}
