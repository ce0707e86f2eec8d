//! `balrog/push-production` against stand-ins for Jenkins, Prometheus and the services themselves.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{Bench, Ran};
use crate::standins::{
    jenkins::{Fault, Jenkins, Job, TOKEN, USER},
    prometheus::{Prometheus, Sample},
    server::{On, Reply, Server, locked},
};

const YES: &[(&str, &str)] = &[
    ("quiet-time", "yes"),
    ("admin/proceed/go", "yes"),
    ("public/proceed/go", "yes"),
    ("public/promote/go", "yes"),
    ("agent/proceed/go", "yes"),
];

/// A service that says which version it runs: the public one as its job has deployed it, or always the same.
struct Service {
    server: Server,
    says: Arc<Mutex<&'static str>>,
}

impl Service {
    fn start(says: &'static str) -> Service {
        let says = Arc::new(Mutex::new(says));
        let shared = says.clone();
        let server = Server::start(move |request| match request.path.as_str() {
            "/__version__" => Reply::json(200, &json!({"version": *locked(&shared), "commit": "0"})),
            _ => Reply::empty(404),
        });
        Service { server, says }
    }
}

/// Everything around one run.
struct World {
    jenkins: Jenkins,
    prometheus: Prometheus,
    admin: Service,
    public: Service,
}

impl World {
    /// As after a release: in each job a build of it waits, below a newer one of another version.
    fn after_release(faults: Vec<Fault>) -> World {
        let jenkins = Jenkins::start(Job::balrog(), faults);
        for job in ["balrog-admin-production", "balrog-production", "balrog-agent-production"] {
            jenkins.pause_foreign_run(job, "v3.20");
            jenkins.pause_foreign_run(job, "v3.21");
        }
        let (admin, public) = (Service::start("3.20"), Service::start("3.20"));
        World { jenkins, prometheus: Prometheus::start(&[Sample::Rate(0.2)]), admin, public }
    }

    fn bench(&self, change: &str, edits: &[(&str, &str)]) -> Bench {
        Bench::new("balrog/push-production", edits)
            .param("version", "v3.20")
            .param("schema_change", change)
            .param("jenkins", self.jenkins.url())
            .param("admin_job", "job/gcp-pipelines/job/balrog/job/balrog-admin-production")
            .param("public_job", "job/gcp-pipelines/job/balrog/job/balrog-production")
            .param("agent_job", "job/gcp-pipelines/job/balrog/job/balrog-agent-production")
            .param("prometheus", self.prometheus.url())
            .param("admin_service", self.admin.server.url())
            .param("public_service", self.public.server.url())
            .param("user", USER)
            .param("poll", "10ms")
            .param("patience", "4s")
            .param("deployment", "4s")
            .param("sample", "10ms")
            .param("baseline_watch", "50ms")
            .param("canary_watch", "100ms")
            .param("held_for", "20ms")
            .env("JENKINS_TOKEN", TOKEN)
            .secret(TOKEN)
    }

    fn run(&self, change: &str) -> Ran {
        self.bench(change, &[]).run(YES)
    }

    /// What was answered from here, in order: job and version.
    fn answered(&self) -> Vec<(String, String)> {
        let state = self.jenkins.state();
        let mine = state.answers.iter().filter(|one| one.user == USER);
        mine.map(|one| (one.job.clone(), one.stage.clone())).collect()
    }

    /// The stages of one job that were answered from here.
    fn answered_of(&self, job: &str) -> Vec<String> {
        self.answered().into_iter().filter(|(of, _)| of == job).map(|(_, stage)| stage).collect()
    }

    fn deployed(&self) -> Vec<(String, String)> {
        let state = self.jenkins.state();
        state.deployments.iter().map(|one| (one.job.clone(), one.image_tag.clone())).collect()
    }
}

fn at(list: &[(String, String)], job: &str) -> usize {
    list.iter().position(|(of, _)| of == job).unwrap_or_else(|| panic!("{job} is not in {list:?}"))
}

#[test]
fn the_order_follows_the_change_of_the_database() {
    for change in ["none", "additive", "destructive"] {
        let world = World::after_release(vec![]);
        world.run(change).succeeded();
        let deployed = world.deployed();
        assert_eq!(deployed.len(), 3, "{change}: {deployed:?}");
        assert!(deployed.iter().all(|(_, tag)| tag == "v3.20"), "{change}: {deployed:?}");
        let answered = world.answered();
        assert_eq!(answered.len(), 4, "{change}: {answered:?}");
        let admin = at(&answered, "balrog-admin-production");
        let public = at(&answered, "balrog-production");
        match change {
            "additive" => assert!(admin < public, "{answered:?}"),
            "destructive" => {
                let promoted = answered.iter().position(|(_, stage)| stage == "PROD: PROMOTE").unwrap();
                assert!(promoted < admin, "{answered:?}");
            }
            _ => {}
        }
        // The newer rows still wait: they are another version's.
        let waiting =
            world.jenkins.state().builds.iter().filter(|build| build.parameter("ImageTag") == Some("v3.21")).count();
        assert_eq!(waiting, 3);
    }
}

#[test]
fn nothing_is_answered_without_a_yes() {
    let world = World::after_release(vec![]);
    assert_eq!(world.bench("none", &[]).run(&[]).code, 11);
    assert!(world.jenkins.requests().is_empty());
    let bench = world.bench("additive", &[]);
    let waiting = bench.run(&YES[..1]);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    assert!(world.answered().is_empty());
    let mut answers = YES.to_vec();
    answers[3].1 = "no";
    let declined = bench.resume(&answers);
    assert_eq!(declined.code, 5, "{}", declined.told);
    let promoted = world.answered().iter().any(|(_, stage)| stage == "PROD: PROMOTE");
    assert!(!promoted && world.jenkins.state().canary.contains_key("balrog-production"));
}

/// The canary makes errors that were not there before: nobody is asked to promote it.
#[test]
fn a_canary_with_errors_is_not_promoted() {
    let world = World::after_release(vec![]);
    let bench = world.bench("destructive", &[]);
    // The baseline is made of the first samples, and everything after it is worse.
    let mut samples = vec![Sample::Rate(0.2); 6];
    samples.push(Sample::Rate(3.0));
    world.prometheus.set(&samples);
    bench.run(YES).stopped_at("public/watch", "errors");
    assert_eq!(world.answered_of("balrog-production"), ["PROD: PROCEED"]);
}

#[test]
fn a_canary_of_which_nothing_is_known_is_not_promoted() {
    for sample in [Sample::Nothing, Sample::Overloaded, Sample::NotANumber] {
        let world = World::after_release(vec![]);
        let mut samples = vec![Sample::Rate(0.2); 6];
        samples.push(sample);
        world.prometheus.set(&samples);
        world.run("destructive").stopped_at("public/watch", "errors");
        assert_eq!(world.answered_of("balrog-production"), ["PROD: PROCEED"], "{sample:?}");
    }
}

/// What goes wrong and can be coped with.
#[test]
fn it_copes() {
    let answer = || On::of("POST", "proceedEmpty");
    for fault in [
        Fault::Late { looks: 5 },
        Fault::ReplyLost { on: answer(), times: 1 },
        Fault::ServerError { on: answer(), times: 4, effect: true },
        Fault::ServerError { on: On::of("GET", "wfapi/describe"), times: 3, effect: false },
        Fault::InputGone { job: "", times: 4 },
        Fault::CrumbIssuerOff,
    ] {
        eprintln!("{fault:?}");
        let world = World::after_release(vec![fault]);
        world.run("additive").succeeded();
        assert_eq!(world.deployed().len(), 3);
    }
}

/// What goes wrong and is told, at the right place; what comes after it is not begun.
#[test]
fn it_notices() {
    let faults: Vec<(Fault, &str, &str)> = vec![
        (Fault::BuildFails { job: "admin", times: 1 }, "admin/ended/done", "FAILURE"),
        (Fault::ResultFlips { job: "admin", times: 1 }, "admin/ended/done", "FAILURE"),
        (Fault::Unauthorized { on: On::of("GET", "admin-production/api/json") }, "admin/find/find", "401"),
        (Fault::Unauthorized { on: On::of("POST", "input") }, "admin/proceed/proceed", "401"),
        (
            Fault::ServerError { on: On::of("POST", "proceedEmpty"), times: 9, effect: false },
            "admin/proceed/answered",
            "not yet",
        ),
    ];
    for (fault, step, why) in faults {
        eprintln!("{fault:?}");
        let world = World::after_release(vec![fault]);
        world.run("additive").stopped_at(step, why);
        assert!(world.answered().iter().all(|(job, _)| job != "balrog-production"), "after {step}");
    }
}

#[test]
fn two_builds_of_one_version_are_for_a_person() {
    let world = World::after_release(vec![]);
    world.jenkins.pause_foreign_run("balrog-admin-production", "v3.20");
    world.run("additive").stopped_at("admin/find/find", "");
    assert!(world.answered().is_empty());
}

#[test]
fn a_service_that_stays_behind_is_told() {
    let world = World::after_release(vec![]);
    *locked(&world.public.says) = "3.19";
    let ran = world.bench("none", &[]).param("deployment", "500ms").run(YES);
    let step = format!("shown[{}]/shown", world.public.server.url());
    ran.stopped_at(&step, "not yet");
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let alarm = ("alarm_when: value > 2 * errors_before + 0.1\n                alarm_after: 2\n                ", "");
    let world = World::after_release(vec![]);
    let mut samples = vec![Sample::Rate(0.2); 6];
    samples.push(Sample::Rate(3.0));
    world.prometheus.set(&samples);
    world.bench("destructive", &[alarm]).run(YES).succeeded();
    assert_eq!(world.deployed().len(), 3, "a canary with errors was promoted");
    // The order is in the needs.
    let order = (", {step: admin, when: schema_change == 'additive'}", "");
    let world = World::after_release(vec![Fault::BuildFails { job: "admin", times: 1 }]);
    world.bench("additive", &[order]).run(YES);
    let answered = world.answered();
    assert!(answered.iter().any(|(job, _)| job == "balrog-production"), "{answered:?}");
}
