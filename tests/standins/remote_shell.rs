//! Stands in for what takes a thread dump out of a container of ECS: the AWS CLI with its session plugin, the container
//! with a real JVM in it, and S3. It knows how a session loses things, and not what is looked for.
//!
//! `aws` is a script that goes first on `PATH`. Commands run for real, on this machine, in an environment that stands for
//! the container's; what the container shows of Java is kept to its own processes. Three things hold of every session:
//!
//! * its exit code is 0, whatever became of the command;
//! * standard error is mixed into standard output, and lines end in CR LF;
//! * whoever comes without a terminal and at the end of standard input (`</dev/null`) gets `Cannot perform start
//!   session: EOF` and no output, though the command runs in the container all the same. A pipe that stays open is fine.
//!
//! The agent starts the command without a shell: `|` and `>` are words unless the command is `sh -c '…'`.

mod jvm;
mod object_store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{Recorded, Server};
pub use jvm::{Jvm, MAIN_CLASS, start_jvm};

const AWS: &str = include_str!("remote_shell/aws.sh");
const JDK_TOOL: &str = include_str!("remote_shell/jdk_tool.sh");
const BOTO3: &str = include_str!("remote_shell/boto3.py");
const BOTOCORE_CONFIG: &str = include_str!("remote_shell/botocore_config.py");
const PLUGIN: &str = "#!/bin/sh\nprintf '\\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\\n\\n'\n";

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";

/// What is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The first `times` sessions do not come about: a line says so, and the exit code is 0.
    SilentFailure { times: u32 },
    /// The first `times` sessions die after so many lines of output; they end like any other.
    Truncated { times: u32, lines: u32 },
    /// No task is running.
    NoTasks,
    /// The container of the task has another name.
    WrongContainer,
    /// The agent in the container has stopped.
    AgentStopped,
    /// The task was started without `enableExecuteCommand`.
    ExecDisabled,
    /// The session plugin is not installed.
    PluginMissing,
    /// The container has no JVM.
    NoJvm,
    /// Process 1 is not the JVM, and cannot be told from one in the list.
    WrongPid,
    /// The JVM cannot be attached to.
    NotAttachable,
    /// Nothing can be put into any bucket.
    UploadDenied,
    /// The caller's credentials have expired, and with them every presigned address, whatever its own expiry says.
    SessionOver,
}

/// One running task in one cluster, a bucket, and the `aws` that leads to them.
pub struct RemoteShell {
    folder: TempDir,
    store: Server,
    task: String,
}

impl RemoteShell {
    /// A cluster with one task of one container, which sees `jvm` (and nothing of Java without one).
    pub fn start(cluster: &str, container: &str, jvm: Option<&Jvm>, faults: &[Fault]) -> RemoteShell {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let world = folder.path().join("world");
        for name in ["faults", "s3", "container/root", "container/tmp", "container/bin"] {
            fs::create_dir_all(world.join(name)).expect("a folder can be made");
        }
        fs::create_dir_all(world.join("clusters").join(cluster)).expect("a folder can be made");
        for name in ["bin", "python"] {
            fs::create_dir(folder.path().join(name)).expect("a folder can be made");
        }
        let store = object_store::start(world.clone());
        let shell = RemoteShell { folder, store, task: "4f1c0000000000000000000000000001".into() };
        shell.equip();
        if let Some(jvm) = jvm {
            shell.put("container/jvms", &format!("{}\n", jvm.pid()));
        }
        if !faults.contains(&Fault::NoTasks) {
            let name = if faults.contains(&Fault::WrongContainer) { "app" } else { container };
            let mut task = task(cluster, &shell.task, name);
            if faults.contains(&Fault::AgentStopped) {
                task["containers"][0]["managedAgents"][0]["lastStatus"] = json!("STOPPED");
            }
            if faults.contains(&Fault::ExecDisabled) {
                task["enableExecuteCommand"] = json!(false);
                task["containers"][0]["managedAgents"] = json!([]);
            }
            shell.put_task(cluster, &shell.task, &task);
        }
        faults.iter().for_each(|fault| shell.break_it(fault));
        shell
    }

    /// What a step's environment needs so that `aws` (and `boto3`) are the ones from here. The caller's own `PATH` follows.
    pub fn env(&self) -> BTreeMap<String, String> {
        let path = std::env::var("PATH").unwrap_or_default();
        BTreeMap::from([
            ("PATH".into(), format!("{}:{path}", text(&self.folder.path().join("bin")))),
            ("PYTHONPATH".into(), text(&self.folder.path().join("python"))),
            ("STANDIN_AWS".into(), text(&self.world())),
            ("AWS_DEFAULT_REGION".into(), REGION.into()),
        ])
    }

    /// A program in the place of the session plugin, as the real AWS CLI starts it: without arguments to see that it is
    /// there, and with a session, whose command lies in `sessions` by the token of the session.
    pub fn plugin(&self, sessions: &Path) -> String {
        let between = |from: &str, to: &str| {
            let (_, rest) = AWS.split_once(from).expect("the script has such a part");
            format!("{from}{}", rest.split_once(to).expect("the part has an end").0)
        };
        let parts = [
            between("# --- faults", "fail() {"),
            between("# The agent splits", "execute_command() {"),
            between("session() {", "# --- S3 ---"),
        ];
        format!(
            "#!/usr/bin/env bash\nset -u\nworld='{world}'\nif [ $# = 0 ]; then\n{hello}\nexit\nfi\n\
             if [ \"$3\" != StartSession ]; then echo \"unknown operation $3\" >&2; exit 1; fi\n\
             token=$(jq -er .tokenValue <<<\"$1\")\ntask=$(jq -er .sessionId <<<\"$1\")\ncommand=$(cat '{sessions}'/\"$token\")\n\
             {parts}\nsession\n",
            world = text(&self.world()),
            hello = PLUGIN.split_once('\n').expect("it has two lines").1.trim_end(),
            sessions = text(sessions),
            parts = parts.join("\n"),
        )
    }

    /// The folder that holds the state, in files.
    pub fn world(&self) -> PathBuf {
        self.folder.path().join("world")
    }

    /// The id of the task, as the last part of its ARN.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// One task more in the cluster, which may be a new one.
    pub fn add_task(&self, cluster: &str, container: &str) -> String {
        let folder = self.world().join("clusters").join(cluster);
        fs::create_dir_all(&folder).expect("a folder can be made");
        let number = fs::read_dir(&folder).expect("the folder can be read").count() + 2;
        let id = format!("4f1c{number:028}");
        self.put_task(cluster, &id, &task(cluster, &id, container));
        id
    }

    /// The description of a task, for changing it with [`RemoteShell::put_task`].
    pub fn describe(&self, cluster: &str, id: &str) -> Value {
        let file = self.world().join("clusters").join(cluster).join(format!("{id}.json"));
        serde_json::from_str(&fs::read_to_string(file).expect("there is such a task")).expect("tasks are JSON")
    }

    /// Sets the description of a task.
    pub fn put_task(&self, cluster: &str, id: &str, task: &Value) {
        self.put(&format!("clusters/{cluster}/{id}.json"), &task.to_string());
    }

    /// Makes the major version of the CLI 1 instead of 2: other exit codes for the same errors.
    pub fn old_cli(&self) {
        self.put("version", "1");
    }

    /// Makes an empty bucket.
    pub fn add_bucket(&self, bucket: &str) {
        fs::create_dir_all(self.world().join("s3").join(bucket)).expect("a folder can be made");
    }

    /// What an object holds, if it is there.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        fs::read(self.world().join("s3").join(bucket).join(key)).ok()
    }

    /// A presigned address for the store; `method` is `PUT` or `GET`.
    pub fn presign(&self, method: &str, bucket: &str, key: &str, expires: u64) -> String {
        object_store::presign(&self.world(), &self.store.url(), method, bucket, key, expires)
    }

    /// The address of the store.
    pub fn store_url(&self) -> String {
        self.store.url()
    }

    /// What the store was asked.
    pub fn store_requests(&self) -> Vec<Recorded> {
        self.store.requests()
    }

    /// Lets time pass for presigned addresses.
    pub fn pass(&self, seconds: u64) {
        self.put("clock", &(object_store::clock(&self.world()) + seconds).to_string());
    }

    /// The arguments of every call of `aws`, in order.
    pub fn calls(&self) -> Vec<Vec<String>> {
        lines(&self.world().join("calls.jsonl"))
    }

    /// The words of every command that a session was asked to run in the container, in order.
    pub fn commands(&self) -> Vec<Vec<String>> {
        lines(&self.world().join("commands.jsonl"))
    }

    /// A file of the container's working folder, or of another one by its whole path.
    pub fn file(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.world().join("container/root").join(path)).ok()
    }

    fn equip(&self) {
        let folder = self.folder.path();
        executable(&folder.join("bin/aws"), AWS);
        executable(&folder.join("bin/session-manager-plugin"), PLUGIN);
        fs::write(folder.join("python/boto3.py"), BOTO3).expect("a file can be written");
        fs::create_dir(folder.join("python/botocore")).expect("a folder can be made");
        fs::write(folder.join("python/botocore/config.py"), BOTOCORE_CONFIG).expect("a file can be written");
        for tool in ["jps", "jstack", "jcmd"] {
            executable(&folder.join("world/container/bin").join(tool), JDK_TOOL);
        }
        let container = folder.join("world/container");
        let (bin, root, temporary) = (container.join("bin"), container.join("root"), container.join("tmp"));
        let variables = [
            format!("PATH={}:/usr/local/bin:/usr/bin:/bin", text(&bin)),
            format!("HOME={}", text(&root)),
            format!("TMPDIR={}", text(&temporary)),
            "TERM=xterm-256color".into(),
            "LANG=C.UTF-8".into(),
        ];
        self.put("container/env", &format!("{}\n", variables.join("\n")));
        self.put("container/jdk", &text(&jvm::tools()));
        self.put("container/jvms", "");
        self.put("version", "2");
        self.put("arn", &format!("arn:aws:ecs:{REGION}:{ACCOUNT}"));
        self.put("clock", "1758110400");
        self.put("key_id", object_store::KEY_ID);
        self.put("secret", object_store::SECRET);
        self.put("s3.url", &self.store.url());
        self.put("calls.jsonl", "");
        self.put("commands.jsonl", "");
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/sudo/operator");
        self.put("caller.json", &json!({"UserId": "AROASTANDIN:operator", "Account": ACCOUNT, "Arn": arn}).to_string());
    }

    fn break_it(&self, fault: &Fault) {
        match fault {
            Fault::SilentFailure { times } => self.put("faults/silent_failure", &times.to_string()),
            Fault::Truncated { times, lines } => {
                self.put("truncated_to", &lines.to_string());
                self.put("faults/truncated", &times.to_string());
            }
            Fault::PluginMissing => {
                fs::remove_file(self.folder.path().join("bin/session-manager-plugin")).expect("the plugin is there");
            }
            Fault::NoJvm => self.put("container/jvms", ""),
            Fault::WrongPid => self.put("container/pid_one", ""),
            Fault::NotAttachable => self.put("container/not_attachable", ""),
            Fault::UploadDenied => self.put("faults/upload_denied", ""),
            Fault::SessionOver => self.put("faults/session_over", ""),
            // These are in the description of the task.
            Fault::NoTasks | Fault::WrongContainer | Fault::AgentStopped | Fault::ExecDisabled => {}
        }
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.world().join(name), content).expect("a file can be written");
    }
}

/// A running task on Fargate, in the shape of `describe-tasks`.
fn task(cluster: &str, id: &str, container: &str) -> Value {
    let base = format!("arn:aws:ecs:{REGION}:{ACCOUNT}");
    let arn = format!("{base}:task/{cluster}/{id}");
    json!({
        "attachments": [], "attributes": [], "availabilityZone": "us-east-1a",
        "clusterArn": format!("{base}:cluster/{cluster}"), "connectivity": "CONNECTED",
        "containers": [{
            "containerArn": format!("{base}:container/{cluster}/{id}/1a2b"), "taskArn": arn, "name": container,
            "image": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{container}:1.0"), "runtimeId": format!("{id}-527074092"),
            "lastStatus": "RUNNING", "networkBindings": [], "networkInterfaces": [], "healthStatus": "HEALTHY",
            "managedAgents": [{"lastStartedAt": "2025-09-17T12:00:00.000000+00:00", "name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}],
            "cpu": "0", "memory": "2048",
        }],
        "cpu": "1024", "createdAt": "2025-09-17T11:59:00.000000+00:00", "desiredStatus": "RUNNING",
        "enableExecuteCommand": true, "group": format!("service:{container}"), "healthStatus": "HEALTHY",
        "lastStatus": "RUNNING", "launchType": "FARGATE", "memory": "2048", "overrides": {},
        "platformVersion": "1.4.0", "platformFamily": "Linux", "startedAt": "2025-09-17T12:00:00.000000+00:00",
        "startedBy": "ecs-svc/1", "tags": [], "taskArn": arn,
        "taskDefinitionArn": format!("{base}:task-definition/{container}:7"), "version": 4,
    })
}

/// A program of that text.
pub fn executable(path: &Path, content: &str) {
    fs::write(path, content).expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

fn lines(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).expect("the stand-in keeps its records");
    text.lines().map(|line| serde_json::from_str(line).expect("records are JSON")).collect()
}
