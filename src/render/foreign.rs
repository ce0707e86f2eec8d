//! Markdown and templates that an author wrote, as pieces of a page: nothing of their own syntax survives, so nothing in
//! them can mean more than a page can say. Knows nothing of the form the page is written in.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TextMergeStream};

use super::{
    links,
    page::{Block, Inline},
};

/// Deeper nesting than this is laid flat.
const DEPTH: usize = 20;
/// Brackets around the number of a template expression while Markdown is parsed.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// Markdown as blocks. HTML becomes text, headings become bold lines, pictures become links, and links that go anywhere
/// but http, https, mail or a place in the document become text.
pub fn markdown(text: &str) -> Vec<Block> {
    parse(text, &[])
}

/// As [`markdown`], for a template: its expressions stand as they are written, as code.
pub fn markdown_template(text: &str) -> Vec<Block> {
    let (protected, held) = protect(text);
    parse(&protected, &held)
}

/// A template that is no Markdown, on one line.
pub fn line_template(text: &str) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (code, piece) in pieces(text) {
        let piece = if code { collapsed(piece) } else { piece.replace('\n', " ") };
        inlines.push(if code { Inline::Code(piece) } else { Inline::Text(piece) });
    }
    inlines
}

/// A template that is no Markdown, with its own lines and paragraphs.
pub fn plain_template(text: &str) -> Vec<Block> {
    let (protected, held) = protect(text.trim());
    let mut blocks = Vec::new();
    let mut lines: Vec<Inline> = Vec::new();
    for line in protected.lines().chain([""]) {
        if line.trim().is_empty() {
            if !lines.is_empty() {
                blocks.push(Block::Paragraph(std::mem::take(&mut lines)));
            }
            continue;
        }
        if !lines.is_empty() {
            lines.push(Inline::Break);
        }
        running(line.trim(), &held, true, &mut lines);
    }
    blocks
}

/// The first sentence of a Markdown text.
pub fn first_sentence(text: &str) -> Vec<Inline> {
    let first = markdown(text).into_iter().find_map(|block| match block {
        Block::Paragraph(inlines) => Some(inlines),
        _ => None,
    });
    let mut sentence = Vec::new();
    for inline in first.unwrap_or_default() {
        match inline {
            Inline::Text(text) => {
                if let Some(end) = sentence_end(&text) {
                    sentence.push(Inline::Text(text[..end].to_owned()));
                    return sentence;
                }
                sentence.push(Inline::Text(text));
            }
            Inline::Break => sentence.push(Inline::Text(" ".into())),
            other => sentence.push(other),
        }
    }
    sentence
}

/// Behind the full stop, unless it belongs to an abbreviation such as "e.g.".
fn sentence_end(text: &str) -> Option<usize> {
    text.char_indices().filter(|(_, c)| matches!(c, '.' | '!' | '?')).find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let word = text[..at].rsplit(' ').next().unwrap_or("");
        let short = word.contains('.') || word.chars().count() == 1;
        (rest.starts_with(' ') && !short).then_some(at + 1)
    })
}

/// Tells template expressions, statements and comments from the text around them.
fn pieces(text: &str) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('{').map(|found| at + found) {
        let close = match text.as_bytes().get(found + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                at = found + 1;
                continue;
            }
        };
        let Some(end) = text[found + 2..].find(close).map(|end| found + 2 + end + 2) else {
            at = found + 2;
            continue;
        };
        if from < found {
            pieces.push((false, &text[from..found]));
        }
        pieces.push((true, &text[found..end]));
        from = end;
        at = end;
    }
    if from < text.len() {
        pieces.push((false, &text[from..]));
    }
    pieces
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts a number in the place of every template expression, so that Markdown sees a word where one will stand.
fn protect(text: &str) -> (String, Vec<String>) {
    let mut held = Vec::new();
    let mut protected = String::with_capacity(text.len());
    for (code, piece) in pieces(text) {
        if code {
            protected.push_str(&format!("{OPEN}{}{CLOSE}", held.len()));
            held.push(collapsed(piece));
        } else {
            // The brackets themselves are nobody else's.
            protected.push_str(&piece.replace(OPEN, "\\\\u{e000}").replace(CLOSE, "\\\\u{e001}"));
        }
    }
    (protected, held)
}

/// Text with numbers, as text with expressions.
fn restored(text: &str, held: &[String]) -> String {
    let mut whole = String::with_capacity(text.len());
    for (code, piece) in numbered(text, held) {
        whole.push_str(if code { &held[number(piece)] } else { piece });
    }
    whole
}

/// Tells the numbers of expressions from the text around them.
fn numbered<'a>(text: &'a str, held: &[String]) -> Vec<(bool, &'a str)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(OPEN) {
        let Some(close) = rest[open..].find(CLOSE).map(|close| open + close + CLOSE.len_utf8()) else { break };
        if number(&rest[open..close]) >= held.len() {
            break;
        }
        if open > 0 {
            pieces.push((false, &rest[..open]));
        }
        pieces.push((true, &rest[open..close]));
        rest = &rest[close..];
    }
    if !rest.is_empty() {
        pieces.push((false, rest));
    }
    pieces
}

fn number(piece: &str) -> usize {
    piece.trim_matches([OPEN, CLOSE]).parse().unwrap_or(usize::MAX)
}

/// Running text: expressions as code, addresses as links.
fn running(text: &str, held: &[String], link: bool, into: &mut Vec<Inline>) {
    let found = if link { links::find(text) } else { vec![(false, text)] };
    for (address, piece) in found {
        if address {
            let whole = restored(piece, held);
            into.push(match links::safe(piece) {
                Some(url) if whole == piece => Inline::Link { url, text: vec![Inline::Text(whole)] },
                _ => Inline::Code(whole),
            });
            continue;
        }
        for (code, piece) in numbered(piece, held) {
            into.push(if code { Inline::Code(held[number(piece)].clone()) } else { Inline::Text(piece.to_owned()) });
        }
    }
}

fn parse(text: &str, held: &[String]) -> Vec<Block> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut builder = Builder { held, stack: vec![Frame::new(Holds::Blocks)] };
    for event in TextMergeStream::new(Parser::new_ext(text, options)) {
        builder.take(event);
    }
    while builder.stack.len() > 1 {
        builder.close();
    }
    builder.stack.pop().map(Frame::into_blocks).unwrap_or_default()
}

/// What a part of the document that is not complete yet will be.
enum Holds {
    Blocks,
    Item,
    Quote,
    List(Option<u64>),
    Paragraph,
    Heading,
    Emphasis,
    Strong,
    /// Transparent: strike-through, and whatever else there is no word for.
    Plain,
    Link(String),
    Code,
    Html,
    Table,
    Row {
        head: bool,
    },
    Cell,
}

struct Frame {
    holds: Holds,
    blocks: Vec<Block>,
    inlines: Vec<Inline>,
    items: Vec<Vec<Block>>,
    text: String,
    header: Vec<Vec<Inline>>,
    rows: Vec<Vec<Vec<Inline>>>,
    cells: Vec<Vec<Inline>>,
}

impl Frame {
    fn new(holds: Holds) -> Frame {
        Frame {
            holds,
            blocks: Vec::new(),
            inlines: Vec::new(),
            items: Vec::new(),
            text: String::new(),
            header: Vec::new(),
            rows: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Text right inside an item of a tight list is a paragraph, too.
    fn flush(&mut self) {
        if !self.inlines.is_empty() {
            self.blocks.push(Block::Paragraph(std::mem::take(&mut self.inlines)));
        }
    }

    fn add(&mut self, block: Block) {
        self.flush();
        self.blocks.push(block);
    }

    fn into_blocks(mut self) -> Vec<Block> {
        self.flush();
        self.blocks
    }
}

struct Builder<'a> {
    held: &'a [String],
    stack: Vec<Frame>,
}

impl Builder<'_> {
    /// The innermost part; the outermost one is never closed while events come.
    fn top(&mut self) -> &mut Frame {
        let last = self.stack.len() - 1;
        &mut self.stack[last]
    }

    fn take(&mut self, event: Event<'_>) {
        let held = self.held;
        match event {
            Event::Start(tag) => {
                let frame = Frame::new(self.opens(tag));
                self.stack.push(frame);
            }
            Event::End(_) => self.close(),
            Event::Text(text) if matches!(self.top().holds, Holds::Code) => {
                let text = restored(&text, held);
                self.top().text.push_str(&text);
            }
            Event::Text(text) => {
                let link = !self.stack.iter().any(|frame| matches!(frame.holds, Holds::Link(_)));
                let mut inlines = Vec::new();
                running(&text, held, link, &mut inlines);
                self.top().inlines.extend(inlines);
            }
            Event::Code(code) | Event::InlineMath(code) | Event::DisplayMath(code) => {
                let code = restored(&code, held);
                self.top().inlines.push(Inline::Code(code));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let mut inlines = Vec::new();
                for line in html.lines() {
                    running(line, held, false, &mut inlines);
                    if html.ends_with('\n') {
                        inlines.push(Inline::Break);
                    }
                }
                self.top().inlines.extend(inlines);
            }
            Event::SoftBreak => self.top().inlines.push(Inline::Text(" ".into())),
            Event::HardBreak => self.top().inlines.push(Inline::Break),
            Event::Rule => self.top().add(Block::Rule),
            Event::TaskListMarker(done) => {
                self.top().inlines.push(Inline::Text(if done { "☑ " } else { "☐ " }.into()));
            }
            // Not asked for.
            Event::FootnoteReference(_) => {}
        }
    }

    fn opens(&self, tag: Tag<'_>) -> Holds {
        match tag {
            Tag::Paragraph => Holds::Paragraph,
            Tag::Heading { .. } => Holds::Heading,
            Tag::BlockQuote(_) => Holds::Quote,
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => Holds::Code,
            Tag::HtmlBlock => Holds::Html,
            Tag::List(start) => Holds::List(start),
            Tag::Item => Holds::Item,
            Tag::Table(_) => Holds::Table,
            Tag::TableHead => Holds::Row { head: true },
            Tag::TableRow => Holds::Row { head: false },
            Tag::TableCell => Holds::Cell,
            Tag::Emphasis => Holds::Emphasis,
            Tag::Strong => Holds::Strong,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => Holds::Link(dest_url.to_string()),
            _ => Holds::Plain,
        }
    }

    /// The innermost part is complete and becomes part of the one around it.
    fn close(&mut self) {
        if self.stack.len() < 2 {
            return;
        }
        let deep = self.stack.len() > DEPTH;
        let Some(mut frame) = self.stack.pop() else { return };
        let held = self.held;
        let top = self.top();
        match frame.holds {
            Holds::Item => top.items.push(frame.into_blocks()),
            Holds::List(_) if deep => frame.items.into_iter().flatten().for_each(|block| top.add(block)),
            Holds::List(start) => top.add(Block::List { start, items: frame.items }),
            Holds::Quote if !deep => top.add(Block::Quote(frame.into_blocks())),
            Holds::Blocks | Holds::Quote => frame.into_blocks().into_iter().for_each(|block| top.add(block)),
            Holds::Paragraph | Holds::Html => top.add(Block::Paragraph(frame.inlines)),
            // The headings are the document's own.
            Holds::Heading => top.add(Block::Paragraph(vec![Inline::Strong(frame.inlines)])),
            Holds::Code => top.add(Block::Code { language: "text", text: frame.text }),
            Holds::Emphasis if !deep => top.inlines.push(Inline::Emphasis(frame.inlines)),
            Holds::Strong if !deep => top.inlines.push(Inline::Strong(frame.inlines)),
            Holds::Emphasis | Holds::Strong | Holds::Plain => {
                top.inlines.append(&mut frame.inlines);
                top.blocks.append(&mut frame.blocks);
            }
            Holds::Link(address) => link(&address, held, frame.inlines, &mut top.inlines),
            Holds::Cell => top.cells.push(frame.inlines),
            Holds::Row { head: true } => top.header = frame.cells,
            Holds::Row { head: false } => top.rows.push(frame.cells),
            Holds::Table => top.add(Block::Table { header: frame.header, rows: frame.rows }),
        }
    }
}

/// A link where it may be one; otherwise its words, and its address as something to be read.
fn link(address: &str, held: &[String], text: Vec<Inline>, into: &mut Vec<Inline>) {
    let whole = restored(address, held);
    // Where a value will stand, nobody can say yet where the link goes.
    match links::safe(address).filter(|_| whole == address) {
        Some(url) => into.push(Inline::Link { url, text }),
        None => {
            let shown = super::page::words(&text);
            into.extend(text);
            if !whole.trim().is_empty() && shown != whole {
                into.extend([Inline::Text(" (".into()), Inline::Code(whole), Inline::Text(")".into())]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{
        markdown::write,
        page::{Page, words},
    };

    fn through(text: &str) -> String {
        write(&Page { blocks: markdown_template(text) })
    }

    #[test]
    fn good_markdown_stays_what_it_is() {
        for text in [
            "A *short* **text** with `code` and [a link](https://example.org/a).\n",
            "- one\n- two\n  - inner\n",
            "1. first\n2. second\n",
            "> quoted\n",
            "```text\ncode\n```\n",
            "| a | b |\n| --- | --- |\n| 1 | `x` |\n",
            "one\\\ntwo\n",
        ] {
            assert_eq!(through(text), text);
        }
    }

    #[test]
    fn the_rest_becomes_text() {
        for (text, written) in [
            ("# Loud", "**Loud**\n"),
            ("a <b>c</b>", "a \\<b>c\\</b>\n"),
            ("<script>\nalert(1)\n</script>", "\\<script>\\\nalert(1)\\\n\\</script>\n"),
            ("[x](javascript:alert(1))", "x (`javascript:alert(1)`)\n"),
            ("![x](https://example.org/a.png)", "[x](https://example.org/a.png)\n"),
            ("<https://example.org>", "[https://example.org](https://example.org/)\n"),
            ("- [ ] to do\n- [x] done", "- ☐ to do\n- ☑ done\n"),
            ("~~gone~~", "gone\n"),
        ] {
            assert_eq!(through(text), written, "{text}");
        }
    }

    #[test]
    fn expressions_stand_as_written() {
        assert_eq!(through("Promote {{ version }} now"), "Promote `{{ version }}` now\n");
        assert_eq!(through("**{{ a * b * c }}**"), "**`{{ a * b * c }}`**\n");
        assert_eq!(through("`git tag {{ version }}`"), "`git tag {{ version }}`\n");
        assert_eq!(through("see https://h.example/{{ a }}/x."), "see `https://h.example/{{ a }}/x`.\n");
        assert_eq!(through("[job](https://h.example/{{ a }})"), "job (`https://h.example/{{ a }}`)\n");
        assert_eq!(through("{{ open"), "{{ open\n");
        assert_eq!(through("\u{e000}0\u{e001} {{ a }}"), "\\\\u{e000}0\\\\u{e001} `{{ a }}`\n");
    }

    #[test]
    fn deep_nesting_is_laid_flat() {
        let quotes = format!("{}deep", "> ".repeat(5_000));
        assert!(through(&quotes).contains("deep"));
        let stars = format!("{}deep{}", "*a ".repeat(2_000), " b*".repeat(2_000));
        assert!(through(&stars).contains("deep"));
    }

    #[test]
    fn a_first_sentence_ends_at_its_stop() {
        for (text, first) in [
            ("One thing. Another.", "One thing."),
            ("Stops, e.g. for a while. Then on.", "Stops, e.g. for a while."),
            ("Use v3.20 here\nand there. Then", "Use v3.20 here and there."),
            ("no stop\n\nmore", "no stop"),
            ("", ""),
        ] {
            assert_eq!(words(&first_sentence(text)), first);
        }
    }
}
