//! The manual pages: whole, readable by man, and of every verb.

use crate::support::Bed;

/// What groff complains about in a page.
fn complaints(bed: &Bed, page: &str) -> String {
    let ended = bed.call("groff", &["-man", "-ww", "-Tutf8", "-z", page]).end().code(0);
    ended.stderr.to_owned()
}

#[test]
fn every_verb_has_a_page_that_man_reads_without_complaint() {
    let bed = Bed::new();
    bed.run(&["man", "--out", "man/man1"]).end().code(0).stderr_has("pages are written");
    let help = bed.run(&["--help"]).end().code(0).stdout.to_owned();
    let verbs = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let mut pages = 1;
    // What is indented further goes on from the line before.
    let lines = verbs.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for verb in lines.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help") {
        let page = format!("man/man1/runsheet-{verb}.1");
        assert_eq!(complaints(&bed, &page), "", "{page}");
        assert!(bed.read(&page).contains(&format!("\\fBrunsheet {verb}\\fR")), "{page}");
        pages += 1;
    }
    assert_eq!(complaints(&bed, "man/man1/runsheet.1"), "");
    assert_eq!(std::fs::read_dir(bed.path("man/man1")).unwrap().count(), pages);
    assert!(pages > 15, "{pages}");
}

#[test]
fn one_page_is_written_to_standard_output() {
    let bed = Bed::new();
    bed.run(&["man"]).end().code(0).stdout_has(".TH runsheet 1").stdout_has("runsheet\\-run(1)");
    bed.run(&["man", "run"]).end().code(0).stdout_has("\\-\\-params\\-file");
    bed.run(&["man", "rnu"]).end().code(2).stderr_has("did you mean `run`?");
    bed.run(&["man", "__complete"]).end().code(2);
    bed.run(&["man", "--out", "/proc"]).end().code(1).stderr_has("could not write /proc/runsheet.1");
}
