//! Characters in a file that its reader does not see ("Trojan Source"). Looks at the text as it is written, so that one
//! that is spelt as an escape is none; knows keys only as far as to tell prose from what is run.

use crate::{
    syntax::{Node, NodeKind, Problems, Text},
    text::{Diagnostic, Span, hidden},
};

pub(super) const CODE: &str = "hidden-character";

/// Keys whose values people read and nobody runs.
const PROSE: [&str; 14] = [
    "title", "summary", "text", "help", "prompt", "owner", "tags", "links", "message", "confirm", "manual", "question",
    "means", "label",
];

/// Reports the first hidden character of each value and each comment line: an error in what is run or named, and
/// wherever it turns the text around it; a warning in prose and elsewhere in comments.
pub(super) fn check(root: &Node, problems: &Problems) {
    let source = problems.source().clone();
    let text = source.text();
    // Nearly every file is done here.
    if !text.bytes().any(|byte| byte >= 0xc2) {
        return;
    }
    let found: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| hidden(*c).is_some()).collect();
    if found.is_empty() {
        return;
    }
    let mut scalars = Vec::new();
    collect(root, false, &mut scalars);
    // What an alias uses as prose and as a script counts as a script.
    scalars.sort_unstable();
    scalars.dedup_by_key(|(span, _)| *span);
    let mut told = None;
    for (at, c) in found {
        let before = scalars.partition_point(|(span, _)| span.start <= at);
        let within = scalars[..before].last().filter(|(span, _)| at < span.end);
        let place = match within {
            Some((span, _)) => *span,
            None => Span::at(text[..at].rfind('\n').map_or(0, |line| line + 1)),
        };
        if told == Some(place) || (within.is_some_and(|(_, prose)| *prose) && joins(text, at, c)) {
            continue;
        }
        told = Some(place);
        problems.push(problem(at, c, within.map(|(_, prose)| *prose)));
    }
}

/// A joiner between letters or pictures of scripts that need it is how these are written.
fn joins(text: &str, at: usize, c: char) -> bool {
    let foreign = |c: Option<char>| c.is_some_and(|c| !c.is_ascii());
    matches!(c, '\u{200c}' | '\u{200d}')
        && foreign(text[..at].chars().next_back())
        && foreign(text[at + c.len_utf8()..].chars().next())
}

/// `prose` of the value it stands in; none in a comment or between values.
fn problem(at: usize, c: char, prose: Option<bool>) -> Diagnostic {
    let (name, turns) = hidden(c).map_or(("", false), |hidden| (hidden.name, hidden.turns));
    let span = Span::new(at, at + c.len_utf8());
    let code = c as u32;
    let message = format!("a character stands here that nobody sees: U+{code:04X}, {name}");
    let serious = match prose {
        Some(prose) => !prose,
        None => turns,
    };
    let label = if turns { "it changes the order in which this is shown" } else { "it is not shown" };
    let escape = if code > 0xffff { format!("\\U{code:08X}") } else { format!("\\u{code:04X}") };
    let hint = match prose {
        Some(false) => format!("remove it; where it is meant, spell it: \"{escape}\", in a script $'{escape}'"),
        _ => "remove it".to_owned(),
    };
    let make = if serious { Diagnostic::error } else { Diagnostic::warning };
    make(CODE, span, message.as_str()).label(label).hint(hint)
}

fn collect(node: &Node, prose: bool, into: &mut Vec<(Span, bool)>) {
    match &node.kind {
        NodeKind::Null => {}
        NodeKind::Text(text) | NodeKind::Plain(_, text) => into.push((text.span, prose)),
        NodeKind::List(items) => items.iter().for_each(|item| collect(item, prose, into)),
        NodeKind::Map(entries) => {
            for entry in entries {
                into.push((entry.key.span, prose));
                collect(&entry.value, is_prose(&entry.key, &entry.value, prose), into);
            }
        }
    }
}

/// A mapping below `confirm` says itself which of its keys are prose.
fn is_prose(key: &Text, value: &Node, prose: bool) -> bool {
    let word = PROSE.contains(&key.text.as_str());
    match value.kind {
        NodeKind::Map(_) => key.text == "links",
        _ => word || prose,
    }
}
