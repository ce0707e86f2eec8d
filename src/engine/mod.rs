//! Runs a plan: which step is next, what its end means for the run, when to ask. Knows no kind of step, no file, no
//! terminal, and not which world it runs in.

mod accept;
mod attempt;
mod calls;
mod choices;
mod closing;
mod containers;
mod context;
mod daemons;
mod decide;
mod derived;
mod edit;
mod helpers;
mod judge;
mod limits;
mod looks;
mod menu;
mod outlook;
mod prepare;
mod publish;
mod questions;
mod resume;
mod schedule;
mod secret_captures;
mod settle;
mod signals;
mod subshell;
mod undo;
mod unit;
mod way_back;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::PathBuf,
    rc::Rc,
};

use indexmap::IndexMap;

use closing::undecided;
pub use looks::{InPlace, Looked};
pub use outlook::Outlook;
pub use prepare::{needed_secrets, secret_sources};
pub use publish::Publisher;
use schedule::ListEnd;
pub use signals::Signal;
pub use undo::UndoOutlook;
use unit::{Entered, Frame, Unit};

use crate::{
    event::{Effect, Event, Outcome, RunState, SkipCause, StepId, StepPhase, StepStatus},
    plan::Plan,
    port::{Deeds, Failure, Journal, JournalError, Operator, StepError, World},
    syntax::Truth,
    text::{Diagnostic, Source},
    value::{Scope, Value},
};

/// Draws a diagnostic of a runbook.
pub type Draw = Rc<dyn Fn(&Source, &Diagnostic) -> String>;

/// How a run is carried out, apart from what it does.
pub struct Options {
    /// Ask before each step that changes something.
    pub step_mode: bool,
    /// How many steps may run side by side; at least one does.
    pub jobs: usize,
    /// What steps see of the operator's environment, with what any runbook of the run requires of it.
    pub base_env: Vec<(String, String)>,
    /// Where steps run.
    pub cwd: PathBuf,
    /// `run.id` and its kin; none where there is no run.
    pub run: Option<Value>,
    /// Signals of the process.
    pub signals: Option<tokio::sync::mpsc::UnboundedReceiver<Signal>>,
    /// Prompted secrets, asked before the first step; those of a runbook that is called under `RUNBOOK:NAME`.
    pub secrets: IndexMap<String, crate::value::Secret>,
    /// Decisions given on the command line of a resume, by full step id.
    pub decisions: IndexMap<String, Decision>,
    /// What ran is taken back, and nothing else is run.
    pub undo: bool,
    /// Draws a diagnostic of the runbook, for the record.
    pub draw: Draw,
}

/// `resume --step ID --as done|not-done --reason …`.
#[derive(Clone, Debug)]
pub struct Decision {
    pub done: bool,
    pub reason: String,
}

/// How a run came to its end, for the exit code.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    pub outcome: Outcome,
    pub code: u8,
    pub reason: Option<String>,
}

pub struct Engine<'a> {
    plan: &'a Plan,
    world: &'a dyn World,
    operator: &'a dyn Operator,
    journal: &'a dyn Journal,
    publisher: Publisher<'a>,
    /// The run itself, around all loops and calls.
    top: Rc<Frame<'a>>,
    /// By loop: its items, once they are known.
    items: RefCell<HashMap<StepId, Vec<Unit<'a>>>>,
    /// By call: the runbook, once it is entered.
    callees: RefCell<HashMap<StepId, Rc<Frame<'a>>>>,
    /// By file: the helpers in it.
    helpers: RefCell<HashMap<*const crate::model::Runbook, Rc<[helpers::Beside<'a>]>>>,
    /// By helper: held while it is started; true once that was given up.
    starting: RefCell<HashMap<StepId, Rc<tokio::sync::Mutex<bool>>>>,
    /// Containers whose time is over, with their limits.
    late: RefCell<IndexMap<StepId, std::time::Duration>>,
    /// How many steps may run at once, whatever list they stand in.
    jobs: tokio::sync::Semaphore,
    step_mode: Cell<bool>,
    /// What ran is taken back: no step of the run is run any more.
    over: Cell<bool>,
    options: Options,
    signals: signals::Signals,
    /// How long the next attempt of a step goes on, where somebody gave it more time.
    extended: RefCell<IndexMap<StepId, std::time::Duration>>,
    /// Where nothing is done but to look: what was seen, by step.
    looks: RefCell<HashMap<StepId, Looked>>,
    /// And the change that comes first, by the steps that wait for it themselves.
    behind: RefCell<HashMap<StepId, StepId>>,
}

/// What came of a `when`.
pub(crate) enum Condition {
    Holds,
    /// The step is skipped, or shown as written.
    Over,
    Broken(Failure),
}

/// Whether later steps may build on a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Satisfied,
    /// It failed or its effect is open, and nothing may build on it.
    Blocks,
    /// Another one failed before it had begun.
    NotBegun,
}

impl<'a> Engine<'a> {
    pub fn new(
        plan: &'a Plan,
        world: &'a dyn World,
        operator: &'a dyn Operator,
        journal: &'a dyn Journal,
        publisher: Publisher<'a>,
        mut options: Options,
    ) -> Engine<'a> {
        let mut scope = plan.scope();
        if let Some(run) = &options.run {
            scope.know("run", run.clone());
        }
        // Whoever reads no secrets does not have to look for what is made of them.
        if world.deeds() != Deeds::Nothing {
            scope.tell(std::sync::Arc::new(derived::Derived::new(publisher.redactor().clone())));
        }
        let signals = signals::Signals::new(options.signals.take());
        let step_mode = Cell::new(options.step_mode);
        let top = Frame::top(Entered {
            book: &plan.runbook,
            names: &plan.names,
            scope,
            origins: plan.origins(),
            cwd: options.cwd.clone(),
        });
        let jobs = tokio::sync::Semaphore::new(options.jobs.max(1));
        Engine {
            plan,
            world,
            operator,
            journal,
            publisher,
            top,
            items: RefCell::default(),
            callees: RefCell::default(),
            helpers: RefCell::default(),
            starting: RefCell::default(),
            late: RefCell::default(),
            jobs,
            step_mode,
            over: Cell::new(false),
            options,
            signals,
            extended: RefCell::default(),
            looks: RefCell::default(),
            behind: RefCell::default(),
        }
    }

    /// What the names stand for now; after a plan, with everything that could be computed.
    pub fn scope(&self) -> Scope {
        self.top.scope.borrow().clone()
    }

    pub fn publisher(&self) -> &Publisher<'a> {
        &self.publisher
    }

    /// Runs what is left of the plan and closes or pauses the run.
    pub async fn run(&self) -> RunEnd {
        tokio::select! {
            biased;
            end = self.whole() => end,
            never = self.mind_signals() => match never {},
        }
    }

    async fn whole(&self) -> RunEnd {
        let reopened = self.state().reopened;
        let mut result = self.main_part().await;
        let end = loop {
            self.signals.wound_down();
            let cause = self.cause_of_undo(&result);
            let end = match result {
                Err(StepError::Journal(error)) => return self.journal_lost(&error),
                Err(StepError::Fault(why)) => return self.fault(why),
                Err(StepError::Paused(why)) if cause.is_none() => return self.stopped_short(why, reopened).await,
                Err(StepError::Undecided(why)) if reopened.is_some() => return self.left(7, why, reopened).await,
                Ok(list) => self.judge(&list),
                Err(StepError::Undecided(why)) => RunEnd { outcome: Outcome::Unknown, code: 7, reason: Some(why) },
                Err(StepError::Declined(why)) if cause.is_none() => self.declined(why),
                Err(StepError::Paused(why) | StepError::Declined(why)) => {
                    RunEnd { outcome: Outcome::Declined, code: 5, reason: Some(why) }
                }
            };
            let Some(cause) = cause else { break end };
            let end = match cause {
                undo::Cause::Asked => self.asked_end(reopened),
                _ => end,
            };
            match self.take_back(&cause, end).await {
                Ok(undo::Taken::End(end)) => break end,
                Ok(undo::Taken::Left(end)) => {
                    return self.left(end.code, end.reason.unwrap_or_default(), reopened).await;
                }
                Ok(undo::Taken::GoOn) => result = self.main_list().await,
                Err(StepError::Paused(why)) => return self.stopped_short(why, reopened).await,
                Err(StepError::Undecided(why)) if reopened.is_some() && self.state().undo.is_none() => {
                    return self.left(7, why, reopened).await;
                }
                Err(StepError::Declined(why)) if reopened.is_some() => return self.left(5, why, reopened).await,
                Err(StepError::Undecided(why)) => {
                    break RunEnd { outcome: Outcome::Unknown, code: 7, reason: Some(why) };
                }
                Err(StepError::Declined(why)) => {
                    break RunEnd { outcome: Outcome::Declined, code: 5, reason: Some(why) };
                }
                Err(StepError::Journal(error)) => return self.journal_lost(&error),
                Err(StepError::Fault(why)) => return self.fault(why),
            }
        };
        // What runs last has run when it was over the first time.
        if reopened.is_some() {
            return self.close(end).await;
        }
        if end.outcome == Outcome::Succeeded
            && self.options.run.is_some()
            && let Some(left) = self.left_out()
        {
            return self.fault(format!("step {left} was left out, and nothing says why"));
        }
        if !end.outcome.closes() {
            return self.close(end).await;
        }
        let result = self.final_part(end).await;
        self.signals.wound_down();
        match result {
            Ok(end) => self.close(end).await,
            // A no at the very end was taken there already; it cannot come here.
            Err(StepError::Paused(why) | StepError::Declined(why) | StepError::Undecided(why)) => self.pause(why).await,
            Err(StepError::Journal(error)) => self.journal_lost(&error),
            Err(StepError::Fault(why)) => self.fault(why),
        }
    }

    /// How a run stands that was asked to be taken back, if nothing is.
    fn asked_end(&self, reopened: Option<(Outcome, u8)>) -> RunEnd {
        match reopened {
            Some((outcome, code)) => RunEnd { outcome, code, reason: Some(stood(outcome).into()) },
            None => RunEnd { outcome: Outcome::Paused, code: 11, reason: Some("it was not over".into()) },
        }
    }

    /// A stop from outside. A run that was over is over again, unless something was done.
    async fn stopped_short(&self, why: String, reopened: Option<(Outcome, u8)>) -> RunEnd {
        if reopened.is_some() && self.state().undo.is_none() {
            return self.left(11, why, reopened).await;
        }
        self.interrupted(why).await
    }

    /// Nothing was taken back: the run is as it was. `code` is that of this program alone.
    async fn left(&self, code: u8, why: String, reopened: Option<(Outcome, u8)>) -> RunEnd {
        let Some((outcome, before)) = reopened else {
            return if code == 7 { self.close(undecided(&why, &[])).await } else { self.pause(why).await };
        };
        let end = self.close(RunEnd { outcome, code: before, reason: Some(why) }).await;
        if end.outcome == outcome { RunEnd { code, ..end } } else { end }
    }

    fn journal_lost(&self, error: &JournalError) -> RunEnd {
        RunEnd { outcome: Outcome::Unknown, code: 9, reason: Some(self.naming_daemons(error.to_string())) }
    }

    fn fault(&self, why: String) -> RunEnd {
        RunEnd { outcome: Outcome::Unknown, code: 70, reason: Some(self.naming_daemons(why)) }
    }

    /// A step that neither ran nor was skipped: no run succeeds with one, whatever way it came about.
    fn left_out(&self) -> Option<String> {
        let state = self.publisher.state();
        let over = |step: &crate::model::Step| {
            let status = state.steps.get(&step.path).and_then(|state| state.status());
            status.is_some_and(|status| status != StepStatus::NotRun)
        };
        self.plan.runbook.steps.iter().find(|step| !over(step)).map(|step| step.path.to_string())
    }

    async fn main_part(&self) -> Result<ListEnd, StepError> {
        for secret in self.options.secrets.iter() {
            if self.plan.runbook.secrets.contains_key(secret.0) {
                self.learn_secret(&self.top, secret.0, secret.1.clone()).map_err(StepError::Paused)?;
            }
        }
        self.restore().await?;
        if self.goes_back() {
            return Ok(ListEnd::default());
        }
        if let Some(why) = self.was_declined() {
            self.decide_open_ends().await?;
            self.settle_open_ends();
            self.make_again_for_finally().await?;
            return Err(StepError::Declined(why));
        }
        if self.is_closing() {
            self.settle_open_ends();
            self.make_again_for_finally().await?;
            return Ok(self.ends(&self.list_of(&self.top, &self.plan.runbook.steps)));
        }
        self.main_list().await
    }

    async fn main_list(&self) -> Result<ListEnd, StepError> {
        self.signals.begin_any();
        let units = self.list_of(&self.top, &self.plan.runbook.steps);
        self.list(&units, &self.plan.main, self.options.jobs, false).await
    }

    /// An earlier session came as far as `finally`: what stands before it is over, however it ended.
    fn is_closing(&self) -> bool {
        let state = self.publisher.state();
        if state.closing {
            return true;
        }
        let begun =
            |step: &crate::model::Step| state.steps.get(&step.path).is_some_and(|s| s.phase != StepPhase::NotStarted);
        self.plan.runbook.finally.iter().any(begun)
    }

    /// A no, or a quit, that an earlier session could not carry to its end: nobody is asked twice.
    fn was_declined(&self) -> Option<String> {
        self.was_declined_at().map(|(path, said)| format!("{path} was answered with {said}"))
    }

    /// The step, and what was said.
    fn was_declined_at(&self) -> Option<(StepId, String)> {
        let state = self.publisher.state();
        let of_run = |path: &StepId| !self.in_finally(path) && path.undoes().is_none();
        state.steps.iter().filter(|(path, _)| of_run(path)).find_map(|(path, of)| {
            let said = of.answers.last()?.0.as_str();
            let declines = matches!(said, "quit" | "undo") || (said == "no" && of.kind == "confirm");
            declines.then(|| (path.clone(), said.to_owned()))
        })
    }

    /// No step of the run is run any more: what it had begun is only decided.
    pub(crate) fn is_over_for_good(&self, step: &Unit<'_>) -> bool {
        let of_run = !self.in_finally(&step.path) && step.path.undoes().is_none() && step.path.helps().is_none();
        of_run && (self.over.get() || self.was_declined().is_some())
    }

    /// `finally`: each step is tried; a failure there makes a success a failure.
    async fn final_part(&self, end: RunEnd) -> Result<RunEnd, StepError> {
        let open_calls = self.open_calls();
        if self.plan.runbook.finally.is_empty() && open_calls.is_empty() {
            return Ok(end);
        }
        // Who quits leaves ends that nothing has settled, and these steps look at them.
        self.settle_open_ends();
        self.forget_waiting();
        self.forget_limits();
        self.signals.begin_any();
        let list = match self.final_lists(&open_calls).await {
            Err(StepError::Declined(why)) if end.outcome == Outcome::Succeeded => {
                return Ok(RunEnd { outcome: Outcome::Declined, code: 5, reason: Some(why) });
            }
            Err(StepError::Declined(_)) => return Ok(end),
            other => other?,
        };
        let mut broken = list.failed;
        broken.extend(list.unknown);
        if broken.is_empty() {
            return Ok(end);
        }
        let reason = format!("failed at the end: {}", broken.join(", "));
        if end.outcome != Outcome::Succeeded {
            let reason = end.reason.map_or(reason.clone(), |before| format!("{before}; {reason}"));
            return Ok(RunEnd { reason: Some(reason), ..end });
        }
        Ok(RunEnd { outcome: Outcome::Failed, code: 1, reason: Some(reason) })
    }

    /// One step, from its condition to its end.
    async fn step(&self, step: &Unit<'a>, last: bool) -> Result<Standing, StepError> {
        if step.is_container() {
            return self.container(step, last).await;
        }
        let begun = self.publisher.state().steps.get(&step.path).map(|s| s.phase.clone());
        if let Some(standing) = self.carry_on(step, begun, last).await? {
            return Ok(standing);
        }
        loop {
            let failure = match self.condition(step).await? {
                Condition::Holds => {
                    let standing = self.attempts(step, last).await?;
                    self.look_whether_in_place(step).await?;
                    return Ok(standing);
                }
                Condition::Over => return Ok(Standing::Satisfied),
                Condition::Broken(failure) => failure,
            };
            // Whoever tries it again has it looked at again: a value may have been given meanwhile.
            let ended = self.fail_unstarted(step, failure).await?;
            match self.after(step, &ended, last).await? {
                decide::Next::Again => {}
                decide::Next::Over(standing) => return Ok(standing),
            }
        }
    }

    /// Its `when`, evaluated once.
    pub(crate) async fn condition(&self, step: &Unit<'a>) -> Result<Condition, StepError> {
        let Some(when) = &step.when else { return Ok(Condition::Holds) };
        let truth = when.eval_bool(&step.scope(), &[]);
        Ok(match truth {
            Ok(Truth::True) => Condition::Holds,
            Ok(Truth::False) => {
                let reason = format!("`when` is false: {}", when.on_one_line());
                let event = Event::StepSkipped { step: step.path.clone(), cause: SkipCause::Condition, reason };
                self.publisher.publish(event).await?;
                self.settle(step, StepStatus::Skipped, &IndexMap::new());
                Condition::Over
            }
            Ok(Truth::Deferred(waiting_on)) => match self.unmet(waiting_on) {
                Ok(waiting_on) => {
                    self.defer(step, waiting_on).await?;
                    Condition::Over
                }
                Err(failure) => Condition::Broken(failure),
            },
            Err(diagnostic) => Condition::Broken(Failure::drawn(diagnostic)),
        })
    }

    /// Only where nothing is run may a step wait for ever: in a run everything it uses is known or absent by now, so what
    /// is not is a failure, and never a step that was left out in silence.
    pub(crate) fn unmet(&self, waiting_on: Vec<String>) -> Result<Vec<String>, Failure> {
        if self.options.run.is_none() {
            return Ok(waiting_on);
        }
        Err(Failure::plain(format!("it uses {}, which nothing has set", waiting_on.join(", "))))
    }

    /// The step is shown as written: it uses values that are not there.
    pub(crate) async fn defer(&self, step: &Unit<'a>, names: Vec<String>) -> Result<Standing, StepError> {
        // A script may mention one value many times.
        let waiting_on: Vec<String> = names.into_iter().collect::<indexmap::IndexSet<_>>().into_iter().collect();
        let detail = step.body.show(&step.seen()).detail;
        self.publisher.publish(Event::StepDeferred { step: step.path.clone(), waiting_on, detail }).await?;
        Ok(Standing::Satisfied)
    }

    pub(crate) fn effect_of(step: &Unit<'_>) -> Effect {
        step.body.effect
    }

    pub(crate) fn state(&self) -> std::cell::Ref<'_, RunState> {
        self.publisher.state()
    }
}

/// How a run stood that is over, at the beginning of a reason.
fn stood(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "it had succeeded",
        Outcome::Failed => "it had failed",
        Outcome::Declined => "it was declined",
        Outcome::Undone => "it was undone already",
        Outcome::UndoFailed => "its undo had failed",
        Outcome::Paused => "it was paused",
        Outcome::Unknown => "its outcome was unknown",
    }
}
