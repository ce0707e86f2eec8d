//! The queue and the runs of the stand-in for Jenkins: what moves on with each look, and what an answer does. It does
//! not know how any of it is shown.

use serde_json::Value;

use super::{BESIDE_ID, Caller, Effect, Fault, Input, Job, State, failure, given, page};
use crate::standins::server::{Recorded, Reply};

/// An item of the queue.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: u64,
    /// Which of the jobs.
    pub job: usize,
    pub parameters: Vec<(String, String)>,
    pub cancelled: bool,
    /// The number of the run that it became.
    pub build: Option<u64>,
    pub user: String,
    pub(super) quiet: u32,
    pub(super) buildable: u32,
    /// GETs since it left.
    pub(super) aged: u32,
}

impl Item {
    pub(super) fn has_left(&self) -> bool {
        self.cancelled || self.build.is_some()
    }
}

/// A run.
#[derive(Debug, Clone)]
pub struct Build {
    /// Which of the jobs.
    pub job: usize,
    pub number: u64,
    pub queue_id: u64,
    pub parameters: Vec<(String, String)>,
    pub user: String,
    pub phase: Phase,
    /// Which of the job's stages it has reached.
    pub stage: usize,
    pub result: Option<&'static str>,
    pub log: String,
    /// Ids of inputs that were answered after the last look: Jenkins still knows them, and says that they are settled.
    pub(super) just_settled: Vec<String>,
    pub(super) looks_at_input: u32,
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Paused,
    Working(u32),
    /// The result is set while the run is still building.
    Closing(u32),
    Done,
}

impl Build {
    /// Still building, as the API says it.
    pub fn building(&self) -> bool {
        self.phase != Phase::Done
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A run that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The job's name, without its folders.
    pub job: String,
    pub image_tag: String,
    pub build: u64,
}

/// An answered input.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The job's name, without its folders.
    pub job: String,
    pub build: u64,
    pub stage: String,
    pub id: String,
    pub proceed: bool,
    pub user: String,
    /// What the input's parameters were set to; `proceedEmpty` leaves them without any value, not with their defaults.
    pub values: Option<Value>,
}

impl Job {
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl State {
    pub(super) fn enqueue(&mut self, job: usize, request: &Recorded, caller: Caller<'_>) -> Reply {
        if self.jobs[job].disabled {
            return page(409, &format!("{} is not buildable", self.jobs[job].name()));
        }
        if self.jobs[job].parameters.is_empty() {
            return page(400, &format!("{} is not parameterized", self.jobs[job].name()));
        }
        let given = given(request);
        let mut parameters = self.jobs[job].parameters.clone();
        for (name, value) in &mut parameters {
            if let Some(asked) = given.get(name) {
                *value = asked.clone();
            }
        }
        let same = |item: &&Item| item.job == job && item.parameters == parameters && !item.has_left();
        if let Some(item) = self.queue.iter().find(same) {
            return Reply::empty(303).with("location", self.item_link(item.id));
        }
        self.next_item += 1;
        let id = self.next_item;
        let late = self.late();
        let quiet = if given.get("delay").is_some_and(|delay| delay.starts_with('0')) { 0 } else { 1 };
        let user = caller.user.to_owned();
        let item = Item {
            id,
            job,
            parameters,
            cancelled: false,
            build: None,
            user,
            quiet: quiet + late,
            buildable: 1,
            aged: 0,
        };
        self.queue.push(item);
        Reply::empty(201).with("location", self.item_link(id))
    }

    pub(super) fn cancel_item(&mut self, id: Option<&str>) -> Reply {
        let waiting = |item: &&mut Item| id == Some(item.id.to_string().as_str()) && !item.has_left();
        if let Some(item) = self.queue.iter_mut().find(waiting) {
            item.cancelled = true;
        }
        Reply::empty(204)
    }

    pub(super) fn item_link(&self, id: u64) -> String {
        format!("{}/queue/item/{id}/", self.root)
    }

    /// Time for the items that have left: they are forgotten after a while.
    pub(super) fn age_queue(&mut self) {
        let keeps = self.queue_keeps;
        for item in self.queue.iter_mut().filter(|item| item.has_left()) {
            item.aged += 1;
        }
        self.queue.retain(|item| item.aged <= keeps);
    }

    pub(super) fn advance_queue_of(&mut self, job: usize) {
        let ids: Vec<u64> = self.queue.iter().filter(|item| item.job == job).map(|item| item.id).collect();
        ids.into_iter().for_each(|id| self.advance_item(id));
    }

    pub(super) fn advance_item(&mut self, id: u64) {
        let Some(at) = self.queue.iter().position(|item| item.id == id && !item.has_left()) else { return };
        let item = &mut self.queue[at];
        if item.quiet > 0 {
            item.quiet -= 1;
        } else if item.buildable > 0 {
            item.buildable -= 1;
        }
        if item.quiet == 0 && item.buildable == 0 {
            self.leave(at);
        }
    }

    /// The item leaves the queue and becomes a run.
    fn leave(&mut self, at: usize) {
        let item = self.queue[at].clone();
        let mut parameters = item.parameters.clone();
        if self.strikes(item.job, |fault| match fault {
            Fault::WrongImageTag { job, times } => Some((*job, times)),
            _ => None,
        }) {
            for ((name, value), (_, default)) in parameters.iter_mut().zip(&self.jobs[item.job].parameters) {
                if name == "ImageTag" {
                    *value = default.clone();
                }
            }
        }
        let number = self.add_run(item.job, item.id, parameters, &item.user);
        self.queue[at].build = Some(number);
        let path = self.jobs[item.job].path.clone();
        let gone = |fault: &Fault| matches!(fault, Fault::ItemGone { job } if path.contains(job));
        if self.faults.iter().any(gone) {
            self.queue.remove(at);
        }
        let foreign = self.faults.iter().find_map(|fault| match fault {
            Fault::ForeignRunPaused { job, image_tag } if path.contains(job) => Some(*image_tag),
            _ => None,
        });
        if let Some(image_tag) = foreign {
            self.add_paused_run(item.job, image_tag);
        }
    }

    fn add_run(&mut self, job: usize, queue_id: u64, parameters: Vec<(String, String)>, user: &str) -> u64 {
        let number =
            self.builds.iter().filter(|build| build.job == job).map(|build| build.number).max().unwrap_or(40) + 1;
        self.builds.push(Build {
            job,
            number,
            queue_id,
            parameters,
            user: user.into(),
            phase: Phase::Done,
            stage: 0,
            result: None,
            log: format!("Started by user {user}\n[Pipeline] Start of Pipeline\n"),
            just_settled: Vec::new(),
            looks_at_input: 0,
        });
        let at = self.builds.len() - 1;
        self.enter_stage(at, 0);
        number
    }

    /// A run of somebody else that has come as far as its first input.
    pub(super) fn add_paused_run(&mut self, job: usize, image_tag: &str) -> u64 {
        let mut parameters = self.jobs[job].parameters.clone();
        for (name, value) in &mut parameters {
            if name == "ImageTag" {
                *value = image_tag.into();
            }
        }
        self.next_item += 1;
        let number = self.add_run(job, self.next_item, parameters, "somebody-else");
        let at = self.builds.len() - 1;
        while let Phase::Working(_) = self.builds[at].phase {
            self.advance(at);
        }
        number
    }

    pub(super) fn find_build(&self, job: usize, name: &str) -> Option<usize> {
        let runs = || self.builds.iter().enumerate().filter(|(_, build)| build.job == job);
        let last = |wanted: fn(&Build) -> bool| runs().filter(|(_, build)| wanted(build)).map(|(at, _)| at).next_back();
        match name {
            "lastBuild" => last(|_| true),
            "lastCompletedBuild" => last(|build| !build.building()),
            "lastSuccessfulBuild" => last(|build| !build.building() && build.result == Some("SUCCESS")),
            _ => runs().find(|(_, build)| build.number.to_string() == name).map(|(at, _)| at),
        }
    }

    fn enter_stage(&mut self, at: usize, stage: usize) {
        let late = self.late();
        let build = &mut self.builds[at];
        let found = &self.jobs[build.job].stages[stage];
        build.stage = stage;
        build.log.push_str(&format!("[Pipeline] {{ ({})\n", found.name));
        build.phase = match &found.input {
            Some(input) => {
                build.log.push_str(&format!("{}\nProceed or Abort\n", input.message));
                Phase::Paused
            }
            None => Phase::Working(found.looks + late),
        };
    }

    /// One look has passed for this run.
    pub(super) fn advance(&mut self, at: usize) {
        self.builds[at].just_settled.clear();
        match self.builds[at].phase {
            Phase::Paused => self.somebody_may_abort(at),
            Phase::Working(left) if left > 1 => self.builds[at].phase = Phase::Working(left - 1),
            Phase::Working(_) => self.end_stage(at),
            Phase::Closing(left) if left > 1 => self.builds[at].phase = Phase::Closing(left - 1),
            Phase::Closing(_) => self.close(at),
            Phase::Done => {}
        }
    }

    fn somebody_may_abort(&mut self, at: usize) {
        self.builds[at].looks_at_input += 1;
        if self.builds[at].looks_at_input < 2 || self.builds[at].user == "somebody-else" {
            return;
        }
        let job = self.builds[at].job;
        if self.strikes(job, |fault| match fault {
            Fault::Aborted { job, times } => Some((*job, times)),
            _ => None,
        }) {
            self.give(at, false, None, "somebody-else");
        }
    }

    fn end_stage(&mut self, at: usize) {
        let (job, stage) = (self.builds[at].job, self.builds[at].stage);
        let last = stage + 1 == self.jobs[job].stages.len();
        if last
            && self.strikes(job, |fault| match fault {
                Fault::BuildFails { job, times } => Some((*job, times)),
                _ => None,
            })
        {
            self.finish(at, "FAILURE");
            return;
        }
        if self.jobs[job].stages[stage].effect == Effect::Canary {
            let image = self.builds[at].parameter("ImageTag").unwrap_or_default().to_owned();
            self.canary.insert(self.jobs[job].name().to_owned(), image);
        }
        if last {
            self.builds[at].result = Some("SUCCESS");
            self.builds[at].phase = Phase::Closing(1);
        } else {
            self.enter_stage(at, stage + 1);
        }
    }

    fn close(&mut self, at: usize) {
        let build = &self.builds[at];
        let (job, number) = (build.job, build.number);
        let image_tag = build.parameter("ImageTag").unwrap_or_default().to_owned();
        if self.strikes(job, |fault| match fault {
            Fault::ResultFlips { job, times } => Some((*job, times)),
            _ => None,
        }) {
            self.finish(at, "FAILURE");
            return;
        }
        self.finish(at, "SUCCESS");
        let name = self.jobs[job].name().to_owned();
        self.canary.remove(&name);
        self.deployed.insert(name.clone(), image_tag.clone());
        self.deployments.push(Deployment { job: name, image_tag, build: number });
    }

    fn finish(&mut self, at: usize, result: &'static str) {
        let build = &mut self.builds[at];
        build.phase = Phase::Done;
        build.result = Some(result);
        build.log.push_str(&format!("[Pipeline] End of Pipeline\nFinished: {result}\n"));
    }

    pub(super) fn stop(&mut self, at: usize) -> Reply {
        if self.builds[at].building() {
            self.builds[at].log.push_str("Aborted by request\n");
            self.finish(at, "ABORTED");
        }
        Reply::empty(302).with("location", format!("{}/", self.root))
    }

    /// The input that a run waits for.
    pub(super) fn waiting_for(&self, at: usize) -> Option<&Input> {
        let build = &self.builds[at];
        let stage = &self.jobs[build.job].stages[build.stage];
        stage.input.as_ref().filter(|_| build.phase == Phase::Paused)
    }

    /// Whether a branch beside the stage asks as well.
    pub(super) fn asks_beside(&self, at: usize) -> bool {
        let path = &self.jobs[self.builds[at].job].path;
        let beside = |fault: &Fault| matches!(fault, Fault::SecondInput { job } if path.contains(job));
        self.builds[at].phase == Phase::Paused && self.faults.iter().any(beside)
    }

    /// Whether the input is not to be answered with a plain yes.
    pub(super) fn wants_values(&self, at: usize) -> bool {
        let path = &self.jobs[self.builds[at].job].path;
        self.faults.iter().any(|fault| matches!(fault, Fault::WantsValues { job } if path.contains(job)))
    }

    /// An answer to an input: 200 and nothing more, or what Jenkins says to an answer that it does not want.
    pub(super) fn settle(
        &mut self,
        at: usize,
        id: &str,
        proceed: bool,
        values: Option<Value>,
        caller: Caller<'_>,
    ) -> Reply {
        let job = self.builds[at].job;
        let known = self.waiting_for(at).is_some_and(|input| input.id() == id);
        if known
            && self.strikes(job, |fault| match fault {
                Fault::InputGone { job, times } => Some((*job, times)),
                _ => None,
            })
        {
            self.give(at, true, None, "somebody-else");
        }
        if id == BESIDE_ID && self.asks_beside(at) {
            return self.give_beside(at, proceed, caller.user);
        }
        let Some(input) = self.waiting_for(at).filter(|input| input.id() == id) else {
            return match self.builds[at].just_settled.iter().any(|settled| settled == id) {
                true => failure("This input has been already given"),
                false => page(404, "Not Found"),
            };
        };
        let named = input.submitter.as_deref();
        if !caller.may_build || named.is_some_and(|submitter| submitter != caller.user) {
            let wanted = named.unwrap_or("somebody with the Job/Build permission");
            return failure(&format!("You need to be {wanted} to submit this."));
        }
        self.give(at, proceed, values, caller.user);
        Reply::empty(200)
    }

    fn give(&mut self, at: usize, proceed: bool, values: Option<Value>, user: &str) {
        let late = self.late();
        let Some(id) = self.waiting_for(at).map(Input::id) else { return };
        let build = &mut self.builds[at];
        let job = &self.jobs[build.job];
        let stage = &job.stages[build.stage];
        build.just_settled.push(id.clone());
        self.answers.push(Answer {
            job: job.name().to_owned(),
            build: build.number,
            stage: stage.name.clone(),
            id,
            proceed,
            user: user.into(),
            values,
        });
        if proceed {
            build.log.push_str(&format!("Approved by {user}\n"));
            build.phase = Phase::Working(stage.looks + late);
        } else {
            build.log.push_str(&format!("Rejected by {user}\n"));
            self.finish(at, "ABORTED");
        }
    }

    /// The branch beside the stage is answered, and the stage still waits.
    fn give_beside(&mut self, at: usize, proceed: bool, user: &str) -> Reply {
        let build = &self.builds[at];
        let (job, number) = (self.jobs[build.job].name().to_owned(), build.number);
        self.answers.push(Answer {
            job,
            build: number,
            stage: "beside".into(),
            id: BESIDE_ID.into(),
            proceed,
            user: user.into(),
            values: None,
        });
        Reply::empty(200)
    }

    /// The form of the input's own page: a button named `proceed` or `abort`.
    pub(super) fn submit_form(&mut self, at: usize, id: &str, request: &Recorded, caller: Caller<'_>) -> Reply {
        let given = given(request);
        let values = given.get("json").and_then(|text| serde_json::from_str(text).ok());
        let reply = self.settle(at, id, !given.contains_key("abort"), values, caller);
        match reply {
            Reply::Send { status: 200, .. } => Reply::empty(302).with("location", "../../console"),
            refused => refused,
        }
    }

    /// `wfapi/inputSubmit?inputId=ID` with `json={"parameter":[…]}`.
    pub(super) fn submit_input(&mut self, at: usize, request: &Recorded, caller: Caller<'_>) -> Reply {
        let id = request.query("inputId").unwrap_or_default().to_owned();
        let values = given(request).get("json").and_then(|text| serde_json::from_str::<Value>(text).ok());
        let values = values.and_then(|json| json.get("parameter").cloned());
        let reply = self.settle(at, &id, true, values, caller);
        match reply {
            Reply::Send { status: 404, .. } => page(500, "Input action not found"),
            reply => reply,
        }
    }

    fn late(&self) -> u32 {
        let looks = self.faults.iter().map(|fault| if let Fault::Late { looks } = fault { *looks } else { 0 });
        looks.sum()
    }

    /// Whether a fault that `pick` knows is due for this job; it is used up by that.
    fn strikes(&mut self, job: usize, pick: impl Fn(&mut Fault) -> Option<(&'static str, &mut u32)>) -> bool {
        let path = &self.jobs[job].path;
        for fault in &mut self.faults {
            if let Some((contained, times)) = pick(fault)
                && path.contains(contained)
                && *times > 0
            {
                *times -= 1;
                return true;
            }
        }
        false
    }
}
