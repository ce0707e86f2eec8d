//! Who answers in a simulated run: truthfully, by looking into the ledger. Knows nothing of journals.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use runsheet::{
    operators::{Given, Unattended},
    port::{Answer, Evidence, Local, Operator, Question, QuestionKind, Reply},
    value::{Secret, Type, Value, Written},
    worlds::scenario::clock::Timeline,
};

use super::{facts::canary, world::SimWorld};

/// How somebody answers who is asked about more than facts.
#[derive(Clone, Debug)]
pub struct Manner {
    /// After a failure; `skip` and `done` come with a reason.
    pub after_failure: &'static str,
    /// A process of an earlier engine still runs: `wait` or `end`.
    pub still_running: &'static str,
    /// How long it takes.
    pub takes: Duration,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { after_failure: "retry", still_running: "wait", takes: Duration::from_secs(2) }
    }
}

/// A person at the keyboard.
pub struct Person {
    world: Rc<SimWorld>,
    manner: Manner,
    /// Every text that was shown.
    pub seen: RefCell<Vec<String>>,
    /// Questions that are open; there must never be two.
    open: Cell<bool>,
}

/// A question that is put, until it is answered or withdrawn.
struct Open<'a>(&'a Cell<bool>);

impl Open<'_> {
    fn one(open: &Cell<bool>) -> Open<'_> {
        assert!(!open.replace(true), "two questions at a time");
        Open(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Person {
    pub fn new(world: Rc<SimWorld>, manner: Manner) -> Person {
        Person { world, manner, seen: RefCell::default(), open: Cell::default() }
    }

    async fn answer(&self, question: &Question) -> Answer {
        let step = question.step.as_ref().map(ToString::to_string).unwrap_or_default();
        let because = |word: &str, reason: &str| Answer { reason: Some(reason.into()), ..Answer::word(word) };
        match &question.kind {
            QuestionKind::Confirm { not_now: Some(_), .. } => Answer::word("wait"),
            QuestionKind::Confirm { .. } => Answer::word("yes"),
            QuestionKind::BeforeStep { .. } => Answer::word("run"),
            QuestionKind::Choose => Answer::word(question.choices[0].name.as_ref()),
            QuestionKind::Undo => match question.choices[0].name.as_ref() {
                // Nobody leaves half of something behind.
                "undo-it" => Answer::word(if settle(&self.world, &step) { "undo-it" } else { "leave" }),
                "passed" => Answer::word(if settle(&self.world, &step) { "passed" } else { "not-passed" }),
                _ => Answer::word("go"),
            },
            QuestionKind::Interrupt => Answer::word("finish"),
            QuestionKind::Run => Answer::word(self.manner.still_running),
            QuestionKind::Failure if self.manner.after_failure == "retry" => Answer::word("retry"),
            QuestionKind::Failure => because(self.manner.after_failure, "it never works"),
            QuestionKind::Manual { evidence, .. } => {
                let name = format!("hand-{step}");
                // Whoever is asked a second time does not do it a second time.
                if !self.world.facts().there(&name) {
                    self.world.facts_mut().by_hand(&step, &name);
                }
                let values = evidence.iter().map(|of| (of.name.clone(), evidence_of(of.shape.ty))).collect();
                Answer { values, ..Answer::word("done") }
            }
            QuestionKind::Ask { fields } => {
                let value = |of: &Evidence| match of.is_secret() {
                    true => {
                        self.world.facts_mut().told.insert(of.name.clone());
                        Value::text(canary(&of.name))
                    }
                    false => evidence_of(of.shape.ty),
                };
                let values = fields.iter().map(|of| (of.name.clone(), value(of))).collect();
                Answer { values, ..Answer::word("give") }
            }
            QuestionKind::Unknown => {
                // A look is worth something only when nothing is under way any more.
                while self.world.facts().busy(&step) {
                    self.world.pause(Duration::from_secs(1)).await;
                }
                match settle(&self.world, &step) {
                    true => because("done", "it is there"),
                    false => because("retry", "it is not there"),
                }
            }
            QuestionKind::Withheld { name } => {
                Answer { secret: Some(Secret::new(canary(name))), ..Answer::word("typed") }
            }
        }
    }
}

/// Whether a step took effect. Of one that did half of it a person does the rest.
pub fn settle(world: &SimWorld, step: &str) -> bool {
    let (there, missing) = world.facts().effects_of(step);
    if there.is_empty() {
        return false;
    }
    for name in missing {
        world.facts_mut().by_hand(step, &name);
    }
    true
}

fn evidence_of(ty: Type) -> Value {
    match ty {
        Type::Integer => Value::Int(7),
        Type::Duration => Value::Duration(Duration::from_secs(300)),
        _ => Value::text("evidence"),
    }
}

impl Operator for Person {
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply> {
        Box::pin(async move {
            if self.world.stopped() {
                std::future::pending::<()>().await;
            }
            let _open = Open::one(&self.open);
            let shown = [&question.title, &question.message].into_iter().chain(&question.context);
            self.seen.borrow_mut().extend(shown.cloned());
            self.world.pause(self.manner.takes).await;
            Reply::Answer(self.answer(question).await)
        })
    }

    fn name(&self) -> String {
        "ada".into()
    }

    fn attended(&self) -> bool {
        true
    }
}

/// Nobody, with `--yes` and an answers file that says of every manual step that it is done, and gives every value.
pub fn nobody(steps: impl Iterator<Item = (String, Vec<(String, Type)>)>) -> Unattended {
    let value = |(name, ty): (String, Type)| {
        let text = if ty == Type::Secret { canary(&name) } else { evidence_of(ty).to_string() };
        (name, Written::Text(text))
    };
    let answers = steps.map(|(step, typed)| match typed.is_empty() {
        true => (step, Given::Word("done".into())),
        false => (step, Given::Map(typed.into_iter().map(value).collect())),
    });
    Unattended::new("ci", true, answers.collect())
}
