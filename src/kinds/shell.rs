//! `shell`: a script or a program. Knows nothing of supervisors or of how output is kept.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    script::{Suspicion, commands, file_words, plain_path, suspicions},
    shell_task::ShellTask,
    via::{self, Beside, Via},
};
use crate::{
    event::{Effect, StepId},
    model::{
        Action, Block, DefaultExpect, FieldDoc, FileUse, Kind, Lowering, Names, ONE_STRING_LIMIT, Outline, Parts,
        Resolution, Rule, Script, Setting, Shown, Takes, fits_argument, fits_script, fits_variable,
    },
    port::{ProcessRequest, Stdin},
    syntax::{Eval, Foreign, Given, NodeKind, Problems, Reference, Rendered, Template, Text},
    text::{Diagnostic, Span, nearest},
    value::{Scope, Slot},
};

pub const KIND: Kind = Kind {
    name: "shell",
    summary: "Runs a script with bash, or a program without a shell.",
    short: Some(Takes::Filled),
    fields: &[
        FieldDoc::new("script", Takes::Filled, "the script, as it would be pasted; values reach it as `$name`"),
        FieldDoc::new(
            "exec",
            Takes::List { of: &Takes::Template, least: 1 },
            "program and arguments, each a template, without a shell",
        ),
        FieldDoc::new("interpreter", Takes::Line, "what runs the script; bash if absent"),
        FieldDoc::new(
            "via",
            Takes::List { of: &Takes::Template, least: 1 },
            "a program that leads elsewhere, such as [ssh, -T, \"{{ host }}\", --]: the script runs there",
        ),
        FieldDoc::new("tty", Takes::Boolean, "gives it a pseudo-terminal, relayed to the operator's; Ctrl-] leaves it"),
        FieldDoc::new(
            "daemon",
            Takes::Boolean,
            "what it leaves running, such as a port forward, goes on until the end of the run",
        ),
        FieldDoc::new("kill_grace", Takes::FixedDuration, "between the polite signal and KILL; 10s if absent"),
        FieldDoc::new(
            "max_output",
            Takes::Bytes,
            "how much of each stream is kept for expressions, such as 64 KiB; 4 MiB if absent",
        ),
    ],
    rules: &[Rule::ExactlyOne(&["script", "exec"]), Rule::Goes("interpreter", "script"), Rule::Goes("via", "script")],
    lower: Some(lower),
};

/// Words of other tools.
const FOREIGN: [Foreign; 5] = [
    ("command", "script", true),
    ("cmd", "script", true),
    ("run", "script", true),
    ("args", "exec", false),
    ("argv", "exec", true),
];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
const KILL_GRACE: Duration = Duration::from_secs(10);
const MAX_OUTPUT: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
struct Shell {
    what: What,
    /// The script runs elsewhere.
    via: Option<Via>,
    tty: bool,
    daemon: bool,
    kill_grace: Duration,
    max_output: u64,
}

#[derive(Debug)]
enum What {
    Script { text: Text, interpreter: Vec<String> },
    Exec(Vec<Template>),
}

fn lower(given: Given<'_>, lowering: &Lowering) -> Option<Box<dyn Action>> {
    let plain =
        |what| Shell { what, via: None, tty: false, daemon: false, kill_grace: KILL_GRACE, max_output: MAX_OUTPUT };
    if let NodeKind::Text(text) = &given.node().kind {
        let what = What::Script { text: script(text, false, given.problems())?, interpreter: vec!["bash".into()] };
        return Some(Box::new(plain(what)));
    }
    if !matches!(given.node().kind, NodeKind::Map(_)) {
        let hint = match given.node().kind {
            NodeKind::List(_) => "a program without a shell is {exec: [program, argument]}",
            _ => "write it like this: shell: echo hello",
        };
        return given.refuse("a script", Some(hint.to_owned()));
    }
    let fields = given.fields("`shell`")?;
    let mut fields = fields.closed(KIND.keys()).foreign(&FOREIGN).outer(Lowering::AROUND);
    let mut part = |key| {
        let entry = fields.take_entry(key)?;
        Some((entry.key.span, Given::field(&entry.value, key, given.problems())))
    };
    let (script_part, exec_part, interpreter) = (part("script"), part("exec"), part("interpreter"));
    let via_part = part("via");
    let mut flag = |name| {
        let entry = fields.take_entry(name)?;
        let set = Given::field(&entry.value, name, given.problems()).boolean()?;
        set.then_some(entry.key.span)
    };
    let (tty, daemon) = (flag("tty"), flag("daemon"));
    let kill_grace = fields.get("kill_grace").and_then(|given| given.duration());
    let max_output = fields.get("max_output").and_then(|given| given.bytes(1 << 30));
    let conflict = |at: Span, message: &str| Diagnostic::error("conflict", at, message);
    if let (Some((_, _)), Some((at, _)), None) = (&interpreter, &exec_part, &script_part) {
        let problem = conflict(interpreter.as_ref().map_or(*at, |(at, _)| *at), "`interpreter` goes with `script`")
            .related(*at, "a program that is run without a shell")
            .hint("remove it, or put it first in `exec`");
        given.problems().push(problem);
    }
    if let (Some(tty), Some(daemon)) = (tty, daemon) {
        let (first, second) = if tty.start < daemon.start { (tty, daemon) } else { (daemon, tty) };
        given.problems().push(
            conflict(second, "`shell` takes `tty` or `daemon`, not both")
                .related(first, "the other one")
                .hint("the terminal goes away with the step; what goes on cannot have it"),
        );
    }
    let is_bash = |given: &Given<'_>| matches!(&given.node().kind, NodeKind::Text(text) if text.text.trim() == "bash");
    let beside = Beside {
        exec: exec_part.as_ref().filter(|_| script_part.is_none()).map(|(at, _)| *at),
        tty,
        daemon,
        interpreter: interpreter.as_ref().filter(|(_, given)| !is_bash(given)).map(|(at, _)| *at),
    };
    let elsewhere = via_part.is_some();
    let via = via_part.and_then(|(at, given)| via::lower(at, &given, &beside, lowering));
    let what = match (script_part, exec_part) {
        (Some((script_at, script_given)), exec_part) => {
            if let Some((exec_at, _)) = exec_part {
                let (first, second) =
                    if script_at.start < exec_at.start { (script_at, exec_at) } else { (exec_at, script_at) };
                given.problems().push(
                    conflict(second, "`shell` takes `script` or `exec`, not both")
                        .related(first, "the other one")
                        .hint("a script runs in a shell; `exec` runs a program without one"),
                );
            }
            let words = interpreter.and_then(|(_, given)| given.line()).map_or_else(
                || vec!["bash".to_owned()],
                |line| line.text.split_whitespace().map(str::to_owned).collect(),
            );
            script_given
                .text()
                .and_then(|text| script(text, elsewhere, given.problems()))
                .map(|text| What::Script { text, interpreter: words })
        }
        (None, Some((_, given))) => {
            given.command().map(|items| What::Exec(items.iter().filter_map(|item| lowering.template(item)).collect()))
        }
        (None, None) => {
            if !fields.has_slip_of(&["script", "exec"]) {
                given.problems().push(
                    Diagnostic::error(
                        "missing-key",
                        Span::at(given.span().start),
                        "`shell` needs a `script` or an `exec`",
                    )
                    .hint("shell: echo hello"),
                );
            }
            None
        }
    };
    fields.finish();
    let max_output = max_output.unwrap_or(MAX_OUTPUT);
    let kill_grace = kill_grace.map_or(KILL_GRACE, |grace| grace.value);
    let (tty, daemon) = (tty.is_some(), daemon.is_some());
    Some(Box::new(Shell { via, tty, daemon, kill_grace, max_output, ..plain(what?) }))
}

fn script(text: &Text, elsewhere: bool, problems: &Problems) -> Option<Text> {
    if text.text.trim().is_empty() {
        problems.push(Diagnostic::error("wrong-value", text.span, "this script is empty").label("expected a script"));
        return None;
    }
    // One that runs elsewhere is no argument of anything.
    if !elsewhere && text.text.len() + 1 >= ONE_STRING_LIMIT {
        let message = format!("this script has {} bytes; at most 131071 fit", text.text.len());
        problems.push(
            Diagnostic::error("too-large", text.span, message)
                .hint("put it into a file beside the runbook and call that"),
        );
        return None;
    }
    if let Some(comment) = text.cut_by_comment {
        problems.push(
            Diagnostic::error("comment-cuts-text", comment, "YAML cut the script here: ` #` begins a comment")
                .label("not part of the script")
                .related(text.span, "all that is left of it")
                .hint("write the script as a block: `shell: |` and the script on the next lines"),
        );
    }
    Some(text.clone())
}

/// Words of a script that may name a value: `$name`, `${name…`, `${#name…`, `${!name…`, with their ranges.
pub fn mentions(script: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let bytes = script.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(dollar) = bytes[at..].iter().position(|b| *b == b'$').map(|i| at + i) {
        at = dollar + 1;
        let mut start = at;
        let braced = bytes.get(start) == Some(&b'{');
        if braced {
            start += 1;
            if matches!(bytes.get(start), Some(b'#' | b'!')) {
                start += 1;
            }
        }
        let length = bytes[start..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let word = &script[start..start + length];
        if length > 0 && !word.as_bytes()[0].is_ascii_digit() && !(braced && start + length == bytes.len()) {
            found.push((word.to_owned(), start..start + length));
        }
        at = start + length;
    }
    found
}

impl Shell {
    /// Whether values reach the script as variables by being mentioned.
    fn reads_variables(&self) -> bool {
        match &self.what {
            What::Script { interpreter, .. } => {
                let program = interpreter[0].rsplit('/').next().unwrap_or("");
                matches!(program, "bash" | "sh" | "dash" | "ksh" | "zsh" | "busybox")
            }
            What::Exec(_) => false,
        }
    }

    fn argv(text: &str, interpreter: &[String]) -> (Vec<String>, Stdin) {
        let program = interpreter[0].rsplit('/').next().unwrap_or("");
        let mut argv = interpreter.to_vec();
        let flags: &[&str] = match program {
            "bash" => &["--noprofile", "--norc", "-euo", "pipefail", "-c"],
            "sh" | "dash" | "ksh" | "zsh" => &["-eu", "-c"],
            "python" | "python3" => &["-c"],
            "perl" | "ruby" | "node" => &["-e"],
            // Others read their program from standard input.
            _ => return (argv, Stdin::Bytes(text.as_bytes().to_vec())),
        };
        argv.extend(flags.iter().map(|flag| (*flag).to_owned()));
        argv.push(text.to_owned());
        (argv, Stdin::Nothing)
    }
}

impl Action for Shell {
    fn references(&self, names: &Names) -> Vec<Reference> {
        let mut references: Vec<Reference> =
            self.via.iter().flat_map(Via::words).flat_map(|word| word.references().to_vec()).collect();
        references.extend(match &self.what {
            What::Script { text, .. } if self.reads_variables() => mentions(&text.text)
                .into_iter()
                .filter(|(word, _)| names.contains(word))
                .map(|(name, range)| Reference { in_script: true, ..Reference::to(name, text.map.span(range)) })
                .collect(),
            What::Script { .. } => Vec::new(),
            What::Exec(argv) => argv.iter().flat_map(|arg| arg.references().to_vec()).collect(),
        });
        references
    }

    fn outputs(&self) -> &'static [&'static str] {
        &["exit", "stdout", "stderr", "lines", "json", "truncated"]
    }

    fn files(&self, scope: &Scope) -> Vec<FileUse> {
        let mut files = Vec::new();
        let may = |word: &str| plain_path(word).map(|path| FileUse::MayRead(path.to_owned()));
        let words = |argv: &[Template], files: &mut Vec<FileUse>| {
            for (at, arg) in argv.iter().enumerate() {
                // A program without a slash is looked up elsewhere.
                if let Ok(Rendered::Text(word)) = arg.render(scope, &[])
                    && (at > 0 || word.contains('/'))
                {
                    files.extend(may(&word));
                }
            }
        };
        match &self.what {
            // What the script names stands elsewhere.
            What::Script { .. } if self.via.is_some() => {
                words(self.via.as_ref().map_or(&[], Via::words), &mut files);
            }
            What::Script { text, interpreter } => {
                files.extend(interpreter.iter().skip(1).filter_map(|word| may(word)));
                if self.reads_variables() {
                    let (reads, writes) = file_words(&text.text);
                    files.extend(reads.into_iter().map(FileUse::MayRead));
                    files.extend(writes.into_iter().map(FileUse::Writes));
                }
            }
            What::Exec(argv) => words(argv, &mut files),
        }
        files
    }

    fn parts(&self) -> Parts<'_> {
        let mut via: Vec<&[Template]> = self.via.iter().map(Via::words).collect();
        match &self.what {
            What::Script { text, interpreter } => {
                let shell = self.reads_variables().then(|| interpreter[0].rsplit('/').next().unwrap_or("bash"));
                Parts { scripts: vec![Script { text, shell, read: commands }], programs: via, ..Parts::default() }
            }
            What::Exec(argv) => {
                via.push(argv);
                Parts { programs: via, ..Parts::default() }
            }
        }
    }

    fn default_effect(&self) -> Effect {
        Effect::Change
    }

    fn default_expect(&self) -> DefaultExpect {
        DefaultExpect::ExitZero
    }

    fn default_timeout(&self) -> Option<Duration> {
        Some(DEFAULT_TIMEOUT)
    }

    fn takes_env(&self) -> bool {
        true
    }

    fn may_leave_running(&self) -> bool {
        self.daemon
    }

    fn is_one_process(&self) -> bool {
        true
    }

    fn fits(&self, name: &str, value: &str, at: Span) -> Result<(), Diagnostic> {
        if self.via.is_some() { fits_script(name, value, at) } else { fits_variable(name, value, at) }
    }

    fn tools(&self) -> Vec<String> {
        self.via.iter().filter_map(|via| via.program().map(str::to_owned)).collect()
    }

    fn check(&self, names: &Names, variables: &[&str], problems: &mut Vec<Diagnostic>) {
        let What::Script { text, .. } = &self.what else { return };
        if self.reads_variables() {
            let set = |word: &str| variables.contains(&word);
            for suspicion in suspicions(&text.text, &|word| names.contains(word), &set) {
                // Nobody knows what else is set elsewhere: there it is a slip only where it looks like one.
                if let (Some(_), Suspicion::Unset { word, .. }) = (&self.via, &suspicion)
                    && nearest(word, names.words()).is_none()
                {
                    continue;
                }
                problems.push(warning(suspicion, text, names));
            }
        }
        for (start, _) in text.text.match_indices("{{") {
            let rest = &text.text[start + 2..];
            let inner = rest.split("}}").next().unwrap_or("");
            let word: String = inner
                .trim_start_matches(['-', '+'])
                .trim_start()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let reserved = ["run", "steps", "result"].contains(&word.as_str());
            if names.contains(&word) || reserved {
                let end = if rest.contains("}}") { start + 2 + inner.len() + 2 } else { start + 2 + word.len() };
                let end = if inner.contains('\n') { start + 2 } else { end };
                problems.push(
                    Diagnostic::error("template-in-script", text.map.span(start..end), "a script holds no templates")
                        .label(format!("`{word}` would be put into the script as code"))
                        .hint(if reserved {
                            let whole = inner.trim();
                            format!("hand it over: `env: {{VALUE: \"{{{{ {whole} }}}}\"}}`, and write \"$VALUE\"")
                        } else {
                            format!("write \"${word}\": the value is handed over as a variable of that name")
                        }),
                );
            }
        }
    }

    fn show(&self, scope: &Scope) -> Shown {
        match &self.what {
            What::Script { text, interpreter } => {
                let mut values = IndexMap::new();
                if self.reads_variables() {
                    for (word, _) in mentions(&text.text) {
                        let shown = match scope.get(&word) {
                            None => continue,
                            Some(Slot::Known(value)) => value.to_env().unwrap_or_else(|| "(not set)".into()),
                            Some(Slot::Absent) => "(not set)".into(),
                            Some(Slot::Unknown { origin }) => format!("‹{origin}›"),
                            Some(Slot::Hidden) => format!("‹{word}›"),
                        };
                        values.insert(word, shown);
                    }
                }
                let mut detail = text.text.trim_end().to_owned();
                let mut lines = detail.lines().filter(|line| !line.trim().is_empty());
                let first = lines.next().unwrap_or("").trim().to_owned();
                let first = if lines.next().is_some() { format!("{first} …") } else { first };
                let mut headline =
                    if interpreter == &["bash"] { first } else { format!("{}: {first}", interpreter.join(" ")) };
                if let Some(via) = &self.via {
                    let command: Vec<String> = via.shown(scope).iter().map(|word| quoted(word)).collect();
                    detail = format!("{} <<SCRIPT\n{detail}\nSCRIPT", command.join(" "));
                    headline = format!("{}: {headline}", command[..via.words().len()].join(" "));
                }
                Shown { headline, detail, values: values.into_iter().collect() }
            }
            What::Exec(argv) => {
                let shown: Vec<String> = argv.iter().map(|arg| quoted(&arg.show(scope, &[]))).collect();
                Shown { headline: shown.join(" "), detail: shown.join(" "), values: Vec::new() }
            }
        }
    }

    fn outline(&self) -> Outline {
        match &self.what {
            What::Script { text, interpreter } => Outline {
                verb: match (self.tty, self.daemon) {
                    _ if let Some(via) = &self.via => {
                        let words: Vec<String> = via.words().iter().map(|word| quoted(word.source())).collect();
                        format!("Run elsewhere, through `{}`", words.join(" "))
                    }
                    (true, _) => "Run, at your terminal".into(),
                    (_, true) => "Run, and leave running what it starts".into(),
                    _ => "Run".into(),
                },
                blocks: vec![Block::Code {
                    language: if interpreter == &["bash"] { "bash" } else { "text" },
                    text: text.text.trim_end().to_owned(),
                }],
            },
            What::Exec(argv) => Outline {
                verb: if self.daemon {
                    "Run, without a shell, and leave running what it starts".into()
                } else {
                    "Run, without a shell".into()
                },
                blocks: vec![Block::Code {
                    language: "text",
                    text: argv.iter().map(|arg| quoted(arg.source())).collect::<Vec<_>>().join(" "),
                }],
            },
        }
    }

    fn resolve(&self, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
        let mut env: IndexMap<String, String> = setting.base_env.iter().cloned().collect();
        let mut waiting = Vec::new();
        let (argv, stdin) = match &self.what {
            What::Script { text, .. } if let Some(via) = &self.via => {
                let mentioned = mentions(&text.text);
                let mut values = IndexMap::new();
                for (word, range) in &mentioned {
                    let value = match setting.scope.get(word) {
                        Some(Slot::Known(value)) => value.to_env(),
                        Some(Slot::Unknown { origin }) => {
                            waiting.push(origin.to_string());
                            continue;
                        }
                        Some(Slot::Hidden) => {
                            waiting.push(word.clone());
                            continue;
                        }
                        Some(Slot::Absent) => None,
                        None => continue,
                    };
                    if let Some(value) = &value {
                        fits_script(word, value, text.map.span(range.clone()))?;
                    }
                    values.insert(word.clone(), value);
                }
                let argv = match via.argv(setting.scope)? {
                    Ok(argv) => argv,
                    Err(names) => {
                        waiting.extend(names);
                        Vec::new()
                    }
                };
                let words = mentioned.into_iter().map(|(word, _)| word);
                (argv, Stdin::Remote(Via::carried(&text.text, values, words, setting)))
            }
            What::Script { text, interpreter } => {
                if self.reads_variables() {
                    for (word, range) in mentions(&text.text) {
                        match setting.scope.get(&word) {
                            Some(Slot::Known(value)) => {
                                if let Some(exported) = value.to_env() {
                                    fits_variable(&word, &exported, text.map.span(range))?;
                                    env.insert(word, exported);
                                }
                            }
                            Some(Slot::Unknown { origin }) => waiting.push(origin.to_string()),
                            Some(Slot::Hidden) => waiting.push(word),
                            Some(Slot::Absent) | None => {}
                        }
                    }
                }
                Self::argv(&text.text, interpreter)
            }
            What::Exec(templates) => {
                let mut argv = Vec::new();
                for template in templates {
                    match template.eval(setting.scope, &[])? {
                        Eval::Value(value) => {
                            let text = value.to_env().unwrap_or_default();
                            fits_argument(&text, template.span())?;
                            argv.push(text);
                        }
                        Eval::Deferred(names) => waiting.extend(names),
                    }
                }
                (argv, Stdin::Nothing)
            }
        };
        if !waiting.is_empty() {
            waiting.dedup();
            return Ok(Resolution::Deferred(waiting));
        }
        // What the step hands over is for the script, wherever that runs.
        if self.via.is_none() {
            env.extend(setting.env.iter().cloned());
        }
        let shown = self.show(setting.scope);
        Ok(Resolution::Task(Box::new(ShellTask {
            effect: setting.effect,
            detail: shown.detail,
            max_output: self.max_output,
            tty: self.tty,
            request: ProcessRequest {
                step: StepId::new(""),
                attempt: 0,
                number: 0,
                effect: setting.effect,
                looks: false,
                argv,
                stdin,
                env: env.into_iter().collect(),
                cwd: setting.cwd.clone(),
                tty: self.tty,
                daemon: self.daemon,
                timeout: setting.timeout,
                kill_grace: self.kill_grace,
                record_dir: None,
            },
        })))
    }
}

fn warning(suspicion: Suspicion, text: &Text, names: &Names) -> Diagnostic {
    match suspicion {
        Suspicion::Unset { word, at } => {
            let message = format!("`{word}` is neither declared nor set in this script");
            let warning = Diagnostic::warning("unset-variable", text.map.span(at), message).label("nobody sets it");
            match nearest(&word, names.words()) {
                Some(near) => warning.hint(format!("did you mean `${near}`?")),
                None => warning.hint("scripts see declared names, `env` and what `requires: {env: [...]}` lists"),
            }
        }
        Suspicion::Code { word, by, at } => {
            let message = format!("`{by}` reads the value of `{word}` as code");
            Diagnostic::warning("value-as-code", text.map.span(at), message)
                .label("a quote or a `;` in it would be obeyed")
                .hint("pass it as an argument or a variable of its own, or on standard input")
        }
    }
}

/// An argument as a shell would need it quoted, for reading.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,‹›{}".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn finds_what_a_script_means() {
        let words = |script| mentions(script).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(
            words("echo $version ${tag} ${#list} ${!ref} ${x:-y} $1 $? $$ '$quoted' ${un"),
            ["version", "tag", "list", "ref", "x", "quoted"]
        );
        assert!(words("no variables, 5$").is_empty());
    }
}
