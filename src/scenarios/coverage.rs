//! What of a runbook its scenarios have gone through: steps, both sides of each condition, both answers to a question, each
//! way of a choice, the failure of each step. Counts a runbook's own file; what it calls has scenarios of its own.

use std::collections::BTreeSet;

use super::{load::Book, run::Ran};
use crate::{
    event::{Event, StepStatus},
    model::{Inside, Step, without_items},
    syntax::Expr,
    text::Span,
};

/// One thing to go through.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it stands in the runbook.
    pub span: Span,
    /// Such as `promote: answered with no`.
    pub what: String,
    pub covered: bool,
}

/// What the scenarios of one runbook have gone through by now.
pub struct Coverage {
    book: Book,
    ran: BTreeSet<String>,
    failed: BTreeSet<String>,
    answered: BTreeSet<(String, String)>,
    taken: BTreeSet<(String, String)>,
    /// As the rules of a world name them.
    looked: BTreeSet<String>,
}

impl Coverage {
    /// Forgets what the conditions came to while the runbook was read.
    pub fn begin(book: &Book) -> Coverage {
        for (_, expr, _) in conditions(book) {
            expr.forget_sides();
        }
        Coverage {
            book: book.clone(),
            ran: BTreeSet::new(),
            failed: BTreeSet::new(),
            answered: BTreeSet::new(),
            taken: BTreeSet::new(),
            looked: BTreeSet::new(),
        }
    }

    pub fn add(&mut self, ran: &Ran) {
        for record in &ran.records {
            let Some(step) = record.event.step() else { continue };
            let step = without_items(step.as_str());
            match &record.event {
                Event::StepStarted { .. } => {
                    self.ran.insert(step);
                }
                Event::StepFinished { status: StepStatus::Failed | StepStatus::Unknown, .. } => {
                    self.failed.insert(step);
                }
                Event::StepEntered { case, .. } => {
                    self.ran.insert(step.clone());
                    if let Some(case) = case {
                        self.taken.insert((step, case.clone()));
                    }
                }
                Event::QuestionAnswered { answer, .. } => {
                    self.answered.insert((step, answer.clone()));
                }
                _ => {}
            }
        }
        self.looked.extend(ran.answered.iter().map(|step| without_items(step)));
    }

    /// Every step of the file.
    pub fn steps(&self) -> Vec<Item> {
        let item = |step: &Step| Item {
            span: step.id.span,
            what: format!("{}: not run", step.path),
            covered: self.ran.contains(step.path.as_str()),
        };
        self.book.runbook.all_steps().map(item).collect()
    }

    /// Everything that can go one way or another.
    pub fn branches(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for (word, expr, step) in conditions(&self.book) {
            let (held, missed) = expr.sides();
            for (covered, how) in [(held, "true"), (missed, "false")] {
                items.push(Item { span: expr.span(), what: format!("{}: `{word}` never {how}", step.path), covered });
            }
        }
        for step in self.book.runbook.all_steps() {
            let mut push = |what: &str, covered| {
                items.push(Item { span: step.id.span, what: format!("{}: {what}", step.path), covered });
            };
            let path = step.path.to_string();
            if step.body.action.is_gate() {
                for answer in ["yes", "no"] {
                    let given = self.answered.contains(&(path.clone(), answer.to_owned()));
                    push(&format!("never answered with {answer}"), given);
                }
            } else if step.is_leaf() && step.body.action.inside().is_none() && !step.body.action.outputs().is_empty() {
                push("never failed", self.failed.contains(&path));
            }
            if step.verify.is_some() {
                push("its `verify` never asked", self.looked.contains(&format!("{path}@verify")));
            }
            if let Some(undo) = &step.undo {
                push("its `undo` never run", self.ran.contains(undo.path.as_str()));
            }
            if let Some(Inside::Choose(choose)) = step.body.action.inside() {
                for case in &choose.cases {
                    let taken = self.taken.contains(&(path.clone(), case.id.value.clone()));
                    items.push(Item {
                        span: case.id.span,
                        what: format!("{path}: case `{}` never taken", case.id.value),
                        covered: taken,
                    });
                }
            }
        }
        items.sort_by_key(|item| item.span.start);
        items
    }
}

/// Every condition of the file with its word and its step.
fn conditions(book: &Book) -> Vec<(&'static str, &Expr, &Step)> {
    let mut all = Vec::new();
    for step in book.runbook.all_steps() {
        let mut of: Vec<(&'static str, &Expr)> = step.when.iter().map(|expr| ("when", expr)).collect();
        let needs = step.needs.iter().flatten().filter_map(|need| need.when.as_ref());
        of.extend(needs.map(|expr| ("needs", expr)));
        of.extend(step.body.expect.entries.iter().map(|expr| ("expect", expr)));
        of.extend(step.body.action.conditions());
        of.extend(step.retry.iter().filter_map(|retry| retry.when.as_ref()).map(|expr| ("retry", expr)));
        for body in step.verify.iter().chain(step.undo.iter().map(|undo| &undo.body)) {
            of.extend(body.expect.entries.iter().map(|expr| ("expect", expr)));
            of.extend(body.action.conditions());
        }
        if let Some(Inside::Choose(choose)) = step.body.action.inside() {
            of.extend(choose.cases.iter().filter_map(|case| case.when.as_ref()).map(|expr| ("when", expr)));
        }
        all.extend(of.into_iter().map(|(word, expr)| (word, expr, step)));
    }
    all
}
