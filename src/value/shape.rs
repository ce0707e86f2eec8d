//! What a declared value must be: its type and the limits its author set. Knows no YAML and not where a value comes from.

use std::{cmp::Ordering, fmt::Write};

use regex::Regex;

use super::{Type, Value};
use crate::text::nearest;

/// Bytes of a secret without the white space around it; shorter ones cannot be masked without hiding ordinary text.
const SHORTEST_SECRET: usize = 8;

/// A value as it was written, before it has a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Text(String),
    /// A list of YAML, each item as it stands there.
    List(Vec<String>),
}

/// A type with its limits. Limits that do not go with the type are never set.
#[derive(Clone, Debug)]
pub struct Shape {
    pub ty: Type,
    /// As written, and anchored to the whole value as it was typed.
    pub pattern: Option<(String, Regex)>,
    /// The only values there are, as written; empty where there is no such limit.
    pub choices: Vec<String>,
    /// Inclusive; of this type.
    pub min: Option<Value>,
    pub max: Option<Value>,
    /// Inclusive; in characters of a text or items of a list.
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    /// What each item of a list is; absent, it is a text.
    pub items: Option<Box<Shape>>,
}

impl PartialEq for Shape {
    /// Two patterns are one where they are written alike.
    fn eq(&self, other: &Shape) -> bool {
        let written = |shape: &Shape| shape.pattern.as_ref().map(|(written, _)| written.clone());
        let plain = |shape: &Shape| {
            let Shape { ty, pattern: _, choices, min, max, min_length, max_length, items } = shape.clone();
            (ty, choices, min, max, min_length, max_length, items)
        };
        written(self) == written(other) && plain(self) == plain(other)
    }
}

impl Shape {
    /// A type without limits.
    pub fn of(ty: Type) -> Shape {
        Shape {
            ty,
            pattern: None,
            choices: Vec::new(),
            min: None,
            max: None,
            min_length: None,
            max_length: None,
            items: None,
        }
    }

    /// A pattern that must match the whole value. The line feed ends a comment that a verbose pattern may end in.
    pub fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!(r"\A(?:{pattern})\z"))
            .or_else(|error| Regex::new(&format!("\\A(?:{pattern}\n)\\z")).map_err(|_| error))
    }

    /// What a person, a command line or a file gives, as a value; the error is a fragment that says what was given, what
    /// is expected, and behind a semicolon what to write.
    pub fn read(&self, written: &Written) -> Result<Value, String> {
        self.take(written, true)
    }

    /// As [`Shape::read`], of a text.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        self.take_text(text, true)
    }

    /// A value that was taken once, from its record: the types alone, because a record says `42` for a typed `0042`.
    pub fn read_recorded(&self, json: &serde_json::Value) -> Result<Value, String> {
        self.take_text(&json.as_str().map_or_else(|| json.to_string(), str::to_owned), false)
    }

    /// Whether what was given is of this type at least, whatever its limits.
    pub fn has_type(&self, written: &Written) -> bool {
        self.take(written, false).is_ok()
    }

    /// Whether a value that has its type already keeps to the limits.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        if let (Type::Secret, Value::Text(text)) = (self.ty, value) {
            return self.check_secret(text);
        }
        if let (Type::List, Value::List(items)) = (self.ty, value) {
            let shape = self.item();
            for (at, item) in items.iter().enumerate() {
                shape.check(item).map_err(|why| format!("item {}: {why}", at + 1))?;
            }
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| self.is_choice(choice, value)) {
            let text = value.to_string();
            let near = nearest(&text, self.choices.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("`{text}` is none of {}{hint}", self.choices.join(", ")));
        }
        let compared = |limit: &Option<Value>| limit.as_ref().and_then(|limit| compare(value, limit));
        for (wrong, how) in [
            (compared(&self.min) == Some(Ordering::Less), "small"),
            (compared(&self.max) == Some(Ordering::Greater), "large"),
        ] {
            if wrong {
                return Err(format!("`{value}` is too {how}; give {}", self.describe()));
            }
        }
        let length = match value {
            Value::Text(text) => {
                // Of other types the text that was typed is not known any more.
                if let Some((written, pattern)) = &self.pattern
                    && !pattern.is_match(text)
                {
                    return Err(format!("`{text}` does not match {written}"));
                }
                text.chars().count()
            }
            Value::List(items) => items.len(),
            _ => return Ok(()),
        };
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let how =
            match (self.min_length.is_some_and(|min| length < min), self.max_length.is_some_and(|max| length > max)) {
                (false, false) => return Ok(()),
                (true, _) => "few",
                (_, true) => "many",
            };
        let unit = if self.ty == Type::List { "item" } else { "character" };
        Err(format!("it has {}, which is too {how}; give {}", counted(length, unit), self.describe()))
    }

    /// No error about a secret quotes it.
    fn check_secret(&self, text: &str) -> Result<(), String> {
        if text.trim().len() < SHORTEST_SECRET {
            return Err(format!("it is shorter than {SHORTEST_SECRET} bytes, which could not be masked"));
        }
        if let Some((written, pattern)) = &self.pattern
            && !pattern.is_match(text)
        {
            return Err(format!("it does not match {written}"));
        }
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if self.min_length.is_some_and(|min| length < min) || self.max_length.is_some_and(|max| length > max) {
            return Err(format!("its length does not do; give {}", self.describe()));
        }
        Ok(())
    }

    /// What would do, with an article, such as "a whole number from 1 to 5".
    pub fn describe(&self) -> String {
        let mut text = match self.ty {
            Type::List => match self.item() {
                shape if shape.ty == Type::String && shape.is_plain() => "a list".to_owned(),
                shape => format!("a list, each item {}", shape.describe()),
            },
            _ if !self.choices.is_empty() => format!("one of {}", self.choices.join(", ")),
            Type::String | Type::Enum => "a text".to_owned(),
            Type::Integer => "a whole number".to_owned(),
            Type::Number => "a number".to_owned(),
            Type::Boolean => "true or false".to_owned(),
            Type::Url => "an absolute http or https URL".to_owned(),
            Type::Path => "a path".to_owned(),
            Type::Secret => "a secret of at least 8 bytes".to_owned(),
            Type::Duration => "a duration".to_owned(),
        };
        for limit in self.limits() {
            // Writing to a text cannot fail.
            let _ = write!(text, " {limit}");
        }
        text
    }

    /// The limits of a number or a length in words, such as "from 1 to 5".
    pub fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        match (&self.min, &self.max) {
            (Some(min), Some(max)) => limits.push(format!("from {min} to {max}")),
            (Some(min), None) => limits.push(format!("of at least {min}")),
            (None, Some(max)) => limits.push(format!("of at most {max}")),
            (None, None) => {}
        }
        let unit = if self.ty == Type::List { "item" } else { "character" };
        match (self.min_length, self.max_length) {
            (Some(min), Some(max)) if min == max => limits.push(format!("of {}", counted(min, unit))),
            (Some(min), Some(max)) => limits.push(format!("of {min} to {}", counted(max, unit))),
            (Some(min), None) => limits.push(format!("of at least {}", counted(min, unit))),
            (None, Some(max)) => limits.push(format!("of at most {}", counted(max, unit))),
            (None, None) => {}
        }
        limits
    }

    /// A value as it can be given on a command line.
    pub fn written(&self, value: &Value) -> String {
        match value {
            Value::List(items) => {
                let shape = self.item();
                let texts: Vec<String> = items.iter().map(|item| shape.written(item)).collect();
                let line = texts.join(",");
                if split(&line).is_ok_and(|back| back == texts) { line } else { value.to_json().to_string() }
            }
            // As text, 1e300 has three hundred digits.
            Value::Float(_) => value.to_json().to_string(),
            _ => value.to_string(),
        }
    }

    /// Of a list: what each item is.
    pub fn item(&self) -> Shape {
        self.items.as_deref().cloned().unwrap_or_else(|| Shape::of(Type::String))
    }

    fn is_plain(&self) -> bool {
        self.pattern.is_none() && self.choices.is_empty() && self.limits().is_empty()
    }

    /// What two texts have in common that are one choice.
    pub fn choice_key(&self, text: &str) -> String {
        match self.ty.read(text) {
            // A float holds whole numbers of this size exactly.
            Ok(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{number:.0}"),
            Ok(value) => value.to_string(),
            Err(_) => text.to_owned(),
        }
    }

    fn is_choice(&self, choice: &str, value: &Value) -> bool {
        let Ok(choice) = self.ty.read(choice) else { return false };
        choice == *value || compare(&choice, value) == Some(Ordering::Equal)
    }

    fn take(&self, written: &Written, strictly: bool) -> Result<Value, String> {
        match written {
            Written::Text(text) => self.take_text(text, strictly),
            Written::List(items) if self.ty == Type::List => self.take_items(items, strictly),
            Written::List(_) => Err(format!("a list is given, and it takes {}", self.describe())),
        }
    }

    fn take_text(&self, text: &str, strictly: bool) -> Result<Value, String> {
        if self.ty == Type::List {
            return self.take_items(&self.items_of(text)?, strictly);
        }
        let value = self.ty.read(text)?;
        if strictly {
            self.check(&value)?;
            if self.ty == Type::Secret {
                return Ok(value);
            }
            if let Some((written, pattern)) = &self.pattern
                && !pattern.is_match(text)
            {
                return Err(format!("`{text}` does not match {written}"));
            }
        }
        Ok(value)
    }

    fn take_items(&self, items: &[String], strictly: bool) -> Result<Value, String> {
        let shape = self.item();
        let mut values = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            values.push(shape.take_text(item, strictly).map_err(|why| format!("item {}: {why}", at + 1))?);
        }
        let list = Value::list(values);
        if strictly {
            self.check(&list)?;
        }
        Ok(list)
    }

    /// A list in one text: JSON if it begins with a bracket, else items with commas between them.
    fn items_of(&self, text: &str) -> Result<Vec<String>, String> {
        use serde_json::Value as Json;
        if !text.trim_start().starts_with('[') {
            return split(text);
        }
        let json: Json = serde_json::from_str(text)
            .map_err(|_| "it begins with `[` and is no JSON; write it like this: [\"one\",\"other\"]".to_owned())?;
        // It begins with a bracket, so JSON can only be a list here.
        let Json::Array(items) = json else { return Err("a list is expected".into()) };
        let ty = self.item().ty;
        let one = |(at, item): (usize, Json)| match item {
            Json::String(text) => Ok(text),
            Json::Bool(_) if ty == Type::Boolean => Ok(item.to_string()),
            Json::Number(_) if matches!(ty, Type::Integer | Type::Number) => Ok(item.to_string()),
            // A number is not taken for a text: JSON would make `1.1` of a `1.10`.
            Json::Bool(_) | Json::Number(_) => {
                Err(format!("item {}: {item} is no text; write \"{item}\", in quotes", at + 1))
            }
            _ => Err(format!("item {}: {item} is neither a text nor a number nor a boolean", at + 1)),
        };
        items.into_iter().enumerate().map(one).collect()
    }
}

/// Items with commas between them; blanks around an item are no part of it, and a blank text is the empty list.
fn split(text: &str) -> Result<Vec<String>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    if text.trim_start().starts_with('[') {
        return Err("it begins with `[`".into());
    }
    let json = "write JSON: [\"one\",\"a, b\"]";
    text.split(',')
        .enumerate()
        .map(|(at, item)| (at + 1, item.trim()))
        .map(|(at, item)| match item {
            "" => Err(format!("item {at} of `{text}` is empty; remove the comma, or write JSON: [\"one\",\"\"]")),
            // Nothing is taken away from an item here: whoever writes these means something else.
            _ if item.starts_with(['"', '\'']) => {
                Err(format!("item {at} begins with a quote, which would be part of it; without quotes, or {json}"))
            }
            _ if item.ends_with('\\') => Err(format!("item {at} ends in `\\`, which would be part of it; {json}")),
            _ if item.contains(|c: char| c.is_control() && c != '\0') => Err(format!(
                "item {at} holds a line end or another control character; write commas between items, or {json}"
            )),
            item => Ok(item.to_owned()),
        })
        .collect()
}

/// The order of two numbers or two durations.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Int(whole), Value::Float(float)) => order(*whole, *float),
        (Value::Float(float), Value::Int(whole)) => order(*whole, *float).map(Ordering::reverse),
        _ => None,
    }
}

/// Without rounding the whole number, which a float may not hold.
fn order(whole: i64, float: f64) -> Option<Ordering> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= END {
        return Some(Ordering::Less);
    }
    if float < -END {
        return Some(Ordering::Greater);
    }
    let floor = float.floor();
    // Within the range of whole numbers, as was just seen.
    let below = floor as i64;
    Some(whole.cmp(&below).then(if float > floor { Ordering::Less } else { Ordering::Equal }))
}

fn counted(number: u64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn texts(items: &[&str]) -> Value {
        Value::list(items.iter().map(Value::text).collect())
    }

    #[test]
    fn a_list_is_items_with_commas_or_json() {
        let list = Shape::of(Type::List);
        for (text, items) in [
            ("a,b", &["a", "b"][..]),
            (" a , b c ", &["a", "b c"]),
            ("a", &["a"]),
            ("it's,5\"", &["it's", "5\""]),
            (r#"["\"a", "b\n", "c\\"]"#, &["\"a", "b\n", "c\\"]),
            ("", &[]),
            ("[]", &[]),
            (r#"["a,b", "", "[x"]"#, &["a,b", "", "[x"]),
        ] {
            assert_eq!(list.read_text(text), Ok(texts(items)), "{text}");
        }
        for (text, why) in [
            ("a,,b", "item 2 of `a,,b` is empty"),
            ("a,", "item 2"),
            ("[::1]:80,b", "is no JSON"),
            (r#""a,b",c"#, "item 1 begins with a quote"),
            ("a,'b'", "item 2 begins with a quote"),
            (r"a\,b", "item 1 ends in"),
            ("a\nb", "item 1 holds a line end"),
            ("[1.10]", "item 1: 1.1 is no text"),
            (r#"[["a"]]"#, "neither a text"),
            (r#"[null]"#, "neither a text"),
            ("a\0", "NUL"),
        ] {
            let error = list.read_text(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn items_have_their_own_type_and_limits() {
        let numbers = Shape {
            items: Some(Box::new(Shape { max: Some(Value::Int(9)), ..Shape::of(Type::Integer) })),
            max_length: Some(2),
            ..Shape::of(Type::List)
        };
        let list = Value::list(vec![Value::Int(1), Value::Int(2)]);
        for text in ["1,2", "[1,2]", r#"["1", "2"]"#] {
            assert_eq!(numbers.read_text(text), Ok(list.clone()), "{text}");
        }
        assert_eq!(numbers.read(&Written::List(vec!["1".into(), "2".into()])), Ok(list));
        for (text, why) in [
            ("1,x", "item 2: `x` is not a whole number"),
            ("1,10", "item 2: `10` is too large; give a whole number of at most 9"),
            (
                "1,2,3",
                "it has 3 items, which is too many; give a list, each item a whole number of at most 9 of at most 2 items",
            ),
            ("[true]", "item 1: true is no text"),
        ] {
            let error = numbers.read_text(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_taken_comes_back_from_its_record() {
        let minutes = Shape { items: Some(Box::new(Shape::of(Type::Duration))), ..Shape::of(Type::List) };
        for (shape, text) in [
            (Shape::of(Type::List), r#"["a,b","[",""," x "]"#),
            (Shape::of(Type::List), "1,true,null"),
            (minutes, "5m,1h30m"),
            (Shape::of(Type::Number), "0.1"),
            (Shape::of(Type::Number), "1e300"),
            (Shape::of(Type::Number), "31.245270191439438"),
            (Shape::of(Type::Number), "-0.0"),
            (Shape::of(Type::Number), "7"),
            (Shape::of(Type::Duration), "1h"),
            (Shape::of(Type::Integer), "-3"),
            (Shape::of(Type::Boolean), "true"),
        ] {
            let value = shape.read_text(text).unwrap();
            let line = value.to_json().to_string();
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(shape.read_recorded(&json), Ok(value.clone()), "{line}");
            assert_eq!(shape.read_text(&shape.written(&value)), Ok(value), "{line}");
        }
    }

    #[test]
    fn limits_count_themselves_in() {
        let minute = |count: u64| Value::Duration(Duration::from_secs(60 * count));
        let range = |ty, min, max| Shape { min: Some(min), max: Some(max), ..Shape::of(ty) };
        let length = |ty| Shape { min_length: Some(2), max_length: Some(3), ..Shape::of(ty) };
        for (shape, good, bad) in [
            (range(Type::Integer, Value::Int(1), Value::Int(5)), &["1", "5"][..], &["0", "6"][..]),
            (range(Type::Number, Value::Float(0.5), Value::Int(1)), &["0.5", "1", "1.0"], &["0.49", "1.01", "0"]),
            (range(Type::Duration, minute(1), minute(60)), &["1m", "60s", "1h"], &["59s", "61m"]),
            (length(Type::String), &["ab", "äöü"], &["a", "abcd", ""]),
            (length(Type::List), &["a,b", "a,b,c"], &["", "a", "a,b,c,d"]),
        ] {
            for text in good {
                assert!(shape.read_text(text).is_ok(), "{text}");
            }
            for text in bad {
                let error = shape.read_text(text).unwrap_err();
                assert!(error.contains("; give a"), "{text}: {error}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_secret_does_not_quote_it() {
        let secret = Shape {
            pattern: Some(("v\\w+".into(), Shape::anchored("v\\w+").unwrap())),
            max_length: Some(12),
            ..Shape::of(Type::Secret)
        };
        assert_eq!(secret.read_text("vhunter2hun"), Ok(Value::text("vhunter2hun")));
        for (text, why) in [
            ("vhunter", "it is shorter than 8 bytes, which could not be masked"),
            ("vhunt      ", "it is shorter than 8 bytes, which could not be masked"),
            ("hunter2hunter2", "it does not match v\\w+"),
            ("vhunter2hunter2", "its length does not do; give a secret of at least 8 bytes of at most 12 characters"),
        ] {
            assert_eq!(secret.read_text(text), Err(why.to_owned()));
            assert_eq!(secret.check(&Value::text(text)), Err(why.to_owned()));
        }
    }

    #[test]
    fn choices_are_compared_as_values() {
        let of =
            |ty, choices: &[&str]| Shape { choices: choices.iter().map(|of| (*of).into()).collect(), ..Shape::of(ty) };
        assert!(of(Type::Integer, &["1", "2"]).read_text("02").is_ok());
        assert!(of(Type::Number, &["0.5", "1"]).read_text("1.0").is_ok());
        assert!(of(Type::Duration, &["1h"]).read_text("60m").is_ok());
        assert_eq!(of(Type::String, &["one"]).read_text("on").unwrap_err(), "`on` is none of one; did you mean `one`?");
    }

    #[test]
    fn whole_and_other_numbers_have_one_order() {
        use Ordering::{Equal, Greater, Less};
        for (whole, float, expected) in [
            (1, 1.0, Equal),
            (1, 1.5, Less),
            (-1, -1.5, Greater),
            (i64::MAX, 9_223_372_036_854_775_808.0, Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Equal),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Greater),
        ] {
            assert_eq!(compare(&Value::Int(whole), &Value::Float(float)), Some(expected), "{whole} {float}");
        }
    }
}
