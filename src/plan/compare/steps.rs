//! What a step that is in both versions says otherwise. Does not know where it stands, or what it waits for.

use serde_json::Value as Json;

use super::{
    Change, What,
    facts::{self, Facts, expression, shown},
    order::{sorted, text_of},
    pairs::Pairs,
    units::{Tree, Unit},
};
use crate::{
    event::Effect,
    model::{Body, DefaultExpect, Inside, Retry},
    syntax::Template,
    value::show_duration,
};

pub fn changes(old: &Tree<'_>, new: &Tree<'_>, pairs: &Pairs, changes: &mut Vec<Change>) {
    let renamed: Vec<(&str, &str)> = sorted(pairs)
        .into_iter()
        .map(|(one, other)| (old.units[one].step.id.value.as_str(), new.units[other].step.id.value.as_str()))
        .filter(|(was, is)| was != is)
        .collect();
    for (one, other) in sorted(pairs) {
        let mut pair = Pair { path: new.path(other), renamed: &renamed, changes };
        pair.step(&old.units[one], &new.units[other]);
    }
}

struct Pair<'p> {
    path: &'p str,
    renamed: &'p [(&'p str, &'p str)],
    changes: &'p mut Vec<Change>,
}

/// A guard that a step has or has not.
type Text = Option<String>;

impl Pair<'_> {
    fn push(&mut self, what: What, part: &str, says: &str, before: Text, after: Text) {
        let change = Change::new(what, Some(self.path), part, format!("{}: {says}", self.path));
        self.changes.push(change.values(before, after));
    }

    /// As [`Pair::push`], of what is read line by line.
    fn push_lines(&mut self, what: What, part: &str, says: &str, before: Text, after: Text) {
        let change = Change::new(what, Some(self.path), part, format!("{}: {says}", self.path));
        self.changes.push(change.lines(before, after));
    }

    fn step(&mut self, old: &Unit<'_>, new: &Unit<'_>) {
        let (was, is) = (old.step, new.step);
        let asked = is.body.action.is_asked();
        if was.body.kind == is.body.kind {
            self.facts("", is.body.kind, &old.facts, &new.facts);
        } else {
            let says = format!("is a {} step no longer, but a {} step", was.body.kind, is.body.kind);
            let (before, after) = (text_of(old), text_of(new));
            self.push_lines(What::ActionChanged, "kind", &says, before, after);
        }
        let calls = matches!(is.body.action.inside(), Some(Inside::Call(_)));
        let same_callee = old.facts.get("runbook") == new.facts.get("runbook");
        // What is of another kind is another step, whose weaker effect hides nothing.
        let lowered = was.body.kind != is.body.kind && is.body.effect < was.body.effect;
        if is.is_leaf() && !(calls && same_callee) && !lowered {
            self.effect("", was.body.effect, is.body.effect);
        }
        let when = |step: &crate::model::Step| step.when.as_ref().map(|when| when.on_one_line());
        if is.body.action.is_gate() {
            self.condition_of_gate(when(was), when(is));
        } else {
            self.guard("when", "only when", when(was), when(is));
        }
        self.body("", &was.body, &is.body);
        self.loops(was, is);
        self.cases(was, is);
        self.verify(old, new);
        self.undo(old, new);
        match (was.critical, is.critical) {
            (true, false) => {
                self.push(What::GuardRemoved, "critical", "can be skipped by the operator now", None, None)
            }
            (false, true) => self.push(What::GuardAdded, "critical", "cannot be skipped any more", None, None),
            _ => {}
        }
        match (was.irreversible, is.irreversible) {
            (true, false) => {
                self.push(What::GuardRemoved, "irreversible", "is a point of no return no longer", None, None);
            }
            (false, true) => self.push(
                What::GuardChanged,
                "irreversible",
                "is a point of no return now: nothing before it is undone once it ran",
                None,
                None,
            ),
            _ => {}
        }
        if was.idempotent != is.idempotent && was.body.effect == is.body.effect && !asked {
            let says = if is.idempotent { "may run twice now, unasked" } else { "may not run twice any more" };
            self.push(What::RetryChanged, "idempotent", says, None, None);
        }
        let policy = |step: &crate::model::Step| step.policy().name().to_owned();
        if was.on_failure != is.on_failure && policy(was) != policy(is) {
            self.push(What::FailureChanged, "on_failure", "when it fails:", Some(policy(was)), Some(policy(is)));
        }
        let retry = |step: &crate::model::Step| step.retry.as_ref().map(retries);
        if retry(was) != retry(is) {
            self.push(What::RetryChanged, "retry", "tried again:", retry(was), retry(is));
        }
        let prose = |template: &Option<Template>| template.as_ref().map(|text| prose(text.source()));
        for (part, before, after) in [("title", &was.title, &is.title), ("text", &was.text, &is.text)] {
            if prose(before) != prose(after) {
                self.push_lines(What::WordingChanged, part, &format!("{part} changed"), prose(before), prose(after));
            }
        }
    }

    /// What every body has besides its kind.
    fn body(&mut self, prefix: &str, was: &Body, is: &Body) {
        let part = |name: &str| format!("{prefix}{name}");
        let expects = |body: &Body| {
            let default = match body.expect.default_in_force() {
                DefaultExpect::Nothing => None,
                DefaultExpect::ExitZero => Some("result.exit == 0".to_owned()),
                DefaultExpect::Status2xx => Some("result.status in 200..299".to_owned()),
            };
            let entries = body.expect.entries.iter().map(|entry| entry.on_one_line());
            default.into_iter().chain(entries).collect::<Vec<_>>()
        };
        let (mut before, mut after) = (expects(was), expects(is));
        before.iter_mut().for_each(|entry| *entry = self.now(entry));
        let gone: Vec<String> = before.iter().filter(|entry| !after.contains(entry)).cloned().collect();
        after.retain(|entry| !before.contains(entry));
        // A body of another kind has other expectations by itself.
        if was.kind == is.kind || !was.expect.entries.is_empty() {
            match (gone.as_slice(), after.as_slice()) {
                ([], []) => {}
                (gone, []) => self.push(What::GuardRemoved, &part("expect"), "no longer expects", joined(gone), None),
                ([], came) => self.push(What::GuardAdded, &part("expect"), "also expects", None, joined(came)),
                (gone, came) => {
                    self.push(What::GuardChanged, &part("expect"), "expects:", joined(gone), joined(came));
                }
            }
        }
        self.captures(prefix, was, is);
        let limit = |body: &Body| match &body.timeout {
            Some(timeout) => Some(timeout.source()),
            None => body.action.default_timeout().map(show_duration),
        };
        if was.kind == is.kind && limit(was) != limit(is) {
            let none = || Some("none".to_owned());
            self.push(
                What::TimeoutChanged,
                &part("timeout"),
                "timeout",
                limit(was).or_else(none),
                limit(is).or_else(none),
            );
        }
        for (name, value) in &is.env {
            let before =
                was.env.iter().find(|(of, _)| of.value == name.value).map(|(_, value)| value.source().to_owned());
            if before.as_deref() != Some(value.source()) {
                let says = format!("variable {}", name.value);
                self.push_lines(What::CommandChanged, &part("env"), &says, before, Some(value.source().to_owned()));
            }
        }
        for (name, value) in was.env.iter().filter(|(name, _)| is.env.iter().all(|(of, _)| of.value != name.value)) {
            let says = format!("variable {} is gone", name.value);
            self.push_lines(What::CommandChanged, &part("env"), &says, Some(value.source().to_owned()), None);
        }
        let folder = |body: &Body| body.cwd.as_ref().map(|cwd| cwd.source().to_owned());
        if folder(was) != folder(is) {
            let says = another_folder(folder(was).is_some(), folder(is).is_some());
            self.push(What::CommandChanged, &part("cwd"), says, folder(was), folder(is));
        }
    }

    fn captures(&mut self, prefix: &str, was: &Body, is: &Body) {
        let part = format!("{prefix}capture");
        for capture in &is.captures {
            let name = &capture.name.value;
            let after = capture.value.on_one_line();
            let Some(before) = was.captures.iter().find(|of| of.name.value == *name) else {
                self.push(What::CaptureChanged, &part, &format!("also keeps {name} ="), None, Some(after));
                continue;
            };
            if before.secret != capture.secret {
                let (what, says) = match capture.secret {
                    false => {
                        (What::GuardRemoved, format!("{name} is kept as a secret no longer: it is shown and on record"))
                    }
                    true => (What::GuardAdded, format!("{name} is kept as a secret now")),
                };
                self.push(what, &part, &says, None, None);
            }
            let before = self.now(&before.value.on_one_line());
            if before != after {
                self.push_lines(
                    What::CaptureChanged,
                    &part,
                    &format!("keeps another {name}"),
                    Some(before),
                    Some(after),
                );
            }
        }
        for capture in was.captures.iter().filter(|of| is.captures.iter().all(|is| is.name.value != of.name.value)) {
            let says = format!("no longer keeps {} =", capture.name.value);
            self.push(What::CaptureChanged, &part, &says, Some(capture.value.on_one_line()), None);
        }
    }

    fn effect(&mut self, prefix: &str, was: Effect, is: Effect) {
        let part = format!("{prefix}effect");
        let names = |effect: Effect| Some(effect.name().to_owned());
        if is < was {
            self.push(What::EffectLowered, &part, "effect", names(was), names(is));
        } else if is == Effect::Destroy && was < is {
            let change = Change::new(What::DestroyAdded, Some(self.path), &part, format!("{}: effect", self.path));
            self.changes.push(change.values(names(was), names(is)).and(What::EffectRaised));
        } else if was < is {
            self.push(What::EffectRaised, &part, "effect", names(was), names(is));
        }
    }

    /// A condition, or a body: something that holds a step back, or proves it.
    fn guard(&mut self, part: &str, says: &str, before: Text, after: Text) {
        let before = before.map(|text| self.now(&text));
        match (&before, &after) {
            (a, b) if a == b => {}
            (Some(_), None) => self.push(What::GuardRemoved, part, &format!("no longer {says}"), before, None),
            (None, Some(_)) => self.push(What::GuardAdded, part, says, None, after),
            _ => self.push(What::GuardChanged, part, &format!("{says}:"), before, after),
        }
    }

    /// A confirm that has a condition is not asked where that does not hold.
    fn condition_of_gate(&mut self, before: Text, after: Text) {
        let before = before.map(|text| self.now(&text));
        match (&before, &after) {
            (a, b) if a == b => {}
            (Some(_), None) => {
                self.push(What::GuardAdded, "when", "is always asked now, and not only when", before, None)
            }
            (None, Some(_)) => self.push(What::GuardChanged, "when", "is asked only when", None, after),
            _ => self.push(What::GuardChanged, "when", "is asked only when:", before, after),
        }
    }

    fn loops(&mut self, was: &crate::model::Step, is: &crate::model::Step) {
        let over = |step: &crate::model::Step| {
            step.foreach.as_ref().map(|foreach| format!("{} in {}", foreach.name.value, foreach.source()))
        };
        if over(was) != over(is) {
            let says = match (&was.foreach, &is.foreach) {
                (None, _) => "is done once for each",
                (_, None) => "is done once, and no longer for each",
                _ => "is done for each",
            };
            self.push(What::ActionChanged, "foreach", says, over(was), over(is));
        } else if let (Some(before), Some(after)) = (&was.foreach, &is.foreach)
            && before.parallel != after.parallel
        {
            let says = "items side by side:";
            self.push(What::LimitChanged, "foreach.parallel", says, number(before.parallel), number(after.parallel));
        }
    }

    /// The ways of a choice; their steps are steps like all others.
    fn cases(&mut self, was: &crate::model::Step, is: &crate::model::Step) {
        let (Some(Inside::Choose(was)), Some(Inside::Choose(is))) = (was.body.action.inside(), is.body.action.inside())
        else {
            return;
        };
        for case in &is.cases {
            let id = &case.id.value;
            let part = format!("cases.{id}");
            let Some(before) = was.cases.iter().find(|of| of.id.value == *id) else {
                self.push(What::ActionChanged, &part, &format!("has another way: {id}"), None, None);
                continue;
            };
            let when = |case: &crate::model::Case| match (&case.when, case.otherwise) {
                (Some(when), _) => Some(when.on_one_line()),
                (None, true) => Some("no other way is taken".to_owned()),
                (None, false) => None,
            };
            let says = format!("takes the way {id} only when");
            self.guard(&format!("{part}.when"), &says, when(before), when(case));
            let title = |case: &crate::model::Case| case.title.as_ref().map(|title| prose(title.source()));
            if title(before) != title(case) {
                let says = format!("the way {id} has another title");
                self.push_lines(What::WordingChanged, &format!("{part}.title"), &says, title(before), title(case));
            }
        }
        for case in was.cases.iter().filter(|case| is.cases.iter().all(|of| of.id.value != case.id.value)) {
            let id = &case.id.value;
            self.push(What::ActionChanged, &format!("cases.{id}"), &format!("no longer has the way {id}"), None, None);
        }
        let order = |cases: &[crate::model::Case], among: &[crate::model::Case]| {
            let known = |case: &&crate::model::Case| among.iter().any(|of| of.id.value == case.id.value);
            cases.iter().filter(known).map(|case| case.id.value.clone()).collect::<Vec<_>>()
        };
        let (before, after) = (order(&was.cases, &is.cases), order(&is.cases, &was.cases));
        // Where a person chooses, the order is only that of the question.
        if before != after && is.question.is_none() {
            self.push(
                What::ActionChanged,
                "cases",
                "tries its ways in another order:",
                joined(&before),
                joined(&after),
            );
        }
    }

    fn verify(&mut self, old: &Unit<'_>, new: &Unit<'_>) {
        match (&old.step.verify, &new.step.verify) {
            (None, None) => {}
            (Some(_), None) => {
                let says = "nobody can look up any more whether it took effect (no verify)";
                self.push(What::GuardRemoved, "verify", says, None, None);
            }
            (None, Some(_)) => {
                self.push(What::GuardAdded, "verify", "it can be looked up whether it took effect", None, None)
            }
            (Some(was), Some(is)) => {
                let from = self.changes.len();
                self.inner("verify.", was, is, &old.verify, &new.verify);
                self.as_guard(from, "verify");
            }
        }
    }

    fn undo(&mut self, old: &Unit<'_>, new: &Unit<'_>) {
        match (&old.step.undo, &new.step.undo) {
            (None, None) => {}
            (Some(_), None) => self.push(What::GuardRemoved, "undo", "can no longer be undone", None, None),
            (None, Some(_)) => self.push(What::GuardAdded, "undo", "can be undone", None, None),
            (Some(was), Some(is)) => {
                let from = self.changes.len();
                self.inner("undo.", &was.body, &is.body, &old.undo, &new.undo);
                self.effect("undo.", was.body.effect, is.body.effect);
                self.as_guard(from, "undo");
            }
        }
    }

    fn inner(&mut self, prefix: &str, was: &Body, is: &Body, old: &Facts, new: &Facts) {
        if was.kind == is.kind {
            self.facts(prefix, is.kind, old, new);
        } else {
            self.push(
                What::ActionChanged,
                &format!("{prefix}kind"),
                "is of another kind:",
                Some(was.kind.to_owned()),
                Some(is.kind.to_owned()),
            );
        }
        self.body(prefix, was, is);
    }

    /// Whatever is another in a guard makes it another guard; the words say in which.
    fn as_guard(&mut self, from: usize, name: &str) {
        let path = self.path;
        for change in &mut self.changes[from..] {
            let weak = change.weight() == super::Weight::Weakens || change.is(What::DestroyAdded);
            if !weak && !change.is(What::GuardAdded) {
                change.whats.insert(0, What::GuardChanged);
            }
            change.says = change.says.replacen(&format!("{path}: "), &format!("{path}: its {name}: "), 1);
        }
    }

    /// What the kind says.
    fn facts(&mut self, prefix: &str, kind: &str, old: &Facts, new: &Facts) {
        let mut paths: Vec<&String> = new.keys().collect();
        paths.extend(old.keys().filter(|path| !new.contains_key(*path)));
        for path in paths {
            let usual = facts::usual(kind, path);
            let (before, after) = (old.get(path).or(usual.as_ref()), new.get(path).or(usual.as_ref()));
            if before.map(shown) == after.map(shown) {
                continue;
            }
            let role = role(kind, path);
            let part = if prefix.is_empty() { format!("{kind}.{path}") } else { format!("{prefix}{path}") };
            let text = |value: Option<&Json>| value.map(shown);
            let last = path.rsplit('.').next().unwrap_or(path).to_owned();
            match role {
                Role::Guard => self.guard(&part, guard_words(&last), text(before), text(after)),
                Role::Of(what) if what == What::WordingChanged => {
                    let prose = |text: Text| text.map(|text| prose(&text));
                    let (before, after) = (prose(text(before)), prose(text(after)));
                    if before != after {
                        self.push_lines(what, &part, &format!("{last} changed"), before, after);
                    }
                }
                Role::Of(what @ (What::TimeoutChanged | What::RetryChanged | What::LimitChanged)) => {
                    self.push(what, &part, &last, text(before), text(after));
                }
                Role::Of(what) => {
                    let says = match (path.as_str(), before.is_some(), after.is_some()) {
                        ("script", true, true) => "runs another script".to_owned(),
                        (_, true, true) => format!("{path} changed"),
                        (_, false, _) => format!("{path} added"),
                        _ => format!("{path} removed"),
                    };
                    self.push_lines(what, &part, &says, text(before), text(after));
                }
            }
        }
    }

    /// An expression of the old version, with the ids that steps have now.
    fn now(&self, text: &str) -> String {
        let mut text = expression(text);
        for (was, is) in self.renamed {
            for quote in ['"', '\''] {
                text = text.replace(&format!("steps[{quote}{was}{quote}]"), &format!("steps[{quote}{is}{quote}]"));
            }
        }
        text
    }
}

enum Role {
    Guard,
    Of(What),
}

/// What it means that a part of a kind is another one. Names of authors say nothing.
fn role(kind: &str, path: &str) -> Role {
    let mut role = Role::Of(match kind {
        "shell" => What::CommandChanged,
        "http" => What::RequestChanged,
        "call" => What::CallChanged,
        _ => What::ActionChanged,
    });
    if kind == "set" {
        return role;
    }
    let mut parts = path.split('.');
    while let Some(part) = parts.next() {
        role = match part {
            "shell" => Role::Of(What::CommandChanged),
            "http" => Role::Of(What::RequestChanged),
            "for" if kind == "watch" => Role::Guard,
            "until" | "fail_when" | "alarm_when" | "alarm_after" | "no_data" | "expect" | "held_for" | "type_back"
            | "not_before" | "not_after" | "approvers" | "pattern" | "min" | "max" | "min_length" | "max_length" => {
                Role::Guard
            }
            "timeout" | "for" => Role::Of(What::TimeoutChanged),
            "interval" | "backoff" | "max_interval" => Role::Of(What::RetryChanged),
            "kill_grace" | "max_output" | "max_body" | "parallel" => Role::Of(What::LimitChanged),
            "message" | "question" | "prompt" | "help" | "example" | "unit" => Role::Of(What::WordingChanged),
            "capture" | "value" => Role::Of(What::CaptureChanged),
            _ => role,
        };
        match part {
            "probes" | "fields" | "evidence" => drop(parts.next()),
            "headers" | "query" | "form" | "json" | "env" | "params" | "auth" => return role,
            _ => {}
        }
    }
    role
}

/// A guard in words that fit behind "no longer".
fn guard_words(key: &str) -> &str {
    match key {
        "until" => "waits until",
        "fail_when" => "fails at once when",
        "alarm_when" => "raises an alarm when",
        "alarm_after" => "alarms after so many times in a row",
        "no_data" => "alarms after so many looks without a value",
        "held_for" => "must hold for",
        "type_back" => "asks to type back",
        "not_before" => "allows a yes not before",
        "not_after" => "allows a yes not after",
        "for" => "watches for",
        key => key,
    }
}

fn retries(retry: &Retry) -> String {
    let mut text = format!("{} attempts, {} apart", retry.attempts, show_duration(retry.interval));
    if retry.backoff > 1.0 {
        let most = show_duration(retry.max_interval);
        text.push_str(&format!(", each time {} times as long up to {most}", retry.backoff));
    }
    if let Some(when) = &retry.when {
        text.push_str(&format!(", when {}", when.on_one_line()));
    }
    text
}

/// Text for people: how its lines are broken makes no difference.
pub fn prose(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .trim()
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    paragraphs.join("\n")
}

/// In words that its name, or both, can follow.
pub fn another_folder(was: bool, is: bool) -> &'static str {
    match (was, is) {
        (true, false) => "no longer runs in the folder",
        (false, true) => "runs in the folder",
        _ => "runs in another folder:",
    }
}

fn number(number: Option<usize>) -> Text {
    Some(number.map_or_else(|| "one after the other".into(), |number| number.to_string()))
}

fn joined(texts: &[String]) -> Text {
    (!texts.is_empty()).then(|| texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_its_words() {
        assert_eq!(prose("a b\n  c\n\n d\n"), "a b c\nd");
    }

    #[test]
    fn names_of_authors_mean_nothing() {
        let guard = |kind: &str, path: &str| matches!(role(kind, path), Role::Guard);
        assert!(guard("watch", "probes.errors.alarm_when"));
        assert!(!guard("watch", "probes.until.http.url"));
        assert!(!guard("http", "headers.until"));
        assert!(!guard("set", "expect"));
        assert!(guard("wait", "until"));
        assert!(guard("ask", "fields.timeout.pattern"));
    }
}
