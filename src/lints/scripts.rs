//! Rules about the commands of scripts. Knows nothing of shells beyond the words of a command.

use std::collections::HashSet;

use super::look::{Seen, warn};
use crate::{
    model::{Body, Script, ScriptWord},
    syntax::Template,
    text::{Diagnostic, Span},
};

/// Words in front of a command that is started all the same.
const WRAPPERS: [&str; 13] = [
    "sudo", "doas", "env", "command", "exec", "time", "nice", "nohup", "ionice", "timeout", "setsid", "stdbuf", "xargs",
];

/// Commands that the shell runs itself: what they are given is in no list of arguments that others can see.
const BUILTINS: [&str; 40] = [
    ".",
    ":",
    "[",
    "[[",
    "alias",
    "break",
    "case",
    "cd",
    "continue",
    "declare",
    "done",
    "echo",
    "esac",
    "eval",
    "exit",
    "export",
    "false",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "let",
    "local",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "test",
    "trap",
    "true",
    "typeset",
    "unset",
];

/// Short options of curl that are followed by a value of their own.
const CURL_VALUES: &str = "AbcCdDeEFhHKmoPQrtTuUwxXyYz";

/// A download whose failure looks like a success: curl ends with 0 whatever the server answered.
pub(super) fn curl_without_fail(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    let tell = |span: Span| {
        warn("curl-without-fail", span, "curl ends well whatever the server answers")
            .label("an error page is a success to it")
            .hint("add `--fail-with-body` or `-f`, or look at the status with `--write-out`")
    };
    for body in seen.bodies() {
        let parts = body.action.parts();
        for script in parts.scripts.iter().filter(|script| script.text.text.contains("curl")) {
            for command in &script.commands() {
                let words: Vec<&str> = command.iter().map(|word| word.text.as_str()).collect();
                if let Some(at) = program(&words).filter(|at| base(words[*at]) == "curl")
                    && !sees_failure(&words[at + 1..])
                {
                    found.push(tell(script.text.map.span(command[at].at.clone())));
                }
            }
        }
        for argv in &parts.programs {
            let words: Vec<&str> = argv.iter().map(Template::source).collect();
            if let Some(at) = program(&words).filter(|at| base(words[*at]) == "curl")
                && !sees_failure(&words[at + 1..])
            {
                found.push(tell(argv[at].span()));
            }
        }
    }
}

/// Which word is the command, behind assignments and words such as `sudo`.
fn program(words: &[&str]) -> Option<usize> {
    let mut wrapped = false;
    for (at, word) in words.iter().enumerate() {
        let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if is_assignment {
            continue;
        }
        if WRAPPERS.contains(&base(word)) {
            // `command -v curl` only asks whether there is one.
            if base(word) == "command" && words.get(at + 1).is_some_and(|next| matches!(*next, "-v" | "-V")) {
                return Some(at);
            }
            wrapped = true;
        } else if !(wrapped && (word.starts_with('-') || word.starts_with(|c: char| c.is_ascii_digit()))) {
            return Some(at);
        }
    }
    None
}

fn base(word: &str) -> &str {
    let word = word.trim_matches(['"', '\'']);
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether curl is told to fail, or somebody looks at the status, or nobody can tell.
fn sees_failure(arguments: &[&str]) -> bool {
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let bare = word.trim_matches(['"', '\'']);
        // `"${options[@]}"` and a bare `$options` may hold anything; a quoted value is one argument.
        if word.starts_with('$') || word.contains("[@]") || bare == "-q" && word.contains('$') {
            return true;
        }
        if let Some(long) = bare.strip_prefix("--") {
            let name = long.split('=').next().unwrap_or(long);
            if ["fail", "fail-with-body", "fail-early", "write-out", "config", "version", "help", "manual"]
                .contains(&name)
            {
                return name != "fail-early";
            }
            continue;
        }
        let Some(flags) = bare.strip_prefix('-') else { continue };
        for (at, flag) in flags.char_indices() {
            match flag {
                'f' | 'w' | 'K' | 'V' | 'M' => return true,
                flag if CURL_VALUES.contains(flag) => {
                    if at + flag.len_utf8() == flags.len() {
                        rest.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    // Without an argument it does nothing but complain.
    arguments.is_empty()
}

/// A secret that everybody on the machine can read in the list of processes.
pub(super) fn secret_in_arguments(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    if !seen.has_secrets() {
        return;
    }
    for step in seen.steps() {
        for body in seen.bodies_of(step) {
            let handed = handed_secrets(body, seen);
            let is_secret = |name: &str| seen.is_secret(name) || handed.contains(name);
            let parts = body.action.parts();
            for argv in &parts.programs {
                for reference in argv.iter().flat_map(|argument| argument.references()) {
                    if seen.is_secret(&reference.name) {
                        found.push(tell(&reference.name, "a program", reference.span));
                    }
                }
            }
            for script in &parts.scripts {
                in_script(script, &is_secret, found);
            }
        }
    }
}

/// Variables of `env` that hold a secret.
fn handed_secrets<'b>(body: &'b Body, seen: &Seen<'_>) -> HashSet<&'b str> {
    let holds = |template: &Template| template.references().iter().any(|reference| seen.is_secret(&reference.name));
    body.env.iter().filter(|(_, template)| holds(template)).map(|(name, _)| name.value.as_str()).collect()
}

fn tell(name: &str, by: &str, span: Span) -> Diagnostic {
    warn("secret-in-arguments", span, format!("`{name}` is a secret, and becomes an argument of {by}"))
        .label("everybody on that machine can read it in the list of processes")
        .hint("hand it over on standard input or in a variable: `env:`, `<<<\"$name\"`, or an option such as `--config -`")
}

fn in_script(script: &Script<'_>, is_secret: &dyn Fn(&str) -> bool, found: &mut Vec<Diagnostic>) {
    let functions = functions(&script.text.text);
    for command in &script.commands() {
        let Some((at, name)) = external(command, &functions) else { continue };
        for (value, place) in command[at + 1..].iter().flat_map(|word| &word.values) {
            if is_secret(value) {
                found.push(tell(value, &format!("`{name}`"), script.text.map.span(place.clone())));
            }
        }
    }
}

/// The word of a command that starts a program, and the program; none for what the shell does itself.
fn external<'c>(command: &'c [ScriptWord], functions: &HashSet<&str>) -> Option<(usize, &'c str)> {
    let words: Vec<&str> = command.iter().map(|word| word.text.as_str()).collect();
    // A piece of a test, an assignment, or a word that is computed: nobody can say what it starts.
    let tested = words.last() == Some(&"]]") || words.get(1).is_some_and(|word| ["==", "!=", "=~", "="].contains(word));
    if tested {
        return None;
    }
    let at = words.iter().position(|word| {
        let assigned = word.split_once('=').is_some_and(|(name, _)| {
            let name = name.trim_end_matches('+');
            !name.is_empty() && !name.starts_with('-') && !name.contains(['/', '$', '"', '\'', '{'])
        });
        !assigned && *word != "command" && *word != "builtin"
    })?;
    let name = base(words[at]);
    let plain = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte))
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !name.starts_with('-');
    (plain && !BUILTINS.contains(&name) && !functions.contains(name)).then_some((at, name))
}

/// Functions that a script declares.
fn functions(script: &str) -> HashSet<&str> {
    let mut found = HashSet::new();
    for line in script.lines() {
        let line = line.trim_start();
        let line = line.strip_prefix("function ").unwrap_or(line);
        if let Some((name, rest)) = line.split_once('(')
            && rest.trim_start().starts_with(')')
        {
            found.insert(name.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curl_is_told_to_fail_in_many_ways() {
        let fails = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = program(&words).filter(|at| base(words[*at]) == "curl");
            at.map(|at| sees_failure(&words[at + 1..]))
        };
        for line in [
            "curl -f x",
            "curl -sSf x",
            "curl -fsS x",
            "/usr/bin/curl --fail x",
            "curl --fail-with-body x",
            "A=1 sudo -n timeout -k 5 10s curl -sf x",
            "curl -o /dev/null -w %{http_code} x",
            "curl $options x",
            "curl \"${options[@]}\" x",
            "curl -K - ",
            "curl --version",
            "curl --config=x",
            "curl",
        ] {
            assert_eq!(fails(line), Some(true), "{line}");
        }
        for line in [
            "curl x",
            "curl -sS \"$url\"",
            "curl -of x",
            "curl -o f x",
            "curl -XPOST x",
            "curl -H fail x",
            "curl --fail-early x",
            "curl --failx x",
            "xargs -n 1 curl -s",
        ] {
            assert_eq!(fails(line), Some(false), "{line}");
        }
        for line in ["command -v curl", "echo curl", "apt-get install curl", "need curl x", "x=curl"] {
            assert_eq!(fails(line), None, "{line}");
        }
    }
}
