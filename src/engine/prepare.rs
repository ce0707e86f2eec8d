//! What a step needs before it can start: its secrets read, its values in place. Starts nothing.

use super::{
    Engine,
    unit::{Frame, Unit},
};
use crate::{
    model::{Body, Resolution, SecretPlace, SecretSpec, Setting},
    plan::Plan,
    port::{BASE_ENV, Failure, SecretSource, StepError},
    syntax::{Eval, Rendered},
    text::Diagnostic,
    value::{Scope, Secret, Value},
};

impl<'a> Engine<'a> {
    /// Reads the secrets a step uses and puts every value in place.
    pub(super) async fn prepare(&self, step: &Unit<'a>) -> Result<Result<Resolution, Failure>, StepError> {
        let bodies = [Some(&step.body), step.verify.as_ref()];
        for body in bodies.into_iter().flatten().filter(|body| self.needs_secrets(body)) {
            if let Err(why) = self.read_secrets_of(step, body).await {
                return Ok(Err(Failure::plain(why)));
            }
        }
        Ok(self.resolve(step, &step.body).map_err(Failure::drawn))
    }

    /// Reads those secrets of a body that were not read before.
    pub(super) async fn read_secrets_of(&self, step: &Unit<'a>, body: &Body) -> Result<(), String> {
        let references = crate::model::body_references(body, step.frame.names);
        let mut names: Vec<String> = references.into_iter().map(|reference| reference.name).collect();
        names.retain(|name| step.frame.book.secrets.contains_key(name));
        names.sort_unstable();
        names.dedup();
        for name in names {
            if step.is_hidden(&name) {
                self.read_secret(step, &name).await.map_err(|why| format!("could not read secret `{name}`: {why}"))?;
            }
        }
        Ok(())
    }

    async fn read_secret(&self, step: &Unit<'a>, name: &str) -> Result<(), String> {
        let Some(spec) = step.frame.book.secrets.get(name) else { return Ok(()) };
        let scope = step.scope();
        let source = match secret_source(&spec.place, &scope) {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(()),
            Err(why) => return Err(why),
        };
        match self.world.secret(&source).await {
            Ok(Some(secret)) => self.learn_secret(&step.frame, name, secret),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// From here on the secret is masked everywhere, and known to steps.
    pub(super) fn learn_secret(&self, frame: &Frame<'a>, name: &str, secret: Secret) -> Result<(), String> {
        let short = frame.book.secrets.get(name).is_some_and(|spec| spec.allow_short);
        self.publisher.redactor().add(&secret, short).map_err(|_| {
            "it is shorter than 8 bytes, so masking it would hide too much or too little; say `allow_short: true` if it must be"
                .to_owned()
        })?;
        frame.learn(name, Value::text(secret.expose()));
        Ok(())
    }

    /// A body with its settings, ready to run.
    pub(super) fn resolve(&self, step: &Unit<'a>, body: &Body) -> Result<Resolution, Diagnostic> {
        let scope = step.seen();
        let mut env = Vec::new();
        for (name, template) in &body.env {
            match template.eval(&scope, &[])? {
                Eval::Value(value) => {
                    if let Some(text) = value.to_env() {
                        body.action.fits(&name.value, &text, template.span())?;
                        env.push((name.value.clone(), text));
                    }
                }
                Eval::Deferred(names) => return Ok(Resolution::Deferred(names)),
            }
        }
        let cwd = match &body.cwd {
            None => step.frame.cwd.clone(),
            Some(template) => match template.render(&scope, &[])? {
                Rendered::Text(text) => step.frame.cwd.join(text),
                Rendered::Deferred(names) => return Ok(Resolution::Deferred(names)),
            },
        };
        let timeout = match body.timeout.as_ref().map(|timeout| timeout.eval(&scope)) {
            None => body.action.default_timeout(),
            Some(Ok(duration)) => Some(duration),
            Some(Err(Ok(names))) => return Ok(Resolution::Deferred(names)),
            Some(Err(Err(diagnostic))) => return Err(diagnostic),
        };
        // What another runbook of the run requires is for its own steps.
        let required = &step.frame.book.requires.env;
        let given = |name: &str| BASE_ENV.contains(&name) || required.iter().any(|of| of.value == name);
        let base_env: Vec<_> = self.options.base_env.iter().filter(|(name, _)| given(name)).cloned().collect();
        body.action.resolve(&Setting {
            scope: &scope,
            effect: body.effect,
            timeout,
            extended: self.extended(step, body),
            env,
            base_env: &base_env,
            cwd,
            origins: &step.frame.origins,
            names: step.frame.names,
            expect: &body.expect,
        })
    }
}

/// Where a secret is read from, with its templates rendered. None for one that is prompted for, or that waits for a
/// parameter.
pub(crate) fn secret_source(place: &SecretPlace, scope: &Scope) -> Result<Option<SecretSource>, String> {
    let text = |template: &crate::syntax::Template| match template.render(scope, &[]) {
        Ok(Rendered::Text(text)) => Ok(Some(text)),
        Ok(Rendered::Deferred(_)) => Ok(None),
        Err(diagnostic) => Err(diagnostic.message),
    };
    Ok(match place {
        SecretPlace::Prompt => None,
        SecretPlace::Env(name) => text(name)?.map(SecretSource::Env),
        SecretPlace::File(path) => text(path)?.map(|path| SecretSource::File(path.into())),
        SecretPlace::Command(argv) => {
            let argv: Result<Option<Vec<String>>, String> = argv.iter().map(text).collect();
            argv?.map(SecretSource::Command)
        }
    })
}

/// Where a secret is read from; none for one that is prompted for, or that waits for a value.
pub type Source = Result<Option<SecretSource>, String>;

/// Every secret source of a plan and of what it calls, for the checks before the first step.
pub fn secret_sources(plan: &Plan) -> Vec<(&SecretSpec, Source)> {
    secrets_of(plan, false)
}

/// As [`secret_sources`], of those alone that a step of this run may use.
pub fn needed_secrets(plan: &Plan) -> Vec<(&SecretSpec, Source)> {
    secrets_of(plan, true)
}

fn secrets_of(plan: &Plan, needed: bool) -> Vec<(&SecretSpec, Source)> {
    let mut all = Vec::new();
    for book in plan.books() {
        let specs = book.runbook.secrets.values().filter(|spec| !needed || book.needs(&spec.name));
        all.extend(specs.map(|spec| (spec, secret_source(&spec.place, &book.scope))));
    }
    all
}
