//! A scenario with a person in it: the same run in the same world, in time that passes, with what the person was asked
//! and said. Knows nothing of terminals.

use std::{cell::RefCell, future::Future, pin::pin, rc::Rc, task::Poll, time::Duration};

use super::{
    person::Answers,
    run::{Ended, Pace, script, simulate, unattended},
    scenario::{Scenario, Startle},
};
use crate::{
    engine::{RunEnd, Signal},
    event::{Redactor, RunState},
    plan::Plan,
    port::{Local, Operator, Question, QuestionKind, Reply, Sink, World},
    worlds::scenario::{Paced, Stage, Surprise, Unanswered, clock::Halt},
};

/// Makes what shows a program, from what was on record before it.
pub type Sinks<'a> = dyn Fn(Option<&RunState>) -> Vec<Rc<dyn Sink>> + 'a;

/// What there is while somebody lives through it.
pub struct Live<'a> {
    /// What shows the run, made anew for each program; with what was on record before, where one died.
    pub sinks: &'a Sinks<'a>,
    pub signals: &'a dyn Fn() -> tokio::sync::mpsc::UnboundedReceiver<Signal>,
    pub step_mode: bool,
}

/// How a scenario is rehearsed.
pub struct Rehearsal<'a> {
    pub live: Live<'a>,
    /// Who answers.
    pub person: &'a dyn Operator,
    /// Whose clock is taken.
    pub real: Rc<dyn World>,
    /// How many seconds of the run go into one of the person's.
    pub speed: u32,
    /// Which of the scenario's surprises comes, and when.
    pub surprise: Option<u64>,
}

/// A question that was put to a person.
#[derive(Clone, Debug)]
pub struct Met {
    /// The full id of the step; none for one about the run.
    pub step: Option<String>,
    /// The word in `question_asked`.
    pub about: &'static str,
    pub title: String,
    /// The word of the answer, or why there is none.
    pub answer: Result<String, String>,
    pub reason: Option<String>,
    /// What was given besides, without secrets.
    pub values: Vec<(String, String)>,
    /// How long the person took.
    pub took: Duration,
}

/// What came of a rehearsal.
pub struct Rehearsed {
    /// How the run ended; or why it did not.
    pub end: Result<RunEnd, String>,
    pub state: RunState,
    pub met: Vec<Met>,
    /// How long it took, by the clock of the run and by the person's.
    pub simulated: Duration,
    pub took: Duration,
    /// What was to go wrong, and whether it did.
    pub surprise: Option<(Surprise, bool)>,
    /// The first command or request that no rule answers.
    pub unanswered: Option<Unanswered>,
    pub redactor: Redactor,
}

/// Why nothing was rehearsed.
pub enum NotRehearsed {
    /// It names no surprises.
    NoSurprises,
    /// With the answers of the scenario none of these steps does anything.
    NeverReached(Vec<String>),
}

/// Runs a scenario with a person who answers. Waits in real time, inside a runtime that has a clock.
///
/// `plan` is that of the scenario's own inputs.
pub async fn rehearse(plan: &Plan, scenario: &Scenario, how: &Rehearsal<'_>) -> Result<Rehearsed, NotRehearsed> {
    let surprise = how.surprise.map(|seed| choose(plan, scenario, seed)).transpose()?;
    let began = how.real.now();
    let clock = Rc::new(Paced::new(Rc::clone(&how.real), how.speed));
    let stage = Rc::new(Stage::new(script(plan, scenario), Rc::clone(&clock) as Rc<_>));
    stage.be_lenient();
    if let Some(surprise) = &surprise {
        stage.surprise(surprise.clone());
    }
    let noted = Noted { person: how.person, real: &*how.real, clock: &clock, met: RefCell::default() };
    let came = simulate(plan, scenario, &noted, Rc::clone(&stage), &Pace::Live(&how.live)).await;
    let end = match came.end {
        Ended::Run(end) => Ok(end),
        Ended::Unanswered => Err("the run does something again and again without end".to_owned()),
        Ended::Hangs(_) => Err("the run waits for what never happens".to_owned()),
        Ended::Refused(why) => Err(why),
    };
    Ok(Rehearsed {
        end,
        state: came.state,
        met: noted.met.into_inner(),
        simulated: came.simulated,
        took: how.real.now().saturating_sub(began),
        surprise: surprise.map(|surprise| (surprise, stage.surprised())),
        unanswered: stage.unanswered(),
        redactor: came.redactor,
    })
}

/// Later attempts than this are rarely where a surprise teaches something.
const LATEST: usize = 3;

/// One of the surprises, at one of the moments that come in this scenario when it goes as it says: the same for the same
/// seed.
fn choose(plan: &Plan, scenario: &Scenario, seed: u64) -> Result<Surprise, NotRehearsed> {
    if scenario.surprises.is_empty() {
        return Err(NotRehearsed::NoSurprises);
    }
    let stage = unattended(plan, scenario, &Answers::new(&scenario.answers)).stage;
    let (commands, requests) = (stage.commands(), stage.requests());
    let times = |of: &Startle| match of.reply {
        crate::worlds::scenario::SurpriseReply::Shell(_) => commands.iter().filter(|seen| seen.step == of.step).count(),
        crate::worlds::scenario::SurpriseReply::Http(_) => requests.iter().filter(|seen| seen.step == of.step).count(),
    };
    let possible: Vec<(&Startle, usize)> =
        scenario.surprises.iter().map(|of| (&of.value, times(&of.value))).filter(|(_, times)| *times > 0).collect();
    let mut dice = Dice(seed);
    let Some((of, times)) = dice.below(possible.len()).map(|at| possible[at]) else {
        return Err(NotRehearsed::NeverReached(scenario.surprises.iter().map(|of| of.value.step.clone()).collect()));
    };
    let turn = dice.below(times.min(LATEST)).unwrap_or(0) + 1;
    Ok(Surprise { step: of.step.clone(), turn, reply: of.reply.clone() })
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere and for ever.
struct Dice(u64);

impl Dice {
    /// A number below this one; none below nothing.
    fn below(&mut self, limit: usize) -> Option<usize> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let limit = u64::try_from(limit).ok()?;
        // The remainder is below a number that was a `usize`.
        z.checked_rem(limit).and_then(|rest| usize::try_from(rest).ok())
    }
}

/// Polls until it is over or its program is dead.
pub(super) async fn until_dead<T>(stage: &Stage, future: impl Future<Output = T>) -> Result<T, Halt> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let ready = future.as_mut().poll(cx);
        // Whatever it still said in the moment of its death was said to nobody.
        if stage.is_dead() { Poll::Ready(Err(Halt::Stopped)) } else { ready.map(Ok) }
    })
    .await
}

/// The person, with what is asked and answered written down.
struct Noted<'a> {
    person: &'a dyn Operator,
    real: &'a dyn World,
    clock: &'a Paced,
    met: RefCell<Vec<Met>>,
}

/// The values of an answer, in the words of whoever asked.
fn given(question: &Question, reply: &Reply) -> Vec<(String, String)> {
    let (QuestionKind::Manual { evidence: wanted, .. } | QuestionKind::Ask { fields: wanted }, Reply::Answer(answer)) =
        (&question.kind, reply)
    else {
        return Vec::new();
    };
    let open = wanted.iter().filter(|wanted| !wanted.is_secret());
    open.filter_map(|wanted| Some((wanted.name.clone(), wanted.shape.written(answer.values.get(&wanted.name)?))))
        .collect()
}

impl Operator for Noted<'_> {
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply> {
        Box::pin(async move {
            let held = self.clock.hold();
            let began = self.real.now();
            let mut shown = question.clone();
            shown.context.insert(0, "a rehearsal: nothing is really done".to_owned());
            for choice in shown.choices.iter_mut().filter(|choice| choice.name == "pause") {
                choice.consequence = "stop here; a rehearsal cannot be gone on with".to_owned();
            }
            let reply = self.person.ask(&shown).await;
            drop(held);
            let (answer, reason) = match &reply {
                Reply::Answer(answer) => (Ok(answer.word.clone()), answer.reason.clone()),
                Reply::Nobody { why } | Reply::Closed { why, .. } => (Err(why.clone()), None),
                Reply::Unasked => (Err("not asked".to_owned()), None),
            };
            self.met.borrow_mut().push(Met {
                step: question.step.as_ref().map(ToString::to_string),
                about: question.kind.about(),
                title: if question.message.is_empty() { &question.title } else { &question.message }.clone(),
                answer,
                reason,
                values: given(question, &reply),
                took: self.real.now().saturating_sub(began),
            });
            reply
        })
    }

    fn name(&self) -> String {
        self.person.name()
    }

    fn attended(&self) -> bool {
        true
    }
}
