//! Records in, lines out.

use std::{io, rc::Rc};

use serde_json::{Map, json};

use super::*;

#[derive(Clone, Default)]
struct Screen(Rc<RefCell<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Item {
    Event(Event),
    Progress(Progress),
}

fn step(id: &str) -> StepId {
    StepId::new(id)
}

fn header() -> Event {
    let map = |value: Json| value.as_object().cloned().unwrap();
    Event::RunStarted(Box::new(RunStarted {
        journal: 1,
        format: 1,
        run: crate::event::RunId::parse("20261120-201304-k7f3qa").unwrap(),
        runbook: "balrog/tag".into(),
        origin: "runbooks/balrog/tag.yaml".into(),
        digest: "d".into(),
        params: map(json!({"version": "v3.20", "force": true})),
        param_sources: map(json!({"version": "flag"})),
        secrets: map(json!({"token": "env TOKEN"})),
        tool_version: "1".into(),
        operator: "alice".into(),
        host: "box".into(),
        cwd: "/work".into(),
        attended: true,
        profile: None,
        lock: None,
        files: Default::default(),
    }))
}

fn started(id: &str, effect: Effect) -> Event {
    Event::StepStarted { step: step(id), attempt: 1, kind: "shell".into(), effect, idempotent: false, title: None }
}

fn finished(id: &str, status: StepStatus, exit: Option<i32>, error: Option<&str>) -> Event {
    Event::StepFinished {
        step: step(id),
        attempt: 1,
        status,
        exit,
        signal: None,
        http_status: None,
        duration_ms: 1234,
        output_sha256: None,
        output_bytes: 0,
        captures: [("sha".to_owned(), json!("abc"))].into_iter().collect::<Map<_, _>>(),
        withheld: vec!["token".into()],
        error: error.map(str::to_owned),
        interrupted: false,
        gave_up: None,
        no_effect: false,
        output_lost: false,
        notes: Vec::new(),
        left_running: Vec::new(),
    }
}

fn output(id: &str, text: &str) -> Item {
    Item::Progress(Progress::Output { step: step(id), stream: Stream::Stdout, bytes: text.as_bytes().to_vec() })
}

fn poll(id: &str, polls: u32, answer: &str) -> Item {
    let elapsed_ms = u64::from(polls) * 5000;
    Item::Progress(Progress::Poll { step: step(id), polls, elapsed_ms, limit_ms: 600_000, answer: answer.into() })
}

fn asked() -> Event {
    Event::QuestionAsked {
        question: 1,
        step: Some(step("go")),
        about: "confirm".into(),
        message: "Go on?".into(),
        choices: Vec::new(),
    }
}

fn answered() -> Event {
    Event::QuestionAnswered {
        question: 1,
        step: Some(step("go")),
        answer: "yes".into(),
        reason: Some("quiet".into()),
        by: "alice".into(),
        values: Map::new(),
    }
}

impl From<Event> for Item {
    fn from(event: Event) -> Item {
        Item::Event(event)
    }
}

fn shown(options: LineOptions, items: Vec<Item>) -> String {
    let screen = Screen::default();
    let titles = [(step("tag"), "Tag the release".to_owned())].into_iter().collect();
    let lines = Lines::new(Box::new(screen.clone()), options, titles);
    for (at, item) in items.into_iter().enumerate() {
        match item {
            Item::Event(event) => lines.accept(&Record {
                seq: at as u64 + 1,
                time: jiff::Timestamp::UNIX_EPOCH,
                elapsed_ms: 62_000,
                event,
            }),
            Item::Progress(progress) => lines.progress(&progress),
        }
    }
    drop(lines);
    String::from_utf8(screen.0.take()).unwrap()
}

#[test]
fn a_title_is_shown_with_the_values_of_its_moment() {
    let mut known = started("tag", Effect::Change);
    if let Event::StepStarted { title, .. } = &mut known {
        *title = Some("Tag v3.20".into());
    }
    let text = shown(LineOptions::default(), vec![started("tag", Effect::Change).into(), known.into()]);
    assert_eq!(text, "▶ tag  Tag the release [change]\n▶ tag  Tag v3.20 [change]\n");
}

#[test]
fn a_run_from_its_header_to_its_end() {
    let drawn = "the expectation failed\nerror[expect]: 1 is not 0\n --> tag.yaml:3:9";
    let text = shown(
        LineOptions::default(),
        vec![
            header().into(),
            started("tag", Effect::Change).into(),
            output("tag", "pushing\x1b[2J\nhalf a "),
            output("tag", "line\nno line feed"),
            finished("tag", StepStatus::Succeeded, Some(0), None).into(),
            Event::StepSkipped { step: step("b"), cause: SkipCause::Condition, reason: "not public".into() }.into(),
            started("c", Effect::Destroy).into(),
            finished("c", StepStatus::Failed, Some(3), Some(drawn)).into(),
            finished("d", StepStatus::Unknown, None, Some("it timed out after 5m")).into(),
            Event::RunFinished { outcome: Outcome::Failed, code: 1, reason: None }.into(),
        ],
    );
    assert_eq!(
        text,
        "\
balrog/tag  (runbooks/balrog/tag.yaml)
run 20261120-201304-k7f3qa  by alice on box  in /work
  version = v3.20  (flag)
  force   = true
  token   = *** (env TOKEN)

▶ tag  Tag the release [change]
  │ pushing\\u{1b}[2J
  │ half a line
  │ no line feed
✔ tag 1.2s
– b skipped: not public
▶ c [destroy]
✘ c failed: the expectation failed (exit 3) 1.2s
  error[expect]: 1 is not 0
   --> tag.yaml:3:9
? d unknown: it timed out after 5m 1.2s
✘ failed 1m2s
"
    );
}

#[test]
fn a_pause_says_how_to_go_on() {
    let text = shown(
        LineOptions { quiet: true, ..LineOptions::default() },
        vec![
            header().into(),
            started("tag", Effect::Read).into(),
            output("tag", "text\n"),
            finished("tag", StepStatus::Succeeded, None, None).into(),
            asked().into(),
            Event::RunPaused { reason: "nobody is at the keyboard".into() }.into(),
        ],
    );
    assert_eq!(
        text,
        "? go: Go on?\n‖ paused: nobody is at the keyboard\n  go on with: runsheet resume 20261120-201304-k7f3qa\n"
    );
}

#[test]
fn output_of_parallel_steps_is_told_apart() {
    let text = shown(
        LineOptions::default(),
        vec![
            started("a", Effect::Read).into(),
            started("b", Effect::Read).into(),
            output("a", "one "),
            output("b", "two\n"),
            output("a", "three\n"),
        ],
    );
    assert_eq!(text, "▶ a [read]\n▶ b [read]\n  b │ two\n  a │ one three\n");
}

#[test]
fn a_wait_is_one_line_on_a_terminal() {
    let items = || {
        vec![
            started("w", Effect::Read).into(),
            poll("w", 1, "404"),
            poll("w", 2, "404"),
            poll("w", 3, "200\nmore"),
            finished("w", StepStatus::Succeeded, None, None).into(),
        ]
    };
    let cleared = "\r\x1b[2K";
    assert_eq!(
        shown(LineOptions { terminal: true, width: 28, ..LineOptions::default() }, items()),
        format!(
            "▶ w [read]\n\
             {cleared}  ⧖ w  5s of 10m, look 1: …\
             {cleared}  ⧖ w  10s of 10m, look 2:…\
             {cleared}  ⧖ w  15s of 10m, look 3:…\
             {cleared}✔ w 1.2s\n"
        )
    );
    assert_eq!(
        shown(LineOptions::default(), items()),
        "▶ w [read]\n  ⧖ w  5s of 10m: 404\n  ⧖ w  15s of 10m: 200\n✔ w 1.2s\n"
    );
}

#[test]
fn while_a_question_is_open_output_waits() {
    let interactive = LineOptions { interactive: true, terminal: true, ..LineOptions::default() };
    let many: String = (0..600).map(|n| format!("line {n}\n")).collect();
    let text = shown(
        interactive,
        vec![
            started("a", Effect::Read).into(),
            asked().into(),
            output("a", &many),
            poll("a", 1, "x"),
            answered().into(),
        ],
    );
    assert!(text.starts_with("▶ a [read]\n  │ line 0\n"));
    assert!(text.ends_with("  │ line 499\n  … 100 more lines are in the log\n  › yes by alice: quiet\n"), "{text}");
    // A question that nobody answers shows it in the end, too.
    let text = shown(interactive, vec![started("a", Effect::Read).into(), asked().into(), output("a", "late\n")]);
    assert_eq!(text, "▶ a [read]\n  │ late\n");
}

#[test]
fn more_is_shown_on_demand() {
    let intended = Event::EffectIntended {
        step: step("a"),
        attempt: 1,
        number: 1,
        effect: Effect::Change,
        detail: "git push \\\n  origin".into(),
    };
    let text = shown(
        LineOptions { verbose: true, ..LineOptions::default() },
        vec![intended.into(), finished("a", StepStatus::Succeeded, Some(0), None).into()],
    );
    assert_eq!(text, "  $ git push \\\n  $   origin\n✔ a 1.2s\n  sha = abc\n  token = (not on record)\n");
}

#[test]
fn nothing_raw_reaches_a_terminal() {
    let evil = "\x1b[2J\u{202e}\r";
    let plain = shown(
        LineOptions::default(),
        vec![
            Event::RunResumed {
                by: evil.into(),
                host: evil.into(),
                tool_version: evil.into(),
                attended: true,
                undo: false,
            }
            .into(),
            started(evil, Effect::Read).into(),
            output(evil, evil),
            poll(evil, 1, evil),
            Event::StepRetried { step: step(evil), attempt: 2, reason: evil.into(), wait_ms: 5 }.into(),
            finished(evil, StepStatus::Failed, None, Some(evil)).into(),
            Event::StepDeferred { step: step(evil), waiting_on: vec![evil.into()], detail: evil.into() }.into(),
            Event::RunPaused { reason: evil.into() }.into(),
            Event::RunFinished { outcome: Outcome::Unknown, code: 7, reason: Some(evil.into()) }.into(),
        ],
    );
    assert!(!plain.contains(['\x1b', '\u{202e}', '\r']), "{plain:?}");
}

#[test]
fn colours_are_asked_for_and_a_closed_pipe_is_no_panic() {
    let color = LineOptions { color: true, ..LineOptions::default() };
    assert!(shown(color, vec![started("a", Effect::Destroy).into()]).contains("\x1b[1m"));

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::new(Box::new(Closed), color, HashMap::new());
    lines.progress(&Progress::Output { step: step("a"), stream: Stream::Stdout, bytes: b"x\ny\n".to_vec() });
    assert!(lines.state.borrow().is_silent());
}
