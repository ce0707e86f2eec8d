//! A comparison as data for programs; `docs/reference/json.md` says what each member is.

use serde_json::{Value as Json, json};

use crate::plan::{Change, Comparison, Edit, MarkedLine, marked};

/// `failed` are the kinds of `--fail-on` that there are.
pub fn json(of: &Comparison, failed: &[&str]) -> Json {
    let runbooks: Vec<Json> = of
        .runbooks
        .iter()
        .map(|runbook| {
            json!({
                "runbook": runbook.name,
                "before": runbook.before,
                "after": runbook.after,
                "headline": runbook.headline(),
                "called_by": runbook.called_by,
                "notes": runbook.notes,
                "changes": runbook.changes.iter().map(change).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "before": of.before,
        "after": of.after,
        "same": of.is_empty(),
        "looked_at": of.looked_at,
        "runbooks": runbooks,
        "failed_on": failed,
    })
}

fn change(change: &Change) -> Json {
    json!({
        "what": change.whats.iter().map(|what| what.word()).collect::<Vec<_>>(),
        "weight": change.weight().name(),
        "step": change.step,
        "part": change.part,
        "says": change.says,
        "before": change.before,
        "after": change.after,
        "lines": marked(change.before.as_deref(), change.after.as_deref()).iter().map(line).collect::<Vec<_>>(),
    })
}

fn line(line: &MarkedLine) -> Json {
    let how = match line.edit {
        Edit::Kept => "kept",
        Edit::Removed => "removed",
        Edit::Added => "added",
    };
    let pieces = line.pieces.iter().map(|(changed, text)| json!({"text": text, "changed": changed}));
    json!({"how": how, "pieces": pieces.collect::<Vec<_>>()})
}
