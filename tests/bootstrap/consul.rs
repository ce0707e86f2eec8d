//! `socorro/bootstrap-consul` against a stand-in for Consul with everything that may go wrong.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::step;
use crate::{
    bench::Bench,
    standins::{
        consul::{Consul, Fault, TOKEN},
        server::On,
    },
};

const NAME: &str = "socorro/bootstrap-consul";
const YES: &[(&str, &str)] = &[("go", "yes"), ("overwrite", "yes")];

/// What a shell, `read` and `curl -d` would each make something else of.
const VALUES: [(&str, &str); 7] = [
    ("common/resource.boto.bucket_name", "crashes"),
    ("common/resource.boto.prefix", ""),
    ("common/secrets.postgresql.database_password", "it's not\\a  $(real) \"password\" *"),
    ("common/secrets.sentry.dsn", "@/etc/hostname"),
    ("processor/destination", "a=b=c \té #1"),
    ("webapp-django/ALLOWED_HOSTS", "[\"crash-stats.example.org\"]"),
    ("webapp-django/SECRET_KEY", "no end of line"),
];

fn bench(consul: &Consul, edits: &[(&str, &str)]) -> Bench {
    let bench = Bench::new(NAME, edits)
        .param("consul", consul.url())
        .param("size", "3")
        .param("servers", "10.0.0.2,10.0.0.3")
        .param("patience", "1s")
        .param("poll", "20ms")
        .param("settle", "100ms")
        .env("CONSUL_HTTP_TOKEN", TOKEN)
        .secret(TOKEN)
        .secret("$(real)");
    let folder = bench.folder().join("socorro-config");
    fs::create_dir(&folder).unwrap();
    let mut files = std::collections::BTreeMap::<&str, String>::new();
    for (key, value) in VALUES {
        let (file, key) = key.split_once('/').unwrap();
        let text = files.entry(file).or_insert_with(|| "# a comment=not a key\n\n   \n".into());
        text.push_str(&format!("{key}={value}\n"));
    }
    for (file, text) in files {
        fs::write(folder.join(format!("{file}.conf")), text.trim_end_matches('\n')).unwrap();
    }
    fs::write(folder.join("README.md"), "no=setting\n").unwrap();
    bench
}

#[track_caller]
fn is_loaded(consul: &Consul) {
    for (key, value) in VALUES {
        assert_eq!(consul.value(&format!("socorro/{key}")).as_deref(), Some(value), "{key}");
    }
    let state = consul.state();
    let own = state.keys.keys().filter(|key| key.starts_with("socorro/")).count();
    assert_eq!((own, state.members.len()), (VALUES.len(), 3));
}

#[test]
fn servers_are_joined_and_every_setting_is_loaded_as_it_stands() {
    let consul = Consul::start(vec![Fault::Late { looks: 4 }]);
    consul.set("other/key", "kept");
    let bench = bench(&consul, &[]);
    bench.run(YES).succeeded();
    is_loaded(&consul);
    for (file, keys) in [("consul-before.json", 1), ("consul-after.json", VALUES.len() + 1)] {
        let path = bench.folder().join(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!((kept.as_array().unwrap().len(), &kept[0]["key"]), (keys, &"other/key".into()));
        assert_eq!(kept[0]["value"], "a2VwdA==");
    }
    // What stands there is not overwritten; without it there is nothing to do.
    bench.run(YES).stopped_at("place", "");
    fs::remove_file(bench.folder().join("consul-before.json")).unwrap();
    fs::remove_file(bench.folder().join("consul-after.json")).unwrap();
    let writes = consul.requests_of("PUT", "/v1/kv/").len();
    let again = bench.run(&[("go", "yes")]);
    again.succeeded();
    assert_eq!((consul.requests_of("PUT", "/v1/kv/").len(), again.status("overwrite")), (writes, Some("skipped")));
    // Of the secrets nothing stays in the record of a run.
    for entry in walk(&bench.folder().join("state")) {
        let bytes = fs::read(&entry).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("(real)") && !text.contains("aXQncyBub3Rc"), "{}", entry.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn what_somebody_has_changed_is_overwritten_only_after_a_yes_and_comes_back() {
    let consul = Consul::start(vec![]);
    consul.set("socorro/common/resource.boto.bucket_name", "changed on purpose");
    consul.set("socorro/processor/destination", "");
    consul.set("socorro/webapp-django/ALLOWED_HOSTS", "[\"crash-stats.example.org\"]");
    let mut before = consul.state().keys.clone();
    let bench = bench(&consul, &[]);
    let asked = bench.run(&[("go", "yes")]);
    assert_eq!(asked.code, 11, "{}", asked.told);
    let question = asked.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    assert!(message.contains("socorro/common/resource.boto.bucket_name, socorro/processor/destination"), "{message}");
    assert_eq!(consul.state().keys, before);
    bench.resume(YES).succeeded();
    is_loaded(&consul);
    // Neither a key that the run has written and somebody has changed since, nor one that was there, is touched.
    consul.set("socorro/webapp-django/SECRET_KEY", "changed since");
    before.insert(
        "socorro/webapp-django/SECRET_KEY".into(),
        consul.state().keys["socorro/webapp-django/SECRET_KEY"].clone(),
    );
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    for says in ["SECRET_KEY is left as it is: changed since", "destination holds again", "secrets.sentry.dsn removed"]
    {
        assert!(undone.told.contains(says), "{says}: {}", undone.told);
    }
    let values = |keys: &std::collections::BTreeMap<String, crate::standins::consul::Entry>| {
        keys.iter().map(|(key, entry)| (key.clone(), entry.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(&consul.state().keys), values(&before));
}

#[test]
fn a_configuration_that_will_not_do_is_told_before_anything_is_sent() {
    let cases: [(&str, &[u8], &str); 8] = [
        ("common.conf", b"a=@@@BUCKET_NAME@@@\n", "common.conf:1: the placeholder of a was not replaced"),
        ("common.conf", b"a=1\nno setting\n", "common.conf:2: this is no KEY=VALUE"),
        ("common.conf", b"=value\n", "common.conf:1: this is no KEY=VALUE"),
        ("common.conf", b"a=1\na=2\n", "common.conf:2: a stands there a second time"),
        ("common.conf", b"../../x=1\n", "common.conf:1: this is no name of a key"),
        ("common.conf", b"a b=1\n", "common.conf:1: this is no name of a key"),
        ("common.conf", b"a=\xff\n", "is not in UTF-8"),
        ("-x.conf", b"a=1\n", "-x.conf"),
    ];
    for (file, text, says) in cases {
        let consul = Consul::start(vec![]);
        let bench = bench(&consul, &[]);
        fs::write(bench.folder().join("socorro-config").join(file), text).unwrap();
        let ran = bench.run(YES);
        ran.stopped_at("read-config", "");
        assert!(ran.told.contains(says) && consul.requests_of("", "").is_empty(), "{says}: {}", ran.told);
    }
    let consul = Consul::start(vec![]);
    for (text, says) in [(None, "there is no .conf file"), (Some("# nothing\n"), "there is no setting")] {
        let bench = bench(&consul, &[]);
        for entry in fs::read_dir(bench.folder().join("socorro-config")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        if let Some(text) = text {
            fs::write(bench.folder().join("socorro-config/common.conf"), text).unwrap();
        }
        let ran = bench.run(YES);
        ran.stopped_at("read-config", "");
        assert!(ran.told.contains(says), "{}", ran.told);
    }
}

/// What goes wrong and can be coped with.
#[test]
fn it_copes() {
    let faults = [
        Fault::ReplyLost { on: On::of("PUT", "/v1/agent/join/"), times: 1 },
        Fault::ServerError { on: On::of("PUT", "/v1/agent/join/"), times: 2 },
        Fault::ServerError { on: On::of("GET", "/v1/status/leader"), times: 2 },
    ];
    for fault in faults {
        eprintln!("{fault:?}");
        let consul = Consul::start(vec![fault]);
        bench(&consul, &[("interval: 2s", "interval: 20ms")]).run(YES).succeeded();
        is_loaded(&consul);
    }
    // What broke off in the middle is finished by the next attempt, and nothing is written twice.
    for fault in [
        Fault::ReplyLost { on: On::of("PUT", "SECRET_KEY"), times: 1 },
        Fault::ServerError { on: On::of("PUT", "SECRET_KEY"), times: 1 },
    ] {
        eprintln!("{fault:?}");
        let consul = Consul::start(vec![fault]);
        let bench = bench(&consul, &[]);
        bench.run(YES).stopped_at("load", "");
        for file in ["consul-before.json", "consul-after.json"] {
            let _ = fs::remove_file(bench.folder().join(file));
        }
        bench.run(&[("go", "yes")]).succeeded();
        is_loaded(&consul);
    }
}

#[test]
fn it_dies_in_the_middle_and_is_taken_up() {
    let consul = Consul::start(vec![]);
    let bin = tempfile::tempdir().unwrap();
    let gate = bin.path().join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    // It holds its breath after one key has been written.
    let script = "#!/bin/bash\n/usr/bin/curl \"$@\" || exit\nif [[ $* == *PUT*processor/destination* && -p ${0%/*}/gate ]]; then cat \"${0%/*}/gate\"; fi\n";
    fs::write(bin.path().join("curl"), script).unwrap();
    fs::set_permissions(bin.path().join("curl"), fs::Permissions::from_mode(0o755)).unwrap();
    let bench = bench(&consul, &[]).path_first(bin.path());
    let going = bench.start(YES).until_doing("load");
    let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    going.kill();
    fs::remove_file(&gate).unwrap();
    drop(open);
    bench.resume(YES).succeeded();
    is_loaded(&consul);
    assert_eq!(consul.requests_of("PUT", "/v1/kv/").len(), VALUES.len());
}

/// What goes wrong and is told, at the right place.
#[test]
fn it_notices() {
    let cases: Vec<(Fault, &str, &str)> = vec![
        (Fault::Forbidden, "members", "403"),
        (Fault::ServerError { on: On::of("PUT", "/v1/agent/join"), times: 9 }, "join[10.0.0.2]", "500"),
        (Fault::JoinsNobody, "all-there", "1s"),
        (Fault::JoinsMore, "all-there", "fails when"),
        (Fault::MemberFails { looks: 1 }, "all-there", "1s"),
        (Fault::NoVote, "peers", "1s"),
        (Fault::OtherVoter, "peers", "1s"),
        (Fault::NoLeader, "leader", "1s"),
        (Fault::ServerError { on: On::of("GET", "/v1/kv/"), times: 1 }, "backup-now", "exited with 1"),
        (Fault::ServerError { on: On::of("GET", "SECRET_KEY"), times: 1 }, "load", "exited with 1"),
        (Fault::ServerError { on: On::of("PUT", "SECRET_KEY"), times: 1 }, "load", "exited with 1"),
        (Fault::Refuses { key: "SECRET_KEY" }, "load", "exited with 1"),
        (Fault::SomebodyElse { key: "SECRET_KEY" }, "load", "exited with 1"),
        (Fault::Forgets { key: "SECRET_KEY" }, "loaded", "fails when"),
        (Fault::Garbles { key: "SECRET_KEY" }, "loaded", "fails when"),
        (Fault::FlipsBack { key: "SECRET_KEY", looks: 2 }, "loaded", "fails when"),
    ];
    for (fault, at, says) in cases {
        eprintln!("{fault:?}");
        let consul = Consul::start(vec![fault.clone()]);
        let ran = bench(&consul, &[("interval: 2s", "interval: 20ms")]).run(YES);
        ran.stopped_at(at, says);
        if matches!(fault, Fault::SomebodyElse { .. }) {
            assert_eq!(consul.value("socorro/webapp-django/SECRET_KEY").as_deref(), Some("somebody else's"));
        }
    }
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let without = |id: &str| (step(NAME, id), String::new());
    let loaded = || without("loaded");
    let all_there = || {
        let text = "      until: result.status == 200 and result.json|selectattr('Tags.role', 'eq', 'consul')|selectattr('Status', 'eq', 1)|list|length == size\n";
        (text.to_owned(), "      until: result.status == 200\n".to_owned())
    };
    let more = || {
        let text = "        and result.json|selectattr('Tags.role', 'eq', 'consul')|selectattr('Status', 'eq', 1)|list|length > size)\n";
        (text.to_owned(), "        and false)\n".to_owned())
    };
    let peers = || without("peers");
    let key = |consul: &Consul| consul.value("socorro/webapp-django/SECRET_KEY");
    struct Case<'a> {
        fault: Fault,
        others: Vec<(String, String)>,
        at: &'a str,
        check: (String, String),
        harm: &'a dyn Fn(&Consul) -> bool,
    }
    let wrong = |consul: &Consul| key(consul).as_deref() != Some("no end of line");
    let few = |consul: &Consul| consul.state().members.len() != 3;
    let gone = |_: &Consul| true;
    let cases = [
        Case { fault: Fault::JoinsNobody, others: vec![peers()], at: "all-there", check: all_there(), harm: &few },
        Case {
            fault: Fault::JoinsMore,
            others: vec![all_there(), peers()],
            at: "all-there",
            check: more(),
            harm: &few,
        },
        Case { fault: Fault::NoVote, others: vec![], at: "peers", check: peers(), harm: &gone },
        Case { fault: Fault::OtherVoter, others: vec![], at: "peers", check: peers(), harm: &gone },
        Case { fault: Fault::NoLeader, others: vec![], at: "leader", check: without("leader"), harm: &gone },
        Case {
            fault: Fault::Refuses { key: "SECRET_KEY" },
            others: vec![loaded(), ("if [ -n \"$missing\" ]".into(), "if false".into())],
            at: "load",
            check: ("if [ \"$(tr -d '[:space:]' <\"$SCRATCH/answer\")\" != true ]".into(), "if false".into()),
            harm: &wrong,
        },
        Case {
            fault: Fault::ServerError { on: On::of("PUT", "SECRET_KEY"), times: 1 },
            others: vec![
                loaded(),
                ("if [ \"$(tr -d '[:space:]' <\"$SCRATCH/answer\")\" != true ]".into(), "if false".into()),
                ("if [ -n \"$missing\" ]".into(), "if false".into()),
            ],
            at: "load",
            check: ("if [ \"$status\" != 200 ]; then refused \"$status\"; fi".into(), ":".into()),
            harm: &wrong,
        },
        Case {
            fault: Fault::SomebodyElse { key: "SECRET_KEY" },
            others: vec![],
            at: "load",
            check: ("?cas=$index\"".into(), "\"".into()),
            // What somebody else has written a moment ago is gone.
            harm: &|consul| key(consul).as_deref() == Some("no end of line"),
        },
        Case {
            fault: Fault::Forgets { key: "SECRET_KEY" },
            others: vec![loaded()],
            at: "export-now",
            check: ("if [ -n \"$missing\" ]".into(), "if false".into()),
            harm: &wrong,
        },
        Case {
            fault: Fault::Garbles { key: "SECRET_KEY" },
            others: vec![],
            at: "loaded",
            check: loaded(),
            harm: &wrong,
        },
        Case {
            fault: Fault::FlipsBack { key: "SECRET_KEY", looks: 2 },
            others: vec![("if [ -n \"$missing\" ]".into(), "if false".into())],
            at: "loaded",
            check: ("      held_for: \"{{ settle }}\"\n".into(), String::new()),
            harm: &wrong,
        },
    ];
    for case in cases {
        eprintln!("{:?}", case.fault);
        let run = |edits: &[(String, String)]| {
            let consul = Consul::start(vec![case.fault.clone()]);
            let mut edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            edits.push(("interval: 2s", "interval: 20ms"));
            let ran = bench(&consul, &edits).run(YES);
            (consul, ran)
        };
        run(&case.others).1.stopped_at(case.at, "");
        let mut edits = case.others.clone();
        edits.push(case.check.clone());
        let (consul, ran) = run(&edits);
        ran.succeeded();
        assert!((case.harm)(&consul), "{:?}: no harm came of it", case.fault);
    }
}
