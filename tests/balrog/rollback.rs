//! `balrog/rollback` against the stand-in for Jenkins.

use std::ops::Deref;

use super::{Bench, Ran, front::Front};
use crate::standins::{
    jenkins::{BESIDE_ID, Fault, Jenkins, Job, TOKEN, USER},
    server::On,
    service::{self, Service},
};

pub const YES: &[(&str, &str)] = &[
    ("quiet-time", "yes"),
    ("database", "v3.08"),
    ("public/proceed/go", "yes"),
    ("public/promote/go", "yes"),
    ("admin/proceed/go", "yes"),
    ("agent/proceed/go", "yes"),
    ("tidy", "done"),
];
pub const JOBS: [&str; 3] = ["balrog-production", "balrog-admin-production", "balrog-agent-production"];

/// Everything around one run; most of all Jenkins.
pub struct World {
    jenkins: Jenkins,
    pub admin: Service,
    pub public: Service,
}

impl Deref for World {
    type Target = Jenkins;

    fn deref(&self) -> &Jenkins {
        &self.jenkins
    }
}

pub fn jenkins(faults: Vec<Fault>) -> World {
    let jenkins = Jenkins::start(Job::balrog(), faults);
    let admin = Service::start(jenkins.runs("balrog-admin-production", "v3.10"), vec![]);
    let public = Service::start(jenkins.runs("balrog-production", "v3.10"), vec![]);
    World { jenkins, admin, public }
}

impl World {
    pub fn bench(&self, change: &str, edits: &[(&str, &str)]) -> Bench {
        self.bench_at(&self.url(), change, edits)
    }

    /// Where Jenkins is reached by another door.
    pub fn bench_at(&self, url: &str, change: &str, edits: &[(&str, &str)]) -> Bench {
        Bench::new("balrog/rollback", edits)
            .param("version", "v3.08")
            .param("schema_change", change)
            .param("jenkins", url)
            .param("admin_job", "job/gcp-pipelines/job/balrog/job/balrog-admin-production")
            .param("public_job", "job/gcp-pipelines/job/balrog/job/balrog-production")
            .param("agent_job", "job/gcp-pipelines/job/balrog/job/balrog-agent-production")
            .param("admin_service", self.admin.url())
            .param("public_service", self.public.url())
            .param("user", USER)
            .param("poll", "10ms")
            .param("patience", "4s")
            .param("settle", "300ms")
            .param("deployment", "30s")
            .param("canary_watch", "10ms")
            .param("held_for", "20ms")
            .env("JENKINS_TOKEN", TOKEN)
            .secret(TOKEN)
    }
}

/// In the order of an additive change, one after the other.
fn run(world: &World, edits: &[(&str, &str)]) -> Ran {
    world.bench("additive", edits).run(YES)
}

/// All three have this version, in this order, by a single build each.
pub fn is_deployed(jenkins: &World, version: &str) {
    let state = jenkins.state();
    let deployed: Vec<(&str, &str)> =
        state.deployments.iter().map(|one| (one.job.as_str(), one.image_tag.as_str())).collect();
    assert_eq!(deployed, JOBS.map(|job| (job, version)));
    assert!(state.canary.is_empty());
    for job in 0..3 {
        let mine = state.builds.iter().filter(|build| build.job == job && build.user == USER).count();
        assert_eq!(mine, 1, "builds of {}", state.jobs[job].path);
    }
}

fn answered_by_us(jenkins: &World) -> Vec<(String, String)> {
    let state = jenkins.state();
    state.answers.iter().filter(|one| one.user == USER).map(|one| (one.job.clone(), one.stage.clone())).collect()
}

#[test]
fn all_three_go_back_one_after_the_other() {
    let jenkins = jenkins(vec![]);
    // Each job has an older row that waits, as they do after every release.
    for job in JOBS {
        jenkins.pause_foreign_run(job, "v3.10");
    }
    let bench = jenkins.bench("additive", &[]);
    // What still waits is named, and waits on.
    let open = bench.run(&YES[..6]);
    assert_eq!(open.code, 11, "{}", open.told);
    let question = open.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    assert_eq!(
        (question["step"].as_str(), question["message"].as_str().unwrap().matches("production: 41").count()),
        (Some("tidy"), 3)
    );
    bench.resume(YES).succeeded();
    is_deployed(&jenkins, "v3.08");
    let answers = answered_by_us(&jenkins);
    let answers: Vec<(&str, &str)> = answers.iter().map(|(job, stage)| (job.as_str(), stage.as_str())).collect();
    assert_eq!(
        answers,
        [
            ("balrog-production", "PROD: PROCEED"),
            ("balrog-production", "PROD: PROMOTE"),
            ("balrog-admin-production", "PROD: PROCEED"),
            ("balrog-agent-production", "PROD: PROCEED"),
        ]
    );
    // All three parameters are named: a missing one would take its default.
    for request in jenkins.requests_of("POST", "buildWithParameters") {
        let form = request.form();
        let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ImageTag", "CloudopsInfraRef", "SopsRef"]);
    }
}

#[test]
fn questions_name_the_build_and_fail_closed() {
    let jenkins = jenkins(vec![]);
    let bench = jenkins.bench("additive", &[]);
    assert_eq!(bench.run(&YES[..1]).code, 11);
    assert!(jenkins.requests().is_empty());
    let bench = jenkins.bench("additive", &[]);
    let waiting = bench.run(&YES[..2]);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    let question = waiting.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
    let message = question["message"].as_str().unwrap();
    for part in ["Build 41", "ImageTag v3.08", "PROD: PROCEED", "Bootstrap and deploy canary to prod?"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    assert!(answered_by_us(&jenkins).is_empty());
    // The canary may be given up.
    let mut answers = YES.to_vec();
    answers[3].1 = "no";
    let declined = bench.resume(&answers);
    assert_eq!(declined.code, 5, "{}", declined.told);
    assert_eq!(jenkins.state().canary.get("balrog-production").map(String::as_str), Some("v3.08"));
    assert!(jenkins.state().deployed.is_empty());
}

#[test]
fn the_database_decides_whether_and_in_which_order() {
    let restored = [&[("schema", "yes")], YES].concat();
    let gone = jenkins(vec![]);
    assert_eq!(gone.bench("destructive", &[]).run(YES).code, 11);
    assert_eq!(gone.bench("destructive", &[]).run(&[&[("schema", "no")], YES].concat()).code, 5);
    assert!(gone.requests().is_empty());
    gone.bench("destructive", &[]).run(&restored).succeeded();
    let order = |world: &World| world.state().deployments.iter().map(|one| one.job.clone()).collect::<Vec<_>>();
    assert_eq!(order(&gone), [JOBS[1], JOBS[0], JOBS[2]]);
    let added = jenkins(vec![]);
    let additive = added.bench("additive", &[]).run(YES);
    additive.succeeded();
    assert!(additive.told.contains("is given up: additive)"), "{}", additive.told);
    is_deployed(&added, "v3.08");
    // Nothing was done to it, so nothing waits for anything.
    let same = jenkins(vec![Fault::BuildFails { job: "balrog-production", times: 1 }]);
    same.bench("none", &[]).run(YES).stopped_at("public/ended/done", "FAILURE");
    assert_eq!(same.requests_of("POST", "buildWithParameters").len(), 3);
    let none = jenkins(vec![]);
    none.bench("none", &[]).run(YES).succeeded();
    assert_eq!(none.state().deployments.iter().filter(|one| one.image_tag == "v3.08").count(), 3);
}

/// An error that has lost the request is for a person, and a yes asks once more.
#[test]
fn an_error_without_a_build_is_asked_about() {
    let lost =
        || jenkins(vec![Fault::ServerError { on: On::of("POST", "buildWithParameters"), times: 1, effect: false }]);
    let world = lost();
    let bench = world.bench("additive", &[]);
    assert_eq!(bench.run(YES).code, 11);
    assert_eq!(world.requests_of("POST", "").len(), 1);
    bench.resume(&[&[("public/build/sure", "yes")], YES].concat()).succeeded();
    is_deployed(&world, "v3.08");
    assert_eq!(world.requests_of("POST", "buildWithParameters").len(), 4);
    let world = lost();
    assert_eq!(world.bench("additive", &[]).run(&[&[("public/build/sure", "no")], YES].concat()).code, 5);
    assert_eq!(world.requests_of("POST", "").len(), 1);
}

#[test]
fn what_the_services_say_is_what_counts() {
    use service::Fault;
    for (fault, at) in [
        (Fault::Stays { version: "3.10" }, Some("not yet")),
        (Fault::ErrorPage, Some("not yet")),
        (Fault::Dead, Some("not yet")),
        (Fault::Mixed { looks: 9, before: "3.10" }, None),
        (Fault::Late { looks: 9, before: "3.10" }, None),
    ] {
        eprintln!("{fault:?}");
        let world = jenkins(vec![]);
        world.public.set(vec![fault]);
        let ran = world.bench("additive", &[]).param("deployment", if at.is_some() { "3s" } else { "30s" }).run(YES);
        match at {
            Some(why) => ran.stopped_at(&format!("shown[{}]/shown", world.public.url()), why),
            None => ran.succeeded(),
        };
    }
}

/// What goes wrong and can be coped with, without a second build of anything.
#[test]
fn it_copes() {
    let build = || On::of("POST", "buildWithParameters");
    let answer = || On::of("POST", "proceedEmpty");
    let faults = vec![
        Fault::Late { looks: 5 },
        Fault::ReplyLost { on: build(), times: 1 },
        Fault::ReplyLost { on: build(), times: 3 },
        Fault::ReplyLost { on: answer(), times: 1 },
        Fault::ReplyLost { on: answer(), times: 4 },
        Fault::ServerError { on: build(), times: 3, effect: true },
        Fault::ServerError { on: answer(), times: 4, effect: true },
        Fault::ServerError { on: On::of("GET", "wfapi/describe"), times: 3, effect: false },
        Fault::ServerError { on: On::of("GET", "queue/item"), times: 3, effect: false },
        Fault::ItemGone { job: "" },
        Fault::InputGone { job: "", times: 4 },
        Fault::ForeignRunPaused { job: "", image_tag: "v3.10" },
        Fault::OtherRootUrl("https://ops-master.example.org".into()),
        Fault::CrumbIssuerOff,
    ];
    for fault in faults {
        eprintln!("{fault:?}");
        let jenkins = jenkins(vec![fault.clone()]);
        run(&jenkins, &[]).succeeded();
        is_deployed(&jenkins, "v3.08");
        assert_eq!(jenkins.requests_of("POST", "buildWithParameters").len(), 3, "{fault:?}");
        assert!(jenkins.state().answers.iter().all(|one| one.proceed), "{fault:?}");
    }
}

/// What goes wrong and is told, at the right place; what comes after it is not begun.
#[test]
fn it_notices() {
    let faults: Vec<(Fault, &str, &str)> = vec![
        (Fault::WrongImageTag { job: "balrog-production", times: 1 }, "public/build/image", "[image_tag]"),
        (Fault::WrongImageTag { job: "agent", times: 1 }, "agent/build/image", "[image_tag]"),
        (Fault::BuildFails { job: "balrog-production", times: 1 }, "public/ended/done", "FAILURE"),
        (Fault::BuildFails { job: "admin", times: 1 }, "admin/ended/done", "FAILURE"),
        (Fault::ResultFlips { job: "admin", times: 1 }, "admin/ended/done", "FAILURE"),
        (Fault::Aborted { job: "admin", times: 1 }, "admin/proceed/asks-still", "PAUSED_PENDING_INPUT"),
        (Fault::Aborted { job: "balrog-production", times: 1 }, "public/proceed/asks-still", "PAUSED_PENDING_INPUT"),
        (Fault::SecondInput { job: "balrog-production" }, "public/proceed/input", "length == 1"),
        (Fault::WantsValues { job: "admin" }, "admin/proceed/input", "inputs"),
        (
            Fault::ServerError { on: On::of("POST", "proceedEmpty"), times: 9, effect: false },
            "public/proceed/answered",
            "not yet",
        ),
        (Fault::Unauthorized { on: On::of("POST", "buildWithParameters") }, "public/build/build", "401"),
        (Fault::Unauthorized { on: On::of("POST", "input") }, "public/proceed/proceed", "401"),
        (Fault::Unauthorized { on: On::of("GET", "queue/item") }, "public/build/queued", "401"),
        (Fault::Unauthorized { on: On::of("GET", "wfapi/describe") }, "public/proceed/asks", "401"),
    ];
    for (fault, at, why) in faults {
        eprintln!("{fault:?}");
        let jenkins = jenkins(vec![fault]);
        run(&jenkins, &[]).stopped_at(at, why);
        let later = match at.split('/').next() {
            Some("public") => 2,
            Some("admin") => 1,
            _ => 0,
        };
        let requests = jenkins.requests_of("POST", "buildWithParameters").len();
        assert_eq!(requests, 3 - later, "after {at}");
    }
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let image = ("|selectattr('name', 'eq', 'ImageTag')|map(attribute='value')|list == [image_tag]", "|length > 0");
    let by_item =
        ("(result.json.builds|selectattr('queueId', 'eq', item|int)|first).number", "result.json.builds[0].number");
    let ended = ("not result.json.building and result.json.result == 'SUCCESS'", "result.json.result == 'SUCCESS'");
    let well = ("not result.json.building and result.json.result == 'SUCCESS'", "not result.json.building");
    let or_fails = ("not result.json.building and result.json.result != 'SUCCESS'", "false");
    type Edits<'a> = Vec<(&'a str, &'a str)>;
    let wrong_image = Fault::WrongImageTag { job: "balrog-production", times: 1 };
    let foreign = Fault::ForeignRunPaused { job: "balrog-production", image_tag: "v3.10" };
    let flips = Fault::ResultFlips { job: "admin", times: 1 };
    let fails = Fault::BuildFails { job: "agent", times: 1 };
    let cases: [(&str, Edits<'_>, Edits<'_>, Vec<Fault>); 4] = [
        ("public/build/image", vec![], vec![image], vec![wrong_image]),
        ("public/build/image", vec![by_item], vec![image], vec![foreign]),
        ("admin/ended/done", vec![], vec![ended], vec![flips]),
        ("agent/ended/done", vec![], vec![or_fails, well], vec![fails]),
    ];
    // That the services say so is the last check of all, and would see some of it.
    let last = (
        "until: result.status == 200 and (result.json|default({})).version|default('') == version",
        "until: result.status == 200",
    );
    for (with_it, other, check, faults) in cases {
        eprintln!("{with_it}");
        let run = |edits: &[(&str, &str)]| {
            let jenkins = jenkins(faults.clone());
            (jenkins.bench("additive", edits).run(YES), jenkins)
        };
        run(&other).0.stopped_at(with_it, "");
        let edits: Edits<'_> = other.into_iter().chain(check).chain([last]).collect();
        let (ran, jenkins) = run(&edits);
        ran.succeeded();
        let wrong = jenkins.state().deployments.iter().filter(|one| one.image_tag == "v3.08").count() < 3;
        assert!(wrong, "{with_it}: nothing was wrong");
    }
}

/// Without the looks at the services, what they run is nobody's business.
#[test]
fn without_a_look_a_service_stays_behind_unseen() {
    use service::Fault;
    let until = "until: result.status == 200 and (result.json|default({})).version|default('') == version";
    let (holds, rest) = ("      held_for: \"{{ held_for }}\"\n", "      timeout: \"{{ deployment }}\"");
    let held = [holds, rest].concat();
    for (check, fault) in [
        ((until, "until: result.status == 200"), Fault::Stays { version: "3.10" }),
        (
            (until, "until: result.status > 0 and (result.json|default({})).version|default('') == version"),
            Fault::ErrorPage,
        ),
        ((held.as_str(), rest), Fault::Mixed { looks: 10_000, before: "3.10" }),
    ] {
        eprintln!("{fault:?}");
        let run = |edits: &[(&str, &str)]| {
            let world = jenkins(vec![]);
            world.public.set(vec![fault.clone()]);
            let ran = world.bench("additive", edits).param("deployment", "3s").param("held_for", "200ms").run(YES);
            (ran, format!("shown[{}]/shown", world.public.url()))
        };
        let (ran, at) = run(&[]);
        ran.stopped_at(&at, "");
        run(&[check]).0.succeeded();
    }
}

/// Without the checks of what is asked, a question is answered that nobody meant.
#[test]
fn without_a_look_at_the_questions_a_wrong_one_is_answered() {
    let one = ("      - result.status == 200 and result.json|length == 1\n", "      - result.status == 200\n");
    let beside = jenkins(vec![Fault::SecondInput { job: "balrog-production" }]);
    beside.bench("additive", &[one]).param("patience", "500ms").run(YES).stopped_at("public/proceed/answered", "");
    assert_eq!(beside.state().answers[0].id, BESIDE_ID);
    let plain = ("      - result.json[0].inputs|default([])|length == 0\n", "");
    let valued = jenkins(vec![Fault::WantsValues { job: "" }]);
    valued.bench("additive", &[plain]).run(YES).succeeded();
    assert!(valued.state().answers.iter().all(|answer| answer.values.is_none()));
}

/// Without the order, and without the question about the database, what must not be is begun.
#[test]
fn without_the_order_the_wrong_app_goes_first() {
    let fails = |job| jenkins(vec![Fault::BuildFails { job, times: 1 }]);
    for (change, edge, first, second) in [
        (
            "additive",
            ", {step: public, when: schema_change == 'additive'}",
            "balrog-production",
            "balrog-admin-production",
        ),
        ("destructive", ", {step: admin, when: schema_change == 'destructive'}", "admin", "balrog-production"),
    ] {
        let answers = [&[("schema", "yes")], YES].concat();
        let asked = |world: &World| world.requests_of("POST", &format!("/{second}/buildWithParameters")).len();
        let world = fails(first);
        assert_eq!(world.bench(change, &[]).run(&answers).code, 1);
        assert_eq!(asked(&world), 0, "{change}");
        let world = fails(first);
        assert_eq!(world.bench(change, &[(edge, "")]).run(&answers).code, 1);
        assert_eq!(asked(&world), 1, "{change}");
    }
    let world = jenkins(vec![]);
    world
        .bench("destructive", &[("    when: schema_change == 'destructive'\n", "    when: false\n")])
        .run(YES)
        .succeeded();
}

/// Where its `verify` sees nothing, a lost answer leaves the step open, and nothing is sent twice.
#[test]
fn without_a_verify_a_lost_answer_is_left_open() {
    let blind = "until: |\n          false and [result.json.queueItem";
    let seeing = "until: |\n          result.status == 200 and [result.json.queueItem";
    let written = step("proceed", "proceed");
    let from = written.find("    verify:\n").unwrap();
    let shorter = written[..from].to_owned();
    for (at, request, edit) in [
        ("public/build/build", "buildWithParameters", (seeing, blind)),
        ("public/proceed/proceed", "proceedEmpty", (written.as_str(), shorter.as_str())),
    ] {
        let jenkins = jenkins(vec![Fault::ReplyLost { on: On::of("POST", request), times: 1 }]);
        jenkins.bench("additive", &[edit]).param("patience", "1s").run(YES).open_at(at, "no whole answer");
        assert_eq!(jenkins.requests_of("POST", request).len(), 1);
    }
}

/// A request that has never arrived looks like one whose answer was lost; whoever has looked decides.
#[test]
fn a_request_that_was_lost_on_its_way_is_left_open_and_may_be_sent_again_by_decision() {
    let jenkins = jenkins(vec![]);
    let front = Front::losing(&jenkins.url(), "/buildWithParameters");
    let bench = jenkins.bench_at(front.url(), "additive", &[]).param("patience", "300ms");
    bench.run(YES).open_at("public/build/build", "no whole answer");
    assert!(jenkins.state().builds.is_empty() && jenkins.state().queue.is_empty());
    let told = bench.resume(YES);
    assert_eq!(told.code, 7, "{}", told.told);
    assert!(jenkins.requests_of("POST", "").is_empty());
    bench.decide("public/build/build", "not-done", YES).succeeded();
    is_deployed(&jenkins, "v3.08");
}

/// A step of one of the moves, from its id to the next one, as it is written.
fn step(file: &str, id: &str) -> String {
    let path = format!("{}/runbooks/lib/jenkins/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let from = text.find(&format!("  - id: {id}\n")).unwrap_or_else(|| panic!("there is no step {id}"));
    let to = text[from + 1..]
        .find("\n  - id: ")
        .map_or_else(|| text.find("\noutputs:").unwrap_or(text.len()), |at| from + at + 2);
    text[from..to].to_owned()
}
