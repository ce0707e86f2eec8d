//! From the text of an expression or template to its tree. The words come from minijinja's tokenizer, so that strings,
//! whitespace control, `raw` and comments are its own; the tree is built here, because minijinja's parser neither
//! keeps exact places nor bounds how deep `not not …` may go. Knows nothing of scopes and values' types.

mod calls;
mod statements;

use std::{cell::OnceCell, collections::HashSet};

use minijinja::{
    machinery::{Token, Tokenizer},
    syntax::SyntaxConfig,
};

use super::{
    ast::{At, Call, Caught, CompareOp, Fault, Kind, MAX_DEPTH, MathOp, Node, Piece},
    functions::FunctionKind,
};
use crate::value::Value;

const EXPRESSION: &str = "bad-expression";
const TEMPLATE: &str = "bad-template";

/// One whole expression.
pub(super) fn expression(text: &str) -> Caught<Node> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Fault::new(EXPRESSION, 0..text.len(), "an expression is missing here"));
    }
    if trimmed.starts_with("{{") || trimmed.starts_with("{%") {
        let start = text.len() - text.trim_start().len();
        let fault = Fault::new(EXPRESSION, start..start + 2, "this field is already an expression");
        let inner = trimmed.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).map(str::trim);
        return Err(match inner {
            Some(inner) if !inner.is_empty() && !inner.contains("{{") => {
                fault.hint(format!("remove the braces: `{inner}`"))
            }
            _ => fault.hint("remove the braces; join texts with `~`"),
        });
    }
    let mut parser = Parser::new(text, true)?;
    let node = parser.expr()?;
    match parser.peek() {
        None => parser.finished().map(|()| node),
        Some(_) => Err(parser.unexpected("an operator or the end")),
    }
}

/// A whole template.
pub(super) fn template(text: &str) -> Caught<Vec<Piece>> {
    let mut parser = Parser::new(text, false)?;
    let (pieces, _) = parser.pieces(&[])?;
    parser.finished()?;
    Ok(pieces)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token<'t>, At)>,
    next: usize,
    /// Why the text could not be cut into words any further.
    lexed: Option<(At, String)>,
    depth: u16,
    code: &'static str,
}

thread_local! {
    static SYNTAX: OnceCell<SyntaxConfig> = const { OnceCell::new() };
}

fn syntax() -> SyntaxConfig {
    SYNTAX.with(|cell| {
        cell.get_or_init(|| {
            let mut builder = SyntaxConfig::builder();
            builder.keep_trailing_newline(true);
            // The builder fails on bad delimiters only, and these are the standard ones.
            builder.build().unwrap_or_default()
        })
        .clone()
    })
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, expression: bool) -> Caught<Parser<'t>> {
        let code = if expression { EXPRESSION } else { TEMPLATE };
        // Places are 32 bits wide in minijinja.
        if text.len() > 16 << 20 {
            return Err(Fault::new("too-large", 0..text.len(), "this text is larger than 16 MiB"));
        }
        let mut tokenizer = Tokenizer::new(text, "", expression, syntax());
        let mut tokens: Vec<(Token<'t>, At)> = Vec::new();
        let mut lexed = None;
        loop {
            match tokenizer.next_token() {
                Ok(Some((token, span))) => tokens.push((token, span.start_offset as usize..span.end_offset as usize)),
                Ok(None) => break,
                Err(error) => {
                    let from = tokens.last().map_or(0, |(_, at)| at.end);
                    lexed = Some(stray(text, from, error.detail().unwrap_or("it cannot be read")));
                    break;
                }
            }
        }
        Ok(Parser { text, tokens, next: 0, lexed, depth: 0, code })
    }

    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn at(&self) -> At {
        self.tokens.get(self.next).map_or(self.text.len()..self.text.len(), |(_, at)| at.clone())
    }

    /// Where the last word that was taken ends.
    fn end(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |(_, at)| at.end)
    }

    fn skip(&mut self, wanted: impl Fn(&Token<'t>) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.next += usize::from(found);
        found
    }

    fn word(&self) -> Option<&'t str> {
        match self.peek() {
            Some(Token::Ident(word)) => Some(word),
            _ => None,
        }
    }

    fn skip_word(&mut self, wanted: &str) -> bool {
        let found = self.word() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn fault(&self, at: At, message: impl Into<String>) -> Box<Fault> {
        Fault::new(self.code, at, message)
    }

    fn finished(&self) -> Caught<()> {
        match &self.lexed {
            None => Ok(()),
            Some((at, message)) => {
                let fault = self.fault(at.clone(), message.clone());
                let rest = &self.text[at.start..];
                let hint = match rest.chars().next() {
                    Some('&') => Some("write `and`"),
                    Some('!') => Some("write `not`"),
                    Some('?') => Some("write `a if condition else b`"),
                    Some('$') => Some("names stand without `$` here"),
                    Some('`') => Some("write texts in single or double quotes"),
                    Some('^') => Some("a power is written `**`"),
                    Some(c @ ('\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}')) => {
                        return Err(fault.hint(format!("`{c}` is a typographic quote; write ' or \"")));
                    }
                    Some('\'' | '"') => {
                        Some("write the same quote at its end; inside it a backslash stands before one")
                    }
                    Some('{') if rest.starts_with("{#") => {
                        Some("write `#}` where the comment ends; the two characters themselves are `{{ '{#' }}`")
                    }
                    Some('{') => Some("write `{% endraw %}` where templates begin again"),
                    _ => None,
                };
                Err(fault.hint_opt(hint.map(str::to_owned)))
            }
        }
    }

    fn unexpected(&self, wanted: &str) -> Box<Fault> {
        let Some(token) = self.peek() else {
            if let Err(fault) = self.finished() {
                return fault;
            }
            let at = self.text.trim_end().len();
            return self.fault(at..at, format!("it ends where {wanted} should follow"));
        };
        let fault = self.fault(self.at(), format!("unexpected {token}, expected {wanted}"));
        let before = self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map(|(token, _)| token);
        let hint = match (before, token) {
            (_, Token::Assign) => Some("comparing is written `==`"),
            (Some(Token::Pipe), Token::Pipe) => Some("write `or`"),
            (_, Token::Ident("AND")) => Some("write `and`"),
            (_, Token::Ident("OR")) => Some("write `or`"),
            (_, Token::Ident("then")) => Some("write `a if condition else b`"),
            (_, Token::VariableEnd) if self.code == EXPRESSION => {
                Some("this field is already an expression; remove the braces")
            }
            (_, Token::BraceClose) if self.text[self.at().start..].starts_with("}}") => {
                Some("an opening `(`, `[` or `{` before it is not closed")
            }
            _ => None,
        };
        fault.hint_opt(hint.map(str::to_owned))
    }

    fn expect(&mut self, wanted: &str, test: impl Fn(&Token<'t>) -> bool) -> Caught<()> {
        if self.skip(test) { Ok(()) } else { Err(self.unexpected(wanted)) }
    }

    fn name(&mut self, wanted: &str) -> Caught<(&'t str, At)> {
        let at = self.at();
        match self.word() {
            Some(word) => {
                self.next += 1;
                Ok((word, at))
            }
            None => Err(self.unexpected(wanted)),
        }
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Caught<T>) -> Caught<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep(self.at()));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn too_deep(&self, at: At) -> Box<Fault> {
        self.fault(at, "this is nested too deeply").hint("split it with a `set` step")
    }

    fn make(&self, at: At, kind: Kind) -> Caught<Node> {
        let of = |node: &Node| node.depth;
        let call = |call: &Call| {
            call.args.iter().flatten().map(of).chain(call.rest.iter().map(|(_, node)| node.depth)).max().unwrap_or(0)
        };
        let below = match &kind {
            Kind::Const(_) | Kind::Var(_) => 0,
            Kind::List(items) => items.iter().map(of).max().unwrap_or(0),
            Kind::Map(entries) => entries.iter().map(|(key, value)| key.depth.max(value.depth)).max().unwrap_or(0),
            Kind::Attr(node, ..) | Kind::Not(node) | Kind::Negate(node) => node.depth,
            Kind::Item(left, right) | Kind::Math(_, left, right) | Kind::And(left, right) | Kind::Or(left, right) => {
                left.depth.max(right.depth)
            }
            Kind::Slice(node, bounds) => {
                bounds.iter().flatten().map(|node| node.depth).max().unwrap_or(0).max(node.depth)
            }
            Kind::Compare(first, rest) => rest.iter().map(|(_, node)| node.depth).max().unwrap_or(0).max(first.depth),
            Kind::If { test, yes, no } => test.depth.max(yes.depth).max(no.as_ref().map_or(0, |node| node.depth)),
            Kind::Filter(subject, args) => subject.as_ref().map_or(0, |node| node.depth).max(call(args)),
            Kind::Test(subject, args) => subject.depth.max(call(args)),
            Kind::Call(args) => call(args),
        };
        if below >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        Ok(Node { at, kind, depth: below + 1 })
    }

    // Expressions, loosest first: if, or, and, not, comparisons, + -, ~, * / // %, **, then - and what follows a value.

    fn expr(&mut self) -> Caught<Node> {
        self.deeper(|parser| {
            let mut node = parser.climb(0)?;
            while parser.skip_word("if") {
                let test = parser.climb(0)?;
                let no = if parser.skip_word("else") { Some(Box::new(parser.expr()?)) } else { None };
                let at = node.at.start..parser.end();
                node = parser.make(at, Kind::If { test: Box::new(test), yes: Box::new(node), no })?;
            }
            Ok(node)
        })
    }

    fn climb(&mut self, least: u8) -> Caught<Node> {
        let mut left = if self.word() == Some("not") {
            let start = self.at().start;
            if least > 2 {
                return Err(self.unexpected("a value").hint("put `not …` in parentheses"));
            }
            self.next += 1;
            let node = self.deeper(|parser| parser.climb(2))?;
            let at = start..self.end();
            self.make(at, Kind::Not(Box::new(node)))?
        } else {
            self.unary()?
        };
        while let Some((level, operator)) = self.operator() {
            if level < least {
                break;
            }
            self.next += 1;
            let join = match operator {
                Operator::Compare(first) => {
                    left = self.comparison(left, first)?;
                    continue;
                }
                Operator::Join(join) => join,
            };
            let right = Box::new(self.climb(level + 1)?);
            let at = left.at.start..right.at.end;
            let left_side = Box::new(left);
            let kind = match join {
                Join::Or => Kind::Or(left_side, right),
                Join::And => Kind::And(left_side, right),
                Join::Math(op) => Kind::Math(op, left_side, right),
            };
            left = self.make(at, kind)?;
        }
        Ok(left)
    }

    fn comparison(&mut self, first: Node, mut op: CompareOp) -> Caught<Node> {
        let mut rest = Vec::new();
        loop {
            if op == CompareOp::NotIn {
                // Its second word, which `operator` has seen.
                self.next += 1;
            }
            if matches!(op, CompareOp::Eq) && matches!(self.peek(), Some(Token::Assign)) {
                return Err(self.unexpected("a value").hint("comparing is written `==`"));
            }
            rest.push((op, self.climb(4)?));
            match self.operator() {
                Some((_, Operator::Compare(next))) => {
                    op = next;
                    self.next += 1;
                }
                _ => break,
            }
        }
        let at = first.at.start..self.end();
        self.make(at, Kind::Compare(Box::new(first), rest))
    }

    fn operator(&self) -> Option<(u8, Operator)> {
        let compare = |op| Some((3, Operator::Compare(op)));
        let math = |level, op| Some((level, Operator::Join(Join::Math(op))));
        match self.peek()? {
            Token::Ident("or") => Some((0, Operator::Join(Join::Or))),
            Token::Ident("and") => Some((1, Operator::Join(Join::And))),
            Token::Ident("in") => compare(CompareOp::In),
            Token::Ident("not") => match self.tokens.get(self.next + 1) {
                Some((Token::Ident("in"), _)) => compare(CompareOp::NotIn),
                _ => None,
            },
            Token::Eq => compare(CompareOp::Eq),
            Token::Ne => compare(CompareOp::Ne),
            Token::Lt => compare(CompareOp::Lt),
            Token::Lte => compare(CompareOp::Le),
            Token::Gt => compare(CompareOp::Gt),
            Token::Gte => compare(CompareOp::Ge),
            Token::Plus => math(4, MathOp::Add),
            Token::Minus => math(4, MathOp::Sub),
            Token::Tilde => math(5, MathOp::Concat),
            Token::Mul => math(6, MathOp::Mul),
            Token::Div => math(6, MathOp::Div),
            Token::FloorDiv => math(6, MathOp::FloorDiv),
            Token::Mod => math(6, MathOp::Rem),
            Token::Pow => math(7, MathOp::Pow),
            _ => None,
        }
    }

    fn unary(&mut self) -> Caught<Node> {
        let node = self.negated()?;
        self.filters(node)
    }

    /// A minus applies to the value with its attributes; filters and tests apply to the negated value.
    fn negated(&mut self) -> Caught<Node> {
        let start = self.at().start;
        if self.skip(|token| matches!(token, Token::Minus)) {
            let node = self.deeper(Parser::negated)?;
            let at = start..self.end();
            return match node.kind {
                Kind::Const(Value::Int(number)) => self.make(at, Kind::Const(Value::Int(-number))),
                Kind::Const(Value::Float(number)) => self.make(at, Kind::Const(Value::Float(-number))),
                _ => self.make(at, Kind::Negate(Box::new(node))),
            };
        }
        let node = self.primary()?;
        self.postfix(node)
    }

    fn primary(&mut self) -> Caught<Node> {
        let at = self.at();
        let constant = |value| Kind::Const(value);
        let kind = match self.peek() {
            Some(Token::Ident("true" | "True")) => constant(Value::Bool(true)),
            Some(Token::Ident("false" | "False")) => constant(Value::Bool(false)),
            Some(Token::Ident("none" | "None")) => constant(Value::None),
            Some(Token::Ident(name @ ("null" | "Null" | "NULL" | "nil" | "undefined" | "TRUE" | "FALSE" | "NONE"))) => {
                let right = match *name {
                    "TRUE" => "true",
                    "FALSE" => "false",
                    _ => "none",
                };
                return Err(self.fault(at, format!("`{name}` is no name")).hint(format!("write `{right}`")));
            }
            Some(Token::Ident(word @ ("and" | "or" | "in" | "is" | "if" | "else"))) => {
                return Err(self.unexpected(&format!("a value before `{word}`")));
            }
            Some(Token::Ident(name)) => {
                let name = (*name).to_owned();
                self.next += 1;
                if matches!(self.peek(), Some(Token::ParenOpen)) {
                    let call = self.call(FunctionKind::Function, &name, at.clone())?;
                    return self.make(at.start..self.end(), Kind::Call(Box::new(call)));
                }
                if name == "steps" && !matches!(self.peek(), Some(Token::Dot | Token::BracketOpen)) {
                    return Err(self
                        .fault(at, "`steps` needs the id of a step")
                        .hint("write `steps[\"the-id\"].status`"));
                }
                return self.make(at, Kind::Var(name));
            }
            Some(Token::Str(_) | Token::String(_)) => return self.string(),
            Some(Token::Int(number)) => match i64::try_from(*number) {
                Ok(number) => constant(Value::Int(number)),
                Err(_) => return Err(self.fault(at, "this number is too large")),
            },
            Some(Token::Int128(_)) => return Err(self.fault(at, "this number is too large")),
            Some(Token::Float(number)) if number.is_finite() => constant(Value::Float(*number)),
            Some(Token::Float(_)) => return Err(self.fault(at, "this number is too large")),
            Some(Token::ParenOpen) => return self.parenthesised(),
            Some(Token::BracketOpen) => return self.list(),
            Some(Token::BraceOpen) => return self.map(),
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        self.make(at, kind)
    }

    /// Two side by side are not one, as they would be in Jinja: `['a' 'b']` lacks a comma, and `'it''s'` has a quote too many.
    fn string(&mut self) -> Caught<Node> {
        let at = self.at();
        let text = match self.peek() {
            Some(Token::Str(text)) => (*text).to_owned(),
            Some(Token::String(text)) => text.to_string(),
            _ => return Err(self.unexpected("a text")),
        };
        self.next += 1;
        if let Some(Token::Str(_) | Token::String(_)) = self.peek() {
            let second = self.at();
            let hint = match second.start == at.end {
                true => "a quote inside a text has a backslash before it, or the text is in quotes of the other kind",
                false => "write `~` between parts of one text, or a comma between items",
            };
            return Err(self.fault(second, "a text follows a text").hint(hint));
        }
        self.make(at, Kind::Const(Value::text(text)))
    }

    fn parenthesised(&mut self) -> Caught<Node> {
        let start = self.at().start;
        self.next += 1;
        if self.skip(|token| matches!(token, Token::ParenClose)) {
            return self.make(start..self.end(), Kind::List(Vec::new()));
        }
        let first = self.expr()?;
        if self.skip(|token| matches!(token, Token::ParenClose)) {
            // The parentheses belong to the place, so that what is drawn is what was written.
            return Ok(Node { at: start..self.end(), ..first });
        }
        let mut items = vec![first];
        while self.skip(|token| matches!(token, Token::Comma)) {
            if matches!(self.peek(), Some(Token::ParenClose)) {
                break;
            }
            items.push(self.expr()?);
        }
        self.expect("`,` or `)`", |token| matches!(token, Token::ParenClose))?;
        self.make(start..self.end(), Kind::List(items))
    }

    fn list(&mut self) -> Caught<Node> {
        let start = self.at().start;
        self.next += 1;
        let mut items = Vec::new();
        while !self.skip(|token| matches!(token, Token::BracketClose)) {
            if !items.is_empty() {
                self.expect("`,` or `]`", |token| matches!(token, Token::Comma))?;
                if self.skip(|token| matches!(token, Token::BracketClose)) {
                    break;
                }
            }
            items.push(self.expr()?);
        }
        self.make(start..self.end(), Kind::List(items))
    }

    fn map(&mut self) -> Caught<Node> {
        let start = self.at().start;
        self.next += 1;
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        while !self.skip(|token| matches!(token, Token::BraceClose)) {
            if !entries.is_empty() {
                self.expect("`,` or `}`", |token| matches!(token, Token::Comma))?;
                if self.skip(|token| matches!(token, Token::BraceClose)) {
                    break;
                }
            }
            let key = self.expr()?;
            if let Kind::Const(value) = &key.kind
                && !seen.insert(value.to_string())
            {
                return Err(self.fault(key.at, "this key is given twice").hint("remove one of the two"));
            }
            self.expect("`:`", |token| matches!(token, Token::Colon))?;
            entries.push((key, self.expr()?));
        }
        self.make(start..self.end(), Kind::Map(entries))
    }

    fn postfix(&mut self, mut node: Node) -> Caught<Node> {
        loop {
            let start = node.at.start;
            if self.skip(|token| matches!(token, Token::Dot)) {
                let name_at = self.at();
                match self.peek() {
                    Some(Token::Ident(name)) => {
                        let name = (*name).to_owned();
                        self.next += 1;
                        if matches!(self.peek(), Some(Token::ParenOpen)) {
                            return Err(self.method(&node, &name, name_at));
                        }
                        node = self.make(start..name_at.end, Kind::Attr(Box::new(node), name, name_at))?;
                    }
                    Some(Token::Int(index)) if *index <= i64::MAX as u64 => {
                        let index = Value::Int(*index as i64);
                        self.next += 1;
                        let key = self.make(name_at.clone(), Kind::Const(index))?;
                        node = self.make(start..name_at.end, Kind::Item(Box::new(node), Box::new(key)))?;
                    }
                    _ => return Err(self.unexpected("a name after the dot")),
                }
            } else if matches!(self.peek(), Some(Token::BracketOpen)) {
                node = self.subscript(node)?;
            } else if matches!(self.peek(), Some(Token::ParenOpen)) {
                return Err(self.fault(node.at.start..self.at().end, "only functions can be called"));
            } else {
                break;
            }
            if let Kind::Item(target, key) = &node.kind
                && matches!(&target.kind, Kind::Var(name) if name == "steps")
                && !matches!(&key.kind, Kind::Const(Value::Text(_)))
            {
                let at = key.at.clone();
                return Err(self.fault(at, "the id of a step must be written out").hint("write `steps[\"the-id\"]`"));
            }
        }
        Ok(node)
    }

    fn subscript(&mut self, node: Node) -> Caught<Node> {
        let start = node.at.start;
        self.next += 1;
        let colon = |token: &Token<'_>| matches!(token, Token::Colon);
        let close = |token: &Token<'_>| matches!(token, Token::BracketClose);
        if self.peek().is_some_and(close) {
            return Err(self.unexpected("a key or an index"));
        }
        let mut bounds = [None, None, None];
        let mut slice = false;
        if !self.peek().is_some_and(colon) {
            bounds[0] = Some(Box::new(self.expr()?));
        }
        for bound in &mut bounds[1..] {
            if self.skip(colon) {
                slice = true;
                if !self.peek().is_some_and(|token| colon(token) || close(token)) {
                    *bound = Some(Box::new(self.expr()?));
                }
            }
        }
        self.expect("`]`", close)?;
        let at = start..self.end();
        let [first, second, third] = bounds;
        match first {
            Some(key) if !slice => self.make(at, Kind::Item(Box::new(node), key)),
            first => self.make(at, Kind::Slice(Box::new(node), [first, second, third])),
        }
    }

    /// Values have no methods; says which filter does the same.
    fn method(&self, node: &Node, name: &str, at: At) -> Box<Fault> {
        let written = &self.text[node.at.clone()];
        let written = if written.contains('\n') || written.len() > 60 { "x" } else { written };
        let filter = match name {
            "strip" | "trim" => "trim",
            "lower" | "toLowerCase" => "lower",
            "upper" | "toUpperCase" => "upper",
            "split" => "split",
            "splitlines" => "lines",
            "replace" => "replace",
            "items" => "items",
            "keys" => "keys",
            "values" => "values",
            "format" => "format",
            "capitalize" => "capitalize",
            "title" => "title",
            "get" => return self.fault(at, "values have no methods").hint(format!("write `{written}.key|default(…)`")),
            "startswith" | "startsWith" => {
                return self.fault(at, "values have no methods").hint(format!("write `{written} is startingwith(…)`"));
            }
            "endswith" | "endsWith" => {
                return self.fault(at, "values have no methods").hint(format!("write `{written} is endingwith(…)`"));
            }
            _ => return self.fault(at, "values have no methods").hint("use a filter: `value|filter`"),
        };
        self.fault(at, "values have no methods").hint(format!("use the filter: `{written}|{filter}`"))
    }

    fn filters(&mut self, mut node: Node) -> Caught<Node> {
        loop {
            let start = node.at.start;
            if self.skip(|token| matches!(token, Token::Pipe)) {
                let (name, at) = self.name("a filter's name")?;
                let call = self.call(FunctionKind::Filter, name, at)?;
                node = self.make(start..self.end(), Kind::Filter(Some(Box::new(node)), Box::new(call)))?;
            } else if self.skip_word("is") {
                let negated = self.skip_word("not");
                let (name, at) = self.name("a test's name")?;
                let call = self.call(FunctionKind::Test, name, at)?;
                node = self.make(start..self.end(), Kind::Test(Box::new(node), Box::new(call)))?;
                if negated {
                    node = self.make(start..self.end(), Kind::Not(Box::new(node)))?;
                }
            } else {
                return Ok(node);
            }
        }
    }
}

enum Operator {
    Compare(CompareOp),
    Join(Join),
}

enum Join {
    Or,
    And,
    Math(MathOp),
}

/// Where the tokenizer gave up, and what to say about it.
fn stray(text: &str, from: usize, why: &str) -> (At, String) {
    let rest = &text[from.min(text.len())..];
    let start = text.len() - rest.trim_start().len();
    match why {
        "unexpected character" => {
            let found = text[start..].chars().next();
            let end = start + found.map_or(0, char::len_utf8);
            (start..end, format!("unexpected `{}`", found.map_or_else(String::new, String::from)))
        }
        "unexpected end of string" => (start..text.len(), "this text has no closing quote".into()),
        "unexpected end of comment" => {
            let start = text[start..].find("{#").map_or(start, |at| start + at);
            (start..text.len(), "this comment has no `#}`".into())
        }
        "unexpected end of raw block" => {
            let start = text[start..].find("{%").map_or(start, |at| start + at);
            (start..text.len(), "this has no `{% endraw %}`".into())
        }
        "unexpected input after end of variable block" => {
            (from.min(text.len())..text.len(), "this follows the end of the expression".into())
        }
        other => {
            let end = text[start..]
                .char_indices()
                .find(|(at, c)| *at > 0 && c.is_whitespace())
                .map_or(text.len(), |(at, _)| start + at);
            (start..end, other.to_owned())
        }
    }
}
