//! The house as a table: which room may use which, and what may be named only in one place. Reads the sources and runs
//! none of them. A new floor is a decision: change the table here and in `docs/architecture.md` in one commit.

mod scan;

use std::{collections::BTreeSet, path::Path};

use scan::Names;

/// Each folder of `src`, and what it may use besides itself: folders, or single items of one. Unit tests inside the
/// modules are bound by it too.
const ROOMS: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("value", &["text"]),
    ("syntax", &["text", "value"]),
    ("event", &["text", "value"]),
    ("port", &["event", "value", "text"]),
    ("model", &["port", "event", "syntax", "value", "text"]),
    (
        "kinds",
        &[
            "model",
            "port",
            "syntax",
            "value",
            "text",
            "event::Effect",
            "event::StepStatus",
            "event::StepId",
            "event::Progress",
            "event::SampleState",
            "event::GaveUp",
        ],
    ),
    ("lints", &["model", "event::Effect", "event::StepStatus", "syntax", "value", "text"]),
    ("library", &["model", "port", "syntax", "text"]),
    ("plan", &["model", "port", "event", "syntax", "value", "text"]),
    ("engine", &["plan", "model", "port", "event", "syntax", "value", "text"]),
    ("worlds", &["port", "event", "value", "text", "syntax"]),
    ("operators", &["port", "event", "value", "text"]),
    ("journal", &["port", "event", "value"]),
    ("sinks", &["port", "event", "value", "text"]),
    (
        "scenarios",
        &["worlds", "operators", "journal", "engine", "plan", "model", "port", "event", "syntax", "value", "text"],
    ),
    (
        "render",
        &[
            "model",
            "event",
            "syntax",
            "value",
            "text",
            "plan::Change",
            "plan::Compared",
            "plan::Comparison",
            "plan::Edit",
            "plan::MarkedLine",
            "plan::Weight",
            "plan::marked",
        ],
    ),
    ("triage", &["library", "model", "syntax", "value", "text"]),
    ("cli", ALL),
    // The binary: parses nothing itself, and becomes the supervisor of a step before anything else is set up.
    ("main.rs", &["cli", "worlds"]),
    ("lib.rs", &[]),
];

const ALL: &[&str] = &[
    "text",
    "value",
    "syntax",
    "event",
    "port",
    "model",
    "kinds",
    "lints",
    "library",
    "plan",
    "engine",
    "worlds",
    "operators",
    "journal",
    "sinks",
    "scenarios",
    "render",
    "triage",
];

/// Names that may stand only below some places: the path, the places, and why.
const ONLY: &[(&str, &[&str], &str)] = &[
    ("tokio::time", &["worlds/real"], "simulated time advances only through the World"),
    ("serde_yaml", &["syntax/yaml.rs"], "one file knows the YAML crate"),
    ("serde_saphyr", &["syntax/yaml.rs"], "one file knows the YAML crate"),
    ("saphyr_parser", &["syntax/yaml.rs"], "one file knows the YAML crate"),
    ("minijinja", &["syntax/parse.rs", "syntax/parse/", "render/"], "expressions are read in one place"),
    ("reqwest", &["worlds/real"], "only the real world speaks HTTP"),
    ("duct", &["worlds/real"], "only the real world starts processes"),
    ("std::process::Command", &["worlds/real"], "only the real world starts processes"),
    ("tokio::process", &["worlds/real"], "only the real world starts processes"),
    ("clap", &["cli"], "only the command line parses flags"),
];

/// What a dry run is, only these know.
const DRY: &[&str] = &["cli/", "worlds/", "worlds.rs"];

/// A file that is longer than some 600 lines wants to be two.
const LINES: usize = 620;

/// Files that are longer all the same, each with its reason.
const LONG: &[(&str, &str)] = &[
    ("src/model/checks.rs", "every rule over names and references, in one place"),
    ("src/model/lower.rs", "one pass over the fields of the language"),
    ("src/syntax/eval.rs", "one match over the tree, an arm for each node"),
    ("src/syntax/parse.rs", "one grammar; what could be taken out already is in parse/"),
    ("tests/journal.rs", "one simulated disk and every way it can fail"),
    ("tests/render.rs", "pages in and pages out, whole: the text is the test"),
    ("tests/processes.rs", "one real supervisor and every way a process can end"),
    ("tests/render.rs", "one document of everything, and every place a hostile text is put into"),
];

/// A Rust file by its path below the repository, with its text.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The path below `src`.
    fn inner(&self) -> &str {
        self.path.strip_prefix("src/").unwrap_or(&self.path)
    }

    fn room(&self) -> &str {
        self.inner().split('/').next().unwrap_or("")
    }

    /// How many modules deep the file's own module lies: `src/plan/mod.rs` 1, `src/plan/made.rs` 2.
    fn depth(&self) -> usize {
        let names: Vec<&str> = self.inner().split('/').collect();
        let own = usize::from(!matches!(names.last(), Some(&("mod.rs" | "lib.rs" | "main.rs"))));
        names.len() - 1 + own
    }
}

fn files(folder: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let shown = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push(File { path: shown, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn is_below(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// Uses of rooms that the table does not grant.
fn wrong_rooms(file: &File, names: &Names) -> Vec<String> {
    let Some((_, granted)) = ROOMS.iter().find(|(room, _)| *room == file.room()) else {
        return vec![format!("{}: `{}` is in no row of the table", file.path, file.room())];
    };
    let mut wrong = Vec::new();
    for at in &names.rooms {
        let path = at.it.join("::");
        let reaches =
            |grant: &&str| path.strip_prefix(grant).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        if at.it[0] != file.room() && !granted.iter().any(reaches) {
            wrong.push(format!("{}:{}: {} may not use {path}", file.path, at.line, file.room()));
        }
    }
    wrong
}

/// Climbing: two modules at once, or out of a room.
fn wrong_climbs(file: &File, names: &Names) -> Vec<String> {
    let mut wrong = Vec::new();
    for at in &names.climbs {
        if at.it.steps > 1 {
            wrong.push(format!("{}:{}: climbs with super::super", file.path, at.line));
        } else if file.depth() + at.it.inside <= at.it.steps {
            wrong.push(format!("{}:{}: climbs out of its room", file.path, at.line));
        }
    }
    wrong
}

/// Names that belong elsewhere.
fn wrong_names(file: &File, names: &Names) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, places, why) in ONLY {
        let name: Vec<&str> = name.split("::").collect();
        let hits = names.paths.iter().filter(|at| at.it.iter().map(String::as_str).take(name.len()).eq(name.clone()));
        for at in hits {
            if !is_below(file.inner(), places) {
                wrong.push(format!("{}:{}: {} belongs in {places:?}: {why}", file.path, at.line, at.it.join("::")));
            }
        }
    }
    if !is_below(file.inner(), DRY) {
        for line in scan::lines_with(&file.text, "dry") {
            wrong.push(format!("{}:{line}: says `dry`", file.path));
        }
    }
    wrong
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} that the house does not allow:\n{}", wrong.len(), wrong.join("\n"));
}

fn of_all_sources(rule: impl Fn(&File, &Names) -> Vec<String>) -> Vec<String> {
    files("src").iter().flat_map(|file| rule(file, &scan::names(&file.text))).collect()
}

#[test]
fn every_room_uses_only_what_its_row_names() {
    none(&of_all_sources(wrong_rooms));
}

#[test]
fn nothing_climbs() {
    none(&of_all_sources(wrong_climbs));
}

#[test]
fn names_stay_where_they_belong() {
    none(&of_all_sources(wrong_names));
}

#[test]
fn the_table_has_no_floor_that_leads_up() {
    // If each row names only rows above it (and `cli` all), nothing can run in a circle.
    let mut above = BTreeSet::new();
    for (room, granted) in ROOMS.iter().filter(|(room, _)| !room.ends_with(".rs")) {
        for grant in *granted {
            let used = grant.split("::").next().unwrap_or(grant);
            assert!(above.contains(used), "{room} uses {grant}, which stands below it in the table");
        }
        above.insert(*room);
    }
}

#[test]
fn the_page_for_people_shows_the_same_table() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split(',').map(|word| word.trim().replace('`', "")).filter(|word| word != "–").collect()
    };
    let rows: Vec<(String, BTreeSet<String>)> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
            let room = cells[0].strip_prefix('`')?.strip_suffix("/`")?;
            Some((room.to_owned(), words(cells.get(2)?)))
        })
        .collect();
    let table: Vec<(String, BTreeSet<String>)> = ROOMS
        .iter()
        .filter(|(room, _)| !room.ends_with(".rs"))
        .map(|(room, granted)| {
            let all = if *granted == ALL { &["all"][..] } else { granted };
            ((*room).to_owned(), all.iter().map(|word| (*word).to_owned()).collect())
        })
        .collect();
    assert_eq!(rows, table);
}

#[test]
fn every_module_says_what_it_does() {
    let mut wrong = Vec::new();
    for file in files("src").into_iter().chain(files("tests")).chain(files("benches")) {
        if !file.text.starts_with("//! ") {
            wrong.push(format!("{}: its first line does not begin with `//! `", file.path));
        }
    }
    none(&wrong);
}

#[test]
fn long_files_want_to_be_two() {
    let mut wrong = Vec::new();
    let all: Vec<File> = files("src").into_iter().chain(files("tests")).chain(files("benches")).collect();
    for file in &all {
        let lines = file.text.lines().count();
        let listed = LONG.iter().any(|(path, _)| *path == file.path);
        if lines > LINES && !listed {
            wrong.push(format!("{}: {lines} lines; split it, or list it in LONG with a reason", file.path));
        }
        if lines <= LINES && listed {
            wrong.push(format!("{}: only {lines} lines; take it out of LONG", file.path));
        }
    }
    for (path, _) in LONG.iter().filter(|(path, _)| !all.iter().any(|file| file.path == *path)) {
        wrong.push(format!("{path}: is gone; take it out of LONG"));
    }
    none(&wrong);
}

/// The rules find what they are there for.
mod planted {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn all(file: &File) -> Vec<String> {
        let names = scan::names(&file.text);
        [wrong_rooms(file, &names), wrong_climbs(file, &names), wrong_names(file, &names)].concat()
    }

    #[test]
    fn violations_are_caught_where_they_stand() {
        for (path, text, expected) in [
            (
                "src/text/a.rs",
                "use crate::{\n    text::Span,\n    value::Value,\n};",
                "src/text/a.rs:3: text may not use value::Value",
            ),
            (
                "src/kinds/a.rs",
                "use crate::event::{Effect, RunState};",
                "src/kinds/a.rs:1: kinds may not use event::RunState",
            ),
            ("src/engine/a.rs", "\nfn f() { crate::cli::main(); }", "src/engine/a.rs:2: engine may not use cli::main"),
            ("src/attic/a.rs", "", "src/attic/a.rs: `attic` is in no row of the table"),
            ("src/main.rs", "runsheet::engine::x();", "src/main.rs:1: main.rs may not use engine::x"),
            ("src/plan/a.rs", "use super::super::cli;", "src/plan/a.rs:1: climbs with super::super"),
            ("src/plan/a.rs", "mod tests { use super::super::x; }", "src/plan/a.rs:1: climbs with super::super"),
            ("src/plan/mod.rs", "use super::cli;", "src/plan/mod.rs:1: climbs out of its room"),
            ("src/plan/a.rs", "let mut dry_run = 1;", "src/plan/a.rs:1: says `dry`"),
        ] {
            assert_eq!(all(&file(path, text)), [expected.to_owned()]);
        }
        for (path, text) in [
            ("src/engine/a.rs", "use tokio::{sync::Mutex, time::sleep};"),
            ("src/model/a.rs", "serde_yaml::from_str(x)"),
            ("src/syntax/eval.rs", "use minijinja::Value;"),
            ("src/kinds/a.rs", "std::process::Command::new(x)"),
        ] {
            assert_eq!(all(&file(path, text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        for (path, text) in [
            ("src/plan/a.rs", "use crate::{model::Step, plan::Plan};\nuse super::b;\nmod tests { use super::*; }"),
            ("src/plan/mod.rs", "mod tests { use super::*; }"),
            ("src/worlds/real/a.rs", "tokio::time::sleep(x)"),
            ("src/worlds/dry.rs", "pub struct DryWorld;"),
            ("src/syntax/yaml.rs", "use serde_yaml::Options;"),
            ("src/text/a.rs", "// crate::cli is none of ours; \nlet x = \"crate::cli::main\";"),
        ] {
            assert_eq!(all(&file(path, text)), Vec::<String>::new());
        }
    }
}
