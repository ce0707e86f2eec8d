//! From nodes to a runbook: every mistake of a file in one go. Knows the language's fields and no particular kind.

use indexmap::IndexMap;

use super::{
    Body, Capture, DurationSpec, Expectations, Names, Need, OnFailure, Param, Registry, Requires, Retry, Runbook,
    SecretPlace, SecretSpec, Step, checks,
};
use crate::{
    event::{Effect, StepId},
    syntax::{Expr, Fields, Given, NodeKind, Problems, Template, Text, yaml},
    text::{Diagnostic, Source, Span, Spanned, nearest},
    value::{Type, Value},
};

/// What came of reading a file.
pub struct Loaded {
    pub source: Source,
    /// There unless something is wrong.
    pub runbook: Option<Runbook>,
    pub names: Names,
    /// Errors and warnings, in file order.
    pub problems: Vec<Diagnostic>,
}

impl Loaded {
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }
}

/// Reads a runbook. `name` is its name in its library.
pub fn load(name: &str, source: &Source, registry: Registry) -> Loaded {
    // A file with doubled keys or tags is still a tree, so that everything else that is wrong is told as well.
    let read = yaml::read(source);
    let Some(root) = read.node else {
        return Loaded { source: source.clone(), runbook: None, names: Names::default(), problems: read.problems };
    };
    let problems = Problems::new(source);
    problems.extend(read.problems);
    let lowering = Lowering { registry };
    let runbook = lowering.runbook(name, &root, &problems);
    let names = match &runbook {
        Some(runbook) => checks::check(runbook, &problems),
        None => Names::default(),
    };
    let failed = problems.has_errors();
    Loaded { source: source.clone(), runbook: runbook.filter(|_| !failed), names, problems: problems.into_vec() }
}

/// What kinds need while they are lowered.
pub struct Lowering {
    registry: Registry,
}

impl Lowering {
    /// A template; its mistakes are reported.
    pub fn template(&self, given: &Given<'_>) -> Option<Template> {
        self.compiled(given.text_or_number()?, given.problems())
    }

    /// A template that people read: a comment that cuts it is an error.
    pub fn prose(&self, given: &Given<'_>) -> Option<Template> {
        self.compiled(given.prose()?, given.problems())
    }

    fn compiled(&self, text: &Text, problems: &Problems) -> Option<Template> {
        Template::compile(text).map_err(|problem| problems.push(problem)).ok()
    }

    pub fn url(&self, given: &Given<'_>) -> Option<Template> {
        Template::compile_url(given.text()?).map_err(|problem| given.problems().push(problem)).ok()
    }

    pub fn expr(&self, given: &Given<'_>) -> Option<Expr> {
        Expr::compile(given.expression()?).map_err(|problem| given.problems().push(problem)).ok()
    }

    /// One expression or a list of them.
    pub fn exprs(&self, given: &Given<'_>) -> Vec<Expr> {
        given.one_or_many().unwrap_or_default().iter().filter_map(|one| self.expr(one)).collect()
    }

    /// A duration as written, or a template that makes one.
    pub fn duration(&self, given: &Given<'_>) -> Option<DurationSpec> {
        if let NodeKind::Text(text) = &given.node().kind
            && text.text.contains("{{")
        {
            return self.template(given).map(DurationSpec::Template);
        }
        given.duration().map(|duration| DurationSpec::Fixed(duration.value))
    }

    /// Whether a word can name a value; says why not.
    pub fn name(&self, name: &Text, problems: &Problems) -> bool {
        checked_name(name, "a value", problems)
    }

    fn runbook(&self, name: &str, root: &crate::syntax::Node, problems: &Problems) -> Option<Runbook> {
        let mut fields = Fields::of(root, "a runbook", problems)?;
        let title = fields.need("title").and_then(|given| given.line());
        let summary = fields.get("summary").and_then(|given| given.prose());
        let owner = fields.get("owner").and_then(|given| given.prose());
        let tags = fields.get("tags").and_then(|given| given.list()).unwrap_or_default();
        let tags = tags.iter().filter_map(|tag| Some(tag.text_or_number()?.text.clone())).collect();
        let mut links = IndexMap::new();
        for (label, url) in fields.get("links").and_then(|given| given.entries()).unwrap_or_default() {
            if let Some(url) = url.text() {
                links.insert(label.text.clone(), url.text.clone());
            }
        }
        let mut params = IndexMap::new();
        for (name, given) in fields.get("params").and_then(|given| given.entries()).unwrap_or_default() {
            if checked_name(name, "a parameter", problems)
                && let Some(param) = self.param(name, &given)
            {
                params.insert(name.text.clone(), param);
            }
        }
        let mut secrets = IndexMap::new();
        for (name, given) in fields.get("secrets").and_then(|given| given.entries()).unwrap_or_default() {
            if checked_name(name, "a secret", problems)
                && let Some(secret) = self.secret(name, &given)
            {
                secrets.insert(name.text.clone(), secret);
            }
        }
        let requires = fields.get("requires").map(|given| self.requires(&given)).unwrap_or_default();
        let lock = fields.get("lock").and_then(|given| self.template(&given));
        let cwd = fields.get("cwd").and_then(|given| self.template(&given));
        for later in ["profiles", "files", "triggers", "outputs"] {
            fields.not_yet(later, &format!("`{later}`"));
        }
        let steps = fields.need("steps").map(|given| self.steps(&given, "")).unwrap_or_default();
        let finally = fields.get("finally").map(|given| self.steps(&given, "")).unwrap_or_default();
        fields.finish();
        let title = title?;
        Some(Runbook {
            name: name.to_owned(),
            source: problems.source().clone(),
            title: Spanned::new(title.text.trim().to_owned(), title.span),
            summary: summary.map(|text| text.text.trim().to_owned()),
            owner: owner.map(|text| text.text.trim().to_owned()),
            tags,
            links,
            params,
            secrets,
            requires,
            lock,
            cwd,
            steps,
            finally,
        })
    }

    /// A parameter, or a value declared as one.
    pub fn param(&self, name: &Text, given: &Given<'_>) -> Option<Param> {
        let problems = given.problems();
        let what = format!("parameter `{}`", name.text);
        let mut fields = given.fields(&what)?;
        let ty = fields.need("type");
        let pattern = fields.get("pattern");
        let choices = fields.get("choices");
        let default = fields.get("default");
        let prompt = fields.get("prompt").and_then(|given| given.prose());
        let help = fields.get("help").and_then(|given| given.prose());
        let example = fields.get("example");
        for later in ["min", "max", "min_length", "max_length", "items"] {
            fields.not_yet(later, &format!("`{later}`"));
        }
        fields.finish();
        let ty_given = ty?;
        if let NodeKind::Text(text) = &ty_given.node().kind
            && ["number", "list", "secret"].contains(&text.text.as_str())
        {
            let message = format!("parameters of type `{}` are not supported yet", text.text);
            return ty_given.report("not-supported-yet", message, None);
        }
        let ty = ty_given.one_of(&Type::ALL)?;
        let pattern = match pattern {
            None => None,
            Some(given) => {
                let written = given.text()?;
                match Param::anchored(&written.text) {
                    Ok(regex) => Some((written.text.clone(), regex)),
                    Err(error) => {
                        let why = error.to_string();
                        let why = why.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
                        return given.report("bad-pattern", format!("this pattern cannot be read: {why}"), None);
                    }
                }
            }
        };
        let choices: Vec<String> = match (&choices, ty) {
            (Some(given), Type::Enum) => {
                given.list()?.iter().filter_map(|choice| Some(choice.text_or_number()?.text.clone())).collect()
            }
            (Some(given), _) => {
                return given.report("conflict", "`choices` go with `type: enum`", None);
            }
            (None, Type::Enum) => {
                problems.push(
                    Diagnostic::error(
                        "missing-key",
                        Span::at(given.span().start),
                        format!("missing `choices` in {what}"),
                    )
                    .hint("choices: [one, other]"),
                );
                return None;
            }
            (None, _) => Vec::new(),
        };
        if ty == Type::Enum && choices.is_empty() {
            return given.report("wrong-value", format!("{what} has no choices"), None);
        }
        let mut param = Param {
            name: name.text.clone(),
            ty,
            pattern,
            choices,
            default: None,
            prompt: prompt.map(|text| text.text.trim().to_owned()),
            help: help.map(|text| text.text.trim().to_owned()),
            example: None,
            span: name.span,
        };
        param.example = example.and_then(|given| read_as(&param, &given, "example"));
        param.default = default.and_then(|given| read_as(&param, &given, "default"));
        Some(param)
    }

    fn secret(&self, name: &Text, given: &Given<'_>) -> Option<SecretSpec> {
        let what = format!("secret `{}`", name.text);
        let mut fields = given.fields(&what)?;
        let env = fields.get("env");
        let file = fields.get("file");
        let command = fields.get("command");
        let prompt = fields.get("prompt");
        let allow_short = fields.get("allow_short").and_then(|given| given.boolean()).unwrap_or(false);
        fields.not_yet("origins", "`origins`");
        let sources: Vec<Span> = [&env, &file, &command, &prompt].into_iter().flatten().map(Given::span).collect();
        fields.finish();
        if sources.len() != 1 {
            let message = match sources.len() {
                0 => format!("{what} does not say where it comes from"),
                _ => format!("{what} comes from more than one place"),
            };
            let hint = "write one of {env: VARIABLE}, {file: path}, {command: [program, argument]}, {prompt: true}";
            return given.report("wrong-value", message, Some(hint.into()));
        }
        let place = if let Some(given) = env {
            SecretPlace::Env(self.template(&given)?)
        } else if let Some(given) = file {
            SecretPlace::File(self.template(&given)?)
        } else if let Some(given) = command {
            let argv: Vec<Template> = given.list()?.iter().filter_map(|item| self.template(item)).collect();
            if argv.is_empty() {
                return given.report("wrong-value", "`command` is empty; it needs a program", None);
            }
            SecretPlace::Command(argv)
        } else {
            let given = prompt?;
            if !given.boolean()? {
                return given.report("wrong-value", "`prompt` can only be true", None);
            }
            SecretPlace::Prompt
        };
        Some(SecretSpec { name: name.text.clone(), place, allow_short, span: name.span })
    }

    fn requires(&self, given: &Given<'_>) -> Requires {
        let Some(mut fields) = given.fields("`requires`") else { return Requires::default() };
        let words = |given: Option<Given<'_>>| {
            given
                .and_then(|given| given.list())
                .unwrap_or_default()
                .iter()
                .filter_map(|item| item.text())
                .map(|text| Spanned::new(text.text.clone(), text.span))
                .collect::<Vec<_>>()
        };
        let tools = words(fields.get("tools"));
        let env = words(fields.get("env"));
        fields.finish();
        Requires { tools, env }
    }

    fn steps(&self, given: &Given<'_>, above: &str) -> Vec<Step> {
        let Some(items) = given.list() else { return Vec::new() };
        if items.is_empty() {
            let _: Option<()> = given.report("wrong-value", format!("{} is empty", given.name()), None);
        }
        items.iter().filter_map(|item| self.step(item, above)).collect()
    }

    fn step(&self, given: &Given<'_>, above: &str) -> Option<Step> {
        let problems = given.problems();
        let mut fields = given.fields("a step")?;
        let id = fields.need("id").and_then(|given| given.text());
        let id_ok = id.is_some_and(|id| checked_id(id, problems));
        let title = fields.get("title").and_then(|given| self.prose(&given));
        let text = fields.get("text").and_then(|given| self.prose(&given));
        let needs_given = fields.get("needs");
        let needs_span = needs_given.as_ref().map(Given::span);
        let needs = needs_given.map(|given| self.needs(&given));
        let when = fields.get("when").and_then(|given| self.expr(&given));
        let retry = fields.get("retry").and_then(|given| self.retry(&given));
        let idempotent = fields.get("idempotent").and_then(|given| given.boolean());
        let verify = fields.get("verify").and_then(|given| self.probe(&given, "`verify`", true));
        let critical = fields.get("critical").and_then(|given| given.boolean()).unwrap_or(false);
        let on_failure = fields.get("on_failure").and_then(|given| self.on_failure(&given)).unwrap_or(OnFailure::Ask);
        for later in ["foreach", "undo", "irreversible"] {
            fields.not_yet(later, &format!("`{later}`"));
        }
        fields.know(&["effect", "expect", "capture", "timeout", "env", "cwd"]);
        let body = self.body(&mut fields, false);
        fields.finish();
        let (id, body) = (id?, body?);
        if !id_ok {
            return None;
        }
        Some(Step {
            id: Spanned::new(id.text.clone(), id.span),
            path: StepId::new(format!("{above}{}", id.text)),
            title,
            text,
            needs,
            needs_span,
            when,
            idempotent: idempotent.unwrap_or(body.effect == Effect::Read),
            body,
            retry,
            verify,
            on_failure,
            critical,
            span: given.span(),
        })
    }

    /// A kind with its settings, without an id: a `verify` or a probe, given by itself.
    pub fn probe(&self, given: &Given<'_>, what: &str, read_only: bool) -> Option<Body> {
        let mut fields = given.fields(what)?;
        let body = self.body(&mut fields, true);
        fields.finish();
        let body = body?;
        if read_only && body.effect != Effect::Read {
            return given.report("verify-changes", format!("{what} must only read"), None);
        }
        Some(body)
    }

    /// The kind and the settings among the fields of a step or a probe. A probe reads unless it says otherwise.
    pub fn body(&self, fields: &mut Fields<'_>, probe: bool) -> Option<Body> {
        let problems = fields.problems();
        let span = fields.span();
        let effect = fields.get("effect").and_then(|given| given.one_of(&Effect::ALL));
        let expect = fields.get("expect").map(|given| self.exprs(&given)).unwrap_or_default();
        let captures = fields.get("capture").map(|given| self.captures(&given)).unwrap_or_default();
        let timeout_given = fields.get("timeout");
        let timeout_span = timeout_given.as_ref().map(Given::span);
        let timeout = timeout_given.and_then(|given| self.duration(&given));
        let env_given = fields.get("env");
        let env_span = env_given.as_ref().map(Given::span);
        let env = env_given.map(|given| self.env(&given)).unwrap_or_default();
        let cwd_given = fields.get("cwd");
        let cwd_span = cwd_given.as_ref().map(Given::span);
        let cwd = cwd_given.and_then(|given| self.template(&given));
        let mut found: Vec<(&'static super::Kind, Span, Given<'_>)> = Vec::new();
        for kind in self.registry.0 {
            if let Some(entry) = fields.take_entry(kind.name) {
                found.push((kind, entry.key.span, Given::field(&entry.value, kind.name, problems)));
            }
        }
        let Some((kind, kind_span, given)) = found.pop() else {
            // A misspelt kind is one mistake: the unknown key is reported with what was meant.
            let near = fields.remaining().any(|entry| nearest(&entry.key.text, self.registry.names()).is_some());
            if !near {
                let names: Vec<String> = self.registry.names().map(|name| format!("`{name}`")).collect();
                problems.push(
                    Diagnostic::error(
                        "missing-kind",
                        Span::at(span.start),
                        format!("missing what {} does", fields.what()),
                    )
                    .label("no kind is given")
                    .hint(format!("give it exactly one of {}", names.join(", "))),
                );
            }
            return None;
        };
        if let Some((other, other_span, _)) = found.pop() {
            problems.push(
                Diagnostic::error(
                    "two-kinds",
                    kind_span,
                    format!("{} is both `{}` and `{}`", fields.what(), other.name, kind.name),
                )
                .related(other_span, "the other one")
                .hint("make two steps of it"),
            );
            return None;
        }
        let Some(lower) = kind.lower else {
            let message = format!("steps of kind `{}` are not supported yet", kind.name);
            problems.push(Diagnostic::error("not-supported-yet", kind_span, message));
            return None;
        };
        let action = lower(given, self)?;
        if !action.takes_env() {
            for (key, span) in [("env", env_span), ("cwd", cwd_span)] {
                if let Some(span) = span {
                    let message = format!("`{key}` means nothing to a step of kind `{}`", kind.name);
                    problems.push(Diagnostic::error("conflict", span, message).hint("it is for `shell`"));
                }
            }
        }
        if let Some(span) = timeout_span
            && !action.takes_timeout()
        {
            let message = format!("`timeout` means nothing to this step of kind `{}`", kind.name);
            problems.push(Diagnostic::error("conflict", span, message));
        }
        let default_effect = if probe { Effect::Read } else { action.default_effect() };
        Some(Body {
            kind: kind.name,
            kind_span,
            effect: effect.unwrap_or(default_effect),
            expect: Expectations { default: Some(action.default_expect()), entries: expect },
            action,
            captures,
            timeout,
            env,
            cwd,
            span,
        })
    }

    fn needs(&self, given: &Given<'_>) -> Vec<Need> {
        let mut needs = Vec::new();
        for item in given.one_or_many().unwrap_or_default() {
            match &item.node().kind {
                NodeKind::Map(_) => {
                    let Some(mut fields) = item.fields("an entry of `needs`") else { continue };
                    let step = fields.need("step").and_then(|given| given.text());
                    let when = fields.get("when").and_then(|given| self.expr(&given));
                    fields.finish();
                    if let Some(step) = step {
                        needs.push(Need { step: Spanned::new(step.text.clone(), step.span), when });
                    }
                }
                _ => {
                    if let Some(step) = item.text() {
                        needs.push(Need { step: Spanned::new(step.text.clone(), step.span), when: None });
                    }
                }
            }
        }
        needs
    }

    fn captures(&self, given: &Given<'_>) -> Vec<Capture> {
        let mut captures = Vec::new();
        for (name, given) in given.entries().unwrap_or_default() {
            if !checked_name(name, "a captured value", given.problems()) {
                continue;
            }
            let (value, secret) = match &given.node().kind {
                NodeKind::Map(_) => {
                    let Some(mut fields) = given.fields("a capture") else { continue };
                    let value = fields.need("value").and_then(|given| self.expr(&given));
                    let secret = fields.get("secret").and_then(|given| given.boolean()).unwrap_or(false);
                    fields.finish();
                    (value, secret)
                }
                _ => (self.expr(&given), false),
            };
            if let Some(value) = value {
                captures.push(Capture { name: Spanned::new(name.text.clone(), name.span), value, secret });
            }
        }
        captures
    }

    fn env(&self, given: &Given<'_>) -> Vec<(Spanned<String>, Template)> {
        let mut env = Vec::new();
        for (name, given) in given.entries().unwrap_or_default() {
            let ok = !name.text.is_empty()
                && !name.text.as_bytes()[0].is_ascii_digit()
                && name.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !ok {
                given.problems().push(
                    Diagnostic::error(
                        "bad-name",
                        name.span,
                        format!("`{}` cannot be the name of a variable", name.text),
                    )
                    .hint("letters, digits and `_`, not beginning with a digit"),
                );
                continue;
            }
            if let Some(template) = self.template(&given) {
                env.push((Spanned::new(name.text.clone(), name.span), template));
            }
        }
        env
    }

    fn retry(&self, given: &Given<'_>) -> Option<Retry> {
        let mut fields = given.fields("`retry`")?;
        let attempts = fields.need("attempts").and_then(|given| given.integer(1..=1000));
        let interval = fields.get("interval").and_then(|given| given.duration());
        let backoff = fields.get("backoff").and_then(|given| number(&given, 1.0));
        let max_interval = fields.get("max_interval").and_then(|given| given.duration());
        let when = fields.get("when").and_then(|given| self.expr(&given));
        fields.finish();
        Some(Retry {
            attempts: u32::try_from(attempts?).ok()?,
            interval: interval.map_or(std::time::Duration::from_secs(1), |d| d.value),
            backoff: backoff.unwrap_or(1.0),
            max_interval: max_interval.map_or(std::time::Duration::from_secs(300), |d| d.value),
            when,
        })
    }

    fn on_failure(&self, given: &Given<'_>) -> Option<OnFailure> {
        let words = [
            ("ask", Some(OnFailure::Ask)),
            ("stop", Some(OnFailure::Stop)),
            ("continue", Some(OnFailure::Continue)),
            ("undo", None),
        ];
        match given.one_of(&words)? {
            Some(policy) => Some(policy),
            None => given.report("not-supported-yet", "`on_failure: undo` is not supported yet", None),
        }
    }
}

/// A number of at least `least`, with or without a fraction.
pub fn number(given: &Given<'_>, least: f64) -> Option<f64> {
    let number = match &given.node().kind {
        #[expect(clippy::cast_precision_loss, reason = "factors are small")]
        NodeKind::Plain(Value::Int(i), _) => *i as f64,
        NodeKind::Plain(Value::Float(f), _) => *f,
        _ => return given.refuse("a number", None),
    };
    if number.is_finite() && number >= least {
        Some(number)
    } else {
        given.report("wrong-value", format!("{} must be at least {least}", given.name()), None)
    }
}

/// A default or an example, read as its parameter would be.
fn read_as(param: &Param, given: &Given<'_>, field: &str) -> Option<Value> {
    let text = given.text_or_number()?;
    match param.read(&text.text) {
        Ok(value) => Some(value),
        Err(why) => given.report("wrong-value", format!("`{field}` of parameter `{}`: {why}", param.name), None),
    }
}

/// Whether a word can name a value; says why not.
pub(super) fn checked_name(name: &Text, what: &str, problems: &Problems) -> bool {
    if !Names::is_name(&name.text) {
        let fixed: String =
            name.text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let problem = Diagnostic::error("bad-name", name.span, format!("`{}` cannot be the name of {what}", name.text))
            .label("lower-case letters, digits and `_`, beginning with a letter");
        problems.push(if Names::is_name(&fixed) { problem.hint(format!("write `{fixed}`")) } else { problem });
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

fn checked_id(id: &Text, problems: &Problems) -> bool {
    if Names::is_id(&id.text) {
        return true;
    }
    let fixed: String =
        id.text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let problem = Diagnostic::error("bad-id", id.span, format!("`{}` cannot be the id of a step", id.text))
        .label("lower-case letters, digits and `-`, beginning with a letter");
    problems.push(if Names::is_id(&fixed) { problem.hint(format!("write `{fixed}`")) } else { problem });
    false
}
