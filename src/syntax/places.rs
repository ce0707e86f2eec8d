//! Filters over paths, addresses and what is put into a regular expression. Looks at texts alone, never at a disk.

use percent_encoding::percent_decode_str;

use super::{
    ast::Caught,
    eval::Cell,
    filters::{made, room},
    functions::Input,
};
use crate::text::cut;

pub(super) fn basename(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    match text.trim_end_matches('/').rsplit('/').next() {
        Some(last) if !last.is_empty() => made(input, last),
        _ => Err(input.bad(format!("`{}` has no last part", cut(&text, 40)))),
    }
}

pub(super) fn dirname(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    if text.is_empty() {
        return Err(input.bad("an empty text is no path"));
    }
    let folder = match text.trim_end_matches('/').rsplit_once('/') {
        Some((folder, _)) => match folder.trim_end_matches('/') {
            "" => "/",
            folder => folder,
        },
        None if text.starts_with('/') => "/",
        None => ".",
    };
    let folder = folder.to_owned();
    made(input, folder)
}

pub(super) fn urldecode(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        if !(hex(bytes.get(at + 1)) && hex(bytes.get(at + 2))) {
            let message = format!("`{}` holds a `%` without two hex digits behind it", cut(&text, 40));
            return Err(input.bad(message).hint("a percent sign itself is written `%25` there"));
        }
    }
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => made(input, &decoded),
        Err(_) => Err(input.bad("the decoded bytes are not UTF-8 text")),
    }
}

pub(super) fn regex_escape(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    room(input, text.len() * 4)?;
    // A backspace as it is would be taken for a slip.
    made(input, regex::escape(&text).replace('\u{8}', r"\x08"))
}
