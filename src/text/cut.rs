//! Cuts a text short for people. Knows nothing of secrets; the redactor knows this mark and looks in front of it.

use std::borrow::Cow;

/// Stands where a text was cut.
pub const CUT: char = '…';

/// At most so many characters, with a mark where there were more.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}{CUT}", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn what_fits_stays_whole() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("", 0), "");
        assert_eq!(cut("a", 0), "…");
    }
}
