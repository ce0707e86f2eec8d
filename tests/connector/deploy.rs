//! `facebook-connector/deploy` against the real Terraform and git, ECS by moto with its rollouts, and once the real AWS
//! command line.

use std::fs;

use super::world::World;
use crate::{
    parts,
    standins::aws::{Aws, Fault},
};

const YES: &[(&str, &str)] = &[("go", "yes"), ("apply/go", "yes")];
const PROD: &[(&str, &str)] = &[("go", "yes"), ("production", "0.2.8"), ("apply/go", "yes")];

#[test]
fn a_version_goes_to_dev_then_to_prod_and_back() {
    let Some(aws) = Aws::start() else { return };
    let Some(world) = World::new(&aws) else { return };
    // What somebody has in a working copy is not what is deployed; and after a no nothing is.
    let main = world.path("work/infra/dev/main.tf");
    let committed = fs::read_to_string(&main).unwrap();
    fs::write(&main, "nonsense").unwrap();
    let no = world.bench("dev", "0.2.8", &[]).run(&[("go", "yes"), ("apply/go", "no")]);
    assert_eq!((no.code, world.said("dev").0.as_str()), (5, "0.2.7"), "{}", no.told);
    fs::write(&main, committed).unwrap();
    // prod before dev is refused, and nothing was touched.
    world.bench("prod", "0.2.8", &[]).run(PROD).stopped_at("found", "result.json.dev");
    let dev = world.bench("dev", "0.2.8", &[]);
    let ran = dev.run(YES);
    ran.succeeded();
    assert_eq!(
        (world.runs("dev"), world.runs("prod")),
        (["0.2.8", "0.2.8"].map(String::from), ["0.2.7", "0.2.7"].map(String::from))
    );
    assert_eq!(world.said("dev"), ("0.2.8".into(), "chore: deploy 0.2.8 to dev [skip ci]".into()));
    for told in [
        "-  version          = \"0.2.7\"",
        "The worker is stopped before the new one starts",
        "It destroys or replaces: terraform_data.fargate_api, terraform_data.fargate_worker",
        "infra/dev says 0.2.7",
    ] {
        assert!(ran.told.contains(told), "{told}: {}", ran.told);
    }
    // One line of one file is all that the commit changes.
    let changed = world.git(&["diff", "--numstat", "FETCH_HEAD^", "FETCH_HEAD"]);
    assert_eq!(changed, "1\t1\tinfra/dev/main.tf\n");
    // Now prod, by its version.
    let no = world.bench("prod", "0.2.8", &[]).run(&[("go", "yes"), ("production", "0.2.7"), ("apply/go", "yes")]);
    assert_ne!(no.code, 0);
    assert_eq!(world.runs("prod"), ["0.2.7", "0.2.7"].map(String::from));
    world.bench("prod", "0.2.8", &[]).run(PROD).succeeded();
    assert_eq!(world.runs("prod"), ["0.2.8", "0.2.8"].map(String::from));
    // Once more changes nothing at all.
    let commits = world.git(&["rev-parse", "FETCH_HEAD"]);
    let updates = aws.changes().len();
    let again = world.bench("dev", "0.2.8", &[]).run(YES);
    assert_eq!((again.succeeded().status("apply/apply"), again.status("push")), (Some("skipped"), Some("skipped")));
    world.said("prod");
    assert_eq!(aws.changes().len(), updates);
    assert_eq!(world.git(&["rev-list", "--count", &format!("{}..FETCH_HEAD", commits.trim())]), "1\n");
    // And back: what runs, the repository, and Terraform's own state agree again.
    let undone = dev.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!(world.runs("dev"), ["0.2.7", "0.2.7"].map(String::from));
    assert_eq!(world.said("dev"), ("0.2.7".into(), "chore: deploy 0.2.7 to dev [skip ci]".into()));
    world.bench("dev", "0.2.7", &[]).run(&[("go", "yes")]).succeeded();
}

#[test]
fn the_real_command_line_of_aws_does_as_well() {
    let Some([real]) = parts::programs(["aws"]) else { return };
    let Some(aws) = Aws::start() else { return };
    let Some(world) = World::new(&aws) else { return };
    let bench = world.bench("dev", "0.2.8", &[]).path_first(real.parent().unwrap());
    let ran = bench.run(YES);
    ran.succeeded();
    assert_eq!(world.runs("dev"), ["0.2.8", "0.2.8"].map(String::from));
    assert!(ran.told.contains("arn:aws:sts::123456789012:"), "{}", ran.told);
}

/// What the repository or the stage is like, how the runbook says so, and the check without which nobody says so.
struct Row {
    prepare: fn(&World<'_>),
    stage: &'static str,
    step: &'static str,
    says: &'static str,
    without: &'static [(&'static str, &'static str)],
    /// What came of it without the check.
    harm: fn(&World<'_>),
}

#[test]
fn what_is_not_as_it_should_be_is_noticed_before_anything_is_changed() {
    let Some(aws) = Aws::start() else { return };
    let rows = [
        Row {
            prepare: |world| world.pushed("dev", "api_image_tag    = local.version", "api_image_tag    = \"0.2.6\""),
            stage: "dev",
            step: "found",
            says: "result.json.api == ['local.version']",
            without: &[
                ("      - result.json.api == ['local.version'] and result.json.worker == ['local.version']\n", ""),
                ("    foreach: {as: part, in: [api, worker]}", "    foreach: {as: part, in: [worker]}"),
            ],
            harm: |world| assert_eq!(world.runs("dev"), ["0.2.6", "0.2.8"].map(String::from)),
        },
        Row {
            prepare: |world| world.pushed("dev", "stage            = \"dev\"", "stage            = \"prod\""),
            stage: "dev",
            step: "found",
            says: "result.json.stages",
            without: &[
                ("      - result.json.stages == ['\"' ~ stage ~ '\"']\n", ""),
                ("    foreach: {as: part, in: [api, worker]}", "    foreach: {as: part, in: []}"),
            ],
            harm: |world| assert_eq!(world.runs("prod"), ["0.2.8", "0.2.8"].map(String::from)),
        },
        Row {
            // The file of dev says so; what runs there does not.
            prepare: |world| world.pushed("dev", "\"0.2.7\"", "\"0.2.8\""),
            stage: "prod",
            step: "dev-runs[api]/runs",
            says: "gave up after",
            without: &[("    when: stage == 'prod'\n    foreach", "    when: stage == 'none'\n    foreach")],
            harm: |world| {
                assert_eq!(world.runs("prod"), ["0.2.8", "0.2.8"].map(String::from));
                assert_eq!(world.runs("dev"), ["0.2.7", "0.2.7"].map(String::from));
            },
        },
        Row {
            prepare: |_| {},
            stage: "prod",
            step: "found",
            says: "result.json.dev",
            without: &[
                ("      - stage == 'dev' or result.json.dev == ['\"' ~ version ~ '\"']\n", ""),
                ("    when: stage == 'prod'\n    foreach", "    when: stage == 'none'\n    foreach"),
            ],
            harm: |world| assert_eq!(world.runs("prod"), ["0.2.8", "0.2.8"].map(String::from)),
        },
        Row {
            prepare: |world| world.aws.want("facebook-connector-worker-service-dev", 0),
            stage: "dev",
            step: "now",
            says: "selectattr('desired', 'eq', 0)",
            without: &[
                ("      - result.json|selectattr('desired', 'eq', 0)|list is empty\n", ""),
                ("and result.json.desired > 0", "and result.json.desired >= 0"),
            ],
            // It says that it is done, and no worker runs.
            harm: |world| assert_eq!(world.said("dev").0, "0.2.8"),
        },
        Row {
            prepare: |world| {
                world.aws.faults(&[Fault::Late(1000)]);
                world.terraform("dev", &["init"]);
                world.terraform("dev", &["apply", "-auto-approve", "-replace=terraform_data.fargate_worker"]);
                world.aws.faults(&[Fault::Late(0)]);
            },
            stage: "dev",
            step: "now",
            says: "IN_PROGRESS",
            without: &[(
                "      - \"'IN_PROGRESS' not in result.json|map(attribute='rollouts')|map('join', ' ')|join(' ')\"\n",
                "",
            )],
            // Somebody else's deployment was replaced by ours before it had come up.
            harm: |world| assert_eq!(world.runs("dev"), ["0.2.8", "0.2.8"].map(String::from)),
        },
    ];
    let Some(world) = World::new(&aws) else { return };
    for row in rows {
        world.again();
        (row.prepare)(&world);
        let updates = aws.changes().len();
        let answers = if row.stage == "prod" { PROD } else { YES };
        let bench = world.bench(row.stage, "0.2.8", &[]).param("look", "1s");
        bench.run(answers).stopped_at(row.step, row.says);
        assert_eq!(aws.changes().len(), updates, "{} {}", row.step, row.says);
        let ran = world.bench(row.stage, "0.2.8", row.without).run(answers);
        assert_eq!(ran.code, 0, "{} {}: {}", row.step, row.says, ran.told);
        (row.harm)(&world);
    }
}

#[test]
fn what_goes_wrong_on_the_way_is_told_and_there_is_a_way_on() {
    let Some(aws) = Aws::start() else { return };
    let Some(world) = World::new(&aws) else { return };
    world.again();
    what_does_not_come_up_is_not_committed_and_goes_back(&world);
    world.again();
    an_answer_that_is_lost_stops_it_and_a_new_run_does_the_rest(&world);
    world.again();
    somebody_who_pushes_meanwhile_is_neither_lost_nor_overruled(&world);
    what_others_have_pushed_since_is_not_applied_on_the_way_back(&world);
    world.again();
    killed_while_it_applies_or_pushes_it_goes_on_and_does_neither_twice(&world);
}

fn what_does_not_come_up_is_not_committed_and_goes_back(world: &World<'_>) {
    world.again();
    world.aws.faults(&[Fault::GivenUp("worker")]);
    let bench = world.bench("dev", "0.2.8", &[]);
    let ran = bench.run(YES);
    ran.stopped_at("runs[worker]/runs", "the wait fails when");
    assert_eq!(world.said("dev").0, "0.2.7");
    world.aws.faults(&[]);
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!(world.runs("dev"), ["0.2.7", "0.2.7"].map(String::from));
    // Somebody has deployed something else since: what is theirs is not taken back.
    world.again();
    let bench = world.bench("dev", "0.2.8", &[]);
    bench.run(YES).succeeded();
    world.pushed("dev", "\"0.2.8\"", "\"0.2.9\"");
    let refused = bench.undo(&[]);
    assert_eq!(refused.code, 12, "{}", refused.told);
    assert!(refused.told.contains("somebody has deployed something else since"), "{}", refused.told);
    assert_eq!((world.runs("dev"), world.said("dev").0.as_str()), (["0.2.8", "0.2.8"].map(String::from), "0.2.9"));
}

fn an_answer_that_is_lost_stops_it_and_a_new_run_does_the_rest(world: &World<'_>) {
    world.again();
    world.aws.faults(&[Fault::ReplyLost("worker")]);
    world.bench("dev", "0.2.8", &[]).run(YES).stopped_at("apply/apply", "A part of it may have been done. Start anew");
    assert_eq!(world.said("dev").0, "0.2.7");
    world.aws.settle();
    world.bench("dev", "0.2.8", &[]).run(YES).succeeded();
    assert_eq!((world.runs("dev"), world.said("dev").0.as_str()), (["0.2.8", "0.2.8"].map(String::from), "0.2.8"));
}

fn somebody_who_pushes_meanwhile_is_neither_lost_nor_overruled(world: &World<'_>) {
    for (from, to, taken) in [
        ("name_prefix      = \"facebook-connector\"", "name_prefix      = \"fb\"", true),
        ("\"0.2.7\"", "\"0.2.9\"", false),
    ] {
        world.again();
        let bench = world.bench("dev", "0.2.8", &[]);
        // It waits at Terraform's question.
        assert_eq!(bench.run(&[("go", "yes")]).code, 11);
        world.pushed("dev", from, to);
        let ran = bench.resume(YES);
        if taken {
            ran.succeeded();
            assert_eq!(world.said("dev").0, "0.2.8");
            assert!(world.git(&["show", "FETCH_HEAD:infra/dev/main.tf"]).contains(to));
        } else {
            ran.stopped_at("push", "nothing was pushed, although 0.2.8 runs in dev");
            assert_eq!(world.said("dev").0, "0.2.9");
        }
    }
}

/// Terraform would make whatever the branch says by now, and nobody has seen a plan of that.
fn what_others_have_pushed_since_is_not_applied_on_the_way_back(world: &World<'_>) {
    let tip = ("git checkout --quiet --detach \"$commit\"", "git checkout --quiet --detach \"origin/$branch\"");
    for (edits, applied) in [(&[][..], false), (&[tip][..], true)] {
        world.again();
        let bench = world.bench("dev", "0.2.8", edits);
        bench.run(YES).succeeded();
        world.pushed("dev", "output \"version\"", "resource \"terraform_data\" \"theirs\" {}\n\noutput \"version\"");
        let undone = bench.undo(&[]);
        assert_eq!(undone.code, 6, "{}", undone.told);
        assert_eq!((world.runs("dev"), world.said("dev").0.as_str()), (["0.2.7", "0.2.7"].map(String::from), "0.2.7"));
        assert_eq!(fs::read_to_string(world.path("dev.tfstate")).unwrap().contains("theirs"), applied);
        // It is still theirs to apply.
        assert!(world.git(&["show", "FETCH_HEAD:infra/dev/main.tf"]).contains("theirs"));
    }
}

fn killed_while_it_applies_or_pushes_it_goes_on_and_does_neither_twice(world: &World<'_>) {
    for step in ["apply/apply", "push"] {
        world.again();
        let before = world.aws.changes().len();
        let bench = world.bench("dev", "0.2.8", &[]);
        bench.start(YES).until_doing(step).kill();
        let ran = bench.resume(YES);
        ran.succeeded();
        assert_eq!((world.runs("dev"), world.said("dev").0.as_str()), (["0.2.8", "0.2.8"].map(String::from), "0.2.8"));
        let updates =
            world.aws.changes().split_off(before).into_iter().filter(|(name, _)| name == "UpdateService").count();
        assert_eq!(updates, 2, "{step}");
        assert_eq!(world.git(&["rev-list", "--count", "FETCH_HEAD"]), "2\n");
    }
}
