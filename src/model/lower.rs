//! From nodes to a runbook: every mistake of a file in one go. Knows the language's fields and no particular kind.

use std::{cell::RefCell, rc::Rc};

use indexmap::IndexMap;

use super::{
    Body, CallValue, Capture, Declared, DurationSpec, Expectations, ForEach, Items, Names, Need, OnFailure, Registry,
    Retry, Runbook, Step,
    bodies::listed,
    broken::Broken,
    checks,
    declare::{checked_name, nearest_name, separated},
    fields::{
        AROUND, BODY_KEYS, CAPTURE_KEYS, FOREACH_KEYS, NEED_KEYS, RETRY_KEYS, RUNBOOK_KEYS, RUNBOOK_LATER, STEP_KEYS,
    },
    hidden,
    link::{Linker, NoLibrary},
};
use crate::{
    event::{Effect, StepId},
    syntax::{Expr, Fields, Foreign, Given, Node, NodeKind, Problems, Template, Text, not_yet, yaml},
    text::{Diagnostic, Source, Span, Spanned},
    value::Value,
};

/// Words of other tools, for hints.
const RUNBOOK_FOREIGN: [Foreign; 9] = [
    ("name", "title", true),
    ("description", "summary", true),
    ("parameters", "params", true),
    ("inputs", "params", true),
    ("variables", "params", false),
    ("vars", "params", false),
    ("tasks", "steps", true),
    ("jobs", "steps", true),
    ("cleanup", "finally", true),
];
const STEP_FOREIGN: [Foreign; 19] = [
    ("name", "title", true),
    ("description", "text", true),
    ("if", "when", true),
    ("condition", "when", true),
    ("depends_on", "needs", true),
    ("dependsOn", "needs", true),
    ("after", "needs", true),
    ("run", "shell", true),
    ("script", "shell", true),
    ("command", "shell", true),
    ("cmd", "shell", true),
    ("bash", "shell", true),
    ("environment", "env", true),
    ("working_directory", "cwd", true),
    ("workdir", "cwd", true),
    ("register", "capture", false),
    ("output", "capture", false),
    ("outputs", "capture", false),
    ("retries", "retry", false),
];

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
///
/// It can call no other; see [`load_from`].
pub fn load(name: &str, source: &Source, registry: Registry) -> Loaded {
    load_from(name, source, &Linker::new(registry, Rc::new(NoLibrary)))
}

/// As [`load`]; the runbooks it calls come from a library, and are read and checked as well.
pub fn load_from(name: &str, source: &Source, linker: &Linker) -> Loaded {
    load_edited(name, source, linker, &|_| ())
}

/// As [`load_from`], of another file than the one that is written: its tree is edited first. Every place stays that of
/// the source.
pub fn load_edited(name: &str, source: &Source, linker: &Linker, edit: &dyn Fn(&mut Node)) -> Loaded {
    linker.within(name, || read_runbook(name, source, linker, edit))
}

fn read_runbook(name: &str, source: &Source, linker: &Linker, edit: &dyn Fn(&mut Node)) -> Loaded {
    // A file with doubled keys or tags is still a tree, so that everything else that is wrong is told as well.
    let read = yaml::read(source);
    let Some(mut root) = read.node else {
        return Loaded { source: source.clone(), runbook: None, names: Names::default(), problems: read.problems };
    };
    edit(&mut root);
    let problems = Problems::new(source);
    problems.extend(read.problems);
    hidden::check(&root, &problems);
    let lowering = Lowering {
        registry: linker.registry(),
        linker: linker.clone(),
        misnamed: RefCell::default(),
        plain: RefCell::default(),
        above: RefCell::default(),
        inherited: RefCell::default(),
    };
    let runbook = lowering.runbook(name, &root, &problems);
    let names = match &runbook {
        Some(runbook) => {
            let names = checks::check(runbook, &lowering.misnamed.borrow(), &problems);
            checks::check_plain(&lowering.plain.borrow(), &names, &problems);
            names
        }
        None => Names::default(),
    };
    let failed = problems.has_errors();
    Loaded { source: source.clone(), runbook: runbook.filter(|_| !failed), names, problems: problems.into_vec() }
}

/// Where a kind stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Step,
    Verify,
    Undo,
    /// The look of a wait.
    Look,
}

/// What kinds need while they are lowered.
///
/// What is wrong is reported once, and something stands in its place: uses of a name whose declaration has a mistake are
/// no mistakes, and everything else in the file is still checked.
pub struct Lowering {
    registry: Registry,
    linker: Linker,
    /// Declarations under words that cannot be names.
    misnamed: RefCell<Vec<(String, Declared)>>,
    /// The path of the step, or the case, that is being read.
    above: RefCell<String>,
    /// What the containers around it say of failures, innermost last.
    inherited: RefCell<Vec<OnFailure>>,
    /// Values that are taken as they stand, each with what it is.
    plain: RefCell<Vec<(String, Text)>>,
}

impl Lowering {
    /// A template; its mistakes are reported.
    pub fn template(&self, given: &Given<'_>) -> Option<Template> {
        self.compiled(given.written()?, given.problems())
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

    /// An expression whose name is used elsewhere: if it is wrong, something stands in its place.
    pub fn expr_or_none(&self, given: &Given<'_>) -> Expr {
        self.expr(given).unwrap_or_else(|| Expr::constant(Value::None, given.span()))
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
        self.checked(name, "a value", problems, Declared::Capture { step: String::new(), span: name.span })
    }

    /// Takes note of a value that is no template, although it may look like one.
    pub(super) fn is_plain(&self, what: &str, text: &Text) {
        if text.text.contains("{{") {
            self.plain.borrow_mut().push((what.to_owned(), text.clone()));
        }
    }

    fn checked(&self, name: &Text, what: &str, problems: &Problems, declared: Declared) -> bool {
        let ok = checked_name(name, what, problems);
        if !ok {
            let mut misnamed = self.misnamed.borrow_mut();
            misnamed.extend(nearest_name(&name.text).map(|right| (right, declared.clone())));
            misnamed.push((name.text.clone(), declared));
        }
        ok
    }

    fn runbook(&self, name: &str, root: &crate::syntax::Node, problems: &Problems) -> Option<Runbook> {
        let mut fields = Fields::of(root, "a runbook", problems)?.closed(RUNBOOK_KEYS).foreign(&RUNBOOK_FOREIGN);
        let title = fields.need("title").and_then(|given| given.line());
        let trimmed = |given: Given<'_>| Some(given.prose()?.text.trim().to_owned());
        let summary = fields.get("summary").and_then(trimmed);
        let owner = fields.get("owner").and_then(trimmed);
        let tags = fields.get("tags").and_then(|given| given.list()).unwrap_or_default();
        let tags = tags.iter().filter_map(|tag| Some(tag.text_or_number()?.text.clone())).collect();
        let mut links = IndexMap::new();
        for (label, url) in
            fields.get("links").and_then(|given| given.like("{label: url}").entries()).unwrap_or_default()
        {
            if let Some(url) = url.text() {
                links.insert(label.text.clone(), url.text.clone());
            }
        }
        let mut params = IndexMap::new();
        for (name, given) in
            fields.get("params").and_then(|given| given.like("{name: {type: string}}").entries()).unwrap_or_default()
        {
            let ok = self.checked(name, "a parameter", problems, Declared::Param(name.span));
            let param = self.param(name, &given);
            if ok {
                params.insert(name.text.clone(), param);
            }
        }
        let mut secrets = IndexMap::new();
        for (name, given) in
            fields.get("secrets").and_then(|given| given.like("{name: {env: VARIABLE}}").entries()).unwrap_or_default()
        {
            let ok = self.checked(name, "a secret", problems, Declared::Secret(name.span));
            let secret = self.secret(name, &given);
            if ok {
                secrets.insert(name.text.clone(), secret);
            }
        }
        let profiles = fields.get("profiles").map(|given| self.profiles(&given, &params)).unwrap_or_default();
        let requires = fields.get("requires").map(|given| self.requires(&given)).unwrap_or_default();
        let lock = fields.get("lock").and_then(|given| self.template(&given));
        let cwd = fields.get("cwd").and_then(|given| self.template(&given));
        let files = fields.get("files").map(|given| self.files(&given)).unwrap_or_default();
        for later in RUNBOOK_LATER {
            fields.not_yet(later, &format!("`{later}`"));
        }
        let triggers = fields.get("triggers").map(|given| self.triggers(&given, &params)).unwrap_or_default();
        let steps =
            fields.need("steps").map(|given| self.steps(&given.like("[{id: build, shell: make}]"))).unwrap_or_default();
        let finally = fields.get("finally").map(|given| self.steps(&given)).unwrap_or_default();
        let mut outputs = IndexMap::new();
        for (name, given) in
            fields.get("outputs").and_then(|given| given.like("{name: expression}").entries()).unwrap_or_default()
        {
            let ok = checked_name(name, "an output", problems);
            let expr = self.expr_or_none(&given);
            if ok {
                outputs.insert(name.text.clone(), expr);
            }
        }
        fields.finish();
        let title = title.map_or(Spanned::new(String::new(), root.span), |title| {
            Spanned::new(title.text.trim().to_owned(), title.span)
        });
        Some(Runbook {
            name: name.to_owned(),
            source: problems.source().clone(),
            title,
            summary,
            owner,
            tags,
            links,
            params,
            secrets,
            profiles,
            requires,
            lock,
            cwd,
            files,
            triggers,
            steps,
            finally,
            outputs,
        })
    }

    /// The steps of a list, below the step or the case that is being read.
    pub fn steps(&self, given: &Given<'_>) -> Vec<Step> {
        let Some(items) = given.list() else { return Vec::new() };
        if items.is_empty() && given.name() == "`steps`" {
            let what = if self.above.borrow().is_empty() { "a runbook needs" } else { "there must be" };
            let _: Option<()> = given.report("wrong-value", format!("`steps` is empty; {what} at least one"), None);
        }
        items.iter().filter_map(|item| self.step(item)).collect()
    }

    /// Reads something below a name, such as the steps of a case.
    pub fn below<T>(&self, id: &str, read: impl FnOnce() -> T) -> T {
        let before = self.above.borrow().clone();
        let path = if before.is_empty() { id.to_owned() } else { format!("{before}/{id}") };
        self.above.replace(path);
        let result = read();
        self.above.replace(before);
        result
    }

    /// A runbook that a step calls, read and checked; what is wrong with it is reported at the name.
    pub fn callee(&self, name: &Text, problems: &Problems) -> Option<Rc<super::Callee>> {
        self.linker.callee(name, problems)
    }

    /// Values for another runbook or for a loop.
    pub fn call_value(&self, given: &Given<'_>) -> Option<CallValue> {
        match &given.node().kind {
            NodeKind::Plain(value, _) => Some(CallValue::Written(value.clone(), given.span())),
            NodeKind::List(_) => {
                let items: Vec<_> = given.list()?.iter().map(|item| self.call_value(item)).collect();
                items.into_iter().collect::<Option<_>>().map(CallValue::List)
            }
            NodeKind::Text(_) => self.template(given).map(CallValue::Computed),
            NodeKind::Map(_) | NodeKind::Null => given.refuse("a text, a number, a boolean or a list of them", None),
        }
    }

    fn step(&self, given: &Given<'_>) -> Option<Step> {
        let problems = given.problems();
        let fields = given.clone().like("{id: build, shell: make}").fields("a step")?;
        let mut fields = fields.closed(self.keys(&STEP_KEYS)).foreign(&STEP_FOREIGN);
        let id = fields.need("id").and_then(|given| given.text());
        if let Some(id) = id {
            checked_id(id, problems);
        }
        // A step without an id is still there for the steps around it; nothing can name it by a word with a space.
        let id = id.map_or_else(
            || Spanned::new(format!("the step at {}", given.span().start), Span::at(given.span().start)),
            |id| Spanned::new(id.text.clone(), id.span),
        );
        let title = fields.get("title").and_then(|given| self.prose(&given));
        let text = fields.get("text").and_then(|given| self.prose(&given));
        let needs = fields.take_entry("needs");
        let needs_span = needs.map(|entry| entry.key.span.to(entry.value.span));
        let needs = needs
            .map(|entry| self.needs(&Given::field(&entry.value, "needs", problems).like("[build], or [] for none")));
        let when = fields.get("when").and_then(|given| self.expr(&given));
        let retry = fields.get("retry").and_then(|given| self.retry(&given.like("{attempts: 3, interval: 5s}")));
        let idempotent = fields.get("idempotent").and_then(|given| given.boolean());
        let verify =
            fields.get("verify").and_then(|given| self.probe(&given.like("{shell: git status}"), "a `verify`"));
        let critical = fields.get("critical").and_then(|given| given.boolean()).unwrap_or(false);
        let on_failure = fields.get("on_failure").and_then(|given| self.on_failure(&given));
        let irreversible = fields.get("irreversible").and_then(|given| given.boolean()).unwrap_or(false);
        let foreach =
            fields.get("foreach").and_then(|given| self.foreach(&given.like("{as: role, in: [web, worker]}")));
        let undo = fields.take_entry("undo");
        fields.know(&BODY_KEYS);
        let inherited = self.inherited.borrow().last().copied();
        let (body, undo) = self.below(&id.value, || {
            self.inherited.borrow_mut().extend(on_failure.or(inherited));
            let body = self.body(&mut fields, Part::Step);
            if on_failure.or(inherited).is_some() {
                self.inherited.borrow_mut().pop();
            }
            let path = self.above.borrow().clone();
            let undo = undo.and_then(|entry| {
                self.undo(
                    &Given::field(&entry.value, "undo", problems).like("{shell: git reset}"),
                    &path,
                    entry.key.span,
                )
            });
            (body, undo)
        });
        if body.action.inside().is_some() {
            refuse_on_container(&mut fields, body.kind);
        }
        fields.finish();
        let above = self.above.borrow();
        let path = if above.is_empty() { id.value.clone() } else { format!("{above}/{}", id.value) };
        Some(Step {
            path: StepId::new(path),
            id,
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
            inherited,
            critical,
            foreach,
            undo,
            irreversible,
            span: given.span(),
        })
    }

    /// What takes the effect of a step back: a step of its own that is run after it, if ever.
    fn undo(&self, given: &Given<'_>, path: &str, key: Span) -> Option<Box<Step>> {
        let mut fields = given.fields("an `undo`")?.closed(self.keys(&[])).foreign(&STEP_FOREIGN);
        let body = self.below_undo(|| self.body(&mut fields, Part::Undo));
        match body.action.inside() {
            None => {}
            Some(super::Inside::Call(_)) => refuse_on_container(&mut fields, body.kind),
            Some(_) => given.problems().push(
                Diagnostic::error("undo-container", body.kind_span, format!("an `undo` cannot be a `{}`", body.kind))
                    .label("one thing takes an effect back")
                    .hint("put these steps into a runbook of their own and `call` it"),
            ),
        }
        fields.finish();
        Some(Box::new(Step {
            id: Spanned::new("undo".to_owned(), key),
            path: StepId::new(format!("{path}@undo")),
            title: None,
            text: None,
            needs: None,
            needs_span: None,
            when: None,
            idempotent: body.effect == Effect::Read,
            body,
            retry: None,
            verify: None,
            on_failure: None,
            inherited: None,
            critical: false,
            foreach: None,
            undo: None,
            irreversible: false,
            span: given.span(),
        }))
    }

    /// What lives beside the steps of the group that is being read, from its action and the settings among its fields.
    pub fn helper(&self, fields: &mut Fields<'_>, at: Span, key: Span, action: Box<dyn super::Action>) -> Box<Step> {
        let effect = fields.get("effect").and_then(|given| given.one_of(&Effect::ALL));
        let timeout = fields.get("timeout").and_then(|given| self.duration(&given));
        let env = fields.get("env").map(|given| self.env(&given.like("{NAME: value}"))).unwrap_or_default();
        let cwd = fields.get("cwd").and_then(|given| self.template(&given));
        let body = Body {
            kind: "helper",
            kind_span: key,
            effect: effect.unwrap_or(action.default_effect()),
            expect: Expectations::default(),
            action,
            captures: Vec::new(),
            timeout,
            env,
            cwd,
            span: at,
        };
        Box::new(Step {
            id: Spanned::new("helper".to_owned(), key),
            path: StepId::new(self.above.borrow().as_str()).helper(),
            title: None,
            text: None,
            needs: None,
            needs_span: None,
            when: None,
            // The one before it is ended first.
            idempotent: true,
            body,
            retry: None,
            verify: None,
            on_failure: None,
            inherited: self.inherited.borrow().last().copied(),
            critical: false,
            foreach: None,
            undo: None,
            irreversible: false,
            span: at,
        })
    }

    fn below_undo<T>(&self, read: impl FnOnce() -> T) -> T {
        let before = self.above.borrow().clone();
        self.above.replace(format!("{before}@undo"));
        let result = read();
        self.above.replace(before);
        result
    }

    fn foreach(&self, given: &Given<'_>) -> Option<ForEach> {
        let fields = given.fields("`foreach`")?;
        let mut fields = fields.closed(FOREACH_KEYS);
        let name = fields.need("as").and_then(|given| given.text());
        let items = fields.need("in").and_then(|given| match &given.node().kind {
            NodeKind::List(_) => {
                let items = given.list()?;
                let values: Vec<_> = items.iter().map(|item| self.call_value(item)).collect();
                values.into_iter().collect::<Option<_>>().map(Items::Written)
            }
            _ => self.expr(&given.like("a list, or an expression that gives one")).map(Items::Computed),
        });
        let parallel = fields.get("parallel").and_then(|given| given.integer(1..=1000));
        fields.finish();
        let name = name?;
        let declared = Declared::Item { span: name.span };
        if !self.checked(name, "the item of a loop", given.problems(), declared) {
            return None;
        }
        Some(ForEach {
            name: Spanned::new(name.text.clone(), name.span),
            items: items?,
            parallel: parallel.and_then(|n| usize::try_from(n).ok()),
            span: given.span(),
        })
    }

    /// A kind with its settings, without an id, that must only read.
    fn probe(&self, given: &Given<'_>, what: &str) -> Option<Body> {
        let mut fields = given.fields(what)?.closed(self.keys(&[])).foreign(&STEP_FOREIGN);
        let effect = fields.take_entry("effect").map(|entry| entry.value.span);
        let body = self.body(&mut fields, Part::Verify);
        if let Some(kind) = body.action.inside().is_some().then_some(body.kind) {
            let message = format!("{what} cannot be a `{kind}`");
            let problem = Diagnostic::error("verify-container", body.kind_span, message);
            given.problems().push(problem.hint("it looks once, with `http` or `shell`"));
        }
        fields.finish();
        if body.effect != Effect::Read && body.action.inside().is_none() {
            given.problems().push(
                Diagnostic::error("verify-changes", effect.unwrap_or(body.kind_span), format!("{what} must only read"))
                    .label(format!("this says that it is a {}", body.effect.name()))
                    .hint("it is asked after an unknown end, so it must change nothing"),
            );
        }
        Some(body)
    }

    /// Keys of the step around a kind.
    pub const AROUND: &'static [&'static str] = &AROUND;

    /// Every key of a mapping that holds a kind.
    pub fn keys(&self, own: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
        own.iter().chain(&BODY_KEYS).copied().chain(self.registry.names())
    }

    /// The kind and the settings among the fields of a step or a probe. A probe reads unless it says otherwise.
    pub fn body(&self, fields: &mut Fields<'_>, part: Part) -> Body {
        let problems = fields.problems();
        let span = fields.span();
        let effect = fields.get("effect").and_then(|given| given.one_of(&Effect::ALL));
        let expect = fields.get("expect").map(|given| self.exprs(&given.like("result.exit == 0"))).unwrap_or_default();
        let captures =
            fields.get("capture").map(|given| self.captures(&given.like("{name: result.stdout}"))).unwrap_or_default();
        let timeout = fields.get("timeout").and_then(|given| self.duration(&given));
        let env = fields.get("env").map(|given| self.env(&given.like("{NAME: value}"))).unwrap_or_default();
        let cwd = fields.get("cwd").and_then(|given| self.template(&given));
        let (kind, kind_span, action) = self.action(fields, part);
        if !action.takes_env() {
            for key in ["env", "cwd"] {
                if let Some(span) = fields.key_span(key) {
                    let message = format!("`{key}` means nothing to a step of kind `{kind}`");
                    problems.push(Diagnostic::error("conflict", span, message).hint("it is for `shell`; remove it"));
                }
            }
        }
        if let Some(span) = fields.key_span("timeout")
            && !action.takes_timeout()
            && action.inside().is_none()
        {
            let message = format!("`timeout` means nothing to this step of kind `{kind}`");
            problems.push(Diagnostic::error("conflict", span, message));
        }
        let default_effect =
            if matches!(part, Part::Step | Part::Undo) { action.default_effect() } else { Effect::Read };
        if let (Some(_), Some(span)) = (action.inside(), fields.key_span("effect")) {
            let message = format!("the effect of a `{kind}` is that of its strongest step");
            problems.push(Diagnostic::error("conflict", span, message).hint("remove it; the steps inside say theirs"));
        }
        Body {
            kind,
            kind_span,
            effect: effect.unwrap_or(default_effect),
            expect: Expectations { default: Some(action.default_expect()), entries: expect },
            action,
            captures,
            timeout,
            env,
            cwd,
            span,
        }
    }

    /// The one kind among the fields, its place, and what it makes of its value.
    fn action(&self, fields: &mut Fields<'_>, part: Part) -> (&'static str, Span, Box<dyn super::Action>) {
        let problems = fields.problems();
        let start = Span::at(fields.span().start);
        // A word that looks like a kind is one only where there is no other.
        let exact = self.registry.names().any(|name| fields.has_exactly(name));
        let mut found: Vec<(&'static super::Kind, Span, Given<'_>)> = Vec::new();
        for kind in self.registry.0 {
            if exact && !fields.has_exactly(kind.name) {
                continue;
            }
            if let Some(entry) = fields.take_entry(kind.name) {
                found.push((kind, entry.key.span, Given::field(&entry.value, kind.name, problems)));
            }
        }
        found.sort_by_key(|(_, span, _)| span.start);
        let mut found = found.into_iter();
        let Some((kind, kind_span, given)) = found.next() else {
            self.no_kind(fields, part);
            return ("", start, Box::new(Broken(start)));
        };
        if let Some((other, other_span, _)) = found.next() {
            problems.push(
                Diagnostic::error(
                    "two-kinds",
                    other_span,
                    format!("{} is both `{}` and `{}`", fields.what(), kind.name, other.name),
                )
                .label("the second kind")
                .related(kind_span, "the first one")
                .hint(if part == Part::Step { "make two steps of it" } else { "remove one of them" }),
            );
        }
        let Some(lower) = kind.lower else {
            let message = format!("steps of kind `{}` are not supported yet", kind.name);
            problems.push(not_yet(kind_span, message));
            return ("", kind_span, Box::new(Broken(kind_span)));
        };
        match lower(given, self) {
            Some(action) => (kind.name, kind_span, action),
            None => ("", kind_span, Box::new(Broken(kind_span))),
        }
    }

    fn no_kind(&self, fields: &mut Fields<'_>, part: Part) {
        let names: Vec<&'static str> = match part {
            Part::Look | Part::Verify => vec!["http", "shell"],
            _ => self.registry.0.iter().filter(|kind| kind.lower.is_some()).map(|kind| kind.name).collect(),
        };
        // A misspelt kind is one mistake: the unknown key is reported with what was meant.
        if fields.has_slip_of(&names) {
            return;
        }
        let hint = format!("give it exactly one of {}", listed(&names));
        // A key that is nothing else is most likely a kind that there is not.
        let problem = match fields.take_stranger() {
            Some(entry) => {
                let message = format!("there is no kind `{}`", entry.key.text);
                Diagnostic::error("unknown-kind", entry.key.span, message).label("no such kind")
            }
            None => {
                let start = Span::at(fields.span().start);
                Diagnostic::error("missing-kind", start, format!("missing what {} does", fields.what()))
                    .label("no kind is given")
            }
        };
        fields.problems().push(problem.hint(hint));
    }

    fn needs(&self, given: &Given<'_>) -> Vec<Need> {
        let mut needs = Vec::new();
        for item in given.one_or_many().unwrap_or_default() {
            match &item.node().kind {
                NodeKind::Map(_) => {
                    let Some(fields) = item.fields("an entry of `needs`") else { continue };
                    let mut fields = fields.closed(NEED_KEYS);
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
            let declared = Declared::Capture { step: String::new(), span: name.span };
            let ok = self.checked(name, "a captured value", given.problems(), declared);
            let (value, secret) = match &given.node().kind {
                NodeKind::Map(_) => {
                    let Some(fields) = given.fields("a capture") else { continue };
                    let mut fields = fields.closed(CAPTURE_KEYS);
                    let value = fields.need("value").map(|given| self.expr_or_none(&given));
                    let secret = fields.get("secret").and_then(|given| given.boolean()).unwrap_or(false);
                    fields.finish();
                    (value, secret)
                }
                _ => (Some(self.expr_or_none(&given)), false),
            };
            if ok {
                let value = value.unwrap_or_else(|| Expr::constant(Value::None, given.span()));
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
        let fields = given.fields("`retry`")?;
        let mut fields = fields.closed(RETRY_KEYS);
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
            ("ask", OnFailure::Ask),
            ("stop", OnFailure::Stop),
            ("continue", OnFailure::Continue),
            ("undo", OnFailure::Undo),
        ];
        given.one_of(&words)
    }
}

/// Settings of one attempt mean nothing to a step that only holds others.
fn refuse_on_container(fields: &mut Fields<'_>, kind: &str) {
    for key in ["retry", "verify", "idempotent", "expect", "capture"] {
        if let Some(span) = fields.key_span(key) {
            let message = format!("`{key}` means nothing to a step of kind `{kind}`");
            fields.problems().push(
                Diagnostic::error("conflict", span, message)
                    .hint("it only holds other steps; give it to the steps inside that need it"),
            );
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

fn checked_id(id: &Text, problems: &Problems) {
    if Names::is_id(&id.text) {
        return;
    }
    let message = match id.text.trim() {
        "" => "the id of a step is empty".to_owned(),
        _ => format!("`{}` cannot be the id of a step", id.text),
    };
    let problem = Diagnostic::error("bad-id", id.span, message)
        .label("lower-case letters, digits and `-`, beginning with a letter");
    let fixed = Some(separated(&id.text, '-')).filter(|fixed| Names::is_id(fixed));
    problems.push(problem.hint_opt(fixed.map(|fixed| format!("write `{fixed}`"))));
}
