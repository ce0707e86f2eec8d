//! What steps hold, on a page: the steps of a group, the ways of a choice, a runbook that is called. Knows no form the page is
//! written in.

use super::{
    failure, foreign,
    outline::{List, body, effects, quoted, settings},
    page::{Block, Line, Page},
};
use crate::{
    model::{ForEach, Inside, Step},
    value::show_duration,
};

impl<'a> List<'a> {
    /// What a step holds, each with a number below its own.
    pub fn container(&self, step: &Step, inside: Inside<'a>, number: &str, page: &mut Page) {
        let all = |list: &List<'a>, page: &mut Page| (0..list.steps.len()).for_each(|index| list.step(index, page));
        match inside {
            Inside::Group(group) => {
                let count = group.steps.len();
                let steps = if count == 1 { "This step".to_owned() } else { format!("These {count} steps") };
                page.push(match group.parallel {
                    Some(most) => Line::label(steps).text(format!(", up to {most} side by side:")).paragraph(),
                    None => Line::label(steps).text(if count == 1 { ":" } else { ", in order:" }).paragraph(),
                });
                if let Some(helper) = &group.helper {
                    let mut lines = body(&helper.body, page);
                    let written = helper.body.timeout.as_ref().map(|limit| limit.source());
                    let limit = written.or_else(|| helper.body.action.default_timeout().map(show_duration));
                    lines.extend(limit.map(|limit| Line::label("Ready within:").text(" ").code(limit)));
                    lines.extend(settings(&helper.body));
                    page.lines(lines);
                }
                failure::describe_container(step, page);
                all(&self.inside(&group.steps, format!("{number}."), group.parallel.is_some()), page);
            }
            Inside::Choose(choose) => {
                match &choose.question {
                    Some(question) => {
                        page.push(Line::label("You choose one of these ways").text(":").paragraph());
                        page.push(Block::Quote(foreign::plain_template(question.source().trim())));
                        page.push(
                            Line::of("With nobody at the keyboard the run pauses here (exit code 11).").paragraph(),
                        );
                    }
                    None => page
                        .push(Line::label("One of these ways").text(", the first whose condition holds:").paragraph()),
                }
                if choose.question.is_none() && !choose.cases.iter().any(|case| case.otherwise) {
                    page.push(Line::of("Where no condition holds the step fails.").paragraph());
                }
                failure::describe_container(step, page);
                for (at, case) in choose.cases.iter().enumerate() {
                    // Letters keep the ways apart from the numbers of steps.
                    let letter = way(at);
                    let mut heading = Line::of(format!("{number}.{letter}. Way ")).code(&case.id.value);
                    if let Some(title) = &case.title {
                        heading = heading.text(": ").and(foreign::line_template(title.source()));
                    }
                    page.push(heading.heading(self.level() + 1));
                    match (&case.when, case.otherwise) {
                        (Some(when), _) => {
                            let label = if choose.question.is_some() { "Offered if" } else { "Taken if" };
                            page.lines(vec![Line::label(label).text(" ").code(when.source().trim())]);
                        }
                        (None, true) if choose.question.is_none() => {
                            page.lines(vec![Line::label("Taken").text(" where no other way is")]);
                        }
                        _ => {}
                    }
                    all(&self.inside(&case.steps, format!("{number}.{letter}."), false), page);
                }
            }
            Inside::Call(call) => {
                let lines = body(&step.body, page);
                page.lines(lines);
                if let Some(callee) = &call.callee {
                    let of = &callee.runbook;
                    let mut lines =
                        vec![Line::label("It is:").text(format!(" {}, ", of.title.value)).text(effects(of.effects()))];
                    if !of.outputs.is_empty() {
                        lines.push(Line::label("It gives:").text(" ").codes(of.outputs.keys()));
                    }
                    if !of.finally.is_empty() {
                        lines.push(
                            Line::label("At its end, always:")
                                .text(" ")
                                .codes(of.finally.iter().map(|last| &last.id.value)),
                        );
                    }
                    lines.push(Line::label("Its steps:").text(" ").code(format!("runsheet show {}", quoted(&of.name))));
                    page.lines(lines);
                }
                failure::describe_container(step, page);
            }
        }
    }
}

/// `a`, `b`, …; after the last letter it begins again with two.
pub(super) fn way(at: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(at % 26).unwrap_or(0));
    letter.to_string().repeat(at / 26 + 1)
}

/// What a loop goes over.
pub(super) fn once_for_each(foreach: &ForEach) -> Block {
    let line = Line::label("Once for each").text(" ").code(&foreach.name.value).text(" in ").code(foreach.source());
    match foreach.parallel {
        Some(most) => line.text(format!(", up to {most} at a time")),
        None => line.text(", one after the other"),
    }
    .paragraph()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_have_letters() {
        assert_eq!((way(0), way(25), way(26)), ("a".into(), "z".into(), "aa".into()));
    }
}
