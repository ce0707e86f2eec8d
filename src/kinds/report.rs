//! Ends of processes and requests, as ends of steps. Knows nothing of particular kinds.

use std::time::Duration;

use crate::{
    event::{Effect, StepStatus},
    port::{Failure, ProcessEnd, SendError, StepReport, WorldError},
    value::{Value, show_duration},
};

/// The world performed nothing.
pub fn not_run() -> StepReport {
    StepReport::of(StepStatus::NotRun)
}

/// An end that says nothing about the effect: open where something may have changed, a failure where nothing could.
pub fn open_end(effect: Effect, why: impl Into<String>) -> StepReport {
    let status = if effect == Effect::Read { StepStatus::Failed } else { StepStatus::Unknown };
    StepReport { failure: Some(Failure::plain(why)), ..StepReport::of(status) }
}

/// How a process ended, where that was not by itself.
pub fn process_failure(effect: Effect, end: &ProcessEnd, timeout: Option<Duration>) -> Option<StepReport> {
    if end.timed_out {
        let limit = timeout.map(|limit| format!(" within {}", show_duration(limit))).unwrap_or_default();
        return Some(open_end(effect, format!("it did not end{limit} and was stopped")));
    }
    if end.cancelled {
        return Some(open_end(effect, "it was interrupted"));
    }
    match (end.exit, end.signal) {
        (Some(_), _) => None,
        (None, Some(signal)) => Some(open_end(effect, format!("it was killed by signal {}", signal_name(signal)))),
        (None, None) => Some(open_end(effect, "how it ended is not known")),
    }
}

pub fn world_failure(effect: Effect, error: &WorldError) -> StepReport {
    match error {
        WorldError::NotStarted(why) => StepReport::failed(Failure::plain(format!("it could not be started: {why}"))),
        WorldError::Lost(why) => open_end(effect, format!("how it ended cannot be told: {why}")),
    }
}

pub fn send_failure(effect: Effect, error: &SendError) -> StepReport {
    match error {
        SendError::NotSent(why) => StepReport::failed(Failure::plain(format!("not reachable: {why}"))),
        SendError::Lost(why) => open_end(effect, format!("sent, but no whole answer came back: {why}")),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return signal.to_string(),
    };
    format!("{signal} ({name})")
}

/// Bytes as JSON, if they are.
pub fn json_of(bytes: &[u8]) -> Option<Value> {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace())?;
    if !matches!(first, b'{' | b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') {
        return None;
    }
    serde_json::from_slice::<serde_json::Value>(bytes).ok().map(|json| Value::from_json(&json))
}

/// A failure with what came before it, wherever it is drawn.
pub fn prefixed(prefix: &str, failure: Failure) -> Failure {
    match failure.at {
        Some(mut diagnostic) => {
            diagnostic.message = format!("{prefix}: {}", diagnostic.message);
            Failure::drawn(*diagnostic)
        }
        None => Failure::plain(format!("{prefix}: {}", failure.message)),
    }
}

/// Why a look has nothing to judge.
pub fn report_why(report: &StepReport) -> String {
    report.failure.as_ref().map_or_else(|| "no answer".into(), |failure| failure.message.clone())
}
