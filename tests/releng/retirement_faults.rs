//! Moving an instance, with everything that may go wrong: each fault is noticed, and is not where the check is taken out.

use serde_json::{Value, json};

use crate::{
    bench::{Bench, Ran},
    parts,
    standins::instances::{Fault, ID, Instances, OTHER},
};

fn bench(world: &Instances, edits: &[(&str, &str)]) -> Bench {
    bench_of(world, ID, edits)
}

fn bench_of(world: &Instances, instances: &str, edits: &[(&str, &str)]) -> Bench {
    Bench::new("releng/ec2-retirement", edits)
        .path_first(world.folder())
        .param("instances", instances)
        .param("region", "us-east-1")
        .param("poll", "250ms")
        .param("settle", "150ms")
        // On a busy machine one look takes long.
        .param("patience", "5s")
}

fn step(name: &str) -> String {
    format!("each[{ID}]/{name}")
}

fn run(bench: &Bench, host: &str) -> Ran {
    let [free, asleep, go, names, back] = ["free", "asleep", "go", "names", "back"].map(step);
    bench.run(&[(&free, "done"), (&asleep, "yes"), (&go, host), (&names, "done"), (&back, "yes")])
}

/// Without Python there is no stand-in.
fn ready() -> bool {
    parts::programs(["python3"]).is_some()
}

#[test]
fn an_instance_is_moved() {
    if !ready() {
        return;
    }
    let world = Instances::start(&[("late", json!(2))]);
    run(&bench(&world, &[]), "master71").succeeded();
    assert_eq!(world.asked(), [format!("stop {ID}"), format!("start {ID}")]);
    assert_eq!((world.get(ID, "state"), world.get(ID, "moved")), (json!("running"), json!(true)));
    assert_eq!(world.get(OTHER, "state"), "running");
}

#[test]
fn one_that_is_stopped_is_started_if_somebody_wants_it() {
    if !ready() {
        return;
    }
    let world = Instances::start(&[]);
    world.set(ID, "state", json!("stopped"));
    let bench = bench(&world, &[]);
    let waiting = bench.run(&[(&step("go"), "master71")]);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    let declined = bench.resume(&[(&step("asleep"), "no")]);
    assert_eq!(declined.code, 5, "{}", declined.told);
    assert!(world.asked().is_empty());
    run(&bench, "master71").succeeded();
    assert_eq!(world.asked(), [format!("start {ID}")]);
}

#[test]
fn several_are_moved_one_after_the_other() {
    if !ready() {
        return;
    }
    let world = Instances::start(&[]);
    world.set(OTHER, "event", json!("The instance is running on degraded hardware"));
    let bench = bench_of(&world, &format!("{ID},{OTHER}"), &[]);
    let of = |id: &str, name: &str| format!("each[{id}]/{name}");
    let steps: Vec<(String, &str)> = [(ID, "master71"), (OTHER, "db1")]
        .into_iter()
        .flat_map(|(id, host)| {
            [(of(id, "free"), "done"), (of(id, "go"), host), (of(id, "names"), "done"), (of(id, "back"), "yes")]
        })
        .collect();
    let answers: Vec<(&str, &str)> = steps.iter().map(|(step, answer)| (step.as_str(), *answer)).collect();
    bench.run(&answers).succeeded();
    assert_eq!(
        world.asked(),
        [format!("stop {ID}"), format!("start {ID}"), format!("stop {OTHER}"), format!("start {OTHER}")]
    );
    // A second run of the same mail finds nothing that AWS retires, and stops nothing.
    bench.run(&answers).stopped_at(&step("scheduled"), "instance-retirement");
    assert_eq!(world.asked().len(), 4);
}

/// A check of the runbook as it is written there, and what stands in its place when it is taken out.
type Cut = (&'static str, &'static str);

/// What becomes of it without the check.
enum Without {
    /// The run succeeds, and this harm is done.
    Harm(fn(&Instances) -> bool),
    /// It fails all the same, later, after this harm.
    Late(&'static str, fn(&Instances) -> bool),
}

struct Row {
    fault: &'static str,
    /// Makes the world what the row is about.
    world: fn() -> Instances,
    param: Option<(&'static str, &'static str)>,
    /// What is typed at the question.
    host: &'static str,
    step: &'static str,
    says: &'static str,
    cut: Cut,
    without: Without,
}

fn with(faults: &[Fault]) -> Instances {
    Instances::start(faults)
}

fn having(key: &str, value: Value) -> Instances {
    let world = Instances::start(&[]);
    world.set(ID, key, value);
    world
}

fn was_stopped(world: &Instances) -> bool {
    world.asked().contains(&format!("stop {ID}"))
}

const ROWS: &[Row] = &[
    Row {
        fault: "credentials for another account",
        world: || with(&[]),
        param: Some(("account", "210987654321")),
        host: "master71",
        step: "caller",
        says: "account == ''",
        cut: ("expect: account == '' or result.json.Account == account", "expect: account != 'x'"),
        without: Without::Harm(was_stopped),
    },
    Row {
        fault: "the answer is about another instance",
        world: || with(&[("describes-other", json!(1))]),
        param: None,
        // Whoever believes the answer confirms the name of another host.
        host: "db1",
        step: "host",
        says: "== [instance]",
        cut: (
            "result.json.Reservations|length == 1 and result.json.Reservations[0].Instances|map(attribute='InstanceId')|list == [instance]",
            "result.exit == 0",
        ),
        without: Without::Harm(was_stopped),
    },
    Row {
        fault: "somebody else is stopping it",
        world: || {
            let world = with(&[("late", json!(3))]);
            world.set(ID, "state", json!("stopping"));
            world
        },
        param: None,
        host: "master71",
        step: "host",
        says: "'running', 'stopped'",
        cut: ("State.Name in ['running', 'stopped']", "State.Name != ''"),
        // It is started against the will of whoever stopped it.
        without: Without::Harm(|world| world.asked() == [format!("start {ID}")]),
    },
    Row {
        fault: "its root would be lost",
        world: || having("root", json!("instance-store")),
        param: None,
        host: "master71",
        step: "host",
        says: "RootDeviceType",
        cut: ("RootDeviceType == 'ebs'", "RootDeviceType != ''"),
        // AWS refuses, when the host is out of service already.
        without: Without::Late("stop", |world| world.asked().is_empty()),
    },
    Row {
        fault: "a spot instance",
        world: || having("spot", json!(true)),
        param: None,
        host: "master71",
        step: "host",
        says: "InstanceLifecycle",
        cut: ("InstanceLifecycle is undefined", "InstanceId is defined"),
        without: Without::Harm(was_stopped),
    },
    Row {
        fault: "its scaling group replaces what is down",
        world: || having("group", json!("web")),
        param: None,
        host: "master71",
        step: "host",
        says: "autoscaling",
        cut: (
            "\"'aws:autoscaling:groupName' not in result.json.Reservations[0].Instances[0].Tags|default([])|map(attribute='Key')|list\"",
            "result.exit == 0",
        ),
        without: Without::Late("stopped", |world| world.get(ID, "state") == "terminated"),
    },
    Row {
        fault: "events of another instance",
        world: || {
            let world = with(&[("status-of-other", json!(1))]);
            world.set(ID, "event", Value::Null);
            world.set(OTHER, "event", json!("The instance is running on degraded hardware"));
            world
        },
        param: None,
        host: "master71",
        step: "scheduled",
        says: "== [instance]",
        cut: ("- result.json.InstanceStatuses|map(attribute='InstanceId')|list == [instance]", "- result.exit == 0"),
        without: Without::Harm(was_stopped),
    },
    Row {
        fault: "a mail about an instance that AWS does not retire",
        world: || having("event", Value::Null),
        param: None,
        host: "master71",
        step: "scheduled",
        says: "instance-retirement",
        cut: (
            "|rejectattr('Description', 'matches', '^\\\\[(Completed|Canceled)\\\\]')|list|length > 0",
            "|list|length >= 0",
        ),
        without: Without::Harm(was_stopped),
    },
    Row {
        fault: "an event that is over",
        world: || having("event", json!("[Completed] The instance is running on degraded hardware")),
        param: None,
        host: "master71",
        step: "scheduled",
        says: "instance-retirement",
        cut: (
            "|rejectattr('Description', 'matches', '^\\\\[(Completed|Canceled)\\\\]')|list|length > 0",
            "|list|length > 0",
        ),
        without: Without::Harm(was_stopped),
    },
    Row {
        fault: "the stop takes another one along",
        world: || with(&[("stops-other-too", json!(1))]),
        param: None,
        host: "master71",
        step: "stop",
        says: "== [instance]",
        cut: (
            "expect: result.json.StoppingInstances|map(attribute='InstanceId')|list == [instance]",
            "expect: result.exit == 0",
        ),
        without: Without::Harm(|world| world.get(OTHER, "state") == "stopping"),
    },
    Row {
        fault: "the stop is accepted and not done, and the event is withdrawn",
        world: || with(&[("stop-ignored", json!(1))]),
        param: None,
        host: "master71",
        step: "stopped",
        says: "gave up after",
        cut: ("State.Name == 'stopped'\n", "State.Name != ''\n"),
        without: Without::Late("no-longer", |world| world.get(ID, "moved") == false),
    },
    Row {
        fault: "it stays in stopping",
        world: || with(&[("stays-stopping", json!(true))]),
        param: None,
        host: "master71",
        step: "stopped",
        says: "gave up after",
        cut: ("State.Name == 'stopped'\n", "State.Name != ''\n"),
        without: Without::Late("start", |world| world.get(ID, "state") == "stopping"),
    },
    Row {
        fault: "the start takes another one along",
        world: || {
            let world = with(&[("starts-other-too", json!(1))]);
            world.set(OTHER, "state", json!("stopped"));
            world
        },
        param: None,
        host: "master71",
        step: "start",
        says: "== [instance]",
        cut: (
            "expect: result.json.StartingInstances|map(attribute='InstanceId')|list == [instance]",
            "expect: result.exit == 0",
        ),
        without: Without::Harm(|world| world.get(OTHER, "state") != "stopped"),
    },
    Row {
        fault: "the system on it does not come up",
        world: || with(&[("impaired", json!(true))]),
        param: None,
        host: "master71",
        step: "well",
        says: "gave up after",
        cut: ("and result.json.InstanceStatuses[0].InstanceStatus.Status == 'ok'", ""),
        without: Without::Harm(|world| world.get(ID, "checks") == "impaired"),
    },
    Row {
        fault: "it comes up and goes down again",
        world: || with(&[("flips-back", json!(1))]),
        param: None,
        host: "master71",
        step: "well",
        says: "gave up after",
        cut: ("held_for: \"{{ settle }}\"", "held_for: 0s"),
        without: Without::Late("no-longer", |world| world.get(ID, "state") == "stopped"),
    },
    Row {
        fault: "it comes up on the same hardware",
        world: || with(&[("same-hardware", json!(true))]),
        param: None,
        host: "master71",
        step: "no-longer",
        says: "gave up after",
        cut: (
            "|rejectattr('Description', 'matches', '^\\\\[(Completed|Canceled)\\\\]')|list is empty",
            "|list is iterable",
        ),
        without: Without::Harm(|world| world.get(ID, "event") == "The instance is running on degraded hardware"),
    },
];

#[test]
fn each_fault_is_noticed_and_only_by_its_check() {
    if !ready() {
        return;
    }
    // What is noticed by waiting for it is waited for side by side.
    std::thread::scope(|scope| {
        for rows in ROWS.chunks(ROWS.len().div_ceil(4)) {
            scope.spawn(|| rows.iter().for_each(try_row));
        }
    });
}

fn try_row(row: &Row) {
    let start = |edits: &[Cut]| {
        let world = (row.world)();
        let mut bench = bench(&world, edits);
        if let Some((name, value)) = row.param {
            bench = bench.param(name, value);
        }
        let ran = run(&bench, row.host);
        (world, ran)
    };
    let (_, ran) = start(&[]);
    let at = if row.step == "caller" { "caller".to_owned() } else { step(row.step) };
    assert_eq!(ran.code, 1, "{}: {}", row.fault, ran.told);
    ran.stopped_at(&at, row.says);

    let (world, ran) = start(&[row.cut]);
    match &row.without {
        Without::Harm(harm) => {
            assert_eq!(ran.code, 0, "without its check «{}» is noticed all the same: {}", row.fault, ran.told);
            assert!(harm(&world), "«{}» does no harm", row.fault);
        }
        Without::Late(later, harm) => {
            assert_eq!(ran.code, 1, "{}: {}", row.fault, ran.told);
            assert_eq!(ran.status(&step(later)), Some("failed"), "{}: {}", row.fault, ran.told);
            assert_ne!(ran.status(&at), Some("failed"), "{}: {}", row.fault, ran.told);
            assert!(harm(&world), "«{}» does no harm", row.fault);
        }
    }
}

#[test]
fn a_lost_answer_is_no_second_stop() {
    if !ready() {
        return;
    }
    for (fault, at) in [("stop-instances-reply-lost", "stop"), ("start-instances-reply-lost", "start")] {
        let world = with(&[(fault, json!(1))]);
        let bench = bench(&world, &[]);
        run(&bench, "master71").stopped_at(&step(at), "Connection was closed");
        // Whoever runs it again finds the instance stopped, or on its way, and goes on from there.
        if at == "stop" {
            let again = run(&bench, "master71");
            // It was just being stopped; then it is.
            if again.code != 0 {
                again.stopped_at(&step("host"), "'running', 'stopped'");
                run(&bench, "master71").succeeded();
            }
            assert_eq!(world.asked(), [format!("stop {ID}"), format!("start {ID}")]);
        }
    }
}

#[test]
fn without_capacity_it_stays_stopped_and_is_tried_again() {
    if !ready() {
        return;
    }
    let world = with(&[("no-capacity", json!(2))]);
    let bench = bench(&world, &[("interval: 1m, when: result is not none", "interval: 1ms, when: result is not none")]);
    run(&bench, "master71").succeeded();
    assert_eq!(world.asked().iter().filter(|one| one.starts_with("start")).count(), 3);
}

#[test]
fn who_goes_back_has_a_running_instance() {
    if !ready() {
        return;
    }
    // It is stopped and cannot be started; or it is still on its way there, and a start has to wait.
    for (fault, at, state) in
        [(("no-capacity", json!(1)), "start", "stopped"), (("late", json!(60)), "stopped", "stopping")]
    {
        let world = with(&[fault]);
        let bench = bench(&world, &[("attempts: 5, interval: 1m", "attempts: 1, interval: 1ms")]);
        run(&bench, "master71").stopped_at(&step(at), "");
        assert_eq!(world.get(ID, "state"), state);
        let undone = bench.undo(&[]);
        assert_eq!(undone.code, 6, "{}", undone.told);
        assert_eq!(world.get(ID, "state"), "running");
    }
}

#[test]
fn another_name_typed_and_a_no_stop_nothing() {
    if !ready() {
        return;
    }
    for answer in ["db1", "no"] {
        let world = with(&[]);
        let ran = run(&bench(&world, &[]), answer);
        assert!(ran.code != 0, "{}", ran.told);
        assert!(world.asked().is_empty(), "{answer}");
    }
}

#[test]
fn power_fails_while_it_is_stopped_and_started() {
    if !ready() {
        return;
    }
    for at in ["stop", "start"] {
        let world = with(&[]);
        let bench = bench(&world, &[]);
        let (free, go, names, back) = (step("free"), step("go"), step("names"), step("back"));
        let answers = [(&*free, "done"), (&*go, "master71"), (&*names, "done"), (&*back, "yes")];
        bench.start(&answers).until_doing(&step(at)).kill();
        bench.resume(&answers).succeeded();
        assert_eq!(world.asked(), [format!("stop {ID}"), format!("start {ID}")], "{at}");
    }
}

/// A paused run keeps its lock: nobody else moves instances of that region meanwhile.
#[test]
fn two_at_once_are_one() {
    if !ready() {
        return;
    }
    let world = with(&[]);
    let bench = bench(&world, &[]);
    let paused = bench.run(&[]);
    assert_eq!(paused.code, 11, "{}", paused.told);
    let second = run(&bench, "master71");
    assert_eq!(second.code, 8, "{}", second.told);
    assert!(second.told.contains("retirement of instances in us-east-1"), "{}", second.told);
    assert!(world.asked().is_empty());
}
