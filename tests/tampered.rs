//! Edits to what is kept of a run, and that `verify` finds each of them.

use std::path::PathBuf;

use crate::lab::Lab;

fn finished() -> Lab {
    let lab = Lab::new();
    lab.book(
        r#"
title: Small
steps:
  - {id: one, shell: echo out of one, capture: {one: result.stdout}}
  - {id: two, when: one == "never", shell: echo two}
  - {id: three, shell: echo out of three}
"#,
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    lab.sound();
    lab
}

fn edit(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let before = std::fs::read(path).unwrap();
    let mut after = before.clone();
    change(&mut after);
    std::fs::write(path, after).unwrap();
    before
}

#[test]
fn every_changed_byte_of_the_journal_is_found_in_its_line() {
    let lab = finished();
    let path = lab.run_dir().join("journal.jsonl");
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        edit(&path, |bytes| bytes[at] ^= 1);
        let found = lab.call(&["verify", "last"]).expect(10);
        assert!(found.out.contains(&format!("line {line}")), "byte {at} of line {line}: {found:#?}");
        if at % 5 == 0 {
            let refused = lab.call(&["resume", "last", "--yes"]).expect(10);
            assert!(refused.err.contains("line"), "{refused:#?}");
            assert_eq!(lab.outcomes(), ["broken"]);
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    lab.sound();
}

#[test]
fn lines_that_were_taken_out_are_missed() {
    let lab = finished();
    let path = lab.run_dir().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for gone in 0..lines.len() {
        let rest: String = lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| *line).collect();
        std::fs::write(&path, rest).unwrap();
        let found = lab.call(&["verify", "last"]);
        assert_eq!(found.code, Some(10), "line {}: {found:#?}", gone + 1);
    }
    // The end cut off, at a line and within one.
    for keep in [text.len() - lines[lines.len() - 1].len(), text.len() - 5] {
        std::fs::write(&path, &text[..keep]).unwrap();
        lab.call(&["verify", "last"]).expect(10);
        lab.call(&["resume", "last", "--yes"]).expect(10);
    }
    std::fs::write(&path, &text).unwrap();
    lab.sound();
}

#[test]
fn changed_output_and_frozen_files_are_found() {
    let lab = finished();
    let dir = lab.run_dir();
    for name in ["out/one.1.log", "out/three.1.log", "runbook/book.yaml", "plan.json"] {
        let path = dir.join(name);
        let before = edit(&path, |bytes| bytes[3] ^= 1);
        let found = lab.call(&["verify", "last"]).expect(10);
        assert!(found.out.contains(name.rsplit('/').next().unwrap()), "{name}: {found:#?}");
        std::fs::write(&path, &before).unwrap();
        edit(&path, |bytes| bytes.push(b'\n'));
        lab.call(&["verify", "last"]).expect(10);
        std::fs::remove_file(&path).unwrap();
        lab.call(&["verify", "last"]).expect(10);
        std::fs::write(&path, &before).unwrap();
        lab.sound();
    }
    // What belongs to no record is said, at least.
    std::fs::write(dir.join("out/four.1.log"), "invented").unwrap();
    let found = lab.call(&["verify", "last"]);
    assert!(found.out.contains("four.1.log"), "{found:#?}");
}

#[test]
fn an_anchor_is_found_or_missed() {
    let lab = finished();
    let said = lab.call(&["verify", "last"]).expect(0).out;
    let head = said.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned();
    lab.call(&["verify", "last", "--anchor", &head]).expect(0);
    lab.call(&["verify", "last", "--anchor", &"0".repeat(64)]).expect(10);
}
