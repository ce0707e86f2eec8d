//! The operator's choices, each with its consequence. Asks nobody.

use std::{borrow::Cow, time::Duration};

use super::{accept::Seen, undo::Cause, unit::Unit};
use crate::{
    event::{GaveUp, StepId, StepStatus},
    model::Shown,
    port::{Choice, Evidence, Question, QuestionKind},
    value::{Shape, Type, Value},
};

const UNDO_SHOWN: &str = "shown before anything is done";

/// Lines of a command that are shown before it is run.
const SHOWN: usize = 16;

fn choice(key: char, name: impl Into<Cow<'static, str>>, consequence: impl Into<String>) -> Choice {
    Choice { key, name: name.into(), consequence: consequence.into(), needs_reason: false }
}

fn with_reason(choice: Choice) -> Choice {
    Choice { needs_reason: true, ..choice }
}

fn quit(step: &Unit<'_>) -> Choice {
    choice(
        'q',
        "quit",
        match step.path.undoes() {
            Some(_) => "end the run as it is, the undo not finished; `runsheet undo` takes it up again",
            None => "end the run as declined; it cannot be resumed",
        },
    )
}

/// Before what ran is taken back. What is taken back, and what stays, is the context.
pub(super) fn undo(cause: &Cause, any: bool, closed: bool) -> Question {
    let mut choices = Vec::new();
    if any {
        choices.push(choice('g', "go", "undo all of this, in this order"));
        choices.push(choice('s', "step", "the same, asked before each"));
    }
    match cause {
        Cause::Chosen(_) => choices.push(choice('b', "back", "undo nothing; back to the step")),
        Cause::Interrupted => choices.push(choice('b', "back", "undo nothing; the run goes on")),
        _ => {}
    }
    match (cause, closed) {
        (Cause::Asked, true) => choices.push(choice('q', "quit", "undo nothing; the run stays as it was")),
        (Cause::Asked, false) => choices.push(choice('q', "quit", "undo nothing; the run is as it was, to be resumed")),
        (Cause::Policy, _) => {
            choices.push(choice('p', "pause", "stop here; `runsheet resume` asks this again"));
            choices.push(choice('q', "quit", "undo nothing; the run ends as failed"));
        }
        _ => {
            choices.push(choice('p', "pause", "stop here; `runsheet resume` goes on"));
            choices.push(choice('q', "quit", "undo nothing; the run ends as declined"));
        }
    }
    Question {
        step: None,
        title: String::new(),
        message: "This would be undone, latest first:".into(),
        context: Vec::new(),
        kind: QuestionKind::Undo,
        choices,
    }
}

/// A step that did not succeed may have done half of what it does.
pub(super) fn half_done(step: &Unit<'_>, title: String, status: Option<StepStatus>, detail: Option<&str>) -> Question {
    let ended = if status == Some(StepStatus::Skipped) { "was left" } else { "failed" };
    let (message, choices) = match detail {
        Some(_) => (
            format!("It {ended}, and may have done a part of what it does. Is it to be undone as well?"),
            vec![
                choice('u', "undo-it", "run its undo as well, in its turn"),
                choice('l', "leave", "leave it as it is"),
            ],
        ),
        None => (
            format!("It {ended}, and is a point of no return. Did it take effect?"),
            vec![
                choice('y', "passed", "it may have: nothing before it is undone"),
                choice('n', "not-passed", "it did not: what ran before it can be undone"),
            ],
        ),
    };
    let mut choices = choices;
    choices.push(choice('p', "pause", "stop here; nothing is undone"));
    Question {
        step: Some(step.path.clone()),
        title,
        message,
        context: detail.into_iter().flat_map(str::lines).map(str::to_owned).collect(),
        kind: QuestionKind::Undo,
        choices,
    }
}

/// Before a step that changes something.
pub(super) fn before_step(step: &Unit<'_>, title: String, shown: &Shown) -> Question {
    // Nobody should say yes to a comment: what fits on the screen is shown, and how much more there is.
    let lines: Vec<&str> = shown.detail.lines().collect();
    let mut context: Vec<String> = lines.iter().take(SHOWN).map(|line| (*line).to_owned()).collect();
    if lines.len() > SHOWN {
        context.push(format!("… {} more lines; c shows them all", lines.len() - SHOWN));
    }
    context.extend(shown.values.iter().map(|(name, value)| format!("{name} = {value}")));
    let mut choices = vec![choice('r', "run", "run this step")];
    if !step.critical {
        let what = if step.undoes {
            "leave its effect in place; the undo goes on"
        } else {
            "leave it out; steps after it go on"
        };
        choices.push(with_reason(choice('s', "skip", what)));
    }
    choices.extend([
        choice('c', "command", "show in full what would be run"),
        with_reason(choice('d', "done", "you have done it by hand; say how")),
        choice('a', "auto", "run on to the next confirmation"),
        choice('p', "pause", "stop here; `runsheet resume` goes on"),
        quit(step),
    ]);
    Question {
        step: Some(step.path.clone()),
        title,
        message: "Run it?".into(),
        context,
        kind: QuestionKind::BeforeStep { effect: step.body.effect },
        choices,
    }
}

/// After a failure.
pub(super) fn failure(step: &Unit<'_>, title: String, why: &str, output: &[String]) -> Question {
    let mut choices = vec![choice('r', "retry", "run this step again")];
    if !step.critical {
        let what = match step.undoes {
            true => "leave it; what ran before is still undone",
            false => "leave it; steps after it go on without its values",
        };
        choices.push(with_reason(choice('s', "skip", what)));
    }
    choices.extend([
        with_reason(choice('d', "done", "you have done it by hand; say how")),
        choice('o', "output", "show the end of its output"),
        choice('u', "undo", format!("undo what ran, latest first; {UNDO_SHOWN}")),
        choice('p', "pause", "stop here; `runsheet resume` asks this again"),
        quit(step),
    ]);
    Question {
        step: Some(step.path.clone()),
        title,
        message: format!("Failed: {why}"),
        context: last(output, 8),
        kind: QuestionKind::Failure,
        choices,
    }
}

/// The name that is asked for where several values may be given.
pub(super) const WHICH: &str = "which";

/// What a person at a terminal may do besides, behind the choice to repeat the step: give a value that it uses, and look
/// around with what it would have.
pub(super) fn help_oneself(question: &mut Question, lost: bool, values: bool) {
    let again = question.choices.iter().position(|choice| choice.name == "retry");
    if let (Some(at), true) = (again, values) {
        let key = if question.choices.iter().any(|choice| choice.key == 'e') { 'v' } else { 'e' };
        let what = if lost {
            "give a value that it lacks, or another one to a parameter"
        } else {
            "give another value to a parameter that it uses"
        };
        let edit = choice(key, "edit", format!("{what}, and run it again"));
        let edit = Choice { needs_reason: question.choices[at].needs_reason, ..edit };
        question.choices.insert(at + 1, edit);
    }
    if let Some(at) = question.choices.iter().position(|choice| choice.name == "output") {
        let what = "a shell with the variables and in the folder of the step, then this again";
        question.choices.insert(at + 1, choice('h', "shell", what));
    }
}

/// The value that is asked for by [`how_long`].
pub(super) const LONGER: &str = "for";

/// After an alarm or a deadline, behind the choice to repeat the step.
pub(super) fn offer(question: &mut Question, seen: &Seen) {
    let extend = match seen.how {
        GaveUp::Alarm => "watch on; you say how long, and what counts is the new watch",
        GaveUp::Deadline => "wait on; you say how long",
    };
    let mut offers = vec![choice('e', "extend", extend)];
    // What later steps use must be there.
    if seen.values.is_some() {
        offers.push(with_reason(choice('a', "accept", "take it as it is; the step counts as succeeded")));
    }
    question.choices.splice(1..1, offers);
}

/// How much longer. Whoever backs out of it comes back to the menu.
pub(super) fn how_long(failed: &Question) -> Question {
    let shape = Shape { min: Some(Value::Duration(Duration::from_secs(1))), ..Shape::of(Type::Duration) };
    let longer = Evidence { prompt: "How much longer (such as 10m)".into(), ..Evidence::of(LONGER, shape) };
    Question {
        step: failed.step.clone(),
        title: failed.title.clone(),
        message: "How much longer?".into(),
        context: Vec::new(),
        kind: QuestionKind::Ask { fields: vec![longer] },
        choices: Vec::new(),
    }
}

/// After an end that left the effect open.
///
/// After a no, what had no effect is not run again: the run is `over`.
pub(super) fn unknown(
    step: &Unit<'_>,
    title: String,
    why: &str,
    effects: &[String],
    output: &[String],
    over: bool,
) -> Question {
    let mut context: Vec<String> = effects.iter().map(|effect| format!("on record before the end: {effect}")).collect();
    context.extend(last(output, 8));
    let mut choices = vec![
        with_reason(choice('d', "done", "it took effect; say how you know")),
        with_reason(match over {
            true => choice('n', "not-done", "it did not take effect, and is not run again; say how you know"),
            false => choice('r', "retry", "it did not take effect: run it again; say how you know"),
        }),
    ];
    if !step.critical {
        choices.push(with_reason(choice('s', "skip", "leave it as it is; steps after it go on without its values")));
    }
    choices.extend([
        choice('o', "output", "show the end of its output"),
        choice(
            'u',
            "undo",
            format!("undo what ran, latest first; this is asked again before, and all is {UNDO_SHOWN}"),
        ),
        choice('p', "pause", "stop here; `runsheet resume` asks this again"),
        quit(step),
    ]);
    Question {
        step: Some(step.path.clone()),
        title,
        message: format!("Nobody knows whether this step took effect: {why}"),
        context,
        kind: QuestionKind::Unknown,
        choices,
    }
}

/// Which way to go.
pub(super) fn choose(step: &Unit<'_>, title: String, message: String, ways: &[(String, String)]) -> Question {
    let mut taken = vec!['p', 'q'];
    let mut choices: Vec<Choice> = Vec::new();
    for (number, (id, what)) in ways.iter().enumerate() {
        // A letter of its name where one is free, else its number.
        let digit = char::from_digit(u32::try_from(number + 1).unwrap_or(u32::MAX), 36).unwrap_or('?');
        let letter = id.chars().filter(char::is_ascii_lowercase).find(|letter| !taken.contains(letter));
        let key = letter.unwrap_or(digit);
        taken.push(key);
        choices.push(choice(key, id.clone(), what.clone()));
    }
    choices.extend([
        choice('p', "pause", "stop here; `runsheet resume` asks this again"),
        choice('q', "quit", "end the run as declined; it cannot be resumed"),
    ]);
    Question { step: Some(step.path.clone()), title, message, context: Vec::new(), kind: QuestionKind::Choose, choices }
}

/// A supervisor of an earlier session still runs the step.
pub(super) fn still_running(step: &StepId, title: String, effects: &[String], output: &[String]) -> Question {
    let mut context: Vec<String> = effects.iter().map(|effect| format!("on record: {effect}")).collect();
    context.extend(last(output, 8));
    Question {
        step: Some(step.clone()),
        title,
        message: "This step was started before and is still running.".into(),
        context,
        kind: QuestionKind::Run,
        choices: vec![
            choice('w', "wait", "wait for it to end; Ctrl-C leaves it running and pauses"),
            choice('e', "end", "end it; whether it took effect is then looked at, or asked"),
            choice('p', "pause", "leave it running and stop here"),
        ],
    }
}

/// What the command line has answered already.
pub(super) fn decided(step: &StepId) -> Question {
    Question {
        step: Some(step.clone()),
        title: step.to_string(),
        message: "Whether this step took effect was decided on the command line.".into(),
        context: Vec::new(),
        kind: QuestionKind::Unknown,
        choices: vec![choice('d', "done", "it took effect"), choice('n', "not-done", "it did not take effect")],
    }
}

/// Ctrl-C while steps run. Each of several can be interrupted alone; those beyond the ninth go with the others.
/// Nothing goes on as before where the run is `stopping` already.
pub(super) fn interrupt(running: &[StepId], stopping: bool, undo: bool) -> Question {
    let several = running.len() > 1;
    let (them, each) = if several { ("the steps", "every step") } else { ("the step", "the step") };
    let mut choices = Vec::new();
    if !stopping {
        choices.push(choice('g', "go-on", "go on as if nothing had happened"));
    }
    choices.extend([
        choice('f', "finish", format!("let {them} finish, then pause")),
        choice('i', "interrupt", format!("interrupt {each} (INT), then pause")),
    ]);
    if several {
        let one = |(key, step): (char, &StepId)| {
            choice(key, one_of(step), format!("interrupt {step} alone (INT); the others go on"))
        };
        choices.extend(('1'..='9').zip(running).map(one));
    }
    if undo {
        choices.push(choice('u', "undo", format!("let {them} finish, then undo what ran; {UNDO_SHOWN}")));
    }
    choices.push(choice('k', "kill", format!("kill {each} now, then pause")));
    let message = match running {
        [step] => format!("{step} goes on until you decide."),
        _ => {
            let names: Vec<&str> = running.iter().map(StepId::as_str).collect();
            format!("{} steps go on until you decide: {}", names.len(), names.join(", "))
        }
    };
    Question {
        step: None,
        title: "Ctrl-C".into(),
        message,
        context: Vec::new(),
        kind: QuestionKind::Interrupt,
        choices,
    }
}

fn one_of(step: &StepId) -> String {
    format!("interrupt {step}")
}

/// Whether an answer to that menu is meant for one step alone, and for this one.
pub(super) fn interrupts(answer: &str, step: &StepId) -> bool {
    answer == one_of(step)
}

/// A value that is not on record and cannot be made again.
pub(super) fn withheld(step: &StepId, name: &str) -> Question {
    Question {
        step: Some(step.clone()),
        title: step.to_string(),
        message: format!("`{name}` was captured as a secret and is not on record; type it again"),
        context: Vec::new(),
        kind: QuestionKind::Withheld { name: name.to_owned() },
        choices: Vec::new(),
    }
}

fn last(lines: &[String], count: usize) -> Vec<String> {
    lines[lines.len().saturating_sub(count)..].to_vec()
}
