//! A step that has the operator's terminal: keys, window, the way to the menu and back, and the terminal afterwards.

use std::{
    cell::Cell,
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use runsheet::{
    event::{Effect, StepId, Stream},
    port::{Cancel, Local, Output, ProcessRequest, Stdin, World},
    worlds::real::RealWorld,
};

use super::{ends, seat::Seat};
use crate::{
    lab::{processes_of, until},
    support::{Bed, PROGRAM},
};

/// What the steps of these tests are: it says its window, what it is sent and what is typed. Not a shell script, because
/// bash loses signals that come while it handles another one.
pub const CHILD: &str = r#"
import os, select, signal
def say(text): os.write(1, (text + "\n").encode())
def window(*_):
    size = os.get_terminal_size(0)
    say(f"now {size.lines} {size.columns}")
signal.signal(signal.SIGWINCH, window)
signal.signal(signal.SIGINT, lambda *_: say("caught"))
window()
say("ready")
spoken = False
while True:
    if os.path.exists("speak") and not spoken:
        spoken = True
        say("while away")
    if os.path.exists("finish"):
        break
    if select.select([0], [], [], 0.02)[0]:
        typed = os.read(0, 1000)
        if not typed:
            open("gone", "w").close()
            break
        say(f"got <{typed.decode().strip()}>")
        if b"end" in typed:
            break
"#;

/// One step that is [`CHILD`].
pub fn child() -> Bed {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: talk\n    shell: {tty: true, exec: [python3, child.py]}\n  - {id: after, effect: read, shell: echo after}\n",
    );
    bed.file("child.py", CHILD)
}

fn step(script: &str) -> Bed {
    let script = script.trim().replace('\n', "\n        ");
    let bed = Bed::with(&format!(
        "title: X\nsecrets: {{token: {{env: TOKEN}}}}\nsteps:\n  - id: talk\n    shell:\n      tty: true\n      kill_grace: 1s\n      script: |\n        {script}\n  - {{id: after, effect: read, shell: echo \"$token\" | wc -c}}\n"
    ));
    std::os::unix::fs::symlink(PROGRAM, bed.root().join("bin/runsheet")).unwrap();
    bed.env("TOKEN", "CANARYtoken0815")
}

const RUN: [&str; 4] = ["run", "./x.yaml", "--mode", "auto"];

#[test]
fn a_window_that_changes_changes_for_the_step() {
    let bed = child();
    let mut seat = Seat::take(&bed, &RUN);
    seat.sees("now 50 110").sees("ready").resizes(40, 90).sees("now 40 90").resizes(41, 91).sees("now 41 91");
    seat.types("end\r").sees("✔ talk");
    seat.ends(0);
}

#[test]
fn interrupts_and_other_keys_are_the_steps() {
    let bed = child();
    let mut seat = Seat::take(&bed, &RUN);
    // Ctrl-Z would stop a job of a shell. There is no shell that could wake this one, so that nothing is stopped.
    seat.sees("ready").types("\x03").sees("caught").types("\x1a").types("\x03").sees("caught");
    seat.types("a\x7fb\r").sees("got <b>").types("end\r").sees("✔ after");
    seat.ends(0);
    assert_eq!(ends(&bed), ["talk succeeded", "after succeeded"]);
}

#[test]
fn a_secret_in_pieces_is_masked_on_the_screen_and_in_the_log() {
    let bed =
        step("for i in 1 2 3 4 5 6 7 8 9; do printf '<%s' \"${token:0:$i}\"; printf '%s>\\n' \"${token:$i}\"; done");
    let mut seat = Seat::take(&bed, &RUN);
    seat.sees("✔ talk");
    let said = seat.ends(0);
    assert_eq!(said.matches("<***>").count(), 9, "{said}");
    let log = std::fs::read_to_string(bed.runs()[0].join("out/talk.1.log")).unwrap();
    assert!(!log.contains("CANARY") && log.matches("<***>").count() == 9, "{log}");
}

/// Whoever ends, and however: the shell afterwards has the terminal as it was.
#[test]
fn the_terminal_is_put_back_whoever_ends() {
    for (script, code) in [
        ("stty raw -echo; exit 0", 0),
        ("kill -KILL $$", 11),
        // The supervisor, so that the engine cannot tell how it ended.
        ("trap '' HUP; kill -KILL $PPID; sleep 0.2", 11),
    ] {
        let bed = step(&format!("{script}\n"));
        let shell =
            "stty -g > before; runsheet run ./x.yaml --mode auto; echo code $? > code; stty -g > after; echo all done";
        let mut seat = Seat::take_with(&bed, "sh", &["-c", shell]);
        if code == 11 {
            // What it did is for a person to say.
            seat.sees("Nobody knows").answers("press", "p");
        }
        seat.sees("all done");
        let said = seat.ends(0);
        assert_eq!(bed.read("before"), bed.read("after"), "{script}: {said}");
        assert_eq!(bed.read("code"), format!("code {code}\n"), "{script}: {said}");
    }
}

#[test]
fn a_terminal_that_is_gone_is_the_end_of_input() {
    let bed = child();
    let mut seat = Seat::take(&bed, &RUN);
    seat.sees("ready");
    assert_eq!(seat.hangs_up(), 11);
    assert!(bed.exists("gone"));
    assert_eq!(processes_of(bed.root()), Vec::<i32>::new());
    // It came to its own end, so that nothing is left to decide.
    assert_eq!(ends(&bed), ["talk succeeded"]);
    assert_eq!(bed.journal().last().unwrap()["event"], "run_paused");
    bed.run(&["resume", "last", "--yes"]).end().code(0);
    bed.run(&["verify", "last"]).end().code(0);
}

/// Who ignores everything is ended after the grace all the same.
#[test]
fn a_step_that_does_not_care_about_a_lost_terminal_is_ended() {
    let bed = step("trap '' HUP INT TERM\necho ready > ready; while :; do sleep 0.05; done");
    let seat = Seat::take(&bed, &RUN);
    until("the step", || bed.exists("ready"));
    let code = seat.hangs_up();
    assert_eq!((code, ends(&bed)), (11, vec!["talk unknown".to_owned()]));
    assert_eq!(processes_of(bed.root()), Vec::<i32>::new());
}

/// The other half of the tests below: a world in a terminal, with an output of its own. Run by them alone.
#[test]
#[ignore = "it needs a terminal, and is started in one by the tests below"]
fn acts() {
    let act = std::env::var("ACT").unwrap();
    assert!(std::io::stdin().is_terminal());
    let request = ProcessRequest {
        step: StepId::new("talk"),
        attempt: 1,
        number: 1,
        effect: Effect::Change,
        looks: false,
        argv: ["python3", "child.py"].map(str::to_owned).to_vec(),
        stdin: Stdin::Nothing,
        env: vec![("PATH".into(), std::env::var("PATH").unwrap())],
        cwd: std::env::current_dir().unwrap(),
        tty: true,
        daemon: false,
        timeout: Some(Duration::from_secs(60)),
        kill_grace: Duration::from_secs(1),
        record_dir: None,
    };
    let world = RealWorld::new(PathBuf::from(PROGRAM));
    let screen = Screen { panics: act == "panic", away: Cell::new(false), missed: Cell::new(0) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end =
        tokio::task::LocalSet::new().block_on(&runtime, async { world.run(&request, &screen, &Cancel::new()).await });
    println!("exit {:?}", end.unwrap().unwrap().exit);
}

struct Screen {
    panics: bool,
    away: Cell<bool>,
    missed: Cell<usize>,
}

impl Output for Screen {
    fn chunk(&self, _: Stream, bytes: &[u8]) {
        assert!(!self.panics, "as a mistake would");
        if self.away.get() {
            self.missed.set(self.missed.get() + bytes.len());
            return;
        }
        std::io::stdout().write_all(bytes).unwrap();
        std::io::stdout().flush().unwrap();
    }

    fn escaped<'a>(&'a self) -> Local<'a, ()> {
        self.away.set(true);
        Box::pin(async {
            let modes = rustix::termios::tcgetattr(rustix::stdio::stdin()).unwrap().local_modes;
            let lines = modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO);
            println!("menu, and the terminal is {}", if lines { "normal" } else { "raw" });
            while !std::path::Path::new("back").exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
                if self.missed.get() > 0 {
                    std::fs::write("missed", self.missed.get().to_string()).unwrap();
                }
            }
            self.away.set(false);
        })
    }
}

/// A shell around the helper above, which compares the terminal before and after.
fn act<'b>(bed: &'b Bed, what: &str) -> Seat<'b> {
    let exe = std::env::current_exe().unwrap();
    let shell = format!(
        "stty -g > before; ACT={what} '{}' --exact terminal::relay::acts --ignored --nocapture; stty -g > after; echo all done",
        exe.display()
    );
    Seat::take_with(bed, "sh", &["-c", &shell])
}

#[test]
fn the_escape_key_leads_to_the_menu_and_back() {
    let bed = Bed::new().file("child.py", CHILD);
    let mut seat = act(&bed, "escape");
    // What follows the key in one stroke was typed before anything was asked.
    seat.sees("ready").types("a\x1dbcd").sees("menu, and the terminal is normal");
    bed.write("speak", "");
    // More than the key that was typed and shown.
    until("the output", || bed.exists("missed") && bed.read("missed").parse().is_ok_and(|bytes: usize| bytes > 8));
    bed.write("back", "");
    // It draws its screen again, at the size that is right.
    seat.sees("now 50 110").types("end\r").sees("got <aend>").sees("exit Some(0)").sees("all done");
    let said = seat.ends(0);
    assert!(!said.contains("while away"), "{said}");
    assert_eq!(bed.read("before"), bed.read("after"));
}

#[test]
fn a_step_that_ends_meanwhile_ends_the_menu() {
    let bed = Bed::new().file("child.py", CHILD);
    let mut seat = act(&bed, "escape");
    seat.sees("ready").types("end\r\x1d").sees("menu, and the terminal is normal");
    seat.sees("exit Some(0)").sees("all done");
    seat.ends(0);
    assert_eq!(bed.read("before"), bed.read("after"));
}

#[test]
fn a_panic_puts_the_terminal_back() {
    let bed = Bed::new().file("child.py", CHILD);
    let mut seat = act(&bed, "panic");
    seat.sees("as a mistake would").sees("all done");
    seat.ends(0);
    assert_eq!(bed.read("before"), bed.read("after"));
}
