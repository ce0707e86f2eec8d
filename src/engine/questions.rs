//! One question at a time: masked, on record before and after, closed when nothing may go on. Knows no answers.

use serde_json::{Map, Value as Json};

use super::{Engine, signals::Turn, unit::Unit};
use crate::{
    event::{Event, StepId},
    port::{Answer, Closing, Question, QuestionKind, Reply, StepError},
    value::{Secret, Value},
};

impl<'a> Engine<'a> {
    /// Asks one question, on record before and after. Texts are masked here, so the operator shows them as they are.
    pub(crate) async fn ask(&self, question: Question) -> Result<Reply, StepError> {
        self.ask_else(question, None).await
    }

    /// As [`Engine::ask`], for a question that has an answer for the case that nobody is there: that is put on record
    /// before anybody else can ask.
    pub(super) async fn ask_else(&self, question: Question, nobody: Option<&str>) -> Result<Reply, StepError> {
        self.ask_in_turn(question, nobody, &mut None).await
    }

    /// As [`Engine::ask_else`], with the turn left to the caller: whoever only wanted to see more is asked again before
    /// anybody else is.
    pub(super) async fn ask_in_turn<'s>(
        &'s self,
        mut question: Question,
        nobody: Option<&str>,
        turn: &mut Option<Turn<'s>>,
    ) -> Result<Reply, StepError> {
        let critical = |step: &Unit<'_>| step.critical && question.step.as_ref() == Some(&step.path);
        if self.all_units().iter().any(critical) {
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
            QuestionKind::Ask { fields } => {
                for field in fields {
                    field.prompt = redactor.text(&field.prompt).into_owned();
                    field.help = field.help.as_deref().map(|help| redactor.text(help).into_owned());
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
        let asking = turn.is_none().then(|| self.signals.asking(question.step.as_ref()));
        let after_no = matches!(question.kind, QuestionKind::Unknown);
        let before = matches!(question.kind, QuestionKind::BeforeStep { .. })
            && question.step.as_ref().is_some_and(|step| !self.has_begun(step));
        let closed = || async {
            match (after_no, before) {
                (true, _) => self.signals.closed().await,
                (false, true) => self.signals.not_begun().await,
                (false, false) => self.signals.stopped().await,
            }
        };
        if let Some(asking) = asking {
            let seat = tokio::select! {
                biased;
                why = closed() => return Ok(Reply::Closed { why, how: Closing::Ended }),
                seat = self.signals.seat.lock() => seat,
            };
            *turn = Some(Turn { _seat: seat, _asking: asking });
        }
        let number = self.put(&question).await?;
        self.signals.put(question.step.as_ref());
        let reply = tokio::select! {
            biased;
            why = closed() => Reply::Closed { why, how: Closing::Ended },
            reply = self.operator.ask(&question) => reply,
        };
        // A run that has failed does not come back to this question.
        if let Reply::Closed { how: Closing::Ended, why } = &reply
            && before
            && self.signals.none_begins().is_some()
        {
            self.answered(number, question.step, "closed", Some(why.clone()), "runsheet".into()).await?;
            return Ok(reply);
        }
        // At a question Ctrl-C is a key, and no signal.
        if let Reply::Closed { how: Closing::Interrupted, why } = &reply {
            self.signals.request_stop(why);
            self.signals.typed_interrupt();
        }
        let (answer, reason, values) = match &reply {
            Reply::Answer(answer) => {
                (answer.word.clone(), answer.reason.clone(), self.typed_on_record(&question, answer)?)
            }
            Reply::Nobody { why } if nobody.is_some() => {
                (nobody.unwrap_or_default().to_owned(), Some(why.clone()), Map::new())
            }
            // The question stays open in the journal: it is asked again.
            Reply::Nobody { .. } | Reply::Closed { .. } => return Ok(reply),
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
        Ok(reply)
    }

    /// The values of an answer as they may stand on record. What was typed as a secret is masked from here on.
    fn typed_on_record(&self, question: &Question, answer: &Answer) -> Result<Map<String, Json>, StepError> {
        let secret = |name: &str| match &question.kind {
            QuestionKind::Ask { fields } => fields.iter().any(|field| field.name == name && field.is_secret()),
            _ => false,
        };
        let redactor = self.publisher.redactor();
        for (name, value) in answer.values.iter().filter(|(name, _)| secret(name)) {
            redactor.add(&Secret::new(value.to_string()), false).map_err(|_| {
                StepError::Paused(format!("the secret `{name}` is shorter than 8 bytes and could not be masked"))
            })?;
        }
        // A value that would stand there masked is none that a resume could go by.
        let shown = |(name, value): (&String, &Value)| {
            let json = value.to_json();
            (!secret(name) && !redactor.holds_in(&json)).then(|| (name.clone(), json))
        };
        Ok(answer.values.iter().filter_map(shown).collect())
    }

    /// Puts a question on record that is not put to the operator in the common way. The caller has the seat.
    pub(super) async fn put(&self, question: &Question) -> Result<u32, StepError> {
        let number = self.state().questions + 1;
        let asked = Event::QuestionAsked {
            question: number,
            step: question.step.clone(),
            about: question.kind.about().to_owned(),
            message: question.message.clone(),
            choices: question.choices.iter().map(|choice| choice.name.to_string()).collect(),
        };
        self.give_up_open_question().await?;
        self.publisher.publish(asked).await.map(|()| number)
    }

    /// A question that was closed without an answer, by a limit or a lost terminal, makes room for another one.
    pub(super) async fn give_up_open_question(&self) -> Result<(), StepError> {
        let open = self.state().question.as_ref().map(|open| (open.question, open.step.clone()));
        let Some((question, step)) = open else { return Ok(()) };
        let reason = Some("it was closed before an answer was given".to_owned());
        self.answered(question, step, "closed", reason, "runsheet".into()).await
    }

    pub(super) async fn answered(
        &self,
        question: u32,
        step: Option<StepId>,
        answer: &str,
        reason: Option<String>,
        by: String,
    ) -> Result<(), StepError> {
        let answer = answer.to_owned();
        self.publisher.publish(Event::QuestionAnswered { question, step, answer, reason, by, values: Map::new() }).await
    }
}
