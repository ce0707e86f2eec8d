//! The arguments of filters, tests and functions. Knows nothing of what they do.

use minijinja::machinery::Token;

use super::Parser;
use crate::{
    syntax::{
        ast::{At, Call, Caught, Fault, Kind, Node},
        functions::{self, FunctionKind, Rest},
        patterns, times, versions,
    },
    value::Value,
};

impl Parser<'_> {
    /// The arguments of a call, sorted into the parameters that its signature declares.
    pub(super) fn call(&mut self, kind: FunctionKind, name: &str, name_at: At) -> Caught<Call> {
        let Some(function) = functions::find(kind, name) else {
            return Err(unknown_function(kind, name, name_at));
        };
        let mut call = Call {
            function,
            name_at: name_at.clone(),
            args: function.params.iter().map(|_| None).collect(),
            rest: Vec::new(),
            each: None,
            regex: None,
        };
        if self.skip(|token| matches!(token, Token::ParenOpen)) {
            self.arguments(&mut call)?;
        } else if kind == FunctionKind::Test && self.starts_argument() {
            let node = self.negated()?;
            self.positional(&mut call, 0, node)?;
        }
        self.check(&mut call)?;
        Ok(call)
    }

    /// `x is divisibleby 3`: one argument may stand without parentheses.
    fn starts_argument(&self) -> bool {
        match self.peek() {
            Some(Token::Ident(word)) => !matches!(*word, "and" | "or" | "else" | "is" | "if" | "in" | "not"),
            Some(Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Float(_)) => true,
            Some(Token::BracketOpen | Token::BraceOpen) => true,
            _ => false,
        }
    }

    fn arguments(&mut self, call: &mut Call) -> Caught<()> {
        let mut count = 0;
        let mut named = false;
        loop {
            if self.skip(|token| matches!(token, Token::ParenClose)) {
                return Ok(());
            }
            if count > 0 || named {
                self.expect("`,` or `)`", |token| matches!(token, Token::Comma))?;
                if self.skip(|token| matches!(token, Token::ParenClose)) {
                    return Ok(());
                }
            }
            if matches!(self.peek(), Some(Token::Mul | Token::Pow)) {
                return Err(self.fault(self.at(), "arguments cannot be unpacked here"));
            }
            let keyword = match (self.word(), self.tokens.get(self.next + 1)) {
                (Some(word), Some((Token::Assign, _))) => Some((word, self.at())),
                _ => None,
            };
            match keyword {
                Some((word, at)) => {
                    self.next += 2;
                    named = true;
                    let node = self.expr()?;
                    self.keyword(call, word, at, node)?;
                }
                None => {
                    let at = self.at();
                    let node = self.expr()?;
                    if named {
                        return Err(self.fault(at.start..node.at.end, "this argument must stand before the named ones"));
                    }
                    self.positional(call, count, node)?;
                    count += 1;
                }
            }
        }
    }

    fn positional(&self, call: &mut Call, index: usize, node: Node) -> Caught<()> {
        match call.function.params.get(index) {
            Some(param) if !param.keyword_only => call.args[index] = Some(node),
            _ if matches!(call.function.rest, Rest::Positional | Rest::Both) => call.rest.push((None, node)),
            _ => {
                return Err(Fault::new(self.code, node.at, "this argument is one too many")
                    .hint(format!("it is used as `{}`", call.function.doc.signature)));
            }
        }
        Ok(())
    }

    fn keyword(&self, call: &mut Call, word: &str, at: At, node: Node) -> Caught<()> {
        match call.function.params.iter().position(|param| param.name == word) {
            Some(index) if call.args[index].is_none() => call.args[index] = Some(node),
            Some(_) => return Err(self.fault(at, format!("`{word}` is given twice"))),
            None if matches!(call.function.rest, Rest::Named | Rest::Both) => {
                call.rest.push((Some(word.to_owned()), node))
            }
            None => {
                return Err(self
                    .fault(at, format!("`{}` takes no `{word}`", call.function.doc.name))
                    .hint(format!("it is used as `{}`", call.function.doc.signature)));
            }
        }
        Ok(())
    }

    /// What can be known about a call before it is made.
    fn check(&self, call: &mut Call) -> Caught<()> {
        for (param, arg) in call.function.params.iter().zip(&call.args) {
            if param.required && arg.is_none() {
                let kind = call.function.doc.kind.word();
                let message = format!("the {kind} `{}` needs `{}`", call.function.doc.name, param.name);
                return Err(self
                    .fault(call.name_at.clone(), message)
                    .hint(format!("it is used as `{}`", call.function.doc.signature)));
            }
            let Some(node) = arg else { continue };
            let written = match &node.kind {
                Kind::Const(Value::Text(text)) => Some(text.as_ref()),
                _ => None,
            };
            match (param.name, written) {
                ("re", Some(pattern)) => match functions::regex(pattern) {
                    Ok(regex) => call.regex = Some(regex),
                    Err(why) => {
                        return Err(self.fault(node.at.clone(), format!("this is no regular expression: {why}")));
                    }
                },
                ("new", Some(new)) => {
                    if let Some(regex) = &call.regex {
                        patterns::check_replacement(new, regex)
                            .map_err(|(why, hint)| self.fault(node.at.clone(), why).hint_opt(hint))?;
                    }
                }
                ("zone", Some(name)) => {
                    times::zone(name).map_err(|(why, hint)| self.fault(node.at.clone(), why).hint(hint))?;
                }
                ("spec", Some(spec)) => {
                    versions::check(spec).map_err(|(why, hint)| self.fault(node.at.clone(), why).hint(hint))?;
                }
                ("filter" | "test", Some(name)) => {
                    let kind = if param.name == "filter" { FunctionKind::Filter } else { FunctionKind::Test };
                    let Some(each) = functions::find(kind, name) else {
                        return Err(unknown_function(kind, name, node.at.clone()));
                    };
                    let accepted = each.params.iter().filter(|param| !param.keyword_only).count();
                    let needed = each.params.iter().filter(|param| param.required).count();
                    if each.each_unfit()
                        || call.rest.len() < needed
                        || (call.rest.len() > accepted && each.rest == Rest::None)
                    {
                        return Err(self
                            .fault(node.at.clone(), format!("`{name}` does not fit these arguments"))
                            .hint(format!("it is used as `{}`", each.doc.signature)));
                    }
                    call.each = Some(each);
                }
                ("filter" | "test", None) => {
                    return Err(self.fault(node.at.clone(), format!("the {}'s name must be written out", param.name)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn unknown_function(kind: FunctionKind, name: &str, at: At) -> Box<Fault> {
    let fault = Fault::new("unknown-function", at, format!("there is no {} `{name}`", kind.word()))
        .label(format!("no such {}", kind.word()));
    let other = [FunctionKind::Filter, FunctionKind::Test, FunctionKind::Function]
        .into_iter()
        .find(|other| *other != kind && functions::find(*other, name).is_some());
    let hint = match (name, other) {
        ("e" | "escape" | "safe", _) => Some("nothing is escaped here; leave it out".to_owned()),
        ("now" | "today" | "utcnow", _) => Some("the only clock is `run.started`".to_owned()),
        ("namespace" | "super" | "caller" | "debug", _) => None,
        (_, Some(FunctionKind::Filter)) => Some(format!("it is a filter: `value|{name}`")),
        (_, Some(FunctionKind::Test)) => Some(format!("it is a test: `value is {name}`")),
        (_, Some(FunctionKind::Function)) => Some(format!("it is a function: `{name}(…)`")),
        _ => functions::meant(kind, name).map(|meant| format!("did you mean `{meant}`?")),
    };
    fault.hint_opt(hint)
}
