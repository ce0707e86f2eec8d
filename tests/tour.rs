//! The tour, run for real: the first thing that anybody does with this program must work, twice, and after a kill.

use std::{fs, path::PathBuf};

use rustix::process::Signal;

use crate::support::{Bed, Ended, lines_of_json};

const NAME: &str = "tour/deploy";

/// A bed in which the tour's folder is `site` below the working folder.
fn bed() -> Bed {
    Bed::new().env("RUNSHEET_PARAM_FOLDER", "site")
}

fn run<'b>(bed: &'b Bed, args: &[&str]) -> Ended<'b> {
    bed.run(&["run", NAME, "--yes"]).args(args).end()
}

fn page(bed: &Bed) -> String {
    bed.read("site/live/index.html")
}

fn link(bed: &Bed) -> PathBuf {
    fs::read_link(bed.path("site/live")).unwrap()
}

/// What the folder of the site holds, hidden files too.
fn left(bed: &Bed, below: &str) -> Vec<String> {
    let entries = fs::read_dir(bed.path(below)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn it_deploys_and_rolls_back() {
    let bed = bed();
    run(&bed, &[]).code(0).stderr_has("Switch the live site from v1 to v2?").stderr_has("Switch the live site to v2 [");
    assert!(page(&bed).contains("This is version v2."));
    assert_eq!(link(&bed), PathBuf::from("releases/v2"));
    run(&bed, &["--param", "version=previous"]).code(0).stderr_has("Switch the live site from v2 to v1?");
    assert!(page(&bed).contains("This is version v1."));
    // Back and forth: what was live before is now v2.
    run(&bed, &["--param", "version=previous"]).code(0);
    assert_eq!(link(&bed), PathBuf::from("releases/v2"));
    assert_eq!(left(&bed, "site"), [".runsheet-tour", "live", "previous", "releases", "source"]);
    assert_eq!(left(&bed, "site/releases"), ["v1", "v2"]);

    let history = bed.run(&["history", "--json"]).end().code(0);
    let history = &lines_of_json(&history.stdout.replace('\n', ""))[0];
    let outcomes: Vec<&str> = history.as_array().unwrap().iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["succeeded"; 3]);
    bed.run(&["report", "last", "--format", "json"]).end().code(0).stdout_has(NAME);
    for run in bed.runs() {
        bed.run(&["verify", run.file_name().unwrap().to_str().unwrap()]).end().code(0);
    }
}

#[test]
fn what_is_live_already_is_left_alone() {
    let bed = bed();
    run(&bed, &["--param", "version=v1"])
        .code(0)
        .stderr_lacks("Switch the live site from")
        .stderr_has("switch skipped");
    assert!(!bed.exists("site/previous"));
    run(&bed, &["--param", "version=previous"]).code(1).stderr_has("version != 'previous'");
    assert!(page(&bed).contains("This is version v1."));
}

#[test]
fn without_a_yes_it_stops_at_the_question_and_goes_on_from_there() {
    let bed = bed();
    bed.run(&["run", NAME]).end().code(11);
    assert_eq!((link(&bed), bed.exists("site/releases/v2")), (PathBuf::from("releases/v1"), true));
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert_eq!(link(&bed), PathBuf::from("releases/v2"));
    let prepared =
        bed.journal().iter().filter(|line| line["event"] == "step_started" && line["step"] == "prepare").count();
    assert_eq!(prepared, 1);
}

#[test]
fn a_no_leaves_the_old_version_live() {
    let bed = bed().file("answers.yaml", "go: no\n");
    bed.run(&["run", NAME, "--answers", "answers.yaml"]).end().code(5);
    assert_eq!(link(&bed), PathBuf::from("releases/v1"));
}

#[test]
fn killed_in_the_middle_it_is_resumed() {
    // This git stops at `archive v2` until it is let go on.
    let bed = bed().tool(
        "git",
        "#!/bin/bash\nself=$(dirname \"$0\")\nif [[ \"$*\" == *'archive v2' && -p $self/gate ]]; then\n  \
         echo here >\"$self/reached\"\n  read -r _ <\"$self/gate\"\nfi\nPATH=${PATH#*:} exec git \"$@\"\n",
    );
    let [gate, reached] = ["bin/gate", "bin/reached"].map(|name| bed.root().join(name));
    bed.call("mkfifo", &[gate.to_str().unwrap(), reached.to_str().unwrap()]).end().code(0);
    let going = bed.run(&["run", NAME, "--yes"]).start();
    assert_eq!(fs::read_to_string(&reached).unwrap(), "here\n");
    going.signal(Signal::KILL);
    let killed = going.end();
    assert_eq!((killed.code, link(&bed)), (None, PathBuf::from("releases/v1")));
    bed.run(&["history"]).end().code(0).stdout_has("interrupted");
    // What holds the gate lives on by itself; it ends before anything else is looked at.
    fs::write(&gate, "go\n").unwrap();
    fs::remove_file(&gate).unwrap();
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    assert!(page(&bed).contains("This is version v2."));
    assert_eq!(left(&bed, "site/releases"), ["v1", "v2"]);
    bed.run(&["verify", "last"]).end().code(0);
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_left_as_it_is() {
    let bed = bed().file("site/thesis.txt", "years of work");
    run(&bed, &[]).code(1).stderr_has("holds something else");
    assert_eq!(left(&bed, "site"), ["thesis.txt"]);
    let bed = self::bed().file("elsewhere/.runsheet-tour", "");
    std::os::unix::fs::symlink(bed.path("elsewhere"), bed.path("site")).unwrap();
    run(&bed, &[]).code(1).stderr_has("is a link");
    assert_eq!(left(&bed, "elsewhere"), [".runsheet-tour"]);
}

#[test]
fn its_plan_changes_nothing() {
    let bed = bed();
    bed.run(&["plan", NAME]).end().code(0).stdout_has("10 steps: 6 read, 4 change, 0 destroy");
    assert_eq!((bed.exists("site"), bed.runs().len()), (false, 0));
}

#[test]
fn your_own_git_settings_stay_out_of_it() {
    let bed = bed();
    fs::write(bed.root().join("home/.gitconfig"), "[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = odd\n")
        .unwrap();
    run(&bed, &[]).code(0);
    assert!(page(&bed).contains("This is version v2."));
}
