//! What a container holds: a group's steps, the ways of a choice, a runbook that is called, the items of a loop. Runs
//! nothing.

use std::rc::Rc;

use super::{Names, Runbook, Step};
use crate::{
    event::Effect,
    syntax::{Eval, Expr, Reference, Template},
    text::{Diagnostic, Span, Spanned},
    value::{Scope, Value},
};

/// The inside of a step that is a container.
#[derive(Clone, Copy, Debug)]
pub enum Inside<'a> {
    Group(&'a Group),
    Choose(&'a Choose),
    Call(&'a Call),
}

impl<'a> Inside<'a> {
    /// The steps that stand in the same file, list by list; the helper of a group is a list of its own.
    pub fn lists(self) -> Vec<&'a [Step]> {
        match self {
            Inside::Group(group) => {
                let helper = group.helper.as_deref().map(std::slice::from_ref);
                helper.into_iter().chain([group.steps.as_slice()]).collect()
            }
            Inside::Choose(choose) => choose.cases.iter().map(|case| case.steps.as_slice()).collect(),
            Inside::Call(_) => Vec::new(),
        }
    }

    /// That of the strongest child.
    pub fn effect(self) -> Effect {
        let strongest = |steps: &[Step]| steps.iter().map(|step| step.body.effect).max().unwrap_or(Effect::Read);
        match self {
            Inside::Group(group) => {
                let helper = group.helper.as_ref().map_or(Effect::Read, |helper| helper.body.effect);
                strongest(&group.steps).max(helper)
            }
            Inside::Choose(choose) => {
                choose.cases.iter().map(|case| strongest(&case.steps)).max().unwrap_or(Effect::Read)
            }
            Inside::Call(call) => call.callee.as_ref().map_or(Effect::Change, |callee| {
                strongest(&callee.runbook.steps).max(strongest(&callee.runbook.finally))
            }),
        }
    }
}

/// Steps that stand together.
#[derive(Debug)]
pub struct Group {
    pub steps: Vec<Step>,
    /// How many may run side by side; none: in the order in which they are written.
    pub parallel: Option<usize>,
    /// What lives from before the first of them to after the last, under the name of the group and `@helper`.
    pub helper: Option<Box<Step>>,
}

/// Several ways, of which one is taken.
#[derive(Debug)]
pub struct Choose {
    /// None: the first case whose condition holds is taken.
    pub question: Option<Template>,
    pub cases: Vec<Case>,
}

#[derive(Debug)]
pub struct Case {
    pub id: Spanned<String>,
    pub title: Option<Template>,
    pub when: Option<Expr>,
    /// Taken where no other one is.
    pub otherwise: bool,
    pub steps: Vec<Step>,
}

/// Another runbook with the values it is given.
#[derive(Debug)]
pub struct Call {
    pub runbook: Spanned<String>,
    pub params: Vec<(Spanned<String>, CallValue)>,
    /// None where the file has a mistake that was reported.
    pub callee: Option<Rc<Callee>>,
}

/// A runbook that others call, read and checked.
#[derive(Debug)]
pub struct Callee {
    pub runbook: Rc<Runbook>,
    pub names: Rc<Names>,
}

/// A value that a call hands over.
#[derive(Debug)]
pub enum CallValue {
    Written(Value, Span),
    Computed(Template),
    /// One item after the other.
    List(Vec<CallValue>),
}

impl CallValue {
    pub fn eval(&self, scope: &Scope) -> Result<Eval, Diagnostic> {
        match self {
            CallValue::Written(value, _) => Ok(Eval::Value(value.clone())),
            CallValue::Computed(template) => template.eval(scope, &[]),
            CallValue::List(items) => {
                let mut values = Vec::new();
                for item in items {
                    match item.eval(scope)? {
                        Eval::Value(value) => values.push(value),
                        deferred @ Eval::Deferred(_) => return Ok(deferred),
                    }
                }
                Ok(Eval::Value(Value::list(values)))
            }
        }
    }

    pub fn references(&self) -> Vec<Reference> {
        match self {
            CallValue::Written(..) => Vec::new(),
            CallValue::Computed(template) => template.references().to_vec(),
            CallValue::List(items) => items.iter().flat_map(CallValue::references).collect(),
        }
    }

    /// The place of the value, for what is wrong with it.
    pub fn span(&self) -> Span {
        match self {
            CallValue::Written(_, span) => *span,
            CallValue::Computed(template) => template.span(),
            CallValue::List(items) => items.first().map_or(Span::at(0), CallValue::span),
        }
    }

    /// Known without any scope.
    pub fn written(&self) -> Option<Value> {
        match self {
            CallValue::Written(value, _) => Some(value.clone()),
            CallValue::Computed(template) if template.is_literal() => Some(Value::text(template.source())),
            CallValue::Computed(_) => None,
            CallValue::List(items) => items.iter().map(CallValue::written).collect::<Option<_>>().map(Value::list),
        }
    }

    /// As people read it.
    pub fn show(&self, scope: &Scope) -> String {
        match self {
            CallValue::Written(value, _) => value.to_string(),
            CallValue::Computed(template) => template.show(scope, &[]),
            CallValue::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.show(scope)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// As written.
    pub fn source(&self) -> String {
        match self {
            CallValue::Written(value, _) => value.to_string(),
            CallValue::Computed(template) => template.source().to_owned(),
            CallValue::List(items) => {
                let items: Vec<String> = items.iter().map(CallValue::source).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

/// One step for each item.
#[derive(Debug)]
pub struct ForEach {
    /// The name of the item within the step.
    pub name: Spanned<String>,
    pub items: Items,
    /// How many items at a time; none: one after the other.
    pub parallel: Option<usize>,
    pub span: Span,
}

#[derive(Debug)]
pub enum Items {
    Written(Vec<CallValue>),
    Computed(Expr),
}

/// The most items a loop may have: each has its own place in the record.
pub const MOST_ITEMS: usize = 10_000;

impl ForEach {
    pub fn references(&self) -> Vec<Reference> {
        match &self.items {
            Items::Written(items) => items.iter().flat_map(CallValue::references).collect(),
            Items::Computed(expr) => expr.references().to_vec(),
        }
    }

    /// Where the items are written.
    pub fn items_span(&self) -> Span {
        match &self.items {
            Items::Written(items) => items.first().map_or(self.span, CallValue::span),
            Items::Computed(expr) => expr.span(),
        }
    }

    /// As written, on one line.
    pub fn source(&self) -> String {
        match &self.items {
            Items::Written(items) => {
                let items: Vec<String> = items.iter().map(CallValue::source).collect();
                format!("[{}]", items.join(", "))
            }
            Items::Computed(expr) => expr.on_one_line(),
        }
    }

    /// The items, each a scalar and no two of one text, because their texts name them.
    pub fn eval(&self, scope: &Scope) -> Result<Result<Vec<Value>, Vec<String>>, Diagnostic> {
        let value = match &self.items {
            Items::Written(items) => {
                let mut values = Vec::new();
                for item in items {
                    match item.eval(scope)? {
                        Eval::Value(value) => values.push(value),
                        Eval::Deferred(names) => return Ok(Err(names)),
                    }
                }
                Value::list(values)
            }
            Items::Computed(expr) => match expr.eval(scope, &[])? {
                Eval::Value(value) => value,
                Eval::Deferred(names) => return Ok(Err(names)),
            },
        };
        let wrong = |why: String| Diagnostic::error("bad-items", self.items_span(), why);
        let Value::List(items) = &value else {
            return Err(wrong(format!("a loop goes over a list, this is {}", value.kind()))
                .hint("make a list of it, such as text|lines or text|split(\",\")"));
        };
        if items.len() > MOST_ITEMS {
            return Err(wrong(format!("this list has {} items; a loop takes at most {MOST_ITEMS}", items.len())));
        }
        let mut seen = std::collections::HashSet::new();
        let mut read = Vec::new();
        for item in items.iter() {
            if matches!(item, Value::List(_) | Value::Map(_) | Value::None) {
                return Err(wrong(format!(
                    "an item of a loop is a text, a number or a boolean, and this is a {}",
                    item.kind()
                ))
                .hint("its text names the item in the record; loop over names and look the rest up"));
            }
            // As it will be read back from the journal.
            let item = Value::from_json(&item.to_json());
            if !seen.insert(item.to_string()) {
                return Err(wrong(format!("the item `{item}` comes twice"))
                    .hint("each item is named by its text; `|unique` leaves out what comes again"));
            }
            read.push(item);
        }
        Ok(Ok(read))
    }
}

/// The name of one item of a loop: `scale[web]`. What would end the bracket, and what cannot be seen, is written `%XX`.
pub fn item_path(of: &str, item: &Value) -> String {
    let mut path = format!("{of}[");
    for c in item.to_string().chars() {
        if matches!(c, '[' | ']' | '%') || c.is_control() {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                path.push_str(&format!("%{byte:02X}"));
            }
        } else {
            path.push(c);
        }
    }
    path.push(']');
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_named_by_its_text_and_cannot_end_its_bracket() {
        let name = |item: &str| item_path("scale", &Value::text(item));
        assert_eq!(name("web"), "scale[web]");
        assert_eq!(name("release/1.2"), "scale[release/1.2]");
        assert_eq!(name("a]/b[c"), "scale[a%5D/b%5Bc]");
        assert_eq!(name("100%\n"), "scale[100%25%0A]");
        assert_eq!(item_path("n", &Value::Int(7)), "n[7]");
    }
}
