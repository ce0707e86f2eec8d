//! Which steps came, went, changed their names or their places, and which of them wait for a confirm no longer. Does not
//! look at what a step says.

use std::collections::BTreeSet;

use super::{
    Change, What,
    facts::shown,
    pairs::Pairs,
    units::{Tree, Unit},
};
use crate::{
    event::Effect,
    model::Inside,
    plan::edits::{Edit, edits},
};

pub fn changes(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    removed(old, pairs, changes);
    freed(old, new, pairs, changes);
    added(new, pairs, changes);
    renamed(old, new, pairs, changes);
    for (one, other) in &pairs.lists {
        moved(old, new, pairs, (*one, *other), changes);
    }
    elsewhere(old, new, pairs, changes);
}

fn removed(old: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    for (at, unit) in old.units.iter().enumerate() {
        if pairs.new_of.contains_key(&at) {
            continue;
        }
        let path = old.path(at);
        let with_container = old.lists[unit.list].within.is_some_and(|within| !pairs.new_of.contains_key(&within));
        if old.is_gate(at) {
            let before = held_back(old, at, pairs).map(|next| format!(" before {next}")).unwrap_or_default();
            let says = format!("removes the confirmation {path}{before}");
            let change = Change::new(What::GuardRemoved, Some(path), "", says).and(What::StepRemoved);
            changes.push(change.lines(text_of(unit), None));
        } else if is_check(unit) {
            let says = format!("removes the check {path}");
            let change = Change::new(What::GuardRemoved, Some(path), "", says).and(What::StepRemoved);
            changes.push(change.lines(text_of(unit), None));
        } else if !with_container {
            let says = format!("removes the {} {path}", noun(unit));
            changes.push(Change::new(What::StepRemoved, Some(path), "", says).lines(text_of(unit), None));
        }
    }
}

fn added(new: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    for (at, unit) in new.units.iter().enumerate() {
        if pairs.old_of.contains_key(&at) {
            continue;
        }
        let path = new.path(at);
        let says = format!("adds the {} {path}", noun(unit));
        let destroys = new.acts(at) && unit.step.body.effect == Effect::Destroy;
        let change = if destroys {
            Change::new(What::DestroyAdded, Some(path), "", says).and(What::StepAdded)
        } else if new.is_gate(at) {
            Change::new(What::GuardAdded, Some(path), "", format!("adds the confirmation {path}")).and(What::StepAdded)
        } else if is_check(unit) {
            Change::new(What::GuardAdded, Some(path), "", format!("adds the check {path}")).and(What::StepAdded)
        } else {
            Change::new(What::StepAdded, Some(path), "", says)
        };
        changes.push(change.lines(None, text_of(unit)));
    }
}

fn renamed(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    for (one, other) in sorted(pairs) {
        let (before, after) = (old.units[one].step, new.units[other].step);
        if before.id.value != after.id.value {
            let says = format!("renames the step {} to {}", before.path, after.path);
            let change = Change::new(What::StepRenamed, Some(after.path.as_str()), "id", says);
            let change = change.lines(Some(before.id.value.clone()), Some(after.id.value.clone()));
            changes.push(Change { complete: true, ..change });
        }
    }
}

/// Steps that waited for a confirm which is still there, and wait for it no longer.
fn freed(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    for gate in (0..old.units.len()).filter(|at| old.is_gate(*at)) {
        let Some(now) = pairs.new_of.get(&gate) else { continue };
        if !new.is_gate(*now) {
            let says = format!("{} is a confirmation no longer", new.path(*now));
            changes.push(Change::new(What::GuardRemoved, Some(new.path(*now)), "", says));
            continue;
        }
        let free: Vec<usize> = sorted(pairs)
            .into_iter()
            .filter(|(one, other)| {
                (old.acts(*one) || new.acts(*other))
                    && old.gates(*one).contains(&gate)
                    && !new.gates(*other).contains(now)
            })
            .map(|(_, other)| other)
            .collect();
        let Some(first) = free.first() else { continue };
        let names: Vec<&str> = free.iter().map(|at| new.path(*at)).collect();
        let (verb, path) = (if names.len() == 1 { "waits" } else { "wait" }, new.path(*now));
        let says = format!("{} no longer {verb} for the confirmation {path}", names.join(", "));
        changes.push(Change::new(What::GuardRemoved, Some(new.path(*first)), "needs", says));
    }
}

/// Steps that changed their places within their list, as far as that makes a difference.
fn moved(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, lists: (usize, usize), changes: &mut Vec<Change>) {
    let (one, other) = (&old.lists[lists.0], &new.lists[lists.1]);
    let stays = |at: &usize| pairs.old_of.get(at).is_some_and(|old_at| old.units[*old_at].list == lists.0);
    let now: Vec<usize> = other.members.iter().copied().filter(stays).collect();
    let then: Vec<usize> =
        one.members.iter().filter_map(|at| pairs.new_of.get(at).copied()).filter(|at| now.contains(at)).collect();
    let (before_old, before_new) = (old.before(lists.0), new.before(lists.1));
    // For each step, those that were over before it or are, but not both.
    let differs = |at: usize| -> BTreeSet<usize> {
        let (Some(was), is) = (pairs.old_of.get(&at), &new.units[at]) else { return BTreeSet::new() };
        let was = &old.units[*was];
        now.iter()
            .copied()
            .filter(|on| {
                let Some(old_on) = pairs.old_of.get(on) else { return false };
                before_old[was.place][old.units[*old_on].place] != before_new[is.place][new.units[*on].place]
            })
            .collect()
    };
    let differences: Vec<(usize, BTreeSet<usize>)> = now.iter().map(|at| (*at, differs(*at))).collect();
    if differences.iter().all(|(_, of)| of.is_empty()) {
        return written(old, new, pairs, &now, changes);
    }
    let row = edits(&then, &now);
    let displaced: Vec<usize> = row.iter().filter(|(edit, _)| *edit == Edit::Added).map(|(_, at)| **at).collect();
    let mut told = Vec::new();
    for at in &displaced {
        if !differences.iter().any(|(of, with)| (of == at && !with.is_empty()) || with.contains(at)) {
            continue;
        }
        told.push(*at);
        let place = now.iter().position(|of| of == at).unwrap_or_default();
        let neighbour = |of: &&usize| !displaced.contains(of);
        let where_to = match (now[place + 1..].iter().find(neighbour), now[..place].iter().rev().find(neighbour)) {
            (Some(next), _) => format!(" before {}", new.path(*next)),
            (None, Some(last)) => format!(" behind {}", new.path(*last)),
            (None, None) => String::new(),
        };
        let path = new.path(*at);
        changes.push(Change::new(What::StepMoved, Some(path), "needs", format!("moves {path}{where_to}")));
    }
    for (at, with) in &differences {
        if told.contains(at) || with.iter().all(|on| told.contains(on)) {
            continue;
        }
        needs(old, new, pairs, *at, changes);
    }
}

/// Needs whose conditions are others, where the steps are not.
fn written(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, now: &[usize], changes: &mut Vec<Change>) {
    for at in now {
        let Some(was) = pairs.old_of.get(at) else { continue };
        let conditional =
            |tree: &Tree<'_>, at: usize| tree.units[at].step.needs.iter().flatten().any(|need| need.when.is_some());
        if conditional(old, *was) || conditional(new, *at) {
            needs(old, new, pairs, *at, changes);
        }
    }
}

/// What a step says of what it waits for, if that is something else.
fn needs(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, at: usize, changes: &mut Vec<Change>) {
    let Some(was) = pairs.old_of.get(&at).copied() else { return };
    let (before, after) = (old.units[was].step, new.units[at].step);
    if before.needs.is_none() && after.needs.is_none() {
        return;
    }
    let said = |tree: &Tree<'_>, at: usize, name: &dyn Fn(usize) -> String| -> Vec<String> {
        let step = tree.units[at].step;
        let mut all: Vec<String> = tree
            .direct(at)
            .into_iter()
            .map(|on| {
                let of = tree.units[on].step;
                let need = step.needs.iter().flatten().find(|need| need.step.value == of.id.value);
                match need.and_then(|need| need.when.as_ref()) {
                    Some(when) => format!("{} if {}", name(on), when.on_one_line()),
                    None => name(on),
                }
            })
            .collect();
        all.sort_unstable();
        all
    };
    let old_name = |on: usize| {
        let now = pairs.new_of.get(&on).map(|now| new.units[*now].step.id.value.clone());
        now.unwrap_or_else(|| old.units[on].step.id.value.clone())
    };
    let new_name = |on: usize| new.units[on].step.id.value.clone();
    let (before, after) = (said(old, was, &old_name), said(new, at, &new_name));
    if before != after {
        let text = |names: &[String]| Some(if names.is_empty() { "nothing".into() } else { names.join(", ") });
        let path = new.path(at);
        let change = Change::new(What::StepMoved, Some(path), "needs", format!("{path} waits for:"));
        changes.push(change.values(text(&before), text(&after)));
    }
}

/// Steps that stand in another container, or among the last ones.
fn elsewhere(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    for (one, other) in sorted(pairs) {
        let (was, is) = (&old.units[one], &new.units[other]);
        if pairs.lists.contains(&(was.list, is.list)) {
            continue;
        }
        let place = |tree: &Tree<'_>, list: usize| {
            let list = &tree.lists[list];
            match list.within {
                None => format!("`{}`", list.name),
                Some(within) if list.name.is_empty() => tree.path(within).to_owned(),
                Some(within) => format!("{}/{}", tree.path(within), list.name),
            }
        };
        let path = new.path(other);
        let says = format!("moves {path} from {} to {}", place(old, was.list), place(new, is.list));
        changes.push(Change::new(What::StepMoved, Some(path), "", says));
    }
}

/// In the order of the new version.
pub fn sorted(pairs: &Pairs) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = pairs.new_of.iter().map(|(one, other)| (*one, *other)).collect();
    all.sort_unstable_by_key(|(_, other)| *other);
    all
}

/// The first step that a gate held back and that is still there.
fn held_back(old: &Tree<'_>, gate: usize, pairs: &Pairs) -> Option<String> {
    let unit = &old.units[gate];
    let later = &old.lists[unit.list].members[unit.place + 1..];
    let still = |at: &&usize| pairs.new_of.contains_key(at);
    let acts = |at: &&usize| still(at) && old.units[**at].step.body.effect != Effect::Read;
    let first = later.iter().find(acts).or_else(|| later.iter().find(still))?;
    Some(old.path(*first).to_owned())
}

/// A step that does nothing but look whether all is well.
fn is_check(unit: &Unit<'_>) -> bool {
    let body = &unit.step.body;
    let judges = !body.expect.entries.is_empty()
        || unit
            .facts
            .keys()
            .any(|path| path.ends_with("until") || path.ends_with("fail_when") || path.ends_with("alarm_when"));
    body.effect == Effect::Read && unit.step.is_leaf() && judges
}

/// Such as `destroy step`.
fn noun(unit: &Unit<'_>) -> String {
    match unit.step.body.action.inside() {
        Some(Inside::Group(_)) => "group".into(),
        Some(Inside::Choose(_)) => "choice".into(),
        Some(Inside::Call(call)) => format!("{} call of {} as", unit.step.body.effect.name(), call.runbook.value),
        None => format!("{} step", unit.step.body.effect.name()),
    }
}

/// What a step does, as text.
pub fn text_of(unit: &Unit<'_>) -> Option<String> {
    if let Some((path, value)) = unit.facts.first().filter(|_| unit.facts.len() == 1)
        && matches!(path.as_str(), "script" | "message")
    {
        return Some(shown(value));
    }
    let lines: Vec<String> = unit
        .facts
        .iter()
        .map(|(path, value)| {
            let text = shown(value);
            if text.contains('\n') {
                let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
                format!("{path}:\n{}", lines.join("\n"))
            } else {
                format!("{path}: {text}")
            }
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
