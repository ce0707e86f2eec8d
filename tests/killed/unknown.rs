//! Ends that nobody saw: what a look at the effect decides, and what only a person can.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
};

use crate::lab::{Ended, Lab};

/// Ways in which a change can come to an end that tells nothing.
const ENDS: [(&str, &str); 3] = [
    ("timeout: 300ms", "echo deploy >> \"$HOME/marks\"; sleep 1000"),
    ("timeout: 5m", "echo deploy >> \"$HOME/marks\"; kill -9 $$"),
    ("timeout: 5m", "echo deploy >> \"$HOME/marks\"; kill -TERM $$; sleep 1000"),
];

fn run(fields: &str, script: &str) -> (Lab, Ended) {
    let lab = Lab::new();
    lab.book(&format!(
        r#"
title: An open end
steps:
  - id: deploy
    {fields}
    shell: |
      {script}
  - id: after
    shell: echo after >> "$HOME/after"
"#
    ));
    let ended = lab.call(&["run", "./book.yaml", "--yes"]);
    (lab, ended)
}

#[test]
fn without_verify_it_is_for_a_person() {
    for (fields, script) in ENDS {
        // Not even a retry repeats it.
        let (lab, ended) = run(&format!("{fields}\n    retry: {{attempts: 3, interval: 1ms}}"), script);
        let ended = ended.expect(7);
        assert!(ended.err.contains("deploy"), "{ended:#?}");
        assert_eq!(lab.outcomes(), ["unknown"]);
        lab.call(&["resume", "last", "--yes"]).expect(7);
        assert_eq!(lab.marks("marks").len(), 1, "{script}");
        assert!(lab.marks("after").is_empty());
        lab.sound();
        lab.call(&["resume", "last", "--step", "deploy", "--as", "done", "--reason", "it is there"]).expect(0);
        assert_eq!((lab.marks("marks").len(), lab.marks("after").len()), (1, 1));
        lab.sound();
    }
}

#[test]
fn verify_finds_it_in_place() {
    for (fields, script) in ENDS {
        let verify = "verify: {shell: grep -q deploy \"$HOME/marks\"}";
        let (lab, ended) = run(&format!("{fields}\n    {verify}"), script);
        let ended = ended.expect(0);
        assert!(ended.err.contains("in place"), "{ended:#?}");
        assert_eq!((lab.marks("marks").len(), lab.marks("after").len()), (1, 1));
        lab.sound();
    }
}

#[test]
fn verify_finds_it_missing() {
    for (fields, script) in ENDS {
        let script = script.replace("marks", "tries");
        let verify = "verify: {shell: test -e \"$HOME/never\"}";
        let (lab, ended) = run(&format!("{fields}\n    {verify}"), &script);
        let ended = ended.expect(1);
        assert!(ended.err.contains("not in place"), "{ended:#?}");
        assert_eq!((lab.marks("tries").len(), lab.marks("after").len()), (1, 0));
        // What is known not to be there may be tried again.
        let (lab, ended) = run(&format!("{fields}\n    retry: {{attempts: 3, interval: 1ms}}\n    {verify}"), &script);
        ended.expect(1);
        assert_eq!(lab.marks("tries").len(), 3);
        lab.sound();
    }
}

#[test]
fn verify_that_cannot_tell_leaves_it_to_a_person() {
    for verify in [
        "verify: {shell: exit 127}",
        "verify: {shell: \"true\", expect: [result.json.there]}",
        "verify: {http: {url: \"http://127.0.0.1:1/\"}}",
        "verify: {shell: sleep 1000, timeout: 100ms}",
        "verify: {shell: kill -9 $$}",
    ] {
        let (lab, ended) = run(&format!("retry: {{attempts: 3, interval: 1ms}}\n    {verify}"), ENDS[1].1);
        assert_eq!(ended.code, Some(7), "{verify}: {ended:#?}");
        assert_eq!(lab.marks("marks").len(), 1, "{verify}");
        assert_eq!(lab.outcomes(), ["unknown"]);
        lab.sound();
    }
}

/// The look of a decision writes into a log that has its end on record; that is no edit.
#[test]
fn a_decision_that_verify_contradicts_is_refused() {
    let look = "verify: {shell: 'echo looking; test -e \"$HOME/there\" || exit $(cat \"$HOME/code\")'}";
    let lab = Lab::new();
    lab.file("code", "127");
    lab.book(&format!(
        "title: t\nsteps:\n  - id: deploy\n    {look}\n    shell: echo deploy >> \"$HOME/marks\"; echo said; kill -9 $$\n"
    ));
    lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    lab.sound();
    lab.file("code", "1");
    for _ in 0..2 {
        let args = ["resume", "last", "--step", "deploy", "--as", "done", "--reason", "I think so"];
        let refused = lab.call(&args).expect(7);
        assert!(refused.err.contains("not in place"), "{refused:#?}");
        lab.sound();
    }
    lab.file("there", "");
    lab.call(&["resume", "last", "--step", "deploy", "--as", "done", "--reason", "now it is"]).expect(0);
    assert_eq!(lab.marks("marks").len(), 1);
    lab.sound();
}

/// The process that resumes has read nothing for the step itself.
#[test]
fn verify_reads_its_own_secrets_when_it_is_asked_on_a_resume() {
    let lab = Lab::new();
    lab.file("token", "correct-horse");
    lab.book(
        r#"
title: A look that needs a secret
secrets:
  token: {file: ../token}
steps:
  - id: deploy
    shell: echo one; kill -9 $$
    capture: {seen: result.stdout}
    verify:
      shell: |
        test -e "$HOME/ready" || exit 127
        echo "${#token} characters"
      capture: {seen: result.stdout}
  - id: after
    shell: echo "$seen" > "$HOME/after"
"#,
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    lab.file("ready", "");
    let resumed = lab.call(&["resume", "last", "--step", "deploy", "--as", "done", "--reason", "it is there"]);
    resumed.expect(0);
    assert_eq!(lab.marks("after"), ["13 characters"]);
    lab.sound();
}

#[test]
fn what_may_run_twice_does() {
    let (lab, ended) =
        run("idempotent: true\n    retry: {attempts: 3, interval: 1ms}", "echo try >> $HOME/tries; kill -9 $$");
    ended.expect(7);
    assert_eq!(lab.marks("tries").len(), 3);
    lab.sound();
}

/// Takes requests, reads each to its end, notes it, and closes without a word until `answers` is reached.
fn closing_server(requests: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for _ in 0..requests {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut first = String::new();
            stream.read_line(&mut first).unwrap();
            let mut length = 0;
            loop {
                let mut header = String::new();
                stream.read_line(&mut header).unwrap();
                if header.trim().is_empty() {
                    break;
                }
                if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            seen.push(first.trim().to_owned());
        }
        seen
    });
    (url, server)
}

#[test]
fn a_request_without_an_answer_is_open() {
    let book = |url: &str, more: &str| {
        format!(
            r#"
title: A request
steps:
  - id: trigger
    retry: {{attempts: 3, interval: 1ms}}
    http: {{method: POST, url: "{url}/build", json: {{now: true}}}}
    {more}
"#
        )
    };
    let run = |more: &str, requests: usize| {
        let (url, server) = closing_server(requests);
        let lab = Lab::new();
        lab.book(&book(&url, more));
        let ended = lab.call(&["run", "./book.yaml", "--yes"]);
        lab.sound();
        (lab, ended, server.join().unwrap())
    };
    let (lab, ended, seen) = run("", 1);
    let ended = ended.expect(7);
    assert!(ended.err.contains("sent, but no whole answer came back"), "{ended:#?}");
    assert_eq!(seen, ["POST /build HTTP/1.1"]);
    assert_eq!(lab.outcomes(), ["unknown"]);
    // The server is gone: were it sent again, it would fail instead of staying open.
    lab.call(&["resume", "last", "--yes"]).expect(7);

    run("verify: {shell: \"true\"}", 1).1.expect(0);
    let (_, ended, seen) = run("verify: {shell: \"false\"}", 3);
    ended.expect(1);
    assert_eq!(seen.len(), 3, "what is known not to be there is sent again");
    run("verify: {shell: exit 127}", 1).1.expect(7);
    assert_eq!(run("idempotent: true", 3).2.len(), 3);

    // Nobody there to take it: nothing was sent, which is a plain failure.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lab = Lab::new();
    lab.book(&book(&format!("http://{free}"), ""));
    let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(1);
    assert!(ended.err.contains("not reachable"), "{ended:#?}");
}

/// Killed between sending and the answer: nothing but a look, or a person, can tell.
#[test]
fn a_request_on_its_way_is_open_after_a_kill() {
    for (more, code) in [("", 7), ("verify: {shell: \"true\"}", 0), ("idempotent: true", 1), ("effect: read", 1)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lab = Lab::new();
        lab.book(&format!(
            "title: t\nsteps:\n  - id: trigger\n    http: {{method: POST, url: \"http://{}/build\", body: now}}\n    {more}\n",
            listener.local_addr().unwrap()
        ));
        let run = lab.start(&["run", "./book.yaml", "--yes"]);
        let (stream, _) = listener.accept().unwrap();
        let mut first = String::new();
        BufReader::new(&stream).read_line(&mut first).unwrap();
        assert_eq!(first.trim(), "POST /build HTTP/1.1");
        run.kill();
        drop((stream, listener));
        assert_eq!(lab.outcomes(), ["interrupted"]);
        lab.sound();
        // Whoever sends it again finds nobody: a plain failure.
        let resumed = lab.call(&["resume", "last", "--yes"]);
        assert_eq!(resumed.code, Some(code), "{more}: {resumed:#?}");
        assert_eq!(resumed.err.contains("not reachable"), code == 1, "{more}: {resumed:#?}");
        lab.sound();
    }
}
