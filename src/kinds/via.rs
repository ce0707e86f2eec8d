//! `via` of `shell`: a script that runs elsewhere, behind a program that leads there. Knows what is said of it in a file
//! and what its end means, and not how it is carried.

use std::time::Duration;

use indexmap::IndexMap;

use super::report::{open_end, process_failure};
use crate::{
    event::{Effect, StepStatus},
    model::{Lowering, Setting, fits_argument},
    port::{Failure, ProcessEnd, RemoteEnd, RemoteScript, StepReport},
    syntax::{Eval, Given, Problems, Template},
    text::{Diagnostic, Span},
    value::{Scope, show_duration},
};

/// What the program that leads there is to start.
const BASH: [&str; 4] = ["bash", "-euo", "pipefail", "-s"];
/// Variables of every step that belong to this machine and its user.
const OF_HERE: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TERM", "TMPDIR", "SSH_AUTH_SOCK"];
/// Options of ssh that are followed by a value of their own.
const SSH_OPTIONS: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// The program that leads there, and its arguments.
#[derive(Debug)]
pub(super) struct Via {
    words: Vec<Template>,
}

/// Where it stands beside others it does not go with.
pub(super) struct Beside {
    pub exec: Option<Span>,
    pub tty: Option<Span>,
    pub daemon: Option<Span>,
    /// Unless it is bash.
    pub interpreter: Option<Span>,
}

pub(super) fn lower(at: Span, given: &Given<'_>, beside: &Beside, lowering: &Lowering) -> Option<Via> {
    let problems = given.problems();
    for (other, message, hint) in [
        (
            beside.exec,
            "`via` goes with `script`, not with `exec`",
            "put the program that leads there first in `exec`; it gets all of it as arguments",
        ),
        (
            beside.tty,
            "`shell` takes `via` or `tty`, not both",
            "the script itself is what the program reads; a terminal cannot be that as well",
        ),
        (
            beside.daemon,
            "`shell` takes `via` or `daemon`, not both",
            "what a script leaves running elsewhere is not seen from here; a port forward is a step of its own",
        ),
        (
            beside.interpreter,
            "`via` runs the script with bash, and takes no other `interpreter`",
            "start it in the script: python3 - <<'END'",
        ),
    ] {
        let Some(other) = other else { continue };
        let (first, second) = if at.start < other.start { (at, other) } else { (other, at) };
        problems
            .push(Diagnostic::error("conflict", second, message).related(first, "does not go with this").hint(hint));
    }
    let words: Vec<Template> = given.command()?.iter().filter_map(|item| lowering.template(item)).collect();
    let via = Via { words };
    via.check(problems);
    Some(via)
}

impl Via {
    pub fn words(&self) -> &[Template] {
        &self.words
    }

    /// The program, where the file names it.
    pub fn program(&self) -> Option<&str> {
        self.words.first().filter(|word| word.is_literal()).map(Template::source)
    }

    fn is(&self, name: &str) -> bool {
        self.program().is_some_and(|program| program.rsplit('/').next() == Some(name))
    }

    /// Slips that would keep the script from its destination, or make code of a value.
    fn check(&self, problems: &Problems) {
        let code = |word: &Template, by: &str| {
            Diagnostic::warning("value-as-code", word.span(), format!("`{by}` has this read by another shell as code"))
                .label("a blank or a `;` in the value would be obeyed")
                .hint("quote it: \"{{ name|shell_quote }}\", or let the script use it: there it is only a value")
        };
        let suspect = |word: &&Template| !word.is_literal() && !word.source().contains("shell_quote");
        if self.is("ssh") {
            let mut words = self.words.iter().skip(1);
            while let Some(word) = words.next() {
                let text = word.source();
                let Some(option) = text.strip_prefix('-').filter(|_| text != "--") else {
                    if text == "--" {
                        words.next();
                    }
                    break;
                };
                let flags = option.trim_end_matches(|c| SSH_OPTIONS.contains(c));
                if let Some(bad) = ["n", "f", "N", "tt"].iter().find(|bad| option == **bad) {
                    let why = if *bad == "tt" {
                        "a terminal over there shows what is sent to it, and obeys its control characters"
                    } else {
                        "it keeps ssh from handing the script on"
                    };
                    problems.push(
                        Diagnostic::error(
                            "wrong-value",
                            word.span(),
                            format!("`-{bad}` of ssh does not go with `via`"),
                        )
                        .label(why)
                        .hint("write [ssh, -T, \"{{ host }}\", --]"),
                    );
                }
                // Such as `-p 22`, where the value is the next word.
                if flags.len() + 1 == option.len() && flags.chars().all(|c| c.is_ascii_alphabetic()) {
                    words.next();
                }
            }
            problems.extend(words.filter(suspect).map(|word| code(word, "ssh")));
        } else if ["sh", "bash", "dash", "zsh", "ksh"].iter().any(|shell| self.is(shell)) {
            let flag = |word: &Template| {
                word.source()
                    .strip_prefix('-')
                    .is_some_and(|flags| flags.ends_with('c') && flags.bytes().all(|flag| flag.is_ascii_lowercase()))
            };
            let after = self.words.iter().skip_while(|word| !flag(word)).nth(1);
            problems.extend(after.filter(suspect).map(|word| code(word, "-c")));
        }
    }

    /// The whole command, as far as it is known.
    pub fn shown(&self, scope: &Scope) -> Vec<String> {
        self.words.iter().map(|word| word.show(scope, &[])).chain(BASH.map(str::to_owned)).collect()
    }

    /// The whole command. `Err` holds what it waits for.
    pub fn argv(&self, scope: &Scope) -> Result<Result<Vec<String>, Vec<String>>, Diagnostic> {
        let (mut argv, mut waiting) = (Vec::new(), Vec::new());
        let mut options = true;
        for (at, word) in self.words.iter().enumerate() {
            match word.eval(scope, &[])? {
                Eval::Value(value) => {
                    let text = value.to_env().unwrap_or_default();
                    fits_argument(&text, word.span())?;
                    // A host named `-oProxyCommand=…` would be a command for ssh.
                    if at > 0 && options && text.starts_with('-') && word.source().trim_start().starts_with('{') {
                        let program = self.program().unwrap_or("the program");
                        return Err(Diagnostic::error("option-from-value", word.span(), "this value begins with `-`")
                            .label(format!("`{program}` would take it for an option"))
                            .hint("write the option itself into the file, or `--` in front of the value"));
                    }
                    options &= text != "--";
                    argv.push(text);
                }
                Eval::Deferred(names) => waiting.extend(names),
            }
        }
        argv.extend(BASH.map(str::to_owned));
        Ok(if waiting.is_empty() { Ok(argv) } else { Err(waiting) })
    }

    /// What the script is given: the values it mentions, what it mentions of `requires.env`, and the step's `env`.
    pub fn carried(
        script: &str,
        mentioned: IndexMap<String, Option<String>>,
        words: impl Iterator<Item = String>,
        setting: &Setting<'_>,
    ) -> RemoteScript {
        let mut variables = IndexMap::new();
        for word in words {
            let required = setting.base_env.iter().find(|(name, _)| *name == word && !OF_HERE.contains(&name.as_str()));
            if let Some((name, value)) = required {
                variables.insert(name.clone(), Some(value.clone()));
            }
        }
        variables.extend(mentioned);
        variables.extend(setting.env.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
        RemoteScript { variables: variables.into_iter().collect(), script: script.to_owned() }
    }
}

/// How such a process ended, as the end of a step before it is judged.
pub(super) fn ended(effect: Effect, end: &ProcessEnd, limit: Option<Duration>, program: &str) -> StepReport {
    let how = |exit: Option<i32>| match exit {
        _ if end.timed_out => {
            let limit = limit.map(|limit| format!(" within {}", show_duration(limit))).unwrap_or_default();
            format!("`{program}` did not end{limit} and was stopped")
        }
        _ if end.cancelled => "it was interrupted".to_owned(),
        Some(code) => format!("`{program}` ended with {code}"),
        None => format!("`{program}` was killed"),
    };
    match end.remote {
        Some(RemoteEnd::NotBegun(exit)) => {
            let mut why = format!("{}, and had not taken the script: nothing of it has run", how(exit));
            if exit == Some(0) {
                why.push_str("; does it hand on what it reads (`docker exec -i`, ssh without `-n`)?");
            }
            StepReport::failed(Failure::plain(why))
        }
        Some(RemoteEnd::Lost(exit)) => {
            let why = format!("{}, and nobody heard how the script ended over there; it may still run", how(exit));
            open_end(effect, why)
        }
        Some(RemoteEnd::Ended) => {
            let mut report = StepReport::of(StepStatus::Succeeded);
            if end.timed_out || end.cancelled || end.signal.is_some() {
                report.notes.push(format!("the script had ended; {}", how(None)));
            }
            report
        }
        Some(RemoteEnd::Silent) | None => process_failure(effect, end, limit).unwrap_or_else(|| {
            let mut report = StepReport::of(StepStatus::Succeeded);
            if end.remote.is_some() {
                report.notes.push(format!(
                    "nothing was heard of the script: this is how `{program}` ended, which may have run something else"
                ));
            }
            report
        }),
    }
}
