//! What a run and a resume have in common: who answers, which world, what is shown, and the engine between them.

use std::{
    collections::HashMap,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use indexmap::IndexMap;

use super::{CliError, Context, answers, error::code, frozen};
use crate::{
    engine::{Decision, Engine, Options, Publisher, RunEnd, Signal},
    event::{Event, Outcome, Record, RunId, RunState, StepId},
    journal::{DiskJournal, OpenRun, Who},
    operators::{Terminal, Unattended},
    plan::Plan,
    port::{Operator, Sink, StepError},
    sinks::{Anchors, HashOf, JsonLines, LineOptions, Lines},
    syntax::{Entry, Node, NodeKind, decode, yaml},
    text::{Diagnostic, Source, draw},
    value::{Secret, Value},
    worlds::real::RealWorld,
};

/// Who answers.
pub enum Person {
    Terminal(Box<Terminal>),
    Nobody(Unattended),
}

impl Person {
    /// A person, if this is a terminal and nothing said otherwise.
    pub fn find(context: &Context, yes: bool, path: Option<&Path>) -> Result<Person, CliError> {
        let name = whoami();
        // Where standard error goes elsewhere, questions are put to the terminal itself: somebody is there all the same.
        let terminal = std::io::stdin().is_terminal();
        if terminal && !yes && path.is_none() {
            let color = context.color(true);
            if let Ok(terminal) = Terminal::open(name.clone(), color) {
                return Ok(Person::Terminal(Box::new(terminal)));
            }
        }
        let answers = path.map(answers::read).transpose()?.unwrap_or_default();
        Ok(Person::Nobody(Unattended::new(name, yes, answers)))
    }

    pub fn operator(&self) -> &dyn Operator {
        match self {
            Person::Terminal(terminal) => terminal.as_ref(),
            Person::Nobody(unattended) => unattended,
        }
    }

    pub fn attended(&self) -> bool {
        matches!(self, Person::Terminal(_))
    }
}

/// A YAML file that is one map; mistakes in it are drawn. `read` says what it expected instead.
pub fn read_map<T>(
    path: &Path,
    what: &str,
    from_to: &str,
    read: impl Fn(&Node) -> Result<T, &'static str>,
) -> Result<IndexMap<String, T>, CliError> {
    Ok(read_map_of(path, what, from_to, read)?.1)
}

/// As [`read_map`], with the file itself, for whoever finds more mistakes in it.
pub fn read_map_of<T>(
    path: &Path,
    what: &str,
    from_to: &str,
    read: impl Fn(&Node) -> Result<T, &'static str>,
) -> Result<(Source, IndexMap<String, T>), CliError> {
    let mut bytes = Vec::new();
    // Of what has no end, such as a device, no more is read than could be taken.
    let read_bytes = std::fs::File::open(path)
        .and_then(|file| file.take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map(drop));
    read_bytes.map_err(|why| CliError::usage(format!("could not read the {what} in {}: {why}", path.display())))?;
    let wrong = |source: &Source, problems: &[Diagnostic]| mistakes(source, problems, what);
    let source = match decode(path.display().to_string(), bytes) {
        Ok(source) => source,
        Err((source, problem)) => return Err(wrong(&source, &[problem])),
    };
    let root = yaml::parse(&source).map_err(|mut problems| {
        // The reader speaks of runbooks.
        for problem in &mut problems {
            match problem.code {
                "empty-file" => {
                    problem.message = "the file is empty".to_owned();
                    problem.hint = Some("write {} where there is nothing to say".to_owned());
                }
                "second-document" => problem.message = format!("the {what} are one YAML document"),
                _ => {}
            }
        }
        wrong(&source, &problems)
    })?;
    let refuse = |span, what: String| {
        wrong(&source, &[Diagnostic::error("wrong-type", span, format!("{what} is expected here"))])
    };
    let NodeKind::Map(entries) = &root.kind else {
        return Err(refuse(root.span, format!("a map from {from_to}")));
    };
    let one = |entry: &Entry| match read(&entry.value) {
        Ok(value) => Ok((entry.key.text.clone(), value)),
        Err(expected) => Err(refuse(entry.value.span, expected.to_owned())),
    };
    let read = entries.iter().map(one).collect::<Result<_, _>>()?;
    Ok((source, read))
}

/// Mistakes in such a file, drawn.
pub fn mistakes(source: &Source, problems: &[Diagnostic], what: &str) -> CliError {
    let drawn = crate::text::draw_all(source, problems, crate::text::DrawStyle::default());
    CliError::usage(format!("{drawn}\nthe {what} could not be read"))
}

/// The operator's name for the record; it proves nothing.
pub fn whoami() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub fn who() -> Who {
    Who { operator: whoami(), host: hostname(), since: jiff::Timestamp::now() }
}

/// What steps see of the operator's environment; what a runbook requires only those of that runbook.
pub fn base_env(plan: &Plan) -> Vec<(String, String)> {
    let text = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    super::inputs::handed_on(plan).into_iter().filter_map(text).collect()
}

/// What is told to programs and people while a run goes on.
pub struct Shown<'a> {
    pub json: bool,
    pub attended: bool,
    pub plan: &'a Plan,
    /// The hashes of records, where anchors are wanted.
    pub hashes: Option<HashOf>,
    /// Nothing of the run is kept.
    pub passing: bool,
}

/// Everything the engine needs that a run and a resume find in different ways.
pub struct Session<'a> {
    pub context: &'a Context,
    pub plan: &'a Plan,
    pub world: &'a RealWorld,
    pub person: &'a Person,
    pub open: &'a OpenRun,
    pub began: jiff::Timestamp,
    pub operator: String,
    pub cwd: std::path::PathBuf,
    /// What the run keeps, its steps' files among it.
    pub files: frozen::Kept,
    pub step_mode: bool,
    pub jobs: usize,
    pub json: bool,
    /// Heads of the record are told as it grows.
    pub anchor: bool,
    pub secrets: IndexMap<String, Secret>,
    pub decisions: IndexMap<String, Decision>,
    /// What ran is taken back.
    pub undo: bool,
}

impl<'a> Session<'a> {
    /// Runs to an end or a pause. `first` are records that are durable already and only need to be shown.
    /// `resumed` is what goes before everything else where the run was begun earlier.
    pub async fn go(self, first: &[Record], resumed: Vec<Event>) -> RunEnd {
        let journal = self.open.journal.clone();
        let publisher = match self.opened(&journal, first, resumed).await {
            Ok(publisher) => publisher,
            Err(end) => return end,
        };
        let dir = crate::port::Journal::scratch_dir(journal.as_ref());
        let files = match dir.as_ref().map(|dir| frozen::lay_out(dir, &self.files)).transpose() {
            Ok(files) => files.flatten(),
            Err(why) => {
                let reason = format!("the files of the runbook could not be laid out for its steps: {why}");
                let end = RunEnd { outcome: Outcome::Paused, code: code::PAUSED, reason: Some(reason.clone()) };
                return match publisher.publish(Event::RunPaused { reason }).await {
                    Ok(()) => end,
                    Err(error) => RunEnd { code: code::JOURNAL, reason: Some(error.to_string()), ..end },
                };
            }
        };
        let options = Options {
            jobs: self.jobs,
            step_mode: self.step_mode,
            base_env: base_env(self.plan),
            cwd: self.cwd,
            run: Some(run_value(&self.open.id, self.began, &self.operator, dir, files)),
            signals: Some(signals()),
            secrets: self.secrets,
            decisions: self.decisions,
            undo: self.undo,
            // For the record: plain, whatever the terminal can show.
            draw: Rc::new(|source, diagnostic| {
                draw(source, diagnostic, crate::text::DrawStyle::default()).trim_end().to_owned()
            }),
        };
        Engine::new(self.plan, self.world, self.person.operator(), journal.as_ref(), publisher, options).run().await
    }

    /// Puts on record that the run was not gone on with, and why.
    pub async fn leave(self, mut resumed: Vec<Event>, end: RunEnd) -> RunEnd {
        let reason = end.reason.clone().unwrap_or_default();
        resumed.push(match end.outcome {
            Outcome::Paused => Event::RunPaused { reason },
            outcome => Event::RunFinished { outcome, code: end.code, reason: end.reason.clone() },
        });
        let journal = self.open.journal.clone();
        match self.opened(&journal, &[], resumed).await {
            Ok(_) => end,
            Err(end) => end,
        }
    }

    /// What publishes everything of this session, with its first events on record.
    async fn opened<'j>(
        &self,
        journal: &'j Rc<DiskJournal>,
        first: &[Record],
        resumed: Vec<Event>,
    ) -> Result<Publisher<'j>, RunEnd>
    where
        'a: 'j,
    {
        let world: &'a RealWorld = self.world;
        let hashes: Option<HashOf> = self.anchor.then(|| {
            let journal = Rc::clone(journal);
            Rc::new(move |seq| journal.hash_of(seq)) as HashOf
        });
        let shown =
            Shown { json: self.json, attended: self.person.attended(), plan: self.plan, hashes, passing: false };
        let before = (!resumed.is_empty()).then_some(&self.open.state);
        let sinks = sinks(self.context, &shown, before);
        let (redactor, state) = (self.context.redactor.clone(), self.open.state.clone());
        let publisher = Publisher::new(world, journal.as_ref(), sinks, redactor, state);
        for record in first {
            publisher.show(record);
        }
        for event in self.open.recovered.iter().cloned().chain(resumed) {
            if let Err(error) = publisher.publish(event).await {
                // A record that cannot follow the last one is our mistake; anything else is the disk's.
                let code = if matches!(error, StepError::Fault(_)) { code::FAULT } else { code::JOURNAL };
                return Err(RunEnd { outcome: Outcome::Unknown, code, reason: Some(error.to_string()) });
            }
        }
        Ok(publisher)
    }
}

pub fn run_value(
    id: &RunId,
    began: jiff::Timestamp,
    operator: &str,
    dir: Option<PathBuf>,
    files: Option<PathBuf>,
) -> Value {
    let path = |path: Option<PathBuf>| path.map_or(Value::None, |path| Value::text(path.to_string_lossy()));
    let mut run = IndexMap::new();
    run.insert("id".to_owned(), Value::text(id.as_str()));
    run.insert("started".to_owned(), Value::text(began.to_string()));
    run.insert("operator".to_owned(), Value::text(operator));
    run.insert("dir".to_owned(), path(dir));
    run.insert("files".to_owned(), path(files));
    Value::map(run)
}

/// Lines for people, and for programs what they asked for. `before` is what was on record when it is gone on with.
pub fn sinks<'a>(context: &Context, shown: &Shown<'_>, before: Option<&RunState>) -> Vec<Rc<dyn Sink + 'a>> {
    let scope = shown.plan.scope();
    let titles: HashMap<StepId, String> =
        shown.plan.runbook.all_steps().map(|step| (step.path.clone(), shown.plan.title(step, &scope))).collect();
    let terminal = std::io::stderr().is_terminal();
    let options = LineOptions {
        color: context.color(terminal),
        width: width(),
        terminal,
        quiet: context.global.quiet,
        verbose: context.global.verbose,
        interactive: shown.attended,
    };
    let mut lines = Lines::new(Box::new(std::io::stderr()), options, titles).headed(&shown.plan.runbook.title.value);
    let mut json = JsonLines::new(Box::new(std::io::stdout()));
    if let Some(hashes) = &shown.hashes {
        lines = lines.anchored(Anchors::new(Rc::clone(hashes), before));
        json = json.anchored(Anchors::new(Rc::clone(hashes), before));
    }
    if shown.passing {
        lines = lines.passing();
    }
    if let Some(before) = before {
        lines.goes_on(before);
    }
    let mut sinks: Vec<Rc<dyn Sink>> = vec![Rc::new(lines)];
    if shown.json {
        sinks.push(Rc::new(json));
    }
    sinks
}

pub fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|columns| *columns > 0)
        .unwrap_or(100)
}

/// Signals of this process, as the engine understands them.
pub fn signals() -> tokio::sync::mpsc::UnboundedReceiver<Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    super::suspend::watch();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let kinds = [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::hangup(), Signal::Terminate),
    ];
    for (kind, meaning) in kinds {
        // A signal that cannot be listened to keeps its own meaning.
        let Ok(mut stream) = signal(kind) else { continue };
        let sender = sender.clone();
        tokio::task::spawn_local(async move {
            while stream.recv().await.is_some() {
                if sender.send(meaning).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

/// One thread, on which everything of a run happens.
pub fn block_on<T>(work: impl std::future::Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| CliError::new(code::FAULT, format!("could not start: {why}")))?;
    let local = tokio::task::LocalSet::new();
    let result = local.block_on(&runtime, work);
    // A thread that still waits at a prompt must not keep the program.
    runtime.shutdown_background();
    Ok(result)
}
