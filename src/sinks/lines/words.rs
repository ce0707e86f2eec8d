//! Values, times and lines as they are shown: short, and on one line. Knows no event.

use std::time::Duration;

use serde_json::Value as Json;
use unicode_width::UnicodeWidthChar;

use crate::{text::one_line, value::show_duration};

/// A value of a record on one line.
pub(super) fn show(value: &Json) -> String {
    match value {
        Json::String(text) => one_line(text).into_owned(),
        other => one_line(&other.to_string()).into_owned(),
    }
}

/// A time that has passed, as precise as people want it.
pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        _ => show_duration(Duration::from_secs(ms / 1000)),
    }
}

/// As much of a line as fits.
pub(super) fn fit(line: &str, width: usize) -> String {
    let mut used = 0;
    let over = line.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    match over {
        None => line.to_owned(),
        Some((at, _)) => {
            let mut kept: String = line[..at].to_owned();
            kept.pop();
            kept.push('…');
            kept
        }
    }
}
