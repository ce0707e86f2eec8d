//! What is set up once for the whole process: no core dumps, a panic that says what to do, diagnostics. Knows no verb.

use std::io::Write;

use crate::event::Redactor;

/// Called first thing.
pub fn prepare(redactor: &Redactor) {
    crate::worlds::real::harden();
    let masked = redactor.clone();
    std::panic::set_hook(Box::new(move |info| {
        crate::worlds::real::restore_terminal();
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let text = panic_text(info.payload(), &place, &masked);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }));
    if let Ok(filter) = std::env::var("RUNSHEET_LOG") {
        let writer = masked_writer(redactor.clone());
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .with_writer(writer)
            .with_ansi(false)
            .try_init();
    }
}

/// What is said of a mistake of ours: a panic may quote whatever was at hand.
fn panic_text(what: &dyn std::any::Any, place: &str, redactor: &Redactor) -> String {
    let what = what
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| what.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    let text = format!(
        "runsheet: this is a mistake of ours, not yours: {what}{place}\n  hint: please report this line with the command \
         you gave and `runsheet --version` ({}); a run that was under way can be resumed\n",
        env!("CARGO_PKG_VERSION")
    );
    redactor.text(&text).into_owned()
}

fn masked_writer(redactor: Redactor) -> impl Fn() -> MaskedLine {
    move || MaskedLine { redactor: redactor.clone(), line: Vec::new() }
}

/// Diagnostics pass the masking like everything else.
struct MaskedLine {
    redactor: Redactor,
    line: Vec<u8>,
}

impl Write for MaskedLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MaskedLine {
    fn masked(&self) -> Vec<u8> {
        self.redactor.bytes(&self.line)
    }
}

impl Drop for MaskedLine {
    fn drop(&mut self) {
        let _ = std::io::stderr().write_all(&self.masked());
    }
}

// The notations that the tests of the whole program use, so that there is one list of them.
#[cfg(test)]
#[path = "../../tests/masking/forms.rs"]
mod forms;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Secret;

    fn redactor() -> Redactor {
        let redactor = Redactor::new();
        for secret in [forms::ODD, forms::KEY] {
            redactor.add(&Secret::new(secret.into()), false).unwrap();
        }
        redactor
    }

    #[test]
    fn a_panic_tells_no_secret_in_any_form() {
        let redactor = redactor();
        for form in forms::all() {
            let said = format!("called `Result::unwrap()` on an `Err` value: {}!", form.shown);
            let text = panic_text(&said, " at src/x.rs:1", &redactor);
            assert!(text.contains("***"), "{}: {text}", form.name);
            assert!(!text.contains(&form.core) && text.contains("! at src/x.rs:1\n"), "{}: {text}", form.name);
        }
        assert!(panic_text(&"plain", "", &redactor).contains("yours: plain\n"));
        assert!(panic_text(&7, "", &redactor).contains("yours: no message\n"));
    }

    #[test]
    fn a_line_of_diagnostics_tells_no_secret_however_it_is_written() {
        let redactor = redactor();
        for form in forms::all() {
            let text = format!("DEBUG what={} end\n", form.shown);
            for at in 0..=text.len() {
                let mut line = MaskedLine { redactor: redactor.clone(), line: Vec::new() };
                line.write_all(&text.as_bytes()[..at]).unwrap();
                line.write_all(&text.as_bytes()[at..]).unwrap();
                let said = String::from_utf8(line.masked()).unwrap();
                assert!(said.starts_with("DEBUG what=") && said.ends_with(" end\n"), "{}: {said}", form.name);
                assert!(said.contains("***") && !said.contains(&form.core), "{}: {said}", form.name);
                // What is dropped is written to standard error.
                line.line.clear();
            }
        }
    }
}
