//! What a step, a probe and a `verify` have in common: an action, and how its result is judged. Runs nothing.

use std::time::Duration;

use super::{Action, DefaultExpect, FileUse, Shown, broken::ANY_OUTPUT};
use crate::{
    event::Effect,
    port::Failure,
    syntax::{Eval, Expr, Reference, Rendered, Template, Truth},
    text::{Diagnostic, Span, Spanned, cut, did_you_mean},
    value::{Scope, Value, parse_duration},
};

/// A kind with its settings, without an id.
#[derive(Debug)]
pub struct Body {
    pub kind: &'static str,
    /// The key that names the kind.
    pub kind_span: Span,
    pub action: Box<dyn Action>,
    pub effect: Effect,
    pub expect: Expectations,
    pub captures: Vec<Capture>,
    /// Limit of one attempt; none: the kind's own.
    pub timeout: Option<DurationSpec>,
    pub env: Vec<(Spanned<String>, Template)>,
    pub cwd: Option<Template>,
    pub span: Span,
}

impl Body {
    /// The step in words, with what `env` hands over.
    pub fn show(&self, scope: &Scope) -> Shown {
        let mut shown = self.action.show(scope);
        if let (Some(timeout), true) = (&self.timeout, self.action.inside().is_some()) {
            shown.detail.push_str(&format!("\nat most {}", timeout.show(scope)));
        }
        shown.values.extend(self.env.iter().map(|(name, value)| (name.value.clone(), value.show(scope, &[]))));
        shown
    }

    /// Files that it names, seen from the folder of the run; none as long as its own folder is not known.
    pub fn files(&self, scope: &Scope) -> Vec<FileUse> {
        let files = self.action.files(scope);
        match self.cwd.as_ref().map(|cwd| cwd.render(scope, &[])) {
            None => files,
            Some(Ok(Rendered::Text(folder))) => files.into_iter().map(|file| file.below(&folder)).collect(),
            Some(_) => Vec::new(),
        }
    }
}

#[derive(Debug)]
pub struct Capture {
    pub name: Spanned<String>,
    pub value: Expr,
    pub secret: bool,
}

/// A duration, written or computed.
#[derive(Debug, Clone)]
pub enum DurationSpec {
    Fixed(Duration),
    Template(Template),
}

impl DurationSpec {
    /// `Err(Ok(names))` where it waits for values, `Err(Err(diagnostic))` where it is wrong.
    pub fn eval(&self, scope: &Scope) -> Result<Duration, Result<Vec<String>, Diagnostic>> {
        let template = match self {
            DurationSpec::Fixed(duration) => return Ok(*duration),
            DurationSpec::Template(template) => template,
        };
        let value = match template.eval(scope, &[]).map_err(Err)? {
            Eval::Value(value) => value,
            Eval::Deferred(names) => return Err(Ok(names)),
        };
        let why = match &value {
            Value::Duration(duration) => return Ok(*duration),
            Value::Text(text) => match parse_duration(text) {
                Ok(duration) => return Ok(duration),
                Err(why) => why,
            },
            other => format!("a duration is expected here, this is {} ({other})", other.kind()),
        };
        Err(Err(Diagnostic::error("not-a-duration", template.span(), why)))
    }

    pub fn show(&self, scope: &Scope) -> String {
        match self {
            DurationSpec::Fixed(duration) => crate::value::show_duration(*duration),
            DurationSpec::Template(template) => template.show(scope, &[]),
        }
    }

    /// As written.
    pub fn source(&self) -> String {
        match self {
            DurationSpec::Fixed(duration) => crate::value::show_duration(*duration),
            DurationSpec::Template(template) => template.source().to_owned(),
        }
    }

    pub fn references(&self) -> Vec<Reference> {
        match self {
            DurationSpec::Fixed(_) => Vec::new(),
            DurationSpec::Template(template) => template.references().to_vec(),
        }
    }
}

/// Everything that must hold of a result.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    pub default: Option<DefaultExpect>,
    pub entries: Vec<Expr>,
}

/// How a result was found.
pub enum Verdict {
    Holds,
    /// It is not as expected; drawn under the entry that demanded it.
    Misses(Failure),
    /// The expression itself failed.
    Broken(Diagnostic),
    /// It uses values that are not there yet.
    Deferred(Vec<String>),
}

impl Expectations {
    /// The default, unless an entry speaks of exit or status itself.
    pub fn default_in_force(&self) -> DefaultExpect {
        let spoken = self.entries.iter().any(mentions_outcome);
        if spoken { DefaultExpect::Nothing } else { self.default.unwrap_or(DefaultExpect::Nothing) }
    }

    pub fn judge(&self, scope: &Scope, result: &Value) -> Verdict {
        self.judge_with(self.default_in_force(), scope, result)
    }

    pub fn judge_with(&self, default: DefaultExpect, scope: &Scope, result: &Value) -> Verdict {
        match default {
            DefaultExpect::Nothing => {}
            DefaultExpect::ExitZero => match field(result, "exit") {
                Some(Value::Int(0)) => {}
                Some(code) => {
                    return Verdict::Misses(Failure::plain(format!("it exited with {code}{}", last_line(result))));
                }
                None => return Verdict::Misses(Failure::plain("it did not exit")),
            },
            DefaultExpect::Status2xx => match field(result, "status") {
                Some(Value::Int(200..=299)) => {}
                Some(status) => {
                    let reason = reason_phrase(status);
                    return Verdict::Misses(Failure::plain(format!("the answer was {status}{reason}")));
                }
                None => return Verdict::Misses(Failure::plain("there was no answer")),
            },
        }
        for entry in &self.entries {
            match entry.eval_bool(scope, &[("result", result.clone())]) {
                Ok(Truth::True) => {}
                Ok(Truth::False) => return Verdict::Misses(Failure::drawn(missed(entry, result, scope))),
                Ok(Truth::Deferred(names)) => return Verdict::Deferred(names),
                Err(diagnostic) => return Verdict::Broken(diagnostic),
            }
        }
        Verdict::Holds
    }
}

/// Uses of `result.FIELD` where the kind has no such field.
pub fn unknown_fields(expr: &Expr, kind: &str, outputs: &[&str]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for reference in expr.references().iter().filter(|reference| reference.name == "result") {
        let Some(field) = reference.path.first() else { continue };
        if outputs.is_empty() || outputs == ANY_OUTPUT || outputs.contains(&field.as_str()) {
            continue;
        }
        let message = format!("the result of a `{kind}` step has no `{field}`");
        let near = did_you_mean(field, outputs.iter().copied());
        let hint = near.unwrap_or_else(|| format!("it has {}", listed(outputs)));
        problems.push(
            Diagnostic::error("unknown-result-field", reference.field_span(), message)
                .label("no such field")
                .hint(hint),
        );
    }
    problems
}

/// Words as a message lists them.
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Whether an expression speaks of `result.exit` or `result.status`.
pub fn mentions_outcome(expr: &Expr) -> bool {
    expr.references()
        .iter()
        .any(|r| r.name == "result" && r.path.first().is_some_and(|field| field == "exit" || field == "status"))
}

/// The drawing of an expectation that did not hold: the values it looked at stand at their place.
pub fn missed(entry: &Expr, result: &Value, scope: &Scope) -> Diagnostic {
    let mut seen = Vec::new();
    for reference in entry.references() {
        let mut value = match (reference.name.as_str(), scope.get(&reference.name)) {
            ("result", _) => Some(result.clone()),
            (_, Some(crate::value::Slot::Known(value))) => Some(value.clone()),
            _ => None,
        };
        let mut name = reference.name.clone();
        for step in &reference.path {
            value = value.and_then(|value| field(&value, step).cloned());
            name = format!("{name}.{step}");
        }
        if let Some(value) = value {
            let text = format!("`{name}` is {}", brief(&value));
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
    }
    let label = if seen.is_empty() { "this does not hold".to_owned() } else { seen.join(", ") };
    Diagnostic::error("expect-failed", entry.span(), format!("expected {}", one_line(entry.source()))).label(label)
}

/// A value, short enough for a label.
pub fn brief(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => format!("{:?}", text.as_ref()),
        other => other.to_string(),
    };
    cut(&text, 100).into_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Map(entries) => entries.get(name),
        _ => None,
    }
}

/// What a failed command said last, which is most often why.
fn last_line(result: &Value) -> String {
    let said = |stream| {
        let text = field(result, stream)?.as_str()?;
        text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
    };
    match said("stderr").or_else(|| said("stdout")) {
        Some(line) => format!(": {}", cut(&line, 300)),
        None => String::new(),
    }
}

fn reason_phrase(status: &Value) -> String {
    let Value::Int(code) = status else { return String::new() };
    let phrase = match code {
        301 | 302 | 303 | 307 | 308 => "a redirect, which is not followed",
        400 => "bad request",
        401 => "unauthorised",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        409 => "conflict",
        422 => "unprocessable",
        429 => "too many requests",
        500 => "server error",
        502 => "bad gateway",
        503 => "unavailable",
        504 => "gateway timeout",
        _ => return String::new(),
    };
    format!(" ({phrase})")
}
