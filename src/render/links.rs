//! Which addresses may become links, and how they are written so that they cannot end their place. Follows none.

use url::Url;

/// An address that an author gave, as one that may be linked to: http, https, mail, or a place in the same document.
pub fn safe(address: &str) -> Option<String> {
    let address = address.trim();
    if let Some(place) = address.strip_prefix('#') {
        let plain = !place.is_empty() && place.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        return plain.then(|| address.to_owned());
    }
    let url = Url::parse(address).ok()?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Some(encoded(url.as_str())),
        "mailto" => Some(encoded(url.as_str())),
        _ => None,
    }
}

/// Percent-encodes whatever could mean something to Markdown or HTML.
pub fn encoded(url: &str) -> String {
    let mut safe = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => safe.push(byte as char),
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'#' | b'@' | b'$' | b'&' | b'+' | b',' | b';' | b'='
            | b'%' => safe.push(byte as char),
            other => safe.push_str(&format!("%{other:02X}")),
        }
    }
    safe
}

/// Splits running text into pieces, of which those that are addresses are told from the rest.
pub fn find(text: &str) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(found) = next(rest) {
        let start = at + found;
        let end = start + length(&text[start..]);
        if end == start {
            break;
        }
        // In the middle of a word, `xhttp://`, it is none.
        let begins = text[..start].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        if begins && Url::parse(&text[start..end]).is_ok() {
            if plain_from < start {
                pieces.push((false, &text[plain_from..start]));
            }
            pieces.push((true, &text[start..end]));
            plain_from = end;
        }
        at = end;
        rest = &text[end..];
    }
    if plain_from < text.len() {
        pieces.push((false, &text[plain_from..]));
    }
    pieces
}

fn next(text: &str) -> Option<usize> {
    let found = |scheme| text.find(scheme);
    match (found("http://"), found("https://")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// How far an address goes: to white space or a bracket, without the punctuation of the sentence around it.
fn length(text: &str) -> usize {
    let end = text.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"'`|{}()[]".contains(c));
    let end = end.unwrap_or(text.len());
    text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_', '~', '\\']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_addresses_are_links() {
        for (given, safe_as) in [
            ("https://example.org/a?b=c&d#e", Some("https://example.org/a?b=c&d#e")),
            ("https://example.org/a_(b)|`c", Some("https://example.org/a_%28b%29%7C%60c")),
            ("mailto:oncall@example.org", Some("mailto:oncall@example.org")),
            ("#steps", Some("#steps")),
            ("#a b", None),
            ("javascript:alert(1)", None),
            ("JaVaScRiPt:alert(1)", None),
            (" \u{1}javascript:alert(1)", None),
            ("java\tscript:alert(1)", None),
            ("data:text/html,x", None),
            ("vbscript:x", None),
            ("file:///etc/passwd", None),
            ("//evil.example/x", None),
            ("other.md", None),
            ("", None),
        ] {
            assert_eq!(safe(given).as_deref(), safe_as, "{given}");
        }
    }

    #[test]
    fn addresses_are_found_in_running_text() {
        assert_eq!(
            find("see https://a.example/b_c, (http://d.example)."),
            [
                (false, "see "),
                (true, "https://a.example/b_c"),
                (false, ", ("),
                (true, "http://d.example"),
                (false, ").")
            ]
        );
        assert_eq!(find("xhttp://a.example https:// none"), [(false, "xhttp://a.example https:// none")]);
        assert_eq!(find(""), []);
    }
}
