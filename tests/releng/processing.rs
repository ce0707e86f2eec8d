//! From the mail to the run: what triage shows is pasted, and the runbook for mails asks triage itself.

use std::{collections::BTreeSet, os::unix::fs::symlink, process::Command};

use super::{file, library, mail, triage};
use crate::{
    bench::Bench,
    support::{Bed, PROGRAM},
};

/// One mail for each runbook that has triggers.
const MAILS: &[&str] = &[
    "account-roku",
    "adhoc-signing",
    "apple-agent",
    "aws-admin",
    "aws-sanity-check",
    "change-window-wmw",
    "chromecast",
    "collapse-report",
    "crontab-errors",
    // A host that is none is not taken, and then it is asked for.
    "crontab-errors-hostile-host",
    "ec2-retirement-several",
    "moc-notifications",
    "mozdef",
    "release-runner-failed",
    "sns",
    "vcs2vcs-autofix",
    "vcs2vcs-cron-output",
    "vcs2vcs-major-errors",
    "vcs2vcs-process-delays",
    "vcs2vcs-push-1",
];

#[test]
fn the_command_of_each_mail_can_be_pasted() {
    // A plan says which programs are missing, and runs none.
    let bed = Bed::new().tool("aws", "#!/bin/sh\nexit 99\n");
    symlink(PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    let mut reached = BTreeSet::new();
    for name in MAILS {
        let found = triage(&bed, &["--json", &mail(name)]).stdin_null().end().code(0).json();
        reached.insert(found["match"]["runbook"].as_str().unwrap().to_owned());
        // Of a mail that asks for nothing no run is offered.
        let Some(command) = found["match"]["command"].as_str() else { continue };
        let plan = command.replacen("runsheet run", "exec runsheet --library \"$1\" plan", 1);
        let planned = bed.call("bash", &["-c", &plan, "bash", library().to_str().unwrap()]).end().code(0);
        for value in found["match"]["params"].as_object().unwrap().values() {
            let value = value.as_str().unwrap();
            assert!(planned.stdout.contains(value), "{name}: {value} is not in\n{}", planned.stdout);
        }
    }
    let all: BTreeSet<String> = std::fs::read_dir(library().join("releng"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(format!("releng/{}", name.strip_suffix(".yaml")?)))
        .filter(|name| !name.ends_with(".scenarios") && name != "releng/process-mail")
        .collect();
    assert_eq!(reached, all, "a runbook has no mail that leads to it");
}

/// A run of the runbook for mails, with the program on its search path.
fn processing(name: &str) -> Bench {
    let bench = Bench::new("releng/process-mail", &[]);
    let bin = bench.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(PROGRAM, bin.join("runsheet")).unwrap();
    bench.path_first(&bin).param("mail", mail(name))
}

#[test]
fn a_mail_is_processed_to_its_runbook() {
    let ran = processing("sns").run(&[("way/is-known/go-on", "done")]);
    let told = ran.succeeded().told.as_str();
    assert!(
        told.contains("Run: runsheet run releng/sns --param topic=arn:aws:sns:us-west-2:314336048151:buildduty"),
        "{told}"
    );
    let ran = processing("collapse-report").run(&[("way/asks-nothing/filter", "done")]);
    assert!(ran.succeeded().told.contains("Nothing is to be done"), "{}", ran.told);
    // The mails before it count.
    let text = std::fs::read_to_string(file("delays.mbox")).unwrap();
    let second = text.split("From vcs2vcs@").nth(2).unwrap().split_once('\n').unwrap().1.to_owned();
    let bench = processing("unknown").param("mailbox", file("delays.mbox").to_str().unwrap());
    std::fs::write(bench.folder().join("second.eml"), second).unwrap();
    let ran = bench.param("mail", "second.eml").run(&[("way/is-known/go-on", "done")]);
    assert!(ran.succeeded().told.contains("--param situation=autofix-failed"), "{}", ran.told);
}

#[test]
fn a_mail_that_nobody_knows_is_judged_and_made_known() {
    let answers = [
        ("way/unknown/kind", "again"),
        ("way/unknown/kind/again/judge", "done"),
        ("way/unknown/kind/again/trigger", "done"),
    ];
    // What wants a value of a person waits for one.
    let ran = processing("unknown").run(&answers);
    assert_eq!(ran.code, 11, "{}", ran.told);
    assert!(ran.told.contains("Ask whoever runs ada@example.org for an address of its own"), "{}", ran.told);
    // What is no mail is no mail nobody knows.
    let bench = processing("unknown");
    std::fs::write(bench.folder().join("none"), "just text\n").unwrap();
    bench.param("mail", "none").run(&[]).stopped_at("look", "");
    let bench = processing("unknown").param("mail", file("others.mbox").to_str().unwrap());
    bench.run(&[]).stopped_at("look", "result.lines|length == 1");
}

/// From a mailbox to the end of the procedure, with a person who answers and a power cut after the page.
#[test]
fn a_failed_repair_is_paged_once() {
    let bed = Bed::new();
    let found = triage(&bed, &["--json", file("delays.mbox").to_str().unwrap()]).stdin_null().end().events();
    let mut bench = Bench::new("releng/vcs2vcs-process-delays", &[]).param("contact", "Ada");
    for (name, value) in found[1]["match"]["params"].as_object().unwrap() {
        bench = bench.param(name, value.as_str().unwrap());
    }
    let page = [
        ("page-at-once/page", "done"),
        ("page-at-once/answered", "silent"),
        ("page-at-once/answered/silent/next", "done"),
    ];
    let ran = bench.run(&page);
    assert_eq!(ran.code, 11, "it waits for the name of who has taken it: {}", ran.told);
    assert!(ran.told.contains("Page Ada: vcs2vcs on sync1.example is late, and AUTOFIX has failed"), "{}", ran.told);
    let answers = bench.folder().join("rest.yaml");
    let rest = "page-at-once/answered/silent/name: {taken_by: Grace}\nerrors: {repositories: gaia}\nquiet: yes\n";
    std::fs::write(&answers, rest).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("--state-dir").arg(bench.folder().join("state")).args(["resume", "last", "--json", "--answers"]);
    let ended = command.arg(&answers).current_dir(bench.folder()).stdin(std::process::Stdio::null()).output().unwrap();
    let events = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(!events.contains("\"question_asked\",\"step\":\"page-at-once/page\""), "somebody was paged twice");
}
