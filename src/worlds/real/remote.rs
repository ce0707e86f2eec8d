//! A script for a bash that another program leads to: what is written to that program, and what it tells of how it went.
//! Knows nothing of where the script runs.
//!
//! All of it is one command of bash, whose very last byte is needed: a piece of it does nothing. The script is read whole
//! before it begins, and has nothing to read from. Before and after it the outer shell says a mark on standard error, with
//! words that nobody else knows; the marks are taken out of the output again.

use crate::port::{RemoteEnd, RemoteScript};

/// Begins and ends a mark; no program writes it by chance.
const SIGN: u8 = 0x1e;
/// What a mark may hold besides the words: `B`, or `E` and an exit status.
const MOST: usize = 8;
/// The longest `NAME=value` that Linux hands to a program, with the closing NUL.
const ONE_VARIABLE: usize = 128 * 1024;
/// All that programs are handed together; Linux takes some two MiB with the arguments.
const ALL_VARIABLES: usize = 1024 * 1024;
/// Variables that bash keeps for itself: it ignores them in an environment, and refuses or obeys an assignment.
const KEPT: [&str; 7] = ["BASHOPTS", "BASH_VERSINFO", "EUID", "IFS", "PPID", "SHELLOPTS", "UID"];
/// How a program such as ssh says that it lost, or never had, the other side.
const NO_CONNECTION: i32 = 255;

/// What is written to the program that leads there.
pub(super) fn written(remote: &RemoteScript, token: &str) -> Vec<u8> {
    let mut text = String::from("{ { set +e;");
    let mut room = ALL_VARIABLES;
    for (name, value) in &remote.variables {
        if KEPT.contains(&name.as_str()) {
            continue;
        }
        let Some(value) = value else {
            // The account over there may have one of that name.
            text.push_str(&format!(" unset -v {name};"));
            continue;
        };
        let size = name.len() + value.len() + 2;
        // With one variable too many no program at all could be started: it is the script's alone.
        if size <= ONE_VARIABLE && size <= room {
            room -= size;
            text.push_str(" export ");
        } else {
            text.push_str(&format!(" unset -v {name}; "));
        }
        // On one line, so that the lines of the script keep their numbers.
        text.push_str(&format!("{name}={};", quoted(value).replace('\n', "'$'\\n''")));
    }
    text.push_str(&format!(" printf '\\036{token}B\\036' >&2; ( set -e; eval -- {}", quoted(&remote.script)));
    text.push_str(&format!(
        " ); status=$?; printf '\\036{token}E%d\\036' \"$status\" >&2; exit \"$status\"; }} </dev/null; }}"
    ));
    text.into_bytes()
}

/// A text that bash reads as itself, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Finds the marks in one stream of output and takes them out.
pub(super) struct Marks {
    words: Vec<u8>,
    /// The beginning of what may be a mark.
    held: Vec<u8>,
    pub begun: bool,
    pub ended: Option<i32>,
}

impl Marks {
    pub fn new(token: &str) -> Marks {
        let words = [&[SIGN], token.as_bytes()].concat();
        Marks { words, held: Vec::new(), begun: false, ended: None }
    }

    /// What of these bytes is output, as far as that can be told.
    pub fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() && !bytes.contains(&SIGN) {
            return out.extend_from_slice(bytes);
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let mut rest = &text[..];
        while let Some(at) = rest.iter().position(|byte| *byte == SIGN) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            match self.mark(rest) {
                Mark::Whole(length) => rest = &rest[length..],
                Mark::Perhaps => {
                    self.held = rest.to_vec();
                    return;
                }
                Mark::No => {
                    out.push(SIGN);
                    rest = &rest[1..];
                }
            }
        }
        out.extend_from_slice(rest);
    }

    /// No more comes: what was held is output.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    fn mark(&mut self, text: &[u8]) -> Mark {
        if text.len() <= self.words.len() {
            return if self.words.starts_with(text) { Mark::Perhaps } else { Mark::No };
        }
        let Some(said) = text.strip_prefix(&self.words[..]) else { return Mark::No };
        let Some(end) = said.iter().take(MOST).position(|byte| *byte == SIGN) else {
            return if said.len() < MOST { Mark::Perhaps } else { Mark::No };
        };
        match std::str::from_utf8(&said[..end]).ok().map(|said| said.split_at_checked(1)) {
            Some(Some(("B", ""))) => self.begun = true,
            Some(Some(("E", code))) => match code.parse() {
                Ok(code) => self.ended = Some(code),
                Err(_) => return Mark::No,
            },
            _ => return Mark::No,
        }
        Mark::Whole(self.words.len() + end + 1)
    }
}

enum Mark {
    Whole(usize),
    Perhaps,
    No,
}

/// How it went: `begun` and `ended` are what the marks say, `untaken` that a part of what was written is still here, and
/// `exit` how the program that leads there ended. With it goes the exit status of the step, if there is one.
pub(super) fn verdict(begun: bool, ended: Option<i32>, untaken: bool, exit: Option<i32>) -> (RemoteEnd, Option<i32>) {
    match (ended, exit) {
        (Some(code), _) => (RemoteEnd::Ended, Some(code)),
        (None, exit) if begun => (RemoteEnd::Lost(exit), None),
        (None, exit) if untaken => (RemoteEnd::NotBegun(exit), None),
        (None, exit @ (Some(NO_CONNECTION) | None)) => (RemoteEnd::Lost(exit), None),
        (None, Some(code)) => (RemoteEnd::Silent, Some(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn through(pieces: &[&[u8]]) -> (Vec<u8>, bool, Option<i32>) {
        let mut marks = Marks::new(TOKEN);
        let mut out = Vec::new();
        for piece in pieces {
            marks.pass(piece, &mut out);
        }
        marks.finish(&mut out);
        (out, marks.begun, marks.ended)
    }

    #[test]
    fn marks_are_found_and_taken_out_wherever_the_stream_is_cut() {
        let text = format!("a\x1e{TOKEN}B\x1eb\x1eno\n\x1e{TOKEN}X\x1e\x1e{TOKEN}\x1e{TOKEN}E255\x1e");
        let left = format!("ab\x1eno\n\x1e{TOKEN}X\x1e\x1e{TOKEN}").into_bytes();
        let text = text.as_bytes();
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(through(&pieces), (left.clone(), true, Some(255)), "{first} {second}");
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(through(&bytes), (left, true, Some(255)));
        // What only begins like one is output.
        let begun = format!("x\x1e{TOKEN}E12");
        assert_eq!(through(&[begun.as_bytes()]), (begun.into_bytes(), false, None));
    }

    #[test]
    fn what_can_be_told_apart_is() {
        use RemoteEnd::{Ended, Lost, NotBegun, Silent};
        for (begun, ended, untaken, exit, expected) in [
            (true, Some(0), false, Some(0), (Ended, Some(0))),
            // Its own 255, and an end that the program outlived.
            (true, Some(255), false, Some(255), (Ended, Some(255))),
            (true, Some(3), false, None, (Ended, Some(3))),
            (true, None, false, Some(255), (Lost(Some(255)), None)),
            (true, None, false, Some(0), (Lost(Some(0)), None)),
            (false, None, true, Some(255), (NotBegun(Some(255)), None)),
            (false, None, true, Some(0), (NotBegun(Some(0)), None)),
            (false, None, true, None, (NotBegun(None), None)),
            (false, None, false, Some(255), (Lost(Some(255)), None)),
            (false, None, false, None, (Lost(None), None)),
            (false, None, false, Some(127), (Silent, Some(127))),
        ] {
            assert_eq!(verdict(begun, ended, untaken, exit), expected);
        }
    }

    #[test]
    fn a_piece_of_it_does_nothing() {
        let remote = RemoteScript {
            variables: vec![
                ("a".into(), Some("it's\n $x".into())),
                ("UID".into(), Some("7".into())),
                ("b".into(), None),
            ],
            script: "echo \"$a\" # '\n".into(),
        };
        let whole = String::from_utf8(written(&remote, TOKEN)).unwrap();
        assert_eq!(
            whole,
            "{ { set +e; export a='it'\\''s'$'\\n'' $x'; unset -v b; printf '\\0360123456789abcdefB\\036' >&2; ( set -e; \
             eval -- 'echo \"$a\" # '\\''\n' ); status=$?; printf '\\0360123456789abcdefE%d\\036' \"$status\" >&2; exit \
             \"$status\"; } </dev/null; }"
        );
    }
}
