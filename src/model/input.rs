//! Parameters and secrets as declared. Knows nothing of where a run gets their values.

use indexmap::IndexMap;

use crate::{
    syntax::Template,
    text::Span,
    value::{Shape, Value, Written},
};

#[derive(Debug)]
pub struct Param {
    pub name: String,
    /// What its value must be.
    pub shape: Shape,
    pub default: Option<Value>,
    /// Where the default is written.
    pub default_span: Option<Span>,
    pub prompt: Option<String>,
    pub help: Option<String>,
    pub example: Option<Value>,
    /// Its name in the file.
    pub span: Span,
}

impl Param {
    /// What was given, as a value of this parameter; the error says what would do.
    pub fn read(&self, written: &Written) -> Result<Value, String> {
        self.shape.read(written).map_err(|why| self.with_example(why))
    }

    /// As [`Param::read`], of a text, as a person or a command line gives it.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        self.shape.read_text(text).map_err(|why| self.with_example(why))
    }

    /// A value as it can be given on a command line.
    pub fn written(&self, value: &Value) -> String {
        self.shape.written(value)
    }

    /// A pattern alone does not tell people what to write.
    fn with_example(&self, why: String) -> String {
        match &self.example {
            Some(example) if why.contains(" does not match ") => format!("{why}, such as {}", self.written(example)),
            _ => why,
        }
    }
}

/// Values that go together, under a name.
#[derive(Debug)]
pub struct Profile {
    pub name: String,
    /// A person must type its name before a run under it begins.
    pub protected: bool,
    pub params: IndexMap<String, Value>,
    /// Where each of these is written.
    pub places: IndexMap<String, Span>,
    /// Its name in the file.
    pub span: Span,
}

/// Where a secret comes from, as declared.
#[derive(Debug)]
pub struct SecretSpec {
    pub name: String,
    pub place: SecretPlace,
    /// The author accepts that a value under 8 bytes masks too much or too little.
    pub allow_short: bool,
    /// Where it may be sent even if only a captured value names the place, such as `https://ci.example:8443`.
    pub origins: Vec<String>,
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
