//! Values and requirements before the first step: from flags, the environment, and questions. Starts nothing.

use std::{ffi::OsString, path::Path};

use indexmap::IndexMap;

use super::{CliError, error::code, session};
use crate::{
    engine::{needed_secrets, secret_sources},
    event::{ChosenProfile, Effect, Redactor, StepId},
    model::{Runbook, SecretPlace},
    operators::{ParamPrompt, ask_param, ask_secret},
    plan::{InputProblem, Inputs, Plan, Sources, ValueSource, resolve, variable_for},
    port::{SecretSource, World},
    syntax::{Node, NodeKind, Rendered},
    value::{Secret, Shape, Type, Written},
};

/// The source of a parameter on record that holds a secret: whoever goes on with the run gives it again.
pub const WITHHELD: &str = "withheld";

/// `--param name=value` as a map from name to each value in turn.
pub fn flags(params: &[String]) -> Result<IndexMap<String, Vec<String>>, CliError> {
    let mut given: IndexMap<String, Vec<String>> = IndexMap::new();
    for param in params {
        let Some((name, value)) = param.split_once('=') else {
            return Err(CliError::usage(format!("`--param {param}` has no value")).hint("write --param name=value"));
        };
        given.entry(name.trim().to_owned()).or_default().push(value.to_owned());
    }
    Ok(given)
}

/// A map from parameter to value, each value as it is written.
fn read_params(path: &Path) -> Result<IndexMap<String, Written>, CliError> {
    let scalar = |node: &Node| match &node.kind {
        NodeKind::Text(text) | NodeKind::Plain(_, text) => Some(text.text.clone()),
        _ => None,
    };
    session::read_map(path, "parameters", "parameter to value", |value| match &value.kind {
        NodeKind::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            items.map(Written::List).ok_or("a list of texts, numbers or booleans")
        }
        _ => scalar(value).map(Written::Text).ok_or("a text, a number, a boolean or a list of them"),
    })
}

/// What flags and a file say, as it is written.
pub struct Told {
    pub flags: IndexMap<String, Vec<String>>,
    pub file: IndexMap<String, Written>,
    pub profile: Option<String>,
}

impl Told {
    pub fn sources(&self) -> Sources<'_> {
        let variable: &dyn Fn(&str) -> Option<OsString> = &|name| std::env::var_os(name);
        Sources { flags: &self.flags, file: &self.file, profile: self.profile.as_deref(), variable }
    }
}

pub fn told(given: &super::args::Inputs) -> Result<Told, CliError> {
    let file = given.params_file.as_deref().map(read_params).transpose()?.unwrap_or_default();
    Ok(Told { flags: flags(&given.params)?, file, profile: given.profile.clone() })
}

/// Everything that can be known without asking; bad values are an error.
pub fn gather(runbook: &Runbook, given: &super::args::Inputs) -> Result<Inputs, CliError> {
    let told = told(given)?;
    let (inputs, problems) = resolve(runbook, &told.sources());
    refuse_bad(&problems)?;
    Ok(inputs)
}

pub fn refuse_bad(problems: &[InputProblem]) -> Result<(), CliError> {
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(CliError::usage(lines.join("\nrunsheet: ")))
}

/// Asks for what is missing, all of it before the first step.
pub fn ask_params(runbook: &Runbook, inputs: &mut Inputs) -> Result<(), CliError> {
    // The form is drawn on standard error; where that goes elsewhere nobody would see what is asked.
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return refuse_missing(runbook, inputs);
    }
    for name in inputs.missing() {
        let Some(param) = runbook.params.get(&name) else { continue };
        let example = param.example.as_ref().map(|example| format!("such as {}", param.written(example)));
        let limits = expected(&param.shape);
        let help: Vec<&str> = [&param.help, &limits, &example].into_iter().filter_map(|part| part.as_deref()).collect();
        let help = help.join("; ");
        let prompt = ParamPrompt {
            label: param.prompt.as_deref().unwrap_or(&name),
            help: (!help.is_empty()).then_some(help.as_str()),
            choices: &param.shape.choices,
        };
        let text = ask_param(&prompt, &|text| param.read_text(text).map(|_| ()))
            .map_err(|why| CliError::new(code::DECLINED, format!("parameter `{name}` was not given: {why}")))?;
        let value = param.read_text(&text).map_err(CliError::usage)?;
        inputs.set(&name, value, ValueSource::Prompt);
    }
    Ok(())
}

/// What a person has to know of a value before typing it, beyond its label.
fn expected(shape: &Shape) -> Option<String> {
    let commas = "several with commas between them";
    match shape.ty {
        Type::List => Some(format!("{}, {commas}", shape.describe())),
        // These are chosen from.
        _ if !shape.choices.is_empty() => None,
        _ if shape.limits().is_empty() => None,
        _ => Some(shape.describe()),
    }
}

/// Nobody can be asked: what is missing is an error that says how to give it.
pub fn refuse_missing(runbook: &Runbook, inputs: &Inputs) -> Result<(), CliError> {
    let missing = inputs.missing();
    if missing.is_empty() {
        return Ok(());
    }
    let mut error = CliError::new(code::REQUIREMENT, missing_lines(runbook, &missing).join("\nrunsheet: "));
    error = error.hint("nobody is at the keyboard to be asked");
    Err(error)
}

fn missing_lines(runbook: &Runbook, missing: &[String]) -> Vec<String> {
    missing
        .iter()
        .map(|name| {
            let param = runbook.params.get(name);
            let example = param.and_then(|param| Some(param.written(param.example.as_ref()?)));
            let example = example.unwrap_or_else(|| "VALUE".into());
            format!("parameter `{name}` has no value; give it with --param {name}={example} or {}", variable_for(name))
        })
        .collect()
}

/// The profile of a run that begins. The name of a protected one is typed by a person, before anything is changed; where
/// nobody can, there is no run.
pub fn confirm_profile(plan: &Plan, attended: bool) -> Result<Option<ChosenProfile>, CliError> {
    let Some(profile) = plan.inputs.profile.as_ref().and_then(|name| plan.runbook.profiles.get(name)) else {
        return Ok(None);
    };
    let name = profile.name.clone();
    let mut chosen = ChosenProfile { name: name.clone(), protected: profile.protected, confirmed: false };
    let changes = plan.runbook.all_steps().any(|step| step.body.effect != Effect::Read);
    if !profile.protected || !changes {
        return Ok(Some(chosen));
    }
    let shown = std::io::IsTerminal::is_terminal(&std::io::stderr());
    if !attended || !shown {
        let why = if attended { "standard error is no terminal" } else { "nobody is at the keyboard" };
        let message = format!("profile `{name}` is protected: a person must type its name, and {why}");
        return Err(CliError::new(code::REQUIREMENT, message).hint("nothing was run"));
    }
    let label = format!("Profile {name} is protected; type its name to go on");
    let prompt = ParamPrompt { label: &label, ..ParamPrompt::default() };
    let same = |typed: &str| if typed.trim() == name { Ok(()) } else { Err("that is not its name".to_owned()) };
    ask_param(&prompt, &same)
        .map_err(|why| CliError::new(code::DECLINED, format!("profile `{name}` was not confirmed: {why}")))?;
    chosen.confirmed = true;
    Ok(Some(chosen))
}

/// What must be there before the first step, by looking only: nothing is opened and nothing is run.
///
/// Only those secrets are looked for that `uses` says are used: what is left of a run may need fewer than the whole.
pub fn requirements(plan: &Plan, world: &dyn World, uses: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut problems = missing_lines(&plan.runbook, &plan.inputs.missing());
    // What is called never, whatever the run finds, needs nothing.
    for book in plan.books().into_iter().filter(|book| !book.is_idle) {
        let by = if book.at.is_empty() { String::new() } else { format!(" ({} calls {})", book.at, book.runbook.name) };
        for tool in &book.runbook.requires.tools {
            if world.tool(&tool.value).is_none() {
                let problem = format!("the tool `{}` is not on the search path{by}", tool.value);
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        if let Some(Err(why)) = &book.lock {
            problems
                .push(format!("the lock of {} must be known before the first step, and {why}{by}", book.runbook.name));
        }
    }
    for name in handed_on(plan) {
        if std::env::var_os(name).is_some_and(|value| value.to_str().is_none()) {
            problems.push(format!("the variable {name}, which steps are given, is not UTF-8 text"));
        }
    }
    for (step, program) in programs(&plan.runbook) {
        if world.tool(&program).is_none() {
            problems.push(format!("step {step} runs its script through `{program}`, which is not on the search path"));
        }
    }
    if let Err(error) = working_folder(plan) {
        problems.push(error.message);
    }
    problems.extend(secret_problems(plan, world, uses));
    problems
}

/// What of the sources of secrets is not there; none of them is opened.
pub fn secret_problems(plan: &Plan, world: &dyn World, uses: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for (spec, source) in needed_secrets(plan) {
        let name = &spec.name;
        let own = plan.runbook.secrets.get(name).is_some_and(|of| std::ptr::eq(of, spec));
        if own && !uses(name) {
            continue;
        }
        let problem = match source {
            Err(why) => Some(why),
            Ok(None) => None,
            Ok(Some(SecretSource::Env(variable))) => {
                world.variable(&variable).filter(|value| !value.is_empty()).is_none().then(|| {
                    match std::env::var_os(&variable) {
                        Some(value) if value.to_str().is_none() => format!("the variable {variable} is not UTF-8 text"),
                        Some(_) => format!("the variable {variable} is empty"),
                        None => format!("the variable {variable} is not set"),
                    }
                })
            }
            Ok(Some(SecretSource::File(path))) => {
                std::fs::metadata(&path).is_err().then(|| format!("there is no file {}", path.display()))
            }
            Ok(Some(SecretSource::Command(argv))) => match argv.first() {
                Some(program) if world.tool(program).is_some() || Path::new(program).is_file() => None,
                Some(program) => Some(format!("the program `{program}` is not on the search path")),
                None => Some("its command is empty".into()),
            },
            Ok(Some(SecretSource::Prompt { .. })) => None,
        };
        if let Some(why) = problem {
            let problem = format!("secret `{name}` cannot be read: {why}");
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// Variables of the operator that steps are given, by whatever runbook of the run.
pub fn handed_on(plan: &Plan) -> Vec<&str> {
    let callees = plan.runbook.callees();
    let books = std::iter::once(&*plan.runbook).chain(callees.iter().map(|callee| &*callee.runbook));
    let named = books.flat_map(|book| book.requires.env.iter().map(|name| name.value.as_str()));
    let mut names: Vec<&str> = crate::port::BASE_ENV.into_iter().chain(named).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Programs that steps name and that stand between here and where they run, each with the first step that does. One with
/// a folder is looked for from where a step runs, so that is left to the step.
fn programs(runbook: &Runbook) -> Vec<(StepId, String)> {
    let mut found: Vec<(StepId, String)> = Vec::new();
    for step in runbook.all_steps() {
        for body in [Some(&step.body), step.verify.as_ref()].into_iter().flatten() {
            for tool in body.action.tools() {
                if !tool.contains('/') && found.iter().all(|(_, known)| *known != tool) {
                    found.push((step.path.clone(), tool));
                }
            }
        }
    }
    found
}

/// Secrets that are typed, before the first step. Each is masked from then on; one that could not be is asked for again.
pub fn ask_secrets(plan: &Plan, attended: bool, redactor: &Redactor) -> Result<IndexMap<String, Secret>, CliError> {
    let mut secrets = IndexMap::new();
    let runbook = &plan.runbook;
    let books = plan.books();
    let own = runbook.secrets.values().map(|spec| (spec.name.clone(), runbook.name.as_str(), spec));
    // Whatever it calls may need is asked for now, and not in the middle of it.
    let called = runbook.callees().into_iter().flat_map(|callee| {
        let of = &callee.runbook;
        of.secrets.values().map(move |spec| (format!("{}:{}", of.name, spec.name), of.name.as_str(), spec))
    });
    for (key, book, spec) in own.chain(called) {
        let is_needed = books.iter().any(|of| of.runbook.name == book && of.needs(&spec.name));
        if !matches!(spec.place, SecretPlace::Prompt) || !is_needed {
            continue;
        }
        // As with parameters: the form is drawn on standard error.
        let shown = std::io::IsTerminal::is_terminal(&std::io::stderr());
        if !attended || !shown {
            let why = if attended { "standard error is no terminal" } else { "nobody is at the keyboard" };
            let message = format!("secret `{}` must be typed, and {why}", spec.name);
            return Err(CliError::new(code::REQUIREMENT, message));
        }
        let mask = |secret: &Secret| redactor.add(secret, spec.allow_short).map_err(|short| short.to_string());
        let secret = ask_secret(key.as_str(), &mask)
            .map_err(|why| CliError::new(code::DECLINED, format!("secret `{}` was not given: {why}", spec.name)))?;
        secrets.insert(key, secret);
    }
    Ok(secrets)
}

/// Secrets that stand in variables are known to the process from the start, so they are masked from the start: in
/// parameters, in titles, in what steps print before the first of them asks for the secret.
pub fn mask_variables(plan: &Plan, world: &dyn World, redactor: &Redactor) {
    for (spec, source) in secret_sources(plan) {
        if let Ok(Some(SecretSource::Env(variable))) = source
            && let Some(text) = world.variable(&variable).filter(|text| !text.is_empty())
        {
            let short = spec.allow_short;
            // One that is too short is refused by the step that uses it.
            let _ = redactor.add(&Secret::new(text), short);
        }
    }
    for value in plan.params_json().values() {
        add_spellings(value, redactor);
    }
}

/// A parameter that holds a secret in one spelling is spelt anew by an address or a command that is made of it.
fn add_spellings(value: &serde_json::Value, redactor: &Redactor) {
    match value {
        serde_json::Value::String(text) => redactor.add_spellings(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| add_spellings(item, redactor)),
        _ => {}
    }
}

/// The same for what runs nothing and therefore reads no secret: only where a parameter was given that holds one. Names
/// in the file then stay as they are for everybody else.
pub fn mask_parameters(plan: &Plan, world: &dyn World, redactor: &Redactor) {
    let known = Redactor::new();
    mask_variables(plan, world, &known);
    if plan.params_json().values().any(|value| known.holds_in(value)) {
        mask_variables(plan, world, redactor);
    }
}

/// The sources of the parameters for the record; one that holds a secret is not on record.
pub fn recorded_sources(plan: &Plan, redactor: &Redactor) -> serde_json::Map<String, serde_json::Value> {
    let mut sources = plan.sources_json();
    for (name, value) in plan.params_json() {
        let mut masked = value.clone();
        redactor.json(&mut masked);
        if masked != value {
            sources.insert(name, WITHHELD.into());
        }
    }
    sources
}

/// The folder is on record as it is, so that a resume finds it; it must not be made of a secret.
pub fn check_folder(plan: &Plan, redactor: &Redactor) -> Result<(), CliError> {
    let used = |name: &str| plan.runbook.cwd.iter().flat_map(|cwd| cwd.references()).any(|used| used.name == name);
    for (name, value) in plan.params_json() {
        let mut masked = value.clone();
        redactor.json(&mut masked);
        if masked != value && used(&name) {
            let why = format!("parameter `{name}` holds a secret, and the runbook's `cwd` is made of it");
            return Err(CliError::new(code::REQUIREMENT, why).hint("the folder of a run is on record and shown"));
        }
    }
    Ok(())
}

/// The lock's name as others may read it.
pub fn locks(plan: &Plan, redactor: &Redactor) -> Vec<String> {
    let mut locks = Vec::new();
    for lock in plan.books().into_iter().filter(|book| !book.is_idle).filter_map(|book| book.lock?.ok()) {
        let lock = redactor.text(&lock).into_owned();
        if !locks.contains(&lock) {
            locks.push(lock);
        }
    }
    locks
}

/// Where steps run: the runbook's `cwd`, or where the operator stands.
pub fn working_folder(plan: &Plan) -> Result<std::path::PathBuf, CliError> {
    let here = std::env::current_dir()
        .map_err(|why| CliError::new(code::REQUIREMENT, format!("could not tell the current folder: {why}")))?;
    let Some(template) = &plan.runbook.cwd else { return Ok(here) };
    match template.render(&plan.scope(), &[]) {
        Ok(Rendered::Text(text)) => {
            let path = here.join(text);
            if path.is_dir() {
                Ok(path)
            } else {
                Err(CliError::new(code::REQUIREMENT, format!("the folder {} does not exist", path.display()))
                    .hint("it is the runbook's `cwd`"))
            }
        }
        Ok(Rendered::Deferred(_)) => Ok(here),
        Err(problem) => Err(CliError::new(code::INVALID, problem.message)),
    }
}
