//! `lib/ecs/runs-image` against ECS with everything that may become of a deployment, and without each check of it.

use serde_json::json;

use crate::{
    bench::{Bench, Ran},
    standins::aws::{Aws, Fault},
};

const SERVICE: &str = "facebook-connector-worker-service-dev";
const NAME: &str = "facebook-connector-worker-dev";

/// A service that ran 0.2.7 and was just told to run 0.2.8.
fn updated(aws: &Aws, faults: &[Fault]) {
    aws.faults(&[]);
    let definition = |tag: &str| {
        let container = json!({"name": NAME, "image": format!("registry/connector/worker:{tag}"), "memory": 128});
        // A sidecar comes first in the definition.
        let sidecar = json!({"name": "log-router", "image": "registry/log:0.2.8", "memory": 64});
        let made =
            aws.ecs("RegisterTaskDefinition", &json!({"family": NAME, "containerDefinitions": [sidecar, container]}));
        made["taskDefinition"]["taskDefinitionArn"].clone()
    };
    aws.ecs("UpdateService", &json!({"cluster": NAME, "service": SERVICE, "taskDefinition": definition("0.2.7")}));
    aws.settle();
    aws.faults(faults);
    aws.ecs("UpdateService", &json!({"cluster": NAME, "service": SERVICE, "taskDefinition": definition("0.2.8")}));
}

fn world() -> Option<Aws> {
    let aws = Aws::start()?;
    aws.ecs("CreateCluster", &json!({"clusterName": NAME}));
    let container = json!([{"name": NAME, "image": "registry/connector/worker:0.2.6", "memory": 128}]);
    aws.ecs("RegisterTaskDefinition", &json!({"family": NAME, "containerDefinitions": container}));
    let input = json!({"cluster": NAME, "serviceName": SERVICE, "taskDefinition": NAME, "desiredCount": 2,
        "deploymentConfiguration": {"minimumHealthyPercent": 0, "maximumPercent": 100}});
    aws.ecs("CreateService", &input);
    Some(aws)
}

/// With much patience where it is to succeed, so that a busy machine does not fail it, and little where it cannot.
fn looked(aws: &Aws, edits: &[(&str, &str)], patience: &str) -> Ran {
    let mut bench = Bench::new("lib/ecs/runs-image", edits).path_first(&aws.quick());
    for (name, value) in [("cluster", NAME), ("service", SERVICE), ("container", NAME), ("tag", "0.2.8")] {
        bench = bench.param(name, value);
    }
    for (name, value) in aws.env() {
        bench = bench.env(name, value);
    }
    bench.param("poll", "10ms").param("held_for", "100ms").param("patience", patience).run(&[])
}

const IMAGE: (&str, &str) = (" and result.json.image|regex_find('[^:/]+$') == tag", "");
const FAILED: (&str, &str) = ("\n        or 'FAILED' in result.json.deployments|map(attribute='rollout')|list)", ")");
const COMPLETED: (&str, &str) = (
    " and result.json.deployments[0].rollout == 'COMPLETED'\n        and result.json.deployments[0].definition == result.json.definition",
    "",
);
const ONE: (&str, &str) = ("and result.json.deployments|length == 1", "and result.json.deployments|length >= 1");
const COUNTED: (&str, &str) = (" and result.json.running == result.json.desired and result.json.pending == 0", "");
const WANTED: (&str, &str) = ("and result.json.desired > 0", "and result.json.desired >= 0");
const HELD: (&str, &str) = ("held_for: \"{{ held_for }}\"", "held_for: 0s");

#[test]
fn each_way_in_which_a_deployment_goes_wrong_is_noticed_and_each_check_is_needed() {
    let Some(aws) = world() else { return };
    updated(&aws, &[Fault::Late(3)]);
    looked(&aws, &[], "60s").succeeded();
    // What is there from before is not what was asked for, though `services-stable` would be content with it.
    type Row = (Fault, &'static str, &'static [(&'static str, &'static str)]);
    let rows: [Row; 6] = [
        (Fault::Dying("worker"), "gave up after", &[COMPLETED, ONE, COUNTED]),
        (Fault::GivenUp("worker"), "the wait fails when", &[FAILED, COMPLETED, ONE, COUNTED]),
        (Fault::RolledBack("worker"), "gave up after", &[IMAGE]),
        (Fault::FlipsBack("worker", 1), "gave up after", &[HELD]),
        (Fault::Ignored("worker"), "gave up after", &[IMAGE]),
        (Fault::OtherImage("worker"), "gave up after", &[IMAGE]),
    ];
    for (fault, says, without) in rows {
        updated(&aws, &[fault]);
        let patience = if says == "gave up after" { "1s" } else { "60s" };
        let ran = looked(&aws, &[], patience);
        assert_eq!(ran.code, 1, "{fault:?}: {}", ran.told);
        ran.stopped_at("runs", says);
        updated(&aws, &[fault]);
        let ran = looked(&aws, without, "60s");
        assert_eq!(ran.code, 0, "{fault:?} without {without:?}: {}", ran.told);
    }
    // A service that wants nothing is as stable as can be.
    updated(&aws, &[]);
    aws.want(SERVICE, 0);
    looked(&aws, &[], "1s").stopped_at("runs", "gave up after");
    looked(&aws, &[WANTED], "60s").succeeded();
    // One that does not exist is no failure of the call.
    let gone = [("--services \"$service\"", "--services \"no-$service\"")];
    looked(&aws, &gone, "60s").stopped_at("runs", "the wait fails when");
}
