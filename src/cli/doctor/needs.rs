//! What runbooks need of the machine: tools, variables, secrets. Looks whether they are there and opens none of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{Finding, Level, machine::tool_line};
use crate::{
    cli::{
        CliError, Context,
        args::Inputs as Flags,
        inputs::{gather, secret_problems},
        session,
        source::{self, Ready},
    },
    library::Library,
    plan::Plan,
    worlds::{
        dry::DryWorld,
        real::{RealWorld, lookup, tool_version},
    },
};

/// Things that runbooks name, each with the runbooks that do.
type Wanted = BTreeMap<String, Vec<String>>;

/// Of one runbook, or of all that there are. What one of many needs may not be needed here.
pub fn look(context: &Context, world: &RealWorld, word: Option<&str>) -> Result<Vec<Finding>, CliError> {
    let mut findings = Vec::new();
    let ready = match word {
        Some(word) => vec![source::ready(context, word)?],
        None => all(context, &mut findings),
    };
    let missing = if word.is_some() { Level::Bad } else { Level::Warn };
    let (mut tools, mut secrets, mut variables) = (Wanted::new(), Wanted::new(), BTreeSet::new());
    for one in &ready {
        let name = || one.runbook.name.clone();
        // What it calls needs as well, it needs.
        let called = one.runbook.callees().into_iter().map(|callee| &callee.runbook.requires);
        for requires in std::iter::once(&one.runbook.requires).chain(called) {
            for tool in &requires.tools {
                let names = tools.entry(tool.value.clone()).or_default();
                if names.last() != Some(&one.runbook.name) {
                    names.push(name());
                }
            }
            variables.extend(requires.env.iter().map(|variable| variable.value.clone()));
        }
        for problem in secrets_of(one) {
            secrets.entry(problem).or_default().push(name());
        }
    }
    let of = |names: &[String]| if word.is_some() { String::new() } else { format!(" ({})", names.join(", ")) };
    for (tool, names) in &tools {
        findings.push(match lookup::tool(tool) {
            Some(path) => {
                let version = session::block_on(tool_version(world, tool))?;
                Finding::ok("tool", format!("{tool}: {}", tool_line(&path, version.as_deref())))
            }
            None => Finding {
                level: missing,
                ..Finding::bad(
                    "tool",
                    format!("{tool} is not on the search path{}", of(names)),
                    format!("install {tool}, or put its folder on PATH"),
                )
            },
        });
    }
    // Scripts are handed those that are set and do without the others, so that none of them is a mistake.
    let (set, unset): (Vec<&str>, Vec<&str>) =
        variables.iter().map(String::as_str).partition(|name| lookup::variable(name).is_some());
    let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if !variables.is_empty() {
        let text = format!("handed to scripts: {}; not set: {}", list(&set), list(&unset));
        findings.push(Finding::ok("variables", text));
    }
    let used = ready.iter().filter(|one| !one.runbook.secrets.is_empty()).count();
    if secrets.is_empty() && used > 0 {
        findings.push(Finding::ok("secrets", "each has a source that is there; none was opened"));
    }
    for (problem, names) in &secrets {
        findings.push(Finding {
            level: missing,
            ..Finding::bad("secrets", format!("{problem}{}", of(names)), "provide it before such a run")
        });
    }
    if word.is_none() {
        findings.push(match lookup::tool("shellcheck") {
            Some(path) => Finding::ok("shellcheck", format!("{}", path.display())),
            None => Finding::ok("shellcheck", "it is not here; nothing here needs it, and authors like it"),
        });
    }
    Ok(findings)
}

/// Every runbook that is well made; others are counted.
fn all(context: &Context, findings: &mut Vec<Finding>) -> Vec<Ready> {
    let library: Library = context.library();
    let (mut ready, mut bad) = (Vec::new(), Vec::new());
    for name in library.names() {
        match library.find(&name).map_err(CliError::from).and_then(|found| source::make_ready(context, found)) {
            Ok(one) => ready.push(one),
            Err(_) => bad.push(name),
        }
    }
    let folders: Vec<String> =
        library.roots().iter().filter(|root| root.is_dir()).map(|root| root.display().to_string()).collect();
    let folders = if folders.is_empty() { "what is built in".to_owned() } else { folders.join(", ") };
    findings.push(if bad.is_empty() {
        Finding::ok("runbooks", format!("{} are well made, in {folders}", ready.len()))
    } else {
        let text = format!("{} cannot be run as they are: {}", bad.len(), bad.join(", "));
        Finding::warn("runbooks", text, "`runsheet check NAME` says what is wrong")
    });
    ready
}

/// What of the sources of its secrets is not there. Places that depend on a parameter are those of its example.
fn secrets_of(one: &Ready) -> Vec<String> {
    let flags = Flags { runbook: String::new(), params: Vec::new(), params_file: None, profile: None };
    let Ok(mut given) = gather(&one.runbook, &flags) else { return Vec::new() };
    given.fill_examples(&one.runbook.params);
    // Without a value, the place of a secret cannot be told.
    if !given.missing().is_empty() {
        return Vec::new();
    }
    match Plan::make(Rc::clone(&one.runbook), Rc::clone(&one.names), given) {
        Ok(plan) => secret_problems(&plan, &DryWorld::new(), &|_| true),
        Err(_) => Vec::new(),
    }
}
