//! `choose`: one of several ways, by condition or by question. Performs nothing itself.

use crate::{
    event::Effect,
    model::{
        Action, Block, Case, Choose, FieldDoc, Inside, Kind, Lowering, Names, Outline, Resolution, Rule, Setting,
        Shown, Takes, fields,
    },
    syntax::{Given, Reference},
    text::{Diagnostic, Spanned},
    value::Scope,
};

pub const KIND: Kind = Kind {
    name: "choose",
    summary: "Takes one of several ways: the first whose condition holds, or the one that a person chooses.",
    short: None,
    fields: &[
        FieldDoc::new("question", Takes::Text, "asks a person; absent: the first case whose `when` holds"),
        FieldDoc::new(
            "cases",
            Takes::List { of: &Takes::Fields(&fields::CASE), least: 1 },
            "the ways: `{id, title, when, steps}`, or `else: true` for the one that is taken where no other is",
        ),
    ],
    rules: &[Rule::Needs("cases")],
    lower: Some(lower),
};

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let fields = given.fields("`choose`")?;
    let mut fields = fields.closed(KIND.keys()).outer(Lowering::AROUND);
    let question = fields.get("question").and_then(|given| lowering.prose(&given));
    let asks = question.is_some();
    let cases = fields.need("cases").and_then(|given| {
        let given = given.like("[{id: promote, when: expression, steps: […]}, {id: abort, else: true, steps: […]}]");
        let items = given.list()?;
        if items.is_empty() {
            return given.report(
                "wrong-value",
                "`cases` is empty; there is nothing to choose from",
                Some("give it at least one: [{id: promote, when: …, steps: […]}]".into()),
            );
        }
        Some(items.iter().filter_map(|item| case(item, lowering, asks)).collect::<Vec<_>>())
    });
    fields.finish();
    let cases = cases?;
    for (at, case) in cases.iter().enumerate() {
        let id = &case.id;
        if let Some(earlier) = cases[..at].iter().find(|of| of.id.value == id.value) {
            given.problems().push(
                Diagnostic::error("duplicate-id", id.span, format!("there is another case `{}`", id.value))
                    .label("the same id again")
                    .related(earlier.id.span, "the first one"),
            );
        }
        if let (true, Some(earlier)) = (case.otherwise, cases[..at].iter().find(|of| of.otherwise)) {
            given.problems().push(
                Diagnostic::error("conflict", id.span, "two cases have `else`")
                    .label("only one can be taken where no other is")
                    .related(earlier.id.span, "the first one"),
            );
        }
    }
    Some(Box::new(Held(Choose { question, cases })))
}

fn case(given: &Given<'_>, lowering: &Lowering, asks: bool) -> Option<Case> {
    let problems = given.problems();
    let mut fields = given.fields("a case")?.closed(fields::CASE_KEYS);
    let id = fields.need("id").and_then(|given| given.text());
    if let Some(id) = id
        && (!Names::is_id(&id.text) || ["pause", "quit"].contains(&id.text.as_str()))
    {
        let problem = match Names::is_id(&id.text) {
            true => Diagnostic::error("bad-id", id.span, format!("`{}` is an answer to every question", id.text))
                .hint("give the case another id"),
            false => Diagnostic::error("bad-id", id.span, format!("`{}` cannot be the id of a case", id.text))
                .label("lower-case letters, digits and `-`, beginning with a letter"),
        };
        problems.push(problem);
    }
    let title = fields.get("title").and_then(|given| lowering.prose(&given));
    let when_span = fields.key_span("when");
    let when = fields.get("when").and_then(|given| lowering.expr(&given));
    let otherwise = fields.get("else").and_then(|given| given.boolean()).unwrap_or(false);
    let name = id.map_or("case", |id| id.text.as_str());
    let steps = lowering
        .below(name, || fields.need("steps").map(|given| lowering.steps(&given.like("[{id: build, shell: make}]"))));
    fields.finish();
    let id = id?;
    if let (true, Some(span)) = (otherwise, when_span) {
        problems.push(
            Diagnostic::error("conflict", span, "a case has `when` or `else`, not both")
                .hint("`else: true` is taken where no condition holds"),
        );
    }
    if !asks && !otherwise && when_span.is_none() {
        problems.push(
            Diagnostic::error("missing-key", id.span, format!("the case `{}` says not when it is taken", id.text))
                .hint("give it `when`, or `else: true`, or give the choice a `question`"),
        );
    }
    Some(Case { id: Spanned::new(id.text.clone(), id.span), title, when, otherwise, steps: steps? })
}

#[derive(Debug)]
struct Held(Choose);

impl Action for Held {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        let mut all: Vec<Reference> = self.0.question.iter().flat_map(|text| text.references().to_vec()).collect();
        for case in &self.0.cases {
            all.extend(case.when.iter().flat_map(|when| when.references().to_vec()));
            all.extend(case.title.iter().flat_map(|title| title.references().to_vec()));
        }
        all
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Inside::Choose(&self.0).effect()
    }

    fn takes_timeout(&self) -> bool {
        false
    }

    fn inside(&self) -> Option<Inside<'_>> {
        Some(Inside::Choose(&self.0))
    }

    fn show(&self, scope: &Scope) -> Shown {
        let mut lines = Vec::new();
        if let Some(question) = &self.0.question {
            lines.push(question.show(scope, &[]));
        }
        for case in &self.0.cases {
            let title = case.title.as_ref().map(|title| format!(": {}", title.show(scope, &[]))).unwrap_or_default();
            let when = match (&case.when, case.otherwise) {
                (Some(when), _) => format!(" when {}", when.on_one_line()),
                (None, true) if self.0.question.is_none() => " otherwise".to_owned(),
                _ => String::new(),
            };
            lines.push(format!("{}{title}{when}", case.id.value));
        }
        let headline = lines.first().cloned().unwrap_or_default();
        Shown { headline, detail: lines.join("\n"), values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = Vec::new();
        if let Some(question) = &self.0.question {
            blocks.push(Block::Prose(question.source().trim().to_owned()));
        }
        for case in &self.0.cases {
            let mut text = case.title.as_ref().map(|title| title.source().trim().to_owned()).unwrap_or_default();
            if let Some(when) = &case.when {
                text = format!("{text} (when {})", when.on_one_line()).trim().to_owned();
            } else if case.otherwise && self.0.question.is_none() {
                text = format!("{text} (otherwise)").trim().to_owned();
            }
            blocks.push(Block::Field { label: "Way", text: format!("{} {text}", case.id.value).trim().to_owned() });
        }
        Outline { verb: if self.0.question.is_some() { "Choose" } else { "Depending on the values" }.into(), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        Err(super::no_task(setting))
    }
}
