//! The statements of a template. Knows nothing of what stands inside an expression.

use minijinja::machinery::Token;

use super::Parser;
use crate::{
    syntax::{
        ast::{At, Caught, Kind, Node, Piece, Target},
        functions::{self, FunctionKind},
    },
    text::nearest,
};

impl Parser<'_> {
    /// Pieces up to a statement that begins with one of `ends`, whose word is taken; its `%}` is not.
    pub(super) fn pieces(&mut self, ends: &[&'static str]) -> Caught<(Vec<Piece>, Option<&'static str>)> {
        let mut pieces = Vec::new();
        loop {
            let at = self.at();
            match self.peek() {
                None => {
                    self.finished()?;
                    return Ok((pieces, None));
                }
                Some(Token::TemplateData(raw)) => {
                    pieces.push(Piece::Raw((*raw).to_owned()));
                    self.next += 1;
                }
                Some(Token::VariableStart) => {
                    self.next += 1;
                    if matches!(self.peek(), Some(Token::VariableEnd)) {
                        return Err(self.fault(at.start..self.at().end, "an expression is missing here"));
                    }
                    let node = self.expr().and_then(|node| {
                        self.expect("`}}`", |token| matches!(token, Token::VariableEnd))?;
                        Ok(node)
                    });
                    // Where the text ends inside, what is missing is the end of this.
                    let node = match node {
                        Err(_) if self.peek().is_none() && self.lexed.is_none() => {
                            return Err(self.fault(at, "this `{{` is not closed").hint("close it with `}}`"));
                        }
                        node => node?,
                    };
                    pieces.push(Piece::Emit { node, at: at.start..self.end() });
                }
                Some(Token::BlockStart) => {
                    self.next += 1;
                    if let Some(end) = self.word().and_then(|word| ends.iter().find(|end| **end == word)) {
                        self.next += 1;
                        return Ok((pieces, Some(end)));
                    }
                    pieces.push(self.deeper(|parser| parser.statement(at.start))?);
                }
                Some(_) => return Err(self.unexpected("text or a statement")),
            }
        }
    }

    fn block_end(&mut self) -> Caught<()> {
        self.expect("`%}`", |token| matches!(token, Token::BlockEnd))
    }

    /// A body and the word that ended it.
    fn body(&mut self, opened: &At, ends: &[&'static str]) -> Caught<(Vec<Piece>, &'static str)> {
        self.block_end()?;
        let (pieces, end) = self.pieces(ends)?;
        match end {
            Some(end) => Ok((pieces, end)),
            None => {
                let closing = ends.last().copied().unwrap_or("end");
                Err(self
                    .fault(opened.clone(), format!("this has no `{{% {closing} %}}`"))
                    .hint(format!("close it with `{{% {closing} %}}`")))
            }
        }
    }

    fn statement(&mut self, start: usize) -> Caught<Piece> {
        let (word, at) = self.name("a statement")?;
        match word {
            "for" => self.for_loop(start, at),
            "if" => self.if_chain(start, at),
            "with" => {
                let mut names = Vec::new();
                while !matches!(self.peek(), Some(Token::BlockEnd)) {
                    if !names.is_empty() {
                        self.expect("`,`", |token| matches!(token, Token::Comma))?;
                    }
                    let target = self.target()?;
                    self.expect("`=`", |token| matches!(token, Token::Assign))?;
                    names.push((target, self.expr()?));
                }
                let (body, _) = self.body(&at, &["endwith"])?;
                self.block_end()?;
                Ok(Piece::With { names, body, at: start..self.end() })
            }
            "set" => {
                let target = self.targets()?;
                if self.skip(|token| matches!(token, Token::Assign)) {
                    let node = self.expr()?;
                    self.block_end()?;
                    return Ok(Piece::Set { target, node, at: start..self.end() });
                }
                let filter = match self.skip(|token| matches!(token, Token::Pipe)) {
                    true => Some(self.filter_chain()?),
                    false => None,
                };
                let (body, _) = self.body(&at, &["endset"])?;
                self.block_end()?;
                Ok(Piece::SetBlock { target, filter, body, at: start..self.end() })
            }
            "filter" => {
                let filter = self.filter_chain()?;
                let (body, _) = self.body(&at, &["endfilter"])?;
                self.block_end()?;
                Ok(Piece::FilterBlock { filter, body, at: start..self.end() })
            }
            "include" | "import" | "from" | "extends" | "block" | "macro" | "call" | "autoescape" | "do" | "break"
            | "continue" | "endblock" | "endmacro" => Err(self
                .fault(at, format!("`{word}` is not part of the runbook language"))
                .hint("templates have `if`, `for`, `set`, `with`, `filter` and `raw`")),
            "else" | "elif" | "endif" | "endfor" | "endset" | "endwith" | "endfilter" | "endraw" => {
                Err(self.fault(at, format!("`{word}` closes nothing here")))
            }
            word => {
                let known = ["for", "if", "with", "set", "filter", "raw", "else", "elif", "endif", "endfor"];
                let hint = match word {
                    "elseif" | "elsif" => Some("elif"),
                    _ => nearest(word, known),
                };
                Err(self
                    .fault(at, format!("unknown statement `{word}`"))
                    .hint_opt(hint.map(|name| format!("did you mean `{name}`?"))))
            }
        }
    }

    fn for_loop(&mut self, start: usize, opened: At) -> Caught<Piece> {
        let first = self.next;
        let target = self.targets()?;
        if !self.skip_word("in") {
            return Err(self.unexpected("`in`"));
        }
        let list = self.deeper(|parser| parser.climb(0))?;
        let filter = if self.skip_word("if") { Some(self.expr()?) } else { None };
        if self.word() == Some("recursive") {
            return Err(self.fault(self.at(), "`recursive` is not part of the runbook language"));
        }
        let (body, end) = self.body(&opened, &["else", "endfor"])?;
        let otherwise = if end == "else" { self.body(&opened, &["endfor"])?.0 } else { Vec::new() };
        self.block_end()?;
        let looks = self.tokens[first..self.next].iter().any(|(token, _)| matches!(token, Token::Ident("loop")));
        Ok(Piece::For { target, list, filter, body, otherwise, looks, at: start..self.end() })
    }

    fn if_chain(&mut self, start: usize, opened: At) -> Caught<Piece> {
        let mut cases = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let test = self.expr()?;
            let (body, end) = self.body(&opened, &["elif", "else", "endif"])?;
            cases.push((test, body));
            match end {
                "elif" => continue,
                "else" => otherwise = self.body(&opened, &["endif"])?.0,
                _ => {}
            }
            self.block_end()?;
            return Ok(Piece::If { cases, otherwise, at: start..self.end() });
        }
    }

    fn filter_chain(&mut self) -> Caught<Node> {
        let mut chain: Option<Box<Node>> = None;
        loop {
            let start = chain.as_ref().map_or(self.at().start, |node| node.at.start);
            let (name, at) = self.name("a filter's name")?;
            let call = self.call(FunctionKind::Filter, name, at)?;
            let node = self.make(start..self.end(), Kind::Filter(chain.take(), Box::new(call)))?;
            if !self.skip(|token| matches!(token, Token::Pipe)) {
                return Ok(node);
            }
            chain = Some(Box::new(node));
        }
    }

    /// One name, or several with commas between them.
    fn targets(&mut self) -> Caught<Target> {
        let start = self.at().start;
        let first = self.target()?;
        if !matches!(self.peek(), Some(Token::Comma)) {
            return Ok(first);
        }
        let mut targets = vec![first];
        while self.skip(|token| matches!(token, Token::Comma)) {
            targets.push(self.target()?);
        }
        Ok(Target::List(targets, start..self.end()))
    }

    fn target(&mut self) -> Caught<Target> {
        if self.skip(|token| matches!(token, Token::ParenOpen)) {
            let inner = self.deeper(Parser::targets)?;
            self.expect("`)`", |token| matches!(token, Token::ParenClose))?;
            return Ok(inner);
        }
        let (name, at) = self.name("a name")?;
        if functions::RESERVED.contains(&name) {
            return Err(self.fault(at, format!("`{name}` is reserved and cannot be set")));
        }
        if matches!(self.peek(), Some(Token::Dot)) {
            return Err(self.fault(at, "only a name can be set, not an attribute of one"));
        }
        Ok(Target::Name(name.to_owned(), at))
    }
}
