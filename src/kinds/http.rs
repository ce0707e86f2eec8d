//! `http`: one request, as written. Knows nothing of connections; sending it is in `http_task`.

use std::time::Duration;

use super::http_task;
use crate::{
    event::Effect,
    model::{
        Action, Block, Declared, DefaultExpect, FieldDoc, FileUse, Keys, Kind, Lowering, Mapping, Names, Outline,
        Parts, Resolution, Rule, Setting, Shown, Takes,
    },
    syntax::{Foreign, Given, NodeKind, Reference, Template},
    text::{Diagnostic, Span, Spanned},
    value::{Scope, Value},
};

pub const KIND: Kind = Kind {
    name: "http",
    summary: "Sends one request.",
    short: None,
    fields: &[
        FieldDoc::new(
            "method",
            Takes::OneOf(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            "GET if absent",
        ),
        FieldDoc::new("url", Takes::Url, "a value at its start is taken whole, later ones as one path segment each"),
        FieldDoc::new(
            "query",
            Takes::Entries { keys: Keys::Any, of: &Takes::Template, least: 0 },
            "names and values, encoded for you",
        ),
        FieldDoc::new(
            "headers",
            Takes::Entries { keys: Keys::Headers, of: &Takes::Template, least: 0 },
            "names and values",
        ),
        FieldDoc::new("json", Takes::Anything, "a body as JSON"),
        FieldDoc::new("form", Takes::Entries { keys: Keys::Any, of: &Takes::Template, least: 0 }, "a body as a form"),
        FieldDoc::new("body", Takes::Template, "a body as text"),
        FieldDoc::new("upload", Takes::Template, "a file as body"),
        FieldDoc::new("auth", Takes::Fields(&AUTH), "{basic: [user, secret]} or {bearer: secret}"),
        FieldDoc::new("save", Takes::Template, "a path for the response body"),
        FieldDoc::new("follow_redirects", Takes::Boolean, "within the same origin; false if absent"),
        FieldDoc::new("ca_file", Takes::Template, "certificates to trust besides the system's"),
        FieldDoc::new("max_body", Takes::Bytes, "how much of the response is kept, such as 64 KiB; 10 MiB if absent"),
    ],
    rules: &[Rule::Needs("url"), Rule::AtMostOne(&BODIES)],
    lower: Some(lower),
};

const AUTH: Mapping = Mapping {
    name: "auth",
    fields: &[
        FieldDoc::new(
            "basic",
            Takes::Tuple(&[Takes::Template, Takes::Name]),
            "a user, and the name of the secret that is the password",
        ),
        FieldDoc::new("bearer", Takes::Name, "the name of the secret that is the token"),
    ],
    rules: &[Rule::ExactlyOne(&["basic", "bearer"])],
};

const METHODS: [(&str, &str); 7] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];
const BODIES: [&str; 4] = ["json", "form", "body", "upload"];
/// Words of other tools.
const FOREIGN: [Foreign; 7] = [
    ("uri", "url", true),
    ("params", "query", true),
    ("data", "body", false),
    ("payload", "json", true),
    ("content", "body", true),
    ("verb", "method", true),
    ("header", "headers", true),
];
const AUTH_FOREIGN: [Foreign; 1] = [("token", "bearer", true)];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
const MAX_BODY: u64 = 10 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Http {
    pub method: &'static str,
    pub url: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(String, Template)>,
    pub body: Payload,
    pub auth: Option<Auth>,
    pub save: Option<Template>,
    pub follow_redirects: bool,
    pub ca_file: Option<Template>,
    pub max_body: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Payload {
    Nothing,
    Json(JsonTemplate),
    Form(Vec<(String, Template)>),
    Text(Template),
    Upload(Template),
}

#[derive(Clone, Debug)]
pub(super) enum Auth {
    Basic(Template, Spanned<String>),
    Bearer(Spanned<String>),
}

/// A structure with templates for texts.
#[derive(Clone, Debug)]
pub(super) enum JsonTemplate {
    Value(Value),
    Template(Template),
    List(Vec<JsonTemplate>),
    Map(Vec<(String, JsonTemplate)>),
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let problems = given.problems();
    let mut fields = given
        .clone()
        .like("{url: \"https://example.org\"}")
        .fields("`http`")?
        .closed(KIND.keys())
        .foreign(&FOREIGN)
        .outer(Lowering::AROUND);
    let method_at = fields.take_entry("method");
    let method =
        method_at.map(|entry| Given::field(&entry.value, "method", problems).one_of(&METHODS)).unwrap_or(Some("GET"));
    let url = fields.need("url").and_then(|given| lowering.url(&given));
    let query = fields.get("query").map(|given| pairs(&given, lowering)).unwrap_or_default();
    let headers = fields.get("headers").map(|given| headers(&given, lowering)).unwrap_or_default();
    let mut bodies: Vec<(&str, Span, Given<'_>)> = Vec::new();
    for key in BODIES {
        if let Some(entry) = fields.take_entry(key) {
            bodies.push((key, entry.key.span, Given::field(&entry.value, key, problems)));
        }
    }
    bodies.sort_by_key(|(_, span, _)| span.start);
    let auth = fields.get("auth").and_then(|given| auth(&given, lowering));
    let save = fields.get("save").and_then(|given| lowering.template(&given));
    let follow_redirects = fields.get("follow_redirects").and_then(|given| given.boolean()).unwrap_or(false);
    let ca_file = fields.get("ca_file").and_then(|given| lowering.template(&given));
    let max_body = fields.get("max_body").and_then(|given| given.bytes(1 << 31));
    fields.finish();
    if let [(_, first, _), (_, second, _), ..] = bodies[..] {
        problems.push(
            Diagnostic::error("conflict", second, "a request has one body: `json`, `form`, `body` or `upload`")
                .label("the second one")
                .related(first, "the first one"),
        );
    }
    if let (Some((key, at, _)), Some(method @ ("GET" | "HEAD"))) = (bodies.first(), method) {
        let problem =
            Diagnostic::error("conflict", *at, format!("a {method} request has no body, and this has `{key}`"));
        problems.push(match method_at {
            Some(entry) => {
                problem.related(entry.value.span, "the method").hint("write POST, PUT or PATCH for the method")
            }
            None => problem.label("the method is GET unless it is given").hint("add `method: POST`"),
        });
    }
    let payload = bodies.first().and_then(|(key, _, given)| match *key {
        "json" => json_template(given, lowering).map(Payload::Json),
        "form" => Some(Payload::Form(pairs(given, lowering))),
        "body" => lowering.template(given).map(Payload::Text),
        _ => lowering.template(given).map(Payload::Upload),
    });
    Some(Box::new(Http {
        method: method.unwrap_or("GET"),
        url: url.unwrap_or_else(|| Template::literal("")),
        query,
        headers,
        body: payload.unwrap_or(Payload::Nothing),
        auth,
        save,
        follow_redirects,
        ca_file,
        max_body: max_body.unwrap_or(MAX_BODY),
    }))
}

fn pairs(given: &Given<'_>, lowering: &Lowering) -> Vec<(String, Template)> {
    let entries = given.entries().unwrap_or_default();
    entries.iter().filter_map(|(name, given)| Some((name.text.clone(), lowering.template(given)?))).collect()
}

fn headers(given: &Given<'_>, lowering: &Lowering) -> Vec<(String, Template)> {
    for (name, _) in given.entries().unwrap_or_default() {
        let token = !name.text.is_empty()
            && name.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !token {
            given.problems().push(
                Diagnostic::error("bad-name", name.span, format!("`{}` cannot be the name of a header", name.text))
                    .label("letters, digits and `-`, without blanks"),
            );
        }
    }
    pairs(given, lowering)
}

fn auth(given: &Given<'_>, lowering: &Lowering) -> Option<Auth> {
    let mut fields = given
        .clone()
        .like("{bearer: name_of_the_secret}")
        .fields("`auth`")?
        .closed(["basic", "bearer"])
        .foreign(&AUTH_FOREIGN);
    let (basic, bearer) = (fields.get("basic"), fields.get("bearer"));
    let keys = [fields.key_span("basic"), fields.key_span("bearer")];
    let slip = fields.has_slip_of(&["basic", "bearer"]);
    fields.finish();
    if let [Some(basic), Some(bearer)] = keys {
        given.problems().push(
            Diagnostic::error("conflict", basic.max(bearer), "`auth` is either `basic` or `bearer`")
                .label("the second one")
                .related(basic.min(bearer), "the first one"),
        );
    }
    match (basic, bearer) {
        (Some(given), _) => {
            let items = given.list()?;
            let [user, secret] = items.as_slice() else {
                let hint = "basic: [\"{{ user }}\", name_of_the_secret]".to_owned();
                return given.report("wrong-value", "`basic` takes a user and the name of a secret", Some(hint));
            };
            let (user, secret) = (lowering.template(user), secret_name(secret));
            Some(Auth::Basic(user?, secret?))
        }
        (None, Some(given)) => Some(Auth::Bearer(secret_name(&given)?)),
        (None, None) if slip => None,
        (None, None) => {
            let hint = "{basic: [\"{{ user }}\", name_of_the_secret]} or {bearer: name_of_the_secret}".to_owned();
            given.report("missing-key", "`auth` is either `basic` or `bearer`", Some(hint))
        }
    }
}

/// The name itself, not a template: so a secret cannot be written where its name belongs.
fn secret_name(given: &Given<'_>) -> Option<Spanned<String>> {
    let text = given.text()?;
    let bare = text.text.trim().trim_start_matches("{{").trim_end_matches("}}").trim().to_owned();
    if bare != text.text {
        return given.report("wrong-value", "the name of a secret is expected here", Some(format!("write {bare}")));
    }
    Some(Spanned::new(text.text.clone(), text.span))
}

fn json_template(given: &Given<'_>, lowering: &Lowering) -> Option<JsonTemplate> {
    match &given.node().kind {
        NodeKind::Null => Some(JsonTemplate::Value(Value::None)),
        NodeKind::Plain(value, _) => Some(JsonTemplate::Value(value.clone())),
        NodeKind::Text(_) => Some(JsonTemplate::Template(lowering.template(given)?)),
        NodeKind::List(_) => {
            Some(JsonTemplate::List(given.list()?.iter().filter_map(|item| json_template(item, lowering)).collect()))
        }
        NodeKind::Map(_) => {
            let entries = given.entries()?;
            let pairs =
                entries.iter().filter_map(|(name, item)| Some((name.text.clone(), json_template(item, lowering)?)));
            Some(JsonTemplate::Map(pairs.collect()))
        }
    }
}

impl JsonTemplate {
    fn references(&self, all: &mut Vec<Reference>) {
        match self {
            JsonTemplate::Value(_) => {}
            JsonTemplate::Template(template) => all.extend(template.references().iter().cloned()),
            JsonTemplate::List(items) => items.iter().for_each(|item| item.references(all)),
            JsonTemplate::Map(entries) => entries.iter().for_each(|(_, item)| item.references(all)),
        }
    }

    /// As far as it is known.
    fn show(&self, scope: &Scope) -> serde_json::Value {
        match self {
            JsonTemplate::Value(value) => value.to_json(),
            JsonTemplate::Template(template) => match template.eval(scope, &[]) {
                Ok(crate::syntax::Eval::Value(value)) => value.to_json(),
                _ => template.show(scope, &[]).into(),
            },
            JsonTemplate::List(items) => items.iter().map(|item| item.show(scope)).collect(),
            JsonTemplate::Map(entries) => entries
                .iter()
                .map(|(name, item)| (name.clone(), item.show(scope)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    fn source(&self) -> serde_json::Value {
        match self {
            JsonTemplate::Value(value) => value.to_json(),
            JsonTemplate::Template(template) => template.source().into(),
            JsonTemplate::List(items) => items.iter().map(JsonTemplate::source).collect(),
            JsonTemplate::Map(entries) => entries
                .iter()
                .map(|(name, item)| (name.clone(), item.source()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl Http {
    fn secret(&self) -> Option<&Spanned<String>> {
        match &self.auth {
            Some(Auth::Basic(_, secret) | Auth::Bearer(secret)) => Some(secret),
            None => None,
        }
    }

    /// Whether the file and its parameters alone decide where this request goes, whatever was captured.
    pub(super) fn says_origin(&self, is_capture: &dyn Fn(&str) -> bool) -> bool {
        if !self.url.references().iter().any(|reference| is_capture(&reference.name)) {
            return true;
        }
        // The authority has to be complete before the first captured value: what follows a slash changes no origin.
        let source = self.url.source();
        let mut literal = String::new();
        for (number, piece) in source.split("{{").enumerate() {
            let text = match (number, piece.split_once("}}")) {
                (0, _) => piece,
                (_, Some((inner, rest))) => {
                    let mut words = inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    if words.any(is_capture) {
                        break;
                    }
                    rest
                }
                (_, None) => break,
            };
            literal.push_str(text);
        }
        literal.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']))
    }

    /// The request in words; `text` shows one template.
    fn describe(&self, text: &dyn Fn(&Template) -> String, json: &dyn Fn(&JsonTemplate) -> String) -> String {
        let mut shown = format!("{} {}", self.method, text(&self.url));
        let mut separator = if shown.contains('?') { '&' } else { '?' };
        for (name, value) in &self.query {
            shown.push_str(&format!("{separator}{}={}", encoded(name), text(value)));
            separator = '&';
        }
        match &self.auth {
            Some(Auth::Basic(user, secret)) => {
                shown.push_str(&format!("\nauthorization: basic {}:‹{}›", text(user), secret.value));
            }
            Some(Auth::Bearer(secret)) => shown.push_str(&format!("\nauthorization: bearer ‹{}›", secret.value)),
            None => {}
        }
        for (name, value) in &self.headers {
            shown.push_str(&format!("\n{}: {}", name.to_lowercase(), text(value)));
        }
        match &self.body {
            Payload::Nothing => {}
            Payload::Json(template) => shown.push_str(&format!("\n\n{}", json(template))),
            Payload::Form(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
                shown.push_str(&format!("\n\n{}", pairs.join("\n")));
            }
            Payload::Text(template) => shown.push_str(&format!("\n\n{}", text(template))),
            Payload::Upload(path) => shown.push_str(&format!("\n\n(the file {})", text(path))),
        }
        if let Some(path) = &self.save {
            shown.push_str(&format!("\n(the answer goes to {})", text(path)));
        }
        shown
    }
}

/// As a query holds it.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl Action for Http {
    fn references(&self, _names: &Names) -> Vec<Reference> {
        let mut all = self.url.references().to_vec();
        let mut templates: Vec<&Template> = Vec::new();
        templates.extend(self.query.iter().chain(&self.headers).map(|(_, template)| template));
        templates.extend(self.save.iter().chain(&self.ca_file));
        match &self.body {
            Payload::Nothing => {}
            Payload::Json(json) => json.references(&mut all),
            Payload::Form(pairs) => templates.extend(pairs.iter().map(|(_, template)| template)),
            Payload::Text(template) | Payload::Upload(template) => templates.push(template),
        }
        if let Some(Auth::Basic(user, _)) = &self.auth {
            templates.push(user);
        }
        all.extend(templates.into_iter().flat_map(|template| template.references().to_vec()));
        if let Some(secret) = self.secret() {
            all.push(Reference::to(&secret.value, secret.span));
        }
        all
    }

    fn outputs(&self) -> &'static [&'static str] {
        &["status", "headers", "body", "json", "url", "elapsed"]
    }

    fn origins(&self) -> Vec<String> {
        // Only where the authority is written out: `https://host/…`.
        let literal = self.url.source().trim().split("{{").next().unwrap_or("");
        let complete =
            self.url.is_literal() || literal.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
        let parsed = complete.then(|| url::Url::parse(literal).ok()).flatten();
        parsed.into_iter().filter(url::Url::has_host).map(|url| url.origin().ascii_serialization()).collect()
    }

    fn files(&self, scope: &Scope) -> Vec<FileUse> {
        let known = |template: &Template| match template.render(scope, &[]) {
            Ok(crate::syntax::Rendered::Text(path)) => Some(path),
            _ => None,
        };
        let upload = match &self.body {
            Payload::Upload(path) => known(path),
            _ => None,
        };
        let reads = upload.into_iter().chain(self.ca_file.as_ref().and_then(known)).map(FileUse::Reads);
        reads.chain(self.save.as_ref().and_then(known).map(FileUse::Writes)).collect()
    }

    fn parts(&self) -> Parts<'_> {
        Parts { urls: vec![&self.url], ..Parts::default() }
    }

    fn default_effect(&self) -> Effect {
        if matches!(self.method, "GET" | "HEAD") { Effect::Read } else { Effect::Change }
    }

    fn default_expect(&self) -> DefaultExpect {
        DefaultExpect::Status2xx
    }

    fn default_timeout(&self) -> Option<Duration> {
        Some(DEFAULT_TIMEOUT)
    }

    fn check(&self, names: &Names, _variables: &[&str], problems: &mut Vec<Diagnostic>) {
        let Some(secret) = self.secret() else { return };
        // A captured value may be a token that a request before this one was given.
        if let Some(Declared::Param(declared)) = names.get(&secret.value) {
            problems.push(
                Diagnostic::error(
                    "not-a-secret",
                    secret.span,
                    format!("`{}` is a parameter, not a secret", secret.value),
                )
                .label("the name of a secret is expected here")
                .related(*declared, "declared here")
                .hint("a parameter is recorded and shown; declare it under `secrets`"),
            );
        }
    }

    fn show(&self, scope: &Scope) -> Shown {
        let text = |template: &Template| template.show(scope, &[]);
        // A URL is shown as it is sent where it is known: encoded.
        let url = match self.url.render_url(scope, &[]) {
            Ok(crate::syntax::Rendered::Text(url)) => url,
            _ => self.url.show(scope, &[]),
        };
        let is_query = |template: &Template| self.query.iter().any(|(_, value)| std::ptr::eq(value, template));
        let text_or_url = |template: &Template| match template.render(scope, &[]) {
            _ if std::ptr::eq(template, &raw const self.url) => url.clone(),
            Ok(crate::syntax::Rendered::Text(value)) if is_query(template) => encoded(&value),
            _ => text(template),
        };
        let json = |json: &JsonTemplate| serde_json::to_string_pretty(&json.show(scope)).unwrap_or_default();
        let detail = self.describe(&text_or_url, &json);
        Shown { headline: detail.lines().next().unwrap_or("").to_owned(), detail, values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let text = |template: &Template| template.source().to_owned();
        let json = |json: &JsonTemplate| serde_json::to_string_pretty(&json.source()).unwrap_or_default();
        let described = self.describe(&text, &json);
        Outline { verb: "Send".into(), blocks: vec![Block::Code { language: "http", text: described }] }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        http_task::resolve(self, setting)
    }
}
