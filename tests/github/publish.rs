//! `lib/github/publish-release`: the normal course, every fault, what each of its checks is there for, and its death.

use super::{World, step};
use crate::balrog::front::Front;
use crate::standins::{github::Fault, server::On};

fn post() -> On {
    On::of("POST", "/releases")
}

#[test]
fn a_release_is_published_at_its_commit_and_again_without_harm() {
    let world = World::new(vec![]);
    let ran = world.publish(&[]).run(&[]);
    ran.succeeded();
    assert_eq!(ran.status("publish-again"), Some("skipped"));
    assert_eq!(world.wrong(true), None);
    // The second time there is nothing to do but to look.
    world.publish(&[]).run(&[]).succeeded();
    assert_eq!(world.github.requests_of("POST", "").len(), 1);
    assert_eq!((world.wrong(true), world.github.state().deployments.len()), (None, 1));
}

#[test]
fn a_missing_tag_is_made_at_the_commit_where_that_is_asked_for_and_else_refused() {
    let world = World::new(vec![Fault::ReplyLost { on: On::of("POST", "/git/refs"), times: 1 }]);
    world.github.state().repo.delete("refs/tags/v3.20");
    let bench = || world.bench("publish-release", &[]).param("commit", &world.commit).param("name", "v3.20");
    let refused = bench().param("patience", "200ms").run(&[]);
    refused.stopped_at("tag-there", "gave up after");
    assert!(world.github.state().releases.iter().all(|release| release.tag_name != "v3.20"));
    bench().param("missing_tag", "create").param("settle", "400ms").param("make_latest", "false").run(&[]).succeeded();
    let state = world.github.state();
    assert_eq!(state.repo.named("refs/tags/v3.20"), Some(("commit".into(), world.commit.clone())));
    assert_eq!(state.deployments.last().unwrap().commit, world.commit);
}

#[test]
fn a_text_of_many_lines_arrives_as_it_is() {
    let world = World::new(vec![]);
    let text = "# Changes\n\n- `{{ tag }}` and \"quotes\", $HOME, \\ and ü\n";
    world.publish(&[]).param("body", text).run(&[]).succeeded();
    let state = world.github.state();
    assert_eq!(state.releases.last().unwrap().body.as_deref(), Some(text));
}

#[test]
fn it_copes() {
    let lost = Fault::ReplyLost { on: post(), times: 1 };
    let flips = |times, after_looks| Fault::DraftFlipsBack { times, after_looks };
    let faults: Vec<(&str, Vec<Fault>)> = vec![
        ("a tag that shows late", vec![Fault::PushedLate { looks: 6 }]),
        ("a release that becomes a draft at once", vec![flips(1, 0)]),
        ("one that does so a little later", vec![flips(1, 2)]),
        ("one that does so twice", vec![flips(2, 2)]),
        ("a lost answer", vec![lost.clone()]),
        ("a lost answer, and a draft before anybody looks", vec![lost, flips(1, 0)]),
        ("a lost answer to the repair", vec![flips(1, 1), Fault::ReplyLost { on: On::of("PATCH", ""), times: 2 }]),
        ("an error and no release", vec![Fault::ServerError { on: post(), times: 1, effect: false }]),
        ("an error and a release", vec![Fault::ServerError { on: post(), times: 1, effect: true }]),
        (
            "an error, and a draft before anybody looks",
            vec![Fault::ServerError { on: post(), times: 1, effect: true }, flips(1, 0)],
        ),
    ];
    for (what, faults) in faults {
        let world = World::new(faults);
        let ran = world.publish(&[]).run(&[]);
        assert_eq!((ran.code, world.wrong(true)), (0, None), "{what}: {}", ran.told);
        assert_eq!(world.github.state().deployments.len(), 1, "{what}");
    }
}

#[test]
fn it_notices() {
    let faults: Vec<(Fault, &str, &str)> = vec![
        (Fault::DraftFlipsBack { times: 3, after_looks: 1 }, "published", "wrong"),
        (Fault::WrongCommit, "right-commit", "commit"),
        (Fault::ItemGone { after_looks: 1 }, "publish-again", "404"),
        (Fault::Unauthorized { on: On::of("GET", "/git/ref") }, "tag-there", "401"),
        (Fault::Unauthorized { on: On::of("GET", "/commits") }, "tag-commit", "401"),
        (Fault::Unauthorized { on: post() }, "publish", "401"),
        (Fault::RateLimited { on: post(), times: 1, retry_after: Some(60) }, "publish", "403"),
        (Fault::RateLimited { on: On::of("GET", "/releases"), times: 9, retry_after: None }, "existing", "403"),
        (Fault::ServerError { on: post(), times: 9, effect: false }, "publish-then", "502"),
    ];
    for (fault, at, why) in faults {
        eprintln!("{fault:?}");
        World::new(vec![fault]).publish(&[]).run(&[]).stopped_at(at, why);
    }
}

#[test]
fn a_draft_that_somebody_has_left_is_published_instead_of_a_second_release() {
    let world = World::new(vec![]);
    let made = r#"{"tag_name": "v3.20", "name": "Prepared", "body": "By hand", "draft": true}"#;
    assert_eq!(world.github.client().post(&world.github.path("releases"), made).unwrap().status, 201);
    let ran = world.publish(&[]).run(&[]);
    ran.succeeded();
    assert_eq!((ran.status("publish"), world.wrong(true)), (Some("skipped"), None));
    assert_eq!(world.github.state().releases.last().unwrap().name.as_deref(), Some("Prepared"));
}

/// One row: what is taken out, what goes wrong, and what is wrong in the end although the run says that all is well.
struct Case {
    check: Vec<(String, String)>,
    /// Other checks that would notice it as well.
    other: Vec<(String, String)>,
    faults: Vec<Fault>,
    prepare: fn(&World),
    latest: &'static str,
    /// Where the check stops it; nothing where what is wrong is put right.
    stops: Option<&'static str>,
    harm: &'static str,
}

#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let nothing: fn(&World) = |_| {};
    let gone = |id: &str| (step("publish-release", id), String::new());
    // Where a step holds anchors that are used further down, only what it checks can go.
    let edit = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    let blind_tag_there =
        || edit("until: result.status == 200 and (tag_object == ''", "until: true or (tag_object == ''");
    let flips = |times, after_looks| Fault::DraftFlipsBack { times, after_looks };
    let no_until = || edit("until: result.status == 200 and not result.json.draft", "until: true");
    let same_commit: fn(&World) = |world| {
        world.github.state().repo.set("refs/tags/v3.20", &world.commit);
    };
    let at_tip: fn(&World) = |world| {
        let mut state = world.github.state();
        let tip = state.repo.tip().unwrap();
        state.repo.set("refs/tags/v3.20", &tip);
        state.deletion_takes = 3;
    };
    let draft: fn(&World) = |world| {
        let body = r#"{"tag_name": "v3.20", "draft": true}"#;
        world.github.client().post(&world.github.path("releases"), body).unwrap();
    };
    let beside: fn(&World) = |world| {
        let client = world.github.client();
        for body in [r#"{"tag_name": "v3.20", "draft": true}"#, r#"{"tag_name": "v3.20"}"#] {
            client.post(&world.github.path("releases"), body).unwrap();
        }
        // That somebody has published it at that commit is as it should be.
    };
    let cases = vec![
        Case {
            check: vec![blind_tag_there()],
            other: vec![gone("tag-commit"), gone("right-tag")],
            faults: vec![Fault::PushedLate { looks: 8 }],
            prepare: nothing,
            latest: "true",
            stops: None,
            harm: "it is another tag",
        },
        Case {
            check: vec![gone("right-tag")],
            other: vec![gone("tag-commit"), blind_tag_there()],
            faults: vec![Fault::PushedLate { looks: 8 }],
            prepare: nothing,
            latest: "true",
            stops: Some("right-tag"),
            harm: "it is another tag",
        },
        Case {
            check: vec![edit("(tag_object == '' or result.json.object.sha == tag_object)", "tag_object != ''")],
            other: vec![gone("right-tag")],
            faults: vec![],
            prepare: same_commit,
            latest: "true",
            stops: Some("tag-there"),
            harm: "it is another tag",
        },
        Case {
            check: vec![gone("tag-commit")],
            other: vec![blind_tag_there(), gone("right-commit"), gone("right-tag")],
            faults: vec![],
            prepare: at_tip,
            latest: "true",
            stops: Some("tag-commit"),
            harm: "another commit was deployed",
        },
        Case {
            check: vec![gone("right-commit")],
            other: vec![gone("right-tag")],
            faults: vec![Fault::WrongCommit],
            prepare: nothing,
            latest: "true",
            stops: Some("right-commit"),
            harm: "another commit was deployed",
        },
        Case {
            check: vec![edit("|first|default(none)", "|first|default(none) if tag == '' else none")],
            other: vec![gone("no-draft")],
            faults: vec![],
            prepare: draft,
            latest: "true",
            stops: None,
            harm: "a draft is left",
        },
        Case {
            // The answers that are errors hide what becomes of it meanwhile; the third release is ours.
            check: vec![no_until()],
            other: vec![gone("no-draft"), gone("latest")],
            faults: vec![
                flips(1, 1),
                Fault::ServerError { on: On::of("GET", "/releases/3"), times: 60, effect: false },
            ],
            prepare: nothing,
            latest: "true",
            stops: None,
            harm: "a draft is left",
        },
        Case {
            check: vec![edit("held_for: \"{{ settle }}\"", "held_for: 0s")],
            other: vec![gone("no-draft"), gone("latest")],
            faults: vec![flips(1, 2)],
            prepare: nothing,
            latest: "true",
            stops: None,
            harm: "a draft is left",
        },
        Case {
            check: vec![gone("published")],
            other: vec![gone("no-draft"), gone("latest")],
            faults: vec![flips(3, 1)],
            prepare: nothing,
            latest: "true",
            stops: Some("published"),
            harm: "a draft is left",
        },
        Case {
            check: vec![edit("{{ settle if steps[\"publish-once-more\"].status == \"succeeded\" else \"0s\" }}", "0s")],
            other: vec![gone("no-draft"), gone("latest")],
            faults: vec![flips(3, 2)],
            prepare: nothing,
            latest: "true",
            stops: Some("published"),
            harm: "a draft is left",
        },
        Case {
            check: vec![gone("no-draft")],
            other: vec![],
            faults: vec![],
            prepare: beside,
            latest: "true",
            stops: Some("no-draft"),
            harm: "a draft is left",
        },
        Case {
            check: vec![gone("latest")],
            other: vec![],
            faults: vec![Fault::SecondaryAlreadyExists],
            prepare: nothing,
            latest: "false",
            stops: Some("latest"),
            harm: "the latest release is not the one that was meant",
        },
    ];
    for (number, case) in cases.into_iter().enumerate() {
        eprintln!("{number}: {}", case.harm);
        let run = |edits: &[(String, String)]| {
            let world = World::new(case.faults.clone());
            (case.prepare)(&world);
            let ran = world.publish(edits).param("make_latest", case.latest).param("patience", "5s").run(&[]);
            // Whoever looks a little later sees what has become of it.
            (0..70).for_each(|_| drop(world.github.client().get(&world.github.path("releases/3")).unwrap()));
            (ran, world.wrong(case.latest == "true"))
        };
        let (ran, wrong) = run(&case.other);
        match case.stops {
            Some(at) => drop(ran.stopped_at(at, "")),
            None => assert_eq!((ran.code, wrong), (0, None), "{}", ran.told),
        }
        let mut edits = case.other.clone();
        edits.extend(case.check.clone());
        let (ran, wrong) = run(&edits);
        assert_eq!((ran.code, wrong), (0, Some(case.harm)), "{}", ran.told);
    }
}

/// Without its `verify`, a lost answer leaves the step open, and nothing is sent twice.
#[test]
fn without_a_verify_a_lost_answer_is_left_open() {
    let world = World::new(vec![Fault::ReplyLost { on: post(), times: 1 }]);
    let written = step("publish-release", "publish");
    let shorter = written[..written.find("    verify:\n").unwrap()].to_owned();
    world.publish(&[(written, shorter)]).run(&[]).open_at("publish", "no whole answer");
    assert_eq!(world.github.requests_of("POST", "/releases").len(), 1);
}

/// Whoever comes second takes what the first has made.
#[test]
fn two_at_once_make_one_release() {
    let world = World::new(vec![]);
    let both = [world.publish(&[]), world.publish(&[])];
    let going = [both[0].start(&[]), both[1].start(&[])];
    for one in going {
        one.end().succeeded();
    }
    assert_eq!((world.wrong(true), world.github.state().deployments.len()), (None, 1));
}

#[test]
fn killed_while_the_answer_was_on_its_way_it_is_not_sent_again() {
    for (faults, request, step) in [
        (vec![], "POST /repos/octocat/hello/releases", "publish"),
        // It has become a draft before anybody comes back.
        (vec![Fault::DraftFlipsBack { times: 1, after_looks: 0 }], "POST /repos/octocat/hello/releases", "publish"),
        (
            vec![Fault::DraftFlipsBack { times: 1, after_looks: 0 }],
            "PATCH /repos/octocat/hello/releases/",
            "publish-again",
        ),
        (vec![], "GET /repos/octocat/hello/releases/3", "stays"),
    ] {
        eprintln!("{step}");
        let world = World::new(faults);
        let front = Front::keeping(&world.github.url(), request);
        let bench = world.publish_at(front.url(), &[]);
        let going = bench.start(&[]).until_doing(step);
        front.until_kept();
        going.kill();
        bench.resume(&[]).succeeded();
        assert_eq!((world.wrong(true), world.github.requests_of("POST", "").len()), (None, 1), "{step}");
    }
}
