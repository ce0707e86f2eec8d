//! Runs signed with real keys, by real `ssh-keygen` and `ssh-agent`, and what a signature finds that a chain alone does not.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use runsheet::journal::{TAG, hex_sha256};

use crate::{
    lab::{Ended, Lab, finish, until},
    support::Bed,
    terminal::seat::Seat,
};

const BOOK: &str = r#"
title: Small
steps:
  - {id: look, effect: read, shell: echo looking}
  - {id: one, shell: 'echo one >> "$HOME/marks"'}
"#;

const PAUSES: &str = r#"
title: Asks
steps:
  - {id: one, shell: 'echo one >> "$HOME/marks"'}
  - {id: sure, confirm: Go on?}
"#;

fn keygen(args: &[&str]) {
    let made = Command::new("ssh-keygen").arg("-q").args(args).stdin(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "ssh-keygen {args:?}: {made:?}");
}

/// A new key below the lab's home; its public half stands in `<name>.pub`.
fn key(lab: &Lab, name: &str, passphrase: &str) -> String {
    let path = lab.path(name).display().to_string();
    keygen(&["-t", "ed25519", "-N", passphrase, "-C", &format!("{name}@example.org"), "-f", &path]);
    path
}

/// A file of allowed signers: each key by its owner.
fn allowed(lab: &Lab, names: &[&str]) -> String {
    let line = |name: &&str| format!("{name}@example.org {}", lab.read(&format!("{name}.pub")));
    lab.file("allowed", &names.iter().map(line).collect::<String>())
}

/// An agent of our own, without keys.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(lab: &Lab) -> Agent {
        let socket = lab.path("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        until("the agent", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Agent { child, socket }
    }

    fn add(&self, args: &[&str]) {
        let mut command = Command::new("ssh-add");
        command.args(args).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        let added = command.output().unwrap();
        assert!(added.status.success(), "ssh-add {args:?}: {added:?}");
    }

    fn call(&self, lab: &Lab, args: &[&str]) -> Ended {
        let mut command = lab.command(args);
        command.env("SSH_AUTH_SOCK", &self.socket);
        finish(command)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What somebody does who may write the folder: changes lines and computes everything behind them anew, the note of
/// the end included.
pub fn forge(dir: &Path, change: impl Fn(usize, &str) -> Option<String>) {
    let journal = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    let mut head = hex_sha256(TAG);
    let mut forged = String::new();
    for (at, line) in journal.lines().enumerate() {
        let own = &line[..line.rfind(",\"prev\":\"").unwrap()];
        let Some(own) = change(at + 1, own) else { break };
        let summed = format!("{own},\"prev\":\"{head}\"");
        let line = format!("{summed},\"sum\":\"{}\"}}", hex_sha256(summed.as_bytes()));
        head = hex_sha256(&[TAG, line.as_bytes()].concat());
        forged.push_str(&line);
        forged.push('\n');
    }
    std::fs::write(dir.join("journal.jsonl"), forged).unwrap();
    // That of a run that is not over holds nothing while nobody holds it.
    let noted = std::fs::read(dir.join("run.lock")).unwrap();
    let mut noted: serde_json::Value = serde_json::from_slice(&noted).unwrap_or_default();
    if noted.get("closed_head").is_some() {
        noted["closed_head"] = head.into();
        std::fs::write(dir.join("run.lock"), noted.to_string()).unwrap();
    }
}

/// Another duration of a step, as a lie that nothing else contradicts.
pub fn lie(dir: &Path) {
    forge(dir, |_, own| Some(own.replace("\"duration_ms\":", "\"duration_ms\":9")));
}

fn signatures(lab: &Lab) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(lab.run_dir().join("signatures"))
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// Nothing was run, and there is no such run.
#[track_caller]
fn refused(lab: &Lab, ended: Ended, said: &str) {
    let ended = ended.expect(4);
    assert!(ended.err.contains("could not sign: ") && ended.err.contains(said), "{ended:#?}");
    assert!(lab.marks("marks").is_empty() && lab.outcomes().is_empty(), "{ended:#?}");
    let left: Vec<_> = std::fs::read_dir(lab.runs_dir()).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}

fn signed() -> (Lab, String) {
    let lab = Lab::new();
    lab.book(BOOK);
    let ada = key(&lab, "ada", "");
    lab.call(&["run", "./book.yaml", "--yes", &format!("--sign={ada}")]).expect(0);
    let allowed = allowed(&lab, &["ada"]);
    (lab, allowed)
}

#[test]
fn a_key_file_signs_the_start_and_the_end() {
    let (lab, allowed) = signed();
    let last = lab.journal().len();
    assert_eq!(signatures(&lab), ["1.txt", "1.txt.sig", &format!("{last}.txt"), &format!("{last}.txt.sig")]);
    let found = lab.call(&["verify", "last"]).expect(0);
    assert!(found.out.contains(&format!("signed: record {last} with ED25519 key SHA256:")), "{found:#?}");
    assert!(found.out.contains("whose key that is; anybody can make one"), "{found:#?}");
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
    assert!(found.out.contains(&format!("signed: record {last} by ada@example.org")), "{found:#?}");
    assert!(!found.out.contains("not proven") && !found.out.contains("rewrite all"), "{found:#?}");
    for name in signatures(&lab) {
        let mode = lab.run_dir().join("signatures").join(&name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The commands of the page for people, with what a reader puts in for the words in capitals.
fn documented(heading: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trust.md")).unwrap();
    let section = page.split(&format!("{heading}\n")).nth(1).unwrap_or_else(|| panic!("no section `{heading}`"));
    section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

fn by_hand(lab: &Lab, script: &str) -> Ended {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(lab.run_dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command)
}

#[test]
fn it_can_be_checked_with_the_documented_commands_alone() {
    let (lab, allowed) = signed();
    let last = lab.journal().len().to_string();
    let script = documented("### A signature, by hand")
        .replace("ALLOWED_SIGNERS", &allowed)
        .replace("NAME@EXAMPLE.ORG", "ada@example.org")
        .replace("17", &last);
    let said = by_hand(&lab, &script).expect(0);
    assert!(said.out.contains("Good \"runsheet-run-v1\" signature for ada@example.org"), "{said:#?}");
    let chain = documented("### The chain, by hand");
    let head = by_hand(&lab, &chain).expect(0).out;
    assert!(said.out.contains(&format!("head {}", head.trim())), "{said:#?} {head}");
    // They find what is wrong, too.
    let journal = lab.run_dir().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("\"attempt\":1", "\"attempt\":2", 1)).unwrap();
    assert_ne!(by_hand(&lab, &chain).code, Some(0));
    std::fs::write(&journal, text).unwrap();
    let statement = lab.run_dir().join(format!("signatures/{last}.txt"));
    let text = std::fs::read_to_string(&statement).unwrap();
    std::fs::write(&statement, text.replacen("head ", "head 0", 1)).unwrap();
    assert_ne!(by_hand(&lab, &script).code, Some(0));
}

#[test]
fn a_rewritten_record_is_found_by_its_signature_alone() {
    let (lab, allowed) = signed();
    lie(&lab.run_dir());
    let found = lab.call(&["verify", "last"]).expect(10);
    let last = lab.journal().len();
    let why = format!("bad: signatures/{last}.txt.sig: record {last} had another hash when it was signed");
    assert!(found.out.contains(&why), "{found:#?}");
    // Without its signature nobody could tell, and whoever knows the signers is told that there is none.
    for name in signatures(&lab).iter().filter(|name| name.starts_with(&last.to_string())) {
        std::fs::remove_file(lab.run_dir().join("signatures").join(name)).unwrap();
    }
    lab.call(&["verify", "last"]).expect(0);
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(10);
    assert!(found.out.contains("what is signed goes up to record 1 only"), "{found:#?}");
    std::fs::remove_dir_all(lab.run_dir().join("signatures")).unwrap();
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(10);
    assert!(found.out.contains("no good signature of anybody who may sign"), "{found:#?}");
}

#[test]
fn a_cut_end_is_found_by_its_signature() {
    let (lab, _) = signed();
    let last = lab.journal().len();
    // The note of the end is cut as well: to the chain this is a run that was interrupted.
    forge(&lab.run_dir(), |at, own| (at < last).then(|| own.to_owned()));
    std::fs::write(lab.run_dir().join("run.lock"), "").unwrap();
    let found = lab.call(&["verify", "last"]).expect(10);
    assert!(
        found.out.contains(&format!("record {last} was signed, and is not there: the end was cut off")),
        "{found:#?}"
    );
}

#[test]
fn every_changed_byte_of_a_signature_or_its_statement_is_found() {
    let (lab, allowed) = signed();
    for name in signatures(&lab) {
        let path = lab.run_dir().join("signatures").join(&name);
        let bytes = std::fs::read(&path).unwrap();
        // Of the signature, every call starts a program twice: some places of it.
        let step = if name.ends_with(".sig") { 41 } else { 3 };
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(10);
            assert!(
                found.out.contains(&format!("bad: signatures/{}", name.strip_suffix(".sig").unwrap_or(&name))),
                "{found:#?}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        if !name.ends_with(".sig") {
            let found = lab.call(&["verify", "last"]).expect(0);
            assert!(found.out.contains(&format!("not proven: signatures/{name}.sig: its other half")), "{found:#?}");
        } else {
            lab.call(&["verify", "last"]).expect(10);
        }
        std::fs::write(&path, bytes).unwrap();
    }
    lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
    lab.call(&["verify", "last", "--allowed-signers", "/no/such/file"]).expect(2);
}

#[test]
fn the_key_of_somebody_else_and_the_signature_of_another_run_are_found() {
    let (lab, _) = signed();
    key(&lab, "eve", "");
    let last = lab.journal().len();
    let eves = allowed(&lab, &["eve"]);
    let found = lab.call(&["verify", "last", "--allowed-signers", &eves]).expect(10);
    assert!(found.out.contains("its key is none of those who may sign"), "{found:#?}");
    // Her name in front of another key is not her key, and a key that may not sign here does not.
    let line = format!("ada@example.org {}", lab.read("eve.pub"));
    let swapped = lab.file("swapped", &line);
    lab.call(&["verify", "last", "--allowed-signers", &swapped]).expect(10);
    let line = format!("ada@example.org namespaces=\"git\" {}", lab.read("ada.pub"));
    let elsewhere = lab.file("elsewhere", &line);
    lab.call(&["verify", "last", "--allowed-signers", &elsewhere]).expect(10);
    // The list's own words for who and when: a key counts at the time in the statement.
    for (options, code) in [
        ("ada@example.org,lead@example.org", 0),
        ("*@example.org", 0),
        ("ada@example.org namespaces=\"runsheet-run-v1\"", 0),
        ("ada@example.org valid-after=\"20200101\"", 0),
        ("ada@example.org valid-before=\"20200101\"", 10),
        ("# ada@example.org", 10),
    ] {
        let list = lab.file("list", &format!("{options} {}", lab.read("ada.pub")));
        let found = lab.call(&["verify", "last", "--allowed-signers", &list]);
        assert_eq!(found.code, Some(code), "{options}: {found:#?}");
    }

    let (other, _) = signed();
    let (ours, theirs) = (lab.run_dir().join("signatures"), other.run_dir().join("signatures"));
    for name in [format!("{last}.txt"), format!("{last}.txt.sig")] {
        std::fs::copy(theirs.join(&name), ours.join(&name)).unwrap();
    }
    let run = other.run_dir().file_name().unwrap().to_str().unwrap().to_owned();
    let found = lab.call(&["verify", "last"]).expect(10);
    assert!(found.out.contains(&format!("bad: signatures/{last}.txt.sig: it was signed for run {run}")), "{found:#?}");
    // A good statement with the signature of something else.
    let (lab, _) = signed();
    std::fs::copy(theirs.join("1.txt.sig"), lab.run_dir().join("signatures/1.txt.sig")).unwrap();
    let found = lab.call(&["verify", "last"]).expect(10);
    assert!(found.out.contains("bad: signatures/1.txt.sig: it is no signature over its statement"), "{found:#?}");
}

#[test]
fn an_agent_signs_with_its_first_key_or_the_one_that_is_named() {
    let lab = Lab::new();
    lab.book(BOOK);
    let agent = Agent::start(&lab);
    for name in ["ada", "bob"] {
        let path = key(&lab, name, "");
        agent.add(&["-q", &path]);
        std::fs::remove_file(path).unwrap();
    }
    for (flag, who) in [("--sign".to_owned(), "ada"), (format!("--sign={}", lab.path("bob.pub").display()), "bob")] {
        let ended = agent.call(&lab, &["run", "./book.yaml", "--yes", &flag]).expect(0);
        assert!(ended.err.contains(&format!("{who}@example.org")), "{ended:#?}");
        let allowed = allowed(&lab, &[who]);
        let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
        assert!(found.out.contains(&format!("by {who}@example.org")), "{found:#?}");
        std::fs::remove_dir_all(lab.runs_dir()).unwrap();
    }
    std::fs::remove_file(lab.path("marks")).unwrap();
    refused(
        &lab,
        lab.call(&["run", "./book.yaml", "--yes", &format!("--sign={}", lab.path("bob.pub").display())]),
        "bob",
    );
    agent.add(&["-q", "-D"]);
    refused(&lab, agent.call(&lab, &["run", "./book.yaml", "--yes", "--sign"]), "no agent holds a key");
}

#[test]
fn a_key_that_cannot_sign_is_told_before_anything_is_run() {
    let lab = Lab::new();
    lab.book(BOOK);
    let run = |sign: &str| lab.call(&["run", "./book.yaml", "--yes", sign]);
    refused(&lab, run("--sign"), ".ssh");
    refused(&lab, run("--sign=no-such-key"), "no such file");
    refused(&lab, run(&format!("--sign={}", lab.file("junk", "junk\n"))), "did not sign");
    let locked = key(&lab, "locked", "a passphrase");
    refused(&lab, run(&format!("--sign={locked}")), "ssh-add KEY");
    let mut command = lab.command(&["run", "./book.yaml", "--yes", "--sign"]);
    let tools = lab.path("tools");
    std::fs::create_dir(&tools).unwrap();
    for tool in ["bash", "sh"] {
        std::os::unix::fs::symlink(format!("/bin/{tool}"), tools.join(tool)).unwrap();
    }
    command.env("PATH", &tools);
    refused(&lab, finish(command), "there is no `ssh-keygen`");
    // An agent that is locked holds the key and gives nothing out.
    let agent = Agent::start(&lab);
    let ada = key(&lab, "ada", "");
    agent.add(&["-q", &ada]);
    std::fs::remove_file(&ada).unwrap();
    let askpass = lab.file("askpass", "#!/bin/sh\necho locked\n");
    std::fs::set_permissions(&askpass, PermissionsExt::from_mode(0o755)).unwrap();
    let mut lock = Command::new("ssh-add");
    lock.arg("-x").env("SSH_AUTH_SOCK", &agent.socket).env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
    assert!(lock.output().unwrap().status.success());
    let public = format!("--sign={}", lab.path("ada.pub").display());
    refused(&lab, agent.call(&lab, &["run", "./book.yaml", "--yes", &public]), "did not sign");
    refused(&lab, agent.call(&lab, &["run", "./book.yaml", "--yes", "--sign"]), "no agent holds a key");
}

#[test]
fn nobody_is_asked_for_a_passphrase_even_at_a_terminal() {
    let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: touch ran}\n");
    let key = bed.path("key").display().to_string();
    keygen(&["-t", "ed25519", "-N", "a passphrase", "-f", &key]);
    let mut seat = Seat::take(&bed, &["run", "./x.yaml", "--mode", "auto", &format!("--sign={key}")]);
    seat.sees("could not sign").sees("ssh-add KEY");
    seat.ends(4);
    assert!(!bed.exists("ran") && bed.runs().is_empty());
}

#[test]
fn a_signature_that_fails_at_the_end_changes_nothing_and_can_be_made_later() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - {id: gone, shell: 'mv \"$HOME/ada\" \"$HOME/away\"'}\n");
    let sign = format!("--sign={}", key(&lab, "ada", ""));
    let ended = lab.call(&["run", "./book.yaml", "--yes", &sign]).expect(0);
    let last = lab.journal().len();
    assert!(ended.err.contains(&format!("record {last} of run")) && ended.err.contains("is not signed"), "{ended:#?}");
    assert_eq!(lab.outcomes(), ["succeeded"]);
    assert_eq!(signatures(&lab), ["1.txt", "1.txt.sig"]);
    let allowed = allowed(&lab, &["ada"]);
    lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(10);
    std::fs::rename(lab.path("away"), lab.path("ada")).unwrap();
    lab.call(&["resume", "last", &sign]).expect(0);
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
    assert!(found.out.contains(&format!("signed: record {last} by ada@example.org")), "{found:#?}");
}

/// An agent that takes every call and never answers.
struct Mute(std::os::unix::net::UnixListener, PathBuf);

impl Mute {
    fn start(lab: &Lab, name: &str) -> Mute {
        let path = lab.path(name);
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        Mute(socket, path)
    }
}

#[test]
fn an_agent_that_never_answers_can_be_interrupted() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - {id: a, shell: 'echo a >> \"$HOME/marks\"; read -r _ < \"$HOME/gate\" || true'}\n");
    let sign = format!("--sign={}", key(&lab, "ada", ""));
    let gate = lab.gate("gate");
    let start = |socket: &Path| {
        let mut command = lab.command(&["run", "./book.yaml", "--yes", &sign]);
        command.env("SSH_AUTH_SOCK", socket);
        crate::lab::Running::of(command)
    };
    let mute = Mute::start(&lab, "mute");
    let run = start(&mute.1);
    let _call = mute.0.accept().unwrap();
    run.signal(libc::SIGINT);
    let ended = run.end().expect(5);
    assert!(ended.err.contains("stopped while it was being signed"), "{ended:#?}");
    assert!(lab.marks("marks").is_empty());
    assert_eq!(std::fs::read_dir(lab.runs_dir()).unwrap().count(), 0);
    // At the end: what happened stays as it is.
    let run = start(&lab.path("later"));
    let at_gate = gate.reached();
    let mute = Mute::start(&lab, "later");
    at_gate.pass();
    let _call = mute.0.accept().unwrap();
    run.signal(libc::SIGTERM);
    let ended = run.end().expect(0);
    assert!(ended.err.contains("is not signed: stopped while it was being signed"), "{ended:#?}");
    assert_eq!((lab.outcomes(), lab.marks("marks")), (vec!["succeeded".to_owned()], vec!["a".to_owned()]));
    lab.sound();
}

#[test]
fn a_signature_that_nobody_can_look_at_proves_nothing() {
    let (lab, allowed) = signed();
    let verify = |args: &[&str]| {
        let mut command = lab.command(&[&["verify", "last"], args].concat());
        command.env("PATH", lab.path("nowhere"));
        finish(command)
    };
    let found = verify(&[]).expect(0);
    assert!(found.out.contains("it was not checked: there is no `ssh-keygen`"), "{found:#?}");
    assert!(verify(&["--allowed-signers", &allowed]).expect(4).err.contains("openssh-client"));
}

#[test]
fn a_pause_is_signed_and_whoever_goes_on_signs_with_a_key_of_their_own() {
    let lab = Lab::new();
    lab.book(PAUSES);
    let (ada, bob) = (key(&lab, "ada", ""), key(&lab, "bob", ""));
    lab.call(&["run", "./book.yaml", &format!("--sign={ada}")]).expect(11);
    let paused = lab.journal().len();
    let allowed_ada = allowed(&lab, &["ada"]);
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed_ada]).expect(0);
    assert!(found.out.contains(&format!("signed: record {paused} by ada@example.org")), "{found:#?}");
    // A key that cannot sign leaves the run as it is.
    let before = std::fs::read(lab.run_dir().join("journal.jsonl")).unwrap();
    lab.call(&["resume", "last", "--yes", "--sign=no-such-key"]).expect(4);
    assert_eq!(std::fs::read(lab.run_dir().join("journal.jsonl")).unwrap(), before);
    lab.call(&["resume", "last", "--yes", &format!("--sign={bob}")]).expect(0);
    let last = lab.journal().len();
    let names = signatures(&lab);
    for name in ["1.txt".into(), format!("{paused}.txt"), format!("{paused}-2.txt.sig"), format!("{last}.txt.sig")] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let both = allowed(&lab, &["ada", "bob"]);
    let found = lab.call(&["verify", "last", "--allowed-signers", &both]).expect(0);
    assert!(found.out.contains(&format!("signed: record {last} by bob@example.org")), "{found:#?}");
    // Ada's word ends where she stopped.
    let only_ada = allowed(&lab, &["ada"]);
    let found = lab.call(&["verify", "last", "--allowed-signers", &only_ada]).expect(10);
    assert!(found.out.contains(&format!("goes up to record {paused} only")), "{found:#?}");
}

#[test]
fn a_killed_signed_run_goes_on_from_what_was_signed() {
    let lab = Lab::new();
    lab.book("title: t\nsteps:\n  - {id: a, idempotent: true, shell: 'read -r _ < \"$HOME/gate\" || true'}\n");
    let sign = format!("--sign={}", key(&lab, "ada", ""));
    let gate = lab.gate("gate");
    let run = lab.start(&["run", "./book.yaml", "--yes", &sign]);
    let open = gate.reached();
    run.kill();
    open.pass();
    let allowed = allowed(&lab, &["ada"]);
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
    assert!(
        found.out.contains("signed: record 1 by ada") && found.out.contains("a cut tail leaves no trace"),
        "{found:#?}"
    );
    lab.call(&["resume", "last", "--yes", &sign]).expect(0);
    lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
}

/// An undo goes on with the record of its run: it is signed before anything is taken back and at its end, and what was
/// signed before holds still.
#[test]
fn an_undo_is_signed_before_and_behind() {
    let lab = Lab::new();
    lab.book(
        "title: Back\nsteps:\n  - {id: one, shell: 'echo one >> \"$HOME/marks\"', undo: {shell: 'echo back >> \"$HOME/marks\"'}}\n",
    );
    let ada = key(&lab, "ada", "");
    let sign = format!("--sign={ada}");
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    assert!(signatures(&lab).is_empty());
    let over = lab.journal().len();
    lab.call(&["undo", "last", "--yes", &sign]).expect(6);
    assert_eq!(lab.marks("marks"), ["one", "back"]);
    let last = lab.journal().len();
    let begun = lab.journal().iter().position(|of| of["event"] == "step_started" && of["step"] == "one@undo").unwrap();
    let signed: Vec<usize> =
        signatures(&lab).iter().filter_map(|name| name.strip_suffix(".txt.sig")?.parse().ok()).collect();
    let before = signed.iter().copied().min().unwrap();
    assert!(before >= over && before <= begun && signed.contains(&last), "{signed:?}, begun after record {begun}");
    let allowed = allowed(&lab, &["ada"]);
    let found = lab.call(&["verify", "last", "--allowed-signers", &allowed]).expect(0);
    assert!(found.out.contains(&format!("signed: record {last} by ada@example.org")), "{found:#?}");
    // What was taken back cannot be cut off again.
    forge(&lab.run_dir(), |at, own| (at <= over).then(|| own.to_owned()));
    let found = lab.call(&["verify", "last"]).expect(10);
    assert!(found.out.contains(&format!("record {last} was signed, and is not there")), "{found:#?}");
}

#[test]
fn an_undo_that_cannot_be_signed_takes_nothing_back() {
    let lab = Lab::new();
    lab.book("title: Back\nsteps:\n  - {id: one, shell: 'echo one >> \"$HOME/marks\"', undo: {shell: 'echo back >> \"$HOME/marks\"'}}\n");
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    let over = lab.journal().len();
    let ended = lab.call(&["undo", "last", "--yes", "--sign=/nowhere/key"]).expect(4);
    assert!(ended.err.contains("could not sign: "), "{ended:#?}");
    assert_eq!(lab.marks("marks"), ["one"]);
    assert_eq!((lab.journal().len(), lab.outcomes()), (over, vec!["succeeded".to_owned()]));
}
