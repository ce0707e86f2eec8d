//! The steps of one version as a flat row, each with what it says and the list it stands in. Compares nothing.

use serde_json::Value as Json;

use super::{
    Version,
    facts::{self, Facts},
};
use crate::{
    event::Effect,
    model::{Body, Graph, Inside, Registry, Step},
    syntax::{Node, NodeKind, yaml},
};

/// One step.
pub struct Unit<'a> {
    pub step: &'a Step,
    /// What it does, by its kind.
    pub facts: Facts,
    pub verify: Facts,
    pub undo: Facts,
    /// What it does, with all that is inside of it and without any id: steps that do the same have the same.
    pub print: String,
    pub list: usize,
    pub place: usize,
    /// The lists inside of it.
    pub lists: Vec<usize>,
}

/// Steps that stand together.
pub struct List<'a> {
    pub steps: &'a [Step],
    pub parallel: bool,
    /// The container it stands in.
    pub within: Option<usize>,
    /// `steps`, `finally`, or the id of a case.
    pub name: String,
    pub members: Vec<usize>,
}

pub struct Tree<'a> {
    pub units: Vec<Unit<'a>>,
    pub lists: Vec<List<'a>>,
    /// By list: which step waits for which, as if every condition of a need held.
    graphs: Vec<Graph>,
    registry: Registry,
}

impl<'a> Tree<'a> {
    /// Of a version that is not there.
    pub fn empty(registry: Registry) -> Tree<'a> {
        Tree { units: Vec::new(), lists: Vec::new(), graphs: Vec::new(), registry }
    }

    pub fn of(version: Version<'a>, registry: Registry) -> Tree<'a> {
        let mut tree = Tree::empty(registry);
        // A runbook was read before, so its text is a tree.
        let root = yaml::parse(&version.runbook.source).unwrap_or_else(|_| nothing());
        for (name, steps) in [("steps", &version.runbook.steps), ("finally", &version.runbook.finally)] {
            let nodes = facts::at(&root, name).map(facts::items).unwrap_or_default();
            tree.list(name, steps, nodes, false, None);
        }
        let graph = |list: &List<'_>| Graph::of_list(list.steps, version.names, &|_| true, list.parallel);
        tree.graphs = tree.lists.iter().map(graph).collect();
        tree
    }

    fn list(&mut self, name: &str, steps: &'a [Step], nodes: &[Node], parallel: bool, within: Option<usize>) -> usize {
        let index = self.lists.len();
        self.lists.push(List { steps, parallel, within, name: name.to_owned(), members: Vec::new() });
        let none = nothing();
        for (place, step) in steps.iter().enumerate() {
            let unit = self.unit(step, nodes.get(place).unwrap_or(&none), index, place);
            self.lists[index].members.push(unit);
        }
        index
    }

    fn unit(&mut self, step: &'a Step, node: &Node, list: usize, place: usize) -> usize {
        let none = nothing();
        let under = |body: &Body, node: &Node| {
            let (kind, below) = (self.registry.get(body.kind), facts::at(node, body.kind));
            kind.zip(below).map(|(kind, below)| facts::of_kind(kind, below, self.registry)).unwrap_or_default()
        };
        let facts = under(&step.body, node);
        let verify = step.verify.as_ref().map(|body| under(body, facts::at(node, "verify").unwrap_or(&none)));
        let undo = step.undo.as_ref().map(|undo| under(&undo.body, facts::at(node, "undo").unwrap_or(&none)));
        let index = self.units.len();
        self.units.push(Unit {
            step,
            facts,
            verify: verify.unwrap_or_default(),
            undo: undo.unwrap_or_default(),
            print: String::new(),
            list,
            place,
            lists: Vec::new(),
        });
        let below = facts::at(node, step.body.kind).unwrap_or(&none);
        let lists = match step.body.action.inside() {
            Some(Inside::Group(group)) => {
                let nodes = facts::at(below, "steps").map(facts::items).unwrap_or_default();
                vec![self.list("", &group.steps, nodes, group.parallel.is_some(), Some(index))]
            }
            Some(Inside::Choose(choose)) => {
                let cases = facts::at(below, "cases").map(facts::items).unwrap_or_default();
                let mut lists = Vec::new();
                for (at, case) in choose.cases.iter().enumerate() {
                    let nodes = cases.get(at).and_then(|case| facts::at(case, "steps"));
                    let nodes = nodes.map(facts::items).unwrap_or_default();
                    lists.push(self.list(&case.id.value, &case.steps, nodes, false, Some(index)));
                }
                lists
            }
            _ => Vec::new(),
        };
        let print = self.print(index, &lists);
        let unit = &mut self.units[index];
        (unit.lists, unit.print) = (lists, print);
        index
    }

    fn print(&self, index: usize, lists: &[usize]) -> String {
        let unit = &self.units[index];
        // The order of keys makes no difference.
        let mut facts: Vec<(&String, &Json)> = unit.facts.iter().collect();
        facts.sort_by_key(|(path, _)| path.as_str());
        let foreach = unit.step.foreach.as_ref().map(|foreach| foreach.source());
        let inside: Vec<Vec<&str>> = lists
            .iter()
            .map(|list| self.lists[*list].members.iter().map(|unit| self.units[*unit].print.as_str()).collect())
            .collect();
        let effect = unit.step.body.effect.name();
        serde_json::to_string(&(unit.step.body.kind, effect, foreach, facts, inside)).unwrap_or_default()
    }

    pub fn path(&self, unit: usize) -> &str {
        self.units[unit].step.path.as_str()
    }

    /// For each step of a list, by place: those that are over before it, however many lie between.
    pub fn before(&self, list: usize) -> Vec<Vec<bool>> {
        let (graph, count) = (&self.graphs[list], self.lists[list].steps.len());
        let mut before = vec![vec![false; count]; count];
        for (at, row) in before.iter_mut().enumerate() {
            let mut open: Vec<usize> = graph.edges[at].keys().copied().collect();
            while let Some(on) = open.pop() {
                if !std::mem::replace(&mut row[on], true) {
                    open.extend(graph.edges[on].keys().copied());
                }
            }
        }
        before
    }

    /// The steps that a step waits for by what is written, or by where it stands.
    pub fn direct(&self, unit: usize) -> Vec<usize> {
        let of = self.units[unit].list;
        let (list, graph) = (&self.lists[of], &self.graphs[of]);
        let mut on: Vec<usize> = graph.edges[self.units[unit].place].keys().copied().collect();
        on.sort_unstable();
        on.into_iter().map(|place| list.members[place]).collect()
    }

    /// The gates that hold a step back: those before it in its list, and in the lists around it.
    pub fn gates(&self, unit: usize) -> Vec<usize> {
        let mut gates = Vec::new();
        let mut at = Some(unit);
        while let Some(of) = at {
            let (list, place) = (&self.lists[self.units[of].list], self.units[of].place);
            gates.extend(list.members[..place].iter().copied().filter(|other| self.is_gate(*other)));
            at = list.within;
        }
        gates
    }

    pub fn is_gate(&self, unit: usize) -> bool {
        self.units[unit].step.body.action.is_gate()
    }

    /// Whether it has an effect of its own, and not that of what is inside.
    pub fn acts(&self, unit: usize) -> bool {
        let step = self.units[unit].step;
        step.is_leaf() && step.body.effect != Effect::Read
    }
}

fn nothing() -> Node {
    Node { span: crate::text::Span::at(0), kind: NodeKind::Null }
}
