//! The clock of the machine is set while a run goes on: limits, waits and the record do not care.

use std::{process::Command, time::Instant};

use serde_json::Value as Json;

use crate::lab::{Lab, Running, finish};

/// The wall clock as the seconds in a file say; every other clock as it is.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long shift(void) {
  char text[32] = {0};
  const char *name = getenv("CLOCK_SHIFT");
  int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
  close(fd);
  return atoll(text);
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, id, now);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
  if (now) *now = exact.tv_sec;
  return exact.tv_sec;
}
"#;

const TEN_YEARS: i64 = 10 * 365 * 86_400;

struct Clock {
    lab: Lab,
}

impl Clock {
    fn new(book: &str) -> Clock {
        let lab = Lab::new();
        let source = lab.file("shim.c", SHIM);
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(lab.path("shim.so")).arg(source).output();
        let built = built.expect("this test needs a C compiler: install it (apt-get install gcc)");
        assert!(built.status.success(), "{built:?}");
        lab.book(book);
        Clock { lab }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.lab.command(args);
        command.env("LD_PRELOAD", self.lab.path("shim.so")).env("CLOCK_SHIFT", self.lab.path("shift"));
        command
    }

    fn set(&self, seconds: i64) {
        // Renamed into place, so that nobody reads half of it.
        let new = self.lab.file("shift.new", &seconds.to_string());
        std::fs::rename(new, self.lab.path("shift")).unwrap();
    }
}

fn years_from_now(record: &Json) -> i64 {
    let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
    let seconds = time.as_second() - jiff::Timestamp::now().as_second();
    (seconds as f64 / TEN_YEARS as f64).round() as i64 * 10
}

const BOOK: &str = r#"
title: Clocks
lock: clocks
steps:
  - {id: gated, shell: read -r _ < "$HOME/gate"}
  - {id: rest, wait: 300ms}
  - id: looks
    wait: {shell: '[ -e "$HOME/there" ]', interval: 20ms, timeout: 40s}
  - {id: limited, effect: read, timeout: 500ms, on_failure: continue, shell: {kill_grace: 100ms, script: sleep 60}}
  - {id: again, effect: read, retry: {attempts: 2, interval: 100ms}, shell: '[ -e "$HOME/twice" ] || { touch "$HOME/twice"; exit 1; }'}
  - {id: last, shell: echo last >> "$HOME/marks"}
"#;

#[test]
fn a_clock_that_jumps_changes_no_limit_and_no_order() {
    for years in [-10, 10] {
        let clock = Clock::new(BOOK);
        let lab = &clock.lab;
        let gate = lab.gate("gate");
        let began = Instant::now();
        let run = Running::of(clock.command(&["run", "./book.yaml", "--yes"]));
        let open = gate.reached();
        clock.set(TEN_YEARS * i64::from(years / 10));
        // Whoever else wants the run, or its lock, is refused as ever, and told since when.
        let refused = finish(clock.command(&["resume", "last"])).expect(8);
        assert!(refused.err.contains("since"), "{refused:#?}");
        open.pass();
        lab.until_record("the wait", |record| record["event"] == "step_started" && record["step"] == "looks");
        lab.file("there", "");
        run.end().expect(0);
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        assert_eq!(lab.marks("marks"), ["last"]);
        let journal = lab.journal();
        let elapsed: Vec<u64> = journal.iter().map(|record| record["elapsed_ms"].as_u64().unwrap()).collect();
        assert!(elapsed.is_sorted() && *elapsed.last().unwrap() <= took, "{elapsed:?} in {took}");
        let lasted = |step: &str| {
            let of = |record: &&Json| record["event"] == "step_finished" && record["step"] == step;
            journal.iter().find(of).unwrap()["duration_ms"].as_u64().unwrap()
        };
        assert!((300..=took).contains(&lasted("rest")) && (500..=took).contains(&lasted("limited")), "{journal:#?}");
        // The record says what the clock said; nothing is made up.
        assert_eq!((years_from_now(&journal[0]), years_from_now(journal.last().unwrap())), (0, i64::from(years)));
        lab.sound();
        finish(clock.command(&["report", "last"])).expect(0);
        let listed: Json = serde_json::from_str(&finish(clock.command(&["history", "--json"])).expect(0).out).unwrap();
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["outcome"]), (1, &"succeeded".into()));
    }
}

/// A run that is resumed ten years before it began, and one that began ten years ago as far as anybody can tell.
#[test]
fn a_resume_before_the_beginning_goes_on() {
    for years in [-10, 10] {
        let clock = Clock::new(
            "title: t\nsteps:\n  - {id: a, shell: echo a >> $HOME/marks}\n  - {id: sure, confirm: Go?}\n  - {id: b, shell: echo b >> $HOME/marks}\n",
        );
        finish(clock.command(&["run", "./book.yaml"])).expect(11);
        clock.set(TEN_YEARS * i64::from(years / 10));
        finish(clock.command(&["resume", "last", "--yes"])).expect(0);
        assert_eq!(clock.lab.marks("marks"), ["a", "b"]);
        clock.lab.sound();
        // Another one, at the time as it really is: which one is the last is told by when they began.
        clock.set(0);
        finish(clock.command(&["run", "./book.yaml", "--yes"])).expect(0);
        let listed: Json = serde_json::from_str(&finish(clock.command(&["history", "--json"])).expect(0).out).unwrap();
        let began: Vec<&str> = listed.as_array().unwrap().iter().map(|run| run["started"].as_str().unwrap()).collect();
        assert!(began.len() == 2 && began[0] > began[1], "{began:?}");
        finish(clock.command(&["verify", "last"])).expect(0);
    }
}
