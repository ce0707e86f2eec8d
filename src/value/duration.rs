//! Durations as the language writes them: `500ms`, `30s`, `5m`, `2h`, `7d` and their sums. Knows no clock.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration; the error says what is wrong and what would do.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("an empty text is no duration; write one such as 30s or 1h30m".into());
    }
    if let Some(rest) = text.strip_prefix('-') {
        return Err(format!("a duration cannot be negative; write {rest}"));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text} has no unit; write {text}s for seconds or {text}m for minutes"));
    }
    let bad = || format!("`{text}` is no duration; write one such as 500ms, 30s, 5m, 2h, 7d or 1h30m");
    let mut total: u64 = 0;
    let mut rest = text;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + letters];
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else { return Err(bad()) };
        // Units go from large to small, once each: `5m1h` and `1m1m` are slips.
        if digits == 0 || *scale >= smallest {
            return Err(bad());
        }
        smallest = *scale;
        let number: u64 = rest[..digits].parse().map_err(|_| format!("`{text}` is longer than can be measured"))?;
        total = number
            .checked_mul(*scale)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total < 1_000 * 366 * 86_400_000)
            .ok_or_else(|| format!("`{text}` is longer than can be measured"))?;
        rest = &rest[digits + letters..];
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that reads back as the same duration, to the millisecond.
pub fn show_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".into();
    }
    let mut shown = String::new();
    for (unit, scale) in UNITS.iter().rev() {
        if left >= *scale {
            shown.push_str(&format!("{}{unit}", left / scale));
            left %= scale;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_format_allows() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for (text, why) in [
            ("90", "no unit"),
            ("-5s", "negative"),
            ("5M", "no duration"),
            ("5m1h", "no duration"),
            ("1.5h", "no duration"),
            ("", "empty"),
            ("99999999999999d", "longer"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["1h30m", "500ms", "7d", "1d1h1m1s1ms", "0s"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }
}
