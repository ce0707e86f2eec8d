//! The graph of the steps as Mermaid text: real edges, effects as colours, gates as diamonds. Knows nothing of Markdown.

use std::fmt::Write;

use super::page::flat;
use crate::{
    event::Effect,
    model::{EdgeRule, Graph, Inside, Names, Runbook, Step},
};

/// Readers refuse to draw more.
const MOST_TEXT: usize = 45_000;
const MOST_EDGES: usize = 450;

/// The graph, or nothing where it is larger than readers draw.
pub(super) fn drawable(runbook: &Runbook, names: &Names) -> Option<String> {
    let (text, edges) = graph(runbook, names);
    (text.len() <= MOST_TEXT && edges <= MOST_EDGES).then_some(text)
}

/// A flow chart, ending in a line feed, and how many edges it has.
pub(super) fn graph(runbook: &Runbook, names: &Names) -> (String, usize) {
    let mut drawing = Drawing { text: String::from("flowchart TD\n"), links: String::new(), count: 0, names };
    drawing.list(&runbook.steps, "", 0, false, "  ");
    if !runbook.finally.is_empty() {
        drawing.text.push_str("  subgraph at_the_end[\"At the end, always\"]\n");
        drawing.list(&runbook.finally, "", runbook.steps.len(), false, "    ");
        drawing.text.push_str("  end\n");
    }
    let Drawing { mut text, links, count, .. } = drawing;
    text.push_str(&links);
    text.push_str("  classDef read fill:#e8f1fb,stroke:#4a7fb5,color:#10243a\n");
    text.push_str("  classDef change fill:#fdf1d6,stroke:#c08a1e,color:#3a2a05\n");
    text.push_str("  classDef destroy fill:#fbdedd,stroke:#b5322c,stroke-width:3px,color:#3d0c0a\n");
    (text, count)
}

struct Drawing<'a> {
    text: String,
    links: String,
    count: usize,
    names: &'a Names,
}

impl Drawing<'_> {
    /// `within` goes before its numbers.
    fn list(&mut self, steps: &[Step], within: &str, before: usize, parallel: bool, indent: &str) {
        for (index, step) in steps.iter().enumerate() {
            self.step(step, &format!("{within}{}.", before + index + 1), indent);
        }
        for edge in edges(steps, self.names, parallel) {
            self.count += 1;
            let (from, to) = (id(&steps[edge.from]), id(&steps[edge.to]));
            let _ = match edge.why {
                Why::Always => writeln!(self.links, "  {from} --> {to}"),
                Why::Value => writeln!(self.links, "  {from} -.-> {to}"),
                Why::If(condition) => writeln!(self.links, "  {from} -->|\"if {}\"| {to}", label(&condition)),
                Why::Otherwise => writeln!(self.links, "  {from} -->|\"otherwise\"| {to}"),
            };
        }
    }

    /// What holds others is drawn around them.
    fn step(&mut self, step: &Step, number: &str, indent: &str) {
        let mut title = step.title.as_ref().map_or(step.id.value.as_str(), |title| title.source()).trim().to_owned();
        if let Some(foreach) = &step.foreach {
            title.push_str(&format!(", for each {}", foreach.name.value));
        }
        let title = label(&title);
        let deeper = format!("{indent}  ");
        match step.body.action.inside() {
            Some(Inside::Group(group)) => {
                let _ = writeln!(self.text, "{indent}subgraph {}[\"{number} {title}\"]", id(step));
                self.list(&group.steps, number, 0, group.parallel.is_some(), &deeper);
                let _ = writeln!(self.text, "{indent}end");
            }
            Some(Inside::Choose(choose)) => {
                let _ = writeln!(self.text, "{indent}subgraph {}[\"{number} {title}\"]", id(step));
                for (at, case) in choose.cases.iter().enumerate() {
                    let way = super::outline::way(at);
                    let name = case.title.as_ref().map_or(case.id.value.as_str(), |title| title.source());
                    let name = match (&case.when, case.otherwise) {
                        (Some(when), _) => format!("{name}, if {}", when.on_one_line()),
                        (None, true) if choose.question.is_none() => format!("{name}, otherwise"),
                        _ => name.to_owned(),
                    };
                    let of = format!("{}_S_{}", id(step), case.id.value.replace('-', "_"));
                    let _ = writeln!(self.text, "{deeper}subgraph {of}[\"{number}{way}. {}\"]", label(&name));
                    self.list(&case.steps, &format!("{number}{way}."), 0, false, &format!("{deeper}  "));
                    let _ = writeln!(self.text, "{deeper}end");
                }
                let _ = writeln!(self.text, "{indent}end");
            }
            Some(Inside::Call(_)) => self.node(step, ("[[", "]]"), number, &title, indent),
            None if step.body.action.is_gate() => self.node(step, ("{", "}"), number, &title, indent),
            None => self.node(step, ("[", "]"), number, &title, indent),
        }
    }

    fn node(&mut self, step: &Step, (open, close): (&str, &str), number: &str, title: &str, indent: &str) {
        let effect = step.body.effect.name();
        let _ = writeln!(self.text, "{indent}{}{open}\"{number} {title}\"{close}:::{effect}", id(step));
    }
}

/// Ids hold neither `_` nor capitals, so different paths stay different; the prefix keeps them apart from words of Mermaid
/// such as `end`.
fn id(step: &Step) -> String {
    format!("s_{}", step.path.as_str().replace('-', "_").replace('/', "_S_"))
}

/// Text between quotes: whatever is not plain is a character reference, as Mermaid writes them.
fn label(text: &str) -> String {
    const MOST: usize = 80;
    let text = flat(text);
    let text = text.trim();
    let mut safe = String::new();
    for c in text.chars().take(MOST) {
        match c {
            c if c.is_alphanumeric() => safe.push(c),
            ' ' | '.' | ',' | '-' | '_' | '/' | '?' | '!' | '\'' | '(' | ')' | '=' | '+' => safe.push(c),
            c if c.is_ascii() => {
                let _ = write!(safe, "#{};", c as u32);
            }
            c => safe.push(c),
        }
    }
    if text.chars().count() > MOST {
        safe.push('…');
    }
    safe
}

/// An edge as a reader sees it: one that others imply is left out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Why {
    Always,
    /// It uses a value of the other.
    Value,
    /// Over parameters.
    If(String),
    /// Where no condition of its edges holds, a step follows the one before it.
    Otherwise,
}

/// The edges of a list of steps, whatever the parameters are.
pub(super) fn edges(steps: &[Step], names: &Names, parallel: bool) -> Vec<Edge> {
    let all = Graph::of_list(steps, names, &|_| true, parallel);
    let least = Graph::of_list(steps, names, &|_| false, parallel);
    let certain: Vec<Vec<usize>> = (0..steps.len())
        .map(|to| all.edges[to].keys().copied().filter(|from| least.edges[to].contains_key(from)).collect())
        .collect();
    let before = ancestors(&certain);
    let mut edges = Vec::new();
    for (to, step) in steps.iter().enumerate() {
        let mut implied = Bits::new(steps.len());
        for from in &certain[to] {
            implied.join(&before[*from]);
        }
        let mut froms: Vec<usize> = all.edges[to].keys().chain(least.edges[to].keys()).copied().collect();
        froms.sort_unstable();
        froms.dedup();
        for from in froms {
            let why = match (all.edges[to].get(&from), least.edges[to].get(&from)) {
                (Some(EdgeRule::Gate | EdgeRule::Value(_)), Some(_)) if implied.has(from) => continue,
                (Some(EdgeRule::Value(_)), Some(_)) => Why::Value,
                (_, Some(EdgeRule::Value(_))) => Why::Value,
                (Some(_), Some(_)) => Why::Always,
                (Some(_), None) => {
                    let need = step.needs.iter().flatten().find(|need| need.step.value == steps[from].id.value);
                    let condition =
                        need.and_then(|need| need.when.as_ref()).map(|when| when.source().trim().to_owned());
                    condition.map_or(Why::Always, Why::If)
                }
                (None, _) => Why::Otherwise,
            };
            edges.push(Edge { from, to, why });
        }
    }
    edges
}

/// For each step, those that must be over before it, near and far. Steps in a cycle have none.
fn ancestors(needs: &[Vec<usize>]) -> Vec<Bits> {
    let n = needs.len();
    let mut sets = vec![Bits::new(n); n];
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (to, froms) in needs.iter().enumerate() {
        for from in froms {
            after[*from].push(to);
        }
    }
    let mut ready: Vec<usize> = (0..n).filter(|at| waiting[*at] == 0).collect();
    while let Some(at) = ready.pop() {
        let mut of_next = sets[at].clone();
        of_next.add(at);
        for to in &after[at] {
            sets[*to].join(&of_next);
            waiting[*to] -= 1;
            if waiting[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    sets
}

#[derive(Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(size: usize) -> Bits {
        Bits(vec![0; size.div_ceil(64)])
    }

    fn add(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }

    fn join(&mut self, other: &Bits) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }
}

/// What a step of this effect does, in words.
pub(super) fn effect_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "only reads",
        Effect::Change => "changes something",
        Effect::Destroy => "destroys something",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_itself() {
        assert_eq!(label("plain - a, b."), "plain - a, b.");
        let hostile = label("\"]; click s_a \"javascript:x\"\n%%{init: {}}%% `<b>` #quot; \\ end");
        assert!(!hostile.contains(['"', ']', '<', '>', '`', '%', '{', '\\', '\n']), "{hostile}");
        assert!(hostile.starts_with("#34;#93;#59; click s_a #34;javascript#58;x#34;"), "{hostile}");
        assert!(label(&"x".repeat(200)).ends_with('…'));
    }
}
