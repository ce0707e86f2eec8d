//! Expressions, compiled once with the names they use. Knows nothing of which field one stands in.
#![allow(clippy::result_large_err, reason = "a diagnostic is the product here, not the exception")]

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use super::{
    Text,
    ast::{Compiled, Fault, Kind, Node, Shared, Use, uses_of},
    eval::{Machine, Stop, waiting},
    parse,
};
use crate::{
    text::{Diagnostic, Span, TextMap},
    value::{Scope, Value},
};

/// One name that an expression or template uses, also in a branch that is never taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The first identifier; `steps` for `steps["id"].status`.
    pub name: String,
    /// The id after `steps`.
    pub step: Option<String>,
    /// The attributes that follow, as far as they are written out.
    pub path: Vec<String>,
    /// The name, or `steps["id"]`, in the source.
    pub span: Span,
    /// The id after `steps` alone, without quotes.
    pub step_span: Option<Span>,
    /// One for each of `path`.
    pub path_spans: Vec<Span>,
    /// It is a word of a script, where the same word may as well be a variable of the script's own.
    pub in_script: bool,
}

impl Reference {
    /// A use of a plain name.
    pub fn to(name: impl Into<String>, span: Span) -> Reference {
        Reference {
            name: name.into(),
            step: None,
            path: Vec::new(),
            span,
            step_span: None,
            path_spans: Vec::new(),
            in_script: false,
        }
    }

    /// Where the first attribute stands; the name where there is none.
    pub fn field_span(&self) -> Span {
        self.path_spans.first().copied().unwrap_or(self.span)
    }
}

pub(super) fn references(uses: &[Use], map: &TextMap) -> Vec<Reference> {
    uses.iter()
        .map(|used| Reference {
            name: used.name.clone(),
            step: used.step.clone(),
            path: used.path.clone(),
            span: map.span(used.at.clone()),
            step_span: used.step_at.clone().map(|at| map.span(at)),
            path_spans: used.path_at.iter().map(|at| map.span(at.clone())).collect(),
            in_script: false,
        })
        .collect()
}

/// What an expression gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Eval {
    Value(Value),
    /// It was not evaluated; what it waits on: origins of unknown names, names of secrets that were not read.
    Deferred(Vec<String>),
}

/// What a condition gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    /// It was not evaluated; what it waits on.
    Deferred(Vec<String>),
}

/// A compiled expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Expr {
    inner: Shared<Node>,
    span: Span,
    references: Arc<[Reference]>,
    /// What it came to as a condition, over all clones: 1 true, 2 false.
    sides: Arc<AtomicU8>,
}

impl Expr {
    /// Every mistake that can be seen without values is found here, at its character in the file.
    pub fn compile(text: &Text) -> Result<Expr, Diagnostic> {
        let tree = parse::expression(&text.text).map_err(|fault| fault.place(&text.map))?;
        let uses = uses_of(&tree);
        let references = references(&uses, &text.map).into();
        let inner = Compiled { source: text.text.clone(), map: text.map.clone(), tree, uses };
        Ok(Expr { inner: Arc::new(inner), span: text.span, references, sides: Arc::default() })
    }

    /// An expression that is this value, to stand where another could not be read.
    pub fn constant(value: Value, span: Span) -> Expr {
        let tree = Node { at: 0..0, kind: Kind::Const(value), depth: 1 };
        let inner = Compiled { source: String::new(), map: TextMap::default(), tree, uses: Vec::new() };
        Expr { inner: Arc::new(inner), span, references: Arc::new([]), sides: Arc::default() }
    }

    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// As written, where there is room for one line: line ends inside an expression mean a blank.
    pub fn on_one_line(&self) -> String {
        let lines: Vec<&str> = self.source().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join(" ")
    }

    pub fn span(&self) -> Span {
        self.span
    }

    /// The names it uses, in the order they are written, each as often as it is.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Nothing is evaluated while a name it uses is unknown, not even in a branch that would not be taken.
    pub fn eval(&self, scope: &Scope, locals: &[(&str, Value)]) -> Result<Eval, Diagnostic> {
        let waits = waiting(&self.inner.uses, scope, locals);
        if !waits.is_empty() {
            return Ok(Eval::Deferred(waits));
        }
        match Machine::new(&self.inner.source, scope, locals).outcome(&self.inner.tree) {
            Ok(value) => Ok(Eval::Value(value)),
            Err(Stop::Waiting(names)) => Ok(Eval::Deferred(names)),
            Err(Stop::Fault(fault)) => Err(self.place(&fault)),
        }
    }

    /// Whether it held, and whether it did not, whenever it was evaluated as a condition since [`Expr::forget_sides`].
    pub fn sides(&self) -> (bool, bool) {
        let sides = self.sides.load(Ordering::Relaxed);
        (sides & 1 != 0, sides & 2 != 0)
    }

    pub fn forget_sides(&self) {
        self.sides.store(0, Ordering::Relaxed);
    }

    pub fn eval_bool(&self, scope: &Scope, locals: &[(&str, Value)]) -> Result<Truth, Diagnostic> {
        let waits = waiting(&self.inner.uses, scope, locals);
        if !waits.is_empty() {
            return Ok(Truth::Deferred(waits));
        }
        match Machine::new(&self.inner.source, scope, locals).condition(&self.inner.tree, "a condition") {
            Ok(holds) => {
                self.sides.fetch_or(if holds { 1 } else { 2 }, Ordering::Relaxed);
                Ok(if holds { Truth::True } else { Truth::False })
            }
            Err(Stop::Waiting(names)) => Ok(Truth::Deferred(names)),
            Err(Stop::Fault(fault)) => Err(self.place(&fault)),
        }
    }

    fn place(&self, fault: &Fault) -> Diagnostic {
        fault.place(&self.inner.map)
    }
}
