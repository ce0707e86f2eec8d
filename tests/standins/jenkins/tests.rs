//! The stand-in for Jenkins, driven as a client would drive it.

use serde_json::{Value, json};

use super::{BOOTSTRAP, Fault, Input, Jenkins, Job, PASSWORD, PROMOTE, TOKEN, USER, VIEWER, VIEWER_TOKEN};
use crate::standins::client::{Answer, Client};
use crate::standins::server::On;

const ADMIN: &str = "/job/gcp-pipelines/job/balrog/job/balrog-admin-production";
const PUBLIC: &str = "/job/gcp-pipelines/job/balrog/job/balrog-production";
const BOOTSTRAP_ID: &str = "9b7142b4d6d18b62d51ac1828c0d8290";
const TREE: &str = "api/json?tree=building,inProgress,result,number,queueId,actions[parameters[name,value]]";

fn balrog(faults: Vec<Fault>) -> Jenkins {
    Jenkins::start(Job::balrog(), faults)
}

fn get(jenkins: &Jenkins, path: &str) -> Answer {
    jenkins.client().get(path).unwrap()
}

fn post(jenkins: &Jenkins, path: &str) -> Answer {
    jenkins.client().post(path, "").unwrap()
}

/// Queues a run, waits for it and returns its path.
fn start(jenkins: &Jenkins, job: &str, image: &str) -> String {
    let queued = post(jenkins, &format!("{job}/buildWithParameters?ImageTag={image}"));
    assert_eq!(queued.status, 201);
    let item = format!("{}api/json", queued.header("location").unwrap());
    for _ in 0..20 {
        let body = get(jenkins, &item).json();
        if let Some(number) = body["executable"]["number"].as_u64() {
            return format!("{job}/{number}");
        }
    }
    panic!("the item did not leave the queue")
}

fn status(jenkins: &Jenkins, run: &str) -> String {
    get(jenkins, &format!("{run}/wfapi/describe")).json()["status"].as_str().unwrap().to_owned()
}

fn until(jenkins: &Jenkins, run: &str, wanted: &str) {
    let seen: Vec<String> = (0..20).map(|_| status(jenkins, run)).take_while(|seen| seen != wanted).collect();
    assert!(seen.len() < 20, "never {wanted}: {seen:?}");
}

/// Looks at the run until it has ended, and returns its result.
fn ended(jenkins: &Jenkins, run: &str) -> Value {
    for _ in 0..20 {
        let body = get(jenkins, &format!("{run}/{TREE}")).json();
        if body["building"] == false {
            return body["result"].clone();
        }
    }
    panic!("the run did not end")
}

fn proceed(jenkins: &Jenkins, run: &str) -> Answer {
    let pending = get(jenkins, &format!("{run}/wfapi/pendingInputActions")).json();
    post(jenkins, &format!("{run}/input/{}/proceedEmpty", pending[0]["id"].as_str().unwrap()))
}

fn deployed(jenkins: &Jenkins, job: &str) -> Option<String> {
    jenkins.state().deployed.get(job).cloned()
}

#[test]
fn ids_of_inputs_are_made_as_jenkins_makes_them() {
    let id = |message: &str, declared: Option<&str>| {
        let id = declared.map(str::to_owned);
        Input { message: message.into(), id, proceed_text: String::new(), inputs: vec![], submitter: None }.id()
    };
    assert_eq!(id("Is the build okay?", None), "Ef95dd500ae6ed3b27b89fb852296d12");
    assert_eq!(id(BOOTSTRAP, None), BOOTSTRAP_ID);
    assert_eq!(id("anything", Some("run-tests")), "Run-tests");
}

#[test]
fn tokens_passwords_and_rights() {
    let jenkins = balrog(vec![]);
    let anonymous = Client::new(&jenkins.url());
    let job = format!("{ADMIN}/api/json");
    assert_eq!(anonymous.get(&job).unwrap().status, 403);
    assert_eq!(anonymous.basic(USER, "wrong").get(&job).unwrap().status, 401);
    let seen = anonymous.basic(USER, TOKEN).get(&job).unwrap();
    assert_eq!((seen.status, seen.header("x-jenkins").is_some()), (200, true));
    let viewer = anonymous.basic(VIEWER, VIEWER_TOKEN);
    assert_eq!(viewer.get(&job).unwrap().status, 200);
    assert_eq!(viewer.post(&format!("{ADMIN}/buildWithParameters"), "").unwrap().status, 403);
    assert!(jenkins.state().queue.is_empty());
}

#[test]
fn a_password_needs_a_crumb_of_its_own_session() {
    let jenkins = balrog(vec![]);
    let client = Client::new(&jenkins.url()).basic(USER, PASSWORD);
    let build = format!("{ADMIN}/buildWithParameters");
    let refused = client.post(&build, "").unwrap();
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("No valid crumb was included in the request"));
    let issued = client.get("/crumbIssuer/api/json").unwrap();
    assert_eq!(issued.json()["crumbRequestField"], "Jenkins-Crumb");
    let crumb = client.header("Jenkins-Crumb", issued.json()["crumb"].as_str().unwrap());
    assert_eq!(crumb.post(&build, "").unwrap().status, 403);
    let session = issued.header("set-cookie").unwrap().split(';').next().unwrap();
    assert_eq!(crumb.header("Cookie", session).post(&build, "").unwrap().status, 201);
    let off = balrog(vec![Fault::CrumbIssuerOff]);
    let client = Client::new(&off.url()).basic(USER, PASSWORD);
    assert_eq!(client.get("/crumbIssuer/api/json").unwrap().status, 404);
    assert_eq!(client.post(&build, "").unwrap().status, 201);
}

#[test]
fn what_a_build_request_may_be_answered() {
    let mut plain = Job::agent();
    plain.parameters.clear();
    let mut disabled = Job::public();
    disabled.disabled = true;
    let jenkins = Jenkins::start(vec![Job::admin(), plain, disabled], vec![]);
    let wrong = get(&jenkins, &format!("{ADMIN}/buildWithParameters?ImageTag=v3.10"));
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    assert_eq!(post(&jenkins, &format!("{}/buildWithParameters", ADMIN.replace("admin", "agent"))).status, 400);
    assert_eq!(post(&jenkins, &format!("{PUBLIC}/buildWithParameters")).status, 409);
    assert_eq!(post(&jenkins, "/job/none/buildWithParameters").status, 404);
    let first = post(&jenkins, &format!("{ADMIN}/buildWithParameters?ImageTag=v3.10"));
    let location = first.header("location").unwrap().to_owned();
    assert!(location.ends_with('/') && location.contains("/queue/item/"));
    let form = jenkins.client().header("Content-Type", "application/x-www-form-urlencoded");
    let again = form.post(&format!("{ADMIN}/buildWithParameters"), "ImageTag=v3.10").unwrap();
    assert_eq!((again.status, again.header("location")), (303, Some(location.as_str())));
    let other = post(&jenkins, &format!("{ADMIN}/buildWithParameters?ImageTag=v3.08"));
    assert_ne!(other.header("location"), Some(location.as_str()));
    assert_eq!(get(&jenkins, &location).status, 404);
}

#[test]
fn unknown_parameters_are_ignored_and_missing_ones_take_their_defaults() {
    let jenkins = balrog(vec![]);
    let queued = post(&jenkins, &format!("{ADMIN}/buildWithParameters?imageTag=v3.10&delay=0sec"));
    assert_eq!(queued.status, 201);
    (0..3).for_each(|_| drop(get(&jenkins, &format!("{ADMIN}/api/json"))));
    let run = get(&jenkins, &format!("{ADMIN}/lastBuild/{TREE}")).json();
    let parameters = run["actions"].as_array().unwrap().iter().find_map(|action| action["parameters"].as_array());
    assert_eq!(parameters.unwrap()[0]["value"], "latest");
    assert!(parameters.unwrap().iter().all(|parameter| parameter["name"] != "imageTag"));
    assert!(run["actions"].as_array().unwrap().contains(&json!({})));
}

#[test]
fn an_item_waits_is_buildable_leaves_and_is_forgotten() {
    let jenkins = balrog(vec![]);
    let queued = post(&jenkins, &format!("{ADMIN}/buildWithParameters?ImageTag=v3.10"));
    let item = format!("{}api/json", queued.header("location").unwrap());
    let bodies: Vec<Value> = (0..3).map(|_| get(&jenkins, &item).json()).collect();
    let classes: Vec<&str> = bodies.iter().map(|body| body["_class"].as_str().unwrap()).collect();
    assert_eq!(
        classes,
        ["hudson.model.Queue$WaitingItem", "hudson.model.Queue$BuildableItem", "hudson.model.Queue$LeftItem"]
    );
    let (number, queue_id) = (&bodies[2]["executable"]["number"], &bodies[2]["id"]);
    assert_eq!(bodies[2]["executable"]["url"], json!(format!("{}{ADMIN}/{number}/", jenkins.url())));
    for _ in 0..10 {
        get(&jenkins, &format!("{ADMIN}/{number}/api/json"));
    }
    assert_eq!(get(&jenkins, &item).status, 404);
    let found = get(&jenkins, &format!("{ADMIN}/api/json?tree=builds[number,queueId]")).json();
    assert_eq!((&found["builds"][0]["number"], &found["builds"][0]["queueId"]), (number, queue_id));
    assert_eq!(get(&jenkins, &format!("{ADMIN}/api/json")).json()["builds"][0].get("queueId"), None);
    // After it has left, the same request is a new one.
    let again = post(&jenkins, &format!("{ADMIN}/buildWithParameters?ImageTag=v3.10"));
    assert_eq!(again.status, 201);
    let id = jenkins.state().queue.last().unwrap().id;
    assert_eq!(post(&jenkins, &format!("/queue/cancelItem?id={id}")).status, 204);
    let cancelled = get(&jenkins, &format!("/queue/item/{id}/api/json")).json();
    assert_eq!((&cancelled["cancelled"], &cancelled["executable"]), (&json!(true), &Value::Null));
}

#[test]
fn admin_asks_once_and_is_deployed_when_it_has_succeeded() {
    let jenkins = balrog(vec![]);
    let run = start(&jenkins, ADMIN, "v3.10");
    let first = get(&jenkins, &format!("{run}/wfapi/describe")).json();
    assert_eq!((&first["status"], first["stages"].as_array().unwrap().len()), (&json!("IN_PROGRESS"), 1));
    assert_eq!(first["_links"].get("pendingInputActions"), None);
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    let paused = get(&jenkins, &format!("{run}/wfapi/describe")).json();
    assert_eq!(paused["stages"][1]["name"], "PROD: PROCEED");
    assert_eq!(paused["stages"][1]["status"], "PAUSED_PENDING_INPUT");
    let href = &paused["_links"]["pendingInputActions"]["href"];
    assert_eq!(href, &json!(format!("{run}/wfapi/pendingInputActions")));
    let pending = get(&jenkins, href.as_str().unwrap()).json();
    assert_eq!((&pending[0]["id"], &pending[0]["message"]), (&json!(BOOTSTRAP_ID), &json!(BOOTSTRAP)));
    assert_eq!(pending[0]["proceedUrl"], json!(format!("{run}/wfapi/inputSubmit?inputId={BOOTSTRAP_ID}")));
    assert_eq!(get(&jenkins, &format!("{run}/wfapi/nextPendingInputAction")).json(), pending[0]);
    let body = get(&jenkins, &format!("{run}/{TREE}")).json();
    assert_eq!((&body["building"], &body["result"]), (&json!(true), &Value::Null));
    let address = format!("{run}/input/{BOOTSTRAP_ID}/proceedEmpty");
    assert_eq!(get(&jenkins, &address).status, 405);
    let answered = post(&jenkins, &address);
    assert_eq!((answered.status, answered.text().as_str()), (200, ""));
    // Settled: known as such until the next look, forgotten after it.
    let twice = post(&jenkins, &address);
    assert_eq!(twice.status, 400);
    assert!(twice.text().contains("This input has been already given"));
    assert_eq!(get(&jenkins, &format!("{run}/wfapi/pendingInputActions")).json(), json!([]));
    assert_eq!(get(&jenkins, &format!("{run}/wfapi/nextPendingInputAction")).json(), Value::Null);
    assert_eq!(post(&jenkins, &address).status, 404);
    assert_eq!(deployed(&jenkins, "balrog-admin-production"), None);
    assert_eq!(ended(&jenkins, &run), "SUCCESS");
    assert_eq!(deployed(&jenkins, "balrog-admin-production").as_deref(), Some("v3.10"));
    assert_eq!(status(&jenkins, &run), "SUCCESS");
    assert_eq!(jenkins.state().answers.len(), 1);
}

#[test]
fn a_result_can_be_there_before_the_run_has_ended() {
    let jenkins = balrog(vec![]);
    let run = start(&jenkins, ADMIN, "v3.10");
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    proceed(&jenkins, &run);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let body = get(&jenkins, &format!("{run}/{TREE}")).json();
        seen.push((body["building"].as_bool().unwrap(), body["result"].clone()));
    }
    assert!(seen.contains(&(true, json!("SUCCESS"))), "{seen:?}");
    assert_eq!(seen.last(), Some(&(false, json!("SUCCESS"))));
}

#[test]
fn the_public_job_goes_through_a_canary_and_asks_twice() {
    let jenkins = balrog(vec![]);
    let run = start(&jenkins, PUBLIC, "v3.10");
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    assert_eq!(proceed(&jenkins, &run).status, 200);
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    assert_eq!(jenkins.state().canary["balrog-production"], "v3.10");
    assert_eq!(deployed(&jenkins, "balrog-production"), None);
    let pending = get(&jenkins, &format!("{run}/wfapi/pendingInputActions")).json();
    assert_eq!(pending[0]["message"], PROMOTE);
    assert_ne!(pending[0]["id"], BOOTSTRAP_ID);
    let described = get(&jenkins, &format!("{run}/wfapi/describe")).json();
    assert_eq!(described["stages"][2]["name"], "PROD: PROMOTE");
    assert_eq!(post(&jenkins, &format!("{run}/input/{BOOTSTRAP_ID}/proceedEmpty")).status, 404);
    assert_eq!(proceed(&jenkins, &run).status, 200);
    assert_eq!(ended(&jenkins, &run), "SUCCESS");
    assert_eq!(deployed(&jenkins, "balrog-production").as_deref(), Some("v3.10"));
    assert!(jenkins.state().canary.is_empty());
}

#[test]
fn an_abort_ends_the_run_and_deploys_nothing() {
    let jenkins = balrog(vec![]);
    let run = start(&jenkins, PUBLIC, "v3.10");
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    assert_eq!(post(&jenkins, &format!("{run}/input/{BOOTSTRAP_ID}/abort")).status, 200);
    assert_eq!(ended(&jenkins, &run), "ABORTED");
    assert_eq!(status(&jenkins, &run), "ABORTED");
    assert!(jenkins.state().deployed.is_empty() && jenkins.state().canary.is_empty());
    let stopped = start(&jenkins, PUBLIC, "v3.10");
    assert_eq!(post(&jenkins, &format!("{stopped}/stop")).status, 302);
    assert_eq!(ended(&jenkins, &stopped), "ABORTED");
}

#[test]
fn the_other_ways_to_answer_an_input() {
    let mut job = Job::admin();
    let input = job.stages[1].input.as_mut().unwrap();
    input.inputs = vec![json!({"type": "BooleanParameterDefinition", "name": "really", "description": "",
        "definition": {"defaultVal": false}})];
    let jenkins = Jenkins::start(vec![job], vec![]);
    let form = jenkins.client().header("Content-Type", "application/x-www-form-urlencoded");
    let submit = |run: &str, id: &str| {
        let json = "json=%7B%22parameter%22%3A%5B%7B%22name%22%3A%22really%22%2C%22value%22%3Atrue%7D%5D%7D";
        form.post(&format!("{run}/wfapi/inputSubmit?inputId={id}"), json).unwrap().status
    };
    let runs: Vec<String> = ["a", "b", "c"].map(|image| start(&jenkins, ADMIN, image)).to_vec();
    runs.iter().for_each(|run| until(&jenkins, run, "PAUSED_PENDING_INPUT"));
    assert_eq!((submit(&runs[0], "Unknown"), submit(&runs[0], BOOTSTRAP_ID)), (500, 200));
    let page = form.post(&format!("{}/input/{BOOTSTRAP_ID}/submit", runs[1]), "proceed=Proceed").unwrap();
    assert_eq!(page.status, 302);
    // The short way leaves the parameters without any value, not with their defaults.
    assert_eq!(proceed(&jenkins, &runs[2]).status, 200);
    let values: Vec<Option<Value>> = jenkins.state().answers.iter().map(|answer| answer.values.clone()).collect();
    assert_eq!(values, [Some(json!([{"name": "really", "value": true}])), None, None]);
}

#[test]
fn who_may_not_answer_is_told_so_in_html() {
    let mut job = Job::admin();
    job.stages[1].input.as_mut().unwrap().submitter = Some("relengers".into());
    let jenkins = Jenkins::start(vec![job], vec![]);
    let run = start(&jenkins, ADMIN, "v3.10");
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    let refused = proceed(&jenkins, &run);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("You need to be relengers to submit this."));
    assert!(jenkins.state().answers.is_empty());
}

#[test]
fn the_topmost_row_may_be_the_run_of_somebody_else() {
    let jenkins = balrog(vec![]);
    let mine = start(&jenkins, PUBLIC, "v3.10");
    until(&jenkins, &mine, "PAUSED_PENDING_INPUT");
    let foreign = jenkins.pause_foreign_run("balrog-production", "v3.08");
    let rows = get(&jenkins, &format!("{PUBLIC}/wfapi/runs")).json();
    assert_eq!(rows[0]["name"], json!(format!("#{foreign}")));
    assert_eq!(
        (&rows[0]["status"], &rows[1]["status"]),
        (&json!("PAUSED_PENDING_INPUT"), &json!("PAUSED_PENDING_INPUT"))
    );
    // Both wait under the same id; only the number of the run tells them apart.
    let last = format!("{PUBLIC}/lastBuild");
    assert_eq!(get(&jenkins, &format!("{last}/wfapi/pendingInputActions")).json()[0]["id"], BOOTSTRAP_ID);
    assert!(get(&jenkins, &format!("{last}/{TREE}")).text().contains("v3.08"));
    assert_eq!(proceed(&jenkins, &mine).status, 200);
    let state = jenkins.state();
    assert_ne!(state.answers[0].build, foreign);
}

#[test]
fn the_log_comes_in_pieces() {
    let jenkins = balrog(vec![]);
    let run = start(&jenkins, ADMIN, "v3.10");
    until(&jenkins, &run, "PAUSED_PENDING_INPUT");
    let first = get(&jenkins, &format!("{run}/logText/progressiveText?start=0"));
    assert!(first.text().contains(BOOTSTRAP));
    assert_eq!(first.header("x-more-data"), Some("true"));
    let size = first.header("x-text-size").unwrap().to_owned();
    proceed(&jenkins, &run);
    ended(&jenkins, &run);
    let rest = get(&jenkins, &format!("{run}/logText/progressiveText?start={size}"));
    assert_eq!(rest.header("x-more-data"), None);
    assert_eq!(get(&jenkins, &format!("{run}/consoleText")).text(), format!("{}{}", first.text(), rest.text()));
    assert!(rest.text().ends_with("Finished: SUCCESS\n"));
}

mod faults {
    use super::*;

    fn run_through(jenkins: &Jenkins) -> Value {
        let run = start(jenkins, ADMIN, "v3.10");
        until(jenkins, &run, "PAUSED_PENDING_INPUT");
        assert_eq!(proceed(jenkins, &run).status, 200);
        ended(jenkins, &run)
    }

    #[test]
    fn everything_comes_late() {
        let jenkins = balrog(vec![Fault::Late { looks: 3 }]);
        let queued = post(&jenkins, &format!("{ADMIN}/buildWithParameters"));
        let item = format!("{}api/json", queued.header("location").unwrap());
        let left = (1..20).find(|_| get(&jenkins, &item).json()["executable"].is_object());
        assert_eq!(left, Some(6));
        assert_eq!(run_through(&jenkins), "SUCCESS");
    }

    #[test]
    fn a_run_is_queued_though_the_reply_is_lost() {
        let jenkins = balrog(vec![Fault::ReplyLost { on: On::of("POST", "buildWithParameters"), times: 1 }]);
        let build = format!("{ADMIN}/buildWithParameters?ImageTag=v3.10");
        assert!(jenkins.client().post(&build, "").is_err());
        // Asked again while the first still waits, Jenkins names that one.
        assert_eq!(post(&jenkins, &build).status, 303);
        (0..3).for_each(|_| drop(get(&jenkins, &format!("{ADMIN}/api/json"))));
        let runs = get(&jenkins, &format!("{ADMIN}/api/json?tree=builds[number,queueId]")).json();
        assert_eq!(runs["builds"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_answer_counts_though_the_reply_is_lost() {
        let jenkins = balrog(vec![Fault::ReplyLost { on: On::of("POST", "proceedEmpty"), times: 1 }]);
        let run = start(&jenkins, ADMIN, "v3.10");
        until(&jenkins, &run, "PAUSED_PENDING_INPUT");
        let address = format!("{run}/input/{BOOTSTRAP_ID}/proceedEmpty");
        assert!(jenkins.client().post(&address, "").is_err());
        assert_eq!(ended(&jenkins, &run), "SUCCESS");
    }

    #[test]
    fn the_run_has_another_image() {
        let jenkins = balrog(vec![Fault::WrongImageTag { job: "admin", times: 1 }]);
        let run = start(&jenkins, ADMIN, "v3.10");
        assert!(!get(&jenkins, &format!("{run}/{TREE}")).text().contains("v3.10"));
        assert!(get(&jenkins, &format!("{run}/{TREE}")).text().contains("latest"));
        let second = start(&jenkins, ADMIN, "v3.10");
        assert!(get(&jenkins, &format!("{second}/{TREE}")).text().contains("v3.10"));
    }

    #[test]
    fn the_item_is_gone_before_it_was_seen_to_leave() {
        let jenkins = balrog(vec![Fault::ItemGone { job: "" }]);
        let queued = post(&jenkins, &format!("{ADMIN}/buildWithParameters?ImageTag=v3.10"));
        let item = format!("{}api/json", queued.header("location").unwrap());
        let seen: Vec<u16> = (0..3).map(|_| get(&jenkins, &item).status).collect();
        assert_eq!(seen, [200, 200, 404]);
        let runs = get(&jenkins, &format!("{ADMIN}/api/json?tree=builds[number,queueId]")).json();
        assert!(item.contains(&runs["builds"][0]["queueId"].to_string()));
    }

    #[test]
    fn a_result_flips() {
        let jenkins = balrog(vec![Fault::ResultFlips { job: "admin", times: 1 }]);
        let run = start(&jenkins, ADMIN, "v3.10");
        until(&jenkins, &run, "PAUSED_PENDING_INPUT");
        proceed(&jenkins, &run);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let body = get(&jenkins, &format!("{run}/{TREE}")).json();
            seen.push((body["building"].clone(), body["result"].clone()));
        }
        assert!(seen.contains(&(json!(true), json!("SUCCESS"))));
        assert_eq!(seen.last().unwrap(), &(json!(false), json!("FAILURE")));
        assert_eq!((status(&jenkins, &run), deployed(&jenkins, "balrog-admin-production")), ("FAILED".into(), None));
    }

    #[test]
    fn a_run_fails_and_the_next_one_does_not() {
        let jenkins = balrog(vec![Fault::BuildFails { job: "", times: 1 }]);
        assert_eq!((run_through(&jenkins), run_through(&jenkins)), (json!("FAILURE"), json!("SUCCESS")));
        assert_eq!(jenkins.state().deployments.len(), 1);
    }

    #[test]
    fn somebody_aborts_the_run() {
        let jenkins = balrog(vec![Fault::Aborted { job: "", times: 1 }]);
        let run = start(&jenkins, ADMIN, "v3.10");
        until(&jenkins, &run, "PAUSED_PENDING_INPUT");
        assert_eq!(status(&jenkins, &run), "PAUSED_PENDING_INPUT");
        assert_eq!(post(&jenkins, &format!("{run}/input/{BOOTSTRAP_ID}/proceedEmpty")).status, 400);
        assert_eq!(ended(&jenkins, &run), "ABORTED");
        assert_eq!(jenkins.state().answers[0].user, "somebody-else");
    }

    #[test]
    fn somebody_answers_first() {
        let jenkins = balrog(vec![Fault::InputGone { job: "", times: 1 }]);
        let run = start(&jenkins, ADMIN, "v3.10");
        until(&jenkins, &run, "PAUSED_PENDING_INPUT");
        let late = proceed(&jenkins, &run);
        assert_eq!(late.status, 400);
        assert!(late.text().contains("already given"));
        assert_eq!(ended(&jenkins, &run), "SUCCESS");
        assert_eq!(jenkins.state().answers.len(), 1);
    }

    #[test]
    fn server_errors_come_with_and_without_the_effect() {
        let on = On::of("POST", "buildWithParameters");
        let build = format!("{ADMIN}/buildWithParameters");
        for (effect, then) in [(false, 201), (true, 303)] {
            let jenkins = balrog(vec![Fault::ServerError { on: on.clone(), times: 1, effect }]);
            assert_eq!((post(&jenkins, &build).status, post(&jenkins, &build).status), (500, then));
        }
    }

    #[test]
    fn a_newer_run_of_somebody_else_waits_at_the_same_input() {
        let jenkins = balrog(vec![Fault::ForeignRunPaused { job: "balrog-production", image_tag: "v3.08" }]);
        let mine = start(&jenkins, PUBLIC, "v3.10");
        until(&jenkins, &mine, "PAUSED_PENDING_INPUT");
        let rows = get(&jenkins, &format!("{PUBLIC}/wfapi/runs")).json();
        assert_eq!(rows.as_array().unwrap().len(), 2);
        assert!(!mine.ends_with(rows[0]["id"].as_str().unwrap()));
        assert_eq!(rows[0]["status"], "PAUSED_PENDING_INPUT");
    }

    #[test]
    fn a_branch_beside_asks_as_well_or_the_input_wants_a_value() {
        let jenkins = balrog(vec![Fault::SecondInput { job: "admin" }, Fault::WantsValues { job: "admin" }]);
        let run = start(&jenkins, ADMIN, "v3.10");
        until(&jenkins, &run, "PAUSED_PENDING_INPUT");
        let pending = get(&jenkins, &format!("{run}/wfapi/pendingInputActions")).json();
        assert_eq!((&pending[0]["id"], &pending[1]["id"]), (&json!(super::super::BESIDE_ID), &json!(BOOTSTRAP_ID)));
        assert_eq!(
            (pending[0]["inputs"].as_array(), &pending[1]["inputs"][0]["name"]),
            (Some(&vec![]), &json!("really"))
        );
        assert_eq!(post(&jenkins, &format!("{run}/input/{}/proceedEmpty", super::super::BESIDE_ID)).status, 200);
        assert_eq!(status(&jenkins, &run), "PAUSED_PENDING_INPUT");
        assert_eq!(jenkins.state().answers[0].id, super::super::BESIDE_ID);
    }

    #[test]
    fn a_token_stops_to_be_accepted() {
        let jenkins = balrog(vec![Fault::Unauthorized { on: On::of("POST", "") }]);
        assert_eq!(get(&jenkins, &format!("{ADMIN}/api/json")).status, 200);
        assert_eq!(post(&jenkins, &format!("{ADMIN}/buildWithParameters")).status, 401);
    }

    #[test]
    fn the_root_address_may_be_another_one() {
        let jenkins = balrog(vec![Fault::OtherRootUrl("https://ops-master.example.org".into())]);
        let queued = post(&jenkins, &format!("{ADMIN}/buildWithParameters"));
        assert!(queued.header("location").unwrap().starts_with("https://ops-master.example.org/queue/item/"));
    }
}
