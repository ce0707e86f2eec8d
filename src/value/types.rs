//! The types a parameter can have, and text read as one of them. Knows nothing of YAML.

use super::{Value, parse_duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    Integer,
    Boolean,
    Enum,
    Url,
    Path,
    Duration,
}

impl Type {
    pub const ALL: [(&'static str, Type); 7] = [
        ("string", Type::String),
        ("integer", Type::Integer),
        ("boolean", Type::Boolean),
        ("enum", Type::Enum),
        ("url", Type::Url),
        ("path", Type::Path),
        ("duration", Type::Duration),
    ];

    pub fn named(name: &str) -> Option<Type> {
        Type::ALL.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty)
    }

    pub fn name(self) -> &'static str {
        Type::ALL.iter().find(|(_, ty)| *ty == self).map_or("string", |(name, _)| name)
    }

    /// What a person types, as a value of this type; the error is a fragment that says what was expected.
    pub fn read(self, text: &str) -> Result<Value, String> {
        if text.contains('\0') {
            return Err("it holds a NUL character, which no process can be given".into());
        }
        match self {
            Type::String | Type::Enum => Ok(Value::text(text)),
            Type::Integer => text.trim().parse().map(Value::Int).map_err(|_| format!("`{text}` is not a whole number")),
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
        }
    }
}
