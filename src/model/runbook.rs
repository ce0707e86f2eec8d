//! One runbook, lowered and checked. Knows nothing of files or libraries.

use indexmap::IndexMap;

use super::{Param, Profile, SecretSpec, Step, Trigger};
use crate::{
    event::Effect,
    syntax::{Expr, Template},
    text::{Source, Spanned},
};

/// A runbook as written, every part with its place.
#[derive(Debug)]
pub struct Runbook {
    /// The path below its library root without the ending, such as `balrog/rollback`.
    pub name: String,
    pub source: Source,
    pub title: Spanned<String>,
    pub summary: Option<String>,
    pub owner: Option<String>,
    pub tags: Vec<String>,
    pub links: IndexMap<String, String>,
    pub params: IndexMap<String, Param>,
    pub secrets: IndexMap<String, SecretSpec>,
    pub profiles: IndexMap<String, Profile>,
    pub requires: Requires,
    /// Two live runs whose lock renders alike never overlap.
    pub lock: Option<Template>,
    pub cwd: Option<Template>,
    /// Files that a run takes along: relative paths.
    pub files: Vec<Template>,
    /// Mails that lead here.
    pub triggers: Vec<Trigger>,
    pub steps: Vec<Step>,
    pub finally: Vec<Step>,
    /// What a caller gets.
    pub outputs: IndexMap<String, Expr>,
}

/// What must be there before the first step.
#[derive(Debug, Default)]
pub struct Requires {
    pub tools: Vec<Spanned<String>>,
    /// Variables of the operator's environment that scripts are given.
    pub env: Vec<Spanned<String>>,
}

impl Runbook {
    /// SHA-256 of the exact bytes, in hex.
    pub fn sha256(&self) -> String {
        crate::text::sha256_hex(self.source.text().as_bytes())
    }

    /// Steps, then `finally`, each with those inside of it; not those of runbooks that are called.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.finally).flat_map(Step::with_inside)
    }

    /// As [`Runbook::step_at`]; or what takes a step back, `deploy@undo`, or a step of the runbook that this calls,
    /// `deploy@undo/sure`.
    pub fn asked_at(&self, path: &str) -> Option<&Step> {
        let Some((of, inner)) = path.split_once("@undo") else { return self.step_at(path) };
        let undo = self.step_at(of)?.undo.as_deref()?;
        if inner.is_empty() {
            return Some(undo);
        }
        let Some(super::Inside::Call(call)) = undo.body.action.inside() else { return None };
        call.callee.as_ref()?.runbook.step_at(inner.strip_prefix('/')?)
    }

    /// The step that a path of a run means, such as `admin/scale[web]/proceed`: through loops, which items they have only
    /// a run can say, choices, and runbooks that are called.
    pub fn step_at(&self, path: &str) -> Option<&Step> {
        let (mut book, mut file) = (self, String::new());
        let mut rest = path;
        loop {
            let part = next_part(rest);
            file.push_str(&super::without_items(part));
            let at = |path: &str| book.all_steps().find(|step| step.path.as_str() == path);
            let step = at(&file);
            // What lives beside the steps of a group has the items of that.
            let group = step.and_then(|step| step.path.helps()).and_then(|group| at(group.as_str()));
            let looped = group.or(step).is_some_and(|step| step.foreach.is_some());
            if part.contains('[') && !looped {
                return None;
            }
            rest = &rest[part.len()..];
            let Some(below) = rest.strip_prefix('/') else { return step };
            rest = below;
            if looped && !part.contains('[') {
                return None;
            }
            file.push('/');
            if let Some(super::Inside::Call(call)) = step.and_then(|step| step.body.action.inside()) {
                book = &call.callee.as_ref()?.runbook;
                file.clear();
            }
        }
    }

    /// The steps of `finally` alone, with those inside.
    pub fn final_steps(&self) -> impl Iterator<Item = &Step> {
        self.finally.iter().flat_map(Step::with_inside)
    }

    /// The runbooks it calls, each once, and what these call.
    pub fn callees(&self) -> Vec<&super::Callee> {
        let mut found: Vec<&super::Callee> = Vec::new();
        self.collect_callees(&mut found);
        found
    }

    fn collect_callees<'a>(&'a self, found: &mut Vec<&'a super::Callee>) {
        // What takes a step back may be a call as well, of a runbook that nothing else calls.
        for step in self.all_steps().flat_map(|step| std::iter::once(step).chain(step.undo.as_deref())) {
            if let Some(super::Inside::Call(call)) = step.body.action.inside()
                && let Some(callee) = &call.callee
                && !found.iter().any(|of| of.runbook.name == callee.runbook.name)
            {
                found.push(callee);
                callee.runbook.collect_callees(found);
            }
        }
    }

    /// How many steps read, change and destroy.
    pub fn effects(&self) -> [(Effect, usize); 3] {
        [Effect::Read, Effect::Change, Effect::Destroy].map(|effect| {
            (effect, self.all_steps().filter(|step| step.is_leaf() && step.body.effect == effect).count())
        })
    }
}

/// Up to the next `/` that is not part of an item.
fn next_part(path: &str) -> &str {
    let mut inside = false;
    let end = path.find(|c| {
        inside = (inside || c == '[') && c != ']';
        !inside && c == '/'
    });
    path.get(..end.unwrap_or(path.len())).unwrap_or_default()
}
