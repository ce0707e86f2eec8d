//! What can be typed. Decides nothing.

mod triage;

use std::{num::NonZeroU16, path::PathBuf};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

pub use triage::Triage;

/// Runbooks as code: written once, run step by step, read as a document, dry-run by CI, recorded by itself.
#[derive(Parser)]
#[command(name = "runsheet", version, propagate_version = true, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(clap::Args)]
pub struct Global {
    /// Where runs are kept, instead of the XDG state folder
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// A folder of runbooks that comes before all others; may be given more than once
    #[arg(long, global = true, value_name = "DIR")]
    pub library: Vec<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Say only what must be said
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Show all runbooks, where each comes from and what it does
    List(List),
    /// Show one runbook as a person reads it
    Show(Show),
    /// Look for mistakes and bad habits in runbooks; reads files, and starts nothing but shellcheck, where there is one
    Check(Check),
    /// Show everything a run would do, and do none of it
    Plan(Plan),
    /// Run a runbook
    Run(Run),
    /// Go on with a run that was paused, interrupted or left open
    Resume(Resume),
    /// Take back what a run did, latest first
    Undo(Undo),
    /// Show the runs, newest first
    History(History),
    /// Show one run as a document
    Report(Report),
    /// Prove that the record of a run is as it was written
    Verify(Verify),
    /// Write runbooks as Markdown documents
    Render(Render),
    /// Remove old runs that are over
    Prune(Prune),
    /// Look for runbooks by words
    Search(Search),
    /// Write a new runbook, to begin with
    New(New),
    /// Copy a built-in runbook out, so that it can be changed
    Eject(Eject),
    /// Write the JSON Schema of the language, for editors
    Schema(Schema),
    /// Look whether this machine is ready; starts nothing but the tools it looks for, to ask their version
    Doctor(Doctor),
    /// From a mail to the runbook it calls for
    Triage(Triage),
    /// Judge runbooks as CI does: every part is run, and there is one summary
    Ci(Ci),
    /// Write the script that completes commands in a shell
    Completions(Completions),
    /// Write the manual pages
    Man(Man),
    /// Try the scenarios of runbooks in a simulated world; nothing is run, sent, read or written
    Test(Test),
    /// Try a scenario of a runbook yourself, at the keyboard; nothing is run, sent or written
    Rehearse(Rehearse),
    // Verbs of the language's page that are not there yet: said so, instead of suggesting another.
    #[command(hide = true)]
    Replay(Later),
    /// What a shell asks while somebody types; see `completions`.
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
}

/// Whatever is typed behind a verb that is not there yet.
#[derive(clap::Args)]
pub struct Later {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

#[derive(clap::Args)]
pub struct List {
    /// Only what is below this name, such as `balrog`; all but built-in parts of others if absent
    #[arg(value_name = "GROUP")]
    pub group: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Show {
    /// Name or path of a runbook
    #[arg(value_name = "NAME|PATH")]
    pub runbook: String,
    /// The graph of the steps, as Mermaid text
    #[arg(long)]
    pub graph: bool,
}

#[derive(clap::Args)]
pub struct Check {
    /// Files, folders or names; ./runbooks if absent
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// How mistakes are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: CheckFormat,
    /// Let these count as errors
    #[arg(long, value_name = "WHAT")]
    pub deny: Option<Deny>,
    /// Do not hand scripts to shellcheck, even where it is installed
    #[arg(long)]
    pub no_shellcheck: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// Drawn, for people
    Text,
    /// One object a line
    Json,
    /// Workflow commands, which GitHub shows beside the lines of a change
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    Warnings,
}

#[derive(clap::Args)]
pub struct Ci {
    /// Files, folders or names; ./runbooks if absent
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Tell what the runbooks do otherwise than another version: a revision of git, or a folder
    #[arg(long, value_name = "REV", allow_hyphen_values = true)]
    pub against: Option<String>,
    /// Fail if there are differences of these kinds, such as guard-removed,destroy-added
    #[arg(long, value_name = "KINDS", value_delimiter = ',', requires = "against")]
    pub fail_on: Vec<String>,
    /// Fail where the scenarios of a runbook go through fewer than this percentage of its steps, or of its branches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub min_coverage: Option<u8>,
    /// Where documents are kept that `render --out` wrote of these runbooks; they must be up to date
    #[arg(long, value_name = "DIR")]
    pub docs: Option<PathBuf>,
    /// How the outcome is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: CiFormat,
    /// Write the summary into this file, as Markdown; with --format github it is added to $GITHUB_STEP_SUMMARY if absent
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Let these count as errors
    #[arg(long, value_name = "WHAT")]
    pub deny: Option<Deny>,
    /// Do not hand scripts to shellcheck, even where it is installed
    #[arg(long)]
    pub no_shellcheck: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CiFormat {
    /// Drawn, for people
    Text,
    /// Workflow commands, which GitHub shows beside the lines of a change, and the summary
    Github,
    /// One object
    Json,
}

#[derive(Default, clap::Args)]
pub struct Test {
    /// Runbooks, files of scenarios, folders or names; ./runbooks if absent, or everything in the library
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Only scenarios whose `RUNBOOK: NAME` holds this text; what all of them go through is not told then
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["min_coverage", "mutations"])]
    pub filter: Option<String>,
    /// How what comes out is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TestFormat,
    /// Fail where the scenarios of a runbook go through fewer than this percentage of its steps, or of its branches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub min_coverage: Option<u8>,
    /// Take each `expect`, `when`, `fail_when`, `alarm_when` and `confirm` out in turn, and tell which of them no scenario
    /// misses; with a number, fail where fewer than this percentage are missed
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub mutations: Option<Option<u8>>,
    /// Write a scenario from this run: its id, the beginning of it, or `last`. Secrets are not in it
    #[arg(long, value_name = "RUN", conflicts_with_all = ["paths", "filter", "format", "min_coverage", "mutations"])]
    pub record: Option<String>,
    /// Add what --record makes to the file beside the runbook, where no scenario of that name stands, and try it
    #[arg(long, requires = "record")]
    pub update: bool,
}

#[derive(clap::Args)]
pub struct Rehearse {
    /// Name or path of a runbook that has scenarios
    #[arg(value_name = "NAME|PATH")]
    pub runbook: String,
    /// The scenario: its name, or a text that only this name holds; asked for if absent and there are several
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// How many seconds of the run go into one of yours, while no question is open; 1 is real time
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub speed: u32,
    /// Let one thing go wrong that the scenario names under `surprises`: which and when comes of this number
    #[arg(long, value_name = "SEED")]
    pub surprise: Option<u64>,
    /// Ask before each step that changes something, or only what the runbook asks
    #[arg(long, value_name = "MODE", default_value = "step")]
    pub mode: Mode,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    /// One line a scenario, and what is wrong drawn, for people
    #[default]
    Text,
    /// One object a line
    Json,
    /// JUnit's XML, which CI systems show as tests
    Junit,
    /// Workflow commands, which GitHub shows beside the lines of a change
    Github,
}

#[derive(clap::Args)]
pub struct Inputs {
    /// Name or path of a runbook
    #[arg(value_name = "NAME|PATH")]
    pub runbook: String,
    /// A parameter's value; of a list `a,b` or JSON. May be given more than once
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub params: Vec<String>,
    /// A YAML map from parameter to value; what --param says is stronger
    #[arg(long, value_name = "FILE")]
    pub params_file: Option<PathBuf>,
    /// A profile of the runbook; what --param and --params-file say is stronger
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

#[derive(clap::Args)]
pub struct Plan {
    #[command(flatten)]
    pub inputs: Inputs,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// As Markdown, for a pull request
    #[arg(long, conflicts_with_all = ["json", "explain_params", "probe"])]
    pub markdown: bool,
    /// Look around: run the steps and the `verify`s that only read, once each, and say what they saw
    #[arg(long, conflicts_with = "explain_params")]
    pub probe: bool,
    /// Show what it does otherwise than another version: a revision of git, a file, a folder or a runbook.
    /// NAME|PATH may be a folder then, which is every runbook below it
    #[arg(long, value_name = "REV|FILE", conflicts_with_all = ["explain_params", "probe"], allow_hyphen_values = true)]
    pub against: Option<String>,
    /// Fail (exit 1) if there are differences of these kinds, such as guard-removed,destroy-added
    #[arg(long, value_name = "KINDS", value_delimiter = ',', requires = "against")]
    pub fail_on: Vec<String>,
    /// Show the parameters alone: what each takes, and what each source says of it
    #[arg(long)]
    pub explain_params: bool,
}

#[derive(clap::Args)]
pub struct Run {
    #[command(flatten)]
    pub inputs: Inputs,
    /// Ask before each step that changes something, or only what the runbook asks
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// How many steps that do not wait for each other may run side by side
    #[arg(long, value_name = "N", default_value = "4")]
    pub jobs: NonZeroU16,
    /// Nobody is there: answer plain confirmations with yes, and pause at any other question
    #[arg(long, short)]
    pub yes: bool,
    /// Nobody is there: a YAML map from step id to answer
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Show everything that would be done, and do none of it; the same as `plan`
    #[arg(long)]
    pub dry_run: bool,
    /// Sign the head of the record with an SSH key before anything is done, at a pause and at the end: the first key of
    /// the agent, else one of ~/.ssh, or that of this file (a public key is looked for in the agent)
    #[arg(long, value_name = "KEY", num_args = 0..=1, require_equals = true)]
    pub sign: Option<Option<PathBuf>>,
    /// Tell the head of the record on standard error at the start, after each step that changes something, and at the end
    #[arg(long)]
    pub anchor: bool,
    /// Events as JSON lines on standard output; people's text goes to standard error
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Step,
    Auto,
}

#[derive(clap::Args)]
pub struct Resume {
    /// A run: its id, the beginning of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Ask before each step that changes something, or only what the runbook asks
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// How many steps that do not wait for each other may run side by side
    #[arg(long, value_name = "N", default_value = "4")]
    pub jobs: NonZeroU16,
    /// Nobody is there: answer plain confirmations with yes, and pause at any other question
    #[arg(long, short)]
    pub yes: bool,
    /// Nobody is there: a YAML map from step id to answer
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// A step whose effect nobody knows, to be decided with --as
    #[arg(long, value_name = "ID", requires_all = ["as_", "reason"])]
    pub step: Option<String>,
    /// Whether that step took effect
    #[arg(long = "as", id = "as_", value_name = "DECISION", requires = "step")]
    pub as_: Option<As>,
    /// How you know
    #[arg(long, value_name = "TEXT", requires = "step")]
    pub reason: Option<String>,
    /// Sign the head of the record with an SSH key before anything is done, at a pause and at the end: the first key of
    /// the agent, else one of ~/.ssh, or that of this file (a public key is looked for in the agent)
    #[arg(long, value_name = "KEY", num_args = 0..=1, require_equals = true)]
    pub sign: Option<Option<PathBuf>>,
    /// Tell the head of the record on standard error at the start, after each step that changes something, and at the end
    #[arg(long)]
    pub anchor: bool,
    /// Events as JSON lines on standard output; people's text goes to standard error
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Undo {
    /// A run: its id, the beginning of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Show what would be undone, and do none of it
    #[arg(long)]
    pub dry_run: bool,
    /// How many steps of a runbook that takes something back may run side by side
    #[arg(long, value_name = "N", default_value = "4")]
    pub jobs: NonZeroU16,
    /// Nobody is there: agree to the undo, and answer plain confirmations with yes
    #[arg(long, short)]
    pub yes: bool,
    /// Nobody is there: a YAML map from step id to answer
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// A step whose effect nobody knows, to be decided with --as
    #[arg(long, value_name = "ID", requires_all = ["as_", "reason"])]
    pub step: Option<String>,
    /// Whether that step took effect
    #[arg(long = "as", id = "as_", value_name = "DECISION", requires = "step")]
    pub as_: Option<As>,
    /// How you know
    #[arg(long, value_name = "TEXT", requires = "step")]
    pub reason: Option<String>,
    /// Sign the head of the record with an SSH key before anything is done, at a pause and at the end: the first key of
    /// the agent, else one of ~/.ssh, or that of this file (a public key is looked for in the agent)
    #[arg(long, value_name = "KEY", num_args = 0..=1, require_equals = true)]
    pub sign: Option<Option<PathBuf>>,
    /// Tell the head of the record on standard error at the start, after each step that changes something, and at the end
    #[arg(long)]
    pub anchor: bool,
    /// Events as JSON lines on standard output, or with --dry-run the plan as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum As {
    Done,
    NotDone,
}

#[derive(clap::Args)]
pub struct History {
    /// Only runs of this runbook
    #[arg(long, value_name = "NAME")]
    pub runbook: Option<String>,
    /// Only runs that ended, or stand, like this
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<String>,
    /// Only runs that began within this time, such as 7d
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Report {
    /// A run: its id, the beginning of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    pub format: ReportFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Md,
    Json,
}

#[derive(clap::Args)]
pub struct Verify {
    /// Runs: ids, beginnings of ids, or `last`
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,
    /// A hash that was noted earlier and must occur in the journal; of one run
    #[arg(long, value_name = "HASH")]
    pub anchor: Option<String>,
    /// Who may sign, in the form of ssh-keygen(1), ALLOWED SIGNERS; what none of them has signed is not verified
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Prune {
    /// Only runs that ended at least this long ago, such as 90d
    #[arg(long, value_name = "DURATION")]
    pub older_than: String,
    /// Show what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Remove without asking
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(clap::Args)]
pub struct Render {
    /// Names or paths; everything that is built in if absent, or a folder as a whole library
    #[arg(value_name = "NAME|PATH")]
    pub runbooks: Vec<String>,
    /// How it is written
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    pub format: RenderFormat,
    /// Write files below this folder instead of to standard output
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write nothing; fail if the files below --out are not what would be written
    #[arg(long, requires = "out")]
    pub check: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RenderFormat {
    Md,
    Mermaid,
    Terminal,
}

#[derive(clap::Args)]
pub struct Search {
    /// Words to look for, in any order
    #[arg(value_name = "WORDS", required = true)]
    pub words: Vec<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct New {
    /// Its name in the first library (./runbooks, or that of --library), or the path of its file
    #[arg(value_name = "NAME|PATH")]
    pub runbook: String,
    /// What it does, on one line; asked for at a terminal if absent
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Leave out the schema for editors, and the line that names it
    #[arg(long)]
    pub no_schema: bool,
}

#[derive(clap::Args)]
pub struct Eject {
    /// Name of a built-in runbook
    #[arg(value_name = "NAME")]
    pub runbook: String,
    /// The folder it is copied into, under its name; the first library (./runbooks, or that of --library) if absent
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Schema {
    /// Of which files
    #[arg(long, value_name = "KIND", default_value = "runbook")]
    pub kind: SchemaKind,
    /// Write it to this file instead of to standard output; what is there is replaced
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    Runbook,
    /// Files of scenarios
    Scenarios,
}

#[derive(clap::Args)]
pub struct Doctor {
    /// A runbook whose requirements are looked at; those of all if absent
    #[arg(value_name = "NAME|PATH")]
    pub runbook: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(clap::Args)]
pub struct Complete {
    /// The words of the line behind the program, up to the one at the cursor
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<std::ffi::OsString>,
}

#[derive(clap::Args)]
pub struct Man {
    /// Of one verb; of the program if absent
    #[arg(value_name = "VERB", conflicts_with = "out")]
    pub verb: Option<String>,
    /// Write every page into this folder instead of one to standard output; what is there is replaced
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
