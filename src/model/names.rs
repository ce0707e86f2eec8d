//! The one flat namespace of a runbook. Knows nothing of values.

use indexmap::IndexMap;

use crate::text::Span;

/// Every declared name with what declares it.
#[derive(Debug, Default)]
pub struct Names {
    names: IndexMap<String, Declared>,
    /// Paths of all steps.
    steps: IndexMap<String, Span>,
    /// By name: where it is set besides, in other cases of one choice.
    also: IndexMap<String, Vec<String>>,
    /// By loop: the name of its item.
    loops: IndexMap<String, String>,
    /// By call: what the caller gets.
    outputs: IndexMap<String, Option<Vec<String>>>,
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
    /// The item of a loop, or of several that do not stand in each other.
    Item {
        span: Span,
    },
}

impl Declared {
    pub fn span(&self) -> Span {
        match self {
            Declared::Param(span)
            | Declared::Secret(span)
            | Declared::Capture { span, .. }
            | Declared::Item { span } => *span,
        }
    }

    pub fn what(&self) -> &'static str {
        match self {
            Declared::Param(_) => "a parameter",
            Declared::Secret(_) => "a secret",
            Declared::Capture { .. } => "a captured value",
            Declared::Item { .. } => "the item of a loop",
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

    /// The same name again, set in another case of one choice.
    pub fn declare_also(&mut self, name: &str, step: &str) {
        self.also.entry(name.to_owned()).or_default().push(step.to_owned());
    }

    /// The paths of the steps that set a name.
    pub fn producers(&self, name: &str) -> impl Iterator<Item = &str> {
        let first = match self.names.get(name) {
            Some(Declared::Capture { step, .. }) => Some(step.as_str()),
            _ => None,
        };
        first.into_iter().chain(self.also.get(name).into_iter().flatten().map(String::as_str))
    }

    pub fn add_loop(&mut self, step: &str, item: &str) {
        self.loops.insert(step.to_owned(), item.to_owned());
    }

    /// The loops whose item has this name.
    pub fn loops_of(&self, item: &str) -> impl Iterator<Item = &str> {
        self.loops.iter().filter(move |(_, name)| *name == item).map(|(step, _)| step.as_str())
    }

    /// The loops around, and at, a step.
    pub fn loops_around(&self, step: &str) -> impl Iterator<Item = &str> {
        self.loops.keys().map(String::as_str).filter(move |of| Names::is_inside(step, of))
    }

    /// The name of a loop's item.
    pub fn item_of(&self, step: &str) -> Option<&str> {
        self.loops.get(step).map(String::as_str)
    }

    /// `outputs` is none where what is called could not be read.
    pub fn add_call(&mut self, step: &str, outputs: Option<Vec<String>>) {
        self.outputs.insert(step.to_owned(), outputs);
    }

    /// What the caller of a call gets; none within where nobody knows.
    pub fn outputs_of(&self, step: &str) -> Option<Option<&[String]>> {
        self.outputs.get(step).map(Option::as_deref)
    }

    /// Whether a step is another one, or stands in it.
    pub fn is_inside(step: &str, container: &str) -> bool {
        step.strip_prefix(container).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
    }

    /// The path of the step that an id means in the list at `within`: a sibling, then a step of the lists around it.
    /// An item of a loop that is over is named with it: `scale[web]` means what the loop `scale` came to there.
    pub fn step_from(&self, within: &str, id: &str) -> Option<String> {
        let whole = self.whole_step_from(within, &without_items(id))?;
        // Only a loop has items.
        let given = id.matches('[').count();
        let own = usize::from(self.loops.contains_key(&whole));
        let around = self.loops_between(within, &whole).count();
        (given == 0 || given == around || given == around + own).then_some(whole)
    }

    /// The loops around a step, as seen from a list; what stands in a loop runs once for each of its items.
    pub fn loops_between<'n>(&'n self, within: &'n str, step: &'n str) -> impl Iterator<Item = &'n str> {
        self.loops_around(step).filter(move |of| *of != step && !Names::is_inside(within, of))
    }

    fn whole_step_from(&self, within: &str, id: &str) -> Option<String> {
        let mut within = within;
        while !within.is_empty() {
            let path = format!("{within}/{id}");
            if self.steps.contains_key(&path) {
                return Some(path);
            }
            within = within.rsplit_once('/').map_or("", |(above, _)| above);
        }
        self.steps.contains_key(id).then(|| id.to_owned())
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

/// A path in a run as it stands in its file: `scale[web]/up` is `scale/up`. What ends a bracket is never part of an item.
pub fn without_items(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            let shown = !inside && *c != '[';
            inside = (inside || *c == '[') && *c != ']';
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_its_items() {
        for (path, file) in [("a/b", "a/b"), ("scale[web]", "scale"), ("r[a/b]/n[1]/x", "r/n/x"), ("a[", "a")] {
            assert_eq!(without_items(path), file);
        }
    }
}
