//! Writes a page for a terminal: wrapped, without marks, commands whole so that they can be copied. Knows nothing of what
//! the page is about, nor of the terminal but its width and whether it shows colours.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::page::{Block, Inline, Page, flat, words};
use crate::text::printable;

/// The page, ending in one line feed.
pub fn write(page: &Page, width: usize, color: bool) -> String {
    let mut writer = Writer { out: String::new(), width: width.max(20), color };
    // What stands below the heading of a step is set in.
    let mut prefix = String::new();
    for block in &page.blocks {
        if let Block::Heading { level, text } = block {
            prefix = "   ".repeat(level.saturating_sub(2));
            writer.heading(*level, text);
        } else {
            writer.block(block, &prefix);
        }
    }
    writer.out
}

struct Writer {
    out: String,
    width: usize,
    color: bool,
}

/// What cannot be torn: pieces without a space between them.
#[derive(Default)]
struct Word {
    pieces: Vec<(String, Style)>,
    width: usize,
}

enum Token {
    Word(Word),
    Break,
}

impl Writer {
    fn heading(&mut self, level: usize, text: &[Inline]) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let text = flat(&words(text));
        let style = if level <= 2 { Style::new().bold().underline() } else { Style::new().bold() };
        let start = self.out.len();
        let rest = "   ".repeat(level.saturating_sub(2));
        let first = rest.strip_prefix("   ").unwrap_or_default();
        self.text(&[Inline::Text(text)], first, &rest, style);
        // Without colours a line below says what it is.
        if !self.color && level <= 2 {
            let longest = self.out[start..].lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
            self.out.push_str(&(if level == 1 { "=" } else { "-" }).repeat(longest));
            self.out.push('\n');
        }
    }

    fn block(&mut self, block: &Block, prefix: &str) {
        if !self.out.is_empty() {
            self.line(prefix.trim_end());
        }
        self.inner(block, prefix, prefix);
    }

    /// Blocks with an empty line between them, the first behind a mark.
    fn blocks(&mut self, blocks: &[Block], first: &str, rest: &str) {
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 && !matches!(block, Block::List { .. }) {
                self.line(rest.trim_end());
            }
            self.inner(block, if index == 0 { first } else { rest }, rest);
        }
    }

    fn inner(&mut self, block: &Block, first: &str, rest: &str) {
        match block {
            Block::Heading { text, .. } => self.text(text, first, rest, Style::new().bold()),
            Block::Paragraph(text) => self.text(text, first, rest, Style::new()),
            Block::List { start, items } => {
                for (index, item) in items.iter().enumerate() {
                    let mark = match start {
                        Some(start) => format!("{}. ", start.saturating_add(index as u64)),
                        None => "• ".to_owned(),
                    };
                    let before = if index == 0 { first } else { rest };
                    let below = format!("{rest}{}", " ".repeat(mark.width()));
                    self.blocks(item, &format!("{before}{mark}"), &below);
                }
            }
            Block::Quote(inner) => self.blocks(inner, &format!("{first}│ "), &format!("{rest}│ ")),
            Block::Code { text, .. } => {
                let text = printable(text);
                for (index, line) in text.trim_end_matches('\n').split('\n').enumerate() {
                    let before = if index == 0 { first } else { rest };
                    self.line(format!("{before}    {}", line.replace('\t', "    ")).trim_end());
                }
            }
            Block::Table { header, rows } => self.table(header, rows, first, rest),
            Block::Rule => self.line(&format!("{first}{}", "─".repeat(self.room(first)))),
        }
    }

    /// A row is a paragraph of its own: tables of prose do not fit a terminal.
    fn table(&mut self, header: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], first: &str, rest: &str) {
        for (index, row) in rows.iter().enumerate() {
            let before = if index == 0 { first } else { rest };
            let head = row.first().map(Vec::as_slice).unwrap_or_default();
            self.text(head, before, rest, Style::new().bold());
            let below = format!("{rest}  ");
            for (title, cell) in header.iter().zip(row).skip(1) {
                if cell.is_empty() || words(cell).trim().is_empty() {
                    continue;
                }
                let mut line = vec![Inline::Text(format!("{}: ", words(title)))];
                line.extend(cell.iter().cloned());
                self.text(&line, &below, &format!("{below}  "), Style::new());
            }
        }
    }

    fn room(&self, prefix: &str) -> usize {
        self.width.saturating_sub(prefix.width()).max(10)
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn text(&mut self, inlines: &[Inline], first: &str, rest: &str, style: Style) {
        let mut tokens = Vec::new();
        let mut word = Word::default();
        self.tokens(inlines, style, &mut word, &mut tokens);
        finish(&mut word, &mut tokens);
        let mut line = String::new();
        let mut used = 0;
        let mut prefix = first;
        for token in tokens {
            let room = self.room(prefix);
            match token {
                Token::Break => {
                    self.line(format!("{prefix}{line}").trim_end());
                    line.clear();
                    used = 0;
                    prefix = rest;
                }
                Token::Word(word) => {
                    if used > 0 && used + 1 + word.width > room {
                        self.line(&format!("{prefix}{line}"));
                        line.clear();
                        used = 0;
                        prefix = rest;
                    }
                    if used > 0 {
                        line.push(' ');
                        used += 1;
                    }
                    used += word.width;
                    for (text, style) in word.pieces {
                        self.paint(&text, style, &mut line);
                    }
                }
            }
        }
        if !line.is_empty() {
            self.line(&format!("{prefix}{line}"));
        }
    }

    fn paint(&self, text: &str, style: Style, line: &mut String) {
        if self.color && style != Style::new() {
            line.push_str(&format!("{style}{text}{style:#}"));
        } else {
            line.push_str(text);
        }
    }

    fn tokens(&self, inlines: &[Inline], style: Style, word: &mut Word, tokens: &mut Vec<Token>) {
        for inline in inlines {
            match inline {
                Inline::Text(text) => take(text, style, word, tokens),
                Inline::Code(text) => take(text, style.fg_color(Some(AnsiColor::Cyan.into())), word, tokens),
                Inline::Emphasis(inner) => self.tokens(inner, style.italic(), word, tokens),
                Inline::Strong(inner) => self.tokens(inner, style.bold(), word, tokens),
                Inline::Link { url, text } => {
                    self.tokens(text, style, word, tokens);
                    let shown = words(text);
                    if shown.trim_end_matches('/') != url.trim_end_matches('/') {
                        take(&format!(" ({url})"), style.dimmed(), word, tokens);
                    }
                }
                Inline::Break => {
                    finish(word, tokens);
                    tokens.push(Token::Break);
                }
            }
        }
    }
}

fn finish(word: &mut Word, tokens: &mut Vec<Token>) {
    if !word.pieces.is_empty() {
        tokens.push(Token::Word(std::mem::take(word)));
    }
}

/// Splits text at its spaces.
fn take(text: &str, style: Style, word: &mut Word, tokens: &mut Vec<Token>) {
    for c in flat(text).chars() {
        if c == ' ' {
            finish(word, tokens);
            continue;
        }
        match word.pieces.last_mut() {
            Some((piece, of)) if *of == style => piece.push(c),
            _ => word.pieces.push((c.to_string(), style)),
        }
        word.width += c.width().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{foreign::markdown, page::Line};

    fn shown(text: &str, width: usize) -> String {
        write(&Page { blocks: markdown(text) }, width, false)
    }

    #[test]
    fn text_is_wrapped_and_code_is_not() {
        assert_eq!(
            shown(
                "one two three four five six seven\n\n- a point that goes on and on\n\n```\nleave  this line as it is, whatever its length\n```",
                24
            ),
            "one two three four five\nsix seven\n\n• a point that goes on\n  and on\n\n    leave  this line as it is, whatever its length\n"
        );
        assert_eq!(shown("漢字漢字 漢字漢字 漢字漢字", 20), "漢字漢字 漢字漢字\n漢字漢字\n");
    }

    #[test]
    fn nothing_moves_the_cursor() {
        let page = Page {
            blocks: vec![
                Line::of("a\x1b[2J").code("b\x1b]0;x\x07").paragraph(),
                Block::Code { language: "text", text: "c\x1b[2J\r\nd".into() },
            ],
        };
        let shown = write(&page, 80, false);
        assert!(!shown.contains(['\x1b', '\r', '\x07']), "{shown:?}");
    }

    #[test]
    fn colours_are_asked_for() {
        let page = Page { blocks: vec![Line::label("Tools:").text(" ").code("git").paragraph()] };
        assert_eq!(write(&page, 80, false), "Tools: git\n");
        assert_eq!(write(&page, 80, true), "\x1b[1mTools:\x1b[0m \x1b[36mgit\x1b[0m\n");
    }
}
