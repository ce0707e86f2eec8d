//! Syntax errors in our words, with the text that would have done. Knows no YAML crate; it looks at the lines around.

use super::{ScalarStyle, tree::Role};
use crate::text::{Diagnostic, Source, Span};

/// What a parser stumbled over, as far as it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    Tab,
    /// A colon where no key can be.
    Colon,
    /// A line of a mapping without a colon.
    NoColon,
    Quote,
    AfterQuote,
    /// A character that begins no plain text.
    Start,
    CommentInText,
    /// A key was expected, something else or another indentation found.
    Key,
    Item,
    DashAfterKey,
    /// Inside brackets: no comma, no end.
    Flow,
    /// The bracket at this place is never closed.
    Unclosed,
    Mismatched {
        open: char,
        close: char,
    },
    /// A closing bracket that closes nothing.
    Closing,
    Escape,
    BlockHeader,
    Tag,
    Other,
}

/// The last scalar that was read whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastScalar {
    pub span: Span,
    pub style: ScalarStyle,
    pub role: Role,
}

/// What is known where the parser stopped.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub source: &'a Source,
    /// Where the parser stopped.
    pub at: usize,
    /// The end of what was read without complaint.
    pub read: usize,
    pub last: Option<LastScalar>,
    /// Beginnings of the flow collections that are open.
    pub flows: Vec<usize>,
    /// The flow collection that ended last.
    pub closed_flow: Option<Span>,
    /// The alias that was read last, if it was the last thing read.
    pub alias: Option<Span>,
    /// The parser's own words.
    pub reason: String,
}

/// The character at a place, for a span of it; empty at the end of a line.
pub(super) fn character(source: &Source, at: usize) -> Span {
    let rest = source.text()[at..].chars().next().filter(|c| !matches!(c, '\n' | '\r'));
    Span::new(at, at + rest.map_or(0, char::len_utf8))
}

/// Quotes a text so that YAML reads it as it stands.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}

/// "quote it", with the quoted text unless it is too long to be shown.
pub(super) fn quote_it(text: &str) -> String {
    if text.len() > 400 { "quote it".to_owned() } else { format!("quote it: {}", quoted(text)) }
}

/// The hint that quotes what stands on the line from `start` on.
pub(super) fn quote_from(source: &Source, start: usize, in_flow: bool) -> String {
    quote_it(source.slice(extent(source, start, in_flow)))
}

/// `{{` where YAML sees a mapping in a mapping.
pub(super) fn unquoted_template(source: &Source, start: usize, in_flow: bool) -> Diagnostic {
    let span = extent(source, start, in_flow);
    Diagnostic::error("unquoted-template", span, "a text that begins with `{{` must be quoted")
        .label("YAML reads `{` as the start of a mapping")
        .hint(quote_it(source.slice(span)))
}

/// What a writer most likely meant as one text: the rest of the line without its comment, in brackets up to the comma
/// or bracket that ends it. `{{ … }}`, quotes and brackets of its own belong to it.
fn extent(source: &Source, start: usize, in_flow: bool) -> Span {
    // No hint shows more than this, and a file may be one line.
    let line = source.slice(Span::new(start, start + 2_000)).lines().next().unwrap_or("");
    let bytes = line.as_bytes();
    let mut end = 0;
    let mut depth = 0usize;
    let mut quote = None;
    while end < bytes.len() {
        let byte = bytes[end];
        match (quote, byte) {
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, b'"' | b'\'') if in_flow => quote = Some(byte),
            (None, b'#') if end > 0 && matches!(bytes[end - 1], b' ' | b'\t') => break,
            (None, b'{' | b'[' | b'(') if in_flow => depth += 1,
            (None, b'}' | b']' | b',') if in_flow && depth == 0 => break,
            (None, b'}' | b']' | b')') if in_flow => depth = depth.saturating_sub(1),
            _ => {}
        }
        end += 1;
    }
    Span::new(start, start + line[..end].trim_end().len())
}

/// The diagnostic for a syntax error.
pub(super) fn explain(slip: &Slip, scene: &Scene) -> Diagnostic {
    let source = scene.source;
    let here = scene.character();
    // Most of what can go wrong behind an unquoted `{{` has that one cause.
    if !matches!(slip, Slip::Tab | Slip::Tag)
        && let Some((start, in_flow)) = scene.template()
    {
        return unquoted_template(source, start, in_flow);
    }
    let error = |span: Span, message: &str| Diagnostic::error("yaml-syntax", span, message);
    match slip {
        Slip::Tab => scene.tab(),
        Slip::Colon => scene.colon(),
        Slip::NoColon => scene.no_colon(scene.at),
        Slip::Quote => {
            let open = scene.opening_quote().unwrap_or(scene.at);
            let mark = if source.text()[open..].starts_with('\'') { '\'' } else { '"' };
            let hint = match mark {
                '"' => "close it with `\"`; a `\"` inside is written `\\\"`",
                _ => "close it with `'`; a `'` inside is written twice",
            };
            let problem = error(character(source, open), "a quoted text that opens here is not closed");
            let problem = if scene.at > open + 1 && scene.at < source.text().len() {
                problem.related(here, "before here, or this line lacks indentation")
            } else {
                problem
            };
            problem.hint(hint)
        }
        Slip::AfterQuote => scene.after_quote(),
        Slip::Start => {
            let character = source.text()[scene.at..].chars().next().unwrap_or(' ');
            let character = match character {
                '?' => "? ".to_owned(),
                other => other.to_string(),
            };
            error(here, &format!("a text cannot begin with `{character}` unless it is quoted")).hint(quote_from(
                source,
                scene.at,
                !scene.flows.is_empty(),
            ))
        }
        Slip::CommentInText => scene.comment_in_text(),
        Slip::Key => scene.key(),
        Slip::Item => {
            error(here, "expected another list item, `- ` in the column of the one above").label("this is none")
        }
        Slip::DashAfterKey => error(here, "a list cannot begin here").label("`- ` begins a list item").hint(format!(
            "put each `- ` on a line of its own, write the list as [a, b], or if it is a text, {}",
            quote_from(source, scene.at, false)
        )),
        Slip::Flow => scene.flow(),
        Slip::Unclosed => scene.unclosed(scene.at),
        Slip::Mismatched { open, close } => error(here, &format!("`{open}` is closed by `{close}`"))
            .hint(format!("if `{open}` begins a text, {}", quote_from(source, scene.at, false))),
        Slip::Closing => error(here, "this bracket closes nothing").hint("remove it, or quote the text it belongs to"),
        Slip::Escape => scene.escape(),
        Slip::BlockHeader => error(scene.rest_of_line(), "the text of a `|` or `>` block begins on the next line")
            .hint(format!("or, if it is one line of text, {}", quote_from(source, scene.at, false))),
        Slip::Tag => tag(source, here, !scene.flows.is_empty()),
        Slip::Other => error(here, &format!("this is not YAML: {}", scene.reason)),
    }
}

/// `!foo`, `!!str` and their kin.
pub(super) fn tag(source: &Source, span: Span, in_flow: bool) -> Diagnostic {
    let rest = source.slice(extent(source, span.start, in_flow));
    let problem = Diagnostic::error("tag", span, "tags are not part of the language").label("this is a tag to YAML");
    if let Some(text) = rest.strip_prefix("!!str ") {
        problem.hint(quote_it(text.trim()))
    } else if rest.starts_with("!!") {
        problem.hint("write the value without it")
    } else {
        problem.hint(format!("write the value without it; if it is a text, {}", quote_it(rest)))
    }
}

fn brackets(text: &str, open: usize) -> (char, char) {
    if text[open..].starts_with('[') { ('[', ']') } else { ('{', '}') }
}

impl Scene<'_> {
    fn text(&self) -> &str {
        self.source.text()
    }

    fn character(&self) -> Span {
        character(self.source, self.at)
    }

    fn line_start(&self, at: usize) -> usize {
        self.text()[..at].rfind('\n').map_or(0, |i| i + 1)
    }

    fn rest_of_line(&self) -> Span {
        let line = self.text()[self.at..].lines().next().unwrap_or("");
        Span::new(self.at, self.at + line.trim_end().len())
    }

    fn indent(&self, line: usize) -> usize {
        self.text()[line..].bytes().take_while(|b| *b == b' ').count()
    }

    /// An unquoted `{{` that explains the error, and whether it stands in brackets.
    fn template(&self) -> Option<(usize, bool)> {
        let text = self.text();
        if let Some(index) = self.flows.iter().position(|start| text[*start..].starts_with("{{")) {
            return Some((self.flows[index], index > 0));
        }
        let line = self.line_start(self.at);
        let written = &text[line..self.at];
        written.match_indices("{{").map(|(i, _)| line + i).find_map(|start| {
            let before = &text[line..start];
            let kept = before.trim_end();
            let spaced = kept.len() < before.len();
            let begins = kept.is_empty()
                || (spaced && kept.ends_with([':', '-']) && !kept.ends_with("--"))
                || (kept.ends_with(['[', ',', '{']) && !self.flows.is_empty());
            // A template that was read whole as part of a text is innocent.
            let innocent = self.last.is_some_and(|last| last.span.start <= start && start < last.span.end);
            (begins && !innocent).then_some((start, !self.flows.is_empty()))
        })
    }

    fn tab(&self) -> Diagnostic {
        let indenting = |line: usize| {
            let blanks = self.text()[line..].bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
            self.text()[line..line + blanks].find('\t').map(|i| Span::new(line + i, line + blanks))
        };
        // The parser may stop at the end of the line before.
        let below = self.text()[self.at..].find('\n').map(|feed| self.at + feed + 1);
        match indenting(self.line_start(self.at)).or_else(|| below.and_then(indenting)) {
            Some(tab) => Diagnostic::error("yaml-syntax", tab, "a tab cannot indent YAML")
                .label("this is a tab")
                .hint("indent with spaces"),
            None => Diagnostic::error("yaml-syntax", self.character(), "a tab cannot stand here")
                .hint("use a space instead"),
        }
    }

    /// A colon with a blank behind it, where no key can be.
    fn colon(&self) -> Diagnostic {
        let colon = self.character();
        let error = |message: &str| Diagnostic::error("yaml-syntax", colon, message);
        let Some(last) = self.last.filter(|last| last.span.end <= self.at) else {
            return error("a key cannot stand here");
        };
        let written = self.source.slice(last.span);
        let several_lines = written.contains('\n');
        if last.style != ScalarStyle::Plain {
            return error("a second colon on one line").label("YAML takes this for a key and its value");
        }
        if several_lines && last.role != Role::Value {
            // The lines above have no colon, so they were read as one text with this one.
            return self.no_colon(last.span.start);
        }
        if several_lines {
            let first = written.lines().next().unwrap_or("").trim_end();
            let name = written.lines().next_back().unwrap_or("").trim();
            return error(&format!("`{name}:` cannot stand below a value"))
                .label("this is indented deeper than the key above")
                .related(Span::new(last.span.start, last.span.start + first.len()), "that key has this value already")
                .hint(format!("indent `{name}:` like the key above, or remove the value"));
        }
        let in_flow = !self.flows.is_empty();
        let whole = extent(self.source, last.span.start, in_flow);
        let problem = error("an unquoted text cannot hold `: `").label("YAML takes what stands before this for a key");
        let line = self.line_start(last.span.start);
        let next = self.text()[whole.end..].find('\n').map(|feed| whole.end + feed + 1);
        let goes_on = next.is_some_and(|next| {
            let below = self.text()[next..].lines().next().unwrap_or("");
            !below.trim().is_empty() && self.indent(next) > self.indent(line) && !below.trim_start().starts_with("- ")
        });
        if goes_on && !in_flow && last.role == Role::Value {
            return problem.hint("begin the value with `|` or `>` and put its text on the lines below");
        }
        problem.hint(quote_it(self.source.slice(whole)))
    }

    fn no_colon(&self, start: usize) -> Diagnostic {
        let line = self.text()[start..].lines().next().unwrap_or("").trim_end();
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        let span = Span::new(start, start + line.len());
        let problem = Diagnostic::error("yaml-syntax", span, "`: ` is missing: expected a key and its value")
            .label("this is neither a key nor part of the value above");
        match line.split_once(':') {
            Some((key, value)) if !key.is_empty() && !key.contains([' ', '"', '\'']) && !value.is_empty() => {
                problem.hint(format!("put a space after the colon: {key}: {value}"))
            }
            _ => problem.hint("write `key: value`; to go on with the value above, indent deeper"),
        }
    }

    /// The quote that opened the scalar the parser is in: the first one behind what was read.
    fn opening_quote(&self) -> Option<usize> {
        let text = self.text();
        if text[self.at..].starts_with(['"', '\'']) {
            return Some(self.at);
        }
        let from = self.read.min(self.at);
        let mut at = from;
        for line in text[from..self.at].split_inclusive('\n') {
            let code = line.find(" #").map_or(line, |i| &line[..i]);
            if let Some(i) = code.find(['"', '\'']) {
                return Some(at + i);
            }
            at += line.len();
        }
        None
    }

    fn after_quote(&self) -> Diagnostic {
        let problem = Diagnostic::error("yaml-syntax", self.character(), "text after a closing quote")
            .label("the quoted text ended before this");
        let Some(open) = self.opening_quote() else { return problem };
        let whole = self.source.slice(extent(self.source, open, !self.flows.is_empty()));
        // The parser may stop at the quote itself.
        let inside = self.text().get(open + 1..self.at).unwrap_or("").trim_end();
        let rest = whole.get(self.at - open..).unwrap_or("");
        // Quotes around a template are YAML's; around a word of an expression they are the expression's.
        if let Some(inside) = inside.strip_suffix(&whole[..1]).filter(|inside| inside.contains("{{")) {
            let gap = self.text().get(open + 2 + inside.len()..self.at).unwrap_or("");
            return problem.hint(quote_it(&format!("{inside}{gap}{rest}")));
        }
        problem.hint(format!("quote the whole: '{}'", whole.replace('\'', "''")))
    }

    fn comment_in_text(&self) -> Diagnostic {
        let comment = self.rest_of_line();
        let problem = Diagnostic::error("comment-cuts-text", comment, "YAML cut the text here: ` #` begins a comment")
            .label("the text goes on below, but a comment ends it");
        match self.last {
            Some(last) => problem.hint(quote_it(self.source.slice(Span::new(last.span.start, comment.end)))),
            None => problem.hint("quote the text"),
        }
    }

    /// A key was expected.
    fn key(&self) -> Diagnostic {
        let error = |span: Span, message: &str| Diagnostic::error("yaml-syntax", span, message);
        let here = self.character();
        let text = self.text();
        let same_line = |end: usize| {
            text[end.min(self.at)..self.at].trim().is_empty() && !text[end.min(self.at)..self.at].contains('\n')
        };
        if let Some(alias) = self.alias.filter(|alias| same_line(alias.end)) {
            return error(alias, "a text cannot begin with `*` unless it is quoted")
                .label("this is an alias to YAML")
                .hint(quote_from(self.source, alias.start, false));
        }
        if let Some(flow) = self.closed_flow.filter(|flow| same_line(flow.end)) {
            let open = text[flow.start..].chars().next().unwrap_or('{');
            return error(here, "text after a closing bracket")
                .related(Span::new(flow.start, flow.start + 1), format!("`{open}` opened what ended before"))
                .hint(quote_from(self.source, flow.start, false));
        }
        let rest = &text[self.at..];
        let dash = if rest.starts_with("- ") || rest.starts_with("-\n") || rest.starts_with("-\r") {
            Some(self.at)
        } else {
            // The parser may stop behind it.
            let before = &text[self.line_start(self.at)..self.at];
            (before.trim() == "-").then(|| self.line_start(self.at) + before.len() - before.trim_start().len())
        };
        if let Some(dash) = dash {
            return error(Span::new(dash, dash + 1), "a list item cannot stand here")
                .label("the lines above in this column are keys")
                .hint("indent the item below the key it belongs to");
        }
        let line = self.line_start(self.at);
        if text[line..self.at].trim().is_empty() {
            let problem = error(here, "the indentation of this line fits nothing above it");
            if self.last.is_some_and(|last| matches!(last.style, ScalarStyle::Literal | ScalarStyle::Folded)) {
                return problem
                    .label("indented less than the text block above, and deeper than its key")
                    .hint("indent every line of the block like its first one");
            }
            return problem
                .label(format!("column {}", self.at - line + 1))
                .hint("indent it like the keys it belongs to");
        }
        error(here, "expected a key")
    }

    fn flow(&self) -> Diagnostic {
        let text = self.text();
        if text[self.at..].starts_with(':')
            && let Some(last) = self.last
            && last.span.end == self.at
            && !self.source.slice(last.span).contains('\n')
            && self.flows.last().is_some_and(|open| self.line_start(*open) == self.line_start(self.at))
        {
            return self.colon();
        }
        if let Some(last) = self.last
            && last.style == ScalarStyle::Plain
            && last.span.end <= self.at
            && text[last.span.end..self.at].bytes().all(|b| b == b' ')
            && text[self.at..].starts_with(['[', '{', '"', '\''])
        {
            let whole = extent(self.source, last.span.start, true);
            return Diagnostic::error(
                "yaml-syntax",
                self.character(),
                "an unquoted text in brackets ends here to YAML",
            )
            .label(format!("`{}` begins something of its own", &text[self.at..self.at + 1]))
            .hint(quote_it(self.source.slice(whole)));
        }
        let Some(open) = self.flows.last().copied() else {
            return Diagnostic::error("yaml-syntax", self.character(), format!("this is not YAML: {}", self.reason));
        };
        if self.line_start(open) != self.line_start(self.at) || self.at >= text.len() {
            return self.unclosed(open);
        }
        let (mark, end) = brackets(text, open);
        Diagnostic::error("yaml-syntax", self.character(), format!("expected `,` or `{end}`"))
            .related(Span::new(open, open + 1), format!("inside this `{mark}`"))
            .hint(format!("if `{mark}` begins a text, {}", quote_from(self.source, open, false)))
    }

    fn unclosed(&self, open: usize) -> Diagnostic {
        let (mark, end) = brackets(self.text(), open);
        Diagnostic::error("yaml-syntax", character(self.source, open), format!("`{mark}` is not closed"))
            .hint(format!("close it with `{end}`; if it begins a text, {}", quote_from(self.source, open, false)))
    }

    fn escape(&self) -> Diagnostic {
        let text = self.text();
        let open = self.opening_quote().unwrap_or(self.at);
        let mut at = open + 1;
        let known = "0abt\tnvfre \"/\\N_LPxuU\n\r";
        while at < text.len() {
            let bytes = text.as_bytes();
            if bytes[at] == b'\\' {
                let next = text[at + 1..].chars().next();
                let digits = match next {
                    Some('x') => 2,
                    Some('u') => 4,
                    Some('U') => 8,
                    _ => 0,
                };
                let complete =
                    text[at + 1..].bytes().skip(1).take(digits).filter(u8::is_ascii_hexdigit).count() == digits;
                if !next.is_some_and(|next| known.contains(next)) || !complete {
                    let length = 1 + next.map_or(0, char::len_utf8);
                    let shown = &text[at..at + length];
                    let problem = Diagnostic::error(
                        "yaml-syntax",
                        Span::new(at, at + length),
                        format!("`{shown}` is no escape of a double-quoted text"),
                    );
                    return problem.hint(self.escape_hint(open));
                }
                at += 1 + next.map_or(0, char::len_utf8);
            } else if bytes[at] == b'"' {
                break;
            } else {
                at += 1;
            }
        }
        Diagnostic::error("yaml-syntax", self.character(), format!("this is not YAML: {}", self.reason))
    }

    fn escape_hint(&self, open: usize) -> String {
        let line = self.text()[open + 1..].lines().next().unwrap_or("");
        let mut end = None;
        let mut escaped = false;
        for (i, byte) in line.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    end = Some(i);
                    break;
                }
                _ => {}
            }
        }
        match end {
            Some(end) => format!(
                "in single quotes a backslash is a backslash: '{}'",
                line[..end].replace("\\\"", "\"").replace('\'', "''")
            ),
            None => "write the backslash twice, or use single quotes".to_owned(),
        }
    }
}
