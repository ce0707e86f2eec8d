//! What an operator is to do when a step does not end well, in words: the rules of a run, told before it. Runs nothing.

use super::page::{Block, Line, Page};
use crate::{
    event::{Effect, GaveUp},
    model::{OnFailure, Runbook, Step},
};

/// What the answers mean, once for all steps.
pub(super) fn rules(runbook: &Runbook, page: &mut Page) {
    let asks = |step: &Step| step.policy() == OnFailure::Ask && !step.body.action.is_gate();
    if !runbook.all_steps().any(asks) {
        return;
    }
    page.push(Line::of("When a step fails").heading(2));
    page.push(
        Line::of("Each step says below what happens then. Where the run stops and asks, these are the answers:")
            .paragraph(),
    );
    let offers = runbook.all_steps().any(|step| step.body.action.gives_up_at().is_some());
    let offers = offers.then(|| {
        [
            Line::label("extend:").text(" after an alarm or at a deadline, go on for a time that you are asked for"),
            Line::label("accept,").text(" with a reason: take what was found then; the step counts as succeeded"),
        ]
    });
    let answers = [
        Line::label("retry:").text(" run the step again"),
        Line::label("skip,").text(" with a reason: leave it; later steps go on without its values"),
        Line::label("done,").text(" with a reason: you have done it by hand"),
        Line::label("output:").text(" see the end of what it wrote"),
        Line::label("pause:").text(" stop here; ").code("runsheet resume last").text(" asks again"),
        Line::label("quit:").text(" end the run as declined; it cannot be resumed"),
    ];
    page.lines(answers.into_iter().chain(offers.into_iter().flatten()).collect());
    page.push(
        Line::of("With nobody at the keyboard nothing new starts then, and the run closes as failed (exit code 1).")
            .paragraph(),
    );
}

/// The part of a step's description that is read at three in the morning.
pub(super) fn describe(step: &Step, page: &mut Page) {
    let action = &step.body.action;
    if action.is_gate() {
        return gate(step, page);
    }
    let mut lines = Vec::new();
    if action.is_asked() {
        let mut line = match action.only_asks() {
            true => Line::of("You are asked for each value until it will do. Esc leads to "),
            false => Line::of("You are asked. Say ").strong("done").text(" when it is, "),
        };
        if !step.critical {
            line = line.strong("skip").text(" with a reason to leave it out, ");
        }
        if !action.only_asks() {
            line = line.strong("failed").text(" with a reason if it cannot be done, ");
        }
        lines.push(
            line.strong("pause")
                .text(" to go on later with ")
                .code("runsheet resume last")
                .text(", or ")
                .strong("quit")
                .text(". If nobody answers, the run pauses."),
        );
    }
    lines.push(policy(step));
    if step.critical {
        lines.push(Line::label("Critical:").text(" it cannot be skipped."));
    }
    if step.body.effect != Effect::Read && !action.is_asked() {
        lines.push(unclear(step));
    }
    page.push(Line::label(if action.is_asked() { "Your answer:" } else { "When it fails:" }).paragraph());
    page.push(Block::List { start: None, items: lines.into_iter().map(|line| vec![line.paragraph()]).collect() });
}

/// What holds others fails with them; it has a word of its own where it says so.
pub(super) fn describe_container(step: &Step, page: &mut Page) {
    if let Some(timeout) = &step.body.timeout {
        let line = Line::label(if step.foreach.is_some() { "Each is over within" } else { "It is over within" });
        let line =
            line.text(" ").code(timeout.source()).text("; else what runs in it is interrupted, and it has failed.");
        page.push(line.paragraph());
    }
    let says = match step.on_failure {
        None => return,
        Some(OnFailure::Ask) => Line::of("the run stops there and asks."),
        Some(OnFailure::Stop) => Line::of("nothing new starts, and the run closes as failed."),
        Some(OnFailure::Continue) => Line::of("the rest of it is left out, and the run goes on after it."),
        Some(OnFailure::Undo) => Line::of("what ran is taken back, latest first, and the run closes."),
    };
    page.push(
        Line::label("When a step in it fails").text(" that says nothing of its own: ").and(says.done()).paragraph(),
    );
}

fn gate(step: &Step, page: &mut Page) {
    let unattended = match step.body.effect {
        Effect::Destroy => " A yes to all questions does not answer this one.",
        _ => "",
    };
    page.push(Line::label("Your answer:").paragraph());
    page.lines(vec![
        Line::label("Yes:").text(" the steps after this one go on."),
        Line::label("No:")
            .text(" the run ends as declined (exit code 5), no later step runs but those at the end, and it cannot be resumed."),
        Line::label("None:")
            .text(" the run pauses (exit code 11); ")
            .code("runsheet resume last")
            .text(format!(" asks again.{unattended}")),
    ]);
}

fn policy(step: &Step) -> Line {
    let attempts = step.retry.as_ref().map_or(1, |retry| retry.attempts);
    let begin = |text: &str| match (attempts > 1, step.body.action.is_asked()) {
        (true, _) => Line::of(format!("After at most {attempts} attempts {text}")),
        (false, true) => Line::of(format!("If it failed, {text}")),
        (false, false) => {
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            Line::of(format!("{first}{}", chars.as_str()))
        }
    };
    match step.policy() {
        OnFailure::Stop => begin("nothing new starts, and the run closes as failed, without a question (")
            .code("on_failure: stop")
            .text(")."),
        OnFailure::Continue => begin("the run goes on, without its values, and may still succeed (")
            .code("on_failure: continue")
            .text(")."),
        OnFailure::Undo => {
            begin("what ran is taken back, latest first, and the run closes (").code("on_failure: undo").text(").")
        }
        OnFailure::Ask => {
            let mut line = begin("the run stops here and asks: ").strong("retry").text(", ");
            if let Some(at) = step.body.action.gives_up_at() {
                let when = match at {
                    GaveUp::Alarm => "after an alarm ",
                    GaveUp::Deadline => "at its deadline ",
                };
                line = line.text(when).strong("extend").text(" or ").strong("accept").text(", ");
            }
            if !step.critical {
                line = line.strong("skip").text(", ");
            }
            line = line.strong("done").text(" by hand");
            if step.verify.is_some() {
                line = line.text(" (which the look-up above must not deny)");
            }
            line.text(", ").strong("output").text(", ").strong("pause").text(" or ").strong("quit").text(".")
        }
    }
}

/// It ran out of time, was killed, or the machine went down.
fn unclear(step: &Step) -> Line {
    let mut line = Line::label("If its end is unclear").text(" (time limit, killed, connection lost, machine down): ");
    if step.verify.is_some() {
        line = line.text("the look-up above decides; if it cannot tell, ");
    }
    if step.idempotent {
        line = line.text(if step.retry.is_some() {
            "it is repeated within its attempts, then you are asked; "
        } else {
            "you are asked; "
        });
        return line.code("runsheet resume last").text(" runs it again, as it may safely run twice.");
    }
    line.text("nobody knows whether it took effect. It is not repeated by itself: you are asked, with what it was about to do in view. With nobody at the keyboard the run stays open (exit code 7), to be decided with ")
        .code(format!("runsheet resume last --step {} --as done|not-done --reason TEXT", step.path))
        .text(".")
}
