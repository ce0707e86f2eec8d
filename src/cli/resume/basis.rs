//! A runbook with the values a run has on record: the frozen one, or the file as it is now. Asks only for what is not on
//! record because it holds a secret.

use std::rc::Rc;

use crate::{
    cli::{CliError, Context, error::code, inputs, source},
    event::{RunStarted, RunState},
    journal::Frozen,
    kinds::registry,
    library::Library,
    model::{Linker, Names, Param, Profile, Runbook, load_from},
    plan::{Given, Inputs, Plan, ValueSource, variable_for},
    syntax::decode,
    text::Source,
    value::Value,
};

/// What a run goes on with.
pub struct Basis {
    pub source: Source,
    pub runbook: Rc<Runbook>,
    pub names: Rc<Names>,
    pub plan: Plan,
}

impl Basis {
    /// What the run follows so far.
    pub fn frozen(
        context: &Context,
        header: &RunStarted,
        state: &RunState,
        frozen: &Frozen,
        attended: bool,
    ) -> Result<Basis, CliError> {
        let loaded = source::read_frozen(&header.runbook, frozen)
            .ok_or_else(|| CliError::new(code::NOT_VERIFIED, format!("run {} has lost its runbook", header.run)))?;
        let source = loaded.source.clone();
        let Some(runbook) = loaded.runbook else {
            return Err(CliError::invalid(&source, &loaded.problems, context.style()).hint(format!(
                "the run began with runsheet {}, which took this file; go on with that version",
                header.tool_version
            )));
        };
        let (runbook, names) = (Rc::new(runbook), Rc::new(loaded.names));
        let params = state.params().unwrap_or(&header.params);
        let sources = state.param_sources().unwrap_or(&header.param_sources);
        let profile = header.profile.as_ref().map(|profile| profile.name.clone());
        let mut given = Inputs { profile, ..Inputs::default() };
        let mut withheld = Vec::new();
        for (name, param) in &runbook.params {
            let Some(json) = params.get(name) else { continue };
            let source = sources.get(name).and_then(|source| source.as_str());
            if source == Some(inputs::WITHHELD) {
                // Its place is kept: the order of the parameters is part of the plan.
                given.values.insert(name.clone(), Given { value: None, source: ValueSource::Missing });
                withheld.push(name.clone());
                continue;
            }
            // Its type alone: what was typed met the pattern at the start, and the record says `42` for a typed `0042`.
            let value = param
                .shape
                .read_recorded(json)
                .map_err(|why| CliError::new(code::NOT_VERIFIED, format!("parameter `{name}`: {why}")))?;
            given.set(name, value, source_named(source));
        }
        for name in &withheld {
            give_again(&runbook, &mut given, name, attended)?;
        }
        let plan = Plan::make(Rc::clone(&runbook), Rc::clone(&names), given)
            .map_err(|problems| CliError::invalid(&source, &problems, context.style()))?;
        Ok(Basis { source, runbook, names, plan })
    }

    /// The file as it is now, with the values of this run. What has no value yet is still missing in the plan. `Err` says
    /// why it can be no basis.
    pub fn fresh(&self, library: &Library, bytes: Vec<u8>) -> Result<Basis, Vec<String>> {
        let name = self.source.name().to_owned();
        let source = decode(name, bytes).map_err(|(_, problem)| vec![problem.message])?;
        let linker = Linker::new(registry(), Rc::new(library.clone()));
        let loaded = load_from(&self.runbook.name, &source, &linker);
        let Some(runbook) = loaded.runbook else {
            let errors = loaded.problems.iter().filter(|problem| problem.is_error());
            let drawn = errors.map(|problem| {
                let at = source.position(problem.span.start);
                format!("line {}: {}", at.line, problem.message)
            });
            return Err(drawn.collect());
        };
        let (runbook, names) = (Rc::new(runbook), Rc::new(loaded.names));
        let mut given = Inputs { profile: self.plan.inputs.profile.clone(), ..Inputs::default() };
        let profile = given.profile.as_ref().and_then(|name| runbook.profiles.get(name));
        if let (Some(name), None) = (&given.profile, profile) {
            return Err(vec![format!("this run has the profile `{name}`, which is not there any more")]);
        }
        let mut wrong = Vec::new();
        for (name, param) in &runbook.params {
            let value = match self.plan.inputs.values.get(name) {
                Some(Given { value: Some(value), source }) => match self.keeps(name, param, value) {
                    Ok(value) => Given { value: Some(value), source: *source },
                    Err(why) => {
                        wrong.push(format!("parameter `{name}` is {value} in this run: {why}"));
                        continue;
                    }
                },
                _ => match new_value(name, param, profile) {
                    Ok(given) => given,
                    Err(why) => {
                        wrong.push(why);
                        continue;
                    }
                },
            };
            given.values.insert(name.clone(), value);
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let made = Plan::make(Rc::clone(&runbook), Rc::clone(&names), given);
        let plan = made.map_err(|problems| problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>())?;
        Ok(Basis { source, runbook, names, plan })
    }

    /// The same with what was missing asked for.
    pub fn complete(self, context: &Context) -> Result<Basis, CliError> {
        let mut given = self.plan.inputs.clone();
        inputs::ask_params(&self.runbook, &mut given)?;
        let plan = Plan::make(Rc::clone(&self.runbook), Rc::clone(&self.names), given)
            .map_err(|problems| CliError::invalid(&self.source, &problems, context.style()))?;
        Ok(Basis { plan, ..self })
    }

    /// A value of this run where the parameter may be declared in another way now.
    fn keeps(&self, name: &str, param: &Param, value: &Value) -> Result<Value, String> {
        match self.runbook.params.get(name) {
            // What was typed met the pattern at the start; the record may say it in another way.
            Some(before) if before.shape == param.shape => Ok(value.clone()),
            _ => param.read_text(&param.written(value)),
        }
    }
}

fn source_named(source: Option<&str>) -> ValueSource {
    match source {
        Some("params-file") => ValueSource::File,
        Some("profile") => ValueSource::Profile,
        Some("default") => ValueSource::Default,
        Some("environment") => ValueSource::Environment,
        Some("prompt") => ValueSource::Prompt,
        _ => ValueSource::Flag,
    }
}

/// The value of a parameter that its variable holds; none where that is not set. Passed over, one that is no text would
/// be as if nobody had said anything.
fn from_variable(name: &str, param: &Param) -> Result<Option<Value>, String> {
    let variable = variable_for(name);
    let wrong = |why: String| format!("parameter `{name}` ({variable}): {why}");
    let Some(value) = std::env::var_os(&variable) else { return Ok(None) };
    let text = value.into_string().map_err(|_| wrong("what it holds is not UTF-8 text".to_owned()))?;
    param.read_text(&text).map(Some).map_err(wrong)
}

/// For a parameter that this run has never had.
fn new_value(name: &str, param: &Param, profile: Option<&Profile>) -> Result<Given, String> {
    if let Some(value) = profile.and_then(|profile| profile.params.get(name)) {
        return Ok(Given { value: Some(value.clone()), source: ValueSource::Profile });
    }
    if let Some(value) = from_variable(name, param)? {
        return Ok(Given { value: Some(value), source: ValueSource::Environment });
    }
    Ok(match &param.default {
        Some(value) => Given { value: Some(value.clone()), source: ValueSource::Default },
        None => Given { value: None, source: ValueSource::Missing },
    })
}

/// A parameter that held a secret is not on record; a mask must never take its place.
fn give_again(runbook: &Runbook, given: &mut Inputs, name: &str, attended: bool) -> Result<(), CliError> {
    let Some(param) = runbook.params.get(name) else { return Ok(()) };
    if let Some(value) = from_variable(name, param).map_err(CliError::usage)? {
        given.set(name, value, ValueSource::Environment);
        return Ok(());
    }
    if !attended {
        let message = format!("parameter `{name}` held a secret and is not on record");
        return Err(CliError::new(code::REQUIREMENT, message).hint(format!("give it again in {}", variable_for(name))));
    }
    inputs::ask_params(runbook, given)
}
