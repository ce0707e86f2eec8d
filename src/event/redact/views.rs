//! Other readings of a buffer: without terminal escapes, and without the breaks of wrapped lines. Knows nothing of secrets.

use super::forms::{Form, sextet};

/// The longest escape sequence with a text in it (a title, a link); a longer one is taken for text.
const LONGEST_STRING: usize = 4096;
/// Escape sequences without an end that are looked at in front of a mask.
const MOST_OPEN: usize = 32;
/// The longest escape sequence with numbers in it.
const LONGEST_NUMBERS: usize = 256;

const ESC: u8 = 0x1b;

/// Bytes that a terminal shows nothing for; an escape sequence begins with one of them.
pub(super) fn skipped(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r') || byte == 0x7f
}

/// Where pieces of a view stand in what it was made from: pairs of an index in either, ascending in both.
#[derive(Default)]
pub(super) struct Places(Vec<(usize, usize)>);

impl Places {
    fn at(&self, index: usize) -> usize {
        let next = self.0.partition_point(|(view, _)| *view <= index);
        next.checked_sub(1).map_or(index, |piece| self.0[piece].1 + (index - self.0[piece].0))
    }
}

/// Some bytes of a buffer, and where they stand in it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub bytes: &'a [u8],
    /// None: each at its own index.
    places: Option<&'a Places>,
    under: Option<&'a View<'a>>,
}

impl<'a> View<'a> {
    pub fn whole(bytes: &'a [u8]) -> View<'a> {
        View { bytes, places: None, under: None }
    }

    /// Where a byte of the view stands in the buffer.
    pub fn at(&self, index: usize) -> usize {
        let index = self.places.map_or(index, |places| places.at(index));
        self.under.map_or(index, |under| under.at(index))
    }
}

/// What a terminal would show of a buffer.
#[derive(Default)]
pub(super) struct Bare {
    bytes: Vec<u8>,
    places: Places,
    /// Escape sequences of more than one byte, as start and end in the buffer.
    pub escapes: Vec<(usize, usize)>,
    /// Where a sequence begins that is not over at the end of the buffer.
    pub open: Option<usize>,
}

impl Bare {
    /// None if nothing in the buffer would be left out.
    pub fn of(buffer: &[u8], last: bool) -> Option<Bare> {
        let mut at = clean(buffer);
        if at == buffer.len() {
            return None;
        }
        let mut bare = Bare::default();
        bare.keep(buffer, 0, at);
        while let Some(&byte) = buffer.get(at) {
            if byte == ESC {
                let Some(length) = escape(&buffer[at..], last) else {
                    bare.open = Some(at);
                    break;
                };
                bare.escapes.push((at, at + length));
                at += length;
            } else {
                at += 1;
            }
            let end = at + clean(&buffer[at..]);
            bare.keep(buffer, at, end);
            at = end;
        }
        Some(bare)
    }

    fn keep(&mut self, buffer: &[u8], from: usize, to: usize) {
        if from < to {
            self.places.0.push((self.bytes.len(), from));
            self.bytes.extend_from_slice(&buffer[from..to]);
        }
    }

    pub fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, places: Some(&self.places), under: None }
    }

    /// The escape sequence that a place in the buffer is part of.
    pub fn escape_around(&self, place: usize) -> Option<(usize, usize)> {
        let next = self.escapes.partition_point(|(start, _)| *start <= place);
        let (start, end) = *self.escapes.get(next.checked_sub(1)?)?;
        (place < end).then_some((start, end))
    }

    /// Where a mask at a place must begin: an escape sequence right before it that has no end of its own would swallow the
    /// mask, and with it what stands behind.
    pub fn unswallowed(&self, buffer: &[u8], mut place: usize) -> usize {
        // Nobody means so many; without a limit a flood of them would be held back for ever.
        for _ in 0..MOST_OPEN {
            let next = self.escapes.partition_point(|(_, end)| *end < place);
            let Some(&(start, end)) = self.escapes.get(next) else { break };
            if end != place {
                break;
            }
            let masked = [&buffer[start..end], super::MASK.as_bytes()].concat();
            if escape(&masked, true) == Some(end - start) {
                break;
            }
            place = start;
        }
        place
    }

    /// The last byte of this view before a place in the buffer.
    pub fn before(&self, place: usize) -> Option<u8> {
        let next = self.places.0.partition_point(|(_, buffer)| *buffer < place);
        let (view, buffer) = self.places.0[next.checked_sub(1)?];
        let end = self.places.0.get(next).map_or(self.bytes.len(), |(view, _)| *view);
        self.bytes[..end.min(view + (place - buffer))].last().copied()
    }
}

/// How many bytes there are before the first that is left out.
fn clean(bytes: &[u8]) -> usize {
    let mut at = 0;
    // Piece by piece, so that the check of each is one loop without a branch.
    for piece in bytes.chunks(64) {
        if piece.iter().fold(false, |found, byte| found | skipped(*byte)) {
            return at + piece.iter().position(|byte| skipped(*byte)).unwrap_or(0);
        }
        at += piece.len();
    }
    at
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
    bytes: Vec<u8>,
    places: Places,
    /// Indices of the bytes that a line break stands before; one may be the index after the last byte.
    pub breaks: Vec<usize>,
    /// It goes up to the end of the buffer and might go on.
    pub open: bool,
}

impl Run {
    pub fn view<'a>(&'a self, under: &'a View<'a>) -> View<'a> {
        View { bytes: &self.bytes, places: Some(&self.places), under: Some(under) }
    }
}

/// Which two characters stand side by side in some form, so that a line break between them is worth a look.
pub(super) struct Pairs(Box<[bool; 4096]>);

impl Pairs {
    pub fn of<'a>(forms: impl Iterator<Item = &'a Form>) -> Pairs {
        let mut pairs = Pairs(Box::new([false; 4096]));
        let mut mark = |left: &u8, right: u8| {
            if let (Some(left), Some(right)) = (sextet(*left), sextet(right)) {
                pairs.0[left as usize * 64 + right as usize] = true;
            }
        };
        for form in forms {
            for pair in form.bytes.windows(2) {
                mark(&pair[0], pair[1]);
            }
            if let (Some(left), Some(tail)) = (form.bytes.last(), form.tail) {
                (0..128).filter(|right| tail.fits(*right)).for_each(|right| mark(left, right));
            }
        }
        pairs
    }

    fn holds(&self, left: u8, right: u8) -> bool {
        self.0[left as usize * 64 + right as usize]
    }
}

/// [`sextet`] as a table; 255 for what is none.
const SEXTETS: [u8; 256] = {
    let mut table = [255; 256];
    let mut byte = 0;
    while byte < 256 {
        if let Some(value) = sextet(byte as u8) {
            table[byte] = value;
        }
        byte += 1;
    }
    table
};

/// Calls `each` with every run that holds a line break between two characters of `pairs`, or one at its open end.
///
/// A line break is CR or LF, with blanks after it, or the two characters `\n` or `\r` of an escaped text. `slash` says
/// that the byte before the view was a backslash. No more than `reach` characters around a break are of interest.
pub(super) fn runs(view: &View<'_>, slash: bool, last: bool, pairs: &Pairs, reach: usize, mut each: impl FnMut(&Run)) {
    let bytes = view.bytes;
    // The second character of an escaped line break is none of a run.
    let letter = |at: usize| {
        let escaped = matches!(bytes[at], b'n' | b'r') && if at == 0 { slash } else { bytes[at - 1] == b'\\' };
        if escaped { 255 } else { SEXTETS[bytes[at] as usize] }
    };
    let mut run = Run::default();
    let mut done = 0;
    for at in memchr::memchr3_iter(b'\n', b'\r', b'\\', bytes) {
        if at < done || at == 0 {
            continue;
        }
        let before = letter(at - 1);
        if before == 255 {
            continue;
        }
        let mut next = skip_break(bytes, at, last);
        if next == at || !joins(bytes, next, before, last, pairs) {
            continue;
        }
        run.bytes.clear();
        run.places.0.clear();
        run.breaks.clear();
        let mut start = at - 1;
        while start > 0 && at - start < reach && letter(start - 1) != 255 {
            start -= 1;
        }
        let mut stop = at;
        loop {
            run.places.0.push((run.bytes.len(), start));
            run.bytes.extend_from_slice(&bytes[start..stop]);
            // Here a line break is known to stand from `stop` to `next`.
            if next == stop {
                break;
            }
            run.breaks.push(run.bytes.len());
            start = next;
            let most = bytes.len().min(start + reach);
            stop = start + bytes[start..most].iter().take_while(|byte| SEXTETS[**byte as usize] != 255).count();
            next = stop;
            if stop > start && stop < bytes.len() {
                let after = skip_break(bytes, stop, last);
                if after > stop && joins(bytes, after, SEXTETS[bytes[stop - 1] as usize], last, pairs) {
                    next = after;
                }
            }
        }
        run.open = stop == bytes.len() && !last;
        done = stop;
        each(&run);
    }
}

/// Whether a form may go on at `next` after a line break.
fn joins(bytes: &[u8], next: usize, before: u8, last: bool, pairs: &Pairs) -> bool {
    match bytes.get(next) {
        None => !last,
        Some(byte) => SEXTETS[*byte as usize] != 255 && pairs.holds(before, SEXTETS[*byte as usize]),
    }
}

/// Where the text goes on after line breaks at `at`.
fn skip_break(bytes: &[u8], mut at: usize, last: bool) -> usize {
    let mut blanks = false;
    loop {
        match bytes.get(at) {
            Some(b'\n' | b'\r') => at += 1,
            Some(b' ' | b'\t') if blanks => at += 1,
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'n' | b'r') => at += 2,
                None if !last => at += 1,
                _ => return at,
            },
            _ => return at,
        }
        blanks = true;
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
    fn places_lead_back() {
        let bare = Bare::of(b"ab\x1b[1mcd\x08e", true).unwrap();
        let places: Vec<usize> = (0..5).map(|index| bare.view().at(index)).collect();
        assert_eq!(places, [0, 1, 6, 7, 9]);
        let before: Vec<Option<u8>> = [0, 1, 2, 5, 6, 7, 9, 10].iter().map(|place| bare.before(*place)).collect();
        assert_eq!(before, [None, Some(b'a'), Some(b'b'), Some(b'b'), Some(b'b'), Some(b'c'), Some(b'd'), Some(b'e')]);
    }

    #[test]
    fn runs_go_over_line_breaks() {
        let collect = |text: &str, last: bool| {
            let mut found = Vec::new();
            let view = View::whole(text.as_bytes());
            let pairs = Pairs::of([Form { bytes: b"abcdefghijklm".to_vec().into(), wraps: true, tail: None }].iter());
            runs(&view, false, last, &pairs, 100, |run| {
                let places: Vec<usize> = (0..run.bytes.len()).map(|index| run.view(&view).at(index)).collect();
                assert!(places.iter().zip(&run.bytes).all(|(place, byte)| text.as_bytes()[*place] == *byte));
                found.push((String::from_utf8(run.bytes.clone()).unwrap(), run.breaks.clone(), run.open));
            });
            found
        };
        assert_eq!(collect("x: abcd\nefgh ij", true), [("abcdefgh".into(), vec![4], false)]);
        assert_eq!(collect("abcd\r\n  efgh\\nij.", true), [("abcdefghij".into(), vec![4, 8], false)]);
        assert_eq!(collect("abcd\nefgh\nxyz.", true), [("abcdefgh".into(), vec![4], false)]);
        assert_eq!(collect("abcd\nefgh\n", false), [("abcdefgh".into(), vec![4, 8], true)]);
        assert_eq!(collect("abcd\nefgh\n", true), [("abcdefgh".into(), vec![4], false)]);
        assert_eq!(collect("one two\nthree", true), []);
        assert_eq!(collect("one two\n", false), [("two".into(), vec![3], true)]);
        assert_eq!(collect("one two\\", false), [("two".into(), vec![3], true)]);
        assert_eq!(collect("plain text without breaks", false), []);
    }
}
