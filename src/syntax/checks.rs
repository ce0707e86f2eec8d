//! Tests: what may follow `is`. Knows nothing of trees or scopes.

use super::{
    ast::{Caught, CompareOp},
    eval::Cell,
    functions::Input,
    strict::{self, Operand},
};
use crate::value::Value;

fn answer(truth: bool) -> Caught<Cell> {
    Ok(Cell::Value(Value::Bool(truth)))
}

macro_rules! is_a {
    ($($name:ident: $pattern:pat,)*) => {
        $(pub(super) fn $name(input: &mut Input<'_>) -> Caught<Cell> {
            answer(matches!(input.subject()?, $pattern))
        })*
    };
}

is_a! {
    boolean: Value::Bool(_),
    duration: Value::Duration(_),
    float: Value::Float(_),
    integer: Value::Int(_),
    iterable: Value::List(_) | Value::Map(_),
    mapping: Value::Map(_),
    none: Value::None,
    number: Value::Int(_) | Value::Float(_),
    sequence: Value::List(_),
    string: Value::Text(_),
    r#true: Value::Bool(true),
    r#false: Value::Bool(false),
}

pub(super) fn defined(input: &mut Input<'_>) -> Caught<Cell> {
    answer(matches!(input.subject, Cell::Value(_)))
}

pub(super) fn undefined(input: &mut Input<'_>) -> Caught<Cell> {
    answer(matches!(input.subject, Cell::Nothing(_)))
}

pub(super) fn empty(input: &mut Input<'_>) -> Caught<Cell> {
    match input.subject()? {
        Value::Text(text) => answer(text.is_empty()),
        Value::List(items) => answer(items.is_empty()),
        Value::Map(entries) => answer(entries.is_empty()),
        other => Err(input.subject_mismatch(&other, "a string, a list or a map")),
    }
}

fn whole(input: &mut Input<'_>) -> Caught<i64> {
    match input.subject()? {
        Value::Int(number) => Ok(number),
        Value::Float(number) => Err(input.bad(format!("{} needs a whole number, this is {number}", input.label()))),
        other => Err(input.subject_mismatch(&other, "a whole number")),
    }
}

pub(super) fn even(input: &mut Input<'_>) -> Caught<Cell> {
    answer(whole(input)? % 2 == 0)
}

pub(super) fn odd(input: &mut Input<'_>) -> Caught<Cell> {
    answer(whole(input)? % 2 != 0)
}

pub(super) fn divisibleby(input: &mut Input<'_>) -> Caught<Cell> {
    let number = whole(input)?;
    match input.arg_int(0)? {
        Some(0) | None => Err(input.fault("bad-arithmetic", &input.place(0), "division by zero")),
        Some(by) => answer(number.checked_rem(by).unwrap_or(0) == 0),
    }
}

pub(super) fn startingwith(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    answer(text.starts_with(input.needed_text(0)?.as_ref()))
}

pub(super) fn endingwith(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    answer(text.ends_with(input.needed_text(0)?.as_ref()))
}

pub(super) fn lower(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    answer(text.chars().all(|c| !c.is_uppercase()))
}

pub(super) fn upper(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    answer(text.chars().all(|c| !c.is_lowercase()))
}

pub(super) fn matches(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    answer(input.pattern(0)?.is_match(&text))
}

/// As the operator would answer.
fn compare(input: &mut Input<'_>, op: CompareOp) -> Caught<Cell> {
    let (left, right) = (input.subject()?, input.needed(0)?);
    let left = Operand { value: &left, at: input.subject_at.clone(), written: input.written };
    let right = Operand { value: &right, at: input.place(0), written: "value" };
    answer(strict::compare(input.meter, op, &left, &right)?)
}

pub(super) fn eq(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::Eq)
}

pub(super) fn ne(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::Ne)
}

pub(super) fn lt(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::Lt)
}

pub(super) fn le(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::Le)
}

pub(super) fn gt(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::Gt)
}

pub(super) fn ge(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::Ge)
}

pub(super) fn is_in(input: &mut Input<'_>) -> Caught<Cell> {
    compare(input, CompareOp::In)
}

pub(super) fn containing(input: &mut Input<'_>) -> Caught<Cell> {
    let (container, item) = (input.subject()?, input.needed(0)?);
    let container = Operand { value: &container, at: input.subject_at.clone(), written: input.written };
    let item = Operand { value: &item, at: input.place(0), written: "value" };
    let at = input.at.clone();
    answer(strict::contains(input.meter, &item, &container, &at)?)
}
