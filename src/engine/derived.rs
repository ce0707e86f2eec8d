//! What expressions make of secrets is a secret as well: the password in a secret that is JSON, a token in capitals. Knows
//! nothing of how it is made, or masked.

use super::judge::texts_of;
use crate::{
    event::Redactor,
    value::{Listener, Secret, Value},
};

/// More than this a run does not make of its secrets; each is looked for in everything from then on.
const MOST: usize = 500;

/// Masks what expressions make of values that hold a secret.
pub(super) struct Derived {
    redactor: Redactor,
    made: std::sync::atomic::AtomicUsize,
}

impl Derived {
    pub fn new(redactor: Redactor) -> Derived {
        Derived { redactor, made: Default::default() }
    }
}

/// What holds a secret in a spelling may be spelt anew with it.
pub(super) fn spellings(redactor: &Redactor, value: &Value) {
    let mut texts = Vec::new();
    texts_of(value, &mut texts);
    texts.iter().for_each(|text| redactor.add_spellings(text));
}

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Derived")
    }
}

impl Listener for Derived {
    fn listens(&self) -> bool {
        !self.redactor.is_empty()
    }

    fn made(&self, of: &[&Value], written: &str, value: &Value) {
        if !of.iter().any(|used| self.redactor.holds_in(&used.to_json())) {
            return;
        }
        of.iter().for_each(|used| spellings(&self.redactor, used));
        let mut texts = Vec::new();
        texts_of(value, &mut texts);
        for text in texts {
            // What stands in the expression itself is public, and what holds the secret in a form that is known is masked
            // already, with the rest of it left to be read.
            if written.contains(&text) || self.redactor.holds(&text) {
                continue;
            }
            if self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= MOST {
                return;
            }
            // One that is too short cannot be masked, as the notes on trust say.
            let _ = self.redactor.add(&Secret::new(text), false);
        }
    }
}
