//! Texts in which `*` stands for any text. Knows nothing of what is matched.

/// A pattern that a whole text must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    written: String,
}

impl Glob {
    pub fn new(written: impl Into<String>) -> Glob {
        Glob { written: written.into() }
    }

    /// As its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it stands for one text only.
    pub fn is_literal(&self) -> bool {
        !self.written.contains('*')
    }

    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.written.split_once('*') else { return self.written == text };
        let Some(mut left) = text.strip_prefix(first) else { return false };
        let (middle, last) = match rest.rsplit_once('*') {
            Some((middle, last)) => (middle, last),
            None => ("", rest),
        };
        // The leftmost place of each part leaves the most for those after it.
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            let Some(at) = left.find(part) else { return false };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_star_is_any_text_and_everything_else_is_itself() {
        for (glob, text, matches) in [
            ("git push *", "git push origin v1", true),
            ("git push *", "git push", false),
            ("git push*", "git push", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("**", "x\ny", true),
            ("", "", true),
            ("", "x", false),
            ("a.c", "abc", false),
            ("ab*ba", "aba", false),
            ("*ü", "grün ü", true),
        ] {
            assert_eq!(Glob::new(glob).matches(text), matches, "{glob} on {text}");
        }
    }
}
