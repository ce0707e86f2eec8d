//! The tree a runbook is lowered from: every node has its place. Knows nothing of the YAML crate or of keys' meaning.

use crate::{
    text::{Span, TextMap},
    value::Value,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub span: Span,
    pub kind: NodeKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// `~`, `null` or nothing at all.
    Null,
    /// A scalar that YAML 1.2's core schema reads as a boolean or a number, and the text it was written as.
    Plain(Value, Text),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: Text,
    pub value: Node,
}

/// A scalar as text, and how to find its characters in the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub text: String,
    pub span: Span,
    pub map: TextMap,
    pub style: ScalarStyle,
    /// Where a ` #` comment follows this plain scalar on its last line, if one does: in prose and expressions that is
    /// a mistake, because YAML cut the text there without a word.
    pub cut_by_comment: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarStyle {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

impl Node {
    /// What it is, as messages say it.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Plain(Value::Bool(_), _) => "a boolean",
            NodeKind::Plain(_, _) => "a number",
            NodeKind::Text(_) => "a text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }
}
