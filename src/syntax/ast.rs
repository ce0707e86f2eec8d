//! The tree of an expression or template, every node with its place in the text. Evaluates nothing.

use std::{collections::HashSet, ops::Range, sync::Arc};

use super::functions::Function;
use crate::{
    text::{Diagnostic, TextMap},
    value::Value,
};

/// A range of byte offsets in the text of the expression or template.
pub(super) type At = Range<usize>;

/// How deep a tree may be. Parsing, evaluating and dropping recurse, so this bounds the stack they need.
pub(super) const MAX_DEPTH: u16 = 120;

#[derive(Debug)]
pub(super) struct Node {
    pub at: At,
    pub kind: Kind,
    /// Levels below this node, itself included.
    pub depth: u16,
}

#[derive(Debug)]
pub(super) enum Kind {
    Const(Value),
    Var(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// The place is that of the name alone.
    Attr(Box<Node>, String, At),
    Item(Box<Node>, Box<Node>),
    Slice(Box<Node>, [Option<Box<Node>>; 3]),
    Not(Box<Node>),
    Negate(Box<Node>),
    Math(MathOp, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// `a < b < c`: each neighbouring pair must hold.
    Compare(Box<Node>, Vec<(CompareOp, Node)>),
    If {
        test: Box<Node>,
        yes: Box<Node>,
        no: Option<Box<Node>>,
    },
    /// The subject is missing in `{% filter upper %}`.
    Filter(Option<Box<Node>>, Box<Call>),
    Test(Box<Node>, Box<Call>),
    Call(Box<Call>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MathOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

impl MathOp {
    pub fn sign(self) -> &'static str {
        match self {
            MathOp::Add => "+",
            MathOp::Sub => "-",
            MathOp::Mul => "*",
            MathOp::Div => "/",
            MathOp::FloorDiv => "//",
            MathOp::Rem => "%",
            MathOp::Pow => "**",
            MathOp::Concat => "~",
        }
    }
}

impl CompareOp {
    pub fn sign(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
            CompareOp::In => "in",
            CompareOp::NotIn => "not in",
        }
    }
}

/// A filter, test or function with its arguments, already sorted into its parameters.
#[derive(Debug)]
pub(super) struct Call {
    pub function: &'static Function,
    pub name_at: At,
    /// One for each declared parameter.
    pub args: Vec<Option<Node>>,
    /// What goes into `*rest` or `**rest`; named entries carry their name.
    pub rest: Vec<(Option<String>, Node)>,
    /// The filter or test that `map`, `select` and their kin apply to each item, when the first argument names one.
    pub each: Option<&'static Function>,
    /// A regular expression that was written out, compiled once.
    pub regex: Option<regex::Regex>,
}

#[derive(Debug)]
pub(super) enum Piece {
    Raw(String),
    Emit {
        node: Node,
        at: At,
    },
    For {
        target: Target,
        list: Node,
        filter: Option<Node>,
        body: Vec<Piece>,
        otherwise: Vec<Piece>,
        /// `loop` occurs inside.
        looks: bool,
        at: At,
    },
    If {
        cases: Vec<(Node, Vec<Piece>)>,
        otherwise: Vec<Piece>,
        at: At,
    },
    With {
        names: Vec<(Target, Node)>,
        body: Vec<Piece>,
        at: At,
    },
    Set {
        target: Target,
        node: Node,
        at: At,
    },
    SetBlock {
        target: Target,
        filter: Option<Node>,
        body: Vec<Piece>,
        at: At,
    },
    FilterBlock {
        filter: Node,
        body: Vec<Piece>,
        at: At,
    },
}

#[derive(Debug)]
pub(super) enum Target {
    Name(String, At),
    List(Vec<Target>, At),
}

impl Target {
    pub fn at(&self) -> &At {
        match self {
            Target::Name(_, at) | Target::List(_, at) => at,
        }
    }
}

/// What is wrong, at a range of the text; becomes a [`Diagnostic`] once the text's place in its file is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub at: At,
    pub code: &'static str,
    pub message: String,
    pub label: String,
    pub hint: Option<String>,
}

impl Fault {
    pub fn new(code: &'static str, at: At, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault { at, code, message: message.into(), label: String::new(), hint: None })
    }

    pub fn label(mut self: Box<Fault>, label: impl Into<String>) -> Box<Fault> {
        self.label = label.into();
        self
    }

    pub fn hint(mut self: Box<Fault>, hint: impl Into<String>) -> Box<Fault> {
        self.hint = Some(hint.into());
        self
    }

    pub fn hint_opt(mut self: Box<Fault>, hint: Option<String>) -> Box<Fault> {
        self.hint = hint.or(self.hint.take());
        self
    }

    pub fn place(&self, map: &TextMap) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.code, map.span(self.at.clone()), &self.message).label(&self.label);
        diagnostic.hint.clone_from(&self.hint);
        diagnostic
    }
}

pub(super) type Caught<T> = Result<T, Box<Fault>>;

/// A name as it is used: before its place in the file is known.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub name: String,
    pub step: Option<String>,
    pub path: Vec<String>,
    pub at: At,
    /// The id after `steps` alone.
    pub step_at: Option<At>,
    /// One for each of `path`.
    pub path_at: Vec<At>,
}

/// The step that `steps.id` or `steps["id"]` means.
pub(super) fn step_of(node: &Node) -> Option<&str> {
    let (target, id) = match &node.kind {
        Kind::Attr(target, name, _) => (target, name.as_str()),
        Kind::Item(target, key) => match &key.kind {
            Kind::Const(Value::Text(id)) => (target, id.as_ref()),
            _ => return None,
        },
        _ => return None,
    };
    matches!(&target.kind, Kind::Var(name) if name == "steps").then_some(id)
}

/// Every name that is used but not bound inside, in the order it is written.
pub(super) fn uses_of(node: &Node) -> Vec<Use> {
    let mut walk = Walk::default();
    walk.node(node);
    walk.uses
}

pub(super) fn uses_of_pieces(pieces: &[Piece]) -> Vec<Use> {
    let mut walk = Walk::default();
    walk.pieces(pieces);
    walk.uses
}

struct Walk {
    bound: Vec<HashSet<String>>,
    uses: Vec<Use>,
}

impl Default for Walk {
    fn default() -> Walk {
        Walk { bound: vec![HashSet::new()], uses: Vec::new() }
    }
}

impl Walk {
    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|names| names.contains(name))
    }

    fn bind(&mut self, target: &Target) {
        match target {
            Target::Name(name, _) => {
                if let Some(innermost) = self.bound.last_mut() {
                    innermost.insert(name.clone());
                }
            }
            Target::List(targets, _) => targets.iter().for_each(|target| self.bind(target)),
        }
    }

    fn scoped(&mut self, f: impl FnOnce(&mut Walk)) {
        self.bound.push(HashSet::new());
        f(self);
        self.bound.pop();
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            self.piece(piece);
        }
    }

    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Raw(_) => {}
            Piece::Emit { node, .. } => self.node(node),
            Piece::For { target, list, filter, body, otherwise, .. } => {
                self.node(list);
                self.scoped(|walk| {
                    walk.bind(target);
                    if let Some(filter) = filter {
                        walk.node(filter);
                    }
                    walk.bind(&Target::Name("loop".into(), 0..0));
                    walk.pieces(body);
                });
                self.scoped(|walk| walk.pieces(otherwise));
            }
            Piece::If { cases, otherwise, .. } => {
                for (test, body) in cases {
                    self.node(test);
                    self.pieces(body);
                }
                self.pieces(otherwise);
            }
            Piece::With { names, body, .. } => self.scoped(|walk| {
                for (target, node) in names {
                    walk.node(node);
                    walk.bind(target);
                }
                walk.pieces(body);
            }),
            Piece::Set { target, node, .. } => {
                self.node(node);
                self.bind(target);
            }
            Piece::SetBlock { target, filter, body, .. } => {
                self.scoped(|walk| walk.pieces(body));
                if let Some(filter) = filter {
                    self.node(filter);
                }
                self.bind(target);
            }
            Piece::FilterBlock { filter, body, .. } => {
                self.scoped(|walk| walk.pieces(body));
                self.node(filter);
            }
        }
    }

    /// A name with the attributes that follow it; `None` where the chain does not begin with a name.
    fn chain(node: &Node) -> Option<(Use, u16)> {
        match &node.kind {
            Kind::Var(name) => Some((
                Use {
                    name: name.clone(),
                    step: None,
                    path: Vec::new(),
                    at: node.at.clone(),
                    step_at: None,
                    path_at: Vec::new(),
                },
                0,
            )),
            Kind::Attr(target, name, at) => Walk::link(target, name, at.clone(), node),
            Kind::Item(target, key) => match &key.kind {
                Kind::Const(Value::Text(name)) => {
                    // Without its quotes, unless escapes make it longer than it reads.
                    let quoted = key.at.len() == name.len() + 2;
                    let at = if quoted { key.at.start + 1..key.at.end - 1 } else { key.at.clone() };
                    Walk::link(target, name, at, node)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn link(target: &Node, name: &str, at: At, whole: &Node) -> Option<(Use, u16)> {
        let (mut used, links) = Walk::chain(target)?;
        if used.name == "steps" && links == 0 {
            used.step = Some(name.to_owned());
            used.step_at = Some(at);
            used.at = whole.at.clone();
        } else {
            used.path.push(name.to_owned());
            used.path_at.push(at);
        }
        Some((used, links + 1))
    }

    fn node(&mut self, node: &Node) {
        if let Some((used, _)) = Walk::chain(node) {
            if !self.is_bound(&used.name) {
                self.uses.push(used);
            }
            return;
        }
        match &node.kind {
            Kind::Const(_) | Kind::Var(_) => {}
            Kind::List(items) => items.iter().for_each(|item| self.node(item)),
            Kind::Map(entries) => entries.iter().for_each(|(key, value)| {
                self.node(key);
                self.node(value);
            }),
            Kind::Attr(target, ..) | Kind::Not(target) | Kind::Negate(target) => self.node(target),
            Kind::Item(left, right) | Kind::Math(_, left, right) | Kind::And(left, right) | Kind::Or(left, right) => {
                self.node(left);
                self.node(right);
            }
            Kind::Slice(target, bounds) => {
                self.node(target);
                bounds.iter().flatten().for_each(|bound| self.node(bound));
            }
            Kind::Compare(first, rest) => {
                self.node(first);
                rest.iter().for_each(|(_, node)| self.node(node));
            }
            Kind::If { test, yes, no } => {
                self.node(yes);
                self.node(test);
                if let Some(no) = no {
                    self.node(no);
                }
            }
            Kind::Filter(subject, call) => {
                if let Some(subject) = subject {
                    self.node(subject);
                }
                self.call(call);
            }
            Kind::Test(subject, call) => {
                self.node(subject);
                self.call(call);
            }
            Kind::Call(call) => self.call(call),
        }
    }

    fn call(&mut self, call: &Call) {
        call.args.iter().flatten().for_each(|arg| self.node(arg));
        call.rest.iter().for_each(|(_, arg)| self.node(arg));
    }
}

/// A tree with the text it was made from.
#[derive(Debug)]
pub(super) struct Compiled<T> {
    pub source: String,
    pub map: TextMap,
    pub tree: T,
    pub uses: Vec<Use>,
}

pub(super) type Shared<T> = Arc<Compiled<T>>;
