//! One step as written. Knows nothing of its kind beyond the action.

use std::time::Duration;

use super::{Body, Capture, ForEach};
use crate::{
    event::StepId,
    syntax::{Expr, Template},
    text::{Span, Spanned},
    value::{Scope, Value},
};

#[derive(Debug)]
pub struct Step {
    pub id: Spanned<String>,
    pub path: StepId,
    pub title: Option<Template>,
    pub text: Option<Template>,
    /// None: the sibling before it.
    pub needs: Option<Vec<Need>>,
    /// The key and its value.
    pub needs_span: Option<Span>,
    pub when: Option<Expr>,
    pub body: Body,
    pub retry: Option<Retry>,
    pub idempotent: bool,
    pub verify: Option<Body>,
    /// What the file says of this step itself.
    pub on_failure: Option<OnFailure>,
    /// What the nearest container of the same file says that says anything.
    pub inherited: Option<OnFailure>,
    pub critical: bool,
    pub foreach: Option<ForEach>,
    /// What takes its effect back: a step of its own, under the name of this one and `@undo`.
    pub undo: Option<Box<Step>>,
    /// A point of no return: nothing before it is undone once it ran.
    pub irreversible: bool,
    /// The whole mapping.
    pub span: Span,
}

impl Step {
    /// What follows from its failure: what it says itself, or a container around it.
    pub fn policy(&self) -> OnFailure {
        self.on_failure.or(self.inherited).unwrap_or(OnFailure::Ask)
    }

    /// Whether it does something itself, and does not only hold other steps. What a call does is counted as one.
    pub fn is_leaf(&self) -> bool {
        !matches!(self.body.action.inside(), Some(super::Inside::Group(_) | super::Inside::Choose(_)))
    }

    /// Whether it lives beside the steps of a group, and is none of them.
    pub fn is_helper(&self) -> bool {
        self.path.helps().is_some()
    }

    /// The path of the list it stands in.
    pub fn above(&self) -> &str {
        let path = self.path.as_str();
        let own = self.id.value.len();
        path.get(..path.len().saturating_sub(own)).unwrap_or_default().trim_end_matches('/')
    }

    /// This step, then those inside of it in the same file.
    pub fn with_inside(&self) -> Vec<&Step> {
        let mut all = vec![self];
        if let Some(inside) = self.body.action.inside() {
            all.extend(inside.lists().into_iter().flatten().flat_map(Step::with_inside));
        }
        all
    }

    /// The captures of the step and of its probe.
    pub fn captures(&self) -> &[Capture] {
        &self.body.captures
    }

    /// What is captured as a secret, by the step or by its `verify`.
    pub fn secret_captures(&self) -> impl Iterator<Item = &Capture> {
        let of_verify = self.verify.iter().flat_map(|verify| &verify.captures);
        self.body.captures.iter().chain(of_verify).filter(|capture| capture.secret)
    }

    /// Every name this step gives a value to.
    pub fn gives(&self) -> Vec<Spanned<String>> {
        let mut names: Vec<_> = self.body.captures.iter().map(|capture| capture.name.clone()).collect();
        names.extend(self.body.action.gives());
        names
    }

    /// A value of this step, from its record. What a person typed has the type it was declared with.
    pub fn recalled(&self, name: &str, json: &serde_json::Value) -> Value {
        let typed = self.body.action.typed().iter().find(|(typed, _)| typed.value == name);
        typed.and_then(|(_, param)| param.shape.read_recorded(json).ok()).unwrap_or_else(|| Value::from_json(json))
    }

    /// Whether it can give its values once more without asking anybody.
    pub fn repeats(&self) -> bool {
        self.idempotent && !self.body.action.is_asked()
    }

    /// The scope as the step itself sees it: what it sets is not something it uses. A variable of its own script may
    /// well have the name under which the result is captured.
    pub fn sees(&self, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        for name in self.gives() {
            scope.forget(&name.value);
        }
        scope
    }
}

/// An edge to a sibling that must be over.
#[derive(Debug)]
pub struct Need {
    pub step: Spanned<String>,
    /// Only if this holds, over parameters.
    pub when: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Ask; unattended as `Stop`.
    Ask,
    Stop,
    Continue,
    /// Take back what ran, and close the run.
    Undo,
}

impl OnFailure {
    pub fn name(self) -> &'static str {
        match self {
            OnFailure::Ask => "ask",
            OnFailure::Stop => "stop",
            OnFailure::Continue => "continue",
            OnFailure::Undo => "undo",
        }
    }
}

/// More than one attempt.
#[derive(Debug)]
pub struct Retry {
    /// At most this many in all.
    pub attempts: u32,
    pub interval: Duration,
    /// The interval grows by this factor after each attempt.
    pub backoff: f64,
    pub max_interval: Duration,
    /// Only if this holds, over `result`.
    pub when: Option<Expr>,
}

impl Retry {
    /// How long to wait before the attempt after `attempt` (from 1).
    pub fn wait_after(&self, attempt: u32) -> Duration {
        backoff(self.interval, self.backoff, self.max_interval, attempt)
    }
}

/// An interval that grows by a factor with each turn (from 1), up to a limit.
pub fn backoff(interval: Duration, factor: f64, limit: Duration, turn: u32) -> Duration {
    let grown = interval.as_secs_f64() * factor.powi(i32::try_from(turn.saturating_sub(1)).unwrap_or(i32::MAX));
    if grown.is_finite() { Duration::from_secs_f64(grown.min(limit.as_secs_f64())) } else { limit }
}
