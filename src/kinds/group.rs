//! `group`: steps that stand together, in order or side by side. Performs nothing itself.

use super::helper;
use crate::{
    event::Effect,
    model::{
        Action, Block, FieldDoc, Group, Inside, Kind, Lowering, Names, Outline, Resolution, Rule, Setting, Shown,
        Takes, fields,
    },
    syntax::{Given, NodeKind, Reference},
    text::Diagnostic,
    value::Scope,
};

pub const KIND: Kind = Kind {
    name: "group",
    summary: "Holds steps together, in order or in parallel; it is over when they are.",
    short: None,
    fields: &[
        FieldDoc::new("steps", fields::STEPS, "the steps inside, with paths such as `admin/proceed`"),
        FieldDoc::new(
            "parallel",
            Takes::Integer { least: 1, most: 1000 },
            "how many may run side by side; absent: in order",
        ),
        FieldDoc::new(
            "helper",
            Takes::Fields(&helper::HELPER),
            "a program that lives from before the first step to after the last, such as a port forward",
        ),
    ],
    rules: &[Rule::Needs("steps")],
    lower: Some(lower),
};

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    if let NodeKind::List(_) = &given.node().kind {
        return given.refuse("a map with `steps`", Some("write group: {steps: [{id: build, shell: make}]}".into()));
    }
    let fields = given.fields("`group`")?;
    let mut fields = fields.closed(KIND.keys()).outer(Lowering::AROUND);
    let steps = fields.need("steps").map(|given| lowering.steps(&given.like("[{id: build, shell: make}]")));
    let parallel = fields.get("parallel").and_then(|given| given.integer(1..=1000));
    let helper = fields.take_entry("helper").and_then(|entry| {
        helper::lower(entry.key.span, &Given::field(&entry.value, "helper", given.problems()), lowering)
    });
    fields.finish();
    let parallel = parallel.and_then(|n| usize::try_from(n).ok());
    Some(Box::new(Held(Group { steps: steps?, parallel, helper })))
}

#[derive(Debug)]
struct Held(Group);

impl Action for Held {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        Vec::new()
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_effect(&self) -> Effect {
        Inside::Group(&self.0).effect()
    }

    fn takes_timeout(&self) -> bool {
        false
    }

    fn inside(&self) -> Option<Inside<'_>> {
        Some(Inside::Group(&self.0))
    }

    fn show(&self, _scope: &Scope) -> Shown {
        let count = self.0.steps.len();
        let steps = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
        let mut headline = match self.0.parallel {
            Some(n) => format!("{steps}, at most {n} side by side"),
            None => format!("{steps} in order"),
        };
        if self.0.helper.is_some() {
            headline.push_str(", beside a helper");
        }
        Shown { detail: headline.clone(), headline, values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = Vec::new();
        if let Some(n) = self.0.parallel {
            blocks.push(Block::Field { label: "Side by side", text: format!("at most {n}") });
        }
        Outline { verb: "Together".into(), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        Err(super::no_task(setting))
    }
}
