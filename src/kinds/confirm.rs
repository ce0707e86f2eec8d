//! `confirm`: a gate that opens by a yes. Knows nothing of terminals.

use super::{
    look::millis,
    typed::{self, choice},
    window::{self, Bounds, Phase, Window, between, refusal, show},
};
use crate::{
    event::{Effect, Progress, StepStatus},
    model::{
        Action, Block, Declared, FieldDoc, Kind, Lowering, Names, Outline, Resolution, Rule, Setting, Shown, Takes,
    },
    port::{Local, Question, QuestionKind, Reply, StepContext, StepError, StepReport, Task},
    syntax::{Foreign, Given, NodeKind, Reference, Rendered, Template},
    text::Diagnostic,
    value::Scope,
};

pub const KIND: Kind = Kind {
    name: "confirm",
    summary: "A gate: every later step of its list waits until somebody says yes.",
    short: Some(Takes::Text),
    fields: &[
        FieldDoc::new("message", Takes::Text, "the question"),
        FieldDoc::new("type_back", Takes::Template, "a text that must be typed instead of yes"),
        FieldDoc::new("not_before", Takes::Template, "a moment before which there is no yes"),
        FieldDoc::new("not_after", Takes::Template, "a moment after which there is none any more"),
    ],
    rules: &[Rule::Needs("message")],
    lower: Some(lower),
};

const LATER: [&str; 1] = ["approvers"];

const FOREIGN: [Foreign; 4] = [
    ("text", "message", true),
    ("question", "message", true),
    ("prompt", "message", true),
    ("instruction", "message", true),
];

#[derive(Debug)]
struct Confirm {
    message: Template,
    type_back: Option<Template>,
    window: Window,
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        return Some(Box::new(Confirm {
            message: lowering.prose(&given)?,
            type_back: None,
            window: Window::default(),
        }));
    }
    let mut fields =
        given.fields("`confirm`")?.closed(KIND.keys().chain(LATER)).foreign(&FOREIGN).outer(Lowering::AROUND);
    let message = fields.need("message").and_then(|given| lowering.prose(&given));
    let type_back = fields.get("type_back").map(|given| lowering.template(&given));
    let window = Window::lower(&mut fields, lowering);
    for later in LATER {
        fields.not_yet(later, &format!("`{later}`"));
    }
    fields.finish();
    let message = message.unwrap_or_else(|| Template::literal(""));
    Some(Box::new(Confirm { message, type_back: type_back.flatten(), window }))
}

impl Action for Confirm {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        let shown = self.message.references().iter().chain(self.type_back.iter().flat_map(Template::references));
        shown.cloned().chain(self.window.references()).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Effect::Read
    }

    fn is_gate(&self) -> bool {
        true
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn check(&self, names: &Names, _variables: &[&str], problems: &mut Vec<Diagnostic>) {
        let typed = self.type_back.iter().map(|text| (text, "a text to be typed"));
        let moments = self.window.templates().map(|moment| (moment, "the moment of a gate"));
        let shown = typed.chain(moments).flat_map(|(text, what)| text.references().iter().map(move |of| (of, what)));
        for (reference, what) in shown {
            if let Some(declared @ Declared::Secret(_)) = names.get(&reference.name) {
                problems.push(
                    Diagnostic::error(
                        "shown-secret",
                        reference.span,
                        format!("`{}` is a secret, and {what} is shown", reference.name),
                    )
                    .label("it would stand in the question")
                    .related(declared.span(), "declared here")
                    .hint("let something be typed that may be seen, such as a name"),
                );
            }
        }
    }

    fn show(&self, scope: &Scope) -> Shown {
        let message = self.message.show(scope, &[]).trim_end().to_owned();
        let mut detail = message.clone();
        if let Some(text) = &self.type_back {
            detail.push_str(&format!("\n(type {} to go on)", text.show(scope, &[])));
        }
        for line in self.window.words(|moment| moment.show(scope, &[])) {
            detail.push_str(&format!("\n({line})"));
        }
        Shown { headline: message, detail, values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = vec![Block::Prose(self.message.source().to_owned())];
        if let Some(text) = &self.type_back {
            blocks.push(Block::Field { label: "To go on, type", text: text.source().to_owned() });
        }
        let words = self.window.words(|moment| moment.source().to_owned());
        blocks.extend(words.into_iter().map(|text| Block::Field { label: "When", text }));
        Outline { verb: "Confirm".into(), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let message = match self.message.render(setting.scope, &[])? {
            Rendered::Text(text) => text.trim_end().to_owned(),
            Rendered::Deferred(names) => return Ok(Resolution::Deferred(names)),
        };
        let type_back = match self.type_back.as_ref().map(|text| text.render(setting.scope, &[])).transpose()? {
            Some(Rendered::Deferred(names)) => return Ok(Resolution::Deferred(names)),
            Some(Rendered::Text(text)) if text.trim().is_empty() => {
                let span = self.type_back.as_ref().map(Template::span).unwrap_or_default();
                return Err(Diagnostic::error("wrong-value", span, "the text to be typed is empty"));
            }
            Some(Rendered::Text(text)) if reads_as_answer(&text) => {
                let span = self.type_back.as_ref().map(Template::span).unwrap_or_default();
                let message = format!("the text to be typed is `{}`, which is an answer already", text.trim());
                return Err(Diagnostic::error("wrong-value", span, message)
                    .label("whoever types it may mean the opposite")
                    .hint("let something be typed that nobody types by habit, such as the name of what is changed"));
            }
            Some(Rendered::Text(text)) => Some(text),
            None => None,
        };
        let bounds = match self.window.resolve(setting.scope) {
            Ok(bounds) => bounds,
            Err(Ok(names)) => return Ok(Resolution::Deferred(names)),
            Err(Err(diagnostic)) => return Err(diagnostic),
        };
        Ok(Resolution::Task(Box::new(ConfirmTask { message, type_back, effect: setting.effect, bounds })))
    }
}

/// Whether a person who types it would mean it as yes or no.
fn reads_as_answer(text: &str) -> bool {
    ["yes", "y", "no", "n"].iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

struct ConfirmTask {
    message: String,
    type_back: Option<String>,
    effect: Effect,
    bounds: Bounds,
}

impl ConfirmTask {
    fn question(&self, cx: &dyn StepContext, phase: Phase) -> Question {
        let mut choices = Vec::new();
        if let Phase::Before(opens) = phase {
            choices.push(choice('w', "wait", &format!("wait until {}, then this is asked again", show(opens)), false));
        }
        if !matches!(phase, Phase::Open(_)) {
            choices.push(choice('p', "pause", "stop here; `runsheet resume` asks this again", false));
        }
        let not_now = refusal(phase, cx.wall());
        let kind = QuestionKind::Confirm { effect: self.effect, type_back: self.type_back.clone(), not_now };
        Question {
            step: Some(cx.step().clone()),
            title: cx.step().to_string(),
            message: self.message.clone(),
            context: Vec::new(),
            kind,
            choices,
        }
    }

    /// Asks, and takes the question back when the next moment of the window has come.
    async fn ask(&self, cx: &dyn StepContext, phase: Phase) -> Result<Option<Reply>, StepError> {
        let asking = cx.ask(self.question(cx, phase));
        let (Phase::Before(next) | Phase::Open(Some(next))) = phase else { return asking.await.map(Some) };
        let turn = async {
            window::comes(cx, next, || ()).await;
            // Who tells the step to end closes its question as well.
            if cx.cancel().level() > 0 {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            reply = asking => reply.map(Some),
            () = turn => Ok(None),
        }
    }

    /// The person waits for the gate instead of sitting at its question.
    async fn wait(&self, cx: &dyn StepContext, opens: jiff::Timestamp) -> Result<(), StepError> {
        let (began, limit) = (cx.now(), between(cx.wall(), opens));
        window::comes(cx, opens, || {
            cx.progress(Progress::Poll {
                step: cx.step().clone(),
                polls: 0,
                elapsed_ms: millis(cx.now().saturating_sub(began)),
                limit_ms: millis(limit),
                answer: String::new(),
            });
        })
        .await;
        if cx.cancel().level() > 0 {
            return Err(StepError::Paused(format!("{} was interrupted before {}", cx.step(), show(opens))));
        }
        Ok(())
    }
}

impl Task for ConfirmTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            loop {
                let phase = self.bounds.phase(cx.wall());
                let Some(reply) = self.ask(cx, phase).await? else { continue };
                match reply {
                    Reply::Answer(answer) if answer.word == "yes" => match (phase, self.bounds.phase(cx.wall())) {
                        (Phase::Open(_), Phase::Open(_)) => return Ok(StepReport::of(StepStatus::Succeeded)),
                        // It closed while the answer was given.
                        (Phase::Open(_), _) => {}
                        // No operator's word is taken for when it is.
                        (_, now) => {
                            let why = refusal(now, cx.wall()).unwrap_or_else(|| "it was not open then".into());
                            return Err(StepError::Paused(format!("{} was answered with yes, but {why}", cx.step())));
                        }
                    },
                    Reply::Answer(answer) if answer.word == "no" => {
                        let reason = answer.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                        return Err(StepError::Declined(format!("{} was answered with no{reason}", cx.step())));
                    }
                    Reply::Answer(answer) if answer.word == "wait" => {
                        if let Phase::Before(opens) = phase {
                            self.wait(cx, opens).await?;
                        }
                    }
                    Reply::Answer(answer) if answer.word == "pause" => return typed::way_out(&answer, cx),
                    // Whatever else came back is not a yes.
                    Reply::Answer(_) => {
                        let why = format!("{} was not answered with yes or no", cx.step());
                        return Err(StepError::Paused(why));
                    }
                    Reply::Nobody { why } | Reply::Closed { why, .. } => return Err(StepError::Paused(why)),
                    Reply::Unasked => return Ok(StepReport::of(StepStatus::NotRun)),
                }
            }
        })
    }
}
