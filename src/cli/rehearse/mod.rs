//! `rehearse`: one scenario with a person at the keyboard. Everything but the person is simulated, and nothing is kept.

mod told;

use std::rc::Rc;

use super::{
    CliError, Context,
    args::{Mode, Rehearse},
    error::code,
    print, say,
    session::{self, Person, Shown},
    source,
    test::targets::{Target, targets},
};
use crate::{
    library::Found,
    operators::{ParamPrompt, ask_param},
    plan::Plan,
    port::World,
    scenarios::{Book, Live, NotRehearsed, Rehearsal, Scenario, load, rehearse as live_through},
    syntax::decode,
    text::{Diagnostic, did_you_mean, one_line},
    worlds::real::RealWorld,
};

pub fn rehearse(context: &Context, flags: &Rehearse) -> Result<u8, CliError> {
    let (found, bytes, shown) = pair(context, &flags.runbook)?;
    let ready = source::make_ready(context, found)?;
    let book = Book { runbook: Rc::clone(&ready.runbook), names: Rc::clone(&ready.names) };
    let style = context.style();
    let source = decode(shown, bytes).map_err(|(source, problem)| CliError::invalid(&source, &[problem], style))?;
    let loaded = load(&source, &book);
    if loaded.problems.iter().any(Diagnostic::is_error) {
        return Err(CliError::invalid(&source, &loaded.problems, style));
    }
    let person = Person::find(context, false, None)?;
    if !person.attended() {
        return Err(CliError::usage("a rehearsal is for a person at a terminal, and there is none; nothing was run")
            .hint(format!("without one: runsheet test {}", flags.runbook)));
    }
    let scenario = chosen(&loaded.scenarios, flags.scenario.as_deref())?;
    if !scenario.expect.refused.is_empty() {
        return Err(CliError::usage(format!(
            "nothing begins in `{}`: its parameters are refused",
            scenario.name.value
        )));
    }
    session::block_on(live(context, flags, &book, scenario, &person))?
}

/// The one runbook that is meant, with its scenarios.
fn pair(context: &Context, word: &str) -> Result<(Found, Vec<u8>, String), CliError> {
    let mut meant = targets(context, &[word.to_owned()])?;
    match (meant.pop(), meant.is_empty()) {
        (Some(Target::Pair { found, scenarios, shown }), true) => Ok((found, scenarios, shown)),
        (Some(Target::Bare { name }), true) => {
            Err(CliError::usage(format!("{name} has no scenarios, so there is nothing to rehearse"))
                .hint("they stand beside the runbook, in NAME.scenarios.yaml"))
        }
        (Some(Target::Unreadable { why, .. }), true) => Err(CliError::usage(why)),
        (Some(Target::Orphan { scenarios, runbook }), true) => {
            Err(CliError::usage(format!("there is no runbook {runbook} for the scenarios in {scenarios}")))
        }
        _ => Err(CliError::usage(format!("{word} is a folder; one runbook is rehearsed at a time"))),
    }
}

fn chosen<'a>(all: &'a [Scenario], word: Option<&str>) -> Result<&'a Scenario, CliError> {
    let names = || all.iter().map(|scenario| scenario.name.value.as_str());
    let listed = || format!("there are: {}", names().map(one_line).collect::<Vec<_>>().join("; "));
    let named = |name: &str| all.iter().find(|scenario| scenario.name.value == name);
    let Some(word) = word else {
        if let [only] = all {
            return Ok(only);
        }
        if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            return Err(CliError::usage("which scenario? --scenario NAME says it").hint(listed()));
        }
        let choices: Vec<String> = names().map(str::to_owned).collect();
        let prompt = ParamPrompt { label: "which scenario?", help: None, choices: &choices };
        let name = ask_param(&prompt, &|_| Ok(()))
            .map_err(|why| CliError::new(code::DECLINED, format!("no scenario was chosen: {why}")))?;
        return named(&name).ok_or_else(|| CliError::usage("no scenario was chosen"));
    };
    if let Some(exactly) = named(word) {
        return Ok(exactly);
    }
    let holds: Vec<&Scenario> = all.iter().filter(|scenario| scenario.name.value.contains(word)).collect();
    match holds.as_slice() {
        [only] => Ok(only),
        [] => {
            let near = did_you_mean(word, names()).unwrap_or_else(listed);
            Err(CliError::usage(format!("there is no scenario `{}`", one_line(word))).hint(near))
        }
        _ => Err(CliError::usage(format!("several scenarios hold `{}`", one_line(word))).hint(listed())),
    }
}

async fn live(
    context: &Context,
    flags: &Rehearse,
    book: &Book,
    scenario: &Scenario,
    person: &Person,
) -> Result<u8, CliError> {
    let plan = Plan::make(Rc::clone(&book.runbook), Rc::clone(&book.names), scenario.inputs.clone())
        .map_err(|problems| CliError::invalid(&book.runbook.source, &problems, context.style()))?;
    let real: Rc<dyn World> = Rc::new(RealWorld::new(RealWorld::own_program()));
    let sinks = |before: Option<&crate::event::RunState>| {
        if before.is_some() {
            say(context, "\nThe program dies here: the scenario wants it. It is started again, and goes on.\n\n");
        }
        let shown = Shown { json: false, attended: true, plan: &plan, hashes: None, passing: true };
        session::sinks(context, &shown, before)
    };
    let how = Rehearsal {
        live: Live { sinks: &sinks, signals: &session::signals, step_mode: flags.mode == Mode::Step },
        person: person.operator(),
        real,
        speed: flags.speed,
        surprise: flags.surprise,
    };
    say(context, &told::banner(&scenario.name.value, flags.speed, flags.surprise.is_some()));
    let rehearsed = live_through(&plan, scenario, &how).await.map_err(|why| match why {
        NotRehearsed::NoSurprises => {
            CliError::usage(format!("the scenario `{}` names no surprises", one_line(&scenario.name.value)))
                .hint("they stand in it, such as `surprises: [{step: ID, shell: {exit: 1}}]`")
        }
        NotRehearsed::NeverReached(steps) => CliError::usage(format!(
            "no surprise can come: with the answers of the scenario these steps do nothing: {}",
            steps.join(", ")
        )),
    })?;
    let text = told::report(book, scenario, flags.speed, &person.operator().name(), &rehearsed);
    print(context, &rehearsed.redactor.text(&text))?;
    Ok(match rehearsed.end {
        Ok(end) => end.code,
        Err(_) => code::FAILED,
    })
}
