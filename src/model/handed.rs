//! What a process can be handed: limits of the system, held at the place that asks for more. Starts no process.

use crate::text::{Diagnostic, Span};

/// Linux's `MAX_ARG_STRLEN`: one argument or variable, with its name, `=` and the closing NUL.
pub const ONE_STRING_LIMIT: usize = 128 * 1024;

/// A value for a variable, written at a place of the runbook.
pub fn fits_variable(name: &str, value: &str, span: Span) -> Result<(), Diagnostic> {
    fits(&format!("`{name}`"), name.len() + 1, value, span)
}

/// A value for a variable of a script that reads it with the script: any length will do.
pub fn fits_script(name: &str, value: &str, span: Span) -> Result<(), Diagnostic> {
    holds_no_nul(&format!("`{name}`"), value, span)
}

/// A value for an argument.
pub fn fits_argument(value: &str, span: Span) -> Result<(), Diagnostic> {
    fits("an argument", 0, value, span)
}

fn fits(what: &str, around: usize, value: &str, span: Span) -> Result<(), Diagnostic> {
    holds_no_nul(what, value, span)?;
    if around + value.len() + 1 > ONE_STRING_LIMIT {
        return Err(Diagnostic::error("too-large", span, format!("the value of {what} has {} bytes", value.len()))
            .label("one variable or argument can hold 128 KiB less its name")
            .hint("write it to a file below run.dir and hand over the path"));
    }
    Ok(())
}

fn holds_no_nul(what: &str, value: &str, span: Span) -> Result<(), Diagnostic> {
    if !value.contains('\0') {
        return Ok(());
    }
    Err(Diagnostic::error("nul", span, format!("the value of {what} holds a NUL character"))
        .hint("no variable or argument can hold one; pass it through a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_that_fits_fits() {
        let text = |length: usize| "x".repeat(length);
        assert!(fits_argument(&text(131_071), Span::default()).is_ok());
        assert!(fits_argument(&text(131_072), Span::default()).is_err());
        assert!(fits_variable("v", &text(131_069), Span::default()).is_ok());
        assert!(fits_variable("v", &text(131_070), Span::default()).is_err());
        assert!(fits_script("v", &text(131_070), Span::default()).is_ok());
        assert!(fits_script("v", "a\0b", Span::default()).is_err());
        assert!(fits_variable("v", "a\0b", Span::default()).unwrap_err().message.contains("NUL"));
    }
}
