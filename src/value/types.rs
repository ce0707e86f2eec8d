//! The types a parameter can have, and text read as one of them. Knows nothing of YAML.

use super::{Shape, Value, parse_duration};
use crate::text::cut;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    Integer,
    Number,
    Boolean,
    Enum,
    Url,
    Path,
    Duration,
    /// Of items of one type; given as text it is read by its [`super::Shape`], which knows that type.
    List,
    /// A text that must never be shown: of a value that a person is asked for, and of no parameter.
    Secret,
}

impl Type {
    /// Those that a parameter can have.
    pub const ALL: [(&'static str, Type); 9] = [
        ("string", Type::String),
        ("integer", Type::Integer),
        ("number", Type::Number),
        ("boolean", Type::Boolean),
        ("enum", Type::Enum),
        ("url", Type::Url),
        ("path", Type::Path),
        ("duration", Type::Duration),
        ("list", Type::List),
    ];

    pub fn named(name: &str) -> Option<Type> {
        Type::ALL.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty)
    }

    pub fn name(self) -> &'static str {
        if self == Type::Secret {
            return "secret";
        }
        Type::ALL.iter().find(|(_, ty)| *ty == self).map_or("string", |(name, _)| name)
    }

    /// What a person types, as a value of this type; the error is a fragment that says what was expected.
    pub fn read(self, text: &str) -> Result<Value, String> {
        if text.contains('\0') {
            return Err("it holds a NUL character, which no process can be given".into());
        }
        match self {
            Type::String | Type::Enum | Type::Secret => Ok(Value::text(text)),
            Type::Integer => whole(text.trim()),
            Type::Number => number(text.trim()),
            Type::Boolean => match text.trim() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(format!("`{text}` is not a boolean; write true or false")),
            },
            Type::Url => {
                let url = absolute_url(text)?;
                // It would be shown and be on record. Said without it, because this is shown as well.
                if url.password().is_some() {
                    return Err("the URL holds a password, which would be shown and be on record; remove it, and declare a secret".into());
                }
                Ok(Value::text(text))
            }
            Type::Path if text.is_empty() => Err("an empty text is no path".into()),
            Type::Path if text == "~" || text.starts_with("~/") => {
                Err(format!("`{text}` begins with `~`, which only a shell makes a home of; write the path in full"))
            }
            Type::Path => Ok(Value::text(text)),
            Type::Duration => parse_duration(text).map(Value::Duration),
            Type::List => Shape::of(Type::List).read_text(text),
        }
    }
}

/// The rules for every URL of the language, wherever it comes from; the error is a fragment, and behind a semicolon what to
/// write.
///
/// The library below repairs what browsers repair (`https:x`, a line end in the middle), and a script that is given the same
/// text does not.
pub fn absolute_url(text: &str) -> Result<url::Url, String> {
    let shown = cut(text, 80);
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{shown}` is no URL: it holds blanks or control characters"));
    }
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let Some(scheme) = scheme else {
        return Err(format!("`{shown}` is not an absolute http or https URL; it begins with https:// or http://"));
    };
    let rest = &text[scheme.len()..];
    // `https:///x` would be read as the host `x`.
    if rest.is_empty() || rest.starts_with(['/', '\\', '?', '#']) {
        return Err(format!("`{shown}` has no host"));
    }
    if text.contains('\\') {
        return Err(format!("`{shown}` holds a backslash"));
    }
    let parsed = url::Url::parse(text).map_err(|why| format!("`{shown}` is no URL: {why}"))?;
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(format!("`{shown}` has no host"));
    }
    Ok(parsed)
}

/// As it is read everywhere else: digits, perhaps behind a sign.
fn whole(text: &str) -> Result<Value, String> {
    text.parse().map(Value::Int).map_err(|_| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        match digits {
            "" => "an empty text is no whole number; write one such as 3".to_owned(),
            _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("`{text}` is a larger number than can be held")
            }
            _ => format!("`{text}` is not a whole number"),
        }
    })
}

/// A whole number stays one; what cannot be held is refused, not rounded to something else or to infinity.
fn number(text: &str) -> Result<Value, String> {
    let bad = || match text.replace(',', ".").parse::<f64>() {
        Ok(_) if text.contains(',') => format!("`{text}` is not a number; write {}", text.replace(',', ".")),
        _ => format!("`{text}` is not a number; write one such as 3, 0.5 or 1e6"),
    };
    // `inf`, `nan` and the like are numbers to the standard library.
    let digits = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    if !text.chars().all(digits) {
        return Err(bad());
    }
    if let Ok(whole) = text.parse() {
        return Ok(Value::Int(whole));
    }
    let number: f64 = text.parse().map_err(|_| bad())?;
    if !number.is_finite() || !text.contains(['.', 'e', 'E']) {
        return Err(format!("`{text}` is a larger number than can be held"));
    }
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    if number == 0.0 && digits.contains(|c: char| ('1'..='9').contains(&c)) {
        return Err(format!("`{text}` is a smaller number than can be held"));
    }
    Ok(Value::Float(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_or_not_at_all() {
        for (text, value) in [
            ("3", Value::Int(3)),
            (" -3 ", Value::Int(-3)),
            ("0.5", Value::Float(0.5)),
            ("0e9", Value::Float(0.0)),
            ("1e6", Value::Float(1e6)),
            ("9223372036854775807", Value::Int(i64::MAX)),
        ] {
            assert_eq!(Type::Number.read(text), Ok(value), "{text}");
        }
        for (text, why) in [
            ("", "not a number"),
            ("inf", "not a number"),
            ("NaN", "not a number"),
            ("1.2.3", "not a number"),
            ("0x10", "not a number"),
            ("1_000", "not a number"),
            ("0,5", "write 0.5"),
            ("1e400", "larger"),
            ("1e-400", "smaller"),
            ("9223372036854775808", "larger"),
        ] {
            let error = Type::Number.read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_whole_number_says_why_it_is_none() {
        for (text, value) in [("007", 7), ("+5", 5), (" -0 ", 0), ("-9223372036854775808", i64::MIN)] {
            assert_eq!(Type::Integer.read(text), Ok(Value::Int(value)), "{text}");
        }
        for (text, why) in [
            ("", "an empty text"),
            ("-", "an empty text"),
            ("1.0", "is not a whole number"),
            ("1e2", "is not a whole number"),
            ("0x10", "is not a whole number"),
            ("\u{663}", "is not a whole number"),
            ("9223372036854775808", "larger number than can be held"),
        ] {
            let error = Type::Integer.read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    /// A script gets the text as it stands, and reads no more into it than a request does.
    #[test]
    fn a_url_is_one_without_repairs() {
        for text in [
            "https://a.example",
            "HTTP://A/b?c#d",
            "https://git@a.example/x",
            "https://[::1]:8080/",
            "https://ex\u{e4}mple.org/",
        ] {
            assert_eq!(Type::Url.read(text), Ok(Value::text(text)));
        }
        for (text, why) in [
            ("www.example.org", "begins with https://"),
            ("//a.example", "begins with https://"),
            ("file:///etc", "is not an absolute http or https URL"),
            ("https:a.example", "is not an absolute http or https URL"),
            ("https:/a.example", "is not an absolute http or https URL"),
            (r"https:\\a\b", "is not an absolute http or https URL"),
            ("https:///a.example", "has no host"),
            ("https://", "has no host"),
            (" https://a.example", "blanks"),
            ("https://a.example\n", "blanks"),
            ("https://a.ex\nample/", "blanks"),
            ("https://a.example:99999/", "invalid port"),
            (r"https://a.example\@b.example/", "backslash"),
            ("https://user:not-a-real-one@a.example/", "holds a password"),
        ] {
            let error = Type::Url.read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("not-a-real-one"), "{error}");
        }
    }

    #[test]
    fn a_path_is_written_in_full() {
        for text in ["~", "~/x"] {
            assert!(Type::Path.read(text).unwrap_err().contains("in full"), "{text}");
        }
        for text in ["/x", "x/~", "~x", "./~/x", " "] {
            assert_eq!(Type::Path.read(text), Ok(Value::text(text)));
        }
    }
}
