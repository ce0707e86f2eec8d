//! Mails and the runbooks they call for: the real program with real `.eml` and mbox files. Nothing is run.

use std::os::unix::fs::PermissionsExt;

use crate::support::Bed;

const VCS: &str = r#"
title: Mirrors are late
params:
  host: {type: string, pattern: "[a-z0-9.-]+"}
triggers:
  - email: {to: "release+vcs*@*", subject: "[vcs] process delays*"}
    when: earlier|selectattr('subject', 'startingwith', '[vcs] process delays')|selectattr('age', 'le', 1500)|list|length > 0
    means: An outage.
    params: {host: subject|regex_find("on (\\S+)")}
  - email: {to: "release+vcs*@*", subject: "[vcs] process delays*"}
    means: |
      Perhaps nothing.
      Watch for a second one.
    sent_by: a script
    silence: mend the mirror
    params: {host: subject|regex_find("on (\\S+)")}
  - email: {subject: "[vcs]*"}
    means: Something of the mirrors.
steps:
  - {id: look, shell: echo "$host", effect: read}
"#;

const AWS: &str = r#"
title: A mail of AWS
triggers:
  - email: {to: "release+aws@*"}
    means: Mostly marketing.
steps:
  - {id: look, manual: Read it}
"#;

fn library() -> Bed {
    Bed::new().file("runbooks/mail/vcs.yaml", VCS).file("runbooks/mail/aws.yaml", AWS)
}

fn mail(to: &str, subject: &str, minute: u32) -> String {
    format!(
        "From: =?utf-8?q?J=C3=A4ger?= <cron@vcs1.example>\nTo: Release <{to}>\nSubject: {subject}\n\
         Date: Fri, 20 Nov 2026 10:{minute:02}:00 +0000\nMessage-ID: <{minute}@x>\n\nText\n"
    )
}

/// The runbook and the meaning of the trigger that came first, or nothing.
fn leads(bed: &Bed, args: &[&str]) -> Option<(String, String)> {
    let found = bed.run(&["triage", "--json"]).args(args).stdin_null().end().json();
    let text = |key: &str| found["match"][key].as_str().map(str::to_owned);
    Some((text("runbook")?, text("means")?.lines().next()?.to_owned()))
}

#[test]
fn a_mail_leads_to_the_trigger_that_says_most() {
    let bed = library();
    for (to, subject, expected) in [
        ("release+aws@m.example", "Your bill", Some(("mail/aws", "Mostly marketing."))),
        ("RELEASE+AWS@m.example", "Your bill", Some(("mail/aws", "Mostly marketing."))),
        // Another address, another matter.
        ("release+aws-sanity@m.example", "Your bill", None),
        ("release+vcs+forward@m.example", "[vcs] process delays on a", Some(("mail/vcs", "Perhaps nothing."))),
        ("release+vcs@m.example", "[vcs] push failed", Some(("mail/vcs", "Something of the mirrors."))),
        // A bracket is a bracket, and the beginning is the beginning.
        ("release+vcs@m.example", "v process delays on a", None),
        ("release+vcs@m.example", "Re: [vcs] process delays on a", None),
    ] {
        let expected = expected.map(|(runbook, means)| (runbook.to_owned(), means.to_owned()));
        assert_eq!(leads(&bed, &["--to", to, "--subject", subject]), expected, "{to}: {subject}");
        bed.write("one.eml", &mail(to, subject, 1));
        assert_eq!(leads(&bed, &["one.eml"]), expected, "as a file, {to}: {subject}");
    }
}

#[test]
fn it_says_why_what_to_do_and_how_it_is_known() {
    let bed = library().file("one.eml", &mail("release+vcs@m.example", "[vcs] process\n delays on vcs1.example", 1));
    bed.run(&["triage", "one.eml"]).stdin_null().end().code(0).stdout(
        "[vcs] process delays on vcs1.example\n  \
           from cron@vcs1.example, to release+vcs@m.example\n  \
           runbook: mail/vcs (Mirrors are late)\n  \
           why it came: Perhaps nothing.\n    \
             Watch for a second one.\n  \
           sent by: a script\n  \
           to make it stop: mend the mirror\n  \
           known by: to release+vcs*@*, subject [vcs] process delays*\n  \
           to do: runsheet run mail/vcs --param host=vcs1.example\n    \
             - look\n",
    );
    let stranger = bed.run(&["triage", "--subject", "Lunch?"]).stdin_null().end().code(13);
    stranger.stdout_has("no runbook knows this mail");
}

#[test]
fn what_a_mail_gives_must_be_a_value_of_the_parameter() {
    let bed = library();
    let said = |subject: &str| {
        let found = bed.run(&["triage", "--json", "--to", "release+vcs@m", "--subject", subject]).stdin_null().end();
        let found = found.json()["match"].clone();
        (found["command"].as_str().unwrap().to_owned(), found["problems"]["host"].as_str().map(str::to_owned))
    };
    let bare = "runsheet run mail/vcs".to_owned();
    let (command, why) = said("[vcs] process delays on $(reboot);x");
    assert_eq!(command, bare);
    assert!(why.unwrap().starts_with("the mail says $(reboot);x: "));
    assert_eq!(said("[vcs] process delays"), (bare, Some("the mail does not say it".to_owned())));
    assert_eq!(said("[vcs] process delays on a.b").0, "runsheet run mail/vcs --param host=a.b");
}

#[test]
fn rules_look_at_the_mails_before() {
    let bed = library();
    let to = "release+vcs@m.example";
    let subject = "[vcs] process delays on a";
    let boxed = |minutes: &[u32]| {
        minutes
            .iter()
            .map(|at| format!("From x Fri Nov 20 10:00:00 2026\n{}\n", mail(to, subject, *at)))
            .collect::<String>()
    };
    bed.write("now.eml", &mail(to, subject, 40));
    let leads = |bed: &Bed, args: &[&str]| leads(bed, &[args, &["--no-history"]].concat());
    for (before, expected) in [
        (&[][..], "Perhaps nothing."),
        (&[20], "An outage."),
        // Too long ago, itself, and what came after it.
        (&[2], "Perhaps nothing."),
        (&[40], "Perhaps nothing."),
        (&[50], "Perhaps nothing."),
    ] {
        bed.write("box", &boxed(before));
        let found = leads(&bed, &["now.eml", "--mailbox", "box"]).unwrap().1;
        assert_eq!(found, expected, "{before:?}");
        std::fs::create_dir_all(bed.path("folder/cur")).unwrap();
        for (number, at) in before.iter().enumerate() {
            bed.write(&format!("folder/cur/{number}"), &mail(to, subject, *at));
        }
        assert_eq!(leads(&bed, &["now.eml", "--mailbox", "folder"]).unwrap().1, expected, "{before:?}");
        std::fs::remove_dir_all(bed.path("folder")).unwrap();
    }
    // Those of one mailbox know each other.
    bed.write("both", &boxed(&[0, 20]));
    let ended = bed.run(&["triage", "--json", "both"]).stdin_null().end().code(0);
    let means: Vec<_> = ended.events().iter().map(|found| found["match"]["means"].clone()).collect();
    assert_eq!(means, ["Perhaps nothing.\nWatch for a second one.", "An outage."]);
}

#[test]
fn rules_look_at_the_mails_after() {
    let text = r#"
title: T
triggers:
  - email: {subject: "AUTOFIX on *"}
    when: later|selectattr('subject', 'eq', 'late on a')|selectattr('age', 'le', 600)|list|length > 0
    means: It failed.
  - email: {subject: "AUTOFIX on *"}
    means: Wait.
    filter: Not at all.
steps: [{id: a, manual: b}]
"#;
    let bed = Bed::new().file("runbooks/t.yaml", text).file("fix.eml", &mail("x@y", "AUTOFIX on a", 10));
    for (at, expected) in [(12, "It failed."), (10, "Wait."), (9, "Wait."), (30, "Wait.")] {
        bed.write(
            "box",
            &format!("From x Fri Nov 20 10:00:00 2026\n{}\n", mail("x@y", "late on a", at).replace("@x", "@z")),
        );
        let found = leads(&bed, &["fix.eml", "--mailbox", "box", "--no-history"]).unwrap().1;
        assert_eq!(found, expected, "{at}");
    }
    bed.run(&["triage", "fix.eml"]).stdin_null().end().code(0).stdout_has("  to filter it: Not at all.\n");
}

#[test]
fn what_is_about_something_else_hides_no_earlier_mail() {
    let bed = library();
    let late = |at: u32| mail("release+vcs@m.example", "[vcs] process delays on a", at);
    let lunch: String = (0..1500)
        .map(|n| format!("From x y\nFrom: a@b\nSubject: Lunch?\nDate: Fri, 20 Nov 2026 10:10:00 +0000\nMessage-ID: <{n}@y>\n\nx\n\n"))
        .collect();
    bed.write("box", &format!("From x y\n{}\n{lunch}From x y\n{}\n", late(0), late(20)));
    let ended = bed.run(&["triage", "--json", "--no-history", "box"]).stdin_null().end().code(13);
    assert_eq!(ended.events().last().unwrap()["match"]["means"], "An outage.");
    // Where there are more of the kind itself, that is said.
    let flood: String =
        (0..1500).map(|n| format!("From x y\n{}\n", late(5).replace("<5@x>", &format!("<{n}@y>")))).collect();
    bed.write("flood", &flood);
    bed.write("now.eml", &late(20));
    let ended = bed.run(&["triage", "now.eml", "--no-history", "--mailbox", "flood"]).stdin_null().end().code(0);
    ended.stderr_has("there are more mails of these kinds around it").stdout_has("before it: 1000 like it");
}

#[test]
fn when_and_to_whom_is_told_of_odd_mails_too() {
    let bed = library();
    let say = |text: &str| bed.run(&["triage", "--no-history", "-"]).stdin(text).end().code(0).stdout.clone();
    // The last header has no end, and nothing says when it was.
    let cut = say("From: a@b\nTo: release+aws@m");
    assert!(cut.contains("it has no date") && cut.contains("runbook: mail/aws"), "{cut}");
    let many: String = (0..5000).map(|n| format!("p{n}@x.example,\n ")).collect();
    let said = say(&format!("From: a@b\nTo: {many}release+aws@m\nDate: Fri, 20 Nov 2026 10:10:00 +0000\n\n"));
    assert!(said.starts_with("(no subject)\n  from a@b, to release+aws@m and 5000 more\n  runbook"), "{said}");
    // The clock of our own server will do.
    let head = "Received: from x by y; Fri, 20 Nov 2026 10:20:00 +0000\nReceived: from z by x; Fri, 20 Nov 2026 09:00:00 +0000\n";
    let bare = mail("release+vcs@m.example", "[vcs] process delays on a", 20).replace("Date:", "X-Date:");
    bed.write("now.eml", &format!("{head}{bare}"));
    bed.write("box", &format!("From x y\n{}\n", mail("release+vcs@m.example", "[vcs] process delays on a", 2)));
    let found = leads(&bed, &["now.eml", "--mailbox", "box", "--no-history"]);
    assert_eq!(found.unwrap().1, "An outage.");
}

#[test]
fn a_mail_may_ask_for_nothing() {
    let text = "title: Noise\nparams: {host: {type: string}}\ntriggers: [{email: {subject: 'report*'}, means: Numbers., ignore: \
                true, params: {host: none}}]\nsteps: [{id: a, shell: 'echo \"$host\"'}]\n";
    let bed = Bed::new().file("runbooks/noise.yaml", text);
    bed.run(&["triage", "--subject", "report 7"]).stdin_null().end().code(0).stdout(
        "report 7\n  from nobody named\n  runbook: noise (Noise)\n  why it came: Numbers.\n  known by: subject report*\n  \
         to do: nothing\n",
    );
    let found = bed.run(&["triage", "--json", "--subject", "report 7"]).stdin_null().end().json();
    assert_eq!((&found["match"]["ignore"], &found["match"]["command"]), (&true.into(), &serde_json::Value::Null));
}

#[test]
fn a_text_that_was_cut_off_is_read_as_far_as_it_goes() {
    let bed = Bed::new().file(
        "runbooks/note.yaml",
        "title: T\nparams: {note: {type: string}}\ntriggers: [{email: {subject: note}, params: {note: body}}]\n\
         steps: [{id: a, shell: echo \"$note\"}]\n",
    );
    let inner = "Content-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain\n\nhere";
    let alternative = "Content-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain\n\n \n--c\nContent-Type: \
                       text/html\n\n<p>here</p>\n--c--\n";
    for (html, expected) in [
        ("<ul><li>i-1</li><li>i-2</li></ul>x", "i-1 i-2 x"),
        ("<table><tr><td>a</td><td>b</td></tr><TR><TD>c</TD></TR></table>", "a b c"),
        ("a<b>b</b><h2>c</h2><hr>d &lt;li&gt; e", "ab c d <li> e"),
    ] {
        bed.write("m.eml", &format!("Subject: note\nContent-Type: text/html\n\n{html}\n"));
        let found = bed.run(&["triage", "--json", "m.eml"]).stdin_null().end().json();
        let words = found["match"]["params"]["note"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words, expected, "{html}");
    }
    for parts in [alternative, "Content-Type: text/plain\n\nhere", "Content-Type: text/html\n\n<p>here", inner] {
        bed.write(
            "m.eml",
            &format!("Subject: note\nContent-Type: multipart/mixed; boundary=\"b d\"\n\n--b d\n{parts}"),
        );
        let found = bed.run(&["triage", "--json", "m.eml"]).stdin_null().end().json();
        assert_eq!(found["match"]["params"]["note"].as_str().map(str::trim), Some("here"), "{parts}");
    }
}

#[test]
fn mails_triaged_before_are_remembered() {
    let bed = library();
    let subject = "[vcs] process delays on a";
    for at in [2, 20, 40, 59] {
        bed.write(&format!("{at}.eml"), &mail("release+vcs@m.example", subject, at));
    }
    let means = |args: &[&str]| leads(&bed, args).unwrap().1;
    // A look at what would be is no mail, and one that was left out of the history is none either.
    assert_eq!(means(&["--to", "release+vcs@m.example", "--subject", subject]), "Perhaps nothing.");
    assert_eq!(means(&["--no-history", "20.eml"]), "Perhaps nothing.");
    assert!(!bed.path("../state/runsheet/triage").exists());
    assert_eq!(means(&["2.eml"]), "Perhaps nothing.");
    // The same one again is no second one; that it was before shows whichever way it is read.
    assert_eq!(means(&["2.eml"]), "Perhaps nothing.");
    assert_eq!(means(&["20.eml", "--mailbox", "2.eml"]), "An outage.");
    assert_eq!(means(&["40.eml", "--no-history"]), "Perhaps nothing.");
    bed.run(&["triage", "40.eml"])
        .stdin_null()
        .end()
        .code(0)
        .stdout_has("before it: 2 like it, the latest 20m earlier");
    let folder = bed.path("../state/runsheet/triage");
    let files = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files(), 3);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let one = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(mode(&one), 0o600);
    // One that is broken is said, and the others count.
    std::fs::write(&one, "{").unwrap();
    let ended = bed.run(&["triage", "59.eml"]).stdin_null().end().code(0);
    ended.stderr_has("1 of the files in").stdout_has("before it: 2 like it");
    // What is older than a month is forgotten, and of what is left the last thousand are kept.
    std::fs::rename(&one, folder.join("000000000001-0000000000000000.json")).unwrap();
    let boxed: String = (0..1200)
        .map(|n| format!("From x Fri Nov 20 10:00:00 2026\nFrom: a@b\nSubject: s{n}\nMessage-ID: <{n}@y>\n\nx\n\n"))
        .collect();
    bed.write("many", &boxed);
    bed.run(&["triage", "many"]).stdin_null().end().code(13);
    assert_eq!(files(), 1000);
    assert!(!folder.join("000000000001-0000000000000000.json").exists());
}

#[test]
fn a_mail_is_answered_where_nothing_can_be_remembered() {
    let bed = library().file("one.eml", &mail("release+vcs@m.example", "[vcs] process delays on a", 1));
    bed.write("state", "a file");
    let answer = bed.run(&["triage", "one.eml", "--state-dir", "state"]).stdin_null().end().code(0);
    answer.stdout_has("Perhaps nothing.").stderr_has("could not keep this mail for rules about later ones");
    std::fs::create_dir(bed.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", bed.path("linked")).unwrap();
    std::fs::create_dir(bed.path("mine")).unwrap();
    std::os::unix::fs::symlink(bed.path("elsewhere"), bed.path("mine/triage")).unwrap();
    let answer = bed.run(&["triage", "one.eml", "--state-dir", "mine"]).stdin_null().end().code(0);
    answer.stdout_has("Perhaps nothing.").stderr_has("it is a link");
    assert_eq!(std::fs::read_dir(bed.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn it_matters_where_the_server_delivered_it() {
    let bed = library();
    let many: String = (0..1000).map(|n| format!("p{n}@x.example,\n ")).collect();
    for head in [
        "Delivered-To: release+aws@m.example\nTo: list@m.example".to_owned(),
        "Delivered-To: me@m.example\nDelivered-To: <release+aws@m.example>\nTo: list@m.example".to_owned(),
        "X-Envelope-To: release+aws@m.example".to_owned(),
        format!("To: {many}release+aws@m.example"),
    ] {
        bed.write("m.eml", &format!("From: a@b\n{head}\nSubject: x\n\ny\n"));
        assert_eq!(leads(&bed, &["m.eml"]).unwrap().0, "mail/aws", "{}", &head[..head.len().min(80)]);
    }
}

#[test]
fn a_value_of_several_lines_can_be_pasted() {
    let bed = Bed::new().file(
        "runbooks/note.yaml",
        "title: T\nparams: {note: {type: string}}\ntriggers: [{email: {subject: note}, params: {note: body}}]\n\
         steps: [{id: a, shell: echo \"$note\"}]\n",
    );
    bed.write("m.eml", "From: a@b\nSubject: note\n\nit's\na \\ b\n");
    let said = bed.run(&["triage", "m.eml"]).stdin_null().end().code(0).stdout;
    let (_, command) = said.split_once("to do: runsheet ").unwrap();
    let script = format!("printf %s {}", command.lines().next().unwrap().rsplit_once("--param ").unwrap().1);
    let pasted = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(pasted.stdout).unwrap(), "note=it's\na \\ b\n");
}

#[test]
fn hostile_mails_are_only_mails() {
    let bed = library();
    let deep =
        (0..2000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect::<String>();
    let long = "x".repeat(3_000_000);
    for (name, text) in [
        ("escapes", mail("release+vcs@m", "[vcs] \u{1b}[2J\u{202e}oops\u{7}", 1)),
        ("charset", mail("release+vcs@m", "=?no-such?b?W3Zjc10gYQ==?=", 1)),
        ("encoded", mail("release+vcs@m", "=?utf-8?b?W3Zjc10gYQ==?=", 1)),
        ("deep", format!("From: a@b\nTo: release+vcs@m\nSubject: [vcs] deep\n{deep}")),
        ("long", format!("From: a@b\nSubject: [vcs] {long}\n\n{long}{long}{long}")),
    ] {
        bed.write("m.eml", &text);
        let ended = bed.run(&["triage", "m.eml"]).stdin_null().end();
        let (code, out) = (ended.code.unwrap(), ended.stdout.clone());
        assert!(code == 0 || code == 13, "{name}: {code}");
        assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{name}: {out}");
        assert!(out.len() < 20_000, "{name}: {}", out.len());
        assert_eq!(code == 0, name != "charset" || out.contains("mail/vcs"), "{name}: {out}");
    }
    bed.write("none", "just text\n");
    bed.run(&["triage", "none"]).stdin_null().end().code(2).stderr_has("no mail");
    bed.run(&["triage", "nowhere"]).stdin_null().end().code(2).stderr_has("could not read nowhere");
    bed.run(&["triage", "-"]).stdin(&mail("release+aws@m", "x", 1)).end().code(0).stdout_has("mail/aws");
}

#[test]
fn filters_are_written_with_the_strongest_first() {
    let bed = Bed::new().file("runbooks/a.yaml", AWS).file(
        "runbooks/q.yaml",
        r#"{title: Quotes, triggers: [{email: {subject: 'a "b" \ c?*', from: "x@y"}}], steps: [{id: a, manual: b}]}"#,
    );
    let script = bed.run(&["triage", "--export", "sieve", "--folder", "Ops"]).end().code(0).stdout.clone();
    let (strong, weak) = (script.find("# q: ").unwrap(), script.find("# a: Mostly marketing.").unwrap());
    assert!(strong < weak, "{script}");
    assert!(script.contains(r#"header :matches "subject" "a \"b\" \\\\ c\\?*""#), "{script}");
    // A condition cannot be said, and what it is about does not stand before what says more.
    let bed = Bed::new()
        .file(
            "runbooks/many.yaml",
            "title: M\ntriggers:\n  - {email: {subject: '[x]*'}, when: earlier|length > 3}\n  - {email: {subject: '[x]*'}, \
             filter: By the bracket.}\nsteps: [{id: a, manual: b}]\n",
        )
        .file(
            "runbooks/one.yaml",
            "title: O\ntriggers: [{email: {subject: '[x] alert*'}}]\nsteps: [{id: a, manual: b}]\n",
        );
    bed.write("runbooks/x/many.yaml", &bed.read("runbooks/many.yaml"));
    bed.write("runbooks/x/one.yaml", &bed.read("runbooks/one.yaml"));
    let plain = bed.run(&["triage", "--export", "sieve", "--group", "x"]).end().code(0).stdout.clone();
    let rules: Vec<&str> = plain.lines().filter(|line| line.starts_with("if ") || line.starts_with('#')).collect();
    assert_eq!(
        rules[1..],
        [
            "# x/one: O",
            r#"if header :matches "subject" "[x] alert*" {"#,
            "# x/many: M",
            "# By the bracket.",
            "# What it means depends on other mails, which a filter cannot look at: x/many",
            r#"if header :matches "subject" "[x]*" {"#,
        ]
    );
    let bed = Bed::new().file("runbooks/a.yaml", AWS);
    bed.run(&["triage", "--export", "sieve", "--group", "y"]).end().code(13).stderr_has("no runbook below y has");
    let script = bed.run(&["triage", "--export", "sieve"]).end().code(0).stdout.clone();
    let delivered =
        r#"header :matches ["delivered-to", "x-delivered-to", "x-original-to", "envelope-to", "x-envelope-to"]"#;
    let whole = format!(
        r#"if anyof (address :all :matches ["to", "cc"] "release+aws@*", {delivered} ["release+aws@*", "<release+aws@*>"]) {{"#
    );
    assert!(script.contains(&whole), "{script}");
    bed.run(&["triage", "--export", "sieve", "--folder", "a\nb"]).end().code(2).stderr_has("on one line");
    assert!(script.contains("fileinto :create \"runsheet/a\";"), "{script}");
}

#[test]
fn a_trigger_that_is_wrong_is_told_at_its_place() {
    for (trigger, expected) in [
        ("{means: x}", "missing `email`"),
        ("{email: {}}", "does not say which mails"),
        ("{email: {subject: \"*\"}}", "matches every mail"),
        ("{email: {subjet: x}}", "did you mean `subject`"),
        ("{email: {to: \"a@b \"}}", "space at its end"),
        ("{email: {to: a@b}, params: {hots: subject}}", "did you mean `host`"),
        ("{email: {to: a@b}, params: {host: sender}}", "a mail has no `sender`"),
        ("{email: {to: a@b}, when: host == 'x'}", "a mail has no `host`"),
        ("{email: {to: a@b}, when: run.id == 'x'}", "a mail has no `run`"),
    ] {
        let text = format!(
            "title: T\nparams: {{host: {{type: string}}}}\ntriggers: [{trigger}]\nsteps: [{{id: a, shell: echo \"$host\"}}]\n"
        );
        let bed = Bed::new().file("runbooks/x.yaml", &text);
        bed.run(&["check", "runbooks"]).end().code(3).stdout_has(expected);
    }
}
