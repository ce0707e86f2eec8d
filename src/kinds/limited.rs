//! A step's context with a deadline: nothing that is begun through it lasts longer. Knows nothing of what is begun.

use std::time::Duration;

use crate::{
    event::{Effect, Progress, StepId},
    port::{
        Cancel, HttpReply, HttpRequest, Local, ProcessReport, ProcessRequest, Question, Reply, Sample, SendError,
        StepContext, StepError, WorldError,
    },
    value::Scope,
};

/// Everything of `cx`, and no single process or request longer than `limit`.
pub(super) struct Limited<'a> {
    pub cx: &'a dyn StepContext,
    pub limit: Duration,
}

impl StepContext for Limited<'_> {
    fn step(&self) -> &StepId {
        self.cx.step()
    }

    fn attempt(&self) -> u32 {
        self.cx.attempt()
    }

    fn perform_process<'a>(
        &'a self,
        effect: Effect,
        request: ProcessRequest,
        max_output: u64,
        detail: String,
    ) -> Local<'a, Result<Option<Result<ProcessReport, WorldError>>, StepError>> {
        self.cx.perform_process(effect, request, max_output, detail)
    }

    fn perform_http<'a>(
        &'a self,
        effect: Effect,
        request: HttpRequest,
        detail: String,
    ) -> Local<'a, Result<Option<Result<HttpReply, SendError>>, StepError>> {
        self.cx.perform_http(effect, request, detail)
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.limit)
    }

    fn looks_once(&self) -> bool {
        self.cx.looks_once()
    }

    fn ask<'a>(&'a self, question: Question) -> Local<'a, Result<Reply, StepError>> {
        self.cx.ask(question)
    }

    fn sleep<'a>(&'a self, duration: Duration) -> Local<'a, ()> {
        self.cx.sleep(duration)
    }

    fn now(&self) -> Duration {
        self.cx.now()
    }

    fn wall(&self) -> jiff::Timestamp {
        self.cx.wall()
    }

    fn progress(&self, progress: Progress) {
        self.cx.progress(progress);
    }

    fn sample<'a>(&'a self, sample: Sample) -> Local<'a, Result<(), StepError>> {
        self.cx.sample(sample)
    }

    fn only_looks(&self) {
        self.cx.only_looks();
    }

    fn left_runs(&self) -> bool {
        self.cx.left_runs()
    }

    fn cancel(&self) -> &Cancel {
        self.cx.cancel()
    }

    fn scope(&self) -> &Scope {
        self.cx.scope()
    }
}
