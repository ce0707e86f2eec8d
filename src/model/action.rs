//! What a kind of step must be able to say and do. Knows no particular kind.

use std::{path::PathBuf, time::Duration};

use super::{Inside, Names, Param, Parts, fits_variable};
use crate::{
    event::{Effect, GaveUp},
    port::Task,
    syntax::{Expr, Reference},
    text::{Diagnostic, Span, Spanned},
    value::Scope,
};

/// The lowered body of a step: what its kind makes of it.
pub trait Action: std::fmt::Debug {
    /// Every name it uses, with its place; `names` tells which words a script may mean.
    fn references(&self, names: &Names) -> Vec<Reference>;

    /// Names it gives values to by itself, besides `capture`: the evidence of a manual step, the entries of a `set`.
    fn gives(&self) -> Vec<Spanned<String>> {
        Vec::new()
    }

    /// Values that a person types, as they are declared.
    fn typed(&self) -> &[(Spanned<String>, Param)] {
        &[]
    }

    /// The fields of `result`; none where there is no `result`.
    fn outputs(&self) -> &'static [&'static str];

    /// Names that its own expressions know besides the declared ones.
    fn locals(&self) -> &'static [&'static str] {
        &[]
    }

    /// Origins that it names in so many words, such as `https://jenkins.example`.
    fn origins(&self) -> Vec<String> {
        Vec::new()
    }

    /// Files that it names, as far as their names are known; relative ones stand below the step's folder.
    fn files(&self, _scope: &Scope) -> Vec<FileUse> {
        Vec::new()
    }

    /// Those parts of it that lints look at: scripts, arguments, addresses.
    fn parts(&self) -> Parts<'_> {
        Parts::default()
    }

    fn default_effect(&self) -> Effect;

    fn default_expect(&self) -> DefaultExpect {
        DefaultExpect::Nothing
    }

    /// Limit of one attempt where the file sets none.
    fn default_timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether later steps of the list wait for it whatever their `needs` say.
    fn is_gate(&self) -> bool {
        false
    }

    /// Whether a person does it, so that step mode does not ask before it.
    fn is_asked(&self) -> bool {
        false
    }

    /// Whether a person is asked for values alone, and has nothing to do.
    fn only_asks(&self) -> bool {
        false
    }

    /// What it gives up at, if it looks again and again: a person may then give it more time.
    fn gives_up_at(&self) -> Option<GaveUp> {
        None
    }

    /// Whether something of it may go on when it is over.
    fn may_leave_running(&self) -> bool {
        false
    }

    /// Whether the end of its one process is the end of the step, so that a supervisor's note of it can stand in.
    fn is_one_process(&self) -> bool {
        false
    }

    /// Whether a limit on one attempt means anything to it.
    fn takes_timeout(&self) -> bool {
        true
    }

    /// What it decides by, besides what every body has: the word of the language for each.
    fn conditions(&self) -> Vec<(&'static str, &Expr)> {
        Vec::new()
    }

    /// What it holds, if it is a container.
    fn inside(&self) -> Option<Inside<'_>> {
        None
    }

    /// Whether `env` and `cwd` mean anything to it.
    fn takes_env(&self) -> bool {
        false
    }

    /// Whether a value can be handed over as a variable: for a process, within the limits of the system.
    fn fits(&self, name: &str, value: &str, at: Span) -> Result<(), Diagnostic> {
        fits_variable(name, value, at)
    }

    /// Programs that must be on the search path, where the file names them.
    fn tools(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is wrong with a use of a part of its result, such as `result.probes.errors.mean`, that can be told beforehand.
    fn check_part(&self, _of: &Reference) -> Option<Diagnostic> {
        None
    }

    /// Mistakes that need the names of the whole file. `variables` are those that its environment sets besides.
    fn check(&self, _names: &Names, _variables: &[&str], _problems: &mut Vec<Diagnostic>) {}

    /// The command, request or question, as far as it is known: never fails, never shows a secret.
    fn show(&self, scope: &Scope) -> Shown;

    /// For the rendered document: as written, nothing resolved.
    fn outline(&self) -> Outline;

    /// Puts every value in place.
    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic>;
}

/// What is expected of a result unless the file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultExpect {
    Nothing,
    ExitZero,
    Status2xx,
}

/// A file that an action names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileUse {
    Reads(String),
    /// A word that is the name of a file, if there is one of that name.
    MayRead(String),
    Writes(String),
}

impl FileUse {
    pub fn path(&self) -> &str {
        match self {
            FileUse::Reads(path) | FileUse::MayRead(path) | FileUse::Writes(path) => path,
        }
    }

    /// The same below another folder.
    pub fn below(self, folder: &str) -> FileUse {
        let join = |path: String| std::path::Path::new(folder).join(path).to_string_lossy().into_owned();
        match self {
            FileUse::Reads(path) => FileUse::Reads(join(path)),
            FileUse::MayRead(path) => FileUse::MayRead(join(path)),
            FileUse::Writes(path) => FileUse::Writes(join(path)),
        }
    }
}

/// A step in words, for plans and questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// One line: the first line of a command, the method and URL of a request.
    pub headline: String,
    /// In full.
    pub detail: String,
    /// Values handed over beside it, such as the variables a script mentions.
    pub values: Vec<(String, String)>,
}

/// A step as a reader of the document sees it.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// Such as "Run a script" or "Send a request".
    pub verb: String,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
pub enum Block {
    Code {
        language: &'static str,
        text: String,
    },
    Field {
        label: &'static str,
        text: String,
    },
    /// A sentence for the reader.
    Prose(String),
}

/// Everything around a body when it is resolved.
pub struct Setting<'a> {
    pub scope: &'a Scope,
    pub effect: Effect,
    pub timeout: Option<Duration>,
    /// How long a `wait` or a `watch` goes on, in place of what the file says: somebody gave it more time.
    pub extended: Option<Duration>,
    /// From the step's `env`, rendered.
    pub env: Vec<(String, String)>,
    /// What scripts see of the operator's environment.
    pub base_env: &'a [(String, String)],
    pub cwd: PathBuf,
    /// Origins that the file or a parameter names: a secret goes to no other.
    pub origins: &'a [String],
    pub names: &'a Names,
    /// For kinds that judge more than one result, such as a wait.
    pub expect: &'a super::Expectations,
}

pub enum Resolution {
    Task(Box<dyn Task>),
    /// It uses values that are not there yet.
    Deferred(Vec<String>),
}
