//! Who answers in a scenario: nobody but its answers. Remembers what was asked.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
};

use indexmap::IndexMap;

use crate::{
    operators::{Given, Unattended},
    port::{Local, Operator, Question, Reply},
    text::Spanned,
};

/// A question that was put.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The full id of the step; none for one about the run.
    pub step: Option<String>,
    /// The word in `question_asked`.
    pub about: &'static str,
    pub message: String,
    /// Why nobody answered it, if nobody did.
    pub unanswered: Option<String>,
}

/// Answers by full step id, each of a list in its turn.
pub struct Answers {
    queues: RefCell<HashMap<String, VecDeque<Unattended>>>,
    nobody: Unattended,
    asked: RefCell<Vec<Asked>>,
    used: RefCell<Vec<String>>,
}

const NAME: &str = "scenario";

impl Answers {
    pub fn new(answers: &IndexMap<String, Spanned<Vec<Given>>>) -> Answers {
        let one =
            |id: &String, given: &Given| Unattended::new(NAME, false, IndexMap::from([(id.clone(), given.clone())]));
        let queue = |(id, list): (&String, &Spanned<Vec<Given>>)| {
            (id.clone(), list.value.iter().map(|given| one(id, given)).collect())
        };
        Answers {
            queues: RefCell::new(answers.iter().map(queue).collect()),
            nobody: Unattended::new(NAME, false, IndexMap::new()),
            asked: RefCell::default(),
            used: RefCell::default(),
        }
    }

    /// Every question so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Whether an answer was given under this key.
    pub fn is_used(&self, key: &str) -> bool {
        self.used.borrow().iter().any(|used| used == key)
    }

    async fn reply(&self, question: &Question) -> Reply {
        let key = question.step.as_ref().map_or_else(|| question.kind.about().to_owned(), ToString::to_string);
        // What is about the run is answered as if it were a step of that name.
        let named = Question { step: Some(crate::event::StepId::new(&key)), ..question.clone() };
        let Some(mut queue) = self.queues.borrow_mut().remove(&key) else { return self.nobody.ask(question).await };
        let mut reply = Reply::Nobody { why: "there is no answer left".into() };
        if let Some(next) = queue.front() {
            reply = next.ask(&named).await;
            // One that will not do was given as well: it is asked again with the same words.
            self.used.borrow_mut().push(key.clone());
            if matches!(reply, Reply::Answer(_)) && queue.len() > 1 {
                queue.pop_front();
            }
        }
        self.queues.borrow_mut().insert(key, queue);
        reply
    }
}

impl Operator for Answers {
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply> {
        Box::pin(async move {
            let reply = self.reply(question).await;
            self.asked.borrow_mut().push(Asked {
                step: question.step.as_ref().map(ToString::to_string),
                about: question.kind.about(),
                message: format!("{}\n{}", question.title, question.message),
                unanswered: match &reply {
                    Reply::Nobody { why } => Some(why.clone()),
                    _ => None,
                },
            });
            reply
        })
    }

    fn name(&self) -> String {
        NAME.into()
    }

    fn attended(&self) -> bool {
        false
    }
}
