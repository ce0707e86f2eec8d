//! Moments, as texts of RFC 3339 or seconds since 1970, and zones by name. Knows no clock: nothing here is "now".

use std::{sync::OnceLock, time::Duration};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    fmt::{rfc2822, strtime, temporal},
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    ast::{At, Caught, Fault},
    eval::Cell,
    filters::made,
    functions::Input,
    strict::{a_kind, brief},
};
use crate::{
    text::{Diagnostic, Span, cut, nearest},
    value::{Value, parse_duration},
};

/// What a format of `strftime` may hold, in bytes: a directive of five can stand for 255.
const MAX_FORMAT: usize = 1000;

/// The zones that come with the program, so that a name means the same on every machine, also on one without any.
fn zones() -> &'static TimeZoneDatabase {
    static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();
    ZONES.get_or_init(TimeZoneDatabase::bundled)
}

/// A zone by its name or its offset; the error says what is wrong, and what was most likely meant.
pub(super) fn zone(name: &str) -> Result<TimeZone, (String, String)> {
    let found = match name.trim() {
        offset if offset.starts_with(['+', '-']) => {
            temporal::DateTimeParser::new().parse_time_zone_with(zones(), offset).ok()
        }
        "UTC" | "Z" | "z" => Some(TimeZone::UTC),
        name => zones().get(name).ok(),
    };
    found.ok_or_else(|| {
        let names: Vec<String> = zones().available().map(|name| name.as_str().to_owned()).collect();
        // The city alone is half of a name.
        let city = name.trim().replace(' ', "_");
        let full = names.iter().find(|full| full.rsplit('/').next().is_some_and(|end| end.eq_ignore_ascii_case(&city)));
        let meant = full.map(String::as_str).or_else(|| nearest(name, names.iter().map(String::as_str)));
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write UTC, a name such as Europe/Berlin, or an offset such as +02:00".to_owned(),
        };
        (format!("there is no time zone `{}`", cut(name, 40)), hint)
    })
}

fn arg_zone(input: &mut Input<'_>, index: usize) -> Caught<Option<TimeZone>> {
    let Some(name) = input.arg_text(index)? else { return Ok(None) };
    zone(&name).map(Some).map_err(|(why, hint)| input.fault("bad-value", &input.place(index), why).hint(hint))
}

fn from_seconds(seconds: f64, at: &At) -> Caught<Timestamp> {
    let out_of_range = || {
        Fault::new(
            "bad-value",
            at.clone(),
            format!("{seconds} seconds since 1970 lie outside of the years that can be told"),
        )
        .hint("milliseconds are divided by 1000 first")
    };
    // Every moment that jiff can tell lies well within.
    if !(-1e12..1e12).contains(&seconds) {
        return Err(out_of_range());
    }
    // A number of this size tells microseconds; what it has beyond them is what its last digit was rounded by.
    let (whole, part) = (seconds.floor(), seconds - seconds.floor());
    let nanos = whole as i128 * 1_000_000_000 + (part * 1e6).round() as i128 * 1000;
    Timestamp::from_nanosecond(nanos).map_err(|_| out_of_range())
}

/// A moment that is written out with its offset.
fn written_out(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
}

/// It is a moment, or one without its offset.
pub(super) fn is_moment(text: &str) -> bool {
    let text = text.trim();
    written_out(text).is_some() || on_the_wall(text).is_some()
}

/// It is written as a moment, of a year that cannot be told: the last one ends two days early.
fn is_too_far(text: &str) -> bool {
    temporal::Pieces::parse(text).is_ok_and(|pieces| pieces.offset().is_some() && pieces.time().is_some())
}

/// What a clock on a wall shows: a date, with or without a time.
fn on_the_wall(text: &str) -> Option<DateTime> {
    text.parse::<DateTime>().ok().or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)))
}

fn placed(wall: DateTime, zone: &TimeZone, shown: &str, at: &At) -> Caught<Timestamp> {
    zone.to_ambiguous_timestamp(wall).unambiguous().map_err(|_| {
        let name = zone.iana_name().unwrap_or("that zone");
        Fault::new(
            "bad-value",
            at.clone(),
            format!("`{shown}` does not occur exactly once in {name}: its clocks are changed then"),
        )
        .hint("write the offset from UTC, such as 2024-05-01T12:00:00+02:00")
    })
}

fn no_offset(shown: &str, at: &At, written: &str) -> Box<Fault> {
    Fault::new("bad-value", at.clone(), format!("`{shown}` does not say its offset from UTC"))
        .hint(format!("say which zone it is in: `{}|to_datetime(zone=\"UTC\")`", brief(written)))
}

/// The moment that a value tells, and nothing else than a moment.
fn moment(value: &Value, zone: Option<&TimeZone>, at: &At, written: &str) -> Caught<Timestamp> {
    match value {
        Value::Text(text) => {
            let text = text.trim();
            let shown = cut(text, 40);
            if let Some(found) = written_out(text) {
                return Ok(found);
            }
            if is_too_far(text) {
                let most = Timestamp::MAX.strftime("%FT%TZ");
                let message = format!("`{shown}` lies outside of the moments that can be told");
                return Err(Fault::new("bad-value", at.clone(), message).hint(format!("the last one is {most}")));
            }
            match (on_the_wall(text), zone) {
                (Some(wall), Some(zone)) => placed(wall, zone, &shown, at),
                (Some(_), None) => Err(no_offset(&shown, at, written)),
                (None, _) => Err(Fault::new("bad-value", at.clone(), format!("`{shown}` is no moment"))
                    .hint("write one such as 2024-05-01T12:00:00Z, or read other forms with `|to_datetime(format)`")),
            }
        }
        Value::Int(seconds) => Timestamp::from_second(*seconds).or_else(|_| from_seconds(*seconds as f64, at)),
        Value::Float(seconds) => from_seconds(*seconds, at),
        other => Err(Fault::new(
            "type-mismatch",
            at.clone(),
            format!("a moment is a string or a number of seconds since 1970, this is {}", a_kind(other)),
        )
        .label(a_kind(other))),
    }
}

/// The moment that a value outside of an expression tells, written at a place of the runbook.
#[allow(clippy::result_large_err, reason = "a diagnostic is the product here, not the exception")]
pub fn moment_of(value: &Value, span: Span) -> Result<Timestamp, Diagnostic> {
    moment(value, None, &(0..0), "value").map_err(|fault| {
        let Fault { code, message, label, hint, .. } = *fault;
        let label = if label.is_empty() { "a moment is expected here".to_owned() } else { label };
        Diagnostic::error(code, span, message).label(label).hint_opt(hint)
    })
}

fn subject(input: &mut Input<'_>) -> Caught<Timestamp> {
    let value = input.subject()?;
    let found = moment(&value, None, &input.subject_at, input.written);
    // Elsewhere the format stands first and the moment behind it.
    match (&value, input.function.doc.name) {
        (Value::Text(text), "strftime") if text.contains('%') => {
            found.map_err(|fault| fault.hint("the moment stands first: `run.started|strftime(\"%Y-%m-%d\")`"))
        }
        _ => found,
    }
}

fn other(input: &mut Input<'_>, index: usize) -> Caught<Timestamp> {
    let value = input.needed(index)?;
    moment(&value, None, &input.place(index), "value")
}

/// Whole seconds as a whole number.
fn seconds(nanos: i128) -> Value {
    match i64::try_from(nanos / 1_000_000_000) {
        Ok(whole) if nanos % 1_000_000_000 == 0 => Value::Int(whole),
        // Read as it is written, the number is the nearest one; divided, it would have been rounded twice.
        _ => {
            let (sign, all) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
            let text = format!("{sign}{}.{:09}", all / 1_000_000_000, all % 1_000_000_000);
            Value::Float(text.parse().unwrap_or(nanos as f64 / 1e9))
        }
    }
}

pub(super) fn to_datetime(input: &mut Input<'_>) -> Caught<Cell> {
    let format = input.arg_text(0)?;
    let zone = arg_zone(input, 1)?;
    let Some(format) = format else {
        let value = input.subject()?;
        let found = moment(&value, zone.as_ref(), &input.subject_at, input.written)?;
        return made(input, found.to_string());
    };
    let text = input.text()?;
    let shown = cut(text.trim(), 40);
    let parsed = strtime::parse(format.as_bytes(), text.trim().as_bytes())
        .map_err(|_| input.bad(format!("`{shown}` does not read as `{}`", cut(&format, 40))))?;
    let found = match (parsed.to_timestamp(), parsed.to_datetime()) {
        (Ok(found), _) => found,
        (Err(_), wall) => {
            let wall = wall
                .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
                .map_err(|_| input.bad(format!("`{shown}` as `{}` tells no date", cut(&format, 40))))?;
            match zone {
                Some(zone) => placed(wall, &zone, &shown, &input.subject_at)?,
                None => {
                    let fault =
                        input.bad(format!("`{shown}` as `{}` does not say its offset from UTC", cut(&format, 40)));
                    return Err(fault.hint("say which zone it is in: `zone=\"UTC\"`, or read an offset with `%z`"));
                }
            }
        }
    };
    made(input, found.to_string())
}

pub(super) fn strftime(input: &mut Input<'_>) -> Caught<Cell> {
    let moment = subject(input)?;
    let format = input.needed_text(0)?;
    let zone = arg_zone(input, 1)?.unwrap_or(TimeZone::UTC);
    let at = input.place(0);
    if format.len() > MAX_FORMAT {
        return Err(input.fault("too-large", &at, format!("a format has at most {MAX_FORMAT} bytes")));
    }
    match strtime::format(format.as_bytes(), &moment.to_zoned(zone)) {
        Ok(text) => made(input, text),
        Err(why) => {
            // What failed stands behind what was attempted.
            let why = why.to_string();
            let why = why.rsplit("failed: ").next().unwrap_or(&why);
            let message = format!("the moment cannot be written as `{}`: {why}", cut(&format, 40));
            Err(input
                .fault("bad-value", &at, message)
                .hint("a format such as %Y-%m-%d %H:%M:%S %z; `%%` is a percent sign"))
        }
    }
}

pub(super) fn epoch(input: &mut Input<'_>) -> Caught<Cell> {
    Ok(Cell::Value(seconds(subject(input)?.as_nanosecond())))
}

pub(super) fn seconds_since(input: &mut Input<'_>) -> Caught<Cell> {
    let (late, early) = (subject(input)?, other(input, 0)?);
    Ok(Cell::Value(seconds(late.as_nanosecond() - early.as_nanosecond())))
}

fn arg_duration(input: &mut Input<'_>, index: usize) -> Caught<Duration> {
    let at = input.place(index);
    match input.needed(index)? {
        Value::Duration(duration) => Ok(duration),
        Value::Text(text) => parse_duration(&text).map_err(|why| input.fault("bad-value", &at, why)),
        other => Err(input
            .fault("type-mismatch", &at, format!("a duration is needed here, this is {}", a_kind(&other)))
            .label(a_kind(&other))
            .hint("write one such as \"30s\" or \"1h30m\"")),
    }
}

fn moved(input: &mut Input<'_>, forward: bool) -> Caught<Cell> {
    let moment = subject(input)?;
    let by = arg_duration(input, 0)?;
    let found = if forward { moment.checked_add(by) } else { moment.checked_sub(by) };
    match found {
        Ok(found) => made(input, found.to_string()),
        Err(_) => {
            Err(input.fault("bad-arithmetic", &input.place(0), "the result lies outside of the years that can be told"))
        }
    }
}

pub(super) fn later(input: &mut Input<'_>) -> Caught<Cell> {
    moved(input, true)
}

pub(super) fn earlier(input: &mut Input<'_>) -> Caught<Cell> {
    moved(input, false)
}

pub(super) fn before(input: &mut Input<'_>) -> Caught<Cell> {
    let (this, that) = (subject(input)?, other(input, 0)?);
    Ok(Cell::Value(Value::Bool(this < that)))
}

pub(super) fn after(input: &mut Input<'_>) -> Caught<Cell> {
    let (this, that) = (subject(input)?, other(input, 0)?);
    Ok(Cell::Value(Value::Bool(this > that)))
}
