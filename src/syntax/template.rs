//! Templates, compiled once with the names they use. Knows nothing of which field one stands in.
#![allow(clippy::result_large_err, reason = "a diagnostic is the product here, not the exception")]

use std::sync::Arc;

use super::{
    Text,
    ast::{Compiled, Fault, Kind, Node, Piece, Shared, step_of, uses_of, uses_of_pieces},
    eval::{Machine, Stop, unknown, waiting},
    expr::{Eval, Reference, references},
    node::ScalarStyle,
    parse,
    url::{self, Builder},
};
use crate::{
    text::{Diagnostic, Span, TextMap},
    value::{Scope, Value},
};

/// A text that a template gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    Text(String),
    /// It was not rendered; what it waits on: origins of unknown names, names of secrets that were not read.
    Deferred(Vec<String>),
}

/// A compiled template. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Template {
    inner: Shared<Vec<Piece>>,
    span: Span,
    references: Arc<[Reference]>,
    /// It is one whole `{{ expression }}`, which keeps its type.
    whole: bool,
    url: bool,
}

impl Template {
    /// Every mistake that can be seen without values is found here, at its character in the file.
    pub fn compile(text: &Text) -> Result<Template, Diagnostic> {
        let tree = parse::template(&text.text).map_err(|fault| fault.place(&text.map))?;
        let uses = uses_of_pieces(&tree);
        // A block scalar ends in a line feed that its author did not mean.
        let block = matches!(text.style, ScalarStyle::Literal | ScalarStyle::Folded);
        let whole = match &tree[..] {
            [Piece::Emit { .. }] => true,
            [Piece::Emit { .. }, Piece::Raw(rest)] => block && rest.trim_matches('\n').is_empty(),
            _ => false,
        };
        let references = references(&uses, &text.map).into();
        let inner = Compiled { source: text.text.clone(), map: text.map.clone(), tree, uses };
        Ok(Template { inner: Arc::new(inner), span: text.span, references, whole, url: false })
    }

    /// A template for a URL: holds no statements, and begins with `https://`, `http://` or a value.
    pub fn compile_url(text: &Text) -> Result<Template, Diagnostic> {
        let template = Template::compile(text)?;
        url::check(&template.inner.tree, &text.text).map_err(|fault| fault.place(&text.map))?;
        Ok(Template { url: true, ..template })
    }

    /// Text that stays as it is, braces included.
    pub fn literal(text: impl Into<String>) -> Template {
        let source = text.into();
        let tree = if source.is_empty() { Vec::new() } else { vec![Piece::Raw(source.clone())] };
        Template {
            inner: Arc::new(Compiled { source, map: TextMap::default(), tree, uses: Vec::new() }),
            span: Span::default(),
            references: Arc::new([]),
            whole: false,
            url: false,
        }
    }

    pub fn source(&self) -> &str {
        &self.inner.source
    }

    pub fn span(&self) -> Span {
        self.span
    }

    /// The names it uses, in the order they are written, each as often as it is.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// It holds no expressions and no statements.
    pub fn is_literal(&self) -> bool {
        self.inner.tree.iter().all(|piece| matches!(piece, Piece::Raw(_)))
    }

    /// To text; of a template made by [`Template::compile_url`] to a URL.
    pub fn render(&self, scope: &Scope, locals: &[(&str, Value)]) -> Result<Rendered, Diagnostic> {
        if self.url {
            return self.render_url(scope, locals);
        }
        self.rendered(scope, locals, |machine| {
            let mut out = String::new();
            machine.run(&self.inner.tree, &mut out)?;
            Ok(out)
        })
    }

    /// To a value: one whole `{{ expression }}` keeps its type, everything else is text.
    pub fn eval(&self, scope: &Scope, locals: &[(&str, Value)]) -> Result<Eval, Diagnostic> {
        if let (true, false, Some(Piece::Emit { node, .. })) = (self.whole, self.url, self.inner.tree.first()) {
            let waits = waiting(&self.inner.uses, scope, locals);
            if !waits.is_empty() {
                return Ok(Eval::Deferred(waits));
            }
            return match Machine::new(&self.inner.source, scope, locals).outcome(node) {
                Ok(value) => Ok(Eval::Value(value)),
                Err(Stop::Waiting(names)) => Ok(Eval::Deferred(names)),
                Err(Stop::Fault(fault)) => Err(self.place(&fault)),
            };
        }
        Ok(match self.render(scope, locals)? {
            Rendered::Text(text) => Eval::Value(Value::text(text)),
            Rendered::Deferred(names) => Eval::Deferred(names),
        })
    }

    /// To an absolute http or https URL: a value at the very start is taken whole, every later one is encoded.
    pub fn render_url(&self, scope: &Scope, locals: &[(&str, Value)]) -> Result<Rendered, Diagnostic> {
        if !self.url {
            url::check(&self.inner.tree, &self.inner.source).map_err(|fault| self.place(&fault))?;
        }
        self.rendered(scope, locals, |machine| {
            let mut builder = Builder::new(0..self.inner.source.len());
            for piece in &self.inner.tree {
                match piece {
                    Piece::Raw(text) => builder.literal(text)?,
                    Piece::Emit { node, .. } => {
                        let text = url::scalar(machine, node)?;
                        builder.value(&text, node)?;
                    }
                    // Refused by `url::check`.
                    _ => {}
                }
            }
            Ok(builder.finish()?)
        })
    }

    /// For plans and questions: what is known is rendered, a name that is not stands as `‹where it comes from›`, and an
    /// expression that cannot be worked out stands as it is written. Never fails.
    pub fn show(&self, scope: &Scope, locals: &[(&str, Value)]) -> String {
        let source = &self.inner.source;
        let statements = self.inner.tree.iter().any(|piece| !matches!(piece, Piece::Raw(_) | Piece::Emit { .. }));
        let mut machine = Machine::new(source, scope, locals);
        if statements {
            let mut out = String::new();
            let known = waiting(&self.inner.uses, scope, locals).is_empty();
            return match known.then(|| machine.run(&self.inner.tree, &mut out)) {
                Some(Ok(())) => out,
                _ => source.clone(),
            };
        }
        let mut builder = Builder::new(0..source.len());
        let mut out = String::new();
        for piece in &self.inner.tree {
            match piece {
                Piece::Raw(text) if !self.url => out.push_str(text),
                Piece::Raw(text) => builder.literal(text).unwrap_or_else(|_| builder.mark(text)),
                Piece::Emit { node, at } => {
                    let known = self.known(&mut machine, node, scope, locals);
                    match known {
                        Ok(text) if self.url => {
                            if builder.value(&text, node).is_err() {
                                builder.mark(source.get(at.clone()).unwrap_or(""));
                            }
                        }
                        Ok(text) => out.push_str(&text),
                        Err(mark) => {
                            let mark = mark.unwrap_or_else(|| source.get(at.clone()).unwrap_or("").to_owned());
                            if self.url { builder.mark(&mark) } else { out.push_str(&mark) }
                        }
                    }
                }
                _ => {}
            }
        }
        if self.url { builder.shown() } else { out }
    }

    /// The text of a value, or what to show in its place; nothing means: as it is written.
    fn known(
        &self,
        machine: &mut Machine<'_>,
        node: &Node,
        scope: &Scope,
        locals: &[(&str, Value)],
    ) -> Result<String, Option<String>> {
        let uses = uses_of(node);
        if let (true, [used]) = (matches!(node.kind, Kind::Var(_)) || names_status(node), &uses[..])
            && let Some(origin) = unknown(used, scope, locals)
        {
            return Err(Some(format!("‹{origin}›")));
        }
        if !waiting(&uses, scope, locals).is_empty() {
            return Err(None);
        }
        machine.text(node).map_err(|_| None)
    }

    fn rendered(
        &self,
        scope: &Scope,
        locals: &[(&str, Value)],
        render: impl FnOnce(&mut Machine<'_>) -> Result<String, Stop>,
    ) -> Result<Rendered, Diagnostic> {
        let waits = waiting(&self.inner.uses, scope, locals);
        if !waits.is_empty() {
            return Ok(Rendered::Deferred(waits));
        }
        match render(&mut Machine::new(&self.inner.source, scope, locals)) {
            Ok(text) => Ok(Rendered::Text(text)),
            Err(Stop::Waiting(names)) => Ok(Rendered::Deferred(names)),
            Err(Stop::Fault(fault)) => Err(self.place(&fault)),
        }
    }

    fn place(&self, fault: &Fault) -> Diagnostic {
        fault.place(&self.inner.map)
    }
}

/// `steps["id"].status` is as simple as a name.
fn names_status(node: &Node) -> bool {
    matches!(&node.kind, Kind::Attr(target, name, _) if name == "status" && step_of(target).is_some())
}
