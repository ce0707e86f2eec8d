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
        let what = info.payload();
        let what = what
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| what.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        let text = format!(
            "runsheet: this is a mistake of ours, not yours: {what}{place}\n  hint: please report this line with the \
             command you gave and `runsheet --version` ({}); a run that was under way can be resumed\n",
            env!("CARGO_PKG_VERSION")
        );
        let _ = std::io::stderr().write_all(masked.text(&text).as_bytes());
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
