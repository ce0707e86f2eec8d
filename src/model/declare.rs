//! Parameters, secrets and requirements, from nodes to what is declared. Knows nothing of steps.
//!
//! A declaration with a mistake in it still declares its name: the mistake is told once, and not again at every use.

use super::{Lowering, Names, Param, Requires, SecretPlace, SecretSpec};
use crate::{
    syntax::{Foreign, Given, NodeKind, Problems, Template, Text, not_yet},
    text::{Diagnostic, Span, Spanned},
    value::{Type, Value},
};

const PARAM: [&str; 12] = [
    "type",
    "pattern",
    "choices",
    "default",
    "prompt",
    "help",
    "example",
    "min",
    "max",
    "min_length",
    "max_length",
    "items",
];
const PARAM_LATER: [&str; 5] = ["min", "max", "min_length", "max_length", "items"];
/// Words of other tools.
const PARAM_FOREIGN: [Foreign; 6] = [
    ("description", "help", true),
    ("regex", "pattern", true),
    ("enum", "choices", true),
    ("options", "choices", true),
    ("values", "choices", true),
    ("label", "prompt", true),
];
const TYPE_LATER: [&str; 3] = ["number", "list", "secret"];
const SOURCES: [&str; 4] = ["env", "file", "command", "prompt"];

impl Lowering {
    /// A parameter, or a value declared as one.
    pub fn param(&self, name: &Text, given: &Given<'_>) -> Param {
        let mut param = Param {
            name: name.text.clone(),
            ty: Type::String,
            pattern: None,
            choices: Vec::new(),
            default: None,
            prompt: None,
            help: None,
            example: None,
            span: name.span,
        };
        let problems = given.problems();
        let what = format!("parameter `{}`", name.text);
        let Some(fields) = given.clone().like("{type: string}").fields(&what) else { return param };
        let mut fields = fields.closed(PARAM).foreign(&PARAM_FOREIGN);
        let ty = fields.need("type").and_then(|given| param_type(&given));
        let pattern = fields.get("pattern");
        let choices = fields.get("choices");
        let choices_at = fields.key_span("choices");
        let default = fields.get("default");
        let trimmed = |given: Given<'_>| Some(given.prose()?.text.trim().to_owned());
        param.prompt = fields.get("prompt").and_then(trimmed);
        param.help = fields.get("help").and_then(trimmed);
        let example = fields.get("example");
        for later in PARAM_LATER {
            fields.not_yet(later, &format!("`{later}`"));
        }
        param.pattern = pattern.as_ref().and_then(pattern_of);
        // Where the type cannot be read, nothing can be said about values.
        let mut readable = ty.is_some() && pattern.is_some() == param.pattern.is_some();
        param.ty = ty.unwrap_or(Type::String);
        match (&choices, ty) {
            (Some(given), None | Some(Type::Enum)) => {
                let items = given.list();
                if items.as_ref().is_some_and(Vec::is_empty) {
                    let _: Option<()> = given.report("wrong-value", "`choices` is empty; an enum needs some", None);
                }
                readable &= items.as_ref().is_some_and(|items| !items.is_empty());
                for item in items.unwrap_or_default() {
                    let Some(choice) = item.text_or_number() else {
                        readable = false;
                        continue;
                    };
                    if param.choices.contains(&choice.text) {
                        let message = format!("`{}` is among the choices already", choice.text);
                        let _: Option<()> = item.report("wrong-value", message, Some("remove one of them".into()));
                    }
                    param.choices.push(choice.text.clone());
                }
            }
            (Some(_), Some(ty)) => {
                let message = format!("`choices` go with `type: enum`, and this is `type: {}`", ty.name());
                problems.push(
                    Diagnostic::error("conflict", choices_at.unwrap_or(name.span), message)
                        .hint("write `type: enum`, or remove the choices"),
                );
            }
            (None, Some(Type::Enum)) => {
                readable = false;
                if !fields.has_slip_of(&["choices"]) {
                    problems.push(
                        Diagnostic::error(
                            "missing-key",
                            Span::at(given.span().start),
                            format!("missing `choices` in {what}"),
                        )
                        .label("an enum needs them")
                        .hint("choices: [one, other]"),
                    );
                }
            }
            (None, _) => {}
        }
        fields.finish();
        if readable {
            param.example = example.and_then(|given| read_as(&param, &given, "example"));
            param.default = default.and_then(|given| read_as(&param, &given, "default"));
        }
        param
    }

    pub(super) fn secret(&self, name: &Text, given: &Given<'_>) -> SecretSpec {
        let mut secret =
            SecretSpec { name: name.text.clone(), place: SecretPlace::Prompt, allow_short: false, span: name.span };
        let what = format!("secret `{}`", name.text);
        let given = given.clone().like("{env: VARIABLE}");
        let Some(fields) = given.fields(&what) else { return secret };
        let mut fields = fields.closed(SOURCES.into_iter().chain(["allow_short", "origins"]));
        let mut sources: Vec<(&str, Span, Given<'_>)> = Vec::new();
        for source in SOURCES {
            if let Some(entry) = fields.take_entry(source) {
                sources.push((source, entry.key.span, Given::field(&entry.value, source, given.problems())));
            }
        }
        secret.allow_short = fields.get("allow_short").and_then(|given| given.boolean()).unwrap_or(false);
        fields.not_yet("origins", "`origins`");
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
        let mut fields = fields.closed(["tools", "env"]);
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

fn param_type(given: &Given<'_>) -> Option<Type> {
    if let NodeKind::Text(text) = &given.node().kind
        && TYPE_LATER.contains(&text.text.as_str())
    {
        let message = format!("parameters of type `{}` are not supported yet", text.text);
        given.problems().push(not_yet(given.span(), message));
        return None;
    }
    given.one_of(&Type::ALL)
}

fn pattern_of(given: &Given<'_>) -> Option<(String, regex::Regex)> {
    let written = given.text()?;
    match Param::anchored(&written.text) {
        Ok(regex) => Some((written.text.clone(), regex)),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            given.problems().push(
                Diagnostic::error("bad-pattern", given.span(), format!("this pattern cannot be read: {why}"))
                    .label("expected a regular expression"),
            );
            None
        }
    }
}

/// A default or an example, read as its parameter would be.
fn read_as(param: &Param, given: &Given<'_>, field: &str) -> Option<Value> {
    let text = given.text_or_number()?;
    match param.read(&text.text) {
        Ok(value) => Some(value),
        Err(why) => {
            // What to do stands behind the semicolon, where there is anything.
            let (why, hint) = match why.split_once("; ") {
                Some((why, hint)) => (why, Some(hint.to_owned())),
                None => (why.as_str(), None),
            };
            given.problems().push(
                Diagnostic::error(
                    "wrong-value",
                    given.span(),
                    format!("`{field}` of parameter `{}`: {why}", param.name),
                )
                .label(format!("does not fit `type: {}`", param.ty.name()).replace("`type: string`", "the pattern"))
                .hint_opt(hint),
            );
            None
        }
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
