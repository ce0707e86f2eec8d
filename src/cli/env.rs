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

impl Drop for MaskedLine {
    fn drop(&mut self) {
        let _ = std::io::stderr().write_all(&self.redactor.bytes(&self.line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Secret;

    #[test]
    fn a_panic_tells_no_secret_in_any_form() {
        let redactor = Redactor::new();
        redactor.add(&Secret::new("p4ss \"word\"/9".into()), false).unwrap();
        let forms = [
            "p4ss \"word\"/9",
            "p4ss \\\"word\\\"/9",
            "p4ss%20%22word%22/9",
            "p4ss+%22word%22%2F9",
            "p4ss &quot;word&quot;/9",
            "cDRzcyAid29yZCIvOQ==",
            "703473732022776f7264222f39",
        ];
        for form in forms {
            let said = format!("called `Result::unwrap()` on an `Err` value: {form}!");
            let text = panic_text(&said, " at src/x.rs:1", &redactor);
            assert!(text.contains("value: ***"), "{form}: {text}");
            assert!(!text.contains(form) && text.contains("! at src/x.rs:1\n"), "{form}: {text}");
        }
        assert!(panic_text(&"plain", "", &redactor).contains("yours: plain\n"));
        assert!(panic_text(&7, "", &redactor).contains("yours: no message\n"));
    }
}
