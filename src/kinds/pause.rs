//! The task of `wait: 30s`: time that passes. Knows nothing of what is waited for.

use std::time::Duration;

use crate::{
    event::{Progress, StepStatus},
    port::{Failure, Local, StepContext, StepError, StepReport, Task},
};

pub(super) struct PauseTask {
    pub duration: Duration,
}

impl Task for PauseTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let began = cx.now();
            loop {
                let elapsed = cx.now().saturating_sub(began);
                cx.progress(Progress::Poll {
                    step: cx.step().clone(),
                    polls: 0,
                    elapsed_ms: millis(elapsed),
                    limit_ms: millis(self.duration),
                    answer: String::new(),
                });
                if cx.cancel().level() > 0 {
                    return Ok(StepReport::failed(Failure::plain("it was interrupted")));
                }
                let left = self.duration.saturating_sub(elapsed);
                if left.is_zero() {
                    return Ok(StepReport::of(StepStatus::Succeeded));
                }
                // In pieces, so that the operator sees it move; where time does not pass, once is enough.
                let before = cx.now();
                cx.sleep(left.min(Duration::from_secs(1))).await;
                if cx.now().saturating_sub(before) < Duration::from_millis(1) && cx.cancel().level() == 0 {
                    return Ok(StepReport::of(StepStatus::Succeeded));
                }
            }
        })
    }
}

/// A duration in the journal.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
