//! The types a parameter can have, and text read as one of them. Knows nothing of YAML.

use super::{Shape, Value, parse_duration};

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
            Type::Integer => text.trim().parse().map(Value::Int).map_err(|_| format!("`{text}` is not a whole number")),
            Type::Number => number(text.trim()),
            Type::Boolean => match text.trim() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(format!("`{text}` is not a boolean; write true or false")),
            },
            Type::Url => {
                let parsed = url::Url::parse(text).map_err(|why| match why {
                    url::ParseError::RelativeUrlWithoutBase => {
                        format!("`{text}` is not an absolute URL; it begins with https:// or http://")
                    }
                    why => format!("`{text}` is not a URL: {why}"),
                })?;
                if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
                    return Err(format!("`{text}` is not an absolute http or https URL"));
                }
                Ok(Value::text(text))
            }
            Type::Path if text.is_empty() => Err("an empty text is no path".into()),
            Type::Path => Ok(Value::text(text)),
            Type::Duration => parse_duration(text).map(Value::Duration),
            Type::List => Shape::of(Type::List).read_text(text),
        }
    }
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
}
