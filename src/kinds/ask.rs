//! `ask`: values that only a person knows, typed at the question. Knows nothing of terminals.

use super::typed::{self, Typed, choice, taken, wanted};
use crate::{
    event::{Effect, StepStatus},
    model::{
        Action, Block, FieldDoc, Keys, Kind, Lowering, Names, Outline, Param, Resolution, Rule, Setting, Shown, Takes,
        fields::ASKED,
    },
    port::{Evidence, Local, Question, QuestionKind, Reply, StepContext, StepError, StepReport, Task},
    syntax::{Foreign, Given, Reference},
    text::{Diagnostic, Spanned},
    value::Scope,
};

pub const KIND: Kind = Kind {
    name: "ask",
    summary: "Asks the operator for values.",
    short: None,
    fields: &[FieldDoc::new(
        "fields",
        Takes::Entries { keys: Keys::Names, of: &Takes::Fields(&ASKED), least: 1 },
        "names and what each must be, declared as parameters are; also of the type `secret`, typed without echo and never on record",
    )],
    rules: &[Rule::Needs("fields")],
    lower: Some(lower),
};

const FOREIGN: [Foreign; 4] =
    [("params", "fields", true), ("values", "fields", true), ("inputs", "fields", true), ("evidence", "fields", true)];

#[derive(Debug)]
struct Ask {
    fields: Typed,
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let given = given.like("{fields: {ticket: {type: url}}}");
    let mut outer = given.fields("`ask`")?.closed(KIND.keys()).foreign(&FOREIGN).outer(Lowering::AROUND);
    let list = outer.need("fields").map(|given| given.like("{ticket: {type: url}}"));
    if let Some(entries) = list.as_ref().and_then(|list| list.clone().entries())
        && entries.is_empty()
    {
        let _: Option<()> = given.report(
            "wrong-value",
            "`fields` is empty; there is nothing to ask for",
            Some("fields: {ticket: {type: url}}".into()),
        );
    }
    let fields = typed::lower(list, lowering, Lowering::asked);
    outer.finish();
    Some(Box::new(Ask { fields }))
}

/// What is wanted, for people who write answers as well as for those who type them.
fn line(name: &str, param: &Param) -> String {
    let mut line = format!("{name}: {}", param.shape.describe());
    if let Some((pattern, _)) = &param.shape.pattern {
        line.push_str(&format!(" that matches {pattern}"));
    }
    match (&param.default, &param.example) {
        (Some(default), _) => line.push_str(&format!(" ({} if nothing is typed)", param.written(default))),
        (None, Some(example)) => line.push_str(&format!(", such as {}", param.written(example))),
        (None, None) => {}
    }
    line
}

impl Ask {
    fn lines(&self) -> String {
        let lines: Vec<String> = self.fields.iter().map(|(name, param)| line(&name.value, param)).collect();
        lines.join("\n")
    }
}

impl Action for Ask {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        Vec::new()
    }

    fn gives(&self) -> Vec<Spanned<String>> {
        self.fields.iter().map(|(name, _)| name.clone()).collect()
    }

    fn typed(&self) -> &[(Spanned<String>, Param)] {
        &self.fields
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Effect::Read
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn show(&self, _scope: &Scope) -> Shown {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.value.as_str()).collect();
        Shown { headline: format!("ask for {}", names.join(", ")), detail: self.lines(), values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = Vec::new();
        for (name, param) in &self.fields {
            blocks.push(Block::Field { label: "Value", text: line(&name.value, param) });
            blocks.extend(param.help.iter().map(|help| Block::Prose(help.clone())));
        }
        Outline { verb: "Ask for values".into(), blocks }
    }

    fn resolve(&self, _setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        Ok(Resolution::Task(Box::new(AskTask { fields: wanted(&self.fields), lines: self.lines() })))
    }
}

struct AskTask {
    fields: Vec<Evidence>,
    lines: String,
}

impl Task for AskTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let mut choices = vec![choice('g', "give", "type the values, from the first one on", false)];
            choices.extend(typed::ways_out());
            let question = Question {
                step: Some(cx.step().clone()),
                title: cx.step().to_string(),
                message: self.lines.clone(),
                context: Vec::new(),
                kind: QuestionKind::Ask { fields: self.fields.clone() },
                choices,
            };
            match cx.ask(question).await? {
                Reply::Answer(answer) if answer.word == "give" => {
                    let values = taken(&self.fields, answer, "value")?;
                    Ok(StepReport { values, ..StepReport::of(StepStatus::Succeeded) })
                }
                Reply::Answer(answer) => typed::way_out(&answer, cx),
                Reply::Nobody { why } | Reply::Closed { why, .. } => Err(StepError::Paused(why)),
                Reply::Unasked => Ok(StepReport::of(StepStatus::NotRun)),
            }
        })
    }
}
