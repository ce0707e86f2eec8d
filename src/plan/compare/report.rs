//! What came of comparing one runbook, or all of a folder, as data for whoever writes it down. Knows no form.

use super::{Change, What};

/// All that was compared.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What it was compared with, such as `main (2f6c1d9)` or a path.
    pub before: String,
    /// What was compared, such as a path.
    pub after: String,
    /// Those that are not the same, in the order of their names; the one that was asked for comes first.
    pub runbooks: Vec<Compared>,
    /// How many were looked at.
    pub looked_at: usize,
}

/// One runbook that is not the same.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    pub name: String,
    /// Where each version stands; none where it does not exist.
    pub before: Option<String>,
    pub after: Option<String>,
    pub changes: Vec<Change>,
    /// What calls it, such as `balrog/push-production (admin, public)`.
    pub called_by: Vec<String>,
    /// What is to be known besides: a version that could not be read.
    pub notes: Vec<String>,
}

impl Compared {
    /// See [`super::headline`].
    pub fn headline(&self) -> String {
        super::headline(&self.changes).unwrap_or_else(|| "does the same as before".into())
    }
}

impl Comparison {
    pub fn is_empty(&self) -> bool {
        self.runbooks.iter().all(|of| of.changes.is_empty() && of.notes.is_empty())
    }

    /// Those of these kinds that there are.
    pub fn found(&self, wanted: &[What]) -> Vec<What> {
        let all = || self.runbooks.iter().flat_map(|of| &of.changes);
        wanted.iter().copied().filter(|what| all().any(|change| change.is(*what))).collect()
    }
}
