//! Guards of a runbook taken out one after the other: a scenario has to notice each. Makes the edits, and runs nothing.

use crate::{
    syntax::{Entry, Node, NodeKind, ScalarStyle, Text, yaml},
    text::{Source, Span, TextMap},
};

/// One guard that is taken out.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Such as `expect`.
    pub key: &'static str,
    /// Where the guard stands in the runbook.
    pub span: Span,
    edit: Edit,
}

#[derive(Clone, Debug)]
enum Edit {
    /// The entry of a mapping whose value begins here.
    Key { value: Span },
    /// One entry of several.
    Item { list: Span, at: usize },
    /// The question becomes a pause of no length.
    Gate { value: Span },
}

const GUARDS: [&str; 4] = ["expect", "when", "fail_when", "alarm_when"];

/// Every guard of a runbook.
pub fn mutants(source: &Source) -> Vec<Mutant> {
    let mut found = Vec::new();
    if let Some(root) = yaml::read(source).node {
        look(&root, &mut found);
    }
    // What an anchor stands for is met at each of its aliases, and is one guard.
    let mut seen = std::collections::HashSet::new();
    found.retain(|mutant| seen.insert((mutant.key, mutant.span)));
    found
}

fn look(node: &Node, found: &mut Vec<Mutant>) {
    match &node.kind {
        NodeKind::List(items) => items.iter().for_each(|item| look(item, found)),
        NodeKind::Map(entries) => entries.iter().for_each(|entry| look_at(entry, found)),
        NodeKind::Null | NodeKind::Plain(..) | NodeKind::Text(_) => {}
    }
}

fn look_at(entry: &Entry, found: &mut Vec<Mutant>) {
    let value = &entry.value;
    match entry.key.text.as_str() {
        // What the author names is no field of ours.
        "params" | "secrets" | "profiles" | "env" | "capture" | "json" | "form" | "headers" | "query" | "outputs"
        | "set" | "links" => return,
        // A scenario has no mail.
        "triggers" => return,
        "confirm" => {
            found.push(Mutant { key: "confirm", span: entry.key.span, edit: Edit::Gate { value: value.span } })
        }
        word => {
            let guard = GUARDS.into_iter().find(|guard| *guard == word);
            match (guard, &value.kind) {
                (Some(key), NodeKind::List(items)) if items.len() > 1 => {
                    for (at, item) in items.iter().enumerate() {
                        found.push(Mutant { key, span: item.span, edit: Edit::Item { list: value.span, at } });
                    }
                }
                (Some(key), _) => {
                    found.push(Mutant { key, span: value.span, edit: Edit::Key { value: value.span } });
                }
                (None, _) => {}
            }
        }
    }
    look(value, found);
}

impl Mutant {
    /// Takes the guard out of the tree of its runbook.
    pub fn apply(&self, node: &mut Node) {
        match &mut node.kind {
            NodeKind::List(items) => {
                match self.edit {
                    Edit::Item { list, at } if list == node.span && at < items.len() => drop(items.remove(at)),
                    _ => {}
                }
                items.iter_mut().for_each(|item| self.apply(item));
            }
            NodeKind::Map(entries) => {
                match self.edit {
                    Edit::Key { value } => {
                        entries.retain(|entry| entry.value.span != value || entry.key.text != self.key);
                    }
                    Edit::Gate { value } => {
                        let here = |entry: &&mut Entry| entry.value.span == value && entry.key.text == "confirm";
                        if let Some(entry) = entries.iter_mut().find(here) {
                            entry.key.text = "wait".to_owned();
                            entry.value.kind = NodeKind::Text(word("1ms", value));
                            entries.retain(|entry| entry.key.text != "effect");
                        }
                    }
                    Edit::Item { .. } => {}
                }
                entries.iter_mut().for_each(|entry| self.apply(&mut entry.value));
            }
            NodeKind::Null | NodeKind::Plain(..) | NodeKind::Text(_) => {}
        }
    }
}

fn word(text: &str, span: Span) -> Text {
    Text { text: text.to_owned(), span, map: TextMap::direct(span), style: ScalarStyle::Plain, cut_by_comment: None }
}
