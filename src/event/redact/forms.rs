//! Every spelling of a secret that is looked for. Knows nothing of streams or of how spellings are found.
//!
//! A spelling is what an ordinary program makes of a text: raw, quoted for JSON, a URL, XML or a shell, in hex, in
//! base64. What a program does on purpose (reversing, encrypting, joining pieces) is not looked for: this is a net against
//! accidents, not a wall.

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose};
use zeroize::Zeroizing;

/// Encoded fragments shorter than this are not looked for: they would mask half of every text.
const SHORTEST_ENCODED: usize = 6;
/// A base64 window without its first character is looked for only from this length on.
const SHORTEST_CLIPPED: usize = 8;
/// Lines of a secret that are shorter are not looked for by themselves.
const SHORTEST_LINE: usize = 8;
/// With more lines than this (a key file), lines are looked for as text only; the whole is looked for in all forms.
const FEW_LINES: usize = 16;

/// One spelling.
#[derive(Clone)]
pub(super) struct Form {
    pub bytes: Zeroizing<Vec<u8>>,
    /// Line breaks inside it are passed over.
    pub wraps: bool,
    pub tail: Option<Tail>,
}

/// The character after a base64 window holds the last bits of the secret above the first bits of what follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    pub known: u8,
    pub bits: u32,
}

impl Tail {
    /// Whether a character could hold those bits.
    pub fn fits(self, byte: u8) -> bool {
        sextet(byte).is_some_and(|value| value >> (6 - self.bits) == self.known)
    }
}

/// The value of a character of either base64 alphabet.
pub(super) const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// All spellings of one secret, each once.
pub(super) fn forms_of(secret: &str) -> Vec<Form> {
    let trimmed = secret.trim();
    // White space around a secret (the line feed at the end of its file) is no part of what has to be hidden.
    let whole = if trimmed.is_empty() { secret } else { trimmed };
    let mut set = Set::default();
    all(&mut set, whole);
    if whole.contains('\n') {
        // A pseudo-terminal turns line feeds into this.
        set.text(whole.replace("\r\n", "\n").replace('\n', "\r\n"));
        let lines: Vec<&str> = whole.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE).collect();
        for line in &lines {
            if lines.len() <= FEW_LINES {
                all(&mut set, line);
            } else {
                texts(&mut set, line);
            }
        }
    }
    set.forms
}

#[derive(Default)]
struct Set {
    forms: Vec<Form>,
    seen: HashSet<Vec<u8>>,
}

impl Set {
    fn text(&mut self, text: String) {
        self.push(text.into_bytes(), false, None);
    }

    fn push(&mut self, bytes: Vec<u8>, wraps: bool, tail: Option<Tail>) {
        if !bytes.is_empty() && self.seen.insert(bytes.clone()) {
            self.forms.push(Form { bytes: Zeroizing::new(bytes), wraps, tail });
        }
    }
}

fn all(set: &mut Set, text: &str) {
    texts(set, text);
    hex(set, text.as_bytes());
    base64(set, text.as_bytes());
}

fn texts(set: &mut Set, text: &str) {
    set.text(text.to_owned());
    // Control characters are passed over in the text that is searched, so they are left out here, too.
    let bare: String = text.chars().filter(|c| !c.is_ascii() || !super::views::skipped(*c as u8)).collect();
    if bare.len() >= SHORTEST_LINE {
        set.text(bare);
    }
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return;
    }
    json(set, text);
    url(set, text);
    xml(set, text);
    shell(set, text);
    source_code(set, text);
    shown(set, text);
}

/// As this program itself shows what is not its own: quoted in a message, and with controls made visible.
fn shown(set: &mut Set, text: &str) {
    let quoted = format!("{text:?}");
    set.text(quoted[1..quoted.len() - 1].to_owned());
    set.text(crate::text::one_line(text).into_owned());
    set.text(crate::text::printable(text).into_owned());
}

/// Spells a text anew, character by character; the closure says whether a character is its first.
fn respell(text: &str, mut spell: impl FnMut(char, bool, &mut String)) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for (at, c) in text.char_indices() {
        spell(c, at == 0, &mut out);
    }
    out
}

fn json(set: &mut Set, text: &str) {
    // What is written as \uXXXX besides what must be: nothing, what is dangerous in HTML, the same with quotes, all
    // that is not a letter or digit.
    const DANGEROUS: [&str; 4] = ["", "<>&\u{2028}\u{2029}", "<>&'\"\u{2028}\u{2029}", ""];
    for slash in [false, true] {
        for upper in [false, true] {
            for ascii in [false, true] {
                for (level, dangerous) in DANGEROUS.iter().enumerate() {
                    set.text(respell(text, |c, _, out| {
                        let all = level == 3 && c.is_ascii() && !c.is_ascii_alphanumeric();
                        if all || dangerous.contains(c) || (ascii && !c.is_ascii()) {
                            return unicode(c, upper, out);
                        }
                        match c {
                            '/' if slash => out.push_str("\\/"),
                            c => json_char(c, upper, out),
                        }
                    }));
                }
            }
        }
    }
    // JSON inside JSON, as logs are full of.
    let once = respell(text, |c, _, out| json_char(c, false, out));
    set.text(respell(&once, |c, _, out| json_char(c, false, out)));
}

fn json_char(c: char, upper: bool, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        c if (c as u32) < 0x20 => unicode(c, upper, out),
        c => out.push(c),
    }
}

fn unicode(c: char, upper: bool, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
    }
}

fn url(set: &mut Set, text: &str) {
    // What different encoders keep besides letters and digits: RFC 3986, its predecessor, encodeURIComponent, forms,
    // encodeURI, and the user, path and query parts of the URL standard.
    const KEPT: [&str; 8] = [
        "-_.~",
        "-_.",
        "-_.!~*'()",
        "*-._",
        ";,/?:@&=+$-_.!~*'()#",
        "!$%&'()*+,-.~_",
        "!$%&'()*+,-./:;=@[]|~_\\",
        "!$%&()*+,-./:;=?@[]|~_\\`{}^'",
    ];
    for kept in KEPT {
        for slash in [false, true] {
            for plus in [false, true] {
                for upper in [false, true] {
                    let mut out = Vec::with_capacity(text.len() * 2);
                    for byte in text.bytes() {
                        match byte {
                            b' ' if plus => out.push(b'+'),
                            b'/' if slash => out.push(b'/'),
                            b'/' => percent(byte, upper, &mut out),
                            b if b.is_ascii_alphanumeric() || kept.as_bytes().contains(&b) => out.push(b),
                            b => percent(b, upper, &mut out),
                        }
                    }
                    set.push(out, false, None);
                }
            }
        }
    }
}

fn percent(byte: u8, upper: bool, out: &mut Vec<u8>) {
    let text = if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
    out.extend_from_slice(text.as_bytes());
}

fn xml(set: &mut Set, text: &str) {
    if !text.contains(['&', '<', '>', '"', '\'', '/', '\n']) {
        return;
    }
    const QUOTES: [(&str, &str); 11] = [
        ("\"", "'"),
        ("&quot;", "'"),
        ("\"", "&apos;"),
        ("\"", "&#39;"),
        ("&#34;", "'"),
        ("&quot;", "&apos;"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&quot;", "&#039;"),
        ("&#34;", "&#39;"),
        ("&#x22;", "&#x27;"),
    ];
    // A choice that a text gives no occasion for is made once.
    let quotes = if text.contains(['"', '\'']) { &QUOTES[..] } else { &QUOTES[..1] };
    let greater: &[&str] = if text.contains('>') { &["&gt;", ">"] } else { &[">"] };
    let slashes: &[&str] = if text.contains('/') { &["/", "&#x2F;", "&#x2f;", "&#47;"] } else { &["/"] };
    let breaks: &[&str] = if text.contains('\n') { &["\n", "&#10;", "&#xA;", "&#xa;"] } else { &["\n"] };
    for (double, single) in quotes {
        for gt in greater {
            for slash in slashes {
                for line in breaks {
                    set.text(respell(text, |c, _, out| match c {
                        '&' => out.push_str("&amp;"),
                        '<' => out.push_str("&lt;"),
                        '>' => out.push_str(gt),
                        '"' => out.push_str(double),
                        '\'' => out.push_str(single),
                        '/' => out.push_str(slash),
                        '\n' => out.push_str(line),
                        c => out.push(c),
                    }));
                }
            }
        }
    }
}

fn shell(set: &mut Set, text: &str) {
    for quote in ["'\\''", "'\"'\"'", "''"] {
        set.text(text.replace('\'', quote));
    }
    // `ls` and its kin leave the quotes for what cannot stand in them.
    set.text(text.replace('\'', "'\\''").replace('\n', "'$'\\n''").replace('\t', "'$'\\t''"));
    set.text(text.replace('"', "\"\""));
    // In double quotes.
    for special in ["$`\"\\", "$`\"\\!", "\"", "\"$"] {
        set.text(respell(text, |c, _, out| {
            if special.contains(c) {
                out.push('\\');
            }
            out.push(c);
        }));
    }
    // With backslashes: `printf %q` of bash, older and newer, and of zsh.
    for special in [" \t\n'\"\\|&;()<>!{}*[]?^$`,", " \t\n'\"\\|&;()<>!{}*[]?^$`", " \t\n'\"\\|&;()<>!{}*[]?^$`=~#"] {
        set.text(respell(text, |c, first, out| {
            if special.contains(c) || (first && matches!(c, '#' | '~')) {
                out.push('\\');
            }
            out.push(c);
        }));
    }
    // With a backslash before all that is not known to be harmless.
    for harmless in ["_-./:=@%+,", "_-.,:+/@", "_"] {
        set.text(respell(text, |c, _, out| match c {
            '\n' => out.push_str("'\n'"),
            c if c.is_ascii_alphanumeric() || harmless.contains(c) => out.push(c),
            c if !c.is_ascii() => out.push(c),
            c => out.extend(['\\', c]),
        }));
    }
}

/// Escapes as in `$'…'` of a shell and in the literals of programming languages.
fn source_code(set: &mut Set, text: &str) {
    for quotes in ["'", "\"", "'\"", ""] {
        for other in [Other::Raw, Other::Octal, Other::Hex, Other::Braces] {
            set.text(respell(text, |c, _, out| match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{7}' if other == Other::Raw => out.push_str("\\a"),
                '\u{8}' if other == Other::Raw => out.push_str("\\b"),
                '\u{b}' if other == Other::Raw => out.push_str("\\v"),
                '\u{c}' if other == Other::Raw => out.push_str("\\f"),
                '\u{1b}' if other == Other::Raw => out.push_str("\\E"),
                c if quotes.contains(c) => out.extend(['\\', c]),
                c if c.is_ascii_control() || (!c.is_ascii() && other != Other::Raw) => other.spell(c, out),
                c => out.push(c),
            }));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    /// As it is, control characters in octal.
    Raw,
    Octal,
    Hex,
    Braces,
}

impl Other {
    fn spell(self, c: char, out: &mut String) {
        if self == Other::Braces {
            return out.push_str(&format!("\\u{{{:x}}}", c as u32));
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            out.push_str(&if self == Other::Hex { format!("\\x{byte:02x}") } else { format!("\\{byte:03o}") });
        }
    }
}

fn hex(set: &mut Set, bytes: &[u8]) {
    if bytes.len() * 2 < SHORTEST_ENCODED {
        return;
    }
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    set.push(lower.to_uppercase().into_bytes(), true, None);
    set.push(lower.into_bytes(), true, None);
}

/// The characters that are the same whatever stands before and after the secret, for each of the three ways it can
/// lie in groups of three bytes. `user:secret` of basic authentication is among them.
fn base64(set: &mut Set, bytes: &[u8]) {
    for offset in 0..3 {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(bytes);
        let first = (offset * 8).div_ceil(6);
        let full = padded.len() * 8 / 6;
        let bits = (padded.len() * 8 - full * 6) as u32;
        for engine in [&general_purpose::STANDARD_NO_PAD, &general_purpose::URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded).into_bytes();
            let window = text.get(first..full).unwrap_or_default();
            if window.len() < SHORTEST_ENCODED {
                continue;
            }
            let tail =
                text.get(full).and_then(|byte| sextet(*byte)).map(|value| Tail { known: value >> (6 - bits), bits });
            set.push(window.to_vec(), true, tail);
            // A line break after the first character is the one place where a wrapped window is not followed (see
            // `scan`); without its first character it is found on the next line.
            if window.len() > SHORTEST_CLIPPED {
                set.push(window[1..].to_vec(), true, tail);
            }
            respelled_base64(set, window);
        }
    }
    // Four bytes leave no window, but the whole with its padding is telling enough.
    let whole = general_purpose::STANDARD.encode(bytes);
    if bytes.len() == 4 && whole.len() >= SHORTEST_ENCODED {
        set.push(whole.into_bytes(), true, None);
    }
}

/// Base64 within a URL or within JSON of a cautious writer.
fn respelled_base64(set: &mut Set, window: &[u8]) {
    if !window.iter().any(|byte| matches!(byte, b'+' | b'/')) {
        return;
    }
    for (plus, slash) in [("%2B", "%2F"), ("%2b", "%2f"), ("+", "\\/"), ("%2B", "/")] {
        let mut out = Vec::with_capacity(window.len() + 16);
        for byte in window {
            match byte {
                b'+' => out.extend_from_slice(plus.as_bytes()),
                b'/' => out.extend_from_slice(slash.as_bytes()),
                b => out.push(*b),
            }
        }
        set.push(out, false, None);
    }
}
