//! `plan --explain-params`: what each parameter takes, where its value comes from, and what the other sources say.
//! Starts nothing, asks nobody, reads no secret.

use std::rc::Rc;

use serde_json::{Map, Value as Json, json};

use super::{CliError, Context, args, error::code, inputs, print, source};
use crate::{
    model::{Param, Runbook},
    plan::{InputProblem, Inputs, Plan, Said, ValueSource, explain, resolve},
    text::one_line,
    value::{Secret, Shape},
};

/// One parameter with what is said of it.
struct Explained<'r> {
    param: &'r Param,
    /// Where its value comes from; [`ValueSource::Missing`] if nobody said one that can be taken.
    from: ValueSource,
    said: Vec<Said>,
}

pub fn params(context: &Context, flags: &args::Inputs, as_json: bool) -> Result<u8, CliError> {
    let ready = source::ready(context, &flags.runbook)?;
    let runbook = &ready.runbook;
    let told = inputs::told(flags)?;
    let (mut given, problems) = resolve(runbook, &told.sources());
    let unknown: Vec<InputProblem> =
        problems.iter().filter(|problem| !matches!(problem, InputProblem::Bad { .. })).cloned().collect();
    inputs::refuse_bad(&unknown)?;
    mask(context, runbook, &ready.names, given.clone());
    // What is wrong is shown where it stands; an example must not take its place.
    if problems.is_empty() {
        given.fill_examples(&runbook.params);
    }
    let all: Vec<Explained<'_>> = runbook
        .params
        .values()
        .map(|param| Explained {
            param,
            from: given.values.get(&param.name).map_or(ValueSource::Missing, |given| given.source),
            said: explain(runbook, param, &told.sources()),
        })
        .collect();
    let text = if as_json { format!("{}\n", to_json(context, runbook, &all)) } else { to_text(runbook, &all) };
    print(context, &text)?;
    inputs::refuse_bad(&problems)?;
    let missing = all.iter().any(|explained| explained.from == ValueSource::Missing);
    Ok(if missing { code::REQUIREMENT } else { 0 })
}

/// Variables that hold secrets are known to this process, so they are masked in whatever else holds them.
fn mask(context: &Context, runbook: &Rc<Runbook>, names: &Rc<crate::model::Names>, given: Inputs) {
    // A graph that cannot be made with these values is for `plan` to tell.
    let Ok(plan) = Plan::make(Rc::clone(runbook), Rc::clone(names), given) else { return };
    for (spec, source) in crate::engine::secret_sources(&plan) {
        if let Ok(Some(crate::port::SecretSource::Env(variable))) = source
            && let Some(text) = Context::variable(&variable).filter(|text| !text.is_empty())
        {
            let short = spec.allow_short;
            // One that is too short to be masked is refused by the step that uses it.
            let _ = context.redactor.add(&Secret::new(text), short);
        }
    }
}

fn to_json(context: &Context, runbook: &Runbook, all: &[Explained<'_>]) -> Json {
    let params: Map<String, Json> = all
        .iter()
        .map(|explained| {
            let said = explained.said.iter().filter_map(|said| {
                let mut line = json!({
                    "source": said.source.name(),
                    "place": said.place,
                    "used": said.source == explained.from,
                });
                match said.value.as_ref()? {
                    Ok(value) => line["value"] = value.to_json(),
                    Err(why) => line["problem"] = why.clone().into(),
                }
                Some(line)
            });
            let said: Vec<Json> = said.collect();
            let used = said.iter().find(|line| line["used"] == true).and_then(|line| line.get("value"));
            let mut entry = json!({"value": used, "source": explained.from.name(), "said": said});
            entry["expected"] = explained.param.shape.describe().into();
            if let (Some(entry), Json::Object(shape)) = (entry.as_object_mut(), shape_json(&explained.param.shape)) {
                entry.extend(shape);
            }
            (explained.param.name.clone(), entry)
        })
        .collect();
    let secrets: Map<String, Json> =
        runbook.secrets.iter().map(|(name, spec)| (name.clone(), spec.describe().into())).collect();
    let mut all = json!({"runbook": runbook.name, "params": params, "secrets": secrets});
    context.redactor.json(&mut all);
    all
}

/// The type and those limits that are set.
fn shape_json(shape: &Shape) -> Json {
    let mut all = json!({"type": shape.ty.name()});
    for (key, value) in [
        ("pattern", shape.pattern.as_ref().map(|(written, _)| Json::from(written.clone()))),
        ("choices", (!shape.choices.is_empty()).then(|| json!(shape.choices))),
        ("min", shape.min.as_ref().map(crate::value::Value::to_json)),
        ("max", shape.max.as_ref().map(crate::value::Value::to_json)),
        ("min_length", shape.min_length.map(Json::from)),
        ("max_length", shape.max_length.map(Json::from)),
        ("items", shape.items.as_deref().map(shape_json)),
    ] {
        if let Some(value) = value {
            all[key] = value;
        }
    }
    all
}

fn to_text(runbook: &Runbook, all: &[Explained<'_>]) -> String {
    let mut text = format!("parameters of {}, strongest source first; nothing is run, read or asked\n", runbook.name);
    if all.is_empty() {
        text.push_str("\nit has none\n");
    }
    for Explained { param, from, said } in all {
        let mut takes = param.shape.describe();
        if let Some((pattern, _)) = &param.shape.pattern {
            takes.push_str(&format!(" that matches {pattern}"));
        }
        text.push_str(&format!("\n{}  ({}: {})\n", param.name, param.shape.ty.name(), one_line(&takes)));
        let widest = said.iter().map(|said| said.place.len()).max().unwrap_or(0);
        for Said { source, place, value } in said {
            // It is no source of a run, only of a plan: where there is none, nothing is missing.
            if *source == ValueSource::Example && value.is_none() {
                continue;
            }
            let mark = if source == from { "=" } else { " " };
            let value = match value {
                // Without anything behind it, it would look as if nothing had been said.
                Some(Ok(value)) if param.written(value).trim().is_empty() => "(empty)".to_owned(),
                Some(Ok(value)) => one_line(&param.written(value)).into_owned(),
                Some(Err(why)) => format!("cannot be taken: {}", one_line(why)),
                None => "–".to_owned(),
            };
            let note = if *source == ValueSource::Example { "  (in a plan only)" } else { "" };
            text.push_str(&format!("  {mark} {place:widest$}  {value}{note}\n"));
        }
        let bad = said.iter().any(|said| matches!(said.value, Some(Err(_))));
        if *from == ValueSource::Missing && !bad {
            text.push_str("    it has no value; a run asks for it, and where nobody can be asked does not begin\n");
        }
    }
    for (name, spec) in &runbook.secrets {
        text.push_str(&format!("\n{name}  (secret, hidden)\n    {}\n", one_line(&spec.describe())));
    }
    text
}
