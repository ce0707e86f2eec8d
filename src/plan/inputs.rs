//! Parameters to typed values, strongest source first. Asks nobody and reads no file.

use std::ffi::OsString;

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
    Profile,
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
            ValueSource::Profile => "profile",
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
    /// The profile that was chosen.
    pub profile: Option<String>,
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
    /// The profile that was chosen is none of this runbook.
    UnknownProfile { name: String, hint: String },
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
            InputProblem::UnknownProfile { name, hint } => write!(f, "there is no profile `{name}`; {hint}"),
            InputProblem::Bad { name, source, why } => write!(f, "parameter `{name}` ({source}): {why}"),
        }
    }
}

/// The variable that may hold a parameter's value.
pub fn variable_for(name: &str) -> String {
    format!("RUNSHEET_PARAM_{}", name.to_ascii_uppercase())
}

/// What was said before anybody is asked.
pub struct Sources<'a> {
    /// From name to each value in turn.
    pub flags: &'a IndexMap<String, Vec<String>>,
    pub file: &'a IndexMap<String, Written>,
    pub profile: Option<&'a str>,
    /// As the system has it, which need not be text.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
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
pub fn explain(runbook: &Runbook, param: &Param, sources: &Sources<'_>) -> Vec<Said> {
    let name = param.name.as_str();
    let read = |written: &Written| param.read(written);
    let flag = match sources.flags.get(name).map(Vec::as_slice) {
        // Whoever writes one item after the other does not mean the last one alone.
        Some(texts @ [_, _, ..]) if param.shape.ty == Type::List => {
            let (times, all) = (texts.len(), texts.join(","));
            Some(Err(format!("a list is given {times} times; give it once, with commas: {name}={all}")))
        }
        Some([.., last]) => Some(param.read_text(last)),
        Some([]) | None => None,
    };
    // Passed over, it would be as if nobody had said anything.
    let variable = (sources.variable)(&variable_for(name)).map(|value| match value.into_string() {
        Ok(text) => param.read_text(&text),
        Err(_) => Err("what it holds is not UTF-8 text".to_owned()),
    });
    let profile = sources.profile.and_then(|profile| runbook.profiles.get(profile)?.params.get(name));
    let mut all = vec![
        (ValueSource::Flag, flag),
        (ValueSource::File, sources.file.get(name).map(read)),
        (ValueSource::Environment, variable),
        (ValueSource::Default, param.default.clone().map(Ok)),
        (ValueSource::Example, param.example.clone().map(Ok)),
    ];
    if sources.profile.is_some() {
        all.insert(2, (ValueSource::Profile, profile.cloned().map(Ok)));
    }
    let place = |source: ValueSource| match (source, sources.profile) {
        (ValueSource::Profile, Some(profile)) => format!("profile {profile}"),
        _ => source.place(name),
    };
    all.into_iter().map(|(source, value)| Said { source, place: place(source), value }).collect()
}

/// Takes flags, then a file of values, then the profile, then the environment, then defaults.
pub fn resolve(runbook: &Runbook, sources: &Sources<'_>) -> (Inputs, Vec<InputProblem>) {
    let mut problems = Vec::new();
    for name in sources.flags.keys().chain(sources.file.keys()) {
        if !runbook.params.contains_key(name) {
            let hint = nearest(name, runbook.params.keys().map(String::as_str)).map(str::to_owned);
            problems.push(InputProblem::Unknown { name: name.clone(), hint });
        }
    }
    if let Some(name) = sources.profile.filter(|name| !runbook.profiles.contains_key(*name)) {
        let all: Vec<&str> = runbook.profiles.keys().map(String::as_str).collect();
        let hint = match (nearest(name, all.iter().copied()), all.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => format!("{} has none", runbook.name),
            (None, all) => format!("there are {}", all.join(", ")),
        };
        problems.push(InputProblem::UnknownProfile { name: name.to_owned(), hint });
    }
    let mut inputs = Inputs { profile: sources.profile.map(str::to_owned), ..Inputs::default() };
    for (name, param) in &runbook.params {
        let said = explain(runbook, param, sources);
        let first = said.into_iter().filter(|said| said.source != ValueSource::Example);
        let first = first.filter_map(|said| Some((said.source, said.place, said.value?))).next();
        let given = match first {
            Some((source, _, Ok(value))) => Given { value: Some(value), source },
            Some((_, place, Err(why))) => {
                problems.push(InputProblem::Bad { name: name.clone(), source: place, why });
                Given { value: None, source: ValueSource::Missing }
            }
            None => Given { value: None, source: ValueSource::Missing },
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
