//! From a mail to the runbook it calls for: which triggers match, which says most, and what the mail gives to parameters.
//! Reads no file and runs nothing.

mod mail;
mod others;
mod sieve;

use std::rc::Rc;

use others::Nearest;

pub use mail::{BODY_LIMIT, MAIL_LIMIT, Mail, mails};
pub use others::{KNOWN_LIMIT, OTHERS_LIMIT, Others};
pub use sieve::sieve;

use crate::{
    model::{EmailPattern, Runbook, Trigger},
    syntax::{Eval, Expr, Truth},
    text::{Diagnostic, one_line},
    value::{Scope, Value},
};

/// A trigger that a mail matches.
pub struct Match<'a> {
    pub runbook: &'a Rc<Runbook>,
    pub trigger: &'a Trigger,
    /// Parameters in the mail's words, in the order written; or why one cannot be taken from this mail.
    pub params: Vec<(String, Result<String, String>)>,
    /// How many seconds earlier mails came that the same patterns match, the latest first.
    pub before: Vec<u64>,
    /// The address of the mail that the patterns match.
    pub to: &'a str,
}

/// What came of looking for one mail.
pub struct Found<'a> {
    /// The one that says most comes first.
    pub matches: Vec<Match<'a>>,
    /// Conditions that could not be evaluated over this mail; their triggers do not match.
    pub problems: Vec<(&'a Rc<Runbook>, Diagnostic)>,
    /// There were more mails around it than are looked at.
    pub is_limited: bool,
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

/// What leads where with this mail, among others from before and after it.
pub fn find<'a>(runbooks: &'a [Rc<Runbook>], mail: &'a Mail, others: &Others<'_>) -> Found<'a> {
    let scope = Scope::new();
    let mut found = Found { matches: Vec::new(), problems: Vec::new(), is_limited: false };
    // Of most mails nobody knows anything, and nobody asks what came before them.
    let mut around: Option<(Nearest<'_>, Value, Value)> = None;
    for (runbook, trigger) in ranked(runbooks) {
        let Some(to) = recipient(&trigger.email, mail) else { continue };
        let (before, earlier, later) = around.get_or_insert_with(|| {
            let (before, after) = (others.before(mail), others.after(mail));
            found.is_limited = before.is_limited || after.is_limited;
            let (earlier, later) = (before.value(), after.value());
            (before, earlier, later)
        });
        let locals = [
            ("subject", Value::text(&mail.subject)),
            ("from", Value::text(&mail.from)),
            ("to", Value::text(to)),
            ("body", Value::text(&mail.body)),
            ("date", mail.date.map_or(Value::None, |date| Value::text(date.to_string()))),
            ("earlier", earlier.clone()),
            ("later", later.clone()),
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
        let before = before.alike(&trigger.email);
        found.matches.push(Match { runbook, trigger, params: params.collect(), before, to });
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
