//! The filters that put each kind of mail into a folder of its own, as Sieve (RFC 5228). Knows no mail.

use std::rc::Rc;

use super::ranked;
use crate::{
    model::{EmailPattern, Runbook},
    text::one_line,
};

/// A script for the mail server: one rule for each trigger, the one that says most first, into folders below `folder`.
///
/// Conditions over mails before this one cannot be said in Sieve; such triggers share the folder of their pattern.
pub fn sieve(runbooks: &[Rc<Runbook>], folder: &str) -> String {
    let mut script = String::from(
        "# Made by `runsheet triage --export sieve`: each kind of mail goes into a folder of its own.\n\
         require [\"fileinto\", \"mailbox\"];\n",
    );
    let mut seen: Vec<String> = Vec::new();
    for (runbook, trigger) in ranked(runbooks) {
        let test = test(&trigger.email);
        // Of rules alike in all that Sieve can see, the first takes every mail.
        if seen.contains(&test) {
            continue;
        }
        let means = trigger.means.as_deref().and_then(|means| means.lines().next()).unwrap_or(&runbook.title.value);
        script.push_str(&format!("\n# {}: {}\n", one_line(&runbook.name), one_line(means)));
        if trigger.when.is_some() {
            script.push_str("# It also depends on other mails, which a filter cannot look at.\n");
        }
        script.push_str(&format!(
            "if {test} {{\n    fileinto :create {};\n    stop;\n}}\n",
            quoted(&format!("{folder}/{}", runbook.name))
        ));
        seen.push(test);
    }
    script
}

fn test(pattern: &EmailPattern) -> String {
    let tests: Vec<String> = pattern
        .fields()
        .map(|(field, pattern)| {
            let text = matched(pattern.as_str());
            match field {
                "to" => format!("address :all :matches [\"to\", \"cc\"] {text}"),
                "from" => format!("address :all :matches \"from\" {text}"),
                _ => format!("header :matches \"subject\" {text}"),
            }
        })
        .collect();
    match tests.as_slice() {
        [only] => only.clone(),
        _ => format!("allof ({})", tests.join(",\n         ")),
    }
}

/// A pattern of `:matches`, where `?` and a backslash mean something too (RFC 5228, 2.7.1).
fn matched(pattern: &str) -> String {
    quoted(&pattern.replace('\\', "\\\\").replace('?', "\\?"))
}

/// A string (RFC 5228, 2.4.2).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
