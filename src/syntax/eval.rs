//! Walks a tree with the values of a scope. Knows nothing of files, steps' kinds or URLs.

use super::{
    ast::{At, Call, Caught, Fault, Kind, Node, Piece, Target, Use, step_of, uses_of},
    functions::Input,
    strict::{self, Meter, Operand, a_kind, quoted},
};
use crate::{
    text::nearest,
    value::{Scope, Slot, Value},
};

/// A value, or the mistake that using it would be: `is defined` and `default` look, everything else trips.
#[derive(Debug)]
pub(super) enum Cell {
    Value(Value),
    Nothing(Box<Fault>),
}

impl Cell {
    pub fn value(self) -> Caught<Value> {
        match self {
            Cell::Value(value) => Ok(value),
            Cell::Nothing(fault) => Err(fault),
        }
    }
}

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is not known yet; the names it waits on.
    Waiting(Vec<String>),
    Fault(Box<Fault>),
}

impl From<Box<Fault>> for Stop {
    fn from(fault: Box<Fault>) -> Stop {
        Stop::Fault(fault)
    }
}

/// What is not known yet among the names that are used, each once: the origin of an unknown, the name of a secret.
pub(super) fn waiting(uses: &[Use], scope: &Scope, locals: &[(&str, Value)]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for used in uses {
        if let Some(name) = unknown(used, scope, locals)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

pub(super) fn unknown(used: &Use, scope: &Scope, locals: &[(&str, Value)]) -> Option<String> {
    if locals.iter().any(|(name, _)| *name == used.name) {
        return None;
    }
    let (slot, name) = match &used.step {
        Some(id) => (scope.step(id), format!("steps.{id}")),
        None => (scope.get(&used.name), used.name.clone()),
    };
    match slot? {
        // Of the run itself it is told which value is meant.
        Slot::Unknown { origin } => Some(match used.path.first() {
            Some(field) if used.name == "run" => format!("{origin}.{field}"),
            _ => origin.to_string(),
        }),
        Slot::Hidden => Some(name),
        Slot::Known(_) | Slot::Absent => None,
    }
}

pub(super) struct Machine<'a> {
    source: &'a str,
    scope: &'a Scope,
    locals: &'a [(&'a str, Value)],
    /// Names that the template itself binds, innermost last.
    frames: Vec<Vec<(String, Value)>>,
    pub meter: Meter,
}

impl<'a> Machine<'a> {
    pub fn new(source: &'a str, scope: &'a Scope, locals: &'a [(&'a str, Value)]) -> Machine<'a> {
        Machine { source, scope, locals, frames: vec![Vec::new()], meter: Meter::new() }
    }

    fn written(&self, node: &Node) -> &'a str {
        self.source.get(node.at.clone()).unwrap_or("")
    }

    fn operand<'v>(&self, value: &'v Value, node: &Node) -> Operand<'v>
    where
        'a: 'v,
    {
        Operand { value, at: node.at.clone(), written: self.written(node) }
    }

    pub fn value(&mut self, node: &Node) -> Result<Value, Stop> {
        Ok(self.eval(node)?.value()?)
    }

    /// What the whole gives; whoever takes it may write it out, so it is no larger than a text may be.
    pub fn outcome(&mut self, node: &Node) -> Result<Value, Stop> {
        let value = self.value(node)?;
        if matches!(value, Value::List(_) | Value::Map(_)) {
            self.meter.weigh(&value, 0, &node.at)?;
        }
        self.tell(&value, node);
        Ok(value)
    }

    /// A value that must be true or false; `needed_by` begins the message when it is not.
    pub fn condition(&mut self, node: &Node, needed_by: &str) -> Result<bool, Stop> {
        let value = self.value(node)?;
        Ok(strict::condition(&self.operand(&value, node), needed_by)?)
    }

    /// As a template writes it.
    pub fn text(&mut self, node: &Node) -> Result<String, Stop> {
        let value = self.value(node)?;
        self.tell(&value, node);
        self.show(&value, node)
    }

    /// Lets the scope's listener hear what was made of its values.
    pub fn tell(&self, value: &Value, node: &Node) {
        let Some(listener) = self.scope.listener() else { return };
        let uses = uses_of(node);
        let named =
            uses.iter().filter(|used| used.step.is_some() || !self.locals.iter().any(|(name, _)| *name == used.name));
        let slot = |used: &Use| match &used.step {
            Some(id) => self.scope.step(id),
            None => self.scope.get(&used.name),
        };
        let known = named.filter_map(|used| match slot(used) {
            Some(Slot::Known(value)) => Some(
                used.path
                    .iter()
                    .try_fold(value, |value, field| match value {
                        Value::Map(entries) => entries.get(field),
                        _ => None,
                    })
                    .unwrap_or(value),
            ),
            _ => None,
        });
        let of: Vec<&Value> = known.collect();
        if !of.is_empty() {
            listener.made(&of, self.written(node), value);
        }
    }

    pub fn show(&mut self, value: &Value, node: &Node) -> Result<String, Stop> {
        Ok(self.meter.show(value, &node.at, self.written(node))?)
    }

    pub fn eval(&mut self, node: &Node) -> Result<Cell, Stop> {
        self.meter.spend(1, &node.at)?;
        match &node.kind {
            Kind::Const(value) => Ok(Cell::Value(value.clone())),
            Kind::Var(name) => self.name(name, &node.at),
            Kind::List(items) => self.list(items, &node.at),
            Kind::Map(entries) => self.map(entries, &node.at),
            Kind::Attr(target, name, at) => self.attribute(node, target, name, at),
            Kind::Item(target, key) => self.item(node, target, key),
            Kind::Slice(target, bounds) => self.slice(target, bounds, &node.at),
            Kind::Not(inner) => Ok(Cell::Value(Value::Bool(!self.condition(inner, "what follows `not`")?))),
            Kind::Negate(inner) => {
                let value = self.value(inner)?;
                Ok(Cell::Value(strict::negate(&self.operand(&value, inner))?))
            }
            Kind::Math(op, left, right) => {
                let (a, b) = (self.value(left)?, self.value(right)?);
                let (a, b) = (self.operand(&a, left), self.operand(&b, right));
                Ok(Cell::Value(strict::math(&mut self.meter, *op, &a, &b)?))
            }
            Kind::And(left, right) => {
                let truth =
                    self.condition(left, "each side of `and`")? && self.condition(right, "each side of `and`")?;
                Ok(Cell::Value(Value::Bool(truth)))
            }
            Kind::Or(left, right) => {
                let truth = self.condition(left, "each side of `or`")? || self.condition(right, "each side of `or`")?;
                Ok(Cell::Value(Value::Bool(truth)))
            }
            Kind::Compare(first, rest) => self.compare(first, rest),
            Kind::If { test, yes, no } => {
                if self.condition(test, "what follows `if`")? {
                    return self.eval(yes);
                }
                match no {
                    Some(no) => self.eval(no),
                    None => Ok(Cell::Nothing(Fault::new(
                        "no-value",
                        node.at.clone(),
                        "this has no value: its condition does not hold and it has no `else`",
                    ))),
                }
            }
            Kind::Filter(subject, call) => {
                let Some(subject) = subject else {
                    // Only `{% filter … %}` has none, and it goes through `filter_text`.
                    return Err(
                        Fault::new("bad-template", node.at.clone(), "this filter has nothing to work on").into()
                    );
                };
                let cell = self.eval(subject)?;
                self.call(call, cell, subject.at.clone(), self.written(subject))
            }
            Kind::Test(subject, call) => {
                let cell = self.eval(subject)?;
                self.call(call, cell, subject.at.clone(), self.written(subject))
            }
            Kind::Call(call) => self.call(call, Cell::Value(Value::None), call.name_at.clone(), ""),
        }
    }

    fn name(&mut self, name: &str, at: &At) -> Result<Cell, Stop> {
        let bound = self.frames.iter().rev().flat_map(|frame| frame.iter().rev()).find(|(bound, _)| bound == name);
        if let Some((_, value)) = bound {
            return Ok(Cell::Value(value.clone()));
        }
        if let Some((_, value)) = self.locals.iter().find(|(local, _)| *local == name) {
            return Ok(Cell::Value(value.clone()));
        }
        match self.scope.get(name) {
            Some(slot) => self.slot(slot, &format!("`{name}`"), name, at),
            None => {
                let known = self.scope.iter().map(|(name, _)| name).chain(self.locals.iter().map(|(name, _)| *name));
                let hint = nearest(name, known).map(|name| format!("did you mean `{name}`?"));
                Err(Fault::new("unknown-name", at.clone(), format!("there is no `{name}` here")).hint_opt(hint).into())
            }
        }
    }

    fn slot(&self, slot: &Slot, shown: &str, name: &str, at: &At) -> Result<Cell, Stop> {
        match slot {
            Slot::Known(value) => Ok(Cell::Value(value.clone())),
            Slot::Absent => Ok(Cell::Nothing(
                Fault::new(
                    "no-value",
                    at.clone(),
                    format!("{shown} has no value: the step that sets it was skipped or failed"),
                )
                .label("no value")
                .hint(format!("ask `{name} is defined` first, or write `{name}|default(…)`")),
            )),
            Slot::Unknown { origin } => Err(Stop::Waiting(vec![origin.to_string()])),
            Slot::Hidden => Err(Stop::Waiting(vec![name.to_owned()])),
        }
    }

    fn step(&mut self, id: &str, at: &At) -> Result<Cell, Stop> {
        let Some(slot) = self.scope.step(id) else {
            let hint = nearest(id, self.scope.steps().map(|(id, _)| id)).map(|id| format!("did you mean `{id}`?"));
            return Err(Fault::new("unknown-name", at.clone(), format!("there is no step `{id}` here"))
                .hint_opt(hint)
                .into());
        };
        let name = format!("steps[\"{id}\"]");
        match self.slot(slot, &format!("the step `{id}`"), &name, at)? {
            Cell::Value(map @ Value::Map(_)) => Ok(Cell::Value(map)),
            // A step that only has a status may be held as that alone.
            Cell::Value(status) => Ok(Cell::Value(Value::map([("status".to_owned(), status)].into_iter().collect()))),
            nothing => Ok(nothing),
        }
    }

    fn list(&mut self, items: &[Node], at: &At) -> Result<Cell, Stop> {
        let items = items.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, Stop>>()?;
        Ok(Cell::Value(self.meter.list(items, at)?))
    }

    fn map(&mut self, entries: &[(Node, Node)], at: &At) -> Result<Cell, Stop> {
        let mut made = indexmap::IndexMap::new();
        for (key_node, node) in entries {
            let key = self.value(key_node)?;
            let Some(key) = map_key(&key) else {
                let message = format!("a key must be a string, this is {}", a_kind(&key));
                return Err(Fault::new("type-mismatch", key_node.at.clone(), message).into());
            };
            made.insert(key, self.value(node)?);
        }
        Ok(Cell::Value(self.meter.map(made, at)?))
    }

    fn attribute(&mut self, node: &Node, target: &Node, name: &str, at: &At) -> Result<Cell, Stop> {
        if let Some(id) = step_of(node) {
            return self.step(id, &node.at);
        }
        let value = self.value(target)?;
        Ok(self.look_up(&value, name, target, at))
    }

    fn item(&mut self, node: &Node, target: &Node, key_node: &Node) -> Result<Cell, Stop> {
        if let Some(id) = step_of(node) {
            return self.step(id, &node.at);
        }
        let value = self.value(target)?;
        let key = self.value(key_node)?;
        let at = &key_node.at;
        match (&value, &key) {
            (Value::List(items), Value::Int(index)) => Ok(position(*index, items.len())
                .and_then(|index| items.get(index))
                .cloned()
                .map_or_else(|| Cell::Nothing(no_item(items.len(), *index, "item", at)), Cell::Value)),
            (Value::Text(text), Value::Int(index)) => {
                self.meter.scan(text.len(), at)?;
                let length = text.chars().count();
                match position(*index, length).and_then(|index| text.chars().nth(index)) {
                    Some(c) => Ok(Cell::Value(Value::text(c.to_string()))),
                    None => Ok(Cell::Nothing(no_item(length, *index, "character", at))),
                }
            }
            (Value::List(_) | Value::Text(_), other) => {
                let message = format!("{} is indexed by a whole number, this is {}", a_kind(&value), a_kind(other));
                Err(Fault::new("type-mismatch", at.clone(), message).into())
            }
            (_, key) => match map_key(key) {
                Some(key) => Ok(self.look_up(&value, &key, target, at)),
                None => {
                    let message = format!("a key must be a string, this is {}", a_kind(key));
                    Err(Fault::new("type-mismatch", at.clone(), message).into())
                }
            },
        }
    }

    fn look_up(&self, value: &Value, key: &str, target: &Node, at: &At) -> Cell {
        let shown = quoted(self.written(target));
        let Value::Map(entries) = value else {
            let message = match value {
                Value::None => format!("{shown} is none and has no `{key}`"),
                other => format!("{shown} is {} and has no `{key}`", a_kind(other)),
            };
            let hint = match value {
                Value::Text(text) if text.trim_start().starts_with(['{', '[']) => {
                    Some(format!("read it as JSON first: `({}|fromjson).{key}`", strict::brief(self.written(target))))
                }
                _ => None,
            };
            return Cell::Nothing(Fault::new("no-value", at.clone(), message).hint_opt(hint));
        };
        if let Some(value) = entries.get(key) {
            return Cell::Value(value.clone());
        }
        // The names of headers have no case.
        if is_headers(target)
            && let Some((_, value)) = entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))
        {
            return Cell::Value(value.clone());
        }
        let hint = match nearest(key, entries.keys().map(String::as_str)) {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None if entries.is_empty() => Some("it is empty".to_owned()),
            None => {
                let names: Vec<&str> = entries.keys().take(8).map(String::as_str).collect();
                let more = if entries.len() > names.len() { ", …" } else { "" };
                Some(format!("it has {}{more}", names.join(", ")))
            }
        };
        Cell::Nothing(
            Fault::new("no-value", at.clone(), format!("{shown} has no `{key}`")).label("not there").hint_opt(hint),
        )
    }

    fn slice(&mut self, target: &Node, bounds: &[Option<Box<Node>>; 3], at: &At) -> Result<Cell, Stop> {
        let value = self.value(target)?;
        let mut numbers = [None, None, None];
        for (number, bound) in numbers.iter_mut().zip(bounds) {
            let Some(node) = bound else { continue };
            *number = match self.value(node)? {
                Value::Int(number) => Some(number),
                Value::None => None,
                other => {
                    let message = format!("a slice needs whole numbers, this is {}", a_kind(&other));
                    return Err(Fault::new("type-mismatch", node.at.clone(), message).into());
                }
            };
        }
        if numbers[2] == Some(0) {
            return Err(Fault::new("bad-arithmetic", at.clone(), "the step of a slice cannot be zero").into());
        }
        match &value {
            Value::List(items) => {
                self.meter.spend(items.len(), at)?;
                let picked = picks(numbers, items.len()).filter_map(|index| items.get(index).cloned()).collect();
                Ok(Cell::Value(self.meter.list(picked, at)?))
            }
            Value::Text(text) => {
                self.meter.spend(text.len(), at)?;
                let chars: Vec<char> = text.chars().collect();
                let picked: String = picks(numbers, chars.len()).filter_map(|index| chars.get(index)).collect();
                Ok(Cell::Value(self.meter.text(picked, at)?))
            }
            other => {
                let message = format!("only a list or a string can be sliced, this is {}", a_kind(other));
                Err(Fault::new("type-mismatch", target.at.clone(), message).into())
            }
        }
    }

    fn compare(&mut self, first: &Node, rest: &[(super::ast::CompareOp, Node)]) -> Result<Cell, Stop> {
        let mut left = self.value(first)?;
        let mut left_node = first;
        for (op, right_node) in rest {
            let right = self.value(right_node)?;
            let a = self.operand(&left, left_node);
            let mut b = self.operand(&right, right_node);
            let lowered;
            if matches!(op, super::ast::CompareOp::In | super::ast::CompareOp::NotIn)
                && is_headers(right_node)
                && let (Value::Text(name), Value::Map(entries)) = (&left, &right)
            {
                let found = entries.keys().find(|key| key.eq_ignore_ascii_case(name));
                lowered = Value::list(found.map(|_| left.clone()).into_iter().collect());
                b.value = &lowered;
            }
            if !strict::compare(&mut self.meter, *op, &a, &b)? {
                return Ok(Cell::Value(Value::Bool(false)));
            }
            left = right;
            left_node = right_node;
        }
        Ok(Cell::Value(Value::Bool(true)))
    }

    fn call(&mut self, call: &Call, subject: Cell, subject_at: At, written: &str) -> Result<Cell, Stop> {
        let mut args = Vec::with_capacity(call.args.len());
        let mut places = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            places.push(arg.as_ref().map_or_else(|| call.name_at.clone(), |node| node.at.clone()));
            args.push(match arg {
                Some(node) => Some(self.eval(node)?),
                None => None,
            });
        }
        let mut rest = Vec::with_capacity(call.rest.len());
        for (name, node) in &call.rest {
            rest.push((name.clone(), self.value(node)?));
        }
        if let Cell::Value(Value::Text(text)) = &subject {
            self.meter.scan(text.len(), &call.name_at)?;
        }
        let mut input = Input {
            meter: &mut self.meter,
            function: call.function,
            subject,
            subject_at,
            written,
            args,
            places,
            rest,
            each: call.each,
            regex: call.regex.as_ref(),
            shared: None,
            at: call.name_at.clone(),
        };
        Ok((call.function.doc.run)(&mut input)?)
    }

    // Templates.

    pub fn run(&mut self, pieces: &[Piece], out: &mut String) -> Result<(), Stop> {
        for piece in pieces {
            self.piece(piece, out)?;
        }
        Ok(())
    }

    pub fn put(&mut self, text: &str, at: &At, out: &mut String) -> Caught<()> {
        if out.len() + text.len() > strict::MAX_TEXT {
            return Err(Fault::new("too-large", at.clone(), "the result is larger than 16 MiB"));
        }
        self.meter.room(text.len(), at)?;
        out.push_str(text);
        Ok(())
    }

    fn piece(&mut self, piece: &Piece, out: &mut String) -> Result<(), Stop> {
        match piece {
            Piece::Raw(text) => self.put(text, &(0..self.source.len()), out)?,
            Piece::Emit { node, .. } => {
                let text = self.text(node)?;
                self.put(&text, &node.at, out)?;
            }
            Piece::For { .. } => self.for_loop(piece, out)?,
            Piece::If { cases, otherwise, .. } => {
                for (test, body) in cases {
                    if self.condition(test, "what follows `if`")? {
                        return self.run(body, out);
                    }
                }
                self.run(otherwise, out)?;
            }
            Piece::With { names, body, .. } => {
                self.frames.push(Vec::new());
                for (target, node) in names {
                    let value = self.value(node)?;
                    self.bind(target, value)?;
                }
                self.run(body, out)?;
                self.frames.pop();
            }
            Piece::Set { target, node, .. } => {
                let value = self.value(node)?;
                self.bind(target, value)?;
            }
            Piece::SetBlock { target, filter, body, .. } => {
                let text = self.inner(body)?;
                let value = match filter {
                    Some(filter) => self.filter_text(filter, text)?,
                    None => self.meter.text(text, target.at())?,
                };
                self.bind(target, value)?;
            }
            Piece::FilterBlock { filter, body, .. } => {
                let text = self.inner(body)?;
                let value = self.filter_text(filter, text)?;
                let text = self.meter.show(&value, &filter.at, self.written(filter))?;
                self.put(&text, &filter.at, out)?;
            }
        }
        Ok(())
    }

    fn inner(&mut self, body: &[Piece]) -> Result<String, Stop> {
        let mut text = String::new();
        self.frames.push(Vec::new());
        self.run(body, &mut text)?;
        self.frames.pop();
        Ok(text)
    }

    /// A chain of filters without a subject, put over a text.
    fn filter_text(&mut self, chain: &Node, text: String) -> Result<Value, Stop> {
        let Kind::Filter(subject, call) = &chain.kind else {
            return Err(Fault::new("bad-template", chain.at.clone(), "this is no filter").into());
        };
        let value = match subject {
            Some(inner) => self.filter_text(inner, text)?,
            None => self.meter.text(text, &chain.at)?,
        };
        Ok(self.call(call, Cell::Value(value), chain.at.clone(), "")?.value()?)
    }

    fn for_loop(&mut self, piece: &Piece, out: &mut String) -> Result<(), Stop> {
        let Piece::For { target, list, filter, body, otherwise, looks, .. } = piece else { return Ok(()) };
        let value = self.value(list)?;
        let mut items: Vec<Value> = match &value {
            Value::List(items) => items.to_vec(),
            Value::Map(entries) => entries.keys().map(Value::text).collect(),
            other => {
                let hint = matches!(other, Value::Text(_)).then(|| "cut a string with `|lines` or `|split`".to_owned());
                let message = format!("`for` needs a list or a map, this is {}", a_kind(other));
                return Err(Fault::new("type-mismatch", list.at.clone(), message).hint_opt(hint).into());
            }
        };
        self.meter.spend(items.len(), &list.at)?;
        if let Some(filter) = filter {
            let mut kept = Vec::new();
            for item in items {
                self.frames.push(Vec::new());
                self.bind(target, item.clone())?;
                if self.condition(filter, "what follows `if`")? {
                    kept.push(item);
                }
                self.frames.pop();
            }
            items = kept;
        }
        if items.is_empty() {
            self.frames.push(Vec::new());
            self.run(otherwise, out)?;
            self.frames.pop();
            return Ok(());
        }
        for index in 0..items.len() {
            self.meter.spend(if *looks { 10 } else { 2 }, &list.at)?;
            self.frames.push(Vec::new());
            if *looks {
                self.bind(&Target::Name("loop".to_owned(), 0..0), loop_state(&items, index))?;
            }
            self.bind(target, items[index].clone())?;
            self.run(body, out)?;
            self.frames.pop();
        }
        Ok(())
    }

    fn bind(&mut self, target: &Target, value: Value) -> Result<(), Stop> {
        match target {
            Target::Name(name, _) => {
                if let Some(frame) = self.frames.last_mut() {
                    match frame.iter_mut().find(|(bound, _)| bound == name) {
                        Some(entry) => entry.1 = value,
                        None => frame.push((name.clone(), value)),
                    }
                }
                Ok(())
            }
            Target::List(targets, at) => {
                let Value::List(items) = &value else {
                    let message =
                        format!("{} names need a list of {}, this is {}", targets.len(), targets.len(), a_kind(&value));
                    return Err(Fault::new("type-mismatch", at.clone(), message).into());
                };
                if items.len() != targets.len() {
                    let message = format!("{} names stand against {} items", targets.len(), items.len());
                    return Err(Fault::new("type-mismatch", at.clone(), message).into());
                }
                targets.iter().zip(items.iter()).try_for_each(|(target, item)| self.bind(target, item.clone()))
            }
        }
    }
}

/// What `loop` stands for in one round.
fn loop_state(items: &[Value], index: usize) -> Value {
    let length = items.len();
    let number = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let mut state = indexmap::IndexMap::new();
    state.insert("index".to_owned(), number(index + 1));
    state.insert("index0".to_owned(), number(index));
    state.insert("revindex".to_owned(), number(length - index));
    state.insert("revindex0".to_owned(), number(length - index - 1));
    state.insert("first".to_owned(), Value::Bool(index == 0));
    state.insert("last".to_owned(), Value::Bool(index + 1 == length));
    state.insert("length".to_owned(), number(length));
    if let Some(item) = index.checked_sub(1).and_then(|before| items.get(before)) {
        state.insert("previtem".to_owned(), item.clone());
    }
    if let Some(item) = items.get(index + 1) {
        state.insert("nextitem".to_owned(), item.clone());
    }
    Value::map(state)
}

/// `result.headers`: the one map whose keys have no case.
fn is_headers(node: &Node) -> bool {
    match &node.kind {
        Kind::Attr(target, name, _) => name == "headers" && matches!(&target.kind, Kind::Var(name) if name == "result"),
        _ => false,
    }
}

pub(super) fn map_key(key: &Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An index counted from the end when negative.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { length.checked_add(index)? } else { index };
    usize::try_from(index).ok()
}

fn no_item(length: usize, index: i64, what: &str, at: &At) -> Box<Fault> {
    let plural = if length == 1 { "" } else { "s" };
    Fault::new(
        "no-value",
        at.clone(),
        format!("there is no {what} {index}: there {} {length} {what}{plural}", if length == 1 { "is" } else { "are" }),
    )
    .label("not there")
}

/// The positions that `[start:stop:step]` picks, as Python counts them.
fn picks([start, stop, step]: [Option<i64>; 3], length: usize) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let step = step.unwrap_or(1);
    let clamp = |at: i64, low: i64, high: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(low, high);
    let (mut at, end) = if step > 0 {
        (start.map_or(0, |at| clamp(at, 0, length)), stop.map_or(length, |at| clamp(at, 0, length)))
    } else {
        (start.map_or(length - 1, |at| clamp(at, -1, length - 1)), stop.map_or(-1, |at| clamp(at, -1, length - 1)))
    };
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < end } else { at > end };
        let now = at;
        at = at.saturating_add(step);
        inside.then(|| usize::try_from(now).ok()).flatten()
    })
}
