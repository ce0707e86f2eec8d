//! One runbook as a page: what a reviewer judges and an operator follows, as written. Knows no parameters' values, and no
//! form the page is written in.

use super::{
    failure, foreign, links, mermaid,
    mermaid::{Edge, Why, effect_words},
    nested,
    page::{Block, Inline, Line, Page},
};
use crate::{
    event::Effect,
    model::{
        Block as Shown, Body, DefaultExpect, DurationSpec, Names, Need, Param, Retry, Runbook, Step, body_references,
    },
    value::{Shape, Type, show_duration},
};

/// What a form wants of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// A picture of the graph.
    pub graph: bool,
}

pub(super) fn page(runbook: &Runbook, names: &Names, form: Form) -> Page {
    let mut page = Page::default();
    page.push(Line::of(&runbook.title.value).heading(1));
    facts(runbook, &mut page);
    if let Some(summary) = &runbook.summary {
        page.push(Line::of("When to use it").heading(2));
        page.blocks.extend(foreign::markdown(summary));
    }
    requirements(runbook, &mut page);
    params(runbook, &mut page);
    profiles(runbook, &mut page);
    start(runbook, &mut page);
    triggers(runbook, &mut page);
    if form.graph {
        page.push(Line::of("The steps at a glance").heading(2));
        match mermaid::drawable(runbook, names) {
            Some(graph) => {
                page.code("mermaid", graph);
                page.push(legend());
            }
            None => page.push(Line::of("There are too many steps to draw.").paragraph()),
        }
    }
    failure::rules(runbook, &mut page);
    page.push(Line::of("Steps").heading(2));
    let list = List::of(&runbook.steps, names, 0);
    for index in 0..runbook.steps.len() {
        list.step(index, &mut page);
    }
    if !runbook.finally.is_empty() {
        page.push(Line::of("At the end, always").heading(2));
        page.push(
            Line::of("These steps run once when the run closes, however it ends, and never on a pause. Each is tried, even after another one failed; a failure here makes a success a failure.")
                .paragraph(),
        );
        let list = List::of(&runbook.finally, names, runbook.steps.len());
        for index in 0..runbook.finally.len() {
            list.step(index, &mut page);
        }
    }
    page
}

/// Such as `5 steps: 2 read, 3 change`.
pub(super) fn effects(effects: [(Effect, usize); 3]) -> String {
    let total: usize = effects.iter().map(|(_, count)| count).sum();
    let parts: Vec<String> = effects
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(effect, count)| format!("{count} {}{}", effect.name(), if *count == 1 { "s" } else { "" }))
        .collect();
    format!("{total} step{}: {}", if total == 1 { "" } else { "s" }, parts.join(", "))
}

fn facts(runbook: &Runbook, page: &mut Page) {
    let mut lines = vec![Line::label("Name:").text(" ").code(&runbook.name)];
    if let Some(owner) = &runbook.owner {
        lines.push(Line::label("Owner:").text(format!(" {owner}")));
    }
    if !runbook.tags.is_empty() {
        lines.push(Line::label("Tags:").text(" ").codes(&runbook.tags));
    }
    lines.push(Line::label("Effects:").text(format!(" {}", effects(runbook.effects()))));
    for (label, url) in &runbook.links {
        let line = Line::label("Link:").text(" ");
        lines.push(match links::safe(url) {
            Some(url) => line.and(vec![Inline::Link { url, text: vec![Inline::Text(label.clone())] }]),
            None => line.text(format!("{label}: ")).code(url),
        });
    }
    page.lines(lines);
}

fn requirements(runbook: &Runbook, page: &mut Page) {
    let mut lines = Vec::new();
    let requires = &runbook.requires;
    if !requires.tools.is_empty() {
        let tools = requires.tools.iter().map(|tool| &tool.value);
        lines.push(Line::label("Tools:").text(" ").codes(tools).text("; looked for before the first step"));
    }
    if !requires.env.is_empty() {
        let variables = requires.env.iter().map(|variable| &variable.value);
        lines.push(Line::label("Variables").text(" of yours that scripts are given: ").codes(variables));
    }
    for secret in runbook.secrets.values() {
        let line = Line::label("Secret").text(" ").code(&secret.name).text(": ").and(place(&secret.describe()));
        lines.push(match secret.origins.as_slice() {
            [] => line,
            origins => line.text("; may be sent to ").codes(origins).text(" even if only a captured value names it"),
        });
    }
    if let Some(lock) = &runbook.lock {
        lines.push(
            Line::label("Lock:").text(" ").code(lock.source()).text("; two runs with the same lock never overlap"),
        );
    }
    if let Some(cwd) = &runbook.cwd {
        lines.push(Line::label("Folder:").text(" steps run in ").code(cwd.source()));
    }
    if !runbook.files.is_empty() {
        let files = runbook.files.iter().map(|path| path.source());
        lines.push(Line::label("Files").text(" that a run takes along: ").codes(files));
    }
    if !lines.is_empty() {
        page.push(Line::of("Before you start").heading(2));
        page.lines(lines);
    }
}

/// `variable JENKINS_TOKEN`, with the part that is the author's as code.
fn place(described: &str) -> Vec<Inline> {
    match described.split_once(' ') {
        Some((word @ ("variable" | "file" | "command"), rest)) => {
            Line::of(format!("read from {word} ")).code(rest).done()
        }
        _ => Line::of(described).done(),
    }
}

fn params(runbook: &Runbook, page: &mut Page) {
    if runbook.params.is_empty() {
        return;
    }
    page.push(Line::of("Parameters").heading(2));
    let header = ["Name", "Type", "Default", "Example", "Help"].map(|title| Line::of(title).done()).to_vec();
    let rows = runbook
        .params
        .values()
        .map(|param| {
            vec![
                Line::new().code(&param.name).done(),
                type_of(param),
                match &param.default {
                    Some(value) => Line::new().code(param.written(value)).done(),
                    None => Line::new().strong("required").done(),
                },
                param.example.as_ref().map(|value| Line::new().code(param.written(value)).done()).unwrap_or_default(),
                Line::of(help(param)).done(),
            ]
        })
        .collect();
    page.push(Block::Table { header, rows });
}

fn profiles(runbook: &Runbook, page: &mut Page) {
    if runbook.profiles.is_empty() {
        return;
    }
    page.push(Line::of("Profiles").heading(2));
    page.push(
        Line::of("One is chosen with ")
            .code("--profile NAME")
            .text("; a flag for a parameter is stronger.")
            .paragraph(),
    );
    let lines = runbook.profiles.values().map(|profile| {
        let mut line = Line::new().code(&profile.name);
        if profile.protected {
            line = line.text(", protected: its name must be typed before a run that changes anything");
        }
        for (number, (name, value)) in profile.params.iter().enumerate() {
            let written = runbook.params.get(name).map_or_else(|| value.to_string(), |param| param.written(value));
            line = line.text(if number == 0 { ": " } else { ", " }).code(name).text(" = ").code(written);
        }
        line
    });
    page.lines(lines.collect());
}

/// The mails that lead to it: how they are known, why they come, how they end.
fn triggers(runbook: &Runbook, page: &mut Page) {
    if runbook.triggers.is_empty() {
        return;
    }
    page.push(Line::of("Mails that lead here").heading(2));
    for trigger in &runbook.triggers {
        let mut line = Line::new();
        for (number, (field, pattern)) in trigger.email.fields().enumerate() {
            line = line.text(format!("{}{field} ", if number == 0 { "" } else { ", " })).code(pattern.as_str());
        }
        if let Some(when) = &trigger.when {
            line = line.text(", only when ").code(when.on_one_line());
        }
        if trigger.ignore {
            line = line.text("; asks for nothing");
        }
        for (number, (name, value)) in trigger.params.iter().enumerate() {
            line =
                line.text(if number == 0 { "; gives " } else { ", " }).code(name).text(" = ").code(value.on_one_line());
        }
        page.lines(vec![line]);
        page.blocks.extend(trigger.means.iter().flat_map(|text| foreign::markdown(text)));
        let parts = [
            ("Sent by:", &trigger.sent_by),
            ("To make it stop:", &trigger.silence),
            ("To filter it:", &trigger.filter),
        ];
        for (label, text) in parts {
            if let Some(text) = text {
                page.push(Block::Paragraph(Line::label(label).done()));
                page.blocks.extend(foreign::markdown(text));
            }
        }
    }
}

fn type_of(param: &Param) -> Vec<Inline> {
    shape_line(Line::new(), &param.shape).done()
}

fn shape_line(line: Line, shape: &Shape) -> Line {
    let mut line = match (shape.ty, shape.choices.is_empty()) {
        (Type::Enum | Type::String, false) => line.text("one of ").codes(&shape.choices),
        (ty, false) => line.text(format!("{}, one of ", ty.name())).codes(&shape.choices),
        (ty, true) => line.text(ty.name()),
    };
    for limit in shape.limits() {
        line = line.text(format!(" {limit}"));
    }
    if let Some((pattern, _)) = &shape.pattern {
        line = line.text(" matching ").code(pattern);
    }
    match &shape.items {
        Some(items) => shape_line(line.text(", each item "), items),
        None => line,
    }
}

fn help(param: &Param) -> String {
    let texts: Vec<&str> = [&param.prompt, &param.help].into_iter().flatten().map(|text| text.trim()).collect();
    match texts[..] {
        [prompt, help] if !prompt.ends_with(['.', '?', '!', ':']) => format!("{prompt}. {help}"),
        _ => texts.join(" "),
    }
}

fn start(runbook: &Runbook, page: &mut Page) {
    let mut given = String::new();
    for param in runbook.params.values().filter(|param| param.default.is_none()) {
        let example = param.example.as_ref().map_or_else(|| stand_in(param), |value| param.written(value));
        given.push_str(&format!(" --param {}", quoted(&format!("{}={example}", param.name))));
    }
    let name = quoted(&runbook.name);
    page.push(Line::of("How to start it").heading(2));
    page.push(Line::of("See first what it would do; this does nothing:").paragraph());
    page.code("bash", format!("runsheet plan {name}{given}"));
    page.push(Line::of("Then run it, step by step:").paragraph());
    page.code("bash", format!("runsheet run {name}{given}"));
}

/// Where there is no example: a value that is seen to be none.
fn stand_in(param: &Param) -> String {
    param.shape.choices.first().cloned().unwrap_or_else(|| param.name.to_uppercase())
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn legend() -> Block {
    Line::of("Blue steps only read, yellow ones change something, red ones destroy something; a diamond waits for your yes. A dotted line carries a value.")
        .paragraph()
}

/// Steps that stand together.
pub(super) struct List<'a> {
    pub steps: &'a [Step],
    names: &'a Names,
    edges: Vec<Edge>,
    /// How many steps of the document come before it.
    before: usize,
    /// What goes before its numbers: `3.` in the third step; empty at the top.
    within: String,
}

impl<'a> List<'a> {
    fn of(steps: &'a [Step], names: &'a Names, before: usize) -> List<'a> {
        List { steps, names, edges: mermaid::edges(steps, names, false), before, within: String::new() }
    }

    pub fn inside(&self, steps: &'a [Step], within: String, parallel: bool) -> List<'a> {
        List { steps, names: self.names, edges: mermaid::edges(steps, self.names, parallel), before: 0, within }
    }

    fn number(&self, index: usize) -> String {
        format!("{}{}", self.within, self.before + index + 1)
    }

    /// How deep its headings stand.
    pub fn level(&self) -> usize {
        3 + self.within.matches('.').count()
    }

    pub fn step(&self, index: usize, page: &mut Page) {
        let step = &self.steps[index];
        let title = match &step.title {
            Some(title) => foreign::line_template(title.source()),
            None => Line::of(&step.id.value).done(),
        };
        page.push(Line::of(format!("{}. ", self.number(index))).and(title).heading(self.level()));
        let mut facts = Line::new().code(&step.id.value).text(" · ");
        facts = match step.body.effect {
            Effect::Read => facts.text(effect_words(step.body.effect)),
            effect => facts.strong(effect_words(effect)),
        };
        facts = facts.text(" · ").code(step.body.kind);
        if step.critical {
            facts = facts.text(" · ").strong("critical");
        }
        page.push(facts.paragraph());
        page.lines(self.conditions(index));
        if let Some(text) = &step.text {
            page.blocks.extend(foreign::markdown_template(text.source()));
        }
        if let Some(foreach) = &step.foreach {
            page.push(nested::once_for_each(foreach));
        }
        if let Some(inside) = step.body.action.inside() {
            return self.container(step, inside, &self.number(index), page);
        }
        let mut lines = body(&step.body, page);
        lines.extend(judgement(step, self.names));
        page.lines(lines);
        if let Some(verify) = &step.verify {
            page.push(Line::label("Whether it took effect").text(" is looked up so:").paragraph());
            let mut lines = body(verify, page);
            lines.extend(expectation(verify));
            lines.extend(settings(verify));
            lines.extend(captures(verify));
            page.lines(lines);
        }
        failure::describe(step, page);
    }

    /// When a step runs, and after what.
    fn conditions(&self, index: usize) -> Vec<Line> {
        let step = &self.steps[index];
        let mut lines = Vec::new();
        if let Some(when) = &step.when {
            lines.push(Line::label("Only if").text(" ").code(when.source().trim()).text("; otherwise it is skipped"));
        }
        // Edges that nobody wrote are worth a word where no other edge implies them.
        let values = self.edges.iter().filter(|edge| edge.to == index && edge.why == Why::Value);
        let values: Vec<&String> = values.map(|edge| &self.steps[edge.from].id.value).collect();
        match &step.needs {
            Some(needs) if !needs.is_empty() => {
                lines.push(needs_line(needs, index.checked_sub(1).map(|before| &self.steps[before])));
            }
            Some(_) if values.is_empty() => {
                lines.push(Line::label("After").text(" nothing: only a confirm above holds it back"));
            }
            _ => {}
        }
        if !values.is_empty() {
            lines.push(Line::label("After").text(" ").codes(values).text(", for the values it uses"));
        }
        lines
    }
}

fn needs_line(needs: &[Need], before: Option<&Step>) -> Line {
    let mut line = Line::label("After").text(" ");
    for (index, need) in needs.iter().enumerate() {
        if index > 0 {
            line = line.text(", ");
        }
        line = line.code(&need.step.value);
        if let Some(when) = &need.when {
            line = line.text(" (if ").code(when.source()).text(")");
        }
    }
    match before {
        Some(before) if needs.iter().all(|need| need.when.is_some()) => {
            line.text("; where none of these holds, after ").code(&before.id.value)
        }
        _ => line,
    }
}

/// What is done; what is said beside it comes back.
pub(super) fn body(body: &Body, page: &mut Page) -> Vec<Line> {
    let outline = body.action.outline();
    let mut verb = foreign::line_template(&outline.verb);
    if !outline.blocks.is_empty() {
        verb.push(Inline::Text(":".into()));
    }
    page.push(Block::Paragraph(vec![Inline::Strong(verb)]));
    let mut fields = Vec::new();
    for block in outline.blocks {
        match block {
            Shown::Code { language, text } => page.code(language, text),
            Shown::Field { label, text } => fields.push(Line::label(format!("{label}:")).text(" ").code(text)),
            Shown::Prose(text) => page.push(Block::Quote(foreign::plain_template(&text))),
        }
    }
    fields
}

/// What is made of the result, and within which limits.
fn judgement(step: &Step, names: &Names) -> Vec<Line> {
    let asked = step.body.action.is_asked();
    // What a person is asked shows its values at their place.
    let mut lines = if asked { Vec::new() } else { uses(&step.body, names) };
    lines.extend(expectation(&step.body));
    lines.extend(captures(&step.body));
    lines.extend(settings(&step.body));
    if let Some(timeout) = time_limit(&step.body) {
        lines.push(timeout);
    }
    if let Some(retry) = &step.retry {
        lines.push(retries(retry));
    }
    if !asked && !step.idempotent {
        lines.push(Line::label("Twice:").text(" it is not run a second time unless you say so"));
    } else if !asked && step.body.effect != Effect::Read {
        lines.push(Line::label("Twice:").text(" it may safely run twice"));
    }
    lines
}

/// The values it is given; what a script mentions does not show in any other place.
fn uses(body: &Body, names: &Names) -> Vec<Line> {
    let mut used: Vec<String> = Vec::new();
    for reference in body_references(body, names) {
        if names.contains(&reference.name) && !used.contains(&reference.name) {
            used.push(reference.name);
        }
    }
    if used.is_empty() {
        return Vec::new();
    }
    let mut line = Line::label("Uses:").text(" ");
    for (index, name) in used.iter().enumerate() {
        use crate::model::Declared;
        if index > 0 {
            line = line.text(", ");
        }
        line = line.code(name);
        line = match names.get(name) {
            Some(Declared::Secret(_)) => line.text(" (a secret)"),
            Some(Declared::Capture { step, .. }) => line.text(" (from ").code(step).text(")"),
            _ => line,
        };
    }
    vec![line]
}

fn expectation(body: &Body) -> Vec<Line> {
    let default = match body.expect.default_in_force() {
        DefaultExpect::Nothing => None,
        DefaultExpect::ExitZero => Some("exit code 0"),
        DefaultExpect::Status2xx => Some("a status from 200 to 299"),
    };
    let mut line = Line::label("Expected:").text(" ");
    if default.is_none() && body.expect.entries.is_empty() {
        return Vec::new();
    }
    line = line.text(default.unwrap_or_default());
    for (index, entry) in body.expect.entries.iter().enumerate() {
        if index > 0 || default.is_some() {
            line = line.text(", and ");
        }
        line = line.code(entry.source().trim());
    }
    vec![line]
}

fn captures(body: &Body) -> Vec<Line> {
    body.captures
        .iter()
        .map(|capture| {
            let line = Line::label("Keeps:").text(" ").code(&capture.name.value).text(" = ");
            let line = line.code(capture.value.source().trim());
            if capture.secret { line.text("; a secret, never shown and not on record") } else { line }
        })
        .collect()
}

pub(super) fn settings(body: &Body) -> Vec<Line> {
    let mut lines: Vec<Line> = body
        .env
        .iter()
        .map(|(name, value)| Line::label("Variable:").text(" ").code(format!("{}={}", name.value, value.source())))
        .collect();
    if let Some(cwd) = &body.cwd {
        lines.push(Line::label("Folder:").text(" ").code(cwd.source()));
    }
    lines
}

/// A default is worth a word only where running out of time leaves something open.
fn time_limit(body: &Body) -> Option<Line> {
    let label = Line::label("Time limit:").text(" ");
    match &body.timeout {
        Some(DurationSpec::Fixed(limit)) => Some(label.text(format!("{} for one attempt", show_duration(*limit)))),
        Some(limit) => Some(label.code(limit.source()).text(" for one attempt")),
        None if body.effect == Effect::Read => None,
        None => {
            let limit = body.action.default_timeout()?;
            Some(label.text(format!("{} for one attempt (the default)", show_duration(limit))))
        }
    }
}

fn retries(retry: &Retry) -> Line {
    let mut text = format!(" at most {} attempts, {} apart", retry.attempts, show_duration(retry.interval));
    if retry.backoff > 1.0 {
        text.push_str(&format!(
            " and each time {} times as long, up to {}",
            retry.backoff,
            show_duration(retry.max_interval)
        ));
    }
    let line = Line::label("Repeated by itself:").text(text);
    match &retry.when {
        Some(when) => line.text(", as long as ").code(when.source().trim()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_counted_in_words() {
        let of = |read, change, destroy| {
            effects([(Effect::Read, read), (Effect::Change, change), (Effect::Destroy, destroy)])
        };
        assert_eq!(of(2, 1, 0), "3 steps: 2 read, 1 changes");
        assert_eq!(of(0, 0, 1), "1 step: 1 destroys");
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("version=v3.20"), "version=v3.20");
        assert_eq!(quoted("a b'c"), r"'a b'\''c'");
        assert_eq!(quoted(""), "''");
    }
}
