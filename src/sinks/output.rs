//! Output of steps, from bytes in chunks to lines that a terminal can be given. Knows nothing of steps.

use crate::text::one_line;

/// So many bytes of one line are shown.
const LONGEST: usize = 4096;

/// The line that is being written.
#[derive(Default)]
pub(super) struct Partial {
    bytes: Vec<u8>,
    /// Bytes that were too many.
    cut: u64,
    /// A carriage return came; unless a line feed follows, the line is written anew.
    returned: bool,
}

impl Partial {
    /// Adds a chunk and calls `each` with every line that it ends.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(String)) {
        let mut rest = chunk;
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            self.add(&rest[..at]);
            match rest[at] {
                b'\n' => each(self.take()),
                _ => self.returned = true,
            }
            rest = &rest[at + 1..];
        }
        self.add(rest);
    }

    /// What is left at the end, if something is.
    pub fn finish(&mut self) -> Option<String> {
        (!self.bytes.is_empty()).then(|| self.take())
    }

    fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.returned {
            // A progress bar draws itself again; people want its last state only, the log has all of them.
            *self = Partial::default();
        }
        let room = LONGEST - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut += bytes.len().saturating_sub(room) as u64;
    }

    fn take(&mut self) -> String {
        let Partial { bytes, cut, .. } = std::mem::take(self);
        // Most lines are plain, and a build writes millions of them.
        if cut == 0 && bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return String::from_utf8(bytes).unwrap_or_default();
        }
        let mut line = String::new();
        // The cut may go through a character.
        let whole = if cut == 0 { &bytes[..] } else { &bytes[..bytes.len() - torn(&bytes)] };
        let text = String::from_utf8_lossy(&without_colors(whole)).into_owned();
        for (at, piece) in text.split('\t').enumerate() {
            if at > 0 {
                line.push('\t');
            }
            line.push_str(&one_line(piece));
        }
        if cut > 0 {
            line.push_str(&format!(" … ({} more bytes in the log)", cut + (bytes.len() - whole.len()) as u64));
        }
        line
    }
}

/// Bytes at the end that begin a character and do not end it.
fn torn(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}

/// Leaves out what only colours or clears the rest of a line, which is harmless and would be noise if made visible.
fn without_colors(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\x1b[") {
        let numbers = rest[at + 2..].iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
        let end = at + 2 + numbers;
        let harmless = matches!(rest.get(end), Some(b'm' | b'K'));
        out.extend_from_slice(&rest[..if harmless { at } else { at + 2 }]);
        rest = &rest[if harmless { end + 1 } else { at + 2 }..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut partial = Partial::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            partial.push(chunk, |line| lines.push(line));
        }
        lines.extend(partial.finish());
        lines
    }

    #[test]
    fn lines_over_chunks() {
        assert_eq!(lines(&[b"on", b"e\ntwo\r\n\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert_eq!(lines(&["h\u{e4}\n".as_bytes().split_at(2).0, b"\xa4\n"]), ["hä"]);
        assert_eq!(lines(&[b"10%\r20%\r", b"30%", b"\r\n", b"end\r"]), ["30%", "end"]);
    }

    #[test]
    fn nothing_raw_passes() {
        assert_eq!(
            lines(&[b"a\x1b[31mred\x1b[0m\x1b[K\tb\n\x1b[2J\x1b]0;t\x07\n\xff\xfe\n\x1b[1;", b"31mx"]),
            ["ared\tb", "\\u{1b}[2J\\u{1b}]0;t\\u{7}", "\u{fffd}\u{fffd}", "x"]
        );
        // What is left after a sequence was left out is no sequence.
        assert_eq!(lines(&[b"\x1b\x1b[m[2Jx\n"]), ["\\u{1b}[2Jx"]);
    }

    #[test]
    fn long_lines_are_cut() {
        let long = "ä".repeat(3000);
        let shown = &lines(&[b"x", long.as_bytes(), b"\nnext\n"]);
        assert_eq!(shown[0], format!("x{} … (1906 more bytes in the log)", "ä".repeat(2047)));
        assert_eq!(shown[1], "next");
    }
}
