//! Which of several ways is taken: by condition, or by a person. Runs none of them.

use super::{
    Engine, Standing,
    containers::Enter,
    menu,
    unit::{Unit, ended_slot},
};
use crate::{
    event::StepStatus,
    model::{Choose, Step},
    port::{Failure, Reply, StepError},
    syntax::Truth,
    text::Diagnostic,
    value::Slot,
};

impl<'a> Engine<'a> {
    /// The case that is taken; `Err` where none is, or none yet.
    pub(super) async fn choose(&self, step: &Unit<'a>, choose: &'a Choose) -> Result<Result<String, Enter>, StepError> {
        let scope = step.scope();
        let mut holding = Vec::new();
        for case in &choose.cases {
            let Some(when) = &case.when else {
                if choose.question.is_some() {
                    holding.push(case);
                }
                continue;
            };
            match when.eval_bool(&scope, &[]) {
                Ok(Truth::True) => {
                    holding.push(case);
                    if choose.question.is_none() {
                        break;
                    }
                }
                Ok(Truth::False) => {}
                Ok(Truth::Deferred(names)) => return self.waits(step, names).await.map(Err),
                Err(diagnostic) => return Ok(Err(Enter::Broken(Failure::drawn(diagnostic)))),
            }
        }
        if choose.question.is_none() {
            let taken = holding.first().copied().or(choose.cases.iter().find(|case| case.otherwise));
            return Ok(taken.map(|case| case.id.value.clone()).ok_or_else(|| {
                let problem = Diagnostic::error("no-case", step.body.kind_span, "the condition of no case holds")
                    .label("none of these is taken")
                    .hint("a case with `else: true` is taken where no other is");
                Enter::Broken(Failure::drawn(problem))
            }));
        }
        if holding.is_empty() {
            let problem = Diagnostic::error("no-case", step.body.kind_span, "the condition of no case holds")
                .label("there is nothing to choose from");
            return Ok(Err(Enter::Broken(Failure::drawn(problem))));
        }
        // What was answered before the run was cut short is not asked again.
        let said = self.state().steps.get(&step.path).and_then(|of| Some(of.answers.last()?.0.clone()));
        if let Some(case) = said.and_then(|said| holding.iter().find(|case| case.id.value == said).copied()) {
            return Ok(Ok(case.id.value.clone()));
        }
        self.signals.may_start().await.map_err(StepError::Paused)?;
        if !self.is_running(step) {
            self.start_as(step, step.body.kind).await?;
        }
        let message = choose.question.as_ref().map(|question| question.show(&scope, &[])).unwrap_or_default();
        let ways: Vec<(String, String)> = holding
            .iter()
            .map(|case| {
                let title = case.title.as_ref().map(|title| title.show(&scope, &[]));
                (case.id.value.clone(), title.unwrap_or_else(|| "take this way".to_owned()))
            })
            .collect();
        let question = menu::choose(step, self.title(step), message, &ways);
        match self.ask(question).await? {
            Reply::Answer(answer) if answer.word == "pause" => {
                Err(StepError::Paused("the operator paused the run".into()))
            }
            Reply::Answer(answer) if answer.word == "quit" => {
                Err(StepError::Declined(format!("the operator quit at {}", step.path)))
            }
            Reply::Answer(answer) if ways.iter().any(|(id, _)| *id == answer.word) => Ok(Ok(answer.word)),
            Reply::Answer(answer) => Err(StepError::Paused(format!("`{}` is no answer to this question", answer.word))),
            // Nothing hangs on it: what it would lead to stays as written.
            Reply::Unasked => Ok(Err(Enter::Over(Standing::Satisfied))),
            Reply::Nobody { why } | Reply::Closed { why, .. } => Err(StepError::Paused(why)),
        }
    }

    /// The steps of the cases that are not taken.
    pub(super) fn leave_out_others(&self, step: &Unit<'a>, choose: &'a Choose, taken: &str) {
        let given = |steps: &'a [Step]| steps.iter().flat_map(Step::with_inside);
        let kept: Vec<String> = choose
            .cases
            .iter()
            .filter(|case| case.id.value == taken)
            .flat_map(|case| given(&case.steps).flat_map(Step::gives))
            .map(|name| name.value)
            .collect();
        let mut scope = step.frame.scope.borrow_mut();
        for case in choose.cases.iter().filter(|case| case.id.value != taken) {
            for of in given(&case.steps) {
                scope.set_step(of.path.as_str(), ended_slot(of, StepStatus::Skipped.name()));
                for name in of.gives() {
                    if !kept.contains(&name.value) {
                        scope.set(&name.value, Slot::Absent);
                    }
                }
            }
        }
    }
}
