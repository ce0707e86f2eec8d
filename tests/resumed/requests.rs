//! The same table for requests: the program is killed when the request has arrived and no answer has come.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{answers, outcome, records, sound};
use crate::{
    lab::until,
    standins::server::{Reply, Server},
    support::Bed,
    terminal::seat::Seat,
};

struct Case {
    bed: Bed,
    server: Server,
    /// What a look is answered with.
    look: Arc<Mutex<u16>>,
}

/// A run whose request got through, and that was killed by it.
fn killed(fields: &str) -> Case {
    let engine = Arc::new(AtomicI32::new(0));
    let look = Arc::new(Mutex::new(503));
    let (pid, answer) = (Arc::clone(&engine), Arc::clone(&look));
    let server = Server::start(move |request| {
        if request.path == "/look" {
            return Reply::empty(*answer.lock().unwrap());
        }
        match pid.load(Ordering::SeqCst) {
            -1 => {}
            _ => {
                until("the program's id", || pid.load(Ordering::SeqCst) > 0);
                kill_process(Pid::from_raw(pid.swap(-1, Ordering::SeqCst)).unwrap(), Signal::KILL).unwrap();
            }
        }
        Reply::json(200, &serde_json::json!({"build": 7}))
    });
    let bed = Bed::with(&format!(
        "title: A request\nparams: {{host: {{type: url, default: '{}'}}}}\nsteps:\n  - id: trigger\n    http: {{method: POST, url: '{{{{ host }}}}/build', json: {{now: true}}}}\n    {fields}\n  - {{id: last, shell: echo last >> marks}}\n",
        server.url()
    ));
    let run = bed.run(&["run", "./x.yaml", "--yes"]).stdin_null().start();
    engine.store(run.pid(), Ordering::SeqCst);
    assert_eq!(run.end().code, None);
    assert_eq!(outcome(&bed), "interrupted");
    sound(&bed);
    Case { bed, server, look }
}

impl Case {
    fn sent(&self) -> usize {
        self.server.requests_of("POST", "/build").len()
    }

    fn seat(&self) -> Seat<'_> {
        Seat::take(&self.bed, &["resume", "last", "--mode", "auto"])
    }

    #[track_caller]
    fn is(&self, sent: usize, ran: bool, how: &str) {
        assert_eq!((self.sent(), self.bed.exists("marks"), outcome(&self.bed).as_str()), (sent, ran, how));
        sound(&self.bed);
    }
}

const LOOK: &str = "verify: {http: {url: '{{ host }}/look'}}";

#[test]
fn it_is_for_a_person() {
    let case = killed("");
    case.bed.run(&["resume", "last", "--yes"]).end().code(7).stderr_has("Nobody knows whether this step took effect");
    case.is(1, false, "unknown");
    let mut seat = case.seat();
    seat.sees("outcome unknown trigger").sees("on record before the end: POST http://127.0.0.1:").sees("/build");
    seat.answers("press", "d").answers("reason:", "build 7 is there\r");
    seat.ends(0);
    case.is(1, true, "succeeded");
    assert_eq!(answers(&case.bed), ["done because build 7 is there"]);
    for (word, sent) in [("done", 1), ("not-done", 2)] {
        let case = killed("");
        let args = ["resume", "last", "--step", "trigger", "--as", word, "--reason", "I looked"];
        case.bed.run(&args).end().code(0);
        case.is(sent, true, "succeeded");
        assert!(case.bed.journal().iter().any(|record| record.to_string().contains("I looked")), "{word}");
    }
}

#[test]
fn what_may_be_sent_twice_is() {
    for fields in ["idempotent: true", "effect: read"] {
        for attended in [false, true] {
            let case = killed(fields);
            if attended {
                case.seat().ends(0);
            } else {
                case.bed.run(&["resume", "last", "--yes"]).end().code(0);
            }
            assert!(records(&case.bed, "question_asked").is_empty());
            case.is(2, true, "succeeded");
        }
    }
}

#[test]
fn a_look_decides() {
    for (status, sent) in [(200, 1), (404, 2)] {
        for attended in [false, true] {
            let case = killed(LOOK);
            *case.look.lock().unwrap() = status;
            let said = if attended {
                case.seat().ends(0)
            } else {
                case.bed.run(&["resume", "last", "--yes"]).end().code(0).stderr
            };
            assert!(said.contains(if sent == 1 { "it is in place" } else { "not in place" }), "{said}");
            assert!(records(&case.bed, "question_asked").is_empty());
            case.is(sent, true, "succeeded");
        }
    }
}

#[test]
fn a_look_that_cannot_tell_leaves_it_to_a_person() {
    let case = killed(LOOK);
    case.bed.run(&["resume", "last", "--yes"]).end().code(7).stderr_has("verify could not tell");
    case.is(1, false, "unknown");
    let mut seat = case.seat();
    // What was looked for is still not to be told: the word of the operator counts, and that is on record.
    seat.sees("outcome unknown trigger").answers("press", "d").answers("reason:", "the page says so\r");
    seat.ends(0);
    let end = records(&case.bed, "step_finished").into_iter().rfind(|record| record["step"] == "trigger").unwrap();
    assert_eq!(end["status"], "done_by_hand");
    assert!(end["notes"].to_string().contains("verify could not tell"), "{end}");
    case.is(1, true, "succeeded");
}
