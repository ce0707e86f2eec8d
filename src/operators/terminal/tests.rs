//! A person's keys at a pseudo-terminal: what they answer, and what fails closed.

use std::{os::fd::OwnedFd, rc::Rc};

use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use tokio::sync::Notify;

use super::*;
use crate::{
    event::{Effect, StepId},
    value::{Shape, Type, Value},
};

/// What the terminal shows, and a bell for whoever waits for more of it.
#[derive(Clone, Default)]
struct Shown(Rc<(RefCell<String>, Notify)>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.borrow_mut().push_str(std::str::from_utf8(bytes).unwrap());
        self.0.1.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A person with a pseudo-terminal.
struct Person {
    keyboard: Option<OwnedFd>,
    watch: OwnedFd,
    shown: Shown,
    seen: usize,
}

impl Person {
    fn sits_down() -> (Person, Terminal) {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::from_bits_retain(libc::O_NONBLOCK as u32);
        let tty = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
        let shown = Shown::default();
        let watch = tty.try_clone().unwrap();
        let terminal = Terminal::on("alice", tty.into(), Box::new(shown.clone()), false);
        (Person { keyboard: Some(keyboard), watch, shown, seen: 0 }, terminal)
    }

    /// Waits until something is shown that was not shown before.
    async fn sees(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown.0.0.borrow()[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            self.shown.0.1.notified().await;
        }
    }

    fn types(&self, keys: &str) {
        rustix::io::write(self.keyboard.as_ref().unwrap(), keys.as_bytes()).unwrap();
    }

    fn raw(&self) -> bool {
        !tcgetattr(&self.watch).unwrap().local_modes.contains(LocalModes::ICANON)
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(future)
}

fn question(kind: QuestionKind) -> Question {
    let choice = |key, name: &'static str, needs_reason| Choice {
        key,
        name: name.into(),
        consequence: format!("to {name}"),
        needs_reason,
    };
    let choices = match &kind {
        QuestionKind::Confirm { .. } | QuestionKind::Withheld { .. } => Vec::new(),
        QuestionKind::Manual { .. } => vec![choice('s', "skip", true), choice('p', "pause", false)],
        _ => vec![choice('r', "run", false), choice('s', "skip", true)],
    };
    Question {
        step: Some(StepId::new("tag")),
        title: "Tag".into(),
        message: "Tag it?".into(),
        context: Vec::new(),
        kind,
        choices,
    }
}

fn show(reply: Reply) -> String {
    match reply {
        Reply::Answer(answer) => {
            let values: Vec<String> = answer.values.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
            let reason = answer.reason.map(|reason| format!(" because {reason}")).unwrap_or_default();
            let secret = answer.secret.map(|secret| format!(" {}", secret.expose())).unwrap_or_default();
            format!("{}{}{reason}{secret}", answer.word, values.concat())
        }
        Reply::Closed { why, .. } => format!("closed: {why}"),
        Reply::Nobody { .. } | Reply::Unasked => "nobody".into(),
    }
}

/// Plays turns of "when this is shown, type that", and tells the reply and all that was shown.
fn play(kind: QuestionKind, turns: &[(&str, &str)]) -> (String, String) {
    run(async {
        let (mut person, terminal) = Person::sits_down();
        let question = question(kind);
        let plays = async {
            for (sees, types) in turns {
                person.sees(sees).await;
                assert!(person.raw());
                person.types(types);
            }
        };
        let (reply, ()) = futures_util::join!(terminal.ask(&question), plays);
        assert!(!person.raw(), "the terminal is as it was");
        let shown = person.shown.0.0.borrow().clone();
        (show(reply), shown)
    })
}

fn confirm(type_back: Option<&str>) -> QuestionKind {
    QuestionKind::Confirm { effect: Effect::Change, type_back: type_back.map(str::to_owned) }
}

#[test]
fn a_menu_takes_one_key() {
    let before = || QuestionKind::BeforeStep { effect: Effect::Change };
    assert_eq!(play(before(), &[("press r, s: ", "r")]).0, "run");
    assert_eq!(play(before(), &[("press r, s: ", "r\n")]).0, "run");
    // Enter, other keys, capitals, arrows and pasted text choose nothing.
    let (reply, shown) = play(
        before(),
        &[
            ("press r, s: ", "\r"),
            ("", "x"),
            ("none of the choices", "R"),
            ("none of the choices", "\x1b[A"),
            ("none of the choices", "run it"),
            ("none of the choices", "s"),
            ("reason: ", "\r"),
            ("needs a reason", " not needed \r"),
        ],
    );
    assert_eq!(reply, "skip because not needed", "{shown}");
    // Esc at the reason goes back to the menu.
    assert_eq!(
        play(before(), &[("press r, s: ", "s"), ("reason: ", "ab\x1b"), ("press r, s: ", ""), ("", "\x1b")]).0,
        "closed: nothing was chosen"
    );
}

#[test]
fn what_is_no_answer_closes() {
    for kind in
        [QuestionKind::Failure, confirm(None), confirm(Some("v1")), QuestionKind::Withheld { name: "token".into() }]
    {
        for (keys, why) in [("\x1b", ""), ("\x03", "interrupted"), ("\x04", "input ended")] {
            let (reply, _) = play(kind.clone(), &[(": ", keys)]);
            assert!(reply.starts_with("closed: ") && reply.contains(why), "{reply}");
        }
    }
}

#[test]
fn a_lost_terminal_closes() {
    for kind in [QuestionKind::Failure, confirm(None)] {
        let reply = run(async {
            let (mut person, terminal) = Person::sits_down();
            let question = question(kind);
            let leaves = async {
                person.sees(": ").await;
                person.keyboard = None;
            };
            futures_util::join!(terminal.ask(&question), leaves).0
        });
        assert!(show(reply).starts_with("closed: the terminal is gone"));
    }
}

#[test]
fn a_confirm_takes_yes_or_no_and_enter() {
    assert_eq!(play(confirm(None), &[("yes or no: ", "y\r")]).0, "yes");
    assert_eq!(play(confirm(None), &[("yes or no: ", "YES\r")]).0, "yes");
    let turns = [("yes or no: ", "\r"), ("please type", "yep\r"), ("please type", "yess\x7f\x7fxx\x15no\r")];
    assert_eq!(play(confirm(None), &turns).0, "no");
}

#[test]
fn a_text_is_typed_back_exactly() {
    let turns = [
        ("type exactly: v3.20", ""),
        ("text, or no: ", "\r"),
        ("that is not `v3.20`", "yes\r"),
        ("that is not `v3.20`", "v3.20 \r"),
        ("that is not `v3.20`", "v3.2x\x7f0\r"),
    ];
    assert_eq!(play(confirm(Some("v3.20")), &turns).0, "yes");
    assert_eq!(play(confirm(Some("v3.20")), &[("text, or no: ", "no\r")]).0, "no");
}

#[test]
fn evidence_is_checked_at_the_prompt() {
    let evidence = |name: &str, ty, choices: &[&str]| Evidence {
        prompt: String::new(),
        ..Evidence::of(
            name,
            Shape { choices: choices.iter().map(|choice| (*choice).into()).collect(), ..Shape::of(ty) },
        )
    };
    let kind = QuestionKind::Manual {
        open: Some("https://ci.example/".into()),
        evidence: vec![evidence("build", Type::Integer, &[]), evidence("state", Type::Enum, &["green", "red"])],
    };
    let turns = [
        ("https://ci.example/", ""),
        ("press d, s, p: ", "d"),
        ("build: ", "seven\r"),
        ("not a whole number", ""),
        ("build: ", "\x1b"),
        ("press d, s, p: ", "d"),
        ("build: ", "7\r"),
        ("2) red", "blue\r"),
        ("none of green, red", "2\r"),
    ];
    let (reply, _) = play(kind, &turns);
    assert_eq!(reply, format!("done build={:?} state={:?}", Value::Int(7), Value::text("red")));
}

#[test]
fn a_secret_is_not_shown() {
    let (reply, shown) =
        play(QuestionKind::Withheld { name: "token".into() }, &[("token (not shown): ", "hünter2x\x7f\r")]);
    assert_eq!(reply, "given hünter2");
    assert!(!shown.contains("hünter2"));
}

#[test]
fn keys_typed_ahead_are_thrown_away() {
    let reply = run(async {
        let (mut person, terminal) = Person::sits_down();
        person.types("y\r\ryes\n");
        let question = question(confirm(None));
        let plays = async {
            person.sees("yes or no: ").await;
            person.types("no\r");
        };
        futures_util::join!(terminal.ask(&question), plays).0
    });
    assert_eq!(show(reply), "no");
}

#[test]
fn a_question_that_is_called_off_restores_the_terminal() {
    run(async {
        let (mut person, terminal) = Person::sits_down();
        let question = question(confirm(None));
        futures_util::select_biased! {
            _ = futures_util::FutureExt::fuse(terminal.ask(&question)) => unreachable!(),
            () = futures_util::FutureExt::fuse(person.sees("yes or no: ")) => {}
        }
        assert!(!person.raw());
    });
}

#[test]
fn a_long_line_is_erased_over_its_rows() {
    let (mut person, terminal) = Person::sits_down();
    let size = rustix::termios::Winsize { ws_row: 10, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&person.watch, size).unwrap();
    let screen = run(async {
        let asked = question(confirm(Some("word word end")));
        let plays = async {
            person.sees("text, or no: ").await;
            person.types(&"word ".repeat(9));
            person.sees(&"word ".repeat(9)).await;
            person.types("\x17\x17\x17\x17\x17\x17\x17end");
            person.sees("end").await;
            person.types("\r");
        };
        let reply = futures_util::join!(terminal.ask(&asked), plays).0;
        assert_eq!(show(reply), "yes");
        let mut parser = vt100::Parser::new(10.try_into().unwrap(), 20.try_into().unwrap(), 0);
        parser.process(person.shown.0.0.borrow().as_bytes());
        parser.screen().contents()
    });
    // What was erased is gone from every row it took.
    assert!(!screen.contains("word word word"), "{screen}");
    assert!(screen.trim_end().ends_with("word end"), "{screen}");
}
