//! What people read is held to the program: every example loads, every link leads somewhere. Looks at text only.

mod commands;
mod guide;
mod links;
mod made;
mod schemas;

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use runsheet::{
    kinds::registry,
    library::Library,
    lints::{LINTS, look},
    model::{FieldDoc, Linker, Rule, fields, load_from},
    render::{schema, schema_of},
    scenarios,
    syntax::{FunctionKind, RESERVED, decode, functions},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page below the repository that is ours, with its text. Pages that were rendered from runbooks count as well.
fn pages() -> Vec<(PathBuf, String)> {
    let mut open = vec![root().join("docs")];
    let mut pages = Vec::new();
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        pages.push(root().join(name));
    }
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

struct Fence<'t> {
    line: usize,
    /// What stands behind the opening back-ticks.
    info: &'t str,
    text: String,
}

fn fences(page: &str) -> Vec<Fence<'_>> {
    let mut found = Vec::new();
    // The mark that closes the open one, and its content so far.
    let mut open: Option<(String, Fence<'_>)> = None;
    for (index, line) in page.lines().enumerate() {
        let trimmed = line.trim_start();
        let mark: String = trimmed.chars().take_while(|c| *c == '`').collect();
        match &mut open {
            Some((closing, fence)) => {
                if trimmed.trim_end() == closing {
                    found.extend(open.take().map(|(_, fence)| fence));
                } else {
                    fence.text.push_str(line);
                    fence.text.push('\n');
                }
            }
            None if mark.len() >= 3 => {
                let info = trimmed[mark.len()..].trim();
                open = Some((mark, Fence { line: index + 1, info, text: String::new() }));
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// The runbook that a fence is, or is the steps of; none for other fences.
fn runbook(fence: &Fence<'_>) -> Option<String> {
    match fence.info {
        info if info == "yaml" || warned_of(info).is_some() => Some(fence.text.clone()),
        "yaml steps" => {
            let steps: String = fence.text.lines().map(|line| format!("  {line}\n")).collect();
            Some(format!("title: An example\nsteps:\n{steps}"))
        }
        info => {
            let (field, lines) = (info.strip_prefix("yaml ")?, fence.text.lines());
            let value: String = lines.map(|line| format!("  {line}\n")).collect();
            let known = ["params", "secrets", "profiles"].contains(&field);
            known.then(|| format!("title: An example\n{field}:\n{value}steps:\n  - {{id: only, manual: Look.}}\n"))
        }
    }
}

/// The runbook of the guide that a fence shows a part of, as `yaml part=FILE`.
fn shown_part<'t>(fence: &Fence<'t>) -> Option<&'t str> {
    fence.info.strip_prefix("yaml part=")
}

/// The lint that an example shows, which is a runbook that has it: `yaml warns CODE`.
fn warned_of(info: &str) -> Option<&str> {
    info.strip_prefix("yaml warns ")
}

/// What is wrong with a runbook, or warned of, one line each.
fn problems(text: &str) -> Vec<String> {
    let source = match decode("example.yaml".to_owned(), text.as_bytes().to_vec()) {
        Ok(source) => source,
        Err((_, problem)) => return vec![problem.message],
    };
    // What is built in may be called.
    let library = Library::new(&[], &|_| None);
    let loaded = load_from("example", &source, &Linker::new(registry(), Rc::new(library)));
    look(&loaded, None)
        .problems
        .iter()
        .map(|problem| {
            format!("line {}: {}: {}", loaded.source.position(problem.span.start).line, problem.code, problem.message)
        })
        .collect()
}

/// Every runbook of the pages, with its place.
pub fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, text) in pages() {
        for fence in fences(&text) {
            let place = format!("{}:{}", path.strip_prefix(root()).unwrap().display(), fence.line);
            found.extend(runbook(&fence).map(|runbook| (place, runbook)));
        }
    }
    found
}

#[test]
fn every_example_is_a_well_made_runbook() {
    let (mut loaded, mut wrong) = (0, Vec::new());
    for (path, text) in pages() {
        for fence in fences(&text) {
            let shown = format!("{}:{}", path.strip_prefix(root()).unwrap().display(), fence.line);
            if let Some(file) = shown_part(&fence) {
                let whole = root().join("docs/guide/practice/runbooks").join(file);
                let whole = std::fs::read_to_string(&whole).unwrap_or_else(|why| panic!("{shown}: {file}: {why}"));
                // Whole lines, as they stand there.
                if !format!("\n{whole}").contains(&format!("\n{}", fence.text)) {
                    wrong.push(format!("{shown}: {file} holds no such lines"));
                }
                continue;
            }
            if fence.info == "yaml scenarios" {
                // Of the runbook that the tests of scenarios have.
                let got = crate::scenarios::tried(&crate::scenarios::book(crate::scenarios::BOOK), &fence.text);
                if got.iter().any(|line| !line.starts_with("ok ")) {
                    wrong.push(format!("{shown}: {got:#?}"));
                }
                continue;
            }
            assert!(
                !fence.info.starts_with("yaml") || runbook(&fence).is_some(),
                "{shown}: `{}` is none of `yaml`, `yaml FIELD`, `yaml scenarios`, `yaml warns CODE` and `yaml part=FILE`",
                fence.info
            );
            let Some(runbook) = runbook(&fence) else { continue };
            loaded += 1;
            if let Some(code) = warned_of(fence.info) {
                // Only where it is installed does `shellcheck` say anything, and this looks without it.
                let found = problems(&runbook).iter().any(|problem| problem.contains(&format!(": {code}: ")));
                if !found && code != "shellcheck" {
                    wrong.push(format!("{shown}: nothing warns of {code}"));
                }
                continue;
            }
            wrong.extend(problems(&runbook).into_iter().map(|problem| format!("{shown}: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(loaded >= 10, "only {loaded} examples were found");
}

#[test]
fn every_decision_is_in_the_list() {
    let folder = root().join("docs/decisions");
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || list.contains(&format!("]({name})")), "{name} is not in the list");
    }
}

/// A crate that the manifest names itself.
struct Dependency {
    /// Its name in the registry.
    package: String,
    /// Its name in code.
    module: String,
    for_tests: bool,
}

fn dependencies() -> Vec<Dependency> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut table = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            table = line;
        } else if matches!(table, "[dependencies]" | "[dev-dependencies]")
            && let Some((name, rest)) = line.split_once(" = ")
        {
            let renamed = rest.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            found.push(Dependency {
                package: renamed.unwrap_or(name).to_owned(),
                module: name.replace('-', "_"),
                for_tests: table == "[dev-dependencies]",
            });
        }
    }
    found
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let page = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let names = dependencies().into_iter().map(|dependency| dependency.package);
    let wrong: Vec<String> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(wrong.is_empty(), "docs/dependencies.md does not speak of: {}", wrong.join(", "));
}

#[test]
fn every_direct_dependency_is_used() {
    let program = code_below(&["src"]);
    let tests = code_below(&["src", "tests", "benches"]);
    let unused = |dependency: &Dependency| {
        let path = regex::Regex::new(&format!(r"(?m)(^|[^\w:]){}::", dependency.module)).unwrap();
        !path.is_match(if dependency.for_tests { &tests } else { &program })
    };
    let wrong: Vec<String> = dependencies().into_iter().filter(unused).map(|dependency| dependency.package).collect();
    assert!(wrong.is_empty(), "nothing uses: {}", wrong.join(", "));
}

/// All code below these folders, without comments that have a line of their own.
fn code_below(folders: &[&str]) -> String {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut code = String::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                    code.push_str(line);
                    code.push('\n');
                }
            }
        }
    }
    code
}

/// Where a page is not what it should be: written anew with `UPDATE_GOLDEN=1`, else said.
fn golden(path: &Path, should: &str, drift: &mut Vec<String>) {
    if std::fs::read_to_string(path).unwrap_or_default() == should {
        return;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, should).unwrap();
    } else {
        drift.push(path.strip_prefix(root()).unwrap().display().to_string());
    }
}

/// The pages that are made from tables of the program, and the parts of others. `UPDATE_GOLDEN=1` writes them.
#[test]
fn pages_made_from_tables_are_up_to_date() {
    let schema = format!("{:#}{}", schema(registry()), '\n');
    let whole = [
        ("kinds.md", kinds_page()),
        ("fields.md", fields_page()),
        ("expressions.md", expressions_page()),
        ("lints.md", lints_page()),
        ("command-line.md", made::command_line_page()),
        ("runbook.schema.json", schema),
        ("scenarios.md", scenarios_page()),
        ("scenarios.schema.json", scenarios_schema()),
    ];
    let (parts, mut drift) = (made::parts(), Vec::new());
    for (name, text) in whole {
        golden(&root().join("docs/reference").join(name), &text, &mut drift);
    }
    let mut used = String::new();
    for (path, text) in pages() {
        let should = made::with_parts(&text, &parts).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        golden(&path, &should, &mut drift);
        used.push_str(&should);
    }
    let idle: Vec<&str> = parts
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !used.contains(&format!("<!-- made: {name} -->")))
        .collect();
    assert!(idle.is_empty(), "no page holds the parts {idle:?}");
    assert!(drift.is_empty(), "out of date: {}\nUPDATE_GOLDEN=1 cargo test --test suite docs::", drift.join(", "));
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "\\n")
}

/// Code in a table: a bar would end its cell.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {} ``", cell(text)) } else { format!("`{}`", cell(text)) }
}

fn kinds_page() -> String {
    let mut page = "# Kinds of steps\n\nMade from the table in `src/kinds/mod.rs`. What every step may have is in \
                    [fields](fields.md#step), and what was decided where\nthe language left a choice in the \
                    [notes](language-notes.md).\n"
        .to_owned();
    for kind in registry().0 {
        page.push_str(&format!("\n## {}\n\n{}\n", kind.name, kind.summary));
        if kind.lower.is_none() {
            page.push_str("\nNot supported yet.\n");
            continue;
        }
        if let Some(short) = &kind.short {
            page.push_str(&format!("\nIn short: {}.\n", short.words()));
        }
        page.push_str(&fields_table(kind.fields, kind.rules));
    }
    page
}

fn fields_table(fields: &[FieldDoc], rules: &[Rule]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let mut table = "\n| field | takes | meaning |\n| --- | --- | --- |\n".to_owned();
    for field in fields {
        let needed = if rules.iter().any(|rule| matches!(rule, Rule::Needs(key) if *key == field.name)) {
            "; required"
        } else {
            ""
        };
        let takes = field.takes.words();
        let row = format!("| {} | {}{needed} | {} |\n", code(field.name), cell(&takes), cell(field.summary));
        table.push_str(&row);
    }
    let list = |keys: &[&str]| keys.iter().map(|key| code(key)).collect::<Vec<_>>().join(", ");
    for rule in rules {
        match rule {
            Rule::Needs(_) => {}
            Rule::AtLeastOne(keys) => table.push_str(&format!("\nAt least one of {}.\n", list(keys))),
            Rule::ExactlyOne(keys) => table.push_str(&format!("\nExactly one of {}.\n", list(keys))),
            Rule::AtMostOne(keys) => table.push_str(&format!("\nAt most one of {}.\n", list(keys))),
            Rule::Goes(key, with) => table.push_str(&format!("\n{} goes with {}.\n", code(key), code(with))),
            Rule::Holds([]) => table.push_str("\nAnd exactly one [kind](kinds.md), with what every body may have.\n"),
            Rule::Holds(kinds) => {
                table.push_str(&format!("\nAnd exactly one of {}, with what every body may have.\n", list(kinds)));
            }
        }
    }
    table
}

fn fields_page() -> String {
    let mut page =
        "# Fields\n\nMade from the tables in `src/model/fields.rs`. The same as a JSON Schema, for editors: \
                    [runbook.schema.json](runbook.schema.json), or\n`runsheet schema`. What stands under the key of a \
                    kind is in [kinds](kinds.md).\n"
            .to_owned();
    let parts = [
        &fields::RUNBOOK,
        &fields::PARAM,
        &fields::ITEM,
        &fields::SECRET,
        &fields::PROFILE,
        &fields::REQUIRES,
        &fields::TRIGGER,
        &fields::EMAIL,
        &fields::STEP,
        &fields::NEED,
        &fields::RETRY,
        &fields::CAPTURE,
    ];
    for part in parts {
        page.push_str(&format!("\n## {}\n{}", part.name, fields_table(part.fields, part.rules)));
    }
    page.push_str("\n## body\n\nA step, a `verify` and the look of a `wait` also have:\n");
    page.push_str(&fields_table(fields::BODY, &[]));
    page
}

fn scenarios_schema() -> String {
    let about = "Scenarios of a runbook of Runsheet: a simulated world, answers, and what must come out.";
    format!("{:#}\n", schema_of(&scenarios::fields::FILE, "Scenarios", about, registry()))
}

fn scenarios_page() -> String {
    let mut page = include_str!("docs/scenarios.md").to_owned();
    for (title, mapping) in scenarios::fields::ALL {
        page.push_str(&format!("\n## {title}\n{}", fields_table(mapping.fields, mapping.rules)));
    }
    page
}

fn expressions_page() -> String {
    let mut page =
        "# Filters, tests and functions\n\nMade from the table in `src/syntax/functions/table.rs`. A parameter with `=` \
                    may be left out; those after `*` are given by\nname. How expressions differ from Jinja is in the \
                    [notes](language-notes.md#expressions).\n"
            .to_owned();
    let parts = [
        (FunctionKind::Filter, "Filters: `value|name(…)`"),
        (FunctionKind::Test, "Tests: `value is name(…)`"),
        (FunctionKind::Function, "Functions: `name(…)`"),
    ];
    for (kind, heading) in parts {
        page.push_str(&format!(
            "\n## {heading}\n\n| name | meaning | example | gives | refused | because |\n| --- | --- | --- | --- | --- | --- |\n"
        ));
        for doc in functions().iter().filter(|doc| doc.kind == kind) {
            let others: Vec<String> = doc.aliases.iter().map(|alias| code(alias)).collect();
            let others = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
            page.push_str(&format!(
                "| {}{others} | {} | {} | {} | {} | {} |\n",
                code(doc.signature),
                cell(doc.summary),
                code(doc.example),
                code(doc.gives),
                code(doc.wrong),
                cell(doc.says)
            ));
        }
    }
    let reserved: Vec<String> = RESERVED.iter().map(|word| code(word)).collect();
    page.push_str(&format!("\n## Names that nothing may have\n\n{}\n", reserved.join(" ")));
    page
}

fn lints_page() -> String {
    let mut page = "# Lints\n\nMade from the table in `src/lints/table.rs`. What `runsheet check` warns about in a runbook that is \
                    well made. A warning\nnever keeps a runbook from being run; with `--deny warnings` it makes `check` answer 3. \
                    Every example here is tried by a\ntest: the first has what it is about, the second has not.\n\n"
        .to_owned();
    page.push_str(
        "## Allowing one in its place\n\nA comment says which, and why it is all right here:\n\n```yaml\ntitle: Restart the \
         service\nsteps:\n  - id: restart\n    # runsheet: allow no-verify: whoever runs this watches the dashboard\n    shell: \
         systemctl restart web\n```\n\n- On a line of its own it holds for what begins in the next line that is no comment: above \
         a key for that key and what\n  stands below it, above `- id:` for the whole step, above `steps:` for all steps, at the top \
         of the file for the file.\n- Behind something it holds for what begins in its line: `- id: restart  # runsheet: allow …`. \
         Behind a title, a text, an\n  expression or a one-line script there can be no comment.\n- Inside a script of several lines it \
         holds for the next command, or for the one it stands behind. Elsewhere in a text it\n  is text.\n- Several codes are \
         separated by commas: `# runsheet: allow no-verify, plain-http: why`.\n- A warning is allowed where its place lies in what \
         the comment holds for. An error is never allowed.\n",
    );
    page.push_str("\n## All of them\n\n| code | why |\n| --- | --- |\n");
    for lint in &LINTS {
        page.push_str(&format!("| [`{0}`](#{0}) | {1} |\n", lint.code, cell(lint.why)));
    }
    for lint in &LINTS {
        page.push_str(&format!("\n## {}\n\n{}\n", lint.code, lint.why));
        if !lint.more.is_empty() {
            page.push_str(&format!("\n{}\n", lint.more));
        }
        page.push_str(&format!(
            "\n```yaml warns {}\n{}```\n\nBetter:\n\n```yaml\n{}```\n",
            lint.code, lint.bad, lint.good
        ));
    }
    page
}

#[test]
fn pages_speak_of_nothing_that_only_its_writer_has() {
    let mut wrong = Vec::new();
    for (path, text) in pages() {
        // The build machine that a procedure is about has this home, and it is nobody's who writes here.
        let text = text.replace("/home/centos", "~");
        for (number, line) in text.lines().enumerate() {
            let issue = line.match_indices('#').any(|(at, _)| {
                let digits = line[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
                // `#123;` is how a graph spells a brace.
                let spelling = line[at + 1 + digits..].starts_with(';');
                digits > 0
                    && !spelling
                    && (at == 0 || line.as_bytes()[at - 1] == b' ' || line.as_bytes()[at - 1] == b'(')
            });
            if issue || ["/root/", "/work/", "/home/"].iter().any(|folder| line.contains(folder)) {
                wrong.push(format!("{}:{}: {line}", path.strip_prefix(root()).unwrap().display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fences_are_read_as_markdown_means_them() {
    let page = "a\n```yaml\ntitle: x\n```\n````text\n```\ninner\n```\n````\n  ```yaml steps\n- id: a\n  ```\n";
    let found: Vec<_> = fences(page).into_iter().map(|fence| (fence.line, fence.info.to_owned(), fence.text)).collect();
    assert_eq!(
        found,
        [
            (2, "yaml".to_owned(), "title: x\n".to_owned()),
            (5, "text".to_owned(), "```\ninner\n```\n".to_owned()),
            (10, "yaml steps".to_owned(), "- id: a\n".to_owned()),
        ]
    );
    assert_eq!(problems("title: x\nsteps:\n  - {id: a, shel: x}\n").len(), 1);
}
