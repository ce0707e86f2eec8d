//! What an operator is to do when a step does not end well, in words: the rules of a run, told before it. Runs nothing.

use super::page::{Line, Page};
use crate::{
    event::Effect,
    model::{OnFailure, Step},
};

/// The part of a step's description that is read at three in the morning.
pub(super) fn describe(step: &Step, page: &mut Page) {
    let action = &step.body.action;
    let mut lines = Vec::new();
    if action.is_gate() {
        lines.push(
            Line::label("If you say no:")
                .text(" the run ends as declined, nothing after this step runs, and it cannot be resumed."),
        );
        lines.push(
            Line::label("If nobody answers:")
                .text(" the run pauses; ")
                .code("runsheet resume last")
                .text(" asks again.")
                .text(if step.body.effect == Effect::Destroy {
                    " A yes for all questions does not answer this one."
                } else {
                    ""
                }),
        );
        page.lines(lines);
        return;
    }
    lines.push(policy(step));
    if step.critical {
        lines.push(Line::label("Critical:").text(" it cannot be skipped."));
    }
    if step.body.effect != Effect::Read && !action.is_asked() {
        lines.push(unclear(step));
    }
    page.push(Line::label("When it fails").paragraph());
    page.lines(lines);
}

fn policy(step: &Step) -> Line {
    let mut line = Line::new();
    if let Some(retry) = &step.retry
        && retry.attempts > 1
    {
        line = line.text(format!("After the last of at most {} attempts: ", retry.attempts));
    }
    match step.on_failure {
        OnFailure::Stop => {
            line.text("nothing new starts, and the run closes as failed (").code("on_failure: stop").text(").")
        }
        OnFailure::Continue => line
            .text("the run goes on as if it had succeeded, without its values (")
            .code("on_failure: continue")
            .text(")."),
        OnFailure::Ask => {
            line = line
                .text("the run stops here and asks. ")
                .code("runsheet")
                .text(" offers to ")
                .strong("retry")
                .text(" it, ");
            if !step.critical {
                line = line.strong("skip").text(" it with a reason (later steps go on without its values), ");
            }
            line = line.text("say how you have ").strong("done").text(" it by hand");
            if step.verify.is_some() {
                line = line.text(" (the look-up above must not say otherwise)");
            }
            line = line.text(", see its ").strong("output").text(", ").strong("pause").text(" and go on later with ");
            line = line.code("runsheet resume last").text(", or ").strong("quit").text(". ");
            line.text("With nobody at the keyboard nothing new starts, and the run closes as failed.")
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
            "it is repeated within its attempts, and by "
        } else {
            "it is run again by "
        });
        return line.code("runsheet resume last").text(", as it may safely run twice; at the keyboard you are asked.");
    }
    line.text("nobody knows whether it took effect. It is never repeated by itself: you are asked, with what it was about to do in view. ")
        .text("With nobody at the keyboard the run stays open (exit code 7) for ")
        .code(format!("runsheet resume last --step {} --as done", step.path))
        .text(" or ")
        .code("not-done")
        .text(", with a reason.")
}
