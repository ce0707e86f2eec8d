//! One runbook, lowered and checked. Knows nothing of files or libraries.

use indexmap::IndexMap;

use super::{Param, Profile, SecretSpec, Step};
use crate::{
    event::Effect,
    syntax::Template,
    text::{Source, Spanned},
};

/// A runbook as written, every part with its place.
#[derive(Debug)]
pub struct Runbook {
    /// The path below its library root without the ending, such as `balrog/rollback`.
    pub name: String,
    pub source: Source,
    pub title: Spanned<String>,
    pub summary: Option<String>,
    pub owner: Option<String>,
    pub tags: Vec<String>,
    pub links: IndexMap<String, String>,
    pub params: IndexMap<String, Param>,
    pub secrets: IndexMap<String, SecretSpec>,
    pub profiles: IndexMap<String, Profile>,
    pub requires: Requires,
    /// Two live runs whose lock renders alike never overlap.
    pub lock: Option<Template>,
    pub cwd: Option<Template>,
    /// Files that a run takes along: relative paths.
    pub files: Vec<Template>,
    pub steps: Vec<Step>,
    pub finally: Vec<Step>,
}

/// What must be there before the first step.
#[derive(Debug, Default)]
pub struct Requires {
    pub tools: Vec<Spanned<String>>,
    /// Variables of the operator's environment that scripts are given.
    pub env: Vec<Spanned<String>>,
}

impl Runbook {
    /// SHA-256 of the exact bytes, in hex.
    pub fn sha256(&self) -> String {
        crate::text::sha256_hex(self.source.text().as_bytes())
    }

    /// Steps, then `finally`.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.finally)
    }

    /// How many steps read, change and destroy.
    pub fn effects(&self) -> [(Effect, usize); 3] {
        [Effect::Read, Effect::Change, Effect::Destroy]
            .map(|effect| (effect, self.all_steps().filter(|step| step.body.effect == effect).count()))
    }
}
