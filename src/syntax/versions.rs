//! Versions and their order: dotted numbers, a leading `v`, a pre-release as in SemVer. Knows nothing of trees or scopes.

use std::cmp::Ordering;

use super::{
    ast::{At, Caught, Fault},
    eval::Cell,
    functions::Input,
    strict::{MAX_TEXT, a_kind},
};
use crate::{text::cut, value::Value};

/// What is wrong, and what to do about it.
pub(super) type Wrong = (String, String);

const FORM: &str = "write one such as 1.2.3, v2 or 1.0-rc.1";

/// A version that was read. Equal ones need not be written alike: `v1.2` is `1.2.0+build`.
#[derive(Debug)]
pub(super) struct Version<'t> {
    /// Without leading zeros; numbers may have any length.
    numbers: Vec<&'t str>,
    pre: Vec<&'t str>,
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `1ubuntu2` of a Debian package, `4-g1a2b3c4` of `git describe`: these come *after* the version before them, and SemVer
/// would put them before it.
fn is_revision(pre: &str) -> bool {
    let first = pre.split('.').next().unwrap_or(pre);
    let count = first.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &first[count..];
    let word = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let commit =
        rest.strip_prefix("-g").is_some_and(|hash| hash.len() >= 4 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    (1..=6).contains(&count) && (commit || word >= 3)
}

pub(super) fn read(text: &str) -> Result<Version<'_>, Wrong> {
    let text = text.trim();
    let wrong = |why: String| (format!("`{}` is no version: {why}", cut(text, 40)), FORM.to_owned());
    if text.is_empty() {
        return Err(("an empty text is no version".to_owned(), FORM.to_owned()));
    }
    let rest = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
    if build.is_some_and(|build| !build.split('.').all(identifier)) {
        return Err(wrong("behind `+` stand letters and digits between dots".into()));
    }
    let (rest, pre) = rest.split_once('-').map_or((rest, None), |(rest, pre)| (rest, Some(pre)));
    if pre.is_some_and(|pre| !pre.split('.').all(identifier)) {
        return Err(wrong("behind `-` stand letters and digits between dots".into()));
    }
    if pre.is_some_and(is_revision) {
        let why = "what follows its `-` is no pre-release but a package's revision or commits after a tag";
        return Err((wrong(why.into()).0, "compare what stands before it: `|regex_find(\"^[^-]+\")`".to_owned()));
    }
    for (index, part) in rest.split('.').enumerate() {
        if digits(part) {
            continue;
        }
        // No part is repeated here: where the text is a secret, it is masked as a whole and not in pieces.
        let why = match part {
            "" => format!("part {} of it is missing", index + 1),
            _ => format!("part {} of it is no number", index + 1),
        };
        let hint = match part.starts_with(|c: char| c.is_ascii_digit()) && pre.is_none() {
            true => "a pre-release follows a hyphen, as in 1.2-rc1".to_owned(),
            false => FORM.to_owned(),
        };
        return Err((wrong(why).0, hint));
    }
    let numbers = rest.split('.').map(|part| part.trim_start_matches('0')).collect();
    Ok(Version { numbers, pre: pre.map_or_else(Vec::new, |pre| pre.split('.').collect()) })
}

/// Numbers of any length, without leading zeros.
fn by_number(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl Version<'_> {
    /// Number by number, missing ones are 0; a pre-release comes before its release; identifiers of pre-releases as in
    /// SemVer 2.0.0, section 11 (digits by number and before words, words by ASCII, fewer before more). Build metadata
    /// has no order.
    pub fn order(&self, other: &Version<'_>) -> Ordering {
        let length = self.numbers.len().max(other.numbers.len());
        for index in 0..length {
            let (a, b) = (self.numbers.get(index), other.numbers.get(index));
            let order = by_number(a.unwrap_or(&""), b.unwrap_or(&""));
            if order.is_ne() {
                return order;
            }
        }
        match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        for (a, b) in self.pre.iter().zip(&other.pre) {
            let order = match (digits(a), digits(b)) {
                (true, true) => by_number(a.trim_start_matches('0'), b.trim_start_matches('0')),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            };
            if order.is_ne() {
                return order;
            }
        }
        self.pre.len().cmp(&other.pre.len())
    }
}

#[derive(Clone, Copy)]
enum Bound {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Longer signs first, so that `>=` is not read as `>`.
const BOUNDS: [(&str, Bound); 7] = [
    (">=", Bound::Ge),
    ("<=", Bound::Le),
    ("==", Bound::Eq),
    ("!=", Bound::Ne),
    (">", Bound::Gt),
    ("<", Bound::Lt),
    ("=", Bound::Eq),
];

/// Reads `>=1.2,<2`: every bound must hold.
fn bounds(spec: &str) -> Result<Vec<(Bound, Version<'_>)>, Wrong> {
    let mut found = Vec::new();
    for part in spec.split(',') {
        let part = part.trim();
        let Some((sign, bound)) = BOUNDS.iter().find(|(sign, _)| part.starts_with(sign)) else {
            // The whole is repeated, never a piece of it, which would not be masked if it were a secret.
            let shown = cut(spec, 40);
            let bare = part.trim_start_matches(['^', '~', ' ']);
            return Err(match read(bare) {
                _ if part.is_empty() => {
                    (format!("`{shown}` lacks a bound"), "write one such as >=1.2, or several: >=1.2,<2".to_owned())
                }
                Ok(_) if bare.len() < part.len() => {
                    (format!("`^` and `~` have no meaning in `{shown}`"), "write both limits: >=1.2,<2".to_owned())
                }
                _ => (format!("`{shown}` does not say how to compare"), "write >=1.2 or ==1.2".to_owned()),
            });
        };
        let limit = read(&part[sign.len()..])
            .map_err(|(_, hint)| (format!("a bound of `{}` is no version", cut(spec, 40)), hint))?;
        found.push((*bound, limit));
    }
    Ok(found)
}

/// Whether this can stand in `is version(…)`.
pub(super) fn check(spec: &str) -> Result<(), Wrong> {
    bounds(spec).map(|_| ())
}

fn fault((why, hint): Wrong, at: &At) -> Box<Fault> {
    Fault::new("bad-value", at.clone(), why).hint(hint)
}

/// A number is refused: `1.10` without quotes is 1.1.
fn text_of(input: &mut Input<'_>, value: Value, at: &At) -> Caught<std::sync::Arc<str>> {
    let text = match value {
        Value::Text(text) => text,
        other => {
            let hint = matches!(other, Value::Int(_) | Value::Float(_))
                .then(|| "put it in quotes: as a number 1.10 is 1.1".to_owned());
            return Err(Fault::new(
                "type-mismatch",
                at.clone(),
                format!("a version is a string, this is {}", a_kind(&other)),
            )
            .label(a_kind(&other))
            .hint_opt(hint));
        }
    };
    input.meter.spend(text.len() / 16, at)?;
    Ok(text)
}

fn arg(input: &mut Input<'_>, index: usize) -> Caught<(std::sync::Arc<str>, At)> {
    let (value, at) = (input.needed(index)?, input.place(index));
    Ok((text_of(input, value, &at)?, at))
}

pub(super) fn version_compare(input: &mut Input<'_>) -> Caught<Cell> {
    let (a, a_at) = arg(input, 0)?;
    let (b, b_at) = arg(input, 1)?;
    let a = read(&a).map_err(|wrong| fault(wrong, &a_at))?;
    let b = read(&b).map_err(|wrong| fault(wrong, &b_at))?;
    Ok(Cell::Value(Value::Int(match a.order(&b) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    })))
}

pub(super) fn version(input: &mut Input<'_>) -> Caught<Cell> {
    let (value, at) = (input.subject()?, input.subject_at.clone());
    let text = text_of(input, value, &at)?;
    let (spec, spec_at) = arg(input, 0)?;
    let version = read(&text).map_err(|wrong| fault(wrong, &at))?;
    let bounds = bounds(&spec).map_err(|wrong| fault(wrong, &spec_at))?;
    let holds = bounds.iter().all(|(bound, limit)| {
        let order = version.order(limit);
        match bound {
            Bound::Eq => order.is_eq(),
            Bound::Ne => order.is_ne(),
            Bound::Lt => order.is_lt(),
            Bound::Le => order.is_le(),
            Bound::Gt => order.is_gt(),
            Bound::Ge => order.is_ge(),
        }
    });
    Ok(Cell::Value(Value::Bool(holds)))
}

pub(super) fn version_sort(input: &mut Input<'_>) -> Caught<Cell> {
    let items = input.list()?;
    let reverse = input.arg_bool(0)?;
    let at = input.subject_at.clone();
    let mut texts = Vec::with_capacity(items.len());
    let mut bytes = 0_usize;
    for item in items.iter() {
        let text = text_of(input, item.clone(), &at)?;
        bytes = bytes.saturating_add(text.len());
        texts.push(text);
    }
    // A list may hold one large text many times.
    if bytes > MAX_TEXT {
        return Err(input.fault("too-large", &at, "these versions are larger than 16 MiB together"));
    }
    input.meter.spend(items.len().saturating_mul(items.len().max(2).ilog2() as usize), &at)?;
    let mut read_ones = Vec::with_capacity(texts.len());
    for text in &texts {
        read_ones.push((read(text).map_err(|wrong| fault(wrong, &at))?, text));
    }
    read_ones.sort_by(|(a, _), (b, _)| if reverse { b.order(a) } else { a.order(b) });
    let sorted = read_ones.into_iter().map(|(_, text)| Value::Text(text.clone())).collect();
    Ok(Cell::Value(input.meter.list(sorted, &input.at)?))
}
