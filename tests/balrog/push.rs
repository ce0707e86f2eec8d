//! `balrog/push-production` against stand-ins for Jenkins, Prometheus, Sentry and the services themselves.

use super::{Bench, Ran};
use crate::standins::{
    jenkins::{BESIDE_ID, Fault, Jenkins, Job, TOKEN, USER},
    prometheus::{self, Prometheus, Sample},
    sentry::{self, Look, Sentry},
    server::On,
    service::{self, Service},
};

const YES: &[(&str, &str)] = &[
    ("quiet-time", "yes"),
    ("no-way-back", "yes"),
    ("admin/proceed/go", "yes"),
    ("public/proceed/go", "yes"),
    ("public/promote/go", "yes"),
    ("agent/proceed/go", "yes"),
];

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
        let admin = Service::start(jenkins.runs("balrog-admin-production", "v3.19"), vec![]);
        let public = Service::start(jenkins.runs("balrog-production", "v3.19"), vec![]);
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
            .param("admin_service", self.admin.url())
            .param("public_service", self.public.url())
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

    /// What is measured as soon as the new code is in the canary.
    fn in_the_canary(&self, sample: Sample) {
        self.prometheus.turns(self.jenkins.has_canary("balrog-production"), sample);
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
    let waiting = bench.run(&YES[..2]);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    assert!(world.answered().is_empty());
    let mut answers = YES.to_vec();
    answers[4].1 = "no";
    let declined = bench.resume(&answers);
    assert_eq!(declined.code, 5, "{}", declined.told);
    let promoted = world.answered().iter().any(|(_, stage)| stage == "PROD: PROMOTE");
    assert!(!promoted && world.jenkins.state().canary.contains_key("balrog-production"));
}

/// Who begins anew after a no to the promotion is not asked for the canary, which would be a yes to the promotion.
#[test]
fn a_push_that_was_begun_is_not_begun_again() {
    let check = ("when: stage_name is not matches(stage_pattern)", "when: false");
    for (edits, harm) in [(&[][..], false), (&[check][..], true)] {
        let world = World::after_release(vec![]);
        let mut answers = YES.to_vec();
        answers.iter_mut().filter(|one| one.0 == "public/promote/go").for_each(|one| one.1 = "no");
        let declined = world.bench("destructive", &[]).run(&answers);
        assert_eq!(declined.code, 5, "{}", declined.told);
        assert_eq!(world.answered_of("balrog-production"), ["PROD: PROCEED"]);
        world.jenkins.state().answers.clear();
        let again = world.bench("destructive", edits).run(YES);
        if harm {
            assert_eq!(world.answered_of("balrog-production"), ["PROD: PROMOTE"], "{}", again.told);
        } else {
            again.stopped_at("public/proceed/other", "waits at PROD: PROMOTE already");
            assert!(world.answered_of("balrog-production").is_empty());
        }
    }
}

/// Somebody else answers while the question is open: the yes that comes later is for nothing that is asked then.
#[test]
fn a_yes_that_comes_late_answers_nothing_else() {
    let world = World::after_release(vec![]);
    let bench = world.bench("destructive", &[]);
    let to_agent = [YES[0], YES[1], YES[5]];
    assert_eq!(bench.run(&to_agent).code, 11);
    let client = world.jenkins.client();
    let job = "/job/gcp-pipelines/job/balrog/job/balrog-production";
    let builds =
        client.get(&format!("{job}/api/json?tree=builds[number,actions[parameters[name,value]]]")).unwrap().json();
    let mine = builds["builds"].as_array().unwrap().iter().find(|one| one.to_string().contains("v3.20")).unwrap();
    let number = mine["number"].as_u64().unwrap();
    let pending = client.get(&format!("{job}/{number}/wfapi/pendingInputActions")).unwrap().json();
    let input = pending[0]["id"].as_str().unwrap();
    assert_eq!(client.post(&format!("{job}/{number}/input/{input}/proceedEmpty"), "").unwrap().status, 200);
    world.jenkins.state().answers.clear();
    bench.resume(YES).stopped_at("public/proceed/asks-still", "PAUSED_PENDING_INPUT");
    assert!(world.answered_of("balrog-production").is_empty());
}

/// The canary makes errors that were not there before: nobody is asked to promote it.
#[test]
fn a_canary_with_errors_is_not_promoted() {
    let world = World::after_release(vec![]);
    let bench = world.bench("destructive", &[]);
    world.in_the_canary(Sample::Rate(3.0));
    bench.run(YES).stopped_at("public/watch/errors", "errors");
    assert_eq!(world.answered_of("balrog-production"), ["PROD: PROCEED"]);
}

#[test]
fn a_canary_of_which_nothing_is_known_is_not_promoted() {
    for sample in [Sample::Nothing, Sample::Overloaded, Sample::NotANumber] {
        let world = World::after_release(vec![]);
        world.in_the_canary(sample);
        world.run("destructive").stopped_at("public/watch/errors", "errors");
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
        (Fault::SecondInput { job: "admin" }, "admin/proceed/input", "length == 1"),
        (Fault::WantsValues { job: "admin" }, "admin/proceed/input", "inputs"),
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
    world.public.set(vec![service::Fault::Stays { version: "3.19" }]);
    let ran = world.bench("none", &[]).param("deployment", "3s").run(YES);
    let step = format!("shown[{}]/shown", world.public.url());
    ran.stopped_at(&step, "not yet");
}

/// What is asked before anything is begun.
#[test]
fn it_begins_with_what_is_staged_and_known() {
    let world = World::after_release(vec![]);
    let staged = Service::of("3.21", vec![]);
    let bench = |edits: &[(&str, &str)]| world.bench("none", edits).param("stage_services", staged.url());
    bench(&[]).run(YES).stopped_at(&format!("stage/staged[{}]", staged.url()), "version");
    staged.set(vec![service::Fault::Stays { version: "3.20" }]);
    bench(&[]).run(YES).succeeded();
    // An upgrade that cannot be taken back is put to somebody, with what runs before it.
    for change in ["additive", "destructive"] {
        let world = World::after_release(vec![]);
        let ran = world.bench(change, &[]).run(&[("quiet-time", "yes")]);
        assert_eq!(ran.code, 11, "{}", ran.told);
        let question = ran.events.iter().rfind(|event| event["event"] == "question_asked").unwrap();
        assert_eq!(question["step"], "no-way-back");
        let message = question["message"].as_str().unwrap();
        assert!(message.contains(change) && message.contains("v3.19 now"), "{message}");
        assert_eq!(world.bench(change, &[]).run(&[("quiet-time", "yes"), ("no-way-back", "no")]).code, 5);
        assert!(world.answered().is_empty());
    }
    // Services that do not answer stop nobody, and are told apart from those that do.
    let world = World::after_release(vec![]);
    world.public.set(vec![service::Fault::Dead]);
    let ran = world.bench("additive", &[]).run(&[("quiet-time", "yes")]);
    assert!(ran.told.contains("nobody knows what"), "{}", ran.told);
}

#[test]
fn without_anything_that_measures_a_person_looks() {
    let world = World::after_release(vec![]);
    let ran = world.bench("none", &[]).param("prometheus", "").run(YES);
    ran.succeeded();
    assert_eq!(
        (ran.status("public/watch/errors"), ran.status("public/watch/time")),
        (Some("skipped"), Some("succeeded"))
    );
    let promote =
        ran.events.iter().rfind(|event| event["event"] == "question_asked" && event["step"] == "public/promote/go");
    assert!(promote.unwrap()["message"].as_str().unwrap().contains("(before: v3.19)"));
    assert_eq!(world.deployed().len(), 3);
}

#[test]
fn errors_are_measured_by_way_of_grafana_as_well() {
    for (token, worse, at) in [
        (prometheus::TOKEN, false, None),
        (prometheus::TOKEN, true, Some("public/watch/errors-by-token")),
        ("glsa_somebody_elses_token", false, Some("baseline/errors-by-token")),
    ] {
        let world = World::after_release(vec![]);
        if worse {
            world.in_the_canary(Sample::Rate(3.0));
        }
        let bench = world.bench("destructive", &[]).param("prometheus", world.prometheus.by_grafana());
        let bench = bench.param("metrics_token", "true").env("METRICS_TOKEN", token).secret(token);
        let ran = bench.run(YES);
        match at {
            None => ran.succeeded(),
            Some(at) => ran.stopped_at(at, ""),
        };
        assert_eq!(world.deployed().iter().any(|(job, _)| job == "balrog-production"), at.is_none());
    }
}

#[test]
fn an_issue_that_was_not_known_is_an_alarm_and_so_is_silence() {
    let known = Look::Issues(&[2, 1]);
    let new = Look::Issues(&[3, 2, 1]);
    let bench = |world: &World, sentry: &Sentry, edits: &[(&str, &str)]| {
        let bench = world.bench("destructive", edits).param("prometheus", "").param("sentry", sentry.url());
        bench.env("SENTRY_TOKEN", sentry::TOKEN).secret(sentry::TOKEN)
    };
    for (looks, at) in [
        (vec![known.clone()], None),
        (vec![known.clone(), known.clone(), new.clone()], Some("issues")),
        (vec![known.clone(), Look::Broken], Some("no data")),
        (vec![known.clone(), Look::Limited], Some("no data")),
        (vec![known.clone(), Look::LoginPage], Some("json")),
        (vec![known.clone(), Look::Broken, known.clone()], None),
    ] {
        eprintln!("{looks:?}");
        let (world, sentry) = (World::after_release(vec![]), Sentry::start(&looks));
        let ran = bench(&world, &sentry, &[]).run(YES);
        match at {
            None => ran.succeeded(),
            Some(why) => ran.stopped_at("public/watch/issues", why),
        };
        let promoted = world.answered_of("balrog-production").contains(&"PROD: PROMOTE".to_owned());
        assert_eq!(promoted, at.is_none());
    }
    let looks = [known.clone(), new.clone()];
    let world = World::after_release(vec![]);
    bench(&world, &Sentry::start(&looks), &[]).param("new_issues", "1").run(YES).succeeded();
    // Without its alarm the new issue is promoted over.
    let world = World::after_release(vec![]);
    bench(&world, &Sentry::start(&looks), &[("                      alarm_when: value > new_issues\n", "")])
        .run(YES)
        .succeeded();
    assert_eq!(world.deployed().len(), 3);
    let world = World::after_release(vec![]);
    let sentry = Sentry::start(&looks);
    let strange = bench(&world, &sentry, &[]).env("SENTRY_TOKEN", "sntrys_somebody_elses");
    strange.run(YES).stopped_at("baseline/issues", "401");
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let alarm = (
        "alarm_when: value > 2 * errors_before + 0.1\n                      alarm_after: 2\n                      ",
        "",
    );
    let world = World::after_release(vec![]);
    world.in_the_canary(Sample::Rate(3.0));
    world.bench("destructive", &[alarm]).run(YES).succeeded();
    assert_eq!(world.deployed().len(), 3, "a canary with errors was promoted");
    // What is on stage, and what cannot be taken back.
    let staged = Service::of("3.21", vec![]);
    let any = (
        "expect: result.status == 200 and result.json.version == version|replace('v', '')",
        "expect: result.status == 200",
    );
    let world = World::after_release(vec![]);
    world.bench("none", &[any]).param("stage_services", staged.url()).run(YES).succeeded();
    let world = World::after_release(vec![]);
    let asked = ("    when: schema_change != 'none'\n", "    when: false\n");
    world.bench("additive", &[asked]).run(&[&YES[..1], &YES[2..]].concat()).succeeded();
    // The order is in the needs.
    for (change, edge, first, second) in [
        ("additive", ", {step: admin, when: schema_change == 'additive'}", "admin", "balrog-production"),
        (
            "destructive",
            ", {step: public, when: schema_change == 'destructive'}",
            "balrog-production",
            "balrog-admin-production",
        ),
    ] {
        let world = World::after_release(vec![Fault::BuildFails { job: first, times: 1 }]);
        world.bench(change, &[]).run(YES);
        assert!(world.answered_of(second).is_empty(), "{change}");
        let world = World::after_release(vec![Fault::BuildFails { job: first, times: 1 }]);
        world.bench(change, &[(edge, "")]).run(YES);
        assert!(!world.answered_of(second).is_empty(), "{change}");
    }
    // Which question is answered.
    let one = ("      - result.status == 200 and result.json|length == 1\n", "      - result.status == 200\n");
    let world = World::after_release(vec![Fault::SecondInput { job: "admin" }]);
    world.bench("additive", &[one]).param("patience", "500ms").run(YES);
    assert_eq!(world.jenkins.state().answers[0].id, BESIDE_ID);
    // What the services say in the end.
    let until = (
        "until: result.status == 200 and (result.json|default({})).version|default('') == version",
        "until: result.status == 200",
    );
    let world = World::after_release(vec![]);
    world.public.set(vec![service::Fault::Stays { version: "3.19" }]);
    world.bench("none", &[until]).run(YES).succeeded();
}

/// Several rows wait: without its look at their versions it would answer the topmost, or one of two.
#[test]
fn without_a_look_at_the_rows_another_version_is_answered() {
    let contains = "|select('containing', '\"name\":\"ImageTag\",\"value\":\"' ~ image_tag ~ '\"')";
    let several = "|list|length > 1)";
    let world = World::after_release(vec![]);
    world.bench("additive", &[(contains, ""), (several, "|list|length > 9)")]).run(YES);
    let state = world.jenkins.state();
    let mine = state.answers.iter().find(|answer| answer.user == USER).unwrap();
    let build =
        state.builds.iter().find(|one| state.jobs[one.job].path.ends_with(&mine.job) && one.number == mine.build);
    assert_eq!(build.unwrap().parameter("ImageTag"), Some("v3.21"), "the topmost row");
    drop(state);
    let world = World::after_release(vec![]);
    world.jenkins.pause_foreign_run("balrog-admin-production", "v3.20");
    world.bench("additive", &[(several, "|list|length > 9)")]).run(YES).succeeded();
    assert_eq!(world.answered_of("balrog-admin-production").len(), 1, "one of two was taken without a word");
}

/// The engine dies while an answer is on its way, and again while the canary is watched.
#[test]
fn killed_in_the_middle_it_answers_nothing_twice() {
    let world = World::after_release(vec![]);
    let bench = world.bench("additive", &[]);
    bench.start(YES).until_doing("admin/proceed/proceed").kill();
    world.jenkins.quiet();
    let resumed = bench.resume(YES);
    if world.jenkins.requests_of("POST", "admin-production/42/input").is_empty()
        && world.answered_of("balrog-admin-production").is_empty()
    {
        // The request never left, and nothing is sent again without a word.
        resumed.open_at("admin/proceed/proceed", "");
        bench.decide("admin/proceed/proceed", "not-done", YES).succeeded();
    } else {
        resumed.succeeded();
    }
    assert_eq!(world.answered().len(), 4);
    let world = World::after_release(vec![]);
    let bench = world.bench("none", &[]).param("canary_watch", "1s");
    bench.start(YES).until_doing("public/watch/errors").kill();
    bench.resume(YES).succeeded();
    assert_eq!((world.answered().len(), world.deployed().len()), (4, 3));
}
