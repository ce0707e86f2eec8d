//! Finding runbooks, beginning one, taking one out, and what shells and editors are given: the real program, its files and
//! its text. Nothing is run but what `new` writes.

mod completing;
mod pages;
mod readiness;

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value as Json;

use crate::support::Bed;

const SITE: &str = "\
title: Restart the site
summary: |
  When the pages are slow.
  Ask Ada about the caches.
owner: web team
tags: [web, nginx]
steps:
  - {id: look, title: Look at the gauges, shell: uptime, effect: read}
";

fn shelf() -> Bed {
    Bed::new()
        .file("runbooks/web/restart.yaml", SITE)
        .file("runbooks/db/restart.yaml", "title: Restart the warehouse\nsteps:\n  - {id: a, shell: echo}\n")
        .file("runbooks/web/broken.yaml", "title: [\n")
}

fn found(bed: &Bed, words: &[&str]) -> Vec<String> {
    let ended = bed.run(&["search", "--json"]).args(words).end();
    let rows = ended.json();
    let names = rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    // What is built in may speak of the same.
    names.into_iter().filter(|name| name.starts_with("web/") || name.starts_with("db/")).collect()
}

#[test]
fn a_list_is_of_a_group_and_leaves_parts_of_others_to_the_end() {
    let bed = shelf();
    let names = |args: &[&str]| -> Vec<String> {
        let rows = bed.run(args).end().code(0).json();
        rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["list", "web", "--json"]), ["web/broken", "web/restart"]);
    assert_eq!(names(&["list", "web/", "--json"]), ["web/broken", "web/restart"]);
    assert_eq!(names(&["list", "web/restart", "--json"]), ["web/restart"]);
    let parts = names(&["list", "lib", "--json"]);
    assert!(parts.iter().all(|name| name.starts_with("lib/")) && !parts.is_empty());
    // Programs see all of them, people where they ask.
    assert!(names(&["list", "--json"]).contains(&parts[0]));
    let all = bed.run(&["list"]).end().code(0).stdout.clone();
    assert!(!all.contains(&parts[0]), "{all}");
    assert!(all.ends_with(&format!("and {} below lib/ that others call: `runsheet list lib`\n", parts.len())), "{all}");
    bed.run(&["list", "lib"]).end().code(0).stdout_has(&parts[0]);
    bed.write("runbooks/lib/own.yaml", "title: Own\nsteps: [{id: a, shell: echo a, effect: read}]\n");
    bed.run(&["list"]).end().code(0).stdout_has("lib/own");
    bed.run(&["list", "wbe"]).end().code(1).stderr_has("there is no runbook below wbe").stderr_has("did you mean web?");
    bed.run(&["list", "we"]).end().code(1);
}

#[test]
fn a_search_finds_every_field_and_ranks_the_strong_ones_first() {
    let bed = shelf();
    assert_eq!(found(&bed, &["restart", "web"]), ["web/restart"]);
    assert_eq!(found(&bed, &["RESTART"]), ["db/restart", "web/restart"]);
    assert_eq!(found(&bed, &["web"])[0], "web/restart");
    for word in ["nginx", "team", "caches", "gauges", "warehouse"] {
        assert_eq!(found(&bed, &[word]).len(), 1, "{word}");
    }
    // A file with a mistake is still found by its name.
    assert_eq!(found(&bed, &["broken"]), ["web/broken"]);
}

#[test]
fn a_search_says_why_and_has_the_shape_of_a_list() {
    let bed = shelf();
    let row = bed.run(&["search", "ada", "--json"]).end().code(0).json()[0].clone();
    let all = bed.run(&["list", "--json"]).end().code(0).json();
    let listed = all.as_array().unwrap().iter().find(|row| row["name"] == "web/restart").unwrap();
    for (key, value) in listed.as_object().unwrap() {
        assert_eq!(&row[key], value, "{key}");
    }
    assert_eq!(row["why"], serde_json::json!([{"field": "summary", "text": "Ask Ada about the caches."}]));
    bed.run(&["search", "ada"]).end().code(0).stdout_has("summary: Ask Ada about the caches.");
}

#[test]
fn a_search_without_a_find_fails_and_suggests() {
    let bed = shelf();
    bed.run(&["search", "nginks"]).end().code(1).stderr_has("no runbook speaks of `nginks`").stderr_has("`nginx`");
    // Each is found, and never together.
    bed.run(&["search", "nginx", "warehouse"]).end().code(1).stderr_has("look for fewer");
    let ended = bed.run(&["search", "zzzzzz", "--json"]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "[]\n"));
    bed.run(&["search"]).end().code(2);
    bed.run(&["search", " "]).end().code(2);
}

#[test]
fn what_new_writes_is_well_made_and_runs_without_effect() {
    let bed = Bed::new();
    bed.run(&["new", "web/restart-site", "--title", "Restart: the \"site\""])
        .end()
        .code(0)
        .stdout("runbooks/web/restart-site.yaml\n");
    let text = bed.read("runbooks/web/restart-site.yaml");
    assert!(text.starts_with("# yaml-language-server: $schema=../.runsheet.schema.json\n"), "{text}");
    assert_eq!(bed.read("runbooks/.runsheet.schema.json"), bed.run(&["schema"]).end().code(0).stdout);
    bed.run(&["check", "--deny", "warnings"]).end().code(0).stdout_has("1 runbook: no errors, no warnings");
    bed.run(&["plan", "web/restart-site"]).end().code(0);
    bed.run(&["run", "web/restart-site", "--yes"]).end().code(0).stderr_has("succeeded");
    let names: Vec<String> =
        fs::read_dir(bed.path(".")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["runbooks"], "the run left something behind");
    let list = bed.run(&["list", "--json"]).end().json();
    assert!(list.as_array().unwrap().iter().any(|row| row["title"] == "Restart: the \"site\""), "{list}");
}

#[test]
fn new_takes_a_path_and_a_title_from_the_name() {
    let bed = Bed::new();
    bed.run(&["new", "./a b/restart-site.yaml", "--no-schema"]).end().code(0).stderr_has("'./a b/restart-site.yaml'");
    assert!(bed.read("a b/restart-site.yaml").contains("\ntitle: Restart site\n"));
    assert!(!bed.read("a b/restart-site.yaml").contains("yaml-language-server"));
    assert_eq!(fs::read_dir(bed.path("a b")).unwrap().count(), 1);
    bed.run(&["new", "mine", "--library", "lib"]).end().code(0);
    assert!(bed.exists("lib/mine.yaml") && bed.exists("lib/.runsheet.schema.json"));
    // Below a library, by its path: the schema is the library's.
    bed.run(&["new", "lib/deep/er/x.yaml", "--library", "lib"]).end().code(0);
    assert!(bed.read("lib/deep/er/x.yaml").starts_with("# yaml-language-server: $schema=../../.runsheet.schema.json"));
}

#[test]
fn new_never_writes_over_anything() {
    let bed = Bed::new().file("runbooks/a.yaml", "mine\n").file("runbooks/.runsheet.schema.json", "ours\n");
    bed.run(&["new", "a"]).end().code(2).stderr_has("runbooks/a.yaml is there already; nothing was written");
    assert_eq!(bed.read("runbooks/a.yaml"), "mine\n");
    bed.run(&["new", "b"]).end().code(0);
    assert_eq!(bed.read("runbooks/.runsheet.schema.json"), "ours\n");
    std::os::unix::fs::symlink("nowhere", bed.path("runbooks/c.yaml")).unwrap();
    bed.run(&["new", "c"]).end().code(2).stderr_has("is there already");
    // It hides what is built in, and says so.
    bed.run(&["new", "tour/deploy"]).end().code(0).stderr_has("it hides built-in");
}

#[test]
fn new_refuses_names_that_are_none_and_places_where_nothing_can_be_written() {
    let bed = Bed::new().file("plain", "a file\n");
    for (name, said) in [
        ("a b", "cannot be the name of a runbook"),
        ("../x", "no path of a runbook"),
        ("a//b", "cannot be the name"),
        ("a/", "cannot be the name"),
        ("x.scenarios", "the name of scenarios"),
        ("x.scenarios.yaml", "the name of scenarios"),
        ("a\u{1b}[31mb", "cannot be the name"),
        ("", "cannot be the name"),
    ] {
        bed.run(&["new", name]).end().code(2).stderr_has(said);
    }
    bed.run(&["new", "x", "--title", " "]).end().code(2).stderr_has("a title is a line of text");
    bed.run(&["new", "x", "--title", "a\nb"]).end().code(2).stderr_has("one line");
    bed.run(&["new", "plain/x.yaml"]).end().code(1).stderr_has("could not write plain/x.yaml");
    // Nobody, not even root, writes there.
    bed.run(&["new", "/proc/x.yaml"]).end().code(1).stderr_has("could not write /proc/x.yaml");
    assert!(!bed.exists("runbooks"));
}

#[test]
fn new_says_where_it_may_write_instead() {
    let bed = Bed::new();
    fs::create_dir(bed.path("closed")).unwrap();
    fs::set_permissions(bed.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere.
    if rustix::process::geteuid().is_root() {
        return;
    }
    bed.run(&["new", "closed/x.yaml"]).end().code(1).stderr_has("give the path of a file where you may write");
}

#[test]
fn a_built_in_is_taken_out_and_wins_from_then_on() {
    let bed = Bed::new();
    bed.run(&["eject", "tour/deploy"])
        .end()
        .code(0)
        .stdout("runbooks/tour/deploy.scenarios.yaml\nrunbooks/tour/deploy.yaml\n")
        .stderr_has("from now on `tour/deploy` means runbooks/tour/deploy.yaml, which hides the built-in");
    for file in ["runbooks/tour/deploy.yaml", "runbooks/tour/deploy.scenarios.yaml"] {
        let built_in = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert_eq!(bed.read(file), built_in);
    }
    bed.run(&["list"]).end().stdout_has("hides built-in");
    // Once more would take away what was changed since.
    bed.write("runbooks/tour/deploy.yaml", "mine\n");
    bed.run(&["eject", "tour/deploy"]).end().code(2).stderr_has("is there already; nothing was written");
    assert_eq!(bed.read("runbooks/tour/deploy.yaml"), "mine\n");
}

#[test]
fn eject_says_who_wins_where_the_copy_does_not() {
    let bed = Bed::new();
    bed.run(&["eject", "tour/deploy", "elsewhere"])
        .end()
        .code(0)
        .stderr_has("`tour/deploy` still means built-in: elsewhere/tour/deploy.yaml is in no library");
    let bed = Bed::new().file("strong/tour/deploy.yaml", "title: x\n");
    bed.run(&["eject", "tour/deploy", "runbooks", "--library", "strong"])
        .end()
        .code(0)
        .stderr_has("`tour/deploy` still means strong/tour/deploy.yaml, which hides runbooks/tour/deploy.yaml");
}

#[test]
fn eject_takes_only_what_is_built_in() {
    let bed = Bed::new().file("runbooks/mine.yaml", SITE);
    bed.run(&["eject", "mine"]).end().code(2).stderr_has("it is runbooks/mine.yaml already");
    bed.run(&["eject", "tour/deplo"]).end().code(2).stderr_has("did you mean `tour/deploy`?");
    bed.run(&["eject", "tour/deploy", "x.yaml"]).end().code(2).stderr_has("a folder is wanted");
    bed.run(&["eject", "tour/deploy", "/proc"])
        .end()
        .code(1)
        .stderr_has("could not write /proc/tour/deploy.scenarios.yaml");
    assert!(!bed.exists("x.yaml"));
}

#[test]
fn the_schema_goes_to_a_file_as_well() {
    let bed = Bed::new().file("old.json", "old");
    let said = bed.run(&["schema", "--kind", "runbook"]).end().code(0).stdout;
    assert_eq!(serde_json::from_str::<Json>(&said).unwrap()["$schema"], "https://json-schema.org/draft/2020-12/schema");
    bed.run(&["schema", "--out", "old.json"]).end().code(0);
    assert_eq!(bed.read("old.json"), said);
    bed.run(&["schema", "--out", "/proc/x.json"]).end().code(1).stderr_has("could not write /proc/x.json");
    bed.run(&["schema", "--kind", "scenario"]).end().code(2);
}
