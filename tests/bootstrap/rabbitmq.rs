//! `socorro/bootstrap-rabbitmq` against two real servers, and against a stand-in that answers as they do for everything
//! that may go wrong.

use std::{fs, process::Command};

use super::step;
use crate::{
    bench::Bench,
    standins::{
        machines::Fault,
        rabbit::{NAMES, PASSWORD, Rabbits, interview, node_of},
    },
};

const NAME: &str = "socorro/bootstrap-rabbitmq";
const YES: &[(&str, &str)] = &[("go", "yes")];
const ALL: &[(&str, &str)] = &[("go", "yes"), ("discard", "yes"), ("new-password", "yes")];

fn bench(rabbits: &Rabbits, edits: &[(&str, &str)]) -> Bench {
    alone(rabbits, edits).param("joiners", NAMES[1])
}

fn alone(rabbits: &Rabbits, edits: &[(&str, &str)]) -> Bench {
    Bench::new(NAME, edits)
        .path_first(&rabbits.machines.bin())
        .param("primary", NAMES[0])
        .param("patience", "3s")
        .env("SOCORRO_RABBITMQ_PASSWORD", PASSWORD)
        .secret(PASSWORD)
}

/// One cluster of two, into which Socorro gets by either of them, and nobody has seen the password.
#[track_caller]
fn is_set_up(rabbits: &Rabbits) {
    for name in NAMES {
        assert_eq!(rabbits.running(name).len(), 2, "{name}");
        assert!(rabbits.gets_in(name, "socorro", PASSWORD), "{name}");
        let (_, rights) = rabbits.ctl(name, &["-q", "list_user_permissions", "socorro", "--formatter", "json"], "");
        assert!(rights.contains(r#"{"vhost":"/","configure":".*","write":".*","read":".*"}"#), "{rights}");
    }
    assert!(!rabbits.machines.arguments().contains("(real)"), "the password can be read");
}

/// All that is asked of the real servers, because they take their time.
#[test]
fn two_real_servers() {
    let Some(rabbits) = Rabbits::real() else { return };
    let [a, b] = NAMES;
    // The stand-in answers as they do.
    let real = interview(&rabbits);
    assert_eq!(real, interview(&Rabbits::standins()));
    assert_eq!(rabbits.ctl(b, &["-q", "add_user", "other"], "one-password\n").0, 0);
    // What it holds is not thrown away without a yes, which `--yes` and silence are not.
    let bench = bench(&rabbits, &[]);
    let asked = bench.run(YES);
    assert_eq!(asked.code, 11, "{}", asked.told);
    assert!(asked.told.contains("rabbit-b@localhost: users other"), "{}", asked.told);
    assert!(rabbits.gets_in(b, "other", "one-password"));
    // It dies while the node is stopped, and goes on from there.
    hold(&rabbits, b);
    let going = bench.start_resume(ALL).until_doing(&format!("cluster[{b}]/join"));
    release(&rabbits, b, || going.kill());
    let resumed = bench.resume(ALL);
    resumed.succeeded();
    is_set_up(&rabbits);
    assert!(!rabbits.gets_in(b, "other", "one-password"));
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!((rabbits.running(a), rabbits.running(b)), (vec![node_of(a)], vec![node_of(b)]));
    assert!(!rabbits.gets_in(a, "socorro", PASSWORD) && !rabbits.gets_in(b, "socorro", PASSWORD));
}

/// Lets the machine's `stop_app` do what it does and then wait.
fn hold(rabbits: &Rabbits, machine: &str) {
    let bin = rabbits.machines.machine(machine).join("bin");
    assert!(Command::new("mkfifo").arg(bin.join("gate")).status().unwrap().success());
    let real = crate::standins::rabbit::scripts().join("rabbitmqctl");
    let script = format!(
        "#!/bin/bash\nif [[ $* == *stop_app* ]]; then '{real}' \"$@\"; cat '{gate}'; exit; fi\nexec '{real}' \"$@\"\n",
        real = real.display(),
        gate = bin.join("gate").display(),
    );
    rabbits.machines.install(machine, "rabbitmqctl", &script);
}

/// Waits until it waits, does something, and lets it go on.
fn release(rabbits: &Rabbits, machine: &str, meanwhile: impl FnOnce()) {
    let bin = rabbits.machines.machine(machine).join("bin");
    let open = fs::OpenOptions::new().write(true).open(bin.join("gate")).unwrap();
    meanwhile();
    fs::remove_file(bin.join("rabbitmqctl")).unwrap();
    drop(open);
}

#[test]
fn it_is_set_up_once_more_and_with_another_password() {
    let rabbits = Rabbits::standins();
    bench(&rabbits, &[]).run(YES).succeeded();
    is_set_up(&rabbits);
    let again = bench(&rabbits, &[]).run(YES);
    again.succeeded();
    assert_eq!(again.status("make-user"), Some("skipped"));
    assert_eq!(again.status("cluster[rabbit-b]/join"), Some("skipped"));
    rabbits.ctl("rabbit-b", &["change_password", "socorro"], "somebody else's\n");
    let stopped = bench(&rabbits, &[]).run(&[("go", "yes"), ("new-password", "no")]);
    assert_eq!(stopped.code, 5, "{}", stopped.told);
    assert!(rabbits.gets_in("rabbit-a", "socorro", "somebody else's"));
    bench(&rabbits, &[]).run(ALL).succeeded();
    is_set_up(&rabbits);
    // A virtual host of its own, on one server alone.
    let one = Rabbits::standins();
    alone(&one, &[]).param("vhost", "crashes").run(YES).succeeded();
    assert_eq!(one.running("rabbit-a").len(), 1);
    assert!(one.ctl("rabbit-a", &["list_vhosts"], "").1.contains("crashes"));
}

#[test]
fn what_has_come_since_somebody_was_asked_is_not_thrown_away() {
    let rabbits = Rabbits::standins();
    rabbits.ctl("rabbit-b", &["add_user", "other"], "one-password\n");
    let bench = bench(&rabbits, &[]);
    assert_eq!(bench.run(YES).code, 11);
    rabbits.add_queue("rabbit-b");
    let ran = bench.resume(ALL);
    ran.stopped_at("cluster[rabbit-b]/join", "");
    assert!(ran.told.contains("this is not what somebody has agreed to throw away"), "{}", ran.told);
    assert!(rabbits.gets_in("rabbit-b", "other", "one-password"));
}

#[test]
fn a_connection_that_is_lost_leaves_nothing_done_twice() {
    for (machine, lost) in [("rabbit-a", "add_user"), ("rabbit-b", "join_cluster")] {
        let rabbits = Rabbits::standins();
        rabbits.machines.fault(machine, Fault::LostAfter(lost));
        let bench = bench(&rabbits, &[]);
        let ran = bench.run(YES);
        if lost == "join_cluster" {
            // It may be done twice: somebody looks, and says so.
            ran.open_at("cluster[rabbit-b]/join", "nobody heard");
            bench.decide("cluster[rabbit-b]/join", "not-done", YES).succeeded();
        } else {
            ran.succeeded();
        }
        is_set_up(&rabbits);
        let rabbits = Rabbits::standins();
        rabbits.machines.fault(machine, Fault::LostBefore(lost));
        let bench = super::rabbitmq::bench(&rabbits, &[]);
        let ran = bench.run(YES);
        assert!([1, 7].contains(&ran.code), "{}", ran.told);
        if ran.code == 7 {
            bench.decide("cluster[rabbit-b]/join", "not-done", YES).succeeded();
        } else {
            super::rabbitmq::bench(&rabbits, &[]).run(YES).succeeded();
        }
        is_set_up(&rabbits);
    }
}

/// What goes wrong and is told, at the right place; and the other server runs by itself afterwards.
#[test]
fn it_notices_and_leaves_no_server_stopped() {
    let own = Fault::Own;
    let cases = [
        ("rabbit-b", Fault::Refused, "nodes[rabbit-b]/same", "refused"),
        ("rabbit-a", Fault::Password, "primary-node", "password is required"),
        ("rabbit-b", own("cookie"), "nodes[rabbit-b]/same", "primary_cookie"),
        ("rabbit-b", own("version"), "nodes[rabbit-b]/same", "primary_version"),
        ("rabbit-b", own("unreachable"), "nodes[rabbit-b]/reaches", "Failed to connect"),
        ("rabbit-a", own("forgets-user"), "let-in", "does not exist"),
        ("rabbit-a", own("forgets-rights"), "may", "selectattr"),
        ("rabbit-b", own("join-refused"), "cluster[rabbit-b]/join", "was not joined"),
        ("rabbit-b", own("join-breaks-off"), "cluster[rabbit-b]/join", "was not joined"),
        ("rabbit-b", own("join-does-nothing"), "cluster[rabbit-b]/seen-there", "3s"),
        ("rabbit-a", own("partition"), "whole", "partitions"),
        ("rabbit-a", own("alarm"), "whole", "alarms"),
    ];
    for (machine, fault, at, says) in cases {
        eprintln!("{fault:?}");
        let rabbits = Rabbits::standins();
        rabbits.machines.fault(machine, fault);
        let ran = bench(&rabbits, &[]).run(YES);
        ran.stopped_at(at, "");
        assert!(ran.told.contains(says), "{fault:?}: {}", ran.told);
        rabbits.machines.mend(machine, fault);
        assert!(!rabbits.running("rabbit-b").is_empty(), "{fault:?}: it is left stopped");
        if at.ends_with("/join") {
            // What broke off is finished when it is started again.
            bench(&rabbits, &[]).run(YES).succeeded();
            is_set_up(&rabbits);
        }
    }
    // A node that cannot be started is told twice: where it was joined, and where it is tried once more.
    let rabbits = Rabbits::standins();
    rabbits.machines.fault("rabbit-b", Fault::Own("start-fails"));
    let ran = bench(&rabbits, &[]).run(YES);
    ran.stopped_at("cluster[rabbit-b]/join", "");
    assert_eq!(ran.status("running[rabbit-b]"), Some("failed"));
}

struct Case {
    what: &'static str,
    prepare: fn(&Rabbits),
    /// Other checks that would notice it too, taken out in both runs.
    others: Vec<(String, String)>,
    at: &'static str,
    check: (String, String),
    /// What is wrong at the end, unseen.
    harm: fn(&Rabbits) -> bool,
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let without = |id: &str| (step(NAME, id), String::new());
    let line = |text: &str| (format!("            - {text}\n"), "            - result.exit == 0\n".to_owned());
    // Deeper steps end where the next one of their list begins.
    let inner = |id: &str, next: &str| {
        let text = fs::read_to_string(format!("{}/runbooks/{NAME}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let from = text.find(&format!("        - id: {id}\n")).unwrap();
        let to = from + text[from..].find(next).unwrap();
        (text[from..to].to_owned(), String::new())
    };
    let seen_there = || {
        let until = "until: result.exit == 0 and node[joiner] in result.json.running_nodes and primary_node in result.json.running_nodes";
        (until.to_owned(), "until: result.exit == 0".to_owned())
    };
    let seen_here = || inner("seen-here", "        - id: same-user\n");
    let same_user = || inner("same-user", "\n  - id: whole\n");
    let all_run = || {
        let text = "      - (node|default({})|values|list) is empty or node|values|reject('in', result.json.running_nodes)|list is empty\n";
        (text.to_owned(), String::new())
    };
    let cases = [
        Case {
            what: "users that are thrown away",
            prepare: |all| {
                all.ctl("rabbit-b", &["add_user", "other"], "one-password\n");
            },
            others: vec![],
            at: "",
            check: without("discard"),
            harm: |all| !all.gets_in("rabbit-b", "other", "one-password"),
        },
        Case {
            what: "messages that are thrown away",
            prepare: |all| all.add_queue("rabbit-b"),
            others: vec![],
            at: "",
            check: without("discard"),
            harm: |_| true,
        },
        Case {
            what: "another version",
            prepare: |all| all.machines.fault("rabbit-b", Fault::Own("version")),
            others: vec![],
            at: "nodes[rabbit-b]/same",
            check: line("result.stdout|regex_find(' ([^ ]+) ') == primary_version"),
            harm: |all| all.running("rabbit-a").len() == 2,
        },
        Case {
            what: "the first server once more",
            prepare: |all| all.machines.set("rabbit-b", "RABBIT_NODE", "rabbit-a@localhost"),
            others: vec![],
            at: "nodes[rabbit-b]/same",
            check: line("result.stdout|regex_find('^[^ ]+') != primary_node"),
            harm: |all| all.running("rabbit-a").len() == 1,
        },
        Case {
            what: "a server of another cluster",
            prepare: |all| {
                // It is the first server's neighbour in a cluster of which the first server knows nothing.
                let world = all.machines.folder().join("rabbit");
                let own = fs::read_to_string(world.join("nodes/rabbit-b@localhost/cluster")).unwrap();
                fs::write(world.join("clusters").join(own.trim()).join("members/old@localhost"), "").unwrap();
            },
            others: vec![],
            at: "nodes[rabbit-b]/members",
            check: (
                "            - (result.json.disk_nodes|chain(result.json.ram_nodes))|list == [node] or primary_node in \
                 result.json.disk_nodes|chain(result.json.ram_nodes)\n"
                    .into(),
                "            - result.exit == 0\n".into(),
            ),
            harm: |all| all.running("rabbit-b").len() == 2,
        },
        Case {
            what: "permissions that did not come to be",
            prepare: |all| all.machines.fault("rabbit-a", Fault::Own("forgets-rights")),
            others: vec![same_user()],
            at: "may",
            check: (
                "        result.json|selectattr('vhost', 'eq', vhost)|list\n        == [{'vhost'".into(),
                "        result.exit == 0 or [] == [{'vhost'".into(),
            ),
            harm: |all| all.ctl("rabbit-a", &["list_user_permissions", "socorro"], "").1 == "[\n]",
        },
        Case {
            what: "a password that was not taken",
            prepare: |all| {
                all.ctl("rabbit-a", &["add_user", "socorro"], "another-password\n");
                all.machines.fault("rabbit-a", Fault::Own("forgets-password"));
            },
            others: vec![],
            at: "may",
            check: (
                "printf '%s\\n' \"$rabbitmq_password\" | sudo -n rabbitmqctl -q authenticate_user \"$user\" >/dev/null\n        sudo"
                    .into(),
                "sudo".into(),
            ),
            harm: |all| !all.gets_in("rabbit-a", "socorro", PASSWORD),
        },
        Case {
            what: "a server that was not joined",
            prepare: |all| all.machines.fault("rabbit-b", Fault::Own("join-does-nothing")),
            others: vec![seen_here(), same_user(), all_run()],
            at: "cluster[rabbit-b]/seen-there",
            check: seen_there(),
            harm: |all| all.running("rabbit-a").len() == 1,
        },
        Case {
            what: "a server that the first one does not see",
            prepare: |all| all.unseen("rabbit-a", "rabbit-b"),
            others: vec![all_run()],
            at: "cluster[rabbit-b]/seen-here",
            check: seen_here(),
            harm: |all| all.running("rabbit-a").len() == 1,
        },
        Case {
            what: "a server that the first one has lost sight of",
            prepare: |all| all.unseen("rabbit-a", "rabbit-b"),
            others: vec![seen_here()],
            at: "whole",
            check: all_run(),
            harm: |all| all.running("rabbit-a").len() == 1,
        },
        Case {
            what: "a user who is not known on the other server",
            prepare: |all| all.machines.fault("rabbit-b", Fault::Own("join-does-nothing")),
            others: vec![seen_there(), seen_here(), all_run()],
            at: "cluster[rabbit-b]/same-user",
            check: same_user(),
            harm: |all| !all.gets_in("rabbit-b", "socorro", PASSWORD),
        },
        Case {
            what: "a partition",
            prepare: |all| all.machines.fault("rabbit-a", Fault::Own("partition")),
            others: vec![],
            at: "whole",
            check: ("      - result.json.partitions|length == 0\n".into(), String::new()),
            harm: |_| true,
        },
        Case {
            what: "an alarm",
            prepare: |all| all.machines.fault("rabbit-a", Fault::Own("alarm")),
            others: vec![],
            at: "whole",
            check: ("      - result.json.alarms|length == 0\n".into(), String::new()),
            harm: |_| true,
        },
    ];
    for case in cases {
        eprintln!("{}", case.what);
        let run = |edits: &[(String, String)]| {
            let rabbits = Rabbits::standins();
            (case.prepare)(&rabbits);
            let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            let ran = bench(&rabbits, &edits).run(&[("go", "yes"), ("new-password", "yes")]);
            (rabbits, ran)
        };
        let (_, ran) = run(&case.others);
        if case.at.is_empty() {
            // A question that nobody answers.
            assert_eq!(ran.code, 11, "{}", ran.told);
        } else {
            ran.stopped_at(case.at, "");
        }
        let mut edits = case.others.clone();
        edits.push(case.check.clone());
        let (rabbits, ran) = run(&edits);
        ran.succeeded();
        assert!((case.harm)(&rabbits), "{}: no harm came of it", case.what);
    }
}
