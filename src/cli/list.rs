//! `list` and `show`: what there is, and what one of them says.

use serde_json::json;

use super::{
    CliError, Context,
    args::{List, Show},
    print, source,
};
use crate::event::Effect;

pub fn list(context: &Context, flags: &List) -> Result<u8, CliError> {
    let library = context.library();
    let mut rows = Vec::new();
    for name in library.names() {
        let found = match library.find(&name) {
            Ok(found) => found,
            // One file that cannot be read hides no other.
            Err(error) => {
                rows.push(json!({
                    "name": name, "title": null, "origin": null, "hides": [],
                    "problem": format!("could not {error}"),
                }));
                continue;
            }
        };
        let loaded = source::read(&library, &found);
        let hides: Vec<String> = found.hides.iter().map(ToString::to_string).collect();
        let origin = found.origin.to_string();
        rows.push(match &loaded.runbook {
            Some(runbook) => {
                let effects = runbook.effects();
                let of = |wanted: Effect| effects.iter().find(|(effect, _)| *effect == wanted).map_or(0, |(_, n)| *n);
                json!({
                    "name": name, "title": runbook.title.value, "owner": runbook.owner, "tags": runbook.tags,
                    "origin": origin, "hides": hides,
                    "effects": {"read": of(Effect::Read), "change": of(Effect::Change), "destroy": of(Effect::Destroy)},
                })
            }
            None => json!({
                "name": name, "title": null, "origin": origin, "hides": hides,
                "problem": "it is not well made; `runsheet check` says why",
            }),
        });
    }
    if flags.json {
        print(context, &format!("{}\n", serde_json::Value::from(rows)))?;
        return Ok(0);
    }
    let width = rows.iter().filter_map(|row| Some(row["name"].as_str()?.chars().count())).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        let name = row["name"].as_str().unwrap_or("");
        let title = row["title"].as_str().or(row["problem"].as_str()).unwrap_or("");
        let effects = match &row["effects"] {
            serde_json::Value::Object(of) => {
                let count = |name: &str| of.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
                format!("reads {}, changes {}, destroys {}", count("read"), count("change"), count("destroy"))
            }
            _ => String::new(),
        };
        text.push_str(&format!("{name:width$}  {}\n", crate::text::one_line(title)));
        let owner =
            row["owner"].as_str().map(|owner| format!("; {}", crate::text::one_line(owner))).unwrap_or_default();
        let origin = row["origin"].as_str().unwrap_or("");
        text.push_str(&format!("{:width$}  {effects}{owner}; {origin}\n", ""));
        for hidden in row["hides"].as_array().into_iter().flatten().filter_map(|hidden| hidden.as_str()) {
            text.push_str(&format!("{:width$}  hides {hidden}\n", ""));
        }
    }
    print(context, &text)?;
    Ok(0)
}

pub fn show(context: &Context, flags: &Show) -> Result<u8, CliError> {
    let ready = source::ready(context, &flags.runbook)?;
    let text = if flags.graph {
        crate::render::mermaid(&ready.runbook, &ready.names)
    } else {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        crate::render::terminal(&ready.runbook, &ready.names, 100, context.color(terminal))
    };
    print(context, &text)?;
    Ok(0)
}
