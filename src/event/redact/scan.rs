//! Finds every spelling in a buffer. Knows nothing of what is put in its place.

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use super::{
    forms::Form,
    views::{Bare, Run, View, runs},
};

/// Only so much of each form is searched for at once; the rest is compared where that was found.
const PREFIX: usize = 6;
/// Up to so many bytes of prefixes a table with a step for every byte is small enough to be quick.
const SMALL: usize = 20_000;

/// All forms of all secrets, ready to be searched for.
#[derive(Default)]
pub(super) struct Forms {
    forms: Vec<Form>,
    /// Forms by their first byte, for all 256.
    by_first: Vec<Vec<u32>>,
    starts: Option<AhoCorasick>,
    /// The same for the forms that line breaks are passed over in.
    wrapped_starts: Option<AhoCorasick>,
    shortest: usize,
    shortest_wrapped: usize,
    longest_wrapped: usize,
}

/// What was found in a buffer.
#[derive(Default)]
pub(super) struct Found {
    /// Start and end of every spelling, in no order.
    pub spans: Vec<(usize, usize)>,
    /// What stands from here on may be part of a spelling that goes on behind the buffer.
    pub hold: usize,
    /// Whether the last byte before `hold` that a terminal shows is a backslash; none if there is no such byte.
    pub slash: Option<bool>,
}

impl Forms {
    pub fn new(forms: Vec<Form>) -> Forms {
        let mut by_first = vec![Vec::new(); 256];
        for (index, form) in forms.iter().enumerate() {
            by_first[form.bytes[0] as usize].push(index as u32);
        }
        let wrapped = || forms.iter().filter(|form| form.wraps);
        Forms {
            starts: starts(forms.iter()),
            wrapped_starts: starts(wrapped()),
            shortest: forms.iter().map(|form| form.bytes.len()).min().unwrap_or(0),
            shortest_wrapped: wrapped().map(|form| form.bytes.len()).min().unwrap_or(0),
            longest_wrapped: wrapped().map(|form| form.bytes.len()).max().unwrap_or(0),
            by_first,
            forms,
        }
    }

    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The length of the shortest form.
    pub fn shortest(&self) -> usize {
        self.shortest
    }

    /// Every form in a buffer. `slash` says that a backslash stood before it; with `last` nothing comes after it.
    pub fn find(&self, buffer: &[u8], slash: bool, last: bool) -> Found {
        let mut found = Found { hold: buffer.len(), ..Found::default() };
        let plain = View { bytes: buffer, places: None };
        self.find_in(&plain, None, last, buffer.len(), &mut found);
        let bare = Bare::of(buffer, last);
        let shown = match &bare {
            None => plain,
            Some(bare) => {
                self.find_in(&bare.view(), None, last, buffer.len(), &mut found);
                found.hold = found.hold.min(bare.open.unwrap_or(buffer.len()));
                bare.view()
            }
        };
        if self.longest_wrapped > 0 {
            runs(&shown, slash, last, self.shortest_wrapped, self.longest_wrapped, |run| {
                self.find_in(&run.view(), Some(run), last || !run.open, buffer.len(), &mut found);
            });
        }
        if let Some(bare) = &bare {
            // The next look must not begin inside an escape sequence, or it would take its rest for text.
            let after = bare.escapes.partition_point(|(start, _)| *start < found.hold);
            if let Some((start, end)) = after.checked_sub(1).and_then(|index| bare.escapes.get(index))
                && found.hold < *end
            {
                found.hold = *start;
            }
            let before = bare.places.partition_point(|place| (*place as usize) < found.hold);
            found.slash = before.checked_sub(1).map(|index| bare.bytes[index] == b'\\');
        } else {
            found.slash = found.hold.checked_sub(1).map(|index| buffer[index] == b'\\');
        }
        found
    }

    /// Every form in one reading of the buffer; in a run over several lines only forms that are broken.
    fn find_in(&self, view: &View<'_>, run: Option<&Run>, last: bool, end: usize, found: &mut Found) {
        let bytes = view.bytes;
        let starts = if run.is_some() { &self.wrapped_starts } else { &self.starts };
        let Some(starts) = starts else { return };
        let mut from = 0;
        while let Some(start) = starts.find(Input::new(bytes).span(from..bytes.len())).map(|hit| hit.start()) {
            self.compare(view, run, start, last, end, found);
            from = start + 1;
        }
        if !last {
            // The end may hold less than a whole prefix.
            for start in bytes.len().saturating_sub(PREFIX - 1)..bytes.len() {
                self.compare(view, run, start, last, end, found);
            }
        }
    }

    /// Compares every form with what stands at one place of a view.
    fn compare(&self, view: &View<'_>, run: Option<&Run>, start: usize, last: bool, end: usize, found: &mut Found) {
        let rest = &view.bytes[start..];
        let place = view.at(start);
        for &index in &self.by_first[rest[0] as usize] {
            let form = &self.forms[index as usize];
            let length = form.bytes.len();
            if let Some(run) = run
                && (!form.wraps || !broken(run, start, length))
            {
                continue;
            }
            if rest.len() < length {
                if !last && form.bytes.starts_with(rest) && end - place <= widest(length) {
                    found.hold = found.hold.min(place);
                }
                continue;
            }
            if !rest.starts_with(&form.bytes) {
                continue;
            }
            let mut stop = view.at(start + length - 1) + 1;
            if stop - place > widest(length) {
                continue;
            }
            match (form.tail, rest.get(length)) {
                (Some(tail), Some(next)) if tail.fits(*next) => stop = view.at(start + length) + 1,
                (Some(_), None) if !last && end - place <= widest(length) => found.hold = found.hold.min(place),
                _ => {}
            }
            found.spans.push((place, stop));
        }
    }
}

/// Whether a form at this place of a run has a line break in it. A break after its first character does not count: nearly
/// every line ends in a character that some form begins with, and each would have to be held back until the next one.
fn broken(run: &Run, start: usize, length: usize) -> bool {
    let next = run.breaks.partition_point(|at| *at <= start);
    run.breaks.get(next).is_some_and(|at| *at >= start + 2 && *at < start + length)
}

/// How far a form may be stretched by escape sequences and line breaks: what bounds the bytes that are held back.
fn widest(length: usize) -> usize {
    length * 32 + 8192
}

fn starts<'a>(forms: impl Iterator<Item = &'a Form>) -> Option<AhoCorasick> {
    let mut prefixes: Vec<&[u8]> = forms.map(|form| &form.bytes[..form.bytes.len().min(PREFIX)]).collect();
    prefixes.sort_unstable();
    // A longer prefix adds nothing to a shorter one that it begins with.
    prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter));
    if prefixes.is_empty() {
        return None;
    }
    let kind = (prefixes.len() * PREFIX <= SMALL).then_some(AhoCorasickKind::DFA);
    // Building fails only for more patterns than numbers of 31 bits can count.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).kind(kind).build(prefixes).ok()
}
