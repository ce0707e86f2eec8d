//! Which step waits for which: edges, their order and cycles. Knows nothing of values beyond the truth of an edge.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::{Names, Param, Step};
use crate::{
    syntax::{Expr, Reference},
    text::Span,
    value::{Scope, Slot, Type, Value},
};

/// The graph of one list of steps, for one set of parameters.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// For each step of the list, the indices of those that must be over, and why.
    pub edges: Vec<IndexMap<usize, EdgeRule>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeRule {
    /// The sibling before it.
    Default,
    /// Written in `needs`.
    Needs(Span),
    /// After a confirm of its list.
    Gate,
    /// It uses a value that the other step sets.
    Value(Span),
}

/// Steps that wait for each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// Indices; the first is the first in file order, each waits for the next, the last for the first.
    pub steps: Vec<usize>,
    /// Where to report it.
    pub span: Span,
    /// A use of a value is part of it.
    pub by_value: bool,
    /// Such a use, and the step that sets what it uses.
    pub value: Option<(Span, String)>,
}

impl Graph {
    /// `holds` says whether a conditional edge applies.
    pub fn of(steps: &[Step], names: &Names, holds: &dyn Fn(&Expr) -> bool) -> Graph {
        Graph::of_list(steps, names, holds, false)
    }

    /// As [`Graph::of`]; in a `parallel` list a step waits for its sibling before it only if it says so.
    pub fn of_list(steps: &[Step], names: &Names, holds: &dyn Fn(&Expr) -> bool, parallel: bool) -> Graph {
        let index: IndexMap<&str, usize> = steps.iter().enumerate().map(|(i, s)| (s.id.value.as_str(), i)).collect();
        let mut edges: Vec<IndexMap<usize, EdgeRule>> = Vec::with_capacity(steps.len());
        let mut last_gate: Option<usize> = None;
        for (i, step) in steps.iter().enumerate() {
            let mut of_step = IndexMap::new();
            let default = i.checked_sub(1).filter(|_| !parallel);
            match &step.needs {
                None => {
                    if let Some(before) = default {
                        of_step.insert(before, EdgeRule::Default);
                    }
                }
                Some(needs) => {
                    let mut applied = needs.is_empty();
                    for need in needs {
                        if need.when.as_ref().is_none_or(holds) {
                            applied = true;
                            if let Some(on) = index.get(need.step.value.as_str()) {
                                of_step.entry(*on).or_insert(EdgeRule::Needs(need.step.span));
                            }
                        }
                    }
                    // Where no conditional edge holds, the step stands where it is written.
                    if !applied && let Some(before) = default {
                        of_step.insert(before, EdgeRule::Default);
                    }
                }
            }
            // A gate itself waits for the one before it.
            if let Some(gate) = last_gate {
                of_step.entry(gate).or_insert(EdgeRule::Gate);
            }
            if step.body.action.is_gate() {
                last_gate = Some(i);
            }
            edges.push(of_step);
        }
        for (i, step) in steps.iter().enumerate() {
            for (producer, span) in uses(step, names) {
                // What is set inside of a sibling is there when the sibling is over.
                let Some(sibling) = sibling(&producer, step.above()) else { continue };
                if let Some(on) = index.get(sibling)
                    && *on != i
                {
                    edges[i].entry(*on).or_insert(EdgeRule::Value(span));
                }
            }
        }
        Graph { edges }
    }

    /// One cycle, if there is any: the shortest through its first step in file order.
    pub fn cycle(&self, steps: &[Step]) -> Option<Cycle> {
        let members = self.in_cycles();
        // A bridge between two cycles is among the members and in no cycle, so each is tried in file order.
        members.iter().find_map(|first| self.shortest_through(*first, &members, steps))
    }

    fn shortest_through(&self, first: usize, members: &BTreeSet<usize>, steps: &[Step]) -> Option<Cycle> {
        // Breadth first from the first member back to itself.
        let mut from: Vec<Option<usize>> = vec![None; self.edges.len()];
        let mut queue = std::collections::VecDeque::from([first]);
        let mut seen = vec![false; self.edges.len()];
        while let Some(at) = queue.pop_front() {
            for next in self.edges[at].keys() {
                if *next == first {
                    let mut path = vec![at];
                    let mut back = at;
                    while back != first {
                        back = from[back]?;
                        path.push(back);
                    }
                    path.reverse();
                    return Some(self.describe(path, steps));
                }
                if !seen[*next] && members.contains(next) {
                    seen[*next] = true;
                    from[*next] = Some(at);
                    queue.push_back(*next);
                }
            }
        }
        None
    }

    fn describe(&self, path: Vec<usize>, steps: &[Step]) -> Cycle {
        let rule = |at: usize| {
            let next = path[(at + 1) % path.len()];
            self.edges[path[at]].get(&next).copied()
        };
        let value = (0..path.len()).find_map(|at| match rule(at) {
            Some(EdgeRule::Value(span)) => Some((span, steps[path[(at + 1) % path.len()]].id.value.clone())),
            _ => None,
        });
        let needs = (0..path.len()).find_map(|at| steps[path[at]].needs_span);
        let first = &steps[path[0]];
        let used = value.as_ref().map(|(span, _)| *span);
        let span = first.needs_span.or(used).or(needs).unwrap_or(first.id.span);
        Cycle { steps: path, span, by_value: value.is_some(), value }
    }

    /// Steps that can be reached from themselves, or stand between two that can.
    fn in_cycles(&self) -> BTreeSet<usize> {
        // What is left after peeling off, from both sides, everything that cannot be part of a cycle.
        let n = self.edges.len();
        let mut alive = vec![true; n];
        let mut reverse: Vec<Vec<usize>> = vec![Vec::new(); n];
        let mut out: Vec<usize> = self.edges.iter().map(IndexMap::len).collect();
        for (i, edges) in self.edges.iter().enumerate() {
            for on in edges.keys() {
                reverse[*on].push(i);
            }
        }
        let mut into: Vec<usize> = reverse.iter().map(Vec::len).collect();
        let mut idle: Vec<usize> = (0..n).filter(|i| out[*i] == 0 || into[*i] == 0).collect();
        while let Some(i) = idle.pop() {
            if !std::mem::replace(&mut alive[i], false) {
                continue;
            }
            for on in self.edges[i].keys() {
                into[*on] = into[*on].saturating_sub(1);
                if alive[*on] && into[*on] == 0 {
                    idle.push(*on);
                }
            }
            for by in &reverse[i] {
                out[*by] = out[*by].saturating_sub(1);
                if alive[*by] && out[*by] == 0 {
                    idle.push(*by);
                }
            }
        }
        (0..n).filter(|i| alive[*i]).collect()
    }
}

/// The id of the step of the list at `above` that a step is, or stands in.
fn sibling<'p>(path: &'p str, above: &str) -> Option<&'p str> {
    let below = if above.is_empty() { path } else { path.strip_prefix(above)?.strip_prefix('/')? };
    below.split(['/', '@']).next()
}

/// The paths of the steps whose values a step uses, with the place of the use.
fn uses(step: &Step, names: &Names) -> Vec<(String, Span)> {
    let mut used = Vec::new();
    for reference in step_references(step, names) {
        match &reference.step {
            Some(step) if reference.name == "steps" => used.push((step.clone(), reference.span)),
            _ => used.extend(names.producers(&reference.name).map(|step| (step.to_owned(), reference.span))),
        }
    }
    used
}

/// Everything a step, and what is inside of it, uses before and while it runs; titles and texts are only shown. Steps are
/// named by their whole path.
pub fn step_references(step: &Step, names: &Names) -> Vec<Reference> {
    let mut all = own_references(step, names);
    if let Some(inside) = step.body.action.inside() {
        all.extend(inside.lists().into_iter().flatten().flat_map(|child| step_references(child, names)));
    }
    all
}

/// As [`step_references`], without what is inside.
pub fn own_references(step: &Step, names: &Names) -> Vec<Reference> {
    let mut all = Vec::new();
    if let Some(when) = &step.when {
        all.extend(when.references().to_vec());
    }
    if let Some(foreach) = &step.foreach {
        all.extend(foreach.references());
    }
    all.extend(body_references(&step.body, names));
    if let Some(verify) = &step.verify {
        all.extend(body_references(verify, names));
    }
    if let Some(retry) = &step.retry
        && let Some(when) = &retry.when
    {
        all.extend(when.references().to_vec());
    }
    for reference in &mut all {
        if let Some(id) = &reference.step
            && let Some(path) = names.step_from(step.above(), id)
        {
            reference.step = Some(path);
        }
    }
    // What a step sets itself is not something it waits for.
    let own: BTreeSet<String> = step.gives().into_iter().map(|name| name.value).collect();
    all.retain(|reference| !own.contains(&reference.name));
    all
}

/// Everything a body uses.
pub fn body_references(body: &super::Body, names: &Names) -> Vec<Reference> {
    let mut all = body.action.references(names);
    for entry in &body.expect.entries {
        all.extend(entry.references().to_vec());
    }
    for capture in &body.captures {
        all.extend(capture.value.references().to_vec());
    }
    for (_, template) in &body.env {
        all.extend(template.references().to_vec());
    }
    if let Some(cwd) = &body.cwd {
        all.extend(cwd.references().to_vec());
    }
    if let Some(timeout) = &body.timeout {
        all.extend(timeout.references());
    }
    all
}

/// All combinations of the booleans and the parameters with choices that conditional edges depend on, up to `limit`.
pub fn combinations(steps: &[Step], params: &IndexMap<String, Param>, limit: usize) -> Vec<Scope> {
    let mut used: Vec<&Param> = Vec::new();
    for need in steps.iter().flat_map(|step| step.needs.iter().flatten()) {
        for reference in need.when.iter().flat_map(|when| when.references()) {
            if let Some(param) = params.get(&reference.name)
                && (param.shape.ty == Type::Boolean || !param.shape.choices.is_empty())
                && !used.iter().any(|known| known.name == param.name)
            {
                used.push(param);
            }
        }
    }
    let mut base = Scope::new();
    for (name, param) in params {
        let value = param.default.clone().or_else(|| param.example.clone());
        base.set(name, value.map_or(Slot::Absent, Slot::Known));
    }
    let mut scopes = vec![base];
    for param in used {
        let values: Vec<Value> = match param.shape.ty {
            Type::Boolean => vec![Value::Bool(false), Value::Bool(true)],
            ty => param.shape.choices.iter().filter_map(|choice| ty.read(choice).ok()).collect(),
        };
        if scopes.len() * values.len() > limit {
            break;
        }
        scopes = scopes
            .iter()
            .flat_map(|scope| {
                values.iter().map(|value| {
                    let mut scope = scope.clone();
                    scope.know(&param.name, value.clone());
                    scope
                })
            })
            .collect();
    }
    scopes
}
