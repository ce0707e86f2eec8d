//! `balrog/rollback` against the stand-in for Jenkins.

use super::{Bench, Ran, front::Front};
use crate::standins::{
    jenkins::{Fault, Jenkins, Job, TOKEN, USER},
    server::On,
};

pub const YES: &[(&str, &str)] = &[
    ("quiet-time", "yes"),
    ("database", "v3.08"),
    ("public/proceed/go", "yes"),
    ("public/promote/go", "yes"),
    ("admin/proceed/go", "yes"),
    ("agent/proceed/go", "yes"),
];
pub const JOBS: [&str; 3] = ["balrog-production", "balrog-admin-production", "balrog-agent-production"];

pub fn jenkins(faults: Vec<Fault>) -> Jenkins {
    Jenkins::start(Job::balrog(), faults)
}

pub fn bench_at(url: &str, edits: &[(&str, &str)]) -> Bench {
    Bench::new("balrog/rollback", edits)
        .param("version", "v3.08")
        .param("schema_change", "none")
        .param("jenkins", url)
        .param("user", USER)
        .param("poll", "10ms")
        .param("patience", "4s")
        .param("deployment", "30s")
        .param("canary_watch", "10ms")
        .env("JENKINS_TOKEN", TOKEN)
        .secret(TOKEN)
}

fn run(jenkins: &Jenkins, edits: &[(&str, &str)]) -> Ran {
    bench_at(&jenkins.url(), edits).run(YES)
}

/// All three have this version, in this order, by a single build each.
pub fn is_deployed(jenkins: &Jenkins, version: &str) {
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

fn answered_by_us(jenkins: &Jenkins) -> Vec<(String, String)> {
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
    let ran = run(&jenkins, &[]);
    ran.succeeded();
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
    let bench = bench_at(&jenkins.url(), &[]);
    assert_eq!(bench.run(&YES[..1]).code, 11);
    assert!(jenkins.requests().is_empty());
    let bench = bench_at(&jenkins.url(), &[]);
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
fn the_database_decides_whether_it_begins() {
    let jenkins = jenkins(vec![]);
    let bench = || bench_at(&jenkins.url(), &[]);
    bench().param("schema_change", "destructive").run(YES).stopped_at("schema", "must restore it first");
    assert!(jenkins.requests().is_empty());
    let additive = bench().param("schema_change", "additive").run(YES);
    additive.succeeded();
    assert!(additive.told.contains("(additive)"), "{}", additive.told);
    is_deployed(&jenkins, "v3.08");
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
        (Fault::Aborted { job: "admin", times: 1 }, "admin/ended/done", "ABORTED"),
        (Fault::Aborted { job: "balrog-production", times: 1 }, "public/canary", "ABORTED"),
        (
            Fault::ServerError { on: On::of("POST", "buildWithParameters"), times: 9, effect: false },
            "public/build/number",
            "not yet",
        ),
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
    let by_item = (
        "(result.json.builds|selectattr('queueId', 'eq', item|int)|first).number if item is not none else",
        "result.json.builds[0].number if item is not none else",
    );
    let ended = ("not result.json.building and result.json.result == 'SUCCESS'", "result.json.result == 'SUCCESS'");
    let well = ("not result.json.building and result.json.result == 'SUCCESS'", "not result.json.building");
    let or_fails = ("not result.json.building and result.json.result != 'SUCCESS'", "false");
    let schema = ("== destructive ]]", "== never ]]");
    type Edits<'a> = Vec<(&'a str, &'a str)>;
    let wrong_image = Fault::WrongImageTag { job: "balrog-production", times: 1 };
    let foreign = Fault::ForeignRunPaused { job: "balrog-production", image_tag: "v3.10" };
    let flips = Fault::ResultFlips { job: "admin", times: 1 };
    let fails = Fault::BuildFails { job: "agent", times: 1 };
    let cases: [(&str, Edits<'_>, Edits<'_>, Vec<Fault>); 5] = [
        ("schema", vec![], vec![schema], vec![]),
        ("public/build/image", vec![], vec![image], vec![wrong_image]),
        ("public/build/image", vec![by_item], vec![image], vec![foreign]),
        ("admin/ended/done", vec![], vec![ended], vec![flips]),
        ("agent/ended/done", vec![], vec![or_fails, well], vec![fails]),
    ];
    for (with_it, other, check, faults) in cases {
        eprintln!("{with_it}");
        let run = |edits: &[(&str, &str)]| {
            let jenkins = jenkins(faults.clone());
            let bench = bench_at(&jenkins.url(), edits);
            let bench = if with_it == "schema" { bench.param("schema_change", "destructive") } else { bench };
            (bench.run(YES), jenkins)
        };
        run(&other).0.stopped_at(with_it, "");
        let edits: Edits<'_> = other.into_iter().chain(check).collect();
        let (ran, jenkins) = run(&edits);
        ran.succeeded();
        let wrong = jenkins.state().deployments.iter().filter(|one| one.image_tag == "v3.08").count() < 3;
        assert!(wrong || with_it == "schema", "{with_it}: nothing was wrong");
    }
}

/// Without its `verify`, a lost answer leaves the step open, and nothing is sent twice.
#[test]
fn without_a_verify_a_lost_answer_is_left_open() {
    for (at, file, request) in
        [("public/build/build", "build", "buildWithParameters"), ("public/proceed/proceed", "proceed", "proceedEmpty")]
    {
        let jenkins = jenkins(vec![Fault::ReplyLost { on: On::of("POST", request), times: 1 }]);
        let written = step(file, at.rsplit('/').next().unwrap());
        let from = written.find("    verify:\n").unwrap();
        let shorter = written[..from].to_owned();
        run(&jenkins, &[(&written, &shorter)]).open_at(at, "no whole answer");
        assert_eq!(jenkins.requests_of("POST", request).len(), 1);
    }
}

/// A request that has never arrived looks like one whose answer was lost; whoever has looked decides.
#[test]
fn a_request_that_was_lost_on_its_way_is_left_open_and_may_be_sent_again_by_decision() {
    let jenkins = jenkins(vec![]);
    let front = Front::losing(&jenkins.url(), "/buildWithParameters");
    let bench = bench_at(front.url(), &[]).param("patience", "300ms");
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
