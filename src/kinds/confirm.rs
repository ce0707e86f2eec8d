//! `confirm`: a gate that opens by a yes. Knows nothing of terminals.

use crate::{
    event::{Effect, StepStatus},
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
    ],
    rules: &[Rule::Needs("message")],
    lower: Some(lower),
};

const LATER: [&str; 3] = ["not_before", "not_after", "approvers"];

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
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        return Some(Box::new(Confirm { message: lowering.prose(&given)?, type_back: None }));
    }
    let mut fields =
        given.fields("`confirm`")?.closed(KIND.keys().chain(LATER)).foreign(&FOREIGN).outer(Lowering::AROUND);
    let message = fields.need("message").and_then(|given| lowering.prose(&given));
    let type_back = fields.get("type_back").map(|given| lowering.template(&given));
    for later in LATER {
        fields.not_yet(later, &format!("`{later}`"));
    }
    fields.finish();
    let message = message.unwrap_or_else(|| Template::literal(""));
    Some(Box::new(Confirm { message, type_back: type_back.flatten() }))
}

impl Action for Confirm {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        self.message.references().iter().chain(self.type_back.iter().flat_map(Template::references)).cloned().collect()
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
        for reference in self.type_back.iter().flat_map(Template::references) {
            if let Some(declared @ Declared::Secret(_)) = names.get(&reference.name) {
                problems.push(
                    Diagnostic::error(
                        "shown-secret",
                        reference.span,
                        format!("`{}` is a secret, and a text to be typed is shown", reference.name),
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
        let detail = match &self.type_back {
            Some(text) => format!("{message}\n(type {} to go on)", text.show(scope, &[])),
            None => message.clone(),
        };
        Shown { headline: message, detail, values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = vec![Block::Prose(self.message.source().to_owned())];
        if let Some(text) = &self.type_back {
            blocks.push(Block::Field { label: "To go on, type", text: text.source().to_owned() });
        }
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
        Ok(Resolution::Task(Box::new(ConfirmTask { message, type_back, effect: setting.effect })))
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
}

impl Task for ConfirmTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let question = Question {
                step: Some(cx.step().clone()),
                title: cx.step().to_string(),
                message: self.message.clone(),
                context: Vec::new(),
                kind: QuestionKind::Confirm { effect: self.effect, type_back: self.type_back.clone() },
                choices: Vec::new(),
            };
            match cx.ask(question).await? {
                Reply::Answer(answer) if answer.word == "yes" => Ok(StepReport::of(StepStatus::Succeeded)),
                Reply::Answer(answer) if answer.word == "no" => {
                    let reason = answer.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                    Err(StepError::Declined(format!("{} was answered with no{reason}", cx.step())))
                }
                // Whatever else came back is not a yes.
                Reply::Answer(_) => Err(StepError::Paused(format!("{} was not answered with yes or no", cx.step()))),
                Reply::Nobody { why } | Reply::Closed { why, .. } => Err(StepError::Paused(why)),
                Reply::Unasked => Ok(StepReport::of(StepStatus::NotRun)),
            }
        })
    }
}
