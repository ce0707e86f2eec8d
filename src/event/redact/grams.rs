//! Tells in one quick pass where one of many texts may begin. Knows nothing of what the texts are.
//!
//! Of a text of [`HEAD`] bytes, wherever it stands, one of its four-byte groups lies at a multiple of [`STRIDE`]. So only those
//! are looked up, in a table of all groups of all texts: the cost does not grow with their number, as that of an automaton does.

/// Texts must have at least so many bytes; no more are looked at here.
pub(super) const HEAD: usize = 8;
const GROUP: usize = 4;
const STRIDE: usize = HEAD - GROUP + 1;

pub(super) struct Grams {
    /// By the hash of a group: at which of its text's first offsets it may stand, a bit for each.
    groups: Vec<u8>,
    groups_shift: u32,
    /// By the hash of a whole head, whether there is such a one.
    heads: Vec<bool>,
    heads_shift: u32,
}

impl Grams {
    /// None if there are none of that length.
    pub fn of<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Option<Grams> {
        let heads: Vec<&[u8; HEAD]> = texts.filter_map(<[u8]>::first_chunk).collect();
        if heads.is_empty() {
            return None;
        }
        // Sparse enough that most groups of other text are not in it, and small enough for the processor's cache.
        let bits = (heads.len() * STRIDE * 32).ilog2().clamp(12, 18);
        let mut grams = Grams {
            groups: vec![0; 1 << bits],
            groups_shift: 32 - bits,
            heads: vec![false; 1 << bits],
            heads_shift: 64 - bits,
        };
        for head in heads {
            for (offset, group) in head.windows(GROUP).enumerate() {
                if let Some(slot) = group.first_chunk().map(|group| grams.group(group)) {
                    grams.groups[slot] |= 1 << offset;
                }
            }
            let slot = grams.head(head);
            grams.heads[slot] = true;
        }
        Some(grams)
    }

    /// Calls `each` with every place where a text may begin, in no order.
    pub fn candidates(&self, bytes: &[u8], mut each: impl FnMut(usize)) {
        let mut at = 0;
        while let Some(group) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let mut offsets = self.groups[self.group(group)];
            while offsets != 0 {
                let offset = offsets.trailing_zeros() as usize;
                offsets &= offsets - 1;
                let Some(start) = at.checked_sub(offset) else { break };
                if bytes[start..].first_chunk().is_some_and(|head| self.heads[self.head(head)]) {
                    each(start);
                }
            }
            at += STRIDE;
        }
    }

    fn group(&self, group: &[u8; GROUP]) -> usize {
        (u32::from_le_bytes(*group).wrapping_mul(0x9e37_79b1) >> self.groups_shift) as usize
    }

    fn head(&self, head: &[u8; HEAD]) -> usize {
        (u64::from_le_bytes(*head).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.heads_shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_text_at_every_place() {
        let texts: [&[u8]; 4] = [b"hunter2hunter2", b"aaaaaaaa", b"hunter2hunter3", b"short"];
        let grams = Grams::of(texts.into_iter()).unwrap();
        for text in &texts[..3] {
            for before in 0..20 {
                let buffer = [&vec![b'.'; before][..], text].concat();
                let mut found = Vec::new();
                grams.candidates(&buffer, |start| found.push(start));
                assert!(found.contains(&before), "{before} {buffer:?}");
            }
        }
        assert!(Grams::of([&b"short"[..]].into_iter()).is_none());
    }

    #[test]
    fn most_other_places_are_none() {
        let grams = Grams::of([&b"hunter2hunter2"[..]].into_iter()).unwrap();
        let text = "an ordinary text of some length, hunted for what hunters hunt for, ".repeat(20);
        let mut found = 0;
        grams.candidates(text.as_bytes(), |_| found += 1);
        assert_eq!(found, 0);
    }
}
