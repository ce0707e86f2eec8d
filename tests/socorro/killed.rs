//! `socorro/deploy` when the program itself dies in the middle, when somebody says no, and on the way back.

use std::{fs, process::Command};

use super::world::{NEW_IMAGE, World, YES};

/// A pipe that a program of the cloud reads from after its effect: who opens it for writing knows that it is there.
fn gate(world: &World, name: &str) -> std::path::PathBuf {
    let gate = world.cloud.path().join(name);
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    gate
}

/// The group is of twice the size, and nobody has heard of it.
#[test]
fn while_a_group_is_doubled() {
    let world = World::small();
    let gate = gate(&world, "gate-update-auto-scaling-group");
    let bench = world.bench(&[]);
    let going = bench.start(YES).until_doing("forward/double[webapp]");
    let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    assert_eq!(world.cloud.world()["groups"]["as-stage-socorroweb"]["DesiredCapacity"], 6);
    going.kill();
    fs::remove_file(&gate).unwrap();
    drop(open);
    bench.resume(YES).succeeded();
    world.all_run(NEW_IMAGE);
}

/// The old machines are on their way, and nobody has heard of it.
#[test]
fn while_a_group_shrinks() {
    let world = World::small();
    let bench = world.bench(&[]);
    let gate = gate(&world, "gate-set-instance-protection");
    let going = bench.start(YES).until_doing("halve[webapp]/shrink");
    let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    going.kill();
    fs::remove_file(&gate).unwrap();
    drop(open);
    bench.resume(YES).succeeded();
    world.all_run(NEW_IMAGE);
}

#[test]
fn while_packer_makes_the_image() {
    let mut world = World::new();
    world.roles = &["webapp"];
    let gate = gate(&world, "machine/gate");
    let bench = world.bench(&[]);
    let going = bench.start(YES).until_doing("source/build/pack");
    let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    going.kill();
    fs::remove_file(&gate).unwrap();
    drop(open);
    bench.resume(YES).succeeded();
    // One image, not two.
    assert_eq!(world.cloud.world()["images"].as_object().unwrap().len(), 2);
}

/// Killed while the groups are doubled, looked at, and taken back by hand.
#[test]
fn a_no_and_the_way_back() {
    let world = World::with_image();
    let bench = world.bench(&[]);
    // Nobody answers for the processors: it waits with old and new machines side by side.
    let waiting = bench.run(&YES[..3]);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    let question = waiting.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    let processors = world.cloud.machines("as-stage-processor");
    assert_eq!(processors.len(), 10);
    for (name, image) in processors {
        assert_eq!(message.contains(&name), image == NEW_IMAGE, "{message}");
    }
    let waiting = bench.resume_with_yes();
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    let declined = bench.resume(&[("unserved", "no")]);
    assert_eq!(declined.code, 5, "{}", declined.told);
    assert_eq!(world.cloud.machines("as-stage-socorroweb").len(), 6);
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    world.as_before();
}

/// Before the first change the questions name what will be done, and a wrong word is no yes.
#[test]
fn questions_name_what_is_at_stake() {
    let world = World::with_image();
    let bench = world.bench(&[]);
    let ran = bench.run(&[("quiet", "yes")]);
    assert_eq!(ran.code, 11, "{}", ran.told);
    let question = ran.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    for part in [
        world.commit.as_str(),
        "to stage",
        "arn:aws:iam::123456789012:user/jenkins",
        "webapp: as-stage-socorroweb from 3 to 6 machines and back, ami-00000000000000aaa to ami-00000000000000bbb",
        "processor: as-stage-processor from 5 to 10 machines",
        "Plan: 1 to add, 1 to change, 1 to destroy.",
    ] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    assert_eq!(world.cloud.called("apply"), 0);
    assert_ne!(bench.resume(&[("go", "prod")]).code, 0);
    assert_eq!(world.cloud.called("apply"), 0);
    // Nothing of a plan or a state, which may hold secrets, stands in the record.
    world.as_before();
}

/// Only of old machines that are all there may new ones be taken away.
#[test]
fn the_way_back_stops_where_old_machines_are_missing() {
    let world = World::small();
    let bench = world.bench(&[]);
    assert_eq!(bench.run(&YES[..4]).code, 11);
    // Who says yes to everything has not said that the old machines may go.
    assert_eq!(bench.resume_with_yes().code, 11);
    world.cloud.change(|w| {
        w["groups"]["as-stage-socorroweb"]["Instances"].as_array_mut().unwrap().remove(0);
        w["groups"]["as-stage-socorroweb"]["DesiredCapacity"] = 5.into();
    });
    assert_eq!(bench.resume(&[("enough", "no")]).code, 5);
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 12, "{}", undone.told);
    assert!(undone.told.contains("only 2 of the 3 old machines of as-stage-socorroweb are left"), "{}", undone.told);
    assert_eq!(world.cloud.machines("as-stage-socorroweb").len(), 5);
}
