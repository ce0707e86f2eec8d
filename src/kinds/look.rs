//! What `wait` and `watch` have in common: a body that looks, put together for a run. Knows nothing of how often it looks.

use std::time::Duration;

use crate::{
    model::{Body, Setting},
    port::{Failure, StepContext, Task},
    syntax::{Eval, Expr, Problems, Rendered},
    text::Diagnostic,
    value::{Scope, Slot, Value},
};

/// Whether a body can look at all; says why not. `who` looks, such as "a wait".
pub fn can_look(look: &Body, who: &str, problems: &Problems) -> bool {
    if !matches!(look.kind, "shell" | "http" | "") {
        problems.push(
            Diagnostic::error("wrong-kind", look.kind_span, format!("{who} cannot look with `{}`", look.kind))
                .hint("it looks with `http` or `shell`"),
        );
        return false;
    }
    if look.action.may_leave_running() {
        problems.push(
            Diagnostic::error("look-leaves", look.kind_span, format!("{who} only looks and leaves nothing running"))
                .hint("leave `daemon` out here"),
        );
    }
    true
}

/// The look with every value in place. None where it waits for some, which are added to `waiting`.
pub fn resolve(
    look: &Body,
    setting: &Setting<'_>,
    timeout: Option<Duration>,
    waiting: &mut Vec<String>,
) -> Result<Option<Box<dyn Task>>, Diagnostic> {
    let mut env = setting.env.clone();
    let known = waiting.len();
    for (name, template) in &look.env {
        match template.eval(setting.scope, &[])? {
            Eval::Value(value) => {
                if let Some(text) = value.to_env() {
                    look.action.fits(&name.value, &text, template.span())?;
                    env.push((name.value.clone(), text));
                }
            }
            Eval::Deferred(names) => waiting.extend(names),
        }
    }
    let mut cwd = setting.cwd.clone();
    if let Some(template) = &look.cwd {
        match template.render(setting.scope, &[])? {
            Rendered::Text(text) => cwd = cwd.join(text),
            Rendered::Deferred(names) => waiting.extend(names),
        }
    }
    let resolved = look.action.resolve(&Setting {
        scope: setting.scope,
        effect: look.effect,
        timeout,
        extended: None,
        env,
        base_env: setting.base_env,
        cwd,
        origins: setting.origins,
        names: setting.names,
        expect: &look.expect,
    })?;
    match resolved {
        crate::model::Resolution::Task(task) if waiting.len() == known => Ok(Some(task)),
        crate::model::Resolution::Task(_) => Ok(None),
        crate::model::Resolution::Deferred(names) => {
            waiting.extend(names);
            Ok(None)
        }
    }
}

/// Adds what conditions use and is not there: looking at an unknown value would go on for ever.
pub fn waits_for<'e>(exprs: impl IntoIterator<Item = &'e Expr>, scope: &Scope, waiting: &mut Vec<String>) {
    for reference in exprs.into_iter().flat_map(Expr::references) {
        match scope.get(&reference.name) {
            Some(Slot::Unknown { origin }) => waiting.push(origin.to_string()),
            Some(Slot::Hidden) => waiting.push(reference.name.clone()),
            _ => {}
        }
    }
}

/// A client error will not go away by looking again, except those that say "later" or "not there yet".
pub fn refuses(result: &Value) -> bool {
    match crate::model::field(result, "status") {
        Some(Value::Int(status)) => (400..500).contains(status) && ![404, 408, 425, 429].contains(status),
        _ => false,
    }
}

/// An answer for the live line: what was looked at, or why it could not be.
pub fn brief(failure: &Failure) -> String {
    match &failure.at {
        Some(diagnostic) if !diagnostic.label.is_empty() => diagnostic.label.clone(),
        _ => failure.message.clone(),
    }
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Sleeps until a moment of the step's clock, in pieces, so that the live line moves.
pub async fn pause(cx: &dyn StepContext, until: Duration, show: impl Fn()) {
    loop {
        let left = until.saturating_sub(cx.now());
        if left.is_zero() || cx.cancel().level() > 0 {
            return;
        }
        cx.sleep(left.min(Duration::from_secs(1))).await;
        show();
    }
}
