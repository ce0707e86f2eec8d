//! What a shell script says, read just closely enough to warn about it: words, quotes, comments. Runs nothing, and
//! knows no value.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::shell::mentions;
use crate::model::ScriptWord;

/// Something about a script that is most often a slip.
#[derive(Debug, PartialEq)]
pub(super) enum Suspicion {
    /// A variable that nobody sets.
    Unset { word: String, at: Range<usize> },
    /// A value in a text that another shell reads as code.
    Code { word: String, by: String, at: Range<usize> },
}

/// Variables that bash sets by itself, and what every script is given.
const GIVEN: [&str; 44] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TERM",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "IFS",
    "PWD",
    "OLDPWD",
    "UID",
    "EUID",
    "PPID",
    "RANDOM",
    "SRANDOM",
    "SECONDS",
    "LINENO",
    "PIPESTATUS",
    "HOSTNAME",
    "HOSTTYPE",
    "OSTYPE",
    "MACHTYPE",
    "REPLY",
    "OPTARG",
    "OPTIND",
    "OPTERR",
    "FUNCNAME",
    "SHELL",
    "SHLVL",
    "SHELLOPTS",
    "COLUMNS",
    "LINES",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "DIRSTACK",
    "GROUPS",
    "MAPFILE",
    "COPROC",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "LC_ALL",
    "_",
];

const SHELLS: [&str; 9] = ["bash", "sh", "dash", "zsh", "ksh", "ash", "su", "python", "python3"];
/// Options of ssh that are followed by a value of their own.
const SSH_OPTIONS: &str = "BbcDEeFIiJLlmOopQRSWw";

/// `declared` are names of the runbook, `set` whatever else is known to be set.
pub(super) fn suspicions(script: &str, declared: &dyn Fn(&str) -> bool, set: &dyn Fn(&str) -> bool) -> Vec<Suspicion> {
    let read = Reader::read(script);
    let mut found = Vec::new();
    let live = |at: &Range<usize>| !within(&read.literal, at.start);
    // A file that is read in may set anything.
    if !read.sources {
        for (word, at) in mentions(script) {
            let known = declared(&word)
                || set(&word)
                || GIVEN.contains(&word.as_str())
                || word.starts_with("BASH")
                || word.starts_with("COMP_");
            let told = found.iter().any(|other| matches!(other, Suspicion::Unset { word: of, .. } if *of == word));
            if !known && !told && live(&at) && !is_optional(script, at.end) && !is_assigned(script, &word) {
                found.push(Suspicion::Unset { word, at });
            }
        }
    }
    for command in &read.commands {
        let Some((by, words)) = command.code() else { continue };
        for word in words {
            let text = &script[word.clone()];
            for (name, at) in mentions(text) {
                let at = word.start + at.start..word.start + at.end;
                if declared(&name) && live(&at) {
                    found.push(Suspicion::Code { word: name, by: by.clone(), at });
                }
            }
        }
    }
    found
}

/// The simple commands of a script, those inside quotes included. Redirections are no words of theirs.
pub(super) fn commands(script: &str) -> Vec<Vec<ScriptWord>> {
    let mut found = Vec::new();
    read_commands(script, 0..script.len(), 0, &mut found);
    found
}

/// Substitutions may be nested; nobody nests them deeper.
const NESTED: usize = 16;

fn read_commands(script: &str, part: Range<usize>, depth: usize, found: &mut Vec<Vec<ScriptWord>>) {
    let Some(text) = script.get(part.clone()) else { return };
    let read = Reader::read(text);
    for command in &read.commands {
        let words = command.words.iter().filter(|(_, at)| {
            let before = text[..at.start].trim_end_matches([' ', '\t']);
            !read.targets.contains(at) && !before.ends_with('<')
        });
        let words: Vec<ScriptWord> = words
            .map(|(word, at)| ScriptWord {
                text: word.clone(),
                at: part.start + at.start..part.start + at.end,
                values: read
                    .values(text, at)
                    .map(|(name, at)| (name, part.start + at.start..part.start + at.end))
                    .collect(),
            })
            .collect();
        if !words.is_empty() {
            found.push(words);
        }
    }
    if depth < NESTED {
        for inner in read.nested {
            read_commands(script, part.start + inner.start..part.start + inner.end, depth + 1, found);
        }
    }
}

/// Commands whose arguments are made, moved or taken away rather than read.
const WRITERS: [&str; 8] = ["rm", "mv", "touch", "tee", "truncate", "mkdir", "rmdir", "mkfifo"];

/// Words of a script that may be the names of files: those that are read, and those that something is written to. Only
/// what stands there literally and is relative to the folder of the step.
pub(super) fn file_words(script: &str) -> (Vec<String>, Vec<String>) {
    let read = Reader::read(script);
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for command in &read.commands {
        let first = command.words.first().map_or("", |(word, _)| word.as_str());
        let writer = WRITERS.contains(&first.rsplit('/').next().unwrap_or(""));
        for (at, (word, range)) in command.words.iter().enumerate() {
            let Some(path) = literal(word).and_then(plain_path) else { continue };
            if read.targets.contains(range) || (writer && at > 0) {
                writes.push(path.to_owned());
            } else if at > 0 || path.contains('/') {
                reads.push(path.to_owned());
            }
        }
    }
    (reads, writes)
}

/// What the shell makes of a word in which it has nothing to do but to take quotes off.
fn literal(word: &str) -> Option<&str> {
    let quoted = |mark| word.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    let inner = quoted('"').or_else(|| quoted('\'')).unwrap_or(word);
    let plain = !inner.contains(['$', '`', '\\', '"', '\'', '*', '?', '[', '{']);
    (plain && !inner.starts_with('~')).then_some(inner)
}

/// The relative path in an argument such as `x.yaml`, `-f=x.yaml`, `@x.json`.
pub(super) fn plain_path(word: &str) -> Option<&str> {
    let value = match word.split_once('=') {
        Some((option, value)) if option.starts_with('-') => value,
        _ => word,
    };
    let path = value.strip_prefix('@').unwrap_or(value);
    (!path.is_empty() && !path.starts_with(['/', '-']) && !path.contains(['\0', '\n'])).then_some(path)
}

/// `${word:-…}` and its kin say what happens where it is not set.
fn is_optional(script: &str, end: usize) -> bool {
    let rest = script[end..].strip_prefix(':').unwrap_or(&script[end..]);
    let braced = script[..end].rfind('$').is_some_and(|dollar| script[dollar..].starts_with("${"));
    braced && rest.starts_with(['-', '=', '+', '?'])
}

fn is_assigned(script: &str, word: &str) -> bool {
    static NAMING: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r"\b(?:for|select|read|mapfile|readarray|getopts|local|declare|typeset|export|readonly|let|printf\s+-v|wait\s+-\S*p)\b[^\n;|&]*",
        )
        .ok()
    });
    let is_word = |text: &str, at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !part(before) && !part(after) && before != Some('$')
    };
    let named = |text: &str| text.match_indices(word).any(|(at, _)| is_word(text, at));
    let set = script.match_indices(word).any(|(at, _)| {
        let rest = &script[at + word.len()..];
        // `a=`, `a+=`, `a[0]=`, `a++`, `{a}>`.
        let rest = match rest.strip_prefix('[') {
            Some(index) => index.split_once(']').map_or(rest, |(_, rest)| rest),
            None => rest,
        };
        let opened = script[..at].ends_with('{') && !script[..at].ends_with("${");
        let changed = ["=", "+=", "-=", "*=", "/=", "++", "--"].iter().any(|sign| rest.starts_with(sign));
        let descriptor = opened && (rest.starts_with("}>") || rest.starts_with("}<"));
        is_word(script, at) && ((changed && !rest.starts_with("==")) || descriptor || script[..at].ends_with("++"))
    });
    set || NAMING.as_ref().is_some_and(|naming| naming.find_iter(script).any(|found| named(found.as_str())))
}

/// The words of one simple command.
#[derive(Debug, Default)]
struct Command {
    words: Vec<(String, Range<usize>)>,
}

impl Command {
    /// The words that somebody else reads as code, and who.
    fn code(&self) -> Option<(String, Vec<Range<usize>>)> {
        let base = |text: &str| text.rsplit('/').next().unwrap_or("").to_owned();
        for (index, (word, _)) in self.words.iter().enumerate() {
            let rest = &self.words[index + 1..];
            let name = base(word);
            if name == "eval" {
                return Some((name, rest.iter().map(|(_, at)| at.clone()).collect()));
            }
            if name == "ssh" {
                let mut rest = rest.iter();
                // The first word that is no option is the host; what follows is the command over there.
                while let Some((word, _)) = rest.next() {
                    let Some(option) = word.strip_prefix('-') else { break };
                    if option.len() == 1 && SSH_OPTIONS.contains(option) {
                        rest.next();
                    }
                }
                return Some((name, rest.map(|(_, at)| at.clone()).collect()));
            }
            if SHELLS.contains(&name.as_str()) {
                let is_c = |(word, _): &&(String, Range<usize>)| {
                    word.strip_prefix('-')
                        .is_some_and(|flags| flags.ends_with('c') && flags.bytes().all(|b| b.is_ascii_lowercase()))
                };
                let flag = rest.iter().position(|word| is_c(&word))?;
                return Some((
                    format!("{name} -c"),
                    rest.get(flag + 1).map(|(_, at)| at.clone()).into_iter().collect(),
                ));
            }
            // Assignments, `sudo`, `timeout 5` and the like stand before; a word with a value ends the search.
            if word.contains('$') {
                return None;
            }
        }
        None
    }
}

/// Where nothing is expanded, and the commands.
#[derive(Default)]
struct Reader {
    literal: Vec<Range<usize>>,
    commands: Vec<Command>,
    sources: bool,
    /// Insides of `$(…)` in double quotes.
    nested: Vec<Range<usize>>,
    /// Words after `>`.
    targets: Vec<Range<usize>>,
    /// The next word is one of those.
    target: bool,
}

impl Reader {
    fn read(script: &str) -> Reader {
        let mut reader = Reader::default();
        let mut heredocs = Vec::new();
        let bytes = script.as_bytes();
        let mut at = 0;
        let mut command = Command::default();
        let mut word: Option<usize> = None;
        while at < bytes.len() {
            match bytes[at] {
                // The line goes on in the next one.
                b'\\' if bytes.get(at + 1) == Some(&b'\n') => at += 2,
                b'\\' => {
                    word.get_or_insert(at);
                    reader.literal.push(at + 1..at + 3);
                    at += 2;
                }
                b'\'' => {
                    word.get_or_insert(at);
                    let end = find(bytes, at + 1, b'\'');
                    reader.literal.push(at..end);
                    at = end + 1;
                }
                b'"' => {
                    word.get_or_insert(at);
                    at = reader.quoted(bytes, at + 1);
                }
                b'#' if word.is_none() => {
                    let end = find(bytes, at, b'\n');
                    reader.literal.push(at..end);
                    at = end;
                }
                b'<' if bytes[at..].starts_with(b"<<") && !bytes[at..].starts_with(b"<<<") => {
                    reader.word(script, &mut command, word.take(), at);
                    let start = at + 2 + usize::from(bytes.get(at + 2) == Some(&b'-'));
                    let start = start + bytes[start.min(bytes.len())..].iter().take_while(|b| **b == b' ').count();
                    let end = start + bytes[start..].iter().take_while(|b| !b" \t\n;|&<>)".contains(b)).count();
                    heredocs.push(&script[start..end]);
                    at = end.max(at + 2);
                }
                b'\n' => {
                    reader.word(script, &mut command, word.take(), at);
                    reader.end(&mut command);
                    at += 1;
                    for delimiter in heredocs.drain(..) {
                        let bare = delimiter.replace(['\'', '"', '\\'], "");
                        let end = end_of_heredoc(script, at, &bare);
                        // Quotes around the delimiter mean that nothing is expanded.
                        if bare != delimiter {
                            reader.literal.push(at..end);
                        }
                        at = end;
                    }
                }
                // Of `2>&1`: nothing ends here.
                b'&' if at > 0 && matches!(bytes[at - 1], b'>' | b'<') => at += 1,
                b';' | b'|' | b'&' | b'(' | b')' | b'`' => {
                    let part = bytes[at] == b'(' && at > 0 && bytes[at - 1] == b'$';
                    reader.word(script, &mut command, if part { None } else { word }, at);
                    word = None;
                    reader.end(&mut command);
                    at += 1;
                }
                sign @ (b' ' | b'\t' | b'<' | b'>') => {
                    reader.word(script, &mut command, word.take(), at);
                    match sign {
                        b'>' => reader.target = true,
                        b'<' => reader.target = false,
                        _ => {}
                    }
                    at += 1;
                }
                _ => {
                    word.get_or_insert(at);
                    at += 1;
                }
            }
        }
        reader.word(script, &mut command, word.take(), bytes.len());
        reader.end(&mut command);
        reader
    }

    /// Past the end of a text in double quotes, in which a command may stand that has quotes of its own.
    fn quoted(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let mut depth = 0_usize;
        let mut began = at;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => {
                    self.literal.push(at + 1..at + 3);
                    at += 2;
                    continue;
                }
                b'$' if bytes.get(at + 1) == Some(&b'(') => {
                    if depth == 0 {
                        began = at + 2;
                    }
                    depth += 1;
                    at += 1;
                }
                b')' if depth > 0 => {
                    depth -= 1;
                    if depth == 0 {
                        self.nested.push(began..at);
                    }
                }
                b'\'' if depth > 0 => {
                    let end = find(bytes, at + 1, b'\'');
                    self.literal.push(at..end);
                    at = end;
                }
                b'"' if depth == 0 => return at + 1,
                _ => {}
            }
            at += 1;
        }
        at
    }

    /// Variables whose values become part of a word.
    fn values(&self, script: &str, word: &Range<usize>) -> impl Iterator<Item = (String, Range<usize>)> {
        let start = word.start;
        mentions(&script[word.clone()]).into_iter().filter_map(move |(name, at)| {
            let at = start + at.start..start + at.end;
            let hidden = within(&self.literal, at.start) || within(&self.nested, at.start);
            // `${#name}` is a length, `${name:+…}` only asks whether there is one.
            let length = script[..at.start].ends_with("${#");
            let rest = script[at.end..].strip_prefix(':').unwrap_or(&script[at.end..]);
            let asked = script[..at.start].ends_with("${") && rest.starts_with('+');
            (!hidden && !length && !asked).then_some((name, at))
        })
    }

    fn word(&mut self, script: &str, command: &mut Command, start: Option<usize>, end: usize) {
        let Some(start) = start else { return };
        let end = end.min(script.len());
        let text = script.get(start..end).unwrap_or("").to_owned();
        if std::mem::take(&mut self.target) {
            self.targets.push(start..end);
        }
        let first = command.words.is_empty();
        if first && (text == "source" || text == ".") {
            self.sources = true;
        }
        // Words that only introduce a command.
        if first && ["if", "then", "else", "elif", "while", "until", "do", "!", "{", "time"].contains(&text.as_str()) {
            return;
        }
        command.words.push((text, start..end));
    }

    fn end(&mut self, command: &mut Command) {
        if !command.words.is_empty() {
            self.commands.push(std::mem::take(command));
        }
    }
}

/// Whether a place lies in one of these ranges, which stand in the order of their beginnings and hardly overlap.
fn within(ranges: &[Range<usize>], at: usize) -> bool {
    let before = ranges.partition_point(|range| range.start <= at);
    ranges[before.saturating_sub(2)..before].iter().any(|range| range.contains(&at))
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> usize {
    bytes.iter().skip(from).position(|b| *b == wanted).map_or(bytes.len(), |found| from + found)
}

/// The beginning of the line that ends it, or the end of the script.
fn end_of_heredoc(script: &str, from: usize, delimiter: &str) -> usize {
    let mut at = from;
    for line in script[from..].split_inclusive('\n') {
        if line.trim() == delimiter {
            return at;
        }
        at += line.len();
    }
    script.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(script: &str) -> Vec<String> {
        let found = suspicions(script, &|word| ["version", "host"].contains(&word), &|word| word == "NAMED");
        found
            .into_iter()
            .map(|suspicion| match suspicion {
                Suspicion::Unset { word, .. } => word,
                Suspicion::Code { word, by, .. } => format!("{word} by {by}"),
            })
            .collect()
    }

    #[test]
    fn tells_what_nobody_sets() {
        for (script, words) in [
            ("echo $verison", vec!["verison"]),
            ("echo $version $NAMED $HOME $1 $? ${BASH_SOURCE[0]}", vec![]),
            ("x=1; y+=2\necho $x $y $z", vec!["z"]),
            ("for i in 1 2; do echo $i; done", vec![]),
            ("while read -r a b; do echo $a $b; done < f", vec![]),
            ("awk '{print $foo}' # and $bar", vec![]),
            (r"echo \$foo", vec![]),
            ("cat <<'EOF'\n$foo\nEOF\ncat <<EOF\n$bar\nEOF\necho $baz", vec!["bar", "baz"]),
            ("echo ${foo:-x} ${bar-y} ${baz}", vec!["baz"]),
            ("local a=1 b; echo $a $b", vec![]),
            (". ./env; echo $foo", vec![]),
            ("((n++)); i=0; echo $((n + $m))", vec!["m"]),
            ("echo \"$(echo '$foo' \"$bar\")\" $bar", vec!["bar"]),
            ("exec {fd}<file; echo $fd; printf -v out x; echo $out", vec![]),
            ("if [ \"$a\" == x ]; then a == b; fi", vec!["a"]),
            ("echo 'é$x' \"é$y", vec!["y"]),
        ] {
            assert_eq!(told(script), words, "{script}");
        }
    }

    #[test]
    fn tells_values_that_become_code() {
        for (script, words) in [
            ("ssh -p 22 \"$host\" uptime", vec![]),
            ("ssh \"$host\" \"deploy $version\"", vec!["version by ssh"]),
            ("ssh -T host deploy '$version'", vec![]),
            ("eval \"x=$version\"", vec!["version by eval"]),
            ("sudo bash -lc \"echo $version\" \"$version\"", vec!["version by bash -c"]),
            ("grep -c \"$version\" f; git -c \"a=$version\" x", vec![]),
            ("x=$(ssh \"$host\" \"cat $version\")", vec!["version by ssh"]),
            ("bash -c 'echo \"$1\"' - \"$version\"", vec![]),
        ] {
            assert_eq!(told(script), words, "{script}");
        }
    }

    #[test]
    fn tells_files_that_are_read_from_those_that_are_written() {
        for (script, reads, writes) in [
            ("./migrate.sh --fast", "./migrate.sh --fast", ""),
            ("sh scripts/x.sh 'a b.txt'", "scripts/x.sh a b.txt", ""),
            ("kubectl apply -f=k8s/d.yaml; curl -d @body.json \"$url\"", "apply k8s/d.yaml body.json", ""),
            ("sort < in > out 2>&1; cat in >>log", "in 2 in", "out 1 log"),
            ("rm -f old; tee a/b", "", "old a/b"),
            ("cat $x/y ~/z /etc/hosts *.txt # not.this", "", ""),
            ("if [ -e there ]; then . ./env; fi", "there ] ./env", ""),
            ("x=$(cat inner)\ncat <<EOF\nheredoc.txt\nEOF", "inner", ""),
        ] {
            let (found, written) = file_words(script);
            let found: Vec<String> = found.into_iter().filter(|word| word != "--fast").collect();
            let expected = reads.replace(" --fast", "");
            assert_eq!((found.join(" "), written.join(" ")), (expected, writes.to_owned()), "{script}");
        }
    }

    #[test]
    fn tells_commands_and_the_values_in_their_words() {
        for (script, expected) in [
            ("curl -s \"$url\" 2>&1 -f | tee log", "curl -s \"$url\"[url] 2 -f; tee log"),
            ("x=\"$(curl -H \"a: $b\" \"$c\")\"", "x=\"$(curl -H \"a: $b\" \"$c\")\"; curl -H \"a: $b\"[b] \"$c\"[c]"),
            ("curl -K - <<<\"user=$u\" >out", "curl -K -"),
            ("x=$(curl a) y", "curl a; y"),
            ("echo '$a' \"\\$b\" ${#c} ${d:+-x} ${e:-f}", "echo '$a' \"\\$b\" ${#c} ${d:+-x} ${e:-f}[e]"),
            ("if ! [ -n \"$a\" ]; then b; fi", "[ -n \"$a\"[a] ]; b; fi"),
        ] {
            let told: Vec<String> = commands(script)
                .iter()
                .map(|words| {
                    let shown = words.iter().map(|word| {
                        assert_eq!(script[word.at.clone()], word.text);
                        let values: Vec<&str> = word.values.iter().map(|(name, _)| name.as_str()).collect();
                        if values.is_empty() {
                            word.text.clone()
                        } else {
                            format!("{}{values:?}", word.text).replace("[\"", "[").replace("\"]", "]")
                        }
                    });
                    shown.collect::<Vec<_>>().join(" ")
                })
                .collect();
            assert_eq!(told.join("; "), expected, "{script}");
        }
    }

    #[test]
    fn survives_anything() {
        for script in ["\"", "'", "\\", "$", "${", "<<", "<<-", "<<'", "$(", "\"$(", "é\\é", "x <<é\n"] {
            let _ = told(script);
            let _ = file_words(script);
            let _ = commands(script);
        }
        let deep = "\"$(".repeat(5_000);
        let _ = commands(&deep);
    }
}
