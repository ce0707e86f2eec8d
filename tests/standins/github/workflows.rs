//! Workflow dispatches and the runs they start: what GitHub's REST API says of them, and what the workflows of the
//! repository come to. It does not know why anybody dispatches anything.
//!
//! A run says nothing of its inputs: two runs of one workflow can be told apart by their numbers and by who started them,
//! and by nothing else. What a run does is done when it has been seen three times.

use serde_json::{Map, Value, json};

use super::{Fault, State, not_found, problem};
use crate::standins::server::{Recorded, Reply};

/// What goes wrong with workflows and their runs.
#[derive(Debug, Clone)]
pub enum WorkflowFault {
    /// Runs stay `in_progress` for so many looks more.
    Slow { looks: u32 },
    /// A new run is not in any list for so many looks at lists.
    Hidden { looks: u32 },
    /// The server does not know `return_run_details` and answers 204 without a body.
    NoDetails,
    /// Somebody else dispatches the same workflow with these inputs, just before or just after the next dispatch.
    SomebodyElse { inputs: Value, before: bool },
    /// The reply to a dispatch names the newest run of another workflow.
    OtherRun,
    /// Runs end with this conclusion, and have done nothing.
    Ends(&'static str),
}

/// One accepted workflow dispatch, and the run that it started.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    pub workflow: String,
    pub git_ref: String,
    /// As they were sent.
    pub inputs: Value,
    pub run: u64,
    pub actor: &'static str,
    /// Counts the runs of one workflow.
    pub number: u64,
    /// What it does is done.
    pub done: bool,
    looks: u32,
    hidden: u32,
}

/// The inputs that a workflow declares: name, and the default of those that are not required.
fn declared(workflow: &str) -> &'static [(&'static str, Option<&'static str>)] {
    match workflow {
        "docker-push.yml" => &[("image_tag", None)],
        "ui-deploy.yml" => &[("deploy_env", Some("stage")), ("ref", Some("main"))],
        _ => &[],
    }
}

impl Dispatch {
    /// The value that the run works with: as it was sent, or the default.
    pub fn input(&self, name: &str) -> Option<String> {
        let sent = self.inputs[name].as_str().map(str::to_owned);
        let default = declared(&self.workflow).iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value);
        sent.or(default.map(str::to_owned))
    }

    fn path(&self) -> String {
        format!(".github/workflows/{}", self.workflow)
    }
}

impl State {
    /// The image tags that were copied, in order.
    pub fn images(&self) -> Vec<String> {
        let done = self.dispatches.iter().filter(|run| run.done && run.workflow == "docker-push.yml");
        done.filter_map(|run| run.input("image_tag")).collect()
    }

    /// The ref of the user interface that an environment shows.
    pub fn ui(&self, environment: &str) -> Option<String> {
        let mut done = self.dispatches.iter().rev().filter(|run| run.done && run.workflow == "ui-deploy.yml");
        done.find(|run| run.input("deploy_env").as_deref() == Some(environment)).and_then(|run| run.input("ref"))
    }

    /// A run that was dispatched and is over, as the history of a repository has them.
    pub fn ran_before(&mut self, workflow: &str, inputs: Value) {
        self.start_run(workflow, "main", inputs, "somebody-else");
        let run = self.dispatches.last_mut().expect("it was just started");
        (run.looks, run.done) = (3, true);
    }

    pub(super) fn dispatch(&mut self, file: &str, body: &Value) -> Reply {
        if !self.workflows.iter().any(|known| known == file) {
            return not_found();
        }
        let Some(git_ref) = body["ref"].as_str() else { return super::missing("ref") };
        let short = git_ref.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
        if self.repo.named(&format!("refs/heads/{short}")).is_none()
            && self.repo.named(&format!("refs/tags/{short}")).is_none()
        {
            return problem(422, &format!("No ref found for: {git_ref}"));
        }
        let inputs = body.get("inputs").cloned().unwrap_or_else(|| json!({}));
        if let Some(refusal) = refused_inputs(file, &inputs) {
            return refusal;
        }
        let other = self.take_somebody_else();
        if let Some((inputs, true)) = &other {
            self.start_run(file, short, inputs.clone(), "somebody-else");
        }
        let ours = self.start_run(file, short, inputs, "operator");
        if let Some((inputs, false)) = other {
            self.start_run(file, short, inputs, "somebody-else");
        }
        if body["return_run_details"] != json!(true) || self.has(|fault| matches!(fault, WorkflowFault::NoDetails)) {
            return Reply::empty(204);
        }
        let run = match self.has(|fault| matches!(fault, WorkflowFault::OtherRun)) {
            true => self.dispatches.iter().rev().find(|run| run.workflow != file).map_or(ours, |other| other.run),
            false => ours,
        };
        let html = format!("https://github.com/{}/actions/runs/{run}", self.full_name);
        let details =
            json!({"workflow_run_id": run, "run_url": self.link(&format!("actions/runs/{run}")), "html_url": html});
        Reply::json(200, &details)
    }

    fn start_run(&mut self, workflow: &str, branch: &str, inputs: Value, actor: &'static str) -> u64 {
        let run = self.fresh_id();
        let number = self.dispatches.iter().filter(|run| run.workflow == workflow).count() as u64 + 1;
        let hidden = self.workflow_faults().find_map(|fault| match fault {
            WorkflowFault::Hidden { looks } => Some(*looks),
            _ => None,
        });
        self.dispatches.push(Dispatch {
            workflow: workflow.into(),
            git_ref: branch.into(),
            inputs,
            run,
            actor,
            number,
            done: false,
            looks: 0,
            hidden: hidden.unwrap_or(0),
        });
        run
    }

    fn workflow_faults(&self) -> impl Iterator<Item = &WorkflowFault> {
        self.faults.iter().filter_map(|fault| match fault {
            Fault::Workflow(fault) => Some(fault),
            _ => None,
        })
    }

    fn has(&self, is: impl Fn(&WorkflowFault) -> bool) -> bool {
        self.workflow_faults().any(is)
    }

    fn take_somebody_else(&mut self) -> Option<(Value, bool)> {
        let found =
            self.faults.iter().position(|fault| matches!(fault, Fault::Workflow(WorkflowFault::SomebodyElse { .. })));
        match self.faults.remove(found?) {
            Fault::Workflow(WorkflowFault::SomebodyElse { inputs, before }) => Some((inputs, before)),
            _ => None,
        }
    }

    /// A file as it is at a ref, raw.
    pub(super) fn contents(&self, path: &str, request: &Recorded) -> Reply {
        let raw = request.header("accept").is_some_and(|kinds| kinds.contains("raw"));
        let at = request.query("ref").unwrap_or("HEAD");
        match self.repo.commit(at).and_then(|commit| self.repo.git(&["show", &format!("{commit}:{path}")])) {
            Some(text) if raw => Reply::of(200, "application/vnd.github.raw+json; charset=utf-8", text + "\n"),
            // Otherwise it comes in base64 with much around it, which nobody here asks for.
            Some(_) => problem(415, "Unsupported 'Accept' header"),
            None => not_found(),
        }
    }

    /// A run is queued at the first look, in progress at the second and completed from the third on.
    pub(super) fn get_run(&mut self, id: &str) -> Reply {
        let slow = self.workflow_faults().find_map(|fault| match fault {
            WorkflowFault::Slow { looks } => Some(*looks),
            _ => None,
        });
        let fails = self.conclusion() != "success";
        let Some(at) = self.dispatches.iter().position(|dispatch| dispatch.run.to_string() == id) else {
            return not_found();
        };
        let run = &mut self.dispatches[at];
        run.looks += 1;
        // Somebody else's runs come to their end by themselves.
        run.done |= run.looks > 2 + slow.unwrap_or(0) && !fails;
        let shown = self.shown(at);
        Reply::json(200, &shown)
    }

    fn conclusion(&self) -> &'static str {
        if self.faults.iter().any(|fault| matches!(fault, Fault::WorkflowFails)) {
            return "failure";
        }
        let ends = self.workflow_faults().find_map(|fault| match fault {
            WorkflowFault::Ends(conclusion) => Some(*conclusion),
            _ => None,
        });
        ends.unwrap_or("success")
    }

    /// The runs of one workflow, newest first.
    pub(super) fn list_runs(&mut self, file: &str, request: &Recorded) -> Reply {
        if !self.workflows.iter().any(|known| known == file) {
            return not_found();
        }
        let mut found = Vec::new();
        for at in (0..self.dispatches.len()).rev() {
            let run = &mut self.dispatches[at];
            if run.workflow != file {
                continue;
            }
            if run.hidden > 0 {
                run.hidden -= 1;
                continue;
            }
            found.push(self.shown(at));
        }
        if let Some(event) = request.query("event") {
            found.retain(|run| run["event"] == event);
        }
        if let Some(status) = request.query("status") {
            found.retain(|run| run["status"] == status || run["conclusion"] == status);
        }
        let total = found.len();
        found.truncate(request.query("per_page").and_then(|count| count.parse().ok()).unwrap_or(30));
        Reply::json(200, &json!({"total_count": total, "workflow_runs": found}))
    }

    fn shown(&self, at: usize) -> Value {
        let run = &self.dispatches[at];
        let failed = self.conclusion();
        let (status, conclusion) = match (run.done, run.looks) {
            (true, _) => ("completed", json!("success")),
            (false, 0 | 1) => ("queued", Value::Null),
            (false, 3..) if failed != "success" => ("completed", json!(failed)),
            (false, _) => ("in_progress", Value::Null),
        };
        let link = self.link(&format!("actions/runs/{}", run.run));
        let moment = format!("2025-09-17T{:02}:{:02}:00Z", 12 + run.run / 60, run.run % 60);
        let head = self.repo.commit("HEAD").unwrap_or_default();
        let html = format!("https://github.com/{}/actions/runs/{}", self.full_name, run.run);
        json!({
            "id": run.run, "node_id": "WFR", "name": run.workflow, "path": run.path(), "event": "workflow_dispatch",
            "head_branch": run.git_ref, "head_sha": head, "run_number": run.number, "run_attempt": 1,
            "display_title": run.workflow, "status": status, "conclusion": conclusion, "workflow_id": 7,
            "check_suite_id": 1, "check_suite_node_id": "CS", "pull_requests": [],
            "url": link, "html_url": html, "created_at": moment, "updated_at": moment, "run_started_at": moment,
            "actor": self.person(run.actor), "triggering_actor": self.person(run.actor),
            "jobs_url": format!("{link}/jobs"), "logs_url": format!("{link}/logs"),
            "check_suite_url": self.link("check-suites/1"), "artifacts_url": format!("{link}/artifacts"),
            "cancel_url": format!("{link}/cancel"), "rerun_url": format!("{link}/rerun"),
            "workflow_url": self.link("actions/workflows/7"), "head_commit": null,
            "repository": self.minimal_repository(), "head_repository": self.minimal_repository(),
        })
    }

    fn person(&self, login: &str) -> Value {
        let mut person = Map::new();
        for name in [
            "followers",
            "following",
            "gists",
            "starred",
            "subscriptions",
            "organizations",
            "repos",
            "events",
            "received_events",
        ] {
            person.insert(format!("{name}_url"), json!(format!("{}/users/{login}/{name}", self.root)));
        }
        let own = json!({"login": login, "id": 1, "node_id": "U", "avatar_url": "https://avatars.example.org/1",
            "gravatar_id": "", "url": format!("{}/users/{login}", self.root),
            "html_url": format!("https://github.com/{login}"), "type": "User", "site_admin": false});
        person.extend(own.as_object().cloned().unwrap_or_default());
        Value::Object(person)
    }

    fn minimal_repository(&self) -> Value {
        let (owner, name) = self.full_name.split_once('/').unwrap_or_default();
        let mut shown = Map::new();
        for part in [
            "archive",
            "assignees",
            "blobs",
            "branches",
            "collaborators",
            "comments",
            "commits",
            "compare",
            "contents",
            "contributors",
            "deployments",
            "downloads",
            "events",
            "forks",
            "git_commits",
            "git_refs",
            "git_tags",
            "hooks",
            "issue_comment",
            "issue_events",
            "issues",
            "keys",
            "labels",
            "languages",
            "merges",
            "milestones",
            "notifications",
            "pulls",
            "releases",
            "stargazers",
            "statuses",
            "subscribers",
            "subscription",
            "tags",
            "teams",
            "trees",
        ] {
            shown.insert(format!("{part}_url"), json!(self.link(part)));
        }
        let own = json!({"id": 1, "node_id": "R", "name": name, "full_name": self.full_name, "private": false,
            "owner": self.person(owner), "description": null, "fork": false,
            "html_url": format!("https://github.com/{}", self.full_name),
            "url": format!("{}/repos/{}", self.root, self.full_name)});
        shown.extend(own.as_object().cloned().unwrap_or_default());
        Value::Object(shown)
    }
}

/// GitHub refuses inputs that the workflow does not declare, and wants those without a default.
fn refused_inputs(workflow: &str, inputs: &Value) -> Option<Reply> {
    let known = declared(workflow);
    let unexpected: Vec<&String> =
        inputs.as_object()?.keys().filter(|name| !known.iter().any(|(known, _)| known == name)).collect();
    if !unexpected.is_empty() {
        return Some(problem(422, &format!("Unexpected inputs provided: {}", json!(unexpected))));
    }
    let absent = known.iter().find(|(name, default)| default.is_none() && inputs.get(name).is_none());
    absent.map(|(name, _)| problem(422, &format!("Required input '{name}' not provided")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standins::{github::GitHub, server::On};

    const PUSH: &str = "actions/workflows/docker-push.yml";

    fn hub(faults: Vec<WorkflowFault>) -> GitHub {
        GitHub::start("mozilla-releng", "balrog", None, faults.into_iter().map(Fault::Workflow).collect())
    }

    fn send(hub: &GitHub, workflow: &str, inputs: Value) -> (u16, Value) {
        let body = json!({"ref": "main", "inputs": inputs, "return_run_details": true}).to_string();
        let at = hub.path(&format!("actions/workflows/{workflow}/dispatches"));
        let answer = hub.client().post(&at, &body).unwrap();
        (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
    }

    fn look(hub: &GitHub, run: &Value) -> Value {
        hub.client().get(&hub.path(&format!("actions/runs/{run}"))).unwrap().json()
    }

    fn list(hub: &GitHub) -> Vec<Value> {
        let answer = hub.client().get(&hub.path(&format!("{PUSH}/runs?event=workflow_dispatch"))).unwrap();
        answer.json()["workflow_runs"].as_array().unwrap().clone()
    }

    #[test]
    fn inputs_are_those_that_the_workflow_declares_and_what_is_left_out_takes_its_default() {
        let hub = hub(vec![]);
        let refused = send(&hub, "docker-push.yml", json!({}));
        assert_eq!((refused.0, refused.1["message"].as_str()), (422, Some("Required input 'image_tag' not provided")));
        assert_eq!(send(&hub, "docker-push.yml", json!({"image_tag": "v1.0", "tag": "v1.0"})).0, 422);
        let (_, started) = send(&hub, "ui-deploy.yml", json!({"ref": "v1.0"}));
        (0..3).for_each(|_| drop(look(&hub, &started["workflow_run_id"])));
        assert_eq!(hub.state().ui("stage").as_deref(), Some("v1.0"));
        assert_eq!(hub.state().ui("prod"), None);
        let (_, started) = send(&hub, "ui-deploy.yml", json!({"deploy_env": "prod"}));
        (0..3).for_each(|_| drop(look(&hub, &started["workflow_run_id"])));
        assert_eq!(hub.state().ui("prod").as_deref(), Some("main"));
    }

    #[test]
    fn a_run_says_what_started_it_and_nothing_of_its_inputs() {
        let hub = hub(vec![]);
        hub.state().ran_before("docker-push.yml", json!({"image_tag": "v0.9"}));
        let (_, started) = send(&hub, "docker-push.yml", json!({"image_tag": "v1.0"}));
        let run = look(&hub, &started["workflow_run_id"]);
        assert_eq!((&run["run_number"], &run["actor"]["login"]), (&json!(2), &json!("operator")));
        assert!(!run.to_string().contains("v1.0"));
        let numbers: Vec<Value> = list(&hub).iter().map(|run| run["run_number"].clone()).collect();
        assert_eq!(numbers, [2, 1]);
        assert_eq!(hub.state().images(), ["v0.9"]);
        (0..2).for_each(|_| drop(look(&hub, &started["workflow_run_id"])));
        assert_eq!(hub.state().images(), ["v0.9", "v1.0"]);
    }

    #[test]
    fn runs_may_be_slow_hidden_or_end_otherwise() {
        let slow = hub(vec![WorkflowFault::Slow { looks: 2 }, WorkflowFault::Hidden { looks: 2 }]);
        let (_, started) = send(&slow, "docker-push.yml", json!({"image_tag": "v1.0"}));
        assert_eq!([list(&slow).len(), list(&slow).len(), list(&slow).len()], [0, 0, 1]);
        let seen: Vec<Value> = (0..5).map(|_| look(&slow, &started["workflow_run_id"])["status"].clone()).collect();
        assert_eq!(seen[2..], ["in_progress", "in_progress", "completed"]);
        let cancelled = hub(vec![WorkflowFault::Ends("cancelled")]);
        let (_, started) = send(&cancelled, "docker-push.yml", json!({"image_tag": "v1.0"}));
        (0..2).for_each(|_| drop(look(&cancelled, &started["workflow_run_id"])));
        assert_eq!(look(&cancelled, &started["workflow_run_id"])["conclusion"], "cancelled");
        assert!(cancelled.state().images().is_empty());
    }

    #[test]
    fn somebody_else_dispatches_at_the_same_moment_and_the_reply_may_name_another_run_or_none() {
        let inputs = json!({"image_tag": "v0.9"});
        for before in [true, false] {
            let hub = hub(vec![WorkflowFault::SomebodyElse { inputs: inputs.clone(), before }]);
            send(&hub, "docker-push.yml", json!({"image_tag": "v1.0"}));
            let actors: Vec<&str> = hub.state().dispatches.iter().map(|run| run.actor).collect();
            assert_eq!(actors, if before { ["somebody-else", "operator"] } else { ["operator", "somebody-else"] });
        }
        let other = hub(vec![WorkflowFault::OtherRun]);
        other.state().ran_before("ui-deploy.yml", json!({}));
        let (_, named) = send(&other, "docker-push.yml", json!({"image_tag": "v1.0"}));
        assert_eq!(look(&other, &named["workflow_run_id"])["path"], ".github/workflows/ui-deploy.yml");
        let none = hub(vec![WorkflowFault::NoDetails]);
        assert_eq!(send(&none, "docker-push.yml", json!({"image_tag": "v1.0"})).0, 204);
        assert_eq!(none.requests_of("POST", On::any().path.as_str()).len(), 1);
    }
}
