//! What becomes of the output of a step that captures a secret from it: nobody knows what to mask until it is captured.
//! Knows nothing of how a secret is masked.

use super::{
    Engine,
    context::Attempt,
    judge::{Gathered, texts_of},
    unit::Unit,
};
use crate::{
    port::{Failure, StepReport},
    syntax::Eval,
    value::{Secret, Value},
};

impl<'a> Engine<'a> {
    /// What a new attempt may do. The output of one that captures a secret from it is held back until then.
    pub(super) fn context<'s>(&'s self, step: &Unit<'a>, attempt: u32) -> Attempt<'s, 'a> {
        let cx = Attempt::new(self, &step.path, attempt, step.scope());
        if step.secret_captures().next().is_some() {
            cx.hold();
        }
        if self.lacks_helper(step) {
            cx.does_nothing();
        }
        cx
    }

    /// Whether every secret that a step captures is masked by now. Of a step that failed they are still looked for: its
    /// output says why it failed, and may hold them.
    pub(super) fn knows_secrets(&self, step: &Unit<'a>, report: &StepReport, gathered: &Gathered) -> bool {
        let scope = step.scope();
        step.secret_captures().all(|capture| {
            // An expression that found nothing does not say that nothing is there.
            match gathered.values.get(&capture.name.value) {
                Some(Value::None) => return false,
                Some(_) => return true,
                None => {}
            }
            let Some(result) = &report.result else { return false };
            let Ok(Eval::Value(value)) = capture.value.eval(&scope, &[("result", result.clone())]) else {
                return false;
            };
            let mut texts = Vec::new();
            texts_of(&value, &mut texts);
            !texts.is_empty()
                && texts.into_iter().all(|text| self.publisher.redactor().add(&Secret::new(text), false).is_ok())
        })
    }

    /// The reason of a failure quotes what was said, which may hold a secret that could not be told.
    pub(super) fn unsay(&self, step: &Unit<'a>, report: &mut StepReport, gathered: &Gathered) {
        if report.result.is_none() || self.knows_secrets(step, report, gathered) {
            return;
        }
        let what = match (report.exit, report.http_status) {
            (Some(exit), _) => format!("it exited with {exit}"),
            (None, Some(status)) => format!("the answer was {status}"),
            (None, None) => "it failed".to_owned(),
        };
        let why = format!("{what}; what it said may hold a secret that could not be told");
        report.failure = Some(Failure::plain(why));
    }
}
