//! What is said before and after a rehearsal. Asks nothing and decides nothing.

use std::time::Duration;

use crate::{
    event::{StepId, StepStatus},
    scenarios::{Book, Met, Rehearsed, Scenario},
    text::one_line,
    value::show_duration,
    worlds::scenario::{SeenCommand, SeenRequest, ShellReply, Surprise, SurpriseReply, Unanswered},
};

/// Nobody shall take it for the real thing.
pub fn banner(scenario: &str, speed: u32, surprise: bool) -> String {
    let pace = match speed {
        1 => "time goes as it really does".to_owned(),
        _ => format!("time goes {speed} times as fast while no question is open (--speed)"),
    };
    let surprise = if surprise { "\n  something may go wrong that is not in the scenario" } else { "" };
    format!(
        "=== REHEARSAL: nothing is run, sent or written; whatever you see is made up ===\n  scenario: {}\n  {pace}{surprise}\n\n",
        one_line(scenario)
    )
}

pub fn report(book: &Book, scenario: &Scenario, speed: u32, who: &str, came: &Rehearsed) -> String {
    let mut lines = vec![
        String::new(),
        "=== END OF THE REHEARSAL: nothing was run, sent or written ===".to_owned(),
        format!("{}: {}", one_line(&book.runbook.name), one_line(&scenario.name.value)),
        format!("by {}, in {}; of the run's own time {}", one_line(who), short(came.took), short(came.simulated)),
    ];
    if speed > 1 {
        lines.push(format!("{speed} times as fast while no question was open"));
    }
    lines.push(String::new());
    match came.met.len() {
        0 => lines.push("Nothing was asked.".to_owned()),
        1 => lines.push("Asked, 1 question:".to_owned()),
        count => lines.push(format!("Asked, {count} questions:")),
    }
    for (at, met) in came.met.iter().enumerate() {
        lines.extend(asked(at + 1, met));
    }
    lines.push(String::new());
    if let Some((surprise, came)) = &came.surprise {
        lines.push(startled(surprise, *came));
    }
    if let Some(unanswered) = &came.unanswered {
        lines.push(format!("The scenario does not say what comes of {}; the step failed.", missing(unanswered)));
    }
    lines.extend(end(scenario, came));
    lines.push(String::new());
    lines.join("\n")
}

fn asked(number: usize, met: &Met) -> Vec<String> {
    let step = met.step.as_deref().unwrap_or("the run");
    let answer = match &met.answer {
        Ok(word) => one_line(word).replace('_', " "),
        Err(why) => format!("no answer: {}", one_line(why)),
    };
    let mut lines = vec![format!(
        "  {number}. {} ({})  {answer}  after {}",
        one_line(step),
        met.about.replace('_', " "),
        short(met.took)
    )];
    let text = met.title.lines().next().unwrap_or_default();
    if !text.is_empty() && text != step {
        lines.push(format!("     {}", one_line(text)));
    }
    lines.extend(met.values.iter().map(|(name, text)| format!("     {} = {}", one_line(name), one_line(text))));
    lines.extend(met.reason.iter().map(|reason| format!("     reason: {}", one_line(reason))));
    lines
}

fn startled(surprise: &Surprise, came: bool) -> String {
    let what = match &surprise.reply {
        SurpriseReply::Shell(ShellReply { fail: Some(fail), .. }) => format!("its command: {fail:?}").to_lowercase(),
        SurpriseReply::Shell(ShellReply { signal: Some(signal), .. }) => format!("its command: killed by {signal}"),
        SurpriseReply::Shell(reply) => format!("its command: exit {}", reply.exit),
        SurpriseReply::Http(reply) => match reply.fail {
            Some(fail) => format!("its request: {fail:?}").to_lowercase(),
            None => format!("its request: status {}", reply.status),
        },
    };
    let (step, turn) = (one_line(&surprise.step), surprise.turn);
    let came = if came { "it came" } else { "it never came: the run did not get there" };
    format!("The surprise: {step}, time {turn}, {what}; {came}.")
}

fn missing(unanswered: &Unanswered) -> String {
    match unanswered {
        Unanswered::Command(SeenCommand { step, shown, .. }) => {
            format!("the command of {}: {}", one_line(step), one_line(shown.lines().next().unwrap_or_default()))
        }
        Unanswered::Request(SeenRequest { step, method, url, .. }) => {
            format!("the request of {}: {} {}", one_line(step), one_line(method), one_line(url))
        }
        Unanswered::TooMany { step } => format!("step {}, which goes on without end", one_line(step)),
    }
}

/// How it ended, and where that is otherwise than the scenario tells it with its own answers.
fn end(scenario: &Scenario, came: &Rehearsed) -> Vec<String> {
    let expect = &scenario.expect;
    let end = match &came.end {
        Ok(end) => end,
        Err(why) => return vec![format!("It did not come to an end: {}.", one_line(why))],
    };
    let why = end.reason.as_deref().map(|why| format!(": {}", first_line(why))).unwrap_or_default();
    let mut lines = vec![format!("It ended {} (exit {}){why}", end.outcome.name(), end.code)];
    let mut other = Vec::new();
    if end.outcome != expect.outcome.value {
        other.push(format!("ended {}, there {}", end.outcome.name(), expect.outcome.value.name()));
    }
    if let Some(code) = expect.code.as_ref().filter(|code| code.value != end.code) {
        other.push(format!("exit {}, there {}", end.code, code.value));
    }
    for (step, wanted) in &expect.status {
        let got =
            came.state.steps.get(&StepId::new(&step.value)).and_then(|of| of.status()).unwrap_or(StepStatus::NotRun);
        if got != *wanted {
            other.push(format!("{} {}, there {}", one_line(&step.value), got.name(), wanted.name()));
        }
    }
    match other.is_empty() {
        true => lines.push("as in the scenario.".to_owned()),
        false => {
            lines.push("Otherwise than in the scenario with its own answers:".to_owned());
            lines.extend(other.into_iter().map(|of| format!("  - {of}")));
        }
    }
    if !end.outcome.closes() {
        lines.push("A rehearsal is not kept: it cannot be resumed, only begun anew.".to_owned());
    }
    lines
}

fn first_line(text: &str) -> String {
    one_line(text.lines().next().unwrap_or_default()).into_owned()
}

/// To the second, and below one to the millisecond.
fn short(duration: Duration) -> String {
    let whole = Duration::from_secs(duration.as_secs());
    show_duration(if whole.is_zero() { Duration::from_millis(duration.subsec_millis().into()) } else { whole })
}
