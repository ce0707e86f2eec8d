//! A step at the place where it runs: in the run itself, in one item of a loop, or in a runbook that is called. Runs nothing.

use std::{cell::RefCell, ops::Deref, path::PathBuf, rc::Rc};

use super::Engine;
use crate::{
    event::StepId,
    model::{Inside, Names, OnFailure, Runbook, Step, item_path},
    value::{Scope, Slot, Value},
};

/// Where names live: a runbook, or one item of a loop in it. Groups and choices share that of the list around them.
pub struct Frame<'a> {
    pub book: &'a Runbook,
    pub names: &'a Names,
    pub scope: RefCell<Scope>,
    /// What goes before the path that a step has in its file, without the first `cut` bytes of that.
    prefix: String,
    cut: usize,
    /// The path in the file of the loop whose item this is.
    of_loop: Option<&'a str>,
    /// The frame around a loop, or that of the caller.
    outer: Option<Rc<Frame<'a>>>,
    /// What the caller says of failures.
    pub policy: Option<OnFailure>,
    /// Where secrets may be sent: what the file and the parameters name.
    pub origins: Vec<String>,
    /// Where steps run.
    pub cwd: PathBuf,
}

/// A runbook that is entered, with its values in place.
pub struct Entered<'a> {
    pub book: &'a Runbook,
    pub names: &'a Names,
    pub scope: Scope,
    pub origins: Vec<String>,
    pub cwd: PathBuf,
}

impl<'a> Frame<'a> {
    /// The run itself.
    pub fn top(entered: Entered<'a>) -> Rc<Frame<'a>> {
        Frame::book(entered, String::new(), None, None)
    }

    fn book(
        entered: Entered<'a>,
        prefix: String,
        outer: Option<Rc<Frame<'a>>>,
        policy: Option<OnFailure>,
    ) -> Rc<Frame<'a>> {
        let Entered { book, names, scope, origins, cwd } = entered;
        Rc::new(Frame {
            book,
            names,
            scope: RefCell::new(scope),
            prefix,
            cut: 0,
            of_loop: None,
            outer,
            policy,
            origins,
            cwd,
        })
    }

    /// The path in this run of a step of the file.
    pub fn path(&self, in_file: &str) -> StepId {
        StepId::new(format!("{}{}", self.prefix, in_file.get(self.cut..).unwrap_or_default()))
    }

    /// Of this frame and those around it in the same file, the one in which a step of the file has its place, as far as
    /// it has only one: in a loop that is not this one it has one for each item.
    pub fn holding(self: &Rc<Self>, in_file: &str) -> Rc<Frame<'a>> {
        let mut frame = Rc::clone(self);
        while let Some(of_loop) = frame.of_loop
            && !Names::is_inside(in_file, of_loop)
            && let Some(outer) = frame.outer.clone()
        {
            frame = outer;
        }
        frame
    }

    /// The path in the file of the loop whose item this is.
    pub fn of_loop(&self) -> Option<&'a str> {
        self.of_loop
    }

    /// What goes before the paths of its file.
    pub fn of_book(&self) -> String {
        match &self.outer {
            Some(outer) if self.of_loop.is_some() => outer.of_book(),
            _ => self.prefix.clone(),
        }
    }

    /// The frame around a loop, or that of the caller.
    pub fn outer(&self) -> Option<Rc<Frame<'a>>> {
        self.outer.clone()
    }

    /// A secret that was read is known in every loop around as well.
    pub fn learn(&self, name: &str, value: Value) {
        let mut frame = self;
        loop {
            frame.scope.borrow_mut().know(name, value.clone());
            match (&frame.outer, frame.of_loop) {
                (Some(outer), Some(_)) => frame = outer,
                _ => return,
            }
        }
    }
}

/// A step where it runs. What the step says of itself is seen through it; its path is that of the run.
#[derive(Clone)]
pub struct Unit<'a> {
    pub step: &'a Step,
    pub path: StepId,
    pub frame: Rc<Frame<'a>>,
    /// One item of its loop, and not the loop.
    is_item: bool,
    /// It takes the effect of another one back.
    pub undoes: bool,
}

impl Deref for Unit<'_> {
    type Target = Step;

    fn deref(&self) -> &Step {
        self.step
    }
}

impl<'a> Unit<'a> {
    pub fn of(step: &'a Step, frame: &Rc<Frame<'a>>) -> Unit<'a> {
        Unit { step, path: frame.path(step.path.as_str()), frame: Rc::clone(frame), is_item: false, undoes: false }
    }

    /// One item of this loop.
    pub fn item(&self, item: &Value) -> Unit<'a> {
        self.item_at(item_path(self.path.as_str(), item), Slot::Known(item.clone()))
    }

    /// What an item of this loop would be, where the items are not known.
    pub fn any_item(&self) -> Unit<'a> {
        let origin = self.step.foreach.as_ref().map_or("item", |foreach| foreach.name.value.as_str());
        self.item_at(self.path.to_string(), Slot::Unknown { origin: origin.into() })
    }

    fn item_at(&self, path: String, item: Slot) -> Unit<'a> {
        let mut scope = self.frame.scope.borrow().clone();
        if let Some(foreach) = &self.step.foreach {
            scope.set(&foreach.name.value, item);
        }
        let outer = &self.frame;
        let frame = Rc::new(Frame {
            book: outer.book,
            names: outer.names,
            scope: RefCell::new(scope),
            prefix: path.clone(),
            cut: self.step.path.as_str().len(),
            of_loop: Some(self.step.path.as_str()),
            outer: Some(Rc::clone(outer)),
            policy: outer.policy,
            origins: outer.origins.clone(),
            cwd: outer.cwd.clone(),
        });
        Unit { step: self.step, path: StepId::new(path), frame, is_item: true, undoes: false }
    }

    /// The runbook that this step calls.
    pub fn callee(&self, entered: Entered<'a>) -> Rc<Frame<'a>> {
        let policy = if self.undoes {
            Some(OnFailure::Ask)
        } else {
            self.step.on_failure.or(self.step.inherited).or(self.frame.policy)
        };
        Frame::book(entered, format!("{}/", self.path), Some(Rc::clone(&self.frame)), policy)
    }

    /// What takes the effect of this step back. A loop has none: each of its items has.
    pub fn undo(&self) -> Option<Unit<'a>> {
        let step = self.step.undo.as_deref().filter(|_| !self.is_loop())?;
        Some(Unit { step, path: self.path.undo(), frame: Rc::clone(&self.frame), is_item: false, undoes: true })
    }

    /// A loop as a whole.
    pub fn is_loop(&self) -> bool {
        self.step.foreach.is_some() && !self.is_item
    }

    /// Whether it holds other steps, and does nothing itself.
    pub fn is_container(&self) -> bool {
        self.is_loop() || self.inside().is_some()
    }

    pub fn inside(&self) -> Option<Inside<'a>> {
        self.step.body.action.inside()
    }

    /// What the names stand for, as its own expressions see them.
    pub fn scope(&self) -> Scope {
        self.frame.scope.borrow().clone().seen_from(self.step.above())
    }

    /// The scope as the body sees it: what it sets is not something it uses.
    pub fn seen(&self) -> Scope {
        self.step.sees(&self.scope())
    }

    /// A secret that nobody has read yet.
    pub fn is_hidden(&self, name: &str) -> bool {
        matches!(self.frame.scope.borrow().get(name), Some(Slot::Hidden))
    }

    /// What follows from its failure.
    pub fn policy(&self) -> OnFailure {
        if self.undoes {
            return OnFailure::Ask;
        }
        self.step.on_failure.or(self.step.inherited).or(self.frame.policy).unwrap_or(OnFailure::Ask)
    }

    /// Its failure is that of a container around it, after which the run goes on.
    pub fn is_contained(&self) -> bool {
        self.step.on_failure.is_none() && self.policy() == OnFailure::Continue
    }

    /// The status of a step of the file, where expressions look for it.
    pub fn set_status(&self, slot: Slot) {
        // One item of a loop is not the loop.
        if !self.is_item || self.is_container() {
            let slot = match slot {
                Slot::Known(Value::Text(status)) => ended_slot(self.step, &status),
                other => other,
            };
            self.frame.scope.borrow_mut().set_step(self.step.path.as_str(), slot);
        }
    }
}

/// How a step ended, as expressions see it: a call that never gave anything has outputs, and none is in there.
pub fn ended_slot(step: &Step, status: &str) -> Slot {
    let status = Value::text(status);
    if !matches!(step.body.action.inside(), Some(Inside::Call(_))) {
        return Slot::Known(status);
    }
    let held = [("status".to_owned(), status), ("outputs".to_owned(), Value::map(std::iter::empty().collect()))];
    Slot::Known(Value::map(held.into_iter().collect()))
}

impl<'a> Engine<'a> {
    /// Every step of a list, with those inside of it, as far as loops and calls were entered.
    pub(super) fn units(&self, frame: &Rc<Frame<'a>>, steps: &'a [Step]) -> Vec<Unit<'a>> {
        let mut all = Vec::new();
        for step in steps {
            self.units_of(Unit::of(step, frame), &mut all);
        }
        all
    }

    fn units_of(&self, unit: Unit<'a>, all: &mut Vec<Unit<'a>>) {
        all.push(unit.clone());
        if unit.is_loop() {
            let items = self.items.borrow().get(&unit.path).cloned().unwrap_or_default();
            for item in items {
                self.units_of(item, all);
            }
            return;
        }
        match unit.inside() {
            None => {}
            Some(Inside::Call(_)) => {
                let callee = self.callees.borrow().get(&unit.path).cloned();
                if let Some(frame) = callee {
                    for steps in [&frame.book.steps, &frame.book.finally] {
                        all.extend(self.units(&frame, steps));
                    }
                }
            }
            Some(Inside::Choose(choose)) => {
                let taken = self.taken(&unit.path);
                for case in &choose.cases {
                    if taken.as_deref().is_none_or(|taken| taken == case.id.value) {
                        all.extend(self.units(&unit.frame, &case.steps));
                    }
                }
            }
            Some(Inside::Group(group)) => {
                all.extend(self.helper_of(&unit, group));
                all.extend(self.units(&unit.frame, &group.steps));
            }
        }
    }

    /// The steps inside of a container, as far as loops and calls were entered.
    pub(super) fn units_in(&self, step: &Unit<'a>) -> Vec<Unit<'a>> {
        let mut all = Vec::new();
        self.units_of(step.clone(), &mut all);
        all.split_off(1)
    }

    /// Steps of the run but for `finally`, with all that is inside.
    pub(super) fn main_units(&self) -> Vec<Unit<'a>> {
        self.units(&self.top, &self.plan.runbook.steps)
    }

    /// Every step of the run.
    pub(super) fn all_units(&self) -> Vec<Unit<'a>> {
        let mut all = self.main_units();
        all.extend(self.units(&self.top, &self.plan.runbook.finally));
        all
    }

    /// Whether a step belongs to the `finally` of the run itself.
    pub(super) fn in_finally(&self, path: &StepId) -> bool {
        let first = path.as_str().split(['/', '[', '@']).next().unwrap_or_default();
        self.plan.runbook.finally.iter().any(|step| step.id.value == first)
    }

    /// The case of a choice that was taken.
    pub(super) fn taken(&self, path: &StepId) -> Option<String> {
        self.state().steps.get(path)?.entered.as_ref()?.case.clone()
    }
}
