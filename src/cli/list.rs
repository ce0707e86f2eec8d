//! `list` and `show`: what there is, and what one of them says.

use serde_json::{Value, json};

use super::{
    CliError, Context,
    args::{List, Show},
    error::code,
    print, source,
};
use crate::{
    event::Effect,
    library::{Library, Origin},
    model::Runbook,
    text::{cut, nearest, one_line},
};

pub fn list(context: &Context, flags: &List) -> Result<u8, CliError> {
    let library = context.library();
    let names = library.names();
    let within = |name: &str| flags.group.as_deref().is_none_or(|group| is_within(name, group));
    let mut rows: Vec<Value> = names.iter().filter(|name| within(name)).map(|name| row(&library, name).0).collect();
    if let (Some(group), true) = (&flags.group, rows.is_empty()) {
        let groups = names.iter().flat_map(|name| name.match_indices('/').map(|(at, _)| &name[..at]));
        let error = CliError::new(code::FAILED, format!("there is no runbook below {}", one_line(group)));
        return Err(match nearest(group, groups.chain(names.iter().map(String::as_str))) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("`runsheet list` shows every runbook, `runsheet search` looks for words"),
        });
    }
    if flags.json {
        print(context, &format!("{}\n", Value::from(rows)))?;
        return Ok(0);
    }
    let all = rows.len();
    let built_in = Origin::BuiltIn.to_string();
    if flags.group.is_none() {
        rows.retain(|row| !(is_within(row["name"].as_str().unwrap_or(""), "lib") && row["origin"] == built_in));
    }
    print(context, &text(&rows))?;
    match all - rows.len() {
        0 => {}
        more => print(context, &format!("and {more} below lib/ that others call: `runsheet list lib`\n"))?,
    }
    Ok(0)
}

/// Whether it is this runbook, or below this folder.
pub fn is_within(name: &str, group: &str) -> bool {
    name.strip_prefix(group.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A runbook of the library as data, and itself where it is well made.
pub fn row(library: &Library, name: &str) -> (Value, Option<Runbook>) {
    let found = match library.find(name) {
        Ok(found) => found,
        // One file that cannot be read hides no other.
        Err(error) => {
            let row = json!({
                "name": name, "title": null, "origin": null, "hides": [], "problem": format!("could not {error}"),
            });
            return (row, None);
        }
    };
    let loaded = source::read(library, &found);
    let hides: Vec<String> = found.hides.iter().map(ToString::to_string).collect();
    let origin = found.origin.to_string();
    let row = match &loaded.runbook {
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
    };
    (row, loaded.runbook)
}

/// Rows as people read them.
pub fn text(rows: &[Value]) -> String {
    let width = rows.iter().filter_map(|row| Some(row["name"].as_str()?.chars().count())).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let name = one_line(row["name"].as_str().unwrap_or(""));
        let title = row["title"].as_str().or(row["problem"].as_str()).unwrap_or("");
        let effects = match &row["effects"] {
            Value::Object(of) => {
                let count = |name: &str| of.get(name).and_then(Value::as_u64).unwrap_or(0);
                format!("reads {}, changes {}, destroys {}", count("read"), count("change"), count("destroy"))
            }
            _ => String::new(),
        };
        text.push_str(&format!("{name:width$}  {}\n", one_line(title)));
        let owner = row["owner"].as_str().map(|owner| format!("; {}", one_line(owner))).unwrap_or_default();
        let origin = one_line(row["origin"].as_str().unwrap_or(""));
        text.push_str(&format!("{:width$}  {effects}{owner}; {origin}\n", ""));
        for hidden in row["hides"].as_array().into_iter().flatten().filter_map(|hidden| hidden.as_str()) {
            text.push_str(&format!("{:width$}  hides {}\n", "", one_line(hidden)));
        }
        for why in row["why"].as_array().into_iter().flatten() {
            let (field, found) = (why["field"].as_str().unwrap_or(""), why["text"].as_str().unwrap_or(""));
            if !matches!(field, "name" | "title") {
                text.push_str(&format!("{:width$}  {field}: {}\n", "", cut(&one_line(found), 100)));
            }
        }
    }
    text
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
