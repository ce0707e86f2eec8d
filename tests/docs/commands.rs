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
                found.extend(text.replace("\\\n", " ").lines().flat_map(typed));
            }
            Event::Text(text) if inside.as_deref().is_some_and(|info| info.starts_with("console")) => {
                found.extend(text.lines().filter_map(|line| line.strip_prefix("$ ")).flat_map(typed));
            }
            Event::Code(text) => found.extend(spoken(&text)),
            _ => {}
        }
    }
    found
}

/// The calls of a line of shell. Knows quotes, comments and what ends a command, and nothing else.
fn typed(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    for c in line.chars().chain([';']) {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ' | ';' | '|' | '&' | '(' | ')' | '<' | '>') => {
                words.extend(word.take());
                if c != ' ' {
                    commands.push(std::mem::take(&mut words));
                }
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.into_iter().filter_map(ours).collect()
}

/// A call in a sentence. What stands for something (`[PATH…]`, `a|b`, `…`) becomes one of the things that it stands for.
fn spoken(text: &str) -> Option<Vec<String>> {
    let text = text.replace("\\|", "|");
    let words = text.split_whitespace().map(|word| if word == "…" { "something" } else { word });
    let words = words.map(|word| word.trim_start_matches('[').trim_end_matches([']', ',', '…']));
    let words = words.map(|word| if word.contains('=') { word } else { word.split('|').next().unwrap_or(word) });
    ours(words.map(str::to_owned).collect())
}

/// Without the name of the program; none if it is another one, or has no verb.
fn ours(words: Vec<String>) -> Option<Vec<String>> {
    let (program, rest) = words.split_first()?;
    let ours = program == "runsheet" || program.ends_with("/runsheet");
    (ours && !rest.is_empty()).then(|| rest.to_vec())
}

/// Why it cannot be typed.
fn wrong(words: &[String]) -> Option<String> {
    // Words that stand for any verb.
    if words[0] == "VERB" || words[0] == "something" {
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
    let page = "`runsheet list`, `runsheet` and `runsheet resume RUN --as done\\|not-done`\n\n```sh\nFOO=1\ntarget/release/runsheet plan \\\n  x -p 'a=b c' | less\nrunsheet prune --older 9d # no\n```\n\n```text\nrunsheet no\n```\n\n```console\n$ runsheet replay x\nrunsheet no\n```\n";
    let found: Vec<String> = calls(page).iter().map(|call| call.join(" ")).collect();
    assert_eq!(found, ["list", "resume RUN --as done", "plan x -p a=b c", "prune --older 9d", "replay x"]);
    let said: Vec<_> = calls(page).iter().map(|call| wrong(call)).collect();
    assert_eq!(said[..1], [None]);
    assert!(said[1].as_ref().unwrap().contains("required"), "{said:?}");
    assert_eq!(said[2], None);
    assert!(said[3].as_ref().unwrap().contains("--older"), "{said:?}");
    assert_eq!(said[4].as_deref(), Some("that verb is not there yet"));
}
