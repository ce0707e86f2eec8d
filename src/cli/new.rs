//! `new`: a runbook to begin with, that is well made and does nothing to the world. Never writes over anything.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use super::{CliError, Context, args::New, error::code, place, print, say, schema};
use crate::{
    library::{SCENARIOS, is_name},
    operators::{ParamPrompt, ask_param},
    text::one_line,
};

/// The schema for editors, in the root of a library.
const SCHEMA: &str = ".runsheet.schema.json";

pub fn new(context: &Context, flags: &New) -> Result<u8, CliError> {
    let place = Place::of(context, &flags.runbook)?;
    let path = &place.path;
    // Before anybody is asked for anything.
    if path.symlink_metadata().is_ok() {
        return Err(there(path));
    }
    let title = title(flags, &place.name)?;
    let schema = place.root.join(SCHEMA);
    let named = (!flags.no_schema).then(|| format!("{}{SCHEMA}", "../".repeat(place.depth)));
    match place::create(path, text(&place, &title, named.as_deref()).as_bytes()) {
        Ok(()) => {}
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists && path.symlink_metadata().is_ok() => {
            return Err(there(path));
        }
        Err(why) => return Err(unwritable(path, &why)),
    }
    print(context, &format!("{}\n", path.display()))?;
    if named.is_some() {
        match place::create(&schema, schema::runbook().as_bytes()) {
            Ok(()) => say_unless_quiet(context, &format!("{} is for your editor\n", schema.display())),
            // One that is there is another version's or the team's own.
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(unwritable(&schema, &why)),
        }
    }
    let word = &place.word;
    say_unless_quiet(context, &format!("next: runsheet check {word}; runsheet plan {word}; runsheet run {word}\n"));
    if let Some(hidden) = place.hides(context) {
        say(context, &format!("it hides {hidden}, which has the same name\n"));
    }
    Ok(0)
}

fn say_unless_quiet(context: &Context, text: &str) {
    if !context.global.quiet {
        say(context, text);
    }
}

fn there(path: &Path) -> CliError {
    CliError::usage(format!("{} is there already; nothing was written", path.display())).hint("choose another name")
}

fn unwritable(path: &Path, why: &std::io::Error) -> CliError {
    let error = CliError::new(code::FAILED, format!("could not write {}: {why}", path.display()));
    match why.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            error.hint("give the path of a file where you may write, or --library DIR")
        }
        _ => error,
    }
}

/// Where a new runbook goes.
struct Place {
    path: PathBuf,
    /// The folder with the schema.
    root: PathBuf,
    /// How many folders lie between the two.
    depth: usize,
    /// Its name as far as it is known.
    name: String,
    /// How other verbs are told of it.
    word: String,
    in_library: bool,
}

impl Place {
    fn of(context: &Context, word: &str) -> Result<Place, CliError> {
        let library = context.library();
        // A name may have slashes as well: a path is what ends as a file does, or begins as only a path does.
        let is_path = word.ends_with(".yaml") || word.starts_with(['/', '.']);
        if word.ends_with(SCENARIOS) || word.ends_with(SCENARIOS.trim_end_matches(".yaml")) {
            let message = format!("`{word}` is the name of scenarios, not of a runbook");
            return Err(CliError::usage(message).hint("leave out `.scenarios`"));
        }
        if is_path {
            let path = PathBuf::from(word);
            if !word.ends_with(".yaml") {
                return Err(CliError::usage(format!("`{word}` is no path of a runbook"))
                    .hint(format!("write {}.yaml", word.trim_end_matches('/'))));
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            // Below a library it stands there as by its name.
            let below =
                library.roots().iter().find_map(|root| folder.strip_prefix(root).ok().map(|below| (root, below)));
            let (root, depth) = match below {
                Some((root, below)) => (root.clone(), below.components().count()),
                None => (folder, 0),
            };
            return Ok(Place { path, root, depth, name, word: quoted(word), in_library: false });
        }
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if !is_name(word) || !word.chars().all(plain) {
            return Err(CliError::usage(format!("`{}` cannot be the name of a runbook", one_line(word)))
                .hint("letters, digits, `-` and `_`, with `/` between folders, such as web/restart"));
        }
        let root = library.roots().first().cloned().unwrap_or_else(|| PathBuf::from("runbooks"));
        Ok(Place {
            path: root.join(format!("{word}.yaml")),
            depth: word.matches('/').count(),
            root,
            name: word.rsplit('/').next().unwrap_or(word).to_owned(),
            word: word.to_owned(),
            in_library: true,
        })
    }

    /// Another runbook of this name, further down the order.
    fn hides(&self, context: &Context) -> Option<String> {
        let found = context.library().find(&self.word).ok().filter(|_| self.in_library)?;
        found.hides.first().map(ToString::to_string)
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn title(flags: &New, name: &str) -> Result<String, CliError> {
    let check = |title: &str| match title.trim() {
        "" => Err("a title is a line of text".to_owned()),
        title if title.chars().any(char::is_control) => Err("a title is one line, without control characters".into()),
        _ => Ok(()),
    };
    let title = match &flags.title {
        Some(title) => title.clone(),
        None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => {
            let prompt = ParamPrompt { label: "What does it do? (one line)", ..ParamPrompt::default() };
            ask_param(&prompt, &check).map_err(|why| {
                CliError::new(code::DECLINED, format!("could not ask for the title: {why}; nothing was written"))
                    .hint("give it with --title")
            })?
        }
        None => from_name(name),
    };
    check(&title).map_err(|why| CliError::usage(format!("--title: {why}")))?;
    Ok(title.trim().to_owned())
}

/// `restart-web` says "Restart web".
fn from_name(name: &str) -> String {
    let words = name.replace(['-', '_', '.'], " ");
    let mut letters = words.trim().chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "A runbook".to_owned(),
    }
}

/// A line of text as YAML reads it back. What is written in JSON is YAML as well.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_./()".contains(c);
    let word = text.to_lowercase();
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let special = ["true", "false", "null"].contains(&word.as_str()) || word.ends_with(' ');
    if first && !special && text.chars().all(plain) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

fn text(place: &Place, title: &str, schema: Option<&str>) -> String {
    let hint = schema.map(|schema| format!("# yaml-language-server: $schema={schema}\n")).unwrap_or_default();
    let word = &place.word;
    format!(
        r#"{hint}# `runsheet check {word}` tells every mistake, `runsheet plan {word}` shows what a run would do,
# `runsheet run {word}` does it. As it stands it changes nothing.
title: {title}
summary: |
  What it does, and when to use it: for who has to decide at three in the morning.
# owner: who answers for it

# What it is given: `--param host=web-1`; without a default it would be asked for.
params:
  host: {{type: string, default: localhost, help: Where it is done.}}

steps:
  # Shell is shell: a script sees the values that it mentions as variables.
  - id: look
    title: See how {{{{ host }}}} is
    shell: echo "$host is well"
    effect: read
    expect: result.stdout is endingwith("well")
    capture: {{state: result.stdout}}

  # A gate: nothing behind it begins until somebody says yes.
  - id: sure
    confirm: "{{{{ state }}}}. Change it?"

  # What changes something has a `verify` that tells, after an interruption, whether it happened.
  - id: change
    title: Change {{{{ host }}}}
    shell: echo "here $host would be changed"
    verify:
      shell: echo "here it would be looked for on $host"
      expect: result.stdout is endingwith(host)
"#,
        title = scalar(title),
    )
}

#[cfg(test)]
mod tests {
    use super::{from_name, scalar};
    use crate::{kinds::registry, model::load, text::Source};

    #[test]
    fn any_title_is_read_back_as_it_was() {
        for title in [
            "Restart web",
            "true",
            "It's: a \"test\" # really",
            "{{ x }}",
            "12",
            "- a",
            "\u{1f600} ü",
            "a\\b",
            "null",
            "*x",
        ] {
            let text = format!("title: {}\nsteps:\n  - {{id: a, shell: echo}}\n", scalar(title));
            let loaded = load("x", &Source::new("x", text.clone()), registry());
            assert_eq!(loaded.runbook.expect(&text).title.value, title);
        }
        assert_eq!(scalar("Restart web-1 (all)"), "Restart web-1 (all)");
        assert_eq!(from_name("restart-web_1"), "Restart web 1");
        assert_eq!(from_name("--"), "A runbook");
    }
}
