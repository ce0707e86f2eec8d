//! What there is to choose from: runbooks, their parameters and profiles, runs. Opens files of the libraries and of the
//! state folder, changes nothing, and takes a problem for "nothing to choose from".

use std::collections::BTreeSet;

use clap::Command;

use super::words::Line;
use crate::{
    cli::{Context, args::Global, source},
    event::{Outcome, RunId},
    journal::RunStore,
    library::Library,
    model::{Param, Runbook},
    value::Type,
};

/// More runs than anybody looks through; reading them takes some milliseconds.
const RUNS: usize = 30;
/// A longer journal takes too long to be read at a Tab.
const JOURNAL: u64 = 4 << 20;

/// One word, and what it is.
pub struct Candidate {
    pub value: String,
    pub about: String,
}

impl Candidate {
    pub fn new(value: &str, about: impl Into<String>) -> Candidate {
        Candidate { value: value.to_owned(), about: about.into() }
    }

    /// Any file, as the shell knows best.
    pub fn files() -> Candidate {
        Candidate::new(":files", "")
    }

    pub fn folders() -> Candidate {
        Candidate::new(":folders", "")
    }

    pub fn is_files(&self) -> bool {
        self.value == ":files" || self.value == ":folders"
    }
}

pub struct Candidates<'a> {
    pub context: &'a Context,
    pub line: &'a Line,
    pub command: &'a Command,
}

impl Candidates<'_> {
    /// The words for an argument, by the parser's name for it and by what its help calls its value; none where those say
    /// nothing of what is known here.
    pub fn of(&self, id: &str, value_name: &str, current: &str) -> Option<Vec<Candidate>> {
        Some(match (id, value_name) {
            ("params", _) => self.params(current),
            ("profile", _) => self.profiles(current),
            (_, "NAME|PATH" | "PATH") if id.starts_with("runbook") || id == "paths" => self.runbooks(current),
            // Of `eject`: only what is built in.
            ("runbook", "NAME") if self.verb() == "eject" => {
                let names = Library::built_in().into_iter().map(|found| Candidate::new(&found.name, ""));
                names.filter(|candidate| candidate.value.starts_with(current)).collect()
            }
            ("runbook", "NAME") => self.names(current),
            ("group", _) => {
                let names = self.context().library().names();
                let groups: BTreeSet<&str> =
                    names.iter().flat_map(|name| name.match_indices('/').map(|(at, _)| &name[..at])).collect();
                let groups = groups.into_iter().filter(|group| group.starts_with(current));
                groups.map(|group| Candidate::new(group, "")).collect()
            }
            ("verb", _) => {
                let root = <crate::cli::args::Args as clap::CommandFactory>::command();
                let verbs = root.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name);
                verbs.filter(|verb| verb.starts_with(current)).map(|verb| Candidate::new(verb, "")).collect()
            }
            (_, "RUN") => self.runs(current),
            ("outcome", _) => OUTCOMES
                .iter()
                .filter(|outcome| outcome.starts_with(current))
                .map(|outcome| Candidate::new(outcome, ""))
                .collect(),
            _ => return None,
        })
    }

    fn verb(&self) -> &str {
        self.command.get_name()
    }

    /// With the folders that the line names.
    fn context(&self) -> Context {
        let global = Global {
            state_dir: self.line.values("state_dir").last().map(Into::into),
            library: self.line.values("library").map(Into::into).collect(),
            color: self.context.global.color,
            quiet: true,
            verbose: false,
        };
        Context { global, redactor: self.context.redactor.clone() }
    }

    fn names(&self, current: &str) -> Vec<Candidate> {
        let names = self.context().library().names();
        names.iter().filter(|name| name.starts_with(current)).map(|name| Candidate::new(name, "")).collect()
    }

    /// Names; where none fits, or what was typed can only be a path, files.
    fn runbooks(&self, current: &str) -> Vec<Candidate> {
        let names = if current.starts_with(['.', '/', '~']) { Vec::new() } else { self.names(current) };
        if names.is_empty() { vec![Candidate::files()] } else { names }
    }

    fn runbook(&self) -> Option<Runbook> {
        let word = self.line.positionals.first()?;
        let found = source::find(&self.context(), word).ok()?;
        source::read(&self.context().library(), &found).runbook
    }

    fn params(&self, current: &str) -> Vec<Candidate> {
        let Some(runbook) = self.runbook() else { return Vec::new() };
        if let Some((name, begun)) = current.split_once('=') {
            let Some(param) = runbook.params.get(name) else { return Vec::new() };
            return words_for(param)
                .into_iter()
                .filter(|(word, _)| word.starts_with(begun))
                .map(|(word, about)| Candidate::new(&format!("{name}={word}"), about))
                .collect();
        }
        let given: Vec<&str> = self.line.values("params").filter_map(|given| Some(given.split_once('=')?.0)).collect();
        let params = runbook.params.values().filter(|param| !given.contains(&param.name.as_str()));
        params
            .filter(|param| param.name.starts_with(current))
            .map(|param| {
                let about = param.prompt.as_ref().or(param.help.as_ref()).cloned();
                Candidate::new(&format!("{}=", param.name), about.unwrap_or_else(|| param.shape.describe()))
            })
            .collect()
    }

    fn profiles(&self, current: &str) -> Vec<Candidate> {
        let Some(runbook) = self.runbook() else { return Vec::new() };
        let profiles = runbook.profiles.values().filter(|profile| profile.name.starts_with(current));
        profiles
            .map(|profile| Candidate::new(&profile.name, if profile.protected { "protected" } else { "" }))
            .collect()
    }

    /// Newest first. Only those that can be resumed are offered to `resume`.
    fn runs(&self, current: &str) -> Vec<Candidate> {
        let Ok(store) = self.context().store() else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(store.runs_dir()) else { return Vec::new() };
        let mut ids: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // They begin with their time.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let mut runs = Vec::new();
        let given = &self.line.positionals;
        for id in ids.iter().filter(|id| !given.contains(id)) {
            if !id.starts_with(current) {
                continue;
            }
            let Some(run) = RunId::parse(id).filter(RunId::is_whole) else { continue };
            let Some((runbook, outcome)) = standing(&store, &run) else { continue };
            if self.verb() == "resume" && outcome.is_some_and(Outcome::closes) {
                continue;
            }
            runs.push(Candidate::new(id, format!("{runbook} {}", outcome.map_or("open", Outcome::name))));
            if runs.len() == RUNS {
                break;
            }
        }
        if "last".starts_with(current) && !current.is_empty() {
            runs.push(Candidate::new("last", "the newest"));
        }
        runs
    }
}

/// What a run can have come to, as `history` says it.
const OUTCOMES: [&str; 10] = [
    "succeeded",
    "failed",
    "declined",
    "undone",
    "undo_failed",
    "paused",
    "unknown",
    "running",
    "interrupted",
    "broken",
];

/// The runbook of a run and how it ended, if it did; none of one that cannot be read. No lock is taken, not even for a
/// moment: a run that somebody begins just then must find it free.
fn standing(store: &RunStore, run: &RunId) -> Option<(String, Option<Outcome>)> {
    let journal = std::fs::metadata(store.run_dir(run).join("journal.jsonl")).ok()?;
    if journal.len() > JOURNAL {
        return Some((String::new(), None));
    }
    let read = store.read(run).ok()?;
    let runbook = read.state.header.as_ref()?.runbook.clone();
    let paused = read.state.paused.is_some().then_some(Outcome::Paused);
    Some((runbook, read.state.finished.map(|(outcome, _)| outcome).or(paused)))
}

/// Values that a parameter may have, as far as its declaration names any.
fn words_for(param: &Param) -> Vec<(String, &'static str)> {
    if !param.shape.choices.is_empty() {
        return param.shape.choices.iter().map(|choice| (choice.clone(), "")).collect();
    }
    if param.shape.ty == Type::Boolean {
        return vec![("true".into(), ""), ("false".into(), "")];
    }
    let mut words = Vec::new();
    for (value, about) in [(&param.default, "the default"), (&param.example, "an example")] {
        if let Some(value) = value {
            words.push((param.written(value), about));
        }
    }
    words
}
