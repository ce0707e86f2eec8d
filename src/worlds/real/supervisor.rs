//! The process between an engine and the process of a step: its parent, its reaper, its end. Knows nothing of runs.
//!
//! It lives for one process. It is a session of its own and the subreaper of everything below it, so that `setsid`,
//! `nohup` and double forks do not get out of its sight: they become its children, and "no children" is something the
//! kernel tells. If the engine dies, it takes the output, keeps the limits, and writes down the end.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus},
};

use super::{
    attempt::Record,
    child::{self, Started, Terminal},
    control::Control,
    family::{self, Living},
    relay::{Feeder, Relay, poll, watch},
    remote::{self, Marks},
    signals,
    wire::{End, Order, tag},
};
use crate::port::ExecRecord;

/// What is left when the main process ends may finish its output for as long, from the last byte on, ...
const DRAIN: Duration = Duration::from_millis(250);
/// ... but no longer than this.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks for new members of the family that have not got the polite signal.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Who is still there so long after a KILL cannot be ended by us: another user's, or stuck in the kernel. While new ones
/// appear, they are killed too, however long that takes.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Names kept of processes that had to be ended.
const MOST_SWEPT: usize = 50;

/// The whole life of the helper that is started as `runsheet __supervise`.
pub fn supervise_main() -> ! {
    if !called_by_engine() {
        eprintln!("runsheet: `__supervise` is how runsheet starts the processes of steps; it is of no use by hand");
        std::process::exit(2);
    }
    let code = match std::panic::catch_unwind(supervise) {
        Ok(Ok(())) => 0,
        Ok(Err(_)) | Err(_) => {
            // Whatever went wrong with us, nothing may run on that nobody watches.
            sweep_now();
            70
        }
    };
    std::process::exit(code)
}

fn called_by_engine() -> bool {
    rustix::fs::fstat(rustix::stdio::stdin())
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket)
}

fn supervise() -> io::Result<()> {
    signals::close_inherited();
    super::harden();
    // Fails only for the leader of a group, which a freshly forked child is not.
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let _ = rustix::thread::set_name(c"runsheet-step");
    }
    let signals = signals::take_over()?;
    let [control, stdout, stderr] = signals::take_stdio()?;
    // No folder is kept busy by us.
    rustix::process::chdir("/")?;
    super::relay::nonblocking(&control)?;
    let mut control = Control::on(control);

    let Some((tag::ORDER, body)) = control.wait()? else { return Ok(()) };
    let order: Order = serde_json::from_slice(&body)?;
    drop(body);
    let mut stdin_bytes = Vec::new();
    if order.has_stdin {
        let Some((tag::STDIN, bytes)) = control.wait()? else { return Ok(()) };
        stdin_bytes = bytes;
    }
    let cwd = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&order.cwd));
    if let Err(why) = child::prepare(&order.argv, &order.env, cwd) {
        return control.send(tag::FAILED, why.as_bytes());
    }
    let record = match order.record.as_ref().map(Record::take).transpose() {
        Ok(record) => record,
        Err(why) => return control.send(tag::FAILED, why.as_bytes()),
    };
    control.send(tag::READY, b"")?;
    loop {
        match control.wait()? {
            Some((tag::GO, _)) => break,
            Some((tag::CANCEL, _)) | None => return Ok(()),
            Some(_) => {}
        }
    }

    let began = Instant::now();
    let started = match child::start(&order) {
        Ok(started) => started,
        Err(why) => return control.send(tag::FAILED, why.as_bytes()),
    };
    control.send(tag::STARTED, started.pid.as_raw_nonzero().to_string().as_bytes())?;
    let watch = Watch::new(&order, stdin_bytes, started, control, signals, record, began, stdout, stderr)?;
    // The environment and its secrets are not needed any more.
    drop(order);
    watch.run()
}

/// The last resort.
fn sweep_now() {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let until = Instant::now() + GIVE_UP;
    while Instant::now() < until {
        let left = family::descendants(me);
        if left.is_empty() {
            return;
        }
        for process in &left {
            let _ = family::signal(process, Signal::KILL);
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How far the end has come.
enum Phase {
    Running,
    /// The main process ended and left others; they may finish their output.
    Draining {
        until: Instant,
        limit: Instant,
    },
    /// They may go on. The engine gets the rest of what was written up to here, ...
    Parting,
    /// ... has been told, and is not listened to any more.
    Left,
    /// They have got a polite signal.
    Asked {
        signal: Signal,
        told: HashSet<Living>,
        until: Instant,
        look: Instant,
    },
    Killing {
        struck: HashMap<Living, Instant>,
    },
    /// The family is gone, or out of our reach; what is left is output on its way to the engine.
    Over {
        since: Instant,
    },
}

struct Watch {
    control: Control,
    signals: OwnedFd,
    record: Option<Record>,
    /// What is left may go on.
    daemon: bool,
    /// What the engine was told that goes on.
    left: Option<Vec<String>>,
    main: Pid,
    status: Option<WaitStatus>,
    phase: Phase,
    relays: Vec<Relay>,
    feeder: Option<Feeder>,
    /// What a script for elsewhere is read from, and whether a part of it was left there in the end.
    input: Option<OwnedFd>,
    untaken: bool,
    terminal: Option<Terminal>,
    /// When nobody types at the terminal: the next end-of-file key.
    next_eof: Option<Instant>,
    began: Instant,
    /// How long it took until it was left alone.
    lasted: Option<Duration>,
    deadline: Option<Instant>,
    grace: Duration,
    timed_out: bool,
    cancelled: bool,
    swept: Vec<Living>,
    more_swept: usize,
    out_of_reach: Vec<Living>,
}

impl Watch {
    #[allow(clippy::too_many_arguments, reason = "one caller, which has just made each of them")]
    fn new(
        order: &Order,
        stdin: Vec<u8>,
        started: Started,
        control: Control,
        signals: OwnedFd,
        record: Option<Record>,
        began: Instant,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> io::Result<Watch> {
        let marks = || order.marks.as_deref().map(Marks::new);
        let mut relays = vec![Relay::new(started.stdout, stdout, marks())?];
        if let Some(from) = started.stderr {
            relays.push(Relay::new(from, stderr, marks())?);
        }
        let tty = started.terminal.is_some();
        let feeder = started.stdin.map(|to| Feeder::new(to, stdin, !tty)).transpose()?;
        Ok(Watch {
            control,
            signals,
            record,
            daemon: order.daemon,
            left: None,
            main: started.pid,
            status: None,
            phase: Phase::Running,
            relays,
            feeder,
            input: started.untaken,
            untaken: false,
            terminal: started.terminal,
            next_eof: (tty && !order.attended).then_some(began),
            began,
            lasted: None,
            // A limit too far away to be expressed is none.
            deadline: order.timeout.and_then(|timeout| began.checked_add(timeout)),
            grace: order.grace,
            timed_out: false,
            cancelled: false,
            swept: Vec::new(),
            more_swept: 0,
            out_of_reach: Vec::new(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            self.sleep()?;
            for number in signals::arrived(&self.signals) {
                match number {
                    // Whoever took over from a dead engine, or a machine that shuts down.
                    libc::SIGTERM => self.end_early(Signal::TERM),
                    libc::SIGINT => self.end_early(Signal::INT),
                    _ => {}
                }
            }
            if self.control.alive {
                self.control.receive();
                while let Some((tag, body)) = self.control.next()? {
                    self.obey(tag, &body);
                }
                if !self.control.alive && self.terminal.is_some() {
                    // Nobody types any more: whoever reads the terminal gets its end, and not silence for ever.
                    self.next_eof = Some(Instant::now());
                }
            }
            self.feed();
            let mut came = false;
            for relay in &mut self.relays {
                came |= relay.pump();
            }
            if !matches!(self.phase, Phase::Over { .. }) && self.reap() {
                self.over();
            }
            // At once: the end of a family wakes nobody a second time.
            if matches!(self.phase, Phase::Over { .. }) {
                if self.deliver() {
                    return self.finish();
                }
                continue;
            }
            self.advance(came);
            if matches!(self.phase, Phase::Parting) && self.relays.iter().all(Relay::parted) {
                self.leave()?;
            }
        }
    }

    /// Waits for something to do.
    fn sleep(&self) -> io::Result<()> {
        let mut fds = vec![watch(&self.signals, libc::POLLIN)];
        if self.control.alive {
            fds.push(watch(&self.control.socket, libc::POLLIN));
        }
        fds.extend(self.relays.iter().filter_map(Relay::interest));
        fds.extend(self.feeder.as_ref().and_then(Feeder::interest));
        let next = match &self.phase {
            Phase::Running => self.deadline,
            Phase::Parting | Phase::Left => None,
            Phase::Draining { until, .. } => Some(*until),
            Phase::Asked { until, look, .. } => Some(*until.min(look)),
            Phase::Killing { .. } => Some(Instant::now() + Duration::from_millis(5)),
            Phase::Over { .. } => Some(Instant::now() + Duration::from_millis(20)),
        };
        let next = match (next, self.next_eof) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        poll(&mut fds, next.map(|at| at.saturating_duration_since(Instant::now())))
    }

    fn obey(&mut self, tag: u8, body: &[u8]) {
        match (tag, body) {
            (tag::CANCEL, [level, ..]) if *level >= 2 => {
                self.cancelled |= self.status.is_none();
                self.kill();
            }
            (tag::CANCEL, _) => self.end_early(Signal::INT),
            (tag::SIZE, [a, b, c, d]) => {
                if let Some(terminal) = &self.terminal {
                    terminal.resize(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
                }
            }
            (tag::NO_KEYS, _) if self.terminal.is_some() => self.next_eof = Some(Instant::now()),
            (tag::KEYS, keys) => {
                if let (Some(feeder), Some(_)) = (&mut self.feeder, &self.terminal) {
                    feeder.push(keys);
                }
            }
            _ => {}
        }
    }

    fn feed(&mut self) {
        let Some(feeder) = &mut self.feeder else { return };
        if self.next_eof.is_some_and(|at| at <= Instant::now()) {
            // Again and again, because a program may throw away what was typed before it asked.
            if feeder.is_empty() {
                feeder.push(&[0x04]);
            }
            self.next_eof = Some(Instant::now() + Duration::from_millis(200));
        }
        feeder.pump();
    }

    /// Collects the dead; true if no child is left, and with it no descendant.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.main {
                        self.status = Some(status);
                        if let Some(feeder) = self.feeder.as_mut().filter(|_| self.terminal.is_none()) {
                            self.untaken |= !feeder.is_empty();
                            feeder.stop();
                        }
                    }
                }
                Ok(None) => return false,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }

    fn advance(&mut self, came: bool) {
        let now = Instant::now();
        match &mut self.phase {
            Phase::Running if self.status.is_some() => {
                self.phase = Phase::Draining { until: now + DRAIN, limit: now + DRAIN_LIMIT };
            }
            Phase::Running => {
                if self.deadline.is_some_and(|deadline| deadline <= now) {
                    self.timed_out = true;
                    self.ask(Signal::TERM);
                }
            }
            Phase::Draining { until, limit } => {
                if came {
                    *until = (now + DRAIN).min(*limit);
                }
                if *until <= now {
                    self.settle_rest();
                }
            }
            Phase::Asked { signal, told, until, look } => {
                if *until <= now {
                    self.kill();
                } else if *look <= now {
                    // Once the main process is gone, those that ignore INT (background jobs of a script) are asked
                    // in the way that is meant for them.
                    if *signal == Signal::INT && self.status.is_some() {
                        *signal = Signal::TERM;
                        told.clear();
                    }
                    tell(*signal, told);
                    *look = now + LOOK_AGAIN;
                }
            }
            Phase::Killing { .. } => self.kill_again(),
            Phase::Parting | Phase::Left | Phase::Over { .. } => {}
        }
    }

    /// The main process is gone and others are still there: they go on where they may, and are ended otherwise.
    fn settle_rest(&mut self) {
        let exited = self.status.and_then(WaitStatus::exit_status).is_some();
        if self.daemon && exited && !self.timed_out && !self.cancelled {
            // Not yet told that it goes on, because the engine may be slow to take what was written.
            for relay in &mut self.relays {
                relay.part();
                relay.pump();
            }
            self.phase = Phase::Parting;
        } else {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        self.swept = family::descendants(me());
        self.ask(Signal::TERM);
    }

    /// Tells how the main process ended and what goes on. From here on nobody is there but whoever holds our number.
    fn leave(&mut self) -> io::Result<()> {
        let mut left: Vec<String> = family::descendants(me()).iter().map(Living::called).collect();
        if left.len() > MOST_SWEPT {
            let more = left.len() - MOST_SWEPT;
            left.truncate(MOST_SWEPT);
            left.push(format!("and {more} more"));
        }
        self.left = Some(left);
        self.lasted = Some(self.began.elapsed());
        self.phase = Phase::Left;
        // Durable in any case: for as long as it runs, this is how somebody else knows that the step itself is over.
        let written = self.write(true);
        self.control.send(tag::END, &serde_json::to_vec(&self.end())?)?;
        let told = self.control.alive;
        self.control.hang_up();
        if told { Ok(()) } else { written }
    }

    /// On request, politely; the second time at once.
    fn end_early(&mut self, signal: Signal) {
        match self.phase {
            Phase::Running => {
                self.cancelled = true;
                self.ask(signal);
            }
            Phase::Draining { .. } | Phase::Parting | Phase::Left => self.sweep(),
            Phase::Asked { .. } if signal == Signal::TERM => self.kill(),
            _ => {}
        }
    }

    fn ask(&mut self, signal: Signal) {
        let now = Instant::now();
        let mut told = HashSet::new();
        tell(signal, &mut told);
        #[cfg(not(target_os = "linux"))]
        let _ = rustix::process::kill_process_group(self.main, signal);
        // A grace too long to be expressed is a very long one.
        let until = now.checked_add(self.grace).unwrap_or(now + Duration::from_secs(86_400));
        self.phase = Phase::Asked { signal, told, until, look: now + LOOK_AGAIN };
    }

    fn kill(&mut self) {
        if !matches!(self.phase, Phase::Killing { .. } | Phase::Over { .. }) {
            self.phase = Phase::Killing { struck: HashMap::new() };
            self.kill_again();
        }
    }

    fn kill_again(&mut self) {
        #[cfg(not(target_os = "linux"))]
        let _ = rustix::process::kill_process_group(self.main, Signal::KILL);
        let Phase::Killing { struck } = &mut self.phase else { return };
        let main = self.main.as_raw_nonzero().get();
        let left = family::descendants(me());
        let now = Instant::now();
        for process in &left {
            let _ = family::signal(process, Signal::KILL);
            if !struck.contains_key(process) {
                struck.insert(process.clone(), now);
                if process.pid != main && !self.swept.contains(process) {
                    // Beyond what is shown they are only counted.
                    if self.swept.len() < MOST_SWEPT {
                        self.swept.push(process.clone());
                    } else {
                        self.more_swept += 1;
                    }
                }
            }
        }
        // Those that are gone need no memory.
        let there: HashSet<&Living> = left.iter().collect();
        struck.retain(|process, _| there.contains(process));
        if !left.is_empty() && struck.values().all(|since| now.duration_since(*since) > GIVE_UP) {
            self.out_of_reach = left;
            self.over();
        }
    }

    fn over(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            terminal.slave = None;
        }
        if let Some(feeder) = &mut self.feeder {
            self.untaken |= !feeder.is_empty();
            feeder.stop();
        }
        // What can be read here was read by nobody else, and never will be. Nobody writes any more, so that this ends.
        if let Some(input) = self.input.take() {
            self.untaken |= matches!(rustix::io::read(&input, &mut [0u8; 16]), Ok(1..));
        }
        self.next_eof = None;
        self.phase = Phase::Over { since: Instant::now() };
    }

    /// Carries the rest to the engine; true when all of it is there.
    fn deliver(&mut self) -> bool {
        let Phase::Over { since } = self.phase else { return false };
        for relay in &mut self.relays {
            relay.pump();
        }
        // What the dead wrote into a pipe is there now. A terminal hands it over with a delay, and then says its end.
        if self.terminal.is_none() || since.elapsed() > Duration::from_millis(500) {
            self.relays.iter_mut().for_each(Relay::finish);
        }
        self.relays.iter().all(Relay::done)
    }

    fn finish(mut self) -> io::Result<()> {
        if self.left.is_some() {
            return self.write(true);
        }
        // Written in any case: an engine can still die before its journal has the end. While it lives, the record need
        // not be synced, because only the machine itself could lose it.
        let was_alive = self.control.alive;
        let written = self.write(!was_alive);
        self.control.send(tag::END, &serde_json::to_vec(&self.end())?)?;
        if was_alive && !self.control.alive {
            self.write(true)?;
        }
        // With an engine that has the end, a record that could not be written is no loss.
        if self.control.alive { Ok(()) } else { written }
    }

    /// How it ended, as far as it has.
    fn end(&self) -> End {
        let mut swept: Vec<String> = self.swept.iter().take(MOST_SWEPT).map(Living::label).collect();
        let more = self.more_swept + self.swept.len().saturating_sub(MOST_SWEPT);
        if more > 0 {
            swept.push(format!("and {more} more"));
        }
        swept.extend(self.out_of_reach.iter().map(|left| format!("{} (still there: not ours to end)", left.label())));
        let mut exit = self.status.and_then(WaitStatus::exit_status);
        let mut remote = None;
        let marks: Vec<&Marks> = self.relays.iter().filter_map(|relay| relay.marks.as_ref()).collect();
        if !marks.is_empty() {
            let begun = marks.iter().any(|marks| marks.begun);
            let ended = marks.iter().find_map(|marks| marks.ended);
            let (end, code) = remote::verdict(begun, ended, self.untaken, exit);
            (remote, exit) = (Some(end), code);
        }
        End {
            exit,
            signal: self.status.and_then(WaitStatus::terminating_signal),
            remote,
            timed_out: self.timed_out,
            cancelled: self.cancelled,
            duration: self.lasted.unwrap_or_else(|| self.began.elapsed()),
            swept,
            left: self.left.clone().unwrap_or_default(),
            dropped_bytes: self.relays.iter().map(|relay| relay.lost).sum(),
        }
    }

    fn write(&self, durable: bool) -> io::Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let end = self.end();
        let record_of_end = ExecRecord {
            exit: end.exit,
            signal: end.signal,
            remote: end.remote,
            timed_out: end.timed_out,
            cancelled: end.cancelled,
            duration_ms: u64::try_from(end.duration.as_millis()).unwrap_or(u64::MAX),
            lost_bytes: end.dropped_bytes,
            swept: end.swept,
            left_ended: !end.left.is_empty()
                && matches!(self.phase, Phase::Over { .. })
                && self.out_of_reach.is_empty(),
            left: end.left,
        };
        record.write(&record_of_end, durable)
    }
}

fn me() -> i32 {
    // A process id fits; zero would find nothing.
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// Signals everyone who has not been told yet. The stopped are woken, or they would never see it.
fn tell(signal: Signal, told: &mut HashSet<Living>) {
    for process in family::descendants(me()) {
        if !told.contains(&process) {
            let _ = family::signal(&process, signal);
            let _ = family::signal(&process, Signal::CONT);
            told.insert(process);
        }
    }
}
