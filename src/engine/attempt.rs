//! One step's attempts: start, judge, record, retry, and what a failure leads to. Knows no kind of step.

use indexmap::IndexMap;
use serde_json::Map;

use super::{Engine, Standing, context::Attempt, menu, publish::millis};
use crate::{
    event::{Effect, Event, SkipCause, StepStatus},
    model::{Body, DefaultExpect, OnFailure, Resolution, SecretPlace, Setting, Step, Verdict, fits_variable},
    plan::Plan,
    port::{Answer, Failure, Reply, SecretSource, StepContext, StepError, StepReport, Task},
    syntax::{Eval, Rendered, Truth},
    text::Diagnostic,
    value::{Scope, Secret, Slot, Value, show_duration},
};

/// The most a captured value may hold: it is written into the journal.
const CAPTURE_LIMIT: usize = 256 * 1024;

/// An attempt that is on record as over.
pub(super) struct Ended {
    pub status: StepStatus,
    pub captures: IndexMap<String, Value>,
    /// What retry conditions look at.
    pub result: Option<Value>,
    pub why: String,
    pub output: Vec<String>,
    /// `verify` looked, and what the step is for is not there.
    pub not_in_place: bool,
}

/// What comes after a failure or an unknown end.
pub(super) enum Next {
    Again,
    Over(Standing),
}

/// What a look at the effect found.
pub(super) enum Verified {
    InPlace(IndexMap<String, Value>),
    NotInPlace(String),
    Undecided(String),
}

/// Captures ready for the record.
#[derive(Default)]
pub(super) struct Gathered {
    pub values: IndexMap<String, Value>,
    pub withheld: Vec<String>,
}

impl Engine<'_> {
    /// Attempts until the step is over, one way or another.
    pub(super) async fn attempts(&self, step: &Step, last: bool) -> Result<Standing, StepError> {
        // What was repeated before an interruption counts.
        let mut turn = match self.state().steps.get(&step.path) {
            Some(state) if matches!(state.status(), Some(StepStatus::Failed | StepStatus::Unknown)) => state.attempts,
            _ => 0,
        };
        let mut asked = false;
        loop {
            if let Some(why) = self.signals.stop_reason_now().await {
                return Err(StepError::Paused(why));
            }
            let mut ended = match self.prepare(step).await? {
                Ok(Resolution::Deferred(names)) => {
                    let names: Vec<String> = names.into_iter().filter(|name| !self.is_hidden(name)).collect();
                    // What lacks only secrets lacks nothing that is shown: this world reads none.
                    if names.is_empty() {
                        return self.unperformed(step).await;
                    }
                    match self.unmet(names) {
                        Ok(names) => return self.defer(step, names).await,
                        Err(failure) => self.fail_unstarted(step, failure).await?,
                    }
                }
                Ok(Resolution::Task(task)) => {
                    let ask = self.step_mode.get() && !asked && !last;
                    if ask && Self::effect_of(step) != Effect::Read && !step.body.action.is_asked() {
                        if let Some(standing) = self.before(step).await? {
                            return Ok(standing);
                        }
                        asked = true;
                    }
                    self.attempt(step, task.as_ref()).await?
                }
                Err(failure) => self.fail_unstarted(step, failure).await?,
            };
            turn += 1;
            match ended.status {
                StepStatus::Failed | StepStatus::Unknown => {}
                status => {
                    self.settle(step, status, &ended.captures);
                    // "Auto" goes as far as the next gate.
                    if step.body.action.is_gate() {
                        self.step_mode.set(self.options.step_mode);
                    }
                    return Ok(Standing::Satisfied);
                }
            }
            if self.retries(step, &mut ended, turn).await? {
                continue;
            }
            match self.after(step, &ended, last).await? {
                Next::Again => asked = true,
                Next::Over(standing) => return Ok(standing),
            }
        }
    }

    fn is_hidden(&self, name: &str) -> bool {
        matches!(self.scope.borrow().get(name), Some(Slot::Hidden))
    }

    /// A step that is complete but for secrets, in a world that reads none.
    async fn unperformed(&self, step: &Step) -> Result<Standing, StepError> {
        let number = self.state().steps.get(&step.path).map_or(0, |state| state.attempts) + 1;
        self.start(step, number).await?;
        let cx = Attempt::new(self, &step.path, number, Scope::new());
        let report = StepReport::of(StepStatus::NotRun);
        self.record_end(step, number, &report, StepStatus::NotRun, &Gathered::default(), &cx, self.world.now()).await?;
        Ok(Standing::Satisfied)
    }

    /// An expression of the step itself failed before anything was done.
    pub(super) async fn broken(&self, step: &Step, failure: Failure, last: bool) -> Result<Standing, StepError> {
        let ended = self.fail_unstarted(step, failure).await?;
        match self.after(step, &ended, last).await? {
            Next::Again => self.attempts(step, last).await,
            Next::Over(standing) => Ok(standing),
        }
    }

    /// Reads the secrets a step uses and puts every value in place.
    async fn prepare(&self, step: &Step) -> Result<Result<Resolution, Failure>, StepError> {
        for body in [Some(&step.body), step.verify.as_ref()].into_iter().flatten() {
            if let Err(why) = self.read_secrets_of(body).await {
                return Ok(Err(Failure::plain(why)));
            }
        }
        Ok(self.resolve(step, &step.body).map_err(Failure::drawn))
    }

    /// Reads those secrets of a body that were not read before.
    async fn read_secrets_of(&self, body: &Body) -> Result<(), String> {
        let references = crate::model::body_references(body, &self.plan.names);
        let mut names: Vec<String> = references.into_iter().map(|reference| reference.name).collect();
        names.retain(|name| self.plan.runbook.secrets.contains_key(name));
        names.sort_unstable();
        names.dedup();
        for name in names {
            if self.is_hidden(&name) {
                self.read_secret(&name).await.map_err(|why| format!("could not read secret `{name}`: {why}"))?;
            }
        }
        Ok(())
    }

    async fn read_secret(&self, name: &str) -> Result<(), String> {
        let Some(spec) = self.plan.runbook.secrets.get(name) else { return Ok(()) };
        let scope = self.scope.borrow().clone();
        let source = match secret_source(&spec.place, &scope) {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(()),
            Err(why) => return Err(why),
        };
        match self.world.secret(&source).await {
            Ok(Some(secret)) => self.learn_secret(name, secret),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// From here on the secret is masked everywhere, and known to steps.
    pub(super) fn learn_secret(&self, name: &str, secret: Secret) -> Result<(), String> {
        let short = self.plan.runbook.secrets.get(name).is_some_and(|spec| spec.allow_short);
        self.publisher.redactor().add(&secret, short).map_err(|_| {
            "it is shorter than 8 bytes, so masking it would hide too much or too little; say `allow_short: true` if it must be"
                .to_owned()
        })?;
        self.scope.borrow_mut().know(name, Value::text(secret.expose()));
        Ok(())
    }

    /// A body with its settings, ready to run.
    pub(super) fn resolve(&self, step: &Step, body: &Body) -> Result<Resolution, Diagnostic> {
        let scope = step.sees(&self.scope.borrow());
        let mut env = Vec::new();
        for (name, template) in &body.env {
            match template.eval(&scope, &[])? {
                Eval::Value(value) => {
                    if let Some(text) = value.to_env() {
                        fits_variable(&name.value, &text, template.span())?;
                        env.push((name.value.clone(), text));
                    }
                }
                Eval::Deferred(names) => return Ok(Resolution::Deferred(names)),
            }
        }
        let cwd = match &body.cwd {
            None => self.options.cwd.clone(),
            Some(template) => match template.render(&scope, &[])? {
                Rendered::Text(text) => self.options.cwd.join(text),
                Rendered::Deferred(names) => return Ok(Resolution::Deferred(names)),
            },
        };
        let timeout = match body.timeout.as_ref().map(|timeout| timeout.eval(&scope)) {
            None => body.action.default_timeout(),
            Some(Ok(duration)) => Some(duration),
            Some(Err(Ok(names))) => return Ok(Resolution::Deferred(names)),
            Some(Err(Err(diagnostic))) => return Err(diagnostic),
        };
        body.action.resolve(&Setting {
            scope: &scope,
            effect: body.effect,
            timeout,
            env,
            base_env: &self.options.base_env,
            cwd,
            origins: &self.origins,
            names: &self.plan.names,
            expect: &body.expect,
        })
    }

    /// One attempt, on record before it begins and when it has ended.
    async fn attempt(&self, step: &Step, task: &dyn Task) -> Result<Ended, StepError> {
        let number = self.state().steps.get(&step.path).map_or(0, |state| state.attempts) + 1;
        self.start(step, number).await?;
        let began = self.world.now();
        let cx = self.context(step, number);
        let limited = async {
            // A process and a request have their limit in the world; a person's is kept here.
            match self.patience(step) {
                Some(limit) => tokio::select! {
                    biased;
                    report = task.run(&cx) => report,
                    () = self.world.sleep(limit, cx.cancel()) => {
                        Err(StepError::Paused(format!("nobody answered {} within {}", step.path, show_duration(limit))))
                    }
                },
                None => task.run(&cx).await,
            }
        };
        let report = match self.guarded(cx.cancel(), limited).await? {
            Ok(report) => report,
            Err(StepError::Declined(why)) => {
                let report = StepReport::failed(Failure::plain(why.clone()));
                self.record_end(step, number, &report, report.status, &Gathered::default(), &cx, began).await?;
                return Err(StepError::Declined(why));
            }
            Err(error) => {
                if matches!(error, StepError::Journal(_)) && !cx.begun() {
                    // Whoever reads its last words later should know that they were only words.
                    let mut report = StepReport::of(StepStatus::NotRun);
                    report.notes.push("it could not be put on record, so that nothing was done".into());
                    let nothing = Gathered::default();
                    let _ = self.record_end(step, number, &report, report.status, &nothing, &cx, began).await;
                }
                return Err(error);
            }
        };
        if report.status == StepStatus::Skipped {
            let reason = why(&report);
            let event =
                Event::StepSkipped { step: step.path.clone(), cause: SkipCause::Operator, reason: reason.clone() };
            self.publisher.publish(event).await?;
            let (status, captures) = (StepStatus::Skipped, IndexMap::new());
            let output = Vec::new();
            return Ok(Ended { status, captures, result: None, why: reason, output, not_in_place: false });
        }
        let (mut report, mut status, mut gathered) = self.judge_report(step, &step.body, report);
        if status == StepStatus::Unknown && step.verify.is_some() && self.signals.stop_reason().is_none() {
            match self.verify(step, &cx).await? {
                Verified::InPlace(values) => {
                    report.notes.push(format!("{}; verified: it is in place", why(&report)));
                    report.failure = None;
                    status = StepStatus::Succeeded;
                    gathered = self.gather(values, step)?;
                }
                Verified::NotInPlace(found) => {
                    report.failure =
                        Some(Failure::plain(format!("{}; verified: not in place ({found})", why(&report))));
                    status = StepStatus::Failed;
                }
                Verified::Undecided(found) => report.notes.push(format!("verify could not tell: {found}")),
            }
        }
        if status == StepStatus::Failed {
            self.unsay(step, &mut report, &gathered);
        }
        self.record_end(step, number, &report, status, &gathered, &cx, began).await?;
        Ok(Ended {
            status,
            captures: gathered.values,
            result: report.result.clone(),
            why: why(&report),
            output: cx.tail(),
            not_in_place: false,
        })
    }

    /// How long a person may take, where the file says so.
    fn patience(&self, step: &Step) -> Option<std::time::Duration> {
        let timeout = step.body.timeout.as_ref().filter(|_| step.body.action.is_asked())?;
        timeout.eval(&self.scope.borrow()).ok()
    }

    pub(super) async fn start(&self, step: &Step, attempt: u32) -> Result<(), StepError> {
        self.publisher
            .publish(Event::StepStarted {
                step: step.path.clone(),
                attempt,
                kind: step.body.kind.to_owned(),
                effect: step.body.effect,
                idempotent: step.idempotent,
                title: step.title.as_ref().map(|_| self.title(step)),
            })
            .await
    }

    /// A step that could not even be put together is over before it began.
    async fn fail_unstarted(&self, step: &Step, failure: Failure) -> Result<Ended, StepError> {
        let number = self.state().steps.get(&step.path).map_or(0, |state| state.attempts) + 1;
        self.start(step, number).await?;
        let began = self.world.now();
        let cx = Attempt::new(self, &step.path, number, Scope::new());
        let report = StepReport::failed(failure);
        self.record_end(step, number, &report, StepStatus::Failed, &Gathered::default(), &cx, began).await?;
        let why = why(&report);
        let (status, captures, output) = (StepStatus::Failed, IndexMap::new(), Vec::new());
        Ok(Ended { status, captures, result: None, why, output, not_in_place: false })
    }

    /// Holds the result against what was expected, and takes the captures.
    fn judge_report(&self, step: &Step, body: &Body, mut report: StepReport) -> (StepReport, StepStatus, Gathered) {
        let mut status = report.status;
        let mut gathered = Gathered::default();
        if !matches!(status, StepStatus::Succeeded | StepStatus::NotRun) {
            return (report, status, gathered);
        }
        match self.take(body, &report) {
            Ok(values) => match self.gather(values, step) {
                Ok(done) => gathered = done,
                Err(StepError::Paused(why)) => {
                    status = StepStatus::Failed;
                    report.failure = Some(Failure::plain(why));
                }
                Err(error) => {
                    status = StepStatus::Failed;
                    report.failure = Some(Failure::plain(error.to_string()));
                }
            },
            Err(failure) => {
                status = StepStatus::Failed;
                report.failure = Some(failure);
            }
        }
        (report, status, gathered)
    }

    /// Expectations and captures of one result.
    fn take(&self, body: &Body, report: &StepReport) -> Result<IndexMap<String, Value>, Failure> {
        let mut values = report.values.clone();
        if report.status == StepStatus::NotRun {
            return Ok(values);
        }
        // What has no result is judged all the same: its expectations and captures speak of other values.
        let none = Value::None;
        let (result, default) = match &report.result {
            Some(result) => (result, body.expect.default_in_force()),
            None => (&none, DefaultExpect::Nothing),
        };
        let scope = self.scope.borrow();
        match body.expect.judge_with(default, &scope, result) {
            Verdict::Holds => {}
            Verdict::Misses(failure) => return Err(failure),
            Verdict::Broken(diagnostic) => return Err(Failure::drawn(say_why_missing(diagnostic, result))),
            Verdict::Deferred(names) => {
                return Err(Failure::plain(format!("an expectation waits for {}", names.join(", "))));
            }
        }
        for capture in &body.captures {
            match capture.value.eval(&scope, &[("result", result.clone())]) {
                Ok(Eval::Value(value)) => {
                    // A value read back from the journal must be the value that was captured.
                    let json = value.to_json();
                    let size = json.to_string().len();
                    if size > CAPTURE_LIMIT {
                        return Err(Failure::drawn(
                            Diagnostic::error(
                                "capture-too-large",
                                capture.value.span(),
                                format!(
                                    "`{}` would be {size} bytes; at most {CAPTURE_LIMIT} are kept",
                                    capture.name.value
                                ),
                            )
                            .hint("write it to a file below run.dir and capture its path"),
                        ));
                    }
                    values.insert(capture.name.value.clone(), Value::from_json(&json));
                }
                Ok(Eval::Deferred(names)) => {
                    return Err(Failure::plain(format!("`{}` waits for {}", capture.name.value, names.join(", "))));
                }
                Err(diagnostic) => return Err(Failure::drawn(say_why_missing(diagnostic, result))),
            }
        }
        Ok(values)
    }

    /// Tells which values may stand in the journal; a secret one is masked from here on.
    fn gather(&self, values: IndexMap<String, Value>, step: &Step) -> Result<Gathered, StepError> {
        let redactor = self.publisher.redactor();
        let mut withheld = Vec::new();
        let captures = step.body.captures.iter().chain(step.verify.iter().flat_map(|verify| &verify.captures));
        for capture in captures.filter(|capture| capture.secret) {
            if let Some(value) = values.get(&capture.name.value) {
                let mut texts = Vec::new();
                texts_of(value, &mut texts);
                for text in texts {
                    redactor.add(&Secret::new(text), false).map_err(|_| {
                        StepError::Paused(format!(
                            "the captured secret `{}` is shorter than 8 bytes and could not be masked",
                            capture.name.value
                        ))
                    })?;
                }
                withheld.push(capture.name.value.clone());
            }
        }
        for (name, value) in &values {
            if !withheld.contains(name) && redactor.holds(&value.to_json().to_string()) {
                withheld.push(name.clone());
            }
        }
        Ok(Gathered { values, withheld })
    }

    #[expect(clippy::too_many_arguments, reason = "everything the record of an end is made of, gathered nowhere else")]
    async fn record_end(
        &self,
        step: &Step,
        attempt: u32,
        report: &StepReport,
        status: StepStatus,
        gathered: &Gathered,
        cx: &Attempt<'_, '_>,
        began: std::time::Duration,
    ) -> Result<(), StepError> {
        let lost = cx.release(self.knows_secrets(step, report, gathered));
        let output = cx.commit();
        let mut notes = report.notes.clone();
        if lost > 0 {
            notes.push(format!("{lost} bytes of output are left out: a secret in them could not be told"));
        }
        if output.omitted > 0 {
            notes.push(format!(
                "{} bytes of output are left out of the log between its head and its tail",
                output.omitted
            ));
        }
        if output.lost {
            notes.push("its output could not be kept".into());
        }
        let captures: Map<_, _> = gathered
            .values
            .iter()
            .filter(|(name, _)| !gathered.withheld.contains(name))
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        let error =
            report.failure.as_ref().filter(|_| status != StepStatus::Succeeded).map(|failure| self.say(failure));
        self.publisher
            .publish(Event::StepFinished {
                step: step.path.clone(),
                attempt,
                status,
                exit: report.exit,
                signal: report.signal,
                http_status: report.http_status,
                duration_ms: millis(self.world.now().saturating_sub(began)),
                output_sha256: output.sha256,
                output_bytes: output.bytes,
                output_lost: output.lost,
                captures,
                withheld: gathered.withheld.clone(),
                error,
                interrupted: cx.cancel().level() > 0 && matches!(status, StepStatus::Failed | StepStatus::Unknown),
                notes,
            })
            .await
    }

    /// A failure as text, drawn under its line of the file where it has one.
    fn say(&self, failure: &Failure) -> String {
        match &failure.at {
            Some(diagnostic) => (self.options.draw)(diagnostic),
            None => failure.message.clone(),
        }
    }

    /// Looks whether the effect is in place.
    pub(super) async fn verify(&self, step: &Step, cx: &Attempt<'_, '_>) -> Result<Verified, StepError> {
        let Some(body) = &step.verify else { return Ok(Verified::Undecided("there is no verify".into())) };
        // On a resume the step itself may not have been put together in this process, so nothing was read for it yet.
        if let Err(why) = self.read_secrets_of(body).await {
            return Ok(Verified::Undecided(why));
        }
        let task = match self.resolve(step, body) {
            Ok(Resolution::Task(task)) => task,
            Ok(Resolution::Deferred(names)) => {
                return Ok(Verified::Undecided(format!("it uses {}", names.join(", "))));
            }
            Err(diagnostic) => return Ok(Verified::Undecided(diagnostic.message)),
        };
        cx.only_looks();
        let report = self.guarded(cx.cancel(), task.run(cx)).await??;
        if report.status != StepStatus::Succeeded {
            return Ok(Verified::Undecided(why(&report)));
        }
        let Some(result) = &report.result else { return Ok(Verified::InPlace(report.values)) };
        let verdict = body.expect.judge(&self.scope.borrow(), result);
        match verdict {
            Verdict::Holds => match self.take(body, &report) {
                Ok(values) => Ok(Verified::InPlace(values)),
                Err(failure) => Ok(Verified::Undecided(failure.message)),
            },
            // An answer that says "ask me later" or "you may not know" says nothing about the effect.
            Verdict::Misses(failure) if !tells(&report) => Ok(Verified::Undecided(failure.message)),
            Verdict::Misses(failure) => Ok(Verified::NotInPlace(failure.message)),
            Verdict::Broken(diagnostic) => Ok(Verified::Undecided(diagnostic.message)),
            Verdict::Deferred(names) => Ok(Verified::Undecided(format!("it uses {}", names.join(", ")))),
        }
    }

    /// Whether the retry rule repeats the step; waits if so.
    pub(super) async fn retries(&self, step: &Step, ended: &mut Ended, turn: u32) -> Result<bool, StepError> {
        let Some(retry) = &step.retry else { return Ok(false) };
        // An open effect is not repeated unless the step may safely run twice.
        if turn >= retry.attempts || (ended.status == StepStatus::Unknown && !step.idempotent) {
            return Ok(false);
        }
        if let Some(when) = &retry.when {
            let result = ended.result.clone().unwrap_or(Value::None);
            let truth = when.eval_bool(&self.scope.borrow(), &[("result", result)]);
            if let (Err(problem), Some(_)) = (&truth, &ended.result) {
                ended.why.push_str(&format!("; whether to retry could not be told: {}", problem.message));
            }
            if !matches!(truth, Ok(Truth::True)) {
                return Ok(false);
            }
        }
        if self.signals.stop_reason().is_some() {
            return Ok(false);
        }
        let wait = retry.wait_after(turn);
        self.publisher
            .publish(Event::StepRetried {
                step: step.path.clone(),
                attempt: turn + 1,
                reason: ended.why.clone(),
                wait_ms: millis(wait),
            })
            .await?;
        let cancel = crate::port::Cancel::new();
        // Between two attempts nothing runs that would need a grace.
        let pause = async {
            tokio::select! {
                () = self.world.sleep(wait, &cancel) => {}
                _ = self.signals.stopped() => {}
            }
        };
        self.guarded(&cancel, std::pin::pin!(pause)).await?;
        Ok(true)
    }

    /// In step mode: run it, or not. `Some` where the step is over without having run.
    async fn before(&self, step: &Step) -> Result<Option<Standing>, StepError> {
        let shown = step.body.action.show(&step.sees(&self.scope.borrow()));
        let mut question = menu::before_step(step, self.title(step), &shown);
        loop {
            let answer = match self.ask(question.clone()).await?.0 {
                Reply::Unasked => return Ok(None),
                Reply::Answer(answer) => answer,
                Reply::Nobody { why } | Reply::Closed { why } => return Err(StepError::Paused(why)),
            };
            match answer.word.as_str() {
                "run" => return Ok(None),
                "auto" => {
                    self.step_mode.set(false);
                    return Ok(None);
                }
                "command" => question.context = shown.detail.lines().map(str::to_owned).collect(),
                "skip" => return self.skip(step, answer).await.map(Some),
                "done" => match self.done_by_hand(step, answer).await? {
                    Ok(standing) => return Ok(Some(standing)),
                    Err(found) => question.message = found,
                },
                "pause" => return Err(StepError::Paused("the operator paused the run".into())),
                "quit" => return Err(StepError::Declined(format!("the operator quit before {}", step.path))),
                other => return Err(StepError::Paused(format!("`{other}` is no answer to this question"))),
            }
        }
    }

    /// After a failure or an unknown end: what the file says, or what the operator says.
    pub(super) async fn after(&self, step: &Step, ended: &Ended, last: bool) -> Result<Next, StepError> {
        let unknown = ended.status == StepStatus::Unknown;
        if self.signals.stop_reason().is_some() {
            return Ok(Next::Over(Standing::Blocks));
        }
        if !unknown {
            match step.on_failure {
                OnFailure::Continue => {
                    self.settle(step, StepStatus::Failed, &IndexMap::new());
                    return Ok(Next::Over(Standing::Satisfied));
                }
                OnFailure::Stop => {
                    self.settle(step, StepStatus::Failed, &IndexMap::new());
                    return Ok(Next::Over(Standing::Blocks));
                }
                OnFailure::Ask => {}
            }
        }
        let mut effects = Vec::new();
        if let Some(state) = self.state().steps.get(&step.path) {
            effects.clone_from(&state.effects);
            if state.more_effects > 0 {
                effects.push(format!("and {} more", state.more_effects));
            }
        }
        let title = self.title(step);
        let mut question = if unknown {
            menu::unknown(step, title, &ended.why, &effects, &ended.output)
        } else {
            menu::failure(step, title, &ended.why, &ended.output)
        };
        // `finally` is not paused: what cannot be decided there stays as it is.
        if last && !self.operator.attended() {
            self.settle(step, ended.status, &IndexMap::new());
            return Ok(Next::Over(Standing::Blocks));
        }
        loop {
            let (reply, number) = self.ask(question.clone()).await?;
            let answer = match reply {
                Reply::Answer(answer) => answer,
                Reply::Nobody { .. } | Reply::Unasked if unknown => return Ok(Next::Over(Standing::Blocks)),
                // Unattended, `ask` means `stop`.
                Reply::Nobody { why } => {
                    self.answer_for_nobody(number, step, "stop", why).await?;
                    self.settle(step, StepStatus::Failed, &IndexMap::new());
                    return Ok(Next::Over(Standing::Blocks));
                }
                // Nothing hangs on it: what it would give stays unknown.
                Reply::Unasked => return Ok(Next::Over(Standing::Satisfied)),
                Reply::Closed { why } => return Err(StepError::Paused(why)),
            };
            match answer.word.as_str() {
                "retry" => return Ok(Next::Again),
                "skip" => return self.skip(step, answer).await.map(Next::Over),
                "done" => match self.done_by_hand(step, answer).await? {
                    Ok(standing) => return Ok(Next::Over(standing)),
                    Err(found) => question.message = found,
                },
                "output" => question.context = ended.output.clone(),
                "pause" => return Err(StepError::Paused("the operator paused the run".into())),
                "quit" => return Err(StepError::Declined(format!("the operator quit at {}", step.path))),
                other => return Err(StepError::Paused(format!("`{other}` is no answer to this question"))),
            }
        }
    }

    /// Nobody is there, and what follows needs nobody: the question is over, and the record says how.
    pub(super) async fn answer_for_nobody(
        &self,
        question: u32,
        step: &Step,
        answer: &str,
        why: String,
    ) -> Result<(), StepError> {
        self.publisher
            .publish(Event::QuestionAnswered {
                question,
                step: Some(step.path.clone()),
                answer: answer.to_owned(),
                reason: Some(why),
                by: self.operator.name(),
                values: Map::new(),
            })
            .await
    }

    async fn skip(&self, step: &Step, answer: Answer) -> Result<Standing, StepError> {
        let reason = answer.reason.unwrap_or_else(|| "no reason was given".into());
        let event = Event::StepSkipped { step: step.path.clone(), cause: SkipCause::Operator, reason };
        self.publisher.publish(event).await?;
        self.settle(step, StepStatus::Skipped, &IndexMap::new());
        Ok(Standing::Satisfied)
    }

    /// The operator says the effect is there; `verify`, if there is one, must agree. `Err` holds what it found instead.
    pub(super) async fn done_by_hand(
        &self,
        step: &Step,
        answer: Answer,
    ) -> Result<Result<Standing, String>, StepError> {
        let attempt = self.state().steps.get(&step.path).map_or(0, |state| state.attempts);
        let reason = answer.reason.unwrap_or_else(|| "no reason was given".into());
        let mut report = StepReport::of(StepStatus::DoneByHand);
        report.notes.push(format!("done by hand: {reason}"));
        let began = self.world.now();
        let cx = self.context(step, attempt);
        let mut gathered = Gathered::default();
        if step.verify.is_some() {
            match self.verify(step, &cx).await? {
                Verified::InPlace(values) => gathered = self.gather(values, step)?,
                Verified::NotInPlace(found) => {
                    self.record_look(step, attempt, &cx).await?;
                    return Ok(Err(format!("It is not in place: {found}")));
                }
                Verified::Undecided(found) => report.notes.push(format!("verify could not tell: {found}")),
            }
        }
        self.record_end(step, attempt, &report, StepStatus::DoneByHand, &gathered, &cx, began).await?;
        self.settle(step, StepStatus::DoneByHand, &gathered.values);
        Ok(Ok(Standing::Satisfied))
    }

    /// The look wrote into the log of an attempt that has its end on record already.
    async fn record_look(&self, step: &Step, attempt: u32, cx: &Attempt<'_, '_>) -> Result<(), StepError> {
        let output = cx.commit();
        let Some(sha256) = output.sha256 else { return Ok(()) };
        let event = Event::OutputCommit { step: step.path.clone(), attempt, bytes: output.bytes, sha256 };
        self.publisher.publish(event).await
    }

    pub(super) fn title(&self, step: &Step) -> String {
        self.plan.title(step, &self.scope.borrow())
    }

    /// For a resume: judges an end that a supervisor wrote down.
    pub(super) async fn adopt(
        &self,
        step: &Step,
        attempt: u32,
        mut report: StepReport,
        look: bool,
    ) -> Result<Ended, StepError> {
        let began = self.world.now();
        let cx = self.context(step, attempt);
        let mut gathered = Gathered::default();
        let mut status = report.status;
        let mut not_in_place = false;
        if look && step.verify.is_some() {
            match self.verify(step, &cx).await? {
                Verified::InPlace(values) => {
                    gathered = self.gather(values, step)?;
                    report.notes.push("verified: it is in place".into());
                    report.failure = None;
                    status = StepStatus::Succeeded;
                }
                Verified::NotInPlace(found) => {
                    report.failure = Some(Failure::plain(format!("verified: not in place ({found})")));
                    status = StepStatus::Failed;
                    not_in_place = true;
                }
                Verified::Undecided(found) => report.notes.push(format!("verify could not tell: {found}")),
            }
        }
        self.record_end(step, attempt, &report, status, &gathered, &cx, began).await?;
        Ok(Ended {
            status,
            captures: gathered.values,
            result: None,
            why: why(&report),
            output: Vec::new(),
            not_in_place,
        })
    }
}

/// Where a secret is read from, with its templates rendered. None for one that is prompted for, or that waits for a
/// parameter.
pub(crate) fn secret_source(place: &SecretPlace, scope: &Scope) -> Result<Option<SecretSource>, String> {
    let text = |template: &crate::syntax::Template| match template.render(scope, &[]) {
        Ok(Rendered::Text(text)) => Ok(Some(text)),
        Ok(Rendered::Deferred(_)) => Ok(None),
        Err(diagnostic) => Err(diagnostic.message),
    };
    Ok(match place {
        SecretPlace::Prompt => None,
        SecretPlace::Env(name) => text(name)?.map(SecretSource::Env),
        SecretPlace::File(path) => text(path)?.map(|path| SecretSource::File(path.into())),
        SecretPlace::Command(argv) => {
            let argv: Result<Option<Vec<String>>, String> = argv.iter().map(text).collect();
            argv?.map(SecretSource::Command)
        }
    })
}

/// Every secret source of a plan, for the checks before the first step.
pub fn secret_sources(plan: &Plan) -> Vec<(String, Result<Option<SecretSource>, String>)> {
    let scope = plan.scope();
    plan.runbook.secrets.values().map(|spec| (spec.name.clone(), secret_source(&spec.place, &scope))).collect()
}

pub(super) fn why(report: &StepReport) -> String {
    match &report.failure {
        Some(failure) => failure.message.clone(),
        None => "it ended".into(),
    }
}

/// Whether an answer says something about the effect: what was looked at, or that it is not there, does; an outage, a
/// refusal and a command that could not be run do not.
fn tells(report: &StepReport) -> bool {
    match (report.http_status, report.exit) {
        (Some(status), _) => matches!(status, 200..=299 | 404 | 410),
        (None, Some(exit)) => (0..126).contains(&exit),
        (None, None) => false,
    }
}

pub(super) fn texts_of(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| texts_of(item, texts)),
        Value::Map(entries) => entries.values().for_each(|item| texts_of(item, texts)),
        Value::None | Value::Bool(_) => {}
        other => texts.push(other.to_string()),
    }
}

/// An expression that reads what is not there fails; this says why it is not.
fn say_why_missing(diagnostic: Diagnostic, result: &Value) -> Diagnostic {
    let has = |name| crate::model::field(result, name).is_some();
    if crate::model::field(result, "truncated") == Some(&Value::Bool(true)) {
        return diagnostic.hint(if has("status") {
            "the answer was longer than is kept for expressions; raise `max_body`, or `save` it to a file"
        } else {
            "the output was longer than is kept for expressions; raise `max_output`, or write it to a file"
        });
    }
    if diagnostic.code == "no-value" && diagnostic.message == "`result` has no `json`" && !has("json") {
        let what = if has("body") { "the answer" } else { "the output" };
        return Diagnostic { message: format!("{what} is not JSON, so there is no `result.json`"), ..diagnostic }
            .hint("`is defined` asks whether it is");
    }
    diagnostic
}
