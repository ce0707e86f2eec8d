//! What one attempt of a step may do, with its intents on record and its output masked and kept. Judges nothing.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};

use super::{Engine, publish::millis};
use crate::{
    event::{Effect, Event, Progress, RedactStream, StepId, Stream},
    port::{
        Cancel, HttpReply, HttpRequest, Local, Output, OutputLog, OutputSummary, ProcessReport, ProcessRequest,
        Question, Reply, SendError, StepContext, StepError, WorldError,
    },
    value::Scope,
};

/// One attempt of one step.
pub struct Attempt<'e, 'a> {
    engine: &'e Engine<'a>,
    step: StepId,
    attempt: u32,
    scope: Scope,
    cancel: Cancel,
    /// Effects so far.
    number: Cell<u32>,
    /// Only looks from here on, by `verify`.
    looks: Cell<bool>,
    log: RefCell<Option<Box<dyn OutputLog>>>,
    /// There was output, whether or not it could be kept.
    wrote: Cell<bool>,
    /// An intent is on record, so that something may have been done.
    begun: Cell<bool>,
    /// The end of the masked output, for menus and messages.
    tail: RefCell<Tail>,
    /// Output that waits until the secret in it is known.
    held: RefCell<Option<Held>>,
}

/// Output of a step that captures a secret from it: until then nobody knows what to mask.
#[derive(Default)]
struct Held {
    parts: Vec<(Stream, Vec<u8>)>,
    omitted: u64,
}

/// What is held of one attempt's output at most; what captures a secret has little to say.
const HELD: usize = 4 * 1024 * 1024;

impl<'e, 'a> Attempt<'e, 'a> {
    pub fn new(engine: &'e Engine<'a>, step: &StepId, attempt: u32, scope: Scope) -> Attempt<'e, 'a> {
        Attempt {
            engine,
            step: step.clone(),
            attempt,
            scope,
            cancel: Cancel::new(),
            number: Cell::new(0),
            looks: Cell::new(false),
            log: RefCell::new(None),
            wrote: Cell::new(false),
            begun: Cell::new(false),
            tail: RefCell::new(Tail::default()),
            held: RefCell::new(None),
        }
    }

    /// From here on output is held back until [`Attempt::release`].
    pub fn hold(&self) {
        self.held.replace(Some(Held::default()));
    }

    /// Shows and keeps what was held back, masked anew, or does neither. Tells how many bytes are lost.
    pub fn release(&self, show: bool) -> u64 {
        let Some(held) = self.held.take() else { return 0 };
        if !show {
            return held.omitted + held.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        }
        for (stream, bytes) in &held.parts {
            self.write(&self.engine.publisher.redactor().bytes(bytes), *stream);
        }
        held.omitted
    }

    /// Makes the output durable and tells its digest. Where that fails nothing new starts, and the end of the attempt
    /// is still to be recorded, as far as anything can be.
    pub fn commit(&self) -> OutputSummary {
        let mut log = self.log.borrow_mut();
        match log.as_mut().map(|log| log.commit()) {
            None => OutputSummary { lost: self.wrote.get(), ..OutputSummary::default() },
            Some(Ok(summary)) => summary,
            Some(Err(error)) => {
                self.engine.publisher.poison(error);
                OutputSummary { lost: true, ..OutputSummary::default() }
            }
        }
    }

    pub fn tail(&self) -> Vec<String> {
        self.tail.borrow().lines()
    }

    /// Whether anything may have been done.
    pub fn begun(&self) -> bool {
        self.begun.get()
    }

    /// What is performed from here on is a look at the effect and not the effect: its end must never be found in the
    /// place where the end of the step is looked for.
    pub fn only_looks(&self) {
        self.looks.set(true);
    }

    fn write(&self, bytes: &[u8], stream: Stream) {
        if bytes.is_empty() {
            return;
        }
        if let Some(held) = self.held.borrow_mut().as_mut() {
            return held.push(bytes, stream);
        }
        self.tail.borrow_mut().push(bytes);
        self.wrote.set(true);
        let mut log = self.log.borrow_mut();
        if log.is_none() {
            match self.engine.journal.output(&self.step, self.attempt) {
                Ok(opened) => *log = Some(opened),
                Err(error) => return self.engine.publisher.poison(error),
            }
        }
        if let Some(log) = log.as_mut()
            && let Err(error) = log.write(bytes)
        {
            self.engine.publisher.poison(error);
        }
        self.engine.publisher.progress(&Progress::Output { step: self.step.clone(), stream, bytes: bytes.to_vec() });
    }

    /// A person looks at what it writes: the beginning of what might become a secret is not held back for ever.
    async fn watched<T>(&self, running: impl Future<Output = T>, keeper: &Keeper<'_, '_, '_>) -> T {
        let mut running = std::pin::pin!(running);
        let never = Cancel::new();
        loop {
            tokio::select! {
                biased;
                ended = &mut running => return ended,
                () = self.engine.world.sleep(LULL, &never) => keeper.idle(),
            }
        }
    }

    async fn intend(&self, effect: Effect, detail: String) -> Result<u32, StepError> {
        let number = self.number.get() + 1;
        self.number.set(number);
        self.engine
            .publisher
            .publish(Event::EffectIntended {
                step: self.step.clone(),
                attempt: self.attempt,
                number,
                effect,
                detail: shorten(detail),
            })
            .await?;
        self.begun.set(true);
        Ok(number)
    }
}

impl Held {
    /// Each stream as a whole, so that no border between pieces can hide a secret.
    fn push(&mut self, bytes: &[u8], stream: Stream) {
        let room = HELD.saturating_sub(self.parts.iter().map(|(_, bytes)| bytes.len()).sum());
        let taken = &bytes[..bytes.len().min(room)];
        self.omitted += (bytes.len() - taken.len()) as u64;
        match self.parts.iter_mut().find(|(of, _)| *of == stream) {
            Some((_, whole)) => whole.extend_from_slice(taken),
            None => self.parts.push((stream, taken.to_vec())),
        }
    }
}

impl StepContext for Attempt<'_, '_> {
    fn step(&self) -> &StepId {
        &self.step
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn perform_process<'b>(
        &'b self,
        effect: Effect,
        mut request: ProcessRequest,
        max_output: u64,
        detail: String,
    ) -> Local<'b, Result<Option<Result<ProcessReport, WorldError>>, StepError>> {
        Box::pin(async move {
            request.number = self.intend(effect, detail).await?;
            request.step = self.step.clone();
            request.attempt = self.attempt;
            request.record_dir = self.engine.journal.step_dir().filter(|_| !self.looks.get());
            let keeper = Keeper::new(self, max_output);
            let running = self.engine.world.run(&request, &keeper, &self.cancel);
            let ended = if request.tty { self.watched(running, &keeper).await } else { running.await };
            let (stdout, stderr, truncated) = keeper.finish();
            Ok(match ended {
                Ok(None) => None,
                Ok(Some(end)) => Some(Ok(ProcessReport { end, stdout, stderr, truncated })),
                Err(error) => Some(Err(error)),
            })
        })
    }

    fn perform_http<'b>(
        &'b self,
        effect: Effect,
        request: HttpRequest,
        detail: String,
    ) -> Local<'b, Result<Option<Result<HttpReply, SendError>>, StepError>> {
        Box::pin(async move {
            self.intend(effect, detail).await?;
            let answered = self.engine.world.send(&request, &self.cancel).await;
            Ok(match answered {
                Ok(None) => None,
                Ok(Some(reply)) => {
                    let text = self.engine.publisher.redactor().bytes(&reply_text(&request, &reply));
                    self.write(&text, Stream::Stdout);
                    Some(Ok(reply))
                }
                Err(error) => Some(Err(error)),
            })
        })
    }

    fn ask<'b>(&'b self, question: Question) -> Local<'b, Result<Reply, StepError>> {
        Box::pin(async move { self.engine.ask(question).await.map(|(reply, _)| reply) })
    }

    fn sleep<'b>(&'b self, duration: Duration) -> Local<'b, ()> {
        self.engine.world.sleep(duration, &self.cancel)
    }

    fn now(&self) -> Duration {
        self.engine.world.now()
    }

    fn wall(&self) -> jiff::Timestamp {
        self.engine.world.wall()
    }

    fn progress(&self, progress: Progress) {
        let progress = match progress {
            Progress::Poll { step, polls, elapsed_ms, limit_ms, answer } => {
                let answer = self.engine.publisher.redactor().text(&answer).into_owned();
                Progress::Poll { step, polls, elapsed_ms, limit_ms, answer }
            }
            // Output comes through `write` alone, which masks it.
            Progress::Output { .. } => return,
        };
        self.engine.publisher.progress(&progress);
    }

    fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// Takes what a process writes: raw for the result, up to a limit; masked for everything else.
struct Keeper<'k, 'e, 'a> {
    attempt: &'k Attempt<'e, 'a>,
    inner: RefCell<Kept>,
    limit: usize,
}

struct Kept {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
    streams: [(Stream, RedactStream); 3],
    masked: Vec<u8>,
    /// Something came since the last look.
    busy: bool,
}

/// How long nothing must come before what is held back is looked at.
const LULL: Duration = Duration::from_millis(60);

impl<'k, 'e, 'a> Keeper<'k, 'e, 'a> {
    fn new(attempt: &'k Attempt<'e, 'a>, max_output: u64) -> Keeper<'k, 'e, 'a> {
        let redactor = attempt.engine.publisher.redactor();
        let streams = [Stream::Stdout, Stream::Stderr, Stream::Terminal].map(|stream| (stream, redactor.stream()));
        let inner =
            Kept { stdout: Vec::new(), stderr: Vec::new(), truncated: false, streams, masked: Vec::new(), busy: false };
        Keeper { attempt, inner: RefCell::new(inner), limit: usize::try_from(max_output).unwrap_or(usize::MAX) }
    }

    /// Called now and then: shows what is held if nothing came since the last time.
    fn idle(&self) {
        let mut kept = self.inner.borrow_mut();
        let kept = &mut *kept;
        if std::mem::take(&mut kept.busy) {
            return;
        }
        for (stream, redact) in &mut kept.streams {
            kept.masked.clear();
            redact.idle(&mut kept.masked);
            self.attempt.write(&kept.masked, *stream);
        }
    }

    fn finish(self) -> (Vec<u8>, Vec<u8>, bool) {
        let mut kept = self.inner.into_inner();
        for (stream, redact) in &mut kept.streams {
            kept.masked.clear();
            redact.finish(&mut kept.masked);
            self.attempt.write(&kept.masked, *stream);
        }
        (kept.stdout, kept.stderr, kept.truncated)
    }
}

impl Output for Keeper<'_, '_, '_> {
    fn chunk(&self, stream: Stream, bytes: &[u8]) {
        let mut kept = self.inner.borrow_mut();
        let kept = &mut *kept;
        kept.busy = true;
        let raw = if stream == Stream::Stderr { &mut kept.stderr } else { &mut kept.stdout };
        let room = self.limit.saturating_sub(raw.len());
        raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
        kept.truncated |= bytes.len() > room;
        for (of, redact) in &mut kept.streams {
            if *of == stream {
                kept.masked.clear();
                redact.push(bytes, &mut kept.masked);
                self.attempt.write(&kept.masked, stream);
            }
        }
    }
}

/// The last lines of an output, bounded.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    const KEEP: usize = 8 * 1024;

    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(Self::KEEP)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(Self::KEEP);
        self.bytes.drain(..over.min(self.bytes.len()));
        self.bytes.extend(bytes);
    }

    fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<String> = text.lines().rev().take(20).map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

/// A reply as it stands in the output log of its step.
fn reply_text(request: &HttpRequest, reply: &HttpReply) -> Vec<u8> {
    let mut text = format!("{} {}\n{} after {} ms\n", request.method, reply.url, reply.status, millis(reply.elapsed));
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push('\n');
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&reply.body);
    if !reply.body.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}

/// An intent is for reading; a script of megabytes is on record as the runbook's bytes already.
fn shorten(detail: String) -> String {
    const LIMIT: usize = 16 * 1024;
    if detail.len() <= LIMIT {
        return detail;
    }
    let mut end = LIMIT;
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes in all)", &detail[..end], detail.len())
}
