//! What the stand-in for Jenkins shows: the JSON of jobs, runs, queue items, stages and inputs. It changes nothing but
//! the place of an item in the queue, which a look at it moves on.

use serde_json::{Value, json};

use super::builds::{Build, Item, Phase};
use super::{State, job_path, page, tree};
use crate::standins::server::{Recorded, Reply};

/// The time of the first run; later ones follow by the minute.
const BEGIN: u64 = 1_758_110_400_000;

impl State {
    pub(super) fn show_item(&mut self, id: &str) -> Reply {
        let Some(item) = self.queue.iter().find(|item| item.id.to_string() == id) else {
            return page(404, "Not Found");
        };
        let (id, body) = (item.id, self.item_body(item));
        self.advance_item(id);
        Reply::json(200, &body)
    }

    pub(super) fn show_queue(&mut self, request: &Recorded) -> Reply {
        let waiting: Vec<&Item> = self.queue.iter().filter(|item| !item.has_left()).collect();
        let items: Vec<Value> = waiting.iter().map(|item| self.item_body(item)).collect();
        let body = json!({"_class": "hudson.model.Queue", "discoverableItems": [], "items": items});
        (0..self.jobs.len()).for_each(|job| self.advance_queue_of(job));
        Reply::json(200, &tree::shown(body, request.query("tree")))
    }

    fn item_body(&self, item: &Item) -> Value {
        let job = &self.jobs[item.job];
        let color = if item.has_left() { "blue_anime" } else { "blue" };
        let mut body = json!({
            "_class": "", "actions": [cause(&item.user), parameters(&item.parameters)],
            "blocked": false, "buildable": false, "id": item.id, "inQueueSince": BEGIN,
            "params": item.parameters.iter().map(|(name, value)| format!("\n{name}={value}")).collect::<String>(),
            "stuck": false,
            "task": {"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": job.path.replace('/', "/job/"),
                "url": self.job_link(item.job), "color": color},
            "url": format!("queue/item/{}/", item.id), "why": null,
        });
        if item.has_left() {
            body["_class"] = json!("hudson.model.Queue$LeftItem");
            body["cancelled"] = json!(item.cancelled);
            body["executable"] = match item.build {
                Some(number) => json!({"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": number,
                    "url": format!("{}{number}/", self.job_link(item.job))}),
                None => Value::Null,
            };
        } else if item.quiet > 0 {
            body["_class"] = json!("hudson.model.Queue$WaitingItem");
            body["why"] = json!("In the quiet period. Expires in 4.6 sec");
            body["timestamp"] = json!(BEGIN + 5_000);
        } else {
            body["_class"] = json!("hudson.model.Queue$BuildableItem");
            body["buildable"] = json!(true);
            body["why"] = json!("Waiting for next available executor");
            body["buildableStartMilliseconds"] = json!(BEGIN + 5_000);
            body["pending"] = json!(false);
        }
        body
    }

    pub(super) fn show_job(&self, job: usize, request: &Recorded) -> Reply {
        let found = &self.jobs[job];
        let mut runs: Vec<usize> = (0..self.builds.len()).filter(|at| self.builds[*at].job == job).collect();
        runs.sort_by_key(|at| std::cmp::Reverse(self.builds[*at].number));
        // Without `tree` or `depth` a run in a list is its number and its address, and no more.
        let deep = request.query("tree").is_some() || request.query("depth").is_some_and(|depth| depth != "0");
        let short = |at: &usize| {
            let number = self.builds[*at].number;
            let url = format!("{}{number}/", self.job_link(job));
            json!({"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": number, "url": url})
        };
        let builds: Vec<Value> = runs.iter().map(|at| if deep { self.build_body(*at) } else { short(at) }).collect();
        let definitions: Vec<Value> =
            found.parameters.iter().map(|(name, default)| definition(name, default)).collect();
        let name = found.name();
        let queued = self.queue.iter().find(|item| item.job == job && !item.has_left());
        let first_of = |wanted: fn(&Build) -> bool| {
            let at = runs.iter().position(|at| wanted(&self.builds[*at]));
            at.map_or(Value::Null, |at| builds[at].clone())
        };
        let color = match runs.first().map(|at| &self.builds[*at]) {
            None => "notbuilt",
            Some(build) if build.building() => "blue_anime",
            Some(_) => "blue",
        };
        let mut body = json!({
            "_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "actions": [{}, {}], "description": "",
            "displayName": name, "displayNameOrNull": null, "fullDisplayName": found.path.replace('/', " » "),
            "fullName": found.path, "name": name, "url": self.job_link(job),
            "buildable": !found.disabled, "builds": builds, "color": color, "firstBuild": builds.last(),
            "healthReport": [], "inQueue": queued.is_some(), "keepDependencies": false,
            "lastBuild": builds.first(),
            "lastCompletedBuild": first_of(|build| !build.building()),
            "lastFailedBuild": first_of(|build| !build.building() && build.result == Some("FAILURE")),
            "lastStableBuild": first_of(|build| !build.building() && build.result == Some("SUCCESS")),
            "lastSuccessfulBuild": first_of(|build| !build.building() && build.result == Some("SUCCESS")),
            "lastUnstableBuild": first_of(|build| !build.building() && build.result == Some("UNSTABLE")),
            "lastUnsuccessfulBuild": first_of(|build| !build.building() && build.result != Some("SUCCESS")),
            "nextBuildNumber": runs.first().map_or(41, |at| self.builds[*at].number + 1),
            "property": [{"_class": "hudson.model.ParametersDefinitionProperty", "parameterDefinitions": definitions}],
            "queueItem": queued.map(|item| self.item_body(item)), "concurrentBuild": true, "resumeBlocked": false,
        });
        // Only who asks for it by name is told of more than the newest hundred.
        if request.query("tree").is_some_and(|tree| tree.contains("allBuilds")) {
            body["allBuilds"] = body["builds"].clone();
        }
        Reply::json(200, &tree::shown(body, request.query("tree")))
    }

    pub(super) fn show_build(&self, at: usize, request: &Recorded) -> Reply {
        Reply::json(200, &tree::shown(self.build_body(at), request.query("tree")))
    }

    fn build_body(&self, at: usize) -> Value {
        let build = &self.builds[at];
        let path = &self.jobs[build.job].path;
        json!({
            "_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun",
            // Most actions export nothing, and a list of actions is full of such empty objects.
            "actions": [cause(&build.user), {}, parameters(&build.parameters), {}, {}],
            "artifacts": [], "building": build.building(), "description": null,
            "displayName": format!("#{}", build.number), "duration": if build.building() { 0 } else { 60_000 },
            "estimatedDuration": 60_000, "executor": if build.building() { json!({}) } else { Value::Null },
            "fullDisplayName": format!("{} #{}", path.replace('/', " » "), build.number),
            "id": build.number.to_string(), "inProgress": build.building(), "keepLog": false,
            "number": build.number, "queueId": build.queue_id, "result": build.result,
            "timestamp": started(build), "url": format!("{}{}/", self.job_link(build.job), build.number),
            "changeSets": [], "culprits": [], "nextBuild": self.beside(at, 1), "previousBuild": self.beside(at, -1),
        })
    }

    /// The run after it or before it, of the same job.
    fn beside(&self, at: usize, by: i64) -> Value {
        let build = &self.builds[at];
        let Some(number) = build.number.checked_add_signed(by) else { return Value::Null };
        let there = self.builds.iter().any(|other| other.job == build.job && other.number == number);
        if !there {
            return Value::Null;
        }
        json!({"number": number, "url": format!("{}{number}/", self.job_link(build.job))})
    }

    /// The entry to the stage view of a job.
    pub(super) fn show_job_stages(&self, job: usize) -> Reply {
        let base = job_path(&self.jobs[job].path);
        let runs = self.builds.iter().filter(|build| build.job == job).count();
        let links =
            json!({"self": {"href": format!("{base}/wfapi/describe")}, "runs": {"href": format!("{base}/wfapi/runs")}});
        Reply::json(200, &json!({"_links": links, "name": self.jobs[job].name(), "runCount": runs}))
    }

    pub(super) fn show_runs(&self, job: usize) -> Reply {
        let mut runs: Vec<usize> = (0..self.builds.len()).filter(|at| self.builds[*at].job == job).collect();
        runs.sort_by_key(|at| std::cmp::Reverse(self.builds[*at].number));
        Reply::json(200, &Value::Array(runs.into_iter().map(|at| self.describe(at)).collect()))
    }

    /// The stage view of a run. A stage appears only once it was reached.
    pub(super) fn describe(&self, at: usize) -> Value {
        let build = &self.builds[at];
        let base = self.run_path(at);
        let mut stages = Vec::new();
        for (number, stage) in self.jobs[build.job].stages.iter().enumerate().take(build.stage + 1) {
            let status = if number < build.stage { "SUCCESS" } else { self.stage_status(build) };
            let id = (6 + 4 * number).to_string();
            stages.push(json!({
                "_links": {"self": {"href": format!("{base}/execution/node/{id}/wfapi/describe")}},
                "id": id, "name": stage.name, "execNode": "", "status": status,
                "startTimeMillis": started(build) + 1_000 * number as u64, "durationMillis": 900,
                "pauseDurationMillis": if stage.input.is_some() { 300 } else { 0 },
            }));
        }
        let mut links = json!({"self": {"href": format!("{base}/wfapi/describe")}});
        if build.phase == Phase::Paused {
            let href = |name: &str| json!({"href": format!("{base}/wfapi/{name}")});
            links["pendingInputActions"] = href("pendingInputActions");
            links["nextPendingInputAction"] = href("nextPendingInputAction");
        }
        json!({
            "_links": links, "id": build.number.to_string(), "name": format!("#{}", build.number),
            "status": self.stage_status(build), "startTimeMillis": started(build), "endTimeMillis": started(build) + 9_000,
            "durationMillis": 9_000, "queueDurationMillis": 5_000, "pauseDurationMillis": 300, "stages": stages,
        })
    }

    /// The words of the stage view differ from those of the run: FAILED, not FAILURE.
    fn stage_status(&self, build: &Build) -> &'static str {
        match (build.phase, build.result) {
            (Phase::Paused, _) => "PAUSED_PENDING_INPUT",
            (_, Some("SUCCESS")) => "SUCCESS",
            (_, Some("ABORTED")) => "ABORTED",
            (_, Some(_)) => "FAILED",
            (_, None) => "IN_PROGRESS",
        }
    }

    /// What a run waits for; it says nothing about the stage.
    pub(super) fn pending(&self, at: usize) -> Vec<Value> {
        let Some(input) = self.waiting_for(at) else { return Vec::new() };
        let base = self.run_path(at);
        let one = |id: &str, message: &str, inputs: &[Value]| {
            json!({
                "id": id, "proceedText": input.proceed_text, "message": message, "inputs": inputs,
                "proceedUrl": format!("{base}/wfapi/inputSubmit?inputId={id}"),
                "abortUrl": format!("{base}/input/{id}/abort"), "redirectApprovalUrl": format!("{base}/input"),
            })
        };
        let value = json!({"type": "BooleanParameterDefinition", "name": "really", "description": "",
            "definition": {"defaultVal": false}});
        let inputs = if self.wants_values(at) { vec![value] } else { input.inputs.clone() };
        let mut found = vec![one(&input.id(), &input.message, &inputs)];
        if self.asks_beside(at) {
            found.insert(0, one(super::BESIDE_ID, super::BESIDE, &[]));
        }
        found
    }

    /// The log from a byte on, and whether more is to come.
    pub(super) fn progressive_text(&self, at: usize, request: &Recorded) -> Reply {
        let build = &self.builds[at];
        let start = request.query("start").and_then(|text| text.parse().ok()).unwrap_or(0);
        let text = build.log.get(start..).unwrap_or_default();
        let reply = Reply::of(200, "text/plain;charset=utf-8", text).with("x-text-size", build.log.len().to_string());
        if build.building() { reply.with("x-more-data", "true") } else { reply }
    }

    fn run_path(&self, at: usize) -> String {
        let build = &self.builds[at];
        format!("{}/{}", job_path(&self.jobs[build.job].path), build.number)
    }

    fn job_link(&self, job: usize) -> String {
        format!("{}{}/", self.root, job_path(&self.jobs[job].path))
    }
}

fn started(build: &Build) -> u64 {
    BEGIN + 60_000 * build.queue_id
}

fn cause(user: &str) -> Value {
    let short = format!("Started by user {user}");
    json!({"_class": "hudson.model.CauseAction", "causes": [{"_class": "hudson.model.Cause$UserIdCause",
        "shortDescription": short, "userId": user, "userName": user}]})
}

fn parameters(given: &[(String, String)]) -> Value {
    let one = |(name, value): &(String, String)| json!({"_class": "hudson.model.StringParameterValue", "name": name, "value": value});
    json!({"_class": "hudson.model.ParametersAction", "parameters": given.iter().map(one).collect::<Vec<_>>()})
}

fn definition(name: &str, default: &str) -> Value {
    let value = json!({"_class": "hudson.model.StringParameterValue", "name": name, "value": default});
    json!({"_class": "hudson.model.StringParameterDefinition", "defaultParameterValue": value, "description": "",
        "name": name, "type": "StringParameterDefinition"})
}
