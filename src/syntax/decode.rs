//! From bytes to a source that can be read and drawn. Knows nothing of YAML but how large a file may be.

use super::yaml::{MAX_BYTES, too_large};
use crate::text::{Diagnostic, Source, Span};

/// Reads the bytes of a file as UTF-8 text without control characters; a byte order mark at its start is left out.
///
/// In an error, the source holds the text as far as it can be shown, and the diagnostic points into it.
pub fn decode(name: impl Into<String>, bytes: Vec<u8>) -> Result<Source, (Source, Diagnostic)> {
    let name = name.into();
    if bytes.len() > MAX_BYTES {
        let refusal = too_large(bytes.len() as u64);
        return Err((Source::new(name, ""), refusal));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let refusal = Diagnostic::error("not-utf8", Span::at(0), "the file is UTF-16 text, not UTF-8")
            .hint("save it as UTF-8, such as with `iconv -f UTF-16 -t UTF-8`");
        return Err((Source::new(name, ""), refusal));
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(why) => return Err(not_utf8(name, &why)),
    };
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    match control_character(&text) {
        None => Ok(Source::new(name, text)),
        Some(refusal) => Err((Source::new(name, text), refusal)),
    }
}

fn not_utf8(name: String, why: &std::string::FromUtf8Error) -> (Source, Diagnostic) {
    let bad = why.utf8_error().valid_up_to();
    let byte = why.as_bytes().get(bad).copied().unwrap_or_default();
    let lossy = String::from_utf8_lossy(why.as_bytes());
    // All before the first bad byte is valid, so it has the same offset in the lossy text.
    let (shown, bad) = match lossy.strip_prefix('\u{feff}') {
        Some(rest) if bad >= 3 => (rest, bad - 3),
        _ => (lossy.as_ref(), bad),
    };
    let span = Span::new(bad, bad + '\u{fffd}'.len_utf8());
    let refusal = Diagnostic::error("not-utf8", span, format!("the file is not UTF-8 text: byte 0x{byte:02x}"))
        .label("no UTF-8 character begins or goes on like this")
        .hint("save the file as UTF-8");
    (Source::new(name, shown), refusal)
}

/// The first character that no file of ours may hold: it would be cut, hidden or counted wrongly by somebody.
pub(super) fn control_character(text: &str) -> Option<Diagnostic> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let next = bytes.get(at + 1).copied();
        let bad = match byte {
            b'\t' | b'\n' => false,
            b'\r' => next != Some(b'\n'),
            0..=0x1f | 0x7f => true,
            // U+0080 to U+009F.
            0xc2 => next.is_some_and(|next| next < 0xa0),
            _ => false,
        };
        if bad {
            return Some(refuse(text, at));
        }
        at += 1;
    }
    None
}

fn refuse(text: &str, at: usize) -> Diagnostic {
    let character = text[at..].chars().next().unwrap_or_default();
    let span = Span::new(at, at + character.len_utf8());
    let message = match character {
        '\0' => "the file holds a NUL character".to_owned(),
        '\r' => "the file holds a carriage return without a line feed".to_owned(),
        other => format!("the file holds the control character U+{:04X}", other as u32),
    };
    let hint = match character {
        '\0' => "is this a text file?",
        '\r' => "end lines with a line feed",
        _ => "remove it; inside double quotes it can be written as an escape such as \"\\e\" or \"\\x07\"",
    };
    Diagnostic::error("control-character", span, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{DrawStyle, draw};

    #[test]
    fn text_stays_as_it_is_but_for_the_byte_order_mark() {
        assert_eq!(decode("f", b"a: b\r\n\tc".to_vec()).unwrap().text(), "a: b\r\n\tc");
        assert_eq!(decode("f", b"\xef\xbb\xbftitle: x".to_vec()).unwrap().text(), "title: x");
        assert_eq!(decode("f", "ä\u{a0}→".into()).unwrap().text(), "ä\u{a0}→");
    }

    #[test]
    fn bytes_that_are_no_text_are_placed() {
        for (bytes, code, line, column) in [
            (&b"a: b\nc: \xe9t\xe9\n"[..], "not-utf8", 2, 4),
            (b"\xef\xbb\xbfab\xff", "not-utf8", 1, 3),
            (b"a: \xc3", "not-utf8", 1, 4),
            (b"\xff\xfea\0", "not-utf8", 1, 1),
            (b"a: \xc3\xa4\0b", "control-character", 1, 5),
            (b"a\rb", "control-character", 1, 2),
            (b"a\nb: \x1b[2J", "control-character", 2, 4),
            (b"\xc2\x85", "control-character", 1, 1),
            (b"a\x7f", "control-character", 1, 2),
        ] {
            let (source, problem) = decode("f.yaml", bytes.to_vec()).unwrap_err();
            let at = source.position(problem.span.start);
            assert_eq!((problem.code, at.line, at.column), (code, line, column), "{bytes:?}");
            let drawn = draw(&source, &problem, DrawStyle::default());
            assert!(drawn.contains(&format!("f.yaml:{line}:{column}")), "{drawn}");
        }
    }

    #[test]
    fn a_large_file_is_refused_with_its_size() {
        let (source, problem) = decode("f", vec![b'#'; MAX_BYTES + 1]).unwrap_err();
        assert_eq!(problem.code, "too-large");
        assert!(problem.message.contains("8388609") && problem.message.contains("8 MiB"), "{}", problem.message);
        draw(&source, &problem, DrawStyle::default());
    }
}
