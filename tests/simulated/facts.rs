//! Everything outside the program that outlives it: the ledger of effects, processes with their supervisors, the clock.
//! A plain value that can be copied, so that one past can have many futures. Knows nothing of engines and futures.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use runsheet::{
    event::Stream,
    journal::Cut,
    port::{ExecRecord, ProcessEnd},
};

use super::script::{Act, Timed, effects};

/// An effect that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub name: String,
    pub step: String,
    pub attempt: u32,
    /// The process or request of the attempt; none where a person did it.
    pub number: Option<u32>,
    pub at: Duration,
}

/// A process, or a request, that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    pub step: String,
    pub attempt: u32,
    pub number: u32,
    pub session: u32,
    /// What it is to do.
    pub effects: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Process {
    pub start: Start,
    pub kind: Kind,
    acts: Vec<Timed>,
    at: usize,
    /// When the act at hand is due.
    due: Duration,
    deadline: Option<Duration>,
    began: Duration,
    pub out: Vec<(Stream, Vec<u8>)>,
    /// Bytes that came when no engine was there.
    lost: u64,
    pub end: Option<End>,
    /// Its main process has ended so, and what it left goes on.
    pub parted: Option<ProcessEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The process of a step, under a supervisor that keeps lock and exit record.
    Step,
    /// A look by `verify`, which keeps no record.
    Look,
    /// On another machine: nothing here ends it.
    Remote,
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Ended(ProcessEnd),
    /// It is gone, and nobody saw how.
    Lost,
}

/// The record that a supervisor left.
#[derive(Clone, Debug)]
struct Exit {
    record: ExecRecord,
    /// Synced, because no engine was there to put the end into its journal.
    durable: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub now: Duration,
    /// Counts what happened: beginnings, acts and ends of processes.
    pub moments: u64,
    pub ledger: Vec<Done>,
    pub starts: Vec<Start>,
    pub processes: Vec<Process>,
    exits: BTreeMap<(String, u32), Exit>,
    /// How often each act that fails at first was come to.
    tried: BTreeMap<(String, usize), u32>,
    /// Secrets that were told to anybody.
    pub told: BTreeSet<String>,
    /// Counts the engines.
    pub session: u32,
    /// An engine lives.
    pub engine: bool,
    /// What must never happen and did.
    pub wrong: Vec<String>,
}

fn record_of(end: &ProcessEnd, lost_bytes: u64) -> ExecRecord {
    ExecRecord {
        exit: end.exit,
        signal: end.signal,
        remote: end.remote,
        timed_out: end.timed_out,
        cancelled: end.cancelled,
        duration_ms: u64::try_from(end.duration.as_millis()).unwrap(),
        lost_bytes,
        swept: Vec::new(),
        left: end.left.clone(),
        left_ended: false,
    }
}

/// A value that must never be seen: nobody but the world knows it, and its spellings differ.
pub fn canary(name: &str) -> String {
    format!("kanari/{name}+7f3qa?{name}&\"!")
}

impl Facts {
    pub fn there(&self, name: &str) -> bool {
        self.ledger.iter().any(|done| done.name == name)
    }

    pub fn began(&mut self) {
        self.session += 1;
        self.engine = true;
    }

    /// The engine is dead; processes go on, and what they say from here on is lost.
    pub fn killed(&mut self) {
        self.engine = false;
    }

    /// The machine lost power: its processes are gone, and exit records that were not synced as far as `cut` says.
    pub fn power_cut(&mut self, cut: Cut) {
        self.engine = false;
        for process in self.processes.iter_mut().filter(|process| process.kind != Kind::Remote) {
            process.end.get_or_insert(End::Lost);
        }
        let kept = match cut {
            Cut::Drop => false,
            Cut::Keep => true,
            Cut::Torn { seed } | Cut::Holes { seed } => seed % 2 == 0,
        };
        self.exits.retain(|_, exit| exit.durable || kept);
    }

    /// Time passes while no engine is there.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.next().is_some_and(|at| at <= until) {
            self.happen();
        }
        self.now = until;
    }

    pub fn start(&mut self, start: Start, kind: Kind, acts: Vec<Timed>, timeout: Option<Duration>) -> usize {
        self.moments += 1;
        if kind == Kind::Step {
            let alive = |of: &&Process| of.kind == Kind::Step && of.end.is_none() && of.start.step == start.step;
            if let Some(other) = self.processes.iter().find(alive) {
                let (step, one, two) = (&start.step, start.attempt, other.start.attempt);
                self.wrong.push(format!("attempt {one} of {step} began while attempt {two} was still running"));
            }
            self.exits.remove(&(start.step.clone(), start.attempt));
        }
        if !acts.is_empty() && !effects(&acts).iter().all(|name| start.effects.contains(name)) {
            self.wrong.push(format!("{} does not do what it said", start.step));
        }
        self.starts.push(start.clone());
        let due = self.now + acts.first().map_or(Duration::ZERO, |(after, _)| *after);
        let deadline = timeout.filter(|_| kind != Kind::Remote).map(|timeout| self.now + timeout);
        let (began, out) = (self.now, Vec::new());
        let (end, parted) = (None, None);
        self.processes.push(Process { start, kind, acts, at: 0, due, deadline, began, out, lost: 0, end, parted });
        self.processes.len() - 1
    }

    fn first(&self) -> Option<(Duration, usize)> {
        let when = |process: &Process| process.deadline.map_or(process.due, |limit| limit.min(process.due));
        let alive = self.processes.iter().enumerate().filter(|(_, process)| process.end.is_none());
        alive.map(|(index, process)| (when(process).max(self.now), index)).min()
    }

    /// When something happens next.
    pub fn next(&self) -> Option<Duration> {
        self.first().map(|(at, _)| at)
    }

    /// Lets one thing happen, and tells to which process.
    pub fn happen(&mut self) -> usize {
        let (at, index) = self.first().expect("somebody asked when it would happen");
        self.now = at;
        self.moments += 1;
        let process = &mut self.processes[index];
        if process.due > at {
            self.end(index, ProcessEnd { signal: Some(15), timed_out: true, ..ProcessEnd::default() });
            return index;
        }
        let Some((_, act)) = process.acts.get(process.at).cloned() else {
            self.end(index, ProcessEnd { exit: Some(0), ..ProcessEnd::default() });
            return index;
        };
        let place = process.at;
        process.at += 1;
        process.due = at + process.acts.get(process.at).map_or(Duration::ZERO, |(after, _)| *after);
        self.act(index, place, act);
        index
    }

    fn act(&mut self, index: usize, place: usize, act: Act) {
        let exit = |status| ProcessEnd { exit: Some(status), ..ProcessEnd::default() };
        match act {
            Act::Nothing => {}
            Act::Do(name) => {
                let Start { step, attempt, number, .. } = self.processes[index].start.clone();
                self.ledger.push(Done { name, step, attempt, number: Some(number), at: self.now });
            }
            Act::Look(name) => {
                if !self.there(&name) {
                    self.end(index, exit(1));
                }
            }
            Act::Since(name, held) => {
                let first = self.ledger.iter().find(|done| done.name == name).map(|done| done.at);
                if first.is_none_or(|first| self.now < first + held) {
                    self.end(index, exit(1));
                }
            }
            Act::Tell(name) => {
                self.say(index, format!("{}\n", canary(&name)).as_bytes());
                self.told.insert(name);
            }
            Act::Print(text) => self.say(index, text.as_bytes()),
            Act::Fails(times) => {
                let tried = self.tried.entry((self.processes[index].start.step.clone(), place)).or_default();
                *tried += 1;
                if *tried <= times {
                    self.say(index, b"not this time\n");
                    self.end(index, exit(1));
                }
            }
            Act::Exit(status) => self.end(index, exit(status)),
            Act::Die(signal) => self.end(index, ProcessEnd { signal: Some(signal), ..ProcessEnd::default() }),
            Act::Stay => self.part(index),
            Act::Beside(step, held) => {
                let now = self.now;
                let lives = |of: &Process| {
                    let parted = of.parted.as_ref().is_some_and(|end| of.began + end.duration + held <= now);
                    of.start.step == step && of.end.is_none() && parted
                };
                if !self.processes.iter().any(lives) {
                    self.end(index, exit(1));
                }
            }
            Act::Lost => self.processes[index].end = Some(End::Lost),
        }
    }

    /// In two pieces, so that borders between them are met.
    fn say(&mut self, index: usize, bytes: &[u8]) {
        let alive = self.watched(index);
        let process = &mut self.processes[index];
        if !alive {
            process.lost += bytes.len() as u64;
            return;
        }
        let (one, two) = bytes.split_at(bytes.len() / 2);
        process.out.extend([one, two].map(|part| (Stream::Stdout, part.to_vec())));
    }

    /// Whether the engine that began a process still lives.
    fn watched(&self, index: usize) -> bool {
        self.engine && self.processes[index].start.session == self.session
    }

    /// The main process ends well, and what it started goes on.
    fn part(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let left = vec![format!("sim ({index})")];
        let end = ProcessEnd { exit: Some(0), duration: self.now - process.began, left, ..ProcessEnd::default() };
        process.deadline = None;
        process.parted = Some(end.clone());
        let record = record_of(&end, process.lost);
        let at = (process.start.step.clone(), process.start.attempt);
        self.exits.insert(at, Exit { record, durable: true });
    }

    pub fn end(&mut self, index: usize, end: ProcessEnd) {
        if self.processes[index].parted.is_some() {
            let process = &mut self.processes[index];
            process.end = Some(End::Ended(end));
            let at = (process.start.step.clone(), process.start.attempt);
            if let Some(exit) = self.exits.get_mut(&at) {
                exit.record.left_ended = true;
            }
            return;
        }
        let watched = self.watched(index);
        let process = &mut self.processes[index];
        let end = ProcessEnd { duration: self.now - process.began, ..end };
        let record = record_of(&end, process.lost);
        process.end = Some(End::Ended(end));
        if process.kind == Kind::Step {
            let at = (process.start.step.clone(), process.start.attempt);
            self.exits.insert(at, Exit { record, durable: !watched });
        }
    }

    /// The process of an attempt that some engine began and that still runs.
    pub fn left(&self, step: &str, attempt: u32) -> Option<usize> {
        let is_it = |of: &Process| of.start.step == step && of.start.attempt == attempt && of.kind == Kind::Step;
        self.processes.iter().position(|of| is_it(of) && of.end.is_none())
    }

    pub fn exit_of(&self, step: &str, attempt: u32) -> Option<ExecRecord> {
        self.exits.get(&(step.to_owned(), attempt)).map(|exit| exit.record.clone())
    }

    /// Whether anything of a step may still have its effect.
    pub fn busy(&self, step: &str) -> bool {
        self.processes.iter().any(|of| of.start.step == step && of.end.is_none() && of.parted.is_none())
    }

    /// Of what the latest attempt of a step was to do: what is there, and what is not.
    pub fn effects_of(&self, step: &str) -> (Vec<String>, Vec<String>) {
        let latest = self.starts.iter().rev().find(|start| start.step == step && !start.effects.is_empty());
        let effects = latest.map_or(Vec::new(), |start| start.effects.clone());
        effects.into_iter().partition(|name| self.there(name))
    }

    /// A person does something.
    pub fn by_hand(&mut self, step: &str, name: &str) {
        let (step, name, at) = (step.to_owned(), name.to_owned(), self.now);
        self.ledger.push(Done { name, step, attempt: 0, number: None, at });
    }
}
