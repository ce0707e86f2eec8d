//! Looks at one runbook with every rule, and takes out what the file allows. Knows no rule by name.

use std::{
    cell::OnceCell,
    collections::{BTreeSet, HashSet},
};

use super::{
    allow::Allows,
    table::{Finder, LINTS},
    unused,
};
use crate::{
    model::{Body, Case, Declared, Inside, Loaded, Names, Runbook, Step},
    text::{Diagnostic, Span},
    value::Type,
};

/// What came of looking.
#[derive(Debug, Default)]
pub struct Looked {
    /// Errors and warnings, in file order.
    pub problems: Vec<Diagnostic>,
    /// Warnings that the file allows, each with the reason it gives.
    pub allowed: Vec<(Diagnostic, String)>,
}

/// Everything there is to say about a file. `scripts` is what `shellcheck` found in them; none where it was not asked.
pub fn look(loaded: &Loaded, scripts: Option<Vec<Diagnostic>>) -> Looked {
    let mut problems = loaded.problems.clone();
    if let Some(runbook) = &loaded.runbook {
        let seen = Seen::of(runbook, &loaded.names);
        for lint in &LINTS {
            if let Finder::Rule(rule) = lint.finder {
                rule(&seen, &mut problems);
            }
        }
    }
    let asked = scripts.is_some();
    problems.extend(without_doubles(scripts.unwrap_or_default(), &problems));
    let mut looked = Allows::of(loaded).apply(problems, asked);
    looked.problems.sort_by(|a, b| order(a).cmp(&order(b)));
    looked.allowed.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    looked
}

fn order(problem: &Diagnostic) -> (usize, usize, crate::text::Severity, &str, &str) {
    (problem.span.start, problem.span.end, problem.severity, problem.code, &problem.message)
}

/// What `shellcheck` tells that was told already: a variable that nobody sets, a value that becomes code elsewhere.
fn without_doubles(found: Vec<Diagnostic>, problems: &[Diagnostic]) -> Vec<Diagnostic> {
    let told = |code: &str| -> BTreeSet<usize> {
        problems.iter().filter(|problem| problem.code == code).map(|problem| problem.span.start).collect()
    };
    let doubles = [("SC2154:", told("unset-variable")), ("SC2029:", told("value-as-code"))];
    let double = |problem: &Diagnostic| {
        doubles.iter().any(|(code, told)| {
            problem.message.starts_with(code) && told.range(problem.span.start..=problem.span.end).next().is_some()
        })
    };
    found.into_iter().filter(|problem| !double(problem)).collect()
}

/// A runbook as rules see it.
pub(super) struct Seen<'r> {
    pub runbook: &'r Runbook,
    pub names: &'r Names,
    /// Every list of steps, the outermost first.
    pub lists: Vec<List<'r>>,
    /// Captures that are secrets, and what a person gives as one.
    secret_captures: BTreeSet<&'r str>,
    /// Every name that something uses, once somebody asks.
    used: OnceCell<HashSet<String>>,
}

/// Steps that stand together.
pub(super) struct List<'r> {
    pub steps: &'r [Step],
    /// The list and the place in it of the step that holds this one.
    pub around: Option<(usize, usize)>,
    /// The case of a choice whose steps these are.
    pub case: Option<&'r Case>,
}

impl<'r> Seen<'r> {
    pub fn of(runbook: &'r Runbook, names: &'r Names) -> Seen<'r> {
        let outermost = |steps| List { steps, around: None, case: None };
        let mut lists = vec![outermost(&runbook.steps), outermost(&runbook.finally)];
        let mut next = 0;
        while next < lists.len() {
            let steps = lists[next].steps;
            for (at, step) in steps.iter().enumerate() {
                let around = Some((next, at));
                lists.extend(inside(step).into_iter().map(|(steps, case)| List { steps, around, case }));
            }
            next += 1;
        }
        let captures = runbook.all_steps().flat_map(Step::secret_captures).map(|capture| capture.name.value.as_str());
        let typed = runbook.all_steps().flat_map(|step| step.body.action.typed());
        let given = typed.filter(|(_, param)| param.shape.ty == Type::Secret).map(|(name, _)| name.value.as_str());
        let secret_captures = captures.chain(given).collect();
        Seen { runbook, names, lists, secret_captures, used: OnceCell::new() }
    }

    /// Every step of the file.
    pub fn steps(&self) -> impl Iterator<Item = &'r Step> {
        self.lists.iter().flat_map(|list| list.steps)
    }

    /// Whether something uses a name.
    pub fn is_used(&self, name: &str) -> bool {
        self.used.get_or_init(|| unused::used(self)).contains(name)
    }

    /// Every body of the file: what steps do, their `verify`, and what they look with.
    pub fn bodies(&self) -> Vec<&'r Body> {
        self.steps().flat_map(|step| self.bodies_of(step)).collect()
    }

    /// What a step does, its `verify`, its `undo`, and what these look with.
    pub fn bodies_of(&self, step: &'r Step) -> Vec<&'r Body> {
        let mut found = Vec::new();
        with_looks(&step.body, &mut found);
        step.verify.iter().for_each(|verify| with_looks(verify, &mut found));
        step.undo.iter().for_each(|undo| with_looks(&undo.body, &mut found));
        found
    }

    pub fn has_secrets(&self) -> bool {
        !self.runbook.secrets.is_empty() || !self.secret_captures.is_empty()
    }

    /// Whether a name is that of a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        matches!(self.names.get(name), Some(Declared::Secret(_))) || self.secret_captures.contains(name)
    }

    /// Every step of the file with its list and its place in it.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize, &'r Step)> {
        let lists = self.lists.iter().enumerate();
        lists.flat_map(|(index, list)| list.steps.iter().enumerate().map(move |(at, step)| (index, at, step)))
    }

    /// A step, then those around it, the nearest first: each as a list and the place in it.
    pub fn outwards(&self, list: usize, at: usize) -> impl Iterator<Item = (&List<'r>, usize)> {
        let mut next = Some((list, at));
        std::iter::from_fn(move || {
            let (list, at) = next?;
            next = self.lists[list].around;
            Some((&self.lists[list], at))
        })
    }
}

/// The lists of steps that a step holds in this file, and the case that each is of.
fn inside(step: &Step) -> Vec<(&[Step], Option<&Case>)> {
    match step.body.action.inside() {
        Some(Inside::Choose(choose)) => choose.cases.iter().map(|case| (case.steps.as_slice(), Some(case))).collect(),
        Some(inside) => inside.lists().into_iter().map(|steps| (steps, None)).collect(),
        None => Vec::new(),
    }
}

fn with_looks<'r>(body: &'r Body, found: &mut Vec<&'r Body>) {
    found.push(body);
    for look in body.action.parts().looks {
        with_looks(look, found);
    }
}

/// A warning of a rule.
pub(super) fn warn(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(code, span, message)
}
