//! What a scenario says of the world: which command or request gets which answers. Answers nothing itself.

use std::{path::PathBuf, time::Duration};

use crate::{
    port::{ProcessRequest, SecretSource, Stdin},
    text::Wildcard,
    value::Secret,
};

/// Everything a scenario fixes.
#[derive(Clone)]
pub struct Script {
    pub shell: Vec<ShellRule>,
    pub http: Vec<HttpRule>,
    /// Files that are there from the beginning; relative paths stand below the folder of the run.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    pub secrets: Vec<(SecretSource, Secret)>,
    /// Variables of the caller.
    pub env: Vec<(String, String)>,
    /// What the wall clock shows at the beginning.
    pub wall: jiff::Timestamp,
}

/// Where everything of a scenario happens.
pub const FOLDER: &str = "/here";

/// What the wall clock shows where a scenario does not say: a Monday morning.
pub const WALL: jiff::Timestamp = jiff::Timestamp::constant(1_767_605_400, 0);

impl Default for Script {
    fn default() -> Script {
        Script {
            shell: Vec::new(),
            http: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            env: Vec::new(),
            wall: WALL,
        }
    }
}

/// Which commands are meant. What is not said holds for all.
#[derive(Clone, Debug, Default)]
pub struct CommandPattern {
    /// The full id of the step; that of a `verify` ends in `@verify`, that of an undo in `@undo`.
    pub step: Option<Wildcard>,
    /// The command: a program with its arguments, a whole script, or one line of a script.
    pub text: Option<Wildcard>,
    /// Variables that the process must have.
    pub env: Vec<(String, Wildcard)>,
}

/// Which requests are meant.
#[derive(Clone, Debug)]
pub struct RequestPattern {
    pub step: Option<Wildcard>,
    /// `GET` and its kin; none for any.
    pub method: Option<String>,
    /// One without `?` says nothing about the query.
    pub url: Wildcard,
    pub body: Option<Wildcard>,
    /// What the body must hold as JSON: every key that is named, with this value.
    pub json: Option<serde_json::Value>,
    pub headers: Vec<(String, Wildcard)>,
}

#[derive(Clone, Debug)]
pub struct ShellRule {
    pub on: CommandPattern,
    /// In turn; the last repeats. Never empty.
    pub replies: Vec<ShellReply>,
}

#[derive(Clone, Debug)]
pub struct HttpRule {
    pub on: RequestPattern,
    /// In turn; the last repeats. Never empty.
    pub replies: Vec<HttpReplyRule>,
}

#[derive(Clone, Debug, Default)]
pub struct ShellReply {
    pub exit: i32,
    /// It is killed by this signal instead of ending by itself.
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// How long it takes.
    pub delay: Duration,
    pub fail: Option<ShellFailure>,
    /// Files that it makes.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// What it leaves running, as a daemon may.
    pub left: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShellFailure {
    /// It could not be started; with `via`, the script was never taken.
    NotStarted,
    /// How it ended cannot be told; with `via`, the connection broke.
    Lost,
}

#[derive(Clone, Debug, Default)]
pub struct HttpReplyRule {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long it takes.
    pub delay: Duration,
    pub fail: Option<HttpFailure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFailure {
    /// Nothing listens there.
    Refused,
    /// There is no such host.
    UnknownHost,
    /// The connection breaks after the request was sent.
    Reset,
    /// There is no answer.
    Timeout,
    /// The answer begins and never ends.
    SlowBody,
}

/// A command that was run.
#[derive(Clone, Debug)]
pub struct SeenCommand {
    /// As in [`CommandPattern::step`].
    pub step: String,
    /// As it is shown: the program with its arguments, or the script.
    pub shown: String,
    /// What a pattern may match.
    forms: Vec<String>,
    env: Vec<(String, String)>,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    pub step: String,
    pub method: String,
    pub url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl SeenCommand {
    pub fn of(request: &ProcessRequest) -> SeenCommand {
        let argv = words(&request.argv);
        let mut env = request.env.clone();
        let script = match &request.stdin {
            Stdin::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Stdin::Remote(remote) => {
                env.extend(remote.variables.iter().filter_map(|(name, text)| Some((name.clone(), text.clone()?))));
                Some(remote.script.clone())
            }
            Stdin::Nothing => match request.argv.as_slice() {
                [.., flag, script] if matches!(flag.as_str(), "-c" | "-e") => Some(script.clone()),
                _ => None,
            },
        };
        // What a script is handed after its own name is a program that it runs: the helper of a group.
        let flag = request.argv.iter().position(|word| word == "-c");
        let handed = flag.and_then(|at| request.argv.get(at + 3..)).filter(|handed| !handed.is_empty()).map(words);
        let mut forms = vec![argv.clone()];
        forms.extend(handed.clone());
        if let Some(script) = &script {
            forms.push(script.trim().to_owned());
            let joined = script.replace("\\\n", " ");
            for line in joined.lines() {
                let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let filled = filled(&line, &env);
                if filled != line {
                    forms.push(filled);
                }
                forms.push(line);
            }
        }
        let shown = match script {
            Some(script) => script.trim().to_owned(),
            None => handed.unwrap_or(argv),
        };
        SeenCommand { step: who(&request.step, request.looks), shown, forms, env }
    }

    pub fn matches(&self, on: &CommandPattern) -> bool {
        let has =
            |(name, glob): &(String, Wildcard)| self.env.iter().any(|(of, text)| of == name && glob.matches(text));
        on.step.as_ref().is_none_or(|step| step.matches(&self.step))
            && on.text.as_ref().is_none_or(|text| self.forms.iter().any(|form| text.matches(form)))
            && on.env.iter().all(has)
    }
}

impl SeenRequest {
    pub fn of(request: &crate::port::HttpRequest, body: Vec<u8>) -> SeenRequest {
        SeenRequest {
            step: who(&request.step, request.looks),
            method: request.method.clone(),
            url: request.url.to_string(),
            headers: request.headers.clone(),
            body,
        }
    }

    pub fn matches(&self, on: &RequestPattern) -> bool {
        let has = |(name, glob): &(String, Wildcard)| {
            self.headers.iter().any(|(of, text)| of.eq_ignore_ascii_case(name) && glob.matches(text))
        };
        let json = |wanted: &serde_json::Value| {
            serde_json::from_slice(&self.body).is_ok_and(|sent: serde_json::Value| holds(&sent, wanted))
        };
        on.step.as_ref().is_none_or(|step| step.matches(&self.step))
            && on.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&self.method))
            && self.goes_to(&on.url)
            && on.body.as_ref().is_none_or(|body| body.matches(&String::from_utf8_lossy(&self.body)))
            && on.json.as_ref().is_none_or(json)
            && on.headers.iter().all(has)
    }

    fn goes_to(&self, url: &Wildcard) -> bool {
        let same = |text: &str| {
            url.matches(text)
                || url.is_exact() && url::Url::parse(url.as_str()).is_ok_and(|parsed| parsed.as_str() == text)
        };
        let bare = self.url.split(['?', '#']).next().unwrap_or_default();
        same(&self.url) || (!url.as_str().contains('?') && same(bare))
    }
}

/// The step as rules name it.
fn who(step: &crate::event::StepId, looks: bool) -> String {
    if looks { format!("{step}@verify") } else { step.to_string() }
}

/// A program with its arguments, as one would type them.
pub(super) fn words(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let word = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A line of a script with the values it is given in their places, and without the quotes around them: what a person
/// would say that it runs. It is matched against, and never run.
fn filled(line: &str, env: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.starts_with('{');
        let inner = if braced { &rest[1..] } else { rest };
        let length = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let value = env.iter().find(|(name, _)| *name == inner[..length]).map(|(_, value)| value);
        let whole = !braced || inner[length..].starts_with('}');
        match value {
            Some(value) if whole => {
                text.push_str(value);
                rest = &inner[length + usize::from(braced)..];
            }
            _ => text.push('$'),
        }
    }
    text.push_str(rest);
    text.retain(|c| c != '"');
    text
}

/// Whether JSON holds everything that is wanted of it: of an object every key that is named.
pub fn holds(sent: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    match (sent, wanted) {
        (serde_json::Value::Object(sent), serde_json::Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| sent.get(key).is_some_and(|sent| holds(sent, wanted)))
        }
        (serde_json::Value::Number(sent), serde_json::Value::Number(wanted)) => {
            sent == wanted || sent.as_f64() == wanted.as_f64()
        }
        (sent, wanted) => sent == wanted,
    }
}
