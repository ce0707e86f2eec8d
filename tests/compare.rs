//! `plan --against` of two files: what an edit means, as text in and text out. UPDATE_GOLDEN=1 writes the answers anew.

mod pages;
mod revisions;

use std::{fmt::Write, fs, path::PathBuf};

use crate::support::Bed;

struct Case {
    name: String,
    old: String,
    new: String,
    says: String,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/compare/differences.cases")
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(path()).unwrap();
    let parts = text.split("=== ").filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let (name, rest) = part.split_once("\n--- old\n").unwrap_or_else(|| panic!("no old version: {part}"));
            let (old, rest) = rest.split_once("--- new\n").unwrap();
            let (new, says) = rest.split_once("--- says\n").unwrap();
            Case { name: name.into(), old: old.into(), new: new.into(), says: says.into() }
        })
        .collect()
}

/// A list of steps is a runbook with nothing but these.
fn whole(text: &str) -> String {
    if text.starts_with("- ") { format!("title: X\nsteps:\n{text}") } else { text.to_owned() }
}

#[test]
fn what_an_edit_means() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (mut written, mut wrong) = (String::new(), Vec::new());
    for case in cases() {
        let bed = Bed::new().file("migrate.sql", "").file("more.sql", "");
        let bed = bed.file("old.yaml", &whole(&case.old)).file("x.yaml", &whole(&case.new));
        let ended = bed.run(&["plan", "./x.yaml", "--against", "./old.yaml"]).end().code(0);
        let says = ended.stdout.replace("  ./old.yaml → ./x.yaml\n", "");
        write!(written, "=== {}\n--- old\n{}--- new\n{}--- says\n{says}", case.name, case.old, case.new).unwrap();
        if says != case.says {
            wrong.push(format!("{}:\n{says}and not\n{}", case.name, case.says));
        }
    }
    if update {
        fs::write(path(), written).unwrap();
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn every_built_in_does_the_same_as_itself() {
    let bed = Bed::new();
    for name in ["balrog/push-production", "balrog/retag-ui", "tour/deploy"] {
        bed.run(&["eject", name]).end().code(0);
        let path = format!("./runbooks/{name}.yaml");
        let text = bed.read(&path);
        bed.write("old.yaml", &text);
        let said = bed.run(&["plan", &path, "--against", "./old.yaml"]).end().code(0).stdout;
        assert!(said.contains("no difference"), "{said}");
    }
}

#[test]
fn fail_on_is_an_exit_code() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: one, effect: destroy}\n")
        .file("old.yaml", "title: X\nsteps:\n  - {id: sure, confirm: Sure?}\n  - {id: a, shell: one}\n");
    let plan = |words: &str| bed.run(&["plan", "./x.yaml", "--against", "./old.yaml", "--fail-on", words]).end();
    plan("guard-removed").code(1).stderr("runsheet: --fail-on: guard-removed\n");
    plan("step-added,destroy-added,step-removed").code(1).stderr("runsheet: --fail-on: destroy-added, step-removed\n");
    plan("guard-added,timeout-changed").code(0).stderr("");
    plan("guard-remved").code(2).stderr_has("did you mean `guard-removed`?");
    bed.run(&["plan", "./x.yaml", "--fail-on", "guard-removed"]).end().code(2).stderr_has("--against");
}

/// What is left out as usual is what the tables of fields say is in force where nothing is written.
#[test]
fn defaults_are_those_of_the_language() {
    for (kind, key, usual) in runsheet::plan::compare::DEFAULTS {
        let kind = runsheet::kinds::registry().get(kind).unwrap();
        let own = kind.fields.iter().find(|field| field.name == *key).map(|field| field.summary);
        let inner = kind.fields.iter().find(|field| field.name == "probes").map(|field| field.summary);
        let summary = own.or(inner).unwrap();
        let said = summary.contains(&format!("{usual} if absent"));
        assert!(
            said || (["false", "0s"].contains(usual) && !summary.contains("if absent")),
            "{}.{key}: {usual}: {summary}",
            kind.name
        );
    }
}
