//! Parameters, secrets and requirements, from nodes to what is declared. Knows nothing of steps.
//!
//! A declaration with a mistake in it still declares its name: the mistake is told once, and not again at every use.

use super::{
    Lowering, Names, Param, Requires, SecretPlace, SecretSpec,
    fields::{PARAM_KEYS, REQUIRES_KEYS, SECRET_KEYS, SOURCES},
    shapes::{Part, read_as},
};
use crate::{
    syntax::{Foreign, Given, Problems, Template, Text},
    text::{Diagnostic, Span, Spanned},
    value::{Shape, Type},
};

/// Words of other tools.
const PARAM_FOREIGN: [Foreign; 6] = [
    ("description", "help", true),
    ("regex", "pattern", true),
    ("enum", "choices", true),
    ("options", "choices", true),
    ("values", "choices", true),
    ("label", "prompt", true),
];

impl Lowering {
    /// A parameter.
    pub fn param(&self, name: &Text, given: &Given<'_>) -> Param {
        self.declared(name, given, "parameter", Part::Whole)
    }

    /// A value that a person types as proof, declared as a parameter is.
    pub fn evidence(&self, name: &Text, given: &Given<'_>) -> Param {
        self.declared(name, given, "evidence", Part::Whole)
    }

    /// A value that a person is asked for, declared as a parameter is; it may be a secret.
    pub fn asked(&self, name: &Text, given: &Given<'_>) -> Param {
        self.declared(name, given, "field", Part::Asked)
    }

    fn declared(&self, name: &Text, given: &Given<'_>, kind: &str, part: Part) -> Param {
        let mut param = Param {
            name: name.text.clone(),
            shape: Shape::of(Type::String),
            default: None,
            default_span: None,
            prompt: None,
            help: None,
            example: None,
            span: name.span,
        };
        let what = format!("{kind} `{}`", name.text);
        let Some(fields) = given.clone().like("{type: string}").fields(&what) else { return param };
        let mut fields = fields.closed(PARAM_KEYS).foreign(&PARAM_FOREIGN);
        let shape = self.shape(&mut fields, &what, part);
        let default = fields.get("default");
        param.default_span = default.as_ref().map(Given::span);
        let trimmed = |given: Given<'_>| Some(given.prose()?.text.trim().to_owned());
        param.prompt = fields.get("prompt").and_then(trimmed);
        param.help = fields.get("help").and_then(trimmed);
        let example = fields.get("example");
        param.shape = shape.shape;
        if param.shape.ty == Type::Secret {
            for (key, given) in [("default", &default), ("example", &example)] {
                if let Some(given) = given {
                    let at = fields.key_span(key).unwrap_or(given.span());
                    let message = format!("`{key}` does not go with `type: secret`");
                    let hint = "remove it; what stands in the file is no secret";
                    given.problems().push(Diagnostic::error("conflict", at, message).hint(hint));
                }
            }
        }
        fields.finish();
        // Where the shape cannot be read, nothing can be said about values.
        if shape.readable && param.shape.ty != Type::Secret {
            param.example = example.and_then(|given| read_as(self, &param, &given, "`example`", &what));
            param.default = default.and_then(|given| read_as(self, &param, &given, "`default`", &what));
        }
        param
    }

    pub(super) fn secret(&self, name: &Text, given: &Given<'_>) -> SecretSpec {
        let mut secret = SecretSpec {
            name: name.text.clone(),
            place: SecretPlace::Prompt,
            allow_short: false,
            origins: Vec::new(),
            span: name.span,
        };
        let what = format!("secret `{}`", name.text);
        let given = given.clone().like("{env: VARIABLE}");
        let Some(fields) = given.fields(&what) else { return secret };
        let mut fields = fields.closed(SECRET_KEYS);
        let mut sources: Vec<(&str, Span, Given<'_>)> = Vec::new();
        for &source in SOURCES {
            if let Some(entry) = fields.take_entry(source) {
                sources.push((source, entry.key.span, Given::field(&entry.value, source, given.problems())));
            }
        }
        secret.allow_short = fields.get("allow_short").and_then(|given| given.boolean()).unwrap_or(false);
        let origins = fields.get("origins").and_then(|given| given.like("[\"https://ci.example\"]").list());
        secret.origins = origins.unwrap_or_default().iter().filter_map(origin_of).collect();
        sources.sort_by_key(|(_, span, _)| span.start);
        let hint = "write one of {env: VARIABLE}, {file: path}, {command: [program, argument]}, {prompt: true}";
        match sources.as_slice() {
            // An unknown key is most likely a source that there is not.
            [] if fields.remaining().next().is_some() => {}
            [] => {
                let message = format!("{what} does not say where it comes from");
                let at = Span::at(given.span().start);
                given.problems().push(Diagnostic::error("missing-key", at, message).label("no source").hint(hint));
            }
            [(first, of, _), (second, at, _), ..] => {
                let message = format!("{what} comes from two places, `{first}` and `{second}`");
                given.problems().push(
                    Diagnostic::error("conflict", *at, message)
                        .label("the second one")
                        .related(*of, "the first one")
                        .hint("remove one of them"),
                );
            }
            [_] => {}
        }
        fields.finish();
        if let Some((source, _, given)) = sources.first()
            && let Some(place) = self.secret_place(source, given)
        {
            secret.place = place;
        }
        secret
    }

    fn secret_place(&self, source: &str, given: &Given<'_>) -> Option<SecretPlace> {
        match source {
            "env" => Some(SecretPlace::Env(self.template(given)?)),
            "file" => Some(SecretPlace::File(self.template(given)?)),
            "command" => {
                let argv: Vec<Template> = given.command()?.iter().filter_map(|item| self.template(item)).collect();
                Some(SecretPlace::Command(argv))
            }
            _ if given.boolean()? => Some(SecretPlace::Prompt),
            _ => given.report("wrong-value", "`prompt` can only be true", Some("name another source".into())),
        }
    }

    pub(super) fn requires(&self, given: &Given<'_>) -> Requires {
        let given = given.clone().like("{tools: [git, gpg], env: [GNUPGHOME]}");
        let Some(fields) = given.fields("`requires`") else { return Requires::default() };
        let mut fields = fields.closed(REQUIRES_KEYS);
        let words = |given: Option<Given<'_>>| {
            given
                .and_then(|given| given.list())
                .unwrap_or_default()
                .iter()
                .filter_map(|item| item.line())
                .map(|text| Spanned::new(text.text.clone(), text.span))
                .collect::<Vec<_>>()
        };
        let tools = words(fields.get("tools"));
        let env = words(fields.get("env"));
        fields.finish();
        Requires { tools, env }
    }
}

/// A scheme, a host and perhaps a port, in the form in which origins are compared.
fn origin_of(given: &Given<'_>) -> Option<String> {
    let text = given.text()?;
    let parsed = url::Url::parse(&text.text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let hint = match &parsed {
        _ if text.text.contains("{{") => "write it out; the origin of a parameter needs no entry".to_owned(),
        Some(url) => format!("write {}", url.origin().ascii_serialization()),
        None => "write one such as https://ci.example or https://ci.example:8443".to_owned(),
    };
    let bare = |url: &url::Url| {
        let rest = url.path().trim_matches('/').is_empty() && url.query().is_none() && url.fragment().is_none();
        rest && url.username().is_empty() && url.password().is_none()
    };
    match parsed.filter(|url| bare(url) && !text.text.contains("{{")) {
        Some(url) => Some(url.origin().ascii_serialization()),
        None => given.report("wrong-value", format!("`{}` is not an origin", text.text), Some(hint)),
    }
}

/// Whether a word can name a value; says why not.
pub(super) fn checked_name(name: &Text, what: &str, problems: &Problems) -> bool {
    if !Names::is_name(&name.text) {
        let problem = Diagnostic::error("bad-name", name.span, format!("`{}` cannot be the name of {what}", name.text))
            .label("lower-case letters, digits and `_`, beginning with a letter");
        let hint = nearest_name(&name.text).map(|name| format!("write `{name}`"));
        problems.push(problem.hint_opt(hint));
        return false;
    }
    if Names::RESERVED.contains(&name.text.as_str()) {
        problems.push(
            Diagnostic::error(
                "reserved-name",
                name.span,
                format!("`{}` is reserved and cannot name {what}", name.text),
            )
            .hint(format!("write `the_{}` or something more telling", name.text)),
        );
        return false;
    }
    true
}

/// The name that a word was most likely meant to be.
pub(super) fn nearest_name(word: &str) -> Option<String> {
    Some(separated(word, '_')).filter(|name| Names::is_name(name))
}

/// In lower case, with one sign between words: `buildNumber` and `build number` become `build_number`.
pub(super) fn separated(word: &str, sign: char) -> String {
    let mut made = String::with_capacity(word.len() + 4);
    let mut before = sign;
    for c in word.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            made.push(sign);
        }
        made.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { sign });
        before = c;
    }
    made
}
