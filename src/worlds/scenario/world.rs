//! One engine's view of a scenario: its commands and requests are answered by the rules. Knows nothing of runbooks.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::{
    FOLDER, HttpFailure, HttpReplyRule, SeenCommand, SeenRequest, ShellFailure, ShellReply, Simulated, Stage,
    SurpriseReply, Unanswered, clock::Timeline,
};
use crate::{
    event::{StepId, Stream},
    port::{
        Body, Cancel, ExecRecord, HttpReply, HttpRequest, LeftBehind, Local, Output, ProcessEnd, ProcessRequest,
        RemoteEnd, SecretSource, SendError, Stdin, World, WorldError,
    },
    value::{Secret, show_duration},
};

const MOST_REDIRECTS: usize = 10;

/// The stage as one engine sees it.
pub struct ScenarioWorld {
    stage: Rc<Stage>,
    began: Duration,
}

impl ScenarioWorld {
    pub fn new(stage: Rc<Stage>) -> ScenarioWorld {
        ScenarioWorld { began: stage.clock.now(), stage }
    }

    /// What is asked of the world by an engine that is dead already comes to nothing.
    async fn alive(&self) {
        if self.stage.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn answered(&self, step: &str) {
        let dies = self.stage.dies_during.borrow().as_deref() == Some(step);
        if dies {
            self.stage.die();
        }
        self.alive().await;
    }

    /// Waits; whether it came to the end of it.
    async fn passes(&self, duration: Duration, cancel: &Cancel) -> bool {
        if duration.is_zero() {
            return cancel.level() == 0;
        }
        tokio::select! {
            biased;
            _ = cancel.above(0) => false,
            () = self.stage.clock.sleep(duration) => true,
        }
    }

    /// The reply whose turn it is; none where no rule fits.
    fn shell_reply(&self, seen: &SeenCommand) -> Option<ShellReply> {
        let sprung = self.stage.sprung(&seen.step, |reply| match reply {
            SurpriseReply::Shell(reply) => Some(reply.clone()),
            SurpriseReply::Http(_) => None,
        });
        if sprung.is_some() {
            return sprung;
        }
        let at = self.stage.script.shell.iter().position(|rule| seen.matches(&rule.on))?;
        let replies = &self.stage.script.shell[at].replies;
        let turn = take_turn(&self.stage.shell_turns, at);
        replies.get(turn).or(replies.last()).cloned()
    }

    fn http_reply(&self, seen: &SeenRequest) -> Option<HttpReplyRule> {
        let sprung = self.stage.sprung(&seen.step, |reply| match reply {
            SurpriseReply::Http(reply) => Some(reply.clone()),
            SurpriseReply::Shell(_) => None,
        });
        if sprung.is_some() {
            return sprung;
        }
        let at = self.stage.script.http.iter().position(|rule| seen.matches(&rule.on))?;
        let replies = &self.stage.script.http[at].replies;
        let turn = take_turn(&self.stage.http_turns, at);
        replies.get(turn).or(replies.last()).cloned()
    }

    async fn exchange(&self, request: &HttpRequest, cancel: &Cancel) -> Result<HttpReply, SendError> {
        let began = self.stage.clock.now();
        let (mut url, mut method) = (request.url.clone(), request.method.clone());
        let mut body = match &request.body {
            Body::Nothing => Vec::new(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::File(path) => match self.stage.files.borrow().get(path) {
                Some(bytes) => bytes.clone(),
                None => return Err(SendError::NotSent(format!("there is no file {}", path.display()))),
            },
        };
        for _ in 0..=MOST_REDIRECTS {
            self.alive().await;
            if self.stage.too_many(&request.step) {
                self.alive().await;
            }
            let asked = HttpRequest { url: url.clone(), method: method.clone(), ..request.clone() };
            let seen = SeenRequest::of(&asked, body.clone());
            let step = seen.step.clone();
            let reply = self.http_reply(&seen);
            self.stage.requests.borrow_mut().push(seen.clone());
            let Some(reply) = reply else {
                self.stage.refuse(Unanswered::Request(seen));
                self.alive().await;
                return Err(SendError::NotSent("no rule of the scenario answers it".into()));
            };
            let spent = self.stage.clock.now() - began;
            self.deliver(&reply, request, &url, spent, cancel).await?;
            self.answered(&step).await;
            let location = reply.headers.iter().find(|(name, _)| name == "location").map(|(_, to)| url.join(to));
            if let (true, 301..=303 | 307 | 308, Some(Ok(next))) = (request.follow_redirects, reply.status, location) {
                if next.origin() != url.origin() {
                    return Err(SendError::Lost(format!(
                        "{} redirects ({}) to another origin, {}, which is not followed because credentials would go \
                         with it",
                        place(&url),
                        reply.status,
                        next.origin().ascii_serialization()
                    )));
                }
                url = next;
                if !matches!(reply.status, 307 | 308) && !matches!(method.as_str(), "GET" | "HEAD") {
                    method = "GET".into();
                    body.clear();
                }
                continue;
            }
            return Ok(self.taken(reply, request, &url, self.stage.clock.now() - began));
        }
        Err(SendError::Lost(format!("{} redirects more than {MOST_REDIRECTS} times", place(&request.url))))
    }

    /// Lets the time of a reply pass; an error where it does not come, or not whole.
    async fn deliver(
        &self,
        reply: &HttpReplyRule,
        request: &HttpRequest,
        url: &url::Url,
        spent: Duration,
        cancel: &Cancel,
    ) -> Result<(), SendError> {
        let to = place(url);
        let limit = show_duration(request.timeout);
        let left = request.timeout.saturating_sub(spent);
        let stopped = || SendError::Lost("it was stopped on the way; it may have arrived".into());
        let wait = match reply.fail {
            Some(HttpFailure::Timeout | HttpFailure::SlowBody) => left,
            _ => reply.delay.min(left),
        };
        if !self.passes(wait, cancel).await {
            return Err(stopped());
        }
        match reply.fail {
            Some(HttpFailure::SlowBody) => {
                Err(SendError::Lost(format!("the answer from {to} was not complete within {limit}")))
            }
            Some(HttpFailure::Timeout) => Err(SendError::Lost(format!("no answer from {to} within {limit}"))),
            _ if reply.delay > left => Err(SendError::Lost(format!("no answer from {to} within {limit}"))),
            Some(HttpFailure::Refused) => Err(SendError::NotSent(format!("{to} refuses the connection"))),
            Some(HttpFailure::UnknownHost) => {
                Err(SendError::NotSent(format!("there is no host {}", url.host_str().unwrap_or_default())))
            }
            Some(HttpFailure::Reset) => Err(SendError::Lost(format!(
                "{to} broke the connection before it answered; the request may have arrived"
            ))),
            None => Ok(()),
        }
    }

    fn taken(&self, reply: HttpReplyRule, request: &HttpRequest, url: &url::Url, elapsed: Duration) -> HttpReply {
        let mut body = reply.body;
        let mut truncated = false;
        match &request.save {
            // Only a good answer replaces a file.
            Some(path) if (200..300).contains(&reply.status) => {
                self.stage.keep(&[(path.clone(), std::mem::take(&mut body))], Path::new(FOLDER));
            }
            _ => {
                let room = usize::try_from(request.max_body).unwrap_or(usize::MAX);
                truncated = body.len() > room;
                body.truncate(room);
            }
        }
        HttpReply { status: reply.status, headers: reply.headers, body, truncated, url: url.to_string(), elapsed }
    }
}

/// Takes the turn of a rule.
fn take_turn(turns: &RefCell<Vec<usize>>, at: usize) -> usize {
    let mut turns = turns.borrow_mut();
    let turn = turns[at];
    turns[at] += 1;
    turn
}

/// Host and port.
fn place(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The stage with time that passes by itself, for who drives an engine through it.
pub struct Driven<'a> {
    pub stage: &'a Stage,
    pub clock: &'a Simulated,
}

impl Timeline for Driven<'_> {
    fn next(&self) -> Option<Duration> {
        self.clock.next()
    }

    fn arrive(&self, at: Duration) {
        self.clock.arrive(at);
    }

    fn stopped(&self) -> bool {
        self.stage.is_dead()
    }
}

impl ScenarioWorld {
    async fn process(
        &self,
        request: &ProcessRequest,
        output: &dyn Output,
        cancel: &Cancel,
    ) -> Result<ProcessEnd, WorldError> {
        self.alive().await;
        if self.stage.too_many(&request.step) {
            self.alive().await;
        }
        let began = self.stage.clock.now();
        let seen = SeenCommand::of(request);
        let step = seen.step.clone();
        let reply = self.shell_reply(&seen);
        self.stage.commands.borrow_mut().push(seen.clone());
        let Some(reply) = reply else {
            self.stage.refuse(Unanswered::Command(seen));
            self.alive().await;
            return Err(WorldError::NotStarted("no rule of the scenario answers it".into()));
        };
        let remote = matches!(request.stdin, Stdin::Remote(_));
        if reply.fail == Some(ShellFailure::NotStarted) && !remote {
            return Err(WorldError::NotStarted("the scenario says so".into()));
        }
        if request.tty {
            let both = [reply.stdout.as_slice(), reply.stderr.as_slice()].concat();
            if !both.is_empty() {
                output.chunk(Stream::Terminal, &both);
            }
        } else {
            for (stream, bytes) in [(Stream::Stdout, &reply.stdout), (Stream::Stderr, &reply.stderr)] {
                if !bytes.is_empty() {
                    output.chunk(stream, bytes);
                }
            }
        }
        let limit = request.timeout.filter(|limit| *limit < reply.delay);
        let whole = self.passes(limit.unwrap_or(reply.delay), cancel).await;
        let killed = |end: ProcessEnd| ProcessEnd { signal: Some(15), ..end };
        let end = ProcessEnd { duration: self.stage.clock.now() - began, ..ProcessEnd::default() };
        if !whole {
            let end = killed(ProcessEnd { cancelled: true, ..end });
            return Ok(ProcessEnd { remote: remote.then_some(RemoteEnd::Lost(None)), ..end });
        }
        if limit.is_some() {
            let end = killed(ProcessEnd { timed_out: true, ..end });
            return Ok(ProcessEnd { remote: remote.then_some(RemoteEnd::Lost(None)), ..end });
        }
        self.stage.keep(&reply.files, &request.cwd);
        let mut leaves = reply.left;
        // A helper that did not end at once is there.
        if request.step.as_str().ends_with("@helper") && reply.exit == 0 && reply.signal.is_none() && leaves.is_empty()
        {
            leaves.push(seen.shown.split(' ').next().unwrap_or("helper").to_owned());
        }
        let left: Vec<String> = leaves.iter().enumerate().map(|(at, name)| format!("{name} ({})", 1001 + at)).collect();
        let end = ProcessEnd {
            exit: reply.signal.is_none().then_some(reply.exit),
            signal: reply.signal,
            remote: remote.then_some(match reply.fail {
                None => RemoteEnd::Ended,
                Some(ShellFailure::NotStarted) => RemoteEnd::NotBegun(Some(255)),
                Some(ShellFailure::Lost) => RemoteEnd::Lost(Some(255)),
            }),
            left: left.clone(),
            ..end
        };
        if reply.fail == Some(ShellFailure::Lost) && !remote {
            self.answered(&step).await;
            return Err(WorldError::Lost("the scenario says so".into()));
        }
        if !request.looks {
            // What its supervisor would write down, should the engine die now.
            let record = ExecRecord {
                exit: end.exit,
                signal: end.signal,
                remote: end.remote,
                timed_out: false,
                cancelled: false,
                duration_ms: u64::try_from(end.duration.as_millis()).unwrap_or(u64::MAX),
                lost_bytes: 0,
                swept: Vec::new(),
                left_ended: false,
                left,
            };
            self.stage.ends.borrow_mut().insert((request.step.clone(), request.attempt), record);
        }
        self.answered(&step).await;
        Ok(end)
    }
}

impl World for ScenarioWorld {
    fn run<'a>(
        &'a self,
        request: &'a ProcessRequest,
        output: &'a dyn Output,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>> {
        Box::pin(async move { self.process(request, output, cancel).await.map(Some) })
    }

    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<HttpReply>, SendError>> {
        Box::pin(async move { self.exchange(request, cancel).await.map(Some) })
    }

    fn now(&self) -> Duration {
        self.stage.clock.now().saturating_sub(self.began)
    }

    fn wall(&self) -> jiff::Timestamp {
        let passed = jiff::SignedDuration::try_from(self.stage.clock.now()).unwrap_or(jiff::SignedDuration::MAX);
        self.stage.script.wall.checked_add(passed).unwrap_or(jiff::Timestamp::MAX)
    }

    fn sleep<'a>(&'a self, duration: Duration, cancel: &'a Cancel) -> Local<'a, ()> {
        Box::pin(async move {
            self.alive().await;
            self.passes(duration, cancel).await;
        })
    }

    fn secret<'a>(&'a self, source: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>> {
        let known = self.stage.script.secrets.iter().find(|(of, _)| of == source);
        let text = known.map_or_else(|| made_up(source), |(_, secret)| secret.expose().to_owned());
        Box::pin(std::future::ready(Ok(Some(Secret::new(text)))))
    }

    fn variable(&self, name: &str) -> Option<String> {
        let env = &self.stage.script.env;
        env.iter().find(|(of, _)| of == name).map(|(_, text)| text.clone())
    }

    fn tool(&self, name: &str) -> Option<PathBuf> {
        Some(Path::new("/usr/bin").join(name))
    }

    fn random(&self) -> u64 {
        let next = self.stage.random.get() + 1;
        self.stage.random.set(next);
        next
    }

    fn left_behind(&self, _record_dir: &Path, step: &StepId, attempt: u32) -> LeftBehind {
        match self.stage.ends.borrow().get(&(step.clone(), attempt)) {
            None => LeftBehind::Nothing,
            Some(record) if record.left.is_empty() || record.left_ended => LeftBehind::Ended(record.clone()),
            Some(record) => LeftBehind::Daemon(record.clone()),
        }
    }

    fn settle_left_behind<'a>(
        &'a self,
        record_dir: &'a Path,
        step: &'a StepId,
        attempt: u32,
        end_it: bool,
        _cancel: &'a Cancel,
    ) -> Local<'a, LeftBehind> {
        Box::pin(async move {
            self.alive().await;
            if end_it && let Some(record) = self.stage.ends.borrow_mut().get_mut(&(step.clone(), attempt)) {
                record.left_ended = true;
            }
            self.left_behind(record_dir, step, attempt)
        })
    }
}

/// What stands for a secret that the scenario does not name: the same each time, and long enough to be masked.
fn made_up(source: &SecretSource) -> String {
    let of = match source {
        SecretSource::Env(name) => name.clone(),
        SecretSource::File(path) => path.display().to_string(),
        SecretSource::Command(argv) => argv.join(" "),
        SecretSource::Prompt { prompt } => prompt.clone(),
    };
    format!("made-up {of}")
}
