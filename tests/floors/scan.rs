//! Reads a Rust file for what it names: paths that begin at the crate, climbs, words. Knows no room and no rule.

/// One thing found, with the line it stands on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At<T> {
    pub line: usize,
    pub it: T,
}

/// What a file names in its code; comments and texts are left out.
#[derive(Debug, Default)]
pub struct Names {
    /// The path after `crate::` or `runsheet::`: the room first, then the item, as far as it is written.
    pub rooms: Vec<At<Vec<String>>>,
    /// How many modules each chain of `super` climbs, and how deep in modules of its own file it begins.
    pub climbs: Vec<At<Climb>>,
    /// All paths as written, such as `tokio::time::sleep`; groups are spelled out.
    pub paths: Vec<At<Vec<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Climb {
    pub steps: usize,
    pub inside: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(char),
    Colons,
}

/// Reads the code of one file.
pub fn names(text: &str) -> Names {
    let tokens = tokens(text);
    let mut names = Names::default();
    // The braces that are open, and whether each is the body of a module.
    let mut braces: Vec<bool> = Vec::new();
    let mut index = 0;
    while let Some(At { it, .. }) = tokens.get(index) {
        match it {
            Token::Sign('{') => braces.push(is_module_body(&tokens, index)),
            Token::Sign('}') => {
                braces.pop();
            }
            Token::Word(_) if !follows_colons(&tokens, index) => {
                let inside = braces.iter().filter(|module| **module).count();
                index = path(&tokens, index, &[], inside, &mut names);
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    for path in &names.paths {
        if matches!(path.it[0].as_str(), "crate" | "runsheet") && path.it.len() > 1 {
            names.rooms.push(At { line: path.line, it: path.it[1..].to_vec() });
        }
    }
    names
}

fn follows_colons(tokens: &[At<Token>], index: usize) -> bool {
    index > 0 && tokens[index - 1].it == Token::Colons && index > 1 && matches!(tokens[index - 2].it, Token::Word(_))
}

fn is_module_body(tokens: &[At<Token>], brace: usize) -> bool {
    brace >= 2 && matches!(&tokens[brace - 2].it, Token::Word(word) if word == "mod")
}

/// Reads one path, with the groups it ends in, and answers with the token after it.
fn path(tokens: &[At<Token>], mut index: usize, before: &[String], inside: usize, names: &mut Names) -> usize {
    let mut parts = before.to_vec();
    let line = tokens[index].line;
    loop {
        match tokens.get(index).map(|token| &token.it) {
            Some(Token::Word(word)) => {
                parts.push(word.clone());
                index += 1;
            }
            Some(Token::Sign('{')) => {
                index += 1;
                // A group: every member goes on from here.
                loop {
                    match tokens.get(index).map(|token| &token.it) {
                        Some(Token::Sign('}')) => return index + 1,
                        Some(Token::Word(_) | Token::Sign('*' | '{')) => {
                            index = path(tokens, index, &parts, inside, names);
                            // `as name` is no part of a path.
                            while !matches!(
                                tokens.get(index).map(|token| &token.it),
                                None | Some(Token::Sign(',' | '}'))
                            ) {
                                index += 1;
                            }
                        }
                        Some(_) => index += 1,
                        None => return index,
                    }
                }
            }
            Some(Token::Sign('*')) => {
                parts.push("*".into());
                index += 1;
                break;
            }
            _ => break,
        }
        if tokens.get(index).map(|token| &token.it) != Some(&Token::Colons) {
            break;
        }
        // `Vec::<u8>::new` goes on as a type, which names no room.
        match tokens.get(index + 1).map(|token| &token.it) {
            Some(Token::Word(_) | Token::Sign('{' | '*')) => index += 1,
            _ => break,
        }
    }
    let steps = parts.iter().skip_while(|part| *part == "self").take_while(|part| *part == "super").count();
    if steps > 0 {
        names.climbs.push(At { line, it: Climb { steps, inside } });
    }
    if !parts.is_empty() {
        names.paths.push(At { line, it: parts });
    }
    index
}

/// Words and signs of the code; comments, texts, characters and lifetimes are passed over.
fn tokens(text: &str) -> Vec<At<Token>> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut line, mut index) = (Vec::new(), 1, 0);
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    while index < chars.len() {
        let from = index;
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= chars.len() {
                        break;
                    }
                }
            }
            '"' => index = text_end(&chars, index),
            '\'' => index = quote_end(&chars, index),
            'r' | 'b' | 'c' if is_text_start(&chars, index) => index = prefixed_end(&chars, index),
            c if c.is_alphabetic() || c == '_' => {
                while at(index).is_alphanumeric() || at(index) == '_' {
                    index += 1;
                }
                found.push(At { line, it: Token::Word(chars[from..index].iter().collect()) });
            }
            ':' if at(index + 1) == ':' => {
                found.push(At { line, it: Token::Colons });
                index += 2;
            }
            c => {
                if !c.is_whitespace() {
                    found.push(At { line, it: Token::Sign(c) });
                }
                index += 1;
            }
        }
        line += chars[from..index.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn text_end(chars: &[char], mut index: usize) -> usize {
    index += 1;
    while index < chars.len() && chars[index] != '"' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// A character, or the mark of a lifetime.
fn quote_end(chars: &[char], index: usize) -> usize {
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    if at(index + 1) == '\\' {
        let mut end = index + 3;
        while end < chars.len() && chars[end] != '\'' {
            end += 1;
        }
        return end + 1;
    }
    if at(index + 2) == '\'' { index + 3 } else { index + 1 }
}

fn is_text_start(chars: &[char], index: usize) -> bool {
    let rest: String = chars[index..].iter().take(8).collect();
    let after = rest.trim_start_matches(['r', 'b', 'c']);
    let prefix = &rest[..rest.len() - after.len()];
    let raw = prefix.contains('r');
    prefix.len() <= 2 && (after.starts_with('"') || (raw && after.trim_start_matches('#').starts_with('"')))
        || (prefix == "b" && after.starts_with('\''))
}

fn prefixed_end(chars: &[char], mut index: usize) -> usize {
    let mut raw = false;
    while matches!(chars.get(index), Some('r' | 'b' | 'c')) {
        raw |= chars[index] == 'r';
        index += 1;
    }
    let mut hashes = 0;
    while chars.get(index) == Some(&'#') {
        hashes += 1;
        index += 1;
    }
    if chars.get(index) == Some(&'\'') {
        return quote_end(chars, index);
    }
    if !raw {
        return text_end(chars, index);
    }
    index += 1;
    while index < chars.len() {
        if chars[index] == '"' && (1..=hashes).all(|n| chars.get(index + n) == Some(&'#')) {
            return index + 1 + hashes;
        }
        index += 1;
    }
    index
}

/// Lines on which a word stands, in code, texts and comments alike, also as a part of a name: `dry_world`, `DryWorld`.
pub fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let found =
            line.split(|c: char| !c.is_alphanumeric()).flat_map(humps).any(|part| part.eq_ignore_ascii_case(word));
        if found {
            lines.push(number + 1);
        }
    }
    lines
}

/// The parts of `DryWorld` and `dryWorld`.
fn humps(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut was_lower) = (0, false);
    for (at, c) in name.char_indices() {
        if c.is_uppercase() && was_lower {
            parts.push(&name[from..at]);
            from = at;
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    parts.push(&name[from..]);
    parts
}

mod tests {
    use super::*;

    fn rooms(text: &str) -> Vec<(usize, String)> {
        let mut found: Vec<_> = names(text).rooms.into_iter().map(|at| (at.line, at.it.join("::"))).collect();
        found.sort();
        found
    }

    #[test]
    fn groups_are_read_to_their_leaves() {
        let text = "use crate::{\n    event::{Effect, Event as E},\n    model::lower::*,\n    text,\n};\nuse crate::port::World;\n";
        let expected =
            [(2, "event::Effect"), (2, "event::Event"), (3, "model::lower::*"), (4, "text"), (6, "port::World")];
        assert_eq!(rooms(text), expected.map(|(line, path)| (line, path.to_owned())));
        assert_eq!(rooms("use {crate::plan::Plan, std::rc::Rc};"), [(1, "plan::Plan".to_owned())]);
    }

    #[test]
    fn paths_in_expressions_types_and_macros_are_seen() {
        let text = "fn f(x: &crate::plan::Plan) -> Vec<runsheet::event::Event> {\n    g!(crate::cli::code::USAGE, $crate::library::x());\n    <crate::engine::Engine as T>::new()\n}";
        let found: Vec<String> = rooms(text).into_iter().map(|(_, path)| path).collect();
        assert_eq!(
            found,
            ["event::Event", "plan::Plan", "cli::code::USAGE", "library::x", "engine::Engine"].map(str::to_owned)
        );
    }

    #[test]
    fn comments_texts_and_characters_name_nothing() {
        let text = concat!(
            "// crate::cli::a\n/* crate::cli::b /* crate::cli::c */ crate::cli::d */\n",
            "let a = \"crate::cli::e \\\" crate::cli::f\"; let b = r#\"crate::cli::g \" \"#;\n",
            "let c = ['\"', '\\'', b'\"', '\\u{7f}']; let d: &'static str = b\"crate::cli::h\";\n",
            "crate::plan::here();\n"
        );
        assert_eq!(rooms(text), [(5, "plan::here".to_owned())]);
    }

    #[test]
    fn climbs_are_counted_with_the_modules_they_begin_in() {
        let text = "use super::a;\nmod tests {\n    use super::*;\n    fn f() {\n        self::super::super::b();\n    }\n}\nuse super::{c, super::d};\n";
        let found: Vec<_> = names(text).climbs.into_iter().map(|at| (at.line, at.it.steps, at.it.inside)).collect();
        assert_eq!(found, [(1, 1, 0), (3, 1, 1), (5, 2, 1), (8, 1, 0), (8, 2, 0)]);
    }

    #[test]
    fn paths_of_others_are_spelled_out() {
        let text = "use tokio::{sync, time::{self, sleep}};\nlet x = tokio::time::sleep(y).await;";
        let found: Vec<_> = names(text).paths.into_iter().map(|at| at.it.join("::")).collect();
        for path in ["tokio::sync", "tokio::time::self", "tokio::time::sleep"] {
            assert!(found.contains(&path.to_owned()), "{path} in {found:?}");
        }
    }

    #[test]
    fn words_are_found_in_names_texts_and_comments_but_not_within_words() {
        let text =
            "let dry_run = 1;\nstruct DryWorld;\n// a dry day\nlet s = \"DRY\";\nlaundry; sundry(); quarry;\nisDry\n";
        assert_eq!(lines_with(text, "dry"), [1, 2, 3, 4, 6]);
    }
}
