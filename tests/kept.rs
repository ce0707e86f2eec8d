//! Runs of every release, as that release wrote them: each later version reads, verifies, reports and resumes them.
//!
//! A folder below `tests/journals` is never changed. A release adds one: the same runbooks, run by that version.

use std::path::Path;

use serde_json::Value as Json;

use crate::lab::{Ended, Lab};

/// The releases, and the names of their runs: one that succeeded, one that failed, one that was killed in `gate`.
const RELEASES: [(&str, [&str; 3]); 1] =
    [("0.1.0", ["20261120-214035-q6uwuf", "20261120-214035-e92ujd", "20261120-214035-t3w8bx"])];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn kept(release: &str) -> Lab {
    let lab = Lab::new();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals").join(release);
    copy(&stored, &lab.state.join("runsheet"));
    lab
}

#[test]
fn they_are_listed_verified_and_reported() {
    for (release, [succeeded, failed, interrupted]) in RELEASES {
        let lab = kept(release);
        let mut listed: Vec<(String, String)> =
            serde_json::from_str::<Json>(&lab.call(&["history", "--json"]).expect(0).out)
                .unwrap()
                .as_array()
                .unwrap()
                .iter()
                .map(|run| (run["run"].as_str().unwrap().into(), run["outcome"].as_str().unwrap().into()))
                .collect();
        listed.sort();
        let mut expected = [(succeeded, "succeeded"), (failed, "failed"), (interrupted, "interrupted")]
            .map(|(a, b)| (a.into(), b.into()));
        expected.sort();
        assert_eq!(listed, expected, "{release}");
        for run in [succeeded, failed, interrupted] {
            lab.call(&["verify", run]).expect(0);
            let report = lab.call(&["report", run]).expect(0).out;
            for word in ["look", "rain", "broken", "found v"] {
                assert!(report.contains(word), "{release} {run}: `{word}` is missing in {report}");
            }
            let report: Json =
                serde_json::from_str(&lab.call(&["report", run, "--format", "json"]).expect(0).out).unwrap();
            let records = report["records"].as_array().unwrap();
            let end = records.iter().find(|r| r["event"] == "step_finished" && r["step"] == "look").unwrap();
            assert!(end["captures"]["found"].as_str().unwrap().starts_with("found v"), "{release}: {end:#}");
            let skip = records.iter().find(|r| r["event"] == "step_skipped" && r["step"] == "rain");
            assert!(skip.is_some(), "{release}");
        }
    }
}

#[test]
fn those_that_are_over_return_their_code() {
    for (release, [succeeded, failed, _]) in RELEASES {
        let lab = kept(release);
        lab.call(&["resume", succeeded, "--yes"]).expect(0);
        lab.call(&["resume", failed, "--yes"]).expect(1);
    }
}

#[test]
fn the_one_that_was_left_is_gone_on_with() {
    for (release, [_, _, interrupted]) in RELEASES {
        let lab = kept(release);
        // If this version plans it differently, that is for a person to see, and nothing is done.
        let differs =
            |ended: &Ended| ended.code == Some(7) && ended.err.contains("plans the rest of the run differently");
        let asked = lab.call(&["resume", interrupted, "--yes"]);
        if differs(&asked) {
            println!("{release}: {}", asked.err);
            lab.call(&["verify", interrupted]).expect(0);
            continue;
        }
        let asked = asked.expect(7);
        assert!(asked.err.contains("gate"), "{release}: {asked:#?}");
        let args = ["resume", interrupted, "--step", "gate", "--as", "done", "--reason", "it is long ago", "--json"];
        let ended = lab.call(&args).expect(0);
        let last = ended.events().into_iter().find(|r| r["event"] == "step_finished" && r["step"] == "last").unwrap();
        // Made of a value that only the journal of that release holds.
        assert_eq!(last["captures"]["said"], "last of found v2.0", "{release}");
        lab.call(&["verify", interrupted]).expect(0);
        lab.call(&["report", interrupted]).expect(0);
    }
}

#[test]
fn an_edit_is_found_after_any_time() {
    for (release, runs) in RELEASES {
        for run in runs {
            let lab = kept(release);
            let path = lab.runs_dir().join(run).join("journal.jsonl");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replacen("found v", "found w", 1)).unwrap();
            let found = lab.call(&["verify", run]).expect(10);
            assert!(found.out.contains("journal.jsonl line"), "{release}: {found:#?}");
        }
    }
}

/// Runs of one runbook that name a file beside it, capture what is not on record, and were left in every way: one that is
/// over, one at its gate, one killed in `gate` whose supervisor wrote down its end, one whose `gate` killed itself, and one
/// at its gate that has taken a changed runbook since.
const WIDER: [(&str, [&str; 5]); 1] = [(
    "0.1.0-wider",
    [
        "20261120-234649-tvg9jz",
        "20261120-234649-i5iu5w",
        "20261120-234649-76dkjb",
        "20261120-234651-mv34ku",
        "20261120-234651-c8ws45",
    ],
)];

/// What the last step said; nothing where this version plans the run differently, which is for a person to see.
fn gone_on(lab: &Lab, run: &str, args: &[&str]) -> Option<String> {
    let ended = lab.call(&[&["resume", run, "--json"], args].concat());
    if ended.code == Some(7) && ended.err.contains("plans the rest of the run differently") {
        println!("{run}: {}", ended.err);
        lab.call(&["verify", run]).expect(0);
        return None;
    }
    let ended = ended.expect(0);
    lab.call(&["verify", run]).expect(0);
    lab.call(&["report", run]).expect(0);
    lab.call(&["resume", run, "--yes"]).expect(0);
    let said = ended.events().into_iter().find(|r| r["event"] == "step_finished" && r["step"] == "last").unwrap();
    Some(said["captures"]["said"].as_str().unwrap().to_owned())
}

#[test]
fn runs_that_were_left_in_every_way_are_read() {
    for (release, runs) in WIDER {
        let lab = kept(release);
        let listed: Json = serde_json::from_str(&lab.call(&["history", "--json"]).expect(0).out).unwrap();
        for (run, outcome) in runs.iter().zip(["succeeded", "paused", "interrupted", "unknown", "paused"]) {
            let of = listed.as_array().unwrap().iter().find(|of| of["run"] == **run).unwrap();
            assert_eq!(of["outcome"], outcome, "{release} {run}");
            lab.call(&["verify", run]).expect(0);
            let report = lab.call(&["report", run]).expect(0).out;
            assert!(report.contains("found v") && report.contains("srv/runbooks/wide.yaml"), "{release}: {report}");
        }
        let report = lab.call(&["report", runs[4]]).expect(0).out;
        for said in ["a step was missing", "it was mended", "follows the runbook as it was by then"] {
            assert!(report.contains(said), "{release}: `{said}` is missing in {report}");
        }
        let path = lab.runs_dir().join(runs[4]).join("runbook@2/wide.yaml");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace("extra of", "less of")).unwrap();
        lab.call(&["verify", runs[4]]).expect(10);
        lab.call(&["resume", runs[4], "--yes"]).expect(10);
    }
}

#[test]
fn runs_that_were_left_in_every_way_are_gone_on_with() {
    for (release, [closed, paused, interrupted, unknown, taken]) in WIDER {
        let lab = kept(release);
        lab.call(&["resume", closed, "--yes"]).expect(0);
        if let Some(said) = gone_on(&lab, interrupted, &["--yes"]) {
            assert_eq!(said, "last of found v3.0", "{release}");
        }
        let log = std::fs::read_to_string(lab.runs_dir().join(interrupted).join("out/gate.1.log")).unwrap();
        assert_eq!(log, "passed with found v3.0 and 15 characters\n");
        lab.call(&["resume", unknown, "--yes"]).expect(7);
        let decided = ["--yes", "--step", "gate", "--as", "done", "--reason", "it is long ago"];
        if let Some(said) = gone_on(&lab, unknown, &decided) {
            assert_eq!(said, "last of found v4.0", "{release}");
        }
        // The file that a step names is not there any more.
        let answers = lab.file("answers.yaml", "note: {answer: go-on, reason: it is long ago}\n");
        for (run, said) in [(paused, "last of found v2.0"), (taken, "last of found v5.0 and extra of found v5.0")] {
            lab.call(&["resume", run, "--yes"]).expect(7);
            if let Some(found) = gone_on(&lab, run, &["--yes", "--answers", &answers]) {
                assert_eq!(found, said, "{release}");
                assert!(lab.call(&["report", run]).expect(0).out.contains("srv/runbooks/note.txt"));
            }
        }
    }
}

/// Killed while two steps ran side by side: one ended later, as its supervisor wrote down, and of the other there is nothing.
const BESIDE: (&str, &str) = ("0.1.0-beside", "20261121-005926-hx53h6");

#[test]
fn a_run_left_with_two_steps_side_by_side_is_gone_on_with() {
    let (release, run) = BESIDE;
    let lab = kept(release);
    lab.call(&["verify", run]).expect(0);
    let report = lab.call(&["report", run]).expect(0).out;
    assert!(report.contains("found v6.0") && report.contains("right begins"), "{report}");
    let asked = lab.call(&["resume", run, "--yes"]);
    if asked.err.contains("plans the rest of the run differently") {
        return assert_eq!(asked.code, Some(7));
    }
    let asked = asked.expect(7);
    assert!(asked.err.contains("✔ left") && asked.err.contains("right"), "{asked:#?}");
    let decided = ["--yes", "--step", "right", "--as", "done", "--reason", "it is long ago"];
    if let Some(said) = gone_on(&lab, run, &decided) {
        assert_eq!(said, "last of found v6.0");
    }
}

/// Runs of a loop over a group that calls another runbook, and a choice: one that succeeded, one that was undone, one that
/// was killed in the choice, and one that was killed while it was taken back.
const NESTED: (&str, [&str; 4]) = (
    "0.1.0-nested",
    ["20261121-063002-swee95", "20261121-063003-nv9u5y", "20261121-063005-ikgbhr", "20261121-063005-2uuu62"],
);

#[test]
fn runs_of_containers_and_of_an_undo_are_read() {
    let (release, runs) = NESTED;
    let lab = kept(release);
    let listed: Json = serde_json::from_str(&lab.call(&["history", "--json"]).expect(0).out).unwrap();
    for (run, outcome) in runs.iter().zip(["succeeded", "undone", "interrupted", "interrupted"]) {
        let of = listed.as_array().unwrap().iter().find(|of| of["run"] == **run).unwrap();
        assert_eq!(of["outcome"], outcome, "{release} {run}");
        lab.call(&["verify", run]).expect(0);
        let report = lab.call(&["report", run]).expect(0).out;
        for said in ["scale[web]/one", "scale[db]/part/work", "part of db", "way/right/gate"] {
            assert!(report.contains(said), "{release} {run}: `{said}` is missing in {report}");
        }
    }
    lab.call(&["resume", runs[0], "--yes"]).expect(0);
    lab.call(&["resume", runs[1], "--yes"]).expect(6);
    let report = lab.call(&["report", runs[1]]).expect(0).out;
    for said in ["## Undo", "last@undo", "scale[web]/part/work", "stays as it is: way/right/gate"] {
        assert!(report.contains(said), "{release}: `{said}` is missing in {report}");
    }
    let log = std::fs::read_to_string(lab.runs_dir().join(runs[1]).join("out/last%40undo.1.log")).unwrap();
    assert_eq!(log, "taken back: last of found v8.0, one of web with found v8.0 and told part of db\n");
}

#[test]
fn runs_of_containers_and_of_an_undo_are_gone_on_with() {
    let (release, [succeeded, undone, interrupted, half]) = NESTED;
    let lab = kept(release);
    let asked = lab.call(&["resume", interrupted, "--yes"]);
    if asked.err.contains("plans the rest of the run differently") {
        return assert_eq!(asked.code, Some(7));
    }
    assert!(asked.expect(7).err.contains("way/right/gate"));
    let decided = ["--yes", "--step", "way/right/gate", "--as", "done", "--reason", "it is long ago"];
    if let Some(said) = gone_on(&lab, interrupted, &decided) {
        assert_eq!(said, "last of found v9.0, one of web with found v9.0 and told part of db", "{release}");
    }
    // What was undone of it is not undone again, and what is left is.
    let asked = lab.call(&["undo", half, "--yes"]).expect(7);
    assert!(asked.err.contains("scale[db]/one@undo"), "{asked:#?}");
    let decided = ["--step", "scale[db]/one@undo", "--as", "done", "--reason", "it is long ago"];
    let ended = lab.call(&[&["undo", half, "--yes", "--json"], &decided[..]].concat()).expect(6);
    let begun: Vec<String> = ended
        .events()
        .iter()
        .filter(|of| of["event"] == "step_started")
        .map(|of| of["step"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(begun, ["scale[web]/part/work@undo", "scale[web]/one@undo"]);
    lab.call(&["verify", half]).expect(0);
    lab.call(&["report", half]).expect(0);
    lab.call(&["undo", undone, "--yes"]).expect(2);
    // One that had succeeded when that version left it is undone by this one.
    lab.call(&["undo", succeeded, "--yes"]).expect(6);
    lab.call(&["verify", succeeded]).expect(0);
}
