//! Every kind of mail there is, and near misses: a table from the file to the runbook, the parameters and the words.

use std::{collections::BTreeSet, fs};

use super::{file, mail, triage};
use crate::support::Bed;

/// The short name of the file, the runbook, what is given to it as the command line shows it, and words that explain the
/// mail. Without a runbook nobody knows it.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("account-amp", "releng/accounts", "--param account=amp", "Google Play store account for tests"),
    ("account-bitbucket", "releng/accounts", "--param account=bitbucket", "administration of Mozilla's Bitbucket"),
    ("account-delivered-only", "releng/accounts", "--param account=roku", "Roku"),
    ("account-github", "releng/accounts", "--param account=github", "private repositories"),
    ("account-in-body-only", "", "", ""),
    ("account-other-domain", "", "", ""),
    ("account-roku", "releng/accounts", "--param account=roku", "Roku"),
    ("account-signaddons", "releng/accounts", "--param account=signaddons", "signs add-ons by the API"),
    ("account-ubuntu-store", "releng/accounts", "--param account=ubuntu-store", "Ubuntu store"),
    ("account-v2v-gh", "releng/accounts", "--param account=v2v-gh", "moz-v2v-gh"),
    ("adhoc-signing", "releng/adhoc-signing", "", "Make sure that we expect it"),
    ("apple-agent", "releng/apple-agent", "--param situation=one", "If it was you, say so by a reply"),
    ("aws-admin", "releng/aws-admin", "", "writes to the owner of the account"),
    ("aws-admin-uppercase", "releng/aws-admin", "", "writes to the owner of the account"),
    ("aws-near-miss", "", "", ""),
    ("aws-sanity-check", "releng/aws-sanity-check", "", "is no alarm"),
    ("broken-base64-subject", "", "", ""),
    ("broken-bytes", "releng/sns", "--param topic=arn:aws:sns:us-east-1:314336048151:buildduty", "CRITICAL"),
    ("broken-controls", "releng/sns", "--param topic=", "CRITICAL"),
    ("broken-no-charset", "releng/sns", "--param topic=", "CRITICAL"),
    ("broken-no-end", "releng/sns", "*", "CRITICAL"),
    ("broken-two-subjects", "*", "*", ""),
    ("change-window-group", "releng/change-window", "--param window=wcw", "Build duty or a manager must answer"),
    ("change-window-wcw", "releng/change-window", "--param window=wcw", "Build duty or a manager must answer"),
    ("change-window-wmw", "releng/change-window", "--param window=wmw", "Build duty or a manager must answer"),
    ("chromecast", "releng/chromecast", "", "leads of mobile development"),
    ("collapse-near-miss", "", "", ""),
    ("collapse-report", "releng/no-action", "", "Nothing to do"),
    (
        "crontab-errors",
        "releng/crontab-errors",
        "--param host=worker1.releng.example --param account=buildduty --param 'command=/opt/clean --all'",
        "must be mended",
    ),
    (
        "crontab-errors-encoded",
        "releng/crontab-errors",
        "--param host=w2.example --param account=root --param 'command=/opt/aufräumen'",
        "must be mended",
    ),
    // A host that is none is not taken, and nothing of the rest is a command to a shell.
    (
        "crontab-errors-hostile-host",
        "releng/crontab-errors",
        r"--param account=root --param 'command=rm -rf / ; echo '\''it'\'''\''s'\'''",
        "must be mended",
    ),
    ("crontab-errors-other-subject", "releng/crontab-errors", "--param host=aws-manager1.example", "must be mended"),
    (
        "ec2-retirement",
        "releng/ec2-retirement",
        r#"--param 'instances=["i-02cc2669"]' --param region=us-east-1 --param 'deadline=12:00 AM UTC on 2013-10-22'"#,
        "Stop and start each in an orderly way",
    ),
    (
        "ec2-retirement-html",
        "releng/ec2-retirement",
        r#"--param 'instances=["i-89abcdef"]' --param region=us-west-2 --param 'deadline=12:00 AM UTC on 2014-01-02'"#,
        "Stop and start each in an orderly way",
    ),
    (
        "ec2-retirement-not-of-amazon",
        "releng/ec2-retirement",
        r#"--param 'instances=["i-02cc2669"]' --param region=us-east-1 --param 'deadline=12:00 AM UTC on 2013-10-22'"#,
        "passed on, or made up",
    ),
    // Both lengths of ids, each once; what only ends like one is none.
    (
        "ec2-retirement-several",
        "releng/ec2-retirement",
        r#"--param 'instances=["i-0123456789abcdef0","i-02cc2669"]' --param region=eu-central-1 --param 'deadline=12:00 AM UTC on 2013-10-22'"#,
        "Stop and start each in an orderly way",
    ),
    (
        "ec2-retirement-tagged",
        "releng/ec2-retirement",
        r#"--param 'instances=["i-02cc2669"]' --param region=us-east-1 --param 'deadline=12:00 AM UTC on 2013-10-22'"#,
        "Stop and start each in an orderly way",
    ),
    ("ec2-retirement-without-instances", "releng/ec2-retirement", "--param deadline=", "Stop and start each"),
    ("moc-notifications", "releng/moc-notifications", "", "A person of the operations centre"),
    ("mozdef", "releng/mozdef", "--param situation=first", "logged in to a signing machine by ssh"),
    ("no-subject", "", "", ""),
    ("release-runner-failed", "releng/release-runner", "", "Ignore it if no release is being started now"),
    ("release-runner-folded", "releng/release-runner", "", "Ignore it if no release is being started now"),
    ("release-runner-other", "releng/release-runner", "", "Ignore it if no release is being started now"),
    ("releng-metrics", "releng/no-action", "", "Nothing to do"),
    ("sns", "releng/sns", "--param topic=arn:aws:sns:us-west-2:314336048151:buildduty", "unsubscribes everybody"),
    ("sns-in-cc", "releng/sns", "--param topic=", "CRITICAL"),
    ("sns-other-address", "releng/sns", "--param topic=", "CRITICAL"),
    ("sns-other-subject", "releng/sns", "--param topic=", "CRITICAL"),
    ("sns-quoted-name", "releng/sns", "--param topic=", "CRITICAL"),
    ("suspected-machine", "releng/no-action", "", "bug 825625"),
    ("suspected-machine-of-others", "releng/no-action", "", "bug 825625"),
    ("suspected-machine-talos", "releng/no-action", "", "If you do not know what it is about"),
    ("template-is-no-mail", "", "", ""),
    ("try-near-miss", "", "", ""),
    ("try-submission", "releng/no-action", "", "pushed to try"),
    ("unknown", "", "", ""),
    (
        "vcs2vcs-autofix",
        "releng/vcs2vcs-autofix",
        "--param host=sync1.releng.example",
        "It worked, unless the same host",
    ),
    ("vcs2vcs-charclass", "", "", ""),
    ("vcs2vcs-cron-output", "releng/vcs2vcs-other", "--param host=sync3.releng.example", "Unexpected"),
    ("vcs2vcs-fwd-by-a-person", "", "", ""),
    (
        "vcs2vcs-major-errors",
        "releng/vcs2vcs-major-errors",
        "--param host=sync1.releng.example",
        "A MAJOR error, always",
    ),
    (
        "vcs2vcs-major-errors-encoded",
        "releng/vcs2vcs-major-errors",
        "--param host=sync1.releng.example",
        "A MAJOR error, always",
    ),
    (
        "vcs2vcs-process-delays",
        "releng/vcs2vcs-process-delays",
        "--param host=sync1.releng.example --param situation=single",
        "Perhaps nothing",
    ),
    (
        "vcs2vcs-process-delays-elsewhere",
        "releng/vcs2vcs-process-delays",
        "--param host=sync1.releng.example --param situation=single",
        "Perhaps nothing",
    ),
    (
        "vcs2vcs-process-delays-forwarded",
        "releng/vcs2vcs-process-delays",
        "--param host=sync2.releng.example --param situation=single",
        "Perhaps nothing",
    ),
    ("vcs2vcs-push-1", "releng/vcs2vcs-git-push", "--param push=1 --param situation=one-push", "it has gone through"),
    (
        "vcs2vcs-push-2-without-repository",
        "releng/vcs2vcs-git-push",
        "--param push=2 --param situation=one-push",
        "it has gone through",
    ),
    ("vcs2vcs-push-without-colon", "releng/vcs2vcs-other", "--param host=sync1.releng.example", "Unexpected"),
    ("vcs2vcs-re", "", "", ""),
    ("vcs2vcs-unknown-subject", "releng/vcs2vcs-other", "--param host=sync1.releng.example", "Unexpected"),
];

/// Of this field the table says nothing.
const ANY: &str = "*";

#[test]
fn each_mail_leads_where_the_table_says() {
    let bed = Bed::new();
    for &(name, runbook, params, words) in TABLE {
        let ended = triage(&bed, &["--json", &mail(name)]).stdin_null().end();
        let (code, found) = (ended.code, ended.json());
        if runbook.is_empty() {
            assert_eq!((code, &found["match"]), (Some(13), &serde_json::Value::Null), "{name}");
            continue;
        }
        if runbook == ANY {
            continue;
        }
        let text = |key: &str| found["match"][key].as_str().unwrap_or_default();
        assert_eq!((code, text("runbook")), (Some(0), runbook), "{name}");
        if params != ANY {
            assert_eq!(text("command"), format!("runsheet run {runbook} {params}").trim_end(), "{name}");
        }
        let means = text("means").replace('\n', " ");
        assert!(means.contains(words), "{name}: {means}");
        for key in ["sent_by", "silence"] {
            assert!(!text(key).is_empty(), "{name} is told without {key}");
        }
    }
}

#[test]
fn the_table_and_the_folder_have_the_same_mails() {
    let listed: BTreeSet<String> = TABLE.iter().map(|row| row.0.to_owned()).collect();
    let there = fs::read_dir(file("mails")).unwrap().map(|entry| entry.unwrap().path());
    let there: BTreeSet<String> = there.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(listed, there);
}

/// The same mails in one mailbox on standard input: they are days apart, so that none changes what another means.
#[test]
fn a_mailbox_on_standard_input_leads_to_the_same() {
    let bed = Bed::new();
    let mut mbox = Vec::new();
    for row in TABLE {
        mbox.extend_from_slice(b"From made-up@example.org Fri Nov 20 10:00:00 2015\n");
        let text = fs::read(mail(row.0)).unwrap();
        mbox.extend(text.into_iter().filter(|byte| *byte != b'\r'));
        mbox.push(b'\n');
    }
    fs::write(bed.path("all.mbox"), mbox).unwrap();
    let ended = triage(&bed, &["--json", "all.mbox"]).stdin_null().end().code(13);
    let found: Vec<_> = ended.events().iter().map(|found| found["match"]["runbook"].clone()).collect();
    let wanted: Vec<_> = TABLE.iter().map(|row| row.1).collect();
    assert_eq!(found.len(), wanted.len());
    for ((found, wanted), row) in found.iter().zip(wanted).zip(TABLE) {
        assert!(wanted == ANY || found.as_str().unwrap_or_default() == wanted, "{}: {found}", row.0);
    }
    let one = fs::read_to_string(mail("sns")).unwrap();
    triage(&bed, &["-"]).stdin(&one).end().code(0).stdout_has("runbook: releng/sns (");
    triage(&bed, &["-"]).stdin("\n").end().code(2).stderr_has("no mail");
}

#[test]
fn the_more_a_trigger_says_the_sooner_it_counts() {
    let bed = Bed::new();
    for (name, first, others) in [
        // The subject says more than the address that all mails of the system have.
        ("vcs2vcs-autofix", "releng/vcs2vcs-autofix", &["releng/vcs2vcs-other"][..]),
        ("vcs2vcs-major-errors", "releng/vcs2vcs-major-errors", &["releng/vcs2vcs-other"]),
        ("vcs2vcs-push-1", "releng/vcs2vcs-git-push", &["releng/vcs2vcs-other"]),
        ("vcs2vcs-process-delays", "releng/vcs2vcs-process-delays", &["releng/vcs2vcs-other"]),
        ("ec2-retirement", "releng/ec2-retirement", &["releng/aws-admin"]),
        // What begins otherwise is another mail, and none of the other kind.
        ("suspected-machine-talos", "releng/no-action", &[]),
        ("aws-sanity-check", "releng/aws-sanity-check", &[]),
        ("aws-admin", "releng/aws-admin", &[]),
        ("vcs2vcs-push-without-colon", "releng/vcs2vcs-other", &[]),
    ] {
        let found = triage(&bed, &["--json", &mail(name)]).stdin_null().end().code(0).json();
        let rest = found["others"].as_array().unwrap().iter().map(|other| other["runbook"].as_str().unwrap());
        assert_eq!(
            (found["match"]["runbook"].as_str(), rest.collect::<Vec<_>>()),
            (Some(first), others.to_vec()),
            "{name}"
        );
    }
}

/// What each mail of a mailbox is said to be, in its order: a parameter's value.
fn told(bed: &Bed, mbox: &str, param: &str) -> Vec<String> {
    let ended = triage(bed, &["--json", file(mbox).to_str().unwrap()]).stdin_null().end();
    let value = |found: &serde_json::Value| match found["match"]["params"][param].as_str() {
        Some(value) => value.to_owned(),
        None => found["match"]["runbook"].as_str().unwrap_or("nobody").to_owned(),
    };
    ended.events().iter().map(value).collect()
}

#[test]
fn what_a_delay_means_depends_on_the_mails_of_its_host() {
    let bed = Bed::new();
    let autofix = "releng/vcs2vcs-autofix";
    let expected = [
        autofix,
        "autofix-failed", // three minutes later, of the same host
        "repeated",       // 20 minutes after the failed repair, but 17 after a mail like it
        "single",         // another host
        autofix,
        "repeated", // a minute after the repair of another host; 18 after its own
        autofix,
        "single",         // five minutes after the repair of another host
        "autofix-failed", // the same host in capitals, passed on by another account of it
        "single",
        "single", // 26 minutes are no repetition
        "repeated",
        autofix,
        "single", // eleven minutes are not almost at once
        "single",
        "single", // a host whose name only begins the same way
    ];
    assert_eq!(told(&bed, "delays.mbox", "situation"), expected);
}

#[test]
fn pushes_are_counted_in_sets() {
    let bed = Bed::new();
    let expected = [
        "one-push",
        "one-set",
        "one-push", // its other number has gone through
        "one-push",
        "one-set",
        "releng/vcs2vcs-other", // without a colon it is another mail
        "one-push",             // four of one number and two of the other are no third set
        "many-sets",
        "one-push", // hours later it begins anew
        "one-set",
    ];
    assert_eq!(told(&bed, "pushes.mbox", "situation"), expected);
}

#[test]
fn what_goes_on_and_what_heaps_up_is_said() {
    let bed = Bed::new();
    let expected = [
        "first",
        "goes-on",
        "first", // 90 minutes later it is a new one
        "one",
        "one",
        "one",
        "one",
        "many",
        "nobody",
        "releng/change-window",
    ];
    assert_eq!(told(&bed, "others.mbox", "situation"), expected);
    let mailbox = file("others.mbox");
    triage(&bed, &[mailbox.to_str().unwrap()]).stdin_null().end().code(13).stdout_has("no runbook knows this mail");
}

/// One mail and the mailbox that it came to, as an mbox and as a Maildir.
#[test]
fn a_mailbox_beside_the_mail_decides() {
    let bed = Bed::new();
    let mails: Vec<String> =
        fs::read_to_string(file("delays.mbox")).unwrap().split("From vcs2vcs@").skip(1).map(str::to_owned).collect();
    let eml = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    bed.write("now.eml", &eml(&mails[1]));
    bed.write("box/cur/1", &eml(&mails[0]));
    bed.write("box/new/2", &eml(&mails[3]));
    bed.write("box/tmp/no-mail", "half of a m");
    fs::write(bed.path("one.mbox"), format!("From vcs2vcs@{}", mails[0])).unwrap();
    for (args, expected) in [
        (&["now.eml"][..], "single"),
        (&["now.eml", "--mailbox", "one.mbox"], "autofix-failed"),
        (&["now.eml", "--mailbox", "box"], "autofix-failed"),
    ] {
        // Each with a state of its own, so that none knows what another was asked about.
        let state = tempfile::tempdir().unwrap();
        let call = triage(&bed, &["--json"]).args(args).env("XDG_STATE_HOME", state.path()).stdin_null();
        assert_eq!(call.end().code(0).json()["match"]["params"]["situation"], expected, "{args:?}");
    }
}

#[test]
fn what_is_typed_is_matched_like_a_mail() {
    let bed = Bed::new();
    for (args, code, said) in [
        (&["--to", "release+wmw@mozilla.com"][..], 0, "runbook: releng/change-window ("),
        (&["--to", "release+wmw@mozilla.com", "--subject", "Try submission"], 0, "--param window=wmw"),
        (
            &["--subject", "Suspected machine issue (x)", "--from", "nobody@cruncher.example"],
            0,
            "known by: from nobody@cruncher*, subject Suspected machine issue*",
        ),
        (&["--subject", "Talos Suspected machine issue (x)"], 0, "known by: subject Talos Suspected machine issue*"),
        (&["--subject", "A Suspected machine issue"], 13, "no runbook knows this mail"),
        (&["--from", "no-reply-aws@amazon.com"], 13, "no runbook knows this mail"),
        (&["--to", "release+aws-sanity-check@mozilla.com"], 0, "runbook: releng/aws-sanity-check ("),
        (&["--to", "release@mozilla.com"], 13, "no runbook knows this mail"),
        (&[], 2, ""),
    ] {
        triage(&bed, args).stdin_null().end().code(code).stdout_has(said);
    }
}

#[test]
fn it_is_said_in_full_what_a_mail_is() {
    let bed = Bed::new();
    let said = triage(&bed, &[&mail("vcs2vcs-major-errors-encoded")]).stdin_null().end().code(0).stdout;
    for part in [
        "[vcs2vcs] alert_major_errors alert: gaia\n  from vcs2vcs@sync1.releng.example, to release+vcs2vcs@mozilla.com\n",
        "  why it came: A MAJOR error, always: one or more repositories are no longer brought up to date;",
        "  sent by: The hourly alert of the vcs2vcs tools",
        "  to make it stop: It stops an hour after the cause is mended.\n",
        "ilter: by `To`, release+vcs2vcs and release+vcs2vcs+forward",
        "  known by: to release+vcs2vcs*@mozilla.com, subject [vcs2vcs] alert_major_errors*\n",
        "  to do: runsheet run releng/vcs2vcs-major-errors --param host=sync1.releng.example\n",
    ] {
        assert!(said.contains(part), "it does not say «{part}»:\n{said}");
    }
}

/// Nothing of a mail reaches the terminal as more than text, and none takes long or much.
#[test]
fn hostile_mails_are_bounded() {
    let bed = Bed::new();
    let said = triage(&bed, &[&mail("broken-controls")]).stdin_null().end().code(0).stdout;
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said}");
    let nested: String =
        (0..5000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect::<String>();
    let attached = "Content-Type: message/rfc822\n\nFrom: a@b\nSubject: x\n".repeat(3000);
    let addresses = (0..40_000).map(|n| format!("p{n}@example.org,\n ")).collect::<String>();
    let words = "=?utf-8?b?W3ZjczJ2Y3Nd?=\n ".repeat(20_000);
    let ids = (0..200_000).map(|n| format!("i-{n:08x}\n")).collect::<String>();
    let sns = "release+sns@mozilla.com";
    for (name, text, code) in [
        ("nested", format!("From: a@b\nTo: {sns}\nSubject: x\n{nested}"), Some(0)),
        ("attached", format!("From: a@b\nTo: {sns}\nSubject: x\n{attached}"), Some(0)),
        (
            "long",
            format!("From: a@b\nTo: {sns}\nSubject: {}\n\n{}", "x".repeat(1 << 20), "y\n".repeat(6 << 20)),
            Some(0),
        ),
        ("addresses", format!("From: a@b\nTo: {addresses}{sns}\nSubject: x\n\n"), None),
        ("words", format!("From: a@b\nTo: release+vcs2vcs@mozilla.com\nSubject: {words}\n\n"), Some(0)),
        // More instances than can be meant; the command is still one that can be shown.
        (
            "instances",
            format!("From: no-reply-aws@amazon.com\nSubject: Amazon EC2 Instance scheduled for retirement\n\n{ids}"),
            Some(0),
        ),
        ("only-colons", ":".repeat(1 << 20), None),
        ("no-body", "From: a@b\nTo: release+sns@mozilla.com\n".to_owned(), Some(0)),
    ] {
        bed.write("m.eml", &text);
        let began = std::time::Instant::now();
        let ended = triage(&bed, &["m.eml"]).stdin_null().end();
        assert!(matches!(ended.code, Some(0 | 2 | 13)), "{name}: {:?}", ended.code);
        assert!(code.is_none() || ended.code == code, "{name}: {:?} {}", ended.code, ended.stderr);
        assert!(ended.stdout.len() < 1_000_000, "{name}: {} bytes", ended.stdout.len());
        assert!(began.elapsed().as_secs() < 30, "{name} took too long");
    }
}
