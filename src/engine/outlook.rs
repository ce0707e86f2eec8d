//! Every step of a run where it would run, whether or not it was come to: for whoever shows a plan. Runs nothing.

use std::rc::Rc;

use super::{
    Engine, Looked,
    unit::{Frame, Unit},
};
use crate::{
    event::StepId,
    model::{Inside, Step},
    value::{Scope, Slot},
};

/// A step as a plan shows it.
pub struct Outlook<'a> {
    pub step: &'a Step,
    pub path: StepId,
    /// The runbook whose file it stands in.
    pub runbook: &'a str,
    /// What the names stand for there.
    pub scope: Scope,
    /// The same with what the step itself gives, as its undo sees them.
    pub after: Scope,
    /// The steps of its list that it waits for.
    pub needs: Vec<String>,
    /// How many containers stand around it.
    pub depth: usize,
    /// The container it stands in.
    pub within: Option<StepId>,
    /// It holds other steps, which follow.
    pub holds: bool,
    /// What was seen of it, where nothing is done but to look.
    pub looked: Option<Looked>,
    /// A loop as a whole; its items follow, or what each would be where they are not known.
    pub is_loop: bool,
}

impl<'a> Engine<'a> {
    /// The steps, then those of `finally`, each followed by what is inside of it.
    pub fn outlook(&self, last: bool) -> Vec<Outlook<'a>> {
        let steps = if last { &self.plan.runbook.finally } else { &self.plan.runbook.steps };
        let mut all = Vec::new();
        self.outlook_of(&self.top, steps, false, None, 0, &mut all);
        all
    }

    fn outlook_of(
        &self,
        frame: &Rc<Frame<'a>>,
        steps: &'a [Step],
        parallel: bool,
        within: Option<&StepId>,
        depth: usize,
        all: &mut Vec<Outlook<'a>>,
    ) {
        let graph = self.graph(frame, steps, parallel);
        let units = self.list_of(frame, steps);
        for (index, unit) in units.iter().enumerate() {
            let mut needs: Vec<usize> = graph.edges[index].keys().copied().collect();
            needs.sort_unstable();
            let needs = needs.into_iter().map(|on| units[on].path.to_string()).collect();
            self.outlook_unit(unit, needs, within, depth, all);
        }
    }

    fn outlook_unit(
        &self,
        unit: &Unit<'a>,
        needs: Vec<String>,
        within: Option<&StepId>,
        depth: usize,
        all: &mut Vec<Outlook<'a>>,
    ) {
        all.push(Outlook {
            step: unit.step,
            path: unit.path.clone(),
            runbook: &unit.frame.book.name,
            scope: hidden_again(unit, unit.seen()),
            after: hidden_again(unit, unit.scope()),
            needs,
            depth,
            within: within.cloned(),
            looked: self.looked(&unit.path),
            holds: unit.is_container(),
            is_loop: unit.is_loop(),
        });
        let within = Some(&unit.path);
        if unit.is_loop() {
            let items = self.children(unit);
            if items.is_empty() && !self.was_entered(unit) {
                // Nobody knows the items: what would be done for each is shown once.
                let any = unit.any_item();
                if any.is_container() {
                    self.outlook_inside(&any, within, depth, all);
                }
            }
            // One item after the other, unless the loop says otherwise.
            let serial = unit.step.foreach.as_ref().is_some_and(|foreach| foreach.parallel.is_none());
            let mut before: Option<String> = None;
            for item in items {
                let needs = before.take().into_iter().collect();
                self.outlook_unit(&item, needs, within, depth + 1, all);
                before = serial.then(|| item.path.to_string());
            }
            return;
        }
        self.outlook_inside(unit, within, depth, all);
    }

    fn outlook_inside(&self, unit: &Unit<'a>, within: Option<&StepId>, depth: usize, all: &mut Vec<Outlook<'a>>) {
        match unit.inside() {
            None => {}
            Some(Inside::Group(group)) => {
                if let Some(helper) = self.helper_of(unit, group) {
                    self.outlook_unit(&helper, Vec::new(), within, depth + 1, all);
                }
                self.outlook_of(&unit.frame, &group.steps, group.parallel.is_some(), within, depth + 1, all);
            }
            Some(Inside::Choose(choose)) => {
                let taken = self.taken(&unit.path);
                for case in &choose.cases {
                    if taken.as_ref().is_none_or(|taken| *taken == case.id.value) {
                        self.outlook_of(&unit.frame, &case.steps, false, within, depth + 1, all);
                    }
                }
            }
            Some(Inside::Call(call)) => {
                let entered = self.callees.borrow().get(&unit.path).cloned();
                let frame = entered.or_else(|| self.callee_as_planned(unit, call));
                if let Some(frame) = frame {
                    for steps in [&frame.book.steps, &frame.book.finally] {
                        self.outlook_of(&frame, steps, false, within, depth + 1, all);
                    }
                }
            }
        }
    }

    pub(super) fn was_entered(&self, unit: &Unit<'a>) -> bool {
        self.state().steps.get(&unit.path).is_some_and(|of| of.entered.is_some())
    }
}

/// A plan shows a secret as its name, even where it was read.
fn hidden_again(unit: &Unit<'_>, mut scope: Scope) -> Scope {
    for name in unit.frame.book.secrets.keys() {
        scope.set(name, Slot::Hidden);
    }
    scope
}
