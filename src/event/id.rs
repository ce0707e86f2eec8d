//! Names of runs and steps. Knows nothing of where they are kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A run: `20261120-201304-k7f3qa`, sortable by the time it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Made from the wall clock (UTC) and some random bits, which keep two runs of one second apart.
    pub fn make(now: jiff::Timestamp, random: u64) -> RunId {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let stamp = now.strftime("%Y%m%d-%H%M%S");
        let tail: String = (0..6).map(|i| ALPHABET[((random >> (i * 5)) & 31) as usize] as char).collect();
        RunId(format!("{stamp}-{tail}").into())
    }

    /// A name read from a folder or a command line; only what [`RunId::make`] could have made, or a shorter prefix
    /// of such a name, never a path.
    pub fn parse(text: &str) -> Option<RunId> {
        let fits = !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits.then(|| RunId(text.into()))
    }

    /// Whether it has the form of what [`RunId::make`] makes. Whatever else stands in a folder of runs is no run.
    pub fn is_whole(&self) -> bool {
        let parts: Vec<&str> = self.0.split('-').collect();
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        matches!(parts.as_slice(), [day, time, tail] if digits(day, 8) && digits(time, 6) && tail.len() == 6)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full name of a step: the path of ids from the top, such as `admin/proceed`, in a loop `scale[web]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(Arc<str>);

const UNDO_MARK: char = '@';
const UNDO: &str = "@undo";
const HELPER: &str = "@helper";

impl StepId {
    pub fn new(path: impl AsRef<str>) -> StepId {
        StepId(Arc::from(path.as_ref()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The step that takes the effect of this one back.
    pub fn undo(&self) -> StepId {
        StepId::new(format!("{self}{UNDO}"))
    }

    /// The step whose effect this one takes back, by itself or together with others.
    pub fn undoes(&self) -> Option<StepId> {
        // The text of an item may hold anything but the end of its bracket.
        let mut at = 0;
        loop {
            let rest = self.0.get(at..)?;
            let found = rest.find([UNDO_MARK, '['])?;
            if rest[found..].starts_with(UNDO) {
                return Some(StepId::new(&self.0[..at + found]));
            }
            at += found
                + if rest[found..].starts_with(UNDO_MARK) { UNDO_MARK.len_utf8() } else { rest[found..].find(']')? };
        }
    }

    /// The path of what lives beside the steps of a group.
    pub fn helper(&self) -> StepId {
        StepId::new(format!("{self}{HELPER}"))
    }

    /// The group beside whose steps this one lives, if it is there for that.
    pub fn helps(&self) -> Option<StepId> {
        self.0.strip_suffix(HELPER).map(StepId::new)
    }

    /// Whether it stands inside of another one, or is an item of it.
    pub fn is_inside(&self, of: &StepId) -> bool {
        self.0.strip_prefix(of.as_str()).is_some_and(|rest| rest.starts_with(['/', '[']))
    }

    /// The stem of this step's files: `/` becomes `.`, whatever is not plain becomes `%XX`, and a long name is cut
    /// and told apart by a digest. Different steps have different stems: a dot cannot occur in an id otherwise.
    pub fn file_stem(&self) -> String {
        let mut stem = String::new();
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => stem.push(byte as char),
                b'/' => stem.push('.'),
                other => stem.push_str(&format!("%{other:02X}")),
            }
        }
        if stem.len() > 160 {
            use sha2::{Digest, Sha256};
            let digest = Sha256::digest(self.0.as_bytes());
            stem.truncate(120);
            stem.push_str(&format!(
                "%{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}",
                digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]
            ));
        }
        stem
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_back_is_told_from_items_that_look_like_it() {
        let of = |path: &str| StepId::new(path).undoes().map(|step| step.to_string());
        assert_eq!(of("a@undo").as_deref(), Some("a"));
        assert_eq!(of("g/a[x]@undo/b/c").as_deref(), Some("g/a[x]"));
        assert_eq!(of("a[b@undo]@undo").as_deref(), Some("a[b@undo]"));
        assert_eq!(of("a@undo/g@helper").as_deref(), Some("a"));
        for path in ["a", "a/b", "a[b@undo]", "a[b@undo]/c[d@e]", "g@helper", "g[a@undo]@helper"] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
