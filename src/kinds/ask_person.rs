//! `confirm` and `manual`: what only a person can answer or do. Knows nothing of terminals.

use crate::{
    event::{Effect, StepStatus},
    model::{
        Action, Block, Declared, FieldDoc, Keys, Kind, Lowering, Names, Outline, Param, Resolution, Rule, Setting,
        Shown, Takes, fields::PARAM,
    },
    port::{Choice, Evidence, Failure, Local, Question, QuestionKind, Reply, StepContext, StepError, StepReport, Task},
    syntax::{Foreign, Given, NodeKind, Reference, Rendered, Template},
    text::{Diagnostic, Spanned},
    value::Scope,
};

pub const CONFIRM: Kind = Kind {
    name: "confirm",
    summary: "A gate: every later step of its list waits until somebody says yes.",
    short: Some(Takes::Text),
    fields: &[
        FieldDoc::new("message", Takes::Text, "the question"),
        FieldDoc::new("type_back", Takes::Template, "a text that must be typed instead of yes"),
    ],
    rules: &[Rule::Needs("message")],
    lower: Some(lower_confirm),
};

pub const MANUAL: Kind = Kind {
    name: "manual",
    summary: "Something a person does; the run goes on when it is done.",
    short: Some(Takes::Text),
    fields: &[
        FieldDoc::new("message", Takes::Text, "what to do"),
        FieldDoc::new("open", Takes::Url, "a page to open"),
        FieldDoc::new(
            "evidence",
            Takes::Entries { keys: Keys::Names, of: &Takes::Fields(&PARAM), least: 0 },
            "values to be typed as proof, declared as parameters are",
        ),
    ],
    rules: &[Rule::Needs("message")],
    lower: Some(lower_manual),
};

const CONFIRM_LATER: [&str; 3] = ["not_before", "not_after", "approvers"];

const FOREIGN: [Foreign; 5] = [
    ("text", "message", true),
    ("question", "message", true),
    ("prompt", "message", true),
    ("instruction", "message", true),
    ("fields", "evidence", true),
];

#[derive(Debug)]
struct Confirm {
    message: Template,
    type_back: Option<Template>,
}

#[derive(Debug)]
struct Manual {
    message: Template,
    open: Option<Template>,
    evidence: Vec<(Spanned<String>, Param)>,
}

fn lower_confirm(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        return Some(Box::new(Confirm { message: lowering.prose(&given)?, type_back: None }));
    }
    let mut fields = given
        .fields("`confirm`")?
        .closed(CONFIRM.keys().chain(CONFIRM_LATER))
        .foreign(&FOREIGN)
        .outer(Lowering::AROUND);
    let message = fields.need("message").and_then(|given| lowering.prose(&given));
    let type_back = fields.get("type_back").map(|given| lowering.template(&given));
    for later in CONFIRM_LATER {
        fields.not_yet(later, &format!("`{later}`"));
    }
    fields.finish();
    let message = message.unwrap_or_else(|| Template::literal(""));
    Some(Box::new(Confirm { message, type_back: type_back.flatten() }))
}

fn lower_manual(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        return Some(Box::new(Manual { message: lowering.prose(&given)?, open: None, evidence: Vec::new() }));
    }
    let mut fields = given.fields("`manual`")?.closed(MANUAL.keys()).foreign(&FOREIGN).outer(Lowering::AROUND);
    let message = fields.need("message").and_then(|given| lowering.prose(&given));
    let open = fields.get("open").and_then(|given| lowering.url(&given));
    let mut evidence = Vec::new();
    for (name, given) in fields.get("evidence").and_then(|given| given.entries()).unwrap_or_default() {
        let ok = lowering.name(name, given.problems());
        let param = lowering.param(name, &given);
        if ok {
            evidence.push((Spanned::new(name.text.clone(), name.span), param));
        }
    }
    fields.finish();
    let message = message.unwrap_or_else(|| Template::literal(""));
    Some(Box::new(Manual { message, open, evidence }))
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

impl Action for Manual {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        self.message.references().iter().chain(self.open.iter().flat_map(Template::references)).cloned().collect()
    }

    fn gives(&self) -> Vec<Spanned<String>> {
        self.evidence.iter().map(|(name, _)| name.clone()).collect()
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Effect::Change
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn show(&self, scope: &Scope) -> Shown {
        let message = self.message.show(scope, &[]).trim_end().to_owned();
        let mut detail = message.clone();
        if let Some(open) = &self.open {
            detail.push_str(&format!("\nopen {}", open.show(scope, &[])));
        }
        for (name, param) in &self.evidence {
            detail.push_str(&format!("\nevidence {} ({})", name.value, param.shape.ty.name()));
        }
        Shown { headline: message.lines().next().unwrap_or("").to_owned(), detail, values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = vec![Block::Prose(self.message.source().to_owned())];
        if let Some(open) = &self.open {
            blocks.push(Block::Field { label: "Open", text: open.source().to_owned() });
        }
        for (name, param) in &self.evidence {
            blocks
                .push(Block::Field { label: "Evidence", text: format!("{} ({})", name.value, param.shape.ty.name()) });
        }
        Outline { verb: "Do by hand".into(), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let message = match self.message.render(setting.scope, &[])? {
            Rendered::Text(text) => text.trim_end().to_owned(),
            Rendered::Deferred(names) => return Ok(Resolution::Deferred(names)),
        };
        let open = match self.open.as_ref().map(|open| open.render_url(setting.scope, &[])).transpose()? {
            Some(Rendered::Deferred(names)) => return Ok(Resolution::Deferred(names)),
            Some(Rendered::Text(text)) => Some(text),
            None => None,
        };
        let evidence = self
            .evidence
            .iter()
            .map(|(name, param)| Evidence {
                name: name.value.clone(),
                prompt: param.prompt.clone().unwrap_or_else(|| name.value.clone()),
                shape: param.shape.clone(),
            })
            .collect();
        Ok(Resolution::Task(Box::new(ManualTask { message, open, evidence })))
    }
}

struct ManualTask {
    message: String,
    open: Option<String>,
    evidence: Vec<Evidence>,
}

impl ManualTask {
    fn choices() -> Vec<Choice> {
        let choice = |key, name: &'static str, consequence: &str, needs_reason| Choice {
            key,
            name: name.into(),
            consequence: consequence.to_owned(),
            needs_reason,
        };
        vec![
            choice('d', "done", "it is done; the run goes on", false),
            choice('s', "skip", "leave it out; steps after it go on", true),
            choice('f', "failed", "it could not be done", true),
            choice('p', "pause", "stop here; `runsheet resume` asks this again", false),
            choice('q', "quit", "end the run as declined; it cannot be resumed", false),
        ]
    }
}

impl Task for ManualTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let question = Question {
                step: Some(cx.step().clone()),
                title: cx.step().to_string(),
                message: self.message.clone(),
                context: Vec::new(),
                kind: QuestionKind::Manual { open: self.open.clone(), evidence: self.evidence.clone() },
                choices: Self::choices(),
            };
            let answer = match cx.ask(question).await? {
                Reply::Answer(answer) => answer,
                Reply::Nobody { why } | Reply::Closed { why, .. } => return Err(StepError::Paused(why)),
                Reply::Unasked => return Ok(StepReport::of(StepStatus::NotRun)),
            };
            let reason = answer.reason.clone().unwrap_or_default();
            match answer.word.as_str() {
                "done" => {
                    for evidence in &self.evidence {
                        let Some(value) = answer.values.get(&evidence.name) else {
                            return Err(StepError::Paused(format!("the evidence `{}` is missing", evidence.name)));
                        };
                        // Whoever answered has read it as what it must be; no operator's word is taken for that.
                        if let Err(why) = evidence
                            .shape
                            .read_recorded(&value.to_json())
                            .and_then(|value| evidence.shape.check(&value))
                        {
                            return Err(StepError::Paused(format!(
                                "the evidence `{}` will not do: {why}",
                                evidence.name
                            )));
                        }
                    }
                    Ok(StepReport { values: answer.values, ..StepReport::of(StepStatus::Succeeded) })
                }
                "skip" => {
                    Ok(StepReport { failure: Some(Failure::plain(reason)), ..StepReport::of(StepStatus::Skipped) })
                }
                "failed" => Ok(StepReport::failed(Failure::plain(format!("it could not be done: {reason}")))),
                "quit" => Err(StepError::Declined(format!("the operator quit at {}", cx.step()))),
                "pause" => Err(StepError::Paused("the operator paused the run".into())),
                other => Err(StepError::Paused(format!("`{other}` is no answer to {}", cx.step()))),
            }
        })
    }
}
