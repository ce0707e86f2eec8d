//! The one flat namespace of a runbook. Knows nothing of values.

use indexmap::IndexMap;

use crate::text::Span;

/// Every declared name with what declares it.
#[derive(Debug, Default)]
pub struct Names {
    names: IndexMap<String, Declared>,
    /// Ids of all steps.
    steps: IndexMap<String, Span>,
    /// By secret: where it may be sent although only a capture names the place.
    origins: IndexMap<String, Vec<String>>,
    /// Values that a person types and that must never be shown.
    typed_secrets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Declared {
    Param(Span),
    Secret(Span),
    /// A capture, with the full name of the step that sets it.
    Capture {
        step: String,
        span: Span,
    },
}

impl Declared {
    pub fn span(&self) -> Span {
        match self {
            Declared::Param(span) | Declared::Secret(span) | Declared::Capture { span, .. } => *span,
        }
    }

    pub fn what(&self) -> &'static str {
        match self {
            Declared::Param(_) => "a parameter",
            Declared::Secret(_) => "a secret",
            Declared::Capture { .. } => "a captured value",
        }
    }
}

impl Names {
    /// Words that cannot be names: locals of expressions, words of the expression language, and variables that change
    /// what other programs do.
    pub const RESERVED: [&'static str; 31] = [
        "result",
        "steps",
        "value",
        "run",
        "true",
        "false",
        "none",
        "null",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "endfor",
        "set",
        "with",
        "loop",
        "self",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "ftp_proxy",
        "rsync_proxy",
        "undefined",
        "defined",
    ];

    /// Whether a word has the form of a name: `[a-z][a-z0-9_]*`.
    pub fn is_name(word: &str) -> bool {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }

    /// Whether a word has the form of a step's id: `[a-z][a-z0-9-]*`.
    pub fn is_id(word: &str) -> bool {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }

    /// Adds a name; the earlier declaration comes back if there is one.
    pub fn declare(&mut self, name: &str, declared: Declared) -> Option<Declared> {
        if let Some(earlier) = self.names.get(name) {
            return Some(earlier.clone());
        }
        self.names.insert(name.to_owned(), declared);
        None
    }

    pub fn add_step(&mut self, id: &str, span: Span) -> Option<Span> {
        if let Some(earlier) = self.steps.get(id) {
            return Some(*earlier);
        }
        self.steps.insert(id.to_owned(), span);
        None
    }

    /// Lets a secret be sent to these, in the form `https://host:8443`.
    pub fn allow_origins(&mut self, secret: &str, origins: &[String]) {
        self.origins.insert(secret.to_owned(), origins.to_vec());
    }

    /// A value that a person types is a secret.
    pub fn keep_secret(&mut self, name: &str) {
        self.typed_secrets.push(name.to_owned());
    }

    /// Whether a name stands for a secret, declared or typed; what is captured as one is not known here.
    pub fn is_secret(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Declared::Secret(_))) || self.typed_secrets.iter().any(|typed| typed == name)
    }

    /// Where a secret may be sent, whoever names the place.
    pub fn origins_of(&self, secret: &str) -> &[String] {
        self.origins.get(secret).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<&Declared> {
        self.names.get(name)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub fn has_step(&self, id: &str) -> bool {
        self.steps.contains_key(id)
    }

    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    pub fn step_ids(&self) -> impl Iterator<Item = &str> {
        self.steps.keys().map(String::as_str)
    }
}
