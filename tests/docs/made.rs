//! Pages, and parts of pages, that are made from tables of the program: written anew by `UPDATE_GOLDEN=1`, compared
//! otherwise. Knows no page that people write.

use clap::{Arg, ArgAction, Command};
use runsheet::{
    cli::{EXIT_CODES, command},
    plan::What,
};

use serde_json::Value as Json;

use super::{cell, code, schemas::schemas};

/// What stands in a page between `<!-- made: NAME -->` and `<!-- made end -->`.
pub fn parts() -> Vec<(String, String)> {
    let mut parts = vec![("exit-codes".to_owned(), exit_codes()), ("differences".to_owned(), differences())];
    for (name, schema) in schemas() {
        let (mut own, mut conditional) = (schema.clone(), Vec::new());
        for part in schema["allOf"].as_array().into_iter().flatten() {
            conditional.extend(part["then"]["$ref"].as_str().and_then(|place| place.strip_prefix("#/$defs/")));
        }
        if own["properties"].is_object() {
            parts.push((format!("members of {name}"), members(&own)));
        }
        let (mut events, mut others) = (String::new(), String::new());
        for (def, node) in own["$defs"].take().as_object().into_iter().flatten() {
            let about = node["description"].as_str().unwrap_or_default();
            if conditional.contains(&def.as_str()) {
                events.push_str(&format!("### {def}\n\n{}.\n\n{}\n", capital(about), members(node)));
            } else {
                others.push_str(&format!("`{def}`: {about}.\n\n{}\n", members(node)));
            }
        }
        if !events.is_empty() {
            parts.push((format!("kinds of {name}"), events));
        }
        if !others.is_empty() {
            parts.push((format!("parts of {name}"), others));
        }
    }
    parts
}

/// The kinds of difference, those that matter most first.
fn differences() -> String {
    let mut table = "| kind | weight | meaning |\n| --- | --- | --- |\n".to_owned();
    for what in What::ALL {
        table.push_str(&format!("| {} | {} | {} |\n", code(what.word()), what.weight().heading(), cell(what.means())));
    }
    table
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The members of an object, as its schema has them.
fn members(node: &Json) -> String {
    let properties = node["properties"].as_object().unwrap();
    if properties.is_empty() {
        return "It has no members of its own.\n".to_owned();
    }
    let required: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut table = "| member | is | meaning |\n| --- | --- | --- |\n".to_owned();
    for (name, member) in properties {
        let mut is = form(member);
        if !required.contains(&name.as_str()) {
            is.push_str(", or left out");
        }
        table.push_str(&format!("| {} | {is} | {} |\n", code(name), cell(member["description"].as_str().unwrap())));
    }
    table
}

/// What a value looks like, in a few words.
fn form(node: &Json) -> String {
    if let Some(other) = node["$ref"].as_str() {
        return code(other.strip_prefix("#/$defs/").unwrap_or("event"));
    }
    if let Some(words) = node["enum"].as_array() {
        let said = node["description"].as_str().unwrap_or_default();
        let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
        // What the meaning names already needs no list.
        if words.iter().all(|word| said.contains(&code(word))) {
            return "text".to_owned();
        }
        return words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", ");
    }
    let one = |name: &str| match name {
        "string" if node["format"] == "date-time" => "moment".to_owned(),
        "string" if node["pattern"].is_string() => "SHA-256 in hex".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "array" if node["items"].is_object() => format!("list of {}", form(&node["items"])),
        "array" => "list".to_owned(),
        "object" if node["additionalProperties"].is_object() => {
            format!("map to {}", form(&node["additionalProperties"]))
        }
        "object" => "map".to_owned(),
        other => other.to_owned(),
    };
    match &node["type"] {
        Json::String(name) => one(name),
        Json::Array(names) => names.iter().filter_map(Json::as_str).map(one).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

/// The page with each of its made parts as it should be; says which part nobody makes.
pub fn with_parts(page: &str, parts: &[(String, String)]) -> Result<String, String> {
    let (mut made, mut rest) = (String::new(), page);
    while let Some((before, after)) = rest.split_once("<!-- made: ") {
        let (name, after) = after.split_once(" -->\n").ok_or("a mark has no end")?;
        let (_, after) = after.split_once("<!-- made end -->").ok_or(format!("the part `{name}` has no end"))?;
        let (_, part) = parts.iter().find(|(known, _)| *known == name).ok_or(format!("nothing makes `{name}`"))?;
        made.push_str(&format!("{before}<!-- made: {name} -->\n{part}<!-- made end -->"));
        rest = after;
    }
    made.push_str(rest);
    Ok(made)
}

fn exit_codes() -> String {
    let mut table = "| code | meaning | what to do |\n| --- | --- | --- |\n".to_owned();
    for exit in EXIT_CODES {
        table.push_str(format!("| {} | {} | {}", exit.code, cell(exit.meaning), cell(exit.then)).trim_end());
        table.push_str(" |\n");
    }
    table
}

/// `command-line.md`: every verb that `--help` lists, every flag that a verb lists.
pub fn command_line_page() -> String {
    let mut root = command();
    root.build();
    let mut page = "# The command line\n\nMade from what the program itself reads; `runsheet VERB --help` says the same. What \
                    the exit codes mean is on\n[their page](exit-codes.md), the JSON on [another](json.md).\n\n\
                    `NAME` is looked up in each `--library DIR`, `./runbooks`, each folder of `$RUNSHEET_LIBRARY`, \
                    `runsheet/runbooks` below\n`$XDG_CONFIG_HOME` or `~/.config`, then what is built in. `PATH` is a file \
                    that exists, with a `/` in it or `.yaml` at its end.\n`RUN` is an id, the beginning of one, or \
                    `last`.\n\n## Everywhere\n\n"
        .to_owned();
    page.push_str(&flags(root.get_arguments().filter(|arg| arg.get_id() != "version")));
    for verb in root.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        page.push_str(&format!("\n## {}\n\n{}.\n\n```text\n{}\n```\n", verb.get_name(), about(verb), usage(verb)));
        let own: Vec<&Arg> = verb
            .get_arguments()
            .filter(|arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str()))
            .collect();
        if !own.is_empty() {
            page.push('\n');
            page.push_str(&flags(own.into_iter()));
        }
    }
    page
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// The verb with what it takes in order; flags that may be left out are in the table below it.
fn usage(verb: &Command) -> String {
    let mut words = vec!["runsheet".to_owned(), verb.get_name().to_owned()];
    for flag in verb.get_opts().filter(|arg| arg.is_required_set()) {
        words.push(spelled(flag));
    }
    words.push("[FLAGS]".to_owned());
    for place in verb.get_positionals() {
        let name = value_names(place);
        let name = if matches!(place.get_action(), ArgAction::Append) { format!("{name}…") } else { name };
        words.push(if place.is_required_set() { name } else { format!("[{name}]") });
    }
    words.join(" ")
}

fn value_names(arg: &Arg) -> String {
    arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn spelled(arg: &Arg) -> String {
    let Some(long) = arg.get_long() else { return value_names(arg) };
    match arg.get_action() {
        ArgAction::Set | ArgAction::Append if arg.get_num_args().is_some_and(|number| number.min_values() == 0) => {
            format!("--{long}[={}]", value_names(arg))
        }
        ArgAction::Set | ArgAction::Append => format!("--{long} {}", value_names(arg)),
        _ => format!("--{long}"),
    }
}

fn flags<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let mut table = "| flag | meaning |\n| --- | --- |\n".to_owned();
    for arg in args {
        let short = arg.get_short().map(|short| format!(", {}", code(&format!("-{short}")))).unwrap_or_default();
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let mut meaning = vec![cell(&help.replace('\n', " "))];
        let values: Vec<String> = match arg.get_action() {
            ArgAction::Set | ArgAction::Append => {
                arg.get_possible_values().iter().map(|value| code(value.get_name())).collect()
            }
            _ => Vec::new(),
        };
        if !values.is_empty() {
            meaning.push(format!("one of {}", values.join(", ")));
        }
        let defaults: Vec<String> = match arg.get_action() {
            ArgAction::Set | ArgAction::Append => {
                arg.get_default_values().iter().map(|value| code(&value.to_string_lossy())).collect()
            }
            _ => Vec::new(),
        };
        if !defaults.is_empty() {
            meaning.push(format!("{} if absent", defaults.join(" ")));
        }
        table.push_str(&format!("| {}{short} | {} |\n", code(&spelled(arg)), meaning.join("; ")));
    }
    table
}

#[test]
fn a_made_part_replaces_what_stands_between_its_marks() {
    let parts = [("x".to_owned(), "new\n".to_owned())];
    let page = "a\n<!-- made: x -->\nold\n<!-- made end -->\nb\n";
    assert_eq!(with_parts(page, &parts).unwrap(), "a\n<!-- made: x -->\nnew\n<!-- made end -->\nb\n");
    assert_eq!(with_parts("<!-- made: y -->\n<!-- made end -->", &parts).unwrap_err(), "nothing makes `y`");
    assert_eq!(with_parts("<!-- made: x -->\n", &parts).unwrap_err(), "the part `x` has no end");
}

#[test]
fn exit_codes_are_in_order_and_each_is_there_once() {
    let codes: Vec<u8> = EXIT_CODES.iter().map(|exit| exit.code).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
}

#[test]
fn what_is_refused_as_not_supported_yet_is_told_in_the_notes() {
    let page = |name: &str| std::fs::read_to_string(super::root().join("docs/reference").join(name)).unwrap();
    let notes = page("language-notes.md");
    let (_, told) = notes.split_once("## Not supported yet\n").unwrap();
    let (told, _) = told.split_once("\n## ").unwrap();
    for line in [page("fields.md"), page("kinds.md")].iter().flat_map(|page| page.lines()) {
        if line.contains("| not supported yet |") {
            let name = line.split('|').nth(1).unwrap().trim();
            assert!(told.contains(name), "the notes do not say that {name} is not supported yet");
        }
    }
}
