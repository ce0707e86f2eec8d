//! Completion: what `__complete` answers, and that real shells make words of it.

use crate::support::{Bed, PROGRAM};

const SITE: &str = "\
title: Site
params:
  version: {type: string, example: v3.20, prompt: Version to promote}
  stage: {type: enum, choices: [blue, green, dark blue], default: blue}
  quick: {type: boolean, default: false}
profiles:
  production: {protected: true, params: {stage: green}}
  staging: {params: {stage: blue}}
steps:
  - {id: a, shell: echo}
";

fn bed() -> Bed {
    Bed::new().file("runbooks/web/site.yaml", SITE).file("runbooks/wrong.yaml", "title: [\n")
}

/// The words offered for a line, without what they mean.
fn offered(bed: &Bed, words: &[&str]) -> Vec<String> {
    let ended = bed.run(&["__complete", "--"]).args(words).end().code(0);
    assert_eq!(ended.stderr, "");
    ended.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn each_place_of_a_line_has_its_words() {
    let bed = bed();
    for (line, words) in [
        (&["res"][..], &["resume"][..]),
        (&["nothing-like-it"], &[]),
        (&["run", "web/"], &["web/site"]),
        (&["--library", "elsewhere", "run", "web/"], &["web/site"]),
        (&["run", "./x"], &[":files"]),
        (&["run", "no-such"], &[":files"]),
        (&["run", "web/site", "--param", ""], &["version=", "stage=", "quick="]),
        (&["run", "--param", "version=v1", "web/site", "-p", ""], &["stage=", "quick="]),
        (&["run", "web/site", "--param", "stage="], &["stage=blue", "stage=green", "stage=dark blue"]),
        (&["plan", "web/site", "--param=stage=g"], &["--param=stage=green"]),
        (&["run", "web/site", "--param", "quick=t"], &["quick=true"]),
        (&["run", "web/site", "--param", "version="], &["version=v3.20"]),
        (&["run", "web/site", "--param", "nothing="], &[]),
        (&["run", "--param", ""], &[]),
        (&["run", "wrong", "--param", ""], &[]),
        (&["run", "web/site", "--profile", "p"], &["production"]),
        (&["run", "web/site", "--mode", ""], &["step", "auto"]),
        (&["run", "web/site", "--mode=a"], &["--mode=auto"]),
        (&["run", "web/site", "--params-file", ""], &[":files"]),
        (&["run", "web/site", "--sig"], &["--sign"]),
        (&["run", "web/site", "--yes", "--ye"], &[]),
        (&["run", "web/site", "too", "many", ""], &[]),
        (&["--state-dir", ""], &[":folders"]),
        (&["list", "--j"], &["--json"]),
        (&["list", "w"], &["web"]),
        (&["resume", "x", "--as", "n"], &["not-done"]),
        (&["eject", "tour/"], &["tour/deploy"]),
        (&["eject", "web/"], &[]),
        (&["history", "--outcome", "un"], &["undone", "undo_failed", "unknown"]),
        (&["history", "--runbook", "web"], &["web/site"]),
        (&["completions", ""], &["bash", "zsh", "fish"]),
        (&["man", "doc"], &["doctor"]),
        (&["undo", ""], &[]),
        (&["__c"], &[]),
        (&["no-such-verb", "--"], &[]),
        (&["run", "--", "web/"], &["web/site"]),
        (&["run", "--", "--pa"], &[":files"]),
    ] {
        assert_eq!(offered(&bed, line), words, "{line:?}");
    }
    let all = offered(&bed, &[""]);
    assert!(all.contains(&"run".to_owned()) && !all.contains(&"__complete".to_owned()), "{all:?}");
}

#[test]
fn runs_are_offered_newest_first_and_only_open_ones_to_resume() {
    let bed = Bed::new()
        .file("done.yaml", "title: D\nsteps:\n  - {id: a, shell: echo}\n")
        .file("open.yaml", "title: O\nsteps:\n  - {id: a, manual: Do it.}\n");
    bed.run(&["run", "done.yaml", "--yes"]).end().code(0);
    bed.run(&["run", "open.yaml", "--yes"]).end().code(11);
    let runs: Vec<String> =
        bed.runs().iter().map(|run| run.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(offered(&bed, &["resume", ""]), [runs[1].clone()]);
    let mut both = runs.clone();
    both.sort();
    both.reverse();
    assert_eq!(offered(&bed, &["report", ""]), both);
    assert_eq!(offered(&bed, &["verify", &both[0], ""]), [both[1].clone()]);
    assert_eq!(offered(&bed, &["report", "la"]), ["last"]);
    assert_eq!(offered(&bed, &["--state-dir", "/nonexistent", "report", ""]), [""; 0]);
    // What is no run is passed over.
    std::fs::write(bed.runs()[0].join("journal.jsonl"), "no journal\n").unwrap();
    std::fs::create_dir(bed.state().join("runsheet/runs/not-a-run")).unwrap();
    assert!(offered(&bed, &["report", ""]).len() <= 2);
}

#[test]
fn a_tab_never_fails_loudly() {
    let bed = bed();
    for line in [&[][..], &["--"], &["-"], &["run", "-p"], &["run", "\u{1b}[2J"], &["run", "a=b=c", "--param", "=="]] {
        offered(&bed, line);
    }
    let bed = Bed::new().file("runbooks/a.yaml", "title: \"a\\tb\\nc\"\n").env("HOME", "relative");
    offered(&bed, &["run", "a", "--param", ""]);
    // Words that are no text.
    let ended = bed.run(&["__complete", "--", "run"]).raw_arg(b"\xff\xfe").end().code(0);
    assert_eq!(ended.stderr, "");
}

/// What bash has in COMPREPLY when Tab is pressed behind this line, one word a line.
fn bash(bed: &Bed, line: &str) -> Vec<String> {
    bed.write("completion.bash", &bed.run(&["completions", "bash"]).end().code(0).stdout);
    // As readline does it: words apart at `=` and `:` as well, which are words of their own.
    let script = r#"
        set -u
        source ./completion.bash
        COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
        rest=$1 word='' COMP_WORDS=()
        for ((i = 0; i < ${#rest}; i++)); do
            c=${rest:i:1}
            case $c in
                ' ') [[ -n $word ]] && COMP_WORDS+=("$word"); word='' ;;
                = | :) [[ -n $word ]] && COMP_WORDS+=("$word"); COMP_WORDS+=("$c"); word='' ;;
                *) word+=$c ;;
            esac
        done
        case $rest in *[=:]) ;; *) COMP_WORDS+=("$word") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _runsheet runsheet "$word" ""
        if ((${#COMPREPLY[@]})); then printf '%s\n' "${COMPREPLY[@]}"; fi
    "#;
    let ended = bed.call("bash", &["--norc", "-c", script, "bash", line]).end().code(0);
    assert_eq!(ended.stderr, "", "{line}");
    ended.stdout.lines().map(str::to_owned).collect()
}

/// The program under its own name on the search path.
fn with_program(bed: Bed) -> Bed {
    std::os::unix::fs::symlink(PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    bed
}

#[test]
fn bash_makes_words_of_it() {
    let bed = with_program(bed()).file("answers file.yaml", "").file("answers/x", "");
    for (line, words) in [
        ("runsheet ru", &["run"][..]),
        ("runsheet run we", &["web/site"]),
        ("runsheet run web/site --param ", &["version=", "stage=", "quick="]),
        ("runsheet run web/site --param st", &["stage="]),
        // Only what stands behind the `=` is replaced.
        ("runsheet run web/site --param stage=", &["blue", "green", r"dark\ blue"]),
        ("runsheet run web/site --param stage=g", &["green"]),
        ("runsheet run web/site --mode=", &["step", "auto"]),
        ("runsheet run web/site --param stage=blue --param ", &["version=", "quick="]),
        ("runsheet run web/site --answers answ", &["answers", "answers file.yaml"]),
        ("runsheet --state-dir answ", &["answers"]),
        ("runsheet run --param", &["--param", "--params-file"]),
    ] {
        let mut got = bash(&bed, line);
        if line.ends_with("answ") {
            got.sort();
        }
        assert_eq!(got, words, "{line}");
    }
    assert!(bash(&bed, "runsheet ").contains(&"doctor".to_owned()));
}

/// A program that answers a Tab as ours does, and else says what it was given.
fn with_echo(bed: Bed) -> Bed {
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = __complete ]; then exec '{PROGRAM}' \"$@\"; fi\nprintf '<%s>' \"$@\"; echo\n"
    );
    bed.tool("runsheet", &script)
}

#[test]
fn a_real_bash_completes_at_a_tab() {
    let bed = with_echo(bed());
    bed.write("completion.bash", &bed.run(&["completions", "bash"]).end().code(0).stdout);
    // Readline itself, at a pseudo-terminal that `script` gives it; the completed line is what echo is given.
    let keys = "PS1= ; source ./completion.bash\nrunsheet run web/si\t--param sta\tg\t--prof\tsta\t\nexit\n";
    let ended = bed.call("script", &["-qec", "bash --norc --noprofile -i", "/dev/null"]).stdin(keys).end();
    let said = ended.stdout.to_owned();
    assert!(said.contains("<run><web/site><--param><stage=green><--profile><staging>"), "{said}");
}

#[test]
fn zsh_makes_words_of_it() {
    let bed = with_echo(bed());
    bed.write("_runsheet", &bed.run(&["completions", "zsh"]).end().code(0).stdout);
    let script = r#"
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -n -w shell $'PS1=; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0\n'
        zpty -n -w shell $'echo read""y\n'
        zpty -r shell out '*ready*'
        zpty -n -w shell $'runsheet run web/si\t--param sta\tg\t--prof\tsta\t; echo do""ne\n'
        zpty -r shell out '*done*'
        print -r -- "$out"
    "#;
    let ended = bed.call("zsh", &["-f", "-c", script]).end();
    let said = ended.stdout.to_owned();
    assert!(said.contains("<run><web/site><--param><stage=green><--profile><staging>"), "{said}{}", ended.stderr);
}

#[test]
fn fish_makes_words_of_it() {
    let bed = with_program(bed());
    bed.write("completion.fish", &bed.run(&["completions", "fish"]).end().code(0).stdout);
    let complete = |line: &str| {
        let script = format!("source completion.fish; complete -C '{line}'");
        let ended = bed.call("fish", &["--no-config", "-c", &script]).end().code(0);
        assert_eq!(ended.stderr, "");
        let words = ended.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(complete("runsheet run we"), ["web/site"]);
    assert_eq!(complete("runsheet run web/site --param sta"), ["stage="]);
    assert_eq!(complete("runsheet run web/site --param stage=g"), ["stage=green"]);
    assert_eq!(complete("runsheet run web/site --profile s"), ["staging"]);
    assert_eq!(complete("runsheet run web/site --mode="), ["--mode=auto", "--mode=step"]);
}
