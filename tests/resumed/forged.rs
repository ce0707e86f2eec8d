//! Journals as another version of the program would have written them: records edited, and the chain made anew.

use std::path::Path;

use runsheet::journal::{TAG, hex_sha256};

/// Edits the own part of each record, counted from 1; what comes back stands in its place, as one line or several.
pub fn journal(run: &Path, edit: impl Fn(usize, &str) -> Vec<String>) {
    let path = run.join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut head = hex_sha256(TAG);
    let mut forged = String::new();
    for (at, line) in text.lines().enumerate() {
        let (own, _) = line.rsplit_once(",\"prev\":\"").unwrap();
        for own in edit(at + 1, own) {
            let summed = format!("{own},\"prev\":\"{head}\"");
            let line = format!("{summed},\"sum\":\"{}\"}}", hex_sha256(summed.as_bytes()));
            head = hex_sha256(&[TAG, line.as_bytes()].concat());
            forged.push_str(&line);
            forged.push('\n');
        }
    }
    std::fs::write(path, forged).unwrap();
}

/// Edits the plan on record, and its digest with it.
pub fn plan(run: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = run.join("plan.json");
    let before = std::fs::read_to_string(&path).unwrap();
    let mut plan = serde_json::from_str(&before).unwrap();
    edit(&mut plan);
    let after = format!("{plan:#}\n");
    assert_ne!(before, after, "the edit changes nothing");
    std::fs::write(&path, &after).unwrap();
    let (old, new) = (hex_sha256(before.as_bytes()), hex_sha256(after.as_bytes()));
    journal(run, |_, own| {
        vec![own.replace(&old, &new).replace("\"tool_version\":\"0.1.0\"", "\"tool_version\":\"0.0.9\"")]
    });
}
