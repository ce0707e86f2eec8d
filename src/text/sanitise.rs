//! Text that is not ours, made safe for a terminal. Knows nothing of colours or widths.

use std::borrow::Cow;

/// Replaces what could move a cursor, hide text or reverse its direction with a visible escape.
///
/// Line feeds and tabs stay; everything else from C0, C1, and the bidirectional and zero-width formats of Unicode
/// (UAX #9, "Trojan Source") becomes `\u{..}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t')
}

/// As [`printable`], for text that must stay on one line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| hostile(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hostile(c) && !keep(c) {
            match c {
                '\n' => safe.push_str("\\n"),
                '\r' => safe.push_str("\\r"),
                '\t' => safe.push_str("\\t"),
                c => safe.push_str(&format!("\\u{{{:x}}}", c as u32)),
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Controls, and what Unicode does not show: directions, joiners, soft hyphens, fillers, annotations and tags.
fn hostile(c: char) -> bool {
    c.is_control() || super::hidden(c).is_some()
}

/// A terminal's transcript as text: escape sequences go, and so do the carriage returns before line feeds.
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.next() {
                // CSI: parameters and intermediates up to a final byte.
                Some('[') => {
                    for c in chars.by_ref() {
                        if ('@'..='~').contains(&c) {
                            break;
                        }
                    }
                }
                // OSC, DCS and their kin: up to BEL or ST.
                Some(']' | 'P' | '^' | '_' | 'X') => {
                    while let Some(c) = chars.next() {
                        if c == '\x07' {
                            break;
                        }
                        if c == '\x1b' {
                            chars.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                Some('(' | ')' | '#' | ' ' | '%') => {
                    chars.next();
                }
                _ => {}
            },
            '\r' if chars.peek() == Some(&'\n') => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_becomes_text() {
        assert_eq!(without_escapes("\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07done\r\n"), "red\ndone\n");
        assert_eq!(without_escapes("\x1b"), "");
    }

    #[test]
    fn escapes_become_visible_and_lines_stay() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\nc");
        assert_eq!(one_line("a\nb\u{202e}c"), "a\\nb\\u{202e}c");
        assert!(matches!(printable("plain ünïcode"), Cow::Borrowed(_)));
    }
}
