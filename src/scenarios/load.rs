//! From text to scenarios of one runbook: every mistake of a file in one go. Runs nothing.

use std::{cell::RefCell, rc::Rc};

use indexmap::IndexMap;

use super::{
    fields::{EXPECT, FILE, SCENARIO, WORLD},
    read::{
        answers, asked, fields, files, glob, http_rule, json, pairs, problem, seen_command, seen_request, shell_rule,
        surprise, text, texts, written,
    },
    scenario::{Crash, Expect, Scenario, StepPlace},
};
use crate::{
    event::{Outcome, StepStatus},
    model::{Inside, Names, Param, Runbook, without_items},
    operators::{Given as Answer, check_values},
    plan::{InputProblem, Inputs, Sources, resolve},
    port::Evidence,
    syntax::{Given, Node, NodeKind, Problems, yaml},
    text::{Diagnostic, Source, Span, Spanned, Wildcard, did_you_mean},
    value::{Secret, Written},
    worlds::scenario::{Script, WALL},
};

/// The runbook that scenarios are for.
#[derive(Clone)]
pub struct Book {
    pub runbook: Rc<Runbook>,
    pub names: Rc<Names>,
}

/// What came of reading a file of scenarios.
pub struct Loaded {
    pub source: Source,
    /// Those that are well made; nothing is run unless all are.
    pub scenarios: Vec<Scenario>,
    pub problems: Vec<Diagnostic>,
}

/// Reads the scenarios of a runbook.
pub fn load(source: &Source, book: &Book) -> Loaded {
    let read = yaml::read(source);
    let problems = Problems::new(source);
    problems.extend(read.problems.into_iter().map(|mut problem| {
        if problem.code == "empty-file" {
            problem.message = "the file holds no scenarios".to_owned();
            problem.hint = Some("it begins with `scenarios:`".to_owned());
        }
        problem
    }));
    let scenarios = match &read.node {
        Some(root) => Loader { book, problems: &problems, paths: paths(&book.runbook, "") }.file(root),
        None => Vec::new(),
    };
    Loaded { source: source.clone(), scenarios, problems: problems.into_vec() }
}

impl Book {
    /// Where the step of a path stands, also in a runbook that is called.
    pub fn place(&self, path: &str) -> Option<StepPlace> {
        let path = path.trim_end_matches("@verify");
        let undo = crate::event::StepId::new(path).undoes();
        let path = undo.as_ref().map_or(path, |of| of.as_str());
        let step = self.runbook.step_at(path)?;
        let callees = self.runbook.callees();
        let books = std::iter::once(&*self.runbook).chain(callees.iter().map(|callee| &*callee.runbook));
        let of = books.into_iter().find(|book| book.all_steps().any(|of| std::ptr::eq(of, step)))?;
        let span = match &step.undo {
            Some(undo_step) if undo.is_some() => undo_step.span,
            _ => step.id.span,
        };
        Some(StepPlace { source: of.source.clone(), span })
    }
}

/// Every step by its path, through calls; those of loops without their items.
fn paths(book: &Runbook, above: &str) -> Vec<String> {
    let mut found = Vec::new();
    for step in book.all_steps() {
        let path = format!("{above}{}", step.path);
        if let Some(Inside::Call(call)) = step.body.action.inside()
            && let Some(callee) = &call.callee
        {
            found.extend(paths(&callee.runbook, &format!("{path}/")));
        }
        found.push(path);
    }
    found
}

struct Loader<'a> {
    book: &'a Book,
    problems: &'a Problems,
    paths: Vec<String>,
}

impl Loader<'_> {
    fn file(&self, root: &Node) -> Vec<Scenario> {
        let Some(mut fields) = fields(root, "a file of scenarios", &FILE, self.problems) else { return Vec::new() };
        let given = fields.need("scenarios");
        fields.finish();
        let Some(items) = given.as_ref().and_then(Given::list) else { return Vec::new() };
        if items.is_empty() {
            let hint = "each begins with `- name: …`; a runbook without scenarios needs no file";
            problem(self.problems, "wrong-value", root.span, "the file holds no scenarios", hint);
        }
        let names: RefCell<IndexMap<String, Span>> = RefCell::default();
        items.iter().filter_map(|item| self.scenario(item, &names)).collect()
    }

    fn scenario(&self, item: &Given<'_>, names: &RefCell<IndexMap<String, Span>>) -> Option<Scenario> {
        let mut fields = fields(item.node(), "a scenario", &SCENARIO, self.problems)?;
        let name = fields
            .need("name")
            .and_then(|given| Some(Spanned::new(given.line()?.text.trim().to_owned(), given.span())));
        let at = name.as_ref().map_or(Span::at(item.span().start), |name| name.span);
        let first = name.as_ref().and_then(|name| names.borrow_mut().insert(name.value.clone(), name.span));
        if let (Some(first), Some(name)) = (first, &name) {
            let message = format!("a second scenario has the name `{}`", name.value);
            let twice = Diagnostic::error("duplicate-name", name.span, message).related(first, "the first");
            self.problems.push(twice.hint("say what is different about it"));
        }
        let params = fields.get("params");
        let profile = fields.get("profile").and_then(|given| text(&given));
        let expect = fields.require("expect").and_then(|node| self.expect(node));
        let refuses = expect.as_ref().is_some_and(|expect| !expect.refused.is_empty());
        let inputs = self.inputs(params.as_ref(), profile.as_ref(), at, refuses);
        let secrets = fields.get("secrets").map(|given| self.secrets(&given)).unwrap_or_default();
        let answers = fields.get("answers").map(|given| self.answers(&given)).unwrap_or_default();
        let (world, shell_rules, http_rules) = fields.get("world").map(|given| self.world(&given)).unwrap_or_default();
        let mut crashes = Vec::new();
        for step in fields.get("crash_after").map(|given| texts(&given)).unwrap_or_default() {
            self.check_step(&step, false);
            crashes.push(step.map(Crash::After));
        }
        for step in fields.get("crash_during").map(|given| texts(&given)).unwrap_or_default() {
            self.check_step(&step, false);
            crashes.push(step.map(Crash::During));
        }
        crashes.sort_by_key(|crash| crash.span.start);
        let surprises: Vec<_> = fields
            .get("surprises")
            .and_then(|given| given.list())
            .unwrap_or_default()
            .iter()
            .filter_map(surprise)
            .collect();
        for of in &surprises {
            self.check_step(&Spanned::new(of.value.step.clone(), of.span), true);
        }
        fields.finish();
        let (inputs, refused) = inputs?;
        Some(Scenario {
            name: name?,
            inputs,
            refused,
            secrets,
            answers,
            world,
            shell_rules,
            http_rules,
            crashes,
            surprises,
            expect: expect?,
        })
    }

    /// The parameters, and where refusals are expected those that are refused, each with the reason.
    fn inputs(
        &self,
        params: Option<&Given<'_>>,
        profile: Option<&Spanned<String>>,
        at: Span,
        refuses: bool,
    ) -> Option<(Inputs, Vec<(String, String)>)> {
        let mut file: IndexMap<String, Written> = IndexMap::new();
        let mut spans = IndexMap::new();
        let mut whole = true;
        for (key, given) in params.and_then(|given| given.entries()).unwrap_or_default() {
            match written(&given) {
                Some(value) => {
                    spans.insert(key.text.clone(), (key.span, given.span()));
                    file.insert(key.text.clone(), value);
                }
                None => whole = false,
            }
        }
        let sources = Sources {
            flags: &IndexMap::new(),
            file: &file,
            profile: profile.map(|profile| profile.value.as_str()),
            variable: &|_| None,
        };
        let (inputs, wrong) = resolve(&self.book.runbook, &sources);
        let mut refused = Vec::new();
        let mut mistaken = !whole;
        for wrong in &wrong {
            if let (InputProblem::Bad { name, why, .. }, true) = (wrong, refuses) {
                refused.push((name.clone(), why.clone()));
                continue;
            }
            mistaken = true;
            match wrong {
                InputProblem::Unknown { name, hint } => {
                    let span = spans.get(name).map_or(at, |(key, _)| *key);
                    let hint = hint.as_ref().map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
                    let message = format!("there is no parameter `{name}` in {}", self.book.runbook.name);
                    problem(self.problems, "unknown-parameter", span, message, &hint);
                }
                InputProblem::UnknownProfile { name, hint } => {
                    let span = profile.map_or(at, |profile| profile.span);
                    problem(self.problems, "unknown-profile", span, format!("there is no profile `{name}`"), hint);
                }
                InputProblem::Bad { name, why, .. } => {
                    let span = spans.get(name).map_or(at, |(_, value)| *value);
                    problem(self.problems, "wrong-value", span, format!("parameter `{name}`: {why}"), "");
                }
            }
        }
        if mistaken {
            return None;
        }
        // A refused one has no value either.
        let missing: Vec<_> =
            inputs.missing().into_iter().filter(|name| !refused.iter().any(|(of, _)| of == name)).collect();
        if refuses {
            refused.extend(missing.iter().map(|name| (name.to_string(), "it must be given".to_owned())));
        } else if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("{} must be given: {}", self.book.runbook.name, names.join(", "));
            let hint = format!("params: {{{}: …}}", missing.join(": …, "));
            problem(self.problems, "missing-parameter", at, message, &hint);
            return None;
        }
        Some((inputs, refused))
    }

    fn secrets(&self, given: &Given<'_>) -> IndexMap<String, Secret> {
        let callees = self.book.runbook.callees();
        let books = std::iter::once(&*self.book.runbook).chain(callees.iter().map(|callee| &*callee.runbook));
        let known: Vec<_> = books.flat_map(|book| book.secrets.values()).collect();
        let mut secrets = IndexMap::new();
        for (name, value) in pairs(given) {
            let Some(spec) = known.iter().find(|spec| spec.name == name.value) else {
                let near = did_you_mean(&name.value, known.iter().map(|spec| spec.name.as_str()));
                let message = format!("there is no secret `{}`", name.value);
                problem(self.problems, "unknown-secret", name.span, message, &near.unwrap_or_default());
                continue;
            };
            if value.value.len() < 8 && !spec.allow_short {
                let message =
                    format!("what stands for `{}` is shorter than 8 bytes, which could not be masked", name.value);
                problem(self.problems, "wrong-value", value.span, message, "make it longer, such as not-a-real-token");
            }
            secrets.insert(name.value, Secret::new(value.value));
        }
        secrets
    }

    fn answers(&self, given: &Given<'_>) -> IndexMap<String, Spanned<Vec<Answer>>> {
        let mut all = IndexMap::new();
        for (key, given) in given.entries().unwrap_or_default() {
            let Some(list) = answers(&given) else { continue };
            let id = Spanned::new(key.text.clone(), key.span);
            if !matches!(key.text.as_str(), "undo" | "run" | "interrupt")
                || self.book.runbook.step_at(&key.text).is_some()
            {
                self.check_step(&id, false);
            }
            let typed = self.book.runbook.asked_at(&key.text).map_or(&[][..], |step| step.body.action.typed());
            if !typed.is_empty() {
                let wanted: Vec<Evidence> = typed.iter().map(wanted).collect();
                for answer in &list {
                    if let Err(wrong) = check_values(answer, &wanted) {
                        let message = format!("the answer to `{}` will not do: {}", key.text, wrong.why);
                        problem(self.problems, "wrong-answer", given.span(), message, "");
                    }
                }
            }
            all.insert(key.text.clone(), Spanned::new(list, key.span));
        }
        all
    }

    fn world(&self, given: &Given<'_>) -> (Script, Vec<Span>, Vec<Span>) {
        let mut script = Script::default();
        let (mut shell, mut http) = (Vec::new(), Vec::new());
        let Some(mut fields) = fields(given.node(), "`world`", &WORLD, self.problems) else {
            return (script, shell, http);
        };
        for given in fields.get("shell").and_then(|given| given.list()).unwrap_or_default() {
            if let Some(rule) = shell_rule(&given) {
                self.check_pattern(rule.on.step.as_ref(), given.span());
                script.shell.push(rule);
                shell.push(given.span());
            }
        }
        for given in fields.get("http").and_then(|given| given.list()).unwrap_or_default() {
            if let Some(rule) = http_rule(&given) {
                self.check_pattern(rule.on.step.as_ref(), given.span());
                script.http.push(rule);
                http.push(given.span());
            }
        }
        script.files = fields.get("files").map(|given| files(&given)).unwrap_or_default();
        let env = fields.get("env").map(|given| pairs(&given)).unwrap_or_default();
        script.env = env.into_iter().map(|(name, text)| (name.value, text.value)).collect();
        script.wall = fields.get("now").and_then(|given| moment(&given)).unwrap_or(WALL);
        fields.finish();
        (script, shell, http)
    }

    fn expect(&self, node: &Node) -> Option<Expect> {
        let mut fields = fields(node, "`expect`", &EXPECT, self.problems)?;
        let outcomes = [
            Outcome::Succeeded,
            Outcome::Failed,
            Outcome::Declined,
            Outcome::Undone,
            Outcome::UndoFailed,
            Outcome::Paused,
            Outcome::Unknown,
        ]
        .map(|outcome| (outcome.name(), outcome));
        let outcome =
            fields.get("outcome").and_then(|given| Some(Spanned::new(given.one_of(&outcomes)?, given.span())));
        let mut refused = Vec::new();
        if let Some(given) = fields.get("refused") {
            for (name, text) in pairs(&given) {
                if !self.book.runbook.params.contains_key(&name.value) {
                    let near = did_you_mean(&name.value, self.book.runbook.params.keys().map(String::as_str));
                    let message = format!("there is no parameter `{}` in {}", name.value, self.book.runbook.name);
                    problem(self.problems, "unknown-parameter", name.span, message, &near.unwrap_or_default());
                }
                refused.push((name, within(&text.value)));
            }
            let entries = match &node.kind {
                NodeKind::Map(entries) => entries.as_slice(),
                _ => &[],
            };
            if let Some(other) = entries.iter().find(|entry| entry.key.text != "refused") {
                let message = format!("`{}` does not go with `refused`", other.key.text);
                problem(
                    self.problems,
                    "conflict",
                    other.key.span,
                    message,
                    "where a parameter is refused, nothing begins",
                );
            }
        }
        let order = fields.get("order").map(|given| texts(&given)).unwrap_or_default();
        for step in &order {
            self.check_step(step, false);
        }
        let mut status = Vec::new();
        for (key, given) in fields.get("status").and_then(|given| given.entries()).unwrap_or_default() {
            let id = Spanned::new(key.text.clone(), key.span);
            self.check_step(&id, false);
            if let Some(word) = given.one_of(&STATUSES) {
                status.push((id, word));
            }
        }
        let mut failure = Vec::new();
        for (step, text) in fields.get("failure").map(|given| pairs(&given)).unwrap_or_default() {
            self.check_step(&step, false);
            failure.push((step, within(&text.value)));
        }
        let requests: Vec<_> = fields
            .get("requests")
            .and_then(|given| given.list())
            .unwrap_or_default()
            .iter()
            .filter_map(seen_request)
            .collect();
        let commands: Vec<_> = fields
            .get("commands")
            .and_then(|given| given.list())
            .unwrap_or_default()
            .iter()
            .filter_map(seen_command)
            .collect();
        for (step, span) in requests
            .iter()
            .map(|of| (of.value.of.step.as_ref(), of.span))
            .chain(commands.iter().map(|of| (of.value.of.step.as_ref(), of.span)))
        {
            self.check_pattern(step, span);
        }
        let asked = fields.get("asked").and_then(|given| {
            let list: Vec<_> = given.list()?.iter().filter_map(asked).collect();
            for of in &list {
                self.check_pattern(of.value.of.step.as_ref(), of.span);
            }
            Some(Spanned::new(list, given.span()))
        });
        let mut values = |key| {
            let entries = fields.get(key).and_then(|given| given.entries()).unwrap_or_default();
            let value = |(key, given): (&crate::syntax::Text, Given<'_>)| {
                (Spanned::new(key.text.clone(), key.span), json(given.node()))
            };
            entries.into_iter().map(value).collect::<Vec<_>>()
        };
        let (captures, outputs) = (values("captures"), values("outputs"));
        self.check_outputs(&outputs);
        let undone = fields.get("undone").and_then(|given| {
            given.list()?;
            let steps = texts(&given);
            for step in &steps {
                self.check_step(step, false);
            }
            Some(Spanned::new(steps.into_iter().map(|step| step.value).collect(), given.span()))
        });
        let files = fields.get("files").map(|given| pairs(&given)).unwrap_or_default();
        let expect = Expect {
            refused,
            outcome: outcome.unwrap_or(Spanned::new(Outcome::Succeeded, Span::at(node.span.start))),
            code: fields.get("code").and_then(|given| {
                let code = u8::try_from(given.integer(0..=255)?).ok()?;
                Some(Spanned::new(code, given.span()))
            }),
            reason: fields.get("reason").and_then(|given| {
                let text = glob(&given)?;
                Some(Spanned::new(within(text.as_str()), given.span()))
            }),
            order,
            status,
            failure,
            requests,
            commands,
            asked,
            captures,
            outputs,
            undone,
            files: files.into_iter().map(|(path, text)| (path, Wildcard::new(text.value))).collect(),
        };
        fields.finish();
        Some(expect)
    }

    fn check_outputs(&self, outputs: &[(Spanned<String>, serde_json::Value)]) {
        for (name, _) in outputs {
            if !self.book.runbook.outputs.contains_key(&name.value) {
                let near = did_you_mean(&name.value, self.book.runbook.outputs.keys().map(String::as_str));
                let message = format!("{} has no output `{}`", self.book.runbook.name, name.value);
                problem(self.problems, "unknown-output", name.span, message, &near.unwrap_or_default());
            }
        }
    }

    /// A step of a pattern: only one without a star can be looked for.
    fn check_pattern(&self, step: Option<&Wildcard>, span: Span) {
        if let Some(step) = step.filter(|step| step.is_exact()) {
            self.check_step(&Spanned::new(step.as_str().to_owned(), span), true);
        }
    }

    fn check_step(&self, step: &Spanned<String>, verify: bool) {
        let runbook = &self.book.runbook;
        let path = if verify { step.value.strip_suffix("@verify").unwrap_or(&step.value) } else { &step.value };
        if path.contains("@undo/") && runbook.asked_at(path).is_some() {
            return;
        }
        let undo = path.strip_suffix("@undo");
        let path = undo.unwrap_or(path);
        match runbook.step_at(path) {
            Some(of) if undo.is_some() && of.undo.is_none() => {
                problem(self.problems, "unknown-step", step.span, format!("step `{path}` has no `undo`"), "");
            }
            Some(of) if step.value.ends_with("@verify") && of.verify.is_none() => {
                problem(self.problems, "unknown-step", step.span, format!("step `{path}` has no `verify`"), "");
            }
            Some(_) => {}
            None => {
                let message = format!("there is no step `{}` in {}", crate::text::one_line(path), runbook.name);
                let bare = without_items(path);
                let hint = if self.paths.contains(&bare) {
                    let looped = "a step in a loop is named with its item, such as scale[web]/proceed";
                    Some(if bare == path { looped } else { "only a loop has items" }.to_owned())
                } else {
                    did_you_mean(path, self.paths.iter().map(String::as_str)).or_else(|| {
                        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                        let same = self.paths.iter().find(|known| last(known) == last(path))?;
                        Some(format!("did you mean `{same}`?"))
                    })
                };
                problem(self.problems, "unknown-step", step.span, message, &hint.unwrap_or_default());
            }
        }
    }
}

const STATUSES: [(&str, StepStatus); 7] = [
    ("succeeded", StepStatus::Succeeded),
    ("failed", StepStatus::Failed),
    ("skipped", StepStatus::Skipped),
    ("done_by_hand", StepStatus::DoneByHand),
    ("undone", StepStatus::Undone),
    ("unknown", StepStatus::Unknown),
    ("not_run", StepStatus::NotRun),
];

/// A text that stands somewhere in another one.
fn within(text: &str) -> Wildcard {
    Wildcard::new(format!("*{text}*"))
}

fn moment(given: &Given<'_>) -> Option<jiff::Timestamp> {
    let text = given.written()?;
    match text.text.parse() {
        Ok(moment) => Some(moment),
        Err(_) => given.report(
            "wrong-value",
            format!("`{}` is no moment", crate::text::one_line(&text.text)),
            Some("write one such as 2026-01-05T09:30:00Z".to_owned()),
        ),
    }
}

fn wanted((name, param): &(Spanned<String>, Param)) -> Evidence {
    let (default, example) = (param.default.clone(), param.example.clone());
    Evidence { default, example, ..Evidence::of(&name.value, param.shape.clone()) }
}
