//! `balrog/escalate` and `balrog/restore-database`, run against a chat and services of our own. What people say is given
//! beforehand; that somebody has taken over is a person's word, and no test can do more than see that it is asked for.

use super::{Bench, Ran};
use crate::standins::{
    service::{self, Service},
    webhook::{Fault, Webhook},
};

const CALLED: &[(&str, &str)] = &[
    ("sure", "yes"),
    ("first/call", "done"),
    ("first/answer", "unable"),
    ("first/answer/unable/reason", "{left: \"no <access>\"}"),
    ("second/call", "done"),
    ("second/answer", "taken"),
    ("second/answer/taken/name", "{taken_by: Grace Example}"),
];

/// Everything around one run.
struct World {
    chat: Webhook,
    admin: Service,
    public: Service,
}

impl World {
    fn new(chat: Vec<Fault>) -> World {
        let (admin, public) = (Service::of("3.20", vec![]), Service::of("3.19", vec![]));
        World { chat: Webhook::start(chat), admin, public }
    }

    fn bench(&self, name: &str, edits: &[(&str, &str)]) -> Bench {
        Bench::new(name, edits)
            .param("admin_service", self.admin.url())
            .param("public_service", self.public.url())
            .param("by", "webhook")
            .env("NOTIFY_WEBHOOK", self.chat.url())
            .secret(&self.chat.url())
    }

    fn escalate(&self, edits: &[(&str, &str)]) -> Bench {
        self.bench("balrog/escalate", edits)
            .param("problem", "The admin app answers \"502\" & $(more).")
            .param("since", "2020-01-05T09:10Z")
            .param("reporter", "A. Operator, room 7")
            .param("visible", "false")
    }

    fn restore(&self, edits: &[(&str, &str)]) -> Bench {
        // A test has no minutes to wait.
        let quick = ("poll: {type: duration, default: 1m, min: 1m,", "poll: {type: duration, default: 1m,");
        self.bench("balrog/restore-database", &[edits, &[quick]].concat())
            .param("problem", "All rules of Firefox are gone.")
            .param("damaged_at", "2020-01-05T10:10+01:00")
            .param("restore_to", "2020-01-05T09:05Z")
            .param("version_then", "v3.20")
            .param("reporter", "A. Operator, room 7")
            .param("environment", "stage")
            .param("poll", "10ms")
            .param("held_for", "50ms")
            .param("healthy", "5s")
    }
}

#[test]
fn both_teams_are_called_in_their_order_with_what_the_services_say() {
    let world = World::new(vec![]);
    let ran = world.escalate(&[]).run(CALLED);
    ran.succeeded();
    let said = world.chat.posts();
    assert_eq!(said.len(), 3, "{said:?}");
    let first = format!(
        "Balrog: The admin app answers \"502\" &amp; $(more). Since 2020-01-05T09:10Z, not noticed by users so far. \
         {} runs version 3.20, is alive; {} runs version 3.19, is alive. From: A. Operator, room 7",
        world.admin.url(),
        world.public.url()
    );
    assert_eq!(said[0], first);
    assert_eq!(said[1], format!("{first} Release Engineering: no &lt;access&gt;."));
    assert!(said[2].starts_with("Balrog: Grace Example has taken over"), "{}", said[2]);
    // A database that struggles is left alone.
    let rows = |service: &Service| service.requests_of("GET", "/__heartbeat__").len();
    assert_eq!((rows(&world.admin), rows(&world.public)), (0, 0));
}

#[test]
fn what_does_not_answer_is_said_and_stops_nobody() {
    let world = World::new(vec![Fault::Refused { status: 410, error: "channel_is_archived" }]);
    world.admin.set(vec![service::Fault::Dead]);
    world.public.set(vec![service::Fault::NotJson]);
    let ran = world.escalate(&[]).run(CALLED);
    ran.succeeded();
    for step in ["first/tell", "second/tell", "told"] {
        assert_eq!(ran.status(step), Some("failed"), "{step}");
    }
    let asked = ran.told.replace('\n', " ");
    assert!(asked.contains("does not say its version, answers with HTTP 502; "), "{asked}");
    assert!(asked.contains("runs version unknown, is alive"), "{asked}");
}

/// A page that some network puts before a service is not the service, and no answer at all is not its death.
#[test]
fn what_stands_before_a_service_is_not_taken_for_it() {
    let world = World::new(vec![]);
    world.admin.set(vec![service::Fault::Portal]);
    let asked = |edits: &[(&str, &str)]| {
        let ran = world.escalate(edits).param("public_service", "http://127.0.0.1:1").run(CALLED);
        ran.succeeded();
        ran.told.replace('\n', " ")
    };
    let told = asked(&[]);
    assert!(told.contains("answers with HTTP 200 and not with OK; "), "{told}");
    assert!(told.contains("does not say its version, cannot be reached from here. From: "), "{told}");
    let told = asked(&[("result.body|trim is matches('^OK')", "true")]);
    assert!(told.contains("runs version unknown, is alive; "), "{told}");
}

/// Who has no webhook needs no variable for one, and who wants one and has none is not kept from calling.
#[test]
fn a_webhook_is_wanted_only_where_it_is_used() {
    let (admin, public) = (Service::of("3.20", vec![]), Service::of("3.20", vec![]));
    let bench = |by: &str| {
        let bench = Bench::new("balrog/escalate", &[]).param("by", by).param("visible", "true");
        let bench = bench.param("admin_service", admin.url()).param("public_service", public.url());
        bench.param("problem", "Nothing answers any more.").param("since", "2020-01-05T09:10Z").param("reporter", "me")
    };
    let hand = [("users", "done"), ("first/tell/way/hand/post", "done"), ("told/way/hand/post", "done")];
    let taken = [
        ("sure", "yes"),
        ("first/call", "done"),
        ("first/answer", "taken"),
        ("first/answer/taken/name", "{taken_by: Ada Example}"),
    ];
    bench("hand").run(&[&hand[..], &taken[..]].concat()).succeeded();
    let ran = bench("webhook").run(&[&hand[..1], &taken[..]].concat());
    ran.succeeded();
    assert_eq!((ran.status("first/tell"), ran.status("first/call")), (Some("failed"), Some("succeeded")));
    assert!(ran.told.contains("printenv"), "{}", ran.told);
}

#[test]
fn it_does_not_end_before_somebody_has_taken_over() {
    let world = World::new(vec![]);
    let bench = world.escalate(&[]);
    let mut nobody = CALLED[..5].to_vec();
    nobody.push(("second/answer", "silent"));
    let paused = bench.run(&nobody);
    assert_eq!(paused.code, 11, "{}", paused.told);
    nobody.push(("somebody", "{found: Ada Example}"));
    bench.resume(&nobody).succeeded();
    assert!(world.chat.posts().last().unwrap().starts_with("Balrog: Ada Example has taken over"));
}

/// A moment that is still to come is a slip of the offset, and would send whoever is called to the wrong hour.
#[test]
fn a_moment_that_is_still_to_come_is_told_by_its_check_alone() {
    let world = World::new(vec![]);
    let at = |edits: &[(&str, &str)]| world.escalate(edits).param("since", "2999-01-05T09:10Z").run(CALLED);
    at(&[]).stopped_at("moment", "still to come");
    assert!(world.chat.posts().is_empty());
    at(&[("then echo \"$since is still to come: what is its offset?\" >&2; exit 1; fi", "then echo no; fi")])
        .succeeded();
}

/// Killed while the chat is written to: nobody is told twice, and the call goes on once a person has looked.
#[test]
fn a_death_while_it_tells_is_asked_about() {
    let world = World::new(vec![]);
    let bench = world.escalate(&[]);
    bench.start(CALLED).until_doing("first/tell/way/webhook/post/post").kill();
    let resumed = bench.resume(CALLED);
    assert_eq!(resumed.code, 7, "{}", resumed.told);
    let arrived = if world.chat.posts().is_empty() { "not-done" } else { "done" };
    let ran = bench.decide("first/tell/way/webhook/post/post", arrived, CALLED);
    let first = world.chat.posts().iter().filter(|post| post.contains("From:") && !post.contains("no &lt;")).count();
    assert_eq!(first, 1, "{}", ran.told);
}

const RESTORED: &[(&str, &str)] = &[
    ("sure", "2020-01-05T09:05Z"),
    ("reach/call", "done"),
    ("reach/answer", "taken"),
    ("reach/answer/taken/name", "{taken_by: Grace Example}"),
    ("writes", "{told: Ada Example}"),
    ("working", "yes"),
    ("restored", "{first_as_of: \"2020-01-05T09:05Z\"}"),
    ("data", "{newest: rule 42, again: none}"),
    ("open", "done"),
];

fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut answers = RESTORED.to_vec();
    answers.retain(|(step, _)| changes.iter().all(|(changed, _)| changed != step));
    answers.extend(changes);
    answers
}

#[test]
fn the_database_is_restored_by_those_who_can() {
    let world = World::new(vec![]);
    world.admin.set(vec![service::Fault::NoDatabase { looks: 3 }]);
    world.public.set(vec![service::Fault::LosesDatabase { looks: 2 }]);
    world.restore(&[]).run(RESTORED).succeeded();
    let said = world.chat.posts();
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("wanted as of 2020-01-05T09:05Z (v3.20 ran then)"), "{}", said[0]);
    assert!(said[1].contains("is restored as of 2020-01-05T09:05Z by Grace Example"), "{}", said[1]);
}

#[test]
fn nothing_goes_on_without_a_word() {
    let world = World::new(vec![]);
    let declined = |changes: &[(&'static str, &'static str)]| world.restore(&[]).run(&with(changes));
    let code = |ran: Ran| ran.code;
    assert_eq!(code(declined(&[("sure", "no")])), 5);
    assert!(world.chat.posts().is_empty());
    assert_eq!(code(declined(&[("working", "no")])), 5);
    assert_eq!(code(declined(&[("reach/answer", "silent")])), 11);
    // Another version runs than that of the moment: a person has to say that they fit.
    let newer = || world.restore(&[]).param("version_then", "v3.19");
    assert_eq!(newer().run(RESTORED).code, 11);
    assert_eq!(newer().run(&with(&[("fits", "no")])).code, 5);
    newer().run(&with(&[("fits", "yes")])).succeeded();
}

/// Each check, what goes wrong, and that it would pass unseen without the check.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    type Case<'a> = (&'a str, &'a str, Vec<(&'static str, &'static str)>, (&'a str, &'a str), (&'a str, &'a str));
    let none = ("poll", "10ms");
    let cases: Vec<Case<'_>> = vec![
        (
            "moments",
            "too close",
            vec![("sure", "2020-01-05T09:05:01Z")],
            ("restore_to", "2020-01-05T09:05:01Z"),
            ("if [ \"$CLOSE\" = true ]", "if false"),
        ),
        (
            "moments",
            "still to come",
            vec![],
            ("damaged_at", "2999-01-05T09:10Z"),
            ("if [ \"$AHEAD\" = true ]", "if false"),
        ),
        (
            "before",
            "in there as well",
            vec![
                // Before the damage, and closer to it than the backup is exact.
                ("restored", "{first_as_of: \"2020-01-05T09:10Z\"}"),
                ("again", "{second_as_of: \"2020-01-05T11:05:01+02:00\"}"),
            ],
            none,
            ("if [ \"$DAMAGED\" = true ]", "if false"),
        ),
    ];
    for (step, why, answers, (name, value), check) in cases {
        let world = World::new(vec![]);
        let run = |edits: &[(&str, &str)]| world.restore(edits).param(name, value).run(&with(&answers));
        run(&[]).stopped_at(step, why);
        run(&[check]).succeeded();
    }
    let holds = ("      held_for: \"{{ held_for }}\"\n", "");
    let has = ("until: result.status == 200", "until: result.status in [200, 502]");
    for (check, fault) in
        [(has, service::Fault::NoDatabase { looks: 10_000 }), (holds, service::Fault::LosesDatabase { looks: 10_000 })]
    {
        // Each with a database of its own: that of the first run has lost it already.
        let run = |edits: &[(&str, &str)]| {
            let world = World::new(vec![]);
            world.admin.set(vec![fault.clone()]);
            (world.restore(edits).param("healthy", "300ms").run(RESTORED), format!("connected[{}]", world.admin.url()))
        };
        let (ran, step) = run(&[]);
        ran.stopped_at(&step, "");
        run(&[check]).0.succeeded();
    }
    // Without the question nobody asks whether the code of today fits the database of then.
    let world = World::new(vec![]);
    let newer = |edits: &[(&str, &str)]| world.restore(edits).param("version_then", "v3.19").run(RESTORED);
    assert_eq!(newer(&[]).code, 11);
    newer(&[("when: version_now != version_then", "when: false")]).succeeded();
    // An error page that names a version is none.
    let world = World::new(vec![]);
    world.admin.set(vec![service::Fault::ErrorPage]);
    world.restore(&[]).run(RESTORED).stopped_at("version", "500");
}

/// A digit that is wrong asks for years, and every other check finds such a moment early enough.
#[test]
fn a_slip_in_the_year_is_told_as_a_distance_and_typed_once_more() {
    let world = World::new(vec![]);
    let slip = |edits: &[(&str, &str)]| world.restore(edits).param("restore_to", "2010-01-05T09:05Z");
    let paused = slip(&[]).run(RESTORED);
    assert_eq!(paused.code, 11, "{}", paused.told);
    assert!(paused.told.replace('\n', " ").contains("goes back 3652d5m before"), "{}", paused.told);
    assert!(world.chat.posts().is_empty());
    let unasked = ("      type_back: \"{{ restore_to }}\"\n", "");
    slip(&[unasked]).run(&with(&[("sure", "yes")])).succeeded();
}

#[test]
fn a_death_in_the_night_keeps_what_was_said() {
    let world = World::new(vec![]);
    let bench = world.restore(&[]);
    world.public.set(vec![service::Fault::NoDatabase { looks: 10 }]);
    bench.start(RESTORED).until_doing(&format!("connected[{}]", world.public.url())).kill();
    bench.resume(RESTORED).succeeded();
    assert_eq!(world.chat.posts().len(), 2);
}
