//! Runbooks with mistakes in, drawn errors out. Each `tests/bad/NAME.yaml` has what is said about it in `NAME.err`;
//! `UPDATE_GOLDEN=1` writes those anew, to be read before they are committed.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use runsheet::{
    kinds,
    model::load,
    syntax::decode,
    text::{Diagnostic, DrawStyle, Source, draw_all},
};

/// The files of a folder of tests, in the order of their names.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is committed")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
}

pub fn name_of(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

/// What is wrong with the bytes of a file.
fn problems(name: &str, bytes: Vec<u8>) -> (Source, Vec<Diagnostic>) {
    match decode(name, bytes) {
        Ok(source) => {
            let loaded = load(name.trim_end_matches(".yaml"), &source, kinds::registry());
            assert_eq!(loaded.runbook.is_none(), loaded.has_errors(), "{name}: a runbook or errors, never both");
            (source, loaded.problems)
        }
        Err((source, problem)) => (source, vec![problem]),
    }
}

fn drawn(name: &str, bytes: Vec<u8>) -> String {
    let (source, problems) = problems(name, bytes);
    draw_all(&source, &problems, DrawStyle::default())
}

#[test]
fn every_mistake_is_drawn_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut wrong = String::new();
    let files = files("bad");
    for path in &files {
        let name = name_of(path);
        let got = drawn(&name, fs::read(path).expect("it can be read"));
        assert!(!got.is_empty(), "{name} has nothing wrong in it");
        let golden = path.with_extension("err");
        if update {
            fs::write(&golden, &got).expect("it can be written");
            continue;
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if got != expected {
            let _ = writeln!(wrong, "──── {name}: expected\n{expected}\n──── {name}: got\n{got}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}\nUPDATE_GOLDEN=1 accepts what was got");
    assert!(files.len() >= 55, "only {} files", files.len());
}

/// Each says where, marks the place, and says more than that it is wrong: a label, a hint or another place.
#[test]
fn every_error_is_placed_and_says_what_to_do() {
    for path in files("bad") {
        let name = name_of(&path);
        let (source, problems) = problems(&name, fs::read(&path).expect("it can be read"));
        for problem in &problems {
            let shown = draw_all(&source, std::slice::from_ref(problem), DrawStyle::default());
            let at = source.position(problem.span.start);
            assert!(shown.contains(&format!("{name}:{}:{}", at.line, at.column)), "{shown}");
            let said =
                ["expected", "must", "needs", "should follow", "missing", "closing", "cannot be `", "this is no"];
            let helps = !problem.label.is_empty()
                || problem.hint.is_some()
                || !problem.related.is_empty()
                || said.iter().any(|word| problem.message.contains(word));
            assert!(helps, "says neither what was expected nor what to do:\n{shown}");
            let first = problem.message.chars().next().expect("a message");
            assert!(!first.is_uppercase() || problem.message.starts_with("YAML"), "{shown}");
            assert!(!problem.message.ends_with('.'), "{shown}");
        }
        // One mistake is told once.
        let mut places: Vec<_> = problems.iter().map(|problem| (problem.span, problem.code)).collect();
        places.dedup();
        assert_eq!(places.len(), problems.len(), "{name} says the same twice");
    }
}

/// The codes of what is said about a text; whatever is said can be drawn.
fn codes(name: &str, text: String) -> Vec<&'static str> {
    let (source, problems) = problems(name, text.into_bytes());
    draw_all(&source, &problems, DrawStyle::default());
    let mut codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    codes.dedup();
    codes
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = String::from("title: a\nlinks: {a: b}\nx0: &a0 [lol, lol]\n");
    for level in 1..40 {
        let _ = writeln!(text, "x{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 9].join(", "));
    }
    assert_eq!(codes("bomb.yaml", text), ["alias-budget"]);
}

#[test]
fn a_text_meant_fifty_thousand_times_is_refused() {
    let text = format!("title: &t {}\ntags: [{}]\n", "a".repeat(100_000), vec!["*t"; 50_000].join(", "));
    assert_eq!(codes("aliases.yaml", text), ["alias-budget"]);
}

#[test]
fn depth_is_bounded() {
    assert_eq!(codes("lists.yaml", format!("title: {}", "[".repeat(100_000))), ["too-deep"]);
    assert_eq!(codes("maps.yaml", format!("title: {}", "{a: ".repeat(100_000))), ["too-deep"]);
    let mut blocks = String::new();
    for level in 0..3_000 {
        let _ = writeln!(blocks, "{}a:", " ".repeat(level));
    }
    assert_eq!(codes("blocks.yaml", blocks), ["too-deep"]);
    let deep = format!("title: a\nsteps: [{{id: a, shell: a, when: '{}a'}}]", "(".repeat(100_000));
    assert_eq!(codes("expression.yaml", deep), ["bad-expression"]);
    let deep = format!("title: a\nsteps: [{{id: a, shell: a, when: '{}a'}}]", "not ".repeat(100_000));
    assert_eq!(codes("expression.yaml", deep), ["bad-expression"]);
}

#[test]
fn a_large_file_is_refused_before_it_is_read() {
    let (source, problems) = problems("large.yaml", vec![b'a'; 50 * 1024 * 1024]);
    assert_eq!(problems[0].code, "too-large");
    assert!(problems[0].message.contains("50.0 MiB"), "{}", problems[0].message);
    assert!(source.text().is_empty());
}

#[test]
fn ten_thousand_errors_are_all_told() {
    let mut text = String::from("title: a\nsteps:\n");
    for step in 0..5_000 {
        let _ = writeln!(
            text,
            "  - {{id: s{step}, tilte: a, needs: [nothing-{step}], when: no_name_{step}, shell: a, capture: {{name_{step}: result.exit}}}}"
        );
    }
    let (source, problems) = problems("many.yaml", text.into_bytes());
    assert_eq!(problems.len(), 15_000);
    let drawn = draw_all(&source, &problems, DrawStyle::default());
    assert_eq!(drawn.matches("did you mean `title`?").count(), 5_000);
}
