//! What a page of the guide shows on a screen is what comes: every `console` block is done again, in order, in a copy of
//! the guide's practice folder. Knows no page.
//!
//! A line `$ COMMAND` is given to bash, without anybody at the keyboard; the lines behind it are what it says. Where
//! somebody is, the block holds one command, and its info string the keys: `console r s "reason: not needed"` presses `r`,
//! then `s`, and types a text where `reason:` is asked for. Times, durations and ids count for nothing, and a line `…` stands
//! for any lines.

use std::path::Path;

use super::{golden, root};
use crate::{support::Bed, terminal::Seat};

/// Where the practice folder lies in the pages, and whose machine it is.
const SHOWN: &str = "/srv/practice";
const HOST: &str = "laptop";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// A bed whose working folder is the practice folder, as somebody finds it who has not been there yet.
fn practice() -> Bed {
    let bed = Bed::new().env("USER", "kim");
    copy(&root().join("docs/guide/practice"), &bed.path("."));
    let program = Path::new(crate::support::PROGRAM);
    std::os::unix::fs::symlink(program, bed.root().join("bin/runsheet")).unwrap();
    bed
}

/// Without what is this machine's and this folder's.
fn plain(bed: &Bed, text: &str) -> String {
    let text = text.replace(&bed.root().join("work").display().to_string(), SHOWN);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = regex::Regex::new(&format!(r"\bon (`?){}\b", regex::escape(&host))).unwrap();
    let text = host.replace_all(&text, format!("on ${{1}}{HOST}"));
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What the commands of one block say, command by command; `$?` is the code of the one before.
fn said(bed: &Bed, commands: &[&str]) -> Vec<String> {
    let mark = "\u{1}";
    let mut script = "last=0\n".to_owned();
    for command in commands {
        let quoted = command.replace('\'', r"'\''");
        script.push_str(&format!("(exit $last); eval '{quoted}' 2>&1; last=$?; printf '{mark}'\n"));
    }
    let ended = bed.call("bash", &["-c", &script]).stdin_null().end().code(0);
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    ended.stdout.split(mark).take(commands.len()).map(|text| plain(bed, text)).collect()
}

/// What one command shows to somebody who presses these keys.
fn seen(bed: &Bed, command: &str, keys: &[(String, String)]) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let mut seat = Seat::take(bed, words.strip_prefix(&["runsheet"]).expect("only ours has keys"));
    for (prompt, keys) in keys {
        seat.answers(prompt, keys);
    }
    let (_, shown) = seat.leaves();
    assert!(!shown.trim_end().lines().last().is_some_and(|line| line.starts_with("  press ")), "more keys:\n{shown}");
    // A wait is one line that is written anew; its end takes its place.
    let waits = regex::Regex::new("(?:  ⧖ [^\\n]*)(✔|✘|\\?)").unwrap();
    plain(bed, &waits.replace_all(&shown, "$1"))
}

/// The keys of an info string, each with the prompt that it answers.
fn keys(info: &str) -> Vec<(String, String)> {
    let word = regex::Regex::new(r#"(?:"([^"]*?): ([^"]*)"|(\S))(?: |$)"#).unwrap();
    let answers = word.captures_iter(info).map(|found| match found.get(3) {
        Some(key) => ("\n  press ".to_owned(), key.as_str().to_owned()),
        None => (format!("{}:", &found[1]), format!("{}\r", &found[2])),
    });
    answers.collect()
}

/// Whether this is what is shown, where a line `…` stands for any lines.
fn fits(found: &str, shown: &str) -> bool {
    let lines = shown.split_inclusive('\n');
    let pattern: String =
        lines.map(|line| if line == "…\n" { "(?:.*\n)*?".to_owned() } else { regex::escape(line) }).collect();
    regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(found)
}

/// The page with what comes now, where that is something else than what it shows.
fn retold(page: &str) -> String {
    let bed = practice();
    let mut told = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        told.push_str(line);
        told.push('\n');
        let Some(info) = line.strip_prefix("```console") else { continue };
        // Each command with what the page shows behind it.
        let mut parts: Vec<(&str, String)> = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            match line.strip_prefix("$ ") {
                Some(command) => parts.push((command, String::new())),
                None => {
                    let (_, shown) = parts.last_mut().expect("a console block begins with a command");
                    shown.push_str(line);
                    shown.push('\n');
                }
            }
        }
        let commands: Vec<&str> = parts.iter().map(|(command, _)| *command).collect();
        let keys = keys(info.trim());
        let found = match (&keys[..], &commands[..]) {
            ([], commands) => said(&bed, commands),
            (keys, [command]) => vec![seen(&bed, command, keys)],
            _ => panic!("with keys, a block has one command: {commands:?}"),
        };
        for ((command, shown), found) in parts.iter().zip(found) {
            // Times, durations and ids count for nothing.
            let same = fits(&bed.normalise(&found), &bed.normalise(shown));
            told.push_str(&format!("$ {command}\n{}", if same { shown } else { &found }));
        }
        told.push_str("```\n");
    }
    told
}

/// `UPDATE_GOLDEN=1` writes what comes.
#[test]
fn what_the_guide_shows_is_what_comes() {
    let (mut drift, mut blocks) = (Vec::new(), 0);
    let mut pages = super::pages();
    pages.retain(|(_, text)| text.contains("\n```console"));
    // Each page has a folder of its own, and mostly waits.
    let told: Vec<String> = std::thread::scope(|scope| {
        let telling: Vec<_> = pages.iter().map(|(_, text)| scope.spawn(|| retold(text))).collect();
        telling.into_iter().map(|page| page.join().unwrap()).collect()
    });
    for ((path, text), should) in pages.into_iter().zip(told) {
        blocks += should.matches("\n```console").count();
        if should != text && std::env::var_os("UPDATE_GOLDEN").is_none() {
            let lines = text.lines().zip(should.lines()).find(|(is, should)| is != should);
            drift.push(format!("the first difference: {lines:#?} in"));
        }
        golden(&path, &should, &mut drift);
    }
    assert!(drift.is_empty(), "other than shown: {}\nUPDATE_GOLDEN=1 cargo test --test suite docs::", drift.join(" "));
    assert!(blocks > 10, "only {blocks} blocks were found");
}

/// The first chapters do without what later ones are about, and are warned of that.
#[test]
fn every_runbook_of_the_guide_is_well_made() {
    let bed = practice();
    bed.run(&["check"]).end().code(0).stdout_has("runbooks: no errors");
    for entry in std::fs::read_dir(bed.path("runbooks")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        bed.run(&["plan", &name]).end().code(0);
    }
    assert!(bed.runs().is_empty() && !bed.exists("site"));
}

#[test]
fn keys_are_read_from_an_info_string() {
    let found = keys(r#"r s "reason: not needed" "yes or no: yes""#);
    let found: Vec<(&str, &str)> = found.iter().map(|(prompt, keys)| (prompt.as_str(), keys.as_str())).collect();
    assert_eq!(found, [("\n  press ", "r"), ("\n  press ", "s"), ("reason:", "not needed\r"), ("yes or no:", "yes\r")]);
    assert!(keys("").is_empty());
}

#[test]
fn a_page_that_shows_something_else_is_told_anew() {
    let page =
        "a\n```console\n$ ./tiles live tiles-1\n2026-04\n$ false\n$ echo $?\n0\n$ runsheet history\n[x]\n```\nb\n";
    assert_eq!(retold(page), page.replace("\n0\n", "\n1\n").replace("[x]", "no runs"));
    assert!(
        fits("a\nb\nc\n", "a\n…\n") && fits("a\nb\nc\n", "…\nb\n…\n") && !fits("a\nb\n", "…\nc\n") && !fits("", "a\n")
    );
    let page = "```console\n$ echo took 7ms\ntook 5ms\n```\n";
    assert_eq!(retold(page), page);
}
