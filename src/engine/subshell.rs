//! A shell for the operator, with what the step would have: its variables and its folder. That it was opened and how long it
//! lasted is on record, and not what was done in it.

use std::{cell::RefCell, time::Duration};

use super::{Engine, publish::millis, unit::Unit};
use crate::{
    event::{Effect, Event, Progress, RedactStream, StepId, Stream},
    model::own_references,
    port::{BASE_ENV, Cancel, Local, Output, ProcessRequest, Stdin, StepError},
    syntax::{Eval, Rendered},
    value::Slot,
};

/// How long nothing must come before what is held back is shown.
const LULL: Duration = Duration::from_millis(60);
const KILL_GRACE: Duration = Duration::from_secs(2);

impl<'a> Engine<'a> {
    /// Opens it, and comes back when it ends. The caller has the terminal.
    pub(super) async fn subshell(&self, step: &Unit<'a>) -> Result<(), StepError> {
        let began = self.world.now();
        let request = self.subshell_request(step);
        self.publisher.progress(&Progress::Seat { step: Some(step.path.clone()) });
        let shown = Shown {
            engine: self,
            step: step.path.clone(),
            redact: RefCell::new(self.publisher.redactor().stream()),
            masked: RefCell::default(),
        };
        let cancel = Cancel::new();
        let running = async {
            let mut running = self.world.run(&request, &shown, &cancel);
            let never = Cancel::new();
            loop {
                tokio::select! {
                    biased;
                    ended = &mut running => return ended,
                    // Whoever closed the terminal, or told the program to end, means this as well.
                    _ = self.signals.closed(), if cancel.level() == 0 => cancel.raise(1),
                    () = self.world.sleep(LULL, &never) => shown.idle(),
                }
            }
        };
        let ended = self.guarded_as(&step.path, Effect::Read, &cancel, running).await;
        shown.finish();
        self.publisher.progress(&Progress::Seat { step: None });
        let (exit, error) = match ended {
            Ok(end) => (end.and_then(|end| end.exit), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let duration_ms = millis(self.world.now().saturating_sub(began));
        let (step, by) = (step.path.clone(), self.operator.name());
        self.publisher.publish(Event::ShellClosed { step, exit, duration_ms, error, by }).await
    }

    fn subshell_request(&self, step: &Unit<'a>) -> ProcessRequest {
        let scope = step.seen();
        let required = &step.frame.book.requires.env;
        let given = |name: &str| BASE_ENV.contains(&name) || required.iter().any(|of| of.value == name);
        let mut env: indexmap::IndexMap<String, String> =
            self.options.base_env.iter().filter(|(name, _)| given(name)).cloned().collect();
        for reference in own_references(step.step, step.frame.names).iter().filter(|reference| reference.in_script) {
            if let Some(Slot::Known(value)) = scope.get(&reference.name) {
                env.extend(value.to_env().map(|text| (reference.name.clone(), text)));
            }
        }
        // What cannot be computed is left out: it may be what failed.
        for (name, template) in &step.body.env {
            if let Ok(Eval::Value(value)) = template.eval(&scope, &[]) {
                env.extend(value.to_env().map(|text| (name.value.clone(), text)));
            }
        }
        let mut cwd = step.frame.cwd.clone();
        if let Some(Ok(Rendered::Text(text))) = step.body.cwd.as_ref().map(|cwd| cwd.render(&scope, &[])) {
            cwd = cwd.join(text);
        }
        let own = self.world.variable("SHELL").filter(|shell| self.world.tool(shell).is_some());
        ProcessRequest {
            step: step.path.clone(),
            attempt: 0,
            number: 0,
            effect: Effect::Change,
            looks: false,
            argv: vec![own.unwrap_or_else(|| "bash".into())],
            stdin: Stdin::Nothing,
            env: env.into_iter().collect(),
            cwd,
            tty: true,
            daemon: false,
            timeout: None,
            kill_grace: KILL_GRACE,
            record_dir: None,
        }
    }
}

/// What it writes goes to the terminal, masked, and nowhere else.
struct Shown<'e, 'a> {
    engine: &'e Engine<'a>,
    step: StepId,
    redact: RefCell<RedactStream>,
    masked: RefCell<Vec<u8>>,
}

impl Shown<'_, '_> {
    fn show(&self, write: impl FnOnce(&mut RedactStream, &mut Vec<u8>)) {
        let mut masked = self.masked.borrow_mut();
        masked.clear();
        write(&mut self.redact.borrow_mut(), &mut masked);
        if !masked.is_empty() {
            let (step, bytes) = (self.step.clone(), masked.clone());
            self.engine.publisher.progress(&Progress::Output { step, stream: Stream::Terminal, bytes });
        }
    }

    fn idle(&self) {
        self.show(|redact, masked| redact.idle(masked));
    }

    fn finish(&self) {
        self.show(|redact, masked| redact.finish(masked));
    }
}

impl Output for Shown<'_, '_> {
    fn chunk(&self, _stream: Stream, bytes: &[u8]) {
        self.show(|redact, masked| redact.push(bytes, masked));
    }

    /// There is no way out of it but its end.
    fn escaped<'b>(&'b self) -> Local<'b, ()> {
        Box::pin(std::future::ready(()))
    }
}
