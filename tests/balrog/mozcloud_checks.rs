//! For each check of the runbooks of MozCloud: what goes wrong, that the check stops it, and that without the check the run
//! would go on to its end and be wrong. Where several checks would notice one thing, the others are taken out in both runs.

use serde_json::json;

use super::{
    mozcloud::{Faults, NEW, World, sentry},
    mozcloud_deploy, mozcloud_promote,
};
use crate::standins::{
    argocd::Fault,
    github::{self, WorkflowFault},
};

type Edit = (&'static str, &'static str);

const IMAGE: Edit = ("|select('matches', '(^|/)' ~ image|regex_escape ~ '(@|$)')|list|length > 0", "|list|length >= 0");
const NOT_DEGRADED: Edit = ("result.json.status.health.status == 'Degraded'", "false");
const REVISION: Edit = ("revision == '' or", "true or");
const SYNCED: Edit = ("and result.json.status.sync.status == 'Synced'", "");
const HEALTH: Edit = ("result.json.status.health.status in health", "true");
const HELD: Edit = ("held_for: \"{{ held_for }}\"\n      timeout", "held_for: 0s\n      timeout");
const AGREED: Edit = ("if [[ \"$synced\" != \"$tracked\" ]]; then", "if false; then");
const SHOWN: Edit = ("result.status == 200 and (result.json|default({})).version|default('') == version", "true");
const WANTED: Edit = (
    "result.json.manifests|select('matches', '\"image\": ?\"([^\"]*/)?' ~ image|regex_escape ~ '[\"@]')|list|length > 0",
    "true",
);
const OURS: Edit = (
    "and result.json.status.operationState|default({})|tojson is containing('\"value\":\"' ~ run.id ~ '\"')\n        and \
     result.json.status.operationState.phase == 'Succeeded'",
    "and (result.json.status.operationState|default({})).phase|default('') == 'Succeeded'",
);
const NOT_OURS: Edit =
    ("or not result.json.status.operationState|tojson is containing('\"value\":\"' ~ run.id ~ '\"')", "or false");
const PHASE: Edit = (
    "and result.json.status.operationState.phase == 'Succeeded'",
    "and (result.json.status.operationState|default({})).phase|default('') in ['Succeeded', 'Failed']",
);
const FAILED: Edit = ("result.json.status.operationState.phase in ['Failed', 'Error', 'Terminating']", "false");
const PROMOTED: Edit = (
    "result.status == 200 and (result.json.actions|selectattr('name', 'eq', 'promote-full')|first).disabled|default(false)\n",
    "true\n",
);
const CANARY_SYNCED: Edit = ("      - result.json.status.sync.status == 'Synced'\n", "");
const OUR_RUN: Edit = ("(result.json.path|split('@')|first) == '.github/workflows/' ~ workflow", "true");
const OUR_NUMBER: Edit = ("result.json.run_number > from", "true");
const RAN_WELL: Edit = ("if [[ \"$conclusion\" != success ]]; then", "if false; then");
const ALARM: Edit = ("          alarm_when: value > 0\n", "");
const COPIED: Edit = ("|select('after', published_at)|list|length > 0", "|list|length >= 0");
const FITS: Edit = ("if [[ \"$FOUND\" != \"$schema_change\" ]]; then", "if false; then");

/// What is wrong after a run that said nothing.
type Wrong = fn(&World) -> bool;

struct Case {
    at: &'static str,
    faults: Faults,
    others: &'static [Edit],
    check: &'static [Edit],
    wrong: Wrong,
}

fn argo(fault: Fault) -> Faults {
    Faults { argo: vec![fault], ..Faults::default() }
}

fn workflow(fault: WorkflowFault) -> Faults {
    Faults { github: vec![github::Fault::Workflow(fault)], ..Faults::default() }
}

/// What Argo CD says of an application now.
fn says(world: &World, app: &str) -> (String, String) {
    let at = format!("/api/v1/applications/{app}?appNamespace={}", crate::standins::argocd::APPS);
    let status = world.argo.client().get(&at).unwrap().json()["status"].clone();
    let text = |part: &str| status[part]["status"].as_str().unwrap_or_default().to_owned();
    (text("sync"), text("health"))
}

fn other_version(world: &World) -> bool {
    world.live().iter().any(|tag| tag != NEW)
}

fn no_ui(world: &World) -> bool {
    world.github.state().ui("prod").as_deref() != Some(NEW)
}

#[test]
fn of_production() {
    let cases = [
        Case {
            at: "admin/agreed",
            faults: argo(Fault::TrackedMoves { image: "v3.121" }),
            others: &[IMAGE, REVISION, SHOWN],
            check: &[AGREED],
            wrong: other_version,
        },
        Case {
            at: "admin/done",
            faults: argo(Fault::SomebodyElse { image: Some("v3.121") }),
            others: &[IMAGE, REVISION, AGREED, SHOWN],
            check: &[OURS, NOT_OURS],
            wrong: other_version,
        },
        Case {
            at: "admin/done",
            faults: argo(Fault::Ends("Failed")),
            others: &[IMAGE, SYNCED, CANARY_SYNCED, SHOWN],
            check: &[PHASE, FAILED],
            wrong: other_version,
        },
        Case {
            at: "admin/well/shown",
            faults: argo(Fault::HalfDone),
            others: &[CANARY_SYNCED],
            check: &[SYNCED],
            wrong: |world| says(world, "balrog-admin").0 != "Synced",
        },
        Case {
            at: "admin/well/shown",
            faults: argo(Fault::FlipsBack { to: "Degraded" }),
            others: &[],
            check: &[HELD],
            wrong: |world| says(world, "balrog-admin").1 == "Degraded",
        },
        Case {
            at: "promote/promoted",
            faults: argo(Fault::ActionIgnored),
            others: &[HEALTH, SHOWN],
            check: &[PROMOTED],
            wrong: other_version,
        },
        Case {
            at: "ui/ours",
            faults: workflow(WorkflowFault::OtherRun),
            others: &[OUR_NUMBER],
            check: &[OUR_RUN],
            wrong: no_ui,
        },
        Case {
            at: "ui/well",
            faults: workflow(WorkflowFault::Ends("failure")),
            others: &[],
            check: &[RAN_WELL],
            wrong: no_ui,
        },
    ];
    for Case { at, faults, others, check, wrong } in cases {
        eprintln!("{at}: {:?} {:?}", faults.argo, faults.github);
        let run = |edits: &[Edit]| {
            let world = World::production("none", faults.clone());
            let bench =
                mozcloud_promote::bench_at(&world, "none", edits).param("deployment", "2s").param("patience", "2s");
            (bench.run(mozcloud_promote::YES), world)
        };
        run(others).0.stopped_at(at, "");
        let (ran, world) = run(&[others, check].concat());
        ran.succeeded();
        assert!(wrong(&world), "{at}: nothing was wrong");
    }
}

/// What the world is like before it begins, and no fault of a service.
#[test]
fn of_production_when_it_begins_wrong() {
    // The agent tracks what it runs: its image was never named. It has no page that says what it runs.
    let behind = || {
        let world = World::production("none", Faults::default());
        let mut state = world.argo.state();
        let agent = state.apps.iter_mut().find(|app| app.name == "balrog-agent").unwrap();
        agent.tracked.pop();
        drop(state);
        world
    };
    let run = |world: &World, edits: &[Edit]| {
        let bench = mozcloud_promote::bench_at(world, "none", edits).param("deployment", "2s");
        bench.run(mozcloud_promote::YES)
    };
    run(&behind(), &[]).stopped_at("agent/wanted", "");
    run(&behind(), &[WANTED]).stopped_at("agent/well/shown", "not yet");
    let world = behind();
    run(&world, &[WANTED, IMAGE]).succeeded();
    assert_eq!(world.live()[1], "v3.119");

    // New exceptions.
    let failing = || {
        let mut world = World::production("none", Faults::default());
        world.sentry = sentry(&["2999-01-01T00:00:00Z"]);
        world
    };
    run(&failing(), &[]).stopped_at("watch", "exceptions");
    run(&failing(), &[ALARM]).succeeded();

    // Nothing was copied since the release.
    let not_copied = || {
        let world = World::production("none", Faults::default());
        world.github.state().dispatches.clear();
        world
    };
    run(&not_copied(), &[]).stopped_at("copied", "");
    run(&not_copied(), &[COPIED]).succeeded();

    // Another order than the one that the migrations ask for.
    let additive = World::production("additive", Faults::default());
    let bench = mozcloud_promote::bench_at(&additive, "destructive", &[FITS]);
    bench.run(mozcloud_promote::YES).succeeded();
    assert!(mozcloud_promote::course(&additive)[0].starts_with("app/"), "the old schema met the new code");
}

/// A canary that is replaced while somebody is asked is not what was asked about.
#[test]
fn a_canary_that_changes_under_the_question_is_not_promoted() {
    let still: Edit = ("|list|join(', ') == versions", "|list|join(', ') != 'none'");
    for (edits, stops) in [(&[][..], true), (&[still][..], false)] {
        let world = World::production("none", Faults::default());
        let bench = mozcloud_promote::bench_at(&world, "none", edits).param("deployment", "2s");
        assert_eq!(bench.run(&mozcloud_promote::YES[..4]).code, 11);
        let mut state = world.argo.state();
        let app = state.apps.iter_mut().find(|app| app.name == "balrog-app").unwrap();
        app.track("v3.121");
        app.canary = app.tracked.last().cloned();
        drop(state);
        let ran = bench.resume(mozcloud_promote::YES);
        if stops {
            ran.stopped_at("promote/still", "versions");
            assert_eq!(world.live()[2], "v3.119");
        } else {
            assert_eq!(world.live()[2], "v3.121", "{}", ran.told);
        }
    }
}

#[test]
fn of_stage() {
    let run = |world: &World, edits: &[Edit]| {
        let bench = mozcloud_deploy::bench_at(world, edits).param("deployment", "2s").param("building", "2s");
        bench.run(mozcloud_deploy::YES)
    };
    // Images that were there before the release are not those of the release.
    let old = || World::stage(Faults { old_images: true, ..Faults::default() });
    run(&old(), &[]).stopped_at("pushed[mozilla/balrog]", "not yet");
    let world = old();
    run(&world, &[(" and result.json.tag_last_pushed is after(published_at)", "")]).succeeded();
    assert_eq!(world.github.state().images(), [NEW], "what was copied was there before the release");
    // A tree that says another version: automation would build nothing.
    let before = |world: &World| world.github.state().repo.commit("main~1").unwrap();
    let tree: Edit = ("|default('', true) == version", "|default('', true) != 'none'");
    let world = World::stage(Faults::default());
    let at = |edits: &[Edit]| mozcloud_deploy::bench_at(&world, edits).param("commit", before(&world));
    at(&[]).run(mozcloud_deploy::YES).stopped_at("tree-version", "");
    at(&[tree]).run(mozcloud_deploy::YES);
    let shipped = world.github.state().deployments.first().and_then(|one| one.version.clone());
    assert_eq!(shipped.as_deref(), Some("3.119"), "a release whose tree says another version");
    // The agent is never updated, and has no page that says what it runs.
    let stuck = || {
        let world = World::stage(Faults::default());
        let mut state = world.argo.state();
        let agent = state.apps.iter_mut().find(|app| app.name == "balrog-agent").unwrap();
        *agent = agent.clone().by_hand();
        drop(state);
        world
    };
    run(&stuck(), &[]).stopped_at("agent/shown", "not yet");
    let world = stuck();
    let early: Edit = ("image: \"balrogagent:{{ version }}\"", "image: \"balrogagent:v{{ runs_before }}\"");
    run(&world, &[early, SYNCED]).succeeded();
    assert_eq!(world.live()[1], "v3.119");
    // Only the first look counts.
    let world = World::stage(argo(Fault::FlipsBack { to: "Degraded" }));
    run(&world, &[HELD, NOT_DEGRADED]).succeeded();
    assert_eq!(says(&world, "balrog-admin").1, "Degraded");
    // `ui-deploy` takes its defaults where an input is left out.
    let world = World::stage(Faults::default());
    run(&world, &[("{\"deploy_env\": \"stage\", \"ref\": version}", "{\"deploy_env\": \"stage\"}")]).succeeded();
    assert_eq!(world.github.state().ui("stage").as_deref(), Some("main"));
    assert_eq!(world.github.state().dispatches.last().unwrap().inputs, json!({"deploy_env": "stage"}));
}
