//! The stand-in for Jenkins, driven through whole deployments by two published clients that were written for the real
//! one, with an API token and with a password; and its JSON held against what the real one has been seen to send. Knows
//! nothing of what the clients do inside.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::*;
use crate::parts;

fn driven(client: &str, jenkins: &Jenkins, secret: &str, image_tag: &str) -> Option<Value> {
    // The system's Python has no clients.
    let python = parts::folder().join("python/bin/python3");
    if !python.is_file() {
        parts::programs(["the Python of target/parts"]);
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standins/jenkins/clients.py");
    let mut command = Command::new(python);
    command.arg("-I").arg(script).args([client, &jenkins.url(), USER, secret, image_tag]).env_clear();
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{client}: {told}");
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{client}: no JSON; {told}")))
}

fn deployed(jenkins: &Jenkins, image_tag: &str) {
    let state = jenkins.state();
    let deployed: Vec<&str> = state.deployments.iter().map(|one| one.job.as_str()).collect();
    assert_eq!(deployed, ["balrog-admin-production", "balrog-production", "balrog-agent-production"]);
    assert!(state.deployments.iter().all(|one| one.image_tag == image_tag));
}

const JOBS: [&str; 5] = [
    "gcp-pipelines",
    "gcp-pipelines/balrog",
    "gcp-pipelines/balrog/balrog-admin-production",
    "gcp-pipelines/balrog/balrog-agent-production",
    "gcp-pipelines/balrog/balrog-production",
];

#[test]
fn python_jenkins_deploys_with_a_password_and_a_crumb() {
    let jenkins = Jenkins::start(Job::balrog(), vec![]);
    let Some(seen) = driven("python-jenkins", &jenkins, PASSWORD, "v3.20") else { return };
    deployed(&jenkins, "v3.20");
    assert_eq!((&seen["who"], &seen["version"], &seen["missing"]), (&json!(USER), &json!("2.516.2"), &json!(false)));
    assert_eq!(seen["jobs"], json!(JOBS));
    assert_eq!(seen["without_crumb"], "403");
    let public =
        json!({"number": 41, "result": "SUCCESS", "stages": "SUCCESS", "inputs": ["PROD: PROCEED", "PROD: PROMOTE"]});
    assert_eq!(seen["balrog-production"], public);
    // Each answer came with the crumb of one session.
    let posts = jenkins.requests_of("POST", "proceedEmpty");
    assert!(posts.len() == 4 && posts.iter().all(|one| one.header("jenkins-crumb").is_some()));
}

#[test]
fn python_jenkins_deploys_with_a_token() {
    let jenkins = Jenkins::start(Job::balrog(), vec![Fault::CrumbIssuerOff]);
    let Some(seen) = driven("python-jenkins", &jenkins, TOKEN, "v3.20") else { return };
    deployed(&jenkins, "v3.20");
    assert_eq!(seen["without_crumb"], "built");
}

#[test]
fn api4jenkins_deploys_with_a_token_and_with_a_password() {
    for secret in [TOKEN, PASSWORD] {
        let jenkins = Jenkins::start(Job::balrog(), vec![]);
        let Some(seen) = driven("api4jenkins", &jenkins, secret, "v3.20") else { return };
        deployed(&jenkins, "v3.20");
        assert_eq!((&seen["version"], &seen["exists"]), (&json!("2.516.2"), &json!(true)));
        let public = json!({"number": 41, "result": "SUCCESS", "inputs": [BOOTSTRAP, PROMOTE]});
        assert_eq!(seen["balrog-production"], public);
        assert_eq!(seen["twice"], "400 This input has been already given");
        let rest = (&seen["aborted"], &seen["cancelled"], &seen["wrong_password"]);
        assert_eq!(rest, (&json!("ABORTED"), &json!(true), &json!("401")));
    }
}

/// What an answer of the real one has held, by name and kind of value, as published recordings of it show: `?` where it
/// may be null. Nothing that was seen may be missing here, and nothing may be of another kind.
fn holds(what: &str, body: &Value, seen: &str) {
    for entry in seen.split_whitespace() {
        let (name, kind) = entry.split_once(':').unwrap();
        let value = body.get(name).unwrap_or_else(|| panic!("{what} has no {name}: {body}"));
        let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
        let fits = match kind {
            "text" => value.is_string(),
            "number" => value.is_u64(),
            "bool" => value.is_boolean(),
            "list" => value.is_array(),
            "map" => value.is_object(),
            _ => value.is_null(),
        };
        assert!(fits || (nullable && value.is_null()), "{what}: {name} is no {kind}: {value}");
    }
}

#[test]
fn its_json_has_the_shape_of_recorded_answers() {
    let jenkins = Jenkins::start(Job::balrog(), vec![]);
    let client = jenkins.client();
    let get = |path: &str| client.get(path).unwrap().json();
    let job = "/job/gcp-pipelines/job/balrog/job/balrog-production";
    let queued = client.post(&format!("{job}/buildWithParameters?ImageTag=v3.20"), "").unwrap();
    let item = format!("{}api/json", queued.header("location").unwrap());
    let any_item = "_class:text actions:list blocked:bool buildable:bool id:number inQueueSince:number params:text \
                    stuck:bool task:map url:text why:text?";
    let waiting = get(&item);
    holds("a waiting item", &waiting, &format!("{any_item} timestamp:number"));
    holds("its task", &waiting["task"], "_class:text name:text url:text color:text");
    holds("a buildable item", &get(&item), &format!("{any_item} buildableStartMilliseconds:number pending:bool"));
    holds("an item that has left", &get(&item), &format!("{any_item} cancelled:bool executable:map"));
    holds("the queue", &get("/queue/api/json"), "_class:text discoverableItems:list items:list");
    let cause = "_class:text shortDescription:text userId:text userName:text";
    let run = get(&format!("{job}/41/api/json"));
    holds(
        "a run",
        &run,
        "_class:text actions:list artifacts:list building:bool description:text? displayName:text \
        duration:number estimatedDuration:number executor:map? fullDisplayName:text id:text keepLog:bool number:number \
        queueId:number result:text? timestamp:number url:text changeSets:list culprits:list nextBuild:map? previousBuild:map?",
    );
    holds("its cause", &run["actions"][0]["causes"][0], cause);
    let parameters = &run["actions"][2]["parameters"];
    holds("a parameter", &parameters[0], "_class:text name:text value:text");
    let shown = get(&format!("{job}/api/json"));
    holds(
        "a job",
        &shown,
        "_class:text actions:list description:text displayName:text displayNameOrNull:text? \
        fullDisplayName:text fullName:text name:text url:text buildable:bool builds:list color:text firstBuild:map \
        healthReport:list inQueue:bool keepDependencies:bool lastBuild:map lastCompletedBuild:map? lastFailedBuild:map? \
        lastStableBuild:map? lastSuccessfulBuild:map? lastUnstableBuild:map? lastUnsuccessfulBuild:map? \
        nextBuildNumber:number property:list queueItem:map? concurrentBuild:bool resumeBlocked:bool",
    );
    (0..3).for_each(|_| drop(get(&format!("{job}/41/wfapi/describe"))));
    let described = get(&format!("{job}/41/wfapi/describe"));
    holds(
        "a described run",
        &described,
        "_links:map id:text name:text status:text startTimeMillis:number \
        endTimeMillis:number durationMillis:number queueDurationMillis:number pauseDurationMillis:number stages:list",
    );
    assert_eq!(described["status"], "PAUSED_PENDING_INPUT");
    holds("its links", &described["_links"], "self:map pendingInputActions:map");
    holds(
        "a stage",
        &described["stages"][0],
        "_links:map id:text name:text execNode:text status:text \
        startTimeMillis:number durationMillis:number pauseDurationMillis:number",
    );
    let pending = get(&format!("{job}/41/wfapi/pendingInputActions"));
    holds(
        "a pending input",
        &pending[0],
        "id:text proceedText:text message:text inputs:list proceedUrl:text abortUrl:text \
        redirectApprovalUrl:text",
    );
    let entry = get(&format!("{job}/wfapi"));
    holds("the stage view of a job", &entry, "_links:map name:text runCount:number");
    holds("its links", &entry["_links"], "self:map runs:map");
    // A crumb only for who has a password; its address is the same for all.
    let crumb = get("/crumbIssuer/api/json");
    holds("a crumb", &crumb, "_class:text crumb:text crumbRequestField:text");
}
