//! What the fuzzer begins with, and what the tests pass through every target: the repository's own runbooks, right and wrong,
//! the examples of the functions, and inputs that once broke something. Knows no target's promises.

use std::{
    fs,
    path::{Path, PathBuf},
};

use runsheet::syntax::functions;

/// Declarations of parameters with a value each, as the target `input` takes them.
const INPUTS: [&str; 16] = [
    "type: string\npattern: ^v\\d+\\.\\d+$\ndefault: v3.20\n=\nv3.21",
    "type: string\nmin_length: 2\nmax_length: 5\n=\näöü",
    "type: integer\nmin: -5\nmax: 5\ndefault: 3\n=\n-3",
    "type: integer\nchoices: [80, 443]\n=\n080",
    "type: number\nmin: 0\nmax: 1\n=\n0.1",
    "type: number\nchoices: [0.5, 1e6]\n=\n1000000",
    "type: boolean\ndefault: false\n=\ntrue",
    "type: enum\nchoices: [none, additive]\ndefault: none\n=\nadditive",
    "type: url\npattern: https://.*\n=\nhttps://u:p@ex\u{e4}mple.org:8443/a b?c#d",
    "type: path\nexample: /var/tmp\n=\n./a b",
    "type: duration\nmin: 1s\nmax: 7d\n=\n1d2h3m4s5ms",
    "type: list\nmin_length: 1\n=\na, b ,c",
    "type: list\nitems: {type: integer, max: 9}\ndefault: [1, 2]\n=\n[1,\"2\"]",
    "type: list\nitems: {type: duration}\n=\n5m,1h30m",
    "type: list\nitems: {type: number}\n=\n[-0.0, 1e300]",
    "type: list\nitems:\n  type: string\n  pattern: '[a-z]+'\n  choices: [a, b]\n=\n[\"a\",\"b\"]",
];

/// Words whose order the table of functions does not show.
const EXPRESSIONS: [&str; 8] = [
    "n + 1 == 4 and not b or s in l",
    "steps[\"x\"].status == \"succeeded\"",
    "result.json.a[1] if result.exit == 0 else none",
    "l[1:] ~ m.deep.list[0].id",
    "{'a': [1, 2.5e3, \"\\u00e9\"], 'b': -n ** 2 // 3 % 4}",
    "m.x is defined and m.x is not none",
    "t|later(d)|strftime(\"%A %j %s\", \"Europe/Berlin\")",
    "l|map(\"string\")|select(\"matches\", \"^a\")|join(\", \")",
];

const TEMPLATES: [&str; 8] = [
    "{{ s }} and {{ n + 1 }}",
    "{{ u }}job/{{ s }}/{{ s|path }}?q={{ n }}",
    "https://ci.example/{{ m.name }}#{{ token }}",
    "{% if b %}yes{% elif n > 2 %}perhaps{% else %}no{% endif %}",
    "{% for x in l %}{{ loop.index }}: {{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% set x = n * 2 %}{{ x }}",
    "{#- a comment -#} {% raw %}{{ not }}{% endraw %}",
    "{{- s -}} text {%- if b -%} x {%- endif -%}",
];

/// The seeds of a target, and after them what is kept of finds; `root` is the repository.
pub fn of(target: &str, root: &Path) -> Vec<(String, Vec<u8>)> {
    let named = |kind: &str, texts: Vec<String>| -> Vec<(String, Vec<u8>)> {
        texts.into_iter().enumerate().map(|(at, text)| (format!("{kind}-{at}"), text.into_bytes())).collect()
    };
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let examples = || functions().iter().flat_map(|function| [function.example, function.wrong]);
    let mut seeds = match target {
        "load" => {
            let mut seeds: Vec<_> = ["runbooks", "tests/bad", "tests/good"]
                .iter()
                .flat_map(|folder| files(&root.join(folder)))
                .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
                .map(|path| (name(root, &path), read(&path)))
                .collect();
            let cases = files(&root.join("tests/contract")).into_iter();
            for path in cases.filter(|path| path.extension().is_some_and(|ending| ending == "cases")) {
                seeds.extend(named(&name(root, &path), runbooks(&String::from_utf8_lossy(&read(&path)))));
            }
            seeds
        }
        "scenarios" => ["runbooks", "tests/bad-scenarios"]
            .iter()
            .flat_map(|folder| files(&root.join(folder)))
            .filter(|path| holds_scenarios(path))
            .map(|path| (name(root, &path), read(&path)))
            .collect(),
        "expression" => {
            let mut all = own(&EXPRESSIONS);
            all.extend(examples().map(str::to_owned));
            named("expression", all)
        }
        "template" => {
            let mut all = own(&TEMPLATES);
            all.extend(examples().map(|example| format!("a {{{{ {example} }}}}")));
            named("template", all)
        }
        _ => named("input", own(&INPUTS)),
    };
    let found = files(&root.join("fuzz/found").join(target));
    seeds.extend(found.iter().map(|path| (name(root, path), read(path))));
    seeds
}

fn holds_scenarios(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.ends_with(".scenarios.yaml") || (path.contains("bad-scenarios") && path.ends_with(".yaml"))
}

/// Every file below a folder, in order; none where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|why| panic!("could not read {}: {why}", path.display()))
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string().replace('/', "-")
}

/// The runbooks of a file of contract cases: what stands between a case's name and its first command or other file.
fn runbooks(cases: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in cases.lines() {
        if line.starts_with("=== ") {
            found.push(String::new());
            inside = true;
        } else if line.starts_with("$ ") || line.starts_with("@@ ") {
            inside = false;
        } else if let (true, Some(text)) = (inside, found.last_mut()) {
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}
