//! From offsets in a scalar's value to the place they were written at. Knows nothing of YAML's rules.

use std::ops::Range;

use super::Span;

/// Piecewise: from each entry's offset in the value on, characters stand at the entry's offset in the source.
///
/// A plain one-line scalar has one piece; a block scalar has one for each line, a quoted one has one after each escape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextMap {
    pieces: Vec<(usize, usize)>,
    /// Where the value ends in the source.
    end: usize,
}

impl TextMap {
    /// A value that stands in the source as it is.
    pub fn direct(span: Span) -> TextMap {
        TextMap { pieces: vec![(0, span.start)], end: span.end }
    }

    /// `pieces` are (offset in the value, offset in the source), ascending in both.
    pub fn new(pieces: Vec<(usize, usize)>, end: usize) -> TextMap {
        TextMap { pieces, end }
    }

    /// Where an offset of the value stands in the source.
    pub fn offset(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|(value, _)| *value <= at);
        match index.checked_sub(1).and_then(|i| self.pieces.get(i)) {
            Some((value, source)) => (source + (at - value)).min(self.end),
            None => self.end,
        }
    }

    /// Where a range of the value stands. Its end is found from its last character, so that a range up to the end of
    /// a line does not reach into the next one.
    pub fn span(&self, range: Range<usize>) -> Span {
        let start = self.offset(range.start);
        // The line feed that ends a value need not be written, at the very end of a file.
        let end = if range.end > range.start { (self.offset(range.end - 1) + 1).min(self.end) } else { start };
        Span::new(start, end.max(start))
    }
}
