//! What one version of a runbook does that another does not, judged by meaning: which guards are gone, which effects are
//! stronger, which commands are others. Knows nothing of revisions and files, of runs, or of which version is better.

mod around;
mod facts;
mod marked;
mod order;
mod pairs;
mod report;
mod steps;
mod told;
mod units;
mod what;

pub use facts::DEFAULTS;
pub use marked::{MarkedLine, marked};
pub use report::{Compared, Comparison};
pub use told::headline;
pub use what::{Weight, What};

use crate::model::{Names, Registry, Runbook};

/// One of two versions.
#[derive(Clone, Copy)]
pub struct Version<'a> {
    pub runbook: &'a Runbook,
    pub names: &'a Names,
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it is, the weightiest first; never empty.
    pub whats: Vec<What>,
    /// The step it is about: its full name in the new version, or in the old one if it is gone.
    pub step: Option<String>,
    /// What of it, such as `expect` or `http.url`; empty for the whole.
    pub part: String,
    /// In words, such as `removes the confirmation agree before retag`.
    pub says: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Whether the words above hold both values already.
    pub complete: bool,
}

impl Change {
    pub(super) fn new(what: What, step: Option<&str>, part: &str, says: impl Into<String>) -> Change {
        Change {
            whats: vec![what],
            step: step.map(str::to_owned),
            part: part.to_owned(),
            says: says.into(),
            before: None,
            after: None,
            complete: false,
        }
    }

    /// With what it was and what it is; short values join the words.
    pub(super) fn values(mut self, before: Option<String>, after: Option<String>) -> Change {
        let short = |text: &Option<String>| {
            text.as_ref().is_none_or(|text| !text.contains('\n') && text.chars().count() <= SHORT)
        };
        if short(&before) && short(&after) {
            let said = match (&before, &after) {
                (Some(before), Some(after)) => format!(" {before} → {after}"),
                (Some(one), None) | (None, Some(one)) => format!(" {one}"),
                (None, None) => String::new(),
            };
            self.says.push_str(&said);
            self.complete = true;
        } else if self.says.ends_with(':') {
            self.says.pop();
            self.says.push_str(" …");
        }
        (self.before, self.after) = (before, after);
        self
    }

    /// With the lines of both, whatever their length: words of commands are marked.
    pub(super) fn lines(mut self, before: Option<String>, after: Option<String>) -> Change {
        (self.before, self.after) = (before, after);
        self
    }

    pub(super) fn and(mut self, what: What) -> Change {
        self.whats.push(what);
        self
    }

    /// The weight of the first of what it is.
    pub fn weight(&self) -> Weight {
        self.whats.first().map_or(Weight::Wording, |what| what.weight())
    }

    pub fn is(&self, what: What) -> bool {
        self.whats.contains(&what)
    }
}

/// Values of at most this many characters stand in the sentence.
const SHORT: usize = 36;

/// Everything that is different, what matters most first. What is called is not looked into. Where one version is not
/// there, all of the other came, or went.
pub fn compare(old: Option<Version<'_>>, new: Option<Version<'_>>, registry: Registry) -> Vec<Change> {
    let mut changes = Vec::new();
    let before = old.map_or_else(|| units::Tree::empty(registry), |old| units::Tree::of(old, registry));
    let after = new.map_or_else(|| units::Tree::empty(registry), |new| units::Tree::of(new, registry));
    match (old, new) {
        (Some(old), Some(new)) => {
            let pairs = pairs::Pairs::of(&before, &after);
            order::changes(&before, &after, &pairs, &mut changes);
            steps::changes(&before, &after, &pairs, &mut changes);
            around::changes(old, new, registry, &mut changes);
        }
        (None, Some(new)) => {
            changes.push(whole(What::RunbookAdded, "adds", new.runbook));
            order::changes(&before, &after, &pairs::Pairs::default(), &mut changes);
        }
        (Some(old), None) => changes.push(whole(What::RunbookRemoved, "removes", old.runbook)),
        (None, None) => {}
    }
    // What is gone comes before what is another; the rest stands in the order of the steps.
    let later = |change: &Change| change.weight() == Weight::Weakens && !change.is(What::GuardRemoved);
    changes.sort_by_key(|change| (change.weight(), later(change)));
    changes
}

fn whole(what: What, verb: &str, runbook: &Runbook) -> Change {
    let effects = runbook.effects().into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = effects.map(|(effect, count)| format!("{count} {}", effect.name())).collect();
    Change::new(what, None, "", format!("{verb} the runbook {} with its steps: {}", runbook.name, counts.join(", ")))
}

/// How much of two runbooks is the same, from 0 to 1: the share of their steps that do the same.
pub fn likeness(one: Version<'_>, other: Version<'_>, registry: Registry) -> f64 {
    let prints = |version| {
        let mut prints: Vec<String> =
            units::Tree::of(version, registry).units.into_iter().map(|unit| unit.print).collect();
        prints.sort_unstable();
        prints
    };
    let (a, mut b) = (prints(one), prints(other));
    let most = a.len().max(b.len()).max(1);
    let mut common = 0_usize;
    for print in &a {
        if let Ok(at) = b.binary_search(print) {
            b.remove(at);
            common += 1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "steps of one runbook")]
    let share = common as f64 / most as f64;
    share
}
