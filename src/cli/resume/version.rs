//! This version of the tool makes another plan of the same runbook: that is for a person to accept.

use super::{
    basis::Basis,
    desk::{Desk, choice, pause},
};
use crate::{
    engine::RunEnd,
    plan::{Side, difference},
    port::{Question, QuestionKind},
};

pub enum Answer {
    /// Nothing that both versions record is different.
    Same,
    GoOn {
        reason: Option<String>,
    },
    Leave(RunEnd),
}

const DIFFERS: &str = "this version of runsheet plans the rest of the run differently";

pub async fn ask(basis: &Basis, before: &[u8], now: &[u8], began_with: &str, desk: &mut Desk<'_>) -> Answer {
    let read = |bytes: &[u8]| serde_json::from_slice(bytes).ok();
    let mut context = match (read(before), read(now)) {
        (Some(before), Some(now)) => {
            let source = Some(&basis.source);
            let difference = difference(&Side { record: &before, source }, &Side { record: &now, source });
            if difference.is_empty() {
                return Answer::Same;
            }
            difference.lines(&|_| None)
        }
        _ => vec!["the plan on record cannot be read by this version".into()],
    };
    context.insert(
        0,
        format!("the run began with runsheet {began_with}; this is {}. What differs:", env!("CARGO_PKG_VERSION")),
    );
    let question = Question {
        step: None,
        title: "resume".into(),
        message: "This version of runsheet plans the rest of the run differently.".into(),
        context,
        kind: QuestionKind::Run,
        choices: vec![choice('g', "go-on", "go on with the new plan; say why", true), pause()],
    };
    match desk.ask(question, DIFFERS).await {
        Ok(answer) => Answer::GoOn { reason: answer.reason },
        Err(end) => Answer::Leave(end),
    }
}
