//! What a scenario says, every part with its place. Runs nothing.

use indexmap::IndexMap;

use crate::{
    event::{Outcome, StepStatus},
    operators::Given,
    plan::Inputs,
    text::{Diagnostic, Source, Span, Spanned, Wildcard},
    value::Secret,
    worlds::scenario::{CommandPattern, RequestPattern, Script, SurpriseReply},
};

pub struct Scenario {
    pub name: Spanned<String>,
    /// Every parameter with its value.
    pub inputs: Inputs,
    /// Parameters that are refused, each with the reason; there only where this is expected.
    pub refused: Vec<(String, String)>,
    /// What stands for secrets, by name.
    pub secrets: IndexMap<String, Secret>,
    /// By full step id, or by what a question is about that is about no step.
    pub answers: IndexMap<String, Spanned<Vec<Given>>>,
    pub world: Script,
    /// Where the rules of the world stand.
    pub shell_rules: Vec<Span>,
    pub http_rules: Vec<Span>,
    /// In this order.
    pub crashes: Vec<Spanned<Crash>>,
    /// What may go wrong besides.
    pub surprises: Vec<Spanned<Startle>>,
    pub expect: Expect,
}

/// What one step may be answered with out of turn.
#[derive(Clone, Debug)]
pub struct Startle {
    /// As the rules of the world name it.
    pub step: String,
    pub reply: SurpriseReply,
}

/// A moment at which the engine dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The end of this step is on record.
    After(String),
    /// A command or request of this step was answered, and nobody heard of it.
    During(String),
}

impl Crash {
    pub fn step(&self) -> &str {
        match self {
            Crash::After(step) | Crash::During(step) => step,
        }
    }
}

/// What must come out.
pub struct Expect {
    pub outcome: Spanned<Outcome>,
    /// Parameters, each with what the reason holds for which it is refused. Nothing is run where there are any.
    pub refused: Vec<(Spanned<String>, Wildcard)>,
    pub code: Option<Spanned<u8>>,
    pub reason: Option<Spanned<Wildcard>>,
    pub order: Vec<Spanned<String>>,
    pub status: Vec<(Spanned<String>, StepStatus)>,
    pub failure: Vec<(Spanned<String>, Wildcard)>,
    pub requests: Vec<Spanned<Times<RequestPattern>>>,
    pub commands: Vec<Spanned<Times<CommandPattern>>>,
    /// None: nothing is said about it.
    pub asked: Option<Spanned<Vec<Spanned<Times<AskedPattern>>>>>,
    pub captures: Vec<(Spanned<String>, serde_json::Value)>,
    pub outputs: Vec<(Spanned<String>, serde_json::Value)>,
    pub undone: Option<Spanned<Vec<String>>>,
    pub files: Vec<(Spanned<String>, Wildcard)>,
}

/// How often something is expected.
pub struct Times<T> {
    pub of: T,
    /// None: at least once.
    pub times: Option<usize>,
}

/// Which questions are meant.
#[derive(Clone, Debug, Default)]
pub struct AskedPattern {
    pub step: Option<Wildcard>,
    pub about: Option<String>,
    pub message: Option<Wildcard>,
}

/// Something that is wrong with a scenario or with what came of it, and where.
pub struct Finding {
    pub source: Source,
    pub diagnostic: Diagnostic,
    /// The full id of the step that it is about.
    pub step: Option<String>,
}

/// Where a step of a run is written.
pub struct StepPlace {
    pub source: Source,
    pub span: Span,
}
