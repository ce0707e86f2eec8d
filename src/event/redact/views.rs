//! Other readings of a buffer: without terminal escapes, and without the breaks of wrapped lines. Knows nothing of secrets.

use super::forms::sextet;

/// The longest escape sequence with a text in it (a title, a link); a longer one is taken for text.
const LONGEST_STRING: usize = 4096;
/// The longest escape sequence with numbers in it.
const LONGEST_NUMBERS: usize = 256;

const ESC: u8 = 0x1b;

/// Bytes that a terminal shows nothing for; an escape sequence begins with one of them.
pub(super) fn skipped(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r') || byte == 0x7f
}

/// Some bytes of a buffer, and where they stand in it.
pub(super) struct View<'a> {
    pub bytes: &'a [u8],
    /// None: each at its own index.
    pub places: Option<&'a [u32]>,
}

impl View<'_> {
    /// Where a byte of the view stands in the buffer.
    pub fn at(&self, index: usize) -> usize {
        self.places.map_or(index, |places| places[index] as usize)
    }
}

/// What a terminal would show of a buffer.
#[derive(Default)]
pub(super) struct Bare {
    pub bytes: Vec<u8>,
    pub places: Vec<u32>,
    /// Escape sequences of more than one byte, as start and end in the buffer.
    pub escapes: Vec<(usize, usize)>,
    /// Where a sequence begins that is not over at the end of the buffer.
    pub open: Option<usize>,
}

impl Bare {
    /// None if nothing in the buffer would be left out.
    pub fn of(buffer: &[u8], last: bool) -> Option<Bare> {
        // Over pieces, so that the check of each is one loop without a branch.
        let clean = |piece: &[u8]| !piece.iter().fold(false, |found, byte| found | skipped(*byte));
        let dirty = buffer.chunks(1024).position(|piece| !clean(piece))? * 1024;
        let mut bare = Bare { bytes: buffer[..dirty].to_vec(), places: (0..dirty as u32).collect(), ..Bare::default() };
        let mut at = dirty;
        while let Some(&byte) = buffer.get(at) {
            if byte == ESC {
                match escape(&buffer[at..], last) {
                    Some(length) => {
                        bare.escapes.push((at, at + length));
                        at += length;
                    }
                    None => {
                        bare.open = Some(at);
                        break;
                    }
                }
                continue;
            }
            if !skipped(byte) {
                bare.bytes.push(byte);
                bare.places.push(at as u32);
            }
            at += 1;
        }
        Some(bare)
    }

    pub fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, places: Some(&self.places) }
    }
}

/// The length of the escape sequence that a text begins with; none if its end has not come yet.
fn escape(text: &[u8], last: bool) -> Option<usize> {
    let open = |length| if last { Some(length) } else { None };
    let Some(&kind) = text.get(1) else { return open(1) };
    match kind {
        b'[' => {
            let mut final_allowed = 0x30;
            for (at, &byte) in text.iter().enumerate().skip(2) {
                match byte {
                    0x40..=0x7e => return Some(at + 1),
                    _ if at >= LONGEST_NUMBERS => return Some(at),
                    // Parameters come before intermediates; anything else is no part of a sequence.
                    0x30..=0x3f if final_allowed == 0x30 => {}
                    0x20..=0x2f => final_allowed = 0x20,
                    _ => return Some(at),
                }
            }
            open(text.len())
        }
        // A text up to BEL or ST: a title, a link, a device's own.
        b']' | b'P' | b'X' | b'^' | b'_' => {
            for (at, &byte) in text.iter().enumerate().skip(2) {
                match byte {
                    0x07 | 0x18 | 0x1a => return Some(at + 1),
                    ESC => {
                        return match text.get(at + 1) {
                            Some(b'\\') => Some(at + 2),
                            Some(_) => Some(at),
                            None => open(at),
                        };
                    }
                    // Such a text has no lines: this is none.
                    b'\n' | b'\r' => return Some(2),
                    _ if at >= LONGEST_STRING => return Some(2),
                    _ => {}
                }
            }
            open(2)
        }
        0x20..=0x2f => {
            for (at, &byte) in text.iter().enumerate().skip(2) {
                match byte {
                    0x20..=0x2f if at < 8 => {}
                    0x30..=0x7e => return Some(at + 1),
                    _ => return Some(at),
                }
            }
            open(text.len())
        }
        0x30..=0x7e => Some(2),
        _ => Some(1),
    }
}

/// A run of base64 or hex characters over several lines.
#[derive(Default)]
pub(super) struct Run {
    pub bytes: Vec<u8>,
    pub places: Vec<u32>,
    /// Indices of the bytes that a line break stands before; one may be the index after the last byte.
    pub breaks: Vec<usize>,
    /// It goes up to the end of the buffer and might go on.
    pub open: bool,
}

impl Run {
    pub fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, places: Some(&self.places) }
    }
}

/// Calls `each` with every run that holds a line break, and that has at least `shortest` characters or might go on.
///
/// A line break is CR or LF, with blanks after it, or the two characters `\n` or `\r` of an escaped text. `slash` says
/// that the byte before the view was a backslash. No more than `reach` characters before the first break are of interest.
pub(super) fn runs(
    view: &View<'_>,
    slash: bool,
    last: bool,
    shortest: usize,
    reach: usize,
    mut each: impl FnMut(&Run),
) {
    let bytes = view.bytes;
    let is_break = |at: usize| match bytes[at] {
        b'\n' | b'\r' => true,
        b'\\' => bytes.get(at + 1).map_or(!last, |next| matches!(next, b'n' | b'r')),
        _ => false,
    };
    // The second character of an escaped line break is none of a run.
    let is_letter = |at: usize| {
        let escaped = matches!(bytes[at], b'n' | b'r') && if at == 0 { slash } else { bytes[at - 1] == b'\\' };
        !escaped && sextet(bytes[at]).is_some()
    };
    let mut run = Run::default();
    let mut done = 0;
    for at in memchr::memchr3_iter(b'\n', b'\r', b'\\', bytes) {
        if at < done || at == 0 || !is_letter(at - 1) || !is_break(at) {
            continue;
        }
        let floor = at.saturating_sub(reach).max(done);
        let mut start = at - 1;
        while start > floor && is_letter(start - 1) {
            start -= 1;
        }
        // Most line ends have a short word before and after them.
        let mut end = at;
        let mut letters = at - start;
        let mut blanks = false;
        while end < bytes.len() {
            if is_letter(end) {
                letters += 1;
                blanks = false;
                end += 1;
            } else if matches!(bytes[end], b'\n' | b'\r') {
                blanks = true;
                end += 1;
            } else if bytes[end] == b'\\' && is_break(end) {
                blanks = true;
                end = (end + 2).min(bytes.len());
            } else if blanks && matches!(bytes[end], b' ' | b'\t') {
                end += 1;
            } else {
                break;
            }
        }
        done = end;
        let open = end == bytes.len() && !last;
        if letters < shortest && !open {
            continue;
        }
        run.bytes.clear();
        run.places.clear();
        run.breaks.clear();
        run.open = open;
        let mut broken = false;
        for index in start..end {
            if is_letter(index) {
                if broken {
                    run.breaks.push(run.bytes.len());
                    broken = false;
                }
                run.bytes.push(bytes[index]);
                run.places.push(view.at(index) as u32);
            } else {
                broken = true;
            }
        }
        if broken {
            run.breaks.push(run.bytes.len());
        }
        each(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> (String, bool) {
        let bare = Bare::of(text.as_bytes(), false).expect("something is left out");
        (String::from_utf8(bare.bytes).unwrap(), bare.open.is_some())
    }

    #[test]
    fn sees_what_a_terminal_shows() {
        assert!(Bare::of(b"plain\ttext\r\n", false).is_none());
        for (text, shown) in [
            ("a\x1b[31mb\x1b[0mc", "abc"),
            ("a\x1b[38;2;1;2;3mb", "ab"),
            ("a\x1b[?25lb\x1b[2 qc", "abc"),
            ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
            ("a\x1b(Bb\x1b7c\x1b=d", "abcd"),
            ("a\x08b\x07c\x00d\x7f", "abcd"),
            ("a\x1bPq#0\x1b\\b", "ab"),
            // What never ends as a title must was never one.
            ("a\x1b]0;no\nb", "a0;no\nb"),
            ("a\x1b]0;one\x1b[1mb", "ab"),
            ("a\x1b[3\nb", "a\nb"),
            ("a\x1b\x1b[1mb", "ab"),
        ] {
            assert_eq!(bare(text), (shown.into(), false), "{text:?}");
        }
    }

    #[test]
    fn an_unfinished_sequence_is_open() {
        for text in ["a\x1b", "a\x1b[3", "a\x1b]0;tit", "a\x1b]0;t\x1b", "a\x1b("] {
            assert_eq!(bare(text), ("a".into(), true), "{text:?}");
        }
    }

    #[test]
    fn runs_go_over_line_breaks() {
        let collect = |text: &str, last: bool| {
            let mut found = Vec::new();
            let view = View { bytes: text.as_bytes(), places: None };
            runs(&view, false, last, 8, 100, |run| {
                found.push((String::from_utf8(run.bytes.clone()).unwrap(), run.breaks.clone(), run.open));
            });
            found
        };
        assert_eq!(collect("x: abcd\nefgh ij", true), [("abcdefgh".into(), vec![4], false)]);
        assert_eq!(collect("abcd\r\n  efgh\\nij.", true), [("abcdefghij".into(), vec![4, 8], false)]);
        assert_eq!(collect("one two\nthree", true), [("twothree".into(), vec![3], false)]);
        assert_eq!(collect("one two\nten", true), []);
        assert_eq!(collect("one two\n", false), [("two".into(), vec![3], true)]);
        assert_eq!(collect("plain text without breaks", false), []);
    }
}
