//! What is different between two plans, by what it means and by id. Knows nothing of runs, or of which plan is better.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::edits::{Edit, edits};
use crate::{
    syntax::{Node, NodeKind, yaml},
    text::Source,
};

/// One of two plans: as it is recorded, and the runbook it was made of.
pub struct Side<'a> {
    pub record: &'a Json,
    /// None where nothing but the record is there.
    pub source: Option<&'a Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Added,
    Removed,
    Changed,
}

/// One step that is not in both plans, or not the same in both.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDifference {
    pub id: String,
    pub how: How,
    /// What of it, in lines such as `effect: change → destroy`, or `- ` and `+ ` before lines of a text.
    pub lines: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// In the order of the new plan; what was removed comes last.
    pub steps: Vec<StepDifference>,
    /// What is not about a step: parameters, secrets, requirements, texts.
    pub around: Vec<String>,
}

impl Difference {
    /// Nothing but comments and layout, at most.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.around.is_empty()
    }

    /// As people read it. `note` says what the difference in a step means for a run that is under way.
    pub fn lines(&self, note: &dyn Fn(&StepDifference) -> Option<String>) -> Vec<String> {
        let mut lines = self.around.clone();
        for step in &self.steps {
            let how = match step.how {
                How::Added => "added",
                How::Removed => "removed",
                How::Changed => "changed",
            };
            let note = note(step).map(|note| format!(" — {note}")).unwrap_or_default();
            lines.push(format!("step {} is {how}{note}", step.id));
            lines.extend(step.lines.iter().map(|line| format!("    {line}")));
        }
        lines
    }
}

/// Compares what both plans have on record; a member that only one version of this tool records tells nothing.
pub fn difference(before: &Side<'_>, now: &Side<'_>) -> Difference {
    let (old, new) = (Written::of(before.source), Written::of(now.source));
    let (old_steps, new_steps) = (steps(before.record), steps(now.record));
    let mut steps = Vec::new();
    for (id, step) in &new_steps {
        let Some(earlier) = old_steps.get(id) else {
            let lines = added(step, new.steps.get(id));
            steps.push(StepDifference { id: id.clone(), how: How::Added, lines });
            continue;
        };
        let lines = changed(earlier, step, old.steps.get(id), new.steps.get(id));
        if !lines.is_empty() {
            steps.push(StepDifference { id: id.clone(), how: How::Changed, lines });
        }
    }
    let gone = old_steps.keys().filter(|id| !new_steps.contains_key(*id));
    steps.extend(gone.map(|id| StepDifference { id: id.clone(), how: How::Removed, lines: Vec::new() }));
    Difference { steps, around: around(before.record, now.record, &old, &new) }
}

/// The recorded steps by id.
fn steps(record: &Json) -> IndexMap<String, &Json> {
    let steps = record["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| Some((step["id"].as_str()?.to_owned(), step))).collect()
}

fn added(step: &Json, written: Option<&Keys>) -> Vec<String> {
    let mut lines = vec![format!("effect: {}", word(&step["effect"])), format!("needs: {}", word(&step["needs"]))];
    match written {
        Some(keys) => {
            let told = |key: &&String| !matches!(key.as_str(), "id" | "effect" | "needs");
            lines.extend(keys.keys().filter(told).flat_map(|key| keys[key].iter().map(|line| format!("+ {line}"))));
        }
        None => lines.extend(word(&step["detail"]).lines().map(|line| format!("+ {line}"))),
    }
    lines
}

fn changed(before: &Json, now: &Json, old: Option<&Keys>, new: Option<&Keys>) -> Vec<String> {
    let mut lines = Vec::new();
    let nothing = Keys::new();
    let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    let written: Vec<&String> = differing(old, new);
    let kinds = [&before["kind"], &now["kind"]].map(|kind| kind.as_str().unwrap_or_default().to_owned());
    let recorded = before.as_object().into_iter().flat_map(|members| members.keys().map(String::as_str));
    for name in recorded.filter(|name| now.get(name).is_some()) {
        if before[name] == now[name] || written.iter().any(|key| key.as_str() == name) {
            continue;
        }
        // A command that is written in another way is shown as it is written.
        let kind_changed = kinds.iter().any(|kind| written.contains(&kind));
        if kind_changed && matches!(name, "detail" | "kind") {
            continue;
        }
        lines.extend(told(name, &word(&before[name]), &word(&now[name])));
    }
    for key in written {
        let empty = Vec::new();
        let (old, new) = (old.get(key).unwrap_or(&empty), new.get(key).unwrap_or(&empty));
        match (old.as_slice(), new.as_slice()) {
            ([old], [new]) => lines.push(format!("{old} → {}", new.strip_prefix(&format!("{key}: ")).unwrap_or(new))),
            _ => lines.extend(line_difference(old, new)),
        }
    }
    lines
}

fn told(name: &str, before: &str, now: &str) -> Vec<String> {
    if before.contains('\n') || now.contains('\n') {
        let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let mut lines = vec![format!("{name}:")];
        lines.extend(line_difference(&split(before), &split(now)));
        return lines;
    }
    vec![format!("{name}: {before} → {now}")]
}

fn around(before: &Json, now: &Json, old: &Written, new: &Written) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, old, new) in [("parameter", &old.params, &new.params), ("secret", &old.secrets, &new.secrets)] {
        for name in differing(old, new) {
            let how = match (old.contains_key(name), new.contains_key(name)) {
                (false, _) => "added",
                (_, false) => "removed",
                _ => "changed",
            };
            lines.push(format!("{what} {name} is {how}"));
            let none = Vec::new();
            let written = line_difference(old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
            lines.extend(written.into_iter().map(|line| format!("    {line}")));
        }
    }
    for key in differing(&old.rest, &new.rest) {
        let none = Vec::new();
        let written = line_difference(old.rest.get(key).unwrap_or(&none), new.rest.get(key).unwrap_or(&none));
        lines.push(format!("{key} of the runbook is changed"));
        lines.extend(written.into_iter().map(|line| format!("    {line}")));
    }
    if old.params.is_empty() && new.params.is_empty() && before["params"] != now["params"] {
        lines.extend(told("params", &word(&before["params"]), &word(&now["params"])));
    }
    if before["params"] != now["params"] && differing(&old.params, &new.params).is_empty() && lines.is_empty() {
        lines.extend(told("params", &word(&before["params"]), &word(&now["params"])));
    }
    if before["lock"] != now["lock"] && !lines.iter().any(|line| line.starts_with("lock ")) {
        lines.extend(told("lock", &word(&before["lock"]), &word(&now["lock"])));
    }
    lines
}

/// A recorded value in words.
fn word(value: &Json) -> String {
    match value {
        Json::Null => "nothing".into(),
        Json::String(text) => text.trim_end().to_owned(),
        Json::Array(items) if items.is_empty() => "nothing".into(),
        Json::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Keys of a mapping with what is written under each, without comments, layout and styles.
type Keys = IndexMap<String, Vec<String>>;

/// What a runbook says, by what it says it about.
#[derive(Default)]
struct Written {
    steps: IndexMap<String, Keys>,
    params: Keys,
    secrets: Keys,
    rest: Keys,
}

impl Written {
    fn of(source: Option<&Source>) -> Written {
        let mut written = Written::default();
        let Some(Ok(root)) = source.map(yaml::parse) else { return written };
        let NodeKind::Map(entries) = &root.kind else { return written };
        for entry in entries {
            match (entry.key.text.as_str(), &entry.value.kind) {
                ("steps" | "finally", NodeKind::List(items)) => {
                    for keys in items.iter().map(keys) {
                        let id =
                            keys.get("id").and_then(|line| line.first()).and_then(|line| line.strip_prefix("id: "));
                        if let Some(id) = id.map(str::to_owned) {
                            written.steps.insert(id, keys);
                        }
                    }
                }
                ("params", NodeKind::Map(_)) => written.params = keys(&entry.value),
                ("secrets", NodeKind::Map(_)) => written.secrets = keys(&entry.value),
                (key, _) => drop(written.rest.insert(key.to_owned(), lines_of(key, &entry.value))),
            }
        }
        written
    }
}

fn keys(node: &Node) -> Keys {
    let NodeKind::Map(entries) = &node.kind else { return Keys::new() };
    entries.iter().map(|entry| (entry.key.text.clone(), lines_of(&entry.key.text, &entry.value))).collect()
}

/// A value under its key, one way of writing for every way it can be written.
fn lines_of(key: &str, node: &Node) -> Vec<String> {
    let indented = |lines: Vec<String>| lines.into_iter().map(|line| format!("  {line}"));
    let inline = |text: &str| !text.contains('\n');
    match &node.kind {
        NodeKind::Null => vec![format!("{key}:")],
        NodeKind::Plain(_, text) | NodeKind::Text(text) if inline(text.text.trim_end()) => {
            vec![format!("{key}: {}", text.text.trim_end())]
        }
        NodeKind::Plain(_, text) | NodeKind::Text(text) => {
            let mut lines = vec![format!("{key}: |")];
            lines.extend(text.text.trim_end().lines().map(|line| format!("  {line}")));
            lines
        }
        NodeKind::List(items) => {
            let mut lines = vec![format!("{key}:")];
            lines.extend(items.iter().flat_map(|item| indented(lines_of("-", item))));
            lines
        }
        NodeKind::Map(entries) => {
            let mut lines = vec![format!("{key}:")];
            lines.extend(entries.iter().flat_map(|entry| indented(lines_of(&entry.key.text, &entry.value))));
            lines
        }
    }
}

/// Keys that are not in both, or not the same in both.
fn differing<'k>(old: &'k Keys, new: &'k Keys) -> Vec<&'k String> {
    let mut keys: Vec<&String> = new.keys().filter(|key| old.get(*key) != new.get(*key)).collect();
    keys.extend(old.keys().filter(|key| !new.contains_key(*key)));
    keys
}

/// Lines that went, with `- `, and lines that came, with `+ `; of those that stayed, the one before a change and those
/// between changes.
fn line_difference(old: &[String], new: &[String]) -> Vec<String> {
    let all = edits(old, new);
    let changed = |(edit, _): &(Edit, &String)| *edit != Edit::Kept;
    let Some(first) = all.iter().position(changed) else {
        return old.last().map(|line| format!("  {line}")).into_iter().collect();
    };
    let last = all.iter().rposition(changed).unwrap_or(first);
    let shown = all[first.saturating_sub(1)..=last].iter();
    shown
        .map(|(edit, line)| match edit {
            Edit::Kept => format!("  {line}"),
            Edit::Removed => format!("- {line}"),
            Edit::Added => format!("+ {line}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn lines_are_told_apart_as_few_as_there_are() {
        let split = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (old, new, expected) in [
            ("a b c", "a b c d", vec!["  c", "+ d"]),
            ("a b c", "a x c", vec!["  a", "- b", "+ x"]),
            ("a b c d e", "b x d e", vec!["- a", "  b", "- c", "+ x"]),
            ("a", "b", vec!["- a", "+ b"]),
        ] {
            assert_eq!(line_difference(&split(old), &split(new)), expected, "{old} / {new}");
        }
        let many: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
        let other: Vec<String> = (5000..7000).map(|n| n.to_string()).collect();
        assert_eq!(line_difference(&many, &other).len(), 4000);
    }
}
