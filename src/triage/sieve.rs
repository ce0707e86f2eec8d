//! The filters that put each kind of mail into a folder of its own, as Sieve (RFC 5228). Knows no mail.

use std::{cmp::Reverse, collections::BTreeSet, rc::Rc};

use super::{all, mail::DELIVERED, weight};
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
    let mut triggers = all(runbooks);
    // A condition says nothing here: what it is about must not stand before a pattern that says more.
    triggers.sort_by_key(|(_, trigger)| (Reverse(weight(&trigger.email)), trigger.when.is_some()));
    let mut seen: Vec<String> = Vec::new();
    for (runbook, trigger) in &triggers {
        let test = test(&trigger.email);
        // Of rules alike in all that Sieve can see, the first takes every mail.
        if seen.contains(&test) {
            continue;
        }
        let alike = triggers.iter().filter(|(_, other)| other.when.is_some() && self::test(&other.email) == test);
        let alike: BTreeSet<_> = alike.map(|(runbook, _)| one_line(&runbook.name)).collect();
        let means = trigger.means.as_deref().and_then(|means| means.lines().next()).unwrap_or(&runbook.title.value);
        script.push_str(&format!("\n# {}: {}\n", one_line(&runbook.name), one_line(means)));
        for line in trigger.filter.iter().flat_map(|filter| filter.lines()) {
            script.push_str(&format!("# {}\n", one_line(line)));
        }
        if !alike.is_empty() {
            let names = alike.into_iter().collect::<Vec<_>>().join(", ");
            script
                .push_str(&format!("# What it means depends on other mails, which a filter cannot look at: {names}\n"));
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
                // Where the server delivered it, the address may stand in angle brackets, and the sender may have named
                // nobody at all.
                "to" => format!(
                    "anyof (address :all :matches [\"to\", \"cc\"] {text}, header :matches [{}] [{text}, {}])",
                    DELIVERED.map(|header| quoted(&header.to_lowercase())).join(", "),
                    matched(&format!("<{}>", pattern.as_str())),
                ),
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
