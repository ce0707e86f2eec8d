//! Parts of a scenario from nodes: texts, answers, patterns, replies. Knows nothing of runbooks.

use std::path::PathBuf;

use super::{
    fields::{ASKED, HTTP_REPLY, HTTP_RULE, SEEN_COMMAND, SEEN_REQUEST, SHELL_REPLY, SHELL_RULE, SURPRISE},
    scenario::{AskedPattern, Startle, Times},
};
use crate::{
    model::Mapping,
    operators::Given as Answer,
    syntax::{Fields, Given, Node, NodeKind, Problems},
    text::{Diagnostic, Span, Spanned, Wildcard},
    value::Written,
    worlds::scenario::{
        CommandPattern, HttpFailure, HttpReplyRule, HttpRule, RequestPattern, ShellFailure, ShellReply, ShellRule,
        SurpriseReply,
    },
};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Signals by the names that people use.
const SIGNALS: [(&str, i32); 10] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("SEGV", 11),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("USR1", 10),
];

/// The cursor over a mapping of the table.
pub fn fields<'a>(node: &'a Node, what: &'a str, of: &Mapping, problems: &'a Problems) -> Option<Fields<'a>> {
    let fields = Fields::of(node, what, problems)?;
    Some(fields.closed(of.fields.iter().map(|field| field.name)))
}

pub fn problem(problems: &Problems, code: &'static str, span: Span, message: impl Into<String>, hint: &str) {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    problems.push(Diagnostic::error(code, span, message).hint_opt(hint));
}

/// Two fields of which only one may be there.
pub fn conflict(fields: &Fields<'_>, keys: &[&str]) {
    let mut there = keys.iter().filter_map(|key| Some((*key, fields.key_span(key)?)));
    if let (Some((first, at)), Some((second, other))) = (there.next(), there.next()) {
        let message = format!("{} takes `{first}` or `{second}`, not both", fields.what());
        fields.problems().push(Diagnostic::error("conflict", other, message).related(at, "the other one"));
    }
}

pub fn text(given: &Given<'_>) -> Option<Spanned<String>> {
    let text = given.written()?;
    Some(Spanned::new(text.text.clone(), given.span()))
}

pub fn glob(given: &Given<'_>) -> Option<Wildcard> {
    given.written().map(|text| Wildcard::new(text.text.clone()))
}

/// One text or a list of them.
pub fn texts(given: &Given<'_>) -> Vec<Spanned<String>> {
    given.one_or_many().unwrap_or_default().iter().filter_map(text).collect()
}

/// A mapping from the author's keys to texts.
pub fn pairs(given: &Given<'_>) -> Vec<(Spanned<String>, Spanned<String>)> {
    let entries = given.entries().unwrap_or_default();
    let pair = |(key, given): &(&crate::syntax::Text, Given<'_>)| {
        Some((Spanned::new(key.text.clone(), key.span), text(given)?))
    };
    entries.iter().filter_map(pair).collect()
}

fn globs(given: &Given<'_>) -> Vec<(String, Wildcard)> {
    pairs(given).into_iter().map(|(name, text)| (name.value, Wildcard::new(text.value))).collect()
}

pub fn files(given: &Given<'_>) -> Vec<(PathBuf, Vec<u8>)> {
    pairs(given).into_iter().map(|(path, text)| (path.value.into(), text.value.into_bytes())).collect()
}

/// A value as a file of parameters or answers gives it.
pub fn written(given: &Given<'_>) -> Option<Written> {
    match &given.node().kind {
        NodeKind::List(_) => {
            let items = given.list()?;
            Some(Written::List(
                items.iter().map(|item| item.written().map(|text| text.text.clone())).collect::<Option<_>>()?,
            ))
        }
        _ => given.written().map(|text| Written::Text(text.text.clone())),
    }
}

pub fn json(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Null => serde_json::Value::Null,
        NodeKind::Plain(value, _) => value.to_json(),
        NodeKind::Text(text) => text.text.clone().into(),
        NodeKind::List(items) => items.iter().map(json).collect(),
        NodeKind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.text.clone(), json(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// One answer, or a list of them.
pub fn answers(given: &Given<'_>) -> Option<Vec<Answer>> {
    match &given.node().kind {
        NodeKind::List(_) => {
            let items = given.list()?;
            if items.is_empty() {
                return given.report("wrong-value", format!("{} has no answer in it", given.name()), None);
            }
            items.iter().map(answer).collect()
        }
        _ => Some(vec![answer(given)?]),
    }
}

fn answer(given: &Given<'_>) -> Option<Answer> {
    match &given.node().kind {
        NodeKind::Map(_) => {
            let entries = given.entries()?;
            let part = |(key, given): &(&crate::syntax::Text, Given<'_>)| Some((key.text.clone(), written(given)?));
            Some(Answer::Map(entries.iter().map(part).collect::<Option<_>>()?))
        }
        NodeKind::Text(text) | NodeKind::Plain(_, text) => Some(Answer::Word(text.text.clone())),
        _ => given.refuse("an answer, or a map with `answer` and `reason`, or with values", None),
    }
}

fn command_pattern(fields: &mut Fields<'_>) -> CommandPattern {
    CommandPattern {
        step: fields.get("step").and_then(|given| glob(&given)),
        text: fields.get("match").and_then(|given| glob(&given)),
        env: fields.get("env").map(|given| globs(&given)).unwrap_or_default(),
    }
}

fn request_pattern(fields: &mut Fields<'_>) -> Option<RequestPattern> {
    let on = fields.need("on")?;
    let line = on.line()?.text.trim().to_owned();
    let (method, url) = match line.split_once(char::is_whitespace) {
        Some((method, url)) if method == "*" || METHODS.contains(&method) => (method.to_owned(), url.trim().to_owned()),
        Some((method, url)) if METHODS.contains(&method.to_uppercase().as_str()) => {
            let hint = Some(format!("write {} {}", method.to_uppercase(), url.trim()));
            return on.report("wrong-value", format!("`{method}` is a method in small letters"), hint);
        }
        Some((method, _)) => {
            let hint = Some(format!("use one of {}, or * for any", METHODS.join(", ")));
            return on.report("wrong-value", format!("`{method}` is no method"), hint);
        }
        None => {
            let hint = Some(format!("write GET {line}"));
            return on.report("wrong-value", "`on` is a method and a URL", hint);
        }
    };
    if !url.starts_with('*') && !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
        let hint = Some(format!("write https://{url}, or begin it with *"));
        return on.report("wrong-value", format!("`{url}` is no absolute URL, so no request goes there"), hint);
    }
    Some(RequestPattern {
        step: fields.get("step").and_then(|given| glob(&given)),
        method: (method != "*").then_some(method),
        url: Wildcard::new(url),
        body: fields.get("body").and_then(|given| glob(&given)),
        json: fields.take("json").map(json),
        headers: fields.get("headers").map(|given| globs(&given)).unwrap_or_default(),
    })
}

pub fn shell_rule(given: &Given<'_>) -> Option<ShellRule> {
    let problems = given.problems();
    let mut fields = fields(given.node(), "a rule of `shell`", &SHELL_RULE, problems)?;
    let on = command_pattern(&mut fields);
    let replies = replies(&mut fields, shell_reply);
    let at = fields.span();
    let slip = fields.has_slip_of(&["step", "match", "env"]);
    fields.finish();
    if on.step.is_none() && on.text.is_none() && on.env.is_empty() && !slip {
        let hint = "say which command it answers: `step: ID`, `match: \"git push *\"`, or `match: \"*\"` for any";
        problem(problems, "missing-key", Span::at(at.start), "this rule would answer every command", hint);
        return None;
    }
    Some(ShellRule { on, replies: replies? })
}

/// The replies of a rule: at least one.
fn replies<T>(fields: &mut Fields<'_>, one: fn(&Given<'_>) -> Option<T>) -> Option<Vec<T>> {
    let given = fields.need("reply")?;
    let items = given.one_or_many()?;
    if items.is_empty() {
        return given.report("wrong-value", "`reply` is empty, so the rule has no answer", None);
    }
    items.iter().map(one).collect()
}

fn shell_reply(given: &Given<'_>) -> Option<ShellReply> {
    let mut fields = fields(given.node(), "a reply", &SHELL_REPLY, given.problems())?;
    conflict(&fields, &["exit", "signal", "fail"]);
    conflict(&fields, &["stdout", "json"]);
    let mut bytes = |key| fields.get(key).and_then(|given| text(&given)).map(|text| text.value.into_bytes());
    let (stdout, stderr) = (bytes("stdout"), bytes("stderr"));
    let made = fields.take("json").map(|node| json(node).to_string().into_bytes());
    let reply = ShellReply {
        exit: fields.get("exit").and_then(|given| given.integer(0..=255)).unwrap_or(0) as i32,
        signal: fields.get("signal").and_then(|given| signal(&given)),
        stdout: stdout.or(made).unwrap_or_default(),
        stderr: stderr.unwrap_or_default(),
        delay: fields.get("delay").and_then(|given| given.duration()).map(|delay| delay.value).unwrap_or_default(),
        fail: fields
            .get("fail")
            .and_then(|given| given.one_of(&[("not_started", ShellFailure::NotStarted), ("lost", ShellFailure::Lost)])),
        files: fields.get("files").map(|given| files(&given)).unwrap_or_default(),
        left: fields.get("left").map(|given| texts(&given)).unwrap_or_default().into_iter().map(|t| t.value).collect(),
    };
    fields.finish();
    Some(reply)
}

fn signal(given: &Given<'_>) -> Option<i32> {
    if matches!(given.node().kind, NodeKind::Plain(..)) {
        return given.integer(1..=64).and_then(|number| i32::try_from(number).ok());
    }
    given.one_of(&SIGNALS)
}

pub fn http_rule(given: &Given<'_>) -> Option<HttpRule> {
    let mut fields = fields(given.node(), "a rule of `http`", &HTTP_RULE, given.problems())?;
    let on = request_pattern(&mut fields);
    let replies = replies(&mut fields, http_reply);
    fields.know(&["step", "body", "json", "headers"]);
    if on.is_some() {
        fields.finish();
    }
    Some(HttpRule { on: on?, replies: replies? })
}

fn http_reply(given: &Given<'_>) -> Option<HttpReplyRule> {
    let mut fields = fields(given.node(), "a reply", &HTTP_REPLY, given.problems())?;
    conflict(&fields, &["body", "json"]);
    conflict(&fields, &["status", "fail"]);
    let body = fields.get("body").and_then(|given| text(&given)).map(|text| text.value.into_bytes());
    let made = fields.take("json").map(|node| json(node).to_string().into_bytes());
    let mut headers: Vec<(String, String)> = fields
        .get("headers")
        .map(|given| pairs(&given))
        .unwrap_or_default()
        .into_iter()
        .map(|(name, text)| (name.value.to_ascii_lowercase(), text.value))
        .collect();
    if made.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".into(), "application/json".into()));
    }
    let status = fields.get("status").and_then(|given| given.integer(200..=599)).unwrap_or(200);
    let reply = HttpReplyRule {
        status: u16::try_from(status).unwrap_or(200),
        headers,
        body: body.or(made).unwrap_or_default(),
        delay: fields.get("delay").and_then(|given| given.duration()).map(|delay| delay.value).unwrap_or_default(),
        fail: fields.get("fail").and_then(|given| {
            given.one_of(&[
                ("refused", HttpFailure::Refused),
                ("unknown_host", HttpFailure::UnknownHost),
                ("reset", HttpFailure::Reset),
                ("timeout", HttpFailure::Timeout),
                ("slow_body", HttpFailure::SlowBody),
            ])
        }),
    };
    fields.finish();
    Some(reply)
}

pub fn surprise(given: &Given<'_>) -> Option<Spanned<Startle>> {
    let mut fields = fields(given.node(), "an entry of `surprises`", &SURPRISE, given.problems())?;
    conflict(&fields, &["shell", "http"]);
    let step = fields.need("step").and_then(|given| text(&given));
    let shell = fields.get("shell");
    let http = fields.get("http");
    let at = fields.span();
    let slip = fields.has_slip_of(&["shell", "http"]);
    fields.finish();
    let reply = match (shell, http) {
        (Some(given), _) => SurpriseReply::Shell(shell_reply(&given)?),
        (None, Some(given)) => SurpriseReply::Http(http_reply(&given)?),
        (None, None) => {
            if !slip {
                let hint = "say what goes wrong: `shell: {exit: 1}` or `http: {status: 503}`";
                problem(given.problems(), "missing-key", Span::at(at.start), "this surprise has no reply", hint);
            }
            return None;
        }
    };
    let step = step?;
    Some(Spanned::new(Startle { step: step.value, reply }, step.span))
}

fn times(fields: &mut Fields<'_>) -> Option<usize> {
    fields.get("times").and_then(|given| given.integer(0..=1_000_000)).and_then(|times| usize::try_from(times).ok())
}

pub fn seen_request(given: &Given<'_>) -> Option<Spanned<Times<RequestPattern>>> {
    let mut fields = fields(given.node(), "an entry of `requests`", &SEEN_REQUEST, given.problems())?;
    let on = request_pattern(&mut fields);
    let times = times(&mut fields);
    fields.know(&["step", "body", "json", "headers"]);
    if on.is_some() {
        fields.finish();
    }
    Some(Spanned::new(Times { of: on?, times }, given.span()))
}

pub fn seen_command(given: &Given<'_>) -> Option<Spanned<Times<CommandPattern>>> {
    let mut fields = fields(given.node(), "an entry of `commands`", &SEEN_COMMAND, given.problems())?;
    let on = command_pattern(&mut fields);
    let times = times(&mut fields);
    let at = fields.span();
    let slip = fields.has_slip_of(&["step", "match", "env"]);
    fields.finish();
    if on.step.is_none() && on.text.is_none() && on.env.is_empty() && !slip {
        let hint = "say which command is meant: `step: ID`, `match: \"git push *\"`, or `match: \"*\"` for any";
        problem(given.problems(), "missing-key", Span::at(at.start), "this entry says nothing of the command", hint);
        return None;
    }
    Some(Spanned::new(Times { of: on, times }, given.span()))
}

pub fn asked(given: &Given<'_>) -> Option<Spanned<Times<AskedPattern>>> {
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        let step = glob(given);
        let of = AskedPattern { step: Some(step?), ..AskedPattern::default() };
        return Some(Spanned::new(Times { of, times: None }, given.span()));
    }
    let mut fields = fields(given.node(), "an entry of `asked`", &ASKED, given.problems())?;
    let of = AskedPattern {
        step: fields.get("step").and_then(|given| glob(&given)),
        about: fields.get("about").and_then(|given| given.one_of(&ABOUT)).map(str::to_owned),
        message: fields.get("message").and_then(|given| glob(&given)),
    };
    let times = times(&mut fields);
    fields.finish();
    Some(Spanned::new(Times { of, times }, given.span()))
}

/// The words of `question_asked`.
pub const ABOUT: [(&str, &str); 11] = [
    ("confirm", "confirm"),
    ("manual", "manual"),
    ("ask", "ask"),
    ("before_step", "before_step"),
    ("failure", "failure"),
    ("unknown", "unknown"),
    ("secret", "secret"),
    ("choose", "choose"),
    ("interrupt", "interrupt"),
    ("undo", "undo"),
    ("run", "run"),
];
