//! Every `runsheet …` that a page shows can be typed: its verb and its flags are known to the command line. Runs none.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::{pages, root};

/// What a page shows as something to type: lines of `sh` and `console` blocks, and code in sentences. Each as words.
fn calls(page: &str) -> Vec<Vec<String>> {
    let (mut found, mut inside) = (Vec::new(), None);
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => inside = Some(info.to_string()),
            Event::End(TagEnd::CodeBlock) => inside = None,
            Event::Text(text) if inside.as_deref().is_some_and(|info| info == "sh") => {
                let joined = text.replace("\\\n", " ");
                found.extend(joined.lines().flat_map(|line| line.split(&[';', '|', '&'])).filter_map(words));
            }
            Event::Text(text) if inside.as_deref().is_some_and(|info| info.starts_with("console")) => {
                found.extend(text.lines().filter_map(|line| words(line.strip_prefix("$ ")?)));
            }
            Event::Code(text) => found.extend(words(&text)),
            _ => {}
        }
    }
    found
}

/// The words of one call of the program; none if it is no call with a verb. What stands for something (`[PATH…]`, `a|b`,
/// `…`) becomes one of the things that it stands for.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line).replace("\\|", "|");
    let mut words = line.split_whitespace();
    let program = words.next()?;
    if program != "runsheet" && !program.ends_with("/runsheet") {
        return None;
    }
    let said: Vec<String> = words
        .take_while(|word| !word.starts_with(['>', '<']) && *word != "2>&1")
        .map(|word| word.trim_matches(['\'', '"']))
        .map(|word| if word == "…" { "something" } else { word })
        .map(|word| word.trim_start_matches('[').trim_end_matches([']', ',', '…']))
        .map(|word| if word.contains('=') { word } else { word.split('|').next().unwrap_or(word) })
        .map(str::to_owned)
        .collect();
    (!said.is_empty()).then_some(said)
}

/// Why it cannot be typed.
fn wrong(words: &[String]) -> Option<String> {
    // Words that stand for any verb.
    if words[0] == "VERB" || words[0] == "…" {
        return None;
    }
    let mut program = runsheet::cli::command();
    let later = program.find_subcommand(&words[0]).is_some_and(clap::Command::is_hide_set);
    if later {
        return Some("that verb is not there yet".to_owned());
    }
    let typed = std::iter::once("runsheet").chain(words.iter().map(String::as_str));
    let error = program.try_get_matches_from_mut(typed).err()?;
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion, MissingRequiredArgument};
    match error.kind() {
        DisplayHelp | DisplayVersion => None,
        // A sentence may speak of `runsheet resume --json` without saying which run; a flag that another one needs it
        // has to name.
        MissingRequiredArgument if only_places_are_missing(&error) => None,
        _ => Some(error.to_string().lines().next().unwrap_or_default().to_owned()),
    }
}

fn only_places_are_missing(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue};
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.iter().all(|name| name.starts_with('<')),
        Some(ContextValue::String(missing)) => missing.starts_with('<'),
        _ => false,
    }
}

#[test]
fn every_command_in_a_page_can_be_typed() {
    let (mut tried, mut lost) = (0, Vec::new());
    for (path, text) in pages() {
        for call in calls(&text) {
            tried += 1;
            if let Some(why) = wrong(&call) {
                lost.push(format!(
                    "{}: runsheet {}: {why}",
                    path.strip_prefix(root()).unwrap().display(),
                    call.join(" ")
                ));
            }
        }
    }
    assert!(lost.is_empty(), "commands that cannot be typed:\n{}", lost.join("\n"));
    assert!(tried > 30, "only {tried} commands were found");
}

#[test]
fn commands_are_found_where_a_page_shows_them() {
    let page = "`runsheet list`, `runsheet` and `runsheet resume RUN --as done\\|not-done`\n\n```sh\nFOO=1\ntarget/release/runsheet plan \\\n  x -p 'a=b' | less\nrunsheet prune --older 9d # no\n```\n\n```text\nrunsheet no\n```\n\n```console\n$ runsheet undo last\nrunsheet no\n```\n";
    let found: Vec<String> = calls(page).iter().map(|call| call.join(" ")).collect();
    assert_eq!(found, ["list", "resume RUN --as done", "plan x -p a=b", "prune --older 9d", "undo last"]);
    let said: Vec<_> = calls(page).iter().map(|call| wrong(call)).collect();
    assert_eq!(said[..1], [None]);
    assert!(said[1].as_ref().unwrap().contains("required"), "{said:?}");
    assert_eq!(said[2], None);
    assert!(said[3].as_ref().unwrap().contains("--older"), "{said:?}");
    assert_eq!(said[4].as_deref(), Some("that verb is not there yet"));
}
