//! From a mail to the runbook it calls for: which triggers match, which says most, and what the mail gives to parameters.
//! Reads no file and runs nothing.

mod mail;
mod sieve;

use std::{collections::HashSet, rc::Rc};

pub use mail::{BODY_LIMIT, MAIL_LIMIT, Mail, mails};
pub use sieve::sieve;

use crate::{
    model::{EmailPattern, Runbook, Trigger},
    syntax::{Eval, Expr, Truth},
    text::{Diagnostic, one_line},
    value::{Scope, Value},
};

/// How many earlier mails a rule can look at, and how many later ones: the nearest.
pub const EARLIER_LIMIT: usize = 200;

/// A trigger that a mail matches.
pub struct Match<'a> {
    pub runbook: &'a Rc<Runbook>,
    pub trigger: &'a Trigger,
    /// Parameters in the mail's words, in the order written; or why one cannot be taken from this mail.
    pub params: Vec<(String, Result<String, String>)>,
    /// How many seconds earlier mails came that the same patterns match, the latest first.
    pub before: Vec<u64>,
}

/// What came of looking for one mail.
pub struct Found<'a> {
    /// The one that says most comes first.
    pub matches: Vec<Match<'a>>,
    /// Conditions that could not be evaluated over this mail; their triggers do not match.
    pub problems: Vec<(&'a Rc<Runbook>, Diagnostic)>,
}

/// Every trigger of these runbooks, the one that says most first: whether it has a condition, how many fields it looks at,
/// how many of them in full, and how long they are. Of equals, the order of the runbooks stays.
pub fn ranked(runbooks: &[Rc<Runbook>]) -> Vec<(&Rc<Runbook>, &Trigger)> {
    let mut all = all(runbooks);
    all.sort_by_key(|(_, trigger)| std::cmp::Reverse((trigger.when.is_some(), weight(&trigger.email))));
    all
}

fn all(runbooks: &[Rc<Runbook>]) -> Vec<(&Rc<Runbook>, &Trigger)> {
    runbooks.iter().flat_map(|runbook| runbook.triggers.iter().map(move |trigger| (runbook, trigger))).collect()
}

/// How much patterns say: how many fields they look at, how many of them in full, and how long they are.
fn weight(pattern: &EmailPattern) -> (usize, usize, usize) {
    let (mut count, mut exact, mut literal) = (0, 0, 0);
    for (_, pattern) in pattern.fields() {
        count += 1;
        exact += usize::from(pattern.is_exact());
        literal += pattern.literal_len();
    }
    (count, exact, literal)
}

/// What leads where with this mail. `others` are mails from before and after it, in any order; the nearest count.
pub fn find<'a>(runbooks: &'a [Rc<Runbook>], mail: &Mail, others: &[Mail]) -> Found<'a> {
    let scope = Scope::new();
    let mut found = Found { matches: Vec::new(), problems: Vec::new() };
    let before = before(mail, others);
    let mut values: Option<(Value, Value)> = None;
    for (runbook, trigger) in ranked(runbooks) {
        let Some(to) = recipient(&trigger.email, mail) else { continue };
        let (earlier, later) =
            values.get_or_insert_with(|| (as_value(&before), as_value(&after(mail, others)))).clone();
        let locals = [
            ("subject", Value::text(&mail.subject)),
            ("from", Value::text(&mail.from)),
            ("to", Value::text(to)),
            ("body", Value::text(&mail.body)),
            ("date", mail.date.map_or(Value::None, |date| Value::text(date.to_string()))),
            ("earlier", earlier),
            ("later", later),
        ];
        match trigger.when.as_ref().map(|when| when.eval_bool(&scope, &locals)) {
            None | Some(Ok(Truth::True)) => {}
            Some(Ok(Truth::False | Truth::Deferred(_))) => continue,
            Some(Err(problem)) => {
                found.problems.push((runbook, problem));
                continue;
            }
        }
        let params = trigger.params.iter().map(|(name, expr)| (name.clone(), taken(runbook, name, expr, &locals)));
        let alike = before.iter().filter(|(_, other)| recipient(&trigger.email, other).is_some());
        let before = alike.map(|(age, _)| *age).collect();
        found.matches.push(Match { runbook, trigger, params: params.collect(), before });
    }
    found
}

/// The value of a parameter, as it would be written behind `--param`.
fn taken(runbook: &Runbook, name: &str, expr: &Expr, locals: &[(&str, Value)]) -> Result<String, String> {
    let value = match expr.eval(&Scope::new(), locals) {
        Ok(Eval::Value(value)) => value,
        // Nothing of a mail is ever unknown.
        Ok(Eval::Deferred(names)) => return Err(format!("it needs {}", names.join(", "))),
        Err(problem) => return Err(problem.message),
    };
    let Some(text) = value.to_env() else { return Err("the mail does not say it".to_owned()) };
    match runbook.params.get(name).map(|param| param.read_text(&text)) {
        Some(Err(why)) => Err(format!("the mail says {}: {why}", one_line(&text))),
        _ => Ok(text),
    }
}

/// The address for which the mail matches; the first where the pattern does not look at it. None: it does not match.
fn recipient<'m>(pattern: &EmailPattern, mail: &'m Mail) -> Option<&'m str> {
    if pattern.from.as_ref().is_some_and(|from| !from.matches(&mail.from))
        || pattern.subject.as_ref().is_some_and(|subject| !subject.matches(&mail.subject))
    {
        return None;
    }
    match &pattern.to {
        Some(to) => mail.to.iter().find(|address| to.matches(address)).map(String::as_str),
        None => Some(mail.to.first().map_or("", String::as_str)),
    }
}

/// The mails before this one, newest first, each once, and how many seconds before it. Which is before which cannot be told
/// of one without a date.
fn before<'m>(mail: &Mail, others: &'m [Mail]) -> Vec<(u64, &'m Mail)> {
    nearest(mail, others, |now, then| now.duration_since(then).as_secs())
}

/// The mails after this one, oldest first, each once, and how many seconds after it. What came in the same second is taken
/// for an earlier one.
fn after<'m>(mail: &Mail, others: &'m [Mail]) -> Vec<(u64, &'m Mail)> {
    let mut after = nearest(mail, others, |now, then| then.duration_since(now).as_secs());
    after.retain(|(age, _)| *age > 0);
    after
}

fn nearest<'m>(
    mail: &Mail,
    others: &'m [Mail],
    distance: impl Fn(jiff::Timestamp, jiff::Timestamp) -> i64,
) -> Vec<(u64, &'m Mail)> {
    let Some(now) = mail.date else { return Vec::new() };
    let age = |other: &Mail| u64::try_from(distance(now, other.date?)).ok();
    let mut found: Vec<(u64, &Mail)> = others.iter().filter_map(|other| Some((age(other)?, other))).collect();
    found.sort_by_key(|(age, _)| *age);
    let mut known = HashSet::from([mail.key()]);
    found.retain(|(_, other)| known.insert(other.key()));
    found.truncate(EARLIER_LIMIT);
    found
}

fn as_value(mails: &[(u64, &Mail)]) -> Value {
    let values = mails.iter().map(|(age, other)| {
        let entries = [
            ("subject", Value::text(&other.subject)),
            ("from", Value::text(&other.from)),
            ("to", Value::list(other.to.iter().map(Value::text).collect())),
            ("body", Value::text(&other.body)),
            ("age", Value::Int(i64::try_from(*age).unwrap_or(i64::MAX))),
        ];
        Value::map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    });
    Value::list(values.collect())
}
