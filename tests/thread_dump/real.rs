//! The thread dump once more, with the real AWS command line and boto3 against moto: tasks, commands in a container, and an
//! object store. What is behind a session is the stand-in's: a program in the place of the session plugin.

use std::{fs, path::Path};

use serde_json::json;

use super::*;
use crate::{
    parts,
    standins::{aws::Aws, client::Client},
};

/// A cluster of one task in moto, and the container that the stand-in keeps.
struct Real {
    aws: Aws,
    scene: Scene,
}

impl Real {
    fn new(jvm: Option<&Jvm>, faults: &[Fault]) -> Option<Real> {
        let [cli, python] = parts::programs(["aws", "python3"])?;
        let aws = Aws::start()?;
        aws.ecs("CreateCluster", &json!({"clusterName": NAME}));
        let container = json!([{"name": NAME, "image": "registry/worker:1", "memory": 128}]);
        let definition = json!({"family": NAME, "containerDefinitions": container, "networkMode": "awsvpc"});
        aws.ecs("RegisterTaskDefinition", &definition);
        let network = json!({"awsvpcConfiguration": {"subnets": [aws.subnet()], "securityGroups": ["sg-1"]}});
        let task = json!({"cluster": NAME, "taskDefinition": NAME, "launchType": "FARGATE", "count": 1,
            "networkConfiguration": network});
        aws.ecs("RunTask", &task);
        let bucket = Client::new(aws.moto.url()).header("authorization", &aws.signature("s3"));
        assert_eq!(bucket.send("PUT", &format!("/{BUCKET}"), "").unwrap().status, 200);
        let mut scene = Scene::new(jvm, faults);
        let plugin = scene.shell.plugin(&aws.sessions());
        let own = scene.bed.root().join("bin");
        fs::create_dir_all(&own).unwrap();
        let python = python.parent().unwrap();
        let path = format!(
            "{}:{}:{}:/usr/local/bin:/usr/bin:/bin",
            own.display(),
            cli.parent().unwrap().display(),
            python.display()
        );
        scene.bed = scene.bed.tool("session-manager-plugin", &plugin).env("PATH", path).env("PYTHONPATH", "");
        for (name, value) in aws.env() {
            scene.bed = scene.bed.env(name, value);
        }
        Some(Real { aws, scene })
    }

    /// The keys of what lies in the bucket.
    fn stored(&self) -> String {
        let client = Client::new(self.aws.moto.url()).header("authorization", &self.aws.signature("s3"));
        client.get(&format!("/{BUCKET}?list-type=2")).unwrap().text()
    }
}

#[test]
fn the_real_command_line_brings_a_dump_through_session_and_store() {
    let jvm = start_jvm(false);
    let Some(real) = Real::new(Some(&jvm), &[]) else { return };
    real.scene.run(&[]).code(0).stderr_has("threads, deadlocks: 0");
    assert!(is_whole(&real.scene.bed.read("thread_dump.txt")));
    let args = ["--param", "way=s3", "--param", "prefix=dev/o.name/debug", "--param", "output=a b's.txt"];
    real.scene.run(&args).code(0).stderr_lacks("X-Amz-Signature");
    assert!(is_whole(&real.scene.bed.read("a b's.txt")));
    // Nothing is left in the container, and the bucket is there and empty.
    assert_eq!(real.scene.in_container().len(), 0);
    assert!(
        real.stored().contains("<Name>narrative-tmp</Name>") && !real.stored().contains("<Key>"),
        "{}",
        real.stored()
    );
    // What ECS refuses is noticed before a session: no commands allowed, then an agent that has stopped.
    fs::remove_file(real.scene.bed.path("thread_dump.txt")).unwrap();
    real.aws.exec(false, None);
    real.scene.noticed(&[], "ready", "enableExecuteCommand");
    real.aws.exec(true, Some("STOPPED"));
    real.scene.noticed(&[], "ready", "ExecuteCommandAgent");
    real.aws.exec(true, None);
    // A session that never came about ends with 0 as any other does.
    fs::write(real.scene.shell.world().join("faults/silent_failure"), "1").unwrap();
    real.scene.noticed(&[], "jvm", "the session did not come about");
    // Another task is none of this cluster's.
    real.scene.noticed(&["--param", "task=4f1c77"], "tasks", "task == ''");
    assert!(Path::new(&real.scene.bed.path("thread_dump.txt")).metadata().is_err());
}
