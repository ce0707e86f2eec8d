//! What a scalar is and where each of its characters stands. Knows YAML's rules for scalars, and no YAML crate.

use super::{ScalarStyle, Text};
use crate::{
    text::{Span, TextMap},
    value::Value,
};

/// What a plain scalar is under YAML 1.2's core schema, read strictly.
#[derive(Debug, PartialEq)]
pub(super) enum Core {
    Null,
    Value(Value),
    Text,
}

/// Only `true`, `false`, `null` and `~` in this very spelling, numbers that can be held, and everything else as text.
///
/// `.inf` and `.nan` are text: no journal and no JSON could hold them.
pub(super) fn resolve(text: &str) -> Core {
    match text {
        "" | "~" | "null" => return Core::Null,
        "true" => return Core::Value(Value::Bool(true)),
        "false" => return Core::Value(Value::Bool(false)),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Core::Text;
    }
    let radix = |digits: &str, radix: u32| {
        // `from_str_radix` would accept a sign here, which the schema does not.
        let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
        i64::from_str_radix(digits, radix).ok().filter(|_| plain)
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16).map_or(Core::Text, |number| Core::Value(Value::Int(number)));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8).map_or(Core::Text, |number| Core::Value(Value::Int(number)));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_or(Core::Text, |number| Core::Value(Value::Int(number)));
    }
    if is_float(unsigned)
        && let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Core::Value(Value::Float(number));
    }
    Core::Text
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole == 0 && fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

/// A scalar as text, and how many pieces its map has: for accounting, since a copy of it copies them too.
///
/// `span` is what the parser says: for quoted scalars with the quotes, for block scalars from the first character of
/// the first line that has one, or at the header if there is none. `indent` is the indentation of a block scalar.
pub(super) fn text(source: &str, span: Span, style: ScalarStyle, value: &str, indent: Option<usize>) -> (Text, usize) {
    let (pieces, end) = match style {
        ScalarStyle::Plain if source.get(span.start..span.end) == Some(value) => (vec![(0, span.start)], span.end),
        ScalarStyle::Plain => flow(source, span, style, value),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let inner = Span::new(span.start + 1, span.end.saturating_sub(1));
            if source.get(inner.start..inner.end) == Some(value) {
                (vec![(0, inner.start)], inner.end)
            } else {
                flow(source, inner, style, value)
            }
        }
        ScalarStyle::Literal | ScalarStyle::Folded => {
            (block(source, span, indent, value, style == ScalarStyle::Folded), span.end)
        }
    };
    let count = pieces.len();
    let shown = match style {
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let written = source.get(span.start..span.end).unwrap_or("");
            match header(source, span.start) {
                // A block of nothing has no place of its own but its `|`.
                Some(header) if value.trim().is_empty() => header,
                _ => Span::new(span.start, span.start + written.trim_end().len()),
            }
        }
        _ => span,
    };
    let cut_by_comment = if style == ScalarStyle::Plain { comment_after(source, span.end) } else { None };
    (Text { text: value.to_owned(), span: shown, map: TextMap::new(pieces, end), style, cut_by_comment }, count)
}

/// The `|` or `>` of a block, with what belongs to it, where only blank lines stand behind it.
fn header(source: &str, before: usize) -> Option<Span> {
    let above = source.get(..before)?.trim_end();
    let sign = above.trim_end_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    sign.ends_with(['|', '>']).then(|| Span::new(sign.len() - 1, above.len()))
}

/// The ` #` comment that follows on the same line, without the blanks before it.
fn comment_after(source: &str, end: usize) -> Option<Span> {
    let bytes = source.as_bytes();
    let blanks = bytes.get(end..)?.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let start = end + blanks;
    if blanks == 0 || bytes.get(start) != Some(&b'#') {
        return None;
    }
    let line = source[start..].split('\n').next().unwrap_or("").trim_end();
    Some(Span::new(start, start + line.len()))
}

/// Collects a value and its pieces; a piece is opened only where value and source stop running in step.
struct Pieces {
    value: String,
    pieces: Vec<(usize, usize)>,
}

impl Pieces {
    fn put(&mut self, at: usize, text: &str) {
        let offset = self.value.len();
        let in_step = self.pieces.last().is_some_and(|(value, source)| at >= *source && at - source == offset - value);
        if !in_step {
            self.pieces.push((offset, at));
        }
        self.value.push_str(text);
    }
}

/// The pieces of a plain or quoted scalar whose value is not what stands between its ends.
fn flow(source: &str, span: Span, style: ScalarStyle, value: &str) -> (Vec<(usize, usize)>, usize) {
    let mut out = Pieces { value: String::with_capacity(value.len()), pieces: Vec::new() };
    let bytes = &source.as_bytes()[..span.end.min(source.len())];
    let mut at = span.start;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                let blanks = at + bytes[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                if blanks < bytes.len() && matches!(bytes[blanks], b'\n' | b'\r') {
                    let (breaks, next) = line_breaks(bytes, blanks);
                    if breaks.len() == 1 {
                        out.put(at, " ");
                    }
                    for place in breaks.iter().skip(1) {
                        out.put(*place, "\n");
                    }
                    at = next;
                } else {
                    out.put(at, &source[at..blanks]);
                    at = blanks;
                }
            }
            b'\'' if style == ScalarStyle::SingleQuoted => {
                out.put(at, "'");
                at += 2;
            }
            b'\\' if style == ScalarStyle::DoubleQuoted => {
                if matches!(bytes.get(at + 1), Some(b'\n' | b'\r')) {
                    // An escaped line end joins; only the empty lines that follow it count.
                    let (breaks, next) = line_breaks(bytes, at + 1);
                    for place in breaks.iter().skip(1) {
                        out.put(*place, "\n");
                    }
                    at = next;
                } else {
                    let (character, length) = escape(&bytes[at..]);
                    let mut buffer = [0; 4];
                    out.put(at, character.encode_utf8(&mut buffer));
                    at += length;
                }
            }
            _ => {
                let run = bytes[at..]
                    .iter()
                    .take_while(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'\'' | b'\\'))
                    .count()
                    .max(1);
                out.put(at, &source[at..at + run]);
                at += run;
            }
        }
    }
    if out.value == value {
        (out.pieces, span.end)
    } else {
        // The parser read it otherwise than we do: better the start of the scalar than a wrong place inside it.
        (vec![(0, span.start)], span.start)
    }
}

/// Where each line feed of a run of line ends and blanks stands, and where the text goes on.
fn line_breaks(bytes: &[u8], mut at: usize) -> (Vec<usize>, usize) {
    let mut places = Vec::new();
    loop {
        match bytes.get(at) {
            Some(b'\n') => places.push(at),
            Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => {
                at += 1;
                places.push(at);
            }
            Some(b'\r') => places.push(at),
            _ => return (places, at),
        }
        at += 1;
        at += bytes[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    }
}

/// The character an escape stands for, and its length in the source.
fn escape(bytes: &[u8]) -> (char, usize) {
    let hex = |from: usize, digits: usize| {
        bytes
            .get(from..from + digits)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let digits = match bytes.get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(simple) => {
            let character = match simple {
                b'0' => '\0',
                b'a' => '\x07',
                b'b' => '\x08',
                b't' | b'\t' => '\t',
                b'n' => '\n',
                b'v' => '\x0b',
                b'f' => '\x0c',
                b'r' => '\r',
                b'e' => '\x1b',
                b'N' => '\u{85}',
                b'_' => '\u{a0}',
                b'L' => '\u{2028}',
                b'P' => '\u{2029}',
                other => char::from(*other),
            };
            return (character, 2);
        }
        None => return ('\\', 1),
    };
    let code = hex(2, digits).unwrap_or(u32::from('\u{fffd}'));
    if digits == 4
        && (0xd800..0xdc00).contains(&code)
        && let Some(low) = hex(8, 4).filter(|low| (0xdc00..0xe000).contains(low))
    {
        let code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or('\u{fffd}'), 12);
    }
    (char::from_u32(code).unwrap_or('\u{fffd}'), 2 + digits)
}

/// The pieces of a block scalar. Its lines stand in the source as they are, so they are found by walking both.
fn block(source: &str, span: Span, indent: Option<usize>, value: &str, folded: bool) -> Vec<(usize, usize)> {
    let mut line = source[..span.start].rfind('\n').map_or(0, |i| i + 1);
    let indent = indent.unwrap_or(span.start - line);
    let blank = value.bytes().all(|b| b == b'\n');
    if blank && source[span.start..].starts_with(['|', '>']) {
        // Without any text the span may begin at the header; the lines begin below it.
        line = source[span.start..].find('\n').map_or(source.len(), |i| span.start + i + 1);
        return blank_lines(source, line, value);
    }
    // Lines without text at the head are values too, but the parser's span begins after them.
    for _ in value.bytes().take_while(|b| *b == b'\n') {
        match source[..line.saturating_sub(1)].rfind('\n') {
            Some(before) => line = before + 1,
            None => return vec![(0, span.start)],
        }
    }
    if blank {
        return blank_lines(source, line, value);
    }
    let mut out = Pieces { value: String::with_capacity(value.len()), pieces: Vec::new() };
    while line < source.len() && out.value.len() < value.len() {
        let (start, end, feed) = content(source, line, indent);
        let next = (feed + 1).min(source.len());
        let text = &source[start..end];
        if !value[out.value.len()..].starts_with(text) {
            break;
        }
        out.put(start, text);
        let rest = &value[out.value.len()..];
        match rest.bytes().next() {
            Some(b'\n') if folded => {
                let feeds = rest.bytes().take_while(|b| *b == b'\n').count();
                line = folded_feeds(source, feed, indent, feeds, &mut out);
            }
            Some(b'\n') => {
                out.put(feed, "\n");
                line = next;
            }
            Some(b' ') if folded => {
                out.put(feed, " ");
                line = next;
            }
            _ => break,
        }
    }
    if out.pieces.is_empty() {
        out.pieces.push((0, span.start));
    }
    out.pieces
}

/// The pieces of a value of line feeds only: one for each line, however it is indented.
fn blank_lines(source: &str, mut line: usize, value: &str) -> Vec<(usize, usize)> {
    let mut out = Pieces { value: String::with_capacity(value.len()), pieces: Vec::new() };
    for _ in 0..value.len() {
        let feed = source[line..].find('\n').map_or(source.len(), |i| line + i);
        out.put(feed, "\n");
        line = (feed + 1).min(source.len());
    }
    if value.is_empty() {
        out.pieces.push((0, line));
    }
    out.pieces
}

/// Places the line feeds of a folded block from the line end at `feed` on; where the first was folded away, they are the
/// later ones. Returns the line that comes next.
fn folded_feeds(source: &str, feed: usize, indent: usize, feeds: usize, out: &mut Pieces) -> usize {
    let mut places = vec![feed];
    let mut line = (feed + 1).min(source.len());
    while line < source.len() {
        let (start, end, feed) = content(source, line, indent);
        if start < end {
            break;
        }
        places.push(feed);
        line = (feed + 1).min(source.len());
    }
    let skip = usize::from(places.len() == feeds + 1 && followed_by_text(source, line, indent));
    for place in places.iter().skip(skip).take(feeds) {
        out.put(*place, "\n");
    }
    line
}

fn followed_by_text(source: &str, line: usize, indent: usize) -> bool {
    let written = &source.as_bytes()[line..];
    written.len() > indent && written[..indent].iter().all(|b| *b == b' ')
}

/// Where the content of the line at `line` begins and ends, and where its line feed stands (or would stand).
fn content(source: &str, line: usize, indent: usize) -> (usize, usize, usize) {
    let bytes = source.as_bytes();
    let feed = bytes[line..].iter().position(|b| *b == b'\n').map_or(source.len(), |i| line + i);
    let end = if feed > line && bytes[feed - 1] == b'\r' { feed - 1 } else { feed };
    let blanks = bytes[line..end].iter().take(indent).take_while(|b| **b == b' ').count();
    (line + blanks, end, feed)
}
