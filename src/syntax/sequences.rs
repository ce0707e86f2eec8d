//! Filters and functions over lists and maps. Knows nothing of trees or scopes.

use std::{cmp::Ordering, sync::Arc};

use indexmap::IndexMap;

use super::{
    ast::{Caught, Fault, MathOp},
    eval::{Cell, map_key, position},
    functions::Input,
    strict::{self, MAX_LIST, Operand, a_kind, brief},
};
use crate::{
    text::{cut, nearest},
    value::Value,
};

fn list(input: &mut Input<'_>, items: Vec<Value>) -> Caught<Cell> {
    let at = input.at.clone();
    Ok(Cell::Value(input.meter.list(items, &at)?))
}

fn pair(key: &str, value: &Value) -> Value {
    Value::list(vec![Value::text(key), value.clone()])
}

/// There is no first, last, least or greatest of nothing.
fn empty(input: &Input<'_>) -> Cell {
    let message = format!("{} has nothing to give, this is empty", input.label());
    let hint = format!("say what to take then: `{}|{}|default(…)`", brief(input.written), input.function.doc.name);
    Cell::Nothing(Fault::new("no-value", input.subject_at.clone(), message).hint(hint))
}

/// What `a.b.0` leads to below a value.
fn dig(value: &Value, path: &str) -> Option<Value> {
    let mut at = value.clone();
    for part in path.split('.') {
        at = match &at {
            Value::Map(entries) => entries.get(part)?.clone(),
            Value::List(items) => items.get(position(part.parse().ok()?, items.len())?)?.clone(),
            _ => return None,
        };
    }
    Some(at)
}

fn attribute_of(input: &Input<'_>, item: &Value, path: &str) -> Caught<Value> {
    dig(item, path).ok_or_else(|| {
        let message = match item {
            Value::Map(_) | Value::List(_) => format!("an item has no `{path}`"),
            other => format!("an item is {} and has no `{path}`", a_kind(other)),
        };
        let hint = match item {
            Value::Map(entries) => match nearest(path, entries.keys().map(String::as_str)) {
                Some(name) => Some(format!("did you mean `{name}`?")),
                None => entries.keys().next().map(|_| {
                    let names: Vec<&str> = entries.keys().take(8).map(String::as_str).collect();
                    format!("it has {}{}", names.join(", "), if entries.len() > names.len() { ", …" } else { "" })
                }),
            },
            _ => None,
        };
        let index = input.function.params.iter().position(|param| param.name == "attribute");
        let at = index.map_or_else(|| input.at.clone(), |index| input.place(index));
        input.fault("no-value", &at, message).hint_opt(hint)
    })
}

/// What each item is judged by: itself, or one of its attributes.
fn keyed(input: &Input<'_>, items: &[Value], attribute: Option<&str>) -> Caught<Vec<(Value, Value)>> {
    items
        .iter()
        .map(|item| {
            let key = match attribute {
                Some(path) => attribute_of(input, item, path)?,
                None => item.clone(),
            };
            Ok((key, item.clone()))
        })
        .collect()
}

fn folded(input: &mut Input<'_>, value: Value, case_sensitive: bool) -> Caught<Value> {
    match value {
        Value::Text(text) if !case_sensitive => {
            // A list may hold one large text many times.
            input.meter.room(text.len(), &input.at)?;
            Ok(Value::text(text.to_lowercase()))
        }
        other => Ok(other),
    }
}

/// The order of two values of one type; lists by their first difference.
fn rank(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::None, Value::None) => Some(Ordering::Equal),
        (Value::List(a), Value::List(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                let order = rank(a, b)?;
                if order.is_ne() {
                    return Some(order);
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        _ => strict::order(left, right),
    }
}

fn sorted(input: &mut Input<'_>, mut items: Vec<(Value, Value)>, reverse: bool) -> Caught<Vec<(Value, Value)>> {
    let at = input.at.clone();
    // Roughly what a sort compares.
    input.meter.spend(items.len().saturating_mul(items.len().max(2).ilog2() as usize), &at)?;
    // Sorting must not see values that have no order among each other.
    if let Some((first, _)) = items.first() {
        for (key, _) in &items {
            if rank(first, key).is_none() || rank(key, key).is_none() {
                let message = format!("{} and {} have no order", a_kind(first), a_kind(key));
                return Err(input.fault("type-mismatch", &input.subject_at, message));
            }
        }
    }
    items.sort_by(|(a, _), (b, _)| {
        let order = rank(a, b).unwrap_or(Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    Ok(items)
}

fn items_of(keyed: Vec<(Value, Value)>) -> Vec<Value> {
    keyed.into_iter().map(|(_, item)| item).collect()
}

pub(super) fn attr(input: &mut Input<'_>) -> Caught<Cell> {
    let key = input.needed(0)?;
    let value = input.subject()?;
    if !matches!(value, Value::Map(_) | Value::None) {
        return Ok(Cell::Nothing(input.subject_mismatch(&value, "a map")));
    }
    let found = match (&value, map_key(&key)) {
        (Value::Map(entries), Some(key)) => entries.get(&key).cloned(),
        _ => None,
    };
    if let Some(found) = found {
        return Ok(Cell::Value(found));
    }
    if let Some(default) = input.arg(1)? {
        return Ok(Cell::Value(default));
    }
    let nearest = match &value {
        Value::Map(entries) => nearest(&key.to_string(), entries.keys().map(String::as_str)),
        _ => None,
    };
    let hint = nearest.map(|name| format!("did you mean `{name}`?"));
    let at = input.place(0);
    Ok(Cell::Nothing(Fault::new("no-value", at, format!("this has no `{}`", cut(&key.to_string(), 40))).hint_opt(hint)))
}

pub(super) fn first(input: &mut Input<'_>) -> Caught<Cell> {
    if let Cell::Value(Value::Text(text)) = &input.subject {
        let found = text.chars().next();
        return Ok(found.map_or_else(|| empty(input), |c| Cell::Value(Value::text(c.to_string()))));
    }
    let items = input.list()?;
    Ok(items.first().map_or_else(|| empty(input), |item| Cell::Value(item.clone())))
}

pub(super) fn last(input: &mut Input<'_>) -> Caught<Cell> {
    if let Cell::Value(Value::Text(text)) = &input.subject {
        let found = text.chars().next_back();
        return Ok(found.map_or_else(|| empty(input), |c| Cell::Value(Value::text(c.to_string()))));
    }
    let items = input.list()?;
    Ok(items.last().map_or_else(|| empty(input), |item| Cell::Value(item.clone())))
}

pub(super) fn length(input: &mut Input<'_>) -> Caught<Cell> {
    let length = match input.subject()? {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        other => {
            let message = format!("the filter `length` needs a string, a list or a map, this is {}", a_kind(&other));
            return Err(input.fault("type-mismatch", &input.subject_at, message).label(a_kind(&other)));
        }
    };
    Ok(Cell::Value(Value::Int(i64::try_from(length).unwrap_or(i64::MAX))))
}

pub(super) fn reverse(input: &mut Input<'_>) -> Caught<Cell> {
    if let Cell::Value(Value::Text(text)) = &input.subject {
        let text: String = text.chars().rev().collect();
        let at = input.at.clone();
        return Ok(Cell::Value(input.meter.text(text, &at)?));
    }
    let items = input.list()?;
    list(input, items.iter().rev().cloned().collect())
}

pub(super) fn list_of_chars(input: &mut Input<'_>, text: &str) -> Caught<Cell> {
    let at = input.at.clone();
    input.meter.room(text.len(), &at)?;
    let mut items = Vec::new();
    for c in text.chars() {
        if items.len() > MAX_LIST {
            break;
        }
        items.push(Value::text(c.encode_utf8(&mut [0; 4])));
    }
    list(input, items)
}

pub(super) fn list_filter(input: &mut Input<'_>) -> Caught<Cell> {
    if let Cell::Value(Value::Text(text)) = &input.subject {
        let text = Arc::clone(text);
        return list_of_chars(input, &text);
    }
    Ok(Cell::Value(Value::List(input.list()?)))
}

pub(super) fn join(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let separator = input.arg_text(0)?.unwrap_or_else(|| "".into());
    let attribute = input.arg_text(1)?;
    let at = input.at.clone();
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let item = match &attribute {
            Some(path) => &attribute_of(input, item, path)?,
            None => item,
        };
        if matches!(item, Value::None) {
            return Err(input.fault("no-value", &input.subject_at, format!("the item at position {index} is none")));
        }
        let text = input.meter.show(item, &at, "")?;
        let parts = [if index > 0 { separator.as_ref() } else { "" }, &text];
        if joined.len() + parts[0].len() + parts[1].len() > strict::MAX_TEXT {
            return Err(input.fault("too-large", &at, "the result is larger than 16 MiB"));
        }
        parts.iter().for_each(|part| joined.push_str(part));
    }
    Ok(Cell::Value(input.meter.text(joined, &at)?))
}

pub(super) fn items(input: &mut Input<'_>) -> Caught<Cell> {
    let entries = input.map()?;
    list(input, entries.iter().map(|(key, value)| pair(key, value)).collect())
}

pub(super) fn keys(input: &mut Input<'_>) -> Caught<Cell> {
    let entries = input.map()?;
    list(input, entries.keys().map(Value::text).collect())
}

pub(super) fn values(input: &mut Input<'_>) -> Caught<Cell> {
    let entries = input.map()?;
    list(input, entries.values().cloned().collect())
}

pub(super) fn dictsort(input: &mut Input<'_>) -> Caught<Cell> {
    let entries = input.map()?;
    let case_sensitive = input.arg_bool(0)?;
    let by = input.arg_text(1)?;
    let reverse = input.arg_bool(2)?;
    let by_value = match by.as_deref() {
        None | Some("key") => false,
        Some("value") => true,
        Some(other) => {
            let message = format!("`by` of the filter `dictsort` is `key` or `value`, not `{}`", cut(other, 40));
            return Err(input.fault("bad-value", &input.place(1), message));
        }
    };
    let mut keyed = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let by = if by_value { value.clone() } else { Value::text(key) };
        keyed.push((folded(input, by, case_sensitive)?, pair(key, value)));
    }
    let sorted = sorted(input, keyed, reverse)?;
    list(input, items_of(sorted))
}

pub(super) fn sort(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let (reverse, case_sensitive) = (input.arg_bool(0)?, input.arg_bool(1)?);
    let attribute = input.arg_text(2)?;
    let keyed = keyed(input, &items, attribute.as_deref())?;
    let mut by = Vec::with_capacity(keyed.len());
    for (key, item) in keyed {
        by.push((folded(input, key, case_sensitive)?, item));
    }
    let sorted = sorted(input, by, reverse)?;
    list(input, items_of(sorted))
}

fn extreme(input: &mut Input<'_>, last: bool) -> Caught<Cell> {
    let items = input.list()?;
    let attribute = input.arg_text(0)?;
    let keyed = keyed(input, &items, attribute.as_deref())?;
    let sorted = sorted(input, keyed, false)?;
    let found = if last { sorted.last() } else { sorted.first() };
    Ok(found.map_or_else(|| empty(input), |(_, item)| Cell::Value(item.clone())))
}

pub(super) fn min(input: &mut Input<'_>) -> Caught<Cell> {
    extreme(input, false)
}

pub(super) fn max(input: &mut Input<'_>) -> Caught<Cell> {
    extreme(input, true)
}

pub(super) fn sum(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let attribute = input.arg_text(0)?;
    let start = input.arg(1)?;
    let keyed = keyed(input, &items, attribute.as_deref())?;
    let mut total = start;
    for (key, _) in &keyed {
        if !matches!(key, Value::Int(_) | Value::Float(_) | Value::Duration(_)) {
            let message = format!("the filter `sum` needs numbers, an item is {}", a_kind(key));
            return Err(input
                .fault("type-mismatch", &input.subject_at, message)
                .hint("convert them: `|map(\"int\")|sum`"));
        }
        total = Some(match total {
            None => key.clone(),
            Some(total) => {
                let at = input.subject_at.clone();
                let left = Operand { value: &total, at: at.clone(), written: "value" };
                let right = Operand { value: key, at, written: "value" };
                strict::math(input.meter, MathOp::Add, &left, &right)?
            }
        });
    }
    Ok(Cell::Value(total.unwrap_or(Value::Int(0))))
}

pub(super) fn batch(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let count = count(input)?;
    let fill = input.arg(1)?.filter(|fill| !matches!(fill, Value::None));
    let mut batches: Vec<Vec<Value>> = items.chunks(count).map(<[Value]>::to_vec).collect();
    if let (Some(fill), Some(last)) = (fill, batches.last_mut()) {
        last.resize(count, fill);
    }
    list(input, batches.into_iter().map(Value::list).collect())
}

pub(super) fn slice(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let count = count(input)?;
    let fill = input.arg(1)?.filter(|fill| !matches!(fill, Value::None));
    let (least, longer) = (items.len() / count, items.len() % count);
    let mut from = 0;
    let mut slices = Vec::with_capacity(count);
    for index in 0..count {
        let to = from + least + usize::from(index < longer);
        let mut part = items[from..to].to_vec();
        if let Some(fill) = &fill
            && longer > 0
            && index >= longer
        {
            part.push(fill.clone());
        }
        slices.push(Value::list(part));
        from = to;
    }
    list(input, slices)
}

fn count(input: &mut Input<'_>) -> Caught<usize> {
    match input.arg_size(0, 100_000)? {
        Some(count) if count > 0 => Ok(count),
        _ => Err(input.fault("bad-value", &input.place(0), "the count must be at least 1")),
    }
}

pub(super) fn chain(input: &mut Input<'_>) -> Caught<Cell> {
    let mut chained = input.list()?.to_vec();
    for (_, other) in std::mem::take(&mut input.rest) {
        match other {
            Value::List(items) => chained.extend(items.iter().cloned()),
            other => return Err(not_lists(input, &other)),
        }
        if chained.len() > MAX_LIST {
            break;
        }
    }
    list(input, chained)
}

pub(super) fn zip(input: &mut Input<'_>) -> Caught<Cell> {
    let mut lists = vec![input.list()?];
    for (_, other) in std::mem::take(&mut input.rest) {
        match other {
            Value::List(items) => lists.push(items),
            other => return Err(not_lists(input, &other)),
        }
    }
    let length = lists.iter().map(|list| list.len()).min().unwrap_or(0);
    let rows = (0..length).map(|row| Value::list(lists.iter().map(|list| list[row].clone()).collect())).collect();
    list(input, rows)
}

fn not_lists(input: &Input<'_>, value: &Value) -> Box<Fault> {
    input.fault("type-mismatch", &input.at, format!("every argument must be a list, one is {}", a_kind(value)))
}

pub(super) fn unique(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let case_sensitive = input.arg_bool(0)?;
    let attribute = input.arg_text(1)?;
    let at = input.at.clone();
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for (key, item) in keyed(input, &items, attribute.as_deref())? {
        input.meter.weigh(&key, 0, &at)?;
        // The type is part of the key: `1` and `"1"` are two; `1` and `1.0` are one.
        let key = match folded(input, key, case_sensitive)? {
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::Int(number as i64),
            other => other,
        };
        if seen.insert(format!("{} {}", a_kind(&key), key.to_json())) {
            kept.push(item);
        }
    }
    list(input, kept)
}

pub(super) fn groupby(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let attribute = input.needed_text(0)?;
    let keyed = keyed(input, &items, Some(&attribute))?;
    let keyed = sorted(input, keyed, false)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in keyed {
        match groups.last_mut() {
            Some((last, members)) if strict::equal(last, &key) => members.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    list(input, groups.into_iter().map(|(key, members)| Value::list(vec![key, Value::list(members)])).collect())
}

pub(super) fn map(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let attribute = input.arg_text(1)?;
    let default = input.arg(2)?;
    let mut mapped = Vec::with_capacity(items.len());
    match (input.each, attribute) {
        (Some(each), None) => {
            for item in items.iter() {
                mapped.push(input.apply(each, item.clone())?.value()?);
            }
        }
        (None, Some(path)) => {
            for item in items.iter() {
                mapped.push(match (dig(item, &path), &default) {
                    (Some(value), _) => value,
                    (None, Some(default)) => default.clone(),
                    (None, None) => attribute_of(input, item, &path)?,
                });
            }
        }
        _ => {
            let fault = input.fault("bad-expression", &input.at, "`map` needs a filter or an attribute");
            return Err(fault.hint("write `|map(\"upper\")` or `|map(attribute=\"name\")`"));
        }
    }
    list(input, mapped)
}

/// Whether a value passes the test, or is true where there is none.
fn passes(input: &mut Input<'_>, value: Value) -> Caught<bool> {
    let value = match input.each {
        Some(each) => input.apply(each, value)?.value()?,
        None => value,
    };
    let operand = Operand { value: &value, at: input.at.clone(), written: "value" };
    strict::condition(&operand, "without a test each item")
}

fn filtered(input: &mut Input<'_>, wanted: bool, attribute: bool) -> Caught<Cell> {
    let items = input.list()?;
    let path = if attribute { Some(input.needed_text(0)?) } else { None };
    let mut kept = Vec::new();
    for item in items.iter() {
        let judged = match &path {
            // An item without the attribute can still be asked whether it is defined.
            Some(path) => match dig(item, path) {
                Some(value) => value,
                None if input.each.is_some_and(|each| matches!(each.doc.name, "defined" | "undefined")) => {
                    let undefined = input.each.is_some_and(|each| each.doc.name == "undefined");
                    if undefined == wanted {
                        kept.push(item.clone());
                    }
                    continue;
                }
                None => attribute_of(input, item, path)?,
            },
            None => item.clone(),
        };
        if passes(input, judged)? == wanted {
            kept.push(item.clone());
        }
    }
    list(input, kept)
}

pub(super) fn select(input: &mut Input<'_>) -> Caught<Cell> {
    filtered(input, true, false)
}

pub(super) fn reject(input: &mut Input<'_>) -> Caught<Cell> {
    filtered(input, false, false)
}

pub(super) fn selectattr(input: &mut Input<'_>) -> Caught<Cell> {
    filtered(input, true, true)
}

pub(super) fn rejectattr(input: &mut Input<'_>) -> Caught<Cell> {
    filtered(input, false, true)
}

pub(super) fn dict(input: &mut Input<'_>) -> Caught<Cell> {
    let at = input.at.clone();
    let entries: IndexMap<String, Value> =
        std::mem::take(&mut input.rest).into_iter().filter_map(|(name, value)| Some((name?, value))).collect();
    Ok(Cell::Value(input.meter.map(entries, &at)?))
}

pub(super) fn range(input: &mut Input<'_>) -> Caught<Cell> {
    let first = input.needed(0)?;
    let Value::Int(first) = first else {
        let message = format!("`range` needs whole numbers, this is {}", a_kind(&first));
        return Err(input.fault("type-mismatch", &input.place(0), message));
    };
    let (start, stop) = match input.arg_int(1)? {
        Some(stop) => (first, stop),
        None => (0, first),
    };
    let step = input.arg_int(2)?.unwrap_or(1);
    if step == 0 {
        return Err(input.fault("bad-arithmetic", &input.place(2), "the step of a range cannot be zero"));
    }
    let distance = if step > 0 { i128::from(stop) - i128::from(start) } else { i128::from(start) - i128::from(stop) };
    let step_size = i128::from(step).abs();
    let count = if distance <= 0 { 0 } else { (distance + step_size - 1) / step_size };
    if count > 100_000 {
        return Err(input.fault("too-large", &input.at, "a range has at most 100000 numbers"));
    }
    // Every number lies between start and stop, so it fits.
    let numbers = (0..count).filter_map(|n| i64::try_from(i128::from(start) + n * i128::from(step)).ok());
    let numbers: Vec<Value> = numbers.map(Value::Int).collect();
    list(input, numbers)
}
