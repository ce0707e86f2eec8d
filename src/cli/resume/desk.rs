//! Questions before a run goes on, and what is to be put on record of them. Knows none of the questions.

use serde_json::Map;

use crate::{
    cli::{error::code, session::Person},
    engine::RunEnd,
    event::{Event, Outcome, Redactor},
    port::{Answer, Choice, Question, Reply},
};

/// Asks, and keeps what was asked and answered: nothing is done upon it before it is on record.
pub struct Desk<'a> {
    person: &'a Person,
    redactor: &'a Redactor,
    questions: u32,
    pub events: Vec<Event>,
}

impl<'a> Desk<'a> {
    /// `questions` is how many the run has asked so far.
    pub fn new(person: &'a Person, redactor: &'a Redactor, questions: u32) -> Desk<'a> {
        Desk { person, redactor, questions, events: Vec::new() }
    }

    pub fn attended(&self) -> bool {
        self.person.attended()
    }

    /// The answer, or how the run stands without one. `undecided` is why nothing can be done before there is an answer.
    pub async fn ask(&mut self, mut question: Question, undecided: &str) -> Result<Answer, RunEnd> {
        let mask = |text: &mut String| *text = self.redactor.text(text).into_owned();
        mask(&mut question.title);
        mask(&mut question.message);
        question.context.iter_mut().for_each(mask);
        self.questions += 1;
        self.events.push(Event::QuestionAsked {
            question: self.questions,
            step: question.step.clone(),
            about: question.kind.about().to_owned(),
            message: question.message.clone(),
            choices: question.choices.iter().map(|choice| choice.name.to_string()).collect(),
        });
        let answer = match self.person.operator().ask(&question).await {
            Reply::Answer(answer) => answer,
            Reply::Nobody { why } => {
                let reason = format!("{undecided}: {why}");
                return Err(RunEnd { outcome: Outcome::Unknown, code: code::UNKNOWN, reason: Some(reason) });
            }
            Reply::Closed { why, .. } => return Err(paused(why)),
            Reply::Unasked => return Err(paused("the question was not put to anyone".into())),
        };
        self.events.push(Event::QuestionAnswered {
            question: self.questions,
            step: question.step,
            answer: answer.word.clone(),
            reason: answer.reason.clone(),
            by: self.person.operator().name(),
            values: Map::new(),
        });
        if answer.word == "pause" {
            return Err(paused("the operator paused the run".into()));
        }
        Ok(answer)
    }
}

fn paused(why: String) -> RunEnd {
    RunEnd { outcome: Outcome::Paused, code: code::PAUSED, reason: Some(why) }
}

pub fn choice(key: char, name: &'static str, consequence: &str, needs_reason: bool) -> Choice {
    Choice { key, name: name.into(), consequence: consequence.into(), needs_reason }
}

pub fn pause() -> Choice {
    choice('p', "pause", "leave the run as it is; `runsheet resume` asks this again", false)
}
