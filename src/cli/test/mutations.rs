//! Which guards of a runbook its scenarios would miss. Changes no file.

use super::without;
use crate::{
    cli::Context,
    library::Found,
    scenarios::{Loaded, Mutant, mutants, run},
    text::Source,
};

/// What came of taking each guard out.
pub struct Mutations {
    /// Guards that could be taken out; without some others the file would be no runbook.
    pub all: usize,
    /// Those that a scenario misses.
    pub missed: usize,
    /// The others.
    pub survivors: Vec<Mutant>,
}

pub fn mutate(context: &Context, found: &Found, source: &Source, loaded: &Loaded) -> Mutations {
    let mut mutations = Mutations { all: 0, missed: 0, survivors: Vec::new() };
    for mutant in mutants(source) {
        let Some(book) = without(context, found, &mutant) else { continue };
        mutations.all += 1;
        let misses = |scenario| !run(&book, &loaded.source, scenario).findings.is_empty();
        if loaded.scenarios.iter().any(misses) {
            mutations.missed += 1;
        } else {
            mutations.survivors.push(mutant);
        }
    }
    mutations
}
