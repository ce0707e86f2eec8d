//! Heads of a run that were told while it went on, and what they find later that the chain alone does not.

use runsheet::journal::{TAG, hex_sha256};

use crate::{
    lab::{Lab, events},
    signed::{forge, lie},
};

const BOOK: &str = r#"
title: Small
steps:
  - {id: look, effect: read, shell: echo looking}
  - {id: one, needs: [look], shell: echo one}
  - {id: lost, needs: [one], shell: exit 3, on_failure: continue}
  - {id: rain, needs: [one], when: 1 == 2, shell: echo rain}
"#;

/// The lines that were told, as record and hash.
fn told(said: &str, run: &str) -> Vec<(u64, String)> {
    let line = |line: &str| {
        let rest = line.strip_prefix("anchor ")?;
        let parts: Vec<&str> = rest.split(' ').collect();
        let [of, seq, hash] = parts[..] else { panic!("{line}") };
        assert_eq!(of, run);
        Some((seq.parse().unwrap(), hash.to_owned()))
    };
    said.lines().filter_map(line).collect()
}

fn run_name(lab: &Lab) -> String {
    lab.run_dir().file_name().unwrap().to_str().unwrap().to_owned()
}

/// The hash of each line, computed here.
fn hashes(lab: &Lab) -> Vec<String> {
    let journal = std::fs::read(lab.run_dir().join("journal.jsonl")).unwrap();
    let lines = journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| hex_sha256(&[TAG, line].concat())).collect()
}

/// The records after which heads are told.
fn due(lab: &Lab) -> Vec<u64> {
    let journal = lab.journal();
    let looks: Vec<_> =
        journal.iter().filter(|record| record["effect"] == "read").map(|record| &record["step"]).collect();
    let told = |record: &&serde_json::Value| match record["event"].as_str().unwrap() {
        "run_started" | "run_resumed" | "run_paused" | "run_finished" => true,
        "step_finished" => !looks.contains(&&record["step"]),
        _ => false,
    };
    journal.iter().filter(told).map(|record| record["seq"].as_u64().unwrap()).collect()
}

#[test]
fn heads_are_told_at_the_start_after_each_change_and_at_the_end() {
    for flags in [&["--anchor"][..], &["--anchor", "--quiet"], &["--anchor", "--json"]] {
        let lab = Lab::new();
        lab.book(BOOK);
        let ended = lab.call(&[&["run", "./book.yaml", "--yes"], flags].concat()).expect(0);
        let told = told(&ended.err, &run_name(&lab));
        assert_eq!(told.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), due(&lab), "{ended:#?}");
        assert_eq!(told.len(), 4);
        let hashes = hashes(&lab);
        for (seq, hash) in &told {
            assert_eq!(*hash, hashes[*seq as usize - 1]);
            let found = lab.call(&["verify", "last", "--anchor", &hash.to_uppercase()]).expect(0);
            assert!(found.out.contains(&format!("anchor: it is the hash of record {seq}, ")), "{found:#?}");
            let whole = *seq as usize == hashes.len();
            assert_eq!(found.out.contains("the whole journal is proven"), whole, "{found:#?}");
            let behind = match hashes.len() as u64 - seq {
                1 => "the record behind it is not proven".to_owned(),
                more => format!("the {more} records behind it are not proven"),
            };
            assert_eq!(found.out.contains(&behind), !whole, "{found:#?}");
        }
        let shown = events(&ended.out);
        for record in &shown {
            let seq = record["seq"].as_u64().unwrap();
            let head = told.iter().find(|(at, _)| *at == seq).map(|(_, hash)| hash.as_str());
            assert_eq!(record.get("head").and_then(serde_json::Value::as_str), head, "{record}");
        }
        assert_eq!(shown.len(), if flags.contains(&"--json") { hashes.len() } else { 0 });
    }
    let lab = Lab::new();
    lab.book(BOOK);
    let ended = lab.call(&["run", "./book.yaml", "--yes", "--json"]).expect(0);
    assert!(!ended.err.contains("anchor") && !ended.out.contains("\"head\""), "{ended:#?}");
}

#[test]
fn each_head_is_that_of_its_record_while_steps_run_side_by_side() {
    let lab = Lab::new();
    let steps: String = (0..12).map(|n| format!("  - {{id: s{n}, shell: echo {n}}}\n")).collect();
    lab.book(&format!("title: Many\nsteps:\n{steps}"));
    let ended = lab.call(&["run", "./book.yaml", "--yes", "--anchor", "--jobs", "6"]).expect(0);
    let (told, hashes) = (told(&ended.err, &run_name(&lab)), hashes(&lab));
    assert_eq!(told.len(), 14, "{ended:#?}");
    assert_eq!(told.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), due(&lab));
    for (seq, hash) in told {
        assert_eq!(hash, hashes[seq as usize - 1]);
    }
}

#[test]
fn a_rewritten_record_is_found_by_an_anchor_behind_it() {
    let lab = Lab::new();
    lab.book(BOOK);
    let ended = lab.call(&["run", "./book.yaml", "--yes", "--anchor"]).expect(0);
    let told = told(&ended.err, &run_name(&lab));
    lie(&lab.run_dir());
    let found = lab.call(&["verify", "last"]).expect(0);
    assert!(found.out.contains("only against someone who does not rewrite all of it"), "{found:#?}");
    // The lie begins behind the first record, and every anchor behind that finds it.
    lab.call(&["verify", "last", "--anchor", &told[0].1]).expect(0);
    for (_, hash) in &told[1..] {
        let found = lab.call(&["verify", "last", "--anchor", hash]).expect(10);
        assert!(found.out.contains("bad: anchor: no line of the journal has this hash"), "{found:#?}");
    }
}

#[test]
fn the_cut_end_of_an_open_run_is_found_by_an_anchor_alone() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - {id: one, shell: echo one}\n  - {id: sure, confirm: Go on?}\n");
    let ended = lab.call(&["run", "./book.yaml", "--anchor"]).expect(11);
    let told = told(&ended.err, &run_name(&lab));
    assert_eq!(told.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), due(&lab), "{ended:#?}");
    let records = lab.journal().len();
    let whole = std::fs::read(lab.run_dir().join("journal.jsonl")).unwrap();
    for keep in (1..records).rev() {
        forge(&lab.run_dir(), |at, own| (at <= keep).then(|| own.to_owned()));
        let kept = lab.journal().len();
        assert_eq!(kept, keep);
        let output_is_promised = lab.journal().iter().any(|record| record["event"] == "step_finished");
        let found = lab.call(&["verify", "last"]);
        // The log of a step without an end is one that nothing is said about yet.
        assert_eq!(found.code, Some(if output_is_promised || keep > 1 { 0 } else { 10 }), "{keep}: {found:#?}");
        assert!(found.out.contains("a cut tail leaves no trace"), "{found:#?}");
        let last = &told.last().unwrap().1;
        lab.call(&["verify", "last", "--anchor", last]).expect(10);
    }
    std::fs::write(lab.run_dir().join("journal.jsonl"), whole).unwrap();
    // What goes on tells on, and what was told before stays true.
    let ended = lab.call(&["resume", "last", "--yes", "--anchor"]).expect(0);
    let again = self::told(&ended.err, &run_name(&lab));
    let later: Vec<u64> = due(&lab).into_iter().filter(|seq| *seq as usize > records).collect();
    assert_eq!(again.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), later, "{ended:#?}");
    for (_, hash) in told.iter().chain(&again) {
        lab.call(&["verify", "last", "--anchor", hash]).expect(0);
    }
}

#[test]
fn what_is_no_anchor_is_a_mistake_and_not_a_finding() {
    let lab = Lab::new();
    lab.book(BOOK);
    let ended = lab.call(&["run", "./book.yaml", "--yes", "--anchor"]).expect(0);
    let whole = told(&ended.err, &run_name(&lab)).remove(0).1;
    for slip in ["", "latest", &whole[..63], &format!("{whole}0"), &whole.replacen(|_| true, "g", 1)] {
        let found = lab.call(&["verify", "last", "--anchor", slip]).expect(2);
        assert!(found.err.contains("is no anchor"), "{found:#?}");
    }
    lab.call(&["verify", "last", "last", "--anchor", &whole]).expect(2);
    lab.call(&["verify", "last", "--anchor", &format!(" {whole}\n")]).expect(0);
    lab.call(&["verify", "last", "--anchor", &"0".repeat(64)]).expect(10);
}
