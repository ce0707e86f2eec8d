//! A difference in one line, for whoever reads no further. Judges nothing.

use super::{Change, Weight, What};

/// Phrases that fit into one line of a page.
const PHRASES: usize = 4;

/// What matters most, such as `removes the confirmation agree before retag; adds one destroy step`. None where nothing is
/// different.
pub fn headline(changes: &[Change]) -> Option<String> {
    let top: Vec<&Change> = changes.iter().filter(|change| change.weight() != Weight::Wording).collect();
    if top.is_empty() {
        return match changes.len() {
            0 => None,
            1 => Some("changes one text that people read".into()),
            count => Some(format!("changes {count} texts that people read")),
        };
    }
    let mut phrases: Vec<(String, usize)> = Vec::new();
    // That a whole runbook came or went is said before what it holds.
    let whole = |change: &&Change| {
        [What::RunbookAdded, What::RunbookRemoved, What::RunbookRenamed].iter().any(|what| change.is(*what))
    };
    for change in top.iter().copied().filter(whole).chain(top.iter().copied().filter(|change| !whole(change))) {
        let phrase = counted(change, &top);
        match phrases.iter_mut().find(|(known, _)| *known == phrase) {
            Some((_, count)) => *count += 1,
            None => phrases.push((phrase, 1)),
        }
    }
    let more: usize = phrases.iter().skip(PHRASES).map(|(_, count)| count).sum();
    let mut line: Vec<String> = phrases.into_iter().take(PHRASES).map(|(phrase, _)| phrase).collect();
    if more > 0 {
        line.push(format!("and {more} more"));
    }
    Some(line.join("; "))
}

/// Steps that came or went are counted where there are several of a kind.
fn counted(change: &Change, all: &[&Change]) -> String {
    for (what, verb) in [(What::StepAdded, "adds"), (What::StepRemoved, "removes")] {
        let plain = |of: &Change| of.is(what) && !of.is(What::GuardRemoved) && !of.is(What::GuardAdded);
        if !plain(change) {
            continue;
        }
        let Some(effect) = ["read", "change", "destroy"]
            .into_iter()
            .find(|effect| change.says.contains(&format!("the {effect} step ")))
        else {
            continue;
        };
        let same = all.iter().filter(|of| plain(of) && of.says.contains(&format!("the {effect} step "))).count();
        return match same {
            1 => change.says.clone(),
            count => format!("{verb} {count} {effect} steps"),
        };
    }
    change.says.clone()
}
