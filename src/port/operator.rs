//! Questions to a person, and what came back. Knows nothing of keyboards.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::Local;
use crate::{
    event::{Effect, StepId},
    value::{Secret, Shape, Type, Value},
};

/// Answers questions: a terminal, an answers file, a script.
pub trait Operator {
    /// Asks one question; the engine asks one at a time. Must fail closed: whatever is not a clear answer is
    /// [`Reply::Nobody`] or [`Reply::Closed`], never a yes.
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply>;

    /// Who answers, for the record.
    fn name(&self) -> String;

    /// Whether a person is there.
    fn attended(&self) -> bool;
}

/// A question with everything a person needs in view. All texts are masked already.
#[derive(Clone, Debug)]
pub struct Question {
    pub step: Option<StepId>,
    pub title: String,
    pub message: String,
    /// What is known: the command, the end of the output, the effects on record.
    pub context: Vec<String>,
    pub kind: QuestionKind,
    /// Menu choices with their consequence, in the order shown. Empty where an answer is typed.
    pub choices: Vec<Choice>,
}

#[derive(Clone, Debug)]
pub enum QuestionKind {
    /// A gate. Its answer is the text `yes` or `no`.
    Confirm {
        effect: Effect,
        type_back: Option<String>,
        /// Why it cannot be answered with yes now, if it cannot.
        not_now: Option<String>,
    },
    /// Something only a person can do; answered `done`, with values for the evidence.
    Manual { open: Option<String>, evidence: Vec<Evidence> },
    /// Values that only a person knows; answered `give`, with all of them.
    Ask { fields: Vec<Evidence> },
    /// In step mode, before a step that changes something.
    BeforeStep { effect: Effect },
    /// After a failure.
    Failure,
    /// After an end that left the effect open.
    Unknown,
    /// A value that is not on record and cannot be made again: typed without echo.
    Withheld { name: String },
    /// Which of several ways is taken.
    Choose,
    /// Ctrl-C.
    Interrupt,
    /// Whether what ran is to be taken back.
    Undo,
    /// Something about the run as a whole, such as a changed plan on resume.
    Run,
}

impl QuestionKind {
    /// The word in `question_asked`.
    pub fn about(&self) -> &'static str {
        match self {
            QuestionKind::Confirm { .. } => "confirm",
            QuestionKind::Manual { .. } => "manual",
            QuestionKind::Ask { .. } => "ask",
            QuestionKind::BeforeStep { .. } => "before_step",
            QuestionKind::Failure => "failure",
            QuestionKind::Unknown => "unknown",
            QuestionKind::Withheld { .. } => "secret",
            QuestionKind::Choose => "choose",
            QuestionKind::Interrupt => "interrupt",
            QuestionKind::Undo => "undo",
            QuestionKind::Run => "run",
        }
    }
}

/// One line of a menu.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The letter that chooses it.
    pub key: char,
    /// The word of the answer in the journal and in an answers file, such as `skip`.
    pub name: Cow<'static, str>,
    /// What choosing it does, in a few words.
    pub consequence: String,
    /// A reason must be typed.
    pub needs_reason: bool,
}

/// A value a person is asked for, as evidence of a manual step or by itself.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub name: String,
    pub prompt: String,
    pub help: Option<String>,
    /// What its value must be. A secret is typed without echo, and never on record.
    pub shape: Shape,
    /// What it is where nothing is typed.
    pub default: Option<Value>,
    pub example: Option<Value>,
}

impl Evidence {
    /// With nothing said about it but what it must be.
    pub fn of(name: impl Into<String>, shape: Shape) -> Evidence {
        let name = name.into();
        Evidence { prompt: name.clone(), name, help: None, shape, default: None, example: None }
    }

    pub fn is_secret(&self) -> bool {
        self.shape.ty == Type::Secret
    }
}

/// What came of asking.
#[derive(Clone)]
pub enum Reply {
    Answer(Answer),
    /// There is nobody to ask: the run pauses.
    Nobody {
        why: String,
    },
    /// The terminal is gone, or input ended: never a yes; the run pauses.
    Closed {
        why: String,
        how: Closing,
    },
    /// The question is not put to anyone in this mode; its outcome stays unknown.
    Unasked,
}

/// How a question was closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Ctrl-C, typed at the question.
    Interrupted,
    /// The person backed out of it.
    Escaped,
    /// The terminal or its input is at its end, or nothing may go on.
    Ended,
}

#[derive(Clone)]
pub struct Answer {
    /// `yes`, `no`, `done`, or the name of a choice.
    pub word: String,
    pub reason: Option<String>,
    /// Evidence of a manual step, or what an ask asked for, secrets included.
    pub values: IndexMap<String, Value>,
    /// The answer to [`QuestionKind::Withheld`].
    pub secret: Option<Secret>,
}

impl Answer {
    pub fn word(word: impl Into<String>) -> Answer {
        Answer { word: word.into(), reason: None, values: IndexMap::new(), secret: None }
    }
}
