//! Filters that look for regular expressions. Knows nothing of trees or scopes.

use super::{
    ast::Caught,
    eval::Cell,
    filters::{made, ok, room},
    functions::Input,
    strict::{MAX_LIST, MAX_TEXT},
};
use crate::{text::cut, value::Value};

fn group<'t>(captures: &regex::Captures<'t>) -> Option<&'t str> {
    // A first group that took no part in the match is none, not the whole.
    let found = if captures.len() > 1 { captures.get(1) } else { captures.get(0) };
    found.map(|found| found.as_str())
}

/// Pays for one match of several: each search may look at all that is left before it knows.
fn looked(input: &mut Input<'_>, text: &str, from: usize) -> Caught<()> {
    let at = input.at.clone();
    let steps = (text.len() - from) / 512;
    input
        .meter
        .spend(steps, &at)
        .map_err(|fault| fault.hint("cut a large text first, and look into each line: `|lines|map(…)`"))
}

pub(super) fn regex_find(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let regex = input.pattern(0)?;
    let found = regex.captures(&text).as_ref().and_then(group).map(str::to_owned);
    match found {
        Some(found) => made(input, found),
        None => ok(Value::None),
    }
}

pub(super) fn regex_findall(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let regex = input.pattern(0)?;
    room(input, text.len())?;
    let at = input.at.clone();
    let mut found = Vec::new();
    let mut end = 0;
    for captures in regex.captures_iter(&text).take(MAX_LIST + 1) {
        looked(input, &text, end)?;
        end = captures.get(0).map_or(end, |whole| whole.end());
        found.push(group(&captures).map_or(Value::None, Value::text));
    }
    ok(input.meter.list(found, &at)?)
}

/// What a match is replaced with.
enum Part<'t> {
    Plain(&'t str),
    Group(usize),
}

/// What is wrong with a replacement that is written out, and what to do about it.
pub(super) fn check_replacement(new: &str, regex: &regex::Regex) -> Result<(), (String, Option<String>)> {
    // `"\1"` is a control character before anybody looks for a group.
    if let Some(number) = new.chars().map(u32::from).find(|c| (1..8).contains(c)) {
        return Err((format!("`\\{number}` is a control character here"), Some(format!("a group is `${{{number}}}`"))));
    }
    replacement(new, regex).map(|_| ())
}

/// `$1`, `${1}`, `$name`, `${name}` and `$$`. A group that does not exist is a mistake, not an empty text.
fn replacement<'t>(new: &'t str, regex: &regex::Regex) -> Result<Vec<Part<'t>>, (String, Option<String>)> {
    let group = |name: &str| match name.parse::<usize>() {
        Ok(number) => (number < regex.captures_len()).then_some(number),
        Err(_) => regex.capture_names().position(|known| known == Some(name)),
    };
    let mut parts = Vec::new();
    let mut rest = new;
    while let Some(at) = rest.find(['$', '\\']) {
        let (plain, sign) = rest.split_at(at);
        parts.push(Part::Plain(plain));
        let behind = &sign[1..];
        let (name, after) = if sign.starts_with('\\') {
            let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                let number = &behind[..digits];
                return Err((format!("`\\{number}` means nothing here"), Some(format!("a group is `${{{number}}}`"))));
            }
            parts.push(Part::Plain("\\"));
            rest = behind;
            continue;
        } else if let Some(after) = behind.strip_prefix('$') {
            parts.push(Part::Plain("$"));
            rest = after;
            continue;
        } else if let Some(braced) = behind.strip_prefix('{') {
            match braced.split_once('}') {
                Some(found) => found,
                None => return Err(("`${` has no `}`".to_owned(), Some("`$$` is a dollar".to_owned()))),
            }
        } else {
            let length = behind.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            behind.split_at(length)
        };
        match group(name) {
            Some(number) => parts.push(Part::Group(number)),
            None if name.is_empty() && !behind.starts_with('{') => parts.push(Part::Plain("$")),
            None => {
                let digits = name.bytes().take_while(u8::is_ascii_digit).count();
                let hint = match group(&name[..digits]) {
                    Some(number) => {
                        format!("the group and the text behind it: `${{{number}}}{}`", cut(&name[digits..], 20))
                    }
                    None => "`$$` is a dollar".to_owned(),
                };
                return Err((format!("the regular expression has no group `{}`", cut(name, 40)), Some(hint)));
            }
        }
        rest = after;
    }
    parts.push(Part::Plain(rest));
    Ok(parts)
}

pub(super) fn regex_replace(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let regex = input.pattern(0)?;
    let new = input.needed_text(1)?;
    let at = input.at.clone();
    // One that is written out was checked with the file. Of a value, which may be a secret, nothing is repeated: it is
    // masked as a whole and not in pieces.
    let parts = replacement(&new, &regex).map_err(|_| {
        input
            .fault("bad-value", &input.place(1), "this names a group that the regular expression does not have")
            .hint("in a replacement `$$` is a dollar; `|replace(…)` takes its texts as they are")
    })?;
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for captures in regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        looked(input, &text, end)?;
        input.meter.spend(parts.len(), &at)?;
        replaced.push_str(&text[end..whole.start()]);
        for part in &parts {
            replaced.push_str(match part {
                Part::Plain(plain) => plain,
                Part::Group(number) => captures.get(*number).map_or("", |found| found.as_str()),
            });
            // One match can become far more than may be made.
            if replaced.len() > MAX_TEXT {
                return Err(input.fault("too-large", &at, "the result is larger than 16 MiB"));
            }
        }
        end = whole.end();
    }
    replaced.push_str(&text[end..]);
    made(input, replaced)
}
