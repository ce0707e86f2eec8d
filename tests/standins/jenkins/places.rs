//! What the stand-in for Jenkins shows around its jobs: itself, its folders, who asks, and the node that runs are on. It
//! changes nothing, and nothing moves on by being looked at here.

use serde_json::{Value, json};

use super::builds::Build;
use super::{Caller, State, job_path, page, tree};
use crate::standins::server::{Recorded, Reply};

const FOLDER: &str = "com.cloudbees.hudson.plugins.folder.Folder";
const JOB: &str = "org.jenkinsci.plugins.workflow.job.WorkflowJob";

impl State {
    pub(super) fn show_root(&self, request: &Recorded) -> Reply {
        let view = json!({"_class": "hudson.model.AllView", "name": "all", "url": format!("{}/", self.root)});
        let body = json!({
            "_class": "hudson.model.Hudson", "assignedLabels": [{"name": "built-in"}], "mode": "NORMAL",
            "nodeDescription": "the Jenkins controller's built-in node", "nodeName": "", "numExecutors": 2,
            "description": null, "jobs": self.jobs_in(""), "primaryView": view, "quietDownReason": null,
            "quietingDown": false, "slaveAgentPort": 50_000, "unlabeledLoad": {"_class": "jenkins.model.UnlabeledLoadStatistics"},
            "url": format!("{}/", self.root), "useCrumbs": true, "useSecurity": true, "views": [view],
        });
        Reply::json(200, &tree::shown(body, request.query("tree")))
    }

    /// A folder, which is every beginning of the path of a job.
    pub(super) fn show_folder(&self, path: &str, request: &Recorded) -> Reply {
        if !self.jobs.iter().any(|job| job.path.starts_with(&format!("{path}/"))) {
            return page(404, "Not Found");
        }
        Reply::json(200, &tree::shown(self.folder(path), request.query("tree")))
    }

    fn folder(&self, path: &str) -> Value {
        let name = path.rsplit('/').next().unwrap_or(path);
        let url = format!("{}{}/", self.root, job_path(path));
        json!({
            "_class": FOLDER, "actions": [{}, {}], "description": null, "displayName": name,
            "displayNameOrNull": null, "fullDisplayName": path.replace('/', " » "), "fullName": path, "name": name,
            "url": url, "healthReport": [], "jobs": self.jobs_in(path), "views": [],
        })
    }

    /// What stands in a folder, with what stands in that: `tree` and `depth` cut it to what was asked for.
    fn jobs_in(&self, folder: &str) -> Vec<Value> {
        let mut names: Vec<&str> = Vec::new();
        let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for job in &self.jobs {
            if let Some(rest) = job.path.strip_prefix(&before) {
                names.push(rest.split('/').next().unwrap_or(rest));
            }
        }
        names.sort_unstable();
        names.dedup();
        let one = |name: &str| {
            let path = format!("{before}{name}");
            let url = format!("{}{}/", self.root, job_path(&path));
            match self.jobs.iter().any(|job| job.path == path) {
                true => json!({"_class": JOB, "name": name, "url": url, "color": "blue"}),
                false => self.folder(&path),
            }
        };
        names.into_iter().map(one).collect()
    }

    pub(super) fn show_me(&self, request: &Recorded, caller: Caller<'_>) -> Reply {
        let body = json!({"_class": "hudson.model.User", "absoluteUrl": format!("{}/user/{}", self.root, caller.user),
            "description": null, "fullName": caller.user, "id": caller.user, "property": [{}]});
        Reply::json(200, &tree::shown(body, request.query("tree")))
    }

    /// The one node. A run of a pipeline sits on a flyweight executor; a stage that is paused holds no other.
    pub(super) fn show_nodes(&self, name: Option<&str>, request: &Recorded) -> Reply {
        if !matches!(name, None | Some("(master)" | "(built-in)")) {
            return page(404, "Not Found");
        }
        let deep = request.query("tree").is_some() || request.query("depth").is_some_and(|depth| depth != "0");
        let executor = |number: usize| match deep {
            true => {
                json!({"currentExecutable": null, "idle": true, "likelyStuck": false, "number": number, "progress": -1})
            }
            false => json!({}),
        };
        let busy = |build: &Build| {
            let url = format!("{}{}/{}/", self.root, job_path(&self.jobs[build.job].path), build.number);
            let run =
                json!({"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": build.number, "url": url});
            match deep {
                true => {
                    json!({"currentExecutable": run, "idle": false, "likelyStuck": false, "number": -1, "progress": 50})
                }
                false => json!({}),
            }
        };
        let flyweights: Vec<Value> = self.builds.iter().filter(|build| build.building()).map(busy).collect();
        let node = json!({
            "_class": "hudson.model.Hudson$MasterComputer", "actions": [], "assignedLabels": [{"name": "built-in"}],
            "description": "the Jenkins controller's built-in node", "displayName": "Built-In Node",
            "executors": [executor(0), executor(1)], "icon": "symbol-computer", "iconClassName": "symbol-computer",
            "idle": true, "jnlpAgent": false, "launchSupported": true, "loadStatistics": {}, "manualLaunchAllowed": true,
            "monitorData": {}, "numExecutors": 2, "offline": false, "offlineCause": null, "offlineCauseReason": "",
            "oneOffExecutors": flyweights, "temporarilyOffline": false,
        });
        let body = match name {
            Some(_) => node,
            None => json!({"_class": "hudson.model.ComputerSet", "busyExecutors": 0, "computer": [node],
                "displayName": "Nodes", "totalExecutors": 2}),
        };
        Reply::json(200, &tree::shown(body, request.query("tree")))
    }
}
