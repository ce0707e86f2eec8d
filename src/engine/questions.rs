//! One question at a time: masked, on record before and after, closed when nothing may go on. Knows no answers.

use serde_json::Map;

use super::Engine;
use crate::{
    event::Event,
    model::Step,
    port::{Answer, Question, QuestionKind, Reply, StepError},
};

impl Engine<'_> {
    /// Asks one question, on record before and after. Texts are masked here, so the operator shows them as they are.
    pub(crate) async fn ask(&self, mut question: Question) -> Result<(Reply, u32), StepError> {
        let critical = |step: &Step| step.critical && question.step.as_ref() == Some(&step.path);
        if self.plan.runbook.all_steps().any(critical) {
            question.choices.retain(|choice| choice.name != "skip");
        }
        let redactor = self.publisher.redactor();
        question.title = redactor.text(&question.title).into_owned();
        question.message = redactor.text(&question.message).into_owned();
        for line in &mut question.context {
            *line = redactor.text(line).into_owned();
        }
        for choice in &mut question.choices {
            choice.consequence = redactor.text(&choice.consequence).into_owned();
        }
        match &mut question.kind {
            QuestionKind::Manual { open, evidence } => {
                if let Some(open) = open {
                    *open = redactor.text(open).into_owned();
                }
                for evidence in evidence {
                    evidence.prompt = redactor.text(&evidence.prompt).into_owned();
                }
            }
            // Masked, nobody could type it; as it is, everybody would see it.
            QuestionKind::Confirm { type_back: Some(text), .. } if redactor.holds(text) => {
                let why = format!("the text to be typed for {} holds a secret, so it cannot be shown", question.title);
                return Err(StepError::Paused(why));
            }
            _ => {}
        }
        // Others may ask as well: nothing starts, and each waits for its turn.
        let _asking = self.signals.asking(question.step.as_ref());
        let after_no = matches!(question.kind, QuestionKind::Unknown);
        let closed = || async { if after_no { self.signals.closed().await } else { self.signals.stopped().await } };
        let _turn = tokio::select! {
            biased;
            why = closed() => return Ok((Reply::Closed { why }, 0)),
            turn = self.signals.seat.lock() => turn,
        };
        self.give_up_open_question().await?;
        let number = self.publisher.state().questions + 1;
        self.publisher
            .publish(Event::QuestionAsked {
                question: number,
                step: question.step.clone(),
                about: question.kind.about().to_owned(),
                message: question.message.clone(),
                choices: question.choices.iter().map(|choice| choice.name.to_string()).collect(),
            })
            .await?;
        let reply = tokio::select! {
            reply = self.operator.ask(&question) => reply,
            why = closed() => Reply::Closed { why },
        };
        let (answer, reason, values) = match &reply {
            Reply::Answer(Answer { word, reason, values, .. }) => {
                let values: Map<_, _> = values.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
                (word.clone(), reason.clone(), values)
            }
            // The question stays open in the journal: it is asked again.
            Reply::Nobody { .. } | Reply::Closed { .. } => return Ok((reply, number)),
            Reply::Unasked => ("not asked".to_owned(), None, Map::new()),
        };
        self.publisher
            .publish(Event::QuestionAnswered {
                question: number,
                step: question.step.clone(),
                answer,
                reason,
                by: self.operator.name(),
                values,
            })
            .await?;
        Ok((reply, number))
    }
}
