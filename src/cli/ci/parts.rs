//! The parts of `ci`, each by the functions of the verb whose name it has. Decides nothing of what they find.

use serde_json::{Value as Json, json};

use super::{Part, State};
use crate::cli::{Context, args::Ci, check, error::code, render};

pub fn all(context: &Context, flags: &Ci, paths: &[String], color: bool) -> Vec<Part> {
    vec![checked(context, flags, paths, color), documents(context, flags, paths)]
}

/// `check`: mistakes and warnings.
fn checked(context: &Context, flags: &Ci, paths: &[String], color: bool) -> Part {
    let (mut text, mut commands, mut found) = (String::new(), String::new(), Vec::new());
    let total = check::every(context, paths, flags.no_shellcheck, &mut |source, looked| {
        text.push_str(&check::drawn(source, looked, color, context.global.verbose));
        commands.push_str(&check::commands(source, looked));
        found.extend(looked.problems.iter().map(|problem| check::as_json(source, problem)));
        Ok(())
    });
    match total {
        Ok(total) => {
            Part { text, commands, found: found.into(), ..Part::said("check", total.code(flags.deny), total.line()) }
        }
        Err(error) => Part::broken("check", error),
    }
}

/// `render --check`: whether the committed documents are what would be written.
fn documents(context: &Context, flags: &Ci, paths: &[String]) -> Part {
    let name = "documents";
    let Some(out) = &flags.docs else {
        return Part::left_out(name, "no --docs DIR says where documents are kept");
    };
    let (count, drifted) = match render::drifted(context, paths, out) {
        Ok(found) => found,
        // It is drawn where it is looked for.
        Err(error) if error.code == code::INVALID => {
            return Part::said(name, code::INVALID, "a runbook is not well made and cannot be written".to_owned());
        }
        Err(error) => return Part::broken(name, error),
    };
    if drifted.is_empty() {
        return Part::said(name, code::SUCCEEDED, format!("{count} up to date below {}", out.display()));
    }
    let says = format!("{} of {count} are not what would be written", drifted.len());
    let mut part = Part { state: State::Failed, ..Part::said(name, code::FAILED, says) };
    let mut found = Vec::new();
    for (path, said) in &drifted {
        let path = path.display().to_string();
        part.text.push_str(&format!("{path}: {said}"));
        part.commands.push_str(&check::github::error(
            Some(&path),
            "document",
            &format!("not what would be written: {said}"),
        ));
        found.push(json!({"file": path, "says": said}));
    }
    let again = format!("runsheet render {} --out {}", paths.join(" "), out.display());
    part.text.push_str(&format!("to write them: {again}\n"));
    part.found = Json::Array(found);
    part
}
