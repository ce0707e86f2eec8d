//! Answers from a queue, for tests. Knows nothing of the questions it answers, but keeps them.

use std::{
    cell::{Ref, RefCell},
    collections::VecDeque,
};

use crate::port::{Answer, Local, Operator, Question, Reply};

/// Gives prepared replies in turn; a question after the last one finds nobody.
#[derive(Default)]
pub struct Scripted {
    replies: RefCell<VecDeque<Reply>>,
    asked: RefCell<Vec<Question>>,
    attended: bool,
}

impl Scripted {
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Scripted {
        Scripted { replies: RefCell::new(replies.into_iter().collect()), attended: true, ..Scripted::default() }
    }

    /// Answers that are one word each.
    pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Scripted {
        Scripted::new(words.into_iter().map(|word| Reply::Answer(Answer::word(word))))
    }

    /// Says that no person is there.
    pub fn unattended(mut self) -> Scripted {
        self.attended = false;
        self
    }

    /// Every question so far.
    pub fn asked(&self) -> Ref<'_, Vec<Question>> {
        self.asked.borrow()
    }

    /// Replies nobody has asked for yet.
    pub fn left(&self) -> usize {
        self.replies.borrow().len()
    }
}

impl Operator for Scripted {
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply> {
        self.asked.borrow_mut().push(question.clone());
        let reply = self.replies.borrow_mut().pop_front();
        Box::pin(async move { reply.unwrap_or_else(|| Reply::Nobody { why: "the script has no more answers".into() }) })
    }

    fn name(&self) -> String {
        "script".into()
    }

    fn attended(&self) -> bool {
        self.attended
    }
}
