//! What leads to a runbook: patterns over mails, and how a mail becomes parameters. Reads no mail.

use indexmap::IndexMap;

use super::{
    Lowering, Param,
    bodies::listed,
    fields::{EMAIL_KEYS, TRIGGER_KEYS},
};
use crate::{
    syntax::{Expr, Fields, Given, Problems},
    text::{Diagnostic, Span, Wildcard, did_you_mean},
};

/// What expressions of a trigger see of a mail: its subject, the sender's address, the address of ours it was sent to, the
/// text, when it was sent, and the mails before and after it, each with `subject`, `from`, `to`, `body` and `age`: the seconds
/// between it and this one.
pub const MAIL_NAMES: [&str; 7] = ["subject", "from", "to", "body", "date", "earlier", "later"];

/// One kind of mail that leads to a runbook.
#[derive(Debug)]
pub struct Trigger {
    pub email: EmailPattern,
    /// What such a mail means and why it came.
    pub means: Option<String>,
    /// Who or what sends it.
    pub sent_by: Option<String>,
    /// How to make it stop.
    pub silence: Option<String>,
    /// Where to put such mails, and what a filter can tell them by, in words.
    pub filter: Option<String>,
    /// Such a mail asks for nothing; the runbook only says so.
    pub ignore: bool,
    /// Only mails for which this holds.
    pub when: Option<Expr>,
    /// Values of parameters, from the mail.
    pub params: IndexMap<String, Expr>,
    pub span: Span,
}

/// What a mail must look like: every pattern that there is must match.
#[derive(Debug, Default)]
pub struct EmailPattern {
    pub to: Option<Wildcard>,
    pub from: Option<Wildcard>,
    pub subject: Option<Wildcard>,
}

impl EmailPattern {
    /// The patterns there are, each with the name of its field.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Wildcard)> {
        [("to", &self.to), ("from", &self.from), ("subject", &self.subject)]
            .into_iter()
            .filter_map(|(name, pattern)| Some((name, pattern.as_ref()?)))
    }
}

impl Lowering {
    pub(super) fn triggers(&self, given: &Given<'_>, params: &IndexMap<String, Param>) -> Vec<Trigger> {
        let form = "[{email: {subject: \"Alert *\"}, means: what it is about}]";
        let items = given.clone().like(form).list().unwrap_or_default();
        items.iter().filter_map(|item| self.trigger(item, params)).collect()
    }

    fn trigger(&self, given: &Given<'_>, params: &IndexMap<String, Param>) -> Option<Trigger> {
        let given = given.clone().like("{email: {subject: \"Alert *\"}, means: what it is about}");
        let mut fields = given.fields("a trigger")?.closed(TRIGGER_KEYS);
        let email = fields.need("email").and_then(|given| email(&given));
        let prose = |given: Option<Given<'_>>| Some(given?.prose()?.text.trim().to_owned());
        let means = prose(fields.get("means"));
        let sent_by = prose(fields.get("sent_by"));
        let silence = prose(fields.get("silence"));
        let filter = prose(fields.get("filter"));
        let ignore = fields.get("ignore").and_then(|given| given.boolean()).unwrap_or(false);
        let when = fields.get("when").and_then(|given| self.mail_expr(&given));
        let mut values = IndexMap::new();
        let entries = fields.get("params").and_then(|given| given.like("{host: subject}").entries());
        for (name, given) in entries.unwrap_or_default() {
            let value = self.mail_expr(&given);
            if params.contains_key(&name.text) {
                values.extend(value.map(|value| (name.text.clone(), value)));
                continue;
            }
            let near = did_you_mean(&name.text, params.keys().map(String::as_str));
            given.problems().push(
                Diagnostic::error(
                    "unknown-name",
                    name.span,
                    format!("a trigger sets `{}`, which is no parameter", name.text),
                )
                .label("no such parameter")
                .hint(near.unwrap_or_else(|| "declare it under `params`, or remove it".to_owned())),
            );
        }
        fields.finish();
        Some(Trigger {
            email: email?,
            means,
            sent_by,
            silence,
            filter,
            ignore,
            when,
            params: values,
            span: given.span(),
        })
    }

    /// An expression that sees a mail and nothing else.
    fn mail_expr(&self, given: &Given<'_>) -> Option<Expr> {
        let expr = self.expr(given)?;
        for reference in expr.references() {
            let name = reference.name.as_str();
            if !MAIL_NAMES.contains(&name) {
                let near = did_you_mean(name, MAIL_NAMES);
                given.problems().push(
                    Diagnostic::error("unknown-name", reference.span, format!("a mail has no `{name}`"))
                        .label("only what the mail says is known here")
                        .hint(near.unwrap_or_else(|| format!("it has {}", listed(&MAIL_NAMES)))),
                );
            }
        }
        Some(expr)
    }
}

fn email(given: &Given<'_>) -> Option<EmailPattern> {
    let given = given.clone().like("{to: \"team+alerts@*\", subject: \"Alert *\"}");
    let mut fields = given.fields("`email`")?.closed(EMAIL_KEYS);
    let to = pattern(&mut fields, "to", given.problems());
    let from = pattern(&mut fields, "from", given.problems());
    let subject = pattern(&mut fields, "subject", given.problems());
    let written = to.is_some() || from.is_some() || subject.is_some();
    let strange = fields.remaining().next().is_some();
    fields.finish();
    let patterns = EmailPattern { to: to.flatten(), from: from.flatten(), subject: subject.flatten() };
    // What is unknown or wrong is told already.
    if !written && !strange {
        let hint = "write at least one of `to`, `from` and `subject`";
        return given.report("missing-key", "`email` does not say which mails", Some(hint.to_owned()));
    }
    if written && patterns.fields().next().is_some() && patterns.fields().all(|(_, pattern)| pattern.literal_len() == 0)
    {
        let hint = "write what such mails have in common, such as subject: \"Alert *\"";
        return given.report("wrong-value", "this matches every mail", Some(hint.to_owned()));
    }
    Some(patterns)
}

/// What stands under this key, if it does; nothing where it is wrong.
fn pattern(fields: &mut Fields<'_>, key: &'static str, problems: &Problems) -> Option<Option<Wildcard>> {
    let given = fields.get(key)?;
    let Some(text) = given.line() else { return Some(None) };
    let (before, after) = (text.text.starts_with(char::is_whitespace), text.text.ends_with(char::is_whitespace));
    if before || after {
        let hint = "remove it; what is compared has none at its ends";
        let message = format!("`{key}` has space at its {}", if before { "beginning" } else { "end" });
        problems.push(Diagnostic::error("wrong-value", text.span, message).hint(hint));
        return Some(None);
    }
    Some(Some(Wildcard::any_case(text.text.as_str())))
}
