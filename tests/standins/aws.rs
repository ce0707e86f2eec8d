//! A local AWS: moto, and in front of it what moto lacks. It adds the rollout of a deployment of ECS, what a task says
//! about commands that can be run in it, and ExecuteCommand; everything else is moto's own. It knows no runbook.
//!
//! What moto 5.2 does not do (tried): a service that is updated keeps the deployment it was made with, and has no
//! `deploymentConfiguration`; a task has neither `runtimeId` nor `enableExecuteCommand` nor `managedAgents`, and an unknown
//! task is no failure; ExecuteCommand is not there. The shapes are those of botocore's model of the service.
//!
//! A rollout takes a number of looks and no time: each answer to DescribeServices is one.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{
    client::Client,
    server::{Recorded, Reply, Server, locked},
};
use crate::parts;

const ACCOUNT: &str = "123456789012";
/// A small `aws` for many calls: it starts no Python. What it does not know it refuses.
const QUICK_CLI: &str = include_str!("aws/quick_cli.sh");

/// A running moto; it ends when this is dropped.
pub struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    /// Starts one on a port that it chooses, with tasks that stay as they are. None where it is missing.
    pub fn start() -> Option<Moto> {
        let [server] = parts::programs(["moto_server"])?;
        let mut child = Command::new(server)
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is a pipe")).lines();
        let url = loop {
            let line = lines.next().expect("moto says where it listens").expect("it speaks UTF-8");
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
        };
        // What it says later is of no use, but it must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let moto = Moto { child, url };
        let manual = json!({"model_name": "ecs::task", "transition": {"progression": "manual", "times": 100_000}});
        let set = Client::new(&moto.url).header("content-type", "application/json");
        let answer = set.post("/moto-api/state-manager/set-transition", &manual.to_string()).expect("moto answers");
        assert_eq!(answer.status, 201, "{}", answer.text());
        Some(moto)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What leads AWS's own programs straight here; the file goes with the first of the two.
    pub fn config(&self) -> (tempfile::NamedTempFile, Vec<(&'static str, String)>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        fs::write(file.path(), format!("[default]\nregion = us-east-1\nendpoint_url = {}\n", self.url))
            .expect("it is ours");
        let env = environment(file.path());
        (file, env)
    }

    /// A parameter of SSM that is kept encrypted.
    pub fn put_parameter(&self, name: &str, value: &str) {
        let input = json!({"Name": name, "Value": value, "Type": "SecureString"});
        let answer =
            signed(&self.url, "AmazonSSM.PutParameter", "ssm").post("/", &input.to_string()).expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn environment(config: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_CONFIG_FILE", config.to_str().expect("temporary paths are UTF-8").into()),
        ("AWS_ACCESS_KEY_ID", "AKIASTANDIN".into()),
        ("AWS_SECRET_ACCESS_KEY", "stand-in".into()),
    ]
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is not as it should be with ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The new tasks take so many looks.
    Late(u32),
    /// The new tasks of this service die, again and again; there is no circuit breaker.
    Dying(&'static str),
    /// The circuit breaker gives the deployment of this service up.
    GivenUp(&'static str),
    /// The circuit breaker has put the definition before back, and that is complete at once.
    RolledBack(&'static str),
    /// After so many looks at the new one as complete, this service is back at the one before.
    FlipsBack(&'static str, u32),
    /// The update of this service is taken, and does nothing.
    Ignored(&'static str),
    /// The update of this service happens, and its answer is lost, once.
    ReplyLost(&'static str),
    /// The new definition of this service holds an image of another tag.
    OtherImage(&'static str),
}

#[derive(Debug, Clone, Default)]
struct Service {
    least: i64,
    most: i64,
    desired: i64,
    former: Option<String>,
    current: String,
    /// Looks until it is complete.
    left: u32,
    /// Looks since it is complete.
    complete: u32,
}

/// The services of a moment.
pub struct Moment(BTreeMap<String, Service>);

#[derive(Default)]
struct State {
    services: BTreeMap<String, Service>,
    faults: Vec<Fault>,
    /// Whether a task may be given commands: its `enableExecuteCommand`, and the state of its agent.
    no_exec: bool,
    agent: Option<String>,
    sessions: u32,
}

/// moto with what it lacks.
pub struct Aws {
    pub moto: Moto,
    front: Server,
    state: Arc<Mutex<State>>,
    folder: tempfile::TempDir,
}

impl Aws {
    /// None where moto is missing.
    pub fn start() -> Option<Aws> {
        let moto = Moto::start()?;
        let state = Arc::<Mutex<State>>::default();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::create_dir(folder.path().join("sessions")).expect("a folder can be made");
        let (shared, behind, sessions) = (state.clone(), moto.url.clone(), folder.path().join("sessions"));
        let front = Server::start(move |request| answer(&mut locked(&shared), &behind, &sessions, request));
        let config = format!(
            "[default]\nregion = us-east-1\nendpoint_url = {}\nservices = here\n[services here]\ns3 =\n  endpoint_url = {}\n",
            front.url(),
            moto.url
        );
        fs::write(folder.path().join("config"), config).expect("a file can be written");
        fs::create_dir(folder.path().join("bin")).expect("a folder can be made");
        super::remote_shell::executable(&folder.path().join("bin/aws"), QUICK_CLI);
        Some(Aws { moto, front, state, folder })
    }

    /// What leads AWS's own programs here.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        environment(&self.folder.path().join("config"))
    }

    /// The folder of the small `aws`.
    pub fn quick(&self) -> std::path::PathBuf {
        self.folder.path().join("bin")
    }

    /// Where the commands of sessions are kept, by the token of the session.
    pub fn sessions(&self) -> std::path::PathBuf {
        self.folder.path().join("sessions")
    }

    /// From now on these go wrong, and nothing else.
    pub fn faults(&self, faults: &[Fault]) {
        locked(&self.state).faults = faults.to_vec();
    }

    /// What ECS is like now, for [`Aws::back_to`].
    pub fn moment(&self) -> Moment {
        Moment(locked(&self.state).services.clone())
    }

    /// The services are as they were, and nothing goes wrong any more.
    pub fn back_to(&self, moment: &Moment) {
        let mut state = locked(&self.state);
        state.services.clone_from(&moment.0);
        state.faults.clear();
    }

    /// Whatever was under way is over.
    pub fn settle(&self) {
        for service in locked(&self.state).services.values_mut() {
            (service.former, service.left) = (None, 0);
        }
    }

    /// How many tasks a service wants.
    pub fn want(&self, service: &str, desired: i64) {
        locked(&self.state).services.get_mut(service).expect("there is such a service").desired = desired;
    }

    /// Tasks were started without `enableExecuteCommand`, or the agent in their containers is in another state.
    pub fn exec(&self, enabled: bool, agent: Option<&str>) {
        let mut state = locked(&self.state);
        (state.no_exec, state.agent) = (!enabled, agent.map(str::to_owned));
    }

    /// What was asked of ECS that changes something: the operation and its input.
    pub fn changes(&self) -> Vec<(String, Value)> {
        let all = self.front.requests();
        let named = all.iter().filter_map(|request| Some((operation(request)?, request.json()?)));
        named.filter(|(name, _)| !name.starts_with("Describe") && !name.starts_with("List")).collect()
    }

    /// Asks ECS as any client does.
    pub fn ecs(&self, operation: &str, input: &Value) -> Value {
        let client = signed(&self.front.url(), &format!("AmazonEC2ContainerServiceV20141113.{operation}"), "ecs");
        let answer = client.post("/", &input.to_string()).expect("it answers");
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text());
        answer.json()
    }

    /// A signature's scope, by which moto knows the service that is meant.
    pub fn signature(&self, service: &str) -> String {
        scope(service)
    }

    /// A subnet of the account's own network.
    pub fn subnet(&self) -> String {
        let client = Client::new(&self.moto.url).header("authorization", &scope("ec2"));
        let form = client.header("content-type", "application/x-www-form-urlencoded");
        let answer = form.post("/", "Action=DescribeSubnets&Version=2016-11-15").expect("moto answers").text();
        let (_, rest) = answer.split_once("<subnetId>").expect("there is one from the beginning");
        rest.split('<').next().expect("it has an end").to_owned()
    }

    /// The image that a service's definition names now.
    pub fn image(&self, service: &str) -> String {
        let current = locked(&self.state).services[service].current.clone();
        let described = self.ecs("DescribeTaskDefinition", &json!({"taskDefinition": current}));
        described["taskDefinition"]["containerDefinitions"][0]["image"].as_str().expect("it has an image").to_owned()
    }
}

/// A client of moto, which goes by the target, and by the service that a signature is for.
fn signed(url: &str, target: &str, service: &str) -> Client {
    Client::new(url)
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.1")
        .header("authorization", &scope(service))
}

fn scope(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIASTANDIN/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn operation(request: &Recorded) -> Option<String> {
    Some(request.header("x-amz-target")?.rsplit('.').next()?.to_owned())
}

fn answer(state: &mut State, moto: &str, sessions: &Path, request: &Recorded) -> Reply {
    let mut input = request.json().unwrap_or_default();
    let ecs = request.header("x-amz-target").is_some_and(|target| target.starts_with("AmazonEC2ContainerService"));
    let named = operation(request).filter(|_| ecs).unwrap_or_default();
    match named.as_str() {
        "ExecuteCommand" => return execute_command(state, moto, sessions, &input),
        "UpdateService" => return update_service(state, moto, request, &input),
        "RegisterTaskDefinition" => {
            let family = input["family"].as_str().unwrap_or_default();
            let other =
                state.faults.iter().any(|fault| matches!(fault, Fault::OtherImage(name) if family.contains(name)));
            if other {
                for container in input["containerDefinitions"].as_array_mut().into_iter().flatten() {
                    container["image"] = json!(format!("{}-other", text(&container["image"])));
                }
                let body = serde_json::to_vec(&input).expect("JSON can be written");
                return forward(moto, &Recorded { body, ..request.clone() }).1;
            }
        }
        _ => {}
    }
    let (status, reply) = forward(moto, request);
    if status != 200 {
        return reply;
    }
    match named.as_str() {
        "CreateService" => {
            let service = Service {
                least: input["deploymentConfiguration"]["minimumHealthyPercent"].as_i64().unwrap_or(100),
                most: input["deploymentConfiguration"]["maximumPercent"].as_i64().unwrap_or(200),
                desired: input["desiredCount"].as_i64().unwrap_or(0),
                current: body(&reply)["service"]["taskDefinition"].as_str().unwrap_or_default().to_owned(),
                ..Service::default()
            };
            state.services.insert(text(&input["serviceName"]), service);
            reply
        }
        "DescribeServices" => {
            let mut output = body(&reply);
            for service in output["services"].as_array_mut().into_iter().flatten() {
                overlay(state, service);
            }
            Reply::of(200, "application/x-amz-json-1.1", output.to_string())
        }
        "DescribeTasks" => Reply::of(200, "application/x-amz-json-1.1", tasks(state, &input, body(&reply)).to_string()),
        _ => reply,
    }
}

fn update_service(state: &mut State, moto: &str, request: &Recorded, input: &Value) -> Reply {
    let name = text(&input["service"]).rsplit('/').next().unwrap_or_default().to_owned();
    let has = |wanted: &dyn Fn(&Fault) -> bool| state.faults.iter().any(wanted);
    let ignored = has(&|fault| matches!(fault, Fault::Ignored(part) if name.contains(part)));
    let lost = has(&|fault| matches!(fault, Fault::ReplyLost(part) if name.contains(part)));
    let late = state.faults.iter().find_map(|fault| if let Fault::Late(looks) = fault { Some(*looks) } else { None });
    let (status, reply) = forward(moto, request);
    if status != 200 {
        return reply;
    }
    if lost {
        state.faults.retain(|fault| !matches!(fault, Fault::ReplyLost(_)));
    }
    let service = state.services.get_mut(&name).expect("moto knows the service, so it was made here");
    if !ignored && let Some(definition) = input["taskDefinition"].as_str() {
        service.former = Some(std::mem::replace(&mut service.current, definition.to_owned()));
        (service.left, service.complete) = (late.unwrap_or(1), 0);
    }
    if lost { Reply::Cut } else { reply }
}

/// One look at a service: what it says, and how far its rollout is.
fn overlay(state: &mut State, described: &mut Value) {
    let name = text(&described["serviceName"]);
    let faults = state.faults.clone();
    let Some(service) = state.services.get_mut(&name) else { return };
    let mut rollout = "COMPLETED";
    let mut failed = 0;
    if let Some(former) = service.former.clone() {
        let meant = |part: &str| name.contains(part);
        if service.left > 0 {
            (rollout, service.left) = ("IN_PROGRESS", service.left - 1);
        } else if faults.iter().any(|fault| matches!(fault, Fault::Dying(part) if meant(part))) {
            (rollout, failed) = ("IN_PROGRESS", 3);
        } else if faults.iter().any(|fault| matches!(fault, Fault::GivenUp(part) if meant(part))) {
            (rollout, failed) = ("FAILED", 3);
        } else if faults.iter().any(|fault| matches!(fault, Fault::RolledBack(part) if meant(part))) {
            (service.current, service.former) = (former, None);
        } else {
            service.complete += 1;
            let flips = |fault: &Fault| matches!(fault, Fault::FlipsBack(part, looks) if meant(part) && service.complete > *looks);
            if faults.iter().any(flips) {
                (service.current, service.former) = (former, None);
            }
        }
    }
    let running = if rollout == "COMPLETED" { service.desired } else { 0 };
    let deployment = |status: &str, definition: &str, rollout: &str, running: i64, failed: i64| {
        json!({
            "id": format!("ecs-svc/{}", definition.len()), "status": status, "taskDefinition": definition,
            "desiredCount": service.desired, "pendingCount": 0, "runningCount": running, "failedTasks": failed,
            "createdAt": 1_758_110_400, "updatedAt": 1_758_110_400, "launchType": "FARGATE",
            "platformVersion": "1.4.0", "rolloutState": rollout,
            "rolloutStateReason": format!("ECS deployment ecs-svc/1 is {rollout}."),
        })
    };
    let mut deployments = vec![deployment("PRIMARY", &service.current, rollout, running, failed)];
    // With at least one task that has to go on, the former one runs until the new one does.
    let old = if rollout == "COMPLETED" || service.least == 0 { 0 } else { service.desired };
    if let Some(former) = &service.former
        && rollout != "COMPLETED"
    {
        deployments.push(deployment("ACTIVE", former, "COMPLETED", old, 0));
    }
    described["taskDefinition"] = json!(service.current);
    described["desiredCount"] = json!(service.desired);
    described["runningCount"] = json!(running + old);
    described["pendingCount"] = json!(if rollout == "COMPLETED" { 0 } else { service.desired });
    described["deployments"] = json!(deployments);
    described["deploymentConfiguration"] =
        json!({"minimumHealthyPercent": service.least, "maximumPercent": service.most});
}

/// What Fargate says of tasks, and that one which does not exist is a failure in a good answer.
fn tasks(state: &State, input: &Value, mut output: Value) -> Value {
    let mut found = Vec::new();
    for task in output["tasks"].as_array_mut().into_iter().flatten() {
        let id = text(&task["taskArn"]).rsplit('/').next().unwrap_or_default().to_owned();
        found.push(id.clone());
        task["lastStatus"] = json!("RUNNING");
        task["platformVersion"] = json!("1.4.0");
        task["enableExecuteCommand"] = json!(!state.no_exec);
        for container in task["containers"].as_array_mut().into_iter().flatten() {
            let status = state.agent.as_deref().unwrap_or("RUNNING");
            let agent = json!([{"lastStartedAt": 1_758_110_400, "name": "ExecuteCommandAgent", "lastStatus": status}]);
            container["lastStatus"] = json!("RUNNING");
            container["runtimeId"] = json!(format!("{id}-527074092"));
            container["managedAgents"] = if state.no_exec { json!([]) } else { agent };
        }
    }
    let mut failures = Vec::new();
    for wanted in input["tasks"].as_array().into_iter().flatten() {
        let id = text(wanted).rsplit('/').next().unwrap_or_default().to_owned();
        if !found.contains(&id) {
            let arn = format!("arn:aws:ecs:us-east-1:{ACCOUNT}:task/{id}");
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    output["failures"] = json!(failures);
    output
}

fn execute_command(state: &mut State, moto: &str, sessions: &Path, input: &Value) -> Reply {
    let refused = |kind: &str, message: &str| {
        let body = json!({"__type": kind, "message": message});
        Reply::of(400, "application/x-amz-json-1.1", body.to_string()).with("x-amzn-errortype", kind)
    };
    if input["interactive"] != json!(true) {
        return refused("InvalidParameterException", "Interactive is the only mode supported currently.");
    }
    let target = "AmazonEC2ContainerServiceV20141113.DescribeTasks";
    let asked = json!({"cluster": input["cluster"], "tasks": [input["task"]]});
    let answer = signed(moto, target, "ecs").post("/", &asked.to_string()).expect("moto answers");
    if answer.status != 200 {
        return refused("ClusterNotFoundException", "Cluster not found.");
    }
    let described = tasks(state, &asked, answer.json());
    let Some(task) = described["tasks"].get(0) else {
        return refused("InvalidParameterException", "The task provided in the request was not found.");
    };
    let containers = task["containers"].as_array().cloned().unwrap_or_default();
    let Some(container) = containers.iter().find(|container| container["name"] == input["container"]) else {
        return refused("InvalidParameterException", "The specified container name does not exist in the task.");
    };
    if task["enableExecuteCommand"] != json!(true) || container["managedAgents"][0]["lastStatus"] != json!("RUNNING") {
        let why = "The execute command failed because execute command was not enabled when the task was run or the \
                   execute command agent isn’t running. Wait and try again or run a new task with execute command \
                   enabled and try again.";
        return refused("InvalidParameterException", why);
    }
    state.sessions += 1;
    let token = format!("token-{}", state.sessions);
    fs::write(sessions.join(&token), text(&input["command"])).expect("a file can be written");
    let session = json!({
        "sessionId": format!("ecs-execute-command-{:017}", state.sessions),
        "streamUrl": format!("wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/{token}"),
        "tokenValue": token,
    });
    let output = json!({
        "clusterArn": task["clusterArn"], "containerArn": container["containerArn"],
        "containerName": container["name"], "interactive": true, "session": session, "taskArn": task["taskArn"],
    });
    Reply::of(200, "application/x-amz-json-1.1", output.to_string())
}

/// Hands a request on, as it is.
fn forward(moto: &str, request: &Recorded) -> (u16, Reply) {
    let mut client = Client::new(moto);
    for (name, value) in &request.headers {
        if !["host", "content-length", "connection", "transfer-encoding", "expect"].contains(&name.as_str()) {
            client = client.header(name, value);
        }
    }
    let body = String::from_utf8(request.body.clone()).expect("what comes this way is text");
    let answer = client.send(&request.method, &request.raw_path, &body).expect("moto answers");
    let mut reply = Reply::Send { status: answer.status, headers: Vec::new(), body: answer.body };
    for (name, value) in answer.headers {
        if name.starts_with("x-amz") || name == "content-type" {
            reply = reply.with(&name, value);
        }
    }
    (answer.status, reply)
}

fn body(reply: &Reply) -> Value {
    match reply {
        Reply::Send { body, .. } => serde_json::from_slice(body).expect("moto answers with JSON"),
        Reply::Cut => Value::Null,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "worker-service";

    fn definition(aws: &Aws, tag: &str) -> Value {
        let container = json!([{"name": "worker", "image": format!("registry/worker:{tag}"), "memory": 128}]);
        let made = aws.ecs("RegisterTaskDefinition", &json!({"family": "worker", "containerDefinitions": container}));
        made["taskDefinition"]["taskDefinitionArn"].clone()
    }

    /// One look: how many deployments there are, the first one's state, its definition's number, running and pending.
    fn look(aws: &Aws) -> (usize, String, String, i64, i64) {
        let said = aws.ecs("DescribeServices", &json!({"cluster": "c", "services": [NAME]}));
        let service = &said["services"][0];
        let deployments = service["deployments"].as_array().unwrap();
        assert_eq!(deployments[0]["taskDefinition"], service["taskDefinition"]);
        let number = text(&service["taskDefinition"]).rsplit(':').next().unwrap().to_owned();
        let count = |name: &str| service[name].as_i64().unwrap();
        (deployments.len(), text(&deployments[0]["rolloutState"]), number, count("runningCount"), count("pendingCount"))
    }

    fn is(looked: (usize, String, String, i64, i64), expected: (usize, &str, &str, i64, i64)) {
        let (deployments, rollout, number, running, pending) = &looked;
        assert_eq!((*deployments, rollout.as_str(), number.as_str(), *running, *pending), expected);
    }

    #[test]
    fn a_rollout_takes_looks_and_each_fault_is_seen_as_it_is_at_aws() {
        let Some(aws) = Aws::start() else { return };
        aws.ecs("CreateCluster", &json!({"clusterName": "c"}));
        let (first, second) = (definition(&aws, "1"), definition(&aws, "2"));
        let configuration = json!({"minimumHealthyPercent": 0, "maximumPercent": 100});
        let input = json!({"cluster": "c", "serviceName": NAME, "taskDefinition": first, "desiredCount": 2,
            "deploymentConfiguration": configuration});
        aws.ecs("CreateService", &input);
        is(look(&aws), (1, "COMPLETED", "1", 2, 0));
        let kept = aws.moment();
        let update = |faults: &[Fault]| {
            aws.back_to(&kept);
            aws.faults(faults);
            aws.ecs("UpdateService", &json!({"cluster": "c", "service": NAME, "taskDefinition": second}));
        };
        // The former tasks are gone before the new ones are there, because none has to stay.
        update(&[Fault::Late(2)]);
        is(look(&aws), (2, "IN_PROGRESS", "2", 0, 2));
        is(look(&aws), (2, "IN_PROGRESS", "2", 0, 2));
        is(look(&aws), (1, "COMPLETED", "2", 2, 0));
        assert_eq!(aws.image(NAME), "registry/worker:2");
        update(&[Fault::Late(0), Fault::Dying("worker")]);
        is(look(&aws), (2, "IN_PROGRESS", "2", 0, 2));
        update(&[Fault::Late(0), Fault::GivenUp("worker")]);
        is(look(&aws), (2, "FAILED", "2", 0, 2));
        update(&[Fault::Late(0), Fault::RolledBack("worker")]);
        is(look(&aws), (1, "COMPLETED", "1", 2, 0));
        update(&[Fault::Late(0), Fault::FlipsBack("worker", 1)]);
        is(look(&aws), (1, "COMPLETED", "2", 2, 0));
        is(look(&aws), (1, "COMPLETED", "1", 2, 0));
        update(&[Fault::Ignored("worker")]);
        is(look(&aws), (1, "COMPLETED", "1", 2, 0));
        // Faults are for the service that they name.
        update(&[Fault::Late(0), Fault::Dying("api")]);
        is(look(&aws), (1, "COMPLETED", "2", 2, 0));
        // An answer that is lost comes after the effect.
        aws.back_to(&kept);
        aws.faults(&[Fault::Late(0), Fault::ReplyLost("worker")]);
        let client = signed(&aws.front.url(), "AmazonEC2ContainerServiceV20141113.UpdateService", "ecs");
        assert!(
            client.post("/", &json!({"cluster": "c", "service": NAME, "taskDefinition": second}).to_string()).is_err()
        );
        is(look(&aws), (1, "COMPLETED", "2", 2, 0));
        aws.faults(&[Fault::OtherImage("worker")]);
        assert!(text(&definition(&aws, "3")).ends_with(":3"));
        // What does not exist is a failure in a good answer.
        let none = aws.ecs("DescribeServices", &json!({"cluster": "c", "services": ["none"]}));
        assert_eq!(
            (none["services"].as_array().unwrap().len(), &none["failures"][0]["reason"]),
            (0, &json!("MISSING"))
        );
    }
}
