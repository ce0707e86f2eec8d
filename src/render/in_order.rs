//! The steps of a run in the order of the runbook, with what stands in them. Knows no form of writing.

use indexmap::IndexMap;

use crate::{
    event::{RunState, StepId},
    model::{Inside, Runbook, Step},
};

/// Steps in the order of the runbook, each item of a loop with what is in it, then whatever else is on record; with titles.
pub(super) fn ordered<'a>(state: &'a RunState, runbook: Option<&'a Runbook>) -> Vec<(StepId, Option<&'a str>)> {
    let mut all: IndexMap<StepId, Option<&str>> = IndexMap::new();
    if let Some(runbook) = runbook {
        for list in [&runbook.steps, &runbook.finally] {
            ordered_list(state, list, "", &mut all);
        }
    }
    for id in state.steps.keys() {
        all.entry(id.clone()).or_insert(None);
    }
    all.into_iter().collect()
}

/// A list of steps below a path that ends with `/`.
fn ordered_list<'a>(state: &RunState, steps: &'a [Step], below: &str, all: &mut IndexMap<StepId, Option<&'a str>>) {
    for step in steps {
        let path = format!("{below}{}", step.id.value);
        let title = step.title.as_ref().map(|title| title.source());
        all.insert(StepId::new(&path), title);
        if step.foreach.is_none() {
            ordered_inside(state, step, &path, all);
            continue;
        }
        // What ends a bracket is never part of an item.
        let is_item = |id: &str| {
            id.strip_prefix(&path).is_some_and(|rest| rest.starts_with('[') && rest.find(']') == Some(rest.len() - 1))
        };
        let items: Vec<StepId> = state.steps.keys().filter(|id| is_item(id.as_str())).cloned().collect();
        for item in items {
            all.insert(item.clone(), title);
            ordered_inside(state, step, item.as_str(), all);
        }
    }
}

fn ordered_inside<'a>(state: &RunState, step: &'a Step, path: &str, all: &mut IndexMap<StepId, Option<&'a str>>) {
    match step.body.action.inside() {
        None => {}
        Some(Inside::Group(group)) => {
            if group.helper.is_some() {
                all.insert(StepId::new(path).helper(), None);
            }
            ordered_list(state, &group.steps, &format!("{path}/"), all);
        }
        Some(Inside::Choose(choose)) => {
            let entered = state.steps.get(&StepId::new(path)).and_then(|of| of.entered.as_ref());
            let taken = entered.and_then(|entered| entered.case.as_deref());
            for case in choose.cases.iter().filter(|case| taken.is_none_or(|taken| taken == case.id.value)) {
                ordered_list(state, &case.steps, &format!("{path}/{}/", case.id.value), all);
            }
        }
        Some(Inside::Call(call)) => {
            if let Some(callee) = &call.callee {
                for list in [&callee.runbook.steps, &callee.runbook.finally] {
                    ordered_list(state, list, &format!("{path}/"), all);
                }
            }
        }
    }
}

/// How many steps another one stands in: an item stands in its loop.
pub(super) fn depth(id: &StepId) -> usize {
    let mut item = false;
    let inner = id.as_str().chars().filter(|c| match c {
        '[' => !std::mem::replace(&mut item, true),
        ']' => {
            item = false;
            false
        }
        '/' => !item,
        _ => false,
    });
    inner.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_as_deep_as_what_it_stands_in() {
        for (path, deep) in [("a", 0), ("a/b", 1), ("scale[web]", 1), ("r[a/b]/n[1]/x", 4), ("route/case/step", 2)] {
            assert_eq!(depth(&StepId::new(path)), deep, "{path}");
        }
    }
}
