//! Parameters and secrets as declared. Knows nothing of where a run gets their values.

use regex::Regex;

use crate::{
    syntax::Template,
    text::Span,
    value::{Type, Value},
};

#[derive(Debug)]
pub struct Param {
    pub name: String,
    pub ty: Type,
    /// As written, and anchored to the whole value.
    pub pattern: Option<(String, Regex)>,
    pub choices: Vec<String>,
    pub default: Option<Value>,
    pub prompt: Option<String>,
    pub help: Option<String>,
    pub example: Option<Value>,
    /// Its name in the file.
    pub span: Span,
}

impl Param {
    /// Text, as a person or a command line gives it, as a value of this parameter; the error says what would do.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let value = self.ty.read(text)?;
        if self.ty == Type::Enum && !self.choices.iter().any(|choice| choice == text) {
            let near = crate::text::nearest(text, self.choices.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("`{text}` is none of {}{hint}", self.choices.join(", ")));
        }
        if let Some((written, pattern)) = &self.pattern
            && !pattern.is_match(text)
        {
            let example = self.example.as_ref().map(|value| format!(", such as {value}")).unwrap_or_default();
            return Err(format!("`{text}` does not match {written}{example}"));
        }
        Ok(value)
    }

    /// A pattern that must match the whole value.
    pub fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!(r"\A(?:{pattern})\z"))
    }
}

/// Where a secret comes from, as declared.
#[derive(Debug)]
pub struct SecretSpec {
    pub name: String,
    pub place: SecretPlace,
    /// The author accepts that a value under 8 bytes masks too much or too little.
    pub allow_short: bool,
    pub span: Span,
}

#[derive(Debug)]
pub enum SecretPlace {
    Env(Template),
    File(Template),
    Command(Vec<Template>),
    Prompt,
}

impl SecretSpec {
    /// The place in words, such as `variable JENKINS_TOKEN`; as written.
    pub fn describe(&self) -> String {
        match &self.place {
            SecretPlace::Env(name) => format!("variable {}", name.source()),
            SecretPlace::File(path) => format!("file {}", path.source()),
            SecretPlace::Command(argv) => {
                format!("command {}", argv.iter().map(Template::source).collect::<Vec<_>>().join(" "))
            }
            SecretPlace::Prompt => "asked before the first step".into(),
        }
    }

    pub fn templates(&self) -> Vec<&Template> {
        match &self.place {
            SecretPlace::Env(one) | SecretPlace::File(one) => vec![one],
            SecretPlace::Command(argv) => argv.iter().collect(),
            SecretPlace::Prompt => Vec::new(),
        }
    }
}
