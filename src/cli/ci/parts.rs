//! The parts of `ci`, each by the functions of the verb whose name it has. Decides nothing of what they find.

use serde_json::{Value as Json, json};

use super::{Part, State};
use crate::{
    cli::{
        CliError, Context, against,
        args::{Ci, Test},
        check::{self, github},
        error::code,
        render, test,
    },
    plan::{Comparison, What},
    render as markdown,
    text::one_line,
};

/// `wanted` are the kinds of difference that are a failure.
pub fn all(context: &Context, flags: &Ci, paths: &[String], wanted: &[What], color: bool) -> Vec<Part> {
    vec![
        checked(context, flags, paths, color),
        difference(context, flags, paths, wanted, color),
        tests(context, flags, paths, color),
        documents(context, flags, paths),
    ]
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

/// `plan --against`: what the runbooks do otherwise.
fn difference(context: &Context, flags: &Ci, paths: &[String], wanted: &[What], color: bool) -> Part {
    let name = "difference";
    let Some(other) = &flags.against else { return Part::left_out(name, "no --against REV says what to compare with") };
    let comparison = match compared(context, paths, other) {
        Ok(comparison) => comparison,
        // It is drawn by `check`.
        Err(error) if error.code == code::INVALID => {
            return Part::said(name, code::INVALID, "a runbook is not well made and cannot be compared".to_owned());
        }
        Err(error) => return Part::broken(name, error),
    };
    let found = comparison.found(wanted);
    let failed = if found.is_empty() { code::SUCCEEDED } else { code::FAILED };
    let before = one_line(&comparison.before).into_owned();
    let words: Vec<&str> = found.iter().map(|what| what.word()).collect();
    let mut says = match comparison.runbooks.len() {
        0 => format!("nothing is done otherwise than in {before}"),
        count => format!("{count} of {} runbooks are not those of {before}", comparison.looked_at),
    };
    if !found.is_empty() {
        says.push_str(&format!("; not wanted: {}", words.join(", ")));
    }
    let mut part = Part { found: against::json::json(&comparison, &words), ..Part::said(name, failed, says) };
    if comparison.is_empty() {
        return part;
    }
    part.text = against::text::text(&comparison, color);
    part.markdown = Some(markdown::compared(&comparison, &words));
    for of in &comparison.runbooks {
        let file = of.after.as_deref();
        part.commands.push_str(&github::said("notice", file, name, &format!("{}: {}", of.name, of.headline())));
        for change in &of.changes {
            if let Some(what) = wanted.iter().find(|what| change.is(**what)) {
                part.commands.push_str(&github::error(file, what.word(), &format!("{}: {}", of.name, change.says)));
            }
        }
    }
    part
}

/// All of the paths together.
fn compared(context: &Context, paths: &[String], other: &str) -> Result<Comparison, CliError> {
    let mut whole = Comparison::default();
    for path in paths {
        let one = against::compared(context, path, other)?;
        whole.before = one.before;
        whole.looked_at += one.looked_at;
        // What two of them call is compared with each.
        let new = one.runbooks.into_iter().filter(|of| !whole.runbooks.iter().any(|known| known.name == of.name));
        let new: Vec<_> = new.collect();
        whole.runbooks.extend(new);
    }
    whole.after = paths.join(" ");
    Ok(whole)
}

/// `test`: the scenarios, and how much of the runbooks they go through.
fn tests(context: &Context, flags: &Ci, paths: &[String], color: bool) -> Part {
    let name = "tests";
    let flags = Test { paths: paths.to_vec(), min_coverage: flags.min_coverage, ..Test::default() };
    let mut show = test::Show::keeping(context, color);
    let total = match test::all(context, &flags, &mut show).and_then(|total| show.finish(&total).map(|()| total)) {
        Ok(total) => total,
        Err(error) => return Part::broken(name, error),
    };
    if total.code() == code::SUCCEEDED && total.scenarios == 0 {
        return Part::left_out(name, "no runbook has scenarios");
    }
    let kept = show.kept();
    let lines = kept.json.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let commands = kept.github.lines().filter(|line| line.starts_with("::")).map(|line| format!("{line}\n")).collect();
    Part { text: kept.text, commands, found: lines.collect(), ..Part::said(name, total.code(), total.line()) }
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
        part.commands.push_str(&github::error(Some(&path), "document", &format!("not what would be written: {said}")));
        found.push(json!({"file": path, "says": said}));
    }
    let again = format!("runsheet render {} --out {}", paths.join(" "), out.display());
    part.text.push_str(&format!("to write them: {again}\n"));
    part.found = Json::Array(found);
    part
}
