//! `balrog/rollback` when the program itself dies in the middle: nothing is begun twice, and nothing is given up.

use super::{
    front::Front,
    rollback::{YES, is_deployed, jenkins},
};
use crate::standins::jenkins::Fault;

#[test]
fn while_it_waits() {
    for step in ["public/build/queued", "public/proceed/asks", "public/canary", "public/ended/done", "agent/ended/done"]
    {
        let jenkins = jenkins(vec![Fault::Late { looks: 3 }]);
        let bench = jenkins.bench("additive", &[]);
        bench.start(YES).until_doing(step).kill();
        bench.resume(YES).succeeded();
        is_deployed(&jenkins, "v3.08");
    }
}

#[test]
fn after_a_change_whose_answer_was_on_its_way() {
    for (request, step) in [
        ("POST /job/gcp-pipelines/job/balrog/job/balrog-production/buildWithParameters", "public/build/build"),
        ("POST /job/gcp-pipelines/job/balrog/job/balrog-production/41/input/", "public/proceed/proceed"),
        ("POST /job/gcp-pipelines/job/balrog/job/balrog-agent-production/buildWithParameters", "agent/build/build"),
        ("POST /job/gcp-pipelines/job/balrog/job/balrog-admin-production/41/input/", "admin/proceed/proceed"),
    ] {
        let jenkins = jenkins(vec![]);
        let front = Front::keeping(&jenkins.url(), request);
        let bench = jenkins.bench_at(front.url(), "additive", &[]);
        let going = bench.start(YES).until_doing(step);
        front.until_kept();
        going.kill();
        let resumed = bench.resume(YES);
        resumed.succeeded();
        assert_eq!(resumed.status(step), Some("succeeded"));
        is_deployed(&jenkins, "v3.08");
        assert_eq!(jenkins.requests_of("POST", "buildWithParameters").len(), 3, "{step}");
        assert_eq!(jenkins.requests_of("POST", "proceedEmpty").len(), 4, "{step}");
    }
}

/// Killed as soon as the intent is durable: the request may or may not have gone out, and there is at most one.
#[test]
fn as_a_change_begins() {
    let jenkins = jenkins(vec![]);
    let bench = jenkins.bench("additive", &[]).param("patience", "500ms");
    bench.start(YES).until_doing("public/build/build").kill();
    let resumed = bench.resume(YES);
    match jenkins.requests_of("POST", "/job/balrog-production/buildWithParameters").len() {
        0 => {
            resumed.open_at("public/build/build", "not on record");
            bench.decide("public/build/build", "not-done", YES).succeeded();
        }
        1 => {
            resumed.succeeded();
        }
        more => panic!("{more} builds were asked for"),
    }
    is_deployed(&jenkins, "v3.08");
}
