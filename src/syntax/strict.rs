//! What operators do with values: strict about types, bounded in size. Knows nothing of names or trees.

use std::time::Duration;

use super::{
    ast::{At, Caught, CompareOp, Fault, MathOp},
    times, versions,
};
use crate::value::{Value, parse_duration};

/// The largest text that may be made.
pub(super) const MAX_TEXT: usize = 16 << 20;
/// The longest list that may be made.
pub(super) const MAX_LIST: usize = 1_000_000;
/// How deep lists and maps may lie in each other.
const MAX_NESTING: usize = 100;

/// Bounds what one evaluation may cost.
pub(super) struct Meter {
    fuel: u64,
    /// Bytes of text that may still be made.
    bytes: usize,
}

impl Meter {
    pub fn new() -> Meter {
        Meter { fuel: 10_000_000, bytes: 16 * MAX_TEXT }
    }

    pub fn spend(&mut self, amount: usize, at: &At) -> Caught<()> {
        match self.fuel.checked_sub(amount as u64) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => {
                self.fuel = 0;
                Err(Fault::new("too-large", at.clone(), "this takes too many steps to work out"))
            }
        }
    }

    /// Looking through that many bytes.
    pub fn scan(&mut self, bytes: usize, at: &At) -> Caught<()> {
        self.spend(bytes / 256, at)
    }

    /// Room for a text of that size, asked for before it is made.
    pub fn room(&mut self, bytes: usize, at: &At) -> Caught<()> {
        if bytes > MAX_TEXT {
            return Err(Fault::new("too-large", at.clone(), "the result is larger than 16 MiB"));
        }
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                self.scan(bytes, at)
            }
            None => Err(Fault::new("too-large", at.clone(), "the texts made here are larger than 256 MiB together")),
        }
    }

    pub fn text(&mut self, text: impl AsRef<str>, at: &At) -> Caught<Value> {
        self.room(text.as_ref().len(), at)?;
        Ok(Value::text(text))
    }

    pub fn list(&mut self, items: Vec<Value>, at: &At) -> Caught<Value> {
        if items.len() > MAX_LIST {
            return Err(Fault::new("too-large", at.clone(), "the list has more than a million items"));
        }
        self.measure(&items, 1, at)?;
        Ok(Value::list(items))
    }

    pub fn map(&mut self, entries: indexmap::IndexMap<String, Value>, at: &At) -> Caught<Value> {
        if entries.len() > MAX_LIST {
            return Err(Fault::new("too-large", at.clone(), "the map has more than a million entries"));
        }
        self.measure(entries.values(), 1, at)?;
        Ok(Value::map(entries))
    }

    /// Pays for all that lies below: lists share their items, so `[x, x]` of `[y, y]` of … is larger than it looks.
    pub fn measure<'v>(&mut self, items: impl IntoIterator<Item = &'v Value>, nesting: usize, at: &At) -> Caught<()> {
        if nesting > MAX_NESTING {
            return Err(Fault::new("too-large", at.clone(), "lists and maps lie too deep in each other"));
        }
        for item in items {
            self.spend(1, at)?;
            match item {
                Value::List(items) => self.measure(items.iter(), nesting + 1, at)?,
                Value::Map(entries) => self.measure(entries.values(), nesting + 1, at)?,
                Value::Text(text) => self.scan(text.len(), at)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses what would be too large a text as JSON, before it is made: a list may hold one large text many times.
    /// `indent` is what each level of it is moved by.
    pub fn weigh(&mut self, value: &Value, indent: usize, at: &At) -> Caught<()> {
        // The value itself is no level: what could be made can be weighed.
        self.measure([value], 0, at)?;
        let mut left = MAX_TEXT;
        match lighter(value, indent, indent, &mut left) {
            true => Ok(()),
            false => Err(Fault::new("too-large", at.clone(), "the result is larger than 16 MiB")),
        }
    }

    /// As a template shows it; none is refused, because a missing value that is silently printed is a lie.
    pub fn show(&mut self, value: &Value, at: &At, written: &str) -> Caught<String> {
        if matches!(value, Value::None) {
            return Err(Fault::new("no-value", at.clone(), format!("{} is none", quoted(written)))
                .label("nothing to write here")
                .hint(format!("give it a text: `{}|default(\"…\", true)`", brief(written))));
        }
        if let Value::Text(text) = value {
            self.room(text.len(), at)?;
            return Ok(text.to_string());
        }
        self.weigh(value, 0, at)?;
        let text = value.to_string();
        self.room(text.len(), at)?;
        Ok(text)
    }
}

/// Takes the least that a value needs as JSON from what is left; false when nothing is.
fn lighter(value: &Value, indent: usize, margin: usize, left: &mut usize) -> bool {
    match value {
        Value::Text(text) => taken(left, text.len() + 2),
        Value::List(items) => {
            taken(left, 2)
                && items.iter().all(|item| taken(left, margin + 1) && lighter(item, indent, margin + indent, left))
        }
        Value::Map(entries) => {
            taken(left, 2)
                && entries.iter().all(|(key, item)| {
                    taken(left, margin + key.len() + 4) && lighter(item, indent, margin + indent, left)
                })
        }
        _ => taken(left, 1),
    }
}

fn taken(left: &mut usize, bytes: usize) -> bool {
    left.checked_sub(bytes).is_some_and(|rest| {
        *left = rest;
        true
    })
}

/// What was written, short enough for a message.
pub(super) fn brief(written: &str) -> &str {
    let written = written.trim();
    if written.chars().count() > 50 || written.contains('\n') { "value" } else { written }
}

pub(super) fn quoted(written: &str) -> String {
    match brief(written) {
        "value" | "" => "this value".into(),
        short => format!("`{short}`"),
    }
}

/// A value's type with its article, as messages say it.
pub(super) fn a_kind(value: &Value) -> &'static str {
    match value {
        Value::None => "none",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Duration(_) => "a duration",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}

/// An operand: its value, its place, and what was written there.
pub(super) struct Operand<'a> {
    pub value: &'a Value,
    pub at: At,
    pub written: &'a str,
}

pub(super) fn condition(operand: &Operand<'_>, needed_by: &str) -> Caught<bool> {
    if let Value::Bool(truth) = operand.value {
        return Ok(*truth);
    }
    let written = brief(operand.written);
    let hint = match operand.value {
        Value::Text(text) if matches!(text.as_ref(), "true" | "false") => {
            format!("convert with `|bool`: `{written}|bool`")
        }
        Value::Text(_) => format!("ask something about it: `{written} == \"…\"` or `{written}|length > 0`"),
        Value::List(_) | Value::Map(_) => format!("ask something about it: `{written}|length > 0`"),
        Value::Int(_) | Value::Float(_) => format!("ask something about it: `{written} != 0`"),
        Value::Duration(_) => format!("ask something about it: `{written}|seconds > 0`"),
        Value::None => format!("ask `{written} is not none`, or give it a value with `|default(false, true)`"),
        Value::Bool(_) => String::new(),
    };
    let kind = a_kind(operand.value);
    Err(Fault::new("not-a-condition", operand.at.clone(), format!("{needed_by} must be true or false, this is {kind}"))
        .label(kind)
        .hint(hint))
}

/// Numbers are one type, whole or not.
fn same_type(left: &Value, right: &Value) -> bool {
    a_kind(left) == a_kind(right)
}

pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => {
            compare_int_float(*a, *b).is_some_and(|o| o.is_eq())
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Exact, where turning the whole number into a float would round it.
fn compare_int_float(a: i64, b: f64) -> Option<std::cmp::Ordering> {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        return None;
    }
    if b >= EDGE {
        return Some(std::cmp::Ordering::Less);
    }
    if b < -EDGE {
        return Some(std::cmp::Ordering::Greater);
    }
    let whole = b.trunc();
    Some(a.cmp(&(whole as i64)).then(0.0_f64.partial_cmp(&(b - whole))?))
}

/// The order of two numbers or two durations; `None` for anything else.
pub(super) fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Float(b)) => compare_int_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => compare_int_float(*b, *a).map(std::cmp::Ordering::reverse),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// How to turn what is looked for into a string.
fn as_text(from: &Operand<'_>, to: &Value) -> Option<String> {
    let simple = matches!(from.value, Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Duration(_));
    let written = brief(from.written);
    (simple && matches!(to, Value::Text(_))).then(|| format!("convert with `|string`: `{written}|string`"))
}

/// How to turn one side into the type of the other.
fn conversion(from: &Operand<'_>, to: &Value) -> Option<String> {
    let written = brief(from.written);
    let filter = match (from.value, to) {
        (Value::Text(text), Value::Int(_))
            if text.trim().parse::<i64>().is_err() && text.trim().parse::<f64>().is_ok() =>
        {
            "float"
        }
        (Value::Text(_), Value::Int(_)) => "int",
        (Value::Text(_), Value::Float(_)) => "float",
        (Value::Text(_), Value::Bool(_)) => "bool",
        (Value::Duration(_), Value::Int(_) | Value::Float(_)) => "seconds",
        (Value::Text(text), Value::Duration(_)) if parse_duration(text).is_ok() => "duration",
        _ => return None,
    };
    Some(format!("convert with `|{filter}`: `{written}|{filter}`"))
}

pub(super) fn compare(meter: &mut Meter, op: CompareOp, left: &Operand<'_>, right: &Operand<'_>) -> Caught<bool> {
    let whole = left.at.start.min(right.at.start)..right.at.end.max(left.at.end);
    match op {
        CompareOp::Eq | CompareOp::Ne => {
            let either_none = matches!(left.value, Value::None) || matches!(right.value, Value::None);
            if !either_none && !same_type(left.value, right.value) {
                let (a, b) = (a_kind(left.value), a_kind(right.value));
                let hint = conversion(left, right.value).or_else(|| conversion(right, left.value));
                return Err(Fault::new("type-mismatch", whole, format!("{a} is compared with {b}"))
                    .label(format!("`{}` between {a} and {b} has no answer", op.sign()))
                    .hint_opt(hint.or_else(|| Some("convert one side first".into()))));
            }
            meter.measure([left.value], 1, &whole)?;
            Ok(equal(left.value, right.value) == (op == CompareOp::Eq))
        }
        CompareOp::In | CompareOp::NotIn => Ok(contains(meter, left, right, &whole)? == (op == CompareOp::In)),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
            let Some(order) = order(left.value, right.value) else {
                return Err(not_ordered(op, left, right));
            };
            Ok(match op {
                CompareOp::Lt => order.is_lt(),
                CompareOp::Le => order.is_le(),
                CompareOp::Gt => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

fn not_ordered(op: CompareOp, left: &Operand<'_>, right: &Operand<'_>) -> Box<Fault> {
    let orderable = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_) | Value::Duration(_));
    let message = format!("`{}` needs two numbers", op.sign());
    let (wrong, other) = if orderable(left.value) { (right, left) } else { (left, right) };
    if orderable(wrong.value) {
        // A duration and a number.
        let hint = conversion(left, right.value).or_else(|| conversion(right, left.value));
        return Fault::new(
            "type-mismatch",
            left.at.start..right.at.end,
            format!("`{}` needs two numbers or two durations", op.sign()),
        )
        .hint_opt(hint);
    }
    let target = if orderable(other.value) { other.value.clone() } else { Value::Int(0) };
    let hint = match wrong.value {
        Value::List(_) | Value::Map(_) => Some(format!("compare its length: `{}|length`", brief(wrong.written))),
        Value::None => Some(format!("give it a value: `{}|default(0, true)`", brief(wrong.written))),
        // These have an order, and words of their own for it.
        Value::Text(text) if times::is_moment(text) => {
            Some(format!("compare moments with `{} is before(…)` or `is after(…)`", brief(wrong.written)))
        }
        Value::Text(text) if text.parse::<f64>().is_err() && versions::read(text).is_ok() => {
            Some(format!("compare versions with `{} is version(\">=…\")`", brief(wrong.written)))
        }
        _ => conversion(wrong, &target),
    };
    Fault::new("type-mismatch", wrong.at.clone(), format!("{message}, this is {}", a_kind(wrong.value)))
        .label(a_kind(wrong.value))
        .hint_opt(hint)
}

pub(super) fn contains(meter: &mut Meter, item: &Operand<'_>, container: &Operand<'_>, whole: &At) -> Caught<bool> {
    match (container.value, item.value) {
        (Value::Text(text), Value::Text(part)) => {
            meter.scan(text.len() + part.len(), whole)?;
            Ok(text.contains(part.as_ref()))
        }
        (Value::Text(_), other) => Err(Fault::new(
            "type-mismatch",
            item.at.clone(),
            format!("only a string can be in a string, this is {}", a_kind(other)),
        )
        .hint(format!("convert with `|string`: `{}|string`", brief(item.written)))),
        (Value::List(items), value) => {
            meter.spend(items.len(), whole)?;
            if matches!(value, Value::List(_) | Value::Map(_) | Value::Text(_)) {
                meter.measure(items.iter(), 1, whole)?;
            }
            let found = items.iter().any(|item| same_type(item, value) && equal(item, value));
            // As with `==`: `3 in ["3"]` would be false for ever, and nobody would see why.
            let kin = |one: &Value| same_type(one, value) || matches!(one, Value::None);
            let strange = !found && !matches!(value, Value::None) && !items.iter().any(kin);
            match items.first().filter(|_| strange) {
                Some(first) => Err(Fault::new(
                    "type-mismatch",
                    whole.clone(),
                    format!("{} is looked for in a list that holds none", a_kind(value)),
                )
                .label(format!("the first item is {}", a_kind(first)))
                .hint_opt(conversion(item, first).or_else(|| as_text(item, first)))),
                None => Ok(found),
            }
        }
        (Value::Map(entries), Value::Text(key)) => Ok(entries.contains_key(key.as_ref())),
        (Value::Map(_), Value::None) => Ok(false),
        (Value::Map(_), key) => Err(Fault::new(
            "type-mismatch",
            item.at.clone(),
            format!("the keys of a map are strings, this is {}", a_kind(key)),
        )
        .hint_opt(as_text(item, &Value::text("")))),
        (other, _) => Err(Fault::new(
            "type-mismatch",
            container.at.clone(),
            format!("`in` needs a list, a map or a string, this is {}", a_kind(other)),
        )
        .label(a_kind(other))),
    }
}

pub(super) fn negate(operand: &Operand<'_>) -> Caught<Value> {
    match operand.value {
        Value::Int(number) => match number.checked_neg() {
            Some(number) => Ok(Value::Int(number)),
            None => Err(overflow(operand.at.clone())),
        },
        Value::Float(number) => Ok(Value::Float(-number)),
        other => Err(Fault::new(
            "type-mismatch",
            operand.at.clone(),
            format!("`-` needs a number, this is {}", a_kind(other)),
        )
        .hint_opt(conversion(operand, &Value::Int(0)))),
    }
}

fn overflow(at: At) -> Box<Fault> {
    Fault::new("bad-arithmetic", at, "the result is too large a number")
}

fn finite(number: f64, at: &At) -> Caught<Value> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(overflow(at.clone())) }
}

pub(super) fn math(meter: &mut Meter, op: MathOp, left: &Operand<'_>, right: &Operand<'_>) -> Caught<Value> {
    let at = left.at.start.min(right.at.start)..right.at.end.max(left.at.end);
    use Value::{Duration as Span, Float, Int, List, Text};
    match (op, left.value, right.value) {
        (MathOp::Concat, a, b) => {
            let mut text = meter.show(a, &left.at, left.written)?;
            let more = meter.show(b, &right.at, right.written)?;
            meter.room(text.len() + more.len(), &at)?;
            text.push_str(&more);
            Ok(Value::text(text))
        }
        (MathOp::Add, Text(a), Text(b)) => {
            meter.room(a.len() + b.len(), &at)?;
            Ok(Value::text(format!("{a}{b}")))
        }
        (MathOp::Add, List(a), List(b)) => {
            meter.spend(a.len() + b.len(), &at)?;
            meter.list(a.iter().chain(b.iter()).cloned().collect(), &at)
        }
        (MathOp::Mul, Text(text), Int(times)) | (MathOp::Mul, Int(times), Text(text)) => {
            let times = usize::try_from(*times).unwrap_or(0);
            meter.room(text.len().saturating_mul(times), &at)?;
            Ok(Value::text(text.repeat(if text.is_empty() { 0 } else { times })))
        }
        (MathOp::Mul, List(items), Int(times)) | (MathOp::Mul, Int(times), List(items)) => {
            let times = usize::try_from(*times).unwrap_or(0);
            let length = items.len().saturating_mul(times);
            if length > MAX_LIST {
                return Err(Fault::new("too-large", at, "the list has more than a million items"));
            }
            meter.spend(length, &at)?;
            meter.list(items.iter().cycle().take(length).cloned().collect(), &at)
        }
        (_, Int(a), Int(b)) => whole_numbers(op, *a, *b, &at, right),
        (_, Int(a), Float(b)) => floats(op, *a as f64, *b, &at, right),
        (_, Float(a), Int(b)) => floats(op, *a, *b as f64, &at, right),
        (_, Float(a), Float(b)) => floats(op, *a, *b, &at, right),
        (MathOp::Add, Span(a), Span(b)) => a.checked_add(*b).map(Span).ok_or_else(|| overflow(at)),
        (MathOp::Sub, Span(a), Span(b)) => {
            a.checked_sub(*b).map(Span).ok_or_else(|| Fault::new("bad-arithmetic", at, "a duration cannot be negative"))
        }
        (MathOp::Div, Span(a), Span(b)) => {
            if b.is_zero() {
                return Err(zero(right));
            }
            finite(a.as_secs_f64() / b.as_secs_f64(), &at)
        }
        (MathOp::Mul, Span(a), number @ (Int(_) | Float(_))) | (MathOp::Mul, number @ (Int(_) | Float(_)), Span(a)) => {
            let factor = match number {
                Int(number) => *number as f64,
                Float(number) => *number,
                _ => 0.0,
            };
            Duration::try_from_secs_f64(a.as_secs_f64() * factor)
                .map(Span)
                .map_err(|_| Fault::new("bad-arithmetic", at, "the result is not a duration"))
        }
        (MathOp::Div, Span(a), number @ (Int(_) | Float(_))) => {
            let divisor = match number {
                Int(number) => *number as f64,
                Float(number) => *number,
                _ => 0.0,
            };
            if divisor == 0.0 {
                return Err(zero(right));
            }
            Duration::try_from_secs_f64(a.as_secs_f64() / divisor)
                .map(Span)
                .map_err(|_| Fault::new("bad-arithmetic", at, "the result is not a duration"))
        }
        (op, a, b) => Err(no_math(op, a, b, left, right, at)),
    }
}

fn no_math(op: MathOp, a: &Value, b: &Value, left: &Operand<'_>, right: &Operand<'_>, at: At) -> Box<Fault> {
    let number = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_));
    let message = format!("`{}` does not work on {} and {}", op.sign(), a_kind(a), a_kind(b));
    let hint = match (op, a, b) {
        (MathOp::Add, Value::Text(_), _) | (MathOp::Add, _, Value::Text(_)) => {
            Some(format!("join texts with `~`: `{} ~ {}`", brief(left.written), brief(right.written)))
        }
        (MathOp::Rem, Value::Text(text), _) if text.contains('%') => {
            Some(format!("fill a format with `{}|format(…)`", brief(left.written)))
        }
        (_, a, Value::Int(_) | Value::Float(_)) if !number(a) => conversion(left, b),
        (_, Value::Int(_) | Value::Float(_), b) if !number(b) => conversion(right, a),
        _ => conversion(left, &Value::Int(0)).or_else(|| conversion(right, &Value::Int(0))),
    };
    Fault::new("type-mismatch", at, message).hint_opt(hint)
}

fn zero(divisor: &Operand<'_>) -> Box<Fault> {
    Fault::new("bad-arithmetic", divisor.at.clone(), "division by zero").label("this is zero")
}

fn whole_numbers(op: MathOp, a: i64, b: i64, at: &At, divisor: &Operand<'_>) -> Caught<Value> {
    let result = match op {
        MathOp::Add => a.checked_add(b),
        MathOp::Sub => a.checked_sub(b),
        MathOp::Mul => a.checked_mul(b),
        MathOp::Div | MathOp::FloorDiv | MathOp::Rem if b == 0 => return Err(zero(divisor)),
        MathOp::Div => return finite(a as f64 / b as f64, at),
        // Towards minus infinity, and a remainder with the divisor's sign.
        MathOp::FloorDiv => {
            a.checked_div(b).map(|quotient| if a % b != 0 && ((a < 0) != (b < 0)) { quotient - 1 } else { quotient })
        }
        MathOp::Rem => Some(match a.checked_rem(b) {
            None => 0,
            Some(rest) if rest != 0 && ((rest < 0) != (b < 0)) => rest + b,
            Some(rest) => rest,
        }),
        MathOp::Pow if b < 0 && a == 0 => return Err(zero(divisor)),
        MathOp::Pow if b < 0 => return finite((a as f64).powf(b as f64), at),
        MathOp::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        // Joining texts never comes here.
        MathOp::Concat => None,
    };
    result.map(Value::Int).ok_or_else(|| overflow(at.clone()))
}

fn floats(op: MathOp, a: f64, b: f64, at: &At, divisor: &Operand<'_>) -> Caught<Value> {
    let number = match op {
        MathOp::Add => a + b,
        MathOp::Sub => a - b,
        MathOp::Mul => a * b,
        MathOp::Div | MathOp::FloorDiv | MathOp::Rem if b == 0.0 => return Err(zero(divisor)),
        MathOp::Div => a / b,
        MathOp::FloorDiv => (a / b).floor(),
        MathOp::Rem => {
            let rest = a % b;
            if rest != 0.0 && ((rest < 0.0) != (b < 0.0)) { rest + b } else { rest }
        }
        MathOp::Pow if a == 0.0 && b < 0.0 => return Err(zero(divisor)),
        MathOp::Pow => a.powf(b),
        MathOp::Concat => f64::NAN,
    };
    finite(number, at)
}
