//! Answers without a person: `--yes` and a map of answers by step. Knows nothing of files; whoever reads one hands it over.

use std::{cell::RefCell, collections::HashSet};

use indexmap::IndexMap;

use super::read_evidence;
use crate::{
    event::Effect,
    port::{Answer, Choice, Evidence, Local, Operator, Question, QuestionKind, Reply},
    text::nearest,
    value::{Secret, Shape, Type, Written},
};

/// An answer as a file gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// `promote: yes`
    Word(String),
    /// `build: {number: 17, reason: …}` or `deploy: {answer: skip, reason: …}`
    Map(IndexMap<String, Written>),
}

/// Fails closed: what no answer fits is a question that nobody answers.
pub struct Unattended {
    name: String,
    yes: bool,
    answers: IndexMap<String, Given>,
    /// Steps whose answer to a menu was used: a file that says `retry` must not do so for ever.
    used: RefCell<HashSet<String>>,
}

impl Unattended {
    /// `name` is who started this, for the record; answers are by full step id.
    pub fn new(name: impl Into<String>, yes: bool, answers: IndexMap<String, Given>) -> Unattended {
        Unattended { name: name.into(), yes, answers, used: RefCell::default() }
    }

    fn reply(&self, question: &Question) -> Result<Answer, String> {
        let given = question.step.as_ref().and_then(|step| Some((step.as_str(), self.answers.get(step.as_str())?)));
        let Some((step, given)) = given else { return self.without(question) };
        let fits = match &question.kind {
            QuestionKind::Confirm { type_back, not_now, .. } => confirm(given, type_back.as_deref(), &question.choices)
                .and_then(|answer| match not_now {
                    Some(why) if answer.word == "yes" => Err(format!("not now: {why}")),
                    _ => Ok(answer),
                }),
            QuestionKind::Manual { evidence, .. } => manual(given, evidence, &question.choices),
            QuestionKind::Ask { fields } => asked(given, fields, &question.choices),
            QuestionKind::Withheld { name } => withheld(given, name),
            QuestionKind::BeforeStep { .. }
            | QuestionKind::Failure
            | QuestionKind::Unknown
            | QuestionKind::Choose
            | QuestionKind::Interrupt
            | QuestionKind::Undo
            | QuestionKind::Run => menu(given, &question.choices).and_then(|answer| {
                let first = self.used.borrow_mut().insert(step.to_owned());
                if first { Ok(answer) } else { Err("it was used once already".into()) }
            }),
        };
        fits.map_err(|why| format!("the answer given for {step} does not do: {why}"))
    }

    /// What is said where no answer is given.
    fn without(&self, question: &Question) -> Result<Answer, String> {
        let nobody = |hint: &str| Err(format!("nobody is at the keyboard{hint}"));
        match &question.kind {
            QuestionKind::Confirm { not_now: Some(why), .. } => Err(format!("not now: {why}")),
            QuestionKind::Confirm { effect, type_back, .. } if self.yes => match type_back {
                Some(_) => nobody(", and --yes does not answer a confirm that wants a text typed back"),
                None if *effect == Effect::Destroy => {
                    nobody(", and --yes does not answer a confirm before something is destroyed")
                }
                None => Ok(Answer::word("yes")),
            },
            QuestionKind::Confirm { .. } => nobody(" to confirm this"),
            QuestionKind::Manual { .. } => nobody(" to do this by hand"),
            QuestionKind::Ask { fields } => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                nobody(&format!(" to give {}", names.join(", ")))
            }
            QuestionKind::Withheld { name } => nobody(&format!(" to type {name}, which is not on record")),
            QuestionKind::Choose => nobody(" to choose a way"),
            QuestionKind::Unknown => nobody(" to say whether it took effect"),
            QuestionKind::Undo if self.yes && question.choices.iter().any(|choice| choice.name == "go") => {
                Ok(Answer::word("go"))
            }
            QuestionKind::Undo => nobody(" to agree to it; --yes does"),
            QuestionKind::BeforeStep { .. } | QuestionKind::Failure | QuestionKind::Interrupt | QuestionKind::Run => {
                nobody(" to decide this")
            }
        }
    }
}

impl Operator for Unattended {
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply> {
        let reply = self.reply(question).map_or_else(|why| Reply::Nobody { why }, Reply::Answer);
        Box::pin(async move { reply })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn attended(&self) -> bool {
        false
    }
}

/// The word and the reason of an answer.
fn word(given: &Given) -> Result<(&str, Option<String>), String> {
    match given {
        Given::Word(word) => Ok((word, None)),
        Given::Map(map) => {
            // How long is asked for by a question of its own.
            let extends = map.get("answer") == Some(&Written::Text("extend".into()));
            let ours = |key: &str| matches!(key, "answer" | "reason") || extends && key == "for";
            if let Some(other) = map.keys().find(|key| !ours(key)) {
                return Err(format!("`{other}` is not asked for; only answer and reason are"));
            }
            let word = text_of(map, "answer")?.ok_or("it has no `answer`")?;
            Ok((word, text_of(map, "reason")?.map(str::to_owned)))
        }
    }
}

fn text_of<'g>(map: &'g IndexMap<String, Written>, key: &str) -> Result<Option<&'g str>, String> {
    match map.get(key) {
        None => Ok(None),
        Some(Written::Text(text)) => Ok(Some(text)),
        Some(Written::List(_)) => Err(format!("`{key}` is a text and no list")),
    }
}

fn confirm(given: &Given, type_back: Option<&str>, choices: &[Choice]) -> Result<Answer, String> {
    let (text, reason) = word(given)?;
    let plain = |word: &str| Ok(Answer { reason: reason.clone(), ..Answer::word(word) });
    // The file names the step, so its yes is as good as the text that a person would have to type.
    match type_back {
        Some(expected) if text == expected && !expected.is_empty() => return plain("yes"),
        _ if text == "yes" || text == "no" => return plain(text),
        _ => {}
    }
    if choices.iter().any(|choice| choice.name == text) {
        return menu(given, choices);
    }
    Err(match type_back {
        Some(_) => "it is neither the text that has to be typed back nor yes or no".into(),
        None => format!("a confirm is answered by the text yes or no, not by `{text}`"),
    })
}

fn manual(given: &Given, evidence: &[Evidence], choices: &[Choice]) -> Result<Answer, String> {
    match given {
        Given::Word(word) if word == "done" => Ok(values(&IndexMap::new(), "done", evidence)?),
        Given::Word(_) => menu(given, choices),
        Given::Map(map) if chooses(map, "done", evidence)? => menu(given, choices),
        Given::Map(map) => Ok(values(map, "done", evidence)?),
    }
}

fn asked(given: &Given, fields: &[Evidence], choices: &[Choice]) -> Result<Answer, String> {
    match given {
        Given::Word(word) if choices.iter().any(|choice| choice.name == *word && word != "give") => {
            menu(given, choices)
        }
        Given::Word(_) => {
            let names: Vec<String> = fields.iter().map(|field| format!("{}: …", field.name)).collect();
            Err(format!("a map with the values is expected: {{{}}}", names.join(", ")))
        }
        Given::Map(map) if !choices.is_empty() && chooses(map, "give", fields)? => menu(given, choices),
        Given::Map(map) => Ok(values(map, "give", fields)?),
    }
}

/// Whether a map names a choice of the menu. `answer` and `reason` are ours unless a value has that name.
fn chooses(map: &IndexMap<String, Written>, but: &str, wanted: &[Evidence]) -> Result<bool, String> {
    if wanted.iter().any(|wanted| wanted.name == "answer") {
        return Ok(false);
    }
    Ok(text_of(map, "answer")?.is_some_and(|word| word != but))
}

/// What is wrong with values in a file, and with which of them, if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    pub name: Option<String>,
    pub why: String,
}

impl From<WrongValue> for String {
    fn from(wrong: WrongValue) -> String {
        wrong.why
    }
}

/// All values that are wanted, each as what it must be.
fn values(map: &IndexMap<String, Written>, word: &str, wanted: &[Evidence]) -> Result<Answer, WrongValue> {
    let wrong = |name: &str, why| WrongValue { name: Some(name.to_owned()), why };
    let mut answer = Answer::word(word);
    for (name, written) in map {
        if let Some(wanted) = wanted.iter().find(|wanted| wanted.name == *name) {
            let value = read_evidence(wanted, written).map_err(|why| wrong(name, format!("{name}: {why}")))?;
            answer.values.insert(name.clone(), value);
        } else if name == "reason" {
            answer.reason = text_of(map, name).map_err(|why| wrong(name, why))?.map(str::to_owned);
        } else if name != "answer" {
            let near = nearest(name, wanted.iter().map(|wanted| wanted.name.as_str()));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(wrong(name, format!("`{name}` is not asked for{hint}")));
        }
    }
    let mut missing = Vec::new();
    for wanted in wanted.iter().filter(|wanted| !map.contains_key(&wanted.name)) {
        match &wanted.default {
            Some(default) => drop(answer.values.insert(wanted.name.clone(), default.clone())),
            None => missing.push(wanted.name.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(answer)
    } else {
        Err(WrongValue { name: None, why: format!("it lacks {}", missing.join(", ")) })
    }
}

/// What an `ask` was given as a secret, and is not on record. Nothing else that is withheld can stand in a file.
fn withheld(given: &Given, name: &str) -> Result<Answer, String> {
    match given {
        Given::Map(map) if map.contains_key(name) => {
            let text = text_of(map, name)?.unwrap_or_default();
            // Asked again it would be given again.
            Shape::of(Type::Secret).read_text(text).map_err(|why| format!("{name}: {why}"))?;
            Ok(Answer { secret: Some(Secret::new(text.to_owned())), ..Answer::word("given") })
        }
        _ => Err(format!("it does not give `{name}`, which is not on record")),
    }
}

/// What is wrong with an answer to a step that wants values, before anything is run; none where the step wants none.
pub fn check_values(given: &Given, wanted: &[Evidence]) -> Result<(), WrongValue> {
    match given {
        Given::Map(map) if !map.contains_key("answer") => values(map, "give", wanted).map(drop),
        _ => Ok(()),
    }
}

fn menu(given: &Given, choices: &[Choice]) -> Result<Answer, String> {
    let (text, reason) = word(given)?;
    let Some(choice) = choices.iter().find(|choice| choice.name == text) else {
        let names: Vec<&str> = choices.iter().map(|choice| choice.name.as_ref()).collect();
        return Err(format!("`{text}` is none of {}", names.join(", ")));
    };
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if choice.needs_reason && reason.is_none() {
        return Err(format!("{text} needs a reason: write {{answer: {text}, reason: …}}"));
    }
    Ok(Answer { reason, ..Answer::word(choice.name.as_ref()) })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{event::StepId, value::Value};

    const REFUSED: &str = "nobody: the answer given for a/b does not do: ";

    fn question(kind: QuestionKind) -> Question {
        let choice = |key, name: &'static str, needs_reason| Choice {
            key,
            name: name.into(),
            consequence: String::new(),
            needs_reason,
        };
        Question {
            step: Some(StepId::new("a/b")),
            title: "A step".into(),
            message: "What now?".into(),
            context: Vec::new(),
            kind,
            choices: vec![choice('r', "retry", false), choice('s', "skip", true)],
        }
    }

    fn ask(yes: bool, given: Option<Given>, kind: QuestionKind) -> String {
        let answers = given.map(|given| ("a/b".to_owned(), given)).into_iter().collect();
        show(&Unattended::new("ci", yes, answers), kind)
    }

    fn show(operator: &Unattended, kind: QuestionKind) -> String {
        // An answer without a person is there at once.
        match operator.ask(&question(kind)).now_or_never().unwrap() {
            Reply::Answer(answer) => {
                let values: Vec<String> =
                    answer.values.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
                let reason = answer.reason.map(|reason| format!(" because {reason}")).unwrap_or_default();
                format!("{}{}{reason}", answer.word, values.concat())
            }
            Reply::Nobody { why } => format!("nobody: {why}"),
            Reply::Closed { why, .. } => format!("closed: {why}"),
            Reply::Unasked => "unasked".into(),
        }
    }

    fn word(text: &str) -> Option<Given> {
        Some(Given::Word(text.into()))
    }

    fn map(entries: &[(&str, &str)]) -> Option<Given> {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), Written::Text((*value).to_owned()));
        Some(Given::Map(entries.iter().map(entry).collect()))
    }

    fn confirm(effect: Effect, type_back: Option<&str>) -> QuestionKind {
        QuestionKind::Confirm { effect, type_back: type_back.map(str::to_owned), not_now: None }
    }

    #[test]
    fn yes_answers_plain_confirms_only() {
        assert_eq!(ask(true, None, confirm(Effect::Read, None)), "yes");
        assert_eq!(ask(true, None, confirm(Effect::Change, None)), "yes");
        for (yes, kind) in [
            (false, confirm(Effect::Read, None)),
            (true, confirm(Effect::Destroy, None)),
            (true, confirm(Effect::Read, Some("v1"))),
            (true, QuestionKind::Manual { open: None, evidence: Vec::new() }),
            (true, QuestionKind::Failure),
            (true, QuestionKind::Unknown),
            (true, QuestionKind::BeforeStep { effect: Effect::Change }),
            (true, QuestionKind::Run),
            (true, QuestionKind::Interrupt),
            (true, QuestionKind::Withheld { name: "token".into() }),
        ] {
            assert!(ask(yes, None, kind).starts_with("nobody: nobody is at the keyboard"));
        }
    }

    #[test]
    fn confirms_take_the_texts_yes_and_no() {
        assert_eq!(ask(false, word("yes"), confirm(Effect::Destroy, None)), "yes");
        assert_eq!(ask(true, word("no"), confirm(Effect::Read, None)), "no");
        assert_eq!(ask(false, word("yes"), confirm(Effect::Read, Some("v1"))), "yes");
        assert_eq!(ask(false, word("v1"), confirm(Effect::Read, Some("v1"))), "yes");
        assert_eq!(ask(false, word("no"), confirm(Effect::Read, Some("v1"))), "no");
        let reasoned = map(&[("answer", "yes"), ("reason", "it is quiet")]);
        assert_eq!(ask(false, reasoned, confirm(Effect::Read, None)), "yes because it is quiet");
        for (given, kind) in [
            (word("true"), confirm(Effect::Read, None)),
            (word("y"), confirm(Effect::Read, None)),
            (word("YES"), confirm(Effect::Read, None)),
            (word("yes "), confirm(Effect::Read, None)),
            (word("v2"), confirm(Effect::Read, Some("v1"))),
            (word("v1"), confirm(Effect::Read, None)),
            (word(""), confirm(Effect::Read, Some(""))),
            (map(&[("answer", "yes"), ("resaon", "x")]), confirm(Effect::Read, None)),
        ] {
            // Not even together with --yes.
            let reply = ask(true, given, kind);
            assert!(reply.starts_with(REFUSED), "{reply}");
        }
    }

    #[test]
    fn manual_steps_take_done_or_their_evidence() {
        let kind =
            || QuestionKind::Manual { open: None, evidence: vec![Evidence::of("build", Shape::of(Type::Integer))] };
        let bare = || QuestionKind::Manual { open: None, evidence: Vec::new() };
        assert_eq!(ask(false, word("done"), bare()), "done");
        let full = map(&[("build", "7"), ("reason", "r")]);
        assert_eq!(ask(false, full, kind()), format!("done build={:?} because r", Value::Int(7)));
        assert_eq!(ask(false, map(&[("answer", "skip"), ("reason", "r")]), kind()), "skip because r");
        for (given, why) in [
            (word("done"), "it lacks build"),
            (word("yes"), "`yes` is none of retry, skip"),
            (map(&[("build", "x")]), "build: `x` is not a whole number"),
            (map(&[("build", "7"), ("other", "1")]), "`other` is not asked for"),
            (map(&[("reason", "r")]), "it lacks build"),
        ] {
            assert_eq!(ask(true, given, kind()), format!("{REFUSED}{why}"));
        }
    }

    #[test]
    fn asks_take_their_values() {
        let fields = || {
            let count = Evidence { default: Some(Value::Int(3)), ..Evidence::of("count", Shape::of(Type::Integer)) };
            let fields =
                vec![Evidence::of("ticket", Shape::of(Type::Url)), count, Evidence::of("pin", Shape::of(Type::Secret))];
            QuestionKind::Ask { fields }
        };
        let (ticket, pin) = (("ticket", "https://t.example/1"), ("pin", "hunter2hunter2"));
        let taken =
            format!("give ticket={:?} pin={:?} count={:?}", Value::text(ticket.1), Value::text(pin.1), Value::Int(3));
        assert_eq!(ask(false, map(&[ticket, pin]), fields()), taken);
        assert_eq!(
            ask(false, map(&[("answer", "give"), ticket, pin, ("reason", "r")]), fields()),
            format!("{taken} because r")
        );
        assert_eq!(ask(false, map(&[("answer", "skip"), ("reason", "r")]), fields()), "skip because r");
        assert_eq!(ask(true, None, fields()), "nobody: nobody is at the keyboard to give ticket, count, pin");
        for (given, why) in [
            (word("https://t.example/1"), "a map with the values is expected: {ticket: …, count: …, pin: …}"),
            (map(&[ticket]), "it lacks pin"),
            (map(&[("tickets", "x"), ticket, pin]), "`tickets` is not asked for; did you mean `ticket`?"),
            (map(&[ticket, ("pin", "hunter2")]), "pin: it is shorter than 8 bytes, which could not be masked"),
            (
                map(&[("ticket", "x"), pin]),
                "ticket: `x` is not an absolute http or https URL; it begins with https:// or http://",
            ),
            (map(&[ticket, pin, ("count", "")]), ""),
        ] {
            let reply = ask(true, given, fields());
            if why.is_empty() {
                // What is left blank is its default.
                assert_eq!(reply, taken);
            } else {
                assert_eq!(reply, format!("{REFUSED}{why}"));
            }
        }
        // How much longer is asked for by a question of its own, of the same answer.
        let longer = Question {
            kind: QuestionKind::Ask { fields: vec![Evidence::of("for", Shape::of(Type::Duration))] },
            choices: Vec::new(),
            ..question(QuestionKind::Failure)
        };
        let given = map(&[("answer", "extend"), ("for", "10m")]).unwrap();
        let operator = Unattended::new("ci", false, [("a/b".to_owned(), given)].into_iter().collect());
        let Some(Reply::Answer(answer)) = operator.ask(&longer).now_or_never() else { panic!() };
        assert_eq!(answer.values["for"], Value::Duration(std::time::Duration::from_secs(600)));
    }

    #[test]
    fn what_is_closed_takes_no_yes() {
        let kind =
            || QuestionKind::Confirm { effect: Effect::Read, type_back: None, not_now: Some("it opens later".into()) };
        assert_eq!(ask(true, None, kind()), "nobody: not now: it opens later");
        assert_eq!(ask(true, word("yes"), kind()), format!("{REFUSED}not now: it opens later"));
        assert_eq!(ask(true, word("no"), kind()), "no");
    }

    #[test]
    fn menus_take_names_and_each_answer_once() {
        assert_eq!(ask(false, word("retry"), QuestionKind::Failure), "retry");
        assert_eq!(ask(false, map(&[("answer", "skip"), ("reason", "r")]), QuestionKind::Unknown), "skip because r");
        for (given, why) in [
            (word("r"), "`r` is none of retry, skip"),
            (word("skip"), "skip needs a reason: write {answer: skip, reason: …}"),
            (map(&[("answer", "skip"), ("reason", " ")]), "skip needs a reason: write {answer: skip, reason: …}"),
            (map(&[("reason", "r")]), "it has no `answer`"),
        ] {
            assert_eq!(ask(true, given, QuestionKind::Failure), format!("{REFUSED}{why}"));
        }
        let answers = [("a/b".to_owned(), Given::Word("retry".into()))].into_iter().collect();
        let operator = Unattended::new("ci", false, answers);
        assert_eq!(show(&operator, QuestionKind::Failure), "retry");
        assert!(show(&operator, QuestionKind::Failure).contains("used once already"));
    }
}
