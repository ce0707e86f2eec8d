//! `socorro/deploy` against the cloud of our own: its ways, and everything that may go wrong in them.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use super::world::{NEW_IMAGE, Site, World, YES};
use crate::{
    bench::Ran,
    standins::cloud::{GROUPS, OLD_COMMIT, OLD_IMAGE, STATE_BUCKET},
};

/// What a change of the cloud's world is.
type Change = fn(&mut serde_json::Value);

/// Where the first step that failed failed, and why.
fn failed(ran: &Ran) -> (String, String) {
    let found = ran.events.iter().find(|event| event["event"] == "step_finished" && event["status"] == "failed");
    let found = found.unwrap_or_else(|| panic!("nothing failed: {}", ran.told));
    (found["step"].as_str().unwrap().into(), found["error"].as_str().unwrap_or_default().into())
}

/// It failed there, and said so.
#[track_caller]
fn noticed(ran: &Ran, code: i32, step: &str, why: &str) {
    let (at, error) = failed(ran);
    assert!(at == step && error.contains(why) && ran.code == code, "{} at {at}: {error}\n{}", ran.code, ran.told);
}

#[test]
fn a_commit_is_built_and_deployed() {
    let world = World::new();
    world.run(&[]).succeeded();
    let cloud = world.cloud.world();
    let images = cloud["images"].as_object().unwrap();
    let (image, made) = images.iter().find(|(name, _)| *name != OLD_IMAGE).unwrap();
    // Not the tip of the branch, nor what was built before.
    assert_eq!((&made["Tags"]["apphash"], &made["holds"]), (&json!(world.commit), &json!(world.commit)));
    let name = made["Tags"]["Name"].as_str().unwrap();
    assert!(name.starts_with(&format!("{}-20", world.commit)), "{name}");
    world.all_run(image);
    let machine = fs::read_to_string(world.cloud.path().join("machine/calls")).unwrap();
    let order: Vec<&str> = machine.lines().filter(|line| !line.starts_with("git")).collect();
    let verbs: Vec<&str> = order.iter().map(|line| line.split(" /").next().unwrap()).collect();
    assert_eq!(verbs[0], "packer version");
    assert_eq!(
        verbs[1..4],
        ["manage_repo.sh refresh", "rpm --addsign", "rpm -qp --queryformat %{RSAHEADER:pgpsig}\\n%{SIGPGP:pgpsig}\\n"]
    );
    assert_eq!(verbs[4..], ["manage_repo.sh update", "packer build -color=false socorro_base.json"]);
    // Nothing of the build is left.
    assert_eq!(fs::read_dir(world.cloud.path().join("data")).unwrap().count(), 0);
}

#[test]
fn what_is_there_is_deployed_the_newest_or_the_one_that_is_named() {
    let world = World::with_image();
    // Doubling is one step up for each group, whatever it was before.
    world.run(&[]).succeeded();
    world.all_run(NEW_IMAGE);
    for group in &GROUPS {
        let double = (2 * group.size).to_string();
        let calls = world.cloud.calls();
        let sizes: Vec<&str> = calls
            .iter()
            .filter(|call| call.contains(&group.name.into()))
            .filter_map(|call| {
                let at = call.iter().position(|word| word == "--desired-capacity")?;
                Some(call[at + 1].as_str())
            })
            .collect();
        assert_eq!(sizes, [&double, &group.size.to_string()]);
    }
    let world = World::small();
    world.cloud.add_image("ami-00000000000000ccc", &world.commit, &world.commit, "2026-03-01T00:00:00.000Z");
    world.cloud.fault("late", 2);
    world.run(&[]).succeeded();
    world.all_run("ami-00000000000000ccc");
    let world = World::small();
    world.cloud.add_image("ami-00000000000000ccc", &world.commit, &world.commit, "2026-03-01T00:00:00.000Z");
    world.bench(&[]).param("image", NEW_IMAGE).run(YES).succeeded();
    world.all_run(NEW_IMAGE);
}

/// What is found before any machine was touched.
#[test]
fn it_notices_before_it_begins() {
    let group = "look[webapp]/group";
    let cases: [(&str, &str, Change); 16] = [
        ("tools", "v0.7.13 is wanted", |w| w["terraform"] = json!("1.11.4")),
        ("live", "result.body|trim != commit", |w| {
            w["images"][OLD_IMAGE]["holds"] = w["images"][NEW_IMAGE]["holds"].clone()
        }),
        ("image-ready", "", |w| w["images"][NEW_IMAGE]["State"] = json!("failed")),
        (group, "length == 1", |w| w["groups"]["as-stage-socorroweb"] = w["groups"]["none"].clone()),
        (group, "DesiredCapacity >= 1", |w| w["groups"]["as-stage-socorroweb"]["DesiredCapacity"] = json!(0)),
        (group, "MaxSize", |w| w["groups"]["as-stage-socorroweb"]["MaxSize"] = json!(5)),
        (group, "SuspendedProcesses", |w| w["groups"]["as-stage-socorroweb"]["suspended"] = json!(["Launch"])),
        (group, "LoadBalancerNames", |w| w["groups"]["as-stage-socorroweb"]["elb"] = json!(null)),
        (group, "ProtectedFromScaleIn", |w| {
            w["groups"]["as-stage-socorroweb"]["Instances"][1]["ProtectedFromScaleIn"] = json!(true);
        }),
        (group, "HealthStatus", |w| {
            w["groups"]["as-stage-socorroweb"]["Instances"][1]["HealthStatus"] = json!("Unhealthy");
        }),
        (group, "LifecycleState", |w| {
            w["groups"]["as-stage-socorroweb"]["Instances"][1]["LifecycleState"] = json!("Standby");
        }),
        (group, "DesiredCapacity", |w| w["faults"]["forgets-machines"] = json!(1)),
        ("look[webapp]/serving", "old|sort", |w| {
            w["elbs"]["elb-stage-socorroweb"]["machines"].as_array_mut().unwrap().pop();
        }),
        ("look[webapp]/runs", "result.lines|length == 1", |w| {
            w["instances"]["i-0000000000000a001"]["ImageId"] = json!("ami-00000000000000eee");
        }),
        ("plan[webapp]", "exit", |w| w["faults"]["plan-fails"] = json!(true)),
        ("caller", "exit", |w| w["faults"]["refused:get-caller-identity"] = json!(true)),
    ];
    for (step, why, change) in cases {
        eprintln!("{step}: {why}");
        let world = World::small();
        world.cloud.change(change);
        if why == "length == 1" {
            world.cloud.change(|w| drop(w["groups"].as_object_mut().unwrap().remove("as-stage-socorroweb")));
        }
        noticed(&world.run(&[]), 1, step, why);
        assert_eq!(world.cloud.called("update-auto-scaling-group"), 0);
        assert_eq!(world.cloud.called("apply"), 0);
    }
}

#[test]
fn an_answer_that_is_none_stops_it() {
    for status in [200, 404, 503] {
        let world = World::small();
        world.says(Site::Page(status));
        noticed(&world.run(&[]), 1, "live", "");
        assert_eq!(world.cloud.called("describe-images"), 0);
    }
    let world = World::small();
    let ran = world.bench(&[]).param("image", OLD_IMAGE).run(YES);
    noticed(&ran, 1, "images", "image ==");
    let path = world.cloud.path().join(format!("s3/{STATE_BUCKET}/tfstate/stage/webapp/terraform.tfstate"));
    fs::remove_file(path).unwrap();
    let ran = world.run(&[]);
    noticed(&ran, 1, "plan[webapp]", "exit");
    assert!(ran.told.contains("there is no state in s3://socorro-private/tfstate/stage/webapp/"), "{}", ran.told);
    // Production builds nothing, also when it is told to.
    let world = World::new();
    let mut bench = world.bench(&[]);
    bench.replace("environment", "prod");
    noticed(&bench.run(YES), 1, "source/missing/stop", "exit");
    assert_eq!(world.cloud.called("create-tags"), 0);
}

#[test]
fn a_build_that_went_wrong_is_not_deployed() {
    let cases: [(&str, &str, &str); 6] = [
        ("checkout-nothing", "source/build/cloned", "commit"),
        ("unsigned", "source/build/signed", "length > 0"),
        ("update-nothing", "source/build/published", "exit"),
        ("packer-fails", "source/build/pack", "exit"),
        ("packer-no-id", "source/build/pack", "length == 1"),
        ("", "image-ready", ""),
    ];
    for (fault, step, why) in cases {
        eprintln!("{fault}");
        let mut world = World::new();
        world.roles = &["webapp"];
        if fault.is_empty() {
            world.limit = "2s";
            world.cloud.fault("tags-lost", true);
        } else {
            world.cloud.machine_fault(fault);
        }
        noticed(&world.run(&[]), 1, step, why);
        world.as_before();
        assert_eq!(fs::read_dir(world.cloud.path().join("data")).unwrap().count(), 0);
    }
    let world = World::new();
    fs::set_permissions(world.cloud.path().join("signing-key"), fs::Permissions::from_mode(0o644)).unwrap();
    noticed(&world.run(&[]), 1, "source/build/ready", "exit");
    assert!(world.cloud.object("org.mozilla.crash-stats.packages-public/x86_64/socorro-1.noarch.rpm").is_none());
}

/// What goes wrong while there are old machines is taken back, and said.
#[test]
fn what_goes_wrong_before_the_old_machines_go_is_taken_back() {
    let cases: [(&str, serde_json::Value, &str); 10] = [
        ("unhealthy", json!(true), "forward/healthy[webapp]"),
        ("never-in-service", json!(true), "forward/healthy[webapp]"),
        ("half-launched", json!(true), "forward/healthy[webapp]"),
        ("flips-back", json!(true), "forward/healthy[webapp]"),
        ("update-without-effect", json!(1), "forward/healthy[webapp]"),
        ("launches-image", json!("ami-00000000000000eee"), "forward/right-image[webapp]"),
        ("applies-nothing", json!(true), "forward/right-image[webapp]"),
        ("not-deregistered", json!(true), "drain[webapp]/drained"),
        ("never-drained", json!(true), "drain[webapp]/drained"),
        ("refused:deregister-instances-from-load-balancer", json!(true), "drain[webapp]/deregister"),
    ];
    for (fault, value, step) in cases {
        eprintln!("{fault}");
        let world = World::in_vain();
        world.cloud.fault(fault, value);
        let ran = world.run(&[]);
        noticed(&ran, 6, step, "");
        // What cannot end is not of the deployment.
        world.as_before();
        assert!(!ran.told.to_lowercase().contains("complete "), "{}", ran.told);
    }
}

/// What goes wrong and is coped with.
#[test]
fn it_copes() {
    let cases = [
        ("late", 3),
        ("flips-back", 1),
        ("lost:update-auto-scaling-group", 1),
        ("lost:set-instance-protection", 1),
        ("lost:deregister-instances-from-load-balancer", 1),
        ("upload-lost", 1),
    ];
    for (fault, times) in cases {
        eprintln!("{fault}");
        let world = World::small();
        world.cloud.fault(fault, times);
        world.run(&[]).succeeded();
        world.all_run(NEW_IMAGE);
    }
}

/// After the old machines have begun to go there is no way back, and what is wrong is said.
#[test]
fn what_goes_wrong_afterwards_is_told() {
    let cases = [
        ("stays-large", "halve[webapp]/gone", json!(true)),
        ("ends-newest", "halve[webapp]/gone", json!(true)),
        ("protection-stays", "complete[webapp]", json!(true)),
        ("refused:set-instance-protection", "halve[webapp]/shrink", json!(true)),
    ];
    for (fault, step, value) in cases {
        eprintln!("{fault}");
        let world = World::in_vain();
        world.cloud.fault(fault, value);
        noticed(&world.run(&[]), 1, step, "");
    }
    // An image that holds something else than its name says.
    let world = World::in_vain();
    world.cloud.change(|w| w["images"][NEW_IMAGE]["holds"] = json!("1".repeat(40)));
    noticed(&world.run(&[]), 1, "revision", "");
    let world = World::in_vain();
    world.says(Site::FlipsBack);
    noticed(&world.run(&[]), 1, "revision", "");
    assert_ne!(world.commit, OLD_COMMIT);
}

/// A state that somebody else has changed is not overwritten, and one that could not be uploaded is kept.
#[test]
fn terraforms_state_is_not_lost() {
    let object = format!("{STATE_BUCKET}/tfstate/stage/webapp/terraform.tfstate");
    let world = World::small();
    world.cloud.fault("state-moves", object.clone());
    let ran = world.run(&[]);
    noticed(&ran, 1, "forward/apply[webapp]", "exit");
    assert!(ran.told.contains("somebody else has changed the state of webapp"), "{}", ran.told);
    assert_eq!(
        (&world.state("webapp")["serial"], &world.state("webapp")["now"]["image"]),
        (&json!(8), &json!(OLD_IMAGE))
    );
    world.as_before();

    let world = World::small();
    world.cloud.fault("apply-fails", 1);
    noticed(&world.run(&[]), 1, "forward/apply[webapp]", "exit");
    assert_eq!(world.state("webapp")["made"], NEW_IMAGE);

    let world = World::small();
    world.cloud.fault("upload-lost", true);
    let ran = world.run(&[]);
    noticed(&ran, 1, "forward/apply[webapp]", "exit");
    let kept = fs::read_dir(world.cloud.path().join("infra/terraform/webapp")).unwrap();
    let kept: Vec<_> =
        kept.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().contains("tfstate.")).collect();
    assert!(kept.len() == 1 && fs::read_to_string(&kept[0]).unwrap().contains(NEW_IMAGE), "{kept:?}");
    assert!(ran.told.contains(kept[0].to_str().unwrap()), "{}", ran.told);
}
