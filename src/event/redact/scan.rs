//! Finds every spelling in a buffer. Knows nothing of what is put in its place.

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::{
    forms::Form,
    grams::{Grams, HEAD},
    views::{Bare, Pairs, Run, View, runs},
};

/// All forms of all secrets, ready to be searched for.
#[derive(Default)]
pub(super) struct Forms {
    forms: Vec<Form>,
    /// Forms by their first byte, for all 256.
    by_first: Vec<Vec<u32>>,
    /// Finds where a form may begin.
    grams: Option<Grams>,
    /// Finds the forms that are too short for that.
    short: Option<AhoCorasick>,
    shortest: usize,
    longest_wrapped: usize,
    /// Characters that stand side by side in those.
    pairs: Option<Pairs>,
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
            grams: Grams::of(forms.iter().map(|form| &form.bytes[..])),
            short: short(&forms),
            shortest: forms.iter().map(|form| form.bytes.len()).min().unwrap_or(0),
            longest_wrapped: wrapped().map(|form| form.bytes.len()).max().unwrap_or(0),
            pairs: wrapped().next().is_some().then(|| Pairs::of(wrapped())),
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
        let plain = View::whole(buffer);
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
        if let Some(pairs) = &self.pairs {
            runs(&shown, slash, last, pairs, self.longest_wrapped, |run| {
                self.find_in(&run.view(&shown), Some(run), last || !run.open, buffer.len(), &mut found);
            });
        }
        if let Some(bare) = &bare {
            // A spelling that begins or ends inside an escape sequence takes the whole sequence along: what is left of
            // one would swallow the mask, or show what it held, and could bring together what it kept apart.
            for span in &mut found.spans {
                if let Some((start, _)) = bare.escape_around(span.0) {
                    span.0 = start;
                }
                span.0 = bare.unswallowed(buffer, span.0);
                if let Some((_, end)) = bare.escape_around(span.1.saturating_sub(1)) {
                    span.1 = span.1.max(end);
                }
            }
            // The next look must not begin inside an escape sequence, or it would take its rest for text.
            let after = bare.escapes.partition_point(|(start, _)| *start < found.hold);
            if let Some((start, end)) = after.checked_sub(1).and_then(|index| bare.escapes.get(index))
                && found.hold < *end
            {
                found.hold = *start;
            }
            if !last {
                found.hold = bare.unswallowed(buffer, found.hold);
            }
            found.slash = bare.before(found.hold).map(|byte| byte == b'\\');
        } else {
            found.slash = found.hold.checked_sub(1).map(|index| buffer[index] == b'\\');
        }
        found
    }

    /// Every form in one reading of the buffer; in a run over several lines only forms that are broken.
    fn find_in(&self, view: &View<'_>, run: Option<&Run>, last: bool, end: usize, found: &mut Found) {
        let bytes = view.bytes;
        if let Some(grams) = &self.grams {
            grams.candidates(bytes, |start| self.compare(view, run, start, last, end, found));
        }
        if let Some(short) = &self.short {
            let mut from = 0;
            while let Some(hit) = short.find(Input::new(bytes).span(from..bytes.len())) {
                self.compare(view, run, hit.start(), last, end, found);
                from = hit.start() + 1;
            }
        }
        if !last {
            // The end may hold less than the head of a form.
            for start in bytes.len().saturating_sub(HEAD - 1)..bytes.len() {
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

fn short(forms: &[Form]) -> Option<AhoCorasick> {
    let short: Vec<&[u8]> = forms.iter().map(|form| &form.bytes[..]).filter(|bytes| bytes.len() < HEAD).collect();
    if short.is_empty() {
        return None;
    }
    // Building fails only for more patterns than numbers of 31 bits can count.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(short).ok()
}
