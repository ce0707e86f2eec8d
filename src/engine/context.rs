//! What one attempt of a step may do, with its intents on record and its output masked and kept. Judges nothing.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    time::Duration,
};

use super::{Engine, publish::millis, signals::Turn};
use crate::{
    event::{Effect, Event, Progress, RedactStream, Redactor, StepId, Stream},
    port::{
        Cancel, HttpReply, HttpRequest, Local, Output, OutputLog, OutputSummary, ProcessReport, ProcessRequest,
        Question, Reply, Sample, SendError, StepContext, StepError, WorldError,
    },
    text::CUT,
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
    /// What it was about to do so far, each once.
    intents: RefCell<Vec<String>>,
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
    /// What it would be performed beside is not there.
    alone: Cell<bool>,
    /// Nobody saw its end, and `verify` found that it had no effect.
    no_effect: Cell<bool>,
}

/// Output of a step that captures a secret from it: until then nobody knows what to mask.
#[derive(Default)]
struct Held {
    parts: Vec<Part>,
    omitted: u64,
}

/// One stream as a whole, so that no border between pieces can hide a secret.
struct Part {
    stream: Stream,
    bytes: Vec<u8>,
    /// Its end is missing.
    cut: bool,
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
            intents: RefCell::new(Vec::new()),
            looks: Cell::new(false),
            log: RefCell::new(None),
            wrote: Cell::new(false),
            begun: Cell::new(false),
            tail: RefCell::new(Tail::default()),
            held: RefCell::new(None),
            alone: Cell::new(false),
            no_effect: Cell::new(false),
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
            return held.omitted + held.parts.iter().map(|part| part.bytes.len() as u64).sum::<u64>();
        }
        let mut lost = held.omitted;
        for part in &held.parts {
            let (masked, dropped) = part.masked(self.engine.publisher.redactor());
            self.write(&masked, part.stream);
            lost += dropped;
        }
        lost
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

    /// From here on nothing is performed.
    pub fn does_nothing(&self) {
        self.alone.set(true);
    }

    /// To be told when its end is put on record.
    pub fn had_no_effect(&self) {
        self.no_effect.set(true);
    }

    pub fn is_without_effect(&self) -> bool {
        self.no_effect.get()
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

    /// What was shown is in the log as well, even if this program is killed: whoever resumes the run decides by it.
    fn hand_over(&self) {
        if let Some(log) = self.log.borrow_mut().as_mut()
            && let Err(error) = log.hand_over()
        {
            self.engine.publisher.poison(error);
        }
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

    /// What is recorded of an intent: in full the first time. A wait looks again and again for days, and what it does is
    /// on record by then.
    fn intent(&self, detail: String) -> String {
        let mut intents = self.intents.borrow_mut();
        if intents.contains(&detail) || intents.len() >= INTENTS {
            return as_before(&detail);
        }
        intents.push(detail.clone());
        shorten(detail)
    }

    /// A step that asks for the terminal has it to itself: it waits for it as a question does.
    async fn seat_for(&self, request: &ProcessRequest) -> Result<Option<Turn<'_>>, StepError> {
        if !request.tty || !self.engine.operator.attended() {
            return Ok(None);
        }
        let signals = &self.engine.signals;
        let seat = tokio::select! {
            biased;
            why = signals.stopped() => return Err(StepError::Paused(why)),
            seat = signals.take_seat(&self.step) => seat,
        };
        self.engine.publisher.progress(&Progress::Seat { step: Some(self.step.clone()) });
        Ok(Some(seat))
    }

    async fn intend(&self, effect: Effect, detail: String) -> Result<u32, StepError> {
        let number = self.number.get() + 1;
        self.number.set(number);
        let detail = self.intent(detail);
        self.engine
            .publisher
            .publish(Event::EffectIntended { step: self.step.clone(), attempt: self.attempt, number, effect, detail })
            .await?;
        self.begun.set(true);
        Ok(number)
    }
}

impl Held {
    fn push(&mut self, bytes: &[u8], stream: Stream) {
        let room = HELD.saturating_sub(self.parts.iter().map(|part| part.bytes.len()).sum());
        let taken = &bytes[..bytes.len().min(room)];
        let cut = taken.len() < bytes.len();
        self.omitted += (bytes.len() - taken.len()) as u64;
        match self.parts.iter_mut().find(|part| part.stream == stream) {
            Some(part) => {
                part.bytes.extend_from_slice(taken);
                part.cut |= cut;
            }
            None => self.parts.push(Part { stream, bytes: taken.to_vec(), cut }),
        }
    }
}

impl Part {
    /// What of it may be shown, and how many bytes at its end may not: where it was cut they may begin a secret.
    fn masked(&self, redactor: &Redactor) -> (Vec<u8>, u64) {
        if !self.cut {
            return (redactor.bytes(&self.bytes), 0);
        }
        let mut masked = Vec::new();
        let mut stream = redactor.stream();
        stream.push(&self.bytes, &mut masked);
        (masked, stream.held() as u64)
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
            if self.alone.get() {
                return Ok(None);
            }
            let seat = self.seat_for(&request).await?;
            request.number = self.intend(effect, detail).await?;
            request.effect = effect;
            request.step = self.step.clone();
            request.attempt = self.attempt;
            request.looks = self.looks.get();
            request.record_dir = self.engine.journal.step_dir().filter(|_| !self.looks.get());
            let keeper = Keeper::new(self, max_output, seat);
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
        mut request: HttpRequest,
        detail: String,
    ) -> Local<'b, Result<Option<Result<HttpReply, SendError>>, StepError>> {
        Box::pin(async move {
            if self.alone.get() {
                return Ok(None);
            }
            self.intend(effect, detail).await?;
            request.step = self.step.clone();
            request.effect = effect;
            request.attempt = self.attempt;
            request.looks = self.looks.get();
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

    fn looks_once(&self) -> bool {
        self.engine.only_looks()
    }

    fn ask<'b>(&'b self, question: Question) -> Local<'b, Result<Reply, StepError>> {
        Box::pin(async move { self.engine.ask(question).await })
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
            // Output comes through `write` alone, which masks it, and the terminal is not the task's to take.
            Progress::Output { .. } | Progress::Seat { .. } | Progress::Ending { .. } => return,
        };
        self.engine.publisher.progress(&progress);
    }

    fn sample<'b>(&'b self, sample: Sample) -> Local<'b, Result<(), StepError>> {
        let Sample { probe, value, state, unit, detail } = sample;
        let (step, attempt) = (self.step.clone(), self.attempt);
        let event = Event::Sample { step, probe, value: value.to_json(), attempt, state, unit, detail };
        Box::pin(self.engine.publisher.publish(event))
    }

    fn only_looks(&self) {
        self.looks.set(true);
    }

    fn left_runs(&self) -> bool {
        let Some(dir) = self.engine.journal.step_dir() else { return true };
        super::daemons::runs(&self.engine.world.left_behind(&dir, &self.step, self.attempt))
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
    terminal: Seated<'k, 'e, 'a>,
}

/// The terminal, while a step has it.
struct Seated<'k, 'e, 'a> {
    attempt: &'k Attempt<'e, 'a>,
    seat: RefCell<Option<Turn<'k>>>,
}

impl Seated<'_, '_, '_> {
    fn give_back(&self) {
        if self.seat.take().is_some() {
            self.attempt.engine.publisher.progress(&Progress::Seat { step: None });
        }
    }
}

impl Drop for Seated<'_, '_, '_> {
    fn drop(&mut self) {
        self.give_back();
    }
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
    fn new(attempt: &'k Attempt<'e, 'a>, max_output: u64, seat: Option<Turn<'k>>) -> Keeper<'k, 'e, 'a> {
        let redactor = attempt.engine.publisher.redactor();
        let streams = [Stream::Stdout, Stream::Stderr, Stream::Terminal].map(|stream| (stream, redactor.stream()));
        let inner =
            Kept { stdout: Vec::new(), stderr: Vec::new(), truncated: false, streams, masked: Vec::new(), busy: false };
        let limit = usize::try_from(max_output).unwrap_or(usize::MAX);
        let terminal = Seated { attempt, seat: RefCell::new(seat) };
        Keeper { attempt, inner: RefCell::new(inner), limit, terminal }
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
    fn escaped<'b>(&'b self) -> Local<'b, ()> {
        Box::pin(async {
            let Attempt { engine, step, .. } = self.attempt;
            // For as long as the menu is open the terminal is the operator's.
            self.terminal.give_back();
            let typed = engine.signals.typed_interrupt();
            engine.signals.heeded(typed).await;
            self.terminal.seat.replace(Some(engine.signals.take_seat(step).await));
            engine.publisher.progress(&Progress::Seat { step: Some(step.clone()) });
        })
    }

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
        self.attempt.hand_over();
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

/// Different intents of one attempt that are recorded in full.
const INTENTS: usize = 8;

/// An intent that is known already: its first line, if that is all there is to it, and a part of it otherwise.
fn as_before(detail: &str) -> String {
    const LIMIT: usize = 200;
    let first = detail.lines().next().unwrap_or_default();
    let end = first.floor_char_boundary(LIMIT);
    if end == detail.len() { detail.to_owned() } else { format!("{}{CUT} (as before)", &first[..end]) }
}

/// An intent is for reading; a script of megabytes is on record as the runbook's bytes already.
pub(super) fn shorten(detail: String) -> String {
    const LIMIT: usize = 16 * 1024;
    if detail.len() <= LIMIT {
        return detail;
    }
    let end = detail.floor_char_boundary(LIMIT);
    format!("{}{CUT} ({} bytes in all)", &detail[..end], detail.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Secret;

    #[test]
    fn a_secret_at_the_cut_leaves_nothing_of_itself() {
        let mut held = Held::default();
        held.push(&vec![b'.'; HELD - 9], Stream::Stdout);
        held.push(b"hunter2hunter2", Stream::Stdout);
        held.push(b"hunter2", Stream::Stderr);
        assert_eq!(held.omitted, 5 + 7);
        let redactor = Redactor::new();
        redactor.add(&Secret::new("hunter2hunter2".to_owned()), false).unwrap();
        let (masked, dropped) = held.parts[0].masked(&redactor);
        assert_eq!((masked, dropped), (vec![b'.'; HELD - 9], 9));
        // What is whole ends as it ended.
        let mut held = Held::default();
        held.push(b"hunter2hunter2 hunter2", Stream::Stdout);
        assert_eq!(held.parts[0].masked(&redactor), (b"*** hunter2".to_vec(), 0));
    }

    #[test]
    fn a_known_intent_is_one_short_line() {
        assert_eq!(as_before("GET https://host/x"), "GET https://host/x");
        assert_eq!(as_before("first\nsecond"), "first\u{2026} (as before)");
        let long = as_before(&"\u{fc}".repeat(1000));
        assert_eq!(long, format!("{}\u{2026} (as before)", "\u{fc}".repeat(100)));
    }
}
