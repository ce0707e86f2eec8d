//! `eject`: a built-in runbook, and what it calls, as files that can be changed. Never writes over anything.

use std::path::{Path, PathBuf};

use super::{CliError, Context, args::Eject, error::code, place, print, say};
use crate::{
    library::{Found, Library, LibraryError, Origin, SCENARIOS},
    syntax::{Node, NodeKind, yaml},
    text::{Source, nearest},
};

pub fn eject(context: &Context, flags: &Eject) -> Result<u8, CliError> {
    let library = context.library();
    let name = flags.runbook.as_str();
    let built_in = Library::built_in();
    let Some(first) = built_in.iter().find(|found| found.name == name) else {
        return Err(no_such(&library, name, &built_in));
    };
    let folder = match &flags.path {
        Some(path) => path.clone(),
        None => library.roots().first().cloned().unwrap_or_else(|| PathBuf::from("runbooks")),
    };
    if folder.extension().is_some_and(|ending| ending == "yaml") {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Err(CliError::usage(format!("{} is a file; a folder is wanted", folder.display()))
            .hint(format!("the runbook keeps its name below it: runsheet eject {name} {}", parent.display())));
    }
    let target = |name: &str, ending: &str| folder.join(format!("{name}{ending}"));
    let main = target(name, ".yaml");
    if main.symlink_metadata().is_ok() {
        return Err(CliError::usage(format!("{} is there already; nothing was written", main.display()))
            .hint("change that one, or give another folder"));
    }
    // What it calls comes first: if anything fails, nothing has taken the place of the built-in yet.
    let all = with_calls(first, &built_in);
    for found in all.iter().rev() {
        let path = target(&found.name, ".yaml");
        if let Some(scenarios) = Library::built_in_scenarios(&found.name) {
            write(context, &target(&found.name, SCENARIOS), &scenarios)?;
        }
        write(context, &path, &found.bytes)?;
    }
    if !context.global.quiet {
        for found in all {
            say(context, &format!("{}\n", now_means(&library, &found.name, &target(&found.name, ".yaml"))));
        }
    }
    Ok(0)
}

fn no_such(library: &Library, name: &str, built_in: &[Found]) -> CliError {
    // A file that is there needs no copy.
    if let Ok(Found { origin: Origin::File(path), .. }) = library.find(name) {
        return CliError::usage(format!("`{name}` is not built in")).hint(format!("it is {} already", path.display()));
    }
    let near = nearest(name, built_in.iter().map(|found| found.name.as_str())).map(str::to_owned);
    LibraryError::NoSuchName { name: name.to_owned(), near }.into()
}

fn write(context: &Context, path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    match place::create(path, bytes) {
        Ok(()) => print(context, &format!("{}\n", path.display())),
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists && path.symlink_metadata().is_ok() => {
            say(context, &format!("{} is there already and stays as it is\n", path.display()));
            Ok(())
        }
        Err(why) => Err(CliError::new(code::FAILED, format!("could not write {}: {why}", path.display()))
            .hint("give a folder where you may write: runsheet eject NAME FOLDER")),
    }
}

/// Which one wins from now on, in one line.
fn now_means(library: &Library, name: &str, written: &Path) -> String {
    let same = |path: &Path| match (std::fs::canonicalize(path), std::fs::canonicalize(written)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    match library.find(name) {
        Ok(Found { origin: Origin::File(path), .. }) if same(&path) => {
            format!("from now on `{name}` means {}, which hides the built-in", path.display())
        }
        Ok(Found { origin: Origin::File(path), hides, .. })
            if hides.iter().any(|hidden| matches!(hidden, Origin::File(hidden) if same(hidden))) =>
        {
            format!("`{name}` still means {}, which hides {}", path.display(), written.display())
        }
        found => {
            let means = found.map_or(Origin::BuiltIn, |found| found.origin);
            let place = written.display();
            format!("`{name}` still means {means}: {place} is in no library; give its path, or --library")
        }
    }
}

/// A runbook and all built-ins that it calls, it first.
fn with_calls<'f>(first: &'f Found, built_in: &'f [Found]) -> Vec<&'f Found> {
    let mut all = vec![first];
    let mut at = 0;
    while at < all.len() {
        for name in calls(&all[at].bytes) {
            if let Some(found) = built_in.iter().find(|found| found.name == name)
                && !all.iter().any(|known| known.name == name)
            {
                all.push(found);
            }
        }
        at += 1;
    }
    all
}

/// The names under `call: {runbook: NAME}`, wherever they stand.
fn calls(bytes: &[u8]) -> Vec<String> {
    let source = Source::new("a runbook", String::from_utf8_lossy(bytes));
    let mut names = Vec::new();
    if let Some(node) = yaml::read(&source).node {
        collect(&node, &mut names);
    }
    names
}

fn collect(node: &Node, names: &mut Vec<String>) {
    match &node.kind {
        NodeKind::List(items) => items.iter().for_each(|item| collect(item, names)),
        NodeKind::Map(entries) => {
            for entry in entries {
                if entry.key.text == "call"
                    && let NodeKind::Map(fields) = &entry.value.kind
                    && let Some(runbook) = fields.iter().find(|field| field.key.text == "runbook")
                    && let NodeKind::Text(name) = &runbook.value.kind
                {
                    names.push(name.text.clone());
                }
                collect(&entry.value, names);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{calls, with_calls};
    use crate::library::{Found, Origin};

    fn found(name: &str, text: &str) -> Found {
        Found { name: name.into(), origin: Origin::BuiltIn, bytes: text.into(), hides: Vec::new() }
    }

    #[test]
    fn what_is_called_comes_along_once_and_in_a_circle_too() {
        let all = [
            found("a", "steps: [{id: x, call: {runbook: lib/b}}, {id: g, group: {steps: [{call: {runbook: lib/c}}]}}]"),
            found(
                "lib/b",
                "steps: [{id: y, call: {runbook: lib/c, params: {call: me}}}, {call: {runbook: elsewhere}}]",
            ),
            found("lib/c", "finally: [{id: z, call: {runbook: a}}]"),
            found("other", "steps: []"),
        ];
        let names = |of: usize| with_calls(&all[of], &all).into_iter().map(|f| f.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(0), ["a", "lib/b", "lib/c"]);
        assert_eq!(names(2), ["lib/c", "a", "lib/b"]);
        assert_eq!(names(3), ["other"]);
        assert!(calls(b"call: word").is_empty() && calls(b"{").is_empty());
    }
}
