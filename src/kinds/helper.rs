//! The `helper` of a group: a program that lives beside the steps, and the look that tells when it is ready. Knows nothing
//! of the steps, and not who ends it.

use std::time::Duration;

use super::{
    look::{self, can_look},
    report::{not_run, prefixed, process_failure, world_failure},
    script::plain_path,
    shell::quoted,
    wait::{self, PollTask},
};
use crate::{
    event::{Effect, StepId, StepStatus},
    model::{
        Action, Block, Body, FieldDoc, FileUse, Lowering, Mapping, Names, Outline, Part, Parts, Resolution, Rule,
        Setting, Shown, Step, Takes, body_references, fits_argument, unknown_fields,
    },
    port::{Failure, Local, ProcessRequest, Stdin, StepContext, StepError, StepReport, Task},
    syntax::{Eval, Foreign, Given, Reference, Rendered, Template},
    text::{Diagnostic, Span},
    value::Scope,
};

/// What stands under `helper`.
pub(super) const HELPER: Mapping = Mapping { name: "helper", fields: FIELDS, rules: &[Rule::Needs("exec")] };
const FIELDS: &[FieldDoc] = &[
    FieldDoc::new(
        "exec",
        Takes::List { of: &Takes::Template, least: 1 },
        "program and arguments, each a template, without a shell; it stays in the foreground",
    ),
    FieldDoc::new(
        "ready",
        Takes::Fields(&READY),
        "looked at once a second until it holds, and then the first step starts; if absent it is ready when it runs",
    ),
    FieldDoc::new("timeout", Takes::Duration, "how long it may take to be ready; 1m if absent"),
    FieldDoc::new(
        "effect",
        Takes::OneOf(&["read", "change", "destroy"]),
        "what it does to the world; change if absent",
    ),
    FieldDoc::new(
        "env",
        Takes::Entries { keys: crate::model::Keys::Variables, of: &Takes::Template, least: 0 },
        "variables of its process, by name",
    ),
    FieldDoc::new("cwd", Takes::Template, "where it runs; the runbook's if absent"),
];
/// The look that tells whether it is ready.
const READY: Mapping = Mapping { name: "ready", fields: &[], rules: &[Rule::Holds(&["shell", "http"])] };
const KEYS: [&str; 6] = ["exec", "ready", "timeout", "effect", "env", "cwd"];
const FOREIGN: [Foreign; 5] = [
    ("shell", "exec", false),
    ("script", "exec", false),
    ("command", "exec", true),
    ("run", "exec", true),
    ("wait", "ready", true),
];
const TO_BE_READY: Duration = Duration::from_secs(60);
const ONE_LOOK: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_secs(1);
const KILL_GRACE: Duration = Duration::from_secs(10);
const MAX_OUTPUT: u64 = 64 * 1024;

/// Starts a program and leaves it running, unless it ends within the first half second: then with its exit status, so
/// that what it had to say is heard.
const LAUNCH: &str = r#""$@" & helper=$!
sleep 0.5 & nap=$!
wait -n "$helper" "$nap"
kill -0 "$helper" 2>/dev/null && exit 0
kill "$nap" 2>/dev/null
wait "$helper""#;

#[derive(Debug)]
struct Helper {
    exec: Vec<Template>,
    ready: Option<Body>,
}

/// The step that a group starts before its first and ends after its last.
pub(super) fn lower(key: Span, given: &Given<'_>, lowering: &Lowering) -> Option<Box<Step>> {
    let given =
        given.clone().like("{exec: [kubectl, port-forward, svc/db, \"5432\"], ready: {shell: nc -z localhost 5432}}");
    let mut fields = given.fields("`helper`")?.closed(KEYS).foreign(&FOREIGN);
    let exec = fields.need("exec").and_then(|given| given.command());
    let exec: Option<Vec<Template>> =
        exec.map(|items| items.iter().filter_map(|item| lowering.template(item)).collect());
    let ready = fields.get("ready").and_then(|given| ready(&given.like("{shell: nc -z localhost 5432}"), lowering));
    let action = Box::new(Helper { exec: exec.unwrap_or_default(), ready });
    let step = lowering.helper(&mut fields, given.span(), key, action);
    fields.finish();
    Some(step)
}

fn ready(given: &Given<'_>, lowering: &Lowering) -> Option<Body> {
    let mut fields = given.fields("`ready`")?.closed(lowering.keys(&[]));
    let effect = fields.key_span("effect");
    let body = lowering.body(&mut fields, Part::Look);
    fields.finish();
    if !can_look(&body, "`ready`", given.problems()) {
        return None;
    }
    if body.effect != Effect::Read {
        given.problems().push(
            Diagnostic::error("ready-changes", effect.unwrap_or(body.kind_span), "`ready` must only read")
                .label(format!("this says that it is a {}", body.effect.name()))
                .hint("it is asked again and again until it holds"),
        );
    }
    if let Some(capture) = body.captures.first() {
        given.problems().push(
            Diagnostic::error("conflict", capture.name.span, "`ready` captures nothing")
                .hint("capture it with a step of the group"),
        );
    }
    Some(body)
}

impl Helper {
    fn command(&self, word: impl Fn(&Template) -> String) -> String {
        self.exec.iter().map(|arg| quoted(&word(arg))).collect::<Vec<_>>().join(" ")
    }
}

impl Action for Helper {
    fn references(&self, names: &Names) -> Vec<Reference> {
        let mut all: Vec<Reference> = self.exec.iter().flat_map(|arg| arg.references().to_vec()).collect();
        all.extend(self.ready.iter().flat_map(|ready| body_references(ready, names)));
        all
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }

    fn locals(&self) -> &'static [&'static str] {
        &["result"]
    }

    fn origins(&self) -> Vec<String> {
        self.ready.as_ref().map(|ready| ready.action.origins()).unwrap_or_default()
    }

    fn files(&self, scope: &Scope) -> Vec<FileUse> {
        let mut files: Vec<FileUse> = self.ready.iter().flat_map(|ready| ready.files(scope)).collect();
        for (at, arg) in self.exec.iter().enumerate() {
            // A program without a slash is looked up elsewhere.
            if let Ok(Rendered::Text(word)) = arg.render(scope, &[])
                && (at > 0 || word.contains('/'))
            {
                files.extend(plain_path(&word).map(|path| FileUse::MayRead(path.to_owned())));
            }
        }
        files
    }

    fn parts(&self) -> Parts<'_> {
        Parts { programs: vec![&self.exec], looks: self.ready.iter().collect(), ..Parts::default() }
    }

    fn default_effect(&self) -> Effect {
        Effect::Change
    }

    fn default_timeout(&self) -> Option<Duration> {
        Some(TO_BE_READY)
    }

    fn takes_env(&self) -> bool {
        true
    }

    fn may_leave_running(&self) -> bool {
        true
    }

    fn tools(&self) -> Vec<String> {
        self.ready.iter().flat_map(|ready| ready.action.tools()).collect()
    }

    fn check(&self, names: &Names, variables: &[&str], problems: &mut Vec<Diagnostic>) {
        let Some(ready) = &self.ready else { return };
        let own = ready.env.iter().map(|(name, _)| name.value.as_str());
        let variables: Vec<&str> = variables.iter().copied().chain(own).collect();
        ready.action.check(names, &variables, problems);
        for expr in &ready.expect.entries {
            problems.extend(unknown_fields(expr, ready.kind, ready.action.outputs()));
        }
    }

    fn show(&self, scope: &Scope) -> Shown {
        let headline = self.command(|arg| arg.show(scope, &[]));
        let detail = match &self.ready {
            None => headline.clone(),
            Some(ready) => {
                let mut lines = vec![headline.clone(), format!("ready when: {}", ready.action.show(scope).detail)];
                lines.extend(ready.expect.entries.iter().map(|entry| format!("and {}", entry.on_one_line())));
                lines.join("\n")
            }
        };
        Shown { headline, detail, values: Vec::new() }
    }

    fn outline(&self) -> Outline {
        let mut blocks = vec![Block::Code { language: "text", text: self.command(|arg| arg.source().to_owned()) }];
        if let Some(ready) = &self.ready {
            blocks.push(Block::Prose("It is ready, and the first step starts, when this look holds:".into()));
            blocks.extend(ready.action.outline().blocks);
            for entry in &ready.expect.entries {
                blocks.push(Block::Field { label: "Expected", text: entry.source().trim().to_owned() });
            }
        }
        Outline { verb: "Run beside the steps, from before the first to after the last".into(), blocks }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let mut waiting = Vec::new();
        let mut argv: Vec<String> =
            ["bash", "--noprofile", "--norc", "-c", LAUNCH, "helper"].map(str::to_owned).to_vec();
        for template in &self.exec {
            match template.eval(setting.scope, &[])? {
                Eval::Value(value) => {
                    let text = value.to_env().unwrap_or_default();
                    fits_argument(&text, template.span())?;
                    argv.push(text);
                }
                Eval::Deferred(names) => waiting.extend(names),
            }
        }
        let limit = setting.timeout.unwrap_or(TO_BE_READY);
        let ready = match &self.ready {
            None => None,
            Some(body) => {
                let one = match body.timeout.as_ref().map(|timeout| timeout.eval(setting.scope)) {
                    None => ONE_LOOK,
                    Some(Ok(one)) => one,
                    Some(Err(Ok(names))) => {
                        waiting.extend(names);
                        ONE_LOOK
                    }
                    Some(Err(Err(diagnostic))) => return Err(diagnostic),
                };
                let look = look::resolve(body, setting, Some(one), &mut waiting)?;
                look::waits_for(&body.expect.entries, setting.scope, &mut waiting);
                look.map(|look| wait::until(look, &body.expect, BETWEEN, limit))
            }
        };
        if !waiting.is_empty() {
            waiting.dedup();
            return Ok(Resolution::Deferred(waiting));
        }
        let mut env: Vec<(String, String)> = setting.base_env.to_vec();
        env.retain(|(name, _)| !setting.env.iter().any(|(own, _)| own == name));
        env.extend(setting.env.iter().cloned());
        Ok(Resolution::Task(Box::new(HelperTask {
            effect: setting.effect,
            detail: self.show(setting.scope).detail,
            ready,
            request: ProcessRequest {
                effect: setting.effect,
                looks: false,
                step: StepId::new(""),
                attempt: 0,
                number: 0,
                argv,
                stdin: Stdin::Nothing,
                env,
                cwd: setting.cwd.clone(),
                tty: false,
                daemon: true,
                // Getting ready is what is limited; whatever it leaves behind may live for days.
                timeout: Some(limit),
                kill_grace: KILL_GRACE,
                record_dir: None,
            },
        })))
    }
}

struct HelperTask {
    effect: Effect,
    detail: String,
    ready: Option<PollTask>,
    request: ProcessRequest,
}

impl Task for HelperTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let performed =
                cx.perform_process(self.effect, self.request.clone(), MAX_OUTPUT, self.detail.clone()).await?;
            let process = match performed {
                None => return Ok(not_run()),
                Some(Ok(process)) => process,
                Some(Err(error)) => return Ok(never_open(world_failure(self.effect, &error))),
            };
            let end = &process.end;
            if let Some(report) = process_failure(self.effect, end, self.request.timeout) {
                return Ok(StepReport { left: end.left.clone(), ..never_open(report) });
            }
            let mut report = StepReport::of(StepStatus::Succeeded);
            report.left.clone_from(&end.left);
            if end.left.is_empty() || end.exit != Some(0) {
                let status = end.exit.map(|exit| format!(" with exit status {exit}")).unwrap_or_default();
                report.status = StepStatus::Failed;
                report.exit = end.exit;
                report.failure = Some(Failure::plain(format!("it ended right after it was started{status}")));
                return Ok(report);
            }
            let Some(ready) = &self.ready else { return Ok(report) };
            // The lock and the record of this attempt are those of the process that lives.
            cx.only_looks();
            let looked = ready.run(cx).await?;
            report.status = looked.status;
            report.notes = looked.notes;
            report.failure = looked.failure.map(|failure| prefixed("it is not ready", failure));
            Ok(never_open(report))
        })
    }
}

/// Whatever became of it, it can be ended and started again: nothing about it is ever left to be decided.
fn never_open(mut report: StepReport) -> StepReport {
    if report.status == StepStatus::Unknown {
        report.status = StepStatus::Failed;
    }
    report
}
