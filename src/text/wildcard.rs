//! Literal text with `*` for any text, anchored at both ends. Knows nothing of what is compared.

/// A pattern in which `*` stands for any text, also none, and everything else for itself: brackets, question marks and
/// backslashes too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wildcard {
    written: String,
    any_case: bool,
}

impl Wildcard {
    pub fn new(written: impl Into<String>) -> Wildcard {
        Wildcard { written: written.into(), any_case: false }
    }

    /// Letters of ASCII are equal in both cases, as in the filters of mail programs.
    pub fn any_case(written: impl Into<String>) -> Wildcard {
        Wildcard { written: written.into(), any_case: true }
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether all of `text` is as the pattern says.
    ///
    /// Takes time in proportion to both lengths multiplied at worst, never more.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.written.as_bytes(), text.as_bytes());
        let same = if self.any_case { u8::eq_ignore_ascii_case } else { <u8 as PartialEq>::eq };
        let (mut p, mut t) = (0, 0);
        // Where the last star stands, and how much of the text it has taken.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p, t));
                p += 1;
            } else if pattern.get(p).is_some_and(|byte| same(byte, &text[t])) {
                p += 1;
                t += 1;
            } else if let Some((at, taken)) = star {
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }

    /// How much it says: bytes that stand for themselves.
    pub fn literal_len(&self) -> usize {
        self.written.bytes().filter(|byte| *byte != b'*').count()
    }

    /// It has no star, and so matches one text alone.
    pub fn is_exact(&self) -> bool {
        !self.written.contains('*')
    }
}

#[cfg(test)]
mod tests {
    use super::Wildcard;

    #[test]
    fn it_is_anchored_literal_and_ends() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("Suspected machine issue*", "Talos Suspected machine issue", false),
            ("[vcs2vcs] process delays*", "[vcs2vcs] process delays on x", true),
            ("[vcs2vcs] process delays*", "v process delays", false),
            ("release+aws@*", "release+aws@mozilla.com", true),
            ("release+aws@*", "release+aws-sanity-check@mozilla.com", false),
            ("RELEASE+aws@*", "release+AWS@mozilla.com", true),
            ("release+ec2.*@mozilla.com", "release+ec2.host1@mozilla.com", true),
            ("*issue*", "an issue here", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("a?c", "abc", false),
            ("*ä", "schönä", true),
        ] {
            assert_eq!(Wildcard::any_case(pattern).matches(text), expected, "{pattern} and {text}");
        }
        for (pattern, text, expected) in [
            ("git push *", "git push origin v1", true),
            ("git push *", "git push", false),
            ("git push*", "Git push", false),
            ("a*b*c", "acb", false),
            ("**", "x\ny", true),
            ("ab*ba", "aba", false),
            ("*ü", "grün ü", true),
        ] {
            assert_eq!(Wildcard::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
        // A pattern made to be slow is not.
        assert!(!Wildcard::new("a*".repeat(50) + "b").matches(&"a".repeat(100_000)));
    }
}
