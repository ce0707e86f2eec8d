//! The mails around one: those before it and those after it, the nearest first. Knows no rule.

use std::{collections::HashSet, rc::Rc};

use indexmap::IndexMap;

use super::{Mail, all, recipient};
use crate::{
    model::{EmailPattern, Runbook},
    value::Value,
};

/// How many earlier mails a rule can look at, and how many later ones: the nearest of those that some trigger knows by its
/// patterns, so that what is about something else does not push them out.
pub const KNOWN_LIMIT: usize = 1000;
/// And of those that none knows.
pub const OTHERS_LIMIT: usize = 200;

/// Mails in the order in which they were sent, each once. Which is before which cannot be told of one without a date.
pub struct Others<'m> {
    /// Those that the patterns of some trigger match.
    known: Vec<Other<'m>>,
    unknown: Vec<Other<'m>>,
}

struct Other<'m> {
    date: jiff::Timestamp,
    key: String,
    mail: &'m Mail,
    /// What rules see of it, but its age. Made once: it is seen from every mail around it.
    seen: IndexMap<String, Value>,
}

/// Mails, each with how many seconds lie between it and the one that is looked at.
pub struct Nearest<'o> {
    mails: Vec<(u64, &'o Other<'o>)>,
    /// There are more that some trigger knows.
    pub is_limited: bool,
}

impl<'m> Others<'m> {
    pub fn new(runbooks: &[Rc<Runbook>], mails: &'m [Mail]) -> Others<'m> {
        let triggers = all(runbooks);
        let mut met = HashSet::new();
        let others =
            mails.iter().filter_map(|mail| Some(Other { date: mail.date?, key: mail.key(), mail, seen: seen(mail) }));
        let mut others: Vec<_> = others.filter(|other| met.insert(other.key.clone())).collect();
        others.sort_by_key(|other| other.date);
        let is_known =
            |other: &Other<'_>| triggers.iter().any(|(_, trigger)| recipient(&trigger.email, other.mail).is_some());
        let (known, unknown) = others.into_iter().partition(is_known);
        Others { known, unknown }
    }

    /// The mails before this one, newest first.
    pub fn before(&self, mail: &Mail) -> Nearest<'_> {
        let Some(now) = mail.date else { return Nearest::none() };
        let key = mail.key();
        let until = |mails: &[Other<'_>]| mails.partition_point(|other| other.date <= now);
        let known = self.known[..until(&self.known)].iter().rev();
        let unknown = self.unknown[..until(&self.unknown)].iter().rev();
        Nearest::of(known, now, &key, KNOWN_LIMIT).and(Nearest::of(unknown, now, &key, OTHERS_LIMIT))
    }

    /// The mails after this one, oldest first. What came in the same second is taken for an earlier one.
    pub fn after(&self, mail: &Mail) -> Nearest<'_> {
        let Some(now) = mail.date else { return Nearest::none() };
        let key = mail.key();
        let from = |mails: &[Other<'_>]| mails.partition_point(|other| other.date <= now);
        let known = self.known[from(&self.known)..].iter();
        let unknown = self.unknown[from(&self.unknown)..].iter();
        Nearest::of(known, now, &key, KNOWN_LIMIT).and(Nearest::of(unknown, now, &key, OTHERS_LIMIT))
    }
}

impl<'o> Nearest<'o> {
    fn none() -> Nearest<'o> {
        Nearest { mails: Vec::new(), is_limited: false }
    }

    /// As many as are looked at, without the mail itself.
    fn of(others: impl Iterator<Item = &'o Other<'o>>, now: jiff::Timestamp, key: &str, limit: usize) -> Nearest<'o> {
        let mut others = others
            .filter(|other| other.key != key)
            .map(|other| (now.duration_since(other.date).as_secs().unsigned_abs(), other));
        let mails = others.by_ref().take(limit).collect();
        Nearest { mails, is_limited: others.next().is_some() }
    }

    /// With those that no trigger knows, of which nobody says that there are more.
    fn and(mut self, others: Nearest<'o>) -> Nearest<'o> {
        self.mails.extend(others.mails);
        self.mails.sort_by_key(|(age, _)| *age);
        self
    }

    /// How many seconds lie between it and each that the patterns match, the nearest first.
    pub fn alike(&self, pattern: &EmailPattern) -> Vec<u64> {
        let alike = self.mails.iter().filter(|(_, other)| recipient(pattern, other.mail).is_some());
        alike.map(|(age, _)| *age).collect()
    }

    /// As rules see them.
    pub fn value(&self) -> Value {
        let values = self.mails.iter().map(|(age, other)| {
            let mut seen = other.seen.clone();
            seen.insert("age".to_owned(), Value::Int(i64::try_from(*age).unwrap_or(i64::MAX)));
            Value::map(seen)
        });
        Value::list(values.collect())
    }
}

fn seen(mail: &Mail) -> IndexMap<String, Value> {
    let entries = [
        ("subject", Value::text(&mail.subject)),
        ("from", Value::text(&mail.from)),
        ("to", Value::list(mail.to.iter().map(Value::text).collect())),
        ("body", Value::text(&mail.body)),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
