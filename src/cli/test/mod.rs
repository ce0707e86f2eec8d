//! `test`: the scenarios of runbooks, in a simulated world. Reads files and changes nothing, anywhere.

mod junit;
mod mutations;
mod record;
mod show;
pub(super) mod targets;

use std::{io::IsTerminal, rc::Rc};

use mutations::{Mutations, mutate};
pub use show::Show;
use targets::{Target, targets};

use super::{CliError, Context, args::Test, error::code, source};
use crate::{
    library::Found,
    scenarios::{Book, Coverage, Item, Ran, load, run},
    syntax::decode,
    text::{Diagnostic, Source, Span},
};

pub fn test(context: &Context, flags: &Test) -> Result<u8, CliError> {
    if let Some(run) = &flags.record {
        return record::recorded(context, run, flags.update);
    }
    let color = context.color(std::io::stdout().is_terminal());
    let mut show = Show::new(context, flags.format, color);
    let total = all(context, flags, &mut show)?;
    if total.scenarios == 0 && total.invalid == 0 {
        return Err(match &flags.filter {
            Some(filter) => CliError::usage(format!("no scenario's name holds `{filter}`; nothing was tried")),
            None => CliError::usage("there are no scenarios here; nothing was tried")
                .hint("scenarios of NAME.yaml stand beside it, in NAME.scenarios.yaml"),
        });
    }
    show.finish(&total)?;
    Ok(total.code())
}

/// Everything that is meant, one runbook after the other.
pub fn all(context: &Context, flags: &Test, show: &mut Show<'_>) -> Result<Total, CliError> {
    let targets = targets(context, &flags.paths)?;
    let mut total = Total::default();
    for target in &targets {
        one(context, flags, target, show, &mut total)?;
    }
    Ok(total)
}

/// What came of all files together.
#[derive(Default)]
pub struct Total {
    pub runbooks: usize,
    /// Runbooks without scenarios.
    pub bare: usize,
    pub scenarios: usize,
    pub failed: usize,
    /// Files that are not well made.
    pub invalid: usize,
    /// Runbooks that are below a percentage that was asked for.
    pub short: usize,
}

impl Total {
    pub fn code(&self) -> u8 {
        match (self.invalid, self.failed + self.short) {
            (0, 0) => code::SUCCEEDED,
            (0, _) => code::FAILED,
            _ => code::INVALID,
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        show::last_line(self).trim_end().to_owned()
    }
}

/// One scenario and what came of it.
pub struct Tried {
    pub name: String,
    /// Where it stands, from 1.
    pub line: usize,
    pub ran: Ran,
}

/// Everything about one runbook.
pub struct Tested {
    pub name: String,
    pub source: Source,
    pub scenarios: Source,
    pub tried: Vec<Tried>,
    /// Steps and branches; none where not all scenarios were tried.
    pub coverage: Option<(Vec<Item>, Vec<Item>)>,
    pub mutations: Option<Mutations>,
    /// Why it is not enough.
    pub short: Vec<String>,
}

/// The whole percentage, rounded down: all is all.
pub fn percent(of: usize, all: usize) -> usize {
    (of * 100).checked_div(all).unwrap_or(100)
}

pub fn covered(items: &[Item]) -> usize {
    items.iter().filter(|item| item.covered).count()
}

/// The scenarios of one runbook.
fn one(
    context: &Context,
    flags: &Test,
    target: &Target,
    show: &mut Show<'_>,
    total: &mut Total,
) -> Result<(), CliError> {
    let (found, bytes, shown) = match target {
        Target::Pair { found, scenarios, shown } => (found, scenarios, shown),
        Target::Bare { name } => {
            total.bare += 1;
            if flags.min_coverage.is_some_and(|least| least > 0) {
                total.short += 1;
                show.bare(name)?;
            }
            return Ok(());
        }
        Target::Orphan { scenarios, runbook } => {
            total.invalid += 1;
            let why = format!("there is no runbook {runbook} for these scenarios");
            let problem = Diagnostic::error("no-runbook", Span::at(0), why);
            let problem = problem.hint("scenarios stand beside their runbook, under its name");
            return show.invalid(target.name(), &Source::new(scenarios.clone(), ""), &[problem]);
        }
        Target::Unreadable { name, why } => {
            total.invalid += 1;
            let problem = Diagnostic::error("unreadable", Span::at(0), why.clone());
            return show.invalid(name, &Source::new(name.clone(), ""), &[problem]);
        }
    };
    let read = source::read(&context.library(), found);
    let Some(runbook) = read.runbook else {
        total.invalid += 1;
        let errors: Vec<Diagnostic> = read.problems.into_iter().filter(Diagnostic::is_error).collect();
        return show.invalid(&found.name, &read.source, &errors);
    };
    let book = Book { runbook: Rc::new(runbook), names: Rc::new(read.names) };
    let loaded = match decode(shown.clone(), bytes.clone()) {
        Ok(source) => load(&source, &book),
        Err((source, problem)) => {
            total.invalid += 1;
            return show.invalid(&found.name, &source, &[problem]);
        }
    };
    if loaded.problems.iter().any(Diagnostic::is_error) {
        total.invalid += 1;
        return show.invalid(&found.name, &loaded.source, &loaded.problems);
    }
    let mut tested = Tested {
        name: found.name.clone(),
        source: read.source.clone(),
        scenarios: loaded.source.clone(),
        tried: Vec::new(),
        coverage: None,
        mutations: None,
        short: Vec::new(),
    };
    let mut coverage = Coverage::begin(&book);
    for scenario in &loaded.scenarios {
        let whole = format!("{}: {}", found.name, scenario.name.value);
        if flags.filter.as_ref().is_some_and(|filter| !whole.contains(filter.as_str())) {
            continue;
        }
        let ran = run(&book, &loaded.source, scenario);
        coverage.add(&ran);
        let line = loaded.source.position(scenario.name.span.start).line;
        let tried = Tried { name: scenario.name.value.clone(), line, ran };
        show.scenario(&tested, &tried)?;
        tested.tried.push(tried);
    }
    if tested.tried.is_empty() {
        return Ok(());
    }
    total.runbooks += 1;
    total.scenarios += tested.tried.len();
    total.failed += tested.tried.iter().filter(|tried| !tried.ran.findings.is_empty()).count();
    // Of some of the scenarios neither says anything.
    if tested.tried.len() == loaded.scenarios.len() {
        tested.coverage = Some((coverage.steps(), coverage.branches()));
        if flags.mutations.is_some() && tested.tried.iter().all(|tried| tried.ran.findings.is_empty()) {
            tested.mutations = Some(mutate(context, found, &read.source, &loaded));
        }
    }
    tested.short = short(flags, &tested);
    total.short += usize::from(!tested.short.is_empty());
    show.runbook(tested)
}

/// What is below a percentage that was asked for.
fn short(flags: &Test, tested: &Tested) -> Vec<String> {
    let mut short = Vec::new();
    if let (Some(least), Some((steps, branches))) = (flags.min_coverage, &tested.coverage) {
        for (what, items) in [("steps", steps), ("branches", branches)] {
            let got = percent(covered(items), items.len());
            if got < usize::from(least) {
                short.push(format!("{got} % of its {what} are covered, and {least} % are wanted"));
            }
        }
    }
    if let (Some(Some(least)), Some(mutations)) = (flags.mutations, &tested.mutations) {
        let got = percent(mutations.missed, mutations.all);
        if got < usize::from(least) {
            short.push(format!("{got} % of its guards are missed when they are gone, and {least} % are wanted"));
        }
    }
    short
}

/// The runbook without one of its guards.
fn without(context: &Context, found: &Found, mutant: &crate::scenarios::Mutant) -> Option<Book> {
    let read = source::read_edited(&context.library(), found, &|root| mutant.apply(root));
    Some(Book { runbook: Rc::new(read.runbook?), names: Rc::new(read.names) })
}
