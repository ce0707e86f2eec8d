//! Findings as workflow commands of GitHub Actions. Knows nothing of what is found.

use std::path::Path;

use crate::text::{Diagnostic, Severity, Source, printable};

/// One line, such as `::error file=x.yaml,line=3,col=5,…::message`.
pub fn command(source: &Source, problem: &Diagnostic) -> String {
    let start = source.position(problem.span.start);
    let end = source.position(problem.span.end.max(problem.span.start));
    let word = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut properties = vec![
        ("file", below_checkout(source.name())),
        ("line", start.line.to_string()),
        ("endLine", end.line.to_string()),
    ];
    // Columns of a place that goes over lines are refused there.
    if start.line == end.line {
        properties.push(("col", start.column.to_string()));
        properties.push(("endColumn", end.column.to_string()));
    }
    properties.push(("title", format!("runsheet: {}", problem.code)));
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", property(value))).collect();
    let mut message = problem.message.clone();
    if !problem.label.is_empty() {
        message.push_str(&format!(" ({})", problem.label));
    }
    if let Some(hint) = &problem.hint {
        message.push_str(&format!("\nhint: {hint}"));
    }
    format!("::{word} {}::{}\n", properties.join(","), data(&message))
}

/// The path as the repository has it: where `check` is started in a folder below the checkout, GitHub would look for the
/// file at its root.
pub fn below_checkout(name: &str) -> String {
    let place = || {
        let root = std::env::var_os("GITHUB_WORKSPACE")?;
        let root = std::fs::canonicalize(root).ok()?;
        let file = std::fs::canonicalize(Path::new(name)).ok()?;
        Some(file.strip_prefix(root).ok()?.to_str()?.to_owned())
    };
    place().unwrap_or_else(|| name.strip_prefix("./").unwrap_or(name).to_owned())
}

/// An error of a file as a whole, or of no file.
pub fn error(file: Option<&str>, title: &str, message: &str) -> String {
    said("error", file, title, message)
}

/// The same, with another of the words `error`, `warning` and `notice`.
pub fn said(word: &str, file: Option<&str>, title: &str, message: &str) -> String {
    let file = file.map(|file| format!("file={},", property(&below_checkout(file)))).unwrap_or_default();
    format!("::{word} {file}title={}::{}\n", property(&format!("runsheet: {title}")), data(message.trim_end()))
}

fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Span;

    #[test]
    fn nothing_ends_a_command_early() {
        let source = Source::new("a,b:c\n%.yaml", "ä: x\ny: z\n");
        let problem = Diagnostic::error("some-code", Span::new(0, 2), "100%\r\n::error::x").label("a\nb").hint("c\nd");
        assert_eq!(
            command(&source, &problem),
            "::error file=a%2Cb%3Ac%0A%25.yaml,line=1,endLine=1,col=1,endColumn=2,title=runsheet%3A some-code::\
             100%25\\r%0A::error::x (a%0Ab)%0Ahint: c%0Ad\n"
        );
        let problem = Diagnostic::warning("w", Span::new(0, 8), "over lines");
        assert_eq!(
            command(&source, &problem),
            "::warning file=a%2Cb%3Ac%0A%25.yaml,line=1,endLine=2,title=runsheet%3A w::over lines\n"
        );
    }
}
