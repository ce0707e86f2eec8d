//! One slip in a word of the language or in a name: it must be found, at its place, and the right word be named.

use std::{collections::BTreeSet, fs, ops::Range, path::Path, rc::Rc};

use runsheet::{
    kinds,
    model::{Linker, Loaded, Runbooks, load_from},
    syntax::{Expr, Node, NodeKind, Reference, Template, Text, yaml},
    text::{Source, Span},
};

use super::bad::{files, name_of};

/// Words that may be changed in one file.
const WORDS_OF_A_FILE: usize = 70;

fn loaded(name: &str, text: &str) -> Loaded {
    load_from(name, &Source::new(name, text), &Linker::new(kinds::registry(), Rc::new(BuiltIn)))
}

/// What the runbooks of the house call.
struct BuiltIn;

impl Runbooks for BuiltIn {
    fn find(&self, name: &str) -> Result<Source, (String, Option<String>)> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(format!("{name}.yaml"));
        let text = fs::read_to_string(path).map_err(|_| (format!("there is no runbook `{name}`"), None))?;
        Ok(Source::new(name, text))
    }
}

fn good() -> Vec<(String, String)> {
    let mut paths = files("good");
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks"), &mut paths);
    paths.iter().map(|path| (name_of(path), fs::read_to_string(path).expect("UTF-8"))).collect()
}

/// Every runbook below a folder, if it is there.
fn below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") && !name_of(&path).contains(".scenarios.") {
            found.push(path);
        }
    }
}

#[test]
fn good_runbooks_have_no_problems() {
    let files = good();
    assert!(files.len() >= 6);
    for (name, text) in files {
        let loaded = loaded(&name, &text);
        let drawn = runsheet::text::draw_all(&loaded.source, &loaded.problems, runsheet::text::DrawStyle::default());
        assert!(loaded.problems.is_empty() && loaded.runbook.is_some(), "{drawn}");
    }
}

/// What a word is, which decides where the error must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// A key of the language, a kind included.
    Key,
    /// A use of a name or an id.
    Use,
    /// The declaration of a name or an id that is used: the error is at a use.
    Declaration,
}

/// The words of a file that are not the author's to choose, and those that must agree with another place.
struct Words<'s> {
    source: &'s Source,
    found: BTreeSet<(usize, usize, Role)>,
    /// Names and, marked, ids of steps.
    declared: Vec<(String, Span)>,
    used: BTreeSet<String>,
}

impl<'s> Words<'s> {
    fn of(source: &'s Source) -> Words<'s> {
        let root = yaml::parse(source).expect("good files are YAML");
        let mut words = Words { source, found: BTreeSet::new(), declared: Vec::new(), used: BTreeSet::new() };
        words.mapping(&root, "runbook");
        for (name, span) in &words.declared {
            if words.used.contains(name) {
                words.found.insert((span.start, span.end, Role::Declaration));
            }
        }
        words
    }

    fn word(&mut self, span: Span, role: Role) {
        self.found.insert((span.start, span.end, role));
    }

    fn declare(&mut self, text: &Text) {
        self.declared.push((text.text.clone(), text.span));
    }

    /// A mapping whose keys are the language's; `of` says which.
    fn mapping(&mut self, node: &Node, of: &str) {
        let NodeKind::Map(entries) = &node.kind else { return };
        for entry in entries {
            self.word(entry.key.span, Role::Key);
            let value = &entry.value;
            match (of, entry.key.text.as_str()) {
                ("runbook", "params") | ("manual", "evidence") => self.names(value, "param"),
                ("runbook", "secrets") => self.names(value, "secret"),
                ("runbook", "requires") => self.mapping(value, "requires"),
                ("runbook", "steps" | "finally") => self.each(value, "step"),
                ("runbook", "lock" | "cwd") => self.template(value),
                ("secret", _) => self.templates(value),
                ("step", "group") => self.mapping(value, "group"),
                ("step", "choose") => self.mapping(value, "choose"),
                ("choose", "cases") => self.each(value, "case"),
                ("group" | "case", "steps") => self.each(value, "step"),
                ("choose", "question") | ("case", "title") => self.template(value),
                ("foreach", "in") if matches!(value.kind, NodeKind::List(_)) => self.templates(value),
                ("case", "when") | ("foreach", "in") => self.expressions(value),
                ("step", "foreach") => {
                    self.mapping(value, "foreach");
                    if let NodeKind::Map(entries) = &value.kind
                        && let Some(name) = entries.iter().find(|entry| entry.key.text == "as")
                        && let NodeKind::Text(text) = &name.value.kind
                    {
                        self.declare(text);
                    }
                }
                ("step", "id") => {
                    if let NodeKind::Text(text) = &value.kind {
                        self.declared.push((id(&text.text), text.span));
                    }
                }
                ("step", "needs") => self.needs(value),
                ("step" | "need" | "retry", "when") => self.expressions(value),
                ("step" | "body" | "wait", "expect" | "until" | "fail_when") => self.expressions(value),
                ("step" | "body" | "wait", "capture") => self.captures(value),
                ("step", "retry") => self.mapping(value, "retry"),
                ("step", "verify") => self.mapping(value, "body"),
                ("step" | "body" | "wait", "http") => self.mapping(value, "http"),
                ("step" | "body" | "wait", "shell") => self.mapping(value, "shell"),
                ("step", "wait") if matches!(value.kind, NodeKind::Map(_)) => self.mapping(value, "wait"),
                ("step", "manual") if matches!(value.kind, NodeKind::Map(_)) => self.mapping(value, "manual"),
                ("step", "confirm") if matches!(value.kind, NodeKind::Map(_)) => self.mapping(value, "confirm"),
                ("step", "set") => self.set(value),
                ("step" | "body" | "wait", "env") => self.templates(value),
                ("http", "auth") => self.auth(value),
                ("shell", "script") => {}
                ("shell", "exec") => self.templates(value),
                ("capture", "value") => self.expressions(value),
                ("http", _) => self.templates(value),
                (
                    "step" | "body" | "wait" | "manual" | "confirm",
                    "title" | "text" | "timeout" | "cwd" | "message" | "open" | "type_back" | "confirm" | "manual"
                    | "wait" | "interval" | "max_interval" | "held_for",
                ) => self.template(value),
                _ => {}
            }
        }
    }

    fn each(&mut self, node: &Node, of: &str) {
        if let NodeKind::List(items) = &node.kind {
            items.iter().for_each(|item| self.mapping(item, of));
        }
    }

    fn names(&mut self, node: &Node, of: &str) {
        let NodeKind::Map(entries) = &node.kind else { return };
        for entry in entries {
            self.declare(&entry.key);
            self.mapping(&entry.value, of);
        }
    }

    fn captures(&mut self, node: &Node) {
        let NodeKind::Map(entries) = &node.kind else { return };
        for entry in entries {
            self.declare(&entry.key);
            match &entry.value.kind {
                NodeKind::Map(_) => self.mapping(&entry.value, "capture"),
                _ => self.expressions(&entry.value),
            }
        }
    }

    fn set(&mut self, node: &Node) {
        let NodeKind::Map(entries) = &node.kind else { return };
        for entry in entries {
            self.declare(&entry.key);
            self.expressions(&entry.value);
        }
    }

    fn needs(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::List(items) => items.iter().for_each(|item| self.needs(item)),
            NodeKind::Text(text) => {
                self.used.insert(id(&text.text));
                self.word(text.span, Role::Use);
            }
            NodeKind::Map(entries) => {
                for entry in entries.iter().filter(|entry| entry.key.text == "step") {
                    self.needs(&entry.value);
                }
                self.mapping(node, "need");
            }
            _ => {}
        }
    }

    fn auth(&mut self, node: &Node) {
        let NodeKind::Map(entries) = &node.kind else { return };
        for entry in entries {
            self.word(entry.key.span, Role::Key);
            match &entry.value.kind {
                NodeKind::List(items) => {
                    self.template(&items[0]);
                    self.secret(&items[1]);
                }
                _ => self.secret(&entry.value),
            }
        }
    }

    fn secret(&mut self, node: &Node) {
        if let NodeKind::Text(text) = &node.kind {
            self.used(&text.text, text.span);
        }
    }

    fn expressions(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::List(items) => items.iter().for_each(|item| self.expressions(item)),
            NodeKind::Text(text) => {
                let expr = Expr::compile(text).expect("good files hold good expressions");
                self.references(expr.references());
            }
            _ => {}
        }
    }

    fn template(&mut self, node: &Node) {
        if let NodeKind::Text(text) = &node.kind {
            let template = Template::compile(text).expect("good files hold good templates");
            self.references(template.references());
        }
    }

    fn templates(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::List(items) => items.iter().for_each(|item| self.templates(item)),
            NodeKind::Map(entries) => entries.iter().for_each(|entry| self.templates(&entry.value)),
            _ => self.template(node),
        }
    }

    fn references(&mut self, references: &[Reference]) {
        for reference in references {
            match (&reference.step, reference.name.as_str()) {
                (Some(step), _) => {
                    self.used.insert(id(step));
                    self.word(reference.step_span.expect("a step has a place"), Role::Use);
                    self.word(Span::new(reference.span.start, reference.span.start + "steps".len()), Role::Use);
                    self.word(reference.field_span(), Role::Use);
                }
                (None, name @ ("result" | "run")) => {
                    self.used(name, reference.span);
                    if let Some(field) = reference.path_spans.first() {
                        self.word(*field, Role::Use);
                    }
                }
                (None, name) => self.used(name, reference.span),
            }
        }
    }

    fn used(&mut self, name: &str, span: Span) {
        assert_eq!(self.source.slice(span), name, "the place of a reference is its word");
        self.used.insert(name.to_owned());
        self.word(span, Role::Use);
    }
}

/// Ids and names are two namespaces.
fn id(step: &str) -> String {
    format!("step {step}")
}

/// One slip at a time: a character dropped, doubled, swapped with the next one, or another in its place.
fn slips(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let mut made = BTreeSet::new();
    let mut places: Vec<usize> = vec![0, chars.len() / 3, chars.len() / 2, chars.len() - 1];
    places.dedup();
    for at in places {
        let with = |replaced: Range<usize>, by: &[char]| -> String {
            chars[..replaced.start].iter().chain(by).chain(&chars[replaced.end..]).collect()
        };
        made.insert(with(at..at + 1, &[]));
        made.insert(with(at..at, &[chars[at]]));
        if at + 1 < chars.len() {
            made.insert(with(at..at + 2, &[chars[at + 1], chars[at]]));
        }
        for other in ['x', 'e', 'f', 'm'] {
            made.insert(with(at..at + 1, &[other]));
        }
    }
    made.remove(word);
    // Nothing is left of a word of one letter.
    made.remove("");
    made.into_iter().collect()
}

/// Whether an edit is found: an error at the word, or for a declaration also at its uses, that names the right word.
fn caught(changed: &Loaded, at: Range<usize>, role: Role, right: &str) -> Result<(), String> {
    let word = |text: &str| {
        text.match_indices(right).any(|(start, _)| {
            let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            !text[..start].ends_with(part) && !text[start + right.len()..].starts_with(part)
        })
    };
    let mut found = String::new();
    let mut placed = false;
    for problem in changed.problems.iter().filter(|problem| problem.is_error()) {
        let here = problem.span.start == at.start || (problem.span.start <= at.start && problem.span.end >= at.end);
        let names = word(&problem.message) || word(&problem.label) || problem.hint.as_deref().is_some_and(word);
        found.push_str(&format!("\n    {:?} {}: {} | {:?}", problem.span, problem.code, problem.message, problem.hint));
        // A use stands where the original text still is.
        let at_use = role == Role::Declaration && changed.source.slice(problem.span) == right;
        if (here || at_use) && names {
            return Ok(());
        }
        placed |= here || at_use;
    }
    Err(if found.is_empty() { "nothing was said".into() } else { format!("placed: {placed}{found}") })
}

#[test]
fn a_slip_is_found_and_the_right_word_named() {
    let (mut tried, mut found, mut other_words) = (0_usize, 0_usize, 0_usize);
    let mut missed = Vec::new();
    let mut several = Vec::new();
    for (name, text) in good() {
        let source = Source::new(name.as_str(), text.as_str());
        let words = Words::of(&source);
        let vocabulary: BTreeSet<&str> = words.found.iter().map(|(start, end, _)| &text[*start..*end]).collect();
        let stride = words.found.len().div_ceil(WORDS_OF_A_FILE);
        for (nth, (start, end, role)) in words.found.iter().step_by(stride).enumerate() {
            let right = &text[*start..*end];
            // A fifth of the slips of each word, another fifth of the next one.
            for wrong in slips(right).into_iter().skip(nth % 5).step_by(5) {
                let changed = format!("{}{wrong}{}", &text[..*start], &text[*end..]);
                // Another word of the language or of the file is another meaning, which only its author can judge.
                if vocabulary.contains(wrong.as_str()) || is_a_word(&wrong) {
                    other_words += 1;
                    continue;
                }
                tried += 1;
                let after = loaded(&name, &changed);
                let errors = after.problems.iter().filter(|problem| problem.is_error()).count();
                if *role != Role::Declaration && errors > 1 {
                    let said: Vec<&str> = after.problems.iter().map(|problem| problem.message.as_str()).collect();
                    several.push(format!("{name} `{right}` as `{wrong}`: {said:?}"));
                }
                match caught(&after, *start..*start + wrong.len(), *role, right) {
                    Ok(()) => found += 1,
                    Err(why) => {
                        let at = source.position(*start);
                        missed.push(format!("{name}:{}:{} {role:?} `{right}` as `{wrong}`: {why}", at.line, at.column));
                    }
                }
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let percent = 100.0 * found as f64 / tried as f64;
    println!("edits: {tried} tried, {found} caught, {percent:.2} % ({other_words} gave another word)");
    for miss in missed.iter().take(60) {
        println!("missed {miss}");
    }
    for one in several.iter().take(60) {
        println!("several {one}");
    }
    assert!(tried > 2_000, "only {tried} edits");
    assert!(several.len() * 50 <= tried, "one mistake is one error: {}", several.len());
    assert!(percent >= 95.0, "{percent} %");
}

/// A key of the language somewhere.
fn is_a_word(word: &str) -> bool {
    kinds::registry().names().any(|kind| kind == word)
        || kinds::registry().0.iter().any(|kind| kind.keys().any(|key| key == word))
}
