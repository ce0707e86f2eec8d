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
