//! Files of answers: read, and held against the steps they are for before anything is run. Answers nothing itself.

use std::path::Path;

use indexmap::IndexMap;

use super::{
    CliError,
    session::{mistakes, read_map_of},
};
use crate::{
    model::{Param, without_items},
    operators::{Given, check_values},
    plan::Plan,
    port::Evidence,
    syntax::{Node, NodeKind},
    text::{Diagnostic, Source, Span, Spanned},
    value::Written,
};

/// An answer with its place and those of its parts.
struct Placed {
    given: Given,
    span: Span,
    parts: IndexMap<String, Span>,
}

/// A map from full step id to an answer, or to a map with `answer`, `reason`, evidence or values.
pub fn read(path: &Path) -> Result<IndexMap<String, Given>, CliError> {
    let (_, placed) = read_placed(path)?;
    Ok(placed.into_iter().map(|(id, placed)| (id, placed.given)).collect())
}

fn read_placed(path: &Path) -> Result<(Source, IndexMap<String, Placed>), CliError> {
    read_map_of(path, "answers", "step id to answer", |value| {
        let placed = |given, parts| Placed { given, span: value.span, parts };
        match &value.kind {
            NodeKind::Text(text) | NodeKind::Plain(_, text) => {
                Ok(placed(Given::Word(text.text.clone()), IndexMap::new()))
            }
            NodeKind::Map(inner) => {
                let mut map = IndexMap::new();
                let mut parts = IndexMap::new();
                for entry in inner {
                    map.insert(entry.key.text.clone(), written(&entry.value)?);
                    parts.insert(entry.key.text.clone(), entry.value.span);
                }
                Ok(placed(Given::Map(map), parts))
            }
            _ => Err("an answer, or a map with `answer` and `reason`, or with values"),
        }
    })
}

fn written(node: &Node) -> Result<Written, &'static str> {
    let text = |node: &Node| match &node.kind {
        NodeKind::Text(text) | NodeKind::Plain(_, text) => Ok(text.text.clone()),
        _ => Err("a map of texts, numbers, booleans, or lists of these"),
    };
    match &node.kind {
        NodeKind::List(items) => Ok(Written::List(items.iter().map(text).collect::<Result<_, _>>()?)),
        _ => Ok(Written::Text(text(node)?)),
    }
}

/// Answers for steps that do not exist, and values that no step would take, are slips that would otherwise be found in
/// the middle of the run.
pub fn check(plan: &Plan, answers: Option<&Path>) -> Result<(), CliError> {
    let Some(path) = answers else { return Ok(()) };
    let (source, placed) = read_placed(path)?;
    let mut problems = Vec::new();
    for (id, placed) in &placed {
        let Some(step) = plan.runbook.asked_at(id) else {
            let near = crate::text::nearest(id, plan.names.step_ids());
            let error =
                CliError::usage(format!("the answers in {} name a step `{id}`, which does not exist", path.display()));
            return Err(match near {
                Some(near) if near == without_items(id) => error.hint(match near == *id {
                    true => "a step in a loop is named with its item, such as scale[web]/proceed",
                    false => "only a loop has items, and each loop around a step is named with its item",
                }),
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        let typed = step.body.action.typed();
        if typed.is_empty() {
            if let Given::Map(map) = &placed.given
                && let Some((name, _)) = map.iter().find(|(_, written)| matches!(written, Written::List(_)))
            {
                let at = placed.parts.get(name).copied().unwrap_or(placed.span);
                let message = format!("the answer to `{id}` will not do: `{name}` is a text and no list");
                problems.push(Diagnostic::error("wrong-answer", at, message).label("a text is expected"));
            }
            continue;
        }
        let wanted: Vec<Evidence> = typed.iter().map(wanted).collect();
        if let Err(wrong) = check_values(&placed.given, &wanted) {
            let at = wrong.name.and_then(|name| placed.parts.get(&name).copied()).unwrap_or(placed.span);
            let (why, hint) = match wrong.why.split_once("; ") {
                Some((why, hint)) => (why.to_owned(), Some(hint.to_owned())),
                None => (wrong.why, None),
            };
            // A drawing shows whole lines, and one of these may hold a secret.
            if wanted.iter().any(Evidence::is_secret) {
                let place = source.position(at.start);
                let (path, line, column) = (path.display(), place.line, place.column);
                let error = CliError::usage(format!("{path}:{line}:{column}: the answer to `{id}` will not do: {why}"));
                return Err(error.hint(hint.unwrap_or_else(|| "nothing was run".into())));
            }
            problems.push(
                Diagnostic::error("wrong-answer", at, format!("the answer to `{id}` will not do: {why}"))
                    .label("not what is asked for")
                    .hint_opt(hint),
            );
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(mistakes(&source, &problems, "answers").hint("nothing was run")) }
}

/// For a look at the values alone; nobody is asked here.
fn wanted((name, param): &(Spanned<String>, Param)) -> Evidence {
    let (default, example) = (param.default.clone(), param.example.clone());
    Evidence { default, example, ..Evidence::of(&name.value, param.shape.clone()) }
}
