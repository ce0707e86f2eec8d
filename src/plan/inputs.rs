//! Parameters to typed values, strongest source first. Asks nobody and reads no file.

use indexmap::IndexMap;

use crate::{
    model::{Param, Runbook},
    text::nearest,
    value::{Type, Value, Written},
};

/// Where a value came from, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueSource {
    Flag,
    File,
    Environment,
    Default,
    Prompt,
    /// Only in a plan: nobody gave one and none may be asked for.
    Example,
    Missing,
}

impl ValueSource {
    /// The word in `plan --json` and in the journal.
    pub fn name(self) -> &'static str {
        match self {
            ValueSource::Flag => "param",
            ValueSource::File => "params-file",
            ValueSource::Environment => "environment",
            ValueSource::Default => "default",
            ValueSource::Prompt => "prompt",
            ValueSource::Example => "example",
            ValueSource::Missing => "missing",
        }
    }

    /// Where somebody wrote a value for this parameter.
    fn place(self, name: &str) -> String {
        match self {
            ValueSource::Environment => variable_for(name),
            ValueSource::File => "--params-file".into(),
            ValueSource::Flag => "--param".into(),
            other => other.name().into(),
        }
    }
}

/// Every parameter of a runbook with its value, if it has one.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub values: IndexMap<String, Given>,
}

#[derive(Clone, Debug)]
pub struct Given {
    pub value: Option<Value>,
    pub source: ValueSource,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum InputProblem {
    /// A flag names no parameter of this runbook.
    Unknown { name: String, hint: Option<String> },
    /// The text is not a value of its parameter.
    Bad { name: String, source: String, why: String },
}

impl std::fmt::Display for InputProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InputProblem::Unknown { name, hint: Some(hint) } => {
                write!(f, "there is no parameter `{name}`; did you mean `{hint}`?")
            }
            InputProblem::Unknown { name, hint: None } => write!(f, "there is no parameter `{name}`"),
            InputProblem::Bad { name, source, why } => write!(f, "parameter `{name}` ({source}): {why}"),
        }
    }
}

/// The variable that may hold a parameter's value.
pub fn variable_for(name: &str) -> String {
    format!("RUNSHEET_PARAM_{}", name.to_ascii_uppercase())
}

/// What was written for a parameter, strongest first; `Err` says why it cannot be taken.
fn written(
    param: &Param,
    flags: &IndexMap<String, Vec<String>>,
    file: &IndexMap<String, Written>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(ValueSource, Result<Written, String>)> {
    let name = param.name.as_str();
    let mut all = Vec::new();
    match flags.get(name).map(Vec::as_slice) {
        // Whoever writes one item after the other does not mean the last one alone.
        Some(texts @ [_, _, ..]) if param.shape.ty == Type::List => {
            let why =
                format!("a list is given {} times; give it once, with commas: {name}={}", texts.len(), texts.join(","));
            all.push((ValueSource::Flag, Err(why)));
        }
        Some([.., last]) => all.push((ValueSource::Flag, Ok(Written::Text(last.clone())))),
        Some([]) | None => {}
    }
    all.extend(file.get(name).map(|given| (ValueSource::File, Ok(given.clone()))));
    all.extend(variable(&variable_for(name)).map(|text| (ValueSource::Environment, Ok(Written::Text(text)))));
    all
}

/// What one source says of a parameter.
#[derive(Clone, Debug)]
pub struct Said {
    pub source: ValueSource,
    /// Where it stands, such as `RUNSHEET_PARAM_VERSION`.
    pub place: String,
    /// `None` where it says nothing, `Err` where what it says cannot be taken.
    pub value: Option<Result<Value, String>>,
}

/// What each source says of a parameter, strongest first; those that are silent, too.
pub fn explain(
    param: &Param,
    flags: &IndexMap<String, Vec<String>>,
    file: &IndexMap<String, Written>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<Said> {
    let mut given = written(param, flags, file, variable);
    [ValueSource::Flag, ValueSource::File, ValueSource::Environment, ValueSource::Default, ValueSource::Example]
        .into_iter()
        .map(|source| {
            let value = match source {
                ValueSource::Default => param.default.clone().map(Ok),
                ValueSource::Example => param.example.clone().map(Ok),
                _ => given
                    .iter()
                    .position(|(of, _)| *of == source)
                    .map(|at| given.swap_remove(at).1.and_then(|written| param.read(&written))),
            };
            Said { source, place: source.place(&param.name), value }
        })
        .collect()
}

/// Takes flags, then a file of values, then the environment, then defaults.
pub fn resolve(
    runbook: &Runbook,
    flags: &IndexMap<String, Vec<String>>,
    file: &IndexMap<String, Written>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Inputs, Vec<InputProblem>) {
    let mut problems = Vec::new();
    for name in flags.keys().chain(file.keys()) {
        if !runbook.params.contains_key(name) {
            let hint = nearest(name, runbook.params.keys().map(String::as_str)).map(str::to_owned);
            problems.push(InputProblem::Unknown { name: name.clone(), hint });
        }
    }
    let mut inputs = Inputs::default();
    for (name, param) in &runbook.params {
        let given = match written(param, flags, file, variable).into_iter().next() {
            Some((source, given)) => match given.and_then(|given| param.read(&given)) {
                Ok(value) => Given { value: Some(value), source },
                Err(why) => {
                    problems.push(InputProblem::Bad { name: name.clone(), source: source.place(name), why });
                    Given { value: None, source: ValueSource::Missing }
                }
            },
            None => match &param.default {
                Some(value) => Given { value: Some(value.clone()), source: ValueSource::Default },
                None => Given { value: None, source: ValueSource::Missing },
            },
        };
        inputs.values.insert(name.clone(), given);
    }
    (inputs, problems)
}

impl Inputs {
    /// Parameters without a value, in file order.
    pub fn missing(&self) -> Vec<String> {
        self.values.iter().filter(|(_, given)| given.value.is_none()).map(|(name, _)| name.clone()).collect()
    }

    pub fn set(&mut self, name: &str, value: Value, source: ValueSource) {
        self.values.insert(name.to_owned(), Given { value: Some(value), source });
    }

    /// For a plan: examples stand in where nothing was given.
    pub fn fill_examples(&mut self, params: &IndexMap<String, Param>) {
        for (name, given) in &mut self.values {
            if given.value.is_none()
                && let Some(example) = params.get(name).and_then(|param| param.example.clone())
            {
                *given = Given { value: Some(example), source: ValueSource::Example };
            }
        }
    }
}
