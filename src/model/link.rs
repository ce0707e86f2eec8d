//! From the name of a runbook that is called to the runbook. Knows nothing of folders or files.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::{Callee, Registry, load_from};
use crate::{
    syntax::{Problems, Text},
    text::{Diagnostic, Source},
};

/// Where runbooks that are called come from.
pub trait Runbooks {
    /// The text of a runbook; the error says what was looked for, and a hint what may have been meant.
    fn find(&self, name: &str) -> Result<Source, (String, Option<String>)>;
}

/// Nothing can be called.
pub(super) struct NoLibrary;

impl Runbooks for NoLibrary {
    fn find(&self, name: &str) -> Result<Source, (String, Option<String>)> {
        Err((format!("there is no runbook `{name}` here"), None))
    }
}

/// Reads runbooks that call each other, each once.
#[derive(Clone)]
pub struct Linker(Rc<Inner>);

struct Inner {
    registry: Registry,
    library: Rc<dyn Runbooks>,
    /// Those that are being read, outermost first.
    open: RefCell<Vec<String>>,
    read: RefCell<HashMap<String, Option<Rc<Callee>>>>,
}

/// Calls within calls; a chain that long is a mistake.
const DEEPEST: usize = 32;

impl Linker {
    pub fn new(registry: Registry, library: Rc<dyn Runbooks>) -> Linker {
        Linker(Rc::new(Inner { registry, library, open: RefCell::default(), read: RefCell::default() }))
    }

    pub(super) fn registry(&self) -> Registry {
        self.0.registry
    }

    pub(super) fn within<T>(&self, name: &str, read: impl FnOnce() -> T) -> T {
        self.0.open.borrow_mut().push(name.to_owned());
        let result = read();
        self.0.open.borrow_mut().pop();
        result
    }

    /// The runbook of a name that stands in a file; what is wrong is reported there.
    pub(super) fn callee(&self, name: &Text, problems: &Problems) -> Option<Rc<Callee>> {
        let report = |problem: Diagnostic| {
            problems.push(problem);
            None
        };
        let open = self.0.open.borrow().clone();
        if let Some(at) = open.iter().position(|of| *of == name.text) {
            let mut path: Vec<&str> = open[at..].iter().map(String::as_str).collect();
            path.push(&name.text);
            let message = format!("these runbooks call each other: {}", path.join(" → "));
            return report(
                Diagnostic::error("recursion", name.span, message)
                    .label("it would never end")
                    .hint("repeat with `foreach`, or wait with `wait`"),
            );
        }
        if open.len() >= DEEPEST {
            let message = format!("calls go {DEEPEST} deep here, and no further: {}", open.join(" → "));
            return report(Diagnostic::error("recursion", name.span, message));
        }
        let known = self.0.read.borrow().get(&name.text).cloned();
        if let Some(known) = known {
            return match known {
                Some(callee) => Some(callee),
                None => report(Diagnostic::error(
                    "bad-callee",
                    name.span,
                    format!("the runbook `{}` has mistakes of its own", name.text),
                )),
            };
        }
        let source = match self.0.library.find(&name.text) {
            Ok(source) => source,
            Err((message, hint)) => {
                return report(
                    Diagnostic::error("unknown-runbook", name.span, message).label("no such runbook").hint_opt(hint),
                );
            }
        };
        let loaded = load_from(&name.text, &source, self);
        let callee =
            loaded.runbook.map(|runbook| Rc::new(Callee { runbook: Rc::new(runbook), names: Rc::new(loaded.names) }));
        self.0.read.borrow_mut().insert(name.text.clone(), callee.clone());
        if callee.is_none() {
            let errors: Vec<&Diagnostic> = loaded.problems.iter().filter(|problem| problem.is_error()).collect();
            let first = errors.first()?;
            let at = source.position(first.span.start);
            let count = if errors.len() == 1 { "a mistake".to_owned() } else { format!("{} mistakes", errors.len()) };
            let message = format!("the runbook `{}` has {count}", name.text);
            return report(
                Diagnostic::error("bad-callee", name.span, message)
                    .label(format!("{}:{}: {}", source.name(), at.line, first.message))
                    .hint(format!("`runsheet check {}` shows all", name.text)),
            );
        }
        callee
    }
}
