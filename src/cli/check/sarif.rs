//! Findings as SARIF 2.1.0 (OASIS), for code scanning. Knows nothing of what is found.

use indexmap::IndexMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::github::below_checkout;
use crate::{
    lints::{LINTS, Looked},
    text::{Diagnostic, Severity, Source, Span},
};

/// What may stand in a path as it is (RFC 3986, `pchar` and the slash, without the colon and the at sign).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b'=');

/// One run of the program, collected.
#[derive(Default)]
pub struct Log {
    results: Vec<Value>,
    /// Rules that findings name, by their code, in the order of their first finding.
    rules: IndexMap<String, Severity>,
}

impl Log {
    pub fn add(&mut self, source: &Source, looked: &Looked) {
        let uri = uri(source.name());
        for problem in &looked.problems {
            let result = self.result(source, &uri, problem);
            self.results.push(result);
        }
        for (problem, reason) in &looked.allowed {
            let mut result = self.result(source, &uri, problem);
            let mut suppression = json!({"kind": "inSource"});
            if !reason.is_empty() {
                suppression["justification"] = reason.as_str().into();
            }
            result["suppressions"] = json!([suppression]);
            self.results.push(result);
        }
    }

    fn result(&mut self, source: &Source, uri: &str, problem: &Diagnostic) -> Value {
        let index = self.rules.insert_full(problem.code.to_owned(), problem.severity).0;
        let mut text = problem.message.clone();
        if !problem.label.is_empty() {
            text.push_str(&format!(" ({})", problem.label));
        }
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("\n{hint}"));
        }
        let mut result = json!({
            "ruleId": problem.code,
            "ruleIndex": index,
            "level": level(problem.severity),
            "message": {"text": text},
            "locations": [{"physicalLocation": physical(source, uri, problem.span)}],
        });
        if !problem.related.is_empty() {
            let related = problem.related.iter().enumerate().map(|(id, (span, label))| {
                json!({"id": id, "physicalLocation": physical(source, uri, *span), "message": {"text": label}})
            });
            result["relatedLocations"] = related.collect();
        }
        result
    }

    /// The whole document, on one line.
    pub fn finish(self) -> String {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|(code, severity)| {
                let mut rule = json!({"id": code, "defaultConfiguration": {"level": level(*severity)}});
                if let Some(lint) = LINTS.iter().find(|lint| lint.code == code) {
                    rule["shortDescription"] = json!({"text": lint.why});
                    if !lint.more.is_empty() {
                        rule["fullDescription"] = json!({"text": format!("{} {}", lint.why, lint.more)});
                    }
                    let help = format!("Instead of:\n\n{}\nwrite:\n\n{}", lint.bad, lint.good);
                    rule["help"] = json!({"text": help});
                }
                rule
            })
            .collect();
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "runsheet",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                }},
                "columnKind": "unicodeCodePoints",
                "results": self.results,
            }],
        });
        format!("{log}\n")
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn physical(source: &Source, uri: &str, span: Span) -> Value {
    let start = source.position(span.start);
    let end = source.position(span.end.max(span.start));
    json!({
        "artifactLocation": {"uri": uri},
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    })
}

/// A path as a reference to a URI: relative ones stay so.
fn uri(name: &str) -> String {
    if let Some(built_in) = name.strip_prefix("built-in:") {
        return format!("built-in:{}", utf8_percent_encode(built_in, PATH));
    }
    let path = below_checkout(name);
    let encoded = utf8_percent_encode(&path, PATH);
    if path.starts_with('/') { format!("file://{encoded}") } else { encoded.to_string() }
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_encoded() {
        assert_eq!(uri("runbooks/a b.yaml"), "runbooks/a%20b.yaml");
        assert_eq!(uri("./a:b%ü#?.yaml"), "a%3Ab%25%C3%BC%23%3F.yaml");
        assert_eq!(uri("/x/y.yaml"), "file:///x/y.yaml");
        assert_eq!(uri("built-in:a/b.yaml"), "built-in:a/b.yaml");
    }
}
