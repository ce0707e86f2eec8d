//! Draws a diagnostic over its excerpt. Knows nothing of terminals but colour and width.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Severity, Source, Span, one_line};

#[derive(Clone, Copy, Debug, Default)]
pub struct DrawStyle {
    pub color: bool,
}

/// One diagnostic with its excerpt, ending in a line feed.
pub fn draw(source: &Source, diagnostic: &Diagnostic, style: DrawStyle) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // The renderer cleans source and title; labels are ours to clean.
    let label = one_line(&diagnostic.label).into_owned();
    let hint = diagnostic.hint.as_deref().map(|hint| super::printable(hint).into_owned());
    let related: Vec<(Span, String)> =
        diagnostic.related.iter().map(|(span, text)| (clamp(source, *span), one_line(text).into_owned())).collect();
    let window = Window::around(source, diagnostic.span, &related);
    let path = one_line(source.name());
    let mut snippet =
        Snippet::source(window.text.as_ref()).path(path.as_ref()).line_start(window.first_line).fold(true);
    let mut primary = AnnotationKind::Primary.span(window.range(marked(source, diagnostic.span)));
    if !label.is_empty() {
        primary = primary.label(label.as_str());
    }
    snippet = snippet.annotation(primary);
    for (span, text) in &related {
        if window.holds(*span) {
            snippet = snippet.annotation(AnnotationKind::Context.span(window.range(*span)).label(text.as_str()));
        }
    }
    let message = one_line(&diagnostic.message).into_owned();
    let title = level.primary_title(message.as_str()).id(diagnostic.code);
    let mut group: Group = title.element(snippet);
    if let Some(hint) = &hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let mut drawn = renderer.render(&[group]);
    drawn.push('\n');
    drawn
}

/// All diagnostics in file order, a blank line between them.
pub fn draw_all(source: &Source, diagnostics: &[Diagnostic], style: DrawStyle) -> String {
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|d| (d.span.start, d.span.end, d.severity));
    ordered.iter().map(|d| draw(source, d, style)).collect::<Vec<_>>().join("\n")
}

fn clamp(source: &Source, span: Span) -> Span {
    let length = source.text().len();
    Span::new(span.start.min(length), span.end.min(length))
}

/// What is underlined: of a whole paragraph or mapping its first line, which is where to look.
fn marked(source: &Source, span: Span) -> Span {
    const LINES: usize = 4;
    let span = clamp(source, span);
    let text = source.slice(span);
    match text.find('\n') {
        Some(first) if text.bytes().filter(|b| *b == b'\n').count() >= LINES => {
            Span::new(span.start, span.start + text[..first].trim_end().len())
        }
        _ => span,
    }
}

/// The part of a text that is handed to the renderer: a 50 MB file must not be scanned for every excerpt.
struct Window<'a> {
    /// Without the carriage returns before line feeds, which the renderer would draw.
    text: Cow<'a, str>,
    start: usize,
    end: usize,
    first_line: usize,
    source: &'a str,
}

impl<'a> Window<'a> {
    const REACH: usize = 4096;

    fn around(source: &'a Source, span: Span, related: &[(Span, String)]) -> Window<'a> {
        let text = source.text();
        let span = clamp(source, span);
        let mut low = span.start;
        let mut high = span.end.min(span.start + Self::REACH);
        for (other, _) in related {
            // Places further away are left out of the drawing rather than drawing a whole file.
            if other.start.abs_diff(span.start) < 16 * Self::REACH {
                low = low.min(other.start);
                high = high.max(other.end);
            }
        }
        let start = text.as_bytes()[..low].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let start = if low - start > Self::REACH { boundary(text, low - Self::REACH) } else { start };
        let end = text.as_bytes()[high..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| high + i);
        let end = if end - high > Self::REACH { boundary(text, high + Self::REACH) } else { end };
        let first_line = source.position(start).line;
        let shown = match line_ends(text, start..end).next() {
            None => Cow::Borrowed(&text[start..end]),
            Some(_) => {
                let mut shown = String::with_capacity(end - start);
                let mut from = start;
                for at in line_ends(text, start..end) {
                    shown.push_str(&text[from..at]);
                    from = at + 1;
                }
                shown.push_str(&text[from..end]);
                Cow::Owned(shown)
            }
        };
        Window { text: shown, start, end, first_line, source: text }
    }

    fn holds(&self, span: Span) -> bool {
        span.start >= self.start && span.end <= self.end
    }

    fn range(&self, span: Span) -> std::ops::Range<usize> {
        let start = self.shown(span.start);
        start..self.shown(span.end).max(start)
    }

    /// Where an offset of the source stands in what is shown.
    fn shown(&self, offset: usize) -> usize {
        let offset = boundary(self.source, offset.clamp(self.start, self.end));
        offset - self.start - line_ends(self.source, self.start..offset).count()
    }
}

/// Carriage returns that belong to the end of a line.
fn line_ends(text: &str, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    range.filter(|at| bytes[*at] == b'\r' && bytes.get(at + 1) == Some(&b'\n'))
}

fn boundary(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
