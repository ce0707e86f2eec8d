//! The world of a plan: tells the time, looks for tools, performs nothing. Knows nothing of what a step means.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::real::lookup;
use crate::{
    port::{
        Cancel, Deeds, HttpReply, HttpRequest, Local, Output, ProcessEnd, ProcessRequest, SecretSource, SendError,
        World, WorldError,
    },
    value::Secret,
};

/// Answers "nothing was performed" to everything: no process, no connection, no secret, no file.
pub struct DryWorld {
    began: Instant,
}

impl DryWorld {
    pub fn new() -> DryWorld {
        DryWorld { began: Instant::now() }
    }
}

impl Default for DryWorld {
    fn default() -> DryWorld {
        DryWorld::new()
    }
}

impl World for DryWorld {
    fn run<'a>(
        &'a self,
        _: &'a ProcessRequest,
        _: &'a dyn Output,
        _: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn send<'a>(&'a self, _: &'a HttpRequest, _: &'a Cancel) -> Local<'a, Result<Option<HttpReply>, SendError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn deeds(&self) -> Deeds {
        Deeds::Nothing
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep<'a>(&'a self, _: Duration, _: &'a Cancel) -> Local<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn secret<'a>(&'a self, _: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn variable(&self, name: &str) -> Option<String> {
        lookup::variable(name)
    }

    fn tool(&self, name: &str) -> Option<PathBuf> {
        lookup::tool(name)
    }

    fn random(&self) -> u64 {
        // Two plans of the same file must be the same.
        0x5eed_5eed_5eed_5eed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_waited_for_and_tools_are_found() {
        let world = DryWorld::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            world.sleep(Duration::from_secs(86_400), &Cancel::new()).await;
            assert!(world.secret(&SecretSource::Command(vec!["false".into()])).await.unwrap().is_none());
        });
        assert!(world.tool("sh").is_some());
        assert!(world.tool("no-such-tool-anywhere").is_none());
    }
}
