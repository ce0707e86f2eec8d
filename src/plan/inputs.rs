//! Parameters to typed values, strongest source first. Asks nobody and reads no file.

use indexmap::IndexMap;

use crate::{
    model::{Param, Runbook},
    text::nearest,
    value::Value,
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

/// Takes flags, then a file of values, then the environment, then defaults.
pub fn resolve(
    runbook: &Runbook,
    flags: &IndexMap<String, String>,
    file: &IndexMap<String, String>,
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
        let from_environment = || variable(&variable_for(name)).map(|text| (text, ValueSource::Environment));
        let from_flag = flags.get(name).map(|text| (text.clone(), ValueSource::Flag));
        let from_file = || file.get(name).map(|text| (text.clone(), ValueSource::File));
        let given = match from_flag.or_else(from_file).or_else(from_environment) {
            Some((text, source)) => match param.read(&text) {
                Ok(value) => Given { value: Some(value), source },
                Err(why) => {
                    let place = match source {
                        ValueSource::Environment => variable_for(name),
                        ValueSource::File => "--params-file".into(),
                        _ => "--param".into(),
                    };
                    problems.push(InputProblem::Bad { name: name.clone(), source: place, why });
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
