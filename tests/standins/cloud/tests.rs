//! The cloud behaves as what it stands in for: what AWS does by itself, and what it does a little later. That the forms of its
//! answers are those of AWS is held where the real command line runs.

use std::process::{Command, Output};

use serde_json::Value;

use super::{Cloud, OLD_IMAGE};

const WEB: &str = "as-stage-socorroweb";

fn aws(cloud: &Cloud, line: &str) -> Output {
    Command::new(cloud.bin().join("aws")).args(line.split(' ')).output().unwrap()
}

fn ok(cloud: &Cloud, line: &str) -> Value {
    let output = aws(cloud, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn look(cloud: &Cloud) -> Vec<String> {
    let groups = ok(cloud, &format!("autoscaling describe-auto-scaling-groups --auto-scaling-group-names {WEB}"));
    let members = groups["AutoScalingGroups"][0]["Instances"].as_array().unwrap();
    members.iter().map(|one| one["LifecycleState"].as_str().unwrap().to_owned()).collect()
}

fn resize(cloud: &Cloud, size: usize) {
    ok(
        cloud,
        &format!(
            "autoscaling update-auto-scaling-group --auto-scaling-group-name {WEB} --min-size 1 --desired-capacity {size}"
        ),
    );
}

#[test]
fn a_group_grows_a_little_later_and_loses_its_oldest_first() {
    let cloud = Cloud::new();
    cloud.fault("late", 1);
    let before = cloud.machines(WEB);
    resize(&cloud, 5);
    assert_eq!(look(&cloud)[3..], ["Pending", "Pending"]);
    look(&cloud);
    assert_eq!(look(&cloud), ["InService"; 5]);
    resize(&cloud, 3);
    look(&cloud);
    let left = cloud.machines(WEB);
    assert!(left.iter().filter(|one| before.contains(one)).count() == 1 && left.len() == 3, "{left:?}");
}

#[test]
fn what_is_protected_stays() {
    let cloud = Cloud::new();
    let before = cloud.machines(WEB);
    resize(&cloud, 6);
    look(&cloud);
    let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(" ");
    ok(
        &cloud,
        &format!(
            "autoscaling set-instance-protection --auto-scaling-group-name {WEB} --instance-ids {names} --protected-from-scale-in"
        ),
    );
    resize(&cloud, 3);
    look(&cloud);
    assert_eq!(cloud.machines(WEB), before);
    let stranger = format!(
        "autoscaling set-instance-protection --auto-scaling-group-name {WEB} --instance-ids i-0 --protected-from-scale-in"
    );
    assert!(!aws(&cloud, &stranger).status.success());
    let large = format!("autoscaling update-auto-scaling-group --auto-scaling-group-name {WEB} --desired-capacity 11");
    assert!(!aws(&cloud, &large).status.success());
}

#[test]
fn a_load_balancer_lets_go_a_little_later() {
    let cloud = Cloud::new();
    cloud.fault("late", 1);
    let (name, image) = cloud.machines(WEB).remove(0);
    assert_eq!(image, OLD_IMAGE);
    let elb = "--load-balancer-name elb-stage-socorroweb";
    ok(&cloud, &format!("elb deregister-instances-from-load-balancer {elb} --instances {name}"));
    let seen = || {
        let states = ok(&cloud, &format!("elb describe-instance-health {elb}"));
        let found = states["InstanceStates"].as_array().unwrap().iter().find(|one| one["InstanceId"] == name.as_str());
        found.map(|one| one["Description"].as_str().unwrap().to_owned())
    };
    // It serves what it has begun with, and says so.
    assert_eq!(seen().as_deref(), Some("Instance deregistration currently in progress."));
    seen();
    assert_eq!(seen(), None);
    assert!(
        !aws(&cloud, &format!("elb deregister-instances-from-load-balancer {elb} --instances {name}")).status.success()
    );
}

#[test]
fn a_lost_answer_has_had_its_effect() {
    let cloud = Cloud::new();
    cloud.fault("lost:update-auto-scaling-group", 1);
    let line = format!("autoscaling update-auto-scaling-group --auto-scaling-group-name {WEB} --desired-capacity 4");
    assert_eq!(aws(&cloud, &line).status.code(), Some(255));
    assert_eq!(cloud.world()["groups"][WEB]["DesiredCapacity"], 4);
    assert_eq!(aws(&cloud, &line).status.code(), Some(0));
}
