//! `manual`: what only a person can do. Knows nothing of terminals.

use super::typed::{self, Typed, choice, taken, wanted};
use crate::{
    event::{Effect, StepStatus},
    model::{
        Action, Block, FieldDoc, Keys, Kind, Lowering, Names, Outline, Param, Resolution, Rule, Setting, Shown, Takes,
        fields::PARAM,
    },
    port::{Choice, Evidence, Failure, Local, Question, QuestionKind, Reply, StepContext, StepError, StepReport, Task},
    syntax::{Foreign, Given, NodeKind, Reference, Rendered, Template},
    text::{Diagnostic, Spanned},
    value::Scope,
};

pub const KIND: Kind = Kind {
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
    lower: Some(lower),
};

const FOREIGN: [Foreign; 5] = [
    ("text", "message", true),
    ("question", "message", true),
    ("prompt", "message", true),
    ("instruction", "message", true),
    ("fields", "evidence", true),
];

#[derive(Debug)]
struct Manual {
    message: Template,
    open: Option<Template>,
    evidence: Typed,
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        return Some(Box::new(Manual { message: lowering.prose(&given)?, open: None, evidence: Vec::new() }));
    }
    let mut fields = given.fields("`manual`")?.closed(KIND.keys()).foreign(&FOREIGN).outer(Lowering::AROUND);
    let message = fields.need("message").and_then(|given| lowering.prose(&given));
    let open = fields.get("open").and_then(|given| lowering.url(&given));
    let evidence = typed::lower(fields.get("evidence"), lowering, Lowering::evidence);
    fields.finish();
    let message = message.unwrap_or_else(|| Template::literal(""));
    Some(Box::new(Manual { message, open, evidence }))
}

impl Action for Manual {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        self.message.references().iter().chain(self.open.iter().flat_map(Template::references)).cloned().collect()
    }

    fn gives(&self) -> Vec<Spanned<String>> {
        self.evidence.iter().map(|(name, _)| name.clone()).collect()
    }

    fn typed(&self) -> &[(Spanned<String>, Param)] {
        &self.evidence
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
        let evidence = wanted(&self.evidence);
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
        let mut choices = vec![choice('d', "done", "it is done; the run goes on", false)];
        choices.extend(typed::ways_out());
        choices.insert(2, choice('f', "failed", "it could not be done", true));
        choices
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
            match answer.word.as_str() {
                "done" => {
                    let values = taken(&self.evidence, answer, "evidence")?;
                    Ok(StepReport { values, ..StepReport::of(StepStatus::Succeeded) })
                }
                "failed" => {
                    let reason = answer.reason.unwrap_or_default();
                    Ok(StepReport::failed(Failure::plain(format!("it could not be done: {reason}"))))
                }
                _ => typed::way_out(&answer, cx),
            }
        })
    }
}
