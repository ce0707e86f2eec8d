//! The filters for the mail server, compiled and run over the corpus by a real implementation of Sieve, Pigeonhole.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{file, triage};
use crate::{
    parts,
    support::{Bed, Ended},
};

/// What Sieve sees otherwise than triage.
const DIFFERS: &[(&str, &str)] = &[
    // A filter by address looks into the mail, where this one does not say to whom it went.
    ("account-delivered-only", "only the server's own line says to whom it went"),
    // How much of a word that is no base64 is read is nobody's rule, nor which of two subjects counts.
    ("broken-base64-subject", "a broken word of a subject"),
    ("broken-two-subjects", "two subjects"),
];

#[test]
fn the_filters_sort_the_corpus_as_triage_does() {
    let Some([sievec, sieve_test]) = parts::programs(["sievec", "sieve-test"]) else { return };
    let bed = Bed::new();
    let script = export(&bed, &["--folder", "Ops"]);
    bed.write("filters/all.sieve", &script);
    bed.call(sievec.to_str().unwrap(), &["filters/all.sieve"]).end().code(0);
    let mut mails: Vec<PathBuf> = fs::read_dir(file("mails")).unwrap().map(|entry| entry.unwrap().path()).collect();
    mails.sort();
    assert!(mails.len() > 60);
    let triaged = triaged(&bed, &mails);
    for path in mails {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if DIFFERS.iter().any(|row| row.0 == name) {
            continue;
        }
        let folder = sorted(&bed, &sieve_test, &path);
        let expected = triaged[name].as_ref().map_or("INBOX".to_owned(), |runbook| format!("Ops/{runbook}"));
        assert_eq!(folder, expected, "{name}");
    }
}

/// Every pattern of a trigger is one rule, and the strongest come first.
#[test]
fn there_is_one_filter_for_each_kind_of_mail() {
    let bed = Bed::new();
    let script = export(&bed, &[]);
    let at = |text: &str| script.find(text).unwrap_or_else(|| panic!("no filter has {text}:\n{script}"));
    assert!(at("\"[vcs2vcs] process delays*\"") < at("\"[vcs2vcs]*\""));
    assert!(at("\"[vcs2vcs] AUTOFIX process delays*\"") < at("\"[vcs2vcs]*\""));
    assert!(at("\"[release-runner] failed*\"") < at("\"[release-runner]*\""));
    for exact in [
        "release+aws@mozilla.com",
        "release+aws-sanity-check@mozilla.com",
        "release+wcw@mozilla.com",
        "release+wmw@mozilla.com",
    ] {
        assert_eq!(script.matches(&format!("\"{exact}\"")).count(), 1, "{exact}");
    }
    let rules = script.matches("fileinto :create").count();
    assert_eq!(rules, script.matches("\nif ").count());
    let tests: std::collections::BTreeSet<&str> =
        script.split("\nif ").skip(1).map(|rule| rule.split_once(" {").unwrap().0).collect();
    assert_eq!(rules, tests.len(), "a rule stands there twice");
}

fn export(bed: &Bed, args: &[&str]) -> String {
    triage(bed, &["--export", "sieve"]).args(args).stdin_null().end().code(0).stdout.clone()
}

/// What triage says of each, by one call.
fn triaged(bed: &Bed, mails: &[PathBuf]) -> BTreeMap<String, Option<String>> {
    let mut mbox = Vec::new();
    for path in mails {
        mbox.extend_from_slice(b"From made-up@example.org Fri Nov 20 10:00:00 2015\n");
        mbox.extend(fs::read(path).unwrap().into_iter().filter(|byte| *byte != b'\r'));
        mbox.push(b'\n');
    }
    fs::write(bed.path("all.mbox"), mbox).unwrap();
    let found = triage(bed, &["--json", "all.mbox"]).stdin_null().end().events();
    assert_eq!(found.len(), mails.len());
    let names = mails.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.zip(found.iter().map(|found| found["match"]["runbook"].as_str().map(str::to_owned))).collect()
}

/// The folder that the script files this mail into.
fn sorted(bed: &Bed, sieve_test: &Path, mail: &Path) -> String {
    let ended = run(bed, sieve_test, mail);
    let said = ended.code(0).stdout.clone();
    let folder = said.lines().find_map(|line| line.trim().strip_prefix("* store message in folder: "));
    folder.unwrap_or_else(|| panic!("{}: {said}", mail.display())).to_owned()
}

/// Root may not read mail: then it is nobody.
fn run<'b>(bed: &'b Bed, sieve_test: &Path, mail: &Path) -> Ended<'b> {
    let me = rustix::process::getuid().as_raw();
    let user = if me == 0 { "65534".to_owned() } else { me.to_string() };
    let group = if me == 0 { "65534".to_owned() } else { rustix::process::getgid().as_raw().to_string() };
    for below in ["", "work", "work/filters", "home"] {
        fs::set_permissions(bed.root().join(below), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let copy = bed.path("filters/m.eml");
    fs::copy(mail, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
    let home = bed.root().join("home").display().to_string();
    let options = [
        format!("mail_uid={user}"),
        format!("mail_gid={group}"),
        "first_valid_uid=1".into(),
        "first_valid_gid=1".into(),
        format!("mail_home={home}"),
        format!("mail_location=maildir:{home}/mail:LAYOUT=fs"),
    ];
    let mut args: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
    args.extend(["filters/all.sieve", "filters/m.eml"]);
    bed.call(sieve_test.to_str().unwrap(), &args).end()
}
