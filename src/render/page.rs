//! A document as a tree of blocks, made for every form it is written in. Knows nothing of runbooks, and no form.

use crate::text::one_line;

/// A whole document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// From 1, the title of the document.
    Heading {
        level: usize,
        text: Vec<Inline>,
    },
    Paragraph(Vec<Inline>),
    /// Numbered where it has a start.
    List {
        start: Option<u64>,
        items: Vec<Vec<Block>>,
    },
    Quote(Vec<Block>),
    Code {
        /// A word of ours, never of an author: `bash`, `http`, `mermaid`, `text`.
        language: &'static str,
        text: String,
    },
    Table {
        header: Vec<Vec<Inline>>,
        rows: Vec<Vec<Vec<Inline>>>,
    },
    Rule,
}

/// Texts are raw here: making them harmless is the writer's duty, and its alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Inline {
    Text(String),
    Code(String),
    Emphasis(Vec<Inline>),
    Strong(Vec<Inline>),
    Link {
        /// From [`super::links::safe`], or made by us.
        url: String,
        text: Vec<Inline>,
    },
    /// The line ends here.
    Break,
}

/// A line of text with code in it, put together piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Line(Vec<Inline>);

impl Line {
    pub fn new() -> Line {
        Line::default()
    }

    pub fn of(text: impl Into<String>) -> Line {
        Line::new().text(text)
    }

    /// Begins with a bold label.
    pub fn label(label: impl Into<String>) -> Line {
        Line::new().strong(label)
    }

    pub fn text(mut self, text: impl Into<String>) -> Line {
        self.0.push(Inline::Text(text.into()));
        self
    }

    pub fn code(mut self, text: impl Into<String>) -> Line {
        let text = text.into();
        // An empty piece of code cannot be seen.
        self.0.push(if text.trim().is_empty() { Inline::Text("(empty)".into()) } else { Inline::Code(text) });
        self
    }

    pub fn strong(mut self, text: impl Into<String>) -> Line {
        self.0.push(Inline::Strong(vec![Inline::Text(text.into())]));
        self
    }

    pub fn and(mut self, more: Vec<Inline>) -> Line {
        self.0.extend(more);
        self
    }

    /// Pieces of code with a comma between them.
    pub fn codes<T: Into<String>>(mut self, codes: impl IntoIterator<Item = T>) -> Line {
        for (index, text) in codes.into_iter().enumerate() {
            if index > 0 {
                self = self.text(", ");
            }
            self = self.code(text);
        }
        self
    }

    pub fn done(self) -> Vec<Inline> {
        self.0
    }

    pub fn paragraph(self) -> Block {
        Block::Paragraph(self.0)
    }

    pub fn heading(self, level: usize) -> Block {
        Block::Heading { level, text: self.0 }
    }
}

impl Page {
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// A list of lines; nothing where there are none.
    pub fn lines(&mut self, lines: Vec<Line>) {
        if !lines.is_empty() {
            self.push(Block::List {
                start: None,
                items: lines.into_iter().map(|line| vec![line.paragraph()]).collect(),
            });
        }
    }

    /// A block of code.
    pub fn code(&mut self, language: &'static str, text: impl Into<String>) {
        self.push(Block::Code { language, text: text.into() });
    }
}

/// Text on one line, with white space as a reader sees it and everything else that is not printable made visible.
pub fn flat(text: &str) -> String {
    let text: String = text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }).collect();
    one_line(&text).into_owned()
}

/// The words of a line without their form.
pub fn words(inlines: &[Inline]) -> String {
    let mut text = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(more) | Inline::Code(more) => text.push_str(more),
            Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Link { text: inner, .. } => {
                text.push_str(&words(inner));
            }
            Inline::Break => text.push(' '),
        }
    }
    text
}
