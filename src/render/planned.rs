//! A plan as a page, for a pull request. Knows nothing of how it was made.

use super::{
    compared::said,
    markdown,
    page::{Block, Line, Page},
};
use crate::event::Effect;

/// What a run would do, in words.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    pub runbook: String,
    pub title: String,
    /// Name, value, and where that comes from.
    pub params: Vec<(String, String, String)>,
    /// What holds for the whole: profile, lock, files.
    pub notes: Vec<String>,
    pub steps: Vec<PlannedStep>,
    /// How many read, change and destroy.
    pub effects: [usize; 3],
    /// Why it could not be run.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct PlannedStep {
    pub path: String,
    pub title: String,
    pub kind: &'static str,
    pub effect: Effect,
    /// Such as `only when` and a condition.
    pub facts: Vec<(String, String)>,
    /// The command or request in full.
    pub detail: String,
    /// What takes it back.
    pub undo: Option<String>,
    /// How many containers stand around it.
    pub depth: usize,
}

/// As Markdown in which no text can leave its place.
pub fn planned(of: &Planned) -> String {
    let mut page = Page::default();
    page.push(Line::of("Plan of ").code(&of.runbook).text(": ").and(said(&of.title)).heading(2));
    let [read, change, destroy] = of.effects;
    let plural = if of.steps.len() == 1 { "step" } else { "steps" };
    let line = format!(" {} {plural}: {read} read, {change} change, {destroy} destroy.", of.steps.len());
    page.push(Line::label("Nothing was run.").text(line).paragraph());
    if !of.problems.is_empty() {
        page.push(Line::label("It could not be run here:").paragraph());
        page.lines(of.problems.iter().map(|problem| Line::new().and(said(problem))).collect());
    }
    if !of.params.is_empty() {
        let cell = |text: &str| Line::new().code(text).done();
        let rows = of.params.iter().map(|(name, value, source)| vec![cell(name), cell(value), Line::of(source).done()]);
        let header = ["parameter", "value", "from"].map(|text| Line::of(text).done()).to_vec();
        page.push(Block::Table { header, rows: rows.collect() });
    }
    page.lines(of.notes.iter().map(|note| Line::new().and(said(note))).collect());
    for (number, step) in of.steps.iter().enumerate() {
        self::step(number + 1, step, &mut page);
    }
    markdown::write(&page)
}

fn step(number: usize, step: &PlannedStep, page: &mut Page) {
    page.push(Line::of(format!("{number}. ")).and(said(&step.title)).heading(3 + step.depth.min(3)));
    let mut facts = Line::new().code(&step.path).text(" · ");
    facts = match step.effect {
        Effect::Read => facts.text("reads"),
        Effect::Change => facts.strong("changes"),
        Effect::Destroy => facts.strong("DESTROYS"),
    };
    page.push(facts.text(" · ").code(step.kind).paragraph());
    page.lines(step.facts.iter().map(|(label, text)| Line::of(format!("{label} ")).code(text)).collect());
    if !step.detail.trim().is_empty() {
        page.code("text", &step.detail);
    }
    if let Some(undo) = &step.undo {
        page.push(Line::label("Undo:").paragraph());
        page.code("text", undo);
    }
}
