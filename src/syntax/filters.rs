//! Filters over texts and numbers. Knows nothing of trees or scopes.

use std::fmt::Write as _;

use base64::{
    DecodeError, Engine as _,
    alphabet::URL_SAFE,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    ast::{Caught, Fault},
    eval::Cell,
    functions::Input,
    strict::{MAX_TEXT, brief},
    url,
};
use crate::{
    text::cut,
    value::{Value, parse_duration},
};

pub(super) fn made(input: &mut Input<'_>, text: impl AsRef<str>) -> Caught<Cell> {
    let at = input.at.clone();
    Ok(Cell::Value(input.meter.text(text, &at)?))
}

/// Asks for room before a text of that size is made.
pub(super) fn room(input: &mut Input<'_>, bytes: usize) -> Caught<()> {
    let at = input.at.clone();
    input.meter.room(bytes, &at)
}

pub(super) fn ok(value: Value) -> Caught<Cell> {
    Ok(Cell::Value(value))
}

// Numbers.

pub(super) fn abs(input: &mut Input<'_>) -> Caught<Cell> {
    match input.subject()? {
        Value::Int(number) => match number.checked_abs() {
            Some(number) => ok(Value::Int(number)),
            None => Err(input.bad("the result is too large a number")),
        },
        Value::Float(number) => ok(Value::Float(number.abs())),
        other => Err(input.subject_mismatch(&other, "a number")),
    }
}

pub(super) fn round(input: &mut Input<'_>) -> Caught<Cell> {
    let number = match input.subject()? {
        Value::Int(number) => return ok(Value::Int(number)),
        Value::Float(number) => number,
        other => return Err(input.subject_mismatch(&other, "a number")),
    };
    let digits = input.arg_size(0, 15)?.unwrap_or(0);
    let method = input.arg_text(1)?;
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    let scaled = number * scale;
    if !scaled.is_finite() {
        return ok(Value::Float(number));
    }
    let rounded = match method.as_deref() {
        None | Some("common") => scaled.round(),
        Some("floor") => scaled.floor(),
        Some("ceil") => scaled.ceil(),
        Some(other) => {
            let message = format!("there is no rounding method `{other}`");
            return Err(input.fault("bad-value", &input.place(1), message).hint("common, floor or ceil"));
        }
    };
    ok(Value::Float(rounded / scale))
}

fn no_number(input: &Input<'_>, text: &str, what: &str) -> Box<Fault> {
    let shown = cut(text, 40);
    let label = if text.trim().is_empty() { "this is empty".into() } else { format!("this is `{shown}`") };
    input.bad(format!("`{shown}` is not {what}")).label(label)
}

pub(super) fn int(input: &mut Input<'_>) -> Caught<Cell> {
    let default = input.arg(0)?;
    let value = input.subject()?;
    let number = match &value {
        Value::Int(number) => Some(*number),
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Float(number) => {
            let whole = number.trunc();
            ((-9.2e18..9.2e18).contains(&whole)).then_some(whole as i64)
        }
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match (number, default, value) {
        (Some(number), ..) => ok(Value::Int(number)),
        (None, Some(default), _) => ok(default),
        (None, None, Value::Text(text)) => {
            let fault = no_number(input, &text, "a whole number");
            if text.trim().parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(fault.hint(format!("read it as a number: `{}|float`", brief(input.written))));
            }
            Err(fault)
        }
        (None, None, Value::Float(_)) => Err(input.bad("this number is too large")),
        (None, None, Value::Duration(_)) => Err(no_seconds(input)),
        (None, None, other) => Err(input.subject_mismatch(&other, "a string or a number")),
    }
}

fn no_seconds(input: &Input<'_>) -> Box<Fault> {
    input
        .fault("type-mismatch", &input.subject_at, "a duration is not a number")
        .hint(format!("write `{}|seconds`", brief(input.written)))
}

pub(super) fn float(input: &mut Input<'_>) -> Caught<Cell> {
    let default = input.arg(0)?;
    let value = input.subject()?;
    let number = match &value {
        Value::Int(number) => Some(*number as f64),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Float(number) => Some(*number),
        Value::Text(text) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()),
        _ => None,
    };
    match (number, default, value) {
        (Some(number), ..) => ok(Value::Float(number)),
        (None, Some(default), _) => ok(default),
        (None, None, Value::Text(text)) => Err(no_number(input, &text, "a number")),
        (None, None, Value::Duration(_)) => Err(no_seconds(input)),
        (None, None, other) => Err(input.subject_mismatch(&other, "a string or a number")),
    }
}

pub(super) fn bool(input: &mut Input<'_>) -> Caught<Cell> {
    match input.subject()? {
        Value::Bool(truth) => ok(Value::Bool(truth)),
        Value::Text(text) => match text.trim() {
            "true" => ok(Value::Bool(true)),
            "false" => ok(Value::Bool(false)),
            other => Err(no_number(input, other, "`true` or `false`")),
        },
        other => Err(input.subject_mismatch(&other, "the text `true` or `false`")),
    }
}

pub(super) fn duration(input: &mut Input<'_>) -> Caught<Cell> {
    match input.subject()? {
        Value::Duration(duration) => ok(Value::Duration(duration)),
        Value::Text(text) => match parse_duration(&text) {
            Ok(duration) => ok(Value::Duration(duration)),
            Err(why) => Err(input.bad(why)),
        },
        other => Err(input.subject_mismatch(&other, "the text of a duration")),
    }
}

pub(super) fn seconds(input: &mut Input<'_>) -> Caught<Cell> {
    let duration = match input.subject()? {
        Value::Duration(duration) => duration,
        Value::Text(text) => parse_duration(&text).map_err(|why| input.bad(why))?,
        other => return Err(input.subject_mismatch(&other, "a duration")),
    };
    if duration.subsec_nanos() == 0 {
        return ok(i64::try_from(duration.as_secs()).map_or(Value::Float(duration.as_secs_f64()), Value::Int));
    }
    ok(Value::Float(duration.as_secs_f64()))
}

// Texts.

pub(super) fn upper(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    room(input, text.len())?;
    made(input, text.to_uppercase())
}

pub(super) fn lower(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    room(input, text.len())?;
    made(input, text.to_lowercase())
}

pub(super) fn capitalize(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    made(input, format!("{first}{}", chars.as_str().to_lowercase()))
}

pub(super) fn title(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let mut titled = String::with_capacity(text.len());
    let mut starts = true;
    for c in text.chars() {
        if c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<') {
            titled.push(c);
            starts = true;
        } else if std::mem::take(&mut starts) {
            titled.extend(c.to_uppercase());
        } else {
            titled.extend(c.to_lowercase());
        }
    }
    made(input, titled)
}

pub(super) fn trim(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    match input.arg_text(0)? {
        Some(chars) => {
            let chars: Vec<char> = chars.chars().collect();
            made(input, text.trim_matches(&chars[..]))
        }
        None => made(input, text.trim()),
    }
}

pub(super) fn replace(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let (old, new) = (input.needed_text(0)?, input.needed_text(1)?);
    let most = input.arg_size(2, usize::MAX >> 1)?.unwrap_or(usize::MAX);
    if old.is_empty() {
        return Err(input.fault("bad-value", &input.place(0), "an empty text cannot be replaced"));
    }
    let count = text.matches(old.as_ref()).take(most).count();
    let size = text.len() - count * old.len() + count.saturating_mul(new.len());
    room(input, size)?;
    made(input, text.replacen(old.as_ref(), &new, count))
}

pub(super) fn indent(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let width = input.arg_size(0, 1000)?.unwrap_or(4);
    let (first, blank) = (input.arg_bool(1)?, input.arg_bool(2)?);
    let lines = text.matches('\n').count() + 1;
    room(input, text.len().saturating_add(lines.saturating_mul(width)))?;
    let margin = " ".repeat(width);
    let mut moved = String::with_capacity(text.len() + lines * width);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            moved.push('\n');
        }
        if (index > 0 || first) && (blank || !line.trim().is_empty()) {
            moved.push_str(&margin);
        }
        moved.push_str(line);
    }
    made(input, moved)
}

pub(super) fn truncate(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let length = input.arg_size(0, MAX_TEXT)?.unwrap_or(255);
    let end = input.arg_text(1)?.unwrap_or_else(|| "…".into());
    if text.chars().count() <= length {
        return ok(Value::Text(text));
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    made(input, kept + &end)
}

pub(super) fn split(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let separator = input.arg_text(0)?;
    let most = input.arg_size(1, usize::MAX >> 1)?;
    let at = input.at.clone();
    room(input, text.len())?;
    let parts: Vec<Value> = match (separator.as_deref(), most) {
        (Some(""), _) => return Err(input.fault("bad-value", &input.place(0), "the separator cannot be empty")),
        (Some(separator), None) => text.split(separator).map(Value::text).collect(),
        (Some(separator), Some(most)) => text.splitn(most.saturating_add(1), separator).map(Value::text).collect(),
        (None, None) => text.split_whitespace().map(Value::text).collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while !rest.is_empty() {
                let end = if parts.len() >= most { None } else { rest.find(char::is_whitespace) };
                let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
                parts.push(Value::text(part));
                rest = after.trim_start();
            }
            parts
        }
    };
    ok(input.meter.list(parts, &at)?)
}

pub(super) fn lines(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    room(input, text.len())?;
    let at = input.at.clone();
    ok(input.meter.list(text.lines().map(Value::text).collect(), &at)?)
}

pub(super) fn string(input: &mut Input<'_>) -> Caught<Cell> {
    let value = input.subject()?;
    let at = input.subject_at.clone();
    let text = input.meter.show(&value, &at, input.written)?;
    ok(Value::text(text))
}

// Other notations.

pub(super) fn fromjson(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    room(input, text.len())?;
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => {
            let value = Value::from_json(&json);
            let at = input.at.clone();
            input.meter.measure([&value], 1, &at)?;
            ok(value)
        }
        Err(_) if text.trim().is_empty() => Err(input.bad("an empty text is no JSON")),
        Err(why) => Err(input.bad(format!("`{}` is no JSON: {why}", cut(text.trim(), 40)))),
    }
}

fn indented(value: &Value, width: usize) -> String {
    let indent = " ".repeat(width);
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut writer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Writing JSON into memory cannot fail; an empty text would show if it did.
    match serde::Serialize::serialize(&value.to_json(), &mut writer) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

pub(super) fn tojson(input: &mut Input<'_>) -> Caught<Cell> {
    let value = input.subject()?;
    let at = input.at.clone();
    match input.arg_size(0, 16)? {
        Some(width) => {
            input.meter.weigh(&value, width, &at)?;
            made(input, indented(&value, width))
        }
        None => {
            input.meter.weigh(&value, 0, &at)?;
            made(input, value.to_json().to_string())
        }
    }
}

pub(super) fn pprint(input: &mut Input<'_>) -> Caught<Cell> {
    let value = input.subject()?;
    let at = input.at.clone();
    input.meter.weigh(&value, 2, &at)?;
    made(input, indented(&value, 2))
}

pub(super) fn b64encode(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let urlsafe = input.arg_bool(0)?;
    room(input, text.len() / 3 * 4 + 4)?;
    let engine = if urlsafe { &URL_SAFE_NO_PAD } else { &STANDARD };
    made(input, engine.encode(text.as_bytes()))
}

/// Tokens leave the padding out, other programs write it.
const URL_SAFE_ANY: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn b64decode(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let urlsafe = input.arg_bool(0)?;
    room(input, text.len())?;
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let engine = if urlsafe { &URL_SAFE_ANY } else { &STANDARD };
    let bytes = engine.decode(&packed).map_err(|why| no_base64(input, &packed, urlsafe, &why))?;
    match String::from_utf8(bytes) {
        Ok(decoded) => made(input, decoded),
        Err(_) => Err(input.bad("the decoded bytes are not UTF-8 text").hint("let a script decode them into a file")),
    }
}

fn no_base64(input: &Input<'_>, packed: &str, urlsafe: bool, why: &DecodeError) -> Box<Fault> {
    let reason = match why {
        DecodeError::InvalidByte(at, byte) if *byte != b'=' => {
            // The byte may be the first of a longer character.
            let wrong = packed.get(*at..).and_then(|rest| rest.chars().next()).unwrap_or(char::REPLACEMENT_CHARACTER);
            format!("`{wrong}` is not one of its characters")
        }
        DecodeError::InvalidByte(..) => "a `=` stands before the end".to_owned(),
        DecodeError::InvalidPadding => "the `=` at its end do not fit".to_owned(),
        _ => "it is cut off, or characters were lost".to_owned(),
    };
    let other = if urlsafe { ['+', '/'] } else { ['-', '_'] };
    let hint = match (packed.contains(other), urlsafe) {
        (true, false) => Some("it is in the alphabet for URLs: `|b64decode(urlsafe=true)`"),
        (true, true) => Some("it is in the standard alphabet: `|b64decode`"),
        (false, false) if matches!(why, DecodeError::InvalidPadding) => {
            Some("without padding it is read by `|b64decode(urlsafe=true)`")
        }
        _ => None,
    };
    input.bad(format!("`{}` is no base64: {reason}", cut(packed, 40))).hint_opt(hint.map(str::to_owned))
}

pub(super) fn sha256(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    made(input, hex)
}

pub(super) fn shell_quote(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    if text.contains('\0') {
        return Err(input.bad("a NUL character cannot be quoted for a shell"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '+' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        return ok(Value::Text(text));
    }
    room(input, text.len() + text.matches('\'').count() * 3 + 2)?;
    made(input, format!("'{}'", text.replace('\'', "'\\''")))
}

pub(super) fn path(input: &mut Input<'_>) -> Caught<Cell> {
    let text = shown(input)?;
    room(input, text.len() * 3)?;
    let encoded = url::path(&text).map_err(|why| input.fault("not-an-url", &input.subject_at, why))?;
    made(input, encoded)
}

pub(super) fn urlencode(input: &mut Input<'_>) -> Caught<Cell> {
    if let Cell::Value(Value::Map(_)) = &input.subject {
        let entries = input.map()?;
        let mut query = String::new();
        for (key, value) in entries.iter() {
            if matches!(value, Value::None) {
                continue;
            }
            if !query.is_empty() {
                query.push('&');
            }
            let at = input.subject_at.clone();
            let value = input.meter.show(value, &at, key)?;
            query.push_str(&url::query(key));
            query.push('=');
            query.push_str(&url::query(&value));
        }
        return made(input, query);
    }
    let text = shown(input)?;
    room(input, text.len() * 3)?;
    made(input, url::slashed(&text))
}

fn shown(input: &mut Input<'_>) -> Caught<String> {
    let value = input.subject()?;
    if matches!(value, Value::List(_) | Value::Map(_)) {
        return Err(input.subject_mismatch(&value, "a string"));
    }
    let at = input.subject_at.clone();
    input.meter.show(&value, &at, input.written)
}

pub(super) fn default(input: &mut Input<'_>) -> Caught<Cell> {
    let lax = input.arg_bool(1)?;
    let hollow = match &input.subject {
        Cell::Nothing(_) => true,
        Cell::Value(value) => {
            lax && match value {
                Value::None | Value::Bool(false) | Value::Int(0) => true,
                Value::Float(number) => *number == 0.0,
                Value::Text(text) => text.is_empty(),
                Value::List(items) => items.is_empty(),
                Value::Map(entries) => entries.is_empty(),
                Value::Duration(duration) => duration.is_zero(),
                Value::Bool(true) | Value::Int(_) => false,
            }
        }
    };
    if !hollow {
        return Ok(Cell::Value(input.subject()?));
    }
    match input.args.first_mut().and_then(Option::take) {
        Some(cell) => Ok(cell),
        None => ok(Value::text("")),
    }
}
