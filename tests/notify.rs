//! What posts a message, run for real against a chat and a homeserver of our own: the normal course, every fault, and for
//! each check that a fault would pass unseen without it.

use crate::{
    bench::{Bench, Ran},
    standins::{
        matrix::{self, Matrix, ROOM},
        server::On,
        webhook::{Fault, Webhook},
    },
};

const MESSAGE: &str = "Balrog <b> & \"c\": $(id) {{ run.id }}";
const SENT: &str = "Balrog &lt;b&gt; &amp; \"c\": $(id) {{ run.id }}";

fn to_channel(chat: &Webhook, edits: &[(&str, &str)]) -> Bench {
    Bench::new("lib/notify/webhook", edits)
        .param("message", MESSAGE)
        .env("NOTIFY_WEBHOOK", chat.url())
        .secret(&chat.url())
        .secret(crate::standins::webhook::KEY)
}

#[test]
fn a_message_is_posted_once_as_it_was_written() {
    let chat = Webhook::start(vec![]);
    to_channel(&chat, &[]).run(&[]).succeeded();
    assert_eq!(chat.posts(), [SENT]);
}

#[test]
fn a_limit_is_waited_out() {
    for retry_after in [Some("1"), Some("0")] {
        let chat = Webhook::start(vec![Fault::Limited { times: 1, retry_after }]);
        to_channel(&chat, &[]).run(&[]).succeeded();
        assert_eq!(chat.posts(), [SENT]);
    }
    let patient = Webhook::start(vec![Fault::Limited { times: 1, retry_after: None }]);
    // Where the chat does not say, it is half a minute.
    to_channel(&patient, &[]).param("patience", "29s").run(&[]).stopped_at("post", "429");
    assert!(patient.posts().is_empty());
}

/// No answer, or an error after which nobody knows: never twice without somebody's word.
#[test]
fn it_is_never_sent_twice_unasked() {
    let chat = Webhook::start(vec![Fault::ReplyLost { times: 1 }]);
    let bench = to_channel(&chat, &[]);
    bench.run(&[]).open_at("post", "no whole answer");
    assert_eq!(bench.resume(&[]).code, 7);
    assert_eq!(chat.posts(), [SENT]);
    for effect in [true, false] {
        let chat = Webhook::start(vec![Fault::ServerError { times: 1, effect }]);
        let bench = to_channel(&chat, &[]);
        assert_eq!(bench.run(&[]).code, 11);
        assert_eq!(chat.requests().len(), 1);
        bench.resume(&[("look", &format!("{{arrived: {effect}}}"))]).succeeded();
        assert_eq!(chat.posts(), [SENT]);
    }
}

/// What the chat does not take is told, with the reason it gives; nothing is taken for a message that is none.
#[test]
fn what_is_refused_is_told() {
    let refused = |status, error| Fault::Refused { status, error };
    for (fault, why) in [
        (refused(400, "invalid_payload"), "400"),
        (refused(403, "action_prohibited"), "403"),
        (refused(404, "no_service"), "404"),
        (refused(410, "channel_is_archived"), "410"),
        (Fault::LoginPage, "answer"),
        (Fault::OkFalse, "answer"),
        (Fault::Redirect, "302"),
    ] {
        eprintln!("{fault:?}");
        let chat = Webhook::start(vec![fault]);
        to_channel(&chat, &[]).run(&[]).stopped_at("post", why);
        assert!(chat.posts().is_empty() && chat.requests().len() == 1);
    }
}

/// Each check, the fault, and that without the check it would be said to be posted.
#[test]
fn without_a_check_nobody_is_told_and_nobody_knows() {
    let ok = (" and result.body|trim == answer", "");
    let status = ("(result.status == 200 and result.body|trim == answer) or", "true or");
    for (check, fault) in [
        (ok, Fault::LoginPage),
        (ok, Fault::OkFalse),
        (status, Fault::Redirect),
        (status, Fault::Refused { status: 404, error: "no_service" }),
    ] {
        let chat = Webhook::start(vec![fault]);
        to_channel(&chat, &[check]).run(&[]).succeeded();
        assert!(chat.posts().is_empty(), "said to be posted, and is not");
    }
    // The second attempt has a check of its own.
    let second =
        ("    expect: result.status == 200 and result.body|trim == answer\n", "    expect: result.status > 0\n");
    let limited = || vec![Fault::Limited { times: 2, retry_after: Some("0") }];
    let chat = Webhook::start(limited());
    to_channel(&chat, &[]).run(&[]).stopped_at("again", "429");
    let chat = Webhook::start(limited());
    to_channel(&chat, &[second]).run(&[]).succeeded();
    assert!(chat.posts().is_empty());
    // Without the look of a person it would be sent a second time.
    let look = ("    when: status >= 500\n", "    when: false\n");
    let unasked = ("status == 429 or not arrived|default(true)", "status == 429 or status >= 500");
    let chat = Webhook::start(vec![Fault::ServerError { times: 1, effect: true }]);
    to_channel(&chat, &[look, unasked]).run(&[]).succeeded();
    assert_eq!(chat.posts().len(), 2);
}

/// Killed as soon as it is on record that it is to be sent.
#[test]
fn after_a_death_there_is_at_most_one() {
    let chat = Webhook::start(vec![]);
    let bench = to_channel(&chat, &[]);
    bench.start(&[]).until_doing("post").kill();
    let resumed = bench.resume(&[]);
    let sent = chat.posts().len();
    assert!(sent <= 1);
    assert_eq!(resumed.code, 7, "nobody knows: {}", resumed.told);
    let decision = if sent == 1 { "done" } else { "not-done" };
    let ran = bench.decide("post", decision, &[]);
    assert_eq!(chat.posts(), [SENT], "{}", ran.told);
}

fn to_room(homeserver: &Matrix, edits: &[(&str, &str)]) -> Bench {
    // Between two attempts nobody waits for seconds in a test.
    let mut all = vec![("interval: 2s, backoff: 2", "interval: 10ms"), ("interval: 2s}", "interval: 10ms}")];
    all.extend(edits);
    Bench::new("lib/notify/matrix", &all)
        .param("homeserver", homeserver.url())
        .param("room", ROOM)
        .param("message", MESSAGE)
        .param("key", "quiet-time")
        .env("MATRIX_TOKEN", matrix::TOKEN)
        .secret(matrix::TOKEN)
}

fn posted_to_room(faults: Vec<matrix::Fault>, edits: &[(&str, &str)]) -> (Ran, Vec<String>) {
    let homeserver = Matrix::start(faults);
    let ran = to_room(&homeserver, edits).run(&[]);
    let texts = homeserver.texts();
    (ran, texts)
}

#[test]
fn a_room_has_it_once_whatever_is_lost() {
    use matrix::Fault;
    let on = |method| On::of(method, "");
    for faults in [
        vec![],
        vec![Fault::ReplyLost { times: 2 }, Fault::Limited { times: 2 }],
        vec![Fault::ServerError { on: on("PUT"), times: 2, effect: true }],
        vec![Fault::ServerError { on: on("PUT"), times: 2, effect: false }],
        vec![Fault::ServerError { on: on("GET"), times: 2, effect: false }],
    ] {
        eprintln!("{faults:?}");
        let (ran, texts) = posted_to_room(faults, &[]);
        ran.succeeded();
        assert_eq!(texts, [MESSAGE]);
    }
    // Under one number alone it is one message.
    let homeserver = Matrix::start(vec![Fault::ReplyLost { times: 2 }]);
    to_room(&homeserver, &[("{{ run.id }}-{{ key }}", "{{ run.id }}-{{ key }}-a")]).run(&[]).succeeded();
    let numbers: std::collections::BTreeSet<String> =
        homeserver.requests_of("PUT", "").iter().map(|one| one.path.clone()).collect();
    assert_eq!(numbers.len(), 1);
}

#[test]
fn what_the_room_does_not_have_is_told_by_the_look_at_it_alone() {
    use matrix::Fault;
    let check = ("result.status == 200 and result.json.content.body|default('') == message", "result.status == 200");
    for fault in [Fault::Redacted, Fault::Changed] {
        let (ran, _) = posted_to_room(vec![fault.clone()], &[]);
        ran.stopped_at("seen", "message");
        let (ran, texts) = posted_to_room(vec![fault], &[check]);
        ran.succeeded();
        assert_ne!(texts, [MESSAGE]);
    }
    let (ran, texts) = posted_to_room(vec![Fault::Limited { times: 9 }], &[]);
    ran.stopped_at("send", "429");
    assert!(texts.is_empty());
}

#[test]
fn a_room_has_it_once_after_a_death() {
    let homeserver = Matrix::start(vec![]);
    let bench = to_room(&homeserver, &[]);
    bench.start(&[]).until_doing("send").kill();
    bench.resume(&[]).succeeded();
    assert_eq!(homeserver.texts(), [MESSAGE]);
}
